//! Differentiation, batching, the function library and random numbers against the evaluator.

#![allow(clippy::unwrap_used, clippy::panic)]

mod cases;
mod compose;
mod derivative;
mod fuzz;
mod harness;
mod library;
mod random;
mod refuse;
mod vectorize;
