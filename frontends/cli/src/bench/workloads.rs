//! The workloads: what each computes, what it costs at least, and how its result is checked.

use super::reference as exact;
use crate::emit::examples::{Example, input};
use girih_base::{Dim, Result, ScalarOp};
use girih_graph::{Graph, Monoid, NodeId, nn};

/// A program to measure.
pub struct Workload {
    /// Name, graph.
    pub example: Example,
    /// Floating-point operations; 0 where bytes are what counts.
    pub flops: f64,
    /// Bytes that must be read and written.
    pub bytes: f64,
    /// The largest error of a sample of the result against f64 formulas, relative to the sample's largest value. Takes the
    /// inputs in order and the result.
    pub check: fn(&[Vec<f32>], &[f32]) -> f64,
}

/// Axes of the BERT-like encoder: batch, tokens, features, heads, features inside, layers.
pub const BERT: [usize; 6] = [8, 128, 384, 12, 1536, 6];

/// Added under the root of layer norms.
pub const EPS: f64 = 1e-5;

const F32: f64 = 4.0;

macro_rules! matmul {
    ($name:literal, $n:literal) => {
        Workload {
            example: Example {
                name: $name,
                doc: "f32 matrix product",
                build: |g| {
                    let (a, b) = (input(g, "a", [$n, $n]), input(g, "b", [$n, $n]));
                    Ok(vec![g.matmul(a, b)?])
                },
            },
            flops: 2.0 * ($n as f64) * ($n as f64) * ($n as f64),
            bytes: 3.0 * F32 * ($n as f64) * ($n as f64),
            check: |x, y| exact::matmul(&x[0], &x[1], $n, y),
        }
    };
}

macro_rules! softmax {
    ($name:literal, $rows:literal, $n:literal) => {
        Workload {
            example: Example {
                name: $name,
                doc: "softmax along rows",
                build: |g| {
                    let x = input(g, "x", [$rows, $n]);
                    Ok(vec![nn::softmax(g, x, 1)?])
                },
            },
            flops: 0.0,
            bytes: 2.0 * F32 * $rows as f64 * $n as f64,
            check: |x, y| exact::rows(&x[0], y, $n, exact::softmax),
        }
    };
}

/// All of them.
pub const WORKLOADS: &[Workload] = &[
    matmul!("matmul_256", 256),
    matmul!("matmul_512", 512),
    matmul!("matmul_1024", 1024),
    matmul!("matmul_2048", 2048),
    softmax!("softmax_4096x1024", 4096, 1024),
    softmax!("softmax_256x32000", 256, 32000),
    Workload {
        example: Example {
            name: "layernorm_4096x1024",
            doc: "layer normalisation of rows",
            build: |g| {
                let x = input(g, "x", [4096, 1024]);
                let (w, b) = (input(g, "g", [1024]), input(g, "b", [1024]));
                Ok(vec![nn::layer_norm(g, x, w, b, EPS)?])
            },
        },
        flops: 0.0,
        bytes: 2.0 * F32 * 4096.0 * 1024.0,
        check: |x, y| exact::rows(&x[0], y, 1024, |row| exact::layer_norm(row, &x[1], &x[2])),
    },
    Workload {
        example: Example {
            name: "gelu_fma_16M",
            doc: "gelu(x * w + b), tanh form, 16 million elements",
            build: |g| {
                let x = input(g, "x", [16384, 1024]);
                let (w, b) = (input(g, "w", [1024]), input(g, "b", [1024]));
                let y = g.map_broadcast(ScalarOp::Mul, &[x, w])?;
                let y = g.map_broadcast(ScalarOp::Add, &[y, b])?;
                Ok(vec![nn::gelu_tanh(g, y)?])
            },
        },
        flops: 0.0,
        bytes: 2.0 * F32 * 16384.0 * 1024.0,
        check: |x, y| {
            exact::rows(&x[0], y, 1024, |row| {
                row.iter().zip(&x[1]).zip(&x[2]).map(|((v, w), b)| exact::gelu(v * *w as f64 + *b as f64)).collect()
            })
        },
    },
    Workload {
        example: Example {
            name: "sum_axis0_4096",
            doc: "sums of columns",
            build: |g| {
                let x = input(g, "x", [4096, 4096]);
                Ok(vec![g.reduce(Monoid::Sum, x, &[0])?])
            },
        },
        flops: 0.0,
        bytes: F32 * 4096.0 * 4096.0,
        check: |x, y| exact::sums(&x[0], y, |i| (i, 4096)),
    },
    Workload {
        example: Example {
            name: "sum_axis1_4096",
            doc: "sums of rows",
            build: |g| {
                let x = input(g, "x", [4096, 4096]);
                Ok(vec![g.reduce(Monoid::Sum, x, &[1])?])
            },
        },
        flops: 0.0,
        bytes: F32 * 4096.0 * 4096.0,
        check: |x, y| exact::sums(&x[0], y, |i| (i * 4096, 1)),
    },
    Workload {
        example: Example {
            name: "attention_12x512x64",
            doc: "causal attention, 12 heads, 512 tokens, 64 features",
            build: |g| {
                let (q, k, v) = (input(g, "q", QKV), input(g, "k", QKV), input(g, "v", QKV));
                Ok(vec![nn::attention(g, q, k, v, None, 0.125, Some(Dim::ZERO))?])
            },
        },
        // The usual dense count; half of it is masked away.
        flops: 4.0 * 12.0 * 512.0 * 512.0 * 64.0,
        bytes: 4.0 * F32 * 12.0 * 512.0 * 64.0,
        check: |x, y| {
            let head = 5 * 512 * 64..6 * 512 * 64;
            let part = |i: usize| exact::wide(&x[i][head.clone()]);
            exact::worst(&y[head.clone()], &exact::attention(&part(0), &part(1), &part(2), 64, true))
        },
    },
    Workload {
        example: Example {
            name: "conv2d_3x3_64_56",
            doc: "3x3 convolution, 64 to 64 channels, 56 x 56",
            build: |g| {
                let (x, w) = (input(g, "x", [1, 64, 56, 56]), input(g, "w", [64, 64, 3, 3]));
                let how = nn::Conv2d { padding: [(1, 1), (1, 1)], ..Default::default() };
                Ok(vec![nn::conv2d(g, x, w, None, &how)?])
            },
        },
        flops: 2.0 * 64.0 * 64.0 * 9.0 * 56.0 * 56.0,
        bytes: F32 * (2.0 * 64.0 * 56.0 * 56.0 + 64.0 * 64.0 * 9.0),
        check: |x, y| exact::conv(&x[0], &x[1], y),
    },
    Workload {
        example: Example { name: "bert6_8x128", doc: "six layers of a BERT-like encoder, 8 x 128 tokens", build: bert },
        flops: bert_flops(),
        bytes: F32 * BERT[5] as f64 * (4 * BERT[2] * BERT[2] + 2 * BERT[2] * BERT[4]) as f64,
        check: exact::bert,
    },
];

const QKV: [i64; 4] = [1, 12, 512, 64];

const fn bert_flops() -> f64 {
    let [batch, tokens, width, _, inner, layers] = BERT;
    (layers * batch * tokens * (8 * width * width + 4 * width * inner + 4 * tokens * width)) as f64
}

/// Post-norm encoder layers: attention, then a feed-forward part with the tanh form of GELU. Parameters in the order of
/// [`exact::bert`].
fn bert(g: &mut Graph) -> Result<Vec<NodeId>> {
    let [batch, tokens, width, heads, inner, layers] = BERT;
    let mut x = input(g, "x", [batch, tokens, width]);
    for l in 0..layers {
        let linear = |g: &mut Graph, x: NodeId, name: &str, from: usize, to: usize| -> Result<NodeId> {
            let (w, b) = (input(g, &format!("l{l}_w{name}"), [from, to]), input(g, &format!("l{l}_b{name}"), [to]));
            nn::linear(g, x, w, Some(b))
        };
        let norm = |g: &mut Graph, x: NodeId, name: &str| -> Result<NodeId> {
            let (w, b) = (input(g, &format!("l{l}_g{name}"), [width]), input(g, &format!("l{l}_h{name}"), [width]));
            nn::layer_norm(g, x, w, b, EPS)
        };
        let head = |g: &mut Graph, x: NodeId| -> Result<NodeId> {
            let x = g.reshape(x, [batch, tokens, heads, width / heads].map(Dim::from).to_vec())?;
            g.permute(x, &[0, 2, 1, 3])
        };
        let (q, k, v) =
            (linear(g, x, "q", width, width)?, linear(g, x, "k", width, width)?, linear(g, x, "v", width, width)?);
        let (q, k, v) = (head(g, q)?, head(g, k)?, head(g, v)?);
        let seen = nn::attention(g, q, k, v, None, 1.0 / ((width / heads) as f64).sqrt(), None)?;
        let seen = g.permute(seen, &[0, 2, 1, 3])?;
        let seen = g.reshape(seen, [batch, tokens, width].map(Dim::from).to_vec())?;
        let seen = linear(g, seen, "o", width, width)?;
        let sum = g.map(ScalarOp::Add, &[x, seen])?;
        let y = norm(g, sum, "1")?;
        let h = linear(g, y, "f1", width, inner)?;
        let h = nn::gelu_tanh(g, h)?;
        let h = linear(g, h, "f2", inner, width)?;
        let sum = g.map(ScalarOp::Add, &[y, h])?;
        x = norm(g, sum, "2")?;
    }
    Ok(vec![x])
}
