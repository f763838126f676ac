//! Is this text in order? Asked of every output, whoever made it.
//!
//! It compares neighbours by the plain definition of the order and knows nothing of keys as bytes,
//! prefixes or entries, so an error there cannot hide here. It cannot see whether equal lines stand
//! in the order of the input.

use serde::{Deserialize, Serialize};

use super::entry::line_end;
use super::order::{Order, turned};

/// What a pass over lines found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checked {
    /// Lines in the text.
    pub lines: u64,
    /// Lines that must not stand behind the line before them.
    pub unordered: u64,
    /// Lines that compare equal, by their keys, to the line before them.
    pub duplicates: u64,
}

impl Checked {
    /// Adds what was found in another piece.
    pub fn add(&mut self, other: &Self) {
        self.lines += other.lines;
        self.unordered += other.unordered;
        self.duplicates += other.duplicates;
    }
}

impl Order {
    /// Checks the lines of `text`, of which the last may lack its terminator, and that the first
    /// of them may stand behind `previous`. Pieces of a text give, added, what the text gives if
    /// each is told the last line before it.
    pub fn check(&self, text: &[u8], previous: Option<&[u8]>) -> Checked {
        let mut checked = Checked::default();
        let mut before = previous;
        let mut at = 0;
        while at < text.len() {
            let end = line_end(text, at, self.terminator);
            let line = &text[at..end];
            if let Some(before) = before {
                self.check_pair(before, line, &mut checked);
            }
            checked.lines += 1;
            before = Some(line);
            at = end + 1;
        }
        checked
    }

    #[inline]
    fn check_pair(&self, before: &[u8], line: &[u8], checked: &mut Checked) {
        let keys = self.cmp_keys(before, line);
        checked.duplicates += u64::from(keys.is_eq());
        let order = if keys.is_eq() && self.has_last_resort() {
            turned(before.cmp(line), self.reverse)
        } else {
            keys
        };
        checked.unordered += u64::from(order.is_gt());
    }
}
