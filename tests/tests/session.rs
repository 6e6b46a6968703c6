//! Arrays that stay on their device between runs, on every device.
#![allow(clippy::unwrap_used, clippy::panic)]

use girih_base::{Bindings, DType, Loc, ScalarOp};
use girih_driver::{Options, compile};
use girih_exec::{Command, Device, KernelRef, MemRef, Session, Weight};
use girih_graph::{Graph, ParamKind, TensorTy};
use girih_tests::{Rig, cpu, gpu};
use std::sync::Arc;

/// y = x + w, for four numbers.
fn add() -> Graph {
    let ty = TensorTy::new(DType::F32, [4]);
    let mut g = Graph::new("add");
    let x = g.param("x", ty.clone(), ParamKind::Input, Loc::unknown());
    let w = g.param("w", ty, ParamKind::Weight, Loc::unknown());
    let y = g.map(ScalarOp::Add, &[x, w]).unwrap();
    g.set_outputs(vec![y]);
    g
}

fn bytes(values: [f32; 4]) -> Vec<u8> {
    values.iter().flat_map(|v| v.to_le_bytes()).collect()
}

fn floats(bytes: &[u8]) -> Vec<f32> {
    bytes.chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect()
}

fn weight(values: [f32; 4]) -> Vec<Weight> {
    vec![Weight { data: Arc::new(bytes(values)), range: 0..16 }]
}

fn sessions() -> Vec<(Rig, Session)> {
    let open = |rig: Rig| {
        let session = Session::new((rig.device)());
        (rig, session)
    };
    [Some(cpu()), gpu::gpu()].into_iter().flatten().map(open).collect()
}

#[test]
fn results_are_the_next_inputs_without_the_host() {
    for (rig, session) in sessions() {
        let plan = compile(&add(), &*rig.target, &Options::for_target(&*rig.target)).unwrap().plan;
        let one = session.load(plan.clone(), weight([1.0; 4])).unwrap();
        let ten = session.load(plan, weight([10.0, 20.0, 30.0, 40.0])).unwrap();
        let mut x = session.upload(&bytes([0.5; 4])).unwrap();
        for program in [&one, &ten, &one, &one] {
            x = program.run(&[&x], &Bindings::new()).unwrap().remove(0);
        }
        assert_eq!(floats(&x.read().unwrap()), [13.5, 23.5, 33.5, 43.5], "{}", session.name());
        // The weights of one program go with it; the other's stay.
        drop(one);
        let y = ten.run(&[&x], &Bindings::new()).unwrap().remove(0);
        assert_eq!(floats(&y.read().unwrap()), [23.5, 43.5, 63.5, 83.5]);
        // A result that somebody holds is not the memory of the next one.
        let (a, b) = (ten.run(&[&x], &Bindings::new()).unwrap(), ten.run(&[&y], &Bindings::new()).unwrap());
        assert_eq!(floats(&a[0].read().unwrap()), [23.5, 43.5, 63.5, 83.5]);
        assert_eq!(floats(&b[0].read().unwrap()), [33.5, 63.5, 93.5, 123.5]);
    }
}

#[test]
fn arrays_are_checked() {
    for (rig, session) in sessions() {
        let plan = compile(&add(), &*rig.target, &Options::for_target(&*rig.target)).unwrap().plan;
        let program = session.load(plan, weight([1.0; 4])).unwrap();
        let short = session.zeros(12).unwrap();
        assert_eq!(program.run(&[&short], &Bindings::new()).err().unwrap().code, "X006");
        assert_eq!(program.run(&[], &Bindings::new()).err().unwrap().code, "X006");
        assert_eq!(short.write(&[0; 16]).unwrap_err().code, "X006");
        let elsewhere = Session::new((cpu().device)()).upload(&bytes([0.0; 4])).unwrap();
        assert_eq!(program.run(&[&elsewhere], &Bindings::new()).err().unwrap().code, "X011");
    }
}

#[test]
fn kernels_go_with_their_last_owner() {
    for rig in [Some(cpu()), gpu::gpu()].into_iter().flatten() {
        let plan = compile(&add(), &*rig.target, &Options::for_target(&*rig.target)).unwrap().plan;
        let mut device = (rig.device)();
        let buffers = [bytes([1.0; 4]), bytes([2.0; 4]), bytes([0.0; 4])].map(|data| {
            let buffer = device.allocate(16).unwrap();
            device.write(buffer, 0, &data).unwrap();
            MemRef { buffer, offset: 0, bytes: 16 }
        });
        let launch = |device: &mut dyn Device, kernel: KernelRef| {
            device.submit(&[Command::Launch { kernel, args: &buffers, bindings: &Bindings::new() }])
        };
        let (first, second) = (device.load(&plan.kernels[0]).unwrap(), device.load(&plan.kernels[0]).unwrap());
        launch(&mut *device, first).unwrap();
        device.unload(first);
        launch(&mut *device, second).unwrap();
        let mut sum = vec![0; 16];
        device.read(buffers[2].buffer, 0, &mut sum).unwrap();
        assert_eq!(floats(&sum), [3.0; 4]);
        device.unload(second);
        assert!(launch(&mut *device, second).is_err(), "{} still has the kernel", device.name());
        // A later kernel does not take the place of one that went.
        let third = device.load(&plan.kernels[0]).unwrap();
        assert!(third != first && third != second);
        device.unload(second);
        launch(&mut *device, third).unwrap();
    }
}
