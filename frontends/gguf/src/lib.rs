//! The GGUF door: quantised language models as Girih graphs.

#![deny(unsafe_code)]

mod cursor;
pub mod file;
pub mod meta;
pub mod tensor;
pub mod tokenizer;

pub use file::Gguf;
pub use meta::{Meta, Value};
pub use tensor::{Storage, TensorInfo};
pub use tokenizer::{ChatTemplate, Message, Tokenizer};
