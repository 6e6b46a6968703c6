//! What becomes of a composite's name when it is batched.

use crate::ops::{Attr, Callee};
use std::sync::Arc;

/// The name and attributes of a callee whose arguments flagged in `args` have a new first axis. A known name is kept only
/// where its definition covers the new shapes; otherwise the name says that it is another function.
pub(crate) fn batched_composite(callee: &Callee, args: &[bool]) -> (Arc<str>, Vec<(&'static str, Attr)>) {
    let rank = |i: usize| callee.body.ty(callee.body.params()[i]).tensor().map_or(0, |t| t.rank());
    let mut attrs = callee.attrs.clone();
    let keeps = match (&*callee.name, args) {
        // `axis` counts from the front.
        ("softmax", [true]) => {
            for (_, attr) in &mut attrs {
                if let Attr::Ints(axes) = attr {
                    axes.iter_mut().for_each(|a| *a += 1);
                }
            }
            true
        }
        ("rms_norm", [true, false]) | ("layer_norm", [true, false, false]) => true,
        ("rope" | "rope_interleaved", [true, false, false]) => true,
        ("swiglu", [true, true]) => true,
        ("attention", [true, true, true]) => true,
        // A mask broadcasts from the last axes; a batched one must have all axes of the scores.
        ("attention", [true, true, true, mask]) => !mask || rank(3) == rank(0),
        _ => false,
    };
    if keeps { (callee.name.clone(), attrs) } else { (format!("{}.vmap", callee.name).into(), Vec::new()) }
}
