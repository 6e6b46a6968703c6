//! What the optimiser did, for `explain` and for tests.

use std::fmt::Write;
use std::sync::Arc;
use std::time::Duration;

/// The optimisation of a graph: one entry per distinct body, callees before callers.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// The bodies, in the order they were optimised.
    pub bodies: Vec<BodyReport>,
    /// Host time; the one field that differs between runs.
    pub elapsed: Duration,
}

/// The optimisation of one body.
#[derive(Clone, Debug, Default)]
pub struct BodyReport {
    /// Name of the graph or callee.
    pub name: String,
    /// Calls of this body from bodies that were optimised.
    pub calls: usize,
    /// Live nodes before.
    pub nodes_before: usize,
    /// Live nodes after.
    pub nodes_after: usize,
    /// Estimated seconds on the device before, by the cost model.
    pub cost_before: f64,
    /// Estimated seconds on the device after.
    pub cost_after: f64,
    /// The phases.
    pub phases: Vec<PhaseReport>,
    /// Composites called by the result, with their numbers, in name order.
    pub composites: Vec<(Arc<str>, usize)>,
    /// Nodes of the result that a rule made.
    pub origins: Vec<Origin>,
}

/// One phase of one body.
#[derive(Clone, Debug, Default)]
pub struct PhaseReport {
    /// Name of the phase.
    pub name: &'static str,
    /// Rounds run.
    pub iterations: usize,
    /// E-nodes at the end.
    pub e_nodes: usize,
    /// E-classes at the end.
    pub e_classes: usize,
    /// How often each rule taught the e-graph something, in rule order; rules that never did are absent.
    pub firings: Vec<(&'static str, usize)>,
    /// Limits that were hit.
    pub limits: Vec<Limit>,
}

/// A limit of the budget that was hit; what was found until then is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// Rounds.
    Iterations,
    /// E-nodes.
    Nodes,
    /// Matches of one round, or the work to find them.
    Matches,
}

/// Which rule made a node of the result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// Id of the node in the result.
    pub node: u32,
    /// Kind of operation, or the callee's name.
    pub op: String,
    /// The rule.
    pub rule: &'static str,
    /// The user's source line that the rule's match came from, if known.
    pub loc: String,
}

impl Report {
    /// How many calls of the composite `name` the result makes, each shared body counted once per call of it.
    pub fn composites(&self, name: &str) -> usize {
        let of = |b: &BodyReport| b.composites.iter().filter(|(n, _)| **n == *name).map(|(_, c)| c).sum::<usize>();
        self.bodies.iter().map(|b| of(b) * b.calls.max(1)).sum()
    }

    /// How often a rule fired, over all bodies and phases.
    pub fn firings(&self, rule: &str) -> usize {
        let phases = self.bodies.iter().flat_map(|b| &b.phases);
        phases.flat_map(|p| &p.firings).filter(|(n, _)| *n == rule).map(|(_, c)| c).sum()
    }

    /// Text for people: what changed in each body, what fired, and which rule made which node. Without host times,
    /// so that two runs give the same text.
    pub fn render(&self) -> String {
        let mut out = String::new();
        for body in &self.bodies {
            body.render(&mut out);
        }
        out
    }
}

impl BodyReport {
    fn render(&self, out: &mut String) {
        let times = if self.calls > 1 { format!(", called {} times", self.calls) } else { String::new() };
        // Writing to a string cannot fail.
        let _ = writeln!(
            out,
            "{}: {} -> {} nodes, estimated {} -> {}{times}",
            self.name,
            self.nodes_before,
            self.nodes_after,
            micros(self.cost_before),
            micros(self.cost_after)
        );
        if !self.composites.is_empty() {
            let list: Vec<String> = self.composites.iter().map(|(n, c)| format!("{c} {n}")).collect();
            let _ = writeln!(out, "  composites: {}", list.join(", "));
        }
        for phase in &self.phases {
            let _ = write!(
                out,
                "  {}: {} rounds, {} e-nodes in {} classes",
                phase.name, phase.iterations, phase.e_nodes, phase.e_classes
            );
            for limit in &phase.limits {
                let _ = write!(out, "; stopped by the limit on {}", limit.what());
            }
            out.push('\n');
            for (rule, count) in &phase.firings {
                let _ = writeln!(out, "    {rule} x{count}");
            }
        }
        if !self.origins.is_empty() {
            let _ = writeln!(out, "  made by rules:");
        }
        for o in &self.origins {
            let _ = writeln!(out, "    %{} {} by {} from {}", o.node, o.op, o.rule, o.loc);
        }
    }
}

impl Limit {
    fn what(self) -> &'static str {
        match self {
            Limit::Iterations => "rounds",
            Limit::Nodes => "e-nodes",
            Limit::Matches => "matches",
        }
    }
}

fn micros(seconds: f64) -> String {
    format!("{:.1} us", seconds * 1e6)
}
