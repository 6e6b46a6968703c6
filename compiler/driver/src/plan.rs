//! Program to plan: buffers, lifetimes, what runs once and what runs each time.

use crate::Target;
use crate::arena::{Interval, place};
use girih_base::{Diag, Dim, Result, Symbol};
use girih_graph::{Graph, Op, ParamKind};
use girih_lower::{Program, Step as Low, TensorKind, TensorRef};
use girih_plan::{Buffer, BufferId, KernelCode, Place, Plan, Port, Step};
use girih_tile::{Access, Kernel};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Offsets in the arena are multiples of this: the largest storage-buffer alignment WebGPU allows.
const ALIGN: u64 = 256;

/// Makes the plan of a program.
pub fn plan(graph: &Graph, program: &Program, target: &dyn Target) -> Result<Plan> {
    let once = weight_only(program);
    let mut make = Make { target, kernels: Vec::new(), index: BTreeMap::new() };
    let (mut init, mut steps) = (Vec::new(), Vec::new());
    for step in &program.steps {
        let out =
            if writes(step).iter().all(|t| once.contains(t)) && !once.is_empty() { &mut init } else { &mut steps };
        out.push(make.step(step)?);
    }
    let kernels = make.kernels;
    let intervals = lifetimes(program, &once);
    let bytes = |t: usize| tensor_bytes(program, TensorRef(t as u32));
    let mut temps: Vec<(usize, Interval)> = Vec::new();
    for (t, span) in intervals.iter().enumerate() {
        let elsewhere = program.outputs.contains(&TensorRef(t as u32)) || once.contains(&TensorRef(t as u32));
        if let (TensorKind::Temp, Some((first, last)), false) = (&program.tensors[t].kind, span, elsewhere) {
            let size = u64::try_from(bytes(t).bounds().1).unwrap_or(0).max(4).next_multiple_of(4);
            temps.push((t, Interval { bytes: size, first: *first, last: *last }));
        }
    }
    let (offsets, arena_bytes) = place(&temps.iter().map(|t| t.1).collect::<Vec<_>>(), ALIGN);
    let at: BTreeMap<usize, u64> = temps.iter().map(|t| t.0).zip(offsets).collect();
    let mut buffers = Vec::new();
    for (t, tensor) in program.tensors.iter().enumerate() {
        let here = TensorRef(t as u32);
        let place = match &tensor.kind {
            TensorKind::Input(i) => Place::Input(*i),
            TensorKind::Weight(i) => Place::Weight(*i),
            TensorKind::State(i) => Place::State(*i),
            TensorKind::Constant(data) => Place::Constant(data.clone()),
            TensorKind::Temp => match program.outputs.iter().position(|o| *o == here) {
                Some(i) => Place::Output(i as u32),
                None if once.contains(&here) => Place::Derived,
                None => Place::Arena(at.get(&t).copied().unwrap_or(0)),
            },
        };
        buffers.push(Buffer { bytes: bytes(t), place, label: tensor.label.to_string() });
    }
    let ports = |kind: ParamKind| -> Vec<Port> {
        graph
            .params()
            .iter()
            .filter(|p| matches!(graph.op(**p), Op::Param(x) if x.kind == kind))
            .filter_map(|p| {
                let node = graph.node(*p);
                let ty = node.ty.tensor()?;
                let name = node.name.as_deref().unwrap_or("param").to_string();
                Some(Port { name, dtype: ty.dtype, shape: ty.shape.clone() })
            })
            .collect()
    };
    // Types come from the graph: a reshaped result shares the memory of what it reshapes.
    let outputs = graph
        .outputs()
        .iter()
        .take(program.outputs.len())
        .filter_map(|o| {
            let node = graph.node(*o);
            let ty = node.ty.tensor()?;
            let name = node.name.as_deref().unwrap_or("result").to_string();
            Some(Port { name, dtype: ty.dtype, shape: ty.shape.clone() })
        })
        .collect();
    Ok(Plan {
        name: graph.name.clone(),
        target: target.identity(),
        symbols: symbols(program),
        inputs: ports(ParamKind::Input),
        weights: ports(ParamKind::Weight),
        states: ports(ParamKind::State),
        outputs,
        buffers,
        kernels,
        init,
        steps,
        arena_bytes,
    })
}

fn tensor_bytes(program: &Program, t: TensorRef) -> Dim {
    let ty = &program.tensors[t.0 as usize].ty;
    (&ty.elements() * ty.dtype.bits() as i64).ceil_div(&Dim::from(8))
}

/// Symbols that sizes mention, loop rounds aside.
fn symbols(program: &Program) -> Vec<Symbol> {
    fn walk(steps: &[Low], visit: &mut dyn FnMut(&Dim), rounds: &mut BTreeSet<Arc<str>>) {
        for s in steps {
            match s {
                Low::Launch { kernel, .. } => girih_lower::kernel_dims(kernel, visit),
                Low::LaunchSimt { kernel, .. } => visit(&kernel.groups),
                Low::Copy { from_offset, to_offset, bytes, .. } => {
                    [from_offset, to_offset, bytes].into_iter().for_each(&mut *visit)
                }
                Low::Repeat { symbol, count, body } => {
                    rounds.insert(symbol.clone());
                    visit(count);
                    walk(body, visit, rounds);
                }
                Low::While { test, body, .. } => {
                    walk(test, visit, rounds);
                    walk(body, visit, rounds);
                }
                Low::Branch { branches, .. } => branches.iter().for_each(|b| walk(b, visit, rounds)),
            }
        }
    }
    let mut found: BTreeSet<Symbol> = BTreeSet::new();
    let mut rounds = BTreeSet::new();
    let mut visit = |d: &Dim| found.extend(d.symbols());
    program.tensors.iter().flat_map(|t| &t.ty.shape).for_each(&mut visit);
    walk(&program.steps, &mut visit, &mut rounds);
    found.into_iter().filter(|s| !rounds.contains(&s.name)).collect()
}

fn reads(step: &Low) -> Vec<TensorRef> {
    match step {
        Low::Launch { kernel, args } => {
            args.iter().zip(&kernel.params).filter(|(_, p)| p.access != Access::Write).map(|(a, _)| *a).collect()
        }
        // A result may be read back by the threads that write it.
        Low::LaunchSimt { args, .. } => args.clone(),
        Low::Copy { from, .. } => vec![*from],
        Low::Repeat { body, .. } => body.iter().flat_map(reads).collect(),
        Low::While { test, flag, body } => test.iter().chain(body).flat_map(reads).chain([*flag]).collect(),
        Low::Branch { choice, branches, .. } => branches.iter().flatten().flat_map(reads).chain([*choice]).collect(),
    }
}

fn writes(step: &Low) -> Vec<TensorRef> {
    match step {
        Low::Launch { kernel, args } => {
            args.iter().zip(&kernel.params).filter(|(_, p)| p.access != Access::Read).map(|(a, _)| *a).collect()
        }
        Low::LaunchSimt { kernel, args } => {
            args.iter().zip(&kernel.buffers).filter(|(_, b)| b.written).map(|(a, _)| *a).collect()
        }
        Low::Copy { to, .. } => vec![*to],
        Low::Repeat { body, .. } => body.iter().flat_map(writes).collect(),
        Low::While { test, body, .. } => test.iter().chain(body).flat_map(writes).collect(),
        Low::Branch { branches, .. } => branches.iter().flatten().flat_map(writes).collect(),
    }
}

/// Whether a launch or copy depends on a run-time size.
fn sized(step: &Low) -> bool {
    let mut found = false;
    let mut visit = |d: &Dim| found |= d.as_const().is_none();
    match step {
        Low::Launch { kernel, .. } => girih_lower::kernel_dims(kernel, &mut visit),
        Low::LaunchSimt { kernel, .. } => {
            visit(&kernel.groups);
            found |= !kernel.uniforms.is_empty();
        }
        Low::Copy { from_offset, to_offset, bytes, .. } => {
            [from_offset, to_offset, bytes].into_iter().for_each(&mut visit)
        }
        _ => return true,
    }
    found
}

/// Intermediate tensors that depend on weights alone and are no larger than what they are made of: they are computed once.
/// (Decoded weights are larger than their codes, so they never are.)
fn weight_only(program: &Program) -> BTreeSet<TensorRef> {
    let mut candidates: BTreeSet<TensorRef> = (0..program.tensors.len() as u32)
        .map(TensorRef)
        .filter(|t| program.tensors[t.0 as usize].kind == TensorKind::Temp && !program.outputs.contains(t))
        .collect();
    loop {
        let fixed = |t: &TensorRef| match program.tensors[t.0 as usize].kind {
            TensorKind::Weight(_) | TensorKind::Constant(_) => true,
            TensorKind::Temp => candidates.contains(t),
            _ => false,
        };
        let mut bad = BTreeSet::new();
        let mut sizes: BTreeMap<TensorRef, i64> = BTreeMap::new();
        for step in &program.steps {
            let constant = |t: &TensorRef| tensor_bytes(program, *t).as_const();
            let (from, to) = (reads(step), writes(step));
            // What runs once, runs before any size is known, and for all that it writes.
            let good = !sized(step)
                && from.iter().all(&fixed)
                && to.iter().all(|t| candidates.contains(t))
                && from.iter().chain(&to).all(|t| constant(t).is_some());
            let weighs = from.iter().any(|t| !matches!(program.tensors[t.0 as usize].kind, TensorKind::Constant(_)));
            for t in &to {
                if !good || !weighs {
                    bad.insert(*t);
                }
                *sizes.entry(*t).or_insert(0) += from.iter().filter_map(constant).sum::<i64>();
            }
        }
        bad.extend(candidates.iter().filter(|t| match (sizes.get(t), tensor_bytes(program, **t).as_const()) {
            (Some(from), Some(to)) => to > *from,
            _ => true,
        }));
        let before = candidates.len();
        candidates.retain(|t| !bad.contains(t));
        if candidates.len() == before {
            return candidates;
        }
    }
}

/// First and last step that touch each tensor. Whatever lives into a loop from outside lives to its end.
fn lifetimes(program: &Program, once: &BTreeSet<TensorRef>) -> Vec<Option<(usize, usize)>> {
    struct Walk {
        spans: Vec<Option<(usize, usize)>>,
        clock: usize,
    }
    impl Walk {
        fn touch(&mut self, t: TensorRef, at: usize) {
            let span = &mut self.spans[t.0 as usize];
            *span = Some(span.map_or((at, at), |(a, b)| (a.min(at), b.max(at))));
        }
        fn steps(&mut self, steps: &[Low]) {
            for s in steps {
                let start = self.clock;
                match s {
                    Low::Launch { .. } | Low::LaunchSimt { .. } | Low::Copy { .. } => {
                        let at = self.clock;
                        reads(s).into_iter().chain(writes(s)).for_each(|t| self.touch(t, at));
                        self.clock += 1;
                    }
                    Low::Repeat { body, .. } => self.steps(body),
                    Low::While { test, body, flag } => {
                        self.steps(test);
                        self.touch(*flag, self.clock);
                        self.clock += 1;
                        self.steps(body);
                    }
                    Low::Branch { choice, branches, .. } => {
                        self.touch(*choice, self.clock);
                        self.clock += 1;
                        branches.iter().for_each(|b| self.steps(b));
                    }
                }
                if matches!(s, Low::Repeat { .. } | Low::While { .. }) {
                    let end = self.clock;
                    let inside: Vec<TensorRef> = reads(s).into_iter().chain(writes(s)).collect();
                    for t in inside {
                        if self.spans[t.0 as usize].is_some_and(|(first, _)| first < start) {
                            self.touch(t, end);
                        }
                    }
                    self.clock += 1;
                }
            }
        }
    }
    let mut w = Walk { spans: vec![None; program.tensors.len()], clock: 0 };
    w.steps(&program.steps);
    for t in once {
        w.spans[t.0 as usize] = None;
    }
    w.spans
}

struct Make<'p> {
    target: &'p dyn Target,
    kernels: Vec<KernelCode>,
    index: BTreeMap<usize, u32>,
}

impl Make<'_> {
    fn kernel(&mut self, kernel: &Arc<Kernel>) -> Result<u32> {
        let key = Arc::as_ptr(kernel) as usize;
        if let Some(i) = self.index.get(&key) {
            return Ok(*i);
        }
        self.kernels.push(self.target.compile(kernel)?);
        let i = self.kernels.len() as u32 - 1;
        self.index.insert(key, i);
        Ok(i)
    }

    fn steps(&mut self, steps: &[Low]) -> Result<Vec<Step>> {
        steps.iter().map(|s| self.step(s)).collect()
    }

    fn step(&mut self, step: &Low) -> Result<Step> {
        let id = |t: &TensorRef| BufferId(t.0);
        Ok(match step {
            Low::Launch { kernel, args } => {
                if args.len() != kernel.params.len() {
                    return Err(Diag::error("D001", format!("`{}` lost an argument", kernel.name)));
                }
                Step::Launch { kernel: self.kernel(kernel)?, args: args.iter().map(id).collect() }
            }
            Low::LaunchSimt { kernel, args } => {
                if args.len() != kernel.buffers.len() {
                    return Err(Diag::error("D001", format!("`{}` lost an argument", kernel.name)));
                }
                let code = self.target.compile_simt(kernel)?;
                let known = self.kernels.iter().position(|k| *k == code);
                let kernel = known.unwrap_or_else(|| {
                    self.kernels.push(code);
                    self.kernels.len() - 1
                });
                Step::Launch { kernel: kernel as u32, args: args.iter().map(id).collect() }
            }
            Low::Copy { from, from_offset, to, to_offset, bytes } => Step::Copy {
                from: id(from),
                from_offset: from_offset.clone(),
                to: id(to),
                to_offset: to_offset.clone(),
                bytes: bytes.clone(),
            },
            Low::Repeat { symbol, count, body } => {
                Step::Repeat { symbol: symbol.clone(), count: count.clone(), body: self.steps(body)? }
            }
            Low::While { test, flag, body } => {
                Step::While { test: self.steps(test)?, flag: id(flag), body: self.steps(body)? }
            }
            Low::Branch { choice, is_bool, branches } => Step::Branch {
                choice: id(choice),
                is_bool: *is_bool,
                branches: branches.iter().map(|b| self.steps(b)).collect::<Result<Vec<_>>>()?,
            },
        })
    }
}
