//! A tiled matrix product, for the tests and for the example that times it.

use girih_base::{DType, Dim, ScalarOp};
use girih_tile::{Access, Builder, Kernel, Literal, TileTy, View};

/// `c = a b` for square matrices of `n`, tiles of `tile`, `depth` of the contracted axis a round.
pub fn matmul(n: u32, tile: [u32; 2], depth: u32) -> Kernel {
    let mut b = Builder::new();
    let size = Dim::from(n);
    let len = &size * &size;
    let a = b.param("a", DType::F32, len.clone(), Access::Read, true);
    let w = b.param("b", DType::F32, len.clone(), Access::Read, true);
    let c = b.param("c", DType::F32, len, Access::Write, false);
    let mut view = View::contiguous(&[size.clone(), size.clone()]);
    view.axes.iter_mut().for_each(|x| x.inside = true);
    let (i, j) = (b.program_id(0), b.program_id(1));
    let (tm, tn) = (b.int(tile[0] as i64), b.int(tile[1] as i64));
    let (row, column) = (b.map(ScalarOp::Mul, &[i, tm]), b.map(ScalarOp::Mul, &[j, tn]));
    let zero = b.constant(Literal::float(0.0), TileTy::new(DType::F32, tile));
    let (lo, hi) = (b.int(0), b.int(n as i64));
    let sum = b.for_loop(lo, hi, depth, &[zero], |b, k, acc| {
        let x = b.load(a, view.clone(), &[row, k], &[tile[0], depth], Literal::float(0.0));
        let y = b.load(w, view.clone(), &[k, column], &[depth, tile[1]], Literal::float(0.0));
        vec![b.dot(x, y, Some(acc[0]), DType::F32)]
    });
    b.store(c, view.clone(), &[row, column], sum[0]);
    b.finish("matmul", vec![(n / tile[0]).into(), (n / tile[1]).into()])
}
