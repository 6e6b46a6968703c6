//! `printf`, `assert` and `__trap`: lines and failures that reach the host through the debug buffer.

use super::super::value::{Tv, Val};
use super::*;
use girih_base::DType;
use girih_base::print::{Count, conversion, escape};

/// What to write instead of what cannot be printed.
const LITERAL: &str = "give the format, and every `%s`, as a string literal";

impl Lowerer<'_> {
    /// A call of `printf`, `assert` and their kin.
    pub(super) fn report(&mut self, id: &str, args: &[Expr], at: At) -> R<Option<Tv>> {
        match (id, args) {
            ("printf", [format, rest @ ..]) => self.printf(format, rest, at).map(Some),
            ("assert", [c]) => {
                let holds = self.value(c)?;
                let holds = self.truth(holds, at)?;
                self.loc(at);
                if holds.known() != Some(1) {
                    let holds = self.id(&holds.v, Scalar::Bool);
                    let text = self.p.sources.inside(at).unwrap_or_default();
                    self.guard(|l| l.b.effect(Op::Assert(holds, text.into())));
                }
                Ok(Some(Tv::void()))
            }
            ("__assert_fail" | "__trap" | "abort", _) => {
                let text = match args.first().map(|e| &e.kind) {
                    Some(ExprKind::Text(t)) => t.to_string(),
                    _ => format!("{id}()"),
                };
                self.loc(at);
                let never = self.bool_const(false);
                self.guard(|l| l.b.effect(Op::Assert(never, text.into())));
                Ok(Some(Tv::void()))
            }
            _ => Ok(None),
        }
    }

    /// A line; the value is the number of arguments, as CUDA has it.
    fn printf(&mut self, format: &Expr, args: &[Expr], at: At) -> R<Tv> {
        let ExprKind::Text(format) = &format.kind else {
            return Err(self.refuse(at, "`printf` of a format that is no literal", LITERAL));
        };
        let (mut text, mut values) = (String::new(), Vec::new());
        let mut given = args.iter();
        let mut rest = &**format;
        while let Some(percent) = rest.find('%') {
            text += &escape(&rest[..percent]);
            rest = &rest[percent + 1..];
            if let Some(after) = rest.strip_prefix('%') {
                text.push('%');
                rest = after;
                continue;
            }
            if let Some((after, shown)) = self.string(rest, &mut given, at)? {
                text += &escape(&shown);
                rest = after;
                continue;
            }
            let Some((spec, after)) = conversion(rest) else {
                let help = "the conversions are those of C but for %n and %p: buffers have no addresses";
                return Err(self.refuse(
                    at,
                    format!("`printf` with `%{}`", rest.chars().take(8).collect::<String>()),
                    help,
                ));
            };
            for _ in 1..spec.values() {
                let v = self.printed(given.next(), false, at)?;
                values.push(v);
            }
            let conversion = &rest[..rest.len() - after.len()];
            match self.known_double(given.as_slice().first(), spec.is_float())? {
                // What is known now is written now.
                Some(x) if spec.width != Count::Value && spec.precision != Count::Value => {
                    given.next();
                    let value = girih_base::print::Value { dtype: DType::F64, bits: vec![x.to_bits()] };
                    let pieces = girih_base::print::parse(&format!("{{%{conversion}}}")).unwrap_or_default();
                    text += &escape(&girih_base::print::line(&pieces, &[value]).0);
                }
                _ => {
                    let v = self.printed(given.next(), spec.is_float(), at)?;
                    values.push(v);
                    text += &format!("{{%{conversion}}}");
                }
            }
            rest = after;
        }
        text += &escape(rest);
        // Evaluated though nobody sees them.
        for extra in given {
            self.value(extra)?;
        }
        self.loc(at);
        self.guard(|l| l.b.effect(Op::Print(text.into(), values)));
        Ok(Tv::int(args.len() as i128, Scalar::Int))
    }

    /// `%s`, whose argument must be a literal: what it shows, and the format after it.
    fn string<'f>(
        &self,
        rest: &'f str,
        given: &mut std::slice::Iter<'_, Expr>,
        at: At,
    ) -> R<Option<(&'f str, String)>> {
        let Some(end) = rest.find(|c: char| !(c.is_ascii_digit() || "-.".contains(c))) else { return Ok(None) };
        let Some(after) = rest[end..].strip_prefix('s') else { return Ok(None) };
        let Some(ExprKind::Text(literal)) = given.next().map(|e| &e.kind) else {
            return Err(self.refuse(at, "`%s` of a string that is no literal", LITERAL));
        };
        let (left, size) = rest[..end].strip_prefix('-').map_or((false, &rest[..end]), |size| (true, size));
        let (width, precision) = size.split_once('.').unwrap_or((size, "1000000"));
        let number = |t: &str| t.parse::<usize>().unwrap_or(0).min(1 << 20);
        let shown: String = literal.chars().take(number(precision)).collect();
        let pad = " ".repeat(number(width).min(1024).saturating_sub(shown.chars().count()));
        Ok(Some((after, if left { shown + &pad } else { pad + &shown })))
    }

    /// A float that is a literal of type double.
    fn known_double(&mut self, arg: Option<&Expr>, float: bool) -> R<Option<f64>> {
        let Some(arg) = arg.filter(|e| float && matches!(e.kind, ExprKind::Float(..))) else { return Ok(None) };
        match self.value(arg)?.v {
            Val::Float(x) => Ok(Some(x)),
            _ => Ok(None),
        }
    }

    /// An argument as the record holds it: 32 bits, 64 bits, or two words.
    fn printed(&mut self, arg: Option<&Expr>, float: bool, at: At) -> R<ValueId> {
        let Some(arg) = arg else {
            return Err(self.err("U004", at, "`printf` has fewer arguments than conversions"));
        };
        let v = self.value(arg)?;
        let Some(s) = v.t.scalar() else {
            let t = self.type_name(&v.t);
            let help = "print numbers; pointers have no addresses here, and strings are literals";
            return Err(self.refuse(arg.at, format!("`printf` of {t}"), help));
        };
        if s.is_float() != float {
            let what = if float { "a float" } else { "an integer" };
            return Err(self.err(
                "U004",
                arg.at,
                format!("this conversion of `printf` takes {what}, and gets `{}`", s.name()),
            ));
        }
        // C's promotions; a float stays one, since the host widens it without loss.
        let to = match s {
            Scalar::Double => Scalar::Double,
            s if s.is_float() => Scalar::Float,
            s => s.promote(),
        };
        let v = self.scalar_to(&v, to, arg.at)?;
        if self.reg(to).is_none() {
            let (lo, hi) = self.pair(&v);
            return Ok(self.b.push(Op::MakeVec(vec![lo, hi]), Ty::vec(DType::U32, 2)));
        }
        Ok(self.id(&v, to))
    }
}
