//! What must hold of a plan before anything runs it: plans come from files, too.

use crate::{Buffer, Memory, Place, Plan, Port, Step};
use girih_base::{Diag, Dim, Result};
use std::collections::BTreeSet;

/// Buffers and arenas are smaller than this many bytes.
const MOST: u64 = 1 << 46;

impl Plan {
    /// Checks that every index of the plan names something and every buffer lies inside its place.
    ///
    /// # Errors
    /// `P005`, naming the first contradiction.
    pub fn check(&self) -> Result<()> {
        let wrong =
            |why: String| Err(Diag::error("P005", format!("the plan `{}` contradicts itself: {why}", self.name)));
        for s in &self.symbols {
            if s.min > s.max {
                return wrong(format!("symbol `{}` ranges over {}..={}", s.name, s.min, s.max));
            }
        }
        if self.arena_bytes >= MOST {
            return wrong(format!("an arena of {} bytes", self.arena_bytes));
        }
        for b in &self.buffers {
            let ports = |list: &[Port], i: u32| (i as usize) < list.len();
            let inside = match &b.place {
                Place::Input(i) => ports(&self.inputs, *i),
                Place::Weight(i) => ports(&self.weights, *i),
                Place::State(i) => ports(&self.states, *i),
                Place::Output(i) => ports(&self.outputs, *i),
                Place::Constant(data) => b.bytes.as_const().is_some_and(|n| n == data.len() as i64),
                Place::Derived => b.bytes.as_const().is_some(),
                Place::Arena(at) => at.checked_add(most(&b.bytes)).is_some_and(|end| end <= self.arena_bytes),
            };
            if !inside || most(&b.bytes) >= MOST {
                return wrong(format!("buffer `{}` of {} bytes does not fit its place", b.label, b.bytes));
            }
        }
        for k in &self.kernels {
            if let Some(Err(why)) = k.debug.as_ref().map(girih_base::DebugInfo::check) {
                return wrong(format!("kernel `{}`: {why}", k.name));
            }
        }
        if let Some(why) = self.init.iter().chain(&self.steps).find_map(|s| self.bad_step(s)) {
            return wrong(why);
        }
        let computed: BTreeSet<u32> = self.init.iter().flat_map(|s| self.writes(s)).collect();
        let changed: BTreeSet<u32> = self.steps.iter().flat_map(|s| self.writes(s)).collect();
        for (i, b) in self.buffers.iter().enumerate().filter(|(_, b)| b.place == Place::Derived) {
            if !computed.contains(&(i as u32)) {
                return wrong(format!("nothing computes `{}`", b.label));
            }
            if changed.contains(&(i as u32)) {
                return wrong(format!("every run overwrites `{}`, which is made once", b.label));
            }
        }
        Ok(())
    }

    fn bad_step(&self, step: &Step) -> Option<String> {
        let all = |steps: &[Step]| steps.iter().find_map(|s| self.bad_step(s));
        let buffer = |b: u32| (b as usize >= self.buffers.len()).then(|| format!("there is no buffer {b}"));
        match step {
            Step::Launch { kernel, args } => match self.kernels.get(*kernel as usize) {
                None => Some(format!("there is no kernel {kernel}")),
                Some(k) if k.args.len() != args.len() => {
                    Some(format!("kernel `{}` takes {} arguments", k.name, k.args.len()))
                }
                Some(k) => args.iter().find_map(|a| buffer(a.0)).or_else(|| {
                    let written = args.iter().zip(&k.args).find(|(a, how)| how.written && !self.writable(a.0))?;
                    Some(format!("kernel `{}` writes `{}`", k.name, self.buffers[written.0.0 as usize].label))
                }),
            },
            Step::Copy { from, to, .. } => {
                let fixed = || (!self.writable(to.0)).then(|| format!("a copy overwrites buffer {}", to.0));
                buffer(from.0).or_else(|| buffer(to.0)).or_else(fixed)
            }
            Step::Repeat { body, .. } => all(body),
            Step::While { test, flag, body } => buffer(flag.0).or_else(|| all(test)).or_else(|| all(body)),
            Step::Branch { choice, branches, .. } => buffer(choice.0).or_else(|| branches.iter().find_map(|b| all(b))),
        }
    }

    /// The buffers that a step of a checked plan writes.
    fn writes(&self, step: &Step) -> Vec<u32> {
        let all = |steps: &[Step]| steps.iter().flat_map(|s| self.writes(s)).collect();
        match step {
            Step::Launch { kernel, args } => {
                let used = args.iter().zip(&self.kernels[*kernel as usize].args);
                used.filter(|(_, how)| how.written).map(|(a, _)| a.0).collect()
            }
            Step::Copy { to, .. } => vec![to.0],
            Step::Repeat { body, .. } => all(body),
            Step::While { test, body, .. } => [all(test), all(body)].concat(),
            Step::Branch { branches, .. } => branches.iter().flat_map(|b| all(b)).collect(),
        }
    }

    fn writable(&self, buffer: u32) -> bool {
        let place = self.buffers.get(buffer as usize).map(|b| &b.place);
        place.is_some_and(|p| !matches!(p, Place::Constant(_) | Place::Weight(_)))
    }

    /// Kernels that one run launches, the rounds of loops not counted.
    pub fn launches(&self) -> usize {
        fn count(steps: &[Step]) -> usize {
            let one = |s: &Step| match s {
                Step::Launch { .. } => 1,
                Step::Copy { .. } => 0,
                Step::Repeat { body, .. } => count(body),
                Step::While { test, body, .. } => count(test) + count(body),
                Step::Branch { branches, .. } => branches.iter().map(|b| count(b)).max().unwrap_or(0),
            };
            steps.iter().map(one).sum()
        }
        count(&self.steps)
    }

    /// The most memory a run takes, by what it is for.
    pub fn memory(&self) -> Memory {
        let ports = |list: &[Port]| -> u64 {
            list.iter()
                .map(|p| {
                    most(
                        &(&p.shape.iter().fold(Dim::ONE, |n, d| &n * d) * p.dtype.bits() as i64)
                            .ceil_div(&Dim::from(8)),
                    )
                })
                .sum()
        };
        let placed = |want: fn(&Place) -> bool| {
            self.buffers.iter().filter(|b| want(&b.place)).map(|b: &Buffer| most(&b.bytes)).sum()
        };
        Memory {
            weights: ports(&self.weights),
            states: ports(&self.states),
            arena: self.arena_bytes,
            kept: placed(|p| matches!(p, Place::Derived | Place::Constant(_))),
            ports: ports(&self.inputs) + ports(&self.outputs),
        }
    }
}

impl Memory {
    /// All of it.
    pub fn total(&self) -> u64 {
        [self.weights, self.states, self.arena, self.kept, self.ports].iter().fold(0, |n, b| n.saturating_add(*b))
    }
}

fn most(bytes: &Dim) -> u64 {
    u64::try_from(bytes.bounds().1).unwrap_or(u64::MAX).min(MOST)
}

#[cfg(test)]
pub(crate) mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use super::*;
    use crate::{Arg, BufferId, Format, KernelCode};
    use girih_base::debug::{Instances, Site};
    use girih_base::{DType, DebugInfo, Loc, Symbol};

    /// `y[n] = f(x[n], w[4])`, with something in every place.
    pub fn sample() -> Plan {
        let n = Symbol { name: "n".into(), min: 1, max: 64, multiple_of: 1 };
        let size = Dim::from(n.clone());
        let port = |name: &str, d: Dim| Port { name: name.into(), dtype: DType::F32, shape: vec![d] };
        let buffer = |bytes: Dim, place, label: &str| Buffer { bytes, place, label: label.into() };
        let arg = |written| Arg { written, read_only: !written };
        Plan {
            name: "sample".into(),
            target: "cpu".into(),
            symbols: vec![n],
            inputs: vec![port("x", size.clone())],
            weights: vec![port("w", Dim::from(4))],
            states: vec![port("s", Dim::from(2))],
            outputs: vec![port("y", size.clone())],
            buffers: vec![
                buffer(&size * 4, Place::Input(0), "x"),
                buffer(Dim::from(16), Place::Weight(0), "w"),
                buffer(Dim::from(8), Place::State(0), "s"),
                buffer(&size * 4, Place::Arena(256), "t"),
                buffer(Dim::from(4), Place::Constant(vec![0, 0, 128, 63].into()), "one"),
                buffer(Dim::from(16), Place::Derived, "w2"),
                buffer(&size * 4, Place::Output(0), "y"),
            ],
            kernels: vec![KernelCode {
                name: "f".into(),
                format: Format::Tile,
                text: "kernel f".into(),
                args: vec![arg(false), arg(false), arg(true)],
                uniforms: vec!["n".into()],
                grid: vec![size.clone()],
                flops: size.clone(),
                traffic: &size * 8,
                debug: Some(DebugInfo {
                    sites: vec![Site::new(
                        "{} of {%5.2f}".into(),
                        vec![(DType::I32, 1), (DType::F32, 1)],
                        None,
                        &Loc::new("f.cu", 1, 2),
                    )],
                    instances: Instances::Programs(vec![size.clone()]),
                }),
            }],
            init: vec![Step::Copy {
                from: BufferId(1),
                from_offset: 0.into(),
                to: BufferId(5),
                to_offset: 0.into(),
                bytes: 16.into(),
            }],
            steps: vec![Step::Repeat {
                symbol: "i".into(),
                count: 2.into(),
                body: vec![Step::Launch { kernel: 0, args: vec![BufferId(0), BufferId(5), BufferId(6)] }],
            }],
            arena_bytes: 512,
        }
    }

    #[test]
    fn contradictions_are_named() {
        let refused = |change: &dyn Fn(&mut Plan), part: &str| {
            let mut plan = sample();
            change(&mut plan);
            let diag = plan.check().unwrap_err();
            assert!(diag.code == "P005" && diag.message.contains(part), "{diag}");
        };
        assert!(sample().check().is_ok());
        refused(&|p| p.arena_bytes = 300, "`t`");
        refused(&|p| p.arena_bytes = u64::MAX, "arena");
        refused(&|p| p.weights.clear(), "`w`");
        refused(&|p| p.buffers.truncate(6), "buffer 6");
        refused(&|p| p.kernels.clear(), "kernel 0");
        refused(&|p| p.init.clear(), "nothing computes `w2`");
        refused(&|p| p.steps.extend(p.init.clone()), "every run overwrites `w2`");
        refused(&|p| p.kernels[0].args.truncate(2), "2 arguments");
        refused(&|p| p.symbols[0].min = 65, "65..=64");
        refused(&|p| p.kernels[0].debug.as_mut().unwrap().sites[0].args.clear(), "takes 2 values");
        // The weight itself instead of its derived form: kernels must not write it.
        refused(
            &|p| p.steps = vec![Step::Launch { kernel: 0, args: vec![BufferId(0), BufferId(5), BufferId(1)] }],
            "writes `w`",
        );
    }

    #[test]
    fn memory_is_counted_at_its_most() {
        let m = sample().memory();
        assert_eq!((m.weights, m.states, m.arena, m.kept, m.ports), (16, 8, 512, 20, 512));
        assert_eq!(m.total(), 16 + 8 + 512 + 20 + 512);
    }
}
