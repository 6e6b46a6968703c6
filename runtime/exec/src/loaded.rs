//! A plan bound to a device: kernels compiled, buffers allocated.

use crate::device::{BufferRef, KernelRef, MemRef};
use crate::engine::GroupId;
use girih_base::{Bindings, Diag, Dim, Result};
use girih_plan::file::hash;
use girih_plan::{Place, Plan, Step};

/// A plan with its device objects.
#[derive(Debug)]
pub struct Loaded {
    pub plan: Plan,
    pub kernels: Vec<KernelRef>,
    /// The allocation behind each plan buffer, and the byte offset in it; inputs and outputs are bound for each run.
    pub slots: Vec<Slot>,
    /// Whose weights and states it uses.
    pub group: GroupId,
    /// Inputs and outputs of its own, once they were asked for.
    pub ports: Option<Ports>,
}

/// An allocation and a byte offset in it, once there is one.
pub type Slot = Option<(BufferRef, u64)>;

/// Memory of a plan's inputs and outputs, in port order.
#[derive(Clone, Debug)]
pub struct Ports {
    pub inputs: Vec<BufferRef>,
    pub outputs: Vec<BufferRef>,
}

/// A size at run time.
pub fn size(dim: &Dim, bindings: &Bindings) -> Result<u64> {
    let value = dim.eval(bindings).map_err(|name| {
        Diag::error("X001", format!("the size `{name}` has no value"))
            .help("bind every symbol of the plan when running it")
    })?;
    u64::try_from(value).map_err(|_| Diag::error("X002", format!("the size {dim} is negative: {value}")))
}

/// The largest value a size can take.
pub fn most(dim: &Dim) -> Result<u64> {
    let top = dim.bounds().1;
    u64::try_from(top)
        .ok()
        .filter(|b| *b < 1 << 46)
        .ok_or_else(|| Diag::error("X003", format!("a buffer of {dim} bytes has no usable bound ({top})")))
}

impl Loaded {
    /// The memory of a plan buffer at run time.
    pub fn memory(&self, buffer: usize, bindings: &Bindings) -> Result<MemRef> {
        let Some((allocation, offset)) = self.slots[buffer] else {
            let label = &self.plan.buffers[buffer].label;
            return Err(Diag::error("X008", format!("`{label}` is used before the plan is run")));
        };
        Ok(MemRef { buffer: allocation, offset, bytes: size(&self.plan.buffers[buffer].bytes, bindings)? })
    }

    /// Refuses values that the plan was not compiled for.
    pub fn check(&self, bindings: &Bindings) -> Result<()> {
        for s in &self.plan.symbols {
            match bindings.get(&s.name) {
                Some(v) if (s.min..=s.max).contains(v) => {}
                Some(v) => {
                    return Err(Diag::error(
                        "X004",
                        format!("`{}` is {v}, outside the {}..={} of this plan", s.name, s.min, s.max),
                    )
                    .help("compile a plan for that range, or run another one"));
                }
                None => return Err(Diag::error("X001", format!("the size `{}` has no value", s.name))),
            }
        }
        Ok(())
    }
}

/// For every buffer that init steps compute, a hash that two plans share exactly when they compute the same bytes into it.
pub fn derived_keys(plan: &Plan) -> Vec<Option<u128>> {
    let mut keys: Vec<Option<u128>> = vec![None; plan.buffers.len()];
    for step in &plan.init {
        // What each argument holds before the step.
        let before = |keys: &[Option<u128>], b: u32| match &plan.buffers[b as usize].place {
            Place::Weight(i) => format!("weight {i}"),
            Place::Constant(data) => format!("constant {}", hash(&[data])),
            place => format!("{place:?} {:?}", keys[b as usize]),
        };
        match step {
            Step::Launch { kernel, args } => {
                let code = &plan.kernels[*kernel as usize];
                let from: Vec<String> = args.iter().map(|a| before(&keys, a.0)).collect();
                let from = from.join(", ");
                for (i, (a, _)) in args.iter().zip(&code.args).enumerate().filter(|(_, (_, used))| used.written) {
                    keys[a.0 as usize] = Some(hash(&[code.text.as_bytes(), from.as_bytes(), &i.to_le_bytes()]));
                }
            }
            Step::Copy { from, from_offset, to, to_offset, bytes } => {
                let all = format!("{bytes} from {from_offset} of {}, at {to_offset} of ", before(&keys, from.0));
                keys[to.0 as usize] = Some(hash(&[all.as_bytes(), before(&keys, to.0).as_bytes()]));
            }
            _ => {}
        }
    }
    keys
}
