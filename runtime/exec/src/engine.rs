//! Runs plans: one engine holds a device, weights and states; several plans (one per range of lengths) share them.

use crate::device::{BufferRef, Command, Device, MemRef, SharedBytes};
use crate::loaded::{Loaded, derived_key, most, size};
use girih_base::{Bindings, Diag, Result};
use girih_plan::{Place, Plan, Port, Step};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

/// A plan loaded into an engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProgramId(usize);

/// The bytes of one weight: part of something the host keeps.
#[derive(Clone)]
pub struct Weight {
    /// Keeps the bytes alive.
    pub data: SharedBytes,
    /// Where in them the weight lies.
    pub range: Range<usize>,
}

/// A device with plans, weights and states.
pub struct Engine {
    device: Box<dyn Device>,
    source: Vec<Weight>,
    weights: BTreeMap<u32, BufferRef>,
    weight_ports: Option<Vec<Port>>,
    states: Vec<(BufferRef, u64)>,
    derived: BTreeMap<String, BufferRef>,
    arena: Option<(BufferRef, u64)>,
    programs: Vec<Loaded>,
}

impl Engine {
    /// An engine over a device, with the weights its plans will read, in port order.
    pub fn new(device: Box<dyn Device>, weights: Vec<Weight>) -> Engine {
        Engine {
            device,
            source: weights,
            weights: BTreeMap::new(),
            weight_ports: None,
            states: Vec::new(),
            derived: BTreeMap::new(),
            arena: None,
            programs: Vec::new(),
        }
    }

    /// The device.
    pub fn device(&mut self) -> &mut dyn Device {
        &mut *self.device
    }

    /// Loads a plan: compiles its kernels, allocates its memory, runs its init steps.
    pub fn load(&mut self, plan: Plan) -> Result<ProgramId> {
        let target = self.device.target();
        if plan.target != target {
            return Err(Diag::error("X005", "this plan was compiled for another target")
                .note(format!("plan: {}", plan.target))
                .note(format!("device: {target}"))
                .help("compile the model again for this device"));
        }
        self.check_weights(&plan)?;
        let kernels = plan.kernels.iter().map(|k| self.device.load(k)).collect::<Result<Vec<_>>>()?;
        let arena = self.arena(plan.arena_bytes)?;
        let mut slots = Vec::new();
        let mut fresh = BTreeSet::new();
        for (i, b) in plan.buffers.iter().enumerate() {
            let bytes = most(&b.bytes)?.max(4);
            let slot = match &b.place {
                Place::Arena(offset) => (arena, *offset),
                Place::Input(_) | Place::Output(_) => (self.device.allocate(bytes)?, 0),
                Place::Constant(data) => {
                    let (data, len): (SharedBytes, usize) = (std::sync::Arc::new(data.clone()), data.len());
                    (self.device.adopt(data, 0..len)?, 0)
                }
                Place::Weight(w) => (self.weight(*w)?, 0),
                Place::State(s) => (self.state(*s as usize, bytes)?, 0),
                Place::Derived => {
                    let key = derived_key(&plan, i);
                    let known = self.derived.get(&key).copied();
                    let buffer = match known {
                        Some(b) => b,
                        None => {
                            fresh.insert(i);
                            let b = self.device.allocate(bytes)?;
                            self.derived.insert(key, b);
                            b
                        }
                    };
                    (buffer, 0)
                }
            };
            slots.push(slot);
        }
        let loaded = Loaded { plan, kernels, slots };
        let init: Vec<&Step> = loaded
            .plan
            .init
            .iter()
            .filter(|s| match s {
                Step::Launch { kernel, args } => {
                    let code = &loaded.plan.kernels[*kernel as usize];
                    args.iter().zip(&code.args).any(|(a, u)| u.written && fresh.contains(&(a.0 as usize)))
                }
                Step::Copy { to, .. } => fresh.contains(&(to.0 as usize)),
                _ => true,
            })
            .collect();
        let mut batch = Batch::default();
        for step in init {
            record(&loaded, step, &mut Bindings::new(), &mut *self.device, &mut batch)?;
        }
        batch.flush(&mut *self.device)?;
        self.device.synchronize()?;
        self.programs.push(loaded);
        self.drop_unused_weights();
        Ok(ProgramId(self.programs.len() - 1))
    }

    /// Runs a plan. `inputs` are row-major bytes in port order; results likewise.
    pub fn run(&mut self, program: ProgramId, inputs: &[&[u8]], bindings: &Bindings) -> Result<Vec<Vec<u8>>> {
        self.write_inputs(program, inputs, bindings)?;
        self.submit(program, bindings)?;
        self.read_outputs(program, bindings)
    }

    /// Runs a plan on the inputs that were written last, and waits until the device is done.
    pub fn execute(&mut self, program: ProgramId, bindings: &Bindings) -> Result<()> {
        self.submit(program, bindings)?;
        self.device.synchronize()
    }

    /// Uploads inputs for [`Engine::execute`].
    pub fn write_inputs(&mut self, program: ProgramId, inputs: &[&[u8]], bindings: &Bindings) -> Result<()> {
        let loaded = &self.programs[program.0];
        loaded.check(bindings)?;
        if inputs.len() != loaded.plan.inputs.len() {
            return Err(Diag::error(
                "X006",
                format!("`{}` takes {} inputs, got {}", loaded.plan.name, loaded.plan.inputs.len(), inputs.len()),
            ));
        }
        for (i, b) in loaded.plan.buffers.iter().enumerate() {
            if let Place::Input(input) = b.place {
                let data = inputs[input as usize];
                let want = size(&b.bytes, bindings)?;
                if data.len() as u64 != want {
                    let port = &loaded.plan.inputs[input as usize];
                    return Err(Diag::error(
                        "X006",
                        format!(
                            "input `{}` has {} bytes, {} {:?} takes {want}",
                            port.name,
                            data.len(),
                            port.dtype,
                            port.shape
                        ),
                    ));
                }
                if want > 0 {
                    self.device.write(loaded.slots[i].0, 0, data)?;
                }
            }
        }
        Ok(())
    }

    fn submit(&mut self, program: ProgramId, bindings: &Bindings) -> Result<()> {
        let loaded = &self.programs[program.0];
        loaded.check(bindings)?;
        let mut batch = Batch::default();
        let mut bound = bindings.clone();
        for step in &loaded.plan.steps {
            record(loaded, step, &mut bound, &mut *self.device, &mut batch)?;
        }
        batch.flush(&mut *self.device)
    }

    /// Downloads the results of the last run with these sizes.
    pub fn read_outputs(&mut self, program: ProgramId, bindings: &Bindings) -> Result<Vec<Vec<u8>>> {
        let loaded = &self.programs[program.0];
        let mut outputs: Vec<Vec<u8>> = vec![Vec::new(); loaded.plan.outputs.len()];
        for (i, b) in loaded.plan.buffers.iter().enumerate() {
            if let Place::Output(o) = b.place {
                let mut data = vec![0; size(&b.bytes, bindings)? as usize];
                if !data.is_empty() {
                    self.device.read(loaded.slots[i].0, 0, &mut data)?;
                }
                outputs[o as usize] = data;
            }
        }
        Ok(outputs)
    }

    /// Writes a state's contents (zero until then).
    pub fn write_state(&mut self, state: usize, data: &[u8]) -> Result<()> {
        let (buffer, bytes) = self.state_slot(state)?;
        if data.len() as u64 > bytes {
            return Err(Diag::error("X006", format!("state {state} holds {bytes} bytes, got {}", data.len())));
        }
        self.device.write(buffer, 0, data)
    }

    /// Reads a state's contents.
    pub fn read_state(&mut self, state: usize) -> Result<Vec<u8>> {
        let (buffer, bytes) = self.state_slot(state)?;
        let mut data = vec![0; bytes as usize];
        self.device.read(buffer, 0, &mut data)?;
        Ok(data)
    }

    fn state_slot(&self, state: usize) -> Result<(BufferRef, u64)> {
        self.states.get(state).copied().ok_or_else(|| Diag::error("X006", format!("there is no state {state}")))
    }

    /// All plans of an engine must agree on the weights, and every weight must have its bytes.
    fn check_weights(&mut self, plan: &Plan) -> Result<()> {
        match &self.weight_ports {
            Some(ports) if *ports != plan.weights => {
                return Err(Diag::error("X007", "plans of one engine must have the same weights"));
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
        self.weight_ports = Some(plan.weights.clone());
        Ok(())
    }

    fn weight(&mut self, w: u32) -> Result<BufferRef> {
        if let Some(b) = self.weights.get(&w) {
            return Ok(*b);
        }
        let source = &self.source[w as usize];
        let b = self.device.adopt(source.data.clone(), source.range.clone())?;
        self.weights.insert(w, b);
        Ok(b)
    }

    /// Weights that only init steps read need no device memory any more.
    fn drop_unused_weights(&mut self) {
        let mut used = BTreeSet::new();
        for p in &self.programs {
            p.plan.steps.iter().for_each(|s| {
                buffers(s, &mut |b| {
                    if let Place::Weight(w) = p.plan.buffers[b].place {
                        used.insert(w);
                    }
                })
            });
        }
        let idle: Vec<u32> = self.weights.keys().copied().filter(|w| !used.contains(w)).collect();
        for w in idle {
            if let Some(b) = self.weights.remove(&w) {
                self.device.free(b);
            }
        }
    }

    fn state(&mut self, index: usize, bytes: u64) -> Result<BufferRef> {
        while self.states.len() <= index {
            self.states.push((BufferRef(u32::MAX), 0));
        }
        let slot = self.states[index];
        if slot.1 == 0 {
            self.states[index] = (self.device.allocate(bytes)?, bytes);
        } else if slot.1 != bytes {
            return Err(Diag::error("X007", "plans of one engine must have the same states"));
        }
        Ok(self.states[index].0)
    }

    /// The arena, grown if a plan needs more; plans never run at the same time.
    fn arena(&mut self, bytes: u64) -> Result<BufferRef> {
        let bytes = bytes.max(4);
        if let Some((buffer, size)) = self.arena
            && size >= bytes
        {
            return Ok(buffer);
        }
        let grown = self.device.allocate(bytes)?;
        if let Some((old, _)) = self.arena.replace((grown, bytes)) {
            for p in &mut self.programs {
                for (slot, b) in p.slots.iter_mut().zip(&p.plan.buffers) {
                    if matches!(b.place, Place::Arena(_)) {
                        slot.0 = grown;
                    }
                }
            }
            self.device.free(old);
        }
        Ok(grown)
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

/// Commands waiting to be submitted together.
#[derive(Default)]
struct Batch {
    items: Vec<Item>,
}

enum Item {
    Launch(crate::device::KernelRef, Vec<MemRef>, Bindings),
    Copy(MemRef, MemRef),
}

impl Batch {
    fn flush(&mut self, device: &mut dyn Device) -> Result<()> {
        let commands: Vec<Command<'_>> = self
            .items
            .iter()
            .map(|i| match i {
                Item::Launch(kernel, args, bindings) => Command::Launch { kernel: *kernel, args, bindings },
                Item::Copy(from, to) => Command::Copy { from: *from, to: *to },
            })
            .collect();
        if !commands.is_empty() {
            device.submit(&commands)?;
        }
        self.items.clear();
        Ok(())
    }
}

fn record(
    loaded: &Loaded,
    step: &Step,
    bindings: &mut Bindings,
    device: &mut dyn Device,
    batch: &mut Batch,
) -> Result<()> {
    match step {
        Step::Launch { kernel, args } => {
            let code = &loaded.plan.kernels[*kernel as usize];
            for g in &code.grid {
                if size(g, bindings)? == 0 {
                    return Ok(());
                }
            }
            let args = args.iter().map(|a| loaded.memory(a.0 as usize, bindings)).collect::<Result<Vec<_>>>()?;
            batch.items.push(Item::Launch(loaded.kernels[*kernel as usize], args, bindings.clone()));
        }
        Step::Copy { from, from_offset, to, to_offset, bytes } => {
            let bytes = size(bytes, bindings)?;
            if bytes == 0 {
                return Ok(());
            }
            let part = |b: u32, offset| -> Result<MemRef> {
                let m = loaded.memory(b as usize, bindings)?;
                let start = size(offset, bindings)?;
                if start + bytes > m.bytes {
                    return Err(Diag::error(
                        "X008",
                        format!("a copy reaches past the end of `{}`", loaded.plan.buffers[b as usize].label),
                    ));
                }
                Ok(MemRef { buffer: m.buffer, offset: m.offset + start, bytes })
            };
            let (from, to) = (part(from.0, from_offset)?, part(to.0, to_offset)?);
            batch.items.push(Item::Copy(from, to));
        }
        Step::Repeat { symbol, count, body } => {
            let count = size(count, bindings)?;
            let outer = bindings.get(symbol).copied();
            for round in 0..count {
                bindings.insert(symbol.clone(), round as i64);
                for s in body {
                    record(loaded, s, bindings, device, batch)?;
                }
            }
            match outer {
                Some(v) => bindings.insert(symbol.clone(), v),
                None => bindings.remove(symbol),
            };
        }
        Step::While { test, flag, body } => loop {
            for s in test {
                record(loaded, s, bindings, device, batch)?;
            }
            batch.flush(device)?;
            let m = loaded.memory(flag.0 as usize, bindings)?;
            let mut value = [0u8];
            device.read(m.buffer, m.offset, &mut value)?;
            if value[0] == 0 {
                break;
            }
            for s in body {
                record(loaded, s, bindings, device, batch)?;
            }
        },
        Step::Branch { choice, is_bool, branches } => {
            batch.flush(device)?;
            let m = loaded.memory(choice.0 as usize, bindings)?;
            let mut value = [0u8; 4];
            device.read(m.buffer, m.offset, &mut value[..if *is_bool { 1 } else { 4 }])?;
            let top = branches.len() as i32 - 1;
            let chosen = i32::from_le_bytes(value).clamp(0, top.max(0)) as usize;
            for s in branches.get(chosen).into_iter().flatten() {
                record(loaded, s, bindings, device, batch)?;
            }
        }
    }
    Ok(())
}
