//! Decorators, products beyond matrices, narrow floats, 64-bit integers, locks, descriptors of the host.
#![allow(clippy::unwrap_used, clippy::panic)]

mod common;
use common::*;
use girih_base::DType;
use girih_exec::MemRef;
use girih_triton::{Argument, Constant, Launcher, Module};

const HEAD: &str = "import triton\nimport triton.language as tl\n\n\n";

fn expect(body: &str, data: &[Data], rest: &[(&str, Argument)], grid: [u32; 3], out: usize, want: &[f64], bound: f64) {
    let source = format!("{HEAD}{body}");
    for mut rig in rigs() {
        let got = run(&mut rig, &source, "k", grid, data, rest);
        close(&format!("{}\n{body}", rig.name), &got[out], want, bound);
    }
}

#[test]
fn decorators_decide_constants() {
    let body = "FACTOR: tl.constexpr = tl.constexpr(3)


@triton.autotune(configs=[triton.Config({'BLOCK': b}) for b in (16, 32)], key=['n'])
@triton.heuristics({'WHOLE': lambda args: args['n'] % args['BLOCK'] == 0})
@triton.jit
def k(x_ptr, y_ptr, n, BLOCK: tl.constexpr, WHOLE: tl.constexpr):
    at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    if WHOLE:
        tl.store(y_ptr + at, tl.load(x_ptr + at) * FACTOR)
    else:
        tl.store(y_ptr + at, tl.load(x_ptr + at, mask=at < n) * FACTOR + 1, mask=at < n)
";
    for n in [32usize, 30] {
        let x = random(31, n);
        let want: Vec<f64> = x.iter().map(|v| (*v as f32 * 3.0 + if n == 30 { 1.0 } else { 0.0 }) as f64).collect();
        expect(
            body,
            &[f32s("x_ptr", x), f32s("y_ptr", vec![0.0; n])],
            &[("n", int(n as i64))],
            [2, 1, 1],
            1,
            &want,
            1e-6,
        );
    }
}

#[test]
fn products_of_batches_and_of_scaled_formats() {
    let body = "@triton.jit
def k(a_ptr, b_ptr, c_ptr):
    batch = tl.arange(0, 2)[:, None, None]
    i = tl.arange(0, 8)
    a = tl.load(a_ptr + batch * 64 + i[None, :, None] * 8 + i[None, None, :])
    b = tl.load(b_ptr + batch * 64 + i[None, :, None] * 8 + i[None, None, :])
    tl.store(c_ptr + batch * 64 + i[None, :, None] * 8 + i[None, None, :], tl.dot(a, b))
";
    let (a, b) = (random(32, 128), random(33, 128));
    let want: Vec<f64> = (0..128)
        .map(|e| (0..8).map(|k| a[e / 64 * 64 + e / 8 % 8 * 8 + k] * b[e / 64 * 64 + k * 8 + e % 8]).sum())
        .collect();
    expect(body, &[f32s("a_ptr", a), f32s("b_ptr", b), f32s("c_ptr", vec![0.0; 128])], &[], [1, 1, 1], 2, &want, 1e-5);

    let body = "@triton.jit
def k(a_ptr, s_ptr, b_ptr, c_ptr):
    rows = tl.arange(0, 16)[:, None]
    a = tl.load(a_ptr + rows * 32 + tl.arange(0, 32)[None, :])
    s = tl.load(s_ptr + rows * 2 + tl.arange(0, 2)[None, :])
    b = tl.load(b_ptr + tl.arange(0, 64)[:, None] * 16 + tl.arange(0, 16)[None, :])
    c = tl.dot_scaled(a, s, 'e2m1', b, None, 'bf16')
    tl.store(c_ptr + rows * 16 + tl.arange(0, 16)[None, :], c)
";
    let codes: Vec<f64> = (0..512).map(|i| (i * 37 % 256) as f64).collect();
    let scales: Vec<f64> = (0..32).map(|i| (124 + i % 7) as f64).collect();
    let b: Vec<f64> = random(34, 1024).iter().map(|v| (v * 16.0).round() / 16.0).collect();
    let value = |row: usize, k: usize| {
        let byte = codes[row * 32 + k / 2] as u32;
        let code = if k.is_multiple_of(2) { byte & 15 } else { byte >> 4 };
        let v = [0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0][code as usize % 8];
        (if code >= 8 { -v } else { v }) * 2f64.powi(scales[row * 2 + k / 32] as i32 - 127)
    };
    let want: Vec<f64> = (0..256).map(|e| (0..64).map(|k| value(e / 16, k) * b[k * 16 + e % 16]).sum()).collect();
    let data = [
        buffer("a_ptr", DType::U8, codes.clone()),
        buffer("s_ptr", DType::U8, scales.clone()),
        buffer("b_ptr", DType::Bf16, b.clone()),
        f32s("c_ptr", vec![0.0; 256]),
    ];
    expect(body, &data, &[], [1, 1, 1], 3, &want, 1e-4);
}

#[test]
fn eight_bit_floats() {
    let body = "@triton.jit
def k(a_ptr, b_ptr, y_ptr):
    at = tl.arange(0, 64)
    a = tl.load(a_ptr + at)
    tl.store(y_ptr + at, a.to(tl.float32) * 2)
    tl.store(b_ptr + at, a.to(tl.float32).to(tl.float8e5))
";
    let a: Vec<f64> = (0..64).map(|i| [0.5, 1.0, -2.0, 3.5, 0.0, -0.25, 16.0, 1.5][i % 8]).collect();
    let data = [
        buffer("a_ptr", DType::F8E4M3Fn, a.clone()),
        buffer("b_ptr", DType::F8E5M2, vec![0.0; 64]),
        f32s("y_ptr", vec![0.0; 64]),
    ];
    expect(body, &data, &[], [1, 1, 1], 2, &a.iter().map(|v| v * 2.0).collect::<Vec<_>>(), 0.0);
    expect(body, &data, &[], [1, 1, 1], 1, &a, 0.0);
}

#[test]
fn long_integers() {
    // Rows by 64-bit indices, and arithmetic that needs all 64 bits on targets that have them.
    let body = "@triton.jit
def k(x_ptr, y_ptr, stride, n):
    row = tl.program_id(0).to(tl.int64)
    at = tl.arange(0, 16)
    wide = row * stride + at
    tl.store(y_ptr + wide, tl.load(x_ptr + wide, mask=wide < n, other=5.0), mask=wide < n)
";
    let x = random(35, 60);
    let data = [f32s("x_ptr", x.clone()), f32s("y_ptr", vec![0.0; 60])];
    expect(body, &data, &[("stride", int(16)), ("n", int(60))], [4, 1, 1], 1, &x, 0.0);

    let body = "@triton.jit
def k(y_ptr, big):
    at = tl.arange(0, 8)
    x = at.to(tl.int64) * 5000000000 + big
    tl.store(y_ptr + at, ((x // 1000000007) % 1000).to(tl.int32))
";
    let source = format!("{HEAD}{body}");
    for mut rig in rigs() {
        if !rig.target.desc().native.contains(&DType::I64) {
            continue;
        }
        let big = 123_456_789_012i64;
        let data = [buffer("y_ptr", DType::I32, vec![0.0; 8])];
        let got = run(&mut rig, &source, "k", [1, 1, 1], &data, &[("big", int(big))]);
        let want: Vec<f64> = (0..8i64).map(|i| ((i * 5_000_000_000 + big) / 1_000_000_007 % 1000) as f64).collect();
        close(rig.name, &got[0], &want, 0.0);
    }
}

#[test]
fn the_first_program_takes_the_place() {
    let body = "@triton.jit
def k(place_ptr, y_ptr):
    me = tl.program_id(0)
    before = tl.atomic_cas(place_ptr, 0, 1)
    if before == 0:
        tl.atomic_xchg(place_ptr + 1, 7)
    tl.atomic_add(y_ptr, before)
    tl.store(y_ptr + 1 + me, me)
";
    let data = [buffer("place_ptr", DType::I32, vec![0.0; 2]), buffer("y_ptr", DType::I32, vec![0.0; 9])];
    let want: Vec<f64> = std::iter::once(7.0).chain((0..8).map(f64::from)).collect();
    expect(body, &data, &[], [8, 1, 1], 0, &[1.0, 7.0], 0.0);
    expect(body, &data, &[], [8, 1, 1], 1, &want, 0.0);
}

#[test]
fn atomics_of_64_bits() {
    let source = format!(
        "{HEAD}@triton.jit
def k(y_ptr, double_ptr):
    at = tl.program_id(0) * 8 + tl.arange(0, 8)
    v = at.to(tl.int64) * 5000000000
    tl.atomic_add(y_ptr + at % 2, v, mask=at != 3)
    tl.atomic_max(y_ptr + 2 + at * 0, v)
    tl.atomic_min(y_ptr + 3 + at * 0, -v)
    tl.atomic_add(double_ptr + at % 2, at.to(tl.float64))
"
    );
    let data = [buffer("y_ptr", DType::I64, vec![0.0; 4]), buffer("double_ptr", DType::F64, vec![0.0; 2])];
    for mut rig in rigs() {
        if !rig.target.desc().native.contains(&DType::F64) {
            continue;
        }
        let got = run(&mut rig, &source, "k", [4, 1, 1], &data, &[]);
        let wide = [240.0, 253.0, 31.0, -31.0].map(|v: f64| v * 5e9);
        close(rig.name, &got[0], &wide, 0.0);
        close(rig.name, &got[1], &[240.0, 256.0], 0.0);
    }
}

#[test]
fn descriptors_of_the_host() {
    let source = format!(
        "{HEAD}@triton.jit
def k(x, y, columns, BLOCK: tl.constexpr):
    for start in range(0, columns, BLOCK):
        y.store([tl.program_id(0) * 4, start], x.load([tl.program_id(0) * 4, start]) * 2)
"
    );
    for mut rig in rigs() {
        let module = Module::parse(&source, "kernel.py").unwrap();
        let mut launcher = Launcher::new(&module, "k").unwrap();
        let (rows, columns) = (6usize, 21usize);
        let bytes: Vec<u8> = (0..rows * columns).flat_map(|i| (i as f32).to_le_bytes()).collect();
        let mut mems = Vec::new();
        for _ in 0..2 {
            let buffer = rig.device.allocate(bytes.len() as u64).unwrap();
            rig.device.write(buffer, 0, &bytes).unwrap();
            mems.push(MemRef { buffer, offset: 0, bytes: bytes.len() as u64 });
        }
        let shape = vec![rows as u32, columns as u32];
        let descriptor =
            |m: MemRef| Argument::Descriptor(m, DType::F32, shape.clone(), vec![columns as u32, 1], vec![4, 8]);
        let args = [
            ("x", descriptor(mems[0])),
            ("y", descriptor(mems[1])),
            ("columns", int(columns as i64)),
            ("BLOCK", int(8)),
        ];
        launcher.launch(&*rig.target, &mut *rig.device, [2, 1, 1], &args).unwrap();
        let mut back = vec![0; bytes.len()];
        rig.device.read(mems[1].buffer, 0, &mut back).unwrap();
        let got: Vec<f64> = back.chunks(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]) as f64).collect();
        close(rig.name, &got, &(0..rows * columns).map(|i| 2.0 * i as f64).collect::<Vec<_>>(), 0.0);
    }
}

#[test]
fn a_launch_that_does_not_fit_is_refused() {
    let source = format!(
        "{HEAD}@triton.jit\ndef k(y_ptr, n, m):\n    at = tl.arange(0, 8)\n    tl.store(y_ptr + at, at, mask=at < n * m)\n"
    );
    for mut rig in rigs() {
        let module = Module::parse(&source, "kernel.py").unwrap();
        let mut launcher = Launcher::new(&module, "k").unwrap();
        let buffer = rig.device.allocate(32).unwrap();
        let y = ("y_ptr", Argument::Buffer(MemRef { buffer, offset: 0, bytes: 32 }, DType::I32));
        let mut go = |n: i64, m: i64| {
            launcher.launch(&*rig.target, &mut *rig.device, [1, 1, 1], &[y.clone(), ("n", int(n)), ("m", int(m))])
        };
        go(2, 3).unwrap();
        // Sizes whose product is beyond int32 would be masked wrongly.
        assert_eq!(go(1 << 20, 1 << 20).unwrap_err().code, "K012");
        assert_eq!(
            launcher.launch(&*rig.target, &mut *rig.device, [1, 1, 1], std::slice::from_ref(&y)).unwrap_err().code,
            "K012"
        );
        let wrong = [y.clone(), ("n", int(4)), ("m", int(4)), ("o", int(4))];
        assert_eq!(launcher.launch(&*rig.target, &mut *rig.device, [1, 1, 1], &wrong).unwrap_err().code, "K012");
    }
}

#[test]
fn tuples_and_functions_are_arguments() {
    let source = format!(
        "{HEAD}@triton.jit
def square(x):
    return x * x


@triton.jit
def k(xs, weights, y_ptr, n, F: tl.constexpr):
    at = tl.arange(0, 32)
    total = tl.zeros((32,), tl.float32)
    for i in tl.static_range(len(xs)):
        total += F(tl.load(xs[i] + at, mask=at < n)) * weights[i]
    tl.store(y_ptr + at, total, mask=at < n)
"
    );
    let module = Module::parse(&source, "kernel.py").unwrap();
    for mut rig in rigs() {
        let mut launcher = Launcher::new(&module, "k").unwrap();
        let mut memory = |values: &[f32]| {
            let buffer = rig.device.allocate(80).unwrap();
            let bytes: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
            rig.device.write(buffer, 0, &bytes).unwrap();
            MemRef { buffer, offset: 0, bytes: 80 }
        };
        let (a, b, y) = (memory(&[2.0; 20]), memory(&[3.0; 20]), memory(&[0.0; 20]));
        let array = |m: MemRef| Argument::Buffer(m, DType::F32);
        let f = |name: &str| Argument::Constant(Constant::Function { module: String::new(), name: name.into() });
        let mut go = |xs: Vec<Argument>, name: &str| -> girih_base::Result<f32> {
            let weights = Argument::Tuple(vec![int(10), Argument::Float(0.5)]);
            let args = [
                ("xs", Argument::Tuple(xs)),
                ("weights", weights),
                ("y_ptr", array(y)),
                ("n", int(20)),
                ("F", f(name)),
            ];
            launcher.launch(&*rig.target, &mut *rig.device, [1, 1, 1], &args)?;
            let mut back = vec![0; 80];
            rig.device.read(y.buffer, 0, &mut back)?;
            Ok(f32::from_le_bytes([back[76], back[77], back[78], back[79]]))
        };
        assert_eq!(go(vec![array(a), array(b)], "square").unwrap(), 44.5, "{}", rig.name);
        // The same buffer twice, and another number of them.
        assert_eq!(go(vec![array(a), array(a)], "square").unwrap(), 42.0, "{}", rig.name);
        assert_eq!(go(vec![array(b)], "square").unwrap(), 90.0, "{}", rig.name);
        assert_eq!(go(vec![array(b)], "cube").unwrap_err().code, "K003");
    }
}

#[test]
fn descriptors_are_told_from_pointers() {
    let body = "@triton.jit
def k(x_ptr, y_ptr):
    d = tl.make_tensor_descriptor(x_ptr, shape=[8], strides=[1], block_shape=[8])
    tl.static_assert(isinstance(d, tl.tensor_descriptor) and not isinstance(d, tl.tensor))
    tl.static_assert(isinstance(x_ptr, tl.tensor) and not isinstance(x_ptr, tl.tensor_descriptor))
    tl.store(y_ptr + tl.arange(0, 8), d.load([0]))
";
    let x = random(9, 8);
    expect(body, &[f32s("x_ptr", x.clone()), f32s("y_ptr", vec![0.0; 8])], &[], [1, 1, 1], 1, &x, 0.0);
}
