//! Finds operations over elements that only another one needs, and computes them together, a strip at a time; and results
//! that can be written over the carried value they are made of.

use crate::program::{Chain, Code, Inst, Link, Source};
use girih_tile::{Kernel, Op};

/// Shortest last axis of a chain: shorter runs are not worth a strip.
const SHORTEST: u32 = 64;
/// Most operations of a chain.
const LONGEST: usize = 16;

/// Joins operations of a program into chains; `uses` counts the uses of each value.
pub(crate) fn join(kernel: &Kernel, code: &mut Code, uses: &[u32]) {
    for inst in &mut code.insts {
        // Bodies of folds run over pairs, operation by operation.
        if !matches!(inst.op, Op::Reduce { .. } | Op::Scan { .. }) {
            inst.blocks.iter_mut().for_each(|b| join(kernel, b, uses));
        }
    }
    let mut gone = vec![false; code.insts.len()];
    for root in (0..code.insts.len()).rev() {
        if gone[root] || !joins(kernel, &code.insts[root]) {
            continue;
        }
        let members = members(kernel, code, uses, root);
        if members.len() > 1 {
            members.iter().filter(|m| **m != root).for_each(|m| gone[*m] = true);
            code.insts[root].chain = Some(Box::new(chain(code, &members)));
        }
    }
    let mut gone = gone.into_iter();
    code.insts.retain(|_| !gone.next().unwrap_or(false));
    for inst in &mut code.insts {
        if let (Op::For { .. }, [body]) = (&inst.op, &mut inst.blocks[..]) {
            over(kernel, body, uses);
        }
    }
}

/// Whether an operation may be part of a chain.
fn joins(kernel: &Kernel, inst: &Inst) -> bool {
    let shape = &kernel.values[inst.dst.first().copied().unwrap_or(0)].ty.shape;
    let run = shape.iter().rev().find(|e| **e > 1).is_some_and(|e| *e >= SHORTEST);
    matches!(inst.op, Op::Map(..)) && run && inst.inner.is_some_and(|i| i.plain())
}

/// Indices of the operations of the chain that ends with `root`, in order.
fn members(kernel: &Kernel, code: &Code, uses: &[u32], root: usize) -> Vec<usize> {
    let mut members = vec![root];
    let mut open = operands(&code.insts[root]);
    let mut externals: Vec<usize> = Vec::new();
    while let Some((v, times)) = open.pop() {
        let found = code.insts[..root].iter().position(|i| i.dst.contains(&v));
        let found = found.filter(|i| uses[v] == times && joins(kernel, &code.insts[*i]) && members.len() < LONGEST);
        let same = |i: &usize| {
            let shape = |id: usize| &kernel.values[id].ty.shape;
            shape(code.insts[*i].dst[0]) == shape(code.insts[root].dst[0])
        };
        // Each operation that joins brings up to three values in place of one.
        match found.filter(same) {
            Some(i) if externals.len() + open.len() + 3 <= Chain::EXTERNALS => {
                members.push(i);
                open.extend(operands(&code.insts[i]));
            }
            _ if externals.contains(&v) => {}
            _ => externals.push(v),
        }
    }
    members.sort_unstable();
    members
}

/// The values that an operation reads, each once, with how often it reads them.
fn operands(inst: &Inst) -> Vec<(usize, u32)> {
    let mut all: Vec<(usize, u32)> = Vec::new();
    for v in inst.operands() {
        match all.iter_mut().find(|(id, _)| *id == v) {
            Some((_, times)) => *times += 1,
            None => all.push((v, 1)),
        }
    }
    all
}

fn chain(code: &Code, members: &[usize]) -> Chain {
    let (mut links, mut externals, mut free, mut strips) = (Vec::new(), Vec::new(), Vec::new(), 0);
    let mut lies: Vec<(usize, usize)> = Vec::new();
    for m in members {
        let inst = &code.insts[*m];
        let Some(inner) = inst.inner else { continue };
        let (mut done, mut args) = (Vec::new(), Vec::new());
        for v in inst.operands() {
            if let Some((_, strip)) = lies.iter().find(|(id, _)| *id == v) {
                args.push(Source::Strip(*strip));
                if !done.contains(strip) {
                    done.push(*strip);
                }
                continue;
            }
            let known = externals.iter().position(|e| *e == v);
            args.push(Source::External(known.unwrap_or_else(|| {
                externals.push(v);
                externals.len() - 1
            })));
        }
        // Results never lie where an operand of the same operation does.
        let to = free.pop().unwrap_or_else(|| {
            strips += 1;
            strips - 1
        });
        free.extend(done);
        lies.push((inst.dst[0], to));
        links.push(Link { inner, args, to, bytes: inner.result_bytes() });
    }
    Chain { links, externals, strips }
}

/// Lets results of a loop's body be written over the carried values that nothing but they are made of.
fn over(kernel: &Kernel, body: &mut Code, uses: &[u32]) {
    for (param, result) in body.params[1..].iter().zip(&body.results) {
        let Some(at) = body.insts.iter().position(|i| i.dst.first() == Some(result)) else { continue };
        let inst = &body.insts[at];
        let ready = uses[*param] == 1 && inst.operands().contains(param) && inst.direct.is_none();
        if !ready || inst.chain.is_none() && !joins(kernel, inst) {
            continue;
        }
        if inst.chain.is_none() {
            body.insts[at].chain = Some(Box::new(chain(body, &[at])));
        }
        body.insts[at].over = Some(*param);
    }
}
