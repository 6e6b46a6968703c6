//! Operations that run a strip at a time give the bits of plain loops.
#![allow(clippy::unwrap_used, clippy::panic)]

mod common;

use common::*;
use girih_base::{Bindings, DType, ScalarOp};
use girih_tile::{parse, verify};

#[test]
fn strips_of_rows_and_columns() {
    // Longer than a strip, one strip, and not a multiple of anything; operands as they lie, turned, and repeated.
    for [rows, columns] in [[3, 2500], [5, 1024], [7, 67], [1, 64]] {
        at_every_level(|| {
            let n = (rows * columns) as usize;
            let (x, y, z) = (Random(1).floats(n), Random(2).floats(n), Random(3).floats(columns as usize));
            let shapes: [(DType, &[u32]); 3] =
                [(DType::F32, &[rows, columns]), (DType::F32, &[columns, rows]), (DType::F32, &[columns])];
            let (kernel, dtype, count) = simple(&shapes, |b, v| {
                let turned = b.permute(v[1], &[1, 0]);
                let repeated = b.broadcast(v[2], &[rows, columns], &[1]);
                let difference = b.map(ScalarOp::Sub, &[v[0], turned]);
                let square = b.map(ScalarOp::Mul, &[difference, difference]);
                let less = b.map(ScalarOp::Lt, &[turned, repeated]);
                let chosen = b.map(ScalarOp::Select, &[less, square, v[0]]);
                // Both operands repeat one row.
                let twice = b.map(ScalarOp::Add, &[repeated, repeated]);
                b.map(ScalarOp::Add, &[chosen, twice])
            });
            let out = run(&kernel, &[f32s(&x), f32s(&y), f32s(&z)], dtype, count);
            for i in 0..n {
                let (r, c) = (i / columns as usize, i % columns as usize);
                let (a, t, w) = (x[i], y[c * rows as usize + r], z[c]);
                let want = if t < w { (a - t) * (a - t) } else { a } + (w + w);
                assert_eq!(out[i].as_f64() as f32, want, "[{rows}, {columns}] at {r}, {c}");
            }
        });
    }
}

#[test]
fn results_over_carried_values() {
    // The second carried value is made of the first one's old elements, the first of its own.
    for columns in [64usize, 100, 1500] {
        let text = format!(
            "kernel k
param x f32[{n}] read
param y f32[{m}] write
{{
  %0: i32 = const 0 %1: i32 = const 5 %2: i32 = const {columns}
  %3: f32[{columns}] = load x view(0; {columns}:1) at(%0) other 0.0 %4: f32[{columns}] = const 1.0
  %5: f32[{columns}], %6: f32[{columns}] = for %0, %1 step 1 init(%3, %4) (%7: i32, %8: f32[{columns}], %9: f32[{columns}]) {{
    %10: i32 = mul %7, %2 %11: f32[{columns}] = load x view(0; {n}:1) at(%10) other 0.0
    %12: f32[{columns}] = mul %11, %11 %13: f32[{columns}] = add %8, %12
    %14: f32[{columns}] = mul %9, %11 %15: f32[{columns}] = sub %14, %4
    yield %13, %15
  }}
  store y view(0; {columns}:1) at(%0) %5
  store y view({columns}; {columns}:1) at(%0) %6
}}
",
            n = columns * 5,
            m = columns * 2,
        );
        let kernel = parse(&text).unwrap_or_else(|e| panic!("{e}\n{text}"));
        verify(&kernel).unwrap();
        at_every_level(|| {
            let x = Random(4).floats(columns * 5);
            let data = [f32s(&x), vec![0; columns * 8]];
            let got = to_f32s(&run_bytes(&kernel, &data, &Bindings::new(), 1).unwrap()[1]);
            for c in 0..columns {
                let (mut first, mut second) = (x[c], 1f32);
                for round in 0..5 {
                    let v = x[round * columns + c];
                    (first, second) = (first + v * v, second * v - 1.0);
                }
                assert_eq!([got[c], got[columns + c]], [first, second], "column {c} of {columns}");
            }
        });
    }
}
