//! Fixing the sizes of a kernel.

use crate::ir::{Block, Guard, Kernel, View, ViewAxis};
use crate::op::Op;
use girih_base::{Bindings, Dim};

/// The kernel with every symbol that has a binding replaced by its value, in parameters, grid, sizes and views.
pub fn bind(kernel: &Kernel, bindings: &Bindings) -> Kernel {
    let dim = |d: &mut Dim| *d = d.substitute(bindings);
    let mut kernel = kernel.clone();
    kernel.params.iter_mut().for_each(|p| dim(&mut p.len));
    kernel.grid.iter_mut().for_each(dim);
    block(&mut kernel.body, &dim);
    kernel
}

fn block(b: &mut Block, dim: &dyn Fn(&mut Dim)) {
    for s in &mut b.stmts {
        match &mut s.op {
            Op::Size(d) => dim(d),
            Op::Load { view, .. } | Op::Store { view, .. } => bind_view(view, dim),
            Op::LoadQuant { rows, columns, .. } => [rows, columns].into_iter().for_each(dim),
            _ => {}
        }
        s.op.blocks_mut().into_iter().for_each(|b| block(b, dim));
    }
}

fn bind_view(View { offset, axes, guards }: &mut View, dim: &dyn Fn(&mut Dim)) {
    dim(offset);
    for ViewAxis { extent, stride, inside: _ } in axes {
        [extent, stride].into_iter().for_each(dim);
    }
    for Guard { base, coeffs: _, extent } in guards {
        [base, extent].into_iter().for_each(dim);
    }
}
