//! Folds along an axis: registers first, then threads in rounds of up to eight through workgroup memory (or by subgroup
//! shuffles), always in the same order. Every thread that needs a result gets it.

use super::emit::{Emit, Idx, Leaf, Part, UNROLL};
use super::layout::Layout;
use girih_base::{DType, Result, ScalarOp};
use girih_simt::{self as simt, Space, Ty, ValueId as Sv};
use girih_tile::{Combine, ValueId as Tv};

/// Threads folded in one round through workgroup memory, as a power of two.
const RADIX_BITS: usize = 3;

impl Emit<'_> {
    /// One step of a fold: left and right operands, in axis order.
    pub fn combine(&mut self, combine: &Combine, args: &[Tv], left: &[Sv], right: &[Sv]) -> Result<Vec<Sv>> {
        match combine {
            Combine::Scalar(op) => {
                let x = self.map(*op, &[left[0], right[0]]);
                let exact = matches!(op, ScalarOp::Min | ScalarOp::Max | ScalarOp::And | ScalarOp::Or | ScalarOp::Xor);
                Ok(vec![if exact { x } else { self.narrow(x, self.dtype(args[0]))? }])
            }
            Combine::Body(body) => {
                let scalar = Layout::scalar(self.plan.lanes);
                for (p, v) in body.params.iter().zip(left.iter().chain(right)) {
                    self.forget(*p);
                    self.leaves.insert(*p, Leaf::Regs(scalar.clone(), vec![*v]));
                }
                for s in &body.stmts {
                    for r in &s.results {
                        self.forget(*r);
                        self.leaves.remove(r);
                        let leaf = self.keep(*r, &scalar)?;
                        self.leaves.insert(*r, leaf);
                    }
                }
                body.results.iter().map(|r| self.scalar(*r)).collect()
            }
        }
    }

    /// [`Op::Reduce`](girih_tile::Op::Reduce).
    pub fn reduce(&mut self, args: &[Tv], axis: usize, combine: &Combine, results: &[Tv]) -> Result<()> {
        let ordered = matches!(combine, Combine::Body(_));
        let l =
            if ordered { Layout::serial(&self.bits(args[0]), axis, self.plan.lanes) } else { self.layout_of(args[0]) };
        for a in args {
            self.prepare(*a, &l, l.vectors() > UNROLL)?;
        }
        let out = l.without(axis);
        let on_axis = |b: &Option<super::layout::Bit>| b.is_some_and(|b| b.axis as usize == axis);
        let kept: Vec<usize> = (0..l.reg.len()).filter(|i| !on_axis(&l.reg[*i])).collect();
        let lanes: Vec<u8> = (0..l.lane.len()).filter(|i| on_axis(&l.lane[*i])).map(|i| i as u8).collect();
        let fold = Fold { args, combine, l: &l, axis, kept, ordered };
        if out.vectors() <= UNROLL {
            let mut values = Vec::new();
            for i in 0..out.vectors() {
                values.push(self.fold_vector(&fold, &out, &Idx::fixed(i))?);
            }
            let values = self.fold_lanes(args, combine, values, &lanes)?;
            for (i, r) in results.iter().enumerate() {
                let regs: Vec<Sv> = values.iter().map(|v| v[i]).collect();
                let name = self.kernel.values[r.0 as usize].name.clone();
                regs.iter().for_each(|v| self.b.name(*v, name.clone()));
                self.leaves.insert(*r, Leaf::Regs(out.clone(), regs));
            }
            return Ok(());
        }
        let mut arrays = Vec::new();
        for a in args {
            let ty = Ty::vec(self.compute(self.dtype(*a))?, out.width());
            arrays.push(self.b.local("folded", ty, Some(out.vectors())));
        }
        self.each(out.vectors(), |e, idx| {
            let one = e.fold_vector(&fold, &out, idx)?;
            let one = e.fold_lanes(args, combine, vec![one], &lanes)?;
            let at = e.vector_index(idx);
            for (array, v) in arrays.iter().zip(&one[0]) {
                e.b.store(Space::Local(*array), at, *v);
            }
            Ok(())
        })?;
        for (r, array) in results.iter().zip(arrays) {
            self.leaves.insert(*r, Leaf::Array(out.clone(), array));
        }
        Ok(())
    }

    /// The thread's own part of one vector of the result.
    fn fold_vector(&mut self, f: &Fold, out: &Layout, idx: &Idx) -> Result<Vec<Sv>> {
        let vector = f.l.vector_bits();
        let whole = (0..vector).all(|i| f.kept.get(i) == Some(&i));
        if whole {
            let source = f.source(self, idx, 0, out).0;
            return self.fold_registers(f, &source, None);
        }
        let mut parts: Vec<Vec<Sv>> = Vec::new();
        for c in 0..out.width() as u32 {
            let (source, comp) = f.source(self, idx, c, out);
            let loose: Vec<usize> = (0..vector).filter(|i| !f.kept.contains(i)).collect();
            let comps: Vec<u8> = (0..1u32 << loose.len())
                .map(|n| (comp | loose.iter().enumerate().map(|(i, p)| (n >> i & 1) << p).sum::<u32>()) as u8)
                .collect();
            parts.push(self.fold_registers(f, &source, Some(&comps))?);
        }
        Ok((0..f.args.len()).map(|a| self.pack(&parts.iter().map(|p| p[a]).collect::<Vec<_>>())).collect())
    }

    fn fold_registers(&mut self, f: &Fold, kept: &Idx, comps: Option<&[u8]>) -> Result<Vec<Sv>> {
        let vector = f.l.vector_bits();
        let places: Vec<u32> =
            (vector..f.l.reg.len()).filter(|p| !f.kept.contains(p)).map(|p| (p - vector) as u32).collect();
        let rounds = 1u32 << places.len();
        let scatter = |n: u32| places.iter().enumerate().map(|(i, p)| (n >> i & 1) << p).sum::<u32>();
        let early = comps.filter(|_| f.ordered);
        let step = |e: &mut Self, idx: &Idx| -> Result<Vec<Sv>> {
            let mut values = Vec::new();
            for a in f.args {
                let x = e.eval(*a, f.l, idx)?;
                values.push(e.wide(x, f.l.width()));
            }
            match early {
                Some(comps) => e.fold_components(f, &values, comps),
                None => Ok(values),
            }
        };
        let at = |n: u32| Idx { fixed: kept.fixed | scatter(n), parts: kept.parts.clone() };
        let mut sum = step(self, &at(0))?;
        if rounds <= UNROLL {
            for n in 1..rounds {
                let next = step(self, &at(n))?;
                sum = self.combine(f.combine, f.args, &sum, &next)?;
            }
        } else {
            let locals: Vec<u32> = sum.iter().map(|v| self.b.local("partial", self.b.ty(*v), None)).collect();
            locals.iter().zip(&sum).for_each(|(l, v)| self.b.set(*l, *v));
            let (one, end) = (self.uint(1), self.uint(rounds));
            self.repeat(one, end, 1, |e, n| {
                let mut idx = kept.clone();
                let mut from = 0;
                // Runs of neighbouring places take neighbouring bits of the round's number.
                while from < places.len() {
                    let run =
                        (from..places.len()).take_while(|i| places[*i] == places[from] + (*i - from) as u32).count();
                    let moved = e.shr(n, from as u32);
                    let last = from + run == places.len();
                    let value = if last { moved } else { e.and_fixed(moved, (1 << run) - 1) };
                    idx.parts.push(Part { value, shift: places[from] as u8, bits: run as u8 });
                    from += run;
                }
                let next = step(e, &idx)?;
                let old: Vec<Sv> = locals.iter().map(|l| e.b.get(*l)).collect();
                let new = e.combine(f.combine, f.args, &old, &next)?;
                locals.iter().zip(new).for_each(|(l, v)| e.b.set(*l, v));
                Ok(())
            })?;
            sum = locals.iter().map(|l| self.b.get(*l)).collect();
        }
        match comps.filter(|_| !f.ordered) {
            Some(comps) => self.fold_components(f, &sum, comps),
            None => Ok(sum),
        }
    }

    fn fold_components(&mut self, f: &Fold, values: &[Sv], comps: &[u8]) -> Result<Vec<Sv>> {
        let mut parts: Vec<Vec<Sv>> =
            comps.iter().map(|c| values.iter().map(|v| self.b.component(*v, *c)).collect()).collect();
        while parts.len() > 1 {
            let mut next = Vec::new();
            for pair in parts.chunks(2) {
                next.push(self.combine(f.combine, f.args, &pair[0], &pair[1])?);
            }
            parts = next;
        }
        Ok(parts.remove(0))
    }

    /// Folds over the thread bits `lanes`; `values[vector][operand]`. All threads of a group end with the result.
    pub fn fold_lanes(
        &mut self,
        args: &[Tv],
        combine: &Combine,
        mut values: Vec<Vec<Sv>>,
        lanes: &[u8],
    ) -> Result<Vec<Vec<Sv>>> {
        let threads = 1u32 << self.plan.lanes;
        let known = self.desc.subgroups && self.desc.subgroup_size[0] == self.desc.subgroup_size[1];
        let mut rest = lanes;
        while let (true, Some((p, tail)), Combine::Scalar(_)) = (known, rest.split_first(), combine) {
            if 2u32 << p > self.desc.subgroup_size[0] || threads < self.desc.subgroup_size[0] {
                break;
            }
            for v in &mut values {
                let ty = self.b.ty(v[0]);
                // Subgroups exchange numbers, not bools.
                let sent = if ty.dtype == DType::Bool { self.b.cast(v[0], DType::U32) } else { v[0] };
                let number = self.b.ty(sent);
                let other = self.b.push(simt::Op::Subgroup(simt::SubgroupOp::ShuffleXor(1 << p), sent), number);
                let other = self.b.cast(other, ty.dtype);
                *v = self.combine(combine, args, v, &[other])?;
            }
            rest = tail;
        }
        for round in rest.chunks(RADIX_BITS) {
            let mask: u32 = round.iter().map(|p| 1 << p).sum();
            let lane = self.lane();
            let mut arrays = Vec::new();
            for a in 0..values[0].len() {
                let ty = self.b.ty(values[0][a]);
                let array = self.scratch("partials", ty.dtype, threads * values.len() as u32 * ty.lanes as u32);
                for (i, v) in values.iter().enumerate() {
                    for c in 0..ty.lanes {
                        let part = self.b.component(v[a], c);
                        let at = self.add_fixed(lane, (i as u32 * ty.lanes as u32 + c as u32) * threads);
                        self.put_shared(array, at, part);
                    }
                }
                arrays.push((array, ty));
            }
            self.barrier();
            let first = self.and_fixed(lane, (threads - 1) & !mask);
            for (i, v) in values.iter_mut().enumerate() {
                let mut sum: Option<Vec<Sv>> = None;
                for n in 0..1u32 << round.len() {
                    let offset: u32 = round.iter().enumerate().map(|(b, p)| (n >> b & 1) << p).sum();
                    let from = self.add_fixed(first, offset);
                    let mut next = Vec::new();
                    for (array, ty) in &arrays {
                        let mut parts = Vec::new();
                        for c in 0..ty.lanes {
                            let at = self.add_fixed(from, (i as u32 * ty.lanes as u32 + c as u32) * threads);
                            parts.push(self.get_shared(*array, at, ty.dtype));
                        }
                        next.push(self.pack(&parts));
                    }
                    sum = Some(match sum {
                        None => next,
                        Some(s) => self.combine(combine, args, &s, &next)?,
                    });
                }
                if let Some(s) = sum {
                    *v = s;
                }
            }
            arrays.iter().for_each(|(a, _)| self.release(*a));
        }
        Ok(values)
    }
}

struct Fold<'a> {
    args: &'a [Tv],
    combine: &'a Combine,
    l: &'a Layout,
    axis: usize,
    /// Positions of the register bits that stay, in order: they are the result's register bits.
    kept: Vec<usize>,
    ordered: bool,
}

impl Fold<'_> {
    /// Vector and component of the operand that component `c` of result vector `idx` starts from.
    fn source(&self, e: &mut Emit, idx: &Idx, c: u32, out: &Layout) -> (Idx, u32) {
        debug_assert!(self.axis < 256);
        let (vector, out_vector) = (self.l.vector_bits(), out.vector_bits());
        let (mut fixed, mut comp, mut parts) = (0u32, 0u32, Vec::new());
        for (i, p) in self.kept.iter().enumerate() {
            let place = |on: u32, fixed: &mut u32, comp: &mut u32| match p.checked_sub(vector) {
                Some(q) => *fixed |= on << q,
                None => *comp |= on << p,
            };
            match i.checked_sub(out_vector) {
                None => place(c >> i & 1, &mut fixed, &mut comp),
                Some(q) => {
                    let gives = |part: &&Part| (part.shift as usize..(part.shift + part.bits) as usize).contains(&q);
                    match idx.parts.iter().find(gives) {
                        Some(part) => {
                            let bit = e.shr(part.value, q as u32 - part.shift as u32);
                            let bit =
                                if q + 1 == (part.shift + part.bits) as usize { bit } else { e.and_fixed(bit, 1) };
                            parts.push(Part { value: bit, shift: (p - vector) as u8, bits: 1 });
                        }
                        None => place(idx.fixed >> q & 1, &mut fixed, &mut comp),
                    }
                }
            }
        }
        (Idx { fixed, parts }, comp)
    }
}
