//! Tile-level rewrites that distribution relies on.

use crate::TargetDesc;
use girih_base::ScalarOp;
use girih_tile::{Block, Combine, Kernel, Op, Stmt, TileTy, Value, ValueId};

/// The kernel with dots that are too narrow for register blocks written as products and sums.
pub fn legalise(kernel: &Kernel, _desc: &TargetDesc) -> Kernel {
    let mut kernel = kernel.clone();
    let mut body = std::mem::take(&mut kernel.body);
    narrow_dots(&mut kernel.values, &mut body);
    kernel.body = body;
    kernel
}

fn fresh(values: &mut Vec<Value>, ty: TileTy) -> ValueId {
    values.push(Value { ty, name: None });
    ValueId(values.len() as u32 - 1)
}

/// `a . b` with fewer than four columns: the sum over k of the products, as a tile `[m, n, k]`.
fn narrow_dots(values: &mut Vec<Value>, block: &mut Block) {
    let mut stmts = Vec::new();
    for mut s in std::mem::take(&mut block.stmts) {
        for_regions(&mut s.op, &mut |b| narrow_dots(values, b));
        let Op::Dot { a, b, acc } = s.op else {
            stmts.push(s);
            continue;
        };
        let out = values[s.results[0].0 as usize].ty.clone();
        if out.shape[1] >= 4 {
            stmts.push(s);
            continue;
        }
        let k = values[a.0 as usize].ty.shape[1];
        let wide = TileTy::new(out.dtype, vec![out.shape[0], out.shape[1], k]);
        let mut push = |values: &mut Vec<Value>, op: Op, ty: TileTy| {
            let v = fresh(values, ty);
            stmts.push(Stmt { results: vec![v], op, loc: s.loc.clone() });
            v
        };
        let cast = |v: ValueId, values: &Vec<Value>| {
            (values[v.0 as usize].ty.dtype != out.dtype).then(|| values[v.0 as usize].ty.with_dtype(out.dtype))
        };
        let (mut a, mut b) = (a, b);
        if let Some(ty) = cast(a, values) {
            a = push(values, Op::Cast(a), ty);
        }
        if let Some(ty) = cast(b, values) {
            b = push(values, Op::Cast(b), ty);
        }
        let turned = TileTy::new(out.dtype, vec![out.shape[1], k]);
        let b = push(values, Op::Permute(b, vec![1, 0]), turned);
        let a = push(values, Op::Broadcast(a, vec![0, 2]), wide.clone());
        let b = push(values, Op::Broadcast(b, vec![1, 2]), wide.clone());
        let product = push(values, Op::Map(ScalarOp::Mul, vec![a, b]), wide);
        let fold = Op::Reduce { args: vec![product], axis: 2, combine: Combine::Scalar(ScalarOp::Add) };
        match acc {
            Some(acc) => {
                let sum = push(values, fold, out);
                stmts.push(Stmt { op: Op::Map(ScalarOp::Add, vec![acc, sum]), ..s });
            }
            None => stmts.push(Stmt { op: fold, ..s }),
        }
    }
    block.stmts = stmts;
}

fn for_regions(op: &mut Op, f: &mut dyn FnMut(&mut Block)) {
    match op {
        Op::For { body, .. } => f(body),
        Op::If { then, otherwise, .. } => {
            f(then);
            f(otherwise);
        }
        _ => {}
    }
}
