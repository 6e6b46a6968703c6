//! The device's half: the source with what it includes, for the translator in the runtime library.

use super::flags::Flags;
use super::headers;
use girih_base::Result;
use girih_cuda::Bundle;
use std::cell::RefCell;
use std::path::{Path, PathBuf};

/// Packs a program. Included files are looked for beside the files read so far, and in the folders of `-I`; headers of CUDA and
/// of C++ are built into the translator, but for libraries of ours that are written in CUDA themselves.
///
/// # Errors
/// What the preprocessor and parser refuse.
pub fn bundle(input: &Path, source: &str, flags: &Flags) -> Result<Bundle> {
    let beside = input.parent().unwrap_or(Path::new("")).to_path_buf();
    let folders = RefCell::new(vec![beside]);
    let resolve = |name: &str, angle: bool| -> Option<String> {
        let near: Vec<PathBuf> = if angle { Vec::new() } else { folders.borrow().clone() };
        for folder in near.iter().rev().chain(&flags.includes) {
            let path = folder.join(name);
            if let Ok(text) = std::fs::read_to_string(&path) {
                let parent = path.parent().map(Path::to_path_buf).unwrap_or_default();
                if !folders.borrow().contains(&parent) {
                    folders.borrow_mut().push(parent);
                }
                return Some(text);
            }
        }
        headers::for_devices(name).map(str::to_string)
    };
    let (bundle, _) = Bundle::collect(source, &input.display().to_string(), &flags.defines, &resolve)?;
    Ok(bundle)
}
