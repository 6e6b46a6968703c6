//! Sets of threads.

/// Threads to a word.
const WORD: usize = 64;

/// A subset of threads `lo..hi`, of which the first and the last are in it. Where not all of the range are, there is a bit per thread;
/// words that no thread of the range lies in hold anything.
#[derive(Debug, Default)]
pub(super) struct Mask {
    words: Vec<u64>,
    threads: usize,
    pub lo: usize,
    pub hi: usize,
    /// Every thread of the range is in the set.
    pub full: bool,
}

impl Mask {
    /// An empty set of at most this many threads.
    pub fn resize(&mut self, threads: usize) {
        self.words.clear();
        self.words.resize(threads.div_ceil(WORD), 0);
        self.threads = threads;
        self.clear();
    }

    pub fn clear(&mut self) {
        (self.lo, self.hi, self.full) = (0, 0, true);
    }

    pub fn fill(&mut self) {
        (self.lo, self.hi, self.full) = (0, self.threads, true);
    }

    pub fn is_empty(&self) -> bool {
        self.lo >= self.hi
    }

    /// Number of threads from the first to the last.
    pub fn span(&self) -> usize {
        self.hi - self.lo
    }

    /// Whether a thread of the range is in the set.
    pub fn has(&self, thread: usize) -> bool {
        self.full || self.words[thread / WORD] >> (thread % WORD) & 1 != 0
    }

    /// Writes a byte for each thread of the range, 1 for those in the set.
    pub fn bytes(&self, out: &mut [u8]) {
        if self.full {
            return out.fill(1);
        }
        for (out, t) in out.iter_mut().zip(self.lo..self.hi) {
            *out = (self.words[t / WORD] >> (t % WORD) & 1) as u8;
        }
    }

    /// The members among the threads of a word that the range lies in.
    fn word(&self, w: usize) -> u64 {
        if !self.full {
            return self.words[w];
        }
        let (first, end) = (self.lo.saturating_sub(w * WORD), (self.hi - w * WORD).min(WORD));
        u64::MAX << first & u64::MAX >> (WORD - end)
    }

    /// The words that the range lies in.
    fn part(&self) -> std::ops::Range<usize> {
        self.lo / WORD..self.hi.div_ceil(WORD)
    }

    /// Moves the threads whose flag is not set to `other`.
    ///
    /// # Safety
    /// `flags` has a byte for each thread, from thread 0 on and rounded up to whole words; those of threads in the set are 0 or 1.
    pub unsafe fn split(&mut self, flags: *const u8, other: &mut Mask) {
        (other.lo, other.hi) = (self.lo, self.hi);
        let (mut set, mut clear) = (0, 0);
        for w in self.part() {
            // SAFETY: the caller's promise.
            let bits = unsafe { pack(&*flags.add(w * WORD).cast::<[u8; WORD]>()) };
            let all = self.word(w);
            (self.words[w], other.words[w]) = (all & bits, all & !bits);
            set |= self.words[w];
            clear |= other.words[w];
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

    /// Of a whole range, keeps a part at one of its ends and moves the others to `other`. (An empty part may lie anywhere.)
    pub fn cut(&mut self, part: std::ops::Range<usize>, other: &mut Mask) {
        debug_assert!(self.full && (part.is_empty() || part.start == self.lo || part.end == self.hi));
        let rest = match part {
            _ if part.is_empty() => self.lo..self.hi,
            _ if part.start == self.lo => part.end..self.hi,
            _ => self.lo..part.start,
        };
        self.narrow(part);
        other.narrow(rest);
    }

    /// Leaves a whole range.
    fn narrow(&mut self, range: std::ops::Range<usize>) {
        if range.is_empty() {
            return self.clear();
        }
        (self.lo, self.hi, self.full) = (range.start, range.end, true);
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
        if self.full && other.full && (self.hi == other.lo || other.hi == self.lo) {
            (self.lo, self.hi) = (lo, hi);
            return other.clear();
        }
        for w in lo / WORD..hi.div_ceil(WORD) {
            let bits = |m: &Mask| if m.part().contains(&w) { m.word(w) } else { 0 };
            self.words[w] = bits(self) | bits(other);
        }
        (self.lo, self.hi) = (lo, hi);
        self.full = self.count() == self.span();
        other.clear();
    }

    fn count(&self) -> usize {
        self.words[self.part()].iter().map(|w| w.count_ones() as usize).sum()
    }

    /// Narrows the range to the threads in the set, of which there are some.
    fn tighten(&mut self) {
        let part = self.part();
        if let Some(w) = part.clone().find(|w| self.words[*w] != 0) {
            self.lo = w * WORD + self.words[w].trailing_zeros() as usize;
        }
        if let Some(w) = part.rev().find(|w| self.words[*w] != 0) {
            self.hi = (w + 1) * WORD - self.words[w].leading_zeros() as usize;
        }
        self.full = self.count() == self.span();
    }
}

/// The lowest bit of each byte.
#[inline(always)]
fn pack(flags: &[u8; WORD]) -> u64 {
    let (eights, _) = flags.as_chunks::<8>();
    let mut bits = 0;
    for (i, eight) in eights.iter().enumerate() {
        // The product moves the lowest bit of byte k to bit 56 + k; nothing carries into these.
        let byte = (u64::from_le_bytes(*eight) & 0x0101_0101_0101_0101).wrapping_mul(0x0102_0408_1020_4080) >> 56;
        bits |= byte << (8 * i);
    }
    bits
}

#[cfg(test)]
mod tests {
    use super::Mask;

    fn members(m: &Mask) -> Vec<usize> {
        let mut bytes = vec![9; m.span()];
        m.bytes(&mut bytes);
        let threads: Vec<usize> = (m.lo..m.hi).filter(|t| m.has(*t)).collect();
        assert!((m.lo..m.hi).zip(bytes).all(|(t, b)| b == threads.contains(&t) as u8));
        threads
    }

    #[test]
    fn splits_and_joins_are_those_of_sets() {
        for n in [1usize, 40, 64, 100, 256] {
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
                    let mut whole = flags.clone();
                    whole.resize(n.next_multiple_of(64), 0xff);
                    // SAFETY: a byte for each thread of whole words.
                    unsafe { all.split(whole.as_ptr(), &mut other) };
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
}
