//! Sorting along an axis: Batcher's bitonic network in workgroup memory. Original positions break ties, which makes the
//! network stable.

use super::emit::Emit;
use girih_base::{DType, Result, ScalarOp};
use girih_simt::ValueId as Sv;
use girih_tile::ValueId as Tv;

impl Emit<'_> {
    /// [`Op::Sort`](girih_tile::Op::Sort): numbers by value, -0 = 0, NaN last (first when descending).
    pub fn sort(&mut self, args: &[Tv], axis: usize, keys: usize, descending: bool, results: &[Tv]) -> Result<()> {
        let bits = self.bits(args[0]);
        let below: u32 = bits[axis + 1..].iter().map(|b| *b as u32).sum();
        let (len, total) = (bits[axis] as u32, bits.iter().map(|b| *b as u32).sum::<u32>());
        let arrays = args.iter().map(|a| self.copy_to_shared(*a)).collect::<Result<Vec<_>>>()?;
        let dtypes = args.iter().map(|a| self.compute(self.dtype(*a))).collect::<Result<Vec<_>>>()?;
        if len == 0 {
            return self.take_back(&arrays, results);
        }
        let lanes = self.plan.lanes as u32;
        let (lane, threads) = (self.lane(), 1u32 << lanes);
        let order = self.scratch("order", DType::U32, 1 << total);
        let (all, pairs) = (self.uint(1 << total), self.uint(1 << (total - 1)));
        self.repeat_divergent(lane, all, threads, |e, i| {
            let position = e.shr(i, below);
            let position = e.and_fixed(position, (1 << len) - 1);
            e.put_shared(order, i, position);
            Ok(())
        })?;
        let (one, end) = (self.uint(1), self.uint(len + 1));
        self.repeat(one, end, 1, |e, size| {
            e.b.name(size, Some("size".into()));
            let zero = e.uint(0);
            e.repeat(zero, size, 1, |e, back| {
                e.barrier();
                let one = e.uint(1);
                let down = e.index(ScalarOp::Sub, &[size, one]);
                let stride = e.index(ScalarOp::Sub, &[down, back]);
                e.repeat_divergent(lane, pairs, threads, |e, pair| {
                    // Pair number to the two positions whose bit `stride` is 0 and 1.
                    let line = e.shr(pair, len - 1);
                    let within = e.and_fixed(pair, (1 << (len - 1)) - 1);
                    let step = e.index(ScalarOp::Shl, &[one, stride]);
                    let low = e.index(ScalarOp::Sub, &[step, one]);
                    let low = e.index(ScalarOp::And, &[within, low]);
                    let high = e.index(ScalarOp::Sub, &[within, low]);
                    let high = e.shl(high, 1);
                    let first = e.add(high, low);
                    let second = e.add(first, step);
                    let block = e.index(ScalarOp::Shr, &[first, size]);
                    let flip = e.and_fixed(block, 1);
                    let (p, q) = (e.on_line(below, len, line, first), e.on_line(below, len, line, second));
                    let read = |e: &mut Self, at: Sv| -> Vec<Sv> {
                        arrays.iter().zip(&dtypes).map(|(a, d)| e.get_shared(*a, at, *d)).collect()
                    };
                    let (x, y) = (read(e, p), read(e, q));
                    let (i, j) = (e.get_shared(order, p, DType::U32), e.get_shared(order, q, DType::U32));
                    let mut after = e.b.map(ScalarOp::Lt, &[j, i]);
                    for k in (0..keys).rev() {
                        let (greater, less) = (e.before(y[k], x[k], dtypes[k]), e.before(x[k], y[k], dtypes[k]));
                        let (greater, less) = if descending { (less, greater) } else { (greater, less) };
                        // after = greater or (not less and after)
                        let level = e.b.map(ScalarOp::Not, &[less]);
                        let tie = e.b.map(ScalarOp::And, &[level, after]);
                        after = e.b.map(ScalarOp::Or, &[greater, tie]);
                    }
                    let zero = e.uint(0);
                    let upward = e.index(ScalarOp::Eq, &[flip, zero]);
                    let swap = e.b.map(ScalarOp::Eq, &[after, upward]);
                    e.guarded(Some(swap), |e| {
                        for (a, (x, y)) in arrays.iter().zip(x.iter().zip(&y)) {
                            e.put_shared(*a, p, *y);
                            e.put_shared(*a, q, *x);
                        }
                        e.put_shared(order, p, j);
                        e.put_shared(order, q, i);
                        Ok(())
                    })
                })
            })
        })?;
        self.barrier();
        self.take_back(&arrays, results)
    }

    /// Whether `x` comes strictly before `y`; NaN after all numbers.
    fn before(&mut self, x: Sv, y: Sv, dtype: DType) -> Sv {
        if dtype == DType::Bool {
            let not = self.b.map(ScalarOp::Not, &[x]);
            return self.b.map(ScalarOp::And, &[not, y]);
        }
        let less = self.b.map(ScalarOp::Lt, &[x, y]);
        if !dtype.is_float() {
            return less;
        }
        let (nan_x, nan_y) = (self.b.map(ScalarOp::IsNan, &[x]), self.b.map(ScalarOp::IsNan, &[y]));
        let number = self.b.map(ScalarOp::Not, &[nan_x]);
        let last = self.b.map(ScalarOp::And, &[number, nan_y]);
        self.b.map(ScalarOp::Or, &[less, last])
    }
}
