//! What names and members stand for.

use super::call::Operand;
use super::value::{Base, Binding, Place, Ptr, Tv, Val};
use super::*;
use crate::ast::*;

impl Lowerer<'_> {
    /// A field of a place.
    pub fn field(&mut self, place: &Place, name: &str, at: At) -> R<Place> {
        let ty = place.ty().clone();
        let (index, offset, leaf_offset, t) = match &ty {
            Type::Vector(s, n) => {
                let lane = match name {
                    "x" | "r" => 0,
                    "y" | "g" => 1,
                    "z" | "b" => 2,
                    "w" | "a" => 3,
                    _ => 9,
                };
                if lane >= *n as usize {
                    return Err(self.err("U003", at, format!("{} has no lane `{name}`", self.type_name(&ty))));
                }
                (lane, lane as u32 * s.size(), lane, Type::Scalar(*s))
            }
            Type::Struct(id) => {
                let fields = &self.structs[*id as usize].fields;
                let Some(index) = fields.iter().position(|f| &*f.name == name) else {
                    return Err(self.err("U003", at, format!("{} has no field `{name}`", self.type_name(&ty))));
                };
                let leaves = fields[..index].iter().map(|f| self.leaf_count(&f.ty)).sum();
                (index, fields[index].offset, leaves, fields[index].ty.clone())
            }
            Type::Fragment(..) if name == "x" => {
                let inner = self.fragment_type(&ty);
                (0, 0, 0, inner)
            }
            other => return Err(self.err("U004", at, format!("{} has no fields", self.type_name(other)))),
        };
        Ok(match place {
            Place::Tree { tree, leaf, ix, .. } => {
                Place::Tree { tree: tree.clone(), leaf: leaf + leaf_offset, ix: *ix, ty: t }
            }
            Place::Memory(p) => match &p.base {
                Base::Tree(tree, leaf) => {
                    let base = Base::Tree(tree.clone(), leaf + leaf_offset);
                    Place::Memory(Ptr { base, to: t, ..p.clone() })
                }
                _ => Place::Memory(Ptr { plus: p.plus + offset as i64, to: t, ..p.clone() }),
            },
            Place::Value(tv) => {
                let v = match &tv.v {
                    Val::Group(parts) => parts.get(index).cloned().unwrap_or(Val::Void),
                    _ => Val::Void,
                };
                Place::Value(Tv { v, t })
            }
        })
    }

    pub(super) fn member(&mut self, a: &Expr, part: &Part, arrow: bool, at: At) -> R<Operand> {
        if let Some(v) = self.builtin_member(a, part, at)? {
            return Ok(Operand::Value(v));
        }
        let place = self.object(a, arrow, at)?;
        if let Type::Fragment(..) = place.ty()
            && &*part.id == "num_elements"
        {
            let Type::Array(_, n) = self.fragment_type(place.ty()) else {
                return Err(self.err("U004", at, "no elements"));
            };
            return Ok(Operand::Value(Tv::int(n as i128, Scalar::Int)));
        }
        match self.field(&place, &part.id, at) {
            Ok(p) => Ok(Operand::Place(p)),
            Err(e) => match *place.ty() {
                Type::Struct(id) => match self.static_member(id, &part.id)? {
                    Some(tv) => Ok(Operand::Value(tv)),
                    None => Err(e),
                },
                _ => Err(e),
            },
        }
    }

    /// The object of a member access.
    pub fn object(&mut self, a: &Expr, arrow: bool, at: At) -> R<Place> {
        let o = self.operand(a)?;
        if arrow {
            let tv = self.operand_value(&o, at)?;
            return self.dereference(tv, at);
        }
        Ok(match o {
            Operand::Place(p) => p,
            Operand::Value(tv) => Place::Value(tv),
            Operand::Braces(_) => return Err(self.err("U004", at, "a list has no members")),
        })
    }

    /// A static constant of a struct.
    pub fn static_member(&mut self, id: u32, name: &str) -> R<Option<Tv>> {
        let def = self.structs[id as usize].def;
        let Some(var) = self.p.structs[def].statics.iter().find(|v| &*v.name == name).cloned() else {
            if let Some(v) = self.member_enumerator(id, name)? {
                return Ok(Some(v));
            }
            let bases = self.p.structs[def].bases.clone();
            for b in bases {
                let at = self.p.structs[def].at;
                match self.in_struct(id, |s| s.ty(&b, at))? {
                    Type::Struct(base) => {
                        if let Some(v) = self.static_member(base, name)? {
                            return Ok(Some(v));
                        }
                    }
                    t if name == "value" && (t == super::template::TRUE || t == super::template::FALSE) => {
                        return Ok(Some(Tv::int((t == super::template::TRUE) as i128, Scalar::Bool)));
                    }
                    _ => {}
                }
            }
            return Ok(None);
        };
        let Some(init) = &var.init else { return Ok(None) };
        let at = var.at;
        self.in_scope_of(id, name, |s| {
            let t = s.declared(&var.ty, Some(init), at)?;
            s.initial_of(init, &t, at)
        })
        .map(Some)
    }

    /// Evaluates with the names of a struct, as its static constants do.
    pub(super) fn in_scope_of<T>(&mut self, id: u32, name: &str, f: impl FnOnce(&mut Self) -> R<T>) -> R<T> {
        self.frames.push(self.struct_frame(id, name));
        let done = self.in_struct(id, f);
        self.frames.pop();
        done
    }

    /// A frame in which names are those of a struct.
    pub(super) fn struct_frame(&self, id: u32, name: &str) -> Frame {
        Frame {
            ret: Type::Void,
            result: None,
            done: None,
            masks: self.masks.len(),
            loops: Vec::new(),
            leaves: false,
            collective: false,
            this: None,
            owner: Some(id),
            name: name.into(),
        }
    }

    pub(super) fn name(&mut self, n: &Name, e: &Expr) -> R<Operand> {
        let part = n.last();
        if n.parts.len() > 1 {
            let owner = &n.parts[n.parts.len() - 2];
            if let Some(v) = self.qualified_enumerator(&n.parts, e.at)? {
                return Ok(Operand::Value(v));
            }
            let is_type = self.p.structs.iter().any(|s| s.name == owner.id)
                || self.p.aliases.contains_key(&owner.id)
                || matches!(self.lookup(&owner.id), Some(Binding::Type(_)))
                || self.frames.last().and_then(|f| f.owner).is_some_and(|id| {
                    let def = self.structs[id as usize].def;
                    self.p.structs[def].aliases.iter().any(|a| a.0 == owner.id)
                });
            if is_type {
                let owner = TypeExpr::Named(Name { parts: n.parts[..n.parts.len() - 1].to_vec(), at: n.at });
                if let Type::Struct(id) = self.ty(&owner, n.at)?
                    && let Some(tv) = self.static_member(id, &part.id)?
                {
                    return Ok(Operand::Value(tv));
                }
            }
        } else if let Some(b) = self.lookup(&part.id) {
            return match b.clone() {
                Binding::Place(Place::Value(tv)) => Ok(Operand::Value(tv)),
                Binding::Place(p) => Ok(Operand::Place(p)),
                _ => Err(self.err("U004", e.at, format!("`{}` is a type, not a value", part.id))),
            };
        }
        if let Some((this, owner)) = self.frames.last().map(|f| (f.this.clone(), f.owner)) {
            if let Some(this) = &this
                && let Type::Struct(id) = this.ty()
                && self.structs[*id as usize].fields.iter().any(|f| f.name == part.id)
            {
                let this = this.clone();
                return self.field(&this, &part.id, e.at).map(Operand::Place);
            }
            if let Some(id) = owner
                && let Some(tv) = self.static_member(id, &part.id)?
            {
                return Ok(Operand::Value(tv));
            }
        }
        if let Some(v) = self.enumerator(&part.id, e.at)? {
            return Ok(Operand::Value(v));
        }
        if let Some(i) = self.p.globals.iter().position(|g| g.name == part.id) {
            return self.global(i, part, e.at);
        }
        if let Some(tv) = self.builtin_value(n, e.at)? {
            return Ok(Operand::Value(tv));
        }
        if self.p.functions.iter().any(|f| f.name == part.id) {
            return Ok(Operand::Value(Tv { v: Val::Opaque, t: Type::Callable(part.id.clone()) }));
        }
        Err(self.err("U003", e.at, format!("`{}` is not known here", part.id)))
    }
}
