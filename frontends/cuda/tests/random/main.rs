//! Random programs on integers and floats, written as CUDA C++ and evaluated by an interpreter of C's rules here: equal bit for bit
//! on the emulator, the CPU and through wgpu. `GIRIH_FUZZ_CUDA_PROGRAMS` sets the number of programs of each test,
//! `GIRIH_FUZZ_SEED` the first one.
#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout)]

#[path = "../common/mod.rs"]
mod common;
mod floats;
mod host;
mod meaning;
mod program;
mod text;
mod types;

use common::*;
use floats::number;
use meaning::together;
use program::{ELEMENTS, FIELDS, Gen, Program, VARIABLES, leave_out};
use std::cell::Cell;
use std::thread::LocalKey;
use types::*;

/// A program with what it gets, and what it gives: a row of variables for each thread.
struct Run {
    program: Program,
    doubles: bool,
    /// Threads of the block and of a warp.
    threads: [usize; 2],
    input: Vec<i32>,
    real: Vec<f32>,
    want: Vec<Number>,
    undefined: bool,
    /// C++ leaves something open that CUDA does not.
    only_cuda: bool,
    /// Drivers may give other floats; and Mesa does.
    loose: bool,
    mesa: bool,
}

fn run(g: &mut Gen, parts: usize, threads: [usize; 2]) -> Run {
    let program = g.program(parts, threads[0]);
    let input: Vec<i32> =
        (0..threads[0] * 5).map(|_| [g.n(1 << 31) as i32, -(g.n(200) as i32), g.n(9) as i32][g.n(3)]).collect();
    // In some programs every float there is; else such as WGSL is precise about.
    let wild = g.n(4) == 0;
    let real: Vec<f32> = (0..threads[0] * 5)
        .map(|_| match g.n(if wild { 8 } else { 4 }) {
            0 => g.n(64) as f32,
            1 => g.n(4096) as f32 / 64.0 - 32.0,
            2 => g.n(1 << 20) as f32 * 0.37 - 10000.0,
            3 => -(g.n(9) as f32 + 1.0) / 8.0,
            4 => f32::from_bits(g.n(1 << 31) as u32 * 2),
            5 => f32::from_bits(g.n(1 << 31) as u32),
            6 => [f32::INFINITY, f32::NEG_INFINITY, f32::NAN, -0.0, f32::MAX, 1e-40, 65520.0, 65519.0][g.n(8)],
            _ => 2f32.powi(g.n(64) as i32),
        })
        .collect();
    let (want, no) = (Vec::new(), false);
    let doubles = g.doubles();
    Run { program, doubles, threads, input, real, want, undefined: no, only_cuda: no, loose: no, mesa: no }.evaluated()
}

/// The number whose bits a program wrote.
fn written(v: i64, t: Ty) -> i128 {
    match t {
        FLOAT => floats::bits(f32::from_bits(v as u32) as f64),
        DOUBLE => floats::bits(f64::from_bits(v as u64)),
        HALF => floats::bits(half::f16::from_bits(v as u16).to_f64()),
        t => int(v as i128, t).0,
    }
}

impl Run {
    fn evaluated(mut self) -> Run {
        let flags: [&LocalKey<Cell<bool>>; 4] = [&UNDEFINED, &ONLY_CUDA, &LOOSE, &MESA];
        flags.iter().for_each(|f| f.set(false));
        let (p, [threads, warp]) = (&self.program, self.threads);
        let mut vars: Vec<Vec<Number>> = (0..threads)
            .map(|t| {
                let at = |i: usize, k: usize| {
                    if p.types[i].float() {
                        convert(floats::check(types::real(self.real[t * 5 + k] as f64, FLOAT)), p.types[i])
                    } else {
                        convert(int(self.input[t * 5 + k] as i128, INT), p.types[i])
                    }
                };
                let mut v: Vec<Number> = (0..FIELDS).map(|i| at(i, i)).collect();
                v.extend([at(FIELDS, 3), at(FIELDS + 1, 4)]);
                let first = int(self.input[t * 5] as i128, INT);
                v.extend((0..4).map(|i| convert(binary("*", first, int(i, INT)), p.types[ELEMENTS])));
                v
            })
            .collect();
        for first in (0..threads).step_by(warp) {
            together(p, &p.body, &mut vars, (first..first + warp).collect());
        }
        self.want = vars.into_iter().flatten().collect();
        (self.undefined, self.only_cuda) = (UNDEFINED.get(), ONLY_CUDA.get());
        (self.loose, self.mesa) = (LOOSE.get(), MESA.get());
        self
    }

    /// Whether a device has no choice in what it computes: the emulator and the CPU have none.
    fn fixed(&self, on: &str) -> bool {
        let ours = on.starts_with("emulator") || on == girih_exec::Device::name(&girih_cpu::CpuDevice::new());
        ours || !(if on.contains("llvmpipe") { self.mesa } else { self.loose })
    }

    fn source(&self) -> String {
        Program::prelude(self.doubles) + &self.program.text("k", self.threads[0])
    }

    /// What differs where.
    fn wrong(&self) -> Vec<String> {
        let src = self.source();
        let args = vec![i(&self.input), f(&self.real), zeros(self.want.len() * 2)];
        // Every difference, to see what a driver does.
        let loose = std::env::var_os("GIRIH_FUZZ_LOOSE").is_some();
        let ran = launch(&src, "k", 1, self.threads[0] as u32, args).run();
        ran.into_iter()
            .filter(|ran| loose || self.fixed(&ran.on))
            .filter_map(|ran| {
                let differ = self.differs(&ran.memory[2]);
                (!differ.is_empty()).then(|| format!("on {}:\n{}\n", ran.on, differ.join("\n")))
            })
            .collect()
    }

    /// The same with as few statements as are wrong, too.
    fn smallest(mut self) -> Run {
        let mut n = 0;
        loop {
            let mut program = self.program.clone();
            if !leave_out(&mut program.body, &mut { n }) {
                return self;
            }
            let (input, real) = (self.input.clone(), self.real.clone());
            let less = Run { program, input, real, want: Vec::new(), ..self }.evaluated();
            if !less.undefined && !less.wrong().is_empty() {
                self = less;
            } else {
                n += 1;
            }
        }
    }

    fn differs(&self, raw: &[u8]) -> Vec<String> {
        let got = raw.chunks(8).map(|c| i64::from_le_bytes(c.try_into().unwrap()));
        let show = |v: i128, t: Ty| if t.float() { format!("{:?}", number(v)) } else { v.to_string() };
        got.zip(&self.want)
            .enumerate()
            .filter(|(_, (got, want))| written(*got, want.1) != want.0)
            .map(|(i, (got, (want, t)))| {
                let (thread, variable) = (i / VARIABLES, i % VARIABLES);
                let (got, want) = (show(written(got, *t), *t), show(*want, *t));
                format!("thread {thread}, variable {variable} ({}): {got}, want {want}", t.name)
            })
            .take(9)
            .collect()
    }
}

/// As many programs as asked for, but for those with something undefined.
fn runs(make: impl Fn(u64) -> Gen, parts: usize, threads: [usize; 2]) -> impl Iterator<Item = (u64, Run)> {
    seeds().map(move |seed| (seed, run(&mut make(seed), parts, threads))).filter(|(_, r)| !r.undefined)
}

/// Runs programs; gives how many were compared everywhere, and how many but on graphics drivers.
fn agree(make: impl Fn(u64) -> Gen, parts: usize, threads: [usize; 2]) -> [usize; 2] {
    let (mut compared, mut all) = ([0; 2], Vec::new());
    for (seed, r) in runs(make, parts, threads) {
        compared[r.mesa as usize] += 1;
        let wrong = r.wrong();
        if !wrong.is_empty() {
            let small = r.smallest();
            let wrong = small.wrong().join("\n");
            let source = small.program.text("k", threads[0]);
            all.push(format!("seed {seed} {wrong}\n{source}\n"));
        }
    }
    assert!(all.is_empty(), "{} wrong\n{}", all.len(), all[..all.len().min(6)].join("\n"));
    println!("{compared:?} programs compared everywhere, and but on graphics drivers");
    compared
}

fn seeds() -> std::ops::Range<u64> {
    let number = |name: &str, default: u64| std::env::var(name).ok().and_then(|v| v.parse().ok()).unwrap_or(default);
    let (count, first) = (number("GIRIH_FUZZ_CUDA_PROGRAMS", 24), number("GIRIH_FUZZ_SEED", 1));
    first..first + count
}

fn any(seed: u64) -> Gen {
    Gen::new(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15), false)
}

fn voting(seed: u64) -> Gen {
    Gen::new(seed.wrapping_mul(0xd134_2543_de82_ef95), true)
}

/// Numbers of every size, loops, switches, structs, arrays, functions, templates, shared memory and shuffles.
#[test]
fn random_programs_agree_everywhere() {
    let [all, _] = agree(any, 4, [8, 8]);
    assert!(all * 4 >= seeds().count(), "{all}");
}

/// Warps vote under conditions, in loops that their threads leave one by one, and after returns.
#[test]
fn random_votes_agree_everywhere() {
    let [all, _] = agree(voting, 3, [64, 32]);
    assert!(all * 4 >= seeds().count(), "{all}");
}

/// What the interpreter here takes for their meaning is that of C++.
#[test]
fn clang_agrees() {
    let all: Vec<(u64, Run)> = runs(any, 4, [8, 8]).filter(|(_, r)| !r.only_cuda).collect();
    for some in all.chunks(100) {
        let (seeds, programs): (Vec<u64>, Vec<&Run>) = some.iter().map(|(s, r)| (*s, r)).unzip();
        let Some(gave) = host::run(&programs) else { return };
        for ((seed, r), raw) in seeds.iter().zip(&programs).zip(&gave) {
            let differ = r.differs(raw);
            assert!(differ.is_empty(), "seed {seed} on the host:\n{}\n{}", differ.join("\n"), r.source());
        }
    }
    println!("{} programs compared with the host", all.len());
    assert!(all.len() * 4 >= seeds().count(), "{}", all.len());
}
