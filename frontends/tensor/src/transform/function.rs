//! Rust functions of one to six trees, and watching one run.

use crate::tensor::Tensor;
use crate::trace::{self, Lowered, Trace};
use crate::tree::{Path, Tree};
use girih_base::{Loc, Result};
use girih_graph::TensorTy;

/// The arguments of a function as one tree: a tuple.
pub trait Arguments: Tree + 'static {
    /// The first argument, by which `grad` differentiates.
    type First: Tree;
    /// Number of arguments.
    const COUNT: usize;
    /// The first argument.
    fn first(&self) -> &Self::First;
}

/// A function of trees that gives a tree: `fn(&A, &B, ..) -> Out`. Closures need their argument types written out.
pub trait Function<Args: Arguments, Out: Tree>: 'static {
    /// A function of the same arguments that gives an `R`.
    type Boxed<R>
    where
        R: 'static;

    /// Calls the function.
    fn apply(&self, args: &Args) -> Out;

    /// Gives a function of one tuple back its separate arguments.
    fn boxed<R: 'static>(f: impl Fn(&Args) -> R + 'static) -> Self::Boxed<R>;
}

macro_rules! arities {
    ($($count:literal ($($t:ident $x:ident $i:tt),+);)*) => {$(
        impl<$($t: Tree + 'static),+> Arguments for ($($t,)+) {
            type First = A;
            const COUNT: usize = $count;
            fn first(&self) -> &A {
                &self.0
            }
        }

        impl<Func, Out: Tree, $($t: Tree + 'static),+> Function<($($t,)+), Out> for Func
        where
            Func: Fn($(&$t),+) -> Out + 'static,
        {
            type Boxed<R> = Box<dyn Fn($(&$t),+) -> R> where R: 'static;
            fn apply(&self, args: &($($t,)+)) -> Out {
                self($(&args.$i),+)
            }
            fn boxed<R: 'static>(f: impl Fn(&($($t,)+)) -> R + 'static) -> Self::Boxed<R> {
                Box::new(move |$($x: &$t),+| f(&($($x.clone(),)+)))
            }
        }
    )*};
}

arities! {
    1 (A a 0);
    2 (A a 0, B b 1);
    3 (A a 0, B b 1, C c 2);
    4 (A a 0, B b 1, C c 2, D d 3);
    5 (A a 0, B b 1, C c 2, D d 3, E e 4);
    6 (A a 0, B b 1, C c 2, D d 3, E e 4, F f 5);
}

/// A function that was watched once.
pub(crate) struct Traced<Out> {
    /// What it returned, in terms of the stand-ins.
    pub out: Out,
    /// It as a graph; parameters are the arguments' tensors in order, then what it captured.
    pub lowered: Lowered,
}

/// Runs `f` on stand-ins for `args`. The result tree comes back in either case, refused in the second.
pub(crate) fn watch<Args: Tree, Out: Tree>(
    name: &str,
    args: &Args,
    loc: &Loc,
    f: impl FnOnce(&Args) -> Out,
) -> Result<Traced<Out>, Out> {
    watch_as(name, args, loc, |_, ty| ty.clone(), f)
}

/// [`watch`] with stand-ins of other types, made from the path and the type of each tensor.
pub(crate) fn watch_as<Args: Tree, Out: Tree>(
    name: &str,
    args: &Args,
    loc: &Loc,
    ty_of: impl Fn(&str, &TensorTy) -> TensorTy,
    f: impl FnOnce(&Args) -> Out,
) -> Result<Traced<Out>, Out> {
    let trace = Trace::new();
    let mut arguments = Vec::new();
    let stand_ins = args.map(&mut Path::default(), &mut |path, t| match t.ty() {
        None => t.clone(),
        Some(ty) => {
            let name = t.name();
            let at = if t.0.loc.is_known() { t.0.loc.clone() } else { loc.clone() };
            let argument = trace.argument(ty_of(path, ty), name.as_deref().unwrap_or(&format!("arg{path}")), at);
            arguments.push(argument.clone());
            argument
        }
    });
    let out = f(&stand_ins);
    let given = crate::tree::tensors(args);
    let lowered = given.iter().try_for_each(Tensor::ok).and_then(|()| {
        let outputs = crate::tree::tensors(&out);
        trace::lower(name, Some(trace), &arguments, &outputs)
    });
    match lowered {
        Ok(lowered) => Ok(Traced { out, lowered }),
        Err(why) => Err(crate::tree::map(&out, |_| Tensor::refused(why.clone()))),
    }
}
