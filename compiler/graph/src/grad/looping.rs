//! Derivatives of counted loops: the forward loop keeps the carried values that the backward loop will read.

use super::engine::active;
use super::{Backward, Site, no_derivative, zeros};
use crate::graph::{Graph, NodeId, ParamKind};
use crate::ops::{DynSlice, DynUpdate, Loop, LoopKind, Op, Tuple};
use crate::ty::{TensorTy, Ty};
use girih_base::{DType, Dim, Loc, Result, ScalarOp};
use std::sync::Arc;

/// What a rewritten loop keeps for its derivative.
pub(crate) struct SavedLoop {
    rounds: Dim,
    /// Number of carried values before the kept ones.
    carried: usize,
    /// Carried values that are kept, in the order of their stacks.
    kept: Vec<usize>,
    /// Carried values and constants that have a derivative.
    active: Vec<usize>,
    constants: Vec<usize>,
    /// One round backwards: the body's parameters and the cotangents of `active` -> those of `active` and `constants`.
    back: Graph,
}

/// Appends a loop that also stacks the carried values its derivative reads; gives a tuple like the original's.
pub(crate) fn keep(b: &mut Backward, l: &Loop, operands: &[NodeId], needs: &[bool]) -> Result<NodeId> {
    let LoopKind::For(rounds) = &l.kind else {
        // Refused only if a cotangent reaches it.
        return b.g.push(l.clone(), operands);
    };
    let tys = tensor_types(b, l, operands)?;
    if rounds.is(0) {
        return b.g.push(Tuple, &operands[..l.carried]);
    }
    let flags = active_carried(&l.body, l.carried, needs);
    let act: Vec<usize> = (0..l.carried).filter(|j| flags[*j]).collect();
    let constants: Vec<usize> = (l.carried..operands.len()).filter(|j| needs[*j]).collect();
    let wrt: Vec<usize> = act.iter().chain(&constants).map(|j| j + 1).collect();
    let back = b.body(&l.body, &wrt, &flags)?;
    let kept: Vec<usize> = (0..l.carried)
        .filter(|j| !back.users(back.params()[j + 1]).is_empty() || back.outputs().contains(&back.params()[j + 1]))
        .collect();

    // Body parameters: round, carried, stacks, constants.
    let stack = |j: usize| -> TensorTy {
        let mut ty = tys[j].clone();
        ty.shape.insert(0, rounds.clone());
        ty
    };
    let mut body = Graph::new(l.body.name.clone());
    let (round, rest) = params(&mut body, |p| {
        for (j, ty) in tys.iter().enumerate().take(l.carried) {
            p(&format!("c{j}"), ty.clone());
        }
        for j in &kept {
            p(&format!("kept{j}"), stack(*j));
        }
        for (j, ty) in tys.iter().enumerate().skip(l.carried) {
            p(&format!("k{j}"), ty.clone());
        }
    });
    let (carried, more) = rest.split_at(l.carried);
    let (stacks, fixed) = more.split_at(kept.len());
    let args: Vec<NodeId> = [round].iter().chain(carried).chain(fixed).copied().collect();
    let mut outputs = body.inline(&l.body, &args, &Loc::unknown())?;
    for (s, j) in stacks.iter().zip(&kept) {
        let mut shape = tys[*j].shape.clone();
        shape.insert(0, Dim::ONE);
        let part = body.reshape(carried[*j], shape)?;
        let starts = starts(&mut body, round, tys[*j].rank())?;
        let all: Vec<NodeId> = [*s, part].into_iter().chain(starts).collect();
        outputs.push(body.push(DynUpdate { donate: true }, &all)?);
    }
    body.set_outputs(outputs);

    let mut all = operands[..l.carried].to_vec();
    for j in &kept {
        all.push(zeros(&mut b.g, &stack(*j))?);
    }
    all.extend(&operands[l.carried..]);
    let kind = LoopKind::For(rounds.clone());
    let node = b.g.push(Loop { kind, body: Arc::new(body), carried: l.carried + kept.len() }, &all)?;
    b.loops.insert(node, SavedLoop { rounds: rounds.clone(), carried: l.carried, kept, active: act, constants, back });
    let values: Vec<NodeId> = (0..l.carried).map(|j| b.g.proj(node, j)).collect::<Result<_>>()?;
    b.g.push(Tuple, &values)
}

/// The backward loop of a node that [`keep`] made.
pub(crate) fn back(b: &mut Backward, at: &Site, cts: &[Option<NodeId>]) -> Result<Vec<Option<NodeId>>> {
    let Some(saved) = b.loops.remove(&at.node) else {
        if let Op::Loop(Loop { kind: LoopKind::While(_), .. }) = b.g.op(at.node) {
            let why = "the number of rounds is not known beforehand";
            return Err(no_derivative(&b.g, at.node, "a `while` loop", why)
                .help("use a counted loop that stops changing its values when it is done"));
        }
        return Err(no_derivative(&b.g, at.node, "this loop", "nothing was kept from its rounds"));
    };
    let shift = saved.kept.len();
    let mut tys = Vec::new();
    for (i, o) in at.operands.iter().enumerate() {
        if !(saved.carried..saved.carried + shift).contains(&i) {
            tys.push(b.g.tensor(*o)?.clone());
        }
    }
    let flowing: Vec<usize> = saved.active.iter().chain(&saved.constants).copied().collect();

    // Body parameters: round, cotangents of active, sums for constants, constants, stacks.
    let mut body = Graph::new(format!("{}.loop", saved.back.name));
    let stack_ids: Vec<NodeId> = (0..shift).map(|s| b.g.proj(at.node, saved.carried + s)).collect::<Result<_>>()?;
    let stack_tys: Vec<TensorTy> = stack_ids.iter().map(|s| b.g.tensor(*s).cloned()).collect::<Result<_>>()?;
    let (round, rest) = params(&mut body, |p| {
        for j in &flowing {
            p(&format!("ct{j}"), tys[*j].clone());
        }
        for (j, ty) in tys.iter().enumerate().skip(saved.carried) {
            p(&format!("k{j}"), ty.clone());
        }
        for (j, ty) in saved.kept.iter().zip(&stack_tys) {
            p(&format!("kept{j}"), ty.clone());
        }
    });
    let (flow, more) = rest.split_at(flowing.len());
    let (fixed, stacks) = more.split_at(tys.len() - saved.carried);
    let last = body.size(&saved.rounds - 1, DType::I32)?;
    let round = body.map(ScalarOp::Sub, &[last, round])?;
    let mut args = vec![round];
    for (j, ty) in tys.iter().enumerate().take(saved.carried) {
        args.push(match saved.kept.iter().position(|k| k == &j) {
            None => zeros(&mut body, ty)?,
            Some(s) => {
                let mut sizes = ty.shape.clone();
                sizes.insert(0, Dim::ONE);
                let starts = starts(&mut body, round, ty.rank())?;
                let all: Vec<NodeId> = [stacks[s]].into_iter().chain(starts).collect();
                let part = body.push(DynSlice { sizes }, &all)?;
                body.reshape(part, ty.shape.clone())?
            }
        });
    }
    args.extend(fixed);
    args.extend(&flow[..saved.active.len()]);
    let grads = body.inline(&saved.back, &args, &Loc::unknown())?;
    let (next, parts) = grads.split_at(saved.active.len());
    let mut outputs = next.to_vec();
    for (sum, part) in flow[saved.active.len()..].iter().zip(parts) {
        outputs.push(body.map(ScalarOp::Add, &[*sum, *part])?);
    }
    body.set_outputs(outputs);

    let mut operands = Vec::new();
    for j in &flowing {
        operands.push(match cts.get(*j).copied().flatten() {
            Some(ct) if *j < saved.carried => ct,
            _ => zeros(&mut b.g, &tys[*j])?,
        });
    }
    operands.extend(&at.operands[saved.carried + shift..]);
    operands.extend(&stack_ids);
    let kind = LoopKind::For(saved.rounds.clone());
    let node = b.g.push(Loop { kind, body: Arc::new(body), carried: flowing.len() }, &operands)?;
    let mut out = vec![None; at.operands.len()];
    for (i, j) in flowing.iter().enumerate() {
        let place = if *j < saved.carried { *j } else { *j + shift };
        out[place] = Some(b.g.proj(node, i)?);
    }
    Ok(out)
}

/// Which carried values depend on anything that needs a cotangent, after any number of rounds.
fn active_carried(body: &Graph, carried: usize, needs: &[bool]) -> Vec<bool> {
    let mut flags = needs[..carried].to_vec();
    loop {
        let wanted: Vec<NodeId> = (0..needs.len())
            .filter(|j| if *j < carried { flags[*j] } else { needs[*j] })
            .filter_map(|j| body.params().get(j + 1).copied())
            .collect();
        let active = active(body, &wanted);
        let next: Vec<bool> = (0..carried)
            .map(|j| flags[j] || (active[body.outputs()[j].0 as usize] && super::is_float(body, body.outputs()[j])))
            .collect();
        if next == flags {
            return flags;
        }
        flags = next;
    }
}

fn tensor_types(b: &Backward, l: &Loop, operands: &[NodeId]) -> Result<Vec<TensorTy>> {
    let site = l.body.outputs().first().copied();
    operands
        .iter()
        .map(|o| match b.g.ty(*o) {
            Ty::Tensor(t) => Ok(t.clone()),
            Ty::Tuple(_) => Err(no_derivative(&b.g, *o, "a loop over tuples", "carry their parts instead")
                .at(&site.map_or(Loc::unknown(), |s| l.body.node(s).loc.clone()), "the loop's body")),
        })
        .collect()
}

/// Adds the round and then what `rest` declares.
fn params(body: &mut Graph, rest: impl FnOnce(&mut dyn FnMut(&str, TensorTy))) -> (NodeId, Vec<NodeId>) {
    let round = body.param("round", TensorTy::scalar(DType::I32), ParamKind::Input, Loc::unknown());
    let mut list = Vec::new();
    rest(&mut |name, ty| list.push(body.param(name, ty, ParamKind::Input, Loc::unknown())));
    (round, list)
}

/// Start indices `round, 0, 0, ..` of a stack of values with `rank` axes.
fn starts(g: &mut Graph, round: NodeId, rank: usize) -> Result<Vec<NodeId>> {
    let zero = g.scalar(0, DType::I32)?;
    Ok(std::iter::once(round).chain(std::iter::repeat_n(zero, rank)).collect())
}
