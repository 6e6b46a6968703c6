//! Expressions.

use super::{Eval, constant};
use crate::value::{Lambda, Pointer, Tensor, Value};
use girih_base::Result;
use ruff_python_ast::{CmpOp, Expr, Number};
use ruff_text_size::{Ranged, TextRange};
use std::rc::Rc;

/// Expressions and blocks inside each other, those of inlined functions included.
const NESTING: usize = 300;

impl Eval<'_> {
    /// Evaluates an expression; errors and code carry its position.
    pub fn expr(&mut self, e: &Expr) -> Result<Value> {
        let outer = self.here;
        self.here = e.range();
        if self.depth >= NESTING {
            return Err(self
                .error("K013", "expressions and statements are nested too deeply", "here")
                .help("give parts of it names"));
        }
        self.depth += 1;
        let value = self.expr_here(e);
        self.depth -= 1;
        // Only these make larger constants than there were.
        let makes = matches!(
            e,
            Expr::Tuple(_)
                | Expr::List(_)
                | Expr::Dict(_)
                | Expr::ListComp(_)
                | Expr::Generator(_)
                | Expr::BinOp(_)
                | Expr::Call(_)
                | Expr::FString(_)
        );
        if makes && value.as_ref().is_ok_and(constant::too_large) {
            return Err(self.error("K013", "this constant is too large", "here"));
        }
        self.here = outer;
        value
    }

    fn expr_here(&mut self, e: &Expr) -> Result<Value> {
        Ok(match e {
            Expr::Name(n) => self.name(n.id.as_str())?,
            Expr::NumberLiteral(n) => match &n.value {
                Number::Int(i) => match i.as_u64() {
                    Some(v) => Value::Int(v as i128),
                    None => match i.to_string().parse() {
                        Ok(v) => Value::Int(v),
                        Err(_) => return Err(self.error("K004", "this integer is too large", "here")),
                    },
                },
                Number::Float(v) => Value::Float(*v),
                Number::Complex { .. } => return Err(self.error("K002", "complex numbers are not supported", "here")),
            },
            Expr::BooleanLiteral(b) => Value::Bool(b.value),
            Expr::NoneLiteral(_) => Value::None,
            Expr::StringLiteral(s) => Value::str(s.value.to_str()),
            Expr::FString(f) => self.f_string(f)?,
            Expr::Tuple(t) => self.elements(&t.elts)?,
            Expr::List(t) => self.elements(&t.elts)?,
            Expr::Dict(d) => {
                let mut pairs = Vec::new();
                for item in &d.items {
                    let Some(key) = &item.key else {
                        return Err(self.error("K002", "`**` in a dictionary is not supported", "here"));
                    };
                    pairs.push((self.expr(key)?, self.expr(&item.value)?));
                }
                Value::Dict(Rc::new(pairs))
            }
            Expr::BinOp(b) => {
                let (x, y) = (self.expr(&b.left)?, self.expr(&b.right)?);
                self.enter(e.range());
                self.binary(b.op, &x, &y)?
            }
            Expr::UnaryOp(u) => {
                let x = self.expr(&u.operand)?;
                self.enter(e.range());
                self.unary(u.op, &x)?
            }
            Expr::BoolOp(b) => self.bool_op(b.op, &b.values)?,
            Expr::Compare(c) => self.comparison(&c.left, &c.ops, &c.comparators)?,
            Expr::If(i) => self.conditional(&i.test, &i.body, &i.orelse)?,
            Expr::Attribute(a) => {
                let v = self.expr(&a.value)?;
                self.attribute(&v, a.attr.id.as_str())?
            }
            Expr::Subscript(s) => {
                let v = self.expr(&s.value)?;
                self.subscript(&v, &s.slice)?
            }
            Expr::Slice(s) => {
                if s.lower.is_some() || s.upper.is_some() || s.step.is_some() {
                    return Err(self
                        .error("K002", "tiles cannot be sliced", "here")
                        .help("use offsets and masks in the load, or `tl.reshape` and `tl.split`"));
                }
                Value::Slice
            }
            Expr::Call(c) => self.call(c, e.range())?,
            Expr::Lambda(l) => {
                let source = self.frame().source.clone();
                let params = l.parameters.iter().flat_map(|p| p.iter_non_variadic_params());
                let params = params.map(|p| p.parameter.name.id.to_string()).collect();
                Value::Lambda(Rc::new(Lambda { module: source, params, body: (*l.body).clone() }))
            }
            Expr::Named(n) => {
                let v = self.expr(&n.value)?;
                let depth = self.frames.len();
                let lost = |name: &str| {
                    self.fixed.iter().any(|(d, names)| *d == depth && names.as_ref().is_none_or(|n| n.contains(name)))
                };
                if let Expr::Name(target) = &*n.target
                    && lost(target.id.as_str())
                {
                    return Err(self
                        .error("K002", format!("`{} :=` would not last here", target.id), "bound in a loop or branch")
                        .help("assign it in a statement of its own"));
                }
                self.assign(&n.target, v.clone())?;
                v
            }
            Expr::ListComp(c) => self.comprehension(&c.elt, &c.generators)?,
            Expr::Generator(c) => self.comprehension(&c.elt, &c.generators)?,
            Expr::Starred(_) => return Err(self.error("K002", "`*` is not supported here", "here")),
            _ => {
                return Err(self
                    .error("K002", "this expression is not part of the language", "here")
                    .help("compute it in the host program and pass the result as an argument"));
            }
        })
    }

    fn elements(&mut self, list: &[Expr]) -> Result<Value> {
        let mut out = Vec::new();
        for e in list {
            match e {
                Expr::Starred(s) => match self.expr(&s.value)? {
                    Value::Tuple(v) => out.extend(v.iter().cloned()),
                    other => return Err(self.error("K004", format!("{other} cannot be unpacked"), "here")),
                },
                e => out.push(self.expr(e)?),
            }
        }
        Ok(Value::tuple(out))
    }

    fn comprehension(&mut self, elt: &Expr, generators: &[ruff_python_ast::Comprehension]) -> Result<Value> {
        // Targets are variables of the comprehension.
        let mut names = Vec::new();
        generators.iter().for_each(|g| super::stmt::targets(&g.target, &mut names));
        let before: Vec<Option<Value>> = names.iter().map(|n| self.vars().get(n).cloned()).collect();
        let mut out = Vec::new();
        self.generate(elt, generators, &mut out)?;
        for (name, value) in names.into_iter().zip(before) {
            match value {
                Some(v) => self.vars().insert(name, v),
                None => self.vars().remove(&name),
            };
        }
        Ok(Value::tuple(out))
    }

    fn generate(
        &mut self,
        elt: &Expr,
        generators: &[ruff_python_ast::Comprehension],
        out: &mut Vec<Value>,
    ) -> Result<()> {
        let Some((g, rest)) = generators.split_first() else {
            let v = self.expr(elt)?;
            out.push(v);
            return Ok(());
        };
        let over = self.expr(&g.iter)?;
        for item in self.items(&over)? {
            self.burn()?;
            self.assign(&g.target, item)?;
            let mut keep = true;
            for test in &g.ifs {
                let v = self.expr(test)?;
                keep &= v.truth().ok_or_else(|| self.not_constant("this condition"))?;
            }
            if keep {
                self.generate(elt, rest, out)?;
            }
        }
        Ok(())
    }

    /// The elements of something known at compile time.
    pub fn items(&mut self, v: &Value) -> Result<Vec<Value>> {
        match v {
            Value::Tuple(v) => Ok(v.to_vec()),
            Value::Dict(pairs) => Ok(pairs.iter().map(|p| p.0.clone()).collect()),
            Value::Range(r) => {
                let int = |e: &Self, v: &Value| v.as_int().ok_or_else(|| e.not_constant("a bound of this range"));
                let (lo, hi, step) = (int(self, &r.lo)?, int(self, &r.hi)?, int(self, &r.step)?);
                if step == 0 {
                    return Err(self.error("K006", "the step of a range is zero", "here"));
                }
                let mut out = Vec::new();
                let mut i = lo;
                while (step > 0 && i < hi) || (step < 0 && i > hi) {
                    self.burn()?;
                    out.push(Value::Int(i));
                    i = i.saturating_add(step);
                }
                Ok(out)
            }
            other => Err(self
                .error("K004", format!("{other} cannot be iterated over"), "here")
                .help("loop over `range`, `tl.static_range` or a tuple; a tile is computed with as a whole")),
        }
    }

    pub fn not_constant(&self, what: &str) -> Box<girih_base::Diag> {
        self.error("K007", format!("{what} must be known at compile time"), "this depends on the arguments")
            .help("declare the parameter it comes from `tl.constexpr`")
    }

    fn f_string(&mut self, f: &ruff_python_ast::ExprFString) -> Result<Value> {
        use ruff_python_ast::{FStringPart, InterpolatedStringElement};
        let mut out = String::new();
        for part in f.value.iter() {
            match part {
                FStringPart::Literal(s) => out.push_str(&s.value),
                FStringPart::FString(f) => {
                    for e in f.elements.iter() {
                        match e {
                            InterpolatedStringElement::Literal(s) => out.push_str(&s.value),
                            InterpolatedStringElement::Interpolation(i) => {
                                let v = self.expr(&i.expression)?;
                                out.push_str(&v.to_string());
                                if out.len() > constant::LARGEST {
                                    return Err(self.error("K013", "this text is too long", "here"));
                                }
                            }
                        }
                    }
                }
            }
        }
        Ok(Value::str(out))
    }

    // Operators.

    fn subscript(&mut self, v: &Value, index: &Expr) -> Result<Value> {
        match v {
            Value::Tuple(list) => {
                if let Expr::Slice(s) = index {
                    let bound = |e: &mut Self, x: &Option<Box<Expr>>, default: i128| match x {
                        None => Ok(default),
                        Some(x) => {
                            let v = e.expr(x)?;
                            v.as_int().ok_or_else(|| e.not_constant("a bound of this slice"))
                        }
                    };
                    let step = bound(self, &s.step, 1)?;
                    if step == 0 {
                        return Err(self.error("K006", "the step of a slice is zero", "here"));
                    }
                    // Backwards, the places lie between -1 and the last.
                    let n = list.len() as i128;
                    let (least, most) = if step < 0 { (-1, n - 1) } else { (0, n) };
                    let clamp = |v: i128| (if v < 0 { v.saturating_add(n) } else { v }).clamp(least, most);
                    let (first, last) = if step < 0 { (most, least) } else { (least, most) };
                    let end = |e: &mut Self, x: &Option<Box<Expr>>, default: i128| match x {
                        None => Ok(default),
                        Some(_) => bound(e, x, default).map(clamp),
                    };
                    let (mut at, hi) = (end(self, &s.lower, first)?, end(self, &s.upper, last)?);
                    let mut out = Vec::new();
                    while (step > 0 && at < hi) || (step < 0 && at > hi) {
                        out.extend(usize::try_from(at).ok().and_then(|i| list.get(i)).cloned());
                        at = at.saturating_add(step);
                    }
                    return Ok(Value::tuple(out));
                }
                let i = self.expr(index)?;
                let Some(i) = i.as_int() else { return Err(self.not_constant("the index of a tuple")) };
                let at = if i < 0 { i.saturating_add(list.len() as i128) } else { i };
                match usize::try_from(at).ok().and_then(|at| list.get(at)) {
                    Some(v) => Ok(v.clone()),
                    None => Err(self.error("K006", format!("index {i} of a tuple of {}", list.len()), "here")),
                }
            }
            Value::Dict(pairs) => {
                let key = self.expr(index)?;
                let found = pairs.iter().find(|(k, _)| constant::compare(CmpOp::Eq, k, &key) == Some(true));
                match found {
                    Some((_, v)) => Ok(v.clone()),
                    None => Err(self.error("K003", format!("no entry {key}"), "here")),
                }
            }
            Value::Tensor(_) | Value::Pointer(_) => {
                let items: Vec<&Expr> = match index {
                    Expr::Tuple(t) => t.elts.iter().collect(),
                    other => vec![other],
                };
                let mut out = v.clone();
                let mut axis = 0;
                for item in items {
                    match item {
                        Expr::NoneLiteral(_) => {
                            out = self.expand_dims(&out, axis)?;
                            axis += 1;
                        }
                        Expr::Slice(_) => {
                            let here = self.here;
                            self.here = item.range();
                            self.expr(item)?;
                            self.here = here;
                            axis += 1;
                        }
                        Expr::EllipsisLiteral(_) => {
                            return Err(self.error("K002", "`...` in an index is not supported", "here"));
                        }
                        _ => {
                            return Err(self
                                .error("K002", format!("{v} cannot be indexed by elements"), "here")
                                .help("only `:` and `None` may occur; use `tl.gather`, a mask with `tl.sum`, or load the element"));
                        }
                    }
                }
                let rank = match v {
                    Value::Tensor(t) => t.shape.len(),
                    Value::Pointer(p) => p.offset.shape.len(),
                    _ => 0,
                };
                let given = match index {
                    Expr::Tuple(t) => t.elts.iter().filter(|e| matches!(e, Expr::Slice(_))).count(),
                    Expr::Slice(_) => 1,
                    _ => 0,
                };
                if given > rank {
                    return Err(self.error("K005", format!("{v} has {rank} axes, the index names {given}"), "here"));
                }
                Ok(out)
            }
            other => Err(self.error("K004", format!("{other} cannot be indexed"), "here")),
        }
    }

    /// An axis of extent 1.
    pub fn expand_dims(&mut self, v: &Value, axis: usize) -> Result<Value> {
        let expand = |e: &mut Self, t: &Tensor| {
            let mut shape = t.shape.clone();
            if axis > shape.len() {
                return Err(e.error("K005", format!("no place {axis} for an axis in {:?}", t.shape), "here"));
            }
            shape.insert(axis, 1);
            e.reshape(t, &shape)
        };
        match v {
            Value::Pointer(p) => Ok(Value::Pointer(Pointer { offset: expand(self, &p.offset)?, ..p.clone() })),
            v => {
                let t = self.expect_tensor(v, "the operand")?;
                expand(self, &t).map(Value::Tensor)
            }
        }
    }

    /// The position of something, for errors about a part of the current expression.
    pub fn at<T>(&mut self, span: TextRange, f: impl FnOnce(&mut Self) -> T) -> T {
        let outer = std::mem::replace(&mut self.here, span);
        let out = f(self);
        self.here = outer;
        out
    }
}
