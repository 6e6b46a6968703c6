//! What a kernel must satisfy before anybody runs or prints it: types, scoping, and barriers that every thread reaches.

mod types;
mod uniform;

pub use uniform::varying;

use crate::ir::*;
use crate::op::*;
use girih_base::{DType, Diag, Result};

/// Most threads of a workgroup; more than any target has.
const MOST_THREADS: u32 = 1 << 16;

/// Checks a kernel.
///
/// # Errors
/// `S001` a reference to something that is not there or not in scope, `S002` a type that does not fit, `S003` a barrier
/// that not every thread may reach, `S004` a malformed declaration.
pub fn verify(kernel: &Kernel) -> Result<()> {
    declarations(kernel)?;
    let mut scope = Scope { kernel, defined: vec![false; kernel.values.len()], loops: 0 };
    scope.block(&kernel.body)?;
    uniform::check(kernel)
}

fn declarations(kernel: &Kernel) -> Result<()> {
    let malformed = |what: String| Err(Diag::error("S004", what).note(format!("in kernel `{}`", kernel.name)));
    let mut names: Vec<&str> = Vec::new();
    names.extend(kernel.buffers.iter().map(|b| &*b.name));
    names.extend(kernel.shared.iter().map(|s| &*s.name));
    names.extend(kernel.locals.iter().map(|l| &*l.name));
    names.sort_unstable();
    if let Some(pair) = names.windows(2).find(|w| w[0] == w[1]) {
        return malformed(format!("two arrays or variables are called `{}`", pair[0]));
    }
    let mut uniforms: Vec<&str> = kernel.uniforms.iter().map(|u| &**u).collect();
    uniforms.sort_unstable();
    if let Some(pair) = uniforms.windows(2).find(|w| w[0] == w[1]) {
        return malformed(format!("two uniforms are called `{}`", pair[0]));
    }
    let stored = kernel.buffers.iter().map(|b| (&b.name, b.elem));
    if let Some((name, elem)) = stored.clone().find(|(_, e)| e.dtype == DType::Bool || e.dtype.bits() < 16) {
        return malformed(format!("buffer `{name}` has elements of {}, which no target stores", elem.dtype));
    }
    let shared = kernel.shared.iter().map(|s| (&s.name, s.elem));
    let locals = kernel.locals.iter().map(|l| (&l.name, l.elem));
    if let Some((name, elem)) = stored.chain(shared).chain(locals).find(|(_, e)| !(1..=4).contains(&e.lanes)) {
        return malformed(format!("`{name}` has vectors of {}", elem.lanes));
    }
    if kernel.shared.iter().any(|s| s.len == 0) || kernel.locals.iter().any(|l| l.len == Some(0)) {
        return malformed("an array without elements".into());
    }
    let threads = kernel.workgroup.iter().try_fold(1u32, |n, w| n.checked_mul(*w));
    if threads.is_none_or(|n| n > MOST_THREADS) {
        return malformed(format!("a workgroup of {:?} threads, more than {MOST_THREADS}", kernel.workgroup));
    }
    if kernel.workgroup.contains(&0) {
        return malformed(format!("a workgroup of {:?} threads", kernel.workgroup));
    }
    Ok(())
}

struct Scope<'k> {
    kernel: &'k Kernel,
    defined: Vec<bool>,
    loops: u32,
}

impl Scope<'_> {
    fn block(&mut self, stmts: &[Stmt]) -> Result<()> {
        let mut here = Vec::new();
        for s in stmts {
            let at = |d: Box<Diag>| d.at(&s.loc, "for this").note(format!("in kernel `{}`", self.kernel.name));
            self.references(s).map_err(at)?;
            types::check(self.kernel, s).map_err(at)?;
            match &s.op {
                Op::If(_, then, otherwise) => {
                    self.block(then)?;
                    self.block(otherwise)?;
                }
                Op::For { index, body, .. } => {
                    self.define(*index, s)?;
                    self.loops += 1;
                    self.block(body)?;
                    self.loops -= 1;
                    self.defined[index.0 as usize] = false;
                }
                Op::Loop(body) => {
                    self.loops += 1;
                    self.block(body)?;
                    self.loops -= 1;
                }
                _ => {}
            }
            if let Some(r) = s.result {
                self.define(r, s)?;
                here.push(r);
            }
        }
        here.iter().for_each(|r| self.defined[r.0 as usize] = false);
        Ok(())
    }

    fn define(&mut self, v: ValueId, s: &Stmt) -> Result<()> {
        match self.defined.get_mut(v.0 as usize) {
            Some(slot) if !*slot => {
                *slot = true;
                Ok(())
            }
            _ => {
                Err(Diag::error("S001", format!("value %{} is defined twice or not declared", v.0)).at(&s.loc, "here"))
            }
        }
    }

    fn references(&self, s: &Stmt) -> Result<()> {
        for v in s.op.operands() {
            if self.defined.get(v.0 as usize) != Some(&true) {
                return Err(Diag::error("S001", format!("value %{} is used where it is not defined", v.0)));
            }
        }
        let missing = |what: &str, i: u32| Err(Diag::error("S001", format!("there is no {what} number {i}")));
        let k = self.kernel;
        if let Some(space) = s.op.space() {
            match space {
                Space::Buffer(i) if i as usize >= k.buffers.len() => return missing("buffer", i),
                Space::Shared(i) if i as usize >= k.shared.len() => return missing("workgroup array", i),
                Space::Local(i) if k.locals.get(i as usize).is_none_or(|l| l.len.is_none()) => {
                    return missing("local array", i);
                }
                _ => {}
            }
        }
        match &s.op {
            Op::Get(i) | Op::Set(i, _) if k.locals.get(*i as usize).is_none_or(|l| l.len.is_some()) => {
                missing("variable", *i)
            }
            Op::Uniform(i) if *i as usize >= k.uniforms.len() => missing("uniform", *i),
            Op::Break | Op::Continue if self.loops == 0 => {
                Err(Diag::error("S001", "a break or continue outside of a loop"))
            }
            _ => Ok(()),
        }
    }
}
