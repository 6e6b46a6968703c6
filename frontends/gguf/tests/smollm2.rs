//! SmolLM2 as it is compiled for each device: what it answers, against the forward pass in f64, and what its plans cost.
//!
//! Tests are skipped, saying so, where the model file or an adapter is missing; `GIRIH_REQUIRE_MODELS=1` and
//! `GIRIH_REQUIRE_WGPU=1` make that a failure.
#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout)]

mod common;

use common::SMOLLM2;
use common::devices::{devices, margin, nmse};
use girih_cpu::{CpuDevice, CpuTarget};
use girih_driver::{PlanCache, Target, compile, specialize};
use girih_exec::Device;
use girih_gguf::oracle::Oracle;
use girih_gguf::{Gguf, Logits, Model, Options, Runner, Step, Tokenizer, greedy};
use girih_plan::{Plan, Step as Do};
use girih_wgpu::WgpuTarget;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

const PROMPTS: [&str; 3] = [
    "The capital of France is Paris. The capital of Italy is Rome. The capital of Spain is Madrid. The capital of \
     Germany is Berlin, and the capital of Austria is Vienna, which lies on the Danube.",
    "def fibonacci(n):\n    if n < 2:\n        return n\n    return fibonacci(n - 1) + fibonacci(n - 2)\n\n\
     print([fibonacci(i) for i in range(10)])\n",
    "Once upon a time there was a little girl who lived in a small house at the edge of a dark forest, and every \
     morning she walked down to the river to fetch water.",
];

/// Positions of each prompt that are compared.
const POSITIONS: usize = 32;
/// Tokens generated after the first prompt.
const GREEDY: usize = 64;

/// The most likely tokens, one after the other; `logits` are those after the first `pos` tokens.
fn generate(run: &mut Runner, mut logits: Vec<f32>, pos: usize) -> Vec<u32> {
    let mut tokens = Vec::new();
    for pos in pos..pos + GREEDY {
        tokens.push(greedy(&logits));
        logits = run.step(&tokens[tokens.len() - 1..], pos).unwrap();
    }
    tokens
}

#[test]
fn logits_and_tokens_are_those_of_the_forward_pass() {
    let Some(path) = common::model(SMOLLM2) else { return };
    let file = Gguf::open(path).unwrap();
    let tokenizer = Tokenizer::new(file.meta()).unwrap();
    let prompt = |text: &&str| -> Vec<u32> { tokenizer.encode_prompt(text).unwrap()[..POSITIONS].to_vec() };
    let prompts: Vec<Vec<u32>> = PROMPTS.iter().map(prompt).collect();
    let options = Options { logits: Logits::All, context: Some(128), ..Options::default() };
    let vocabulary = Model::new(&file, &options).unwrap().config.vocabulary;

    // Each device first, so that the forward pass computes the first prompt and the text after it in one go.
    let run = |(target, device): (Box<dyn Target>, Box<dyn Device>)| {
        let (name, start) = (device.name(), Instant::now());
        let mut run = Runner::new(Model::new(&file, &options).unwrap(), target, device, None);
        // The first prompt comes last: its text goes on.
        let mut logits: Vec<Vec<f32>> = prompts.iter().rev().map(|p| run.step(p, 0).unwrap()).collect();
        logits.reverse();
        let prompt_time = start.elapsed();
        let tokens = generate(&mut run, logits[0][(POSITIONS - 1) * vocabulary..].to_vec(), POSITIONS);
        eprintln!("{name}: prompts {prompt_time:.1?}, all {:.1?}: {:?}", start.elapsed(), tokenizer.decode(&tokens));
        (name, logits, tokens)
    };
    let runs: Vec<_> = devices().into_iter().map(run).collect();

    let (start, text) = (Instant::now(), &runs[0].2);
    let want = |p: &Vec<u32>| Oracle::new(&file, None).unwrap().logits(p).unwrap();
    let whole = want(&[&prompts[0][..], &text[..GREEDY - 1]].concat());
    let rows = [whole[..POSITIONS].to_vec(), want(&prompts[1]), want(&prompts[2])];
    eprintln!("forward pass: {:.1?}", start.elapsed());
    for (name, logits, tokens) in &runs {
        for (got, want) in logits.iter().zip(&rows) {
            let error = nmse(got, want);
            eprintln!("{name}: nmse {error:.2e}");
            assert!(error <= 1e-6, "{name}: {error:e}");
        }
        // A text that leaves the first device's is only known to the forward pass up to there.
        let same = tokens.iter().zip(text).take_while(|(a, b)| a == b).count();
        let judged = tokens[..GREEDY.min(same + 1)].iter().zip(&whole[POSITIONS - 1..]);
        let margin = judged.map(|(t, row)| margin(row, *t)).fold(0.0, f64::max);
        eprintln!("{name}: {same} equal tokens, at most {margin:e} below the likeliest");
        assert!(margin < 1e-3, "{name}: {margin:e} after {same} equal tokens");
    }
}

fn plan(file: &Gguf, layers: Option<usize>, range: (i64, i64), target: &dyn Target) -> (Plan, Duration, Duration) {
    let model = Model::new(file, &Options { layers, context: Some(2048), ..Options::default() }).unwrap();
    let start = Instant::now();
    let graph = specialize(&model.graph, &BTreeMap::from([("seq".into(), range)])).unwrap();
    let compiled = compile(&graph, target, &girih_driver::Options::for_target(target)).unwrap();
    (compiled.plan, compiled.report.elapsed, start.elapsed())
}

/// Kernel names of all launches, in order.
fn launches(plan: &Plan) -> Vec<String> {
    let name = |s: &Do| match s {
        Do::Launch { kernel, .. } => plan.kernels[*kernel as usize].name.clone(),
        Do::Copy { .. } => "copy".to_string(),
        other => panic!("a step of a language model has {other:?}"),
    };
    plan.steps.iter().map(name).collect()
}

#[test]
fn a_layer_takes_few_launches_to_decode_a_token() {
    let Some(path) = common::model(SMOLLM2) else { return };
    let file = Gguf::open(path).unwrap();
    let targets: [(&str, Box<dyn Target>); 2] =
        [("webgpu", Box::new(WgpuTarget::webgpu())), ("cpu", Box::new(CpuTarget::new()))];
    for (name, target) in &targets {
        let of = |layers| launches(&plan(&file, Some(layers), (1, 1), &**target).0);
        let (two, mut three) = (of(2), of(3));
        let count = three.len() - two.len();
        // What two layers launch as well is not the third's.
        for launch in &two {
            let at = three.iter().position(|l| l == launch);
            at.map(|at| three.remove(at));
        }
        eprintln!("{name}: {count} launches a layer: {three:#?}");
        assert!(count <= 8, "{name}: {count} launches a layer: {three:#?}");
    }
}

/// Compiling takes well under a second; the bounds are what even a busy machine must keep.
#[test]
fn plans_are_few_and_compiled_fast() {
    let Some(path) = common::model(SMOLLM2) else { return };
    let file = Gguf::open(path).unwrap();
    let slack = if cfg!(debug_assertions) { 10.0 } else { 3.0 };
    let target = WgpuTarget::webgpu();
    for range in [(1, 1), (2, 64), (65, 512)] {
        let (plan, rewriting, all) = plan(&file, None, range, &target);
        let kernels = (plan.kernels.len(), plan.launches());
        eprintln!("seq {range:?}: e-graph {rewriting:.1?}, in all {all:.1?}, (kernels, launches) {kernels:?}");
        assert!(rewriting.as_secs_f64() < 0.2 * slack, "{rewriting:?}");
        assert!(all.as_secs_f64() < slack, "{all:?}");
    }
    let folder = tempfile::tempdir().unwrap();
    let model = || Model::new(&file, &Options { context: Some(2048), ..Options::default() }).unwrap();
    for cached in [false, true] {
        let device = Box::new(CpuDevice::new());
        let mut run = Runner::new(model(), Box::new(target.clone()), device, Some(PlanCache::new(folder.path())));
        let start = Instant::now();
        for length in 1..=2048 {
            let chunk = run.chunk();
            for piece in [chunk, length % chunk].into_iter().filter(|n| (1..=length).contains(n)) {
                run.compile(piece).unwrap();
            }
        }
        eprintln!("plans for every length, cached {cached}: {:.1?}", start.elapsed());
        assert!(run.plans().count() <= 4);
        for plan in run.plans() {
            eprintln!("tokens {:?}: {:.1?}", plan.tokens, plan.compile);
            assert_eq!(plan.cached, cached);
            assert!(plan.compile.as_secs_f64() < if cached { 0.3 } else { 1.0 } * slack, "{plan:?}");
        }
    }
}
