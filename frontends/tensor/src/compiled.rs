//! Devices that run compiled plans: the driver makes a plan of a graph, an engine runs it.

use crate::data::Data;
use crate::run::{Executor, Program};
use girih_base::{Bindings, Diag, Result};
use girih_driver::{Options, Target};
use girih_exec::{Array, Session, Weight};
use girih_graph::{Graph, TensorTy};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// More compiled programs of lazy tensors than this are not kept.
const MOST_PROGRAMS: usize = 256;

type Open = Box<dyn Fn() -> Result<Box<dyn girih_exec::Device>> + Send + Sync>;

/// A target, and how its device is opened: once, when the first program wants it.
pub(crate) struct Compiled {
    name: String,
    target: Box<dyn Target + Send + Sync>,
    open: Open,
    shared: Mutex<Shared>,
}

/// Equal graphs share a program: a lazy loop compiles its round once.
#[derive(Default)]
struct Shared {
    session: Option<Session>,
    programs: BTreeMap<String, Arc<dyn Program>>,
}

impl Compiled {
    pub fn new(
        name: &str,
        target: impl Target + Send + Sync + 'static,
        open: impl Fn() -> Result<Box<dyn girih_exec::Device>> + Send + Sync + 'static,
    ) -> Compiled {
        Compiled { name: name.into(), target: Box::new(target), open: Box::new(open), shared: Mutex::default() }
    }

    fn session(&self) -> Result<Session> {
        let mut shared = lock(&self.shared);
        if let Some(session) = &shared.session {
            return Ok(session.clone());
        }
        let session = Session::new((self.open)()?);
        shared.session = Some(session.clone());
        Ok(session)
    }

    fn load(&self, graph: &Graph, weights: &[Data]) -> Result<Arc<dyn Program>> {
        let plan = girih_driver::compile(graph, &*self.target, &Options::for_target(&*self.target))?.plan;
        let outputs = graph.outputs().iter().map(|o| graph.tensor(*o).cloned()).collect::<Result<_>>()?;
        let weight = |w: &Data| -> Result<Weight> {
            let bytes = w.bytes()?.clone();
            Ok(Weight { range: 0..bytes.len(), data: Arc::new(bytes) })
        };
        let session = self.session()?;
        let program = session.load(plan, weights.iter().map(weight).collect::<Result<_>>()?)?;
        Ok(Arc::new(PlanProgram { session, program, outputs }))
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Executor for Compiled {
    fn take_prints(&self) -> girih_exec::Prints {
        let session = lock(&self.shared).session.clone();
        session.map(|s| s.take_prints()).unwrap_or_default()
    }

    fn name(&self) -> String {
        self.name.clone()
    }

    fn compile(&self, graph: &Graph, weights: &[Data]) -> Result<Arc<dyn Program>> {
        if !weights.is_empty() {
            return self.load(graph, weights);
        }
        let key = graph.to_string();
        if let Some(program) = lock(&self.shared).programs.get(&key) {
            return Ok(program.clone());
        }
        let program = self.load(graph, &[])?;
        let mut shared = lock(&self.shared);
        if shared.programs.len() >= MOST_PROGRAMS {
            shared.programs.clear();
        }
        shared.programs.insert(key, program.clone());
        Ok(program)
    }
}

struct PlanProgram {
    session: Session,
    program: girih_exec::Program,
    outputs: Vec<TensorTy>,
}

impl Program for PlanProgram {
    fn run(&self, inputs: &[Data]) -> Result<Vec<Data>> {
        let arrays = inputs.iter().map(|d| d.array(&self.session)).collect::<Result<Vec<Array>>>()?;
        let results = self.program.run(&arrays.iter().collect::<Vec<_>>(), &Bindings::new())?;
        let typed = self.outputs.iter().zip(results);
        typed
            .map(|(ty, array)| {
                let shape = ty
                    .const_shape()
                    .ok_or_else(|| Diag::error("T014", format!("the result {ty} has a size that was never given")))?;
                Ok(Data::on_device(ty.dtype, shape, array))
            })
            .collect()
    }
}
