//! One rule by itself on one graph, for the tests that compare both sides with the evaluator.

use super::{Rule, compiled};
use crate::build::Build;
use crate::convert::{self, Loaded};
use crate::egraph::Meta;
use crate::pattern::Match;
use girih_base::Result;
use girih_graph::Graph;

/// What a rule made of a graph's first output: graphs with the same parameters and that one output.
pub struct Rewritten {
    /// One graph for each match that built something.
    pub graphs: Vec<Graph>,
}

/// Applies the rule of that name once, at the first output of `graph`, in every way it matches.
pub fn apply_one(rule: &Rule, graph: &Graph) -> Result<Rewritten> {
    let mut graphs = Vec::new();
    let Some(rule) = compiled().iter().find(|c| c.rule.name == rule.name) else { return Ok(Rewritten { graphs }) };
    let mut substs = Vec::new();
    let Loaded { eg, outputs } = convert::load(graph);
    let Some(root) = outputs.first().copied() else { return Ok(Rewritten { graphs }) };
    rule.pattern.search(&eg, root, &mut |s| substs.push(s));
    for subst in substs {
        // A fresh e-graph for each: what one match builds must not become visible to the next. Ids are reproducible.
        let Loaded { mut eg, .. } = convert::load(graph);
        let root = eg.find(root);
        let meta = eg.analysis.meta(Meta { rule: Some(rule.id), ..Meta::default() });
        let mut build = Build { eg: &mut eg, meta };
        let Some(new) = rule.apply(&mut build, &Match { pattern: &rule.pattern, subst: &subst, root }) else {
            continue;
        };
        eg.rebuild();
        let choice = |id| eg[eg.find(id)].nodes.first().cloned();
        let (out, _) = convert::unload(&eg, &[new], &choice, graph)?;
        graphs.push(out);
    }
    Ok(Rewritten { graphs })
}
