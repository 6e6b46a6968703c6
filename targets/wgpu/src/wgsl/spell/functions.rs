//! Functions beside `main`: rows of the helper table filled in for a type, and expansions of operations.

use super::super::expr::Expr;
use super::super::helpers::{self, Lanes};
use super::{Spell, Typed, constant, type_name};
use girih_base::scalar::Output;
use girih_base::scalar::expr::{Expr as RowExpr, ScalarBuilder};
use girih_base::{DType, Scalar, ScalarOp};
use girih_simt::Ty;

impl Spell {
    /// A call of a helper function, which is emitted then.
    pub fn helper(&mut self, name: &str, lanes: u8, args: &[Expr]) -> Result<Expr, String> {
        let function = self.require(name, lanes)?;
        Ok(Expr::call(&function, args))
    }

    fn require(&mut self, name: &str, lanes: u8) -> Result<String, String> {
        let Some(row) = helpers::find(name) else {
            return Err(format!("no helper `{name}`"));
        };
        let suffix = if lanes == 1 { String::new() } else { lanes.to_string() };
        let function = format!("girih_{name}{suffix}");
        if self.functions.contains_key(&function) {
            return Ok(function);
        }
        let fill = |text: &str| {
            let text = if lanes == 1 { plain_literals(text) } else { text.to_string() };
            let of = |dtype| type_name(Ty { dtype, lanes });
            let text =
                text.replace("$T", &of(DType::F32)).replace("$U", &of(DType::U32)).replace("$I", &of(DType::I32));
            let text =
                text.replace("$D", &of(DType::F64)).replace("$L", &of(DType::I64)).replace("$M", &of(DType::U64));
            text.replace("$B", &of(DType::Bool)).replace("$n", &suffix)
        };
        let text = if row.lanes == Lanes::Any || lanes == 1 {
            for other in row.needs {
                self.require(other, if row.lanes == Lanes::Any { lanes } else { 1 })?;
            }
            fill(row.text)
        } else {
            let one = self.require(name, 1)?;
            let names = &["x", "y", "z"][..row.arity];
            let params: Vec<String> = names.iter().map(|n| format!("{n}: {}", fill(row.types[0]))).collect();
            let call =
                |c: &str| format!("{one}({})", names.iter().map(|n| format!("{n}.{c}")).collect::<Vec<_>>().join(", "));
            let calls: Vec<String> = ["x", "y", "z", "w"][..lanes as usize].iter().map(|c| call(c)).collect();
            let result = fill(row.types[1]);
            format!(
                "fn {function}({}) -> {result} {{\n    return {result}({});\n}}",
                params.join(", "),
                calls.join(", ")
            )
        };
        self.functions.insert(function.clone(), text);
        Ok(function)
    }

    /// A function made from the row's expansion, called.
    pub(super) fn expansion(&mut self, op: ScalarOp, ty: Ty, args: &[Expr]) -> Result<Expr, String> {
        let row = op.row();
        let lanes = if ty.lanes == 1 { String::new() } else { ty.lanes.to_string() };
        let dtype = if ty.dtype == DType::F32 { String::new() } else { format!("_{}", ty.dtype) };
        let function = format!("girih_{}{dtype}{lanes}", row.name);
        if !self.functions.contains_key(&function) {
            let parsed = RowExpr::parse(row.expand.unwrap_or_default())?;
            let operands: Vec<Typed> = ["x", "y", "z"][..row.arity].iter().map(|n| (Expr::atom(*n), ty)).collect();
            let mut rows = RowBuilder { spell: self, failed: None };
            let body = parsed.build(&mut rows, &operands, None).0;
            if let Some(why) = rows.failed {
                return Err(why);
            }
            let result = Ty { dtype: if row.output == Output::Bool { DType::Bool } else { ty.dtype }, lanes: ty.lanes };
            let params: Vec<String> = operands.iter().map(|(e, t)| format!("{}: {}", e.text, type_name(*t))).collect();
            let text = format!(
                "// {}\nfn {function}({}) -> {} {{\n    return {};\n}}",
                row.doc,
                params.join(", "),
                type_name(result),
                body.text
            );
            self.functions.insert(function.clone(), text);
        }
        Ok(Expr::call(&function, args))
    }
}

/// The template without `$T( )` around literals, which scalars do not need.
fn plain_literals(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        let (before, marked) = rest.split_at(at);
        out.push_str(before);
        let inner = marked
            .get(3..)
            .and_then(|r| r.split_once(')'))
            .map(|(inner, _)| inner)
            .filter(|_| marked[2..].starts_with('('));
        match inner {
            Some(inner)
                if !inner.is_empty()
                    && inner.chars().all(|c| c.is_ascii_alphanumeric() || ".-".contains(c))
                    && inner.starts_with(|c: char| c.is_ascii_digit() || c == '-') =>
            {
                out.push_str(inner);
                rest = &marked[inner.len() + 4..];
            }
            Some(inner) if inner.starts_with("bitcast<f32>(0x") => {
                out.push_str(inner);
                out.push(')');
                rest = &marked[inner.len() + 5..];
            }
            _ => {
                out.push('$');
                rest = &marked[1..];
            }
        }
    }
    out + rest
}

struct RowBuilder<'s> {
    spell: &'s mut Spell,
    failed: Option<String>,
}

impl ScalarBuilder for RowBuilder<'_> {
    type Value = Typed;

    fn number(&mut self, value: f64, like: &Typed) -> Typed {
        let value = if like.1.dtype.is_float() { Scalar::Float(value) } else { Scalar::Int(value as i128) };
        let ty = Ty::scalar(like.1.dtype);
        (constant(value, ty), ty)
    }

    fn apply(&mut self, op: ScalarOp, args: &[Typed]) -> Typed {
        let lanes = args.iter().map(|a| a.1.lanes).max().unwrap_or(1);
        let last = Ty { lanes, ..args[args.len() - 1].1 };
        let dtypes: Vec<DType> = args.iter().map(|a| a.1.dtype).collect();
        let ty = Ty { dtype: op.infer(&dtypes).unwrap_or(last.dtype), lanes: last.lanes };
        let plain = args.iter().all(|a| a.0.text.parse::<f64>().is_ok());
        if op == ScalarOp::Neg && plain && last.dtype.is_float() {
            let value = args[0].0.text.parse::<f64>().unwrap_or(0.0);
            return (constant(Scalar::Float(-value), ty), ty);
        }
        match self.spell.map(op, args, last.lanes) {
            Ok(e) => (e, ty),
            Err(why) => {
                self.failed.get_or_insert(why);
                (Expr::atom("0"), ty)
            }
        }
    }
}
