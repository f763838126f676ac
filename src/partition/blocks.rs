//! One-dimensional shares: blocks, blocks cut at byte alignments, cyclic shares, prefix sums.
//!
//! Block shares differ by at most one element and need no table: both a share and the owner of a
//! position are a division away. The price is that equal lengths are not equal work; where cost
//! varies along the axis, `schedule` is the answer. Cyclic shares even out slow variation but touch
//! every cache line and every file block of the array.
//!
//! Every function is total: no length, no number of parts and no index makes one overflow or
//! divide by zero. An index outside `0..parts` owns nothing.

use crate::num::to_usize;
use std::ops::Range;

/// The share of part `index` when `0..len` is cut into `parts`; the first `len % parts` shares are
/// one longer than the others.
pub fn block(len: u64, parts: u64, index: u64) -> Range<u64> {
    if index >= parts {
        return len..len;
    }
    let (quotient, remainder) = (len / parts, len % parts);
    // `index < parts`, so the product stays below `len`, and so does the sum with the remainder.
    let start = index * quotient + index.min(remainder);
    start..start + quotient + u64::from(index < remainder)
}

/// The part that owns `position`: the inverse of [`block`]. Positions from `len` on belong to
/// nobody, which reads as `parts`.
pub fn block_of(len: u64, parts: u64, position: u64) -> u64 {
    if position >= len || parts == 0 {
        return parts;
    }
    let (quotient, remainder) = (len / parts, len % parts);
    // At most `len`, because the remainder is below `parts`.
    let long_end = remainder * quotient + remainder;
    if position < long_end {
        position / (quotient + 1)
    } else {
        remainder + (position - long_end) / quotient
    }
}

/// Like [`block`], with every cut but the last at a multiple of `align` (0 counts as 1): blocks of
/// a file or of an array that no two ranks may share.
///
/// Shares are equal in whole units of `align`, so they differ by at most one unit.
pub fn aligned_block(len: u64, parts: u64, index: u64, align: u64) -> Range<u64> {
    let align = align.max(1);
    let units = block(len.div_ceil(align), parts, index);
    // The last unit may be a broken one, and its end may even lie beyond `u64::MAX`.
    let cut = |unit: u64| unit.saturating_mul(align).min(len);
    cut(units.start)..cut(units.end)
}

/// The positions `index`, `index + parts`, `index + 2 parts`, ... below `len`.
pub fn cyclic(len: u64, parts: u64, index: u64) -> impl Iterator<Item = u64> + Clone {
    let start = if index < parts { index.min(len) } else { len };
    (start..len).step_by(to_usize(parts.max(1)))
}

/// Where each part begins when parts of these sizes lie one after the other: the exclusive prefix
/// sum that MPI's vector collectives call displacements.
///
/// # Panics
/// When the start of a part is not representable, which no array in memory can cause.
pub fn displacements(counts: &[u64]) -> Vec<u64> {
    let mut next = Some(0_u64);
    counts
        .iter()
        .map(|&count| {
            let start = next.expect("displacements beyond 2^64");
            next = start.checked_add(count);
            start
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::num::to_u64;
    use proptest::prelude::*;

    /// Small, awkward and huge numbers, each about as often.
    fn any_len() -> impl Strategy<Value = u64> {
        prop_oneof![0..40_u64, any::<u64>(), (u64::MAX - 40)..=u64::MAX]
    }

    fn covers(len: u64, parts: u64, share: impl Fn(u64) -> Range<u64>) {
        let mut end = 0;
        for index in 0..parts {
            let range = share(index);
            assert_eq!(range.start, end, "part {index} of {parts} over {len}");
            assert!(range.start <= range.end);
            end = range.end;
        }
        assert_eq!(end, if parts == 0 { 0 } else { len });
    }

    #[test]
    fn first_blocks_take_the_remainder() {
        let shares: Vec<_> = (0..4).map(|index| block(10, 4, index)).collect();
        assert_eq!(shares, [0..3, 3..6, 6..8, 8..10]);
    }

    #[test]
    fn outsiders_own_nothing() {
        assert_eq!(block(10, 4, 4), 10..10);
        assert_eq!(block(10, 0, 0), 10..10);
        assert_eq!(block_of(10, 4, 10), 4);
        assert_eq!(block_of(10, 0, 3), 0);
        assert_eq!(aligned_block(10, 0, 0, 0), 10..10);
        assert_eq!(cyclic(10, 4, 4).count() + cyclic(10, 0, 0).count(), 0);
    }

    #[test]
    fn aligned_blocks_stop_at_the_end() {
        let shares: Vec<_> = (0..4).map(|index| aligned_block(20, 4, index, 8)).collect();
        assert_eq!(shares, [0..8, 8..16, 16..20, 20..20]);
    }

    #[test]
    fn displacements_start_at_zero() {
        assert_eq!(displacements(&[]), [0_u64; 0]);
        assert_eq!(displacements(&[3, 0, 5, u64::MAX]), [0, 3, 3, 8]);
    }

    #[test]
    #[should_panic(expected = "displacements beyond")]
    fn displacements_do_not_wrap() {
        displacements(&[u64::MAX, 1, 1]);
    }

    proptest! {
        #[test]
        fn blocks_cover_evenly(len in any_len(), parts in 0..200_u64) {
            covers(len, parts, |index| block(len, parts, index));
            for index in 0..parts {
                let share = block(len, parts, index);
                prop_assert!(share.end - share.start - len / parts <= 1);
            }
        }

        #[test]
        fn aligned_blocks_cover(len in any_len(), parts in 0..100_u64, align in any_len()) {
            covers(len, parts, |index| aligned_block(len, parts, index, align));
            for index in 0..parts {
                let Range { start, end } = aligned_block(len, parts, index, align);
                prop_assert!(start == len || start % align.max(1) == 0);
                prop_assert!(end == len || end % align.max(1) == 0);
            }
        }

        #[test]
        fn owner_inverts_block(len in any_len(), parts in any_len(), seed in any::<u64>()) {
            prop_assume!(len > 0 && parts > 0);
            let position = seed % len;
            let owner = block_of(len, parts, position);
            prop_assert!(owner < parts);
            prop_assert!(block(len, parts, owner).contains(&position));
            let index = seed % parts;
            let share = block(len, parts, index);
            if !share.is_empty() {
                prop_assert_eq!(block_of(len, parts, share.start), index);
                prop_assert_eq!(block_of(len, parts, share.end - 1), index);
            }
        }

        #[test]
        fn cyclic_shares_cover(len in 0..300_u64, parts in 1..400_u64) {
            let mut seen: Vec<u64> = (0..parts).flat_map(|i| cyclic(len, parts, i)).collect();
            seen.sort_unstable();
            prop_assert_eq!(seen, (0..len).collect::<Vec<_>>());
        }

        #[test]
        fn cyclic_steps_near_the_end(parts in (u64::MAX / 8)..=u64::MAX, index in 0..99_u64) {
            let steps: Vec<u64> = cyclic(u64::MAX, parts, index).collect();
            prop_assert!((1..=8).contains(&steps.len()));
            prop_assert!(steps.windows(2).all(|pair| pair[1] - pair[0] == parts));
        }

        #[test]
        fn displacements_sum(counts in prop::collection::vec(0..1000_u64, 0..50)) {
            let starts = displacements(&counts);
            prop_assert_eq!(starts.len(), counts.len());
            for (index, start) in starts.iter().enumerate() {
                prop_assert_eq!(*start, counts[..index].iter().sum::<u64>());
            }
            prop_assert!(to_u64(starts.len()) < 50);
        }
    }
}
