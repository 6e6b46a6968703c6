//! Launches of SIMT kernels: checks what is bound, fills in sizes, and spreads workgroups over the threads.

use super::machine::{SimtLaunch, SimtWorker};
use super::program::SimtProgram;
use crate::launch::{SMALL, refuse, spread};
use crate::memory::Mem;
use crate::pool::Pool;
use crate::program::Lane;
use crate::simd::Isa;
use girih_base::{Bindings, Result};
use std::sync::Mutex;

/// Runs a program over memory.
///
/// # Errors
/// `X104` when the arguments do not fit the kernel, `X103` for an access outside an array, `X012` for a loop without end.
pub(crate) fn launch(
    program: &SimtProgram,
    args: Vec<Mem>,
    bindings: &Bindings,
    pool: &mut Pool,
    workers: &[Mutex<SimtWorker>],
    isa: Isa,
) -> Result<()> {
    let refuse = |why: String| refuse(&program.name, why);
    if args.len() != program.buffers.len() {
        return Err(refuse(format!("{} arguments for {} buffers", args.len(), program.buffers.len())));
    }
    let mut lens = Vec::new();
    for (b, mem) in program.buffers.iter().zip(&args) {
        let bytes = if Lane::of(b.dtype) == Lane::Bool { 1 } else { b.dtype.bits() as usize / 8 };
        if !(mem.ptr as usize).is_multiple_of(bytes.max(1)) {
            return Err(refuse(format!("the memory bound to `{}` is not aligned for {}", b.name, b.dtype)));
        }
        if b.written && !mem.writable {
            return Err(refuse(format!("`{}` is written, but bound to read-only memory", b.name)));
        }
        // What no index reaches does not count.
        lens.push((mem.bytes / (bytes * b.parts).max(1)).min(1 << 32));
    }
    let groups = program.groups.eval(bindings).map_err(|name| refuse(format!("size `{name}` has no value")))?.max(0);
    let Ok(groups) = u32::try_from(groups) else {
        return Err(refuse(format!("a grid of {groups} workgroups is too large")));
    };
    let mut image = program.image.clone();
    for (i, name) in program.uniforms.iter().enumerate() {
        let word = word(name, bindings).ok_or_else(|| refuse(format!("`{name}` has no value")))?;
        image[i * 4..][..4].copy_from_slice(&word.to_ne_bytes());
    }
    let l = SimtLaunch { program, args, lens, image };
    let count = groups as u64;
    let alone = program.sequential || count.saturating_mul(program.work) < SMALL;
    spread(&program.name, count, alone, pool, workers, isa, |w| w.prepare(&l), |w, i| w.group(&l, i as u32))
}

/// The value of a uniform: the low word of what is bound to its name, or the high word for `name.hi`.
fn word(name: &str, bindings: &Bindings) -> Option<u32> {
    if let Some(value) = bindings.get(name) {
        return Some(*value as u32);
    }
    bindings.get(name.strip_suffix(".hi")?).map(|value| (*value as u64 >> 32) as u32)
}
