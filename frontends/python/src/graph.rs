//! Graphs in text form, compiled.

use crate::buffer::Buffer;
use crate::device::{Rig, rig};
use crate::fault::{dtype, raise};
use girih_base::{Bindings, DType, Diag, Dim, Result};
use girih_driver::{Options, PlanCache};
use girih_exec::Weight;
use girih_plan::Port;
use pyo3::prelude::*;
use std::collections::BTreeMap;
use std::sync::Arc;

/// A compiled graph, loaded into a device.
#[pyclass(frozen, module = "girih._girih")]
pub struct Program {
    rig: Arc<Rig>,
    program: girih_exec::Program,
    name: String,
    inputs: Vec<Port>,
    outputs: Vec<Port>,
    kernels: Vec<(String, Arc<str>)>,
    notes: Vec<String>,
}

/// Name, dtype and shape of what goes in or comes out; sizes as text.
type PortRow = (String, &'static str, Vec<String>);

/// A result: its bytes, its dtype and its shape.
type Output = (Buffer, &'static str, Vec<i64>);

#[pymethods]
impl Program {
    /// Compiles the text of a graph for a device; errors name `file`. Weights are bytes by name.
    #[new]
    #[pyo3(signature = (text, file, device, weights = BTreeMap::new()))]
    fn new(
        py: Python<'_>,
        text: &str,
        file: &str,
        device: &str,
        weights: BTreeMap<String, Vec<u8>>,
    ) -> PyResult<Program> {
        raise(py.detach(|| Program::compile(text, file, device, weights)))
    }

    /// Name of the graph.
    #[getter]
    fn name(&self) -> &str {
        &self.name
    }

    /// Name of the device.
    #[getter]
    fn device(&self) -> &str {
        &self.rig.name
    }

    /// What each call takes.
    #[getter]
    fn inputs(&self) -> Vec<PortRow> {
        self.inputs.iter().map(row).collect()
    }

    /// What each call gives.
    #[getter]
    fn outputs(&self) -> Vec<PortRow> {
        self.outputs.iter().map(row).collect()
    }

    /// The kernels by name: WGSL, or tile kernels on the CPU.
    #[getter]
    fn kernels(&self) -> Vec<(String, String)> {
        self.kernels.iter().map(|(name, text)| (name.clone(), text.to_string())).collect()
    }

    /// What the user should know about the cache of plans.
    #[getter]
    fn notes(&self) -> Vec<String> {
        self.notes.clone()
    }

    /// Runs it on arrays of its device, given as bytes, dtype and shape. Returns when the work is submitted.
    fn run(&self, py: Python<'_>, inputs: Vec<(Py<Buffer>, String, Vec<i64>)>) -> PyResult<Vec<Output>> {
        let given = inputs
            .iter()
            .map(|(buffer, name, shape)| Ok((buffer.get(), dtype(name)?, &**shape)))
            .collect::<PyResult<Vec<_>>>()?;
        raise(py.detach(|| {
            let bindings = bind(&self.name, &self.inputs, &given)?;
            let arrays: Vec<_> = given.iter().map(|(buffer, ..)| &buffer.array).collect();
            let results = self.program.run(&arrays, &bindings)?;
            let typed = results.into_iter().zip(&self.outputs);
            typed
                .map(|(array, port)| {
                    let shape = port.shape.iter().map(|d| size(d, &bindings, &port.name)).collect::<Result<_>>()?;
                    Ok((Buffer { rig: self.rig.clone(), array }, port.dtype.name(), shape))
                })
                .collect()
        }))
    }
}

impl Program {
    fn compile(text: &str, file: &str, device: &str, mut weights: BTreeMap<String, Vec<u8>>) -> Result<Program> {
        let graph = girih_graph::text::parse(text, file)?;
        let rig = rig(device)?;
        let options = Options::for_target(&*rig.target);
        let (plan, notes) = match PlanCache::standard() {
            Some(cache) => {
                let found = cache.compile(&graph, &*rig.target, &options)?;
                (found.plan, found.notes)
            }
            None => (girih_driver::compile(&graph, &*rig.target, &options)?.plan, Vec::new()),
        };
        let mut loaded = Vec::new();
        for port in &plan.weights {
            let data = weights.remove(&port.name).ok_or_else(|| {
                Diag::error("Y002", format!("graph `{}` needs the weight `{}`", plan.name, port.name))
                    .note(format!("it is {}", ty(port)))
                    .help("give it in `weights`, by name")
            })?;
            let range = 0..data.len();
            loaded.push(Weight { data: Arc::new(data), range });
        }
        if let Some(name) = weights.keys().next() {
            return Err(Diag::error("Y002", format!("graph `{}` has no weight `{name}`", plan.name)));
        }
        let (name, inputs, outputs) = (plan.name.clone(), plan.inputs.clone(), plan.outputs.clone());
        let kernels = plan.kernels.iter().map(|k| (k.name.clone(), k.text.clone())).collect();
        let program = rig.session.load(plan, loaded)?;
        Ok(Program { rig, program, name, inputs, outputs, kernels, notes })
    }
}

fn row(port: &Port) -> PortRow {
    (port.name.clone(), port.dtype.name(), port.shape.iter().map(Dim::to_string).collect())
}

fn ty(port: &Port) -> String {
    let sizes: Vec<String> = port.shape.iter().map(Dim::to_string).collect();
    format!("{}[{}]", port.dtype, sizes.join(", "))
}

fn size(dim: &Dim, bindings: &Bindings, what: &str) -> Result<i64> {
    dim.eval(bindings).map_err(|symbol| {
        Diag::error("Y002", format!("no input gives the size `{symbol}`")).note(format!("`{what}` needs it"))
    })
}

/// The values of symbols, from the shapes of the inputs.
fn bind(graph: &str, ports: &[Port], given: &[(&Buffer, DType, &[i64])]) -> Result<Bindings> {
    if ports.len() != given.len() {
        let names: Vec<String> = ports.iter().map(|p| format!("`{}`: {}", p.name, ty(p))).collect();
        return Err(Diag::error("Y002", format!("graph `{graph}` takes {} inputs, got {}", ports.len(), given.len()))
            .note(names.join(", ")));
    }
    let mut bindings = Bindings::new();
    for (port, (_, _, shape)) in ports.iter().zip(given) {
        for (dim, n) in port.shape.iter().zip(*shape) {
            if let [symbol] = &dim.symbols()[..]
                && *dim == Dim::from(symbol.clone())
            {
                bindings.entry(symbol.name.clone()).or_insert(*n);
            }
        }
    }
    for (port, (_, dtype, shape)) in ports.iter().zip(given) {
        let want = port.shape.iter().map(|d| size(d, &bindings, &port.name)).collect::<Result<Vec<_>>>()?;
        if *dtype != port.dtype || want != **shape {
            let sizes: Vec<String> = shape.iter().map(i64::to_string).collect();
            return Err(Diag::error(
                "Y002",
                format!("input `{}` of graph `{graph}` is {}, got {dtype}[{}]", port.name, ty(port), sizes.join(", ")),
            ));
        }
    }
    Ok(bindings)
}
