//! Statements. A value that is used once waits as text until its use; whatever could change its meaning on the way makes it a
//! `let` first.

mod chain;
mod effect;

use super::expr::{Expr, Read};
use super::names::Names;
use super::spell::{Spell, Typed, constant, type_name};
use super::uses::{Uses, key, removable};
use super::{MAX_GROUPS, field_name};
use girih_base::dtype::Class;
use girih_base::{DType, Diag, Loc, Result, Scalar, ScalarOp, codec, scalar};
use girih_simt::*;
use std::fmt::Write;
use std::sync::Arc;

/// Longer expressions get a name.
const LONG: usize = 132;

/// The parts of a module that come from the kernel's body.
pub struct Body<'k> {
    kernel: &'k Kernel,
    /// What is used where.
    pub uses: Uses,
    /// Helper functions needed.
    pub spell: Spell,
    /// Names of buffers, workgroup arrays and uniforms.
    pub buffers: Vec<String>,
    pub shared: Vec<String>,
    pub fields: Vec<String>,
    /// Parameters of `main`.
    pub params: Vec<&'static str>,
    /// The statements.
    pub text: String,
    /// Line in `text` (from 0) and location of each statement.
    pub lines: Vec<(u32, Loc)>,
    locals: Vec<String>,
    names: Names,
    exprs: Vec<Option<Expr>>,
    constants: Vec<Option<Scalar>>,
    waiting: Vec<ValueId>,
    depth: usize,
    line: u32,
}

/// Text on one line of a comment.
pub fn remark(text: &str) -> String {
    text.chars().map(|c| if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}') { ' ' } else { c }).collect()
}

impl<'k> Body<'k> {
    /// Prints the body.
    pub fn print(kernel: &'k Kernel, spread: bool, uniforms: &[Arc<str>]) -> Result<Body<'k>> {
        let mut names = Names::new();
        let n = kernel.values.len();
        let mut body = Body {
            uses: Uses::of(kernel),
            spell: Spell::default(),
            buffers: kernel.buffers.iter().map(|b| names.claim(&b.name)).collect(),
            shared: kernel.shared.iter().map(|s| names.claim(&s.name)).collect(),
            fields: Vec::new(),
            params: Vec::new(),
            text: String::new(),
            lines: Vec::new(),
            locals: kernel.locals.iter().map(|l| names.claim(&l.name)).collect(),
            names,
            exprs: vec![None; n],
            constants: vec![None; n],
            waiting: Vec::new(),
            depth: 1,
            line: 0,
            kernel,
        };
        let mut fields = Names::new();
        body.fields = uniforms.iter().map(|u| fields.claim(field_name(u))).collect();
        body.builtins(&kernel.body, spread);
        for (local, name) in kernel.locals.iter().zip(body.locals.clone()) {
            let ty = type_name(local.elem);
            let ty = local.len.map_or(ty.clone(), |n| format!("array<{ty}, {n}>"));
            body.put(&format!("var {name}: {ty};"));
        }
        body.block(&kernel.body)?;
        Ok(body)
    }

    fn builtins(&mut self, stmts: &[Stmt], spread: bool) {
        let mut found = [false; 4];
        find(stmts, &self.uses, &mut found);
        let params = [
            "@builtin(workgroup_id) workgroup_id: vec3<u32>",
            "@builtin(local_invocation_index) lane: u32",
            "@builtin(subgroup_size) subgroup_size: u32",
            "@builtin(subgroup_invocation_id) subgroup_lane: u32",
        ];
        if spread {
            found[0] = true;
        }
        self.params = params.into_iter().zip(found).filter(|(_, f)| *f).map(|(p, _)| p).collect();
        if spread {
            self.put(&format!("let group = workgroup_id.x + workgroup_id.y * {MAX_GROUPS}u;"));
            let end = match self.kernel.groups.as_const() {
                Some(n) => format!("{n}u"),
                None => format!("sizes.{}", self.fields.last().map_or("groups", String::as_str)),
            };
            self.put(&format!("if (group >= {end}) {{"));
            self.put("    return;");
            self.put("}");
        } else if found[0] {
            self.put("let group = workgroup_id.x;");
        }
    }

    fn put(&mut self, line: &str) {
        let _ = writeln!(self.text, "{:width$}{line}", "", width = self.depth * 4);
        self.line += 1;
    }

    fn ty(&self, v: ValueId) -> Ty {
        self.kernel.values[v.0 as usize].ty
    }

    fn refuse(&self, s: &Stmt, why: impl Into<String>) -> Box<Diag> {
        Diag::error("W001", format!("kernel `{}`: {}", self.kernel.name, why.into())).at(&s.loc, "used here")
    }

    /// The expression of a value; one that waited no longer does.
    fn take(&mut self, v: ValueId) -> Expr {
        if let Some(c) = self.constants[v.0 as usize] {
            return constant(c, self.ty(v));
        }
        if let Some(at) = self.waiting.iter().position(|w| *w == v) {
            self.waiting.remove(at);
        }
        self.exprs[v.0 as usize].clone().unwrap_or_else(|| Expr::atom("0"))
    }

    /// The expression with its type; a literal stays one lane, whatever the vector.
    fn typed(&mut self, v: ValueId) -> Typed {
        if let Some(c) = self.constants[v.0 as usize] {
            let ty = Ty::scalar(self.ty(v).dtype);
            return (constant(c, ty), ty);
        }
        (self.take(v), self.ty(v))
    }

    /// Gives waiting values that read what is about to change (`None`: anything) a name.
    fn settle(&mut self, changed: Option<Read>) {
        let reads = |e: &Expr| changed.map_or(!e.reads.is_empty(), |c| e.reads.contains(&c));
        let (now, later): (Vec<ValueId>, Vec<ValueId>) = std::mem::take(&mut self.waiting)
            .into_iter()
            .partition(|v| self.exprs[v.0 as usize].as_ref().is_some_and(reads));
        self.waiting = later;
        for v in now {
            if let Some(e) = self.exprs[v.0 as usize].take() {
                self.bind(v, &e);
            }
        }
    }

    fn bind(&mut self, v: ValueId, e: &Expr) {
        let value = &self.kernel.values[v.0 as usize];
        let wish = match (&value.name, value.ty.dtype.class()) {
            (Some(name), _) => name.to_string(),
            (None, Class::Bool) => "ok".into(),
            (None, Class::Unsigned) => "u".into(),
            (None, Class::Signed) => "n".into(),
            (None, Class::Float) => if value.ty.lanes == 1 { "t" } else { "v" }.into(),
        };
        let name = self.names.claim(&wish);
        self.put(&format!("let {name} = {};", e.text));
        self.exprs[v.0 as usize] = Some(Expr::atom(name));
    }

    fn define(&mut self, s: &Stmt, e: Expr) {
        let Some(v) = s.result else { return };
        let i = v.0 as usize;
        let atom = e.reads.is_empty() && e.text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '.');
        let once = self.uses.count[i] == 1 && !self.uses.escapes[i];
        let named = self.kernel.values[i].name.is_some();
        if atom && !named {
            self.exprs[i] = Some(e);
        } else if once && !named && e.text.len() <= LONG {
            self.exprs[i] = Some(e);
            self.waiting.push(v);
        } else {
            self.lines.push((self.line, s.loc.clone()));
            self.bind(v, &e);
        }
    }

    fn region(&mut self, stmts: &[Stmt]) -> Result<()> {
        self.depth += 1;
        self.names.enter();
        let done = self.block(stmts);
        self.settle(None);
        self.names.leave();
        self.depth -= 1;
        done
    }

    fn block(&mut self, stmts: &[Stmt]) -> Result<()> {
        for s in stmts {
            let dead = s.result.is_some_and(|r| self.uses.count[r.0 as usize] == 0) && removable(&s.op);
            if !dead {
                self.stmt(s)?;
            }
        }
        Ok(())
    }

    fn element(&mut self, space: Space, index: ValueId) -> Expr {
        let at = self.take(index);
        let name = match space {
            Space::Buffer(i) => &self.buffers[i as usize],
            Space::Shared(i) => &self.shared[i as usize],
            Space::Local(i) => &self.locals[i as usize],
        };
        Expr::atom(format!("{name}[{}]", at.text)).reading(&[at])
    }

    fn folded(&self, op: ScalarOp, args: &[ValueId], dtype: DType) -> Option<Scalar> {
        let values: Option<Vec<Scalar>> = args.iter().map(|a| self.constants[a.0 as usize]).collect();
        scalar::eval(op, &values?, dtype).ok()
    }

    fn stmt(&mut self, s: &Stmt) -> Result<()> {
        match &s.op {
            Op::Const(c) => {
                if let Some(r) = s.result {
                    let value = match c {
                        Literal::Float(bits) => Scalar::Float(f64::from_bits(*bits)),
                        Literal::Int(v) => Scalar::Int(*v as i128),
                    };
                    self.constants[r.0 as usize] = Some(codec::cast(value, self.ty(r).dtype));
                }
            }
            Op::Uniform(i) => self.define(s, Expr::atom(format!("sizes.{}", self.fields[*i as usize]))),
            Op::Builtin(b) => {
                let name = match b {
                    Builtin::WorkgroupIndex => "group",
                    Builtin::LocalIndex => "lane",
                    Builtin::SubgroupSize => "subgroup_size",
                    Builtin::SubgroupLane => "subgroup_lane",
                };
                if let Some(r) = s.result {
                    self.exprs[r.0 as usize] = Some(Expr::atom(name));
                }
            }
            Op::Map(op, args) => {
                let Some((r, last)) = s.result.zip(args.last()) else { return Ok(()) };
                let dtype = self.ty(*last).dtype;
                if let Some(value) = self.folded(*op, args, dtype) {
                    self.constants[r.0 as usize] = Some(value);
                    return Ok(());
                }
                if let (ScalarOp::Div | ScalarOp::Rem | ScalarOp::FloorDiv, true, Some(Scalar::Int(0))) =
                    (op, dtype.is_int(), self.constants[last.0 as usize])
                {
                    let x = self.take(args[0]);
                    let zero = constant(Scalar::Int(0), self.ty(r));
                    self.define(s, if *op == ScalarOp::Rem { zero } else { x });
                    return Ok(());
                }
                let args: Vec<Typed> = args.iter().map(|a| self.typed(*a)).collect();
                let lanes = self.ty(r).lanes;
                let e = self.spell.map(*op, &args, lanes).map_err(|why| self.refuse(s, why))?;
                self.define(s, e);
            }
            Op::Cast(x) => {
                let Some(r) = s.result else { return Ok(()) };
                let to = self.ty(r).dtype;
                if let Some(c) = self.constants[x.0 as usize] {
                    self.constants[r.0 as usize] = Some(codec::cast(c, to));
                    return Ok(());
                }
                let x = self.typed(*x);
                let e = self.spell.cast(&x, to).map_err(|why| self.refuse(s, why))?;
                self.define(s, e);
            }
            Op::Bitcast(x) => {
                let Some(r) = s.result else { return Ok(()) };
                let (from, to) = (self.ty(*x), self.ty(r));
                if let Some(c) = self.constants[x.0 as usize] {
                    self.constants[r.0 as usize] = Some(codec::decode(codec::encode(c, from.dtype), to.dtype));
                    return Ok(());
                }
                if from.dtype.bits() != to.dtype.bits() || from.dtype == DType::Bool {
                    return Err(self.refuse(s, format!("bitcast from {} to {}", from.dtype, to.dtype)));
                }
                let x = self.take(*x);
                self.define(s, Expr::call(&format!("bitcast<{}>", type_name(to)), &[x]));
            }
            Op::MakeVec(parts) => {
                let Some(r) = s.result else { return Ok(()) };
                if let ([x], ty) = (&parts[..], self.ty(r))
                    && let Some(c) = self.constants[x.0 as usize]
                {
                    debug_assert!(ty.lanes > 1);
                    self.constants[r.0 as usize] = Some(c);
                    return Ok(());
                }
                let parts: Vec<Expr> = parts.iter().map(|p| self.take(*p)).collect();
                self.define(s, Expr::call(&type_name(self.ty(r)), &parts));
            }
            Op::Component(x, c) => {
                if let (Some(value), Some(r)) = (self.constants[x.0 as usize], s.result) {
                    self.constants[r.0 as usize] = Some(value);
                    return Ok(());
                }
                let e = self.take(*x);
                let letter = [".x", ".y", ".z", ".w"].get(*c as usize).copied().unwrap_or(".x");
                let e = if self.ty(*x).lanes == 1 { e } else { e.suffix(letter) };
                self.define(s, e);
            }
            Op::ComponentAt(x, i) => {
                let (x, i) = (self.take(*x), self.take(*i));
                self.define(s, x.suffix(&format!("[{}]", i.text)).reading(&[i]));
            }
            Op::UnpackHalf(x) => {
                let x = self.take(*x);
                self.define(s, Expr::call("unpack2x16float", &[x]));
            }
            Op::PackHalf(x) => {
                let x = self.take(*x);
                let e = self.spell.helper("pack_half", 1, &[x]).map_err(|why| self.refuse(s, why))?;
                self.define(s, e);
            }
            Op::Get(i) => {
                let mut e = Expr::atom(self.locals[*i as usize].clone());
                e.reads.push(Read::Variable(*i));
                self.define(s, e);
            }
            Op::Load(space, index) => {
                let mut e = self.element(*space, *index);
                if self.uses.atomic.contains(&key(*space)) {
                    e = Expr { text: format!("atomicLoad(&{})", e.text), ..e };
                }
                let steady = matches!(space, Space::Buffer(i) if !self.kernel.buffers[*i as usize].written);
                if !steady {
                    e.reads.push(Read::of(*space));
                }
                self.define(s, e);
            }
            _ => self.effect(s)?,
        }
        Ok(())
    }
}

fn find(stmts: &[Stmt], uses: &Uses, found: &mut [bool; 4]) {
    for s in stmts {
        match &s.op {
            Op::Builtin(b) if s.result.is_some_and(|r| uses.count[r.0 as usize] > 0) => found[*b as usize] = true,
            // A lane is compared with the subgroup's size.
            Op::Shuffle(..) => (found[2], found[3]) = (true, true),
            Op::Subgroup(SubgroupOp::Broadcast(_), _) => found[2] = true,
            Op::If(_, a, b) => {
                find(a, uses, found);
                find(b, uses, found);
            }
            Op::For { body, .. } | Op::Loop(body) => find(body, uses, found),
            _ => {}
        }
    }
}
