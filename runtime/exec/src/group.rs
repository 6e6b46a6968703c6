//! What plans share: weights, states, and what was computed of the weights.

use crate::device::{BufferRef, Device, SharedBytes};
use crate::loaded::Loaded;
use girih_base::{Diag, Result};
use girih_plan::{Place, Plan, Port, Step};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

/// The bytes of one weight: part of something the host keeps.
#[derive(Clone)]
pub struct Weight {
    /// Keeps the bytes alive.
    pub data: SharedBytes,
    /// Where in them the weight lies.
    pub range: Range<usize>,
}

/// Weights and states that plans have in common.
#[derive(Default)]
pub struct Group {
    source: Vec<Weight>,
    ports: Option<Vec<Port>>,
    weights: BTreeMap<u32, BufferRef>,
    states: Vec<Option<(BufferRef, u64)>>,
    /// What init steps computed, by what computes it.
    pub derived: BTreeMap<u128, BufferRef>,
}

impl Group {
    pub fn new(source: Vec<Weight>) -> Group {
        Group { source, ..Group::default() }
    }

    /// All plans of a group must agree on the weights, and every weight must have its bytes.
    pub fn check(&mut self, plan: &Plan) -> Result<()> {
        match &self.ports {
            Some(ports) if *ports != plan.weights => {
                return Err(Diag::error("X007", "plans that share weights must have the same ones"));
            }
            Some(_) => return Ok(()),
            None => {}
        }
        if self.source.len() != plan.weights.len() {
            return Err(Diag::error(
                "X007",
                format!("`{}` has {} weights, {} were given", plan.name, plan.weights.len(), self.source.len()),
            ));
        }
        for (port, w) in plan.weights.iter().zip(&self.source) {
            let count = port
                .shape
                .iter()
                .try_fold(1u64, |n, d| d.as_const().and_then(|d| n.checked_mul(u64::try_from(d).ok()?)));
            let want = count.map(|c| port.dtype.bytes_for(c));
            let inside = (*w.data).as_ref().len() >= w.range.end;
            if want != Some(w.range.len() as u64) || !inside {
                return Err(Diag::error(
                    "X007",
                    format!("weight `{}` {}{:?} has {} bytes", port.name, port.dtype, port.shape, w.range.len()),
                ));
            }
        }
        self.ports = Some(plan.weights.clone());
        Ok(())
    }

    /// A weight on the device.
    pub fn weight(&mut self, w: u32, device: &mut dyn Device) -> Result<BufferRef> {
        if let Some(b) = self.weights.get(&w) {
            return Ok(*b);
        }
        let source = &self.source[w as usize];
        let b = device.adopt(source.data.clone(), source.range.clone())?;
        self.weights.insert(w, b);
        Ok(b)
    }

    /// A state on the device, zero at first.
    pub fn state(&mut self, index: usize, bytes: u64, device: &mut dyn Device) -> Result<BufferRef> {
        if self.states.len() <= index {
            self.states.resize(index + 1, None);
        }
        match self.states[index] {
            Some((buffer, size)) if size == bytes => Ok(buffer),
            Some(_) => Err(Diag::error("X007", "plans that share states must have the same ones")),
            None => {
                let buffer = device.allocate(bytes)?;
                self.states[index] = Some((buffer, bytes));
                Ok(buffer)
            }
        }
    }

    /// A state's memory and its size in bytes.
    pub fn state_slot(&self, state: usize) -> Result<(BufferRef, u64)> {
        let slot = self.states.get(state).copied().flatten();
        slot.ok_or_else(|| Diag::error("X006", format!("there is no state {state}")))
    }

    /// Weights that only init steps read need no device memory any more.
    pub fn drop_unused<'a>(&mut self, programs: impl Iterator<Item = &'a Loaded>, device: &mut dyn Device) {
        let mut used = BTreeSet::new();
        for p in programs {
            p.plan.steps.iter().for_each(|s| {
                buffers(s, &mut |b| {
                    if let Place::Weight(w) = p.plan.buffers[b].place {
                        used.insert(w);
                    }
                })
            });
        }
        self.weights.retain(|w, buffer| {
            let keep = used.contains(w);
            if !keep {
                device.free(*buffer);
            }
            keep
        });
    }

    /// Gives all memory back.
    pub fn free(self, device: &mut dyn Device) {
        let states = self.states.into_iter().flatten().map(|(b, _)| b);
        self.weights.into_values().chain(states).chain(self.derived.into_values()).for_each(|b| device.free(b));
    }
}

/// Calls `visit` for every buffer a step touches.
fn buffers(step: &Step, visit: &mut dyn FnMut(usize)) {
    match step {
        Step::Launch { args, .. } => args.iter().for_each(|a| visit(a.0 as usize)),
        Step::Copy { from, to, .. } => [from, to].into_iter().for_each(|b| visit(b.0 as usize)),
        Step::Repeat { body, .. } => body.iter().for_each(|s| buffers(s, visit)),
        Step::While { test, flag, body } => {
            visit(flag.0 as usize);
            test.iter().chain(body).for_each(|s| buffers(s, visit));
        }
        Step::Branch { choice, branches, .. } => {
            visit(choice.0 as usize);
            branches.iter().flatten().for_each(|s| buffers(s, visit));
        }
    }
}
