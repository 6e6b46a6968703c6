//! Times SIMT kernels written as for a GPU, beside tile kernels of the same work: `cargo bench -p girih-cpu --bench simt`.
#![allow(missing_docs, clippy::print_stdout, clippy::unwrap_used)]

use girih_base::{Bindings, DType, Dim, Literal, ScalarOp};
use girih_cpu::{CpuDevice, CpuTarget};
use girih_driver::Target;
use girih_exec::{Command, Device, MemRef};
use girih_plan::KernelCode;
use girih_simt::{Buffer, Builder, Builtin, Kernel, Op, Shared, Space, SubgroupOp, Ty, ValueId};
use girih_tile as tile;
use std::time::Instant;

const U32: Ty = Ty::scalar(DType::U32);
const F32: Ty = Ty::scalar(DType::F32);

fn buffers(b: &mut Builder, names: &[(&str, bool)]) {
    let buffer = |(name, written): &(&str, bool)| Buffer {
        name: (*name).into(),
        elem: F32,
        written: *written,
        read_only: false,
    };
    b.buffers.extend(names.iter().map(buffer));
}

fn number(b: &mut Builder, value: f64) -> ValueId {
    b.constant(Literal::float(value), F32)
}

/// `for (i = first; i < n; i += step)` with a variable, as C spells it.
fn stride(b: &mut Builder, first: ValueId, n: u32, step: u32, body: impl FnOnce(&mut Builder, ValueId)) {
    let i = b.local("i", U32, None);
    b.set(i, first);
    let (n, step) = (b.uint(n), b.uint(step));
    b.begin();
    let at = b.get(i);
    let done = b.map(ScalarOp::Ge, &[at, n]);
    b.if_then(done, |b| b.effect(Op::Break));
    body(b, at);
    let next = b.add(at, step);
    b.set(i, next);
    let body = b.end();
    b.effect(Op::Loop(body));
}

/// Folds `own` over the threads of a workgroup by halving; every thread gets the result.
fn fold(b: &mut Builder, shared: u32, threads: u32, own: ValueId, op: ScalarOp) -> ValueId {
    let (lane, zero, space) = (b.builtin(Builtin::LocalIndex), b.uint(0), Space::Shared(shared));
    b.store(space, lane, own);
    b.effect(Op::Barrier);
    let mut half = threads / 2;
    while half > 0 {
        let h = b.uint(half);
        let low = b.map(ScalarOp::Lt, &[lane, h]);
        b.if_then(low, |b| {
            let other = b.add(lane, h);
            let (x, y) = (b.load(space, lane), b.load(space, other));
            let sum = b.map(op, &[x, y]);
            b.store(space, lane, sum);
        });
        b.effect(Op::Barrier);
        half /= 2;
    }
    let sum = b.load(space, zero);
    b.effect(Op::Barrier);
    sum
}

/// Sums `n` floats to one per workgroup.
fn reduction(n: u32, groups: u32, threads: u32) -> Kernel {
    let mut b = Builder::new();
    buffers(&mut b, &[("x", false), ("y", true)]);
    b.shared.push(Shared { name: "s".into(), elem: F32, len: threads });
    let (group, lane, width, zero) =
        (b.builtin(Builtin::WorkgroupIndex), b.builtin(Builtin::LocalIndex), b.uint(threads), b.uint(0));
    let base = b.mul(group, width);
    let first = b.add(base, lane);
    let sum = b.local("sum", F32, None);
    stride(&mut b, first, n, groups * threads, |b, i| {
        let (x, s) = (b.load(Space::Buffer(0), i), b.get(sum));
        let s = b.add(s, x);
        b.set(sum, s);
    });
    let own = b.get(sum);
    let total = fold(&mut b, 0, threads, own, ScalarOp::Add);
    let leader = b.map(ScalarOp::Eq, &[lane, zero]);
    b.if_then(leader, |b| b.store(Space::Buffer(1), group, total));
    b.finish("reduction", [threads, 1, 1], Dim::from(groups))
}

/// Softmax of rows, a workgroup each.
fn softmax(rows: u32, n: u32, threads: u32) -> Kernel {
    let mut b = Builder::new();
    buffers(&mut b, &[("x", false), ("y", true)]);
    b.shared.push(Shared { name: "s".into(), elem: F32, len: threads });
    let (group, lane, width) = (b.builtin(Builtin::WorkgroupIndex), b.builtin(Builtin::LocalIndex), b.uint(n));
    let base = b.mul(group, width);
    let (most, sum) = (b.local("most", F32, None), b.local("sum", F32, None));
    let least = number(&mut b, f64::NEG_INFINITY);
    b.set(most, least);
    stride(&mut b, lane, n, threads, |b, i| {
        let at = b.add(base, i);
        let (x, m) = (b.load(Space::Buffer(0), at), b.get(most));
        let m = b.map(ScalarOp::Max, &[m, x]);
        b.set(most, m);
    });
    let own = b.get(most);
    let m = fold(&mut b, 0, threads, own, ScalarOp::Max);
    stride(&mut b, lane, n, threads, |b, i| {
        let at = b.add(base, i);
        let x = b.load(Space::Buffer(0), at);
        let x = b.map(ScalarOp::Sub, &[x, m]);
        let (e, s) = (b.map(ScalarOp::Exp, &[x]), b.get(sum));
        let s = b.add(s, e);
        b.set(sum, s);
        b.store(Space::Buffer(1), at, e);
    });
    let own = b.get(sum);
    let s = fold(&mut b, 0, threads, own, ScalarOp::Add);
    let inverse = b.map(ScalarOp::Recip, &[s]);
    stride(&mut b, lane, n, threads, |b, i| {
        let at = b.add(base, i);
        let e = b.load(Space::Buffer(1), at);
        let e = b.map(ScalarOp::Mul, &[e, inverse]);
        b.store(Space::Buffer(1), at, e);
    });
    b.finish("softmax", [threads, 1, 1], Dim::from(rows))
}

/// Square matrices by 16x16 tiles in workgroup memory, one element per thread.
fn matmul(n: u32) -> Kernel {
    const T: u32 = 16;
    let mut b = Builder::new();
    buffers(&mut b, &[("a", false), ("b", false), ("c", true)]);
    b.shared.push(Shared { name: "s".into(), elem: F32, len: T * T });
    b.shared.push(Shared { name: "t".into(), elem: F32, len: T * T });
    let (group, lane) = (b.builtin(Builtin::WorkgroupIndex), b.builtin(Builtin::LocalIndex));
    let (tiles, side, width, zero, count) = (b.uint(n / T), b.uint(T), b.uint(n), b.uint(0), b.uint(n / T));
    let (gy, gx) = (b.map(ScalarOp::Div, &[group, tiles]), b.map(ScalarOp::Rem, &[group, tiles]));
    let (ty, tx) = (b.map(ScalarOp::Div, &[lane, side]), b.map(ScalarOp::Rem, &[lane, side]));
    let (row0, col0) = (b.mul(gy, side), b.mul(gx, side));
    let (row, col) = (b.add(row0, ty), b.add(col0, tx));
    let sum = b.local("sum", F32, None);
    let row_at = b.mul(row, width);
    let s_row = b.mul(ty, side);
    b.for_loop(zero, count, 1, true, |b, k| {
        let k0 = b.mul(k, side);
        let a_at = b.add(row_at, k0);
        let a_at = b.add(a_at, tx);
        let b_row = b.add(k0, ty);
        let b_at = b.mul(b_row, width);
        let b_at = b.add(b_at, col);
        let (x, y) = (b.load(Space::Buffer(0), a_at), b.load(Space::Buffer(1), b_at));
        b.store(Space::Shared(0), lane, x);
        b.store(Space::Shared(1), lane, y);
        b.effect(Op::Barrier);
        for j in 0..T {
            let (j0, jt) = (b.uint(j), b.uint(j * T));
            let (p, q) = (b.add(s_row, j0), b.add(jt, tx));
            let (x, y) = (b.load(Space::Shared(0), p), b.load(Space::Shared(1), q));
            let s = b.get(sum);
            let s = b.map(ScalarOp::Fma, &[x, y, s]);
            b.set(sum, s);
        }
        b.effect(Op::Barrier);
    });
    let (s, at) = (b.get(sum), b.add(row_at, col));
    b.store(Space::Buffer(2), at, s);
    b.finish("matmul", [T * T, 1, 1], Dim::from((n / T) * (n / T)))
}

/// One element per thread, behind a test of the end.
fn saxpy(n: u32, threads: u32) -> Kernel {
    let mut b = Builder::new();
    buffers(&mut b, &[("x", false), ("y", true)]);
    let (group, lane, width, end) =
        (b.builtin(Builtin::WorkgroupIndex), b.builtin(Builtin::LocalIndex), b.uint(threads), b.uint(n));
    let base = b.mul(group, width);
    let i = b.add(base, lane);
    let inside = b.map(ScalarOp::Lt, &[i, end]);
    b.if_then(inside, |b| {
        let (x, y, a) = (b.load(Space::Buffer(0), i), b.load(Space::Buffer(1), i), number(b, 2.5));
        let v = b.map(ScalarOp::Fma, &[a, x, y]);
        b.store(Space::Buffer(1), i, v);
    });
    b.finish("saxpy", [threads, 1, 1], Dim::from(n.div_ceil(threads)))
}

/// Sums by subgroup operations.
fn subgroups(n: u32, threads: u32) -> Kernel {
    let mut b = Builder::new();
    buffers(&mut b, &[("x", false), ("y", true)]);
    let (group, lane, width) = (b.builtin(Builtin::WorkgroupIndex), b.builtin(Builtin::LocalIndex), b.uint(threads));
    let base = b.mul(group, width);
    let i = b.add(base, lane);
    let x = b.load(Space::Buffer(0), i);
    let mut v = b.push(Op::Subgroup(SubgroupOp::Add, x), F32);
    for k in [16, 8, 4, 2, 1] {
        let other = b.push(Op::Subgroup(SubgroupOp::ShuffleXor(k), v), F32);
        v = b.add(v, other);
    }
    b.store(Space::Buffer(1), i, v);
    b.finish("subgroups", [threads, 1, 1], Dim::from(n / threads))
}

/// Times kernels whose label contains the words given on the command line.
fn time(label: &str, code: &KernelCode, sizes: &[u64], per: f64, unit: &str) {
    if std::env::args().skip(1).any(|word| !word.starts_with('-') && !label.contains(&word)) {
        return;
    }
    let mut device = CpuDevice::new();
    let loaded = device.load(code).unwrap();
    let mut args = Vec::new();
    for n in sizes {
        let buffer = device.allocate(n * 4).unwrap();
        let data: Vec<u8> = (0..*n).flat_map(|i| ((i * 7919 % 1000) as f32 / 500.0 - 1.0).to_le_bytes()).collect();
        device.write(buffer, 0, &data).unwrap();
        args.push(MemRef { buffer, offset: 0, bytes: n * 4 });
    }
    let bindings = Bindings::new();
    let mut times: Vec<f64> = (0..15)
        .map(|_| {
            let start = Instant::now();
            device.submit(&[Command::Launch { kernel: loaded, args: &args, bindings: &bindings }]).unwrap();
            start.elapsed().as_secs_f64()
        })
        .collect();
    times.sort_by(f64::total_cmp);
    println!("{label:44} {:9.3} ms (best {:.3})  {:8.2} {unit}", times[7] * 1e3, times[0] * 1e3, per / times[7] / 1e9);
}

fn whole(shape: &[u32]) -> tile::View {
    let mut v = tile::View::contiguous(&shape.iter().map(|n| Dim::from(*n)).collect::<Vec<_>>());
    v.axes.iter_mut().for_each(|a| a.inside = true);
    v
}

/// A tile kernel over `n` elements in pieces of `piece`.
fn tiles(
    n: u32,
    piece: u32,
    out: u32,
    f: impl FnOnce(&mut tile::Builder, tile::ValueId) -> tile::ValueId,
) -> tile::Kernel {
    let mut b = tile::Builder::new();
    let x = b.param("x", DType::F32, Dim::from(n), tile::Access::Read, false);
    let y = b.param("y", DType::F32, Dim::from(out), tile::Access::Write, false);
    let (pid, zero) = (b.program_id(0), b.int(0));
    let v = b.load(x, whole(&[n / piece, piece]), &[pid, zero], &[1, piece], Literal::Int(0));
    let v = f(&mut b, v);
    let shape = b.ty(v).shape.clone();
    match shape.len() {
        1 => b.store(y, whole(&[n / piece]), &[pid], v),
        _ => b.store(y, whole(&[n / piece, piece]), &[pid, zero], v),
    }
    b.finish("tiles", vec![Dim::from(n / piece)])
}

fn main() {
    println!("{}", girih_cpu::describe().unwrap());
    let target = CpuTarget::new();
    let simt = |k: &Kernel| target.compile_simt(k).unwrap();
    let tiled = |k: &tile::Kernel| target.compile(k).unwrap();
    for n in [1u32 << 16, 1 << 20, 1 << 24] {
        let bytes = 4.0 * n as f64;
        for threads in [128, 256, 1024] {
            let groups = (n / threads / 16).clamp(1, 256);
            let label = format!("sum of {n}, {groups} x {threads} threads");
            time(&label, &simt(&reduction(n, groups, threads)), &[n as u64, 256], bytes, "GB/s");
        }
        let k = tiles(n, 1 << 14, n >> 14, |b, v| b.reduce(v, 1, ScalarOp::Add));
        time(&format!("sum of {n}, tiles"), &tiled(&k), &[n as u64, 1024], bytes, "GB/s");
    }
    let (rows, n) = (4096u32, 1024u32);
    let bytes = 8.0 * (rows * n) as f64;
    for threads in [128, 256, 1024] {
        let label = format!("softmax {rows}x{n}, {threads} threads");
        time(&label, &simt(&softmax(rows, n, threads)), &[(rows * n) as u64; 2], bytes, "GB/s");
    }
    let k = tiles(rows * n, n, rows * n, |b, v| {
        let m = b.reduce(v, 1, ScalarOp::Max);
        let m = b.broadcast(m, &[1, n], &[0]);
        let v = b.map(ScalarOp::Sub, &[v, m]);
        let e = b.map(ScalarOp::Exp, &[v]);
        let s = b.reduce(e, 1, ScalarOp::Add);
        let s = b.map(ScalarOp::Recip, &[s]);
        let s = b.broadcast(s, &[1, n], &[0]);
        b.map(ScalarOp::Mul, &[e, s])
    });
    time(&format!("softmax {rows}x{n}, tiles"), &tiled(&k), &[(rows * n) as u64; 2], bytes, "GB/s");
    for n in [256u32, 512] {
        let flops = 2.0 * (n as f64).powi(3);
        time(&format!("matmul {n}, 16x16 threads"), &simt(&matmul(n)), &[(n * n) as u64; 3], flops, "GFLOP/s");
    }
    let n = 1u32 << 22;
    for threads in [64, 256, 1024] {
        let label = format!("saxpy {n}, {threads} threads");
        time(&label, &simt(&saxpy(n, threads)), &[n as u64; 2], 12.0 * n as f64, "GB/s");
    }
    for threads in [64, 256] {
        let label = format!("subgroup sums {n}, {threads} threads");
        time(&label, &simt(&subgroups(n, threads)), &[n as u64; 2], 8.0 * n as f64, "GB/s");
    }
}
