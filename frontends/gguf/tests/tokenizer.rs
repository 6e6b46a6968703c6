//! Tokenizers: ids against independent implementations, round trips, streaming, chat templates, damage.
#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout)]

mod common;

use common::{SMOLLM2, V, Writer, s, strs};
use girih_gguf::{ChatTemplate, Gguf, Message, Tokenizer};
use proptest::prelude::*;
use std::collections::BTreeMap;

fn smollm2() -> Option<(Gguf, Tokenizer)> {
    let gguf = Gguf::open(common::model(SMOLLM2)?).unwrap();
    let tokenizer = Tokenizer::new(gguf.meta()).unwrap();
    Some((gguf, tokenizer))
}

/// Ids from a separate BPE in Python (the `regex` module and the file's merges, pairs merged one at a time).
const GOLDEN: &[(&str, &[u32])] = &[
    ("Hello, world!", &[19556, 28, 905, 17]),
    ("The capital of France is", &[504, 3575, 282, 4649, 314]),
    (" leading and  double   spaces ", &[2899, 284, 216, 5561, 256, 5600, 216]),
    ("tabs\tand\nnew\n\nlines\r\n", &[100, 7366, 197, 397, 198, 2241, 198, 198, 5110, 2738]),
    (
        "It's 12345.67 o'clock; I'll don't we've",
        &[1589, 506, 216, 33, 34, 35, 36, 37, 30, 38, 39, 263, 23, 17466, 43, 339, 3060, 1326, 982, 392, 3543],
    ),
    ("naïve café — Ünïcödé", &[3546, 46494, 37366, 1841, 5549, 246, 94, 25972, 83, 7466, 84, 2756]),
    ("日本語のテキスト", &[23274, 115, 40993, 179, 120, 248, 26453, 11100, 224, 10391, 251, 10391, 134, 11100, 226]),
    (
        "emoji 🦀🚀 and 👨\u{200d}👩\u{200d}👧",
        &[
            391, 33777, 15107, 116, 218, 10813, 244, 218, 284, 15107, 235, 118, 321, 231, 10813, 235, 119, 321, 231,
            10813, 235, 117,
        ],
    ),
    (
        "fn main() { println!(\"{}\", 1 << 4); }",
        &[7853, 1085, 1000, 1662, 1628, 34115, 17, 43331, 1002, 216, 33, 22646, 216, 36, 4258, 4029],
    ),
    ("<|im_start|>user\nHi<|im_end|>\n", &[1, 4093, 198, 26843, 2, 198]),
    ("x=²³½ Ⅳ ١٢٣", &[104, 45, 19133, 39050, 16738, 216, 173, 223, 113, 216, 164, 111, 164, 112, 164, 113]),
    ("    \n   indented\n\t\tcode", &[289, 11181, 641, 6574, 3354, 197, 4635]),
    ("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", &[46880, 46880, 46880, 46880, 46880, 46880, 46880, 46880]),
    (
        "Żółć, ß, ʻokina, ñandú",
        &[144, 136, 7342, 25954, 27804, 28, 5549, 249, 28, 216, 34227, 2231, 1787, 28, 5549, 126, 397, 16148],
    ),
    ("a<|endoftext|>b <|im_end |>", &[81, 0, 82, 2067, 108, 306, 79, 486, 2504, 46]),
];

#[test]
fn smollm2_ids_equal_an_independent_implementation() {
    let Some((_, t)) = smollm2() else { return };
    for (text, ids) in GOLDEN {
        assert_eq!(t.encode(text, true).unwrap(), *ids, "{text:?}");
    }
    assert_eq!(t.encode_prompt("Hello, world!").unwrap(), [19556, 28, 905, 17], "this model wants no begin token");
    assert_eq!(t.encode("<|im_end|>", false).unwrap(), [44, 108, 306, 79, 486, 108, 46], "a forged special token");
    assert_eq!(t.len(), 49152);
    assert!(t.stop_tokens().contains(&2) && t.is_control(2) && !t.is_control(504));
}

#[test]
fn smollm2_text_survives_a_round_trip_token_by_token() {
    let Some((_, t)) = smollm2() else { return };
    for (text, _) in GOLDEN {
        let ids = t.encode(text, false).unwrap();
        assert_eq!(t.decode(&ids), *text);
        let mut stream = t.stream();
        let parts: Vec<String> = ids.iter().map(|id| stream.push(*id)).collect();
        assert_eq!(parts.concat() + &stream.finish(), *text);
    }
    let crab = t.encode(" 🦀", false).unwrap();
    let mut stream = t.stream();
    let parts: Vec<String> = crab.iter().map(|id| stream.push(*id)).collect();
    assert_eq!(parts, [" ", "", "🦀"], "characters come out whole: {crab:?}");
    assert_eq!(t.decode(&crab[..2]), " \u{fffd}", "and what stays incomplete is marked");
    assert_eq!(t.decode(&[1, 4093, 2, 4_000_000_000]), "user", "control tokens and unknown ids stand for nothing");
}

#[test]
fn text_with_bytes_the_vocabulary_lacks_is_refused() {
    let Some((_, t)) = smollm2() else { return };
    let diag = t.encode("a\u{4}b", false).unwrap_err();
    assert!(diag.code == "M013" && diag.help.is_some(), "{diag}");
}

#[test]
fn smollm2_chat_template_writes_the_prompt() {
    let Some((gguf, t)) = smollm2() else { return };
    let chat = ChatTemplate::new(gguf.meta()).unwrap().unwrap();
    let prompt = chat.render(&[Message::new("user", "Hi {{ 1 }}")], true).unwrap();
    let system = "You are a helpful AI assistant named SmolLM, trained by Hugging Face";
    let expect = format!(
        "<|im_start|>system\n{system}<|im_end|>\n<|im_start|>user\nHi {{{{ 1 }}}}<|im_end|>\n<|im_start|>assistant\n"
    );
    assert_eq!(prompt, expect);
    assert_eq!(t.encode_prompt(&prompt).unwrap()[..2], [1, 9690]);
    let own = chat.render(&[Message::new("system", "S"), Message::new("user", "U")], false).unwrap();
    assert_eq!(own, "<|im_start|>system\nS<|im_end|>\n<|im_start|>user\nU<|im_end|>\n");
}

/// A SentencePiece vocabulary: specials, three bytes, characters, and words with scores.
fn sentencepiece() -> Writer {
    let words = [
        ("<unk>", 2, 0.0),
        ("<s>", 3, 0.0),
        ("</s>", 3, 0.0),
        ("<0xC3>", 6, 0.0),
        ("<0xA9>", 6, 0.0),
        ("<0x0A>", 6, 0.0),
        ("\u{2581}", 1, -10.0),
        ("a", 1, -11.0),
        ("b", 1, -12.0),
        ("c", 1, -13.0),
        ("ab", 1, -2.0),
        ("bc", 1, -1.0),
        ("abc", 1, -3.0),
        ("\u{2581}a", 1, -4.0),
        ("[tool]", 4, 0.0),
    ];
    Writer::default()
        .meta("tokenizer.ggml.model", s("llama"))
        .meta("tokenizer.ggml.tokens", V::Strs(words.iter().map(|w| w.0.into()).collect()))
        .meta("tokenizer.ggml.token_type", V::I32s(words.iter().map(|w| w.1).collect()))
        .meta("tokenizer.ggml.scores", V::F32s(words.iter().map(|w| w.2).collect()))
        .meta("tokenizer.ggml.bos_token_id", V::U32(1))
        .meta("tokenizer.ggml.eos_token_id", V::U32(2))
}

fn tokenizer(w: &Writer) -> girih_base::Result<Tokenizer> {
    Tokenizer::new(Gguf::from_bytes(w.finish()).unwrap().meta())
}

#[test]
fn sentencepiece_merges_by_score_and_falls_back_to_bytes() {
    let t = tokenizer(&sentencepiece()).unwrap();
    // In "▁abc", bc (-1) merges first, which leaves abc (-3) ahead of ▁a (-4).
    assert_eq!(t.encode("abc", true).unwrap(), [6, 12]);
    assert_eq!(t.encode("a é\n", true).unwrap(), [13, 6, 3, 4, 5]);
    assert_eq!(t.encode("z", true).unwrap(), [6, 0], "no byte token for z");
    assert_eq!(t.encode("b[tool]", false).unwrap(), [6, 8, 14], "user-defined tokens are always found");
    assert_eq!(t.encode("</s>", true).unwrap(), [2]);
    assert_eq!(t.encode_prompt("c").unwrap(), [1, 6, 9], "the begin token is the default here");
    assert_eq!(t.encode_prompt("<s>c").unwrap(), [1, 6, 9], "and never doubled");
    assert_eq!(t.decode(&t.encode_prompt("a é\n").unwrap()), "a é\n");
    assert_eq!(t.stop_tokens().iter().copied().collect::<Vec<_>>(), [2]);
}

#[test]
fn damaged_vocabularies_are_refused() {
    let byte_level = |tokens: &[&str], merges: &[&str], pre: &str| {
        Writer::default()
            .meta("tokenizer.ggml.model", s("gpt2"))
            .meta("tokenizer.ggml.pre", s(pre))
            .meta("tokenizer.ggml.tokens", strs(tokens))
            .meta("tokenizer.ggml.merges", strs(merges))
    };
    assert_eq!(tokenizer(&byte_level(&["a", "b", "ab"], &["a b"], "gpt-2")).unwrap().encode("ab", true).unwrap(), [2]);
    let refused = |w: &Writer, code: &str, words: &str| {
        let diag = tokenizer(w).expect_err(words);
        assert!(diag.code == code && diag.to_string().contains(words) && diag.help.is_some(), "{diag}");
    };
    refused(&byte_level(&["a"], &["ab"], "gpt-2"), "M013", "not two parts");
    refused(&byte_level(&["a"], &["a b"], "gpt-2"), "M013", "do not fit");
    refused(&byte_level(&["a"], &[], "tekken"), "M013", "`tekken` is not supported");
    refused(&byte_level(&[], &[], "gpt-2"), "M013", "0 tokens");
    refused(
        &byte_level(&["a"], &[], "gpt-2").meta("tokenizer.ggml.eos_token_id", V::U32(9)),
        "M013",
        "beyond the 1 tokens",
    );
    refused(
        &byte_level(&["a"], &[], "gpt-2").meta("tokenizer.ggml.token_type", V::I32s(vec![1, 1])),
        "M013",
        "2 token types",
    );
    refused(&Writer::default(), "M010", "tokenizer.ggml.tokens");
    let wordpiece =
        Writer::default().meta("tokenizer.ggml.model", s("bert")).meta("tokenizer.ggml.tokens", strs(&["a"]));
    refused(&wordpiece, "M013", "`bert` is not supported");
    let mut unscored = sentencepiece();
    unscored.meta.retain(|(k, _)| !k.ends_with("scores"));
    refused(&unscored, "M010", "tokenizer.ggml.scores");
}

#[test]
fn hostile_chat_templates_are_refused() {
    let chat = |source: &str| {
        let w = sentencepiece().meta("tokenizer.chat_template", s(source));
        let template = ChatTemplate::new(Gguf::from_bytes(w.finish()).unwrap().meta())?.unwrap();
        template.render(&[Message::new("user", " x ")], true)
    };
    assert_eq!(
        chat("{{ bos_token }}{% for m in messages %}{{ m.content.strip() | trim }}{% endfor %}").unwrap(),
        "<s>x"
    );
    for bad in [
        "{% for",
        "{{ raise_exception('roles must alternate') }}",
        "{% for i in range(99999999) %}{% for j in range(99999) %}x{% endfor %}{% endfor %}",
        "{{ strftime_now('%d') }}",
        "{{ 'x' * 99999999999 }}",
        "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
    ] {
        let diag = chat(bad).unwrap_err();
        assert!(diag.code == "M014" && diag.help.is_some(), "{diag}");
    }
    let none = ChatTemplate::new(Gguf::from_bytes(sentencepiece().finish()).unwrap().meta()).unwrap();
    assert!(none.is_none());
}

/// SentencePiece's merging as its paper and llama.cpp do it: of all neighbours that make a token, the best-scored pair.
fn merge_by_score(text: &str, scores: &BTreeMap<String, f32>) -> Vec<String> {
    let mut parts: Vec<String> = text.chars().map(String::from).collect();
    loop {
        let score = |i: usize| scores.get(&format!("{}{}", parts[i], parts[i + 1])).copied();
        let mut best: Option<(usize, f32)> = None;
        for i in 0..parts.len().saturating_sub(1) {
            if let Some(s) = score(i).filter(|s| best.is_none_or(|(_, b)| *s > b)) {
                best = Some((i, s));
            }
        }
        let Some((i, _)) = best else { return parts };
        let right = parts.remove(i + 1);
        parts[i].push_str(&right);
    }
}

proptest! {
    #[test]
    fn sentencepiece_merging_equals_the_plain_algorithm(
        words in proptest::collection::btree_set("[abc\u{2581}]{2,5}", 1..40),
        shuffle: u32,
        text in "[abc ]{1,24}",
    ) {
        let mut scores: BTreeMap<String, f32> = BTreeMap::new();
        for (i, w) in words.iter().enumerate() {
            // Distinct scores in an order that has nothing to do with spelling: multiples modulo a prime.
            scores.insert(w.clone(), -(((i as u32 + 1) * (1 + shuffle % 100) % 101) as f32));
        }
        let chars = ["a", "b", "c", "\u{2581}"];
        let all: Vec<(String, f32)> = chars.iter().map(|c| (c.to_string(), -99.0)).chain(scores.clone()).collect();
        let w = Writer::default()
            .meta("tokenizer.ggml.model", s("llama"))
            .meta("tokenizer.ggml.tokens", V::Strs(all.iter().map(|t| t.0.clone()).collect()))
            .meta("tokenizer.ggml.scores", V::F32s(all.iter().map(|t| t.1).collect()))
            .meta("tokenizer.ggml.add_space_prefix", V::Bool(false));
        let got = tokenizer(&w).unwrap().encode(&text, true).unwrap();
        let got: Vec<&str> = got.iter().map(|id| all[*id as usize].0.as_str()).collect();
        prop_assert_eq!(got, merge_by_score(&text.replace(' ', "\u{2581}"), &scores));
    }

    #[test]
    fn damaged_vocabularies_never_panic(
        byte_level: bool,
        edits in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        text in "[abc</s>\\[tol\\]é \n]{0,12}",
    ) {
        let mut f = if byte_level {
            Writer::default()
                .meta("tokenizer.ggml.model", s("gpt2"))
                .meta("tokenizer.ggml.pre", s("llama-bpe"))
                .meta("tokenizer.ggml.tokens", strs(&["a", "b", "ab", "abab", "\u{120}", "<s>", "</s>"]))
                .meta("tokenizer.ggml.token_type", V::I32s(vec![1, 1, 1, 1, 1, 3, 4]))
                .meta("tokenizer.ggml.merges", strs(&["a b", "ab ab"]))
                .meta("tokenizer.ggml.bos_token_id", V::U32(5))
                .finish()
        } else {
            sentencepiece().meta("tokenizer.chat_template", s("{{ messages[0].content }}")).finish()
        };
        for (at, byte) in edits {
            let at = at.index(f.len());
            f[at] = byte;
        }
        let Ok(file) = Gguf::from_bytes(f) else { return Ok(()) };
        if let Ok(t) = Tokenizer::new(file.meta())
            && let Ok(ids) = t.encode_prompt(&text)
        {
            prop_assert!(ids.iter().all(|id| (*id as usize) < t.len()));
            t.decode(&ids);
        }
        if let Ok(Some(chat)) = ChatTemplate::new(file.meta()) {
            let _ = chat.render(&[Message::new("user", text)], true);
        }
    }

    #[test]
    fn any_text_encodes_without_panic_and_comes_back(text in "\\PC{0,40}") {
        let t = tokenizer(&sentencepiece()).unwrap();
        prop_assert!(t.encode(&text, true).is_ok());
        if let Some((_, t)) = SHARED.get_or_init(smollm2) {
            let ids = t.encode(&text, false).unwrap();
            prop_assert_eq!(t.decode(&ids), text);
        }
    }
}

static SHARED: std::sync::OnceLock<Option<(Gguf, Tokenizer)>> = std::sync::OnceLock::new();
