//! `girih emit`: any program at any level.

pub mod examples;
mod kernels;
mod source;
mod stages;

use crate::Context;
use crate::kernel::is_kernel_file;
use crate::output::{Done, Failure, Out, note};
use crate::progress::Progress;
use crate::rig::DeviceSpec;
use girih_base::{Diag, Result};
use girih_cpu::CpuTarget;
use girih_driver::Target;
use girih_wgpu::{WgpuDevice, WgpuTarget};
use kernels::For;
use stages::{Piece, Pieces};
use std::path::{Path, PathBuf};

/// What to print.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Stage {
    /// The program as it came in
    Graph,
    /// After the optimiser
    Optimized,
    /// What the optimiser did: rules, composites, estimated cost
    Explain,
    /// Tile kernels: one program instance on blocks of values
    Tile,
    /// SIMT kernels: one thread
    Simt,
    /// WebGPU shaders
    Wgsl,
    /// Metal shaders
    Msl,
    /// Direct3D shaders
    Hlsl,
    /// Vulkan shaders, as hexadecimal words on the terminal and as binary files in a folder
    Spirv,
    /// What the runtime executes: buffers, steps, memory
    Plan,
}

/// Arguments of `girih emit`.
#[derive(clap::Args)]
pub struct Emit {
    /// A graph text file, a GGUF file, a kernel of a Triton or CUDA file (softmax.py::softmax_kernel), or the name of a built-in example
    #[arg(required_unless_present = "list")]
    input: Option<String>,
    /// What to print
    #[arg(long, value_enum, default_value_t = Stage::Wgsl)]
    stage: Stage,
    /// One file per kernel into this folder instead of everything on the terminal
    #[arg(long)]
    out: Option<PathBuf>,
    /// Range of a size of the program, as NAME=N or NAME=LOW..HIGH; for GGUF files `seq` is the tokens of a step
    #[arg(long = "size")]
    sizes: Vec<String>,
    /// Only kernels whose name contains this
    #[arg(long)]
    kernel: Option<String>,
    /// List the built-in examples
    #[arg(long)]
    list: bool,
    #[command(flatten)]
    compiled_for: For,
}

impl Emit {
    /// Prints one stage of one program.
    pub fn run(self, context: &Context, out: Out) -> Done {
        let Some(input) = self.input.as_deref().filter(|_| !self.list) else {
            for e in examples::all() {
                writeln!(out, "{:20} {}", e.name, e.doc)?;
            }
            return Ok(());
        };
        let spinner = Progress::spinner(format!("compiling {input}"));
        let targets = Targets::of(context.device)?;
        let mut pieces = if is_kernel_file(input) {
            let file = self.compiled_for.open(input)?;
            if file.kernel.is_none() {
                return For::list(&file, out);
            }
            self.compiled_for.stage(&file, self.stage, &targets).map_err(|d| file.excerpt(d))?
        } else {
            stages::stage(&source::load(input, &self.sizes)?, self.stage, &targets)?
        };
        if let Some(part) = &self.kernel {
            pieces.retain(|p| p.name.contains(part.as_str()));
        }
        drop(spinner);
        match &self.out {
            Some(folder) => to_folder(folder, &pieces),
            None if context.json => {
                let rows: Vec<_> =
                    pieces.iter().map(|p| serde_json::json!({ "name": p.name, "text": p.text() })).collect();
                serde_json::to_writer_pretty(&mut *out, &rows)?;
                Ok(writeln!(out)?)
            }
            None => {
                for (i, p) in pieces.iter().enumerate() {
                    if i > 0 {
                        writeln!(out)?;
                    }
                    writeln!(out, "{}", p.text().trim_end())?;
                }
                Ok(())
            }
        }
    }
}

/// The targets of a stage: what the user chose, and for shaders a description of WebGPU where no adapter was named.
pub struct Targets {
    /// For graphs, tile kernels and plans.
    pub chosen: Box<dyn Target>,
    /// For everything below tile kernels.
    pub shaders: WgpuTarget,
}

impl Targets {
    /// The targets for what `--device` says.
    pub fn of(spec: DeviceSpec) -> Result<Targets> {
        match spec {
            DeviceSpec::Cpu => Ok(Targets { chosen: Box::new(CpuTarget::new()), shaders: WgpuTarget::webgpu() }),
            DeviceSpec::Check(subgroup) => {
                Ok(Targets { chosen: Box::new(girih_emulator::Emulator::new(subgroup)), shaders: WgpuTarget::webgpu() })
            }
            // The same text on every machine unless an adapter was asked for.
            DeviceSpec::Auto => Ok(Targets { chosen: Box::new(WgpuTarget::webgpu()), shaders: WgpuTarget::webgpu() }),
            DeviceSpec::Wgpu(index) => {
                let device = WgpuDevice::open(index, girih_wgpu::Options::default())?;
                Ok(Targets { chosen: Box::new(device.compiler()), shaders: device.compiler() })
            }
        }
    }
}

/// Writes each piece to a file of its own.
pub fn to_folder(folder: &Path, pieces: &Pieces) -> Done {
    for p in pieces {
        girih_driver::cache::keep(&folder.join(p.file_name()), &p.bytes)?;
    }
    note(&format!("{} files in {}", pieces.len(), folder.display()));
    Ok(())
}

/// The WGSL of every kernel of a graph, for targets without optional features.
pub fn wgsl(graph: &girih_graph::Graph) -> Result<Pieces> {
    let targets = Targets { chosen: Box::new(WgpuTarget::webgpu()), shaders: WgpuTarget::webgpu() };
    stages::stage(graph, Stage::Wgsl, &targets)
}

impl Piece {
    /// The name of its file.
    pub fn file_name(&self) -> String {
        format!("{}.{}", self.name, self.extension)
    }
}

/// A size given on the command line.
pub fn wrong_size(text: &str) -> Failure {
    Failure::Diag(
        Diag::error("C001", format!("`{text}` is not a size"))
            .help("write NAME=N or NAME=LOW..HIGH, for example seq=1..64"),
    )
}
