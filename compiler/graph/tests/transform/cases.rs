//! One small graph per operation kind and variant, with the operation in the middle.

use crate::harness::{floats, ints};
use girih_base::{DType, Dim, Loc, Result, ScalarOp};
use girih_graph::eval::Array;
use girih_graph::ops::*;
use girih_graph::{Graph, Monoid, NodeId, ParamKind, TensorTy, nn};
use std::sync::Arc;

pub struct Case {
    pub graph: Graph,
    /// Inputs of an example, by seed.
    pub inputs: Box<dyn Fn(u64) -> Vec<Array>>,
    /// The float parameters.
    pub wrt: Vec<usize>,
}

type Build = dyn Fn(&mut Graph, &[NodeId]) -> Result<Vec<NodeId>>;

/// A case with f64 parameters of `shapes` and integer parameters `indices`. Each float parameter goes through
/// `x + 0.3 sin x` first, each float result through `tanh y + 0.1 y^2` afterwards.
fn case(name: &str, shapes: &[&[usize]], indices: &[(&[usize], Vec<i64>)], build: &Build) -> Case {
    let mut g = Graph::new(name);
    let mut middle = Vec::new();
    for (i, s) in shapes.iter().enumerate() {
        let ty = TensorTy::new(DType::F64, s.iter().copied());
        let x = g.param(&format!("x{i}"), ty.clone(), ParamKind::Input, Loc::unknown());
        let sine = g.map(ScalarOp::Sin, &[x]).unwrap();
        let k = g.splat(0.3, ty).unwrap();
        let part = g.map(ScalarOp::Mul, &[sine, k]).unwrap();
        middle.push(g.map(ScalarOp::Add, &[x, part]).unwrap());
    }
    for (i, (s, _)) in indices.iter().enumerate() {
        let ty = TensorTy::new(DType::I32, s.iter().copied());
        middle.push(g.param(&format!("i{i}"), ty, ParamKind::Input, Loc::unknown()));
    }
    let results = build(&mut g, &middle).unwrap_or_else(|e| panic!("{name}: {e}"));
    let mut outputs = Vec::new();
    for y in results {
        if !g.tensor(y).unwrap().dtype.is_float() {
            outputs.push(y);
            continue;
        }
        let ty = g.tensor(y).unwrap().clone();
        let t = g.map(ScalarOp::Tanh, &[y]).unwrap();
        let k = g.splat(0.1, ty).unwrap();
        let square = g.map(ScalarOp::Square, &[y]).unwrap();
        let part = g.map(ScalarOp::Mul, &[square, k]).unwrap();
        outputs.push(g.map(ScalarOp::Add, &[t, part]).unwrap());
    }
    g.set_outputs(outputs);
    let shapes: Vec<Vec<usize>> = shapes.iter().map(|s| s.to_vec()).collect();
    let indices: Vec<(Vec<usize>, Vec<i64>)> = indices.iter().map(|(s, v)| (s.to_vec(), v.clone())).collect();
    let wrt = (0..shapes.len()).collect();
    let inputs = move |seed: u64| {
        let floats = shapes.iter().enumerate().map(|(i, s)| floats(seed * 31 + i as u64 + 1, s));
        // Other examples have the integers in another order.
        let ints = indices.iter().map(|(s, v)| {
            let mut v = v.clone();
            let n = v.len().max(1);
            v.rotate_left(seed as usize % n);
            ints(s, &v)
        });
        floats.chain(ints).collect()
    };
    Case { graph: g, inputs: Box::new(inputs), wrt }
}

fn one(name: &str, shape: &[usize], build: impl Fn(&mut Graph, NodeId) -> Result<NodeId> + 'static) -> Case {
    case(name, &[shape], &[], &move |g: &mut Graph, x: &[NodeId]| Ok(vec![build(g, x[0])?]))
}

fn dims(list: &[usize]) -> Vec<Dim> {
    list.iter().map(|d| Dim::from(*d)).collect()
}

/// Data movement, contraction and choice.
pub fn structural() -> Vec<Case> {
    let slice = |start: [usize; 2], limit: [usize; 2], stride: [i64; 2]| Slice {
        start: dims(&start),
        limit: dims(&limit),
        stride: stride.to_vec(),
    };
    let window = |axes: &[(usize, i64, i64, i64)]| Window {
        axes: axes.iter().map(|a| WindowAxis { axis: a.0, size: a.1, stride: a.2, dilation: a.3 }).collect(),
    };
    let (w1, w2, w3) =
        (window(&[(1, 3, 2, 1)]), window(&[(0, 2, 1, 2), (1, 3, 1, 1)]), window(&[(0, 2, 2, 1), (1, 3, 3, 1)]));
    let (s1, s2) = (slice([1, 0], [3, 4], [1, 1]), slice([0, 1], [3, 5], [2, 3]));
    let mixed =
        Dot { batch: vec![(1, 0)], contract: vec![(3, 1), (0, 3)], acc: DType::F64, precision: Precision::Exact };
    vec![
        one("reshape", &[2, 6], |g, x| g.reshape(x, dims(&[3, 4]))),
        one("permute", &[2, 3, 4], |g, x| g.permute(x, &[2, 0, 1])),
        one("broadcast", &[2, 3], |g, x| g.broadcast(x, dims(&[4, 2, 5, 3]), vec![1, 3])),
        one("slice", &[3, 5], move |g, x| g.push(s1.clone(), &[x])),
        one("slice strided", &[3, 5], move |g, x| g.push(s2.clone(), &[x])),
        case("pad", &[&[2, 3], &[]], &[], &|g, x| {
            let op = Pad { low: dims(&[1, 0]), high: dims(&[0, 2]), interior: vec![1, 2] };
            Ok(vec![g.push(op, x)?])
        }),
        one("reverse", &[3, 4], |g, x| g.push(Reverse { axes: vec![1] }, &[x])),
        one("window strided", &[2, 8], move |g, x| g.push(w1.clone(), &[x])),
        one("window dilated", &[4, 5], move |g, x| g.push(w2.clone(), &[x])),
        one("window apart", &[5, 7], move |g, x| g.push(w3.clone(), &[x])),
        case("concat", &[&[2, 3], &[2, 1], &[2, 2]], &[], &|g, x| Ok(vec![g.concat(x, 1)?])),
        case("matmul", &[&[3, 4], &[4, 2]], &[], &|g, x| Ok(vec![g.matmul(x[0], x[1])?])),
        case("matmul batched", &[&[2, 3, 4], &[2, 4, 2]], &[], &|g, x| Ok(vec![g.matmul(x[0], x[1])?])),
        // Free and summed axes in a different order left and right.
        case("dot mixed", &[&[2, 3, 4, 5], &[3, 5, 6, 2]], &[], &move |g, x| Ok(vec![g.push(mixed.clone(), x)?])),
        case("dot outer", &[&[3], &[2]], &[], &|g, x| Ok(vec![g.dot(x[0], x[1], &[], &[])?])),
        case("dyn_slice", &[&[4, 5]], &[(&[], vec![2]), (&[], vec![9])], &|g, x| {
            Ok(vec![g.push(DynSlice { sizes: dims(&[2, 3]) }, x)?])
        }),
        case("dyn_update", &[&[4, 5], &[2, 3]], &[(&[], vec![-1]), (&[], vec![1])], &|g, x| {
            Ok(vec![g.push(DynUpdate { donate: false }, x)?])
        }),
        case("dyn_slice indexed", &[&[4, 5]], &[(&[2], vec![3, 0])], &|g, x| {
            let mut start = Vec::new();
            for i in 0..2i64 {
                let s = g.slice_axis(x[1], 0, Dim::from(i), Dim::from(i + 1))?;
                start.push(g.reshape(s, Vec::new())?);
            }
            let y = g.push(DynSlice { sizes: dims(&[2, 3]) }, &[x[0], start[0], start[1]])?;
            let z = g.push(DynUpdate { donate: false }, &[x[0], y, start[1], start[0]])?;
            Ok(vec![y, z])
        }),
        one("sort", &[3, 5], |g, x| g.push(Sort { axis: 1, keys: 1, descending: true }, &[x])),
        case("sort with values", &[&[4, 2], &[4, 2]], &[], &|g, x| {
            let y = g.push(Sort { axis: 0, keys: 1, descending: false }, x)?;
            Ok(vec![g.proj(y, 0)?, g.proj(y, 1)?])
        }),
        one("fence and tuple", &[3], |g, x| {
            let y = g.map(ScalarOp::Exp, &[x])?;
            let t = g.push(Tuple, &[x, y])?;
            let t = g.push(Fence, &[t])?;
            let (a, b) = (g.proj(t, 0)?, g.proj(t, 1)?);
            g.map(ScalarOp::Mul, &[a, b])
        }),
    ]
}

/// Folds.
pub fn folds() -> Vec<Case> {
    let mut out = Vec::new();
    for (name, monoid) in [("sum", Monoid::Sum), ("prod", Monoid::Prod), ("max", Monoid::Max), ("min", Monoid::Min)] {
        let m = monoid.clone();
        out.push(one(&format!("reduce {name}"), &[2, 3, 2], move |g, x| g.reduce(m.clone(), x, &[2, 0])));
        for (reverse, exclusive) in [(false, false), (true, false), (false, true), (true, true)] {
            // An exclusive maximum starts at minus infinity, which no difference can be taken of.
            if exclusive && matches!(monoid, Monoid::Max | Monoid::Min) {
                continue;
            }
            let op = Scan { monoid: monoid.clone(), axis: 1, reverse, exclusive, acc: DType::F64 };
            let name = format!("scan {name} reverse={reverse} exclusive={exclusive}");
            out.push(one(&name, &[2, 4], move |g, x| g.push(op.clone(), &[x])));
        }
    }
    out.push(one("reduce prod with zeros", &[2, 3], |g, x| {
        // x - x is a zero that still depends on x in form; a constant zero sits in row 0.
        let mask = g.iota(TensorTy::new(DType::F64, [2, 3]), 0)?;
        let y = g.map(ScalarOp::Mul, &[x, mask])?;
        g.reduce(Monoid::Prod, y, &[0])
    }));
    for (name, monoid) in [("argmax", Monoid::ArgMax), ("argmin", Monoid::ArgMin)] {
        out.push(case(name, &[&[2, 4]], &[], &move |g, x| {
            let y = g.reduce(monoid.clone(), x[0], &[1])?;
            Ok(vec![g.proj(y, 0)?, g.proj(y, 1)?])
        }));
    }
    for (name, monoid) in [("welford", Monoid::Welford), ("online", Monoid::Online)] {
        out.push(case(name, &[&[2, 4]], &[], &move |g, x| {
            let y = g.reduce(monoid.clone(), x[0], &[1])?;
            Ok(vec![g.proj(y, 0)?, g.proj(y, 1)?])
        }));
    }
    out
}

/// Composition of the affine maps `s -> a s + b`: a fold of two values that is not commutative.
fn affine() -> Monoid {
    let body = body("affine", &[f64s(&[]), f64s(&[]), f64s(&[]), f64s(&[])], &|g, p| {
        let a = g.map(ScalarOp::Mul, &[p[2], p[0]])?;
        let b = g.map(ScalarOp::Mul, &[p[2], p[1]])?;
        Ok(vec![a, g.map(ScalarOp::Add, &[b, p[3]])?])
    });
    Monoid::Custom(body, vec![1.0.into(), 0.0.into()])
}

/// Folds with a body of their own.
pub fn custom_folds() -> Vec<Case> {
    let mut out = Vec::new();
    for (reverse, exclusive) in [(false, false), (true, true)] {
        let op = Scan { monoid: affine(), axis: 1, reverse, exclusive, acc: DType::F64 };
        out.push(case(&format!("scan custom reverse={reverse}"), &[&[2, 4], &[2, 4]], &[], &move |g, x| {
            let y = g.push(op.clone(), x)?;
            Ok(vec![g.proj(y, 0)?, g.proj(y, 1)?])
        }));
    }
    for axes in [vec![1], vec![2, 0]] {
        let op = Reduce { monoid: affine(), axes, acc: DType::F64 };
        out.push(case("reduce custom", &[&[2, 3, 2], &[2, 3, 2]], &[], &move |g, x| {
            let y = g.push(op.clone(), x)?;
            Ok(vec![g.proj(y, 0)?, g.proj(y, 1)?])
        }));
    }
    out
}

/// Computed positions.
pub fn indexed() -> Vec<Case> {
    let scatter = |combine, unique| Scatter {
        combine,
        window_axes: vec![1],
        inserted: vec![0],
        start_map: vec![0],
        operand_batch: Vec::new(),
        index_batch: Vec::new(),
        unique,
    };
    let mut out = vec![
        case("take rows", &[&[4, 3]], &[(&[5], vec![1, 0, 3, 1, 9])], &|g, x| Ok(vec![nn::take(g, x[0], x[1], 0)?])),
        case("take columns", &[&[2, 4, 3]], &[(&[2, 2], vec![1, 0, 3, 1])], &|g, x| {
            Ok(vec![nn::take(g, x[0], x[1], 1)?])
        }),
        case("take along", &[&[2, 4]], &[(&[2, 3], vec![1, 0, 3, 1, -2, 2])], &|g, x| {
            Ok(vec![nn::take_along(g, x[0], x[1], 1)?])
        }),
        case("gather windows", &[&[5, 4]], &[(&[3, 2], vec![0, 1, 3, 3, 7, 0])], &|g, x| {
            let op = Gather {
                sizes: dims(&[2, 3]),
                offset_axes: vec![0, 2],
                collapsed: Vec::new(),
                start_map: vec![0, 1],
                operand_batch: Vec::new(),
                index_batch: Vec::new(),
            };
            Ok(vec![g.push(op, x)?])
        }),
    ];
    for (name, combine, unique, rows) in [
        ("scatter add", Combine::Add, false, vec![1, 0, 1]),
        ("scatter set", Combine::Set, false, vec![1, 0, 1]),
        ("scatter set unique", Combine::Set, true, vec![2, 0, 1]),
        ("scatter mul", Combine::Mul, true, vec![2, 0, 1]),
        ("scatter max", Combine::Max, false, vec![1, 0, 1]),
        ("scatter min", Combine::Min, false, vec![1, 9, 1]),
    ] {
        let op = scatter(combine, unique);
        out.push(case(name, &[&[4, 2], &[3, 2]], &[(&[3, 1], rows)], &move |g, x| {
            Ok(vec![g.push(op.clone(), &[x[0], x[2], x[1]])?])
        }));
    }
    out
}

fn body(name: &str, params: &[TensorTy], build: &Build) -> Arc<Graph> {
    let mut g = Graph::new(name);
    let ids: Vec<NodeId> = params
        .iter()
        .enumerate()
        .map(|(i, t)| g.param(&format!("p{i}"), t.clone(), ParamKind::Input, Loc::unknown()))
        .collect();
    let out = build(&mut g, &ids).unwrap();
    g.set_outputs(out);
    Arc::new(g)
}

fn f64s(shape: &[usize]) -> TensorTy {
    TensorTy::new(DType::F64, shape.iter().copied())
}

fn i32s() -> TensorTy {
    TensorTy::scalar(DType::I32)
}

/// Loops, choices and calls. `while` loops have no derivative and are tested apart.
pub fn control() -> Vec<Case> {
    // (h, n) -> (tanh(h * w) + n, n + round): a recurrent network with an integer beside it.
    let recurrent = body("recurrent", &[i32s(), f64s(&[2]), i32s(), f64s(&[2])], &|g, p| {
        let y = g.map(ScalarOp::Mul, &[p[1], p[3]])?;
        let y = g.map(ScalarOp::Tanh, &[y])?;
        let n = g.cast(p[2], DType::F64)?;
        let scale = g.scalar(0.125, DType::F64)?;
        let n = g.map(ScalarOp::Mul, &[n, scale])?;
        let y = g.map_broadcast(ScalarOp::Add, &[y, n])?;
        Ok(vec![y, g.map(ScalarOp::Add, &[p[2], p[0]])?])
    });
    let branches = vec![
        body("sine", &[f64s(&[3]), f64s(&[3])], &|g, p| {
            let s = g.map(ScalarOp::Sin, &[p[0]])?;
            Ok(vec![g.map(ScalarOp::Mul, &[s, p[1]])?, p[1]])
        }),
        body("sum", &[f64s(&[3]), f64s(&[3])], &|g, p| {
            Ok(vec![g.map(ScalarOp::Add, &[p[0], p[1]])?, g.map(ScalarOp::Exp, &[p[0]])?])
        }),
        body("first", &[f64s(&[3]), f64s(&[3])], &|_, p| Ok(vec![p[0], p[0]])),
    ];
    let mut out = Vec::new();
    for rounds in [0i64, 1, 4] {
        let recurrent = recurrent.clone();
        out.push(case(&format!("loop {rounds}"), &[&[2], &[2]], &[(&[], vec![3])], &move |g, x| {
            let op = Loop { kind: LoopKind::For(Dim::from(rounds)), body: recurrent.clone(), carried: 2 };
            let y = g.push(op, &[x[0], x[2], x[1]])?;
            Ok(vec![g.proj(y, 0)?, g.proj(y, 1)?])
        }));
    }
    for choice in [-1i64, 0, 1, 7] {
        let branches = branches.clone();
        out.push(case(&format!("cond {choice}"), &[&[3], &[3]], &[(&[], vec![choice])], &move |g, x| {
            let y = g.push(Cond { branches: branches.clone() }, &[x[2], x[0], x[1]])?;
            Ok(vec![g.proj(y, 0)?, g.proj(y, 1)?])
        }));
    }
    let two = branches[..2].to_vec();
    out.push(case("cond differing", &[&[3], &[3]], &[(&[3], vec![0, 1, 2])], &move |g, x| {
        // A choice that differs from example to example, by an index and by a bool.
        let c = g.slice_axis(x[2], 0, Dim::ZERO, Dim::ONE)?;
        let c = g.reshape(c, Vec::new())?;
        let y = g.push(Cond { branches: branches.clone() }, &[c, x[0], x[1]])?;
        let zero = g.scalar(0, DType::I32)?;
        let is = g.map(ScalarOp::Ne, &[c, zero])?;
        let z = g.push(Cond { branches: two.clone() }, &[is, x[0], x[1]])?;
        Ok(vec![g.proj(y, 0)?, g.proj(z, 1)?])
    }));
    out.push(case("loop of loops", &[&[2]], &[], &|g, x| {
        let inner = body("inner", &[i32s(), f64s(&[2])], &|g, p| Ok(vec![g.map(ScalarOp::Sin, &[p[1]])?]));
        let outer = body("outer", &[i32s(), f64s(&[2]), f64s(&[2])], &move |g, p| {
            let op = Loop { kind: LoopKind::For(Dim::from(2)), body: inner.clone(), carried: 1 };
            let y = g.push(op, &[p[1]])?;
            let y = g.proj(y, 0)?;
            Ok(vec![g.map(ScalarOp::Mul, &[y, p[2]])?])
        });
        let op = Loop { kind: LoopKind::For(Dim::from(3)), body: outer, carried: 1 };
        let y = g.push(op, &[x[0], x[0]])?;
        Ok(vec![g.proj(y, 0)?])
    }));
    out
}

/// Library functions.
pub fn functions() -> Vec<Case> {
    vec![
        one("softmax", &[2, 4], |g, x| nn::softmax(g, x, 1)),
        one("softmax front", &[3, 2], |g, x| nn::softmax(g, x, 0)),
        one("log_softmax", &[2, 4], |g, x| nn::log_softmax(g, x, 1)),
        case("rms_norm", &[&[2, 4], &[4]], &[], &|g, x| Ok(vec![nn::rms_norm(g, x[0], x[1], 1e-5)?])),
        case("layer_norm", &[&[2, 4], &[4], &[4]], &[], &|g, x| Ok(vec![nn::layer_norm(g, x[0], x[1], x[2], 1e-5)?])),
        case("group_norm", &[&[2, 4, 3], &[4], &[4]], &[], &|g, x| {
            Ok(vec![nn::group_norm(g, x[0], x[1], x[2], 2, 1e-5)?])
        }),
        case("linear", &[&[2, 3], &[3, 4], &[4]], &[], &|g, x| Ok(vec![nn::linear(g, x[0], x[1], Some(x[2]))?])),
        case("swiglu", &[&[2, 3], &[2, 3]], &[], &|g, x| Ok(vec![nn::swiglu(g, x[0], x[1])?])),
        case("rope", &[&[2, 3, 4], &[3, 2], &[3, 2]], &[], &|g, x| {
            Ok(vec![nn::rope(g, x[0], x[1], x[2])?, nn::rope_interleaved(g, x[0], x[1], x[2])?])
        }),
        case("attention", &[&[2, 3, 4], &[2, 5, 4], &[2, 5, 2]], &[], &|g, x| {
            Ok(vec![nn::attention(g, x[0], x[1], x[2], None, 0.5, Some(Dim::from(1)))?])
        }),
        case("grouped attention", &[&[3, 4, 2], &[3, 2, 2], &[3, 2, 3]], &[], &|g, x| {
            Ok(vec![nn::grouped_attention(g, x[0], x[1], x[2], 0.7, Some(Dim::ZERO))?])
        }),
        case("cross_entropy", &[&[3, 4]], &[(&[3], vec![1, 3, -1])], &|g, x| {
            Ok(vec![nn::cross_entropy(g, x[0], x[1])?])
        }),
        case("conv2d", &[&[1, 2, 5, 4], &[2, 2, 3, 2], &[2]], &[], &|g, x| {
            let how = nn::Conv2d { stride: [2, 1], padding: [(1, 1), (0, 1)], dilation: [1, 2], groups: 1 };
            Ok(vec![nn::conv2d(g, x[0], x[1], Some(x[2]), &how)?])
        }),
        case("conv2d grouped", &[&[1, 4, 3, 3], &[2, 2, 2, 2]], &[], &|g, x| {
            let how = nn::Conv2d { groups: 2, ..nn::Conv2d::default() };
            Ok(vec![nn::conv2d(g, x[0], x[1], None, &how)?])
        }),
        one("pools", &[1, 2, 4, 4], |g, x| {
            let a = nn::max_pool2d(g, x, [2, 2], [2, 2], [(0, 0); 2])?;
            let b = nn::avg_pool2d(g, x, [3, 3], [2, 2], [(1, 0); 2], false)?;
            g.map(ScalarOp::Add, &[a, b])
        }),
        one("cumsum", &[2, 4], |g, x| nn::cumsum(g, x, 1)),
        case("top_k", &[&[2, 5]], &[], &|g, x| {
            let (v, i) = nn::top_k(g, x[0], Dim::from(2))?;
            Ok(vec![v, i])
        }),
    ]
}

/// Every scalar operation with a derivative, at points inside its domain and away from its corners.
pub fn scalars() -> Vec<Case> {
    let mut out = Vec::new();
    for op in ScalarOp::ALL {
        let n = op.arity();
        let args: Vec<DType> = match op {
            ScalarOp::Select => vec![DType::Bool, DType::F64, DType::F64],
            _ => vec![DType::F64; n],
        };
        if ScalarOp::infer(*op, &args) != Ok(DType::F64) {
            continue;
        }
        let op = *op;
        let shapes: Vec<&[usize]> = vec![&[4]; n.max(1)];
        out.push(case(op.name(), &shapes, &[], &move |g, x| {
            let mut x = x.to_vec();
            // Squeeze the operands, which lie in -1.4..1.4, into the operation's domain.
            let squeeze = |g: &mut Graph, x: NodeId, scale: f64, shift: f64| -> Result<NodeId> {
                let ty = g.tensor(x)?.clone();
                let (a, b) = (g.splat(scale, ty.clone())?, g.splat(shift, ty)?);
                let y = g.map(ScalarOp::Mul, &[x, a])?;
                g.map(ScalarOp::Add, &[y, b])
            };
            match op {
                ScalarOp::Sqrt
                | ScalarOp::Log
                | ScalarOp::Log2
                | ScalarOp::Log10
                | ScalarOp::Rsqrt
                | ScalarOp::Recip
                | ScalarOp::Log1p
                | ScalarOp::Cbrt
                | ScalarOp::Pow => x[0] = squeeze(g, x[0], 0.4, 1.0)?,
                ScalarOp::Asin | ScalarOp::Acos | ScalarOp::Atanh => x[0] = squeeze(g, x[0], 0.5, 0.0)?,
                ScalarOp::Acosh => x[0] = squeeze(g, x[0], 0.4, 2.0)?,
                ScalarOp::Div | ScalarOp::Rem | ScalarOp::FloorMod | ScalarOp::FloorDiv => {
                    x[1] = squeeze(g, x[1], 0.3, 2.0)?;
                }
                ScalarOp::Clamp => {
                    x[1] = squeeze(g, x[1], 0.1, -0.5)?;
                    x[2] = squeeze(g, x[2], 0.1, 0.5)?;
                }
                ScalarOp::Select => {
                    let zero = g.splat(0.0, TensorTy::new(DType::F64, [4]))?;
                    x[0] = g.map(ScalarOp::Lt, &[x[0], zero])?;
                }
                _ => {}
            }
            Ok(vec![g.map(op, &x)?])
        }));
    }
    out
}

pub fn all() -> Vec<Case> {
    [structural(), folds(), custom_folds(), indexed(), control(), functions(), scalars()]
        .into_iter()
        .flatten()
        .collect()
}
