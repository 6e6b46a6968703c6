//! The girih command line: one file per command, one rendered diagnostic per error.

#![forbid(unsafe_code)]

mod bench;
mod demo;
mod devices;
mod emit;
mod generate;
mod kernel;
mod nvcc;
mod output;
mod progress;
mod rig;
mod run;

use clap::{Parser, Subcommand};
use girih_base::Diag;
use output::{Done, Failure, Out};
use rig::DeviceSpec;
use std::process::ExitCode;

/// A portable ML compiler: readable kernels for every GPU, and the CPU.
#[derive(Parser)]
#[command(version, propagate_version = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
    /// Where to run: `cpu`, `wgpu`, `wgpu:N` (see `girih devices`), `check` (the emulator, which finds races and wrong accesses), or `auto`: the first real GPU, else the CPU
    #[arg(long, global = true, default_value = "auto")]
    device: DeviceSpec,
    /// Print one JSON value instead of text
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Subcommand)]
enum Command {
    /// Train, compile, run and check a small transformer; needs no download and no driver
    Demo(demo::Demo),
    /// List the devices found
    Devices(devices::Devices),
    /// Continue a prompt with a language model
    Generate(generate::Generate),
    /// Run one kernel of a Triton or CUDA file
    Run(run::Run),
    /// Run one kernel in the emulator, which finds accesses out of bounds, races, and reads of what nobody wrote
    Check(run::Check),
    /// Build a whole CUDA program, whose kernels run on any device; needs clang for the host half
    Nvcc(nvcc::Nvcc),
    /// Print a program at any level: graph, kernels, shaders, plan
    Emit(emit::Emit),
    /// Measure named workloads, also beside a rival
    Bench(bench::Bench),
}

/// What every command gets.
pub struct Context {
    /// Where to run.
    pub device: DeviceSpec,
    /// JSON instead of text.
    pub json: bool,
}

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(e) if !e.use_stderr() => {
            // Help and version; a closed pipe is no error.
            let _ = e.print();
            return ExitCode::SUCCESS;
        }
        Err(e) => return output::report(&usage(&e)),
    };
    let context = Context { device: cli.device, json: cli.json };
    let mut out = std::io::stdout().lock();
    match run(cli.command, &context, &mut out).and_then(|()| Ok(std::io::Write::flush(&mut out)?)) {
        Ok(()) | Err(Failure::Closed) => ExitCode::SUCCESS,
        Err(Failure::Found(diag)) => output::report(&diag),
        Err(Failure::Diag(diag)) => {
            if context.json {
                // What cannot be written is on the error output, too.
                let _ = output::write_json(&mut out, &serde_json::json!({ "error": output::json(&diag) }));
            }
            output::report(&diag)
        }
    }
}

fn run(command: Command, context: &Context, out: Out) -> Done {
    match command {
        Command::Demo(c) => c.run(context, out),
        Command::Devices(c) => c.run(context, out),
        Command::Generate(c) => c.run(context, out),
        Command::Emit(c) => c.run(context, out),
        Command::Run(c) => c.run(context, out),
        Command::Check(c) => c.run(context, out),
        Command::Nvcc(c) => c.run(context, out),
        Command::Bench(c) => c.run(context, out),
    }
}

/// A wrong command line as a diagnostic.
fn usage(e: &clap::Error) -> Box<Diag> {
    let text = e.render().to_string();
    let mut parts = text.split("\n\n").map(|p| p.trim().trim_start_matches("error: "));
    let message = parts.next().unwrap_or("wrong arguments").lines().map(str::trim).collect::<Vec<_>>().join(" ");
    let diag = Diag::error("C001", message);
    match parts.find(|p| p.starts_with("Usage:")) {
        Some(usage) => diag.note(usage.to_string()),
        None => diag,
    }
    .help("`girih --help` and `girih <command> --help` list what there is")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        use clap::CommandFactory;
        Cli::command().debug_assert();
    }

    #[test]
    fn a_wrong_argument_is_one_diagnostic() {
        let e = Cli::try_parse_from(["girih", "devices", "--device", "tpu"]).err().unwrap();
        let text = usage(&e).to_string();
        assert!(text.starts_with("error[C001]: invalid value 'tpu'"), "{text}");
    }
}
