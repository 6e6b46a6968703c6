//! `grad`, `value_and_grad`, `jvp`: derivatives of functions, taken of their graphs.

use super::function::{Arguments, Function, Traced, watch};
use super::jit::name_of;
use crate::tensor::Tensor;
use crate::trace;
use crate::tree::{self, Tree};
use girih_base::{Diag, Loc, Result};

/// The gradient of a function that gives one float: a tree like its first argument, of the derivatives by every tensor in it.
///
/// ```
/// # use girih::prelude::*;
/// let slope = grad(|x: &Tensor| x.square().sum(..));
/// let x = Tensor::new(&[1f32, -2.0, 3.0], [3]);
/// assert_eq!(slope(&x).to_vec::<f32>()?, [2.0, -4.0, 6.0]);
///
/// // It is a function like any other: here the second derivative.
/// let curvature = grad(move |x: &Tensor| slope(x).sum(..));
/// assert_eq!(curvature(&x).to_vec::<f32>()?, [2.0, 2.0, 2.0]);
/// # Ok::<(), Box<Diag>>(())
/// ```
#[track_caller]
pub fn grad<F, Args>(f: F) -> F::Boxed<Args::First>
where
    F: Function<Args, Tensor>,
    Args: Arguments,
{
    let loc = Loc::caller();
    F::boxed(move |args: &Args| differentiate(name_of::<F>(), args, &loc, |args| (f.apply(args), ())).1)
}

/// The value of a function that gives one float, and its gradient by the first argument.
#[track_caller]
pub fn value_and_grad<F, Args>(f: F) -> F::Boxed<(Tensor, Args::First)>
where
    F: Function<Args, Tensor>,
    Args: Arguments,
{
    let loc = Loc::caller();
    F::boxed(move |args: &Args| {
        let ((value, ()), gradient) = differentiate(name_of::<F>(), args, &loc, |args| (f.apply(args), ()));
        (value, gradient)
    })
}

/// [`value_and_grad`] of a function that gives one float and something else besides, which comes out unchanged:
/// `((value, more), gradient)`.
#[track_caller]
pub fn value_and_grad_with<F, Args, More>(f: F) -> F::Boxed<((Tensor, More), Args::First)>
where
    F: Function<Args, (Tensor, More)>,
    Args: Arguments,
    More: Tree + 'static,
{
    let loc = Loc::caller();
    F::boxed(move |args: &Args| differentiate(name_of::<F>(), args, &loc, |args| f.apply(args)))
}

fn differentiate<Args: Arguments, More: Tree>(
    name: String,
    args: &Args,
    loc: &Loc,
    f: impl FnOnce(&Args) -> (Tensor, More),
) -> ((Tensor, More), Args::First) {
    let given = tree::tensors(args);
    let count = tree::tensors(args.first()).len();
    let refuse = |out: &(Tensor, More), why: Box<Diag>| {
        let refused = |_: &Tensor| Tensor::refused(why.clone());
        (tree::map(out, refused), tree::map(args.first(), refused))
    };
    let Traced { out, lowered } = match watch(&name, args, loc, f) {
        Ok(traced) => traced,
        Err(refused) => {
            let why = tree::tensors(&refused).iter().find_map(|t| t.ok().err());
            return refuse(&refused, why.unwrap_or_else(|| no_tensor(loc)));
        }
    };
    let derived = check_float(&given[..count], loc).and_then(|()| {
        let wrt: Vec<usize> = (0..count).collect();
        let graph = girih_graph::grad::value_and_grad(&lowered.graph, &wrt)
            .map_err(|why| why.at(loc, "differentiated here"))?;
        let all: Vec<Tensor> = given.iter().chain(&lowered.captured).cloned().collect();
        let outputs = trace::splice(&graph, &all)?;
        let values = outputs.len().saturating_sub(count);
        Ok((tree::unflatten(&out, &outputs[..values])?, tree::unflatten(args.first(), &outputs[values..])?))
    });
    derived.unwrap_or_else(|why| refuse(&out, why))
}

/// What [`jvp`] gives: from arguments and tangents, the results and theirs.
pub type Pushforward<Args, Out> = Box<dyn Fn(&Args, &Args) -> (Out, Out)>;

/// The derivative of a function along a direction: from arguments and a tree like them of tangents, the results and their
/// tangents. Tensors that are not floats have no tangent: theirs is ignored, and comes out as it was.
///
/// ```
/// # use girih::prelude::*;
/// let push = jvp(|x: &Tensor| x.square());
/// let x = Tensor::new(&[1f32, 2.0], [2]);
/// let (y, dy) = push(&(x.clone(),), &(x.ones_like(),));
/// assert_eq!((y.to_vec::<f32>()?, dy.to_vec::<f32>()?), (vec![1.0, 4.0], vec![2.0, 4.0]));
/// # Ok::<(), Box<Diag>>(())
/// ```
#[track_caller]
pub fn jvp<F, Args, Out>(f: F) -> Pushforward<Args, Out>
where
    F: Function<Args, Out>,
    Args: Arguments,
    Out: Tree + 'static,
{
    let loc = Loc::caller();
    Box::new(move |args: &Args, tangents: &Args| {
        let Traced { out, lowered } = match watch(&name_of::<F>(), args, &loc, |args| f.apply(args)) {
            Ok(traced) => traced,
            Err(refused) => return (refused.clone(), refused),
        };
        let given = tree::tensors(args);
        let directions = tree::tensors(tangents);
        let is_float = |t: &Tensor| t.dtype().is_float();
        let pushed = (|| {
            if directions.len() != given.len() {
                let why = format!("{} tangents for {} tensors", directions.len(), given.len());
                return Err(Diag::error("T020", why).at(&loc, "differentiated here"));
            }
            let wrt: Vec<usize> = (0..given.len()).filter(|i| is_float(&given[*i])).collect();
            let graph =
                girih_graph::grad::jvp(&lowered.graph, &wrt).map_err(|why| why.at(&loc, "differentiated here"))?;
            let along = wrt.iter().map(|i| &directions[*i]);
            let all: Vec<Tensor> = given.iter().chain(&lowered.captured).chain(along).cloned().collect();
            let outputs = trace::splice(&graph, &all)?;
            let count = tree::tensors(&out).len();
            let (values, moved) = outputs.split_at(count.min(outputs.len()));
            let mut moved = moved.iter();
            let moved: Vec<Tensor> = values
                .iter()
                .map(|v| if is_float(v) { moved.next().cloned().unwrap_or_else(|| v.zeros_like()) } else { v.clone() })
                .collect();
            Ok((tree::unflatten(&out, values)?, tree::unflatten(&out, &moved)?))
        })();
        pushed.unwrap_or_else(|why: Box<Diag>| {
            let refused = tree::map(&out, |_| Tensor::refused(why.clone()));
            (refused.clone(), refused)
        })
    })
}

/// Derivatives exist by floats only.
fn check_float(tensors: &[Tensor], loc: &Loc) -> Result<()> {
    match tensors.iter().find(|t| t.ty().is_some_and(|ty| !ty.dtype.is_float())) {
        None => Ok(()),
        Some(t) => Err(Diag::error("T021", format!("no derivative by {}", t.describe()))
            .at(loc, "differentiated here")
            .at(&t.0.loc, "the tensor was made here")
            .help("differentiate by floats; pass integers as a later argument")),
    }
}

fn no_tensor(loc: &Loc) -> Box<Diag> {
    Diag::error("T007", "the function gave no tensor").at(loc, "this function")
}
