//! Architectures: one file each, one row each in the table below.
//!
//! A file reads its metadata, names its tensors, and writes one layer in plain operations. What they share is in
//! `build.rs` (parameters, embedding, output) and `layer.rs` (products, heads, cached attention).

mod build;
mod config;
mod decoder;
mod gemma3;
mod layer;
mod llama;
mod rope;

pub use config::Config;

use crate::file::Gguf;
use crate::model::Options;
use build::Built;
use girih_base::{Diag, Result};

/// A family of models with one way to compute.
struct Architecture {
    /// `general.architecture` of its files.
    name: &'static str,
    /// Builds the graph of one step.
    build: fn(&Gguf, &Options) -> Result<(Built, Config)>,
}

const ARCHITECTURES: &[Architecture] =
    &[Architecture { name: "llama", build: llama::build }, Architecture { name: "gemma3", build: gemma3::build }];

/// Builds the model of a file with the architecture it names.
pub(crate) fn build(file: &Gguf, options: &Options) -> Result<(Built, Config)> {
    options.check()?;
    let parts = file.meta().uint_opt("split.count")?.unwrap_or(1);
    if parts > 1 {
        return Err(Diag::error("M011", format!("this file is one of {parts} parts of a model"))
            .help("join the parts first: `llama-gguf-split --merge first-part.gguf whole.gguf`"));
    }
    let name = file.meta().str("general.architecture")?;
    match ARCHITECTURES.iter().find(|a| a.name == name) {
        Some(architecture) => (architecture.build)(file, options),
        None => {
            let names: Vec<&str> = ARCHITECTURES.iter().map(|a| a.name).collect();
            Err(Diag::error("M011", format!("architecture `{name}` is not supported"))
                .note(format!("supported: {}", names.join(", ")))
                .help("use a model of a supported family"))
        }
    }
}
