//! Derive macros of the Girih tensor API.
