//! Statements.

use super::Eval;
use super::control::Rest;
use crate::value::Value;
use girih_base::Result;
use ruff_python_ast::{Expr, Stmt};
use ruff_text_size::Ranged;

/// Where control goes after a statement.
pub(crate) enum Flow {
    Next,
    Return(Value),
}

impl Eval<'_> {
    /// Runs statements; what follows a branch that may return is evaluated inside its arms.
    pub fn body(&mut self, stmts: &[Stmt], outer: Option<&Rest<'_>>) -> Result<Flow> {
        for (i, s) in stmts.iter().enumerate() {
            self.burn()?;
            self.enter(s.range());
            let flow = match s {
                Stmt::If(branch) => self.if_stmt(branch, &stmts[i + 1..], outer)?,
                Stmt::For(f) => {
                    self.for_stmt(f)?;
                    None
                }
                Stmt::While(w) => {
                    self.while_stmt(w)?;
                    None
                }
                Stmt::Return(r) => {
                    let value = r.value.as_ref().map_or(Ok(Value::None), |v| self.expr(v))?;
                    Some(Flow::Return(value))
                }
                s => {
                    self.simple(s)?;
                    None
                }
            };
            match flow {
                None => {}
                Some(flow) => return Ok(flow),
            }
        }
        Ok(Flow::Next)
    }

    fn simple(&mut self, s: &Stmt) -> Result<()> {
        match s {
            Stmt::Assign(a) => {
                let value = self.expr(&a.value)?;
                a.targets.iter().try_for_each(|t| self.assign(t, value.clone()))
            }
            Stmt::AugAssign(a) => {
                let (x, y) = (self.expr(&a.target)?, self.expr(&a.value)?);
                self.enter(s.range());
                let value = self.binary(a.op, &x, &y)?;
                self.assign(&a.target, value)
            }
            Stmt::AnnAssign(a) => match &a.value {
                Some(v) => {
                    let value = self.expr(v)?;
                    self.assign(&a.target, value)
                }
                None => Ok(()),
            },
            Stmt::Expr(e) => self.expr(&e.value).map(|_| ()),
            Stmt::Pass(_) => Ok(()),
            Stmt::Assert(a) => {
                let test = self.expr(&a.test)?;
                if test.truth() == Some(false) {
                    let message = match &a.msg {
                        Some(m) => format!(": {}", self.expr(m)?),
                        None => String::new(),
                    };
                    self.here = a.test.range();
                    return Err(self.error("K009", format!("assertion failed{message}"), "this does not hold"));
                }
                let text = match &a.msg {
                    Some(m) if self.debug => self.expr(m)?.to_string(),
                    _ => String::new(),
                };
                crate::builtins::debug::assertion(self, &test, None, &text)
            }
            Stmt::Import(_) | Stmt::ImportFrom(_) => Err(self
                .error("K002", "imports inside a kernel are not supported", "here")
                .help("move it to the top of the file")),
            Stmt::Global(_) | Stmt::Nonlocal(_) => Err(self
                .error("K002", "a kernel changes no variables of its file", "here")
                .help("a variable is read without `global`; return what changes, or store it through a pointer")),
            Stmt::Break(_) | Stmt::Continue(_) => Err(self
                .error("K002", "`break` and `continue` are not part of the language", "here")
                .help("carry a condition, or use `while`")),
            _ => Err(self
                .error("K002", "this statement is not part of the language", "here")
                .help("kernels consist of assignments, calls, `if`, `for`, `while`, `return` and `assert`")),
        }
    }

    /// Binds a target, taking tuples apart.
    pub fn assign(&mut self, target: &Expr, value: Value) -> Result<()> {
        match target {
            Expr::Name(n) => {
                let name = n.id.to_string();
                if let Value::Tensor(t) = &value {
                    self.b.name(t.id, Some(name.as_str().into()));
                }
                self.vars().insert(name, value);
                Ok(())
            }
            Expr::Tuple(t) => self.unpack(&t.elts, &value),
            Expr::List(t) => self.unpack(&t.elts, &value),
            _ => Err(self.at(target.range(), |e| {
                e.error("K002", "only names can be assigned to", "here")
                    .help("tiles are values; store them through pointers")
            })),
        }
    }

    fn unpack(&mut self, targets: &[Expr], value: &Value) -> Result<()> {
        let Value::Tuple(values) = value else {
            return Err(self.error("K004", format!("{value} cannot be unpacked"), "here"));
        };
        if values.len() != targets.len() {
            let (have, want) = (values.len(), targets.len());
            return Err(self.error("K004", format!("{have} values for {want} names"), "unpacked here"));
        }
        targets.iter().zip(values.iter()).try_for_each(|(t, v)| self.assign(t, v.clone()))
    }
}

/// The names that a target binds, each once.
pub(crate) fn targets(e: &Expr, out: &mut Vec<String>) {
    match e {
        Expr::Name(n) if out.iter().any(|o| o == n.id.as_str()) => {}
        Expr::Name(n) => out.push(n.id.to_string()),
        Expr::Tuple(t) => t.elts.iter().for_each(|e| targets(e, out)),
        Expr::List(t) => t.elts.iter().for_each(|e| targets(e, out)),
        _ => {}
    }
}

/// The names that statements bind, in order, each once; [`Eval::fixed`] keeps expressions from binding more.
pub(crate) fn assigned(stmts: &[Stmt], out: &mut Vec<String>) {
    for s in stmts {
        match s {
            Stmt::Assign(a) => a.targets.iter().for_each(|t| targets(t, out)),
            Stmt::AugAssign(a) => targets(&a.target, out),
            Stmt::AnnAssign(a) => targets(&a.target, out),
            Stmt::For(f) => {
                targets(&f.target, out);
                assigned(&f.body, out);
            }
            Stmt::While(w) => assigned(&w.body, out),
            Stmt::If(i) => {
                assigned(&i.body, out);
                i.elif_else_clauses.iter().for_each(|c| assigned(&c.body, out));
            }
            _ => {}
        }
    }
}

/// Whether statements may return.
pub(crate) fn returns(stmts: &[Stmt]) -> bool {
    stmts.iter().any(|s| match s {
        Stmt::Return(_) => true,
        Stmt::If(i) => returns(&i.body) || i.elif_else_clauses.iter().any(|c| returns(&c.body)),
        Stmt::For(f) => returns(&f.body),
        Stmt::While(w) => returns(&w.body),
        _ => false,
    })
}
