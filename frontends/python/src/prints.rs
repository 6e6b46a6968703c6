//! What kernels print, on Python's standard output.

use girih_exec::{Kernel, Session};
use pyo3::prelude::*;

/// Writes what a launch of a printing kernel left, and that lines were lost where the debug buffer was too small.
pub fn tell(py: Python<'_>, session: &Session, kernel: &Kernel) -> PyResult<()> {
    if kernel.code().debug.is_none() {
        return Ok(());
    }
    let prints = py.detach(|| session.take_prints());
    let out = py.import("sys")?.getattr("stdout")?;
    for line in &prints.lines {
        out.call_method1("write", (&line.text,))?;
    }
    if prints.lost > 0 {
        out.call_method1("write", (format!("({} more lines found no room in the debug buffer)\n", prints.lost),))?;
    }
    out.call_method0("flush")?;
    Ok(())
}
