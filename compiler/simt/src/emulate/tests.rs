#![allow(clippy::unwrap_used, clippy::panic)]

use super::{Line, Options, run, run_printing};
use crate::*;
use girih_base::{AtomicOp, Bindings, DType, Dim, ScalarOp};

const U32: Ty = Ty::scalar(DType::U32);

/// Reverses each group of 8 words through workgroup memory, with or without the barrier.
fn reverse(barrier: bool) -> Kernel {
    let mut b = Builder::new();
    b.buffers.push(Buffer { name: "x".into(), elem: U32, written: true, read_only: false });
    b.shared.push(Shared { name: "s".into(), elem: U32, len: 8 });
    let (group, lane, eight, seven) =
        (b.builtin(Builtin::WorkgroupIndex), b.builtin(Builtin::LocalIndex), b.uint(8), b.uint(7));
    let base = b.mul(group, eight);
    let at = b.add(base, lane);
    let x = b.load(Space::Buffer(0), at);
    b.store(Space::Shared(0), lane, x);
    if barrier {
        b.effect(Op::Barrier);
    }
    let mirror = b.map(girih_base::ScalarOp::Sub, &[seven, lane]);
    let y = b.load(Space::Shared(0), mirror);
    b.store(Space::Buffer(0), at, y);
    b.finish("reverse", [8, 1, 1], Dim::symbol("n", 1, 4))
}

fn words(n: u32) -> Vec<u8> {
    (0..n).flat_map(u32::to_le_bytes).collect()
}

#[test]
fn workgroup_memory_and_barriers() {
    let sizes = Bindings::from([("n".into(), 2)]);
    let mut buffers = [words(16)];
    let stats = run(&reverse(true), &mut buffers, &sizes, Options::default()).unwrap();
    let want: Vec<u8> = (0..8).rev().chain((8..16).rev()).flat_map(u32::to_le_bytes).collect();
    assert_eq!(buffers[0], want);
    assert_eq!((stats.groups, stats.barriers), (2, 2));
    let race = run(&reverse(false), &mut buffers, &sizes, Options::default()).unwrap_err();
    assert_eq!(race.code, "S102", "{race}");
    let short = run(&reverse(true), &mut [words(12)], &sizes, Options::default()).unwrap_err();
    assert_eq!(short.code, "S101", "{short}");
}

#[test]
fn divergent_barrier_and_unwritten_memory() {
    let mut b = Builder::new();
    let (lane, two) = (b.builtin(Builtin::LocalIndex), b.uint(2));
    let low = b.map(girih_base::ScalarOp::Lt, &[lane, two]);
    b.if_then(low, |b| b.effect(Op::Barrier));
    let kernel = b.finish("divergent", [4, 1, 1], Dim::ONE);
    assert_eq!(run(&kernel, &mut [], &Bindings::new(), Options::default()).unwrap_err().code, "S104");

    let mut b = Builder::new();
    b.shared.push(Shared { name: "s".into(), elem: U32, len: 4 });
    let lane = b.builtin(Builtin::LocalIndex);
    b.load(Space::Shared(0), lane);
    let kernel = b.finish("unwritten", [4, 1, 1], Dim::ONE);
    assert_eq!(run(&kernel, &mut [], &Bindings::new(), Options::default()).unwrap_err().code, "S103");
}

#[test]
fn loops_break_and_subgroups() {
    // Each lane counts to its index; the subgroup sum of the counts is stored.
    let mut b = Builder::new();
    b.buffers.push(Buffer { name: "x".into(), elem: U32, written: true, read_only: false });
    let count = b.local("count", U32, None);
    let (lane, one) = (b.builtin(Builtin::LocalIndex), b.uint(1));
    b.begin();
    let c = b.get(count);
    let done = b.map(girih_base::ScalarOp::Eq, &[c, lane]);
    b.if_then(done, |b| b.effect(Op::Break));
    let next = b.add(c, one);
    b.set(count, next);
    let body = b.end();
    b.effect(Op::Loop(body));
    let c = b.get(count);
    let sum = b.push(Op::Subgroup(SubgroupOp::Add, c), U32);
    b.store(Space::Buffer(0), lane, sum);
    let kernel = b.finish("count", [8, 1, 1], Dim::ONE);
    let mut buffers = [words(8)];
    run(&kernel, &mut buffers, &Bindings::new(), Options { subgroup: 4, ..Options::default() }).unwrap();
    let want: Vec<u8> = [6u32, 6, 6, 6, 22, 22, 22, 22].into_iter().flat_map(u32::to_le_bytes).collect();
    assert_eq!(buffers[0], want);
}

#[test]
fn stores_start_arrays_of_atomics() {
    let count = |start: bool| {
        let mut b = Builder::new();
        b.buffers.push(Buffer { name: "x".into(), elem: U32, written: true, read_only: false });
        b.shared.push(Shared { name: "s".into(), elem: U32, len: 4 });
        let (lane, zero, one) = (b.builtin(Builtin::LocalIndex), b.uint(0), b.uint(1));
        if start {
            b.store(Space::Shared(0), lane, zero);
            b.effect(Op::Barrier);
        }
        b.push(Op::Atomic(AtomicOp::Add, Space::Shared(0), zero, one), U32);
        b.effect(Op::Barrier);
        let n = b.load(Space::Shared(0), zero);
        b.store(Space::Buffer(0), lane, n);
        b.finish("count", [4, 1, 1], Dim::ONE)
    };
    let mut buffers = [words(4)];
    let refused = run(&count(false), &mut buffers, &Bindings::new(), Options::default()).unwrap_err();
    assert_eq!(refused.code, "S103", "{refused}");
    run(&count(true), &mut buffers, &Bindings::new(), Options::default()).unwrap();
    let want: Vec<u8> = [4u32; 4].into_iter().flat_map(u32::to_le_bytes).collect();
    assert_eq!(buffers[0], want);
}

/// Every operation across subgroups of 4 to 64 threads, the last one incomplete, against its definition.
#[test]
fn subgroups_of_every_size() {
    const THREADS: u32 = 100;
    const I32: Ty = Ty::scalar(DType::I32);
    let mut b = Builder::new();
    b.buffers.push(Buffer { name: "x".into(), elem: I32, written: false, read_only: true });
    b.buffers.push(Buffer { name: "y".into(), elem: U32, written: true, read_only: false });
    let (lane, limit) = (b.builtin(Builtin::LocalIndex), b.int(3));
    let x = b.load(Space::Buffer(0), lane);
    let yes = b.map(ScalarOp::Lt, &[x, limit]);
    let mut rows = Vec::new();
    for op in SubgroupOp::all(3) {
        let (of, ty) = match op {
            SubgroupOp::Any | SubgroupOp::All => (yes, Ty::scalar(DType::Bool)),
            SubgroupOp::Ballot => (yes, Ty::vec(DType::U32, 4)),
            _ => (x, I32),
        };
        let v = b.push(Op::Subgroup(op, of), ty);
        match ty.lanes {
            4 => rows.extend((0..4).map(|c| b.component(v, c))),
            _ => rows.push(b.cast(v, DType::U32)),
        }
    }
    for kind in Shuffle::ALL {
        for n in [0, 1, 5, u32::MAX] {
            let n = b.uint(n);
            let v = b.push(Op::Shuffle(kind, x, n), I32);
            rows.push(b.cast(v, DType::U32));
        }
    }
    let threads = b.uint(THREADS);
    for (row, v) in rows.iter().enumerate() {
        let row = b.uint(row as u32);
        let base = b.mul(row, threads);
        let at = b.add(base, lane);
        b.store(Space::Buffer(1), at, *v);
    }
    let kernel = b.finish("operations", [THREADS, 1, 1], Dim::ONE);
    crate::verify::verify(&kernel).unwrap();
    let x: Vec<i32> = (0..THREADS as i32).map(|i| (i * 7919) % 23 - 5).collect();
    for subgroup in [1, 4, 8, 16, 32, 64, 128] {
        let raw: Vec<u8> = x.iter().flat_map(|v| v.to_le_bytes()).collect();
        let mut buffers = [raw, vec![0; rows.len() * THREADS as usize * 4]];
        run(&kernel, &mut buffers, &Bindings::new(), Options { subgroup, ..Options::default() }).unwrap();
        let got: Vec<u32> = buffers[1].chunks(4).map(|w| u32::from_le_bytes(w.try_into().unwrap())).collect();
        for t in 0..THREADS {
            let first = t / subgroup * subgroup;
            let m = &x[first as usize..(first + subgroup).min(THREADS) as usize];
            let (lane, own) = ((t - first) as usize, x[t as usize]);
            let at = |lane: i64| usize::try_from(lane).ok().and_then(|l| m.get(l)).copied().unwrap_or(own);
            let word = |c: usize| {
                (0..m.len()).skip(c * 32).take(32).map(|l| ((m[l] < 3) as u32) << (l % 32)).fold(0, |a, b| a | b)
            };
            let mut want: Vec<u32> = [
                m.iter().sum::<i32>(),
                *m.iter().min().unwrap(),
                *m.iter().max().unwrap(),
                m.iter().fold(-1, |a, b| a & b),
                m.iter().fold(0, |a, b| a | b),
                m.iter().fold(0, |a, b| a ^ b),
                m[..=lane].iter().sum(),
                m[..lane].iter().sum(),
                at((lane ^ 3) as i64),
                m[0],
                at(3),
                m.iter().any(|v| *v < 3) as i32,
                m.iter().all(|v| *v < 3) as i32,
            ]
            .map(|v| v as u32)
            .to_vec();
            want.extend((0..4).map(word));
            let lane = lane as i64;
            for n in [0, 1, 5, u32::MAX as i64] {
                want.push(at(n) as u32);
            }
            for n in [0, 1, 5, u32::MAX as i64] {
                want.push(at(lane - n) as u32);
            }
            for n in [0, 1, 5, u32::MAX as i64] {
                want.push(at(lane + n) as u32);
            }
            for n in [0, 1, 5, u32::MAX as i64] {
                want.push(at(lane ^ n) as u32);
            }
            let got: Vec<u32> = (0..want.len()).map(|row| got[row * THREADS as usize + t as usize]).collect();
            assert_eq!(got, want, "thread {t} in subgroups of {subgroup}");
        }
    }
    let odd =
        run(&kernel, &mut [vec![0; 400], vec![0; 4]], &Bindings::new(), Options { subgroup: 6, ..Options::default() });
    assert_eq!(odd.unwrap_err().code, "S106");
}

#[test]
fn assertions_and_printed_lines() {
    let kernel = |limit: u32| {
        let mut b = Builder::new();
        let (lane, limit) = (b.builtin(Builtin::LocalIndex), b.uint(limit));
        let half = b.cast(lane, DType::F32);
        let half = b.splat(half, 2);
        let holds = b.map(ScalarOp::Lt, &[lane, limit]);
        b.effect(Op::Print("lane {} of {}: {}".into(), vec![lane, half, holds]));
        b.effect(Op::Assert(holds, "too many lanes".into()));
        b.finish("checks", [3, 1, 1], Dim::ONE)
    };
    crate::verify::verify(&kernel(3)).unwrap();
    let mut lines = Vec::new();
    let mut print = |line: Line<'_>| lines.push(line.text.to_string());
    run_printing(&kernel(3), &mut [], &Bindings::new(), Options::default(), &mut print).unwrap();
    assert_eq!(lines, ["lane 0 of (0, 0): true", "lane 1 of (1, 1): true", "lane 2 of (2, 2): true"]);
    let broken = run(&kernel(2), &mut [], &Bindings::new(), Options::default()).unwrap_err();
    assert_eq!(broken.code, "S107");
    assert!(broken.message.contains("thread 2 of workgroup 0: too many lanes"), "{broken}");
}

/// Wide and narrow numbers are exact: 64-bit integers wrap, f64 keeps its precision, f16 rounds once.
#[test]
fn wide_and_narrow_numbers() {
    fn check(dtype: DType, op: ScalarOp, args: [u64; 2], want: u64) {
        let bytes = dtype.bits() as usize / 8;
        let mut b = Builder::new();
        b.buffers.push(Buffer { name: "x".into(), elem: Ty::scalar(dtype), written: true, read_only: false });
        let at: Vec<ValueId> = (0..3).map(|i| b.uint(i)).collect();
        let (x, y) = (b.load(Space::Buffer(0), at[0]), b.load(Space::Buffer(0), at[1]));
        let z = b.map(op, &[x, y]);
        b.store(Space::Buffer(0), at[2], z);
        let kernel = b.finish("numbers", [1, 1, 1], Dim::ONE);
        crate::verify::verify(&kernel).unwrap();
        let raw: Vec<u8> = args.iter().chain(&[0]).flat_map(|v| v.to_le_bytes()[..bytes].to_vec()).collect();
        let mut buffers = [raw];
        run(&kernel, &mut buffers, &Bindings::new(), Options::default()).unwrap();
        assert_eq!(buffers[0][2 * bytes..], want.to_le_bytes()[..bytes], "{} of {dtype}", op.name());
    }
    check(DType::I64, ScalarOp::Add, [i64::MAX as u64, 1], i64::MIN as u64);
    check(DType::I64, ScalarOp::Mul, [-3i64 as u64, 1 << 61], (-3i64).wrapping_mul(1 << 61) as u64);
    check(DType::U64, ScalarOp::Div, [u64::MAX, 3], u64::MAX / 3);
    check(DType::U64, ScalarOp::Shr, [u64::MAX, 63], 1);
    check(DType::F64, ScalarOp::Add, [1f64.to_bits(), 1e-16f64.to_bits()], (1f64 + 1e-16).to_bits());
    check(DType::F64, ScalarOp::Div, [1f64.to_bits(), 3f64.to_bits()], (1f64 / 3.0).to_bits());
    let half = |v: f32| half::f16::from_f32(v).to_bits() as u64;
    check(DType::F16, ScalarOp::Mul, [half(1.001), half(1000.0)], half(half::f16::from_f32(1.001).to_f32() * 1000.0));
    check(DType::F16, ScalarOp::Add, [half(2048.0), half(1.0)], half(2048.0));
}

/// A kernel from a text cannot make the emulator take any amount of memory.
#[test]
fn unreasonable_kernels_are_refused() {
    let huge = "kernel @k workgroup [65536, 1, 1] groups 1 {\n  local a: u32[4000000000]\n  return\n}\n";
    let kernel = crate::parse(huge).unwrap();
    assert_eq!(run(&kernel, &mut [], &Bindings::new(), Options::default()).unwrap_err().code, "S106");
    let wide = crate::parse("kernel @k workgroup [65536, 65536, 65536] groups 1 {\n}\n").unwrap();
    assert_eq!(crate::verify::verify(&wide).unwrap_err().code, "S004");
    assert_eq!(run(&wide, &mut [], &Bindings::new(), Options::default()).unwrap_err().code, "S106");
}

/// What a lock or a counter orders between workgroups is no race; the same without it is one.
#[test]
fn atomic_operations_order_workgroups() {
    let kernel = |counts: bool| {
        let count = if counts { "%2 = atomic_add count[%0], %1 : u32" } else { "%2 = load count[%0] : u32" };
        let text = format!(
            "kernel @k workgroup [1, 1, 1] groups 3 {{\n  buffer count: u32 written\n  buffer sum: u32 written\n  %0 = 0 : u32\n  \
             %1 = 1 : u32\n  {count}\n  %3 = load sum[%0] : u32\n  %4 = add %3, %1 : u32\n  store sum[%0] = %4\n  {again}\n}}\n",
            again = count.replace("%2", "%5"),
        );
        crate::parse(&text).unwrap_or_else(|e| panic!("{e}\n{text}"))
    };
    let mut buffers = [vec![0; 4], vec![0; 4]];
    run(&kernel(true), &mut buffers, &Bindings::new(), Options::default()).unwrap();
    assert_eq!(buffers[1], 3u32.to_le_bytes());
    let race = run(&kernel(false), &mut buffers, &Bindings::new(), Options::default()).unwrap_err();
    assert_eq!(race.code, "S102", "{race}");
}
