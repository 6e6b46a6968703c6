//! WMMA without matrix units: each lane holds an equal share of a fragment's elements, row by row, and products go through workgroup
//! memory, summed in f32 (or i32) in the order of k.

use super::call::Operand;
use super::value::{Place, Tv, Val};
use super::*;
use crate::types::Use;
use girih_base::{DType, ScalarOp as S};
use girih_simt::Op;

/// A fragment: where it is, what for, of what, and its rows and columns.
struct Fragment {
    place: Place,
    part: Use,
    scalar: Scalar,
    shape: [u32; 3],
    by_rows: bool,
}

impl Fragment {
    fn columns(&self) -> u32 {
        match self.part {
            Use::A => self.shape[2],
            _ => self.shape[1],
        }
    }

    fn total(&self) -> u32 {
        let [m, n, k] = self.shape;
        match self.part {
            Use::A => m * k,
            Use::B => k * n,
            Use::Accumulator => m * n,
        }
    }

    fn share(&self) -> u32 {
        self.total().div_ceil(32)
    }
}

impl Lowerer<'_> {
    fn fragment(&mut self, o: &Operand, at: At) -> R<Fragment> {
        match (o, o.ty()) {
            (Operand::Place(p), Type::Fragment(part, s, shape, rows)) if shape.iter().product::<u32>() % 32 == 0 => {
                Ok(Fragment { place: p.clone(), part: *part, scalar: *s, shape: *shape, by_rows: *rows })
            }
            _ => Err(self.err("U004", at, "this takes a fragment")),
        }
    }

    fn share_place(&mut self, f: &Fragment, i: u32, at: At) -> R<Place> {
        let x = self.field(&f.place, "x", at)?;
        let p = self.rvalue(&x, at)?;
        let p = self.advance(p, Tv::int(i as i128, Scalar::Int), false, at)?;
        self.dereference(p, at)
    }

    /// Row and column of this lane's element `i`.
    fn position(&mut self, f: &Fragment, i: u32) -> (ValueId, ValueId) {
        let (lane, mask) = (self.lane, self.b.uint(31));
        let lane = self.m(S::And, &[lane, mask]);
        let (share, i, columns) = (self.b.uint(f.share()), self.b.uint(i), self.b.uint(f.columns()));
        let e = self.b.mul(lane, share);
        let e = self.b.add(e, i);
        (self.m(S::Div, &[e, columns]), self.m(S::Rem, &[e, columns]))
    }

    /// The place in memory of this lane's element `i`.
    fn in_memory(&mut self, f: &Fragment, i: u32, p: &Tv, stride: &Tv, by_rows: bool, at: At) -> R<Place> {
        let (row, column) = self.position(f, i);
        let (outer, inner) = if by_rows { (row, column) } else { (column, row) };
        let stride = self.u32(stride, at)?;
        let at_outer = self.b.mul(outer, stride);
        let index = self.b.add(at_outer, inner);
        let p = self.advance(p.clone(), Tv::one(index, Scalar::UInt), false, at)?;
        self.dereference(p, at)
    }

    /// `fill_fragment`, `load_matrix_sync`, `store_matrix_sync` and `mma_sync`.
    pub fn matrix_call(&mut self, id: &str, args: &[Operand], at: At) -> R<Tv> {
        let wrong = |s: &Self| s.err("U004", at, format!("`{id}` does not take these arguments"));
        let by_rows = |s: &mut Self, o: Option<&Operand>, own: bool| -> R<bool> {
            match o {
                Some(o) => Ok(s.operand_value(o, at)?.known() == Some(0)),
                None => Ok(own),
            }
        };
        match (id, args) {
            ("fill_fragment", [f, v]) => {
                let f = self.fragment(f, at)?;
                let v = self.operand_value(v, at)?;
                let v = self.convert(v, &Type::Scalar(f.scalar), at)?;
                for i in 0..f.share() {
                    let place = self.share_place(&f, i, at)?;
                    self.store(&place, &v.v, at)?;
                }
            }
            ("load_matrix_sync", [f, p, stride, rest @ ..]) => {
                let f = self.fragment(f, at)?;
                let (p, stride) = (self.operand_value(p, at)?, self.operand_value(stride, at)?);
                let rows = by_rows(self, rest.first(), f.by_rows)?;
                for i in 0..f.share() {
                    let source = self.in_memory(&f, i, &p, &stride, rows, at)?;
                    let v = self.load(&source, at)?;
                    let v = self.convert(v, &Type::Scalar(f.scalar), at)?;
                    let place = self.share_place(&f, i, at)?;
                    self.store(&place, &v.v, at)?;
                }
            }
            ("store_matrix_sync", [p, f, stride, rest @ ..]) => {
                let f = self.fragment(f, at)?;
                let (p, stride) = (self.operand_value(p, at)?, self.operand_value(stride, at)?);
                let rows = by_rows(self, rest.first(), true)?;
                for i in 0..f.share() {
                    let place = self.share_place(&f, i, at)?;
                    let v = self.load(&place, at)?;
                    let target = self.in_memory(&f, i, &p, &stride, rows, at)?;
                    let t = target.ty().clone();
                    let v = self.convert(v, &t, at)?;
                    self.store(&target, &v.v, at)?;
                }
            }
            ("mma_sync", [d, a, b, c]) => {
                let (d, a) = (self.fragment(d, at)?, self.fragment(a, at)?);
                let (b, c) = (self.fragment(b, at)?, self.fragment(c, at)?);
                if a.part != Use::A
                    || b.part != Use::B
                    || a.shape != b.shape
                    || a.shape != d.shape
                    || c.shape != d.shape
                {
                    return Err(wrong(self));
                }
                self.multiply(&d, &a, &b, &c, at)?;
            }
            _ => return Err(wrong(self)),
        }
        Ok(Tv::void())
    }

    /// Writes this warp's fragment into workgroup memory from `offset` on, as bits of the type sums are in.
    fn spread(&mut self, f: &Fragment, space: Space, offset: ValueId, wide: Scalar, at: At) -> R<()> {
        let (lane, mask, share) = (self.lane, self.b.uint(31), self.b.uint(f.share()));
        let lane = self.m(S::And, &[lane, mask]);
        let first = self.b.mul(lane, share);
        let first = self.b.add(offset, first);
        for i in 0..f.share() {
            let place = self.share_place(f, i, at)?;
            let v = self.load(&place, at)?;
            let v = self.convert(v, &Type::Scalar(wide), at)?;
            let bits = self.bits_of(&v.v, wide);
            let n = self.b.uint(i);
            let index = self.b.add(first, n);
            self.b.store(space, index, bits);
        }
        Ok(())
    }

    fn multiply(&mut self, d: &Fragment, a: &Fragment, b: &Fragment, c: &Fragment, at: At) -> R<()> {
        let wide = if a.scalar.is_float() { Scalar::Float } else { Scalar::Int };
        if a.scalar == Scalar::Double {
            return Err(self.refuse(
                at,
                "a matrix product of doubles through fragments",
                "use a tiled product through shared memory",
            ));
        }
        if !self.threads.is_multiple_of(32) {
            return Err(self.refuse(
                at,
                "fragments in a block that is not whole warps",
                "launch blocks of a multiple of 32 threads",
            ));
        }
        let [_, n, k] = d.shape;
        let each = a.total() + b.total();
        let words = each * (self.threads / 32);
        if words > 12 * 1024 {
            return Err(self.refuse(
                at,
                "fragments of more warps than workgroup memory holds",
                "launch smaller blocks",
            ));
        }
        let space = Space::Shared(self.scratch_array("fragments", words));
        let (thread, five, each) = (self.lane, self.b.uint(5), self.b.uint(each));
        let warp = self.m(S::Shr, &[thread, five]);
        let base = self.b.mul(warp, each);
        let skip = self.b.uint(a.total());
        let base_b = self.b.add(base, skip);
        self.b.effect(Op::Barrier);
        self.spread(a, space, base, wide, at)?;
        self.spread(b, space, base_b, wide, at)?;
        self.b.effect(Op::Barrier);
        let dtype = if wide == Scalar::Float { DType::F32 } else { DType::I32 };
        let sum = self.new_local("dot", Ty::scalar(dtype), None);
        for i in 0..d.share() {
            let place = self.share_place(c, i, at)?;
            let start = self.load(&place, at)?;
            let start = self.convert(start, &Type::Scalar(wide), at)?;
            let start = self.id(&start.v, wide);
            self.b.set(sum, start);
            let (row, column) = self.position(d, i);
            let (depth, width, zero) = (self.b.uint(k), self.b.uint(n), self.b.uint(0));
            let first = self.b.mul(row, depth);
            let first = self.b.add(base, first);
            let second = self.b.add(base_b, column);
            self.b.for_loop(zero, depth, 1, true, |b, j| {
                let x = b.add(first, j);
                let step = b.mul(j, width);
                let y = b.add(second, step);
                let (x, y) = (b.load(space, x), b.load(space, y));
                let (x, y) = (b.bitcast(x, dtype), b.bitcast(y, dtype));
                let product = b.mul(x, y);
                let old = b.get(sum);
                let new = b.add(old, product);
                b.set(sum, new);
            });
            let total = self.b.get(sum);
            let v = self.convert(Tv { v: Val::One(total), t: Type::Scalar(wide) }, &Type::Scalar(d.scalar), at)?;
            let target = self.share_place(d, i, at)?;
            self.store(&target, &v.v, at)?;
        }
        Ok(())
    }
}
