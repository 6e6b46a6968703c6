//! Barriers, warps of 32 lanes and cooperative groups. Lanes exchange words through workgroup memory, all threads of the block
//! together, so that the result does not depend on the width of the hardware's subgroups.

mod exchange;
mod shuffle;

use super::call::Operand;
use super::value::{Place, Tv, Val};
use super::*;
use crate::ast::TemplateArg;
use crate::types::Group;
use girih_base::{DType, ScalarOp as S};
use girih_simt::{AtomicOp, Op, Shuffle, SubgroupOp};

/// From which thread a word comes.
#[derive(Clone, Copy)]
struct Source {
    /// Its number in the block.
    thread: ValueId,
    /// By how much its lane differs in every thread, if that is so.
    xor: Option<u32>,
}

impl Lowerer<'_> {
    /// `__syncthreads()`: refused where threads part.
    pub fn sync_threads(&mut self, at: At) -> R<()> {
        if let Some(why) = self.masks.iter().find_map(|m| m.why) {
            let d = self.p.sources.error(
                "U008",
                at,
                "this __syncthreads() is reached by some threads of the block only",
                "reached under a condition",
            );
            let d = d.at(&self.p.sources.loc(why), "the condition differs between threads");
            return Err(Fail::Diag(
                d.help("move it out of the condition, so that every thread of the block reaches it"),
            ));
        }
        self.b.effect(Op::Barrier);
        Ok(())
    }

    pub(super) fn bool_id(&mut self, tv: Tv, at: At) -> R<ValueId> {
        let v = self.truth(tv, at)?;
        Ok(self.id(&v.v, Scalar::Bool))
    }

    /// Whether this thread takes part.
    pub(super) fn active(&mut self) -> Option<ValueId> {
        let mask = self.masks.last().filter(|_| !self.plain).map(|m| m.local)?;
        Some(self.b.get(mask))
    }

    pub(super) fn and_active(&mut self, v: ValueId) -> ValueId {
        match self.active() {
            Some(on) => self.m(S::And, &[on, v]),
            None => v,
        }
    }

    /// The lane in the warp.
    pub fn warp_lane(&mut self) -> ValueId {
        let (lane, mask) = (self.lane, self.b.uint(self.warp() - 1));
        self.m(S::And, &[lane, mask])
    }

    /// The first thread of the warp.
    pub(super) fn warp_base(&mut self) -> ValueId {
        let (lane, mask) = (self.lane, self.b.uint(!(self.warp() - 1)));
        self.m(S::And, &[lane, mask])
    }

    pub(super) fn bool_const(&mut self, v: bool) -> ValueId {
        self.b.constant(girih_simt::Literal::Int(v as i64), Ty::scalar(DType::Bool))
    }

    /// Barrier and warp intrinsics, and the functions of cooperative groups.
    pub fn warp_call(&mut self, id: &str, targs: Option<&[TemplateArg]>, args: &[Operand], at: At) -> R<Option<Tv>> {
        if let Some(op) = id.strip_prefix("__shfl") {
            return self.shuffle(op, args, at).map(Some);
        }
        let simple = |l: &mut Self, i: usize| l.operand_value(&args[i], at);
        Ok(Some(match (id, args.len()) {
            ("__syncthreads" | "__barrier_sync", _) => {
                self.sync_threads(at)?;
                Tv::void()
            }
            ("__syncthreads_count" | "__syncthreads_and" | "__syncthreads_or", 1) => {
                self.sync_threads_allowed(at)?;
                let p = simple(self, 0)?;
                let p = self.bool_id(p, at)?;
                let one = self.b.uint(1);
                let v = match id {
                    "__syncthreads_count" => self.block_vote(AtomicOp::Add, one, p),
                    "__syncthreads_or" => self.block_vote(AtomicOp::Or, one, p),
                    _ => {
                        let not = self.m(S::Not, &[p]);
                        let bad = self.block_vote(AtomicOp::Or, one, not);
                        let one = self.b.uint(1);
                        self.m(S::Xor, &[bad, one])
                    }
                };
                Tv::one(self.b.bitcast(v, DType::I32), Scalar::Int)
            }
            ("__syncwarp", _) => {
                self.claim_mask(args, at)?;
                self.warp_barrier();
                Tv::void()
            }
            ("__activemask", 0) => {
                let yes = self.bool_const(true);
                Tv::one(self.ballot(yes), Scalar::UInt)
            }
            ("__ballot_sync", 2) | ("__ballot", 1) => {
                let among = self.claim_mask(&args[..args.len() - 1], at)?;
                let p = simple(self, args.len() - 1)?;
                let p = self.bool_id(p, at)?;
                let votes = self.ballot(p);
                Tv::one(self.among(votes, among), Scalar::UInt)
            }
            ("__any_sync", 2) | ("__any", 1) | ("__all_sync", 2) | ("__all", 1) => {
                let among = self.claim_mask(&args[..args.len() - 1], at)?;
                let p = simple(self, args.len() - 1)?;
                let p = self.bool_id(p, at)?;
                self.any_all(id.contains("all"), p, among)
            }
            ("__match_any_sync", 2) => {
                let among = self.claim_mask(&args[..1], at)?;
                let v = simple(self, 1)?;
                let same = self.match_any(v, at)?;
                Tv::one(self.among(same, among), Scalar::UInt)
            }
            (
                "__reduce_add_sync" | "__reduce_min_sync" | "__reduce_max_sync" | "__reduce_and_sync"
                | "__reduce_or_sync" | "__reduce_xor_sync",
                2,
            ) => {
                let among = self.claim_mask(&args[..1], at)?;
                let v = simple(self, 1)?;
                let s = v.t.scalar().map(Scalar::promote).unwrap_or(Scalar::Int);
                let v = self.convert(v, &Type::Scalar(s), at)?;
                let op = id.trim_start_matches("__reduce_").trim_end_matches("_sync").to_string();
                self.reduce(self.warp(), v, among, at, |l, a, b| match &*op {
                    "add" => l.binary("+", a, b, at),
                    "min" => l.extreme(false, a, b, at),
                    "max" => l.extreme(true, a, b, at),
                    "and" => l.binary("&", a, b, at),
                    "or" => l.binary("|", a, b, at),
                    _ => l.binary("^", a, b, at),
                })?
            }
            ("this_thread_block", 0) => Tv { v: Val::Opaque, t: Type::Group(Group::Block) },
            ("coalesced_threads", 0) => {
                let yes = self.bool_const(true);
                let mask = self.ballot(yes);
                Tv { v: Val::One(mask), t: Type::Group(Group::Coalesced) }
            }
            ("tiled_partition", 1 | 2) => {
                let n = match targs.and_then(|t| t.first()) {
                    Some(a) => self.template_int(&a.clone(), at)?,
                    None if args.len() == 2 => {
                        let v = simple(self, 1)?;
                        v.known()
                            .ok_or(())
                            .map_err(|()| self.err("U004", at, "the size of a tile must be a constant"))?
                    }
                    None => return Err(self.err("U004", at, "the size of a tile is missing")),
                };
                if ![1, 2, 4, 8, 16, 32].contains(&n) || n > self.warp() as i128 {
                    return Err(self.refuse(at, format!("a tile of {n} threads"), "use 1, 2, 4, 8, 16 or 32"));
                }
                // A part of a tile counts its ranks in that tile.
                let parent = match args.first().map(Operand::ty) {
                    Some(Type::Group(Group::Tile(m))) => Val::Int(*m as i128),
                    _ => Val::Opaque,
                };
                Tv { v: parent, t: Type::Group(Group::Tile(n as u32)) }
            }
            // cg::sync(group) and its like.
            ("sync" | "reduce" | "inclusive_scan" | "exclusive_scan", 1..)
                if matches!(args[0].ty(), Type::Group(_)) =>
            {
                let Type::Group(g) = *args[0].ty() else { return Ok(None) };
                let place = match &args[0] {
                    Operand::Place(p) => p.clone(),
                    Operand::Value(tv) => Place::Value(tv.clone()),
                    Operand::Braces(_) => return Ok(None),
                };
                self.group_call(g, &place, id, &args[1..], at)?
            }
            ("load_matrix_sync" | "store_matrix_sync" | "mma_sync" | "fill_fragment", _) => {
                self.matrix_call(id, args, at)?
            }
            _ => return Ok(None),
        }))
    }

    pub(super) fn sync_threads_allowed(&mut self, at: At) -> R<()> {
        // The barrier itself is part of the vote.
        self.open();
        let done = self.sync_threads(at);
        self.close();
        done
    }

    /// The lanes that the program says take part, where they are not the whole warp: several sets of lanes may meet at one
    /// operation, each with a mask of its own.
    fn claim_mask(&mut self, mask: &[Operand], at: At) -> R<Option<ValueId>> {
        let [mask] = mask else { return Ok(None) };
        let mask = self.operand_value(mask, at)?;
        let mask = self.convert(mask, &UINT, at)?;
        let known = mask.known();
        let mask = self.u32(&mask, at)?;
        if self.caps.checked == Some(32) {
            self.claim_lanes(mask);
        }
        let lanes = self.threads.min(self.warp());
        let all = (1i128 << lanes) - 1;
        Ok(if known.is_some_and(|m| m & all == all) { None } else { Some(mask) })
    }

    /// The bits of the lanes that take part.
    fn among(&mut self, bits: ValueId, lanes: Option<ValueId>) -> ValueId {
        match lanes {
            Some(lanes) => self.m(S::And, &[bits, lanes]),
            None => bits,
        }
    }

    pub(super) fn any_all(&mut self, all: bool, p: ValueId, among: Option<ValueId>) -> Tv {
        let zero = self.b.uint(0);
        if all {
            let not = self.m(S::Not, &[p]);
            let mask = self.ballot(not);
            let mask = self.among(mask, among);
            let v = self.m(S::Eq, &[mask, zero]);
            let v = self.b.cast(v, DType::I32);
            return Tv::one(v, Scalar::Int);
        }
        let mask = self.ballot(p);
        let mask = self.among(mask, among);
        let v = self.m(S::Ne, &[mask, zero]);
        Tv::one(self.b.cast(v, DType::I32), Scalar::Int)
    }
}
