//! Which of two candidates is the better one, and which declare the same function.

use super::*;

impl Lowerer<'_> {
    /// `Less` where the first is the better choice: fewer conversions, then the more special one.
    pub(super) fn compare(&self, a: &Choice, b: &Choice) -> std::cmp::Ordering {
        let rank = |c: &Choice| {
            let f = &self.p.functions[c.function];
            let special: u32 = f.params.iter().map(|p| specific(&p.ty, &f.template)).sum();
            let host = f.role == Role::Host && f.member_of.is_none();
            (c.cost, f.params.iter().any(|p| p.pack), std::cmp::Reverse(special), host)
        };
        rank(a).cmp(&rank(b))
    }

    /// Whether two candidates as good as each other differ only in what is const, so that either will do.
    pub(super) fn may_stand_for(&self, a: usize, b: usize) -> bool {
        let (f, g) = (&self.p.functions[a], &self.p.functions[b]);
        let kinds = |f: &Function| -> Vec<String> {
            f.params.iter().map(|p| self.shape(&p.ty, a, false, 0)).collect::<Vec<_>>()
        };
        match f.member_of {
            // A method and its const twin, or one that hides the base's.
            Some(_) => kinds(f) == kinds(g),
            None => kinds(f) == kinds(g) && !self.same_parameters(a, b),
        }
    }

    /// Whether two functions of one name are the same one, declared twice.
    pub(super) fn same_parameters(&self, a: usize, b: usize) -> bool {
        let (f, g) = (&self.p.functions[a], &self.p.functions[b]);
        let shapes = |i: usize| -> Vec<String> {
            self.p.functions[i].params.iter().map(|p| self.shape(&p.ty, i, true, 0)).collect()
        };
        f.special.is_some() == g.special.is_some()
            && f.template.len().wrapping_sub(f.outer) == g.template.len().wrapping_sub(g.outer)
            && shapes(a) == shapes(b)
    }

    /// A type as written, with template parameters by position and aliases followed; `exact`: with what is const.
    pub(super) fn shape(&self, t: &TypeExpr, function: usize, exact: bool, depth: u32) -> String {
        let again = |t: &TypeExpr| self.shape(t, function, exact, depth + 1);
        if depth > 40 {
            return String::new();
        }
        match t {
            TypeExpr::Void => "void".into(),
            TypeExpr::Auto => "auto".into(),
            TypeExpr::Scalar(s) => s.name().into(),
            TypeExpr::Pointer(t, constant, _) => format!("{}*{}", again(t), if exact && *constant { "c" } else { "" }),
            TypeExpr::Array(t, _) => format!("{}*", again(t)),
            TypeExpr::Reference(t, constant) if exact => format!("{}&{}", again(t), if *constant { "c" } else { "" }),
            TypeExpr::Reference(t, _) => again(t),
            TypeExpr::Decltype(_) => "decltype".into(),
            TypeExpr::Function => "function".into(),
            TypeExpr::Named(n) => self.name_shape(n, function, exact, depth),
        }
    }

    pub(super) fn name_shape(&self, n: &Name, function: usize, exact: bool, depth: u32) -> String {
        let f = &self.p.functions[function];
        let part = n.last();
        let owner = f.member_of.map(|i| &self.p.structs[i]);
        let outer = owner.filter(|_| f.outer == 0).map(|s| &s.template[..]).unwrap_or_default();
        if n.parts.len() == 1 && part.args.is_none() {
            if let Some(i) = outer.iter().chain(&f.template).position(|p| p.name == part.id) {
                return format!("#{i}");
            }
            if let Some((params, t)) = self.p.aliases.get(&part.id).filter(|a| a.0.is_empty()) {
                let _ = params;
                return self.shape(t, function, exact, depth + 1);
            }
            if let Some(s) = crate::types::named_scalar(&part.id) {
                return s.name().into();
            }
        }
        if owner.is_some_and(|s| s.name == part.id) {
            return part.id.to_string();
        }
        let args: Vec<String> = part
            .args
            .iter()
            .flatten()
            .map(|a| match a {
                TemplateArg::Type(t) => self.shape(t, function, exact, depth + 1),
                TemplateArg::Value(Expr { kind: ExprKind::Int(n, _), .. }) => n.to_string(),
                TemplateArg::Value(Expr { kind: ExprKind::Name(n), .. }) => {
                    self.name_shape(n, function, exact, depth + 1)
                }
                TemplateArg::Value(_) => "value".into(),
            })
            .collect();
        if args.is_empty() { part.id.to_string() } else { format!("{}<{}>", part.id, args.join(",")) }
    }
}
