//! What pointers into arrays point to: scalars and aggregates.

use super::value::{Ptr, Val};
use super::words::Cache;
use super::*;
use girih_base::{DType, ScalarOp};
use girih_simt::Op;

impl Lowerer<'_> {
    /// Reads what a pointer points to.
    pub(super) fn load_memory(
        &mut self,
        p: &Ptr,
        space: Space,
        plus: i64,
        ty: &Type,
        cache: &mut Cache,
        at: At,
    ) -> R<Val> {
        match ty {
            Type::Scalar(s) => self.load_scalar(p, space, plus, *s, cache, at),
            Type::Pointer(_) => Err(self.refuse(
                at,
                "a pointer stored in device memory",
                "WGSL has no addresses: pass each array as its own argument, or store indices",
            )),
            Type::Texture => Err(self.no_handles(at)),
            Type::Vector(..) | Type::Struct(_) | Type::Array(..) => {
                let mut parts = Vec::new();
                for (offset, part) in self.parts(ty) {
                    parts.push(self.load_memory(p, space, plus + offset as i64, &part, cache, at)?);
                }
                Ok(Val::Group(parts))
            }
            _ => Ok(Val::Opaque),
        }
    }

    fn no_handles(&self, at: At) -> Fail {
        self.refuse(at, "texture objects in memory", "WGSL has no handles: pass each texture as its own argument")
    }

    /// Direct parts of an aggregate with their offsets.
    pub fn parts(&self, ty: &Type) -> Vec<(u32, Type)> {
        match ty {
            Type::Vector(s, n) => (0..*n as u32).map(|i| (i * s.size(), Type::Scalar(*s))).collect(),
            Type::Struct(i) => self.structs[*i as usize].fields.iter().map(|f| (f.offset, f.ty.clone())).collect(),
            Type::Array(t, n) => {
                let size = self.size(t);
                (0..*n).map(|i| (i * size, (**t).clone())).collect()
            }
            _ => Vec::new(),
        }
    }

    pub(super) fn store_memory(&mut self, p: &Ptr, space: Space, plus: i64, v: &Val, ty: &Type, at: At) -> R<()> {
        match (ty, v) {
            (Type::Scalar(s), v) => self.store_scalar(p, space, plus, v, *s, at),
            (Type::Pointer(_), _) => Err(self.refuse(
                at,
                "a pointer stored in device memory",
                "WGSL has no addresses: pass each array as its own argument, or store indices",
            )),
            (Type::Texture, _) => Err(self.no_handles(at)),
            (Type::Vector(..) | Type::Struct(_) | Type::Array(..), Val::Group(values)) => {
                let parts = self.parts(ty);
                let aligned = self.size_align(ty).1 >= 4 || (p.unit.is_multiple_of(4) && plus % 4 == 0);
                let words = self.store_of(space).dtype == DType::U32;
                let narrow = parts.iter().all(|(_, t)| matches!(t, Type::Scalar(s) if s.size() < 4));
                if aligned && words && narrow && plus % 4 == 0 {
                    return self.store_packed(p, space, plus, values, &parts, at);
                }
                for ((offset, part), v) in parts.iter().zip(values) {
                    self.store_memory(p, space, plus + *offset as i64, v, part, at)?;
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Narrow scalars side by side: whole words at once.
    fn store_packed(
        &mut self,
        p: &Ptr,
        space: Space,
        plus: i64,
        values: &[Val],
        parts: &[(u32, Type)],
        at: At,
    ) -> R<()> {
        let mut i = 0;
        while i < parts.len() {
            let word = parts[i].0 / 4;
            let end = (i..parts.len()).find(|j| parts[*j].0 / 4 != word).unwrap_or(parts.len());
            let bytes: u32 = parts[i..end].iter().map(|(_, t)| self.size(t)).sum();
            if bytes == 4 {
                let packed = self.pack(&values[i..end], &parts[i..end]);
                let (index, _) = self.element(p, plus + word as i64 * 4, 4, 4);
                self.raw_store(space, index, packed);
            } else {
                for j in i..end {
                    self.store_memory(p, space, plus + parts[j].0 as i64, &values[j], &parts[j].1, at)?;
                }
            }
            i = end;
        }
        Ok(())
    }

    /// Narrow scalars as one word.
    pub(super) fn pack(&mut self, values: &[Val], parts: &[(u32, Type)]) -> ValueId {
        if let [(_, Type::Scalar(Scalar::Half)), _] = parts {
            let (a, b) = (self.id(&values[0], Scalar::Half), self.id(&values[1], Scalar::Half));
            let pair = self.b.push(Op::MakeVec(vec![a, b]), Ty::vec(DType::F32, 2));
            return self.b.push(Op::PackHalf(pair), Ty::scalar(DType::U32));
        }
        let mut word = self.b.uint(0);
        for (v, (offset, t)) in values.iter().zip(parts) {
            let Some(s) = t.scalar() else { continue };
            let bits = self.bits_of(v, s);
            let shift = self.b.uint(offset % 4 * 8);
            let bits = if offset % 4 == 0 { bits } else { self.b.map(ScalarOp::Shl, &[bits, shift]) };
            word = if offset % 4 == 0 { bits } else { self.b.map(ScalarOp::Or, &[word, bits]) };
        }
        word
    }
}
