//! Philox4x32-10, bit for bit as Triton's (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011).

use super::Args;
use crate::eval::Eval;
use crate::value::{Tensor, Value};
use girih_base::{DType, Literal, Result, ScalarOp};

const KEYS: [i64; 2] = [0x9e37_79b9, 0xbb67_ae85];
const FACTORS: [i64; 2] = [0xd251_1f53, 0xcd9e_8d57];

fn word(e: &mut Eval, v: i64, shape: &[u32]) -> Tensor {
    let mut t = e.filled(Literal::Int(v), DType::U32, shape);
    t.affine = None;
    t
}

/// Four words for each counter.
fn philox(e: &mut Eval, seed: &Value, counter: [Tensor; 4], rounds: i128) -> Result<[Tensor; 4]> {
    let shape = counter[0].shape.clone();
    let seed = e.tensor(seed)?;
    if !seed.dtype.is_int() {
        return Err(e.error("K004", "the seed is an integer", "here"));
    }
    let wide = seed.dtype.bits() == 64;
    let low = e.cast(&seed, DType::U32)?;
    let high = if wide {
        let by = e.number(&Value::Int(32), seed.dtype)?;
        let (s, by) = e.broadcast_pair(seed.clone(), by)?;
        let h = e.map(ScalarOp::Shr, &[&s, &by])?;
        e.cast(&h, DType::U32)?
    } else if seed.dtype.is_signed() {
        // A negative 32-bit seed is sign-extended to 64 bits.
        let small = e.cast(&seed, DType::I32)?;
        let by = e.number(&Value::Int(31), DType::I32)?;
        let (s, by) = e.broadcast_pair(small, by)?;
        let h = e.map(ScalarOp::Shr, &[&s, &by])?;
        e.cast(&h, DType::U32)?
    } else {
        e.filled(Literal::Int(0), DType::U32, &[])
    };
    let (mut k0, mut k1) = (e.broadcast_to(&low, &shape)?, e.broadcast_to(&high, &shape)?);
    let [mut c0, mut c1, mut c2, mut c3] = counter;
    let factors = FACTORS.map(|f| word(e, f, &shape));
    let keys = KEYS.map(|k| word(e, k, &shape));
    for _ in 0..rounds.clamp(0, 64) {
        let (a, b) = (&factors[0], &factors[1]);
        let (hi_b, hi_a) = (e.map(ScalarOp::MulHi, &[b, &c2])?, e.map(ScalarOp::MulHi, &[a, &c0])?);
        let (lo_b, lo_a) = (e.map(ScalarOp::Mul, &[b, &c2])?, e.map(ScalarOp::Mul, &[a, &c0])?);
        let x = e.map(ScalarOp::Xor, &[&hi_b, &c1])?;
        let y = e.map(ScalarOp::Xor, &[&hi_a, &c3])?;
        (c0, c2) = (e.map(ScalarOp::Xor, &[&x, &k0])?, e.map(ScalarOp::Xor, &[&y, &k1])?);
        (c1, c3) = (lo_b, lo_a);
        (k0, k1) = (e.map(ScalarOp::Add, &[&k0, &keys[0]])?, e.map(ScalarOp::Add, &[&k1, &keys[1]])?);
    }
    Ok([c0, c1, c2, c3])
}

fn words(e: &mut Eval, a: &Args) -> Result<[Tensor; 4]> {
    let offset = a.tensor(e, "offset")?;
    let rounds = a.int(e, "n_rounds")?.unwrap_or(10);
    let shape = offset.shape.clone();
    let low = e.cast(&offset, DType::U32)?;
    let zero = word(e, 0, &shape);
    let high = if offset.dtype.bits() == 64 {
        let by = e.filled(Literal::Int(32), offset.dtype, &shape);
        let h = e.map(ScalarOp::Shr, &[&offset, &by])?;
        e.cast(&h, DType::U32)?
    } else {
        zero.clone()
    };
    philox(e, &a.get("seed"), [low, high, zero.clone(), zero], rounds)
}

/// A word as a float in [0, 1).
fn uniform(e: &mut Eval, t: &Tensor) -> Result<Tensor> {
    if t.dtype.bits() != 32 {
        return Err(e
            .error("K010", "uniform floats of 64-bit words are not supported", "here")
            .help("use 32-bit counters"));
    }
    let shape = t.shape.clone();
    let x = e.bitcast(t, DType::I32)?;
    let zero = e.filled(Literal::Int(0), DType::I32, &shape);
    let negative = e.map(ScalarOp::Lt, &[&x, &zero])?;
    let turned = e.map(ScalarOp::Not, &[&x])?;
    let x = e.map(ScalarOp::Select, &[&negative, &turned, &x])?;
    let x = e.cast(&x, DType::F32)?;
    let scale = e.filled(Literal::float(4.6566127342e-10), DType::F32, &shape);
    e.map(ScalarOp::Mul, &[&x, &scale])
}

/// Box and Muller's transform.
fn normal(e: &mut Eval, u1: &Tensor, u2: &Tensor) -> Result<(Tensor, Tensor)> {
    let shape = u1.shape.clone();
    let constant = |e: &mut Eval, v: f64| e.filled(Literal::float(v), DType::F32, &shape);
    let (least, turn, factor) = (constant(e, 1.0e-7), constant(e, std::f64::consts::TAU), constant(e, -2.0));
    let u1 = e.map(ScalarOp::Max, &[&least, u1])?;
    let angle = e.map(ScalarOp::Mul, &[&turn, u2])?;
    let log = e.map(ScalarOp::Log, &[&u1])?;
    let square = e.map(ScalarOp::Mul, &[&factor, &log])?;
    let r = e.map(ScalarOp::Sqrt, &[&square])?;
    let (cos, sin) = (e.map(ScalarOp::Cos, &[&angle])?, e.map(ScalarOp::Sin, &[&angle])?);
    Ok((e.map(ScalarOp::Mul, &[&r, &cos])?, e.map(ScalarOp::Mul, &[&r, &sin])?))
}

fn tuple(list: Vec<Tensor>) -> Value {
    Value::tuple(list.into_iter().map(Value::Tensor).collect())
}

// Triton's `randint` gives the words as they are, unsigned.

pub(super) fn randint(e: &mut Eval, a: &mut Args) -> Result<Value> {
    let [x, ..] = words(e, a)?;
    Ok(Value::Tensor(x))
}

pub(super) fn randint4x(e: &mut Eval, a: &mut Args) -> Result<Value> {
    Ok(tuple(words(e, a)?.to_vec()))
}

pub(super) fn rand(e: &mut Eval, a: &mut Args) -> Result<Value> {
    let [x, ..] = words(e, a)?;
    Ok(Value::Tensor(uniform(e, &x)?))
}

pub(super) fn rand4x(e: &mut Eval, a: &mut Args) -> Result<Value> {
    let mut out = Vec::new();
    for x in words(e, a)? {
        out.push(uniform(e, &x)?);
    }
    Ok(tuple(out))
}

pub(super) fn randn(e: &mut Eval, a: &mut Args) -> Result<Value> {
    let [x, y, ..] = words(e, a)?;
    let (u1, u2) = (uniform(e, &x)?, uniform(e, &y)?);
    Ok(Value::Tensor(normal(e, &u1, &u2)?.0))
}

pub(super) fn randn4x(e: &mut Eval, a: &mut Args) -> Result<Value> {
    let mut u = Vec::new();
    for x in words(e, a)? {
        u.push(uniform(e, &x)?);
    }
    let ((a0, a1), (b0, b1)) = (normal(e, &u[0], &u[1])?, normal(e, &u[2], &u[3])?);
    Ok(tuple(vec![a0, a1, b0, b1]))
}

pub(super) fn philox_row(e: &mut Eval, a: &mut Args) -> Result<Value> {
    let mut counter = Vec::new();
    let mut shape = Vec::new();
    for name in ["c0", "c1", "c2", "c3"] {
        let t = a.tensor(e, name)?;
        if t.dtype.bits() != 32 || t.dtype.is_float() {
            return Err(e
                .error("K010", "Philox with 64-bit counters is not supported", "here")
                .help("use 32-bit counters"));
        }
        shape = e.common_shape(&shape, &t.shape)?;
        counter.push(t);
    }
    let mut words = Vec::new();
    for t in &counter {
        let t = e.cast(t, DType::U32)?;
        words.push(e.broadcast_to(&t, &shape)?);
    }
    let rounds = a.int(e, "n_rounds")?.unwrap_or(10);
    let Ok(counter) = <[Tensor; 4]>::try_from(words) else { return Ok(Value::None) };
    Ok(tuple(philox(e, &a.get("seed"), counter, rounds)?.to_vec()))
}

pub(super) fn uint_to_uniform_float(e: &mut Eval, a: &mut Args) -> Result<Value> {
    let t = a.tensor(e, "x")?;
    Ok(Value::Tensor(uniform(e, &t)?))
}

pub(super) fn pair_uniform_to_normal(e: &mut Eval, a: &mut Args) -> Result<Value> {
    let (x, y) = (a.tensor(e, "u1")?, a.tensor(e, "u2")?);
    let (x, y) = e.broadcast_pair(x, y)?;
    let (p, q) = normal(e, &x, &y)?;
    Ok(tuple(vec![p, q]))
}
