//! Control flow that stays in the graph: loops whose length or end, and branches whose choice, is known only when the
//! program runs. Rust's own `for` and `if` are unrolled and decided while a function is traced.

use crate::tensor::Tensor;
use crate::trace::{self, Lowered, Trace};
use crate::tree::{self, Path, Tree};
use girih_base::{DType, Diag, Dim, Loc, Result};
use girih_graph::ops::{Cond, Loop, LoopKind};
use girih_graph::{Graph, Op, TensorTy};
use std::sync::Arc;

/// Repeats `body(round, carry) -> carry` for `rounds` rounds; the round is an i32 scalar. The carry keeps its structure,
/// shapes and dtypes. A loop of a known number of rounds can be differentiated.
///
/// ```
/// # use girih::prelude::*;
/// let x = Tensor::new(&[1f32, 2.0], [2]);
/// let y = control::repeat(10, &x, |_, x| x * 2.0);
/// assert_eq!(y.to_vec::<f32>()?, [1024.0, 2048.0]);
/// # Ok::<(), Box<Diag>>(())
/// ```
#[track_caller]
pub fn repeat<C: Tree>(rounds: impl Into<Dim>, init: &C, body: impl FnOnce(&Tensor, &C) -> C) -> C {
    let (loc, rounds, trace) = (Loc::caller(), rounds.into(), Trace::new());
    let round = trace.argument(TensorTy::scalar(DType::I32), "round", loc.clone());
    let (carry, mut arguments) = stand_ins(trace, init, &loc);
    let out = body(&round, &carry);
    arguments.insert(0, round);
    let looped = same_structure(init, &out, &loc).and_then(|()| {
        let Lowered { graph, captured, .. } = trace::lower("repeat", Some(trace), &arguments, &tree::tensors(&out))?;
        let carried = arguments.len() - 1;
        run(Loop { kind: LoopKind::For(rounds), body: Arc::new(graph), carried }.into(), carried, init, &captured, &loc)
    });
    looped.unwrap_or_else(|why| tree::map(init, |_| Tensor::refused(why.clone())))
}

/// Repeats `body(carry) -> carry` while `condition(carry)`, a bool scalar, holds.
#[track_caller]
pub fn repeat_while<C: Tree>(init: &C, condition: impl FnOnce(&C) -> Tensor, body: impl FnOnce(&C) -> C) -> C {
    let (loc, trace) = (Loc::caller(), Trace::new());
    let (carry, arguments) = stand_ins(trace, init, &loc);
    let (go_on, out) = (condition(&carry), body(&carry));
    let looped = same_structure(init, &out, &loc).and_then(|()| {
        // Lowered together, so that both bodies take the same captured tensors.
        let mut outputs = tree::tensors(&out);
        let carried = outputs.len();
        outputs.push(go_on);
        let Lowered { graph, captured, .. } = trace::lower("repeat_while", Some(trace), &arguments, &outputs)?;
        let kind = LoopKind::While(Arc::new(part(&graph, carried..carried + 1)?));
        let body = Arc::new(part(&graph, 0..carried)?);
        run(Loop { kind, body, carried }.into(), carried, init, &captured, &loc)
    });
    looped.unwrap_or_else(|why| tree::map(init, |_| Tensor::refused(why.clone())))
}

/// `yes(args)` if the bool scalar `condition` holds, else `no(args)`; only one of them is computed. Both give the same
/// structure, shapes and dtypes.
#[track_caller]
pub fn choose<A: Tree, Out: Tree>(
    condition: &Tensor,
    args: &A,
    yes: impl FnOnce(&A) -> Out,
    no: impl FnOnce(&A) -> Out,
) -> Out {
    let (loc, trace) = (Loc::caller(), Trace::new());
    let (stand_in, arguments) = stand_ins(trace, args, &loc);
    let (yes, no) = (yes(&stand_in), no(&stand_in));
    let chosen = same_structure(&yes, &no, &loc).and_then(|()| {
        let mut outputs = tree::tensors(&no);
        let count = outputs.len();
        outputs.extend(tree::tensors(&yes));
        let Lowered { graph, captured, .. } = trace::lower("choose", Some(trace), &arguments, &outputs)?;
        let branches = vec![Arc::new(part(&graph, 0..count)?), Arc::new(part(&graph, count..2 * count)?)];
        let operands = (condition.clone(), args.clone());
        let refs = tree::tensors(&operands);
        let outputs = apply(Cond { branches }.into(), count, &refs, &captured, &loc)?;
        tree::unflatten(&yes, &outputs)
    });
    chosen.unwrap_or_else(|why| tree::map(&yes, |_| Tensor::refused(why.clone())))
}

fn run<C: Tree>(op: Op, results: usize, init: &C, captured: &[Tensor], loc: &Loc) -> Result<C> {
    tree::unflatten(init, &apply(op, results, &tree::tensors(init), captured, loc)?)
}

/// The values of an operation whose result is a tuple.
fn apply(op: Op, results: usize, operands: &[Tensor], captured: &[Tensor], loc: &Loc) -> Result<Vec<Tensor>> {
    let refs: Vec<&Tensor> = operands.iter().chain(captured).collect();
    let outputs = trace::build(&refs, loc.clone(), |g, ids| {
        let tuple = g.push(op, ids)?;
        (0..results).map(|i| g.proj(tuple, i)).collect()
    });
    outputs.iter().try_for_each(Tensor::ok)?;
    Ok(outputs)
}

fn stand_ins<T: Tree>(trace: Trace, tree: &T, loc: &Loc) -> (T, Vec<Tensor>) {
    let mut arguments = Vec::new();
    let stand_ins = tree.map(&mut Path::root("carry"), &mut |path, t| match t.ty() {
        None => t.clone(),
        Some(ty) => {
            let argument = trace.argument(ty.clone(), t.name().as_deref().unwrap_or(path), loc.clone());
            arguments.push(argument.clone());
            argument
        }
    });
    (stand_ins, arguments)
}

/// The function that gives only some of a graph's outputs; all parameters stay.
fn part(graph: &Graph, outputs: std::ops::Range<usize>) -> Result<Graph> {
    let mut part = graph.clone();
    part.set_outputs(graph.outputs()[outputs].to_vec());
    part.compact()
}

fn same_structure<T: Tree>(want: &T, got: &T, loc: &Loc) -> Result<()> {
    tree::tensors(want).iter().chain(&tree::tensors(got)).try_for_each(Tensor::ok)?;
    if tree::paths(want) != tree::paths(got) {
        return Err(Diag::error("T020", "the two results differ in structure")
            .at(loc, "in this operation")
            .note(format!("one has the tensors {:?}", tree::paths(want)))
            .note(format!("the other {:?}", tree::paths(got))));
    }
    for ((path, a), (_, b)) in tree::leaves(want).iter().zip(&tree::leaves(got)) {
        if a.ty() != b.ty() {
            return Err(Diag::error(
                "T020",
                format!("`{path}` must keep its type: {} became {}", a.describe(), b.describe()),
            )
            .at(loc, "in this operation")
            .at(&b.0.loc, "the other type is made here"));
        }
    }
    Ok(())
}
