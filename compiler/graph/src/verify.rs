//! What every graph must hold to, checked anew.
//!
//! The builder checks each node when it is added. This checks the whole: nodes that a pass or a parser made, outputs,
//! the rule for state, bodies, and symbols. A graph that verifies can be evaluated, printed and lowered, or is refused
//! with a diagnostic; it never panics a later stage.

use crate::graph::{Graph, NodeId, ParamKind};
use crate::ops::{Op, Rule};
use crate::text::attrs::{Field, Item};
use crate::ty::Ty;
use girih_base::{Diag, Dim, Known, Loc, Result, Symbol};
use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

/// Bodies inside each other; passes walk them recursively.
const MAX_BODIES: usize = 64;

impl Graph {
    /// Checks the graph and every body it reaches, each once.
    ///
    /// # Errors
    /// `G101` a node's operands or type do not fit its operation; `G102` outputs or parameters do not hold together
    /// (with `n` state parameters, the last `n` outputs are their new values, in order and of their types); `G103` one
    /// symbol name with different bounds; `G104` an extent that is negative or too large; `G105` a callee's attributes
    /// are not in name order; `G106` too many bodies inside each other.
    pub fn verify(&self) -> Result<()> {
        let mut verifier = Verifier::default();
        verifier.graph(self, 0)?;
        check_state(self)
    }

    /// Every symbol of the graph and its bodies, in name order.
    ///
    /// # Errors
    /// `G103` as in [`Graph::verify`], and whatever else it refuses.
    pub fn symbols(&self) -> Result<Vec<Symbol>> {
        let mut verifier = Verifier::default();
        verifier.graph(self, 0)?;
        Ok(verifier.symbols.into_values().collect())
    }
}

#[derive(Default)]
struct Verifier {
    // Bodies seen, by address; looked up only.
    seen: HashSet<usize>,
    symbols: BTreeMap<Arc<str>, Symbol>,
}

impl Verifier {
    fn graph(&mut self, graph: &Graph, depth: usize) -> Result<()> {
        if depth > MAX_BODIES {
            return Err(Diag::error("G106", format!("more than {MAX_BODIES} bodies inside each other")));
        }
        for id in graph.ids() {
            self.node(graph, id, depth)
                .map_err(|e| e.note(format!("in `{}`, value {}", graph.name, title(graph, id))))?;
        }
        for (i, output) in graph.outputs().iter().enumerate() {
            if output.0 as usize >= graph.len() {
                return Err(Diag::error("G102", format!("output {i} of `{}` is no value of it", graph.name)));
            }
        }
        Ok(())
    }

    fn node(&mut self, graph: &Graph, id: NodeId, depth: usize) -> Result<()> {
        let node = graph.node(id);
        self.ty(&node.ty, &node.loc)?;
        for (_, item) in node.op.attrs() {
            self.item(&item, &node.loc, depth)?;
        }
        let operands = graph.operands(id);
        if let Op::Param(p) = &node.op {
            return match graph.params().get(p.index) {
                Some(param) if *param == id && operands.is_empty() => Ok(()),
                _ => {
                    Err(Diag::error("G102", format!("parameter {} is not where it says", p.index))
                        .at(&node.loc, "here"))
                }
            };
        }
        let tys: Vec<&Ty> = operands.iter().map(|o| graph.ty(*o)).collect();
        match node.op.infer(&tys) {
            Ok(ty) if ty == node.ty => Ok(()),
            Ok(ty) => {
                let message = format!("{} gives {ty}, its node says {}", node.op.name(), node.ty);
                Err(Diag::error("G101", message).at(&node.loc, "this operation"))
            }
            Err(why) => {
                let diag = Diag::error("G101", format!("{}: {why}", node.op.name())).at(&node.loc, "this operation");
                Err(operands.iter().fold(diag, |d, o| d.note(format!("operand {}", title(graph, *o)))))
            }
        }
    }

    fn ty(&mut self, ty: &Ty, loc: &Loc) -> Result<()> {
        match ty {
            Ty::Tuple(items) => items.iter().try_for_each(|t| self.ty(t, loc)),
            Ty::Tensor(t) => t.shape.iter().try_for_each(|d| {
                if (d + 1).known_le(&Dim::ZERO) == Known::Yes {
                    return Err(Diag::error("G104", format!("a negative extent in {t}")).at(loc, "this value"));
                }
                self.dim(d, loc)
            }),
        }
    }

    fn dim(&mut self, dim: &Dim, loc: &Loc) -> Result<()> {
        if dim.is_too_large() {
            return Err(Diag::error("G104", "a size is too large").at(loc, "this value"));
        }
        for symbol in dim.symbols() {
            if symbol.min > symbol.max || symbol.multiple_of < 1 {
                return Err(Diag::error("G103", format!("the symbol `{}` has no values", symbol.name)).at(loc, "here"));
            }
            match self.symbols.get(&symbol.name) {
                Some(known) if *known != symbol => {
                    return Err(Diag::error("G103", format!("the symbol `{}` has two meanings", symbol.name))
                        .at(loc, "the second is used here")
                        .note(format!("first {}", bounds(known)))
                        .note(format!("then {}", bounds(&symbol)))
                        .help("give different sizes different names"));
                }
                Some(_) => {}
                None => {
                    self.symbols.insert(symbol.name.clone(), symbol);
                }
            }
        }
        Ok(())
    }

    fn item(&mut self, item: &Item, loc: &Loc, depth: usize) -> Result<()> {
        match item {
            Item::Dim(d) => self.dim(d, loc),
            Item::Type(t) => self.ty(&t.clone().into(), loc),
            Item::List(items) | Item::Call(_, items) => items.iter().try_for_each(|i| self.item(i, loc, depth)),
            Item::Body(body) if self.seen.insert(Arc::as_ptr(body) as usize) => self.graph(body, depth + 1),
            Item::Callee(callee) if self.seen.insert(Arc::as_ptr(callee) as usize) => {
                if callee.attrs.windows(2).any(|w| w[0].0 >= w[1].0) {
                    let message = format!("the attributes of `{}` are not in name order", callee.name);
                    return Err(Diag::error("G105", message).at(loc, "called here"));
                }
                callee.attrs.iter().try_for_each(|(_, a)| self.item(&a.item(), loc, depth))?;
                self.graph(&callee.body, depth + 1)
            }
            _ => Ok(()),
        }
    }
}

fn check_state(graph: &Graph) -> Result<()> {
    let is_state = |id: &&NodeId| matches!(graph.op(**id), Op::Param(p) if p.kind == ParamKind::State);
    let states: Vec<&NodeId> = graph.params().iter().filter(is_state).collect();
    let Some(first) = graph.outputs().len().checked_sub(states.len()) else {
        let (n, have) = (states.len(), graph.outputs().len());
        return Err(Diag::error("G102", format!("{n} state parameters, but only {have} outputs"))
            .help("the last outputs are the new values of the state parameters, in order"));
    };
    for (state, output) in states.into_iter().zip(&graph.outputs()[first..]) {
        if graph.ty(*state) != graph.ty(*output) {
            let node = graph.node(*state);
            let message = format!("the new value of state {} is {}", title(graph, *state), graph.ty(*output));
            return Err(Diag::error("G102", message).at(&node.loc, "this parameter"));
        }
    }
    Ok(())
}

fn title(graph: &Graph, id: NodeId) -> String {
    let node = graph.node(id);
    match &node.name {
        Some(name) => format!("%{} `{name}`: {}", id.0, node.ty),
        None => format!("%{}: {}", id.0, node.ty),
    }
}

fn bounds(s: &Symbol) -> String {
    format!("{}..={}, a multiple of {}", s.min, s.max, s.multiple_of)
}
