//! Prints kernels.

use crate::ir::*;
use crate::op::*;
use girih_base::text::{list, literal, loc, quoted, symbols, word};
use girih_base::{Dim, Symbol};
use std::fmt::Write;

/// The kernel as text, with source locations.
pub fn print(kernel: &Kernel) -> String {
    Printer { kernel, locs: true, out: String::new() }.kernel()
}

/// The kernel as text, without source locations.
pub fn print_without_locs(kernel: &Kernel) -> String {
    Printer { kernel, locs: false, out: String::new() }.kernel()
}

struct Printer<'a> {
    kernel: &'a Kernel,
    locs: bool,
    out: String,
}

impl std::fmt::Display for ValueId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "%{}", self.0)
    }
}

impl std::fmt::Display for TileTy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.dtype)?;
        if !self.shape.is_empty() {
            write!(f, "[{}]", self.shape.iter().map(u32::to_string).collect::<Vec<_>>().join(","))?;
        }
        Ok(())
    }
}

impl Printer<'_> {
    fn kernel(mut self) -> String {
        let k = self.kernel;
        let _ = writeln!(self.out, "kernel {}", word(&k.name));
        self.out.push_str(&symbols(mentioned(k)));
        for p in &k.params {
            let access = match p.access {
                Access::Read => "read",
                Access::Write => "write",
                Access::ReadWrite => "readwrite",
            };
            let constant = if p.constant { " const" } else { "" };
            let _ = writeln!(self.out, "param {} {}[{}] {access}{constant}", word(&p.name), p.dtype, p.len);
        }
        for s in &k.scalars {
            let _ = writeln!(self.out, "scalar {} {}", word(&s.name), s.dtype);
        }
        if !k.grid.is_empty() {
            let _ = writeln!(self.out, "grid {}", list(&k.grid, Dim::to_string));
        }
        self.block(&k.body, 0);
        self.out.push('\n');
        for (i, v) in undefined(k) {
            let _ = writeln!(self.out, "dead {}", self.def(ValueId(i), v));
        }
        self.out
    }

    fn def(&self, id: ValueId, v: &Value) -> String {
        match &v.name {
            Some(name) => format!("{id} {}: {}", quoted(name), v.ty),
            None => format!("{id}: {}", v.ty),
        }
    }

    fn defs(&self, ids: &[ValueId]) -> String {
        list(ids, |id| match self.kernel.values.get(id.0 as usize) {
            Some(v) => self.def(*id, v),
            None => format!("{id}: ?"),
        })
    }

    fn block(&mut self, block: &Block, depth: usize) {
        if !block.params.is_empty() {
            let params = self.defs(&block.params);
            let _ = write!(self.out, "({params}) ");
        }
        self.out.push_str("{\n");
        let pad = "  ".repeat(depth + 1);
        for stmt in &block.stmts {
            self.out.push_str(&pad);
            if !stmt.results.is_empty() {
                let defs = self.defs(&stmt.results);
                let _ = write!(self.out, "{defs} = ");
            }
            self.op(&stmt.op, depth + 1);
            if self.locs {
                self.out.push_str(&loc(&stmt.loc));
            }
            self.out.push('\n');
        }
        if !block.results.is_empty() {
            let _ = writeln!(self.out, "{pad}yield {}", list(&block.results, ValueId::to_string));
        }
        let _ = write!(self.out, "{}}}", "  ".repeat(depth));
    }

    fn view(&self, view: &View) -> String {
        let mut out = format!("view({}", view.offset);
        if !view.axes.is_empty() {
            let axes = list(&view.axes, |a| format!("{}:{}{}", a.extent, a.stride, if a.inside { "!" } else { "" }));
            let _ = write!(out, "; {axes}");
        }
        for g in &view.guards {
            let _ = write!(out, "; guard({}; {}; {})", g.base, list(&g.coeffs, i64::to_string), g.extent);
        }
        out.push(')');
        out
    }

    fn param(&self, index: usize) -> String {
        self.kernel.params.get(index).map_or_else(|| "?".into(), |p| word(&p.name))
    }

    fn op(&mut self, op: &Op, depth: usize) {
        let ids = |v: &[ValueId]| list(v, ValueId::to_string);
        let numbers = |v: &[usize]| list(v, usize::to_string);
        let masked = |m: &Option<ValueId>| m.map_or_else(String::new, |m| format!(" mask {m}"));
        let text = match op {
            Op::ProgramId(axis) => format!("program_id {axis}"),
            Op::Const(v) => format!("const {}", literal(*v)),
            Op::Size(d) => format!("size {d}"),
            Op::Scalar(i) => {
                format!("scalar {}", self.kernel.scalars.get(*i).map_or_else(|| "?".into(), |s| word(&s.name)))
            }
            Op::Map(op, args) => format!("{} {}", op.name(), ids(args)),
            Op::Cast(x) => format!("cast {x}"),
            Op::Bitcast(x) => format!("bitcast {x}"),
            Op::Splat(x) => format!("splat {x}"),
            Op::Arange(axis) => format!("arange {axis}"),
            Op::Reshape(x) => format!("reshape {x}"),
            Op::Permute(x, perm) => format!("permute {x} ({})", numbers(perm)),
            Op::Broadcast(x, axes) => format!("broadcast {x} ({})", numbers(axes)),
            Op::Load { param, view, at, mask, other } => format!(
                "load {} {} at({}){} other {}",
                self.param(*param),
                self.view(view),
                ids(at),
                masked(mask),
                literal(*other)
            ),
            Op::LoadQuant { param, format, rows, columns, at } => {
                format!("load_quant {} {} ({rows}, {columns}) at({})", self.param(*param), word(format), ids(at))
            }
            Op::LoadAt { param, index, mask, other } => {
                format!("load_at {} {index}{} other {}", self.param(*param), masked(mask), literal(*other))
            }
            Op::Store { param, view, at, value, mask } => {
                let (p, v) = (self.param(*param), self.view(view));
                format!("store {p} {v} at({}) {value}{}", ids(at), masked(mask))
            }
            Op::StoreAt { param, index, value, mask } => {
                format!("store_at {} {index} {value}{}", self.param(*param), masked(mask))
            }
            Op::Atomic { op, param, index, value, mask } => {
                format!("atomic {} {} {index} {value}{}", op.name(), self.param(*param), masked(mask))
            }
            Op::CompareExchange { param, index, expected, value } => {
                format!("compare_exchange {} {index} {expected} {value}", self.param(*param))
            }
            Op::Dot { a, b, acc } => {
                format!("dot {a}, {b}{}", acc.map_or_else(String::new, |acc| format!(" acc {acc}")))
            }
            Op::Reduce { args, axis, combine } => {
                format!("reduce {} axis {axis} ({})", combine_name(combine), ids(args))
            }
            Op::Scan { args, axis, combine, reverse } => {
                let reverse = if *reverse { " reverse" } else { "" };
                format!("scan {} axis {axis}{reverse} ({})", combine_name(combine), ids(args))
            }
            Op::Sort { args, axis, keys, descending } => {
                let descending = if *descending { " descending" } else { "" };
                format!("sort axis {axis} keys {keys}{descending} ({})", ids(args))
            }
            Op::For { lo, hi, step, init, .. } => format!("for {lo}, {hi} step {step} init({})", ids(init)),
            Op::While { init, .. } => format!("while init({})", ids(init)),
            Op::If { cond, .. } => format!("if {cond}"),
            Op::Print(text, args) => format!("print {} ({})", quoted(text), ids(args)),
            Op::Assert(x, text) => format!("assert {x} {}", quoted(text)),
        };
        self.out.push_str(&text);
        for (i, block) in op.blocks().into_iter().enumerate() {
            self.out.push_str(match (i, op) {
                (0, _) => " ",
                (_, Op::While { .. }) => " do ",
                _ => " else ",
            });
            self.block(block, depth);
        }
    }
}

fn combine_name(combine: &Combine) -> &'static str {
    match combine {
        Combine::Scalar(op) => op.name(),
        Combine::Body(_) => "body",
    }
}

/// The symbols the kernel mentions.
fn mentioned(kernel: &Kernel) -> Vec<Symbol> {
    let mut out = Vec::new();
    crate::verify::each_dim(kernel, &mut |d| out.extend(d.symbols()));
    out
}

/// Values of the table that no statement or region defines.
fn undefined(kernel: &Kernel) -> Vec<(u32, &Value)> {
    fn mark(block: &Block, defined: &mut [bool]) {
        let here = block.stmts.iter().flat_map(|s| &s.results).chain(&block.params);
        here.for_each(|v| defined.get_mut(v.0 as usize).into_iter().for_each(|d| *d = true));
        block.stmts.iter().flat_map(|s| s.op.blocks()).for_each(|b| mark(b, defined));
    }
    let mut defined = vec![false; kernel.values.len()];
    mark(&kernel.body, &mut defined);
    (0u32..).zip(&kernel.values).filter(|(i, _)| !defined[*i as usize]).collect()
}
