//! Optimisers against the textbook's formulas in f64, random numbers against JAX's, layers against worked examples.
#![allow(clippy::unwrap_used)]

use girih::prelude::*;

#[derive(Clone, Tree)]
struct Params {
    w: Tensor,
}

/// The gradient of sum (w - target)^2 is 2 (w - target).
fn gradient(p: &Params) -> Params {
    Params { w: (&p.w - Tensor::new(&[1f32, -2.0], [2])) * 2.0 }
}

fn start() -> Params {
    Params { w: Tensor::new(&[0.5f32, 3.0], [2]).named("w") }
}

#[track_caller]
fn close(got: &Tensor, want: &[f64]) {
    let got = got.to_vec::<f32>().unwrap();
    assert!(
        got.len() == want.len() && got.iter().zip(want).all(|(g, w)| (f64::from(*g) - w).abs() < 1e-5),
        "{got:?} is not {want:?}"
    );
}

#[test]
fn sgd_with_momentum_and_nesterov() {
    for nesterov in [false, true] {
        let sgd = Sgd { rate: 0.1, momentum: 0.9, nesterov };
        let (mut p, mut s) = (start(), sgd.init(&start()));
        let (mut w, mut v) = ([0.5f64, 3.0], [0.0f64; 2]);
        for _ in 0..4 {
            (p, s) = sgd.step(&p, &gradient(&p), &s);
            for (i, target) in [1.0, -2.0].iter().enumerate() {
                let g = 2.0 * (w[i] - target);
                v[i] = 0.9 * v[i] + g;
                w[i] -= 0.1 * if nesterov { g + 0.9 * v[i] } else { v[i] };
            }
        }
        close(&p.w, &w);
        assert_eq!(p.w.name().as_deref(), Some("w"));
    }
}

#[test]
fn adamw_follows_loshchilov_and_hutter() {
    let adam = AdamW { weight_decay: 0.1, ..AdamW::new(0.05) };
    let (mut p, mut s) = (start(), adam.init(&start()));
    let (mut w, mut m, mut v) = ([0.5f64, 3.0], [0.0f64; 2], [0.0f64; 2]);
    for step in 1..=5 {
        (p, s) = adam.step(&p, &gradient(&p), &s);
        for (i, target) in [1.0, -2.0].iter().enumerate() {
            let g = 2.0 * (w[i] - target);
            m[i] = 0.9 * m[i] + 0.1 * g;
            v[i] = 0.999 * v[i] + 0.001 * g * g;
            let (mh, vh) = (m[i] / (1.0 - 0.9f64.powi(step)), v[i] / (1.0 - 0.999f64.powi(step)));
            w[i] -= 0.05 * (mh / (vh.sqrt() + 1e-8) + 0.1 * w[i]);
        }
    }
    close(&p.w, &w);
    close(&s.steps, &[5.0]);
}

#[test]
fn clipping_scales_the_whole_tree() {
    let (clipped, norm) = optim::clip_by_norm(&(Tensor::new(&[3f32], [1]), Tensor::new(&[4f32], [1])), 1.0);
    close(&norm, &[5.0]);
    close(&clipped.0, &[0.6]);
    close(&clipped.1, &[0.8]);
    close(&optim::clip_by_norm(&Tensor::new(&[3f32], [1]), 10.0).0, &[3.0]);
}

/// From `jax.random` 0.7 with `key(7)`.
#[test]
fn random_numbers_are_those_of_jax() {
    let key = Key::new(7);
    assert_eq!(key.uniform(DType::F32, [3]).to_vec::<f32>().unwrap(), [0.674_089_9, 0.974_616_9, 0.302_843_57]);
    close(&key.normal(DType::F32, [3]), &[0.451_235_145, 1.953_450_918, -0.516_239_464]);
    let [a, b] = key.split();
    assert_eq!(a.0.to_vec::<u32>().unwrap(), [3_625_411_723, 1_954_958_720]);
    assert_eq!(b.0.to_vec::<u32>().unwrap(), [195_045_567, 4_062_205_631]);
    assert_eq!(key.fold_in(5).0.to_vec::<u32>().unwrap(), [3_583_082_021, 1_947_592_014]);
    let low = key.uniform_in(DType::F32, [100], -2.0, -1.0).to_vec::<f32>().unwrap();
    assert!(low.iter().all(|v| (-2.0..-1.0).contains(v)));
}

#[test]
fn layers() {
    let x = Tensor::new(&[1f32, 3.0, 2.0, 2.0], [2, 2]);
    let (one, zero) = (Tensor::ones(DType::F32, [2]), Tensor::zeros(DType::F32, [2]));
    close(&nn::linear(&x, &x.t(), Some(&one)), &[11.0, 9.0, 9.0, 9.0]);
    close(&nn::layer_norm(&x, &one, &zero, 0.0).slice(0, 0, 1), &[-1.0, 1.0]);
    close(&nn::rms_norm(&x, &one, 0.0).slice(0, 1, 2), &[1.0, 1.0]);
    close(&nn::softmax(&zero, 0), &[0.5, 0.5]);
    close(&nn::log_softmax(&zero, -1), &[-(2f64.ln()), -(2f64.ln())]);
    close(&nn::embedding(&x, &Tensor::new(&[1i32], [1])), &[2.0, 2.0]);
    close(&nn::cross_entropy(&zero.reshape([1, 2]), &Tensor::new(&[0i32], [1])), &[2f64.ln()]);
    close(&nn::swiglu(&one, &x.slice(0, 0, 1).squeeze(0)), &[0.731_058_58, 2.193_175_74]);
    close(&nn::group_norm(&x, &one, &zero, 1, 0.0).slice(0, 0, 1), &[-1.0, 1.0]);
    close(&nn::accuracy(&x, &Tensor::new(&[1i32, 1], [2])), &[0.5]);
    let image = Tensor::arange(DType::F32, 9).reshape([1, 1, 3, 3]);
    let kernel = Tensor::ones(DType::F32, [1, 1, 2, 2]);
    close(&nn::conv2d(&image, &kernel, None, &nn::Conv2d::default()), &[8.0, 12.0, 20.0, 24.0]);
    close(&nn::max_pool2d(&image, [2, 2], [1, 1]), &[4.0, 5.0, 7.0, 8.0]);
    close(&nn::avg_pool2d(&image, [2, 2], [1, 1]), &[2.0, 3.0, 5.0, 6.0]);
    close(&nn::attention(&zero.reshape([1, 2]), &x, &x, &nn::Attention::default()), &[1.5, 2.5]);
    let (cos, sin) = nn::rope_tables(1, 2, 0, 10_000.0);
    close(&nn::rope(&x.slice(0, 0, 1), &cos, &sin), &[1.0, 3.0]);
    let kept = nn::dropout(&Tensor::ones(DType::F32, [1000]), &Key::new(0), 0.25).to_vec::<f32>().unwrap();
    let dropped = kept.iter().filter(|v| **v == 0.0).count();
    assert!((200..300).contains(&dropped) && kept.iter().all(|v| *v == 0.0 || (*v - 4.0 / 3.0).abs() < 1e-6));
}
