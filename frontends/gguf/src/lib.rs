//! The GGUF door: quantised language models as Girih graphs.
//!
//! [`Gguf`] maps a file and checks it, [`Model`] builds the graph of one step from it, [`Tokenizer`] and
//! [`ChatTemplate`] turn text into tokens and back, [`Generator`] drives anything that can run a [`Step`].
//! [`Runner`] compiles a model for a device and runs the steps. [`oracle`] computes the same logits in f64,
//! independently of the graph.
//!
//! ```no_run
//! use girih_gguf::{Gguf, Generator, Limits, Model, Options, Sampling, Tokenizer, oracle::Oracle};
//! # fn main() -> girih_base::Result<()> {
//! let file = Gguf::open("model.gguf")?;
//! let (model, tokenizer) = (Model::new(&file, &Options::default())?, Tokenizer::new(file.meta())?);
//! println!("{} weights, {} states", model.weights.len(), model.states.len());
//! // A plan compiled from `model.graph` runs the steps; the oracle can stand in for it.
//! let mut steps = Oracle::new(&file, None)?;
//! let limits = Limits { context: model.context(), max_tokens: 64, chunk: 256 };
//! let mut generator = Generator::new(Sampling::default(), limits, tokenizer.stop_tokens().clone())?;
//! generator.run_text(&mut steps, &tokenizer, "The capital of France is", |text| {
//!     print!("{text}");
//!     true
//! })?;
//! # Ok(())
//! # }
//! ```
//!
//! To add an architecture: one file in `arch/` and one row in its table.

#![deny(unsafe_code)]

pub mod arch;
mod cursor;
pub mod file;
pub mod generate;
pub mod meta;
pub mod model;
pub mod oracle;
pub mod run;
pub mod sample;
pub mod tensor;
pub mod tokenizer;

pub use arch::Config;
pub use file::Gguf;
pub use generate::{Finish, Generation, Generator, Limits, Step};
pub use meta::{Meta, Value};
pub use model::{Logits, Model, Options, StateSpec, WeightRef};
pub use run::{PlanInfo, Runner};
pub use sample::{Sampler, Sampling, greedy};
pub use tensor::{Storage, TensorInfo};
pub use tokenizer::{ChatTemplate, Message, Tokenizer};
