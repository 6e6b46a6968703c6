//! Dot products: each thread multiplies a block of rows by a block of columns, four steps of k at a time.
//!
//! Operands that are plain loads are read by each thread in the layout it needs; others, or all when the target asks for
//! staging, come through workgroup memory.

use super::emit::{Emit, Idx, Leaf, Part, UNROLL};
use super::layout::{Bit, Layout};
use super::plan::fast_axis;
use girih_base::{DType, Result, ScalarOp};
use girih_simt::{self as simt, Space, Ty, ValueId as Sv};
use girih_tile::ValueId as Tv;

/// More multiply-adds of one step than this, and rows are visited by a loop.
const UNROLLED_STEPS: u32 = 64;

/// Which way an operand's vectors lie.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    /// Four neighbours along k.
    Depth,
    /// Four rows of `a`, or four columns of `b`.
    Across,
    /// One element at a time.
    Single,
}

/// The shape of one thread's work; all but `lanes` as powers of two.
struct Block {
    /// Rows of the register block.
    rows: u8,
    /// Vectors of a row of the register block.
    columns: u8,
    /// The contracted extent.
    depth: u8,
    /// Steps of k taken at a time.
    step: u8,
    a: (Layout, Way, Tv),
    b: (Layout, Way, Tv),
    acc: DType,
}

/// The accumulator's vectors.
#[derive(Clone, Copy)]
enum Acc {
    Var(u32),
    Array(u32),
}

/// A position that is known now, or found at run time.
type Position = (u32, Option<Sv>);

/// A vector index put together from positions, each with its first bit and number of bits.
fn place(positions: &[(Position, u8, u8)]) -> Idx {
    let fixed = positions.iter().map(|((fixed, _), shift, _)| fixed << shift).sum();
    let part = |((_, value), shift, bits): &(Position, u8, u8)| {
        value.filter(|_| *bits > 0).map(|value| Part { value, shift: *shift, bits: *bits })
    };
    Idx { fixed, parts: positions.iter().filter_map(part).collect() }
}

fn bit(axis: u8, bit: u8) -> Option<Bit> {
    Some(Bit { axis, bit })
}

impl Emit<'_> {
    /// [`Op::Dot`](girih_tile::Op::Dot).
    pub fn dot(&mut self, a: Tv, b: Tv, acc: Option<Tv>, result: Tv) -> Result<()> {
        let l = self.plan.layout[result.0 as usize].clone();
        let (acc, taken) = self.accumulator(&l, acc, result)?;
        let block = self.shape(&l, a, b, result)?;
        for (layout, _, v) in [&block.a, &block.b] {
            if self.desc.staging && !self.leaves.contains_key(v) && self.plan.lanes > 0 {
                self.stage(*v)?;
            }
            self.prepare(*v, layout, true)?;
        }
        let steps = 1u32 << (block.depth - block.step);
        let work = 1u32 << (block.rows + block.columns + block.step);
        if steps == 1 || steps * work <= UNROLLED_STEPS {
            for s in 0..steps {
                self.dot_step(&block, acc, (s, None))?;
            }
        } else {
            let (lo, hi) = (self.uint(0), self.uint(steps));
            self.repeat(lo, hi, 1, |e, s| {
                e.b.name(s, Some("k".into()));
                e.dot_step(&block, acc, (0, Some(s)))
            })?;
        }
        let leaf = match acc {
            Acc::Array(array) => Leaf::Array(l, array),
            Acc::Var(var) => {
                let v = self.b.get(var);
                Leaf::Regs(l, vec![v])
            }
        };
        if let Some(old) = taken {
            self.leaves.remove(&old);
        }
        self.leaves.insert(result, leaf);
        Ok(())
    }

    /// Where the sums go: the array of the accumulator operand when nobody else needs it, else a new one.
    fn accumulator(&mut self, l: &Layout, acc: Option<Tv>, result: Tv) -> Result<(Acc, Option<Tv>)> {
        if let Some(v) = acc {
            match self.leaves.get(&v) {
                Some(Leaf::Array(held, array)) if held == l && self.plan.uses[v.0 as usize] == 1 => {
                    return Ok((Acc::Array(*array), Some(v)));
                }
                _ => {}
            }
        }
        let dtype = self.compute(self.dtype(result))?;
        let ty = Ty::vec(dtype, l.width());
        let name = self.kernel.values[result.0 as usize].name.clone();
        let vectors = l.vectors();
        let local = self.b.local(name.as_deref().unwrap_or("acc"), ty, (vectors > 1).then_some(vectors));
        if let Some(v) = acc {
            self.prepare(v, l, vectors > UNROLL)?;
        }
        self.each(vectors, |e, idx| {
            let x = match acc {
                Some(v) => e.eval(v, l, idx)?,
                None => e.b.constant(
                    if dtype.is_float() { simt::Literal::float(0.0) } else { simt::Literal::Int(0) },
                    Ty::scalar(dtype),
                ),
            };
            let x = e.wide(x, l.width());
            if vectors == 1 {
                e.b.set(local, x);
                return Ok(());
            }
            let at = e.vector_index(idx);
            e.b.store(Space::Local(local), at, x);
            Ok(())
        })?;
        Ok((if vectors == 1 { Acc::Var(local) } else { Acc::Array(local) }, None))
    }

    fn shape(&mut self, l: &Layout, a: Tv, b: Tv, result: Tv) -> Result<Block> {
        let depth = self.bits(a)[1];
        let on = |axis: u8, b: &Option<Bit>| b.is_some_and(|b| b.axis == axis);
        let row_bits: Vec<Option<Bit>> = l.reg.iter().filter(|b| on(0, b)).copied().collect();
        let column_bits: Vec<Option<Bit>> = l.reg.iter().filter(|b| on(1, b)).copied().collect();
        let (columns_low, columns_high) = column_bits.split_at(column_bits.len().min(2));
        let deep = depth >= 2;
        let k = |axis: u8, from: u8| (from..depth).map(move |i| bit(axis, i));
        let a_way = match fast_axis(&self.plan, a) {
            Some(0) if row_bits.len() >= 2 => Way::Across,
            Some(0) => Way::Single,
            _ if deep => Way::Depth,
            _ => Way::Single,
        };
        let a_reg: Vec<Option<Bit>> = match a_way {
            Way::Depth => [bit(1, 0), bit(1, 1)].into_iter().chain(row_bits.iter().copied()).chain(k(1, 2)).collect(),
            Way::Across => row_bits.iter().copied().chain(k(1, 0)).collect(),
            Way::Single => [None, None].into_iter().chain(row_bits.iter().copied()).chain(k(1, 0)).collect(),
        };
        let b_way = if deep && fast_axis(&self.plan, b) == Some(0) { Way::Depth } else { Way::Across };
        let b_reg: Vec<Option<Bit>> = match b_way {
            Way::Depth => {
                [bit(0, 0), bit(0, 1)].into_iter().chain(column_bits.iter().copied()).chain(k(0, 2)).collect()
            }
            _ => columns_low.iter().chain(columns_high).copied().chain(k(0, 0)).collect(),
        };
        let lanes = |axis: u8| l.lane.iter().map(|b| if on(axis, b) { *b } else { None }).collect();
        Ok(Block {
            rows: row_bits.len() as u8,
            columns: columns_high.len() as u8,
            depth,
            step: depth.min(2),
            a: (Layout { reg: a_reg, lane: lanes(0) }, a_way, a),
            b: (Layout { reg: b_reg, lane: lanes(1) }, b_way, b),
            acc: self.dtype(result),
        })
    }

    /// The vectors of `b` for one step: `[step of k][vector of columns]`.
    fn columns_of(&mut self, block: &Block, s: Position) -> Result<Vec<Vec<Sv>>> {
        let (layout, way, v) = &block.b;
        let (from, to) = (self.dtype(*v), block.acc);
        let steps = 1u32 << block.step;
        let mut out: Vec<Vec<Sv>> = vec![Vec::new(); steps as usize];
        for j in 0..1u32 << block.columns {
            if *way == Way::Depth {
                // Four columns as vectors along k, turned over.
                let mut along = Vec::new();
                for c in 0..4 {
                    let parts =
                        [((c, None), 0, 2), ((j, None), 2, block.columns), (s, 2 + block.columns, block.depth - 2)];
                    let idx = place(&parts);
                    let x = self.eval(*v, layout, &idx)?;
                    along.push(self.wide(x, 4));
                }
                for (c, out) in out.iter_mut().enumerate() {
                    let parts: Vec<Sv> = along.iter().map(|x| self.b.component(*x, c as u8)).collect();
                    let x = self.pack(&parts);
                    out.push(self.convert(x, from, to)?);
                }
                continue;
            }
            for c in 0..steps {
                let parts = [
                    ((j, None), 0, block.columns),
                    ((c, None), block.columns, block.step),
                    (s, block.columns + block.step, block.depth - block.step),
                ];
                let idx = place(&parts);
                let x = self.eval(*v, layout, &idx)?;
                let x = self.wide(x, layout.width());
                out[c as usize].push(self.convert(x, from, to)?);
            }
        }
        Ok(out)
    }

    fn dot_step(&mut self, block: &Block, acc: Acc, s: Position) -> Result<()> {
        let columns = self.columns_of(block, s)?;
        let across = block.a.1 == Way::Across;
        // Rows come one by one, or four by four where they are neighbours in memory.
        let groups = block.rows - if across { 2 } else { 0 };
        if 1u32 << (block.rows + block.columns + block.step) <= UNROLLED_STEPS || groups == 0 {
            return (0..1u32 << groups).try_for_each(|i| self.dot_rows(block, acc, &columns, s, (i, None), groups));
        }
        let (lo, hi) = (self.uint(0), self.uint(1 << groups));
        self.repeat(lo, hi, 1, |e, i| {
            e.b.name(i, Some("row".into()));
            e.dot_rows(block, acc, &columns, s, (0, Some(i)), groups)
        })
    }

    /// One row (or four) times all columns of the block.
    fn dot_rows(
        &mut self,
        block: &Block,
        acc: Acc,
        columns: &[Vec<Sv>],
        s: Position,
        i: Position,
        groups: u8,
    ) -> Result<()> {
        let (layout, way, v) = &block.a;
        let (from, to) = (self.dtype(*v), block.acc);
        let steps = 1u32 << block.step;
        let mut a: Vec<Sv> = Vec::new();
        for c in 0..if *way == Way::Depth { 1 } else { steps } {
            let parts = match way {
                Way::Depth => vec![(i, 0, groups), (s, groups, block.depth - 2)],
                _ => vec![
                    (i, 0, groups),
                    ((c, None), groups, block.step),
                    (s, groups + block.step, block.depth - block.step),
                ],
            };
            let idx = place(&parts);
            let x = self.eval(*v, layout, &idx)?;
            let x = self.convert(x, from, to)?;
            a.push(if *way == Way::Single { x } else { self.wide(x, 4) });
        }
        for r in 0..if *way == Way::Across { 4u8 } else { 1 } {
            for j in 0..1u32 << block.columns {
                let low = if *way == Way::Across { 2 } else { 0 };
                let parts = [
                    ((j, None), 0, block.columns),
                    ((r as u32, None), block.columns, low),
                    (i, block.columns + low, groups),
                ];
                let idx = place(&parts);
                let at = self.vector_index(&idx);
                let mut sum = match acc {
                    Acc::Var(var) => self.b.get(var),
                    Acc::Array(array) => self.b.load(Space::Local(array), at),
                };
                for c in 0..steps as usize {
                    let x = match way {
                        Way::Depth => self.b.component(a[0], c as u8),
                        Way::Across => self.b.component(a[c], r),
                        Way::Single => a[c],
                    };
                    let y = columns[c][j as usize];
                    let x = self.wide(x, self.b.ty(y).lanes);
                    sum = if to.is_float() {
                        self.b.map(ScalarOp::Fma, &[x, y, sum])
                    } else {
                        let product = self.b.map(ScalarOp::Mul, &[x, y]);
                        self.b.map(ScalarOp::Add, &[product, sum])
                    };
                }
                match acc {
                    Acc::Var(var) => self.b.set(var, sum),
                    Acc::Array(array) => self.b.store(Space::Local(array), at, sum),
                }
            }
        }
        Ok(())
    }
}
