//! Groups of instances: what must hold for them to run together, and how they run when it does not.

use super::{Launch, Worker};
use crate::program::{Check, Group};
use girih_base::{Diag, Result};

impl Worker {
    /// Tells whether a condition of the group holds of a value; an error makes its instances run one by one.
    pub(super) fn check(&mut self, l: &Launch<'_>, id: usize, check: &Check) -> Result<()> {
        let slot = &l.program.slots[id];
        let holds = match check {
            Check::Agree => {
                let (tile, bytes) = (self.tiles[id], slot.lane.bytes());
                // SAFETY: the value has as many elements, this far apart.
                let element = |i: usize| unsafe {
                    let at = tile.ptr.wrapping_offset(i as isize * tile.strides[0] * bytes as isize);
                    std::slice::from_raw_parts(at.cast_const(), bytes)
                };
                (1..slot.len).all(|i| element(i) == element(0))
            }
            Check::Span(dim) => {
                let last = self.i32(id).checked_add(l.dims[*dim]);
                last.is_some_and(|last| i32::try_from(last).is_ok())
            }
        };
        if holds {
            return Ok(());
        }
        self.parted = true;
        let name = &l.program.name;
        Err(Diag::error("X103", format!("instances of kernel `{name}` reach coordinates beyond those of 32 bits"))
            .help("this is a mistake in the kernel or in the sizes it was launched with"))
    }

    /// Runs the group of that number; where its instances part ways, they run one after the other.
    pub fn group(&mut self, group: &Group, l: &Launch<'_>, each: &Launch<'_>, number: u64) -> Result<()> {
        (self.written, self.parted) = (false, false);
        let result = self.instance(l, number);
        if result.is_ok() || !self.parted || self.written && !group.restartable {
            return result;
        }
        self.prepare(each)?;
        // Groups count along the last axis, which has the same remainder in every line.
        let (line, whole) = (l.grid.last().copied().unwrap_or(1), each.grid.last().copied().unwrap_or(1));
        let first = number / line * whole + number % line * group.count;
        let result = (first..first + group.count).try_for_each(|i| self.instance(each, i));
        self.prepare(l)?;
        result
    }
}
