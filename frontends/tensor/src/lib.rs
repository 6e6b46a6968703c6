//! Girih: a portable ML compiler. The Rust tensor API.
