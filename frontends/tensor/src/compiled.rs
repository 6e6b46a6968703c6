//! Devices that run compiled plans: the driver makes a plan of a graph, an engine runs it.

use crate::data::Data;
use crate::run::{Executor, Program};
use girih_base::{Bindings, Diag, Result};
use girih_driver::{Options, Target};
use girih_exec::{Engine, ProgramId, Weight};
use girih_graph::{Graph, TensorTy};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// More programs than this are not kept in one engine: their buffers live as long as it does.
const MOST_PROGRAMS: usize = 256;

type Open = Box<dyn Fn() -> Result<Box<dyn girih_exec::Device>> + Send + Sync>;

/// A target, and how its device is opened.
pub(crate) struct Compiled {
    name: String,
    target: Box<dyn Target + Send + Sync>,
    open: Open,
    shared: Mutex<Shared>,
}

/// Programs without weights share an engine, and equal graphs share a program: a lazy loop compiles its round once.
#[derive(Default)]
struct Shared {
    engine: Option<Arc<Mutex<Engine>>>,
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

    fn load(&self, graph: &Graph, engine: Arc<Mutex<Engine>>) -> Result<Arc<dyn Program>> {
        let plan = girih_driver::compile(graph, &*self.target, &Options::for_target(&*self.target))?.plan;
        let outputs = graph.outputs().iter().map(|o| graph.tensor(*o).cloned()).collect::<Result<_>>()?;
        let program = lock(&engine).load(plan)?;
        Ok(Arc::new(PlanProgram { engine, program, outputs }))
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Executor for Compiled {
    fn name(&self) -> String {
        self.name.clone()
    }

    fn compile(&self, graph: &Graph, weights: &[Data]) -> Result<Arc<dyn Program>> {
        if !weights.is_empty() {
            let weights =
                weights.iter().map(|w| Weight { range: 0..w.bytes().len(), data: Arc::new(w.bytes().clone()) });
            let engine = Engine::new((self.open)()?, weights.collect());
            return self.load(graph, Arc::new(Mutex::new(engine)));
        }
        let key = graph.to_string();
        let mut shared = lock(&self.shared);
        if let Some(program) = shared.programs.get(&key) {
            return Ok(program.clone());
        }
        if shared.programs.len() >= MOST_PROGRAMS {
            *shared = Shared::default();
        }
        let engine = match &shared.engine {
            Some(engine) => engine.clone(),
            None => Arc::new(Mutex::new(Engine::new((self.open)()?, Vec::new()))),
        };
        shared.engine = Some(engine.clone());
        let program = self.load(graph, engine)?;
        shared.programs.insert(key, program.clone());
        Ok(program)
    }
}

struct PlanProgram {
    engine: Arc<Mutex<Engine>>,
    program: ProgramId,
    outputs: Vec<TensorTy>,
}

impl Program for PlanProgram {
    fn run(&self, inputs: &[Data]) -> Result<Vec<Data>> {
        let bytes: Vec<&[u8]> = inputs.iter().map(|d| &**d.bytes()).collect();
        let results = lock(&self.engine).run(self.program, &bytes, &Bindings::new())?;
        let typed = self.outputs.iter().zip(results);
        typed
            .map(|(ty, bytes)| {
                let shape = ty
                    .const_shape()
                    .ok_or_else(|| Diag::error("T014", format!("the result {ty} has a size that was never given")))?;
                Data::new(ty.dtype, shape, bytes)
            })
            .collect()
    }
}
