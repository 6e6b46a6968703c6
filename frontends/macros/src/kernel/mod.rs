//! `#[kernel]`: a function in the tile language, written with Rust's syntax.
//!
//! The body is not Rust: names are tiles, and `tl::` functions are the tile language's. It is translated to the text that the
//! Triton door reads, with a table that leads every part of it back to the line and column it was written at, so that both
//! languages share one set of rules, and errors point into the Rust file.

mod expr;
mod scope;
mod stmt;
mod writer;

use proc_macro2::TokenStream;
use quote::{ToTokens, format_ident, quote};
use syn::spanned::Spanned;
use syn::{
    Error, FnArg, GenericArgument, GenericParam, Ident, ItemFn, Pat, Path, PathArguments, Result, ReturnType, Type,
};
use writer::Writer;

/// A kernel on its way to text.
pub struct Translation {
    out: Writer,
    scopes: scope::Scopes,
    helpers: Vec<Path>,
}

impl Translation {
    /// Writes the name of another kernel function, whose text comes along.
    fn helper(&mut self, path: &Path) -> Result<()> {
        let Some(last) = path.segments.last() else {
            return Err(Error::new(path.span(), "a function's name is missing"));
        };
        self.out.push(&last.ident.to_string());
        let mut source = path.clone();
        if let Some(last) = source.segments.last_mut() {
            last.ident = source_name(&last.ident);
            last.arguments = PathArguments::None;
        }
        let text = |p: &Path| p.to_token_stream().to_string();
        if !self.helpers.iter().any(|h| text(h) == text(&source)) {
            self.helpers.push(source);
        }
        Ok(())
    }
}

fn source_name(function: &Ident) -> Ident {
    format_ident!("__girih_kernel_{}", function, span = function.span())
}

/// What a parameter is.
enum Kind {
    /// `In<f32>`: memory that is read, with the variant of `DType`.
    In(Ident),
    /// `Out<f32>`: memory that is written.
    Out(Ident),
    /// A number.
    Scalar(Box<Type>),
    /// A value of a helper function.
    Tile,
}

/// The function that calls the kernel, and its text.
pub fn expand(function: &ItemFn) -> Result<TokenStream> {
    let sig = &function.sig;
    if let Some(odd) =
        sig.asyncness.map(|a| a.span()).or(sig.unsafety.map(|u| u.span())).or(sig.constness.map(|c| c.span()))
    {
        return Err(Error::new(odd, "a kernel is a plain function"));
    }
    let mut constants = Vec::new();
    for p in &sig.generics.params {
        match p {
            GenericParam::Const(c) => constants.push(c.clone()),
            other => {
                return Err(Error::new(other.span(), "a kernel is generic over constants only: `const BLOCK: usize`"));
            }
        }
    }
    let params = sig.inputs.iter().map(param).collect::<Result<Vec<_>>>()?;
    let is_helper = matches!(sig.output, ReturnType::Type(..)) || params.iter().any(|(_, k)| matches!(k, Kind::Tile));

    let variables = params.iter().map(|(n, _)| n.to_string()).chain(constants.iter().map(|c| c.ident.to_string()));
    let scopes = scope::Scopes::new(variables);
    let mut t = Translation { out: Writer::default(), scopes, helpers: Vec::new() };
    t.out.push("@triton.jit\n");
    t.out.mark(sig.ident.span());
    let names = params.iter().map(|(n, _)| n.to_string());
    let names: Vec<String> = names.chain(constants.iter().map(|c| format!("{}: tl.constexpr", c.ident))).collect();
    t.out.push(&format!("def {}({}):", sig.ident, names.join(", ")));
    stmt::body(&mut t, &function.block)?;

    let source = source(&t, &sig.ident, function);
    if is_helper {
        if let Some((name, _)) = params.iter().find(|(_, k)| !matches!(k, Kind::Tile)) {
            return Err(Error::new(name.span(), "a function that kernels call takes and gives `Tile`s"));
        }
        if let Some(c) = constants.first() {
            return Err(Error::new(c.span(), "a function that kernels call takes constants as `Tile`s too"));
        }
        return Ok(source);
    }
    let call = caller(function, &constants, &params)?;
    Ok(quote!(#source #call))
}

/// The text as an item beside the function.
fn source(t: &Translation, name: &Ident, function: &ItemFn) -> TokenStream {
    let (vis, item, text, helpers) = (&function.vis, source_name(name), &t.out.text, &t.helpers);
    let places = t.out.places.iter().map(|(at, line, column)| quote!((#at, #line, #column)));
    let name = name.to_string();
    quote! {
        #[doc(hidden)]
        #[allow(non_upper_case_globals)]
        #vis static #item: ::girih::kernel::Source = ::girih::kernel::Source {
            name: #name,
            file: ::core::file!(),
            text: #text,
            places: &[#(#places),*],
            helpers: &[#(&#helpers),*],
        };
    }
}

/// The Rust function of the kernel's name: inputs are tensors, outputs the shapes of the results.
fn caller(function: &ItemFn, constants: &[syn::ConstParam], params: &[(Ident, Kind)]) -> Result<TokenStream> {
    let (vis, attrs, name) = (&function.vis, &function.attrs, &function.sig.ident);
    let (generics, source) = (&function.sig.generics, source_name(name));
    let (mut signature, mut args, mut outputs) = (Vec::new(), Vec::new(), 0usize);
    for (ident, kind) in params {
        let text = ident.to_string();
        match kind {
            Kind::In(_) if outputs > 0 => {
                return Err(Error::new(
                    ident.span(),
                    "inputs come before outputs, as a kernel's buffers do in a graph",
                ));
            }
            Kind::In(dtype) => {
                signature.push(quote!(#ident: &::girih::Tensor));
                args.push(quote!(::girih::kernel::Arg::In(#text, ::girih::DType::#dtype, #ident)));
            }
            Kind::Out(dtype) => {
                outputs += 1;
                signature.push(quote!(#ident: impl ::core::convert::AsRef<[usize]>));
                args.push(quote!(::girih::kernel::Arg::Out(#text, ::girih::DType::#dtype, #ident.as_ref())));
            }
            Kind::Scalar(ty) => {
                signature.push(quote!(#ident: #ty));
                args.push(quote!(::girih::kernel::Arg::Scalar(#text, ::girih::kernel::Scalar::from(#ident))));
            }
            Kind::Tile => {}
        }
    }
    if outputs == 0 {
        return Err(Error::new(name.span(), "a kernel gives something: mark what it writes with `Out<f32>`"));
    }
    let constants = constants.iter().map(|c| {
        let (ident, text) = (&c.ident, c.ident.to_string());
        quote!((#text, ::girih::kernel::Constant::from(#ident)))
    });
    let (ty, result) = match outputs {
        1 => (quote!(::girih::Tensor), quote!(result.swap_remove(0))),
        n => (quote!([::girih::Tensor; #n]), quote!(::core::array::from_fn(|_| result.remove(0)))),
    };
    Ok(quote! {
        #(#attrs)*
        #[track_caller]
        #vis fn #name #generics (grid: impl ::core::convert::AsRef<[usize]>, #(#signature),*) -> #ty {
            let mut result = ::girih::kernel::call(&#source, &[#(#constants),*], grid.as_ref(), &[#(#args),*]);
            #result
        }
    })
}

fn param(arg: &FnArg) -> Result<(Ident, Kind)> {
    let FnArg::Typed(typed) = arg else { return Err(Error::new(arg.span(), "a kernel has no `self`")) };
    let Pat::Ident(name) = &*typed.pat else { return Err(Error::new(typed.pat.span(), "a parameter is one name")) };
    let Type::Path(p) = &*typed.ty else { return Err(Error::new(typed.ty.span(), WHAT)) };
    let Some(last) = p.path.segments.last() else { return Err(Error::new(typed.ty.span(), WHAT)) };
    let element = match &last.arguments {
        PathArguments::AngleBracketed(a) if a.args.len() == 1 => match a.args.first() {
            Some(GenericArgument::Type(ty)) => Some(ty),
            _ => None,
        },
        _ => None,
    };
    let kind = match (last.ident.to_string().as_str(), element) {
        ("In", Some(ty)) => Kind::In(variant(ty)?),
        ("Out", Some(ty)) => Kind::Out(variant(ty)?),
        ("Tile", None) => Kind::Tile,
        ("i32" | "u32" | "i64" | "u64" | "f32" | "f64", None) => Kind::Scalar(typed.ty.clone()),
        _ => return Err(Error::new(typed.ty.span(), WHAT)),
    };
    Ok((name.ident.clone(), kind))
}

/// The variant of `DType` for an element type: `Bf16` for `bf16`.
fn variant(ty: &Type) -> Result<Ident> {
    expr::dtype(ty)?;
    let name = ty.to_token_stream().to_string();
    let (first, rest) = name.split_at(1);
    Ok(Ident::new(&format!("{}{rest}", first.to_uppercase()), ty.span()))
}

const WHAT: &str = "parameters are `In<f32>`, `Out<f32>` (and the other element types), numbers (i32, u32, i64, u64, f32, f64), and \
                    `Tile` in functions that kernels call";
