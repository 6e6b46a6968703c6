//! SIMT IR to flat programs: rewrites the kernel, places values, and writes instructions.

use super::emit::{self, Emitted};
use super::passes::{dead, strides, sums};
use super::plan::Plan;
use super::program::*;
use super::{layout, uniform};
use crate::program::Lane;
use girih_base::{AtomicOp, Diag, Result};
use girih_simt::{Kernel, Op, Space, Stmt};

/// Most threads of a workgroup.
const THREADS: usize = 1 << 14;

/// Compiles a kernel.
///
/// # Errors
/// What the verifier refuses; `X102` for a workgroup that is too large, in threads or in bytes.
pub(crate) fn compile(kernel: &Kernel) -> Result<SimtProgram> {
    girih_simt::verify::verify(kernel)?;
    let mut prints = None;
    each(&kernel.body, &mut |s| prints = prints.or(matches!(s.op, Op::Print(..)).then_some(s)));
    if let Some(s) = prints {
        return Err(Diag::error("X102", format!("kernel `{}` prints, which a device cannot", kernel.name))
            .at(&s.loc, "this line")
            .help("compile it for this target, which makes prints writes to a debug buffer"));
    }
    let threads = kernel.workgroup.iter().try_fold(1usize, |n, w| n.checked_mul(*w as usize));
    let Some(threads) = threads.filter(|t| *t <= THREADS) else {
        let diag =
            Diag::error("X102", format!("kernel `{}` has workgroups of {:?} threads", kernel.name, kernel.workgroup));
        return Err(diag.help(format!("the CPU takes up to {THREADS} threads in a workgroup")));
    };
    let (kernel, steps) = strides::rewritten(kernel);
    let kernel = sums::rewritten(&kernel);
    let varies = uniform::varies(&kernel);
    let mut plan = Plan::new(&kernel, &varies, steps);
    let kernel = &dead::pruned(&kernel, &varies, &plan);
    plan.fold(kernel, &varies);
    let layout = layout::layout(kernel, &varies, &plan, threads)?;
    let (shared, shared_bytes) = shared(kernel)?;
    let Emitted { prologue, insts, locs, kept, loads } = emit::emit(kernel, &varies, &plan, &layout);
    let work = (insts.len() * threads) as u64;
    Ok(SimtProgram {
        name: kernel.name.clone(),
        threads,
        groups: kernel.groups.clone(),
        buffers: kernel
            .buffers
            .iter()
            .map(|b| BufferInfo {
                name: b.name.clone(),
                dtype: b.elem.dtype,
                parts: b.elem.lanes as usize,
                written: b.written,
            })
            .collect(),
        shared,
        shared_bytes,
        locals: kernel.locals.iter().map(|l| l.name.clone()).collect(),
        uniforms: kernel.uniforms.clone(),
        prologue,
        insts,
        locs,
        group_at: layout.group_at,
        zeroed: layout.zeroed.clone(),
        scratch: layout.scratch,
        spare: layout.spare,
        image: layout.image,
        kept,
        loads,
        sequential: sequential(kernel),
        work,
    })
}

/// Workgroup arrays one after the other, each aligned to a line.
fn shared(kernel: &Kernel) -> Result<(Vec<SharedInfo>, usize)> {
    let (mut out, mut at) = (Vec::new(), 0usize);
    for s in &kernel.shared {
        let (lane, parts, len) = (Lane::of(s.elem.dtype), s.elem.lanes as usize, s.len as usize);
        out.push(SharedInfo { name: s.name.clone(), dtype: s.elem.dtype, lane, parts, len, at });
        let bytes = lane.bytes() * parts * len;
        at = at.saturating_add(bytes.next_multiple_of(crate::memory::ALIGNMENT));
        layout::check(kernel, "workgroup memory", at)?;
    }
    Ok((out, at))
}

/// Whether the order of workgroups shows: a buffer is updated atomically, and the kernel also sees what the updates before
/// left there, or combines floats, whose sums depend on the order. (Other updates of integers come out the same in any order.)
fn sequential(kernel: &Kernel) -> bool {
    let mut used = vec![false; kernel.values.len()];
    let (mut updated, mut read) = (vec![false; kernel.buffers.len()], vec![false; kernel.buffers.len()]);
    let mut sees = false;
    each(&kernel.body, &mut |s| s.op.operands().iter().for_each(|v| used[v.0 as usize] = true));
    each(&kernel.body, &mut |s| match &s.op {
        Op::Atomic(op, Space::Buffer(i), ..) => {
            updated[*i as usize] = true;
            sees |= s.result.is_some_and(|r| used[r.0 as usize])
                || *op == AtomicOp::Exchange
                || kernel.buffers[*i as usize].elem.dtype.is_float();
        }
        Op::CompareExchange(Space::Buffer(_), ..) => sees = true,
        Op::Load(Space::Buffer(i), _) | Op::Store(Space::Buffer(i), ..) => read[*i as usize] = true,
        _ => {}
    });
    sees || updated.iter().zip(&read).any(|(u, r)| *u && *r)
}

fn each<'k>(stmts: &'k [Stmt], f: &mut impl FnMut(&'k Stmt)) {
    for s in stmts {
        f(s);
        s.op.blocks().into_iter().for_each(|b| each(b, f));
    }
}
