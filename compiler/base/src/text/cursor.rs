//! A position in a sequence of tokens, and the pieces every kernel's grammar is made of.

use super::lex::{Spanned, Token, lex};
use crate::{DType, Diag, Literal, Loc, Result, ScalarOp, Symbol};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The tokens of a text, read from the front. Its errors carry the code of the text form and the token's position.
#[derive(Debug)]
pub struct Cursor {
    tokens: Vec<Spanned>,
    at: usize,
    code: &'static str,
    symbols: BTreeMap<Arc<str>, Symbol>,
}

impl Cursor {
    /// The tokens of `text`; errors get `code`.
    ///
    /// # Errors
    /// Text that is not made of tokens.
    pub fn new(text: &str, code: &'static str) -> Result<Cursor> {
        match lex(text) {
            Ok(tokens) => Ok(Cursor { tokens, at: 0, code, symbols: BTreeMap::new() }),
            Err((line, column, message)) => Err(error(code, (line, column), message)),
        }
    }

    /// The next token.
    pub fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.at).map(|t| &t.token)
    }

    /// The token after the next one.
    pub fn peek_second(&self) -> Option<&Token> {
        self.tokens.get(self.at + 1).map(|t| &t.token)
    }

    /// Takes the next token.
    #[allow(clippy::should_implement_trait, reason = "a cursor can also look ahead, an iterator cannot")]
    pub fn next(&mut self) -> Option<Token> {
        let token = self.peek().cloned();
        self.at += 1;
        token
    }

    /// Whether the next token is this character.
    pub fn peek_mark(&self, mark: char) -> bool {
        self.peek() == Some(&Token::Mark(mark))
    }

    /// Takes the next token if it is this character.
    pub fn accept(&mut self, mark: char) -> bool {
        let here = self.peek_mark(mark);
        self.at += here as usize;
        here
    }

    /// Takes the next token if it is this word.
    pub fn accept_word(&mut self, word: &str) -> bool {
        let here = matches!(self.peek(), Some(Token::Word(w)) if w == word);
        self.at += here as usize;
        here
    }

    /// Takes the next token if it is quoted text.
    pub fn accept_text(&mut self) -> Option<String> {
        let Some(Token::Text(text)) = self.peek() else { return None };
        let text = text.clone();
        self.at += 1;
        Some(text)
    }

    /// Takes this character.
    ///
    /// # Errors
    /// Another token, as for every method below.
    pub fn expect(&mut self, mark: char) -> Result<()> {
        if self.accept(mark) { Ok(()) } else { Err(self.error(format!("expected `{mark}`"))) }
    }

    /// Takes this word.
    ///
    /// # Errors
    /// Another token.
    pub fn keyword(&mut self, word: &str) -> Result<()> {
        if self.accept_word(word) { Ok(()) } else { Err(self.error(format!("expected `{word}`"))) }
    }

    /// Takes `..`.
    ///
    /// # Errors
    /// Another token.
    pub fn range(&mut self) -> Result<()> {
        if self.peek() == Some(&Token::Range) {
            self.at += 1;
            return Ok(());
        }
        Err(self.error("expected `..`"))
    }

    /// Nothing is left.
    ///
    /// # Errors
    /// A further token.
    pub fn end(&self) -> Result<()> {
        if self.at < self.tokens.len() { Err(self.error("expected the end of the kernel")) } else { Ok(()) }
    }

    /// A word.
    ///
    /// # Errors
    /// Another token.
    pub fn identifier(&mut self) -> Result<String> {
        let at = self.position();
        match self.next() {
            Some(Token::Word(name)) => Ok(name),
            _ => Err(self.error_at(at, "expected a word")),
        }
    }

    /// A word or quoted text.
    ///
    /// # Errors
    /// Another token.
    pub fn name(&mut self) -> Result<String> {
        let at = self.position();
        match self.next() {
            Some(Token::Word(name) | Token::Text(name)) => Ok(name),
            _ => Err(self.error_at(at, "expected a name")),
        }
    }

    /// The number of a `%7`.
    ///
    /// # Errors
    /// Another token.
    pub fn value(&mut self) -> Result<u32> {
        let at = self.position();
        match self.next() {
            Some(Token::Value(id)) => Ok(id),
            _ => Err(self.error_at(at, "expected a value")),
        }
    }

    /// A number with its sign.
    ///
    /// # Errors
    /// Another token, or an integer beyond i64.
    pub fn literal(&mut self) -> Result<Literal> {
        let (at, negative) = (self.position(), self.accept('-'));
        match self.next() {
            Some(Token::Float(v)) => Ok(Literal::float(if negative { -v } else { v })),
            Some(Token::Bits(bits)) if !negative => Ok(Literal::Float(bits)),
            Some(Token::Int(v)) => {
                let v = if negative { 0i64.checked_sub_unsigned(v) } else { i64::try_from(v).ok() };
                v.map(Literal::Int).ok_or_else(|| self.error_at(at, "this integer is too large"))
            }
            _ => Err(self.error_at(at, "expected a number")),
        }
    }

    /// An integer with its sign.
    ///
    /// # Errors
    /// Another token, or an integer beyond i64.
    pub fn integer(&mut self) -> Result<i64> {
        let at = self.position();
        match self.literal()? {
            Literal::Int(v) => Ok(v),
            Literal::Float(_) => Err(self.error_at(at, "expected an integer")),
        }
    }

    /// An integer that fits u32.
    ///
    /// # Errors
    /// Anything else.
    pub fn small(&mut self) -> Result<u32> {
        let at = self.position();
        u32::try_from(self.integer()?).map_err(|_| self.error_at(at, "expected a number from 0 to 4294967295"))
    }

    /// The name of a dtype.
    ///
    /// # Errors
    /// Another word.
    pub fn dtype(&mut self) -> Result<DType> {
        let (at, name) = (self.position(), self.identifier()?);
        DType::from_name(&name).ok_or_else(|| self.error_at(at, format!("no dtype `{name}`")))
    }

    /// The scalar operation of a name read at `at`.
    ///
    /// # Errors
    /// No such operation.
    pub fn scalar_op(&self, at: (u32, u32), name: &str) -> Result<ScalarOp> {
        ScalarOp::from_name(name).ok_or_else(|| self.error_at(at, format!("no operation `{name}`")))
    }

    /// Items with commas between them.
    ///
    /// # Errors
    /// Those of the items.
    pub fn list<T>(&mut self, item: impl Fn(&mut Cursor) -> Result<T>) -> Result<Vec<T>> {
        let mut out = vec![item(self)?];
        while self.accept(',') {
            out.push(item(self)?);
        }
        Ok(out)
    }

    /// Items with commas between them up to a mark, which is taken.
    ///
    /// # Errors
    /// Those of the items, or a missing comma.
    pub fn until<T>(&mut self, end: char, item: impl Fn(&mut Cursor) -> Result<T>) -> Result<Vec<T>> {
        let mut out = Vec::new();
        while !self.accept(end) {
            if !out.is_empty() {
                self.expect(',')?;
            }
            out.push(item(self)?);
        }
        Ok(out)
    }

    /// Locations after a statement, innermost first; unknown if there is none.
    ///
    /// # Errors
    /// A malformed one.
    pub fn loc(&mut self) -> Result<Loc> {
        let mut sites = Vec::new();
        while self.accept('@') {
            let at = self.position();
            let Some(Token::Text(file)) = self.next() else {
                return Err(self.error_at(at, "expected a quoted file name"));
            };
            self.expect(':')?;
            let line = self.small()?;
            self.expect(':')?;
            sites.push(Loc::new(file, line, self.small()?));
        }
        let outermost = sites.pop().unwrap_or_default();
        Ok(sites.iter().rev().fold(outermost, |site, inner| inner.inlined_at(&site)))
    }

    /// Declarations of symbols, as many as there are; [`Cursor::dim`] knows them afterwards.
    ///
    /// # Errors
    /// A malformed one, or a symbol declared twice.
    pub fn symbols(&mut self) -> Result<()> {
        while self.accept_word("sym") {
            let at = self.position();
            let name: Arc<str> = self.name()?.into();
            let min = self.integer()?;
            self.range()?;
            let max = self.integer()?;
            let multiple_of = if self.accept_word("multiple") { self.integer()? } else { 1 };
            if min > max || multiple_of < 1 {
                return Err(self.error_at(at, format!("the symbol `{name}` has no values")));
            }
            let symbol = Symbol { name: name.clone(), min, max, multiple_of };
            if self.symbols.insert(name.clone(), symbol).is_some() {
                return Err(self.error_at(at, format!("symbol `{name}` is declared twice")));
            }
        }
        Ok(())
    }

    /// A declared symbol.
    pub fn symbol(&self, name: &str) -> Option<&Symbol> {
        self.symbols.get(name)
    }

    /// Line and column of the next token, or those of the last one at the end.
    pub fn position(&self) -> (u32, u32) {
        match self.tokens.get(self.at).or(self.tokens.last()) {
            Some(t) => (t.line, t.column),
            None => (1, 1),
        }
    }

    /// An error at the next token.
    pub fn error(&self, message: impl Into<String>) -> Box<Diag> {
        self.error_at(self.position(), message)
    }

    /// An error at a position.
    pub fn error_at(&self, position: (u32, u32), message: impl Into<String>) -> Box<Diag> {
        error(self.code, position, message)
    }
}

fn error(code: &'static str, (line, column): (u32, u32), message: impl Into<String>) -> Box<Diag> {
    Diag::error(code, message).at(&Loc::new("<kernel>", line, column), "here")
}
