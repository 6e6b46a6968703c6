//! The GGUF door: quantised language models as Girih graphs.
//!
//! [`Gguf`] maps a file and checks it, [`Model`] builds the graph of one step from it, [`Tokenizer`] and
//! [`ChatTemplate`] turn text into tokens and back, [`Generator`] drives anything that can run a [`Step`].
//! [`oracle`] computes the same logits in f64, independently of the graph.
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
pub mod sample;
pub mod tensor;
pub mod tokenizer;

pub use arch::Config;
pub use file::Gguf;
pub use generate::{Finish, Generation, Generator, Limits, Step};
pub use meta::{Meta, Value};
pub use model::{Logits, Model, Options, StateSpec, WeightRef};
pub use sample::{Sampler, Sampling, greedy};
pub use tensor::{Storage, TensorInfo};
pub use tokenizer::{ChatTemplate, Message, Tokenizer};
