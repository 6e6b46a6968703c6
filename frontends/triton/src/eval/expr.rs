//! Expressions.

use super::{Eval, constant, promote};
use crate::affine::Range;
use crate::value::{Lambda, Pointer, Tensor, Value};
use girih_base::{DType, Result, ScalarOp};
use ruff_python_ast::{BoolOp, CmpOp, Expr, Number, Operator, UnaryOp};
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
        let mut out = Vec::new();
        self.generate(elt, generators, &mut out)?;
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
                    i += step;
                }
                Ok(out)
            }
            other => Err(self.error("K004", format!("{other} cannot be iterated over"), "here")),
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
                            }
                        }
                    }
                }
            }
        }
        Ok(Value::str(out))
    }

    // Operators.

    /// A binary operator, in Triton's rules where a tensor is involved, in Python's between constants.
    pub fn binary(&mut self, op: Operator, a: &Value, b: &Value) -> Result<Value> {
        match constant::binary(op, a, b) {
            Ok(Some(v)) => return Ok(v),
            Err(m) => return Err(self.error("K004", m, "here")),
            Ok(None) => {}
        }
        match (op, a, b) {
            (Operator::Add, Value::Pointer(p), x) | (Operator::Add, x, Value::Pointer(p)) => {
                return self.offset(&p.clone(), x, false);
            }
            (Operator::Sub, Value::Pointer(p), x) => return self.offset(&p.clone(), x, true),
            (Operator::MatMult, ..) => {
                let row =
                    crate::builtins::find("dot").ok_or_else(|| self.error("K002", "`@` is not supported", "here"))?;
                return self.builtin(row, vec![a.clone(), b.clone()], Vec::new());
            }
            _ => {}
        }
        let op = match op {
            Operator::Add => ScalarOp::Add,
            Operator::Sub => ScalarOp::Sub,
            Operator::Mult => ScalarOp::Mul,
            Operator::Div => return self.true_divide(a, b),
            Operator::FloorDiv => ScalarOp::Div,
            Operator::Mod => ScalarOp::Rem,
            Operator::LShift => ScalarOp::Shl,
            Operator::RShift => ScalarOp::Shr,
            Operator::BitAnd => ScalarOp::And,
            Operator::BitOr => ScalarOp::Or,
            Operator::BitXor => ScalarOp::Xor,
            Operator::Pow => {
                return Err(self
                    .error("K002", "`**` of tensors is not part of the language", "here")
                    .help("use `x * x`, `tl.exp2(y * tl.log2(x))` or `libdevice.pow`"));
            }
            Operator::MatMult => ScalarOp::Mul,
        };
        let (x, y) = self.operands(a, b, matches!(op, ScalarOp::Div | ScalarOp::Rem))?;
        if op == ScalarOp::Div && x.dtype.is_float() {
            return Err(self
                .error("K004", format!("`//` takes integers, got {a} and {b}"), "here")
                .help("use `/` and `tl.floor`"));
        }
        let bits = matches!(op, ScalarOp::Shl | ScalarOp::Shr | ScalarOp::And | ScalarOp::Or | ScalarOp::Xor);
        if bits && x.dtype.is_float() {
            return Err(self.error("K004", format!("a bitwise operation takes integers, got {a} and {b}"), "here"));
        }
        self.arithmetic(op, x, y).map(Value::Tensor)
    }

    /// A scalar operation on two operands of one type and shape; bools add and multiply as integers of one bit.
    pub fn arithmetic(&mut self, op: ScalarOp, x: Tensor, y: Tensor) -> Result<Tensor> {
        if x.dtype == DType::Bool {
            let one_bit = match op {
                ScalarOp::Add | ScalarOp::Sub => Some(ScalarOp::Xor),
                ScalarOp::Mul => Some(ScalarOp::And),
                _ => None,
            };
            if let Some(op) = one_bit {
                return self.map(op, &[&x, &y]);
            }
            if matches!(
                op,
                ScalarOp::Div | ScalarOp::Rem | ScalarOp::Shl | ScalarOp::Shr | ScalarOp::Min | ScalarOp::Max
            ) {
                let (x, y) = (self.cast(&x, DType::I32)?, self.cast(&y, DType::I32)?);
                let r = self.map(op, &[&x, &y])?;
                return self.cast(&r, DType::Bool);
            }
        }
        self.map(op, &[&x, &y])
    }

    fn true_divide(&mut self, a: &Value, b: &Value) -> Result<Value> {
        let (mut x, mut y) = self.operands(a, b, true)?;
        if !x.dtype.is_float() {
            (x, y) = (self.cast(&x, DType::F32)?, self.cast(&y, DType::F32)?);
        }
        self.map(ScalarOp::Div, &[&x, &y]).map(Value::Tensor)
    }

    /// Two operands brought to their common type and shape.
    pub fn operands(&mut self, a: &Value, b: &Value, division: bool) -> Result<(Tensor, Tensor)> {
        let dtype = self.common_dtype(a, b, division)?;
        let (x, y) = (self.convert(a, dtype)?, self.convert(b, dtype)?);
        self.broadcast_pair(x, y)
    }

    /// The type two operands are computed in.
    pub fn common_dtype(&mut self, a: &Value, b: &Value, division: bool) -> Result<DType> {
        let of = |e: &Self, v: &Value| match v {
            Value::Tensor(t) => Ok(t.dtype),
            Value::Bool(_) => Ok(DType::Bool),
            Value::Float(f) => Ok(promote::of_float(*f)),
            Value::Int(i) => {
                promote::of_int(*i).ok_or_else(|| e.error("K004", format!("{i} does not fit 64 bits"), "here"))
            }
            other => Err(e.error("K004", format!("an operand is {other}, expected a number or a tensor"), "here")),
        };
        let (x, y) = (of(self, a)?, of(self, b)?);
        promote::computation_type(x, a.is_number(), y, b.is_number(), division)
            .map_err(|m| self.error("K004", m, "here"))
    }

    /// A number or tensor in another type.
    pub fn convert(&mut self, v: &Value, dtype: DType) -> Result<Tensor> {
        match v {
            Value::Tensor(t) => self.cast(&t.clone(), dtype),
            v if v.is_number() => self.number(v, dtype),
            other => Err(self.error("K004", format!("expected a number or a tensor, got {other}"), "here")),
        }
    }

    fn offset(&mut self, p: &Pointer, by: &Value, negative: bool) -> Result<Value> {
        if matches!(by, Value::Pointer(_)) {
            return Err(self
                .error("K008", "pointers cannot be added or subtracted", "here")
                .help("an address is a parameter plus integer offsets"));
        }
        let t = self.expect_tensor(by, "the offset of a pointer")?;
        if !t.dtype.is_int() && t.dtype != DType::Bool {
            let what = Value::Tensor(t);
            return Err(self.error("K004", format!("a pointer is moved by integers, not by {what}"), "here"));
        }
        // What the offset is modulo 2^32 decides, since every element that exists lies below 2^31.
        let low = self.low(&t);
        let range: Option<Range> = t.range.filter(|r| crate::affine::within(*r, crate::affine::I32));
        let step = Tensor { id: low, dtype: DType::I32, low: None, range, cond: None, ..t };
        let (base, step) = self.broadcast_pair(p.offset.clone(), step)?;
        let op = if negative { ScalarOp::Sub } else { ScalarOp::Add };
        let offset = self.map(op, &[&base, &step])?;
        Ok(Value::Pointer(Pointer { offset, ..p.clone() }))
    }

    fn unary(&mut self, op: UnaryOp, x: &Value) -> Result<Value> {
        match (op, x) {
            (UnaryOp::Not, v) => match v.truth() {
                Some(t) => return Ok(Value::Bool(!t)),
                None => {
                    let t = self.expect_tensor(v, "the operand of `not`")?;
                    let t = self.cast(&t, DType::Bool)?;
                    return self.map(ScalarOp::Not, &[&t]).map(Value::Tensor);
                }
            },
            (UnaryOp::UAdd, v) => return Ok(v.clone()),
            (UnaryOp::USub, Value::Int(v)) => return Ok(Value::Int(-v)),
            (UnaryOp::USub, Value::Float(v)) => return Ok(Value::Float(-v)),
            (UnaryOp::USub, Value::Bool(v)) => return Ok(Value::Int(-(*v as i128))),
            (UnaryOp::Invert, v) if v.as_int().is_some() => return Ok(Value::Int(!v.as_int().unwrap_or(0))),
            _ => {}
        }
        let t = self.expect_tensor(x, "the operand")?;
        if op == UnaryOp::USub {
            if !t.dtype.is_float() {
                let zero = self.number(&Value::Int(0), t.dtype)?;
                let (zero, t) = self.broadcast_pair(zero, t)?;
                return self.arithmetic(ScalarOp::Sub, zero, t).map(Value::Tensor);
            }
            return self.map(ScalarOp::Neg, &[&t]).map(Value::Tensor);
        }
        if t.dtype.is_float() {
            return Err(self.error("K004", format!("`~` takes integers, got {x}"), "here"));
        }
        self.map(ScalarOp::Not, &[&t]).map(Value::Tensor)
    }

    fn bool_op(&mut self, op: BoolOp, values: &[Expr]) -> Result<Value> {
        let mut result: Option<Value> = None;
        for e in values {
            if let Some(done) = result.as_ref().and_then(Value::truth)
                && done == (op == BoolOp::Or)
            {
                break;
            }
            let v = self.expr(e)?;
            result = Some(match result {
                None => v,
                // Constants before were true (for `and`) or false (for `or`): they do not matter.
                Some(before) if before.is_const() => v,
                Some(before) => match v.truth() {
                    Some(t) if t == (op == BoolOp::And) => before,
                    Some(_) => v,
                    None => {
                        let (x, y) = (self.truth_tensor(&before)?, self.truth_tensor(&v)?);
                        let (x, y) = self.broadcast_pair(x, y)?;
                        let op = if op == BoolOp::And { ScalarOp::And } else { ScalarOp::Or };
                        Value::Tensor(self.map(op, &[&x, &y])?)
                    }
                },
            });
        }
        Ok(result.unwrap_or(Value::None))
    }

    /// A bool tensor by Triton's rules: not zero.
    pub fn truth_tensor(&mut self, v: &Value) -> Result<Tensor> {
        let t = self.expect_tensor(v, "a condition")?;
        self.cast(&t, DType::Bool)
    }

    fn comparison(&mut self, left: &Expr, ops: &[CmpOp], rights: &[Expr]) -> Result<Value> {
        let whole = self.here;
        let mut x = self.expr(left)?;
        let mut all: Option<Value> = None;
        for (op, right) in ops.iter().zip(rights) {
            let y = self.expr(right)?;
            self.enter(whole);
            let one = self.compare(*op, &x, &y)?;
            all = Some(match all {
                None => one,
                Some(before) => match (before.truth(), one.truth()) {
                    (Some(false), _) => before,
                    (Some(true), _) => one,
                    (None, Some(true)) => before,
                    (None, Some(false)) => one,
                    (None, None) => {
                        let (a, b) = (self.truth_tensor(&before)?, self.truth_tensor(&one)?);
                        let (a, b) = self.broadcast_pair(a, b)?;
                        Value::Tensor(self.map(ScalarOp::And, &[&a, &b])?)
                    }
                },
            });
            x = y;
        }
        Ok(all.unwrap_or(Value::Bool(true)))
    }

    /// One comparison.
    pub fn compare(&mut self, op: CmpOp, a: &Value, b: &Value) -> Result<Value> {
        if matches!(op, CmpOp::Is | CmpOp::IsNot) || (a.is_const() && b.is_const()) {
            return match constant::compare(op, a, b) {
                Some(v) => Ok(Value::Bool(v)),
                None => Err(self.error("K004", format!("{a} and {b} do not compare"), "here")),
            };
        }
        let none = |v: &Value| matches!(v, Value::None | Value::Str(_) | Value::Type(_));
        if none(a) || none(b) {
            return match op {
                CmpOp::Eq => Ok(Value::Bool(false)),
                CmpOp::NotEq => Ok(Value::Bool(true)),
                _ => Err(self.error("K004", format!("{a} and {b} do not compare"), "here")),
            };
        }
        let op = match op {
            CmpOp::Eq => ScalarOp::Eq,
            CmpOp::NotEq => ScalarOp::Ne,
            CmpOp::Lt => ScalarOp::Lt,
            CmpOp::LtE => ScalarOp::Le,
            CmpOp::Gt => ScalarOp::Gt,
            CmpOp::GtE => ScalarOp::Ge,
            _ => return Err(self.error("K002", format!("`{}` of tensors", op.as_str()), "here")),
        };
        if let (Value::Pointer(p), Value::Pointer(q)) = (a, b) {
            if p.param != q.param {
                return Err(self.error("K008", "pointers of different parameters do not compare", "here"));
            }
            let (x, y) = self.broadcast_pair(p.offset.clone(), q.offset.clone())?;
            return self.map(op, &[&x, &y]).map(Value::Tensor);
        }
        let (x, y) = self.operands(a, b, false)?;
        self.map(op, &[&x, &y]).map(Value::Tensor)
    }

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
                    let n = list.len() as i128;
                    let clamp = |v: i128| (if v < 0 { v + n } else { v }).clamp(0, n) as usize;
                    let (lo, hi) = (clamp(bound(self, &s.lower, 0)?), clamp(bound(self, &s.upper, n)?));
                    return Ok(Value::tuple(list[lo..hi.max(lo)].to_vec()));
                }
                let i = self.expr(index)?;
                let Some(i) = i.as_int() else { return Err(self.not_constant("the index of a tuple")) };
                let at = if i < 0 { i + list.len() as i128 } else { i };
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
