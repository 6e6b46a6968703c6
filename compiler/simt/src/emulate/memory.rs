//! Arrays with shadow state: who touched an element last, and when.

use super::order::Known;
use super::scalar::bytes;
use crate::ir::Ty;
use girih_base::{Diag, Loc};

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
    /// The subgroup, and how many barriers of its own it has passed in this epoch.
    pub subgroup: (u32, u32),
    pub epoch: u32,
    /// The statement, by its number among those that reached memory.
    pub site: u32,
    /// Statements that ran before, over all workgroups.
    pub time: u64,
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

/// More than one thread, or subgroup, read the element in this epoch.
const MANY: u32 = u32::MAX;

/// When an element was touched, and by whom.
#[derive(Clone, Copy, Default)]
struct Stamp {
    epoch: u32,
    /// The workgroup plus 1; 0 is nobody.
    group: u32,
    thread: u32,
    subgroup: (u32, u32),
}

impl Stamp {
    fn of(who: Who) -> Stamp {
        Stamp { epoch: who.epoch, group: who.group + 1, thread: who.thread, subgroup: who.subgroup }
    }

    /// Whether a barrier of the subgroup that both belong to lies between this and a later access.
    fn before(&self, later: &Stamp) -> bool {
        self.subgroup.0 == later.subgroup.0 && self.subgroup.1 < later.subgroup.1
    }
}

#[derive(Clone, Copy, Default)]
struct Shadow {
    write: Stamp,
    write_atomic: bool,
    read: Stamp,
    written: bool,
    /// What was written is undefined.
    hole: bool,
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

    /// Says that what element `index` holds is undefined.
    pub fn forget(&mut self, index: u64) {
        if let Some(shadow) = self.shadow.get_mut(index as usize) {
            shadow.hole = true;
        }
    }

    /// Whether there is such an element.
    pub fn has(&self, index: u64) -> bool {
        index < self.shadow.len() as u64
    }

    /// Says that element `index`, if there is one, is about to be written.
    pub fn start(&mut self, index: u64) {
        if let Some(shadow) = self.shadow.get_mut(index as usize) {
            shadow.written = true;
        }
    }

    /// Where the components of element `index` start, after the checks.
    /// `new` is what a store writes: one that changes nothing races with nobody.
    pub fn access(
        &mut self,
        index: u64,
        kind: Kind,
        who: Who,
        known: &Known,
        new: Option<&[u64]>,
    ) -> Result<usize, Refused> {
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
        if (self.must_write_first && !shadow.written || shadow.hole) && kind != Kind::Write {
            let is = if lanes == 1 { "is" } else { "are" };
            return refuse("S103", format!("{} {is} read before anything is written there", scalars(index)));
        }
        let me = Stamp::of(who);
        // Within a workgroup barriers order accesses; between workgroups only atomic operations do.
        let clash = |other: &Stamp, time: u64| {
            let apart = || known.get(&other.group).is_none_or(|t| *t < time);
            let inside = || other.epoch == me.epoch && other.thread != me.thread && !other.before(&me);
            other.group != 0 && if other.group == me.group { inside() } else { apart() }
        };
        let after_write = clash(&shadow.write, shadow.times.0);
        let after_read = clash(&shadow.read, shadow.times.1);
        let at = index as usize * self.ty.lanes as usize;
        let same = shadow.written && new.is_some_and(|new| self.data[at..at + new.len()] == *new);
        let race = match kind {
            Kind::Write if same => false,
            Kind::Read => after_write,
            Kind::Write => after_write || after_read,
            Kind::Atomic => (after_write && !shadow.write_atomic) || after_read,
        };
        if race {
            let (what, other, site) = match after_write {
                true => ("written", shadow.write, shadow.sites.0),
                false => ("read", shadow.read, shadow.sites.1),
            };
            let whom = match other.thread {
                MANY => "several threads".to_string(),
                t => format!("thread {t}"),
            };
            let (is, group) = (if lanes == 1 { "is" } else { "are" }, other.group - 1);
            let between = match (other.group == me.group, other.subgroup.0 == me.subgroup.0) {
                (true, true) => ", without a barrier between; threads of one subgroup need one, too",
                (true, false) => ", without a barrier between",
                (false, _) => "; workgroups run in any order",
            };
            let message = format!("{} {is} also {what} by {whom} of workgroup {group}{between}", scalars(index));
            return Err(Refused { code: "S102", message, other: Some(site) });
        }
        match kind {
            Kind::Read => {
                let old = shadow.read;
                (shadow.sites.1, shadow.times.1) = (who.site, who.time);
                shadow.read = me;
                let together = old.epoch == me.epoch && old.group == me.group && old.thread != me.thread;
                // What lies before a barrier of the own subgroup says no more than this access does.
                if together && !old.before(&me) {
                    shadow.read.thread = MANY;
                    if old.subgroup.0 != me.subgroup.0 {
                        shadow.read.subgroup = (MANY, 0);
                    }
                }
            }
            Kind::Write | Kind::Atomic => {
                shadow.write = me;
                (shadow.sites.0, shadow.times.0) = (who.site, who.time);
                shadow.write_atomic = kind == Kind::Atomic;
                shadow.written = true;
                shadow.hole = false;
            }
        }
        Ok(at)
    }
}
