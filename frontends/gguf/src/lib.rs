//! The GGUF door: quantised language models as Girih graphs.

#![deny(unsafe_code)]

pub mod arch;
mod cursor;
pub mod file;
pub mod generate;
pub mod meta;
pub mod model;
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
