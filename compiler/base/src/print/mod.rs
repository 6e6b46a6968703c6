//! Lines that kernels print: a text with places for values, and how a place shows its value.
//!
//! | in the text | is |
//! |---|---|
//! | `{}` | the next value in its natural form, a vector as `(a, b)` |
//! | `{%-8.3f}` | the next value by a conversion of C's `printf` (`d i u o x X c f F e E g G a A`), whose `*` take values before it |
//! | `{#}` | nothing: the next value, a u32, orders the lines of one workgroup |
//! | `{{`, `}}` | a brace |
//!
//! A vector of two u32 is one word of 64 bits for a conversion, low half first.

mod c;
#[cfg(test)]
mod tests;

use crate::codec::{self, Scalar};
use crate::{DType, dtype::Class};

/// Largest width and precision of a conversion.
pub const MOST: u32 = 1024;

/// A part of a printed line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// Text as it is.
    Text(String),
    /// A value in its natural form.
    Natural,
    /// A value by a conversion of C.
    Converted(Spec),
    /// A value that orders lines and is not shown.
    Key,
}

/// A conversion of C's `printf`: `%-08.3lld` without its text around.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spec {
    /// `-`: to the left.
    pub left: bool,
    /// `+`: a sign before positive numbers.
    pub plus: bool,
    /// A space before positive numbers.
    pub space: bool,
    /// `0`: zeros before the number.
    pub zero: bool,
    /// `#`: the other form.
    pub other: bool,
    /// Least number of characters.
    pub width: Count,
    /// Digits behind the point, significant digits, or least number of digits.
    pub precision: Count,
    /// Bits of an integer: 8, 16, 32 or 64.
    pub bits: u32,
    /// One of `d i u o x X c f F e E g G a A`.
    pub conversion: char,
}

/// A width or a precision.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Count {
    /// None is given.
    None,
    /// A number.
    Fixed(u32),
    /// `*`: the next value, an integer.
    Value,
}

/// One argument of a line: the type of its components, and their bits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Value {
    /// Type of a component.
    pub dtype: DType,
    /// The components' codes.
    pub bits: Vec<u64>,
}

/// The parts of a text.
///
/// # Errors
/// What is wrong with it.
pub fn parse(text: &str) -> Result<Vec<Piece>, String> {
    let mut pieces = Vec::new();
    let mut plain = String::new();
    let mut rest = text;
    while let Some(at) = rest.find(['{', '}']) {
        let (before, brace) = rest.split_at(at);
        plain.push_str(before);
        let doubled = brace.starts_with("{{") || brace.starts_with("}}");
        if doubled || brace.starts_with('}') {
            plain.push_str(&brace[..1]);
            rest = &brace[1 + doubled as usize..];
            continue;
        }
        let end = brace.find('}').ok_or_else(|| format!("`{brace}` has no closing brace"))?;
        if !plain.is_empty() {
            pieces.push(Piece::Text(std::mem::take(&mut plain)));
        }
        pieces.push(match &brace[1..end] {
            "" => Piece::Natural,
            "#" => Piece::Key,
            place => match place.strip_prefix('%').map(conversion) {
                Some(Some((spec, ""))) => Piece::Converted(spec),
                _ => return Err(format!("`{{{place}}}` is no place for a value")),
            },
        });
        rest = &brace[end + 1..];
    }
    plain.push_str(rest);
    if !plain.is_empty() {
        pieces.push(Piece::Text(plain));
    }
    Ok(pieces)
}

/// Text with its braces doubled, as part of a line's text.
pub fn escape(text: &str) -> String {
    text.replace('{', "{{").replace('}', "}}")
}

/// The conversion that a text after its `%` starts with, and the rest.
pub fn conversion(text: &str) -> Option<(Spec, &str)> {
    let mut spec = Spec {
        left: false,
        plus: false,
        space: false,
        zero: false,
        other: false,
        width: Count::None,
        precision: Count::None,
        bits: 32,
        conversion: 'd',
    };
    let mut rest = text;
    loop {
        match rest.chars().next()? {
            '-' => spec.left = true,
            '+' => spec.plus = true,
            ' ' => spec.space = true,
            '0' => spec.zero = true,
            '#' => spec.other = true,
            _ => break,
        }
        rest = &rest[1..];
    }
    (spec.width, rest) = count(rest)?;
    if let Some(after) = rest.strip_prefix('.') {
        (spec.precision, rest) = count(after)?;
        if spec.precision == Count::None {
            spec.precision = Count::Fixed(0);
        }
    }
    for (name, bits) in [("hh", 8), ("h", 16), ("ll", 64), ("l", 64), ("L", 64), ("j", 64), ("z", 64), ("t", 64)] {
        if let Some(after) = rest.strip_prefix(name) {
            (spec.bits, rest) = (bits, after);
            break;
        }
    }
    spec.conversion = rest.chars().next().filter(|c| "diuoxXcfFeEgGaA".contains(*c))?;
    Some((spec, &rest[1..]))
}

fn count(text: &str) -> Option<(Count, &str)> {
    if let Some(rest) = text.strip_prefix('*') {
        return Some((Count::Value, rest));
    }
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    match &text[..end] {
        "" => Some((Count::None, text)),
        digits => digits.parse().ok().filter(|n| *n <= MOST).map(|n| (Count::Fixed(n), &text[end..])),
    }
}

impl Spec {
    /// Whether it shows a float; else an integer or a character.
    pub fn is_float(&self) -> bool {
        "fFeEgGaA".contains(self.conversion)
    }

    /// Values it takes: its own, and one for each `*`.
    pub fn values(&self) -> usize {
        1 + [self.width, self.precision].iter().filter(|c| **c == Count::Value).count()
    }
}

impl Piece {
    /// Values it takes.
    pub fn values(&self) -> usize {
        match self {
            Piece::Text(_) => 0,
            Piece::Natural | Piece::Key => 1,
            Piece::Converted(spec) => spec.values(),
        }
    }
}

/// The line, and its keys. Values that are missing show as `?`.
pub fn line(pieces: &[Piece], values: &[Value]) -> (String, Vec<u32>) {
    let (mut out, mut keys) = (String::new(), Vec::new());
    let mut values = values.iter();
    for piece in pieces {
        match piece {
            Piece::Text(text) => out.push_str(text),
            Piece::Key => keys.push(values.next().map_or(0, |v| word(v) as u32)),
            Piece::Natural => match values.next() {
                Some(v) => out.push_str(&natural(v)),
                None => out.push('?'),
            },
            Piece::Converted(spec) => {
                let mut count = |c: Count| match c {
                    Count::None => None,
                    Count::Fixed(n) => Some(n as i64),
                    Count::Value => values.next().map(|v| (word(v) as i32 as i64).clamp(-(MOST as i64), MOST as i64)),
                };
                let (width, precision) = (count(spec.width), count(spec.precision));
                match values.next() {
                    Some(v) => out.push_str(&c::convert(spec, width, precision, v)),
                    None => out.push('?'),
                }
            }
        }
    }
    (out, keys)
}

/// A value as a person writes it.
pub fn natural(v: &Value) -> String {
    let parts: Vec<String> = v.bits.iter().map(|b| component(v.dtype, *b)).collect();
    if parts.len() == 1 { parts.concat() } else { format!("({})", parts.join(", ")) }
}

fn component(dtype: DType, bits: u64) -> String {
    match (dtype.class(), codec::decode(bits, dtype)) {
        (Class::Bool, _) => (bits != 0).to_string(),
        (_, Scalar::Float(_)) if dtype == DType::F32 => f32::from_bits(bits as u32).to_string(),
        (_, Scalar::Float(v)) => v.to_string(),
        (_, Scalar::Int(v)) => v.to_string(),
    }
}

/// The bits of a value as one word, a pair of u32 joined.
fn word(v: &Value) -> u64 {
    match v.bits[..] {
        [low, high] => low & 0xffff_ffff | high << 32,
        _ => v.bits.first().copied().unwrap_or(0),
    }
}
