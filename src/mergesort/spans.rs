//! Ranges of the sorted whole, and what is left between those that are written: pure.

use std::ops::Range;

/// A range of the sorted whole: its items, equal ones included, and the bytes of the output that they become.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Span {
    /// Numbered through all runs in their order.
    pub items: Range<u64>,
    /// Without what may lie before the data in the file.
    pub bytes: Range<u64>,
}

/// A range that is still to be merged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Left {
    /// Its items.
    pub items: Range<u64>,
    /// Where its bytes begin.
    pub first_byte: u64,
    /// How many they are, when that is known.
    pub bytes: Option<u64>,
}

/// What is left of `items` items that become `bytes` bytes, if that is known; `None` when spans overlap or
/// leave the whole.
pub fn left(items: u64, bytes: Option<u64>, mut done: Vec<Span>) -> Option<Vec<Left>> {
    done.sort_by_key(|span| span.items.start);
    let (mut all, mut item, mut byte) = (Vec::new(), 0, 0);
    for span in done {
        let (here, there) = (&span.items, &span.bytes);
        if here.start < item
            || here.end < here.start
            || there.start < byte
            || there.end < there.start
        {
            return None;
        }
        if item < here.start {
            let bytes = Some(there.start - byte);
            all.push(Left { items: item..here.start, first_byte: byte, bytes });
        } else if byte < there.start {
            return None;
        }
        (item, byte) = (here.end, there.end);
    }
    if item > items || bytes.is_some_and(|bytes| byte > bytes) {
        return None;
    }
    if item < items {
        let bytes = bytes.map(|bytes| bytes - byte);
        all.push(Left { items: item..items, first_byte: byte, bytes });
    }
    Some(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(items: Range<u64>, bytes: Range<u64>) -> Span {
        Span { items, bytes }
    }

    #[test]
    fn what_is_left_lies_between_what_is_done() {
        let whole = Left { items: 0..9, first_byte: 0, bytes: None };
        assert_eq!(left(9, None, Vec::new()), Some(vec![whole]));
        let done = vec![span(6..7, 50..60), span(1..3, 8..21)];
        let between = |items, first_byte, bytes| Left { items, first_byte, bytes: Some(bytes) };
        let expected = vec![between(0..1, 0, 8), between(3..6, 21, 29), between(7..9, 60, 40)];
        assert_eq!(left(9, Some(100), done), Some(expected));
        assert_eq!(left(3, Some(5), vec![span(0..3, 0..5)]), Some(Vec::new()));
        // Equal items that become nothing.
        let nothing = vec![between(2..3, 5, 0)];
        assert_eq!(left(3, Some(5), vec![span(0..2, 0..5)]), Some(nothing));
    }

    #[test]
    fn what_cannot_be_is_refused() {
        assert_eq!(left(9, Some(90), vec![span(0..3, 0..30), span(2..4, 30..40)]), None);
        assert_eq!(left(9, Some(90), vec![span(0..3, 0..30), span(3..4, 29..40)]), None);
        assert_eq!(left(9, Some(90), vec![span(0..3, 0..30), span(3..4, 31..40)]), None);
        assert_eq!(left(9, Some(90), vec![span(0..10, 0..90)]), None);
        assert_eq!(left(9, Some(90), vec![span(0..9, 0..91)]), None);
    }
}
