//! Loads plans: one engine holds a device and any number of plans; plans of one group share weights and states.

use crate::device::{BufferRef, Device, SharedBytes};
use crate::group::{Group, Weight};
use crate::loaded::{Loaded, Slot, derived_keys, most};
use crate::record::{Batch, record};
use girih_base::{Diag, Result};
use girih_plan::{Place, Plan, Step};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// A plan loaded into an engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ProgramId(u32);

/// Weights and states that plans of an engine share.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct GroupId(u32);

/// A device with plans, weights and states.
pub struct Engine {
    pub(crate) device: Box<dyn Device>,
    groups: BTreeMap<GroupId, Group>,
    arena: Option<(BufferRef, u64)>,
    pub(crate) programs: BTreeMap<ProgramId, Loaded>,
    next: u32,
}

impl Engine {
    /// The group of [`Engine::new`]'s weights.
    pub const FIRST: GroupId = GroupId(0);

    /// An engine over a device, with the weights its plans will read, in port order.
    pub fn new(device: Box<dyn Device>, weights: Vec<Weight>) -> Engine {
        let groups = BTreeMap::from([(Engine::FIRST, Group::new(weights))]);
        Engine { device, groups, arena: None, programs: BTreeMap::new(), next: 1 }
    }

    /// The device.
    pub fn device(&mut self) -> &mut dyn Device {
        &mut *self.device
    }

    /// A group of plans with weights of their own, in port order, and states of their own.
    pub fn add_group(&mut self, weights: Vec<Weight>) -> GroupId {
        let id = GroupId(self.fresh());
        self.groups.insert(id, Group::new(weights));
        id
    }

    /// Loads a plan into the first group; see [`Engine::load_into`].
    pub fn load(&mut self, plan: Plan) -> Result<ProgramId> {
        self.load_into(Engine::FIRST, plan)
    }

    /// Loads a plan: compiles its kernels, allocates its memory, runs its init steps.
    ///
    /// # Errors
    /// `X005` for a plan made for another target, `X007` for weights or states that are not the group's, and what the
    /// device refuses.
    pub fn load_into(&mut self, group: GroupId, plan: Plan) -> Result<ProgramId> {
        let target = self.device.target();
        if plan.target != target {
            return Err(Diag::error("X005", "this plan was compiled for another target")
                .note(format!("plan: {}", plan.target))
                .note(format!("device: {target}"))
                .help("compile the model again for this device"));
        }
        self.group(group)?.check(&plan)?;
        let mut loaded = Loaded { plan, kernels: Vec::new(), slots: Vec::new(), group, ports: None };
        if let Err(why) = self.prepare(&mut loaded) {
            loaded.kernels.iter().for_each(|k| self.device.unload(*k));
            return Err(why);
        }
        let id = ProgramId(self.fresh());
        self.programs.insert(id, loaded);
        let of_group = self.programs.values().filter(|p| p.group == group);
        if let Some(g) = self.groups.get_mut(&group) {
            g.drop_unused(of_group, &mut *self.device);
        }
        Ok(id)
    }

    /// Gives back what only this plan used; its group goes with its last plan, but for the first group.
    pub fn unload(&mut self, program: ProgramId) {
        let Some(loaded) = self.programs.remove(&program) else { return };
        loaded.kernels.iter().for_each(|k| self.device.unload(*k));
        for (slot, b) in loaded.slots.iter().zip(&loaded.plan.buffers) {
            if let (Place::Constant(_), Some((buffer, _))) = (&b.place, slot) {
                self.device.free(*buffer);
            }
        }
        loaded.ports.iter().flat_map(|p| p.inputs.iter().chain(&p.outputs)).for_each(|b| self.device.free(*b));
        let last = loaded.group != Engine::FIRST && !self.programs.values().any(|p| p.group == loaded.group);
        if last && let Some(group) = self.groups.remove(&loaded.group) {
            group.free(&mut *self.device);
        }
    }

    /// Writes the contents of a state of the first group (zero until then).
    pub fn write_state(&mut self, state: usize, data: &[u8]) -> Result<()> {
        let (buffer, bytes) = self.group(Engine::FIRST)?.state_slot(state)?;
        if data.len() as u64 > bytes {
            return Err(Diag::error("X006", format!("state {state} holds {bytes} bytes, got {}", data.len())));
        }
        self.device.write(buffer, 0, data)
    }

    /// Reads the contents of a state of the first group.
    pub fn read_state(&mut self, state: usize) -> Result<Vec<u8>> {
        let (buffer, bytes) = self.group(Engine::FIRST)?.state_slot(state)?;
        let mut data = vec![0; bytes as usize];
        self.device.read(buffer, 0, &mut data)?;
        Ok(data)
    }

    fn fresh(&mut self) -> u32 {
        self.next += 1;
        self.next
    }

    /// Compiles a plan's kernels, allocates its memory, runs its init steps.
    fn prepare(&mut self, loaded: &mut Loaded) -> Result<()> {
        for code in &loaded.plan.kernels {
            loaded.kernels.push(self.device.load(code)?);
        }
        let (slots, fresh) = self.place(loaded.group, &loaded.plan)?;
        loaded.slots = slots;
        self.initialise(loaded, &fresh)
    }

    fn group(&mut self, id: GroupId) -> Result<&mut Group> {
        self.groups.get_mut(&id).ok_or_else(given_back)
    }

    /// Memory for every buffer of a plan but its inputs and outputs, and the derived ones that nobody computed yet.
    fn place(&mut self, group: GroupId, plan: &Plan) -> Result<(Vec<Slot>, BTreeSet<usize>)> {
        let arena = self.arena(plan.arena_bytes)?;
        let Engine { groups, device, .. } = self;
        let group = groups.get_mut(&group).ok_or_else(given_back)?;
        let device = &mut **device;
        let keys = derived_keys(plan);
        let mut fresh = BTreeSet::new();
        let mut slots = Vec::with_capacity(plan.buffers.len());
        for (i, b) in plan.buffers.iter().enumerate() {
            let bytes = most(&b.bytes)?.max(4);
            let buffer = match &b.place {
                Place::Input(_) | Place::Output(_) => {
                    slots.push(None);
                    continue;
                }
                Place::Arena(offset) => {
                    slots.push(Some((arena, *offset)));
                    continue;
                }
                Place::Constant(data) => {
                    let (data, len): (SharedBytes, usize) = (std::sync::Arc::new(data.clone()), data.len());
                    device.adopt(data, 0..len)?
                }
                Place::Weight(w) => group.weight(*w, device)?,
                Place::State(s) => group.state(*s as usize, bytes, device)?,
                Place::Derived => {
                    let never = || Diag::error("X007", format!("nothing computes `{}` of the plan", b.label));
                    let key = keys[i].ok_or_else(never)?;
                    match group.derived.get(&key) {
                        Some(b) => *b,
                        None => {
                            fresh.insert(i);
                            let b = device.allocate(bytes)?;
                            group.derived.insert(key, b);
                            b
                        }
                    }
                }
            };
            slots.push(Some((buffer, 0)));
        }
        Ok((slots, fresh))
    }

    /// Runs the init steps that write `fresh` buffers.
    fn initialise(&mut self, loaded: &Loaded, fresh: &BTreeSet<usize>) -> Result<()> {
        let wanted = |s: &&Step| match s {
            Step::Launch { kernel, args } => {
                let code = &loaded.plan.kernels[*kernel as usize];
                args.iter().zip(&code.args).any(|(a, u)| u.written && fresh.contains(&(a.0 as usize)))
            }
            Step::Copy { to, .. } => fresh.contains(&(to.0 as usize)),
            _ => true,
        };
        let mut batch = Batch::default();
        for step in loaded.plan.init.iter().filter(wanted) {
            record(loaded, step, &mut Arc::default(), &mut *self.device, &mut batch)?;
        }
        batch.flush(&mut *self.device)?;
        self.device.synchronize()
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
            for p in self.programs.values_mut() {
                for (slot, b) in p.slots.iter_mut().zip(&p.plan.buffers) {
                    if let (Some(slot), Place::Arena(_)) = (slot, &b.place) {
                        slot.0 = grown;
                    }
                }
            }
            self.device.free(old);
        }
        Ok(grown)
    }
}

fn given_back() -> Box<Diag> {
    Diag::error("X007", "these weights were given back").help("load the plan into a group that still has plans")
}
