//! The table itself. Sources: operation set and integer rules follow WGSL (division by zero gives the dividend, shift
//! counts are taken modulo the width); error bounds are those of the WGSL specification, section 15.7.4.

pub use crate::page::scalar_ops as markdown;

use super::{Accuracy, IntType, Meaning, Operands, Output, Row, Wgsl};
use Accuracy::{AbsOrUlp, Exact, Ulp, UlpGrowing};
use Operands::{Any, Bits, Float, Int, Number, Select};
use Wgsl::{Call, Expand, Infix, Prefix, Special};

macro_rules! table {
    ($($variant:ident $name:literal $doc:literal
       ($arity:literal $operands:ident -> $output:ident) { $($field:ident: $value:expr),* }
       d [$($partial:literal),*] $wgsl:expr, $accuracy:expr $(, = $expand:literal)?;)*) => {
        /// A scalar operation: one row of the table.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum ScalarOp { $(#[doc = $doc] $variant,)* }

        impl ScalarOp {
            /// Every operation, in table order.
            pub const ALL: &'static [ScalarOp] = &[$(ScalarOp::$variant),*];

            /// The operation's row.
            pub fn row(self) -> &'static Row {
                static ROWS: &[Row] = &[$(Row {
                    name: $name,
                    arity: $arity,
                    operands: $operands,
                    output: Output::$output,
                    meaning: Meaning { $($field: Some($value),)* ..NONE },
                    partials: &[$($partial),*],
                    wgsl: $wgsl,
                    accuracy: $accuracy,
                    expand: optional!($($expand)?),
                    doc: $doc,
                }),*];
                &ROWS[self as usize]
            }
        }
    };
}

macro_rules! optional {
    () => {
        None
    };
    ($value:literal) => {
        Some($value)
    };
}

const NONE: Meaning = Meaning { float: None, int: None, test: None };

// name, doc, (arity, operands -> result), meaning, partial derivatives, WGSL spelling, accuracy, expansion
table! {
    // Core: every target has these.
    Add "add" "x + y" (2 Number -> Same) { float: |a| a[0] + a[1], int: |a, _| a[0] + a[1] } d ["1", "1"] Infix("+"), Exact;
    Sub "sub" "x - y" (2 Number -> Same) { float: |a| a[0] - a[1], int: |a, _| a[0] - a[1] } d ["1", "-1"] Infix("-"), Exact;
    Mul "mul" "x * y" (2 Number -> Same) { float: |a| a[0] * a[1], int: |a, _| a[0].wrapping_mul(a[1]) } d ["y", "x"] Infix("*"), Exact;
    Div "div" "x / y; integers round toward zero, x / 0 = x" (2 Number -> Same) { float: |a| a[0] / a[1], int: |a, _| if a[1] == 0 { a[0] } else { a[0] / a[1] } } d ["(recip y)", "(neg (div r y))"] Infix("/"), Ulp(2.5);
    Rem "rem" "remainder with the sign of x; integer x rem 0 = 0" (2 Number -> Same) { float: |a| a[0] % a[1], int: |a, _| if a[1] == 0 { 0 } else { a[0] % a[1] } } d ["1", "(neg (trunc (div x y)))"] Special, Exact;
    Neg "neg" "-x" (1 Number -> Same) { float: |a| -a[0], int: |a, _| -a[0] } d ["-1"] Prefix("-"), Exact;
    Abs "abs" "|x|" (1 Number -> Same) { float: |a| a[0].abs(), int: |a, _| a[0].abs() } d ["(sign x)"] Call("abs"), Exact;
    Min "min" "the smaller one; NaN if either is NaN" (2 Number -> Same) { float: |a| min(a[0], a[1]), int: |a, _| a[0].min(a[1]) } d ["(select (le x y) 1 0)", "(select (le x y) 0 1)"] Special, Exact;
    Max "max" "the larger one; NaN if either is NaN" (2 Number -> Same) { float: |a| max(a[0], a[1]), int: |a, _| a[0].max(a[1]) } d ["(select (ge x y) 1 0)", "(select (ge x y) 0 1)"] Special, Exact;
    Floor "floor" "largest whole number <= x" (1 Float -> Same) { float: |a| a[0].floor() } d ["0"] Call("floor"), Exact;
    Ceil "ceil" "smallest whole number >= x" (1 Float -> Same) { float: |a| a[0].ceil() } d ["0"] Call("ceil"), Exact;
    Trunc "trunc" "x without its fraction" (1 Float -> Same) { float: |a| a[0].trunc() } d ["0"] Call("trunc"), Exact;
    Round "round" "nearest whole number, ties to even" (1 Float -> Same) { float: |a| a[0].round_ties_even() } d ["0"] Call("round"), Exact;
    Sqrt "sqrt" "square root" (1 Float -> Same) { float: |a| a[0].sqrt() } d ["(div 0.5 r)"] Call("sqrt"), Ulp(3.0);
    Exp "exp" "e^x" (1 Float -> Same) { float: |a| a[0].exp() } d ["r"] Special, UlpGrowing(3.0, 2.0);
    Log "log" "natural logarithm" (1 Float -> Same) { float: |a| a[0].ln() } d ["(recip x)"] Special, AbsOrUlp(5e-7, 3.0);
    Exp2 "exp2" "2^x" (1 Float -> Same) { float: |a| a[0].exp2() } d ["(mul r 0.6931471805599453)"] Special, UlpGrowing(3.0, 2.0);
    Log2 "log2" "logarithm to base 2" (1 Float -> Same) { float: |a| a[0].log2() } d ["(div 1.4426950408889634 x)"] Special, AbsOrUlp(5e-7, 3.0);
    Sin "sin" "sine of radians" (1 Float -> Same) { float: |a| a[0].sin() } d ["(cos x)"] Special, AbsOrUlp(5e-7, 4.0);
    Cos "cos" "cosine of radians" (1 Float -> Same) { float: |a| a[0].cos() } d ["(neg (sin x))"] Special, AbsOrUlp(5e-7, 4.0);
    Tanh "tanh" "hyperbolic tangent" (1 Float -> Same) { float: |a| a[0].tanh() } d ["(sub 1 (mul r r))"] Special, AbsOrUlp(1e-7, 5.0);
    Erf "erf" "error function" (1 Float -> Same) { float: |a| super::special::erf(a[0]) } d ["(mul 1.1283791670955126 (exp (neg (mul x x))))"] Special, AbsOrUlp(2e-7, 8.0);
    Atan2 "atan2" "angle of the point (y, x) given as atan2(x, y)" (2 Float -> Same) { float: |a| a[0].atan2(a[1]) } d ["(div y (add (mul x x) (mul y y)))", "(neg (div x (add (mul x x) (mul y y))))"] Special, AbsOrUlp(5e-7, 8.0);
    And "and" "bitwise and, logical on bool" (2 Bits -> Same) { int: |a, t| t.bits_of(a[0]) & t.bits_of(a[1]) } d ["0", "0"] Infix("&"), Exact;
    Or "or" "bitwise or, logical on bool" (2 Bits -> Same) { int: |a, t| t.bits_of(a[0]) | t.bits_of(a[1]) } d ["0", "0"] Infix("|"), Exact;
    Xor "xor" "bitwise exclusive or, logical on bool" (2 Bits -> Same) { int: |a, t| t.bits_of(a[0]) ^ t.bits_of(a[1]) } d ["0", "0"] Special, Exact;
    Not "not" "bitwise complement, logical on bool" (1 Bits -> Same) { int: |a, t| !t.bits_of(a[0]) } d ["0"] Special, Exact;
    Shl "shl" "x << (y mod width)" (2 Int -> Same) { int: |a, t| a[0] << shift(a[1], t) } d ["0", "0"] Special, Exact;
    Shr "shr" "x >> (y mod width), arithmetic when signed" (2 Int -> Same) { int: |a, t| a[0] >> shift(a[1], t) } d ["0", "0"] Special, Exact;
    Popcount "popcount" "number of one bits" (1 Int -> Same) { int: |a, t| t.bits_of(a[0]).count_ones() as i128 } d ["0"] Call("countOneBits"), Exact;
    Clz "clz" "number of leading zero bits" (1 Int -> Same) { int: |a, t| t.bits_of(a[0]).leading_zeros() as i128 - (128 - t.bits as i128) } d ["0"] Special, Exact;
    MulHi "mul_hi" "high half of the double-width product" (2 Int -> Same) { int: |a, t| mul_hi(a[0], a[1], t) } d ["0", "0"] Special, Exact;
    Eq "eq" "x = y" (2 Any -> Bool) { test: |a| a[0] == a[1], int: |a, _| (a[0] == a[1]) as i128 } d ["0", "0"] Infix("=="), Exact;
    Ne "ne" "x != y" (2 Any -> Bool) { test: |a| a[0] != a[1], int: |a, _| (a[0] != a[1]) as i128 } d ["0", "0"] Special, Exact;
    Lt "lt" "x < y" (2 Any -> Bool) { test: |a| a[0] < a[1], int: |a, _| (a[0] < a[1]) as i128 } d ["0", "0"] Special, Exact;
    Le "le" "x <= y" (2 Any -> Bool) { test: |a| a[0] <= a[1], int: |a, _| (a[0] <= a[1]) as i128 } d ["0", "0"] Special, Exact;
    IsNan "is_nan" "whether x is not a number" (1 Float -> Bool) { test: |a| a[0].is_nan() } d ["0"] Special, Exact;
    Select "select" "y where x holds, else z" (3 Select -> Same) { } d ["0", "(select x 1 0)", "(select x 0 1)"] Special, Exact;

    // Derived: a target may have them; the expansion always works.
    Gt "gt" "x > y" (2 Any -> Bool) { test: |a| a[0] > a[1], int: |a, _| (a[0] > a[1]) as i128 } d ["0", "0"] Expand, Exact, = "(lt y x)";
    Ge "ge" "x >= y" (2 Any -> Bool) { test: |a| a[0] >= a[1], int: |a, _| (a[0] >= a[1]) as i128 } d ["0", "0"] Expand, Exact, = "(le y x)";
    Sign "sign" "-1, 0 or 1; NaN of NaN" (1 Number -> Same) { float: |a| if a[0] == 0.0 || a[0].is_nan() { a[0] } else { a[0].signum() }, int: |a, _| a[0].signum() } d ["0"] Expand, Exact, = "(select (lt 0 x) 1 (select (lt x 0) (neg 1) x))";
    Recip "recip" "1 / x" (1 Float -> Same) { float: |a| 1.0 / a[0] } d ["(neg (mul r r))"] Expand, Ulp(2.5), = "(div 1 x)";
    Rsqrt "rsqrt" "1 / sqrt(x)" (1 Float -> Same) { float: |a| 1.0 / a[0].sqrt() } d ["(mul -0.5 (div r x))"] Expand, Ulp(5.0), = "(div 1 (sqrt x))";
    Square "square" "x * x" (1 Number -> Same) { float: |a| a[0] * a[0], int: |a, _| a[0].wrapping_mul(a[0]) } d ["(mul 2 x)"] Expand, Exact, = "(mul x x)";
    Fma "fma" "x * y + z, rounded once or twice" (3 Float -> Same) { float: |a| a[0].mul_add(a[1], a[2]) } d ["y", "x", "1"] Expand, Ulp(1.0), = "(add (mul x y) z)";
    FloorDiv "floor_div" "x / y rounded down; integer x / 0 = x" (2 Number -> Same) { float: |a| (a[0] / a[1]).floor(), int: |a, _| if a[1] == 0 { a[0] } else { a[0].div_euclid(a[1]) - (a[1] < 0 && a[0].rem_euclid(a[1]) != 0) as i128 } } d ["0", "0"] Special, Ulp(2.5);
    FloorMod "floor_mod" "remainder with the sign of y; integer x floor_mod 0 = 0" (2 Number -> Same) { float: |a| floor_mod(a[0], a[1]), int: |a, _| if a[1] == 0 { 0 } else { ((a[0] % a[1]) + a[1]) % a[1] } } d ["1", "(neg (floor (div x y)))"] Expand, Ulp(4.0), = "(select (and (ne (rem x y) 0) (ne (lt (rem x y) 0) (lt y 0))) (add (rem x y) y) (rem x y))";
    Pow "pow" "x^y for floats; NaN for negative x with fractional y" (2 Float -> Same) { float: |a| a[0].powf(a[1]) } d ["(select (eq y 0) 0 (mul y (pow x (sub y 1))))", "(mul r (log (select (lt 0 x) x 1)))"] Special, Ulp(16.0);
    Cbrt "cbrt" "cube root" (1 Float -> Same) { float: |a| a[0].cbrt() } d ["(div 0.3333333333333333 (mul r r))"] Expand, Ulp(16.0), = "(mul (sign x) (exp2 (mul (log2 (abs x)) 0.3333333333333333)))";
    Sigmoid "sigmoid" "1 / (1 + e^-x)" (1 Float -> Same) { float: |a| 1.0 / (1.0 + (-a[0]).exp()) } d ["(mul r (sub 1 r))"] Expand, UlpGrowing(8.0, 2.0), = "(div 1 (add 1 (exp (neg x))))";
    Silu "silu" "x * sigmoid(x)" (1 Float -> Same) { float: |a| a[0] / (1.0 + (-a[0]).exp()) } d ["(mul (sigmoid x) (add 1 (mul x (sub 1 (sigmoid x)))))"] Expand, UlpGrowing(8.0, 2.0), = "(div x (add 1 (exp (neg x))))";
    Relu "relu" "max(x, 0)" (1 Number -> Same) { float: |a| max(a[0], 0.0), int: |a, _| a[0].max(0) } d ["(select (lt 0 x) 1 0)"] Expand, Exact, = "(max x 0)";
    Softplus "softplus" "ln(1 + e^x)" (1 Float -> Same) { float: |a| a[0].max(0.0) + (-a[0].abs()).exp().ln_1p() } d ["(sigmoid x)"] Expand, Ulp(16.0), = "(add (max x 0) (log1p (exp (neg (abs x)))))";
    Gelu "gelu" "x * Phi(x), by erf" (1 Float -> Same) { float: |a| 0.5 * a[0] * super::special::erfc(-a[0] * std::f64::consts::FRAC_1_SQRT_2) } d ["(add (mul 0.5 (add 1 (erf (mul x 0.7071067811865476)))) (mul (mul x 0.3989422804014327) (exp (mul -0.5 (mul x x)))))"] Expand, AbsOrUlp(1e-6, 16.0), = "(mul (mul 0.5 x) (add 1 (erf (mul x 0.7071067811865476))))";
    GeluTanh "gelu_tanh" "the tanh form of gelu" (1 Float -> Same) { float: |a| 0.5 * a[0] * (1.0 + (0.7978845608028654 * (a[0] + 0.044715 * a[0] * a[0] * a[0])).tanh()) } d ["(add (mul 0.5 (add 1 (tanh (mul 0.7978845608028654 (mul x (add 1 (mul 0.044715 (mul x x)))))))) (mul (mul (mul 0.5 x) (sub 1 (square (tanh (mul 0.7978845608028654 (mul x (add 1 (mul 0.044715 (mul x x))))))))) (mul 0.7978845608028654 (add 1 (mul 0.134145 (mul x x))))))"] Expand, AbsOrUlp(1e-6, 16.0), = "(mul (mul 0.5 x) (add 1 (tanh (mul 0.7978845608028654 (mul x (add 1 (mul 0.044715 (mul x x))))))))";
    Log1p "log1p" "ln(1 + x), accurate near 0" (1 Float -> Same) { float: |a| a[0].ln_1p() } d ["(recip (add 1 x))"] Special, AbsOrUlp(5e-7, 8.0);
    Expm1 "expm1" "e^x - 1, accurate near 0" (1 Float -> Same) { float: |a| a[0].exp_m1() } d ["(add r 1)"] Special, AbsOrUlp(5e-7, 8.0);
    Log10 "log10" "logarithm to base 10" (1 Float -> Same) { float: |a| a[0].log10() } d ["(div 0.4342944819032518 x)"] Expand, AbsOrUlp(5e-7, 6.0), = "(mul 0.4342944819032518 (log x))";
    Tan "tan" "tangent of radians" (1 Float -> Same) { float: |a| a[0].tan() } d ["(add 1 (mul r r))"] Expand, AbsOrUlp(2e-6, 16.0), = "(div (sin x) (cos x))";
    Asin "asin" "inverse sine" (1 Float -> Same) { float: |a| a[0].asin() } d ["(rsqrt (mul (sub 1 x) (add 1 x)))"] Expand, AbsOrUlp(2e-6, 16.0), = "(atan2 x (sqrt (mul (sub 1 x) (add 1 x))))";
    Acos "acos" "inverse cosine" (1 Float -> Same) { float: |a| a[0].acos() } d ["(neg (rsqrt (mul (sub 1 x) (add 1 x))))"] Expand, AbsOrUlp(2e-6, 16.0), = "(atan2 (sqrt (mul (sub 1 x) (add 1 x))) x)";
    Atan "atan" "inverse tangent" (1 Float -> Same) { float: |a| a[0].atan() } d ["(recip (add 1 (mul x x)))"] Expand, AbsOrUlp(5e-7, 8.0), = "(atan2 x 1)";
    Sinh "sinh" "hyperbolic sine" (1 Float -> Same) { float: |a| a[0].sinh() } d ["(cosh x)"] Expand, AbsOrUlp(1e-6, 16.0), = "(mul 0.5 (sub (expm1 x) (expm1 (neg x))))";
    Cosh "cosh" "hyperbolic cosine" (1 Float -> Same) { float: |a| a[0].cosh() } d ["(sinh x)"] Expand, UlpGrowing(8.0, 2.0), = "(mul 0.5 (add (exp x) (exp (neg x))))";
    Asinh "asinh" "inverse hyperbolic sine" (1 Float -> Same) { float: |a| a[0].asinh() } d ["(rsqrt (add 1 (mul x x)))"] Expand, AbsOrUlp(1e-6, 16.0), = "(mul (sign x) (log1p (add (abs x) (div (abs x) (add (abs (recip x)) (sqrt (add 1 (square (recip x)))))))))";
    Acosh "acosh" "inverse hyperbolic cosine" (1 Float -> Same) { float: |a| a[0].acosh() } d ["(mul (rsqrt (sub x 1)) (rsqrt (add x 1)))"] Expand, AbsOrUlp(1e-6, 16.0), = "(log1p (add (sub x 1) (mul (sqrt (sub x 1)) (sqrt (add x 1)))))";
    Atanh "atanh" "inverse hyperbolic tangent" (1 Float -> Same) { float: |a| a[0].atanh() } d ["(recip (sub 1 (mul x x)))"] Expand, AbsOrUlp(1e-6, 16.0), = "(copysign (mul 0.5 (log1p (div (mul 2 (abs x)) (sub 1 (abs x))))) x)";
    Clamp "clamp" "min(max(x, y), z)" (3 Number -> Same) { float: |a| min(max(a[0], a[1]), a[2]), int: |a, _| a[0].max(a[1]).min(a[2]) } d ["(select (and (le y x) (le x z)) 1 0)", "(select (and (lt x y) (le y z)) 1 0)", "(select (lt z (max x y)) 1 0)"] Expand, Exact, = "(min (max x y) z)";
    IsFinite "is_finite" "whether x is neither infinite nor NaN" (1 Float -> Bool) { test: |a| a[0].is_finite() } d ["0"] Special, Exact;
    IsInf "is_inf" "whether x is infinite" (1 Float -> Bool) { test: |a| a[0].is_infinite() } d ["0"] Expand, Exact, = "(not (or (is_finite x) (is_nan x)))";
    CopySign "copysign" "|x| with the sign bit of y" (2 Float -> Same) { float: |a| a[0].copysign(a[1]) } d ["(mul (sign x) (copysign 1 y))", "0"] Special, Exact;
    Ctz "ctz" "number of trailing zero bits" (1 Int -> Same) { int: |a, t| (t.bits_of(a[0]) | 1 << t.bits).trailing_zeros() as i128 } d ["0"] Special, Exact;
    LogicalShr "shr_logical" "x >> (y mod width), zeros shifted in" (2 Int -> Same) { int: |a, t| t.bits_of(a[0]) >> shift(a[1], t) } d ["0", "0"] Special, Exact;
}

/// The smaller one; NaN if either is NaN, unlike [`f64::min`].
fn min(x: f64, y: f64) -> f64 {
    if x.is_nan() || y.is_nan() { f64::NAN } else { x.min(y) }
}

/// The larger one; NaN if either is NaN, unlike [`f64::max`].
fn max(x: f64, y: f64) -> f64 {
    if x.is_nan() || y.is_nan() { f64::NAN } else { x.max(y) }
}

/// `x % y` is exact, where `x - y * floor(x / y)` loses all digits once `x / y` is large.
fn floor_mod(x: f64, y: f64) -> f64 {
    let r = x % y;
    if r != 0.0 && (r < 0.0) != (y < 0.0) { r + y } else { r }
}

fn shift(count: i128, t: IntType) -> u32 {
    count.rem_euclid(t.bits as i128) as u32
}

/// The product of two u64 does not fit `i128`, but fits `u128`.
fn mul_hi(x: i128, y: i128, t: IntType) -> i128 {
    if t.signed { (x * y) >> t.bits } else { ((x as u128 * y as u128) >> t.bits) as i128 }
}
