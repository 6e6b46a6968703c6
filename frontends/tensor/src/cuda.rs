//! CUDA C++ kernels as functions of tensors, eagerly and inside of [`jit`](crate::jit).
//!
//! ```
//! use girih::cuda::{Arg, Module};
//! use girih::prelude::*;
//!
//! let module = Module::parse(
//!     "template <typename T> __global__ void axpy(int n, T a, const T* x, T* y) {
//!          int i = blockIdx.x * blockDim.x + threadIdx.x;
//!          if (i < n) y[i] = a * x[i] + y[i];
//!      }",
//!     "axpy.cu",
//! )?;
//! let (x, y) = (Tensor::new(&[1f32, 2.0, 3.0], [3]), Tensor::ones(DType::F32, [3]));
//! let args = [Arg::from(3), Arg::from(2.0), Arg::In(&x), Arg::Update(&y)];
//! let y = module.launch("axpy<float>", &[1], &[32], &args).remove(0);
//! assert_eq!(y.to_vec::<f32>()?, [3.0, 5.0, 7.0]);
//! # Ok::<(), Box<Diag>>(())
//! ```
//!
//! A launch is one node of the graph. It has no derivative, and 64-bit floats are refused, for the node runs on any device.

use crate::data::Data;
use crate::kernel::Scalar;
use crate::tensor::Tensor;
use crate::trace;
use girih_base::{DType, Diag, Loc, Result};
use girih_cuda::{Argument, Caps, Compiled, LaunchShape, Value};
use girih_graph::TensorTy;
use girih_graph::ops::{Kernel, KernelLevel};
use std::path::Path;

/// What every device has: a node of a graph may run on any.
const PORTABLE: Caps = Caps { int64: false, double: false, atomic64: false, checked: None, native: false };

/// A preprocessed and parsed `.cu` file.
pub struct Module(girih_cuda::Module);

/// An argument of a launch, in the order of the kernel's parameters.
#[derive(Clone, Debug)]
pub enum Arg<'a> {
    /// A pointer to what the kernel only reads.
    In(&'a Tensor),
    /// A pointer to a new tensor of this dtype and shape. Elements that no thread writes are not defined, or zero where the
    /// kernel also reads them.
    Out(DType, Vec<usize>),
    /// A pointer to a new tensor that holds what this one does when the kernel starts.
    Update(&'a Tensor),
    /// A number passed by value; it becomes the parameter's type as in C, but never loses a fraction or high bits.
    Number(Scalar),
    /// A null pointer.
    Null,
}

impl<'a, T: Into<Scalar>> From<T> for Arg<'a> {
    fn from(v: T) -> Arg<'a> {
        Arg::Number(v.into())
    }
}

impl Module {
    /// Reads a file; files that it includes are found beside it.
    ///
    /// # Errors
    /// `T060` a file that cannot be read, and those of [`Module::parse`].
    pub fn load(path: impl AsRef<Path>) -> Result<Module> {
        let path = path.as_ref();
        let read = |path: &Path| std::fs::read_to_string(path);
        let source = read(path).map_err(|e| Diag::error("T060", format!("cannot read {}: {e}", path.display())))?;
        let folder = path.parent().unwrap_or(Path::new(""));
        let include = |name: &str, _: bool| read(&folder.join(name)).ok();
        Ok(Module(girih_cuda::Module::parse(&source, &path.display().to_string(), &include)?))
    }

    /// Parses a text that includes no files of its own; `file` is its name in messages.
    ///
    /// # Errors
    /// `U001` malformed directives or macros, `U006` expansions beyond the limits.
    pub fn parse(source: &str, file: &str) -> Result<Module> {
        Ok(Module(girih_cuda::Module::parse(source, file, &|_, _| None)?))
    }

    /// The kernels in the file, in order.
    pub fn kernels(&self) -> Vec<girih_cuda::KernelInfo> {
        self.0.kernels()
    }

    /// Launches a kernel, named with its template arguments where it has any (`scale<float, 4>`), over a grid of blocks, each
    /// of one to three axes; one tensor for each `Out` and `Update`, in order. What goes wrong refuses the results: dtypes that
    /// are not what the pointers point to, pointers that the kernel writes and `In` gives, and what the translator refuses.
    #[track_caller]
    pub fn launch(&self, kernel: &str, grid: &[u32], block: &[u32], args: &[Arg<'_>]) -> Vec<Tensor> {
        let loc = Loc::caller();
        let outputs = args.iter().filter(|a| matches!(a, Arg::Out(..) | Arg::Update(_))).count();
        let mut tensors = match self.node(kernel, grid, block, args) {
            Ok((node, inputs)) => trace::build(&inputs.iter().collect::<Vec<_>>(), loc, |g, ids| {
                let many = node.results.len() > 1;
                let node = g.push(node, ids)?;
                match many {
                    true => (0..outputs).map(|i| g.proj(node, i)).collect(),
                    false => Ok(vec![node]),
                }
            }),
            Err(why) => vec![Tensor::refused(why.at(&loc, "launched here"))],
        };
        // A refusal is one for all results.
        while tensors.len() < outputs {
            tensors.push(tensors[0].clone());
        }
        tensors
    }

    /// The graph operation of a launch, and its operands.
    fn node(&self, name: &str, grid: &[u32], block: &[u32], args: &[Arg<'_>]) -> Result<(Kernel, Vec<Tensor>)> {
        let wrong = |what: String| Diag::error("T060", format!("kernel `{name}`: {what}"));
        let three = |list: &[u32], what: &str| match list {
            [x] => Ok([*x, 1, 1]),
            [x, y] => Ok([*x, *y, 1]),
            [x, y, z] => Ok([*x, *y, *z]),
            _ => Err(wrong(format!("a {what} of {} axes", list.len())).help("give one to three")),
        };
        let nulls = args.iter().take(64).enumerate().filter(|(_, a)| matches!(a, Arg::Null)).map(|(i, _)| 1 << i).sum();
        let shape = LaunchShape { nulls, ..LaunchShape::new(three(block, "block")?, grid.len().clamp(1, 3) as u8) };
        let compiled = self.0.compile(name, &shape, PORTABLE)?;
        if let Some(i) = args.iter().position(|a| matches!(a, Arg::Out(_, s) if s.contains(&0))) {
            return Err(wrong(format!("argument {i} has no elements")));
        }
        let numbers = numbers(&compiled, args, &wrong)?;
        let bound = compiled.bindings(three(grid, "grid")?, &values(&numbers, args))?;
        let kernel = girih_simt::bind(&compiled.kernel, &bound)
            .map_err(|(symbol, _)| wrong(format!("no value for `{symbol}`")))?;
        let Operands { reads, results } = Operands::new(&compiled, args, &wrong)?;
        let order: Vec<usize> = reads.iter().map(|r| r.0).chain(results.iter().map(|r| r.0)).collect();
        let starts = results.iter().enumerate().filter_map(|(i, r)| Some((i, r.2.clone()?)));
        let (updates, starts): (Vec<usize>, Vec<Tensor>) = starts.unzip();
        let inputs = reads.into_iter().map(|r| r.1).chain(starts).collect();
        let text = girih_simt::print(&girih_simt::reorder_buffers(&kernel, &order)).into();
        let results = results.into_iter().map(|r| r.1).collect();
        Ok((Kernel { level: KernelLevel::Simt, text, results, updates }, inputs))
    }
}

type Wrong<'w> = &'w dyn Fn(String) -> Box<Diag>;

/// The numbers of a launch as C lays them out; nothing where pointers are.
fn values<'v>(numbers: &'v [Vec<u8>], args: &[Arg<'_>]) -> Vec<Value<'v>> {
    let value = |(bytes, arg): (&'v Vec<u8>, &Arg<'_>)| match arg {
        Arg::Number(_) => Value::Bytes(bytes),
        _ => Value::Null,
    };
    numbers.iter().zip(args).map(value).collect()
}

/// The bytes of each argument that is a number.
fn numbers(compiled: &Compiled, args: &[Arg<'_>], wrong: Wrong<'_>) -> Result<Vec<Vec<u8>>> {
    let mut bytes = vec![Vec::new(); args.len()];
    for a in &compiled.arguments {
        let Argument::Scalar { name, dtype, size, offset, parameter } = a else { continue };
        let Some(Arg::Number(given)) = args.get(*parameter) else {
            return Err(wrong(format!("argument {parameter} (`{name}`) must be a number")));
        };
        if *offset > 0 || !bytes[*parameter].is_empty() {
            return Err(wrong(format!("argument {parameter} is a struct")).help("pass its fields as numbers"));
        }
        let code = given
            .to(*dtype)
            .ok_or_else(|| wrong(format!("argument {parameter} (`{name}`) is {dtype}, and {given} is none")))?;
        bytes[*parameter] = code.to_le_bytes()[..*size as usize].to_vec();
    }
    Ok(bytes)
}

/// What the buffers of a kernel are in the graph.
struct Operands {
    /// Indices of buffers with the tensors that are read.
    reads: Vec<(usize, Tensor)>,
    /// Indices of buffers with what they hold in the end, and in the beginning.
    results: Vec<(usize, TensorTy, Option<Tensor>)>,
}

impl Operands {
    fn new(compiled: &Compiled, args: &[Arg<'_>], wrong: Wrong<'_>) -> Result<Operands> {
        let mut all = Operands { reads: Vec::new(), results: Vec::new() };
        let mut used = vec![false; args.len()];
        let bound =
            compiled.arguments.iter().filter(|a| !matches!(a, Argument::Scalar { .. } | Argument::Start { .. }));
        for (i, (a, buffer)) in bound.zip(&compiled.kernel.buffers).enumerate() {
            match a {
                Argument::Buffer { name, element, parameter, .. } => {
                    let misfit = |why: &str| wrong(format!("argument {parameter} (`{name}`) {why}"));
                    let fits = |dtype: DType| match element {
                        Some(e) if *e != dtype => Err(misfit(&format!("points to {e}, and is given {dtype}"))),
                        _ => Ok(()),
                    };
                    match args.get(*parameter) {
                        Some(Arg::In(_)) if buffer.written => {
                            return Err(misfit("is written")
                                .help("pass `Arg::Update` to start with a tensor's elements, or `Arg::Out`"));
                        }
                        Some(Arg::Out(..) | Arg::Update(_)) if !buffer.written => {
                            return Err(misfit("is only read").help("pass `Arg::In`"));
                        }
                        Some(Arg::In(t)) => {
                            fits(t.dtype())?;
                            all.reads.push((i, (*t).clone()));
                        }
                        Some(Arg::Out(dtype, shape)) => {
                            fits(*dtype)?;
                            all.results.push((i, TensorTy::new(*dtype, shape.iter().copied()), None));
                        }
                        Some(Arg::Update(t)) => {
                            fits(t.dtype())?;
                            t.ok()?;
                            let ty = t.ty().cloned().ok_or_else(|| misfit("needs one tensor"))?;
                            all.results.push((i, ty, Some((*t).clone())));
                        }
                        _ => return Err(misfit("is a pointer").help("pass `In`, `Out`, `Update` or `Null`")),
                    }
                    used[*parameter] = true;
                }
                Argument::Symbol { name, initial } => {
                    if buffer.written {
                        return Err(wrong(format!("it writes the variable `{name}`")).help(
                            "take a pointer to it as a parameter: a node of a graph changes nothing but its results",
                        ));
                    }
                    let dtype = buffer.elem.dtype;
                    let each = dtype.bits() as usize / 8 * buffer.elem.lanes as usize;
                    let mut bytes = initial.clone();
                    bytes.resize(bytes.len().next_multiple_of(each).max(each), 0);
                    let elements = bytes.len() * 8 / dtype.bits() as usize;
                    all.reads.push((i, Tensor::from_data(Data::new(dtype, vec![elements], bytes)?).named(name)));
                }
                _ => return Err(wrong("it takes a texture".into()).help("pass its texels as a pointer")),
            }
        }
        if let Some(i) = (0..args.len()).find(|i| !used[*i] && matches!(args[*i], Arg::Out(..) | Arg::Update(_))) {
            return Err(wrong(format!("it does not touch argument {i}")));
        }
        Ok(all)
    }
}
