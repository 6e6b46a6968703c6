//! Barriers, atomics, half floats, many workgroups, sizes, loops, literals.

use crate::harness::*;
use girih_base::{Bindings, DType, Dim, ScalarOp};
use girih_simt::*;

pub const F32: Ty = Ty::scalar(DType::F32);
pub const U32: Ty = Ty::scalar(DType::U32);

/// Sum of each 256 elements through workgroup memory, in a tree.
pub fn sum256() -> Kernel {
    let mut b = Builder::new();
    b.buffers.extend([input("x", F32), output("sums", F32)]);
    b.shared.push(Shared { name: "partial".into(), elem: F32, len: 256 });
    let i = thread(&mut b, 256);
    let lane = b.builtin(Builtin::LocalIndex);
    let x = b.load(Space::Buffer(0), i);
    b.store(Space::Shared(0), lane, x);
    b.effect(Op::Comment("a tree in workgroup memory".into()));
    for step in [128, 64, 32, 16, 8, 4, 2, 1] {
        b.effect(Op::Barrier);
        let n = b.uint(step);
        let first = b.map(ScalarOp::Lt, &[lane, n]);
        b.if_then(first, |b| {
            let other = b.add(lane, n);
            let (p, q) = (b.load(Space::Shared(0), lane), b.load(Space::Shared(0), other));
            let sum = b.add(p, q);
            b.store(Space::Shared(0), lane, sum);
        });
    }
    let zero = b.uint(0);
    let head = b.map(ScalarOp::Eq, &[lane, zero]);
    b.if_then(head, |b| {
        let (group, total) = (b.builtin(Builtin::WorkgroupIndex), b.load(Space::Shared(0), zero));
        b.store(Space::Buffer(1), group, total);
    });
    b.finish("sum256", [256, 1, 1], Dim::symbol("rows", 1, 1000))
}

#[test]
fn reductions_with_barriers() {
    let Some(mut device) = device() else { return };
    let data: Vec<f32> = (0..1024).map(|i| (i % 17) as f32 - 3.0).collect();
    let mut buffers = [words(data.iter().map(|v| v.to_bits())), vec![0; 16]];
    run(&mut device, &sum256(), &mut buffers, &Bindings::from([("rows".into(), 4)]));
    let want: Vec<u32> = data.chunks(256).map(|c| c.iter().sum::<f32>().to_bits()).collect();
    assert_eq!(to_words(&buffers[1]), want);
}

/// Counts, extremes and a compare-and-exchange sum of floats.
pub fn atomics() -> Kernel {
    let mut b = Builder::new();
    b.buffers.extend([output("counts", U32), output("total", U32)]);
    let i = thread(&mut b, 64);
    let (zero, one, two, three) = (b.uint(0), b.uint(1), b.uint(2), b.uint(3));
    b.push(Op::Atomic(AtomicOp::Add, Space::Buffer(0), zero, one), U32);
    b.push(Op::Atomic(AtomicOp::Max, Space::Buffer(0), one, i), U32);
    b.push(Op::Atomic(AtomicOp::Or, Space::Buffer(0), two, i), U32);
    let old = b.push(Op::Atomic(AtomicOp::Add, Space::Buffer(0), three, i), U32);
    let _ = old;
    // total[0] += 0.5 as a float.
    b.begin();
    let before = b.load(Space::Buffer(1), zero);
    let (sum, half) = (b.bitcast(before, DType::F32), b.constant(Literal::float(0.5), F32));
    let sum = b.add(sum, half);
    let after = b.bitcast(sum, DType::U32);
    let seen = b.push(Op::CompareExchange(Space::Buffer(1), zero, before, after), U32);
    let done = b.map(ScalarOp::Eq, &[seen, before]);
    b.if_then(done, |b| b.effect(Op::Break));
    let body = b.end();
    b.effect(Op::Loop(body));
    b.finish("atomics", [64, 1, 1], Dim::from(5))
}

#[test]
fn atomic_operations() {
    let Some(mut device) = device() else { return };
    let mut buffers = [vec![0; 16], vec![0; 4]];
    run(&mut device, &atomics(), &mut buffers, &Bindings::new());
    assert_eq!(to_words(&buffers[0]), [320, 319, 511, 319 * 320 / 2]);
    assert_eq!(f32::from_bits(to_words(&buffers[1])[0]), 160.0);
}

/// Unpacks halves, doubles them, packs them.
pub fn halves() -> Kernel {
    let mut b = Builder::new();
    b.buffers.extend([
        input("pairs", U32),
        input("values", Ty::vec(DType::F32, 2)),
        output("doubled", U32),
        output("packed", U32),
    ]);
    let i = thread(&mut b, 64);
    let pair = b.load(Space::Buffer(0), i);
    let pair = b.push(Op::UnpackHalf(pair), Ty::vec(DType::F32, 2));
    let twice = b.map(ScalarOp::Add, &[pair, pair]);
    let word = b.push(Op::PackHalf(twice), U32);
    b.store(Space::Buffer(2), i, word);
    let value = b.load(Space::Buffer(1), i);
    let word = b.push(Op::PackHalf(value), U32);
    b.store(Space::Buffer(3), i, word);
    b.finish("halves", [64, 1, 1], Dim::symbol("n", 1, 1 << 12))
}

#[test]
fn half_floats_round_to_nearest_even() {
    use half::f16;
    let Some(mut device) = device() else { return };
    let pairs: Vec<u32> = (0..1u32 << 15).map(|i| (2 * i) | ((2 * i + 1) << 16)).collect();
    let n = pairs.len();
    // Around every half and its neighbours' midpoint.
    let value = |i: usize| {
        let h = f16::from_bits((i * 2 + 1) as u16).to_f32().to_bits();
        f32::from_bits(h.wrapping_add([0, 0x1000, 0xfff, 0x1001][i % 4]))
    };
    let values: Vec<f32> = (0..n).flat_map(|i| [value(i), value(n - 1 - i)]).collect();
    let mut buffers =
        [words(pairs.iter().copied()), words(values.iter().map(|v| v.to_bits())), vec![0; 4 * n], vec![0; 4 * n]];
    run(&mut device, &halves(), &mut buffers, &Bindings::from([("n".into(), (n / 64) as i64)]));
    let same = |got: u16, want: f16| got == want.to_bits() || (want.is_nan() && f16::from_bits(got).is_nan());
    let (doubled, packed) = (to_words(&buffers[2]), to_words(&buffers[3]));
    for i in 0..n {
        for side in 0..2 {
            let x = f16::from_bits((pairs[i] >> (16 * side)) as u16);
            let got = (doubled[i] >> (16 * side)) as u16;
            assert!(same(got, f16::from_f32(2.0 * x.to_f32())), "2 * {x:?}: got {:?}", f16::from_bits(got));
            let v = values[2 * i + side as usize];
            let got = (packed[i] >> (16 * side)) as u16;
            assert!(
                same(got, f16::from_f32(v)),
                "{v:?} ({:x}): got {got:x}, want {:x}",
                v.to_bits(),
                f16::from_f32(v).to_bits()
            );
        }
    }
}

/// Marks the element of each workgroup.
pub fn mark(groups: Dim) -> Kernel {
    let mut b = Builder::new();
    b.buffers.push(output("seen", U32));
    let (group, one) = (b.builtin(Builtin::WorkgroupIndex), b.uint(1));
    let x = b.load(Space::Buffer(0), group);
    let x = b.add(x, one);
    b.store(Space::Buffer(0), group, x);
    b.finish("mark", [1, 1, 1], groups)
}

#[test]
fn more_workgroups_than_one_axis_holds() {
    let Some(mut device) = device() else { return };
    let n = 150_001u32;
    for groups in [Dim::from(n), Dim::symbol("groups", 1, 1 << 20)] {
        let mut buffers = [vec![0; 4 * n as usize + 400]];
        run(&mut device, &mark(groups), &mut buffers, &Bindings::from([("groups".into(), n as i64)]));
        let seen = to_words(&buffers[0]);
        assert!(seen[..n as usize].iter().all(|v| *v == 1), "every workgroup runs once");
        assert!(seen[n as usize..].iter().all(|v| *v == 0), "and no other");
    }
}

/// Literals that must keep their bits, vectors, local arrays, loops, sizes.
pub fn assorted(bits: &[u32]) -> Kernel {
    let mut b = Builder::new();
    b.buffers.extend([output("out", F32), output("sums", U32)]);
    let table = b.local("table", Ty::vec(DType::U32, 4), Some(4));
    let total = b.local("total", U32, None);
    for (i, v) in bits.iter().enumerate() {
        let at = b.uint(i as u32);
        let x = b.constant(Literal::float(f32::from_bits(*v) as f64), F32);
        b.store(Space::Buffer(0), at, x);
    }
    let (zero, four, one) = (b.uint(0), b.uint(4), b.uint(1));
    b.for_loop(zero, four, 1, true, |b, i| {
        let v = b.splat(i, 4);
        let k = b.uint(10);
        let w = b.splat(k, 4);
        let v = b.mul(v, w);
        b.store(Space::Local(table), i, v);
    });
    let n = b.uniform(&"n".into());
    b.for_loop(zero, n, 2, true, |b, i| {
        let three = b.uint(3);
        let at = b.map(ScalarOp::And, &[i, three]);
        let v = b.load(Space::Local(table), at);
        let x = b.push(Op::ComponentAt(v, at), U32);
        let (old, i1) = (b.get(total), b.add(i, one));
        let sum = b.add(old, x);
        let sum = b.add(sum, i1);
        b.set(total, sum);
    });
    let t = b.get(total);
    b.store(Space::Buffer(1), zero, t);
    b.finish("assorted", [1, 1, 1], Dim::ONE)
}

#[test]
fn literals_keep_their_bits_and_loops_count() {
    let Some(mut device) = device() else { return };
    let mut bits: Vec<u32> =
        [0.1f32, -0.0, 1e-45, f32::MIN_POSITIVE, f32::MAX, f32::INFINITY, f32::NEG_INFINITY, 16777217.0, 1.0 / 3.0]
            .iter()
            .map(|v| v.to_bits())
            .collect();
    bits.extend((0..39u32).map(|i| (i.wrapping_mul(0x9e37_79b9) >> 2) | 0x2000_0000));
    let mut buffers = [vec![0; bits.len() * 4], vec![0; 4]];
    run(&mut device, &assorted(&bits), &mut buffers, &Bindings::from([("n".into(), 7)]));
    assert_eq!(to_words(&buffers[0]), bits);
    // i = 0, 2, 4, 6: table 0, 20, 0, 20, plus i + 1.
    assert_eq!(to_words(&buffers[1]), [40 + 1 + 3 + 5 + 7]);
}

#[test]
fn a_divergent_barrier_is_refused() {
    let mut b = Builder::new();
    let (lane, two) = (b.builtin(Builtin::LocalIndex), b.uint(2));
    let low = b.map(ScalarOp::Lt, &[lane, two]);
    b.if_then(low, |b| b.effect(Op::Barrier));
    let kernel = b.finish("divergent", [4, 1, 1], Dim::ONE);
    assert_eq!(girih_wgpu::wgsl::print(&kernel).unwrap_err().code, "S003");
}

/// The sum over each subgroup and the value of the neighbour lane.
pub fn subgroups() -> Kernel {
    let mut b = Builder::new();
    b.buffers.extend([output("sums", U32), output("neighbours", U32), output("size", U32)]);
    let (lane, zero) = (b.builtin(Builtin::LocalIndex), b.uint(0));
    let sum = b.push(Op::Subgroup(SubgroupOp::Add, lane), U32);
    let other = b.push(Op::Subgroup(SubgroupOp::ShuffleXor(1), lane), U32);
    b.store(Space::Buffer(0), lane, sum);
    b.store(Space::Buffer(1), lane, other);
    let size = b.builtin(Builtin::SubgroupSize);
    b.store(Space::Buffer(2), zero, size);
    b.finish("subgroups", [64, 1, 1], Dim::ONE)
}

#[test]
fn subgroup_operations() {
    let Some(mut device) = device() else { return };
    if !device.compiler().features().contains(wgpu::Features::SUBGROUP) {
        eprintln!("skipped, since the adapter has no subgroups");
        return;
    }
    let mut buffers = [vec![0; 256], vec![0; 256], vec![0; 4]];
    run(&mut device, &subgroups(), &mut buffers, &Bindings::new());
    let size = to_words(&buffers[2])[0];
    for (lane, (sum, other)) in to_words(&buffers[0]).into_iter().zip(to_words(&buffers[1])).enumerate() {
        let first = lane as u32 / size * size;
        assert_eq!(sum, (first..(first + size).min(64)).sum::<u32>(), "lane {lane} of subgroups of {size}");
        assert_eq!(other, lane as u32 ^ 1);
    }
    let text = device.compiler().emit(&subgroups()).unwrap().text;
    assert!(girih_wgpu::wgsl::for_browsers(&text).starts_with("enable subgroups;"));
    assert!(girih_wgpu::WgpuTarget::webgpu().emit(&subgroups()).is_err_and(|d| d.code == "W002"));
}

/// Every operation across a subgroup, and shuffles by lanes that do and do not exist: one result per row.
fn all_subgroup_operations() -> Kernel {
    const I32: Ty = Ty::scalar(DType::I32);
    let mut b = Builder::new();
    b.buffers.extend([input("x", I32), output("y", U32), output("size", U32)]);
    let (lane, zero, limit) = (b.builtin(Builtin::LocalIndex), b.uint(0), b.int(3));
    let x = b.load(Space::Buffer(0), lane);
    let yes = b.map(ScalarOp::Lt, &[x, limit]);
    let mut rows = Vec::new();
    for op in SubgroupOp::all(3).into_iter().chain([SubgroupOp::Broadcast(200)]) {
        let (of, ty) = match op {
            SubgroupOp::Any | SubgroupOp::All => (yes, Ty::scalar(DType::Bool)),
            SubgroupOp::Ballot => (yes, Ty::vec(DType::U32, 4)),
            _ => (x, I32),
        };
        let v = b.push(Op::Subgroup(op, of), ty);
        rows.push(if ty.lanes == 4 { b.component(v, 0) } else { b.cast(v, DType::U32) });
    }
    for kind in Shuffle::ALL {
        for n in [0, 1, 5, 1000, u32::MAX] {
            let n = b.uint(n);
            let n = b.add(n, zero);
            let v = b.push(Op::Shuffle(kind, x, n), I32);
            rows.push(b.cast(v, DType::U32));
        }
        let own = b.component(lane, 0);
        let v = b.push(Op::Shuffle(kind, x, own), I32);
        rows.push(b.cast(v, DType::U32));
    }
    let threads = b.uint(64);
    for (row, v) in rows.into_iter().enumerate() {
        let row = b.uint(row as u32);
        let base = b.mul(row, threads);
        let at = b.add(base, lane);
        b.store(Space::Buffer(1), at, v);
    }
    let size = b.builtin(Builtin::SubgroupSize);
    b.store(Space::Buffer(2), zero, size);
    b.finish("all_subgroup_operations", [64, 1, 1], Dim::ONE)
}

#[test]
fn every_subgroup_operation_is_the_emulators() {
    let Some(mut device) = device() else { return };
    if !device.compiler().features().contains(wgpu::Features::SUBGROUP) {
        eprintln!("skipped, since the adapter has no subgroups");
        return;
    }
    let x: Vec<u8> = (0..64i32).flat_map(|i| ((i * 7919) % 23 - 5).to_le_bytes()).collect();
    let kernel = all_subgroup_operations();
    let rows = 15 + 4 * 6;
    let mut buffers = [x.clone(), vec![0; rows * 256], vec![0; 4]];
    run(&mut device, &kernel, &mut buffers, &Bindings::new());
    let subgroup = to_words(&buffers[2])[0];
    let options = girih_simt::emulate::Options { subgroup, ..Default::default() };
    let mut want = [x, vec![0; rows * 256], vec![0; 4]];
    // All threads store the size to one element.
    let mut single = kernel.clone();
    single.body.truncate(single.body.len() - 1);
    girih_simt::emulate::run(&single, &mut want, &Bindings::new(), options).unwrap();
    let (got, want) = (to_words(&buffers[1]), to_words(&want[1]));
    for (row, (got, want)) in got.chunks(64).zip(want.chunks(64)).enumerate() {
        assert_eq!(got, want, "row {row}, subgroups of {subgroup}");
    }
}
