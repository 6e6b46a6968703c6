//! Pointers that point into one of several arrays: a number beside the index says which, and every access asks it.

use super::value::{Base, Ix, Leaf, Place, Ptr, Tv, Val};
use super::*;
use girih_base::{DType, ScalarOp as S};
use girih_simt::Op;

/// The arrays that a pointer variable may point into.
#[derive(Debug)]
pub(crate) struct Which {
    /// Variable with the array's number.
    pub local: u32,
    /// The arrays by name: all are known only when the walk is over.
    pub names: Vec<String>,
}

impl Lowerer<'_> {
    /// The names of the arrays behind a pointer; none for null and for variables of the thread.
    fn array_names(&self, base: &Base) -> Option<Vec<String>> {
        match base {
            Base::Space(s) => Some(vec![self.space_key(*s)]),
            Base::OneOf(list, _) => Some(list.iter().map(|s| self.space_key(*s)).collect()),
            Base::Tree(..) | Base::Null => None,
        }
    }

    /// What earlier walks learnt of a pointer variable.
    pub(super) fn which(&mut self, local: u32, len: Option<u32>) -> Option<Which> {
        let name = self.b.locals[local as usize].name.clone();
        let names: Vec<String> = self.choices.either.get(&*name)?.iter().cloned().collect();
        let local = self.new_local(&format!("{name}_array"), Ty::scalar(DType::U32), len);
        Some(Which { local, names })
    }

    /// A pointer variable that has pointed into `old` gets a pointer into `new`: from the next walk on it has a number.
    pub(super) fn two_arrays(&mut self, local: u32, name: &str, old: &Base, new: &Base, at: At) -> Fail {
        for base in [old, new] {
            if let Base::Tree(tree, _) = base
                && self.choices.memory.insert(tree.at)
            {
                return Fail::Retry;
            }
        }
        let (Some(a), Some(b)) = (self.array_names(old), self.array_names(new)) else {
            return self.refuse(
                at,
                format!("pointer `{name}` points into two different variables"),
                "use one pointer for each, and choose between the values instead of the addresses",
            );
        };
        let key = self.b.locals[local as usize].name.to_string();
        let known = self.choices.either.entry(key).or_default();
        let before = known.len();
        known.extend(a.into_iter().chain(b));
        if known.len() > before {
            return Fail::Retry;
        }
        self.err("U009", at, format!("pointer `{name}` cannot be followed"))
    }

    /// The arrays of a pointer variable.
    pub(super) fn arrays(&self, which: &Which, at: At) -> R<Rc<[Space]>> {
        let place = |n: &String| -> Option<Space> {
            let (kind, name) = n.split_once(':')?;
            let index = match kind {
                "b" => self.b.buffers.iter().position(|b| &*b.name == name)?,
                "s" => self.b.shared.iter().position(|b| &*b.name == name)?,
                _ => self.b.locals.iter().position(|b| &*b.name == name)?,
            };
            Some(match kind {
                "b" => Space::Buffer(index as u32),
                "s" => Space::Shared(index as u32),
                _ => Space::Local(index as u32),
            })
        };
        let found: Option<Vec<Space>> = which.names.iter().map(place).collect();
        found.map(Rc::from).ok_or_else(|| {
            self.refuse(
                at,
                "a pointer into an array that is declared later",
                "declare the arrays before the pointers that go over them",
            )
        })
    }

    /// The number of a pointer's array in a list that has it; `None` where the list lacks one.
    fn number(&mut self, list: &[Space], base: &Base) -> Option<ValueId> {
        let at = |s: &Space| list.iter().position(|l| l == s).map(|i| i as u32);
        match base {
            Base::Space(s) => at(s).map(|n| self.b.uint(n)),
            Base::OneOf(own, which) if **own == *list => Some(*which),
            Base::OneOf(own, which) => {
                let numbers: Vec<u32> = own.iter().map(at).collect::<Option<_>>()?;
                let mut number = self.b.uint(*numbers.last()?);
                for (i, n) in numbers.iter().enumerate().rev().skip(1) {
                    let (i, n) = (self.b.uint(i as u32), self.b.uint(*n));
                    let here = self.b.map(S::Eq, &[*which, i]);
                    number = self.b.map(S::Select, &[here, n, number]);
                }
                Some(number)
            }
            Base::Tree(..) | Base::Null => Some(self.b.uint(0)),
        }
    }

    /// Array number and base for a pointer that is stored in a variable of several arrays.
    pub(super) fn numbered(
        &mut self,
        local: u32,
        which: &Which,
        base: &Base,
        name: &str,
        at: At,
    ) -> R<(ValueId, Base)> {
        let list = self.arrays(which, at)?;
        if let Base::Tree(..) = base {
            let whole = Base::Space(list[0]);
            return Err(self.two_arrays(local, name, &whole, base, at));
        }
        let Some(number) = self.number(&list, base) else {
            let whole = Base::Space(list[0]);
            return Err(self.two_arrays(local, name, &whole, base, at));
        };
        Ok((number, Base::OneOf(list, number)))
    }

    /// Does the same in each array that the pointer may point into, under the condition that it does.
    pub(super) fn in_each(
        &mut self,
        list: &[Space],
        which: ValueId,
        first: u32,
        f: &mut dyn FnMut(&mut Self, Space) -> R<()>,
    ) -> R<()> {
        let Some((space, rest)) = list.split_first() else { return Ok(()) };
        if rest.is_empty() {
            return f(self, *space);
        }
        self.spend(self.here)?;
        let n = self.b.uint(first);
        let here = self.b.map(S::Eq, &[which, n]);
        self.open();
        let done = f(self, *space);
        let then = self.close();
        done?;
        self.open();
        let done = self.in_each(rest, which, first + 1, f);
        let other = self.close();
        done?;
        self.b.effect(Op::If(here, then, other));
        Ok(())
    }

    pub(super) fn load_one_of(&mut self, p: &Ptr, list: &[Space], which: ValueId, at: At) -> R<Tv> {
        let tree = self.tree("either", &p.to, at)?;
        let got = Place::Tree { tree, leaf: 0, ix: None, ty: p.to.clone() };
        self.in_each(list, which, 0, &mut |s, space| {
            let there = Ptr { base: Base::Space(space), ..p.clone() };
            let v = s.load(&Place::Memory(there), at)?;
            s.initialise(&got, &v.v, at)
        })?;
        self.load(&got, at)
    }

    pub(super) fn store_one_of(&mut self, p: &Ptr, list: &[Space], which: ValueId, v: &Val, at: At) -> R<()> {
        self.in_each(list, which, 0, &mut |s, space| {
            let there = Ptr { base: Base::Space(space), ..p.clone() };
            s.store(&Place::Memory(there), v, at)
        })
    }

    /// One of two pointers.
    pub(super) fn select_pointer(&mut self, test: ValueId, p: &Ptr, q: &Ptr, at: At) -> R<Val> {
        let base = match (&p.base, &q.base) {
            (a, b) if a == b => a.clone(),
            // Null has an index of its own.
            (Base::Null, Base::Tree(..)) | (Base::Tree(..), Base::Null) => {
                return Err(self.refuse(
                    at,
                    "the address of a variable, or null",
                    "choose between the values read, not between the addresses",
                ));
            }
            (Base::Null, base) | (base, Base::Null) => base.clone(),
            (a, b) => {
                for base in [a, b] {
                    if let Base::Tree(tree, _) = base {
                        return Err(self.need_memory(tree.at, at));
                    }
                }
                let list: BTreeMap<String, Space> =
                    self.spaces(a).into_iter().chain(self.spaces(b)).map(|s| (self.space_key(s), s)).collect();
                let list: Rc<[Space]> = list.into_values().collect();
                let (Some(x), Some(y)) = (self.number(&list, a), self.number(&list, b)) else {
                    return Err(self.err("U009", at, "these pointers cannot be followed"));
                };
                Base::OneOf(list, self.b.map(S::Select, &[test, x, y]))
            }
        };
        let g = match &base {
            Base::Tree(..) => p.unit,
            _ => {
                let fine = |p: &Ptr| if p.base == Base::Null { 0 } else { gcd(p.unit, p.plus.unsigned_abs() as u32) };
                gcd(fine(p), fine(q)).max(1)
            }
        };
        let index = |s: &mut Self, p: &Ptr| match (&p.base, &base) {
            (Base::Null, _) => Ix::K(u32::MAX as i64),
            (_, Base::Tree(..)) => p.ix,
            _ => s.count_in(p.unit, p.ix, p.plus, g),
        };
        let (a, b) = (index(self, p), index(self, q));
        let (a, b) = (self.ix(a), self.ix(b));
        let ix = Ix::V(self.b.map(S::Select, &[test, a, b]));
        Ok(Val::Pointer(Ptr { base, unit: g, ix, plus: 0, to: p.to.clone() }))
    }

    /// The arrays behind a base.
    pub(super) fn spaces(&self, base: &Base) -> Vec<Space> {
        match base {
            Base::Space(s) => vec![*s],
            Base::OneOf(list, _) => list.to_vec(),
            Base::Tree(..) | Base::Null => Vec::new(),
        }
    }

    /// Whether two pointers into arrays, of which one may be one of several, point into the same.
    pub(super) fn same_array(&mut self, p: &Base, q: &Base) -> Option<ValueId> {
        let mut list = self.spaces(p);
        for s in self.spaces(q) {
            if !list.contains(&s) {
                list.push(s);
            }
        }
        let (a, b) = (self.number(&list, p)?, self.number(&list, q)?);
        Some(self.b.map(S::Eq, &[a, b]))
    }

    /// The leaf's pointer as loaded.
    pub(super) fn leaf_base(&mut self, leaf: &Leaf, number: Option<ValueId>, name: &str, at: At) -> R<Base> {
        let Leaf::Pointer { base, which, .. } = leaf else { return Ok(Base::Null) };
        match (which, number) {
            (Some(which), Some(number)) => Ok(Base::OneOf(self.arrays(which, at)?, number)),
            _ => match base.borrow().clone() {
                Some(base) => Ok(base),
                None => {
                    Err(self.err("U009", at, format!("pointer `{name}` is used before anything is assigned to it")))
                }
            },
        }
    }
}

/// The greatest common divisor; of 0 and n it is n.
pub(super) fn gcd(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { gcd(b, a % b) }
}
