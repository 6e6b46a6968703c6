//! Conversions as C's `printf` makes them (ISO C17, 7.21.6.1; where it leaves a choice, as the GNU C library does).

use super::{Spec, Value, word};
use crate::codec::{self, Scalar};

/// The characters of one conversion. A negative width is one to the left, a negative precision is none.
pub fn convert(spec: &Spec, width: Option<i64>, precision: Option<i64>, v: &Value) -> String {
    let precision = precision.and_then(|p| usize::try_from(p).ok());
    let left = spec.left || width.is_some_and(|w| w < 0);
    let width = width.map_or(0, |w| w.unsigned_abs() as usize);
    let (sign, body, zeros) = match spec.conversion {
        'c' => (String::new(), char::from(word(v) as u8).to_string(), false),
        _ if spec.is_float() => float(spec, precision, v),
        _ => integer(spec, precision, v),
    };
    let missing = width.saturating_sub(sign.chars().count() + body.chars().count());
    match (left, spec.zero && zeros) {
        (true, _) => format!("{sign}{body}{}", " ".repeat(missing)),
        (_, true) => format!("{sign}{}{body}", "0".repeat(missing)),
        _ => format!("{}{sign}{body}", " ".repeat(missing)),
    }
}

fn signed(spec: &Spec, negative: bool) -> &'static str {
    match negative {
        true => "-",
        false if spec.plus => "+",
        false if spec.space => " ",
        false => "",
    }
}

/// Sign or prefix, digits, and whether zeros may come between the two.
fn integer(spec: &Spec, precision: Option<usize>, v: &Value) -> (String, String, bool) {
    let shift = 64 - spec.bits;
    // An argument narrower than its conversion is widened by its own type.
    let whole = match codec::decode(v.bits.first().copied().unwrap_or(0), v.dtype) {
        _ if v.bits.len() == 2 => word(v) as i64,
        Scalar::Int(i) => i as i64,
        Scalar::Float(f) => f as i64,
    };
    let unsigned = (whole as u64) << shift >> shift;
    let (sign, mut digits) = match spec.conversion {
        'd' | 'i' => {
            let value = whole << shift >> shift;
            (signed(spec, value < 0).to_string(), value.unsigned_abs().to_string())
        }
        'o' => (String::new(), format!("{unsigned:o}")),
        'x' => (if spec.other && unsigned != 0 { "0x" } else { "" }.into(), format!("{unsigned:x}")),
        'X' => (if spec.other && unsigned != 0 { "0X" } else { "" }.into(), format!("{unsigned:X}")),
        _ => (String::new(), unsigned.to_string()),
    };
    if precision == Some(0) && digits == "0" {
        digits.clear();
    }
    if let Some(least) = precision {
        digits = format!("{}{digits}", "0".repeat(least.saturating_sub(digits.len())));
    }
    if spec.conversion == 'o' && spec.other && !digits.starts_with('0') {
        digits.insert(0, '0');
    }
    (sign, digits, precision.is_none())
}

fn float(spec: &Spec, precision: Option<usize>, v: &Value) -> (String, String, bool) {
    let bits = word(v);
    let x = match codec::decode(bits, v.dtype) {
        // Decoding knows one NaN; printing shows its sign.
        Scalar::Float(x) if x.is_nan() => {
            f64::NAN.copysign(if bits >> (v.dtype.bits() - 1) & 1 == 1 { -1.0 } else { 1.0 })
        }
        Scalar::Float(x) => x,
        Scalar::Int(i) => i as f64,
    };
    let sign = signed(spec, x.is_sign_negative()).to_string();
    let (upper, lower) = (spec.conversion.is_ascii_uppercase(), spec.conversion.to_ascii_lowercase());
    let x = x.abs();
    let case = |s: String| if upper { s.to_ascii_uppercase() } else { s };
    if !x.is_finite() {
        return (sign, case(if x.is_nan() { "nan" } else { "inf" }.into()), false);
    }
    if lower == 'a' {
        return (sign + if upper { "0X" } else { "0x" }, case(hexadecimal(x, precision, spec.other)), true);
    }
    let digits = precision.unwrap_or(6);
    let body = match lower {
        'f' => fixed(x, digits, spec.other),
        'e' => scientific(x, digits, spec.other),
        _ => general(x, digits.max(1), spec.other),
    };
    (sign, case(body), true)
}

fn fixed(x: f64, digits: usize, point: bool) -> String {
    format!("{x:.digits$}{}", if digits == 0 && point { "." } else { "" })
}

fn scientific(x: f64, digits: usize, point: bool) -> String {
    let text = format!("{x:.digits$e}");
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let (sign, exponent) = exponent.strip_prefix('-').map_or(('+', exponent), |e| ('-', e));
    format!("{mantissa}{}e{sign}{exponent:0>2}", if digits == 0 && point { "." } else { "" })
}

/// `%g`: the shorter of the two with `digits` significant digits, zeros at the end left out.
fn general(x: f64, digits: usize, keep: bool) -> String {
    let rounded = format!("{x:.*e}", digits - 1);
    let exponent: i64 = rounded.split_once('e').and_then(|(_, e)| e.parse().ok()).unwrap_or(0);
    let text = match usize::try_from(digits as i64 - 1 - exponent) {
        Ok(behind) if exponent >= -4 => fixed(x, behind, keep),
        _ => scientific(x, digits - 1, keep),
    };
    let (mantissa, rest) = text.find('e').map_or((&text[..], ""), |at| text.split_at(at));
    match mantissa.contains('.') && !keep {
        true => format!("{}{rest}", mantissa.trim_end_matches('0').trim_end_matches('.')),
        false => text,
    }
}

/// `%a` without sign and prefix: `1.8p+1`, subnormal numbers as `0.8p-1022`.
fn hexadecimal(x: f64, precision: Option<usize>, point: bool) -> String {
    let bits = x.to_bits();
    let (raw, mut fraction) = (bits >> 52, bits & ((1 << 52) - 1));
    let mut lead = (raw != 0) as u64;
    let exponent = if x == 0.0 { 0 } else { raw.max(1) as i64 - 1023 };
    let mut digits = 13;
    if let Some(p) = precision.filter(|p| *p < 13) {
        // To nearest, ties to even.
        let cut = 4 * (13 - p as u32);
        let all = lead << 52 | fraction;
        let (kept, dropped, half) = (all >> cut, all & ((1 << cut) - 1), 1 << (cut - 1));
        let up = dropped > half || (dropped == half && kept & 1 == 1);
        let all = (kept + up as u64) << cut;
        (lead, fraction, digits) = (all >> 52, all & ((1 << 52) - 1), p);
    }
    let mut text = format!("{fraction:013x}")[..digits].to_string();
    match precision {
        None => text.truncate(text.trim_end_matches('0').len()),
        Some(p) => text.push_str(&"0".repeat(p.saturating_sub(13))),
    }
    let dot = if text.is_empty() && !point { "" } else { "." };
    format!("{lead}{dot}{text}p{exponent:+}")
}
