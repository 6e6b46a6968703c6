//! Elementary functions in f32, written so that compilers vectorise them: no calls, no branches, no tables.
//!
//! Polynomials are weighted least-squares fits, reweighted towards equal ripple, of the functions named at each. `FMA`
//! says whether fused multiply-add is one instruction; the error bounds hold either way.

/// `a * b + c`, fused where that is fast.
#[inline(always)]
pub(crate) fn fma<const FMA: bool>(a: f32, b: f32, c: f32) -> f32 {
    if FMA { a.mul_add(b, c) } else { a * b + c }
}

#[inline(always)]
fn fma64<const FMA: bool>(a: f64, b: f64, c: f64) -> f64 {
    if FMA { a.mul_add(b, c) } else { a * b + c }
}

#[inline(always)]
fn poly<const FMA: bool, const N: usize>(x: f32, c: [f32; N]) -> f32 {
    let mut sum = c[N - 1];
    let mut i = N - 1;
    while i > 0 {
        i -= 1;
        sum = fma::<FMA>(sum, x, c[i]);
    }
    sum
}

/// Adding and subtracting this rounds to the nearest whole number (for |x| < 2^22).
const ROUND: f32 = 12_582_912.0;

#[inline(always)]
fn limit(x: f32, lo: f32, hi: f32) -> f32 {
    // Written so that NaN stays NaN.
    let x = if x < lo { lo } else { x };
    if x > hi { hi } else { x }
}

/// `2^n` as two factors, so that results below the smallest normal number are rounded once.
#[inline(always)]
fn power_of_two(rounded: f32) -> (f32, f32) {
    let n = (rounded.to_bits() as i32).wrapping_sub(ROUND.to_bits() as i32);
    let half = n >> 1;
    let factor = |n: i32| f32::from_bits((n.wrapping_add(127) as u32) << 23);
    (factor(half), factor(n.wrapping_sub(half)))
}

/// `(p, s, t)` with `e^x = p * s * t` and p near 1.
#[inline(always)]
fn exp_parts<const FMA: bool>(x: f32) -> (f32, f32, f32) {
    let x = limit(x, -104.5, 89.0);
    let rounded = fma::<FMA>(x, std::f32::consts::LOG2_E, ROUND);
    let n = rounded - ROUND;
    // ln 2 in two parts, the first with few enough bits that n times it is exact.
    let r = fma::<FMA>(n, -0.693_359_4, x);
    let r = fma::<FMA>(n, 2.121_944_4e-4, r);
    let q = poly::<FMA, 5>(r, [0.499_999_94, 0.166_665_21, 0.041_668_39, 0.008_368_716, 0.001_381_46]);
    let p = fma::<FMA>(q, r * r, r) + 1.0;
    let (s, t) = power_of_two(rounded);
    (p, s, t)
}

#[inline(always)]
pub(crate) fn exp<const FMA: bool>(x: f32) -> f32 {
    let (p, s, t) = exp_parts::<FMA>(x);
    p * s * t
}

#[inline(always)]
pub(crate) fn exp2<const FMA: bool>(x: f32) -> f32 {
    let x = limit(x, -151.0, 128.5);
    let rounded = x + ROUND;
    let f = x - (rounded - ROUND);
    let q = poly::<FMA, 6>(
        f,
        [std::f32::consts::LN_2, 0.240_226_48, 0.055_503_324, 0.009_618_437, 0.001_339_887_5, 1.535_336e-4],
    );
    let (s, t) = power_of_two(rounded);
    fma::<FMA>(q, f, 1.0) * s * t
}

/// `(e, f, log(1 + f))` with `x = 2^e * (1 + f)`, f near 0, for positive finite x.
#[inline(always)]
fn log_parts<const FMA: bool>(x: f32) -> (f32, f32) {
    let tiny = x < f32::MIN_POSITIVE;
    let x = if tiny { x * 16_777_216.0 } else { x };
    // The exponent of x / sqrt(1/2), so that the mantissa lies in [sqrt(1/2), sqrt(2)).
    let bits = x.to_bits().wrapping_sub(0x3f35_04f3);
    let e = (bits as i32) >> 23;
    let f = f32::from_bits((bits & 0x007f_ffff).wrapping_add(0x3f35_04f3)) - 1.0;
    let e = e as f32 - if tiny { 24.0 } else { 0.0 };
    (e, f)
}

/// `log(1 + f) - f`.
#[inline(always)]
fn log_tail<const FMA: bool>(f: f32) -> f32 {
    let q = poly::<FMA, 8>(
        f,
        [
            0.333_333_3,
            -0.250_008_23,
            0.200_012_27,
            -0.166_233_57,
            0.142_017_62,
            -0.131_601_94,
            0.127_615_5,
            -0.076_344_3,
        ],
    );
    let square = f * f;
    fma::<FMA>(square * f, q, -0.5 * square)
}

#[inline(always)]
fn log_ends(x: f32, y: f32) -> f32 {
    let y = if x == f32::INFINITY { f32::INFINITY } else { y };
    let y = if x == 0.0 { f32::NEG_INFINITY } else { y };
    if x >= 0.0 { y } else { f32::NAN }
}

#[inline(always)]
pub(crate) fn log<const FMA: bool>(x: f32) -> f32 {
    let (e, f) = log_parts::<FMA>(x);
    let tail = fma::<FMA>(e, -2.121_944_4e-4, log_tail::<FMA>(f));
    log_ends(x, fma::<FMA>(e, 0.693_359_4, f + tail))
}

#[inline(always)]
pub(crate) fn log2<const FMA: bool>(x: f32) -> f32 {
    let (e, f) = log_parts::<FMA>(x);
    let tail = log_tail::<FMA>(f);
    // log2(e) in two parts: 1.4375 * f is exact.
    let low = (f + tail) * 0.005_195_041;
    log_ends(x, fma::<FMA>(tail, 1.4375, low) + fma::<FMA>(f, 1.4375, e))
}

/// Largest |x| that [`sin_cos`] reduces exactly.
pub(crate) const TRIG_LIMIT: f32 = 1.0e6;

/// Sine (`shift` 0) or cosine (`shift` 1) by f64 reduction and polynomials, for |x| up to [`TRIG_LIMIT`].
#[inline(always)]
pub(crate) fn sin_cos<const FMA: bool>(x: f32, shift: i64) -> f32 {
    const ROUND64: f64 = 6_755_399_441_055_744.0;
    let x = x as f64;
    let rounded = fma64::<FMA>(x, std::f64::consts::FRAC_2_PI, ROUND64);
    let n = rounded - ROUND64;
    // pi/2 in two parts; n times the first is exact.
    let r = fma64::<FMA>(n, -1.570_796_326_734_125_6, x);
    let r = fma64::<FMA>(n, -6.077_100_506_506_192e-11, r);
    let quadrant = (rounded.to_bits() as i64).wrapping_add(shift);
    let s = r * r;
    let sin = fma64::<FMA>(s, 2.718_311_571_862_216e-6, -1.983_933_484_205_076e-4);
    let sin = fma64::<FMA>(fma64::<FMA>(sin, s, 8.333_329_385_897_833e-3), s, -0.166_666_666_416_264_5);
    let sin = fma64::<FMA>(sin * s, r, r);
    let cos = fma64::<FMA>(s, -2.721_023_664_358_898e-7, 2.479_951_999_224_305e-5);
    let cos = fma64::<FMA>(fma64::<FMA>(cos, s, -1.388_888_375_333_185_1e-3), s, 0.041_666_666_622_826_88);
    let cos = fma64::<FMA>(cos * s, s, fma64::<FMA>(s, -0.5, 1.0));
    let value = if quadrant & 1 == 0 { sin } else { cos };
    (if quadrant & 2 == 0 { value } else { -value }) as f32
}

#[inline(always)]
pub(crate) fn tanh<const FMA: bool>(x: f32) -> f32 {
    let a = x.abs();
    let s = x * x;
    let q = poly::<FMA, 5>(s, [-0.333_332_84, 0.133_314_91, -0.053_743_497, 0.020_650_579, -0.005_717_036_3]);
    let small = fma::<FMA>(q * s, x, x);
    let large = (1.0 - 2.0 / (exp::<FMA>(a + a) + 1.0)).copysign(x);
    if a < 0.625 { small } else { large }
}

#[inline(always)]
pub(crate) fn erf<const FMA: bool>(x: f32) -> f32 {
    let a = x.abs();
    let s = x * x;
    let q =
        poly::<FMA, 6>(s, [0.128_379_15, -0.376_124_95, 0.112_818_025, -0.026_765_566, 0.004_990_98, -5.976_893_6e-4]);
    let small = fma::<FMA>(q, x, x);
    // erfc(a) = exp(a * p(a)); from 4 on it is below half a unit in the last place of 1.
    let t = limit(a, 0.0, 4.0);
    let p = poly::<FMA, 8>(
        t,
        [
            -1.128_541_5,
            -0.635_673_17,
            -0.105_169_5,
            0.022_575_615,
            -0.002_869_121,
            2.743_515e-5,
            4.994_048_5e-5,
            -5.297_002_6e-6,
        ],
    );
    let large = (1.0 - exp::<FMA>(t * p)).copysign(x);
    if a < 0.93 { small } else { large }
}

/// `scale / (1 + e^-x)`, without an intermediate overflow or a rounding below the normal numbers.
#[inline(always)]
fn logistic<const FMA: bool>(x: f32, scale: f32) -> f32 {
    let (p, s, t) = exp_parts::<FMA>(-x.abs());
    let e = p * s * t;
    let denominator = 1.0 + e;
    let negative = (scale * p) * s / denominator * t;
    if x < 0.0 { negative } else { scale / denominator }
}

#[inline(always)]
pub(crate) fn sigmoid<const FMA: bool>(x: f32) -> f32 {
    logistic::<FMA>(x, 1.0)
}

#[inline(always)]
pub(crate) fn silu<const FMA: bool>(x: f32) -> f32 {
    // e^-104 is half the smallest number; beyond, x times it stays below what is representable.
    let y = logistic::<FMA>(x, limit(x, -110.0, f32::INFINITY));
    if x == f32::NEG_INFINITY { f32::NAN } else { y }
}

#[inline(always)]
pub(crate) fn gelu_tanh<const FMA: bool>(x: f32) -> f32 {
    // 0.5 x (1 + tanh u) = x / (1 + e^-2u)
    let s = x * x;
    let u2 = x * fma::<FMA>(s, 0.071_354_82, 1.595_769_2);
    x / (1.0 + exp::<FMA>(-u2))
}

#[inline(always)]
pub(crate) fn gelu<const FMA: bool>(x: f32) -> f32 {
    0.5 * x * (1.0 + erf::<FMA>(x * std::f32::consts::FRAC_1_SQRT_2))
}

#[inline(always)]
pub(crate) fn softplus<const FMA: bool>(x: f32) -> f32 {
    // log(1 + z) with the rounding error of 1 + z put back.
    let z = exp::<FMA>(-x.abs());
    let w = 1.0 + z;
    let lost = z - (w - 1.0);
    let log1p = log::<FMA>(w) + lost / w;
    let positive = if x > 0.0 {
        x
    } else if x <= 0.0 {
        0.0
    } else {
        x
    };
    positive + log1p
}
