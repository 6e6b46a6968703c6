//! Param, Const, Iota, Map, Cast, Bitcast.

use super::*;
use girih_base::{Dim, ScalarOp};
use girih_graph::ops::{Bitcast, Cast, Const, Iota};
use girih_graph::{Literal, TensorTy};

fn bits(dtype: DType, shape: &[usize], bytes: &[u8]) -> Array {
    Array::decode(dtype, shape, bytes).unwrap()
}

#[test]
fn maps_follow_the_table() {
    assert_eq!(floats(ScalarOp::Add, &[f32s(&[3], &[1., 2., 3.]), f32s(&[3], &[10., 20., 30.])]), [11., 22., 33.]);
    let (a, b) = (ints(DType::U8, &[2], &[250, 3]), ints(DType::U8, &[2], &[10, 250]));
    assert_eq!(floats(ScalarOp::Add, &[a, b]), [4., 253.]);
    let (a, b) = (ints(DType::I8, &[3], &[-7, 7, -128]), ints(DType::I8, &[3], &[2, 0, -1]));
    assert_eq!(floats(ScalarOp::Div, &[a.clone(), b.clone()]), [-3., 7., -128.]);
    assert_eq!(floats(ScalarOp::FloorDiv, &[a, b]), [-4., 7., -128.]);
}

#[test]
fn integers_of_64_bits_are_exact() {
    let big = ints(DType::U64, &[1], &[u64::MAX as i128]);
    let out = run(ScalarOp::Shr, &[big.clone(), ints(DType::U64, &[1], &[1])]);
    assert_eq!(out.array().unwrap().int(0), (u64::MAX >> 1) as i128);
    let out = run(ScalarOp::MulHi, &[big.clone(), big]);
    assert_eq!(out.array().unwrap().int(0), (u64::MAX - 1) as i128);
}

#[test]
fn comparisons_and_select() {
    let x = f32s(&[3], &[1., f32::NAN, 3.]);
    let y = f32s(&[3], &[2., 2., 2.]);
    let less = run(ScalarOp::Lt, &[x.clone(), y.clone()]);
    assert_eq!(less.array().unwrap(), &ints(DType::Bool, &[3], &[1, 0, 0]));
    let kept = floats(ScalarOp::Select, &[ints(DType::Bool, &[3], &[1, 0, 1]), x, y]);
    assert_eq!(kept, [1., 2., 3.]);
}

#[test]
fn floats_are_rounded_only_where_they_enter_or_are_cast() {
    let mut g = Graph::new("thirds");
    let x = g.param("x", TensorTy::scalar(DType::F32), ParamKind::Input, Loc::unknown());
    let y = g.map(ScalarOp::Recip, &[x]).unwrap();
    let z = g.push(Cast { to: DType::F32 }, &[y]).unwrap();
    g.set_outputs(vec![x, y, z]);
    let out = g.eval(&[Array::from_f64(DType::F32, &[], [0.1]).into()], &Bindings::new()).unwrap();
    let value = |i: usize| out[i].array().unwrap().f64(0);
    assert_eq!(value(0), 0.1f32 as f64);
    assert_eq!(value(1), 1.0 / 0.1f32 as f64);
    assert_eq!(value(2), (1.0 / 0.1f32 as f64) as f32 as f64);
}

#[test]
fn casts_round_to_even_saturate_to_integers_and_wrap_between_them() {
    let cast = |x: Array, to| floats(Cast { to }, &[x]);
    assert_eq!(cast(f32s(&[5], &[1.9, -1.9, 300., -300., f32::NAN]), DType::I8), [1., -1., 127., -128., 0.]);
    assert_eq!(cast(f32s(&[2], &[-1., f32::INFINITY]), DType::U8), [0., 255.]);
    assert_eq!(cast(ints(DType::I32, &[2], &[300, -1]), DType::U8), [44., 255.]);
    assert_eq!(cast(f32s(&[3], &[0., 0.5, f32::NAN]), DType::Bool), [0., 1., 1.]);
    // 1 + 2^-11 is halfway between two f16 values: to even. So is 2^24 + 1 for f32.
    assert_eq!(cast(f32s(&[2], &[1.0 + 1.0 / 2048.0, 65520.0]), DType::F16), [1.0, f64::INFINITY]);
    assert_eq!(cast(ints(DType::I32, &[2], &[(1 << 24) + 1, (1 << 24) + 3]), DType::F32), [16777216., 16777220.]);
    // Through f64 this would round twice: 2^60 + 2^36 + 1 is above the halfway point.
    let exact = ints(DType::I64, &[1], &[(1 << 60) + (1 << 36) + 1]);
    assert_eq!(cast(exact, DType::F32), [(1i64 << 60) as f64 + (1i64 << 37) as f64]);
    assert_eq!(cast(f32s(&[4], &[0.75, 2.5, 100., -5.]), DType::F4E2M1), [1.0, 2.0, 6.0, -4.0]);
    assert_eq!(cast(f32s(&[2], &[1.0625, 448.]), DType::F8E4M3Fn), [1.0, 448.]);
}

#[test]
fn bitcast_keeps_bits() {
    let out = run(Bitcast { to: DType::U32 }, &[f32s(&[2], &[1.0, -0.0])]);
    assert_eq!(out.array().unwrap(), &ints(DType::U32, &[2], &[0x3f80_0000, 0x8000_0000]));
    let out = run(Bitcast { to: DType::I8 }, &[ints(DType::U8, &[1], &[200])]);
    assert_eq!(out.array().unwrap(), &ints(DType::I8, &[1], &[-56]));
}

#[test]
fn every_small_dtype_survives_storage() {
    for dtype in DType::ALL.iter().copied().filter(|d| d.bits() <= 16 && *d != DType::Bool) {
        let n = 1usize << dtype.bits();
        let bytes: Vec<u8> = match dtype.bits() {
            4 => (0..8).map(|i| (2 * i) | ((2 * i + 1) << 4)).collect(),
            8 => (0..=255).collect(),
            _ => (0..=u16::MAX).flat_map(u16::to_le_bytes).collect(),
        };
        let a = bits(dtype, &[n], &bytes);
        // NaN has many spellings; every number has one.
        let again = bits(dtype, &[n], &a.encode());
        for i in 0..n {
            assert!(a.elem(i) == again.elem(i) || a.f64(i).is_nan() && again.f64(i).is_nan(), "{dtype} code {i}");
        }
    }
}

#[test]
fn random_arrays_are_values_of_their_dtype() {
    for dtype in DType::ALL {
        let a = Array::random(*dtype, &[3, 5], 7);
        assert_eq!(Array::decode(*dtype, &[3, 5], &a.encode()).unwrap(), a, "{dtype}");
    }
}

#[test]
fn constants_and_counters() {
    let constant = |ty: TensorTy, value| floats(Const { ty, value }, &[]);
    assert_eq!(constant(TensorTy::new(DType::F32, [2]), Literal::Splat(0.1.into())), [0.1f32 as f64; 2]);
    assert_eq!(constant(TensorTy::new(DType::U8, [1]), Literal::Splat((-1).into())), [255.]);
    assert_eq!(constant(TensorTy::new(DType::I4, [3]), Literal::Dense([0xf1, 0x07].as_slice().into())), [1., -1., 7.]);
    let grid = |axis| floats(Iota { ty: TensorTy::new(DType::I32, [2, 3]), axis }, &[]);
    assert_eq!(grid(0), [0., 0., 0., 1., 1., 1.]);
    assert_eq!(grid(1), [0., 1., 2., 0., 1., 2.]);
}

#[test]
fn sizes_are_values_under_bindings() {
    let n = Dim::symbol("n", 0, 10);
    let mut g = Graph::new("sizes");
    let size = g.size(&(&n * &n) + 1, DType::I32).unwrap();
    let zeros = g.splat(0i64, TensorTy::new(DType::I8, [n])).unwrap();
    g.set_outputs(vec![size, zeros]);
    let out = g.eval(&[], &Bindings::from([("n".into(), 3)])).unwrap();
    assert_eq!(out[0].array().unwrap().int(0), 10);
    assert_eq!(out[1].array().unwrap().shape, [3]);
    assert_eq!(g.eval(&[], &Bindings::from([("n".into(), 11)])).unwrap_err().code, "G203");
    let missing = g.eval(&[], &Bindings::new()).unwrap_err();
    assert_eq!(missing.code, "G203");
    assert!(missing.message.contains("`n`"));
}

#[test]
fn huge_values_are_refused_before_they_are_made() {
    let mut g = Graph::new("huge");
    let x = g.splat(0.0, TensorTy::new(DType::F32, [1i64 << 40, 1 << 40])).unwrap();
    g.set_outputs(vec![x]);
    assert_eq!(g.eval(&[], &Bindings::new()).unwrap_err().code, "G203");
    g.set_outputs(vec![NodeId(7)]);
    assert_eq!(g.eval(&[], &Bindings::new()).unwrap_err().code, "G202");
}

#[test]
fn foreign_inputs_are_refused() {
    let mut g = Graph::new("one");
    let x = g.param("x", TensorTy::new(DType::F32, [2]), ParamKind::Input, Loc::unknown());
    g.set_outputs(vec![x]);
    assert_eq!(g.eval(&[], &Bindings::new()).unwrap_err().code, "G202");
    assert_eq!(g.eval(&[f32s(&[3], &[0.; 3]).into()], &Bindings::new()).unwrap_err().code, "G202");
    assert_eq!(g.eval(&[ints(DType::I32, &[2], &[0; 2]).into()], &Bindings::new()).unwrap_err().code, "G202");
}
