//! Random numbers that depend on nothing but a key: the Threefry-2x32 hash with 20 rounds (Salmon et al., "Parallel
//! random numbers: as easy as 1, 2, 3", SC 2011), used as JAX does with `jax_threefry_partitionable` (its default).
//!
//! Keys are `u32[2]`. [`split`], [`fold_in`], [`bits`], [`uniform`] and [`bernoulli`] give the same bits as their
//! namesakes in `jax.random`; [`normal`] uses the same uniform bits and the same polynomial, and agrees up to the
//! rounding of `log1p`.

use crate::graph::{Graph, NodeId};
use crate::nn::{refuse, with};
use crate::ty::{TensorTy, product};
use girih_base::{DType, Dim, Result, ScalarOp};

/// A constant key from a seed: its high and low 32 bits. Equal to `jax.random.key(seed)`.
pub fn key(g: &mut Graph, seed: u64) -> Result<NodeId> {
    let words = [(seed >> 32) as u32, seed as u32];
    let bytes: Vec<u8> = words.iter().flat_map(|w| w.to_le_bytes()).collect();
    g.dense(TensorTy::new(DType::U32, [2]), bytes)
}

/// A key from a seed known at run time: an i32 or u32 scalar.
pub fn key_from(g: &mut Graph, seed: NodeId) -> Result<NodeId> {
    let seed = word(g, seed)?;
    let zero = g.scalar(0, DType::U32)?;
    pair(g, zero, seed)
}

/// `n` independent keys u32[n, 2].
pub fn split(g: &mut Graph, key: NodeId, n: impl Into<Dim>) -> Result<NodeId> {
    let n = n.into();
    let (a, b) = hash_counts(g, key, std::slice::from_ref(&n))?;
    let column = |g: &mut Graph, x: NodeId| g.reshape(x, vec![n.clone(), Dim::ONE]);
    let (a, b) = (column(g, a)?, column(g, b)?);
    g.concat(&[a, b], 1)
}

/// Key number `index` of keys u32[n, 2].
pub fn nth(g: &mut Graph, keys: NodeId, index: usize) -> Result<NodeId> {
    let one = g.slice_axis(keys, 0, Dim::from(index), Dim::from(index + 1))?;
    g.reshape(one, vec![Dim::from(2)])
}

/// A new key that depends on `key` and on `data`, an i32 or u32 scalar.
pub fn fold_in(g: &mut Graph, key: NodeId, data: NodeId) -> Result<NodeId> {
    let (k0, k1) = halves(g, key)?;
    let (zero, data) = (g.scalar(0, DType::U32)?, word(g, data)?);
    let (a, b) = threefry2x32(g, k0, k1, zero, data)?;
    pair(g, a, b)
}

/// Uniformly distributed bits: u8, u16, u32 or u64 of `shape`.
pub fn bits(g: &mut Graph, key: NodeId, shape: &[Dim], dtype: DType) -> Result<NodeId> {
    let (a, b) = hash_counts(g, key, shape)?;
    match dtype {
        DType::U64 => {
            let (a, b) = (g.cast(a, DType::U64)?, g.cast(b, DType::U64)?);
            let high = with(g, ScalarOp::Shl, a, 32.0)?;
            g.map(ScalarOp::Or, &[high, b])
        }
        DType::U32 => g.map(ScalarOp::Xor, &[a, b]),
        DType::U16 | DType::U8 => {
            let x = g.map(ScalarOp::Xor, &[a, b])?;
            let low = with(g, ScalarOp::And, x, ((1u32 << dtype.bits()) - 1) as f64)?;
            g.cast(low, dtype)
        }
        _ => Err(refuse(g, key, format!("random bits are u8, u16, u32 or u64, not {dtype}"))),
    }
}

/// Floats of `shape`, uniform in `low..high`; f16, bf16, f32 or f64.
pub fn uniform(g: &mut Graph, key: NodeId, shape: &[Dim], dtype: DType, low: f64, high: f64) -> Result<NodeId> {
    // Random bits become the mantissa of a number in 1..2, from which 1 is taken.
    let (drawn, mantissa, one) = match dtype {
        DType::F16 => (DType::U16, 10, 0x3C00),
        DType::Bf16 => (DType::U8, 7, 0x3F80),
        DType::F32 => (DType::U32, 23, 0x3F80_0000),
        DType::F64 => (DType::U64, 52, 0x3FF0_0000_0000_0000i64),
        _ => return Err(refuse(g, key, format!("uniform numbers are f16, bf16, f32 or f64, not {dtype}"))),
    };
    let container = match dtype.bits() {
        16 => DType::U16,
        32 => DType::U32,
        _ => DType::U64,
    };
    let x = bits(g, key, shape, drawn)?;
    let x = g.cast(x, container)?;
    let x = with(g, ScalarOp::LogicalShr, x, (drawn.bits() - mantissa) as f64)?;
    let ty = g.tensor(x)?.clone();
    let one = g.splat(one, ty)?;
    let x = g.map(ScalarOp::Or, &[x, one])?;
    let x = g.bitcast(x, dtype)?;
    let x = with(g, ScalarOp::Sub, x, 1.0)?;
    let ty = g.tensor(x)?.clone();
    let (low, high) = (g.splat(low, ty.clone())?, g.splat(high, ty)?);
    let range = g.map(ScalarOp::Sub, &[high, low])?;
    let scaled = g.map(ScalarOp::Mul, &[x, range])?;
    let moved = g.map(ScalarOp::Add, &[scaled, low])?;
    g.map(ScalarOp::Max, &[low, moved])
}

/// Standard normal floats of `shape`; f16, bf16, f32 or f64.
pub fn normal(g: &mut Graph, key: NodeId, shape: &[Dim], dtype: DType) -> Result<NodeId> {
    // The number after -1: the sum of the exponent 0 and one unit in the last place of a number in 0.5..1.
    let above_minus_one = match dtype {
        DType::F16 => -1.0 + 2f64.powi(-11),
        DType::Bf16 => -1.0 + 2f64.powi(-8),
        DType::F32 => -1.0 + 2f64.powi(-24),
        _ => -1.0 + 2f64.powi(-53),
    };
    let u = uniform(g, key, shape, dtype, above_minus_one, 1.0)?;
    let x = erf_inv(g, u)?;
    with(g, ScalarOp::Mul, x, std::f64::consts::SQRT_2)
}

/// bool of `shape`, true with probability `p` (as a comparison of f32 uniforms).
pub fn bernoulli(g: &mut Graph, key: NodeId, p: f64, shape: &[Dim]) -> Result<NodeId> {
    let u = uniform(g, key, shape, DType::F32, 0.0, 1.0)?;
    with(g, ScalarOp::Lt, u, p)
}

/// The hash: key words `k0`, `k1` (u32 scalars) and counters `c0`, `c1` (u32 of one shape) to two u32 of that shape.
pub fn threefry2x32(g: &mut Graph, k0: NodeId, k1: NodeId, c0: NodeId, c1: NodeId) -> Result<(NodeId, NodeId)> {
    let args = [("k0", k0), ("k1", k1), ("c0", c0), ("c1", c1)];
    let out = g.composite_many("threefry2x32", Vec::new(), &args, |b, p| {
        let shape = b.tensor(p[2])?.shape.clone();
        let (k0, k1) = (b.broadcast_to(p[0], &shape)?, b.broadcast_to(p[1], &shape)?);
        let both = b.map(ScalarOp::Xor, &[k0, k1])?;
        let k2 = with(b, ScalarOp::Xor, both, 0x1BD1_1BDA as f64)?;
        let keys = [k0, k1, k2];
        let mut x = b.map(ScalarOp::Add, &[p[2], k0])?;
        let mut y = b.map(ScalarOp::Add, &[p[3], k1])?;
        const ROTATIONS: [[u32; 4]; 2] = [[13, 15, 26, 6], [17, 29, 16, 24]];
        for group in 0..5 {
            for rotation in ROTATIONS[group % 2] {
                x = b.map(ScalarOp::Add, &[x, y])?;
                let up = with(b, ScalarOp::Shl, y, rotation as f64)?;
                let down = with(b, ScalarOp::LogicalShr, y, (32 - rotation) as f64)?;
                let turned = b.map(ScalarOp::Or, &[up, down])?;
                y = b.map(ScalarOp::Xor, &[x, turned])?;
            }
            x = b.map(ScalarOp::Add, &[x, keys[(group + 1) % 3]])?;
            y = b.map(ScalarOp::Add, &[y, keys[(group + 2) % 3]])?;
            y = with(b, ScalarOp::Add, y, (group + 1) as f64)?;
        }
        Ok(vec![x, y])
    })?;
    Ok((out[0], out[1]))
}

/// The hash of the row-major position of every element of `shape`.
fn hash_counts(g: &mut Graph, key: NodeId, shape: &[Dim]) -> Result<(NodeId, NodeId)> {
    let n = product(shape);
    if n.bounds().1 > u32::MAX as i64 {
        return Err(refuse(g, key, format!("{n} random numbers from one key; split the key first"))
            .note("one key counts at most 2^32 - 1 of them"));
    }
    let (k0, k1) = halves(g, key)?;
    let low = g.iota(TensorTy::new(DType::U32, [n]), 0)?;
    let low = g.reshape(low, shape.to_vec())?;
    let high = g.splat(0, TensorTy { dtype: DType::U32, shape: shape.to_vec() })?;
    threefry2x32(g, k0, k1, high, low)
}

fn halves(g: &mut Graph, key: NodeId) -> Result<(NodeId, NodeId)> {
    if g.tensor(key)? != &TensorTy::new(DType::U32, [2]) {
        return Err(refuse(g, key, "a random key is u32[2]; see `random::key` and `random::nth`"));
    }
    let word = |g: &mut Graph, i: i64| -> Result<NodeId> {
        let one = g.slice_axis(key, 0, Dim::from(i), Dim::from(i + 1))?;
        g.reshape(one, Vec::new())
    };
    Ok((word(g, 0)?, word(g, 1)?))
}

fn pair(g: &mut Graph, a: NodeId, b: NodeId) -> Result<NodeId> {
    let (a, b) = (g.reshape(a, vec![Dim::ONE])?, g.reshape(b, vec![Dim::ONE])?);
    g.concat(&[a, b], 0)
}

fn word(g: &mut Graph, x: NodeId) -> Result<NodeId> {
    let t = g.tensor(x)?.clone();
    match t.dtype {
        DType::U32 if t.rank() == 0 => Ok(x),
        DType::I32 if t.rank() == 0 => g.bitcast(x, DType::U32),
        _ => Err(refuse(g, x, "seeds and folded-in data are i32 or u32 scalars")),
    }
}

/// The inverse of the error function on -1..1 (M. Giles, "Approximating the erfinv function", GPU Computing Gems, 2011):
/// polynomials in `w = -ln(1 - x^2)`. Narrow floats are computed in f32.
fn erf_inv(g: &mut Graph, x: NodeId) -> Result<NodeId> {
    let dtype = g.tensor(x)?.dtype;
    let x = g.cast(x, dtype.accumulator())?;
    let negated = g.map(ScalarOp::Neg, &[x])?;
    let product = g.map(ScalarOp::Mul, &[x, negated])?;
    let log = g.map(ScalarOp::Log1p, &[product])?;
    let w = g.map(ScalarOp::Neg, &[log])?;
    let root = g.map(ScalarOp::Sqrt, &[w])?;
    let p = if g.tensor(x)?.dtype == DType::F64 {
        let near = polynomial(g, w, 3.125, &F64_NEAR)?;
        let middle = polynomial(g, root, 3.25, &F64_MIDDLE)?;
        let far = polynomial(g, root, 5.0, &F64_FAR)?;
        let rest = choose(g, w, 16.0, middle, far)?;
        choose(g, w, 6.25, near, rest)?
    } else {
        let near = polynomial(g, w, 2.5, &F32_NEAR)?;
        let far = polynomial(g, root, 3.0, &F32_FAR)?;
        choose(g, w, 5.0, near, far)?
    };
    let y = g.map(ScalarOp::Mul, &[p, x])?;
    g.cast(y, dtype)
}

fn choose(g: &mut Graph, w: NodeId, limit: f64, below: NodeId, above: NodeId) -> Result<NodeId> {
    let is_below = with(g, ScalarOp::Lt, w, limit)?;
    g.map(ScalarOp::Select, &[is_below, below, above])
}

/// Horner's scheme in `w - shift`, the highest coefficient first.
fn polynomial(g: &mut Graph, w: NodeId, shift: f64, coefficients: &[f64]) -> Result<NodeId> {
    let w = with(g, ScalarOp::Sub, w, shift)?;
    let mut p = crate::nn::like(g, w, coefficients[0])?;
    for c in &coefficients[1..] {
        p = g.map(ScalarOp::Mul, &[p, w])?;
        p = with(g, ScalarOp::Add, p, *c)?;
    }
    Ok(p)
}

#[rustfmt::skip]
const F32_NEAR: [f64; 9] = [
    2.81022636e-08, 3.43273939e-07, -3.5233877e-06, -4.39150654e-06, 0.00021858087, -0.00125372503, -0.00417768164,
    0.246640727, 1.50140941,
];
#[rustfmt::skip]
const F32_FAR: [f64; 9] = [
    -0.000200214257, 0.000100950558, 0.00134934322, -0.00367342844, 0.00573950773, -0.0076224613, 0.00943887047,
    1.00167406, 2.83297682,
];
#[rustfmt::skip]
const F64_NEAR: [f64; 23] = [
    -3.64441206401782e-21, -1.6850591381820166e-19, 1.28584807152564e-18, 1.1157877678025181e-17,
    -1.333171662854621e-16, 2.0972767875968562e-17, 6.637638134358324e-15, -4.054566272975207e-14,
    -8.151934197605472e-14, 2.6335093153082323e-12, -1.2975133253453532e-11, -5.415412054294628e-11,
    1.0512122733215323e-09, -4.112633980346984e-09, -2.9070369957882005e-08, 4.2347877827932404e-07,
    -1.3654692000834679e-06, -1.3882523362786469e-05, 0.00018673420803405714, -0.000740702534166267,
    -0.006033670871430149, 0.24015818242558962, 1.6536545626831027,
];
#[rustfmt::skip]
const F64_MIDDLE: [f64; 19] = [
    2.2137376921775787e-09, 9.075656193888539e-08, -2.7517406297064545e-07, 1.8239629214389228e-08,
    1.5027403968909828e-06, -4.013867526981546e-06, 2.9234449089955446e-06, 1.2475304481671779e-05,
    -4.7318229009055734e-05, 6.828485145957318e-05, 2.4031110387097894e-05, -0.0003550375203628475,
    0.0009532893797373805, -0.0016882755560235047, 0.002491442096107851, -0.003751208507569241, 0.005370914553590064,
    1.0052589676941592, 3.0838856104922208,
];
#[rustfmt::skip]
const F64_FAR: [f64; 17] = [
    -2.7109920616438573e-11, -2.555641816996525e-10, 1.5076572693500548e-09, -3.789465440126737e-09,
    7.61570120807834e-09, -1.496002662714924e-08, 2.914795345090108e-08, -6.771199775845234e-08,
    2.2900482228026655e-07, -9.9298272942317e-07, 4.526062597223154e-06, -1.968177810553167e-05,
    7.599527703001776e-05, -0.00021503011930044477, -0.00013871931833623122, 1.0103004648645344, 4.849906401408584,
];
