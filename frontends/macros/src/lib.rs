//! The macros of the Girih tensor API.

mod kernel;
mod tree;

use proc_macro::TokenStream;
use syn::{DeriveInput, ItemFn, parse_macro_input};

/// Derives `girih::Tree` for a struct: a walk over the tensors of every field, in the order they are written.
///
/// Every field must be a `Tree`. A field without tensors is marked `#[tree(fixed)]`: it needs `Clone` and `Debug`, is
/// carried along unchanged, and is part of the structure that decides whether a function must be compiled anew.
#[proc_macro_derive(Tree, attributes(tree))]
pub fn derive_tree(input: TokenStream) -> TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    tree::derive(&input).unwrap_or_else(|why| why.to_compile_error()).into()
}

/// Makes a kernel of a function in the tile language: see `girih::kernel`.
#[proc_macro_attribute]
pub fn kernel(_: TokenStream, function: TokenStream) -> TokenStream {
    let function = parse_macro_input!(function as ItemFn);
    kernel::expand(&function).unwrap_or_else(|why| why.to_compile_error()).into()
}
