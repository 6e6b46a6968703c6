//! What the verifier refuses.

use super::*;
use girih_graph::NodeId;

fn scalar() -> TensorTy {
    TensorTy::scalar(DType::F32)
}

fn code(g: &Graph) -> &'static str {
    g.verify().unwrap_err().code
}

#[test]
fn state_comes_back_as_the_last_outputs() {
    let mut g = Graph::new("counter");
    let x = g.param("x", TensorTy::new(DType::F32, [3]), ParamKind::Input, Loc::unknown());
    let s = g.param("s", scalar(), ParamKind::State, Loc::unknown());
    assert_eq!(code(&g), "G102");
    g.set_outputs(vec![s, x]);
    let diag = g.verify().unwrap_err();
    assert!(diag.message.contains("`s`: f32[] is f32[3]"), "{}", diag.message);
    g.set_outputs(vec![x, s]);
    g.verify().unwrap();
}

#[test]
fn outputs_are_values_of_the_graph() {
    let mut g = Graph::new("g");
    g.set_outputs(vec![NodeId(3)]);
    assert_eq!(code(&g), "G102");
}

#[test]
fn one_symbol_has_one_meaning_in_bodies_too() {
    let body = |max| {
        let mut g = Graph::new("body");
        let x = g.param("x", scalar(), ParamKind::Input, Loc::unknown());
        g.size(Dim::symbol("n", 0, max), DType::I32).unwrap();
        g.set_outputs(vec![x]);
        Arc::new(Callee { name: "body".into(), attrs: vec![], body: g })
    };
    let mut g = Graph::new("g");
    let x = g.param("x", scalar(), ParamKind::Input, Loc::unknown());
    let y = g.call(&body(5), &[x]).unwrap()[0];
    g.set_outputs(vec![y]);
    g.verify().unwrap();
    g.call(&body(6), &[y]).unwrap();
    let diag = g.verify().unwrap_err();
    assert_eq!(diag.code, "G103");
    assert!(diag.notes.iter().any(|n| n.contains("0..=6")));
}

#[test]
fn extents_are_not_negative_and_attributes_are_in_order() {
    let mut g = Graph::new("g");
    g.param("x", TensorTy::new(DType::F32, [-1]), ParamKind::Input, Loc::unknown());
    assert_eq!(code(&g), "G104");

    let mut body = Graph::new("b");
    let x = body.param("x", scalar(), ParamKind::Input, Loc::unknown());
    body.set_outputs(vec![x]);
    let attrs = vec![("z", Attr::Ints(vec![])), ("a", Attr::Ints(vec![]))];
    let mut g = Graph::new("g");
    let x = g.param("x", scalar(), ParamKind::Input, Loc::unknown());
    g.call(&Arc::new(Callee { name: "c".into(), attrs, body }), &[x]).unwrap();
    assert_eq!(code(&g), "G105");
}
