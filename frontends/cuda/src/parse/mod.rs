//! From tokens to the syntax tree. C++ cannot be parsed without knowing which names are types and templates, so declarations
//! enter their names as they are read; bodies of device functions are parsed when all of the file is known.
//!
//! Host code is skipped: an item at file scope that does not parse is remembered with its reason, and reported only when a
//! kernel needs it.

mod expr;
mod item;
pub mod number;
mod stmt;
mod structs;
mod types;

use crate::ast::*;
use crate::pp::Unit;
use crate::source::{At, Kind, Sources, Token};
use girih_base::{Diag, Result};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// A parsed program.
#[derive(Default)]
pub struct Program {
    /// Files and positions.
    pub sources: Sources,
    /// Functions, methods included.
    pub functions: Vec<Function>,
    /// Structs.
    pub structs: Vec<Struct>,
    /// `typedef` and `using` at file scope.
    pub aliases: BTreeMap<Arc<str>, (Vec<TemplateParam>, TypeExpr)>,
    /// Variables at file scope.
    pub globals: Vec<Var>,
    /// Templates of variables.
    pub variable_templates: BTreeMap<Arc<str>, Vec<TemplateParam>>,
    /// Enums.
    pub enums: Vec<Enumeration>,
    /// Names of pointers to and arrays of `volatile` memory that may be shared by a block.
    pub volatile: BTreeSet<Arc<str>>,
    /// Names of types and of templates.
    pub names: Names,
    /// Items that did not parse: names in them, and why.
    pub skipped: Vec<(Vec<Arc<str>>, Box<Diag>)>,
    /// Included files that were not found.
    pub missing: Vec<Arc<str>>,
}

/// What the grammar needs to know of names.
#[derive(Default)]
pub struct Names {
    types: BTreeSet<Arc<str>>,
    templates: BTreeSet<Arc<str>>,
    members: BTreeSet<Arc<str>>,
}

/// Built-in classes.
const CLASSES: &[&str] = &[
    "thread_block",
    "thread_block_tile",
    "coalesced_group",
    "grid_group",
    "thread_group",
    "fragment",
    "matrix_a",
    "matrix_b",
    "accumulator",
    "row_major",
    "col_major",
    "plus",
    "less",
    "greater",
    "bit_and",
    "bit_or",
    "bit_xor",
    "multiplies",
    "cudaStream_t",
    "cudaTextureObject_t",
    "cudaSurfaceObject_t",
    "cudaError_t",
    "curandState",
    "curandState_t",
    "curandStatePhilox4_32_10_t",
    "curandStateMRG32k3a",
    "texture",
    "surface",
    "integral_constant",
    "conditional_t",
    "enable_if_t",
    "conditional",
    "enable_if",
    "is_same",
    "numeric_limits",
    "pair",
    "multi_grid_group",
    "cluster_group",
    "barrier",
    "pipeline",
    "remove_reference_t",
    "remove_cv_t",
    "remove_const_t",
    "decay_t",
    "remove_reference",
    "remove_cv",
    "remove_const",
    "decay",
    "bool_constant",
    "is_floating_point",
    "is_integral",
    "is_arithmetic",
    "is_signed",
    "is_unsigned",
    "is_pointer",
    "is_void",
    "is_class",
    "va_list",
    "FILE",
    "clock_t",
    "nullptr_t",
    "true_type",
    "false_type",
    "layout_t",
    "tf32",
];

/// Built-in templates that are not classes.
const TEMPLATES: &[&str] = &[
    "tiled_partition",
    "reduce",
    "inclusive_scan",
    "exclusive_scan",
    "is_same_v",
    "is_floating_point_v",
    "is_integral_v",
    "is_signed_v",
    "is_unsigned_v",
    "is_arithmetic_v",
    "is_void_v",
    "is_class_v",
    "max",
    "min",
    "swap",
    "move",
    "forward",
    "bit_cast",
    "memcpy_async",
    "wait_prior",
    "is_pointer_v",
    "declval",
];

/// Deepest nesting of expressions, statements and types.
const MOST_DEPTH: u32 = 200;

pub(crate) struct Parser<'p> {
    program: &'p mut Program,
    tokens: Arc<Vec<Token>>,
    at: usize,
    end: usize,
    /// Type names of enclosing templates and blocks; with `!` before them, names of variables that hide types.
    scopes: Vec<BTreeSet<Arc<str>>>,
    depth: u32,
    /// Inside template arguments `>` ends them.
    angle: bool,
    member_of: Option<usize>,
}

/// Parses a preprocessed program.
///
/// # Errors
/// `U002` in the body of a device function is kept with that function; nothing else fails here.
pub fn parse(unit: Unit) -> Program {
    let tokens = Arc::new(unit.tokens);
    let mut program = Program { sources: unit.sources, missing: unit.missing, ..Program::default() };
    let end = tokens.len();
    let mut parser = Parser {
        program: &mut program,
        tokens,
        at: 0,
        end,
        scopes: Vec::new(),
        depth: 0,
        angle: false,
        member_of: None,
    };
    parser.items();
    parser.bodies();
    program
}

impl Parser<'_> {
    fn token(&self, ahead: usize) -> Option<&Token> {
        let i = self.at + ahead;
        if i < self.end { self.tokens.get(i) } else { None }
    }

    fn here(&self) -> At {
        self.token(0).or(self.tokens.get(self.at.saturating_sub(1))).map_or(At(u32::MAX), |t| t.at)
    }

    fn is(&self, text: &str) -> bool {
        self.token(0).is_some_and(|t| t.is(text))
    }

    fn ahead(&self, n: usize, text: &str) -> bool {
        self.token(n).is_some_and(|t| t.is(text))
    }

    fn eat(&mut self, text: &str) -> bool {
        let yes = self.is(text);
        self.at += yes as usize;
        yes
    }

    fn expect(&mut self, text: &str) -> Result<()> {
        if self.eat(text) { Ok(()) } else { Err(self.unexpected(&format!("expected `{text}`"))) }
    }

    fn unexpected(&self, what: &str) -> Box<Diag> {
        let found = self.token(0).map_or("the end".to_string(), |t| format!("`{}`", t.text));
        self.program.sources.error("U002", self.here(), format!("{what}, found {found}"), "here")
    }

    fn name(&mut self) -> Result<Arc<str>> {
        match self.token(0) {
            Some(t) if t.kind == Kind::Name => {
                let text = t.text.clone();
                self.at += 1;
                Ok(text)
            }
            _ => Err(self.unexpected("expected a name")),
        }
    }

    fn is_name(&self, ahead: usize) -> bool {
        self.token(ahead).is_some_and(|t| t.kind == Kind::Name)
    }

    /// Runs a part of the grammar one level deeper.
    fn deeper<T>(&mut self, f: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        if self.depth >= MOST_DEPTH {
            let diag = self.program.sources.error("U006", self.here(), "this is nested too deep", "here");
            return Err(diag);
        }
        self.depth += 1;
        let done = f(self);
        self.depth -= 1;
        done
    }

    /// Tries a part of the grammar; on failure nothing is consumed.
    fn attempt<T>(&mut self, f: impl FnOnce(&mut Self) -> Result<T>) -> Option<T> {
        let (at, depth, angle, scopes) = (self.at, self.depth, self.angle, self.scopes.len());
        match f(self) {
            Ok(v) => Some(v),
            Err(_) => {
                (self.at, self.depth, self.angle) = (at, depth, angle);
                self.scopes.truncate(scopes);
                None
            }
        }
    }

    /// Skips from an opening bracket past its partner.
    fn skip_group(&mut self) -> Result<()> {
        let mut depth = 0usize;
        let from = self.here();
        while let Some(t) = self.token(0) {
            if matches!(&*t.text, "(" | "[" | "{") && t.kind == Kind::Punct {
                depth += 1;
            } else if matches!(&*t.text, ")" | "]" | "}") && t.kind == Kind::Punct {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    self.at += 1;
                    return Ok(());
                }
            }
            self.at += 1;
        }
        Err(self.program.sources.error("U002", from, "this bracket is not closed", "opened here"))
    }

    fn is_type(&self, id: &str) -> bool {
        let hidden = format!("!{id}");
        for s in self.scopes.iter().rev() {
            if s.contains(id) {
                return true;
            }
            if s.contains(&*hidden) {
                return false;
            }
        }
        self.program.names.types.contains(id)
            || crate::types::named_scalar(id).is_some()
            || crate::types::vector(id).is_some()
            || CLASSES.contains(&id)
    }

    fn is_template(&self, id: &str) -> bool {
        self.program.names.templates.contains(id)
            || TEMPLATES.contains(&id)
            || CLASSES.contains(&id)
            || crate::lower::is_texture_function(id)
    }

    /// A variable of a block hides a type of its name, such as `half`.
    fn hide_type(&mut self, id: &str) {
        if self.is_type(id)
            && let Some(scope) = self.scopes.last_mut()
        {
            scope.remove(id);
            scope.insert(format!("!{id}").into());
        }
    }

    fn declare_type(&mut self, id: &Arc<str>) {
        match self.scopes.last_mut() {
            Some(scope) => scope.insert(id.clone()),
            None => self.program.names.types.insert(id.clone()),
        };
    }
}

/// Template arguments given by a launch: `<float, 4>`.
///
/// # Errors
/// `U007` where they do not parse.
pub fn arguments(text: &str, program: &Program) -> Result<Vec<TemplateArg>> {
    let wrong = || Diag::error("U007", format!("`{text}` are no template arguments"));
    let mut scratch = Program {
        names: Names {
            types: program.names.types.clone(),
            templates: program.names.templates.clone(),
            members: BTreeSet::new(),
        },
        ..Program::default()
    };
    let tokens = crate::lex::lex(&mut scratch.sources, "<launch>", text)?;
    let end = tokens.len();
    let mut parser = Parser {
        program: &mut scratch,
        tokens: Arc::new(tokens),
        at: 0,
        end,
        scopes: Vec::new(),
        depth: 0,
        angle: false,
        member_of: None,
    };
    let args = parser.template_args().map_err(|d| wrong().note(d.message.clone()))?;
    if parser.at != end { Err(wrong()) } else { Ok(args) }
}
