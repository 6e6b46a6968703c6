//! Every library layer's gradient, in the middle of a graph, against central differences in f64.
#![allow(clippy::unwrap_used)]

use girih::prelude::*;

fn random(seed: u64, shape: &[usize]) -> Tensor {
    Key::new(seed).uniform_in(DType::F64, shape, -1.5, 1.5)
}

/// Compares the gradient of `sum(c * f(tanh(x) + x))` with central differences at every element; the random `c` tells
/// results apart.
#[track_caller]
fn check(shape: &[usize], f: impl Fn(&Tensor) -> Tensor + Clone + 'static) {
    let loss = move |x: &Tensor| {
        let y = f(&(x.tanh() + x));
        let weights = Key::new(99).uniform_in(DType::F64, y.shape().to_vec(), 0.5, 1.5);
        (y * weights).sum(..)
    };
    let (value, compiled) = (loss.clone(), jit(grad(loss)));
    let x = random(1, shape);
    let at = x.to_vec::<f64>().unwrap();
    let slopes = compiled(&x).to_vec::<f64>().unwrap();
    assert_eq!(slopes.len(), at.len());
    assert!(slopes.iter().any(|s| s.abs() > 1e-3), "{slopes:?}");
    // All points at both sides of all elements, as one batch.
    let step = 1e-5;
    let points: Vec<f64> = (0..2 * at.len())
        .flat_map(|k| {
            let mut point = at.clone();
            point[k / 2] += if k % 2 == 0 { step } else { -step };
            point
        })
        .collect();
    let batch: Vec<usize> = std::iter::once(2 * at.len()).chain(shape.iter().copied()).collect();
    let values = vmap(value)(&Tensor::new(&points, batch)).to_vec::<f64>().unwrap();
    for (i, (sides, slope)) in values.chunks(2).zip(&slopes).enumerate() {
        let want = (sides[0] - sides[1]) / (2.0 * step);
        assert!((slope - want).abs() < 1e-6 * (1.0 + want.abs()), "element {i}: {slope} is not {want}");
    }
}

#[test]
fn products() {
    check(&[2, 3], |x| x.matmul(&random(2, &[3, 4])));
    check(&[2, 3], |x| x.matmul(&x.t()));
    check(&[2, 2, 3], |x| einsum("bij,bkj->kbi", x, &random(2, &[2, 4, 3])));
    check(&[2, 3], |x| nn::linear(x, &random(2, &[3, 2]), Some(&random(3, &[2]))));
    check(&[3], |x| random(2, &[2, 3]).matmul(x));
}

#[test]
fn normalisation() {
    check(&[2, 4], |x| nn::softmax(x, -1));
    check(&[2, 4], |x| nn::log_softmax(x, 0));
    check(&[2, 4], |x| nn::layer_norm(x, &random(2, &[4]), &random(3, &[4]), 1e-5));
    check(&[4], |w| nn::layer_norm(&random(2, &[2, 4]), w, w, 1e-5));
    check(&[2, 4], |x| nn::rms_norm(x, &random(2, &[4]), 1e-6));
    check(&[2, 4, 2], |x| nn::group_norm(x, &random(2, &[4]), &random(3, &[4]), 2, 1e-5));
}

#[test]
fn attention() {
    let causal = || nn::Attention { causal: Some(0.into()), ..Default::default() };
    check(&[2, 3, 4], move |x| nn::attention(x, x, &x.sin(), &causal()));
    let mask = Tensor::new(&[true, false, true], [3]);
    check(&[3, 4], move |x| {
        nn::attention(x, &x.cos(), x, &nn::Attention { mask: Some(&mask), scale: Some(0.7), causal: None })
    });
    check(&[3, 4], |x| {
        let (cos, sin) = nn::rope_tables(3, 4, 1, 100.0);
        nn::rope(x, &cos.cast(DType::F64), &sin.cast(DType::F64))
    });
}

#[test]
fn images() {
    let how = nn::Conv2d { stride: [1, 2], padding: [(1, 0), (1, 1)], dilation: [2, 1], groups: 2 };
    let other = how.clone();
    check(&[1, 2, 4, 5], move |x| nn::conv2d(x, &random(2, &[4, 1, 2, 3]), Some(&random(3, &[4])), &how));
    check(&[4, 1, 2, 3], move |w| nn::conv2d(&random(2, &[1, 2, 4, 5]), w, None, &other));
    check(&[1, 1, 4, 4], |x| nn::max_pool2d(x, [2, 2], [1, 2]));
    check(&[1, 1, 4, 4], |x| nn::avg_pool2d(x, [2, 2], [2, 1]));
}

#[test]
fn activations_and_losses() {
    check(&[5], |x| nn::gelu(x) + nn::silu(x) + nn::relu(x) + x.gelu_tanh());
    check(&[2, 3], |x| nn::swiglu(x, &x.reverse(1)));
    check(&[2, 3], |x| nn::cross_entropy(x, &Tensor::new(&[2i32, -1], [2])));
    check(&[3, 2], |x| nn::embedding(x, &Tensor::new(&[2i32, 0, 2], [3])));
    check(&[6], |x| nn::dropout(x, &Key::new(5), 0.5));
}

#[test]
fn shapes_and_picking() {
    check(&[2, 3], |x| x.pad(&[(1, 0), (0, 2)], 1.0).slice_step(1, 0, 5, 2).reverse(0));
    check(&[2, 3], |x| concat(&[x, &x.square()], 1).reshape([3, 4]).permute([1, 0]));
    check(&[2, 3], |x| x.take(&Tensor::new(&[1i32, 1, 0], [3]), 1));
    check(&[2, 3], |x| x.gather(&Tensor::new(&[2i32, 0], [2, 1]), 1));
    check(&[2, 3], |x| where_(&x.gt(0.2), &x.exp(), 0.0));
    check(&[4], |x| x.sort(0));
    check(&[2, 3], |x| x.cumsum(1) + x.cumprod(0) + x.cummax(1));
    check(&[2, 3], |x| x.max_keep(1) * x.min(0) + x.mean_keep(..) + x.var_keep(0) + x.prod_keep(1));
    check(&[4], |x| x.dyn_slice(0, &Tensor::scalar(1.0, DType::I32), 2));
    check(&[4], |x| x.dyn_update(0, &Tensor::scalar(3.0, DType::I32), &x.slice(0, 0, 2).exp()));
    check(&[2], |x| control::repeat(3, x, |i, y| y.sin() + i.cast(DType::F64)));
}
