//! A launch: from the program's argument list to buffers and numbers.

use crate::code::{Code, Fault, Outcome};
use crate::runtime::{Runtime, failed};
use crate::texture::Object;
use girih_base::Diag;
use girih_cuda::{Argument, Compiled, LaunchShape, Pointers, Texture, Value};
use girih_exec::{Command, MemRef};

/// What `<<<grid, block, shared>>>` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
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

/// What a pointer or texture among the arguments stands for.
#[derive(Clone, Copy)]
enum Target {
    Null,
    /// The start of an allocation, the offset in it, and the texture that lies there.
    Memory(u64, u64, Option<Object>),
}

impl Runtime {
    /// Launches the kernel behind a stub.
    ///
    /// # Errors
    /// `cudaErrorInvalidConfiguration`, what the translator refuses, pointers into no memory of the device, and what the device
    /// answers.
    pub fn launch(&mut self, stub: u64, config: Config, arguments: &Arguments<'_>) -> Outcome<()> {
        let shape = shape(config)?;
        let name = self.programs.function(stub)?.name;
        self.open()?;
        let launched = |fault: Fault| fault.of_kernel(&name);
        let plain = self.compiled(stub, shape).map_err(launched)?;
        let targets = self.targets(&self.programs.compiled(plain).arguments, arguments).map_err(launched)?;
        let shape = arranged(shape, &targets).map_err(launched)?;
        let at = self.compiled(stub, shape).map_err(launched)?;
        self.start(stub, at, config.grid, arguments).map_err(launched)
    }

    fn compiled(&mut self, stub: u64, shape: LaunchShape) -> Outcome<usize> {
        let Some(rig) = &self.rig else { return Err(Code::INITIALIZATION.into()) };
        self.programs.compile(stub, shape, rig)
    }

    /// Follows the pointers and textures among the arguments, in their order.
    fn targets(&self, list: &[Argument], arguments: &Arguments<'_>) -> Outcome<Vec<Target>> {
        let mut out = Vec::new();
        for a in list {
            let (name, (address, texture)) = match a {
                Argument::Buffer { name, offset, parameter, .. } => {
                    (name, (word(&arguments(*parameter, *offset, 8)), None))
                }
                Argument::Texture { name, offset, parameter, .. } => {
                    let object = self.texture(&arguments(*parameter, *offset, 8))?;
                    (name, (object.address, Some(object)))
                }
                _ => continue,
            };
            out.push(match self.memory.find(address) {
                Some((start, _, at)) => Target::Memory(start, at, texture),
                None if address == 0 && texture.is_none() => Target::Null,
                None => {
                    let what = format!("`{name}` is {address:#x}, where no memory of the device is");
                    let help = "pass what cudaMalloc, cudaMallocManaged or cudaMallocHost gave";
                    return Err(Fault::lasting(Code::ILLEGAL_ADDRESS, Diag::error("N001", what).help(help)));
                }
            });
        }
        Ok(out)
    }

    fn texture(&self, bytes: &[u8]) -> Outcome<Object> {
        let handle = word(bytes);
        let none = || Diag::error("N001", format!("{handle} is no texture or surface object"));
        self.textures.get(handle).ok_or_else(|| Fault::lasting(Code::ILLEGAL_ADDRESS, none()))
    }

    /// Binds the arguments and starts the kernel.
    fn start(&mut self, stub: u64, at: usize, grid: [u32; 3], arguments: &Arguments<'_>) -> Outcome<()> {
        let program = self.programs.function(stub)?.program;
        let mut args: Vec<MemRef> = Vec::new();
        let mut bound: Vec<u64> = Vec::new();
        let mut starts = Vec::new();
        let mut textures = Vec::new();
        // Each buffer holds all of its allocation.
        for a in self.programs.compiled(at).arguments.clone() {
            let start = match &a {
                Argument::Buffer { offset, parameter, .. } => word(&arguments(*parameter, *offset, 8)),
                Argument::Texture { offset, parameter, shared, .. } => {
                    let object = self.texture(&arguments(*parameter, *offset, 8))?;
                    textures.push((*parameter, self.described(object)?));
                    if *shared {
                        continue;
                    }
                    object.address
                }
                Argument::Symbol { name, initial } => {
                    let Some(rig) = &mut self.rig else { return Err(Code::INITIALIZATION.into()) };
                    self.programs.memory_of(program, name, Some(initial), &mut self.memory, rig)?
                }
                Argument::Start { name, unit, offset, parameter } => {
                    let bytes = arguments(*parameter, *offset, 8);
                    let is_texture = textures.iter().any(|(p, _)| p == parameter);
                    let address = if is_texture { self.texture(&bytes)?.address } else { word(&bytes) };
                    starts.push((name.clone(), self.begin(name, address, *unit as u64)?));
                    continue;
                }
                Argument::Scalar { .. } => continue,
            };
            let start = self.memory.find(start).ok_or(Code::ILLEGAL_ADDRESS)?.0;
            let (rig, memory, _) = self.parts()?;
            let memory = memory.at(start).ok_or(Code::ILLEGAL_ADDRESS)?;
            memory.push(&mut *rig.device).map_err(|d| Fault::lasting(Code::UNKNOWN, d))?;
            args.push(memory.whole());
            bound.push(start);
        }
        let Some(rig) = &mut self.rig else { return Err(Code::INITIALIZATION.into()) };
        let (kernel, compiled) = self.programs.load(at, rig)?;
        let bytes = numbers(compiled, arguments);
        let mut values: Vec<Value<'_>> = bytes.iter().map(|b| Value::Bytes(b)).collect();
        for (parameter, texture) in textures {
            let at = parameter + 1;
            values.resize(values.len().max(at), Value::Null);
            values[parameter] = Value::Texture(texture);
        }
        let mut bindings =
            compiled.bindings(grid, &values).map_err(|d| Fault::lasting(Code::INVALID_CONFIGURATION, d))?;
        bindings.extend(starts.into_iter().map(|(name, n)| (name.into(), n)));
        let launch = Command::Launch { kernel, args: &args, bindings: &bindings };
        let done = rig.device.submit(&[launch]);
        for (start, buffer) in bound.iter().zip(&compiled.kernel.buffers) {
            if let Some(memory) = self.memory.at(*start).filter(|_| buffer.written) {
                memory.written();
            }
        }
        done.map_err(failed)?;
        self.say_prints();
        Ok(())
    }

    /// Where an address begins in its allocation, counted in `unit` bytes.
    fn begin(&self, name: &str, address: u64, unit: u64) -> Outcome<i64> {
        let (_, _, start) = self.memory.find(address).ok_or(Code::ILLEGAL_ADDRESS)?;
        if start.is_multiple_of(unit) {
            return Ok((start / unit) as i64);
        }
        let text = format!("`{name}`: byte {start} of its memory is no multiple of {unit}");
        Err(Fault::lasting(Code::MISALIGNED_ADDRESS, Diag::error("N001", text)))
    }

    fn described(&self, object: Object) -> Outcome<Texture> {
        let (_, found, offset) = self.memory.find(object.address).ok_or(Code::ILLEGAL_ADDRESS)?;
        let whole = found.whole();
        let memory = MemRef { offset, bytes: whole.bytes - offset, ..whole };
        Ok(Texture { memory, extent: object.extent, pitch: object.pitch, mode: object.mode })
    }
}

fn shape(config: Config) -> Outcome<LaunchShape> {
    let threads = config.block.iter().try_fold(1u32, |n, d| n.checked_mul(*d)).unwrap_or(u32::MAX);
    let blocks = config.grid.iter().try_fold(1u32, |n, d| n.checked_mul(*d)).unwrap_or(0);
    if !(1..=1024).contains(&threads) || config.block[2] > 64 || blocks == 0 {
        return Err(Code::INVALID_CONFIGURATION.into());
    }
    // A kernel may declare dynamic shared memory and not use it.
    let dynamic_shared = u32::try_from(config.shared).map_err(|_| Code::INVALID_CONFIGURATION)?.max(16);
    let axes = if config.grid[2] > 1 { 3 } else { 1 + (config.grid[1] > 1) as u8 };
    Ok(LaunchShape { dynamic_shared, ..LaunchShape::new(config.block, axes) })
}

/// The shape with how the pointers lie to each other, and how textures are read.
fn arranged(mut shape: LaunchShape, targets: &[Target]) -> Outcome<LaunchShape> {
    let places: Vec<_> = targets
        .iter()
        .map(|t| match t {
            Target::Null => None,
            Target::Memory(start, offset, _) => Some((*start, *offset)),
        })
        .collect();
    let pointers = Pointers::arranged(&places).map_err(|i| {
        let text = format!("pointer {} of {} is null or shares memory", i + 1, targets.len());
        let help = "only the first 32 pointers of a kernel may";
        Fault::lasting(Code::NOT_SUPPORTED, Diag::error("N003", text).help(help))
    })?;
    let objects = targets.iter().filter_map(|t| if let Target::Memory(_, _, object) = t { *object } else { None });
    for (mode, object) in shape.textures.iter_mut().zip(objects) {
        *mode = Some(object.mode);
    }
    shape.pointers = pointers;
    Ok(shape)
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const SHAPE: LaunchShape = LaunchShape::new([32, 1, 1], 1);

    #[test]
    fn pointers_into_one_allocation_share_a_buffer() {
        let at = |start, offset| Target::Memory(start, offset, None);
        let targets = [at(100, 0), at(100, 8), Target::Null, at(500, 4), at(500, 4)];
        let pointers = arranged(SHAPE, &targets).unwrap().pointers;
        assert_eq!(pointers.back[..6], [0, 1, 0, 0, 1, 0]);
        assert_eq!((pointers.starts, pointers.nulls), (0b11010, 0b100));
        assert_eq!(arranged(SHAPE, &targets[..1]).unwrap(), SHAPE);
    }

    #[test]
    fn only_so_many_pointers_may_be_special() {
        let mut targets: Vec<Target> = (0..40).map(|i| Target::Memory(i * 100, 0, None)).collect();
        assert_eq!(arranged(SHAPE, &targets).unwrap(), SHAPE);
        targets[39] = Target::Null;
        let fault = arranged(SHAPE, &targets).unwrap_err();
        assert!(fault.lasting && fault.code == Code::NOT_SUPPORTED && fault.diag.unwrap().code == "N003");
    }

    #[test]
    fn blocks_and_grids_are_checked() {
        let good = Config { grid: [4, 2, 1], block: [32, 2, 1], shared: 64, stream: 0 };
        let s = shape(good).unwrap();
        assert_eq!((s.block, s.grid_axes, s.dynamic_shared), ([32, 2, 1], 2, 64));
        let bad = [
            Config { block: [0, 1, 1], ..good },
            Config { block: [1024, 2, 1], ..good },
            Config { block: [1, 1, 65], ..good },
            Config { grid: [0, 1, 1], ..good },
            Config { grid: [u32::MAX, 2, 1], ..good },
            Config { shared: 1 << 40, ..good },
        ];
        for config in bad {
            assert_eq!(shape(config).unwrap_err().code, Code::INVALID_CONFIGURATION, "{config:?}");
        }
    }
}
