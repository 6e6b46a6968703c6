//! Sums, differences and comparisons of pointers.

use super::*;

impl Lowerer<'_> {
    /// `p + n` or `p - n`.
    pub fn advance(&mut self, p: Tv, n: Tv, back: bool, at: At) -> R<Tv> {
        let Val::Pointer(mut ptr) = p.v else { return Err(self.err("U004", at, "this is no pointer")) };
        let Some(s) = n.t.scalar().filter(|s| s.is_int()) else {
            return Err(self.err("U004", at, "pointers move by whole numbers"));
        };
        if ptr.base == Base::Null {
            return Err(self.err("U009", at, "this pointer is null, or nothing was assigned to it"));
        }
        let size = self.size(&ptr.to).max(1);
        let tree = matches!(ptr.base, Base::Tree(..));
        if let Some(k) = n.known() {
            let k = if back { -(k as i64) } else { k as i64 };
            if tree {
                ptr.ix = self.ix_add(ptr.ix, Ix::K(k));
            } else {
                ptr.plus = ptr.plus.wrapping_add(k.wrapping_mul(size as i64));
            }
            return Ok(Tv { v: Val::Pointer(ptr), t: p.t });
        }
        // Only the low 32 bits of an index matter: arrays have fewer elements.
        let low = self.scalar_to(&n, if s.wide() { Scalar::ULong } else { Scalar::UInt }, at)?;
        let low = match &low {
            Val::One(v) if self.b.ty(*v).dtype.bits() == 64 => self.b.cast(*v, girih_base::DType::U32),
            other => self.id(other, Scalar::UInt),
        };
        let low = if back {
            let zero = self.b.uint(0);
            self.b.push(girih_simt::Op::Map(S::Sub, vec![zero, low]), Ty::scalar(girih_base::DType::U32))
        } else {
            low
        };
        if tree {
            ptr.ix = self.ix_add(ptr.ix, Ix::V(low));
            return Ok(Tv { v: Val::Pointer(ptr), t: p.t });
        }
        // Bytes per step of the sum: what both the pointer and the step count in.
        if ptr.ix == Ix::K(0) {
            ptr.unit = size;
            ptr.ix = Ix::V(low);
        } else if size.is_multiple_of(ptr.unit) {
            let step = self.ix_mul(Ix::V(low), (size / ptr.unit) as i64);
            ptr.ix = self.ix_add(ptr.ix, step);
        } else {
            let g = (1..=size.min(ptr.unit))
                .rev()
                .find(|g| size.is_multiple_of(*g) && ptr.unit.is_multiple_of(*g))
                .unwrap_or(1);
            let (a, b) = (self.ix_mul(ptr.ix, (ptr.unit / g) as i64), self.ix_mul(Ix::V(low), (size / g) as i64));
            ptr.ix = self.ix_add(a, b);
            ptr.unit = g;
        }
        Ok(Tv { v: Val::Pointer(ptr), t: p.t })
    }

    pub(super) fn compare_pointers(&mut self, op: &str, a: Tv, b: Tv, at: At) -> R<Tv> {
        let as_ptr = |tv: &Tv| match &tv.v {
            Val::Pointer(p) => p.clone(),
            _ => super::convert::null(Type::Void),
        };
        let (p, q) = (as_ptr(&a), as_ptr(&b));
        if p.base == Base::Null || q.base == Base::Null {
            let other = if p.base == Base::Null { b } else { a };
            let is = if matches!(other.t, Type::Null) || matches!(&other.v, Val::Pointer(p) if p.base == Base::Null) {
                Tv::int(1, Scalar::Bool)
            } else {
                let t = self.truth(other, at)?;
                self.unary("!", t, at)?
            };
            return match op {
                "==" => Ok(is),
                "!=" => self.unary("!", is, at),
                _ => Err(self.no_operator(op, &a_type(&is), &Type::Null, at)),
            };
        }
        let several = matches!(p.base, Base::OneOf(..)) || matches!(q.base, Base::OneOf(..));
        let shared = self.spaces(&p.base).iter().any(|s| self.spaces(&q.base).contains(s));
        // Order and distance have a meaning within one array only: that is the one both point into.
        let equality = matches!(op, "==" | "!=");
        let same = if several && equality && shared { self.same_array(&p.base, &q.base) } else { None };
        if p.base != q.base && !(several && shared) {
            return match op {
                "==" => Ok(Tv::int(0, Scalar::Bool)),
                "!=" => Ok(Tv::int(1, Scalar::Bool)),
                _ => Err(self.refuse(
                    at,
                    "two pointers into different arrays are compared",
                    "WGSL has no addresses: compare indices within one array",
                )),
            };
        }
        let size = self.size(&p.to).max(1);
        // Both are counted in what divides the steps of both, and elements too.
        let common = gcd3(p.unit, q.unit, p.plus, q.plus);
        let common = gcd3(common, size, 0, 0);
        let (x, y) = match &p.base {
            Base::Tree(..) => (p.ix, q.ix),
            _ => {
                let g = common;
                (self.count_in(p.unit, p.ix, p.plus, g), self.count_in(q.unit, q.ix, q.plus, g))
            }
        };
        let g = if matches!(p.base, Base::Tree(..)) { size } else { common };
        let (x, y) = (self.ix(x), self.ix(y));
        if op == "-" {
            let d = self.b.map(S::Sub, &[x, y]);
            let d = self.b_bits(d, girih_base::DType::I32);
            let d = if size.is_multiple_of(g) && size != g {
                let n = self.b.int((size / g) as i32);
                self.b.map(S::Div, &[d, n])
            } else {
                d
            };
            let t = Tv::one(d, Scalar::Int);
            return self.convert(t, &Type::Scalar(Scalar::Long), at);
        }
        let Some(sop) = scalar_op(op).filter(|_| compares(op)) else {
            return Err(self.no_operator(op, &a.t, &b.t, at));
        };
        let (x, y) = (self.b_bits(x, girih_base::DType::I32), self.b_bits(y, girih_base::DType::I32));
        let got = self.b.map(sop, &[x, y]);
        let got = match same {
            Some(same) if op == "==" => self.b.map(S::And, &[same, got]),
            Some(same) => {
                let other = self.b.map(S::Not, &[same]);
                self.b.map(S::Or, &[other, got])
            }
            None => got,
        };
        Ok(Tv::one(got, Scalar::Bool))
    }

    /// The element at an index.
    pub fn pointee(&mut self, p: Ptr) -> value::Place {
        value::Place::Memory(p)
    }
}
