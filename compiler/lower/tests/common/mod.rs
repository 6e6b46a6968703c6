//! Lowered programs, distributed and run step by step in the emulator.
#![allow(dead_code, clippy::unwrap_used, clippy::print_stdout, reason = "shared by tests that each use a part")]

use girih_base::{Bindings, DType, Dim, Result};
use girih_graph::eval::{Array, Value};
use girih_graph::testing::Sample;
use girih_graph::{Graph, NodeId, Op, ParamKind, TensorTy};
use girih_lower::{Step, TargetDesc, TensorKind, distribute, lower};
use girih_simt::emulate::{self, Options};

/// A program's memory, one buffer per tensor.
struct Run<'p> {
    desc: &'p TargetDesc,
    memory: Vec<Vec<u8>>,
    sizes: Bindings,
}

impl Run<'_> {
    fn steps(&mut self, steps: &[Step]) -> Result<()> {
        steps.iter().try_for_each(|s| self.step(s))
    }

    fn step(&mut self, step: &Step) -> Result<()> {
        match step {
            Step::Launch { kernel, args } => {
                girih_tile::verify::verify(kernel)?;
                let simt = distribute(kernel, self.desc)?;
                if std::env::var("SHOW").is_ok() {
                    println!("{}\n{}", girih_tile::text::print(kernel), simt);
                }
                girih_simt::verify::verify(&simt)?;
                let mut buffers: Vec<Vec<u8>> = args.iter().map(|a| self.memory[a.0 as usize].clone()).collect();
                let options = Options { subgroup: self.desc.subgroup_size[0], ..Default::default() };
                let shown = |d: Box<girih_base::Diag>| d.note(girih_tile::text::print(kernel));
                emulate::run(&simt, &mut buffers, &self.sizes, options).map_err(shown)?;
                for ((a, b), p) in args.iter().zip(buffers).zip(&kernel.params) {
                    if p.access != girih_tile::Access::Read {
                        self.memory[a.0 as usize] = b;
                    }
                }
            }
            Step::LaunchSimt { kernel, args } => {
                let mut buffers: Vec<Vec<u8>> = args.iter().map(|a| self.memory[a.0 as usize].clone()).collect();
                let options = Options { subgroup: self.desc.subgroup_size[0], ..Default::default() };
                emulate::run(kernel, &mut buffers, &self.sizes, options)?;
                args.iter().zip(buffers).for_each(|(a, b)| self.memory[a.0 as usize] = b);
            }
            Step::Copy { from, from_offset, to, to_offset, bytes } => {
                let at = |d: &Dim| d.eval(&self.sizes).unwrap() as usize;
                let (f, t, n) = (at(from_offset), at(to_offset), at(bytes));
                let piece = self.memory[from.0 as usize][f..f + n].to_vec();
                self.memory[to.0 as usize][t..t + n].copy_from_slice(&piece);
            }
            Step::Repeat { symbol, count, body } => {
                for i in 0..count.eval(&self.sizes).unwrap() {
                    self.sizes.insert(symbol.clone(), i);
                    self.steps(body)?;
                }
            }
            Step::While { test, flag, body } => loop {
                self.steps(test)?;
                if self.memory[flag.0 as usize][0] == 0 {
                    break;
                }
                self.steps(body)?;
            },
            Step::Branch { choice, is_bool, branches } => {
                let raw = &self.memory[choice.0 as usize];
                let n = if *is_bool { (raw[0] != 0) as i32 } else { i32::from_le_bytes(raw[..4].try_into().unwrap()) };
                let last = branches.len() as i32 - 1;
                self.steps(&branches[n.clamp(0, last) as usize])?;
            }
        }
        Ok(())
    }
}

/// Runs the graph's program on `desc` and gives its outputs.
pub fn run(sample: &Sample, desc: &TargetDesc) -> Result<Vec<Value>> {
    let program = lower(&sample.graph, desc)?;
    let params: Vec<(TensorKind, &Value)> = {
        let mut counts = [0u32; 3];
        let kinds = sample.graph.params().iter().map(|p| match sample.graph.op(*p) {
            Op::Param(x) => x.kind,
            _ => ParamKind::Input,
        });
        kinds
            .zip(&sample.inputs)
            .map(|(k, v)| {
                let (slot, make): (usize, fn(u32) -> TensorKind) = match k {
                    ParamKind::Input => (0, TensorKind::Input),
                    ParamKind::Weight => (1, TensorKind::Weight),
                    ParamKind::State => (2, TensorKind::State),
                };
                counts[slot] += 1;
                (make(counts[slot] - 1), v)
            })
            .collect()
    };
    let mut memory = Vec::new();
    for t in &program.tensors {
        let count: i64 = t.ty.shape.iter().map(|d| d.eval(&sample.bindings).unwrap()).product();
        let size = t.ty.dtype.bytes_for(count as u64) as usize;
        let mut bytes = match &t.kind {
            TensorKind::Constant(raw) => raw.to_vec(),
            kind => match params.iter().find(|(k, _)| k == kind) {
                Some((_, v)) => v.array()?.encode(),
                None => vec![0xa5; size],
            },
        };
        bytes.resize(size.next_multiple_of(16).max(16), 0xa5);
        memory.push(bytes);
    }
    let mut run = Run { desc, memory, sizes: sample.bindings.clone() };
    run.steps(&program.steps)?;
    // A program's output may be a reshaped tensor: the graph knows the shape.
    let decode = |(r, node): (&girih_lower::TensorRef, &NodeId)| {
        let ty = sample.graph.tensor(*node)?;
        let shape: Vec<usize> = ty.shape.iter().map(|d| d.eval(&sample.bindings).unwrap() as usize).collect();
        let size = ty.dtype.bytes_for(shape.iter().product::<usize>() as u64) as usize;
        Ok(Array::decode(ty.dtype, &shape, &run.memory[r.0 as usize][..size])?.into())
    };
    program.outputs.iter().zip(sample.graph.outputs()).map(decode).collect()
}

/// An f32 input.
pub fn input(g: &mut Graph, name: &str, shape: &[usize]) -> NodeId {
    g.param(name, TensorTy::new(DType::F32, shape.iter().copied()), ParamKind::Input, Default::default())
}

/// A graph of one output with random inputs.
pub fn sample(name: &str, build: impl FnOnce(&mut Graph) -> NodeId) -> Sample {
    let mut graph = Graph::new(name);
    let out = build(&mut graph);
    graph.set_outputs(vec![out]);
    let random = |(i, p): (usize, &NodeId)| {
        let ty = graph.tensor(*p).unwrap();
        let shape: Vec<usize> = ty.shape.iter().map(|d| d.as_const().unwrap() as usize).collect();
        Array::random(ty.dtype, &shape, i as u64 + 1).into()
    };
    let inputs = graph.params().iter().enumerate().map(random).collect();
    Sample { graph, bindings: Bindings::new(), inputs, exact: vec![false] }
}
