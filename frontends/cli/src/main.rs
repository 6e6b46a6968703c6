//! The girih command line.
fn main() {}
