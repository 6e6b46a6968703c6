//! Conversions between types, as C++ defines them.

mod register;

use super::value::{Base, Ix, Place, Ptr, Tv, Val};
use super::*;
use girih_base::{DType, ScalarOp};
use girih_simt::{Literal, Op};
use half::{bf16, f16};

/// Rounds a constant to a float type.
pub(crate) fn round(f: f64, s: Scalar) -> f64 {
    // By way of an f32 that is rounded to odd, so that the narrow one is rounded once.
    let odd = || {
        let near = f as f32;
        let even = near.to_bits() & 1 == 0;
        match (near as f64).abs().partial_cmp(&f.abs()) {
            Some(std::cmp::Ordering::Greater) if even && near.is_finite() => f32::from_bits(near.to_bits() - 1),
            Some(std::cmp::Ordering::Less) if even && near.is_finite() => f32::from_bits(near.to_bits() + 1),
            _ => near,
        }
    };
    match s {
        Scalar::Half => f16::from_f32(odd()).to_f64(),
        Scalar::Bf16 => bf16::from_f32(odd()).to_f64(),
        Scalar::Float => f as f32 as f64,
        _ => f,
    }
}

impl Lowerer<'_> {
    /// Converts to a type, as an assignment does.
    pub fn convert(&mut self, tv: Tv, to: &Type, at: At) -> R<Tv> {
        if tv.t == *to {
            return Ok(tv);
        }
        let tv = self.decay(tv, at)?;
        match (&tv.t, to) {
            (a, b) if a == b => Ok(tv),
            (Type::Scalar(_), Type::Scalar(d)) => {
                let v = self.scalar_to(&tv, *d, at)?;
                Ok(Tv { v, t: to.clone() })
            }
            (Type::Pointer(_), Type::Scalar(Scalar::Bool)) => {
                // A text beside a condition, as assertions have them.
                if matches!(tv.v, Val::Text) {
                    return Ok(Tv::int(1, Scalar::Bool));
                }
                let Val::Pointer(p) = &tv.v else { return Err(self.err("U004", at, "this is no pointer")) };
                let v = self.not_null(p);
                Ok(Tv { v, t: to.clone() })
            }
            (Type::Null, Type::Scalar(Scalar::Bool)) => Ok(Tv::int(0, Scalar::Bool)),
            (Type::Null, Type::Pointer(t)) => Ok(Tv { v: Val::Pointer(null((**t).clone())), t: to.clone() }),
            (Type::Scalar(s), Type::Pointer(t)) if s.is_int() && tv.known() == Some(0) => {
                Ok(Tv { v: Val::Pointer(null((**t).clone())), t: to.clone() })
            }
            (Type::Pointer(_), Type::Pointer(t)) => {
                let t = (**t).clone();
                let v = self.repoint(tv.v, t, at)?;
                Ok(Tv { v, t: to.clone() })
            }
            (Type::Vector(a, n), Type::Vector(b, m)) if a == b && m < n => {
                let Val::Group(mut parts) = tv.v else { return Ok(tv) };
                parts.truncate(*m as usize);
                Ok(Tv { v: Val::Group(parts), t: to.clone() })
            }
            (Type::Scalar(_), Type::Vector(s, 2)) if s.narrow_float() => {
                let v = self.scalar_to(&tv, *s, at)?;
                Ok(Tv { v: Val::Group(vec![v.clone(), v]), t: to.clone() })
            }
            // dim3 from a number.
            (Type::Scalar(s), Type::Vector(Scalar::UInt, 3)) if s.is_int() => {
                let v = self.scalar_to(&tv, Scalar::UInt, at)?;
                Ok(Tv { v: Val::Group(vec![v, Val::Int(1), Val::Int(1)]), t: to.clone() })
            }
            (Type::Texture, _) | (_, Type::Texture) => Err(self.refuse(
                at,
                "a texture object as a number",
                "a texture is known by its parameter: pass the object itself",
            )),
            (Type::Group(_), Type::Group(_))
            | (Type::Callable(_), Type::Callable(_))
            | (Type::Lambda(_), Type::Callable(_)) => Ok(Tv { v: tv.v, t: tv.t }),
            (_, Type::Struct(id)) => self.construct_from(*id, tv, at),
            (Type::Struct(_), _) => match self.conversion_operator(&tv, to, at)? {
                Some(v) => self.convert(v, to, at),
                None => Err(self.no_conversion(&tv.t, to, at)),
            },
            (_, Type::Void) => Ok(Tv::void()),
            _ => Err(self.no_conversion(&tv.t, to, at)),
        }
    }

    fn no_conversion(&self, from: &Type, to: &Type, at: At) -> Fail {
        self.err("U004", at, format!("{} does not convert to {}", self.type_name(from), self.type_name(to)))
    }

    /// Arrays as pointers to their first element; other values as they are.
    pub fn decay(&mut self, tv: Tv, at: At) -> R<Tv> {
        match &tv.t {
            Type::Array(..) => Err(self.err("U004", at, "an array is used as a value")),
            _ => Ok(tv),
        }
    }

    /// A place as a value: arrays become pointers.
    pub fn rvalue(&mut self, place: &Place, at: At) -> R<Tv> {
        match place.ty().clone() {
            Type::Array(t, n) => {
                let p = match place {
                    Place::Tree { tree, leaf, ix, .. } => {
                        let ix = self.ix_mul(ix.unwrap_or(Ix::K(0)), n as i64);
                        Ptr { base: Base::Tree(tree.clone(), *leaf), unit: 1, ix, plus: 0, to: (*t).clone() }
                    }
                    Place::Memory(p) => {
                        let mut p = p.clone();
                        if let Base::Tree(..) = p.base {
                            p.ix = self.ix_mul(p.ix, n as i64);
                        }
                        p.to = (*t).clone();
                        p
                    }
                    Place::Value(tv) => {
                        // A constant array is given a home.
                        let home = self.home(tv.clone(), "table", at)?;
                        return self.rvalue(&home, at);
                    }
                };
                Ok(Tv { v: Val::Pointer(p), t: Type::Pointer(t) })
            }
            _ => self.load(place, at),
        }
    }

    /// A variable that holds the value.
    pub fn home(&mut self, tv: Tv, name: &str, at: At) -> R<Place> {
        let place = self.variable(name, &tv.t.clone(), at)?;
        self.initialise(&place, &tv.v, at)?;
        Ok(place)
    }

    /// A pointer to another type at the same address.
    pub fn repoint(&mut self, v: Val, to: Type, at: At) -> R<Val> {
        let Val::Pointer(mut p) = v else { return Err(self.err("U004", at, "this is no pointer")) };
        if p.to == to {
            return Ok(Val::Pointer(p));
        }
        if let Base::Tree(tree, _) = &p.base
            && to != Type::Void
            && p.to != Type::Void
        {
            let (mut a, mut b) = (Vec::new(), Vec::new());
            self.scalars(&p.to, 0, &mut a);
            self.scalars(&to, 0, &mut b);
            // An array and its element, or types of one layout, share their locals.
            let same = a.iter().zip(&b).all(|(x, y)| x == y) && a.len() == b.len();
            if !same {
                let at_var = tree.at;
                return Err(self.need_memory(at_var, at));
            }
        }
        p.to = to;
        Ok(Val::Pointer(p))
    }

    fn not_null(&mut self, p: &Ptr) -> Val {
        match (&p.base, p.ix) {
            (Base::Null, _) => Val::Int(0),
            (_, Ix::V(v)) if p.plus == 0 => {
                let none = self.b.uint(u32::MAX);
                Val::One(self.b.map(ScalarOp::Ne, &[v, none]))
            }
            _ => Val::Int(1),
        }
    }

    /// A scalar of another scalar type.
    pub fn scalar_to(&mut self, tv: &Tv, to: Scalar, at: At) -> R<Val> {
        let Some(from) = tv.t.scalar() else {
            return Err(self.err("U004", at, format!("{} is no number", self.type_name(&tv.t))));
        };
        if from == to {
            return Ok(tv.v.clone());
        }
        match tv.v {
            Val::Int(n) if to == Scalar::Bool => return Ok(Val::Int((n != 0) as i128)),
            Val::Int(n) if to.is_int() => return Ok(Val::Int(to.wrap(n))),
            Val::Int(n) => {
                let f = if to == Scalar::Float { n as f32 as f64 } else { n as f64 };
                return Ok(Val::Float(round(f, to)));
            }
            Val::Float(f) if to.is_float() => return Ok(Val::Float(round(f, to))),
            Val::Float(f) if to == Scalar::Bool => return Ok(Val::Int((f != 0.0) as i128)),
            Val::Float(f) => {
                let t = f.trunc() as i128;
                let bits = to.size() * 8;
                let (lo, hi) = if to.signed() {
                    (-(1i128 << (bits - 1)), (1i128 << (bits - 1)) - 1)
                } else {
                    (0, (1i128 << bits) - 1)
                };
                return Ok(Val::Int(t.clamp(lo, hi)));
            }
            _ => {}
        }
        if to == Scalar::Double && !self.caps.double {
            return Err(self.no_double(at));
        }
        Ok(self.convert_register(&tv.v, from, to))
    }

    /// A condition: known, or a bool value.
    pub fn truth(&mut self, tv: Tv, at: At) -> R<Tv> {
        self.convert(tv, &BOOL, at)
    }

    /// The same bits as another type of the same size.
    pub fn reinterpret(&mut self, tv: &Tv, to: &Type, at: At) -> R<Tv> {
        let (a, b) = (self.size(&tv.t), self.size(to));
        if a != b {
            return Err(self.err("U004", at, format!("{a} bytes as {b} bytes")));
        }
        let words = a.div_ceil(4);
        // Through a word array of the thread.
        let local = self.new_local("bits", Ty::scalar(DType::U32), Some(words.max(1)));
        let space = Space::Local(local);
        let plain = std::mem::replace(&mut self.plain, true);
        let source = Ptr { base: Base::Space(space), unit: 4, ix: Ix::K(0), plus: 0, to: tv.t.clone() };
        self.store(&Place::Memory(source.clone()), &tv.v, at)?;
        let got = self.load(&Place::Memory(Ptr { to: to.clone(), ..source }), at);
        self.plain = plain;
        got
    }

    /// A bitcast of scalars of 32 bits.
    pub fn bits32(&mut self, v: &Val, from: Scalar, to: Scalar) -> Val {
        let x = self.id(v, from);
        let Some(dtype) = self.reg(to) else { return Val::One(x) };
        Val::One(self.b_bits(x, dtype))
    }

    /// A comment in the generated source.
    pub fn comment(&mut self, text: &str) {
        self.b.effect(Op::Comment(text.into()));
    }
}

/// A null pointer.
pub(crate) fn null(to: Type) -> Ptr {
    Ptr { base: Base::Null, unit: 1, ix: Ix::K(u32::MAX as i64), plus: 0, to }
}
