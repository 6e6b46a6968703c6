//! CUDA C++ kernels: compiled for the shape of a launch, kept loaded, launched over buffers.

use crate::buffer::Buffer;
use crate::device::{Rig, rig};
use crate::fault::raise;
use crate::prints::tell;
use girih_base::{Bindings, Diag, Result};
use girih_cuda::{Argument, Compiled, LaunchShape, Module, Pointers, Value, caps};
use pyo3::prelude::*;
use std::collections::BTreeMap;
use std::sync::Arc;

/// A parsed file.
#[pyclass(frozen, module = "girih._girih")]
pub struct CudaModule {
    module: Module,
}

/// A kernel compiled for one shape of launch and loaded into a device.
#[pyclass(frozen, module = "girih._girih")]
pub struct CudaKernel {
    rig: Arc<Rig>,
    compiled: Compiled,
    loaded: girih_exec::Kernel,
    /// Memory of `__constant__` and `__device__` variables, by name.
    symbols: BTreeMap<String, girih_exec::Array>,
}

/// A kernel of a file: what it is asked for by, template parameters, parameters, place.
type Row = (String, Vec<String>, Vec<String>, String);

/// An array among the arguments: the parameter's number, a number for its memory, and whether it begins inside that.
type Place = (usize, u64, bool);

#[pymethods]
impl CudaModule {
    /// Preprocesses and parses a file. Included files are given by the names they are included by.
    #[new]
    fn new(
        py: Python<'_>,
        source: &str,
        file: &str,
        includes: BTreeMap<String, String>,
        defines: Vec<(String, String)>,
    ) -> PyResult<CudaModule> {
        let resolve = |name: &str, _: bool| includes.get(name).cloned();
        let module = raise(py.detach(|| Module::parse_with(source, file, &defines, &resolve)))?;
        Ok(CudaModule { module })
    }

    /// The kernels, in order.
    #[getter]
    fn kernels(&self) -> Vec<Row> {
        self.module.kernels().into_iter().map(|k| (k.handle, k.template, k.params, k.place)).collect()
    }

    /// Names of the parameters of a kernel, named as for `compile`.
    fn parameters(&self, kernel: &str) -> PyResult<Vec<String>> {
        Ok(raise(self.module.kernel(kernel))?.params)
    }

    /// Compiles a kernel, named with its template arguments, and loads it. The shape of launch is threads of a block, axes of
    /// the grid, bytes of dynamic shared memory, and one bit for each parameter that is null; `places` says which of the arrays share
    /// memory.
    #[pyo3(signature = (kernel, device, shape, places = Vec::new()))]
    fn compile(
        &self,
        py: Python<'_>,
        kernel: &str,
        device: &str,
        shape: ([u32; 3], u8, u32, u64),
        places: Vec<Place>,
    ) -> PyResult<CudaKernel> {
        raise(py.detach(|| {
            let rig = rig(device)?;
            let (block, grid_axes, dynamic_shared, nulls) = shape;
            let mut shape = LaunchShape { dynamic_shared, ..LaunchShape::new(block, grid_axes) };
            let caps = caps(&*rig.target);
            if places.iter().enumerate().any(|(i, p)| p.2 || places[..i].iter().any(|q| q.1 == p.1)) {
                let plain = self.module.compile(kernel, &shape, caps)?;
                shape.pointers = arranged(&plain, nulls, &places)?;
            }
            let compiled = self.module.compile(kernel, &LaunchShape { nulls, ..shape }, caps)?;
            let loaded = rig.session.load_kernel(compiled.code(&*rig.target)?)?;
            let symbols = compiled.symbols().map(|(name, bytes)| Ok((name.to_string(), rig.session.upload(&bytes)?)));
            let symbols = symbols.collect::<Result<_>>()?;
            Ok(CudaKernel { rig, compiled, loaded, symbols })
        }))
    }
}

/// How the pointers among a kernel's parameters lie to each other.
fn arranged(plain: &Compiled, nulls: u64, places: &[Place]) -> Result<Pointers> {
    let pointers = plain.arguments.iter().filter_map(|a| match a {
        Argument::Buffer { offset, parameter, .. } | Argument::Texture { offset, parameter, .. } => {
            Some((*offset, *parameter))
        }
        _ => None,
    });
    let target = |(i, (offset, parameter)): (usize, (u32, usize))| {
        let null = offset == 0 && parameter < 64 && nulls >> parameter & 1 == 1;
        let place = places.iter().find(|(p, ..)| offset == 0 && *p == parameter);
        (!null).then(|| place.map_or(((true, i as u64), 0), |(_, memory, inside)| ((false, *memory), *inside as u64)))
    };
    let targets: Vec<_> = pointers.enumerate().map(target).collect();
    Pointers::arranged(&targets).map_err(|i| {
        let what = format!("pointer {} of kernel `{}` is null or shares memory with another", i + 1, plain.kernel.name);
        Diag::error("Y013", what).help("only the first 32 pointers of a kernel may")
    })
}

#[pymethods]
impl CudaKernel {
    /// Of each buffer, in the order of the parameters: the parameter, whether what it points to is written, and what that is where it is
    /// numbers or vectors of them.
    #[getter]
    fn pointers(&self) -> Vec<(usize, bool, Option<&'static str>)> {
        let other = |a: &&Argument| {
            matches!(a, Argument::Scalar { .. } | Argument::Start { .. } | Argument::Texture { shared: true, .. })
        };
        let buffers = self.compiled.arguments.iter().filter(|a| !other(a)).zip(&self.compiled.kernel.buffers);
        let rows = buffers.filter_map(|(argument, buffer)| match argument {
            Argument::Buffer { parameter, element, offset: 0, .. } => {
                Some((*parameter, buffer.written, element.map(|e| e.name())))
            }
            _ => None,
        });
        rows.collect()
    }

    /// Parameter, dtype and offset of each number: structs have several.
    #[getter]
    fn numbers(&self) -> Vec<(usize, &'static str, u32)> {
        let rows = self.compiled.arguments.iter().filter_map(|a| match a {
            Argument::Scalar { parameter, dtype, offset, .. } => Some((*parameter, dtype.name(), *offset)),
            _ => None,
        });
        rows.collect()
    }

    /// The names of `__constant__` and `__device__` variables.
    #[getter]
    fn symbols(&self) -> Vec<String> {
        self.symbols.keys().cloned().collect()
    }

    /// The memory of such a variable.
    fn symbol(&self, name: &str) -> PyResult<Buffer> {
        let found = self.symbols.get(name).cloned();
        let missing =
            || Diag::error("Y016", format!("the kernel uses no `__constant__` or `__device__` variable `{name}`"));
        raise(found.map(|array| Buffer { rig: self.rig.clone(), array }).ok_or_else(missing))
    }

    /// The kernel as the device gets it: WGSL, or SIMT IR on the CPU.
    #[getter]
    fn text(&self) -> String {
        self.loaded.code().text.to_string()
    }

    /// Launches it. Values are in the order of the parameters: an array, the bytes of a number or struct, or None for null; `starts`
    /// are the first byte of parameters that begin inside of their array.
    #[pyo3(signature = (grid, values, starts = BTreeMap::new()))]
    fn launch(
        &self,
        py: Python<'_>,
        grid: [u32; 3],
        values: Vec<Option<Passed>>,
        starts: BTreeMap<usize, u64>,
    ) -> PyResult<()> {
        raise(py.detach(|| {
            let bindings = self.bindings(grid, &values, &starts)?;
            let mut args = Vec::new();
            for argument in &self.compiled.arguments {
                args.push(match argument {
                    Argument::Scalar { .. } | Argument::Start { .. } => continue,
                    Argument::Texture { name, .. } => {
                        let text = format!("`{name}` is a texture, which Python cannot pass yet");
                        return Err(Diag::error("Y013", text).help("launch it from Rust or as a whole program"));
                    }
                    Argument::Symbol { name, .. } => self.symbols.get(name).ok_or_else(|| self.lacks(name))?,
                    Argument::Buffer { name, offset, parameter, .. } => match values.get(*parameter) {
                        Some(Some(Passed::Array(buffer))) if *offset == 0 => &buffer.get().array,
                        Some(Some(Passed::Bytes(_))) => {
                            let text = format!("`{name}` is a pointer inside a struct, which Python cannot pass");
                            return Err(Diag::error("Y013", text).help("take the pointer as a parameter of its own"));
                        }
                        _ => return Err(self.lacks(name)),
                    },
                });
            }
            self.loaded.launch(&args, &bindings)
        }))?;
        tell(py, &self.rig.session, &self.loaded)
    }
}

impl CudaKernel {
    /// The values of the kernel's uniforms.
    fn bindings(&self, grid: [u32; 3], values: &[Option<Passed>], starts: &BTreeMap<usize, u64>) -> Result<Bindings> {
        let mut given = Vec::new();
        for value in values {
            given.push(match value {
                Some(Passed::Bytes(bytes)) => Value::Bytes(bytes),
                Some(Passed::Array(_)) | None => Value::Null,
            });
        }
        let mut bindings = self.compiled.bindings(grid, &given)?;
        for argument in &self.compiled.arguments {
            let Argument::Start { name, unit, parameter, .. } = argument else { continue };
            let (byte, unit) = (starts.get(parameter).copied().unwrap_or(0), *unit as u64);
            if !byte.is_multiple_of(unit) {
                let text = format!("argument {parameter} begins at byte {byte} of memory that it shares with another");
                return Err(Diag::error("Y013", text)
                    .note(format!("what kernel `{}` takes it to point to lies at multiples of {unit}", self.name())));
            }
            bindings.insert(name.as_str().into(), (byte / unit) as i64);
        }
        Ok(bindings)
    }

    fn name(&self) -> &str {
        &self.compiled.kernel.name
    }

    fn lacks(&self, name: &str) -> Box<Diag> {
        Diag::error("Y013", format!("kernel `{}` needs an array for `{name}`", self.name()))
    }
}

/// An argument of a launch; none is a null pointer.
#[derive(FromPyObject)]
pub enum Passed {
    /// A pointer to this memory.
    Array(Py<Buffer>),
    /// A number or struct by value, as C lays it out.
    Bytes(Vec<u8>),
}
