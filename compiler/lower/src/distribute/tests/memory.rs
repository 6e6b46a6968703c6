use super::data::*;
use super::*;
use girih_base::{Dim, ScalarOp};
use girih_tile::{Access, AtomicOp, Builder, Literal, Op, TileTy};
use half::{bf16, f16};

fn copy(from: DType, to: DType, n: usize, tile: u32) -> girih_tile::Kernel {
    let mut b = Builder::new();
    let x = b.param("x", from, Dim::from(n), Access::Read, true);
    let out = b.param("out", to, Dim::from(n), Access::Write, false);
    let (p, t) = (b.program_id(0), b.int(tile as i64));
    let at = b.map(ScalarOp::Mul, &[p, t]);
    let other = if from.is_float() { Literal::float(0.0) } else { Literal::Int(0) };
    let t = b.load(x, view(&[(n, 1)]), &[at], &[tile], other);
    let t = b.cast(t, to);
    b.store(out, view(&[(n, 1)]), &[at], t);
    b.finish("copy", vec![Dim::from(n.div_ceil(tile as usize))])
}

/// Narrow stores where threads own words (extent 64) and where they share them (extent 61).
#[test]
fn narrow_storage() {
    for n in [64usize, 61] {
        let xs: Vec<f32> = random(n, 1).iter().map(|x| x * 200.0).collect();
        let cases: Vec<(DType, Vec<u8>)> = vec![
            (DType::F16, xs.iter().flat_map(|x| f16::from_f32(*x).to_le_bytes()).collect()),
            (DType::Bf16, xs.iter().flat_map(|x| bf16::from_f32(*x).to_le_bytes()).collect()),
            (DType::I8, xs.iter().map(|x| (*x as i8) as u8).collect()),
            (DType::U8, xs.iter().map(|x| *x as u8).collect()),
            (DType::I16, xs.iter().flat_map(|x| (*x as i16).to_le_bytes()).collect()),
            (DType::Bool, xs.iter().map(|x| (*x != 0.0) as u8).collect()),
        ];
        for (dtype, want) in cases {
            let kernel = copy(F32, dtype, n, 32);
            let back = copy(dtype, F32, n, 32);
            for desc in targets() {
                let got = run_on(&desc, &kernel, &[bytes(&xs), vec![0; want.len()]], &[]);
                assert_eq!(got[1][..want.len()], want, "{dtype} {} {n}", desc.name);
                let again = floats(&run_on(&desc, &back, &[want.clone(), bytes(&vec![0.0; n])], &[])[1]);
                let exact: Vec<f32> = xs
                    .iter()
                    .map(|x| match dtype {
                        DType::F16 => f16::from_f32(*x).to_f32(),
                        DType::Bf16 => bf16::from_f32(*x).to_f32(),
                        DType::I8 => *x as i8 as f32,
                        DType::U8 => *x as u8 as f32,
                        DType::I16 => *x as i16 as f32,
                        _ => (*x != 0.0) as u8 as f32,
                    })
                    .collect();
                compare(dtype.name(), &again, &exact, 0.0);
            }
        }
    }
}

/// Every code of the 8-bit floats survives decoding and encoding; known values come out right.
#[test]
fn small_floats() {
    let codes: Vec<u8> = (0..=255).collect();
    for (dtype, samples) in [
        (DType::F8E4M3Fn, vec![(0x01, 0.001953125), (0x08, 0.015625), (0x38, 1.0), (0x7e, 448.0), (0xc0, -2.0)]),
        (
            DType::F8E5M2,
            vec![
                (0x01, 2f32.powi(-16)),
                (0x04, 2f32.powi(-14)),
                (0x3c, 1.0),
                (0x7b, 57344.0),
                (0xfc, f32::NEG_INFINITY),
            ],
        ),
    ] {
        let desc = TargetDesc::webgpu();
        let decoded = run_on(&desc, &copy(dtype, F32, 256, 64), &[codes.clone(), vec![0; 1024]], &[]).remove(1);
        for (code, value) in samples {
            assert_eq!(floats(&decoded)[code as usize], value, "{dtype} {code:#x}");
        }
        let encoded = run_on(&desc, &copy(F32, dtype, 256, 64), &[decoded.clone(), vec![0; 256]], &[]).remove(1);
        for (code, back) in codes.iter().zip(&encoded) {
            let nan = floats(&decoded)[*code as usize].is_nan();
            assert!(nan || code == back, "{dtype} {code:#x} became {back:#x}");
        }
    }
}

/// `out[i] = table[index[i]]`, and its adjoint by float atomics.
#[test]
fn gather_and_scatter() {
    let (n, rows) = (100usize, 10usize);
    let index: Vec<i32> = (0..n as i32).map(|i| i * 7 % rows as i32).collect();
    let build = |scatter: bool| {
        let mut b = Builder::new();
        let i = b.param("index", DType::I32, Dim::from(n), Access::Read, true);
        let x = b.param("x", F32, Dim::from(if scatter { n } else { rows }), Access::Read, true);
        let out = b.param("out", F32, Dim::from(if scatter { rows } else { n }), Access::ReadWrite, false);
        let (p, t) = (b.program_id(0), b.int(64));
        let at = b.map(ScalarOp::Mul, &[p, t]);
        let places = b.load(i, view(&[(n, 1)]), &[at], &[64], Literal::Int(-1));
        let zero = b.constant(Literal::Int(0), TileTy::new(DType::I32, [64]));
        let there = b.map(ScalarOp::Le, &[zero, places]);
        if scatter {
            let v = b.load(x, view(&[(n, 1)]), &[at], &[64], Literal::float(0.0));
            let op = Op::Atomic { op: AtomicOp::Add, param: out, index: places, value: v, mask: Some(there) };
            b.push(op, vec![TileTy::new(F32, [64])]);
        } else {
            let op = Op::LoadAt { param: x, index: places, mask: Some(there), other: Literal::float(0.0) };
            let v = b.push(op, vec![TileTy::new(F32, [64])])[0];
            b.store(out, view(&[(n, 1)]), &[at], v);
        }
        b.finish("move", vec![Dim::from(n.div_ceil(64))])
    };
    let table = random(rows, 3);
    let want: Vec<f32> = index.iter().map(|i| table[*i as usize]).collect();
    expect_f32(&build(false), &[ints(&index), bytes(&table), bytes(&vec![0.0; n])], &[], 2, &want, 0.0);
    let x = random(n, 4);
    let mut sums = vec![0.0; rows];
    index.iter().zip(&x).for_each(|(i, x)| sums[*i as usize] += x);
    expect_f32(&build(true), &[ints(&index), bytes(&x), bytes(&vec![0.0; rows])], &[], 2, &sums, 1e-5);
}

/// Atomic counters hand out each number once; the old values are used by every thread that needs them.
#[test]
fn atomic_results() {
    let mut b = Builder::new();
    let counter = b.param("counter", DType::I32, Dim::ONE, Access::ReadWrite, false);
    let out = b.param("out", DType::I32, Dim::from(128), Access::Write, false);
    let (zeros, ones) = [0, 1].map(Literal::Int).into();
    let zeros = b.constant(zeros, TileTy::new(DType::I32, [64]));
    let ones = b.constant(ones, TileTy::new(DType::I32, [64]));
    let op = Op::Atomic { op: AtomicOp::Add, param: counter, index: zeros, value: ones, mask: None };
    let old = b.push(op, vec![TileTy::new(DType::I32, [64])])[0];
    let (p, t) = (b.program_id(0), b.int(64));
    let at = b.map(ScalarOp::Mul, &[p, t]);
    b.store(out, view(&[(128, 1)]), &[at], old);
    let kernel = b.finish("count", vec![Dim::from(2)]);
    for desc in targets() {
        let got = run_on(&desc, &kernel, &[ints(&[0]), ints(&[0; 128])], &[]);
        let mut seen = to_ints(&got[1]);
        seen.sort_unstable();
        assert_eq!(seen, (0..128).collect::<Vec<i32>>(), "{}", desc.name);
        assert_eq!(to_ints(&got[0]), [128]);
    }
}

/// A uniform branch that gives a tile.
#[test]
fn branches() {
    let mut b = Builder::new();
    let x = b.param("x", F32, Dim::from(256), Access::Read, true);
    let out = b.param("out", F32, Dim::from(256), Access::Write, false);
    let (p, t, one) = (b.program_id(0), b.int(128), b.int(1));
    let at = b.map(ScalarOp::Mul, &[p, t]);
    let second = b.map(ScalarOp::Eq, &[p, one]);
    let xs = b.load(x, view(&[(256, 1)]), &[at], &[128], Literal::float(0.0));
    b.begin(vec![]);
    let s = b.reduce(xs, 0, ScalarOp::Add);
    let s = b.splat(s, &[128]);
    let then = b.end(vec![s]);
    b.begin(vec![]);
    let n = b.map(ScalarOp::Neg, &[xs]);
    let otherwise = b.end(vec![n]);
    let y = b.push(Op::If { cond: second, then, otherwise }, vec![TileTy::new(F32, [128])])[0];
    b.store(out, view(&[(256, 1)]), &[at], y);
    let kernel = b.finish("choose", vec![Dim::from(2)]);
    let xs = random(256, 5);
    let sum: f32 = xs[128..].iter().sum();
    let want: Vec<f32> = (0..256).map(|i| if i < 128 { -xs[i] } else { sum }).collect();
    expect_f32(&kernel, &[bytes(&xs), bytes(&[0.0; 256])], &[], 1, &want, 1e-5);
}

/// A flag is set when all threads have stored, not only those of the thread that sets it.
#[test]
fn a_flag_is_set_behind_what_it_announces() {
    let mut b = Builder::new();
    let out = b.param("out", DType::I32, Dim::from(512), Access::Write, false);
    let flag = b.param("flag", DType::I32, Dim::ONE, Access::ReadWrite, false);
    let tile = b.constant(Literal::Int(7), TileTy::new(DType::I32, [512]));
    let zero = b.int(0);
    b.store(out, view(&[(512, 1)]), &[zero], tile);
    let one = b.int(1);
    let op = Op::Atomic { op: AtomicOp::Exchange, param: flag, index: zero, value: one, mask: None };
    b.push(op, vec![TileTy::scalar(DType::I32)]);
    let kernel = b.finish("announce", vec![Dim::ONE]);
    for desc in targets() {
        let text = girih_simt::print(&crate::distribute(&kernel, &desc).unwrap());
        let (stored, set) = (text.rfind("store out").unwrap(), text.find("flag[").unwrap());
        assert!(stored < set && text[stored..set].contains("\n  barrier"), "{}:\n{text}", desc.name);
    }
}
