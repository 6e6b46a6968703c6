//! What the cross-crate tests share: compile a graph, run it on a device, compare with the reference evaluator.

pub mod cuda;
#[cfg(doctest)]
pub mod docs;
pub mod emulated;
pub mod fuzz;
pub mod gpu;
pub mod rounding;
pub mod table;

use girih_base::{Bindings, DType, Result};
use girih_driver::{Options, Target, compile};
use girih_exec::{Device, Engine, Weight};
use girih_graph::eval::{Array, Value};
pub use girih_graph::testing::numbers;
use girih_graph::{Graph, Op, ParamKind};
use girih_lower::TargetDesc;
use std::sync::Arc;

/// A target with a way to make its device.
pub struct Rig {
    /// Name for messages.
    pub name: &'static str,
    /// Compiles.
    pub target: Box<dyn Target>,
    /// Runs.
    pub device: Box<dyn Fn() -> Box<dyn Device>>,
}

/// The CPU target.
pub fn cpu() -> Rig {
    Rig {
        name: "cpu",
        target: Box::new(girih_cpu::CpuTarget::new()),
        device: Box::new(|| Box::new(girih_cpu::CpuDevice::new())),
    }
}

/// The CPU target cutting everything into small tiles, so that small arrays have loops, grids and tails.
pub fn cpu_in_small_tiles() -> Rig {
    struct Small(girih_cpu::CpuTarget, TargetDesc);
    impl Target for Small {
        fn desc(&self) -> &TargetDesc {
            &self.1
        }

        fn identity(&self) -> String {
            self.0.identity()
        }

        fn compile(&self, kernel: &girih_tile::Kernel) -> Result<girih_plan::KernelCode> {
            self.0.compile(kernel)
        }

        fn compile_simt(&self, kernel: &girih_simt::Kernel) -> Result<girih_plan::KernelCode> {
            self.0.compile_simt(kernel)
        }
    }
    let desc = TargetDesc { tile_elements: 24, dot_tile: [5, 6], ..TargetDesc::cpu(2) };
    Rig { name: "cpu in small tiles", target: Box::new(Small(girih_cpu::CpuTarget::new(), desc)), ..cpu() }
}

/// Compiles and runs a graph of tensors; gives the results (new states included, last).
pub fn run(rig: &Rig, graph: &Graph, inputs: &[Value], bindings: &Bindings, options: &Options) -> Result<Vec<Value>> {
    let plan = compile(graph, &*rig.target, options)?.plan;
    let outputs = plan.outputs.clone();
    let states = plan.states.clone();
    let mut given = Vec::new();
    let mut weights = Vec::new();
    let mut initial = Vec::new();
    for (p, v) in graph.params().iter().zip(inputs) {
        let bytes = v.array()?.encode();
        match graph.op(*p) {
            Op::Param(x) if x.kind == ParamKind::Weight => {
                let range = 0..bytes.len();
                weights.push(Weight { data: Arc::new(bytes), range });
            }
            Op::Param(x) if x.kind == ParamKind::State => initial.push(bytes),
            _ => given.push(bytes),
        }
    }
    let mut engine = Engine::new((rig.device)(), weights);
    let program = engine.load(plan)?;
    for (i, bytes) in initial.iter().enumerate() {
        engine.write_state(i, bytes)?;
    }
    let given: Vec<&[u8]> = given.iter().map(|b| &b[..]).collect();
    let mut results = engine.run(program, &given, bindings)?;
    for i in 0..states.len() {
        results.push(engine.read_state(i)?);
    }
    results
        .iter()
        .zip(outputs.iter().chain(&states))
        .map(|(bytes, port)| {
            let shape: Vec<usize> = port.shape.iter().map(|d| d.eval(bindings).unwrap_or(0).max(0) as usize).collect();
            // A state is as large as it can become.
            let used = port.dtype.bytes_for(shape.iter().product::<usize>() as u64) as usize;
            Ok(Value::Array(Array::decode(port.dtype, &shape, &bytes[..used.min(bytes.len())])?.into()))
        })
        .collect()
}

/// Random inputs for every parameter of a graph with the given symbol values.
pub fn random_inputs(graph: &Graph, bindings: &Bindings, seed: u64) -> Vec<Value> {
    graph
        .params()
        .iter()
        .enumerate()
        .filter_map(|(i, p)| {
            let ty = graph.ty(*p).tensor()?;
            let shape: Vec<usize> = ty.shape.iter().map(|d| d.eval(bindings).unwrap_or(0).max(0) as usize).collect();
            Some(Value::Array(Array::random(ty.dtype, &shape, seed * 1000 + i as u64).into()))
        })
        .collect()
}

/// The relative tolerance that suits a dtype's rounding.
pub fn tolerance(dtype: DType) -> f64 {
    match dtype {
        DType::F64 => 1e-12,
        DType::F16 => 4e-3,
        DType::Bf16 => 3e-2,
        _ => 2e-5,
    }
}
