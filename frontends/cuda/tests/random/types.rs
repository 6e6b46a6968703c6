//! C's integer types and what is computed of them.

#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Ty {
    pub name: &'static str,
    pub bits: u32,
    pub signed: bool,
}

pub const TYPES: [Ty; 8] = [
    Ty { name: "int", bits: 32, signed: true },
    Ty { name: "unsigned", bits: 32, signed: false },
    Ty { name: "long long", bits: 64, signed: true },
    Ty { name: "unsigned long long", bits: 64, signed: false },
    Ty { name: "signed char", bits: 8, signed: true },
    Ty { name: "unsigned char", bits: 8, signed: false },
    Ty { name: "short", bits: 16, signed: true },
    Ty { name: "unsigned short", bits: 16, signed: false },
];

pub fn wrap(v: i128, t: Ty) -> i128 {
    let spare = 128 - t.bits;
    if t.signed { v << spare >> spare } else { ((v as u128) << spare >> spare) as i128 }
}

pub fn promote(t: Ty) -> Ty {
    if t.bits < 32 { TYPES[0] } else { t }
}

pub fn common_type(a: Ty, b: Ty) -> Ty {
    let (a, b) = (promote(a), promote(b));
    if a.bits != b.bits {
        return if a.bits > b.bits { a } else { b };
    }
    if a.signed { b } else { a }
}

/// A number of a type.
pub type Number = (i128, Ty);

/// An operation as C has it.
pub fn binary(op: &str, (x, s): Number, (y, t): Number) -> Number {
    let c = common_type(s, t);
    let (p, q) = (wrap(x, c), wrap(y, c));
    let truth = |b: bool| (b as i128, TYPES[0]);
    match op {
        "+" => (wrap(p + q, c), c),
        "-" => (wrap(p - q, c), c),
        "*" => (wrap(p.wrapping_mul(q), c), c),
        "/" => (wrap(p / q, c), c),
        "%" => (wrap(p % q, c), c),
        "&" => (wrap(p & q, c), c),
        "|" => (wrap(p | q, c), c),
        "^" => (wrap(p ^ q, c), c),
        "<<" => {
            let s = promote(s);
            (wrap(wrap(x, s) << y, s), s)
        }
        ">>" => {
            let s = promote(s);
            (wrap(x, s) >> y, s)
        }
        "<" => truth(p < q),
        ">" => truth(p > q),
        "<=" => truth(p <= q),
        ">=" => truth(p >= q),
        "==" => truth(p == q),
        "!=" => truth(p != q),
        "&&" => truth(x != 0 && y != 0),
        _ => truth(x != 0 || y != 0),
    }
}
