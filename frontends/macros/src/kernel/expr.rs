//! Expressions.

use super::Translation;
use syn::ext::IdentExt;
use syn::spanned::Spanned;
use syn::{BinOp, Error, Expr, ExprCall, ExprLit, ExprMethodCall, Lit, Member, Path, Result, Type, UnOp};

/// Writes an expression, in parentheses where it has parts: the two languages bind operators differently.
pub fn expr(t: &mut Translation, e: &Expr) -> Result<()> {
    t.out.mark(e.span());
    match e {
        Expr::Paren(p) => expr(t, &p.expr),
        Expr::Group(g) => expr(t, &g.expr),
        Expr::Lit(lit) => literal(t, lit),
        Expr::Path(p) => name(t, &p.path),
        Expr::Binary(b) => match binary(&b.op) {
            Some(op) => {
                t.out.push("(");
                expr(t, &b.left)?;
                t.out.push(op);
                expr(t, &b.right)?;
                t.out.push(")");
                Ok(())
            }
            None if matches!(b.op, BinOp::Div(_)) => call(t, "tl.quotient", &[&b.left, &b.right]),
            None if matches!(b.op, BinOp::Rem(_)) => call(t, "tl.remainder", &[&b.left, &b.right]),
            None => Err(Error::new(b.op.span(), "an assignment has no value in a kernel")),
        },
        Expr::Unary(u) => {
            let op = match u.op {
                UnOp::Neg(_) => "-",
                UnOp::Not(_) => return call(t, "tl.negation", &[&u.expr]),
                _ => return Err(Error::new(u.span(), "kernels have no references: name the value itself")),
            };
            t.out.push("(");
            t.out.push(op);
            expr(t, &u.expr)?;
            t.out.push(")");
            Ok(())
        }
        Expr::Cast(c) => {
            object(t, &c.expr)?;
            t.out.push(".to(");
            t.out.push(dtype(&c.ty)?);
            t.out.push(")");
            Ok(())
        }
        Expr::Call(c) => {
            callee(t, c)?;
            arguments(t, c.args.iter())
        }
        Expr::MethodCall(m) => method(t, m),
        Expr::Tuple(tuple) => {
            t.out.push("(");
            for e in &tuple.elems {
                expr(t, e)?;
                t.out.push(", ");
            }
            t.out.push(")");
            Ok(())
        }
        Expr::Array(array) => {
            t.out.push("[");
            for e in &array.elems {
                expr(t, e)?;
                t.out.push(", ");
            }
            t.out.push("]");
            Ok(())
        }
        Expr::Field(f) => match &f.member {
            Member::Unnamed(i) => {
                expr(t, &f.base)?;
                t.out.push(&format!("[{}]", i.index));
                Ok(())
            }
            Member::Named(n) => {
                expr(t, &f.base)?;
                t.out.push(&format!(".{n}"));
                Ok(())
            }
        },
        Expr::If(i) => {
            let (Some((_, other)), [syn::Stmt::Expr(then, None)]) = (&i.else_branch, &i.then_branch.stmts[..]) else {
                return Err(Error::new(i.span(), "an `if` with a value needs one expression in each branch"));
            };
            let other = match &**other {
                Expr::Block(b) => match &b.block.stmts[..] {
                    [syn::Stmt::Expr(e, None)] => e,
                    _ => return Err(Error::new(b.span(), "an `if` with a value needs one expression in each branch")),
                },
                e => e,
            };
            t.out.push("(");
            expr(t, then)?;
            t.out.push(" if ");
            expr(t, &i.cond)?;
            t.out.push(" else ");
            expr(t, other)?;
            t.out.push(")");
            Ok(())
        }
        other => Err(Error::new(other.span(), "this expression has no meaning in a kernel")),
    }
}

/// An expression before a dot: numbers in parentheses, since `1.to` is not one.
fn object(t: &mut Translation, e: &Expr) -> Result<()> {
    match e {
        Expr::Lit(_) => {
            t.out.push("(");
            expr(t, e)?;
            t.out.push(")");
            Ok(())
        }
        Expr::Paren(p) => object(t, &p.expr),
        Expr::Group(g) => object(t, &g.expr),
        _ => expr(t, e),
    }
}

fn call(t: &mut Translation, function: &str, args: &[&Expr]) -> Result<()> {
    t.out.push(function);
    arguments(t, args.iter().copied())
}

/// `(a, b, key = c)`; an assignment in the place of an argument names it.
fn arguments<'a>(t: &mut Translation, args: impl Iterator<Item = &'a Expr>) -> Result<()> {
    t.out.push("(");
    for arg in args {
        if let Expr::Assign(a) = arg {
            let Expr::Path(key) = &*a.left else {
                return Err(Error::new(a.left.span(), "the name of an argument is one word"));
            };
            t.out.mark(a.span());
            t.out.push(&format!("{}=", key.path.require_ident()?.unraw()));
            expr(t, &a.right)?;
        } else {
            expr(t, arg)?;
        }
        t.out.push(", ");
    }
    t.out.push(")");
    Ok(())
}

fn callee(t: &mut Translation, c: &ExprCall) -> Result<()> {
    let Expr::Path(p) = &*c.func else {
        return Err(Error::new(
            c.func.span(),
            "only functions can be called: `tl::name(..)`, or another kernel function",
        ));
    };
    let parts: Vec<String> = p.path.segments.iter().map(|s| s.ident.unraw().to_string()).collect();
    if parts[0] == "tl" {
        t.out.push(&parts.join("."));
        return Ok(());
    }
    t.helper(&p.path)
}

fn method(t: &mut Translation, m: &ExprMethodCall) -> Result<()> {
    object(t, &m.receiver)?;
    t.out.mark(m.method.span());
    t.out.push(&format!(".{}", m.method.unraw()));
    arguments(t, m.args.iter())
}

fn literal(t: &mut Translation, lit: &ExprLit) -> Result<()> {
    let text = match &lit.lit {
        Lit::Int(i) if i.suffix().is_empty() => i.base10_digits().to_string(),
        Lit::Float(f) if f.suffix().is_empty() => f.base10_digits().to_string(),
        Lit::Bool(b) => if b.value { "True" } else { "False" }.to_string(),
        Lit::Str(s) => format!("{:?}", s.value()),
        other => {
            let why = "kernels have numbers without suffix, `true`, `false` and strings; convert with `as`";
            return Err(Error::new(other.span(), why));
        }
    };
    t.out.push(&text);
    Ok(())
}

/// A variable, a constant of Rust's floats, or a dtype.
fn name(t: &mut Translation, path: &Path) -> Result<()> {
    let parts: Vec<String> = path.segments.iter().map(|s| s.ident.unraw().to_string()).collect();
    let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
    match parts[..] {
        [one] => match (t.scopes.find(one), scalar(one)) {
            (Some(variable), _) => {
                let variable = variable.to_string();
                t.out.push(&variable);
            }
            (None, Some(dtype)) => t.out.push(dtype),
            (None, None) => t.out.push(one),
        },
        ["f32" | "f64", "INFINITY"] => t.out.push("float(\"inf\")"),
        ["f32" | "f64", "NEG_INFINITY"] => t.out.push("float(\"-inf\")"),
        ["f32" | "f64", "NAN"] => t.out.push("float(\"nan\")"),
        ["tl", ..] => t.out.push(&parts.join(".")),
        _ => return Err(Error::new(path.span(), "kernels see their parameters, their variables and `tl::` names")),
    }
    Ok(())
}

fn binary(op: &BinOp) -> Option<&'static str> {
    Some(match op {
        BinOp::Add(_) => " + ",
        BinOp::Sub(_) => " - ",
        BinOp::Mul(_) => " * ",
        BinOp::And(_) => " and ",
        BinOp::Or(_) => " or ",
        BinOp::BitXor(_) => " ^ ",
        BinOp::BitAnd(_) => " & ",
        BinOp::BitOr(_) => " | ",
        BinOp::Shl(_) => " << ",
        BinOp::Shr(_) => " >> ",
        BinOp::Eq(_) => " == ",
        BinOp::Lt(_) => " < ",
        BinOp::Le(_) => " <= ",
        BinOp::Ne(_) => " != ",
        BinOp::Ge(_) => " >= ",
        BinOp::Gt(_) => " > ",
        _ => return None,
    })
}

/// The spelling of an element type.
pub fn scalar(name: &str) -> Option<&'static str> {
    Some(match name {
        "bool" => "tl.int1",
        "i8" => "tl.int8",
        "u8" => "tl.uint8",
        "i16" => "tl.int16",
        "u16" => "tl.uint16",
        "i32" => "tl.int32",
        "u32" => "tl.uint32",
        "i64" => "tl.int64",
        "u64" => "tl.uint64",
        "f16" => "tl.float16",
        "bf16" => "tl.bfloat16",
        "f32" => "tl.float32",
        "f64" => "tl.float64",
        _ => return None,
    })
}

/// The element type that a Rust type names.
pub fn dtype(ty: &Type) -> Result<&'static str> {
    let named = match ty {
        Type::Path(p) => p.path.get_ident().and_then(|i| scalar(&i.to_string())),
        _ => None,
    };
    named.ok_or_else(|| Error::new(ty.span(), "element types are bool, i8 to i64, u8 to u64, f16, bf16, f32 and f64"))
}
