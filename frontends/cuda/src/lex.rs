//! Text to tokens: lines joined by backslashes, comments dropped (those on lines of their own are remembered as remarks).

use crate::source::{File, Kind, Sources, Token};
use girih_base::{Diag, Result};
use std::sync::Arc;

/// Largest file that is read.
const MOST_BYTES: usize = 16 << 20;

/// Operators, longest first. `>>` is left to the parser, which knows template brackets.
const OPERATORS: &[&str] = &[
    "<<=", "...", "->*", "<<", "->", "++", "--", "&&", "||", "==", "!=", "<=", ">=", "+=", "-=", "*=", "/=", "%=",
    "&=", "|=", "^=", "::", "##",
];

struct Lexer<'a> {
    text: &'a [u8],
    at: usize,
    line: u32,
    start: usize,
}

impl Lexer<'_> {
    /// Skips backslash-newline pairs.
    fn splice(&mut self) {
        loop {
            let rest = &self.text[self.at.min(self.text.len())..];
            let skip = match rest {
                [b'\\', b'\n', ..] => 2,
                [b'\\', b'\r', b'\n', ..] => 3,
                _ => return,
            };
            self.at += skip;
            self.line += 1;
            self.start = self.at;
        }
    }

    fn peek(&mut self) -> u8 {
        self.splice();
        self.text.get(self.at).copied().unwrap_or(0)
    }

    fn bump(&mut self) -> u8 {
        let c = self.peek();
        if self.at < self.text.len() {
            self.at += 1;
            if c == b'\n' {
                self.line += 1;
                self.start = self.at;
            }
        }
        c
    }

    fn done(&mut self) -> bool {
        self.splice();
        self.at >= self.text.len()
    }

    fn starts(&self, text: &str) -> bool {
        self.text[self.at.min(self.text.len())..].starts_with(text.as_bytes())
    }
}

/// Reads a file into tokens and adds it to the sources.
///
/// # Errors
/// `U001` for a comment, string or character that does not end, or a file that is too large.
pub fn lex(sources: &mut Sources, name: &str, text: &str) -> Result<Vec<Token>> {
    let file = sources.files.len() as u32;
    sources.files.push(File { name: name.into(), text: text.into(), remarks: Vec::new() });
    if text.len() > MOST_BYTES {
        return Err(Diag::error("U006", format!("`{name}` has {} bytes", text.len())));
    }
    let mut l = Lexer { text: text.as_bytes(), at: 0, line: 1, start: 0 };
    let (mut out, mut first, mut space) = (Vec::new(), true, false);
    let mut remarks = Vec::new();
    while !l.done() {
        let c = l.peek();
        let (line, column) = (l.line, (l.at - l.start) as u32 + 1);
        if c == b'\n' {
            l.bump();
            (first, space) = (true, false);
            continue;
        }
        if c.is_ascii_whitespace() || c == 0x0b || c == 0xef || c == 0xbb || c == 0xbf {
            l.bump();
            space = true;
            continue;
        }
        if l.starts("//") || l.starts("/*") {
            let from = l.at;
            let block = l.starts("/*");
            l.bump();
            l.bump();
            let mut closed = !block;
            while !l.done() {
                if block && l.peek() == b'*' && l.starts("*/") {
                    l.bump();
                    l.bump();
                    closed = true;
                    break;
                }
                if !block && l.peek() == b'\n' {
                    break;
                }
                l.bump();
            }
            if !closed {
                let at = sources.spot(file, line, column);
                return Err(sources.error("U001", at, "this comment does not end", "starts here"));
            }
            if first && let Ok(body) = std::str::from_utf8(&l.text[from..l.at]) {
                for (i, row) in body.lines().enumerate() {
                    let row = row.trim().trim_start_matches(['/', '*']).trim_end_matches(['/', '*']).trim();
                    if !row.is_empty() {
                        remarks.push((line + i as u32, Arc::from(row)));
                    }
                }
            }
            space = true;
            continue;
        }
        let mut word: Vec<u8> = Vec::new();
        let kind = if c.is_ascii_alphabetic() || c == b'_' || c >= 0x80 || c == b'$' {
            while {
                let c = l.peek();
                c.is_ascii_alphanumeric() || c == b'_' || c >= 0x80 || c == b'$'
            } && !l.done()
            {
                word.push(l.bump());
            }
            Kind::Name
        } else if c.is_ascii_digit() || (c == b'.' && l.text.get(l.at + 1).is_some_and(u8::is_ascii_digit)) {
            loop {
                let c = l.peek();
                let sign = (c == b'+' || c == b'-')
                    && (word.last().is_some_and(|e| matches!(e, b'p' | b'P'))
                        || (word.last().is_some_and(|e| matches!(e, b'e' | b'E'))
                            && !(word.starts_with(b"0x") || word.starts_with(b"0X"))));
                let tick = c == b'\'' && l.text.get(l.at + 1).is_some_and(u8::is_ascii_alphanumeric);
                if !(c.is_ascii_alphanumeric() || c == b'.' || c == b'_' || sign || tick) || l.done() {
                    break;
                }
                l.bump();
                if !tick {
                    word.push(c);
                }
            }
            Kind::Number
        } else if c == b'"' || c == b'\'' {
            word.push(l.bump());
            loop {
                if l.done() || l.peek() == b'\n' {
                    let at = sources.spot(file, line, column);
                    return Err(sources.error("U001", at, "this string or character does not end", "starts here"));
                }
                let d = l.bump();
                word.push(d);
                if d == b'\\' {
                    word.push(l.bump());
                } else if d == c {
                    break;
                }
            }
            if c == b'"' { Kind::Text } else { Kind::Char }
        } else {
            let op = OPERATORS.iter().find(|o| l.starts(o));
            let n = op.map_or(1, |o| o.len());
            (0..n).for_each(|_| word.push(l.bump()));
            Kind::Punct
        };
        let mut kind = kind;
        // Raw strings: R"tag( ... )tag".
        if kind == Kind::Name && word.ends_with(b"R") && word.len() <= 3 && l.peek() == b'"' {
            word.push(l.bump());
            let mut tag = vec![b')'];
            while !l.done() && l.peek() != b'(' && tag.len() < 18 {
                tag.push(l.bump());
            }
            tag.push(b'"');
            let closing = String::from_utf8_lossy(&tag).into_owned();
            while !l.done() && !l.starts(&closing) {
                word.push(l.bump());
            }
            (0..tag.len()).for_each(|_| {
                l.bump();
            });
            word = b"\"\"".to_vec();
            kind = Kind::Text;
        }
        let at = sources.spot(file, line, column);
        let text = String::from_utf8_lossy(&word);
        out.push(Token { kind, text: text.into(), at, first, space, painted: false });
        (first, space) = (false, false);
    }
    sources.files[file as usize].remarks = remarks;
    Ok(out)
}
