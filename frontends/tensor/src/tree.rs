//! Trees of tensors: parameter structs, tuples, lists of layers. What the transformations take and give.

use crate::tensor::Tensor;
use girih_base::{Diag, Result};
use std::fmt::{Debug, Write};

pub use girih_macros::Tree;

/// A value with tensors in it, at paths such as `layers[0].w`.
///
/// Derive it for structs: every field must be a `Tree` too; a field that holds no tensors (a head count, an epsilon) is
/// marked `#[tree(fixed)]`, is carried along unchanged, and decides together with the shapes whether a function must be
/// compiled anew.
///
/// ```
/// # use girih::prelude::*;
/// #[derive(Clone, Tree)]
/// struct Linear { w: Tensor, b: Option<Tensor>, #[tree(fixed)] eps: f32 }
///
/// let layer = Linear { w: Tensor::ones(DType::F32, [2, 3]), b: None, eps: 1e-5 };
/// assert_eq!(girih::tree::paths(&layer), ["w"]);
/// ```
pub trait Tree: Clone {
    /// Visits every tensor and every fixed value, in order.
    fn visit(&self, path: &mut Path, visitor: &mut dyn Visitor);

    /// The same structure with every tensor replaced by what `f` makes of it, in the order of [`Tree::visit`].
    fn map(&self, path: &mut Path, f: &mut dyn FnMut(&str, &Tensor) -> Tensor) -> Self;
}

/// What [`Tree::visit`] calls.
pub trait Visitor {
    /// A tensor.
    fn leaf(&mut self, path: &str, tensor: &Tensor);
    /// A value that is no tensor: part of the structure.
    fn fixed(&mut self, _path: &str, _value: &dyn Debug) {}
}

impl<F: FnMut(&str, &Tensor)> Visitor for F {
    fn leaf(&mut self, path: &str, tensor: &Tensor) {
        self(path, tensor);
    }
}

/// The way from the root of a tree to where a walk is.
#[derive(Default)]
pub struct Path(String);

impl Path {
    /// The root, which may have a name.
    pub fn root(name: &str) -> Path {
        Path(name.into())
    }

    /// The path as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Runs `f` one field further.
    pub fn field<R>(&mut self, name: &str, f: impl FnOnce(&mut Path) -> R) -> R {
        let len = self.0.len();
        if len > 0 {
            self.0.push('.');
        }
        self.0.push_str(name);
        let result = f(self);
        self.0.truncate(len);
        result
    }

    /// Runs `f` one element further.
    pub fn index<R>(&mut self, index: usize, f: impl FnOnce(&mut Path) -> R) -> R {
        let len = self.0.len();
        let _ = write!(self.0, "[{index}]");
        let result = f(self);
        self.0.truncate(len);
        result
    }
}

/// Every tensor with its path, in order.
pub fn leaves<T: Tree>(tree: &T) -> Vec<(String, Tensor)> {
    let mut out = Vec::new();
    tree.visit(&mut Path::default(), &mut |path: &str, t: &Tensor| out.push((path.to_string(), t.clone())));
    out
}

/// The path of every tensor, in order.
pub fn paths<T: Tree>(tree: &T) -> Vec<String> {
    leaves(tree).into_iter().map(|(path, _)| path).collect()
}

/// The tensors, in order.
pub fn tensors<T: Tree>(tree: &T) -> Vec<Tensor> {
    leaves(tree).into_iter().map(|(_, t)| t).collect()
}

/// The tree with every tensor replaced.
pub fn map<T: Tree>(tree: &T, mut f: impl FnMut(&Tensor) -> Tensor) -> T {
    tree.map(&mut Path::default(), &mut |_, t| f(t))
}

/// The tree with every tensor replaced, given its path.
pub fn map_with_path<T: Tree>(tree: &T, mut f: impl FnMut(&str, &Tensor) -> Tensor) -> T {
    tree.map(&mut Path::default(), &mut |path, t| f(path, t))
}

/// Combines two trees of one structure leaf by leaf; where they differ in structure, the result is refused.
pub fn zip<T: Tree>(a: &T, b: &T, mut f: impl FnMut(&Tensor, &Tensor) -> Tensor) -> T {
    let others = leaves(b);
    let mut at = 0;
    let same = paths(a).len() == others.len();
    map_with_path(a, |path, x| {
        at += 1;
        match others.get(at - 1) {
            Some((p, y)) if same && p == path => f(x, y),
            _ => Tensor::refused(
                Diag::error("T020", format!("two trees differ at `{path}`"))
                    .note(format!("the first has {} tensors, the second {}", paths(a).len(), others.len()))
                    .help("both must come from one structure: as many layers, the same optional parts"),
            ),
        }
    })
}

/// The tree with these tensors in place of its own, in order; refuses another number of them.
pub fn unflatten<T: Tree>(like: &T, tensors: &[Tensor]) -> Result<T> {
    let count = paths(like).len();
    if count != tensors.len() {
        return Err(Diag::error("T020", format!("{} tensors for a tree of {count}", tensors.len())));
    }
    let mut next = tensors.iter();
    Ok(map(like, |old| next.next().unwrap_or(old).clone()))
}

/// Computes every tensor of a tree, in one program.
pub fn eval<T: Tree>(tree: &T) -> Result<()> {
    crate::run::eval(&tensors(tree))
}

/// The tree with the elements of every tensor computed and its history let go: what a training loop carries on.
pub fn detach<T: Tree>(tree: &T) -> Result<T> {
    eval(tree)?;
    Ok(map(tree, Tensor::detach))
}

/// Number of elements of all tensors together; symbolic shapes count nothing.
pub fn count<T: Tree>(tree: &T) -> u64 {
    let elements = |t: &Tensor| t.ty().and_then(|ty| ty.elements().as_const()).and_then(|n| u64::try_from(n).ok());
    tensors(tree).iter().filter_map(elements).sum()
}

impl Tree for Tensor {
    fn visit(&self, path: &mut Path, visitor: &mut dyn Visitor) {
        visitor.leaf(path.as_str(), self);
    }
    fn map(&self, path: &mut Path, f: &mut dyn FnMut(&str, &Tensor) -> Tensor) -> Tensor {
        f(path.as_str(), self)
    }
}

impl<T: Tree> Tree for Vec<T> {
    fn visit(&self, path: &mut Path, visitor: &mut dyn Visitor) {
        visitor.fixed(path.as_str(), &self.len());
        self.iter().enumerate().for_each(|(i, x)| path.index(i, |p| x.visit(p, visitor)));
    }
    fn map(&self, path: &mut Path, f: &mut dyn FnMut(&str, &Tensor) -> Tensor) -> Vec<T> {
        self.iter().enumerate().map(|(i, x)| path.index(i, |p| x.map(p, f))).collect()
    }
}

impl<T: Tree, const N: usize> Tree for [T; N] {
    fn visit(&self, path: &mut Path, visitor: &mut dyn Visitor) {
        self.iter().enumerate().for_each(|(i, x)| path.index(i, |p| x.visit(p, visitor)));
    }
    fn map(&self, path: &mut Path, f: &mut dyn FnMut(&str, &Tensor) -> Tensor) -> [T; N] {
        std::array::from_fn(|i| path.index(i, |p| self[i].map(p, f)))
    }
}

impl<T: Tree> Tree for Option<T> {
    fn visit(&self, path: &mut Path, visitor: &mut dyn Visitor) {
        visitor.fixed(path.as_str(), &self.is_some());
        self.iter().for_each(|x| x.visit(path, visitor));
    }
    fn map(&self, path: &mut Path, f: &mut dyn FnMut(&str, &Tensor) -> Tensor) -> Option<T> {
        self.as_ref().map(|x| x.map(path, f))
    }
}

impl<T: Tree> Tree for Box<T> {
    fn visit(&self, path: &mut Path, visitor: &mut dyn Visitor) {
        (**self).visit(path, visitor);
    }
    fn map(&self, path: &mut Path, f: &mut dyn FnMut(&str, &Tensor) -> Tensor) -> Box<T> {
        Box::new((**self).map(path, f))
    }
}

impl<T: Tree> Tree for std::collections::BTreeMap<String, T> {
    fn visit(&self, path: &mut Path, visitor: &mut dyn Visitor) {
        visitor.fixed(path.as_str(), &self.len());
        self.iter().for_each(|(name, x)| path.field(name, |p| x.visit(p, visitor)));
    }
    fn map(&self, path: &mut Path, f: &mut dyn FnMut(&str, &Tensor) -> Tensor) -> Self {
        self.iter().map(|(name, x)| (name.clone(), path.field(name, |p| x.map(p, f)))).collect()
    }
}

impl Tree for () {
    fn visit(&self, _: &mut Path, _: &mut dyn Visitor) {}
    fn map(&self, _: &mut Path, _: &mut dyn FnMut(&str, &Tensor) -> Tensor) {}
}

macro_rules! tuples {
    ($(($($t:ident $i:tt)+))*) => {$(
        impl<$($t: Tree),+> Tree for ($($t,)+) {
            fn visit(&self, path: &mut Path, visitor: &mut dyn Visitor) {
                $(path.field(stringify!($i), |p| self.$i.visit(p, visitor));)+
            }
            fn map(&self, path: &mut Path, f: &mut dyn FnMut(&str, &Tensor) -> Tensor) -> Self {
                ($(path.field(stringify!($i), |p| self.$i.map(p, f)),)+)
            }
        }
    )*};
}

tuples! {
    (A 0)
    (A 0 B 1)
    (A 0 B 1 C 2)
    (A 0 B 1 C 2 D 3)
    (A 0 B 1 C 2 D 3 E 4)
    (A 0 B 1 C 2 D 3 E 4 F 5)
    (A 0 B 1 C 2 D 3 E 4 F 5 G 6)
    (A 0 B 1 C 2 D 3 E 4 F 5 G 6 H 7)
}
