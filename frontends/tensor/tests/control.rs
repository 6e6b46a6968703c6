//! Loops and branches inside programs.
#![allow(clippy::unwrap_used)]

use girih::prelude::*;

fn t(values: &[f32]) -> Tensor {
    Tensor::new(values, [values.len()])
}

#[test]
fn a_loop_carries_trees_and_uses_what_surrounds_it() {
    let step = t(&[1.0, 10.0]);
    let (sum, last) = control::repeat(4, &(t(&[0.0, 0.0]), Tensor::scalar(0.0, DType::I32)), |i, (sum, _)| {
        (sum + &step * i.cast(DType::F32), i.clone())
    });
    assert_eq!(sum.to_vec::<f32>().unwrap(), [6.0, 60.0]);
    assert_eq!(last.item::<i32>().unwrap(), 3);
}

#[test]
fn a_loop_is_differentiated_and_batched() {
    let power = |x: &Tensor| {
        let x = x.clone();
        control::repeat(3, &Tensor::scalar(1.0, DType::F32), move |_, y| y * &x)
    };
    assert_eq!(grad(power)(&Tensor::scalar(2.0, DType::F32)).item::<f32>().unwrap(), 12.0);
    assert_eq!(jit(vmap(grad(power)))(&t(&[1.0, 2.0])).to_vec::<f32>().unwrap(), [3.0, 12.0]);
}

#[test]
fn a_while_loop_ends_when_its_condition_does() {
    let limit = Tensor::scalar(100.0, DType::F32);
    let double = jit(move |x: &Tensor| control::repeat_while(x, |x| x.lt(&limit), |x| x * 2.0));
    assert_eq!(double(&Tensor::scalar(3.0, DType::F32)).item::<f32>().unwrap(), 192.0);
    assert_eq!(double(&Tensor::scalar(500.0, DType::F32)).item::<f32>().unwrap(), 500.0);
}

#[test]
fn a_branch_is_chosen_when_the_program_runs() {
    let f = jit(|x: &Tensor| control::choose(&x.sum(..).gt(0.0), x, |x| x * 2.0, |x| -x));
    assert_eq!(f(&t(&[1.0, 2.0])).to_vec::<f32>().unwrap(), [2.0, 4.0]);
    assert_eq!(f(&t(&[-1.0, -2.0])).to_vec::<f32>().unwrap(), [1.0, 2.0]);
    assert_eq!(grad(move |x: &Tensor| f(x).sum(..))(&t(&[-1.0])).to_vec::<f32>().unwrap(), [-1.0]);
}

#[test]
fn a_carry_that_changes_its_type_is_refused() {
    let why = control::repeat(2, &t(&[1.0]).named("state"), |_, x| concat(&[x, x], 0)).ok().unwrap_err().to_string();
    assert!(why.contains("`state`: f32[1]") && why.contains("f32[2]"), "{why}");
    let why = control::repeat(2, &t(&[1.0]), |_, x| x + t(&[1.0, 2.0]).reshape([3])).ok().unwrap_err().to_string();
    assert!(why.contains("T012") || why.contains("G001"), "{why}");
}
