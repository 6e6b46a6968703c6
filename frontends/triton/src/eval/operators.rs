//! Operators: Python's between constants, Triton's where a tensor is involved.

use super::{Eval, constant, promote};
use crate::affine::Range;
use crate::value::{Pointer, Tensor, Value};
use girih_base::{DType, Result, ScalarOp};
use ruff_python_ast::{BoolOp, CmpOp, Expr, Operator, UnaryOp};

impl Eval<'_> {
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
            return Err(self
                .error("K004", format!("a bitwise operation takes integers, got {a} and {b}"), "here")
                .help("`.to(tl.int32, bitcast=True)` gives the bits of a float, `.to(tl.int32)` its whole part"));
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

    pub fn true_divide(&mut self, a: &Value, b: &Value) -> Result<Value> {
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
            Value::Foreign(name) => Err(e.foreign(name)),
            other => {
                let what = format!("an operand is {}, expected a number or a tensor", other.quoted());
                let d = e.error("K004", what, "here");
                Err(match other {
                    Value::Pointer(_) => {
                        d.help("`tl.load` gives what a pointer points to; integers can be added to it")
                    }
                    _ => d,
                })
            }
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
            Value::Foreign(name) => Err(self.foreign(name)),
            other => Err(self.error("K004", format!("expected a number or a tensor, got {}", other.quoted()), "here")),
        }
    }

    pub fn offset(&mut self, p: &Pointer, by: &Value, negative: bool) -> Result<Value> {
        if matches!(by, Value::Pointer(_)) {
            return Err(self
                .error("K008", "pointers cannot be added or subtracted", "here")
                .help("an address is a parameter plus integer offsets"));
        }
        let t = self.expect_tensor(by, "the offset of a pointer")?;
        if !t.dtype.is_int() && t.dtype != DType::Bool {
            let what = Value::Tensor(t);
            return Err(self
                .error("K004", format!("a pointer is moved by integers, not by {what}"), "here")
                .help("offsets count elements: divide integers with `//`, or cast with `.to(tl.int32)`"));
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

    pub fn unary(&mut self, op: UnaryOp, x: &Value) -> Result<Value> {
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
            (UnaryOp::USub, Value::Int(v)) => {
                let negative = v.checked_neg().map(Value::Int);
                return negative.ok_or_else(|| self.error("K004", "this constant is too large", "here"));
            }
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

    pub fn bool_op(&mut self, op: BoolOp, values: &[Expr]) -> Result<Value> {
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
                Some(before) if before.truth().is_some() => v,
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

    pub fn comparison(&mut self, left: &Expr, ops: &[CmpOp], rights: &[Expr]) -> Result<Value> {
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
        if let (Value::Foreign(name), _) | (_, Value::Foreign(name)) = (a, b) {
            return Err(self.foreign(name));
        }
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
}
