//! How each kind of operation joins a random graph.

mod control;
mod elements;
mod folds;
mod indexed;
mod shapes;

use super::Grow;
use crate::ty::TensorTy;
use control::{call, cond, fence, repeat};
use elements::{bitcast, cast, fresh, iota, map};
use folds::{dot, reduce, scan, sort};
use girih_base::DType;
use indexed::{gather, scatter};
use shapes::{broadcast, concat, dyn_slice, dyn_update, pad, permute, reshape, reverse, slice, window};

macro_rules! kinds {
    ($($kind:ident $function:ident $weight:literal,)*) => {
        /// A kind of step.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Kind { $(#[doc = concat!("Appends `", stringify!($function), "`.")] $kind,)* }

        impl Kind {
            /// Every kind and how often it is tried by default.
            pub const WEIGHTS: &'static [(Kind, u32)] = &[$((Kind::$kind, $weight)),*];

            pub(super) fn grow(self, grow: &mut Grow) -> Option<()> {
                match self { $(Kind::$kind => $function(grow)),* }
            }
        }
    };
}

kinds! {
    Fresh fresh 4,
    Count iota 2,
    Map map 30,
    Cast cast 8,
    Bitcast bitcast 2,
    Reshape reshape 4,
    Permute permute 5,
    Broadcast broadcast 5,
    Slice slice 4,
    Pad pad 4,
    Reverse reverse 2,
    Window window 3,
    Concat concat 3,
    Dot dot 8,
    Reduce reduce 8,
    Scan scan 4,
    Gather gather 4,
    Scatter scatter 3,
    DynSlice dyn_slice 2,
    DynUpdate dyn_update 2,
    Sort sort 2,
    Loop repeat 2,
    Cond cond 2,
    Call call 3,
    Fence fence 1,
}

/// Whether arithmetic on the dtype is well conditioned enough to compare.
fn computes(dtype: DType) -> bool {
    !dtype.is_float() || dtype.bits() >= 16
}

/// The extent of an axis when it is a number above `low`.
fn known(ty: &TensorTy, axis: usize, low: i64) -> Option<usize> {
    ty.shape[axis].as_const().filter(|n| *n > low).map(|n| n as usize)
}
