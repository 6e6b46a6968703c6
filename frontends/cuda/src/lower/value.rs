//! Values, places and bindings.

use super::*;
use girih_base::DType;
use girih_simt::{Literal, Op};
use std::cell::Cell;

/// The value of an expression.
#[derive(Clone, Debug)]
pub(crate) enum Val {
    Void,
    /// A constant; integers wrapped to their type.
    Int(i128),
    Float(f64),
    /// A scalar.
    One(ValueId),
    /// A 64-bit integer as two words, low first.
    Pair(ValueId, ValueId),
    /// Fields, lanes or elements.
    Group(Vec<Val>),
    Pointer(Ptr),
    /// A texture or surface, by its number among the kernel's.
    Texture(usize),
    /// A lambda or functor object without state of its own.
    Opaque,
    /// A string: nothing that a kernel could read.
    Text,
}

/// A value with its type.
#[derive(Clone, Debug)]
pub(crate) struct Tv {
    pub v: Val,
    pub t: Type,
}

/// An index: known or computed (u32).
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Ix {
    K(i64),
    V(ValueId),
}

/// What a pointer points into.
#[derive(Clone, Debug)]
pub(crate) enum Base {
    /// An array in memory.
    Space(Space),
    /// One of several arrays; the value is its number in the list.
    OneOf(Rc<[Space]>, ValueId),
    /// A variable, from one of its leaves.
    Tree(Rc<Tree>, usize),
    Null,
}

impl PartialEq for Base {
    fn eq(&self, other: &Base) -> bool {
        match (self, other) {
            (Base::Space(a), Base::Space(b)) => a == b,
            (Base::Tree(a, i), Base::Tree(b, j)) => Rc::ptr_eq(a, b) && i == j,
            (Base::OneOf(a, i), Base::OneOf(b, j)) => a == b && i == j,
            (Base::Null, Base::Null) => true,
            _ => false,
        }
    }
}

/// A pointer: `ix * unit + plus` bytes into its base. Into a variable, `ix` counts elements and the bytes are not used.
#[derive(Clone, Debug)]
pub(crate) struct Ptr {
    pub base: Base,
    pub unit: u32,
    pub ix: Ix,
    pub plus: i64,
    pub to: Type,
}

/// A variable of the thread, as one local per scalar in it.
#[derive(Debug)]
pub(crate) struct Tree {
    pub at: At,
    pub name: Arc<str>,
    pub leaves: Vec<Leaf>,
}

#[derive(Debug)]
pub(crate) enum Leaf {
    /// A scalar, or an array of them; the second local holds the high words of pairs.
    Cell { local: u32, high: Option<u32>, scalar: Scalar, array: bool },
    /// A pointer: its base is known once something is assigned.
    /// `depth`: the control flow around its declaration; `which`: it goes over several arrays.
    Pointer {
        local: u32,
        base: RefCell<Option<Base>>,
        to: Type,
        array: bool,
        depth: usize,
        which: Option<super::either::Which>,
    },
    /// A texture object, once one is assigned.
    Texture(Cell<Option<usize>>),
    /// Something without bits.
    Opaque,
}

/// Where a value can be kept.
#[derive(Clone, Debug)]
pub(crate) enum Place {
    /// Part of a variable.
    Tree { tree: Rc<Tree>, leaf: usize, ix: Option<Ix>, ty: Type },
    /// In memory; the type is what the pointer points to.
    Memory(Ptr),
    /// A value that cannot change.
    Value(Tv),
}

/// What a name means.
#[derive(Clone, Debug)]
pub(crate) enum Binding {
    Place(Place),
    Type(Type),
    /// A parameter pack.
    Pack(Vec<Binding>),
}

/// A lambda with the names it sees.
#[derive(Debug)]
pub(crate) struct Closure {
    pub lambda: Arc<crate::ast::Lambda>,
    pub scopes: Vec<BTreeMap<Arc<str>, Binding>>,
}

impl Place {
    pub fn ty(&self) -> &Type {
        match self {
            Place::Tree { ty, .. } => ty,
            Place::Memory(p) => &p.to,
            Place::Value(tv) => &tv.t,
        }
    }
}

impl Tv {
    pub fn int(v: i128, s: Scalar) -> Tv {
        Tv { v: Val::Int(s.wrap(v)), t: Type::Scalar(s) }
    }

    pub fn one(v: ValueId, s: Scalar) -> Tv {
        Tv { v: Val::One(v), t: Type::Scalar(s) }
    }

    pub fn void() -> Tv {
        Tv { v: Val::Void, t: Type::Void }
    }

    /// The integer constant.
    pub fn known(&self) -> Option<i128> {
        match self.v {
            Val::Int(v) => Some(v),
            _ => None,
        }
    }
}

impl Lowerer<'_> {
    /// The register type of a scalar; `None` for pairs.
    pub fn reg(&self, s: Scalar) -> Option<DType> {
        Some(match s {
            Scalar::Bool => DType::Bool,
            Scalar::Half | Scalar::Bf16 | Scalar::Float => DType::F32,
            Scalar::Double => DType::F64,
            s if s.wide() && !self.caps.int64 => return None,
            s if s.wide() => {
                if s.signed() {
                    DType::I64
                } else {
                    DType::U64
                }
            }
            s => {
                if s.signed() {
                    DType::I32
                } else {
                    DType::U32
                }
            }
        })
    }

    /// A scalar as one SIMT value of its register type; pairs give their low word.
    pub fn id(&mut self, v: &Val, s: Scalar) -> ValueId {
        match v {
            Val::One(v) | Val::Pair(v, _) => *v,
            Val::Int(n) => match self.reg(s) {
                Some(DType::I32) => self.b.int(*n as i32),
                Some(DType::U32) => self.b.uint(*n as u32),
                Some(dtype) if dtype.is_float() => {
                    self.b.constant(Literal::Float((*n as f64).to_bits()), Ty::scalar(dtype))
                }
                Some(dtype) => self.b.constant(Literal::Int(*n as i64), Ty::scalar(dtype)),
                None => self.b.uint(*n as u32),
            },
            Val::Float(f) => {
                let dtype = self.reg(s).filter(|d| d.is_float()).unwrap_or(DType::F32);
                if f.is_nan() || f.is_infinite() {
                    // WGSL has no such literals; their bits are read.
                    let f = *f;
                    if dtype == DType::F32 {
                        let bits = self.b.uint((f as f32).to_bits());
                        return self.b.bitcast(bits, DType::F32);
                    }
                }
                self.b.constant(Literal::Float(f.to_bits()), Ty::scalar(dtype))
            }
            _ => self.b.uint(0),
        }
    }

    /// Both words of a 64-bit integer.
    pub fn pair(&mut self, v: &Val) -> (ValueId, ValueId) {
        match v {
            Val::Pair(lo, hi) => (*lo, *hi),
            Val::Int(n) => (self.b.uint(*n as u32), self.b.uint((*n >> 32) as u32)),
            Val::One(v) => {
                let (wide, n) = (*v, self.b.constant(Literal::Int(32), Ty::scalar(DType::U64)));
                let bits = if self.b.ty(wide).dtype == DType::I64 { self.b.bitcast(wide, DType::U64) } else { wide };
                let lo = self.b.cast(bits, DType::U32);
                let high = self.b.map(girih_base::ScalarOp::Shr, &[bits, n]);
                (lo, self.b.cast(high, DType::U32))
            }
            _ => (self.b.uint(0), self.b.uint(0)),
        }
    }

    /// A double from its words.
    pub fn double(&mut self, lo: ValueId, hi: ValueId) -> Val {
        let int64 = std::mem::replace(&mut self.caps.int64, true);
        let bits = self.wide(lo, hi, Scalar::ULong);
        self.caps.int64 = int64;
        match bits {
            Val::One(bits) => Val::One(self.b.bitcast(bits, DType::F64)),
            other => other,
        }
    }

    /// The words of a double.
    pub fn words_of(&mut self, v: &Val) -> (ValueId, ValueId) {
        let id = self.id(v, Scalar::Double);
        let bits = self.b.bitcast(id, DType::U64);
        self.pair(&Val::One(bits))
    }

    /// A 64-bit integer from two words.
    pub fn wide(&mut self, lo: ValueId, hi: ValueId, s: Scalar) -> Val {
        match self.reg(s) {
            None => Val::Pair(lo, hi),
            Some(dtype) => {
                let (l, h) = (self.b.cast(lo, DType::U64), self.b.cast(hi, DType::U64));
                let n = self.b.constant(Literal::Int(32), Ty::scalar(DType::U64));
                let h = self.b.map(girih_base::ScalarOp::Shl, &[h, n]);
                let both = self.b.map(girih_base::ScalarOp::Or, &[l, h]);
                Val::One(if dtype == DType::U64 { both } else { self.b.bitcast(both, dtype) })
            }
        }
    }

    /// An index as a u32 value.
    pub fn ix(&mut self, i: Ix) -> ValueId {
        match i {
            Ix::K(n) => self.b.uint(n as u32),
            Ix::V(v) => v,
        }
    }

    pub fn ix_add(&mut self, a: Ix, b: Ix) -> Ix {
        match (a, b) {
            (Ix::K(x), Ix::K(y)) => Ix::K(x.wrapping_add(y)),
            (Ix::K(0), x) | (x, Ix::K(0)) => x,
            (Ix::V(x), Ix::K(n)) | (Ix::K(n), Ix::V(x)) if n < 0 && n > -(1 << 31) => {
                let n = self.b.uint((-n) as u32);
                Ix::V(self.b.map(girih_base::ScalarOp::Sub, &[x, n]))
            }
            (a, b) => {
                let (x, y) = (self.ix(a), self.ix(b));
                Ix::V(self.b.add(x, y))
            }
        }
    }

    pub fn ix_mul(&mut self, a: Ix, n: i64) -> Ix {
        match a {
            Ix::K(x) => Ix::K(x.wrapping_mul(n)),
            a if n == 1 => a,
            Ix::V(x) => {
                let n = self.b.uint(n as u32);
                Ix::V(self.b.mul(x, n))
            }
        }
    }

    pub fn ix_div(&mut self, a: Ix, n: i64) -> Ix {
        match a {
            Ix::K(x) => Ix::K(x.div_euclid(n)),
            a if n == 1 => a,
            Ix::V(x) if n.count_ones() == 1 => {
                let shift = self.b.uint(n.trailing_zeros());
                Ix::V(self.b.map(girih_base::ScalarOp::Shr, &[x, shift]))
            }
            Ix::V(x) => {
                let n = self.b.uint(n as u32);
                Ix::V(self.b.map(girih_base::ScalarOp::Div, &[x, n]))
            }
        }
    }

    /// Writes a local in active threads only.
    pub fn set_local(&mut self, local: u32, v: ValueId) {
        self.guard(|s| s.b.set(local, v));
    }

    /// Runs in active threads only.
    pub fn guard(&mut self, f: impl FnOnce(&mut Self)) {
        match self.masks.last().filter(|_| !self.plain).map(|m| m.local) {
            Some(mask) => {
                let on = self.b.get(mask);
                self.open();
                f(self);
                let body = self.close();
                self.b.effect(Op::If(on, body, Vec::new()));
            }
            None => f(self),
        }
    }

    /// Whether effects need a guard.
    pub fn guarded(&self) -> bool {
        !self.plain && !self.masks.is_empty()
    }
}
