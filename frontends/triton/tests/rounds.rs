//! Loops that the launch makes needless: one round, or rows spread over the programs of the grid. Each case once where the loop
//! may go and many times where it may not; results are always those of the loop as written.
#![allow(clippy::unwrap_used, clippy::panic)]

mod common;
use common::*;
use girih_base::DType;
use girih_triton::{Arg, Argument, Assume, Launch, Launcher, Module, Signature};

const HEAD: &str = "import triton\nimport triton.language as tl\n\n\n@triton.jit\n";

/// The Tile IR of a kernel on `x_ptr`, `y_ptr` and sizes, for a launch.
fn compiled(body: &str, grid: [u32; 3], sizes: &[(&str, i64)]) -> girih_tile::Kernel {
    let launch = Launch { grid, sizes: sizes.iter().map(|(n, v)| (n.to_string(), *v)).collect() };
    let single = grid.map(|n| n == 1);
    let mut s = Signature { single, assume: Assume::Launch(launch), ..Signature::default() };
    s = s.arg("x_ptr", Arg::pointer(DType::F32)).arg("y_ptr", Arg::pointer(DType::F32));
    for (name, _) in sizes {
        s = s.arg(name, Arg::size());
    }
    let module = Module::parse(&format!("{HEAD}{body}"), "kernel.py").unwrap_or_else(|e| panic!("{e}"));
    module.compile("k", &s).unwrap_or_else(|e| panic!("{body}\n{e}")).tile
}

fn loops(kernel: &girih_tile::Kernel) -> usize {
    let is_loop = |line: &&str| line.trim_start().starts_with("for ") || line.contains(" = for ");
    girih_tile::print(kernel).lines().filter(is_loop).count()
}

/// The grid's axis x.
fn programs(kernel: &girih_tile::Kernel) -> String {
    kernel.grid.last().unwrap().to_string()
}

const ROWS: &str = "def k(x_ptr, y_ptr, rows, stride, n):
    at = tl.arange(0, 16)
    for row in tl.range(tl.program_id(0), rows, tl.num_programs(0), num_stages=2):
        x = tl.load(x_ptr + row * stride + at, mask=at < n, other=0.0)
        tl.store(y_ptr + row * stride + at, x * 2 + tl.program_id(0) * 100 + tl.num_programs(0) * 1000, mask=at < n)
";

#[test]
fn rows_become_programs() {
    let sizes = |rows| [("rows", rows), ("stride", 12), ("n", 11)];
    let kernel = compiled(ROWS, [3, 1, 1], &sizes(10));
    assert_eq!((programs(&kernel).as_str(), loops(&kernel)), ("rows", 0), "{}", girih_tile::print(&kernel));
    // One program makes its rounds in order.
    let kernel = compiled(ROWS, [1, 1, 1], &sizes(10));
    assert_eq!((programs(&kernel).as_str(), loops(&kernel)), ("1", 1));
    for mut rig in rigs() {
        let module = Module::parse(&format!("{HEAD}{ROWS}"), "kernel.py").unwrap();
        let mut launcher = Launcher::new(&module, "k").unwrap();
        for (rows, programs) in [(10, 3), (10, 1), (2, 5), (0, 4), (7, 7), (10, 2)] {
            let x: Vec<f64> = (0..120).map(f64::from).collect();
            let data = [f32s("x_ptr", x), f32s("y_ptr", vec![-1.0; 120])];
            let rest: Vec<(&str, Argument)> = sizes(rows).into_iter().map(|(n, v)| (n, int(v))).collect();
            let got = run_with(&mut launcher, &mut rig, [programs, 1, 1], &data, &rest);
            let want: Vec<f64> = (0..120)
                .map(|i| match (i / 12, i % 12) {
                    (row, column) if row < rows && column < 11 => {
                        (2 * i + row % programs as i64 * 100 + programs as i64 * 1000) as f64
                    }
                    _ => -1.0,
                })
                .collect();
            close(&format!("{} {rows} rows, {programs} programs", rig.name), &got[1], &want, 0.0);
        }
    }
}

#[test]
fn rounds_that_depend_on_each_other_stay_rounds() {
    let row = "tl.range(tl.program_id(0), rows, tl.num_programs(0))";
    let kernel = |before: &str, rows: &str, round: &str, after: &str| {
        format!(
            "def k(x_ptr, y_ptr, rows, stride, n):
    at = tl.arange(0, 16)
{before}    for row in {rows}:
{round}{after}"
        )
    };
    let store = "        tl.store(y_ptr + row * stride + at, tl.load(x_ptr + row * stride + at))\n";
    let spread = compiled(&kernel("", row, store, ""), [3, 1, 1], &[("rows", 10), ("stride", 16), ("n", 16)]);
    assert_eq!(programs(&spread), "rows", "the plain form is spread");
    let cases = [
        // A sum over rounds.
        kernel(
            "    sum = tl.zeros([16], tl.float32)\n",
            row,
            "        sum += tl.load(x_ptr + row * stride + at)\n",
            "    tl.store(y_ptr + tl.program_id(0) * stride + at, sum)\n",
        ),
        // What one round stores the next one loads.
        kernel(
            "",
            row,
            "        tl.store(y_ptr + row * stride + at, tl.load(y_ptr + (row - 3) * stride + at, mask=row >= 3, other=1.0) + 1)\n",
            "",
        ),
        // Order shows where rows overlap with a distance of their own.
        kernel("", row, "        tl.store(y_ptr + (row % 2) * stride + at, tl.load(x_ptr + row * stride + at))\n", ""),
        kernel("", row, "        tl.store(y_ptr + row * stride + at * 2, tl.load(x_ptr + row * stride + at))\n", ""),
        kernel(
            "",
            row,
            "        tl.store(y_ptr + row * stride + tl.arange(0, 4)[:, None] * n + at[None, :], 1.0)\n",
            "",
        ),
        kernel("", row, "        tl.store(y_ptr + row + at * 0, tl.load(x_ptr + row * stride + at))\n", ""),
        // Two stores to one array.
        kernel("", row, &format!("{store}        tl.store(y_ptr + row * stride + 1 + at, 2.0)\n"), ""),
        kernel("", row, "        tl.atomic_add(y_ptr + row * stride + at, tl.load(x_ptr + row * stride + at))\n", ""),
        kernel("", row, &format!("        if row > n:\n    {store}"), ""),
        kernel("", row, &format!("        for j in range(n):\n    {store}"), ""),
        // Something else happens, once for every program.
        kernel(
            "    tl.store(x_ptr + tl.program_id(0), 1.0)\n",
            row,
            "        tl.store(y_ptr + row * stride + at, 1.0)\n",
            "",
        ),
        kernel("", row, store, "    tl.atomic_add(x_ptr, 1.0)\n"),
        kernel("    w = tl.load(x_ptr + at)\n", row, "        tl.store(y_ptr + row * stride + at, w)\n", ""),
        // Other rows.
        kernel("", "tl.range(tl.program_id(0) + 1, rows, tl.num_programs(0))", store, ""),
        kernel("", "tl.range(tl.program_id(0), rows, 2 * tl.num_programs(0))", store, ""),
        kernel("", "tl.range(tl.program_id(0), rows, 3)", store, ""),
        kernel("", "tl.range(0, rows, tl.num_programs(0))", store, ""),
    ];
    for body in cases {
        let kernel = compiled(&body, [3, 1, 1], &[("rows", 10), ("stride", 16), ("n", 16)]);
        assert_eq!(programs(&kernel), "grid_x", "{body}");
    }
    // A second axis of the grid runs them all again.
    let kernel = compiled(&kernel("", row, store, ""), [3, 2, 1], &[("rows", 10), ("stride", 16), ("n", 16)]);
    assert_eq!(programs(&kernel), "grid_x");
}

#[test]
fn one_round_is_no_loop() {
    let body = "def k(x_ptr, y_ptr, n):
    last = 7
    total = tl.zeros([16], tl.float32)
    for start in range(0, n, 16):
        at = start + tl.arange(0, 16)
        total += tl.load(x_ptr + at, mask=at < n, other=0.0)
        last = start
    tl.store(y_ptr + tl.arange(0, 16), total + last * 1000)
";
    assert_eq!(loops(&compiled(body, [1, 1, 1], &[("n", 16)])), 0);
    assert_eq!(loops(&compiled(body, [1, 1, 1], &[("n", 11)])), 0);
    for n in [0, 17, 48] {
        assert_eq!(loops(&compiled(body, [1, 1, 1], &[("n", n)])), 1, "{n}");
    }
    let x: Vec<f64> = (1..=64).map(f64::from).collect();
    for mut rig in rigs() {
        let module = Module::parse(&format!("{HEAD}{body}"), "kernel.py").unwrap();
        let mut launcher = Launcher::new(&module, "k").unwrap();
        for n in [16, 48, 11, 0, 17, 64, 16] {
            let data = [f32s("x_ptr", x.clone()), f32s("y_ptr", vec![0.0; 16])];
            let got = run_with(&mut launcher, &mut rig, [1, 1, 1], &data, &[("n", int(n))]);
            let last = if n == 0 { 7 } else { (n - 1) / 16 * 16 };
            let sum = |i: usize| (i..n as usize).step_by(16).map(|i| x[i]).sum::<f64>();
            let want: Vec<f64> = (0..16).map(|i| sum(i) + (last * 1000) as f64).collect();
            close(&format!("{} n = {n}", rig.name), &got[1], &want, 0.0);
        }
    }
}

#[test]
fn a_round_that_no_launch_may_make_twice_is_refused_at_once() {
    // The sum changes its type from round to round: an error also where there is one round.
    let body = "def k(x_ptr, y_ptr, n):
    total = 0
    for start in range(0, n, 16):
        total = tl.zeros([16], tl.float32)
    tl.store(y_ptr + tl.arange(0, 16), total)
";
    let module = Module::parse(&format!("{HEAD}{body}"), "kernel.py").unwrap();
    for mut rig in rigs() {
        let y = rig.device.allocate(64).unwrap();
        let y = girih_exec::MemRef { buffer: y, offset: 0, bytes: 64 };
        let args =
            |n| [("x_ptr", Argument::Buffer(y, DType::F32)), ("y_ptr", Argument::Buffer(y, DType::F32)), ("n", int(n))];
        for n in [16, 32] {
            let mut launcher = Launcher::new(&module, "k").unwrap();
            assert!(launcher.launch(&*rig.target, &mut *rig.device, [1, 1, 1], &args(n)).is_err(), "{n}");
        }
    }
}

#[test]
fn bounds_are_known_through_minima() {
    // Whole blocks need no mask; others do.
    let body = "def k(x_ptr, y_ptr, n):
    block = tl.program_id(0)
    total = tl.zeros([16], tl.float32)
    high = tl.minimum(n, (block + 1) * 16)
    for start in range(0, high, 16):
        at = start + tl.arange(0, 16)
        total += tl.load(x_ptr + at, mask=at < n, other=0.0)
    tl.store(y_ptr + block * 16 + tl.arange(0, 16), total)
";
    let masked = |n| {
        let text = girih_tile::print(&compiled(body, [4, 1, 1], &[("n", n)]));
        text.lines().any(|l| l.contains("load") && (l.contains("mask") || !l.contains("view(0; 2147483647")))
    };
    assert!(!masked(64), "{}", girih_tile::print(&compiled(body, [4, 1, 1], &[("n", 64)])));
    assert!(masked(60));
    let x: Vec<f64> = (1..=64).map(f64::from).collect();
    for mut rig in rigs() {
        let module = Module::parse(&format!("{HEAD}{body}"), "kernel.py").unwrap();
        let mut launcher = Launcher::new(&module, "k").unwrap();
        for n in [64, 60, 64, 16, 5] {
            let data = [f32s("x_ptr", x.clone()), f32s("y_ptr", vec![0.0; 64])];
            let got = run_with(&mut launcher, &mut rig, [4, 1, 1], &data, &[("n", int(n))]);
            let want: Vec<f64> =
                (0..64).map(|i| (i % 16..n.min((i / 16 + 1) * 16)).step_by(16).map(|j| x[j as usize]).sum()).collect();
            close(&format!("{} n = {n}", rig.name), &got[1], &want, 0.0);
        }
    }
}
