//! Atomic operations on 64 bits, where the device has them: on arrays of 64-bit integers, or on the bits of doubles.

use super::super::value::{Ptr, Tv, Val};
use super::super::*;
use girih_base::{DType, ScalarOp as S};
use girih_simt::{AtomicOp, Literal, Op};

impl Lowerer<'_> {
    /// The operation by name, and as an instruction where there is one; the scalar, the operand, and what `atomicCAS` writes.
    pub(super) fn wide_atomic(
        &mut self,
        (op, native): (&str, Option<AtomicOp>),
        p: &Ptr,
        space: Space,
        (s, x, new): (Scalar, Tv, Option<Tv>),
        at: At,
    ) -> R<Tv> {
        let refused = |l: &Self, what: String, help: &str| match l.refuse(at, what, help) {
            Fail::Diag(mut d) => {
                d.code = "U010";
                Fail::Diag(d)
            }
            r => r,
        };
        if !self.caps.atomic64 {
            let what = format!("a 64-bit atomic operation on {}", s.name());
            return Err(refused(
                self,
                what,
                "this device has none: use 32-bit values, or one value for each block and a second kernel",
            ));
        }
        if s == Scalar::Double && !self.caps.double {
            return Err(self.no_double(at));
        }
        let store = self.store_of(space);
        if store.size != 8 || store.dtype == DType::F64 {
            let key = self.space_key(space);
            if self.choices.longs.insert(key) {
                return Err(Fail::Retry);
            }
            return Err(refused(
                self,
                "a 64-bit atomic operation on an array that also holds narrower elements".into(),
                "keep what is updated atomically in an array of its own",
            ));
        }
        let integer = s.is_int();
        let index = self.count_in(p.unit, p.ix, p.plus, 8);
        let native = native.filter(|n| match n {
            AtomicOp::Exchange => true,
            AtomicOp::Min | AtomicOp::Max => integer && s.signed() == (store.dtype == DType::I64),
            _ => integer,
        });
        if let Some(native) = native {
            let x = if op == "Sub" { self.unary("-", x, at)? } else { x };
            let x = self.convert(x, &Type::Scalar(s), at)?;
            let (bits, index) = (self.long_bits(&x.v, s, store.dtype), self.ix(index));
            let old = self.guarded_value(store.dtype, |l| {
                l.b.push(Op::Atomic(native, space, index, bits), Ty::scalar(store.dtype))
            });
            return Ok(Tv { v: self.long_value(old, s), t: Type::Scalar(s) });
        }
        if let (true, Some(new)) = (integer, &new) {
            let (a, b) = (self.long_bits(&x.v, s, store.dtype), self.long_bits(&new.v, s, store.dtype));
            let index = self.ix(index);
            let old = self.guarded_value(store.dtype, |l| {
                l.b.push(Op::CompareExchange(space, index, a, b), Ty::scalar(store.dtype))
            });
            return Ok(Tv { v: self.long_value(old, s), t: Type::Scalar(s) });
        }
        if !matches!(op, "Add" | "Min" | "Max") {
            return Err(self.err("U004", at, format!("atomic{op} on {}", s.name())));
        }
        self.exchange_loop(op, p, space, s, x, None, at)
    }

    /// A 64-bit scalar from an element of an array of such integers.
    pub fn long_value(&mut self, raw: ValueId, s: Scalar) -> Val {
        match self.reg(s) {
            Some(want) => Val::One(self.b_bits(raw, want)),
            None => {
                let bits = self.b_bits(raw, DType::U64);
                let (lo, hi) = self.pair(&Val::One(bits));
                Val::Pair(lo, hi)
            }
        }
    }

    /// The element that holds a 64-bit scalar.
    pub fn long_bits(&mut self, v: &Val, s: Scalar, to: DType) -> ValueId {
        if self.reg(s).is_some() {
            let id = self.id(v, s);
            return self.b_bits(id, to);
        }
        let (lo, hi) = self.pair(v);
        let (lo, hi) = (self.b.cast(lo, DType::U64), self.b.cast(hi, DType::U64));
        let word = self.b.constant(Literal::Int(32), Ty::scalar(DType::U64));
        let hi = self.m(S::Shl, &[hi, word]);
        let both = self.m(S::Or, &[lo, hi]);
        self.b_bits(both, to)
    }
}
