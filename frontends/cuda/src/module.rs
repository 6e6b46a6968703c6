//! The crate's interface: a file, its kernels, and their compilation.

use crate::ast::{Role, TemplateArg, TypeExpr};
use crate::lower::{self, Caps, Compiled, LaunchShape};
use crate::parse::{self, Program};
use crate::pp::{self, Resolver};
use girih_base::{Diag, Result};

/// Bytes of stack for parsing and lowering.
const STACK: usize = 256 << 20;

/// A parsed CUDA file.
pub struct Module {
    program: Program,
}

/// A kernel of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KernelInfo {
    /// Its name.
    pub name: String,
    /// Names of its template parameters, with `...` for packs.
    pub template: Vec<String>,
    /// Names of its parameters.
    pub params: Vec<String>,
    /// File and line.
    pub place: String,
}

impl Module {
    /// Preprocesses and parses a file. `resolve` finds included files; those of CUDA, C and C++ are built in.
    ///
    /// # Errors
    /// `U001` malformed directives or macros, `U006` expansions beyond the limits.
    pub fn parse(source: &str, file: &str, resolve: &Resolver<'_>) -> Result<Module> {
        Module::parse_with(source, file, &[], resolve)
    }

    /// The same with macros defined before the first line.
    ///
    /// # Errors
    /// As [`Module::parse`].
    pub fn parse_with(
        source: &str,
        file: &str,
        defines: &[(String, String)],
        resolve: &Resolver<'_>,
    ) -> Result<Module> {
        let unit = pp::preprocess(file, source, defines, resolve)?;
        Ok(Module { program: deep(|| parse::parse(unit))? })
    }

    /// The kernels in the file, in order.
    pub fn kernels(&self) -> Vec<KernelInfo> {
        let kernel = |f: &&crate::ast::Function| f.role == Role::Kernel && !f.body.is_empty();
        let info = |f: &crate::ast::Function| KernelInfo {
            name: f.name.to_string(),
            template: f.template.iter().map(|t| format!("{}{}", t.name, if t.pack { "..." } else { "" })).collect(),
            params: f.params.iter().map(|p| p.name.to_string()).collect(),
            place: self.program.sources.loc(f.at).to_string(),
        };
        self.program.functions.iter().filter(kernel).map(info).collect()
    }

    /// Items at file scope that were skipped, with the reason: host code, and what the parser does not know.
    pub fn skipped(&self) -> impl Iterator<Item = &Diag> {
        self.program.skipped.iter().map(|(_, d)| &**d)
    }

    /// Compiles a kernel, named with its template arguments where it has any: `scale<float, 4>`.
    ///
    /// # Errors
    /// `U002` syntax, `U003` an unknown name, `U004` types that do not fit, `U005` a construct without a portable form, `U006` limits,
    /// `U007` a launch that does not fit the kernel, `U008` a barrier that only some threads reach, `U009` a pointer that cannot be
    /// followed, `U010` a type the target does not have.
    pub fn compile(&self, kernel: &str, shape: &LaunchShape, caps: Caps) -> Result<Compiled> {
        let (name, args) = match kernel.split_once('<') {
            Some((name, _)) => (name.trim(), deep(|| parse::arguments(&kernel[name.len()..], &self.program))??),
            None => (kernel.trim(), Vec::new()),
        };
        let wrong = |what: String| Diag::error("U007", what);
        let threads: u64 = shape.block.iter().map(|n| *n as u64).product();
        if !(1..=1024).contains(&threads) {
            return Err(wrong(format!("a block of {:?} threads", shape.block)).help("blocks have 1 to 1024 threads"));
        }
        if !(1..=3).contains(&shape.grid_axes) {
            return Err(wrong(format!("a grid of {} axes", shape.grid_axes)));
        }
        let named = |i: &usize| {
            let f = &self.program.functions[*i];
            &*f.name == name && f.role == Role::Kernel && !f.body.is_empty()
        };
        let mut found: Vec<usize> = (0..self.program.functions.len()).filter(named).collect();
        // A specialisation for exactly these arguments comes first.
        if let Some(i) = found
            .iter()
            .position(|i| self.program.functions[*i].special.as_ref().is_some_and(|s| same_arguments(s, &args)))
        {
            found.swap(0, i);
        } else {
            found.retain(|i| self.program.functions[*i].special.is_none());
        }
        let fits = |i: &&usize| self.program.functions[**i].template.len() >= args.len();
        let Some(function) = found.iter().find(fits).copied() else {
            if let Some(f) = found.first() {
                let n = self.program.functions[*f].template.len();
                return Err(wrong(format!("kernel `{name}` takes {n} template arguments, got {}", args.len())));
            }
            let list: Vec<String> = self.kernels().into_iter().map(|k| k.name).collect();
            let mut d = wrong(format!("there is no kernel `{name}`")).note(format!("kernels: {}", list.join(", ")));
            if let Some((_, why)) = self.program.skipped.iter().find(|(names, _)| names.iter().any(|n| &**n == name)) {
                d = d.note(format!("an item that names it did not parse: {why}"));
            }
            return Err(d);
        };
        let special = self.program.functions[function].special.is_some();
        deep(|| lower::lower(&self.program, function, if special { &[] } else { &args }, *shape, caps))?
    }

    /// The bytes of a `__constant__` or `__device__` variable before the first launch; `None` where there is no such variable.
    ///
    /// # Errors
    /// As [`Module::compile`], for its type and initial value.
    pub fn initial(&self, variable: &str, caps: Caps) -> Result<Option<Vec<u8>>> {
        deep(|| lower::initial(&self.program, variable, caps))?
    }
}

/// Runs on a stack that holds the deepest nesting the parser lets through, whatever thread the caller has.
fn deep<T: Send>(f: impl FnOnce() -> T + Send) -> Result<T> {
    std::thread::scope(|scope| {
        let none = || Diag::error("U006", "there is no room for the translator's stack");
        let thread = std::thread::Builder::new().stack_size(STACK).spawn_scoped(scope, f).map_err(|_| none())?;
        thread.join().map_err(|_| {
            Diag::error("U011", "the translator failed on this program")
                .help("this is a fault of the compiler: please report it with the kernel's source")
        })
    })
}

fn same_arguments(a: &[TemplateArg], b: &[TemplateArg]) -> bool {
    a.len() == b.len()
        && a.iter().zip(b).all(|(x, y)| match (x, y) {
            (TemplateArg::Type(TypeExpr::Scalar(x)), TemplateArg::Type(TypeExpr::Scalar(y))) => x == y,
            (TemplateArg::Type(TypeExpr::Named(x)), TemplateArg::Type(TypeExpr::Named(y))) => {
                x.last().id == y.last().id
            }
            (TemplateArg::Value(x), TemplateArg::Value(y)) => format!("{:?}", x.kind) == format!("{:?}", y.kind),
            _ => false,
        })
}
