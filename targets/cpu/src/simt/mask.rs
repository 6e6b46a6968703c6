//! Sets of threads.

/// Threads `lo..hi` for which `bytes` holds 1 (elsewhere it holds anything).
#[derive(Debug, Default)]
pub(super) struct Mask {
    bytes: Vec<u8>,
    pub lo: usize,
    pub hi: usize,
    /// Every thread of the range is in the set.
    pub full: bool,
}

impl Mask {
    /// An empty set of at most this many threads.
    pub fn resize(&mut self, threads: usize) {
        self.bytes.clear();
        self.bytes.resize(threads, 0);
        self.clear();
    }

    pub fn clear(&mut self) {
        (self.lo, self.hi, self.full) = (0, 0, true);
    }

    pub fn fill(&mut self) {
        self.bytes.fill(1);
        (self.lo, self.hi, self.full) = (0, self.bytes.len(), true);
    }

    pub fn is_empty(&self) -> bool {
        self.lo >= self.hi
    }

    /// Number of threads from the first to the last.
    pub fn span(&self) -> usize {
        self.hi - self.lo
    }

    /// One byte per thread of the range, 1 for those in the set.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes[self.lo..self.hi]
    }

    /// Whether a thread of the range is in the set.
    pub fn has(&self, thread: usize) -> bool {
        self.bytes[thread] != 0
    }

    /// Moves the threads whose flag (one byte per thread of the range, 0 or 1) is not set to `other`.
    pub fn split(&mut self, flags: &[u8], other: &mut Mask) {
        let (lo, hi) = (self.lo, self.hi);
        (other.lo, other.hi) = (lo, hi);
        let mut set = 0u8;
        let mut clear = 0u8;
        for ((mine, others), flag) in self.bytes[lo..hi].iter_mut().zip(&mut other.bytes[lo..hi]).zip(flags) {
            let both = *mine & flag;
            *others = *mine & !flag;
            *mine = both;
            set |= both;
            clear |= *others;
        }
        // The common cases: everybody goes one way.
        match (set, clear) {
            (_, 0) => other.clear(),
            (0, _) => {
                other.full = self.full;
                self.clear();
            }
            _ => {
                self.tighten();
                other.tighten();
            }
        }
    }

    /// Adds the threads of `other`, which becomes empty.
    pub fn join(&mut self, other: &mut Mask) {
        if other.is_empty() {
            return;
        }
        if self.is_empty() {
            std::mem::swap(self, other);
            other.clear();
            return;
        }
        let (lo, hi) = (self.lo.min(other.lo), self.hi.max(other.hi));
        self.bytes[lo..self.lo].fill(0);
        self.bytes[self.hi..hi].fill(0);
        self.bytes[other.lo..other.hi].iter_mut().zip(other.bytes()).for_each(|(a, b)| *a |= b);
        (self.lo, self.hi) = (lo, hi);
        self.full = self.bytes().iter().fold(1, |all, b| all & b) == 1;
        other.clear();
    }

    /// Narrows the range to the threads in the set.
    fn tighten(&mut self) {
        const STEP: usize = 16;
        let empty = |part: &[u8]| part.iter().fold(0, |any, b| any | b) == 0;
        while self.lo < self.hi {
            let n = STEP.min(self.hi - self.lo);
            let part = &self.bytes[self.lo..self.lo + n];
            if !empty(part) {
                self.lo += part.iter().position(|b| *b != 0).unwrap_or(0);
                break;
            }
            self.lo += n;
        }
        while self.lo < self.hi {
            let n = STEP.min(self.hi - self.lo);
            let part = &self.bytes[self.hi - n..self.hi];
            if !empty(part) {
                self.hi -= part.iter().rev().position(|b| *b != 0).unwrap_or(0);
                break;
            }
            self.hi -= n;
        }
        self.full = self.bytes().iter().fold(1, |all, b| all & b) == 1;
    }
}

#[cfg(test)]
mod tests {
    use super::Mask;

    fn members(m: &Mask) -> Vec<usize> {
        (m.lo..m.hi).filter(|t| m.has(*t)).collect()
    }

    #[test]
    fn splits_and_joins_are_those_of_sets() {
        let n = 100;
        let mut state = 1u64;
        for round in 0..200u64 {
            let [mut all, mut rest] = [Mask::default(), Mask::default()];
            all.resize(n);
            rest.resize(n);
            all.fill();
            let mut want: Vec<usize> = (0..n).collect();
            let mut away: Vec<(Mask, Vec<usize>)> = Vec::new();
            for _ in 0..4 {
                let flags: Vec<u8> = (0..n)
                    .map(|t| {
                        state = state.wrapping_mul(6364136223846793005).wrapping_add(round);
                        match round % 3 {
                            0 => (state >> 60 & 1) as u8,
                            1 => (t < (state >> 33) as usize % n) as u8,
                            _ => (t % 7 != (state >> 33) as usize % 7) as u8,
                        }
                    })
                    .collect();
                let mut other = Mask::default();
                other.resize(n);
                all.split(&flags[all.lo..all.hi], &mut other);
                let (yes, no): (Vec<usize>, Vec<usize>) = want.into_iter().partition(|t| flags[*t] == 1);
                assert_eq!(members(&all), yes);
                assert_eq!(members(&other), no);
                assert_eq!(all.full, all.span() == yes.len());
                assert_eq!(other.full, other.span() == no.len());
                want = yes;
                away.push((other, no));
            }
            for (mut other, threads) in away {
                all.join(&mut other);
                want.extend(threads);
                want.sort();
                assert_eq!(members(&all), want);
                assert_eq!(all.full, all.span() == want.len());
                assert!(other.is_empty());
            }
        }
    }
}
