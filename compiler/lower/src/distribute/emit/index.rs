//! Index arithmetic, each expression once per region.

use super::{Emit, Idx, Key, Part, Term};
use crate::distribute::layout::{Bit, Layout};
use girih_base::{DType, Dim, ScalarOp};
use girih_simt::{Builtin, ValueId as Sv};

/// One source of a gathered bit.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Wire {
    /// Part number and bit in it.
    Part(u8, u8),
    Lane(u8),
}

impl Emit<'_> {
    fn cached(&mut self, key: Key, make: impl FnOnce(&mut Self) -> Sv) -> Sv {
        if let Some(v) = self.memo.iter().rev().find_map(|m| m.get(&key)) {
            return *v;
        }
        let v = make(self);
        if let Some(top) = self.memo.last_mut() {
            top.insert(key, v);
        }
        v
    }

    pub fn uint(&mut self, value: u32) -> Sv {
        self.cached(Key::Uint(value), |e| e.b.uint(value))
    }

    pub fn lane(&mut self) -> Sv {
        self.cached(Key::Lane, |e| {
            let v = e.b.builtin(Builtin::LocalIndex);
            e.b.name(v, Some("lane".into()));
            v
        })
    }

    pub fn group(&mut self) -> Sv {
        self.cached(Key::Group, |e| e.b.builtin(Builtin::WorkgroupIndex))
    }

    pub fn dim(&mut self, dim: &Dim) -> Sv {
        match dim.as_const() {
            Some(v) => self.uint(v as u32),
            None => self.cached(Key::Dim(dim.clone()), |e| e.b.dim(dim)),
        }
    }

    pub fn index(&mut self, op: ScalarOp, args: &[Sv]) -> Sv {
        self.cached(Key::Map(op, args.to_vec()), |e| e.b.map(op, args))
    }

    pub fn as_uint(&mut self, v: Sv) -> Sv {
        if self.b.ty(v).dtype == DType::U32 {
            return v;
        }
        self.cached(Key::Cast(v, DType::U32), |e| e.b.cast(v, DType::U32))
    }

    pub fn add(&mut self, a: Sv, b: Sv) -> Sv {
        self.index(ScalarOp::Add, &[a, b])
    }

    pub fn mul(&mut self, a: Sv, b: Sv) -> Sv {
        self.index(ScalarOp::Mul, &[a, b])
    }

    pub fn add_fixed(&mut self, a: Sv, n: u32) -> Sv {
        if n == 0 {
            return a;
        }
        let n = self.uint(n);
        self.add(a, n)
    }

    pub fn shr(&mut self, a: Sv, n: u32) -> Sv {
        if n == 0 {
            return a;
        }
        if let Some(v) = self.b.known(a) {
            return self.uint(v as u32 >> n);
        }
        let n = self.uint(n);
        self.index(ScalarOp::Shr, &[a, n])
    }

    pub fn shl(&mut self, a: Sv, n: u32) -> Sv {
        if n == 0 {
            return a;
        }
        if let Some(v) = self.b.known(a) {
            return self.uint((v as u32) << n);
        }
        let n = self.uint(n);
        self.index(ScalarOp::Shl, &[a, n])
    }

    pub fn and_fixed(&mut self, a: Sv, mask: u32) -> Sv {
        if let Some(v) = self.b.known(a) {
            return self.uint(v as u32 & mask);
        }
        let mask = self.uint(mask);
        self.index(ScalarOp::And, &[a, mask])
    }

    /// Both conditions, where there are any.
    pub fn both(&mut self, a: Option<Sv>, b: Option<Sv>) -> Option<Sv> {
        match (a, b) {
            (Some(a), Some(b)) if a == b => Some(a),
            (Some(a), Some(b)) => Some(self.index(ScalarOp::And, &[a, b])),
            (a, b) => a.or(b),
        }
    }

    /// A term as one value.
    pub fn term(&mut self, t: Term) -> Sv {
        match t.value {
            Some(v) => self.add_fixed(v, t.fixed),
            None => self.uint(t.fixed),
        }
    }

    /// A number put together from thread, register and component bits: `select` gives the place of each coordinate bit.
    /// `lanes` and `regs` say which parts count.
    pub fn gather(
        &mut self,
        l: &Layout,
        idx: &Idx,
        comp: u32,
        lanes: bool,
        regs: bool,
        select: impl Fn(Bit) -> Option<u8>,
    ) -> Term {
        let (mut wires, mut fixed) = (Vec::new(), 0u32);
        if lanes {
            for (p, b) in l.lane.iter().enumerate() {
                if let Some(d) = b.and_then(&select) {
                    wires.push((d, Wire::Lane(p as u8)));
                }
            }
        }
        let vector = l.vector_bits();
        for (p, b) in l.reg.iter().enumerate().filter(|_| regs) {
            let Some(d) = b.and_then(&select) else { continue };
            let on = match p.checked_sub(vector) {
                None => comp >> p & 1 == 1,
                Some(q) => {
                    let gives = |part: &Part| (part.shift as usize..(part.shift + part.bits) as usize).contains(&q);
                    match idx.parts.iter().position(gives) {
                        Some(n) => {
                            wires.push((d, Wire::Part(n as u8, q as u8 - idx.parts[n].shift)));
                            false
                        }
                        None => idx.fixed >> q & 1 == 1,
                    }
                }
            };
            if on {
                fixed |= 1 << d;
            }
        }
        wires.sort_by_key(|w| w.0);
        Term { value: self.solder(&wires, idx, l.lane.len()), fixed }
    }

    /// The index as a value.
    pub fn vector_index(&mut self, idx: &Idx) -> Sv {
        let mut sum: Option<Sv> = None;
        for part in &idx.parts {
            let moved = self.shl(part.value, part.shift as u32);
            sum = Some(match sum {
                Some(s) => self.add(s, moved),
                None => moved,
            });
        }
        self.term(Term { value: sum, fixed: idx.fixed })
    }

    /// Runs of neighbouring bits become one shift and mask each.
    fn solder(&mut self, wires: &[(u8, Wire)], idx: &Idx, lane_bits: usize) -> Option<Sv> {
        let (mut sum, mut at) = (None, 0);
        while at < wires.len() {
            let (dest, first) = wires[at];
            let next = |n: u8| match first {
                Wire::Part(i, p) => Wire::Part(i, p + n),
                Wire::Lane(p) => Wire::Lane(p + n),
            };
            let mut n = 1;
            while at + (n as usize) < wires.len() && wires[at + n as usize] == (dest + n, next(n)) {
                n += 1;
            }
            at += n as usize;
            let (source, from, top) = match first {
                Wire::Lane(p) => (self.lane(), p, lane_bits as u32),
                Wire::Part(n, p) => (idx.parts[n as usize].value, p, idx.parts[n as usize].bits as u32),
            };
            let moved = self.shr(source, from as u32);
            let kept = if from as u32 + n as u32 >= top { moved } else { self.and_fixed(moved, (1u32 << n) - 1) };
            let placed = self.shl(kept, dest as u32);
            sum = Some(match sum {
                Some(s) => self.add(s, placed),
                None => placed,
            });
        }
        sum
    }

    /// True in one thread of those that hold the same elements; `None` when none repeats.
    pub fn owner(&mut self, l: &Layout) -> Option<Sv> {
        let mask = l.repeated_lanes();
        if mask == 0 {
            return None;
        }
        let lane = self.lane();
        let rest = self.and_fixed(lane, mask);
        let zero = self.uint(0);
        Some(self.index(ScalarOp::Eq, &[rest, zero]))
    }
}
