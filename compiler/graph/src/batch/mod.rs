//! Batching: a graph over single examples becomes one over many.
//!
//! Every tensor of the new graph is either the same for all examples or has the batch as its first axis. Each operation's
//! own rule ([`Batch`]) says how it acts then; operations whose operands are all the same for all examples are
//! copied as they are. Tuples are taken apart on the way.

use crate::graph::{Graph, NodeId, ParamKind};
use crate::ops::{Callee, Op, Tuple};
use crate::ty::{TensorTy, Ty};
use girih_base::{Diag, Dim, Result, ScalarOp};
use std::sync::Arc;

/// A tensor of the new graph.
#[derive(Clone, Copy, Debug)]
pub struct Lane {
    /// The tensor.
    pub id: NodeId,
    /// Whether its first axis is the batch; otherwise it is the same for all examples.
    pub batched: bool,
}

/// The batching rule of an operation kind.
pub trait Batch {
    /// The tensors of the result from those of the operands (tuples flattened), at least one of which is batched.
    fn batch(&self, b: &mut Batcher, args: &[Lane]) -> Result<Vec<Lane>>;
}

/// A graph being batched.
pub struct Batcher {
    /// The new graph.
    pub g: Graph,
    /// Extent of the batch axis.
    pub size: Dim,
    name: Option<Arc<str>>,
    calls: Vec<KnownCall>,
}

/// A callee batched before, and which of its arguments and results are batched. The original is kept so that its
/// address stays its own.
struct KnownCall {
    original: Arc<Callee>,
    args: Vec<bool>,
    made: Arc<Callee>,
    results: Vec<bool>,
}

/// Maps `f` over a batch of `size` examples. `in_axes` has one entry per parameter: the axis of the new parameter that is
/// the batch, or `None` for what all examples share. Every output of the result has the batch as its first axis.
pub fn vmap(f: &Graph, in_axes: &[Option<usize>], size: impl Into<Dim>) -> Result<Graph> {
    mapped(f, in_axes, size.into(), None)
}

/// [`vmap`] with the examples as the replicas along the axis `name`: exchanges over that axis become local operations
/// (JAX's `vmap` with `axis_name`), exchanges over other axes stay.
///
/// # Errors
/// `G022` as for [`vmap`], and for an exchange among another number of replicas than `size`.
pub fn vmap_named(f: &Graph, in_axes: &[Option<usize>], size: usize, name: &str) -> Result<Graph> {
    mapped(f, in_axes, Dim::from(size), Some(name.into()))
}

fn mapped(f: &Graph, in_axes: &[Option<usize>], size: Dim, name: Option<Arc<str>>) -> Result<Graph> {
    if in_axes.len() != f.params().len() {
        let (n, got) = (f.params().len(), in_axes.len());
        return Err(Diag::error("G022", format!("`{}` has {n} parameters, and {got} batch axes were given", f.name)));
    }
    let mut b = Batcher { g: Graph::new(format!("{}.vmap", f.name)), size, name, calls: Vec::new() };
    let mut params = Vec::new();
    for (p, axis) in f.params().iter().zip(in_axes) {
        params.push(b.outer_param(f, *p, *axis)?);
    }
    let results = b.run(f, params)?;
    let mut outputs = Vec::new();
    for (lanes, out) in results.iter().zip(f.outputs()) {
        let full: Vec<Lane> = lanes.iter().map(|l| b.lift(*l)).collect::<Result<_>>()?;
        outputs.push(b.pack(f.ty(*out), &mut full.iter())?);
    }
    b.g.set_outputs(outputs);
    b.g.compact()
}

impl Batcher {
    fn outer_param(&mut self, f: &Graph, p: NodeId, axis: Option<usize>) -> Result<Vec<Lane>> {
        let node = f.node(p);
        let (name, loc) = (node.name.as_deref().unwrap_or_default(), node.loc.clone());
        let kind = if let Op::Param(p) = &node.op { p.kind } else { ParamKind::Input };
        let Some(axis) = axis else {
            let id = self.g.param(name, node.ty.clone(), kind, loc);
            return self.unpack(id, false);
        };
        let Some(ty) = node.ty.tensor().filter(|t| axis <= t.rank()) else {
            let why = format!("parameter `{name}`, {}, cannot have its batch at axis {axis}", node.ty);
            return Err(Diag::error("G022", why).at(&loc, "this parameter"));
        };
        let mut ty = ty.clone();
        ty.shape.insert(axis, self.size.clone());
        let mut order: Vec<usize> = (0..ty.rank()).filter(|a| *a != axis).collect();
        order.insert(0, axis);
        let id = self.g.param(name, ty, kind, loc);
        Ok(vec![Lane { id: self.g.permute(id, &order)?, batched: true }])
    }

    /// Appends `f` with the given tensors for its parameters; gives the tensors of each output.
    pub fn run(&mut self, f: &Graph, params: Vec<Vec<Lane>>) -> Result<Vec<Vec<Lane>>> {
        let live = f.live();
        let mut map: Vec<Vec<Lane>> = vec![Vec::new(); f.len()];
        for (p, lanes) in f.params().iter().zip(params) {
            map[p.0 as usize] = lanes;
        }
        for id in f.ids() {
            let node = f.node(id);
            if !live[id.0 as usize] || matches!(node.op, Op::Param(_)) {
                continue;
            }
            self.g.set_loc(node.loc.clone());
            let operands = f.operands(id);
            let args: Vec<Lane> = operands.iter().flat_map(|o| map[o.0 as usize].clone()).collect();
            let lanes = match &node.op {
                Op::Tuple(_) => args,
                Op::Proj(p) => pick(f.ty(operands[0]), p.index, &args),
                op if args.iter().any(|a| a.batched) || self.exchanges(op) => op.batch(self, &args)?,
                op => {
                    let mut rest = args.iter();
                    let packed: Vec<NodeId> =
                        operands.iter().map(|o| self.pack(f.ty(*o), &mut rest)).collect::<Result<_>>()?;
                    let new = self.g.push(op.clone(), &packed)?;
                    self.unpack(new, false)?
                }
            };
            if let ([one], Some(name)) = (&lanes[..], &node.name) {
                self.g.set_name(one.id, name);
            }
            map[id.0 as usize] = lanes;
        }
        Ok(f.outputs().iter().map(|o| map[o.0 as usize].clone()).collect())
    }

    /// [`Batcher::run`] for a body that is a graph of its own: its parameters and outputs are the tensors of `f`'s, tuples
    /// flattened, batched where `flags` says so. Outputs flagged in `force` are batched in any case. Gives the body and
    /// which outputs are batched.
    pub fn body(&mut self, f: &Graph, flags: &[bool], force: &[bool]) -> Result<(Graph, Vec<bool>)> {
        self.nested(f, flags, |b, params| {
            let mut lanes: Vec<Lane> = b.run(f, params)?.into_iter().flatten().collect();
            for (lane, force) in lanes.iter_mut().zip(force) {
                if *force {
                    *lane = b.lift(*lane)?;
                }
            }
            Ok(lanes)
        })
    }

    /// A new graph with `f`'s parameters, filled by `build`.
    pub(crate) fn nested(
        &mut self,
        f: &Graph,
        flags: &[bool],
        build: impl FnOnce(&mut Batcher, Vec<Vec<Lane>>) -> Result<Vec<Lane>>,
    ) -> Result<(Graph, Vec<bool>)> {
        let outer = std::mem::replace(&mut self.g, Graph::new(f.name.clone()));
        let mut flags = flags.iter();
        let mut params = Vec::new();
        for p in f.params() {
            let node = f.node(*p);
            let name = node.name.as_deref().unwrap_or_default();
            let mut lanes = Vec::new();
            for leaf in node.ty.leaves() {
                let batched = flags.next().copied().unwrap_or_default();
                let ty = if batched { self.with_batch(leaf) } else { leaf.clone() };
                lanes.push(Lane { id: self.g.param(name, ty, ParamKind::Input, node.loc.clone()), batched });
            }
            params.push(lanes);
        }
        let built = build(self, params);
        let mut body = std::mem::replace(&mut self.g, outer);
        let lanes = built?;
        body.set_outputs(lanes.iter().map(|l| l.id).collect());
        Ok((body.compact()?, lanes.iter().map(|l| l.batched).collect()))
    }

    /// A callee for these batched arguments, made once; and which results are batched.
    pub(crate) fn callee(&mut self, original: &Arc<Callee>, args: &[bool]) -> Result<(Arc<Callee>, Vec<bool>)> {
        if let Some(k) = self.calls.iter().find(|k| Arc::ptr_eq(&k.original, original) && k.args == args) {
            return Ok((k.made.clone(), k.results.clone()));
        }
        let (body, results) = self.body(&original.body, args, &[])?;
        let (name, attrs) = crate::nn::batched_composite(original, args);
        let made = Arc::new(Callee { name, attrs, body });
        self.calls.push(KnownCall {
            original: original.clone(),
            args: args.to_vec(),
            made: made.clone(),
            results: results.clone(),
        });
        Ok((made, results))
    }

    /// Whether the examples are the replicas along the axis `over`.
    pub(crate) fn resolves(&self, over: &str) -> bool {
        self.name.as_deref() == Some(over)
    }

    /// Whether an operation, or a body inside it, exchanges values between the examples.
    pub(crate) fn exchanges(&self, op: &Op) -> bool {
        self.name.as_deref().is_some_and(|name| crate::eval::exchanges(op, Some(name)))
    }

    /// The type with the batch in front.
    pub fn with_batch(&self, ty: &TensorTy) -> TensorTy {
        let mut ty = ty.clone();
        ty.shape.insert(0, self.size.clone());
        ty
    }

    /// The shape with the batch in front.
    pub fn shape(&self, shape: &[Dim]) -> Vec<Dim> {
        std::iter::once(&self.size).chain(shape).cloned().collect()
    }

    /// The tensor with the batch in front, repeated if it is the same for all examples.
    pub fn lift(&mut self, lane: Lane) -> Result<Lane> {
        if lane.batched {
            return Ok(lane);
        }
        let ty = self.g.tensor(lane.id)?.clone();
        let shape = self.shape(&ty.shape);
        let id = self.g.broadcast(lane.id, shape, (1..=ty.rank()).collect())?;
        Ok(Lane { id, batched: true })
    }

    /// All tensors with the batch in front.
    pub fn lift_all(&mut self, lanes: &[Lane]) -> Result<Vec<NodeId>> {
        lanes.iter().map(|l| Ok(self.lift(*l)?.id)).collect()
    }

    /// Appends an operation whose results are all batched.
    pub fn push(&mut self, op: impl Into<Op>, operands: &[NodeId]) -> Result<Vec<Lane>> {
        let id = self.g.push(op, operands)?;
        self.unpack(id, true)
    }

    /// Example by example `yes` where `condition` (one bool per example) holds, else `no`.
    pub fn select(&mut self, condition: Lane, yes: Lane, no: Lane) -> Result<Lane> {
        let [condition, yes, no] = [self.lift(condition)?, self.lift(yes)?, self.lift(no)?];
        let shape = self.g.tensor(yes.id)?.shape.clone();
        let wide = self.g.broadcast(condition.id, shape, vec![0])?;
        Ok(Lane { id: self.g.map(ScalarOp::Select, &[wide, yes.id, no.id])?, batched: true })
    }

    /// The tensors of a node, tuples flattened.
    pub fn unpack(&mut self, id: NodeId, batched: bool) -> Result<Vec<Lane>> {
        let n = match self.g.ty(id) {
            Ty::Tensor(_) => return Ok(vec![Lane { id, batched }]),
            Ty::Tuple(items) => items.len(),
        };
        let mut lanes = Vec::new();
        for i in 0..n {
            let part = self.g.proj(id, i)?;
            lanes.extend(self.unpack(part, batched)?);
        }
        Ok(lanes)
    }

    /// One value of the structure of `ty` from its tensors.
    fn pack(&mut self, ty: &Ty, lanes: &mut std::slice::Iter<Lane>) -> Result<NodeId> {
        match ty {
            Ty::Tensor(_) => lanes.next().map(|l| l.id).ok_or_else(|| Diag::error("G022", "a value was not batched")),
            Ty::Tuple(items) => {
                let parts: Vec<NodeId> = items.iter().map(|t| self.pack(t, lanes)).collect::<Result<_>>()?;
                self.g.push(Tuple, &parts)
            }
        }
    }
}

/// The tensors of item `index` of a tuple.
fn pick(ty: &Ty, index: usize, args: &[Lane]) -> Vec<Lane> {
    let Ty::Tuple(items) = ty else { return Vec::new() };
    let before: usize = items[..index].iter().map(|t| t.leaves().len()).sum();
    args[before..before + items[index].leaves().len()].to_vec()
}

/// Axes behind the batch axis.
pub(crate) fn behind(axes: &[usize]) -> Vec<usize> {
    axes.iter().map(|a| a + 1).collect()
}

/// The error of an operation that cannot be batched.
pub(crate) fn cannot_batch(g: &Graph, what: &str, why: &str) -> Box<Diag> {
    Diag::error("G022", format!("{what} cannot be batched: {why}")).at(&g.here, "this operation")
}
