//! Writing lines in their new order: the one pass that reads the text in random order.
//!
//! Each line is a cache miss or two and a few dozen bytes, so the time is latency. A block of lines
//! is touched before it is copied: those loads do not depend on each other and are in flight
//! together. Short lines are copied in fixed pieces of 32 bytes, past their ends, which spares a call
//! and a mispredicted branch per length; the next line overwrites the excess.

use std::hint::black_box;

use super::entry::{Entry, Text};
use super::places::Lines;

/// Lines whose loads are in flight together.
const BLOCK: usize = 32;
/// Bytes copied at once.
const PIECE: usize = 32;
/// Longer lines are worth a call of `memcpy`.
const SHORT: usize = 256;

/// Replaces what is in `out` by the lines of `entries` in their order, each with `terminator`.
pub(super) fn emit(text: &Text, entries: &[Entry], terminator: u8, out: &mut Vec<u8>) -> Lines {
    // One byte more than the text if its last line has no terminator.
    let total: usize = text.bytes.len() + usize::from(lacks_terminator(text, terminator));
    resize(out, total + PIECE);
    let mut lines = Lines::room(entries.len(), total);
    let mut at = 0;
    for block in entries.chunks(BLOCK) {
        touch(text, block);
        for entry in block {
            let length = text.length(entry.place);
            copy(text.bytes, Text::offset(entry.place), length, &mut out[at..]);
            at += length + 1;
            out[at - 1] = terminator;
            lines.push(at);
        }
    }
    assert_eq!(at, total, "every line was written once");
    out.truncate(total);
    lines
}

/// Makes `out` as long as that; what is in it does not matter. Fresh memory comes as zeros from the
/// system, and old contents are as good as others, so nothing is filled twice.
fn resize(out: &mut Vec<u8>, length: usize) {
    if out.capacity() < length {
        *out = vec![0; length];
    }
    out.resize(length, 0);
}

fn lacks_terminator(text: &Text, terminator: u8) -> bool {
    text.bytes.last().is_some_and(|&last| last != terminator)
}

/// Loads the first and the last byte of each line.
#[inline]
fn touch(text: &Text, block: &[Entry]) {
    let mut sum = 0_u8;
    for entry in block {
        let offset = Text::offset(entry.place);
        let last = (offset + text.length(entry.place)).min(text.bytes.len() - 1);
        sum ^= text.bytes[offset.min(last)] ^ text.bytes[last];
    }
    black_box(sum);
}

/// Copies `length` bytes from `offset` on to the begin of `to`, and up to a piece of rubbish behind.
#[inline]
fn copy(from: &[u8], offset: usize, length: usize, to: &mut [u8]) {
    let covered = length.next_multiple_of(PIECE);
    if length > SHORT || offset + covered > from.len() || covered > to.len() {
        to[..length].copy_from_slice(&from[offset..offset + length]);
        return;
    }
    let from = &from[offset..offset + covered];
    let to = &mut to[..covered];
    for (from, to) in from.as_chunks::<PIECE>().0.iter().zip(to.as_chunks_mut::<PIECE>().0) {
        *to = *from;
    }
}
