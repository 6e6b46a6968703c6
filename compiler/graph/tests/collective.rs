//! Exchanges between replicas: hand formulas, gradients, and the two ways to give them a meaning against each other.
#![allow(clippy::unwrap_used, clippy::panic)]

use girih_base::{Bindings, DType, Dim, Loc, ScalarOp};
use girih_graph::batch::{vmap, vmap_named};
use girih_graph::eval::{Array, Value};
use girih_graph::ops::{Call, Collective, CollectiveKind, Cond, Loop, LoopKind};
use girih_graph::{Callee, Graph, Monoid, NodeId, ParamKind, TensorTy, grad};
use std::sync::Arc;

const N: usize = 4;

fn noise(seed: u64, shape: &[usize]) -> Array {
    let n: usize = shape.iter().product();
    let at = |i: usize| ((seed * 131 + i as u64 * 37 + 11) % 97) as f64 / 40.0 - 1.2;
    Array::from_f64(DType::F64, shape, (0..n).map(at))
}

fn program(shape: &[usize], build: impl FnOnce(&mut Graph, NodeId) -> NodeId) -> Graph {
    let mut g = Graph::new("program");
    let x = g.param("x", TensorTy::new(DType::F64, shape.iter().copied()), ParamKind::Input, Loc::unknown());
    let y = build(&mut g, x);
    g.set_outputs(vec![y]);
    g.verify().unwrap();
    g
}

fn exchange(shape: &[usize], c: Collective) -> Graph {
    program(shape, |g, x| g.push(c, &[x]).unwrap())
}

/// The outputs of all replicas along `i`, one array per replica.
fn replicas(g: &Graph, inputs: &[Array]) -> Vec<Array> {
    let inputs: Vec<Vec<Value>> = inputs.iter().map(|x| vec![x.clone().into()]).collect();
    let out = g.eval_replicas(&[("i", inputs.len())], &inputs, &Bindings::new()).unwrap();
    out.iter().map(|o| o[0].array().unwrap().clone()).collect()
}

fn stack(parts: &[Array]) -> Array {
    let shape: Vec<usize> = std::iter::once(parts.len()).chain(parts[0].shape.iter().copied()).collect();
    Array::from_f64(parts[0].dtype, &shape, parts.iter().flat_map(|p| p.to_f64()))
}

fn run(g: &Graph, inputs: Vec<Array>) -> Vec<Array> {
    g.verify().unwrap();
    let inputs: Vec<Value> = inputs.into_iter().map(Value::from).collect();
    g.eval(&inputs, &Bindings::new()).unwrap().iter().map(|v| v.array().unwrap().clone()).collect()
}

fn close(got: &Array, want: &Array, what: &str) {
    assert_eq!(got.shape, want.shape, "{what}");
    for (i, (g, w)) in got.to_f64().iter().zip(want.to_f64()).enumerate() {
        assert!((g - w).abs() <= 1e-9 * (1.0 + w.abs()), "{what}: element {i} is {g}, want {w}");
    }
}

/// Every kind, with and without groups.
fn kinds() -> Vec<Collective> {
    let groups = vec![vec![2, 0], vec![1, 3]];
    let all_to_all = |split, concat| CollectiveKind::AllToAll { split, concat };
    let mut out = Vec::new();
    for kind in [
        CollectiveKind::AllReduce(Monoid::Sum),
        CollectiveKind::AllReduce(Monoid::Prod),
        CollectiveKind::AllReduce(Monoid::Max),
        CollectiveKind::AllReduce(Monoid::Min),
        CollectiveKind::AllGather(0),
        CollectiveKind::AllGather(1),
        CollectiveKind::ReduceScatter(0),
        CollectiveKind::ReduceScatter(2),
        all_to_all(0, 1),
        all_to_all(2, 0),
        all_to_all(0, 0),
        all_to_all(2, 1),
    ] {
        out.push(Collective::new(kind.clone(), "i", N));
        out.push(Collective::new(kind, "i", N).within(groups.clone()));
    }
    for pairs in [vec![(0, 1), (1, 2), (2, 3), (3, 0)], vec![(3, 0), (0, 2)], vec![]] {
        out.push(Collective::new(CollectiveKind::Permute(pairs), "i", N));
    }
    out
}

const SHAPE: [usize; 3] = [4, 3, 8];

fn inputs() -> Vec<Array> {
    (0..N as u64).map(|r| noise(r + 1, &SHAPE)).collect()
}

#[test]
fn hand_formulas() {
    let ints = |v: &[i64]| Array::from_ints(DType::I32, &[v.len()], v.iter().map(|i| *i as i128));
    let given = [ints(&[1, 2, 3, 4]), ints(&[10, 20, 30, 40]), ints(&[5, 6, 7, 8]), ints(&[-1, i32::MAX as i64, 0, 9])];
    let check = |c: Collective, want: [Vec<i64>; 4]| {
        let mut g = Graph::new("ints");
        let x = g.param("x", TensorTy::new(DType::I32, [4]), ParamKind::Input, Loc::unknown());
        let y = g.push(c.clone(), &[x]).unwrap();
        g.set_outputs(vec![y]);
        let got: Vec<Vec<i64>> =
            replicas(&g, &given).iter().map(|a| (0..a.len()).map(|i| a.int(i) as i64).collect()).collect();
        assert_eq!(got, want, "{c:?}");
    };
    let all = |kind| Collective::new(kind, "i", 4);
    let pairs = vec![vec![2, 0], vec![1, 3]];
    let wrapped = i32::MIN as i64 + 27;
    check(all(CollectiveKind::AllReduce(Monoid::Sum)), [(); 4].map(|_| vec![15, wrapped, 40, 61]));
    check(all(CollectiveKind::AllReduce(Monoid::Min)), [(); 4].map(|_| vec![-1, 2, 0, 4]));
    check(
        all(CollectiveKind::AllReduce(Monoid::Prod)).within(vec![vec![0, 2], vec![1, 3]]),
        [vec![5, 12, 21, 32], vec![-10, -20, 0, 360], vec![5, 12, 21, 32], vec![-10, -20, 0, 360]],
    );
    check(all(CollectiveKind::ReduceScatter(0)), [vec![15], vec![wrapped], vec![40], vec![61]]);
    // The first group is [2, 0]: replica 2 is its first member.
    check(
        all(CollectiveKind::AllGather(0)).within(pairs.clone()),
        [
            vec![5, 6, 7, 8, 1, 2, 3, 4],
            vec![10, 20, 30, 40, -1, i32::MAX as i64, 0, 9],
            vec![5, 6, 7, 8, 1, 2, 3, 4],
            vec![10, 20, 30, 40, -1, i32::MAX as i64, 0, 9],
        ],
    );
    check(
        all(CollectiveKind::AllToAll { split: 0, concat: 0 }),
        [vec![1, 10, 5, -1], vec![2, 20, 6, i32::MAX as i64], vec![3, 30, 7, 0], vec![4, 40, 8, 9]],
    );
    check(
        all(CollectiveKind::AllToAll { split: 0, concat: 0 }).within(pairs),
        [vec![7, 8, 3, 4], vec![10, 20, -1, i32::MAX as i64], vec![5, 6, 1, 2], vec![30, 40, 0, 9]],
    );
    check(
        all(CollectiveKind::Permute(vec![(0, 3), (1, 0)])),
        [vec![10, 20, 30, 40], vec![0; 4], vec![0; 4], vec![1, 2, 3, 4]],
    );
}

#[test]
fn named_vmap_agrees_with_replicas() {
    for c in kinds() {
        let g = exchange(&SHAPE, c.clone());
        let mapped = vmap_named(&g, &[Some(0)], N, "i").unwrap();
        assert!(!mapped.to_string().contains("collective"), "{c:?}");
        close(&run(&mapped, vec![stack(&inputs())])[0], &stack(&replicas(&g, &inputs())), &format!("{c:?}"));
        // A value that all replicas share.
        let same = vec![inputs()[1].clone(); N];
        let shared = vmap_named(&g, &[None], N, "i").unwrap();
        close(&run(&shared, vec![inputs()[1].clone()])[0], &stack(&replicas(&g, &same)), &format!("shared {c:?}"));
    }
}

/// Exchanges under a second, unnamed batch act on each example.
#[test]
fn other_batches_keep_the_exchange() {
    for c in kinds() {
        let g = exchange(&SHAPE, c.clone());
        let examples = vmap(&g, &[Some(0)], 2).unwrap();
        let pairs: Vec<Array> = inputs().iter().map(|x| stack(&[x.clone(), noise(9, &SHAPE)])).collect();
        let got = replicas(&examples, &pairs);
        let (first, second) = (replicas(&g, &inputs()), replicas(&g, &vec![noise(9, &SHAPE); N]));
        for (r, got) in got.iter().enumerate() {
            close(got, &stack(&[first[r].clone(), second[r].clone()]), &format!("{c:?}"));
        }
    }
}

/// The vector-Jacobian product of all replicas is that of the function of all their operands: differentiating the
/// program and then mapping it gives what mapping it and then differentiating gives, and both what differences give.
#[test]
fn derivatives_are_those_of_the_whole_program() {
    for c in kinds() {
        let what = format!("{c:?}");
        let g = exchange(&SHAPE, c);
        let mapped = vmap_named(&g, &[Some(0)], N, "i").unwrap();
        let x = stack(&inputs());
        let y = run(&mapped, vec![x.clone()]).remove(0);
        let ct = noise(77, &y.shape);
        let want = run(&grad::vjp(&mapped, &[0]).unwrap(), vec![x.clone(), ct.clone()]).remove(0);

        let back = grad::vjp(&g, &[0]).unwrap();
        let got = run(&vmap_named(&back, &[Some(0), Some(0)], N, "i").unwrap(), vec![x.clone(), ct.clone()]).remove(0);
        close(&got, &want, &what);
        let row = |a: &Array, r: usize| {
            let n = a.len() / N;
            Array::from_f64(DType::F64, &a.shape[1..], a.to_f64()[r * n..(r + 1) * n].to_vec())
        };
        let each: Vec<Vec<Value>> = (0..N).map(|r| vec![row(&x, r).into(), row(&ct, r).into()]).collect();
        let together = back.eval_replicas(&[("i", N)], &each, &Bindings::new()).unwrap();
        let together: Vec<Array> = together.iter().map(|v| v[0].array().unwrap().clone()).collect();
        close(&stack(&together), &want, &what);

        for i in (0..x.len()).step_by(29) {
            let loss = |by: f64| {
                let mut v = x.to_f64();
                v[i] += by;
                let y = run(&mapped, vec![Array::from_f64(DType::F64, &x.shape, v)]).remove(0);
                y.to_f64().iter().zip(ct.to_f64()).map(|(y, c)| y * c).sum::<f64>()
            };
            let d = (loss(1e-5) - loss(-1e-5)) / 2e-5;
            assert!(
                (d - want.f64(i)).abs() < 1e-5 * (1.0 + d.abs()),
                "{what}: element {i} is {}, want {d}",
                want.f64(i)
            );
        }

        // Forward mode is the transpose of the transpose.
        let v = noise(55, &x.shape);
        let forward = vmap_named(&grad::jvp(&g, &[0]).unwrap(), &[Some(0), Some(0)], N, "i").unwrap();
        let tangent = run(&forward, vec![x.clone(), v.clone()]).remove(1);
        let dot = |a: &Array, b: &Array| a.to_f64().iter().zip(b.to_f64()).map(|(a, b)| a * b).sum::<f64>();
        assert!((dot(&tangent, &ct) - dot(&v, &want)).abs() < 1e-8, "{what}");
    }
}

/// Half of the batch on each of two replicas, gradients averaged by an exchange: the gradient of one device.
#[test]
fn data_parallel_gradients() {
    let loss = |rows: usize| {
        let mut g = Graph::new("loss");
        let w = g.param("w", TensorTy::new(DType::F64, [3]), ParamKind::Weight, Loc::unknown());
        let x = g.param("x", TensorTy::new(DType::F64, [rows, 3]), ParamKind::Input, Loc::unknown());
        let y = g.dot(x, w, &[], &[(1, 0)]).unwrap();
        let y = g.map(ScalarOp::Tanh, &[y]).unwrap();
        let y = g.map(ScalarOp::Square, &[y]).unwrap();
        let sum = g.reduce(Monoid::Sum, y, &[0]).unwrap();
        let count = g.scalar(rows as f64, DType::F64).unwrap();
        let mean = g.map(ScalarOp::Div, &[sum, count]).unwrap();
        g.set_outputs(vec![mean]);
        g
    };
    let (w, x) = (noise(5, &[3]), noise(6, &[8, 3]));
    let want = run(&grad::grad(&loss(8), &[0]).unwrap(), vec![w.clone(), x.clone()]).remove(0);

    // The step of one replica: its own gradient, then the mean over replicas.
    let mut step = grad::grad(&loss(4), &[0]).unwrap();
    let own = step.outputs()[0];
    let psum = Collective::new(CollectiveKind::AllReduce(Monoid::Sum), "data", 2);
    let sum = step.push(psum.clone(), &[own]).unwrap();
    let two = step.splat(2.0, TensorTy::new(DType::F64, [3])).unwrap();
    let mean = step.map(ScalarOp::Div, &[sum, two]).unwrap();
    step.set_outputs(vec![mean]);
    let half = |r: usize| Array::from_f64(DType::F64, &[4, 3], x.to_f64()[r * 12..(r + 1) * 12].to_vec());
    let each: Vec<Vec<Value>> = (0..2).map(|r| vec![w.clone().into(), half(r).into()]).collect();
    for replica in step.eval_replicas(&[("data", 2)], &each, &Bindings::new()).unwrap() {
        close(replica[0].array().unwrap(), &want, "data parallel");
    }

    // The same with the mean inside the loss: the gradient is of the sum of both replicas' (equal) losses.
    let mut whole = loss(4);
    let own = whole.outputs()[0];
    let sum = whole.push(psum, &[own]).unwrap();
    let two = whole.scalar(2.0, DType::F64).unwrap();
    let mean = whole.map(ScalarOp::Div, &[sum, two]).unwrap();
    whole.set_outputs(vec![mean]);
    let back = grad::grad(&whole, &[0]).unwrap();
    let parts = back.eval_replicas(&[("data", 2)], &each, &Bindings::new()).unwrap();
    let total: Vec<f64> =
        (0..3).map(|i| parts.iter().map(|p| p[0].array().unwrap().f64(i)).sum::<f64>() / 2.0).collect();
    close(&Array::from_f64(DType::F64, &[3], total), &want, "mean inside");
}

/// Calls, loops and branches with exchanges inside, on a mesh of two axes.
#[test]
fn bodies_and_meshes() {
    let ty = TensorTy::new(DType::F64, [2]);
    let body = |over: &str, size: usize, first: bool| {
        let mut g = Graph::new("body");
        if first {
            g.param("round", TensorTy::scalar(DType::I32), ParamKind::Input, Loc::unknown());
        }
        let x = g.param("x", ty.clone(), ParamKind::Input, Loc::unknown());
        let y = g.push(Collective::new(CollectiveKind::AllReduce(Monoid::Sum), over, size), &[x]).unwrap();
        let half = g.splat(0.25, ty.clone()).unwrap();
        let y = g.map(ScalarOp::Mul, &[y, half]).unwrap();
        g.set_outputs(vec![y]);
        g
    };
    let g = program(&[2], |g, x| {
        let callee = Arc::new(Callee { name: "step".into(), attrs: Vec::new(), body: body("a", 2, false) });
        let y = g.push(Call { callee }, &[x]).unwrap();
        let kind = LoopKind::For(Dim::from(3));
        let y = g.push(Loop { kind, body: Arc::new(body("b", 3, true)), carried: 1 }, &[y]).unwrap();
        let y = g.proj(y, 0).unwrap();
        let yes = g.scalar(1, DType::Bool).unwrap();
        let branches = vec![Arc::new(body("a", 2, false)), Arc::new(body("b", 3, false))];
        let y = g.push(Cond { branches }, &[yes, y]).unwrap();
        g.proj(y, 0).unwrap()
    });
    assert_eq!(g.to_string().parse::<Graph>().unwrap().to_string(), g.to_string());
    let all: Vec<Array> = (0..6).map(|r| noise(r + 1, &[2])).collect();
    let each: Vec<Vec<Value>> = all.iter().map(|x| vec![x.clone().into()]).collect();
    let got = g.eval_replicas(&[("a", 2), ("b", 3)], &each, &Bindings::new()).unwrap();
    // Everything is summed over `a`, then over `b` four times (each time of three equal sums after the first).
    let total = |i: usize| all.iter().map(|x| x.f64(i)).sum::<f64>() * 0.25f64.powi(5) * 27.0;
    for replica in &got {
        close(replica[0].array().unwrap(), &Array::from_f64(DType::F64, &[2], [total(0), total(1)]), "mesh");
    }
    let inner = vmap_named(&g, &[Some(0)], 3, "b").unwrap();
    let both = vmap_named(&inner, &[Some(0)], 2, "a").unwrap();
    let x = Array::from_f64(DType::F64, &[2, 3, 2], all.iter().flat_map(|x| x.to_f64()));
    let stacked = run(&both, vec![x]).remove(0);
    let want = Array::from_f64(DType::F64, &[2, 3, 2], (0..6).flat_map(|_| [total(0), total(1)]));
    close(&stacked, &want, "nested vmap");
}

#[test]
fn text_round_trips() {
    for c in kinds() {
        let g = exchange(&SHAPE, c);
        let text = g.to_string();
        let again: Graph = text.parse().unwrap_or_else(|e| panic!("{e}\n{text}"));
        assert_eq!(again.to_string(), text);
        again.verify().unwrap();
    }
}

#[test]
fn what_is_refused() {
    let mut g = Graph::new("refused");
    let x = g.param("x", TensorTy::new(DType::F64, [6]), ParamKind::Input, Loc::unknown());
    let flags = g.param("flags", TensorTy::new(DType::Bool, [6]), ParamKind::Input, Loc::unknown());
    let mut refused = |c: Collective, x, why: &str| {
        let e = g.push(c, &[x]).unwrap_err();
        assert!(e.message.contains(why), "{e}");
    };
    let new = |kind| Collective::new(kind, "i", 4);
    let sum = CollectiveKind::AllReduce(Monoid::Sum);
    refused(new(sum.clone()), flags, "cannot fold bool");
    refused(new(CollectiveKind::AllReduce(Monoid::ArgMax)), x, "argmax");
    refused(new(CollectiveKind::ReduceScatter(0)), x, "does not split");
    refused(new(CollectiveKind::AllGather(1)), x, "does not exist");
    refused(new(CollectiveKind::Permute(vec![(0, 1), (2, 1)])), x, "different positions");
    refused(new(CollectiveKind::Permute(vec![(0, 4)])), x, "different positions");
    refused(new(sum.clone()).within(vec![vec![0, 1], vec![2]]), x, "equally large");
    refused(new(sum.clone()).within(vec![vec![0, 1], vec![1, 2]]), x, "equally large");
    refused(Collective::new(sum.clone(), "i", 0), x, "no replicas");

    // One replica alone, a mesh without the axis, and another number of examples.
    let g = exchange(&[6], new(sum.clone()));
    let one = vec![Value::from(noise(1, &[6]))];
    assert_eq!(g.eval(&one, &Bindings::new()).unwrap_err().code, "G208");
    let two = [one.clone(), one.clone()];
    assert_eq!(g.eval_replicas(&[("i", 2)], &two, &Bindings::new()).unwrap_err().code, "G208");
    assert_eq!(g.eval_replicas(&[("i", 4)], &two, &Bindings::new()).unwrap_err().code, "G202");
    assert_eq!(vmap_named(&g, &[Some(0)], 3, "i").unwrap_err().code, "G022");
    let alone = exchange(&[6], Collective::new(sum.clone(), "i", 1));
    assert_eq!(alone.eval(&one, &Bindings::new()).unwrap(), one);

    // Replicas that choose differently do not meet.
    let mut g = Graph::new("diverging");
    let choice = g.param("choice", TensorTy::scalar(DType::Bool), ParamKind::Input, Loc::unknown());
    let x = g.param("x", TensorTy::new(DType::F64, [2]), ParamKind::Input, Loc::unknown());
    let plain = program(&[2], |_, x| x);
    let branches = vec![Arc::new(plain), Arc::new(exchange(&[2], Collective::new(sum, "i", 2)))];
    let y = g.push(Cond { branches }, &[choice, x]).unwrap();
    let y = g.proj(y, 0).unwrap();
    g.set_outputs(vec![y]);
    let inputs = |c: i128| vec![Array::from_ints(DType::Bool, &[], [c]).into(), noise(1, &[2]).into()];
    let apart = [inputs(0), inputs(1)];
    assert_eq!(g.eval_replicas(&[("i", 2)], &apart, &Bindings::new()).unwrap_err().code, "G209");
    assert!(g.eval_replicas(&[("i", 2)], &[inputs(1), inputs(1)], &Bindings::new()).is_ok());
    assert_eq!(vmap_named(&g, &[Some(0), Some(0)], 2, "i").unwrap_err().code, "G022");
    assert!(vmap_named(&g, &[None, Some(0)], 2, "i").is_ok());
}
