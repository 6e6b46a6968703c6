//! The evaluator, kind by kind, against values worked out by hand.

#![allow(clippy::unwrap_used, clippy::panic)]

mod control;
mod elements;
mod folds;
mod indexed;
mod shapes;

use girih_base::{Bindings, DType, Loc};
use girih_graph::eval::{Array, Value};
use girih_graph::{Graph, NodeId, Op, ParamKind};

/// Evaluates one operation on arrays.
fn run(op: impl Into<Op>, args: &[Array]) -> Value {
    try_run(op, args).unwrap()
}

fn try_run(op: impl Into<Op>, args: &[Array]) -> girih_base::Result<Value> {
    let mut g = Graph::new("test");
    let params = params(&mut g, args);
    let node = g.push(op, &params)?;
    g.set_outputs(vec![node]);
    let inputs: Vec<Value> = args.iter().cloned().map(Value::from).collect();
    Ok(g.eval(&inputs, &Bindings::new())?.remove(0))
}

fn params(g: &mut Graph, args: &[Array]) -> Vec<NodeId> {
    args.iter().map(|a| g.param("x", a.ty(), ParamKind::Input, Loc::unknown())).collect()
}

/// The elements of the one array that the operation gives.
fn floats(op: impl Into<Op>, args: &[Array]) -> Vec<f64> {
    run(op, args).array().unwrap().to_f64()
}

/// The elements of each array of the tuple that the operation gives.
fn tuple(op: impl Into<Op>, args: &[Array]) -> Vec<Vec<f64>> {
    match run(op, args) {
        Value::Tuple(items) => items.iter().map(|v| v.array().unwrap().to_f64()).collect(),
        Value::Array(a) => panic!("expected a tuple, got {}", a.ty()),
    }
}

fn f32s(shape: &[usize], elements: &[f32]) -> Array {
    Array::f32(shape, elements)
}

fn ints(dtype: DType, shape: &[usize], elements: &[i128]) -> Array {
    Array::from_ints(dtype, shape, elements.iter().copied())
}

/// 0, 1, 2, ... in f32.
fn count(shape: &[usize]) -> Array {
    Array::from_f64(DType::F32, shape, (0..shape.iter().product()).map(|i: usize| i as f64))
}
