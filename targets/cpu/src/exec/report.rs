//! Prints and assertions: what instances report, in the words of a debug buffer (see [`girih_base::debug`]).

use super::{Launch, Worker};
use crate::program::{Inst, Lane};
use girih_base::Result;
use girih_base::debug::{MANY, NONE};
use std::sync::{Mutex, PoisonError};

/// Words of records that one launch keeps.
const MOST_WORDS: usize = 1 << 22;

/// What the instances of a launch reported.
#[derive(Debug, Default)]
pub(crate) struct Reports(Mutex<Reported>);

#[derive(Debug, Default)]
pub(crate) struct Reported {
    /// Records, one after the other.
    pub records: Vec<u32>,
    pub lost: u32,
    /// For each site the smallest instance whose assertion failed.
    pub failed: Vec<u32>,
}

impl Reports {
    /// Everything reported so far.
    pub fn take(&self) -> Reported {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn record(&self, words: &[u32]) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match all.records.len() + words.len() <= MOST_WORDS {
            true => all.records.extend(words),
            false => all.lost = all.lost.saturating_add(1),
        }
    }

    fn failed(&self, site: usize, instance: u64) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if all.failed.len() <= site {
            all.failed.resize(site + 1, NONE);
        }
        let number = u32::try_from(instance).unwrap_or(MANY).min(MANY);
        all.failed[site] = all.failed[site].min(number);
    }
}

impl Worker {
    /// A line for each element of the last operand.
    pub(super) fn print(&mut self, l: &Launch<'_>, inst: &Inst, args: &[usize]) -> Result<()> {
        let number = self.prints;
        self.prints += 1;
        let start = [inst.table as u32, self.instance as u32, 0, number];
        let Some((last, scalars)) = args.split_last() else {
            l.reports.record(&[&start[..], &[0]].concat());
            return Ok(());
        };
        let mut before = Vec::new();
        for id in scalars {
            let at = self.dense(l, *id, 0)?;
            // SAFETY: a scalar has one element.
            unsafe { words(at, l.program.slots[*id].lane, 0, &mut before) };
        }
        let at = self.dense(l, *last, 0)?;
        let slot = &l.program.slots[*last];
        for i in 0..slot.len {
            let mut record = start.to_vec();
            record.push(i as u32);
            record.extend(&before);
            let mut rest = i;
            let first = record.len();
            for extent in slot.shape.iter().rev() {
                record.push((rest % extent) as u32);
                rest /= extent;
            }
            record[first..].reverse();
            // SAFETY: the tile has so many elements, which lie one after the other.
            unsafe { words(at, slot.lane, i, &mut record) };
            l.reports.record(&record);
        }
        Ok(())
    }

    /// Notes the instance where an element does not hold.
    pub(super) fn assert(&mut self, l: &Launch<'_>, inst: &Inst, x: usize) -> Result<()> {
        let at = self.dense(l, x, 0)?;
        // SAFETY: the tile has so many bools, a byte each, one after the other.
        let holds = unsafe { std::slice::from_raw_parts(at, l.program.slots[x].len) };
        if holds.contains(&0) {
            l.reports.failed(inst.table, self.instance);
        }
        Ok(())
    }
}

/// The words of an element.
///
/// # Safety
/// Lanes lie at `at`, more than `i` of them.
unsafe fn words(at: *const u8, lane: Lane, i: usize, out: &mut Vec<u32>) {
    // SAFETY: the caller's promise.
    unsafe {
        match lane.bytes() {
            1 => out.push((*at.add(i) != 0) as u32),
            4 => out.push(*at.cast::<u32>().add(i)),
            _ => {
                let word = *at.cast::<u64>().add(i);
                out.extend([word as u32, (word >> 32) as u32]);
            }
        }
    }
}
