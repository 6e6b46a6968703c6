//! Enums: which one a constant belongs to, its value and type.

use super::value::{Binding, Place, Tv};
use super::*;
use crate::ast::*;

impl Lowerer<'_> {
    /// The type of an enum by name: in a struct, or the nearest one.
    pub(super) fn enum_type(&mut self, name: &str, inside: Option<usize>, at: At) -> R<Option<Type>> {
        let around = self.frames.last().and_then(|f| f.owner).map(|id| self.structs[id as usize].def);
        let named = |e: &&Enumeration| &*e.name == name && inside.is_none_or(|i| e.member_of == Some(i));
        let mut all: Vec<&Enumeration> = self.p.enums.iter().filter(named).collect();
        all.sort_by_key(|e| e.member_of.is_none() || e.member_of != around);
        let Some(first) = all.first() else { return Ok(None) };
        match first.ty.clone() {
            Some(t) => self.ty(&t, at).map(Some),
            None => Ok(Some(INT)),
        }
    }

    /// The value of a constant by its place in its enum.
    fn enum_value(&mut self, index: usize, item: usize, at: At) -> R<Tv> {
        let e = &self.p.enums[index];
        let ty = e.ty.clone();
        let explicit = e.items[..=item].iter().rposition(|i| i.1.is_some());
        let first = match explicit.and_then(|i| e.items[i].1.clone().map(|e| (i, e))) {
            Some((i, value)) => {
                // The constants before it are known by their own names.
                self.in_enum.push((index, i));
                let n = self.constant(&value);
                self.in_enum.pop();
                n? - i as i128
            }
            None => 0,
        };
        let n = first + item as i128;
        let scalar = match ty {
            Some(t) => self.ty(&t, at)?.scalar().unwrap_or(Scalar::Int),
            None if i32::try_from(n).is_ok() => Scalar::Int,
            None if u32::try_from(n).is_ok() => Scalar::UInt,
            None => Scalar::Long,
        };
        Ok(Tv::int(n, scalar))
    }

    /// One value of several constants of a name: they must agree, since namespaces are not told apart.
    fn agreed(&mut self, found: Vec<(usize, usize)>, name: &str, at: At) -> R<Option<Tv>> {
        let mut one: Option<Tv> = None;
        for (e, i) in found {
            let v = self.enum_value(e, i, at)?;
            if one.as_ref().is_some_and(|o| o.known() != v.known()) {
                return Err(self.err(
                    "U004",
                    at,
                    format!("`{name}` is ambiguous: several enums have one, with other values"),
                ));
            }
            one = Some(v);
        }
        Ok(one)
    }

    /// A constant of an enum at file scope, by its bare name.
    pub(super) fn enumerator(&mut self, name: &str, at: At) -> R<Option<Tv>> {
        if let Some((e, before)) = self.in_enum.last().copied()
            && let Some(i) = self.p.enums[e].items[..before].iter().position(|i| &*i.0 == name)
        {
            return self.enum_value(e, i, at).map(Some);
        }
        let mut found = Vec::new();
        for (k, e) in self.p.enums.iter().enumerate() {
            if !e.scoped
                && !e.local
                && e.member_of.is_none()
                && let Some(i) = e.items.iter().position(|i| &*i.0 == name)
            {
                found.push((k, i));
            }
        }
        self.agreed(found, name, at)
    }

    /// `Enum::constant`, perhaps with the struct of the enum before.
    pub(super) fn qualified_enumerator(&mut self, parts: &[Part], at: At) -> R<Option<Tv>> {
        let [.., owner, last] = parts else { return Ok(None) };
        if let Some(Binding::Place(Place::Value(tv))) = self.lookup(&format!("{}::{}", owner.id, last.id)) {
            return Ok(Some(tv.clone()));
        }
        let outer = parts.len().checked_sub(3).map(|i| parts[i].id.clone());
        let around = self.frames.last().and_then(|f| f.owner).map(|id| self.structs[id as usize].def);
        let mut found = Vec::new();
        for (k, e) in self.p.enums.iter().enumerate() {
            let of = e.member_of.map(|s| &self.p.structs[s].name);
            if e.name == owner.id
                && !e.local
                && (outer.is_none() || of.is_none() || of == outer.as_ref())
                && let Some(i) = e.items.iter().position(|i| i.0 == last.id)
            {
                found.push((k, i));
            }
        }
        if let Some(near) =
            found.iter().copied().find(|(k, _)| around.is_some() && self.p.enums[*k].member_of == around)
        {
            found = vec![near];
        }
        self.agreed(found, &format!("{}::{}", owner.id, last.id), at)
    }

    /// A constant of an enum inside of a struct.
    pub(super) fn member_enumerator(&mut self, id: u32, name: &str) -> R<Option<Tv>> {
        let def = self.structs[id as usize].def;
        let found = self.p.enums.iter().enumerate().find_map(|(k, e)| {
            let i = e.items.iter().position(|i| &*i.0 == name)?;
            (e.member_of == Some(def) && !e.scoped).then_some((k, i))
        });
        let Some((e, i)) = found else { return Ok(None) };
        if let Some((open, before)) = self.in_enum.last().copied()
            && open == e
            && i >= before
        {
            return Ok(None);
        }
        let at = self.p.structs[def].at;
        self.in_scope_of(id, name, |s| s.enum_value(e, i, at)).map(Some)
    }

    /// An enum of a function: its constants are names of the block.
    pub(super) fn local_enum(&mut self, index: usize, at: At) -> R<()> {
        let e = self.p.enums[index].clone();
        let t = match &e.ty {
            Some(t) => self.ty(t, at)?,
            None => INT,
        };
        self.bind(&e.name, Binding::Type(t));
        for (i, (name, _)) in e.items.iter().enumerate() {
            let v = Binding::Place(Place::Value(self.enum_value(index, i, at)?));
            self.bind(&format!("{}::{name}", e.name).into(), v.clone());
            if !e.scoped {
                self.bind(name, v);
            }
        }
        Ok(())
    }
}
