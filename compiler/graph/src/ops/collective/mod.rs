//! `Collective`: values exchanged between the replicas of one program.
//!
//! A graph with collectives is the program of each of several replicas (SPMD), which stand along named axes of known
//! size. Member `p` of a group gives `x_p` and gets `y_p`:
//!
//! | kind | result | cotangent |
//! |---|---|---|
//! | `all_reduce(sum)` | `y_p = sum_q x_q` | `all_reduce(sum)` |
//! | `all_reduce(prod, max, min)` | `y_p = fold_q x_q` | the fold's own, after `all_gather`, then `reduce_scatter` |
//! | `all_gather(a)` | all `x_q` joined along axis `a` | `reduce_scatter(a)` |
//! | `reduce_scatter(a)` | part `p` along `a` of `sum_q x_q` | `all_gather(a)` |
//! | `all_to_all(s, c)` | part `p` along `s` of each `x_q`, joined along `c` | `all_to_all(c, s)` |
//! | `permute([[q, p], ..])` | `y_p = x_q`, zeros where nobody sends to `p` | the pairs turned round |
//!
//! The cotangents are those of the whole program: a function of all replicas' operands, so that the gradient of one
//! replica's parameter is that of the *sum* of all replicas' losses (JAX's rule inside `pmap` and named `vmap`). A
//! data-parallel gradient is therefore the local one followed by an `all_reduce(sum)`, as the programmer writes it.
//!
//! [`Graph::eval_replicas`](crate::Graph::eval_replicas) is the meaning on all replicas; [`vmap_named`](crate::batch::vmap_named)
//! turns the collectives over one axis into local operations on a batch axis. On one device only axes of size 1 run.

mod derive;
mod exchange;
mod resolve;

use super::{Monoid, Rule, check_axis, tensors};
use crate::graph::{Graph, NodeId};
use crate::text::attrs::{Field, Item, Symbols, attrs};
use crate::ty::Ty;
use girih_base::{DType, Diag, Dim, Loc, Result as DiagResult};
use std::collections::BTreeSet;
use std::sync::Arc;

/// What all replicas along one axis do together.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Collective {
    /// The exchange.
    pub kind: CollectiveKind,
    /// Name of the axis along which the replicas stand.
    pub over: Arc<str>,
    /// Number of replicas along it.
    pub size: usize,
    /// Positions along the axis that exchange among themselves: each position once, all groups equally large, members in
    /// the order in which parts are joined. None means one group of all.
    pub groups: Vec<Vec<usize>>,
}

/// The exchanges; each with what a replica gets.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum CollectiveKind {
    /// The fold of all members' values (sum, prod, max, min), given to each.
    AllReduce(Monoid),
    /// All members' values joined along an axis, given to each.
    AllGather(usize),
    /// The sum of all members' values, one part along an axis to each.
    ReduceScatter(usize),
    /// One part of each member's value, joined.
    AllToAll {
        /// The axis each value is split along, into one part per member.
        split: usize,
        /// The axis the received parts are joined along.
        concat: usize,
    },
    /// Pairs (from, to) of positions along the axis, no position sending or receiving twice. There are no groups.
    Permute(Vec<(usize, usize)>),
}

impl Collective {
    /// An exchange among all `size` replicas along the axis `over`.
    pub fn new(kind: CollectiveKind, over: impl Into<Arc<str>>, size: usize) -> Collective {
        Collective { kind, over: over.into(), size, groups: Vec::new() }
    }

    /// The same exchange within groups.
    pub fn within(self, groups: Vec<Vec<usize>>) -> Collective {
        Collective { groups, ..self }
    }

    /// Members of a group.
    fn members(&self) -> usize {
        self.groups.first().map_or(self.size, Vec::len)
    }

    /// The same replicas, another exchange.
    fn with(&self, kind: CollectiveKind) -> Collective {
        Collective { kind, ..self.clone() }
    }

    fn check(&self) -> Result<(), String> {
        if self.size == 0 {
            return Err(format!("no replicas along `{}`", self.over));
        }
        if let CollectiveKind::Permute(pairs) = &self.kind {
            let once = |ends: Vec<usize>| {
                let set: BTreeSet<usize> = ends.iter().copied().collect();
                set.len() == ends.len() && set.last().is_none_or(|p| *p < self.size)
            };
            let (from, to) = pairs.iter().copied().unzip();
            return match (once(from) && once(to), self.groups.is_empty()) {
                (false, _) => Err(format!("pairs must be of different positions below {}, each way", self.size)),
                (_, false) => Err("a permutation has no groups".into()),
                _ => Ok(()),
            };
        }
        let listed: usize = self.groups.iter().map(Vec::len).sum();
        let set: BTreeSet<usize> = self.groups.iter().flatten().copied().collect();
        let whole = listed == self.size && set.len() == listed && set.last().is_some_and(|p| *p < self.size);
        if !self.groups.is_empty() && (!whole || self.groups.iter().any(|g| g.len() != self.members())) {
            return Err(format!("the groups must be equally large and hold each position below {} once", self.size));
        }
        Ok(())
    }

    /// What the exchange is where the replica is alone along the axis: the value itself, or zeros if it is sent nothing.
    ///
    /// # Errors
    /// `G208` when there are more replicas.
    pub fn alone(&self, g: &mut Graph, x: NodeId, loc: &Loc) -> DiagResult<NodeId> {
        if self.size != 1 {
            return Err(self.one_device().at(loc, "this exchange"));
        }
        match &self.kind {
            CollectiveKind::Permute(pairs) if pairs.is_empty() => {
                let ty = g.tensor(x)?.clone();
                crate::grad::zeros(g, &ty)
            }
            _ => Ok(x),
        }
    }

    fn one_device(&self) -> Box<Diag> {
        let message =
            format!("{} over `{}` needs {} replicas, and there is one device", self.word(), self.over, self.size);
        Diag::error("G208", message)
            .note("a device runs one replica; exchanges over axes of size 1 are the identity")
            .help("map the program over the axis with `vmap_named`, or evaluate all replicas with `eval_replicas`")
    }

    fn word(&self) -> &'static str {
        match self.kind {
            CollectiveKind::AllReduce(_) => "all_reduce",
            CollectiveKind::AllGather(_) => "all_gather",
            CollectiveKind::ReduceScatter(_) => "reduce_scatter",
            CollectiveKind::AllToAll { .. } => "all_to_all",
            CollectiveKind::Permute(_) => "permute",
        }
    }
}

impl Rule for Collective {
    fn name(&self) -> &'static str {
        "collective"
    }
    fn infer(&self, operands: &[&Ty]) -> Result<Ty, String> {
        let [x] = tensors(operands)?;
        self.check()?;
        let n = i64::try_from(self.members()).map_err(|_| "too many replicas")?;
        let mut shape = x.shape.clone();
        let parts = |shape: &mut Vec<Dim>, axis: usize| {
            check_axis(axis, x)?;
            if !shape[axis].divisible_by(n).yes() {
                return Err(format!("axis {axis} of {x} does not split into {n} equal parts"));
            }
            shape[axis] = shape[axis].floor_div(&Dim::from(n));
            Ok(())
        };
        match &self.kind {
            CollectiveKind::AllReduce(monoid) => {
                let plain = matches!(monoid, Monoid::Sum | Monoid::Prod | Monoid::Max | Monoid::Min);
                if !plain || x.dtype == DType::Bool {
                    return Err(format!("replicas cannot fold {} by `{}`", x.dtype, monoid.name()));
                }
            }
            CollectiveKind::AllGather(axis) => {
                check_axis(*axis, x)?;
                shape[*axis] = &shape[*axis] * n;
            }
            CollectiveKind::ReduceScatter(axis) => {
                if x.dtype == DType::Bool {
                    return Err("bools have no sum".into());
                }
                parts(&mut shape, *axis)?;
            }
            CollectiveKind::AllToAll { split, concat } => {
                check_axis(*concat, x)?;
                parts(&mut shape, *split)?;
                shape[*concat] = if split == concat { x.shape[*split].clone() } else { &shape[*concat] * n };
            }
            CollectiveKind::Permute(_) => {}
        }
        Ok(x.with_shape(shape).into())
    }
}

attrs!(Collective "collective" { kind, over, size, groups });

impl Field for CollectiveKind {
    fn item(&self) -> Item {
        let items = match self {
            CollectiveKind::AllReduce(monoid) => vec![monoid.item()],
            CollectiveKind::AllGather(axis) | CollectiveKind::ReduceScatter(axis) => vec![axis.item()],
            CollectiveKind::AllToAll { split, concat } => vec![split.item(), concat.item()],
            CollectiveKind::Permute(pairs) => vec![pairs.item()],
        };
        let word = Collective::new(self.clone(), "", 1).word();
        Item::Call(word, items)
    }
    fn read(item: Item, symbols: &Symbols) -> Result<CollectiveKind, String> {
        let Item::Call(name, items) = item else { return Err("expected an exchange, such as all_reduce(sum)".into()) };
        let one = |items: Vec<Item>| -> Result<Item, String> {
            let [item]: [Item; 1] = items.try_into().map_err(|_| format!("`{name}` has one argument"))?;
            Ok(item)
        };
        Ok(match name {
            "all_reduce" => CollectiveKind::AllReduce(Field::read(one(items)?, symbols)?),
            "all_gather" => CollectiveKind::AllGather(Field::read(one(items)?, symbols)?),
            "reduce_scatter" => CollectiveKind::ReduceScatter(Field::read(one(items)?, symbols)?),
            "permute" => CollectiveKind::Permute(Field::read(one(items)?, symbols)?),
            "all_to_all" => {
                let [split, concat]: [Item; 2] = items.try_into().map_err(|_| "expected all_to_all(split, concat)")?;
                CollectiveKind::AllToAll { split: Field::read(split, symbols)?, concat: Field::read(concat, symbols)? }
            }
            _ => return Err(format!("no exchange `{name}`")),
        })
    }
}
