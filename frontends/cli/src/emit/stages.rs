//! A graph at each level of the compiler.

use super::{Stage, Targets};
use girih_base::Result;
use girih_driver::Options;
use girih_graph::Graph;
use girih_lower::{Program, Step};
use girih_tile::Kernel;
use girih_wgpu::{Language, Translated, translate};
use std::collections::BTreeSet;
use std::sync::Arc;

/// One text or file of a stage.
pub struct Piece {
    /// Name of the kernel or graph; unique in its stage.
    pub name: String,
    /// Of a file that holds it.
    pub extension: &'static str,
    /// What is in it.
    pub bytes: Vec<u8>,
}

/// Everything a stage gives.
pub type Pieces = Vec<Piece>;

impl Piece {
    fn new(name: &str, extension: &'static str, text: impl Into<String>) -> Piece {
        Piece { name: name.into(), extension, bytes: text.into().into_bytes() }
    }

    /// For the terminal: SPIR-V as hexadecimal words, everything else as it is.
    pub fn text(&self) -> String {
        match String::from_utf8(self.bytes.clone()) {
            Ok(text) if self.extension != "spv" => text,
            _ => {
                let words =
                    self.bytes.chunks_exact(4).map(|b| format!("{:08x}", u32::from_le_bytes([b[0], b[1], b[2], b[3]])));
                let words: Vec<String> = words.collect();
                let lines: Vec<String> = words.chunks(8).map(|w| w.join(" ")).collect();
                format!("; {} ({} words)\n{}", self.name, words.len(), lines.join("\n"))
            }
        }
    }
}

/// Takes a graph as far as the stage and prints it.
pub fn stage(graph: &Graph, stage: Stage, targets: &Targets) -> Result<Pieces> {
    let options = Options::for_target(&*targets.chosen);
    if stage == Stage::Graph {
        return Ok(vec![Piece::new(&graph.name, "girih", graph.to_string())]);
    }
    if stage == Stage::Plan {
        let plan = girih_driver::compile(graph, &*targets.chosen, &options)?.plan;
        return Ok(vec![Piece::new(&graph.name, "plan", plan.to_string())]);
    }
    let shaders = !matches!(stage, Stage::Optimized | Stage::Explain | Stage::Tile);
    let options = if shaders { Options::for_target(&targets.shaders) } else { options };
    let (optimized, report) = girih_rewrite::optimize(graph, &options.budget)?;
    if stage == Stage::Optimized {
        return Ok(vec![Piece::new(&graph.name, "girih", optimized.to_string())]);
    }
    if stage == Stage::Explain {
        return Ok(vec![Piece::new(&graph.name, "txt", report.render())]);
    }
    let desc = if shaders { girih_driver::Target::desc(&targets.shaders) } else { targets.chosen.desc() };
    let program = girih_lower::lower(&optimized, desc)?;
    kernels(&program).into_iter().map(|(name, k)| kernel(&name, &k, stage, targets)).collect()
}

/// A kernel of a program at the level it was lowered or written at.
pub enum Launched {
    /// Blocks.
    Tile(Arc<Kernel>),
    /// Threads.
    Simt(Arc<girih_simt::Kernel>),
}

/// Takes a kernel as far as the stage and prints it.
pub fn kernel(name: &str, kernel: &Launched, stage: Stage, targets: &Targets) -> Result<Piece> {
    let simt = match kernel {
        Launched::Tile(kernel) if stage == Stage::Tile => {
            return Ok(Piece::new(name, "tile", girih_tile::print_without_locs(kernel)));
        }
        Launched::Tile(kernel) => girih_lower::distribute(kernel, girih_driver::Target::desc(&targets.shaders))?,
        Launched::Simt(kernel) => (**kernel).clone(),
    };
    if matches!(stage, Stage::Simt | Stage::Tile) {
        return Ok(Piece::new(name, "simt", simt.to_string()));
    }
    let wgsl = targets.shaders.emit(&simt)?.text;
    let (language, extension) = match stage {
        Stage::Msl => (Language::Msl, "metal"),
        Stage::Hlsl => (Language::Hlsl, "hlsl"),
        Stage::Spirv => (Language::Spirv, "spv"),
        _ => return Ok(Piece::new(name, "wgsl", wgsl)),
    };
    match translate(name, &wgsl, language, targets.shaders.capabilities())? {
        Translated::Text(text) => Ok(Piece::new(name, extension, text)),
        Translated::Words(words) => {
            Ok(Piece { name: name.into(), extension, bytes: words.iter().flat_map(|w| w.to_le_bytes()).collect() })
        }
    }
}

/// The distinct kernels of a program in launch order, with unique names.
fn kernels(program: &Program) -> Vec<(String, Launched)> {
    fn walk(steps: &[Step], found: &mut Vec<Launched>) {
        for step in steps {
            match step {
                Step::Launch { kernel, .. } => {
                    if !found.iter().any(|k| matches!(k, Launched::Tile(k) if Arc::ptr_eq(k, kernel) || k == kernel)) {
                        found.push(Launched::Tile(kernel.clone()));
                    }
                }
                Step::LaunchSimt { kernel, .. } => {
                    if !found.iter().any(|k| matches!(k, Launched::Simt(k) if k == kernel)) {
                        found.push(Launched::Simt(kernel.clone()));
                    }
                }
                Step::Copy { .. } => {}
                Step::Repeat { body, .. } => walk(body, found),
                Step::While { test, body, .. } => [test, body].iter().for_each(|s| walk(s, found)),
                Step::Branch { branches, .. } => branches.iter().for_each(|s| walk(s, found)),
            }
        }
    }
    let mut found = Vec::new();
    walk(&program.steps, &mut found);
    let mut names = BTreeSet::new();
    found
        .into_iter()
        .map(|k| {
            let own = match &k {
                Launched::Tile(k) => k.name.clone(),
                Launched::Simt(k) => k.name.clone(),
            };
            let unique = (1..).map(|i| if i == 1 { own.clone() } else { format!("{own}_{i}") });
            let name = unique.into_iter().find(|n| !names.contains(n)).unwrap_or_default();
            names.insert(name.clone());
            (name, k)
        })
        .collect()
}
