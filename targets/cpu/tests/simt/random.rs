//! Random kernels with nested control flow.
//!
//! Each thread reads what it likes and writes only its own elements, or those of workgroup memory between two barriers, so that
//! the emulator finds no race. Operations are those whose results are exact, so that both ways give the same bits.

use crate::common::*;
use crate::{same, words};
use girih_base::{Bindings, DType, Dim, Literal, ScalarOp};
use girih_simt::*;

const TYPES: &[Ty] = &[
    Ty::scalar(DType::U32),
    Ty::scalar(DType::I32),
    Ty::scalar(DType::F32),
    Ty::scalar(DType::Bool),
    Ty::scalar(DType::U64),
    Ty::scalar(DType::F64),
    Ty::scalar(DType::F16),
    Ty::vec(DType::F32, 4),
    Ty::vec(DType::U32, 2),
];
const SHARED: u32 = 128;

struct Make {
    b: Builder,
    r: Random,
    threads: u32,
    /// Values in scope.
    pool: Vec<ValueId>,
    locals: Vec<(u32, Ty)>,
    arrays: Vec<(u32, Ty, u32)>,
    lane: ValueId,
    own: ValueId,
    /// Statements still to make.
    left: i32,
    loops: u32,
    divergent: bool,
    stored: u32,
}

impl Make {
    fn below(&mut self, n: usize) -> usize {
        (self.r.bits() % n as u64) as usize
    }

    fn ty(&mut self) -> Ty {
        TYPES[self.below(TYPES.len())]
    }

    fn literal(&mut self, ty: Ty) -> ValueId {
        let n = self.r.bits() as i64 >> (32 + self.below(31));
        let value = match ty.dtype {
            DType::Bool => Literal::Int(n & 1),
            DType::U32 => Literal::Int(n as u32 as i64),
            DType::U64 => Literal::Int(n & i64::MAX),
            d if d.is_float() => Literal::float((n % 1000) as f64 / 8.0),
            _ => Literal::Int(n),
        };
        self.b.constant(value, ty)
    }

    /// A value of that type that is there already, most of the time.
    fn some(&mut self, ty: Ty) -> ValueId {
        let fits: Vec<ValueId> = self.pool.iter().copied().filter(|v| self.b.ty(*v) == ty).collect();
        if fits.is_empty() || self.below(8) == 0 {
            return match (self.below(3), ty.dtype) {
                (0, DType::U32) if ty.lanes == 1 => self.lane,
                (1, _) if ty.lanes > 1 => {
                    let parts = (0..ty.lanes).map(|_| self.some(Ty::scalar(ty.dtype))).collect();
                    self.b.push(Op::MakeVec(parts), ty)
                }
                _ => self.literal(ty),
            };
        }
        // Late values are more interesting.
        let k = self.below(fits.len()).max(self.below(fits.len()));
        fits[k]
    }

    /// A comparison of the thread's number, or of one that counts up with it, with something all threads share.
    fn cut(&mut self) -> ValueId {
        use ScalarOp::*;
        let row = match self.below(4) {
            0 => self.lane,
            1 => self.own,
            _ => {
                let by = self.r.bits() as u32 % 200;
                let by = if self.below(2) == 0 { by } else { by.wrapping_neg() };
                let by = self.b.uint(by);
                self.b.map(Add, &[by, self.lane])
            }
        };
        let op = [Eq, Ne, Lt, Le, Gt, Ge][self.below(6)];
        let bound = self.b.uint(self.r.bits() as u32 % 140);
        let (row, bound) = match self.below(2) {
            0 => (row, bound),
            _ => (self.b.bitcast(row, DType::I32), self.b.cast(bound, DType::I32)),
        };
        if self.below(2) == 0 { self.b.map(op, &[row, bound]) } else { self.b.map(op, &[bound, row]) }
    }

    /// The thread's number or up to so many more, however it is computed.
    fn behind(&mut self, most: u32) -> ValueId {
        use ScalarOp::*;
        let by = self.r.bits() as u32 % (most + 1);
        let far = self.r.bits() as u32;
        match self.below(4) {
            0 => {
                let by = self.b.uint(by);
                self.b.map(Add, &[self.lane, by])
            }
            // Wraps around on the way.
            1 => {
                let (far, back) = (self.b.uint(far), self.b.uint(by.wrapping_sub(far)));
                let at = self.b.map(Add, &[far, self.lane]);
                self.b.map(Add, &[back, at])
            }
            2 => {
                let (far, back) = (self.b.uint(far.wrapping_add(by)), self.b.uint(far));
                let at = self.b.map(Add, &[self.lane, far]);
                self.b.map(Sub, &[at, back])
            }
            _ => {
                let (minus, lane) = (self.b.int(-(by as i32)), self.b.bitcast(self.lane, DType::I32));
                let at = self.b.map(Sub, &[lane, minus]);
                self.b.bitcast(at, DType::U32)
            }
        }
    }

    /// The larger or smaller of two numbers, with a comparison and a choice.
    fn pick(&mut self) -> ValueId {
        use ScalarOp::*;
        let ty = Ty::scalar(DType::F32);
        let (a, b) = (self.some(ty), self.some(ty));
        let op = [Lt, Gt][self.below(2)];
        let mut c = if self.below(2) == 0 { self.b.map(op, &[a, b]) } else { self.b.map(op, &[b, a]) };
        if self.below(2) == 0 {
            let nan = self.b.map(IsNan, &[a]);
            c = if self.below(2) == 0 { self.b.map(Or, &[c, nan]) } else { self.b.map(Or, &[nan, c]) };
        }
        let v = self.b.map(Select, &[c, b, a]);
        self.pool.push(v);
        v
    }

    /// A loop in which threads stride, counted or with a variable, over what lies in front of an end.
    fn stride(&mut self, depth: u32) {
        use ScalarOp::*;
        let (counted, ends) = (self.below(2) == 0, self.below(2) == 0);
        let (first, step) = (self.r.bits() as u32 % 40, self.threads * (1 + self.below(2) as u32));
        let end = first + self.r.bits() as u32 % (3 * self.threads + 1);
        let first = self.b.uint(first);
        let lo = self.b.add(self.lane, first);
        let hi = self.b.uint(if ends { end } else { 0 });
        let n = self.pool.len();
        if counted {
            let index = self.b.fresh(TYPES[0]);
            self.pool.push(index);
            self.loops += 1;
            let body = self.scope(depth - 1, true);
            self.loops -= 1;
            self.b.effect(Op::For { index, lo, hi, step, uniform: false, body });
        } else {
            let i = self.b.local("i", TYPES[0], None);
            let step = self.b.uint(step);
            self.b.set(i, lo);
            self.b.begin();
            let at = self.b.get(i);
            let done = self.b.map(Ge, &[at, hi]);
            self.b.if_then(done, |b| b.effect(Op::Break));
            let at = self.b.get(i);
            self.pool.push(at);
            // Nothing inside may skip the step.
            let (loops, divergent) = (std::mem::take(&mut self.loops), std::mem::replace(&mut self.divergent, true));
            self.block(depth - 1);
            (self.loops, self.divergent) = (loops, divergent);
            let at = self.b.get(i);
            let next = self.b.add(at, step);
            self.b.set(i, next);
            let body = self.b.end();
            self.b.effect(Op::Loop(body));
        }
        self.pool.truncate(n);
    }

    /// The element of a buffer that lies at the thread's number or some way behind.
    fn row(&mut self) -> ValueId {
        let at = self.behind(SHARED - self.threads);
        let i = self.below(2) as u32;
        // Through a variable that is written once.
        let once = self.b.local("once", TYPES[0], None);
        self.b.set(once, at);
        let at = self.b.get(once);
        self.b.load(Space::Buffer(i), at)
    }

    /// An index below `n`.
    fn index(&mut self, n: u32) -> ValueId {
        let i = self.some(TYPES[0]);
        let n = self.b.uint(n);
        self.b.map(ScalarOp::Rem, &[i, n])
    }

    fn value(&mut self) -> ValueId {
        use ScalarOp::*;
        let ty = self.ty();
        let v = match self.below(16) {
            0 => {
                let x = self.some(ty);
                let to = [DType::U32, DType::I32, DType::F32, DType::Bool, DType::U64, DType::F64, DType::F16];
                let to = to[self.below(to.len())];
                self.b.push(Op::Cast(x), Ty { dtype: to, ..ty })
            }
            1 if ty.lanes > 1 => {
                let x = self.some(ty);
                let at = self.below(ty.lanes as usize) as u8;
                self.b.component(x, at)
            }
            2 if ty.lanes > 1 => {
                let (x, at) = (self.some(ty), self.index(ty.lanes as u32));
                self.b.push(Op::ComponentAt(x, at), Ty::scalar(ty.dtype))
            }
            3 => {
                let at = self.index(SHARED);
                let i = self.below(2) as u32;
                self.b.load(Space::Buffer(i), at)
            }
            4 if !self.arrays.is_empty() => {
                let k = self.below(self.arrays.len());
                let (a, _, n) = self.arrays[k];
                let at = self.index(n);
                self.b.load(Space::Local(a), at)
            }
            5 | 6 if !self.locals.is_empty() => {
                let k = self.below(self.locals.len());
                self.b.get(self.locals[k].0)
            }
            7 => {
                let (x, y) = (self.some(ty), self.some(ty));
                let op = [Eq, Ne, Lt, Le, Gt, Ge][self.below(if ty.dtype == DType::Bool { 2 } else { 6 })];
                self.b.map(op, &[x, y])
            }
            8 => {
                let cond = Ty { dtype: DType::Bool, lanes: if self.below(2) == 0 { 1 } else { ty.lanes } };
                let (c, x, y) = (self.some(cond), self.some(ty), self.some(ty));
                self.b.map(Select, &[c, x, y])
            }
            10 => self.row(),
            12 if self.below(2) == 0 => return self.pick(),
            11 => self.cut(),
            9 if !self.divergent && ty.dtype != DType::Bool => {
                let ops = [SubgroupOp::Min, SubgroupOp::Max, SubgroupOp::ShuffleXor(3), SubgroupOp::BroadcastFirst];
                let (op, x) = (ops[self.below(4)], self.some(ty));
                self.b.push(Op::Subgroup(op, x), ty)
            }
            _ => {
                let ops: &[ScalarOp] = match ty.dtype {
                    DType::Bool => &[And, Or, Xor, Not],
                    d if d.is_float() => &[Add, Sub, Mul, Neg, Abs, Min, Max, Floor, Trunc, Sign, Relu],
                    _ => &[
                        Add, Sub, Mul, Div, Rem, Neg, Abs, Min, Max, And, Or, Xor, Not, Shl, Shr, Popcount, Clz, MulHi,
                        Ctz, FloorDiv, FloorMod, Clamp, LogicalShr, Sign,
                    ],
                };
                let op = ops[self.below(ops.len())];
                let args: Vec<ValueId> = (0..op.arity()).map(|_| self.some(ty)).collect();
                match op.infer(&vec![ty.dtype; op.arity()]) {
                    Ok(_) => self.b.push(Op::Map(op, args), ty),
                    Err(_) => self.some(ty),
                }
            }
        };
        self.pool.push(v);
        v
    }

    /// Statements in a scope of their own.
    fn scope(&mut self, depth: u32, divergent: bool) -> Vec<Stmt> {
        let (n, before) = (self.pool.len(), self.divergent);
        self.divergent |= divergent;
        self.b.begin();
        self.block(depth);
        self.pool.truncate(n);
        self.divergent = before;
        self.b.end()
    }

    fn block(&mut self, depth: u32) {
        for _ in 0..3 + self.below(8) {
            self.left -= 1;
            if self.left < 0 {
                return;
            }
            match self.below(20) {
                0..=9 => {
                    self.value();
                }
                10..=12 if !self.locals.is_empty() => {
                    let k = self.below(self.locals.len());
                    let (local, ty) = self.locals[k];
                    let x = self.some(ty);
                    self.b.set(local, x);
                }
                13 if !self.arrays.is_empty() => {
                    let k = self.below(self.arrays.len());
                    let (a, ty, n) = self.arrays[k];
                    let (at, x) = (self.index(n), self.some(ty));
                    self.b.store(Space::Local(a), at, x);
                }
                14 => {
                    // Own elements of the result.
                    let k = self.b.uint(self.stored % 4 * self.threads);
                    self.stored += 1;
                    let at = self.b.add(self.own, k);
                    let mut x = self.some(Ty::scalar(DType::F32));
                    match self.below(4) {
                        // What is there already, changed.
                        0 => {
                            let old = self.b.load(Space::Buffer(2), at);
                            let op = [ScalarOp::Sub, ScalarOp::Add, ScalarOp::Mul][self.below(3)];
                            x = if self.below(2) == 0 { self.b.map(op, &[old, x]) } else { self.b.map(op, &[x, old]) };
                        }
                        1 => x = self.pick(),
                        _ => {}
                    }
                    self.b.store(Space::Buffer(2), at, x);
                }
                15 if !self.divergent => {
                    self.b.effect(Op::Barrier);
                    let x = self.some(Ty::scalar(DType::U32));
                    self.b.store(Space::Shared(0), self.lane, x);
                    self.b.effect(Op::Barrier);
                    let at = if self.below(2) == 0 { self.index(self.threads) } else { self.behind(0) };
                    let v = self.b.load(Space::Shared(0), at);
                    self.b.effect(Op::Barrier);
                    self.pool.push(v);
                }
                16 | 17 if depth > 0 => {
                    let c = if self.below(2) == 0 { self.cut() } else { self.some(Ty::scalar(DType::Bool)) };
                    let then = self.scope(depth - 1, true);
                    let other = if self.below(2) == 0 { self.scope(depth - 1, true) } else { Vec::new() };
                    self.b.effect(Op::If(c, then, other));
                }
                18 if depth > 0 && self.below(2) == 0 => self.stride(depth),
                18 if depth > 0 => {
                    let (lo, hi) = (self.index(5), self.index(9));
                    let index = self.b.fresh(TYPES[0]);
                    let n = self.pool.len();
                    self.pool.push(index);
                    self.loops += 1;
                    let body = self.scope(depth - 1, true);
                    self.loops -= 1;
                    self.pool.truncate(n);
                    let step = 1 + self.below(3) as u32;
                    self.b.effect(Op::For { index, lo, hi, step, uniform: false, body });
                }
                19 if depth > 0 => {
                    // Ends: a count of its own goes up first.
                    let count = self.b.local("round", TYPES[0], None);
                    let zero = self.b.uint(0);
                    self.b.set(count, zero);
                    self.loops += 1;
                    let (limit, before) = (self.index(7), self.pool.len());
                    self.b.begin();
                    let (c, one) = (self.b.get(count), self.b.uint(1));
                    let next = self.b.add(c, one);
                    self.b.set(count, next);
                    let done = self.b.map(ScalarOp::Ge, &[c, limit]);
                    self.b.if_then(done, |b| b.effect(Op::Break));
                    self.pool.push(c);
                    let divergent = std::mem::replace(&mut self.divergent, true);
                    self.block(depth - 1);
                    self.divergent = divergent;
                    self.pool.truncate(before);
                    let body = self.b.end();
                    self.loops -= 1;
                    self.b.effect(Op::Loop(body));
                }
                _ if depth > 0 && self.loops > 0 => {
                    let c = if self.below(3) == 0 { self.cut() } else { self.some(Ty::scalar(DType::Bool)) };
                    let leave = if self.below(2) == 0 { Op::Break } else { Op::Continue };
                    self.b.if_then(c, |b| b.effect(leave));
                }
                _ => {}
            }
        }
    }
}

fn kernel(seed: u64) -> Kernel {
    let mut r = Random(seed);
    let threads = [1, 5, 32, 33, 64, 96, 128][(r.bits() % 7) as usize];
    let mut b = Builder::new();
    let buffer =
        |name: &str, dtype, written| Buffer { name: name.into(), elem: Ty::scalar(dtype), written, read_only: false };
    b.buffers.extend([buffer("a", DType::U32, false), buffer("b", DType::F32, false), buffer("out", DType::F32, true)]);
    b.shared.push(Shared { name: "s".into(), elem: Ty::scalar(DType::U32), len: SHARED });
    let (lane, group, four) = (b.builtin(Builtin::LocalIndex), b.builtin(Builtin::WorkgroupIndex), b.uint(4 * threads));
    let base = b.mul(group, four);
    let own = b.add(base, lane);
    let n = b.uniform(&"n".into());
    let mut m = Make {
        b,
        r,
        threads,
        pool: vec![lane, group, own, n],
        locals: Vec::new(),
        arrays: Vec::new(),
        lane,
        own,
        left: 60,
        loops: 0,
        divergent: false,
        stored: 0,
    };
    for i in 0..3 {
        let ty = m.ty();
        m.locals.push((m.b.local(&format!("v{i}x"), ty, None), ty));
    }
    for i in 0..2 {
        let (ty, n) = (m.ty(), 1 + m.below(5) as u32);
        m.arrays.push((m.b.local(&format!("a{i}x"), ty, Some(n)), ty, n));
    }
    m.block(3);
    // Everything that is left in variables is seen.
    let mut sum = m.literal(Ty::scalar(DType::F32));
    for (local, ty) in m.locals.clone() {
        let v = m.b.get(local);
        for c in 0..ty.lanes {
            let v = m.b.component(v, c);
            let v = m.b.cast(v, DType::F32);
            sum = m.b.add(sum, v);
        }
    }
    let last = m.b.uint(3 * threads);
    let at = m.b.add(own, last);
    m.b.store(Space::Buffer(2), at, sum);
    m.b.finish(format!("random{seed}"), [threads, 1, 1], Dim::from(3))
}

/// NaN for NaN: which one a sum gives depends on the order of its operands.
fn plain(mut bytes: Vec<u8>) -> Vec<u8> {
    for word in bytes.chunks_exact_mut(4) {
        let v = f32::from_le_bytes(word.try_into().unwrap());
        word.copy_from_slice(&if v.is_nan() { f32::NAN } else { v + 0.0 }.to_le_bytes());
    }
    bytes
}

#[test]
fn random_kernels_run_as_they_are_emulated() {
    let count = std::env::var("GIRIH_FUZZ_SIMT").ok().map_or(400, |n| n.parse().unwrap());
    let mut run = 0;
    at_every_level(|| {
        for seed in 0..count {
            let kernel = kernel(seed);
            // The generator does not follow what the verifier finds divergent.
            if girih_simt::verify::verify(&kernel).is_err() {
                continue;
            }
            run_one(&kernel, seed);
        }
    });
    for seed in 0..count {
        run += girih_simt::verify::verify(&kernel(seed)).is_ok() as u64;
    }
    assert!(run > count / 2, "{run} of {count}");
}

fn run_one(kernel: &Kernel, seed: u64) {
    let mut r = Random(seed ^ 0xabcd);
    let threads: u32 = kernel.workgroup.iter().product();
    let a = words((0..SHARED).map(|_| (r.bits() >> 32 >> (r.bits() % 32)) as u32));
    let data = [a, f32s(&r.floats(SHARED as usize)), vec![0; threads as usize * 4 * 3 * 4]];
    same(kernel, &data, &Bindings::from([("n".into(), 5)]), plain);
}
