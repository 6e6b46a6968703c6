//! The debug buffer: how a kernel's prints and assertions reach the host.
//!
//! A kernel that prints or asserts has one buffer more than its arguments, of u32 words:
//!
//! ```text
//! word 0          the next free word among the records, counted on even where they are full
//! word 1          number of words for records
//! word 2          records that found no room
//! then            a word for each assertion: the smallest thread for which it failed, or NONE
//! then            the records: number of the site, workgroup, thread of the workgroup, words of the arguments; the last one
//!                 may be a single NONE, where the next record found too few words
//! ```
//!
//! An argument of at most 32 bits is one word for each component (bools as 0 and 1), of 64 bits two, low word first. The number
//! of a thread in an assertion's word is `workgroup * threads + thread`, or that of its program instance where programs are counted;
//! what does not fit is [`MANY`].

use crate::print::{self, Value};
use crate::{DType, Dim, Loc};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Index of the next free word.
pub const CURSOR: u32 = 0;
/// Index of the number of words for records.
pub const CAPACITY: u32 = 1;
/// Index of the number of lost records.
pub const LOST: u32 = 2;
/// Index of the first assertion's word.
pub const ASSERTIONS: u32 = 3;
/// Words of a record before its arguments.
pub const RECORD: u32 = 3;
/// No thread failed.
pub const NONE: u32 = u32::MAX;
/// A thread failed whose number does not fit.
pub const MANY: u32 = u32::MAX - 1;
/// Name of the buffer.
pub const BUFFER: &str = "debug";

/// What the debug buffer of a kernel means.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DebugInfo {
    /// Every place that prints or asserts; records and words of assertions refer to them.
    pub sites: Vec<Site>,
    /// How messages number the instances of the kernel.
    pub instances: Instances,
}

/// A place in the program that prints or asserts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Site {
    /// The line's text (see [`print`](mod@crate::print)), or what an assertion says.
    pub text: Arc<str>,
    /// Type and number of components of each argument.
    pub args: Vec<(DType, u8)>,
    /// For assertions: index of its word in the buffer.
    pub assertion: Option<u32>,
    /// File, line and column, then those of the calls it was inlined through.
    pub places: Vec<(Arc<str>, u32, u32)>,
}

/// How workgroups and threads are numbered.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Instances {
    /// Blocks of threads: extents along x, y, z, x fastest.
    Threads {
        /// Blocks.
        grid: Vec<Dim>,
        /// Threads of a block.
        block: [u32; 3],
    },
    /// Programs: extents of the grid, the first one fastest.
    Programs(Vec<Dim>),
}

impl Site {
    /// A site from its location.
    pub fn new(text: Arc<str>, args: Vec<(DType, u8)>, assertion: Option<u32>, loc: &Loc) -> Site {
        let chain = std::iter::successors(Some(loc), |l| l.call_site());
        let places =
            chain.filter_map(|l| l.position()).map(|(file, line, column)| (file.into(), line, column)).collect();
        Site { text, args, assertion, places }
    }

    /// Where the user wrote it.
    pub fn loc(&self) -> Loc {
        let outside_in = self.places.iter().rev();
        outside_in
            .fold(Loc::unknown(), |site, (file, line, column)| Loc::new(file.clone(), *line, *column).inlined_at(&site))
    }

    /// Words of its arguments.
    pub fn words(&self) -> u32 {
        self.args.iter().map(|(dtype, lanes)| words(*dtype) * *lanes as u32).sum()
    }

    /// The arguments in a record.
    pub fn values(&self, mut words_of: &[u32]) -> Vec<Value> {
        let mut values = Vec::with_capacity(self.args.len());
        for (dtype, lanes) in &self.args {
            let n = words(*dtype) as usize;
            let mut bits = Vec::with_capacity(*lanes as usize);
            for _ in 0..*lanes {
                let Some((now, later)) = words_of.split_at_checked(n) else { return values };
                bits.push(now.iter().rev().fold(0, |all, w| all << 32 | *w as u64));
                words_of = later;
            }
            values.push(Value { dtype: *dtype, bits });
        }
        values
    }
}

/// Words of a component in a record.
pub fn words(dtype: DType) -> u32 {
    if dtype.bits() == 64 { 2 } else { 1 }
}

impl DebugInfo {
    /// Words of the buffer before the records.
    pub fn header(&self) -> u32 {
        ASSERTIONS + self.sites.iter().filter(|s| s.assertion.is_some()).count() as u32
    }

    /// Whether every site is sound: its text fits its arguments, and its word lies in the header.
    pub fn check(&self) -> Result<(), String> {
        for site in &self.sites {
            if site.assertion.is_some_and(|at| !(ASSERTIONS..self.header()).contains(&at)) {
                return Err("the word of an assertion lies outside the header of the debug buffer".into());
            }
            let takes: usize = match site.assertion {
                Some(_) => 0,
                None => print::parse(&site.text)?.iter().map(print::Piece::values).sum(),
            };
            let stored = |(dtype, lanes): &(DType, u8)| {
                use DType::{Bool, F32, F64, I32, I64, U32, U64};
                matches!(dtype, Bool | I32 | U32 | F32 | I64 | U64 | F64) && (1..=4).contains(lanes)
            };
            if takes != site.args.len() || !site.args.iter().all(stored) {
                return Err(format!("`{}` takes {takes} values and gets {:?}", site.text, site.args));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use super::*;

    #[test]
    fn places_come_back() {
        let loc = Loc::new("a.cu", 3, 1).inlined_at(&Loc::new("b.cu", 7, 2).inlined_at(&Loc::new("c.cu", 9, 4)));
        let site = Site::new("x".into(), Vec::new(), None, &loc);
        assert_eq!(site.loc(), loc);
        assert_eq!(Site::new("x".into(), Vec::new(), None, &Loc::unknown()).loc(), Loc::unknown());
    }

    #[test]
    fn arguments_are_cut_from_words() {
        let site = Site::new(
            "{} {} {}".into(),
            vec![(DType::I64, 1), (DType::F32, 2), (DType::Bool, 1)],
            None,
            &Loc::unknown(),
        );
        assert_eq!(site.words(), 5);
        let values = site.values(&[1, 2, 3, 4, 1]);
        let bits: Vec<Vec<u64>> = values.into_iter().map(|v| v.bits).collect();
        assert_eq!(bits, [vec![2 << 32 | 1], vec![3, 4], vec![1]]);
        assert_eq!(site.values(&[1, 2, 3]).len(), 1);
    }

    #[test]
    fn foreign_sites_are_checked() {
        let info = |site| DebugInfo { sites: vec![site], instances: Instances::Programs(Vec::new()) };
        let site = |text: &str, args, word| info(Site::new(text.into(), args, word, &Loc::unknown())).check();
        assert!(site("{}", vec![(DType::F32, 1)], None).is_ok());
        assert!(site("{}", vec![], None).is_err());
        assert!(site("{}", vec![(DType::F16, 1)], None).is_err());
        assert!(site("{}", vec![(DType::F32, 9)], None).is_err());
        assert!(site("{", vec![], None).is_err());
        assert!(site("{", vec![], Some(3)).is_ok());
        assert!(site("x", vec![], Some(4)).is_err());
    }
}
