//! `girih demo`: the whole way in a few seconds. A small transformer is built, trained through `grad`, compiled for every device
//! found, checked against the evaluator, and its shaders are written out.

mod model;
mod text;

use crate::output::{Done, Out, bytes, time};
use crate::progress::Progress;
use crate::rig::{self, DeviceSpec, Rig};
use crate::{Context, emit};
use girih_base::{Bindings, Diag, Result};
use girih_driver::{Options, Target, cache, compile};
use girih_exec::{Device, Engine, ProgramId, Weight};
use girih_gguf::greedy;
use model::Sizes;
use serde_json::json;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Texts of one training step.
const BATCH: usize = 8;

/// Characters that each device writes and the evaluator checks.
const PROMPT: &str = "the weaver sets a star, and ";

/// Normalised mean square error allowed between a device and the f64 evaluator.
const TOLERANCE: f64 = 1e-8;

/// Arguments of `girih demo`.
#[derive(clap::Args)]
pub struct Demo {
    /// Steps of training
    #[arg(long, default_value_t = 160, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    steps: u32,
    /// Where the shaders go; a folder in the cache if not given
    #[arg(long)]
    out: Option<PathBuf>,
}

/// What one device did with the trained model.
struct Checked {
    device: String,
    compile: Duration,
    error: f64,
    text: String,
    per_token: Duration,
}

impl Demo {
    /// Trains, compiles, runs, checks.
    pub fn run(self, context: &Context, out: Out) -> Done {
        let sizes = Sizes { letters: text::alphabet().len(), width: 64, heads: 4, layers: 2, tokens: 64 };
        let total = Instant::now();
        let mut say = Say { out, quiet: context.json };
        let count: usize = sizes.parameters().iter().map(|p| p.shape.iter().product::<usize>()).sum();
        say.line(&format!(
            "A transformer of {} layers and {count} parameters learns {} characters.",
            sizes.layers,
            text::TEXT.len()
        ))?;
        let (losses, trained, training) = self.train(&sizes, context.device, &mut say)?;
        let graph = sizes.logits()?;
        let prompt = text::encode(PROMPT);
        let want = graph.eval(&model::values(&sizes, &prompt, &trained)?, &at(prompt.len()))?;
        let want = want.first().ok_or_else(|| Diag::error("C020", "the model has no output"))?.array()?.to_f64();
        say.line("\nThe trained model on every device, against the f64 evaluator:")?;
        let mut rows = Vec::new();
        for (spec, _) in rig::all() {
            let row = check(&sizes, spec, &trained, &want)?;
            say.line(&format!(
                "  {}\n    compiled in {}, logits differ by {:.1e} (normalised), {} per character\n    \"{PROMPT}{}\"",
                row.device,
                time(row.compile),
                row.error,
                time(row.per_token),
                row.text.trim_end()
            ))?;
            if row.error > TOLERANCE {
                return Err(Diag::error(
                    "C021",
                    format!("`{}` computes wrong logits: {:.1e} from the evaluator", row.device, row.error),
                )
                .note(format!("the limit is {TOLERANCE:e}"))
                .help("this is a fault of the compiler or of the driver: please report it with `girih devices`")
                .into());
            }
            rows.push(row);
        }
        let folder = self
            .out
            .clone()
            .or_else(|| cache::folder().map(|f| f.join("demo")))
            .unwrap_or_else(|| std::env::temp_dir().join("girih-demo"));
        let shaders = emit::wgsl(&graph)?;
        for p in &shaders {
            cache::keep(&folder.join(p.file_name()), &p.bytes)?;
        }
        let size: usize = shaders.iter().map(|p| p.bytes.len()).sum();
        say.line(&format!("\n{} shaders ({}) are in {}", shaders.len(), bytes(size as u64), folder.display()))?;
        say.line(&format!("Done in {}.", time(total.elapsed())))?;
        if context.json {
            let devices: Vec<_> = rows
                .iter()
                .map(|r| json!({ "device": r.device, "nmse": r.error, "compile_s": r.compile.as_secs_f64(), "text": r.text }))
                .collect();
            let value = json!({
                "parameters": count, "losses": losses, "training_s": training.as_secs_f64(), "devices": devices,
                "shaders": shaders.len(), "folder": folder, "total_s": total.elapsed().as_secs_f64(),
            });
            serde_json::to_writer_pretty(&mut *say.out, &value)?;
            writeln!(say.out)?;
        }
        Ok(())
    }

    /// Loss curve, trained parameters, time.
    fn train(&self, sizes: &Sizes, device: DeviceSpec, say: &mut Say) -> Done<(Vec<f32>, Vec<Vec<u8>>, Duration)> {
        let spinner = Progress::spinner("preparing the training step");
        let rig = Rig::open(device)?;
        let (name, start) = (rig.device.name(), Instant::now());
        let graph = sizes.training(BATCH)?;
        let plan = compile(&graph, &*rig.target, &Options::for_target(&*rig.target))?.plan;
        drop(spinner);
        say.line(&format!(
            "Its training step: {} graph nodes, {} kernels launched, {} at most; compiled in {} for {name}.",
            graph.len(),
            plan.launches(),
            bytes(plan.memory().total()),
            time(start.elapsed())
        ))?;
        let mut engine = Engine::new(rig.device, Vec::new());
        let program = engine.load(plan)?;
        for (i, first) in sizes.first_values(7)?.iter().enumerate() {
            engine.write_state(i, first)?;
        }
        let data = text::encode(text::TEXT);
        let bar = Progress::steps("training", self.steps as u64);
        let (start, mut losses) = (Instant::now(), Vec::new());
        for step in 1..=self.steps {
            let (tokens, next) = batch(&data, sizes.tokens, step);
            // The rate falls in a straight line towards the end.
            let rate = 1e-2 * (1.0 - step as f32 / (self.steps + 1) as f32);
            let [fix_mean, fix_square] = model::corrections(step);
            let scalars = [rate, fix_mean, fix_square].map(f32::to_le_bytes);
            let inputs = [&tokens[..], &next, &scalars[0], &scalars[1], &scalars[2]];
            let results = engine.run(program, &inputs, &Bindings::new())?;
            let loss = floats(results.first().map_or(&[], |r| r)).first().copied().unwrap_or(f32::NAN);
            if !loss.is_finite() {
                return Err(Diag::error("C021", format!("the loss of step {step} is {loss}"))
                    .help("please report this")
                    .into());
            }
            losses.push(loss);
            bar.advance(format!("training, loss {loss:.3}"));
            if step == 1 || step % (self.steps / 5).max(1) == 0 {
                bar.aside(|| say.line(&format!("  step {step:4}  loss {loss:.3}")))?;
            }
        }
        let trained = (0..sizes.parameters().len()).map(|i| engine.read_state(i)).collect::<Result<_>>()?;
        let took = start.elapsed();
        say.line(&format!("{} steps of {} characters in {}.", self.steps, BATCH * sizes.tokens, time(took)))?;
        Ok((losses, trained, took))
    }
}

/// Tokens and next tokens of one step, i32 bytes: windows of the text at places that depend on the step alone.
fn batch(data: &[u32], length: usize, step: u32) -> (Vec<u8>, Vec<u8>) {
    let starts = (0..BATCH as u64).map(|i| {
        let mixed = (step as u64 * BATCH as u64 + i).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        (mixed >> 33) as usize % (data.len() - length)
    });
    let window = |from: usize| data[from..from + length].iter().flat_map(|t| t.to_le_bytes());
    (starts.clone().flat_map(window).collect(), starts.flat_map(|s| window(s + 1)).collect())
}

/// Compiles the trained model for a device, compares its logits, lets it write.
fn check(sizes: &Sizes, spec: DeviceSpec, trained: &[Vec<u8>], want: &[f64]) -> Result<Checked> {
    let rig = Rig::open(spec)?;
    let device = rig.device.name();
    let start = Instant::now();
    let mut run = Logits::new(sizes, &*rig.target, rig.device, trained)?;
    let compile = start.elapsed();
    let prompt = text::encode(PROMPT);
    let got = run.logits(&prompt)?;
    let error = nmse(&got, want);
    let letters = text::alphabet();
    let (mut tokens, mut text) = (prompt, String::new());
    let start = Instant::now();
    let mut written = 0;
    for _ in 0..60 {
        let seen = &tokens[tokens.len().saturating_sub(sizes.tokens)..];
        let logits = run.logits(seen)?;
        let next = greedy(&logits[logits.len().saturating_sub(sizes.letters)..]);
        tokens.push(next);
        written += 1;
        let letter = letters.get(next as usize).copied().unwrap_or('?');
        text.push(letter);
        if letter == '\n' {
            break;
        }
    }
    Ok(Checked { device, compile, error, text, per_token: start.elapsed() / written })
}

/// Square error relative to the square of what is expected.
fn nmse(got: &[f32], want: &[f64]) -> f64 {
    let error: f64 = got.iter().zip(want).map(|(g, w)| (*g as f64 - w).powi(2)).sum();
    let scale: f64 = want.iter().map(|w| w * w).sum();
    if got.len() == want.len() && error.is_finite() { error / scale } else { f64::INFINITY }
}

/// The model compiled for inference.
struct Logits {
    engine: Engine,
    program: ProgramId,
}

impl Logits {
    fn new(sizes: &Sizes, target: &dyn Target, device: Box<dyn Device>, trained: &[Vec<u8>]) -> Result<Logits> {
        let plan = compile(&sizes.logits()?, target, &Options::for_target(target))?.plan;
        let weights = trained.iter().map(|w| Weight { range: 0..w.len(), data: Arc::new(w.clone()) }).collect();
        let mut engine = Engine::new(device, weights);
        let program = engine.load(plan)?;
        Ok(Logits { engine, program })
    }

    fn logits(&mut self, tokens: &[u32]) -> Result<Vec<f32>> {
        let input: Vec<u8> = tokens.iter().flat_map(|t| t.to_le_bytes()).collect();
        let results = self.engine.run(self.program, &[&input], &at(tokens.len()))?;
        Ok(floats(results.first().map_or(&[], |r| r)))
    }
}

fn at(n: usize) -> Bindings {
    Bindings::from([("n".into(), n as i64)])
}

fn floats(bytes: &[u8]) -> Vec<f32> {
    bytes.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect()
}

/// Lines for people, left out when a script reads.
struct Say<'a> {
    out: Out<'a>,
    quiet: bool,
}

impl Say<'_> {
    fn line(&mut self, text: &str) -> Done {
        if self.quiet {
            return Ok(());
        }
        writeln!(self.out, "{text}")?;
        Ok(self.out.flush()?)
    }
}
