//! The small prefix language of table rows: `(mul y (cos x))`. Derivatives and expansions are written in it, so
//! that a row stays data and every IR can build the same expression with its own builder.

use super::ScalarOp;

/// A parsed row expression.
#[derive(Clone, Debug, PartialEq)]
pub enum Expr {
    /// Operand number (`x` is 0, `y` 1, `z` 2).
    Operand(usize),
    /// The operation's own result, `r`.
    Result,
    /// A literal of the operands' dtype.
    Number(f64),
    /// An operation on expressions.
    Apply(ScalarOp, Vec<Expr>),
}

/// Something that can build scalar expressions: a graph builder, a tile builder, an evaluator.
pub trait ScalarBuilder {
    /// A value of that IR.
    type Value: Clone;
    /// A literal with the dtype (and shape) of `like`.
    fn number(&mut self, value: f64, like: &Self::Value) -> Self::Value;
    /// An operation on values.
    fn apply(&mut self, op: ScalarOp, args: &[Self::Value]) -> Self::Value;
}

impl Expr {
    /// Parses a row expression; the error names the part that is not understood.
    pub fn parse(text: &str) -> Result<Expr, String> {
        let spaced = text.replace('(', " ( ").replace(')', " ) ");
        let mut tokens = spaced.split_whitespace().peekable();
        let expr = parse(&mut tokens, 0)?;
        match tokens.next() {
            None => Ok(expr),
            Some(rest) => Err(format!("`{rest}` after the end of `{text}`")),
        }
    }

    /// Builds the expression with `b`; literals take the dtype of the last operand. Partial derivatives need the
    /// `result`, expansions do not.
    ///
    /// # Panics
    /// When the expression names an operand or a result that is not given. A test rules it out for all rows, given
    /// as many operands as the row's arity.
    pub fn build<B: ScalarBuilder>(&self, b: &mut B, operands: &[B::Value], result: Option<&B::Value>) -> B::Value {
        match self {
            Expr::Operand(i) => operands[*i].clone(),
            Expr::Result => result.expect("a row expression with `r` is built with a result").clone(),
            Expr::Number(v) => b.number(*v, &operands[operands.len() - 1]),
            Expr::Apply(op, args) => {
                let args: Vec<_> = args.iter().map(|a| a.build(b, operands, result)).collect();
                b.apply(*op, &args)
            }
        }
    }
}

/// Deeper text is refused, so that no text can exhaust the stack; rows nest a dozen levels.
const MAX_DEPTH: usize = 64;

fn parse<'a>(tokens: &mut std::iter::Peekable<impl Iterator<Item = &'a str>>, depth: usize) -> Result<Expr, String> {
    if depth > MAX_DEPTH {
        return Err(format!("expressions nest at most {MAX_DEPTH} levels"));
    }
    match tokens.next().ok_or("unexpected end")? {
        "(" => {
            let name = tokens.next().ok_or("unexpected end")?;
            let op = ScalarOp::from_name(name).ok_or_else(|| format!("no operation `{name}`"))?;
            let mut args = Vec::new();
            while tokens.peek().is_some_and(|t| *t != ")") {
                args.push(parse(tokens, depth + 1)?);
            }
            tokens.next().ok_or("unexpected end")?;
            if args.len() != op.arity() {
                return Err(format!("`{name}` takes {} operands, got {}", op.arity(), args.len()));
            }
            Ok(Expr::Apply(op, args))
        }
        "x" => Ok(Expr::Operand(0)),
        "y" => Ok(Expr::Operand(1)),
        "z" => Ok(Expr::Operand(2)),
        "r" => Ok(Expr::Result),
        number => match number.parse::<f64>() {
            Ok(v) if v.is_finite() => Ok(Expr::Number(v)),
            _ => Err(format!("`{number}` is not an operand or a number")),
        },
    }
}
