//! Sorting pieces of text by their bytes: eight at a time, and only those that decide.
//!
//! Entries are sorted by the eight bytes in them, without a look at the text. Each run of equal ones
//! is a group that agrees in all bytes so far. A group first skips what all of its members share,
//! at the speed of comparing memory, and then loads the next eight bytes of each and is sorted
//! again. This is multikey quicksort (Bentley & Sedgewick, SODA 1997) on a 64-bit alphabet with
//! cached characters: a byte that tells lines apart is read about twice, the bytes behind it never,
//! and no input makes it quadratic, because each step moves on by eight bytes or ends a line.
//! Groups wait on a stack of their own: nested prefixes can be as many as a line has bytes.

use super::encode::{PREFIX, prefix};
use super::entry::{Entry, Text, sort_by_prefix};
use crate::num::{to_u64, to_usize};

/// Groups up to this size are sorted by comparing the rest of the lines. Loading and sorting in
/// steps costs more for them, and twice this many comparisons bound the loss on long equal lines.
const SMALL: usize = 8;
/// Members of a group that are asked first how much they share.
const SAMPLE: usize = 8;

/// Entries that agree in their first `depth` bytes, and none of which ends before that.
struct Group {
    from: usize,
    to: usize,
    depth: usize,
}

/// Sorts `entries`, whose prefixes are the first eight bytes of their pieces, stably by the pieces.
/// The prefixes are spent on it.
pub(super) fn sort(text: &Text, entries: &mut [Entry]) {
    let mut open = Vec::new();
    sort_by_prefix(entries);
    open_groups(text, entries, 0, 0, &mut open);
    sort_groups(text, entries, &mut open);
}

/// [`sort`] for entries with any prefixes, in the order of the input.
pub(super) fn sort_unloaded(text: &Text, entries: &mut [Entry]) {
    if entries.len() <= SMALL {
        return sort_small(text, entries, 0);
    }
    sort_groups(text, entries, &mut vec![Group { from: 0, to: entries.len(), depth: 0 }]);
}

fn sort_groups(text: &Text, entries: &mut [Entry], open: &mut Vec<Group>) {
    while let Some(Group { from, to, depth }) = open.pop() {
        let group = &mut entries[from..to];
        if group.len() <= SMALL {
            sort_small(text, group, depth);
            continue;
        }
        let depth = skip_shared(text, group, depth);
        if group.iter().all(|entry| text.length(entry.place) == depth) {
            continue;
        }
        for entry in &mut *group {
            entry.prefix = prefix(&text.get(entry.place)[depth..]);
        }
        sort_by_prefix(group);
        open_groups(text, group, from, depth, open);
    }
}

fn sort_small(text: &Text, group: &mut [Entry], depth: usize) {
    let rest = |entry: &Entry| &text.get(entry.place)[depth..];
    group.sort_unstable_by(|a, b| rest(a).cmp(rest(b)).then(a.place.cmp(&b.place)));
}

/// Puts the groups of two and more among `sorted`, the entries from `base` on, on the stack. Their
/// prefixes are the bytes from `depth` on.
fn open_groups(
    text: &Text,
    sorted: &mut [Entry],
    base: usize,
    depth: usize,
    open: &mut Vec<Group>,
) {
    let mut from = base;
    for run in sorted.chunk_by_mut(|a, b| a.prefix == b.prefix) {
        let to = from + run.len();
        if run.len() > 1 {
            let ended = end_first(text, run, depth);
            if to - (from + ended) > 1 {
                open.push(Group { from: from + ended, to, depth: depth + PREFIX });
            }
        }
        from = to;
    }
}

/// Among pieces with equal prefixes, puts those that end inside the prefix before the others and
/// the shorter before the longer, as NULs and missing bytes look alike; says how many end.
fn end_first(text: &Text, run: &mut [Entry], depth: usize) -> usize {
    let rest = |entry: &Entry| text.length(entry.place) - depth;
    let ended = run.iter().filter(|entry| rest(entry) <= PREFIX).count();
    if ended > 0 {
        for entry in &mut *run {
            entry.prefix = to_u64(rest(entry).min(PREFIX + 1));
        }
        sort_by_prefix(run);
    }
    ended
}

/// How far the pieces of the group agree, as far as that is worth a pass over them: their lengths
/// and a few of them say whether loading the next eight bytes will do.
fn skip_shared(text: &Text, group: &[Entry], depth: usize) -> usize {
    let shortest = group.iter().map(|entry| text.length(entry.place)).min().unwrap_or(depth);
    if shortest < depth + 2 * PREFIX {
        return depth;
    }
    let few = group.iter().step_by(group.len().div_ceil(SAMPLE));
    if shared(text, few, depth) < PREFIX {
        return depth;
    }
    depth + shared(text, group.iter(), depth)
}

/// How many bytes from `depth` on all of these pieces share.
fn shared<'a>(text: &Text, mut group: impl Iterator<Item = &'a Entry>, depth: usize) -> usize {
    let Some(first) = group.next() else { return 0 };
    let mut common = &text.get(first.place)[depth..];
    for entry in group {
        let length = shared_by_two(common, &text.get(entry.place)[depth..]);
        common = &common[..length];
        if common.is_empty() {
            break;
        }
    }
    common.len()
}

fn shared_by_two(a: &[u8], b: &[u8]) -> usize {
    let (a_blocks, _) = a.as_chunks::<64>();
    let (b_blocks, _) = b.as_chunks::<64>();
    let same = 64 * a_blocks.iter().zip(b_blocks).take_while(|(a, b)| a == b).count();
    let (a_words, _) = a[same..].as_chunks::<PREFIX>();
    let (b_words, _) = b[same..].as_chunks::<PREFIX>();
    for (index, (a, b)) in a_words.iter().zip(b_words).enumerate() {
        let differing = u64::from_le_bytes(*a) ^ u64::from_le_bytes(*b);
        if differing != 0 {
            return same + PREFIX * index + to_usize(u64::from(differing.trailing_zeros())) / 8;
        }
    }
    let words = a_words.len().min(b_words.len());
    let (a, b) = (&a[same + PREFIX * words..], &b[same + PREFIX * words..]);
    same + PREFIX * words + a.iter().zip(b).take_while(|(a, b)| a == b).count()
}
