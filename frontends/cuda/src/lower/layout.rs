//! Sizes and offsets, as the Itanium ABI lays structs out; leaves of variables.

use super::value::{Binding, Leaf, Tree};
use super::*;
use girih_base::DType;
use std::cell::RefCell;

impl Lowerer<'_> {
    /// Size and alignment in bytes.
    pub fn size_align(&self, ty: &Type) -> (u32, u32) {
        match ty {
            Type::Scalar(s) => (s.size(), s.size()),
            Type::Vector(s, n) => {
                let size = s.size() * *n as u32;
                let align = if *n == 3 { s.size() } else { size.min(16) };
                (size, align)
            }
            Type::Struct(i) => {
                let s = &self.structs[*i as usize];
                (s.size, s.align)
            }
            Type::Array(t, n) => {
                let (size, align) = self.size_align(t);
                (size.saturating_mul(*n), align)
            }
            Type::Pointer(_) | Type::Null | Type::Texture => (8, 8),
            Type::Void | Type::Lambda(_) | Type::Group(_) | Type::Functor(_) | Type::Callable(_) => (1, 1),
            Type::Fragment(..) => (4, 4),
        }
    }

    pub fn size(&self, ty: &Type) -> u32 {
        self.size_align(ty).0
    }

    /// Number of leaves: scalars and pointers, an array counting as one of its elements.
    pub fn leaf_count(&self, ty: &Type) -> usize {
        match ty {
            Type::Vector(_, n) => *n as usize,
            Type::Struct(i) => self.structs[*i as usize].fields.iter().map(|f| self.leaf_count(&f.ty)).sum(),
            Type::Array(t, _) => self.leaf_count(t),
            _ => 1,
        }
    }

    /// Every scalar of a type with its byte offset, arrays unrolled.
    pub fn scalars(&self, ty: &Type, at: u32, out: &mut Vec<(u32, Type)>) {
        match ty {
            Type::Vector(s, n) => (0..*n as u32).for_each(|i| out.push((at + i * s.size(), Type::Scalar(*s)))),
            Type::Struct(i) => {
                for f in &self.structs[*i as usize].fields {
                    self.scalars(&f.ty, at + f.offset, out);
                }
            }
            Type::Array(t, n) => {
                let size = self.size(t);
                for i in 0..*n {
                    self.scalars(t, at + i * size, out);
                }
            }
            other => out.push((at, other.clone())),
        }
    }

    /// The element type that an array of `ty` with this key is stored in: the scalar where there is only one kind, else words.
    pub fn storage(&self, key: &str, ty: &Type) -> DType {
        if self.choices.words.contains(key) {
            return DType::U32;
        }
        if self.choices.longs.contains(key) {
            return DType::U64;
        }
        let mut scalars = BTreeSet::new();
        self.kinds(ty, &mut scalars);
        let mut kinds = scalars.iter();
        match (kinds.next(), kinds.next()) {
            (Some(Scalar::Float), None) => DType::F32,
            (Some(Scalar::Int), None) => DType::I32,
            (Some(Scalar::Double), None) => DType::F64,
            (Some(Scalar::Long | Scalar::LongLong), None) if self.caps.int64 => DType::I64,
            (Some(Scalar::ULong | Scalar::ULongLong), None) if self.caps.int64 => DType::U64,
            _ => DType::U32,
        }
    }

    fn kinds(&self, ty: &Type, out: &mut BTreeSet<Scalar>) {
        match ty {
            Type::Scalar(s) | Type::Vector(s, _) => {
                out.insert(*s);
            }
            Type::Struct(i) => self.structs[*i as usize].fields.iter().for_each(|f| self.kinds(&f.ty, out)),
            Type::Array(t, _) => self.kinds(t, out),
            // Words are the safe choice.
            _ => out.extend([Scalar::Char, Scalar::Int]),
        }
    }

    /// Whether a pointer is somewhere in the type.
    pub fn has_pointer(&self, ty: &Type) -> bool {
        match ty {
            Type::Pointer(_) => true,
            Type::Struct(i) => self.structs[*i as usize].fields.iter().any(|f| self.has_pointer(&f.ty)),
            Type::Array(t, _) => self.has_pointer(t),
            _ => false,
        }
    }

    /// Whether a texture object is somewhere in the type.
    pub fn has_texture(&self, ty: &Type) -> bool {
        match ty {
            Type::Texture => true,
            Type::Struct(i) => self.structs[*i as usize].fields.iter().any(|f| self.has_texture(&f.ty)),
            Type::Array(t, _) => self.has_texture(t),
            _ => false,
        }
    }

    /// Whether overlapping fields need memory.
    pub fn has_union(&self, ty: &Type) -> bool {
        match ty {
            Type::Struct(i) => {
                let s = &self.structs[*i as usize];
                self.p.structs[s.def].union || s.fields.iter().any(|f| self.has_union(&f.ty))
            }
            Type::Array(t, _) => self.has_union(t),
            _ => false,
        }
    }

    /// A variable as locals.
    pub fn tree(&mut self, name: &str, ty: &Type, at: At) -> R<Rc<Tree>> {
        let mut leaves = Vec::new();
        self.leaves(name, ty, None, at, &mut leaves)?;
        Ok(Rc::new(Tree { at, name: name.into(), leaves }))
    }

    fn leaves(&mut self, name: &str, ty: &Type, len: Option<u32>, at: At, out: &mut Vec<Leaf>) -> R<()> {
        if out.len() > 4096 {
            return Err(self.err("U006", at, "this variable has more than 4096 scalars"));
        }
        match ty {
            Type::Scalar(s) => {
                if *s == Scalar::Double && !self.caps.double {
                    return Err(self.no_double(at));
                }
                let (local, high) = match self.reg(*s) {
                    Some(dtype) => (self.new_local(name, Ty::scalar(dtype), len), None),
                    None => {
                        let word = Ty::scalar(DType::U32);
                        (self.new_local(name, word, len), Some(self.new_local(&format!("{name}_hi"), word, len)))
                    }
                };
                out.push(Leaf::Cell { local, high, scalar: *s, array: len.is_some() });
            }
            Type::Vector(s, n) => {
                for lane in ["x", "y", "z", "w"].iter().take(*n as usize) {
                    self.leaves(&format!("{name}_{lane}"), &Type::Scalar(*s), len, at, out)?;
                }
            }
            Type::Struct(i) => {
                let fields: Vec<(Arc<str>, Type)> =
                    self.structs[*i as usize].fields.iter().map(|f| (f.name.clone(), f.ty.clone())).collect();
                for (field, ty) in fields {
                    self.leaves(&format!("{name}_{field}"), &ty, len, at, out)?;
                }
            }
            Type::Array(t, n) => {
                let total = len.unwrap_or(1).checked_mul(*n).filter(|n| (1..=1 << 16).contains(n));
                let Some(total) = total else {
                    return Err(self.err("U006", at, "this array is empty or too large for a thread"));
                };
                self.leaves(name, t, Some(total), at, out)?;
            }
            Type::Pointer(to) => {
                let local = self.new_local(name, Ty::scalar(DType::U32), len);
                let depth = self.around();
                let which = self.which(local, len);
                out.push(Leaf::Pointer {
                    local,
                    base: RefCell::new(None),
                    to: (**to).clone(),
                    array: len.is_some(),
                    depth,
                    which,
                });
            }
            Type::Fragment(..) => {
                let inner = self.fragment_type(ty);
                self.leaves(name, &inner, len, at, out)?;
            }
            Type::Texture if len.is_none() => out.push(Leaf::Texture(std::cell::Cell::new(None))),
            Type::Texture => return Err(self.refuse(at, "an array of texture objects", "give each a name of its own")),
            _ => out.push(Leaf::Opaque),
        }
        Ok(())
    }

    /// A fragment's elements, all in every thread... of its share: see `wmma`.
    pub fn fragment_type(&self, ty: &Type) -> Type {
        match ty {
            Type::Fragment(_, s, [m, n, k], _) => {
                let total = match ty {
                    Type::Fragment(crate::types::Use::A, ..) => m * k,
                    Type::Fragment(crate::types::Use::B, ..) => k * n,
                    _ => m * n,
                };
                Type::Array(Rc::new(Type::Scalar(*s)), total.div_ceil(32))
            }
            other => other.clone(),
        }
    }

    pub fn no_double(&self, at: At) -> Fail {
        match self.err("U010", at, "this target has no double precision") {
            Fail::Diag(d) => Fail::Diag(
                d.help("write float literals with an `f` (1.0f), use the float functions, or choose a target with f64"),
            ),
            retry => retry,
        }
    }

    pub fn type_env(&self, id: u32) -> BTreeMap<Arc<str>, Binding> {
        self.structs[id as usize].env.clone()
    }
}
