//! Structs: operators, conversions, construction and default values.

use super::call::Operand;
use super::value::{Place, Tv, Val};
use super::*;
use crate::ast::*;

impl Lowerer<'_> {
    /// `a op b` by an operator function of the program.
    pub fn overloaded(&mut self, op: &str, a: &Tv, b: &Tv, at: At) -> R<Option<Tv>> {
        let user = |t: &Type| matches!(t, Type::Struct(_) | Type::Vector(..));
        if !user(&a.t) && !user(&b.t) {
            return Ok(None);
        }
        let name = format!("operator{op}");
        if let Type::Struct(id) = a.t
            && !self.methods(id, &name).is_empty()
        {
            let this = Place::Value(a.clone());
            let got = self.call_named(&name, None, &[Operand::Value(b.clone())], Some((this, id)), at)?;
            return got.map(|o| self.operand_value(&o, at)).transpose();
        }
        let args = [Operand::Value(a.clone()), Operand::Value(b.clone())];
        match self.call_named(&name, None, &args, None, at) {
            Ok(Some(o)) => Ok(Some(self.operand_value(&o, at)?)),
            Ok(None) => Ok(None),
            Err(e) => Err(e),
        }
    }

    pub fn overloaded_unary(&mut self, op: &str, a: &Tv, at: At) -> R<Option<Tv>> {
        let name = format!("operator{op}");
        if let Type::Struct(id) = a.t
            && !self.methods(id, &name).is_empty()
        {
            let got = self.call_named(&name, None, &[], Some((Place::Value(a.clone()), id)), at)?;
            return got.map(|o| self.operand_value(&o, at)).transpose();
        }
        let got = self.call_named(&name, None, &[Operand::Value(a.clone())], None, at)?;
        got.map(|o| self.operand_value(&o, at)).transpose()
    }

    /// A struct by one of its conversion operators: the one to that type, or the only one.
    pub fn conversion_operator(&mut self, tv: &Tv, to: &Type, at: At) -> R<Option<Tv>> {
        self.converted(tv, Some(to), at)
    }

    pub fn conversion_to_scalar(&mut self, tv: &Tv, at: At) -> R<Option<Tv>> {
        Ok(self.converted(tv, None, at)?.filter(|v| v.t.scalar().is_some()))
    }

    /// A struct made from one value: by its constructor, or by an aggregate's first field.
    pub fn construct_from(&mut self, id: u32, tv: Tv, at: At) -> R<Tv> {
        self.construct(id, &[Operand::Value(tv)], at)
    }

    /// A struct from constructor arguments.
    pub fn construct(&mut self, id: u32, args: &[Operand], at: At) -> R<Tv> {
        let t = Type::Struct(id);
        let constructors = self.methods(id, "constructor");
        if constructors.is_empty() {
            if let [one] = args
                && *one.ty() == t
            {
                return self.operand_value(one, at);
            }
            let fields: Vec<Field> = self.structs[id as usize].fields.clone();
            let mut parts = Vec::new();
            if args.len() > fields.len() {
                return Err(self.err("U004", at, format!("{} values for {} fields", args.len(), fields.len())));
            }
            for (f, a) in fields.iter().zip(args) {
                parts.push(self.operand_as(a, &f.ty, at)?.v);
            }
            for f in fields.iter().skip(args.len()) {
                parts.push(self.default_field(id, f, at)?);
            }
            return Ok(Tv { v: Val::Group(parts), t });
        }
        let place = self.variable("object", &t, at)?;
        self.default_fields(&place, id, at)?;
        self.call_named("constructor", None, args, Some((place.clone(), id)), at)?;
        self.load(&place, at)
    }

    pub(super) fn default_field(&mut self, id: u32, f: &Field, at: At) -> R<Val> {
        match self.p.structs[f.from.0].fields.get(f.from.1).and_then(|v| v.init.clone()) {
            Some(init) => {
                let t = f.ty.clone();
                self.in_struct(id, |s| s.initial_of(&init, &t, at)).map(|tv| tv.v)
            }
            None => self.zero(&f.ty, at),
        }
    }

    /// Fields with default values get them; the others are left.
    pub fn default_fields(&mut self, place: &Place, id: u32, at: At) -> R<()> {
        let fields: Vec<Field> = self.structs[id as usize].fields.clone();
        for f in fields {
            if let Some(init) = self.p.structs[f.from.0].fields.get(f.from.1).and_then(|v| v.init.clone()) {
                let t = f.ty.clone();
                let tv = self.in_struct(id, |s| s.initial_of(&init, &t, at))?;
                let field = self.field(place, &f.name, at)?;
                self.initialise(&field, &tv.v, at)?;
            }
        }
        Ok(())
    }

    pub(super) fn member_init(&mut self, name: &Arc<str>, args: &[Expr], at: At) -> R<()> {
        let Some(this) = self.frame().this.clone() else { return Ok(()) };
        if let Ok(field) = self.field(&this, name, at) {
            let t = field.ty().clone();
            let tv = self.initial_of(&Init::Args(args.to_vec(), false), &t, at)?;
            return self.store(&field, &tv.v, at);
        }
        // A delegated or base constructor.
        let mut values = Vec::new();
        for a in args {
            values.push(self.operand(a)?);
        }
        let Some(owner) = self.frame().owner else { return Ok(()) };
        let base = self.p.structs[self.structs[owner as usize].def].bases.iter().find_map(|b| match b {
            TypeExpr::Named(n) if n.last().id == *name => Some(b.clone()),
            _ => None,
        });
        let id = match base {
            Some(b) => match self.ty(&b, at)? {
                Type::Struct(id) => id,
                _ => return Ok(()),
            },
            None => owner,
        };
        self.call_named("constructor", None, &values, Some((this, id)), at)?;
        Ok(())
    }
}
