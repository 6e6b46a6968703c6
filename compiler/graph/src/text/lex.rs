//! Text to tokens, with line and column.

use girih_base::{Diag, Loc, Result};
use std::sync::Arc;

/// One token.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Token {
    /// A word: `add`, `n`, `f32`.
    Word(String),
    /// A symbol name in backticks.
    Symbol(String),
    /// `%7`.
    Value(u64),
    /// `@label`.
    Label(String),
    /// Digits.
    Int(u128),
    /// Digits with a point or an exponent.
    Float(f64),
    /// Text in quotes.
    Text(String),
    /// `0x` and an even number of hex digits.
    Bytes(Vec<u8>),
    /// `{ } ( ) [ ] , : = * + - ..=`.
    Mark(&'static str),
    /// End of the text.
    End,
}

/// A token and where it stands.
#[derive(Clone, Debug)]
pub(super) struct Spanned {
    pub(super) token: Token,
    pub(super) line: u32,
    pub(super) column: u32,
}

const MARKS: &[&str] = &["..=", "{", "}", "(", ")", "[", "]", ",", ":", "=", "*", "+", "-"];

/// All tokens of a text. `//` starts a comment.
pub(super) fn lex(text: &str, file: &Arc<str>) -> Result<Vec<Spanned>> {
    let mut lexer = Lexer { rest: text, line: 1, column: 1, file };
    let mut out = Vec::new();
    loop {
        lexer.skip_space();
        let (line, column) = (lexer.line, lexer.column);
        let token = lexer.next()?;
        let end = token == Token::End;
        out.push(Spanned { token, line, column });
        if end {
            return Ok(out);
        }
    }
}

struct Lexer<'a> {
    rest: &'a str,
    line: u32,
    column: u32,
    file: &'a Arc<str>,
}

impl<'a> Lexer<'a> {
    fn error(&self, message: impl Into<String>) -> Box<Diag> {
        Diag::error("G301", message).at(&Loc::new(self.file.clone(), self.line, self.column), "here")
    }

    fn peek(&self) -> Option<char> {
        self.rest.chars().next()
    }

    fn bump(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.rest = &self.rest[c.len_utf8()..];
        if c == '\n' {
            (self.line, self.column) = (self.line.saturating_add(1), 1);
        } else {
            self.column = self.column.saturating_add(1);
        }
        Some(c)
    }

    fn take_while(&mut self, f: impl Fn(char) -> bool) -> &'a str {
        let all = self.rest;
        while self.peek().is_some_and(&f) {
            self.bump();
        }
        &all[..all.len() - self.rest.len()]
    }

    fn skip_space(&mut self) {
        loop {
            self.take_while(char::is_whitespace);
            if !self.rest.starts_with("//") {
                return;
            }
            self.take_while(|c| c != '\n');
        }
    }

    fn next(&mut self) -> Result<Token> {
        let Some(c) = self.peek() else { return Ok(Token::End) };
        match c {
            'a'..='z' | 'A'..='Z' | '_' => Ok(Token::Word(self.take_while(is_word).into())),
            '0'..='9' => self.number(),
            '"' | '`' => {
                self.bump();
                let text = self.quoted(c)?;
                Ok(if c == '"' { Token::Text(text) } else { Token::Symbol(text) })
            }
            '%' | '@' => {
                self.bump();
                let word = self.take_while(is_word);
                match (c, word.parse()) {
                    ('%', Ok(n)) => Ok(Token::Value(n)),
                    ('@', _) if !word.is_empty() => Ok(Token::Label(word.into())),
                    _ => Err(self.error(format!("`{c}` without a name"))),
                }
            }
            _ => match MARKS.iter().find(|m| self.rest.starts_with(**m)) {
                Some(mark) => {
                    mark.chars().for_each(|_| {
                        self.bump();
                    });
                    Ok(Token::Mark(mark))
                }
                None => Err(self.error(format!("unexpected {c:?}"))),
            },
        }
    }

    fn number(&mut self) -> Result<Token> {
        if let Some(hex) = self.rest.strip_prefix("0x") {
            let digits = hex.len() - hex.trim_start_matches(|c: char| c.is_ascii_hexdigit()).len();
            let bytes = hex.as_bytes()[..digits].chunks(2);
            self.rest = &hex[digits..];
            self.column = self.column.saturating_add(digits as u32 + 2);
            let byte = |pair: &[u8]| match pair {
                [high, low] => Some((nibble(*high)? << 4) | nibble(*low)?),
                _ => None,
            };
            return match bytes.map(byte).collect() {
                Some(bytes) => Ok(Token::Bytes(bytes)),
                None => Err(self.error("hex data needs two digits per byte")),
            };
        }
        let start = self.rest;
        self.take_while(|c| c.is_ascii_digit());
        // `1..=4` is a range, not the float `1.`.
        let point = self.rest.starts_with('.') && !self.rest.starts_with("..");
        if point {
            self.bump();
            self.take_while(|c| c.is_ascii_digit());
        }
        let exponent = self.rest.starts_with(['e', 'E']);
        if exponent {
            self.bump();
            if self.rest.starts_with(['-', '+']) {
                self.bump();
            }
            self.take_while(|c| c.is_ascii_digit());
        }
        let digits = &start[..start.len() - self.rest.len()];
        let token = match point || exponent {
            true => digits.parse().ok().map(Token::Float),
            false => digits.parse().ok().map(Token::Int),
        };
        token.ok_or_else(|| self.error(format!("`{digits}` is not a number, or too large")))
    }

    /// The rest of a quoted text, with Rust's escapes.
    fn quoted(&mut self, quote: char) -> Result<String> {
        let mut out = String::new();
        loop {
            match self.bump() {
                None => return Err(self.error(format!("the text ends before its closing {quote}"))),
                Some(c) if c == quote => return Ok(out),
                Some('\\') => out.push(self.escape()?),
                Some(c) => out.push(c),
            }
        }
    }

    fn escape(&mut self) -> Result<char> {
        match self.bump() {
            Some('n') => Ok('\n'),
            Some('r') => Ok('\r'),
            Some('t') => Ok('\t'),
            Some('0') => Ok('\0'),
            Some(c @ ('"' | '\'' | '\\' | '`')) => Ok(c),
            Some('u') if self.bump() == Some('{') => {
                let code = u32::from_str_radix(self.take_while(|c| c.is_ascii_hexdigit()), 16).ok();
                match (code.and_then(char::from_u32), self.bump()) {
                    (Some(c), Some('}')) => Ok(c),
                    _ => Err(self.error("`\\u{..}` needs the code of a character")),
                }
            }
            _ => Err(self.error("unknown escape")),
        }
    }
}

fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

fn nibble(digit: u8) -> Option<u8> {
    (digit as char).to_digit(16).map(|d| d as u8)
}
