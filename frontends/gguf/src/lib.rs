//! The GGUF door: quantised language models as Girih graphs.
