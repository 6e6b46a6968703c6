//! How often a thread may go round its loops, for drivers that give up counting.
//!
//! llvmpipe counts the rounds of all loops of a thread together and leaves every loop after 65535, without a word: sums come out too
//! small. A kernel whose known loops may need more is refused on it; where it is not known how many, [`crate::guard`] finds out.

use girih_base::{Dim, ScalarOp};
use girih_simt::{Builtin, Kernel, Literal, Op, Stmt, ValueId};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Rounds that llvmpipe makes (`LP_MAX_TGSI_LOOP_ITERATIONS` of Mesa, up to 22.3 at least).
pub const LLVMPIPE: u64 = 65535;

/// Smallest and largest value.
type Range = (i128, i128);

/// What the symbols of some sizes can be.
pub fn symbols<'d>(dims: impl IntoIterator<Item = &'d Dim>) -> BTreeMap<Arc<str>, Range> {
    let all = dims.into_iter().flat_map(Dim::symbols);
    all.map(|s| (s.name.clone(), (s.min as i128, s.max as i128))).collect()
}

/// Most rounds that a thread makes in loops whose ends are known, the check that ends a loop counted too, and whether these are all
/// loops: those with ends read from memory, or given at launch without bounds, count nothing.
pub fn most(kernel: &Kernel, symbols: &BTreeMap<Arc<str>, Range>) -> (u64, bool) {
    let mut walk = Walk { kernel, symbols, known: vec![None; kernel.values.len()], all: true };
    (walk.block(&kernel.body), walk.all)
}

struct Walk<'k> {
    kernel: &'k Kernel,
    symbols: &'k BTreeMap<Arc<str>, Range>,
    known: Vec<Option<Range>>,
    /// The ends of all loops so far are known.
    all: bool,
}

impl Walk<'_> {
    fn get(&self, v: ValueId) -> Option<Range> {
        self.known.get(v.0 as usize).copied().flatten()
    }

    fn set(&mut self, v: ValueId, range: Option<Range>) {
        // What may wrap is not known.
        let whole = range.filter(|(lo, hi)| *lo >= i32::MIN as i128 && *hi <= u32::MAX as i128);
        if let Some(slot) = self.known.get_mut(v.0 as usize) {
            *slot = whole;
        }
    }

    fn block(&mut self, stmts: &[Stmt]) -> u64 {
        let mut rounds = 0u64;
        for s in stmts {
            let inner = match &s.op {
                Op::If(_, then, otherwise) => self.block(then).max(self.block(otherwise)),
                Op::Loop(body) => {
                    self.all = false;
                    self.block(body)
                }
                Op::For { index, lo, hi, step, body, .. } => {
                    let first = self.get(*lo).map_or(0, |r| r.0.max(0));
                    let end = self.get(*hi).map(|r| r.1);
                    self.set(*index, end.map(|e| (first, (e - 1).max(first))));
                    let inside = self.block(body);
                    match end {
                        Some(end) => {
                            let trips = (end - first).max(0).div_euclid((*step).max(1) as i128) + 1;
                            let trips = u64::try_from(trips).unwrap_or(u64::MAX);
                            trips.saturating_add(trips.saturating_mul(inside))
                        }
                        None => {
                            self.all = false;
                            inside
                        }
                    }
                }
                op => {
                    if let Some(r) = s.result {
                        let range = self.range(op);
                        self.set(r, range);
                    }
                    0
                }
            };
            rounds = rounds.saturating_add(inner);
        }
        rounds
    }

    fn range(&self, op: &Op) -> Option<Range> {
        match op {
            Op::Const(Literal::Int(v)) => Some((*v as i128, *v as i128)),
            Op::Uniform(i) => self.symbols.get(self.kernel.uniforms.get(*i as usize)?).copied(),
            Op::Builtin(Builtin::LocalIndex) => {
                Some((0, self.kernel.workgroup.iter().map(|n| *n as i128).product::<i128>() - 1))
            }
            Op::Builtin(Builtin::WorkgroupIndex) => Some((0, self.kernel.groups.bounds().1 as i128 - 1)),
            Op::Cast(x) | Op::Bitcast(x) => self.get(*x).filter(|r| r.0 >= 0 && r.1 <= i32::MAX as i128),
            Op::Map(op, args) => {
                let x = self.get(*args.first()?);
                let y = args.get(1).and_then(|a| self.get(*a));
                self.map(*op, x, y, args)
            }
            _ => None,
        }
    }

    fn map(&self, op: ScalarOp, x: Option<Range>, y: Option<Range>, args: &[ValueId]) -> Option<Range> {
        // The smaller of two is bounded by either, and a remainder by its divisor.
        match (op, x, y) {
            (ScalarOp::Min, Some(a), None) | (ScalarOp::Min, None, Some(a)) => return Some((0.min(a.0), a.1)),
            (ScalarOp::Rem | ScalarOp::And, _, Some(b)) if b.0 >= 0 => return Some((0, b.1)),
            (ScalarOp::Select, ..) => {
                let (a, b) = (self.get(*args.get(1)?)?, self.get(*args.get(2)?)?);
                return Some((a.0.min(b.0), a.1.max(b.1)));
            }
            _ => {}
        }
        let (a, b) = (x?, y?);
        let ends = |f: &dyn Fn(i128, i128) -> i128| {
            let all = [f(a.0, b.0), f(a.0, b.1), f(a.1, b.0), f(a.1, b.1)];
            (all.iter().copied().min().unwrap_or(0), all.iter().copied().max().unwrap_or(0))
        };
        match op {
            ScalarOp::Add => Some(ends(&|p, q| p + q)),
            ScalarOp::Sub => Some(ends(&|p, q| p - q)),
            ScalarOp::Mul => Some(ends(&|p, q| p * q)),
            ScalarOp::Div | ScalarOp::FloorDiv if a.0 >= 0 && b.0 > 0 => Some((a.0 / b.1, a.1 / b.0)),
            ScalarOp::Min => Some((a.0.min(b.0), a.1.min(b.1))),
            ScalarOp::Max => Some((a.0.max(b.0), a.1.max(b.1))),
            ScalarOp::Shr if a.0 >= 0 && b.0 == b.1 && (0..32).contains(&b.0) => Some((a.0 >> b.0, a.1 >> b.0)),
            ScalarOp::Shl if a.0 >= 0 && b.0 == b.1 && (0..32).contains(&b.0) => Some((a.0 << b.0, a.1 << b.0)),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use girih_simt::Builder;

    fn nested(inner: u32) -> Kernel {
        let mut b = Builder::new();
        let (zero, n, limit) = (b.uint(0), b.uniform(&"n".into()), b.uint(inner));
        let four = b.uint(4);
        let some = b.map(ScalarOp::Div, &[n, four]);
        b.for_loop(zero, some, 1, true, |b, i| {
            let end = b.map(ScalarOp::Min, &[i, limit]);
            b.for_loop(zero, end, 2, true, |_, _| {});
        });
        b.finish("nested", [64, 1, 1], Dim::symbol("n", 1, 400))
    }

    #[test]
    fn rounds_of_nested_loops() {
        let known = symbols([&Dim::symbol("n", 1, 400)]);
        // 100 rounds and an end, each with at most 5 rounds and an end inside.
        assert_eq!(most(&nested(10), &known), (101 + 101 * 6, true));
        // Bounded by the outer index, 99.
        assert_eq!(most(&nested(1 << 20), &known), (101 + 101 * 50, true));
        assert_eq!(
            most(&nested(10), &BTreeMap::new()),
            (6, false),
            "the outer end is not known; the inner is bounded by 10"
        );
    }
}
