//! Two sorted runs into one, at several places at a time.
//!
//! One merge is a chain: which key comes next decides what is compared next, some eight cycles a
//! key, in which the processor could do four times as much. So long outputs are cut into four equal
//! pieces by co-ranking, short ones are merged from both ends, and the loop takes one step in each
//! piece in turn. No step has a branch that depends on a key; on uniform keys in the first-level
//! cache that is 5 times as fast as two pointers and an `if`.
//!
//! The loops never ask whether a run has ended, because they stop where the first of the two does:
//! up to there, both have a key left before each step. Bounds checks stay; they cost a seventh of
//! the speed in the cache and nothing in memory, and make of unsorted runs a panic or any order.

use super::Key;
use std::hint::select_unpredictable;

/// Fewest keys of an output that is cut into four pieces: below, three binary searches cost more
/// than they save.
const CUT_MIN: usize = 128;

/// Merges `a` and `b` until one of them ends or `out` is full; says how many were taken of each.
///
/// Fills the beginning of `out`. Of two empty runs, or into an empty `out`, nothing is taken.
pub(super) fn merge_some<K: Key>(a: &[K], b: &[K], out: &mut [K]) -> (usize, usize) {
    let room = out.len();
    let (mut a_end, mut b_end) = (a.len(), b.len());
    // Where neither can end, the far ends are left alone: looking there would miss the cache.
    if a_end.min(b_end) < room {
        (a_end, b_end) = first_end(&a[..a_end.min(room)], &b[..b_end.min(room)]);
    }
    if a_end.saturating_add(b_end) > room {
        (a_end, b_end) = co_rank(&a[..a_end], &b[..b_end], room);
    }
    merge_to(a, b, (a_end, b_end), &mut out[..a_end + b_end]);
    (a_end, b_end)
}

/// Merges all of `a` and `b`.
///
/// # Panics
/// When `out` is not as long as both together.
pub(super) fn merge_all<K: Key>(a: &[K], b: &[K], out: &mut [K]) {
    assert_eq!(out.len(), a.len() + b.len(), "room for both runs");
    let (a_taken, b_taken) = merge_some(a, b, out);
    let rest = &mut out[a_taken + b_taken..];
    // One of the two has ended.
    let (from_a, from_b) = rest.split_at_mut(a.len() - a_taken);
    from_a.copy_from_slice(&a[a_taken..]);
    from_b.copy_from_slice(&b[b_taken..]);
}

/// How many keys of each have left when the first run ends; of equal keys, those of `a` go first.
fn first_end<K: Key>(a: &[K], b: &[K]) -> (usize, usize) {
    match (a.last(), b.last()) {
        (Some(a_last), Some(b_last)) if b_last < a_last => {
            (a.len() - gallop_back(a, |key| key > b_last), b.len())
        }
        (Some(a_last), Some(_)) => (a.len(), b.len() - gallop_back(b, |key| key >= a_last)),
        _ => (0, 0),
    }
}

/// How many keys at the end fulfil `is_after`, which no key before them does.
fn gallop_back<K: Key>(run: &[K], is_after: impl Fn(&K) -> bool) -> usize {
    let mut step = 1;
    while step <= run.len() && is_after(&run[run.len() - step]) {
        step *= 2;
    }
    let near = &run[run.len().saturating_sub(step)..];
    near.len() - near.partition_point(|key| !is_after(key))
}

/// How many keys at the beginning fulfil `is_before`, which no key after them does.
fn gallop<K: Key>(run: &[K], is_before: impl Fn(&K) -> bool) -> usize {
    let mut step = 1;
    while step <= run.len() && is_before(&run[step - 1]) {
        step *= 2;
    }
    run[..step.min(run.len())].partition_point(is_before)
}

/// How many keys of each are among the first `rank` of the merged runs.
///
/// A binary search over the diagonal of the merge matrix (Odeh, Green, Mwassi, Shmueli, Birk:
/// "Merge Path", IPDPSW 2012).
fn co_rank<K: Key>(a: &[K], b: &[K], rank: usize) -> (usize, usize) {
    let mut from_a = rank.saturating_sub(b.len());
    let mut open = rank.min(a.len()) - from_a;
    while open > 0 {
        let half = open.div_ceil(2);
        let last = from_a + half - 1;
        let is_before = a[last] <= b[rank - last - 1];
        from_a = select_unpredictable(is_before, from_a + half, from_a);
        open -= half;
    }
    (from_a, rank - from_a)
}

/// Merges `a` and `b` up to `ends`, which [`first_end`] allows, into the whole of `out`.
fn merge_to<K: Key>(a: &[K], b: &[K], ends: (usize, usize), out: &mut [K]) {
    let (Some(a_first), Some(b_first)) = (a[..ends.0].first(), b[..ends.1].first()) else {
        let (from_a, from_b) = out.split_at_mut(ends.0);
        from_a.copy_from_slice(&a[..ends.0]);
        from_b.copy_from_slice(&b[..ends.1]);
        return;
    };
    // What comes before the other run begins is copied.
    let start = if b_first < a_first {
        (0, gallop(&b[..ends.1], |key| key < a_first))
    } else {
        (gallop(&a[..ends.0], |key| key <= b_first), 0)
    };
    let (head, body) = out.split_at_mut(start.0 + start.1);
    head[..start.0].copy_from_slice(&a[..start.0]);
    head[start.0..].copy_from_slice(&b[..start.1]);
    if body.len() < CUT_MIN {
        from_both_ends(a, b, (start, ends), body);
    } else {
        in_four_pieces(a, b, (start, ends), body);
    }
}

/// A place in each of two runs.
type Places = (usize, usize);

/// Merges what is between two places, from its beginning and its end at once.
///
/// Downwards, too, both runs have a key left before each step, because the caller has left out the
/// keys before the other run's first.
// Not inlined, nor is its sister: each loop needs all registers.
#[inline(never)]
fn from_both_ends<K: Key>(a: &[K], b: &[K], (mut low, mut high): (Places, Places), out: &mut [K]) {
    let (front, back) = out.split_at_mut(out.len() / 2);
    let (middle, back) = back.split_at_mut(back.len() - front.len());
    for (first, last) in front.iter_mut().zip(back.iter_mut().rev()) {
        *first = step_up(a, b, &mut low);
        *last = step_down(a, b, &mut high);
    }
    for key in middle {
        *key = step_up(a, b, &mut low);
    }
}

/// Merges what is between two places, upwards from four co-ranks at once.
#[inline(never)]
fn in_four_pieces<K: Key>(a: &[K], b: &[K], (start, end): (Places, Places), out: &mut [K]) {
    let each = out.len() / 4;
    let (in_a, in_b) = (&a[start.0..end.0], &b[start.1..end.1]);
    let mut at = std::array::from_fn::<Places, 4, _>(|piece| {
        let (from_a, from_b) = co_rank(in_a, in_b, piece * each);
        (start.0 + from_a, start.1 + from_b)
    });
    let (first, rest) = out.split_at_mut(each);
    let (second, rest) = rest.split_at_mut(each);
    let (third, rest) = rest.split_at_mut(each);
    let (fourth, rest) = rest.split_at_mut(each);
    for (((first, second), third), fourth) in first.iter_mut().zip(second).zip(third).zip(fourth) {
        *first = step_up(a, b, &mut at[0]);
        *second = step_up(a, b, &mut at[1]);
        *third = step_up(a, b, &mut at[2]);
        *fourth = step_up(a, b, &mut at[3]);
    }
    for last in rest {
        *last = step_up(a, b, &mut at[3]);
    }
}

/// The lesser of the two keys at `at`, which moves on.
#[inline]
fn step_up<K: Key>(a: &[K], b: &[K], at: &mut Places) -> K {
    let (from_a, from_b) = (a[at.0], b[at.1]);
    let takes_b = from_b < from_a;
    at.0 += usize::from(!takes_b);
    at.1 += usize::from(takes_b);
    if takes_b { from_b } else { from_a }
}

/// The greater of the two keys before `at`, which moves back.
#[inline]
fn step_down<K: Key>(a: &[K], b: &[K], at: &mut Places) -> K {
    let (from_a, from_b) = (a[at.0 - 1], b[at.1 - 1]);
    let takes_a = from_b < from_a;
    at.0 -= usize::from(takes_a);
    at.1 -= usize::from(!takes_a);
    if takes_a { from_a } else { from_b }
}
