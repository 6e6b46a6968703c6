//! `Loop`, `Cond`, `Call`, `Tuple`, `Proj`, `Fence`, `Kernel`: structure.

use super::{Rule, tensors};
use crate::batch::{Batch, Batcher, Lane, cannot_batch};
use crate::eval::{Array, Cx, Eval, Value};
use crate::grad::{Backward, Cotangents, Site, Vjp, looping, no_derivative};
use crate::graph::Graph;
use crate::graph::NodeId;
use crate::literal::Number;
use crate::text::attrs::{Field, Item, Symbols, attrs, words};
use crate::ty::{TensorTy, Ty};
use girih_base::ScalarOp;
use girih_base::{DType, Diag, Dim, Result as DiagResult};
use std::hash::{Hash, Hasher};
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

/// Runs one branch, chosen by the first operand: an i32 scalar, clamped, or a bool (false is branch 0).
/// The other operands are every branch's parameters. The result is a tuple.
#[derive(Clone, Debug)]
pub struct Cond {
    /// The branches, all with the same parameters and result types.
    pub branches: Vec<Arc<Graph>>,
}

/// An attribute of a composite operation.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Attr {
    /// A number.
    Number(Number),
    /// A size.
    Dim(Dim),
    /// A list of axes or integers.
    Ints(Vec<i64>),
    /// A dtype.
    DType(DType),
    /// A word.
    Str(Arc<str>),
}

/// The target of a [`Call`]. Its body is always a full definition: a target that does not know the name inlines it.
#[derive(Clone, Debug)]
pub struct Callee {
    /// Name: `attention`, `rms_norm`, `dequant.q4_1`, or whatever the user called it.
    pub name: Arc<str>,
    /// Attributes a target that knows the name may rely on, in name order.
    pub attrs: Vec<(&'static str, Attr)>,
    /// The meaning.
    pub body: Graph,
}

/// A call of a named body.
#[derive(Clone, Debug)]
pub struct Call {
    /// What is called; shared, so that a repeated layer is compiled once.
    pub callee: Arc<Callee>,
}

/// Several values as one.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Tuple;

/// One value of a tuple.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Proj {
    /// Its position.
    pub index: usize,
}

/// The identity; a wall for fusion and rewriting.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Fence;

/// The level a hand-written kernel is given at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum KernelLevel {
    /// Tile IR text.
    Tile,
    /// SIMT IR text.
    Simt,
}

/// A kernel written by hand, in the text form of its level. Its buffers are the operands, then the results.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Kernel {
    /// Level of the text.
    pub level: KernelLevel,
    /// The kernel.
    pub text: Arc<str>,
    /// Result types.
    pub results: Vec<TensorTy>,
}

impl Callee {
    /// The attribute of that name.
    pub fn attr(&self, name: &str) -> Option<&Attr> {
        self.attrs.iter().find(|(n, _)| *n == name).map(|(_, a)| a)
    }
}

// Bodies are compared by identity: sharing one is what says that two calls are the same.
macro_rules! by_identity {
    ($ty:ident, $a:ident $b:ident $eq:expr, $h:ident $hash:expr) => {
        impl PartialEq for $ty {
            fn eq(&self, other: &$ty) -> bool {
                let ($a, $b) = (self, other);
                $eq
            }
        }
        impl Eq for $ty {}
        impl Hash for $ty {
            fn hash<H: Hasher>(&self, state: &mut H) {
                let $h = self;
                $hash.hash(state);
            }
        }
    };
}

by_identity!(Call, a b Arc::ptr_eq(&a.callee, &b.callee), a Arc::as_ptr(&a.callee) as usize);
by_identity!(LoopKind, a b match (a, b) {
    (LoopKind::For(x), LoopKind::For(y)) => x == y,
    (LoopKind::While(x), LoopKind::While(y)) => Arc::ptr_eq(x, y),
    _ => false,
}, a match a { LoopKind::For(_) => 0, LoopKind::While(c) => Arc::as_ptr(c) as usize });
by_identity!(Loop, a b a.kind == b.kind && a.carried == b.carried && Arc::ptr_eq(&a.body, &b.body), a Arc::as_ptr(&a.body) as usize);
by_identity!(Cond, a b a.branches.len() == b.branches.len() && a.branches.iter().zip(&b.branches).all(|(x, y)| Arc::ptr_eq(x, y)), a a.branches.len());

/// Refuses arguments that do not have the body's parameter types.
fn check_args(body: &Graph, args: &[&Ty]) -> Result<(), String> {
    if body.params().len() != args.len() {
        return Err(format!("`{}` takes {} arguments, got {}", body.name, body.params().len(), args.len()));
    }
    for (i, (p, a)) in body.params().iter().zip(args).enumerate() {
        if body.ty(*p) != *a {
            return Err(format!("argument {i} of `{}` must be {}, got {a}", body.name, body.ty(*p)));
        }
    }
    Ok(())
}

fn results(body: &Graph) -> Vec<Ty> {
    body.outputs().iter().map(|o| body.ty(*o).clone()).collect()
}

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

impl Rule for Cond {
    fn name(&self) -> &'static str {
        "cond"
    }
    fn infer(&self, operands: &[&Ty]) -> Result<Ty, String> {
        let (choice, args) = operands.split_first().ok_or("takes a choice and arguments")?;
        let [choice] = tensors(&[choice])?;
        if choice.rank() != 0 || !matches!(choice.dtype, DType::Bool | DType::I32) {
            return Err(format!("the choice must be bool[] or i32[], got {choice}"));
        }
        let first = self.branches.first().ok_or("takes at least one branch")?;
        for b in &self.branches {
            check_args(b, args)?;
            if results(b) != results(first) {
                return Err(format!("branches give {:?} and {:?}", results(first), results(b)));
            }
        }
        Ok(Ty::Tuple(results(first)))
    }
}

impl Rule for Call {
    fn name(&self) -> &'static str {
        "call"
    }
    fn infer(&self, operands: &[&Ty]) -> Result<Ty, String> {
        check_args(&self.callee.body, operands)?;
        let mut tys = results(&self.callee.body);
        Ok(if tys.len() == 1 { tys.remove(0) } else { Ty::Tuple(tys) })
    }
}

impl Rule for Tuple {
    fn name(&self) -> &'static str {
        "tuple"
    }
    fn infer(&self, operands: &[&Ty]) -> Result<Ty, String> {
        Ok(Ty::Tuple(operands.iter().map(|t| (*t).clone()).collect()))
    }
}

impl Rule for Proj {
    fn name(&self) -> &'static str {
        "proj"
    }
    fn infer(&self, operands: &[&Ty]) -> Result<Ty, String> {
        match operands {
            [Ty::Tuple(items)] if self.index < items.len() => Ok(items[self.index].clone()),
            _ => Err(format!("no value {} in {operands:?}", self.index)),
        }
    }
}

impl Rule for Fence {
    fn name(&self) -> &'static str {
        "fence"
    }
    fn infer(&self, operands: &[&Ty]) -> Result<Ty, String> {
        match operands {
            [one] => Ok((*one).clone()),
            _ => Err(format!("takes 1 operand, got {}", operands.len())),
        }
    }
}

impl Rule for Kernel {
    fn name(&self) -> &'static str {
        "kernel"
    }
    fn infer(&self, _: &[&Ty]) -> Result<Ty, String> {
        let mut tys: Vec<Ty> = self.results.iter().cloned().map(Ty::from).collect();
        Ok(if tys.len() == 1 { tys.remove(0) } else { Ty::Tuple(tys) })
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

impl Eval for Cond {
    fn eval(&self, args: &[Value], _: &Ty, cx: &Cx) -> DiagResult<Value> {
        let choice = args[0].array()?.int(0).clamp(0, self.branches.len() as i128 - 1);
        Ok(Value::Tuple(self.branches[choice as usize].eval_body(args[1..].to_vec(), cx)?))
    }
}

impl Eval for Call {
    fn eval(&self, args: &[Value], _: &Ty, cx: &Cx) -> DiagResult<Value> {
        let mut results = self.callee.body.eval_body(args.to_vec(), cx)?;
        Ok(if results.len() == 1 { results.remove(0) } else { Value::Tuple(results) })
    }
}

impl Eval for Tuple {
    fn eval(&self, args: &[Value], _: &Ty, _: &Cx) -> DiagResult<Value> {
        Ok(Value::Tuple(args.to_vec()))
    }
}

impl Eval for Proj {
    fn eval(&self, args: &[Value], _: &Ty, _: &Cx) -> DiagResult<Value> {
        match args {
            [Value::Tuple(items)] if self.index < items.len() => Ok(items[self.index].clone()),
            _ => Err(Diag::error("G205", format!("no value {}", self.index))),
        }
    }
}

impl Eval for Fence {
    fn eval(&self, args: &[Value], _: &Ty, _: &Cx) -> DiagResult<Value> {
        Ok(args[0].clone())
    }
}

impl Eval for Kernel {
    fn eval(&self, _: &[Value], _: &Ty, _: &Cx) -> DiagResult<Value> {
        Err(Diag::error("G201", "a hand-written kernel has no meaning at this level")
            .note("the evaluator knows graph operations only")
            .help("run it on a target, or on the emulator of its level"))
    }
}

attrs!(Loop "loop" { kind, body, carried });
attrs!(Cond "cond" { branches });
attrs!(Call "call" { callee });
attrs!(Tuple "tuple" {});
attrs!(Proj "proj" { index });
attrs!(Fence "fence" {});
attrs!(Kernel "kernel" { level, text, results });
words!(KernelLevel { Tile "tile", Simt "simt" });

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

impl Vjp for Cond {
    fn vjp(&self, b: &mut Backward, at: &Site, cts: &[Option<NodeId>]) -> Cotangents {
        let wrt: Vec<usize> = (0..at.operands.len() - 1).filter(|i| at.needs.get(i + 1) == Some(&true)).collect();
        let (mask, present) = Backward::present(cts);
        check_flat(b, at, cts.len())?;
        let mut branches = Vec::new();
        for body in &self.branches {
            branches.push(Arc::new(b.body(body, &wrt, &mask)?));
        }
        let mut operands = at.operands.clone();
        operands.extend(present);
        let node = b.g.push(Cond { branches }, &operands)?;
        let mut out = vec![None; at.operands.len()];
        for (i, w) in wrt.iter().enumerate() {
            out[w + 1] = Some(b.g.proj(node, i)?);
        }
        Ok(out)
    }
}

impl Vjp for Call {
    fn vjp(&self, b: &mut Backward, at: &Site, cts: &[Option<NodeId>]) -> Cotangents {
        check_flat(b, at, self.callee.body.outputs().len())?;
        let wrt: Vec<usize> = (0..at.operands.len()).filter(|i| at.needs[*i]).collect();
        let (mask, present) = Backward::present(cts);
        let callee = b.callee(&self.callee, &wrt, &mask)?;
        let mut operands = at.operands.clone();
        operands.extend(present);
        let grads = b.g.call(&callee, &operands)?;
        let mut out = vec![None; at.operands.len()];
        for (w, ct) in wrt.iter().zip(grads) {
            out[*w] = Some(ct);
        }
        Ok(out)
    }
}

/// Bodies are differentiated when all they take and give are tensors.
fn check_flat(b: &Backward, at: &Site, results: usize) -> girih_base::Result<()> {
    let flat = |t: &Ty| t.tensor().is_some();
    let given = b.g.ty(at.node).leaves().len();
    if at.operands.iter().all(|o| flat(b.g.ty(*o))) && given == results {
        return Ok(());
    }
    Err(no_derivative(&b.g, at.node, "a body over tuples", "pass and return their parts instead"))
}

impl Vjp for Tuple {
    fn vjp(&self, _: &mut Backward, _: &Site, cts: &[Option<NodeId>]) -> Cotangents {
        Ok(cts.to_vec())
    }
}

impl Vjp for Proj {
    fn vjp(&self, b: &mut Backward, at: &Site, cts: &[Option<NodeId>]) -> Cotangents {
        let Ty::Tuple(items) = b.g.ty(at.operands[0]) else { return Ok(vec![None]) };
        let before: usize = items[..self.index].iter().map(|t| t.leaves().len()).sum();
        let mut out = vec![None; b.g.ty(at.operands[0]).leaves().len()];
        out[before..before + cts.len()].copy_from_slice(cts);
        Ok(out)
    }
}

impl Vjp for Fence {
    fn vjp(&self, _: &mut Backward, _: &Site, cts: &[Option<NodeId>]) -> Cotangents {
        Ok(cts.to_vec())
    }
}

impl Vjp for Kernel {
    fn vjp(&self, b: &mut Backward, at: &Site, _: &[Option<NodeId>]) -> Cotangents {
        Err(no_derivative(&b.g, at.node, "a hand-written kernel", "its text carries no derivative")
            .help("write the same computation in graph operations where a gradient is needed"))
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

impl Batch for Cond {
    fn batch(&self, b: &mut Batcher, args: &[Lane]) -> DiagResult<Vec<Lane>> {
        let (choice, rest) = (args[0], &args[1..]);
        if choice.batched && b.exchanges(&self.clone().into()) {
            return Err(cannot_batch(&b.g, "a choice", "replicas that choose differently exchange values in it"));
        }
        if choice.batched {
            return self.every_branch(b, choice, rest);
        }
        let flags: Vec<bool> = rest.iter().map(|a| a.batched).collect();
        let mut force: Vec<bool> = Vec::new();
        for body in &self.branches {
            let (_, out) = b.body(body, &flags, &[])?;
            force.resize(out.len(), false);
            force.iter_mut().zip(out).for_each(|(f, o)| *f |= o);
        }
        let mut branches = Vec::new();
        for body in &self.branches {
            branches.push(Arc::new(b.body(body, &flags, &force)?.0));
        }
        let operands: Vec<NodeId> = args.iter().map(|a| a.id).collect();
        let node = b.g.push(Cond { branches }, &operands)?;
        let lanes = b.unpack(node, true)?;
        Ok(lanes.into_iter().zip(force).map(|(l, batched)| Lane { batched, ..l }).collect())
    }
}

impl Cond {
    /// Examples choose differently: all branches run, and each example picks its own result.
    fn every_branch(&self, b: &mut Batcher, choice: Lane, args: &[Lane]) -> DiagResult<Vec<Lane>> {
        let dtype = b.g.tensor(choice.id)?.dtype;
        let mut result: Option<Vec<Lane>> = None;
        for (i, body) in self.branches.iter().enumerate().rev() {
            let mut rest = args.iter();
            let mut params = Vec::new();
            for p in body.params() {
                params.push(rest.by_ref().take(body.ty(*p).leaves().len()).copied().collect());
            }
            let out = b.run(body, params)?.concat();
            result = Some(match result {
                None => out,
                Some(later) => {
                    let taken = if dtype == DType::Bool {
                        b.g.map(ScalarOp::Not, &[choice.id])?
                    } else {
                        crate::nn::with(&mut b.g, ScalarOp::Le, choice.id, i as f64)?
                    };
                    // With a bool only branches 0 and 1 exist.
                    if dtype == DType::Bool && i > 0 {
                        out
                    } else {
                        let taken = Lane { id: taken, batched: true };
                        out.iter().zip(later).map(|(o, l)| b.select(taken, *o, l)).collect::<DiagResult<_>>()?
                    }
                }
            });
        }
        result.ok_or_else(|| cannot_batch(&b.g, "a choice", "it has no branches"))
    }
}

impl Batch for Call {
    fn batch(&self, b: &mut Batcher, args: &[Lane]) -> DiagResult<Vec<Lane>> {
        let flags: Vec<bool> = args.iter().map(|a| a.batched).collect();
        let (callee, results) = b.callee(&self.callee, &flags)?;
        let operands: Vec<NodeId> = args.iter().map(|a| a.id).collect();
        let out = b.g.call(&callee, &operands)?;
        Ok(out.into_iter().zip(results).map(|(id, batched)| Lane { id, batched }).collect())
    }
}

impl Batch for Fence {
    fn batch(&self, b: &mut Batcher, args: &[Lane]) -> DiagResult<Vec<Lane>> {
        args.iter().map(|a| Ok(Lane { id: b.g.push(Fence, &[a.id])?, ..*a })).collect()
    }
}

// The walk takes tuples apart itself.
macro_rules! taken_apart {
    ($($kind:ty),*) => {$(
        impl Batch for $kind {
            fn batch(&self, _: &mut Batcher, args: &[Lane]) -> DiagResult<Vec<Lane>> {
                Ok(args.to_vec())
            }
        }
    )*};
}
taken_apart!(Tuple, Proj);

impl Batch for Kernel {
    fn batch(&self, b: &mut Batcher, _: &[Lane]) -> DiagResult<Vec<Lane>> {
        Err(cannot_batch(&b.g, "a hand-written kernel", "its text is for one example")
            .help("give the kernel a batch axis, or write it in graph operations"))
    }
}
