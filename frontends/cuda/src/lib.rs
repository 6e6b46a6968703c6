//! CUDA C++ kernels as SIMT kernels, for any GPU and for the CPU.
//!
//! A [`Module`] is a preprocessed and parsed `.cu` file. [`Module::compile`] instantiates one kernel for one shape of launch: calls
//! are inlined, templates instantiated, pointers resolved to buffers and offsets, and what has no portable form is refused with its
//! line and advice.
//!
//! The parser is our own: tree-sitter's grammar knows neither which names are types and templates, without which C++ is ambiguous,
//! nor where a macro's tokens came from, and it needs a C compiler to build.
#![forbid(unsafe_code)]

mod ast;
mod bundle;
mod headers;
mod launch;
mod lex;
mod lower;
mod module;
mod named;
mod parse;
mod pp;
mod random;
mod source;
mod texture;
mod types;

pub use bundle::Bundle;
pub use launch::{Loaded, Value, caps};
pub use lower::{Argument, Caps, Compiled, LaunchShape, Pointers};
pub use module::{KernelInfo, Module};
pub use pp::Resolver;
pub use texture::{Address, TEXTURES, Texture, TextureMode};
