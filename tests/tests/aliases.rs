//! Arguments of a kernel that lie in one buffer: as in C, on every target.
#![allow(clippy::unwrap_used, clippy::panic)]

use girih_cuda::{LaunchShape, Loaded, Module, Value, caps};
use girih_exec::MemRef;
use girih_tests::gpu::gpu;
use girih_tests::{Rig, cpu};

const UNIT: u64 = 64;

/// Launches over one buffer of `4 * UNIT` words that count up; argument `i` begins at word `starts[i]` and reaches to the end.
fn run(rig: &Rig, source: &str, starts: &[u64], n: i32) -> Vec<u32> {
    let mut device = (rig.device)();
    let module = Module::parse(source, "k.cu", &|_, _| None).unwrap();
    let compiled = module.compile("k", &LaunchShape::new([32, 1, 1], 1), caps(&*rig.target)).unwrap();
    let loaded = Loaded::new(compiled, &*rig.target, &mut *device).unwrap();
    let bytes = 4 * UNIT * 4;
    let buffer = device.allocate(bytes).unwrap();
    let data: Vec<u8> = (0..bytes as u32 / 4).flat_map(|i| i.to_le_bytes()).collect();
    device.write(buffer, 0, &data).unwrap();
    let memory = |start: &u64| Value::Memory(MemRef { buffer, offset: start * 4, bytes: bytes - start * 4 });
    let n = n.to_le_bytes();
    let values: Vec<Value<'_>> = starts.iter().map(memory).chain([Value::Bytes(&n)]).collect();
    loaded.launch(&mut *device, [2, 1, 1], &values).unwrap_or_else(|d| panic!("{}: {d}", rig.name));
    let mut back = vec![0; bytes as usize];
    device.read(buffer, 0, &mut back).unwrap();
    back.chunks_exact(4).map(|b| u32::from_le_bytes(b.try_into().unwrap())).collect()
}

fn same_everywhere(source: &str, starts: &[u64], want: impl Fn(u32) -> u32) {
    // (The emulator gives every argument memory of its own.)
    for rig in [cpu()].into_iter().chain(gpu()) {
        let got = run(&rig, source, starts, UNIT as i32);
        let want: Vec<u32> = (0..4 * UNIT as u32).map(&want).collect();
        assert_eq!(got, want, "{}", rig.name);
    }
}

#[test]
fn in_place() {
    let source = "__global__ void k(const int* x, int* y, int n) { int i = blockIdx.x * blockDim.x + threadIdx.x; if (i < n) y[i] = 3 * x[i]; }";
    same_everywhere(source, &[0, 0], |i| if i < 64 { 3 * i } else { i });
    same_everywhere(source, &[64, 64], |i| if (64..128).contains(&i) { 3 * i } else { i });
}

#[test]
fn parts_of_one_allocation() {
    let source = "__global__ void k(const int* a, const int* b, int* c, int n) { int i = blockIdx.x * blockDim.x + threadIdx.x; if (i < n) c[i] = a[i] + 1000 * b[i]; }";
    // Both orders, and an operand that is the result.
    same_everywhere(source, &[0, 64, 128], |i| if (128..192).contains(&i) { i - 128 + 1000 * (i - 64) } else { i });
    same_everywhere(source, &[128, 64, 0], |i| if i < 64 { i + 128 + 1000 * (i + 64) } else { i });
    same_everywhere(source, &[128, 64, 64], |i| if (64..128).contains(&i) { i + 64 + 1000 * i } else { i });
}

#[test]
fn elements_of_several_types() {
    // Counters, floats and vectors of four in one allocation.
    let source = "__global__ void k(unsigned* count, float4* v, const float* x, int n) {
        int i = blockIdx.x * blockDim.x + threadIdx.x;
        if (i < n / 4) { float4 f = v[i]; f.x = x[i]; f.w = 2.0f; v[i] = f; atomicAdd(count + i % 2, 1u); }
    }";
    same_everywhere(source, &[0, 64, 128], |i| match i {
        0 | 1 => i + 8,
        64..128 if i % 4 == 0 => 128 + (i - 64) / 4,
        64..128 if i % 4 == 3 => 2f32.to_bits(),
        i => i,
    });
}
