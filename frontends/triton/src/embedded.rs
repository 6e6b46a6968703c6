//! Kernels that another language's front end wrote in Triton's: Rust's `#[kernel]`.

use crate::Module;
use crate::module::{Library, Source};
use girih_base::{Diag, Result};
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
    /// `K001` when the translation is not Python, `K002` when two of the functions have one name.
    pub fn embedded(function: Embedded<'_>, helpers: &[Embedded<'_>]) -> Result<Module> {
        // Calls name functions by their last word.
        let all = || [&function].into_iter().chain(helpers);
        for (i, h) in all().enumerate() {
            if let Some(other) = all().skip(i + 1).find(|o| o.name == h.name && module_name(o) != module_name(h)) {
                let why = format!("`{}` calls two functions named `{}`", function.name, h.name);
                return Err(Diag::error("K002", why)
                    .note(format!("{} and {}", place(h), place(other)))
                    .help("rename one of them: a kernel knows functions by the last word of their path"));
            }
        }
        let library = Library::default();
        let mut imports = String::from("import triton\nimport triton.language as tl\n");
        for h in helpers {
            imports += &format!("from {} import {}\n", module_name(h), h.name);
        }
        let parse = |e: &Embedded<'_>| -> Result<Arc<Source>> {
            let shift = |(at, line, column): &(u32, u32, u32)| (at + imports.len() as u32, *line, *column);
            let places: Vec<_> = e.places.iter().map(shift).collect();
            Ok(Arc::new(Source::translated(&format!("{imports}{}\n", e.text), &module_name(e), e.file, &places)?))
        };
        let sources = all().map(parse).collect::<Result<Vec<_>>>()?;
        for (h, source) in helpers.iter().zip(&sources[1..]) {
            for from in &sources {
                library.insert(&module_name(h), &from.file, source.clone());
            }
        }
        Ok(Module { source: sources[0].clone(), library: Arc::new(library) })
    }
}

fn place(e: &Embedded<'_>) -> String {
    format!("{}:{}", e.file, e.places.first().map_or(0, |p| p.1))
}

/// A name for the helper's module, in case two files have functions of one name.
fn module_name(e: &Embedded<'_>) -> String {
    let line = e.places.first().map_or(0, |p| p.1);
    let file: String = e.file.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
    format!("rust_{file}_{line}_{}", e.name)
}
