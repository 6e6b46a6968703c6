//! CUDA C++ kernels as nodes of graphs, on every device.
#![allow(clippy::unwrap_used, clippy::panic)]

use girih::cuda::{Arg, Module};
use girih::prelude::*;

const SOURCE: &str = r#"
__constant__ float weights[4] = {0.5f, 1.0f, 2.0f, 4.0f};

template <typename T> __global__ void weigh(const T* x, T* y, int n, T bias) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) y[i] = x[i] * weights[i % 4] + bias;
}

// In place: neighbours within a block change places.
__global__ void swap_pairs(long long* values) {
    __shared__ long long tile[32];
    tile[threadIdx.x] = values[blockIdx.x * 32 + threadIdx.x];
    __syncthreads();
    values[blockIdx.x * 32 + threadIdx.x] = tile[threadIdx.x ^ 1];
}

__global__ void minmax(const short* x, int n, int* least, int* most) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) { atomicMin(least, (int)x[i]); atomicMax(most, (int)x[i]); }
}
"#;

fn devices() -> Vec<Device> {
    match Device::wgpu(0) {
        Ok(gpu) => vec![Device::cpu(), gpu],
        Err(why) if std::env::var("GIRIH_REQUIRE_WGPU").is_ok_and(|v| v == "1") => panic!("{why}"),
        Err(_) => vec![Device::cpu()],
    }
}

fn weigh(x: &Tensor) -> Tensor {
    let module = Module::parse(SOURCE, "weigh.cu").unwrap();
    let n = x.dim(0);
    let args = [Arg::In(x), Arg::Out(DType::F32, vec![n]), Arg::from(n as i32), Arg::from(1)];
    module.launch("weigh<float>", &[n.div_ceil(64) as u32], &[64], &args).remove(0)
}

#[test]
fn between_operations_of_a_compiled_function() {
    let x: Vec<f32> = (0..1000).map(|i| i as f32 / 7.0 - 50.0).collect();
    let want: Vec<f32> =
        x.iter().zip([0.5, 1.0, 2.0, 4.0].iter().cycle()).map(|(x, w)| (2.0 * x * w + 1.0).abs()).collect();
    for device in devices() {
        device.scope(|| {
            let step = jit(|x: &Tensor| weigh(&(x * 2.0)).abs());
            let y = step(&Tensor::new(&x, [1000])).to_vec::<f32>().unwrap();
            assert!(y.iter().zip(&want).all(|(y, w)| (y - w).abs() < 1e-4), "{}", device.name());
        });
    }
}

#[test]
fn updates_leave_what_they_start_with() {
    let values: Vec<i64> = (0..64).map(|i| (i - 30) << 33 | i).collect();
    let swapped: Vec<i64> = (0..64).map(|i| values[i ^ 1]).collect();
    let module = Module::parse(SOURCE, "swap.cu").unwrap();
    // The reference needs no 64-bit arithmetic: the kernel moves pairs of words, which every device can.
    for device in devices() {
        device.scope(|| {
            let x = Tensor::new(&values, [64]);
            let y = module.launch("swap_pairs", &[2], &[32], &[Arg::Update(&x)]).remove(0);
            assert_eq!(y.to_vec::<i64>().unwrap(), swapped, "{}", device.name());
            assert_eq!(x.to_vec::<i64>().unwrap(), values);
        });
    }
}

#[test]
fn several_results() {
    let x: Vec<i16> = (0..500).map(|i| ((i * 7919) % 1000 - 400) as i16).collect();
    let module = Module::parse(SOURCE, "minmax.cu").unwrap();
    for device in devices() {
        device.scope(|| {
            let (x, start) = (Tensor::new(&x, [500]), Tensor::new(&[7i32], [1]));
            let args = [Arg::In(&x), Arg::from(500), Arg::Update(&start), Arg::Out(DType::I32, vec![1])];
            let both = module.launch("minmax", &[2], &[256], &args);
            let got: Vec<i32> = both.iter().map(|t| t.item::<i32>().unwrap()).collect();
            assert_eq!(got, [-400, 599], "{}", device.name());
        });
    }
}

/// Both results depend on what the function captured alone, so they are computed once; one of them is a result of every run.
#[test]
fn results_made_of_captured_tensors() {
    let source = "__global__ void both(const float* x, float* twice, float* half) {
        int i = threadIdx.x;
        twice[i] = x[i] * 2.0f;
        half[i] = x[i] / 2.0f;
    }";
    for device in devices() {
        device.scope(|| {
            let weights = Tensor::new(&[1f32, 3.0, 5.0, 7.0], [4]);
            for keep_half in [false, true] {
                let weights = weights.clone();
                let step = jit(move |x: &Tensor| {
                    let out = || Arg::Out(DType::F32, vec![4]);
                    let module = Module::parse(source, "both.cu").unwrap();
                    let both = module.launch("both", &[1], &[4], &[Arg::In(&weights), out(), out()]);
                    let sum = x + both[0].square() * &both[1];
                    (sum, if keep_half { both[1].clone() } else { x.clone() })
                });
                let x = Tensor::new(&[0.5f32, 1.0, 1.5, 2.0], [4]);
                for _ in 0..2 {
                    let (sum, other) = step(&x);
                    assert_eq!(sum.to_vec::<f32>().unwrap(), [2.5, 55.0, 251.5, 688.0], "{}", device.name());
                    let want = if keep_half { [0.5, 1.5, 2.5, 3.5] } else { [0.5, 1.0, 1.5, 2.0] };
                    assert_eq!(other.to_vec::<f32>().unwrap(), want);
                }
            }
        });
    }
}

#[test]
fn what_does_not_fit_is_refused() {
    let module = Module::parse(SOURCE, "k.cu").unwrap();
    let x = Tensor::ones(DType::F32, [64]);
    let out = || Arg::Out(DType::F32, vec![64]);
    let says = |kernel: &str, grid: &[u32], args: &[Arg<'_>], part: &str| {
        let results = module.launch(kernel, grid, &[32], args);
        let why = results[0].to_vec::<f32>().unwrap_err().to_string();
        assert!(why.contains(part) && why.contains("cuda.rs"), "{why}");
    };
    let n = Arg::from(64);
    says("weigh<float>", &[2], &[Arg::In(&x), Arg::In(&x), n.clone(), n.clone()], "argument 1 (`y`) is written");
    says("weigh<float>", &[2], &[out(), out(), n.clone(), n.clone()], "argument 0 (`x`) is only read");
    says(
        "weigh<float>",
        &[2],
        &[Arg::In(&x), Arg::Out(DType::I32, vec![64]), n.clone(), n.clone()],
        "points to f32, and is given i32",
    );
    says("weigh<float>", &[2], &[Arg::In(&x), out(), Arg::from(64.5), n.clone()], "is i32, and 64.5 (f64) is none");
    says("weigh<float>", &[2], &[Arg::In(&x), out(), n.clone()], "`bias`");
    says("weigh<float>", &[], &[Arg::In(&x), out(), n.clone(), n.clone()], "a grid of 0 axes");
    says("weigh<double>", &[2], &[Arg::In(&x), out(), n.clone(), n.clone()], "double");
    says("weight", &[2], &[out()], "there is no kernel `weight`");
    let tensor = grad(|x: &Tensor| weigh(x).sum(..))(&x);
    assert!(tensor.to_vec::<f32>().unwrap_err().to_string().contains("derivative"));
}

#[test]
fn prints_reach_the_device_and_assertions_the_result() {
    let source = "
        __global__ void k(const float* x, float* y, float most) {
            int i = threadIdx.x;
            assert(x[i] <= most);
            if (i % 2) printf(\"%d: %.1f\\n\", i, x[i]);
            y[i] = 2 * x[i];
        }";
    let module = Module::parse(source, "k.cu").unwrap();
    let x = Tensor::new(&[1f32, 2.0, 3.0, 4.0], [4]);
    let run = |most: f32| {
        let args = [Arg::In(&x), Arg::Out(DType::F32, vec![4]), Arg::from(most)];
        module.launch("k", &[1], &[4], &args).remove(0).to_vec::<f32>()
    };
    for device in [Device::cpu()].into_iter().chain(Device::wgpu(0)) {
        device.scope(|| {
            assert_eq!(run(4.0).unwrap(), [2.0, 4.0, 6.0, 8.0]);
            let lines: Vec<String> = device.take_prints().lines.into_iter().map(|l| l.text).collect();
            assert_eq!(lines, ["1: 2.0\n", "3: 4.0\n"], "{}", device.name());
            let failed = run(2.5).unwrap_err();
            assert_eq!((failed.code, failed.notes.len()), ("X013", 1), "{failed}");
        });
    }
}
