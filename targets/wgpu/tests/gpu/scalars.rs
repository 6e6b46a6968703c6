//! Every row of the scalar table on f32, i32 and u32, scalar and vector, against its exact meaning and error bound.

use crate::harness::*;
use girih_base::scalar::Accuracy;
use girih_base::{Bindings, DType, Scalar, ScalarOp, codec, scalar};

const F32: &[f32] = &[
    0.0,
    -0.0,
    1.0,
    -1.0,
    2.0,
    -2.0,
    3.0,
    -3.0,
    0.5,
    -0.5,
    0.25,
    0.1,
    -0.1,
    1.5,
    -1.5,
    2.5,
    -2.5,
    3.5,
    1e-3,
    -1e-3,
    1e-8,
    -1e-8,
    0.7,
    0.9,
    -0.9,
    0.999,
    1.001,
    7.25,
    -7.25,
    9.5,
    10.0,
    -12.0,
    20.0,
    33.3,
    -50.0,
    80.0,
    88.0,
    88.8,
    -88.0,
    100.0,
    -104.0,
    127.0,
    128.0,
    -126.0,
    300.0,
    -1000.0,
    4095.5,
    1e5,
    -1e6,
    8388608.0,
    16777216.0,
    2147483648.0,
    -2147483648.0,
    4294967296.0,
    1e10,
    -1e15,
    1e20,
    1e30,
    -3e38,
    f32::MAX,
    f32::MIN,
    f32::MIN_POSITIVE,
    f32::INFINITY,
    f32::NEG_INFINITY,
    f32::NAN,
    std::f32::consts::PI,
    -std::f32::consts::FRAC_PI_2,
    0.625,
    0.6249,
    1.25,
    -0.26,
    5.4,
    6.0,
    22.0,
];

const INTS: &[u32] = &[
    0,
    1,
    2,
    3,
    5,
    7,
    8,
    31,
    32,
    33,
    100,
    255,
    256,
    65535,
    65536,
    12345678,
    0x7fff_ffff,
    0x8000_0000,
    0x8000_0001,
    0xffff_ffff,
    0xffff_fffe,
    0xffff_fff9,
    0xdead_beef,
    0xaaaa_aaaa,
];

/// Every tuple for up to two operands; for three, a walk through the combinations.
fn operands(op: ScalarOp, dtype: DType) -> Vec<Vec<u32>> {
    let mut values: Vec<u32> =
        if dtype == DType::F32 { F32.iter().map(|v| v.to_bits()).collect() } else { INTS.to_vec() };
    if op.arity() == 1 && dtype == DType::F32 {
        // A walk through all exponents, and a fine one through ordinary numbers.
        values.extend((0..2048u32).map(|i| i.wrapping_mul(0x0020_4081)));
        values.extend((0..2048i32).map(|i| ((i - 1024) as f32 * 0.01171875).to_bits()));
    }
    let n = values.len();
    let total = match op.arity() {
        1 => n,
        2 => n * n,
        _ => 4096,
    };
    let mut out = vec![Vec::new(); op.arity()];
    for i in 0..total.next_multiple_of(256) {
        let pick = [i % n, i / n % n, (i * 7 + i / n * 5) % n];
        for (k, column) in out.iter_mut().enumerate() {
            column.push(if op == ScalarOp::Select && k == 0 { (i % 3 == 0) as u32 } else { values[pick[k]] });
        }
    }
    out
}

fn ulp(v: f64) -> f64 {
    let v = v.abs().clamp(f32::MIN_POSITIVE as f64, f32::MAX as f64);
    2f64.powi(v.log2().floor() as i32 - 23)
}

/// Whether `got` is right for an exact result `want`; denormals may be flushed.
fn is_right(op: ScalarOp, x: &[f64], want: f64, got: f32) -> bool {
    let rounded = want as f32;
    if op == ScalarOp::Fma {
        // Rounded once or twice.
        let twice = x[0] as f32 * x[1] as f32 + x[2] as f32;
        if twice == got || (twice.is_nan() && got.is_nan()) {
            return true;
        }
    }
    if rounded.is_nan() || got.is_nan() {
        return rounded.is_nan() && got.is_nan();
    }
    if rounded == got {
        return true;
    }
    let allowed = match op.row().accuracy {
        Accuracy::Exact => 0.0,
        Accuracy::Ulp(n) => n * ulp(want),
        Accuracy::UlpGrowing(a, b) => (a + b * x[0].abs()) * ulp(want),
        Accuracy::AbsOrUlp(a, n) => a.max(n * ulp(want)),
    };
    if (want.abs() < f32::MIN_POSITIVE as f64 && got == 0.0) || (want - got as f64).abs() <= allowed {
        return true;
    }
    // At the edge of the range a result within the bound may overflow.
    got.is_infinite() && want.abs() + allowed > f32::MAX as f64 && want.signum() as f32 == got.signum()
}

fn check(device: &mut girih_wgpu::WgpuDevice, op: ScalarOp, dtype: DType, lanes: u8, wrong: &mut Vec<String>) {
    let columns = operands(op, dtype);
    let count = columns[0].len();
    let kernel = elementwise(op, dtype, lanes, count as u32);
    let mut buffers: Vec<Vec<u8>> = columns.iter().map(|c| words(c.iter().copied())).collect();
    buffers.push(vec![0; count * 4]);
    run(device, &kernel, &mut buffers, &Bindings::new());
    let results = to_words(&buffers[columns.len()]);
    let types = operand_types(op, dtype);
    let is_bool = op.infer(&types) == Ok(DType::Bool);
    let mut failures = Vec::new();
    for (i, got) in results.iter().enumerate() {
        let args: Vec<Scalar> = columns.iter().zip(&types).map(|(c, t)| codec::decode(c[i] as u64, *t)).collect();
        let want = scalar::eval(op, &args, dtype).unwrap();
        let good = if is_bool || dtype != DType::F32 {
            codec::encode(want, if is_bool { DType::U32 } else { dtype }) as u32 == *got
        } else {
            let exact = match (op.row().meaning.float, op) {
                (Some(f), o) if o != ScalarOp::Select => f(&args.iter().map(|a| a.as_f64()).collect::<Vec<_>>()),
                _ => want.as_f64(),
            };
            let x: Vec<f64> = args.iter().map(|a| a.as_f64()).collect();
            is_right(op, &x, exact, f32::from_bits(*got))
        };
        if !good {
            let got = codec::decode(*got as u64, if is_bool { DType::U32 } else { dtype });
            failures.push(format!("{args:?}: got {got:?}, want {want:?}"));
        }
    }
    if !failures.is_empty() {
        let shown = failures.iter().take(6).cloned().collect::<Vec<_>>().join("\n    ");
        wrong.push(format!("{} on {dtype} x{lanes}: {} of {count} wrong\n    {shown}", op.name(), failures.len()));
    }
}

fn check_all(dtype: DType) {
    let Some(mut device) = device() else { return };
    let mut wrong = Vec::new();
    for op in ScalarOp::ALL.iter().copied().filter(|o| o.row().operands.accepts(dtype)) {
        for lanes in [1, 4] {
            check(&mut device, op, dtype, lanes, &mut wrong);
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn floats_within_the_bounds_of_the_table() {
    check_all(DType::F32);
}

#[test]
fn signed_integers_exactly() {
    check_all(DType::I32);
}

#[test]
fn unsigned_integers_exactly() {
    check_all(DType::U32);
}

#[test]
fn conversions() {
    let Some(mut device) = device() else { return };
    use girih_simt::{Builder, Space, Ty};
    for (from, to) in
        [(DType::F32, DType::I32), (DType::F32, DType::U32), (DType::I32, DType::F32), (DType::U32, DType::F32)]
    {
        let mut values: Vec<u32> =
            if from == DType::F32 { F32.iter().map(|v| v.to_bits()).collect() } else { INTS.to_vec() };
        values.extend(vec![values[0]; values.len().next_multiple_of(64) - values.len()]);
        let mut b = Builder::new();
        b.buffers.extend([input("x", Ty::scalar(from)), output("y", Ty::scalar(to))]);
        let i = thread(&mut b, 64);
        let x = b.load(Space::Buffer(0), i);
        let y = b.cast(x, to);
        b.store(Space::Buffer(1), i, y);
        let kernel = b.finish("convert", [64, 1, 1], (values.len() / 64).into());
        let mut buffers = [words(values.iter().copied()), vec![0; values.len() * 4]];
        run(&mut device, &kernel, &mut buffers, &Bindings::new());
        for (x, got) in values.iter().zip(to_words(&buffers[1])) {
            let value = codec::decode(*x as u64, from);
            assert_eq!(got, codec::encode(value, to) as u32, "{value:?} from {from} to {to}");
        }
    }
}
