//! Variables that hold nothing: which bits of every value come from a variable that its thread has not written. Moving such
//! bits is no error; they must not decide where a thread goes, what it reaches, or what it stores.

use super::exec::Machine;
use crate::ir::*;
use crate::op::*;
use girih_base::{DType, Diag, Loc, Result, ScalarOp};
use std::collections::BTreeSet;
use std::sync::Arc;

/// The name of a variable that nobody writes: what a thread takes from a lane that takes no part.
pub const INACTIVE: &str = "inactive_lane";

/// For every component of a value or variable in a thread: the undefined bits, and which read they come from.
#[derive(Clone, Copy, Default)]
pub struct Bits {
    mask: u64,
    origin: u32,
}

/// Shadows of the values and variables of a workgroup; empty for a kernel that writes every variable before it reads it.
#[derive(Default)]
pub struct Undefined {
    pub on: bool,
    values: Vec<Bits>,
    locals: Vec<Vec<Bits>>,
    /// Reads of variables that held nothing: where, and the variable.
    origins: Vec<(Loc, Arc<str>)>,
    /// Where several elements are stored by one piece of the source.
    wholes: Vec<Loc>,
}

impl Undefined {
    /// For a kernel whose values have this many components in all threads together; `None` where variables start as zero.
    pub fn new(kernel: &Kernel, components: Option<usize>) -> Undefined {
        match components.filter(|_| !certain(&kernel.body, &mut BTreeSet::new())) {
            Some(n) => {
                let (mut once, mut wholes) = (Vec::new(), Vec::new());
                stores(&kernel.body, &mut once, &mut wholes);
                Undefined { on: true, values: vec![Bits::default(); n], wholes, ..Undefined::default() }
            }
            None => Undefined::default(),
        }
    }

    /// A workgroup starts: no variable holds anything.
    pub fn restart(&mut self, locals: impl Iterator<Item = usize>) {
        if self.on {
            self.locals = locals.map(|n| vec![Bits { mask: u64::MAX, origin: u32::MAX }; n]).collect();
        }
    }
}

/// Whether every variable is certainly written before it is read; arrays never are. `written` grows by what is written on every way.
fn certain(stmts: &[Stmt], written: &mut BTreeSet<u32>) -> bool {
    stmts.iter().all(|s| match &s.op {
        Op::Get(i) => written.contains(i),
        Op::Load(Space::Local(_), _) => false,
        Op::Set(i, _) => {
            written.insert(*i);
            true
        }
        Op::If(_, a, b) => {
            let (mut x, mut y) = (written.clone(), written.clone());
            let both = certain(a, &mut x) && certain(b, &mut y);
            *written = x.intersection(&y).copied().collect();
            both
        }
        op => op.blocks().into_iter().all(|b| certain(b, &mut written.clone())),
    })
}

/// Positions of stores to memory, and of those that share theirs with another.
fn stores(stmts: &[Stmt], once: &mut Vec<Loc>, more: &mut Vec<Loc>) {
    for s in stmts {
        if matches!(s.op, Op::Store(Space::Buffer(_) | Space::Shared(_), ..)) {
            let list = if once.contains(&s.loc) { &mut *more } else { &mut *once };
            list.push(s.loc.clone());
        }
        s.op.blocks().into_iter().for_each(|b| stores(b, once, more));
    }
}

impl Machine<'_> {
    /// Whether some bits of a value are undefined in a thread.
    pub(super) fn partly_undefined(&self, v: ValueId, t: u32) -> bool {
        self.undefined.on && self.any(v, t).mask != 0
    }

    fn undefined(&self, v: ValueId, t: u32, component: usize) -> Bits {
        self.undefined.values[self.at(v, t) + component]
    }

    /// The undefined bits of any component.
    fn any(&self, v: ValueId, t: u32) -> Bits {
        let at = self.at(v, t);
        let all = &self.undefined.values[at..at + self.ty(v).lanes as usize];
        all.iter().find(|b| b.mask != 0).copied().unwrap_or_default()
    }

    /// Refuses a value that must be defined.
    pub(super) fn defined(&self, v: ValueId, t: u32, stmt: &Stmt) -> Result<()> {
        if !self.undefined.on || self.any(v, t).mask == 0 {
            return Ok(());
        }
        let found = self.undefined.origins.get(self.any(v, t).origin as usize);
        let (code, what, here) = match found {
            Some((_, name)) if name.starts_with(INACTIVE) => {
                ("S110", "a value comes from a lane that takes no part".to_string(), "taken from there")
            }
            Some((_, name)) => ("S103", format!("`{name}` is read before anything is written to it"), "read here"),
            None => ("S103", "a variable is read before anything is written to it".to_string(), ""),
        };
        let mut diag = Diag::error(code, what);
        if let Some((loc, _)) = found {
            diag = diag.at(loc, here);
        }
        let diag = diag.at(&stmt.loc, "its value matters here");
        Err(diag.note(format!("thread {t} in workgroup {} of `{}`", self.group, self.kernel.name)))
    }

    /// Checks a statement's operands in a thread and notes what is undefined of its result.
    pub(super) fn trace(&mut self, stmt: &Stmt, t: u32) -> Result<()> {
        if !self.undefined.on {
            return Ok(());
        }
        match &stmt.op {
            Op::Store(Space::Local(_), index, _) | Op::Load(_, index) => self.defined(*index, t, stmt)?,
            // Of a struct or vector that is stored as a whole, some parts may hold nothing.
            Op::Store(_, index, _) if self.undefined.wholes.contains(&stmt.loc) => self.defined(*index, t, stmt)?,
            Op::Store(..) | Op::Atomic(..) | Op::CompareExchange(..) | Op::Assert(..) => {
                stmt.op.operands().into_iter().try_for_each(|v| self.defined(v, t, stmt))?;
            }
            Op::ComponentAt(_, i) => self.defined(*i, t, stmt)?,
            _ => {}
        }
        match &stmt.op {
            Op::Set(i, x) => self.keep(*i, 0, *x, t),
            Op::Store(Space::Local(i), index, x) => self.keep(*i, self.get(*index, t), *x, t),
            _ => {}
        }
        let Some(r) = stmt.result else { return Ok(()) };
        for c in 0..self.ty(r).lanes as usize {
            let bits = self.result(stmt, t, c);
            let at = self.at(r, t) + c;
            self.undefined.values[at] = bits;
        }
        Ok(())
    }

    fn keep(&mut self, local: u32, index: u64, x: ValueId, t: u32) {
        let lanes = self.ty(x).lanes as usize;
        for c in 0..lanes {
            let bits = self.undefined(x, t, c);
            if let Some(at) = self.variable(local, index, t) {
                self.undefined.locals[local as usize][at + c] = bits;
            }
        }
    }

    /// Where an element of a variable starts, if there is such an element.
    fn variable(&self, local: u32, index: u64, t: u32) -> Option<usize> {
        let l = &self.kernel.locals[local as usize];
        let len = l.len.unwrap_or(1) as u64;
        (index < len).then_some((t as u64 * len + index) as usize * l.elem.lanes as usize)
    }

    fn result(&mut self, stmt: &Stmt, t: u32, c: usize) -> Bits {
        match &stmt.op {
            Op::Get(i) => self.read(*i, 0, stmt, t, c),
            Op::Load(Space::Local(i), index) => self.read(*i, self.get(*index, t), stmt, t, c),
            Op::Map(op, args) => self.mapped(*op, args, t, c),
            Op::Bitcast(x) => self.undefined(*x, t, c),
            Op::MakeVec(parts) => {
                parts.get(if parts.len() == 1 { 0 } else { c }).map_or(Bits::default(), |p| self.any(*p, t))
            }
            Op::Component(x, i) => self.undefined(*x, t, *i as usize),
            Op::ComponentAt(x, i) => self.undefined(*x, t, (self.get(*i, t) as usize).min(3)),
            Op::UnpackHalf(x) => {
                let b = self.any(*x, t);
                all(Bits { mask: b.mask & (0xffff << (16 * c)), ..b })
            }
            op => op.operands().into_iter().map(|v| all(self.any(v, t))).find(|b| b.mask != 0).unwrap_or_default(),
        }
    }

    fn read(&mut self, local: u32, index: u64, stmt: &Stmt, t: u32, c: usize) -> Bits {
        let Some(at) = self.variable(local, index, t) else { return Bits::default() };
        let found = self.undefined.locals[local as usize][at + c];
        if found.mask == 0 || found.origin != u32::MAX {
            return found;
        }
        let origins = &mut self.undefined.origins;
        let name = &self.kernel.locals[local as usize].name;
        let known = origins.iter().position(|(loc, n)| *loc == stmt.loc && n == name);
        let origin = known.unwrap_or_else(|| {
            origins.push((stmt.loc.clone(), name.clone()));
            origins.len() - 1
        });
        Bits { mask: found.mask, origin: origin as u32 }
    }

    fn mapped(&self, op: ScalarOp, args: &[ValueId], t: u32, c: usize) -> Bits {
        let part = |v: ValueId| if self.ty(v).lanes == 1 { 0 } else { c };
        let bits = |i: usize| self.undefined(args[i], t, part(args[i]));
        let value = |i: usize| self.vec(args[i], t)[part(args[i])];
        let ints = args.iter().all(|v| !self.ty(*v).dtype.is_float());
        match op {
            ScalarOp::Select if bits(0).mask == 0 => bits(if value(0) != 0 { 1 } else { 2 }),
            // A bit is known as soon as one operand decides it.
            ScalarOp::And | ScalarOp::Or if ints => {
                let (a, b) = (bits(0), bits(1));
                let (x, y) = if op == ScalarOp::And { (value(0), value(1)) } else { (!value(0), !value(1)) };
                let width = if self.ty(args[0]).dtype == DType::Bool { 1 } else { u64::MAX };
                let mask = ((a.mask & b.mask) | (a.mask & y) | (b.mask & x)) & width;
                Bits { mask, origin: if a.mask != 0 { a.origin } else { b.origin } }
            }
            ScalarOp::Shl | ScalarOp::Shr if ints && bits(1).mask == 0 => {
                let (b, n) = (bits(0), value(1) & 63);
                let word = if self.ty(args[0]).dtype.bits() == 64 { b.mask } else { b.mask & 0xffff_ffff };
                Bits { mask: if op == ScalarOp::Shl { word << n } else { word >> n }, ..b }
            }
            _ => (0..args.len()).map(|i| all(bits(i))).find(|b| b.mask != 0).unwrap_or_default(),
        }
    }

    /// After an operation across a subgroup: from which thread each one took its value, or from all.
    pub(super) fn exchanged(&mut self, x: ValueId, result: Option<ValueId>, from: impl Fn(u32) -> Option<u32>) {
        let Some(r) = result.filter(|_| self.undefined.on) else { return };
        let size = self.options.subgroup;
        for t in 0..self.threads {
            let first = t / size * size;
            for c in 0..self.ty(r).lanes as usize {
                let bits = match from(t) {
                    Some(from) => self.undefined(x, from, c),
                    None => {
                        let members = first..(first + size).min(self.threads);
                        all(members.map(|m| self.any(x, m)).find(|b| b.mask != 0).unwrap_or_default())
                    }
                };
                let at = self.at(r, t) + c;
                self.undefined.values[at] = bits;
            }
        }
    }

    /// What is undefined of the loop variable: nothing.
    pub(super) fn counted_up(&mut self, index: ValueId, t: u32) {
        if self.undefined.on {
            let at = self.at(index, t);
            self.undefined.values[at] = Bits::default();
        }
    }
}

/// Undefined as a whole if any bit is.
fn all(bits: Bits) -> Bits {
    Bits { mask: if bits.mask == 0 { 0 } else { u64::MAX }, ..bits }
}
