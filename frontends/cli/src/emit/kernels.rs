//! Kernels of Triton and CUDA files at each level.

use super::stages::{Launched, Pieces, kernel};
use super::{Stage, Targets};
use crate::kernel::{File, Source};
use crate::output::{Done, Out, note};
use crate::run::argument::{dtype, extents, parse};
use crate::run::constant;
use girih_base::{DType, Diag, Result};
use girih_cuda::LaunchShape;
use girih_triton::{Arg, Assume, Module, Parameter, Signature};
use std::collections::BTreeMap;
use std::sync::Arc;

/// What a kernel of a file is compiled for.
#[derive(clap::Args)]
pub struct For {
    /// Type of a kernel's argument: x=f32* for a pointer, n=i32 for a number
    #[arg(long = "arg", value_name = "NAME=TYPE")]
    args: Vec<String>,
    /// Value of a `tl.constexpr` argument; for CUDA a macro
    #[arg(long = "const", value_name = "NAME=VALUE")]
    constants: Vec<String>,
    /// Threads of a block, for CUDA
    #[arg(long, default_value = "256")]
    block: String,
    /// Bytes of dynamic shared memory, for CUDA
    #[arg(long, default_value_t = 0)]
    shared: u32,
}

impl For {
    /// Lists a file's kernels.
    ///
    /// # Errors
    /// Those of reading and parsing it.
    pub fn list(file: &File, out: Out) -> Done {
        for (name, params) in file.kernels() {
            writeln!(out, "{}::{name}({})", file.path, params.join(", "))?;
        }
        Ok(())
    }

    /// Opens the file of `input`.
    ///
    /// # Errors
    /// Those of reading and parsing it.
    pub fn open(&self, input: &str) -> Result<File> {
        let macros = self.constants.iter().filter_map(|c| c.split_once('=')).map(|(n, v)| (n.into(), v.into()));
        File::open(input, &macros.collect::<Vec<_>>())
    }

    /// Compiles the kernel that the file names, and prints it.
    ///
    /// # Errors
    /// `C005` for types and values that are none, `C006` for what is missing, and what compiling finds.
    pub fn stage(&self, file: &File, stage: Stage, targets: &Targets) -> Result<Pieces> {
        if matches!(stage, Stage::Graph | Stage::Optimized | Stage::Explain | Stage::Plan) {
            return Err(Diag::error("C006", "a kernel of a file is no graph, and has no plan")
                .help("its stages are tile, simt, wgsl, msl, hlsl and spirv"));
        }
        let name = file.kernel()?;
        let launched = match &file.source {
            Source::Triton(m) => Launched::Tile(Arc::new(m.compile(&name, &self.signature(m, &name)?)?.tile)),
            Source::Cuda(m) => {
                let shape = LaunchShape { dynamic_shared: self.shared, ..LaunchShape::new(extents(&self.block)?, 3) };
                let caps = girih_cuda::caps(&targets.shaders);
                let compiled = m.compile(&name, &shape, caps)?;
                compiled.notes.iter().for_each(|n| note(&format!("note: {n}")));
                Launched::Simt(Arc::new(compiled.kernel))
            }
        };
        let own = match &launched {
            Launched::Tile(k) => k.name.clone(),
            Launched::Simt(k) => k.name.clone(),
        };
        Ok(vec![kernel(&own, &launched, stage, targets)?])
    }

    /// Types as given, else as annotated, else as names say; constants as given, else as tuned first.
    fn signature(&self, module: &Module, name: &str) -> Result<Signature> {
        let mut s = Signature { assume: Assume::Grid, ..Signature::default() };
        for text in &self.args {
            let given = text.split_once('=').ok_or_else(|| wrong(text))?;
            s = s.arg(given.0, argument(given.1).map_err(|_| wrong(text))?);
        }
        let mut values = BTreeMap::new();
        for text in &self.constants {
            let (name, given) = parse(text)?;
            let value = constant(&name, &given)?;
            values.insert(name.clone(), value.clone());
            s = s.arg(&name, Arg::Constant(value));
        }
        let parameters = module.parameters(name)?;
        let absent = |s: &Signature, p: &Parameter| !p.default && !s.args.contains_key(&p.name);
        for p in parameters.iter().filter(|p| !p.constexpr) {
            let guessed = match &p.annotation {
                Some(text) => argument(text).ok(),
                None if p.name.ends_with("ptr") => Some(Arg::pointer(DType::F32)),
                None => None,
            };
            if let Some(arg) = guessed.filter(|_| absent(&s, p)) {
                s = s.arg(&p.name, arg);
            }
        }
        if parameters.iter().any(|p| absent(&s, p)) {
            for (name, value) in module.defaults_at(name, &s, &values)? {
                if parameters.iter().any(|p| p.name == name && absent(&s, p)) {
                    s = s.arg(&name, Arg::Constant(value));
                }
            }
        }
        let missing: Vec<&Parameter> = parameters.iter().filter(|p| absent(&s, p)).collect();
        if missing.is_empty() {
            return Ok(s);
        }
        let names: Vec<&str> = missing.iter().map(|p| p.name.as_str()).collect();
        let option = |p: &&Parameter| match p.constexpr {
            true => format!("--const {}=128", p.name),
            false => format!("--arg {}=f32*", p.name),
        };
        let options: Vec<String> = missing.iter().map(option).collect();
        Err(Diag::error("C006", format!("`{name}` needs types or values for {}", names.join(", ")))
            .help(format!("for example {}; numbers are i32, i64, f32", options.join(" "))))
    }
}

/// `f32*`, `*fp32`, `i32`, `f32`.
fn argument(text: &str) -> Result<Arg> {
    let text = text.trim();
    if let Some(to) = text.strip_suffix('*').or_else(|| text.strip_prefix('*')) {
        return Ok(Arg::pointer(dtype(to.trim())?));
    }
    Ok(match dtype(text)? {
        DType::I32 => Arg::size(),
        d @ (DType::I64 | DType::U32 | DType::U64) => Arg::Int { dtype: d, multiple_of: 1, size: false },
        d @ (DType::F32 | DType::F64) => Arg::Float(d),
        _ => return Err(wrong(text)),
    })
}

fn wrong(text: &str) -> Box<Diag> {
    Diag::error("C005", format!("`{text}` is not NAME=TYPE"))
        .help("write x=f32* for a pointer, n=i32, i64, u32, u64, f32 or f64 for a number")
}
