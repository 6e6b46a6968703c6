//! 64-bit integers as pairs of words, low first, for targets without them.

use super::value::Val;
use super::*;
use girih_base::ScalarOp as S;
use girih_simt::Op;

type Pair = (ValueId, ValueId);

impl Lowerer<'_> {
    fn carry(&mut self, sum: ValueId, part: ValueId) -> ValueId {
        let over = self.b.map(S::Lt, &[sum, part]);
        self.b.cast(over, girih_base::DType::U32)
    }

    pub fn add_pair(&mut self, a: Pair, b: Pair) -> Pair {
        let lo = self.b.add(a.0, b.0);
        let carry = self.carry(lo, a.0);
        let hi = self.b.add(a.1, b.1);
        (lo, self.b.add(hi, carry))
    }

    pub fn negate_pair(&mut self, lo: ValueId, hi: ValueId) -> Pair {
        let zero = self.b.uint(0);
        self.sub_pair((zero, zero), (lo, hi))
    }

    pub fn sub_pair(&mut self, a: Pair, b: Pair) -> Pair {
        let lo = self.b.push(Op::Map(S::Sub, vec![a.0, b.0]), Ty::scalar(girih_base::DType::U32));
        let borrow = self.b.map(S::Lt, &[a.0, b.0]);
        let borrow = self.b.cast(borrow, girih_base::DType::U32);
        let hi = self.b.map(S::Sub, &[a.1, b.1]);
        (lo, self.b.map(S::Sub, &[hi, borrow]))
    }

    fn mul_pair(&mut self, a: Pair, b: Pair) -> Pair {
        let lo = self.b.mul(a.0, b.0);
        let top = self.b.map(S::MulHi, &[a.0, b.0]);
        let (x, y) = (self.b.mul(a.0, b.1), self.b.mul(a.1, b.0));
        let cross = self.b.add(x, y);
        (lo, self.b.add(top, cross))
    }

    /// Shifts by `n`, 0 to 63.
    fn shift_pair(&mut self, op: &str, a: Pair, n: ValueId, signed: bool) -> Pair {
        use girih_base::DType::{I32, U32};
        if let Some(n) = self.b.known(n) {
            return self.shift_known(op, a, n as u32 & 63, signed);
        }
        let (all, word, zero, top) = (self.b.uint(31), self.b.uint(32), self.b.uint(0), self.b.uint(63));
        let n = self.b.map(S::And, &[n, top]);
        let far = self.b.map(S::Ge, &[n, word]);
        let small = self.b.map(S::And, &[n, all]);
        let none = self.b.map(S::Eq, &[small, zero]);
        let back = self.b.map(S::Sub, &[word, small]);
        let back = self.b.map(S::And, &[back, all]);
        if op == "<<" {
            let lo = self.b.map(S::Shl, &[a.0, small]);
            let hi = self.b.map(S::Shl, &[a.1, small]);
            let over = self.b.map(S::Shr, &[a.0, back]);
            let over = self.b.map(S::Select, &[none, zero, over]);
            let hi = self.b.map(S::Or, &[hi, over]);
            (self.b.map(S::Select, &[far, zero, lo]), self.b.map(S::Select, &[far, lo, hi]))
        } else {
            let high = if signed { self.b.bitcast(a.1, I32) } else { a.1 };
            let count = if signed { self.b.cast(small, I32) } else { small };
            let hi = self.b.map(S::Shr, &[high, count]);
            let hi = if signed { self.b.bitcast(hi, U32) } else { hi };
            let lo = self.b.map(S::Shr, &[a.0, small]);
            let over = self.b.map(S::Shl, &[a.1, back]);
            let over = self.b.map(S::Select, &[none, zero, over]);
            let lo = self.b.map(S::Or, &[lo, over]);
            let fill = if signed {
                let n = self.b.int(31);
                let high = self.b.bitcast(a.1, I32);
                let f = self.b.map(S::Shr, &[high, n]);
                self.b.bitcast(f, U32)
            } else {
                zero
            };
            (self.b.map(S::Select, &[far, hi, lo]), self.b.map(S::Select, &[far, fill, hi]))
        }
    }

    fn shift_known(&mut self, op: &str, a: Pair, n: u32, signed: bool) -> Pair {
        use girih_base::DType::{I32, U32};
        if n == 0 {
            return a;
        }
        let zero = self.b.uint(0);
        let (amount, back) = (self.b.uint(n & 31), self.b.uint((32 - (n & 31)) & 31));
        if op == "<<" {
            let lo = self.b.map(S::Shl, &[a.0, amount]);
            if n >= 32 {
                return (zero, if n == 32 { a.0 } else { lo });
            }
            let hi = self.b.map(S::Shl, &[a.1, amount]);
            let over = self.b.map(S::Shr, &[a.0, back]);
            return (lo, self.b.map(S::Or, &[hi, over]));
        }
        let shr = |s: &mut Self, x: ValueId, by: u32| {
            if signed {
                let (x, by) = (s.b.bitcast(x, I32), s.b.int(by as i32));
                let y = s.b.map(S::Shr, &[x, by]);
                s.b.bitcast(y, U32)
            } else {
                let by = s.b.uint(by);
                s.b.map(S::Shr, &[x, by])
            }
        };
        if n >= 32 {
            let fill = if signed { shr(self, a.1, 31) } else { zero };
            let lo = if n == 32 { a.1 } else { shr(self, a.1, n - 32) };
            return (lo, fill);
        }
        let hi = shr(self, a.1, n);
        let lo = self.b.map(S::Shr, &[a.0, amount]);
        let over = self.b.map(S::Shl, &[a.1, back]);
        (self.b.map(S::Or, &[lo, over]), hi)
    }

    /// Quotient and remainder, unsigned, bit by bit.
    fn divide_pair(&mut self, a: Pair, b: Pair) -> (Pair, Pair) {
        let word = Ty::scalar(girih_base::DType::U32);
        let [q0, q1, r0, r1] = ["quotient", "quotient_hi", "rest", "rest_hi"].map(|n| self.new_local(n, word, None));
        let zero = self.b.uint(0);
        self.b.set(q0, a.0);
        self.b.set(q1, a.1);
        self.b.set(r0, zero);
        self.b.set(r1, zero);
        let (lo, hi) = (self.b.uint(0), self.b.uint(64));
        let index = self.b.fresh(word);
        self.open();
        let (q, r) = ((self.b.get(q0), self.b.get(q1)), (self.b.get(r0), self.b.get(r1)));
        // The dividend's bits leave on top of the quotient's word and enter the remainder; quotient bits follow below.
        let n = self.b.uint(31);
        let top = self.b.map(S::Shr, &[q.1, n]);
        let r = self.shift_known("<<", r, 1, false);
        let r = (self.b.map(S::Or, &[r.0, top]), r.1);
        let q = self.shift_known("<<", q, 1, false);
        let less = self.less_pair(r, b, false);
        let d = self.sub_pair(r, b);
        let one = self.b.uint(1);
        let bit = self.b.map(S::Or, &[q.0, one]);
        let (n0, n1) = (self.b.map(S::Select, &[less, q.0, bit]), q.1);
        let (m0, m1) = (self.b.map(S::Select, &[less, r.0, d.0]), self.b.map(S::Select, &[less, r.1, d.1]));
        self.b.set(q0, n0);
        self.b.set(q1, n1);
        self.b.set(r0, m0);
        self.b.set(r1, m1);
        let body = self.close();
        self.b.effect(Op::For { index, lo, hi, step: 1, uniform: false, body });
        ((self.b.get(q0), self.b.get(q1)), (self.b.get(r0), self.b.get(r1)))
    }

    fn divide_signed(&mut self, a: Pair, b: Pair, rem: bool) -> Pair {
        let zero = self.b.uint(0);
        let n = self.b.uint(31);
        let abs = |s: &mut Self, x: Pair| {
            let sign = s.b.map(S::Shr, &[x.1, n]);
            let negative = s.b.map(S::Ne, &[sign, zero]);
            let m = s.negate_pair(x.0, x.1);
            let lo = s.b.map(S::Select, &[negative, m.0, x.0]);
            let hi = s.b.map(S::Select, &[negative, m.1, x.1]);
            ((lo, hi), negative)
        };
        let ((x, sa), (y, sb)) = (abs(self, a), abs(self, b));
        let (q, r) = self.divide_pair(x, y);
        let (v, flip) = if rem { (r, sa) } else { (q, self.b.map(S::Xor, &[sa, sb])) };
        let m = self.negate_pair(v.0, v.1);
        (self.b.map(S::Select, &[flip, m.0, v.0]), self.b.map(S::Select, &[flip, m.1, v.1]))
    }

    fn less_pair(&mut self, a: Pair, b: Pair, signed: bool) -> ValueId {
        use girih_base::DType::I32;
        let high = if signed {
            let (x, y) = (self.b.bitcast(a.1, I32), self.b.bitcast(b.1, I32));
            self.b.map(S::Lt, &[x, y])
        } else {
            self.b.map(S::Lt, &[a.1, b.1])
        };
        let (same, low) = (self.b.map(S::Eq, &[a.1, b.1]), self.b.map(S::Lt, &[a.0, b.0]));
        let both = self.b.map(S::And, &[same, low]);
        self.b.map(S::Or, &[high, both])
    }

    fn equal_pair(&mut self, a: Pair, b: Pair) -> ValueId {
        let (x, y) = (self.b.map(S::Eq, &[a.0, b.0]), self.b.map(S::Eq, &[a.1, b.1]));
        self.b.map(S::And, &[x, y])
    }

    /// An operator on two 64-bit integers of one type; comparisons give a bool.
    pub fn pair_op(&mut self, op: &str, a: &Val, b: &Val, signed: bool) -> Option<Val> {
        let (x, y) = (self.pair(a), self.pair(b));
        let not = |s: &mut Self, v: ValueId| Val::One(s.b.map(S::Not, &[v]));
        let value = match op {
            "+" => self.add_pair(x, y),
            "-" => self.sub_pair(x, y),
            "*" => self.mul_pair(x, y),
            "&" | "|" | "^" => {
                let op = match op {
                    "&" => S::And,
                    "|" => S::Or,
                    _ => S::Xor,
                };
                (self.b.map(op, &[x.0, y.0]), self.b.map(op, &[x.1, y.1]))
            }
            "<<" | ">>" => self.shift_pair(op, x, y.0, signed),
            "/" | "%" if signed => self.divide_signed(x, y, op == "%"),
            "/" => self.divide_pair(x, y).0,
            "%" => self.divide_pair(x, y).1,
            "<" => return Some(Val::One(self.less_pair(x, y, signed))),
            ">" => return Some(Val::One(self.less_pair(y, x, signed))),
            "<=" => {
                let v = self.less_pair(y, x, signed);
                return Some(not(self, v));
            }
            ">=" => {
                let v = self.less_pair(x, y, signed);
                return Some(not(self, v));
            }
            "==" => return Some(Val::One(self.equal_pair(x, y))),
            "!=" => {
                let v = self.equal_pair(x, y);
                return Some(not(self, v));
            }
            _ => return None,
        };
        Some(Val::Pair(value.0, value.1))
    }
}
