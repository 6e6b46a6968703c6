//! The derive, and walks over trees.
#![allow(clippy::unwrap_used)]

use girih::prelude::*;
use std::collections::BTreeMap;

#[derive(Clone, Tree)]
struct Linear {
    w: Tensor,
    b: Option<Tensor>,
}

#[derive(Clone, Tree)]
struct Model<H> {
    layers: Vec<Linear>,
    pair: (Tensor, [Tensor; 2]),
    named: BTreeMap<String, Tensor>,
    head: H,
    #[tree(fixed)]
    heads: usize,
}

#[derive(Clone, Tree)]
struct Scale(Tensor, Box<Linear>);

#[derive(Clone, Tree)]
struct Nothing;

fn one(v: f32) -> Tensor {
    Tensor::new(&[v], [1])
}

fn model() -> Model<Scale> {
    let linear = |v: f32, b: Option<f32>| Linear { w: one(v), b: b.map(one) };
    Model {
        layers: vec![linear(1.0, None), linear(2.0, Some(3.0))],
        pair: (one(4.0), [one(5.0), one(6.0)]),
        named: BTreeMap::from([("k.q".to_string(), one(7.0))]),
        head: Scale(one(8.0), Box::new(linear(9.0, None))),
        heads: 4,
    }
}

#[test]
fn paths_are_those_people_write() {
    let want = [
        "layers[0].w",
        "layers[1].w",
        "layers[1].b",
        "pair.0",
        "pair.1[0]",
        "pair.1[1]",
        "named.k.q",
        "head.0",
        "head.1.w",
    ];
    assert_eq!(tree::paths(&model()), want);
    assert!(tree::paths(&Nothing).is_empty());
    assert_eq!(tree::paths(&one(1.0)), [""]);
}

#[test]
fn map_zip_and_unflatten_keep_the_structure() {
    let doubled = tree::map(&model(), |t| t * 2.0);
    assert_eq!((doubled.heads, doubled.layers.len(), doubled.layers[0].b.is_none()), (4, 2, true));
    let sum = tree::zip(&model(), &doubled, |a, b| a + b);
    tree::eval(&sum).unwrap();
    let values: Vec<f32> = tree::tensors(&sum).iter().map(|t| t.item::<f32>().unwrap()).collect();
    assert_eq!(values, [3.0, 6.0, 9.0, 12.0, 15.0, 18.0, 21.0, 24.0, 27.0]);
    assert_eq!(tree::count(&sum), 9);
    let back = tree::unflatten(&model(), &tree::tensors(&sum)).unwrap();
    assert_eq!(back.head.0.item::<f32>().unwrap(), 24.0);
    assert!(tree::unflatten(&model(), &[]).is_err());
}

#[test]
fn trees_of_different_structure_are_refused() {
    let mut other = model();
    other.layers.pop();
    let text = tree::zip(&model(), &other, |a, b| a + b).head.0.ok().unwrap_err().to_string();
    assert!(text.contains("two trees differ"), "{text}");
}
