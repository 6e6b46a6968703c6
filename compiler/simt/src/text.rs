//! SIMT IR as text, for people: declarations, then statements in order, one to a line.

use crate::ir::{Builtin, Kernel, Literal, Op, Space, Stmt, SubgroupOp, Ty, ValueId};
use std::fmt::{self, Display, Formatter};

impl Display for Kernel {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let [x, y, z] = self.workgroup;
        writeln!(f, "kernel @{} workgroup [{x}, {y}, {z}] groups {} {{", self.name, self.groups)?;
        for b in &self.buffers {
            let access = match (b.written, b.read_only) {
                (true, _) => "written",
                (false, true) => "read-only",
                (false, false) => "read",
            };
            writeln!(f, "  buffer {}: {} {access}", b.name, b.elem)?;
        }
        for u in &self.uniforms {
            writeln!(f, "  uniform {u}")?;
        }
        for s in &self.shared {
            writeln!(f, "  shared {}: {}[{}]", s.name, s.elem, s.len)?;
        }
        for l in &self.locals {
            match l.len {
                Some(n) => writeln!(f, "  local {}: {}[{n}]", l.name, l.elem)?,
                None => writeln!(f, "  local {}: {}", l.name, l.elem)?,
            }
        }
        self.block(f, &self.body, 2)?;
        writeln!(f, "}}")
    }
}

impl Kernel {
    fn block(&self, f: &mut Formatter<'_>, body: &[Stmt], indent: usize) -> fmt::Result {
        let pad = " ".repeat(indent);
        for s in body {
            write!(f, "{pad}")?;
            if let Some(r) = s.result {
                write!(f, "{} = ", self.value(r))?;
            }
            match &s.op {
                Op::If(c, then, other) => {
                    writeln!(f, "if {} {{", self.value(*c))?;
                    self.block(f, then, indent + 2)?;
                    if !other.is_empty() {
                        writeln!(f, "{pad}}} else {{")?;
                        self.block(f, other, indent + 2)?;
                    }
                    writeln!(f, "{pad}}}")?;
                }
                Op::For { index, lo, hi, step, uniform, body } => {
                    let how = if *uniform { " uniform" } else { "" };
                    let (i, lo, hi) = (self.value(*index), self.value(*lo), self.value(*hi));
                    writeln!(f, "for {i} in {lo}..{hi} step {step}{how} {{")?;
                    self.block(f, body, indent + 2)?;
                    writeln!(f, "{pad}}}")?;
                }
                Op::Loop(body) => {
                    writeln!(f, "loop {{")?;
                    self.block(f, body, indent + 2)?;
                    writeln!(f, "{pad}}}")?;
                }
                op => {
                    write!(f, "{}", self.simple(op))?;
                    match s.result {
                        Some(r) => writeln!(f, " : {}", self.values[r.0 as usize].ty)?,
                        None => writeln!(f)?,
                    }
                }
            }
        }
        Ok(())
    }

    /// `%7`, or `%7.name` where the user named it.
    fn value(&self, v: ValueId) -> String {
        match self.values.get(v.0 as usize).and_then(|x| x.name.as_deref()) {
            Some(name) => format!("%{}.{name}", v.0),
            None => format!("%{}", v.0),
        }
    }

    fn simple(&self, op: &Op) -> String {
        let v = |id: &ValueId| self.value(*id);
        let list = |ids: &[ValueId]| ids.iter().map(v).collect::<Vec<_>>().join(", ");
        let array = |s: &Space, i: &ValueId| format!("{}[{}]", self.array(*s), self.value(*i));
        let local = |i: u32| self.locals.get(i as usize).map_or("?".to_string(), |l| l.name.to_string());
        match op {
            Op::Const(Literal::Float(bits)) => format!("{:?}", f64::from_bits(*bits)),
            Op::Const(Literal::Int(n)) => n.to_string(),
            Op::Uniform(i) => format!("uniform {}", self.uniforms.get(*i as usize).map_or("?", |u| u)),
            Op::Builtin(b) => match b {
                Builtin::WorkgroupIndex => "workgroup_index",
                Builtin::LocalIndex => "local_index",
                Builtin::SubgroupSize => "subgroup_size",
                Builtin::SubgroupLane => "subgroup_lane",
            }
            .into(),
            Op::Map(op, args) => format!("{} {}", op.name(), list(args)),
            Op::Cast(x) => format!("cast {}", v(x)),
            Op::Bitcast(x) => format!("bitcast {}", v(x)),
            Op::MakeVec(args) => format!("vec {}", list(args)),
            Op::Component(x, i) => format!("{}.{i}", v(x)),
            Op::ComponentAt(x, i) => format!("{}.[{}]", v(x), v(i)),
            Op::UnpackHalf(x) => format!("unpack_half {}", v(x)),
            Op::PackHalf(x) => format!("pack_half {}", v(x)),
            Op::Load(s, i) => format!("load {}", array(s, i)),
            Op::Store(s, i, x) => format!("store {} = {}", array(s, i), v(x)),
            Op::Get(i) => format!("get {}", local(*i)),
            Op::Set(i, x) => format!("set {} = {}", local(*i), v(x)),
            Op::Atomic(op, s, i, x) => {
                format!("atomic_{} {}, {}", op.name(), array(s, i), v(x))
            }
            Op::CompareExchange(s, i, old, new) => format!("compare_exchange {}, {}, {}", array(s, i), v(old), v(new)),
            Op::Barrier => "barrier".into(),
            Op::Subgroup(op, x) => match op {
                SubgroupOp::Add => format!("subgroup_add {}", v(x)),
                SubgroupOp::Min => format!("subgroup_min {}", v(x)),
                SubgroupOp::Max => format!("subgroup_max {}", v(x)),
                SubgroupOp::ShuffleXor(n) => format!("subgroup_shuffle_xor {}, {n}", v(x)),
                SubgroupOp::BroadcastFirst => format!("subgroup_broadcast_first {}", v(x)),
            },
            Op::Break => "break".into(),
            Op::Continue => "continue".into(),
            Op::Return => "return".into(),
            Op::Comment(text) => format!("// {text}"),
            // Written by `block`, with their bodies.
            Op::If(..) | Op::For { .. } | Op::Loop(_) => String::new(),
        }
    }

    fn array(&self, s: Space) -> &str {
        match s {
            Space::Buffer(i) => self.buffers.get(i as usize).map(|b| &*b.name),
            Space::Shared(i) => self.shared.get(i as usize).map(|b| &*b.name),
            Space::Local(i) => self.locals.get(i as usize).map(|b| &*b.name),
        }
        .unwrap_or("?")
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
