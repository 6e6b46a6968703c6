//! The same programs on every device and on the reference evaluator. Without a graphics adapter the tests say so and try
//! the others; `GIRIH_REQUIRE_WGPU=1` makes that a failure.
#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout)]

use girih::prelude::*;

#[path = "../examples/digits.rs"]
mod digits;

/// What is compared with the evaluator.
fn devices() -> Vec<Device> {
    let wgpu = match Device::wgpu(0) {
        Ok(device) => Some(device),
        Err(why) if std::env::var("GIRIH_REQUIRE_WGPU").is_ok_and(|v| v == "1") => panic!("{why}"),
        Err(why) => {
            eprintln!("skipped on wgpu: {why}");
            None
        }
    };
    std::iter::once(Device::cpu()).chain(wgpu).collect()
}

fn random(seed: u64, shape: &[usize]) -> Tensor {
    Key::new(seed).uniform_in(DType::F32, shape, -1.5, 1.5)
}

/// Numbers that no device draws, so that what is computed of them can be compared exactly.
fn numbers(seed: u64, shape: &[usize]) -> Tensor {
    Device::oracle().scope(|| tree::detach(&random(seed, shape))).unwrap()
}

/// Computes `f` on all devices, and compares every result, relative to 1 + its size.
#[track_caller]
fn same<Out: Tree + 'static>(f: impl Fn() -> Out) {
    let values = |device: &Device| -> Vec<(Vec<usize>, Vec<f64>)> {
        let out = device.scope(|| {
            let out = f();
            tree::eval(&out).unwrap_or_else(|why| panic!("{}: {why}", device.name()));
            out
        });
        let read = |t: &Tensor| {
            let shape = t.shape().iter().map(|d| d.as_const().unwrap() as usize).collect();
            (shape, Device::oracle().scope(|| t.cast(DType::F64).to_vec::<f64>().unwrap()))
        };
        tree::tensors(&out).iter().map(read).collect()
    };
    let want = values(&Device::oracle());
    assert!(!want.is_empty());
    for device in devices() {
        for ((shape, got), (want_shape, want)) in values(&device).iter().zip(&want) {
            assert_eq!(shape, want_shape, "{}", device.name());
            let close = |(g, w): (&f64, &f64)| (g - w).abs() <= 2e-5 * (1.0 + w.abs()) || (g.is_nan() && w.is_nan());
            let bad = got.iter().zip(want).position(|pair| !close(pair));
            assert!(bad.is_none(), "{}, element {bad:?} of {shape:?}:\n{got:?}\noracle:\n{want:?}", device.name());
        }
    }
}

/// The same for a function of random tensors, and for its gradients towards all of them.
#[track_caller]
fn same_gradients(shapes: &[&[usize]], f: impl Fn(&[Tensor]) -> Tensor + Clone + 'static) {
    let args: Vec<Tensor> = shapes.iter().zip(1..).map(|(shape, seed)| numbers(seed, shape)).collect();
    let loss = move |args: &Vec<Tensor>| {
        let y = f(args);
        (y.tanh() * (Tensor::iota(DType::F32, y.shape().to_vec(), -1) * 0.1 + 0.5)).sum(..)
    };
    let both = jit(value_and_grad(loss));
    same(|| both(&args));
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
fn reductions() {
    let x = numbers(1, &[5, 70, 3]);
    same(|| (x.sum(..), x.sum(0), x.mean(1), x.max(2), x.min(-1)));
    same(|| (x.prod(2), x.var_keep(1), x.sum_keep([0, 2])));
    same(|| (x.argmax(1), x.argmin(0), x.argmax(-1)));
    same(|| (x.gt(1.4).any(1), x.gt(-1.4).all(2)));
}

#[test]
fn scans_and_sorts() {
    let x = numbers(1, &[4, 37]);
    same(|| (x.cumsum(1), x.cumsum(0), x.cummax(1), x.cumprod(0)));
    same(|| (x.sort(1), x.sort(0), x.argsort(1)));
    // Equal keys stay in order, both ways.
    let steps = Device::oracle().scope(|| tree::detach(&(numbers(2, &[50]) * 4.0).floor())).unwrap();
    same(|| (steps.argsort(0), steps.argsort_descending(0)));
}

#[test]
fn layers() {
    let (x, w, b) = (numbers(1, &[6, 33]), numbers(2, &[33]), numbers(3, &[33]));
    same(|| (nn::softmax(&(&x * 20.0), 1), nn::softmax(&x, 0), nn::log_softmax(&x, -1)));
    same(|| (nn::layer_norm(&x, &w, &b, 1e-5), nn::rms_norm(&x, &w, 1e-6)));
    same(|| nn::cross_entropy(&x, &Tensor::new(&[3i32, 0, 32, -1, 7, 7], [6])));
    let (image, kernel) = (numbers(4, &[2, 4, 9, 8]), numbers(5, &[6, 2, 3, 3]));
    let how = nn::Conv2d { stride: [2, 1], padding: [(1, 1), (0, 2)], groups: 2, ..Default::default() };
    same(|| nn::conv2d(&image, &kernel, Some(&numbers(6, &[6])), &how));
    same(|| (nn::max_pool2d(&image, [2, 2], [2, 2]), nn::avg_pool2d(&image, [3, 2], [1, 2])));
}

#[test]
fn causal_attention() {
    let (q, k, v) = (numbers(1, &[2, 3, 19, 8]), numbers(2, &[2, 19, 8]), numbers(3, &[2, 19, 5]));
    let causal = |n: i64| nn::Attention { causal: Some(n.into()), ..Default::default() };
    same(|| nn::attention(&q, &k, &v, &causal(0)));
    same(|| nn::attention(&q.slice(2, 0, 4), &k, &v, &causal(15)));
    let mask = numbers(4, &[19, 19]).gt(-1.0);
    same(|| nn::attention(&q, &k, &v, &nn::Attention { mask: Some(&mask), scale: Some(0.3), causal: None }));
}

#[test]
fn gradients() {
    same_gradients(&[&[4, 9]], |x| nn::softmax(&x[0], 1));
    same_gradients(&[&[3, 5]], |x| x[0].prod(1));
    same_gradients(&[&[3, 5]], |x| x[0].max(1) + x[0].cumsum(1).sum(1));
    same_gradients(&[&[4, 9], &[9], &[9]], |x| nn::layer_norm(&x[0], &x[1], &x[2], 1e-5));
    same_gradients(&[&[5, 7], &[7, 6]], |x| x[0].matmul(&x[1]));
    same_gradients(&[&[4, 7]], |x| nn::cross_entropy(&x[0], &Tensor::new(&[3i32, 0, 6, -1], [4])));
    same_gradients(&[&[2, 2, 6, 5], &[3, 2, 3, 2]], |x| nn::conv2d(&x[0], &x[1], None, &nn::Conv2d::default()));
    same_gradients(&[&[2, 6, 4], &[2, 6, 4], &[2, 6, 4]], |x| {
        nn::attention(&x[0], &x[1], &x[2], &nn::Attention { causal: Some(0.into()), ..Default::default() })
    });
    same_gradients(&[&[9]], |x| x[0].sort(0));
}

#[test]
fn an_adapter_that_is_not_there_is_refused() {
    assert_eq!(Device::wgpu(99).unwrap_err().code, "W010");
}

/// Rounding differs between devices and adds up over the steps of training, hence the tolerance.
#[test]
fn digits_are_read_with_97_percent_accuracy_on_every_device() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/digits.npy");
    let mut first: Option<digits::Outcome> = None;
    for device in devices() {
        let start = std::time::Instant::now();
        let got = device.scope(|| digits::run(path, 30)).unwrap_or_else(|why| panic!("{}: {why}", device.name()));
        eprintln!("{}: {:.4} after {} steps, {:.1?}", device.name(), got.accuracy, got.losses.len(), start.elapsed());
        assert!(got.accuracy >= 0.97, "{}: {}", device.name(), got.accuracy);
        let Some(first) = &first else {
            first = Some(got);
            continue;
        };
        assert_eq!(got.losses.len(), first.losses.len());
        let apart = got.losses.iter().zip(&first.losses).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        eprintln!("losses are at most {apart:e} apart");
        assert!(apart < 1e-3, "{apart}");
    }
}
