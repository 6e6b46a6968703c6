//! Statements that concern one thread: arithmetic and memory.

use super::Line;
use super::exec::Machine;
use super::memory::{Kind, Memory, Who};
use super::scalar;
use crate::ir::*;
use crate::op::*;
use girih_base::{DType, Diag, Loc, Result, ScalarOp, print};

impl Machine<'_> {
    fn memory(
        &mut self,
        space: Space,
        index: ValueId,
        kind: Kind,
        t: u32,
        new: Option<&[u64]>,
    ) -> Result<(&mut Memory, usize)> {
        let wrapped = self.wrapped(index, t);
        let index = self.get(index, t);
        let subgroup = t / self.options.subgroup;
        let who = Who {
            group: self.group,
            thread: t,
            subgroup: (subgroup, self.phases[subgroup as usize]),
            epoch: self.epoch,
            site: self.site,
            time: self.stats.statements,
        };
        let (memory, key) = match space {
            Space::Shared(i) => (&mut self.shared[i as usize], (true, i)),
            Space::Buffer(i) | Space::Local(i) => (&mut self.buffers[i as usize], (false, i)),
        };
        if let Some(diag) = wrapped.filter(|_| memory.has(index)) {
            return Err(diag);
        }
        let asked = kind;
        let kind = match (self.atomics.contains(&key), kind) {
            (false, kind) => kind,
            (true, Kind::Write) => {
                memory.start(index);
                Kind::Atomic
            }
            (true, _) => Kind::Atomic,
        };
        if kind == Kind::Atomic && !key.0 {
            self.order.pass((key.1, index), asked, who);
        }
        let at =
            memory.access(index, kind, who, &self.order.known, new).map_err(|refused| refused.explain(&self.sites))?;
        Ok((memory, at))
    }

    /// Hands out a line.
    pub(super) fn print(&mut self, text: &str, args: &[ValueId], t: u32, loc: &Loc) -> Result<()> {
        let value = |a: &ValueId| {
            let ty = self.ty(*a);
            print::Value { dtype: ty.dtype, bits: self.vec(*a, t)[..ty.lanes as usize].to_vec() }
        };
        let pieces = print::parse(text).map_err(|why| Diag::error("S106", why))?;
        let (text, keys) = print::line(&pieces, &args.iter().map(value).collect::<Vec<_>>());
        (self.print)(Line { text: &text, group: self.group, thread: t, keys: &keys, loc });
        Ok(())
    }

    fn local(&self, i: u32, index: u64, t: u32) -> Result<usize> {
        let local = &self.kernel.locals[i as usize];
        let len = local.len.unwrap_or(1) as u64;
        if index >= len {
            return Err(Diag::error("S101", format!("element {index} of an array of {len}")));
        }
        Ok((t as usize * len as usize + index as usize) * local.elem.lanes as usize)
    }

    /// A statement that concerns one thread only.
    pub(super) fn thread(&mut self, op: &Op, result: Option<ValueId>, t: u32) -> Result<()> {
        let lanes = result.map_or(1, |r| self.ty(r).lanes as usize);
        let dtype = result.map_or(DType::U32, |r| self.ty(r).dtype);
        let mut out = [0u64; 4];
        match op {
            Op::Const(v) => out = [scalar::literal(dtype, *v); 4],
            Op::Uniform(i) => out[0] = self.uniforms[*i as usize] as u64,
            Op::Builtin(b) => {
                out[0] = match b {
                    Builtin::WorkgroupIndex => self.group,
                    Builtin::LocalIndex => t,
                    Builtin::SubgroupSize => self.options.subgroup,
                    Builtin::SubgroupLane => t % self.options.subgroup,
                } as u64
            }
            Op::Map(op, args) => {
                let from = self.ty(args[args.len() - 1]).dtype;
                let mut x = [[0; 4]; 3];
                for (x, a) in x.iter_mut().zip(args) {
                    *x = self.vec(*a, t);
                    if self.ty(*a).lanes == 1 {
                        *x = [x[0]; 4];
                    }
                }
                for (c, out) in out.iter_mut().enumerate().take(lanes) {
                    *out = scalar::map(*op, from, &[x[0][c], x[1][c], x[2][c]][..args.len()]);
                }
            }
            Op::Cast(x) => {
                let (from, v) = (self.ty(*x).dtype, self.vec(*x, t));
                out = v.map(|bits| scalar::cast(from, dtype, bits));
            }
            Op::Bitcast(x) => out = self.vec(*x, t),
            Op::MakeVec(parts) => {
                for (c, out) in out.iter_mut().enumerate() {
                    *out = parts.get(if parts.len() == 1 { 0 } else { c }).map_or(0, |p| self.get(*p, t));
                }
            }
            Op::Component(x, c) => out[0] = self.vec(*x, t)[*c as usize],
            Op::ComponentAt(x, i) => {
                let (i, n) = (self.get(*i, t), self.ty(*x).lanes);
                if i >= n as u64 {
                    return Err(Diag::error("S101", format!("component {i} of a vector of {n}")));
                }
                out[0] = self.vec(*x, t)[i as usize];
            }
            Op::UnpackHalf(x) => out[..2].copy_from_slice(&scalar::unpack_half(self.get(*x, t))),
            Op::PackHalf(x) => {
                let v = self.vec(*x, t);
                out[0] = scalar::pack_half([v[0], v[1]]);
            }
            Op::Get(i) => {
                let at = self.local(*i, 0, t)?;
                out[..lanes].copy_from_slice(&self.locals[*i as usize][at..at + lanes]);
            }
            Op::Set(i, x) => {
                let (at, v, n) = (self.local(*i, 0, t)?, self.vec(*x, t), self.ty(*x).lanes as usize);
                self.locals[*i as usize][at..at + n].copy_from_slice(&v[..n]);
            }
            Op::Load(Space::Local(i), index) => {
                let at = self.local(*i, self.get(*index, t), t)?;
                out[..lanes].copy_from_slice(&self.locals[*i as usize][at..at + lanes]);
            }
            Op::Store(Space::Local(i), index, x) => {
                let at = self.local(*i, self.get(*index, t), t)?;
                let (v, n) = (self.vec(*x, t), self.ty(*x).lanes as usize);
                self.locals[*i as usize][at..at + n].copy_from_slice(&v[..n]);
            }
            Op::Load(space, index) => {
                let (memory, at) = self.memory(*space, *index, Kind::Read, t, None)?;
                out[..lanes].copy_from_slice(&memory.data[at..at + lanes]);
            }
            Op::Store(space, index, x) => {
                let hole = self.partly_undefined(*x, t);
                let (v, n) = (self.vec(*x, t), self.ty(*x).lanes as usize);
                let (memory, at) = self.memory(*space, *index, Kind::Write, t, Some(&v[..n]))?;
                memory.data[at..at + n].copy_from_slice(&v[..n]);
                let lanes = memory.ty.lanes as usize;
                if hole {
                    memory.forget((at / lanes) as u64);
                }
            }
            Op::Atomic(op, space, index, x) => {
                let x = self.get(*x, t);
                // Nobody looks at the old element: a store of a part of it.
                let kind = if result.is_some() { Kind::Atomic } else { Kind::Write };
                let (memory, at) = self.memory(*space, *index, kind, t, None)?;
                out[0] = memory.data[at];
                memory.data[at] = match atomic(*op) {
                    Some(op) => scalar::map(op, memory.ty.dtype, &[out[0], x]),
                    None => x,
                };
            }
            Op::CompareExchange(space, index, expected, new) => {
                let (expected, new) = (self.get(*expected, t), self.get(*new, t));
                let (memory, at) = self.memory(*space, *index, Kind::Atomic, t, None)?;
                out[0] = memory.data[at];
                if out[0] == expected {
                    memory.data[at] = new;
                }
            }
            Op::Assert(cond, text) if self.get(*cond, t) == 0 => {
                return Err(Diag::error(claim(text), format!("thread {t} of workgroup {}: {text}", self.group)));
            }
            _ => {}
        }
        if let Some(r) = result {
            self.set(r, t, &out[..lanes]);
        }
        Ok(())
    }
}

/// The code of an assertion: those that a front end makes for the checker have their own.
fn claim(text: &str) -> &'static str {
    match text {
        _ if text.starts_with(super::MISALIGNED) => "S108",
        _ if text.starts_with(super::LANES) => "S110",
        _ => "S107",
    }
}

fn atomic(op: AtomicOp) -> Option<ScalarOp> {
    Some(match op {
        AtomicOp::Add => ScalarOp::Add,
        AtomicOp::Min => ScalarOp::Min,
        AtomicOp::Max => ScalarOp::Max,
        AtomicOp::And => ScalarOp::And,
        AtomicOp::Or => ScalarOp::Or,
        AtomicOp::Xor => ScalarOp::Xor,
        AtomicOp::Exchange => return None,
    })
}
