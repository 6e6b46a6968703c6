//! What launches check: memory that arguments share, sizes and grids that kernels were compiled for, devices.
#![allow(clippy::unwrap_used, clippy::panic)]

mod common;
use common::*;
use girih_base::DType;
use girih_exec::{Command, Device, MemRef};
use girih_triton::{Arg, Argument, Binding, Given, Launcher, Module, Place, Signature};

const HEAD: &str = "import triton\nimport triton.language as tl\n\n\n@triton.jit\n";

fn allocated(rig: &mut Rig, values: &[f32]) -> MemRef {
    let bytes: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
    let buffer = rig.device.allocate(bytes.len() as u64).unwrap();
    rig.device.write(buffer, 0, &bytes).unwrap();
    MemRef { buffer, offset: 0, bytes: bytes.len() as u64 }
}

fn read(rig: &mut Rig, m: MemRef) -> Vec<f32> {
    let mut back = vec![0; m.bytes as usize];
    rig.device.read(m.buffer, m.offset, &mut back).unwrap();
    back.chunks(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect()
}

#[test]
fn parts_of_one_buffer_are_not_the_whole() {
    let source = format!(
        "{HEAD}def k(a_ptr, b_ptr, y_ptr, n):\n    at = tl.program_id(0) * 16 + tl.arange(0, 16)\n    inside = at < n\n    tl.store(y_ptr + at, tl.load(a_ptr + at % 16) + tl.load(b_ptr + at, mask=inside), mask=inside)\n"
    );
    let module = Module::parse(&source, "kernel.py").unwrap();
    for mut rig in rigs() {
        let mut launcher = Launcher::new(&module, "k").unwrap();
        let x: Vec<f32> = (0..128).map(|i| i as f32).collect();
        let (whole, y) = (allocated(&mut rig, &x), allocated(&mut rig, &[0.0; 128]));
        let half = MemRef { bytes: whole.bytes / 2, ..whole };
        let mut go = |rig: &mut Rig, a: MemRef, b: MemRef, y: MemRef| {
            let f = |m| Argument::Buffer(m, DType::F32);
            let args = [("a_ptr", f(a)), ("b_ptr", f(b)), ("y_ptr", f(y)), ("n", int(128))];
            launcher.launch(&*rig.target, &mut *rig.device, [8, 1, 1], &args)
        };
        // The shorter one comes first: the second has more elements than it.
        go(&mut rig, half, whole, y).unwrap();
        let want: Vec<f32> = (0..128).map(|i| (i % 16 + i) as f32).collect();
        assert_eq!(read(&mut rig, y), want, "{}", rig.name);
        let e = go(&mut rig, half, y, whole).unwrap_err();
        assert!(e.code == "K012" && e.to_string().contains("overlap"), "{e}");
        go(&mut rig, y, whole, whole).unwrap();
    }
}

#[test]
fn a_descriptor_shares_what_is_only_read() {
    let source = format!(
        "{HEAD}def k(x, p, y_ptr):\n    at = tl.arange(0, 4)\n    v = x.load([0])\n    tl.store(y_ptr + at, v + tl.load(p + at))\n"
    );
    let module = Module::parse(&source, "kernel.py").unwrap();
    for mut rig in rigs() {
        let mut launcher = Launcher::new(&module, "k").unwrap();
        let (x, y) = (allocated(&mut rig, &[1.0, 2.0, 3.0, 4.0]), allocated(&mut rig, &[0.0; 4]));
        let mut go = |rig: &mut Rig, p: MemRef, y: MemRef| {
            let f = |m| Argument::Buffer(m, DType::F32);
            let x = Argument::Descriptor(x, DType::F32, vec![4], vec![1], vec![4]);
            launcher.launch(&*rig.target, &mut *rig.device, [1, 1, 1], &[("x", x), ("p", f(p)), ("y_ptr", f(y))])
        };
        go(&mut rig, x, y).unwrap();
        assert_eq!(read(&mut rig, y), [2.0, 4.0, 6.0, 8.0]);
        assert_eq!(go(&mut rig, y, x).unwrap_err().code, "K012");
    }
}

#[test]
fn values_beyond_what_was_compiled_are_refused() {
    let source = format!(
        "{HEAD}def k(y_ptr, n, f):\n    at = tl.program_id(0) + tl.program_id(1) * n\n    tl.store(y_ptr + at, at + f, mask=at < n)\n"
    );
    let module = Module::parse(&source, "kernel.py").unwrap();
    let mut signature = Signature::new()
        .arg("y_ptr", Arg::Pointer { dtype: DType::F32, multiple_of: 16, place: Place::default() })
        .arg("n", Arg::size())
        .arg("f", Arg::int());
    signature.single = [false, false, true];
    let kernel = module.compile("k", &signature).unwrap();
    let bind = |grid: [i64; 3], elements: i128, n: i128, f: Given| {
        let given = |name: &str, _: &_| match name {
            "y_ptr" => Some(Given::Int(elements)),
            "n" => Some(Given::Int(n)),
            _ => Some(f),
        };
        kernel.bind(grid, given).map(|b| b.len()).map_err(|e| e.code)
    };
    assert_eq!(bind([2, 2, 1], 32, 5, Given::Int(-7)), Ok(5));
    for wrong in [
        bind([2, 70000, 1], 32, 5, Given::Int(1)),
        bind([2, 2, 2], 32, 5, Given::Int(1)),
        bind([-1, 2, 1], 32, 5, Given::Int(1)),
        bind([2, 2, 1], 33, 5, Given::Int(1)),
        bind([2, 2, 1], 1 << 33, 5, Given::Int(1)),
        bind([2, 2, 1], 32, -5, Given::Int(1)),
        bind([2, 2, 1], 32, 1 << 31, Given::Int(1)),
        bind([2, 2, 1], 32, 5, Given::Int(1 << 32)),
        bind([2, 2, 1], 32, 5, Given::Float(1.0)),
    ] {
        assert_eq!(wrong, Err("K012"));
    }
    for mut rig in rigs() {
        let mut launcher = Launcher::new(&module, "k").unwrap();
        let y = allocated(&mut rig, &[0.0; 16]);
        let args = [("y_ptr", Argument::Buffer(y, DType::F32)), ("n", int(5)), ("f", int(2))];
        let e = launcher.launch(&*rig.target, &mut *rig.device, [1, 70000, 1], &args).unwrap_err();
        assert_eq!(e.code, "K012", "{e}");
    }
}

#[test]
fn a_launcher_goes_from_device_to_device() {
    let source =
        format!("{HEAD}def k(y_ptr, F: tl.constexpr):\n    at = tl.arange(0, 4)\n    tl.store(y_ptr + at, at * F)\n");
    let module = Module::parse(&source, "kernel.py").unwrap();
    let mut launcher = Launcher::new(&module, "k").unwrap();
    let mut all: Vec<Rig> = rigs().into_iter().chain(rigs()).collect();
    for round in 0..3 {
        for (i, rig) in all.iter_mut().enumerate() {
            // Each device has loaded something else before.
            let f = (i + 2 + round) as i64;
            let y = allocated(rig, &[0.0; 4]);
            let args = [("y_ptr", Argument::Buffer(y, DType::F32)), ("F", int(f))];
            launcher.launch(&*rig.target, &mut *rig.device, [1, 1, 1], &args).unwrap();
            assert_eq!(read(rig, y), [0.0, f as f32, 2.0 * f as f32, 3.0 * f as f32], "{}", rig.name);
        }
    }
}

#[test]
fn another_device_at_the_same_address_is_another_device() {
    let source =
        format!("{HEAD}def k(y_ptr, F: tl.constexpr):\n    at = tl.arange(0, 4)\n    tl.store(y_ptr + at, at * F)\n");
    let module = Module::parse(&source, "kernel.py").unwrap();
    let mut launchers = [Launcher::new(&module, "k").unwrap(), Launcher::new(&module, "k").unwrap()];
    let target = girih_cpu::CpuTarget::new();
    let mut go = |device: &mut girih_cpu::CpuDevice, launcher: usize, f: i64| {
        let y = MemRef { buffer: device.allocate(16).unwrap(), offset: 0, bytes: 16 };
        let args = [("y_ptr", Argument::Buffer(y, DType::F32)), ("F", int(f))];
        launchers[launcher].launch(&target, device, [1, 1, 1], &args).unwrap();
        let mut back = [0; 16];
        device.read(y.buffer, 0, &mut back).unwrap();
        f32::from_le_bytes([back[4], back[5], back[6], back[7]])
    };
    let mut device = girih_cpu::CpuDevice::new();
    assert_eq!(go(&mut device, 0, 2), 2.0);
    // Its first kernel is another one than the launcher's.
    device = girih_cpu::CpuDevice::new();
    assert_eq!(go(&mut device, 1, 3), 3.0);
    assert_eq!(go(&mut device, 0, 2), 2.0);
}

#[test]
fn pointers_may_begin_inside_a_buffer() {
    let source = format!(
        "{HEAD}def k(a_ptr, b_ptr, n):\n    for i in range(n):\n        tl.store(b_ptr + i, tl.load(a_ptr + i) + 1)\n        tl.debug_barrier()\n"
    );
    let module = Module::parse(&source, "kernel.py").unwrap();
    let place = |alias: Option<&str>, start| Place { alias: alias.map(Into::into), start };
    let pointer = |dtype, place| Arg::Pointer { dtype, multiple_of: 1, place };
    let signature = |dtype, a, b| {
        let mut s = Signature::new().arg("a_ptr", pointer(DType::F32, a)).arg("b_ptr", pointer(dtype, b));
        s = s.arg("n", Arg::size());
        s.single = [true; 3];
        s
    };
    for mut rig in rigs() {
        // Each element is the one before and one more: what was just stored is read again.
        let s = signature(DType::F32, place(None, Some(1)), place(Some("a_ptr"), Some(1)));
        let kernel = module.compile("k", &s).unwrap();
        assert_eq!(kernel.tile.params.len(), 1);
        let x = allocated(&mut rig, &[7.0, 5.0, 0.0, 0.0, 0.0, 0.0]);
        let given = |name: &str, binding: &Binding| match binding {
            Binding::Start(_) => Some(Given::Int(if name == "a_ptr" { 1 } else { 2 })),
            Binding::Buffer { .. } => Some(Given::Int(6)),
            _ => (name == "n").then_some(Given::Int(3)),
        };
        let bindings = kernel.bind([1, 1, 1], given).unwrap();
        let loaded = rig.device.load(&rig.target.compile(&kernel.tile).unwrap()).unwrap();
        let launch = Command::Launch { kernel: loaded, args: &[x], bindings: &bindings };
        rig.device.submit(&[launch]).unwrap();
        assert_eq!(read(&mut rig, x), [7.0, 5.0, 6.0, 7.0, 8.0, 0.0], "{}", rig.name);
    }
    // Another type of the same size is another view of the words; of another size it is none.
    assert!(module.compile("k", &signature(DType::I32, place(None, None), place(Some("a_ptr"), Some(4)))).is_ok());
    for (dtype, other) in [(DType::F16, "a_ptr"), (DType::Bool, "a_ptr"), (DType::F32, "n"), (DType::F32, "b_ptr")] {
        let e = module.compile("k", &signature(dtype, place(None, None), place(Some(other), None))).unwrap_err();
        assert_eq!(e.code, "K012", "{e}");
    }
}
