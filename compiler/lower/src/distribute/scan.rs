//! Running folds: lines of the tile lie in workgroup memory, several threads share a line, each folds a segment, then the
//! totals of the segments before it are put in front.

use super::emit::{Emit, Leaf};
use girih_base::{Result, ScalarOp};
use girih_simt::{Ty, ValueId as Sv};
use girih_tile::{Combine, ValueId as Tv};

/// How lines along an axis are shared among threads; all as powers of two.
#[derive(Clone, Copy)]
pub struct Lines {
    /// Bits of row-major positions below the axis.
    below: u32,
    /// Extent of the axis.
    len: u32,
    /// Number of lines.
    lines: u32,
    /// Threads that share a line.
    share: u32,
    /// Lines worked on at a time.
    groups: u32,
}

impl Lines {
    fn new(bits: &[u8], axis: usize, lanes: u32) -> Lines {
        let below = bits[axis + 1..].iter().map(|b| *b as u32).sum();
        let len = bits[axis] as u32;
        let lines = bits.iter().map(|b| *b as u32).sum::<u32>() - len;
        let groups = lines.min(lanes);
        Lines { below, len, lines, share: (lanes - groups).min(len), groups }
    }
}

impl Emit<'_> {
    /// The row-major index of position `at` (u32) in line `line`.
    pub fn on_line(&mut self, below: u32, len: u32, line: Sv, at: Sv) -> Sv {
        let low = self.and_fixed(line, (1u32 << below) - 1);
        let high = self.shr(line, below);
        let high = self.shl(high, below + len);
        let middle = self.shl(at, below);
        let sum = self.add(high, middle);
        if below == 0 { sum } else { self.add(sum, low) }
    }

    /// [`Op::Scan`](girih_tile::Op::Scan).
    pub fn scan(&mut self, args: &[Tv], axis: usize, combine: &Combine, reverse: bool, results: &[Tv]) -> Result<()> {
        let lanes = self.plan.lanes as u32;
        let lines = Lines::new(&self.bits(args[0]), axis, lanes);
        let arrays = args.iter().map(|a| self.copy_to_shared(*a)).collect::<Result<Vec<_>>>()?;
        let dtypes = args.iter().map(|a| self.compute(self.dtype(*a))).collect::<Result<Vec<_>>>()?;
        let lane = self.lane();
        let mine = self.and_fixed(lane, (1 << lines.share) - 1);
        let group = self.shr(lane, lines.share);
        let segment = lines.len - lines.share;
        let locals: Vec<u32> = dtypes.iter().map(|d| self.b.local("running", Ty::scalar(*d), None)).collect();
        let (zero, rounds) = (self.uint(0), self.uint(1 << (lines.lines - lines.groups)));
        self.repeat(zero, rounds, 1, |e, round| {
            let first = e.shl(round, lines.groups);
            let line = e.add(first, group);
            let limit = e.uint(1 << lines.groups);
            let busy = (lines.groups + lines.share < lanes).then(|| e.index(ScalarOp::Lt, &[group, limit]));
            let start = e.shl(mine, segment);
            let place = |e: &mut Self, step: Sv| {
                let at = e.add(start, step);
                let last = e.uint((1 << lines.len) - 1);
                let at = if reverse { e.index(ScalarOp::Sub, &[last, at]) } else { at };
                e.on_line(lines.below, lines.len, line, at)
            };
            let read = |e: &mut Self, at: Sv| -> Vec<Sv> {
                arrays.iter().zip(&dtypes).map(|(a, d)| e.get_shared(*a, at, *d)).collect()
            };
            e.guarded(busy, |e| {
                let (zero, one, n) = (e.uint(0), e.uint(1), e.uint(1 << segment));
                let at = place(e, zero);
                let head = read(e, at);
                locals.iter().zip(head).for_each(|(l, v)| e.b.set(*l, v));
                e.repeat(one, n, 1, |e, step| {
                    let at = place(e, step);
                    let (old, next) = (locals.iter().map(|l| e.b.get(*l)).collect::<Vec<_>>(), read(e, at));
                    let sum = e.combine(combine, args, &old, &next)?;
                    for ((local, array), v) in locals.iter().zip(&arrays).zip(sum) {
                        e.b.set(*local, v);
                        e.put_shared(*array, at, v);
                    }
                    Ok(())
                })
            })?;
            if lines.share == 0 {
                return Ok(());
            }
            let totals: Vec<u32> = dtypes.iter().map(|d| e.scratch("totals", *d, 1 << lanes)).collect();
            for ((local, total), _) in locals.iter().zip(&totals).zip(&dtypes) {
                let v = e.b.get(*local);
                e.put_shared(*total, lane, v);
            }
            e.barrier();
            let zero = e.uint(0);
            let later = e.index(ScalarOp::Lt, &[zero, mine]);
            let later = e.both(busy, Some(later));
            e.guarded(later, |e| {
                let base = e.shl(group, lines.share);
                let head: Vec<Sv> = totals.iter().zip(&dtypes).map(|(t, d)| e.get_shared(*t, base, *d)).collect();
                locals.iter().zip(head).for_each(|(l, v)| e.b.set(*l, v));
                let one = e.uint(1);
                e.repeat_divergent(one, mine, 1, |e, i| {
                    let at = e.add(base, i);
                    let next: Vec<Sv> = totals.iter().zip(&dtypes).map(|(t, d)| e.get_shared(*t, at, *d)).collect();
                    let old: Vec<Sv> = locals.iter().map(|l| e.b.get(*l)).collect();
                    let sum = e.combine(combine, args, &old, &next)?;
                    locals.iter().zip(sum).for_each(|(l, v)| e.b.set(*l, v));
                    Ok(())
                })?;
                let (zero, n) = (e.uint(0), e.uint(1 << segment));
                e.repeat(zero, n, 1, |e, step| {
                    let at = place(e, step);
                    let (before, own) = (locals.iter().map(|l| e.b.get(*l)).collect::<Vec<_>>(), read(e, at));
                    let sum = e.combine(combine, args, &before, &own)?;
                    arrays.iter().zip(sum).for_each(|(a, v)| e.put_shared(*a, at, v));
                    Ok(())
                })
            })?;
            totals.iter().for_each(|t| e.release(*t));
            Ok(())
        })?;
        self.barrier();
        self.take_back(&arrays, results)
    }

    /// Results that lie in workgroup memory move to registers.
    pub fn take_back(&mut self, arrays: &[u32], results: &[Tv]) -> Result<()> {
        for (array, r) in arrays.iter().zip(results) {
            self.over.insert(*r, Leaf::Shared(*array));
        }
        for r in results {
            let layout = self.plan.layout[r.0 as usize].clone();
            let leaf = self.keep(*r, &layout)?;
            self.leaves.insert(*r, leaf);
        }
        Ok(())
    }
}
