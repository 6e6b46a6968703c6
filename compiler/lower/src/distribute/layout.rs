//! Layouts: which element of a tile lives in which register of which thread.
//!
//! All extents are powers of two, so an element's coordinates are a string of bits. A layout says which coordinate bit
//! each bit of the register index and of the thread index stands for; a bit that stands for none repeats the elements.
//! The first two register bits choose the component of a vector, the rest choose the vector.

use girih_base::{Diag, Result};

/// One bit of a coordinate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Bit {
    /// The tile axis.
    pub axis: u8,
    /// Which bit of the coordinate along it.
    pub bit: u8,
}

/// Where the elements of a tile are.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Layout {
    /// Bits of the register index, lowest first.
    pub reg: Vec<Option<Bit>>,
    /// Bits of the thread index, lowest first; as many in every layout of a kernel.
    pub lane: Vec<Option<Bit>>,
}

/// `log2` of each extent.
pub fn log2(shape: &[u32], what: &str) -> Result<Vec<u8>> {
    shape
        .iter()
        .map(|e| match e.is_power_of_two() {
            true => Ok(e.trailing_zeros() as u8),
            false => Err(Diag::error("L201", format!("{what} has the shape {shape:?}, and {e} is not a power of two"))
                .help("pick power-of-two tile extents and mask the rest")),
        })
        .collect()
}

impl Layout {
    /// The layout of a scalar: every thread has it.
    pub fn scalar(lanes: usize) -> Layout {
        Layout { reg: Vec::new(), lane: vec![None; lanes] }
    }

    /// Axes in `order`, fastest first: a vector, then neighbouring threads, then further registers.
    pub fn blocked(bits: &[u8], order: &[usize], lanes: usize) -> Layout {
        let all: Vec<Bit> = order.iter().flat_map(|a| (0..bits[*a]).map(|bit| Bit { axis: *a as u8, bit })).collect();
        let vector = all.len().min(2);
        let (head, rest) = all.split_at(vector);
        let (lane, high) = rest.split_at(rest.len().min(lanes));
        let mut layout = Layout { reg: head.iter().chain(high).map(|b| Some(*b)).collect(), lane: vec![None; lanes] };
        for (slot, bit) in layout.lane.iter_mut().zip(lane) {
            *slot = Some(*bit);
        }
        layout
    }

    /// As [`Layout::blocked`], but a thread holds neighbours along `axis` as far as threads along it are not needed:
    /// combining registers, then threads in order, visits the axis in order.
    pub fn serial(bits: &[u8], axis: usize, lanes: usize) -> Layout {
        let others: Vec<Bit> = (0..bits.len())
            .rev()
            .filter(|a| *a != axis)
            .flat_map(|a| (0..bits[a]).map(move |bit| Bit { axis: a as u8, bit }))
            .collect();
        let along: Vec<Bit> = (0..bits[axis]).map(|bit| Bit { axis: axis as u8, bit }).collect();
        // High bits of the axis go to threads while they last, then the other axes.
        let on_lanes = lanes.min(along.len().saturating_sub(2));
        let (low, high) = along.split_at(along.len() - on_lanes);
        let spare = others.len().min(lanes - on_lanes);
        let mut lane: Vec<Option<Bit>> = high.iter().chain(&others[..spare]).map(|b| Some(*b)).collect();
        lane.resize(lanes, None);
        Layout { reg: low.iter().chain(&others[spare..]).map(|b| Some(*b)).collect(), lane }
    }

    /// Every bit renamed; those that vanish repeat.
    pub fn map(&self, f: impl Fn(Bit) -> Option<Bit>) -> Layout {
        let side = |bits: &[Option<Bit>]| bits.iter().map(|b| b.and_then(&f)).collect();
        Layout { reg: side(&self.reg), lane: side(&self.lane) }
    }

    /// Without the register bits that only repeat.
    pub fn compressed(&self) -> Layout {
        Layout { reg: self.reg.iter().copied().filter(Option::is_some).collect(), lane: self.lane.clone() }
    }

    /// The layout after `axis` is folded away; later axes move down.
    pub fn without(&self, axis: usize) -> Layout {
        self.map(|b| drop_axis(b, axis)).compressed()
    }

    /// log2 of the vector width.
    pub fn vector_bits(&self) -> usize {
        self.reg.len().min(2)
    }

    /// Components of a vector.
    pub fn width(&self) -> u8 {
        1 << self.vector_bits()
    }

    /// Vectors of a thread.
    pub fn vectors(&self) -> u32 {
        1 << (self.reg.len() - self.vector_bits())
    }

    /// Whether the components of a vector are all the same element.
    pub fn uniform_vector(&self) -> bool {
        self.reg[..self.vector_bits()].iter().all(Option::is_none)
    }

    /// Bits of the thread index that only repeat, as a mask.
    pub fn repeated_lanes(&self) -> u32 {
        self.lane.iter().enumerate().filter(|(_, b)| b.is_none()).map(|(i, _)| 1 << i).sum()
    }

    /// Whether values in this layout can be read from registers in `held` without moving between threads.
    pub fn readable_from(&self, held: &Layout) -> bool {
        held.lane.iter().zip(&self.lane).all(|(h, mine)| h.is_none() || h == mine)
            && held.reg.iter().flatten().all(|b| self.reg.contains(&Some(*b)))
    }

    /// Whether the vector's components are neighbours `0..width` along `axis`, starting at a multiple of the width.
    pub fn vector_along(&self, axis: usize) -> bool {
        let n = self.vector_bits();
        n > 0 && (0..n).all(|i| self.reg[i] == Some(Bit { axis: axis as u8, bit: i as u8 }))
    }
}

/// The bit after `axis` is gone.
pub fn drop_axis(b: Bit, axis: usize) -> Option<Bit> {
    match (b.axis as usize).cmp(&axis) {
        std::cmp::Ordering::Less => Some(b),
        std::cmp::Ordering::Equal => None,
        std::cmp::Ordering::Greater => Some(Bit { axis: b.axis - 1, ..b }),
    }
}

/// The row-major position of a coordinate bit in a tile.
pub fn linear_of(bits: &[u8], b: Bit) -> u8 {
    bits[b.axis as usize + 1..].iter().sum::<u8>() + b.bit
}

/// The coordinate bit at a row-major position.
pub fn bit_at(bits: &[u8], mut linear: u8) -> Option<Bit> {
    for axis in (0..bits.len()).rev() {
        if linear < bits[axis] {
            return Some(Bit { axis: axis as u8, bit: linear });
        }
        linear -= bits[axis];
    }
    None
}
