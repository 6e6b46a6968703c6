//! `<type_traits>`: questions about types, as values (`is_same_v<A, B>`, `is_same<A, B>::value`) and as types.

use super::template::{FALSE, TRUE};
use super::value::Tv;
use super::*;
use crate::ast::*;

/// Whether it is a trait with a truth value.
pub(crate) fn known(name: &str) -> bool {
    let stem = name.strip_suffix("_v").unwrap_or(name);
    matches!(
        stem,
        "is_same"
            | "is_floating_point"
            | "is_integral"
            | "is_arithmetic"
            | "is_signed"
            | "is_unsigned"
            | "is_pointer"
            | "is_void"
            | "is_class"
    )
}

impl Lowerer<'_> {
    /// The truth value of a trait. Half and bfloat16 are structs to C++.
    pub(super) fn type_trait(&mut self, name: &str, args: &[TemplateArg], at: At) -> R<bool> {
        let stem = name.strip_suffix("_v").unwrap_or(name);
        let mut types = Vec::new();
        for a in args {
            types.push(self.template_type(a, at)?);
        }
        let number = |t: &Type| t.scalar().filter(|s| !s.narrow_float());
        Ok(match (stem, &types[..]) {
            ("is_same", [a, b]) => a == b,
            ("is_floating_point", [t]) => number(t).is_some_and(Scalar::is_float),
            ("is_integral", [t]) => number(t).is_some_and(Scalar::is_int),
            ("is_arithmetic", [t]) => number(t).is_some(),
            ("is_signed", [t]) => number(t).is_some_and(Scalar::signed),
            ("is_unsigned", [t]) => number(t).is_some_and(|s| !s.signed()),
            ("is_pointer", [t]) => matches!(t, Type::Pointer(_)),
            ("is_void", [t]) => *t == Type::Void,
            ("is_class", [t]) => {
                let made = matches!(t, Type::Struct(_) | Type::Vector(..) | Type::Lambda(_) | Type::Functor(_));
                made || t.scalar().is_some_and(Scalar::narrow_float)
            }
            _ => return Err(self.err("U004", at, format!("`{stem}` with {} arguments", types.len()))),
        })
    }

    /// `trait_v<T>`, `trait<T>::value`, `std::true_type::value`.
    pub(super) fn trait_value(&mut self, n: &Name, at: At) -> R<Option<Tv>> {
        let truth = |yes: bool| Ok(Some(Tv::int(yes as i128, Scalar::Bool)));
        let part = n.last();
        if let (true, Some(args)) = (part.id.ends_with("_v") && known(&part.id), &part.args) {
            let yes = self.type_trait(&part.id, &args.clone(), at)?;
            return truth(yes);
        }
        let Some(owner) = n.parts.len().checked_sub(2).map(|i| n.parts[i].clone()).filter(|_| &*part.id == "value")
        else {
            return Ok(None);
        };
        match &owner.args {
            Some(args) if known(&owner.id) => {
                let yes = self.type_trait(&owner.id, args, at)?;
                truth(yes)
            }
            _ if matches!(&*owner.id, "true_type" | "false_type" | "bool_constant" | "integral_constant") => {
                let name = Name { parts: n.parts[..n.parts.len() - 1].to_vec(), at: n.at };
                let t = self.ty(&TypeExpr::Named(name), at)?;
                if t == TRUE || t == FALSE { truth(t == TRUE) } else { Ok(None) }
            }
            _ => Ok(None),
        }
    }
}
