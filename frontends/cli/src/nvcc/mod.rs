//! `girih nvcc`: whole CUDA programs. clang compiles the host half; kernels travel as source and run on any device.
//!
//! Each `.cu` file goes through four steps: clang preprocesses it with our headers ([`headers`]), bodies of device functions are
//! taken out ([`strip`]), the device half is packed as a [`girih_cuda::Bundle`] ([`device`]), and clang compiles the rest with the
//! bundle embedded ([`clang`]). The program is linked with the library of `frontends/cudart`.

mod clang;
mod device;
mod flags;
mod headers;
mod strip;

use crate::Context;
use crate::output::{Done, Out, read_text};
use clang::Clang;
use flags::Flags;
use girih_base::{Diag, Result};
use std::path::{Path, PathBuf};

/// Arguments of `girih nvcc`.
#[derive(clap::Args)]
pub struct Nvcc {
    /// Files (.cu, .cpp, .c, .o, .a) and options as nvcc takes them: -o FILE, -c, -I, -D, -U, -O, -std, -g, -l, -L, -Xcompiler.
    /// The program runs on the device that GIRIH_DEVICE names (cpu, wgpu, wgpu:N, auto)
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, required = true, value_name = "FILES AND OPTIONS")]
    args: Vec<String>,
}

impl Nvcc {
    /// Compiles and links.
    pub fn run(self, _: &Context, _: Out) -> Done {
        let flags = Flags::read(&self.args)?;
        let clang = Clang::find()?;
        let library = if flags.compile_only { None } else { Some(library()?) };
        let include = headers::folder()?;
        let scratch = tempfile::tempdir()?;
        let mut objects = Vec::new();
        for (i, input) in flags.inputs.iter().enumerate() {
            let object = match (&flags.output, flags.compile_only) {
                (Some(path), true) if flags.inputs.len() == 1 => path.clone(),
                (_, true) => Path::new(input.file_name().unwrap_or_default()).with_extension("o"),
                _ => scratch.path().join(format!("{i}.o")),
            };
            match input.extension().and_then(|e| e.to_str()).unwrap_or_default() {
                "cu" => cuda(&clang, &flags, input, &include, scratch.path(), &object)?,
                "c" | "cpp" | "cc" | "cxx" => {
                    let c = input.extension().is_some_and(|e| e == "c");
                    clang.host(&flags, input, &include, c, &object)?;
                }
                _ => {
                    objects.push(input.clone());
                    continue;
                }
            }
            objects.push(object);
        }
        if let Some(folder) = library {
            clang.link(&flags, &objects, &folder)?;
        }
        Ok(())
    }
}

/// One `.cu` file to an object.
fn cuda(clang: &Clang, flags: &Flags, input: &Path, include: &Path, scratch: &Path, object: &Path) -> Result<()> {
    let source = read_text(input)?;
    let bundle = scratch.join("device.bundle");
    write(&bundle, &device::bundle(input, &source, flags)?.to_bytes())?;
    let (whole, host) = (scratch.join("whole.cui"), scratch.join("host.cui"));
    clang.preprocess(flags, input, include, &whole)?;
    write(&host, strip::device_bodies(&read_text(&whole)?).as_bytes())?;
    clang.cuda(flags, &host, &bundle, object)
}

fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    std::fs::write(path, bytes).map_err(|e| Diag::error("C002", format!("`{}` cannot be written: {e}", path.display())))
}

/// The folder with the runtime library: where `GIRIH_CUDART` says, beside this program, or where cargo leaves libraries of tests.
fn library() -> Result<PathBuf> {
    let name = format!("{}girih_cudart{}", std::env::consts::DLL_PREFIX, std::env::consts::DLL_SUFFIX);
    let own = std::env::current_exe().ok().and_then(|p| Some(p.canonicalize().ok()?.parent()?.to_path_buf()));
    let chosen = std::env::var_os("GIRIH_CUDART").map(PathBuf::from);
    let beside = own.into_iter().flat_map(|f| [f.clone(), f.join("deps"), f.join("../lib")]);
    let mut folders = chosen.into_iter().chain(beside);
    folders.find(|f| f.join(&name).is_file()).ok_or_else(|| {
        Diag::error("C032", format!("the runtime library `{name}` is neither beside this program nor in GIRIH_CUDART"))
            .help("build it with `cargo build --release -p girih-cudart`, or set GIRIH_CUDART to its folder")
    })
}
