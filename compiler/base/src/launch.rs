//! Numbers given at launch, as the 32-bit words that kernels see.
//!
//! A binding is an integer's value or a float's bits. Kernels of threads get words: `n` is the low word of the binding `n`, and
//! `n.hi` the high word of a 64-bit one.

use crate::Bindings;
use std::sync::Arc;

/// Ends the name of a high word.
pub const HIGH: &str = ".hi";

/// The words of `uniforms`, in order.
///
/// # Errors
/// The name that has no value, or a value beyond 32 bits where only the low word is asked for.
pub fn words(uniforms: &[Arc<str>], bindings: &Bindings) -> Result<Vec<u32>, (Arc<str>, Option<i64>)> {
    let word = |name: &Arc<str>| {
        let (base, high) = match name.strip_suffix(HIGH) {
            Some(base) => (base, true),
            None => (&**name, false),
        };
        let value = *bindings.get(base).ok_or_else(|| (name.clone(), None))?;
        let wide = || uniforms.iter().any(|u| u.strip_suffix(HIGH) == Some(base));
        let narrow = u32::try_from(value).is_ok() || i32::try_from(value).is_ok();
        match high {
            true => Ok((value as u64 >> 32) as u32),
            false if narrow || wide() => Ok(value as u32),
            false => Err((name.clone(), Some(value))),
        }
    };
    uniforms.iter().map(word).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wide_numbers_come_in_two_words() {
        let bindings = Bindings::from([("n".into(), -2), ("big".into(), 5 << 32 | 7)]);
        let names = |list: &[&str]| list.iter().map(|n| Arc::from(*n)).collect::<Vec<Arc<str>>>();
        assert_eq!(words(&names(&["n", "big", "big.hi", "n.hi"]), &bindings), Ok(vec![u32::MAX - 1, 7, 5, u32::MAX]));
        assert_eq!(words(&names(&["big"]), &bindings), Err(("big".into(), Some(5 << 32 | 7))));
        assert_eq!(words(&names(&["m"]), &bindings), Err(("m".into(), None)));
    }
}
