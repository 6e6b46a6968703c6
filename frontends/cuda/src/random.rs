//! Jumps of the XORWOW generator: the matrices over GF(2) that move its state on by powers of two.

use std::sync::OnceLock;

/// The five words of the state that are linear; the sixth counts.
type State = [u32; 5];
/// For each bit of the state, what it becomes.
type Matrix = Vec<State>;

/// One step.
fn step(v: State) -> State {
    let t = v[0] ^ (v[0] >> 2);
    [v[1], v[2], v[3], v[4], (v[4] ^ (v[4] << 4)) ^ (t ^ (t << 1))]
}

fn apply(m: &Matrix, v: State) -> State {
    let mut out = [0; 5];
    for (_, column) in m.iter().enumerate().filter(|(bit, _)| v[bit / 32] >> (bit % 32) & 1 == 1) {
        out.iter_mut().zip(column).for_each(|(o, c)| *o ^= c);
    }
    out
}

/// The matrix of twice as many steps.
fn square(m: &Matrix) -> Matrix {
    m.iter().map(|column| apply(m, *column)).collect()
}

/// The words of `__girih_xorwow_jumps`: 4^k steps for k below 32, then 4^k times 2^67 steps.
pub fn jumps() -> &'static [u8] {
    static TABLE: OnceLock<Vec<u8>> = OnceLock::new();
    TABLE.get_or_init(|| {
        let unit = |bit: usize| {
            let mut v = [0; 5];
            v[bit / 32] = 1 << (bit % 32);
            v
        };
        let mut m: Matrix = (0..160).map(|bit| step(unit(bit))).collect();
        let (mut steps, mut sequences) = (Vec::new(), Vec::new());
        for power in 0..=129 {
            let bytes = || m.iter().flatten().flat_map(|w| w.to_le_bytes());
            if power < 64 && power % 2 == 0 {
                steps.extend(bytes());
            }
            if power >= 67 && power % 2 == 1 {
                sequences.extend(bytes());
            }
            m = square(&m);
        }
        steps.extend(sequences);
        steps
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn matrices_are_steps() {
        let table = jumps();
        assert_eq!(table.len(), 64 * 800 * 4);
        let word = |i: usize| u32::from_le_bytes(std::array::from_fn(|k| table[i * 4 + k]));
        let matrix =
            |k: usize| (0..160).map(|bit| std::array::from_fn(|w| word(k * 800 + bit * 5 + w))).collect::<Matrix>();
        let start = [123_456_789, 362_436_069, 521_288_629, 88_675_123, 5_783_321];
        let mut v = start;
        for n in 1..=4096 {
            v = step(v);
            if let Some(k) = [1, 4, 16, 64, 256, 1024, 4096].iter().position(|p| *p == n) {
                assert_eq!(apply(&matrix(k), start), v, "{n} steps");
            }
        }
        // 2^67 is 32 times 2^62.
        let mut v = start;
        for _ in 0..32 {
            v = apply(&matrix(31), v);
        }
        assert_eq!(apply(&matrix(32), start), v);
    }
}
