//! Long sorts: chunks are sorted in workgroup memory, then runs are merged pairwise from one buffer into another.

use super::merge::{Merge, gather};
use super::{Lines, Slot, Staged, sort_limit};
use crate::fuse::monoid::last_in_order;
use crate::target::TargetDesc;
use girih_base::{DType, Dim, ScalarOp};
use girih_graph::TensorTy;
use girih_tile::{Access, Builder, Kernel, Literal, Op, TileTy, ValueId};

/// The launches of a stable sort along lines of any length.
///
/// More operands than a kernel has buffers for: keys are sorted with their positions, then the others are fetched.
pub fn stage(
    operands: &[TensorTy],
    axis: usize,
    keys: usize,
    descending: bool,
    name: &str,
    desc: &TargetDesc,
) -> Staged {
    let lines = Lines::of(&operands[0].shape, axis);
    let mut dtypes: Vec<DType> = operands.iter().map(|t| t.dtype).collect();
    let fetched = dtypes.len() as u32 * 2 > desc.max_buffers;
    if fetched {
        dtypes.truncate(keys);
        dtypes.push(DType::I32);
    }
    let (n, length) = (dtypes.len(), operands[0].shape.clone());
    let chunk = sort_limit(&dtypes, desc).min(lines.most().next_power_of_two()) as u32;
    let mut widths = Vec::new();
    let mut width = chunk as u64;
    while width < lines.most() {
        widths.push(width);
        width *= 2;
    }
    // Each launch reads one set of buffers and writes the other; the last one writes the results.
    let own = |i: usize| if fetched && i == keys { Slot::Scratch(n) } else { Slot::Result(i) };
    let ends: [Vec<Slot>; 2] = [(0..n).map(own).collect(), (0..n).map(Slot::Scratch).collect()];
    let side = |left: usize| ends[left % 2].clone();
    let mut scratch: Vec<TensorTy> = dtypes.iter().map(|d| TensorTy { dtype: *d, shape: length.clone() }).collect();
    let given: Vec<Slot> = (0..n - fetched as usize).map(Slot::Operand).collect();
    let local = chunks(&format!("{name}_chunks"), &lines, &dtypes, keys, descending, chunk, fetched);
    let mut launches = vec![(local, [given, side(widths.len())].concat())];
    for (pass, width) in widths.iter().enumerate() {
        let merge = Merge { lines: &lines, dtypes: &dtypes, keys, descending, width: *width as i64 };
        let kernel = merge.kernel(&format!("{name}_merge"), desc.threads * desc.vector);
        let left = widths.len() - pass;
        launches.push((kernel, [side(left), side(left - 1)].concat()));
    }
    if fetched {
        scratch.push(TensorTy { dtype: DType::I32, shape: length });
        for (i, operand) in operands.iter().enumerate().skip(keys) {
            let kernel = gather(&format!("{name}_fetch"), &lines, operand.dtype, desc.threads * desc.vector);
            launches.push((kernel, vec![Slot::Scratch(n), Slot::Operand(i), Slot::Result(i)]));
        }
    }
    Staged { scratch, launches }
}

/// Sorts every chunk of every line. With `positions` the last output holds where in its line each element was.
fn chunks(
    name: &str,
    lines: &Lines,
    dtypes: &[DType],
    keys: usize,
    descending: bool,
    chunk: u32,
    positions: bool,
) -> Kernel {
    let mut b = Builder::new();
    let count = dtypes.len() - positions as usize;
    let param = |b: &mut Builder, what: &str, n: usize, access| -> Vec<usize> {
        (0..n).map(|i| b.param(&format!("{what}{i}"), dtypes[i], lines.elements(), access, false)).collect()
    };
    let inputs = param(&mut b, "x", count, Access::Read);
    let outputs = param(&mut b, "y", dtypes.len(), Access::Write);
    let (line, block, column) = (b.program_id(0), b.program_id(1), b.program_id(2));
    let step = b.int(chunk as i64);
    let start = b.map(ScalarOp::Mul, &[block, step]);
    let (tile, view) = ([1, chunk, 1], lines.view(chunk, 1));
    let steps = b.arange(&tile, 1);
    let first = b.splat(start, &tile);
    let position = b.map(ScalarOp::Add, &[first, steps]);
    let mut args: Vec<ValueId> = Vec::new();
    for p in &inputs {
        let zero = if dtypes[args.len()].is_float() { Literal::float(0.0) } else { Literal::Int(0) };
        args.push(b.load(*p, view.clone(), &[line, start, column], &tile, zero));
    }
    if positions {
        args.push(position);
    }
    if !view.axes[1].inside {
        // What the last chunk has beyond the line sorts behind everything that exists; stability settles ties.
        let end = b.size(&lines.length);
        let end = b.splat(end, &tile);
        let inside = b.map(ScalarOp::Lt, &[position, end]);
        for v in args.iter_mut().take(keys) {
            let ty = b.ty(*v).clone();
            let last = b.constant(last_in_order(ty.dtype, descending), ty);
            *v = b.map(ScalarOp::Select, &[inside, *v, last]);
        }
    }
    let tys: Vec<TileTy> = dtypes.iter().map(|d| TileTy::new(*d, tile)).collect();
    let sorted = b.push(Op::Sort { args, axis: 1, keys, descending }, tys);
    for (p, v) in outputs.iter().zip(sorted) {
        b.store(*p, view.clone(), &[line, start, column], v);
    }
    b.finish(name, vec![lines.outer.clone(), lines.length.ceil_div(&Dim::from(chunk)), lines.inner.clone()])
}
