//! `girih bench`: named workloads through the normal pipeline, each result checked, also beside a rival in the same run.

mod language;
mod reference;
mod rival;
pub mod workloads;

use crate::Context;
use crate::output::{Done, Out, note};
use crate::progress::Progress;
use crate::rig::{DeviceSpec, Rig, unknown};
use girih_base::{Bindings, Diag, Result};
use girih_driver::{Options, compile};
use girih_exec::{Engine, ProgramId};
use girih_graph::eval::Array;
use rival::Rival;
use serde_json::json;
use std::path::PathBuf;
use std::time::{Duration, Instant};
use workloads::{WORKLOADS, Workload};

/// Errors above this, relative to the largest value, are reported as failures: f32 sums of a few thousand products.
const TOLERANCE: f64 = 1e-4;

/// Arguments of `girih bench`.
#[derive(clap::Args)]
pub struct Bench {
    /// Which workloads; all of them if none is named. A part of a name takes every workload with it
    names: Vec<String>,
    /// A GGUF file: measures prefill of 128 tokens and decode as well
    #[arg(long)]
    model: Option<PathBuf>,
    /// Measured runs of each workload
    #[arg(long, default_value_t = 15)]
    reps: usize,
    /// Measured time after which no further run is started, in seconds; at least three are made
    #[arg(long, default_value_t = 6.0)]
    seconds: f64,
    /// A Python that has rivals installed; its runs alternate with ours
    #[arg(long, value_name = "PYTHON")]
    vs: Option<PathBuf>,
    /// Which rivals: numpy, jax, llama_cpp; those that are installed if not given
    #[arg(long, value_delimiter = ',', requires = "vs")]
    rivals: Vec<String>,
}

/// One measured thing.
pub struct Row {
    /// Its name.
    pub name: String,
    /// Seconds of our runs.
    pub ours: Vec<f64>,
    /// Rival and seconds of its runs.
    pub rivals: Vec<(String, Vec<f64>)>,
    /// Host time to compile and load.
    pub compile: Duration,
    /// Error of the checked sample.
    pub error: Option<f64>,
    /// What a second means: unit and amount of work per run.
    pub work: (&'static str, f64),
}

impl Bench {
    /// Measures and prints.
    pub fn run(self, context: &Context, out: Out) -> Done {
        let chosen = self.chosen()?;
        let mut rivals = match &self.vs {
            Some(python) => Rival::start(python, &self.rivals)?,
            None => Vec::new(),
        };
        let name = Rig::open(context.device)?.device.name();
        if !context.json {
            writeln!(out, "{name}\n")?;
            writeln!(
                out,
                "{:22} {:>10} {:>10} {:>14} {:>10}  beside it",
                "workload", "median", "least", "rate", "error"
            )?;
        }
        let bar = Progress::steps("", chosen.len() as u64);
        let mut rows = Vec::new();
        for w in &chosen {
            bar.advance(w.example.name);
            let row = self.measure(w, context.device, &mut rivals)?;
            bar.aside(|| self.finish(row, context, out, &mut rows))?;
        }
        drop(bar);
        if let Some(path) = &self.model {
            for row in language::measure(path, context.device, &mut rivals, self.reps)? {
                self.finish(row, context, out, &mut rows)?;
            }
        }
        if context.json {
            serde_json::to_writer_pretty(&mut *out, &json!({ "device": name, "rows": rows }))?;
            writeln!(out)?;
        }
        Ok(())
    }

    fn finish(&self, row: Row, context: &Context, out: Out, rows: &mut Vec<serde_json::Value>) -> Done {
        if let Some(e) = row.error.filter(|e| *e > TOLERANCE) {
            return Err(Diag::error("C010", format!("`{}` is wrong by {e:.1e} of its largest value", row.name))
                .note(format!("the limit is {TOLERANCE:e}"))
                .help("this is a fault of the compiler or of a driver: please report it")
                .into());
        }
        if context.json {
            rows.push(row.json());
            return Ok(());
        }
        writeln!(out, "{}", row.line())?;
        Ok(out.flush()?)
    }

    fn chosen(&self) -> Result<Vec<&'static Workload>> {
        if self.names.is_empty() && self.model.is_some() {
            return Ok(Vec::new());
        }
        let names: Vec<&str> = WORKLOADS.iter().map(|w| w.example.name).collect();
        if let Some(lost) = self.names.iter().find(|n| names.iter().all(|name| !name.contains(n.as_str()))) {
            return Err(unknown("workload", lost, &names));
        }
        let wanted =
            |w: &&Workload| self.names.is_empty() || self.names.iter().any(|n| w.example.name.contains(n.as_str()));
        Ok(WORKLOADS.iter().filter(wanted).collect())
    }

    fn measure(&self, w: &Workload, device: DeviceSpec, rivals: &mut [Rival]) -> Result<Row> {
        let mut ours = Ours::prepare(w, device)?;
        let first = ours.outputs()?;
        let error = (w.check)(&ours.inputs, &first);
        let mut row = Row {
            name: w.example.name.into(),
            ours: Vec::new(),
            rivals: Vec::new(),
            compile: ours.compile,
            error: Some(error),
            work: if w.flops > 0.0 { ("GFLOP/s", w.flops / 1e9) } else { ("GB/s", w.bytes / 1e9) },
        };
        let mut times: Vec<Vec<f64>> = vec![Vec::new(); rivals.len()];
        for (r, rival) in rivals.iter_mut().enumerate() {
            if !rival.prepare(w.example.name)? {
                note(&format!("note: {} has no {}", rival.name, w.example.name));
                times[r].push(f64::NAN);
            }
        }
        ours.time()?;
        let start = Instant::now();
        while row.ours.len() < self.reps && (row.ours.len() < 3 || start.elapsed().as_secs_f64() < self.seconds) {
            row.ours.push(ours.time()?);
            for (rival, t) in rivals.iter_mut().zip(&mut times) {
                if t.first().is_none_or(|t| !t.is_nan()) {
                    t.push(rival.time()?);
                }
            }
        }
        row.rivals = rivals.iter().map(|r| r.name.clone()).zip(times).filter(|(_, t)| !t[0].is_nan()).collect();
        Ok(row)
    }
}

/// One of our programs, compiled and loaded.
struct Ours {
    engine: Engine,
    program: ProgramId,
    inputs: Vec<Vec<f32>>,
    compile: Duration,
}

impl Ours {
    fn prepare(w: &Workload, device: DeviceSpec) -> Result<Ours> {
        let graph = w.example.graph()?;
        let rig = Rig::open(device)?;
        let start = Instant::now();
        let plan = compile(&graph, &*rig.target, &Options::for_target(&*rig.target))?.plan;
        let mut inputs = Vec::new();
        for (i, p) in graph.params().iter().enumerate() {
            let shape: Vec<usize> = graph
                .tensor(*p)?
                .shape
                .iter()
                .map(|d| d.as_const().and_then(|d| usize::try_from(d).ok()).unwrap_or(1))
                .collect();
            let name = graph.node(*p).name.as_deref().unwrap_or("");
            inputs.push(values(&Array::random(girih_base::DType::F32, &shape, i as u64), name, &shape));
        }
        let mut engine = Engine::new(rig.device, Vec::new());
        let program = engine.load(plan)?;
        let compile = start.elapsed();
        let bytes: Vec<Vec<u8>> = inputs.iter().map(|x| x.iter().flat_map(|v| v.to_le_bytes()).collect()).collect();
        engine.write_inputs(program, &bytes.iter().map(|b| &b[..]).collect::<Vec<_>>(), &Bindings::new())?;
        Ok(Ours { engine, program, inputs, compile })
    }

    /// Seconds of one run on data that is on the device already.
    fn time(&mut self) -> Result<f64> {
        let start = Instant::now();
        self.engine.execute(self.program, &Bindings::new())?;
        Ok(start.elapsed().as_secs_f64())
    }

    fn outputs(&mut self) -> Result<Vec<f32>> {
        self.engine.execute(self.program, &Bindings::new())?;
        let out = self.engine.read_outputs(self.program, &Bindings::new())?;
        let first = out.first().map_or(&[][..], |o| o);
        Ok(first.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect())
    }
}

/// Random values; weights are scaled so that features keep their size through layers.
fn values(random: &Array, name: &str, shape: &[usize]) -> Vec<f32> {
    let scale = match shape.len() {
        2 if name.contains("_w") => 1.0 / (shape[0] as f64).sqrt(),
        4 if name == "w" => 1.0 / ((shape[1] * 9) as f64).sqrt(),
        _ => 1.0,
    };
    random.to_f64().iter().map(|v| (v * scale) as f32).collect()
}

impl Row {
    fn line(&self) -> String {
        let (unit, work) = self.work;
        let median = median(&self.ours);
        let error = self.error.map_or("".into(), |e| format!("{e:.1e}"));
        let mut line = format!(
            "{:22} {:>10} {:>10} {:>14} {error:>10}",
            self.name,
            seconds(median),
            seconds(least(&self.ours)),
            format!("{:.1} {unit}", work / median)
        );
        for (name, times) in &self.rivals {
            let theirs = crate::bench::median(times);
            line += &format!("  {name} {} ({:.2}x its speed)", seconds(theirs), theirs / median);
        }
        line
    }

    fn json(&self) -> serde_json::Value {
        let rivals: Vec<_> = self
            .rivals
            .iter()
            .map(|(name, t)| json!({ "name": name, "median_s": median(t), "least_s": least(t), "speed_ratio": median(t) / median(&self.ours) }))
            .collect();
        json!({
            "name": self.name, "runs": self.ours.len(), "median_s": median(&self.ours), "least_s": least(&self.ours),
            "rate": self.work.1 / median(&self.ours), "unit": self.work.0, "error": self.error,
            "compile_s": self.compile.as_secs_f64(), "rivals": rivals,
        })
    }
}

fn median(times: &[f64]) -> f64 {
    let mut sorted = times.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN)
}

fn least(times: &[f64]) -> f64 {
    times.iter().copied().fold(f64::INFINITY, f64::min)
}

fn seconds(s: f64) -> String {
    if s.is_finite() { crate::output::time(Duration::from_secs_f64(s)) } else { "-".into() }
}
