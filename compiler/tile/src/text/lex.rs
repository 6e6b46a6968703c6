//! Tokens of the text form.

use girih_base::{Diag, Loc, Result};

/// One token.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Token {
    /// Identifier or keyword.
    Word(String),
    /// Quoted text, unescaped.
    Text(String),
    /// `%12`.
    Value(u32),
    /// Digits; no sign.
    Int(u64),
    /// A number with a point or exponent; no sign.
    Float(f64),
    /// `0x` and 16 hex digits: the bits of an f64.
    Bits(u64),
    /// `..`
    Range,
    /// Any other character.
    Mark(char),
}

/// A token and the line and column it starts at, both from 1.
#[derive(Clone, Debug)]
pub(super) struct Spanned {
    pub token: Token,
    pub line: u32,
    pub column: u32,
}

/// A syntax error at a position.
pub(super) fn error(line: u32, column: u32, message: impl Into<String>) -> Box<Diag> {
    Diag::error("T001", message).at(&Loc::new("<kernel>", line, column), "here")
}

/// Splits the text; `#` starts a comment that ends with the line.
pub(super) fn lex(text: &str) -> Result<Vec<Spanned>> {
    let mut out = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let mut rest = line;
        loop {
            rest = rest.trim_start();
            if rest.is_empty() || rest.starts_with('#') {
                break;
            }
            let (row, column) = (number as u32 + 1, (line.len() - rest.len()) as u32 + 1);
            let (token, used) = token(rest).map_err(|m| error(row, column, m))?;
            out.push(Spanned { token, line: row, column });
            rest = &rest[used..];
        }
    }
    Ok(out)
}

fn token(rest: &str) -> Result<(Token, usize), String> {
    let Some(first) = rest.chars().next() else { return Err("empty".into()) };
    let span = |ok: fn(char) -> bool, from: usize| rest[from..].find(|c| !ok(c)).map_or(rest.len(), |n| n + from);
    if first.is_ascii_alphabetic() || first == '_' {
        let n = span(|c| c.is_ascii_alphanumeric() || c == '_', 0);
        return Ok((Token::Word(rest[..n].into()), n));
    }
    if let Some(hex) = rest.strip_prefix("0x") {
        let n = hex.find(|c: char| !c.is_ascii_hexdigit()).unwrap_or(hex.len());
        return match u64::from_str_radix(&hex[..n], 16) {
            Ok(bits) if n == 16 => Ok((Token::Bits(bits), n + 2)),
            _ => Err("a float given by its bits has 16 hex digits".into()),
        };
    }
    if first.is_ascii_digit() {
        return number(rest);
    }
    match first {
        '"' => quoted(rest),
        '%' => {
            let n = span(|c| c.is_ascii_digit(), 1);
            let id = rest[1..n].parse().map_err(|_| "a value is `%` and a number".to_string())?;
            Ok((Token::Value(id), n))
        }
        '.' if rest.starts_with("..") => Ok((Token::Range, 2)),
        c => Ok((Token::Mark(c), c.len_utf8())),
    }
}

fn number(rest: &str) -> Result<(Token, usize), String> {
    let digits = |from: usize| rest[from..].find(|c: char| !c.is_ascii_digit()).map_or(rest.len(), |n| n + from);
    let whole = digits(0);
    let mut end = whole;
    if rest[end..].starts_with('.') && rest[end + 1..].starts_with(|c: char| c.is_ascii_digit()) {
        end = digits(end + 1);
    }
    if let Some(exponent) = rest[end..].strip_prefix('e') {
        let sign = exponent.starts_with('-') as usize;
        let stop = digits(end + 1 + sign);
        if stop > end + 1 + sign {
            end = stop;
        }
    }
    if end == whole {
        let value = rest[..end].parse().map_err(|_| "this integer is too large".to_string())?;
        return Ok((Token::Int(value), end));
    }
    let value = rest[..end].parse().map_err(|_| "not a number".to_string())?;
    Ok((Token::Float(value), end))
}

fn quoted(rest: &str) -> Result<(Token, usize), String> {
    let mut out = String::new();
    let mut chars = rest.char_indices().skip(1);
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Ok((Token::Text(out), at + 1)),
            '\\' => match chars.next() {
                Some((_, 'n')) => out.push('\n'),
                Some((_, 'u')) => {
                    let code: String = chars.by_ref().map(|(_, c)| c).skip(1).take_while(|c| *c != '}').collect();
                    let code = u32::from_str_radix(&code, 16).ok().and_then(char::from_u32);
                    out.push(code.ok_or("not a character code")?);
                }
                Some((_, c)) => out.push(c),
                None => break,
            },
            c => out.push(c),
        }
    }
    Err("the quoted text does not end on its line".into())
}
