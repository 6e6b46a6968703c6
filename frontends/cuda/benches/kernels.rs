//! Translated kernels beside their rivals, in alternating runs: through wgpu beside WGSL of the same algorithm written by hand, on the
//! CPU beside the graph compiler's version of the operation. Also how long translation takes.
//!
//! `cargo bench -p girih-cuda -- [part of a name] [--seconds S]` prints the least time of both sides, their ratio (of rival to ours:
//! above 1 ours is faster), the median of the ratios of neighbouring runs, and how far the results are apart.
#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout, missing_docs)]

use girih_base::{Bindings, DType, Loc, Result};
use girih_cpu::{CpuDevice, CpuTarget};
use girih_cuda::{LaunchShape, Module, Value, caps};
use girih_driver::{Options, Target, compile};
use girih_exec::{Command, Device, Engine, KernelRef, MemRef};
use girih_graph::{Graph, Monoid, NodeId, ParamKind, TensorTy, nn};
use girih_plan::KernelCode;
use girih_wgpu::WgpuDevice;
use std::time::Instant;

const SOURCE: &str = include_str!("kernels/kernels.cu");

/// The operation as a graph of its inputs.
type Build = fn(&mut Graph, &[NodeId]) -> Result<NodeId>;

struct Workload {
    kernel: &'static str,
    grid: [u32; 3],
    block: [u32; 3],
    inputs: &'static [&'static [i64]],
    output: usize,
    /// The last parameter.
    size: i32,
    wgsl: &'static str,
    graph: Option<Build>,
}

fn workloads() -> Vec<Workload> {
    const N: i64 = 256;
    vec![
        Workload {
            kernel: "matmul_naive",
            grid: [N as u32 / 16, N as u32 / 16, 1],
            block: [16, 16, 1],
            inputs: &[&[N, N], &[N, N]],
            output: (N * N) as usize,
            size: N as i32,
            wgsl: include_str!("kernels/matmul_naive.wgsl"),
            graph: None,
        },
        Workload {
            kernel: "matmul_tiled",
            grid: [N as u32 / 16, N as u32 / 16, 1],
            block: [16, 16, 1],
            inputs: &[&[N, N], &[N, N]],
            output: (N * N) as usize,
            size: N as i32,
            wgsl: include_str!("kernels/matmul_tiled.wgsl"),
            graph: None,
        },
        Workload {
            kernel: "reduce",
            grid: [64, 1, 1],
            block: [256, 1, 1],
            inputs: &[&[1 << 22]],
            output: 64,
            size: 1 << 22,
            wgsl: include_str!("kernels/reduce.wgsl"),
            // As many sums of as many numbers; which ones they are makes no difference to the time.
            graph: Some(|g, x| {
                let rows = g.reshape(x[0], vec![64.into(), (1 << 16).into()])?;
                g.reduce(Monoid::Sum, rows, &[1])
            }),
        },
        Workload {
            kernel: "softmax",
            grid: [1024, 1, 1],
            block: [256, 1, 1],
            inputs: &[&[1024, 1024]],
            output: 1 << 20,
            size: 1024,
            wgsl: include_str!("kernels/softmax.wgsl"),
            graph: Some(|g, x| nn::softmax(g, x[0], 1)),
        },
        Workload {
            kernel: "layernorm",
            grid: [1024, 1, 1],
            block: [256, 1, 1],
            inputs: &[&[1024, 1024], &[1024], &[1024]],
            output: 1 << 20,
            size: 1024,
            wgsl: include_str!("kernels/layernorm.wgsl"),
            graph: Some(|g, x| nn::layer_norm(g, x[0], x[1], x[2], 1e-5)),
        },
    ]
}

fn main() {
    let args: Vec<String> = std::env::args().skip(1).filter(|a| a != "--bench").collect();
    let limit = args.iter().position(|a| a == "--seconds").map_or(4.0, |i| args[i + 1].parse().unwrap());
    let name = args.iter().find(|a| !a.starts_with("--") && a.parse::<f64>().is_err());
    println!("{:28} {:>9} {:>9} {:>6} {:>7} {:>9}", "workload", "ours ms", "rival ms", "ratio", "median", "apart");
    for w in workloads().iter().filter(|w| name.is_none_or(|n| w.kernel.contains(n.as_str()))) {
        if let Ok(device) = WgpuDevice::open(None, girih_wgpu::Options::default()) {
            beside_wgsl(w, device, limit);
        }
        if w.graph.is_some() {
            beside_graph(w, limit);
        }
    }
    translation();
}

/// One side of a comparison: runs once, and reads the result.
struct Launch {
    device: Box<dyn Device>,
    kernel: KernelRef,
    memory: Vec<MemRef>,
    bindings: Bindings,
}

impl Launch {
    fn new(w: &Workload, target: &dyn Target, mut device: Box<dyn Device>, wgsl: Option<&str>) -> Launch {
        let axes = 1 + (w.grid[1] > 1) as u8;
        let module = Module::parse(SOURCE, "kernels.cu", &|_, _| None).unwrap();
        let compiled = module.compile(w.kernel, &LaunchShape::new(w.block, axes), caps(target)).unwrap();
        let code = target.compile_simt(&compiled.kernel).unwrap();
        let code = match wgsl {
            Some(text) => KernelCode { text: text.into(), ..code },
            None => code,
        };
        let kernel = device.load(&code).unwrap();
        let data = w.inputs.iter().enumerate().map(|(i, shape)| random(i as u64, shape));
        let mut memory = Vec::new();
        for bytes in data.chain([vec![0; w.output * 4]]) {
            let buffer = device.allocate(bytes.len() as u64).unwrap();
            device.write(buffer, 0, &bytes).unwrap();
            memory.push(MemRef { buffer, offset: 0, bytes: bytes.len() as u64 });
        }
        let size = w.size.to_le_bytes();
        let mut values: Vec<Value<'_>> = memory.iter().map(|m| Value::Memory(*m)).collect();
        values.push(Value::Bytes(&size));
        let bindings = compiled.bindings(w.grid, &values).unwrap();
        Launch { device, kernel, memory, bindings }
    }

    fn time(&mut self) -> f64 {
        let start = Instant::now();
        let launch = Command::Launch { kernel: self.kernel, args: &self.memory, bindings: &self.bindings };
        self.device.submit(&[launch]).unwrap();
        self.device.synchronize().unwrap();
        start.elapsed().as_secs_f64()
    }

    fn result(&mut self) -> Vec<f32> {
        let m = self.memory[self.memory.len() - 1];
        let mut bytes = vec![0; m.bytes as usize];
        self.device.read(m.buffer, 0, &mut bytes).unwrap();
        floats(&bytes)
    }
}

fn beside_wgsl(w: &Workload, device: WgpuDevice, limit: f64) {
    let target = device.compiler();
    let rival = WgpuDevice::open(None, girih_wgpu::Options::default()).unwrap();
    let mut ours = Launch::new(w, &target, Box::new(device), None);
    let mut theirs = Launch::new(w, &target, Box::new(rival), Some(w.wgsl));
    let (least, median) = alternate(&mut || ours.time(), &mut || theirs.time(), limit);
    report(&format!("{} wgpu", w.kernel), least, median, apart(&ours.result(), &theirs.result()));
}

fn beside_graph(w: &Workload, limit: f64) {
    let mut ours = Launch::new(w, &CpuTarget::new(), Box::new(CpuDevice::new()), None);
    let mut g = Graph::new(w.kernel);
    let param = |shape: &&[i64]| {
        g.param("x", TensorTy::new(DType::F32, shape.iter().copied()), ParamKind::Input, Loc::unknown())
    };
    let params: Vec<NodeId> = w.inputs.iter().map(param).collect();
    let out = w.graph.unwrap()(&mut g, &params).unwrap();
    g.set_outputs(vec![out]);
    let target = CpuTarget::new();
    let plan = compile(&g, &target, &Options::for_target(&target)).unwrap().plan;
    let mut engine = Engine::new(Box::new(CpuDevice::new()), Vec::new());
    let program = engine.load(plan).unwrap();
    let data: Vec<Vec<u8>> = w.inputs.iter().enumerate().map(|(i, shape)| random(i as u64, shape)).collect();
    engine.write_inputs(program, &data.iter().map(|b| &b[..]).collect::<Vec<_>>(), &Bindings::new()).unwrap();
    let mut graph = || {
        let start = Instant::now();
        engine.execute(program, &Bindings::new()).unwrap();
        start.elapsed().as_secs_f64()
    };
    let (least, median) = alternate(&mut || ours.time(), &mut graph, limit);
    let theirs = floats(&engine.read_outputs(program, &Bindings::new()).unwrap().remove(0));
    // The sums are of other numbers, their sum is not.
    let total = |v: &[f32]| vec![v.iter().map(|x| *x as f64).sum::<f64>() as f32, 1e4];
    let (a, b) = match w.kernel {
        "reduce" => (total(&ours.result()), total(&theirs)),
        _ => (ours.result(), theirs),
    };
    report(&format!("{} CPU, graph", w.kernel), least, median, apart(&a, &b));
}

/// The least time of both, and the median of the ratios of rival to ours.
fn alternate(ours: &mut dyn FnMut() -> f64, rival: &mut dyn FnMut() -> f64, limit: f64) -> ([f64; 2], f64) {
    ours();
    rival();
    let (mut least, start, mut ratios) = ([f64::INFINITY; 2], Instant::now(), Vec::new());
    while ratios.len() < 3 || start.elapsed().as_secs_f64() < limit {
        let times = [ours(), rival()];
        least = [least[0].min(times[0]), least[1].min(times[1])];
        ratios.push(times[1] / times[0]);
    }
    ratios.sort_by(f64::total_cmp);
    (least, ratios[ratios.len() / 2])
}

fn report(name: &str, least: [f64; 2], median: f64, apart: f32) {
    assert!(apart < 1e-4, "{name}: the results are {apart} apart");
    let [a, b] = least.map(|t| t * 1e3);
    println!("{name:28} {a:>9.3} {b:>9.3} {:>6.2} {median:>7.2} {apart:>9.1e}", b / a);
}

/// The time from source to a verified kernel.
fn translation() {
    let mut times = Vec::new();
    for w in workloads() {
        for _ in 0..20 {
            let start = Instant::now();
            let module = Module::parse(SOURCE, "kernels.cu", &|_, _| None).unwrap();
            let target = CpuTarget::new();
            module.compile(w.kernel, &LaunchShape::new(w.block, 1 + (w.grid[1] > 1) as u8), caps(&target)).unwrap();
            times.push(start.elapsed().as_secs_f64() * 1e3);
        }
    }
    times.sort_by(f64::total_cmp);
    println!("translation: median {:.2} ms, at most {:.2} ms", times[times.len() / 2], times[times.len() - 1]);
}

fn apart(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    let top = b.iter().fold(0f32, |m, v| m.max(v.abs()));
    assert!(top > 0.0, "a run that does nothing must not pass for a fast one");
    a.iter().zip(b).fold(0f32, |m, (x, y)| m.max((x - y).abs())) / top
}

fn floats(bytes: &[u8]) -> Vec<f32> {
    bytes.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect()
}

/// f32 in -1..1, the same at every run.
fn random(seed: u64, shape: &[i64]) -> Vec<u8> {
    let mut s = seed;
    let mut next = || {
        s = s.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (s ^ s >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        (z ^ z >> 31) >> 40
    };
    (0..shape.iter().product::<i64>()).flat_map(|_| (next() as f32 / (1u64 << 23) as f32 - 1.0).to_le_bytes()).collect()
}
