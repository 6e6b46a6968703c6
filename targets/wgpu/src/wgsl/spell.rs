//! Scalar operations as expressions: the WGSL column of the operation table, with helper functions where it says so.

mod functions;

use super::expr::Expr;
use super::literal::literal;
use girih_base::dtype::Class;
use girih_base::scalar::Wgsl;
use girih_base::{DType, Scalar, ScalarOp};
use girih_simt::Ty;
use std::collections::BTreeMap;

/// The helper functions a kernel needs, by name; each is emitted once.
#[derive(Debug, Default)]
pub struct Spell {
    /// Name to text.
    pub functions: BTreeMap<String, String>,
}

/// An operand with its type.
pub type Typed = (Expr, Ty);

/// The name of a type.
pub fn type_name(ty: Ty) -> String {
    match ty.lanes {
        1 => ty.dtype.name().to_string(),
        n => format!("vec{n}<{}>", ty.dtype),
    }
}

/// A literal in every lane.
pub fn constant(value: Scalar, ty: Ty) -> Expr {
    let (text, plain) = literal(value, ty.dtype);
    match (ty.lanes, plain) {
        (1, true) => Expr::atom(text),
        (1, false) => Expr { level: super::expr::Level::Unary, ..Expr::atom(text) },
        _ => Expr::atom(format!("{}({text})", type_name(ty))),
    }
}

impl Spell {
    /// The expression for `op` with a result of `lanes` lanes.
    ///
    /// # Errors
    /// A sentence when the operation does not exist for the dtype in WGSL.
    pub fn map(&mut self, op: ScalarOp, args: &[Typed], lanes: u8) -> Result<Expr, String> {
        let Some(dtype) = args.last().map(|a| a.1.dtype) else { return Err("an operation without operands".into()) };
        let ty = Ty { dtype, lanes };
        let mixes = matches!(op, ScalarOp::Add | ScalarOp::Sub | ScalarOp::Mul | ScalarOp::Div) && dtype != DType::Bool;
        let x: Vec<Expr> = args.iter().map(|a| if mixes { a.0.clone() } else { spread(a, lanes) }).collect();
        let word = |mask: u32| constant(Scalar::Int(mask as i128), Ty { dtype: DType::U32, lanes });
        let bits = |e: &Expr| {
            Expr::call(&format!("bitcast<{}>", type_name(Ty { dtype: DType::U32, lanes })), std::slice::from_ref(e))
        };
        let back = |e: Expr| Expr::call(&format!("bitcast<{}>", type_name(ty)), &[e]);
        let is_float = dtype.is_float();
        let wide = dtype.bits() == 64;
        if wide && let Some(e) = self.wide(op, ty, &x, &|| count(&args[1], lanes, dtype))? {
            return Ok(e);
        }
        use ScalarOp as S;
        Ok(match op {
            S::Neg if dtype.class() == Class::Unsigned => Expr::infix("-", &constant(Scalar::Int(0), ty), &x[0]),
            S::Abs if dtype.class() == Class::Unsigned => x[0].clone(),
            S::Min | S::Max if dtype == DType::F32 => self.helper(op.name(), lanes, &x)?,
            S::Min | S::Max if dtype.is_int() => Expr::call(op.name(), &x),
            S::Rem if dtype.is_int() => Expr::infix("%", &x[0], &x[1]),
            S::Select => Expr::call("select", &[x[2].clone(), x[1].clone(), x[0].clone()]),
            S::Xor if dtype == DType::Bool => Expr::infix("!=", &x[0], &x[1]),
            S::Xor => Expr::infix("^", &x[0], &x[1]),
            S::Not => Expr::prefix(if dtype == DType::Bool { "!" } else { "~" }, &x[0]),
            S::Ne if is_float => {
                Expr::prefix("!", &Expr { level: super::expr::Level::Relation, ..Expr::infix("==", &x[0], &x[1]) })
            }
            S::Ne => Expr::infix("!=", &x[0], &x[1]),
            S::Lt if dtype == DType::Bool => Expr::infix("&", &Expr::prefix("!", &x[0]), &x[1]),
            S::Gt if dtype == DType::Bool => Expr::infix("&", &x[0], &Expr::prefix("!", &x[1])),
            S::Le if dtype == DType::Bool => Expr::infix("|", &Expr::prefix("!", &x[0]), &x[1]),
            S::Ge if dtype == DType::Bool => Expr::infix("|", &x[0], &Expr::prefix("!", &x[1])),
            S::Lt => Expr::infix("<", &x[0], &x[1]),
            S::Le => Expr::infix("<=", &x[0], &x[1]),
            S::Gt => Expr::infix(">", &x[0], &x[1]),
            S::Ge => Expr::infix(">=", &x[0], &x[1]),
            S::Shl => Expr::infix("<<", &x[0], &count(&args[1], lanes, dtype)),
            S::Shr => Expr::infix(">>", &x[0], &count(&args[1], lanes, dtype)),
            S::LogicalShr if dtype.class() == Class::Unsigned => {
                Expr::infix(">>", &x[0], &count(&args[1], lanes, dtype))
            }
            S::LogicalShr if !wide => back(Expr::infix(">>", &bits(&x[0]), &count(&args[1], lanes, dtype))),
            S::Clz if !wide => Expr::call("countLeadingZeros", &x),
            S::Ctz if !wide => Expr::call("countTrailingZeros", &x),
            S::MulHi if dtype == DType::U32 => self.helper("mul_hi", lanes, &x)?,
            S::MulHi if dtype == DType::I32 => self.helper("mul_hi_int", lanes, &x)?,
            S::FloorDiv if dtype.class() == Class::Unsigned => Expr::infix("/", &x[0], &x[1]),
            S::FloorDiv if dtype == DType::I32 => self.helper("floor_div_int", lanes, &x)?,
            S::Fma if is_float => Expr::call("fma", &x),
            S::IsFinite if dtype == DType::F32 => {
                Expr::infix("<", &Expr::infix("&", &bits(&x[0]), &word(0x7fff_ffff)).grouped(), &word(0x7f80_0000))
            }
            S::CopySign if dtype == DType::F32 => {
                let (size, sign) = (
                    Expr::infix("&", &bits(&x[0]), &word(0x7fff_ffff)),
                    Expr::infix("&", &bits(&x[1]), &word(0x8000_0000)),
                );
                back(Expr::infix("|", &size, &sign))
            }
            S::Rem
            | S::Exp
            | S::Log
            | S::Exp2
            | S::Log2
            | S::Sin
            | S::Cos
            | S::Tanh
            | S::Erf
            | S::Atan2
            | S::Log1p
            | S::Expm1
            | S::Pow
            | S::FloorDiv
            | S::Cbrt
            | S::Sinh
            | S::Cosh
            | S::Softplus
            | S::Asinh
            | S::Acosh
            | S::IsNan
                if dtype == DType::F32 =>
            {
                self.helper(op.name(), lanes, &x)?
            }
            _ => match op.row().wgsl {
                Wgsl::Infix(s) => Expr::infix(s, &x[0], &x[1]),
                Wgsl::Prefix(s) => Expr::prefix(s, &x[0]),
                Wgsl::Call(f)
                    if !(wide && is_float) || matches!(op, S::Abs | S::Floor | S::Ceil | S::Trunc | S::Sqrt) =>
                {
                    Expr::call(f, &x)
                }
                Wgsl::Expand => self.expansion(op, ty, &x)?,
                _ => return Err(format!("WGSL has no `{}` on {dtype}", op.name())),
            },
        })
    }

    /// A conversion by value.
    ///
    /// # Errors
    /// A sentence when WGSL has no such conversion.
    pub fn cast(&mut self, from: &Typed, to: DType) -> Result<Expr, String> {
        let (x, ty) = from;
        if let Some(e) = self.wide_cast(from, to)? {
            return Ok(e);
        }
        let zero = || constant(if ty.dtype.is_float() { Scalar::Float(0.0) } else { Scalar::Int(0) }, *ty);
        Ok(match (ty.dtype, to) {
            (a, b) if a == b => x.clone(),
            (a, DType::Bool) if a.is_float() => Expr::prefix("!", &Expr::infix("==", x, &zero())),
            (_, DType::Bool) => Expr::infix("!=", x, &zero()),
            (DType::F32, DType::I32) => self.helper("to_int", ty.lanes, std::slice::from_ref(x))?,
            (DType::F32, DType::U32) => self.helper("to_uint", ty.lanes, std::slice::from_ref(x))?,
            (a, b) if a.is_float() && !b.is_float() => return Err(format!("no exact conversion from {a} to {b}")),
            _ => Expr::call(&type_name(Ty { dtype: to, lanes: ty.lanes }), std::slice::from_ref(x)),
        })
    }
}

/// A scalar operand where lanes are wanted.
fn spread((e, ty): &Typed, lanes: u8) -> Expr {
    if ty.lanes == lanes {
        e.clone()
    } else {
        Expr::call(&type_name(Ty { dtype: ty.dtype, lanes }), std::slice::from_ref(e))
    }
}

/// A shift count: u32, taken modulo the width.
fn count(arg: &Typed, lanes: u8, dtype: DType) -> Expr {
    let ty = Ty { dtype: DType::U32, lanes };
    let mask = dtype.bits() - 1;
    let text = arg.0.text.as_str();
    let inner = |t| text.strip_prefix(&format!("{}(", type_name(t)))?.strip_suffix(')');
    let digits = inner(arg.1).unwrap_or(text).trim_end_matches(['u', 'i', 'l']);
    if let Ok(n) = digits.parse::<u32>() {
        return constant(Scalar::Int((n & mask) as i128), ty);
    }
    let x = spread(arg, lanes);
    let x = if arg.1.dtype == DType::U32 { x } else { Expr::call(&type_name(ty), &[x]) };
    Expr::infix("&", &x, &constant(Scalar::Int(mask as i128), ty))
}
