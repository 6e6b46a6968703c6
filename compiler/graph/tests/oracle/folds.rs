//! Dot, Reduce, Scan, Sort.

use super::*;
use girih_base::ScalarOp;
use girih_graph::ops::{Dot, Precision, Reduce, Scan, Sort};
use girih_graph::{Monoid, TensorTy};
use std::sync::Arc;

fn reduce(monoid: Monoid, axes: &[usize], acc: DType) -> Reduce {
    Reduce { monoid, axes: axes.to_vec(), acc }
}

fn scan(monoid: Monoid, reverse: bool, exclusive: bool) -> Scan {
    Scan { monoid, axis: 0, reverse, exclusive, acc: DType::F32 }
}

fn dot(batch: &[(usize, usize)], contract: &[(usize, usize)], acc: DType) -> Dot {
    Dot { batch: batch.to_vec(), contract: contract.to_vec(), acc, precision: Precision::Exact }
}

#[test]
fn products_of_matrices() {
    let (a, b) = (count(&[2, 3]), count(&[3, 2]));
    assert_eq!(floats(dot(&[], &[(1, 0)], DType::F32), &[a.clone(), b.clone()]), [10., 13., 28., 40.]);
    // Both transposed: contract the first axis of the left with the last of the right.
    assert_eq!(
        floats(dot(&[], &[(0, 1)], DType::F32), &[a.clone(), b.clone()]),
        [3., 9., 15., 4., 14., 24., 5., 19., 33.]
    );
    assert_eq!(
        floats(dot(&[], &[(0, 1), (1, 0)], DType::F32), &[a.clone(), b.clone()]),
        [0. + 2. + 8. + 3. + 12. + 25.]
    );
    // Batched, with the batch axis last on the right.
    let batched = dot(&[(0, 1)], &[(1, 0)], DType::F32);
    assert_eq!(floats(batched, &[a.clone(), b]), [0. + 2. + 8., 3. + 12. + 25.]);
    let outer = run(dot(&[], &[], DType::F32), &[count(&[2]), a]);
    assert_eq!(outer.array().unwrap().shape, [2, 2, 3]);
    assert_eq!(outer.array().unwrap().to_f64(), [0., 0., 0., 0., 0., 0., 0., 1., 2., 3., 4., 5.]);
}

#[test]
fn integer_products_sum_in_the_accumulator() {
    let (a, b) = (ints(DType::I8, &[2], &[127, 127]), ints(DType::I8, &[2], &[127, -1]));
    assert_eq!(floats(dot(&[], &[(0, 0)], DType::I32), &[a.clone(), b.clone()]), [16002.]);
    assert_eq!(floats(dot(&[], &[(0, 0)], DType::I8), &[a, b]), [(16002i32 as i8) as f64]);
    let empty = dot(&[], &[(0, 0)], DType::F32);
    assert_eq!(floats(empty, &[f32s(&[0, 2], &[]), f32s(&[0], &[])]), [0., 0.]);
}

#[test]
fn zero_times_infinity_is_not_skipped() {
    let out = floats(dot(&[], &[(0, 0)], DType::F32), &[f32s(&[1], &[0.]), f32s(&[1], &[f32::INFINITY])]);
    assert!(out[0].is_nan());
}

#[test]
fn a_large_product_does_not_take_forever() {
    let (a, b) = (Array::random(DType::F32, &[512, 512], 1), Array::random(DType::F32, &[512, 512], 2));
    let start = std::time::Instant::now();
    let out = run(dot(&[], &[(1, 0)], DType::F32), &[a.clone(), b.clone()]);
    let took = start.elapsed();
    let want: f64 = (0..512).map(|k| a.f64(7 * 512 + k) * b.f64(k * 512 + 11)).sum();
    assert!((out.array().unwrap().f64(7 * 512 + 11) - want).abs() < 1e-9);
    // Ten times what it takes alone, since tests share the machine.
    assert!(took.as_secs_f64() < 5.0, "{took:?}");
}

#[test]
fn folds_of_numbers() {
    let x = count(&[2, 3]);
    assert_eq!(floats(reduce(Monoid::Sum, &[1], DType::F32), std::slice::from_ref(&x)), [3., 12.]);
    assert_eq!(floats(reduce(Monoid::Sum, &[0], DType::F32), std::slice::from_ref(&x)), [3., 5., 7.]);
    assert_eq!(floats(reduce(Monoid::Sum, &[1, 0], DType::F32), std::slice::from_ref(&x)), [15.]);
    assert_eq!(floats(reduce(Monoid::Prod, &[1], DType::F32), std::slice::from_ref(&x)), [0., 60.]);
    assert_eq!(floats(reduce(Monoid::Max, &[0], DType::F32), std::slice::from_ref(&x)), [3., 4., 5.]);
    assert!(floats(reduce(Monoid::Min, &[0], DType::F32), &[f32s(&[2], &[1., f32::NAN])])[0].is_nan());
    let bytes = ints(DType::U8, &[2], &[200, 100]);
    assert_eq!(floats(reduce(Monoid::Sum, &[0], DType::U8), std::slice::from_ref(&bytes)), [44.]);
    assert_eq!(floats(reduce(Monoid::Sum, &[0], DType::U32), std::slice::from_ref(&bytes)), [300.]);
    assert_eq!(floats(reduce(Monoid::And, &[0], DType::U8), std::slice::from_ref(&bytes)), [64.]);
    assert_eq!(floats(reduce(Monoid::Or, &[0], DType::U8), std::slice::from_ref(&bytes)), [236.]);
    assert_eq!(floats(reduce(Monoid::Xor, &[0], DType::U8), &[bytes]), [172.]);
}

#[test]
fn folds_of_nothing_are_identities() {
    let none = |dtype| Array::from_f64(dtype, &[2, 0], []);
    let fold = |m, dtype| floats(reduce(m, &[1], dtype), &[none(dtype)]);
    assert_eq!(fold(Monoid::Sum, DType::F32), [0., 0.]);
    assert_eq!(fold(Monoid::Prod, DType::I32), [1., 1.]);
    assert_eq!(fold(Monoid::Max, DType::F32), [f64::NEG_INFINITY; 2]);
    assert_eq!(fold(Monoid::Max, DType::F8E4M3Fn), [-448.; 2]);
    assert_eq!(fold(Monoid::Min, DType::I8), [127.; 2]);
    assert_eq!(fold(Monoid::And, DType::Bool), [1.; 2]);
    assert_eq!(tuple(reduce(Monoid::Online, &[1], DType::F32), &[none(DType::F32)])[1], [0., 0.]);
}

#[test]
fn positions_of_extremes() {
    let at = |m: Monoid, x: &[f32]| tuple(reduce(m, &[0], DType::F32), &[f32s(&[x.len()], x)]);
    assert_eq!(at(Monoid::ArgMax, &[1., 5., 5., 2.]), [[5.], [1.]]);
    assert_eq!(at(Monoid::ArgMin, &[3., 1., 4., 1.]), [[1.], [1.]]);
    assert_eq!(at(Monoid::ArgMax, &[f32::NEG_INFINITY, f32::NEG_INFINITY])[1], [0.]);
    let with_nan = [1., f32::NAN, 9., f32::NAN];
    for m in [Monoid::ArgMax, Monoid::ArgMin] {
        let out = at(m, &with_nan);
        assert!(out[0][0].is_nan());
        assert_eq!(out[1], [1.]);
    }
}

#[test]
fn moments_and_online_softmax() {
    let x = f32s(&[4], &[2., 4., 4., 6.]);
    assert_eq!(tuple(reduce(Monoid::Welford, &[0], DType::F32), &[x]), [[4.], [8.]]);
    let out = tuple(reduce(Monoid::Online, &[0], DType::F32), &[f32s(&[3], &[f32::NEG_INFINITY, 0., 1.])]);
    assert_eq!(out[0], [1.]);
    assert!((out[1][0] - (1.0 + (-1f64).exp())).abs() < 1e-15);
    let masked = tuple(reduce(Monoid::Online, &[0], DType::F32), &[f32s(&[2], &[f32::NEG_INFINITY; 2])]);
    assert_eq!(masked, [[f64::NEG_INFINITY], [0.]]);
}

/// x * y + y, which is not commutative: the order of the fold shows.
fn affine() -> Monoid {
    let mut body = Graph::new("affine");
    let scalar = TensorTy::scalar(DType::F32);
    let [a, b, c, d] = ["a", "b", "c", "d"].map(|n| body.param(n, scalar.clone(), ParamKind::Input, Loc::unknown()));
    // Composition of the maps t -> a t + b, then t -> c t + d.
    let scale = body.map(ScalarOp::Mul, &[a, c]).unwrap();
    let shifted = body.map(ScalarOp::Mul, &[b, c]).unwrap();
    let shift = body.map(ScalarOp::Add, &[shifted, d]).unwrap();
    body.set_outputs(vec![scale, shift]);
    Monoid::Custom(Arc::new(body), vec![1.0.into(), 0.0.into()])
}

#[test]
fn custom_folds_keep_their_order() {
    let args = [f32s(&[3], &[2., 3., 5.]), f32s(&[3], &[1., 1., 1.])];
    assert_eq!(tuple(reduce(affine(), &[0], DType::F32), &args), [[30.], [21.]]);
    assert_eq!(tuple(scan(affine(), false, false), &args)[1], [1., 4., 21.]);
    assert_eq!(tuple(scan(affine(), true, false), &args)[1], [9., 4., 1.]);
    assert_eq!(tuple(scan(affine(), false, true), &args)[0], [1., 2., 6.]);
}

#[test]
fn scans_run_both_ways() {
    let x = f32s(&[4], &[1., 2., 3., 4.]);
    assert_eq!(floats(scan(Monoid::Sum, false, false), std::slice::from_ref(&x)), [1., 3., 6., 10.]);
    assert_eq!(floats(scan(Monoid::Sum, false, true), std::slice::from_ref(&x)), [0., 1., 3., 6.]);
    assert_eq!(floats(scan(Monoid::Sum, true, false), std::slice::from_ref(&x)), [10., 9., 7., 4.]);
    assert_eq!(floats(scan(Monoid::Sum, true, true), std::slice::from_ref(&x)), [9., 7., 4., 0.]);
    let columns = Scan { axis: 1, ..scan(Monoid::Max, false, false) };
    assert_eq!(floats(columns, &[f32s(&[2, 3], &[1., 0., 2., 5., 6., 4.])]), [1., 1., 2., 5., 6., 6.]);
    let peaks = tuple(scan(Monoid::ArgMax, true, false), &[f32s(&[4], &[3., 1., 3., 2.])]);
    assert_eq!(peaks, [[3., 3., 3., 2.], [0., 2., 2., 3.]]);
}

#[test]
fn sorting_is_stable_and_total() {
    let sort = |keys, descending| Sort { axis: 0, keys, descending };
    let x = f32s(&[5], &[3., f32::NAN, -0., 0., f32::NEG_INFINITY]);
    let up = floats(sort(1, false), std::slice::from_ref(&x));
    assert_eq!(up[..4], [f64::NEG_INFINITY, 0., 0., 3.]);
    assert!(up[1].is_sign_negative() && up[4].is_nan());
    assert!(floats(sort(1, true), &[x])[0].is_nan());
    let keys = ints(DType::I32, &[4], &[1, 0, 1, 0]);
    assert_eq!(tuple(sort(1, false), &[keys.clone(), count(&[4])])[1], [1., 3., 0., 2.]);
    assert_eq!(tuple(sort(1, true), &[keys.clone(), count(&[4])])[1], [0., 2., 1., 3.]);
    assert_eq!(tuple(sort(2, true), &[keys, count(&[4])])[1], [2., 0., 3., 1.]);
    let rows = Sort { axis: 0, keys: 1, descending: false };
    assert_eq!(floats(rows, &[f32s(&[2, 2], &[4., 1., 3., 2.])]), [3., 1., 4., 2.]);
}
