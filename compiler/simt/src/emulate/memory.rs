//! Arrays with shadow state: who touched an element last, and when.

use super::scalar::bytes;
use crate::ir::Ty;
use girih_base::{Diag, Loc};
use std::collections::BTreeMap;

/// Who accesses, and how.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Read,
    Write,
    Atomic,
}

/// The identity of an access; `epoch` counts barriers over the whole run.
#[derive(Clone, Copy)]
pub struct Who {
    pub group: u32,
    pub thread: u32,
    pub epoch: u32,
    /// The statement, by its number among those that reached memory.
    pub site: u32,
    /// Statements that ran before, over all workgroups.
    pub time: u64,
}

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

/// An access that is refused.
pub struct Refused {
    pub code: &'static str,
    pub message: String,
    /// The statement of the other access of a race.
    pub other: Option<u32>,
}

impl Refused {
    /// As an error; `sites` are the statements that reached memory.
    pub fn explain(self, sites: &[Loc]) -> Box<Diag> {
        let diag = Diag::error(self.code, self.message);
        match self.other.and_then(|site| sites.get(site as usize)) {
            Some(other) => diag.at(other, "the other access"),
            None => diag,
        }
    }
}

/// More than one thread read the element in this epoch.
const MANY: u32 = u32::MAX;

#[derive(Clone, Copy, Default)]
struct Shadow {
    /// Epoch, group + 1 and thread of the last write; group 0 is nobody.
    write: (u32, u32, u32),
    write_atomic: bool,
    /// The same of the last read.
    read: (u32, u32, u32),
    written: bool,
    /// Statements of the last write and the last read.
    sites: (u32, u32),
    /// When they were.
    times: (u64, u64),
}

/// A storage buffer or workgroup array.
pub struct Memory {
    /// Components, element by element.
    pub data: Vec<u64>,
    pub ty: Ty,
    shadow: Vec<Shadow>,
    must_write_first: bool,
}

impl Memory {
    /// A workgroup array, not initialised.
    pub fn shared(ty: Ty, len: usize) -> Memory {
        Memory {
            data: vec![0; len * ty.lanes as usize],
            ty,
            shadow: vec![Shadow::default(); len],
            must_write_first: true,
        }
    }

    /// A storage buffer from bytes; `unwritten` where they are nothing that may be read.
    pub fn buffer(ty: Ty, raw: &[u8], unwritten: bool) -> Option<Memory> {
        let size = bytes(ty.dtype);
        if !raw.len().is_multiple_of(size * ty.lanes as usize) {
            return None;
        }
        let component = |c: &[u8]| c.iter().rev().fold(0u64, |word, b| word << 8 | *b as u64);
        let data: Vec<u64> = raw.chunks_exact(size).map(component).collect();
        let len = data.len() / ty.lanes as usize;
        Some(Memory { data, ty, shadow: vec![Shadow::default(); len], must_write_first: unwritten })
    }

    /// The bytes again.
    pub fn to_bytes(&self) -> Vec<u8> {
        let size = bytes(self.ty.dtype);
        self.data.iter().flat_map(|word| word.to_le_bytes().into_iter().take(size)).collect()
    }

    /// Forgets everything (a new workgroup starts).
    pub fn clear(&mut self) {
        self.shadow.fill(Shadow::default());
    }

    /// Says that element `index`, if there is one, is about to be written.
    pub fn start(&mut self, index: u64) {
        if let Some(shadow) = self.shadow.get_mut(index as usize) {
            shadow.written = true;
        }
    }

    /// Where the components of element `index` start, after the checks.
    pub fn access(&mut self, index: u64, kind: Kind, who: Who, known: &Known) -> Result<usize, Refused> {
        let refuse = |code, message| Err(Refused { code, message, other: None });
        let lanes = self.ty.lanes as u64;
        // People count scalars; an index that wrapped was negative.
        let scalars = |index: u64| match (index as u32 as i32 as i64, lanes) {
            (i, 1) => format!("element {i}"),
            (i, n) => format!("elements {} to {}", i * n as i64, (i + 1) * n as i64 - 1),
        };
        let Some(shadow) = self.shadow.get_mut(index as usize) else {
            let len = self.shadow.len() as u64 * lanes;
            return refuse("S101", format!("{} of an array of {len}", scalars(index)));
        };
        if self.must_write_first && kind != Kind::Write && !shadow.written {
            let is = if lanes == 1 { "is" } else { "are" };
            return refuse("S103", format!("{} {is} read before anything is written there", scalars(index)));
        }
        let me = (who.epoch, who.group + 1, who.thread);
        // Within a workgroup a barrier orders accesses; between workgroups only atomic operations do.
        let clash = |(epoch, group, thread): (u32, u32, u32), time: u64| {
            let apart = || known.get(&group).is_none_or(|t| *t < time);
            group != 0 && if group == me.1 { epoch == me.0 && thread != me.2 } else { apart() }
        };
        let after_write = clash(shadow.write, shadow.times.0);
        let after_read = clash(shadow.read, shadow.times.1);
        let race = match kind {
            Kind::Read => after_write,
            Kind::Write => after_write || after_read,
            Kind::Atomic => (after_write && !shadow.write_atomic) || after_read,
        };
        if race {
            let (what, other, site) = match after_write {
                true => ("written", shadow.write, shadow.sites.0),
                false => ("read", shadow.read, shadow.sites.1),
            };
            let whom = if other.2 == MANY { "several threads".to_string() } else { format!("thread {}", other.2) };
            let (is, group) = (if lanes == 1 { "is" } else { "are" }, other.1 - 1);
            let between = if other.1 == me.1 { ", without a barrier between" } else { "; workgroups run in any order" };
            let message = format!("{} {is} also {what} by {whom} of workgroup {group}{between}", scalars(index));
            return Err(Refused { code: "S102", message, other: Some(site) });
        }
        match kind {
            Kind::Read => {
                let same_round = shadow.read.0 == me.0 && shadow.read.1 == me.1;
                (shadow.sites.1, shadow.times.1) = (who.site, who.time);
                shadow.read = if same_round && shadow.read.2 != me.2 { (me.0, me.1, MANY) } else { me };
            }
            Kind::Write | Kind::Atomic => {
                shadow.write = me;
                (shadow.sites.0, shadow.times.0) = (who.site, who.time);
                shadow.write_atomic = kind == Kind::Atomic;
                shadow.written = true;
            }
        }
        Ok(index as usize * self.ty.lanes as usize)
    }
}
