//! Text cut by bytes: a line belongs to the range in which its first byte lies.
//!
//! A line begins at the text's begin and behind every terminator. Whether one begins at a cut is
//! said by the byte before it, so a rank that reads a range of a file reads that byte, too.

use std::ops::Range;

use memchr::memchr;

use super::entry::line_end;

/// The first begin of a line at or behind `cut`, or the text's end if there is none.
///
/// # Panics
/// When `cut` lies behind the text's end.
pub fn line_start_at(text: &[u8], cut: usize, terminator: u8) -> usize {
    if cut == 0 {
        return 0;
    }
    (line_end(text, cut - 1, terminator) + 1).min(text.len())
}

/// The bytes of the lines that belong to `range` of `text`: from the first begin in it to the first
/// behind it. Ranges that cover the text have lines that cover it, each once.
pub fn owned(text: &[u8], range: Range<usize>, terminator: u8) -> Range<usize> {
    line_start_at(text, range.start, terminator)..line_start_at(text, range.end, terminator)
}

/// The first begin of a line in `piece`, which lies behind the byte `before` or, for `None`, at the
/// begin of the text. `None` if all of it belongs to a line that began earlier, or it is empty; a
/// line that would begin right behind it is the next piece's.
pub fn line_starts_in(before: Option<u8>, piece: &[u8], terminator: u8) -> Option<usize> {
    let start = match before {
        Some(byte) if byte != terminator => memchr(terminator, piece)? + 1,
        _ => 0,
    };
    (start < piece.len()).then_some(start)
}
