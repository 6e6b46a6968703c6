//! Prints and assertions as writes to a debug buffer, which every target can run: see [`girih_base::debug`].

use crate::build::Builder;
use crate::ir::*;
use crate::op::*;
use girih_base::debug::{self, BUFFER, DebugInfo, Instances, Site};
use girih_base::{DType, ScalarOp};
use std::sync::Arc;

const U32: Ty = Ty::scalar(DType::U32);

/// The kernel with every print and assertion replaced by writes to one more buffer, the last one, and what the buffer means;
/// nothing for a kernel that does neither.
///
/// The work goes on after a failed assertion, since other threads may wait at a barrier.
pub fn instrument(kernel: &Kernel, instances: Instances) -> Option<(Kernel, DebugInfo)> {
    if !any(&kernel.body, &|op| matches!(op, Op::Print(..) | Op::Assert(..))) {
        return None;
    }
    let mut b = Builder::over(kernel);
    let space = Space::Buffer(b.buffers.len() as u32);
    b.buffers.push(Buffer { name: unused(kernel, BUFFER), elem: U32, written: true, read_only: false });
    let slot = b.locals.len() as u32;
    if any(&kernel.body, &|op| matches!(op, Op::Print(..))) {
        b.locals.push(Local { name: unused(kernel, "slot"), elem: U32, len: None });
    }
    let threads = kernel.workgroup.iter().product();
    let by_thread = matches!(instances, Instances::Threads { .. });
    let mut pass = Pass { b, space, slot, threads, by_thread, sites: Vec::new(), assertions: 0 };
    pass.header(&kernel.body);
    pass.block(&kernel.body);
    let Pass { b, sites, .. } = pass;
    let done = b.finish(kernel.name.clone(), kernel.workgroup, kernel.groups.clone());
    Some((done, DebugInfo { sites, instances }))
}

fn any(stmts: &[Stmt], test: &dyn Fn(&Op) -> bool) -> bool {
    stmts.iter().any(|s| test(&s.op) || s.op.blocks().into_iter().any(|b| any(b, test)))
}

/// A name that no array or variable has.
fn unused(kernel: &Kernel, name: &str) -> Arc<str> {
    let shared = kernel.shared.iter().map(|s| &s.name);
    let taken: Vec<&Arc<str>> =
        kernel.buffers.iter().map(|b| &b.name).chain(shared).chain(kernel.locals.iter().map(|l| &l.name)).collect();
    let mut name: Arc<str> = name.into();
    while taken.contains(&&name) {
        name = format!("{name}_").into();
    }
    name
}

struct Pass {
    b: Builder,
    space: Space,
    /// The variable for the first word of a record.
    slot: u32,
    threads: u32,
    /// Assertions tell the thread, not only the workgroup.
    by_thread: bool,
    sites: Vec<Site>,
    /// Words of the buffer for assertions so far.
    assertions: u32,
}

impl Pass {
    /// Counts the assertions: records start behind their words.
    fn header(&mut self, stmts: &[Stmt]) {
        for s in stmts {
            self.assertions += matches!(s.op, Op::Assert(..)) as u32;
            s.op.blocks().into_iter().for_each(|b| self.header(b));
        }
    }

    fn block(&mut self, stmts: &[Stmt]) {
        for s in stmts {
            self.b.set_loc(s.loc.clone());
            match &s.op {
                Op::Print(text, args) => self.print(text, args, s),
                Op::Assert(cond, text) => self.assert(*cond, text, s),
                op if op.blocks().is_empty() => self.b.restate(s.clone()),
                op => {
                    let mut regions = Vec::new();
                    for region in op.blocks() {
                        self.b.begin();
                        self.block(region);
                        regions.push(self.b.end());
                    }
                    let mut regions = regions.into_iter();
                    let mut next = || regions.next().unwrap_or_default();
                    let op = match op.clone() {
                        Op::If(cond, ..) => Op::If(cond, next(), next()),
                        Op::For { index, lo, hi, step, uniform, .. } => {
                            Op::For { index, lo, hi, step, uniform, body: next() }
                        }
                        Op::Loop(_) => Op::Loop(next()),
                        other => other,
                    };
                    self.b.restate(Stmt { result: s.result, op, loc: s.loc.clone() });
                }
            }
        }
    }

    fn atomic(&mut self, op: AtomicOp, word: u32, value: ValueId) -> ValueId {
        let at = self.b.uint(word);
        self.b.push(Op::Atomic(op, self.space, at, value), U32)
    }

    /// Takes room for a record where there is some, and writes it.
    fn print(&mut self, text: &Arc<str>, args: &[ValueId], s: &Stmt) {
        let types: Vec<Ty> = args.iter().map(|a| self.b.ty(*a)).collect();
        let number = self.sites.len() as u32;
        let stored = |t: &Ty| (if t.dtype == DType::F16 { DType::F32 } else { t.dtype }, t.lanes);
        let site = Site::new(text.clone(), types.iter().map(stored).collect(), None, &s.loc);
        let length = debug::RECORD + site.words();
        self.sites.push(site);
        self.b.effect(Op::Comment(format!("print {text:?}").into()));
        let room = {
            let at = self.b.uint(debug::CAPACITY);
            self.b.load(self.space, at)
        };
        self.b.name(room, Some("room".into()));
        // The cursor stays where it is once the buffer is full, so that it never comes round.
        let at = self.b.uint(debug::CURSOR);
        let first = self.b.load(self.space, at);
        self.b.set(self.slot, first);
        let open = self.b.map(ScalarOp::Lt, &[first, room]);
        self.b.begin();
        let need = self.b.uint(length);
        let taken = self.atomic(AtomicOp::Add, debug::CURSOR, need);
        self.b.set(self.slot, taken);
        let then = self.b.end();
        self.b.effect(Op::If(open, then, Vec::new()));
        let start = self.b.get(self.slot);
        let need = self.b.uint(length);
        let end = self.b.add(start, need);
        let fits = self.b.map(ScalarOp::Le, &[end, room]);
        self.b.begin();
        let header = self.b.uint(debug::ASSERTIONS + self.assertions);
        let record = self.b.add(start, header);
        self.b.name(record, Some("record".into()));
        let mut words = vec![self.b.uint(number)];
        words.push(self.b.builtin(Builtin::WorkgroupIndex));
        words.push(self.b.builtin(Builtin::LocalIndex));
        for (arg, ty) in args.iter().zip(&types) {
            for c in 0..ty.lanes {
                let part = self.b.component(*arg, c);
                self.words(part, ty.dtype, &mut words);
            }
        }
        for (i, word) in words.into_iter().enumerate() {
            let i = self.b.uint(i as u32);
            let at = self.b.add(record, i);
            self.b.store(self.space, at, word);
        }
        let then = self.b.end();
        self.b.begin();
        let one = self.b.uint(1);
        self.atomic(AtomicOp::Add, debug::LOST, one);
        // One thread may have taken the last words, which are too few: nothing of an earlier launch must be read there.
        let last = self.b.map(ScalarOp::Lt, &[start, room]);
        self.b.begin();
        let header = self.b.uint(debug::ASSERTIONS + self.assertions);
        let at = self.b.add(start, header);
        let none = self.b.uint(debug::NONE);
        self.b.store(self.space, at, none);
        let end = self.b.end();
        self.b.effect(Op::If(last, end, Vec::new()));
        let otherwise = self.b.end();
        self.b.effect(Op::If(fits, then, otherwise));
    }

    /// The words of a scalar.
    fn words(&mut self, x: ValueId, dtype: DType, out: &mut Vec<ValueId>) {
        match dtype {
            DType::U32 => out.push(x),
            DType::Bool => out.push(self.b.cast(x, DType::U32)),
            DType::F16 => {
                let wide = self.b.cast(x, DType::F32);
                out.push(self.b.bitcast(wide, DType::U32));
            }
            d if d.bits() == 64 => {
                let bits = if d == DType::U64 { x } else { self.b.bitcast(x, DType::U64) };
                out.push(self.b.cast(bits, DType::U32));
                let by = self.b.constant(Literal::Int(32), Ty::scalar(DType::U64));
                let high = self.b.map(ScalarOp::Shr, &[bits, by]);
                out.push(self.b.cast(high, DType::U32));
            }
            _ => out.push(self.b.bitcast(x, DType::U32)),
        }
    }

    /// Keeps the smallest thread for which the condition fails.
    fn assert(&mut self, cond: ValueId, text: &Arc<str>, s: &Stmt) {
        let before = self.sites.iter().filter(|s| s.assertion.is_some()).count() as u32;
        let word = debug::ASSERTIONS + before;
        self.sites.push(Site::new(text.clone(), Vec::new(), Some(word), &s.loc));
        self.b.effect(Op::Comment(format!("assert {text:?}").into()));
        let failed = self.b.map(ScalarOp::Not, &[cond]);
        self.b.begin();
        let group = self.b.builtin(Builtin::WorkgroupIndex);
        let mut number = group;
        if self.by_thread {
            let thread = self.b.builtin(Builtin::LocalIndex);
            let threads = self.b.uint(self.threads);
            let whole = self.b.mul(group, threads);
            number = self.b.add(whole, thread);
            let most = self.b.uint((debug::MANY - 1) / self.threads);
            let fits = self.b.map(ScalarOp::Lt, &[group, most]);
            let many = self.b.uint(debug::MANY);
            number = self.b.map(ScalarOp::Select, &[fits, number, many]);
        }
        self.atomic(AtomicOp::Min, word, number);
        let then = self.b.end();
        self.b.effect(Op::If(failed, then, Vec::new()));
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use super::*;
    use crate::emulate::{self, Options};
    use girih_base::{Bindings, Dim};

    /// Each thread prints its number and asserts that it is below 6.
    fn kernel() -> Kernel {
        let mut b = Builder::new();
        let lane = b.builtin(Builtin::LocalIndex);
        let half = b.cast(lane, DType::F32);
        let pair = b.splat(half, 2);
        let six = b.uint(6);
        let holds = b.map(ScalarOp::Lt, &[lane, six]);
        b.if_then(holds, |b| b.effect(Op::Print("lane {%d}: {} {}".into(), vec![lane, pair, holds])));
        b.effect(Op::Assert(holds, "too many".into()));
        b.finish("speaks", [8, 1, 1], Dim::from(2))
    }

    fn run(capacity: u32) -> Vec<u32> {
        let instances = Instances::Threads { grid: vec![Dim::from(2)], block: [8, 1, 1] };
        let (kernel, info) = instrument(&kernel(), instances).unwrap();
        crate::verify::verify(&kernel).unwrap();
        info.check().unwrap();
        assert_eq!(crate::parse(&kernel.to_string()).unwrap(), kernel);
        let mut words = vec![0, capacity, 0, debug::NONE];
        words.resize(4 + capacity as usize, 0);
        let mut buffers = [words.iter().flat_map(|w| w.to_le_bytes()).collect()];
        emulate::run(&kernel, &mut buffers, &Bindings::new(), Options::default()).unwrap();
        buffers[0].chunks_exact(4).map(|w| u32::from_le_bytes([w[0], w[1], w[2], w[3]])).collect()
    }

    #[test]
    fn records_have_a_site_a_thread_and_arguments() {
        let words = run(12 * 7);
        assert_eq!(words[..4], [12 * 7, 12 * 7, 0, 6]);
        let mut seen: Vec<&[u32]> = words[4..].chunks(7).collect();
        seen.sort();
        let five = 5f32.to_bits();
        assert_eq!(seen[11], [0, 1, 5, 5, five, five, 1]);
        assert_eq!(seen.iter().filter(|r| r[1] == 0).count(), 6);
    }

    #[test]
    fn what_finds_no_room_is_counted() {
        for capacity in [0, 1, 7, 20, 83] {
            let words = run(capacity);
            let kept = capacity / 7;
            assert_eq!(words[2], 12 - kept, "room for {capacity}");
            assert!(words[0] >= kept * 7);
            if capacity > kept * 7 {
                assert_eq!(words[4 + kept as usize * 7], debug::NONE);
            }
        }
    }

    #[test]
    fn silent_kernels_stay_as_they_are() {
        let kernel = Builder::new().finish("silent", [1, 1, 1], Dim::ONE);
        assert!(instrument(&kernel, Instances::Programs(Vec::new())).is_none());
    }
}
