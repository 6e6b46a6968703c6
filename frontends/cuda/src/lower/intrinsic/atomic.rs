//! Atomic operations: native on integers of 32 bits and, in [`super::wide_atomic`], of 64; by compare and exchange on the bits of
//! everything else.

use super::super::call::Operand;
use super::super::value::{Base, Ix, Place, Ptr, Tv, Val};
use super::super::*;
use girih_base::{DType, ScalarOp as S};
use girih_simt::{AtomicOp, Op};

impl Lowerer<'_> {
    pub fn atomic_call(&mut self, id: &str, args: &[Operand], at: At) -> R<Option<Tv>> {
        let Some(op) = id.strip_prefix("atomic") else { return Ok(None) };
        let op = op.trim_end_matches("_block").trim_end_matches("_system");
        if !matches!(op, "Add" | "Sub" | "Exch" | "Min" | "Max" | "Inc" | "Dec" | "CAS" | "And" | "Or" | "Xor") {
            return Ok(None);
        }
        let mut values = Vec::new();
        for a in args {
            values.push(self.operand_value(a, at)?);
        }
        let Some(Val::Pointer(p)) = values.first().map(|v| v.v.clone()) else {
            return Err(self.err("U004", at, format!("`{id}` needs a pointer")));
        };
        if let Base::OneOf(list, which) = &p.base {
            let tree = self.tree("old", &p.to, at)?;
            let got = Place::Tree { tree, leaf: 0, ix: None, ty: p.to.clone() };
            let (list, which) = (list.clone(), *which);
            self.in_each(&list, which, 0, &mut |s, space| {
                let there = Val::Pointer(Ptr { base: Base::Space(space), ..p.clone() });
                let mut rest: Vec<Operand> = values.iter().cloned().map(Operand::Value).collect();
                rest[0] = Operand::Value(Tv { v: there, t: p.to.clone().pointer() });
                match s.atomic_call(id, &rest, at)? {
                    Some(old) => s.initialise(&got, &old.v, at),
                    None => Ok(()),
                }
            })?;
            return self.load(&got, at).map(Some);
        }
        let space = match &p.base {
            Base::Space(s @ (Space::Buffer(_) | Space::Shared(_))) => *s,
            _ => {
                return Err(self.refuse(
                    at,
                    "an atomic operation on a variable of the thread",
                    "use a plain operation",
                ));
            }
        };
        if let Space::Buffer(i) = space
            && self.b.buffers[i as usize].read_only
        {
            let key = format!("w:{}", self.b.buffers[i as usize].name);
            if self.choices.words.insert(key) {
                return Err(Fail::Retry);
            }
        }
        self.mark_written(space);
        self.fences.counts |= matches!(space, Space::Buffer(_));
        let t = p.to.clone();
        if let Type::Vector(s, n) = t {
            // Lane by lane: what CUDA promises too.
            let size = s.size() as i64;
            let v = self.convert(values[1].clone(), &Type::Vector(s, n), at)?;
            let Val::Group(lanes) = v.v else { return Ok(None) };
            let mut old = Vec::new();
            for (i, lane) in lanes.into_iter().enumerate() {
                let part = Ptr { plus: p.plus + i as i64 * size, to: Type::Scalar(s), ..p.clone() };
                let pointer = Operand::Value(Tv { v: Val::Pointer(part), t: Type::Scalar(s).pointer() });
                let value = Operand::Value(Tv { v: lane, t: Type::Scalar(s) });
                match self.atomic_call(id, &[pointer, value], at)? {
                    Some(o) => old.push(o.v),
                    None => return Ok(None),
                }
            }
            return Ok(Some(Tv { v: Val::Group(old), t: Type::Vector(s, n) }));
        }
        let Some(s) = t.scalar() else {
            return Err(self.err("U004", at, "an atomic operation on something that is no number"));
        };
        let operand = |l: &mut Self, i: usize| -> R<Tv> {
            let v = values
                .get(i)
                .cloned()
                .ok_or(())
                .map_err(|()| l.err("U004", at, format!("`{id}` needs more arguments")))?;
            l.convert(v, &t, at)
        };
        let x = operand(self, 1)?;
        let native = match op {
            "Add" => Some(AtomicOp::Add),
            "Sub" => Some(AtomicOp::Add),
            "Exch" => Some(AtomicOp::Exchange),
            "Min" => Some(AtomicOp::Min),
            "Max" => Some(AtomicOp::Max),
            "And" => Some(AtomicOp::And),
            "Or" => Some(AtomicOp::Or),
            "Xor" => Some(AtomicOp::Xor),
            _ => None,
        };
        if s.size() == 8 {
            let new = if op == "CAS" { Some(operand(self, 2)?) } else { None };
            return self.wide_atomic((op, native), &p, space, (s, x, new), at).map(Some);
        }
        let store = self.store_of(space);
        if store.size != 4 || store.dtype == DType::F32 {
            return Err(self.need_words(space, at));
        }
        let word = s.is_int() && s.size() == 4;
        let index = self.count_in(p.unit, p.ix, p.plus, 4);
        let want = if s.signed() { DType::I32 } else { DType::U32 };
        if let (Some(native), true) = (native, word) {
            let order = matches!(native, AtomicOp::Min | AtomicOp::Max);
            if !order || store.dtype == want {
                let x = if op == "Sub" { self.unary("-", x, at)? } else { x };
                let x = self.convert(x, &t, at)?;
                let id = self.id(&x.v, s);
                let id = self.b_bits(id, store.dtype);
                let index = self.ix(index);
                let old = self.guarded_value(store.dtype, |l| {
                    l.b.push(Op::Atomic(native, space, index, id), Ty::scalar(store.dtype))
                });
                return Ok(Some(Tv::one(self.b_bits(old, want), s)));
            }
        }
        if s.is_float() && op == "Exch" && s.size() == 4 {
            let id = self.id(&x.v, s);
            let id = self.b_bits(id, store.dtype);
            let index = self.ix(index);
            let old = self.guarded_value(store.dtype, |l| {
                l.b.push(Op::Atomic(AtomicOp::Exchange, space, index, id), Ty::scalar(store.dtype))
            });
            return Ok(Some(Tv::one(self.b_bits(old, DType::F32), s)));
        }
        if op == "CAS" && word {
            let new = operand(self, 2)?;
            let (a, b) = (self.id(&x.v, s), self.id(&new.v, s));
            let (a, b) = (self.b_bits(a, store.dtype), self.b_bits(b, store.dtype));
            let index = self.ix(index);
            let old = self.guarded_value(store.dtype, |l| {
                l.b.push(Op::CompareExchange(space, index, a, b), Ty::scalar(store.dtype))
            });
            return Ok(Some(Tv::one(self.b_bits(old, want), s)));
        }
        if store.dtype != DType::U32 {
            return Err(self.need_words(space, at));
        }
        let new = if op == "CAS" { Some(operand(self, 2)?) } else { None };
        self.exchange_loop(op, &p, space, s, x, new, at).map(Some)
    }

    /// Reads a word, computes its new value, and tries until nobody came between.
    #[allow(clippy::too_many_arguments, reason = "the pieces of the operation")]
    pub(super) fn exchange_loop(
        &mut self,
        op: &str,
        p: &Ptr,
        space: Space,
        s: Scalar,
        x: Tv,
        new: Option<Tv>,
        at: At,
    ) -> R<Tv> {
        let ty = Ty::scalar(self.store_of(space).dtype);
        let (index, bit) = if s.size() >= 4 {
            (self.count_in(p.unit, p.ix, p.plus, s.size()), Ix::K(0))
        } else {
            let small = self.count_in(p.unit, p.ix, p.plus, s.size());
            let per = 4 / s.size();
            let bit = match small {
                Ix::K(n) => Ix::K(n.rem_euclid(per as i64) * 8 * s.size() as i64),
                Ix::V(v) => {
                    let (mask, width) = (self.b.uint(per - 1), self.b.uint((8 * s.size()).trailing_zeros()));
                    let part = self.m(S::And, &[v, mask]);
                    Ix::V(self.m(S::Shl, &[part, width]))
                }
            };
            (self.ix_div(small, per as i64), bit)
        };
        let index = self.ix(index);
        let (seen, result) = (self.new_local("seen", ty, None), self.new_local("old_word", ty, None));
        let mut failed = None;
        let body = |l: &mut Self| {
            let first = l.b.load(space, index);
            l.b.set(seen, first);
            l.open();
            let word = l.b.get(seen);
            let done = (|l: &mut Self| -> R<ValueId> {
                let old = match s.size() {
                    8 => l.long_value(word, s),
                    4 => l.bits32(&Val::One(word), Scalar::UInt, s),
                    _ => Val::One(l.narrow(word, bit, s)),
                };
                let old = Tv { v: old, t: Type::Scalar(s) };
                let value = match op {
                    "Add" => l.binary("+", old, x, at)?,
                    "Sub" => l.binary("-", old, x, at)?,
                    "Min" | "Max" => l.extreme(op == "Max", old, x, at)?,
                    "Exch" => x,
                    "Inc" => {
                        let ge = l.binary(">=", old.clone(), x, at)?;
                        let next = l.binary("+", old, Tv::int(1, s), at)?;
                        let test = l.id(&ge.v, Scalar::Bool);
                        Tv { v: l.select(test, &Val::Int(0), &next.v, &Type::Scalar(s), at)?, t: Type::Scalar(s) }
                    }
                    "Dec" => {
                        let zero = l.binary("==", old.clone(), Tv::int(0, s), at)?;
                        let over = l.binary(">", old.clone(), x.clone(), at)?;
                        let either = l.binary("|", zero, over, at)?;
                        let either = l.truth(either, at)?;
                        let next = l.binary("-", old, Tv::int(1, s), at)?;
                        let test = l.id(&either.v, Scalar::Bool);
                        Tv { v: l.select(test, &x.v, &next.v, &Type::Scalar(s), at)?, t: Type::Scalar(s) }
                    }
                    "CAS" => {
                        let same = l.bits_equal(&old, &x, at)?;
                        let new = new.clone().unwrap_or(x);
                        Tv { v: l.select(same, &new.v, &old.v, &Type::Scalar(s), at)?, t: Type::Scalar(s) }
                    }
                    _ => return Err(l.err("U004", at, format!("atomic{op} on {}", s.name()))),
                };
                let value = l.convert(value, &Type::Scalar(s), at)?;
                if s.size() == 8 {
                    return Ok(l.long_bits(&value.v, s, ty.dtype));
                }
                if s.size() == 4 {
                    return Ok(match l.bits32(&value.v, s, Scalar::UInt) {
                        Val::One(v) => v,
                        other => l.id(&other, Scalar::UInt),
                    });
                }
                let bits = l.bits_of(&value.v, s);
                let shift = l.ix(bit);
                let bits = l.m(S::Shl, &[bits, shift]);
                let ones = l.b.uint((1u32 << (8 * s.size())) - 1);
                let field = l.m(S::Shl, &[ones, shift]);
                let keep = l.m(S::Not, &[field]);
                let rest = l.m(S::And, &[word, keep]);
                Ok(l.m(S::Or, &[rest, bits]))
            })(l);
            let next = match done {
                Ok(v) => v,
                Err(e) => {
                    failed = Some(e);
                    word
                }
            };
            let got = l.b.push(Op::CompareExchange(space, index, word, next), ty);
            l.b.set(seen, got);
            let same = l.m(S::Eq, &[got, word]);
            l.open();
            l.b.effect(Op::Break);
            let leave = l.close();
            l.b.effect(Op::If(same, leave, Vec::new()));
            let block = l.close();
            l.b.effect(Op::Loop(block));
            let last = l.b.get(seen);
            l.b.set(result, last);
        };
        match self.masks.last().filter(|_| !self.plain).map(|m| m.local) {
            Some(mask) => {
                let on = self.b.get(mask);
                self.open();
                self.plain = true;
                body(self);
                self.plain = false;
                let block = self.close();
                self.b.effect(Op::If(on, block, Vec::new()));
            }
            None => body(self),
        }
        if let Some(e) = failed {
            return Err(e);
        }
        let word = self.b.get(result);
        let v = match s.size() {
            8 => self.long_value(word, s),
            4 => self.bits32(&Val::One(word), Scalar::UInt, s),
            _ => Val::One(self.narrow(word, bit, s)),
        };
        Ok(Tv { v, t: Type::Scalar(s) })
    }

    fn bits_equal(&mut self, a: &Tv, b: &Tv, _at: At) -> R<ValueId> {
        let s = a.t.scalar().unwrap_or(Scalar::UInt);
        let (x, y) = (self.bits_of(&a.v, s), self.bits_of(&b.v, s));
        Ok(self.m(S::Eq, &[x, y]))
    }
}
