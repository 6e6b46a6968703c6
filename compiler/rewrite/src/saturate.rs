//! Grows an e-graph under one phase's rules, round by round, within counted limits.

use crate::budget::Budget;
use crate::build::Build;
use crate::egraph::{self, EGraph, Meta};
use crate::pattern::{Match, Subst};
use crate::report::{Limit, PhaseReport};
use crate::rules::{self, Compiled, Phase};
use egg::Id;

/// Rules of a phase that the budget allows.
pub fn rules_of(phase: Phase, budget: &Budget) -> Vec<&'static Compiled> {
    rules::compiled().iter().filter(|c| c.rule.phase == phase && budget.classes.allow(c.rule.class)).collect()
}

/// Applies `rules` until nothing new is learnt or a limit is hit.
pub fn saturate(eg: &mut EGraph, rules: &[&'static Compiled], name: &'static str, budget: &Budget) -> PhaseReport {
    let mut report = PhaseReport { name, ..PhaseReport::default() };
    let mut fired: Vec<usize> = vec![0; rules.len()];
    loop {
        if report.iterations == budget.iterations {
            report.limits.push(Limit::Iterations);
            break;
        }
        report.iterations += 1;
        let (matches, cut) = search(eg, rules, budget);
        if cut && !report.limits.contains(&Limit::Matches) {
            report.limits.push(Limit::Matches);
        }
        let before = (eg.total_size(), eg.number_of_classes());
        for (root, rule, subst) in matches {
            if eg.total_size() >= budget.nodes {
                report.limits.push(Limit::Nodes);
                break;
            }
            if apply(eg, root, rules[rule], &subst) {
                fired[rule] += 1;
            }
        }
        eg.rebuild();
        if before == (eg.total_size(), eg.number_of_classes()) || report.limits.contains(&Limit::Nodes) {
            break;
        }
    }
    report.firings = rules.iter().zip(fired).filter(|(_, n)| *n > 0).map(|(c, n)| (c.rule.name, n)).collect();
    report.e_nodes = eg.total_number_of_nodes();
    report.e_classes = eg.number_of_classes();
    report
}

/// The classes in a fixed order.
pub fn classes(eg: &EGraph) -> Vec<Id> {
    let mut ids: Vec<Id> = eg.classes().map(|c| c.id).collect();
    ids.sort();
    ids
}

type Found = (Id, usize, Subst);

fn search(eg: &EGraph, rules: &[&'static Compiled], budget: &Budget) -> (Vec<Found>, bool) {
    let (mut out, mut steps) = (Vec::new(), 0);
    for root in classes(eg) {
        for node in &eg[root].nodes {
            let op = egraph::op(eg, node);
            for (i, rule) in rules.iter().enumerate().filter(|(_, r)| r.pattern.may_start(op)) {
                steps += rule.pattern.search_node(eg, node, &mut |s| out.push((root, i, s)));
                if out.len() > budget.matches || steps > budget.steps {
                    out.truncate(budget.matches);
                    return (out, true);
                }
            }
        }
    }
    (out, false)
}

/// Applies one match; whether the e-graph learnt something.
pub fn apply(eg: &mut EGraph, root: Id, rule: &Compiled, subst: &Subst) -> bool {
    let root = eg.find(root);
    let loc = eg[root].nodes.first().map(|n| eg.analysis.metas[n.meta as usize].loc.clone()).unwrap_or_default();
    let meta = eg.analysis.meta(Meta { loc, name: None, rule: Some(rule.id) });
    let mut build = Build { eg, meta };
    let m = Match { pattern: &rule.pattern, subst, root };
    match rule.apply(&mut build, &m) {
        Some(new) => eg.union(root, new),
        None => false,
    }
}
