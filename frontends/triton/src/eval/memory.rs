//! Loads, stores and atomic updates: offsets that are sums become views with bounds, the rest become computed offsets.

use super::Eval;
use crate::affine::{Affine, Cond, Lin};
use crate::value::{BlockPointer, Pointer, Tensor, Value, describe_type, type_name};
use crate::wrap::Sink;
use girih_base::{AtomicOp, DType, Dim, Literal, Result, ScalarOp};
use girih_tile::{Op, TileTy, ValueId, View, ViewAxis};

/// Most axes of a tile that reaches memory; run-time parts of the offset are axes of their own while there is room.
const RANK: usize = girih_tile::verify::MAX_RANK;

/// How a tile lies in memory.
enum Place {
    /// Axes of run-time offsets, each of extent 1, come before the tile's own.
    View { view: View, at: Vec<ValueId>, shape: Vec<u32>, mask: Option<ValueId> },
    /// Offsets of the elements.
    Index { index: ValueId, mask: Option<ValueId> },
}

/// One axis that is found.
struct Axis {
    at: Lin,
    extent: Option<Dim>,
    stride: Dim,
}

impl Eval<'_> {
    /// `tl.load`.
    pub fn load(&mut self, p: &Pointer, mask: Option<Tensor>, other: Option<Value>) -> Result<Tensor> {
        let mut shape = p.offset.shape.clone();
        if let Some(m) = &mask {
            shape = self.common_shape(&shape, &m.shape)?;
        }
        if let Some(Value::Tensor(o)) = &other {
            shape = self.common_shape(&shape, &o.shape)?;
        }
        let offset = self.broadcast_to(&p.offset, &shape)?;
        let mask = match mask {
            Some(m) => Some(self.broadcast_to(&m, &shape)?),
            None => None,
        };
        let (literal, chosen) = match &other {
            None | Some(Value::None) => (zero(p.dtype), None),
            // A whole number in place of an integer.
            Some(Value::Float(f)) if p.dtype.is_int() && f.fract() == 0.0 => {
                (self.literal(&Value::Int(*f as i128), p.dtype)?, None)
            }
            Some(v) if v.is_number() => (self.literal(v, p.dtype)?, None),
            Some(v) => (zero(p.dtype), Some(self.convert(v, p.dtype)?)),
        };
        self.touch(p.param, true, false);
        let stored = self.stored_dtype(p.param);
        let literal = if stored == p.dtype { literal } else { zero(stored) };
        let id = match self.place(&offset, mask.as_ref(), &shape, true) {
            Place::View { view, at, shape: tile, mask } => {
                let op = Op::Load { param: p.param, view, at, mask, other: literal };
                let id = self.push(op, stored, &tile);
                self.b.reshape(id, &shape)
            }
            Place::Index { index, mask } => {
                self.push(Op::LoadAt { param: p.param, index, mask, other: literal }, stored, &shape)
            }
        };
        let mut t = self.fresh_tensor(id, stored, &shape);
        if stored != p.dtype {
            t = self.bitcast(&t, p.dtype)?;
            if let (Some(m), Some(v)) = (&mask, other.as_ref().filter(|v| v.is_number())) {
                let o = self.number(v, p.dtype)?;
                let o = self.broadcast_to(&o, &shape)?;
                t = self.map(ScalarOp::Select, &[m, &t, &o])?;
            }
        }
        if let Some(o) = chosen {
            let o = self.broadcast_to(&o, &shape)?;
            if let Some(m) = &mask {
                t = self.map(ScalarOp::Select, &[m, &t, &o])?;
            }
        }
        Ok(t)
    }

    /// `tl.store`.
    pub fn store(&mut self, p: &Pointer, value: &Value, mask: Option<Tensor>) -> Result<()> {
        let v = self.convert(value, p.dtype)?;
        let stored = self.stored_dtype(p.param);
        let v = self.bitcast(&v, stored)?;
        let mut shape = self.common_shape(&p.offset.shape, &v.shape)?;
        if let Some(m) = &mask {
            let masked = self.common_shape(&shape, &m.shape)?;
            if masked != shape && shape == p.offset.shape {
                return Err(self
                    .error(
                        "K005",
                        format!("a mask of shape {:?} for pointers of shape {shape:?}", m.shape),
                        "this store",
                    )
                    .help("a mask says which of the pointers are used: give it their axes"));
            }
            shape = masked;
        }
        if shape != p.offset.shape {
            let (to, what) = (&p.offset.shape, describe_type(p.dtype, &shape));
            return Err(self
                .error("K005", format!("{what} cannot be stored through pointers of shape {to:?}"), "this store")
                .help("give the pointer the same axes: `ptr + offsets[:, None] * stride + columns[None, :]`"));
        }
        let v = self.broadcast_to(&v, &shape)?;
        let mask = match mask {
            Some(m) => Some(self.broadcast_to(&m, &shape)?),
            None => None,
        };
        self.touch(p.param, false, true);
        match self.place(&p.offset.clone(), mask.as_ref(), &shape, false) {
            Place::View { view, at, shape: tile, mask: left } => {
                let value = self.b.reshape(v.id, &tile);
                let conds = mask.as_ref().and_then(|m| m.cond.as_deref().cloned()).unwrap_or_default();
                self.sinks.push(Sink { value, conds });
                let mask = left;
                self.b.push(Op::Store { param: p.param, view, at, value, mask }, Vec::new());
            }
            Place::Index { index, mask } => {
                self.b.push(Op::StoreAt { param: p.param, index, value: v.id, mask }, Vec::new());
            }
        }
        Ok(())
    }

    /// `tl.atomic_*`; gives the old elements.
    pub fn atomic(&mut self, op: AtomicOp, p: &Pointer, value: &Value, mask: Option<Tensor>) -> Result<Tensor> {
        let v = self.convert(value, p.dtype)?;
        let mut shape = self.common_shape(&p.offset.shape, &v.shape)?;
        if let Some(m) = &mask {
            shape = self.common_shape(&shape, &m.shape)?;
        }
        let (v, offset) = (self.broadcast_to(&v, &shape)?, self.broadcast_to(&p.offset, &shape)?);
        let mask = match mask {
            Some(m) => Some(self.broadcast_to(&m, &shape)?.id),
            None => None,
        };
        if self.stored_dtype(p.param) != p.dtype {
            let (a, b) = (type_name(p.dtype), type_name(self.stored_dtype(p.param)));
            return Err(self.error("K008", format!("atomics on {a} in a buffer of {b}"), "here"));
        }
        self.touch(p.param, true, true);
        let op = Op::Atomic { op, param: p.param, index: offset.id, value: v.id, mask };
        let id = self.push(op, p.dtype, &shape);
        Ok(self.fresh_tensor(id, p.dtype, &shape))
    }

    /// `tl.atomic_cas`.
    pub fn compare_exchange(&mut self, p: &Pointer, expected: &Value, value: &Value) -> Result<Tensor> {
        let (e, v) = (self.convert(expected, p.dtype)?, self.convert(value, p.dtype)?);
        let shape = self.common_shape(&p.offset.shape, &v.shape)?;
        let shape = self.common_shape(&shape, &e.shape)?;
        let (e, v) = (self.broadcast_to(&e, &shape)?, self.broadcast_to(&v, &shape)?);
        let offset = self.broadcast_to(&p.offset, &shape)?;
        if !p.dtype.is_int() || p.dtype.bits() < 32 {
            return Err(self
                .error("K008", format!("`atomic_cas` on {}", type_name(p.dtype)), "here")
                .help("keep locks and counters in int32"));
        }
        self.touch(p.param, true, true);
        let op = Op::CompareExchange { param: p.param, index: offset.id, expected: e.id, value: v.id };
        let id = self.push(op, p.dtype, &shape);
        Ok(self.fresh_tensor(id, p.dtype, &shape))
    }

    /// Element type of a parameter's buffer.
    pub fn stored_dtype(&mut self, param: usize) -> DType {
        self.b.params_mut().get(param).map_or(DType::F32, |p| p.dtype)
    }

    /// Where the elements at `offset` lie, and which exist.
    fn place(&mut self, offset: &Tensor, mask: Option<&Tensor>, shape: &[u32], reads: bool) -> Place {
        let index = |m: Option<&Tensor>| Place::Index { index: offset.id, mask: m.map(|m| m.id) };
        let Some(mut a) = offset.affine.as_deref().cloned() else { return index(mask) };
        let mut axes: Vec<Axis> =
            a.strides.iter().map(|s| Axis { at: Lin::int(0), extent: None, stride: s.clone() }).collect();
        let mut scalars: Vec<Axis> = Vec::new();
        let Some(limits) = self.limits(&mut a).filter(|l| l.is_empty() || reads) else { return index(mask) };
        if !self.bounds(&limits, &mut axes, &mut scalars, shape) {
            return index(mask);
        }
        let mut masked = None;
        if let Some(m) = mask {
            match m.cond.as_deref() {
                Some(conds) => {
                    if !self.bounds(conds, &mut axes, &mut scalars, shape) {
                        masked = Some(m.id);
                    }
                }
                None => masked = Some(m.id),
            }
        }
        // What the coordinates already say leaves the offset.
        let mut base = a.base.clone();
        for axis in axes.iter().chain(&scalars) {
            base = base.sub(&axis.at.scale(&axis.stride));
        }
        if base.too_large() {
            return index(mask);
        }
        let fixed = base.fixed();
        let mut starts: Vec<Axis> = Vec::new();
        let room = RANK.saturating_sub(axes.len() + scalars.len());
        if base.terms.len() > room.min(3) {
            if room == 0 {
                return index(mask);
            }
            let moving = Lin { fixed: None, terms: base.terms.clone() };
            let value = self.lin_value(&moving);
            starts.push(Axis { at: Lin::atom(value), extent: None, stride: Dim::ONE });
        } else {
            for (v, d) in &base.terms {
                starts.push(Axis { at: Lin::atom(*v), extent: None, stride: d.clone() });
            }
        }
        let unit = starts.len() + scalars.len();
        let all: Vec<Axis> = starts.into_iter().chain(scalars).chain(axes).collect();
        let mut view = View { offset: fixed, axes: Vec::new(), guards: Vec::new() };
        let mut at = Vec::new();
        for axis in &all {
            at.push(self.lin_value(&axis.at));
            let inside = axis.extent.is_none();
            let extent = axis.extent.clone().unwrap_or(Dim::from(i32::MAX));
            view.axes.push(ViewAxis { extent, stride: axis.stride.clone(), inside });
        }
        let tile: Vec<u32> = std::iter::repeat_n(1, unit).chain(shape.iter().copied()).collect();
        let mask = masked.map(|m| self.b.reshape(m, &tile));
        Place::View { view, at, shape: tile, mask }
    }

    /// Takes the zeros of wrapped indices out of a sum, and gives the bounds that they stand for.
    fn limits(&mut self, a: &mut Affine) -> Option<Vec<Cond>> {
        let zeros: Vec<ValueId> = a.base.terms.keys().filter(|v| self.zeros.contains_key(v)).copied().collect();
        let mut limits = Vec::new();
        for z in zeros {
            a.base.terms.remove(&z);
            let mut places = a.wrapped.iter().filter(|(w, _)| *w == z);
            let (Some((_, axis)), None) = (places.next(), places.next()) else { return None };
            let zero = self.zeros.get(&z)?;
            let mut left = Affine::splat(zero.x.base.clone(), a.strides.len());
            *left.strides.get_mut(*axis)? = Dim::ONE;
            limits.push(Cond::Below(left, zero.bound.clone()));
        }
        Some(limits)
    }

    /// Turns conditions into extents of axes; false when some need the mask as it is.
    fn bounds(&mut self, conds: &[Cond], axes: &mut [Axis], scalars: &mut Vec<Axis>, shape: &[u32]) -> bool {
        let mut complete = true;
        let explicit: Vec<&Affine> =
            conds.iter().filter_map(|c| if let Cond::NonNegative(a) = c { Some(a) } else { None }).collect();
        let mut covered: Vec<&Affine> = Vec::new();
        for c in conds {
            let Cond::Below(left, bound) = c else { continue };
            let moving: Vec<usize> = (0..left.strides.len()).filter(|i| !left.strides[*i].is(0)).collect();
            let proved = explicit.contains(&left) || self.non_negative(left, shape);
            if !proved || bound.is_too_large() {
                complete = false;
                continue;
            }
            match moving[..] {
                [] => {
                    // One condition for the whole tile.
                    if left.base.dim().is_some_and(|d| (&d + &Dim::ONE).known_le(bound).yes()) {
                        continue;
                    }
                    if axes.len() + scalars.len() + 3 > RANK {
                        complete = false;
                        continue;
                    }
                    scalars.push(Axis { at: left.base.clone(), extent: Some(bound.clone()), stride: Dim::ZERO });
                }
                [axis] if left.strides[axis].is(1) => {
                    let slot = &mut axes[axis];
                    let whole = left.base.dim().is_some_and(|d| (&d + &Dim::from(shape[axis])).known_le(bound).yes());
                    if whole {
                        // No extent comes of it, so a lower bound is not covered.
                        self.check(bound.clone());
                        continue;
                    }
                    match &slot.extent {
                        None => {
                            slot.at = left.base.clone();
                            slot.extent = Some(bound.clone());
                        }
                        Some(e) if slot.at == left.base => slot.extent = Some(e.min_of(bound)),
                        Some(_) => {
                            complete = false;
                            continue;
                        }
                    }
                }
                _ => {
                    complete = false;
                    continue;
                }
            }
            self.check(bound.clone());
            covered.push(left);
        }
        // A lower bound is part of an extent, or always true, or needs the mask.
        for a in explicit {
            complete &= covered.contains(&a) || self.non_negative(a, shape);
        }
        complete
    }

    // Block pointers and descriptors.

    /// Loads a block pointer's window.
    pub fn load_block(&mut self, p: &BlockPointer, checked: &[usize], nan: bool) -> Result<Tensor> {
        let (pointer, mask) = self.window(p, checked)?;
        let other = if nan && p.base.dtype.is_float() { Value::Float(f64::NAN) } else { Value::Int(0) };
        let other = mask.is_some().then_some(other);
        self.load(&pointer, mask, other)
    }

    /// Stores to a block pointer's window.
    pub fn store_block(&mut self, p: &BlockPointer, value: &Value, checked: &[usize]) -> Result<()> {
        let (pointer, mask) = self.window(p, checked)?;
        let v = self.convert(value, p.base.dtype)?;
        if v.shape != p.block && !v.shape.is_empty() {
            let (have, want) = (describe_type(v.dtype, &v.shape), &p.block);
            return Err(self.error("K005", format!("{have} is stored to a block of {want:?}"), "this store"));
        }
        self.store(&pointer, &Value::Tensor(v), mask)
    }

    /// The pointers of a window, and the mask of the axes that are checked.
    pub fn window(&mut self, p: &BlockPointer, checked: &[usize]) -> Result<(Pointer, Option<Tensor>)> {
        let rank = p.block.len();
        let mut offset = p.base.offset.clone();
        let mut mask: Option<Tensor> = None;
        for axis in 0..rank {
            let mut strides = vec![Dim::ZERO; rank];
            strides[axis] = Dim::ONE;
            let along = self.affine_tensor(Affine { base: Lin::int(0), strides, ..Affine::default() }, &p.block);
            let start = self.low_tensor(&p.offsets[axis])?;
            let start = self.broadcast_to(&start, &p.block)?;
            let at = self.map(ScalarOp::Add, &[&start, &along])?;
            let stride = self.low_tensor(&p.strides[axis])?;
            let stride = self.broadcast_to(&stride, &p.block)?;
            let part = self.map(ScalarOp::Mul, &[&at, &stride])?;
            let (base, part) = self.broadcast_pair(offset, part)?;
            offset = self.map(ScalarOp::Add, &[&base, &part])?;
            if checked.contains(&axis) {
                let extent = self.low_tensor(&p.shape[axis])?;
                let extent = self.broadcast_to(&extent, &p.block)?;
                let zero = self.affine_tensor(Affine::splat(Lin::int(0), rank), &p.block);
                let low = self.map(ScalarOp::Ge, &[&at, &zero])?;
                let high = self.map(ScalarOp::Lt, &[&at, &extent])?;
                let both = self.map(ScalarOp::And, &[&low, &high])?;
                mask = Some(match mask {
                    None => both,
                    Some(m) => self.map(ScalarOp::And, &[&m, &both])?,
                });
            }
        }
        Ok((Pointer { offset, ..p.base.clone() }, mask))
    }

    /// The low 32 bits of an integer as i32.
    pub fn low_tensor(&mut self, t: &Tensor) -> Result<Tensor> {
        self.cast(&t.clone(), DType::I32)
    }

    /// A tile of one value.
    pub fn filled(&mut self, value: Literal, dtype: DType, shape: &[u32]) -> Tensor {
        let id = self.b.constant(value, TileTy::new(dtype, shape));
        let mut t = Tensor::new(id, dtype, shape.to_vec());
        if let (Literal::Int(v), true) = (value, dtype.is_int()) {
            let low = v as i32 as i64;
            if dtype.bits() <= 32 || low == v {
                t.affine = Some(std::rc::Rc::new(Affine::splat(Lin::int(low), shape.len())));
            }
            t.range = Some((v as i128, v as i128));
            if dtype.bits() == 64 {
                t.low = Some(self.b.constant(Literal::Int(low), TileTy::new(DType::I32, shape)));
            }
        }
        t
    }
}

fn zero(dtype: DType) -> Literal {
    if dtype.is_float() { Literal::float(0.0) } else { Literal::Int(0) }
}
