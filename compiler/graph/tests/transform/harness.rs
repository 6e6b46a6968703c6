//! Numbers, evaluation and the two checks every case goes through.

use girih_base::{Bindings, DType};
use girih_graph::eval::{Array, Value};
use girih_graph::{Graph, batch, grad};

/// Deterministic numbers in -1..1 that are never very close to each other or to 0.
pub fn noise(seed: u64, n: usize) -> Vec<f64> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut next = || {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (state >> 11) as f64 / (1u64 << 53) as f64
    };
    (0..n).map(|_| 2.0 * next() - 1.0).map(|x| x + 0.05 * x.signum()).collect()
}

pub fn floats(seed: u64, shape: &[usize]) -> Array {
    Array::from_f64(DType::F64, shape, noise(seed, shape.iter().product()))
}

pub fn ints(shape: &[usize], values: &[i64]) -> Array {
    Array::from_ints(DType::I32, shape, values.iter().map(|v| *v as i128))
}

pub fn run(g: &Graph, inputs: &[Array]) -> Vec<Array> {
    g.verify().unwrap_or_else(|e| panic!("{}: {e:?}", g.name));
    let inputs: Vec<Value> = inputs.iter().cloned().map(Value::from).collect();
    let out = g.eval(&inputs, &Bindings::new()).unwrap_or_else(|e| panic!("{}: {e}", g.name));
    out.iter().map(|v| v.array().unwrap().clone()).collect()
}

pub fn inner(a: &[Array], b: &[Array]) -> f64 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(a, b)| a.to_f64().iter().zip(b.to_f64()).map(|(x, y)| x * y).sum::<f64>()).sum()
}

pub fn close(got: f64, want: f64, tolerance: f64, what: &str) {
    assert!((got - want).abs() <= tolerance * (1.0 + want.abs()), "{what}: got {got}, want {want}");
}

pub fn close_arrays(got: &Array, want: &Array, tolerance: f64, what: &str) {
    assert_eq!((&got.shape, got.dtype), (&want.shape, want.dtype), "{what}");
    for (i, (g, w)) in got.to_f64().iter().zip(want.to_f64()).enumerate() {
        assert!(*g == w || (g - w).abs() <= tolerance * (1.0 + w.abs()), "{what}: element {i} is {g}, want {w}");
    }
}

fn float_outputs(outputs: Vec<Array>) -> Vec<Array> {
    outputs.into_iter().filter(|a| a.dtype.is_float()).collect()
}

/// Compares `vjp` with central differences element by element, and `jvp` with `vjp` by `<J v, w> = <v, J' w>`.
pub fn check_gradient(f: &Graph, inputs: &[Array], wrt: &[usize], tolerance: f64) {
    let name = &f.name;
    let outputs = float_outputs(run(f, inputs));
    let w: Vec<Array> = outputs.iter().enumerate().map(|(i, o)| floats(77 + i as u64, &o.shape)).collect();
    let back = grad::vjp(f, wrt).unwrap_or_else(|e| panic!("{name}: {e}"));
    let all: Vec<Array> = inputs.iter().chain(&w).cloned().collect();
    let gradients = run(&back, &all);
    assert_eq!(gradients.len(), wrt.len());
    const STEP: f64 = 1e-5;
    for (p, gradient) in wrt.iter().zip(&gradients) {
        assert_eq!(gradient.shape, inputs[*p].shape, "{name}");
        for i in 0..inputs[*p].len() {
            let moved = |by: f64| {
                let mut inputs = inputs.to_vec();
                let mut values = inputs[*p].to_f64();
                values[i] += by;
                inputs[*p] = Array::from_f64(DType::F64, &inputs[*p].shape, values);
                inner(&float_outputs(run(f, &inputs)), &w)
            };
            let difference = (moved(STEP) - moved(-STEP)) / (2.0 * STEP);
            close(gradient.f64(i), difference, tolerance, &format!("{name}: parameter {p}, element {i}"));
        }
    }
    let v: Vec<Array> = wrt.iter().enumerate().map(|(i, p)| floats(99 + i as u64, &inputs[*p].shape)).collect();
    let forward = grad::jvp(f, wrt).unwrap_or_else(|e| panic!("{name}: {e}"));
    let all: Vec<Array> = inputs.iter().chain(&v).cloned().collect();
    let tangents = run(&forward, &all).split_off(f.outputs().len());
    close(inner(&tangents, &w), inner(&v, &gradients), 1e-9, &format!("{name}: <Jv, w> and <v, J'w>"));
}

/// Stacks arrays of one type along a new first axis.
pub fn stack(parts: &[Array]) -> Array {
    let shape: Vec<usize> = std::iter::once(parts.len()).chain(parts[0].shape.iter().copied()).collect();
    if parts[0].dtype.is_float() {
        Array::from_f64(parts[0].dtype, &shape, parts.iter().flat_map(|p| p.to_f64()))
    } else {
        Array::from_ints(
            parts[0].dtype,
            &shape,
            parts.iter().flat_map(|p| (0..p.len()).map(|i| p.int(i)).collect::<Vec<_>>()),
        )
    }
}

/// Compares `vmap` with one evaluation per example. `examples` are the inputs of each; parameters not flagged in
/// `batched` are taken from the first.
pub fn check_batch(f: &Graph, examples: &[Vec<Array>], batched: &[bool], tolerance: f64) {
    let axes: Vec<Option<usize>> = batched.iter().map(|b| b.then_some(0)).collect();
    let mapped = batch::vmap(f, &axes, examples.len()).unwrap_or_else(|e| panic!("{}: {e}", f.name));
    let pick = |e: &Vec<Array>, p: usize| if batched[p] { e[p].clone() } else { examples[0][p].clone() };
    let inputs: Vec<Array> = (0..batched.len())
        .map(|p| {
            if batched[p] {
                stack(&examples.iter().map(|e| e[p].clone()).collect::<Vec<_>>())
            } else {
                examples[0][p].clone()
            }
        })
        .collect();
    let got = run(&mapped, &inputs);
    let single: Vec<Vec<Array>> =
        examples.iter().map(|e| run(f, &(0..batched.len()).map(|p| pick(e, p)).collect::<Vec<_>>())).collect();
    for (i, got) in got.iter().enumerate() {
        let want = stack(&single.iter().map(|s| s[i].clone()).collect::<Vec<_>>());
        close_arrays(got, &want, tolerance, &format!("{} mapped over {batched:?}, output {i}", f.name));
    }
}
