//! Quantised weights: their decoding moves behind concatenation, so that merged products still decode in the product.

use super::Class::Exact;
use super::Phase::Algebra;
use super::Rule;
use crate::build::Build;
use crate::egraph;
use crate::pattern::{Match, payload};
use egg::Id;
use girih_base::QuantFormat;
use girih_graph::ops::Callee;
use girih_graph::{Op, nn};
use std::sync::Arc;

pub(super) const RULES: &[Rule] = &[
    // decode(a) over decode(b) = decode(a over b), rows being decoded one by one
    Rule::build("concat-dequant-2", Exact, Algebra, "(concat@c ?a ?b)", |b, m| concat_dequant(b, m, &["a", "b"])),
    Rule::build("concat-dequant-3", Exact, Algebra, "(concat@c ?a ?b ?d)", |b, m| {
        concat_dequant(b, m, &["a", "b", "d"])
    }),
];

/// The callee and argument of a `dequant.*` call in a class.
pub(crate) fn dequant(b: &Build, id: Id) -> Option<(Arc<Callee>, Id)> {
    b.eg[id].nodes.iter().find_map(|n| match egraph::op(b.eg, n) {
        Op::Call(c) if c.callee.name.starts_with("dequant.") => Some((c.callee.clone(), n.kids[0])),
        _ => None,
    })
}

fn concat_dequant(b: &mut Build, m: &Match, names: &[&str]) -> Option<Id> {
    if payload!(m, b, "c", Concat).axis != 0 {
        return None;
    }
    let parts: Option<Vec<(Arc<Callee>, Id)>> = names.iter().map(|n| dequant(b, m.id(n)?)).collect();
    let parts = parts?;
    let name = parts[0].0.name.clone();
    if parts.iter().any(|(c, _)| c.name != name || c.body.params().len() != 1) {
        return None;
    }
    let blocks = b.concat(&parts.iter().map(|p| p.1).collect::<Vec<_>>(), 0)?;
    let format = QuantFormat::from_name(name.strip_prefix("dequant.")?)?;
    b.library(&name, &[blocks], |g, p| nn::dequant(g, p[0], format))
}
