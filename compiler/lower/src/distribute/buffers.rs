//! How each parameter is stored: as vectors of four where every access is aligned, narrow types packed in words.

use super::plan::Plan;
use crate::TargetDesc;
use girih_base::{DType, Diag, Result, ScalarOp};
use girih_simt as simt;
use girih_tile::{Access, Block, Kernel, Literal, Op, ValueId, View};
use std::collections::BTreeMap;

/// The array that stands for a parameter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BufferInfo {
    /// Element type of the parameter.
    pub dtype: DType,
    /// Elements are vectors of four.
    pub vector: bool,
    /// Elements narrower than a word share u32 words.
    pub packed: bool,
    /// Words of a packed buffer are changed by atomics, since no thread owns whole words.
    pub shared_words: bool,
    /// A float buffer kept as u32 for compare-and-exchange.
    pub as_bits: bool,
}

impl BufferInfo {
    /// What packed elements, and floats that are updated atomically, are kept in.
    pub fn word(&self) -> DType {
        if self.dtype.bits() == 64 { DType::U64 } else { DType::U32 }
    }
}

/// What is known of run-time scalars: the loops that define them.
pub type Loops = BTreeMap<ValueId, (ValueId, u32)>;

/// Chooses for every parameter.
///
/// # Errors
/// `L202` a 64-bit dtype that the target lacks, `L205` more elements than 32-bit offsets reach.
pub fn buffers(kernel: &Kernel, plan: &Plan, desc: &TargetDesc) -> Result<Vec<BufferInfo>> {
    let mut loops = Loops::new();
    find_loops(&kernel.body, &mut loops);
    let mut infos = Vec::new();
    for p in &kernel.params {
        if p.dtype.bits() == 64 && !desc.native.contains(&p.dtype) {
            return Err(Diag::error(
                "L202",
                format!("target `{}` cannot store {}, which `{}` is made of", desc.name, p.dtype, p.name),
            )
            .help("cast to a 32-bit type, or choose a target that has the type"));
        }
        if p.len.bounds().1 > u32::MAX as i64 {
            return Err(Diag::error(
                "L205",
                format!("`{}` may have {} elements, more than 32-bit offsets reach", p.name, p.len.bounds().1),
            )
            .help("give its sizes tighter bounds, or split it"));
        }
        let packed = p.dtype.bits() < 32;
        let vector = !packed && p.dtype.bits() == 32 && desc.vector >= 4 && p.len.divisible_by(4).yes();
        infos.push(BufferInfo { dtype: p.dtype, vector, packed, shared_words: false, as_bits: false });
    }
    visit(&kernel.body, &mut |op, results| {
        let Some(param) = param_of(op) else { return };
        let info = &mut infos[param];
        match op {
            Op::Load { view, at, .. } => {
                let bits = &plan.bits[results[0].0 as usize];
                info.vector &= aligned(plan, &loops, view, at, bits).is_some();
            }
            Op::Store { view, at, value, mask, .. } => {
                let (bits, layout) = (&plan.bits[value.0 as usize], &plan.layout[value.0 as usize]);
                let axis = aligned(plan, &loops, view, at, bits);
                let whole = axis.is_some_and(|f| layout.width() == 4 && layout.vector_along(f)) && mask.is_none();
                info.vector &= whole;
                info.shared_words |= info.packed && !(whole && info.dtype.bits() >= 8);
            }
            Op::Atomic { .. } | Op::CompareExchange { .. } => {
                info.vector = false;
                info.shared_words |= info.packed;
                info.as_bits |= info.dtype.is_float() && !info.packed;
            }
            _ => {
                info.vector = false;
                info.shared_words |= info.packed && matches!(op, Op::StoreAt { .. });
            }
        }
    });
    Ok(infos)
}

/// The SIMT declaration of a parameter.
pub fn declare(kernel: &Kernel, infos: &[BufferInfo]) -> Vec<simt::Buffer> {
    let declare = |(p, info): (&girih_tile::Param, &BufferInfo)| simt::Buffer {
        name: p.name.clone(),
        elem: match (info.packed || info.as_bits, info.vector) {
            (true, _) => simt::Ty::scalar(info.word()),
            (_, true) => simt::Ty::vec(p.dtype, 4),
            _ => simt::Ty::scalar(p.dtype),
        },
        written: p.access != Access::Read,
        read_only: p.constant && p.access == Access::Read,
    };
    kernel.params.iter().zip(infos).map(declare).collect()
}

/// The axis along which an access consists of whole aligned groups of four neighbours.
pub fn aligned(plan: &Plan, loops: &Loops, view: &View, at: &[ValueId], bits: &[u8]) -> Option<usize> {
    if !view.offset.divisible_by(4).yes() {
        return None;
    }
    let fast = (0..bits.len()).find(|a| bits[*a] >= 2 && view.axes[*a].stride.is(1))?;
    let whole = view.axes[fast].extent.divisible_by(4).yes() || view.axes[fast].inside;
    if !whole || view.guards.iter().any(|g| g.coeffs.get(fast).is_some_and(|c| *c != 0)) {
        return None;
    }
    let steady = |a: usize| {
        let start = multiple_of(plan, loops, at[a]);
        let stride = &view.axes[a].stride;
        if a == fast {
            return start % 4 == 0;
        }
        stride.divisible_by(4).yes()
            || (bits[a] == 0 && (start % 4 == 0 || (start % 2 == 0 && stride.divisible_by(2).yes())))
    };
    (0..bits.len()).all(steady).then_some(fast)
}

/// A number that divides the scalar whatever happens.
fn multiple_of(plan: &Plan, loops: &Loops, v: ValueId) -> i64 {
    if let Some((lo, step)) = loops.get(&v) {
        return gcd(multiple_of(plan, loops, *lo), *step as i64);
    }
    let Some(stmt) = plan.defs.get(&v) else { return 1 };
    match &stmt.op {
        Op::Const(Literal::Int(0)) => 1 << 30,
        Op::Const(Literal::Int(c)) => c.unsigned_abs().min(1 << 30) as i64,
        Op::Size(d) => [64, 32, 16, 8, 4, 2].into_iter().find(|n| d.divisible_by(*n).yes()).unwrap_or(1),
        Op::Cast(x) => multiple_of(plan, loops, *x),
        Op::Map(op, args) => {
            let m = |i: usize| multiple_of(plan, loops, args[i]);
            match op {
                ScalarOp::Mul => m(0).saturating_mul(m(1)).min(1 << 30),
                ScalarOp::Add | ScalarOp::Sub | ScalarOp::Min | ScalarOp::Max => gcd(m(0), m(1)),
                ScalarOp::Select => gcd(m(1), m(2)),
                _ => 1,
            }
        }
        _ => 1,
    }
}

fn gcd(a: i64, b: i64) -> i64 {
    if b == 0 { a.max(1) } else { gcd(b, a % b) }
}

/// The loop variables of a kernel with first value and step.
pub fn find_loops(block: &Block, out: &mut Loops) {
    visit(block, &mut |op, _| {
        if let Op::For { lo, step, body, .. } = op {
            out.insert(body.params[0], (*lo, *step));
        }
    });
}

fn visit(block: &Block, f: &mut dyn FnMut(&Op, &[ValueId])) {
    for s in &block.stmts {
        f(&s.op, &s.results);
        for b in s.op.blocks() {
            visit(b, f);
        }
    }
}

fn param_of(op: &Op) -> Option<usize> {
    match op {
        Op::Load { param, .. }
        | Op::LoadQuant { param, .. }
        | Op::LoadAt { param, .. }
        | Op::Store { param, .. }
        | Op::StoreAt { param, .. }
        | Op::Atomic { param, .. }
        | Op::CompareExchange { param, .. } => Some(*param),
        _ => None,
    }
}
