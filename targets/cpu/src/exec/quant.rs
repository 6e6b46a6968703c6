//! Loads of quantised matrices, and products with them that never hold the decoded matrix.

use super::dot::multiply;
use super::{Launch, Worker, outside};
use crate::program::{Inst, Tile};
use crate::quant::{self, DotRows};
use crate::simd::strided;
use girih_base::{Diag, QuantFormat, Result};
use girih_tile::Op;

/// Up to this many rows on the left, blocks are decoded in registers for each few of them; beyond, panels are decoded
/// once and multiplied as matrices.
const FEW: usize = 8;
/// Bytes of a decoded panel: it should stay in the second-level cache beside the left operand.
const PANEL: usize = 192 << 10;

/// The part of a quantised matrix that a tile covers.
struct Part<'a> {
    format: QuantFormat,
    /// From the first row on.
    data: &'a [u8],
    row_bytes: usize,
    /// Rows and columns of the tile that exist.
    rows: usize,
    columns: usize,
    /// First column.
    from: usize,
}

impl Part<'_> {
    /// Decodes `out.len() / width` rows from `first`; what does not exist is 0.
    fn decode(&self, first: usize, width: usize, out: &mut [f32]) {
        let (n, bytes) = (self.format.block_elements(), self.format.block_bytes());
        for (r, out) in (first..).zip(out.chunks_exact_mut(width)) {
            out.fill(0.0);
            if r >= self.rows {
                continue;
            }
            let row = &self.data[r * self.row_bytes..][..self.row_bytes];
            let aligned = self.from.is_multiple_of(n) && self.columns.is_multiple_of(n);
            if aligned {
                let row = &row[self.from / n * bytes..][..self.columns / n * bytes];
                quant::decode(self.format, row, &mut out[..self.columns]);
                continue;
            }
            let mut whole = vec![0f32; self.row_bytes / bytes * n];
            quant::decode(self.format, row, &mut whole);
            out[..self.columns].copy_from_slice(&whole[self.from..][..self.columns]);
        }
    }
}

impl Worker {
    pub(super) fn load_quant(&mut self, l: &Launch<'_>, inst: &Inst) -> Result<()> {
        let Op::LoadQuant { at, .. } = &inst.op else { return Ok(()) };
        let id = inst.dst[0];
        let at = [self.i32(at[0].0 as usize), self.i32(at[1].0 as usize)];
        if inst.quant.is_some() {
            // Nothing is decoded: the product finds the coordinates here.
            let mut tile = self.room(l, id);
            tile.strides[0] = at[0] as isize;
            tile.strides[1] = at[1] as isize;
            self.tiles[id] = tile;
            return Ok(());
        }
        let part = self.part(l, inst, at)?;
        let (room, slot) = (self.room(l, id), &l.program.slots[id]);
        // SAFETY: the room of the slot.
        let out = unsafe { std::slice::from_raw_parts_mut(room.ptr.cast::<f32>(), slot.len) };
        part.decode(0, slot.shape[1], out);
        self.tiles[id] = room;
        Ok(())
    }

    fn part<'a>(&self, l: &Launch<'a>, inst: &Inst, at: [i64; 2]) -> Result<Part<'a>> {
        let Op::LoadQuant { param, format: name, .. } = &inst.op else { return Err(unknown("")) };
        let format = QuantFormat::from_name(name).ok_or_else(|| unknown(name))?;
        let shape = &l.program.slots[inst.dst[0]].shape;
        let (rows, columns) = (l.dims[inst.table].max(0), l.dims[inst.table + 1].max(0));
        let row_bytes = format.row_bytes(columns as u64).ok_or_else(|| {
            let block = format.block_elements();
            Diag::error("X102", format!("rows of {columns} elements do not fill blocks of {name} ({block} elements)"))
        })?;
        let clip = |at: i64, extent: i64, tile: usize| extent.saturating_sub(at).clamp(0, tile as i64) as usize;
        let (r, c) = (clip(at[0], rows, shape[0]), clip(at[1], columns, shape[1]));
        if at[0] < 0 || at[1] < 0 {
            return Err(outside(l, *param, at[0].min(at[1])));
        }
        let mem = l.args[*param];
        let first = if r == 0 { 0 } else { at[0] as u64 * row_bytes };
        let last = first.saturating_add(row_bytes.saturating_mul(r as u64));
        if last > mem.bytes as u64 {
            return Err(outside(l, *param, last as i64));
        }
        // SAFETY: checked to lie inside the parameter.
        let data =
            unsafe { std::slice::from_raw_parts(mem.ptr.add(first as usize).cast_const(), (last - first) as usize) };
        Ok(Part { format, data, row_bytes: row_bytes as usize, rows: r, columns: c, from: at[1] as usize })
    }

    pub(super) fn dot_quant(&mut self, l: &Launch<'_>, inst: &Inst) -> Result<()> {
        let Op::Dot { a, b, acc } = &inst.op else { return Ok(()) };
        let (id, a) = (inst.dst[0], a.0 as usize);
        let Some(load) = self.find_load(l, b.0 as usize) else { return Err(unknown("")) };
        let at = self.tiles[load.dst[0]].strides;
        let part = self.part(l, load, [at[0] as i64, at[1] as i64])?;
        let slots = &l.program.slots;
        let (m, k, n) = (slots[a].shape[0], slots[a].shape[1], slots[id].shape[1]);
        let out = self.place(l, inst);
        let add = self.start(l, id, out, acc.map(|v| v.0 as usize));
        let mut x = self.tiles[a];
        if x.strides[1] != 1 || x.strides[0] < k as isize && m > 1 {
            x = Tile { ptr: self.dense(l, a, 0)?, strides: strided::contiguous(&slots[a].shape) };
        }
        let block = part.format.block_elements();
        let whole = part.from.is_multiple_of(block) && part.columns.is_multiple_of(block) && part.rows > 0;
        if m <= FEW && whole {
            let x_stride = if m > 1 { x.strides[0] as usize } else { k };
            // SAFETY: the left operand holds m rows of k elements.
            let rows = unsafe { std::slice::from_raw_parts(x.ptr.cast::<f32>(), (m - 1) * x_stride + k) };
            let skip = part.from / block * part.format.block_bytes();
            let args = DotRows {
                data: &part.data[skip..],
                stride: part.row_bytes,
                rows: part.rows,
                columns: part.columns,
                x: rows,
                x_stride,
                m,
            };
            let strides = [out.strides[0], out.strides[1]];
            // SAFETY: the result holds m x n elements, and no more than n rows exist.
            unsafe { quant::dot_rows(part.format, &args, out.ptr.cast(), strides, add) };
            if !add {
                for (i, j) in (0..m).flat_map(|i| (part.rows..n).map(move |j| (i as isize, j as isize))) {
                    // SAFETY: inside the result.
                    unsafe { *out.ptr.cast::<f32>().offset(i * strides[0] + j * strides[1]) = 0.0 };
                }
            }
        } else {
            let panel = (PANEL / 4 / k).clamp(16, 512).min(n);
            self.dense[3].reserve(panel * k * 4)?;
            let buffer = self.dense[3].as_mut_ptr().cast::<f32>();
            for first in (0..n).step_by(panel) {
                let width = panel.min(n - first);
                // SAFETY: the buffer has room for the panel and is used for nothing else here.
                part.decode(first, k, unsafe { std::slice::from_raw_parts_mut(buffer, width * k) });
                let mut y = Tile { ptr: buffer.cast(), strides: out.strides };
                (y.strides[0], y.strides[1]) = (1, k as isize);
                let mut to = out;
                to.ptr = to.ptr.wrapping_offset(first as isize * out.strides[1] * 4);
                // SAFETY: columns `first..first + width` of the result; the panel holds their rows.
                unsafe { multiply::<f32>([m, width, k], to, add, x, y, l.inner_threads) };
            }
        }
        self.tiles[id] = out;
        Ok(())
    }

    /// The quantised load behind the transposed operand of a product.
    fn find_load<'p>(&self, l: &Launch<'p>, b: usize) -> Option<&'p Inst> {
        fn walk(code: &crate::program::Code, id: usize) -> Option<&Inst> {
            let here = code.insts.iter().find(|i| i.dst.first() == Some(&id));
            here.or_else(|| code.insts.iter().flat_map(|i| &i.blocks).find_map(|b| walk(b, id)))
        }
        let Op::Permute(x, _) = &walk(&l.program.body, b)?.op else { return None };
        walk(&l.program.body, x.0 as usize)
    }
}

fn unknown(name: &str) -> Box<Diag> {
    Diag::error("X102", format!("no quantised format `{name}`"))
}
