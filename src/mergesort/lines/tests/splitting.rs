//! Text cut at every byte, over any number of ranks.

use proptest::prelude::*;

use super::agreement::texts;
use crate::mergesort::lines::{line_start_at, line_starts_in, owned};

/// Where lines begin, by a plain loop.
fn starts(text: &[u8], terminator: u8) -> Vec<usize> {
    (0..text.len()).filter(|&at| at == 0 || text[at - 1] == terminator).collect()
}

fn check_every_cut(text: &[u8], terminator: u8) {
    let starts = starts(text, terminator);
    for cut in 0..=text.len() {
        let first = starts.iter().copied().find(|&start| start >= cut);
        assert_eq!(line_start_at(text, cut, terminator), first.unwrap_or(text.len()), "cut {cut}");
        let before = cut.checked_sub(1).map(|at| text[at]);
        for end in [cut, cut + 1, cut.midpoint(text.len()), text.len()] {
            let end = end.clamp(cut, text.len());
            let inside = first.filter(|&start| start < end).map(|start| start - cut);
            assert_eq!(line_starts_in(before, &text[cut..end], terminator), inside, "{cut}..{end}");
        }
    }
}

/// The ranges of `count` ranks own all lines, each once and whole.
fn check_ranks(text: &[u8], count: usize, terminator: u8) {
    let mut found = Vec::new();
    let mut next = 0;
    for rank in 0..count {
        let (from, to) = (text.len() * rank / count, text.len() * (rank + 1) / count);
        let lines = owned(text, from..to, terminator);
        assert_eq!(lines.start, next);
        next = lines.end;
        let inner = starts(&text[lines.clone()], terminator);
        found.extend(inner.iter().map(|start| lines.start + start));
        assert!(inner.iter().all(|start| (from..to).contains(&(lines.start + start))));
    }
    assert_eq!(next, text.len());
    assert_eq!(found, starts(text, terminator));
}

#[test]
fn awkward_texts_at_every_cut() {
    for text in ["", "\n", "\n\n\n", "a", "a\n", "\na", "abc\n\ndef", "one line that has no end"] {
        check_every_cut(text.as_bytes(), b'\n');
        for count in 1..=text.len() + 2 {
            check_ranks(text.as_bytes(), count, b'\n');
        }
    }
}

proptest! {
    #[test]
    fn any_text_at_every_cut(text in texts(12), zero in any::<bool>(), count in 1_usize..40) {
        let terminator = if zero { 0 } else { b'\n' };
        check_every_cut(&text, terminator);
        check_ranks(&text, count, terminator);
    }
}
