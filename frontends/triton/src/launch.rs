//! Launches: signatures from arguments, compiled kernels kept, bindings.

use crate::forms::Forms;
use crate::signature::{Arg, Constant, Launch, Place, Signature, debug_wanted};
use crate::{Binding, Given, Kernel, Module, Parameter};
use girih_base::{Bindings, DType, Diag, Result};
use girih_driver::Target;
use girih_exec::{Command, Device, DeviceId, KernelRef, MemRef};
use girih_tile::Access;
use std::collections::BTreeMap;

/// One argument of a launch.
#[derive(Clone, Debug, PartialEq)]
pub enum Argument {
    /// Memory of a device, and the type of its elements.
    Buffer(MemRef, DType),
    /// A tensor descriptor: memory, element type, extents, strides in elements (the last is 1), and the block's extents.
    Descriptor(MemRef, DType, Vec<u32>, Vec<u32>, Vec<u32>),
    /// An integer: a size, a stride, a flag; constants where the parameter is `tl.constexpr`.
    Int(i64),
    /// A float; fp32 in the kernel.
    Float(f64),
    /// Anything that is the same at every launch of this compilation.
    Constant(Constant),
    /// A tuple of arguments.
    Tuple(Vec<Argument>),
}

/// A kernel with its compiled forms, one for each kind of arguments, for the device of the last launch.
pub struct Launcher {
    module: Module,
    name: String,
    parameters: Vec<Parameter>,
    /// By signature.
    loaded: BTreeMap<String, Forms<KernelRef>>,
    /// The signature of the last launch, with its key.
    last: Option<(Signature, String)>,
    /// The device that has the kernels.
    device: Option<DeviceId>,
}

impl Launcher {
    /// The kernel of that name.
    ///
    /// # Errors
    /// `K003` no such kernel.
    pub fn new(module: &Module, kernel: &str) -> Result<Launcher> {
        let parameters = module.parameters(kernel)?;
        let (module, name) = (module.clone(), kernel.into());
        Ok(Launcher { module, name, parameters, loaded: BTreeMap::new(), last: None, device: None })
    }

    /// How many forms have been compiled.
    pub fn compiled(&self) -> usize {
        self.loaded.values().map(Forms::count).sum()
    }

    /// The signature of a call, as Triton specialises: integers that are 1 are constants, and divisibility by 16 is known.
    ///
    /// # Errors
    /// `K012` arguments that the kernel does not have.
    pub fn signature(&self, grid: [u32; 3], args: &[(&str, Argument)]) -> Result<Signature> {
        let single = grid.map(|n| n == 1);
        let mut s = Signature { single, debug: debug_wanted(), ..Signature::default() };
        let mut seen = Vec::new();
        for (name, argument) in args {
            let Some(p) = self.parameters.iter().find(|p| p.name == *name) else {
                return Err(Diag::error("K012", format!("`{}` has no parameter `{name}`", self.name)));
            };
            s.args.insert(name.to_string(), specialise(name, argument, p.constexpr, &mut seen)?);
        }
        // Heuristics may look at the values of this launch.
        let value = |a: &Argument| match a {
            Argument::Int(v) => Some(Constant::Int(*v as i128)),
            Argument::Float(v) => Some(Constant::Float(*v)),
            _ => None,
        };
        let values = args.iter().filter_map(|(n, a)| Some((n.to_string(), value(a)?))).collect();
        for (name, c) in self.module.defaults_at(&self.name, &s, &values)? {
            s.args.entry(name).or_insert(Arg::Constant(c));
        }
        Ok(s)
    }

    /// Runs the kernel for every point of the grid.
    ///
    /// # Errors
    /// What compiling finds, `K012` arguments that do not fit, and what the device finds.
    pub fn launch(
        &mut self,
        target: &dyn Target,
        device: &mut dyn Device,
        grid: [u32; 3],
        args: &[(&str, Argument)],
    ) -> Result<()> {
        let signature = self.signature(grid, args)?;
        if grid.contains(&0) {
            return Ok(());
        }
        let flat = flattened(args);
        let args: Vec<(&str, Argument)> = flat.iter().map(|(name, a)| (name.as_str(), a.clone())).collect();
        let args = args.as_slice();
        let size = |(name, a): &(&str, Argument)| match a {
            Argument::Int(v) => Some((name.to_string(), *v)),
            _ => None,
        };
        let launch = Launch { grid, sizes: args.iter().filter_map(size).collect() };
        // Devices know their own kernels only.
        if self.device.replace(device.id()) != Some(device.id()) {
            self.loaded.clear();
        }
        let key = match self.last.take() {
            Some((last, key)) if last == signature => key,
            _ => format!("{signature:?}"),
        };
        let (_, key) = self.last.insert((signature.clone(), key));
        if !self.loaded.contains_key(key) {
            self.loaded.insert(key.clone(), Forms::default());
        }
        let Some(forms) = self.loaded.get_mut(key) else { return Ok(()) };
        let (module, name) = (&self.module, &self.name);
        let form = forms.choose(
            &signature,
            launch,
            |kernel| bind(kernel, grid, args),
            |signature| {
                let kernel = module.compile(name, signature)?;
                let loaded = device.load(&target.compile(&kernel.tile)?)?;
                Ok((kernel, loaded))
            },
        )?;
        let (bindings, memory) = (bind(&form.0, grid, args)?, memory(&form.0, args)?);
        device.submit(&[Command::Launch { kernel: form.1, args: &memory, bindings: &bindings }])
    }
}

/// What one argument is compiled for; `seen` are the buffers before it.
fn specialise(
    name: &str,
    argument: &Argument,
    constexpr: bool,
    seen: &mut Vec<(String, MemRef, DType)>,
) -> Result<Arg> {
    Ok(match argument {
        Argument::Constant(c) => Arg::Constant(c.clone()),
        Argument::Tuple(list) => {
            let part = |(i, a): (usize, &Argument)| specialise(&format!("{name}.{i}"), a, constexpr, seen);
            Arg::Tuple(list.iter().enumerate().map(part).collect::<Result<_>>()?)
        }
        Argument::Descriptor(_, dtype, shape, strides, block) => {
            let rank = block.len();
            if shape.len() != rank || strides.len() != rank || strides.last() != Some(&1) {
                return Err(Diag::error(
                    "K012",
                    format!("descriptor `{name}`: shape {shape:?}, strides {strides:?}, block {block:?}"),
                )
                .help("as many extents as strides, the last stride 1"));
            }
            Arg::Descriptor { dtype: *dtype, block: block.clone(), nan: false, place: Place::default() }
        }
        Argument::Int(v) if constexpr || *v == 1 => Arg::Constant(Constant::Int(*v as i128)),
        Argument::Float(v) if constexpr => Arg::Constant(Constant::Float(*v)),
        Argument::Float(_) => Arg::Float(DType::F32),
        Argument::Int(v) => {
            let small = i32::try_from(*v).is_ok();
            Arg::Int {
                dtype: if small { DType::I32 } else { DType::I64 },
                multiple_of: if v % 16 == 0 { 16 } else { 1 },
                size: (0..=crate::eval::MAX_SIZE).contains(v),
            }
        }
        Argument::Buffer(mem, dtype) => {
            let alias = shared(name, mem, *dtype, seen)?;
            let len = elements(mem, *dtype);
            if len > i32::MAX as u64 {
                return Err(Diag::error("K012", format!("`{name}` has {len} elements, offsets are 32-bit"))
                    .help("launch over parts of it"));
            }
            let multiple_of = [16, 4].into_iter().find(|n| len.is_multiple_of(*n as u64)).unwrap_or(1);
            if alias.is_none() {
                seen.push((name.into(), *mem, *dtype));
            }
            Arg::Pointer { dtype: *dtype, multiple_of, place: Place { alias, start: None } }
        }
    })
}

/// The earlier argument that is the same memory with the same elements.
fn shared(name: &str, mem: &MemRef, dtype: DType, seen: &[(String, MemRef, DType)]) -> Result<Option<String>> {
    match seen.iter().find(|(_, m, _)| m == mem) {
        None => Ok(None),
        Some((other, _, d)) if *d == dtype => Ok(Some(other.clone())),
        Some((other, ..)) => {
            Err(Diag::error("K012", format!("`{other}` and `{name}` are one buffer with two element types")))
        }
    }
}

/// Arguments with those in tuples by names of their own.
fn flattened(args: &[(&str, Argument)]) -> Vec<(String, Argument)> {
    fn add(name: String, argument: &Argument, out: &mut Vec<(String, Argument)>) {
        match argument {
            Argument::Tuple(list) => list.iter().enumerate().for_each(|(i, a)| add(format!("{name}.{i}"), a, out)),
            a => out.push((name, a.clone())),
        }
    }
    let mut out = Vec::new();
    args.iter().for_each(|(name, a)| add(name.to_string(), a, &mut out));
    out
}

fn elements(mem: &MemRef, dtype: DType) -> u64 {
    mem.bytes.saturating_mul(8) / dtype.bits() as u64
}

/// Values of symbols and scalars.
fn bind(kernel: &Kernel, grid: [u32; 3], args: &[(&str, Argument)]) -> Result<Bindings> {
    let entry = |list: &[u32], axis: usize| list.get(axis).map(|n| Given::Int(*n as i128));
    kernel.bind(grid.map(i64::from), |name, binding| {
        let (_, argument) = args.iter().find(|(n, _)| *n == name)?;
        match (binding, argument) {
            (Binding::Buffer { dtype, .. }, Argument::Buffer(mem, _) | Argument::Descriptor(mem, ..)) => {
                Some(Given::Int(elements(mem, *dtype) as i128))
            }
            (Binding::Extent(_, axis), Argument::Descriptor(_, _, shape, ..)) => entry(shape, *axis),
            (Binding::Stride(_, axis), Argument::Descriptor(_, _, _, strides, _)) => entry(strides, *axis),
            (Binding::Size(_) | Binding::Scalar(..), Argument::Int(v)) => Some(Given::Int(*v as i128)),
            (Binding::Scalar(..), Argument::Float(v)) => Some(Given::Float(*v)),
            _ => None,
        }
    })
}

/// Memory in the order of the kernel's parameters. What is written lies in one parameter only.
fn memory(kernel: &Kernel, args: &[(&str, Argument)]) -> Result<Vec<MemRef>> {
    let mut all: Vec<Option<(&str, MemRef)>> = vec![None; kernel.tile.params.len()];
    for (name, binding) in &kernel.bindings {
        let given = args.iter().find(|(n, _)| n == name).map(|(_, a)| a);
        if let (Binding::Buffer { param, .. }, Some(Argument::Buffer(m, _) | Argument::Descriptor(m, ..))) =
            (binding, given)
            && let Some(slot) = all.get_mut(*param)
        {
            *slot = Some((name, *m));
        }
    }
    let unbound = || Diag::error("K012", "a buffer is not bound");
    let all = all.into_iter().collect::<Option<Vec<_>>>().ok_or_else(unbound)?;
    let end = |m: &MemRef| m.offset.saturating_add(m.bytes);
    for (i, (a, x)) in all.iter().enumerate() {
        for (j, (b, y)) in all.iter().enumerate().skip(i + 1) {
            let overlap = x.buffer == y.buffer && x.offset < end(y) && y.offset < end(x);
            let written = |i: usize| kernel.tile.params[i].access != Access::Read;
            if overlap && (written(i) || written(j)) {
                let name = if written(i) { a } else { b };
                return Err(Diag::error("K012", format!("`{a}` and `{b}` overlap, and the kernel writes `{name}`"))
                    .help("pass the whole buffer for both, with offsets as numbers, or a copy"));
            }
        }
    }
    Ok(all.into_iter().map(|(_, m)| m).collect())
}
