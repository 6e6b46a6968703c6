//! Random graphs verify, evaluate to numbers, and survive printing; mutated text never panics the parser.

use super::round_trip;
use girih_base::{Bindings, Diag};
use girih_graph::eval::{Data, Value, compare::allclose};
use girih_graph::testing::{Config, Kind, random_graph};
use girih_graph::{Graph, NodeId, Op, Ty, text};
use proptest::prelude::*;

fn check_value(value: &Value, ty: &Ty, bindings: &Bindings) {
    let (array, tensor) = (value.array().unwrap(), ty.tensor().unwrap());
    let shape: Vec<usize> = tensor.shape.iter().map(|d| d.eval(bindings).unwrap() as usize).collect();
    assert_eq!((array.dtype, &array.shape), (tensor.dtype, &shape));
    assert_eq!(array.len(), shape.iter().product::<usize>());
    match &array.data {
        Data::Floats(v) => assert!(v.iter().all(|x| x.is_finite())),
        Data::Ints(v) => {
            assert!(v.iter().all(|_| array.dtype.class() != girih_base::Class::Bool || matches!(v[0], 0 | 1)))
        }
    }
}

fn check_seed(seed: u64, config: &Config) -> Result<(), Box<Diag>> {
    let sample = random_graph(seed, config);
    sample.graph.verify()?;
    let printed = round_trip(&sample.graph);
    let out = sample.graph.eval(&sample.inputs, &sample.bindings)?;
    for (value, id) in out.iter().zip(sample.graph.outputs()) {
        check_value(value, sample.graph.ty(*id), &sample.bindings);
    }
    // The parsed graph means the same.
    let again = text::parse(&printed, "printed")?.eval(&sample.inputs, &sample.bindings)?;
    for (a, b) in out.iter().zip(&again) {
        allclose(a, b, 0.0, 0.0).unwrap();
    }
    Ok(())
}

/// The graph with every call replaced by the body.
fn inlined(g: &Graph) -> Graph {
    let mut out = Graph::new(g.name.clone());
    let mut map: Vec<NodeId> = Vec::new();
    for id in g.ids() {
        let node = g.node(id);
        let operands: Vec<NodeId> = g.operands(id).iter().map(|o| map[o.0 as usize]).collect();
        map.push(match &node.op {
            Op::Param(p) => out.param("p", node.ty.clone(), p.kind, node.loc.clone()),
            Op::Call(c) => out.inline(&c.callee.body, &operands, &node.loc).unwrap()[0],
            op => out.add(op.clone(), &operands, node.loc.clone()).unwrap(),
        });
    }
    out.set_outputs(g.outputs().iter().map(|o| map[o.0 as usize]).collect());
    out
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn random_graphs_hold_together(seed: u64, nodes in 1usize..24) {
        let config = Config { nodes, ..Config::default() };
        if let Err(diag) = check_seed(seed, &config) {
            panic!("seed {seed}, {nodes} nodes: {diag}\n{}", random_graph(seed, &config).graph);
        }
    }

    #[test]
    fn a_call_means_its_body(seed: u64) {
        let weights = vec![(Kind::Fresh, 1), (Kind::Map, 3), (Kind::Call, 3)];
        let sample = random_graph(seed, &Config { nodes: 10, weights, ..Config::default() });
        let flat = inlined(&sample.graph);
        flat.verify().unwrap();
        let want = sample.graph.eval(&sample.inputs, &sample.bindings).unwrap();
        let got = flat.eval(&sample.inputs, &sample.bindings).unwrap();
        for (a, b) in got.iter().zip(&want) {
            allclose(a, b, 0.0, 0.0).unwrap();
        }
    }

    #[test]
    fn mutated_text_is_read_or_refused(seed: u64, cuts in prop::collection::vec((any::<prop::sample::Index>(), 0usize..8, ".{0,4}"), 1..6)) {
        let config = Config { nodes: 6, ..Config::default() };
        let mut chars: Vec<char> = random_graph(seed, &config).graph.to_string().chars().collect();
        for (at, remove, insert) in &cuts {
            let at = at.index(chars.len() + 1);
            let end = (at + remove).min(chars.len());
            chars.splice(at..end, insert.chars());
        }
        let mutated: String = chars.into_iter().collect();
        if let Ok(g) = text::parse(&mutated, "mutated") {
            // What is read can be printed, and the verifier does not panic on it.
            let _ = g.verify();
            round_trip(&g);
        }
    }

    #[test]
    fn mutated_tokens_are_read_or_refused(seed: u64, swaps in prop::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>()), 1..5)) {
        let config = Config { nodes: 6, ..Config::default() };
        let printed = random_graph(seed, &config).graph.to_string();
        let mut words: Vec<&str> = printed.split_inclusive([' ', ',', '[', ']', '{', '}']).collect();
        for (a, b) in &swaps {
            let (a, b) = (a.index(words.len()), b.index(words.len()));
            words[a] = words[b];
        }
        if let Ok(g) = text::parse(&words.concat(), "mutated") {
            let _ = g.verify();
            round_trip(&g);
        }
    }
}

#[test]
fn a_smaller_count_gives_the_beginning() {
    let graph = |nodes| random_graph(11, &Config { nodes, ..Config::default() }).graph;
    let (small, large) = (graph(5), graph(9));
    assert!(small.len() < large.len());
    let line = |g: &Graph, i: usize| format!("{:?}", g.node(girih_graph::NodeId(i as u32)).ty);
    assert!((0..small.len() - 1).all(|i| line(&small, i) == line(&large, i)));
}

#[test]
fn every_kind_comes_up() {
    let mut missing: Vec<Kind> = Kind::WEIGHTS.iter().map(|w| w.0).collect();
    for kind in missing.clone() {
        let weights = vec![(Kind::Fresh, 1), (kind, 3)];
        let config = Config { nodes: 30, weights, ..Config::default() };
        let name = format!("{:?}", kind).to_lowercase();
        let op = |g: &Graph| g.ids().any(|id| format!("{:?}", g.op(id)).to_lowercase().starts_with(&name));
        if (0..20).any(|seed| op(&random_graph(seed, &config).graph)) {
            missing.retain(|k| *k != kind);
        }
    }
    // These two are steps, not operations.
    assert_eq!(missing, [Kind::Fresh, Kind::Count]);
}
