//! Folds in tile form: identities and merging of running values.

use girih_base::codec::{self, Scalar};
use girih_base::scalar::IntType;
use girih_base::{DType, Diag, Result, ScalarOp};
use girih_graph::{Literal as GraphLiteral, Monoid, Op as GraphOp};
use girih_tile::{Block, Builder, Combine, Literal, TileTy, ValueId};
use std::collections::BTreeMap;

/// The largest (or smallest) value of a dtype, infinite where it has infinities.
pub fn extreme(dtype: DType, largest: bool) -> Literal {
    match IntType::of(dtype) {
        None => {
            let end = if largest { f64::INFINITY } else { f64::NEG_INFINITY };
            let infinite = codec::cast(Scalar::Float(end), dtype).as_f64().is_infinite();
            let code = codec::encode_saturating(Scalar::Float(end), dtype);
            Literal::float(if infinite { end } else { codec::decode(code, dtype).as_f64() })
        }
        Some(t) => {
            let top = if t.signed { (1i128 << (t.bits - 1)) - 1 } else { (1i128 << t.bits) - 1 };
            let value = match (largest, t.signed) {
                (true, _) => top,
                (false, true) => -top - 1,
                (false, false) => 0,
            };
            Literal::Int(value as i64)
        }
    }
}

/// The value that a sort puts last: NaN, or minus infinity when descending; the end of the range for integers.
pub fn last_in_order(dtype: DType, descending: bool) -> Literal {
    match (IntType::of(dtype), descending) {
        (None, false) if codec::cast(Scalar::Float(f64::NAN), dtype).as_f64().is_nan() => Literal::float(f64::NAN),
        (None, false) => extreme(dtype, true),
        (None, true) => extreme(dtype, false),
        (Some(t), false) if t.signed => Literal::Int(i64::MAX >> (64 - t.bits)),
        (Some(t), true) if t.signed => Literal::Int(i64::MIN >> (64 - t.bits)),
        (Some(t), false) => Literal::Int((u64::MAX >> (64 - t.bits)) as i64),
        (Some(_), true) => Literal::Int(0),
    }
}

fn number(dtype: DType, value: i64) -> Literal {
    if dtype.is_float() { Literal::float(value as f64) } else { Literal::Int(value) }
}

/// The identity of each running value.
pub fn identity(monoid: &Monoid, states: &[DType]) -> Vec<Literal> {
    let d = states[0];
    match monoid {
        Monoid::Sum | Monoid::Xor | Monoid::Or => vec![number(d, 0)],
        Monoid::Prod => vec![number(d, 1)],
        Monoid::And => vec![if d == DType::Bool { Literal::Int(1) } else { Literal::Int(-1) }],
        Monoid::Max => vec![extreme(d, false)],
        Monoid::Min => vec![extreme(d, true)],
        Monoid::ArgMax => vec![extreme(d, false), Literal::Int(i32::MAX as i64)],
        Monoid::ArgMin => vec![extreme(d, true), Literal::Int(i32::MAX as i64)],
        Monoid::Welford => vec![number(d, 0); 3],
        Monoid::Online => vec![extreme(d, false), number(d, 0)],
        Monoid::Custom(_, ids) => ids
            .iter()
            .zip(states)
            .map(|(n, d)| if d.is_float() { Literal::float(n.as_f64()) } else { Literal::Int(n.as_int() as i64) })
            .collect(),
    }
}

/// The scalar operation that folds, when the fold is that simple.
pub fn scalar_op(monoid: &Monoid) -> Option<ScalarOp> {
    Some(match monoid {
        Monoid::Sum => ScalarOp::Add,
        Monoid::Prod => ScalarOp::Mul,
        Monoid::Max => ScalarOp::Max,
        Monoid::Min => ScalarOp::Min,
        Monoid::And => ScalarOp::And,
        Monoid::Or => ScalarOp::Or,
        Monoid::Xor => ScalarOp::Xor,
        _ => return None,
    })
}

/// The running values of single elements: folds with state lift their operand first.
pub fn lift(monoid: &Monoid, b: &mut Builder, args: &[ValueId]) -> Vec<ValueId> {
    let fill = |b: &mut Builder, like: ValueId, v: i64| {
        let ty = b.ty(like).clone();
        b.constant(number(ty.dtype, v), ty)
    };
    match monoid {
        // count, mean, squared deviations
        Monoid::Welford => {
            let (one, zero) = (fill(b, args[0], 1), fill(b, args[0], 0));
            vec![one, args[0], zero]
        }
        Monoid::Online => {
            let one = fill(b, args[0], 1);
            vec![args[0], one]
        }
        _ => args.to_vec(),
    }
}

/// The results from the running values.
pub fn results(monoid: &Monoid, states: &[ValueId]) -> Vec<ValueId> {
    match monoid {
        Monoid::Welford => states[1..].to_vec(),
        _ => states.to_vec(),
    }
}

/// Merges two running values; works alike on scalars and tiles.
pub fn merge(monoid: &Monoid, b: &mut Builder, x: &[ValueId], y: &[ValueId]) -> Result<Vec<ValueId>> {
    use ScalarOp::*;
    if let Some(op) = scalar_op(monoid) {
        return Ok(vec![b.map(op, &[x[0], y[0]])]);
    }
    Ok(match monoid {
        Monoid::ArgMax | Monoid::ArgMin => {
            // Take the right one if it is better, or as good and earlier; NaN beats everything.
            let better =
                if matches!(monoid, Monoid::ArgMax) { b.map(Lt, &[x[0], y[0]]) } else { b.map(Lt, &[y[0], x[0]]) };
            let equal = b.map(Eq, &[x[0], y[0]]);
            let (mut better, mut equal) = (better, equal);
            if b.ty(x[0]).dtype.is_float() {
                let (nx, ny) = (b.map(IsNan, &[x[0]]), b.map(IsNan, &[y[0]]));
                let not_nx = b.map(Not, &[nx]);
                let only_y = b.map(And, &[ny, not_nx]);
                let held = b.map(And, &[better, not_nx]);
                better = b.map(Or, &[held, only_y]);
                let both = b.map(And, &[nx, ny]);
                equal = b.map(Or, &[equal, both]);
            }
            let earlier = b.map(Lt, &[y[1], x[1]]);
            let tie = b.map(And, &[equal, earlier]);
            let take = b.map(Or, &[better, tie]);
            vec![b.map(Select, &[take, y[0], x[0]]), b.map(Select, &[take, y[1], x[1]])]
        }
        Monoid::Welford => {
            // Chan, Golub and LeVeque's merge; an empty side (count 0) leaves the other as it is.
            let n = b.map(Add, &[x[0], y[0]]);
            let ty = b.ty(n).clone();
            let one = b.constant(Literal::float(1.0), ty.clone());
            let safe = b.map(Max, &[n, one]);
            let share = b.map(Div, &[y[0], safe]);
            let delta = b.map(Sub, &[y[1], x[1]]);
            let step = b.map(Mul, &[delta, share]);
            let mean = b.map(Add, &[x[1], step]);
            let cross = b.map(Mul, &[delta, step]);
            let cross = b.map(Mul, &[cross, x[0]]);
            let m2 = b.map(Add, &[x[2], y[2]]);
            let m2 = b.map(Add, &[m2, cross]);
            vec![n, mean, m2]
        }
        Monoid::Online => {
            let m = b.map(Max, &[x[0], y[0]]);
            // exp(-inf - -inf) would be NaN: an empty side counts nothing.
            let ty = b.ty(m).clone();
            let low = b.constant(Literal::float(f64::NEG_INFINITY), ty.clone());
            let zero = b.constant(Literal::float(0.0), ty);
            let mut sum = Vec::new();
            for side in [x, y] {
                let gap = b.map(Sub, &[side[0], m]);
                let e = b.map(Exp, &[gap]);
                let scaled = b.map(Mul, &[side[1], e]);
                let empty = b.map(Eq, &[side[0], low]);
                sum.push(b.map(Select, &[empty, zero, scaled]));
            }
            vec![m, b.map(Add, &[sum[0], sum[1]])]
        }
        Monoid::Custom(body, _) => {
            let mut map = BTreeMap::new();
            for (p, v) in body.params().iter().zip(x.iter().chain(y)) {
                map.insert(*p, *v);
            }
            for id in body.ids() {
                if map.contains_key(&id) {
                    continue;
                }
                let node = body.node(id);
                let args: Vec<ValueId> = body.operands(id).iter().map(|o| map[o]).collect();
                let like = b.ty(x[0]).clone();
                let v = match &node.op {
                    GraphOp::Map(op) => b.map(*op, &args),
                    GraphOp::Cast(c) => b.cast(args[0], c.to),
                    GraphOp::Bitcast(c) => b.bitcast(args[0], c.to),
                    GraphOp::Const(c) => match &c.value {
                        GraphLiteral::Splat(n) => {
                            let ty = like.with_dtype(c.ty.dtype);
                            let lit = if ty.dtype.is_float() {
                                Literal::float(n.as_f64())
                            } else {
                                Literal::Int(n.as_int() as i64)
                            };
                            b.constant(lit, ty)
                        }
                        _ => return Err(refuse(&node.op)),
                    },
                    other => return Err(refuse(other)),
                };
                map.insert(id, v);
            }
            body.outputs().iter().map(|o| map[o]).collect()
        }
        _ => Vec::new(),
    })
}

fn refuse(op: &GraphOp) -> Box<Diag> {
    use girih_graph::ops::Rule;
    Diag::error("L003", format!("a custom fold may only use scalar operations, not `{}`", op.name()))
        .help("write the body over scalars with maps, casts and constants")
}

/// The merge as a region over scalars, for one tile-level fold.
pub fn combine(monoid: &Monoid, b: &mut Builder, states: &[DType]) -> Result<Combine> {
    if let Some(op) = scalar_op(monoid) {
        return Ok(Combine::Scalar(op));
    }
    let fresh = |b: &mut Builder| -> Vec<ValueId> { states.iter().map(|d| b.fresh(TileTy::scalar(*d))).collect() };
    let (x, y) = (fresh(b), fresh(b));
    b.begin(x.iter().chain(&y).copied().collect());
    let out = merge(monoid, b, &x, &y);
    let block: Block = b.end(out.as_ref().map_or(Vec::new(), Clone::clone));
    out?;
    Ok(Combine::Body(block))
}
