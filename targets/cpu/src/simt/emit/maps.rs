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
        let rows: Vec<(usize, usize)> =
            args.iter().enumerate().filter_map(|(k, v)| Some((self.plan.place(*v)?, k))).collect();
        if let (Dest::Value(dst), None, true) = (&dst, pick, rows.is_empty()) {
            let regs: Vec<Reg> = args.iter().filter_map(|v| self.reg(*v)).collect();
            return Some(Inst::Map { inner: Inner::of(*op, &dtypes), args: three(&regs)?, dst: *dst });
        }
        let work = pick.map_or_else(|| Work::Map(Inner::of(*op, &dtypes)), |(pick, _)| Work::Pick(pick));
        let bytes = Lane::of(self.kernel.values[r.0 as usize].ty.dtype).bytes();
        let varies = self.varies.values[r.0 as usize];
        let args_at = [0; 3].map(|at| Operand::Reg(at, 0));
        let f = Fused {
            work,
            args: args_at,
            by: [1; 3],
            rows: Vec::new(),
            dst,
            bytes,
            varies,
            onto: None,
            meets: Vec::new(),
            within: None,
        };
        self.fused(args, f, rows)
    }

    /// Fills in where the operands lie and how results overlap them.
    fn fused(&mut self, args: &[ValueId], mut f: Fused, mut rows: Vec<(usize, usize)>) -> Option<Inst> {
        // In the order of the kernel.
        rows.sort();
        f.rows = rows.into_iter().map(|(_, k)| k).collect();
        for (k, v) in args.iter().enumerate() {
            let bytes = Lane::of(self.kernel.values[v.0 as usize].ty.dtype).bytes();
            let folded = self.plan.folded(*v).map(|s| (s.op.clone(), s.loc.clone()));
            let same = match (folded, &f.dst) {
                (Some((Op::Load(space, index), loc)), dst) => {
                    let mut row = self.row(space, index, &loc)?;
                    row.nth = matches!(space, Space::Buffer(_)).then(|| self.nth() as u32);
                    let buffers = self.kernel.buffers.len() as u32;
                    let meets = |to: &RowAt| row.place == to.place || row.place < buffers && to.place < buffers;
                    let same = matches!(dst, Dest::Row(to) if to.place == row.place && to.base == row.base);
                    if !same && matches!(dst, Dest::Row(to) if meets(to)) {
                        f.meets.push((k, bytes));
                    }
                    f.by[k] = 1;
                    f.args[k] = Operand::Row(row);
                    same
                }
                (_, dst) => {
                    let r = self.reg(*v)?;
                    f.by[k] = r.varies as u8;
                    f.args[k] = Operand::Reg(r.at as u32, if r.varies { bytes as u32 } else { 0 });
                    match dst {
                        Dest::Variable(to) if r.at == to.at && r.varies == to.varies => true,
                        Dest::Variable(to) if r.at < to.at + to.pitch.max(8) && to.at < r.at + r.pitch.max(8) => {
                            f.meets.push((k, bytes));
                            false
                        }
                        _ => false,
                    }
                }
            };
            if same && (f.onto.is_some() || bytes != f.bytes) {
                f.meets.push((k, bytes));
            } else if same {
                f.onto = Some(k);
            }
        }
        Some(Inst::Fused(Box::new(f)))
    }

    fn row(&mut self, space: Space, index: ValueId, loc: &Loc) -> Option<RowAt> {
        let base = self.base(&self.plan.index(space, index)?)?;
        let (dtype, place) = match space {
            Space::Buffer(i) => (self.kernel.buffers[i as usize].elem.dtype, i),
            Space::Shared(i) => (self.kernel.shared[i as usize].elem.dtype, self.kernel.buffers.len() as u32 + i),
            Space::Local(_) => return None,
        };
        let bytes = Lane::of(dtype).bytes() as u32;
        Some(RowAt { place, base, bytes, nth: None, loc: loc.clone() })
    }
}

/// Up to three registers, the last one repeated.
fn three(regs: &[Reg]) -> Option<[Reg; 3]> {
    let last = regs.last().filter(|_| regs.len() <= 3)?;
    Some([0, 1, 2].map(|k: usize| *regs.get(k).unwrap_or(last)))
}
