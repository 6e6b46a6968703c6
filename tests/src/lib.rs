//! Girih's cross-crate tests and benchmarks.
