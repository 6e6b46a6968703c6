//! Members of cooperative groups.

use super::call::Operand;
use super::value::{Place, Tv, Val};
use super::*;
use crate::types::Group;
use girih_base::{DType, ScalarOp as S};

impl Lowerer<'_> {
    /// A member of a cooperative group.
    pub fn group_call(&mut self, g: Group, object: &Place, name: &str, args: &[Operand], at: At) -> R<Tv> {
        let uint = |v: ValueId| Ok(Tv::one(v, Scalar::UInt));
        let size = match g {
            Group::Tile(n) => n,
            Group::Block => self.threads,
            Group::Coalesced => self.warp(),
            Group::Grid => {
                return Err(self.refuse(
                    at,
                    "a grid group",
                    "workgroups need not run at the same time: split the kernel where the grid waits",
                ));
            }
        };
        let mut values = Vec::new();
        for a in args {
            values.push(self.operand_value(a, at)?);
        }
        if let Group::Coalesced = g {
            return self.coalesced(object, name, &values, at);
        }
        let block = g == Group::Block;
        match (name, &values[..]) {
            ("sync" | "barrier_wait", _) => {
                if block {
                    self.sync_threads(at)?;
                } else {
                    self.warp_barrier();
                }
                Ok(Tv::void())
            }
            ("size" | "num_threads", []) => Ok(Tv::int(size as i128, Scalar::UInt)),
            ("thread_rank", []) => {
                let (lane, mask) = (self.lane, self.b.uint(size - 1));
                if block { uint(lane) } else { uint(self.m(S::And, &[lane, mask])) }
            }
            ("meta_group_rank", []) => {
                let (mut lane, n) = (self.lane, self.b.uint(size.trailing_zeros()));
                if let Some(parent) = self.parent_tile(object, at)? {
                    let inside = self.b.uint(parent - 1);
                    lane = self.m(S::And, &[lane, inside]);
                }
                uint(self.m(S::Shr, &[lane, n]))
            }
            ("meta_group_size", []) => {
                let parent = self.parent_tile(object, at)?.unwrap_or(self.threads);
                Ok(Tv::int(parent.div_ceil(size) as i128, Scalar::UInt))
            }
            ("group_index", []) if block => Ok(Tv {
                v: Val::Group(self.block_index.iter().map(|t| t.v.clone()).collect()),
                t: Type::Vector(Scalar::UInt, 3),
            }),
            ("thread_index", []) if block => Ok(Tv {
                v: Val::Group(self.thread.iter().map(|t| t.v.clone()).collect()),
                t: Type::Vector(Scalar::UInt, 3),
            }),
            ("group_dim" | "dim_threads", []) if block => Ok(Tv {
                v: Val::Group(self.shape.block.iter().map(|n| Val::Int(*n as i128)).collect()),
                t: Type::Vector(Scalar::UInt, 3),
            }),
            ("shfl" | "shfl_up" | "shfl_down" | "shfl_xor", [v, n]) if !block => {
                let op = name.strip_prefix("shfl").unwrap_or_default().trim_start_matches('_');
                self.shuffle_value(op, v.clone(), n.clone(), size, at)
            }
            ("any" | "all", [p]) if !block => {
                let p = self.bool_id(p.clone(), at)?;
                let not = if name == "all" { self.m(S::Not, &[p]) } else { p };
                let mask = self.ballot(not);
                let mine = self.tile_bits(mask, size);
                let zero = self.b.uint(0);
                let v = self.m(if name == "all" { S::Eq } else { S::Ne }, &[mine, zero]);
                let v = self.b.cast(v, DType::I32);
                Ok(Tv::one(v, Scalar::Int))
            }
            ("ballot", [p]) if !block => {
                let p = self.bool_id(p.clone(), at)?;
                let mask = self.ballot(p);
                uint(self.tile_bits(mask, size))
            }
            ("match_any", [v]) if !block => {
                let mask = self.match_any(v.clone(), at)?;
                uint(self.tile_bits(mask, size))
            }
            ("reduce", [v, op]) if !block => {
                let op = op.clone();
                let lambda = op.t.clone();
                self.reduce(size, v.clone(), None, at, |l, a, b| match &lambda {
                    Type::Functor(name) => l.functor(name, a, b, at),
                    Type::Lambda(i) => {
                        let o = l.call_lambda(*i, &[Operand::Value(a), Operand::Value(b)], at)?;
                        l.operand_value(&o, at)
                    }
                    Type::Struct(id) => {
                        let this = Place::Value(op.clone());
                        match l.call_named(
                            "operator()",
                            None,
                            &[Operand::Value(a), Operand::Value(b)],
                            Some((this, *id)),
                            at,
                        )? {
                            Some(o) => l.operand_value(&o, at),
                            None => Err(l.err("U004", at, "this struct has no `operator()`")),
                        }
                    }
                    Type::Callable(name) => {
                        match l.call_named(name, None, &[Operand::Value(a), Operand::Value(b)], None, at)? {
                            Some(o) => l.operand_value(&o, at),
                            None => Err(l.err("U003", at, format!("`{name}` is not a known function"))),
                        }
                    }
                    other => Err(l.err("U004", at, format!("{} cannot be called", l.type_name(other)))),
                })
            }
            _ => Err(self.refuse(
                at,
                format!("`{name}` of this cooperative group"),
                "use sync, thread_rank, size, shfl, vote or reduce of a tile of up to 32 threads",
            )),
        }
    }

    /// The size of the tile that a tile is a part of.
    fn parent_tile(&mut self, object: &Place, at: At) -> R<Option<u32>> {
        let group = self.load(object, at)?;
        Ok(group.known().and_then(|n| u32::try_from(n).ok()).filter(|n| n.is_power_of_two()))
    }

    /// The bits of this thread's tile in a warp's mask.
    pub(super) fn tile_bits(&mut self, mask: ValueId, size: u32) -> ValueId {
        if size == self.warp() {
            return mask;
        }
        let (lane, high, ones) =
            (self.warp_lane(), self.b.uint(!(size - 1) & (self.warp() - 1)), self.b.uint((1 << size) - 1));
        let shift = self.m(S::And, &[lane, high]);
        let down = self.m(S::Shr, &[mask, shift]);
        self.m(S::And, &[down, ones])
    }

    pub(super) fn coalesced(&mut self, object: &Place, name: &str, args: &[Tv], at: At) -> R<Tv> {
        let group = self.load(object, at)?;
        let Val::One(mask) = group.v else { return Err(self.err("U004", at, "this group has no threads")) };
        let one = self.b.uint(1);
        match (name, args) {
            ("sync", []) => {
                self.warp_barrier();
                Ok(Tv::void())
            }
            ("size" | "num_threads", []) => Ok(Tv::one(self.m(S::Popcount, &[mask]), Scalar::UInt)),
            ("thread_rank", []) => {
                let lane = self.warp_lane();
                let bit = self.m(S::Shl, &[one, lane]);
                let below = self.m(S::Sub, &[bit, one]);
                let lower = self.m(S::And, &[mask, below]);
                Ok(Tv::one(self.m(S::Popcount, &[lower]), Scalar::UInt))
            }
            ("shfl", [v, n]) if n.known() == Some(0) => {
                let first = self.m(S::Ctz, &[mask]);
                self.shuffle_value("", v.clone(), Tv::one(first, Scalar::UInt), self.warp(), at)
            }
            _ => Err(self.refuse(
                at,
                format!("`{name}` of a coalesced group"),
                "use sync, size, thread_rank, or shfl from its first thread",
            )),
        }
    }
}
