//! Where graphs run. Everything the rest of the crate knows of devices is here.

use crate::compiled::Compiled;
use crate::data::Data;
use crate::oracle::Oracle;
use crate::tensor::Tensor;
use crate::trace;
use girih_base::Result;
use girih_exec::Prints;
use girih_graph::Graph;
use girih_wgpu::WgpuDevice;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

/// A program ready to run on a device.
pub trait Program: Send + Sync {
    /// Runs it with one value for each input; gives one for each output.
    fn run(&self, inputs: &[Data]) -> Result<Vec<Data>>;
}

/// Something that makes programs of graphs.
pub trait Executor: Send + Sync {
    /// What users call it.
    fn name(&self) -> String;
    /// Compiles a graph whose parameters are inputs, then as many weights as there are values for: those stay as they are
    /// in every run.
    fn compile(&self, graph: &Graph, weights: &[Data]) -> Result<Arc<dyn Program>>;
    /// What kernels printed since the last call.
    fn take_prints(&self) -> Prints {
        Prints::default()
    }
}

/// Where tensors are computed.
#[derive(Clone)]
pub struct Device(Arc<dyn Executor>);

thread_local! {
    static CURRENT: RefCell<Vec<Device>> = const { RefCell::new(Vec::new()) };
}

impl Device {
    /// The reference evaluator: exact, slow, the judge of all others.
    pub fn oracle() -> Device {
        Device(Arc::new(Oracle))
    }

    /// This machine's processors: the default.
    pub fn cpu() -> Device {
        // One for the whole process: it owns threads and compiled programs.
        static CPU: LazyLock<Device> = LazyLock::new(|| {
            let open = || -> Result<Box<dyn girih_exec::Device>> { Ok(Box::new(girih_cpu::CpuDevice::new())) };
            Device(Arc::new(Compiled::new("cpu", girih_cpu::CpuTarget::new(), open)))
        });
        CPU.clone()
    }

    /// The graphics adapter of that place in `girih devices`, through Vulkan, Metal, Direct3D 12 or OpenGL. Dtypes that it
    /// has no arithmetic for, such as f64 on most, are refused when a program is compiled.
    ///
    /// # Errors
    /// `W010` when there is no such adapter, `W011` when it does not open.
    pub fn wgpu(index: usize) -> Result<Device> {
        // One for each adapter, for the same reason as above.
        static OPEN: Mutex<BTreeMap<usize, Device>> = Mutex::new(BTreeMap::new());
        let mut devices = OPEN.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(device) = devices.get(&index) {
            return Ok(device.clone());
        }
        let open = move || WgpuDevice::open(Some(index), girih_wgpu::Options::default());
        let first = open()?;
        let target = first.compiler();
        // The compiler asked this one what it can do; the first program gets it as well.
        let first = Mutex::new(Some(first));
        let next = move || -> Result<Box<dyn girih_exec::Device>> {
            let kept = first.lock().unwrap_or_else(PoisonError::into_inner).take();
            Ok(Box::new(kept.map_or_else(open, Ok)?))
        };
        let device = Device(Arc::new(Compiled::new(&format!("wgpu:{index}"), target, next)));
        devices.insert(index, device.clone());
        Ok(device)
    }

    /// The checker: kernels run in the emulator, and out-of-bounds accesses, data races and reads of what nobody wrote are errors (`S101`
    /// to `S110`) that say where. Slow; for tests.
    pub fn checker() -> Device {
        let target = girih_emulator::Emulator::default();
        let own = target.clone();
        let open =
            move || -> Result<Box<dyn girih_exec::Device>> { Ok(Box::new(girih_emulator::EmulatorDevice::new(&own))) };
        Device(Arc::new(Compiled::new("check", target, open)))
    }

    /// A device of your own.
    pub fn from_executor(executor: impl Executor + 'static) -> Device {
        Device(Arc::new(executor))
    }

    /// The device that lazy tensors and `jit` use now: that of the innermost [`Device::scope`] of this thread.
    pub fn current() -> Device {
        CURRENT.with_borrow(|stack| stack.last().cloned()).unwrap_or_default()
    }

    /// Runs `f` with this as the current device of the thread.
    pub fn scope<R>(&self, f: impl FnOnce() -> R) -> R {
        struct Leave;
        impl Drop for Leave {
            fn drop(&mut self) {
                CURRENT.with_borrow_mut(|stack| stack.pop());
            }
        }
        CURRENT.with_borrow_mut(|stack| stack.push(self.clone()));
        let _leave = Leave;
        f()
    }

    /// The lines that kernels with `printf` or `device_print` printed on this device since the last call. Nothing prints them by itself.
    pub fn take_prints(&self) -> Prints {
        self.0.take_prints()
    }

    /// What it is called, for messages and cache keys.
    pub fn name(&self) -> String {
        self.0.name()
    }

    /// Whether the two are one and the same.
    pub(crate) fn is(&self, other: &Device) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    pub(crate) fn compile(&self, graph: &Graph, weights: &[Data]) -> Result<Arc<dyn Program>> {
        self.0.compile(graph, weights)
    }
}

impl Default for Device {
    fn default() -> Device {
        Device::cpu()
    }
}

impl fmt::Debug for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Device({})", self.name())
    }
}

/// Computes tensors together, in one program; afterwards each holds its elements, and so does every tensor on the way
/// that is still in use elsewhere: nothing is computed twice.
pub fn eval(tensors: &[Tensor]) -> Result<()> {
    let wanted: Vec<Tensor> = tensors.iter().filter(|t| !t.is_known()).cloned().collect();
    if wanted.is_empty() {
        return Ok(());
    }
    let mut lowered = trace::lower("eval", None, &[], &wanted)?;
    let mut kept = lowered.held();
    kept.retain(|(t, _)| !wanted.iter().any(|w| w.key() == t.key()));
    let mut outputs = lowered.graph.outputs().to_vec();
    outputs.extend(kept.iter().map(|(_, id)| *id));
    lowered.graph.set_outputs(outputs);
    let arguments = lowered.captured.iter().map(Tensor::data).collect::<Result<Vec<_>>>()?;
    let values = Device::current().compile(&lowered.graph, &[])?.run(&arguments)?;
    for (tensor, value) in wanted.iter().chain(kept.iter().map(|(t, _)| t)).zip(values) {
        tensor.fill(value);
    }
    Ok(())
}
