//! What the top level of a file binds names to, as far as that can be told without running the file.

use ruff_python_ast::{ExceptHandler, Expr, Stmt, StmtFunctionDef, StmtIf};
use ruff_text_size::{Ranged, TextRange};
use std::collections::BTreeMap;
use std::sync::Arc;

/// What a name of the top level is bound to.
#[derive(Clone)]
pub(crate) enum Global {
    Function(Arc<Function>),
    /// `import module as name`.
    Module(String),
    /// `from module import name as ...`.
    From(String, String),
    Value(Expr),
    /// Bound there, to what only running the file can tell: under an `if`, in a loop, by `+=`.
    Undecided(TextRange),
}

/// A function of a file.
pub(crate) struct Function {
    pub file: Arc<str>,
    pub def: StmtFunctionDef,
    /// `@triton.jit`.
    pub jit: bool,
    /// `@triton.constexpr_function`, or no decorator at all.
    pub plain: bool,
}

/// The names of a file's top level.
#[derive(Default)]
pub(crate) struct Globals {
    names: BTreeMap<String, Bound>,
    /// Kernels in the order of the file.
    pub kernels: Vec<String>,
}

struct Bound {
    to: Global,
    /// One of the alternatives of an `if` or `try`.
    alternative: bool,
}

/// A file being read.
struct Reader<'a> {
    file: &'a Arc<str>,
    text: &'a str,
    found: Globals,
    /// Statements that may not run, or more than once.
    undecided: usize,
}

impl Globals {
    /// The names, in alphabetical order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.names.keys().map(String::as_str)
    }

    pub fn of(body: &[Stmt], file: &Arc<str>, text: &str) -> Globals {
        let mut reader = Reader { file, text, found: Globals::default(), undecided: 0 };
        reader.statements(body);
        reader.found
    }

    pub fn get(&self, name: &str) -> Option<&Global> {
        self.names.get(name).map(|b| &b.to)
    }
}

impl Reader<'_> {
    fn statements(&mut self, body: &[Stmt]) {
        body.iter().for_each(|s| self.statement(s));
    }

    /// Statements that may not run, or more than once.
    fn perhaps(&mut self, body: &[Stmt]) {
        self.undecided += 1;
        self.statements(body);
        self.undecided -= 1;
    }

    fn statement(&mut self, stmt: &Stmt) {
        match stmt {
            Stmt::FunctionDef(def) => {
                let named = |names: &[&str]| def.decorator_list.iter().any(|d| decorator(&d.expression, names));
                let jit = named(&["jit"]);
                let plain = named(&["constexpr_function"]) || def.decorator_list.is_empty();
                let name = def.name.id.to_string();
                if jit && !self.found.kernels.contains(&name) {
                    self.found.kernels.push(name.clone());
                }
                let function = Function { file: self.file.clone(), def: def.clone(), jit, plain };
                self.bind(name, Global::Function(Arc::new(function)), def.name.range());
            }
            Stmt::Import(import) => {
                for alias in &import.names {
                    let module = alias.name.id.to_string();
                    let (name, module) = match &alias.asname {
                        Some(name) => (name.id.to_string(), module),
                        None => {
                            let head = module.split('.').next().unwrap_or_default().to_string();
                            (head.clone(), head)
                        }
                    };
                    self.bind(name, Global::Module(module), alias.range);
                }
            }
            Stmt::ImportFrom(import) => {
                let dots = ".".repeat(import.level as usize);
                let module = import.module.as_ref().map(|m| m.id.to_string()).unwrap_or_default();
                for alias in &import.names {
                    let name = alias.asname.as_ref().unwrap_or(&alias.name).id.to_string();
                    self.bind(name, Global::From(format!("{dots}{module}"), alias.name.id.to_string()), alias.range);
                }
            }
            Stmt::Assign(a) => a.targets.iter().for_each(|t| self.assign(t, Some(&a.value))),
            Stmt::AnnAssign(a) => {
                if let Some(value) = &a.value {
                    self.assign(&a.target, Some(value));
                }
            }
            Stmt::AugAssign(a) => self.assign(&a.target, None),
            Stmt::Delete(d) => d.targets.iter().for_each(|t| self.assign(t, None)),
            Stmt::ClassDef(c) => self.unknown(&c.name.id, c.name.range()),
            Stmt::If(s) if is_main(s) => {
                // Kernels are imported from their file.
                s.elif_else_clauses.iter().for_each(|c| self.perhaps(&c.body));
            }
            Stmt::If(s) => {
                self.perhaps(&s.body);
                s.elif_else_clauses.iter().for_each(|c| self.perhaps(&c.body));
            }
            Stmt::Try(s) => {
                self.perhaps(&s.body);
                for h in &s.handlers {
                    let ExceptHandler::ExceptHandler(h) = h;
                    self.perhaps(&h.body);
                }
                self.perhaps(&s.orelse);
                self.statements(&s.finalbody);
            }
            Stmt::With(w) => {
                w.items.iter().filter_map(|i| i.optional_vars.as_deref()).for_each(|t| self.assign(t, None));
                self.statements(&w.body);
            }
            Stmt::For(f) => {
                self.assign(&f.target, None);
                self.perhaps(&f.body);
                self.perhaps(&f.orelse);
            }
            Stmt::While(w) => {
                self.perhaps(&w.body);
                self.perhaps(&w.orelse);
            }
            Stmt::Match(m) => m.cases.iter().for_each(|c| self.perhaps(&c.body)),
            // `configs.append(..)` changes what a name stands for.
            Stmt::Expr(e) => {
                if let Expr::Call(c) = &*e.value
                    && let Expr::Attribute(a) = &*c.func
                {
                    self.changed(&a.value);
                }
            }
            _ => {}
        }
    }

    /// Binds a target to a value, or to what is not known.
    fn assign(&mut self, target: &Expr, value: Option<&Expr>) {
        match (target, value) {
            (Expr::Name(n), Some(v)) => self.bind(n.id.to_string(), Global::Value(v.clone()), n.range),
            (Expr::Name(n), None) => self.unknown(&n.id, n.range),
            (Expr::Tuple(_) | Expr::List(_), _) => {
                let parts = elements(target).unwrap_or_default();
                let starred = |list: &[Expr]| list.iter().any(Expr::is_starred_expr);
                let values = value.and_then(elements).filter(|v| v.len() == parts.len() && !starred(v));
                for (i, part) in parts.iter().enumerate() {
                    self.assign(part, values.filter(|_| !starred(parts)).and_then(|v| v.get(i)));
                }
            }
            (Expr::Starred(s), _) => self.assign(&s.value, None),
            (Expr::Subscript(s), _) => self.changed(&s.value),
            (Expr::Attribute(a), _) => self.changed(&a.value),
            _ => {}
        }
    }

    /// The object that a name stands for is changed.
    fn changed(&mut self, object: &Expr) {
        if let Expr::Name(n) = object
            && matches!(self.found.get(&n.id), Some(Global::Value(_)))
        {
            self.unknown(&n.id, n.range);
        }
    }

    fn unknown(&mut self, name: &str, at: TextRange) {
        self.bind(name.into(), Global::Undecided(at), at);
    }

    fn bind(&mut self, name: String, to: Global, at: TextRange) {
        let alternative = self.undecided > 0;
        let code = |g: &Global| matches!(g, Global::Function(_) | Global::Module(_) | Global::From(..));
        let old = self.found.names.get(&name);
        let to = match old {
            // Of alternatives that are functions and modules the first counts: they are ways to get the same.
            Some(old) if alternative && code(&old.to) && code(&to) && (old.alternative || same(&old.to, &to)) => return,
            _ if alternative && (old.is_some() || !code(&to)) => Global::Undecided(at),
            _ => to,
        };
        // Values are looked at when they are needed: those that were computed from the name's former value are not what the
        // name says later.
        if matches!(old, Some(Bound { to: Global::Value(_) | Global::Undecided(_), .. })) {
            let text = self.text;
            for (other, bound) in &mut self.found.names {
                if let Global::Value(e) = &bound.to
                    && *other != name
                    && mentions(text.get(e.range().to_std_range()).unwrap_or_default(), &name)
                {
                    bound.to = Global::Undecided(e.range());
                }
            }
        }
        self.found.names.insert(name, Bound { to, alternative });
    }
}

/// Whether two imports are of one thing.
fn same(a: &Global, b: &Global) -> bool {
    match (a, b) {
        (Global::Module(a), Global::Module(b)) => a == b,
        (Global::From(a, x), Global::From(b, y)) => (a, x) == (b, y),
        _ => false,
    }
}

/// Whether a piece of source has this word.
fn mentions(text: &str, name: &str) -> bool {
    text.split(|c: char| !c.is_alphanumeric() && c != '_').any(|word| word == name)
}

fn elements(e: &Expr) -> Option<&[Expr]> {
    match e {
        Expr::Tuple(t) => Some(&t.elts),
        Expr::List(t) => Some(&t.elts),
        _ => None,
    }
}

/// `if __name__ == "__main__":`
fn is_main(s: &StmtIf) -> bool {
    let Expr::Compare(c) = &*s.test else { return false };
    let name = |e: &Expr| matches!(e, Expr::Name(n) if n.id.as_str() == "__name__");
    let main = |e: &Expr| matches!(e, Expr::StringLiteral(s) if s.value.to_str() == "__main__");
    let equal = matches!(c.ops[..], [ruff_python_ast::CmpOp::Eq]);
    equal && c.comparators.first().is_some_and(|r| (name(&c.left) && main(r)) || (main(&c.left) && name(r)))
}

/// Whether a decorator is one of these, with or without arguments: `@jit`, `@triton.jit`, `@triton.autotune(...)`.
pub(crate) fn decorator(e: &Expr, names: &[&str]) -> bool {
    match e {
        Expr::Name(n) => names.contains(&n.id.as_str()),
        Expr::Attribute(a) => names.contains(&a.attr.id.as_str()),
        Expr::Call(c) => decorator(&c.func, names),
        _ => false,
    }
}

impl Function {
    /// Where it is defined.
    pub fn span(&self) -> TextRange {
        self.def.name.range()
    }
}
