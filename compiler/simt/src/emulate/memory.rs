//! Arrays with shadow state: who touched an element last, and when.

use super::scalar::bytes;
use crate::ir::Ty;
use girih_base::{Diag, Result};

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

    /// A storage buffer from bytes.
    pub fn buffer(ty: Ty, raw: &[u8]) -> Option<Memory> {
        let size = bytes(ty.dtype);
        if !raw.len().is_multiple_of(size * ty.lanes as usize) {
            return None;
        }
        let component = |c: &[u8]| c.iter().rev().fold(0u64, |word, b| word << 8 | *b as u64);
        let data: Vec<u64> = raw.chunks_exact(size).map(component).collect();
        let len = data.len() / ty.lanes as usize;
        Some(Memory { data, ty, shadow: vec![Shadow::default(); len], must_write_first: false })
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
    pub fn access(&mut self, index: u64, kind: Kind, who: Who) -> Result<usize> {
        let Some(shadow) = self.shadow.get_mut(index as usize) else {
            return Err(Diag::error("S101", format!("element {index} of an array of {}", self.shadow.len())));
        };
        if self.must_write_first && kind != Kind::Write && !shadow.written {
            return Err(Diag::error("S103", format!("element {index} is read before anything is written to it")));
        }
        let me = (who.epoch, who.group + 1, who.thread);
        // Within a workgroup a barrier orders accesses; between workgroups nothing does.
        let clash = |(epoch, group, thread): (u32, u32, u32)| {
            group != 0 && if group == me.1 { epoch == me.0 && thread != me.2 } else { true }
        };
        let race = match kind {
            Kind::Read => clash(shadow.write),
            Kind::Write => clash(shadow.write) || clash(shadow.read),
            Kind::Atomic => (clash(shadow.write) && !shadow.write_atomic) || clash(shadow.read),
        };
        if race {
            let (what, other) = if clash(shadow.write) { ("written", shadow.write) } else { ("read", shadow.read) };
            let whom = if other.2 == MANY { "several threads".to_string() } else { format!("thread {}", other.2) };
            return Err(Diag::error(
                "S102",
                format!(
                    "element {index} is also {what} by {whom} of workgroup {} without a barrier between",
                    other.1 - 1
                ),
            ));
        }
        match kind {
            Kind::Read => {
                let same_round = shadow.read.0 == me.0 && shadow.read.1 == me.1;
                shadow.read = if same_round && shadow.read.2 != me.2 { (me.0, me.1, MANY) } else { me };
            }
            Kind::Write | Kind::Atomic => {
                shadow.write = me;
                shadow.write_atomic = kind == Kind::Atomic;
                shadow.written = true;
            }
        }
        Ok(index as usize * self.ty.lanes as usize)
    }
}
