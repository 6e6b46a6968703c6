//! Control flow, memory, subgroups and errors, one thing at a time.

use crate::common::*;
use crate::{device, exact, same, words};
use girih_base::{AtomicOp, Bindings, DType, Dim, Literal, ScalarOp};
use girih_simt::*;

const U32: Ty = Ty::scalar(DType::U32);
const F32: Ty = Ty::scalar(DType::F32);

fn buffer(name: &str, elem: Ty, written: bool) -> Buffer {
    Buffer { name: name.into(), elem, written, read_only: false }
}

/// Index of the thread in the grid.
fn global(b: &mut Builder, threads: u32) -> (ValueId, ValueId) {
    let (group, lane, n) = (b.builtin(Builtin::WorkgroupIndex), b.builtin(Builtin::LocalIndex), b.uint(threads));
    let base = b.mul(group, n);
    (b.add(base, lane), lane)
}

#[test]
fn a_guarded_map_over_a_ragged_end() {
    at_every_level(|| {
        for threads in [1, 7, 32, 64, 100, 256] {
            let mut b = Builder::new();
            b.buffers.push(buffer("x", F32, false));
            b.buffers.push(buffer("y", F32, true));
            let (i, _) = global(&mut b, threads);
            let n = b.uniform(&"n".into());
            let inside = b.map(ScalarOp::Lt, &[i, n]);
            b.if_then(inside, |b| {
                let x = b.load(Space::Buffer(0), i);
                let y = b.map(ScalarOp::Mul, &[x, x]);
                b.store(Space::Buffer(1), i, y);
            });
            let kernel = b.finish("square", [threads, 1, 1], Dim::symbol("n", 1, 1000).ceil_div(&Dim::from(threads)));
            for n in [1usize, 5, 64, 333] {
                let x = f32s(&Random(n as u64).floats(n));
                let sizes = Bindings::from([("n".into(), n as i64)]);
                same(&kernel, &[x, vec![0; n * 4]], &sizes, exact);
            }
        }
    });
}

/// Sums 256 floats per workgroup through workgroup memory, halving the number of threads each time.
fn tree() -> Kernel {
    let mut b = Builder::new();
    b.buffers.push(buffer("x", F32, false));
    b.buffers.push(buffer("y", F32, true));
    b.shared.push(Shared { name: "s".into(), elem: F32, len: 256 });
    let (i, lane) = global(&mut b, 256);
    let x = b.load(Space::Buffer(0), i);
    b.store(Space::Shared(0), lane, x);
    b.effect(Op::Barrier);
    let half = b.local("half", U32, None);
    let (start, zero) = (b.uint(128), b.uint(0));
    b.set(half, start);
    b.begin();
    let h = b.get(half);
    let done = b.map(ScalarOp::Eq, &[h, zero]);
    b.if_then(done, |b| b.effect(Op::Break));
    let low = b.map(ScalarOp::Lt, &[lane, h]);
    b.if_then(low, |b| {
        let other = b.add(lane, h);
        let (p, q) = (b.load(Space::Shared(0), lane), b.load(Space::Shared(0), other));
        let sum = b.add(p, q);
        b.store(Space::Shared(0), lane, sum);
    });
    b.effect(Op::Barrier);
    let one = b.uint(1);
    let h = b.map(ScalarOp::Shr, &[h, one]);
    b.set(half, h);
    let body = b.end();
    b.effect(Op::Loop(body));
    let first = b.map(ScalarOp::Eq, &[lane, zero]);
    b.if_then(first, |b| {
        let (group, sum) = (b.builtin(Builtin::WorkgroupIndex), b.load(Space::Shared(0), zero));
        b.store(Space::Buffer(1), group, sum);
    });
    b.finish("tree", [256, 1, 1], Dim::symbol("groups", 1, 100))
}

#[test]
fn a_tree_in_workgroup_memory() {
    at_every_level(|| {
        let x = f32s(&Random(3).floats(256 * 9));
        same(&tree(), &[x, vec![0; 36]], &Bindings::from([("groups".into(), 9)]), exact);
    });
}

#[test]
fn threads_leave_loops_at_different_times() {
    at_every_level(|| {
        let mut b = Builder::new();
        b.buffers.push(buffer("y", U32, true));
        let (i, lane) = global(&mut b, 40);
        let (one, three, five, limit) = (b.uint(1), b.uint(3), b.uint(5), b.uint(1000));
        let (count, sum) = (b.local("count", U32, None), b.local("sum", U32, None));
        b.begin();
        let c = b.get(count);
        let next = b.add(c, one);
        b.set(count, next);
        let done = b.map(ScalarOp::Gt, &[c, lane]);
        b.if_then(done, |b| b.effect(Op::Break));
        let rest = b.map(ScalarOp::Rem, &[c, three]);
        let skip = b.map(ScalarOp::Eq, &[rest, one]);
        b.if_then(skip, |b| b.effect(Op::Continue));
        let s = b.get(sum);
        let s = b.add(s, c);
        b.set(sum, s);
        let rest = b.map(ScalarOp::Rem, &[lane, five]);
        let (zero, ten) = (b.uint(0), b.uint(10));
        let fifth = b.map(ScalarOp::Eq, &[rest, zero]);
        let far = b.map(ScalarOp::Gt, &[c, ten]);
        let gone = b.map(ScalarOp::And, &[fifth, far]);
        b.if_then(gone, |b| {
            let s = b.get(sum);
            let s = b.add(s, limit);
            b.store(Space::Buffer(0), i, s);
            b.effect(Op::Return);
        });
        // A counted loop whose end differs between threads, with a break.
        b.begin();
        let index = b.fresh(U32);
        let far = b.map(ScalarOp::Gt, &[index, five]);
        b.if_then(far, |b| b.effect(Op::Break));
        let s = b.get(sum);
        let s = b.add(s, index);
        b.set(sum, s);
        let body = b.end();
        b.effect(Op::For { index, lo: rest, hi: lane, step: 2, uniform: false, body });
        let body = b.end();
        b.effect(Op::Loop(body));
        let (s, c) = (b.get(sum), b.get(count));
        let s = b.add(s, c);
        b.store(Space::Buffer(0), i, s);
        let kernel = b.finish("leave", [40, 1, 1], Dim::from(3));
        same(&kernel, &[words(std::iter::repeat_n(7, 120))], &Bindings::new(), exact);
    });
}

#[test]
fn loops_end_at_the_largest_number() {
    let mut b = Builder::new();
    b.buffers.push(buffer("y", U32, true));
    let (i, lane) = global(&mut b, 8);
    let (top, end) = (b.uint(u32::MAX - 9), b.uint(u32::MAX));
    let lo = b.add(top, lane);
    let count = b.local("count", U32, None);
    let one = b.uint(1);
    for lo in [lo, top] {
        b.for_loop(lo, end, 3, false, |b, _| {
            let c = b.get(count);
            let c = b.add(c, one);
            b.set(count, c);
        });
    }
    let c = b.get(count);
    b.store(Space::Buffer(0), i, c);
    let kernel = b.finish("top", [8, 1, 1], Dim::from(2));
    same(&kernel, &[vec![0; 64]], &Bindings::new(), exact);
}

#[test]
fn vectors_and_halves() {
    at_every_level(|| {
        for threads in [1u32, 20, 64] {
            let vec = |d, n| Ty::vec(d, n);
            let mut b = Builder::new();
            b.buffers.push(buffer("x", vec(DType::F32, 4), false));
            b.buffers.push(buffer("w", U32, false));
            b.buffers.push(buffer("y", vec(DType::F32, 4), true));
            b.buffers.push(buffer("z", vec(DType::U32, 3), true));
            b.buffers.push(buffer("h", U32, true));
            b.buffers.push(buffer("p", vec(DType::F16, 2), true));
            b.shared.push(Shared { name: "s".into(), elem: vec(DType::F32, 3), len: 64 });
            let (i, lane) = global(&mut b, threads);
            let x = b.load(Space::Buffer(0), i);
            let w = b.load(Space::Buffer(1), i);
            let pair = b.push(Op::UnpackHalf(w), vec(DType::F32, 2));
            let two = b.constant(Literal::float(2.0), vec(DType::F32, 4));
            let doubled = b.map(ScalarOp::Mul, &[x, two]);
            let (p0, p1) = (b.component(pair, 0), b.component(pair, 1));
            let splat = b.splat(p0, 4);
            let sum = b.add(doubled, splat);
            let three = b.uint(3);
            let at = b.map(ScalarOp::And, &[lane, three]);
            let chosen = b.push(Op::ComponentAt(sum, at), F32);
            let (c0, c3) = (b.component(sum, 0), b.component(x, 3));
            let mixed = b.push(Op::MakeVec(vec![chosen, p1, c0, c3]), vec(DType::F32, 4));
            let low = b.map(ScalarOp::Lt, &[chosen, p1]);
            let picked = b.map(ScalarOp::Select, &[low, mixed, sum]);
            b.store(Space::Buffer(2), i, picked);
            let trio = b.push(Op::MakeVec(vec![chosen, c0, p0]), vec(DType::F32, 3));
            b.store(Space::Shared(0), lane, trio);
            b.effect(Op::Barrier);
            let trio = b.load(Space::Shared(0), lane);
            let bits = b.bitcast(trio, DType::U32);
            b.store(Space::Buffer(3), i, bits);
            let pair = b.push(Op::MakeVec(vec![chosen, c3]), vec(DType::F32, 2));
            let packed = b.push(Op::PackHalf(pair), U32);
            b.store(Space::Buffer(4), i, packed);
            let half = b.cast(pair, DType::F16);
            let half = b.map(ScalarOp::Add, &[half, half]);
            b.store(Space::Buffer(5), i, half);
            let kernel = b.finish("vectors", [threads, 1, 1], Dim::from(3));
            let n = threads as usize * 3;
            let mut r = Random(5);
            let x = f32s(&r.floats(n * 4));
            let w = words((0..n).map(|_| half::f16::from_f32(r.unit()).to_bits() as u32 * 0x10001));
            let data = [x, w, vec![0; n * 16], vec![0; n * 12], vec![0; n * 4], vec![0; n * 4]];
            same(&kernel, &data, &Bindings::new(), exact);
        }
    });
}

#[test]
fn arrays_of_threads() {
    at_every_level(|| {
        let mut b = Builder::new();
        b.buffers.push(buffer("y", U32, true));
        let (i, lane) = global(&mut b, 33);
        let a = b.local("a", U32, Some(7));
        let same_for_all = b.local("t", Ty::vec(DType::U32, 2), Some(3));
        let (zero, seven, two, three) = (b.uint(0), b.uint(7), b.uint(2), b.uint(3));
        b.for_loop(zero, seven, 1, true, |b, k| {
            let v = b.mul(k, lane);
            b.store(Space::Local(a), k, v);
            let at = b.map(ScalarOp::Rem, &[k, three]);
            let pair = b.push(Op::MakeVec(vec![k, two]), Ty::vec(DType::U32, 2));
            b.store(Space::Local(same_for_all), at, pair);
        });
        let odd = b.map(ScalarOp::Rem, &[lane, two]);
        let odd = b.map(ScalarOp::Ne, &[odd, zero]);
        let mine = b.map(ScalarOp::Rem, &[lane, seven]);
        b.if_then(odd, |b| {
            let v = b.uint(1000);
            b.store(Space::Local(a), mine, v);
            b.store(Space::Local(a), two, lane);
        });
        let x = b.load(Space::Local(a), mine);
        let y = b.load(Space::Local(a), two);
        let third = b.map(ScalarOp::Rem, &[lane, three]);
        let t = b.load(Space::Local(same_for_all), third);
        let t = b.component(t, 0);
        let sum = b.add(x, y);
        let sum = b.mul(sum, seven);
        let sum = b.add(sum, t);
        b.store(Space::Buffer(0), i, sum);
        let kernel = b.finish("arrays", [33, 1, 1], Dim::from(2));
        same(&kernel, &[vec![0; 66 * 4]], &Bindings::new(), exact);
    });
}

#[test]
fn subgroups() {
    at_every_level(|| {
        for threads in [8u32, 32, 64, 128] {
            let mut b = Builder::new();
            b.buffers.push(buffer("x", F32, false));
            b.buffers.push(buffer("y", F32, true));
            let (i, lane) = global(&mut b, threads);
            let x = b.load(Space::Buffer(0), i);
            let ops = [
                SubgroupOp::Add,
                SubgroupOp::Min,
                SubgroupOp::Max,
                SubgroupOp::ShuffleXor(1),
                SubgroupOp::ShuffleXor(4),
                SubgroupOp::BroadcastFirst,
            ];
            let (width, size, me) = (b.uint(8), b.builtin(Builtin::SubgroupSize), b.builtin(Builtin::SubgroupLane));
            let base = b.mul(i, width);
            for (k, op) in ops.into_iter().enumerate() {
                let v = b.push(Op::Subgroup(op, x), F32);
                let k = b.uint(k as u32);
                let at = b.add(base, k);
                b.store(Space::Buffer(1), at, v);
            }
            let (k, more) = (b.uint(6), b.add(size, me));
            let more = b.mul(more, lane);
            let more = b.cast(more, DType::F32);
            let at = b.add(base, k);
            b.store(Space::Buffer(1), at, more);
            let kernel = b.finish("subgroups", [threads, 1, 1], Dim::from(2));
            let n = threads as usize * 2;
            same(&kernel, &[f32s(&Random(9).floats(n)), vec![0; n * 32]], &Bindings::new(), exact);
        }
    });
}

/// Every operation across a subgroup, whole and partial ones, and shuffles by lanes that do and do not exist.
#[test]
fn every_subgroup_operation() {
    at_every_level(|| {
        for threads in [8u32, 32, 40, 128] {
            let mut b = Builder::new();
            b.buffers.push(buffer("x", Ty::scalar(DType::I32), false));
            b.buffers.push(buffer("y", U32, true));
            let (i, lane) = global(&mut b, threads);
            let (x, limit) = (b.load(Space::Buffer(0), i), b.int(3));
            let yes = b.map(ScalarOp::Lt, &[x, limit]);
            let mut rows = Vec::new();
            for op in SubgroupOp::all(3).into_iter().chain([SubgroupOp::Broadcast(200), SubgroupOp::ShuffleXor(33)]) {
                let (of, ty) = match op {
                    SubgroupOp::Any | SubgroupOp::All => (yes, Ty::scalar(DType::Bool)),
                    SubgroupOp::Ballot => (yes, Ty::vec(DType::U32, 4)),
                    _ => (x, Ty::scalar(DType::I32)),
                };
                let v = b.push(Op::Subgroup(op, of), ty);
                match ty.lanes {
                    4 => rows.extend((0..4).map(|c| b.component(v, c))),
                    _ => rows.push(b.cast(v, DType::U32)),
                }
            }
            let constants: Vec<_> = [0, 1, 5, 1000, u32::MAX].into_iter().map(|n| b.uint(n)).collect();
            for kind in Shuffle::ALL {
                for n in constants.iter().copied().chain([lane]) {
                    let v = b.push(Op::Shuffle(kind, x, n), Ty::scalar(DType::I32));
                    rows.push(b.cast(v, DType::U32));
                }
            }
            let (n, total) = (rows.len(), b.uint(2 * threads));
            for (row, v) in rows.into_iter().enumerate() {
                let row = b.uint(row as u32);
                let base = b.mul(row, total);
                let at = b.add(base, i);
                b.store(Space::Buffer(1), at, v);
            }
            let kernel = b.finish("operations", [threads, 1, 1], Dim::from(2));
            let x: Vec<u8> = (0..2 * threads as i32).flat_map(|i| ((i * 7919) % 23 - 5).to_le_bytes()).collect();
            same(&kernel, &[x, vec![0; n * 8 * threads as usize]], &Bindings::new(), exact);
        }
    });
}

/// The first thread that breaks a promise is named, and only running threads are asked; printing is for the emulator.
#[test]
fn assertions() {
    let kernel = |limit: u32, print: bool| {
        let mut b = Builder::new();
        b.buffers.push(buffer("x", U32, true));
        let (i, lane) = global(&mut b, 64);
        let (half, limit) = (b.uint(32), b.uint(limit));
        let low = b.map(ScalarOp::Lt, &[lane, half]);
        b.if_then(low, |b| {
            let holds = b.map(ScalarOp::Lt, &[i, limit]);
            b.effect(Op::Assert(holds, "i < limit".into()));
            b.store(Space::Buffer(0), i, lane);
        });
        if print {
            b.effect(Op::Print("{}".into(), vec![lane]));
        }
        b.finish("asserts", [64, 1, 1], Dim::from(2))
    };
    device(&kernel(96, false), &[vec![0; 512]], &Bindings::new(), 1).unwrap();
    let broken = device(&kernel(70, false), &[vec![0; 512]], &Bindings::new(), 1).unwrap_err();
    assert_eq!(broken.code, "X013");
    assert!(broken.message.contains("i < limit"), "{broken}");
    assert_eq!(broken.notes, ["in block (1), thread (6, 0, 0)"]);
    device(&kernel(96, true), &[vec![0; 512]], &Bindings::new(), 1).unwrap();
}

/// A histogram in workgroup memory, then in a buffer; with `ticket`, threads also take numbers from a counter.
fn histogram(ticket: bool) -> Kernel {
    let mut b = Builder::new();
    b.buffers.push(buffer("x", U32, false));
    b.buffers.push(buffer("bins", U32, true));
    b.buffers.push(buffer("low", Ty::scalar(DType::I32), true));
    b.buffers.push(buffer("order", U32, true));
    b.shared.push(Shared { name: "s".into(), elem: U32, len: 16 });
    let (i, lane) = global(&mut b, 64);
    let (fifteen, one, zero, sixteen) = (b.uint(15), b.uint(1), b.uint(0), b.uint(16));
    let atomic = |b: &mut Builder, op, space, at, x, ty| b.push(Op::Atomic(op, space, at, x), ty);
    let x = b.load(Space::Buffer(0), i);
    let bin = b.map(ScalarOp::And, &[x, fifteen]);
    let few = b.map(ScalarOp::Lt, &[lane, sixteen]);
    b.if_then(few, |b| b.store(Space::Shared(0), lane, zero));
    b.effect(Op::Barrier);
    atomic(&mut b, AtomicOp::Add, Space::Shared(0), bin, one, U32);
    b.effect(Op::Barrier);
    b.if_then(few, |b| {
        let n = atomic(b, AtomicOp::Add, Space::Shared(0), lane, zero, U32);
        atomic(b, AtomicOp::Add, Space::Buffer(1), lane, n, U32);
    });
    let signed = b.bitcast(x, DType::I32);
    atomic(&mut b, AtomicOp::Min, Space::Buffer(2), zero, signed, Ty::scalar(DType::I32));
    atomic(&mut b, AtomicOp::Max, Space::Buffer(2), one, signed, Ty::scalar(DType::I32));
    if ticket {
        let all = b.uint(16);
        let n = atomic(&mut b, AtomicOp::Add, Space::Buffer(1), all, one, U32);
        b.store(Space::Buffer(3), n, i);
        let before = b.push(Op::CompareExchange(Space::Buffer(1), one, zero, one), U32);
        let sum = b.add(before, n);
        atomic(&mut b, AtomicOp::Xor, Space::Buffer(1), all, zero, U32);
        b.store(Space::Buffer(3), n, sum);
    }
    b.finish("histogram", [64, 1, 1], Dim::from(20))
}

#[test]
fn atomics_in_any_order_and_in_order() {
    at_every_level(|| {
        let mut r = Random(1);
        let x = words((0..64 * 20).map(|_| r.bits() as u32));
        let data = [x, vec![0; 17 * 4], words([i32::MAX as u32, i32::MIN as u32]), vec![0; 64 * 20 * 4]];
        same(&histogram(false), &data, &Bindings::new(), exact);
        same(&histogram(true), &data, &Bindings::new(), exact);
    });
}

#[test]
fn accesses_outside_are_stopped_and_named() {
    let run = |array: &str, at: u32, n: usize| {
        let mut b = Builder::new();
        b.buffers.push(buffer("data", U32, true));
        b.shared.push(Shared { name: "tile".into(), elem: U32, len: 64 });
        let own = b.local("own", U32, Some(64));
        let (i, lane) = global(&mut b, 64);
        let far = b.uint(at);
        let at = b.add(lane, far);
        let thirty = b.uint(30);
        let some = b.map(ScalarOp::Lt, &[lane, thirty]);
        b.if_then(some, |b| match array {
            "data" => b.store(Space::Buffer(0), at, i),
            "tile" => b.store(Space::Shared(0), at, i),
            _ => {
                let v = b.load(Space::Local(own), at);
                b.store(Space::Buffer(0), lane, v);
            }
        });
        device(&b.finish("far", [64, 1, 1], Dim::from(4)), &[vec![0; n]], &Bindings::new(), 2)
    };
    for array in ["data", "tile", "own"] {
        run(array, 34, 256).unwrap();
        let refused = run(array, 35, 256).unwrap_err();
        assert_eq!(refused.code, "X103");
        let text = refused.to_string();
        assert!(text.contains("`far` reaches element 64 of `") && text.contains(array), "{text}");
        assert!(text.contains("thread 29 of workgroup 0"), "{text}");
        assert_eq!(run(array, u32::MAX - 3, 256).unwrap_err().code, "X103");
    }
    assert_eq!(run("data", 0, 0).unwrap_err().code, "X103");
}

#[test]
fn launches_are_checked() {
    let sizes = Bindings::from([("groups".into(), 1)]);
    let x = || vec![0; 1024];
    assert_eq!(device(&tree(), &[x()], &sizes, 1).unwrap_err().code, "X104");
    assert_eq!(device(&tree(), &[x(), x()], &Bindings::new(), 1).unwrap_err().code, "X104");
    let huge = Bindings::from([("groups".into(), 1 << 40)]);
    assert_eq!(device(&tree(), &[x(), x()], &huge, 1).unwrap_err().code, "X104");
    let b = Builder::new();
    let wide = b.finish("wide", [1 << 15, 1, 1], Dim::from(1));
    assert_eq!(device(&wide, &[], &Bindings::new(), 1).unwrap_err().code, "X102");
    let mut b = Builder::new();
    b.shared.push(Shared { name: "s".into(), elem: Ty::vec(DType::F64, 4), len: u32::MAX });
    let large = b.finish("large", [1, 1, 1], Dim::from(1));
    assert_eq!(device(&large, &[], &Bindings::new(), 1).unwrap_err().code, "X102");
}

#[test]
fn halves_of_wide_scalars() {
    let mut b = Builder::new();
    b.buffers.push(buffer("y", U32, true));
    let (low, high) = (b.uniform(&"n".into()), b.uniform(&"n.hi".into()));
    let (zero, one) = (b.uint(0), b.uint(1));
    b.store(Space::Buffer(0), zero, low);
    b.store(Space::Buffer(0), one, high);
    let kernel = b.finish("halves", [1, 1, 1], Dim::ONE);
    let sizes = Bindings::from([("n".into(), -2)]);
    let got = device(&kernel, &[vec![0; 8]], &sizes, 1).unwrap();
    assert_eq!(got[0], words([u32::MAX - 1, u32::MAX]));
}

/// A variable that is written once is a view of what was written, which is then needed to the end of a loop that reads it.
#[test]
fn what_a_loop_reads_through_a_variable_lives_as_long_as_the_loop() {
    let kernel = girih_simt::parse(
        "kernel @k workgroup [8, 1, 1] groups 1 {
  buffer d: u32 written
  local x: u32
  local i: u32
  %0 = local_index : u32
  %1 = load d[%0] : u32
  %2 = add %1, %0 : u32
  set x = %2
  %3 = 0 : u32
  set i = %3
  loop {
    %4 = get i : u32
    %5 = 3 : u32
    %6 = ge %4, %5 : bool
    if %6 {
      break
    }
    %7 = get x : u32
    %8 = load d[%0] : u32
    %9 = mul %8, %7 : u32
    %10 = add %9, %0 : u32
    %11 = mul %9, %0 : u32
    %12 = xor %10, %11 : u32
    %13 = add %12, %10 : u32
    %14 = add %13, %11 : u32
    %15 = add %14, %12 : u32
    store d[%0] = %15
    %16 = 1 : u32
    %17 = add %4, %16 : u32
    set i = %17
  }
}
",
    )
    .unwrap();
    same(&kernel, &[words(3..11)], &Bindings::new(), exact);
}

/// Threads that stride over an array, counted and with a variable, where nothing wraps around and where it does.
#[test]
fn strides() {
    let kernel = |first: &str, end: &str, step: &str, counted: bool| {
        let lo = "%1 = local_index : u32\n  %2 = uniform first : u32\n  %3 = add %1, %2 : u32\n  %4 = uniform end : u32\n  %5 = uniform step : u32";
        let body = "%20 = and %10, %9 : u32\n  %21 = load x[%20] : u32\n  %22 = get sum : u32\n  %23 = add %22, %21 : u32\n  set sum = %23";
        let walk = if counted {
            format!("for %10 in %3..%4 step 24 {{\n  {body}\n  }}")
        } else {
            format!(
                "set i = %3\n  loop {{\n  %11 = get i : u32\n  %12 = lt %11, %4 : bool\n  %15 = not %12 : bool\n  if %15 {{\n  break\n  }}\n  \
                 %10 = get i : u32\n  {body}\n  %13 = get i : u32\n  %14 = add %13, %5 : u32\n  set i = %14\n  }}"
            )
        };
        let text = format!(
            "kernel @k workgroup [24, 1, 1] groups 2 {{\n  buffer x: u32 read-only\n  buffer y: u32 written\n  uniform first\n  uniform end\n  \
             uniform step\n  local sum: u32\n  local i: u32\n  %0 = 0 : u32\n  %9 = 63 : u32\n  set sum = %0\n  {lo}\n  {walk}\n  %30 = get sum : u32\n  \
             %31 = workgroup_index : u32\n  %32 = 24 : u32\n  %33 = mul %31, %32 : u32\n  %34 = add %33, %1 : u32\n  store y[%34] = %30\n}}\n"
        );
        // Values are numbered without gaps.
        let (mut seen, mut dense) = (Vec::new(), String::new());
        for (i, part) in text.split('%').enumerate() {
            let end = part.find(|c: char| !c.is_ascii_digit()).unwrap_or(part.len());
            let (id, rest) = if i == 0 { ("", part) } else { part.split_at(end) };
            if i > 0 {
                let at = seen.iter().position(|s| *s == id).unwrap_or(seen.len());
                seen.resize(seen.len().max(at + 1), id);
                dense.push_str(&format!("%{at}"));
            }
            dense.push_str(rest);
        }
        let kernel = girih_simt::parse(&dense).unwrap_or_else(|e| panic!("{e}\n{dense}"));
        let number = |t: &str| t.parse::<i64>().unwrap();
        let sizes = [("first", first), ("end", end), ("step", step)].map(|(n, v)| (n.into(), number(v))).into();
        same(&kernel, &[words((0..64).map(|i| i * i)), words([0; 48])], &sizes, exact);
    };
    for (first, end) in [("0", "100"), ("7", "8"), ("50", "20"), ("-10", "60"), ("4294967290", "40"), ("3", "0")] {
        kernel(first, end, "24", true);
        if first != "4294967290" && end != "0" {
            for step in ["24", "1", "100"] {
                kernel(first, end, step, false);
            }
        }
    }
}
