//! Estimated time of a node: a roofline over arithmetic and memory traffic, plus the dispatch it starts.
//!
//! Fusion comes after extraction, so it is only approximated here: anchors (products, folds, gathers, composites that
//! are kernels) start a dispatch and move their operands and results; elementwise operations ride along and pay a
//! share of their traffic; views are almost free. Sizes that are symbols count as a typical value.

use crate::budget::Device;
use crate::egraph::{self, EGraph, ENode};
use egg::Id;
use girih_base::{Bindings, Dim};
use girih_graph::{Op, Ty};
use std::collections::HashMap;

/// Picoseconds: integers, so that sums do not depend on their order.
pub type Cost = u64;

/// Share of an elementwise result's traffic that is paid on average, the rest being fused away.
const UNFUSED: f64 = 0.3;
/// A view's cost: not zero, so that fewer views win.
const VIEW: Cost = 1_000;
/// The value a symbol is taken to have, within its bounds.
const TYPICAL: i64 = 128;
/// Results a fold needs to keep the whole device busy when each is folded by one group of threads.
const BUSY: f64 = 256.0;

/// The cost model of one device, with the costs of bodies that were optimised before.
pub struct Model<'a> {
    /// The device.
    pub device: Device,
    /// Cost of one call of a body, by the body's address.
    pub bodies: &'a HashMap<usize, Cost>,
}

/// The typical value of a size.
pub fn typical(dim: &Dim) -> f64 {
    if let Some(c) = dim.as_const() {
        return c as f64;
    }
    let bindings: Bindings =
        dim.symbols().into_iter().map(|s| (s.name.clone(), TYPICAL.min(s.max).max(s.min))).collect();
    dim.eval(&bindings).unwrap_or(TYPICAL).max(0) as f64
}

fn elements(ty: &Ty) -> f64 {
    match ty {
        Ty::Tensor(t) => t.shape.iter().map(typical).product(),
        Ty::Tuple(items) => items.iter().map(elements).sum(),
    }
}

fn bytes(ty: &Ty) -> f64 {
    match ty {
        Ty::Tensor(t) => elements(ty) * t.dtype.bits() as f64 / 8.0,
        Ty::Tuple(items) => items.iter().map(bytes).sum(),
    }
}

/// Composites that are elementwise and so fuse like a scalar operation.
fn elementwise(name: &str) -> bool {
    matches!(name, "swiglu" | "rope" | "rope_interleaved")
}

impl Model<'_> {
    fn time(&self, flops: f64, bytes: f64, dispatches: f64) -> Cost {
        let seconds = (flops / self.device.flops).max(bytes / self.device.bytes) + dispatches * self.device.dispatch;
        // Saturating: a float too large becomes the largest integer.
        (seconds * 1e12) as Cost
    }

    /// The cost of one node, its operands not counted.
    pub fn node(&self, eg: &EGraph, node: &ENode) -> Cost {
        let op = egraph::op(eg, node);
        let tys: Vec<u32> = node.kids.iter().map(|k| eg[*k].data.ty).collect();
        let Some(ty) = eg.analysis.known(node.op, &tys).map(|t| eg.analysis.ty(t)) else { return Cost::MAX / 4 };
        let out = bytes(ty);
        let read: f64 = node.kids.iter().map(|k| traffic(eg, *k, 4)).sum();
        let weights = !node.kids.is_empty() && node.kids.iter().all(|k| eg[*k].data.weight);
        match op {
            Op::Param(_) | Op::Const(_) | Op::Iota(_) | Op::Tuple(_) | Op::Proj(_) => 1,
            Op::Reshape(_) | Op::Permute(_) | Op::Broadcast(_) | Op::Slice(_) | Op::Bitcast(_) | Op::Fence(_) => VIEW,
            // Rearranged weights are computed once, at load time.
            Op::Concat(_) | Op::Pad(_) | Op::Reverse(_) if weights => VIEW,
            Op::Map(_) | Op::Cast(_) => VIEW + self.time(elements(ty), UNFUSED * out, 0.0),
            Op::Concat(_) | Op::Pad(_) | Op::Reverse(_) | Op::Window(_) => VIEW * 2 + self.time(0.0, out, 0.0),
            Op::Dot(d) => {
                let depth: f64 = match egraph::tensor(eg, node.kids[0]) {
                    Some(t) => d.contract.iter().map(|p| typical(&t.shape[p.0])).product(),
                    None => 1.0,
                };
                self.time(2.0 * elements(ty) * depth, read + out, 1.0)
            }
            Op::Reduce(_) => {
                let inputs: f64 = node.kids.iter().map(|k| elements(egraph::ty(eg, *k))).sum();
                let idle = (BUSY / elements(ty).max(1.0)).max(1.0);
                self.time(inputs * idle, read * idle + out, 1.0)
            }
            Op::DynUpdate(_) => self.time(0.0, 2.0 * node.kids.get(1).map_or(out, |k| traffic(eg, *k, 4)), 1.0),
            Op::Call(c) => self.call(eg, c, node, read, out, elements(ty)),
            _ => self.time(elements(ty), read + out, 1.0),
        }
    }

    fn call(&self, eg: &EGraph, call: &girih_graph::ops::Call, node: &ENode, read: f64, out: f64, count: f64) -> Cost {
        let name = &*call.callee.name;
        if let Some(cost) = self.bodies.get(&(std::sync::Arc::as_ptr(&call.callee) as usize)) {
            return *cost;
        }
        if elementwise(name) {
            return VIEW + self.time(count, UNFUSED * out, 0.0);
        }
        if name.starts_with("dequant.") {
            // Decoded inside the product that reads it.
            return VIEW + self.time(count, 0.0, 0.0);
        }
        let flops = match (name, node.kids.first().zip(node.kids.get(1))) {
            ("attention", Some((q, k))) => {
                let keys = egraph::tensor(eg, *k).and_then(|t| t.shape.get(t.rank().checked_sub(2)?).map(typical));
                4.0 * elements(egraph::ty(eg, *q)) * keys.unwrap_or(1.0)
            }
            _ => 8.0 * count,
        };
        self.time(flops, read + out, 1.0)
    }
}

/// Bytes read to use a class: what lies behind views and decoding, not what they spell out.
fn traffic(eg: &EGraph, id: Id, depth: usize) -> f64 {
    let own = bytes(egraph::ty(eg, id));
    if eg[id].data.splat.is_some() {
        return 0.0;
    }
    if depth == 0 {
        return own;
    }
    let behind = eg[id].nodes.iter().filter_map(|n| match egraph::op(eg, n) {
        Op::Reshape(_) | Op::Permute(_) | Op::Broadcast(_) => Some(traffic(eg, n.kids[0], depth - 1)),
        Op::Call(c) if c.callee.name.starts_with("dequant.") => Some(traffic(eg, n.kids[0], depth - 1)),
        _ => None,
    });
    behind.fold(own, f64::min)
}
