//! Parameters of kernels: uniforms for numbers, buffers for pointers.

use super::*;

impl Lowerer<'_> {
    pub(super) fn kernel_parameter(&mut self, p: &Param, index: usize) -> R<()> {
        let t = self.ty(&p.ty, p.at)?;
        if matches!(p.ty, TypeExpr::Reference(..)) {
            return Err(self.refuse(
                p.at,
                "a kernel parameter that is a reference",
                "take it by value or as a pointer",
            ));
        }
        let promise = matches!(&p.ty, TypeExpr::Pointer(_, true, true));
        let name = if p.name.is_empty() { format!("arg{index}") } else { p.name.to_string() };
        let v = self.parameter_value(&name, &t, promise, index, 0, p.at)?;
        // A word of the uniforms keeps their name anyway.
        if t.scalar().is_some_and(|s| s.dtype() != DType::U32) {
            self.name_value(&Tv { v: v.clone(), t: t.clone() }, &p.name);
        }
        let unchanged = !self.changed.contains(&p.name, &t);
        let binding = self.parameter(Tv { v, t }, &p.name, unchanged, p.at)?;
        self.bind(&p.name, binding);
        Ok(())
    }

    /// Uniforms and buffers for a parameter, or a part of one.
    pub(super) fn parameter_value(
        &mut self,
        name: &str,
        t: &Type,
        promise: bool,
        index: usize,
        offset: u32,
        at: At,
    ) -> R<Val> {
        match t {
            Type::Pointer(to) => self.pointer_parameter(name, to, promise, index, offset, at),
            Type::Scalar(s) => {
                let unique = self.unique(name);
                let (name, dtype, size) = (unique.to_string(), s.dtype(), s.size());
                self.args.push(Argument::Scalar { name, dtype, size, offset, parameter: index });
                let word = self.b.uniform(&unique);
                let v = if s.size() == 8 {
                    let hi = self.b.uniform(&Arc::from(format!("{unique}.hi")));
                    if *s == Scalar::Double {
                        if !self.caps.double {
                            return Err(self.no_double(at));
                        }
                        self.double(word, hi)
                    } else {
                        self.wide(word, hi, *s)
                    }
                } else if s.size() == 4 {
                    self.bits32(&Val::One(word), Scalar::UInt, *s)
                } else {
                    Val::One(self.narrow(word, Ix::K(0), *s))
                };
                Ok(v)
            }
            Type::Vector(..) | Type::Struct(_) | Type::Array(..) => {
                let names: Vec<String> = match t {
                    Type::Struct(i) => self.structs[*i as usize].fields.iter().map(|f| f.name.to_string()).collect(),
                    Type::Vector(_, n) => {
                        ["x", "y", "z", "w"].iter().take(*n as usize).map(|s| s.to_string()).collect()
                    }
                    Type::Array(_, n) => (0..*n).map(|i| i.to_string()).collect(),
                    _ => Vec::new(),
                };
                if names.len() > 256 {
                    return Err(self.refuse(at, "a parameter of more than 256 values", "pass it in a buffer"));
                }
                let parts = self.parts(t);
                let mut out = Vec::new();
                for ((o, part), n) in parts.iter().zip(names) {
                    out.push(self.parameter_value(&format!("{name}_{n}"), part, promise, index, offset + o, at)?);
                }
                Ok(Val::Group(out))
            }
            Type::Texture => self.texture_parameter(name, index, offset),
            Type::Lambda(_) | Type::Functor(_) => Ok(Val::Opaque),
            other => Err(self.refuse(
                at,
                format!("a kernel parameter of {}", self.type_name(other)),
                "pass numbers, structs of numbers, or pointers",
            )),
        }
    }

    pub(super) fn pointer_parameter(
        &mut self,
        name: &str,
        to: &Type,
        promise: bool,
        parameter: usize,
        offset: u32,
        at: At,
    ) -> R<Val> {
        let (pointers, number) = (self.shape.pointers, self.pointers.len());
        let null = offset == 0 && parameter < 64 && self.shape.nulls >> parameter & 1 == 1;
        if null || Pointers::bit(pointers.nulls, number) {
            self.pointers.push(None);
            return Ok(Val::Pointer(super::convert::null(to.clone())));
        }
        let before = self.pointers.get(pointers.first(number)).copied().flatten();
        let space = match before {
            Some(space) => space,
            None => {
                // A promise that nobody writes what this points to does not hold for the others.
                let space = self.buffer(name, to, promise && !pointers.shared(number), at)?;
                let element = match to {
                    Type::Scalar(s) | Type::Vector(s, _) => Some(s.dtype()),
                    _ => None,
                };
                self.args.push(Argument::Buffer { name: name.into(), element, offset, parameter });
                space
            }
        };
        self.pointers.push(Some(space));
        let base = Base::Space(space);
        if !Pointers::bit(pointers.starts, number) {
            let unit = self.store_of(space).size;
            return Ok(Val::Pointer(Ptr { base, unit, ix: Ix::K(0), plus: 0, to: to.clone() }));
        }
        let unit = self.size_align(to).1;
        let uniform = self.unique(&format!("{name}_start"));
        self.args.push(Argument::Start { name: uniform.to_string(), unit, offset, parameter });
        let start = self.b.uniform(&uniform);
        self.not_negative.insert(start);
        Ok(Val::Pointer(Ptr { base, unit, ix: Ix::V(start), plus: 0, to: to.clone() }))
    }

    /// A new storage buffer.
    pub(super) fn buffer(&mut self, name: &str, elem: &Type, promise: bool, at: At) -> R<Space> {
        if self.has_texture(elem) {
            return Err(self.refuse(
                at,
                "texture objects in device memory",
                "WGSL has no handles: pass each texture as its own argument",
            ));
        }
        if self.has_pointer(elem) {
            return Err(self.refuse(
                at,
                "an array of pointers in device memory",
                "WGSL has no addresses: pass each array as its own argument, or one array with offsets",
            ));
        }
        let unique = self.unique(name);
        let dtype = self.storage(&format!("b:{unique}"), elem);
        if dtype == DType::F64 && !self.caps.double {
            return Err(self.no_double(at));
        }
        let read_only = promise && !self.choices.words.contains(&format!("w:{unique}"));
        self.b.buffers.push(girih_simt::Buffer { name: unique, elem: Ty::scalar(dtype), written: false, read_only });
        Ok(Space::Buffer(self.b.buffers.len() as u32 - 1))
    }
}
