//! Template arguments from the types of a call.

use super::*;

impl Lowerer<'_> {
    /// Matches a parameter's type with an argument's, binding template parameters.
    pub fn deduce(&mut self, pattern: &TypeExpr, actual: &Type, params: &[TemplateParam], env: &mut Env) {
        match (pattern, actual) {
            (TypeExpr::Named(n), t) if n.parts.len() == 1 && n.last().args.is_none() => {
                let id = &n.last().id;
                if params.iter().any(|p| p.name == *id && p.value.is_none()) && !env.contains_key(id) {
                    env.insert(id.clone(), Binding::Type(t.clone()));
                }
            }
            (TypeExpr::Named(n), Type::Group(Group::Tile(size))) => {
                if let Some(
                    TemplateArg::Type(TypeExpr::Named(a)) | TemplateArg::Value(Expr { kind: ExprKind::Name(a), .. }),
                ) = n.last().args.as_ref().and_then(|a| a.first())
                {
                    let id = a.last().id.clone();
                    if params.iter().any(|p| p.name == id) {
                        env.entry(id).or_insert(Binding::Place(Place::Value(Tv::int(*size as i128, Scalar::Int))));
                    }
                }
            }
            (TypeExpr::Named(n), Type::Struct(id)) => {
                let inst = &self.structs[*id as usize];
                let def = &self.p.structs[inst.def];
                if def.name != n.last().id && !self.p.aliases.contains_key(&n.last().id) {
                    return;
                }
                let bound: Vec<Option<Binding>> = def.template.iter().map(|p| inst.env.get(&p.name).cloned()).collect();
                for (a, b) in n.last().args.iter().flatten().zip(bound) {
                    match (a, b) {
                        (TemplateArg::Type(t), Some(Binding::Type(actual))) => {
                            let t = t.clone();
                            self.deduce(&t, &actual, params, env);
                        }
                        (
                            TemplateArg::Type(TypeExpr::Named(x))
                            | TemplateArg::Value(Expr { kind: ExprKind::Name(x), .. }),
                            Some(b),
                        ) => {
                            let id = x.last().id.clone();
                            if params.iter().any(|p| p.name == id) {
                                env.entry(id).or_insert(b);
                            }
                        }
                        _ => {}
                    }
                }
            }
            (TypeExpr::Pointer(p, ..), Type::Pointer(t)) => self.deduce(p, t, params, env),
            (TypeExpr::Pointer(p, ..), Type::Array(t, _)) => self.deduce(p, t, params, env),
            (TypeExpr::Array(p, None), Type::Pointer(t) | Type::Array(t, _)) => self.deduce(p, t, params, env),
            (TypeExpr::Array(p, Some(n)), Type::Array(t, len)) => {
                if let ExprKind::Name(name) = &n.kind {
                    let id = name.last().id.clone();
                    if params.iter().any(|p| p.name == id) {
                        env.entry(id).or_insert(Binding::Place(Place::Value(Tv::int(*len as i128, Scalar::ULong))));
                    }
                }
                self.deduce(p, t, params, env);
            }
            (TypeExpr::Array(p, Some(_)), Type::Pointer(t)) => self.deduce(p, t, params, env),
            (TypeExpr::Reference(p, _), t) => self.deduce(p, t, params, env),
            _ => {}
        }
    }
}
