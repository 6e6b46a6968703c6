//! Tensors larger than the largest binding, and than the largest buffer. Small limits stand in for large tensors, but for one test.

use crate::harness::*;
use crate::kernels::*;
use girih_base::{Bindings, DType, Dim, ScalarOp};
use girih_exec::{Command, Device, MemRef};
use girih_simt::Kernel;
use girih_wgpu::{Options, WgpuTarget, wgsl};

fn small(binding: u64, buffer: u64) -> Options {
    Options { max_binding: Some(binding), max_buffer: Some(buffer), ..Options::default() }
}

/// Kernels with every way to reach a buffer, and the bytes of their buffers.
fn cases() -> Vec<(Kernel, Vec<Vec<u8>>, Bindings)> {
    let numbers = |n: u32| words((0..n).map(|i| ((i % 61) as f32 - 20.0).to_bits()));
    let none = Bindings::new();
    vec![
        (
            elementwise(ScalarOp::Mul, DType::F32, 1, 1024),
            vec![numbers(1024), numbers(1024), vec![0; 4096]],
            none.clone(),
        ),
        (
            elementwise(ScalarOp::Add, DType::F32, 4, 2048),
            vec![numbers(2048), numbers(2048), vec![0; 8192]],
            none.clone(),
        ),
        (sum256(), vec![numbers(1024), vec![0; 16]], Bindings::from([("rows".into(), 4)])),
        (histogram(), vec![numbers(512), vec![0; 1024]], none),
    ]
}

/// `counts[x mod 256] += 1` by addition, and `last[..]` by compare-and-exchange: atomics on a buffer in parts.
fn histogram() -> Kernel {
    use girih_simt::*;
    let mut b = Builder::new();
    b.buffers.extend([input("x", F32), output("counts", U32)]);
    let i = thread(&mut b, 64);
    let x = b.load(Space::Buffer(0), i);
    let twenty = b.constant(Literal::float(20.0), F32);
    let x = b.add(x, twenty);
    let (bin, four, one) = (b.cast(x, DType::U32), b.uint(4), b.uint(1));
    let bin = b.mul(bin, four);
    b.push(Op::Atomic(AtomicOp::Add, Space::Buffer(1), bin, one), U32);
    let next = b.add(bin, one);
    b.push(Op::Atomic(AtomicOp::Max, Space::Buffer(1), next, i), U32);
    // A sum by compare-and-exchange.
    let third = b.add(next, one);
    b.begin();
    let before = b.load(Space::Buffer(1), third);
    let after = b.add(before, i);
    let seen = b.push(Op::CompareExchange(Space::Buffer(1), third, before, after), U32);
    let done = b.map(ScalarOp::Eq, &[seen, before]);
    b.if_then(done, |b| b.effect(Op::Break));
    let body = b.end();
    b.effect(Op::Loop(body));
    let last = b.add(third, one);
    b.store(Space::Buffer(1), last, bin);
    b.finish("histogram", [64, 1, 1], Dim::from(8))
}

#[test]
fn kernels_on_buffers_in_parts() {
    let Some(mut whole) = device() else { return };
    for limits in [small(1024, 1 << 20), small(1024, 1536), small(1300, 3000)] {
        let mut parts = device_with(limits.clone()).unwrap();
        for (kernel, buffers, sizes) in cases() {
            let (mut want, mut got) = (buffers.clone(), buffers);
            run(&mut whole, &kernel, &mut want, &sizes);
            run(&mut parts, &kernel, &mut got, &sizes);
            assert!(want == got, "{} with {limits:?}", kernel.name);
        }
    }
}

#[test]
fn bytes_and_copies_across_parts() {
    let Some(mut device) = device_with(small(512, 1040)) else { return };
    let mut want: Vec<u8> = (0..5001u32).map(|i| ((i * 31) >> 3) as u8).collect();
    let (a, b) = (device.allocate(5001).unwrap(), device.allocate(5001).unwrap());
    device.write(a, 0, &want).unwrap();
    for (offset, len) in [(1000, 2000), (1023, 2), (1024, 4), (1, 4999), (4096, 905), (2047, 1)] {
        let data: Vec<u8> = (0..len).map(|i| (i * 7 + offset) as u8).collect();
        want[offset..offset + len].copy_from_slice(&data);
        device.write(a, offset as u64, &data).unwrap();
        let mut back = vec![0; len];
        device.read(a, offset as u64, &mut back).unwrap();
        assert_eq!(back, data, "{len} bytes at {offset}");
    }
    let at = |buffer, offset, bytes| MemRef { buffer, offset, bytes };
    let copy = |from, to| Command::Copy { from, to };
    // Aligned and not, between allocations, and within one.
    device.submit(&[copy(at(a, 0, 5000), at(b, 0, 5000)), copy(at(a, 100, 1900), at(b, 2100, 1900))]).unwrap();
    device.submit(&[copy(at(b, 0, 2000), at(b, 2500, 2000)), copy(at(a, 11, 2011), at(b, 2013, 2011))]).unwrap();
    let mut model = want.clone();
    model[5000] = 0;
    model.copy_within(100..2000, 2100);
    model[2100..4000].copy_from_slice(&want[100..2000]);
    model.copy_within(0..2000, 2500);
    model[2013..4024].copy_from_slice(&want[11..2022]);
    let mut back = vec![0; 5001];
    device.read(b, 0, &mut back).unwrap();
    assert!(back == model);
}

#[test]
fn text_of_a_kernel_in_parts() {
    let text = WgpuTarget::webgpu().emit(&histogram()).unwrap().text;
    insta::assert_snapshot!("histogram_in_parts", wgsl::split(&text, &[1, 3]).unwrap().text);
    let text = WgpuTarget::webgpu().emit(&sum256()).unwrap().text;
    insta::assert_snapshot!("sum256_in_parts", wgsl::split(&text, &[2, 2]).unwrap().text);
    assert!(wgsl::split("fn main() {}", &[2]).is_err());
}

#[test]
fn more_parts_than_bindings_are_refused() {
    let Some(mut device) = device_with(small(256, 1 << 26)) else { return };
    let kernel = elementwise(ScalarOp::Neg, DType::F32, 1, 1 << 20);
    let code = device.compiler().code(&kernel).unwrap();
    let loaded = device.load(&code).unwrap();
    let (a, b) = (device.allocate(4 << 20).unwrap(), device.allocate(4 << 20).unwrap());
    let args = [a, b].map(|buffer| MemRef { buffer, offset: 0, bytes: 4 << 20 });
    let refused = device.submit(&[Command::Launch { kernel: loaded, args: &args, bindings: &Bindings::new() }]);
    let refused = refused.unwrap_err();
    assert_eq!(refused.code, "W016", "{refused}");
}

/// Really larger than a binding: 160 MiB where llvmpipe takes 128.
#[test]
#[ignore = "takes a gigabyte of memory and several seconds"]
fn a_tensor_larger_than_a_binding() {
    let Some(mut device) = device() else { return };
    let n: u32 = 40 << 20;
    let bytes = n as u64 * 4;
    let (x, y) = (device.allocate(bytes).unwrap(), device.allocate(bytes).unwrap());
    let data: Vec<u8> = (0..n).flat_map(|i| ((i % 8191) as f32).to_le_bytes()).collect();
    device.write(x, 0, &data).unwrap();
    let square = elementwise(ScalarOp::Square, DType::F32, 4, n);
    let sums = sum256();
    let [square, sums] = [square, sums].map(|k| device.compiler().code(&k).unwrap());
    let [square, sums] = [square, sums].map(|k| device.load(&k).unwrap());
    let rows = 1000u64;
    let total = device.allocate(rows * 4).unwrap();
    let all = |buffer| MemRef { buffer, offset: 0, bytes };
    // The last rows: beyond the first binding.
    let tail = MemRef { buffer: y, offset: bytes - rows * 1024, bytes: rows * 1024 };
    let (one, two) = ([all(x), all(y)], [tail, MemRef { buffer: total, offset: 0, bytes: rows * 4 }]);
    let (none, some) = (Bindings::new(), Bindings::from([("rows".into(), rows as i64)]));
    device
        .submit(&[
            Command::Launch { kernel: square, args: &one, bindings: &none },
            Command::Launch { kernel: sums, args: &two, bindings: &some },
        ])
        .unwrap();
    let mut back = vec![0; bytes as usize];
    device.read(y, 0, &mut back).unwrap();
    for (i, word) in to_words(&back).into_iter().enumerate() {
        let v = (i % 8191) as f32;
        assert_eq!(f32::from_bits(word), v * v, "element {i}");
    }
}
