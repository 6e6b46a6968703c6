//! Graph to text.

use super::attrs::Item;
use crate::graph::{Graph, NodeId, ParamKind};
use crate::ops::{Callee, Op, Rule};
use crate::ty::{TensorTy, Ty};
use girih_base::{Dim, Loc, Symbol};
use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::sync::Arc;

/// Words that a symbol must not be printed as, since sizes and numbers use them.
pub(super) const RESERVED: &[&str] = &["floordiv", "mod", "min", "max", "inf", "nan"];

/// The whole graph with the bodies it needs.
pub fn print(graph: &Graph) -> String {
    graph.to_string()
}

impl fmt::Display for Graph {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut module = Module::default();
        module.visit(self);
        for s in &module.symbols {
            write!(f, "symbol {} {}..={}", symbol_name(&s.name), s.min, s.max)?;
            writeln!(f, "{}", if s.multiple_of == 1 { String::new() } else { format!(" step {}", s.multiple_of) })?;
        }
        if !module.symbols.is_empty() {
            writeln!(f)?;
        }
        for def in &module.defs {
            match def {
                Def::Body(label, body) => {
                    write!(f, "graph @{label} ")?;
                    module.graph(f, body)?;
                }
                Def::Callee(label, callee) => {
                    write!(f, "callee @{label} {:?} {{", &*callee.name)?;
                    for (i, (name, attr)) in callee.attrs.iter().enumerate() {
                        write!(f, "{}{name} = ", if i > 0 { ", " } else { "" })?;
                        module.item(f, &super::attrs::Field::item(attr))?;
                    }
                    write!(f, "}}\ngraph ")?;
                    module.graph(f, &callee.body)?;
                }
            }
            writeln!(f)?;
        }
        write!(f, "graph ")?;
        module.graph(f, self)
    }
}

enum Def {
    Body(String, Arc<Graph>),
    Callee(String, Arc<Callee>),
}

/// The bodies a graph needs, in the order of their definition, and every symbol.
#[derive(Default)]
struct Module {
    defs: Vec<Def>,
    // By address; looked up only, never walked.
    labels: HashMap<usize, String>,
    symbols: BTreeSet<Symbol>,
}

impl Module {
    fn visit(&mut self, graph: &Graph) {
        for id in graph.ids() {
            let node = graph.node(id);
            self.visit_ty(&node.ty);
            node.op.attrs().iter().for_each(|(_, item)| self.visit_item(item));
        }
    }

    fn visit_ty(&mut self, ty: &Ty) {
        match ty {
            Ty::Tensor(t) => t.shape.iter().for_each(|d| self.symbols.extend(d.symbols())),
            Ty::Tuple(items) => items.iter().for_each(|t| self.visit_ty(t)),
        }
    }

    fn visit_item(&mut self, item: &Item) {
        match item {
            Item::Dim(d) => self.symbols.extend(d.symbols()),
            Item::Type(t) => t.shape.iter().for_each(|d| self.symbols.extend(d.symbols())),
            Item::List(items) | Item::Call(_, items) => items.iter().for_each(|i| self.visit_item(i)),
            Item::Body(body) => {
                let key = Arc::as_ptr(body) as usize;
                if !self.labels.contains_key(&key) {
                    self.visit(body);
                    let label = self.define(key, &body.name);
                    self.defs.push(Def::Body(label, body.clone()));
                }
            }
            Item::Callee(callee) => {
                let key = Arc::as_ptr(callee) as usize;
                if !self.labels.contains_key(&key) {
                    self.visit(&callee.body);
                    callee.attrs.iter().for_each(|(_, a)| self.visit_item(&super::attrs::Field::item(a)));
                    let label = self.define(key, &callee.name);
                    self.defs.push(Def::Callee(label, callee.clone()));
                }
            }
            Item::Int(_) | Item::Float(_) | Item::Word(_) | Item::Text(_) | Item::Bytes(_) => {}
        }
    }

    /// A label that nothing else has: the name as a word, then a number.
    fn define(&mut self, key: usize, name: &str) -> String {
        let word: String = name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
        let start = if word.starts_with(|c: char| c.is_ascii_alphabetic()) { "" } else { "b" };
        let label = format!("{start}{word}_{}", self.defs.len());
        self.labels.insert(key, label.clone());
        label
    }

    fn graph(&self, f: &mut fmt::Formatter<'_>, graph: &Graph) -> fmt::Result {
        writeln!(f, "{:?} {{", graph.name)?;
        for id in graph.ids() {
            self.node(f, graph, id)?;
        }
        writeln!(f, "  return{}\n}}", list(graph.outputs()))
    }

    fn node(&self, f: &mut fmt::Formatter<'_>, graph: &Graph, id: NodeId) -> fmt::Result {
        let node = graph.node(id);
        let name = match &node.op {
            Op::Param(p) => param_word(p.kind),
            op => op.name(),
        };
        write!(f, "  %{} = {name}{}", id.0, list(&graph.operands(id)))?;
        let attrs = node.op.attrs();
        if !attrs.is_empty() {
            f.write_str(" {")?;
            for (i, (name, item)) in attrs.iter().enumerate() {
                write!(f, "{}{name} = ", if i > 0 { ", " } else { "" })?;
                self.item(f, item)?;
            }
            f.write_str("}")?;
        }
        f.write_str(" : ")?;
        write_ty(f, &node.ty)?;
        if let Some(name) = &node.name {
            write!(f, " as {:?}", &**name)?;
        }
        write_loc(f, &node.loc)?;
        writeln!(f)
    }

    fn item(&self, f: &mut fmt::Formatter<'_>, item: &Item) -> fmt::Result {
        match item {
            Item::Int(i) => write!(f, "{i}"),
            Item::Float(v) => write_float(f, *v),
            Item::Dim(d) => f.write_str(&dim_text(d)),
            Item::Word(w) => f.write_str(w),
            Item::Text(t) => write!(f, "{:?}", &**t),
            Item::Bytes(bytes) => {
                f.write_str("0x")?;
                bytes.iter().try_for_each(|b| write!(f, "{b:02x}"))
            }
            Item::Type(t) => write_tensor(f, t),
            Item::List(items) => self.items(f, "[", items, "]"),
            Item::Call(name, items) => {
                f.write_str(name)?;
                self.items(f, "(", items, ")")
            }
            Item::Body(body) => self.label(f, Arc::as_ptr(body) as usize),
            Item::Callee(callee) => self.label(f, Arc::as_ptr(callee) as usize),
        }
    }

    fn items(&self, f: &mut fmt::Formatter<'_>, open: &str, items: &[Item], close: &str) -> fmt::Result {
        f.write_str(open)?;
        for (i, item) in items.iter().enumerate() {
            f.write_str(if i > 0 { ", " } else { "" })?;
            self.item(f, item)?;
        }
        f.write_str(close)
    }

    fn label(&self, f: &mut fmt::Formatter<'_>, key: usize) -> fmt::Result {
        write!(f, "@{}", self.labels.get(&key).map_or("", |l| l))
    }
}

/// The word a parameter of that kind is written with.
pub(super) fn param_word(kind: ParamKind) -> &'static str {
    match kind {
        ParamKind::Input => "input",
        ParamKind::Weight => "weight",
        ParamKind::State => "state",
    }
}

fn list(ids: &[NodeId]) -> String {
    let mut out = String::new();
    for (i, id) in ids.iter().enumerate() {
        out.push_str(if i > 0 { ", %" } else { " %" });
        out.push_str(&id.0.to_string());
    }
    out
}

fn write_ty(f: &mut fmt::Formatter<'_>, ty: &Ty) -> fmt::Result {
    match ty {
        Ty::Tensor(t) => write_tensor(f, t),
        Ty::Tuple(items) => {
            f.write_str("(")?;
            for (i, t) in items.iter().enumerate() {
                f.write_str(if i > 0 { ", " } else { "" })?;
                write_ty(f, t)?;
            }
            f.write_str(")")
        }
    }
}

fn write_tensor(f: &mut fmt::Formatter<'_>, t: &TensorTy) -> fmt::Result {
    let shape: Vec<String> = t.shape.iter().map(dim_text).collect();
    write!(f, "{}[{}]", t.dtype, shape.join(", "))
}

fn write_loc(f: &mut fmt::Formatter<'_>, loc: &Loc) -> fmt::Result {
    let (mut site, mut word) = (Some(loc), "at");
    while let Some((here, (file, line, column))) = site.and_then(|l| Some((l, l.position()?))) {
        write!(f, " {word} {file:?}:{line}:{column}")?;
        (site, word) = (here.call_site(), "from");
    }
    Ok(())
}

/// Shortest decimal that reads back to the same bits; NaN with its bits unless it is the usual one.
fn write_float(f: &mut fmt::Formatter<'_>, v: f64) -> fmt::Result {
    match v {
        _ if v.is_nan() && v.to_bits() == f64::NAN.to_bits() => f.write_str("nan"),
        _ if v.is_nan() => write!(f, "nan({})", v.to_bits()),
        f64::INFINITY => f.write_str("inf"),
        f64::NEG_INFINITY => f.write_str("-inf"),
        _ => write!(f, "{v:?}"),
    }
}

fn dim_text(dim: &Dim) -> String {
    let plain = |name: &str| symbol_name(name) == name;
    if dim.symbols().iter().all(|s| plain(&s.name)) {
        return dim.to_string();
    }
    dim.map_symbols(&|s| Dim::from(Symbol { name: symbol_name(&s.name).into(), ..s.clone() })).to_string()
}

/// A symbol's name as it is written: a plain word, or any text in backticks.
fn symbol_name(name: &str) -> String {
    let word = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    if word && !RESERVED.contains(&name) {
        return name.into();
    }
    let mut out = String::from("`");
    for c in name.chars() {
        match c {
            '`' | '\\' => {
                out.push('\\');
                out.push(c);
            }
            '\n' => out.push_str("\\n"),
            c => out.push(c),
        }
    }
    out.push('`');
    out
}
