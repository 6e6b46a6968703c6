//! Text to token ids and back, with the vocabulary of the file.
//!
//! Byte-level BPE (`tokenizer.ggml.model` = `gpt2`) and SentencePiece-style BPE (`llama`). Merging is done by the
//! `tokenizers` crate; special tokens are split off here first, so that text from a user can be kept from forging them.

mod chat;
mod pre;
mod stream;

pub use chat::{ChatTemplate, Message};
pub use stream::Stream;

use crate::meta::Meta;
use aho_corasick::{AhoCorasick, MatchKind};
use girih_base::{Diag, Result};
use std::collections::{BTreeMap, BTreeSet};
use tokenizers::models::bpe::BPE;
use tokenizers::{Model, OffsetType, PreTokenizedString, PreTokenizer, PreTokenizerWrapper};

/// What a token is, from `tokenizer.ggml.token_type`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Text,
    Unknown,
    Control,
    UserDefined,
    Byte(u8),
}

/// The tokenizer of a model.
#[derive(Debug)]
pub struct Tokenizer {
    bpe: BPE,
    /// Splits and byte mapping before merging; nothing for SentencePiece vocabularies.
    pre: Option<PreTokenizerWrapper>,
    tokens: Vec<(Vec<u8>, Kind)>,
    special: Specials,
    user_defined: Specials,
    space_prefix: bool,
    add_bos: bool,
    bos: Option<u32>,
    stop: BTreeSet<u32>,
}

/// Finds whole tokens in text; the longest that starts first wins.
#[derive(Debug)]
struct Specials {
    ids: Vec<u32>,
    matcher: AhoCorasick,
}

/// Tokens that end a turn or a text in models whose files do not say so by id.
const STOP_NAMES: [&str; 7] =
    ["<|eot_id|>", "<|eom_id|>", "<|im_end|>", "<|end|>", "<end_of_turn>", "<|endoftext|>", "</s>"];

impl Tokenizer {
    /// Builds the tokenizer that the file describes.
    ///
    /// # Errors
    /// `M010` for missing or mistyped keys, `M013` for a vocabulary or pre-tokenizer that is not understood.
    pub fn new(meta: &Meta) -> Result<Tokenizer> {
        let words = meta.strings("tokenizer.ggml.tokens")?;
        let types = match meta.get("tokenizer.ggml.token_type") {
            Some(_) => meta.ints("tokenizer.ggml.token_type")?,
            None => vec![1; words.len()],
        };
        if types.len() != words.len() || words.is_empty() || u32::try_from(words.len()).is_err() {
            return Err(Diag::error("M013", format!("{} tokens with {} token types", words.len(), types.len()))
                .help("the vocabulary is damaged; convert the model again"));
        }
        let kinds: Vec<Kind> = words.iter().zip(&types).map(|(w, t)| kind(w, *t)).collect();
        let (bpe, pre, byte_level) = match meta.str("tokenizer.ggml.model")? {
            "gpt2" => {
                let row = pre::row(meta.str("tokenizer.ggml.pre")?)?;
                (pre::byte_level_bpe(&words, &meta.strings("tokenizer.ggml.merges")?, row)?, Some(row.build()?), true)
            }
            "llama" => (pre::sentencepiece_bpe(&words, &meta.floats("tokenizer.ggml.scores")?, &kinds)?, None, false),
            other => {
                return Err(Diag::error("M013", format!("tokenizer model `{other}` is not supported"))
                    .help("`gpt2` (byte-level BPE) and `llama` (SentencePiece BPE) are"));
            }
        };
        let tokens = words.iter().zip(&kinds).map(|(w, k)| (pre::token_bytes(w, *k, byte_level), *k)).collect();
        let named = |wanted: &[Kind]| -> Vec<(&str, u32)> {
            let of_kind =
                words.iter().zip(&kinds).enumerate().filter(|(_, (w, k))| wanted.contains(k) && !w.is_empty());
            of_kind.map(|(i, (w, _))| (*w, i as u32)).collect()
        };
        let bos = token_id(meta, "bos", words.len())?;
        let mut stop = BTreeSet::new();
        for key in ["eos", "eot", "eom"] {
            stop.extend(token_id(meta, key, words.len())?);
        }
        stop.extend(named(&[Kind::Control]).iter().filter(|(w, _)| STOP_NAMES.contains(w)).map(|(_, id)| *id));
        let add_bos_default =
            !byte_level || meta.str_opt("tokenizer.ggml.pre")?.is_some_and(|p| p.starts_with("llama"));
        Ok(Tokenizer {
            bpe,
            pre,
            tokens,
            special: Specials::new(named(&[Kind::Control, Kind::UserDefined]))?,
            user_defined: Specials::new(named(&[Kind::UserDefined]))?,
            space_prefix: !byte_level && meta.bool_opt("tokenizer.ggml.add_space_prefix")?.unwrap_or(true),
            add_bos: meta.bool_opt("tokenizer.ggml.add_bos_token")?.unwrap_or(add_bos_default),
            bos,
            stop,
        })
    }

    /// The ids of a text. With `parse_special`, control tokens written out in the text (`<|im_end|>`) become those
    /// tokens; without, they are encoded as the characters they are written with.
    pub fn encode(&self, text: &str, parse_special: bool) -> Result<Vec<u32>> {
        let specials = if parse_special { &self.special } else { &self.user_defined };
        let mut out = Vec::new();
        let mut done = 0;
        for found in specials.matcher.find_iter(text) {
            self.encode_plain(&text[done..found.start()], &mut out)?;
            out.push(specials.ids[found.pattern().as_usize()]);
            done = found.end();
        }
        self.encode_plain(&text[done..], &mut out)?;
        Ok(out)
    }

    /// The ids of a whole prompt: special tokens parsed, and the begin-of-text token in front if the model wants it.
    pub fn encode_prompt(&self, text: &str) -> Result<Vec<u32>> {
        let mut ids = self.encode(text, true)?;
        if let (true, Some(bos)) = (self.add_bos, self.bos)
            && ids.first() != Some(&bos)
        {
            ids.insert(0, bos);
        }
        Ok(ids)
    }

    fn encode_plain(&self, text: &str, out: &mut Vec<u32>) -> Result<()> {
        if text.is_empty() {
            return Ok(());
        }
        let fail = |e: tokenizers::Error| Diag::error("M013", format!("this text cannot be tokenized: {e}"));
        let Some(pre) = &self.pre else {
            let prefix = if self.space_prefix { "\u{2581}" } else { "" };
            let text = format!("{prefix}{}", text.replace(' ', "\u{2581}"));
            out.extend(self.bpe.tokenize(&text).map_err(fail)?.iter().map(|t| t.id));
            return Ok(());
        };
        let mut split = PreTokenizedString::from(text);
        pre.pre_tokenize(&mut split).map_err(fail)?;
        split.tokenize(|part| self.bpe.tokenize(part.get())).map_err(fail)?;
        let encoding = split.into_encoding(None, 0, OffsetType::None).map_err(fail)?;
        // A vocabulary that lacks a byte would drop it without a word.
        let bytes: usize = encoding.get_ids().iter().map(|id| self.token_bytes(*id).len()).sum();
        if bytes != text.len() {
            return Err(Diag::error("M013", "the vocabulary lacks some bytes of this text")
                .note(format!("{} bytes of text became tokens of {bytes} bytes", text.len()))
                .help("remove unusual characters from the text, or use a model with a full byte vocabulary"));
        }
        out.extend(encoding.get_ids());
        Ok(())
    }

    /// The text of tokens, control tokens left out; bytes that are not UTF-8 become U+FFFD.
    pub fn decode(&self, ids: &[u32]) -> String {
        let mut stream = self.stream();
        let mut text: String = ids.iter().map(|id| stream.push(*id)).collect();
        text.push_str(&stream.finish());
        text
    }

    /// Decodes token by token, giving characters out only when they are complete.
    pub fn stream(&self) -> Stream<'_> {
        Stream::new(self)
    }

    /// The bytes a token stands for; nothing for an id that does not exist.
    pub fn token_bytes(&self, id: u32) -> &[u8] {
        self.tokens.get(id as usize).map_or(&[], |(bytes, _)| bytes)
    }

    /// Whether a token is a control token, which stands for no text.
    pub fn is_control(&self, id: u32) -> bool {
        self.tokens.get(id as usize).is_some_and(|(_, kind)| *kind == Kind::Control)
    }

    /// Number of tokens.
    pub fn len(&self) -> usize {
        self.tokens.len()
    }

    /// Whether there are no tokens (never: such a vocabulary is refused).
    pub fn is_empty(&self) -> bool {
        self.tokens.is_empty()
    }

    /// The begin-of-text token, if the model has one.
    pub fn bos(&self) -> Option<u32> {
        self.bos
    }

    /// The tokens that end a generation.
    pub fn stop_tokens(&self) -> &BTreeSet<u32> {
        &self.stop
    }
}

impl Specials {
    fn new(named: Vec<(&str, u32)>) -> Result<Specials> {
        // Of two tokens with one spelling the first is meant.
        let mut first: BTreeMap<&str, u32> = BTreeMap::new();
        for (word, id) in named {
            first.entry(word).or_insert(id);
        }
        let matcher = AhoCorasick::builder().match_kind(MatchKind::LeftmostLongest).build(first.keys());
        let matcher = matcher.map_err(|e| {
            Diag::error("M013", format!("the special tokens cannot be searched for: {e}"))
                .help("convert the model again")
        })?;
        Ok(Specials { ids: first.into_values().collect(), matcher })
    }
}

fn kind(word: &str, token_type: i64) -> Kind {
    match token_type {
        2 => Kind::Unknown,
        3 => Kind::Control,
        4 => Kind::UserDefined,
        6 => pre::byte_token(word).map_or(Kind::Text, Kind::Byte),
        _ => Kind::Text,
    }
}

fn token_id(meta: &Meta, which: &str, count: usize) -> Result<Option<u32>> {
    let key = format!("tokenizer.ggml.{which}_token_id");
    match meta.uint_opt(&key)? {
        Some(id) if id >= count as u64 => {
            Err(Diag::error("M013", format!("`{key}` is {id}, beyond the {count} tokens"))
                .help("the vocabulary is damaged; convert the model again"))
        }
        id => Ok(id.map(|id| id as u32)),
    }
}
