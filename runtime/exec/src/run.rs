//! Runs loaded plans, on host bytes or on memory that is on the device already.

use crate::device::BufferRef;
use crate::engine::{Engine, ProgramId};
use crate::loaded::{Loaded, Ports, most, size};
use crate::record::{Batch, record};
use girih_base::{Bindings, Diag, Result};
use girih_plan::{Place, Plan};
use std::sync::Arc;

impl Engine {
    /// Runs a plan. `inputs` are row-major bytes in port order; results likewise.
    pub fn run(&mut self, program: ProgramId, inputs: &[&[u8]], bindings: &Bindings) -> Result<Vec<Vec<u8>>> {
        self.write_inputs(program, inputs, bindings)?;
        self.submit(program, bindings)?;
        self.read_outputs(program, bindings)
    }

    /// Runs a plan on memory of the device, in port order: `inputs` are read, `outputs` written. Returns when the work
    /// is submitted; reading an output waits for it.
    pub fn run_on(
        &mut self,
        program: ProgramId,
        inputs: &[BufferRef],
        outputs: &[BufferRef],
        bindings: &Bindings,
    ) -> Result<()> {
        let loaded = self.loaded(program)?;
        if (inputs.len(), outputs.len()) != (loaded.plan.inputs.len(), loaded.plan.outputs.len()) {
            return Err(wrong_count(&loaded.plan, inputs.len()));
        }
        loaded.bind(inputs, outputs);
        self.submit(program, bindings)
    }

    /// Sizes in bytes of a plan's inputs and of its outputs; 0 for those that no step touches.
    pub fn port_bytes(&self, program: ProgramId, bindings: &Bindings) -> Result<(Vec<u64>, Vec<u64>)> {
        let loaded = self.programs.get(&program).ok_or_else(unloaded)?;
        loaded.check(bindings)?;
        loaded.ports_by(|bytes| size(bytes, bindings))
    }

    /// Runs a plan on the inputs that were written last, and waits until the device is done.
    pub fn execute(&mut self, program: ProgramId, bindings: &Bindings) -> Result<()> {
        self.own_ports(program)?;
        self.submit(program, bindings)?;
        self.device.synchronize()
    }

    /// Uploads inputs for [`Engine::execute`].
    pub fn write_inputs(&mut self, program: ProgramId, inputs: &[&[u8]], bindings: &Bindings) -> Result<()> {
        let (want, _) = self.port_bytes(program, bindings)?;
        let buffers = self.own_ports(program)?.inputs;
        let plan = &self.loaded(program)?.plan;
        if inputs.len() != plan.inputs.len() {
            return Err(wrong_count(plan, inputs.len()));
        }
        for ((port, data), want) in plan.inputs.iter().zip(inputs).zip(&want) {
            if *want > 0 && data.len() as u64 != *want {
                let ty = format!("{:?} {:?}", port.dtype, port.shape);
                let have = data.len();
                return Err(Diag::error("X006", format!("input `{}` has {have} bytes, {ty} takes {want}", port.name)));
            }
        }
        for ((data, buffer), want) in inputs.iter().zip(buffers).zip(want) {
            if want > 0 {
                self.device.write(buffer, 0, data)?;
            }
        }
        Ok(())
    }

    /// Downloads the results of the last run with these sizes.
    pub fn read_outputs(&mut self, program: ProgramId, bindings: &Bindings) -> Result<Vec<Vec<u8>>> {
        let (_, sizes) = self.port_bytes(program, bindings)?;
        let buffers = self.own_ports(program)?.outputs;
        let mut outputs = Vec::with_capacity(sizes.len());
        for (bytes, buffer) in sizes.into_iter().zip(buffers) {
            let mut data = vec![0; bytes as usize];
            if !data.is_empty() {
                self.device.read(buffer, 0, &mut data)?;
            }
            outputs.push(data);
        }
        Ok(outputs)
    }

    fn loaded(&mut self, program: ProgramId) -> Result<&mut Loaded> {
        self.programs.get_mut(&program).ok_or_else(unloaded)
    }

    fn submit(&mut self, program: ProgramId, bindings: &Bindings) -> Result<()> {
        let loaded = self.programs.get(&program).ok_or_else(unloaded)?;
        loaded.check(bindings)?;
        let mut batch = Batch::default();
        let mut bound = Arc::new(bindings.clone());
        for step in &loaded.plan.steps {
            record(loaded, step, &mut bound, &mut *self.device, &mut batch)?;
        }
        batch.flush(&mut *self.device)
    }

    /// Binds the plan's own inputs and outputs, allocated when first wanted.
    fn own_ports(&mut self, program: ProgramId) -> Result<Ports> {
        let loaded = self.programs.get_mut(&program).ok_or_else(unloaded)?;
        let ports = match loaded.ports.take() {
            Some(ports) => ports,
            None => {
                let (inputs, outputs) = loaded.ports_by(|bytes| most(bytes).map(|b| b.max(4)))?;
                let mut allocate = |sizes: Vec<u64>| {
                    sizes.into_iter().map(|bytes| self.device.allocate(bytes)).collect::<Result<Vec<_>>>()
                };
                Ports { inputs: allocate(inputs)?, outputs: allocate(outputs)? }
            }
        };
        loaded.bind(&ports.inputs, &ports.outputs);
        loaded.ports = Some(ports.clone());
        Ok(ports)
    }
}

impl Loaded {
    /// Points the plan's input and output buffers at memory.
    fn bind(&mut self, inputs: &[BufferRef], outputs: &[BufferRef]) {
        for (slot, b) in self.slots.iter_mut().zip(&self.plan.buffers) {
            match b.place {
                Place::Input(i) => *slot = Some((inputs[i as usize], 0)),
                Place::Output(o) => *slot = Some((outputs[o as usize], 0)),
                _ => {}
            }
        }
    }

    /// A number for each input and for each output.
    fn ports_by(&self, f: impl Fn(&girih_base::Dim) -> Result<u64>) -> Result<(Vec<u64>, Vec<u64>)> {
        let (mut inputs, mut outputs) = (vec![0; self.plan.inputs.len()], vec![0; self.plan.outputs.len()]);
        for b in &self.plan.buffers {
            match b.place {
                Place::Input(i) => inputs[i as usize] = f(&b.bytes)?,
                Place::Output(o) => outputs[o as usize] = f(&b.bytes)?,
                _ => {}
            }
        }
        Ok((inputs, outputs))
    }
}

fn unloaded() -> Box<Diag> {
    Diag::error("X009", "this plan is not loaded").help("it was unloaded, or belongs to another engine")
}

fn wrong_count(plan: &Plan, inputs: usize) -> Box<Diag> {
    Diag::error("X006", format!("`{}` takes {} inputs, got {inputs}", plan.name, plan.inputs.len()))
}
