//! Places values in scratch memory: values that are never needed at the same time share room, so that the working set
//! of an instance stays in the first caches.

use crate::memory::ALIGNMENT;
use crate::program::{Code, Slot};
use girih_tile::Op;

/// A piece of scratch and the span of positions it is needed for.
struct Room {
    bytes: usize,
    start: usize,
    end: usize,
    /// The room that this one's value may really lie in.
    under: Option<usize>,
}

struct Placer<'a> {
    slots: &'a mut [Slot],
    rooms: Vec<Room>,
    defined: Vec<usize>,
    last: Vec<usize>,
    at: usize,
    /// Values used in each open loop, with the position the loop starts at.
    loops: Vec<(usize, Vec<usize>)>,
    /// Values that are views of others.
    views: Vec<bool>,
}

/// Gives every slot its offset; returns the bytes of scratch.
pub(crate) fn place(body: &Code, slots: &mut [Slot]) -> usize {
    let n = slots.len();
    let mut p = Placer {
        slots,
        rooms: Vec::new(),
        defined: vec![usize::MAX; n],
        last: vec![0; n],
        at: 0,
        loops: Vec::new(),
        views: vec![false; n],
    };
    p.spans(body);
    p.at = 0;
    p.rooms(body);
    let total = p.assign();
    debug_assert!(total.is_multiple_of(ALIGNMENT));
    total
}

impl Placer<'_> {
    fn used(&mut self, id: usize) {
        self.last[id] = self.last[id].max(self.at);
        if let Some((_, ids)) = self.loops.last_mut() {
            ids.push(id);
        }
    }

    /// First and last position each value is needed at.
    fn spans(&mut self, code: &Code) {
        for id in &code.params {
            self.defined[*id] = self.at;
            self.last[*id] = self.at;
        }
        for inst in &code.insts {
            self.at += 1;
            inst.operands().iter().for_each(|v| self.used(*v));
            for id in &inst.dst {
                self.defined[*id] = self.at;
                self.last[*id] = self.at;
            }
            let before = self.at;
            let mut both = Vec::new();
            for block in &inst.blocks {
                self.loops.push((self.at, Vec::new()));
                self.at += 1;
                self.spans(block);
                self.at += 1;
                block.results.iter().for_each(|id| self.used(*id));
                let (start, ids) = self.loops.pop().unwrap_or_default();
                for id in &ids {
                    if self.defined[*id] <= start {
                        // Needed again in the next round.
                        self.used(*id);
                    }
                }
                both.extend(ids);
            }
            if matches!(inst.op, Op::While { .. }) {
                // What the test needs, it needs again after the body.
                both.into_iter()
                    .filter(|id| self.defined[*id] <= before)
                    .collect::<Vec<_>>()
                    .iter()
                    .for_each(|id| self.used(*id));
            }
        }
    }

    fn room(&mut self, id: usize, start: usize, end: usize) {
        let slot = &mut self.slots[id];
        slot.storage = self.rooms.len();
        let bytes = (slot.len * slot.lane.bytes()).next_multiple_of(ALIGNMENT);
        self.rooms.push(Room { bytes, start, end, under: None });
    }

    fn share(&mut self, id: usize, with: usize) {
        let storage = self.slots[with].storage;
        self.slots[id].storage = storage;
        self.extend(storage, self.last[id]);
    }

    /// Keeps a room, and every room its value may really lie in, until `end`.
    fn extend(&mut self, room: usize, end: usize) {
        let mut next = Some(room);
        while let Some(r) = next {
            self.rooms[r].end = self.rooms[r].end.max(end);
            next = self.rooms[r].under;
        }
    }

    /// Whether a value of the room `room` may really lie in `other`.
    fn within(&self, room: usize, other: usize) -> bool {
        let mut rooms = std::iter::successors(Some(room), |r| self.rooms[*r].under);
        rooms.any(|r| r == other)
    }

    /// One room for each value, shared by views of it; positions count as in `spans`.
    fn rooms(&mut self, code: &Code) {
        for inst in &code.insts {
            self.at += 1;
            let start = self.at;
            match &inst.op {
                Op::Splat(x) | Op::Permute(x, _) | Op::Broadcast(x, _) => {
                    self.views[inst.dst[0]] = true;
                    self.share(inst.dst[0], x.0 as usize);
                }
                // A reshape copies when its operand is not contiguous, so the operand and the copy must both be there.
                Op::Reshape(x) => {
                    self.room(inst.dst[0], start, self.last[inst.dst[0]]);
                    let (own, operand) = (self.slots[inst.dst[0]].storage, self.slots[x.0 as usize].storage);
                    self.rooms[own].under = Some(operand);
                    self.extend(own, self.last[inst.dst[0]]);
                }
                Op::Map(..) if let Some(carried) = inst.over => self.share(inst.dst[0], carried),
                Op::Dot { a, b, acc: Some(acc) } if self.dies(acc.0 as usize, &[a.0 as usize, b.0 as usize]) => {
                    self.share(inst.dst[0], acc.0 as usize);
                }
                Op::For { body, .. } => {
                    let params: Vec<usize> = body.params.iter().map(|v| v.0 as usize).collect();
                    params.iter().for_each(|id| self.room(*id, start, self.last[*id]));
                    params[1..].iter().zip(&inst.dst).for_each(|(param, dst)| self.share(*dst, *param));
                }
                Op::While { test, body, .. } => {
                    let carried = test.params.iter().zip(&body.params).zip(&inst.dst);
                    for ((param, inner), dst) in carried {
                        self.room(param.0 as usize, start, self.last[param.0 as usize]);
                        self.share(inner.0 as usize, param.0 as usize);
                        self.share(*dst, param.0 as usize);
                    }
                }
                _ => inst.dst.iter().for_each(|id| self.room(*id, start, self.last[*id])),
            }
            for block in &inst.blocks {
                self.at += 1;
                if !matches!(inst.op, Op::For { .. } | Op::While { .. }) {
                    block.params.iter().for_each(|id| self.room(*id, start, self.last[*id]));
                }
                self.rooms(block);
                self.at += 1;
            }
            if matches!(inst.op, Op::For { .. } | Op::While { .. } | Op::If { .. }) {
                // Carried values and results are written when a round ends.
                let ids = inst.blocks.iter().flat_map(|b| &b.params).chain(&inst.dst).copied().collect::<Vec<_>>();
                for id in ids {
                    self.extend(self.slots[id].storage, self.at);
                }
            }
        }
    }

    /// Whether nobody needs the room of `id` after this position, and none of `others` lies in it.
    fn dies(&self, id: usize, others: &[usize]) -> bool {
        let storage = self.slots[id].storage;
        let carried_on = self.rooms[storage].end > self.at;
        let elsewhere = others.iter().all(|o| !self.within(self.slots[*o].storage, storage));
        elsewhere && !carried_on && self.last[id] <= self.at && !self.views[id]
    }

    /// First fit in order of need.
    fn assign(&mut self) -> usize {
        let mut order: Vec<usize> = (0..self.rooms.len()).collect();
        order.sort_by_key(|r| (self.rooms[*r].start, std::cmp::Reverse(self.rooms[*r].bytes)));
        let (mut offsets, mut total) = (vec![0; self.rooms.len()], 0);
        let mut live: Vec<usize> = Vec::new();
        for r in order {
            let room = &self.rooms[r];
            live.retain(|l| self.rooms[*l].end >= room.start);
            live.sort_by_key(|l| offsets[*l]);
            let mut at = 0;
            for l in &live {
                if offsets[*l] >= at + room.bytes {
                    break;
                }
                at = at.max(offsets[*l] + self.rooms[*l].bytes);
            }
            offsets[r] = at;
            total = total.max(at + room.bytes);
            live.push(r);
        }
        for slot in self.slots.iter_mut() {
            slot.offset = offsets.get(slot.storage).copied().unwrap_or(0);
        }
        total
    }
}
