//! Long scans: a program walks a segment of a line chunk by chunk and carries the running value.
//!
//! Few lines are cut into segments. Then a first kernel folds every segment, a second scans these totals, and a third scans the
//! segments, each starting from the total of those before it (reduce, then scan: Merrill and Grimshaw, 2009).

use super::{Lines, Slot, Staged, identity, scan_limit, states};
use crate::fuse::monoid;
use crate::target::TargetDesc;
use girih_base::{DType, Dim, Result, ScalarOp};
use girih_graph::ops::Scan;
use girih_graph::{Monoid, TensorTy};
use girih_tile::{Access, Block, Builder, Combine, Kernel, Literal, Op, TileTy, ValueId, View};

/// Programs that keep a GPU busy.
const PROGRAMS: u64 = 128;

/// The launches of a scan along lines of any length.
pub fn stage(s: &Scan, operands: &[TensorTy], name: &str, desc: &TargetDesc) -> Result<Staged> {
    let dtypes: Vec<DType> = operands.iter().map(|t| t.dtype).collect();
    let states = states(s, &dtypes);
    let lines = Lines::of(&operands[0].shape, s.axis);
    let room = scan_limit(&states, desc).min((desc.threads * desc.vector * 4) as u64);
    // Neighbouring lines share a tile where memory runs across them.
    let width = (lines.inner.bounds().1.max(1) as u64 + 1).next_power_of_two() / 2;
    let width = width.min(room / 8).clamp(1, 16);
    let chunk = (room / width).max(1);
    let chunks = lines.most().div_ceil(chunk);
    let side = |d: &Dim| d.bounds().1.max(1) as u64;
    let programs = side(&lines.outer).saturating_mul(side(&lines.inner).div_ceil(width));
    let segments = (PROGRAMS / programs.min(PROGRAMS)).min(chunks).max(1);
    let rounds = chunks.div_ceil(segments);
    let given = Given { dtypes: &dtypes, lifted: false };
    let walk = Walk {
        monoid: &s.monoid,
        reverse: s.reverse,
        states: &states,
        chunk: chunk as u32,
        width: width as u32,
        segment: i64::try_from(chunk.saturating_mul(rounds)).unwrap_or(i64::MAX).min(1 << 30),
        lines,
    };
    let (inputs, outputs): (Vec<Slot>, Vec<Slot>) =
        ((0..operands.len()).map(Slot::Operand).collect(), (0..walk.kept().len()).map(Slot::Result).collect());
    if segments == 1 || walk.segments().is(1) {
        let kernel = walk.kernel(name, given, false, Gives::Running)?;
        return Ok(Staged { scratch: Vec::new(), launches: vec![(kernel, [inputs, outputs].concat())] });
    }
    let totals = Lines { length: walk.segments(), ..walk.lines.clone() };
    let most = totals.most();
    let outer_chunk = most.next_power_of_two().min(chunk);
    let over =
        Walk { lines: totals, chunk: outer_chunk as u32, segment: most.next_multiple_of(outer_chunk) as i64, ..walk };
    let shape = vec![over.lines.outer.clone(), over.lines.length.clone(), over.lines.inner.clone()];
    let scratch = (0..2).flat_map(|_| states.iter().map(|d| TensorTy { dtype: *d, shape: shape.clone() })).collect();
    let n = states.len();
    let (folded, starts): (Vec<Slot>, Vec<Slot>) =
        ((0..n).map(Slot::Scratch).collect(), (n..2 * n).map(Slot::Scratch).collect());
    let fold = walk.kernel(&format!("{name}_totals"), given, false, Gives::Totals)?;
    let join = over.kernel(&format!("{name}_starts"), Given { dtypes: &states, lifted: true }, false, Gives::States)?;
    let run = walk.kernel(name, given, true, Gives::Running)?;
    Ok(Staged {
        scratch,
        launches: vec![
            (fold, [inputs.clone(), folded.clone()].concat()),
            (join, [folded, starts.clone()].concat()),
            (run, [inputs, starts, outputs].concat()),
        ],
    })
}

/// What a walk reads.
#[derive(Clone, Copy)]
struct Given<'a> {
    dtypes: &'a [DType],
    /// Running values instead of operands.
    lifted: bool,
}

/// What a walk writes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Gives {
    /// The results for every element.
    Running,
    /// The running values for every element.
    States,
    /// The running values behind every segment.
    Totals,
}

/// A walk along segments of lines.
#[derive(Clone)]
struct Walk<'a> {
    lines: Lines,
    monoid: &'a Monoid,
    reverse: bool,
    states: &'a [DType],
    /// Elements of a line in a tile, and lines in a tile; powers of two.
    chunk: u32,
    width: u32,
    /// Elements of a line that one program walks, a multiple of the chunk.
    segment: i64,
}

impl Walk<'_> {
    fn segments(&self) -> Dim {
        self.lines.length.ceil_div(&Dim::from(self.segment))
    }

    /// Which running values are results.
    fn kept(&self) -> Vec<usize> {
        let all: Vec<ValueId> = (0..self.states.len() as u32).map(ValueId).collect();
        monoid::results(self.monoid, &all).iter().map(|v| v.0 as usize).collect()
    }

    fn tile(&self) -> [u32; 3] {
        [1, self.chunk, self.width]
    }

    /// A kernel: parameters are what is given, the starts of segments if there are any, what is written.
    fn kernel(&self, name: &str, given: Given<'_>, starts: bool, gives: Gives) -> Result<Kernel> {
        use ScalarOp::{Add, Div, Min, Mul, Sub};
        let mut b = Builder::new();
        let totals = Lines { length: self.segments(), ..self.lines.clone() };
        let params = |b: &mut Builder, what: &str, dtypes: &[DType], lines: &Lines, access| -> Vec<usize> {
            let each = dtypes.iter().enumerate();
            each.map(|(i, d)| b.param(&format!("{what}{i}"), *d, lines.elements(), access, false)).collect()
        };
        let inputs = params(&mut b, "x", given.dtypes, &self.lines, Access::Read);
        let starts = if starts { params(&mut b, "start", self.states, &totals, Access::Read) } else { Vec::new() };
        let kept: Vec<usize> = if gives == Gives::Running { self.kept() } else { (0..self.states.len()).collect() };
        let dtypes: Vec<DType> = kept.iter().map(|i| self.states[*i]).collect();
        let (written, label) = if gives == Gives::Totals { (&totals, "total") } else { (&self.lines, "y") };
        let outputs = params(&mut b, label, &dtypes, written, Access::Write);

        let (line, block, segment) = (b.program_id(0), b.program_id(1), b.program_id(2));
        let width = b.int(self.width as i64);
        let column = b.map(Mul, &[block, width]);
        let one = b.int(1);
        let neighbour = b.map(if self.reverse { Add } else { Sub }, &[segment, one]);
        let (ids, view) = (identity(self.monoid, self.states), totals.view(1, self.width));
        let mut init = Vec::new();
        for (i, (id, d)) in ids.iter().zip(self.states).enumerate() {
            init.push(match starts.get(i) {
                Some(p) => {
                    // The first segment has none before it, and starts from the identity.
                    let mut view = view.clone();
                    view.axes[1].inside = false;
                    let v = b.load(*p, view, &[line, neighbour, column], &[1, 1, self.width], *id);
                    b.reshape(v, &[1, self.width])
                }
                None => b.constant(*id, TileTy::new(*d, [1, self.width])),
            });
        }
        let (length, size) = (b.int(self.segment), b.size(&self.lines.length));
        let lo = b.map(Mul, &[segment, length]);
        let hi = b.map(Add, &[lo, length]);
        let hi = b.map(Min, &[hi, size]);
        // Going backwards, rounds count from the last chunk.
        let last = self.reverse.then(|| {
            let (step, one) = (b.int(self.chunk as i64), b.int(1));
            let span = b.map(Sub, &[hi, lo]);
            let span = b.map(Sub, &[span, one]);
            let rounds = b.map(Div, &[span, step]);
            let back = b.map(Mul, &[rounds, step]);
            let end = b.map(Add, &[lo, back]);
            b.map(Add, &[end, lo])
        });
        let mut failed = None;
        let end = b.for_loop(lo, hi, self.chunk, &init, |b, i, carried| {
            let at = match last {
                Some(last) => b.map(Sub, &[last, i]),
                None => i,
            };
            let to = (gives != Gives::Totals).then_some((&outputs[..], &kept[..]));
            self.round(b, given, &inputs, [line, at, column], carried, to).unwrap_or_else(|d| {
                failed = Some(d);
                carried.to_vec()
            })
        });
        if let Some(d) = failed {
            return Err(d);
        }
        if gives == Gives::Totals {
            for (p, v) in outputs.iter().zip(end) {
                let v = b.reshape(v, &[1, 1, self.width]);
                b.store(*p, view.clone(), &[line, segment, column], v);
            }
        }
        let columns = self.lines.inner.ceil_div(&Dim::from(self.width));
        let mut kernel = b.finish(name, vec![self.lines.outer.clone(), columns, self.segments()]);
        crate::fuse::cleanup::drop_unused(&mut kernel);
        Ok(kernel)
    }

    /// One chunk: running values in, running values out; results are stored `to` the parameters given with their places.
    fn round(
        &self,
        b: &mut Builder,
        given: Given<'_>,
        inputs: &[usize],
        at: [ValueId; 3],
        carried: &[ValueId],
        to: Option<(&[usize], &[usize])>,
    ) -> Result<Vec<ValueId>> {
        let (tile, view) = (self.tile(), self.lines.view(self.chunk, self.width));
        let mut values = self.load(b, given, inputs, &view, at);
        let position = {
            let steps = b.arange(&tile, 1);
            let start = b.splat(at[1], &tile);
            b.map(ScalarOp::Add, &[start, steps])
        };
        if !given.lifted {
            if matches!(self.monoid, Monoid::ArgMax | Monoid::ArgMin) {
                values.push(position);
            }
            values = monoid::lift(self.monoid, b, &values);
        }
        if !view.axes[1].inside {
            let end = b.size(&self.lines.length);
            let end = b.splat(end, &tile);
            let inside = b.map(ScalarOp::Lt, &[position, end]);
            for (v, id) in values.iter_mut().zip(identity(self.monoid, self.states)) {
                let ty = b.ty(*v).clone();
                let id = b.constant(id, ty);
                *v = b.map(ScalarOp::Select, &[inside, *v, id]);
            }
        }
        let combine = monoid::combine(self.monoid, b, self.states)?;
        let rows: Vec<TileTy> = self.states.iter().map(|d| TileTy::new(*d, [1, self.width])).collect();
        if to.is_none() && !matches!(self.monoid, Monoid::Custom(..)) {
            let folded = b.push(Op::Reduce { args: values, axis: 1, combine }, rows);
            return monoid::merge(self.monoid, b, carried, &folded);
        }
        let whole = self.states.iter().map(|d| TileTy::new(*d, tile)).collect();
        let running = b.push(Op::Scan { args: values, axis: 1, combine, reverse: self.reverse }, whole);
        let before: Vec<ValueId> = carried.iter().map(|v| b.broadcast(*v, &tile, &[0, 2])).collect();
        let running = monoid::merge(self.monoid, b, &before, &running)?;
        if let Some((outputs, kept)) = to {
            for (p, i) in outputs.iter().zip(kept) {
                b.store(*p, view.clone(), &at, running[*i]);
            }
        }
        Ok(self.last(b, running, rows))
    }

    fn load(&self, b: &mut Builder, given: Given<'_>, inputs: &[usize], view: &View, at: [ValueId; 3]) -> Vec<ValueId> {
        let mut out = Vec::new();
        for (i, p) in inputs.iter().enumerate() {
            let zero = if given.dtypes[i].is_float() { Literal::float(0.0) } else { Literal::Int(0) };
            let v = b.load(*p, view.clone(), &at, &self.tile(), zero);
            let custom = matches!(self.monoid, Monoid::Custom(..));
            out.push(if custom || given.lifted { v } else { b.cast(v, self.states[0]) });
        }
        out
    }

    /// The running values behind the chunk's last element (the first one when going backwards), as they are.
    fn last(&self, b: &mut Builder, running: Vec<ValueId>, rows: Vec<TileTy>) -> Vec<ValueId> {
        let tile = self.tile();
        let steps = b.arange(&tile, 1);
        let end = if self.reverse { 0 } else { self.chunk as i64 - 1 };
        let end = b.constant(Literal::Int(end), TileTy::new(DType::I32, tile));
        let mark = b.map(ScalarOp::Eq, &[steps, end]);
        let scalars: Vec<TileTy> =
            std::iter::once(DType::Bool).chain(self.states.iter().copied()).map(TileTy::scalar).collect();
        let side = |b: &mut Builder| -> Vec<ValueId> { scalars.iter().map(|t| b.fresh(t.clone())).collect() };
        let (x, y) = (side(b), side(b));
        b.begin(x.iter().chain(&y).copied().collect());
        let mut chosen = vec![b.map(ScalarOp::Or, &[x[0], y[0]])];
        for (x, right) in x.iter().zip(&y).skip(1) {
            chosen.push(b.map(ScalarOp::Select, &[y[0], *right, *x]));
        }
        let body: Block = b.end(chosen);
        let args = std::iter::once(mark).chain(running).collect();
        let tys = std::iter::once(TileTy::new(DType::Bool, [1, self.width])).chain(rows).collect();
        b.push(Op::Reduce { args, axis: 1, combine: Combine::Body(body) }, tys).split_off(1)
    }
}
