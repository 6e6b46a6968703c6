//! A model compiled for a device: one plan per range of step lengths, over the file's own bytes.

use crate::generate::Step;
use crate::model::Model;
use girih_base::{Bindings, Diag, Result};
use girih_driver::{Options, PlanCache, Target, compile, specialize};
use girih_exec::{Device, Engine, ProgramId, SharedBytes, Weight};
use girih_plan::{Memory, Plan};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The step lengths that get a plan of their own: the single token of decoding, short prompts, long prompts. Longer prompts go in
/// pieces of the last one's upper end, so a model never has more than three plans.
const RANGES: [(usize, usize); 3] = [(1, 1), (2, 64), (65, 512)];

/// A model on a device. Weights are used where the file is mapped if the device can; the KV cache is updated in place.
pub struct Runner {
    model: Model,
    target: Box<dyn Target>,
    options: Options,
    cache: Option<PlanCache>,
    engine: Engine,
    plans: Vec<Slot>,
    next: usize,
}

/// One range of step lengths and how far its plan has come.
struct Slot {
    info: PlanInfo,
    state: State,
}

enum State {
    Absent,
    Compiled(Box<Plan>),
    Loaded(ProgramId),
}

/// What is known of one plan of a [`Runner`].
#[derive(Clone, Debug, PartialEq)]
pub struct PlanInfo {
    /// Shortest and longest step, in tokens.
    pub tokens: (usize, usize),
    /// Whether it came from the disk.
    pub cached: bool,
    /// Host time to compile it or to read it.
    pub compile: Duration,
    /// Host time to load its kernels and weights.
    pub load: Duration,
    /// Kernels launched by one step.
    pub launches: usize,
    /// Memory it needs at most.
    pub memory: Memory,
    /// What the user should know about its place on disk.
    pub notes: Vec<String>,
}

impl Runner {
    /// A model on a device; nothing is compiled yet. Plans are kept in `cache` if there is one.
    pub fn new(model: Model, target: Box<dyn Target>, device: Box<dyn Device>, cache: Option<PlanCache>) -> Runner {
        let bytes: SharedBytes = Arc::new(model.file().clone());
        let weights = model.weights.iter().map(|w| Weight { data: bytes.clone(), range: w.range.clone() }).collect();
        let options = Options::for_target(&*target);
        let context = model.context();
        let ranges = RANGES.iter().filter(|r| r.0 <= context).map(|r| (r.0, r.1.min(context)));
        let plans = ranges
            .map(|tokens| {
                let (none, memory) = (Duration::ZERO, Memory::default());
                let info = PlanInfo {
                    tokens,
                    cached: false,
                    compile: none,
                    load: none,
                    launches: 0,
                    memory,
                    notes: Vec::new(),
                };
                Slot { info, state: State::Absent }
            })
            .collect();
        Runner { model, target, options, cache, engine: Engine::new(device, weights), plans, next: 0 }
    }

    /// The model.
    pub fn model(&self) -> &Model {
        &self.model
    }

    /// Most tokens of one step.
    pub fn chunk(&self) -> usize {
        self.plans.last().map_or(1, |s| s.info.tokens.1)
    }

    /// Compiles the plan for steps of `tokens` tokens, or reads it from the cache, unless that was done before.
    ///
    /// # Errors
    /// `M017` for a length no plan has; those of the compiler.
    pub fn compile(&mut self, tokens: usize) -> Result<&PlanInfo> {
        let at = self.slot(tokens)?;
        if matches!(self.plans[at].state, State::Absent) {
            let start = Instant::now();
            let (lo, hi) = self.plans[at].info.tokens;
            let ranges = BTreeMap::from([("seq".into(), (lo as i64, hi as i64))]);
            let graph = specialize(&self.model.graph, &ranges)?;
            let info = &mut self.plans[at].info;
            let plan = match &self.cache {
                Some(cache) => {
                    let found = cache.compile(&graph, &*self.target, &self.options)?;
                    (info.cached, info.notes) = (found.hit, found.notes);
                    found.plan
                }
                None => compile(&graph, &*self.target, &self.options)?.plan,
            };
            (info.launches, info.memory, info.compile) = (plan.launches(), plan.memory(), start.elapsed());
            self.plans[at].state = State::Compiled(Box::new(plan));
        }
        Ok(&self.plans[at].info)
    }

    /// Loads that plan into the device as well, so that the first step does not wait for it.
    pub fn load(&mut self, tokens: usize) -> Result<&PlanInfo> {
        self.program(tokens)?;
        let at = self.slot(tokens)?;
        Ok(&self.plans[at].info)
    }

    /// The plans compiled so far.
    pub fn plans(&self) -> impl Iterator<Item = &PlanInfo> {
        self.plans.iter().filter(|s| !matches!(s.state, State::Absent)).map(|s| &s.info)
    }

    /// The most memory the plans compiled so far take together: weights, states and the largest arena are shared.
    pub fn memory(&self) -> Memory {
        self.plans().map(|p| p.memory).fold(Memory::default(), |a, b| Memory {
            weights: a.weights.max(b.weights),
            states: a.states.max(b.states),
            arena: a.arena.max(b.arena),
            kept: a.kept.max(b.kept),
            ports: a.ports + b.ports,
        })
    }

    /// The engine, for tests and tools.
    pub fn engine(&mut self) -> &mut Engine {
        &mut self.engine
    }

    fn slot(&self, tokens: usize) -> Result<usize> {
        self.plans.iter().position(|s| (s.info.tokens.0..=s.info.tokens.1).contains(&tokens)).ok_or_else(|| {
            Diag::error("M017", format!("a step of {tokens} tokens"))
                .help(format!("give 1 to {} at a time", self.chunk()))
        })
    }

    fn program(&mut self, tokens: usize) -> Result<ProgramId> {
        self.compile(tokens)?;
        let at = self.slot(tokens)?;
        let slot = &mut self.plans[at];
        if let State::Compiled(plan) = &slot.state {
            let start = Instant::now();
            let program = self.engine.load((**plan).clone())?;
            // Loading may have read weights only to merge or to upload them.
            self.model.file().release();
            slot.info.load = start.elapsed();
            slot.state = State::Loaded(program);
        }
        match slot.state {
            State::Loaded(program) => Ok(program),
            _ => Err(Diag::error("M017", "the plan is not loaded")),
        }
    }

    /// Refuses what the graph would answer with nonsense: tokens and positions it has no rows for.
    fn check(&self, tokens: &[u32], pos: usize) -> Result<()> {
        let (context, vocabulary) = (self.model.context(), self.model.config.vocabulary);
        if pos != 0 && pos != self.next {
            return Err(Diag::error("M017", format!("a step at position {pos} after {} tokens", self.next))
                .help("steps come in order; a new text starts at position 0"));
        }
        if pos + tokens.len() > context {
            return Err(Diag::error("M015", format!("position {} in a context of {context}", pos + tokens.len() - 1))
                .help("shorten the text, or give a larger context if the model has one"));
        }
        match tokens.iter().find(|t| **t as usize >= vocabulary) {
            Some(t) => Err(Diag::error("M017", format!("token {t} in a vocabulary of {vocabulary}"))
                .help("encode the text with the tokenizer of the same file")),
            None => Ok(()),
        }
    }
}

impl Step for Runner {
    fn step(&mut self, tokens: &[u32], pos: usize) -> Result<Vec<f32>> {
        self.check(tokens, pos)?;
        let program = self.program(tokens.len())?;
        let bytes: Vec<u8> = tokens.iter().flat_map(|t| t.to_le_bytes()).collect();
        let bindings = Bindings::from([("seq".into(), tokens.len() as i64), ("pos".into(), pos as i64)]);
        let results = self.engine.run(program, &[&bytes], &bindings)?;
        self.next = pos + tokens.len();
        let logits = results.first().map_or(&[][..], |r| r);
        Ok(logits.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect())
    }
}
