//! What atomic operations order between workgroups.

use super::memory::{Kind, Who};
use std::collections::BTreeMap;

/// For each other workgroup (plus 1), the time up to which its accesses come first: it then changed an element atomically that
/// this one looked at, as a lock or a counter does.
pub type Known = BTreeMap<u32, u64>;

/// What atomic operations order between workgroups.
#[derive(Default)]
pub struct Order {
    /// What the workgroup that runs knows of the others.
    pub known: Known,
    /// What a workgroup learns that looks at an element of a buffer.
    told: BTreeMap<(u32, u64), Known>,
}

/// Most elements that tell others something; a histogram's cells need not.
const MOST_TOLD: usize = 1 << 16;

/// Most workgroups that one knows of: an element remembers its last access only, which is of a late one.
const MOST_KNOWN: usize = 64;

impl Order {
    /// An atomic access to an element of a buffer.
    pub fn pass(&mut self, element: (u32, u64), kind: Kind, who: Who) {
        let me = who.group + 1;
        let told = self.told.get(&element);
        // Workgroups run one after the other: what this one has passed before has nothing new to say.
        if let Some(told) = told.filter(|t| kind != Kind::Write && !t.contains_key(&me)) {
            join(&mut self.known, told);
        }
        if kind != Kind::Read && (told.is_some() || self.told.len() < MOST_TOLD) {
            let told = self.told.entry(element).or_default();
            if told.insert(me, who.time).is_none() {
                join(told, &self.known);
            }
        }
    }
}

/// The later times of both, for the last workgroups.
fn join(to: &mut Known, from: &Known) {
    for (group, time) in from {
        let t = to.entry(*group).or_default();
        *t = (*t).max(*time);
    }
    while to.len() > MOST_KNOWN {
        to.pop_first();
    }
}
