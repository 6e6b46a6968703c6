//! The crate's interface: a file, its kernels, and their compilation.

use crate::lower::{self, Caps, Compiled, LaunchShape};
use crate::parse::{self, Program};
use crate::pp::{self, Resolver};
use girih_base::{Diag, Result};

/// Bytes of stack for parsing and lowering.
const STACK: usize = 256 << 20;

/// A parsed CUDA file.
pub struct Module {
    pub(crate) program: Program,
}

/// A kernel of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KernelInfo {
    /// Its name.
    pub name: String,
    /// What it is asked for by: its name, with the types of its parameters where several kernels have that name.
    pub handle: String,
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

    /// Items at file scope that were skipped, with the reason: host code, and what the parser does not know.
    pub fn skipped(&self) -> impl Iterator<Item = &Diag> {
        self.program.skipped.iter().map(|(_, d)| &**d)
    }

    /// Compiles a kernel, named with its template arguments where it has any, `scale<float, 4>`, and with the types of its parameters
    /// where several have one name, `scale(float*, int)`.
    ///
    /// # Errors
    /// `U002` syntax, `U003` an unknown name, `U004` types that do not fit, `U005` a construct without a portable form, `U006` limits,
    /// `U007` a launch that does not fit the kernel, a name of no kernel or of several, `U008` a barrier that only some threads reach, `U009` a pointer that cannot be
    /// followed, `U010` a type the target does not have.
    pub fn compile(&self, kernel: &str, shape: &LaunchShape, caps: Caps) -> Result<Compiled> {
        let wrong = |what: String| Diag::error("U007", what);
        let threads: u64 = shape.block.iter().map(|n| *n as u64).product();
        if !(1..=1024).contains(&threads) {
            return Err(wrong(format!("a block of {:?} threads", shape.block)).help("blocks have 1 to 1024 threads"));
        }
        if !(1..=3).contains(&shape.grid_axes) {
            return Err(wrong(format!("a grid of {} axes", shape.grid_axes)));
        }
        let (function, args) = self.find(kernel)?;
        deep(|| lower::lower(&self.program, function, &args, *shape, caps))?
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
pub(crate) fn deep<T: Send>(f: impl FnOnce() -> T + Send) -> Result<T> {
    std::thread::scope(|scope| {
        let none = || Diag::error("U006", "there is no room for the translator's stack");
        let thread = std::thread::Builder::new().stack_size(STACK).spawn_scoped(scope, f).map_err(|_| none())?;
        thread.join().map_err(|_| {
            Diag::error("U011", "the translator failed on this program")
                .help("this is a fault of the compiler: please report it with the kernel's source")
        })
    })
}
