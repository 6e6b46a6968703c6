//! Prints and assertions: each element is told by one thread.

use super::emit::{Emit, Idx, UNROLL};
use super::layout::{Layout, linear_of};
use girih_base::{Result, ScalarOp};
use girih_simt::{self as simt, Ty, ValueId as Sv};
use girih_tile::debug::ordered;
use girih_tile::{Block, Op, ValueId as Tv};
use std::sync::Arc;

impl Emit<'_> {
    /// Declares the number of the next print, which orders the lines, where the kernel prints.
    pub fn start_prints(&mut self) {
        fn prints(block: &Block) -> bool {
            block.stmts.iter().any(|s| matches!(s.op, Op::Print(..)) || s.op.blocks().into_iter().any(prints))
        }
        if prints(&self.kernel.body) {
            let number = self.b.local("prints", Ty::scalar(girih_base::DType::U32), None);
            let zero = self.uint(0);
            self.b.set(number, zero);
            self.prints = Some(number);
        }
    }

    /// [`Op::Print`]: a line for each element of the last value.
    pub fn print(&mut self, text: &str, args: &[Tv]) -> Result<()> {
        let Some(counter) = self.prints else { return Ok(()) };
        let text: Arc<str> = ordered(text).into();
        let number = self.b.get(counter);
        let (last, scalars) = match args.split_last() {
            Some((last, scalars)) => (Some(*last), scalars),
            None => (None, args),
        };
        let before = scalars.iter().map(|v| self.scalar(*v)).collect::<Result<Vec<_>>>()?;
        match last {
            None => {
                let owner = self.owner(&Layout::scalar(self.plan.lanes));
                self.guarded(owner, |e| {
                    let zero = e.uint(0);
                    e.b.effect(simt::Op::Print(text, vec![number, zero]));
                    Ok(())
                })?;
            }
            Some(v) => {
                let bits = self.bits(v);
                self.elements(v, |e, l, idx, c, x| {
                    let select = |axis: u8| move |b: super::layout::Bit| (b.axis == axis).then_some(b.bit);
                    let mut values = vec![number, e.place(l, idx, c, |b| Some(linear_of(&bits, b)))];
                    values.extend(&before);
                    for axis in 0..bits.len() as u8 {
                        values.push(e.place(l, idx, c, select(axis)));
                    }
                    values.push(x);
                    e.b.effect(simt::Op::Print(text.clone(), values));
                })?;
            }
        }
        let one = self.uint(1);
        let next = self.b.add(number, one);
        self.b.set(counter, next);
        Ok(())
    }

    /// [`Op::Assert`].
    pub fn assert(&mut self, x: Tv, text: &Arc<str>) -> Result<()> {
        let l = self.layout_of(x);
        self.prepare(x, &l, l.vectors() > UNROLL)?;
        self.each(l.vectors(), |e, idx| {
            let x = e.eval(x, &l, idx)?;
            let mut holds = e.b.component(x, 0);
            for c in 1..e.b.ty(x).lanes {
                let part = e.b.component(x, c);
                holds = e.b.map(ScalarOp::And, &[holds, part]);
            }
            e.b.effect(simt::Op::Assert(holds, text.clone()));
            Ok(())
        })
    }

    /// Visits every element of a value in the one thread that is to tell of it: layout, vector, component and the element.
    fn elements(&mut self, v: Tv, mut visit: impl FnMut(&mut Self, &Layout, &Idx, u8, Sv)) -> Result<()> {
        let l = self.layout_of(v).compressed();
        self.prepare(v, &l, l.vectors() > UNROLL)?;
        let owner = self.owner(&l);
        self.guarded(owner, |e| {
            e.each(l.vectors(), |e, idx| {
                let x = e.eval(v, &l, idx)?;
                let x = e.wide(x, l.width());
                for c in 0..l.width() {
                    let part = e.b.component(x, c);
                    visit(e, &l, idx, c, part);
                }
                Ok(())
            })
        })
    }

    /// A number made of bits of an element's coordinates.
    fn place(&mut self, l: &Layout, idx: &Idx, c: u8, select: impl Fn(super::layout::Bit) -> Option<u8> + Copy) -> Sv {
        let base = self.gather(l, idx, 0, true, true, select);
        let base = self.term(base);
        let step = self.gather(l, &Idx::default(), c as u32, false, true, select).fixed;
        self.add_fixed(base, step)
    }
}
