//! Rows of blocks: decoding them, and their products with rows of f32.

use super::blocks::*;
use crate::simd::math::fma;
use crate::simd::versions;
use girih_base::QuantFormat;

/// Runs `$body` with `$b` the type of a format.
macro_rules! with_format {
    ($format:expr, $b:ident => $body:expr) => {
        match $format {
            QuantFormat::Q4_0 => {
                type $b = Q4_0;
                $body
            }
            QuantFormat::Q4_1 => {
                type $b = Q4_1;
                $body
            }
            QuantFormat::Q5_0 => {
                type $b = Q5_0;
                $body
            }
            QuantFormat::Q5_1 => {
                type $b = Q5_1;
                $body
            }
            QuantFormat::Q8_0 => {
                type $b = Q8_0;
                $body
            }
            QuantFormat::Q4_K => {
                type $b = Q4K;
                $body
            }
            QuantFormat::Q5_K => {
                type $b = Q5K;
                $body
            }
            QuantFormat::Q6_K => {
                type $b = Q6K;
                $body
            }
        }
    };
}

#[inline(always)]
unsafe fn generic_decode<const FMA: bool, B: Block>(row: &[u8], out: &mut [f32]) {
    let mut part = [0f32; 32];
    for (block, out) in row.chunks_exact(B::BYTES).zip(out.chunks_exact_mut(B::N)) {
        for (p, out) in out.chunks_exact_mut(32).enumerate() {
            B::part(block, p, &mut part);
            out.copy_from_slice(&part);
        }
    }
}

versions! {
    unsafe fn decode_version<B: Block>(row: &[u8], out: &mut [f32]) = generic_decode
}

/// Decodes whole blocks.
pub(super) fn decode(format: QuantFormat, row: &[u8], out: &mut [f32]) {
    // SAFETY: `decode_version` has no conditions of its own.
    with_format!(format, B => unsafe { decode_version::<B>(row, out) });
}

/// Elements decoded at a time in front of a product: whole blocks of every format, well inside the first cache.
const AHEAD: usize = 256;

/// The product of one row of blocks with `M` rows of f32, each decoded element used `M` times. Sums run in 32 lanes.
///
/// Decoding and multiplying are loops of their own: in one, compilers unroll both before they see vectors.
///
/// # Safety
/// Each of `x` points to as many elements as the blocks hold.
#[inline(always)]
unsafe fn row_dot<const FMA: bool, const M: usize, B: Block>(row: &[u8], x: [*const f32; M]) -> [f32; M] {
    let mut sums = [[0f32; 32]; M];
    let mut decoded = [0f32; AHEAD];
    let mut at = 0;
    for blocks in row.chunks(B::BYTES * (AHEAD / B::N)) {
        let count = blocks.len() / B::BYTES * B::N;
        // SAFETY: no conditions.
        unsafe { generic_decode::<FMA, B>(blocks, &mut decoded[..count]) };
        for m in 0..M {
            // SAFETY: the caller's promise.
            let x = unsafe { std::slice::from_raw_parts(x[m].add(at), count) };
            let mut sum = sums[m];
            for (part, x) in decoded[..count].chunks_exact(32).zip(x.chunks_exact(32)) {
                for i in 0..32 {
                    sum[i] = fma::<FMA>(part[i], x[i], sum[i]);
                }
            }
            sums[m] = sum;
        }
        at += count;
    }
    sums.map(|mut lanes| {
        let mut half = 16;
        while half > 0 {
            for i in 0..half {
                lanes[i] += lanes[i + half];
            }
            half /= 2;
        }
        lanes[0]
    })
}

/// `m` rows of `x` (`columns` long) times `rows` rows of blocks.
#[inline(always)]
unsafe fn generic_dot<const FMA: bool, B: Block>(
    args: &DotRows<'_>,
    out: *mut f32,
    out_strides: [isize; 2],
    add: bool,
) {
    let bytes = args.columns / B::N * B::BYTES;
    for r in 0..args.rows {
        let row = &args.data[r * args.stride..][..bytes];
        let x = |m: usize| args.x[m * args.x_stride..][..args.columns].as_ptr();
        let put = |m: usize, sum: f32| {
            // SAFETY: the caller's promise.
            unsafe {
                let to = out.offset(m as isize * out_strides[0] + r as isize * out_strides[1]);
                *to = if add { *to + sum } else { sum };
            }
        };
        let mut m = 0;
        while m + 4 <= args.m {
            // SAFETY: the slices above have `columns` elements, as the row of blocks has.
            let sums = unsafe { row_dot::<FMA, 4, B>(row, [x(m), x(m + 1), x(m + 2), x(m + 3)]) };
            (0..4).for_each(|i| put(m + i, sums[i]));
            m += 4;
        }
        while m < args.m {
            // SAFETY: as above.
            put(m, unsafe { row_dot::<FMA, 1, B>(row, [x(m)]) }[0]);
            m += 1;
        }
    }
}

/// Operands of [`dot_rows`].
pub(crate) struct DotRows<'a> {
    /// The first row of blocks and what follows; rows are `stride` bytes apart.
    pub data: &'a [u8],
    pub stride: usize,
    pub rows: usize,
    /// Elements of a row that take part, whole blocks.
    pub columns: usize,
    /// `m` rows of f32, `x_stride` elements apart.
    pub x: &'a [f32],
    pub x_stride: usize,
    pub m: usize,
}

versions! {
    unsafe fn dot_version<B: Block>(args: &DotRows<'_>, out: *mut f32, out_strides: [isize; 2], add: bool) = generic_dot
}

/// `out[m, row] = x[m] . decoded row`, plus what is there when `add`.
///
/// # Safety
/// `out` has room for `m x rows` elements with these strides and overlaps no operand.
pub(crate) unsafe fn dot_rows(format: QuantFormat, args: &DotRows<'_>, out: *mut f32, strides: [isize; 2], add: bool) {
    // SAFETY: the caller's promise.
    with_format!(format, B => unsafe { dot_version::<B>(args, out, strides, add) });
}
