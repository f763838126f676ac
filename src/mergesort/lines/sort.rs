//! The lines of a text in order.
//!
//! Three passes: find the lines and load eight bytes of each, sort those, write the lines. Memory
//! beside text and output is 16 bytes a line while it sorts and 4 (8 from 4 GiB on) for the result;
//! `keyed.rs` says what keys add.

use super::emit::emit;
use super::encode::prefix;
use super::entry::Text;
use super::keyed::{self, key_prefix};
use super::multikey;
use super::order::Order;
use super::places::Lines;

/// Replaces what is in `out` by the lines of `text`, sorted stably, each with its terminator (also
/// the last, if it had none); returns where they begin. Duplicates stay: see [`super::unique()`].
///
/// # Panics
/// When the text has 1 TiB or more.
pub fn sort(order: &Order, text: &[u8], out: &mut Vec<u8>) -> Lines {
    let mut scratch = Vec::new();
    let (text, entries) = if order.keys.is_empty() {
        let (text, mut entries) = Text::read(text, order.terminator, prefix);
        multikey::sort(&text, &mut entries);
        if order.reverse {
            // What this puts the wrong way round are lines of the same bytes.
            entries.reverse();
        }
        (text, entries)
    } else {
        let first = |line| key_prefix(order, line, &mut scratch);
        let (text, mut entries) = Text::read(text, order.terminator, first);
        keyed::sort(order, &text, &mut entries);
        (text, entries)
    };
    emit(&text, &entries, order.terminator, out)
}
