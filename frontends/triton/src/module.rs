//! Source files: parsing, what their top level defines, positions, and excerpts in errors.

use crate::globals::{Function, Global, Globals};
use crate::signature::Signature;
use crate::{Kernel, eval};
use girih_base::{Diag, Loc, Result};
use ruff_text_size::TextRange;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

/// Finds the source of an imported module: dotted name as written (with leading dots) and the importing file; gives file name and text.
pub type Resolver = dyn Fn(&str, &str) -> Option<(String, String)> + Send + Sync;

/// A parsed Python file with kernels.
#[derive(Clone)]
pub struct Module {
    pub(crate) source: Arc<Source>,
    pub(crate) library: Arc<Library>,
}

/// What was found for a module's name and the file that imports it.
type Loaded = BTreeMap<(String, String), Option<Arc<Source>>>;

/// Modules that files import.
#[derive(Default)]
pub(crate) struct Library {
    resolver: Option<Box<Resolver>>,
    loaded: Mutex<Loaded>,
}

/// One file.
pub(crate) struct Source {
    pub file: Arc<str>,
    pub text: String,
    lines: Vec<usize>,
    pub globals: Globals,
    /// The file as errors name it: where the text was translated from, if it was.
    shown: Arc<str>,
    /// Where the parts of a translated text come from: byte offset, line, column.
    places: Vec<(u32, u32, u32)>,
}

impl Module {
    /// Parses a file.
    ///
    /// # Errors
    /// `K001` what is not Python, with the position.
    pub fn parse(source: &str, file_name: &str) -> Result<Module> {
        Ok(Module { source: Arc::new(Source::parse(source, file_name)?), library: Arc::default() })
    }

    /// Parses a file whose imports of helper functions are found by `resolver`.
    ///
    /// # Errors
    /// As [`Module::parse`]; imported files are parsed when a name of theirs is used.
    pub fn with_resolver(source: &str, file_name: &str, resolver: Box<Resolver>) -> Result<Module> {
        let library = Library { resolver: Some(resolver), loaded: Mutex::default() };
        Ok(Module { source: Arc::new(Source::parse(source, file_name)?), library: Arc::new(library) })
    }

    /// The names of the file's `@triton.jit` functions, in order.
    pub fn kernels(&self) -> &[String] {
        &self.source.globals.kernels
    }

    /// The parameters of a kernel, in order.
    ///
    /// # Errors
    /// `K003` no such kernel.
    pub fn parameters(&self, kernel: &str) -> Result<Vec<Parameter>> {
        let function = self.function(kernel)?;
        Ok(crate::signature::parameters(&function))
    }

    /// Compiles a kernel for one set of argument types and constants.
    ///
    /// # Errors
    /// `K0xx` with file, line, column and the chain of calls; see docs/errors.md.
    pub fn compile(&self, kernel: &str, signature: &Signature) -> Result<Kernel> {
        let function = self.function(kernel)?;
        eval::compile(self, &function, signature)
    }

    /// The values that the first configuration of `@triton.autotune` and `@triton.heuristics` give to constants, by name.
    ///
    /// # Errors
    /// `K003` no such kernel, and what evaluating the decorators finds.
    pub fn defaults(&self, kernel: &str, signature: &Signature) -> Result<BTreeMap<String, crate::Constant>> {
        self.defaults_at(kernel, signature, &BTreeMap::new())
    }

    /// The same where arguments have these values, which heuristics may look at.
    ///
    /// # Errors
    /// As [`Module::defaults`].
    pub fn defaults_at(
        &self,
        kernel: &str,
        signature: &Signature,
        values: &BTreeMap<String, crate::Constant>,
    ) -> Result<BTreeMap<String, crate::Constant>> {
        let function = self.function(kernel)?;
        eval::decorators(self, &function, signature, values)
    }

    fn function(&self, name: &str) -> Result<Arc<Function>> {
        match self.source.globals.get(name) {
            Some(Global::Function(f)) if f.jit => Ok(f.clone()),
            _ => {
                let list = self.source.globals.kernels.join(", ");
                Err(Diag::error("K003", format!("`{}` has no kernel `{name}`", self.source.file)).note(
                    if list.is_empty() { "it has no `@triton.jit` function".into() } else { format!("it has {list}") },
                ))
            }
        }
    }
}

pub use crate::signature::Parameter;

impl Library {
    /// The module of that dotted name, as imported by `from`.
    pub fn module(&self, name: &str, from: &str) -> Option<Result<Arc<Source>>> {
        let mut loaded = self.loaded.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let key = (name.to_string(), from.to_string());
        if let Some(known) = loaded.get(&key) {
            return known.clone().map(Ok);
        }
        let resolver = self.resolver.as_ref()?;
        let found = resolver(name, from);
        let source = match found.map(|(file, text)| Source::parse(&text, &file)) {
            Some(Err(e)) => return Some(Err(e)),
            Some(Ok(source)) => Some(Arc::new(source)),
            None => None,
        };
        loaded.insert(key, source.clone());
        source.map(Ok)
    }

    /// Makes `from name import ..` in the file `from` find a module.
    pub fn insert(&self, name: &str, from: &str, source: Arc<Source>) {
        let mut loaded = self.loaded.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        loaded.insert((name.into(), from.into()), Some(source));
    }

    /// A loaded file.
    pub fn by_file(&self, file: &str) -> Option<Arc<Source>> {
        let loaded = self.loaded.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        loaded.values().flatten().find(|s| *s.file == *file).cloned()
    }
}

impl Source {
    fn parse(text: &str, file: &str) -> Result<Source> {
        Source::translated(text, file, file, &[])
    }

    /// Parses text whose parts come from `places` of the file that errors show.
    pub fn translated(text: &str, file: &str, shown: &str, places: &[(u32, u32, u32)]) -> Result<Source> {
        let mut source = Source {
            file: file.into(),
            text: text.into(),
            lines: std::iter::once(0).chain(text.match_indices('\n').map(|(i, _)| i + 1)).collect(),
            globals: Globals::default(),
            shown: shown.into(),
            places: places.to_vec(),
        };
        let parsed = ruff_python_parser::parse_module(text).map_err(|e| {
            source.diag(e.location, &Loc::unknown(), "K001", format!("not Python: {}", e.error), "here")
        })?;
        source.globals = Globals::of(&parsed.into_syntax().body, &source.file, text);
        Ok(source)
    }

    /// Line and column, from 1; columns count characters.
    fn position(&self, at: usize) -> (u32, u32) {
        let next = self.places.partition_point(|(offset, ..)| *offset as usize <= at);
        if let Some((_, line, column)) = next.checked_sub(1).and_then(|i| self.places.get(i)) {
            return (*line, *column);
        }
        let line = self.lines.partition_point(|l| *l <= at).max(1) - 1;
        let start = self.lines.get(line).copied().unwrap_or(0);
        let column = self.text.get(start..at).map_or(0, |t| t.chars().count());
        (line as u32 + 1, column as u32 + 1)
    }

    /// Where a piece of source is, reached through calls at `site`.
    pub fn loc(&self, span: TextRange, site: &Loc) -> Loc {
        let (line, column) = self.position(span.start().to_usize());
        let here = Loc::new(self.shown.clone(), line, column);
        if site.is_known() { here.inlined_at(site) } else { here }
    }

    /// An error at a piece of source, with the line and a caret under it.
    pub fn diag(
        &self,
        span: TextRange,
        site: &Loc,
        code: &'static str,
        message: impl Into<String>,
        label: &str,
    ) -> Box<Diag> {
        if !self.places.is_empty() {
            // The line is in another file and another language.
            return Diag::error(code, message).at(&self.loc(span, site), label);
        }
        let (line, column) = self.position(span.start().to_usize());
        let start = self.lines.get(line as usize - 1).copied().unwrap_or(0);
        let whole = self.text.get(start..).unwrap_or_default().lines().next().unwrap_or_default();
        let inside = self.text.get(span.start().to_usize()..span.end().to_usize()).unwrap_or_default();
        let width = inside.lines().next().map_or(1, |t| t.trim_end().chars().count()).max(1);
        let indent = whole.chars().take_while(|c| c.is_whitespace()).count().min(column as usize - 1);
        let shown: String = whole.chars().skip(indent).collect();
        let gutter = line.to_string().len();
        let pad = " ".repeat(gutter);
        let caret = format!("{}{}", " ".repeat(column as usize - 1 - indent), "^".repeat(width));
        let text = format!("{label}\n {pad} |\n {line} | {}\n {pad} | {caret}", shown.trim_end());
        Diag::error(code, message).at(&self.loc(span, site), text)
    }
}
