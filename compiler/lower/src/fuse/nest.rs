//! A fused kernel before tiling: scalar expressions over iteration axes.
//!
//! The graph's view operations are gone: they became affine coordinates of loads. An expression's *support* is the set
//! of axes its value depends on; values are later computed once per point of their support, so what a graph broadcasts
//! is never computed twice.

use super::affine::{Affine, AxisId};
use girih_base::{DType, Dim, Loc, ScalarOp};
use girih_graph::{Monoid, NodeId};
use std::collections::BTreeSet;
use std::sync::Arc;

/// Index of an expression in its nest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ExprId(pub u32);

/// One kernel's worth of work.
#[derive(Clone, Debug, Default)]
pub struct Nest {
    /// The iteration axes.
    pub axes: Vec<Axis>,
    /// The expressions, operands before users.
    pub exprs: Vec<Node>,
    /// What is written.
    pub stores: Vec<Store>,
}

/// An iteration axis.
#[derive(Clone, Debug, PartialEq)]
pub struct Axis {
    /// Number of points.
    pub extent: Dim,
    /// A fold runs over it, so one program must see all of it.
    pub row: bool,
    /// Only folds run over it: results do not depend on it.
    pub folded: bool,
    /// Walked one point after the other inside a program, since points may write the same element.
    pub serial: bool,
}

/// An expression with what is known of it.
#[derive(Clone, Debug)]
pub struct Node {
    /// What it computes.
    pub expr: Expr,
    /// Element types of its values (folds may have several).
    pub dtypes: Vec<DType>,
    /// The axes it depends on.
    pub support: BTreeSet<AxisId>,
    /// The user's name.
    pub name: Option<Arc<str>>,
    /// The user's source line.
    pub loc: Loc,
}

/// `0 <= value < extent` must hold for an element to exist.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Bound {
    /// The coordinate.
    pub value: Affine,
    /// Exclusive end.
    pub extent: Dim,
}

/// Scalar expressions at a point of the iteration space.
#[derive(Clone, Debug)]
pub enum Expr {
    /// An element of a tensor in memory, `other` where a bound fails.
    Load {
        /// The tensor.
        tensor: NodeId,
        /// Element offset.
        offset: Affine,
        /// Computed additions to the offset: value times stride.
        dynamic: Vec<(ExprId, Dim)>,
        /// Conditions for the element to exist.
        bounds: Vec<Bound>,
        /// The value where it does not.
        other: f64,
    },
    /// An element of a block-quantised matrix.
    Quant {
        /// The `u8` tensor `[rows, row bytes]`.
        tensor: NodeId,
        /// Format name.
        format: Arc<str>,
        /// Rows and columns of the matrix.
        shape: [Dim; 2],
        /// Row.
        row: Affine,
        /// Column.
        column: Affine,
    },
    /// A coordinate as a number.
    Coordinate(Affine),
    /// A number.
    Const(f64),
    /// An integer that f64 may not hold.
    Int(i64),
    /// A run-time size.
    Size(Dim),
    /// A scalar operation.
    Map(ScalarOp, Vec<ExprId>),
    /// Conversion of values.
    Cast(ExprId),
    /// Reinterpretation of bits.
    Bitcast(ExprId),
    /// The first where all bounds hold, else the second.
    Guard(Vec<Bound>, ExprId, ExprId),
    /// Folds axes away.
    Reduce {
        /// What is folded.
        args: Vec<ExprId>,
        /// The axes.
        axes: Vec<AxisId>,
        /// The fold.
        monoid: Monoid,
    },
    /// One value of a fold with several.
    Part(ExprId, usize),
    /// Sum of products over `axes`, on matrix tiles.
    Dot {
        /// Left operand.
        a: ExprId,
        /// Right operand.
        b: ExprId,
        /// Contracted axes.
        axes: Vec<AxisId>,
    },
    /// `softmax(q k^T * scale) v`, the scores never in memory.
    Attention(Attention),
    /// Running fold along an axis of the nest.
    Scan {
        /// What is folded.
        args: Vec<ExprId>,
        /// The axis.
        axis: AxisId,
        /// The fold.
        monoid: Monoid,
        /// From the end to the start.
        reverse: bool,
    },
    /// Sorted values along an axis of the nest.
    Sort {
        /// What is sorted.
        args: Vec<ExprId>,
        /// The axis.
        axis: AxisId,
        /// Leading key operands.
        keys: usize,
        /// Largest first.
        descending: bool,
    },
}

/// The parts of fused attention.
#[derive(Clone, Debug)]
pub struct Attention {
    /// Queries, keys and values.
    pub qkv: [ExprId; 3],
    /// Factor of the scores.
    pub scale: f64,
    /// The query's position and how many keys come before position 0: keys beyond are hidden.
    pub causal: Option<(Affine, Dim)>,
    /// The axis of features that scores sum over, and the axis of keys.
    pub inner: [AxisId; 2],
    /// The axis of query rows that tiles take.
    pub rows: Option<AxisId>,
    /// The axis of the values' features.
    pub columns: Option<AxisId>,
}

/// A write of an expression's value.
#[derive(Clone, Debug)]
pub struct Store {
    /// The tensor written.
    pub tensor: NodeId,
    /// What is written.
    pub value: ExprId,
    /// Element offset.
    pub offset: Affine,
    /// Computed additions to the offset.
    pub dynamic: Vec<(ExprId, Dim)>,
    /// Elements to write (bool); all when missing.
    pub mask: Option<ExprId>,
    /// How the value meets the element that is there; replaces it when missing.
    pub combine: Option<ScalarOp>,
}

impl Nest {
    /// Whether no store has any point.
    pub fn is_empty(&self) -> bool {
        self.stores.iter().all(|s| s.offset.terms.keys().any(|a| self.extent(*a).is(0)))
    }

    /// A new axis.
    pub fn axis(&mut self, extent: Dim) -> AxisId {
        self.axes.push(Axis { extent, row: false, folded: false, serial: false });
        AxisId(self.axes.len() as u32 - 1)
    }

    /// The extent of an axis.
    pub fn extent(&self, axis: AxisId) -> Dim {
        self.axes[axis.0 as usize].extent.clone()
    }

    /// An expression.
    pub fn node(&self, e: ExprId) -> &Node {
        &self.exprs[e.0 as usize]
    }

    /// Appends an expression; its support follows from its parts.
    pub fn push(&mut self, expr: Expr, dtypes: Vec<DType>, name: Option<Arc<str>>, loc: Loc) -> ExprId {
        let mut support = BTreeSet::new();
        let affine = |s: &mut BTreeSet<AxisId>, a: &Affine| s.extend(a.terms.keys().copied());
        for operand in expr.operands() {
            support.extend(self.node(operand).support.iter().copied());
        }
        match &expr {
            Expr::Load { offset, bounds, .. } => {
                affine(&mut support, offset);
                bounds.iter().for_each(|b| affine(&mut support, &b.value));
            }
            Expr::Quant { row, column, .. } => {
                affine(&mut support, row);
                affine(&mut support, column);
            }
            Expr::Coordinate(c) => affine(&mut support, c),
            Expr::Guard(bounds, ..) => bounds.iter().for_each(|b| affine(&mut support, &b.value)),
            Expr::Reduce { axes, .. } | Expr::Dot { axes, .. } => support.retain(|a| !axes.contains(a)),
            Expr::Attention(x) => {
                x.causal.iter().for_each(|(row, _)| affine(&mut support, row));
                support.retain(|a| !x.inner.contains(a));
            }
            Expr::Scan { axis, .. } | Expr::Sort { axis, .. } => {
                support.insert(*axis);
            }
            _ => {}
        }
        // Axes of one point never need a place in a tile.
        support.retain(|a| !self.axes[a.0 as usize].extent.is(1));
        self.exprs.push(Node { expr, dtypes, support, name, loc });
        ExprId(self.exprs.len() as u32 - 1)
    }
}

impl Expr {
    /// The expressions this one reads.
    pub fn operands(&self) -> Vec<ExprId> {
        match self {
            Expr::Load { dynamic, .. } => dynamic.iter().map(|d| d.0).collect(),
            Expr::Quant { .. } | Expr::Coordinate(_) | Expr::Const(_) | Expr::Int(_) | Expr::Size(_) => Vec::new(),
            Expr::Map(_, args) | Expr::Reduce { args, .. } | Expr::Scan { args, .. } | Expr::Sort { args, .. } => {
                args.clone()
            }
            Expr::Cast(x) | Expr::Bitcast(x) | Expr::Part(x, _) => vec![*x],
            Expr::Guard(_, a, b) | Expr::Dot { a, b, .. } => vec![*a, *b],
            Expr::Attention(x) => x.qkv.to_vec(),
        }
    }
}
