//! Fused attention: keys and values in chunks, a running maximum and sum per query row.
//!
//! Milakov and Gimelshein (2018) for the online softmax, Dao et al. (2022) for folding the values in as well.

use super::affine::Affine;
use super::emit::{Emitter, Val};
use super::nest::{Bound, Expr, ExprId};
use girih_base::{DType, Diag, Dim, Result, ScalarOp};
use girih_tile::{Literal, TileTy, ValueId};

/// The score of a hidden key, as in `girih_graph::nn`: finite, so that a row that sees no key gets the average of all values.
const HIDDEN: f64 = -2.3819763e38;

impl Emitter<'_> {
    pub(super) fn attention(&mut self, e: ExprId) -> Result<Val> {
        let Expr::Attention(x) = self.nest.node(e).expr.clone() else {
            return Err(Diag::error("L004", "not attention"));
        };
        let [features, keys] = x.inner;
        let some = |s: &Self, a| Some(a).filter(|a| !s.nest.extent(*a).is(1));
        let (feature_axis, key_axis) = (some(self, features), some(self, keys));
        let size = |s: &Self, a: Option<super::affine::AxisId>| a.map_or(1, |a| s.schedule.tile(a));
        let (m, n) = (size(self, x.rows), size(self, x.columns));
        let (d, t) = (size(self, feature_axis), size(self, key_axis));
        let [q, k, v] = x.qkv;
        self.hoist(&[q, k, v], &key_axis.into_iter().collect::<Vec<_>>())?;
        let query = self.matrix(q, x.rows, feature_axis, [m, d])?;
        let scale = self.b.constant(Literal::float(x.scale), TileTy::new(DType::F32, [m, d]));
        let query = self.b.map(ScalarOp::Mul, &[query, scale]);

        let row = |b: &mut girih_tile::Builder, v: f64| b.constant(Literal::float(v), TileTy::new(DType::F32, [m]));
        let init = vec![
            row(&mut self.b, f64::NEG_INFINITY),
            row(&mut self.b, 0.0),
            self.b.constant(Literal::float(0.0), TileTy::new(DType::F32, [m, n])),
        ];
        // No row of this tile sees a key at or beyond its last row's position.
        if let (Some((at, before)), Some(axis)) = (&x.causal, key_axis)
            && Dim::ZERO.known_le(before).yes()
        {
            let mut last = at.shift(&(before + 1));
            if let Some(rows) = x.rows {
                last = last.shift(&(&at.coefficient(rows) * &Dim::from(m as i64 - 1)));
            }
            let end = self.affine(&last, &[]);
            let all = self.b.size(&self.nest.extent(keys));
            let end = self.b.map(ScalarOp::Min, &[end, all]);
            self.ends.insert(axis, end);
        }
        let loops: Vec<_> = key_axis.into_iter().collect();
        let mut body = |this: &mut Self, carried: Vec<ValueId>| -> Result<Vec<ValueId>> {
            let key = this.matrix(k, feature_axis, key_axis, [d, t])?;
            let mut scores = this.b.dot(query, key, None, DType::F32);
            if let Some((at, before)) = &x.causal {
                let position = at.shift(before);
                let key_at = key_axis.map_or(Affine::constant(Dim::ZERO), Affine::axis);
                let visible = this.compare(&key_at, &position, key_axis, x.rows, [m, t]);
                let hidden = this.b.constant(Literal::float(HIDDEN), TileTy::new(DType::F32, [m, t]));
                scores = this.b.map(ScalarOp::Select, &[visible, scores, hidden]);
            }
            let tails: Vec<Bound> = this.tails(&loops);
            if !tails.is_empty() {
                let inside = this.bounds(&tails, &loops);
                let inside = this.b.broadcast(inside, &[m, t], &[1]);
                let none = this.b.constant(Literal::float(f64::NEG_INFINITY), TileTy::new(DType::F32, [m, t]));
                scores = this.b.map(ScalarOp::Select, &[inside, scores, none]);
            }
            let [old_max, old_sum, old] = carried[..] else {
                return Err(Diag::error("L004", "attention lost its state"));
            };
            let top = this.b.reduce(scores, 1, ScalarOp::Max);
            let max = this.b.map(ScalarOp::Max, &[old_max, top]);
            let spread = this.b.broadcast(max, &[m, t], &[0]);
            let shifted = this.b.map(ScalarOp::Sub, &[scores, spread]);
            let weights = this.b.map(ScalarOp::Exp, &[shifted]);
            let fade = this.b.map(ScalarOp::Sub, &[old_max, max]);
            let fade = this.b.map(ScalarOp::Exp, &[fade]);
            let sum = this.b.reduce(weights, 1, ScalarOp::Add);
            let kept = this.b.map(ScalarOp::Mul, &[old_sum, fade]);
            let sum = this.b.map(ScalarOp::Add, &[kept, sum]);
            let fade = this.b.broadcast(fade, &[m, n], &[0]);
            let faded = this.b.map(ScalarOp::Mul, &[old, fade]);
            let value = this.matrix(v, key_axis, x.columns, [t, n])?;
            Ok(vec![max, sum, this.b.dot(weights, value, Some(faded), DType::F32)])
        };
        let state = self.looped(&loops, init, &mut body)?;
        loops.iter().for_each(|a| {
            self.ends.remove(a);
        });
        let total = self.b.broadcast(state[1], &[m, n], &[0]);
        let out = self.b.map(ScalarOp::Div, &[state[2], total]);
        let axes = self.ordered(&self.nest.node(e).support);
        let shape = self.shape(&axes);
        Ok(Val { id: self.b.reshape(out, &shape), axes })
    }

    /// `low <= high` as a bool tile `[rows, columns]`, where `low` walks the columns' axis and `high` the rows'.
    fn compare(
        &mut self,
        low: &Affine,
        high: &Affine,
        columns: Option<super::affine::AxisId>,
        rows: Option<super::affine::AxisId>,
        shape: [u32; 2],
    ) -> ValueId {
        let column: Vec<_> = columns.into_iter().collect();
        let row: Vec<_> = rows.into_iter().filter(|a| high.terms.contains_key(a)).collect();
        let (low, high) = (self.affine(low, &column), self.affine(high, &row));
        let low = self.b.broadcast(low, &shape, &[1]);
        let high = self.b.broadcast(high, &shape, &[0]);
        self.b.map(ScalarOp::Le, &[low, high])
    }
}
