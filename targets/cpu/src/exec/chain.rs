//! Chains of operations, a strip at a time.

use super::{Launch, STRIP, Worker};
use crate::program::{Chain, Inst, Source};
use crate::simd::strided::Nest;
use girih_base::Result;
use girih_tile::verify::MAX_RANK;

/// Result and values from outside.
const OPERANDS: usize = Chain::EXTERNALS + 1;
/// Bytes of a strip between operations.
const BYTES: usize = STRIP * 8;

impl Worker {
    pub(super) fn chain(&mut self, l: &Launch<'_>, inst: &Inst, chain: &Chain) -> Result<()> {
        let slot = &l.program.slots[inst.dst[0]];
        let out = self.place(l, inst);
        let mut tiles = [out; OPERANDS];
        tiles[1..].iter_mut().zip(&chain.externals).for_each(|(t, id)| *t = self.tiles[*id]);
        // What is not there repeats one element.
        tiles[chain.externals.len() + 1..].iter_mut().for_each(|t| t.strides = [0; MAX_RANK]);
        let mut strides: [&[isize]; OPERANDS] = [&[]; OPERANDS];
        strides.iter_mut().zip(&tiles).for_each(|(s, t)| *s = &t.strides);
        let nest = Nest::new(&slot.shape, strides);
        self.between.reserve(chain.strips * BYTES)?;
        let (between, strips) = (self.between.as_mut_ptr(), self.strips.as_mut_ptr());
        // The result takes the place of a value that the chain reads: a strip is complete before it is put there.
        let over = tiles[1..=chain.externals.len()].iter().any(|t| t.ptr == out.ptr);
        let last = chain.links.len() - 1;
        let _ = nest.each(|at| {
            for start in (0..nest.inner).step_by(STRIP) {
                let n = STRIP.min(nest.inner - start);
                let mut repeats = [false; LINKS];
                for (i, link) in chain.links.iter().enumerate() {
                    // Where an operand starts and how far apart its elements are; what the operation lacks is as the first.
                    let source = |k: usize| match link.args[k.min(link.args.len() - 1)] {
                        Source::Strip(s) => (between.wrapping_add(s * BYTES).cast_const(), !repeats[s] as isize),
                        Source::External(e) => {
                            let (step, bytes) = (nest.step[e + 1], link.inner.operand_bytes(k) as isize);
                            let element = at[e + 1] + start as isize * step;
                            (tiles[e + 1].ptr.wrapping_offset(element * bytes).cast_const(), step)
                        }
                    };
                    // Not in arrays: pointers passed in memory would wait behind the stores of the operation before.
                    let ((x, a), (y, b), (z, c)) = (source(0), source(1), source(2));
                    let to = match i == last && !over {
                        true => out.ptr.wrapping_offset((at[0] + start as isize) * link.bytes as isize),
                        false => between.wrapping_add(link.to * BYTES),
                    };
                    // One element that repeats stays one.
                    let one = i != last && a | b | c == 0;
                    repeats[link.to] = one;
                    let n = if one { 1 } else { n };
                    // SAFETY: the nest visits elements of the tiles only; strips hold STRIP lanes, and no operation's result
                    // lies in a strip of its operands.
                    unsafe {
                        match [a, b, c].iter().all(|s| *s & !1 == 0) {
                            true => {
                                let step = [a as usize, b as usize, c as usize];
                                link.inner.along((to, link.bytes), [x, y, z], step, n, || strips);
                            }
                            false => link.inner.run((to, link.bytes), [x, y, z], [a, b, c], n, strips),
                        }
                    }
                    if i == last && over {
                        let place = out.ptr.wrapping_offset((at[0] + start as isize) * link.bytes as isize);
                        // SAFETY: `n` elements of the result, which lie in a row; the strip is elsewhere.
                        unsafe { std::ptr::copy_nonoverlapping(to.cast_const(), place, n * link.bytes) };
                    }
                }
            }
            Ok::<(), ()>(())
        });
        self.tiles[inst.dst[0]] = out;
        Ok(())
    }
}

/// Most strips: one for each operation.
const LINKS: usize = 16;
