//! Kernels by their names: with template arguments, and with the types of their parameters where several have one name.

use crate::ast::{Function, Role, TemplateArg, TypeExpr};
use crate::lower;
use crate::module::{KernelInfo, Module, deep};
use crate::parse;
use girih_base::{Diag, Result};

/// `k<float, 4>(float*, int)` in its parts.
struct Asked<'a> {
    name: &'a str,
    args: Vec<TemplateArg>,
    types: Option<Vec<TemplateArg>>,
}

/// Where the bracket at the start of the text closes.
fn closing(text: &str) -> Option<usize> {
    let (mut round, mut angle) = (0, 0);
    text.char_indices().find_map(|(at, c)| {
        match c {
            '(' => round += 1,
            ')' => round -= 1,
            '<' if round == 0 => angle += 1,
            '>' if round == 0 => angle -= 1,
            _ => {}
        }
        (round == 0 && angle == 0).then_some(at + c.len_utf8())
    })
}

impl Module {
    fn asked<'a>(&self, kernel: &'a str) -> Result<Asked<'a>> {
        let wrong = || {
            Diag::error("U007", format!("`{kernel}` names no kernel"))
                .help("a kernel is named as `k`, `k<float, 4>` or `k(float*, int)`")
        };
        let (name, mut rest) = kernel.split_at(kernel.find(['<', '(']).unwrap_or(kernel.len()));
        let arguments = |text: &str| deep(|| parse::arguments(text, &self.program))?;
        let mut args = Vec::new();
        if rest.starts_with('<') {
            // What does not close is told by the parser.
            let (list, after) = rest.split_at(closing(rest).unwrap_or(rest.len()));
            args = arguments(list)?;
            rest = after.trim_start();
        }
        let types = match rest.trim_end() {
            "" => None,
            list if list.starts_with('(') && closing(list) == Some(list.len()) => {
                let types = arguments(&format!("<{}>", &list[1..list.len() - 1]));
                Some(types.map_err(|_| wrong().note(format!("`{list}` are no types that the file knows")))?)
            }
            _ => return Err(wrong()),
        };
        Ok(Asked { name: name.trim(), args, types })
    }

    /// The number of the function that a kernel's name means, and its template arguments.
    pub(crate) fn find(&self, kernel: &str) -> Result<(usize, Vec<TemplateArg>)> {
        let Asked { name, args, types } = self.asked(kernel)?;
        let functions = &self.program.functions;
        let wrong = |what: String| Diag::error("U007", what);
        let mut found: Vec<usize> =
            (0..functions.len()).filter(|i| &*functions[*i].name == name && is_kernel(&functions[*i])).collect();
        // A specialisation for exactly these arguments comes first.
        let special =
            |i: &usize| functions[*i].special.as_ref().is_some_and(|s| !args.is_empty() && same_arguments(s, &args));
        if let Some(i) = found.iter().copied().find(special) {
            return Ok((i, Vec::new()));
        }
        found.retain(|i| functions[*i].special.is_none());
        let all = found.clone();
        found.retain(|i| functions[*i].template.len() >= args.len());
        if let (Some(types), true) = (&types, !found.is_empty()) {
            let mut exact = Vec::new();
            for i in &found {
                if deep(|| lower::takes(&self.program, *i, &args, types))?? {
                    exact.push(*i);
                }
            }
            // Those that differ in what is const have the same types otherwise.
            let constant =
                |i: &usize| functions[*i].params.iter().zip(types).all(|(p, t)| is_const(&p.ty) == asks_const(t));
            if exact.len() > 1 && exact.iter().any(constant) {
                exact.retain(constant);
            }
            if exact.is_empty() {
                return Err(wrong(format!("no kernel `{name}` takes these parameters: `{kernel}`"))
                    .note(format!("kernels: {}", self.signatures(&found))));
            }
            found = exact;
        } else if args.is_empty() && found.iter().any(|i| functions[*i].template.is_empty()) {
            // As in C++, what is no template comes first.
            found.retain(|i| functions[*i].template.is_empty());
        }
        match &found[..] {
            [only] => Ok((*only, args)),
            [first, ..] => Err(wrong(format!("there are {} kernels `{name}`", found.len()))
                .note(format!("kernels: {}", self.signatures(&found)))
                .help(format!("name one with the types of its parameters: `{}`", signature(&functions[*first])))),
            [] => {
                if let Some(f) = all.first().map(|i| &functions[*i]) {
                    let n = f.template.len();
                    return Err(wrong(format!("kernel `{name}` takes {n} template arguments, got {}", args.len())));
                }
                let list: Vec<String> = self.kernels().into_iter().map(|k| k.handle).collect();
                let mut d = wrong(format!("there is no kernel `{name}`")).note(format!("kernels: {}", list.join(", ")));
                let names = |names: &[std::sync::Arc<str>]| names.iter().any(|n| &**n == name);
                if let Some((_, why)) = self.program.skipped.iter().find(|(n, _)| names(n)) {
                    d = d.note(format!("an item that names it did not parse: {why}"));
                }
                Err(d)
            }
        }
    }

    fn signatures(&self, functions: &[usize]) -> String {
        let list: Vec<String> = functions.iter().map(|i| signature(&self.program.functions[*i])).collect();
        list.join(", ")
    }

    /// The kernel of a name, which may have template arguments and the types of parameters: `scale<float>`, `scale(float*, int)`.
    ///
    /// # Errors
    /// `U007` where there is none, or several.
    pub fn kernel(&self, name: &str) -> Result<KernelInfo> {
        let (function, _) = self.find(name)?;
        Ok(self.info(&self.program.functions[function]))
    }

    /// The kernels in the file, in order.
    pub fn kernels(&self) -> Vec<KernelInfo> {
        self.program.functions.iter().filter(|f| is_kernel(f)).map(|f| self.info(f)).collect()
    }

    fn info(&self, f: &Function) -> KernelInfo {
        let same = |g: &&Function| g.name == f.name && is_kernel(g) && g.special.is_none();
        let several = f.special.is_none() && self.program.functions.iter().filter(same).count() > 1;
        KernelInfo {
            name: f.name.to_string(),
            handle: if several { signature(f) } else { f.name.to_string() },
            template: f.template.iter().map(|t| format!("{}{}", t.name, if t.pack { "..." } else { "" })).collect(),
            params: f.params.iter().map(|p| p.name.to_string()).collect(),
            place: self.program.sources.loc(f.at).to_string(),
        }
    }

    /// Whether a kernel's name, without anything behind it, means several kernels.
    pub fn overloaded(&self, name: &str) -> bool {
        self.program.functions.iter().filter(|f| &*f.name == name && is_kernel(f) && f.special.is_none()).count() > 1
    }
}

fn is_kernel(f: &Function) -> bool {
    f.role == Role::Kernel && !f.body.is_empty()
}

fn is_const(t: &TypeExpr) -> bool {
    matches!(t, TypeExpr::Pointer(_, true, _))
}

fn asks_const(t: &TemplateArg) -> bool {
    matches!(t, TemplateArg::Type(t) if is_const(t))
}

/// `k(const float*, int)`.
fn signature(f: &Function) -> String {
    let types: Vec<String> = f.params.iter().map(|p| spelled(&p.ty) + if p.pack { "..." } else { "" }).collect();
    format!("{}({})", f.name, types.join(", "))
}

fn spelled(t: &TypeExpr) -> String {
    match t {
        TypeExpr::Void => "void".into(),
        TypeExpr::Auto => "auto".into(),
        TypeExpr::Scalar(s) => s.name().into(),
        TypeExpr::Named(n) => {
            let part = |p: &crate::ast::Part| {
                let args = p.args.as_ref().map(|args| {
                    let list: Vec<String> = args
                        .iter()
                        .map(|a| match a {
                            TemplateArg::Type(t) => spelled(t),
                            TemplateArg::Value(e) => format!("{:?}", e.kind),
                        })
                        .collect();
                    format!("<{}>", list.join(", "))
                });
                format!("{}{}", p.id, args.unwrap_or_default())
            };
            n.parts.iter().map(part).collect::<Vec<_>>().join("::")
        }
        TypeExpr::Pointer(to, constant, _) => format!("{}{}*", if *constant { "const " } else { "" }, spelled(to)),
        TypeExpr::Reference(to, constant) => format!("{}{}&", if *constant { "const " } else { "" }, spelled(to)),
        TypeExpr::Array(to, _) => format!("{}*", spelled(to)),
        TypeExpr::Decltype(_) => "decltype(...)".into(),
        TypeExpr::Function => "a function".into(),
    }
}

fn same_arguments(a: &[TemplateArg], b: &[TemplateArg]) -> bool {
    a.len() == b.len()
        && a.iter().zip(b).all(|(x, y)| match (x, y) {
            (TemplateArg::Type(TypeExpr::Scalar(x)), TemplateArg::Type(TypeExpr::Scalar(y))) => x == y,
            (TemplateArg::Type(TypeExpr::Named(x)), TemplateArg::Type(TypeExpr::Named(y))) => {
                x.last().id == y.last().id
            }
            (TemplateArg::Value(x), TemplateArg::Value(y)) => format!("{:?}", x.kind) == format!("{:?}", y.kind),
            _ => false,
        })
}
