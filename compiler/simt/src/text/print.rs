//! Prints kernels.

use crate::ir::{Kernel, Stmt, Ty, ValueId};
use crate::op::{Builtin, Op, Space};
use girih_base::text::{escaped, list, literal, loc, quoted, symbols, word};
use std::fmt::{self, Display, Formatter, Write};

/// The kernel as text, with source locations.
pub fn print(kernel: &Kernel) -> String {
    Printer { kernel, locs: true, out: String::new() }.kernel()
}

/// The kernel as text, without source locations.
pub fn print_without_locs(kernel: &Kernel) -> String {
    Printer { kernel, locs: false, out: String::new() }.kernel()
}

impl Display for Kernel {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(&print_without_locs(self))
    }
}

impl Display for Ty {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self.lanes {
            1 => write!(f, "{}", self.dtype),
            n => write!(f, "vec{n}<{}>", self.dtype),
        }
    }
}

impl Builtin {
    /// The name in the text form.
    pub fn name(self) -> &'static str {
        match self {
            Builtin::WorkgroupIndex => "workgroup_index",
            Builtin::LocalIndex => "local_index",
            Builtin::SubgroupSize => "subgroup_size",
            Builtin::SubgroupLane => "subgroup_lane",
        }
    }
}

struct Printer<'k> {
    kernel: &'k Kernel,
    locs: bool,
    out: String,
}

impl Printer<'_> {
    fn kernel(mut self) -> String {
        let k = self.kernel;
        let [x, y, z] = k.workgroup;
        self.out.push_str(&symbols(k.groups.symbols()));
        self.line(0, format!("kernel @{} workgroup [{x}, {y}, {z}] groups {} {{", word(&k.name), k.groups));
        for b in &k.buffers {
            let access = match (b.written, b.read_only) {
                (true, true) => "written read-only",
                (true, false) => "written",
                (false, true) => "read-only",
                (false, false) => "read",
            };
            self.line(2, format!("buffer {}: {} {access}", word(&b.name), b.elem));
        }
        for u in &k.uniforms {
            self.line(2, format!("uniform {}", word(u)));
        }
        for s in &k.shared {
            self.line(2, format!("shared {}: {}[{}]", word(&s.name), s.elem, s.len));
        }
        for l in &k.locals {
            let len = l.len.map_or_else(String::new, |n| format!("[{n}]"));
            self.line(2, format!("local {}: {}{len}", word(&l.name), l.elem));
        }
        self.block(&k.body, 2);
        self.line(0, "}".into());
        for id in undefined(k) {
            let text = format!("dead {} : {}", self.value(id), k.values[id.0 as usize].ty);
            self.line(0, text);
        }
        self.out
    }

    fn line(&mut self, indent: usize, text: String) {
        // Writing to a string does not fail.
        let _ = writeln!(self.out, "{:indent$}{text}", "");
    }

    fn block(&mut self, body: &[Stmt], indent: usize) {
        for s in body {
            let at = if self.locs { loc(&s.loc) } else { String::new() };
            match &s.op {
                Op::If(c, then, other) => {
                    self.line(indent, format!("if {}{at} {{", self.value(*c)));
                    self.block(then, indent + 2);
                    if !other.is_empty() {
                        self.line(indent, "} else {".into());
                        self.block(other, indent + 2);
                    }
                    self.line(indent, "}".into());
                }
                Op::For { index, lo, hi, step, uniform, body } => {
                    let how = if *uniform { " uniform" } else { "" };
                    let (i, lo, hi) = (self.value(*index), self.value(*lo), self.value(*hi));
                    self.line(indent, format!("for {i} in {lo}..{hi} step {step}{how}{at} {{"));
                    self.block(body, indent + 2);
                    self.line(indent, "}".into());
                }
                Op::Loop(body) => {
                    self.line(indent, format!("loop{at} {{"));
                    self.block(body, indent + 2);
                    self.line(indent, "}".into());
                }
                Op::Comment(text) if at.is_empty() => self.line(indent, format!("// {}", escaped(text))),
                op => {
                    let text = match s.result {
                        Some(r) => {
                            let ty = self.kernel.values.get(r.0 as usize).map_or("?".into(), |v| v.ty.to_string());
                            format!("{} = {} : {ty}{at}", self.value(r), self.simple(op))
                        }
                        None => format!("{}{at}", self.simple(op)),
                    };
                    self.line(indent, text);
                }
            }
        }
    }

    /// `%7`, or `%7.name` where the user named it.
    fn value(&self, v: ValueId) -> String {
        match self.kernel.values.get(v.0 as usize).and_then(|x| x.name.as_deref()) {
            Some(name) => format!("%{}.{}", v.0, word(name)),
            None => format!("%{}", v.0),
        }
    }

    fn simple(&self, op: &Op) -> String {
        let v = |id: &ValueId| self.value(*id);
        let array = |s: &Space, i: &ValueId| format!("{}[{}]", self.array(*s), self.value(*i));
        let local = |i: u32| self.array(Space::Local(i));
        match op {
            Op::Const(value) => literal(*value),
            Op::Uniform(i) => {
                format!("uniform {}", self.kernel.uniforms.get(*i as usize).map_or("?".into(), |u| word(u)))
            }
            Op::Builtin(b) => b.name().into(),
            Op::Map(op, args) => format!("{} {}", op.name(), list(args, v)),
            Op::Cast(x) => format!("cast {}", v(x)),
            Op::Bitcast(x) => format!("bitcast {}", v(x)),
            Op::MakeVec(args) => format!("vec {}", list(args, v)),
            Op::Component(x, i) => format!("{}.{i}", v(x)),
            Op::ComponentAt(x, i) => format!("{}.[{}]", v(x), v(i)),
            Op::UnpackHalf(x) => format!("unpack_half {}", v(x)),
            Op::PackHalf(x) => format!("pack_half {}", v(x)),
            Op::Load(s, i) => format!("load {}", array(s, i)),
            Op::Store(s, i, x) => format!("store {} = {}", array(s, i), v(x)),
            Op::Get(i) => format!("get {}", local(*i)),
            Op::Set(i, x) => format!("set {} = {}", local(*i), v(x)),
            Op::Atomic(op, s, i, x) => format!("atomic_{} {}, {}", op.name(), array(s, i), v(x)),
            Op::CompareExchange(s, i, old, new) => format!("compare_exchange {}, {}, {}", array(s, i), v(old), v(new)),
            Op::Barrier => "barrier".into(),
            Op::SubgroupBarrier => "subgroup_barrier".into(),
            Op::Subgroup(op, x) => {
                format!("{} {}{}", op.name(), v(x), op.lane().map_or_else(String::new, |n| format!(", {n}")))
            }
            Op::Shuffle(kind, x, n) => format!("{} {}, {}", kind.name(), v(x), v(n)),
            Op::Assert(cond, text) => format!("assert {}, {}", v(cond), quoted(text)),
            Op::Print(text, args) if args.is_empty() => format!("print {}", quoted(text)),
            Op::Print(text, args) => format!("print {}, {}", quoted(text), list(args, v)),
            Op::Break => "break".into(),
            Op::Continue => "continue".into(),
            Op::Return => "return".into(),
            Op::Comment(text) => format!("remark {}", quoted(text)),
            // Written by `block`, with their bodies.
            Op::If(..) | Op::For { .. } | Op::Loop(_) => String::new(),
        }
    }

    fn array(&self, s: Space) -> String {
        let k = self.kernel;
        let name = match s {
            Space::Buffer(i) => k.buffers.get(i as usize).map(|b| &b.name),
            Space::Shared(i) => k.shared.get(i as usize).map(|b| &b.name),
            Space::Local(i) => k.locals.get(i as usize).map(|b| &b.name),
        };
        name.map_or("?".into(), |name| word(name))
    }
}

/// Values of the table that no statement defines.
fn undefined(kernel: &Kernel) -> Vec<ValueId> {
    fn mark(body: &[Stmt], defined: &mut [bool]) {
        for s in body {
            let index = if let Op::For { index, .. } = &s.op { Some(*index) } else { None };
            let here = s.result.into_iter().chain(index);
            here.for_each(|v| defined.get_mut(v.0 as usize).into_iter().for_each(|d| *d = true));
            s.op.blocks().into_iter().for_each(|b| mark(b, defined));
        }
    }
    let mut defined = vec![false; kernel.values.len()];
    mark(&kernel.body, &mut defined);
    (0u32..).zip(defined).filter(|(_, d)| !d).map(|(i, _)| ValueId(i)).collect()
}
