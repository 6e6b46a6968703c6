//! The CPU target: a vectorised executor of tile programs.
