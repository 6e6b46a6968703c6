//! Language models: 128 tokens of prompt at once, and token by token.

use super::Row;
use super::rival::Rival;
use crate::rig::{DeviceSpec, Rig};
use girih_base::{Diag, Result};
use girih_driver::PlanCache;
use girih_gguf::{Gguf, Model, Options, Runner, Step, greedy};
use std::path::Path;
use std::time::{Duration, Instant};

/// Tokens of the prompt, and tokens decoded in one measured run.
const PREFILL: usize = 128;
const DECODE: usize = 32;

/// Prefill and decode rows of a model.
pub fn measure(path: &Path, device: DeviceSpec, rivals: &mut [Rival], reps: usize) -> Result<Vec<Row>> {
    let file = Gguf::open(path)?;
    let model = Model::new(&file, &Options { context: Some(512), ..Options::default() })?;
    let vocabulary = model.config.vocabulary as u32;
    let rig = Rig::open(device)?;
    let mut runner = Runner::new(model, rig.target, rig.device, PlanCache::standard());
    let start = Instant::now();
    for n in [PREFILL, 1] {
        runner.load(n)?;
    }
    let compile = start.elapsed();
    let prompt: Vec<u32> = (0..PREFILL as u32).map(|i| (100 + i * 37 % 4000) % vocabulary).collect();
    let absolute = path.canonicalize().unwrap_or_else(|_| path.to_path_buf());
    let text = absolute.to_str().ok_or_else(|| Diag::error("C003", "the path of the model is not UTF-8"))?;
    let row = |name: &str, tokens: usize| Row {
        name: name.into(),
        ours: Vec::new(),
        rivals: Vec::new(),
        compile,
        error: None,
        work: ("tokens/s", tokens as f64),
    };
    let mut prefill = row("prefill_128", PREFILL);
    let mut decode = row("decode_32", DECODE);
    let mut able: Vec<(&mut Rival, [Vec<f64>; 2])> = Vec::new();
    for rival in rivals {
        if rival.prepare(&format!("model {text}"))? {
            able.push((rival, Default::default()));
        }
    }
    // The first round warms up.
    for round in 0..=reps.clamp(1, 7) {
        let (a, b) = once(&mut runner, &prompt)?;
        if round > 0 {
            prefill.ours.push(a.as_secs_f64());
            decode.ours.push(b.as_secs_f64());
        }
        for (rival, times) in &mut able {
            for t in times.iter_mut() {
                let seconds = rival.time()?;
                if round > 0 {
                    t.push(seconds);
                }
            }
        }
    }
    for (rival, [a, b]) in able {
        prefill.rivals.push((rival.name.clone(), a));
        decode.rivals.push((rival.name.clone(), b));
    }
    Ok(vec![prefill, decode])
}

fn once(runner: &mut Runner, prompt: &[u32]) -> Result<(Duration, Duration)> {
    let start = Instant::now();
    let mut logits = runner.step(prompt, 0)?;
    let prefill = start.elapsed();
    let start = Instant::now();
    for i in 0..DECODE {
        logits = runner.step(&[greedy(&logits)], prompt.len() + i)?;
    }
    Ok((prefill, start.elapsed()))
}
