//! `__threadfence`, and arrays that pass from block to block by way of it.
//!
//! A block that writes its part of an array, fences, and counts itself with an atomic operation lets the last block read all parts.
//! WGSL has no fence beyond the workgroup, and its plain accesses may be kept in caches that other blocks do not see. Where a kernel
//! fences and counts, arrays that it both writes and reads are therefore accessed by atomic operations, which read and write what all
//! blocks see. That what a block wrote comes before its count is what barriers of graphics drivers do, and what WGSL does not promise.

use super::value::Ix;
use super::*;
use girih_base::{DType, Literal};
use girih_simt::{AtomicOp, Op};

/// What a walk saw of fences.
#[derive(Default)]
pub(crate) struct Fences {
    /// The first one between blocks.
    first: Option<At>,
    /// There are atomic operations on buffers.
    pub counts: bool,
    /// Buffers by their keys: whether plainly read and whether plainly written.
    plain: BTreeMap<String, (Space, [bool; 2])>,
}

impl Lowerer<'_> {
    /// `__threadfence` and its like: what the threads wrote is seen by those that read it later. Barriers order memory beyond the
    /// workgroup on the devices below WebGPU; all threads walk through this one.
    pub fn fence(&mut self, between_blocks: bool, at: At) {
        if self.caps.checked.is_none() {
            self.b.effect(Op::Barrier);
            if between_blocks {
                self.fences.first.get_or_insert(at);
            }
        }
    }

    /// Notes a plain access of a buffer; whether it must be atomic.
    pub(super) fn coherent(&mut self, space: Space, write: bool) -> bool {
        if !matches!(space, Space::Buffer(_)) {
            return false;
        }
        let key = self.space_key(space);
        let coherent = self.choices.coherent.contains(&key);
        self.fences.plain.entry(key).or_insert((space, [false; 2])).1[write as usize] = true;
        coherent
    }

    /// A word of an array.
    pub(super) fn raw_load(&mut self, space: Space, index: Ix) -> ValueId {
        let index = self.ix(index);
        let (dtype, coherent) = (self.store_of(space).dtype, self.coherent(space, false));
        let load = move |s: &mut Self| match coherent {
            true => {
                s.mark_written(space);
                let none = s.b.constant(Literal::Int(0), Ty::scalar(dtype));
                s.b.push(Op::Atomic(AtomicOp::Or, space, index, none), Ty::scalar(dtype))
            }
            false => s.b.load(space, index),
        };
        if !self.guarded() {
            return load(self);
        }
        let temp = self.new_local("loaded", Ty::scalar(dtype), None);
        self.guard(|s| {
            let v = load(s);
            s.b.set(temp, v);
        });
        self.b.get(temp)
    }

    pub(super) fn raw_store(&mut self, space: Space, index: Ix, v: ValueId) {
        self.mark_written(space);
        let index = self.ix(index);
        let coherent = self.coherent(space, true);
        self.guard(|s| match coherent {
            true => s.b.effect(Op::Atomic(AtomicOp::Exchange, space, index, v)),
            false => s.b.store(space, index, v),
        });
    }

    /// Chooses atomic accesses for what passes between blocks; whether that is new.
    pub(super) fn share_between_blocks(&mut self) -> bool {
        if self.fences.first.is_none() || !self.fences.counts {
            return false;
        }
        let mut new = false;
        for (key, (space, used)) in std::mem::take(&mut self.fences.plain) {
            if used == [true; 2] && !self.choices.longs.contains(&key) && self.choices.coherent.insert(key.clone()) {
                new = true;
                if !matches!(self.store_of(space).dtype, DType::I32 | DType::U32) {
                    self.choices.words.insert(key);
                }
            }
        }
        new
    }

    /// What to say of it.
    pub(super) fn fence_note(&self) -> Option<String> {
        let at = self.fences.first?;
        let names: Vec<String> =
            self.choices.coherent.iter().map(|key| format!("`{}`", key.trim_start_matches("b:"))).collect();
        (!names.is_empty()).then(|| {
            format!(
                "{}: {} between blocks by way of a fence, which WGSL does not have: all accesses are atomic, so that blocks \
                 see what others wrote, and the order in which they see it is the driver's",
                self.p.sources.loc(at),
                names.join(", ") + if names.len() == 1 { " passes" } else { " pass" },
            )
        })
    }
}
