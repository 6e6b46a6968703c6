//! Derive macros of the Girih tensor API.

mod tree;

use proc_macro::TokenStream;
use syn::{DeriveInput, parse_macro_input};

/// Derives `girih::Tree` for a struct: a walk over the tensors of every field, in the order they are written.
///
/// Every field must be a `Tree`. A field without tensors is marked `#[tree(fixed)]`: it needs `Clone` and `Debug`, is
/// carried along unchanged, and is part of the structure that decides whether a function must be compiled anew.
#[proc_macro_derive(Tree, attributes(tree))]
pub fn derive_tree(input: TokenStream) -> TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    tree::derive(&input).unwrap_or_else(|why| why.to_compile_error()).into()
}
