//! A Llama decoder in plain operations, as an importer that knows no composites would write it, and tools to look at
//! and run graphs.

#![allow(clippy::unwrap_used, clippy::panic, dead_code)]

use girih_base::{Bindings, DType, Dim, ScalarOp};
use girih_graph::eval::{Array, Value};
use girih_graph::ops::{Call, Callee, Dot, DynUpdate, Precision, Rule as _};
use girih_graph::{Graph, Monoid, NodeId, Op, ParamKind, TensorTy};
use std::fmt::Write;
use std::sync::Arc;

/// Sizes of a model.
#[derive(Clone, Copy)]
pub struct Config {
    pub width: i64,
    pub heads: i64,
    pub kv_heads: i64,
    pub hidden: i64,
    pub capacity: i64,
    /// Keys and values repeated for each query head (as PyTorch exports write it) instead of grouped queries.
    pub repeat_kv: bool,
    /// Rotates halves with doubled tables (as Hugging Face writes it) instead of neighbours.
    pub rotate_half: bool,
}

pub const SMOLLM2: Config =
    Config { width: 576, heads: 9, kv_heads: 3, hidden: 1536, capacity: 2048, repeat_kv: false, rotate_half: false };
pub const TINY: Config =
    Config { width: 24, heads: 6, kv_heads: 2, hidden: 20, capacity: 8, repeat_kv: false, rotate_half: false };

pub const WEIGHTS: &[&str] = &["norm1", "wq", "wk", "wv", "wo", "norm2", "gate", "up", "down"];

impl Config {
    fn head(&self) -> i64 {
        self.width / self.heads
    }

    fn weight_shape(&self, name: &str) -> Vec<i64> {
        let kv = self.kv_heads * self.head();
        match name {
            "norm1" | "norm2" => vec![self.width],
            "wk" | "wv" => vec![self.width, kv],
            "gate" | "up" => vec![self.width, self.hidden],
            "down" => vec![self.hidden, self.width],
            _ => vec![self.width, self.width],
        }
    }
}

pub fn seq() -> Dim {
    Dim::symbol("seq", 1, 2048)
}

pub fn pos() -> Dim {
    Dim::symbol("pos", 0, 2047)
}

fn f32s<D: Into<Dim>>(shape: impl IntoIterator<Item = D>) -> TensorTy {
    TensorTy::new(DType::F32, shape)
}

fn norm(g: &mut Graph, x: NodeId, w: NodeId) -> NodeId {
    let shape = g.tensor(x).unwrap().shape.clone();
    let width = shape[1].clone();
    let square = g.map(ScalarOp::Mul, &[x, x]).unwrap();
    let sum = g.reduce(Monoid::Sum, square, &[1]).unwrap();
    let rows = g.tensor(sum).unwrap().clone();
    let n = g.splat(width.as_const().unwrap() as f64, rows.clone()).unwrap();
    let mean = g.map(ScalarOp::Div, &[sum, n]).unwrap();
    // Kept dimensions, as NumPy-like doors write them.
    let mean = g.reshape(mean, vec![shape[0].clone(), Dim::ONE]).unwrap();
    let eps = g.splat(1e-5, g.tensor(mean).unwrap().clone()).unwrap();
    let shifted = g.map(ScalarOp::Add, &[mean, eps]).unwrap();
    let root = g.map(ScalarOp::Sqrt, &[shifted]).unwrap();
    let one = g.splat(1.0, g.tensor(root).unwrap().clone()).unwrap();
    let r = g.map(ScalarOp::Div, &[one, root]).unwrap();
    let y = g.map_broadcast(ScalarOp::Mul, &[x, r]).unwrap();
    g.map_broadcast(ScalarOp::Mul, &[y, w]).unwrap()
}

/// x [H, S, D]; cos and sin [S, D / 2]; neighbours are turned.
fn rope(g: &mut Graph, x: NodeId, cos: NodeId, sin: NodeId) -> NodeId {
    let shape = g.tensor(x).unwrap().shape.clone();
    let half = shape[2].exact_div(&Dim::from(2)).unwrap();
    let single = vec![shape[0].clone(), shape[1].clone(), half.clone()];
    let mut split = single.clone();
    split.push(Dim::from(2));
    let pairs = g.reshape(x, split).unwrap();
    let part = |g: &mut Graph, i: i64| {
        let p = g.slice_axis(pairs, 3, Dim::from(i), Dim::from(i + 1)).unwrap();
        g.reshape(p, single.clone()).unwrap()
    };
    let (a, b) = (part(g, 0), part(g, 1));
    let (ac, bs) =
        (g.map_broadcast(ScalarOp::Mul, &[a, cos]).unwrap(), g.map_broadcast(ScalarOp::Mul, &[b, sin]).unwrap());
    let (bc, as_) =
        (g.map_broadcast(ScalarOp::Mul, &[b, cos]).unwrap(), g.map_broadcast(ScalarOp::Mul, &[a, sin]).unwrap());
    let (first, second) = (g.map(ScalarOp::Sub, &[ac, bs]).unwrap(), g.map(ScalarOp::Add, &[as_, bc]).unwrap());
    let mut column = single.clone();
    column.push(Dim::ONE);
    let (first, second) = (g.reshape(first, column.clone()).unwrap(), g.reshape(second, column).unwrap());
    let y = g.concat(&[first, second], 3).unwrap();
    g.reshape(y, shape).unwrap()
}

fn rope_half(g: &mut Graph, x: NodeId, cos: NodeId, sin: NodeId) -> NodeId {
    let d = g.tensor(x).unwrap().shape[2].clone();
    let half = d.exact_div(&Dim::from(2)).unwrap();
    let (cos, sin) = (g.concat(&[cos, cos], 1).unwrap(), g.concat(&[sin, sin], 1).unwrap());
    let (a, b) = (g.slice_axis(x, 2, Dim::ZERO, half.clone()).unwrap(), g.slice_axis(x, 2, half, d).unwrap());
    let b = g.map(ScalarOp::Neg, &[b]).unwrap();
    let turned = g.concat(&[b, a], 2).unwrap();
    let straight = g.map_broadcast(ScalarOp::Mul, &[x, cos]).unwrap();
    let turned = g.map_broadcast(ScalarOp::Mul, &[turned, sin]).unwrap();
    g.map(ScalarOp::Add, &[straight, turned]).unwrap()
}

fn softmax(g: &mut Graph, x: NodeId) -> NodeId {
    let ty = g.tensor(x).unwrap().clone();
    let last = ty.rank() - 1;
    let mut kept = ty.shape.clone();
    kept[last] = Dim::ONE;
    let max = g.reduce(Monoid::Max, x, &[last]).unwrap();
    let max = g.reshape(max, kept.clone()).unwrap();
    let shifted = g.map_broadcast(ScalarOp::Sub, &[x, max]).unwrap();
    let e = g.map(ScalarOp::Exp, &[shifted]).unwrap();
    let sum = g.reduce(Monoid::Sum, e, &[last]).unwrap();
    let sum = g.reshape(sum, kept).unwrap();
    g.map_broadcast(ScalarOp::Div, &[e, sum]).unwrap()
}

fn repeat(g: &mut Graph, x: NodeId, times: i64) -> NodeId {
    let s = g.tensor(x).unwrap().shape.clone();
    let wide = g.broadcast(x, vec![s[0].clone(), Dim::from(times), s[1].clone(), s[2].clone()], vec![0, 2, 3]).unwrap();
    g.reshape(wide, vec![s[0].clone() * times, s[1].clone(), s[2].clone()]).unwrap()
}

/// One decoder layer: x [seq, width]; caches [kv_heads, capacity, head]. Gives x and the new caches.
pub fn layer(
    g: &mut Graph,
    c: &Config,
    x: NodeId,
    w: &[NodeId],
    [cos, sin]: [NodeId; 2],
    [kc, vc]: [NodeId; 2],
) -> [NodeId; 3] {
    let (s, d) = (seq(), c.head());
    let h = norm(g, x, w[0]);
    let split = |g: &mut Graph, w: NodeId, heads: i64| {
        let y = g.matmul(h, w).unwrap();
        let y = g.reshape(y, vec![s.clone(), Dim::from(heads), Dim::from(d)]).unwrap();
        g.permute(y, &[1, 0, 2]).unwrap()
    };
    let (q, k, v) = (split(g, w[1], c.heads), split(g, w[2], c.kv_heads), split(g, w[3], c.kv_heads));
    let turn = if c.rotate_half { rope_half } else { rope };
    let (q, k) = (turn(g, q, cos, sin), turn(g, k, cos, sin));
    let zero = g.scalar(0i64, DType::I32).unwrap();
    let at = g.size(pos(), DType::I32).unwrap();
    let kc = g.push(DynUpdate { donate: true }, &[kc, k, zero, at, zero]).unwrap();
    let vc = g.push(DynUpdate { donate: true }, &[vc, v, zero, at, zero]).unwrap();
    let groups = c.heads / c.kv_heads;
    let dot = |n: usize, contract: (usize, usize)| Dot {
        batch: vec![(0, 0)],
        contract: vec![contract],
        acc: DType::F32,
        precision: if n > 0 { Precision::Exact } else { Precision::Fast },
    };
    let (scores, values) = if c.repeat_kv {
        let (k, v) = (repeat(g, kc, groups), repeat(g, vc, groups));
        (g.push(dot(1, (2, 2)), &[q, k]).unwrap(), v)
    } else {
        let q = g.reshape(q, vec![Dim::from(c.kv_heads), Dim::from(groups), s.clone(), Dim::from(d)]).unwrap();
        (g.push(dot(1, (3, 2)), &[q, kc]).unwrap(), vc)
    };
    let ty = g.tensor(scores).unwrap().clone();
    let last = ty.rank() - 1;
    let root = g.splat((d as f64).sqrt(), ty.clone()).unwrap();
    let scores = g.map(ScalarOp::Div, &[scores, root]).unwrap();
    let square = TensorTy::new(DType::I32, [s.clone(), Dim::from(c.capacity)]);
    let (i, t) = (g.iota(square.clone(), 0).unwrap(), g.iota(square, 1).unwrap());
    let seen = g.map_broadcast(ScalarOp::Add, &[i, at]).unwrap();
    let seen = g.map(ScalarOp::Ge, &[seen, t]).unwrap();
    let low = g.scalar(f64::NEG_INFINITY, DType::F32).unwrap();
    let scores = g.map_broadcast(ScalarOp::Select, &[seen, scores, low]).unwrap();
    let p = softmax(g, scores);
    let y = g.push(dot(1, (last, 1)), &[p, values]).unwrap();
    let y = g.reshape(y, vec![Dim::from(c.heads), s.clone(), Dim::from(d)]).unwrap();
    let y = g.permute(y, &[1, 0, 2]).unwrap();
    let y = g.reshape(y, vec![s.clone(), Dim::from(c.width)]).unwrap();
    let y = g.matmul(y, w[4]).unwrap();
    let x = g.map(ScalarOp::Add, &[x, y]).unwrap();
    let h = norm(g, x, w[5]);
    let (gate, up) = (g.matmul(h, w[6]).unwrap(), g.matmul(h, w[7]).unwrap());
    let ty = g.tensor(gate).unwrap().clone();
    let one = g.splat(1.0, ty).unwrap();
    let neg = g.map(ScalarOp::Neg, &[gate]).unwrap();
    let e = g.map(ScalarOp::Exp, &[neg]).unwrap();
    let e = g.map(ScalarOp::Add, &[e, one]).unwrap();
    let sigmoid = g.map(ScalarOp::Div, &[one, e]).unwrap();
    let act = g.map(ScalarOp::Mul, &[gate, sigmoid]).unwrap();
    let y = g.map(ScalarOp::Mul, &[act, up]).unwrap();
    let y = g.matmul(y, w[8]).unwrap();
    [g.map(ScalarOp::Add, &[x, y]).unwrap(), kc, vc]
}

/// A layer as a graph of its own: parameters x, cos, sin, the weights, the two caches.
pub fn layer_graph(c: &Config) -> Graph {
    let mut g = Graph::new("layer");
    let (x, cos, sin) = inputs(&mut g, c);
    let w = weights(&mut g, c, "");
    let (kc, vc) = caches(&mut g, c, "");
    let out = layer(&mut g, c, x, &w, [cos, sin], [kc, vc]);
    g.set_outputs(out.to_vec());
    g
}

fn inputs(g: &mut Graph, c: &Config) -> (NodeId, NodeId, NodeId) {
    let loc = girih_base::Loc::new("llama.py", 10, 1);
    let x = g.param("x", f32s([seq(), Dim::from(c.width)]), ParamKind::Input, loc.clone());
    let table = f32s([seq(), Dim::from(c.head() / 2)]);
    let cos = g.param("cos", table.clone(), ParamKind::Input, loc.clone());
    let sin = g.param("sin", table, ParamKind::Input, loc.clone());
    g.set_loc(loc);
    (x, cos, sin)
}

fn weights(g: &mut Graph, c: &Config, tag: &str) -> Vec<NodeId> {
    let loc = girih_base::Loc::unknown();
    WEIGHTS
        .iter()
        .map(|n| g.param(&format!("{tag}{n}"), f32s(c.weight_shape(n)), ParamKind::Weight, loc.clone()))
        .collect()
}

fn caches(g: &mut Graph, c: &Config, tag: &str) -> (NodeId, NodeId) {
    let ty = f32s([c.kv_heads, c.capacity, c.head()]);
    let loc = girih_base::Loc::unknown();
    let k = g.param(&format!("{tag}k"), ty.clone(), ParamKind::State, loc.clone());
    (k, g.param(&format!("{tag}v"), ty, ParamKind::State, loc))
}

/// A model of `n` layers: written out, or as `n` calls of one body.
pub fn model(c: &Config, n: usize, shared: bool) -> Graph {
    model_with(c, n, shared, layer_graph(c))
}

/// [`model`] with a body of one's own.
pub fn model_with(c: &Config, n: usize, shared: bool, body: Graph) -> Graph {
    let mut g = Graph::new("model");
    let (mut x, cos, sin) = inputs(&mut g, c);
    let callee = Arc::new(Callee { name: "layer".into(), attrs: vec![], body });
    let w: Vec<Vec<NodeId>> = (0..n).map(|i| weights(&mut g, c, &format!("{i}."))).collect();
    let caches: Vec<_> = (0..n).map(|i| caches(&mut g, c, &format!("{i}."))).collect();
    let mut states = Vec::new();
    for i in 0..n {
        let (kc, vc) = caches[i];
        let [y, k, v] = if shared {
            let args: Vec<NodeId> = [x, cos, sin].into_iter().chain(w[i].iter().copied()).chain([kc, vc]).collect();
            let call = g.push(Call { callee: callee.clone() }, &args).unwrap();
            [0, 1, 2].map(|k| g.proj(call, k).unwrap())
        } else {
            layer(&mut g, c, x, &w[i], [cos, sin], [kc, vc])
        };
        x = y;
        states.extend([k, v]);
    }
    let mut outputs = vec![x];
    outputs.extend(states);
    g.set_outputs(outputs);
    g
}

/// Values for the symbols of the model.
pub fn bindings(seq: i64, pos: i64) -> Bindings {
    [("seq".into(), seq), ("pos".into(), pos)].into_iter().collect()
}

/// Random values for every parameter.
pub fn random_inputs(g: &Graph, bindings: &Bindings) -> Vec<Value> {
    let value = |(i, p): (usize, &NodeId)| {
        let t = g.tensor(*p).unwrap();
        let shape: Vec<usize> = t.shape.iter().map(|d| d.eval(bindings).unwrap() as usize).collect();
        Array::random(t.dtype, &shape, 77 + i as u64).into()
    };
    g.params().iter().enumerate().map(value).collect()
}

/// One line per live node.
pub fn dump(g: &Graph) -> String {
    let mut out = String::new();
    let live = g.live();
    for id in g.ids().filter(|id| live[id.0 as usize]) {
        let what = match g.op(id) {
            Op::Call(c) => format!("call {} {:?}", c.callee.name, c.callee.attrs),
            Op::Param(p) => format!("param {} {:?}", p.index, p.kind),
            Op::Loop(_) | Op::Cond(_) => g.op(id).name().to_string(),
            op => format!("{op:?}"),
        };
        let operands: Vec<u32> = g.operands(id).iter().map(|o| o.0).collect();
        writeln!(out, "%{} = {what} {operands:?} : {}", id.0, g.ty(id)).unwrap();
    }
    let outputs: Vec<u32> = g.outputs().iter().map(|o| o.0).collect();
    writeln!(out, "return {outputs:?}").unwrap();
    out
}

/// Number of live nodes that satisfy a condition.
pub fn count(g: &Graph, is: impl Fn(&Op) -> bool) -> usize {
    let live = g.live();
    g.ids().filter(|id| live[id.0 as usize] && is(g.op(*id))).count()
}
