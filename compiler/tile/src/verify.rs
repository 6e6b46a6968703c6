//! The verifier: types, dominance, views and regions. What it accepts, every target compiles or refuses with a reason.

mod fold;
mod memory;
mod ops;

use crate::ir::*;
use crate::op::*;
use girih_base::{DType, Diag, Dim, Loc, Result};
use std::collections::BTreeMap;

/// Largest number of elements in one tile.
pub const MAX_ELEMENTS: usize = 1 << 26;
/// Largest number of axes of a tile.
pub const MAX_RANK: usize = 8;

/// Checks a kernel.
///
/// # Errors
/// `T102` with the statement's location and the rule it breaks.
pub fn verify(kernel: &Kernel) -> Result<()> {
    let mut v = Verifier { k: kernel, state: vec![State::Undefined; kernel.values.len()] };
    v.header().map_err(|m| Diag::error("T102", format!("kernel `{}`: {m}", kernel.name)))?;
    v.block(&kernel.body)
}

/// Calls `f` for every size expression of the kernel.
pub fn each_dim(kernel: &Kernel, f: &mut dyn FnMut(&Dim)) {
    fn in_view(view: &View, f: &mut dyn FnMut(&Dim)) {
        f(&view.offset);
        view.axes.iter().for_each(|a| [&a.extent, &a.stride].into_iter().for_each(&mut *f));
        view.guards.iter().for_each(|g| [&g.base, &g.extent].into_iter().for_each(&mut *f));
    }
    fn in_block(block: &Block, f: &mut dyn FnMut(&Dim)) {
        for stmt in &block.stmts {
            match &stmt.op {
                Op::Size(d) => f(d),
                Op::Load { view, .. } | Op::Store { view, .. } => in_view(view, f),
                Op::LoadQuant { rows, columns, .. } => [rows, columns].into_iter().for_each(&mut *f),
                _ => {}
            }
            stmt.op.blocks().into_iter().for_each(|b| in_block(b, f));
        }
    }
    kernel.params.iter().for_each(|p| f(&p.len));
    kernel.grid.iter().for_each(&mut *f);
    in_block(&kernel.body, f);
}

fn identifier(name: &str) -> bool {
    name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
        && name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
}

#[derive(Clone, Copy, PartialEq)]
enum State {
    Undefined,
    Visible,
    /// Defined in a region that has ended.
    Closed,
}

struct Verifier<'a> {
    k: &'a Kernel,
    state: Vec<State>,
}

type Check<T = ()> = Result<T, String>;

impl Verifier<'_> {
    fn header(&self) -> Check {
        let mut symbols = BTreeMap::new();
        let mut clash = None;
        each_dim(self.k, &mut |d| {
            for s in d.symbols() {
                if !identifier(&s.name) || symbols.get(&s.name).is_some_and(|other| *other != s) {
                    clash = Some(s.name.clone());
                }
                symbols.insert(s.name.clone(), s);
            }
        });
        if let Some(name) = clash {
            return Err(format!("symbol `{name}` has two sets of bounds, or is not an identifier"));
        }
        for (i, p) in self.k.params.iter().enumerate() {
            if self.k.params[..i].iter().any(|q| q.name == p.name) {
                return Err(format!("two parameters are named `{}`", p.name));
            }
            if p.constant && p.access != Access::Read {
                return Err(format!("parameter `{}` is constant but written", p.name));
            }
        }
        for (i, s) in self.k.scalars.iter().enumerate() {
            use DType::{F32, F64, I32, I64, U32, U64};
            if !matches!(s.dtype, I32 | U32 | I64 | U64 | F32 | F64) {
                return Err(format!("scalar `{}` is {}", s.name, s.dtype));
            }
            if !identifier(&s.name) || symbols.contains_key(&s.name) {
                return Err(format!("scalar `{}` has the name of a symbol, or one that is not an identifier", s.name));
            }
            if self.k.scalars[..i].iter().any(|t| t.name == s.name) {
                return Err(format!("two scalars are named `{}`", s.name));
            }
        }
        for (i, v) in self.k.values.iter().enumerate() {
            let elements = v.ty.shape.iter().try_fold(1usize, |n, e| n.checked_mul(*e as usize));
            if v.ty.shape.contains(&0) || elements.is_none_or(|n| n > MAX_ELEMENTS) || v.ty.shape.len() > MAX_RANK {
                return Err(format!("%{i} has a shape outside the limits: {}", v.ty));
            }
        }
        Ok(())
    }

    fn block(&mut self, block: &Block) -> Result<()> {
        let mut opened = Vec::new();
        let in_region = |m: String| Diag::error("T102", m);
        self.define(&block.params, &mut opened).map_err(in_region)?;
        for stmt in &block.stmts {
            self.stmt(stmt, &mut opened)?;
        }
        block.results.iter().try_for_each(|v| self.visible(*v)).map_err(in_region)?;
        opened.iter().for_each(|v| self.state[v.0 as usize] = State::Closed);
        Ok(())
    }

    fn stmt(&mut self, stmt: &Stmt, opened: &mut Vec<ValueId>) -> Result<()> {
        let name = stmt.op.name();
        let wrap = |m: String, loc: &Loc| Diag::error("T102", format!("`{name}`: {m}")).at(loc, "this operation");
        stmt.op.operands().into_iter().try_for_each(|v| self.visible(v)).map_err(|m| wrap(m, &stmt.loc))?;
        // Results become visible after the regions, but their types are needed to check the operation.
        if let Some(bad) = stmt.results.iter().find(|v| self.k.values.get(v.0 as usize).is_none()) {
            return Err(wrap(format!("{bad} is not in the value table"), &stmt.loc));
        }
        for block in stmt.op.blocks() {
            self.block(block)?;
        }
        self.op(stmt).map_err(|m| wrap(m, &stmt.loc))?;
        self.define(&stmt.results, opened).map_err(|m| wrap(m, &stmt.loc))
    }

    fn define(&mut self, ids: &[ValueId], opened: &mut Vec<ValueId>) -> Check {
        for id in ids {
            match self.state.get_mut(id.0 as usize) {
                None => return Err(format!("{id} is not in the value table")),
                Some(s) if *s != State::Undefined => return Err(format!("{id} is defined twice")),
                Some(s) => *s = State::Visible,
            }
            opened.push(*id);
        }
        Ok(())
    }

    fn visible(&self, id: ValueId) -> Check {
        match self.state.get(id.0 as usize) {
            Some(State::Visible) => Ok(()),
            Some(State::Closed) => Err(format!("{id} is defined in a region that has ended")),
            _ => Err(format!("{id} is used before it is defined")),
        }
    }
}
