//! The same programs on the processor and on the reference evaluator.
#![allow(clippy::unwrap_used, clippy::panic)]

use girih::prelude::*;

#[path = "../examples/digits.rs"]
mod digits;

fn random(seed: u64, shape: &[usize]) -> Tensor {
    Key::new(seed).uniform_in(DType::F32, shape, -1.5, 1.5)
}

/// Computes `f` on both devices, whole and lazily, and compares every result.
#[track_caller]
fn same<Out: Tree + 'static>(f: impl Fn() -> Out) {
    let values = |device: &Device| -> Vec<Vec<f64>> {
        device.scope(|| {
            let out = f();
            tree::eval(&out).unwrap_or_else(|why| panic!("{why}"));
            tree::tensors(&out)
                .iter()
                .map(|t| t.cast(DType::F64))
                .map(|t| Device::oracle().scope(|| t.to_vec::<f64>().unwrap()))
                .collect()
        })
    };
    let (want, got) = (values(&Device::oracle()), values(&Device::cpu()));
    for (got, want) in got.iter().zip(&want) {
        let close = got.len() == want.len()
            && got.iter().zip(want).all(|(g, w)| (g - w).abs() <= 2e-5 * (1.0 + w.abs()) || (g.is_nan() && w.is_nan()));
        assert!(close, "cpu {got:?}\noracle {want:?}");
    }
}

#[test]
fn maps_and_shapes() {
    same(|| (random(1, &[5, 7]) * random(2, &[7])).tanh() + 1.0);
    same(|| random(1, &[5, 6]).t().reshape([3, -1]).slice_step(1, 1, 9, 3));
    same(|| concat(&[&random(1, &[2, 3]), &random(2, &[2, 5])], 1).reverse(0).pad(&[(1, 0), (0, 2)], 9.0));
    same(|| where_(&random(1, &[33]).gt(0.0), &random(2, &[33]).exp(), 0.0));
}

#[test]
fn products_and_picking() {
    same(|| random(1, &[17, 9]).matmul(&random(2, &[9, 23])));
    same(|| einsum("bij,bkj->bik", &random(1, &[2, 3, 4]), &random(2, &[2, 5, 4])));
    same(|| random(1, &[6, 4]).take(&Tensor::new(&[3i32, 0, 5], [3]), 0));
}

#[test]
fn digits_train_alike_on_both() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/digits.npy");
    let want = Device::oracle().scope(|| digits::run(path, 3)).unwrap();
    let got = Device::cpu().scope(|| digits::run(path, 3)).unwrap_or_else(|why| panic!("{why}"));
    for (i, (g, w)) in got.losses.iter().zip(&want.losses).enumerate() {
        assert!((g - w).abs() < 1e-3 * (1.0 + w.abs()), "step {i}: {g} is not {w}");
    }
}
