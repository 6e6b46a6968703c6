//! Times the kernels that matter most, by hand-written Tile IR: `cargo bench -p girih-cpu`.
#![allow(missing_docs, clippy::print_stdout, clippy::unwrap_used)]

use girih_base::{Bindings, DType, Dim, QuantFormat, ScalarOp};
use girih_cpu::CpuDevice;
use girih_exec::{Command, Device, MemRef};
use girih_plan::{Format, KernelCode};
use girih_tile::*;
use std::time::Instant;

fn dims(shape: &[usize]) -> Vec<Dim> {
    shape.iter().map(|v| Dim::from(*v)).collect()
}

fn inside(shape: &[usize]) -> View {
    let mut v = View::contiguous(&dims(shape));
    v.axes.iter_mut().for_each(|a| a.inside = true);
    v
}

fn scaled(b: &mut Builder, axis: usize, by: i64) -> ValueId {
    let (pid, by) = (b.program_id(axis), b.int(by));
    b.map(ScalarOp::Mul, &[pid, by])
}

const ZERO: Literal = Literal::Float(0);

fn softmax(rows: usize, n: usize, tile: u32) -> Kernel {
    let mut b = Builder::new();
    let x = b.param("x", DType::F32, Dim::from(rows * n), Access::Read, false);
    let y = b.param("y", DType::F32, Dim::from(rows * n), Access::Write, false);
    let (row, zero, shape) = (scaled(&mut b, 0, tile as i64), b.int(0), [tile, n as u32]);
    let v = b.load(x, inside(&[rows, n]), &[row, zero], &shape, ZERO);
    let max = b.reduce(v, 1, ScalarOp::Max);
    let max = b.broadcast(max, &shape, &[0]);
    let v = b.map(ScalarOp::Sub, &[v, max]);
    let e = b.map(ScalarOp::Exp, &[v]);
    let sum = b.reduce(e, 1, ScalarOp::Add);
    let inverse = b.map(ScalarOp::Recip, &[sum]);
    let inverse = b.broadcast(inverse, &shape, &[0]);
    let out = b.map(ScalarOp::Mul, &[e, inverse]);
    b.store(y, inside(&[rows, n]), &[row, zero], out);
    b.finish("softmax", vec![Dim::from(rows / tile as usize)])
}

fn layer_norm(rows: usize, n: usize, tile: u32) -> Kernel {
    let mut b = Builder::new();
    let x = b.param("x", DType::F32, Dim::from(rows * n), Access::Read, false);
    let w = b.param("w", DType::F32, Dim::from(n), Access::Read, true);
    let bias = b.param("b", DType::F32, Dim::from(n), Access::Read, true);
    let y = b.param("y", DType::F32, Dim::from(rows * n), Access::Write, false);
    let (row, zero, shape) = (scaled(&mut b, 0, tile as i64), b.int(0), [tile, n as u32]);
    let v = b.load(x, inside(&[rows, n]), &[row, zero], &shape, ZERO);
    let count = b.constant(Literal::float(1.0 / n as f64), TileTy::new(DType::F32, [tile]));
    let sum = b.reduce(v, 1, ScalarOp::Add);
    let mean = b.map(ScalarOp::Mul, &[sum, count]);
    let mean = b.broadcast(mean, &shape, &[0]);
    let v = b.map(ScalarOp::Sub, &[v, mean]);
    let square = b.map(ScalarOp::Mul, &[v, v]);
    let variance = b.reduce(square, 1, ScalarOp::Add);
    let variance = b.map(ScalarOp::Mul, &[variance, count]);
    let eps = b.constant(Literal::float(1e-5), TileTy::new(DType::F32, [tile]));
    let variance = b.map(ScalarOp::Add, &[variance, eps]);
    let scale = b.map(ScalarOp::Rsqrt, &[variance]);
    let scale = b.broadcast(scale, &shape, &[0]);
    let v = b.map(ScalarOp::Mul, &[v, scale]);
    let w = b.load(w, inside(&[n]), &[zero], &[n as u32], ZERO);
    let w = b.broadcast(w, &shape, &[1]);
    let v = b.map(ScalarOp::Mul, &[v, w]);
    let bias = b.load(bias, inside(&[n]), &[zero], &[n as u32], ZERO);
    let bias = b.broadcast(bias, &shape, &[1]);
    let v = b.map(ScalarOp::Add, &[v, bias]);
    b.store(y, inside(&[rows, n]), &[row, zero], v);
    b.finish("layer_norm", vec![Dim::from(rows / tile as usize)])
}

fn gelu(n: usize, tile: u32) -> Kernel {
    let mut b = Builder::new();
    let x = b.param("x", DType::F32, Dim::from(n), Access::Read, false);
    let y = b.param("y", DType::F32, Dim::from(n), Access::Write, false);
    let at = scaled(&mut b, 0, tile as i64);
    let v = b.load(x, inside(&[n]), &[at], &[tile], ZERO);
    let w = b.constant(Literal::float(1.5), TileTy::new(DType::F32, [tile]));
    let bias = b.constant(Literal::float(0.25), TileTy::new(DType::F32, [tile]));
    let v = b.map(ScalarOp::Mul, &[v, w]);
    let v = b.map(ScalarOp::Add, &[v, bias]);
    let v = b.map(ScalarOp::GeluTanh, &[v]);
    b.store(y, inside(&[n]), &[at], v);
    b.finish("gelu", vec![Dim::from(n / tile as usize)])
}

/// Sum along axis 1, `tile` rows at a time, or along axis 0, `tile` columns at a time, `step` rows a round.
fn sum(rows: usize, n: usize, axis: usize, tile: u32, step: u32) -> Kernel {
    let mut b = Builder::new();
    let x = b.param("x", DType::F32, Dim::from(rows * n), Access::Read, false);
    let y = b.param("y", DType::F32, Dim::from([n, rows][axis]), Access::Write, false);
    let (at, zero) = (scaled(&mut b, 0, tile as i64), b.int(0));
    let total = if axis == 1 {
        let v = b.load(x, inside(&[rows, n]), &[at, zero], &[tile, n as u32], ZERO);
        b.reduce(v, 1, ScalarOp::Add)
    } else {
        let init = b.constant(ZERO, TileTy::new(DType::F32, [tile]));
        let end = b.int(rows as i64);
        b.for_loop(zero, end, step, &[init], |b, i, c| {
            let v = b.load(x, inside(&[rows, n]), &[i, at], &[step, tile], ZERO);
            let s = b.reduce(v, 0, ScalarOp::Add);
            vec![b.map(ScalarOp::Add, &[c[0], s])]
        })[0]
    };
    b.store(y, inside(&[[n, rows][axis]]), &[at], total);
    b.finish("sum", vec![Dim::from([n, rows][axis] / tile as usize)])
}

fn matmul(n: usize, tm: u32, tn: u32) -> Kernel {
    let mut b = Builder::new();
    let x = b.param("x", DType::F32, Dim::from(n * n), Access::Read, false);
    let w = b.param("w", DType::F32, Dim::from(n * n), Access::Read, true);
    let y = b.param("y", DType::F32, Dim::from(n * n), Access::Write, false);
    let (r, c, zero) = (scaled(&mut b, 0, tm as i64), scaled(&mut b, 1, tn as i64), b.int(0));
    let v = b.load(x, inside(&[n, n]), &[r, zero], &[tm, n as u32], ZERO);
    let w = b.load(w, inside(&[n, n]), &[zero, c], &[n as u32, tn], ZERO);
    let v = b.dot(v, w, None, DType::F32);
    b.store(y, inside(&[n, n]), &[r, c], v);
    b.finish("matmul", vec![Dim::from(n / tm as usize), Dim::from(n / tn as usize)])
}

/// Causal attention, `heads` x `n` x `d`, `rows` queries an instance, all keys at once.
fn attention(heads: usize, n: usize, d: usize, rows: u32) -> Kernel {
    let mut b = Builder::new();
    let len = Dim::from(heads * n * d);
    let p: Vec<usize> = ["q", "k", "v"].map(|s| b.param(s, DType::F32, len.clone(), Access::Read, false)).into();
    let y = b.param("y", DType::F32, len, Access::Write, false);
    let (head, row, zero) = (b.program_id(0), scaled(&mut b, 1, rows as i64), b.int(0));
    let (n32, d32) = (n as u32, d as u32);
    let view = || inside(&[heads, n, d]);
    let q = b.load(p[0], view(), &[head, row, zero], &[1, rows, d32], ZERO);
    let q = b.reshape(q, &[rows, d32]);
    let k = b.load(p[1], view(), &[head, zero, zero], &[1, n32, d32], ZERO);
    let k = b.reshape(k, &[n32, d32]);
    let k = b.permute(k, &[1, 0]);
    let s = b.dot(q, k, None, DType::F32);
    let shape = [rows, n32];
    let scale = b.constant(Literal::float(1.0 / (d as f64).sqrt()), TileTy::new(DType::F32, shape));
    let s = b.map(ScalarOp::Mul, &[s, scale]);
    let (i, j) = (b.arange(&shape, 0), b.arange(&shape, 1));
    let row_tile = b.splat(row, &shape);
    let i = b.map(ScalarOp::Add, &[i, row_tile]);
    let seen = b.map(ScalarOp::Le, &[j, i]);
    let low = b.constant(Literal::float(f64::NEG_INFINITY), TileTy::new(DType::F32, shape));
    let s = b.map(ScalarOp::Select, &[seen, s, low]);
    let max = b.reduce(s, 1, ScalarOp::Max);
    let max = b.broadcast(max, &shape, &[0]);
    let s = b.map(ScalarOp::Sub, &[s, max]);
    let e = b.map(ScalarOp::Exp, &[s]);
    let sum = b.reduce(e, 1, ScalarOp::Add);
    let v = b.load(p[2], view(), &[head, zero, zero], &[1, n32, d32], ZERO);
    let v = b.reshape(v, &[n32, d32]);
    let o = b.dot(e, v, None, DType::F32);
    let sum = b.broadcast(sum, &[rows, d32], &[0]);
    let o = b.map(ScalarOp::Div, &[o, sum]);
    let o = b.reshape(o, &[1, rows, d32]);
    b.store(y, view(), &[head, row, zero], o);
    b.finish("attention", vec![Dim::from(heads), Dim::from(n / rows as usize)])
}

/// One row times a matrix `[k, n]` (or `[n, k]` transposed), `tile` columns an instance.
fn matvec(k: usize, n: usize, tile: u32, transposed: bool) -> Kernel {
    let mut b = Builder::new();
    let x = b.param("x", DType::F32, Dim::from(k), Access::Read, false);
    let w = b.param("w", DType::F32, Dim::from(k * n), Access::Read, true);
    let y = b.param("y", DType::F32, Dim::from(n), Access::Write, false);
    let (c, zero) = (scaled(&mut b, 0, tile as i64), b.int(0));
    let x = b.load(x, inside(&[1, k]), &[zero, zero], &[1, k as u32], ZERO);
    let w = if transposed {
        let w = b.load(w, inside(&[n, k]), &[c, zero], &[tile, k as u32], ZERO);
        b.permute(w, &[1, 0])
    } else {
        b.load(w, inside(&[k, n]), &[zero, c], &[k as u32, tile], ZERO)
    };
    let v = b.dot(x, w, None, DType::F32);
    b.store(y, inside(&[1, n]), &[zero, c], v);
    b.finish("matvec", vec![Dim::from(n / tile as usize)])
}

/// Position of the largest of `n` elements: a fold by a body.
fn arg_max(n: u32) -> Kernel {
    let mut b = Builder::new();
    let x = b.param("x", DType::F32, Dim::from(n), Access::Read, false);
    let y = b.param("y", DType::I32, Dim::ONE, Access::Write, false);
    let zero = b.int(0);
    let v = b.load(x, inside(&[n as usize]), &[zero], &[n], ZERO);
    let i = b.arange(&[n], 0);
    let (f, int) = (TileTy::scalar(DType::F32), TileTy::scalar(DType::I32));
    let p: Vec<ValueId> = [&f, &int, &f, &int].into_iter().map(|t| b.fresh(t.clone())).collect();
    b.begin(p.clone());
    let left = b.map(ScalarOp::Ge, &[p[0], p[2]]);
    let value = b.map(ScalarOp::Select, &[left, p[0], p[2]]);
    let index = b.map(ScalarOp::Select, &[left, p[1], p[3]]);
    let combine = Combine::Body(b.end(vec![value, index]));
    let best = b.push(Op::Reduce { args: vec![v, i], axis: 0, combine }, vec![f, int])[1];
    b.store(y, View { offset: Dim::ZERO, axes: vec![], guards: vec![] }, &[], best);
    b.finish("arg_max", vec![])
}

fn quant(format: QuantFormat, m: usize, n: usize, k: usize, rows: u32) -> Kernel {
    let mut b = Builder::new();
    let x = b.param("x", DType::F32, Dim::from(m * k), Access::Read, false);
    let bytes = format.row_bytes(k as u64).unwrap() as usize * n;
    let w = b.param("w", DType::U8, Dim::from(bytes), Access::Read, true);
    let y = b.param("y", DType::F32, Dim::from(m * n), Access::Write, false);
    let (r, zero) = (scaled(&mut b, 0, rows as i64), b.int(0));
    let v = b.load(x, inside(&[m, k]), &[zero, zero], &[m as u32, k as u32], ZERO);
    let op = Op::LoadQuant { param: w, format: format.name().into(), rows: n.into(), columns: k.into(), at: [r, zero] };
    let w = b.push(op, vec![TileTy::new(DType::F32, [rows, k as u32])])[0];
    let w = b.permute(w, &[1, 0]);
    let v = b.dot(v, w, None, DType::F32);
    b.store(y, View::contiguous(&dims(&[m, n])), &[zero, r], v);
    b.finish("quant", vec![Dim::from(n.div_ceil(rows as usize))])
}

fn time(label: &str, kernel: &Kernel, per: f64, unit: &str) {
    verify(kernel).unwrap();
    let mut device = CpuDevice::new();
    let text = print(kernel);
    let code = KernelCode {
        name: kernel.name.clone(),
        format: Format::Tile,
        text: text.into(),
        args: vec![],
        uniforms: vec![],
        grid: vec![],
        flops: 0.into(),
        traffic: 0.into(),
        debug: None,
    };
    let loaded = device.load(&code).unwrap();
    let mut args = Vec::new();
    for p in &kernel.params {
        let bytes = p.dtype.bytes_for(p.len.as_const().unwrap() as u64);
        let buffer = device.allocate(bytes).unwrap();
        let data: Vec<u8> = match p.dtype {
            DType::F32 => (0..bytes / 4).flat_map(|i| ((i * 7919 % 1000) as f32 / 500.0 - 1.0).to_le_bytes()).collect(),
            _ => (0..bytes).map(|i| (i * 31 % 60) as u8).collect(),
        };
        device.write(buffer, 0, &data).unwrap();
        args.push(MemRef { buffer, offset: 0, bytes });
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
    println!("{label:40} {:9.3} ms (best {:.3})  {:8.1} {unit}", times[7] * 1e3, times[0] * 1e3, per / times[7] / 1e9);
}

fn main() {
    println!("{}", girih_cpu::describe().unwrap());
    for tile in [1, 2, 4, 8] {
        time(&format!("softmax 4096x1024, {tile} rows"), &softmax(4096, 1024, tile), 8.0 * 4194304.0, "GB/s");
    }
    time("softmax 256x32000, 1 row", &softmax(256, 32000, 1), 8.0 * 256.0 * 32000.0, "GB/s");
    for tile in [1, 2, 4, 8] {
        time(&format!("layer norm 4096x1024, {tile} rows"), &layer_norm(4096, 1024, tile), 8.0 * 4194304.0, "GB/s");
    }
    for tile in [1024, 2048, 4096, 8192, 16384] {
        time(&format!("gelu 16M, tile {tile}"), &gelu(1 << 24, tile), 8.0 * 16777216.0, "GB/s");
    }
    for (tile, step) in [(256, 64), (1024, 16), (4096, 4), (1024, 64), (2048, 32)] {
        time(
            &format!("sum axis 0, tile {tile} step {step}"),
            &sum(4096, 4096, 0, tile, step),
            4.0 * 16777216.0,
            "GB/s",
        );
    }
    for tile in [1, 4, 16] {
        time(&format!("sum axis 1, tile {tile}"), &sum(4096, 4096, 1, tile, 0), 4.0 * 16777216.0, "GB/s");
    }
    for (n, tm, tn) in [
        (256, 256, 256),
        (256, 128, 256),
        (512, 512, 512),
        (512, 256, 512),
        (1024, 1024, 1024),
        (1024, 512, 1024),
        (1024, 256, 512),
        (1024, 128, 1024),
        (2048, 1024, 2048),
        (2048, 256, 512),
        (2048, 512, 1024),
    ] {
        let flops = 2.0 * (n as f64).powi(3);
        time(&format!("matmul {n}, {tm}x{tn}"), &matmul(n, tm, tn), flops, "GFLOP/s");
    }
    for rows in [32, 64, 128, 256] {
        let flops = 4.0 * 12.0 * 512.0 * 512.0 * 64.0;
        time(&format!("causal attention 12x512x64, {rows} rows"), &attention(12, 512, 64, rows), flops, "GFLOP/s");
    }
    for (tile, transposed) in [(128, false), (512, false), (64, true), (256, true)] {
        let bytes = 4.0 * 1536.0 * 4096.0;
        let label = format!("f32 matvec 1536x4096, {tile} columns, {}", if transposed { "[n, k]" } else { "[k, n]" });
        time(&label, &matvec(1536, 4096, tile, transposed), bytes, "GB/s");
    }
    time("arg max of 49152", &arg_max(49152), 4.0 * 49152.0, "GB/s");
    for format in QuantFormat::ALL {
        let (n, k) = (1536 * 8, 1536);
        let bytes = format.row_bytes(k as u64).unwrap() as f64 * n as f64;
        time(&format!("{format} m=1, {n}x{k}, 64 rows"), &quant(*format, 1, n, k, 64), bytes, "GB/s of weights");
    }
    for (m, rows) in [(4, 64), (128, 64), (128, 256), (128, 512)] {
        let (n, k) = (1536, 576);
        let flops = 2.0 * (m * n * k) as f64;
        time(&format!("q4_1 m={m}, {n}x{k}, {rows} rows"), &quant(QuantFormat::Q4_1, m, n, k, rows), flops, "GFLOP/s");
    }
    time(
        "q4_1 m=1, 576x576, 64 rows (one decode step)",
        &quant(QuantFormat::Q4_1, 1, 576, 576, 64),
        576.0 * 360.0,
        "GB/s",
    );
}
