//! Scalar operations, with the statements folded into them.

use super::super::fused::{Dest, Fused, Operand, RowAt, Work};
use super::super::program::*;
use super::super::scalar::{self, Scalar};
use super::Emitter;
use crate::exec::Inner;
use crate::program::Lane;
use girih_base::{DType, Loc};
use girih_simt::{Op, Space, Stmt, ValueId};

impl Emitter<'_> {
    /// A store or a write of a variable with the operation that is folded into it.
    pub(super) fn folded(&mut self, s: &Stmt, map: &Stmt) {
        let dst = match &s.op {
            Op::Store(space, index, _) => self.row(*space, *index, &s.loc).map(Dest::Row),
            Op::Set(i, _) => Some(Dest::Variable(self.layout.locals[*i as usize])),
            _ => None,
        };
        if let Some(inst) = dst.and_then(|dst| self.map(map, dst)) {
            self.put(inst);
        }
    }

    /// The instruction of an operation whose result goes there.
    pub(super) fn map(&mut self, map: &Stmt, dst: Dest) -> Option<Inst> {
        let (Op::Map(op, args), Some(r)) = (&map.op, map.result) else { return None };
        let pick = self.plan.pick(r);
        let args = pick.as_ref().map_or(&args[..], |(_, args)| args);
        let dtypes: Vec<DType> = args.iter().map(|v| self.kernel.values[v.0 as usize].ty.dtype).collect();
        if let Dest::Value(to) | Dest::Variable(to) = dst
            && pick.is_none()
            && !to.varies
            && let Some(kind) = scalar::of(self.kernel, self.varies, map)
        {
            let regs = args.iter().map(|v| self.reg(*v)).collect::<Option<Vec<Reg>>>()?;
            return Some(Inst::Scalar(Box::new(Scalar { op: *op, kind, args: three(&regs)?, dst: to })));
        }
        let mut operands = Vec::new();
        let mut rows = Vec::new();
        for (k, v) in args.iter().enumerate() {
            operands.push(match self.plan.folded(*v) {
                Some(Stmt { op: Op::Load(space, index), loc, .. }) => {
                    rows.push((self.plan.place(*v), k));
                    Operand::Row(self.row(*space, *index, loc)?)
                }
                _ => Operand::Reg(self.reg(*v)?),
            });
        }
        if let (Dest::Value(dst), None, true) = (&dst, pick, rows.is_empty()) {
            let regs: Vec<Reg> = args.iter().filter_map(|v| self.reg(*v)).collect();
            return Some(Inst::Map { inner: Inner::of(*op, &dtypes), args: three(&regs)?, dst: *dst });
        }
        rows.sort();
        let work = pick.map_or_else(|| Work::Map(Inner::of(*op, &dtypes)), |(pick, _)| Work::Pick(pick));
        let bytes = Lane::of(self.kernel.values[r.0 as usize].ty.dtype).bytes();
        let rows = rows.into_iter().map(|(_, k)| k).collect();
        Some(Inst::Fused(Box::new(Fused { work, args: operands, rows, dst, bytes })))
    }

    fn row(&mut self, space: Space, index: ValueId, loc: &Loc) -> Option<RowAt> {
        let base = match self.plan.index(space, index)? {
            Some(base) => Some(self.reg(base)?),
            None => None,
        };
        let dtype = match space {
            Space::Buffer(i) => self.kernel.buffers[i as usize].elem.dtype,
            Space::Shared(i) => self.kernel.shared[i as usize].elem.dtype,
            Space::Local(_) => return None,
        };
        let bytes = Lane::of(dtype).bytes();
        Some(RowAt { array: self.array(space), base, bytes, nth: self.nth(), loc: loc.clone() })
    }
}

/// Up to three registers, the last one repeated.
fn three(regs: &[Reg]) -> Option<[Reg; 3]> {
    let last = regs.last().filter(|_| regs.len() <= 3)?;
    Some([0, 1, 2].map(|k: usize| *regs.get(k).unwrap_or(last)))
}
