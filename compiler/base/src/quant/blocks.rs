//! One decoder per format. Each gets exactly one block and room for exactly its elements (checked by the caller).

use half::f16;

/// Elements that share one 4- or 5-bit scale in the `_K` formats.
const GROUP: usize = 32;

pub(super) fn q4_0(block: &[u8], out: &mut [f32]) {
    let (d, qs) = (half_at(block, 0), &block[2..]);
    for (i, out) in out.iter_mut().enumerate() {
        *out = d * (nibble(qs, i) as f32 - 8.0);
    }
}

pub(super) fn q4_1(block: &[u8], out: &mut [f32]) {
    let (d, m, qs) = (half_at(block, 0), half_at(block, 2), &block[4..]);
    for (i, out) in out.iter_mut().enumerate() {
        *out = d * nibble(qs, i) as f32 + m;
    }
}

pub(super) fn q5_0(block: &[u8], out: &mut [f32]) {
    let (d, qh, qs) = (half_at(block, 0), &block[2..6], &block[6..]);
    for (i, out) in out.iter_mut().enumerate() {
        let q = nibble(qs, i) | bit(qh[i / 8], i % 8) << 4;
        *out = d * (q as f32 - 16.0);
    }
}

pub(super) fn q5_1(block: &[u8], out: &mut [f32]) {
    let (d, m, qh, qs) = (half_at(block, 0), half_at(block, 2), &block[4..8], &block[8..]);
    for (i, out) in out.iter_mut().enumerate() {
        let q = nibble(qs, i) | bit(qh[i / 8], i % 8) << 4;
        *out = d * q as f32 + m;
    }
}

pub(super) fn q8_0(block: &[u8], out: &mut [f32]) {
    let (d, qs) = (half_at(block, 0), &block[2..]);
    for (i, out) in out.iter_mut().enumerate() {
        *out = d * (qs[i] as i8) as f32;
    }
}

pub(super) fn q4_k(block: &[u8], out: &mut [f32]) {
    let (scales, qs) = (&block[4..16], &block[16..]);
    for group in 0..8 {
        let (scale, min) = group_scale(block, scales, group);
        for i in 0..GROUP {
            out[group * GROUP + i] = scale * paired_nibble(qs, group, i) as f32 - min;
        }
    }
}

pub(super) fn q5_k(block: &[u8], out: &mut [f32]) {
    let (scales, qh, qs) = (&block[4..16], &block[16..48], &block[48..]);
    for group in 0..8 {
        let (scale, min) = group_scale(block, scales, group);
        for i in 0..GROUP {
            let q = paired_nibble(qs, group, i) | bit(qh[i], group) << 4;
            out[group * GROUP + i] = scale * q as f32 - min;
        }
    }
}

pub(super) fn q6_k(block: &[u8], out: &mut [f32]) {
    let (ql, qh, scales, d) = (&block[..128], &block[128..192], &block[192..208], half_at(block, 208));
    for (i, out) in out.iter_mut().enumerate() {
        let (half, quarter, lane) = (i / 128, i % 128 / 32, i % 32);
        let low = ql[half * 64 + quarter % 2 * 32 + lane] >> (quarter / 2 * 4) & 15;
        let high = qh[half * 32 + lane] >> (quarter * 2) & 3;
        let scale = d * (scales[i / 16] as i8) as f32;
        *out = scale * ((low | high << 4) as f32 - 32.0);
    }
}

/// Scale and minimum of a group of 32 in Q4_K and Q5_K, both already times their f16 factor.
fn group_scale(block: &[u8], packed: &[u8], group: usize) -> (f32, f32) {
    let (scale, min) = if group < 4 {
        (packed[group] & 63, packed[group + 4] & 63)
    } else {
        let low = packed[group + 4];
        (low & 15 | packed[group - 4] >> 6 << 4, low >> 4 | packed[group] >> 6 << 4)
    };
    (half_at(block, 0) * scale as f32, half_at(block, 2) * min as f32)
}

/// Element `i` of 32 where the low nibbles are the first 16 elements.
fn nibble(qs: &[u8], i: usize) -> u8 {
    if i < 16 { qs[i] & 15 } else { qs[i - 16] >> 4 }
}

/// Element `i` of a group of 32 where two groups share 32 bytes.
fn paired_nibble(qs: &[u8], group: usize, i: usize) -> u8 {
    qs[group / 2 * GROUP + i] >> (group % 2 * 4) & 15
}

fn bit(byte: u8, at: usize) -> u8 {
    byte >> at & 1
}

fn half_at(block: &[u8], at: usize) -> f32 {
    f16::from_le_bytes([block[at], block[at + 1]]).to_f32()
}
