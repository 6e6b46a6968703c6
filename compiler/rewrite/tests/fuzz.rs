//! Random graphs mean the same before and after. `GIRIH_FUZZ=n` runs n graphs instead of a few.

#![allow(clippy::unwrap_used, clippy::panic)]

use girih_graph::eval::compare::allclose;
use girih_graph::testing::{Config, random_graph};
use girih_rewrite::{Budget, Classes, optimize};

/// What is wrong with the optimised form of a seed's graph.
fn check(seed: u64, nodes: usize, exact_only: bool) -> Result<(), String> {
    let sample = random_graph(seed, &Config { nodes, ..Config::default() });
    let classes = Classes { exact: true, reassoc: !exact_only, approx: false };
    let (out, _) = optimize(&sample.graph, &Budget { classes, ..Budget::default() }).map_err(|e| e.to_string())?;
    let text = |why: String| format!("seed {seed}, {nodes} nodes: {why}\nbefore\n{}\nafter\n{out}", sample.graph);
    out.verify().map_err(|e| text(e.to_string()))?;
    let want = sample.graph.eval(&sample.inputs, &sample.bindings).map_err(|e| text(e.to_string()))?;
    let got = out.eval(&sample.inputs, &sample.bindings).map_err(|e| text(e.to_string()))?;
    for (i, (x, y)) in got.iter().zip(&want).enumerate() {
        // Exact rules may fold constants, which rounds them to their dtype where the oracle does not.
        let (rtol, atol) = if sample.exact[i] { (0.0, 0.0) } else { (1e-5, 1e-5) };
        allclose(x, y, rtol, atol).map_err(|e| text(format!("output {i}: {e}")))?;
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
