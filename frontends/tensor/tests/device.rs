//! What is sent to a device, and when.
#![allow(clippy::unwrap_used)]

use girih::prelude::*;
use girih::run::{Executor, Program};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

/// A device that gives zeros, and notes the number of operations of each program it is given.
#[derive(Clone, Default)]
struct Zeros {
    programs: Arc<Mutex<Vec<usize>>>,
    runs: Arc<AtomicUsize>,
}

struct ZerosProgram(girih::graph::Graph, Arc<AtomicUsize>);

impl Executor for Zeros {
    fn name(&self) -> String {
        "zeros".into()
    }
    fn compile(&self, graph: &girih::graph::Graph, _: &[Data]) -> girih::Result<Arc<dyn Program>> {
        let operations = graph.ids().filter(|id| !matches!(graph.op(*id), girih::graph::Op::Param(_))).count();
        self.programs.lock().unwrap().push(operations);
        Ok(Arc::new(ZerosProgram(graph.clone(), self.runs.clone())))
    }
}

impl Program for ZerosProgram {
    fn run(&self, _: &[Data]) -> girih::Result<Vec<Data>> {
        self.1.fetch_add(1, Ordering::Relaxed);
        let zeros = |id: &girih::graph::NodeId| {
            let ty = self.0.tensor(*id)?;
            let shape = ty.const_shape().unwrap_or_default();
            let bytes = ty.dtype.bytes_for(shape.iter().product::<usize>() as u64);
            Data::new(ty.dtype, shape, vec![0u8; bytes as usize])
        };
        self.0.outputs().iter().map(zeros).collect()
    }
}

#[test]
fn the_innermost_scope_decides_and_ends() {
    let x = || Tensor::ones(DType::F32, [2]) + 1.0;
    assert_eq!(Device::current().name(), "cpu");
    let zeros = Device::from_executor(Zeros::default());
    let got = zeros.scope(|| {
        assert_eq!(Device::oracle().scope(|| x().to_vec::<f32>()).unwrap(), [2.0, 2.0]);
        x().to_vec::<f32>()
    });
    assert_eq!(got.unwrap(), [0.0, 0.0]);
    assert_eq!(x().to_vec::<f32>().unwrap(), [2.0, 2.0]);
}

#[test]
fn jit_compiles_once_for_each_device() {
    let spy = Zeros::default();
    let device = Device::from_executor(spy.clone());
    let f = jit(|x: &Tensor| x.exp());
    let x = Tensor::new(&[0f32], [1]);
    assert_eq!(f(&x).item::<f32>().unwrap(), 1.0);
    for _ in 0..3 {
        assert_eq!(device.scope(|| f(&x)).item::<f32>().unwrap(), 0.0);
    }
    assert_eq!((spy.programs.lock().unwrap().len(), spy.runs.load(Ordering::Relaxed)), (1, 3));
}

#[test]
fn a_lazy_loop_that_reads_a_number_each_round_computes_nothing_twice() {
    let spy = Zeros::default();
    Device::from_executor(spy.clone()).scope(|| {
        let mut x = Tensor::new(&[1f32, 2.0], [2]);
        for _ in 0..5 {
            x = x.exp().tanh();
            x.sum(..).item::<f32>().unwrap();
        }
    });
    let programs = spy.programs.lock().unwrap();
    assert!(programs.len() == 5 && programs.iter().all(|n| *n == programs[0]), "{programs:?}");
}
