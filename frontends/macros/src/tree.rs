//! `#[derive(Tree)]`.

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{Data, DeriveInput, Error, Field, Fields, Index, Member, Result};

/// The implementation, or what is wrong with the input.
pub(crate) fn derive(input: &DeriveInput) -> Result<TokenStream> {
    let data = match &input.data {
        Data::Struct(data) => data,
        Data::Enum(data) => {
            let why = "`Tree` can be derived for structs only: a walk must find the same tensors each time, and variants differ";
            return Err(Error::new(data.enum_token.span, why));
        }
        Data::Union(data) => return Err(Error::new(data.union_token.span, "`Tree` can be derived for structs only")),
    };
    let mut visits = Vec::new();
    let mut rebuilt = Vec::new();
    let mut generics = input.generics.clone();
    for (i, field) in data.fields.iter().enumerate() {
        let member = match &field.ident {
            Some(ident) => Member::Named(ident.clone()),
            None => Member::Unnamed(Index::from(i)),
        };
        let path = match &field.ident {
            Some(ident) => ident.to_string().trim_start_matches("r#").to_string(),
            None => i.to_string(),
        };
        let (visit, map) = walk(field, &member, &path)?;
        visits.push(visit);
        rebuilt.push(quote!(#member: #map));
    }
    // A generic parameter is taken to hold tensors.
    for param in generics.type_params_mut() {
        param.bounds.push(syn::parse_quote!(::girih::Tree));
    }
    let (generics, _, clause) = generics.split_for_impl();
    let (_, arguments, _) = input.generics.split_for_impl();
    let name = &input.ident;
    // A unit struct and `Self {}` are spelled alike.
    let build = match &data.fields {
        Fields::Unit => quote!(Self),
        _ => quote!(Self { #(#rebuilt,)* }),
    };
    Ok(quote! {
        #[automatically_derived]
        impl #generics ::girih::Tree for #name #arguments #clause {
            fn visit(&self, path: &mut ::girih::tree::Path, visitor: &mut dyn ::girih::tree::Visitor) {
                let _ = (&path, &visitor);
                #(#visits)*
            }
            fn map(
                &self,
                path: &mut ::girih::tree::Path,
                f: &mut dyn ::core::ops::FnMut(&::core::primitive::str, &::girih::Tensor) -> ::girih::Tensor,
            ) -> Self {
                let _ = (&path, &f);
                #build
            }
        }
    })
}

/// How one field is visited, and how it is rebuilt.
fn walk(field: &Field, member: &Member, path: &str) -> Result<(TokenStream, TokenStream)> {
    // The field's own span, so that "the trait `Tree` is not implemented" points at its type.
    let span = field.ty.span();
    if is_fixed(field)? {
        let visit = quote_spanned!(span=> path.field(#path, |path| visitor.fixed(path.as_str(), &self.#member)););
        return Ok((visit, quote_spanned!(span=> ::core::clone::Clone::clone(&self.#member))));
    }
    let ty = &field.ty;
    Ok((
        quote_spanned!(span=> path.field(#path, |path| <#ty as ::girih::Tree>::visit(&self.#member, path, visitor));),
        quote_spanned!(span=> path.field(#path, |path| <#ty as ::girih::Tree>::map(&self.#member, path, f))),
    ))
}

/// Whether a field is marked `#[tree(fixed)]`; any other word is an error.
fn is_fixed(field: &Field) -> Result<bool> {
    let mut fixed = false;
    for attribute in field.attrs.iter().filter(|a| a.path().is_ident("tree")) {
        attribute.parse_nested_meta(|meta| {
            if meta.path.is_ident("fixed") {
                fixed = true;
                return Ok(());
            }
            Err(meta.error("expected `#[tree(fixed)]`, for a field that holds no tensors"))
        })?;
    }
    Ok(fixed)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::derive;
    use syn::parse_quote;

    #[test]
    fn enums_unions_and_unknown_words_are_refused_with_the_reason() {
        let choice = parse_quote!(
            enum Choice {
                A(Tensor),
            }
        );
        assert!(derive(&choice).unwrap_err().to_string().contains("structs only"));
        let union = parse_quote!(
            union Bits {
                a: u32,
            }
        );
        assert!(derive(&union).unwrap_err().to_string().contains("structs only"));
        let typo = parse_quote!(
            struct S {
                #[tree(fix)]
                a: u32,
            }
        );
        assert!(derive(&typo).unwrap_err().to_string().contains("expected `#[tree(fixed)]`"));
    }

    #[test]
    fn fields_keep_their_order_and_raw_names_lose_their_mark() {
        let input = parse_quote!(
            struct S<T> {
                r#type: T,
                #[tree(fixed)]
                heads: usize,
            }
        );
        let code = derive(&input).unwrap().to_string();
        assert!(code.contains("impl < T : :: girih :: Tree >"), "{code}");
        assert!(code.find("\"type\"") < code.find("\"heads\""), "{code}");
        assert!(!code.contains("\"r#type\""), "{code}");
    }
}
