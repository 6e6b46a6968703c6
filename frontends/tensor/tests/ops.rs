//! Every operation of the API against values worked out by hand, on known and on lazy tensors.
#![allow(clippy::unwrap_used)]

use girih::prelude::*;

fn t(values: &[f32], shape: &[usize]) -> Tensor {
    Tensor::new(values, shape)
}

#[track_caller]
fn is(got: &Tensor, shape: &[usize], want: &[f32]) {
    let data = got.data().unwrap();
    assert_eq!((data.shape(), data.to_vec::<f32>().unwrap()), (shape, want.to_vec()));
}

#[track_caller]
fn is_i32(got: &Tensor, shape: &[usize], want: &[i32]) {
    let data = got.data().unwrap();
    assert_eq!((data.shape(), data.to_vec::<i32>().unwrap()), (shape, want.to_vec()));
}

fn a() -> Tensor {
    t(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0], &[2, 3])
}

#[test]
fn operators_take_tensors_and_numbers_on_either_side() {
    let x = t(&[1.0, 2.0], &[2]);
    is(&(&x + &x), &[2], &[2.0, 4.0]);
    is(&(&x - 1.0), &[2], &[0.0, 1.0]);
    is(&(1.0 - &x).abs(), &[2], &[0.0, 1.0]);
    is(&(2 * x.clone()), &[2], &[2.0, 4.0]);
    is(&(3.0 / &x), &[2], &[3.0, 1.5]);
    is(&-&x, &[2], &[-1.0, -2.0]);
    is(&x.maximum(1.5), &[2], &[1.5, 2.0]);
    is(&x.pow(2.0), &[2], &[1.0, 4.0]);
    is(&x.clamp(1.25, 1.75), &[2], &[1.25, 1.75]);
    assert_eq!((x.lt(2.0) | x.equal(2.0)).to_vec::<bool>().unwrap(), [true, true]);
    assert_eq!((!x.ge(2.0)).to_vec::<bool>().unwrap(), [true, false]);
}

#[test]
fn integers_shift_and_keep_their_dtype() {
    let x = Tensor::new(&[1i32, -4, 7], [3]);
    is_i32(&(&x << 2), &[3], &[4, -16, 28]);
    is_i32(&(&x >> 1), &[3], &[0, -2, 3]);
    is_i32(&(&x % 3), &[3], &[1, -1, 1]);
    is_i32(&(&x + 2.0), &[3], &[3, -2, 9]);
    assert!((&x + 0.5).to_vec::<i32>().unwrap_err().to_string().contains("0.5 is not an element of i32"));
}

#[test]
fn operands_broadcast_like_numpy() {
    is(&(a() + t(&[10.0, 20.0, 30.0], &[3])), &[2, 3], &[11.0, 22.0, 33.0, 14.0, 25.0, 36.0]);
    is(&(t(&[1.0, 2.0], &[2, 1]) * t(&[3.0, 4.0], &[1, 2])), &[2, 2], &[3.0, 4.0, 6.0, 8.0]);
    is(&t(&[7.0], &[1]).broadcast_to([2, 2]), &[2, 2], &[7.0; 4]);
}

#[test]
fn every_row_of_the_scalar_table_has_a_method() {
    is(&t(&[0.0], &[1]).exp(), &[1], &[1.0]);
    is(&t(&[4.0], &[1]).rsqrt(), &[1], &[0.5]);
    is(&t(&[2.0], &[1]).fma(3.0, 4.0), &[1], &[10.0]);
    assert_eq!(t(&[f32::NAN, 1.0], &[2]).is_nan().to_vec::<bool>().unwrap(), [true, false]);
    is_i32(&Tensor::new(&[12i32], [1]).popcount(), &[1], &[2]);
}

#[test]
fn shapes() {
    is(&a().reshape([3, -1]), &[3, 2], &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
    is(&a().t(), &[3, 2], &[1.0, 4.0, 2.0, 5.0, 3.0, 6.0]);
    is(&a().slice(1, 1, 3), &[2, 2], &[2.0, 3.0, 5.0, 6.0]);
    is(&a().slice_step(-1, 0, 3, 2), &[2, 2], &[1.0, 3.0, 4.0, 6.0]);
    is(&a().reverse(0), &[2, 3], &[4.0, 5.0, 6.0, 1.0, 2.0, 3.0]);
    is(&t(&[1.0], &[1]).pad(&[(1, 2)], 9.0), &[4], &[9.0, 1.0, 9.0, 9.0]);
    is(&a().unsqueeze(1).squeeze(1), &[2, 3], &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
    assert_eq!(a().unsqueeze(-1).dims::<3>().unwrap(), [2, 3, 1]);
    let (x, y) = (t(&[1.0, 2.0], &[2]), t(&[3.0, 4.0], &[2]));
    is(&concat(&[&x, &y], 0), &[4], &[1.0, 2.0, 3.0, 4.0]);
    is(&stack(&[&x, &y], -1), &[2, 2], &[1.0, 3.0, 2.0, 4.0]);
}

#[test]
fn reductions() {
    is(&a().sum(..), &[], &[21.0]);
    is(&a().sum(-1), &[2], &[6.0, 15.0]);
    is(&a().sum_keep([0]), &[1, 3], &[5.0, 7.0, 9.0]);
    is(&a().mean([0, 1]), &[], &[3.5]);
    is(&a().mean_keep(1), &[2, 1], &[2.0, 5.0]);
    is(&a().max(0), &[3], &[4.0, 5.0, 6.0]);
    is(&a().min(1), &[2], &[1.0, 4.0]);
    is(&a().prod(1), &[2], &[6.0, 120.0]);
    is(&t(&[1.0, 3.0], &[2]).var_keep(0), &[1], &[1.0]);
    is(&a().cumsum(1), &[2, 3], &[1.0, 3.0, 6.0, 4.0, 9.0, 15.0]);
    is_i32(&t(&[1.0, 5.0, 5.0], &[3]).argmax(0), &[], &[1]);
    is_i32(&t(&[1.0, 5.0, 5.0], &[3]).argmin(-1), &[], &[0]);
    let flags = Tensor::new(&[true, false], [2]);
    assert!(flags.any(..).item::<bool>().unwrap() && !flags.all(..).item::<bool>().unwrap());
}

#[test]
fn half_precision_sums_keep_their_dtype() {
    let x = a().cast(DType::Bf16);
    assert_eq!(x.sum(..).dtype(), DType::Bf16);
    assert_eq!(x.matmul(&x.t()).dtype(), DType::Bf16);
}

#[test]
fn sorting() {
    let x = t(&[3.0, 1.0, 2.0], &[3]);
    is(&x.sort(0), &[3], &[1.0, 2.0, 3.0]);
    is_i32(&x.argsort(0), &[3], &[1, 2, 0]);
    is_i32(&x.argsort_descending(0), &[3], &[0, 2, 1]);
}

#[test]
fn picking() {
    let rows = Tensor::new(&[1i32, 0, 1], [3]);
    is(&a().take(&rows, 0), &[3, 3], &[4.0, 5.0, 6.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
    is(&a().take(&rows, 1), &[2, 3], &[2.0, 1.0, 2.0, 5.0, 4.0, 5.0]);
    is(&a().gather(&Tensor::new(&[2i32, 0], [2, 1]), 1), &[2, 1], &[3.0, 4.0]);
    is(&where_(&a().gt(3.0), &a(), 0.0), &[2, 3], &[0.0, 0.0, 0.0, 4.0, 5.0, 6.0]);
    is(&Tensor::new(&[2i32, 0], [2]).one_hot(3, DType::F32), &[2, 3], &[0.0, 0.0, 1.0, 1.0, 0.0, 0.0]);
    let start = Tensor::scalar(1.0, DType::I32);
    is(&a().dyn_slice(1, &start, 2), &[2, 2], &[2.0, 3.0, 5.0, 6.0]);
    is(&a().dyn_update(1, &start, &t(&[0.0, 0.0], &[2, 1])), &[2, 3], &[1.0, 0.0, 3.0, 4.0, 0.0, 6.0]);
}

#[test]
fn products() {
    let v = t(&[1.0, 0.0, -1.0], &[3]);
    is(&a().matmul(&a().t()), &[2, 2], &[14.0, 32.0, 32.0, 77.0]);
    is(&a().matmul(&v), &[2], &[-2.0, -2.0]);
    is(&v.matmul(&a().t()), &[2], &[-2.0, -2.0]);
    is(&v.matmul(&v), &[], &[2.0]);
    let batch = Tensor::iota(DType::F32, [2, 1, 3], 0);
    assert_eq!(batch.matmul(&a().t()).dims::<3>().unwrap(), [2, 1, 2]);
    assert_eq!(a().matmul(&batch.transpose(1, 2)).dims::<3>().unwrap(), [2, 2, 1]);
    is(&v.matmul(&batch.transpose(1, 2)), &[2, 1], &[0.0, 0.0]);
    is(&a().dot_general(&a(), &[(0, 0)], &[(1, 1)]), &[2], &[14.0, 77.0]);
}

#[test]
fn einstein_notation() {
    is(&einsum("ij,kj->ik", &a(), &a()), &[2, 2], &[14.0, 32.0, 32.0, 77.0]);
    is(&einsum("ij,kj->ki", &a(), &a()), &[2, 2], &[14.0, 32.0, 32.0, 77.0]);
    is(&einsum("bi,bj->bij", &a(), &a()).sum([1, 2]), &[2], &[36.0, 225.0]);
    is(&einsum("ij,k->i", &a(), &t(&[1.0, 1.0], &[2])), &[2], &[12.0, 30.0]);
    for (spec, why) in
        [("ij,jk", "form"), ("i,jk->k", "1 letters"), ("ij,jk->iz", "`z` is in no input"), ("ii,jk->k", "twice")]
    {
        let text = einsum(spec, &a(), &a()).ok().unwrap_err().to_string();
        assert!(text.contains(why), "{text}");
    }
}

#[test]
fn casts_and_bits() {
    is_i32(&t(&[1.75, -1.75], &[2]).cast(DType::I32), &[2], &[1, -1]);
    is_i32(&t(&[1.0], &[1]).bitcast(DType::I32), &[1], &[0x3F80_0000]);
    is(&t(&[1.5], &[1]).stop_gradient(), &[1], &[1.5]);
    is_i32(&Tensor::arange(DType::I32, 3), &[3], &[0, 1, 2]);
    is(&Tensor::full(0.5, DType::F32, [2]), &[2], &[0.5, 0.5]);
}

#[test]
fn a_long_chain_is_computed_and_dropped_without_recursion() {
    let mut x = t(&[0.0], &[1]);
    for _ in 0..200_000 {
        x = x.clone().named("x") + 0.0;
    }
    drop(x);
    let mut y = t(&[0.0], &[1]);
    for _ in 0..2_000 {
        y = y + 1.0;
    }
    is(&y, &[1], &[2000.0]);
}
