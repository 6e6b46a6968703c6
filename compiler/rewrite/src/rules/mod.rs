//! Rewrite rules: one constant each, grouped by theme. `README.md` beside this file is law.

use crate::build::Build;
use crate::pattern::{Match, Pat, Pattern};
use egg::Id;
use std::sync::OnceLock;

mod activation;
mod attention;
pub mod check;
mod dots;
mod index;
mod norm;
mod quant;
mod reduces;
mod rope;
mod scalar;
mod views;

/// How far a rule keeps results.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Class {
    /// Bit for bit (on floats: up to the sign of zero and the choice of NaN).
    Exact,
    /// Equal over the reals; floats round elsewhere.
    Reassoc,
    /// Close, not equal.
    Approx,
}

/// When a rule applies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Phase {
    /// Always: fewer or cheaper operations, names recognised.
    Simplify,
    /// Alternatives among which the cost model chooses.
    Algebra,
    /// Composite operations recognised from plain ones.
    Composite,
}

/// Position of a rule in [`all`].
pub type RuleId = u16;

/// The right side of a rule.
#[derive(Clone, Copy)]
pub(crate) enum Rhs {
    /// Scalar operations of the matched variables; literals have the type of the matched class.
    Text(&'static str),
    /// Anything else; `None` where the rule does not apply.
    Build(fn(&mut Build, &Match) -> Option<Id>),
}

/// A directed rewrite: where `lhs` matches, `rhs` is equal.
#[derive(Clone, Copy)]
pub struct Rule {
    /// Name, shown by `explain`.
    pub name: &'static str,
    /// How far it keeps results.
    pub class: Class,
    /// When it applies.
    pub phase: Phase,
    /// The pattern (see `pattern.rs`).
    pub lhs: &'static str,
    pub(crate) rhs: Rhs,
    pub(crate) when: Option<fn(&Build, &Match) -> bool>,
}

impl Rule {
    pub(crate) const fn text(name: &'static str, class: Class, lhs: &'static str, rhs: &'static str) -> Rule {
        Rule { name, class, phase: Phase::Simplify, lhs, rhs: Rhs::Text(rhs), when: None }
    }

    pub(crate) const fn build(
        name: &'static str,
        class: Class,
        phase: Phase,
        lhs: &'static str,
        rhs: fn(&mut Build, &Match) -> Option<Id>,
    ) -> Rule {
        Rule { name, class, phase, lhs, rhs: Rhs::Build(rhs), when: None }
    }

    pub(crate) const fn when(mut self, condition: fn(&Build, &Match) -> bool) -> Rule {
        self.when = Some(condition);
        self
    }

    /// The right side as text, when the rule is written as text on both sides.
    pub fn rhs_text(&self) -> Option<&'static str> {
        match self.rhs {
            Rhs::Text(t) => Some(t),
            Rhs::Build(_) => None,
        }
    }
}

/// Every rule, in a fixed order.
pub fn all() -> &'static [Rule] {
    static ALL: OnceLock<Vec<Rule>> = OnceLock::new();
    ALL.get_or_init(|| {
        let groups = [
            scalar::RULES,
            activation::RULES,
            views::RULES,
            reduces::RULES,
            dots::RULES,
            quant::RULES,
            norm::RULES,
            rope::RULES,
            attention::RULES,
        ];
        groups.concat()
    })
}

/// A rule ready to run.
pub(crate) struct Compiled {
    pub id: RuleId,
    pub rule: &'static Rule,
    pub pattern: Pattern,
    pub rhs: Option<Pat>,
}

/// Every rule, parsed. A rule whose text does not parse would be missing here; a test counts them.
pub(crate) fn compiled() -> &'static [Compiled] {
    static COMPILED: OnceLock<Vec<Compiled>> = OnceLock::new();
    COMPILED.get_or_init(|| {
        let parse = |(id, rule): (usize, &'static Rule)| {
            let pattern = Pattern::parse(rule.lhs).ok()?;
            let rhs = match rule.rhs {
                Rhs::Text(t) => Some(pattern.parse_rhs(t).ok()?),
                Rhs::Build(_) => None,
            };
            Some(Compiled { id: id as RuleId, rule, pattern, rhs })
        };
        all().iter().enumerate().filter_map(parse).collect()
    })
}

impl Compiled {
    /// Builds the right side for a match; `None` when a condition fails or the result cannot be typed.
    pub fn apply(&self, b: &mut Build, m: &Match) -> Option<Id> {
        if self.rule.when.is_some_and(|ok| !ok(b, m)) {
            return None;
        }
        let new = match (&self.rule.rhs, &self.rhs) {
            (Rhs::Build(f), _) => f(b, m)?,
            (Rhs::Text(_), Some(pat)) => instantiate(b, pat, m)?,
            (Rhs::Text(_), None) => return None,
        };
        (b.fact(new).ty == b.fact(m.root).ty).then_some(new)
    }
}

fn instantiate(b: &mut Build, pat: &Pat, m: &Match) -> Option<Id> {
    match pat {
        Pat::Var(v) => m.var(*v),
        Pat::Number(n) => {
            let ty = b.ty(m.root)?;
            b.number(*n, &ty)
        }
        Pat::Node { head: crate::pattern::Head::Map(op), kids, .. } => {
            let kids: Option<Vec<Id>> = kids.iter().map(|k| instantiate(b, k, m)).collect();
            b.map(*op, &kids?)
        }
        Pat::Node { .. } => None,
    }
}

/// Number of rules whose patterns parse; the tests compare it with the number of rules.
pub fn parsed() -> usize {
    compiled().len()
}
