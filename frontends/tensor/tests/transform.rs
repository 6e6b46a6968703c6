//! `jit`, `grad`, `vmap`, `jvp`, and what they do to each other.
#![allow(clippy::unwrap_used)]

use girih::prelude::*;
use std::cell::Cell;
use std::rc::Rc;

fn t(values: &[f32]) -> Tensor {
    Tensor::new(values, [values.len()])
}

#[track_caller]
fn is(got: &Tensor, want: &[f32]) {
    let got = got.to_vec::<f32>().unwrap();
    let close = got.len() == want.len() && got.iter().zip(want).all(|(g, w)| (g - w).abs() <= 1e-5 * (1.0 + w.abs()));
    assert!(close, "{got:?} is not {want:?}");
}

fn cubes(x: &Tensor) -> Tensor {
    (x * x * x).sum(..)
}

#[derive(Clone, Tree)]
struct Affine {
    w: Tensor,
    b: Option<Tensor>,
    #[tree(fixed)]
    factor: f64,
}

#[test]
fn jit_traces_once_for_each_structure_and_type() {
    let runs = Rc::new(Cell::new(0));
    let seen = runs.clone();
    let f = jit(move |p: &Affine, x: &Tensor| {
        seen.set(seen.get() + 1);
        let y = x * &p.w * p.factor;
        p.b.as_ref().map_or(y.clone(), |b| y + b)
    });
    let mut p = Affine { w: t(&[2.0]), b: None, factor: 3.0 };
    is(&f(&p, &t(&[1.0, 2.0])), &[6.0, 12.0]);
    is(&f(&p, &t(&[5.0, 6.0])), &[30.0, 36.0]);
    assert_eq!(runs.get(), 1);
    is(&f(&p, &t(&[1.0])), &[6.0]);
    p.b = Some(t(&[1.0]));
    is(&f(&p, &t(&[1.0])), &[7.0]);
    p.factor = 10.0;
    is(&f(&p, &t(&[1.0])), &[21.0]);
    assert_eq!(runs.get(), 4);
    is(&f(&p, &t(&[2.0])), &[41.0]);
    assert_eq!(runs.get(), 4);
}

#[test]
fn jit_keeps_what_it_captured_and_gives_trees() {
    let scale = t(&[10.0]).named("scale");
    let f = jit(move |x: &Tensor| (x * &scale, vec![x.sum(..), Tensor::ones(DType::F32, [1])]));
    let (y, rest) = f(&t(&[1.0, 2.0]));
    is(&y, &[10.0, 20.0]);
    is(&rest[0], &[3.0]);
    is(&rest[1], &[1.0]);
}

#[test]
fn a_jit_inside_a_jit_is_one_shared_body() {
    let layer = jit(|x: &Tensor, w: &Tensor| x.matmul(w).tanh());
    let model = move |x: &Tensor, w: &Tensor| (0..3).fold(x.clone(), |x, _| layer(&x, w));
    let args = (Tensor::ones(DType::F32, [2, 4]), Tensor::full(0.1, DType::F32, [4, 4]));
    let graph = girih::trace_graph(&model, &args).unwrap();
    let callees: Vec<*const girih::graph::Callee> = graph
        .ids()
        .filter_map(|id| match graph.op(id) {
            girih::graph::Op::Call(call) => Some(std::sync::Arc::as_ptr(&call.callee)),
            _ => None,
        })
        .collect();
    assert_eq!(callees.len(), 3);
    assert!(callees.iter().all(|c| *c == callees[0]));
    let eager = (0..3).fold(args.0.clone(), |x, _| x.matmul(&args.1).tanh());
    is(&jit(model)(&args.0, &args.1), &eager.to_vec::<f32>().unwrap());
}

#[test]
fn library_functions_called_twice_share_their_body() {
    let f = |x: &Tensor| nn::softmax(&nn::softmax(x, -1), -1);
    let graph = girih::trace_graph(&f, &(Tensor::ones(DType::F32, [2, 4]),)).unwrap();
    let callees: Vec<_> = graph
        .ids()
        .filter_map(|id| match graph.op(id) {
            girih::graph::Op::Call(call) => Some(std::sync::Arc::as_ptr(&call.callee)),
            _ => None,
        })
        .collect();
    assert!(callees.len() == 2 && callees[0] == callees[1]);
}

#[test]
fn parameters_of_a_graph_are_named_after_their_paths() {
    let f = |p: &Affine, x: &Tensor| x * &p.w;
    let args = (Affine { w: t(&[1.0]), b: Some(t(&[1.0])), factor: 1.0 }, t(&[1.0]).named("images"));
    let graph = girih::trace_graph(&f, &args).unwrap();
    let names: Vec<_> = graph.params().iter().map(|p| graph.node(*p).name.clone().unwrap()).collect();
    assert_eq!(names.iter().map(|n| &**n).collect::<Vec<_>>(), ["arg0.w", "arg0.b", "images"]);
}

#[test]
fn grad_of_a_struct_is_a_struct() {
    let loss = |p: &Affine, x: &Tensor| ((x * &p.w + p.b.as_ref().unwrap()) * p.factor).square().sum(..);
    let p = Affine { w: t(&[2.0]), b: Some(t(&[1.0])), factor: 1.0 };
    let (value, g) = value_and_grad(loss)(&p, &t(&[1.0, 2.0]));
    is(&value, &[34.0]);
    is(&g.w, &[26.0]);
    is(g.b.as_ref().unwrap(), &[16.0]);
    let loss_with = move |p: &Affine, x: &Tensor| (loss(p, x), x.sum(..));
    let ((value, more), g) = value_and_grad_with(loss_with)(&p, &t(&[1.0, 2.0]));
    is(&value, &[34.0]);
    is(&more, &[3.0]);
    is(&g.w, &[26.0]);
}

#[test]
fn transformations_compose_in_any_order() {
    let x = t(&[1.0, 2.0, -3.0]);
    let d = [3.0, 12.0, 27.0];
    let dd = [6.0, 12.0, -18.0];
    is(&grad(cubes)(&x), &d);
    is(&jit(grad(cubes))(&x), &d);
    is(&grad(jit(cubes))(&x), &d);
    let slope = grad(cubes);
    let twice = grad(move |x: &Tensor| slope(x).sum(..));
    is(&jit(twice)(&x), &dd);
    let slope = jit(grad(jit(cubes)));
    is(&jvp(slope)(&(x.clone(),), &(x.ones_like(),)).1, &dd);
}

#[test]
fn an_inner_derivative_sees_the_outer_argument_as_a_constant() {
    // d/dx [x * d/dy (x + y)] = 1, the example of Siskind and Pearlmutter's perturbation confusion.
    let f = |x: &Tensor| {
        let outer = x.clone();
        x * grad(move |y: &Tensor| &outer + y)(&Tensor::scalar(1.0, DType::F32))
    };
    is(&grad(f)(&Tensor::scalar(1.0, DType::F32)), &[1.0]);
    // The same with a use of the outer argument inside: d/dx [d/dy (x^2 y)] = 2 x.
    let f = |x: &Tensor| {
        let outer = x.square();
        grad(jit(move |y: &Tensor| &outer * y))(&Tensor::scalar(5.0, DType::F32))
    };
    is(&grad(f)(&Tensor::scalar(3.0, DType::F32)), &[6.0]);
}

#[test]
fn stop_gradient_and_integers_have_no_derivative() {
    let f = |x: &Tensor| (x * x.stop_gradient()).sum(..);
    is(&grad(f)(&t(&[3.0, 4.0])), &[3.0, 4.0]);
    let f = |x: &Tensor, rows: &Tensor| x.take(rows, 0).sum(..);
    is(&grad(f)(&t(&[3.0, 4.0]), &Tensor::new(&[1i32, 1], [2])), &[0.0, 2.0]);
}

#[test]
fn a_refused_argument_refuses_the_result_of_every_transformation() {
    let why = |t: &Tensor| t.data().unwrap_err().to_string();
    let bad = Tensor::new(&[1f32], [2]);
    assert!(why(&jit(|x: &Tensor| x + 1.0)(&bad)).contains("T001"));
    assert!(why(&grad(|x: &Tensor| x.sum(..))(&bad)).contains("T001"));
    assert!(why(&grad(|x: &Tensor| x.sum(..))(&Tensor::ones(DType::I32, [2]))).contains("no derivative"));
    assert!(why(&grad(|x: &Tensor| x.clone())(&Tensor::ones(DType::F32, [2]))).contains("scalar"));
}

#[test]
fn vmap_composes_with_grad_and_jit() {
    let x = Tensor::new(&[1f32, 2.0, 3.0, -1.0], [2, 2]);
    let slopes = [3.0, 12.0, 27.0, 3.0];
    is(&vmap(cubes)(&x), &[9.0, 26.0]);
    is(&vmap(grad(cubes))(&x), &slopes);
    is(&jit(vmap(grad(jit(cubes))))(&x), &slopes);
    let each = vmap(cubes);
    is(&grad(move |x: &Tensor| each(x).sum(..))(&x), &slopes);
    let columns = vmap_over(cubes, &[Some(1)]);
    is(&columns(&x), &[28.0, 7.0]);
}

#[test]
fn a_hessian_is_forward_over_reverse_over_a_batch_of_directions() {
    // f(x, y) = x^2 y: the Hessian is [[2 y, 2 x], [2 x, 0]].
    let f = |p: &Tensor| p.slice(0, 0, 1).square().sum(..) * p.slice(0, 1, 2).sum(..);
    let hessian = move |p: &Tensor| {
        let p = p.clone();
        let push = jvp(grad(f));
        let rows = vmap(move |direction: &Tensor| push(&(p.clone(),), &(direction.clone(),)).1);
        rows(&Tensor::new(&[1f32, 0.0, 0.0, 1.0], [2, 2]))
    };
    is(&hessian(&t(&[3.0, 5.0])), &[10.0, 6.0, 6.0, 0.0]);
    is(&jit(hessian)(&t(&[3.0, 5.0])), &[10.0, 6.0, 6.0, 0.0]);
}

#[test]
fn vmap_refuses_what_is_no_batch() {
    let why = |t: &Tensor| t.data().unwrap_err().to_string();
    let add = vmap(|a: &Tensor, b: &Tensor| a + b);
    let text = why(&add(&Tensor::ones(DType::F32, [2]).named("left"), &Tensor::ones(DType::F32, [3]).named("right")));
    assert!(text.contains("batches of 2 and 3") && text.contains("`left`") && text.contains("`right`"), "{text}");
    assert!(why(&add(&Tensor::ones(DType::F32, [2]), &Tensor::scalar(1.0, DType::F32))).contains("no axis 0"));
    let none = vmap_over(|a: &Tensor| a + 1.0, &[None]);
    assert!(why(&none(&Tensor::ones(DType::F32, [2]))).contains("no argument is batched"));
    let few = vmap_over(|a: &Tensor, b: &Tensor| a + b, &[Some(0)]);
    assert!(why(&few(&t(&[1.0]), &t(&[1.0]))).contains("1 batch axes for 2 arguments"));
}
