//! Finding clang, and what it is asked to do.

use super::flags::Flags;
use girih_base::{Diag, Result};
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The environment variable that names clang.
const CLANG: &str = "GIRIH_CLANG";
/// Versions that are looked for by name, besides `clang++` itself.
const VERSIONS: std::ops::RangeInclusive<u32> = 13..=24;

/// An installed clang.
pub struct Clang {
    program: OsString,
}

/// The half of the program that clang compiles: no headers and libraries but ours, and the launch of CUDA 9.2 and later.
const HOST_HALF: &[&str] = &["--cuda-host-only", "-nocudainc", "-nocudalib", "-Xclang", "-target-sdk-version=11.0"];

/// What programs ask to know their compiler by.
const PREDEFINED: &[&str] =
    &["-D__CUDACC__=1", "-D__NVCC__=1", "-D__CUDACC_VER_MAJOR__=12", "-D__CUDACC_VER_MINOR__=4", "-D__GIRIH__=1"];

impl Clang {
    /// The one that `GIRIH_CLANG` names, or the first one installed.
    ///
    /// # Errors
    /// `C030` where there is none.
    pub fn find() -> Result<Clang> {
        let chosen = std::env::var_os(CLANG).filter(|v| !v.is_empty());
        let names = match &chosen {
            Some(name) => vec![name.clone()],
            None => {
                let versions = VERSIONS.rev().map(|v| OsString::from(format!("clang++-{v}")));
                std::iter::once(OsString::from("clang++")).chain(versions).collect()
            }
        };
        let works = |name: &OsString| {
            let quiet = Command::new(name).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
            quiet.is_ok_and(|status| status.success())
        };
        names.into_iter().find(works).map(|program| Clang { program }).ok_or_else(|| {
            let what = match chosen {
                Some(name) => format!("{CLANG} names `{}`, which does not run", name.to_string_lossy()),
                None => "clang is not installed, which compiles the host half of CUDA programs".into(),
            };
            Diag::error("C030", what).note("kernels run without it: girih run FILE.cu::KERNEL").help(format!(
                "install it (Debian, Ubuntu: apt-get install clang; macOS: xcode-select --install), or set {CLANG}"
            ))
        })
    }

    fn command(&self, flags: &Flags) -> Command {
        let mut c = Command::new(&self.program);
        c.args(&flags.compiler);
        c
    }

    /// Preprocesses a `.cu` file with our headers.
    ///
    /// # Errors
    /// `C031` when clang refuses it.
    pub fn preprocess(&self, flags: &Flags, input: &Path, include: &Path, to: &Path) -> Result<()> {
        let mut c = self.command(flags);
        c.args(["-x", "cuda", "-E"]).args(HOST_HALF).args(PREDEFINED).arg(standard(flags));
        c.arg("-include").arg(include.join("cuda_runtime.h"));
        includes(&mut c, flags, include);
        c.arg(input).arg("-o").arg(to);
        run(c, input)
    }

    /// Compiles a preprocessed `.cu` file, with the device's half embedded.
    ///
    /// # Errors
    /// `C031` when clang refuses it.
    pub fn cuda(&self, flags: &Flags, input: &Path, bundle: &Path, object: &Path) -> Result<()> {
        let mut c = self.command(flags);
        c.args(["-x", "cuda-cpp-output", "-c", "-w"]).args(HOST_HALF).arg(standard(flags));
        c.args(["-Xclang", "-fcuda-include-gpubinary", "-Xclang"]).arg(bundle);
        c.arg(input).arg("-o").arg(object);
        run(c, input)
    }

    /// Compiles a file of the host.
    ///
    /// # Errors
    /// `C031` when clang refuses it.
    pub fn host(&self, flags: &Flags, input: &Path, include: &Path, is_c: bool, object: &Path) -> Result<()> {
        let mut c = self.command(flags);
        match is_c {
            true => c.args(["-x", "c"]),
            false => c.arg(standard(flags)),
        };
        c.args(["-c", "-w"]);
        includes(&mut c, flags, include);
        c.arg(input).arg("-o").arg(object);
        run(c, input)
    }

    /// Links with the runtime library, which the program finds where it is now.
    ///
    /// # Errors
    /// `C031` when the linker refuses.
    pub fn link(&self, flags: &Flags, objects: &[PathBuf], library: &Path) -> Result<()> {
        let output = flags.output.clone().unwrap_or_else(|| "a.out".into());
        let mut c = self.command(flags);
        c.args(objects).arg("-o").arg(&output).arg("-L").arg(library).arg("-lgirih_cudart");
        let mut path = OsString::from("-Wl,-rpath,");
        path.push(library);
        c.arg(path).args(&flags.linker).arg("-lm");
        run(c, &output)
    }
}

fn standard(flags: &Flags) -> String {
    format!("-std={}", flags.standard.as_deref().unwrap_or("c++17"))
}

fn includes(c: &mut Command, flags: &Flags, own: &Path) {
    for folder in &flags.includes {
        c.arg("-I").arg(folder);
    }
    c.arg("-isystem").arg(own).arg("-idirafter").arg(own.join("fallback"));
    c.args(flags.defines.iter().map(|(name, value)| format!("-D{name}={value}")));
}

/// Runs it; its messages go where ours go.
fn run(mut c: Command, file: &Path) -> Result<()> {
    let why = match c.status() {
        Ok(status) if status.success() => return Ok(()),
        Ok(status) => status.to_string(),
        Err(e) => e.to_string(),
    };
    let line: Vec<_> = std::iter::once(c.get_program()).chain(c.get_args()).map(OsStr::to_string_lossy).collect();
    Err(Diag::error("C031", format!("clang refuses the host half of `{}`: {why}", file.display())).note(line.join(" ")))
}
