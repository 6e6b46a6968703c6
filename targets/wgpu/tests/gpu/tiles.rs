//! Tile kernels end to end: distributed, printed, run, compared with plain Rust.

use crate::harness::*;
use crate::matmul::matmul;
use girih_base::{Bindings, DType, Dim, ScalarOp};
use girih_driver::Target;
use girih_exec::{Command, Device, MemRef};
use girih_tile::{Access, Builder, Kernel, Literal, View};
use girih_wgpu::WgpuDevice;

/// Softmax over rows of `width` elements, which fit one tile.
fn softmax(width: u32) -> Kernel {
    let mut b = Builder::new();
    let rows = Dim::symbol("rows", 1, 4096);
    let len = &rows * width as i64;
    let x = b.param("x", DType::F32, len.clone(), Access::Read, true);
    let y = b.param("y", DType::F32, len, Access::Write, false);
    let view = View::contiguous(&[rows.clone(), width.into()]);
    let tile = width.next_power_of_two();
    let (row, zero) = (b.program_id(0), b.int(0));
    let v = b.load(x, view.clone(), &[row, zero], &[1, tile], Literal::float(f64::NEG_INFINITY));
    let top = b.reduce(v, 1, ScalarOp::Max);
    let top = b.broadcast(top, &[1, tile], &[0]);
    let shifted = b.map(ScalarOp::Sub, &[v, top]);
    let e = b.map(ScalarOp::Exp, &[shifted]);
    let sum = b.reduce(e, 1, ScalarOp::Add);
    let sum = b.broadcast(sum, &[1, tile], &[0]);
    let out = b.map(ScalarOp::Div, &[e, sum]);
    b.store(y, view, &[row, zero], out);
    b.finish("softmax", vec![rows])
}

fn floats(n: usize, seed: u32) -> Vec<f32> {
    (0..n as u32).map(|i| ((i.wrapping_mul(2654435761).wrapping_add(seed) >> 8) % 2001) as f32 / 1000.0 - 1.0).collect()
}

fn bytes(v: &[f32]) -> Vec<u8> {
    words(v.iter().map(|x| x.to_bits()))
}

fn run_tile(device: &mut WgpuDevice, kernel: &Kernel, buffers: &mut [Vec<u8>], sizes: &Bindings) {
    girih_tile::verify(kernel).unwrap();
    let code = device.compiler().compile(kernel).unwrap();
    let loaded = device.load(&code).unwrap();
    let refs: Vec<_> = buffers.iter().map(|b| device.allocate(b.len() as u64).unwrap()).collect();
    for (r, b) in refs.iter().zip(buffers.iter()) {
        device.write(*r, 0, b).unwrap();
    }
    let args: Vec<MemRef> =
        refs.iter().zip(buffers.iter()).map(|(r, b)| MemRef { buffer: *r, offset: 0, bytes: b.len() as u64 }).collect();
    device.submit(&[Command::Launch { kernel: loaded, args: &args, bindings: sizes }]).unwrap();
    for (r, b) in refs.iter().zip(buffers.iter_mut()) {
        device.read(*r, 0, b).unwrap();
    }
}

#[test]
fn matrix_products() {
    let Some(mut device) = device() else { return };
    for (n, tile, depth) in [(64u32, [32, 32], 4), (128, [64, 64], 4), (128, [64, 128], 8)] {
        let (a, b) = (floats((n * n) as usize, 1), floats((n * n) as usize, 2));
        let mut buffers = [bytes(&a), bytes(&b), vec![0; (n * n * 4) as usize]];
        run_tile(&mut device, &matmul(n, tile, depth), &mut buffers, &Bindings::new());
        for (at, got) in to_words(&buffers[2]).into_iter().enumerate() {
            let (i, j) = (at / n as usize, at % n as usize);
            let terms = (0..n as usize).map(|k| a[i * n as usize + k] as f64 * b[k * n as usize + j] as f64);
            let (want, size) = terms.fold((0.0, 0.0), |(s, m), t: f64| (s + t, m + t.abs()));
            let allowed = n as f64 * f32::EPSILON as f64 * size;
            assert!(
                (f32::from_bits(got) as f64 - want).abs() <= allowed,
                "{n} [{i}, {j}]: {} for {want}",
                f32::from_bits(got)
            );
        }
    }
}

#[test]
fn softmax_of_ragged_rows() {
    let Some(mut device) = device() else { return };
    for width in [64u32, 100, 1000] {
        let rows = 5usize;
        let x = floats(rows * width as usize, 7);
        let mut buffers = [bytes(&x), vec![0; x.len() * 4]];
        run_tile(&mut device, &softmax(width), &mut buffers, &Bindings::from([("rows".into(), rows as i64)]));
        let got: Vec<f32> = to_words(&buffers[1]).into_iter().map(f32::from_bits).collect();
        for (row, out) in x.chunks(width as usize).zip(got.chunks(width as usize)) {
            let sum: f64 = row.iter().map(|v| (*v as f64).exp()).sum();
            for (v, y) in row.iter().zip(out) {
                let want = (*v as f64).exp() / sum;
                assert!((*y as f64 - want).abs() <= 4e-6 * want, "{y} for {want}");
            }
        }
    }
}

#[test]
fn tile_kernels_as_text() {
    let target = girih_wgpu::WgpuTarget::webgpu();
    for (name, kernel) in [("tile_matmul", matmul(128, [64, 64], 4)), ("tile_softmax", softmax(1000))] {
        let code = target.compile(&kernel).unwrap();
        insta::assert_snapshot!(name, &*code.text);
    }
}
