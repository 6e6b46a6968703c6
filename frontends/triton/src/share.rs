//! Values that are computed twice are computed once, what does not change in a loop is computed before it, and integer
//! identities go.
//!
//! The evaluator builds offsets anew wherever a pointer is used. Shared, the coordinates of a store are there before its value
//! is computed, so that a target can compute the value in its place.

use girih_base::{DType, Literal, ScalarOp};
use girih_tile::{Block, Kernel, Op, Stmt, ValueId};
use std::collections::BTreeMap;

/// Tiles up to this many elements are worth keeping, from one round of a loop to the next or instead of loading them again.
const KEPT: u64 = 1024;

/// Simplifies the body; what became unused stays for the removal of dead code.
pub(crate) fn simplify(kernel: &mut Kernel) {
    let n = kernel.values.len();
    let mut body = std::mem::take(&mut kernel.body);
    let mut s = Sharer {
        kernel,
        products: products(&body),
        same: (0..n as u32).map(ValueId).collect(),
        depth: vec![0; n],
        definitions: vec![None; n],
        frames: Vec::new(),
    };
    s.block(&mut body, false);
    kernel.body = body;
}

/// A region that is being walked.
struct Frame {
    /// What is computed in it so far.
    stmts: Vec<Stmt>,
    /// Operation and operands to the values that are such.
    known: BTreeMap<(&'static str, Vec<ValueId>), Vec<ValueId>>,
    /// It runs again and again.
    repeats: bool,
}

struct Sharer<'a> {
    kernel: &'a mut Kernel,
    /// The kernel multiplies matrices.
    products: bool,
    /// The value that stands for each value.
    same: Vec<ValueId>,
    /// Which frame defines each value.
    depth: Vec<usize>,
    /// Operations of pure values.
    definitions: Vec<Option<Op>>,
    frames: Vec<Frame>,
}

fn products(block: &Block) -> bool {
    block.stmts.iter().any(|s| matches!(s.op, Op::Dot { .. }) || s.op.blocks().into_iter().any(products))
}

/// Whether an operation depends on nothing but its operands.
fn pure(op: &Op) -> bool {
    use Op::*;
    matches!(
        op,
        ProgramId(_)
            | Const(_)
            | Size(_)
            | Scalar(_)
            | Map(..)
            | Cast(_)
            | Bitcast(_)
            | Splat(_)
            | Arange(_)
            | Reshape(_)
            | Permute(..)
            | Broadcast(..)
    )
}

impl Sharer<'_> {
    fn block(&mut self, block: &mut Block, repeats: bool) {
        self.frames.push(Frame { stmts: Vec::new(), known: BTreeMap::new(), repeats });
        let here = self.frames.len() - 1;
        block.params.iter().for_each(|v| self.depth[v.0 as usize] = here);
        for stmt in std::mem::take(&mut block.stmts) {
            self.stmt(stmt, here);
        }
        block.results.iter_mut().for_each(|v| *v = self.same[v.0 as usize]);
        block.stmts = self.frames.pop().map(|f| f.stmts).unwrap_or_default();
    }

    fn stmt(&mut self, mut stmt: Stmt, here: usize) {
        stmt.op.map_operands(&mut |v| self.same[v.0 as usize]);
        let mut home = here;
        let load = self.steady(&stmt);
        if let ([result], true) = (&stmt.results[..], load || pure(&stmt.op)) {
            let id = *result;
            if let Some(v) = self.simpler(&mut stmt.op, id) {
                return self.stands_for(v, id);
            }
            // A loop without rounds loads nothing.
            if !load {
                home = self.home(&stmt.op, id, here);
            }
            let key = (stmt.op.name(), stmt.op.operands());
            let found = self.frames[..=home].iter().filter_map(|f| f.known.get(&key)).flatten().copied();
            let alike = |v: &ValueId| {
                self.kernel.values[v.0 as usize].ty == self.kernel.values[id.0 as usize].ty
                    && self.definitions[v.0 as usize].as_ref() == Some(&stmt.op)
            };
            if let Some(v) = found.into_iter().find(alike) {
                return self.stands_for(v, id);
            }
            self.frames[home].known.entry(key).or_default().push(id);
            self.definitions[id.0 as usize] = Some(stmt.op.clone());
        }
        stmt.results.iter().for_each(|v| self.depth[v.0 as usize] = home);
        match &mut stmt.op {
            Op::For { body, .. } => self.block(body, true),
            Op::While { test, body, .. } => {
                self.block(test, true);
                self.block(body, true);
            }
            op => op.blocks_mut().into_iter().for_each(|b| self.block(b, false)),
        }
        self.frames[home].stmts.push(stmt);
    }

    /// Whether a statement loads a small tile that stays the same as long as the kernel runs. Beside products it is loaded where it
    /// is used: they spread their operands over the threads in ways of their own, and to spread a tile anew costs more than a load.
    fn steady(&self, s: &Stmt) -> bool {
        if self.products {
            return false;
        }
        let (Op::Load { param, .. }, [result]) = (&s.op, &s.results[..]) else { return false };
        let elements = self.kernel.values[result.0 as usize].ty.elements() as u64;
        elements <= KEPT && self.kernel.params.get(*param).is_some_and(|p| p.constant)
    }

    /// `v` is used where `id` was; the name that the source gave stays.
    fn stands_for(&mut self, v: ValueId, id: ValueId) {
        self.same[id.0 as usize] = v;
        let name = self.kernel.values[id.0 as usize].name.clone();
        let kept = &mut self.kernel.values[v.0 as usize].name;
        if kept.is_none() {
            *kept = name;
        }
    }

    /// The outermost region that an operation may run in, without leaving a branch: that of its operands, where the result is
    /// small or costs nothing.
    fn home(&self, op: &Op, id: ValueId, here: usize) -> usize {
        let ty = &self.kernel.values[id.0 as usize].ty;
        if ty.elements() as u64 > KEPT && !matches!(op, Op::Const(_) | Op::Splat(_) | Op::Arange(_)) {
            return here;
        }
        let first = op.operands().iter().map(|v| self.depth[v.0 as usize]).max().unwrap_or(0);
        let mut home = here;
        while home > first && self.frames[home].repeats {
            home -= 1;
        }
        home
    }

    fn definition(&self, v: ValueId) -> Option<&Op> {
        self.definitions[v.0 as usize].as_ref()
    }

    /// The integer that every element of a value is.
    fn constant(&self, v: ValueId) -> Option<i64> {
        match self.definition(v)? {
            Op::Const(Literal::Int(i)) => Some(*i),
            Op::Splat(x) | Op::Reshape(x) | Op::Broadcast(x, _) => self.constant(*x),
            _ => None,
        }
    }

    /// A value that is the same already; else the operation in a simpler form.
    fn simpler(&self, op: &mut Op, id: ValueId) -> Option<ValueId> {
        let ty = &self.kernel.values[id.0 as usize].ty;
        match op {
            Op::Map(scalar, args) if ty.dtype.is_int() && ty.dtype != DType::Bool && args.len() == 2 => {
                let (a, b) = (args[0], args[1]);
                match (*scalar, self.constant(a), self.constant(b)) {
                    (ScalarOp::Add, Some(0), _) | (ScalarOp::Mul, Some(1), _) => Some(b),
                    (ScalarOp::Add | ScalarOp::Sub, _, Some(0)) | (ScalarOp::Mul | ScalarOp::Div, _, Some(1)) => {
                        Some(a)
                    }
                    _ => None,
                }
            }
            Op::Reshape(x) | Op::Broadcast(x, _) | Op::Permute(x, _)
                if let Some(Op::Splat(scalar)) = self.definition(*x) =>
            {
                *op = Op::Splat(*scalar);
                None
            }
            Op::Reshape(x) => {
                while let Some(Op::Reshape(inner)) = self.definition(*x) {
                    *x = *inner;
                }
                (self.kernel.values[x.0 as usize].ty == *ty).then_some(*x)
            }
            _ => None,
        }
    }
}
