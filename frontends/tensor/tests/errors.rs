//! What is refused, and how it is said.
#![allow(clippy::unwrap_used)]

use girih::prelude::*;

fn why(t: &Tensor) -> String {
    t.data().unwrap_err().to_string()
}

#[test]
fn a_shape_error_names_both_operands_their_shapes_and_the_line() {
    let w1 = Tensor::zeros(DType::F32, [784, 128]).named("w1");
    let x = Tensor::zeros(DType::F32, [32, 28]).named("images");
    let line = line!() + 1;
    let h = x.matmul(&w1);
    let text = why(&h.relu().sum(..));
    for part in ["`images`", "f32[32, 28]", "`w1`", "f32[784, 128]", &format!("errors.rs:{line}:")] {
        assert!(text.contains(part), "`{part}` is not in\n{text}");
    }
}

#[test]
fn the_first_error_is_the_one_that_is_told() {
    let bad = Tensor::zeros(DType::F32, [2]) + Tensor::zeros(DType::F32, [3]);
    let text = why(&(bad.clone().reshape([7, 7]) * bad.t().sum(5)));
    assert!(text.contains("do not broadcast"), "{text}");
}

#[test]
fn dtypes_do_not_mix() {
    let text = why(&(Tensor::zeros(DType::F32, [2]) + Tensor::zeros(DType::I32, [2])));
    assert!(text.contains("one dtype") && text.contains("f32") && text.contains("i32"), "{text}");
}

#[test]
fn nothing_panics_on_bad_arguments() {
    let x = Tensor::zeros(DType::F32, [2, 3]);
    let cases = [
        x.sum(2),
        x.sum([0, 0]),
        x.mean(-3),
        x.reshape([4, -1]),
        x.reshape([-1, -1]),
        x.reshape([-2, 3]),
        x.permute([0, 0]),
        x.permute([1]),
        x.transpose(0, 9),
        x.broadcast_to([3]),
        x.slice(0, 1, 5),
        x.slice(0, 2, 1),
        x.slice_step(0, 0, 2, 0),
        x.pad(&[(1, 1)], 0.0),
        x.take(&x, 0),
        x.gather(&Tensor::zeros(DType::I32, [7, 1]), 1),
        x.dyn_slice(0, &x, 1),
        x.matmul(&Tensor::scalar(1.0, DType::F32)),
        x.dot_general(&x, &[(5, 5)], &[]),
        x.dot_general(&x, &[], &[(0, 7)]),
        x.bitcast(DType::I64),
        x.argmax(4),
        x.one_hot(3, DType::F32).reshape([1]),
        x.unsqueeze(4),
        x.squeeze(0),
        !&x,
        concat(&[], 0),
        concat(&[&x, &x.t()], 0),
        stack(&[], 0),
        where_(&x, &x, 0.0),
        Tensor::new(&[1f32], [2]),
        Tensor::new(&[1f32], [usize::MAX, 2]),
        Tensor::zeros(DType::F32, [-1]),
        Tensor::iota(DType::Bool, [2], 0),
        Tensor::iota(DType::F32, [2], 1),
        Tensor::full(f64::NAN, DType::I32, [1]),
        Key(x.clone()).normal(DType::F32, [1]),
        nn::softmax(&x, 7),
        nn::layer_norm(&x, &Tensor::ones(DType::F32, [4]), &x, 1e-5),
        nn::cross_entropy(&x, &x),
        nn::conv2d(&x, &x, None, &nn::Conv2d::default()),
        nn::attention(&x, &x, &Tensor::zeros(DType::F32, [1]), &nn::Attention::default()),
        nn::dropout(&x, &Key::new(0), 1.5),
        nn::rope_tables(4, 3, 0, 10000.0).0 + nn::rope(&x, &x, &x),
    ];
    for (i, case) in cases.iter().enumerate() {
        assert!(case.ok().is_err() || case.data().is_err(), "case {i}: {case:?}");
    }
}

#[test]
fn reading_checks_dtype_count_and_rank() {
    let x = Tensor::zeros(DType::F32, [2, 3]).named("x");
    assert!(x.to_vec::<f64>().unwrap_err().to_string().contains("f32 was read as f64"));
    assert!(x.item::<f32>().unwrap_err().to_string().contains("`x`: f32[2, 3]"));
    assert!(x.dims::<3>().unwrap_err().to_string().contains("expected 3 axes"));
}

#[test]
fn reading_a_traced_tensor_is_an_error_that_explains_itself() {
    let f = jit(|x: &Tensor| match x.item::<f32>() {
        Ok(v) => x * f64::from(v),
        Err(why) => Tensor::refused(why),
    });
    let text = why(&f(&Tensor::ones(DType::F32, [1])));
    assert!(text.contains("traced") && text.contains("where_"), "{text}");
}
