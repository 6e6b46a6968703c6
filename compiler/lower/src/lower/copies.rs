//! Tensors of a program and the copies between them: results and states that need memory of their own.

use super::Lower;
use crate::program::{Step, TensorKind, TensorRef};
use girih_base::Dim;
use girih_graph::{Graph, NodeId};

impl Lower<'_> {
    pub(super) fn bytes(&self, t: TensorRef) -> Dim {
        let ty = &self.program.tensors[t.0 as usize].ty;
        (&ty.elements() * ty.dtype.bits() as i64).ceil_div(&Dim::from(8))
    }

    pub(super) fn copy_all(&self, from: TensorRef, to: TensorRef) -> Step {
        Step::Copy { from, from_offset: Dim::ZERO, to, to_offset: Dim::ZERO, bytes: self.bytes(to) }
    }

    /// The tensors with copies of those given twice: parameters of a kernel never overlap.
    pub(super) fn distinct(&mut self, tensors: &[TensorRef], steps: &mut Vec<Step>) -> Vec<TensorRef> {
        let mut own: Vec<TensorRef> = Vec::new();
        for t in tensors {
            if !own.contains(t) {
                own.push(*t);
                continue;
            }
            let tensor = self.program.tensors[t.0 as usize].clone();
            let copy = self.temp(&tensor.label, &tensor.ty);
            steps.push(self.copy_all(*t, copy));
            own.push(copy);
        }
        own
    }

    /// Results that are parameters (or given twice) get memory of their own.
    pub(super) fn detach(&mut self, results: &[TensorRef]) -> Vec<TensorRef> {
        let mut out: Vec<TensorRef> = Vec::new();
        for r in results {
            let t = self.program.tensors[r.0 as usize].clone();
            if t.kind == TensorKind::Temp && !out.contains(r) {
                out.push(*r);
            } else {
                let copy = self.temp(&t.label, &t.ty);
                let step = self.copy_all(*r, copy);
                self.program.steps.push(step);
                out.push(copy);
            }
        }
        out
    }

    /// Copies new states that were not written in place; through temporaries where a state's old value is still to be read.
    pub(super) fn write_back(&mut self, updates: &[TensorRef], states: &[TensorRef]) {
        let mut copies = Vec::new();
        for (new, state) in updates.iter().zip(states) {
            if new == state {
                continue;
            }
            let from = if states.contains(new) {
                let t = self.program.tensors[new.0 as usize].clone();
                let temp = self.temp(&t.label, &t.ty);
                let step = self.copy_all(*new, temp);
                self.program.steps.push(step);
                temp
            } else {
                *new
            };
            copies.push(self.copy_all(from, *state));
        }
        self.program.steps.extend(copies);
    }
}

/// Whether `update` alone reads the memory of `source`, its first operand seen through reshapes.
pub(super) fn last_reader(graph: &Graph, update: NodeId, source: NodeId) -> bool {
    let mut at = graph.operands(update)[0];
    loop {
        if graph.users(at).len() != 1 || graph.outputs().contains(&at) {
            return false;
        }
        match graph.operands(at).first() {
            _ if at == source => return true,
            Some(below) => at = *below,
            None => return false,
        }
    }
}
