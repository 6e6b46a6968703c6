//! Rows of memory that operations read and write directly: overlaps, masks, ends of arrays, and what stands in between.

use crate::common::*;
use crate::{device, exact, same, words};
use girih_base::{Bindings, DType, Diag, Dim, ScalarOp};
use girih_cpu::{CpuDevice, CpuTarget};
use girih_driver::Target;
use girih_exec::{Command, Device, MemRef};
use girih_simt::*;

const U32: Ty = Ty::scalar(DType::U32);
const F32: Ty = Ty::scalar(DType::F32);

fn start(buffers: &[(&str, Ty)]) -> (Builder, ValueId) {
    let mut b = Builder::new();
    for (name, elem) in buffers {
        b.buffers.push(Buffer { name: (*name).into(), elem: *elem, written: true, read_only: false });
    }
    let lane = b.builtin(Builtin::LocalIndex);
    (b, lane)
}

/// The row that starts that far from element 0.
fn from(b: &mut Builder, lane: ValueId, by: i32) -> ValueId {
    let by = b.uint(by as u32);
    b.add(lane, by)
}

fn read(bytes: &[u8]) -> Vec<f32> {
    bytes.chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect()
}

/// Runs one workgroup with every parameter bound to the same memory.
fn shared(kernel: &Kernel, data: &[f32]) -> Vec<f32> {
    let code = CpuTarget::new().compile_simt(kernel).unwrap();
    let mut device = CpuDevice::with_isa(1, level()).unwrap();
    let loaded = device.load(&code).unwrap();
    let bytes = f32s(data);
    let buffer = device.allocate(bytes.len() as u64).unwrap();
    device.write(buffer, 0, &bytes).unwrap();
    let args = vec![MemRef { buffer, offset: 0, bytes: bytes.len() as u64 }; kernel.buffers.len()];
    device.submit(&[Command::Launch { kernel: loaded, args: &args, bindings: &Bindings::new() }]).unwrap();
    let mut back = vec![0; bytes.len()];
    device.read(buffer, 0, &mut back).unwrap();
    read(&back)
}

#[test]
fn every_thread_reads_before_any_writes_wherever_the_rows_lie() {
    at_every_level(|| {
        for threads in [1u32, 5, 64, 100] {
            // Element t of `x` and of a row `shift` behind it, to a row `to` behind it, in one or in two parameters.
            for (shift, to, two) in [-3, -1, 0, 1, 3]
                .into_iter()
                .flat_map(|s| [-1, 0, 2].map(|t| (s, t)))
                .flat_map(|(s, t)| [(s, t, true), (s, t, false)])
            {
                for op in [ScalarOp::Sub, ScalarOp::Mul, ScalarOp::Fma, ScalarOp::Lt] {
                    let (mut b, lane) = start(&[("x", F32), ("y", F32)]);
                    let (p, q, r) = (from(&mut b, lane, 4), from(&mut b, lane, 4 + shift), from(&mut b, lane, 4 + to));
                    let (v, w) = (b.load(Space::Buffer(0), p), b.load(Space::Buffer(0), q));
                    let out = match op {
                        ScalarOp::Fma => b.map(op, &[v, w, v]),
                        ScalarOp::Lt => {
                            let c = b.map(op, &[v, w]);
                            b.map(ScalarOp::Select, &[c, w, v])
                        }
                        op => b.map(op, &[v, w]),
                    };
                    b.store(Space::Buffer(two as u32), r, out);
                    let n = threads as usize;
                    let data: Vec<f32> = Random(3).floats(n + 8);
                    let mut want = data.clone();
                    for t in 0..n {
                        let (v, w) = (data[t + 4], data[(t as i32 + 4 + shift) as usize]);
                        want[(t as i32 + 4 + to) as usize] = match op {
                            ScalarOp::Sub => v - w,
                            ScalarOp::Mul => v * w,
                            ScalarOp::Fma => v.mul_add(w, v),
                            _ => v.max(w),
                        };
                    }
                    let kernel = b.finish("overlap", [threads, 1, 1], Dim::from(1));
                    assert_eq!(shared(&kernel, &data), want, "{shift} {to} {two} {op:?} {threads}");
                }
            }
        }
    });
}

#[test]
fn a_load_stays_in_front_of_stores_to_memory_that_may_be_its_own() {
    // What is read from `x` is needed after `y`, the same memory, was written.
    let (mut b, lane) = start(&[("x", F32), ("y", F32), ("z", F32)]);
    let (far, seven) = (from(&mut b, lane, 64), b.constant(girih_base::Literal::float(7.0), F32));
    let before = b.load(Space::Buffer(0), lane);
    b.store(Space::Buffer(1), lane, seven);
    let after = b.load(Space::Buffer(0), lane);
    let sum = b.map(ScalarOp::Add, &[before, after]);
    b.store(Space::Buffer(2), far, sum);
    let kernel = b.finish("order", [64, 1, 1], Dim::from(1));
    let data = Random(4).floats(128);
    let want: Vec<f32> = (0..128).map(|i| if i < 64 { 7.0 } else { data[i - 64] + 7.0 }).collect();
    assert_eq!(shared(&kernel, &data), want);
}

#[test]
fn masked_threads_touch_nothing() {
    at_every_level(|| {
        for (every, below) in [(1u32, 200), (2, 200), (3, 61), (1, 33), (7, 64)] {
            let (mut b, lane) = start(&[("x", F32), ("y", F32)]);
            let sum = b.local("sum", F32, None);
            let (group, size, every, below) =
                (b.builtin(Builtin::WorkgroupIndex), b.uint(100), b.uint(every), b.uint(below));
            let base = b.mul(group, size);
            let at = b.add(base, lane);
            let (rest, zero) = (b.map(ScalarOp::Rem, &[at, every]), b.uint(0));
            let some = b.map(ScalarOp::Eq, &[rest, zero]);
            b.if_then(some, |b| {
                let low = b.map(ScalarOp::Lt, &[at, below]);
                // A variable, a row in place, and a row elsewhere; none where the index is not below the end of `x`.
                b.if_then(low, |b| {
                    let (x, old) = (b.load(Space::Buffer(0), at), b.get(sum));
                    let new = b.map(ScalarOp::Sub, &[x, old]);
                    b.set(sum, new);
                    let (x, s) = (b.load(Space::Buffer(0), at), b.get(sum));
                    let y = b.map(ScalarOp::Add, &[s, x]);
                    b.store(Space::Buffer(0), at, y);
                    let (x, s) = (b.load(Space::Buffer(0), at), b.get(sum));
                    let new = b.map(ScalarOp::Div, &[s, x]);
                    b.set(sum, new);
                });
            });
            let (s, one) = (b.get(sum), b.constant(girih_base::Literal::float(1.0), F32));
            let out = b.map(ScalarOp::Add, &[s, one]);
            b.store(Space::Buffer(1), at, out);
            let kernel = b.finish("mask", [100, 1, 1], Dim::from(2));
            let x = f32s(&Random(5).floats(200));
            same(&kernel, &[x, vec![0; 800]], &Bindings::new(), exact);
        }
    });
}

#[test]
fn rows_that_end_outside_are_named_in_the_order_of_the_kernel() {
    let run = |n: usize, m: usize, limit: u32, first: u32| -> Result<(), Box<Diag>> {
        let (mut b, lane) = start(&[("x", F32), ("y", F32), ("z", F32)]);
        let (limit, first) = (b.uint(limit), b.uint(first));
        let at = b.add(lane, first);
        let inside = b.map(ScalarOp::Lt, &[lane, limit]);
        b.if_then(inside, |b| {
            // `y` is read first, though it is the second operand.
            let y = b.load(Space::Buffer(1), at);
            let x = b.load(Space::Buffer(0), at);
            let z = b.map(ScalarOp::Sub, &[x, y]);
            b.store(Space::Buffer(2), at, z);
        });
        let kernel = b.finish("ends", [64, 1, 1], Dim::from(1));
        device(&kernel, &[vec![0; n * 4], vec![0; m * 4], vec![0; 160]], &Bindings::new(), 1).map(|_| ())
    };
    run(40, 40, 40, 0).unwrap();
    run(30, 30, 25, 5).unwrap();
    for (n, m, limit, first, says) in [
        (39, 38, 40, 0, ["element 38 of `y`, which has 38", "thread 38 of"]),
        (39, 40, 40, 0, ["element 39 of `x`, which has 39", "thread 39 of"]),
        (60, 60, 50, 0, ["element 40 of `z`, which has 40", "thread 40 of"]),
        (50, 50, 30, 30, ["element 50 of `y`, which has 50", "thread 20 of"]),
        (50, 50, 1, u32::MAX, ["element 4294967295 of `y`, which has 50", "thread 0 of"]),
    ] {
        let refused = run(n, m, limit, first).unwrap_err();
        let text = refused.to_string();
        assert!(refused.code == "X103" && says.iter().all(|s| text.contains(s)), "{says:?}\n{text}");
    }
}

#[test]
fn an_access_is_checked_whatever_becomes_of_its_result() {
    let (mut b, lane) = start(&[("x", F32), ("y", F32)]);
    let (far, zero) = (from(&mut b, lane, 1000), b.uint(0));
    let x = b.load(Space::Buffer(0), far);
    let _unused = b.map(ScalarOp::Mul, &[x, x]);
    let y = b.load(Space::Buffer(1), zero);
    b.store(Space::Buffer(1), zero, y);
    let kernel = b.finish("unused", [8, 1, 1], Dim::from(1));
    let refused = device(&kernel, &[vec![0; 64], vec![0; 64]], &Bindings::new(), 1).unwrap_err();
    assert!(refused.to_string().contains("element 1000 of `x`"), "{refused}");
}

#[test]
fn choices_between_numbers_and_nan() {
    use ScalarOp::*;
    let special = [0.0, -0.0, 1.0, -1.0, f32::INFINITY, f32::NEG_INFINITY, f32::NAN, -f32::NAN, 1e-40, f32::MAX];
    let pairs: Vec<(f32, f32)> = special.iter().flat_map(|a| special.map(|b| (*a, b))).collect();
    let (a, c) = (pairs.iter().map(|p| p.0).collect::<Vec<_>>(), pairs.iter().map(|p| p.1).collect::<Vec<_>>());
    at_every_level(|| {
        for (op, turned, nan, kind) in [Lt, Gt]
            .into_iter()
            .flat_map(|op| (0..2).flat_map(move |t| (0..3).flat_map(move |n| (0..4).map(move |k| (op, t, n, k)))))
        {
            let (mut b, lane) = start(&[("a", F32), ("b", F32), ("y", F32)]);
            let best = b.local("best", F32, None);
            let (x, y) = (b.load(Space::Buffer(0), lane), b.load(Space::Buffer(1), lane));
            // In a variable, in place on either side, or of a number that all threads share.
            let (x, y) = match kind {
                0 => (x, y),
                1 => {
                    b.set(best, x);
                    (b.get(best), y)
                }
                2 => {
                    b.set(best, y);
                    (x, b.get(best))
                }
                _ => {
                    let six = b.uint(6);
                    (b.load(Space::Buffer(0), six), y)
                }
            };
            let mut cond = if turned == 0 { b.map(op, &[x, y]) } else { b.map(op, &[y, x]) };
            if nan > 0 {
                let is = b.map(IsNan, &[x]);
                cond = if nan == 1 { b.map(Or, &[cond, is]) } else { b.map(Or, &[is, cond]) };
            }
            let v = b.map(Select, &[cond, y, x]);
            if matches!(kind, 1 | 2) {
                b.set(best, v);
                let v = b.get(best);
                b.store(Space::Buffer(2), lane, v);
            } else {
                b.store(Space::Buffer(2), lane, v);
            }
            let kernel = b.finish("choice", [100, 1, 1], Dim::from(1));
            same(&kernel, &[f32s(&a), f32s(&c), vec![0; 400]], &Bindings::new(), exact);
        }
    });
}

#[test]
fn sums_wrap_around_in_any_order() {
    let cases = [
        (0u32, 0u32),
        (7, 7u32.wrapping_neg()),
        (u32::MAX, 1),
        (1 << 31, 1 << 31),
        (5, 3),
        (u32::MAX - 40, 43),
        (11, 0),
        (0, 12u32.wrapping_neg()),
    ];
    for (first, second) in cases {
        for order in 0..4 {
            let (mut b, lane) = start(&[("x", U32), ("y", U32)]);
            let (p, q) = (b.uniform(&"p".into()), b.uniform(&"q".into()));
            let at = match order {
                0 => {
                    let at = b.map(ScalarOp::Add, &[lane, p]);
                    b.map(ScalarOp::Add, &[q, at])
                }
                1 => {
                    let at = b.map(ScalarOp::Add, &[q, lane]);
                    b.map(ScalarOp::Add, &[at, p])
                }
                2 => {
                    let q = b.map(ScalarOp::Neg, &[q]);
                    let at = b.map(ScalarOp::Add, &[lane, p]);
                    b.map(ScalarOp::Sub, &[at, q])
                }
                _ => {
                    let (lane, p, q) =
                        (b.bitcast(lane, DType::I32), b.bitcast(p, DType::I32), b.bitcast(q, DType::I32));
                    let p = b.map(ScalarOp::Neg, &[p]);
                    let at = b.map(ScalarOp::Sub, &[lane, p]);
                    let at = b.map(ScalarOp::Add, &[at, q]);
                    b.bitcast(at, DType::U32)
                }
            };
            let v = b.load(Space::Buffer(0), at);
            let v = b.map(ScalarOp::Add, &[v, at]);
            b.store(Space::Buffer(1), lane, v);
            let kernel = b.finish("sum", [40, 1, 1], Dim::from(1));
            let sizes = Bindings::from([("p".into(), first as i64), ("q".into(), second as i64)]);
            // The emulator takes an index that wraps around for a mistake.
            let got = device(&kernel, &[words((0..50).map(|i| i * i)), words([0; 40])], &sizes, 1);
            let start = first.wrapping_add(second);
            if start > 10 {
                assert_eq!(got.unwrap_err().code, "X103", "{first} {second} {order}");
            } else {
                let want = words((start..start + 40).map(|i| i * i + i));
                assert_eq!(got.unwrap()[1], want, "{first} {second} {order}");
            }
        }
    }
}
