#![allow(clippy::unwrap_used, clippy::panic)]

use super::QuantFormat;

/// The f16 1.0 and 0.5, as stored.
const ONE: [u8; 2] = [0x00, 0x3c];
const HALF: [u8; 2] = [0x00, 0x38];

fn decode(format: QuantFormat, block: &[u8]) -> Vec<f32> {
    let mut out = vec![f32::NAN; format.block_elements()];
    format.decode_block(block, &mut out).unwrap();
    out
}

fn concat(parts: &[&[u8]]) -> Vec<u8> {
    parts.concat()
}

#[test]
fn q4_0_by_hand() {
    let mut qs = [0x88; 16];
    qs[0] = 0xf0; // element 0 is 0 - 8, element 16 is 15 - 8
    let out = decode(QuantFormat::Q4_0, &concat(&[&HALF, &qs]));
    assert_eq!((out[0], out[16]), (-4.0, 3.5));
    assert!(out.iter().enumerate().all(|(i, v)| i == 0 || i == 16 || *v == 0.0));
}

#[test]
fn q4_1_by_hand() {
    let mut qs = [0; 16];
    qs[15] = 0x21; // element 15 is 1, element 31 is 2
    let out = decode(QuantFormat::Q4_1, &concat(&[&HALF, &ONE, &qs]));
    assert_eq!((out[0], out[15], out[31]), (1.0, 1.5, 2.0));
}

#[test]
fn q5_by_hand() {
    let mut qs = [0; 16];
    qs[1] = 0x3f; // low bits: element 1 is 15, element 17 is 3
    let qh = (1u32 << 1 | 1 << 17 | 1 << 31).to_le_bytes();
    let out = decode(QuantFormat::Q5_0, &concat(&[&ONE, &qh, &qs]));
    assert_eq!((out[0], out[1], out[17], out[31]), (-16.0, 15.0, 3.0, 0.0));
    let out = decode(QuantFormat::Q5_1, &concat(&[&ONE, &HALF, &qh, &qs]));
    assert_eq!((out[0], out[1], out[17], out[31]), (0.5, 31.5, 19.5, 16.5));
}

#[test]
fn q8_0_by_hand() {
    let mut qs = [0; 32];
    (qs[0], qs[31]) = (0x80, 0x7f);
    let out = decode(QuantFormat::Q8_0, &concat(&[&HALF, &qs]));
    assert_eq!((out[0], out[1], out[31]), (-64.0, 0.0, 63.5));
}

#[test]
fn k_scales_by_hand() {
    // Group 0: scale 63, min 1. Group 4: scale 0b10_0101, min 0b11_1010, split over bytes 0, 4 and 8.
    let mut scales = [0; 12];
    scales[0] = 63 | 0b10 << 6;
    scales[4] = 1 | 0b11 << 6;
    scales[8] = 0b1010_0101;
    let mut qs = [0; 128];
    qs[0] = 0x52; // element 0 of group 0 is 2, of group 1 is 5
    qs[64] = 0x09; // element 0 of group 4 is 9
    let block = concat(&[&ONE, &HALF, &scales, &qs]);
    let out = decode(QuantFormat::Q4_K, &block);
    assert_eq!(out[0], 63.0 * 2.0 - 0.5);
    assert_eq!(out[32], 0.0, "group 1 has scale and minimum 0");
    assert_eq!(out[128], 37.0 * 9.0 - 0.5 * 58.0);

    let mut qh = [0; 32];
    qh[0] = 1 | 1 << 4;
    let out = decode(QuantFormat::Q5_K, &concat(&[&ONE, &HALF, &scales, &qh, &qs]));
    assert_eq!(out[0], 63.0 * 18.0 - 0.5);
    assert_eq!(out[1], -0.5);
    assert_eq!(out[128], 37.0 * 25.0 - 0.5 * 58.0);
}

#[test]
fn q6_k_by_hand() {
    let (mut ql, mut qh, mut scales) = ([0; 128], [0; 64], [0u8; 16]);
    ql[64 + 32 + 5] = 0x70; // second half, quarters 1 (low) and 3 (high), lane 5
    qh[32 + 5] = 0b10_00_00_00;
    scales[14] = -3i8 as u8; // elements 224..240
    let out = decode(QuantFormat::Q6_K, &concat(&[&ql, &qh, &scales, &HALF]));
    let at = 128 + 3 * 32 + 5;
    assert_eq!(out[at], -1.5 * (0b10_0111 as f32 - 32.0));
    assert_eq!(out[at + 1], 48.0, "code 0 is -32");
    assert_eq!(out[0], 0.0, "scale 0");
}

/// Three blocks of pseudo-random bytes per format; decoded by gguf-py 0.19's `dequantize` into the bits of seven
/// elements and an FNV-1a-like hash (by words) of all of them. The f16 fields at the given offsets are kept finite
/// and below 2 by clearing their top exponent bit.
#[test]
fn agrees_with_gguf_py() {
    #[rustfmt::skip]
    let golden: [(QuantFormat, &[usize], u64, [u32; 7]); 8] = [
        (QuantFormat::Q4_0, &[0], 0x132be5fa2a74d6a5, [0x00000000, 0xbc1ac400, 0x00000000, 0x3c04a800, 0x38906000, 0x3af08000, 0x3a708000]),
        (QuantFormat::Q4_1, &[0, 2], 0x01c1da24b3ba6ecd, [0xb7a40000, 0x3c46aa00, 0x3b2f9800, 0x3bb03c00, 0xbead2548, 0xbbeac480, 0xbc30a240]),
        (QuantFormat::Q5_0, &[0], 0xdb0b3289ad940ca5, [0xbc1ac400, 0xbc733400, 0xbbb0e000, 0xbb30e000, 0xbb8f3400, 0x3d163000, 0xbd26e000]),
        (QuantFormat::Q5_1, &[0, 2], 0x963fed3d30bb71f4, [0x3b840400, 0x3c5cc600, 0x3b840400, 0x3d1aaf80, 0xb7d60000, 0xbfce7b40, 0xbfcf4ec0]),
        (QuantFormat::Q8_0, &[0], 0xcecbee495d358f65, [0x3dc6fc00, 0xbe2f7e40, 0x3db0e000, 0xbd927980, 0x3e8e4900, 0x3c2a13c0, 0xbaab9c00]),
        (QuantFormat::Q4_K, &[0, 2], 0x97456376567adf7d, [0x3f57a958, 0x3f683e58, 0x3f367f58, 0x3f72aad8, 0x410b8b40, 0xc0d70e20, 0xc014e0c0]),
        (QuantFormat::Q5_K, &[0, 2], 0xf77cd7522a25d2c4, [0x3fc7082c, 0x3e84d8b0, 0x3fd79d2c, 0x3ebadbb0, 0xc17f6f26, 0x42824de0, 0x421185a0]),
        (QuantFormat::Q6_K, &[208], 0xddd9aab418ad3aa1, [0x3ebdb400, 0xbe52c800, 0x3d8e0000, 0x3e8bc800, 0xbdde40e0, 0x41411100, 0x40fed900]),
    ];
    for (format, halves, hash, picked) in golden {
        let (elements, bytes) = (format.block_elements(), format.block_bytes());
        let mut row = pseudo_random(3 * bytes);
        for block in row.chunks_exact_mut(bytes) {
            halves.iter().for_each(|h| block[h + 1] &= 0xbf);
        }
        let mut out = vec![0.0; 3 * elements];
        format.decode_row(&row, &mut out).unwrap();
        let at = [0, 1, 17, elements - 1, elements, 2 * elements + 5, 3 * elements - 1];
        assert_eq!(at.map(|i| out[i].to_bits()), picked, "{format}");
        let fnv = |h: u64, v: &f32| (h ^ v.to_bits() as u64).wrapping_mul(0x100_0000_01b3);
        assert_eq!(out.iter().fold(0xcbf2_9ce4_8422_2325, fnv), hash, "{format}");
    }
}

/// The high bytes of a xorshift32 sequence.
fn pseudo_random(count: usize) -> Vec<u8> {
    let mut state = 0x1234_5678u32;
    let next = || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        (state >> 24) as u8
    };
    std::iter::repeat_with(next).take(count).collect()
}

#[test]
fn rows_are_consistent() {
    for format in QuantFormat::ALL.iter().copied() {
        assert_eq!(QuantFormat::from_name(format.name()), Some(format));
        assert_eq!(QuantFormat::from_ggml_type(format.ggml_type()), Some(format));
        let (elements, bytes) = (format.block_elements() as u64, format.block_bytes() as u64);
        assert_eq!(format.row_bytes(3 * elements), Some(3 * bytes));
        assert_eq!(format.row_elements(3 * bytes), Some(3 * elements));
        assert_eq!(format.row_bytes(elements + 1), None);
        assert_eq!(format.row_bytes(u64::MAX / elements * elements).is_none(), bytes > elements);
    }
}

#[test]
fn wrong_sizes_are_refused() {
    for format in QuantFormat::ALL.iter().copied() {
        let (elements, bytes) = (format.block_elements(), format.block_bytes());
        let mut out = vec![0.0; elements];
        assert_eq!(format.decode_block(&vec![0; bytes - 1], &mut out).unwrap_err().code, "B001");
        assert_eq!(format.decode_row(&vec![0; bytes + 1], &mut out).unwrap_err().code, "B001");
        assert_eq!(format.decode_row(&vec![0; 2 * bytes], &mut out).unwrap_err().code, "B001");
        assert!(format.decode_row(&[], &mut []).is_ok());
    }
}
