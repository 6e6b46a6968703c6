//! Statements.

use super::Translation;
use super::expr::expr;
use syn::ext::IdentExt;
use syn::spanned::Spanned;
use syn::{BinOp, Block, Error, Expr, ExprForLoop, ExprIf, ExprRange, Pat, RangeLimits, Result, Stmt};

/// Names in Rust with the variables of the translation.
type Names = Vec<(String, String)>;

/// Writes the block of a function: its last expression is the result.
pub fn body(t: &mut Translation, b: &Block) -> Result<()> {
    statements(t, b, true)
}

/// Writes a block with variables of its own.
fn block(t: &mut Translation, b: &Block) -> Result<()> {
    t.scopes.enter();
    statements(t, b, false)?;
    t.scopes.leave();
    Ok(())
}

/// Writes a block's statements one level deeper.
fn statements(t: &mut Translation, b: &Block, is_body: bool) -> Result<()> {
    t.out.depth(1);
    for (i, s) in b.stmts.iter().enumerate() {
        match s {
            Stmt::Expr(e, None) if is_body && i + 1 == b.stmts.len() && has_value(e) => {
                t.out.line(e.span());
                t.out.push("return ");
                expr(t, e)?;
            }
            _ => statement(t, s)?,
        }
    }
    if b.stmts.is_empty() {
        t.out.line(b.span());
        t.out.push("pass");
    }
    t.out.depth(-1);
    Ok(())
}

fn has_value(e: &Expr) -> bool {
    match e {
        Expr::If(i) => i.else_branch.is_some() && matches!(&i.then_branch.stmts[..], [Stmt::Expr(_, None)]),
        Expr::ForLoop(_) | Expr::While(_) | Expr::Assign(_) | Expr::Return(_) | Expr::Block(_) => false,
        Expr::Binary(b) => compound(&b.op).is_none(),
        _ => true,
    }
}

fn statement(t: &mut Translation, s: &Stmt) -> Result<()> {
    match s {
        Stmt::Local(local) => {
            let Some(init) = &local.init else {
                return Err(Error::new(local.span(), "a variable of a kernel needs its value here"));
            };
            if let Some((_, diverge)) = &init.diverge {
                return Err(Error::new(diverge.span(), "kernels have no `let .. else`"));
            }
            t.out.line(local.span());
            let mut names = Vec::new();
            pattern(t, &local.pat, &mut names)?;
            t.out.push(" = ");
            expr(t, &init.expr)?;
            names.into_iter().for_each(|(name, variable)| t.scopes.declare(name, variable));
            Ok(())
        }
        Stmt::Expr(e, _) => action(t, e),
        Stmt::Macro(m) => {
            let name = m.mac.path.require_ident()?.to_string();
            let instead = "there are `tl::device_assert(..)`, `tl::static_assert(..)` and `tl::device_print(..)`";
            Err(Error::new(m.span(), format!("there is no `{name}!` in a kernel; {instead}")))
        }
        Stmt::Item(item) => Err(Error::new(item.span(), "a kernel has no items of its own")),
    }
}

/// An expression for what it does.
fn action(t: &mut Translation, e: &Expr) -> Result<()> {
    match e {
        Expr::If(i) => branch(t, i, "if "),
        Expr::ForLoop(f) => for_loop(t, f),
        Expr::While(w) => {
            t.out.line(w.span());
            t.out.push("while ");
            expr(t, &w.cond)?;
            t.out.push(":");
            block(t, &w.body)
        }
        Expr::Assign(a) => {
            t.out.line(a.span());
            assignable(t, &a.left)?;
            t.out.push(" = ");
            expr(t, &a.right)
        }
        Expr::Binary(b) if compound(&b.op).is_some() => {
            t.out.line(b.span());
            assignable(t, &b.left)?;
            t.out.push(match b.op {
                BinOp::DivAssign(_) => " = tl.quotient(",
                BinOp::RemAssign(_) => " = tl.remainder(",
                _ => " = (",
            });
            expr(t, &b.left)?;
            t.out.push(compound(&b.op).unwrap_or_default());
            expr(t, &b.right)?;
            t.out.push(")");
            Ok(())
        }
        Expr::Return(r) => {
            t.out.line(r.span());
            t.out.push("return");
            match &r.expr {
                Some(e) => {
                    t.out.push(" ");
                    expr(t, e)
                }
                None => Ok(()),
            }
        }
        Expr::Call(_) | Expr::MethodCall(_) => {
            t.out.line(e.span());
            expr(t, e)
        }
        Expr::Break(_) | Expr::Continue(_) | Expr::Loop(_) => Err(Error::new(
            e.span(),
            "loops of a kernel are `for` over a range and `while`, without `break` and `continue`",
        )),
        other => Err(Error::new(other.span(), "this statement does nothing in a kernel")),
    }
}

fn branch(t: &mut Translation, i: &ExprIf, keyword: &str) -> Result<()> {
    t.out.line(i.span());
    t.out.push(keyword);
    expr(t, &i.cond)?;
    t.out.push(":");
    block(t, &i.then_branch)?;
    match i.else_branch.as_ref().map(|(_, e)| &**e) {
        None => Ok(()),
        Some(Expr::If(next)) => branch(t, next, "elif "),
        Some(Expr::Block(b)) => {
            t.out.line(b.span());
            t.out.push("else:");
            block(t, &b.block)
        }
        Some(other) => Err(Error::new(other.span(), "expected a block")),
    }
}

/// `for i in a..b`, with `.step_by(n)` or over `tl::static_range(..)`.
fn for_loop(t: &mut Translation, f: &ExprForLoop) -> Result<()> {
    t.out.line(f.span());
    t.out.push("for ");
    // The targets are variables of the loop, which the range does not see.
    t.scopes.enter();
    let mut names = Names::new();
    pattern(t, &f.pat, &mut names)?;
    t.out.push(" in ");
    let (iter, step) = match &*f.expr {
        Expr::MethodCall(m) if m.method == "step_by" && m.args.len() == 1 => (&*m.receiver, m.args.first()),
        other => (other, None),
    };
    let iter = match iter {
        Expr::Paren(p) => &*p.expr,
        other => other,
    };
    match iter {
        Expr::Range(ExprRange { start: Some(lo), end: Some(hi), limits: RangeLimits::HalfOpen(_), .. }) => {
            t.out.push("range(");
            for part in [Some(&**lo), Some(&**hi), step].into_iter().flatten() {
                expr(t, part)?;
                t.out.push(", ");
            }
            t.out.push(")");
        }
        call @ Expr::Call(_) if step.is_none() => expr(t, call)?,
        other => {
            return Err(Error::new(
                other.span(),
                "loops run over `a..b`, `(a..b).step_by(n)` or `tl::static_range(..)`",
            ));
        }
    }
    t.out.push(":");
    names.into_iter().for_each(|(name, variable)| t.scopes.declare(name, variable));
    block(t, &f.body)?;
    t.scopes.leave();
    Ok(())
}

/// Writes what an assignment changes: variables that are there.
fn assignable(t: &mut Translation, e: &Expr) -> Result<()> {
    match e {
        Expr::Path(p) if p.path.get_ident().is_some_and(|i| t.scopes.find(&i.unraw().to_string()).is_none()) => {
            Err(Error::new(p.span(), "no such variable: declare it with `let`"))
        }
        Expr::Tuple(tuple) => {
            t.out.push("(");
            for e in &tuple.elems {
                assignable(t, e)?;
                t.out.push(", ");
            }
            t.out.push(")");
            Ok(())
        }
        e => expr(t, e),
    }
}

/// Writes the variables that a pattern declares.
fn pattern(t: &mut Translation, p: &Pat, names: &mut Names) -> Result<()> {
    match p {
        Pat::Ident(i) if i.subpat.is_none() && i.by_ref.is_none() => {
            let name = i.ident.unraw().to_string();
            let variable = t.scopes.fresh(&name);
            t.out.push(&variable);
            names.push((name, variable));
            Ok(())
        }
        Pat::Type(typed) => pattern(t, &typed.pat, names),
        Pat::Wild(_) => {
            let variable = t.scopes.fresh("_");
            t.out.push(&variable);
            Ok(())
        }
        Pat::Tuple(tuple) => {
            t.out.push("(");
            for p in &tuple.elems {
                pattern(t, p, names)?;
                t.out.push(", ");
            }
            t.out.push(")");
            Ok(())
        }
        other => Err(Error::new(other.span(), "variables of a kernel are names, or tuples of names")),
    }
}

fn compound(op: &BinOp) -> Option<&'static str> {
    Some(match op {
        BinOp::AddAssign(_) => " + ",
        BinOp::SubAssign(_) => " - ",
        BinOp::MulAssign(_) => " * ",
        BinOp::DivAssign(_) | BinOp::RemAssign(_) => ", ",
        BinOp::BitXorAssign(_) => " ^ ",
        BinOp::BitAndAssign(_) => " & ",
        BinOp::BitOrAssign(_) => " | ",
        BinOp::ShlAssign(_) => " << ",
        BinOp::ShrAssign(_) => " >> ",
        _ => return None,
    })
}
