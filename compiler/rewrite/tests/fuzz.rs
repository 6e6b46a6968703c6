//! Random graphs mean the same before and after. `GIRIH_FUZZ=n` runs n graphs instead of a few.

#![allow(clippy::unwrap_used, clippy::panic)]

use girih_base::DType;
use girih_graph::Graph;
use girih_graph::eval::compare::allclose;
use girih_graph::testing::{Config, random_graph};
use girih_rewrite::{Budget, Classes, optimize};

/// The unit roundoff of the narrowest float computed in. The oracle rounds at casts only, and a rule may drop a cast
/// that a target's own storage makes the identity, or fold a constant that a target would have rounded.
fn roundoff(g: &Graph) -> f64 {
    let narrow = g.ids().filter_map(|id| g.ty(id).tensor()).map(|t| match t.dtype {
        DType::Bf16 => 2f64.powi(-8),
        DType::F16 => 2f64.powi(-11),
        _ => 2f64.powi(-24),
    });
    narrow.fold(2f64.powi(-24), f64::max)
}

/// What is wrong with the optimised form of a seed's graph.
fn check(seed: u64, nodes: usize, exact_only: bool) -> Result<(), String> {
    let sample = random_graph(seed, &Config { nodes, ..Config::default() });
    let classes = Classes { exact: true, reassoc: !exact_only, approx: false };
    let (out, _) = optimize(&sample.graph, &Budget { classes, ..Budget::default() }).map_err(|e| e.to_string())?;
    let text = |why: String| format!("seed {seed}, {nodes} nodes: {why}\nbefore\n{}\nafter\n{out}", sample.graph);
    out.verify().map_err(|e| text(e.to_string()))?;
    let want = sample.graph.eval(&sample.inputs, &sample.bindings).map_err(|e| text(e.to_string()))?;
    let got = out.eval(&sample.inputs, &sample.bindings).map_err(|e| text(e.to_string()))?;
    let unit = roundoff(&sample.graph);
    for (i, (x, y)) in got.iter().zip(&want).enumerate() {
        // At least 1: a dropped rounding of values near 1 may be all that a difference of them shows.
        let size = y.array().unwrap().to_f64().into_iter().fold(1.0f64, |a, b| a.max(b.abs()));
        let tolerance = if sample.exact[i] { 0.0 } else { 64.0 * unit };
        allclose(x, y, tolerance, tolerance * size).map_err(|e| text(format!("output {i}: {e}")))?;
    }
    Ok(())
}

/// The fewest nodes that show the failure.
fn shrink(seed: u64, nodes: usize, exact_only: bool) -> String {
    (1..=nodes).find_map(|n| check(seed, n, exact_only).err()).unwrap_or_default()
}

#[test]
fn random_graphs_mean_the_same() {
    let count = std::env::var("GIRIH_FUZZ").ok().and_then(|n| n.parse().ok()).unwrap_or(300u64);
    for seed in 0..count {
        let (nodes, exact_only) = (4 + seed as usize % 20, seed % 3 == 0);
        if check(seed, nodes, exact_only).is_err() {
            panic!("{}", shrink(seed, nodes, exact_only));
        }
    }
}
