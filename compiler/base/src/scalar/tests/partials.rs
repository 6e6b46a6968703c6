//! Every partial derivative against central differences of the meaning.

use super::*;

const STEP: f64 = 1e-5;

/// An interval for each operand where the function is smooth, but for kinks at single points.
fn domain(op: ScalarOp) -> (f64, f64) {
    use ScalarOp::*;
    match op {
        Sqrt | Log | Log2 | Log10 | Rsqrt | Pow => (0.2, 3.0),
        Log1p => (-0.7, 3.0),
        Asin | Acos | Atanh => (-0.9, 0.9),
        Acosh => (1.2, 3.0),
        _ => (-3.0, 3.0),
    }
}

/// The slopes to the left and to the right of a point, along one operand.
fn slopes(f: fn(&[f64]) -> f64, at: &[f64], along: usize) -> (f64, f64) {
    let shifted = |by: f64| {
        let mut p = at.to_vec();
        p[along] += by;
        f(&p)
    };
    ((shifted(0.0) - shifted(-STEP)) / STEP, (shifted(STEP) - shifted(0.0)) / STEP)
}

#[test]
fn partials_are_slopes() {
    let mut next = uniform();
    for op in ScalarOp::ALL.iter().copied() {
        let (row, (lo, hi)) = (op.row(), domain(op));
        let Some(f) = row.meaning.float else { continue };
        let mut tried = 0;
        for _ in 0..400 {
            let at: Vec<f64> = (0..row.arity).map(|_| lo + (hi - lo) * next()).collect();
            for (along, partial) in row.partials.iter().enumerate() {
                let (left, right) = slopes(f, &at, along);
                // A kink, a jump or a pole lies close: no derivative to compare with.
                let steep = left.abs().max(right.abs()) > 1e3;
                if !left.is_finite() || steep || (left - right).abs() > 1e-3 * left.abs().max(1.0) {
                    continue;
                }
                let exact = evaluate(partial, &at, Some(f(&at)));
                let slope = (left + right) / 2.0;
                assert!(
                    (exact - slope).abs() <= 1e-5 * exact.abs().max(1.0),
                    "d {}{at:?} / d operand {along} = `{partial}` = {exact}, slope {slope}",
                    row.name
                );
                tried += 1;
            }
        }
        assert!(tried >= 200 * row.arity, "{}: only {tried} smooth points", row.name);
    }
}

#[test]
fn partials_at_chosen_points() {
    let at = |op: ScalarOp, operands: &[f64]| -> Vec<f64> {
        let r = op.row().meaning.float.map(|f| f(operands));
        op.row().partials.iter().map(|p| evaluate(p, operands, r)).collect()
    };
    use ScalarOp::*;
    assert_eq!(at(Pow, &[0.0, 0.0])[0], 0.0, "x^0 is constant");
    assert_eq!(at(Pow, &[-2.0, 3.0]), [12.0, 0.0]);
    assert_eq!(at(Abs, &[0.0]), [0.0]);
    assert_eq!(at(Max, &[1.0, 1.0]), [1.0, 0.0]);
    assert_eq!(at(Min, &[1.0, 1.0]), [1.0, 0.0]);
    // Limits in the wrong order: the result is z.
    assert_eq!(at(Clamp, &[0.0, 2.0, 1.0]), [0.0, 0.0, 1.0]);
    assert_eq!(at(Clamp, &[0.0, 1.0, 2.0]), [0.0, 1.0, 0.0]);
    assert_eq!(at(CopySign, &[3.0, -0.0]), [-1.0, 0.0]);
}

/// `select` has a bool operand, so its partials are looked at on their own.
#[test]
fn select_passes_to_the_chosen_operand() {
    let row = ScalarOp::Select.row();
    for c in [0, 1] {
        let operands =
            [(Scalar::Int(c), DType::Bool), (Scalar::Float(5.0), DType::F64), (Scalar::Float(7.0), DType::F64)];
        let partial =
            |i: usize| Expr::parse(row.partials[i]).unwrap().build(&mut Evaluator, &operands, None).0.as_f64();
        assert_eq!((partial(1), partial(2)), (c as f64, 1.0 - c as f64));
    }
}
