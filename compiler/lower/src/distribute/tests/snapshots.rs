//! The program of one thread, as text, for a few kernels.

use super::data::view;
use super::*;
use girih_base::{Dim, ScalarOp};
use girih_tile::{Access, Builder, Literal};

/// `y = x * x + x` over a symbolic number of elements.
#[test]
fn elementwise() {
    let n = Dim::symbol("n", 1, 1 << 20);
    let mut b = Builder::new();
    let x = b.param("x", F32, n.clone(), Access::Read, true);
    let y = b.param("y", F32, n.clone(), Access::Write, false);
    let (p, t) = (b.program_id(0), b.int(256));
    let at = b.map(ScalarOp::Mul, &[p, t]);
    let v = girih_tile::View::contiguous(std::slice::from_ref(&n));
    let xs = b.load(x, v.clone(), &[at], &[256], Literal::float(0.0));
    b.name(xs, Some("x".into()));
    let s = b.map(ScalarOp::Fma, &[xs, xs, xs]);
    b.store(y, v, &[at], s);
    let kernel = b.finish("polynomial", vec![n.ceil_div(&Dim::from(256))]);
    insta::assert_snapshot!(crate::distribute(&kernel, &TargetDesc::webgpu()).unwrap());
}

/// Sums of rows of 128: vectors, then 32 threads per row in two rounds.
#[test]
fn row_sums() {
    let mut b = Builder::new();
    let x = b.param("x", F32, Dim::from(64 * 128), Access::Read, true);
    let y = b.param("y", F32, Dim::from(64), Access::Write, false);
    let (p, t, zero) = (b.program_id(0), b.int(2), b.int(0));
    let row = b.map(ScalarOp::Mul, &[p, t]);
    let xs = b.load(x, view(&[(64, 128), (128, 1)]), &[row, zero], &[2, 128], Literal::float(0.0));
    let s = b.reduce(xs, 1, ScalarOp::Add);
    b.name(s, Some("sum".into()));
    b.store(y, view(&[(64, 1)]), &[row], s);
    let kernel = b.finish("row_sums", vec![Dim::from(32)]);
    insta::assert_snapshot!(crate::distribute(&kernel, &TargetDesc::webgpu()).unwrap());
}
