//! The operation kinds, one file each (or one for a pair that belongs together).
//!
//! A kind is a plain struct of attributes and an implementation of [`Rule`]. To add one: its file here, a row in
//! the `ops!` list below, and its lowering.

mod call;
mod collective;
mod concat;
mod cond;
mod dot;
mod dynamic;
mod fold;
mod gather;
mod kernel;
mod layout;
mod leaf;
mod looping;
mod map;
mod monoid;
mod pad;
mod reduce;
mod reverse;
mod scan;
mod scatter;
mod slice;
mod sort;
mod tuple;
mod window;

pub use call::{Attr, Call, Callee};
pub use collective::{Collective, CollectiveKind};
pub use concat::Concat;
pub use cond::Cond;
pub use dot::{Dot, Precision};
pub use dynamic::{DynSlice, DynUpdate};
pub use gather::Gather;
pub use kernel::{Kernel, KernelLevel};
pub use layout::{Broadcast, Permute, Reshape};
pub use leaf::{Const, Iota, Param};
pub use looping::{Loop, LoopKind};
pub use map::{Bitcast, Cast};
pub use monoid::Monoid;
pub use pad::Pad;
pub use reduce::Reduce;
pub use reverse::Reverse;
pub use scan::Scan;
pub use scatter::{Combine, Scatter};
pub use slice::Slice;
pub use sort::Sort;
pub use tuple::{Fence, Proj, Tuple};
pub use window::{Window, WindowAxis};

use crate::batch::{Batch, Batcher, Lane};
use crate::eval::Eval;
use crate::grad::{Backward, Cotangents, Site, Vjp};
use crate::graph::NodeId;
use crate::text::attrs::{Attrs, Fields, Item};
use crate::ty::{TensorTy, Ty};
use girih_base::ScalarOp;

/// What every kind of operation must say of itself.
pub trait Rule {
    /// Name in the text form.
    fn name(&self) -> &'static str;
    /// The type of the result, or why the operands do not fit.
    fn infer(&self, operands: &[&Ty]) -> Result<Ty, String>;
}

macro_rules! ops {
    ($($(#[$doc:meta])* $variant:ident($payload:ty),)*) => {
        /// An operation with its attributes. Operands are edges of the graph, not part of this.
        #[derive(Clone, Debug, PartialEq, Eq, Hash)]
        pub enum Op { $($(#[$doc])* $variant($payload),)* }

        impl Op {
            fn rule(&self) -> &dyn Rule { match self { $(Op::$variant(p) => p,)* } }

            /// The attributes as data, in order; none for parameters and scalar operations, whose name says all.
            pub fn attrs(&self) -> Vec<(&'static str, Item)> {
                match self { $(Op::$variant(p) => Attrs::attrs(p),)* }
            }

            /// The kind of that name with these attributes.
            pub(crate) fn read(name: &str, fields: &mut Fields) -> Result<Op, String> {
                if let Some(op) = ScalarOp::from_name(name) {
                    return Ok(Op::Map(op));
                }
                $(if <$payload as Attrs>::NAME == name {
                    return Ok(Op::$variant(Attrs::read(fields)?));
                })*
                Err(format!("no operation `{name}`"))
            }

            /// The meaning of the kind.
            pub(crate) fn meaning(&self) -> &dyn Eval { match self { $(Op::$variant(p) => p,)* } }

            fn batching(&self) -> &dyn Batch { match self { $(Op::$variant(p) => p,)* } }

            fn derivative(&self) -> &dyn Vjp { match self { $(Op::$variant(p) => p,)* } }
        }

        $(impl From<$payload> for Op { fn from(p: $payload) -> Op { Op::$variant(p) } })*
    };
}

ops! {
    /// A value from outside.
    Param(Param),
    /// A value known now.
    Const(Const),
    /// Counts 0, 1, 2, ... along one axis.
    Iota(Iota),
    /// A scalar operation on every element; all operands have one shape.
    Map(ScalarOp),
    /// Value-preserving conversion to another dtype, rounded to nearest even; float to integer truncates and saturates.
    Cast(Cast),
    /// The same bits under another dtype of the same width.
    Bitcast(Bitcast),
    /// The same elements in row-major order under another shape.
    Reshape(Reshape),
    /// Axes in another order.
    Permute(Permute),
    /// New axes along which the value repeats.
    Broadcast(Broadcast),
    /// A rectangular, possibly strided part.
    Slice(Slice),
    /// A border (and gaps) of one value.
    Pad(Pad),
    /// Axes walked backwards.
    Reverse(Reverse),
    /// Sliding windows as extra trailing axes.
    Window(Window),
    /// Operands one after the other along an axis.
    Concat(Concat),
    /// Batched contraction of two tensors.
    Dot(Dot),
    /// Axes folded by a monoid.
    Reduce(Reduce),
    /// Prefix folds along an axis.
    Scan(Scan),
    /// Slices at computed positions.
    Gather(Gather),
    /// Slices combined into computed positions.
    Scatter(Scatter),
    /// One slice at a computed position, clamped inside.
    DynSlice(DynSlice),
    /// One slice replaced at a computed position, clamped inside.
    DynUpdate(DynUpdate),
    /// Stable sort along an axis.
    Sort(Sort),
    /// Repeats a body.
    Loop(Loop),
    /// Runs one of several bodies.
    Cond(Cond),
    /// Calls a body; a composite operation when the callee's name is known to a target.
    Call(Call),
    /// Several values as one.
    Tuple(Tuple),
    /// One value of several.
    Proj(Proj),
    /// The identity, across which nothing is fused or rewritten.
    Fence(Fence),
    /// Values exchanged between the replicas of a program.
    Collective(Collective),
    /// A kernel written by hand in Tile or SIMT IR.
    Kernel(Kernel),
}

impl Rule for Op {
    fn name(&self) -> &'static str {
        self.rule().name()
    }
    fn infer(&self, operands: &[&Ty]) -> Result<Ty, String> {
        self.rule().infer(operands)
    }
}

impl Batch for Op {
    fn batch(&self, b: &mut Batcher, args: &[Lane]) -> girih_base::Result<Vec<Lane>> {
        self.batching().batch(b, args)
    }
}

impl Vjp for Op {
    fn vjp(&self, b: &mut Backward, at: &Site, cts: &[Option<NodeId>]) -> Cotangents {
        self.derivative().vjp(b, at, cts)
    }
}

/// The operands as tensors, exactly `N` of them.
pub(crate) fn tensors<'a, const N: usize>(operands: &[&'a Ty]) -> Result<[&'a TensorTy; N], String> {
    let list = all_tensors(operands)?;
    let got = list.len();
    list.try_into().map_err(|_| format!("takes {N} operands, got {got}"))
}

/// The operands as tensors, any number of them.
pub(crate) fn all_tensors<'a>(operands: &[&'a Ty]) -> Result<Vec<&'a TensorTy>, String> {
    operands.iter().map(|t| t.tensor().ok_or_else(|| format!("takes tensors, got {t}"))).collect()
}

/// Refuses an axis that the rank does not have.
pub(crate) fn check_axis(axis: usize, t: &TensorTy) -> Result<(), String> {
    if axis < t.rank() { Ok(()) } else { Err(format!("axis {axis} does not exist in {t}")) }
}

/// Refuses axes that are out of range or named twice.
pub(crate) fn check_axes(axes: &[usize], t: &TensorTy) -> Result<(), String> {
    for (i, a) in axes.iter().enumerate() {
        check_axis(*a, t)?;
        if axes[..i].contains(a) {
            return Err(format!("axis {a} is named twice"));
        }
    }
    Ok(())
}

/// Refuses an attribute list whose length is not the rank.
pub(crate) fn check_rank(what: &str, len: usize, t: &TensorTy) -> Result<(), String> {
    if len == t.rank() { Ok(()) } else { Err(format!("{len} {what} for {t}, which has {} axes", t.rank())) }
}
