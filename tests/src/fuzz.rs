//! Random graphs on a target against the evaluator.

use crate::{Rig, rounding, run};
use girih_base::Diag;
use girih_driver::Options;
use girih_graph::eval::compare::allclose;
use girih_graph::testing::{Config, Sample, random_graph};
use std::collections::BTreeMap;
use std::fmt::Write;

/// What a run of many graphs found.
#[derive(Debug, Default)]
pub struct Report {
    /// Graphs compared.
    pub compared: usize,
    /// Graphs that the compiler refuses, by the refusal.
    pub refused: BTreeMap<String, usize>,
    /// What went wrong, by seed.
    pub wrong: BTreeMap<u64, String>,
}

/// A refusal that is allowed: the target cannot express the graph and says so.
pub type Allowed = fn(&Diag) -> bool;

/// Runs the graphs of seeds `first..first + count`, optimiser off and on.
pub fn fuzz(rig: &Rig, config: &Config, first: u64, count: u64, allowed: Allowed) -> Report {
    let mut report = Report::default();
    for seed in first..first + count {
        match catch(|| one(rig, &random_graph(seed, config))) {
            Ok(Verdict::Same) => report.compared += 1,
            Ok(Verdict::Refused(d)) if allowed(&d) => {
                *report.refused.entry(format!("{} {}", d.code, d.message)).or_default() += 1;
            }
            Ok(Verdict::Refused(d)) => {
                report.wrong.insert(seed, shrink(rig, config, seed, format!("refused: {d}")));
            }
            Ok(Verdict::Wrong(why)) | Err(why) => {
                report.wrong.insert(seed, shrink(rig, config, seed, why));
            }
        }
    }
    report
}

enum Verdict {
    Same,
    Refused(Box<Diag>),
    Wrong(String),
}

fn one(rig: &Rig, sample: &Sample) -> Verdict {
    let Sample { graph, bindings, inputs, exact } = sample;
    let want = match graph.eval(inputs, bindings) {
        Ok(want) => want,
        Err(d) => return Verdict::Wrong(format!("the evaluator refuses: {d}")),
    };
    let margins = match rounding::allowed(graph, inputs, bindings, &want) {
        Ok(margins) => margins,
        Err(d) => return Verdict::Wrong(format!("rounding cannot be judged: {d}")),
    };
    for enabled in [false, true] {
        let mut options = Options::for_target(&*rig.target);
        options.budget.enabled = enabled;
        let got = match run(rig, graph, inputs, bindings, &options) {
            Ok(got) => got,
            Err(d) => return Verdict::Refused(d),
        };
        for (i, (g, w)) in got.iter().zip(&want).enumerate() {
            let margin = if exact[i] { 0.0 } else { margins[i] };
            if let Err(e) = allclose(g, w, 0.0, margin) {
                return Verdict::Wrong(format!("output {i} (within {margin:e}, optimiser {enabled}): {e}"));
            }
        }
    }
    Verdict::Same
}

/// A panic is a finding like any other.
fn catch<T>(f: impl FnOnce() -> T) -> Result<T, String> {
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(f)).map_err(|p| {
        let text = p.downcast_ref::<String>().cloned().or_else(|| p.downcast_ref::<&str>().map(|s| s.to_string()));
        format!("panic: {}", text.unwrap_or_default())
    })
}

/// The finding with the smallest graph of this seed that shows one.
fn shrink(rig: &Rig, config: &Config, seed: u64, mut why: String) -> String {
    let mut text = random_graph(seed, config).graph.to_string();
    for nodes in 1..config.nodes {
        let sample = random_graph(seed, &Config { nodes, ..config.clone() });
        let found = match catch(|| one(rig, &sample)) {
            Ok(Verdict::Same) => continue,
            Ok(Verdict::Refused(d)) if !why.starts_with("refused") || d.code.is_empty() => continue,
            Ok(Verdict::Refused(d)) => format!("refused: {d}"),
            Ok(Verdict::Wrong(e)) | Err(e) => e,
        };
        why = format!("{found} [nodes {nodes}]");
        text = format!("{:?}\n{}", sample.bindings, sample.graph);
        break;
    }
    format!("{why}\n{text}")
}

impl Report {
    /// All of it in words; first lines of everything, the smallest graph in full.
    pub fn text(&self) -> String {
        let refused: usize = self.refused.values().sum();
        let mut out = format!("{} agree, {refused} refused, {} wrong\n", self.compared, self.wrong.len());
        for (why, n) in &self.refused {
            let _ = writeln!(out, "  refused {n}: {why}");
        }
        for (seed, why) in self.wrong.iter().take(60) {
            let _ = writeln!(out, "  seed {seed}: {}", why.lines().next().unwrap_or_default());
        }
        let mut small: Vec<(&u64, &String)> = self.wrong.iter().collect();
        small.sort_by_key(|(_, w)| w.len());
        for (seed, why) in small.iter().take(3) {
            let _ = writeln!(out, "\nseed {seed}: {why}");
        }
        out
    }
}

/// A number from the environment.
pub fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|v| v.parse().ok()).unwrap_or(default)
}
