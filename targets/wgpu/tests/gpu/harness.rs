//! Opening a device and running one kernel.

use girih_base::{Bindings, DType, ScalarOp};
use girih_exec::{Command, Device, MemRef};
use girih_simt::{Buffer, Builder, Builtin, Kernel, Space, Ty, ValueId};
use girih_wgpu::{Options, WgpuDevice};

/// A device, or nothing where there is none and none is demanded.
pub fn device() -> Option<WgpuDevice> {
    device_with(Options::default())
}

/// A device opened in some way.
pub fn device_with(options: Options) -> Option<WgpuDevice> {
    match WgpuDevice::open(None, options) {
        Ok(device) => Some(device),
        Err(why) if std::env::var("GIRIH_REQUIRE_WGPU").is_ok_and(|v| v == "1") => panic!("{why}"),
        Err(why) => {
            eprintln!("skipped, since there is no adapter: {why}");
            None
        }
    }
}

/// Runs a kernel over buffers and reads them back.
pub fn run(device: &mut WgpuDevice, kernel: &Kernel, buffers: &mut [Vec<u8>], sizes: &Bindings) {
    let code = device
        .compiler()
        .code(kernel)
        .unwrap_or_else(|e| panic!("{e}\n{}", girih_wgpu::wgsl::print(kernel).map(|s| s.text).unwrap_or_default()));
    let loaded = device.load(&code).unwrap();
    let refs: Vec<_> = buffers.iter().map(|b| device.allocate(b.len() as u64).unwrap()).collect();
    for (r, b) in refs.iter().zip(buffers.iter()) {
        device.write(*r, 0, b).unwrap();
    }
    let args: Vec<MemRef> =
        refs.iter().zip(buffers.iter()).map(|(r, b)| MemRef { buffer: *r, offset: 0, bytes: b.len() as u64 }).collect();
    device.submit(&[Command::Launch { kernel: loaded, args: &args, bindings: sizes }]).unwrap();
    for (r, b) in refs.iter().zip(buffers.iter_mut()) {
        device.read(*r, 0, b).unwrap();
        device.free(*r);
    }
}

pub fn input(name: &str, elem: Ty) -> Buffer {
    Buffer { name: name.into(), elem, written: false, read_only: true }
}

pub fn output(name: &str, elem: Ty) -> Buffer {
    Buffer { name: name.into(), elem, written: true, read_only: false }
}

/// `group * threads + lane`.
pub fn thread(b: &mut Builder, threads: u32) -> ValueId {
    let (group, lane, n) = (b.builtin(Builtin::WorkgroupIndex), b.builtin(Builtin::LocalIndex), b.uint(threads));
    let base = b.mul(group, n);
    b.add(base, lane)
}

/// `out[i] = op(x[i], ..)` for `count` elements (a multiple of 64 times lanes), vectors of `lanes`.
pub fn elementwise(op: ScalarOp, dtype: DType, lanes: u8, count: u32) -> Kernel {
    let mut b = Builder::new();
    let bool_out = op.infer(&operand_types(op, dtype)) == Ok(DType::Bool);
    let names = ["x", "y", "z"];
    for (i, t) in operand_types(op, dtype).iter().enumerate() {
        let stored = if *t == DType::Bool { DType::U32 } else { *t };
        b.buffers.push(input(names[i], Ty::vec(stored, lanes)));
    }
    let arity = op.arity();
    let result = if bool_out { DType::U32 } else { dtype };
    b.buffers.push(output("result", Ty::vec(result, lanes)));
    let i = thread(&mut b, 64);
    let mut args = Vec::new();
    for (n, t) in operand_types(op, dtype).iter().enumerate() {
        let v = b.load(Space::Buffer(n as u32), i);
        args.push(b.cast(v, *t));
    }
    let r = b.map(op, &args);
    let r = b.cast(r, result);
    b.store(Space::Buffer(arity as u32), i, r);
    b.finish(format!("{}_{dtype}x{lanes}", op.name()), [64, 1, 1], (count / 64 / lanes as u32).into())
}

/// The operand dtypes of an operation on `dtype`.
pub fn operand_types(op: ScalarOp, dtype: DType) -> Vec<DType> {
    let mut types = vec![dtype; op.arity()];
    if op == ScalarOp::Select {
        types[0] = DType::Bool;
    }
    types
}

pub fn words(values: impl IntoIterator<Item = u32>) -> Vec<u8> {
    values.into_iter().flat_map(u32::to_le_bytes).collect()
}

pub fn to_words(bytes: &[u8]) -> Vec<u32> {
    bytes.chunks_exact(4).map(|b| u32::from_le_bytes(b.try_into().unwrap())).collect()
}
