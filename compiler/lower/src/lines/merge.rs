//! Merging sorted runs: every output element finds its place in the two runs by binary search, so that all are written at once
//! and in memory order (merge path: Odeh, Green, Mwassi, Shmueli and Birk, 2012).

use super::Lines;
use girih_base::{DType, ScalarOp};
use girih_tile::{Access, Builder, Kernel, Literal, Op, TileTy, ValueId, View, ViewAxis};

/// A pass that merges neighbouring runs of `width` elements.
pub struct Merge<'a> {
    /// The lines.
    pub lines: &'a Lines,
    /// Element types of what is sorted, keys first.
    pub dtypes: &'a [DType],
    /// Number of keys.
    pub keys: usize,
    /// Largest first.
    pub descending: bool,
    /// Elements of a sorted run.
    pub width: i64,
}

/// The tile of one program over the elements of all lines, in memory order.
struct Tile<'a> {
    b: Builder,
    lines: &'a Lines,
    count: u32,
    /// Where the first one lies.
    start: ValueId,
    /// Whether each element exists.
    exists: ValueId,
    /// Its position in its line, and the offset of its line's first element.
    position: ValueId,
    base: ValueId,
}

impl<'a> Tile<'a> {
    /// Over parameters that `params` makes.
    fn new(lines: &'a Lines, count: u32, params: impl FnOnce(&mut Builder)) -> Tile<'a> {
        use ScalarOp::{Add, Lt, Mul, Rem, Sub};
        let mut b = Builder::new();
        params(&mut b);
        let (id, step) = (b.program_id(0), b.int(count as i64));
        let start = b.map(Mul, &[id, step]);
        let (steps, first) = (b.arange(&[count], 0), b.splat(start, &[count]));
        let at = b.map(Add, &[first, steps]);
        let spread = |b: &mut Builder, d: &girih_base::Dim| {
            let d = b.size(d);
            b.splat(d, &[count])
        };
        let all = spread(&mut b, &lines.elements());
        let exists = b.map(Lt, &[at, all]);
        let mut row = at;
        if !lines.inner.is(1) {
            let inner = spread(&mut b, &lines.inner);
            row = b.map(ScalarOp::Div, &[at, inner]);
        }
        let mut position = row;
        if !lines.outer.is(1) {
            let length = spread(&mut b, &lines.length);
            position = b.map(Rem, &[row, length]);
        }
        let back = if lines.inner.is(1) {
            position
        } else {
            let inner = spread(&mut b, &lines.inner);
            b.map(Mul, &[position, inner])
        };
        let base = b.map(Sub, &[at, back]);
        Tile { b, lines, count, start, exists, position, base }
    }

    fn map(&mut self, op: ScalarOp, args: &[ValueId]) -> ValueId {
        self.b.map(op, args)
    }

    fn number(&mut self, n: i64) -> ValueId {
        self.b.constant(Literal::Int(n), TileTy::new(DType::I32, [self.count]))
    }

    /// Elements of a parameter at positions of their lines, where `mask` holds.
    fn fetch(&mut self, param: usize, dtype: DType, position: ValueId, mask: ValueId) -> ValueId {
        let step = if self.lines.inner.is(1) {
            position
        } else {
            let inner = self.b.size(&self.lines.inner);
            let inner = self.b.splat(inner, &[self.count]);
            self.map(ScalarOp::Mul, &[position, inner])
        };
        let index = self.map(ScalarOp::Add, &[self.base, step]);
        let other = if dtype.is_float() { Literal::float(0.0) } else { Literal::Int(0) };
        let op = Op::LoadAt { param, index, mask: Some(mask), other };
        self.b.push(op, vec![TileTy::new(dtype, [self.count])])[0]
    }

    fn view(&self) -> View {
        let extent = self.lines.elements();
        let inside = extent.divisible_by(self.count as i64).yes();
        let axis = ViewAxis { extent, stride: girih_base::Dim::ONE, inside };
        View { offset: girih_base::Dim::ZERO, axes: vec![axis], guards: Vec::new() }
    }

    fn store(&mut self, param: usize, value: ValueId) {
        let (view, start) = (self.view(), self.start);
        self.b.store(param, view, &[start], value);
    }

    fn finish(self, name: &str) -> Kernel {
        let grid = vec![self.lines.elements().ceil_div(&girih_base::Dim::from(self.count))];
        let mut kernel = self.b.finish(name, grid);
        crate::fuse::cleanup::drop_unused(&mut kernel);
        kernel
    }
}

impl Merge<'_> {
    /// The kernel, `count` elements a program: parameters are the sorted runs, then the merged ones.
    pub fn kernel(&self, name: &str, count: u32) -> Kernel {
        use ScalarOp::{Add, And, Lt, Max, Min, Not, Or, Rem, Select, Shr, Sub};
        let n = self.dtypes.len();
        let mut t = Tile::new(self.lines, count, |b| {
            for (what, access) in [("x", Access::Read), ("y", Access::Write)] {
                for (i, d) in self.dtypes.iter().enumerate() {
                    b.param(&format!("{what}{i}"), *d, self.lines.elements(), access, false);
                }
            }
        });
        let (width, both) = (t.number(self.width), t.number(2 * self.width));
        let length = t.b.size(&self.lines.length);
        let length = t.b.splat(length, &[count]);
        // The runs are `[left, middle)` and `[middle, right)`; the element is the k-th of both.
        let k = t.map(Rem, &[t.position, both]);
        let left = t.map(Sub, &[t.position, k]);
        let room = t.map(Sub, &[length, left]);
        let first = t.map(Min, &[room, width]);
        let second = t.map(Sub, &[room, first]);
        let second = t.map(Min, &[second, width]);
        let middle = t.map(Add, &[left, first]);
        // How many of the first k + 1 outputs come before it out of the first run: at least k - second, at most k or all.
        let zero = t.number(0);
        let lo = t.map(Sub, &[k, second]);
        let lo = t.map(Max, &[lo, zero]);
        let hi = t.map(Min, &[k, first]);
        let (from, to) = (t.b.int(0), t.b.int(self.width.ilog2() as i64 + 1));
        let (i, lo_in, hi_in) = {
            let ty = TileTy::new(DType::I32, [count]);
            (t.b.fresh(TileTy::scalar(DType::I32)), t.b.fresh(ty.clone()), t.b.fresh(ty))
        };
        t.b.begin(vec![i, lo_in, hi_in]);
        let (one, last) = (t.number(1), t.map(Add, &[lo_in, hi_in]));
        let mid = t.map(Shr, &[last, one]);
        let open = t.map(Lt, &[lo_in, hi_in]);
        let open = t.map(And, &[open, t.exists]);
        let a = t.map(Add, &[left, mid]);
        let b = t.map(Sub, &[k, mid]);
        let b = t.map(Sub, &[b, one]);
        let b = t.map(Add, &[middle, b]);
        let (a, b) = (self.fetch(&mut t, a, open), self.fetch(&mut t, b, open));
        // Equal elements of the first run come first.
        let b_first = before(&mut t.b, &b, &a, self.descending);
        let a_first = t.map(Not, &[b_first]);
        let up = t.map(And, &[open, a_first]);
        let down = t.map(And, &[open, b_first]);
        let next = t.map(Add, &[mid, one]);
        let new_lo = t.map(Select, &[up, next, lo_in]);
        let new_hi = t.map(Select, &[down, mid, hi_in]);
        let body = t.b.end(vec![new_lo, new_hi]);
        let ty = TileTy::new(DType::I32, [count]);
        let search = Op::For { lo: from, hi: to, step: 1, init: vec![lo, hi], body };
        let taken = t.b.push(search, vec![ty.clone(), ty])[0];
        let rest = t.map(Sub, &[k, taken]);
        let has_a = t.map(Lt, &[taken, first]);
        let has_b = t.map(Lt, &[rest, second]);
        let (a, b) = (t.map(Add, &[left, taken]), t.map(Add, &[middle, rest]));
        let ask = t.map(And, &[has_a, has_b]);
        let ask = t.map(And, &[ask, t.exists]);
        let (x, y) = (self.fetch(&mut t, a, ask), self.fetch(&mut t, b, ask));
        let b_first = before(&mut t.b, &y, &x, self.descending);
        let b_first = t.map(And, &[b_first, has_b]);
        let no_a = t.map(Not, &[has_a]);
        let take_b = t.map(Or, &[no_a, b_first]);
        let source = t.map(Select, &[take_b, b, a]);
        for (i, d) in self.dtypes.iter().enumerate() {
            let v = t.fetch(i, *d, source, t.exists);
            t.store(n + i, v);
        }
        t.finish(name)
    }

    fn fetch(&self, t: &mut Tile<'_>, position: ValueId, mask: ValueId) -> Vec<ValueId> {
        (0..self.keys).map(|i| t.fetch(i, self.dtypes[i], position, mask)).collect()
    }
}

/// A kernel that fetches the elements at given positions of their lines: parameters are positions (i32), what is read, what
/// is written.
pub fn gather(name: &str, lines: &Lines, dtype: DType, count: u32) -> Kernel {
    let mut t = Tile::new(lines, count, |b| {
        b.param("position", DType::I32, lines.elements(), Access::Read, false);
        b.param("x", dtype, lines.elements(), Access::Read, false);
        b.param("y", dtype, lines.elements(), Access::Write, false);
    });
    let (view, start) = (t.view(), t.start);
    let position = t.b.load(0, view, &[start], &[count], Literal::Int(0));
    let v = t.fetch(1, dtype, position, t.exists);
    t.store(2, v);
    t.finish(name)
}

/// Whether keys `x` come strictly before keys `y`: by value, -0 = 0, NaN last (first when descending).
fn before(b: &mut Builder, x: &[ValueId], y: &[ValueId], descending: bool) -> ValueId {
    let mut all: Option<ValueId> = None;
    for (x, y) in x.iter().zip(y).rev() {
        let (x, y) = if descending { (y, x) } else { (x, y) };
        let below = less(b, *x, *y);
        all = Some(match all {
            None => below,
            Some(rest) => {
                let above = less(b, *y, *x);
                let level = b.map(ScalarOp::Not, &[above]);
                let tie = b.map(ScalarOp::And, &[level, rest]);
                b.map(ScalarOp::Or, &[below, tie])
            }
        });
    }
    all.unwrap_or_else(|| b.constant(Literal::Int(0), TileTy::scalar(DType::Bool)))
}

/// Whether `x` comes strictly before `y` in ascending order.
fn less(b: &mut Builder, x: ValueId, y: ValueId) -> ValueId {
    let dtype = b.ty(x).dtype;
    if dtype == DType::Bool {
        let not = b.map(ScalarOp::Not, &[x]);
        return b.map(ScalarOp::And, &[not, y]);
    }
    let less = b.map(ScalarOp::Lt, &[x, y]);
    if !dtype.is_float() {
        return less;
    }
    let (nan_x, nan_y) = (b.map(ScalarOp::IsNan, &[x]), b.map(ScalarOp::IsNan, &[y]));
    let number = b.map(ScalarOp::Not, &[nan_x]);
    let last = b.map(ScalarOp::And, &[number, nan_y]);
    b.map(ScalarOp::Or, &[less, last])
}
