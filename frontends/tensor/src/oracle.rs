//! The reference evaluator as a device.

use crate::data::Data;
use crate::run::{Executor, Program};
use girih_base::{Bindings, Result};
use girih_graph::Graph;
use girih_graph::eval::{Array, Value};
use std::sync::Arc;

/// Evaluates graphs exactly, and slowly.
pub(crate) struct Oracle;

struct OracleProgram {
    graph: Graph,
    weights: Vec<Value>,
}

impl Executor for Oracle {
    fn name(&self) -> String {
        "oracle".into()
    }
    fn compile(&self, graph: &Graph, weights: &[Data]) -> Result<Arc<dyn Program>> {
        let weights = weights.iter().map(value_of).collect::<Result<_>>()?;
        Ok(Arc::new(OracleProgram { graph: graph.clone(), weights }))
    }
}

impl Program for OracleProgram {
    fn run(&self, inputs: &[Data]) -> Result<Vec<Data>> {
        let mut arguments = inputs.iter().map(value_of).collect::<Result<Vec<_>>>()?;
        arguments.extend(self.weights.iter().cloned());
        let outputs = self.graph.eval(&arguments, &Bindings::new())?;
        outputs.iter().map(|v| v.array().and_then(|a| Data::new(a.dtype, a.shape.clone(), a.encode()))).collect()
    }
}

fn value_of(data: &Data) -> Result<Value> {
    Array::decode(data.dtype(), data.shape(), data.bytes()?).map(Value::from)
}
