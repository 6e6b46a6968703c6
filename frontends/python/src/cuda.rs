//! CUDA C++ kernels: compiled for the shape of a launch, kept loaded, launched over buffers.

use crate::buffer::Buffer;
use crate::device::{Rig, rig};
use crate::fault::raise;
use crate::prints::tell;
use girih_base::{Bindings, Diag, Result};
use girih_cuda::{Argument, LaunchShape, Module, Value, caps};
use pyo3::prelude::*;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The source of a file; it is parsed where it is compiled, for its tree belongs to one thread.
#[pyclass(frozen, module = "girih._girih")]
pub struct CudaModule {
    source: String,
    file: String,
    includes: BTreeMap<String, String>,
    defines: Vec<(String, String)>,
}

/// A kernel compiled for one shape of launch and loaded into a device.
#[pyclass(frozen, module = "girih._girih")]
pub struct CudaKernel {
    rig: Arc<Rig>,
    compiled: girih_cuda::Compiled,
    loaded: girih_exec::Kernel,
    /// Memory of `__constant__` and `__device__` variables, by name.
    symbols: BTreeMap<String, girih_exec::Array>,
}

/// A kernel of a file: name, template parameters, parameters, place.
type Row = (String, Vec<String>, Vec<String>, String);

#[pymethods]
impl CudaModule {
    /// Checks that the file can be preprocessed and parsed. Included files are given by the names they are included by.
    #[new]
    fn new(
        py: Python<'_>,
        source: String,
        file: String,
        includes: BTreeMap<String, String>,
        defines: Vec<(String, String)>,
    ) -> PyResult<CudaModule> {
        let module = CudaModule { source, file, includes, defines };
        raise(py.detach(|| module.parse().map(drop)))?;
        Ok(module)
    }

    /// The kernels, in order.
    #[getter]
    fn kernels(&self, py: Python<'_>) -> PyResult<Vec<Row>> {
        let rows = py.detach(|| Ok(self.parse()?.kernels()));
        Ok(raise(rows)?.into_iter().map(|k| (k.name, k.template, k.params, k.place)).collect())
    }

    /// Compiles a kernel, named with its template arguments, and loads it. The shape of launch is threads of a block, axes of
    /// the grid, bytes of dynamic shared memory, and one bit for each parameter that is null.
    fn compile(
        &self,
        py: Python<'_>,
        kernel: &str,
        device: &str,
        shape: ([u32; 3], u8, u32, u64),
    ) -> PyResult<CudaKernel> {
        raise(py.detach(|| {
            let rig = rig(device)?;
            let (block, grid_axes, dynamic_shared, nulls) = shape;
            let shape = LaunchShape { dynamic_shared, nulls, ..LaunchShape::new(block, grid_axes) };
            let compiled = self.parse()?.compile(kernel, &shape, caps(&*rig.target))?;
            let mut code = rig.target.compile_simt(&compiled.kernel)?;
            if let Some(debug) = &mut code.debug {
                debug.instances = compiled.instances();
            }
            let loaded = rig.session.load_kernel(code)?;
            let mut symbols = BTreeMap::new();
            for argument in &compiled.arguments {
                if let Argument::Symbol { name, initial } = argument {
                    let mut bytes = initial.clone();
                    bytes.resize(bytes.len().next_multiple_of(8).max(8), 0);
                    symbols.insert(name.clone(), rig.session.upload(&bytes)?);
                }
            }
            Ok(CudaKernel { rig, compiled, loaded, symbols })
        }))
    }
}

impl CudaModule {
    fn parse(&self) -> Result<Module> {
        let resolve = |name: &str, _: bool| self.includes.get(name).cloned();
        Module::parse_with(&self.source, &self.file, &self.defines, &resolve)
    }
}

#[pymethods]
impl CudaKernel {
    /// Name, and whether it is written, of each pointer, in the order of the parameters.
    #[getter]
    fn pointers(&self) -> Vec<(String, bool)> {
        let buffers =
            self.compiled.arguments.iter().filter(|a| matches!(a, Argument::Buffer { .. } | Argument::Symbol { .. }));
        let rows = buffers.zip(&self.compiled.kernel.buffers).filter_map(|(argument, buffer)| match argument {
            Argument::Buffer { name, .. } => Some((name.clone(), buffer.written)),
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

    /// Launches it. Values are in the order of the parameters: an array, the bytes of a number or struct, or None for null.
    fn launch(&self, py: Python<'_>, grid: [u32; 3], values: Vec<Option<Passed>>) -> PyResult<()> {
        raise(py.detach(|| {
            let given: Vec<Value<'_>> = values
                .iter()
                .map(|value| match value {
                    Some(Passed::Bytes(bytes)) => Value::Bytes(bytes),
                    Some(Passed::Array(_)) | None => Value::Null,
                })
                .collect();
            let bindings: Bindings = self.compiled.bindings(grid, &given)?;
            let mut arrays = values.iter().filter_map(|value| match value {
                Some(Passed::Array(buffer)) => Some(&buffer.get().array),
                _ => None,
            });
            let name = &self.compiled.kernel.name;
            let mut args = Vec::new();
            for argument in &self.compiled.arguments {
                args.push(match argument {
                    Argument::Scalar { .. } | Argument::Start { .. } => continue,
                    Argument::Texture { name, .. } => {
                        let text = format!("`{name}` is a texture, which Python cannot pass yet");
                        return Err(Diag::error("Y013", text).help("launch it from Rust or as a whole program"));
                    }
                    Argument::Symbol { name, .. } => self.symbols.get(name),
                    Argument::Buffer { .. } => arrays.next(),
                });
            }
            let missing = || Diag::error("Y013", format!("kernel `{name}` takes more pointers than it was given"));
            let args = args.into_iter().collect::<Option<Vec<_>>>().ok_or_else(missing)?;
            if arrays.next().is_some() {
                return Err(Diag::error("Y013", format!("kernel `{name}` takes fewer pointers than it was given")));
            }
            self.loaded.launch(&args, &bindings)
        }))?;
        tell(py, &self.rig.session, &self.loaded)
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
