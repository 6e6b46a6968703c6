//! `Loop`: a body repeated over carried values.

use super::Rule;
use super::call::{by_identity, check_args, results};
use crate::batch::{Batch, Batcher, Lane, cannot_batch};
use crate::eval::{Array, Cx, Eval, Value};
use crate::grad::{Backward, Cotangents, Site, Vjp, looping};
use crate::graph::{Graph, NodeId};
use crate::text::attrs::{Field, Item, Symbols, attrs};
use crate::ty::{TensorTy, Ty};
use girih_base::{DType, Diag, Dim, Result as DiagResult};
use std::sync::Arc;

/// When a [`Loop`] ends.
#[derive(Clone, Debug)]
pub enum LoopKind {
    /// After this many rounds; the body's first parameter is the round, an i32 scalar.
    For(Dim),
    /// When this graph, over the same parameters as the body, gives false.
    While(Arc<Graph>),
}

/// Repeats a body over carried values. Operands: the carried values, then values that stay the same.
/// Body parameters: the round (only `For`), carried, constant; body outputs: the carried values. The result is a tuple.
#[derive(Clone, Debug)]
pub struct Loop {
    /// When it ends.
    pub kind: LoopKind,
    /// One round.
    pub body: Arc<Graph>,
    /// Number of carried values.
    pub carried: usize,
}

by_identity!(LoopKind, a b match (a, b) {
    (LoopKind::For(x), LoopKind::For(y)) => x == y,
    (LoopKind::While(x), LoopKind::While(y)) => Arc::ptr_eq(x, y),
    _ => false,
}, a match a { LoopKind::For(_) => 0, LoopKind::While(c) => Arc::as_ptr(c) as usize });

by_identity!(Loop, a b a.kind == b.kind && a.carried == b.carried && Arc::ptr_eq(&a.body, &b.body), a Arc::as_ptr(&a.body) as usize);

impl Rule for Loop {
    fn name(&self) -> &'static str {
        "loop"
    }
    fn infer(&self, operands: &[&Ty]) -> Result<Ty, String> {
        if operands.len() < self.carried {
            return Err(format!("{} carried values among {} operands", self.carried, operands.len()));
        }
        let carried: Vec<Ty> = operands[..self.carried].iter().map(|t| (*t).clone()).collect();
        match &self.kind {
            LoopKind::For(_) => {
                let round = Ty::from(TensorTy::scalar(DType::I32));
                let args: Vec<&Ty> = std::iter::once(&round).chain(operands.iter().copied()).collect();
                check_args(&self.body, &args)?;
            }
            LoopKind::While(cond) => {
                check_args(&self.body, operands)?;
                check_args(cond, operands)?;
                if results(cond) != [TensorTy::scalar(DType::Bool).into()] {
                    return Err("the condition must give one bool[]".into());
                }
            }
        }
        if results(&self.body) != carried {
            return Err(format!("the body gives {:?}, the carried values are {carried:?}", results(&self.body)));
        }
        Ok(Ty::Tuple(carried))
    }
}

impl Eval for Loop {
    fn eval(&self, args: &[Value], _: &Ty, cx: &Cx) -> DiagResult<Value> {
        let (carried, constant) = args.split_at(self.carried);
        let mut carried = carried.to_vec();
        let inputs = |carried: &[Value]| -> Vec<Value> { carried.iter().chain(constant).cloned().collect() };
        match &self.kind {
            LoopKind::For(rounds) => {
                for round in 0..cx.dim(rounds)? {
                    let mut all = inputs(&carried);
                    all.insert(0, Array::from_ints(DType::I32, &[], [round as i128]).into());
                    carried = self.body.eval_body(all, cx)?;
                }
            }
            LoopKind::While(condition) => {
                let mut rounds = 0;
                while condition.eval_body(inputs(&carried), cx)?[0].array()?.int(0) != 0 {
                    if rounds == cx.max_rounds {
                        let limit = format!("a loop did not end within {rounds} rounds");
                        return Err(Diag::error("G207", limit).help("raise `Cx::max_rounds` if that is right"));
                    }
                    rounds += 1;
                    carried = self.body.eval_body(inputs(&carried), cx)?;
                }
            }
        }
        Ok(Value::Tuple(carried))
    }
}

attrs!(Loop "loop" { kind, body, carried });

impl Field for LoopKind {
    fn item(&self) -> Item {
        match self {
            LoopKind::For(rounds) => Item::Call("for", vec![rounds.item()]),
            LoopKind::While(condition) => Item::Call("while", vec![condition.item()]),
        }
    }
    fn read(item: Item, symbols: &Symbols) -> Result<LoopKind, String> {
        match item {
            Item::Call("for", mut items) if items.len() == 1 => {
                Ok(LoopKind::For(Field::read(items.remove(0), symbols)?))
            }
            Item::Call("while", mut items) if items.len() == 1 => {
                Ok(LoopKind::While(Field::read(items.remove(0), symbols)?))
            }
            _ => Err("expected for(rounds) or while(@condition)".into()),
        }
    }
}

impl Vjp for Loop {
    fn vjp(&self, b: &mut Backward, at: &Site, cts: &[Option<NodeId>]) -> Cotangents {
        looping::back(b, at, cts)
    }
}

impl Batch for Loop {
    fn batch(&self, b: &mut Batcher, args: &[Lane]) -> DiagResult<Vec<Lane>> {
        let rounds = matches!(self.kind, LoopKind::For(_)) as usize;
        let leaves = |p: &NodeId| self.body.ty(*p).leaves().len();
        let carried: usize = self.body.params().iter().skip(rounds).take(self.carried).map(leaves).sum();
        let mut flags = vec![false; rounds];
        flags.extend(args.iter().map(|a| a.batched));
        // A carried value is batched when it is after some number of rounds.
        let mut stop = false;
        loop {
            if let LoopKind::While(cond) = &self.kind {
                stop = b.body(cond, &flags, &[])?.1 == [true];
                if stop && b.exchanges(&self.clone().into()) {
                    return Err(cannot_batch(
                        &b.g,
                        "a loop",
                        "replicas that leave it at different times exchange values in it",
                    ));
                }
            }
            let (_, out) = b.body(&self.body, &flags, &[])?;
            let next: Vec<bool> = (0..carried).map(|j| stop || flags[rounds + j] || out[j]).collect();
            if next == flags[rounds..rounds + carried] {
                break;
            }
            flags[rounds..rounds + carried].copy_from_slice(&next);
        }
        let force = flags[rounds..rounds + carried].to_vec();
        let mut kind = self.kind.clone();
        let body = match &self.kind {
            LoopKind::While(cond) if stop => {
                // Rounds go on while any example needs one; the others keep their values.
                let any = |b: &mut Batcher, params: Vec<Vec<Lane>>| -> DiagResult<Vec<Lane>> {
                    let go = b.run(cond, params)?.concat();
                    let id = b.g.reduce(super::Monoid::Or, go[0].id, &[0])?;
                    Ok(vec![Lane { id, batched: false }])
                };
                kind = LoopKind::While(Arc::new(b.nested(cond, &flags, any)?.0));
                let step = |b: &mut Batcher, params: Vec<Vec<Lane>>| -> DiagResult<Vec<Lane>> {
                    let old = params.concat();
                    let go = b.run(cond, params.clone())?.concat();
                    let new = b.run(&self.body, params)?.concat();
                    new.iter().zip(old).map(|(n, o)| b.select(go[0], *n, o)).collect()
                };
                b.nested(&self.body, &flags, step)?.0
            }
            LoopKind::While(cond) => {
                kind = LoopKind::While(Arc::new(b.body(cond, &flags, &[])?.0));
                b.body(&self.body, &flags, &force)?.0
            }
            LoopKind::For(_) => b.body(&self.body, &flags, &force)?.0,
        };
        let mut operands = Vec::new();
        for (j, a) in args.iter().enumerate() {
            operands.push(if force.get(j) == Some(&true) { b.lift(*a)?.id } else { a.id });
        }
        let node = b.g.push(Loop { kind, body: Arc::new(body), carried }, &operands)?;
        let lanes = b.unpack(node, true)?;
        Ok(lanes.into_iter().zip(force).map(|(l, batched)| Lane { batched, ..l }).collect())
    }
}
