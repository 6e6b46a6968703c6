//! Kernels of Liger-Kernel, as published, against plain formulas on the CPU and on a graphics adapter.
//!
//! `GIRIH_LIGER=/path/to/liger_kernel/ops cargo test -p girih-triton --test liger -- --ignored`
#![allow(clippy::unwrap_used, clippy::panic)]

mod common;
use common::*;
use girih_base::DType;
use girih_triton::{Argument, Constant, Launcher, Module};
use std::path::{Path, PathBuf};

const ROWS: usize = 5;
const COLUMNS: usize = 77;

fn module(file: &str) -> Module {
    let root = PathBuf::from(std::env::var("GIRIH_LIGER").expect("the folder of kernels in GIRIH_LIGER"));
    let path = root.join(file);
    let base = root.parent().unwrap().parent().unwrap().to_path_buf();
    let resolver = move |module: &str, from: &str| -> Option<(String, String)> {
        let path = match module.strip_prefix('.') {
            Some(rest) => Path::new(from).parent()?.join(rest.replace('.', "/")),
            None => base.join(module.replace('.', "/")),
        };
        let path = path.with_extension("py");
        Some((path.display().to_string(), std::fs::read_to_string(&path).ok()?))
    };
    let text = std::fs::read_to_string(&path).unwrap();
    Module::with_resolver(&text, &path.display().to_string(), Box::new(resolver)).unwrap()
}

/// Runs a kernel once for every row on every rig and compares buffers by name.
fn expect(
    file: &str,
    kernel: &str,
    grid: [u32; 3],
    data: &[Data],
    rest: &[(&str, Argument)],
    want: &[(&str, Vec<f64>)],
    bound: f64,
) {
    let module = module(file);
    for mut rig in rigs() {
        let mut launcher = Launcher::new(&module, kernel).unwrap();
        let got = run_with(&mut launcher, &mut rig, grid, data, rest);
        for (name, want) in want {
            let at = data.iter().position(|d| d.name == *name).unwrap();
            close(&format!("{} {kernel} {name}", rig.name), &got[at], want, bound);
        }
    }
}

const GRID: [u32; 3] = [ROWS as u32, 1, 1];

fn columns() -> Argument {
    int(COLUMNS as i64)
}

fn constant(c: impl Into<Constant>) -> Argument {
    Argument::Constant(c.into())
}

fn matrix(seed: u64) -> Vec<f64> {
    random(seed, ROWS * COLUMNS)
}

fn empty(name: &'static str, n: usize) -> Data {
    f32s(name, vec![0.0; n])
}

/// `f(row, column)` for all elements.
fn each(f: impl Fn(usize, usize) -> f64) -> Vec<f64> {
    (0..ROWS * COLUMNS).map(|e| f(e / COLUMNS, e % COLUMNS)).collect()
}

fn row_sum(r: usize, f: impl Fn(usize) -> f64) -> f64 {
    (r * COLUMNS..(r + 1) * COLUMNS).map(f).sum()
}

#[test]
#[ignore = "needs a folder of kernels in GIRIH_LIGER"]
fn norms() {
    let (x, w, b) = (matrix(1), random(2, COLUMNS), random(3, COLUMNS));
    let n = COLUMNS as f64;
    let rms: Vec<f64> = (0..ROWS).map(|r| 1.0 / (row_sum(r, |e| x[e] * x[e]) / n + 1e-6).sqrt()).collect();
    let y = each(|r, c| x[r * COLUMNS + c] * rms[r] * (1.0 + w[c]));
    let args = [
        ("Y_row_stride", columns()),
        ("X_row_stride", columns()),
        ("W_row_stride", int(1)),
        ("RSTD_row_stride", int(1)),
        ("n_cols", columns()),
        ("eps", Argument::Float(1e-6)),
        ("offset", Argument::Float(1.0)),
        ("casting_mode", constant(1)),
        ("elementwise_affine", constant(true)),
        ("BLOCK_SIZE", int(128)),
    ];
    let data = [empty("Y_ptr", x.len()), f32s("X_ptr", x.clone()), f32s("W_ptr", w.clone()), empty("RSTD_ptr", ROWS)];
    expect("rms_norm.py", "_rms_norm_forward_kernel", GRID, &data, &args, &[("Y_ptr", y), ("RSTD_ptr", rms)], 1e-5);

    let mean: Vec<f64> = (0..ROWS).map(|r| row_sum(r, |e| x[e]) / n).collect();
    let rstd: Vec<f64> =
        (0..ROWS).map(|r| 1.0 / (row_sum(r, |e| (x[e] - mean[r]).powi(2)) / n + 1e-5).sqrt()).collect();
    let y = each(|r, c| (x[r * COLUMNS + c] - mean[r]) * rstd[r] * w[c] + b[c]);
    let args = [
        ("Y_row_stride", columns()),
        ("X_row_stride", columns()),
        ("W_row_stride", int(1)),
        ("B_row_stride", int(1)),
        ("Mean_row_stride", int(1)),
        ("RSTD_row_stride", int(1)),
        ("n_cols", columns()),
        ("eps", Argument::Float(1e-5)),
        ("BLOCK_SIZE", int(128)),
    ];
    let data = [
        empty("Y_ptr", x.len()),
        f32s("X_ptr", x.clone()),
        f32s("W_ptr", w),
        f32s("B_ptr", b),
        empty("Mean_ptr", ROWS),
        empty("RSTD_ptr", ROWS),
    ];
    expect(
        "layer_norm.py",
        "_layer_norm_forward_kernel",
        GRID,
        &data,
        &args,
        &[("Y_ptr", y), ("Mean_ptr", mean), ("RSTD_ptr", rstd)],
        2e-5,
    );

    // Two groups of four channels of nine elements, for three batches.
    let (batches, groups, channels, size) = (3usize, 2usize, 4usize, 9usize);
    let hidden = channels * size;
    let x = random(4, batches * groups * hidden);
    let (w, b) = (random(5, groups * channels), random(6, groups * channels));
    let stats: Vec<(f64, f64)> = x
        .chunks(hidden)
        .map(|g| {
            let mean = g.iter().sum::<f64>() / hidden as f64;
            (mean, 1.0 / (g.iter().map(|v| v * v).sum::<f64>() / hidden as f64 - mean * mean + 1e-5).sqrt())
        })
        .collect();
    let y = (0..x.len()).map(|e| {
        let (g, channel) = (e / hidden, e / size % (groups * channels));
        (x[e] - stats[g].0) * stats[g].1 * w[channel] + b[channel]
    });
    let row = int((groups * hidden) as i64);
    let args = [
        ("Y_row_stride", row.clone()),
        ("Y_col_stride", int(hidden as i64)),
        ("X_row_stride", row),
        ("X_col_stride", int(hidden as i64)),
        ("Mean_row_stride", int(groups as i64)),
        ("Mean_col_stride", int(1)),
        ("RSTD_row_stride", int(groups as i64)),
        ("RSTD_col_stride", int(1)),
        ("hidden_size", int(hidden as i64)),
        ("channels_per_group", int(channels as i64)),
        ("eps", Argument::Float(1e-5)),
        ("BLOCK_SIZE", int(16)),
    ];
    let want = [
        ("Y_ptr", y.collect()),
        ("Mean_ptr", stats.iter().map(|s| s.0).collect()),
        ("RSTD_ptr", stats.iter().map(|s| s.1).collect()),
    ];
    let data = [
        empty("Y_ptr", x.len()),
        f32s("X_ptr", x),
        f32s("W_ptr", w),
        f32s("B_ptr", b),
        empty("Mean_ptr", batches * groups),
        empty("RSTD_ptr", batches * groups),
    ];
    expect(
        "group_norm.py",
        "_group_norm_forward_kernel",
        [batches as u32, groups as u32, 1],
        &data,
        &args,
        &want,
        3e-5,
    );
}

#[test]
#[ignore = "needs a folder of kernels in GIRIH_LIGER"]
fn gates() {
    let (a, b, dc) = (matrix(7), matrix(8), matrix(9));
    let sigmoid = |x: f64| 1.0 / (1.0 + (-x).exp());
    let args = [
        ("stride", columns()),
        ("gate_multiplier", Argument::Float(1.0)),
        ("n_cols", columns()),
        ("BLOCK_SIZE", int(128)),
    ];
    let c = each(|r, k| {
        let e = r * COLUMNS + k;
        a[e] * sigmoid(a[e]) * b[e]
    });
    let data = [f32s("a_ptr", a.clone()), f32s("b_ptr", b.clone()), empty("c_ptr", a.len())];
    expect("swiglu.py", "_swiglu_forward_kernel", GRID, &data, &args, &[("c_ptr", c)], 1e-5);
    // The gradients replace the operands.
    let da = each(|r, k| {
        let e = r * COLUMNS + k;
        let s = sigmoid(a[e]);
        dc[e] * b[e] * (s + a[e] * s * (1.0 - s))
    });
    let db = each(|r, k| {
        let e = r * COLUMNS + k;
        dc[e] * a[e] * sigmoid(a[e])
    });
    let data = [f32s("dc_ptr", dc), f32s("a_ptr", a.clone()), f32s("b_ptr", b.clone())];
    expect("swiglu.py", "_swiglu_backward_kernel", GRID, &data, &args, &[("a_ptr", da), ("b_ptr", db)], 1e-5);

    let gelu = |x: f64| 0.5 * x * (1.0 + (0.7978845608028654 * (x + 0.044715 * x * x * x)).tanh());
    let c = each(|r, k| {
        let e = r * COLUMNS + k;
        gelu(a[e]) * b[e]
    });
    let data = [f32s("a", a.clone()), f32s("b", b), empty("c", a.len())];
    expect(
        "geglu.py",
        "_geglu_tanh_forward_kernel",
        GRID,
        &data,
        &[("stride", columns()), ("n_cols", columns()), ("BLOCK_SIZE", int(128))],
        &[("c", c)],
        1e-5,
    );

    let y = each(|r, k| a[r * COLUMNS + k].max(0.0).powi(2));
    let data = [empty("Y_ptr", a.len()), f32s("X_ptr", a)];
    let args = [("Y_stride", columns()), ("X_stride", columns()), ("n_cols", columns()), ("BLOCK_SIZE", int(128))];
    expect("relu_squared.py", "_relu_squared_forward_kernel", GRID, &data, &args, &[("Y_ptr", y)], 1e-6);
}

fn softmax(x: &[f64]) -> Vec<f64> {
    x.chunks(COLUMNS)
        .flat_map(|r| {
            let top = r.iter().cloned().fold(f64::MIN, f64::max);
            let sum: f64 = r.iter().map(|v| (v - top).exp()).sum();
            r.iter().map(move |v| (v - top).exp() / sum).collect::<Vec<_>>()
        })
        .collect()
}

#[test]
#[ignore = "needs a folder of kernels in GIRIH_LIGER"]
fn probabilities_and_losses() {
    let x: Vec<f64> = matrix(10).iter().map(|v| (*v as f32 * 4.0) as f64).collect();
    let p = softmax(&x);
    let args =
        [("Y_row_stride", columns()), ("X_row_stride", columns()), ("n_cols", columns()), ("BLOCK_SIZE", int(128))];
    let data = [empty("Y_ptr", x.len()), f32s("X_ptr", x.clone())];
    expect("softmax.py", "_softmax_single_block_forward_kernel", GRID, &data, &args, &[("Y_ptr", p.clone())], 1e-5);

    let q = softmax(&matrix(11));
    let log_q: Vec<f64> = q.iter().map(|v| v.ln() as f32 as f64).collect();
    let log_p: Vec<f64> = p.iter().map(|v| v.ln() as f32 as f64).collect();
    let loss: Vec<f64> = (0..ROWS).map(|r| row_sum(r, |e| p[e] * (p[e].ln() - log_q[e]))).collect();
    let args = [
        ("y_stride", columns()),
        ("gt_stride", columns()),
        ("loss_stride", int(1)),
        ("n_cols", columns()),
        ("eps", Argument::Float(1e-10)),
        ("BLOCK_SIZE", int(32)),
        ("reduction", constant(1)),
        ("log_target", constant(false)),
    ];
    let data = [f32s("y_ptr", log_q.clone()), f32s("gt_ptr", p.clone()), empty("loss_ptr", ROWS)];
    expect("kl_div.py", "_kldiv_kernel_forward", GRID, &data, &args, &[("loss_ptr", loss)], 1e-5);

    // Jensen and Shannon's divergence with beta 1/2.
    let part = |e: usize| {
        let m = (0.5 * (p[e] + q[e])).ln();
        (0.5 * p[e] * (p[e].ln() - m) + 0.5 * q[e] * (q[e].ln() - m), 0.5 * q[e] * (q[e].ln() - m))
    };
    let n = ROWS as f64;
    let args = [
        ("X_stride", columns()),
        ("Y_stride", columns()),
        ("loss_stride", columns()),
        ("dX_stride", columns()),
        ("beta", constant(0.5)),
        ("n_non_ignore", int(ROWS as i64)),
        ("ignore_index", constant(-100)),
        ("n_cols", columns()),
        ("BLOCK_SIZE", int(32)),
        ("HAS_LABEL", constant(false)),
    ];
    let data = [
        f32s("X_ptr", log_q.clone()),
        f32s("Y_ptr", log_p),
        empty("loss_ptr", x.len()),
        empty("dX_ptr", x.len()),
        buffer("label_ptr", DType::I32, vec![0.0; ROWS]),
    ];
    let want =
        [("loss_ptr", each(|r, c| part(r * COLUMNS + c).0 / n)), ("dX_ptr", each(|r, c| part(r * COLUMNS + c).1 / n))];
    expect("jsd.py", "_jsd_kernel", GRID, &data, &args, &want, 1e-5);

    // Total variation, with the third row ignored.
    let labels: Vec<f64> = (0..ROWS).map(|r| if r == 2 { -100.0 } else { 1.0 }).collect();
    let open = |r: usize| if r == 2 { 0.0 } else { 1.0 };
    let loss = (0..ROWS).map(|r| open(r) * 0.25 * row_sum(r, |e| 0.5 * (p[e] - q[e]).abs())).collect();
    let grads = each(|r, c| open(r) * 0.125 * (p[r * COLUMNS + c] - q[r * COLUMNS + c]).signum());
    let args = [
        ("p_stride", columns()),
        ("q_stride", columns()),
        ("loss_stride", int(1)),
        ("grads_stride", columns()),
        ("ignore_index", constant(-100)),
        ("n_cols", columns()),
        ("scale", Argument::Float(0.25)),
        ("BLOCK_SIZE", int(32)),
        ("HAS_LABEL", constant(true)),
        ("reduction", constant(1)),
    ];
    let data = [
        f32s("p_ptr", p.clone()),
        f32s("q_ptr", q),
        empty("loss_ptr", ROWS),
        empty("grads_ptr", x.len()),
        buffer("label_ptr", DType::I32, labels),
    ];
    expect("tvd.py", "_tv_distance_kernel", GRID, &data, &args, &[("loss_ptr", loss), ("grads_ptr", grads)], 1e-5);
}

#[test]
#[ignore = "needs a folder of kernels in GIRIH_LIGER"]
fn cross_entropy_and_its_gradient() {
    let x: Vec<f64> = matrix(12).iter().map(|v| (*v as f32 * 4.0) as f64).collect();
    let p = softmax(&x);
    let target = [3usize, 0, 76, 40, 9];
    let ignored = 3;
    let labels: Vec<f64> =
        target.iter().enumerate().map(|(r, t)| if r == ignored { -100.0 } else { *t as f64 }).collect();
    let n = (ROWS - 1) as f64;
    let open = |r: usize| if r == ignored { 0.0 } else { 1.0 };
    let loss = (0..ROWS).map(|r| -open(r) * p[r * COLUMNS + target[r]].ln() / n).collect();
    let grad = each(|r, c| open(r) * (p[r * COLUMNS + c] - f64::from(c == target[r])) / n);
    for dtype in [DType::I32, DType::I64] {
        let args = [
            ("X_stride", columns()),
            ("Y_stride", int(1)),
            ("weight_ptr", constant_none()),
            ("z_loss_ptr", constant_none()),
            ("loss_stride", int(1)),
            ("token_accuracy_ptr", constant_none()),
            ("token_accuracy_stride", int(0)),
            ("predicted_tokens_ptr", constant_none()),
            ("predicted_tokens_stride", int(0)),
            ("n_cols", columns()),
            ("n_non_ignore", int(4)),
            ("sum_non_ignore_weight", Argument::Float(4.0)),
            ("weight_sum", Argument::Float(0.0)),
            ("ignore_index", int(-100)),
            ("lse_square_scale", constant(0.0)),
            ("label_smoothing", constant(0.0)),
            ("reduction", constant("mean")),
            ("softcap", constant_none()),
            ("RETURN_Z_LOSS", constant(false)),
            ("RETURN_TOKEN_ACCURACY", constant(false)),
            ("RETURN_PREDICTED_TOKENS", constant(false)),
            ("BLOCK_SIZE", int(32)),
            ("HAS_WEIGHT", constant(false)),
            ("HAS_SOFTCAPPING", constant(false)),
            ("HAS_GRADIENTS", constant(true)),
        ];
        let data = [f32s("X_ptr", x.clone()), buffer("Y_ptr", dtype, labels.clone()), empty("loss_ptr", ROWS)];
        let want: [(&str, Vec<f64>); 2] = [("loss_ptr", Clone::clone(&loss)), ("X_ptr", grad.clone())];
        let module = module("cross_entropy.py");
        for mut rig in rigs() {
            if dtype == DType::I64 && rig.name == "wgpu" && !rig.target.desc().native.contains(&DType::I64) {
                continue;
            }
            let mut launcher = Launcher::new(&module, "liger_cross_entropy_kernel").unwrap();
            let got = run_with(&mut launcher, &mut rig, GRID, &data, &args);
            close(&format!("{} {dtype} loss", rig.name), &got[2], &want[0].1, 1e-5);
            close(&format!("{} {dtype} gradient", rig.name), &got[0], &want[1].1, 1e-5);
        }
    }
}

fn constant_none() -> Argument {
    Argument::Constant(Constant::None)
}

#[test]
#[ignore = "needs a folder of kernels in GIRIH_LIGER"]
fn rotary_positions() {
    let (length, heads, d) = (6usize, 3usize, 16usize);
    let q = random(13, length * heads * d);
    let k = random(14, length * heads * d);
    let angle: Vec<f64> = random(15, length * d / 2);
    let wide = |f: fn(f64) -> f64| -> Vec<f64> {
        (0..length * d).map(|e| f(angle[e / d * (d / 2) + e % (d / 2)]) as f32 as f64).collect()
    };
    let (cos, sin) = (wide(f64::cos), wide(f64::sin));
    let turned = |x: &[f64]| -> Vec<f64> {
        (0..x.len())
            .map(|e| {
                let (row, c) = (e / (heads * d), e % d);
                let at = row * d + c % (d / 2);
                if c < d / 2 {
                    x[e] * cos[at] - x[e + d / 2] * sin[at]
                } else {
                    x[e] * cos[at] + x[e - d / 2] * sin[at]
                }
            })
            .collect()
    };
    let row = int((heads * d) as i64);
    let args = [
        ("q_row_stride", row.clone()),
        ("k_row_stride", row),
        ("cos_row_stride", int(d as i64)),
        ("sin_row_stride", int(d as i64)),
        ("sl", int(length as i64)),
        ("bs", int(1)),
        ("cos_bs", int(1)),
        ("n_qh", int(heads as i64)),
        ("n_kh", int(heads as i64)),
        ("hd", int(d as i64)),
        ("pad_n_qh", int(4)),
        ("pad_n_kh", int(4)),
        ("pad_hd", int(d as i64)),
        ("pad_rd", int(d as i64)),
        ("rd", int(d as i64)),
        ("BLOCK_SIZE", int(4)),
    ];
    let want = [("q_ptr", turned(&q)), ("k_ptr", turned(&k))];
    let data = [f32s("q_ptr", q), f32s("k_ptr", k), f32s("cos", cos.clone()), f32s("sin", sin.clone())];
    expect("rope.py", "_triton_rope", [length as u32, 1, 1], &data, &args, &want, 1e-5);
}
