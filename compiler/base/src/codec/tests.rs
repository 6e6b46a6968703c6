#![allow(clippy::unwrap_used, clippy::panic)]

use super::*;
use DType::*;

fn float(code: u64, dtype: DType) -> f64 {
    match decode(code, dtype) {
        Scalar::Float(v) => v,
        Scalar::Int(v) => panic!("{dtype} decodes to the integer {v}"),
    }
}

fn encode_float(v: f64, dtype: DType) -> u64 {
    encode(Scalar::Float(v), dtype)
}

/// Hash of a sequence of words, as the golden hashes below were made.
fn hash(words: impl Iterator<Item = u64>) -> u64 {
    words.fold(0xcbf2_9ce4_8422_2325, |h, w| (h ^ w).wrapping_mul(0x100_0000_01b3))
}

/// f32 values of every sign, exponent and upper fraction, with lower fractions on and next to the ties of all
/// formats of at most 16 bits.
fn f32_patterns() -> impl Iterator<Item = f32> {
    let low = [0, 1, 0x7fff, 0x8000, 0x8001, 0xffff];
    (0..1u32 << 16).flat_map(move |high| low.map(|l| f32::from_bits(high << 16 | l)))
}

#[test]
fn every_small_code_round_trips() {
    for dtype in DType::ALL.iter().copied().filter(|d| d.bits() <= 16 && *d != Bool) {
        for code in 0..1u64 << dtype.bits() {
            let value = decode(code, dtype);
            match value {
                Scalar::Float(v) if v.is_nan() => assert!(float(encode(value, dtype), dtype).is_nan()),
                _ => {
                    assert_eq!(encode(value, dtype), code, "{dtype} {value:?}");
                    assert_eq!(cast(value, dtype), value);
                }
            }
        }
    }
}

#[test]
fn wide_codes_round_trip() {
    for dtype in [I32, U32, I64, U64, F32, F64] {
        for i in 0..100_000u64 {
            let code = i.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (64 - dtype.bits());
            match decode(code, dtype) {
                Scalar::Float(v) if v.is_nan() => {}
                value => assert_eq!(encode(value, dtype), code, "{dtype} {value:?}"),
            }
        }
    }
    assert_eq!(decode(u64::MAX, I64), Scalar::Int(-1));
    assert_eq!(decode(u64::MAX, U64), Scalar::Int(u64::MAX as i128));
    assert_eq!(decode(1 << 63, I64), Scalar::Int(i64::MIN as i128));
}

#[test]
fn small_floats_as_their_standards_list_them() {
    let e2m1: Vec<f64> = (0..8).map(|c| float(c, F4E2M1)).collect();
    assert_eq!(e2m1, [0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0]);
    assert_eq!((float(0x7e, F8E4M3Fn), float(1, F8E4M3Fn), float(8, F8E4M3Fn)), (448.0, 2f64.powi(-9), 2f64.powi(-6)));
    assert_eq!((float(0x7b, F8E5M2), float(1, F8E5M2), float(4, F8E5M2)), (57344.0, 2f64.powi(-16), 2f64.powi(-14)));
    assert_eq!((float(0x7c, F8E5M2), float(0xfc, F8E5M2)), (f64::INFINITY, f64::NEG_INFINITY));
    assert_eq!((float(0, F8E8M0), float(127, F8E8M0), float(254, F8E8M0)), (2f64.powi(-127), 1.0, 2f64.powi(127)));
    for (dtype, nans) in [(F4E2M1, 0), (F8E4M3Fn, 2), (F8E5M2, 6), (F8E8M0, 1), (F16, 2046), (Bf16, 254)] {
        let count = (0..1u64 << dtype.bits()).filter(|c| float(*c, dtype).is_nan()).count();
        assert_eq!(count, nans, "{dtype}");
    }
}

/// Between two neighbouring codes: the midpoint goes to the even code, and one f64 step to either side decides.
#[test]
fn midpoints_round_to_even() {
    for dtype in [F4E2M1, F8E4M3Fn, F8E5M2, F16, Bf16] {
        let half = 1u64 << (dtype.bits() - 1);
        for code in (0..half).take_while(|c| float(c + 1, dtype).is_finite() && c + 1 < half) {
            let (low, high) = (float(code, dtype), float(code + 1, dtype));
            let middle = (low + high) / 2.0;
            let even = code + code % 2;
            for (sign, at) in [(1.0, 0), (-1.0, half)] {
                assert_eq!(encode_float(sign * middle, dtype), even + at, "{dtype} {middle}");
                assert_eq!(encode_float(sign * middle.next_down(), dtype), code + at);
                assert_eq!(encode_float(sign * middle.next_up(), dtype), code + 1 + at);
            }
        }
    }
    for code in 0..254 {
        let middle = 1.5 * float(code, F8E8M0);
        assert_eq!(encode_float(middle, F8E8M0), code + 1);
        assert_eq!(encode_float(middle.next_down(), F8E8M0), code);
    }
}

#[test]
fn too_large_and_special_values() {
    let (inf, nan) = (f64::INFINITY, f64::NAN);
    // dtype, first value that overflows, +overflow, -overflow, NaN
    let rows = [
        (F4E2M1, 1e9, 0x7, 0xf, 0x8),
        (F8E4M3Fn, 464f64.next_up(), 0x7f, 0x7f, 0x7f),
        (F8E5M2, 61440.0, 0x7c, 0xfc, 0x7e),
        (F8E8M0, 1.5 * 2f64.powi(127), 0xff, 0xff, 0xff),
        (F16, 65520.0, 0x7c00, 0xfc00, 0x7e00),
        (Bf16, 255.5 * 2f64.powi(120), 0x7f80, 0xff80, 0x7fc0),
        (F32, 2f64.powi(128) - 2f64.powi(103), 0x7f80_0000, 0xff80_0000, 0x7fc0_0000),
    ];
    for (dtype, first, over, under, not) in rows {
        let largest = float(encode_saturating(Scalar::Float(inf), dtype), dtype);
        assert_eq!((encode_float(first, dtype), encode_float(inf, dtype)), (over, over), "{dtype}");
        assert_eq!((encode_float(-first, dtype), encode_float(-inf, dtype)), (under, under), "{dtype}");
        assert_eq!(encode_float(nan, dtype), not, "{dtype}");
        assert_eq!(encode_float(-nan, dtype), not, "{dtype}");
        assert_eq!(float(encode_float(first.next_down(), dtype), dtype), largest, "{dtype}");
        assert_eq!(encode_saturating(Scalar::Float(nan), dtype), not);
        assert_eq!(float(encode_saturating(Scalar::Float(first), dtype), dtype), largest);
        if dtype != F8E8M0 {
            assert_eq!(float(encode_saturating(Scalar::Float(-inf), dtype), dtype), -largest);
            assert_eq!(encode_float(-0.0, dtype), 1 << (dtype.bits() - 1));
        }
    }
    assert_eq!(encode_saturating(Scalar::Float(inf), F64), f64::MAX.to_bits());
    for zero in [0.0, -0.0, -1.0] {
        assert_eq!(encode_float(zero, F8E8M0), 255);
        assert_eq!(encode_saturating(Scalar::Float(zero), F8E8M0), 0);
    }
    assert_eq!(encode_float(f64::MIN_POSITIVE / 8.0, F8E8M0), 0);
}

#[test]
fn halves_agree_with_the_half_crate() {
    for code in 0..=u16::MAX {
        let (f, b) = (half::f16::from_bits(code).to_f64(), half::bf16::from_bits(code).to_f64());
        let (ours_f, ours_b) = (float(code as u64, F16), float(code as u64, Bf16));
        assert!(f.to_bits() == ours_f.to_bits() || f.is_nan() && ours_f.is_nan(), "{code:#x}");
        assert!(b.to_bits() == ours_b.to_bits() || b.is_nan() && ours_b.is_nan(), "{code:#x}");
    }
    for v in f32_patterns().filter(|v| !v.is_nan()) {
        assert_eq!(encode_float(v as f64, F16), half::f16::from_f32(v).to_bits() as u64, "{v:e}");
        assert_eq!(encode_float(v as f64, Bf16), half::bf16::from_f32(v).to_bits() as u64, "{v:e}");
    }
}

/// The rounding used for small formats, tried on f32, where the machine knows the answer.
#[test]
fn f32_agrees_with_the_machine() {
    for i in 0..2_000_000u64 {
        let v = f64::from_bits(i.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        // The same fraction with an exponent that f32 has, subnormals included.
        let near = f64::from_bits(v.to_bits() & !(0x7ff << 52) | (860 + i % 300) << 52);
        for v in [v, near].into_iter().filter(|v| !v.is_nan()) {
            assert_eq!(encode_float(v, F32), (v as f32).to_bits() as u64, "{v:e}");
        }
    }
}

/// Hashes of the codes that `ml_dtypes` 0.6 (numpy for f16) gives for all [`f32_patterns`] but NaN. Two
/// differences are left out: a negative overflow of f8e4m3fn is NaN 0x7f here and 0xff there, and `ml_dtypes` rounds
/// values of the lowest binade of f8e8m0 up whatever their fraction.
#[test]
fn small_floats_agree_with_ml_dtypes() {
    #[rustfmt::skip]
    let encoded: [(DType, u64); 6] = [
        (DType::F4E2M1, 0x38a989a842f9a18b),
        (DType::F8E4M3Fn, 0xacfea7a0797f6043),
        (DType::F8E5M2, 0x5ddecaedff565725),
        (DType::F8E8M0, 0x71a13a6d4a772754),
        (DType::F16, 0x4209dd2788bd872d),
        (DType::Bf16, 0x719d7a7d3d7b96ed),
    ];
    for (dtype, golden) in encoded {
        let lowest = 2f64.powi(-127).next_up()..1.5 * 2f64.powi(-127);
        let skip = |v: f64| v.is_nan() || dtype == F8E8M0 && lowest.contains(&v);
        let codes = f32_patterns().map(f64::from).filter(|v| !skip(*v)).map(|v| encode_float(v, dtype));
        assert_eq!(hash(codes), golden, "{dtype}");
    }
    #[rustfmt::skip]
    let decoded: [(DType, u64); 4] = [
        (DType::F4E2M1, 0xa1b01fb960ff6465),
        (DType::F8E4M3Fn, 0xc27ec658736bb725),
        (DType::F8E5M2, 0x272ac658736bb725),
        (DType::F8E8M0, 0xa432c658736bb725),
    ];
    for (dtype, golden) in decoded {
        let values = (0..1u64 << dtype.bits()).map(|c| match float(c, dtype) {
            v if v.is_nan() => 0x7ff8_0000_0000_0000,
            v => v.to_bits(),
        });
        assert_eq!(hash(values), golden, "{dtype}");
    }
}

#[test]
fn floats_to_integers_truncate_and_saturate() {
    let to = |v: f64, dtype| cast(Scalar::Float(v), dtype).as_int();
    assert_eq!((to(2.9, I32), to(-2.9, I32), to(-0.9, U8)), (2, -2, 0));
    for dtype in DType::ALL.iter().copied().filter(|d| d.is_int()) {
        let t = IntType::of(dtype).unwrap();
        assert_eq!((to(1e30, dtype), to(-1e30, dtype)), (t.max(), t.min()), "{dtype}");
        assert_eq!((to(f64::INFINITY, dtype), to(f64::NEG_INFINITY, dtype)), (t.max(), t.min()), "{dtype}");
        assert_eq!(to(f64::NAN, dtype), 0, "{dtype}");
    }
    assert_eq!((to(f64::NAN, Bool), to(-0.0, Bool), to(0.25, Bool)), (1, 0, 1));
}

#[test]
fn integers_to_integers_wrap_or_saturate() {
    let to = |v: i128, dtype| cast(Scalar::Int(v), dtype).as_int();
    for v in -70_000..70_000i128 {
        assert_eq!(to(v, I8), v as i8 as i128);
        assert_eq!(to(v, U8), v as u8 as i128);
        assert_eq!(to(v, I16), v as i16 as i128);
        assert_eq!(to(v, U4), v & 15);
        assert_eq!(to(v, I4), (v & 15) - if v & 8 != 0 { 16 } else { 0 });
        assert_eq!(to(v, Bool), (v != 0) as i128);
        let saturated = |dtype| decode(encode_saturating(Scalar::Int(v), dtype), dtype).as_int();
        assert_eq!((saturated(I8), saturated(U4)), (v.clamp(-128, 127), v.clamp(0, 15)));
    }
    assert_eq!((to(u64::MAX as i128, I64), to(-1, U64)), (-1, u64::MAX as i128));
}

/// Going through f64 would round twice; the casts must round once.
#[test]
fn integers_to_floats_round_once() {
    let to = |v: i128, dtype| cast(Scalar::Int(v), dtype).as_f64();
    for v in [(1i64 << 60) + (1 << 36) + 1, i64::MAX, i64::MIN, -((1 << 60) + (1 << 36) + 1), 16_777_217, 0, 1] {
        assert_eq!(to(v as i128, F32), v as f32 as f64, "{v}");
        assert_eq!(to(v as i128, F64), v as f64, "{v}");
    }
    for v in [u64::MAX, (1 << 63) + (1 << 39) + 1] {
        assert_eq!(to(v as i128, F32), v as f32 as f64, "{v}");
    }
    // In bf16 a unit at 2^62 is 2^55: half of it is a tie, and one more is not, though f64 cannot tell.
    let tie = (1i128 << 62) + (1 << 54);
    assert_eq!(to(tie, Bf16), 2f64.powi(62));
    assert_eq!(to(tie + 1, Bf16), 2f64.powi(62) + 2f64.powi(55));
    assert_eq!(to((3 << 61) - 1, F8E8M0), 2f64.powi(62));
    assert_eq!(to(3 << 61, F8E8M0), 2f64.powi(63));
    assert_eq!((to(1 << 40, F16), to(-(1 << 40), F16)), (f64::INFINITY, f64::NEG_INFINITY));
    assert_eq!((to(7, F4E2M1), to(-5, F4E2M1), to(0, F4E2M1)), (6.0, -4.0, 0.0));
}

#[test]
fn slices_round_trip_and_pack_low_first() {
    assert_eq!(encode_slice(U4, &[1, 2, 3].map(Scalar::Int)), [0x21, 0x03]);
    assert_eq!(decode_slice(I4, &[0xf1, 0x08], 3).unwrap(), [1, -1, -8].map(Scalar::Int));
    assert_eq!(encode_floats(F4E2M1, &[0.5, 6.0, -1.0]), [0x71, 0x0a]);
    assert_eq!(decode_floats(F16, &[0, 0x3c, 0, 0xc0], 2).unwrap(), [1.0, -2.0]);
    assert_eq!(decode_slice(Bool, &[0, 1, 7], 3).unwrap(), [0, 1, 1].map(Scalar::Int));
    for dtype in DType::ALL.iter().copied() {
        for count in 0..9 {
            let values: Vec<Scalar> = (0..count).map(|i| cast(Scalar::Int((i * 5 - 7) as i128), dtype)).collect();
            let bytes = encode_slice(dtype, &values);
            assert_eq!(bytes.len() as u64, dtype.bytes_for(count as u64));
            let back = decode_slice(dtype, &bytes, count as usize).unwrap();
            assert!(
                back.iter().zip(&values).all(|(a, b)| a == b || a.as_f64().is_nan()),
                "{dtype} {back:?} {values:?}"
            );
            assert_eq!(back.len(), values.len());
        }
    }
    let exact = [i64::MIN, -1, (1 << 53) + 1, i64::MAX].map(|v| Scalar::Int(v as i128));
    assert_eq!(decode_slice(I64, &encode_slice(I64, &exact), 4).unwrap(), exact);
}

#[test]
fn wrong_lengths_are_refused() {
    assert_eq!(decode_slice(F32, &[0; 7], 2).unwrap_err().code, "B002");
    assert_eq!(decode_slice(U4, &[0; 2], 5).unwrap_err().code, "B002");
    assert_eq!(decode_floats(F64, &[], usize::MAX).unwrap_err().code, "B002");
    assert!(decode_slice(U64, &[], 0).unwrap().is_empty());
}
