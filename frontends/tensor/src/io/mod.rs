//! Tensors in files: safetensors and NumPy's .npy.
//!
//! A reader takes nothing from a file on trust: counts, offsets and shapes are checked before anything is allocated, and a
//! file that does not hold up is refused with its name and the reason. A writer fills a file beside the target and renames
//! it, so a target is either the old file or the whole new one, also when the disk fills up.

mod npy;
mod safetensors;

pub use npy::{load_npy, parse_npy, save_npy};
pub use safetensors::{load, load_into, parse, save};

use girih_base::{Diag, Result};
use std::io::{self, Write};
use std::path::Path;

fn file_error(what: &str, path: &Path, why: &io::Error) -> Box<Diag> {
    let diag = Diag::error("T030", format!("cannot {what} `{}`: {why}", path.display()));
    match why.kind() {
        io::ErrorKind::NotFound => diag.help("check the path"),
        io::ErrorKind::PermissionDenied => diag.help("check the permissions of the file and its folder"),
        io::ErrorKind::StorageFull => diag.help("the disk is full; nothing was written"),
        _ => diag,
    }
}

fn read(path: &Path) -> Result<Vec<u8>> {
    std::fs::read(path).map_err(|why| file_error("read", path, &why))
}

/// Writes a file whole or not at all.
fn write(path: &Path, fill: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> Result<()> {
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let fail = |why: &io::Error| file_error("write", path, why);
    let file = tempfile::NamedTempFile::new_in(folder).map_err(|why| fail(&why))?;
    let mut out = io::BufWriter::new(file);
    fill(&mut out).map_err(|why| fail(&why))?;
    let file = out.into_inner().map_err(|why| fail(why.error()))?;
    file.as_file().sync_all().map_err(|why| fail(&why))?;
    file.persist(path).map_err(|why| fail(&why.error))?;
    Ok(())
}
