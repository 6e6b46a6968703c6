//! Reshape, Permute, Broadcast, Slice, Pad, Reverse, Window, Concat, DynSlice, DynUpdate.

use super::*;
use girih_base::Dim;
use girih_graph::ops::*;

fn dims(list: &[i64]) -> Vec<Dim> {
    list.iter().map(|d| Dim::from(*d)).collect()
}

#[test]
fn the_same_elements_seen_otherwise() {
    let x = count(&[2, 3]);
    assert_eq!(floats(Permute { perm: vec![1, 0] }, std::slice::from_ref(&x)), [0., 3., 1., 4., 2., 5.]);
    assert_eq!(floats(Reshape { shape: dims(&[3, 2]) }, std::slice::from_ref(&x)), [0., 1., 2., 3., 4., 5.]);
    let repeat = Broadcast { shape: dims(&[2, 3, 2]), axes: vec![1] };
    assert_eq!(floats(repeat, &[count(&[3])]), [0., 0., 1., 1., 2., 2., 0., 0., 1., 1., 2., 2.]);
    let three = Permute { perm: vec![2, 0, 1] };
    assert_eq!(floats(three, &[count(&[1, 2, 3])]), [0., 3., 1., 4., 2., 5.]);
}

#[test]
fn parts() {
    let part = Slice { start: dims(&[0, 1]), limit: dims(&[2, 4]), stride: vec![1, 2] };
    assert_eq!(floats(part, &[count(&[2, 4])]), [1., 3., 5., 7.]);
    assert_eq!(floats(Reverse { axes: vec![1] }, &[count(&[2, 3])]), [2., 1., 0., 5., 4., 3.]);
    assert_eq!(floats(Reverse { axes: vec![0, 1] }, &[count(&[2, 3])]), [5., 4., 3., 2., 1., 0.]);
    assert_eq!(floats(Concat { axis: 1 }, &[count(&[2, 1]), count(&[2, 2])]), [0., 0., 1., 1., 2., 3.]);
}

#[test]
fn padding_borders_and_gaps() {
    let pad = |low, high, interior, n| {
        let op = Pad { low: dims(&[low]), high: dims(&[high]), interior: vec![interior] };
        floats(op, &[count(&[n]), f32s(&[], &[9.])])
    };
    assert_eq!(pad(1, 2, 0, 2), [9., 0., 1., 9., 9.]);
    assert_eq!(pad(0, 1, 2, 3), [0., 9., 9., 1., 9., 9., 2., 9.]);
    assert_eq!(pad(1, 1, 3, 0), [9., 9.]);
}

#[test]
fn windows_slide_stride_and_dilate() {
    let axis = |axis, size, stride, dilation| WindowAxis { axis, size, stride, dilation };
    let plain = Window { axes: vec![axis(0, 2, 1, 1)] };
    assert_eq!(floats(plain, &[count(&[4])]), [0., 1., 1., 2., 2., 3.]);
    let sparse = Window { axes: vec![axis(0, 2, 2, 3)] };
    assert_eq!(floats(sparse, &[count(&[7])]), [0., 3., 2., 5.]);
    let both = Window { axes: vec![axis(0, 2, 1, 1), axis(1, 2, 1, 1)] };
    let out = run(both, &[count(&[2, 3])]);
    assert_eq!(out.array().unwrap().shape, [1, 2, 2, 2]);
    assert_eq!(out.array().unwrap().to_f64(), [0., 1., 3., 4., 1., 2., 4., 5.]);
}

#[test]
fn computed_starts_are_clamped() {
    let at = |i: i128| floats(DynSlice { sizes: dims(&[2]) }, &[count(&[5]), ints(DType::I32, &[], &[i])]);
    assert_eq!(at(1), [1., 2.]);
    assert_eq!(at(-7), [0., 1.]);
    assert_eq!(at(99), [3., 4.]);
    let put = |i: i128| {
        let args = [count(&[4]), f32s(&[2], &[8., 9.]), ints(DType::I32, &[], &[i])];
        floats(DynUpdate { donate: true }, &args)
    };
    assert_eq!(put(1), [0., 8., 9., 3.]);
    assert_eq!(put(3), [0., 1., 8., 9.]);
    assert_eq!(put(-1), [8., 9., 2., 3.]);
}

#[test]
fn nothing_is_a_shape_too() {
    let none = count(&[0, 3]);
    assert_eq!(run(Permute { perm: vec![1, 0] }, std::slice::from_ref(&none)).array().unwrap().shape, [3, 0]);
    assert!(floats(Reverse { axes: vec![0] }, std::slice::from_ref(&none)).is_empty());
    assert_eq!(floats(Concat { axis: 0 }, &[none, count(&[1, 3])]), [0., 1., 2.]);
    let pad = Pad { low: dims(&[1, 0]), high: dims(&[0, 0]), interior: vec![0, 0] };
    assert_eq!(floats(pad, &[count(&[0, 2]), f32s(&[], &[5.])]), [5., 5.]);
}

#[test]
fn symbolic_parts_outside_are_refused_when_they_show() {
    let n = Dim::symbol("n", 0, 9);
    let mut g = Graph::new("part");
    let x = params(&mut g, &[count(&[4])])[0];
    let part = g.slice_axis(x, 0, Dim::ONE, n).unwrap();
    g.set_outputs(vec![part]);
    let eval = |n| g.eval(&[count(&[4]).into()], &Bindings::from([("n".into(), n)]));
    assert_eq!(eval(3).unwrap()[0].array().unwrap().to_f64(), [1., 2.]);
    assert_eq!(eval(5).unwrap_err().code, "G206");
}
