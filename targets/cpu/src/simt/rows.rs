//! What a kernel computes that need not be computed per thread: variables that are written once, indices that count up with the
//! threads, and comparisons of such indices.

use super::uniform::Varies;
use girih_base::{DType, ScalarOp};
use girih_simt::{Builtin, Kernel, Op, Space, Stmt, ValueId};

/// A value that counts up with the threads: what it is in thread 0 (nothing for 0), modulo 2^32.
pub(super) type Row = Option<ValueId>;

/// A comparison of a row with a value that is the same in all threads.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cut {
    pub row: Row,
    /// With the row on the left.
    pub op: ScalarOp,
    pub bound: ValueId,
    pub signed: bool,
}

/// The value of each read of a variable that one statement before it writes.
///
/// A variable written once, in a block that the read lies in or under, has the written value at the read: whichever thread
/// reads, it went through the statement in the same round of the same loops.
pub(super) fn once(kernel: &Kernel) -> Vec<Option<ValueId>> {
    struct Walk {
        sets: Vec<u32>,
        now: Vec<Option<ValueId>>,
        out: Vec<Option<ValueId>>,
    }
    fn count(stmts: &[Stmt], sets: &mut [u32]) {
        for s in stmts {
            if let Op::Set(i, _) = &s.op {
                sets[*i as usize] += 1;
            }
            s.op.blocks().into_iter().for_each(|b| count(b, sets));
        }
    }
    impl Walk {
        fn block(&mut self, stmts: &[Stmt]) {
            let mut here = Vec::new();
            for s in stmts {
                match (&s.op, s.result) {
                    (Op::Set(i, x), _) if self.sets[*i as usize] == 1 => {
                        self.now[*i as usize] = Some(*x);
                        here.push(*i);
                    }
                    (Op::Get(i), Some(r)) => self.out[r.0 as usize] = self.now[*i as usize],
                    _ => {}
                }
                s.op.blocks().into_iter().for_each(|b| self.block(b));
            }
            here.into_iter().for_each(|i| self.now[i as usize] = None);
        }
    }
    let locals = kernel.locals.len();
    let mut walk = Walk { sets: vec![0; locals], now: vec![None; locals], out: vec![None; kernel.values.len()] };
    count(&kernel.body, &mut walk.sets);
    walk.block(&kernel.body);
    walk.out
}

/// Rows and cuts, by value.
pub(super) struct Rows {
    rows: Vec<Option<Row>>,
    cuts: Vec<Option<Cut>>,
}

impl Rows {
    /// Finds them.
    pub fn new(kernel: &Kernel, varies: &Varies) -> Rows {
        let n = kernel.values.len();
        let mut rows = Rows { rows: vec![None; n], cuts: vec![None; n] };
        rows.block(kernel, varies, &kernel.body);
        rows
    }

    /// The row that an index of memory shared by the threads is.
    pub fn index(&self, space: Space, index: ValueId) -> Option<Row> {
        if matches!(space, Space::Local(_)) { None } else { self.rows[index.0 as usize] }
    }

    /// The cut that a condition is.
    pub fn cut(&self, cond: ValueId) -> Option<Cut> {
        self.cuts[cond.0 as usize]
    }

    fn block(&mut self, kernel: &Kernel, varies: &Varies, stmts: &[Stmt]) {
        use ScalarOp::*;
        let uniform = |v: ValueId| !varies.values[v.0 as usize];
        for s in stmts {
            if let Some(r) = s.result {
                let row = |v: &ValueId| self.rows[v.0 as usize];
                let dtype = |v: &ValueId| kernel.values[v.0 as usize].ty.dtype;
                let word = |v: &ValueId| matches!(dtype(v), DType::U32 | DType::I32);
                let scalar = kernel.values[r.0 as usize].ty.lanes == 1;
                let found = match &s.op {
                    Op::Builtin(Builtin::LocalIndex) => Some(None),
                    Op::Get(_) => varies.once[r.0 as usize].and_then(|x| row(&x)),
                    Op::Cast(x) | Op::Bitcast(x) if word(x) && word(&r) => row(x),
                    Op::Map(Add, args) if scalar && word(&r) => match (row(&args[0]), row(&args[1])) {
                        (Some(None), None) if uniform(args[1]) => Some(Some(args[1])),
                        (None, Some(None)) if uniform(args[0]) => Some(Some(args[0])),
                        _ => None,
                    },
                    _ => None,
                };
                let cut = match &s.op {
                    Op::Get(_) => varies.once[r.0 as usize].and_then(|x| self.cuts[x.0 as usize]),
                    Op::Map(op @ (Lt | Le | Gt | Ge | Eq | Ne), args) if scalar && word(&args[0]) => {
                        let signed = dtype(&args[0]) == DType::I32;
                        let turned = match op {
                            Lt => Gt,
                            Le => Ge,
                            Gt => Lt,
                            Ge => Le,
                            op => *op,
                        };
                        match (row(&args[0]), row(&args[1])) {
                            (Some(row), None) if uniform(args[1]) => Some(Cut { row, op: *op, bound: args[1], signed }),
                            (None, Some(row)) if uniform(args[0]) => {
                                Some(Cut { row, op: turned, bound: args[0], signed })
                            }
                            _ => None,
                        }
                    }
                    _ => None,
                };
                (self.rows[r.0 as usize], self.cuts[r.0 as usize]) = (found, cut);
            }
            s.op.blocks().into_iter().for_each(|b| self.block(kernel, varies, b));
        }
    }
}
