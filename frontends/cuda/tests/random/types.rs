//! C's numbers and what is computed of them.

use super::floats::{self, bits, number, rounded};
use std::cell::Cell;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Class {
    Bool,
    Signed,
    Unsigned,
    Float,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Ty {
    pub name: &'static str,
    pub bits: u32,
    pub class: Class,
}

const fn ty(name: &'static str, bits: u32, class: Class) -> Ty {
    Ty { name, bits, class }
}

pub const INT: Ty = ty("int", 32, Class::Signed);
pub const UINT: Ty = ty("unsigned", 32, Class::Unsigned);
pub const LONG: Ty = ty("long long", 64, Class::Signed);
pub const ULONG: Ty = ty("unsigned long long", 64, Class::Unsigned);
pub const SCHAR: Ty = ty("signed char", 8, Class::Signed);
pub const UCHAR: Ty = ty("unsigned char", 8, Class::Unsigned);
pub const SHORT: Ty = ty("short", 16, Class::Signed);
pub const USHORT: Ty = ty("unsigned short", 16, Class::Unsigned);
pub const BOOL: Ty = ty("bool", 1, Class::Bool);
pub const FLOAT: Ty = ty("float", 32, Class::Float);
pub const HALF: Ty = ty("__half", 16, Class::Float);
pub const DOUBLE: Ty = ty("double", 64, Class::Float);

/// Types of variables; those of integers first.
pub const TYPES: [Ty; 11] = [INT, UINT, LONG, ULONG, SCHAR, UCHAR, SHORT, USHORT, FLOAT, HALF, DOUBLE];

thread_local! {
    /// Something was computed that C or CUDA does not define.
    pub static UNDEFINED: Cell<bool> = const { Cell::new(false) };
    /// Something that CUDA defines and C++ on the host does not.
    pub static ONLY_CUDA: Cell<bool> = const { Cell::new(false) };
    /// Something that WGSL does not define to the last bit, or not at all.
    pub static LOOSE: Cell<bool> = const { Cell::new(false) };
    /// Such of it as Mesa makes use of: the signs of zeros, infinities less infinities, roundings of `fma`.
    pub static MESA: Cell<bool> = const { Cell::new(false) };
}

impl Ty {
    pub fn float(self) -> bool {
        self.class == Class::Float
    }

    /// Integers of this type as floats of it: the least and the one above the largest.
    fn bounds(self) -> (f64, f64) {
        match self.class {
            Class::Signed => (-(2f64.powi(self.bits as i32 - 1)), 2f64.powi(self.bits as i32 - 1)),
            _ => (0.0, 2f64.powi(self.bits as i32)),
        }
    }
}

/// A number of a type; of floats the bits of the double that is as large.
pub type Number = (i128, Ty);

fn wrap(v: i128, t: Ty) -> i128 {
    let spare = 128 - t.bits;
    match t.class {
        Class::Bool => (v != 0) as i128,
        Class::Signed => v << spare >> spare,
        _ => ((v as u128) << spare >> spare) as i128,
    }
}

/// An integer as a number of a type.
pub fn int(v: i128, t: Ty) -> Number {
    if t.float() { (bits(rounded(v as f64, t)), t) } else { (wrap(v, t), t) }
}

pub fn real(v: f64, t: Ty) -> Number {
    (bits(rounded(v, t)), t)
}

/// A number as another type has it.
pub fn convert((v, from): Number, t: Ty) -> Number {
    match (from.float(), t.float()) {
        (false, false) => (wrap(v, t), t),
        (false, true) => {
            // Once rounded: a double does not hold every integer.
            let near = match t {
                FLOAT => v as f32 as f64,
                _ => v as f64,
            };
            floats::check(real(near, t))
        }
        (true, true) => {
            if t.bits < from.bits {
                floats::check(real(number(v), t))
            } else {
                (v, t)
            }
        }
        (true, false) => {
            let x = number(v);
            if t.class == Class::Bool {
                return ((x != 0.0) as i128, t);
            }
            let (least, above) = t.bounds();
            if x.is_nan() || x.trunc() < least || x.trunc() >= above {
                ONLY_CUDA.set(true);
                // The device saturates words; of what is narrower nothing is said, nor of what is no number.
                if t.bits < 32 || x.is_nan() {
                    UNDEFINED.set(true);
                }
            }
            let (lo, hi) = match t.class {
                Class::Signed => (-(1i128 << (t.bits - 1)), (1i128 << (t.bits - 1)) - 1),
                _ => (0, (1i128 << t.bits) - 1),
            };
            ((x.trunc() as i128).clamp(lo, hi), t)
        }
    }
}

pub fn truth((v, t): Number) -> bool {
    if t.float() { number(v) != 0.0 } else { v != 0 }
}

pub fn promote(t: Ty) -> Ty {
    if t.bits < 32 && !t.float() { INT } else { t }
}

pub fn common_type(a: Ty, b: Ty) -> Ty {
    let (a, b) = (promote(a), promote(b));
    match (a.float(), b.float()) {
        (true, true) => return if a.bits >= b.bits { a } else { b },
        (true, false) => return a,
        (false, true) => return b,
        _ => {}
    }
    if a.bits != b.bits {
        return if a.bits > b.bits { a } else { b };
    }
    if a.class == Class::Signed { b } else { a }
}

/// The type of an operation's result.
pub fn result_type(op: &str, a: Ty, b: Ty) -> Ty {
    match op {
        "<" | ">" | "<=" | ">=" | "==" | "!=" | "&&" | "||" => BOOL,
        "<<" | ">>" => promote(a),
        _ => common_type(a, b),
    }
}

/// An operation as C has it.
pub fn binary(op: &str, a: Number, b: Number) -> Number {
    let c = common_type(a.1, b.1);
    let says = |b: bool| (b as i128, BOOL);
    match op {
        "&&" => return says(truth(a) && truth(b)),
        "||" => return says(truth(a) || truth(b)),
        "<<" | ">>" => {
            let s = promote(a.1);
            let v = convert(a, s).0;
            return (wrap(if op == "<<" { v << b.0 } else { v >> b.0 }, s), s);
        }
        _ => {}
    }
    let (p, q) = (convert(a, c).0, convert(b, c).0);
    if c.float() {
        return floats::binary(op, p, q, c);
    }
    // The host traps.
    if matches!(op, "/" | "%") && q == -1 && p == wrap(1 << (c.bits - 1), c) {
        ONLY_CUDA.set(true);
    }
    match op {
        "+" => (wrap(p + q, c), c),
        "-" => (wrap(p - q, c), c),
        "*" => (wrap(p.wrapping_mul(q), c), c),
        "/" => (wrap(p / q, c), c),
        "%" => (wrap(p % q, c), c),
        "&" => (wrap(p & q, c), c),
        "|" => (wrap(p | q, c), c),
        "^" => (wrap(p ^ q, c), c),
        "<" => says(p < q),
        ">" => says(p > q),
        "<=" => says(p <= q),
        ">=" => says(p >= q),
        "==" => says(p == q),
        _ => says(p != q),
    }
}
