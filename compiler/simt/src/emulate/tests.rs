#![allow(clippy::unwrap_used, clippy::panic)]

use super::{Options, run};
use crate::*;
use girih_base::{AtomicOp, Bindings, DType, Dim};

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
