//! Loads and stores: views, clipping, guards, masks, computed offsets, atomics.
#![allow(clippy::unwrap_used, clippy::panic)]

mod common;

use common::*;
use girih_base::codec::Scalar;
use girih_base::{Bindings, DType, Dim, ScalarOp};
use girih_tile::*;

fn view(offset: i64, axes: &[(i64, i64)]) -> View {
    let axis = |(e, s): &(i64, i64)| ViewAxis { extent: Dim::from(*e), stride: Dim::from(*s), inside: false };
    View { offset: Dim::from(offset), axes: axes.iter().map(axis).collect(), guards: vec![] }
}

/// The meaning of a load, element by element.
fn reference(
    data: &[Scalar],
    v: &View,
    at: &[i64],
    shape: &[u32],
    mask: Option<&[bool]>,
    other: Scalar,
) -> Vec<Scalar> {
    let c = |d: &Dim| d.as_const().unwrap();
    let total: usize = shape.iter().map(|n| *n as usize).product();
    (0..total)
        .map(|mut i| {
            let flat = i;
            let mut local = vec![0; shape.len()];
            for a in (0..shape.len()).rev() {
                local[a] = (i % shape[a] as usize) as i64;
                i /= shape[a] as usize;
            }
            let coords: Vec<i64> = local.iter().zip(at).map(|(l, a)| l + a).collect();
            let exists = coords.iter().zip(&v.axes).all(|(x, a)| (0..c(&a.extent)).contains(x));
            let guarded = v.guards.iter().all(|g| {
                let value = c(&g.base) + g.coeffs.iter().zip(&coords).map(|(k, x)| k * x).sum::<i64>();
                (0..c(&g.extent)).contains(&value)
            });
            if !exists || !guarded || mask.is_some_and(|m| !m[flat]) {
                return other;
            }
            let offset = c(&v.offset) + coords.iter().zip(&v.axes).map(|(x, a)| x * c(&a.stride)).sum::<i64>();
            data[offset as usize]
        })
        .collect()
}

fn load_kernel(dtype: DType, len: usize, v: &View, at: &[i64], shape: &[u32], masked: bool, other: Literal) -> Kernel {
    let total: u32 = shape.iter().product();
    let mut b = Builder::new();
    let x = b.param("x", dtype, Dim::from(len), Access::Read, false);
    let m = b.param("m", DType::Bool, Dim::from(total), Access::Read, false);
    let y = b.param("y", dtype, Dim::from(total), Access::Write, false);
    let at: Vec<ValueId> = at.iter().map(|a| b.int(*a)).collect();
    let zero = b.int(0);
    let flat = View::contiguous(&[Dim::from(total)]);
    let mask = masked.then(|| {
        let m = b.load(m, flat.clone(), &[zero], &[total], Literal::Int(0));
        b.reshape(m, shape)
    });
    let op = Op::Load { param: x, view: v.clone(), at, mask, other };
    let v = b.push(op, vec![TileTy::new(dtype, shape)])[0];
    let v = b.reshape(v, &[total]);
    b.store(y, flat, &[zero], v);
    b.finish("load", vec![])
}

#[test]
fn loads_of_every_dtype_and_view() {
    at_every_level(|| {
        let guard = |base: i64, coeffs: &[i64], extent: i64| Guard {
            base: base.into(),
            coeffs: coeffs.into(),
            extent: extent.into(),
        };
        let mut cases: Vec<(View, Vec<i64>, Vec<u32>)> = vec![
            (view(0, &[(7, 11), (11, 1)]), vec![0, 0], vec![7, 11]),
            (view(0, &[(7, 11), (11, 1)]), vec![3, 4], vec![5, 13]),
            (view(0, &[(7, 11), (11, 1)]), vec![-2, -3], vec![4, 6]),
            (view(0, &[(7, 11), (11, 1)]), vec![7, 0], vec![2, 2]),
            (view(76, &[(7, -11), (11, -1)]), vec![1, 2], vec![3, 4]),
            (view(2, &[(3, 0), (5, 2)]), vec![0, 0], vec![3, 5]),
            (view(5, &[]), vec![], vec![]),
            (view(0, &[(11, 1), (7, 11)]), vec![0, 0], vec![11, 7]),
            (view(0, &[(2, 33), (3, 11), (11, 1)]), vec![0, 1, 2], vec![2, 2, 3]),
            (view(1, &[(2, 33), (1, 1), (3, 11), (4, 2)]), vec![0, 0, 0, 0], vec![2, 1, 3, 5]),
        ];
        for (coeffs, base, extent) in
            [([1, 1], -3, 6), ([0, 2], -5, 9), ([1, -1], 0, 4), ([-2, 3], 1, 8), ([1, 0], -1, 3), ([0, -3], 20, 12)]
        {
            let mut v = view(0, &[(7, 11), (11, 1)]);
            v.guards.push(guard(base, &coeffs, extent));
            cases.push((v, vec![0, 0], vec![7, 11]));
        }
        for dtype in [
            DType::F32,
            DType::F64,
            DType::I32,
            DType::Bf16,
            DType::F16,
            DType::U8,
            DType::I4,
            DType::Bool,
            DType::F8E4M3Fn,
            DType::I64,
        ] {
            let mut random = Random(5);
            let data: Vec<Scalar> = (0..77)
                .map(|_| girih_base::codec::cast(Scalar::Int((random.bits() % 13) as i128 - 6), dtype))
                .collect();
            for (v, at, shape) in &cases {
                for masked in [false, true] {
                    let total: u32 = shape.iter().product();
                    let mask: Vec<bool> = (0..total).map(|_| !random.bits().is_multiple_of(3)).collect();
                    let bits: Vec<Scalar> = mask.iter().map(|m| Scalar::Int(*m as i128)).collect();
                    let kernel = load_kernel(dtype, 77, v, at, shape, masked, Literal::Int(1));
                    let got = run(&kernel, &[encode(dtype, &data), encode(DType::Bool, &bits)], dtype, total as usize);
                    let other = girih_base::codec::cast(Scalar::Int(1), dtype);
                    let want = reference(&data, v, at, shape, masked.then_some(&mask), other);
                    assert_eq!(got, want, "{dtype} {v:?} at {at:?} {shape:?} masked {masked}");
                }
            }
        }
    });
}

#[test]
fn stores_clip_and_skip() {
    at_every_level(|| {
        for dtype in [DType::F32, DType::I16, DType::Bf16, DType::U4, DType::F64] {
            for (at, masked, guarded) in [
                ([0, 0], false, false),
                ([4, -2], false, false),
                ([1, 2], true, false),
                ([0, 0], false, true),
                ([2, 3], true, true),
            ] {
                let mut b = Builder::new();
                let x = b.param("x", dtype, Dim::from(20), Access::Read, false);
                let y = b.param("y", dtype, Dim::from(42), Access::ReadWrite, false);
                let zero = b.int(0);
                let v = b.load(x, view(0, &[(4, 5), (5, 1)]), &[zero, zero], &[4, 5], Literal::Int(0));
                let w = b.map(ScalarOp::Neg, &[v]);
                let w = b.map(ScalarOp::Neg, &[w]);
                let mask = masked.then(|| {
                    let i = b.arange(&[4, 5], 1);
                    let two = b.constant(Literal::Int(2), TileTy::new(DType::I32, [4, 5]));
                    b.map(ScalarOp::Ne, &[i, two])
                });
                let mut to = view(0, &[(6, 7), (7, 1)]);
                if guarded {
                    to.guards.push(Guard { base: (-1).into(), coeffs: vec![1, 0], extent: 3.into() });
                }
                let coords = [b.int(at[0]), b.int(at[1])];
                b.push(Op::Store { param: y, view: to, at: coords.to_vec(), value: w, mask }, vec![]);
                let kernel = b.finish("store", vec![]);
                let data: Vec<Scalar> = (0..20).map(|i| girih_base::codec::cast(Scalar::Int(i % 7), dtype)).collect();
                let before: Vec<Scalar> = (0..42).map(|_| girih_base::codec::cast(Scalar::Int(1), dtype)).collect();
                let out =
                    run_bytes(&kernel, &[encode(dtype, &data), encode(dtype, &before)], &Bindings::new(), 1).unwrap();
                let mut want = before.clone();
                for (r, c) in (0..4).flat_map(|r| (0..5).map(move |c| (r, c))) {
                    let (i, j) = (r + at[0], c + at[1]);
                    let allowed = (!masked || c != 2) && (!guarded || (1..4).contains(&i));
                    if (0..6).contains(&i) && (0..7).contains(&j) && allowed {
                        want[(i * 7 + j) as usize] = data[(r * 5 + c) as usize];
                    }
                }
                assert_eq!(
                    girih_base::codec::decode_slice(dtype, &out[1], 42).unwrap(),
                    want,
                    "{dtype} {at:?} {masked} {guarded}"
                );
            }
        }
    });
}

/// Reading and writing the same parameter: what was loaded before a store keeps its old value.
#[test]
fn loads_are_values() {
    at_every_level(|| {
        let mut b = Builder::new();
        let x = b.param("x", DType::F32, Dim::from(8), Access::ReadWrite, false);
        let zero = b.int(0);
        let old = b.load(x, view(0, &[(8, 1)]), &[zero], &[8], Literal::Int(0));
        let doubled = b.map(ScalarOp::Add, &[old, old]);
        b.store(x, view(0, &[(8, 1)]), &[zero], doubled);
        let sum = b.map(ScalarOp::Add, &[doubled, old]);
        b.store(x, view(0, &[(8, 1)]), &[zero], sum);
        let out = run_bytes(&b.finish("k", vec![]), &[f32s(&[1.0; 8])], &Bindings::new(), 1).unwrap();
        assert_eq!(to_f32s(&out[0]), [3.0; 8]);
    });
}

#[test]
fn gathers_scatters_and_atomics() {
    at_every_level(|| {
        let mut b = Builder::new();
        let x = b.param("x", DType::F32, Dim::from(10), Access::Read, false);
        let i = b.param("i", DType::I32, Dim::from(6), Access::Read, false);
        let y = b.param("y", DType::F32, Dim::from(10), Access::ReadWrite, false);
        let n = b.param("n", DType::I32, Dim::from(4), Access::ReadWrite, false);
        let zero = b.int(0);
        let index = b.load(i, view(0, &[(6, 1)]), &[zero], &[6], Literal::Int(0));
        let five = b.constant(Literal::Int(5), TileTy::new(DType::I32, [6]));
        let mask = b.map(ScalarOp::Ne, &[index, five]);
        let v = b.push(
            Op::LoadAt { param: x, index, mask: Some(mask), other: Literal::float(-1.0) },
            vec![TileTy::new(DType::F32, [6])],
        )[0];
        let v = b.map(ScalarOp::Square, &[v]);
        b.push(Op::StoreAt { param: y, index, value: v, mask: Some(mask) }, vec![]);
        let slot = b.map(ScalarOp::Rem, &[index, five]);
        let two = b.constant(Literal::Int(2), TileTy::new(DType::I32, [6]));
        let slot = b.map(ScalarOp::Rem, &[slot, two]);
        b.push(
            Op::Atomic { op: AtomicOp::Add, param: n, index: slot, value: index, mask: None },
            vec![TileTy::new(DType::I32, [6])],
        );
        let at = b.map(ScalarOp::Add, &[slot, two]);
        b.push(
            Op::Atomic { op: AtomicOp::Max, param: n, index: at, value: index, mask: None },
            vec![TileTy::new(DType::I32, [6])],
        );
        let kernel = b.finish("gather", vec![Dim::from(3)]);
        let index = [0i32, 9, 5, 2, 7, 9];
        let bytes: Vec<u8> = index.iter().flat_map(|v| v.to_le_bytes()).collect();
        let data: Vec<f32> = (0..10).map(|i| i as f32).collect();
        let out =
            run_bytes(&kernel, &[f32s(&data), bytes.clone(), f32s(&[-7.0; 10]), vec![0; 16]], &Bindings::new(), 4)
                .unwrap();
        let want = [0.0, -7.0, 4.0, -7.0, -7.0, -7.0, -7.0, 49.0, -7.0, 81.0];
        assert_eq!(to_f32s(&out[2]), want);
        let counts: Vec<i32> = out[3].chunks_exact(4).map(|b| i32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect();
        // Slots by (index rem 5) rem 2: 0 and 5 and 2, 7 in slot 0, the nines too (9 rem 5 = 4).
        assert_eq!(counts, [3 * 32, 0, 9, 0]);
        // An offset outside is refused, whatever the mask of the others.
        let bad: Vec<u8> = [0i32, 10, 5, 2, 7, 9].iter().flat_map(|v| v.to_le_bytes()).collect();
        let error =
            run_bytes(&kernel, &[f32s(&data), bad, f32s(&[0.0; 10]), vec![0; 16]], &Bindings::new(), 2).unwrap_err();
        assert!(error.code == "X103" && error.message.contains("element 10"), "{error}");
    });
}

#[test]
fn launches_are_checked() {
    at_every_level(|| {
        let kernel =
            load_kernel(DType::F32, 100, &view(0, &[(10, 10), (10, 1)]), &[0, 0], &[10, 10], false, Literal::Int(0));
        let short = run_bytes(&kernel, &[vec![0; 40], vec![0; 100], vec![0; 400]], &Bindings::new(), 1).unwrap_err();
        assert!(short.message.contains("needs 400 bytes"), "{short}");
        // A view that reaches further than its parameter.
        let kernel =
            load_kernel(DType::F32, 10, &view(0, &[(10, 10), (10, 1)]), &[0, 0], &[10, 10], false, Literal::Int(0));
        let wild = run_bytes(&kernel, &[vec![0; 40], vec![0; 100], vec![0; 400]], &Bindings::new(), 1).unwrap_err();
        assert!(wild.code == "X103", "{wild}");
        let mut b = Builder::new();
        let y = b.param("y", DType::F32, Dim::symbol("n", 1, 100), Access::Write, false);
        let v = b.constant(Literal::float(1.0), TileTy::new(DType::F32, [1]));
        let zero = b.int(0);
        b.store(y, View::contiguous(&[Dim::symbol("n", 1, 100)]), &[zero], v);
        let kernel = b.finish("k", vec![Dim::symbol("n", 1, 100)]);
        let unbound = run_bytes(&kernel, &[vec![0; 4]], &Bindings::new(), 1).unwrap_err();
        assert!(unbound.message.contains("`n` has no value"), "{unbound}");
    });
}
