//! Decoding as tokens arrive: a character may be spread over several tokens.

use super::Tokenizer;

/// Turns tokens into text one by one. Incomplete UTF-8 is held back until it is complete.
#[derive(Debug)]
pub struct Stream<'a> {
    tokenizer: &'a Tokenizer,
    held: Vec<u8>,
    started: bool,
}

impl<'a> Stream<'a> {
    pub(super) fn new(tokenizer: &'a Tokenizer) -> Stream<'a> {
        Stream { tokenizer, held: Vec::new(), started: false }
    }

    /// The characters that this token completes; none for control tokens.
    pub fn push(&mut self, id: u32) -> String {
        if self.tokenizer.is_control(id) {
            return String::new();
        }
        let mut bytes = self.tokenizer.token_bytes(id);
        // Encoding put a space in front of the text; it is not part of it.
        if !self.started && self.tokenizer.space_prefix {
            bytes = bytes.strip_prefix(b" ").unwrap_or(bytes);
        }
        self.started = true;
        self.held.extend(bytes);
        self.take(false)
    }

    /// What was held back: at the end of the text an incomplete character is U+FFFD.
    pub fn finish(&mut self) -> String {
        self.take(true)
    }

    fn take(&mut self, all: bool) -> String {
        let mut out = String::new();
        let mut rest = &self.held[..];
        loop {
            match std::str::from_utf8(rest) {
                Ok(text) => {
                    out.push_str(text);
                    rest = &[];
                    break;
                }
                Err(e) => {
                    let (good, bad) = rest.split_at(e.valid_up_to());
                    out.push_str(&String::from_utf8_lossy(good));
                    rest = bad;
                    match e.error_len() {
                        Some(n) => rest = &bad[n..],
                        None if all => rest = &[],
                        None => break,
                    }
                    out.push('\u{fffd}');
                }
            }
        }
        self.held = rest.to_vec();
        out
    }
}
