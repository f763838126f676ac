//! Which rank sorts what, when some pieces of the source are sorted already: pure.
//!
//! Every rank answers for one stretch of the source, so that the order of ranks and their runs is that of the
//! source, which keeps the sort stable. Stretches weigh alike, a byte that is still to be read and sorted
//! counting more than one that only has to be merged; with nothing done they are equal blocks. The price is
//! that a piece that was sorted as one stays one, so stretches may differ by about half a piece.

use std::ops::Range;

use crate::partition::block;

/// What a byte to be sorted weighs, against one that is sorted: it is read, sorted and written first.
const SORT: u64 = 3;

/// Where each rank's stretch of a source of `total` bytes begins, and where the last one ends. `done` are
/// the pieces that are sorted, in order; cuts fall on their ends and between items of `item` bytes.
pub fn starts(total: u64, item: u64, done: &[Range<u64>], ranks: u64) -> Vec<u64> {
    let all = pieces(total, done);
    let weight = |(piece, sorted): &(Range<u64>, bool)| {
        u128::from(piece.end - piece.start) * u128::from(if *sorted { 1 } else { SORT })
    };
    let whole: u128 = all.iter().map(weight).sum();
    let mut starts = vec![0];
    let (mut at, mut before) = (0, 0);
    for rank in 1..ranks {
        let target = whole * u128::from(rank) / u128::from(ranks);
        while at < all.len() && before + weight(&all[at]) <= target {
            before += weight(&all[at]);
            at += 1;
        }
        starts.push(match all.get(at) {
            None => total,
            Some((piece, true)) => {
                let late = 2 * (target - before) > weight(&all[at]);
                if late { piece.end } else { piece.start }
            }
            Some((piece, false)) => {
                let inside = (target - before) / u128::from(SORT * item);
                piece.start + u64::try_from(inside).expect("less than the piece") * item
            }
        });
    }
    starts.push(total);
    starts
}

/// The source as pieces that are sorted and pieces that are not.
fn pieces(total: u64, done: &[Range<u64>]) -> Vec<(Range<u64>, bool)> {
    let (mut all, mut at) = (Vec::new(), 0);
    for piece in done {
        if at < piece.start {
            all.push((at..piece.start, false));
        }
        all.push((piece.clone(), true));
        at = piece.end;
    }
    if at < total {
        all.push((at..total, false));
    }
    all
}

/// Whether pieces in order lie apart and within `total` bytes.
pub fn are_apart(total: u64, done: &[Range<u64>]) -> bool {
    let mut at = 0;
    done.iter().all(|piece| {
        let fits = at <= piece.start && piece.start < piece.end && piece.end <= total;
        at = piece.end;
        fits
    })
}

/// What is left to sort of a stretch, in pieces of at most `most` bytes, rounded up to whole items.
pub fn left(share: Range<u64>, item: u64, done: &[Range<u64>], most: u64) -> Vec<Range<u64>> {
    let inside = pieces(share.end, done).into_iter().filter(|(_, sorted)| !sorted);
    let gaps = inside.map(|(gap, _)| gap.start.max(share.start)..gap.end.min(share.end));
    gaps.filter(|gap| gap.start < gap.end)
        .flat_map(|gap| cut(gap.clone(), item, (gap.end - gap.start).div_ceil(most)))
        .filter(|piece| piece.start < piece.end)
        .collect()
}

/// A piece cut into so many of like size, between items; the last ones may be empty.
pub fn cut(piece: Range<u64>, item: u64, parts: u64) -> Vec<Range<u64>> {
    let items = (piece.end - piece.start) / item;
    let part = |part| {
        let part = block(items, parts, part);
        piece.start + part.start * item..piece.start + part.end * item
    };
    (0..parts).map(part).collect()
}

/// Which rank answers for the byte at `at`.
pub fn rank_of(starts: &[u64], at: u64) -> usize {
    let ranks = starts.len() - 1;
    starts.partition_point(|&start| start <= at).clamp(1, ranks) - 1
}

#[cfg(test)]
mod tests {
    use std::slice::from_ref;

    use super::*;
    use crate::num::to_usize;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn everything_is_sorted_once_and_in_order(
            units in proptest::collection::vec((1_u64..40, any::<bool>()), 0..30),
            item in 1_u64..9,
            ranks in 1_u64..10,
            most in 1_u64..60,
        ) {
            let (mut at, mut done) = (0, Vec::new());
            for (items, sorted) in units {
                if sorted {
                    done.push(at..at + items * item);
                }
                at += items * item;
            }
            prop_assert!(are_apart(at, &done));
            let starts = starts(at, item, &done, ranks);
            prop_assert_eq!(starts.len(), to_usize(ranks) + 1);
            prop_assert!(starts.is_sorted() && starts.iter().all(|start| start % item == 0));
            let mut all = Vec::new();
            for rank in 0..ranks {
                let share = starts[to_usize(rank)]..starts[to_usize(rank) + 1];
                let own: Vec<_> = done
                    .iter()
                    .filter(|piece| rank_of(&starts, piece.start) == to_usize(rank))
                    .cloned()
                    .collect();
                prop_assert!(own.iter().all(|p| share.start <= p.start && p.end <= share.end));
                let left = left(share, item, &own, most);
                prop_assert!(left.iter().all(|piece| piece.end - piece.start < most + item));
                let mut pieces = [own, left].concat();
                pieces.sort_by_key(|piece| piece.start);
                all.extend(pieces);
            }
            let mut end = 0;
            for piece in all {
                prop_assert_eq!(piece.start, end);
                end = piece.end;
            }
            prop_assert_eq!(end, at);
        }
    }

    #[test]
    fn with_nothing_done_stretches_are_equal() {
        assert_eq!(starts(1000, 10, &[], 3), [0, 330, 660, 1000]);
        assert_eq!(starts(0, 8, &[], 3), [0, 0, 0, 0]);
        assert_eq!(left(0..100, 10, from_ref(&(20..50)), 30), [0..20, 50..80, 80..100]);
    }

    #[test]
    fn what_is_to_be_sorted_weighs_more() {
        // 300 sorted and 300 not: 1200 in all.
        assert_eq!(starts(600, 1, from_ref(&(0..300)), 2), [0, 400, 600]);
        assert_eq!(starts(600, 1, from_ref(&(0..600)), 2), [0, 0, 600]);
        assert!(!are_apart(600, &[0..300, 299..400]) && !are_apart(600, from_ref(&(0..601))));
    }
}
