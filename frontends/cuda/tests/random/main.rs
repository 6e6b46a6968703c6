//! Random integer programs, written as CUDA C++ and evaluated by an interpreter of C's rules here: equal bit for bit on the
//! emulator, the CPU and through wgpu. `GIRIH_FUZZ_CUDA_PROGRAMS` sets the number of programs of each test, `GIRIH_FUZZ_SEED` the
//! first one.
#![allow(clippy::unwrap_used, clippy::panic)]

#[path = "../common/mod.rs"]
mod common;
mod meaning;
mod program;
mod types;

use common::*;
use meaning::together;
use program::{Gen, Program, VARIABLES};
use types::*;

fn agree(seed: u64, g: &mut Gen, p: &Program, threads: usize, warp: usize) {
    let src = p.text(threads);
    let input: Vec<i32> =
        (0..threads * 5).map(|_| [g.n(1 << 31) as i32, -(g.n(200) as i32), g.n(9) as i32][g.n(3)]).collect();
    let mut vars: Vec<Vec<Number>> = input
        .chunks(5)
        .map(|row| {
            let at = |i: usize, v: i128| (wrap(v, p.types[i]), p.types[i]);
            let mut v: Vec<Number> = row.iter().enumerate().map(|(i, v)| at(i, *v as i128)).collect();
            v.extend([at(5, v[3].0), at(6, v[4].0)]);
            let first = v[0];
            v.extend((0..4).map(|i| at(7 + i, binary("*", first, (i as i128, TYPES[0])).0)));
            v
        })
        .collect();
    for first in (0..threads).step_by(warp) {
        together(p, &p.body, &mut vars, (first..first + warp).collect());
    }
    let want: Vec<i64> = vars.iter().flatten().map(|(v, _)| *v as i64).collect();
    for r in launch(&src, "k", 1, threads as u32, vec![i(&input), zeros(threads * VARIABLES * 2)]).run() {
        let got: Vec<i64> = r.memory[1].chunks(8).map(|c| i64::from_le_bytes(c.try_into().unwrap())).collect();
        let wrong: Vec<_> = (0..want.len())
            .filter(|i| got[*i] != want[*i])
            .map(|i| (i / VARIABLES, i % VARIABLES, got[i], want[i]))
            .take(9)
            .collect();
        assert!(wrong.is_empty(), "seed {seed} on {}: (thread, variable, got, want) {wrong:?}\n{src}\n{input:?}", r.on);
    }
}

fn seeds() -> std::ops::Range<u64> {
    let number = |name: &str, default: u64| std::env::var(name).ok().and_then(|v| v.parse().ok()).unwrap_or(default);
    let (count, first) = (number("GIRIH_FUZZ_CUDA_PROGRAMS", 24), number("GIRIH_FUZZ_SEED", 1));
    first..first + count
}

/// Integers of every size, loops, structs, arrays, functions, shared memory and shuffles.
#[test]
fn random_programs_agree_everywhere() {
    for seed in seeds() {
        let mut g = Gen::new(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15), false);
        let p = g.program(4, 8);
        agree(seed, &mut g, &p, 8, 8);
    }
}

/// Warps vote under conditions, in loops that their threads leave one by one, and after returns.
#[test]
fn random_votes_agree_everywhere() {
    for seed in seeds() {
        let mut g = Gen::new(seed.wrapping_mul(0xd134_2543_de82_ef95), true);
        let p = g.program(3, 64);
        agree(seed, &mut g, &p, 64, 32);
    }
}
