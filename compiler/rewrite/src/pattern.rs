//! Patterns over the e-graph, written as text: `(div ?x (add 1 (exp (neg ?x))))`.
//!
//! `?x` is any class, a number is a class whose every element is that number, `(head ..)` is a node whose head is a
//! scalar operation, a kind of operation (`dot`, `reduce`, ..) or a known composite (`softmax`); `head@d` binds the
//! node's operation to `d`. Commutative operations match in any order, and `add` and `mul` with more than two
//! operands match a chain of them, so that no rule has to make the e-graph commutative or associative.

use crate::egraph::{self, EGraph, ENode, OpId};
use egg::Id;
use girih_base::ScalarOp;
use girih_graph::ops::Rule as _;
use girih_graph::{Number, Op};
use smallvec::SmallVec;

/// A parsed pattern.
#[derive(Clone, Debug, PartialEq)]
pub enum Pat {
    /// Any class, bound to a slot.
    Var(usize),
    /// A class whose elements are all this number.
    Number(f64),
    /// A node.
    Node {
        /// What kind of node.
        head: Head,
        /// Slot that its operation is bound to.
        bind: Option<usize>,
        /// Its operands.
        kids: Vec<Pat>,
    },
}

/// What kind of node a pattern node is.
#[derive(Clone, Debug, PartialEq)]
pub enum Head {
    /// A scalar operation.
    Map(ScalarOp),
    /// Any scalar operation (`map` in the text) with as many operands.
    AnyMap,
    /// A kind of operation, by its name in the text form.
    Kind(String),
    /// A call of a composite of that name.
    Composite(String),
}

/// The kinds of operation that patterns may name; any other word that is not a scalar operation is a composite.
const KINDS: &[&str] = &[
    "cast",
    "bitcast",
    "reshape",
    "permute",
    "broadcast",
    "slice",
    "pad",
    "reverse",
    "window",
    "concat",
    "dot",
    "reduce",
    "scan",
    "gather",
    "iota",
    "proj",
];

/// A pattern with the names of its slots.
#[derive(Clone, Debug)]
pub struct Pattern {
    /// The tree.
    pub root: Pat,
    /// Names of classes (`x` of `?x`), by slot.
    pub vars: Vec<String>,
    /// Names of operations (`d` of `dot@d`), by slot.
    pub ops: Vec<String>,
}

/// What the slots of a pattern are bound to.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Subst {
    vars: SmallVec<[Option<Id>; 6]>,
    ops: SmallVec<[Option<OpId>; 4]>,
    /// Classes that the search may still look into.
    steps: usize,
}

/// Classes that the search from one node looks into at most. Chains of sums and products match in any order, and a class
/// holds every order that rules have found: without a limit, what there is to try grows exponentially with the chain.
const STEPS: usize = 4096;

/// One match: the bindings and the class they were found at.
pub struct Match<'a> {
    /// The pattern.
    pub pattern: &'a Pattern,
    /// The bindings.
    pub subst: &'a Subst,
    /// The class that the pattern's root matched.
    pub root: Id,
}

impl Pattern {
    /// Parses a pattern; the error says what is not understood.
    pub fn parse(text: &str) -> Result<Pattern, String> {
        let spaced = text.replace('(', " ( ").replace(')', " ) ");
        let mut tokens = spaced.split_whitespace();
        let mut pattern = Pattern { root: Pat::Number(0.0), vars: Vec::new(), ops: Vec::new() };
        let first = tokens.next().ok_or("empty pattern")?;
        pattern.root = pattern.term(first, &mut tokens)?;
        match tokens.next() {
            None => Ok(pattern),
            Some(t) => Err(format!("`{t}` after the end of `{text}`")),
        }
    }

    /// Parses a right side, whose variables must be those of this pattern.
    pub fn parse_rhs(&self, text: &str) -> Result<Pat, String> {
        let mut names = Pattern { root: Pat::Number(0.0), vars: self.vars.clone(), ops: self.ops.clone() };
        let spaced = text.replace('(', " ( ").replace(')', " ) ");
        let mut tokens = spaced.split_whitespace();
        let first = tokens.next().ok_or("empty right side")?;
        let rhs = names.term(first, &mut tokens)?;
        if names.vars.len() > self.vars.len() { Err(format!("`{text}` has unbound variables")) } else { Ok(rhs) }
    }

    fn term<'t>(&mut self, token: &str, rest: &mut impl Iterator<Item = &'t str>) -> Result<Pat, String> {
        if let Some(name) = token.strip_prefix('?') {
            return Ok(Pat::Var(slot(&mut self.vars, name)));
        }
        if token != "(" {
            return token.parse().map(Pat::Number).map_err(|_| format!("`{token}` is not a variable or a number"));
        }
        let head = rest.next().ok_or("unexpected end")?;
        let (name, bind) = match head.split_once('@') {
            Some((name, bind)) => (name, Some(slot(&mut self.ops, bind))),
            None => (head, None),
        };
        let head = match ScalarOp::from_name(name) {
            Some(op) => Head::Map(op),
            None if name == "map" => Head::AnyMap,
            None if KINDS.contains(&name) => Head::Kind(name.into()),
            None => Head::Composite(name.into()),
        };
        let mut kids = Vec::new();
        loop {
            match rest.next().ok_or("unexpected end")? {
                ")" => return Ok(Pat::Node { head, bind, kids }),
                t => kids.push(self.term(t, rest)?),
            }
        }
    }

    /// Calls `found` for every match at node `node`, of those that a limited search comes upon; gives the number of classes it
    /// looked into.
    pub fn search_node(&self, eg: &EGraph, node: &ENode, found: &mut dyn FnMut(Subst)) -> usize {
        let mut subst = Subst { steps: STEPS, ..Subst::default() };
        subst.vars.resize(self.vars.len(), None);
        subst.ops.resize(self.ops.len(), None);
        match_node(eg, &self.root, node, &mut subst, &mut |s| found(Subst { steps: 0, ..s.clone() }));
        STEPS - subst.steps
    }

    /// Calls `found` for every match in class `root`.
    pub fn search(&self, eg: &EGraph, root: Id, found: &mut dyn FnMut(Subst)) {
        for node in &eg[root].nodes {
            self.search_node(eg, node, found);
        }
    }

    /// Whether a node can be the root of a match, judged by its operation alone.
    pub fn may_start(&self, op: &Op) -> bool {
        match &self.root {
            Pat::Node { head, .. } => head.is(op),
            _ => true,
        }
    }
}

fn slot(names: &mut Vec<String>, name: &str) -> usize {
    names.iter().position(|n| n == name).unwrap_or_else(|| {
        names.push(name.into());
        names.len() - 1
    })
}

impl Head {
    fn is(&self, op: &Op) -> bool {
        match (self, op) {
            (Head::Map(a), Op::Map(b)) => a == b,
            (Head::AnyMap, Op::Map(_)) => true,
            (Head::Kind(name), _) => op.name() == name,
            (Head::Composite(name), Op::Call(c)) => *c.callee.name == **name,
            _ => false,
        }
    }
}

/// Whether the order of two operands does not matter.
pub fn commutes(op: ScalarOp) -> bool {
    use ScalarOp::*;
    matches!(op, Add | Mul | Min | Max | And | Or | Xor | Eq | Ne)
}

type Next<'n> = &'n mut dyn FnMut(&mut Subst);

fn match_class(eg: &EGraph, pat: &Pat, id: Id, s: &mut Subst, next: Next) {
    if s.steps == 0 {
        return;
    }
    s.steps -= 1;
    let id = eg.find(id);
    match pat {
        Pat::Var(v) => match s.vars[*v] {
            Some(bound) if eg.find(bound) != id => {}
            Some(_) => next(s),
            None => {
                s.vars[*v] = Some(id);
                next(s);
                s.vars[*v] = None;
            }
        },
        Pat::Number(n) => {
            if eg[id].data.splat.is_some_and(|v| close(v, *n)) {
                next(s);
            }
        }
        Pat::Node { .. } => {
            for node in &eg[id].nodes {
                match_node(eg, pat, node, s, next);
            }
        }
    }
}

/// Equality of a constant with a literal of a rule. Literals that no binary float holds (0.7071..) allow for the
/// rounding of the user's program to f32; they occur in rules of class `reassoc` only.
fn close(value: Number, want: f64) -> bool {
    let value = value.as_f64();
    let holds = want.is_infinite() || (want * 4.0).fract() == 0.0;
    value == want || (!holds && (value - want).abs() <= 1e-6 * want.abs())
}

fn match_node(eg: &EGraph, pat: &Pat, node: &ENode, s: &mut Subst, next: Next) {
    let Pat::Node { head, bind, kids } = pat else { return };
    if !head.is(egraph::op(eg, node)) {
        return;
    }
    let before = bind.map(|b| s.ops[b]);
    // A name bound twice stands for one operation.
    if before.flatten().is_some_and(|op| op != node.op) {
        return;
    }
    if let Some(b) = bind {
        s.ops[*b] = Some(node.op);
    }
    match head {
        Head::Map(op) if kids.len() > node.kids.len() && matches!(op, ScalarOp::Add | ScalarOp::Mul) => {
            let terms = node.kids.iter().map(|k| eg.find(*k)).collect();
            match_chain(eg, *op, kids, terms, 0, s, next);
        }
        Head::Map(op) if commutes(*op) && kids.len() == 2 && node.kids.len() == 2 => {
            match_list(eg, kids, &node.kids, s, next);
            if node.kids[0] != node.kids[1] {
                match_list(eg, kids, &[node.kids[1], node.kids[0]], s, next);
            }
        }
        _ if kids.len() == node.kids.len() => match_list(eg, kids, &node.kids, s, next),
        _ => {}
    }
    if let (Some(b), Some(old)) = (bind, before) {
        s.ops[*b] = old;
    }
}

fn match_list(eg: &EGraph, pats: &[Pat], ids: &[Id], s: &mut Subst, next: Next) {
    match (pats, ids) {
        ([p, ps @ ..], [i, is @ ..]) => match_class(eg, p, *i, s, &mut |s| match_list(eg, ps, is, s, next)),
        _ => next(s),
    }
}

/// Opens operands (from position `from` on) that are themselves `op` until there are as many as patterns.
fn match_chain(
    eg: &EGraph,
    op: ScalarOp,
    pats: &[Pat],
    mut terms: SmallVec<[Id; 8]>,
    from: usize,
    s: &mut Subst,
    next: Next,
) {
    if terms.len() == pats.len() {
        return match_any_order(eg, pats, &mut terms, s, next);
    }
    for at in from..terms.len() {
        if s.steps == 0 {
            return;
        }
        s.steps -= 1;
        for inner in eg[terms[at]].nodes.iter().filter(|n| matches!(egraph::op(eg, n), Op::Map(o) if *o == op)) {
            let mut opened = terms.clone();
            opened.remove(at);
            opened.insert_many(at, inner.kids.iter().map(|k| eg.find(*k)));
            match_chain(eg, op, pats, opened, at, s, next);
        }
    }
}

fn match_any_order(eg: &EGraph, pats: &[Pat], ids: &mut SmallVec<[Id; 8]>, s: &mut Subst, next: Next) {
    let Some((first, rest)) = pats.split_first() else { return next(s) };
    for i in 0..ids.len() {
        let id = ids.remove(i);
        let mut left = ids.clone();
        match_class(eg, first, id, s, &mut |s| match_any_order(eg, rest, &mut left, s, next));
        ids.insert(i, id);
    }
}

impl Match<'_> {
    /// The class bound to `?name`. Rules ask only for names in their pattern; a test builds every rule.
    pub fn id(&self, name: &str) -> Option<Id> {
        let at = self.pattern.vars.iter().position(|n| n == name)?;
        self.subst.vars[at]
    }

    /// The operation bound to `@name`, as the payload of its kind.
    pub fn op<'e>(&self, eg: &'e EGraph, name: &str) -> Option<&'e Op> {
        let at = self.pattern.ops.iter().position(|n| n == name)?;
        self.subst.ops[at].map(|o| eg.analysis.op(o))
    }

    /// The class of a variable by slot.
    pub fn var(&self, slot: usize) -> Option<Id> {
        self.subst.vars.get(slot).copied().flatten()
    }
}

/// `payload!(m, eg, "d", Dot)`: the attributes of the operation bound to `@d`, cloned.
macro_rules! payload {
    ($m:expr, $b:expr, $name:literal, $kind:ident) => {
        match $m.op(&$b.eg, $name)? {
            girih_graph::Op::$kind(p) => p.clone(),
            _ => return None,
        }
    };
}
pub(crate) use payload;
