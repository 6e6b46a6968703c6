//! A tiny GGUF writer and the model folder, shared by the tests of this crate.
#![allow(dead_code, clippy::unwrap_used, clippy::panic)]

pub mod devices;
pub mod models;

use std::path::PathBuf;

/// Metadata values as a test writes them.
#[derive(Clone)]
pub enum V {
    U32(u32),
    U64(u64),
    F32(f32),
    Bool(bool),
    Str(String),
    Strs(Vec<String>),
    I32s(Vec<i32>),
    F32s(Vec<f32>),
}

pub fn s(text: &str) -> V {
    V::Str(text.into())
}

pub fn strs(list: &[&str]) -> V {
    V::Strs(list.iter().map(|t| t.to_string()).collect())
}

/// Name, extents (slowest first), ggml type, bytes, and an offset when it is not the natural one.
pub type Tensor = (String, Vec<u64>, u32, Vec<u8>, Option<u64>);

/// A GGUF v3 file under construction.
#[derive(Clone, Default)]
pub struct Writer {
    pub meta: Vec<(String, V)>,
    pub tensors: Vec<Tensor>,
    pub version: Option<u32>,
}

fn string(out: &mut Vec<u8>, text: &str) {
    out.extend((text.len() as u64).to_le_bytes());
    out.extend(text.as_bytes());
}

fn array(out: &mut Vec<u8>, element: u32, count: usize) {
    out.extend(9u32.to_le_bytes());
    out.extend(element.to_le_bytes());
    out.extend((count as u64).to_le_bytes());
}

impl Writer {
    pub fn meta(mut self, key: &str, value: V) -> Writer {
        self.meta.push((key.into(), value));
        self
    }

    pub fn tensor(mut self, name: &str, shape: &[u64], ggml_type: u32, bytes: Vec<u8>) -> Writer {
        self.tensors.push((name.into(), shape.to_vec(), ggml_type, bytes, None));
        self
    }

    pub fn f32s(self, name: &str, shape: &[u64], values: &[f32]) -> Writer {
        self.tensor(name, shape, 0, values.iter().flat_map(|v| v.to_le_bytes()).collect())
    }

    pub fn finish(&self) -> Vec<u8> {
        let mut out = b"GGUF".to_vec();
        out.extend(self.version.unwrap_or(3).to_le_bytes());
        out.extend((self.tensors.len() as u64).to_le_bytes());
        out.extend((self.meta.len() as u64).to_le_bytes());
        for (key, value) in &self.meta {
            string(&mut out, key);
            match value {
                V::U32(v) => out.extend([4u32.to_le_bytes(), v.to_le_bytes()].concat()),
                V::U64(v) => out.extend([&10u32.to_le_bytes()[..], &v.to_le_bytes()].concat()),
                V::F32(v) => out.extend([6u32.to_le_bytes(), v.to_le_bytes()].concat()),
                V::Bool(v) => out.extend([&7u32.to_le_bytes()[..], &[*v as u8]].concat()),
                V::Str(v) => {
                    out.extend(8u32.to_le_bytes());
                    string(&mut out, v);
                }
                V::Strs(list) => {
                    array(&mut out, 8, list.len());
                    list.iter().for_each(|t| string(&mut out, t));
                }
                V::I32s(list) => {
                    array(&mut out, 5, list.len());
                    out.extend(list.iter().flat_map(|v| v.to_le_bytes()));
                }
                V::F32s(list) => {
                    array(&mut out, 6, list.len());
                    out.extend(list.iter().flat_map(|v| v.to_le_bytes()));
                }
            }
        }
        let mut offset = 0u64;
        for (name, shape, ggml_type, bytes, at) in &self.tensors {
            string(&mut out, name);
            out.extend((shape.len() as u32).to_le_bytes());
            shape.iter().rev().for_each(|d| out.extend(d.to_le_bytes()));
            out.extend(ggml_type.to_le_bytes());
            out.extend(at.unwrap_or(offset).to_le_bytes());
            offset += (bytes.len() as u64).next_multiple_of(32);
        }
        for (_, _, _, bytes, _) in &self.tensors {
            out.resize(out.len().next_multiple_of(32), 0);
            out.extend(bytes);
        }
        out
    }
}

/// The path of a model file, or nothing (with a message) when it is not there and not required.
pub fn model(file: &str) -> Option<PathBuf> {
    let folder = std::env::var_os("GIRIH_MODELS")
        .map(PathBuf::from)
        .or_else(|| std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache/girih/models")))?;
    let path = folder.join(file);
    if path.is_file() {
        return Some(path);
    }
    let required = std::env::var("GIRIH_REQUIRE_MODELS").is_ok_and(|v| v == "1");
    assert!(!required, "{} is missing, and GIRIH_REQUIRE_MODELS=1", path.display());
    eprintln!("skipped: {} is missing (set GIRIH_MODELS to the folder that holds it)", path.display());
    None
}

/// The language model of the tests.
pub const SMOLLM2: &str = "SmolLM2-135M-Instruct.Q4_1.gguf";

/// The language model of the tests with other block formats, sliding windows and normalised queries and keys.
pub const GEMMA3: &str = "gemma-3-270m-q4_k_m.gguf";
