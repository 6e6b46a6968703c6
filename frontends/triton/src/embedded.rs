//! Kernels that another language's front end wrote in Triton's: Rust's `#[kernel]`.

use crate::Module;
use crate::module::{Library, Source};
use girih_base::Result;
use std::sync::Arc;

/// A function translated to Triton's language, with the functions that it calls.
#[derive(Clone, Copy, Debug)]
pub struct Embedded<'a> {
    /// Name of the function.
    pub name: &'a str,
    /// The file it was written in.
    pub file: &'a str,
    /// The translation: the definition of one `@triton.jit` function.
    pub text: &'a str,
    /// Byte offsets in the text, rising, each with the line and column of the file (from 1) that it comes from.
    pub places: &'a [(u32, u32, u32)],
}

impl Module {
    /// A module of one translated function; errors point to the places it was translated from.
    ///
    /// # Errors
    /// `K001` when the translation is not Python.
    pub fn embedded(function: Embedded<'_>, helpers: &[Embedded<'_>]) -> Result<Module> {
        let library = Library::default();
        let mut imports = String::from("import triton\nimport triton.language as tl\n");
        for h in helpers {
            imports += &format!("from {} import {}\n", module_name(h), h.name);
        }
        let all = [&function].into_iter().chain(helpers);
        let parse = |e: &Embedded<'_>| -> Result<Arc<Source>> {
            let shift = |(at, line, column): &(u32, u32, u32)| (at + imports.len() as u32, *line, *column);
            let places: Vec<_> = e.places.iter().map(shift).collect();
            Ok(Arc::new(Source::translated(&format!("{imports}{}\n", e.text), &module_name(e), e.file, &places)?))
        };
        let sources = all.map(parse).collect::<Result<Vec<_>>>()?;
        for (h, source) in helpers.iter().zip(&sources[1..]) {
            for from in &sources {
                library.insert(&module_name(h), &from.file, source.clone());
            }
        }
        Ok(Module { source: sources[0].clone(), library: Arc::new(library) })
    }
}

/// A name for the helper's module, in case two files have functions of one name.
fn module_name(e: &Embedded<'_>) -> String {
    let line = e.places.first().map_or(0, |p| p.1);
    let file: String = e.file.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
    format!("rust_{file}_{line}_{}", e.name)
}
