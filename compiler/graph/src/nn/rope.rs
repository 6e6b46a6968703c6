//! Rotary position embedding (Su et al., "RoFormer").

use super::{count, last_axis, refuse};
use crate::graph::{Graph, NodeId};
use crate::ty::TensorTy;
use girih_base::{DType, Dim, Result, ScalarOp};

/// Cosine and sine tables f32 [length, features / 2] of the angles `(offset + i) * theta^(-2 j / features)`.
/// `offset` is the position of the first row, `features` a constant even number.
pub fn rope_tables(g: &mut Graph, length: Dim, features: usize, offset: Dim, theta: f64) -> Result<(NodeId, NodeId)> {
    let ty = TensorTy::new(DType::F32, [length.clone(), Dim::from(features / 2)]);
    let row = g.iota(TensorTy::new(DType::I32, [length]), 0)?;
    let offset = count(g, &offset, DType::I32)?;
    let position = g.map_broadcast(ScalarOp::Add, &[row, offset])?;
    let position = g.cast(position, DType::F32)?;
    let position = g.broadcast(position, ty.shape.clone(), vec![0])?;
    // Frequencies are constants: computing them with pow on a device would cost accuracy at long positions.
    let frequencies: Vec<u8> =
        (0..features / 2).flat_map(|j| (theta.powf(-2.0 * j as f64 / features as f64) as f32).to_le_bytes()).collect();
    let frequencies = g.dense(TensorTy::new(DType::F32, [features / 2]), frequencies)?;
    let frequencies = g.broadcast(frequencies, ty.shape.clone(), vec![1])?;
    let angle = g.map(ScalarOp::Mul, &[position, frequencies])?;
    Ok((g.map(ScalarOp::Cos, &[angle])?, g.map(ScalarOp::Sin, &[angle])?))
}

/// Rotates pairs `(x[j], x[j + D/2])` of the last axis: `x` [.., S, D], `cos` and `sin` broadcast to [.., S, D/2] as
/// [`rope_tables`] gives them. Shape and dtype kept. Composite `rope`.
pub fn rope(g: &mut Graph, x: NodeId, cos: NodeId, sin: NodeId) -> Result<NodeId> {
    let (axis, d, half) = halves(g, x)?;
    g.composite("rope", Vec::new(), &[("x", x), ("cos", cos), ("sin", sin)], |b, p| {
        let dtype = b.tensor(p[0])?.dtype;
        let x = b.cast(p[0], dtype.accumulator())?;
        let first = b.slice_axis(x, axis, Dim::ZERO, half.clone())?;
        let second = b.slice_axis(x, axis, half, d)?;
        let (first, second) = rotate(b, first, second, p[1], p[2])?;
        let y = b.concat(&[first, second], axis)?;
        b.cast(y, dtype)
    })
}

/// Rotates neighbours `(x[2j], x[2j + 1])` of the last axis; otherwise as [`rope`]. Composite `rope_interleaved`.
pub fn rope_interleaved(g: &mut Graph, x: NodeId, cos: NodeId, sin: NodeId) -> Result<NodeId> {
    let (axis, d, half) = halves(g, x)?;
    g.composite("rope_interleaved", Vec::new(), &[("x", x), ("cos", cos), ("sin", sin)], |b, p| {
        let dtype = b.tensor(p[0])?.dtype;
        let x = b.cast(p[0], dtype.accumulator())?;
        let mut shape = b.tensor(x)?.shape.clone();
        let whole = shape.clone();
        shape[axis] = half.clone();
        let single = shape.clone();
        shape.push(Dim::from(2));
        let pairs = b.reshape(x, shape.clone())?;
        let part = |b: &mut Graph, i: i64| -> Result<NodeId> {
            let one = b.slice_axis(pairs, axis + 1, Dim::from(i), Dim::from(i + 1))?;
            b.reshape(one, single.clone())
        };
        let (even, odd) = (part(b, 0)?, part(b, 1)?);
        let (even, odd) = rotate(b, even, odd, p[1], p[2])?;
        shape[axis + 1] = Dim::ONE;
        let (even, odd) = (b.reshape(even, shape.clone())?, b.reshape(odd, shape)?);
        let y = b.concat(&[even, odd], axis + 1)?;
        let y = b.reshape(y, whole)?;
        debug_assert!(b.tensor(y)?.shape[axis] == d);
        b.cast(y, dtype)
    })
}

fn halves(g: &Graph, x: NodeId) -> Result<(usize, Dim, Dim)> {
    let (axis, d) = last_axis(g, x, "rope")?;
    match d.exact_div(&Dim::from(2)) {
        Some(half) => Ok((axis, d, half)),
        None => Err(refuse(g, x, format!("rope turns pairs of features, and {d} is odd"))),
    }
}

/// `(a cos - b sin, b cos + a sin)` with the tables repeated to the parts' shape.
fn rotate(g: &mut Graph, a: NodeId, b: NodeId, cos: NodeId, sin: NodeId) -> Result<(NodeId, NodeId)> {
    let ty = g.tensor(a)?.clone();
    let mut table = |t: NodeId| -> Result<NodeId> {
        let t = g.cast(t, ty.dtype)?;
        g.broadcast_to(t, &ty.shape)
    };
    let (cos, sin) = (table(cos)?, table(sin)?);
    let (ac, bs) = (g.map(ScalarOp::Mul, &[a, cos])?, g.map(ScalarOp::Mul, &[b, sin])?);
    let (bc, as_) = (g.map(ScalarOp::Mul, &[b, cos])?, g.map(ScalarOp::Mul, &[a, sin])?);
    Ok((g.map(ScalarOp::Sub, &[ac, bs])?, g.map(ScalarOp::Add, &[bc, as_])?))
}
