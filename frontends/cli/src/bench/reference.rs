//! The same computations as plain f64 formulas, on samples: what a measured result is checked against.

use super::workloads::{BERT, EPS};

/// f32 as f64.
pub fn wide(x: &[f32]) -> Vec<f64> {
    x.iter().map(|v| *v as f64).collect()
}

/// The largest difference, relative to the largest expected value; infinite for anything that is not a number.
pub fn worst(got: &[f32], want: &[f64]) -> f64 {
    let scale = want.iter().fold(1e-30, |m: f64, w| m.max(w.abs()));
    let error = |(g, w): (&f32, &f64)| (*g as f64 - w).abs() / scale;
    let worst =
        got.iter().zip(want).map(error).fold(0.0, |m: f64, e| if e.is_nan() { f64::INFINITY } else { m.max(e) });
    if got.len() == want.len() { worst } else { f64::INFINITY }
}

/// A sample of row numbers.
fn sample(n: usize) -> impl Iterator<Item = usize> {
    (0..7).map(move |i| i * (n - 1) / 6)
}

/// Rows of the result as a function of rows of the input.
pub fn rows(x: &[f32], y: &[f32], n: usize, f: impl Fn(&[f64]) -> Vec<f64>) -> f64 {
    let row = |i: usize| i * n..(i + 1) * n;
    sample(x.len() / n).map(|i| worst(&y[row(i)], &f(&wide(&x[row(i)])))).fold(0.0, f64::max)
}

/// Rows of a square product.
pub fn matmul(a: &[f32], b: &[f32], n: usize, y: &[f32]) -> f64 {
    rows(a, y, n, |row| product(row, &wide(b), n))
}

/// Sums whose elements start at `at(i).0` with step `at(i).1`, as many as there are results.
pub fn sums(x: &[f32], y: &[f32], at: impl Fn(usize) -> (usize, usize)) -> f64 {
    // Sums of values around 0 cancel; the error is relative to the root of their number, not to what is left.
    let scale = (y.len() as f64).sqrt();
    let error = |i: usize| {
        let (start, step) = at(i);
        let sum: f64 = x[start..].iter().step_by(step).take(y.len()).map(|v| *v as f64).sum();
        (y[i] as f64 - sum).abs() / scale
    };
    sample(y.len()).map(error).fold(0.0, f64::max)
}

/// Softmax of one row.
pub fn softmax(row: &[f64]) -> Vec<f64> {
    let max = row.iter().fold(f64::NEG_INFINITY, |m, v| m.max(*v));
    let e: Vec<f64> = row.iter().map(|v| (v - max).exp()).collect();
    let sum: f64 = e.iter().sum();
    e.iter().map(|v| v / sum).collect()
}

/// Layer normalisation of one row.
pub fn layer_norm(row: &[f64], g: &[f32], b: &[f32]) -> Vec<f64> {
    let n = row.len() as f64;
    let mean = row.iter().sum::<f64>() / n;
    let variance = row.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / n;
    let scale = 1.0 / (variance + EPS).sqrt();
    row.iter().zip(g).zip(b).map(|((v, g), b)| (v - mean) * scale * *g as f64 + *b as f64).collect()
}

/// GELU, tanh form.
pub fn gelu(x: f64) -> f64 {
    0.5 * x * (1.0 + ((2.0 / std::f64::consts::PI).sqrt() * (x + 0.044715 * x * x * x)).tanh())
}

/// [m, k] x [k, n], row-major.
fn product(a: &[f64], b: &[f64], n: usize) -> Vec<f64> {
    let k = b.len() / n;
    let mut y = vec![0.0; a.len() / k * n];
    for (row, out) in a.chunks_exact(k).zip(y.chunks_exact_mut(n)) {
        for (v, weights) in row.iter().zip(b.chunks_exact(n)) {
            out.iter_mut().zip(weights).for_each(|(o, w)| *o += v * w);
        }
    }
    y
}

/// Attention of one head: queries, keys and values [tokens, d].
pub fn attention(q: &[f64], k: &[f64], v: &[f64], d: usize, causal: bool) -> Vec<f64> {
    let scale = 1.0 / (d as f64).sqrt();
    let mut y = Vec::with_capacity(q.len());
    for (i, query) in q.chunks_exact(d).enumerate() {
        let seen = if causal { i + 1 } else { k.len() / d };
        let score = |key: &[f64]| query.iter().zip(key).map(|(a, b)| a * b).sum::<f64>() * scale;
        let p = softmax(&k.chunks_exact(d).take(seen).map(score).collect::<Vec<_>>());
        y.extend(product(&p, &v[..seen * d], d));
    }
    y
}

/// Some pixels of some channels of a padded 3 x 3 convolution of 64 channels of 56 x 56.
pub fn conv(x: &[f32], w: &[f32], y: &[f32]) -> f64 {
    const SIZE: usize = 56;
    let (mut got, mut want) = (Vec::new(), Vec::new());
    for o in sample(64) {
        for (r, c) in [(0, 0), (0, 55), (31, 17), (55, 30), (55, 55)] {
            let mut sum = 0.0;
            for (i, (kr, kc)) in (0..64).flat_map(|i| (0..9).map(move |k| (i, (k / 3, k % 3)))) {
                let (row, column) = (r + kr, c + kc);
                if (1..=SIZE).contains(&row) && (1..=SIZE).contains(&column) {
                    let pixel = x[(i * SIZE + row - 1) * SIZE + column - 1];
                    sum += pixel as f64 * w[(o * 64 + i) * 9 + kr * 3 + kc] as f64;
                }
            }
            want.push(sum);
            got.push(y[(o * SIZE + r) * SIZE + c]);
        }
    }
    worst(&got, &want)
}

/// The first text of the batch through all layers.
pub fn bert(inputs: &[Vec<f32>], y: &[f32]) -> f64 {
    let [_, tokens, width, heads, inner, layers] = BERT;
    let one = tokens * width;
    let mut x = wide(&inputs[0][..one]);
    let mut params = inputs[1..].iter();
    let mut next = || params.next().map_or(&[][..], |p| &p[..]);
    let linear = |x: &[f64], w: &[f32], b: &[f32]| -> Vec<f64> {
        let mut y = product(x, &wide(w), b.len());
        y.chunks_exact_mut(b.len()).for_each(|row| row.iter_mut().zip(b).for_each(|(v, b)| *v += *b as f64));
        y
    };
    let norm = |x: &[f64], y: &[f64], g: &[f32], b: &[f32]| -> Vec<f64> {
        let sum: Vec<f64> = x.iter().zip(y).map(|(x, y)| x + y).collect();
        sum.chunks_exact(width).flat_map(|row| layer_norm(row, g, b)).collect()
    };
    for _ in 0..layers {
        let mut project = |x: &[f64]| {
            let (w, b) = (next(), next());
            linear(x, w, b)
        };
        let (q, k, v) = (project(&x), project(&x), project(&x));
        let d = width / heads;
        let mut seen = vec![0.0; one];
        for h in 0..heads {
            let part = |x: &[f64]| -> Vec<f64> {
                x.chunks_exact(width).flat_map(|row| row[h * d..(h + 1) * d].to_vec()).collect()
            };
            let head = attention(&part(&q), &part(&k), &part(&v), d, false);
            seen.chunks_exact_mut(width)
                .zip(head.chunks_exact(d))
                .for_each(|(row, y)| row[h * d..(h + 1) * d].copy_from_slice(y));
        }
        let seen = project(&seen);
        let (g, b) = (next(), next());
        let mid = norm(&x, &seen, g, b);
        let (w, b) = (next(), next());
        let mut h = linear(&mid, w, b);
        debug_assert_eq!(h.len(), tokens * inner);
        h.iter_mut().for_each(|v| *v = gelu(*v));
        let (w, b) = (next(), next());
        let h = linear(&h, w, b);
        let (g, b) = (next(), next());
        x = norm(&mid, &h, g, b);
    }
    worst(&y[..one], &x)
}
