//! What names mean: variables, the file's top level, imports, Python's own functions.

use super::Eval;
use crate::builtins;
use crate::globals::Global;
use crate::module::Source;
use crate::value::Value;
use girih_base::Result;
use std::sync::Arc;

/// Python's functions that kernels use at compile time.
const PYTHON: &[&str] = &[
    "range",
    "len",
    "min",
    "max",
    "abs",
    "int",
    "float",
    "bool",
    "isinstance",
    "print",
    "tuple",
    "list",
    "str",
    "enumerate",
    "zip",
    "dict",
    "hasattr",
    "getattr",
    "reversed",
];

/// Functions of the module `triton` that are computed at compile time.
const HOST: &[&str] = &["Config", "next_power_of_2"];

impl Eval<'_> {
    /// The value of a name.
    pub fn name(&mut self, name: &str) -> Result<Value> {
        let frame = self.frame();
        if let Some(v) = frame.vars.get(name) {
            return Ok(v.clone());
        }
        let source = frame.source.clone();
        if let Some(v) = self.global(&source, name)? {
            return Ok(v);
        }
        if let Some(known) = PYTHON.iter().find(|p| **p == name) {
            return Ok(Value::Python(known));
        }
        Err(self.undefined(name))
    }

    /// The error for a name without a value: with who has one under some conditions, or under a name like it.
    fn undefined(&mut self, name: &str) -> Box<girih_base::Diag> {
        let e = self.error("K003", format!("`{name}` is not defined"), "not found");
        let frame = self.frame();
        let (site, source) = (frame.site.clone(), frame.source.clone());
        let own = frame.vars.keys().cloned().collect::<Vec<_>>();
        if let Some((.., place)) = self.partial.iter().rev().find(|(s, n, _)| *s == site && n == name) {
            return e
                .note(format!("{place}: only this statement gives it a value, and it may not run"))
                .help("give it a value of the same type before");
        }
        if builtins::find(name).is_some() {
            return e.help(format!("did you mean `tl.{name}`?"));
        }
        let known = own.iter().map(String::as_str).chain(source.globals.names());
        match builtins::nearest_of(name, known) {
            Some(near) => e.help(format!("did you mean `{near}`?")),
            None => {
                e.help("a kernel knows its parameters, what it assigned before, and the names of its file's top level")
            }
        }
    }

    /// The value of a name of a file's top level.
    pub fn global(&mut self, source: &Arc<Source>, name: &str) -> Result<Option<Value>> {
        let key = (source.file.clone(), name.to_string());
        if let Some(v) = self.globals.get(&key) {
            return Ok(Some(v.clone()));
        }
        let value = match source.globals.get(name) {
            None => return Ok(None),
            Some(Global::Function(f)) => Value::Function(f.clone()),
            Some(Global::Module(m)) => Value::Module(m.as_str().into()),
            Some(Global::From(module, item)) => self.imported(source, module, item)?,
            Some(Global::Undecided(at)) => {
                let place = source.loc(*at, &girih_base::Loc::unknown());
                return Err(self
                    .error("K003", format!("what `{name}` is, only running the file can tell"), "used here")
                    .note(format!("{place}: bound under a condition, in a loop, more than once, or changed in place"))
                    .help("bind it once at the top of the file, or make it a `tl.constexpr` parameter"));
            }
            Some(Global::Value(e)) => {
                // Evaluated as at import: without the kernel's variables.
                let here = self.here;
                let site = girih_base::Loc::unknown();
                let frame = super::Frame { source: source.clone(), vars: Default::default(), site };
                self.frames.push(frame);
                let value = self.expr(e);
                self.frames.pop();
                self.here = here;
                match value {
                    Ok(v) => v,
                    // A value that only the host program can compute is an error where a kernel uses it.
                    Err(_) => Value::Foreign(name.into()),
                }
            }
        };
        self.globals.insert(key, value.clone());
        Ok(Some(value))
    }

    /// `from module import item`.
    fn imported(&mut self, source: &Arc<Source>, module: &str, item: &str) -> Result<Value> {
        if let Some(found) = self.library_module(source, module) {
            let other = found?;
            if let Some(v) = self.global(&other, item)? {
                return Ok(v);
            }
        }
        let whole = if module.is_empty() { item.to_string() } else { format!("{module}.{item}") };
        if is_language(module) {
            return Ok(self.member(module, item));
        }
        if module.ends_with('.') || module.is_empty() {
            // `from . import helper`
            if let Some(found) = self.library_module(source, &format!("{module}{item}")) {
                found?;
                return Ok(Value::Module(format!("{module}{item}").as_str().into()));
            }
        }
        Ok(Value::Foreign(whole.as_str().into()))
    }

    fn library_module(&mut self, source: &Arc<Source>, module: &str) -> Option<Result<Arc<Source>>> {
        if is_language(module) {
            return None;
        }
        let library = self.module.library.clone();
        library.module(module, &source.file)
    }

    /// A name of one of Triton's modules.
    fn member(&self, module: &str, item: &str) -> Value {
        let whole = format!("{module}.{item}");
        if matches!(&*whole, "triton.language" | "triton.language.math" | "triton.language.extra" | "triton.runtime")
            || item == "libdevice"
            || (module.contains("extra") && matches!(item, "cuda" | "hip" | "intel"))
        {
            return Value::Module(whole.as_str().into());
        }
        if module.ends_with("PropagateNan") {
            return Value::str(item);
        }
        if item == "PropagateNan" {
            return Value::Module(whole.as_str().into());
        }
        if let Some(dtype) = builtins::dtype(item) {
            return Value::Type(dtype);
        }
        if let Some(known) = HOST.iter().find(|h| **h == item) {
            return Value::Python(known);
        }
        match builtins::find(item) {
            Some(row) => Value::Builtin(row),
            None => Value::Foreign(whole.as_str().into()),
        }
    }

    /// `value.name` on a module.
    pub fn module_attribute(&mut self, module: &str, name: &str) -> Result<Value> {
        if is_language(module) {
            let v = self.member(module, name);
            if let (Value::Foreign(_), true) = (&v, module.starts_with("triton.language")) {
                return Err(self.unknown_builtin(name));
            }
            return Ok(v);
        }
        let source = self.frame().source.clone();
        if let Some(found) = self.library_module(&source, module) {
            let other = found?;
            if let Some(v) = self.global(&other, name)? {
                return Ok(v);
            }
        }
        if module == "math" {
            let constant = match name {
                "pi" => Some(std::f64::consts::PI),
                "e" => Some(std::f64::consts::E),
                "inf" => Some(f64::INFINITY),
                "nan" => Some(f64::NAN),
                _ => None,
            };
            if let Some(v) = constant {
                return Ok(Value::Float(v));
            }
        }
        Ok(Value::Foreign(format!("{module}.{name}").as_str().into()))
    }

    /// The error for a value that only the host program has.
    pub fn foreign(&self, name: &str) -> Box<girih_base::Diag> {
        self.error("K003", format!("`{name}` is not known here"), "used here")
            .help("pass it as a `tl.constexpr` argument, or bind it to a constant at the top of the file")
    }

    fn unknown_builtin(&self, name: &str) -> Box<girih_base::Diag> {
        let e = self.error("K003", format!("`tl.{name}` is not a name of the language"), "not found");
        match builtins::nearest(name) {
            Some(near) => e.help(format!("did you mean `tl.{near}`?")),
            None => e.help("docs/triton.md lists all names"),
        }
    }
}

/// Whether a dotted name is Triton's.
fn is_language(module: &str) -> bool {
    module == "triton" || module.starts_with("triton.")
}
