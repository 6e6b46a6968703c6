//! Transformations of functions: compile, differentiate, batch. They take functions of trees by reference and give
//! functions of the same arguments, so they compose in any order.

mod function;
mod grad;
mod jit;
mod vmap;

pub use function::{Arguments, Function};
pub use grad::{Pushforward, grad, jvp, value_and_grad, value_and_grad_with};
pub use jit::{jit, trace_graph};
pub use vmap::{vmap, vmap_over};
