//! What kernels print and assert is the same on every target.
#![allow(clippy::unwrap_used, clippy::panic)]

use girih_base::{DType, Diag, Result};
use girih_cuda::{LaunchShape, Loaded, Module, Value, caps};
use girih_driver::Target;
use girih_emulator::{Emulator, EmulatorDevice};
use girih_exec::{MemRef, Prints};
use girih_tests::emulated::{emulated, emulated_wide};
use girih_tests::gpu::gpu;
use girih_tests::{Rig, cpu};
use girih_triton::{Argument, Launcher};
use girih_wgpu::WgpuTarget;

fn rigs() -> Vec<Rig> {
    [cpu(), emulated(), emulated_wide()].into_iter().chain(gpu()).collect()
}

/// These, and the checker, whose failed assertions are findings of its own.
fn printing() -> Vec<Rig> {
    let emulator = Emulator::new(32);
    let device = emulator.clone();
    let checker = Rig {
        name: "checker",
        target: Box::new(emulator),
        device: Box::new(move || Box::new(EmulatorDevice::new(&device))),
    };
    rigs().into_iter().chain([checker]).collect()
}

/// Launches a CUDA kernel over `ints` and further arguments; what it printed, and what synchronising says.
fn cuda(rig: &Rig, source: &str, grid: u32, block: [u32; 3], ints: &[i32], more: &[&[u8]]) -> (Prints, Result<()>) {
    let mut device = (rig.device)();
    let module = Module::parse(source, "k.cu", &|_, _| None).unwrap();
    let shape = LaunchShape::new(block, 1);
    let compiled = module.compile("k", &shape, caps(&*rig.target)).unwrap_or_else(|d| panic!("{}: {d}", rig.name));
    let loaded = Loaded::new(compiled, &*rig.target, &mut *device).unwrap_or_else(|d| panic!("{}: {d}", rig.name));
    let bytes: Vec<u8> = ints.iter().flat_map(|i| i.to_le_bytes()).collect();
    let memory = MemRef { buffer: device.allocate(bytes.len() as u64).unwrap(), offset: 0, bytes: bytes.len() as u64 };
    device.write(memory.buffer, 0, &bytes).unwrap();
    let mut values = vec![Value::Memory(memory)];
    values.extend(more.iter().map(|b| Value::Bytes(b)));
    loaded.launch(&mut *device, [grid, 1, 1], &values).unwrap_or_else(|d| panic!("{}: {d}", rig.name));
    let done = device.synchronize();
    (device.take_prints(), done)
}

/// The text, block and thread of each line.
fn lines(prints: &Prints) -> Vec<(&str, u32, u32)> {
    prints.lines.iter().map(|l| (&*l.text, l.group, l.thread)).collect()
}

const PRINTS: &str = r#"
#include <cstdio>
__device__ void tell(int i, float x) { printf("%3d: %+.2f %g|%-6se\n", i, x, x * 0.5f, "half"); }
__global__ void k(const int* a, long long big, int n) {
  int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= n) return;
  tell(i, a[i] / 4.0f);
  if (i % 2 == 0) {
    unsigned char c = a[i];
    short s = -a[i];
    bool even = true;
    unsigned long long most = -1ull;
    int shown = printf("%s %5.1f%% %c%c %x %#o {%d %d %d} %llu %*d\n", "{}", 12.34, 'a', 'a' + i, a[i], a[i], c, s, even, most, 4, i);
    printf("%lld and %d\n", big + i, shown);
  }
}
"#;

#[test]
fn printf_is_that_of_c_on_every_target() {
    let big = (5_000_000_000i64).to_le_bytes();
    let n = 3i32.to_le_bytes();
    for rig in printing() {
        let (prints, done) = cuda(&rig, PRINTS, 2, [2, 1, 1], &[10, -3, 300, 0], &[&big, &n]);
        done.unwrap();
        let want = [
            ("  0: +2.50 1.25|half  e\n", 0, 0),
            ("{}  12.3% aa a 012 {10 -10 1} 18446744073709551615    0\n", 0, 0),
            ("5000000000 and 12\n", 0, 0),
            ("  1: -0.75 -0.375|half  e\n", 0, 1),
            ("  2: +75.00 37.5|half  e\n", 1, 0),
            ("{}  12.3% ac 12c 0454 {44 -300 1} 18446744073709551615    2\n", 1, 0),
            ("5000000002 and 12\n", 1, 0),
        ];
        assert_eq!(lines(&prints), want, "{}", rig.name);
        assert_eq!(prints.lines[0].loc.position(), Some(("k.cu", 3, 46)), "{}", rig.name);
        assert_eq!((prints.lost, &*prints.lines[0].kernel), (0, "k"));
    }
}

const ASSERTS: &str = r#"
#include <cassert>
#include <cstdio>
__global__ void k(int* a, int limit) {
  int i = (blockIdx.x * blockDim.y + threadIdx.y) * blockDim.x + threadIdx.x;
  assert(a[i] < limit &&
         "too large");
  printf("%d", a[i]);
  a[i] = 0;
}
"#;

#[test]
fn a_failed_assertion_is_an_error_with_its_place() {
    for rig in rigs() {
        let run = |limit: i32| {
            cuda(&rig, ASSERTS, 3, [2, 2, 1], &[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11], &[&limit.to_le_bytes()])
        };
        assert!(run(12).1.is_ok());
        let (prints, failed) = run(7);
        let told = failed.unwrap_err();
        assert_eq!(told.code, "X013");
        let want = "assertion failed in kernel `k`: a[i] < limit && \"too large\"";
        assert_eq!(told.message, want, "{}", rig.name);
        assert_eq!(told.labels[0].loc.position(), Some(("k.cu", 6, 9)), "{}", rig.name);
        assert_eq!(told.notes, ["in block (1), thread (1, 1, 0)"], "{}", rig.name);
        // The work goes on.
        assert_eq!(prints.lines.len(), 12);
    }
}

#[test]
fn assertions_vanish_with_ndebug_and_traps_do_not() {
    let source = format!("#define NDEBUG\n{ASSERTS}");
    let traps = "__global__ void k(int* a, int limit) { if (a[threadIdx.x] > limit) __trap(); }";
    for rig in rigs() {
        assert!(cuda(&rig, &source, 1, [2, 1, 1], &[9, 9], &[&0i32.to_le_bytes()]).1.is_ok());
        assert!(cuda(&rig, traps, 1, [2, 1, 1], &[0, 9], &[&9i32.to_le_bytes()]).1.is_ok());
        let told = cuda(&rig, traps, 1, [2, 1, 1], &[0, 9], &[&8i32.to_le_bytes()]).1.unwrap_err();
        assert!(told.message.contains("__trap()"), "{told}");
    }
}

#[test]
fn lines_beyond_the_buffer_are_counted() {
    let source = "#include <cstdio>\n__global__ void k(int* a) { printf(\"%d %d\\n\", threadIdx.x, a[0]); }";
    for rig in [cpu()].into_iter().chain(gpu()) {
        let (prints, done) = cuda(&rig, source, 1500, [256, 1, 1], &[7], &[]);
        done.unwrap();
        assert!(prints.lost > 0, "{}", rig.name);
        assert_eq!(prints.lines.len() as u64 + prints.lost, 1500 * 256, "{}", rig.name);
        assert!(prints.lines.iter().all(|l| l.text == format!("{} 7\n", l.thread)), "{}", rig.name);
    }
}

const TRITON: &str = "
import triton
import triton.language as tl

@triton.jit(debug=True)
def kernel(x, n, BLOCK: tl.constexpr):
    pid = tl.program_id(0)
    at = pid * BLOCK + tl.arange(0, BLOCK)
    v = tl.load(x + at, mask=at < n, other=7)
    tl.device_print('start')
    for i in range(2):
        tl.device_print('v', v, i)
        tl.device_print('bits', v.to(tl.float16), hex=True)
        v += 1
    tl.device_assert(v < 9, 'v is small', mask=at < n)
    tl.store(x + at, v, mask=at < n)
    print('square: ', (v[:, None] * v[None, :]).to(tl.float32) / 2)
";

/// Launches the kernel; what it printed, what synchronising says, and what it wrote.
fn triton(rig: &Rig, source: &str, data: &[i32]) -> (Prints, Result<()>, Vec<u8>) {
    let mut device = (rig.device)();
    let bytes: Vec<u8> = data.iter().flat_map(|i| i.to_le_bytes()).collect();
    let memory = MemRef { buffer: device.allocate(bytes.len() as u64).unwrap(), offset: 0, bytes: bytes.len() as u64 };
    device.write(memory.buffer, 0, &bytes).unwrap();
    let module = girih_triton::Module::parse(source, "kernel.py").unwrap();
    let mut launcher = Launcher::new(&module, "kernel").unwrap();
    let args = [
        ("x", Argument::Buffer(memory, DType::I32)),
        ("n", Argument::Int(data.len() as i64)),
        ("BLOCK", Argument::Int(2)),
    ];
    let grid = [data.len().div_ceil(2) as u32, 1, 1];
    launcher.launch(&*rig.target, &mut *device, grid, &args).unwrap_or_else(|d| panic!("{}: {d}", rig.name));
    let (done, prints) = (device.synchronize(), device.take_prints());
    let mut out = vec![0; bytes.len()];
    device.read(memory.buffer, 0, &mut out).unwrap();
    (prints, done, out)
}

#[test]
fn device_print_tells_every_element() {
    let mut seen: Option<(String, Vec<u8>)> = None;
    for rig in printing() {
        let (prints, done, out) = triton(&rig, TRITON, &[1, 2, 3]);
        done.unwrap_or_else(|d| panic!("{}: {d}", rig.name));
        let text: String = prints.lines.iter().map(|l| l.text.as_str()).collect();
        assert!(prints.lines.iter().all(|l| l.thread == 0 && l.loc.is_known()), "{}", rig.name);
        let first = seen.get_or_insert((text.clone(), out.clone()));
        assert_eq!(*first, (text, out), "{}", rig.name);
    }
    insta::assert_snapshot!(seen.unwrap().0);
}

const WIDE: &str = "
import triton
import triton.language as tl

@triton.jit
def kernel(x, n, BLOCK: tl.constexpr):
    at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    v = tl.load(x + at, mask=at < n).to(tl.int64)
    v = v * v * v * v
    print('', v)
    print('', v.to(tl.uint64), hex=True)
    print('third', v.to(tl.float64) / 3)
    print('bool', v > 0)
    tl.store(x + at, v.to(tl.int32), mask=at < n)
";

#[test]
fn numbers_of_64_bits_are_whole() {
    for rig in printing().into_iter().filter(|r| r.target.desc().native.contains(&DType::F64)) {
        let (prints, done, _) = triton(&rig, WIDE, &[-1000, 777]);
        done.unwrap();
        let text: String = prints.lines.iter().map(|l| l.text.as_str()).collect();
        let want = "pid (0, 0, 0) idx (0): 1000000000000\npid (0, 0, 0) idx (1): 364488705441\npid (0, 0, 0) idx (0): 0x000000e8d4a51000\npid \
                    (0, 0, 0) idx (1): 0x00000054dd3845a1\npid (0, 0, 0) idx (0) third: 333333333333.333313\npid (0, 0, 0) idx (1) \
                    third: 121496235147.000000\npid (0, 0, 0) idx (0) bool: 1\npid (0, 0, 0) idx (1) bool: 1\n";
        assert_eq!(text, want, "{}", rig.name);
    }
}

#[test]
fn device_assert_is_an_error_where_it_was_asked_for() {
    for rig in rigs() {
        let told = triton(&rig, TRITON, &[1, 2, 3, 9, 1]).1.unwrap_err();
        assert_eq!(told.message, "assertion failed in kernel `kernel`: v is small", "{}", rig.name);
        assert_eq!(told.notes, ["in program (1, 0, 0)"], "{}", rig.name);
        assert_eq!(told.labels[0].loc.position().map(|p| (p.0, p.1)), Some(("kernel.py", 15)), "{}", rig.name);
        let silent = TRITON.replace("debug=True", "debug=False");
        assert!(triton(&rig, &silent, &[1, 2, 3, 9, 1]).1.is_ok(), "{}", rig.name);
    }
}

#[test]
fn a_printing_kernel_in_wgsl() {
    let source = r#"
#include <cstdio>
#include <cassert>
__global__ void scale(float* x, float by, int n) {
  int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < n) {
    assert(by > 0.0f);
    printf("%d: %f\n", i, x[i]);
    x[i] *= by;
  }
}
"#;
    let target = WgpuTarget::webgpu();
    let module = Module::parse(source, "scale.cu", &|_, _| None).unwrap();
    let compiled = module.compile("scale", &LaunchShape::new([64, 1, 1], 1), caps(&target)).unwrap();
    let code = target.compile_simt(&compiled.kernel).unwrap();
    insta::assert_snapshot!(code.text);
    assert_eq!((code.args.len(), code.debug.unwrap().sites.len()), (1, 2));
}

#[test]
fn what_cannot_be_printed_is_refused() {
    let refused = |line: &str| -> Box<Diag> {
        let source = format!("#include <cstdio>\n__global__ void k(int* a, float x, const char* s) {{ {line} }}");
        let module = Module::parse(&source, "k.cu", &|_, _| None).unwrap();
        module.compile("k", &LaunchShape::new([1, 1, 1], 1), caps(&WgpuTarget::webgpu())).unwrap_err()
    };
    for (line, code, part) in [
        ("printf(s);", "U005", "no literal"),
        ("printf(\"%s\", s);", "U005", "no literal"),
        ("printf(\"%p\", a);", "U005", "%p"),
        ("printf(\"%n\", a);", "U005", "%n"),
        ("printf(\"%d\", x);", "U004", "takes an integer"),
        ("printf(\"%f\", a[0]);", "U004", "takes a float"),
        ("printf(\"%d\");", "U004", "fewer arguments"),
        ("printf(\"%d\", a);", "U005", "`printf` of"),
        ("printf(\"100%\");", "U005", "`%`"),
    ] {
        let d = refused(line);
        assert!(d.code == code && d.message.contains(part), "{line}: {d}");
    }
}
