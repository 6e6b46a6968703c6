//! The tutorials' kernels beside the graph compiler's version of the same operation, on the same data, in alternating runs.
//!
//! `cargo bench -p girih-triton -- [part of a name] [--device cpu|wgpu] [--print] [--seconds S]` prints for each workload the
//! least time of both, their ratio, the median of the ratios of neighbouring runs, and the largest difference between the two
//! results relative to the largest value. `--side kernel` or `--side graph` repeats that side twenty times for every run of the
//! other, for profilers.
#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout, missing_docs)]

use girih_base::{Bindings, DType, Dim, Loc, Result, ScalarOp};
use girih_cpu::{CpuDevice, CpuTarget};
use girih_driver::{Options, Target, compile};
use girih_exec::{Device, Engine, MemRef};
use girih_graph::{Graph, NodeId, ParamKind, TensorTy, nn};
use girih_triton::{Argument, Launcher, Module};
use girih_wgpu::WgpuDevice;
use std::time::Instant;

/// An operation both ways.
struct Workload {
    name: &'static str,
    source: &'static str,
    kernel: &'static str,
    /// Names of the kernel's inputs, in the order of the graph's parameters, and their shapes.
    inputs: &'static [(&'static str, &'static [i64])],
    /// Names and sizes of the kernel's outputs; the first is the graph's.
    outputs: &'static [(&'static str, usize)],
    grid: [u32; 3],
    rest: Vec<(&'static str, Argument)>,
    graph: fn(&mut Graph, &[NodeId]) -> Result<NodeId>,
}

/// The same work with the graph library's own random numbers: what is kept differs.
fn dropout(g: &mut Graph, x: &[NodeId]) -> Result<NodeId> {
    let key = g.iota(TensorTy::new(DType::U32, [2]), 0)?;
    nn::dropout(g, x[0], key, 0.25)
}

fn int(v: i64) -> Argument {
    Argument::Int(v)
}

const ADDED: usize = 1 << 24;
const ROWS: i64 = 4096;
const COLUMNS: i64 = 1024;
const HEADS: [i64; 4] = [1, 12, 512, 64];

fn matmul(name: &'static str, n: i64, shapes: &'static [(&'static str, &'static [i64])], block: [i64; 3]) -> Workload {
    let sizes = [("M", n), ("N", n), ("K", n), ("stride_am", n), ("stride_ak", 1), ("stride_bk", n), ("stride_bn", 1)];
    let blocks = [("stride_cm", n), ("stride_cn", 1), ("BM", block[0]), ("BN", block[1]), ("BK", block[2])];
    let mut rest: Vec<_> = sizes.into_iter().chain(blocks).map(|(name, v)| (name, int(v))).collect();
    rest.extend([("GROUP", int(4)), ("ACTIVATION", Argument::Constant("".into()))]);
    Workload {
        name,
        source: include_str!("../tests/kernels/matmul.py"),
        kernel: "matmul",
        inputs: shapes,
        outputs: if n == 512 { &[("c_ptr", 512 * 512)] } else { &[("c_ptr", 1024 * 1024)] },
        grid: [(n as u64).div_ceil(block[0] as u64) as u32 * (n as u64).div_ceil(block[1] as u64) as u32, 1, 1],
        rest,
        graph: |g, x| g.matmul(x[0], x[1]),
    }
}

/// Blocks are those that a user would pick by tuning on the device.
fn workloads(cpu: bool) -> Vec<Workload> {
    let block = if cpu { [256, 256, 128] } else { [64, 64, 32] };
    vec![
        Workload {
            name: "vector_add_16M",
            source: include_str!("../tests/kernels/vector_add.py"),
            kernel: "add",
            inputs: &[("x_ptr", &[ADDED as i64]), ("y_ptr", &[ADDED as i64])],
            outputs: &[("out_ptr", ADDED)],
            grid: [(ADDED / 1024) as u32, 1, 1],
            rest: vec![("n", int(ADDED as i64)), ("BLOCK", int(1024))],
            graph: |g, x| g.map(ScalarOp::Add, &[x[0], x[1]]),
        },
        Workload {
            name: "softmax_4096x1024",
            source: include_str!("../tests/kernels/softmax.py"),
            kernel: "softmax_rows",
            inputs: &[("in_ptr", &[ROWS, COLUMNS])],
            outputs: &[("out_ptr", (ROWS * COLUMNS) as usize)],
            grid: [256, 1, 1],
            rest: vec![
                ("in_stride", int(COLUMNS)),
                ("out_stride", int(COLUMNS)),
                ("n_rows", int(ROWS)),
                ("n_cols", int(COLUMNS)),
                ("BLOCK", int(COLUMNS)),
            ],
            graph: |g, x| nn::softmax(g, x[0], 1),
        },
        matmul("matmul_512", 512, &[("a_ptr", &[512, 512]), ("b_ptr", &[512, 512])], block),
        matmul("matmul_1024", 1024, &[("a_ptr", &[1024, 1024]), ("b_ptr", &[1024, 1024])], block),
        Workload {
            name: "layer_norm_4096x1024",
            source: include_str!("../tests/kernels/layer_norm.py"),
            kernel: "forward",
            inputs: &[("x_ptr", &[ROWS, COLUMNS]), ("w_ptr", &[COLUMNS]), ("b_ptr", &[COLUMNS])],
            outputs: &[("y_ptr", (ROWS * COLUMNS) as usize), ("mean_ptr", ROWS as usize), ("rstd_ptr", ROWS as usize)],
            grid: [ROWS as u32, 1, 1],
            rest: vec![
                ("stride", int(COLUMNS)),
                ("N", int(COLUMNS)),
                ("eps", Argument::Float(1e-5)),
                ("BLOCK", int(COLUMNS)),
            ],
            graph: |g, x| nn::layer_norm(g, x[0], x[1], x[2], 1e-5),
        },
        Workload {
            name: "dropout_16M",
            source: include_str!("../tests/kernels/dropout.py"),
            kernel: "dropout",
            inputs: &[("x_ptr", &[ADDED as i64])],
            outputs: &[("out_ptr", ADDED)],
            grid: [(ADDED / 1024) as u32, 1, 1],
            rest: vec![
                ("n", int(ADDED as i64)),
                ("p", Argument::Float(0.25)),
                ("seed", int(123)),
                ("BLOCK", int(1024)),
            ],
            graph: dropout,
        },
        Workload {
            name: "attention_12x512x64",
            source: include_str!("../tests/kernels/attention.py"),
            kernel: "forward",
            inputs: &[("q_ptr", &HEADS), ("k_ptr", &HEADS), ("v_ptr", &HEADS)],
            outputs: &[("out_ptr", 12 * 512 * 64), ("lse_ptr", 12 * 512)],
            grid: [8, 12, 1],
            rest: vec![
                ("length", int(512)),
                ("scale", Argument::Float(0.125)),
                ("BM", int(64)),
                ("BN", int(64)),
                ("D", int(64)),
                ("CAUSAL", Argument::Constant(true.into())),
            ],
            graph: |g, x| nn::attention(g, x[0], x[1], x[2], None, 0.125, Some(Dim::ZERO)),
        },
    ]
}

fn main() {
    let args: Vec<String> = std::env::args().skip(1).filter(|a| a != "--bench").collect();
    let value = |name: &str| args.iter().position(|a| a == name).and_then(|i| args.get(i + 1)).map(String::as_str);
    let plain = |i: &usize| {
        !args[*i].starts_with("--") && (*i == 0 || !["--device", "--seconds", "--side"].contains(&&*args[i - 1]))
    };
    let names: Vec<&String> = (0..args.len()).filter(plain).map(|i| &args[i]).collect();
    let limit: f64 = value("--seconds").map_or(6.0, |s| s.parse().unwrap());
    let print = args.iter().any(|a| a == "--print");
    let often = ["kernel", "graph"].map(|side| if value("--side") == Some(side) { 20 } else { 1 });
    for device in ["cpu", "wgpu"] {
        if value("--device").is_some_and(|d| d != device) || (device == "wgpu" && open(false).is_none()) {
            continue;
        }
        println!(
            "{:22} {:>10} {:>10} {:>7} {:>7} {:>10}  {}",
            "workload",
            "kernel ms",
            "graph ms",
            "ratio",
            "median",
            "apart",
            open(device == "cpu").unwrap().1.name()
        );
        for w in workloads(device == "cpu") {
            if names.is_empty() || names.iter().any(|n| w.name.contains(n.as_str())) {
                measure(&w, device == "cpu", limit, print, often);
            }
        }
    }
}

fn open(cpu: bool) -> Option<(Box<dyn Target>, Box<dyn Device>)> {
    if cpu {
        return Some((Box::new(CpuTarget::new()), Box::new(CpuDevice::new())));
    }
    let device = WgpuDevice::open(None, girih_wgpu::Options::default()).ok()?;
    Some((Box::new(device.compiler().clone()), Box::new(device)))
}

fn measure(w: &Workload, cpu: bool, limit: f64, print: bool, often: [u32; 2]) {
    let data: Vec<Vec<u8>> = w.inputs.iter().enumerate().map(|(i, (_, shape))| random(i as u64, shape)).collect();
    // The graph.
    let mut g = Graph::new(w.name);
    let param = |(name, shape): &(&str, &[i64])| {
        g.param(name, TensorTy::new(DType::F32, shape.iter().copied()), ParamKind::Input, Loc::unknown())
    };
    let params: Vec<NodeId> = w.inputs.iter().map(param).collect();
    let out = (w.graph)(&mut g, &params).unwrap();
    g.set_outputs(vec![out]);
    let (target, device) = open(cpu).unwrap();
    let plan = compile(&g, &*target, &Options::for_target(&*target)).unwrap().plan;
    if print {
        println!("{plan}");
    }
    let mut engine = Engine::new(device, Vec::new());
    let program = engine.load(plan).unwrap();
    engine.write_inputs(program, &data.iter().map(|b| &b[..]).collect::<Vec<_>>(), &Bindings::new()).unwrap();
    // The kernel.
    let (target, mut device) = open(cpu).unwrap();
    let module = Module::parse(w.source, "kernel.py").unwrap();
    let mut launcher = Launcher::new(&module, w.kernel).unwrap();
    let mut launch_args = Vec::new();
    let sizes = data.iter().map(Vec::len).chain(w.outputs.iter().map(|(_, n)| n * 4));
    let all = w.inputs.iter().map(|(n, _)| n).chain(w.outputs.iter().map(|(n, _)| n));
    for (name, bytes) in all.zip(sizes) {
        let mem = MemRef { buffer: device.allocate(bytes as u64).unwrap(), offset: 0, bytes: bytes as u64 };
        launch_args.push((*name, Argument::Buffer(mem, DType::F32), mem));
    }
    for (bytes, (.., mem)) in data.iter().zip(&launch_args) {
        device.write(mem.buffer, 0, bytes).unwrap();
    }
    let result = launch_args[w.inputs.len()].2;
    let mut call: Vec<(&str, Argument)> = launch_args.into_iter().map(|(n, a, _)| (n, a)).collect();
    call.extend(w.rest.iter().cloned());
    if print {
        let signature = launcher.signature(w.grid, &call).unwrap();
        println!("{}", girih_tile::print(&module.compile(w.kernel, &signature).unwrap().tile));
    }
    let kernel = |device: &mut dyn Device, launcher: &mut Launcher| {
        let start = Instant::now();
        launcher.launch(&*target, device, w.grid, &call).unwrap();
        // A launch only submits; on a GPU the work would else run on into the graph's time.
        device.synchronize().unwrap();
        start.elapsed().as_secs_f64()
    };
    let graph = |engine: &mut Engine| {
        let start = Instant::now();
        engine.execute(program, &Bindings::new()).unwrap();
        start.elapsed().as_secs_f64()
    };
    kernel(&mut *device, &mut launcher);
    graph(&mut engine);
    // A run that does nothing must not pass for a fast one.
    device.write(result.buffer, 0, &vec![0; result.bytes as usize]).unwrap();
    let (mut least, start, mut ratios) = ([f64::INFINITY; 2], Instant::now(), Vec::new());
    while ratios.len() < 3 || start.elapsed().as_secs_f64() < limit {
        let kernel = (0..often[0]).map(|_| kernel(&mut *device, &mut launcher)).fold(f64::INFINITY, f64::min);
        let graph = (0..often[1]).map(|_| graph(&mut engine)).fold(f64::INFINITY, f64::min);
        let times = [kernel, graph];
        if print {
            println!("{:10.3} {:10.3}", times[0] * 1e3, times[1] * 1e3);
        }
        least = [least[0].min(times[0]), least[1].min(times[1])];
        ratios.push(times[0] / times[1]);
    }
    let mut ours = vec![0; result.bytes as usize];
    device.read(result.buffer, 0, &mut ours).unwrap();
    let theirs = engine.read_outputs(program, &Bindings::new()).unwrap().remove(0);
    let floats = |b: &[u8]| b.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect::<Vec<_>>();
    let (ours, theirs) = (floats(&ours), floats(&theirs));
    assert_eq!(ours.len(), theirs.len());
    let top = theirs.iter().fold(0f32, |m, v| m.max(v.abs()));
    let apart = ours.iter().zip(&theirs).fold(0f32, |m, (a, b)| m.max((a - b).abs())) / top;
    // Random elements differ, not how many there are.
    let kept = |v: &[f32]| v.iter().filter(|v| **v != 0.0).count() as f32 / v.len() as f32;
    let random = w.name.starts_with("dropout");
    let apart = if random { (kept(&ours) - kept(&theirs)).abs() } else { apart };
    assert!(apart < if random { 1e-3 } else { 1e-4 }, "{}: the results are {apart} apart", w.name);
    let [k, g] = least.map(|t| t * 1e3);
    ratios.sort_by(f64::total_cmp);
    let median = ratios[ratios.len() / 2];
    println!("{:22} {k:>10.3} {g:>10.3} {:>7.2} {median:>7.2} {apart:>10.1e}", w.name, k / g);
}

/// f32 in -1..1, the same at every run.
fn random(seed: u64, shape: &[i64]) -> Vec<u8> {
    let mut s = seed;
    let mut next = || {
        s = s.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (s ^ s >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ z >> 31) >> 40
    };
    (0..shape.iter().product::<i64>()).flat_map(|_| (next() as f32 / (1u64 << 23) as f32 - 1.0).to_le_bytes()).collect()
}
