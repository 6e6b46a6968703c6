//! Scans and sorts along lines that do not fit the memory of one workgroup: chunks that fit, and launches that join them.
//!
//! [`scan`] walks a line chunk by chunk with a carry, in several segments at a time where there are few lines. [`sort`] sorts
//! chunks and merges runs of twice the length until one is left. Operands are in memory; so are the results.

mod merge;
mod scan;
mod sort;

use crate::fuse::monoid;
use crate::target::{TargetDesc, TargetKind};
use girih_base::{DType, Diag, Dim, Result};
use girih_graph::ops::{Scan, Sort};
use girih_graph::{Graph, Monoid, NodeId, Op, TensorTy, Ty};
use girih_tile::{Kernel, View, ViewAxis};

/// A row-major tensor seen along one of its axes: `[outer, length, inner]`.
#[derive(Clone, Debug)]
pub struct Lines {
    /// Elements of the axes before it, multiplied.
    pub outer: Dim,
    /// Elements of a line.
    pub length: Dim,
    /// Elements of the axes behind it, multiplied: the distance of neighbours in memory.
    pub inner: Dim,
}

/// A tensor that a launch works on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Slot {
    /// An operand of the operation.
    Operand(usize),
    /// A result of it.
    Result(usize),
    /// A tensor of [`Staged::scratch`].
    Scratch(usize),
}

/// An operation as several launches, in order.
#[derive(Debug, Default)]
pub struct Staged {
    /// Tensors that only these launches need.
    pub scratch: Vec<TensorTy>,
    /// The kernels with one tensor per parameter.
    pub launches: Vec<(Kernel, Vec<Slot>)>,
}

/// The most elements of a line that one workgroup takes when each needs `bytes` of workgroup memory; a power of two.
///
/// A sixteenth stays free for what operands and results need on their way.
fn fitting(bytes: u64, desc: &TargetDesc) -> u64 {
    let most = desc.workgroup_bytes as u64 * 15 / 16 / bytes.max(1);
    (most + 1).next_power_of_two() / 2
}

/// Bytes of workgroup memory that one element of these dtypes takes: at least a word each.
fn shared_bytes(dtypes: &[DType]) -> u64 {
    dtypes.iter().map(|d| (d.bits() as u64 / 8).max(4)).sum()
}

/// The most elements of a line that one workgroup scans, with `states` running values.
fn scan_limit(states: &[DType], desc: &TargetDesc) -> u64 {
    // Every thread also leaves the total of its part.
    let bytes = shared_bytes(states);
    let totals = desc.threads as u64 * bytes;
    let left = TargetDesc { workgroup_bytes: desc.workgroup_bytes.saturating_sub(totals as u32), ..desc.clone() };
    fitting(bytes, &left).max(1)
}

/// The most elements of a line that one workgroup sorts; their order takes a word more.
fn sort_limit(operands: &[DType], desc: &TargetDesc) -> u64 {
    fitting(shared_bytes(operands) + 4, desc).max(1)
}

/// Whether a scan or sort goes along lines that one workgroup of the target cannot hold.
pub fn is_long(graph: &Graph, id: NodeId, desc: &TargetDesc) -> bool {
    if desc.kind == TargetKind::Cpu {
        return false;
    }
    let dtypes: Vec<DType> = graph.operands(id).iter().filter_map(|o| graph.tensor(*o).ok()).map(|t| t.dtype).collect();
    let Some(first) = graph.operands(id).first().and_then(|o| graph.tensor(*o).ok()) else { return false };
    let (axis, limit) = match graph.op(id) {
        Op::Scan(s) => (s.axis, scan_limit(&states(s, &dtypes), desc)),
        Op::Sort(s) => (s.axis, sort_limit(&dtypes, desc)),
        _ => return false,
    };
    // Tiles are powers of two, so a line takes the next one.
    (first.shape[axis].bounds().1.max(1) as u64).checked_next_power_of_two().is_none_or(|n| n > limit)
}

/// The dtypes of a scan's running values.
fn states(s: &Scan, operands: &[DType]) -> Vec<DType> {
    match s.monoid {
        Monoid::Welford => vec![s.acc; 3],
        Monoid::Online => vec![s.acc; 2],
        Monoid::ArgMax | Monoid::ArgMin => vec![s.acc, DType::I32],
        Monoid::Custom(..) => operands.to_vec(),
        _ => vec![s.acc],
    }
}

/// The launches of a long scan or sort; `name` is the kernels' name.
///
/// # Errors
/// `L003` a custom fold with more than scalar operations, `L205` more elements than 32-bit offsets reach.
pub fn stage(graph: &Graph, id: NodeId, name: &str, desc: &TargetDesc) -> Result<Staged> {
    let operands = graph.operands(id).iter().map(|o| Ok(graph.tensor(*o)?.clone())).collect::<Result<Vec<_>>>()?;
    let elements = operands.first().map_or(0, |t| t.elements().bounds().1);
    if elements > i32::MAX as i64 {
        return Err(Diag::error(
            "L205",
            format!("a sort or scan of {elements} elements, more than 32-bit offsets reach"),
        )
        .at(&graph.node(id).loc, "this operation")
        .help("give its sizes tighter bounds, or split it"));
    }
    match graph.op(id) {
        Op::Scan(s) => scan::stage(s, &operands, name, desc),
        Op::Sort(Sort { axis, keys, descending }) => Ok(sort::stage(&operands, *axis, *keys, *descending, name, desc)),
        _ => Ok(Staged::default()),
    }
}

/// The result types of a node, one for each value.
pub fn result_types(graph: &Graph, id: NodeId) -> Vec<TensorTy> {
    match graph.ty(id) {
        Ty::Tensor(t) => vec![t.clone()],
        Ty::Tuple(tys) => tys.iter().filter_map(|t| t.tensor().cloned()).collect(),
    }
}

impl Lines {
    /// The lines of a shape along `axis`.
    pub fn of(shape: &[Dim], axis: usize) -> Lines {
        let product = girih_graph::ty::product;
        Lines { outer: product(&shape[..axis]), length: shape[axis].clone(), inner: product(&shape[axis + 1..]) }
    }

    fn elements(&self) -> Dim {
        &(&self.outer * &self.length) * &self.inner
    }

    /// The most elements a line can have.
    fn most(&self) -> u64 {
        self.length.bounds().1.max(1) as u64
    }

    /// Tiles `[1, chunk, width]` of the whole tensor, which start at multiples of their extents.
    fn view(&self, chunk: u32, width: u32) -> View {
        let axis = |extent: &Dim, stride: Dim, tile: u32| ViewAxis {
            extent: extent.clone(),
            stride,
            inside: extent.divisible_by(tile as i64).yes(),
        };
        View {
            offset: Dim::ZERO,
            axes: vec![
                axis(&self.outer, &self.length * &self.inner, 1),
                axis(&self.length, self.inner.clone(), chunk),
                axis(&self.inner, Dim::ONE, width),
            ],
            guards: Vec::new(),
        }
    }
}

/// The identity of each running value of a fold.
fn identity(monoid: &Monoid, states: &[DType]) -> Vec<girih_tile::Literal> {
    monoid::identity(monoid, states)
}
