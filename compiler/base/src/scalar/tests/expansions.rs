//! Every expansion against the meaning of its row, in f64 and on all 8-bit integers.

use super::*;

const EDGES: [f64; 22] = [
    0.0,
    -0.0,
    1.0,
    -1.0,
    0.5,
    -0.5,
    2.0,
    -2.0,
    7.25,
    -7.25,
    80.0,
    -80.0,
    1e-9,
    -1e-9,
    1e-300,
    -1e-300,
    1e300,
    -1e300,
    f64::INFINITY,
    f64::NEG_INFINITY,
    f64::NAN,
    3.0,
];

fn with_expansion() -> impl Iterator<Item = (ScalarOp, &'static Row, &'static str)> {
    ScalarOp::ALL.iter().map(|op| (*op, op.row())).filter_map(|(op, row)| row.expand.map(|text| (op, row, text)))
}

/// All lists of `arity` edge values.
fn edge_operands(arity: usize) -> Vec<Vec<f64>> {
    let count = EDGES.len().pow(arity as u32);
    (0..count).map(|i| (0..arity).map(|k| EDGES[i / EDGES.len().pow(k as u32) % EDGES.len()]).collect()).collect()
}

#[test]
fn expansions_mean_the_same_on_floats() {
    let mut next = uniform();
    for (op, row, text) in with_expansion() {
        if !row.operands.accepts(DType::F64) {
            continue;
        }
        let expr = Expr::parse(text).unwrap();
        let mut points = edge_operands(row.arity);
        points.extend((0..2000).map(|_| (0..row.arity).map(|_| (next() - 0.5) * 20.0).collect()));
        points.extend((0..500).map(|_| (0..row.arity).map(|_| next()).collect()));
        for at in points {
            // Rounding twice may overflow in between.
            if op == ScalarOp::Fma && (at[0] * at[1]).is_infinite() {
                continue;
            }
            let operands: Vec<_> = at.iter().map(|v| (Scalar::Float(*v), DType::F64)).collect();
            let values: Vec<_> = operands.iter().map(|v| v.0).collect();
            let exact = eval(op, &values, DType::F64).unwrap().as_f64();
            let expanded = expr.build(&mut Evaluator, &operands, None).0.as_f64();
            let close = (expanded - exact).abs() <= 1e-12 * exact.abs().max(tolerance_floor(row, &at));
            assert!(
                close || exact == expanded || exact.is_nan() && expanded.is_nan(),
                "{}{at:?} = {exact:e}, expanded {expanded:e}",
                row.name
            );
        }
    }
}

/// Relative accuracy is asked for, but where the row itself only promises an absolute error, or an operand is
/// cancelled against another.
fn tolerance_floor(row: &Row, at: &[f64]) -> f64 {
    match row.accuracy {
        Accuracy::AbsOrUlp(..) => 1.0,
        _ if row.arity > 1 => at.iter().map(|v| v.abs()).filter(|v| v.is_finite() && *v < 1e9).fold(1.0, f64::max),
        _ => 0.0,
    }
}

#[test]
fn expansions_mean_the_same_on_8_bit_integers() {
    let mut tried = 0;
    for (op, row, text) in with_expansion() {
        let expr = Expr::parse(text).unwrap();
        for dtype in [DType::I8, DType::U8, DType::Bool] {
            if !row.operands.accepts(dtype) {
                continue;
            }
            tried += 1;
            for args in integers::operands(row.arity, dtype) {
                let operands: Vec<_> = args.iter().map(|v| (*v, dtype)).collect();
                let expanded = expr.build(&mut Evaluator, &operands, None).0;
                assert_eq!(Ok(expanded), eval(op, &args, dtype), "{}{args:?} on {dtype}", row.name);
            }
        }
    }
    assert!(tried >= 10, "{tried}");
}
