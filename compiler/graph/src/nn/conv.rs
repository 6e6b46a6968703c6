//! Convolution and pooling of images, as border, windows and contraction.

use super::refuse;
use crate::graph::{Graph, NodeId};
use crate::ops::{Monoid, Pad, Window, WindowAxis};
use crate::ty::TensorTy;
use girih_base::{Dim, Result, ScalarOp};

/// How a convolution walks: per spatial axis (height, width).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conv2d {
    /// Step between outputs.
    pub stride: [i64; 2],
    /// Zeros before and after each axis.
    pub padding: [(i64, i64); 2],
    /// Step between the kernel's elements.
    pub dilation: [i64; 2],
    /// Input channels are split into this many groups, each with its own kernels.
    pub groups: usize,
}

impl Default for Conv2d {
    fn default() -> Conv2d {
        Conv2d { stride: [1, 1], padding: [(0, 0); 2], dilation: [1, 1], groups: 1 }
    }
}

/// Cross-correlation of images with kernels: `x` [N, C, H, W], `w` [O, C / groups, kh, kw], optional `b` `[O]`
/// -> [N, O, H', W'] of `x`'s dtype with `H' = floor((H + padding - dilation (kh - 1) - 1) / stride) + 1`.
pub fn conv2d(g: &mut Graph, x: NodeId, w: NodeId, b: Option<NodeId>, how: &Conv2d) -> Result<NodeId> {
    let (tx, tw) = (g.tensor(x)?.clone(), g.tensor(w)?.clone());
    if tx.rank() != 4 || tw.rank() != 4 {
        return Err(refuse(g, x, format!("conv2d takes [N, C, H, W] and [O, C, kh, kw], got {tx} and {tw}")));
    }
    let groups = Dim::from(how.groups);
    let parts = (tx.shape[1].exact_div(&groups), tw.shape[0].exact_div(&groups));
    let (Some(per_group), Some(out), true) = (parts.0, parts.1, how.groups > 0) else {
        return Err(refuse(g, x, format!("{groups} groups do not divide the channels of {tx} and {tw}")));
    };
    if per_group != tw.shape[1] {
        return Err(refuse(g, w, format!("the kernels take {} channels, each group has {per_group}", tw.shape[1])));
    }
    let (Some(kh), Some(kw)) = (tw.shape[2].as_const(), tw.shape[3].as_const()) else {
        return Err(refuse(g, w, "the kernel's extents must be constants"));
    };
    let zero = border(g, &tx, 0.0)?;
    let windows = windows(g, x, zero, [kh, kw], how.stride, how.padding, how.dilation)?;
    // windows: [N, C, H', W', kh, kw]
    let y = if how.groups == 1 {
        let y = g.dot(windows, w, &[], &[(1, 1), (4, 2), (5, 3)])?;
        g.permute(y, &[0, 3, 1, 2])?
    } else {
        let mut shape = g.tensor(windows)?.shape.clone();
        let (n, oh, ow) = (shape[0].clone(), shape[2].clone(), shape[3].clone());
        shape.splice(1..2, [groups.clone(), per_group.clone()]);
        let windows = g.reshape(windows, shape)?;
        let w = g.reshape(w, vec![groups, out, per_group, Dim::from(kh), Dim::from(kw)])?;
        let y = g.dot(windows, w, &[(1, 0)], &[(2, 2), (5, 3), (6, 4)])?;
        let y = g.permute(y, &[1, 0, 4, 2, 3])?;
        g.reshape(y, vec![n, tw.shape[0].clone(), oh, ow])?
    };
    let y = g.cast(y, tx.dtype)?;
    match b {
        None => Ok(y),
        Some(b) => {
            let shape = g.tensor(y)?.shape.clone();
            let b = g.broadcast(b, shape, vec![1])?;
            g.map(ScalarOp::Add, &[y, b])
        }
    }
}

/// Largest element of every window: `x` [N, C, H, W] -> [N, C, H', W']. The border never wins.
pub fn max_pool2d(
    g: &mut Graph,
    x: NodeId,
    size: [i64; 2],
    stride: [i64; 2],
    padding: [(i64, i64); 2],
) -> Result<NodeId> {
    let ty = g.tensor(x)?.clone();
    if !ty.dtype.is_float() {
        return Err(refuse(g, x, "max_pool2d takes floats"));
    }
    let lowest = border(g, &ty, f64::NEG_INFINITY)?;
    let y = windows(g, x, lowest, size, stride, padding, [1, 1])?;
    g.reduce(Monoid::Max, y, &[4, 5])
}

/// Average of every window: `x` [N, C, H, W] -> [N, C, H', W']. With `count_border` the border's zeros count as
/// elements, without it the sum is divided by the elements inside the image.
pub fn avg_pool2d(
    g: &mut Graph,
    x: NodeId,
    size: [i64; 2],
    stride: [i64; 2],
    padding: [(i64, i64); 2],
    count_border: bool,
) -> Result<NodeId> {
    let ty = g.tensor(x)?.clone();
    let zero = border(g, &ty, 0.0)?;
    let sum = |g: &mut Graph, x: NodeId| -> Result<NodeId> {
        let y = windows(g, x, zero, size, stride, padding, [1, 1])?;
        g.reduce(Monoid::Sum, y, &[4, 5])
    };
    let total = sum(g, x)?;
    let y = if count_border {
        super::with(g, ScalarOp::Div, total, size[0].saturating_mul(size[1]) as f64)?
    } else {
        let ones = g.splat(1.0, ty.clone())?;
        let n = sum(g, ones)?;
        g.map(ScalarOp::Div, &[total, n])?
    };
    g.cast(y, ty.dtype)
}

fn border(g: &mut Graph, ty: &TensorTy, value: f64) -> Result<NodeId> {
    g.splat(value, TensorTy::scalar(ty.dtype))
}

/// [N, C, H, W] -> [N, C, H', W', size..], with a border of `value`.
fn windows(
    g: &mut Graph,
    x: NodeId,
    value: NodeId,
    size: [i64; 2],
    stride: [i64; 2],
    padding: [(i64, i64); 2],
    dilation: [i64; 2],
) -> Result<NodeId> {
    let rank = g.tensor(x)?.rank();
    if rank != 4 {
        return Err(refuse(g, x, "windows walk over [N, C, H, W]"));
    }
    let mut x = x;
    if padding != [(0, 0); 2] {
        let side = |f: fn((i64, i64)) -> i64| -> Vec<Dim> {
            [0, 0, f(padding[0]), f(padding[1])].into_iter().map(Dim::from).collect()
        };
        x = g.push(Pad { low: side(|p| p.0), high: side(|p| p.1), interior: vec![0; 4] }, &[x, value])?;
    }
    let axes =
        (0..2).map(|i| WindowAxis { axis: i + 2, size: size[i], stride: stride[i], dilation: dilation[i] }).collect();
    g.push(Window { axes }, &[x])
}
