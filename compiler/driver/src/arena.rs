//! The arena planner: intermediate buffers that do not live at the same time share memory.

/// A buffer's size and the first and last step that touch it.
#[derive(Clone, Copy, Debug)]
pub struct Interval {
    /// Size in bytes.
    pub bytes: u64,
    /// First step.
    pub first: usize,
    /// Last step.
    pub last: usize,
}

/// Byte offsets of buffers in one arena, and the arena's size.
///
/// Greedy by size (Pisarchyk and Lee, 2020): the largest buffer first, each at the lowest offset where no buffer with an overlapping
/// lifetime lies. Offsets are multiples of `align`.
pub fn place(intervals: &[Interval], align: u64) -> (Vec<u64>, u64) {
    let mut order: Vec<usize> = (0..intervals.len()).collect();
    order.sort_by_key(|i| (std::cmp::Reverse(intervals[*i].bytes), intervals[*i].first, *i));
    let mut offsets = vec![0u64; intervals.len()];
    // Placed buffers, by offset.
    let mut placed: Vec<usize> = Vec::new();
    let mut size = 0;
    for i in order {
        let me = intervals[i];
        let mut at = 0u64;
        for p in &placed {
            let other = intervals[*p];
            if other.last < me.first || me.last < other.first {
                continue;
            }
            if at + me.bytes <= offsets[*p] {
                break;
            }
            at = at.max((offsets[*p] + other.bytes).next_multiple_of(align));
        }
        offsets[i] = at;
        size = size.max(at + me.bytes);
        let slot = placed.partition_point(|p| (offsets[*p], *p) < (at, i));
        placed.insert(slot, i);
    }
    (offsets, size.next_multiple_of(align))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_chain_needs_two_buffers() {
        let chain: Vec<Interval> = (0..10).map(|i| Interval { bytes: 1024, first: i, last: i + 1 }).collect();
        assert_eq!(place(&chain, 256).1, 2048);
    }

    proptest! {
        #[test]
        fn live_buffers_never_overlap(list in prop::collection::vec((1u64..5000, 0usize..20, 0usize..10), 0..40)) {
            let intervals: Vec<Interval> =
                list.iter().map(|(bytes, first, span)| Interval { bytes: *bytes, first: *first, last: first + span }).collect();
            let (offsets, size) = place(&intervals, 256);
            for (i, a) in intervals.iter().enumerate() {
                prop_assert!(offsets[i] % 256 == 0 && offsets[i] + a.bytes <= size);
                for (j, b) in intervals.iter().enumerate().skip(i + 1) {
                    let together = a.first <= b.last && b.first <= a.last;
                    let apart = offsets[i] + a.bytes <= offsets[j] || offsets[j] + b.bytes <= offsets[i];
                    prop_assert!(!together || apart);
                }
            }
        }
    }
}
