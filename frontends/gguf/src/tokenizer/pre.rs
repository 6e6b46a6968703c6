//! What happens to text before merging, and how vocabularies become merge tables.
//!
//! The split patterns are those the models were trained with, as their `tokenizer.json` files give them; the names are
//! llama.cpp's (`tokenizer.ggml.pre`).

use super::Kind;
use girih_base::{Diag, Result};
use std::collections::BTreeMap;
use tokenizers::models::bpe::{BPE, Merges, Vocab};
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::pre_tokenizers::sequence::Sequence;
use tokenizers::pre_tokenizers::split::{Split, SplitPattern};
use tokenizers::{PreTokenizerWrapper, SplitDelimiterBehavior};

/// One way to split text.
pub(super) struct Row {
    names: &'static [&'static str],
    /// A split before the byte mapping.
    split: Option<&'static str>,
    /// Whether GPT-2's own pattern splits (again).
    gpt2: bool,
    /// Whether a part that is a token as a whole is taken as it is.
    whole_words: bool,
}

const ROWS: &[Row] = &[
    Row { names: &["gpt-2", "gpt2", "phi-2", "olmo", "mpt"], split: None, gpt2: true, whole_words: false },
    // Every digit stands alone.
    Row {
        names: &["smollm", "starcoder", "refact", "command-r", "codeshell"],
        split: Some(r"\p{N}"),
        gpt2: true,
        whole_words: false,
    },
    // Groups of up to three digits.
    Row {
        names: &["llama-bpe", "llama3", "llama-v3", "falcon3"],
        split: Some(concat!(
            r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}|",
            r" ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
        )),
        gpt2: false,
        whole_words: true,
    },
    Row {
        names: &["qwen2", "deepseek-r1-qwen", "stablelm2"],
        split: Some(concat!(
            r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}|",
            r" ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
        )),
        gpt2: false,
        whole_words: false,
    },
];

pub(super) fn row(name: &str) -> Result<&'static Row> {
    ROWS.iter().find(|r| r.names.contains(&name)).ok_or_else(|| {
        let names: Vec<&str> = ROWS.iter().flat_map(|r| r.names.iter().copied()).collect();
        Diag::error("M013", format!("pre-tokenizer `{name}` is not supported"))
            .note(format!("supported: {}", names.join(", ")))
            .help("splitting text another way than in training would give wrong tokens, so it is not tried")
    })
}

impl Row {
    pub(super) fn build(&self) -> Result<PreTokenizerWrapper> {
        let mut steps = Vec::new();
        if let Some(pattern) = self.split {
            let pattern = SplitPattern::Regex(pattern.into());
            let split = Split::new(pattern, SplitDelimiterBehavior::Isolated, false)
                .map_err(|e| Diag::error("M013", format!("the split pattern does not compile: {e}")))?;
            steps.push(PreTokenizerWrapper::Split(split));
        }
        steps.push(PreTokenizerWrapper::ByteLevel(ByteLevel::new(false, false, self.gpt2)));
        Ok(PreTokenizerWrapper::Sequence(Sequence::new(steps)))
    }
}

/// Byte-level BPE from the merges of the file.
pub(super) fn byte_level_bpe(words: &[&str], merges: &[&str], row: &Row) -> Result<BPE> {
    let mut pairs = Merges::with_capacity(merges.len());
    for (i, merge) in merges.iter().enumerate() {
        let (a, b) = merge.split_once(' ').ok_or_else(|| {
            Diag::error("M013", format!("merge {i} is `{merge}`, not two parts"))
                .help("the vocabulary is damaged; convert the model again")
        })?;
        pairs.push((a.into(), b.into()));
    }
    build(BPE::builder().vocab_and_merges(vocab(words), pairs).ignore_merges(row.whole_words))
}

/// SentencePiece BPE: it merges the pair whose result scores highest, which is BPE with one merge for every way to
/// write a token as two others, ranked by the token's score.
pub(super) fn sentencepiece_bpe(words: &[&str], scores: &[f64], kinds: &[Kind]) -> Result<BPE> {
    if scores.len() != words.len() || scores.iter().any(|s| s.is_nan()) {
        return Err(Diag::error(
            "M013",
            format!("{} tokens with {} scores, or scores that are no numbers", words.len(), scores.len()),
        )
        .help("the vocabulary is damaged; convert the model again"));
    }
    let vocab = vocab(words);
    let mut pairs: Vec<(f64, u32, u32, u32, usize)> = Vec::new();
    for (i, word) in words.iter().enumerate() {
        if kinds[i] != Kind::Text || vocab.get(*word) != Some(&(i as u32)) {
            continue;
        }
        for (at, _) in word.char_indices().skip(1) {
            if let (Some(a), Some(b)) = (vocab.get(&word[..at]), vocab.get(&word[at..])) {
                pairs.push((scores[i], i as u32, *a, *b, at));
            }
        }
    }
    pairs.sort_by(|x, y| y.0.total_cmp(&x.0).then_with(|| (x.1, x.2, x.3).cmp(&(y.1, y.2, y.3))));
    let merges = pairs.into_iter().map(|(_, i, _, _, at)| words[i as usize].split_at(at));
    let merges = merges.map(|(a, b)| (a.to_string(), b.to_string())).collect::<Merges>();
    let mut builder = BPE::builder().vocab_and_merges(vocab, merges).byte_fallback(true).fuse_unk(true);
    if let Some(unknown) = kinds.iter().position(|k| *k == Kind::Unknown) {
        builder = builder.unk_token(words[unknown].into());
    }
    build(builder)
}

/// Of two tokens with one spelling the first is meant.
fn vocab(words: &[&str]) -> Vocab {
    let mut vocab = Vocab::default();
    for (i, word) in words.iter().enumerate() {
        vocab.entry(word.to_string()).or_insert(i as u32);
    }
    vocab
}

fn build(builder: tokenizers::models::bpe::BpeBuilder) -> Result<BPE> {
    builder.build().map_err(|e| {
        Diag::error("M013", format!("the vocabulary and its merges do not fit: {e}"))
            .help("the vocabulary is damaged; convert the model again")
    })
}

/// The byte of a SentencePiece byte token: `<0x0A>`.
pub(super) fn byte_token(word: &str) -> Option<u8> {
    u8::from_str_radix(word.strip_prefix("<0x")?.strip_suffix('>')?, 16).ok()
}

/// The bytes a token stands for.
pub(super) fn token_bytes(word: &str, kind: Kind, byte_level: bool) -> Vec<u8> {
    match kind {
        Kind::Byte(b) => vec![b],
        Kind::Control | Kind::UserDefined | Kind::Unknown if byte_level => word.as_bytes().to_vec(),
        Kind::Text if byte_level => {
            let bytes: Option<Vec<u8>> = word.chars().map(|c| alphabet().get(&c).copied()).collect();
            bytes.unwrap_or_else(|| word.as_bytes().to_vec())
        }
        _ => word.replace('\u{2581}', " ").into_bytes(),
    }
}

/// GPT-2's printable characters for bytes, inverted: printable Latin-1 stands for itself, the other 68 bytes for the
/// characters from U+0100 on, in order.
fn alphabet() -> &'static BTreeMap<char, u8> {
    static MAP: std::sync::OnceLock<BTreeMap<char, u8>> = std::sync::OnceLock::new();
    MAP.get_or_init(|| {
        let printable = |b: u8| matches!(b, b'!'..=b'~' | 0xa1..=0xac | 0xae..=0xff);
        let plain = (0..=255u8).filter(|b| printable(*b)).map(|b| (char::from(b), b));
        let shifted = ('\u{100}'..).zip((0..=255u8).filter(|b| !printable(*b)));
        plain.chain(shifted).collect()
    })
}
