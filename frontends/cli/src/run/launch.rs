//! One launch on one device, through the language of the kernel's file.

use super::argument::{Elements, Given};
use crate::kernel::{File, Source};
use crate::rig::Rig;
use girih_base::{DType, Diag, Result};
use girih_cuda::{LaunchShape, Loaded, Value};
use girih_exec::MemRef;
use girih_graph::Number;
use girih_graph::eval::Array;
use girih_tile::Access;
use girih_triton::{Argument, Binding, Constant, Launcher};
use std::time::Instant;

/// A kernel and its arguments.
pub struct Prepared {
    /// Where it is.
    pub file: File,
    /// Its name.
    pub kernel: String,
    /// Programs or blocks along each axis.
    pub grid: [u32; 3],
    block: Option<[u32; 3]>,
    shared: u32,
    /// The arguments by name.
    pub args: Vec<(String, Given)>,
    constants: Vec<(String, Given)>,
}

/// What a launch did.
pub struct Outcome {
    /// The arrays that the kernel may have written.
    pub arrays: Vec<Written>,
    /// Median time of a launch, where it was measured.
    pub seconds: Option<f64>,
    /// What the compiler was asked to say.
    pub notes: Vec<String>,
}

/// An array after the launch.
pub struct Written {
    /// Name of the argument.
    pub name: String,
    /// The elements.
    pub elements: Elements,
}

/// Memory and kernels on a device, while they are used.
struct Session<'a> {
    rig: &'a mut Rig,
    memory: Vec<(String, MemRef)>,
}

impl Prepared {
    /// Checks what can be checked without a device.
    ///
    /// # Errors
    /// `C006` for options that the language does not have.
    pub fn new(
        file: File,
        kernel: String,
        grid: [u32; 3],
        block: Option<[u32; 3]>,
        shared: u32,
        args: Vec<(String, Given)>,
        constants: Vec<(String, Given)>,
    ) -> Result<Prepared> {
        if matches!(file.source, Source::Triton(_)) && (block.is_some() || shared > 0) {
            return Err(Diag::error("C006", "kernels in Triton's language choose their threads themselves")
                .help("leave out --block and --shared; `num_warps` is a hint"));
        }
        if grid.contains(&0) {
            return Err(Diag::error("C006", format!("a grid of {grid:?} programs")));
        }
        for (i, (name, _)) in args.iter().chain(&constants).enumerate() {
            if args.iter().chain(&constants).take(i).any(|(n, _)| n == name) {
                return Err(Diag::error("C006", format!("`{name}` is given twice")));
            }
        }
        Ok(Prepared { file, kernel, grid, block, shared, args, constants })
    }

    /// Launches once and reads what was written, then measures `reps` launches.
    ///
    /// # Errors
    /// What the compiler, the device and the kernel's checks find.
    pub fn run(&self, rig: &mut Rig, reps: u32) -> Result<Outcome> {
        let mut session = Session { rig, memory: Vec::new() };
        for (name, given) in &self.args {
            if let Given::Array(e) = given {
                let bytes = e.size() as u64;
                let buffer = session.rig.device.allocate(bytes.next_multiple_of(4))?;
                session.memory.push((name.clone(), MemRef { buffer, offset: 0, bytes }));
            }
        }
        let (written, notes, mut launch) = match &self.file.source {
            Source::Triton(m) => self.triton(m, &mut session)?,
            Source::Cuda(m) => self.cuda(m, &mut session)?,
        };
        let mut once = |session: &mut Session<'_>| {
            self.fill(session)?;
            session.rig.device.synchronize()?;
            let start = Instant::now();
            launch(session)?;
            session.rig.device.synchronize()?;
            Ok(start.elapsed().as_secs_f64())
        };
        once(&mut session)?;
        let mut arrays = Vec::new();
        for (name, given) in &self.args {
            if let Given::Array(e) = given
                && written.contains(name)
            {
                let m = session.memory(name)?;
                let mut bytes = vec![0; e.size().next_multiple_of(4)];
                session.rig.device.read(m.buffer, 0, &mut bytes)?;
                bytes.truncate(e.size());
                let elements = Elements { bytes: Some(bytes), ..e.clone() };
                arrays.push(Written { name: name.clone(), elements });
            }
        }
        let mut times = (0..reps).map(|_| once(&mut session)).collect::<Result<Vec<f64>>>()?;
        times.sort_by(f64::total_cmp);
        Ok(Outcome { arrays, seconds: times.get(times.len() / 2).copied(), notes })
    }

    /// Puts the arrays into the device's memory as they were given.
    fn fill(&self, session: &mut Session<'_>) -> Result<()> {
        for (name, given) in &self.args {
            if let Given::Array(Elements { bytes: Some(bytes), .. }) = given {
                let m = session.memory(name)?;
                let mut padded = bytes.clone();
                padded.resize(bytes.len().next_multiple_of(4), 0);
                session.rig.device.write(m.buffer, 0, &padded)?;
            }
        }
        Ok(())
    }

    fn triton(&self, module: &girih_triton::Module, session: &mut Session<'_>) -> Result<Ready> {
        let mut launcher = Launcher::new(module, &self.kernel)?;
        let mut args: Vec<(String, Argument)> = Vec::new();
        for (name, given) in &self.args {
            args.push((name.clone(), argument(name, given, session)?));
        }
        for (name, given) in &self.constants {
            args.push((name.clone(), Argument::Constant(constant(name, given)?)));
        }
        let parameters = module.parameters(&self.kernel)?;
        let missing = |args: &[(String, Argument)]| -> Vec<String> {
            let absent = parameters.iter().filter(|p| !p.default && !args.iter().any(|(n, _)| *n == p.name));
            absent.map(|p| p.name.clone()).collect()
        };
        if !missing(&args).is_empty() {
            // What `@triton.heuristics` says, and the first configuration of `@triton.autotune`.
            let signature = launcher.signature(self.grid, &borrowed(&args))?;
            let values =
                self.args.iter().chain(&self.constants).filter_map(|(n, v)| Some((n.clone(), constant(n, v).ok()?)));
            for (name, value) in module.defaults_at(&self.kernel, &signature, &values.collect())? {
                if missing(&args).contains(&name) {
                    args.push((name, Argument::Constant(value)));
                }
            }
        }
        let absent = missing(&args);
        if !absent.is_empty() {
            return Err(self.missing(&absent));
        }
        let signature = launcher.signature(self.grid, &borrowed(&args))?;
        let kernel = module.compile(&self.kernel, &signature)?;
        let written = kernel.bindings.iter().filter_map(|(name, b)| match b {
            Binding::Buffer { param, .. } if kernel.tile.params[*param].access != Access::Read => Some(name.clone()),
            _ => None,
        });
        let (written, grid) = (written.collect(), self.grid);
        let launch =
            move |s: &mut Session<'_>| launcher.launch(&*s.rig.target, &mut *s.rig.device, grid, &borrowed(&args));
        Ok((written, kernel.notes, Box::new(launch)))
    }

    fn cuda(&self, module: &girih_cuda::Module, session: &mut Session<'_>) -> Result<Ready> {
        let girih_cuda::KernelInfo { name: base, params, .. } = module.kernel(&self.kernel)?;
        let block = self.block.ok_or_else(|| {
            Diag::error("C006", "a CUDA kernel needs the size of its blocks").help("add --block 256, or X,Y,Z")
        })?;
        let given = |p: &String| self.args.iter().find(|(n, _)| n == p).map(|(_, v)| v);
        if let Some((name, _)) = self.args.iter().find(|(n, _)| !params.is_empty() && !params.contains(n)) {
            return Err(Diag::error("C006", format!("`{base}` has no parameter `{name}`"))
                .note(format!("its parameters: {}", params.join(", "))));
        }
        let absent: Vec<String> = params.iter().filter(|p| given(p).is_none()).cloned().collect();
        if !absent.is_empty() {
            return Err(self.missing(&absent));
        }
        let null = |(i, p): (usize, &String)| ((given(p) == Some(&Given::Nothing)) as u64) << i.min(63);
        let axes = if self.grid[2] > 1 { 3 } else { 1 + (self.grid[1] > 1) as u8 };
        let shape = LaunchShape {
            dynamic_shared: self.shared,
            nulls: params.iter().enumerate().map(null).fold(0, |a, b| a | b),
            ..LaunchShape::new(block, axes)
        };
        let compiled = module.compile(&self.kernel, &shape, girih_cuda::caps(&*session.rig.target))?;
        // The CPU runs blocks in order where it matters.
        let graphics = session.rig.target.identity().starts_with("wgpu");
        let notes = compiled.notes.iter().filter(|_| graphics).map(|n| format!("note: {n}")).collect();
        let mut values = Vec::new();
        for (i, p) in params.iter().enumerate() {
            values.push(match given(p) {
                Some(Given::Array(_)) => Passed::Memory(session.memory(p)?),
                Some(Given::Nothing) | None => Passed::Null,
                Some(v) => Passed::Bytes(number(p, v, i, &compiled)?),
            });
        }
        let buffers = compiled.arguments.iter().filter_map(|a| match a {
            girih_cuda::Argument::Buffer { name, .. } => Some(Some(name.clone())),
            girih_cuda::Argument::Symbol { .. } => Some(None),
            girih_cuda::Argument::Texture { name, .. } => Some(Some(name.clone())),
            girih_cuda::Argument::Scalar { .. } | girih_cuda::Argument::Start { .. } => None,
        });
        let flags = compiled.kernel.buffers.iter().map(|b| b.written);
        let written = buffers.zip(flags).filter(|(_, w)| *w).filter_map(|(name, _)| name).collect();
        let loaded = Loaded::new(compiled, &*session.rig.target, &mut *session.rig.device)?;
        let grid = self.grid;
        let launch = move |s: &mut Session<'_>| {
            let values: Vec<Value<'_>> = values.iter().map(Passed::value).collect();
            loaded.launch(&mut *s.rig.device, grid, &values)
        };
        Ok((written, notes, Box::new(launch)))
    }

    fn missing(&self, names: &[String]) -> Box<Diag> {
        let options: Vec<String> = names.iter().map(|n| format!("--arg {n}=...")).collect();
        Diag::error("C006", format!("`{}` needs values for {}", self.kernel, names.join(", ")))
            .help(format!("add {}", options.join(" ")))
    }
}

/// Names of the arrays that are written, what the compiler said, and how to launch.
type Ready = (Vec<String>, Vec<String>, Box<dyn FnMut(&mut Session<'_>) -> Result<()>>);

enum Passed {
    Memory(MemRef),
    Bytes(Vec<u8>),
    Null,
}

impl Passed {
    fn value(&self) -> Value<'_> {
        match self {
            Passed::Memory(m) => Value::Memory(*m),
            Passed::Bytes(b) => Value::Bytes(b),
            Passed::Null => Value::Null,
        }
    }
}

impl Session<'_> {
    fn memory(&self, name: &str) -> Result<MemRef> {
        let found = self.memory.iter().find(|(n, _)| n == name).map(|(_, m)| *m);
        found.ok_or_else(|| Diag::error("C006", format!("there is no array `{name}`")))
    }
}

fn borrowed(args: &[(String, Argument)]) -> Vec<(&str, Argument)> {
    args.iter().map(|(n, a)| (n.as_str(), a.clone())).collect()
}

fn argument(name: &str, given: &Given, session: &Session<'_>) -> Result<Argument> {
    Ok(match given {
        Given::Array(e) => Argument::Buffer(session.memory(name)?, e.dtype),
        Given::Int(v) => Argument::Int(*v),
        Given::Float(v) => Argument::Float(*v),
        other => Argument::Constant(constant(name, other)?),
    })
}

/// A value known at compile time.
///
/// # Errors
/// `C005` for arrays.
pub fn constant(name: &str, given: &Given) -> Result<Constant> {
    Ok(match given {
        Given::Int(v) => Constant::Int(*v as i128),
        Given::Float(v) => Constant::Float(*v),
        Given::Bool(v) => Constant::Bool(*v),
        Given::Type(v) => Constant::Type(*v),
        Given::Nothing => Constant::None,
        Given::Text(v) => Constant::Str(v.clone()),
        Given::Array(_) => {
            return Err(Diag::error("C005", format!("`{name}` is an array, which is no constant"))
                .help(format!("give it with --arg {name}=...")));
        }
    })
}

/// The bytes of a number as the parameter's type.
fn number(name: &str, given: &Given, index: usize, compiled: &girih_cuda::Compiled) -> Result<Vec<u8>> {
    let refuse = |why: &str| Err(Diag::error("C005", format!("`{name}` {why}")));
    let mut parts = compiled.arguments.iter().filter_map(|a| match a {
        girih_cuda::Argument::Scalar { parameter, dtype, .. } if *parameter == index => Some(*dtype),
        _ => None,
    });
    let dtype: DType = match (parts.next(), parts.next()) {
        (Some(dtype), None) => dtype,
        (Some(_), Some(_)) => return refuse("is a struct, which the command line cannot give"),
        (None, _) => return refuse("is a pointer; give an array, or none"),
    };
    let number = match given {
        Given::Int(v) => Number::Int(*v as i128),
        Given::Bool(v) => Number::Int(*v as i128),
        Given::Float(v) if dtype.is_float() => Number::Float(v.to_bits()),
        _ => return refuse(&format!("is of type {dtype}, which this is not")),
    };
    Ok(Array::splat(dtype, &[1], number).encode())
}
