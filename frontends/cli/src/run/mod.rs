//! `girih run` and `girih check`: one kernel of a file over arrays named on the command line.

pub mod argument;
mod launch;
mod report;

use crate::Context;
use crate::kernel::File;
use crate::output::{self, Done, Failure, Out, note, time};
use crate::rig::{DeviceSpec, Rig, auto};
use argument::Given;
use girih_base::{Diag, Loc, Result};
pub use launch::constant;
use launch::{Outcome, Prepared};
use std::sync::PoisonError;

/// A kernel with everything it is launched with.
#[derive(clap::Args)]
pub struct Launch {
    /// A file and a kernel in it: softmax.py::softmax_kernel, or "scale.cu::scale<float, 4>"
    kernel: String,
    /// Programs or blocks along X, or X,Y, or X,Y,Z
    #[arg(long, default_value = "1")]
    grid: String,
    /// Threads of a block, for CUDA
    #[arg(long)]
    block: Option<String>,
    /// Bytes of dynamic shared memory, for CUDA
    #[arg(long, default_value_t = 0)]
    shared: u32,
    /// An argument, NAME=VALUE; values are `npy:FILE`, `zeros:f32[4,128]`, `ones:..`, `empty:..`, `full:f32[4]:1.5`, `arange:i32[8]`,
    /// `random:f32[4]:SEED`, numbers, `true`, `false`, `none`, `type:f16`, or text
    #[arg(long = "arg", value_name = "NAME=VALUE")]
    args: Vec<String>,
    /// A `tl.constexpr` argument; for CUDA a macro
    #[arg(long = "const", value_name = "NAME=VALUE")]
    constants: Vec<String>,
}

/// Arguments of `girih run`.
#[derive(clap::Args)]
pub struct Run {
    #[command(flatten)]
    launch: Launch,
    /// Save an array that the kernel wrote, NAME=FILE.npy
    #[arg(long = "out", value_name = "NAME=FILE")]
    out: Vec<String>,
    /// First run it in the emulator, which stops at accesses out of bounds, races, and reads of what nobody wrote
    #[arg(long)]
    check: bool,
    /// Measure the time of this many launches, each with the arguments as given
    #[arg(long, default_value_t = 0)]
    reps: u32,
}

/// Arguments of `girih check`.
#[derive(clap::Args)]
pub struct Check {
    #[command(flatten)]
    launch: Launch,
    /// Widths of subgroups (CUDA's warps) to run with, of 4,8,16,32,64: results must not differ
    #[arg(long, default_value = "32", value_delimiter = ',', value_parser = width)]
    subgroups: Vec<u32>,
}

fn width(text: &str) -> std::result::Result<u32, String> {
    let known = text.parse().ok().filter(|n| girih_emulator::SUBGROUPS.contains(n));
    known.ok_or_else(|| format!("`{text}` is no width of subgroups: give 4, 8, 16, 32 or 64"))
}

impl Run {
    /// Launches the kernel and says what it wrote.
    pub fn run(self, context: &Context, out: Out) -> Done {
        let files = self.out.iter().map(|t| argument::file(t)).collect::<Done<Vec<_>>>()?;
        let prepared = self.launch.prepare()?;
        for (name, _) in &files {
            if !prepared.args.iter().any(|(n, v)| n == name && matches!(v, Given::Array(_))) {
                return Err(Diag::error("C006", format!("there is no array `{name}` to save")).into());
            }
        }
        if self.check {
            prepared.check(&[32])?;
        }
        let spec = if context.device == DeviceSpec::Auto { auto() } else { context.device };
        let mut rig = Rig::open(spec)?;
        let outcome = prepared.run(&mut rig, self.reps);
        // Of a launch that failed, too.
        let prints = rig.device.take_prints();
        let printed: String = prints.lines.iter().map(|line| line.text.as_str()).collect();
        if !printed.is_empty() && (!context.json || outcome.is_err()) {
            write!(out, "{printed}{}", if printed.ends_with('\n') { "" } else { "\n" })?;
        }
        if prints.lost > 0 {
            note(&format!("{} printed lines found no room in the debug buffer", prints.lost));
        }
        let outcome = outcome?;
        for (name, path) in &files {
            if let Some(b) = outcome.arrays.iter().find(|b| b.name == *name) {
                report::save(&b.elements, path)?;
            }
        }
        prepared.report(&outcome, &printed, &files, spec, context.json, out)
    }
}

impl Check {
    /// Runs the kernel in the emulator; the first finding is the error.
    pub fn run(self, context: &Context, out: Out) -> Done {
        let prepared = self.launch.prepare()?;
        let found = match prepared.check(&self.subgroups) {
            Ok(()) => None,
            // What the emulator says of the kernel, not what the launch lacks.
            Err(d) if d.code.starts_with("S1") => Some(d),
            Err(d) => return Err(d.into()),
        };
        if context.json {
            let findings: Vec<_> = found.iter().map(|d| output::json(d)).collect();
            let value = serde_json::json!({
                "kernel": prepared.kernel,
                "grid": prepared.grid,
                "subgroups": self.subgroups,
                "findings": findings,
            });
            output::write_json(out, &value)?;
            return found.map_or(Ok(()), |d| Err(Failure::Found(d)));
        }
        if let Some(d) = found {
            return Err(d.into());
        }
        let [x, y, z] = prepared.grid;
        Ok(writeln!(out, "{}: {} x {} x {} programs, nothing found", prepared.kernel, x, y, z)?)
    }
}

impl Launch {
    fn prepare(&self) -> Result<Prepared> {
        let args = self.args.iter().map(|a| argument::parse(a)).collect::<Result<Vec<_>>>()?;
        let constants = self.constants.iter().map(|a| argument::parse(a)).collect::<Result<Vec<_>>>()?;
        let macros: Vec<(String, String)> =
            self.constants.iter().filter_map(|c| c.split_once('=')).map(|(n, v)| (n.into(), v.into())).collect();
        let file = File::open(&self.kernel, &macros)?;
        let kernel = file.kernel()?;
        let block = self.block.as_deref().map(argument::extents).transpose()?;
        Prepared::new(file, kernel, argument::extents(&self.grid)?, block, self.shared, args, constants)
    }
}

/// What operations across subgroups gave, each hashed, by place.
type Exchanges = Vec<(Loc, u64)>;

impl Prepared {
    /// Runs in the emulator, once for each width of subgroups, and compares what the runs wrote.
    fn check(&self, subgroups: &[u32]) -> Result<()> {
        let mut first: Option<(u32, Outcome, Exchanges)> = None;
        for width in subgroups {
            let (now, exchanges) = self.check_with(*width).map_err(|d| {
                let d = if subgroups.len() > 1 { d.note(format!("with subgroups of {width} threads")) } else { d };
                self.file.excerpt(report::explain(d, self))
            })?;
            let Some((other, before, noted)) = &first else {
                first = Some((*width, now, exchanges));
                continue;
            };
            for (a, b) in before.arrays.iter().zip(&now.arrays) {
                let (x, y) = (a.elements.bytes.as_deref(), b.elements.bytes.as_deref());
                let (x, y) = (x.unwrap_or_default(), y.unwrap_or_default());
                if let Some(i) = girih_emulator::first_difference(a.elements.dtype, x, y) {
                    let d = girih_emulator::differs(&a.name, i, [*other, *width], [noted, &exchanges]);
                    return Err(self.file.excerpt(d));
                }
            }
        }
        Ok(())
    }

    /// Runs in the emulator; gives what was written, and the results of operations across subgroups.
    fn check_with(&self, subgroup: u32) -> Result<(Outcome, Exchanges)> {
        let target = girih_emulator::Emulator::new(subgroup);
        let device = girih_emulator::EmulatorDevice::new(&target);
        let exchanges = device.exchanges();
        let mut rig = Rig { target: Box::new(target), device: Box::new(device) };
        let outcome = self.run(&mut rig, 0)?;
        rig.device.take_prints().lines.iter().for_each(|line| note(&line.text));
        let exchanges = exchanges.lock().unwrap_or_else(PoisonError::into_inner).clone();
        Ok((outcome, exchanges))
    }

    fn report(
        &self,
        outcome: &Outcome,
        printed: &str,
        files: &[(String, String)],
        spec: DeviceSpec,
        json: bool,
        out: Out,
    ) -> Done {
        outcome.notes.iter().for_each(|n| note(n));
        if json {
            let value = serde_json::json!({
                "kernel": self.kernel,
                "grid": self.grid,
                "device": spec.to_string(),
                "seconds": outcome.seconds,
                "printed": printed,
                "arrays": outcome.arrays.iter().map(report::json).collect::<Vec<_>>(),
                "files": files.iter().map(|(_, path)| path).collect::<Vec<_>>(),
            });
            return output::write_json(out, &value);
        }
        for b in &outcome.arrays {
            writeln!(out, "{}", report::line(b))?;
        }
        if let Some(s) = outcome.seconds {
            writeln!(out, "{} per launch on {spec}", time(std::time::Duration::from_secs_f64(s)))?;
        }
        Ok(())
    }
}
