//! Functions of the language against plain loops, on the CPU and on a graphics adapter.
#![allow(clippy::unwrap_used, clippy::panic)]

mod common;
use common::*;
use girih_base::DType;
use girih_triton::Argument;

const HEAD: &str = "import triton\nimport triton.language as tl\nfrom triton.language.extra import libdevice\n\n\n";

/// Runs `body` (a kernel `k`) on every rig; compares the named buffer.
fn expect(body: &str, data: &[Data], rest: &[(&str, Argument)], grid: [u32; 3], out: usize, want: &[f64], bound: f64) {
    let source = format!("{HEAD}{body}");
    for mut rig in rigs() {
        let got = run(&mut rig, &source, "k", grid, data, rest);
        close(&format!("{}\n{body}", rig.name), &got[out], want, bound);
    }
}

/// `y = expression of x` on 64 floats.
fn elementwise(expression: &str, f: impl Fn(f64) -> f64, bound: f64) {
    let body = format!(
        "@triton.jit\ndef k(x_ptr, y_ptr):\n    at = tl.arange(0, 64)\n    x = tl.load(x_ptr + at)\n    tl.store(y_ptr + at, {expression})\n"
    );
    let x: Vec<f64> = random(21, 64).iter().map(|v| (*v as f32 * 3.0) as f64).collect();
    let want: Vec<f64> = x.iter().map(|v| f(*v)).collect();
    expect(&body, &[f32s("x_ptr", x), f32s("y_ptr", vec![0.0; 64])], &[], [1, 1, 1], 1, &want, bound);
}

#[test]
fn functions_of_one_number() {
    elementwise("tl.exp(x) + tl.sigmoid(x)", |x| x.exp() + 1.0 / (1.0 + (-x).exp()), 1e-5);
    elementwise("tl.math.exp2(x) * tl.cos(x) - tl.sin(x)", |x| x.exp2() * x.cos() - x.sin(), 1e-5);
    elementwise("tl.log(tl.abs(x) + 1) + tl.log2(x * x + 1)", |x| (x.abs() + 1.0).ln() + (x * x + 1.0).log2(), 1e-5);
    elementwise("libdevice.tanh(x) + tl.rsqrt(x * x + 1)", |x| x.tanh() + 1.0 / (x * x + 1.0).sqrt(), 1e-5);
    elementwise(
        "tl.clamp(x, -1.0, 1.0) + tl.maximum(x, 0.5) - tl.minimum(x, 0)",
        |x| x.clamp(-1.0, 1.0) + x.max(0.5) - x.min(0.0),
        1e-6,
    );
    elementwise(
        "tl.where(x > 0 and x < 1, tl.floor(x), tl.ceil(x))",
        |x| if x > 0.0 && x < 1.0 { x.floor() } else { x.ceil() },
        1e-6,
    );
    elementwise("(x.to(tl.int32, bitcast=True) & 0x7fffffff).to(tl.float32, bitcast=True)", f64::abs, 0.0);
    elementwise(
        "tl.softmax(x)",
        {
            let x: Vec<f64> = random(21, 64).iter().map(|v| v * 3.0).collect();
            let sum: f64 = x.iter().map(|v| v.exp()).sum();
            move |v| v.exp() / sum
        },
        1e-5,
    );
}

#[test]
fn integers_divide_as_c_does() {
    let body = "@triton.jit
def k(x_ptr, q_ptr, r_ptr, n):
    at = tl.arange(0, 16)
    x = tl.load(x_ptr + at)
    tl.store(q_ptr + at, x // n)
    tl.store(r_ptr + at, x % n)
";
    let x: Vec<f64> = (-8..8).map(|v| v as f64).collect();
    let buffers = [
        buffer("x_ptr", DType::I32, x.clone()),
        buffer("q_ptr", DType::I32, vec![0.0; 16]),
        buffer("r_ptr", DType::I32, vec![0.0; 16]),
    ];
    let q: Vec<f64> = x.iter().map(|v| (*v as i32 / 3) as f64).collect();
    let r: Vec<f64> = x.iter().map(|v| (*v as i32 % 3) as f64).collect();
    expect(body, &buffers, &[("n", int(3))], [1, 1, 1], 1, &q, 0.0);
    expect(body, &buffers, &[("n", int(3))], [1, 1, 1], 2, &r, 0.0);
}

#[test]
fn folds_and_running_folds() {
    let body = "@triton.jit
def larger(v1, i1, v2, i2):
    take = (v1 > v2) | ((v1 == v2) & (i1 < i2))
    return tl.where(take, v1, v2), tl.where(take, i1, i2)


@triton.jit
def linear(a1, b1, a2, b2):
    return a1 * a2, a2 * b1 + b2


@triton.jit
def k(x_ptr, y_ptr):
    at = tl.arange(0, 8)[:, None] * 32 + tl.arange(0, 32)[None, :]
    row = tl.arange(0, 8)
    x = tl.load(x_ptr + at)
    tl.store(y_ptr + row, tl.sum(x, axis=1))
    tl.store(y_ptr + 8 + row, tl.argmax(x, axis=1).to(tl.float32))
    v, i = tl.min(x, axis=1, return_indices=True)
    tl.store(y_ptr + 16 + row, v + i)
    index = tl.broadcast_to(tl.arange(0, 32)[None, :], 8, 32)
    best, where = tl.reduce((x, index), 1, larger)
    tl.store(y_ptr + 24 + row, best + where)
    tl.store(y_ptr + 32, tl.sum(x))
    tl.store(y_ptr + 64 + at, tl.cumsum(x, axis=1))
    tl.store(y_ptr + 320 + at, tl.cumsum(x, axis=1, reverse=True))
    _, h = tl.associative_scan((x, x), 1, linear)
    tl.store(y_ptr + 576 + at, h)
    tl.store(y_ptr + 832 + tl.arange(0, 32), tl.max(x, axis=0))
";
    let x = random(22, 256);
    let mut want = vec![0.0; 864];
    for r in 0..8 {
        let row = &x[r * 32..r * 32 + 32];
        let best = (0..32).max_by(|a, b| row[*a].total_cmp(&row[*b])).unwrap();
        let least = (0..32).min_by(|a, b| row[*a].total_cmp(&row[*b])).unwrap();
        want[r] = row.iter().sum();
        want[8 + r] = best as f64;
        want[16 + r] = row[least] + least as f64;
        want[24 + r] = row[best] + best as f64;
        let mut h = 0.0;
        for j in 0..32 {
            want[64 + r * 32 + j] = row[..=j].iter().sum();
            want[320 + r * 32 + j] = row[j..].iter().sum();
            h = row[j] * h + row[j];
            want[576 + r * 32 + j] = h;
            want[832 + j] = if r == 0 { row[j] } else { f64::max(want[832 + j], row[j]) };
        }
    }
    want[32] = x.iter().sum();
    expect(body, &[f32s("x_ptr", x), f32s("y_ptr", vec![0.0; 864])], &[], [1, 1, 1], 1, &want, 1e-5);
}

#[test]
fn shapes() {
    let body = "@triton.jit
def k(x_ptr, y_ptr):
    at = tl.arange(0, 16)
    x = tl.load(x_ptr + at)
    y = tl.load(x_ptr + 16 + at)
    pair = tl.arange(0, 32)
    tl.store(y_ptr + pair, tl.interleave(x, y))
    tl.store(y_ptr + 32 + pair, tl.cat(x, y, can_reorder=True))
    tl.store(y_ptr + 64 + at, tl.flip(x))
    low, high = tl.split(tl.reshape(x, (8, 2)))
    tl.store(y_ptr + 80 + tl.arange(0, 8), low - high)
    square = tl.reshape(x, 4, 4)
    four = tl.arange(0, 4)
    tl.store(y_ptr + 88 + four[:, None] * 4 + four[None, :], square.T)
    tl.store(y_ptr + 104 + at, tl.gather(x, (at * 5) % 16, 0))
    tl.store(y_ptr + 120 + at, tl.sort(x, descending=True))
    tl.store(y_ptr + 136 + four, tl.topk(x, 4))
    tl.store(y_ptr + 140 + four, tl.histogram((at % 3).to(tl.int32), 4).to(tl.float32))
";
    let x = random(23, 32);
    let (a, b) = x.split_at(16);
    let mut want = Vec::new();
    (0..16).for_each(|i| want.extend([a[i], b[i]]));
    want.extend(a);
    want.extend(b);
    want.extend(a.iter().rev());
    (0..8).for_each(|i| want.push((a[2 * i] as f32 - a[2 * i + 1] as f32) as f64));
    (0..16).for_each(|i| want.push(a[i % 4 * 4 + i / 4]));
    (0..16).for_each(|i| want.push(a[i * 5 % 16]));
    let mut sorted = a.to_vec();
    sorted.sort_by(|p, q| q.total_cmp(p));
    want.extend(&sorted);
    want.extend(&sorted[..4]);
    want.extend([6.0, 5.0, 5.0, 0.0]);
    expect(body, &[f32s("x_ptr", x.clone()), f32s("y_ptr", vec![0.0; 144])], &[], [1, 1, 1], 1, &want, 0.0);
}

#[test]
fn atomics_add_up_over_programs() {
    let body = "@triton.jit
def k(y_ptr, c_ptr, n):
    at = tl.program_id(0) * 32 + tl.arange(0, 32)
    tl.atomic_add(y_ptr + at % 8, 1.0, mask=at < n)
    tl.atomic_max(c_ptr + tl.arange(0, 4), tl.program_id(0))
";
    let buffers = [f32s("y_ptr", vec![0.0; 8]), buffer("c_ptr", DType::I32, vec![-1.0; 4])];
    expect(body, &buffers, &[("n", int(100))], [5, 1, 1], 0, &[13.0, 13.0, 13.0, 13.0, 12.0, 12.0, 12.0, 12.0], 0.0);
    expect(body, &buffers, &[("n", int(100))], [5, 1, 1], 1, &[4.0; 4], 0.0);
}

#[test]
fn branches_loops_and_early_returns() {
    let body = "@triton.jit
def collatz(n):
    steps = 0
    while n > 1:
        n = n // 2 if n % 2 == 0 else 3 * n + 1
        steps += 1
    return steps


@triton.jit
def sign(x):
    if x > 0:
        return 1.0
    elif x < 0:
        return -1.0
    return 0.0


@triton.jit
def k(x_ptr, y_ptr, n, flag: tl.constexpr = None):
    i = tl.program_id(0)
    if i >= n:
        return
    x = tl.load(x_ptr + i)
    total = sign(x)
    if flag is not None:
        total += flag
    for j in range(i, n, 3):
        if j % 2 == 0:
            total += j
        else:
            total -= 1.5
    for _ in tl.static_range(2):
        total *= 2
    for j in range(3, 0, -1):
        total += j
    tl.store(y_ptr + i, total + collatz(i + 1))
";
    let x: Vec<f64> = (0..8).map(|i| [1.5, -2.0, 0.0][i % 3]).collect();
    let n = 6i64;
    let collatz = |mut v: i64| {
        let mut steps = 0;
        while v > 1 {
            v = if v % 2 == 0 { v / 2 } else { 3 * v + 1 };
            steps += 1;
        }
        steps as f64
    };
    let want: Vec<f64> = (0..8i64)
        .map(|i| {
            if i >= n {
                return 0.0;
            }
            let v = x[i as usize];
            let mut total = if v > 0.0 {
                1.0
            } else if v < 0.0 {
                -1.0
            } else {
                0.0
            } + 0.25;
            for j in (i..n).step_by(3) {
                total += if j % 2 == 0 { j as f64 } else { -1.5 };
            }
            total * 4.0 + 6.0 + collatz(i + 1)
        })
        .collect();
    let rest = [("n", int(n)), ("flag", Argument::Constant(0.25.into()))];
    expect(body, &[f32s("x_ptr", x), f32s("y_ptr", vec![0.0; 8])], &rest, [8, 1, 1], 1, &want, 1e-6);
}

#[test]
fn lower_bounds_negative_offsets_and_gathers() {
    // A difference of neighbours with zeros outside, and a gather through indices.
    let body = "@triton.jit
def k(x_ptr, i_ptr, y_ptr, z_ptr, n):
    at = tl.program_id(0) * 16 + tl.arange(0, 16)
    left = at - 1
    before = tl.load(x_ptr + left, mask=(left >= 0) & (left < n), other=0.0)
    here = tl.load(x_ptr + at, mask=at < n, other=0.0)
    tl.store(y_ptr + at, here - before, mask=at < n)
    index = tl.load(i_ptr + at, mask=at < n, other=-1)
    tl.store(z_ptr + at, tl.load(x_ptr + index, mask=index >= 0, other=7.0), mask=at < n)
";
    let n = 37usize;
    let x = random(24, n);
    let index: Vec<f64> = (0..n).map(|i| if i % 5 == 0 { -1.0 } else { (i * 7 % n) as f64 }).collect();
    let y: Vec<f64> = (0..n).map(|i| (x[i] as f32 - if i > 0 { x[i - 1] as f32 } else { 0.0 }) as f64).collect();
    let z: Vec<f64> = index.iter().map(|i| if *i < 0.0 { 7.0 } else { x[*i as usize] }).collect();
    let data = [
        f32s("x_ptr", x),
        buffer("i_ptr", DType::I32, index),
        f32s("y_ptr", vec![0.0; n]),
        f32s("z_ptr", vec![0.0; n]),
    ];
    expect(body, &data, &[("n", int(n as i64))], [3, 1, 1], 2, &y, 0.0);
    expect(body, &data, &[("n", int(n as i64))], [3, 1, 1], 3, &z, 0.0);
}

#[test]
fn negative_strides_and_plain_numbers() {
    let body = "@triton.jit
def k(x_ptr, y_ptr, stride, first, bias):
    at = tl.arange(0, 8)
    tl.store(y_ptr + at, tl.load(x_ptr + first + at * stride) + bias)
";
    let x = random(25, 16);
    let want: Vec<f64> = (0..8).map(|i| (x[15 - i] as f32 - 0.5) as f64).collect();
    let rest = [("stride", int(-1)), ("first", int(15)), ("bias", Argument::Float(-0.5))];
    expect(body, &[f32s("x_ptr", x), f32s("y_ptr", vec![0.0; 8])], &rest, [1, 1, 1], 1, &want, 0.0);
}

#[test]
fn narrow_types_round_as_they_are_stored() {
    let body = "@triton.jit
def k(h_ptr, b_ptr, i_ptr, y_ptr):
    at = tl.arange(0, 16)
    h = tl.load(h_ptr + at)
    b = tl.load(b_ptr + at)
    i = tl.load(i_ptr + at)
    tl.static_assert((h + b).dtype == tl.float16)
    tl.static_assert((i + b).dtype == tl.bfloat16)
    tl.static_assert((i // 2).dtype == tl.int8)
    tl.store(y_ptr + at, (h * 2).to(tl.float32) + (i // 2))
    tl.store(b_ptr + at, h)
";
    let h: Vec<f64> = (0..16).map(|i| i as f64 / 4.0 - 2.0).collect();
    let i: Vec<f64> = (0..16).map(|i| i as f64 * 3.0 - 20.0).collect();
    let want: Vec<f64> = (0..16).map(|j| h[j] * 2.0 + (i[j] as i32 / 2) as f64).collect();
    let data = [
        buffer("h_ptr", DType::F16, h.clone()),
        buffer("b_ptr", DType::Bf16, vec![1.0; 16]),
        buffer("i_ptr", DType::I8, i),
        f32s("y_ptr", vec![0.0; 16]),
    ];
    expect(body, &data, &[], [1, 1, 1], 3, &want, 0.0);
    expect(body, &data, &[], [1, 1, 1], 1, &h, 0.0);
}

#[test]
fn one_buffer_for_two_arguments() {
    let body = "@triton.jit
def k(x_ptr, y_ptr, n):
    at = tl.program_id(0) * 16 + tl.arange(0, 16)
    x = tl.load(x_ptr + at, mask=at < n)
    tl.store(y_ptr + at, x * 2, mask=at < n)
";
    let source = format!("{HEAD}{body}");
    for mut rig in rigs() {
        use girih_exec::MemRef;
        let module = girih_triton::Module::parse(&source, "kernel.py").unwrap();
        let mut launcher = girih_triton::Launcher::new(&module, "k").unwrap();
        let buffer = rig.device.allocate(40 * 4).unwrap();
        let bytes: Vec<u8> = (0..40).flat_map(|i| (i as f32).to_le_bytes()).collect();
        rig.device.write(buffer, 0, &bytes).unwrap();
        let mem = MemRef { buffer, offset: 0, bytes: 160 };
        let args = [
            ("x_ptr", Argument::Buffer(mem, DType::F32)),
            ("y_ptr", Argument::Buffer(mem, DType::F32)),
            ("n", int(40)),
        ];
        launcher.launch(&*rig.target, &mut *rig.device, [3, 1, 1], &args).unwrap();
        launcher.launch(&*rig.target, &mut *rig.device, [3, 1, 1], &args).unwrap();
        assert_eq!(launcher.compiled(), 1);
        let mut back = vec![0; 160];
        rig.device.read(buffer, 0, &mut back).unwrap();
        let got: Vec<f32> = back.chunks(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect();
        assert_eq!(got, (0..40).map(|i| 4.0 * i as f32).collect::<Vec<_>>(), "{}", rig.name);
    }
}
