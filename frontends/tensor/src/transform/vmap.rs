//! `vmap`: a function of one example becomes a function of a batch of them.

use super::function::{Arguments, Function, Traced, watch_as};
use super::jit::name_of;
use crate::tensor::Tensor;
use crate::trace;
use crate::tree::{self, Tree};
use girih_base::{Diag, Dim, Loc, Result};
use girih_graph::TensorTy;

/// Maps a function of one example over the first axis of every tensor of every argument; the results are stacked along a
/// new first axis.
///
/// ```
/// # use girih::prelude::*;
/// let dots = vmap(|a: &Tensor, b: &Tensor| (a * b).sum(..));
/// let x = Tensor::new(&[1f32, 2.0, 3.0, 4.0], [2, 2]);
/// assert_eq!(dots(&x, &x).to_vec::<f32>()?, [5.0, 25.0]);
/// # Ok::<(), Box<Diag>>(())
/// ```
#[track_caller]
pub fn vmap<F, Args, Out>(f: F) -> F::Boxed<Out>
where
    F: Function<Args, Out>,
    Args: Arguments,
    Out: Tree + 'static,
{
    over(f, vec![Some(0); Args::COUNT], Loc::caller())
}

/// [`vmap`] with the batch axis of each argument; `None` for one that all examples share.
///
/// ```
/// # use girih::prelude::*;
/// let each = vmap_over(|w: &Tensor, x: &Tensor| x.matmul(w), &[None, Some(0)]);
/// let y = each(&Tensor::ones(DType::F32, [3, 2]), &Tensor::ones(DType::F32, [5, 3]));
/// assert_eq!(y.dims::<2>()?, [5, 2]);
/// # Ok::<(), Box<Diag>>(())
/// ```
#[track_caller]
pub fn vmap_over<F, Args, Out>(f: F, axes: &[Option<usize>]) -> F::Boxed<Out>
where
    F: Function<Args, Out>,
    Args: Arguments,
    Out: Tree + 'static,
{
    over(f, axes.to_vec(), Loc::caller())
}

fn over<F, Args, Out>(f: F, axes: Vec<Option<usize>>, loc: Loc) -> F::Boxed<Out>
where
    F: Function<Args, Out>,
    Args: Arguments,
    Out: Tree + 'static,
{
    F::boxed(move |args: &Args| {
        let given = tree::leaves(args);
        let axis_of = |path: &str| axes.get(argument(path)).copied().flatten();
        let size = batch_size(&given, &axis_of, Args::COUNT, axes.len(), &loc);
        // An axis that a tensor lacks has been noticed above; the example is then never looked at.
        let example = |path: &str, ty: &TensorTy| {
            let mut ty = ty.clone();
            if let Some(axis) = axis_of(path).filter(|axis| *axis < ty.rank()) {
                ty.shape.remove(axis);
            }
            ty
        };
        let Traced { out, lowered } = match watch_as(&name_of::<F>(), args, &loc, example, |args| f.apply(args)) {
            Ok(traced) => traced,
            Err(refused) => match size {
                // The wrong batch is the cause of whatever went wrong inside.
                Err(why) => return tree::map(&refused, |_| Tensor::refused(why.clone())),
                Ok(_) => return refused,
            },
        };
        let mapped = size.and_then(|size| {
            let shared = lowered.captured.iter().map(|_| None);
            let in_axes: Vec<Option<usize>> = given.iter().map(|(path, _)| axis_of(path)).chain(shared).collect();
            let graph =
                girih_graph::batch::vmap(&lowered.graph, &in_axes, size).map_err(|why| why.at(&loc, "batched here"))?;
            let all: Vec<Tensor> = given.iter().map(|(_, t)| t).chain(&lowered.captured).cloned().collect();
            tree::unflatten(&out, &trace::splice(&graph, &all)?)
        });
        mapped.unwrap_or_else(|why| tree::map(&out, |_| Tensor::refused(why.clone())))
    })
}

/// The argument that a path starts in.
fn argument(path: &str) -> usize {
    path.split(['.', '[']).next().and_then(|first| first.parse().ok()).unwrap_or(0)
}

/// The extent that all batched tensors have in common.
fn batch_size(
    given: &[(String, Tensor)],
    axis_of: &dyn Fn(&str) -> Option<usize>,
    arguments: usize,
    axes: usize,
    loc: &Loc,
) -> Result<Dim> {
    if axes != arguments {
        return Err(Diag::error("T022", format!("{axes} batch axes for {arguments} arguments")).at(loc, "batched here"));
    }
    let mut found: Option<(Dim, &Tensor)> = None;
    for (path, t) in given {
        t.ok()?;
        let Some(axis) = axis_of(path) else { continue };
        let extent = t.shape().get(axis).cloned().ok_or_else(|| {
            Diag::error("T022", format!("no axis {axis} to batch in {}", t.describe()))
                .at(loc, "batched here")
                .at(&t.0.loc, "the tensor was made here")
        })?;
        match &found {
            Some((size, first)) if *size != extent => {
                return Err(Diag::error("T022", format!("batches of {size} and {extent} examples"))
                    .at(loc, "batched here")
                    .note(format!("one tensor is {}", first.describe()))
                    .note(format!("another is {}", t.describe()))
                    .help("all batched tensors must have as many examples; pass shared ones with `None`"));
            }
            Some(_) => {}
            None => found = Some((extent, t)),
        }
    }
    let none = || Diag::error("T022", "no argument is batched").at(loc, "batched here");
    found.map(|(size, _)| size).ok_or_else(none)
}
