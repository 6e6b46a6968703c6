//! Plans as bytes, for the disk and for shipping.
//!
//! Layout, little-endian: magic `GIRIHPLN`, format version u32, FNV-1a 128 of everything that follows u128, key u128, then the
//! plan in postcard. The key says what the plan was made from; whoever reads gives the key he expects.

use crate::Plan;
use girih_base::{Diag, Result};

const MAGIC: &[u8; 8] = b"GIRIHPLN";

/// Version of the layout and of the plan type; another version is refused, never misread.
pub const FORMAT: u32 = 2;

const HEADER: usize = 8 + 4 + 16 + 16;

/// FNV-1a with 128 bits, <http://www.isthe.com/chongo/tech/comp/fnv/>: equal on every host and in every version.
pub fn hash(parts: &[&[u8]]) -> u128 {
    const PRIME: u128 = 0x0000_0000_0100_0000_0000_0000_0000_013b;
    let mut h: u128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d;
    for part in parts {
        // The length first, so that moving a byte from one part to the next changes the hash.
        for b in (part.len() as u64).to_le_bytes().iter().chain(*part) {
            h = (h ^ *b as u128).wrapping_mul(PRIME);
        }
    }
    h
}

/// The file of a plan.
pub fn write(plan: &Plan, key: u128) -> Result<Vec<u8>> {
    let body =
        postcard::to_stdvec(plan).map_err(|e| Diag::error("P001", format!("the plan cannot be written: {e}")))?;
    let sum = hash(&[&key.to_le_bytes(), &body]);
    let mut out = Vec::with_capacity(HEADER + body.len());
    out.extend(MAGIC);
    out.extend(FORMAT.to_le_bytes());
    out.extend(sum.to_le_bytes());
    out.extend(key.to_le_bytes());
    out.extend(body);
    Ok(out)
}

/// Reads the plan of a file.
///
/// # Errors
/// `P002` for what is not such a file or was damaged, `P003` for another version, `P004` for a plan made from something else or
/// for another target, `P005` for a plan that contradicts itself.
pub fn read(bytes: &[u8], target: &str, key: u128) -> Result<Plan> {
    let damaged = |why: &str| Diag::error("P002", format!("this is not a plan file, or it is damaged: {why}"));
    let (magic, rest) = bytes.split_at_checked(8).ok_or_else(|| damaged("it is too short"))?;
    if magic != MAGIC {
        return Err(damaged("it does not start with `GIRIHPLN`"));
    }
    let (version, rest) = rest.split_first_chunk::<4>().ok_or_else(|| damaged("it is too short"))?;
    let version = u32::from_le_bytes(*version);
    if version != FORMAT {
        return Err(Diag::error("P003", format!("the plan has format version {version}, this program reads {FORMAT}"))
            .help("compile the model again"));
    }
    let (sum, rest) = rest.split_first_chunk::<16>().ok_or_else(|| damaged("it is too short"))?;
    let (made_from, body) = rest.split_first_chunk::<16>().ok_or_else(|| damaged("it is too short"))?;
    if u128::from_le_bytes(*sum) != hash(&[made_from, body]) {
        return Err(damaged("the checksum is wrong"));
    }
    if u128::from_le_bytes(*made_from) != key {
        return Err(Diag::error("P004", "the plan was made from another graph, or by another build of the compiler"));
    }
    let plan: Plan = postcard::from_bytes(body).map_err(|e| damaged(&e.to_string()))?;
    if plan.target != target {
        return Err(Diag::error("P004", format!("the plan was made for target `{}`, not `{target}`", plan.target)));
    }
    plan.check()?;
    Ok(plan)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use super::*;
    use crate::check::tests::sample;
    use proptest::prelude::*;

    #[test]
    fn a_plan_comes_back_as_it_was() {
        let plan = sample();
        let bytes = write(&plan, 7).unwrap();
        assert_eq!(read(&bytes, "cpu", 7).unwrap(), plan);
    }

    #[test]
    fn foreign_files_are_refused_by_what_is_wrong() {
        let bytes = write(&sample(), 7).unwrap();
        let code = |bytes: &[u8], target: &str, key| read(bytes, target, key).unwrap_err().code;
        assert_eq!(code(&bytes, "cpu", 8), "P004");
        assert_eq!(code(&bytes, "wgpu", 7), "P004");
        assert_eq!(code(b"GGUF", "cpu", 7), "P002");
        let mut newer = bytes.clone();
        newer[8] += 1;
        assert_eq!(code(&newer, "cpu", 7), "P003");
        for cut in 0..bytes.len() {
            assert!(read(&bytes[..cut], "cpu", 7).is_err(), "{cut}");
        }
    }

    #[test]
    fn deep_nesting_is_refused() {
        let mut plan = sample();
        for _ in 0..200 {
            let body = std::mem::take(&mut plan.steps);
            plan.steps = vec![crate::Step::Repeat { symbol: "i".into(), count: 1.into(), body }];
        }
        let bytes = write(&plan, 7).unwrap();
        assert_eq!(read(&bytes, "cpu", 7).unwrap_err().code, "P002");
    }

    /// A file whose checksum is right, as someone hostile would write it.
    fn sealed(body: &[u8]) -> Vec<u8> {
        let key = 7u128.to_le_bytes();
        let mut out = [&MAGIC[..], &FORMAT.to_le_bytes(), &hash(&[&key, body]).to_le_bytes(), &key].concat();
        out.extend(body);
        out
    }

    proptest! {
        #[test]
        fn any_change_is_noticed(at in 0usize..2000, bit in 0u8..8) {
            let mut bytes = write(&sample(), 7).unwrap();
            let at = at % bytes.len();
            bytes[at] ^= 1 << bit;
            prop_assert!(read(&bytes, "cpu", 7).is_err());
        }

        #[test]
        fn hostile_plans_never_panic(changes in prop::collection::vec((0usize..4000, any::<u8>()), 1..6)) {
            let mut body = postcard::to_stdvec(&sample()).unwrap();
            for (at, value) in changes {
                let at = at % body.len();
                body[at] = value;
            }
            if let Ok(plan) = read(&sealed(&body), "cpu", 7) {
                prop_assert!(plan.check().is_ok());
            }
        }
    }
}
