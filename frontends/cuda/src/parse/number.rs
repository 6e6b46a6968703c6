//! Literals.

use crate::types::Scalar;

/// Value and type of an integer literal (C++17 [lex.icon]).
pub fn integer(text: &str) -> Option<(u64, Scalar)> {
    // `'` may stand between digits.
    let lower = text.to_ascii_lowercase().replace('\'', "");
    let body = lower.trim_end_matches(['u', 'l', 'z']);
    let suffix = &lower[body.len()..];
    // `z` and `u` may be digits of nothing; hexadecimal digits stop before them.
    let (digits, radix) = match body {
        b if b.starts_with("0x") => (&b[2..], 16),
        b if b.starts_with("0b") => (&b[2..], 2),
        b if b.len() > 1 && b.starts_with('0') => (&b[1..], 8),
        b => (b, 10),
    };
    let value = u64::from_str_radix(digits, radix).ok()?;
    let unsigned = suffix.contains('u');
    let longs = suffix.matches('l').count();
    let fits = |bits: u32| value < 1 << bits;
    let ty = match (unsigned, longs) {
        (true, 0) if value <= u32::MAX as u64 => Scalar::UInt,
        (true, 0 | 1) => Scalar::ULong,
        (true, _) => Scalar::ULongLong,
        (false, 0) if fits(31) => Scalar::Int,
        (false, 0) if radix != 10 && value <= u32::MAX as u64 => Scalar::UInt,
        (false, 0 | 1) if fits(63) => Scalar::Long,
        (false, 0 | 1) => Scalar::ULong,
        (false, _) if fits(63) => Scalar::LongLong,
        (false, _) => Scalar::ULongLong,
    };
    Some((value, ty))
}

/// Value and type of a floating-point literal, decimal or hexadecimal.
pub fn float(text: &str) -> Option<(f64, Scalar)> {
    let lower = text.to_ascii_lowercase();
    let hex = lower.starts_with("0x");
    if !(lower.contains('.') || (!hex && lower.contains('e')) || (hex && lower.contains('p')) || lower.ends_with('f')) {
        return None;
    }
    let single = lower.ends_with('f') && (!hex || lower.contains('p'));
    let body = if single { &lower[..lower.len() - 1] } else { lower.trim_end_matches('l') };
    let value = if hex {
        let (mantissa, exponent) = body[2..].split_once('p')?;
        let (whole, part) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let digits = u64::from_str_radix(&format!("{whole}{part}"), 16).ok()?;
        digits as f64 * 2f64.powi(exponent.parse::<i32>().ok()?.saturating_sub(4 * part.len() as i32))
    } else {
        body.parse::<f64>().ok()?
    };
    // A float literal is rounded once, from its decimal text.
    let value = if single && !hex { body.parse::<f32>().ok()? as f64 } else { value };
    Some((value, if single { Scalar::Float } else { Scalar::Double }))
}

/// Value of a character literal of one byte.
pub fn character(text: &str) -> Option<u32> {
    let inner = text.strip_prefix('\'')?.strip_suffix('\'')?;
    let (value, n) = escaped(inner)?;
    (n == inner.len() && value <= 0xff).then_some(value)
}

fn escaped(text: &str) -> Option<(u32, usize)> {
    let mut chars = text.chars();
    let c = chars.next()?;
    if c != '\\' {
        return Some((c as u32, c.len_utf8()));
    }
    let e = chars.next()?;
    let simple = match e {
        'n' => 10,
        't' => 9,
        'r' => 13,
        'a' => 7,
        'b' => 8,
        'f' => 12,
        'v' => 11,
        'x' => {
            let n = text[2..].chars().take_while(char::is_ascii_hexdigit).count();
            return Some((u32::from_str_radix(text.get(2..2 + n)?, 16).ok()?, 2 + n));
        }
        '0'..='7' => {
            let n = text[1..].chars().take(3).take_while(|c| ('0'..='7').contains(c)).count();
            return Some((u32::from_str_radix(&text[1..1 + n], 8).ok()?, 1 + n));
        }
        other => other as u32,
    };
    Some((simple, 1 + e.len_utf8()))
}

/// The contents of a string literal.
pub fn text(literal: &str) -> String {
    let inner = literal.trim_start_matches(['L', 'u', 'U', '8']);
    let mut rest = inner.strip_prefix('"').and_then(|t| t.strip_suffix('"')).unwrap_or(inner);
    let mut out = String::new();
    while !rest.is_empty() {
        let Some((value, n)) = escaped(rest) else { break };
        out.extend(char::from_u32(value));
        rest = &rest[n..];
    }
    out
}
