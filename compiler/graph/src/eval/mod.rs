//! The oracle: what a graph means, computed plainly.
//!
//! Floats are computed at f64 precision whatever their dtype, and rounded to the dtype only where a value enters
//! (parameters, constants, sizes) and where the graph says so (`Cast`); so the result is the mathematical one that a
//! target's rounded result is compared with. Integers are exact and wrap at their dtype. Nothing here is shared with
//! a target: speed comes last, though memory is given back after a value's last use.

pub mod array;
pub mod compare;
mod replicas;
pub(crate) mod view;

pub use array::{Array, Data, Value};
pub(crate) use replicas::exchanges;

use crate::graph::{Graph, NodeId};
use crate::ops::Op;
use crate::ty::Ty;
use girih_base::{Bindings, Diag, Dim, Result};

/// The meaning of one kind of operation; implemented in the kind's file.
pub trait Eval {
    /// The value of a node of type `ty`, given its operands, which have the types that inference accepted.
    fn eval(&self, args: &[Value], ty: &Ty, cx: &Cx) -> Result<Value>;
}

/// What evaluation needs besides operands.
#[derive(Clone, Copy)]
pub struct Cx<'a> {
    /// Values of the symbols.
    pub bindings: &'a Bindings,
    /// A `while` loop that runs longer is an error.
    pub max_rounds: u64,
    /// A value with more elements is an error, before it is allocated.
    pub max_elements: usize,
}

impl<'a> Cx<'a> {
    /// A context with the default limits: a million rounds of a `while` loop, 2^28 elements of a value.
    pub fn new(bindings: &'a Bindings) -> Cx<'a> {
        Cx { bindings, max_rounds: 1_000_000, max_elements: 1 << 28 }
    }

    /// The value of a size; its symbols must have values within their bounds.
    pub fn dim(&self, dim: &Dim) -> Result<i64> {
        for s in dim.symbols() {
            let value = self.bindings.get(&s.name).copied().unwrap_or(s.min);
            if value < s.min || value > s.max || value % s.multiple_of.max(1) != 0 {
                let rule = format!("it lies in {}..={} and is a multiple of {}", s.min, s.max, s.multiple_of);
                return Err(Diag::error("G203", format!("the size `{}` cannot be {value}", s.name)).note(rule));
            }
        }
        dim.eval(self.bindings).map_err(|name| {
            Diag::error("G203", format!("the size `{name}` has no value")).help("give it one in the bindings")
        })
    }

    /// The value of a size that cannot be negative.
    pub fn extent(&self, dim: &Dim) -> Result<usize> {
        let value = self.dim(dim)?;
        usize::try_from(value).map_err(|_| Diag::error("G203", format!("the extent {dim} is {value}")))
    }

    /// The value of a shape, refused when it has absurdly many elements.
    pub fn shape(&self, dims: &[Dim]) -> Result<Vec<usize>> {
        let shape = dims.iter().map(|d| self.extent(d)).collect::<Result<Vec<_>>>()?;
        let count = shape.iter().filter(|n| **n > 0).try_fold(1usize, |a, n| a.checked_mul(*n));
        match count {
            Some(n) if n <= self.max_elements => Ok(shape),
            _ => Err(Diag::error("G203", format!("{shape:?} is too large to evaluate"))
                .note(format!("the limit is {} elements", self.max_elements))
                .help("raise `Cx::max_elements` if that is right")),
        }
    }

    /// The extents of a tensor type.
    pub(crate) fn shape_of(&self, ty: &Ty) -> Result<Vec<usize>> {
        match ty {
            Ty::Tensor(t) => self.shape(&t.shape),
            Ty::Tuple(_) => Err(Diag::error("G205", "a tuple has no shape")),
        }
    }
}

impl Graph {
    /// Evaluates the graph. `inputs` are one value per parameter; floats among them are rounded to their dtype first.
    pub fn eval(&self, inputs: &[Value], bindings: &Bindings) -> Result<Vec<Value>> {
        self.eval_in(inputs, &Cx::new(bindings))
    }

    /// Evaluates the graph under limits of the caller's choice.
    pub fn eval_in(&self, inputs: &[Value], cx: &Cx) -> Result<Vec<Value>> {
        let inputs = self.check_inputs(inputs, cx)?;
        self.eval_body(inputs, cx)
    }

    fn check_inputs(&self, inputs: &[Value], cx: &Cx) -> Result<Vec<Value>> {
        if inputs.len() != self.params().len() {
            let (want, got) = (self.params().len(), inputs.len());
            return Err(Diag::error("G202", format!("`{}` takes {want} inputs, got {got}", self.name)));
        }
        let check = |(i, (input, param)): (usize, (&Value, &NodeId))| {
            let node = self.node(*param);
            rounded_input(input, &node.ty, cx).map_err(|e| {
                let name = node.name.as_deref().unwrap_or("");
                e.note(format!("input {i} `{name}` of `{}` is {}", self.name, node.ty)).at(&node.loc, "this parameter")
            })
        };
        inputs.iter().zip(self.params()).enumerate().map(check).collect()
    }

    /// Evaluates without looking at the inputs; bodies are called this way.
    pub(crate) fn eval_body(&self, inputs: Vec<Value>, cx: &Cx) -> Result<Vec<Value>> {
        if let Some(o) = self.outputs().iter().find(|o| o.0 as usize >= self.len()) {
            return Err(Diag::error("G202", format!("`{}` has no value %{} to put out", self.name, o.0)));
        }
        let live = self.live();
        let mut uses = vec![0usize; self.len()];
        for id in self.ids().filter(|id| live[id.0 as usize]) {
            self.operands(id).iter().for_each(|o| uses[o.0 as usize] += 1);
        }
        self.outputs().iter().for_each(|o| uses[o.0 as usize] += 1);

        let mut values: Vec<Option<Value>> = vec![None; self.len()];
        for (param, value) in self.params().iter().zip(inputs) {
            values[param.0 as usize] = Some(value);
        }
        for id in self.ids().filter(|id| live[id.0 as usize]) {
            let node = self.node(id);
            if matches!(node.op, Op::Param(_)) {
                continue;
            }
            let mut args = Vec::new();
            for operand in self.operands(id) {
                args.push(take(&mut values, &mut uses, operand)?);
            }
            let value =
                node.op.meaning().eval(&args, &node.ty, cx).map_err(|e| e.at(&node.loc, "in this operation"))?;
            values[id.0 as usize] = Some(value);
        }
        self.outputs().iter().map(|o| take(&mut values, &mut uses, *o)).collect()
    }
}

/// One use of a value: the last one takes it away.
fn take<T: Clone>(values: &mut [Option<T>], uses: &mut [usize], id: NodeId) -> Result<T> {
    let i = id.0 as usize;
    uses[i] -= 1;
    let value = if uses[i] == 0 { values[i].take() } else { values[i].clone() };
    value.ok_or_else(|| Diag::error("G202", format!("value %{i} is used before it is there")))
}

fn rounded_input(input: &Value, ty: &Ty, cx: &Cx) -> Result<Value> {
    match (input, ty) {
        (Value::Array(a), Ty::Tensor(t)) => {
            let shape = cx.shape(&t.shape)?;
            if a.dtype != t.dtype || a.shape != shape || a.len() != shape.iter().product::<usize>() {
                return Err(Diag::error("G202", format!("an input is {}, expected {}{shape:?}", a.ty(), t.dtype)));
            }
            Ok(a.as_ref().clone().rounded().into())
        }
        (Value::Tuple(items), Ty::Tuple(tys)) if items.len() == tys.len() => {
            Ok(Value::Tuple(items.iter().zip(tys).map(|(i, t)| rounded_input(i, t, cx)).collect::<Result<_>>()?))
        }
        _ => Err(Diag::error("G202", "an input is a tuple where a tensor is expected, or the other way round")),
    }
}

/// The operands as arrays, exactly `N` of them.
pub(crate) fn arrays<const N: usize>(args: &[Value]) -> Result<[&Array; N]> {
    let list = all_arrays(args)?;
    let got = list.len();
    list.try_into().map_err(|_| Diag::error("G205", format!("expected {N} operands, got {got}")))
}

/// The operands as arrays, any number of them.
pub(crate) fn all_arrays(args: &[Value]) -> Result<Vec<&Array>> {
    args.iter().map(Value::array).collect()
}
