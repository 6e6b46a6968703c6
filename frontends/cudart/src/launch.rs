//! A launch: from the program's argument list to buffers and numbers.

use crate::code::{Code, Fault, Outcome};
use crate::runtime::Runtime;
use girih_base::Diag;
use girih_cuda::{Argument, Compiled, LaunchShape, Pointers, Value};
use girih_exec::{Command, MemRef};

/// What `<<<grid, block, shared>>>` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[repr(C)]
pub struct Config {
    /// Blocks.
    pub grid: [u32; 3],
    /// Threads of a block.
    pub block: [u32; 3],
    /// Bytes of dynamic shared memory.
    pub shared: usize,
    /// The stream; all are one.
    pub stream: usize,
}

/// Bytes of an argument: its number, the first byte, and how many.
pub type Arguments<'a> = dyn Fn(usize, u32, u32) -> Vec<u8> + 'a;

/// Where a pointer among the arguments points.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Target {
    Null,
    /// The start of an allocation, and the offset in it.
    Memory(u64, u64),
}

impl Runtime {
    /// Launches the kernel behind a stub.
    ///
    /// # Errors
    /// `cudaErrorInvalidConfiguration`, what the translator refuses, pointers into no memory of the device, and what the device
    /// answers.
    pub fn launch(&mut self, stub: u64, config: Config, arguments: &Arguments<'_>) -> Outcome<()> {
        let shape = self.shape(config)?;
        let name = self.programs.function(stub)?.name;
        self.open()?;
        let plain = self.compiled(stub, shape)?;
        let targets = self.targets(&name, &self.programs.compiled(plain).arguments, arguments)?;
        let pointers = arrangement(&name, &targets)?;
        let at = self.compiled(stub, LaunchShape { pointers, ..shape })?;
        self.start(stub, at, config.grid, arguments).map_err(|fault| fault.of_kernel(&name))
    }

    fn shape(&self, config: Config) -> Outcome<LaunchShape> {
        let threads = config.block.iter().try_fold(1u32, |n, d| n.checked_mul(*d)).unwrap_or(u32::MAX);
        let blocks = config.grid.iter().try_fold(1u32, |n, d| n.checked_mul(*d)).unwrap_or(0);
        if !(1..=1024).contains(&threads) || config.block[2] > 64 || blocks == 0 {
            return Err(Code::INVALID_CONFIGURATION.into());
        }
        let dynamic_shared = u32::try_from(config.shared).map_err(|_| Code::INVALID_CONFIGURATION)?;
        let axes = if config.grid[2] > 1 { 3 } else { 1 + (config.grid[1] > 1) as u8 };
        Ok(LaunchShape { dynamic_shared, ..LaunchShape::new(config.block, axes) })
    }

    fn compiled(&mut self, stub: u64, shape: LaunchShape) -> Outcome<usize> {
        let Some(rig) = &self.rig else { return Err(Code::INITIALIZATION.into()) };
        self.programs.compile(stub, shape, rig)
    }

    /// Follows the pointers among the arguments, in the order of their buffers.
    fn targets(&self, kernel: &str, list: &[Argument], arguments: &Arguments<'_>) -> Outcome<Vec<Target>> {
        let mut out = Vec::new();
        for a in list {
            let Argument::Buffer { name, offset, parameter, .. } = a else { continue };
            let address = word(&arguments(*parameter, *offset, 8));
            out.push(match self.memory.find(address) {
                Some((start, _, at)) => Target::Memory(start, at),
                None if address == 0 => Target::Null,
                None => {
                    let what = format!("kernel `{kernel}`: `{name}` is {address:#x}, where no memory of the device is");
                    let help = "pass what cudaMalloc, cudaMallocManaged or cudaMallocHost gave";
                    return Err(Fault::lasting(Code::ILLEGAL_ADDRESS, Diag::error("N001", what).help(help)));
                }
            });
        }
        Ok(out)
    }

    fn start(&mut self, stub: u64, at: usize, grid: [u32; 3], arguments: &Arguments<'_>) -> Outcome<()> {
        let program = self.programs.function(stub)?.program;
        let Some(rig) = &mut self.rig else { return Err(Code::INITIALIZATION.into()) };
        let symbols: Vec<(String, Vec<u8>)> = symbols(self.programs.compiled(at));
        let mut variables = Vec::new();
        for (name, initial) in symbols {
            variables.push(self.programs.memory_of(program, &name, Some(&initial), &mut self.memory, rig)?);
        }
        let (kernel, compiled) = self.programs.load(at, rig)?;
        let bytes = numbers(compiled, arguments);
        let values: Vec<Value<'_>> = bytes.iter().map(|b| Value::Bytes(b)).collect();
        let refuse = |d| Fault::lasting(Code::INVALID_CONFIGURATION, d);
        let mut bindings = compiled.bindings(grid, &values).map_err(refuse)?;
        for a in &compiled.arguments {
            let Argument::Start { name, unit, offset, parameter } = a else { continue };
            let address = word(&arguments(*parameter, *offset, 8));
            let Some((_, _, start)) = self.memory.find(address) else { return Err(Code::ILLEGAL_ADDRESS.into()) };
            if !start.is_multiple_of(*unit as u64) {
                let text = format!("`{name}`: byte {start} of its memory is no multiple of {unit}");
                return Err(Fault::lasting(Code::MISALIGNED_ADDRESS, Diag::error("N001", text)));
            }
            bindings.insert(name.as_str().into(), (start / *unit as u64) as i64);
        }
        // Buffers are bound in the order of the arguments; each holds all of its allocation.
        let mut variables = variables.into_iter();
        let mut bound: Vec<u64> = Vec::new();
        let mut args: Vec<MemRef> = Vec::new();
        for a in &compiled.arguments {
            let start = match a {
                Argument::Buffer { offset, parameter, .. } => {
                    let address = word(&arguments(*parameter, *offset, 8));
                    self.memory.find(address).map(|(start, ..)| start)
                }
                Argument::Symbol { .. } => variables.next(),
                Argument::Scalar { .. } | Argument::Start { .. } => continue,
            };
            let memory = start.and_then(|start| self.memory.at(start));
            let Some(memory) = memory else { return Err(Code::ILLEGAL_ADDRESS.into()) };
            memory.push(&mut *rig.device).map_err(|d| Fault::lasting(Code::UNKNOWN, d))?;
            args.push(memory.whole());
            bound.extend(start);
        }
        let launch = Command::Launch { kernel, args: &args, bindings: &bindings };
        rig.device.submit(&[launch]).map_err(|d| Fault::lasting(Code::LAUNCH_FAILURE, d))?;
        for (start, buffer) in bound.iter().zip(&compiled.kernel.buffers) {
            if let Some(memory) = self.memory.at(*start).filter(|_| buffer.written) {
                memory.written();
            }
        }
        Ok(())
    }
}

/// How the pointers lie to each other.
fn arrangement(kernel: &str, targets: &[Target]) -> Outcome<Pointers> {
    let mut out = Pointers::default();
    for (i, target) in targets.iter().enumerate() {
        let mut special = true;
        match *target {
            Target::Null => out.nulls |= 1u32.checked_shl(i as u32).unwrap_or(0),
            Target::Memory(start, offset) => {
                let first = targets.iter().position(|t| matches!(t, Target::Memory(s, _) if *s == start)).unwrap_or(i);
                special = first != i || offset != 0;
                if let Some(back) = out.back.get_mut(i) {
                    *back = (i - first).min(255) as u8;
                }
                if offset != 0 {
                    out.starts |= 1u32.checked_shl(i as u32).unwrap_or(0);
                }
            }
        }
        if special && i >= out.back.len() {
            let text = format!("kernel `{kernel}`: pointer {} of {} is null or shares memory", i + 1, targets.len());
            let help = "only the first 32 pointers of a kernel may";
            return Err(Fault::lasting(Code::NOT_SUPPORTED, Diag::error("N003", text).help(help)));
        }
    }
    Ok(out)
}

fn symbols(compiled: &Compiled) -> Vec<(String, Vec<u8>)> {
    let symbol = |a: &Argument| match a {
        Argument::Symbol { name, initial } => Some((name.clone(), initial.clone())),
        _ => None,
    };
    compiled.arguments.iter().filter_map(symbol).collect()
}

/// The bytes of each parameter that holds numbers, as far as the kernel reads them.
fn numbers(compiled: &Compiled, arguments: &Arguments<'_>) -> Vec<Vec<u8>> {
    let mut out: Vec<Vec<u8>> = Vec::new();
    for a in &compiled.arguments {
        let Argument::Scalar { size, offset, parameter, .. } = a else { continue };
        let (from, to) = (*offset as usize, (*offset + *size) as usize);
        if out.len() <= *parameter {
            out.resize(*parameter + 1, Vec::new());
        }
        let bytes = &mut out[*parameter];
        if bytes.len() < to {
            bytes.resize(to, 0);
        }
        bytes[from..to].copy_from_slice(&arguments(*parameter, *offset, *size));
    }
    out
}

fn word(bytes: &[u8]) -> u64 {
    bytes.try_into().map_or(0, u64::from_le_bytes)
}

impl Fault {
    fn of_kernel(mut self, name: &str) -> Fault {
        self.diag = self.diag.map(|d| d.note(format!("while launching kernel `{name}`")));
        self
    }
}
