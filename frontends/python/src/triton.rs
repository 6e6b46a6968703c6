//! Kernels in Triton's language: compiled for the arguments of a launch, kept loaded, launched over buffers.

use crate::buffer::Buffer;
use crate::device::{Rig, rig};
use crate::fault::{dtype, raise};
use crate::prints::tell;
use girih_base::{Bindings, DType, Diag, Result};
use girih_driver::Target;
use girih_triton::{Arg, Assume, Binding, Constant, Forms, Given, Launch, Module, Place, Signature, debug_wanted};
use girih_wgpu::{Language, Translated, WgpuTarget, translate};
use pyo3::prelude::*;
use pyo3::types::PyTuple;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// What kernels can be printed as.
pub const TARGETS: [&str; 6] = ["tile", "simt", "wgsl", "msl", "hlsl", "spirv"];

/// The files that a kernel's source takes part in, parsed.
#[pyclass(frozen, module = "girih._girih")]
pub struct TritonModule {
    module: Module,
}

/// A kernel compiled for one kind of arguments and loaded into a device.
#[pyclass(frozen, module = "girih._girih")]
pub struct TritonKernel {
    rig: Arc<Rig>,
    first: Arc<Form>,
    /// What it was compiled from, and its forms for launches of different sizes.
    source: (Module, String, Signature),
    forms: Mutex<Forms<girih_exec::Kernel>>,
}

type Form = (girih_triton::Kernel, girih_exec::Kernel);

/// The value of a number at launch.
#[derive(FromPyObject)]
enum Number {
    Int(i128),
    Float(f64),
}

#[pymethods]
impl TritonModule {
    /// Parses the main one of some files; the others, given as (file name, text) by module name, when it uses them.
    #[new]
    fn new(py: Python<'_>, main: &str, modules: BTreeMap<String, (String, String)>) -> PyResult<TritonModule> {
        raise(py.detach(|| {
            let (file, text) = modules
                .get(main)
                .cloned()
                .ok_or_else(|| Diag::error("Y011", format!("there is no module `{main}`")))?;
            let resolver = move |name: &str, _: &str| modules.get(name).cloned();
            Ok(TritonModule { module: Module::with_resolver(&text, &file, Box::new(resolver))? })
        }))
    }

    /// Compiles a kernel for arguments and loads it. `single` says which axes of the grid have one program; if the kernel is about
    /// to be launched, `grid` and `numbers` say how.
    #[pyo3(signature = (kernel, device, args, single, grid = None, numbers = Vec::new()))]
    #[allow(clippy::too_many_arguments, reason = "what a launch consists of")]
    fn compile(
        &self,
        py: Python<'_>,
        kernel: &str,
        device: &str,
        args: Vec<Bound<'_, PyTuple>>,
        single: [bool; 3],
        grid: Option<[u32; 3]>,
        numbers: Vec<(String, Number)>,
    ) -> PyResult<TritonKernel> {
        let mut signature = signature(&args)?;
        signature.single = single;
        raise(py.detach(|| {
            let rig = rig(device)?;
            let assume = grid.map_or(Assume::Grid, |grid| Assume::Launch(launch(grid, &numbers)));
            let kernel = self.module.compile(kernel, &Signature { assume, ..signature.clone() }).map(|k| (kernel, k));
            let (name, kernel) = kernel?;
            let loaded = rig.session.load_kernel(rig.target.compile(&kernel.tile)?)?;
            let mut forms = Forms::default();
            let first = forms.add((kernel, loaded));
            let source = (self.module.clone(), name.to_string(), signature);
            Ok(TritonKernel { rig, first, source, forms: Mutex::new(forms) })
        }))
    }

    /// A kernel's text for arguments; shaders for plain WebGPU, or for a device's own features.
    #[pyo3(signature = (kernel, target, args, single, device = None))]
    fn emit(
        &self,
        py: Python<'_>,
        kernel: &str,
        target: &str,
        args: Vec<Bound<'_, PyTuple>>,
        single: [bool; 3],
        device: Option<&str>,
    ) -> PyResult<String> {
        let mut signature = signature(&args)?;
        signature.single = single;
        signature.assume = Assume::Grid;
        raise(py.detach(|| {
            let shaders = device.map(rig).transpose()?.and_then(|rig| rig.shaders.clone());
            let kernel = self.module.compile(kernel, &signature)?;
            print(&kernel.tile, target, &shaders.unwrap_or_else(WgpuTarget::webgpu))
        }))
    }
}

#[pymethods]
impl TritonKernel {
    /// Name, whether it is read, and whether it is written, of each array, in the order of the kernel's parameters.
    #[getter]
    fn pointers(&self) -> Vec<(String, bool, bool)> {
        use girih_tile::Access;
        let rows = buffers(&self.first.0).map(|(name, param, _, _)| {
            let access = self.first.0.tile.params[param].access;
            (name.to_string(), access != Access::Write, access != Access::Read)
        });
        rows.collect()
    }

    /// What `tl.static_print` said.
    #[getter]
    fn notes(&self) -> Vec<String> {
        self.first.0.notes.clone()
    }

    /// The kernel's text for its device: shaders with the adapter's features, or for plain WebGPU from the CPU.
    fn emit(&self, py: Python<'_>, target: &str) -> PyResult<String> {
        let shaders = self.rig.shaders.clone().unwrap_or_else(WgpuTarget::webgpu);
        raise(py.detach(|| print(&self.first.0.tile, target, &shaders)))
    }

    /// Launches it over arrays and numbers by name. Returns when the work is submitted.
    fn launch(
        &self,
        py: Python<'_>,
        grid: [u32; 3],
        arrays: Vec<(String, Py<Buffer>)>,
        numbers: Vec<(String, Number)>,
    ) -> PyResult<()> {
        let arrays: BTreeMap<&str, &Buffer> = arrays.iter().map(|(name, b)| (name.as_str(), b.get())).collect();
        let form = raise(py.detach(|| {
            let mut args: Vec<_> = buffers(&self.first.0).collect();
            args.sort_by_key(|(_, param, ..)| *param);
            let args =
                args.into_iter().map(|(name, ..)| Ok(&given(&arrays, name)?.array)).collect::<Result<Vec<_>>>()?;
            let form = self.form(grid, &arrays, &numbers)?;
            form.1.launch(&args, &bindings(&form.0, grid, &arrays, &numbers)?)?;
            Ok(form)
        }))?;
        tell(py, &self.rig.session, &form.1)
    }
}

impl TritonKernel {
    /// The form of the kernel for a launch.
    fn form(
        &self,
        grid: [u32; 3],
        arrays: &BTreeMap<&str, &Buffer>,
        numbers: &[(String, Number)],
    ) -> Result<Arc<Form>> {
        let (module, name, signature) = &self.source;
        self.forms.lock().unwrap_or_else(PoisonError::into_inner).choose(
            signature,
            launch(grid, numbers),
            |kernel| bindings(kernel, grid, arrays, numbers),
            |signature| {
                let kernel = module.compile(name, signature)?;
                let loaded = self.rig.session.load_kernel(self.rig.target.compile(&kernel.tile)?)?;
                Ok((kernel, loaded))
            },
        )
    }
}

/// The numbers of a launch that sizes are.
fn launch(grid: [u32; 3], numbers: &[(String, Number)]) -> Launch {
    let size = |(name, number): &(String, Number)| match number {
        Number::Int(v) => Some((name.clone(), i64::try_from(*v).ok()?)),
        Number::Float(_) => None,
    };
    Launch { grid, sizes: numbers.iter().filter_map(size).collect() }
}

/// Name, parameter, symbol of the length and dtype of each array.
fn buffers(kernel: &girih_triton::Kernel) -> impl Iterator<Item = (&str, usize, &Arc<str>, DType)> {
    kernel.bindings.iter().filter_map(|(name, binding)| match binding {
        Binding::Buffer { param, length, dtype } => Some((name.as_str(), *param, length, *dtype)),
        _ => None,
    })
}

/// Values of symbols at a launch.
fn bindings(
    kernel: &girih_triton::Kernel,
    grid: [u32; 3],
    arrays: &BTreeMap<&str, &Buffer>,
    numbers: &[(String, Number)],
) -> Result<Bindings> {
    kernel.bind(grid.map(i64::from), |name, binding| {
        // Extents and strides of descriptors have names of their own.
        let known_as = match binding {
            Binding::Buffer { dtype, .. } => {
                let bits = arrays.get(name)?.array.bytes().saturating_mul(8);
                return Some(Given::Int((bits / dtype.bits() as u64) as i128));
            }
            Binding::Start(_) => format!("{name}.start"),
            Binding::Extent(_, axis) => format!("{name}.shape.{axis}"),
            Binding::Stride(_, axis) => format!("{name}.stride.{axis}"),
            _ => name.to_string(),
        };
        let (_, number) = numbers.iter().find(|(n, _)| *n == known_as)?;
        Some(match number {
            Number::Int(v) => Given::Int(*v),
            Number::Float(v) => Given::Float(*v),
        })
    })
}

fn given<'b>(arrays: &BTreeMap<&str, &'b Buffer>, name: &str) -> Result<&'b Buffer> {
    arrays.get(name).copied().ok_or_else(|| Diag::error("Y013", format!("array `{name}` is missing")))
}

fn print(kernel: &girih_tile::Kernel, target: &str, shaders: &WgpuTarget) -> Result<String> {
    if target == "tile" {
        return Ok(girih_tile::print_without_locs(kernel));
    }
    let language = match target {
        "simt" | "wgsl" => None,
        "msl" => Some(Language::Msl),
        "hlsl" => Some(Language::Hlsl),
        "spirv" => Some(Language::Spirv),
        _ => {
            return Err(Diag::error("Y015", format!("kernels are not printed as `{target}`"))
                .help(format!("there is {}", TARGETS.join(", "))));
        }
    };
    let simt = girih_lower::distribute(kernel, shaders.desc())?;
    if target == "simt" {
        return Ok(simt.to_string());
    }
    let wgsl = shaders.emit(&simt)?.text;
    let Some(language) = language else { return Ok(wgsl) };
    Ok(match translate(&kernel.name, &wgsl, language, shaders.capabilities())? {
        Translated::Text(text) => text,
        Translated::Words(words) => {
            let lines: Vec<String> = words
                .chunks(8)
                .map(|line| line.iter().map(|w| format!("{w:08x}")).collect::<Vec<_>>().join(" "))
                .collect();
            format!("; {} ({} words)\n{}\n", kernel.name, words.len(), lines.join("\n"))
        }
    })
}

/// Types and constants as Python gives them: (name, kind, ...).
fn signature(args: &[Bound<'_, PyTuple>]) -> PyResult<Signature> {
    let mut signature = Signature { debug: debug_wanted(), ..Signature::new() };
    for row in args {
        signature = signature.arg(&row.get_item(0)?.extract::<String>()?, argument(row)?);
    }
    Ok(signature)
}

/// Where a pointer points to: an earlier argument, and what the elements after that one's are a multiple of.
#[derive(FromPyObject)]
struct PlaceRow(Option<String>, Option<u32>);

impl From<PlaceRow> for Place {
    fn from(PlaceRow(alias, start): PlaceRow) -> Place {
        Place { alias, start }
    }
}

fn argument(row: &Bound<'_, PyTuple>) -> PyResult<Arg> {
    let kind: String = row.get_item(1)?.extract()?;
    Ok(match &*kind {
        "pointer" => {
            let (_, _, element, multiple_of, place): (String, String, String, u32, PlaceRow) = row.extract()?;
            Arg::Pointer { dtype: dtype(&element)?, multiple_of, place: place.into() }
        }
        "descriptor" => {
            let (_, _, element, block, nan, place): (String, String, String, Vec<u32>, bool, PlaceRow) =
                row.extract()?;
            Arg::Descriptor { dtype: dtype(&element)?, block, nan, place: place.into() }
        }
        "int" => {
            let (_, _, element, multiple_of, size): (String, String, String, u32, bool) = row.extract()?;
            Arg::Int { dtype: dtype(&element)?, multiple_of, size }
        }
        "float" => Arg::Float(dtype(&row.get_item(2)?.extract::<String>()?)?),
        "tuple" => {
            let parts: Vec<Bound<'_, PyTuple>> = row.get_item(2)?.extract()?;
            Arg::Tuple(parts.iter().map(argument).collect::<PyResult<_>>()?)
        }
        _ => Arg::Constant(constant(&row.get_item(2)?)?),
    })
}

/// A constant as (name of its type, value).
fn constant(pair: &Bound<'_, PyAny>) -> PyResult<Constant> {
    let (kind, value): (String, Bound<'_, PyAny>) = pair.extract()?;
    Ok(match &*kind {
        "NoneType" => Constant::None,
        "bool" => Constant::Bool(value.extract()?),
        "int" => Constant::Int(value.extract()?),
        // Equal floats differ in their bits.
        "float" => Constant::Float(f64::from_bits(value.extract()?)),
        "str" => Constant::Str(value.extract()?),
        "dtype" => Constant::Type(dtype(&value.extract::<String>()?)?),
        "function" => {
            let (module, name): (String, String) = value.extract()?;
            Constant::Function { module, name }
        }
        _ => Constant::Tuple(value.try_iter()?.map(|item| constant(&item?)).collect::<PyResult<_>>()?),
    })
}
