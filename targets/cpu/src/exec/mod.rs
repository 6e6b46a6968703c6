//! Runs programs: one worker per thread, one instance after the other, one operation at a time over whole tiles.

mod access;
mod body;
mod chain;
mod control;
mod dot;
mod fold;
mod group;
mod index;
mod map;
pub(crate) mod quant;
pub(crate) mod report;
mod sort;
mod window;

use crate::memory::{Aligned, Mem};
use crate::program::{Code, Inst, Program, Tile};
use crate::simd::strided;
use girih_base::{Diag, Result};
use girih_tile::Op;
use girih_tile::verify::MAX_RANK;

pub(crate) use map::Inner;

/// A view with its sizes known.
#[derive(Debug)]
pub(crate) struct ViewAt {
    pub offset: i64,
    /// Extent and stride of each axis.
    pub axes: Vec<(i64, i64)>,
    /// Base, coefficients, extent.
    pub guards: Vec<(i64, Vec<i64>, i64)>,
}

/// One launch: a program with its memory and sizes.
pub(crate) struct Launch<'a> {
    pub program: &'a Program,
    pub args: Vec<Mem>,
    pub views: Vec<ViewAt>,
    pub dims: Vec<i64>,
    /// Scalars as they are bound.
    pub scalars: Vec<i64>,
    pub grid: Vec<u64>,
    /// Threads that one instance may use inside a product of matrices.
    pub inner_threads: usize,
    /// What instances print and assert.
    pub reports: &'a report::Reports,
}

/// Number of elements of a strip: a piece of an operand that is copied to be contiguous.
pub(crate) const STRIP: usize = 1024;

/// What one thread owns.
#[derive(Default)]
pub(crate) struct Worker {
    scratch: Aligned,
    strips: Aligned,
    /// Strips between the operations of chains.
    between: Aligned,
    /// Copies of operands that must be contiguous.
    dense: [Aligned; 6],
    tiles: Vec<Tile>,
    ids: Vec<i32>,
    /// Number of the instance, and of its prints so far.
    instance: u64,
    prints: u32,
    /// The instance has stored something.
    written: bool,
    /// The instances of the group cannot run together.
    parted: bool,
}

impl Worker {
    /// Gets ready for a launch.
    pub fn prepare(&mut self, l: &Launch<'_>) -> Result<()> {
        self.scratch.reserve(l.program.scratch)?;
        self.strips.reserve(4 * STRIP * 8)?;
        let nowhere = Tile { ptr: std::ptr::null_mut(), strides: [0; MAX_RANK] };
        self.tiles.clear();
        self.tiles.resize(l.program.slots.len(), nowhere);
        for (id, tile) in &l.program.fixed {
            self.tiles[*id] = *tile;
        }
        self.ids.clear();
        self.ids.resize(l.grid.len(), 0);
        Ok(())
    }

    /// Runs the instance of that number, counting along the last grid axis first.
    pub fn instance(&mut self, l: &Launch<'_>, mut number: u64) -> Result<()> {
        (self.instance, self.prints) = (number, 0);
        for (id, extent) in self.ids.iter_mut().zip(&l.grid).rev() {
            *id = (number % extent) as i32;
            number /= extent;
        }
        self.code(l, &l.program.body)
    }

    fn code(&mut self, l: &Launch<'_>, code: &Code) -> Result<()> {
        for inst in &code.insts {
            self.step(l, inst)?;
            if let Some(check) = &inst.check {
                self.check(l, inst.dst[0], check)?;
            }
        }
        Ok(())
    }

    fn step(&mut self, l: &Launch<'_>, inst: &Inst) -> Result<()> {
        match &inst.op {
            Op::Const(_) | Op::Arange(_) => {}
            Op::ProgramId(axis) => {
                let value = self.ids[*axis];
                self.set_i32(l, inst.dst[0], value);
            }
            Op::Size(_) => self.set_i32(l, inst.dst[0], l.dims[inst.table] as i32),
            Op::Scalar(i) => self.scalar(l, inst.dst[0], l.scalars[*i]),
            Op::Map(op, args) => match &inst.chain {
                Some(chain) => self.chain(l, inst, chain)?,
                None => self.map(l, inst, *op, args)?,
            },
            Op::Cast(x) => self.cast(l, inst, x.0 as usize)?,
            Op::Bitcast(x) => self.bitcast(l, inst, x.0 as usize)?,
            Op::Splat(x) => {
                self.tiles[inst.dst[0]] = Tile { ptr: self.tiles[x.0 as usize].ptr, strides: [0; MAX_RANK] }
            }
            Op::Permute(x, perm) => {
                let from = self.tiles[x.0 as usize];
                let mut to = Tile { ptr: from.ptr, strides: [0; MAX_RANK] };
                perm.iter().enumerate().for_each(|(i, axis)| to.strides[i] = from.strides[*axis]);
                self.tiles[inst.dst[0]] = to;
            }
            Op::Broadcast(x, axes) => {
                let from = self.tiles[x.0 as usize];
                let mut to = Tile { ptr: from.ptr, strides: [0; MAX_RANK] };
                axes.iter().enumerate().for_each(|(i, axis)| to.strides[*axis] = from.strides[i]);
                self.tiles[inst.dst[0]] = to;
            }
            Op::Reshape(x) => self.reshape(l, inst.dst[0], x.0 as usize),
            Op::Load { .. } => self.load(l, inst)?,
            Op::LoadQuant { .. } => self.load_quant(l, inst)?,
            Op::LoadAt { .. } => self.load_at(l, inst)?,
            Op::Store { .. } => self.store(l, inst)?,
            Op::StoreAt { .. } => self.store_at(l, inst)?,
            Op::Atomic { .. } => self.atomic(l, inst)?,
            Op::CompareExchange { .. } => self.compare_exchange(l, inst)?,
            Op::Dot { a, b, acc } => match inst.quant {
                Some(_) => self.dot_quant(l, inst)?,
                None => self.dot(l, inst, a.0 as usize, b.0 as usize, acc.map(|v| v.0 as usize))?,
            },
            Op::Reduce { .. } => self.reduce(l, inst)?,
            Op::Scan { .. } => self.scan(l, inst)?,
            Op::Sort { .. } => self.sort(l, inst)?,
            Op::For { lo, hi, step, init, .. } => self.for_loop(l, inst, (lo, hi, *step), init)?,
            Op::While { init, .. } => self.while_loop(l, inst, init)?,
            Op::If { cond, .. } => self.branch(l, inst, cond.0 as usize)?,
            Op::Print(_, args) => self.print(l, inst, &args.iter().map(|v| v.0 as usize).collect::<Vec<_>>())?,
            Op::Assert(x, _) => self.assert(l, inst, x.0 as usize)?,
        }
        Ok(())
    }

    /// The room of a value in scratch, contiguous.
    fn room(&mut self, l: &Launch<'_>, id: usize) -> Tile {
        let slot = &l.program.slots[id];
        Tile { ptr: self.scratch.as_mut_ptr().wrapping_add(slot.offset), strides: slot.strides }
    }

    fn i32(&self, id: usize) -> i64 {
        // SAFETY: verified to be an i32 scalar, defined before it is read.
        unsafe { *self.tiles[id].ptr.cast::<i32>() as i64 }
    }

    fn set_i32(&mut self, l: &Launch<'_>, id: usize, value: i32) {
        let tile = self.room(l, id);
        // SAFETY: the room of an i32 scalar.
        unsafe { *tile.ptr.cast::<i32>() = value };
        self.tiles[id] = tile;
    }

    /// A scalar from its binding: an integer's value, or a float's bits.
    fn scalar(&mut self, l: &Launch<'_>, id: usize, bound: i64) {
        let tile = self.room(l, id);
        // SAFETY: the room of a scalar of this lane.
        unsafe {
            match l.program.slots[id].lane.bytes() {
                8 => *tile.ptr.cast::<i64>() = bound,
                _ => *tile.ptr.cast::<u32>() = bound as u32,
            }
        }
        self.tiles[id] = tile;
    }

    fn reshape(&mut self, l: &Launch<'_>, dst: usize, src: usize) {
        let (from, shape) = (self.tiles[src], &l.program.slots[src].shape);
        let to = &l.program.slots[dst];
        // One element repeated keeps its shape-free form.
        if shape.iter().zip(&from.strides).all(|(n, s)| *n == 1 || *s == 0) {
            self.tiles[dst] = Tile { ptr: from.ptr, strides: [0; MAX_RANK] };
            return;
        }
        if strided::is_contiguous(shape, &from.strides) {
            self.tiles[dst] = Tile { ptr: from.ptr, strides: to.strides };
            return;
        }
        if let Some(strides) = strided::reshaped(shape, &from.strides, &to.shape) {
            self.tiles[dst] = Tile { ptr: from.ptr, strides };
            return;
        }
        let (room, rank, bytes) = (self.room(l, dst), shape.len(), to.lane.bytes());
        // A matrix is put down column by column if memory runs along its rows.
        let rows = |i: usize| shape[..i].iter().product::<usize>();
        let split = (0..=rank).find(|i| to.shape.len() == 2 && rows(*i) == to.shape[0]).unwrap_or(0);
        let split = split * strided::running(shape, &from.strides).is_some_and(|a| a < split) as usize;
        let (mut turned, mut strides) = ([1; MAX_RANK], [0; MAX_RANK]);
        (0..rank).for_each(|i| turned[i] = shape[(i + split) % rank]);
        (0..rank).for_each(|i| strides[i] = from.strides[(i + split) % rank]);
        let gapless = strided::contiguous(&turned[..rank]);
        // SAFETY: both hold all elements; the placer keeps the two rooms apart.
        unsafe { strided::copy(bytes, &turned[..rank], (from.ptr, &strides), (room.ptr, &gapless)) };
        let strides = match split {
            0 => strided::contiguous(&to.shape),
            _ => strided::turned(&to.shape, 1),
        };
        self.tiles[dst] = Tile { ptr: room.ptr, strides };
    }

    /// The elements of a value in row-major order without gaps; copied to buffer `which` when they lie otherwise.
    fn dense(&mut self, l: &Launch<'_>, id: usize, which: usize) -> Result<*mut u8> {
        let (tile, slot) = (self.tiles[id], &l.program.slots[id]);
        if strided::is_contiguous(&slot.shape, &tile.strides) {
            return Ok(tile.ptr);
        }
        self.dense[which].reserve(slot.len * slot.lane.bytes())?;
        let to = self.dense[which].as_mut_ptr();
        // SAFETY: the buffer was made large enough and is nobody else's.
        unsafe {
            let into = (to, &strided::contiguous(&slot.shape)[..]);
            strided::copy(slot.lane.bytes(), &slot.shape, (tile.ptr, &tile.strides), into);
        }
        Ok(to)
    }
}

/// An access outside a parameter: the program is wrong, and memory stays untouched.
pub(crate) fn outside(l: &Launch<'_>, param: usize, at: i64) -> Box<Diag> {
    let p = &l.program.params[param];
    let len = elements(l, param);
    Diag::error("X103", format!("kernel `{}` reaches element {at} of `{}`, which has {len}", l.program.name, p.name))
        .note("the access was stopped; nothing outside the buffer was read or written")
        .help("this is a mistake in the kernel or in the sizes it was launched with")
}

/// Number of whole elements in the memory bound to a parameter.
pub(crate) fn elements(l: &Launch<'_>, param: usize) -> i64 {
    (l.args[param].bytes as i64).saturating_mul(8) / l.program.params[param].dtype.bits() as i64
}
