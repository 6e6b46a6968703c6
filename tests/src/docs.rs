//! The Rust examples of the documents, compiled and run as documentation tests.

#[doc = include_str!("../../README.md")]
pub struct Readme;

#[doc = include_str!("../../docs/errors.md")]
pub struct Errors;
