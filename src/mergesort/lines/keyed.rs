//! Sorting lines by keys that are not the line.
//!
//! Lines are sorted by the first eight bytes of their encoded keys, which is all there is to a
//! number of up to 16 digits. Only where these are equal the rest is made: the keys of one group
//! at a time in an arena that the groups share, sorted there as plain bytes, and then only lines
//! with equal keys are compared as a whole. So memory beside the entries is the keys of the largest
//! group, with eight bytes each for the way back to the line: nothing for numbers, and at worst all
//! keys when they begin alike.
//!
//! An encoded key is never the beginning of another, so a key of at most eight bytes has a prefix of
//! its own: in a group either all keys fit the prefix, and are equal, or none does.

use super::encode::{PREFIX, prefix};
use super::entry::{Entry, Text, sort_by_prefix};
use super::multikey;
use super::order::Order;
use crate::num::{to_u64, to_usize};

/// Groups up to this size are sorted by comparing the lines.
const SMALL: usize = 8;

/// The prefix of the keys of `line` alone, without the last resort.
#[inline]
pub(super) fn key_prefix(order: &Order, line: &[u8], scratch: &mut Vec<u8>) -> u64 {
    order.first_word(line).unwrap_or_else(|| {
        scratch.clear();
        order.encode_keys(line, scratch);
        prefix(scratch)
    })
}

/// Sorts `entries`, whose prefixes are those of [`key_prefix`], stably by `order`. The prefixes are
/// spent on it.
pub(super) fn sort(order: &Order, text: &Text, entries: &mut [Entry]) {
    let mut arena = Vec::new();
    sort_by_prefix(entries);
    for group in entries.chunk_by_mut(|a, b| a.prefix == b.prefix) {
        if group.len() > 1 {
            sort_group(order, text, group, &mut arena);
        }
    }
}

/// Sorts lines whose keys agree in eight bytes.
fn sort_group(order: &Order, text: &Text, group: &mut [Entry], arena: &mut Vec<u8>) {
    arena.clear();
    order.encode_keys(text.get(group[0].place), arena);
    if arena.len() <= PREFIX {
        return sort_equal(order, text, group);
    }
    if group.len() <= SMALL {
        return sort_small(order, text, group);
    }
    sort_by_rest(order, text, group, arena);
    for equal in group.chunk_by_mut(|a, b| a.prefix == b.prefix) {
        sort_equal(order, text, equal);
    }
}

fn sort_small(order: &Order, text: &Text, group: &mut [Entry]) {
    group.sort_unstable_by(|a, b| {
        let by_order = order.cmp_lines(text.get(a.place), text.get(b.place));
        by_order.then(a.place.cmp(&b.place))
    });
}

/// The last resort between lines with equal keys.
fn sort_equal(order: &Order, text: &Text, equal: &mut [Entry]) {
    if !order.has_last_resort() || equal.len() < 2 {
        return;
    }
    multikey::sort_unloaded(text, equal);
    if order.reverse {
        // What this puts the wrong way round are lines of the same bytes.
        equal.reverse();
    }
}

/// Sorts by the keys behind their first eight bytes, and gives lines with equal keys, and only
/// those, equal prefixes.
fn sort_by_rest(order: &Order, text: &Text, group: &mut [Entry], arena: &mut Vec<u8>) {
    fill(order, text, group, arena);
    let mut keys = Text::new(arena);
    for entry in &mut *group {
        entry.place = keys.place(to_usize(entry.prefix), to_usize(entry.place));
    }
    multikey::sort_unloaded(&keys, group);
    let mut last: Option<&[u8]> = None;
    let mut rank = 0;
    for entry in group {
        let key = keys.get(entry.place);
        rank += u64::from(last.is_some_and(|last| last != key));
        last = Some(key);
        let end = Text::offset(entry.place) + key.len();
        let back = arena[end..].first_chunk().expect("a place behind every key");
        *entry = Entry { prefix: rank, place: u64::from_be_bytes(*back) };
    }
}

/// Fills the arena with what the keys have behind their first eight bytes, each followed by the
/// place of its line. Leaves in each entry where its key begins and how long it is.
fn fill(order: &Order, text: &Text, group: &mut [Entry], arena: &mut Vec<u8>) {
    arena.clear();
    let mut key = Vec::new();
    for entry in group {
        key.clear();
        order.encode_keys(text.get(entry.place), &mut key);
        let (start, rest) = (arena.len(), &key[PREFIX..]);
        arena.extend_from_slice(rest);
        arena.extend_from_slice(&entry.place.to_be_bytes());
        *entry = Entry { prefix: to_u64(start), place: to_u64(rest.len()) };
    }
}
