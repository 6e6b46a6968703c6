//! Transforms of random graphs: they verify, and batching a derivative is the derivative of each example.

use crate::harness::stack;
use girih_base::Bindings;
use girih_graph::eval::{Array, Value};
use girih_graph::testing::{Config, random_graph};
use girih_graph::{Graph, ParamKind, batch, grad};

const EXAMPLES: usize = 2;

fn arrays(g: &Graph, inputs: &[Array], bindings: &Bindings, what: &str) -> Vec<Array> {
    let inputs: Vec<Value> = inputs.iter().cloned().map(Value::from).collect();
    g.verify().unwrap_or_else(|e| panic!("{what}: {e:?}"));
    let out = g.eval(&inputs, bindings).unwrap_or_else(|e| panic!("{what}: {e}"));
    out.iter().map(|v| v.array().unwrap().clone()).collect()
}

/// The same numbers in another order, so that they stay in the domain the graph was made for.
fn rotated(a: &Array, by: usize) -> Array {
    let n = a.len().max(1);
    let at = |i: usize| (i + by) % n;
    match a.dtype.is_float() {
        true => Array::from_f64(a.dtype, &a.shape, (0..a.len()).map(|i| a.f64(at(i)))),
        false => Array::from_ints(a.dtype, &a.shape, (0..a.len()).map(|i| a.int(at(i)))),
    }
}

fn same(got: &Array, want: &Array, what: &str) {
    assert_eq!((&got.shape, got.dtype), (&want.shape, want.dtype), "{what}");
    let scale = want.to_f64().iter().filter(|v| v.is_finite()).fold(1.0f64, |m, v| m.max(v.abs()));
    for (g, w) in got.to_f64().iter().zip(want.to_f64()) {
        let both_odd = !g.is_finite() && !w.is_finite();
        assert!(*g == w || both_odd || (g - w).abs() <= 1e-9 * scale, "{what}: got {g}, want {w}");
    }
}

fn check_mapped(f: &Graph, examples: &[Vec<Array>], bindings: &Bindings, what: &str) {
    let mapped = batch::vmap(f, &vec![Some(0); f.params().len()], EXAMPLES).unwrap_or_else(|e| panic!("{what}: {e}"));
    let inputs: Vec<Array> =
        (0..f.params().len()).map(|p| stack(&examples.iter().map(|e| e[p].clone()).collect::<Vec<_>>())).collect();
    let got = arrays(&mapped, &inputs, bindings, what);
    let single: Vec<Vec<Array>> = examples.iter().map(|e| arrays(f, e, bindings, what)).collect();
    for (i, got) in got.iter().enumerate() {
        same(got, &stack(&single.iter().map(|s| s[i].clone()).collect::<Vec<_>>()), what);
    }
}

#[test]
fn random_graphs() {
    let config = Config { max_elements: 256, ..Config::default() };
    // More, for a long run: GIRIH_FUZZ_GRAPHS=10000.
    let graphs: u64 = std::env::var("GIRIH_FUZZ_GRAPHS").ok().map_or(600, |n| n.parse().unwrap());
    let mut differentiated = 0;
    for seed in 0..graphs {
        let what = format!("seed {seed}");
        let sample = random_graph(seed, &config);
        let f = &sample.graph;
        if f.params().iter().any(|p| matches!(f.op(*p), girih_graph::Op::Param(p) if p.kind == ParamKind::State)) {
            continue;
        }
        let first: Vec<Array> = sample.inputs.iter().map(|v| v.array().unwrap().clone()).collect();
        let mut examples: Vec<Vec<Array>> =
            (0..EXAMPLES).map(|e| first.iter().map(|a| rotated(a, e)).collect()).collect();
        check_mapped(f, &examples, &sample.bindings, &what);

        let compact = f.compact().unwrap();
        assert!(compact.len() <= f.len());
        assert_eq!(
            arrays(f, &first, &sample.bindings, &what).iter().map(Array::encode).collect::<Vec<_>>(),
            arrays(&compact, &first, &sample.bindings, &what).iter().map(Array::encode).collect::<Vec<_>>(),
            "{what}"
        );

        let wrt: Vec<usize> =
            (0..f.params().len()).filter(|p| f.tensor(f.params()[*p]).unwrap().dtype.is_float()).collect();
        match grad::vjp(f, &wrt) {
            Ok(back) => {
                for e in &mut examples {
                    for o in arrays(f, e, &sample.bindings, &what).iter().filter(|o| o.dtype.is_float()) {
                        e.push(Array::from_f64(o.dtype, &o.shape, (0..o.len()).map(|i| (i % 5) as f64 * 0.25 - 0.5)));
                    }
                }
                check_mapped(&back, &examples, &sample.bindings, &format!("{what}, derivative"));
                differentiated += 1;
            }
            Err(e) => assert!(e.message.contains("cannot be differentiated"), "{what}: {e}"),
        }
    }
    assert!(3 * differentiated > 2 * graphs, "only {differentiated} of {graphs} graphs have a derivative");
}
