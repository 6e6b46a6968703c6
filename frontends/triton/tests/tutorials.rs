//! The algorithms of Triton's tutorials, written anew, against plain formulas.
#![allow(clippy::unwrap_used, clippy::panic)]

mod common;
use common::*;
use girih_base::DType;
use girih_triton::Argument;

#[test]
fn vector_add() {
    let source = include_str!("kernels/vector_add.py");
    for mut rig in rigs() {
        for n in [1usize, 100, 1024, 4099] {
            let (x, y) = (random(1, n), random(2, n));
            let want: Vec<f64> = x.iter().zip(&y).map(|(a, b)| (*a as f32 + *b as f32) as f64).collect();
            let data = [f32s("x_ptr", x), f32s("y_ptr", y), f32s("out_ptr", vec![0.0; n])];
            let grid = [n.div_ceil(256) as u32, 1, 1];
            let out = run(&mut rig, source, "add", grid, &data, &[("n", int(n as i64)), ("BLOCK", int(256))]);
            close(&format!("{} {n}", rig.name), &out[2], &want, 0.0);
        }
    }
}

#[test]
fn fused_softmax() {
    let source = include_str!("kernels/softmax.py");
    for mut rig in rigs() {
        for (rows, columns) in [(1usize, 1usize), (7, 33), (20, 781), (3, 1024)] {
            let x = random(3, rows * columns);
            let want: Vec<f64> = x
                .chunks(columns)
                .flat_map(|r| {
                    let top = r.iter().cloned().fold(f64::MIN, f64::max);
                    let sum: f64 = r.iter().map(|v| (v - top).exp()).sum();
                    r.iter().map(move |v| (v - top).exp() / sum).collect::<Vec<_>>()
                })
                .collect();
            let data = [f32s("out_ptr", vec![0.0; rows * columns]), f32s("in_ptr", x)];
            let n = columns as i64;
            let rest = [
                ("in_stride", int(n)),
                ("out_stride", int(n)),
                ("n_rows", int(rows as i64)),
                ("n_cols", int(n)),
                ("BLOCK", int(columns.next_power_of_two() as i64)),
            ];
            let out = run(&mut rig, source, "softmax_rows", [4, 1, 1], &data, &rest);
            close(&format!("{} {rows}x{columns}", rig.name), &out[0], &want, 2e-6);
        }
    }
}

fn product(a: &[f64], b: &[f64], (m, k, n): (usize, usize, usize)) -> Vec<f64> {
    let mut c = vec![0.0; m * n];
    for i in 0..m {
        for p in 0..k {
            for j in 0..n {
                c[i * n + j] += a[i * k + p] * b[p * n + j];
            }
        }
    }
    c
}

#[test]
fn matrix_products() {
    let source = include_str!("kernels/matmul.py");
    for mut rig in rigs() {
        for (m, k, n) in [(64usize, 64usize, 64usize), (97, 45, 130), (1, 7, 3)] {
            let (a, b) = (random(4, m * k), random(5, k * n));
            let want = product(&a, &b, (m, k, n));
            let [mi, ki, ni] = [m, k, n].map(|v| v as i64);
            let sizes = [("M", int(mi)), ("N", int(ni)), ("K", int(ki))];
            let strides = [
                ("stride_am", int(ki)),
                ("stride_ak", int(1)),
                ("stride_bk", int(ni)),
                ("stride_bn", int(1)),
                ("stride_cm", int(ni)),
                ("stride_cn", int(1)),
            ];
            let blocks = [("BM", int(32)), ("BN", int(32)), ("BK", int(16))];
            let data = [f32s("a_ptr", a), f32s("b_ptr", b), f32s("c_ptr", vec![0.0; m * n])];
            let grid = [m.div_ceil(32) as u32, n.div_ceil(32) as u32, 1];
            let plain: Vec<_> = sizes.iter().chain(&strides).chain(&blocks).cloned().collect();
            for kernel in ["matmul_masked", "matmul_blocks"] {
                let out = run(&mut rig, source, kernel, grid, &data, &plain);
                close(&format!("{} {kernel} {m} {k} {n}", rig.name), &out[2], &want, 1e-5);
            }
            let short: Vec<_> = sizes.iter().chain(&blocks).cloned().collect();
            let out = run(&mut rig, source, "matmul_descriptors", grid, &data, &short);
            close(&format!("{} descriptors {m} {k} {n}", rig.name), &out[2], &want, 1e-5);
            // The tutorial's form: one grid axis in groups, the first configuration of the autotuner, an activation.
            let activation = Argument::Constant("leaky_relu".into());
            let tuned: Vec<_> = sizes.iter().chain(&strides).cloned().chain([("ACTIVATION", activation)]).collect();
            let grid = [(m.div_ceil(32) * n.div_ceil(32)) as u32, 1, 1];
            let out = run(&mut rig, source, "matmul", grid, &data, &tuned);
            let active: Vec<f64> = want.iter().map(|v| if *v >= 0.0 { *v } else { 0.01 * v }).collect();
            close(&format!("{} grouped {m} {k} {n}", rig.name), &out[2], &active, 1e-5);
        }
    }
}

#[test]
fn half_precision_product() {
    let source = include_str!("kernels/matmul.py");
    let (m, k, n) = (33usize, 64usize, 48usize);
    let round = |v: Vec<f64>| -> Vec<f64> { v.into_iter().map(|x| (x * 64.0).round() / 64.0).collect() };
    let (a, b) = (round(random(6, m * k)), round(random(7, k * n)));
    let want = product(&a, &b, (m, k, n));
    for mut rig in rigs() {
        let data = [
            buffer("a_ptr", DType::F16, a.clone()),
            buffer("b_ptr", DType::Bf16, b.iter().map(|x| (x * 8.0).round() / 8.0).collect()),
            buffer("c_ptr", DType::F16, vec![0.0; m * n]),
        ];
        let want = product(&data[0].values, &data[1].values, (m, k, n));
        let args = [
            ("M", int(33)),
            ("N", int(48)),
            ("K", int(64)),
            ("stride_am", int(64)),
            ("stride_ak", int(1)),
            ("stride_bk", int(48)),
            ("stride_bn", int(1)),
            ("stride_cm", int(48)),
            ("stride_cn", int(1)),
            ("BM", int(32)),
            ("BN", int(16)),
            ("BK", int(32)),
        ];
        let out = run(&mut rig, source, "matmul_masked", [2, 3, 1], &data, &args);
        close(rig.name, &out[2], &want, 1e-3);
    }
    assert_eq!(want.len(), m * n);
}

/// Philox4x32-10 from its paper.
fn philox(seed: u64, counter: u32) -> [u32; 4] {
    let (mut c, mut k) = ([counter, 0, 0, 0], [seed as u32, (seed >> 32) as u32]);
    for _ in 0..10 {
        let (a, b) = (0xd251_1f53u64 * c[0] as u64, 0xcd9e_8d57u64 * c[2] as u64);
        c = [(b >> 32) as u32 ^ c[1] ^ k[0], b as u32, (a >> 32) as u32 ^ c[3] ^ k[1], a as u32];
        k = [k[0].wrapping_add(0x9e37_79b9), k[1].wrapping_add(0xbb67_ae85)];
    }
    c
}

#[allow(clippy::excessive_precision, reason = "as the generator writes it")]
fn uniform(word: u32) -> f32 {
    let x = word as i32;
    (if x < 0 { !x } else { x }) as f32 * 4.6566127342e-10f32
}

#[test]
fn seeded_dropout() {
    // The first words of the generator's own test vectors: counter and key zero.
    assert_eq!(philox(0, 0)[0], 0x6627_e8d5);
    let source = include_str!("kernels/dropout.py");
    let n = 1000;
    for mut rig in rigs() {
        for seed in [0i64, 123, -5] {
            let x = random(8, n);
            let p = 0.5f32;
            let keep = |i: usize| uniform(philox(seed as u64, i as u32)[0]) > p;
            let want: Vec<f64> = (0..n).map(|i| if keep(i) { (x[i] as f32 / (1.0 - p)) as f64 } else { 0.0 }).collect();
            let data = [f32s("x_ptr", x), f32s("out_ptr", vec![0.0; n])];
            let args =
                [("n", int(n as i64)), ("p", Argument::Float(p as f64)), ("seed", int(seed)), ("BLOCK", int(256))];
            let out = run(&mut rig, source, "dropout", [4, 1, 1], &data, &args);
            close(&format!("{} seed {seed}", rig.name), &out[1], &want, 1e-6);
            let data = [
                buffer("int_ptr", DType::U32, vec![0.0; 64]),
                f32s("uniform_ptr", vec![0.0; 64]),
                f32s("normal_ptr", vec![0.0; 64]),
            ];
            let out = run(
                &mut rig,
                source,
                "numbers",
                [1, 1, 1],
                &data,
                &[("seed", int(seed)), ("n", int(64)), ("BLOCK", int(64))],
            );
            let words: Vec<[u32; 4]> = (0..64).map(|i| philox(seed as u64, i)).collect();
            close("words", &out[0], &words.iter().map(|w| w[0] as f64).collect::<Vec<_>>(), 0.0);
            close("uniform", &out[1], &words.iter().map(|w| uniform(w[0]) as f64).collect::<Vec<_>>(), 0.0);
            let normal = |w: &[u32; 4]| {
                let (u1, u2) = ((uniform(w[0]) as f64).max(1e-7), uniform(w[1]) as f64);
                (-2.0 * u1.ln()).sqrt() * (std::f64::consts::TAU * u2).cos()
            };
            close("normal", &out[2], &words.iter().map(normal).collect::<Vec<_>>(), 2e-5);
        }
    }
}

#[test]
fn layer_norm_forward_and_backward() {
    let source = include_str!("kernels/layer_norm.py");
    for mut rig in rigs() {
        for (rows, n) in [(5usize, 33usize), (12, 200)] {
            let (x, w, b, dy) = (random(9, rows * n), random(10, n), random(11, n), random(12, rows * n));
            let eps = 1e-5;
            let stats: Vec<(f64, f64)> = x
                .chunks(n)
                .map(|r| {
                    let mean = r.iter().sum::<f64>() / n as f64;
                    let var = r.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / n as f64;
                    (mean, 1.0 / (var + eps).sqrt())
                })
                .collect();
            let hat = |i: usize, j: usize| (x[i * n + j] - stats[i].0) * stats[i].1;
            let want: Vec<f64> = (0..rows * n).map(|e| hat(e / n, e % n) * w[e % n] + b[e % n]).collect();
            let (mean, rstd): (Vec<f64>, Vec<f64>) = stats.iter().cloned().unzip();
            let ni = n as i64;
            let forward = [
                f32s("x_ptr", x.clone()),
                f32s("y_ptr", vec![0.0; rows * n]),
                f32s("w_ptr", w.clone()),
                f32s("b_ptr", b.clone()),
                f32s("mean_ptr", vec![0.0; rows]),
                f32s("rstd_ptr", vec![0.0; rows]),
            ];
            let args = [("stride", int(ni)), ("N", int(ni)), ("eps", Argument::Float(eps)), ("BLOCK", int(64))];
            let out = run(&mut rig, source, "forward", [rows as u32, 1, 1], &forward, &args);
            close("y", &out[1], &want, 2e-5);
            close("mean", &out[4], &mean, 1e-5);
            close("rstd", &out[5], &rstd, 2e-5);
            let mut dx = vec![0.0; rows * n];
            let (mut dw, mut db) = (vec![0.0; n], vec![0.0; n]);
            for i in 0..rows {
                let c1 = (0..n).map(|j| hat(i, j) * w[j] * dy[i * n + j]).sum::<f64>() / n as f64;
                let c2 = (0..n).map(|j| w[j] * dy[i * n + j]).sum::<f64>() / n as f64;
                for j in 0..n {
                    dx[i * n + j] = (w[j] * dy[i * n + j] - (hat(i, j) * c1 + c2)) * stats[i].1;
                    dw[j] += dy[i * n + j] * hat(i, j);
                    db[j] += dy[i * n + j];
                }
            }
            let block = int(n.next_power_of_two() as i64);
            let common = [
                f32s("dx_ptr", vec![0.0; rows * n]),
                f32s("dy_ptr", dy.clone()),
                f32s("dw_ptr", vec![0.0; 4 * n]),
                f32s("db_ptr", vec![0.0; 4 * n]),
                f32s("x_ptr", x.clone()),
                f32s("w_ptr", w.clone()),
                f32s("mean_ptr", mean.clone()),
                f32s("rstd_ptr", rstd.clone()),
            ];
            let args = [("stride", int(ni)), ("rows", int(rows as i64)), ("N", int(ni)), ("BLOCK", block.clone())];
            let mut parts = vec![run(&mut rig, source, "backward_x_lock_free", [4, 1, 1], &common, &args)];
            // Programs that wait for each other run on the CPU, where they run in order.
            if rig.name == "cpu" {
                let mut locked = common.to_vec();
                locked.push(buffer("lock_ptr", DType::I32, vec![0.0; 8]));
                let args = [("stride", int(ni)), ("N", int(ni)), ("GROUP", int(4)), ("BLOCK", block)];
                parts.push(run(&mut rig, source, "backward_x", [rows as u32, 1, 1], &locked, &args));
            }
            for part in parts {
                close("dx", &part[0], &dx, 5e-5);
                let second = [
                    f32s("dw_ptr", part[2].clone()),
                    f32s("db_ptr", part[3].clone()),
                    f32s("out_w_ptr", vec![0.0; n]),
                    f32s("out_b_ptr", vec![0.0; n]),
                ];
                let args = [("M", int(4)), ("N", int(ni)), ("BM", int(4)), ("BN", int(32))];
                let out = run(&mut rig, source, "backward_wb", [n.div_ceil(32) as u32, 1, 1], &second, &args);
                close("dw", &out[2], &dw, 1e-4);
                close("db", &out[3], &db, 1e-4);
            }
        }
    }
}

#[test]
fn attention_forward_and_backward() {
    let source = include_str!("kernels/attention.py");
    for mut rig in rigs() {
        for (length, causal) in [(50usize, true), (19, false)] {
            let (heads, d) = (2usize, 16usize);
            let size = heads * length * d;
            let (q, k, v, dout) = (random(13, size), random(14, size), random(15, size), random(16, size));
            let scale = 0.25;
            let (mut out, mut dq, mut dk, mut dv) =
                (vec![0.0; size], vec![0.0; size], vec![0.0; size], vec![0.0; size]);
            for h in 0..heads {
                let at = |i: usize, c: usize| (h * length + i) * d + c;
                for i in 0..length {
                    let open = |j: usize| !causal || j <= i;
                    let score = |j: usize| (0..d).map(|c| q[at(i, c)] * k[at(j, c)]).sum::<f64>() * scale;
                    let top = (0..length).filter(|j| open(*j)).map(score).fold(f64::MIN, f64::max);
                    let e: Vec<f64> = (0..length).map(|j| if open(j) { (score(j) - top).exp() } else { 0.0 }).collect();
                    let sum: f64 = e.iter().sum();
                    let p: Vec<f64> = e.iter().map(|x| x / sum).collect();
                    for c in 0..d {
                        out[at(i, c)] = (0..length).map(|j| p[j] * v[at(j, c)]).sum();
                    }
                    let dp: Vec<f64> =
                        (0..length).map(|j| (0..d).map(|c| dout[at(i, c)] * v[at(j, c)]).sum()).collect();
                    let mean: f64 = (0..length).map(|j| p[j] * dp[j]).sum();
                    for j in 0..length {
                        let ds = p[j] * (dp[j] - mean) * scale;
                        for c in 0..d {
                            dv[at(j, c)] += p[j] * dout[at(i, c)];
                            dq[at(i, c)] += ds * k[at(j, c)];
                            dk[at(j, c)] += ds * q[at(i, c)];
                        }
                    }
                }
            }
            let empty = |name| f32s(name, vec![0.0; size]);
            let rows = |name| f32s(name, vec![0.0; heads * length]);
            let grid = [length.div_ceil(16) as u32, heads as u32, 1];
            let causal = Argument::Constant(causal.into());
            let common = [
                ("length", int(length as i64)),
                ("scale", Argument::Float(scale)),
                ("BM", int(16)),
                ("BN", int(16)),
                ("D", int(d as i64)),
                ("CAUSAL", causal),
            ];
            let buffers = [
                f32s("q_ptr", q.clone()),
                f32s("k_ptr", k.clone()),
                f32s("v_ptr", v.clone()),
                empty("out_ptr"),
                rows("lse_ptr"),
            ];
            let forward = run(&mut rig, source, "forward", grid, &buffers, &common);
            close(&format!("{} attention {length}", rig.name), &forward[3], &out, 2e-5);
            let buffers = [f32s("out_ptr", forward[3].clone()), f32s("do_ptr", dout.clone()), rows("delta_ptr")];
            let args = [("length", int(length as i64)), ("BM", int(16)), ("D", int(d as i64))];
            let delta = run(&mut rig, source, "delta", grid, &buffers, &args);
            let buffers = [
                f32s("q_ptr", q),
                f32s("k_ptr", k),
                f32s("v_ptr", v),
                f32s("do_ptr", dout),
                empty("dq_ptr"),
                empty("dk_ptr"),
                empty("dv_ptr"),
                f32s("lse_ptr", forward[4].clone()),
                f32s("delta_ptr", delta[2].clone()),
            ];
            let back = run(&mut rig, source, "backward", grid, &buffers, &common);
            for (name, got, want) in [("dq", &back[4], &dq), ("dk", &back[5], &dk), ("dv", &back[6], &dv)] {
                close(&format!("{} {name} {length}", rig.name), got, want, 5e-5);
            }
        }
    }
}
