//! Choosing the next token from logits. Deterministic: the choice depends on the seed, the number of draws before and
//! the logits, on nothing else.

use girih_base::{Diag, Result};

/// How to choose.
#[derive(Clone, Debug, PartialEq)]
pub struct Sampling {
    /// Logits are divided by this; 0 takes the most likely token always.
    pub temperature: f32,
    /// Only this many of the most likely tokens; 0 for all.
    pub top_k: usize,
    /// Only the fewest most likely tokens whose probabilities sum to this; 1 for all.
    pub top_p: f32,
    /// Chooses the sequence of draws.
    pub seed: u64,
}

impl Default for Sampling {
    /// Greedy.
    fn default() -> Sampling {
        Sampling { temperature: 0.0, top_k: 0, top_p: 1.0, seed: 0 }
    }
}

/// Draws tokens one after the other.
#[derive(Clone, Debug)]
pub struct Sampler {
    how: Sampling,
    draws: u64,
}

impl Sampler {
    /// A sampler at its first draw.
    ///
    /// # Errors
    /// `M016` for a negative temperature or a `top_p` outside 0..=1.
    pub fn new(how: Sampling) -> Result<Sampler> {
        if !(how.temperature >= 0.0 && how.temperature.is_finite()) {
            return Err(Diag::error("M016", format!("a temperature of {}", how.temperature))
                .help("give 0 for the most likely token, or up to about 2 for variety"));
        }
        if !(how.top_p > 0.0 && how.top_p <= 1.0) {
            return Err(Diag::error("M016", format!("a top-p of {}", how.top_p))
                .help("give a number above 0 and up to 1; 1 keeps all tokens"));
        }
        Ok(Sampler { how, draws: 0 })
    }

    /// The next token for these logits.
    ///
    /// # Errors
    /// `M016` when there are no logits or one is NaN: the model or the device computed nonsense.
    pub fn next(&mut self, logits: &[f32]) -> Result<u32> {
        if logits.is_empty() || logits.iter().any(|v| v.is_nan()) {
            return Err(Diag::error(
                "M016",
                format!(
                    "{} logits, {} of them not numbers",
                    logits.len(),
                    logits.iter().filter(|v| v.is_nan()).count()
                ),
            )
            .help("the model file is damaged or the device computed wrongly; try `--device cpu`"));
        }
        if self.how.temperature == 0.0 || self.how.top_k == 1 {
            return Ok(greedy(logits));
        }
        let kept = self.candidates(logits);
        let draw = self.uniform() * kept.iter().map(|c| c.1).sum::<f64>();
        let mut below = 0.0;
        for (token, weight) in &kept {
            below += weight;
            if draw < below {
                return Ok(*token);
            }
        }
        Ok(kept.last().map_or(greedy(logits), |c| c.0))
    }

    /// The tokens that may be drawn with their weights, most likely first.
    fn candidates(&self, logits: &[f32]) -> Vec<(u32, f64)> {
        let mut order: Vec<u32> = (0..logits.len() as u32).collect();
        let likelier = |a: &u32, b: &u32| logits[*b as usize].total_cmp(&logits[*a as usize]).then(a.cmp(b));
        let k = if self.how.top_k == 0 { order.len() } else { self.how.top_k.min(order.len()) };
        if k < order.len() {
            order.select_nth_unstable_by(k, likelier);
            order.truncate(k);
        }
        order.sort_unstable_by(likelier);
        let max = order.first().map_or(0.0, |t| logits[*t as usize] as f64);
        let weight = |t: u32| {
            let below = logits[t as usize] as f64 - max;
            // The largest weighs 1 even when it is infinite.
            (t, if below.is_nan() { 1.0 } else { (below / self.how.temperature as f64).exp() })
        };
        let mut kept: Vec<(u32, f64)> = order.into_iter().map(weight).collect();
        let enough = kept.iter().map(|c| c.1).sum::<f64>() * self.how.top_p as f64;
        let mut sum = 0.0;
        let end = kept.iter().position(|c| {
            sum += c.1;
            sum >= enough
        });
        kept.truncate(end.map_or(kept.len(), |i| i + 1));
        kept
    }

    /// Uniform in 0..1, from the seed and the number of the draw (splitmix64's output function on a counter).
    fn uniform(&mut self) -> f64 {
        self.draws += 1;
        let mut z = self.how.seed ^ self.draws.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        // Two rounds, so that neighbouring seeds are unrelated.
        for _ in 0..2 {
            z = z.wrapping_add(0x9e37_79b9_7f4a_7c15);
            z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            z ^= z >> 31;
        }
        (z >> 11) as f64 / (1u64 << 53) as f64
    }
}

/// The most likely token; of equals the first.
pub fn greedy(logits: &[f32]) -> u32 {
    let mut best = 0;
    for (i, v) in logits.iter().enumerate() {
        if *v > logits[best] {
            best = i;
        }
    }
    best as u32
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use super::*;

    fn frequencies(how: Sampling, logits: &[f32], draws: usize) -> Vec<f64> {
        let mut sampler = Sampler::new(how).unwrap();
        let mut counts = vec![0.0; logits.len()];
        for _ in 0..draws {
            counts[sampler.next(logits).unwrap() as usize] += 1.0 / draws as f64;
        }
        counts
    }

    const LOGITS: [f32; 4] = [0.0, 2.0, 1.0, -1.0];

    #[test]
    fn greedy_takes_the_first_of_the_largest() {
        assert_eq!(Sampler::new(Sampling::default()).unwrap().next(&[1.0, 3.0, 3.0]).unwrap(), 1);
        assert_eq!(greedy(&[f32::NEG_INFINITY, f32::INFINITY]), 1);
    }

    #[test]
    fn frequencies_follow_the_softmax() {
        for temperature in [0.5, 1.0, 2.0] {
            let weights: Vec<f64> = LOGITS.iter().map(|l| (*l as f64 / temperature).exp()).collect();
            let how = Sampling { temperature: temperature as f32, ..Sampling::default() };
            for (got, w) in frequencies(how, &LOGITS, 40_000).iter().zip(&weights) {
                let want = w / weights.iter().sum::<f64>();
                assert!((got - want).abs() < 0.01, "{got} for {want} at {temperature}");
            }
        }
    }

    #[test]
    fn top_k_and_top_p_keep_the_likeliest() {
        let how = Sampling { temperature: 1.0, ..Sampling::default() };
        let seen = |how: Sampling| -> Vec<usize> {
            let f = frequencies(how, &LOGITS, 4000);
            (0..4).filter(|i| f[*i] > 0.0).collect()
        };
        assert_eq!(seen(Sampling { top_k: 2, ..how.clone() }), [1, 2]);
        assert_eq!(seen(Sampling { top_k: 9, ..how.clone() }), [0, 1, 2, 3]);
        // Probabilities are .087 .644 .237 .032.
        assert_eq!(seen(Sampling { top_p: 0.5, ..how.clone() }), [1]);
        assert_eq!(seen(Sampling { top_p: 0.7, ..how.clone() }), [1, 2]);
        assert_eq!(seen(Sampling { top_p: 0.9, ..how.clone() }), [0, 1, 2]);
        assert_eq!(seen(Sampling { top_k: 1, ..how }), [1]);
    }

    #[test]
    fn a_seed_fixes_the_sequence() {
        let draw = |seed: u64| -> Vec<u32> {
            let how = Sampling { temperature: 1.5, seed, ..Sampling::default() };
            let mut s = Sampler::new(how).unwrap();
            (0..64).map(|_| s.next(&LOGITS).unwrap()).collect()
        };
        assert_eq!(draw(7), draw(7));
        assert!(draw(7) != draw(8) && draw(0) != draw(1));
        assert_eq!(draw(7)[..8], [2, 1, 3, 1, 1, 2, 0, 1], "the sequence is part of the interface");
    }

    #[test]
    fn extreme_logits_are_drawn_from() {
        let how = Sampling { temperature: 1.0, ..Sampling::default() };
        let next = |logits: &[f32]| Sampler::new(how.clone()).unwrap().next(logits);
        assert_eq!(next(&[f32::NEG_INFINITY, 5.0]).unwrap(), 1);
        assert_eq!(next(&[1.0, f32::INFINITY]).unwrap(), 1);
        assert_eq!(next(&[3.0e38, -3.0e38]).unwrap(), 0);
        assert!(next(&[f32::NEG_INFINITY; 3]).unwrap() < 3);
        assert_eq!(next(&[]).unwrap_err().code, "M016");
        assert_eq!(next(&[1.0, f32::NAN]).unwrap_err().code, "M016");
    }

    #[test]
    fn settings_out_of_range_are_refused() {
        for (temperature, top_p) in
            [(-1.0, 1.0), (f32::NAN, 1.0), (f32::INFINITY, 1.0), (1.0, 0.0), (1.0, 1.5), (1.0, f32::NAN)]
        {
            let diag = Sampler::new(Sampling { temperature, top_p, ..Sampling::default() }).unwrap_err();
            assert!(diag.code == "M016" && diag.help.is_some(), "{diag}");
        }
    }
}
