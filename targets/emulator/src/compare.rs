//! Results with subgroups of several widths, beside each other.

use girih_base::{DType, Diag, Loc, codec};

/// The widths of subgroups that hardware has.
pub const SUBGROUPS: [u32; 5] = [4, 8, 16, 32, 64];

/// How far sums of floats may lie apart, in parts of the largest number of the array: another width adds in another order.
const APART: f64 = 1e-4;

/// The first element in which two results differ: integers at all, floats by more than the order of additions explains.
pub fn first_difference(dtype: DType, a: &[u8], b: &[u8]) -> Option<usize> {
    let size = (dtype.bits() as usize / 8).max(1);
    if !dtype.is_float() {
        return a.chunks(size).zip(b.chunks(size)).position(|(x, y)| x != y);
    }
    let floats = |raw: &[u8]| codec::decode_floats(dtype, raw, raw.len() / size).unwrap_or_default();
    let (x, y) = (floats(a), floats(b));
    let scale = x.iter().chain(&y).filter(|v| v.is_finite()).fold(0f64, |m, v| m.max(v.abs()));
    let differ = |(x, y): (&f64, &f64)| !(x == y || x.is_nan() && y.is_nan() || (x - y).abs() <= APART * scale);
    x.iter().zip(&y).position(differ)
}

/// The error of a kernel whose array `name` has another element with another width of subgroups. The two lists are
/// [`EmulatorDevice::exchanges`](crate::EmulatorDevice::exchanges) of both runs.
pub fn differs(name: &str, element: usize, widths: [u32; 2], exchanges: [&[(Loc, u64)]; 2]) -> Box<Diag> {
    let [a, b] = widths;
    let diag = Diag::error(
        "S112",
        format!("element {element} of `{name}` is another with subgroups of {b} threads than of {a}"),
    );
    let other = |(loc, hash): &&(Loc, u64)| !exchanges[1].iter().any(|(l, h)| l == loc && h == hash);
    let diag = match exchanges[0].iter().find(other) {
        Some((loc, _)) => diag.at(loc, "the first operation across lanes that has another result"),
        None => diag,
    };
    diag.help("take the number of lanes from the device (`warpSize` in CUDA) wherever the program counts on it")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounding_is_no_difference() {
        let bytes = |x: [f32; 3]| x.iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<u8>>();
        let a = bytes([1.0, f32::NAN, 100.0]);
        assert_eq!(first_difference(DType::F32, &a, &bytes([1.0001, f32::NAN, 100.0])), None);
        assert_eq!(first_difference(DType::F32, &a, &bytes([1.0, 0.0, 100.0])), Some(1));
        assert_eq!(first_difference(DType::F32, &a, &bytes([1.0, f32::NAN, 101.0])), Some(2));
        assert_eq!(first_difference(DType::I32, &[1, 0, 0, 0, 2, 0, 0, 0], &[1, 0, 0, 0, 3, 0, 0, 0]), Some(1));
    }
}
