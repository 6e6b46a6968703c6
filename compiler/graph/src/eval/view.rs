//! Strided views: a result element at index `i` is the operand's element `base + sum(i[a] * strides[a])`.
//! Permute, broadcast, slice, reverse and window are nothing else.

use super::array::{Array, Data};
use girih_base::{Diag, Result};

/// Row-major strides.
pub(crate) fn strides(shape: &[usize]) -> Vec<isize> {
    let mut out = vec![1; shape.len()];
    for a in (1..shape.len()).rev() {
        out[a - 1] = out[a] * shape[a].max(1) as isize;
    }
    out
}

/// Every index of a shape in row-major order, as flat positions `base + sum(i * stride)`.
pub(crate) struct Walk<'a> {
    shape: &'a [usize],
    strides: &'a [isize],
    index: Vec<usize>,
    at: isize,
    left: usize,
}

/// Walks a shape with the given strides.
pub(crate) fn walk<'a>(shape: &'a [usize], base: isize, strides: &'a [isize]) -> Walk<'a> {
    Walk { shape, strides, index: vec![0; shape.len()], at: base, left: shape.iter().product() }
}

impl Iterator for Walk<'_> {
    type Item = usize;
    fn next(&mut self) -> Option<usize> {
        if self.left == 0 {
            return None;
        }
        self.left -= 1;
        let at = self.at;
        for a in (0..self.shape.len()).rev() {
            self.index[a] += 1;
            self.at += self.strides[a];
            if self.index[a] < self.shape[a] {
                break;
            }
            self.at -= self.strides[a] * self.index[a] as isize;
            self.index[a] = 0;
        }
        Some(at as usize)
    }
    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

/// The index of flat position `flat` in a shape without zero extents.
pub(crate) fn unflatten(mut flat: usize, shape: &[usize]) -> Vec<usize> {
    let mut index = vec![0; shape.len()];
    for a in (0..shape.len()).rev() {
        index[a] = flat % shape[a];
        flat /= shape[a];
    }
    index
}

impl Array {
    /// A copy of the view `base, strides` under `shape`; an error when it leaves the array.
    pub(crate) fn view(&self, shape: &[usize], base: isize, strides: &[isize]) -> Result<Array> {
        if shape.iter().all(|n| *n > 0) {
            let reach = |low: bool| {
                let steps = shape.iter().zip(strides).map(|(n, s)| s * (*n as isize - 1));
                base + steps.filter(|d| (*d < 0) == low).sum::<isize>()
            };
            if reach(true) < 0 || reach(false) >= self.len() as isize {
                return Err(Diag::error("G206", format!("a part of shape {shape:?} lies outside {:?}", self.shape)));
            }
        }
        // The last axis is walked by a plain loop: most views keep it contiguous.
        let (rows, row, step) = match (shape.split_last(), strides.split_last()) {
            (Some((n, rows)), Some((s, _))) => (rows, *n, *s),
            _ => (shape, 1, 0),
        };
        let starts = walk(rows, base, &strides[..rows.len()]);
        let starts = starts.take(if row == 0 { 0 } else { usize::MAX });
        let data = match &self.data {
            Data::Floats(v) => Data::Floats(copy_rows(v, starts, row, step)),
            Data::Ints(v) => Data::Ints(copy_rows(v, starts, row, step)),
        };
        Ok(Array { dtype: self.dtype, shape: shape.to_vec(), data })
    }

    /// The array with axes in the order `perm`.
    pub(crate) fn permuted(&self, perm: &[usize]) -> Result<Array> {
        let own = strides(&self.shape);
        let shape: Vec<usize> = perm.iter().map(|a| self.shape[*a]).collect();
        let steps: Vec<isize> = perm.iter().map(|a| own[*a]).collect();
        self.view(&shape, 0, &steps)
    }
}

fn copy_rows<T: Copy>(v: &[T], starts: impl Iterator<Item = usize>, row: usize, step: isize) -> Vec<T> {
    let mut out = Vec::with_capacity(starts.size_hint().0 * row);
    for start in starts {
        if step == 1 {
            out.extend_from_slice(&v[start..start + row]);
        } else {
            out.extend((0..row).map(|i| v[(start as isize + i as isize * step) as usize]));
        }
    }
    out
}
