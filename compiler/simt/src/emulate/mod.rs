//! Runs kernels: every statement over all threads of a workgroup under a mask, so that barriers and subgroup
//! operations are exact. Slow and strict: out-of-bounds accesses, data races, reads of unwritten workgroup memory and
//! barriers that not every thread reaches are errors that name the statement.

mod address;
mod exec;
mod memory;
mod order;
mod scalar;
mod subgroup;
#[cfg(test)]
mod tests;
mod thread;
mod undefined;

use crate::ir::*;
use exec::Machine;
use girih_base::{Bindings, Diag, Loc, Result};

/// How to run.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Threads of a subgroup, a power of two up to 128.
    pub subgroup: u32,
    /// Most rounds of one loop, so that a loop that never ends is reported.
    pub rounds: u64,
    /// Buffers that hold nothing yet, one bit each from the first: an element must be written before it is read.
    pub unwritten: u64,
    /// Variables hold nothing until they are written, and what is computed from nothing must not matter; otherwise they start as zero.
    pub strict: bool,
}

impl Default for Options {
    fn default() -> Options {
        Options { subgroup: 32, rounds: 1 << 24, unwritten: 0, strict: false }
    }
}

/// How the text of an assertion starts that an access is aligned as its type asks: `S108` where it does not hold.
pub const MISALIGNED: &str = "misaligned: ";

/// How the text of an assertion starts that the lanes an operation names take part in it: `S110` where it does not hold.
pub const LANES: &str = "lanes: ";

/// The name of a variable that nobody writes, for what comes from a lane that takes no part: `S110` where it matters.
pub const INACTIVE: &str = undefined::INACTIVE;

/// A printed line.
#[derive(Clone, Copy, Debug)]
pub struct Line<'a> {
    /// The line, formatted.
    pub text: &'a str,
    /// The workgroup.
    pub group: u32,
    /// The thread in its workgroup.
    pub thread: u32,
    /// What orders it among the lines of its workgroup, if not the thread (see [`print`](mod@girih_base::print)).
    pub keys: &'a [u32],
    /// Where the program prints.
    pub loc: &'a Loc,
}

/// What a run did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Workgroups run.
    pub groups: u64,
    /// Statements executed, each once for all threads.
    pub statements: u64,
    /// Barriers passed.
    pub barriers: u64,
}

/// What a run did, and what its operations across subgroups gave.
#[derive(Clone, Debug, Default)]
pub struct Trace {
    /// Counts.
    pub stats: Stats,
    /// Operations across subgroups: where they are, and a hash of all their results.
    pub exchanges: Vec<(Loc, u64)>,
}

/// Runs the kernel over its buffers (little-endian bytes, one per [`Buffer`], whole elements).
///
/// # Errors
/// `S101` an access outside an array, `S102` a data race, `S103` a read of memory that nothing wrote, `S104` a
/// barrier or subgroup operation that not every thread reaches, `S105` a loop without end, `S106` arguments that do not
/// fit the kernel, `S107` an assertion that does not hold, `S108` a misaligned access, `S109` an index that wrapped around, `S110` a
/// subgroup operation that counts on lanes which take no part.
pub fn run(kernel: &Kernel, buffers: &mut [Vec<u8>], sizes: &Bindings, options: Options) -> Result<Stats> {
    run_printing(kernel, buffers, sizes, options, &mut |_| {})
}

/// [`run`], with the lines that the kernel prints given to `print`, statement after statement.
///
/// # Errors
/// Those of [`run`].
pub fn run_printing(
    kernel: &Kernel,
    buffers: &mut [Vec<u8>],
    sizes: &Bindings,
    options: Options,
    print: &mut dyn FnMut(Line<'_>),
) -> Result<Stats> {
    run_tracing(kernel, buffers, sizes, options, print).map(|trace| trace.stats)
}

/// [`run_printing`], with what operations across subgroups gave.
///
/// # Errors
/// Those of [`run`].
pub fn run_tracing(
    kernel: &Kernel,
    buffers: &mut [Vec<u8>],
    sizes: &Bindings,
    options: Options,
    print: &mut dyn FnMut(Line<'_>),
) -> Result<Trace> {
    if buffers.len() != kernel.buffers.len() {
        return Err(Diag::error(
            "S106",
            format!("`{}` takes {} buffers, got {}", kernel.name, kernel.buffers.len(), buffers.len()),
        ));
    }
    let missing = |name: &str| Diag::error("S106", format!("`{}` needs a value for `{name}`", kernel.name));
    let groups = kernel.groups.eval(sizes).map_err(|name| missing(&name))?;
    let uniforms = girih_base::launch::words(&kernel.uniforms, sizes).map_err(|(name, _)| missing(&name))?;
    let mut machine = Machine::new(kernel, buffers, uniforms, options, print)?;
    let groups = u32::try_from(groups.max(0)).map_err(|_| {
        Diag::error("S106", format!("`{}` would run {groups} workgroups, more than 32 bits count", kernel.name))
    })?;
    for group in 0..groups {
        machine.run_group(group)?;
    }
    machine.finish(buffers);
    Ok(Trace { stats: machine.stats, exchanges: machine.exchanges })
}
