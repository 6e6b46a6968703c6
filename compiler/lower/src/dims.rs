//! The sizes a tile kernel mentions.

use girih_base::Dim;
use girih_tile::{Block, Kernel, Op, View};

/// Calls `visit` for every size in a kernel.
pub fn kernel_dims(kernel: &Kernel, visit: &mut dyn FnMut(&Dim)) {
    kernel.params.iter().for_each(|p| visit(&p.len));
    kernel.grid.iter().for_each(&mut *visit);
    block(&kernel.body, visit);
}

fn block(b: &Block, visit: &mut dyn FnMut(&Dim)) {
    for s in &b.stmts {
        match &s.op {
            Op::Size(d) => visit(d),
            Op::Load { view: v, .. } | Op::Store { view: v, .. } => view(v, visit),
            Op::LoadQuant { rows, columns, .. } => {
                visit(rows);
                visit(columns);
            }
            _ => {}
        }
        s.op.blocks().into_iter().for_each(|b| block(b, visit));
    }
}

fn view(v: &View, visit: &mut dyn FnMut(&Dim)) {
    visit(&v.offset);
    for a in &v.axes {
        visit(&a.extent);
        visit(&a.stride);
    }
    for g in &v.guards {
        visit(&g.base);
        visit(&g.extent);
    }
}
