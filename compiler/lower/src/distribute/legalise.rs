//! Tile-level rewrites that distribution relies on: products too thin for register blocks become elementwise products and
//! sums, which spread over all threads.

use girih_base::ScalarOp;
use girih_tile::{Block, Combine, Kernel, Literal, Op, Stmt, TileTy, Value, ValueId};

/// The kernel with thin dots rewritten.
pub fn legalise(kernel: &Kernel) -> Kernel {
    let mut kernel = kernel.clone();
    let mut rewrite = Rewrite { values: std::mem::take(&mut kernel.values) };
    rewrite.rows(&mut kernel.body);
    rewrite.columns(&mut kernel.body);
    kernel.values = rewrite.values;
    kernel
}

struct Rewrite {
    values: Vec<Value>,
}

impl Rewrite {
    fn ty(&self, v: ValueId) -> &TileTy {
        &self.values[v.0 as usize].ty
    }

    fn fresh(&mut self, ty: TileTy) -> ValueId {
        self.values.push(Value { ty, name: None });
        ValueId(self.values.len() as u32 - 1)
    }

    fn push(&mut self, stmts: &mut Vec<Stmt>, like: &Stmt, op: Op, ty: TileTy) -> ValueId {
        let v = self.fresh(ty);
        stmts.push(Stmt { results: vec![v], op, loc: like.loc.clone() });
        v
    }

    fn cast(&mut self, stmts: &mut Vec<Stmt>, like: &Stmt, v: ValueId, to: &TileTy) -> ValueId {
        let ty = self.ty(v).with_dtype(to.dtype);
        if *self.ty(v) == ty { v } else { self.push(stmts, like, Op::Cast(v), ty) }
    }

    /// A single row carried through a loop over k: the loop sums products `[n, k]` element by element, and the threads
    /// meet once, after it.
    fn rows(&mut self, block: &mut Block) {
        let mut stmts = Vec::new();
        for mut s in std::mem::take(&mut block.stmts) {
            regions(&mut s.op, &mut |b| self.rows(b));
            let candidates = match &s.op {
                Op::For { body, .. } => (0..body.results.len()).filter(|i| self.thin(body, *i)).collect(),
                _ => Vec::new(),
            };
            let mut after = Vec::new();
            for i in candidates {
                self.widen(&mut stmts, &mut s, i, &mut after);
            }
            stmts.push(s);
            stmts.extend(after);
        }
        block.stmts = stmts;
    }

    /// Whether carried value `i` is one row that the loop only adds a product to.
    fn thin(&self, body: &Block, i: usize) -> bool {
        let (param, yielded) = (body.params[i + 1], body.results[i]);
        let Some(Stmt { op: Op::Dot { a, b, acc: Some(acc) }, .. }) =
            body.stmts.iter().find(|s| s.results == [yielded])
        else {
            return false;
        };
        let one_row = self.ty(yielded).shape[0] == 1 && self.ty(yielded).shape[1] >= 4;
        one_row && *acc == param && *a != param && *b != param && uses(body, param) == 1 && uses(body, yielded) == 1
    }

    /// Rewrites carried value `i` of a loop; `before` and `after` get what surrounds it.
    fn widen(&mut self, before: &mut Vec<Stmt>, s: &mut Stmt, i: usize, after: &mut Vec<Stmt>) {
        let around = Stmt { results: Vec::new(), op: Op::Const(Literal::Int(0)), loc: s.loc.clone() };
        let Op::For { init, body, .. } = &mut s.op else { return };
        let (param, yielded, result) = (body.params[i + 1], body.results[i], s.results[i]);
        let out = self.ty(yielded).clone();
        let mut stmts = Vec::new();
        for d in std::mem::take(&mut body.stmts) {
            let Op::Dot { a, b, .. } = d.op else {
                stmts.push(d);
                continue;
            };
            if d.results != [yielded] {
                stmts.push(d);
                continue;
            }
            let (n, k) = (out.shape[1], self.ty(a).shape[1]);
            let wide = TileTy::new(out.dtype, vec![n, k]);
            let (a, b) = (self.cast(&mut stmts, &d, a, &out), self.cast(&mut stmts, &d, b, &out));
            let a = self.push(&mut stmts, &d, Op::Reshape(a), TileTy::new(out.dtype, vec![k]));
            let a = self.push(&mut stmts, &d, Op::Broadcast(a, vec![1]), wide.clone());
            let b = self.push(&mut stmts, &d, Op::Permute(b, vec![1, 0]), wide.clone());
            self.values[param.0 as usize].ty = wide.clone();
            body.results[i] = if out.dtype.is_float() {
                self.push(&mut stmts, &d, Op::Map(ScalarOp::Fma, vec![a, b, param]), wide)
            } else {
                let product = self.push(&mut stmts, &d, Op::Map(ScalarOp::Mul, vec![a, b]), wide.clone());
                self.push(&mut stmts, &d, Op::Map(ScalarOp::Add, vec![product, param]), wide)
            };
        }
        body.stmts = stmts;
        let wide = self.ty(param).clone();
        let zero = if out.dtype.is_float() { Literal::float(0.0) } else { Literal::Int(0) };
        let start = std::mem::replace(&mut init[i], self.push(before, &around, Op::Const(zero), wide.clone()));
        s.results[i] = self.fresh(wide);
        let fold = Op::Reduce { args: vec![s.results[i]], axis: 1, combine: Combine::Scalar(ScalarOp::Add) };
        let sum = self.push(after, &around, fold, TileTy::new(out.dtype, vec![out.shape[1]]));
        let sum = self.push(after, &around, Op::Reshape(sum), out);
        after.push(Stmt { results: vec![result], op: Op::Map(ScalarOp::Add, vec![start, sum]), loc: around.loc });
    }

    /// `a . b` with fewer than four columns: the sum over k of the products, as a tile `[m, n, k]`.
    fn columns(&mut self, block: &mut Block) {
        let mut stmts = Vec::new();
        for mut s in std::mem::take(&mut block.stmts) {
            regions(&mut s.op, &mut |b| self.columns(b));
            let Op::Dot { a, b, acc } = s.op else {
                stmts.push(s);
                continue;
            };
            let out = self.ty(s.results[0]).clone();
            if out.shape[1] >= 4 {
                stmts.push(s);
                continue;
            }
            let k = self.ty(a).shape[1];
            let wide = TileTy::new(out.dtype, vec![out.shape[0], out.shape[1], k]);
            let (a, b) = (self.cast(&mut stmts, &s, a, &out), self.cast(&mut stmts, &s, b, &out));
            let b =
                self.push(&mut stmts, &s, Op::Permute(b, vec![1, 0]), TileTy::new(out.dtype, vec![out.shape[1], k]));
            let a = self.push(&mut stmts, &s, Op::Broadcast(a, vec![0, 2]), wide.clone());
            let b = self.push(&mut stmts, &s, Op::Broadcast(b, vec![1, 2]), wide.clone());
            let product = self.push(&mut stmts, &s, Op::Map(ScalarOp::Mul, vec![a, b]), wide);
            let fold = Op::Reduce { args: vec![product], axis: 2, combine: Combine::Scalar(ScalarOp::Add) };
            match acc {
                Some(acc) => {
                    let sum = self.push(&mut stmts, &s, fold, out);
                    stmts.push(Stmt { op: Op::Map(ScalarOp::Add, vec![acc, sum]), ..s });
                }
                None => stmts.push(Stmt { op: fold, ..s }),
            }
        }
        block.stmts = stmts;
    }
}

fn uses(block: &Block, v: ValueId) -> usize {
    let here = block.results.iter().filter(|r| **r == v).count();
    let inside = |s: &Stmt| {
        s.op.operands().iter().filter(|o| **o == v).count() + s.op.blocks().iter().map(|b| uses(b, v)).sum::<usize>()
    };
    here + block.stmts.iter().map(inside).sum::<usize>()
}

fn regions(op: &mut Op, f: &mut dyn FnMut(&mut Block)) {
    match op {
        Op::For { body, .. } => f(body),
        Op::While { test, body, .. } => {
            f(test);
            f(body);
        }
        Op::If { then, otherwise, .. } => {
            f(then);
            f(otherwise);
        }
        _ => {}
    }
}
