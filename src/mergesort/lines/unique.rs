//! `--unique`: of sorted lines that compare equal, the first stays.
//!
//! Lines move to the front of their own buffer, so that no second one is needed. The sort is stable,
//! hence the first of a run of equal lines is the first of the input. That holds across pieces and
//! ranks, too: each pass is told the line before its own.

use super::entry::line_end;
use super::order::Order;
use super::places::Lines;

/// Takes from `text`, sorted lines with their terminators, each that compares equal to the one
/// before, `previous` being the one before the first. Returns where the others are now, and how
/// many were taken.
///
/// `previous` may be any line of the run of equal lines before `text`, also one that was taken.
///
/// # Panics
/// When the last line has no terminator.
pub fn unique(order: &Order, text: &mut Vec<u8>, previous: Option<&[u8]>) -> (Lines, u64) {
    let terminator = order.terminator;
    assert!(text.last().is_none_or(|&last| last == terminator), "the last line is terminated");
    let mut removed = 0;
    let mut kept_end = 0;
    let mut last: Option<std::ops::Range<usize>> = None;
    let mut at = 0;
    while at < text.len() {
        let end = line_end(text, at, terminator);
        let before = last.clone().map_or(previous, |last| Some(&text[last]));
        if before.is_some_and(|before| order.equal_for_unique(before, &text[at..end])) {
            removed += 1;
        } else {
            text.copy_within(at..=end, kept_end);
            last = Some(kept_end..kept_end + end - at);
            kept_end += end + 1 - at;
        }
        at = end + 1;
    }
    text.truncate(kept_end);
    (Lines::find(text, terminator), removed)
}
