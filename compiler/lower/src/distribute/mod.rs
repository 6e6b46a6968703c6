//! Distribution: a tile kernel becomes the program of one thread.
//!
//! Every tile value gets a [layout](layout::Layout) that spreads its elements over the registers of the threads of one
//! workgroup; values that consumers need in another layout travel through workgroup memory. One workgroup runs one
//! program instance. Sums and folds happen in a fixed order, so results do not depend on timing.

mod access;
mod atomic;
mod buffers;
mod control;
mod debug;
mod dot;
mod emit;
mod eval;
pub mod layout;
mod legalise;
mod narrow;
mod plan;
mod quant;
mod reduce;
mod scan;
mod sort;
#[cfg(test)]
mod tests;

use crate::TargetDesc;
use emit::Emit;
use girih_base::{Diag, Dim, Result};
use girih_tile::Kernel;
use std::collections::BTreeSet;
use std::sync::Arc;

/// Spreads a tile kernel over the threads of a workgroup.
///
/// # Errors
/// `L201` tile extents that are not powers of two, `L202` a dtype the target lacks, `L203` too much workgroup memory,
/// `L204` an unknown block format, `L205` offsets beyond 32 bits, `L206` an operation the target cannot do atomically.
pub fn distribute(kernel: &Kernel, desc: &TargetDesc) -> Result<girih_simt::Kernel> {
    let kernel = legalise::legalise(kernel);
    let plan = plan::plan(&kernel, desc)?;
    let infos = buffers::buffers(&kernel, &plan, desc)?;
    let threads = 1u32 << plan.lanes;
    let mut e = Emit::new(&kernel, desc, plan, infos);
    e.b.buffers = buffers::declare(&kernel, &e.buffers);
    e.delinearise();
    e.start_prints();
    e.block(&kernel.body)?;
    let size = |s: &girih_simt::Shared| s.len as u64 * s.elem.lanes as u64 * (s.elem.dtype.bits() as u64 / 8).max(4);
    let bytes: u64 = e.b.shared.iter().map(size).sum();
    if bytes > desc.workgroup_bytes as u64 {
        let list: Vec<String> = e.b.shared.iter().map(|s| format!("`{}` of {}", s.name, s.len)).collect();
        return Err(Diag::error(
            "L203",
            format!(
                "kernel `{}` needs {bytes} bytes of workgroup memory, the target has {}",
                kernel.name, desc.workgroup_bytes
            ),
        )
        .note(format!("arrays: {}", list.join(", ")))
        .help("use smaller tiles"));
    }
    distinct_names(&mut e.b);
    let groups = kernel.grid.iter().fold(Dim::ONE, |n, d| &n * d);
    let conversions = e.conversions;
    if conversions > 0 {
        e.comment(&format!("{conversions} layout conversions through workgroup memory"));
    }
    Ok(e.b.finish(kernel.name.clone(), [threads, 1, 1], groups))
}

/// Gives arrays and variables names that differ from each other's and the parameters'.
fn distinct_names(b: &mut girih_simt::Builder) {
    let mut taken: BTreeSet<Arc<str>> = b.buffers.iter().map(|x| x.name.clone()).collect();
    let names = b.shared.iter_mut().map(|x| &mut x.name).chain(b.locals.iter_mut().map(|x| &mut x.name));
    for name in names {
        let mut n = 1;
        let base = name.clone();
        while !taken.insert(name.clone()) {
            n += 1;
            *name = format!("{base}_{n}").into();
        }
    }
}
