//! Coordinates as tiles, the bounds that keep them inside, and views of memory.

use super::{Emitter, Val};
use crate::fuse::affine::{Affine, AxisId};
use crate::fuse::nest::{Bound, ExprId};
use girih_base::{DType, Diag, Dim, Result, ScalarOp};
use girih_tile::{Guard, Literal, TileTy, ValueId, View, ViewAxis};

impl Emitter<'_> {
    /// A value repeated to the tile of `axes`.
    pub(in crate::fuse) fn spread(&mut self, v: &Val, axes: &[AxisId]) -> ValueId {
        if v.axes == axes {
            return v.id;
        }
        let at: Vec<usize> = v.axes.iter().filter_map(|a| axes.iter().position(|x| x == a)).collect();
        let shape = self.shape(axes);
        self.b.broadcast(v.id, &shape, &at)
    }

    /// An affine coordinate as an i32 tile over `axes`.
    pub(in crate::fuse) fn affine(&mut self, c: &Affine, axes: &[AxisId]) -> ValueId {
        let shape = self.shape(axes);
        // The scalar part: base plus every axis' block start.
        let mut scalar = if c.base.is(0) { None } else { Some(self.b.size(&c.base)) };
        for (axis, coeff) in &c.terms {
            let start = self.starts[axis];
            if self.zero == Some(start) {
                continue;
            }
            let k = self.b.size(coeff);
            let term = if coeff.is(1) { start } else { self.b.map(ScalarOp::Mul, &[start, k]) };
            scalar = Some(match scalar {
                None => term,
                Some(s) => self.b.map(ScalarOp::Add, &[s, term]),
            });
        }
        let mut tile = scalar.map(|s| self.b.splat(s, &shape));
        for (i, axis) in axes.iter().enumerate() {
            let coeff = c.coefficient(*axis);
            if coeff.is(0) || shape[i] == 1 {
                continue;
            }
            let mut steps = self.b.arange(&shape, i);
            if !coeff.is(1) {
                let k = self.b.size(&coeff);
                let k = self.b.splat(k, &shape);
                steps = self.b.map(ScalarOp::Mul, &[steps, k]);
            }
            tile = Some(match tile {
                None => steps,
                Some(t) => self.b.map(ScalarOp::Add, &[t, steps]),
            });
        }
        tile.unwrap_or_else(|| self.b.constant(Literal::Int(0), TileTy::new(DType::I32, shape)))
    }

    /// Whether all bounds hold, as a bool tile over `axes`.
    pub(in crate::fuse) fn bounds(&mut self, bounds: &[Bound], axes: &[AxisId]) -> ValueId {
        let shape = self.shape(axes);
        let mut all: Option<ValueId> = None;
        for bound in bounds {
            let v = self.affine(&bound.value, axes);
            let end = self.b.size(&bound.extent);
            let end = self.b.splat(end, &shape);
            let high = self.b.map(ScalarOp::Lt, &[v, end]);
            // A coordinate made of axes going up from a start that is not negative never is.
            let rising = bound.value.terms.values().chain([&bound.value.base]).all(|c| Dim::ZERO.known_le(c).yes());
            let both = if rising {
                high
            } else {
                let zero = self.b.constant(Literal::Int(0), TileTy::new(DType::I32, shape.clone()));
                let low = self.b.map(ScalarOp::Le, &[zero, v]);
                self.b.map(ScalarOp::And, &[low, high])
            };
            all = Some(match all {
                None => both,
                Some(a) => self.b.map(ScalarOp::And, &[a, both]),
            });
        }
        all.unwrap_or_else(|| self.b.constant(Literal::Int(1), TileTy::new(DType::Bool, shape)))
    }

    /// Bounds that keep tiles inside the axes they run over, where they might not be.
    pub(in crate::fuse) fn tails(&self, axes: &[AxisId]) -> Vec<Bound> {
        axes.iter()
            .filter(|a| !self.schedule.exact(self.nest, **a))
            .map(|a| Bound { value: Affine::axis(*a), extent: self.nest.extent(*a) })
            .collect()
    }

    pub(in crate::fuse) fn view(&self, offset: &Affine, axes: &[AxisId], bounds: &[Bound]) -> Result<View> {
        let guards = bounds
            .iter()
            .map(|b| {
                let coeffs = axes.iter().map(|a| b.value.coefficient(*a).as_const()).collect::<Option<Vec<i64>>>();
                let coeffs = coeffs.ok_or_else(|| Diag::error("L005", "a padded axis has a symbolic step"))?;
                Ok(Guard { base: b.value.base.clone(), coeffs, extent: b.extent.clone() })
            })
            .collect::<Result<Vec<_>>>()?;
        let axes = axes
            .iter()
            .map(|a| ViewAxis {
                extent: self.nest.extent(*a),
                stride: offset.coefficient(*a),
                inside: self.schedule.exact(self.nest, *a),
            })
            .collect();
        Ok(View { offset: offset.base.clone(), axes, guards })
    }

    /// Scalar additions to an offset as leading view axes with one coordinate each.
    pub(in crate::fuse) fn lead(
        &mut self,
        view: &mut View,
        at: &mut Vec<ValueId>,
        dynamic: &[(ExprId, Dim)],
    ) -> Result<()> {
        for (e, stride) in dynamic {
            let v = self.value(*e)?;
            at.insert(0, v.id);
            view.axes.insert(0, ViewAxis { extent: Dim::from(i32::MAX), stride: stride.clone(), inside: true });
            view.guards.iter_mut().for_each(|g| g.coeffs.insert(0, 0));
        }
        Ok(())
    }
}
