//! Hand-written kernels: parsed, checked against the operands and results they are given, and launched as they are.

use super::{Lower, names};
use crate::program::{Step, TensorRef};
use girih_base::{DType, Diag, Dim, Result};
use girih_graph::ops::{Kernel as HandWritten, KernelLevel};
use girih_graph::{Graph, NodeId, TensorTy};
use girih_tile::{Access, Builder, Kernel, Literal, TileTy, View, ViewAxis};

/// Elements that one program of a filling kernel writes.
const FILL: u32 = 256;

impl Lower<'_> {
    /// Launches a hand-written kernel; gives the tensors of its results. Results that it also reads start as zeros.
    ///
    /// # Errors
    /// `L006` parameters that do not fit the operands and results, and what the kernel's own parser and verifier say.
    pub(super) fn hand_written(
        &mut self,
        graph: &Graph,
        id: NodeId,
        given: &HandWritten,
        operands: &[TensorRef],
        steps: &mut Vec<Step>,
    ) -> Result<Vec<TensorRef>> {
        if given.level == KernelLevel::Simt {
            return Err(Diag::error("L002", "a kernel in SIMT form cannot be launched from a graph yet")
                .at(&graph.node(id).loc, "this operation")
                .help("give it in tile form"));
        }
        let kernel = girih_tile::parse(&given.text)?;
        girih_tile::verify(&kernel)?;
        let inputs = graph.operands(id).iter().map(|o| Ok(graph.tensor(*o)?.clone())).collect::<Result<Vec<_>>>()?;
        check(&kernel, &inputs, &given.results).map_err(|d| d.at(&graph.node(id).loc, "launched here"))?;
        let label = names::label(graph, id);
        let results: Vec<TensorRef> = given.results.iter().map(|t| self.temp(&label, t)).collect();
        for (r, p) in results.iter().zip(&kernel.params[inputs.len()..]) {
            if p.access == Access::ReadWrite && !p.len.is(0) {
                let kernel = self.share(zeros(p.dtype, &p.len));
                steps.push(Step::Launch { kernel, args: vec![*r] });
            }
        }
        let args = operands.iter().chain(&results).copied().collect();
        let kernel = self.share(kernel);
        steps.push(Step::Launch { kernel, args });
        Ok(results)
    }
}

/// Whether a kernel's parameters are the operands, which it only reads, and then the results, which it writes.
fn check(kernel: &Kernel, operands: &[TensorTy], results: &[TensorTy]) -> Result<()> {
    let (has, wants) = (kernel.params.len(), operands.len() + results.len());
    if has != wants {
        return Err(refuse(kernel, format!("has {has} parameters")).note(format!(
            "it is given {} operands and {} results",
            operands.len(),
            results.len()
        )));
    }
    for (i, (p, ty)) in kernel.params.iter().zip(operands.iter().chain(results)).enumerate() {
        let (what, written) = match i.checked_sub(operands.len()) {
            None => (format!("operand {i}"), false),
            Some(r) => (format!("result {r}"), true),
        };
        if p.dtype != ty.dtype {
            return Err(refuse(kernel, format!("takes `{}` as {}, but {what} is {ty}", p.name, p.dtype)));
        }
        let elements = ty.elements();
        if p.len != elements {
            return Err(refuse(kernel, format!("takes {} elements of `{}`, but {what} is {ty}", p.len, p.name))
                .note(format!("{what} has {elements} elements")));
        }
        if written != (p.access != Access::Read) {
            let does = if written { "does not write" } else { "writes" };
            return Err(refuse(kernel, format!("{does} `{}`, which is {what}", p.name))
                .help("operands are only read; what a kernel writes is a result"));
        }
    }
    Ok(())
}

fn refuse(kernel: &Kernel, why: String) -> Box<Diag> {
    Diag::error("L006", format!("the hand-written kernel `{}` {why}", kernel.name))
}

/// A kernel that writes zeros.
fn zeros(dtype: DType, len: &Dim) -> Kernel {
    let mut b = Builder::new();
    let out = b.param("out", dtype, len.clone(), Access::Write, false);
    let (id, step) = (b.program_id(0), b.int(FILL as i64));
    let start = b.map(girih_base::ScalarOp::Mul, &[id, step]);
    let zero = if dtype.is_float() { Literal::float(0.0) } else { Literal::Int(0) };
    let zero = b.constant(zero, TileTy::new(dtype, [FILL]));
    let inside = len.divisible_by(FILL as i64).yes();
    let axes = vec![ViewAxis { extent: len.clone(), stride: Dim::ONE, inside }];
    b.store(out, View { offset: Dim::ZERO, axes, guards: Vec::new() }, &[start], zero);
    b.finish("zeros", vec![len.ceil_div(&Dim::from(FILL))])
}
