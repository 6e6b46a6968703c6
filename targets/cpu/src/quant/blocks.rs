//! One decoder per format, written so that compilers vectorise it.

/// A format: a block of `N` elements in `BYTES` bytes.
pub(super) trait Block {
    const N: usize;
    const BYTES: usize;
    /// Decodes elements `32 * part..` of a block.
    fn part(block: &[u8], part: usize, out: &mut [f32; 32]);
}

/// IEEE half to single, exactly, without a table or a library call.
#[inline(always)]
fn half(block: &[u8], at: usize) -> f32 {
    let h = u16::from_le_bytes([block[at], block[at + 1]]) as u32;
    let magnitude = (h & 0x7fff) << 13;
    // Scaling by 2^112 moves the exponent's bias from 15 to 127 and makes subnormals normal.
    let finite = f32::from_bits(magnitude) * f32::from_bits(0x7780_0000);
    let value = if magnitude >= 0x7c00 << 13 { f32::from_bits(magnitude | 0x7f80_0000) } else { finite };
    f32::from_bits(value.to_bits() | (h & 0x8000) << 16)
}

/// The two halves of 16 bytes of nibbles, as integers.
#[inline(always)]
fn nibbles(qs: &[u8], out: &mut [f32; 32], f: impl Fn(usize, i32) -> f32) {
    let qs: &[u8; 16] = match qs.first_chunk() {
        Some(qs) => qs,
        None => return,
    };
    for i in 0..16 {
        out[i] = f(i, (qs[i] & 15) as i32);
        out[i + 16] = f(i + 16, (qs[i] >> 4) as i32);
    }
}

pub(super) struct Q4_0;
impl Block for Q4_0 {
    const N: usize = 32;
    const BYTES: usize = 18;
    #[inline(always)]
    fn part(block: &[u8], _: usize, out: &mut [f32; 32]) {
        let d = half(block, 0);
        nibbles(&block[2..18], out, |_, q| d * (q - 8) as f32);
    }
}

pub(super) struct Q4_1;
impl Block for Q4_1 {
    const N: usize = 32;
    const BYTES: usize = 20;
    #[inline(always)]
    fn part(block: &[u8], _: usize, out: &mut [f32; 32]) {
        let (d, m) = (half(block, 0), half(block, 2));
        nibbles(&block[4..20], out, |_, q| d * q as f32 + m);
    }
}

#[inline(always)]
fn word(block: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([block[at], block[at + 1], block[at + 2], block[at + 3]])
}

pub(super) struct Q5_0;
impl Block for Q5_0 {
    const N: usize = 32;
    const BYTES: usize = 22;
    #[inline(always)]
    fn part(block: &[u8], _: usize, out: &mut [f32; 32]) {
        let (d, high) = (half(block, 0), word(block, 2));
        nibbles(&block[6..22], out, |i, q| d * ((q | ((high >> i & 1) << 4) as i32) - 16) as f32);
    }
}

pub(super) struct Q5_1;
impl Block for Q5_1 {
    const N: usize = 32;
    const BYTES: usize = 24;
    #[inline(always)]
    fn part(block: &[u8], _: usize, out: &mut [f32; 32]) {
        let (d, m, high) = (half(block, 0), half(block, 2), word(block, 4));
        nibbles(&block[8..24], out, |i, q| d * (q | ((high >> i & 1) << 4) as i32) as f32 + m);
    }
}

pub(super) struct Q8_0;
impl Block for Q8_0 {
    const N: usize = 32;
    const BYTES: usize = 34;
    #[inline(always)]
    fn part(block: &[u8], _: usize, out: &mut [f32; 32]) {
        let (d, qs) = (half(block, 0), &block[2..34]);
        for i in 0..32 {
            out[i] = d * (qs[i] as i8) as f32;
        }
    }
}

/// Scale and minimum of group `g` of Q4_K and Q5_K, times their factors.
#[inline(always)]
fn group(block: &[u8], g: usize) -> (f32, f32) {
    let packed = &block[4..16];
    let (scale, min) = if g < 4 {
        (packed[g] & 63, packed[g + 4] & 63)
    } else {
        let low = packed[g + 4];
        (low & 15 | packed[g - 4] >> 6 << 4, low >> 4 | packed[g] >> 6 << 4)
    };
    (half(block, 0) * scale as f32, half(block, 2) * min as f32)
}

pub(super) struct Q4K;
impl Block for Q4K {
    const N: usize = 256;
    const BYTES: usize = 144;
    #[inline(always)]
    fn part(block: &[u8], g: usize, out: &mut [f32; 32]) {
        let (scale, min) = group(block, g);
        let qs = &block[16 + g / 2 * 32..][..32];
        let shift = g % 2 * 4;
        for i in 0..32 {
            out[i] = scale * (qs[i] >> shift & 15) as i32 as f32 - min;
        }
    }
}

pub(super) struct Q5K;
impl Block for Q5K {
    const N: usize = 256;
    const BYTES: usize = 176;
    #[inline(always)]
    fn part(block: &[u8], g: usize, out: &mut [f32; 32]) {
        let (scale, min) = group(block, g);
        let (high, qs) = (&block[16..48], &block[48 + g / 2 * 32..][..32]);
        let shift = g % 2 * 4;
        for i in 0..32 {
            let q = (qs[i] >> shift & 15) as i32 | ((high[i] >> g & 1) as i32) << 4;
            out[i] = scale * q as f32 - min;
        }
    }
}

pub(super) struct Q6K;
impl Block for Q6K {
    const N: usize = 256;
    const BYTES: usize = 210;
    #[inline(always)]
    fn part(block: &[u8], part: usize, out: &mut [f32; 32]) {
        let (side, quarter) = (part / 4, part % 4);
        let low = &block[side * 64 + quarter % 2 * 32..][..32];
        let high = &block[128 + side * 32..][..32];
        let d = half(block, 208);
        let scale = |i: usize| d * (block[192 + part * 2 + i] as i8) as f32;
        let (low_shift, high_shift) = (quarter / 2 * 4, quarter * 2);
        for (i, scale) in [scale(0), scale(1)].into_iter().enumerate() {
            for j in i * 16..i * 16 + 16 {
                let q = (low[j] >> low_shift & 15) as i32 | ((high[j] >> high_shift & 3) as i32) << 4;
                out[j] = scale * (q - 32) as f32;
            }
        }
    }
}
