//! One token after the other, and the errors that name them.

use super::Parser;
use crate::text::lex::Token;
use crate::text::print::RESERVED;
use girih_base::{Diag, Loc, Result};

impl Parser {
    pub(super) fn peek(&self) -> &Token {
        self.tokens.get(self.at).map_or(&Token::End, |t| &t.token)
    }

    pub(super) fn peek_after(&self) -> &Token {
        self.tokens.get(self.at + 1).map_or(&Token::End, |t| &t.token)
    }

    pub(super) fn eat(&mut self, mark: &'static str) -> bool {
        let found = matches!(self.peek(), Token::Mark(m) if *m == mark);
        self.at += found as usize;
        found
    }

    pub(super) fn eat_word(&mut self, word: &str) -> bool {
        let found = matches!(self.peek(), Token::Word(w) if w == word);
        self.at += found as usize;
        found
    }

    pub(super) fn expect(&mut self, mark: &'static str) -> Result<()> {
        if self.eat(mark) { Ok(()) } else { Err(self.expected(&format!("`{mark}`"))) }
    }

    pub(super) fn expect_word(&mut self, word: &str) -> Result<()> {
        if self.eat_word(word) { Ok(()) } else { Err(self.expected(&format!("`{word}`"))) }
    }

    pub(super) fn word(&mut self, what: &str) -> Result<String> {
        match self.peek().clone() {
            Token::Word(w) => {
                self.at += 1;
                Ok(w)
            }
            _ => Err(self.expected(what)),
        }
    }

    pub(super) fn symbol_name(&mut self) -> Result<String> {
        match self.peek().clone() {
            Token::Word(w) if !RESERVED.contains(&w.as_str()) => {
                self.at += 1;
                Ok(w)
            }
            Token::Symbol(s) => {
                self.at += 1;
                Ok(s)
            }
            _ => Err(self.expected("a symbol")),
        }
    }

    pub(super) fn label(&mut self) -> Result<String> {
        match self.peek().clone() {
            Token::Label(l) => {
                self.at += 1;
                Ok(l)
            }
            _ => Err(self.expected("an @label")),
        }
    }

    pub(super) fn text(&mut self) -> Result<String> {
        match self.peek().clone() {
            Token::Text(t) => {
                self.at += 1;
                Ok(t)
            }
            _ => Err(self.expected("a text in quotes")),
        }
    }

    pub(super) fn unsigned(&mut self, what: &str) -> Result<u128> {
        match *self.peek() {
            Token::Int(i) => {
                self.at += 1;
                Ok(i)
            }
            _ => Err(self.expected(what)),
        }
    }

    pub(super) fn signed(&mut self, what: &str) -> Result<i64> {
        let negative = self.eat("-");
        let i = self.unsigned(what)?;
        let value = if negative { 0i128.checked_sub_unsigned(i) } else { i128::try_from(i).ok() };
        value.and_then(|v| i64::try_from(v).ok()).ok_or_else(|| self.error(format!("{what} is out of range")))
    }

    pub(super) fn here(&self) -> Loc {
        let last = self.tokens.get(self.at).or(self.tokens.last());
        last.map_or(Loc::unknown(), |t| Loc::new(self.file.clone(), t.line, t.column))
    }

    pub(super) fn error(&self, message: impl Into<String>) -> Box<Diag> {
        Diag::error("G301", message).at(&self.here(), "here")
    }

    pub(super) fn expected(&self, what: &str) -> Box<Diag> {
        self.error(format!("expected {what}, found {}", describe(self.peek())))
    }

    pub(super) fn refused(&self, at: &Loc, message: impl Into<String>) -> Box<Diag> {
        Diag::error("G301", message).at(at, "in this line")
    }
}

fn describe(token: &Token) -> String {
    match token {
        Token::Word(w) => format!("`{w}`"),
        Token::Symbol(s) => format!("the symbol `{s}`"),
        Token::Value(n) => format!("`%{n}`"),
        Token::Label(l) => format!("`@{l}`"),
        Token::Int(i) => format!("`{i}`"),
        Token::Float(v) => format!("`{v:?}`"),
        Token::Text(_) => "a text".into(),
        Token::Bytes(_) => "hex data".into(),
        Token::Mark(m) => format!("`{m}`"),
        Token::End => "the end".into(),
    }
}
