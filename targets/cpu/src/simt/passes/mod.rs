//! Rewrites of SIMT IR before it becomes instructions, each from kernel to kernel: loops in which threads stride
//! ([`strides`]), sums that count up with the threads ([`sums`]), and what nobody needs ([`dead`]).

pub(super) mod dead;
pub(super) mod strides;
pub(super) mod sums;
