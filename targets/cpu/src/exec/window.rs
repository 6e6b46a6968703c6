//! Which elements of a tile a view lets exist, and where they lie.

use super::ViewAt;
use girih_base::Result;
use girih_tile::verify::MAX_RANK;

/// The part of a tile that exists, in tile coordinates, and where it lies.
pub(super) struct Window {
    pub lo: [usize; MAX_RANK],
    /// Extents of the existing part; some are 0 when nothing exists.
    pub shape: [usize; MAX_RANK],
    pub strides: [isize; MAX_RANK],
    /// Element offset of the tile's coordinate zero.
    pub origin: i64,
    /// Every element exists.
    pub whole: bool,
}

impl ViewAt {
    /// The extent of an axis whose every coordinate exists, negative ones too; the parameter's length is the limit.
    pub const EVERYWHERE: i64 = i64::MAX;

    pub(super) fn window(&self, at: &[i64], tile: &[usize]) -> Window {
        let mut w = Window {
            lo: [0; MAX_RANK],
            shape: [1; MAX_RANK],
            strides: [0; MAX_RANK],
            origin: self.offset,
            whole: true,
        };
        for (i, (extent, stride)) in self.axes.iter().enumerate() {
            let all = *extent == ViewAt::EVERYWHERE;
            let lo = if all { 0 } else { (-at[i]).clamp(0, tile[i] as i64) };
            let hi = if all { tile[i] as i64 } else { extent.saturating_sub(at[i]).clamp(lo, tile[i] as i64) };
            w.whole &= lo == 0 && hi == tile[i] as i64;
            (w.lo[i], w.shape[i], w.strides[i]) = (lo as usize, (hi - lo) as usize, *stride as isize);
            w.origin = w.origin.saturating_add(at[i].saturating_mul(*stride));
        }
        w
    }

    /// The part of the run along `axis` through the tile coordinates `point` that the guards let exist, within `lo..hi`.
    /// Coordinates that `point` lacks are 0, as is the one along the axis.
    pub(super) fn guarded(&self, at: &[i64], point: &[usize], axis: usize, (mut lo, mut hi): (i64, i64)) -> (i64, i64) {
        for (base, coeffs, extent) in &self.guards {
            let mut fixed = *base;
            for (i, c) in coeffs.iter().enumerate().filter(|(_, c)| **c != 0) {
                let here = at[i].saturating_add(point.get(i).map_or(0, |o| *o as i64));
                fixed = fixed.saturating_add(c.saturating_mul(if i == axis { at[i] } else { here }));
            }
            // 0 <= fixed + c * j < extent
            match coeffs.get(axis).copied().unwrap_or(0) {
                0 if (0..*extent).contains(&fixed) => {}
                0 => return (lo, lo),
                c if c > 0 => {
                    lo = lo.max((-fixed).div_euclid(c) + ((-fixed).rem_euclid(c) != 0) as i64);
                    let end = extent.saturating_sub(fixed);
                    hi = hi.min(end.div_euclid(c) + (end.rem_euclid(c) != 0) as i64);
                }
                c => {
                    let c = -c;
                    // fixed - c j >= 0  and  fixed - c j < extent
                    hi = hi.min(fixed.div_euclid(c) + 1);
                    let start = fixed.saturating_sub(*extent);
                    lo = lo.max(start.div_euclid(c) + 1);
                }
            }
        }
        (lo, hi.max(lo))
    }
}

impl Window {
    /// Checks that the existing part lies inside a parameter of `len` elements.
    pub(super) fn check(&self, rank: usize, len: i64) -> Result<(), i64> {
        let (mut first, mut last) = (self.start(rank), self.start(rank));
        for i in 0..rank {
            let span = (self.strides[i] as i64).saturating_mul(self.shape[i] as i64 - 1);
            first = first.saturating_add(span.min(0));
            last = last.saturating_add(span.max(0));
        }
        if first < 0 {
            return Err(first);
        }
        if last >= len { Err(last) } else { Ok(()) }
    }

    /// Element offset of the first existing element.
    pub(super) fn start(&self, rank: usize) -> i64 {
        (0..rank).fold(self.origin, |o, i| o.saturating_add((self.strides[i] as i64).saturating_mul(self.lo[i] as i64)))
    }

    pub(super) fn empty(&self, rank: usize) -> bool {
        self.shape[..rank].contains(&0)
    }
}

/// Calls `f` with every coordinate of all axes but the last.
fn each_row(shape: &[usize], f: impl FnMut(&[usize]) -> Result<()>) -> Result<()> {
    each_point(&shape[..shape.len().saturating_sub(1)], f)
}

/// Calls `f` with every coordinate, the last axis fastest.
pub(super) fn each_point(outer: &[usize], mut f: impl FnMut(&[usize]) -> Result<()>) -> Result<()> {
    let mut at = [0usize; MAX_RANK];
    for _ in 0..outer.iter().product::<usize>() {
        f(&at[..outer.len()])?;
        for i in (0..outer.len()).rev() {
            at[i] += 1;
            if at[i] < outer[i] {
                break;
            }
            at[i] = 0;
        }
    }
    Ok(())
}

/// Calls `f(first, stride, tile, lo, hi)` for each row: tile elements `tile + lo .. tile + hi` exist, and element `j` of
/// the row lies at `first + j * stride`.
pub(super) fn each_existing(
    view: &ViewAt,
    at: &[i64],
    shape: &[usize],
    w: &Window,
    mut f: impl FnMut(i64, i64, usize, i64, i64) -> Result<()>,
) -> Result<()> {
    let last = shape.len().wrapping_sub(1);
    let width = shape.last().copied().unwrap_or(1);
    let mut row = 0;
    each_row(shape, |outer| {
        let here = row;
        row += width;
        let exists = outer.iter().enumerate().all(|(i, o)| (w.lo[i]..w.lo[i] + w.shape[i]).contains(o));
        if !exists {
            return Ok(());
        }
        let bounds = if shape.is_empty() { (0, 1) } else { (w.lo[last] as i64, (w.lo[last] + w.shape[last]) as i64) };
        let (lo, hi) = view.guarded(at, outer, last, bounds);
        if lo >= hi {
            return Ok(());
        }
        let first = outer.iter().enumerate().fold(w.origin, |o, (i, c)| o + w.strides[i] as i64 * *c as i64);
        f(first, if shape.is_empty() { 0 } else { w.strides[last] as i64 }, here, lo, hi)
    })
}

pub(super) fn inside(first: i64, stride: i64, lo: i64, hi: i64, len: i64) -> Result<(), i64> {
    let (a, b) = (first + lo * stride, first + (hi - 1) * stride);
    [a, b].into_iter().find(|at| !(0..len).contains(at)).map_or(Ok(()), Err)
}

/// Calls `run` for each stretch of true mask elements in `lo..hi` of a row.
pub(super) fn each_true(
    mask: *const u8,
    row: usize,
    lo: i64,
    hi: i64,
    run: impl Fn(i64, i64) -> Result<()>,
) -> Result<()> {
    // SAFETY: the mask is contiguous and has the tile's shape.
    let on = |j: i64| unsafe { *mask.add(row + j as usize) != 0 };
    let mut j = lo;
    while j < hi {
        let start = j;
        // Eight at a time, as long as none of them is zero.
        const LOW: u64 = 0x0101_0101_0101_0101;
        while j + 8 <= hi {
            // SAFETY: as above; the eight bytes lie in the row.
            let eight = unsafe { mask.add(row + j as usize).cast::<u64>().read_unaligned() };
            if eight.wrapping_sub(LOW) & !eight & (LOW << 7) != 0 {
                break;
            }
            j += 8;
        }
        while j < hi && on(j) {
            j += 1;
        }
        if j > start {
            run(start, j)?;
        }
        j += 1;
    }
    Ok(())
}
