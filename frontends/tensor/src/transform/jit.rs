//! `jit`: a function becomes one compiled program per shape of its arguments.

use super::function::{Arguments, Function, Traced, watch};
use crate::data::Data;
use crate::run::{Device, Program};
use crate::tensor::Tensor;
use crate::trace;
use crate::tree::{self, Path, Tree, Visitor};
use girih_base::{Loc, Result};
use girih_graph::{Callee, Graph, ParamKind, TensorTy};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt::Debug;
use std::rc::Rc;
use std::sync::Arc;

/// What decides whether a compiled program fits: the structure of the arguments and the type of every tensor.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Default)]
struct Signature(Vec<(String, Item)>);

#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Item {
    Tensor(TensorTy),
    Fixed(String),
}

impl Visitor for Signature {
    fn leaf(&mut self, path: &str, tensor: &Tensor) {
        let item = tensor.ty().map_or(Item::Fixed("refused".into()), |ty| Item::Tensor(ty.clone()));
        self.0.push((path.to_string(), item));
    }
    fn fixed(&mut self, path: &str, value: &dyn Debug) {
        self.0.push((path.to_string(), Item::Fixed(format!("{value:?}"))));
    }
}

fn signature(args: &impl Tree) -> Signature {
    let mut out = Signature::default();
    args.visit(&mut Path::default(), &mut out);
    out
}

/// A function traced for one signature.
struct Entry<Out> {
    /// The structure of the result; its tensors are stand-ins.
    shape: Out,
    callee: Arc<Callee>,
    captured: Vec<Tensor>,
    programs: RefCell<Vec<(Device, Arc<dyn Program>)>>,
}

/// Compiles a function: the first call with arguments of some shapes and dtypes traces it and compiles the whole as one
/// program; later calls with the same shapes run that program.
///
/// The function runs only to be traced, so what it does besides computing tensors (printing, drawing random numbers of
/// Rust's) happens once. Tensors it captures are frozen as they were then. Inside another transformation the call stays
/// one shared body, so a layer called thirty times is compiled once.
///
/// ```
/// # use girih::prelude::*;
/// let mean_square = jit(|x: &Tensor| x.square().mean(..));
/// let x = Tensor::new(&[1f32, 2.0, 3.0], [3]);
/// assert_eq!(mean_square(&x).item::<f32>()?, 14.0 / 3.0);
/// # Ok::<(), Box<Diag>>(())
/// ```
#[track_caller]
pub fn jit<F, Args, Out>(f: F) -> F::Boxed<Out>
where
    F: Function<Args, Out>,
    Args: Arguments,
    Out: Tree + 'static,
{
    let loc = Loc::caller();
    let name = name_of::<F>();
    let cache: RefCell<BTreeMap<Signature, Rc<Entry<Out>>>> = RefCell::default();
    F::boxed(move |args: &Args| {
        let key = signature(args);
        let hit = cache.borrow().get(&key).cloned();
        let entry = match hit {
            Some(entry) => entry,
            None => match watch(&name, args, &loc, |args| f.apply(args)) {
                Ok(traced) => {
                    let entry = Rc::new(Entry::new(traced));
                    // What is captured from a surrounding trace is gone when that trace ends.
                    if !entry.captured.iter().any(Tensor::is_traced) {
                        cache.borrow_mut().insert(key, entry.clone());
                    }
                    entry
                }
                Err(refused) => return refused,
            },
        };
        entry.call(&tree::tensors(args), &loc)
    })
}

impl<Out: Tree> Entry<Out> {
    fn new(traced: Traced<Out>) -> Entry<Out> {
        let graph = traced.lowered.graph;
        // Stand-ins of the same types, without the trace they would otherwise keep alive.
        let keep = trace::Trace::new();
        let shape = tree::map(&traced.out, |t| match t.ty() {
            Some(ty) => keep.argument(ty.clone(), "result", Loc::unknown()),
            None => t.clone(),
        });
        let callee = Arc::new(Callee { name: graph.name.as_str().into(), attrs: Vec::new(), body: graph });
        Entry { shape, callee, captured: traced.lowered.captured, programs: RefCell::default() }
    }

    fn call(&self, args: &[Tensor], loc: &Loc) -> Out {
        let mut all = args.iter().chain(&self.captured);
        let outputs = if all.any(|t| t.is_traced() || t.refusal().is_some()) {
            let all: Vec<Tensor> = args.iter().chain(&self.captured).cloned().collect();
            trace::call(&self.callee, &all, loc)
        } else {
            self.run(args, loc)
        };
        match outputs.and_then(|outputs| tree::unflatten(&self.shape, &outputs)) {
            Ok(out) => out,
            Err(why) => tree::map(&self.shape, |_| Tensor::refused(why.clone())),
        }
    }

    /// A run of the compiled program.
    fn run(&self, args: &[Tensor], loc: &Loc) -> Result<Vec<Tensor>> {
        let values = |tensors: &[Tensor]| -> Result<Vec<Data>> {
            crate::run::eval(tensors)?;
            tensors.iter().map(Tensor::data).collect()
        };
        let inputs = values(args)?;
        let device = Device::current();
        let program = self.programs.borrow().iter().find(|(d, _)| d.is(&device)).map(|(_, p)| p.clone());
        let program = match program {
            Some(program) => program,
            None => {
                let program = device.compile(&self.whole(args.len())?, &values(&self.captured)?)?;
                self.programs.borrow_mut().push((device, program.clone()));
                program
            }
        };
        Ok(program.run(&inputs)?.into_iter().map(|value| Tensor::known(value, loc.clone())).collect())
    }

    /// The body as a program of its own: what it captured are its weights.
    fn whole(&self, inputs: usize) -> Result<Graph> {
        let body = &self.callee.body;
        let mut graph = Graph::new(body.name.as_str());
        let mut ids = Vec::new();
        for (i, p) in body.params().iter().enumerate() {
            let kind = if i < inputs { ParamKind::Input } else { ParamKind::Weight };
            let node = body.node(*p);
            ids.push(graph.param(node.name.as_deref().unwrap_or(""), node.ty.clone(), kind, node.loc.clone()));
        }
        let outputs = graph.inline(body, &ids, &Loc::unknown())?;
        graph.set_outputs(outputs);
        Ok(graph)
    }
}

/// The graph of a function for arguments like these, to print or to give to another tool. The parameters are the
/// arguments' tensors in order, then what the function captured.
#[track_caller]
pub fn trace_graph<F, Args, Out>(f: &F, args: &Args) -> Result<Graph>
where
    F: Function<Args, Out>,
    Args: Arguments,
    Out: Tree + 'static,
{
    let loc = Loc::caller();
    match watch(&name_of::<F>(), args, &loc, |args| f.apply(args)) {
        Ok(traced) => Ok(traced.lowered.graph),
        Err(refused) => Err(tree::tensors(&refused).iter().find_map(|t| t.ok().err()).unwrap_or_else(|| {
            girih_base::Diag::error("T007", "the function gave no tensor").at(&loc, "this function")
        })),
    }
}

/// The function's own name; closures are called after the function they are written in.
pub(crate) fn name_of<F>() -> String {
    let full = std::any::type_name::<F>();
    let plain = full.split('<').next().unwrap_or(full);
    let mut parts = plain.rsplit("::").filter(|p| !p.starts_with('{'));
    parts.next().filter(|p| p.chars().all(|c| c.is_alphanumeric() || c == '_')).unwrap_or("f").to_string()
}
