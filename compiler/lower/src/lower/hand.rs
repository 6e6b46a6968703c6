//! Hand-written kernels: parsed, checked against the operands and results they are given, and launched as they are.

use super::{Lower, names};
use crate::program::{Step, TensorRef};
use girih_base::{DType, Diag, Dim, Result};
use girih_graph::ops::{Kernel as HandWritten, KernelLevel};
use girih_graph::{Graph, NodeId, TensorTy};
use girih_simt as simt;
use girih_tile::{Access, Builder, Kernel, Literal, TileTy, View, ViewAxis};
use std::collections::BTreeSet;
use std::sync::Arc;

/// Elements that one program of a filling kernel writes.
const FILL: u32 = 256;

/// A parameter as both levels have it.
struct Param<'k> {
    name: &'k str,
    writes: bool,
    /// The kernel reads what it writes.
    reads: bool,
    elements: Elements<'k>,
}

/// What a parameter says of its elements.
enum Elements<'k> {
    /// Their dtype and number.
    Tile(DType, &'k Dim),
    /// What one access reaches.
    Simt(simt::Ty),
}

impl Lower<'_> {
    /// Launches a hand-written kernel; gives the tensors of its results. Results that it updates start as the last operands,
    /// others that it reads as zeros.
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
        let inputs = graph.operands(id).iter().map(|o| Ok(graph.tensor(*o)?.clone())).collect::<Result<Vec<_>>>()?;
        let here = |d: Box<Diag>| d.at(&graph.node(id).loc, "launched here");
        let label = names::label(graph, id);
        let results: Vec<TensorRef> = given.results.iter().map(|t| self.temp(&label, t)).collect();
        let (operands, starts) = operands.split_at(operands.len().saturating_sub(given.updates.len()));
        let inputs = &inputs[..operands.len()];
        let own = self.distinct(operands, steps);
        let args: Vec<TensorRef> = own.iter().chain(&results).copied().collect();
        let (launch, read_back) = match given.level {
            KernelLevel::Tile => {
                let mut kernel = girih_tile::parse(&given.text)?;
                girih_tile::verify(&kernel)?;
                for (p, arg) in kernel.params.iter_mut().zip(&args) {
                    p.constant &= self.program.tensors[arg.0 as usize].kind.is_constant();
                }
                let params: Vec<Param<'_>> = kernel.params.iter().map(tile_param).collect();
                let read_back = fits(&kernel.name, params, inputs, &given.results).map_err(here)?;
                self.known(&kernel.name, kernel.scalars.iter().map(|s| &s.name)).map_err(here)?;
                (Step::Launch { kernel: self.share(kernel), args }, read_back)
            }
            KernelLevel::Simt => {
                let mut kernel = simt::parse(&given.text)?;
                simt::verify::verify(&kernel)?;
                for (b, arg) in kernel.buffers.iter_mut().zip(&args) {
                    b.read_only &= self.program.tensors[arg.0 as usize].kind.is_constant();
                }
                let params: Vec<Param<'_>> =
                    kernel.buffers.iter().enumerate().map(|(i, b)| simt_param(&kernel, i, b)).collect();
                let read_back = fits(&kernel.name, params, inputs, &given.results).map_err(here)?;
                self.known(&kernel.name, kernel.uniforms.iter()).map_err(here)?;
                (Step::LaunchSimt { kernel: Arc::new(kernel), args }, read_back)
            }
        };
        for (r, start) in given.updates.iter().zip(starts) {
            steps.push(self.copy_all(*start, results[*r]));
        }
        for r in read_back.into_iter().filter(|r| !given.updates.contains(r)) {
            let ty = &given.results[r];
            if !ty.elements().is(0) {
                let kernel = self.share(zeros(ty.dtype, &ty.elements()));
                steps.push(Step::Launch { kernel, args: vec![results[r]] });
            }
        }
        steps.push(launch);
        Ok(results)
    }

    /// Refuses numbers given at launch that are no sizes of the program.
    fn known<'n>(&self, kernel: &str, names: impl Iterator<Item = &'n Arc<str>>) -> Result<()> {
        let shapes = self.program.tensors.iter().flat_map(|t| &t.ty.shape);
        let symbols: BTreeSet<Arc<str>> = shapes.flat_map(Dim::symbols).map(|s| s.name).collect();
        for name in names {
            if !symbols.contains(name) {
                return Err(refuse(kernel, format!("needs a value for `{name}`"))
                    .note("no size of the graph has that name")
                    .help("give the number as an operand of one element"));
            }
        }
        Ok(())
    }
}

fn tile_param(p: &girih_tile::Param) -> Param<'_> {
    let elements = Elements::Tile(p.dtype, &p.len);
    Param { name: &p.name, writes: p.access != Access::Read, reads: p.access != Access::Write, elements }
}

fn simt_param<'k>(kernel: &simt::Kernel, index: usize, b: &'k simt::Buffer) -> Param<'k> {
    let reads = read_back(&kernel.body, simt::Space::Buffer(index as u32));
    Param { name: &b.name, writes: b.written, reads, elements: Elements::Simt(b.elem) }
}

impl Elements<'_> {
    /// Why they are not those of a tensor.
    fn misfit(&self, ty: &TensorTy) -> Option<String> {
        let elements = ty.elements();
        match self {
            Elements::Tile(dtype, _) if *dtype != ty.dtype => Some(format!("has elements of {dtype}")),
            Elements::Tile(_, len) => (**len != elements).then(|| format!("has {len} elements, not {elements}")),
            Elements::Simt(elem) => {
                // Types narrower than a word arrive packed in words, 64-bit ones as themselves or as pairs of words.
                let packed = ty.dtype.bits() < 32;
                let paired = ty.dtype.bits() == 64 && elem.dtype == DType::U32;
                let stored = if packed || paired { DType::U32 } else { ty.dtype };
                let lanes = if packed { elem.lanes == 1 } else { elem.lanes != 3 };
                let each = if paired { 2 } else { 1 };
                let whole = packed || (&elements * &Dim::from(each)).divisible_by(elem.lanes as i64).yes();
                let fits = elem.dtype == stored && lanes && whole;
                (!fits).then(|| format!("has elements of {} x {}", elem.lanes, elem.dtype))
            }
        }
    }
}

/// Whether any statement reads an array.
fn read_back(body: &[simt::Stmt], space: simt::Space) -> bool {
    body.iter().any(|s| {
        let reads = s.op.space() == Some(space) && !matches!(s.op, simt::Op::Store(..));
        reads || s.op.blocks().into_iter().any(|b| read_back(b, space))
    })
}

/// Checks that a kernel's parameters are the operands, which it only reads, and then the results, which it writes; gives the
/// results that it also reads.
fn fits(kernel: &str, params: Vec<Param<'_>>, operands: &[TensorTy], results: &[TensorTy]) -> Result<Vec<usize>> {
    let (has, wants) = (params.len(), operands.len() + results.len());
    if has != wants {
        return Err(refuse(kernel, format!("has {has} parameters")).note(format!(
            "it is given {} operands and {} results",
            operands.len(),
            results.len()
        )));
    }
    let mut read_back = Vec::new();
    for (i, (p, ty)) in params.iter().zip(operands.iter().chain(results)).enumerate() {
        let (what, written) = match i.checked_sub(operands.len()) {
            None => (format!("operand {i}"), false),
            Some(r) => (format!("result {r}"), true),
        };
        if let Some(why) = p.elements.misfit(ty) {
            return Err(refuse(kernel, format!("cannot take {what} as `{}`", p.name))
                .note(format!("`{}` {why}; {what} is {ty}", p.name)));
        }
        if written != p.writes {
            let does = if written { "does not write" } else { "writes" };
            return Err(refuse(kernel, format!("{does} `{}`, which is {what}", p.name))
                .help("operands are only read; what a kernel writes is a result"));
        }
        if written && p.reads {
            read_back.push(i - operands.len());
        }
    }
    Ok(read_back)
}

fn refuse(kernel: &str, why: String) -> Box<Diag> {
    Diag::error("L006", format!("the hand-written kernel `{kernel}` {why}"))
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
