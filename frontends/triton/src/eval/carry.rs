//! Values that cross the edges of regions: taken apart into tiles, put together again on the other side.

use super::Eval;
use crate::affine::{Affine, I32, Lin};
use crate::value::{BlockPointer, Pointer, Tensor, Value, describe_type, type_name};
use girih_base::{DType, Dim, Result, ScalarOp};
use girih_tile::{TileTy, ValueId};
use std::rc::Rc;

/// How a value is carried.
#[derive(Clone, Debug)]
pub(crate) enum Shape {
    /// It is the same on every path.
    Fixed,
    /// A tile.
    Tile(DType, Vec<u32>),
    /// An integer tile of which only the scalar part of its sum changes.
    Base(DType, Vec<u32>, Vec<Dim>),
    /// In a loop: the value before it plus so much for every round.
    Steps(Box<Shape>, Lin),
    /// A pointer: parameter, element type, and how the offset is carried.
    Pointer(usize, DType, Box<Shape>),
    Tuple(Vec<Shape>),
    /// The offsets of a block pointer.
    Block(Vec<Shape>),
}

/// A value before a loop or branch, with how it is carried.
pub(crate) struct Carried {
    pub name: String,
    pub before: Value,
    pub shape: Shape,
}

impl Eval<'_> {
    /// How a value could be carried with the fewest changing parts.
    pub fn shape_of(&self, v: &Value) -> Shape {
        match v {
            Value::Tensor(t) => match &t.affine {
                Some(a) if t.dtype.is_int() && t.dtype.bits() == 32 && t.dtype.is_signed() => {
                    Shape::Base(t.dtype, t.shape.clone(), a.strides.clone())
                }
                _ => Shape::Tile(t.dtype, t.shape.clone()),
            },
            Value::Pointer(p) => {
                let offset = self.shape_of(&Value::Tensor(p.offset.clone()));
                Shape::Pointer(p.param, p.dtype, Box::new(offset))
            }
            Value::Tuple(list) => Shape::Tuple(list.iter().map(|v| self.shape_of(v)).collect()),
            Value::BlockPointer(p) => {
                Shape::Block(p.offsets.iter().map(|t| self.shape_of(&Value::Tensor(t.clone()))).collect())
            }
            _ => Shape::Fixed,
        }
    }

    /// The least shape that both values can be carried in.
    pub fn join(&mut self, what: &str, a: &Value, b: &Value) -> Result<Shape> {
        if a.same(b) {
            return Ok(Shape::Fixed);
        }
        Ok(match (a, b) {
            (Value::Tuple(x), Value::Tuple(y)) if x.len() == y.len() => {
                let mut all = Vec::new();
                for (p, q) in x.iter().zip(y.iter()) {
                    all.push(self.join(what, p, q)?);
                }
                Shape::Tuple(all)
            }
            (Value::Pointer(p), Value::Pointer(q)) => {
                if p.param != q.param || p.dtype != q.dtype {
                    return Err(self
                        .error("K008", format!("`{what}` points into one parameter or into another"), "merged here")
                        .help("choose with `tl.where` between loaded values, or branch around the loads"));
                }
                let (x, y) = (Value::Tensor(p.offset.clone()), Value::Tensor(q.offset.clone()));
                let offset = if p.offset.id == q.offset.id { self.shape_of(&x) } else { self.join(what, &x, &y)? };
                Shape::Pointer(p.param, p.dtype, Box::new(offset))
            }
            (Value::BlockPointer(p), Value::BlockPointer(q)) if p.same_tensor(q) => {
                let mut all = Vec::new();
                for (x, y) in p.offsets.iter().zip(&q.offsets) {
                    let (x, y) = (Value::Tensor(x.clone()), Value::Tensor(y.clone()));
                    all.push(if x.same(&y) { self.shape_of(&x) } else { self.join(what, &x, &y)? });
                }
                Shape::Block(all)
            }
            (x, y) if numeric(x) && numeric(y) => {
                let (s, t) = (self.tensor(x)?, self.tensor(y)?);
                if s.dtype != t.dtype || s.shape != t.shape {
                    let (from, to) = (describe_type(s.dtype, &s.shape), describe_type(t.dtype, &t.shape));
                    return Err(self
                        .error("K011", format!("`{what}` is {from} on one path and {to} on another"), "merged here")
                        .help("give it one type before, with `tl.full`, `tl.zeros` or `.to`"));
                }
                match (&s.affine, &t.affine) {
                    (Some(p), Some(q)) if s.dtype == DType::I32 && p.strides == q.strides => {
                        Shape::Base(s.dtype, s.shape.clone(), p.strides.clone())
                    }
                    _ => Shape::Tile(s.dtype, s.shape),
                }
            }
            (Value::BlockPointer(_), Value::BlockPointer(_)) => {
                let e = self.error("K011", format!("`{what}` is a window of one tensor or of another"), "merged here");
                return Err(e
                    .note("base, extents, strides and block must be the same on every path; the offsets may differ")
                    .help("move one window with `tl.advance`, or load in the branch"));
            }
            (x, y) => {
                return Err(self
                    .error("K011", format!("`{what}` is {x} on one path and {y} on another"), "merged here")
                    .help("only tiles of one type and pointers into one parameter can differ at run time"));
            }
        })
    }

    /// The types that a shape takes.
    pub fn carried_types(&self, s: &Shape, out: &mut Vec<TileTy>) {
        match s {
            Shape::Fixed | Shape::Steps(..) => {}
            Shape::Tile(d, shape) => out.push(TileTy::new(*d, shape.clone())),
            Shape::Base(..) => out.push(TileTy::scalar(DType::I32)),
            Shape::Pointer(_, _, offset) => self.carried_types(offset, out),
            Shape::Tuple(list) | Shape::Block(list) => list.iter().for_each(|s| self.carried_types(s, out)),
        }
    }

    /// Takes a value apart, in the region being built.
    pub fn pack(&mut self, v: &Value, s: &Shape, out: &mut Vec<ValueId>) -> Result<()> {
        match (s, v) {
            (Shape::Fixed | Shape::Steps(..), _) => {}
            (Shape::Tile(d, shape), v) => {
                let t = self.tensor(v)?;
                let t = self.cast(&t, *d)?;
                let t = self.broadcast_to(&t, shape)?;
                out.push(t.id);
            }
            (Shape::Base(..), v) => {
                let t = self.tensor(v)?;
                match &t.affine {
                    Some(a) => {
                        let base = self.lin_value(&a.base.clone());
                        out.push(base);
                    }
                    None => return Err(self.error("K011", "a value is not the sum it was carried as", "here")),
                }
            }
            (Shape::Pointer(_, _, offset), Value::Pointer(p)) => {
                self.pack(&Value::Tensor(p.offset.clone()), offset, out)?;
            }
            (Shape::Tuple(list), Value::Tuple(values)) => {
                for (s, v) in list.iter().zip(values.iter()) {
                    self.pack(v, s, out)?;
                }
            }
            (Shape::Block(list), Value::BlockPointer(p)) => {
                for (s, t) in list.iter().zip(&p.offsets) {
                    self.pack(&Value::Tensor(t.clone()), s, out)?;
                }
            }
            (_, v) => return Err(self.error("K011", format!("{v} does not fit what it was before"), "here")),
        }
        Ok(())
    }

    /// Puts a value together from its parts; `before` is what it was outside, `rounds` counts a loop's rounds.
    pub fn unpack_carried(
        &mut self,
        s: &Shape,
        before: &Value,
        rounds: Option<&Lin>,
        ids: &mut dyn Iterator<Item = ValueId>,
    ) -> Result<Value> {
        Ok(match s {
            Shape::Fixed => before.clone(),
            Shape::Tile(d, shape) => {
                let Some(id) = ids.next() else { return Ok(before.clone()) };
                Value::Tensor(self.fresh_tensor(id, *d, shape))
            }
            Shape::Base(_, shape, strides) => {
                let Some(id) = ids.next() else { return Ok(before.clone()) };
                let base = self.opaque(id, None, None);
                let lin = base.affine.as_ref().map_or_else(|| Lin::atom(id), |a| a.base.clone());
                Value::Tensor(
                    self.affine_tensor(Affine { base: lin, strides: strides.clone(), ..Affine::default() }, shape),
                )
            }
            Shape::Steps(inner, step) => {
                let Some(by) = self.times(rounds, step) else { return Ok(before.clone()) };
                self.moved(before, inner, &by)?
            }
            Shape::Pointer(param, dtype, offset) => {
                let inside = match before {
                    Value::Pointer(p) => Value::Tensor(p.offset.clone()),
                    other => other.clone(),
                };
                match self.unpack_carried(offset, &inside, rounds, ids)? {
                    Value::Tensor(offset) => Value::Pointer(Pointer { param: *param, dtype: *dtype, offset }),
                    other => other,
                }
            }
            Shape::Tuple(list) => {
                let mut out = Vec::new();
                for (i, s) in list.iter().enumerate() {
                    let inside = match before {
                        Value::Tuple(v) => v.get(i).cloned().unwrap_or(Value::None),
                        _ => Value::None,
                    };
                    out.push(self.unpack_carried(s, &inside, rounds, ids)?);
                }
                Value::tuple(out)
            }
            Shape::Block(list) => {
                let Value::BlockPointer(p) = before else { return Ok(before.clone()) };
                let mut offsets = Vec::new();
                for (s, t) in list.iter().zip(&p.offsets) {
                    match self.unpack_carried(s, &Value::Tensor(t.clone()), rounds, ids)? {
                        Value::Tensor(t) => offsets.push(t),
                        _ => offsets.push(t.clone()),
                    }
                }
                Value::BlockPointer(Rc::new(BlockPointer { offsets, ..(**p).clone() }))
            }
        })
    }

    /// `rounds * step`, as a sum; a product of two run-time values becomes a value.
    fn times(&mut self, rounds: Option<&Lin>, step: &Lin) -> Option<Lin> {
        let rounds = rounds?;
        if let Some(p) = rounds.mul(step).filter(|p| !p.too_large()) {
            return Some(p);
        }
        let (a, b) = (self.lin_value(rounds), self.lin_value(step));
        let id = self.b.map(ScalarOp::Mul, &[a, b]);
        let range = crate::affine::product(self.lin_range(rounds), self.lin_range(step));
        if crate::affine::within(range, I32) {
            self.ranges.insert(id, (range, None));
        }
        Some(Lin::atom(id))
    }

    /// A value with `by` added to the scalar part of its sum.
    fn moved(&mut self, v: &Value, inner: &Shape, by: &Lin) -> Result<Value> {
        let add = |e: &mut Self, t: &Tensor, shape: &[u32], strides: &[Dim]| {
            let (base, wrapped) =
                t.affine.as_ref().map_or_else(|| (Lin::int(0), Vec::new()), |a| (a.base.clone(), a.wrapped.clone()));
            e.affine_tensor(Affine { base: base.add(by), strides: strides.to_vec(), wrapped }, shape)
        };
        match (inner, v) {
            (Shape::Base(_, shape, strides), v) => {
                let t = self.tensor(v)?;
                Ok(Value::Tensor(add(self, &t, shape, strides)))
            }
            _ => Ok(v.clone()),
        }
    }

    /// Whether a value can be carried as this shape.
    pub fn fits(&mut self, v: &Value, s: &Shape, before: &Value) -> bool {
        match (s, v) {
            (Shape::Fixed, v) => v.same(before),
            (Shape::Steps(inner, _), v) => self.fits(v, inner, before),
            (Shape::Tile(d, shape), Value::Tensor(t)) => t.dtype == *d && t.shape == *shape,
            (Shape::Tile(d, shape), v) => v.is_number() && shape.is_empty() && self.own_type(v) == Some(*d),
            (Shape::Base(d, shape, strides), Value::Tensor(t)) => {
                t.dtype == *d && t.shape == *shape && t.affine.as_ref().is_some_and(|a| a.strides == *strides)
            }
            (Shape::Base(d, shape, _), v) => v.is_number() && shape.is_empty() && self.own_type(v) == Some(*d),
            (Shape::Pointer(param, d, offset), Value::Pointer(p)) => {
                let inside = match before {
                    Value::Pointer(p) => Value::Tensor(p.offset.clone()),
                    other => other.clone(),
                };
                p.param == *param && p.dtype == *d && self.fits(&Value::Tensor(p.offset.clone()), offset, &inside)
            }
            (Shape::Tuple(list), Value::Tuple(values)) => {
                let parts = match before {
                    Value::Tuple(b) => b.to_vec(),
                    _ => Vec::new(),
                };
                list.len() == values.len()
                    && list
                        .iter()
                        .zip(values.iter())
                        .enumerate()
                        .all(|(i, (s, v))| self.fits(v, s, parts.get(i).unwrap_or(&Value::None)))
            }
            (Shape::Block(list), Value::BlockPointer(p)) => {
                let Value::BlockPointer(b) = before else { return false };
                p.same_tensor(b)
                    && list
                        .iter()
                        .zip(p.offsets.iter().zip(&b.offsets))
                        .all(|(s, (t, b))| self.fits(&Value::Tensor(t.clone()), s, &Value::Tensor(b.clone())))
            }
            _ => false,
        }
    }

    fn own_type(&self, v: &Value) -> Option<DType> {
        match v {
            Value::Bool(_) => Some(DType::Bool),
            Value::Int(i) => super::promote::of_int(*i),
            Value::Float(f) => Some(super::promote::of_float(*f)),
            _ => None,
        }
    }

    /// After a round: shapes whose scalar part grows by the same amount each round become steps. `inside` is the value at the
    /// start of the round, `after` at its end; what was defined before the value `mark` does not change in the loop.
    pub fn find_steps(&self, s: &Shape, inside: &Value, after: &Value, mark: u32) -> Shape {
        match (s, inside, after) {
            (Shape::Base(d, shape, strides), Value::Tensor(x), Value::Tensor(y)) => {
                let (Some(a), Some(b)) = (&x.affine, &y.affine) else { return s.clone() };
                let step = b.base.sub(&a.base);
                let constant = step.terms.keys().all(|v| v.0 < mark);
                if b.strides == *strides && constant && !step.too_large() {
                    return Shape::Steps(Box::new(Shape::Base(*d, shape.clone(), strides.clone())), step);
                }
                s.clone()
            }
            (Shape::Pointer(p, d, offset), Value::Pointer(x), Value::Pointer(y)) => {
                let (x, y) = (Value::Tensor(x.offset.clone()), Value::Tensor(y.offset.clone()));
                Shape::Pointer(*p, *d, Box::new(self.find_steps(offset, &x, &y, mark)))
            }
            (Shape::Tuple(list), Value::Tuple(x), Value::Tuple(y))
                if x.len() == list.len() && y.len() == list.len() =>
            {
                Shape::Tuple((0..list.len()).map(|i| self.find_steps(&list[i], &x[i], &y[i], mark)).collect())
            }
            (Shape::Block(list), Value::BlockPointer(x), Value::BlockPointer(y)) => {
                let one = |(i, s): (usize, &Shape)| {
                    let (x, y) = (Value::Tensor(x.offsets[i].clone()), Value::Tensor(y.offsets[i].clone()));
                    self.find_steps(s, &x, &y, mark)
                };
                Shape::Block(list.iter().enumerate().map(one).collect())
            }
            _ => s.clone(),
        }
    }

    /// Whether the steps found before still hold after another pass.
    pub fn steps_hold(&self, s: &Shape, inside: &Value, after: &Value) -> bool {
        match (s, inside, after) {
            (Shape::Steps(inner, step), Value::Tensor(x), Value::Tensor(y)) => {
                let (Some(a), Some(b)) = (&x.affine, &y.affine) else { return false };
                let strides = matches!(&**inner, Shape::Base(d, shape, s) if *s == b.strides && y.dtype == *d && y.shape == *shape);
                strides && b.base.sub(&a.base).sub(step).is_zero()
            }
            (Shape::Pointer(_, _, offset), Value::Pointer(x), Value::Pointer(y)) => {
                self.steps_hold(offset, &Value::Tensor(x.offset.clone()), &Value::Tensor(y.offset.clone()))
            }
            (Shape::Tuple(list), Value::Tuple(x), Value::Tuple(y)) => {
                list.iter().zip(x.iter().zip(y.iter())).all(|(s, (x, y))| self.steps_hold(s, x, y))
            }
            (Shape::Block(list), Value::BlockPointer(x), Value::BlockPointer(y)) => list
                .iter()
                .zip(x.offsets.iter().zip(&y.offsets))
                .all(|(s, (x, y))| self.steps_hold(s, &Value::Tensor(x.clone()), &Value::Tensor(y.clone()))),
            (Shape::Steps(..), _, _) => false,
            _ => true,
        }
    }

    /// Gives up on steps: the scalar part is carried.
    pub fn without_steps(s: &Shape) -> Shape {
        match s {
            Shape::Steps(inner, _) => (**inner).clone(),
            Shape::Pointer(p, d, o) => Shape::Pointer(*p, *d, Box::new(Self::without_steps(o))),
            Shape::Tuple(list) => Shape::Tuple(list.iter().map(Self::without_steps).collect()),
            Shape::Block(list) => Shape::Block(list.iter().map(Self::without_steps).collect()),
            other => other.clone(),
        }
    }

    /// A shape that takes both what is there and a value that did not fit.
    pub fn widen(&mut self, what: &str, s: &Shape, before: &Value, after: &Value) -> Result<Shape> {
        let joined = self.join(what, before, after)?;
        Ok(match (s, joined) {
            // Sums that did not stay sums are carried whole.
            (Shape::Base(d, shape, _), Shape::Base(..) | Shape::Fixed) => Shape::Tile(*d, shape.clone()),
            (Shape::Pointer(p, d, a), Shape::Pointer(_, _, b)) => {
                let (x, y) = match (before, after) {
                    (Value::Pointer(x), Value::Pointer(y)) => {
                        (Value::Tensor(x.offset.clone()), Value::Tensor(y.offset.clone()))
                    }
                    _ => return Ok(Shape::Pointer(*p, *d, b)),
                };
                let ok = self.fits(&y, a, &x);
                let inner = if ok { (**a).clone() } else { self.widen(what, a, &x, &y)? };
                Shape::Pointer(*p, *d, Box::new(inner))
            }
            (Shape::Block(a), Shape::Block(_)) => {
                let (Value::BlockPointer(x), Value::BlockPointer(y)) = (before, after) else { return Ok(s.clone()) };
                let mut all = Vec::new();
                for (i, s) in a.iter().enumerate() {
                    let (x, y) = (Value::Tensor(x.offsets[i].clone()), Value::Tensor(y.offsets[i].clone()));
                    all.push(if self.fits(&y, s, &x) { s.clone() } else { self.widen(what, s, &x, &y)? });
                }
                Shape::Block(all)
            }
            (Shape::Tuple(a), Shape::Tuple(_)) => {
                let (Value::Tuple(x), Value::Tuple(y)) = (before, after) else { return Ok(s.clone()) };
                let mut all = Vec::new();
                for (i, s) in a.iter().enumerate() {
                    all.push(if self.fits(&y[i], s, &x[i]) { s.clone() } else { self.widen(what, s, &x[i], &y[i])? });
                }
                Shape::Tuple(all)
            }
            (_, Shape::Fixed) => s.clone(),
            (_, joined) => joined,
        })
    }

    /// The error for a value whose type changes in a loop.
    pub fn type_changes(&self, name: &str, before: &Value, after: &Value) -> Box<girih_base::Diag> {
        if let (Value::BlockPointer(_), Value::BlockPointer(_)) = (before, after) {
            return self
                .error("K011", format!("`{name}` is a window of another tensor after a round"), "this loop")
                .note("base, extents, strides and block stay the same in a loop; the offsets may change")
                .help("move the window with `tl.advance`, or give the one made in the loop another name");
        }
        let shown = |v: &Value| match v {
            Value::Int(i) => super::promote::of_int(*i).map_or("int".into(), |d| type_name(d).to_string()),
            Value::Float(f) => type_name(super::promote::of_float(*f)).into(),
            v => v.to_string(),
        };
        self.error(
            "K011",
            format!("`{name}` is {} before the loop and {} after a round", shown(before), shown(after)),
            "this loop",
        )
        .help("give it one type before the loop, with `tl.full`, `tl.zeros` or `.to`")
    }
}

fn numeric(v: &Value) -> bool {
    v.is_number() || matches!(v, Value::Tensor(_))
}
