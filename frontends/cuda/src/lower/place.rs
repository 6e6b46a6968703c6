//! Places: variables of the thread scalar by scalar, and what pointers point to.

use super::either::gcd;
use super::value::{Base, Ix, Leaf, Place, Ptr, Tv, Val};
use super::words::Cache;
use super::*;

impl Lowerer<'_> {
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
