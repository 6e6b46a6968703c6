//! How names, literals, symbols and locations are written.

use crate::{Literal, Loc, Symbol};
use std::fmt::Write;

/// A name as written: bare when it is an identifier, quoted otherwise.
pub fn word(name: &str) -> String {
    let mut chars = name.chars();
    let bare = chars.next().is_some_and(|c| c.is_ascii_alphabetic() || c == '_')
        && chars.all(|c| c.is_ascii_alphanumeric() || c == '_');
    if bare { name.into() } else { quoted(name) }
}

/// Any text in quotes, on one line.
pub fn quoted(text: &str) -> String {
    format!("\"{}\"", escaped(text).replace('"', "\\\""))
}

/// Any text on one line, without quotes (as a remark is written).
pub fn escaped(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            c if c.is_control() => out.push_str(&c.escape_unicode().to_string()),
            c => out.push(c),
        }
    }
    out
}

/// A literal: shortest decimal digits that give the number back, and bits for what has no digits.
pub fn literal(value: Literal) -> String {
    match value {
        Literal::Int(i) => i.to_string(),
        Literal::Float(bits) => {
            let v = f64::from_bits(bits);
            if v.is_finite() { format!("{v:?}") } else { format!("0x{bits:016x}") }
        }
    }
}

/// Items with commas between them.
pub fn list<T>(items: &[T], show: impl Fn(&T) -> String) -> String {
    items.iter().map(show).collect::<Vec<_>>().join(", ")
}

/// Declarations of symbols, one to a line, each symbol once and in order.
pub fn symbols(mut symbols: Vec<Symbol>) -> String {
    symbols.sort();
    symbols.dedup();
    let mut out = String::new();
    for s in symbols {
        let _ = write!(out, "sym {} {}..{}", word(&s.name), s.min, s.max);
        if s.multiple_of != 1 {
            let _ = write!(out, " multiple {}", s.multiple_of);
        }
        out.push('\n');
    }
    out
}

/// ` @ "file":line:column` for the position and each call site it was inlined at; nothing when it is unknown.
pub fn loc(loc: &Loc) -> String {
    let mut out = String::new();
    let mut at = Some(loc);
    while let Some(l) = at {
        if let Some((file, line, column)) = l.position() {
            let _ = write!(out, " @ {}:{line}:{column}", quoted(file));
        }
        at = l.call_site();
    }
    out
}
