//! Graphs, lowered for GPUs, distributed and run in the emulator, agree with the graph evaluator.
#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout)]

use girih_base::{Bindings, DType, Dim, Result};
use girih_graph::eval::compare::allclose;
use girih_graph::eval::{Array, Value};
use girih_graph::testing::{Config, Sample, random_graph};
use girih_graph::{Graph, Monoid, NodeId, Op, ParamKind, TensorTy, nn};
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
fn run(sample: &Sample, desc: &TargetDesc) -> Result<Vec<Value>> {
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

fn descs() -> Vec<TargetDesc> {
    let base = TargetDesc::webgpu();
    vec![
        base.clone(),
        TargetDesc {
            threads: 256,
            dot_block: [16, 8],
            dot_depth: 16,
            subgroups: true,
            subgroup_size: [32, 32],
            ..base.clone()
        },
        TargetDesc { threads: 32, dot_block: [4, 4], dot_tile: [32, 32], staging: true, ..base },
    ]
}

fn check(name: &str, sample: &Sample, rtol: f64, atol: f64) {
    let want = sample.graph.eval(&sample.inputs, &sample.bindings).unwrap();
    for (i, desc) in descs().iter().enumerate() {
        let got = run(sample, desc).unwrap_or_else(|d| panic!("{name}, target {i}: {d}"));
        for (g, w) in got.iter().zip(&want) {
            allclose(g, w, rtol, atol).unwrap_or_else(|e| panic!("{name}, target {i}: {e}"));
        }
    }
}

fn input(g: &mut Graph, name: &str, shape: &[usize]) -> NodeId {
    g.param(name, TensorTy::new(DType::F32, shape.iter().copied()), ParamKind::Input, Default::default())
}

fn sample(name: &str, build: impl FnOnce(&mut Graph) -> NodeId) -> Sample {
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

#[test]
fn common_layers() {
    let layers = [
        sample("softmax", |g| {
            let x = input(g, "x", &[10, 300]);
            nn::softmax(g, x, 1).unwrap()
        }),
        sample("layer_norm", |g| {
            let (x, w, b) = (input(g, "x", &[2, 6, 96]), input(g, "w", &[96]), input(g, "b", &[96]));
            nn::layer_norm(g, x, w, b, 1e-5).unwrap()
        }),
        sample("matmul", |g| {
            let (a, b) = (input(g, "a", &[70, 50]), input(g, "b", &[50, 66]));
            let y = g.matmul(a, b).unwrap();
            nn::gelu(g, y).unwrap()
        }),
        sample("batched", |g| {
            let (a, b) = (input(g, "a", &[3, 20, 16]), input(g, "b", &[3, 16, 24]));
            g.matmul(a, b).unwrap()
        }),
        sample("matvec", |g| {
            let (a, b) = (input(g, "a", &[1, 200]), input(g, "b", &[200, 48]));
            g.matmul(a, b).unwrap()
        }),
        sample("columns", |g| {
            let x = input(g, "x", &[90, 50]);
            g.reduce(Monoid::Sum, x, &[0]).unwrap()
        }),
        sample("everything", |g| {
            let x = input(g, "x", &[40, 50]);
            g.reduce(Monoid::Max, x, &[0, 1]).unwrap()
        }),
        sample("argmax", |g| {
            let x = input(g, "x", &[5, 300]);
            nn::argmax(g, x, 1).unwrap()
        }),
        sample("cumsum", |g| {
            let x = input(g, "x", &[5, 200]);
            nn::cumsum(g, x, 1).unwrap()
        }),
        sample("attention", |g| {
            let (q, k, v) = (input(g, "q", &[2, 20, 16]), input(g, "k", &[2, 20, 16]), input(g, "v", &[2, 20, 16]));
            nn::attention(g, q, k, v, None, 0.25, Some(Dim::ZERO)).unwrap()
        }),
        sample("conv", |g| {
            let (x, w) = (input(g, "x", &[1, 4, 9, 9]), input(g, "w", &[8, 4, 3, 3]));
            nn::conv2d(g, x, w, None, &nn::Conv2d { padding: [(1, 1), (1, 1)], ..Default::default() }).unwrap()
        }),
    ];
    for s in &layers {
        check(&s.graph.name.clone(), s, 1e-4, 1e-5);
    }
}

/// Random graphs over the dtypes that 32-bit targets can hold.
#[test]
fn random_graphs() {
    use DType::*;
    let dtypes = vec![Bool, I8, U8, I16, U16, I32, U32, F16, Bf16, F32];
    let config = Config { nodes: 8, max_elements: 512, dtypes, ..Config::default() };
    let seeds = std::env::var("GIRIH_SEEDS").ok().and_then(|s| s.parse().ok()).unwrap_or(120u64);
    let first = std::env::var("GIRIH_FIRST_SEED").ok().and_then(|s| s.parse().ok()).unwrap_or(0u64);
    let (mut ran, mut refused, mut wrong) = (0, std::collections::BTreeMap::new(), Vec::new());
    for seed in first..first + seeds {
        let sample = random_graph(seed, &config);
        let Ok(want) = sample.graph.eval(&sample.inputs, &sample.bindings) else { continue };
        let desc = &descs()[seed as usize % 3];
        let problem = match run(&sample, desc) {
            Ok(got) => {
                ran += 1;
                got.iter()
                    .zip(&want)
                    .enumerate()
                    .find_map(|(i, (g, w))| allclose(g, w, 2e-2, 2e-2).err().map(|e| format!("output {i}: {e}")))
            }
            Err(d) if matches!(d.code, "L202" | "L203" | "L206") || d.code < "L200" && d.code.starts_with('L') => {
                *refused.entry(d.message.clone()).or_insert(0) += 1;
                None
            }
            Err(d) => Some(d.to_string()),
        };
        wrong.extend(problem.map(|p| format!("seed {seed}: {p}\n{}", girih_graph::text::print(&sample.graph))));
    }
    let list: Vec<&str> = wrong.iter().filter_map(|w: &String| w.lines().next()).collect();
    assert!(wrong.is_empty(), "{} of {seeds} failed\n{}\n{}", wrong.len(), list.join("\n"), wrong[0]);
    assert!(ran * 2 > seeds, "only {ran} of {seeds} ran: {refused:#?}");
}
