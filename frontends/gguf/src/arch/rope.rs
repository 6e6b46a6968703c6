//! Rotary position embedding in plain operations (Su et al., "RoFormer").

use super::config::Config;
use girih_base::{DType, Diag, Dim, Result, ScalarOp};
use girih_graph::{Graph, NodeId, TensorTy};

/// Which features of a head form a pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Pairs {
    /// Neighbours: 2j and 2j + 1, the order of rows in `llama` files.
    Neighbours,
    /// Halves: j and j + n/2.
    Halves,
}

/// The frequency of each pair of rotated features, `base^(-2j / n) / factor`, in f32. `divisors` (Llama 3.1's
/// `rope_freqs.weight`) slow single pairs down.
pub(super) fn frequencies(c: &Config, base: f64, factor: f64, divisors: Option<&[f32]>) -> Result<Vec<f32>> {
    let half = c.rope_dims / 2;
    let frequency = |j: usize| {
        let divisor = divisors.map_or(1.0, |d| d[j] as f64);
        (base.powf(-2.0 * j as f64 / c.rope_dims as f64) / factor / divisor) as f32
    };
    if divisors.is_some_and(|d| d.len() != half || d.iter().any(|v| !(v.is_finite() && *v > 0.0))) {
        return Err(Diag::error("M012", format!("`rope_freqs.weight` must hold {half} positive divisors"))
            .help("the file is damaged; convert the model again"));
    }
    Ok((0..half).map(frequency).collect())
}

/// Cosine and sine f32 [seq, n/2] of the angles of positions `pos..pos + seq`.
pub(super) fn tables(g: &mut Graph, seq: &Dim, pos: &Dim, frequencies: &[f32]) -> Result<(NodeId, NodeId)> {
    let ty = TensorTy::new(DType::F32, [seq.clone(), Dim::from(frequencies.len())]);
    let row = g.iota(TensorTy::new(DType::I32, [seq.clone()]), 0)?;
    let offset = g.size(pos.clone(), DType::I32)?;
    let position = g.map_broadcast(ScalarOp::Add, &[row, offset])?;
    let position = g.cast(position, DType::F32)?;
    let position = g.broadcast(position, ty.shape.clone(), vec![0])?;
    let bytes: Vec<u8> = frequencies.iter().flat_map(|f| f.to_le_bytes()).collect();
    let constant = g.dense(TensorTy::new(DType::F32, [frequencies.len()]), bytes)?;
    let constant = g.broadcast(constant, ty.shape, vec![1])?;
    let angle = g.map(ScalarOp::Mul, &[position, constant])?;
    Ok((g.map(ScalarOp::Cos, &[angle])?, g.map(ScalarOp::Sin, &[angle])?))
}

/// Rotates the first `n` features of `x` [.., S, D] by tables [S, n/2]. Neighbouring pairs are first brought apart,
/// evens before odds, and stay so: queries and keys are permuted alike, which their products do not see.
pub(super) fn rotate(g: &mut Graph, x: NodeId, cos: NodeId, sin: NodeId, n: usize, pairs: Pairs) -> Result<NodeId> {
    let mut shape = g.tensor(x)?.shape.clone();
    let axis = shape.len().saturating_sub(1);
    let d = shape.get(axis).and_then(Dim::as_const).unwrap_or(0);
    let n = n as i64;
    let (turned, rest) = if n < d {
        let turned = g.slice_axis(x, axis, Dim::ZERO, Dim::from(n))?;
        (turned, Some(g.slice_axis(x, axis, Dim::from(n), Dim::from(d))?))
    } else {
        (x, None)
    };
    shape[axis] = Dim::from(n);
    let turned = match pairs {
        Pairs::Halves => turned,
        Pairs::Neighbours => {
            let mut split = shape.clone();
            split[axis] = Dim::from(n / 2);
            split.push(Dim::from(2));
            let split = g.reshape(turned, split)?;
            let mut swap: Vec<usize> = (0..axis + 2).collect();
            swap.swap(axis, axis + 1);
            let apart = g.permute(split, &swap)?;
            g.reshape(apart, shape.clone())?
        }
    };
    let half = Dim::from(n / 2);
    let a = g.slice_axis(turned, axis, Dim::ZERO, half.clone())?;
    let b = g.slice_axis(turned, axis, half, Dim::from(n))?;
    let part = g.tensor(a)?.shape.clone();
    let (cos, sin) = (g.broadcast_to(cos, &part)?, g.broadcast_to(sin, &part)?);
    let (ac, bs) = (g.map(ScalarOp::Mul, &[a, cos])?, g.map(ScalarOp::Mul, &[b, sin])?);
    let (bc, as_) = (g.map(ScalarOp::Mul, &[b, cos])?, g.map(ScalarOp::Mul, &[a, sin])?);
    let first = g.map(ScalarOp::Sub, &[ac, bs])?;
    let second = g.map(ScalarOp::Add, &[bc, as_])?;
    let parts: Vec<NodeId> = [first, second].into_iter().chain(rest).collect();
    g.concat(&parts, axis)
}
