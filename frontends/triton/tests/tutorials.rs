//! The algorithms of Triton's tutorials, written anew, against plain formulas.
#![allow(clippy::unwrap_used, clippy::panic)]

mod common;
use common::*;

#[test]
fn vector_add() {
    let source = include_str!("kernels/vector_add.py");
    for mut rig in rigs() {
        for n in [1usize, 100, 1024, 4099] {
            let (x, y) = (random(1, n), random(2, n));
            let want: Vec<f64> = x.iter().zip(&y).map(|(a, b)| (*a as f32 + *b as f32) as f64).collect();
            let data = [f32s("x_ptr", x), f32s("y_ptr", y), f32s("out_ptr", vec![0.0; n])];
            let grid = [n.div_ceil(256) as u32, 1, 1];
            let out = run(&mut rig, source, "add", grid, &data, &[("n", int(n as i64)), ("BLOCK", int(256))]);
            close(&format!("{} {n}", rig.name), &out[2], &want, 0.0);
        }
    }
}
