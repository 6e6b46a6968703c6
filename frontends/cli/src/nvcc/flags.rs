//! The command line of nvcc: what clang gets of it, and what has no meaning here.

use girih_base::{Diag, Result};
use std::path::PathBuf;

/// What was asked for.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Flags {
    /// Source files, objects and archives.
    pub inputs: Vec<PathBuf>,
    /// `-o`.
    pub output: Option<PathBuf>,
    /// `-c`.
    pub compile_only: bool,
    /// `-I`, in order.
    pub includes: Vec<PathBuf>,
    /// `-D`: name and value.
    pub defines: Vec<(String, String)>,
    /// Further options for the preprocessor and compiler.
    pub compiler: Vec<String>,
    /// `-std`, for C++.
    pub standard: Option<String>,
    /// Options and libraries for the linker.
    pub linker: Vec<String>,
}

/// Options of nvcc about devices of one maker, which change nothing here. Those that end in `=` take a value.
const WITHOUT_MEANING: &[&str] = &[
    "-arch=",
    "--gpu-architecture=",
    "-gencode=",
    "--generate-code=",
    "-code=",
    "--gpu-code=",
    "-lineinfo",
    "--generate-line-info",
    "-use_fast_math",
    "--use_fast_math",
    "-m64",
    "--expt-relaxed-constexpr",
    "--expt-extended-lambda",
    "--extended-lambda",
    "-extended-lambda",
    "-expt-relaxed-constexpr",
    "-rdc=",
    "--relocatable-device-code=",
    "-cudart=",
    "--cudart=",
    "--threads=",
    "-t=",
    "--ptxas-options=",
    "-G",
    "--device-debug",
    "--maxrregcount=",
    "-maxrregcount=",
    "--fmad=",
    "-fmad=",
    "-ccbin=",
    "--compiler-bindir=",
    "-w",
    "--disable-warnings",
];

/// The same, with the value in the next argument.
const WITHOUT_MEANING_PAIRS: &[&str] = &[
    "-arch",
    "-gencode",
    "--generate-code",
    "-code",
    "-Xptxas",
    "--ptxas-options",
    "--threads",
    "-t",
    "-ccbin",
    "-maxrregcount",
    "-diag-suppress",
    "-Xcudafe",
    "-rdc",
    "-cudart",
];

/// Libraries whose part is played by our headers and runtime.
const OURS: &[&str] = &["cudart", "cudart_static", "cuda", "cudadevrt", "cublas", "cublasLt", "curand"];

impl Flags {
    /// Reads a command line.
    ///
    /// # Errors
    /// `C033` for options that are not known and for no input.
    pub fn read(args: &[String]) -> Result<Flags> {
        let mut flags = Flags::default();
        let mut rest = args.iter();
        while let Some(arg) = rest.next() {
            let mut value = |name: &str| match arg.strip_prefix(name) {
                Some("") => rest.next().cloned().ok_or_else(|| wrong(format!("`{name}` needs a value"))),
                Some(joined) => Ok(joined.strip_prefix('=').unwrap_or(joined).to_string()),
                None => Err(wrong(format!("`{name}` needs a value"))),
            };
            let split = |list: String| list.split(',').map(str::to_string).collect::<Vec<_>>();
            match arg.as_str() {
                a if !a.starts_with('-') => flags.inputs.push(a.into()),
                "-c" | "--compile" | "-dc" => flags.compile_only = true,
                a if a.starts_with("-o") => flags.output = Some(value("-o")?.into()),
                a if a.starts_with("-I") => flags.includes.push(value("-I")?.into()),
                a if a.starts_with("-isystem") => flags.includes.push(value("-isystem")?.into()),
                a if a.starts_with("-D") => {
                    let define = value("-D")?;
                    let (name, text) = define.split_once('=').unwrap_or((&define, "1"));
                    flags.defines.push((name.into(), text.into()));
                }
                a if WITHOUT_MEANING.iter().any(|w| a == *w || (w.ends_with('=') && a.starts_with(w))) => {}
                a if WITHOUT_MEANING_PAIRS.contains(&a) => {
                    rest.next();
                }
                a if a.starts_with("-std") => flags.standard = Some(value("-std")?),
                a if a.starts_with("--std") => flags.standard = Some(value("--std")?),
                a if a.starts_with("-Xcompiler") => flags.compiler.extend(split(value("-Xcompiler")?)),
                a if a.starts_with("--compiler-options") => flags.compiler.extend(split(value("--compiler-options")?)),
                a if a.starts_with("-Xlinker") => {
                    flags.linker.extend(split(value("-Xlinker")?).into_iter().map(|l| format!("-Wl,{l}")));
                }
                a if a.starts_with("-l") => {
                    let name = value("-l")?;
                    if !OURS.contains(&name.as_str()) {
                        flags.linker.push(format!("-l{name}"));
                    }
                }
                a if a.starts_with("-L") => flags.linker.push(format!("-L{}", value("-L")?)),
                a if ["-U", "-O", "-g", "-W", "-f", "-m", "-pthread"].iter().any(|p| a.starts_with(p)) => {
                    flags.compiler.push(a.into());
                }
                other => {
                    return Err(wrong(format!("`{other}` is no option of `girih nvcc`")).note(
                        "options: -o -c -I -isystem -D -U -O -std -g -l -L -f... -m... -W... -Xcompiler -Xlinker",
                    ));
                }
            }
        }
        if flags.inputs.is_empty() {
            return Err(wrong("there is no input file".into()));
        }
        Ok(flags)
    }
}

fn wrong(what: String) -> Box<Diag> {
    Diag::error("C033", what).help("girih nvcc prog.cu -o prog [-I DIR] [-D NAME[=VALUE]] [-O2] [-l LIB]")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn read(line: &str) -> Result<Flags> {
        Flags::read(&line.split(' ').map(str::to_string).collect::<Vec<_>>())
    }

    #[test]
    fn command_lines_of_nvcc_are_read() {
        let f = read("-O3 -arch=sm_80 a.cu b.cpp -o prog -I inc -Iother -DN=4 -D M -lcudart -lm -gencode x -std=c++14")
            .unwrap();
        assert_eq!(f.inputs, [PathBuf::from("a.cu"), "b.cpp".into()]);
        assert_eq!(f.output, Some("prog".into()));
        assert_eq!(f.includes, [PathBuf::from("inc"), "other".into()]);
        assert_eq!(f.defines, [("N".to_string(), "4".to_string()), ("M".into(), "1".into())]);
        assert_eq!((f.compiler.as_slice(), f.linker.as_slice()), (&["-O3".to_string()][..], &["-lm".to_string()][..]));
        assert_eq!(f.standard.as_deref(), Some("c++14"));
    }

    #[test]
    fn what_is_not_known_is_refused() {
        for line in ["-o prog", "a.cu --ptx", "a.cu -o"] {
            assert_eq!(read(line).unwrap_err().code, "C033", "{line}");
        }
    }
}
