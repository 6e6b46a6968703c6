//! Launches: checks what is bound, resolves sizes, and runs the grid over the threads.

use crate::exec::report::Reports;
use crate::exec::{Launch, ViewAt, Worker};
use crate::memory::Mem;
use crate::pool::Pool;
use crate::program::Program;
use crate::simd::Isa;
use girih_base::{Bindings, Diag, Dim, Result};
use girih_tile::View;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

/// Below about this much work (elements touched), one thread is faster than several.
pub(crate) const SMALL: u64 = 16 << 10;

/// Runs a program over memory.
pub(crate) fn launch(
    program: &Program,
    args: Vec<Mem>,
    bindings: &Bindings,
    pool: &mut Pool,
    workers: &[Mutex<Worker>],
    isa: Isa,
    reports: &Reports,
) -> Result<()> {
    let size = |d: &Dim| size(program, d, bindings);
    check(program, &args, &size)?;
    let grid = program.grid.iter().map(|d| Ok(size(d)?.max(0) as u64)).collect::<Result<Vec<u64>>>()?;
    let count =
        grid.iter().try_fold(1u64, |n, g| n.checked_mul(*g)).filter(|_| grid.iter().all(|g| *g <= i32::MAX as u64));
    let Some(count) = count else {
        return Err(refuse(&program.name, format!("a grid of {grid:?} instances is too large")));
    };
    if count == 0 {
        return Ok(());
    }
    let threads = pool.threads();
    let alone = threads == 1 || count == 1 || program.sequential || count.saturating_mul(program.work) < SMALL;
    let heavy = program.dots && (count as usize) < threads && program.work.saturating_mul(count) > 16 * SMALL;
    let inner_threads = if heavy { threads } else { 1 };
    let l = resolved(program, args, bindings, grid, inner_threads, reports)?;
    let alone = alone || heavy;
    let line = l.grid.last().copied().unwrap_or(1);
    let group = program.group.as_ref().filter(|g| count / line * (line / g.count) >= g.least);
    let Some(group) = group else {
        return spread(&program.name, count, alone, pool, workers, isa, |w| w.prepare(&l), |w, i| w.instance(&l, i));
    };
    let mut grid = l.grid.clone();
    grid.iter_mut().last().into_iter().for_each(|n| *n = line / group.count);
    let whole = grid.iter().product();
    let grouped = resolved(&group.program, l.args.clone(), bindings, grid, inner_threads, reports)?;
    let one = |w: &mut Worker, i: u64| w.group(group, &grouped, &l, i);
    spread(&program.name, whole, alone, pool, workers, isa, |w| w.prepare(&grouped), one)?;
    // What fills no group is left at the end of every line.
    let rest = line % group.count;
    let left = |i: u64| i / rest * line + line - rest + i % rest;
    let one = |w: &mut Worker, i: u64| w.instance(&l, left(i));
    spread(&program.name, count / line * rest, alone, pool, workers, isa, |w| w.prepare(&l), one)
}

/// A launch with its sizes and scalars known.
fn resolved<'a>(
    program: &'a Program,
    args: Vec<Mem>,
    bindings: &Bindings,
    grid: Vec<u64>,
    inner_threads: usize,
    reports: &'a Reports,
) -> Result<Launch<'a>> {
    let size = |d: &Dim| size(program, d, bindings);
    let views = program.views.iter().map(|v| resolve(v, &size)).collect::<Result<Vec<_>>>()?;
    let dims = program.dims.iter().map(&size).collect::<Result<Vec<_>>>()?;
    let bound = |s: &girih_tile::Scalar| {
        bindings.get(&s.name).copied().ok_or_else(|| refuse(&program.name, format!("scalar `{}` has no value", s.name)))
    };
    let scalars = program.scalars.iter().map(bound).collect::<Result<Vec<_>>>()?;
    Ok(Launch { program, args, views, dims, scalars, grid, inner_threads, reports })
}

/// Runs `one` for 0, 1, ... `count - 1` over the threads, or in order on this thread alone. Of several errors, the one of the
/// smallest number found is given.
#[allow(clippy::too_many_arguments, reason = "what a launch consists of")]
pub(crate) fn spread<W: Send>(
    name: &str,
    count: u64,
    alone: bool,
    pool: &mut Pool,
    workers: &[Mutex<W>],
    isa: Isa,
    prepare: impl Fn(&mut W) -> Result<()> + Sync,
    one: impl Fn(&mut W, u64) -> Result<()> + Sync,
) -> Result<()> {
    let threads = pool.threads();
    let _level = isa.enter();
    if count == 0 {
        return Ok(());
    }
    let lock = |i: usize| workers[i % workers.len()].lock().unwrap_or_else(PoisonError::into_inner);
    if alone || threads == 1 || count <= 1 {
        let mut worker = lock(0);
        prepare(&mut worker)?;
        return (0..count).try_for_each(|i| one(&mut worker, i));
    }
    let chunk = (count / (threads as u64 * 8)).max(1);
    let (next, stop) = (AtomicU64::new(0), AtomicBool::new(false));
    let first_error: Mutex<Option<(u64, Box<Diag>)>> = Mutex::new(None);
    let fine = pool.run(&|thread| {
        let _level = isa.enter();
        let mut worker = lock(thread);
        let fail = |at: u64, diag: Box<Diag>| {
            stop.store(true, Ordering::Relaxed);
            let mut slot = first_error.lock().unwrap_or_else(PoisonError::into_inner);
            if slot.as_ref().is_none_or(|(other, _)| at < *other) {
                *slot = Some((at, diag));
            }
        };
        if let Err(diag) = prepare(&mut worker) {
            return fail(0, diag);
        }
        while !stop.load(Ordering::Relaxed) {
            let start = next.fetch_add(chunk, Ordering::Relaxed);
            if start >= count {
                break;
            }
            for i in start..(start + chunk).min(count) {
                if let Err(diag) = one(&mut worker, i) {
                    return fail(i, diag);
                }
            }
        }
    });
    match first_error.into_inner().unwrap_or_else(PoisonError::into_inner) {
        Some((_, diag)) => Err(diag),
        None if !fine => Err(refuse(name, "a thread stopped unexpectedly".into())),
        None => Ok(()),
    }
}

/// A launch that does not fit its kernel.
pub(crate) fn refuse(name: &str, why: String) -> Box<Diag> {
    Diag::error("X104", format!("kernel `{name}` cannot be launched: {why}"))
}

fn size(program: &Program, dim: &Dim, bindings: &Bindings) -> Result<i64> {
    dim.eval(bindings).map_err(|name| refuse(&program.name, format!("size `{name}` has no value")))
}

/// What is bound must be there, large enough, aligned, writable where it is written, and apart from what is written.
fn check(program: &Program, args: &[Mem], size: &dyn Fn(&Dim) -> Result<i64>) -> Result<()> {
    if args.len() != program.params.len() {
        return Err(refuse(&program.name, format!("{} arguments for {} parameters", args.len(), program.params.len())));
    }
    for (i, (p, mem)) in program.params.iter().zip(args).enumerate() {
        let len = size(&p.len)?.max(0) as u64;
        let bytes = len.saturating_mul(p.dtype.bits() as u64).div_ceil(8);
        if bytes > mem.bytes as u64 {
            return Err(refuse(&program.name, format!("`{}` needs {bytes} bytes, {} are bound", p.name, mem.bytes)));
        }
        if !(mem.ptr as usize).is_multiple_of((p.dtype.bits() as usize / 8).max(1)) {
            return Err(refuse(
                &program.name,
                format!("the memory bound to `{}` is not aligned for {}", p.name, p.dtype),
            ));
        }
        if p.stored && !mem.writable {
            return Err(refuse(&program.name, format!("`{}` is written, but bound to read-only memory", p.name)));
        }
        let end = |m: &Mem| m.ptr as usize + m.bytes;
        for (q, other) in program.params[..i].iter().zip(args) {
            let overlap = (mem.ptr as usize) < end(other) && (other.ptr as usize) < end(mem);
            if overlap && (p.stored || q.stored) {
                return Err(refuse(&program.name, format!("`{}` and `{}` overlap", p.name, q.name)));
            }
        }
    }
    Ok(())
}

fn resolve(view: &View, size: &dyn Fn(&Dim) -> Result<i64>) -> Result<ViewAt> {
    let axis = |a: &girih_tile::ViewAxis| {
        let extent = if a.inside { ViewAt::EVERYWHERE } else { size(&a.extent)?.max(0) };
        Ok((extent, size(&a.stride)?))
    };
    let axes = view.axes.iter().map(axis).collect::<Result<_>>()?;
    let guard = |g: &girih_tile::Guard| Ok((size(&g.base)?, g.coeffs.clone(), size(&g.extent)?));
    Ok(ViewAt { offset: size(&view.offset)?, axes, guards: view.guards.iter().map(guard).collect::<Result<_>>()? })
}
