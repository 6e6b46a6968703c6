//! Loads and stores: variables, arrays of words, and scalars narrower than a word inside them.

use super::either::gcd;
use super::value::{Base, Ix, Leaf, Place, Ptr, Tv, Val};
use super::*;
use girih_base::{DType, ScalarOp};
use girih_simt::{AtomicOp, Op};

/// A word that holds several scalars, loaded once.
type Cache = BTreeMap<i64, ValueId>;

impl Lowerer<'_> {
    /// The name under which an array's choices are kept.
    pub(super) fn space_key(&self, space: Space) -> String {
        match space {
            Space::Buffer(i) => format!("b:{}", self.b.buffers[i as usize].name),
            Space::Shared(i) => format!("s:{}", self.b.shared[i as usize].name),
            Space::Local(i) => format!("l:{}", self.b.locals[i as usize].name),
        }
    }

    /// Keeps an array as u32 words from the next walk on.
    pub fn need_words(&mut self, space: Space, at: At) -> Fail {
        let key = self.space_key(space);
        if self.choices.words.insert(key) {
            Fail::Retry
        } else {
            self.err("U009", at, "this access mixes element types in a way that has no form")
        }
    }

    /// Keeps a variable's bytes in order from the next walk on.
    pub fn need_memory(&mut self, var: At, at: At) -> Fail {
        if self.choices.memory.insert(var) {
            Fail::Retry
        } else {
            self.err("U009", at, "this pointer into a variable cannot be followed")
        }
    }

    /// `ix * unit + plus` bytes, counted in `g` bytes.
    pub fn count_in(&mut self, unit: u32, ix: Ix, plus: i64, g: u32) -> Ix {
        if unit.is_multiple_of(g) {
            let scaled = self.ix_mul(ix, (unit / g) as i64);
            return self.ix_add(scaled, Ix::K(plus.div_euclid(g as i64)));
        }
        if g.is_multiple_of(unit) && plus % unit as i64 == 0 {
            let sum = self.ix_add(ix, Ix::K(plus / unit as i64));
            return self.ix_div(sum, (g / unit) as i64);
        }
        let bytes = self.ix_mul(ix, unit as i64);
        let bytes = self.ix_add(bytes, Ix::K(plus));
        self.ix_div(bytes, g as i64)
    }

    /// The element index, and the bit position in it of something of `size` bytes.
    fn element(&mut self, p: &Ptr, plus: i64, size: u32, store: u32) -> (Ix, Ix) {
        if size >= store {
            return (self.count_in(p.unit, p.ix, plus, store), Ix::K(0));
        }
        if p.unit.is_multiple_of(store) {
            let at = self.count_in(p.unit, p.ix, plus - plus.rem_euclid(store as i64), store);
            return (at, Ix::K(8 * plus.rem_euclid(store as i64)));
        }
        let small = self.count_in(p.unit, p.ix, plus, size);
        let per = store / size;
        let word = self.ix_div(small, per as i64);
        let bit = match small {
            Ix::K(n) => Ix::K(n.rem_euclid(per as i64) * 8 * size as i64),
            Ix::V(v) => {
                let (mask, width) = (self.b.uint(per - 1), self.b.uint((8 * size).trailing_zeros()));
                let part = self.b.map(ScalarOp::And, &[v, mask]);
                Ix::V(self.b.map(ScalarOp::Shl, &[part, width]))
            }
        };
        (word, bit)
    }

    fn raw_load(&mut self, space: Space, index: Ix) -> ValueId {
        let index = self.ix(index);
        if !self.guarded() {
            return self.b.load(space, index);
        }
        let dtype = self.store_of(space).dtype;
        let temp = self.new_local("loaded", Ty::scalar(dtype), None);
        self.guard(|s| {
            let v = s.b.load(space, index);
            s.b.set(temp, v);
        });
        self.b.get(temp)
    }

    fn raw_store(&mut self, space: Space, index: Ix, v: ValueId) {
        self.mark_written(space);
        let index = self.ix(index);
        self.guard(|s| s.b.store(space, index, v));
    }

    pub fn mark_written(&mut self, space: Space) {
        if let Space::Buffer(i) = space {
            self.b.buffers[i as usize].written = true;
        }
    }

    fn as_words(&mut self, v: ValueId) -> ValueId {
        self.b_bits(v, DType::U32)
    }

    /// Bits as another type of the same width.
    pub fn b_bits(&mut self, v: ValueId, to: DType) -> ValueId {
        if self.b.ty(v).dtype == to { v } else { self.b.bitcast(v, to) }
    }

    fn load_scalar(&mut self, p: &Ptr, space: Space, plus: i64, s: Scalar, cache: &mut Cache, at: At) -> R<Val> {
        let store = self.store_of(space);
        let size = s.size();
        if s == Scalar::Double && !self.caps.double {
            return Err(self.no_double(at));
        }
        if store.size == 8 && size != 8 {
            return Err(self.need_words(space, at));
        }
        let (index, bit) = self.element(p, plus, size, store.size);
        if size == store.size {
            let raw = self.raw_load(space, index);
            let Some(want) = self.reg(s) else { return Err(self.need_words(space, at)) };
            return Ok(Val::One(self.b_bits(raw, want)));
        }
        if size == 8 {
            let lo = self.raw_load(space, index);
            let next = self.ix_add(index, Ix::K(1));
            let hi = self.raw_load(space, next);
            let (lo, hi) = (self.as_words(lo), self.as_words(hi));
            if s == Scalar::Double {
                return Ok(self.double(lo, hi));
            }
            return Ok(self.wide(lo, hi, s));
        }
        let known = match (index, bit, p.ix) {
            (_, Ix::K(_), _) => cache.get(&plus.div_euclid(4)).copied(),
            _ => None,
        };
        let word = match known {
            Some(w) => w,
            None => {
                let raw = self.raw_load(space, index);
                let w = self.as_words(raw);
                if matches!(bit, Ix::K(_)) {
                    cache.insert(plus.div_euclid(4), w);
                }
                w
            }
        };
        Ok(Val::One(self.narrow(word, bit, s)))
    }

    /// A scalar narrower than a word, from the bits at `bit`.
    pub fn narrow(&mut self, word: ValueId, bit: Ix, s: Scalar) -> ValueId {
        let width = s.size() * 8;
        if let (Scalar::Half, Ix::K(b @ (0 | 16))) = (s, bit) {
            let both = self.b.push(Op::UnpackHalf(word), Ty::vec(DType::F32, 2));
            return self.b.component(both, (b / 16) as u8);
        }
        if s.signed() && s.is_int() {
            // Up against the top, then down with the sign.
            let up = match bit {
                Ix::K(b) => self.b.uint(32 - width - b as u32),
                Ix::V(b) => {
                    let top = self.b.uint(32 - width);
                    self.b.map(ScalarOp::Sub, &[top, b])
                }
            };
            let down = self.b.uint(32 - width);
            let high = self.b.map(ScalarOp::Shl, &[word, up]);
            let high = self.b.bitcast(high, DType::I32);
            let down = self.b.cast(down, DType::I32);
            return self.b.map(ScalarOp::Shr, &[high, down]);
        }
        let shift = self.ix(bit);
        let low = self.b.map(ScalarOp::Shr, &[word, shift]);
        match s {
            Scalar::Half => {
                let both = self.b.push(Op::UnpackHalf(low), Ty::vec(DType::F32, 2));
                self.b.component(both, 0)
            }
            Scalar::Bf16 => {
                let n = self.b.uint(16);
                let bits = self.b.map(ScalarOp::Shl, &[low, n]);
                self.b.bitcast(bits, DType::F32)
            }
            _ => {
                let mask = self.b.uint(((1u64 << width) - 1) as u32);
                let v = self.b.map(ScalarOp::And, &[low, mask]);
                if s == Scalar::Bool {
                    let zero = self.b.uint(0);
                    self.b.map(ScalarOp::Ne, &[v, zero])
                } else {
                    v
                }
            }
        }
    }

    /// The low bits of a word that a scalar of at most 32 bits takes in memory, zeros above.
    pub fn bits_of(&mut self, v: &Val, s: Scalar) -> ValueId {
        let id = self.id(v, s);
        match s {
            Scalar::Half => {
                let zero = self.b.constant(girih_simt::Literal::Float(0), Ty::scalar(DType::F32));
                let pair = self.b.push(Op::MakeVec(vec![id, zero]), Ty::vec(DType::F32, 2));
                self.b.push(Op::PackHalf(pair), Ty::scalar(DType::U32))
            }
            Scalar::Bf16 => self.bf16_bits(id),
            Scalar::Bool => self.b.cast(id, DType::U32),
            s if s.size() < 4 => {
                let word = self.as_words(id);
                let mask = self.b.uint((1u32 << (s.size() * 8)) - 1);
                self.b.map(ScalarOp::And, &[word, mask])
            }
            _ => self.as_words(id),
        }
    }

    /// Rounds an f32 to bfloat16's bits, to nearest even; NaN stays NaN.
    fn bf16_bits(&mut self, x: ValueId) -> ValueId {
        let bits = self.b.bitcast(x, DType::U32);
        let (n, one, half) = (self.b.uint(16), self.b.uint(1), self.b.uint(0x7fff));
        let odd = self.b.map(ScalarOp::Shr, &[bits, n]);
        let odd = self.b.map(ScalarOp::And, &[odd, one]);
        let up = self.b.add(half, odd);
        let sum = self.b.add(bits, up);
        let rounded = self.b.map(ScalarOp::Shr, &[sum, n]);
        let nan = self.b.map(ScalarOp::IsNan, &[x]);
        let quiet = self.b.uint(0x7fff);
        self.b.map(ScalarOp::Select, &[nan, quiet, rounded])
    }

    fn store_scalar(&mut self, p: &Ptr, space: Space, plus: i64, v: &Val, s: Scalar, at: At) -> R<()> {
        let store = self.store_of(space);
        let size = s.size();
        if store.size == 8 && size != 8 {
            return Err(self.need_words(space, at));
        }
        let (index, bit) = self.element(p, plus, size, store.size);
        if size == store.size {
            if self.reg(s).is_none() {
                return Err(self.need_words(space, at));
            }
            let id = self.id(v, s);
            let id = self.b_bits(id, store.dtype);
            self.raw_store(space, index, id);
            return Ok(());
        }
        if size == 8 {
            let (lo, hi) = if s == Scalar::Double { self.words_of(v) } else { self.pair(v) };
            let (lo, hi) = (self.b_bits(lo, store.dtype), self.b_bits(hi, store.dtype));
            self.raw_store(space, index, lo);
            let next = self.ix_add(index, Ix::K(1));
            self.raw_store(space, next, hi);
            return Ok(());
        }
        if store.dtype != DType::U32 {
            return Err(self.need_words(space, at));
        }
        let bits = self.bits_of(v, s);
        let shift = self.ix(bit);
        let bits = self.b.map(ScalarOp::Shl, &[bits, shift]);
        let ones = self.b.uint(((1u64 << (size * 8)) - 1) as u32);
        let field = self.b.map(ScalarOp::Shl, &[ones, shift]);
        let keep = self.b.map(ScalarOp::Not, &[field]);
        if matches!(space, Space::Local(_)) {
            let old = self.raw_load(space, index);
            let old = self.b.map(ScalarOp::And, &[old, keep]);
            let new = self.b.map(ScalarOp::Or, &[old, bits]);
            self.raw_store(space, index, new);
        } else {
            // Neighbouring threads may write the other bytes of the word: only this thread's bits change.
            self.mark_written(space);
            let index = self.ix(index);
            self.guard(|l| {
                l.b.effect(Op::Atomic(AtomicOp::And, space, index, keep));
                l.b.effect(Op::Atomic(AtomicOp::Or, space, index, bits));
            });
        }
        Ok(())
    }

    /// Reads what a pointer points to.
    fn load_memory(&mut self, p: &Ptr, space: Space, plus: i64, ty: &Type, cache: &mut Cache, at: At) -> R<Val> {
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

    fn store_memory(&mut self, p: &Ptr, space: Space, plus: i64, v: &Val, ty: &Type, at: At) -> R<()> {
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
    fn pack(&mut self, values: &[Val], parts: &[(u32, Type)]) -> ValueId {
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

    /// The value at a place.
    pub fn load(&mut self, place: &Place, at: At) -> R<Tv> {
        let t = place.ty().clone();
        let v = match place {
            Place::Value(tv) => tv.v.clone(),
            Place::Memory(p) => match &p.base {
                Base::Space(space) => {
                    if !matches!(space, Space::Local(_)) {
                        self.claim_aligned(p, &t);
                    }
                    self.load_memory(p, *space, p.plus, &t, &mut Cache::new(), at)?
                }
                Base::OneOf(list, which) => return self.load_one_of(p, list, *which, at),
                Base::Tree(tree, leaf) => {
                    let inner = self.tree_place(tree.clone(), *leaf, p, at)?;
                    return self.load(&inner, at);
                }
                Base::Null => return Err(self.err("U009", at, "this pointer is null, or nothing was assigned to it")),
            },
            Place::Tree { tree, leaf, ix, ty } => self.load_tree(tree, *leaf, *ix, ty, at)?,
        };
        Ok(Tv { v, t })
    }

    /// The part of a variable that a pointer reaches.
    fn tree_place(&mut self, tree: Rc<value::Tree>, leaf: usize, p: &Ptr, at: At) -> R<Place> {
        let array =
            matches!(tree.leaves.get(leaf), Some(Leaf::Cell { array: true, .. } | Leaf::Pointer { array: true, .. }));
        match (array, p.ix) {
            (true, ix) => Ok(Place::Tree { tree, leaf, ix: Some(ix), ty: p.to.clone() }),
            (false, Ix::K(0)) => Ok(Place::Tree { tree, leaf, ix: None, ty: p.to.clone() }),
            _ => Err(self.need_memory(tree.at, at)),
        }
    }

    fn load_tree(&mut self, tree: &Rc<value::Tree>, leaf: usize, ix: Option<Ix>, ty: &Type, at: At) -> R<Val> {
        match ty {
            Type::Vector(_, n) => (0..*n as usize)
                .map(|i| self.load_leaf(tree, leaf + i, ix, at))
                .collect::<R<Vec<Val>>>()
                .map(Val::Group),
            Type::Struct(i) => {
                let fields: Vec<Type> = self.structs[*i as usize].fields.iter().map(|f| f.ty.clone()).collect();
                let (mut at_leaf, mut out) = (leaf, Vec::new());
                for t in fields {
                    out.push(self.load_tree(tree, at_leaf, ix, &t, at)?);
                    at_leaf += self.leaf_count(&t);
                }
                Ok(Val::Group(out))
            }
            Type::Array(t, n) => {
                if *n > 1024 {
                    return Err(self.err("U006", at, "an array of more than 1024 elements is copied"));
                }
                let base = self.ix_mul(ix.unwrap_or(Ix::K(0)), *n as i64);
                let mut out = Vec::new();
                for i in 0..*n {
                    let ix = self.ix_add(base, Ix::K(i as i64));
                    out.push(self.load_tree(tree, leaf, Some(ix), t, at)?);
                }
                Ok(Val::Group(out))
            }
            Type::Fragment(..) => {
                let inner = self.fragment_type(ty);
                self.load_tree(tree, leaf, ix, &inner, at)
            }
            _ => self.load_leaf(tree, leaf, ix, at),
        }
    }

    fn load_leaf(&mut self, tree: &Rc<value::Tree>, leaf: usize, ix: Option<Ix>, at: At) -> R<Val> {
        let read = |s: &mut Self, local: u32, array: bool| {
            if array {
                let i = s.ix(ix.unwrap_or(Ix::K(0)));
                if s.guarded() {
                    let temp = s.new_local("element", Ty::scalar(s.b.locals[local as usize].elem.dtype), None);
                    s.guard(|s| {
                        let v = s.b.load(Space::Local(local), i);
                        s.b.set(temp, v);
                    });
                    return s.b.get(temp);
                }
                s.b.load(Space::Local(local), i)
            } else {
                s.b.get(local)
            }
        };
        match tree.leaves.get(leaf) {
            Some(Leaf::Cell { local, high, array, .. }) => {
                let (local, high, array) = (*local, *high, *array);
                let lo = read(self, local, array);
                Ok(match high {
                    Some(h) => Val::Pair(lo, read(self, h, array)),
                    None => Val::One(lo),
                })
            }
            Some(leaf @ Leaf::Pointer { local, to, array, which, .. }) => {
                let number = which.as_ref().map(|w| read(self, w.local, *array));
                let base = self.leaf_base(leaf, number, &tree.name, at)?;
                let ix = read(self, *local, *array);
                let unit = self.pointer_unit(&base, to);
                Ok(Val::Pointer(Ptr { base, unit, ix: Ix::V(ix), plus: 0, to: to.clone() }))
            }
            Some(Leaf::Texture(known)) => Ok(known.get().map_or(Val::Opaque, Val::Texture)),
            _ => Ok(Val::Opaque),
        }
    }

    /// Bytes that a stored pointer counts in.
    fn pointer_unit(&self, base: &Base, to: &Type) -> u32 {
        match base {
            Base::Space(_) | Base::OneOf(..) => {
                let sizes = self.spaces(base).into_iter().map(|s| self.store_of(s).size);
                sizes.fold(self.size(to).max(1), gcd)
            }
            _ => 1,
        }
    }

    /// Writes a value of the place's type.
    pub fn store(&mut self, place: &Place, v: &Val, at: At) -> R<()> {
        match place {
            Place::Value(_) => Err(self.err("U004", at, "this cannot be assigned to")),
            Place::Memory(p) => match &p.base {
                Base::Space(Space::Buffer(i)) if self.b.buffers[*i as usize].read_only => {
                    let name = self.b.buffers[*i as usize].name.clone();
                    let key = format!("w:{name}");
                    if self.choices.words.insert(key) {
                        Err(Fail::Retry)
                    } else {
                        self.store_memory(p, Space::Buffer(*i), p.plus, v, &p.to, at)
                    }
                }
                Base::Space(space) => {
                    if !matches!(space, Space::Local(_)) {
                        self.claim_aligned(p, &p.to);
                    }
                    self.store_memory(p, *space, p.plus, v, &p.to, at)
                }
                Base::OneOf(list, which) => self.store_one_of(p, list, *which, v, at),
                Base::Tree(tree, leaf) => {
                    let inner = self.tree_place(tree.clone(), *leaf, p, at)?;
                    self.store(&inner, v, at)
                }
                Base::Null => Err(self.err("U009", at, "this pointer is null, or nothing was assigned to it")),
            },
            Place::Tree { tree, leaf, ix, ty } => self.store_tree(tree, *leaf, *ix, v, ty, at),
        }
    }

    fn store_tree(&mut self, tree: &Rc<value::Tree>, leaf: usize, ix: Option<Ix>, v: &Val, ty: &Type, at: At) -> R<()> {
        match (ty, v) {
            (Type::Fragment(..), v) => {
                let inner = self.fragment_type(ty);
                self.store_tree(tree, leaf, ix, v, &inner, at)
            }
            (Type::Vector(s, _), Val::Group(parts)) => parts
                .iter()
                .enumerate()
                .try_for_each(|(i, v)| self.store_leaf(tree, leaf + i, ix, v, &Type::Scalar(*s), at)),
            (Type::Struct(i), Val::Group(parts)) => {
                let fields: Vec<Type> = self.structs[*i as usize].fields.iter().map(|f| f.ty.clone()).collect();
                let mut at_leaf = leaf;
                for (t, v) in fields.iter().zip(parts) {
                    self.store_tree(tree, at_leaf, ix, v, t, at)?;
                    at_leaf += self.leaf_count(t);
                }
                Ok(())
            }
            (Type::Array(t, n), Val::Group(parts)) => {
                let base = self.ix_mul(ix.unwrap_or(Ix::K(0)), *n as i64);
                for (i, v) in parts.iter().enumerate() {
                    let ix = self.ix_add(base, Ix::K(i as i64));
                    self.store_tree(tree, leaf, Some(ix), v, t, at)?;
                }
                Ok(())
            }
            _ => self.store_leaf(tree, leaf, ix, v, ty, at),
        }
    }

    fn store_leaf(&mut self, tree: &Rc<value::Tree>, leaf: usize, ix: Option<Ix>, v: &Val, ty: &Type, at: At) -> R<()> {
        let write = |s: &mut Self, local: u32, array: bool, v: ValueId| {
            if array {
                let i = s.ix(ix.unwrap_or(Ix::K(0)));
                s.guard(|s| s.b.store(Space::Local(local), i, v));
            } else {
                s.set_local(local, v);
            }
        };
        match tree.leaves.get(leaf) {
            Some(Leaf::Cell { local, high, array, scalar }) => match high {
                Some(h) => {
                    let (lo, hi) = self.pair(v);
                    write(self, *local, *array, lo);
                    write(self, *h, *array, hi);
                }
                None => {
                    let id = self.id(v, *scalar);
                    write(self, *local, *array, id);
                }
            },
            Some(Leaf::Pointer { local, base, to, array, depth, which }) => {
                let Val::Pointer(p) = v else { return Err(self.err("U004", at, "this is no pointer")) };
                let (known, mut into) = (base.borrow().clone(), p.base.clone());
                match (which, &known, &p.base) {
                    (Some(_), _, Base::Null) => {}
                    (Some(which), ..) => {
                        let (number, list) = self.numbered(*local, which, &p.base, &tree.name, at)?;
                        write(self, which.local, *array, number);
                        into = list;
                    }
                    (None, Some(old), Base::Null) if *old != Base::Null => {}
                    // In a straight line from its declaration a pointer may go over to another array.
                    (None, Some(old), new)
                        if old != new && *old != Base::Null && (*array || *depth != self.around()) =>
                    {
                        return Err(self.two_arrays(*local, &tree.name, old, new, at));
                    }
                    (None, _, Base::OneOf(..)) => {
                        let (old, new) = (p.base.clone(), p.base.clone());
                        return Err(self.two_arrays(*local, &tree.name, &old, &new, at));
                    }
                    _ => *base.borrow_mut() = Some(p.base.clone()),
                }
                let ix = match (&p.base, &into) {
                    (Base::Null, _) => Ix::K(u32::MAX as i64),
                    (Base::Space(_) | Base::OneOf(..), into) => {
                        let g = self.pointer_unit(into, to);
                        self.count_in(p.unit, p.ix, p.plus, g)
                    }
                    _ => p.ix,
                };
                let ix = self.ix(ix);
                write(self, *local, *array, ix);
            }
            Some(Leaf::Texture(known)) => match (known.get(), v) {
                (Some(old), Val::Texture(new)) if old != *new => {
                    return Err(self.refuse(
                        at,
                        format!("`{}` is one of two textures", tree.name),
                        "use one variable for each texture, and choose between the values read",
                    ));
                }
                (_, Val::Texture(new)) => known.set(Some(*new)),
                _ => {}
            },
            _ => {}
        }
        let _ = ty;
        Ok(())
    }
}
