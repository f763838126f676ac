//! One entry for fuzzers: bytes in, a panic out if anything that must hold does not.
//!
//! The first bytes choose the flags, the rest is the text. Checked against the plain definition of
//! the order and the standard library's stable sort: the sorted bytes and their places, keys and
//! prefixes of neighbours, the check, the digest, the removal of duplicates whole and in two pieces,
//! a merge of two halves, and the split at a cut. The order itself is taken as right; the tests ask
//! sort(1) about that.

use std::cmp::Ordering;

use super::{Cursor, Flags, Lines, Order, line_start_at, line_starts_in, owned, prefix};
use super::{sort, unique};

/// Bytes that choose the flags.
const HEAD: usize = 8;

const KEYS: [&str; 16] = [
    "1",
    "2",
    "2,2",
    "1,1",
    "1n",
    "2,2n",
    "3.2,3.4",
    "2b,2",
    "1.3,2.1",
    "2,1",
    "1,1.0r",
    "2nr,3",
    "1.2b,2.3b",
    "3rb",
    "2.2,2.2b",
    "1,1nb",
];
const SEPARATORS: [&str; 4] = [",", " ", "\\0", "0"];

/// The flags that `head` chooses; every choice is valid.
pub fn flags(head: [u8; HEAD]) -> Flags {
    let bit = |at: u8| head[0] >> at & 1 == 1;
    let keys = usize::from(head[1] % 4);
    let key = head[2..2 + keys].iter().map(|&byte| KEYS[usize::from(byte) % KEYS.len()]);
    Flags {
        numeric: bit(0),
        reverse: bit(1),
        unique: bit(2),
        stable: bit(3),
        zero_terminated: bit(4),
        separator: bit(5).then(|| SEPARATORS[usize::from(head[6]) % SEPARATORS.len()].to_owned()),
        key: key.map(str::to_owned).collect(),
    }
}

/// Sorts the text in `data` as its first bytes say and checks all there is to check.
///
/// # Panics
/// When something does not hold: that is a bug.
pub fn run(data: &[u8]) {
    let Some((head, text)) = data.split_first_chunk::<HEAD>() else { return };
    let order = Order::parse(&flags(*head)).expect("all menus are valid");
    check(&order, text, usize::from(head[7]));
}

/// Checks everything for one order and text; `cut` says where to cut it in two.
///
/// # Panics
/// As [`run`].
pub fn check(order: &Order, text: &[u8], cut: usize) {
    let mut out = b"what was there".to_vec();
    let lines = sort(order, text, &mut out);
    let expected = expected(order, text);
    assert_eq!(lines.len(), expected.len(), "as many lines");
    assert_eq!(lines, Lines::find(&out, order.terminator()), "their places");
    for (index, &line) in expected.iter().enumerate() {
        assert_eq!(lines.line(&out, index), line, "line {index} in order");
    }
    check_keys(order, &expected);
    let digest = order.digest(text);
    assert_eq!(digest, order.digest(&out), "the same lines");
    let checked = order.check(&out, None);
    assert_eq!((checked.unordered, checked.lines), (0, digest.lines), "in order");
    let removed = check_unique(order, &out, &expected, cut);
    assert_eq!(removed, checked.duplicates, "what is counted is removed");
    check_merge(order, text, &out, cut);
    check_split(order, text, cut);
}

/// The lines in order, by the definition.
fn expected<'a>(order: &Order, text: &'a [u8]) -> Vec<&'a [u8]> {
    let mut lines: Vec<&[u8]> = text.split(|&byte| byte == order.terminator()).collect();
    if lines.last().is_some_and(|last| last.is_empty()) {
        lines.pop();
    }
    lines.sort_by(|a, b| order.cmp_lines(a, b));
    lines
}

fn check_keys(order: &Order, sorted: &[&[u8]]) {
    let (mut first, mut second, mut third) = (Vec::new(), Vec::new(), Vec::new());
    for pair in sorted.windows(2) {
        let expected = order.cmp_lines(pair[0], pair[1]);
        let (a, b) = (order.key(pair[0], &mut first), order.key(pair[1], &mut second));
        assert_eq!(a.cmp(b), expected, "keys stand as lines do: {pair:?}");
        assert_eq!(order.prefix(pair[0], &mut third), prefix(a), "prefix of {:?}", pair[0]);
        assert!(prefix(a) <= prefix(b), "prefixes ascend: {pair:?}");
    }
}

/// Removes duplicates at once and in two pieces; says how many there were.
fn check_unique(order: &Order, sorted: &[u8], lines: &[&[u8]], cut: usize) -> u64 {
    let mut wanted: Vec<&[u8]> = lines.to_vec();
    wanted.dedup_by(|next, kept| order.cmp_keys(kept, next) == Ordering::Equal);
    let mut all = sorted.to_vec();
    let (left, removed) = unique(order, &mut all, None);
    let kept: Vec<&[u8]> = (0..left.len()).map(|index| left.line(&all, index)).collect();
    assert_eq!(kept, wanted, "the first of equal lines stays");

    let at = line_start_at(sorted, cut.min(sorted.len()), order.terminator());
    let (mut front, mut back) = (sorted[..at].to_vec(), sorted[at..].to_vec());
    let before = front.split_last().map(|(_, front)| front.to_vec());
    let before = before.as_deref().and_then(|b| b.rsplit(|&x| x == order.terminator()).next());
    let removed_back = unique(order, &mut back, before).1;
    assert_eq!(unique(order, &mut front, None).1 + removed_back, removed, "in two pieces");
    assert_eq!([front, back].concat(), all, "in two pieces");
    removed
}

/// Sorts two halves and merges them.
fn check_merge(order: &Order, text: &[u8], sorted: &[u8], cut: usize) {
    let at = line_start_at(text, cut.min(text.len()), order.terminator());
    let (mut front, mut back) = (Vec::new(), Vec::new());
    sort(order, &text[..at], &mut front);
    sort(order, &text[at..], &mut back);
    let (mut a, mut b) = (Cursor::new(order, &front), Cursor::new(order, &back));
    let mut merged = Vec::new();
    loop {
        let second = match (a.peek(), b.peek()) {
            (None, None) => break,
            (Some(_), None) => false,
            (None, Some(_)) => true,
            (Some(x), Some(y)) => y.cmp(&x).then_with(|| b.cmp_full(&a)).is_lt(),
        };
        let from = if second { &mut b } else { &mut a };
        merged.extend_from_slice(from.line());
        merged.push(order.terminator());
        from.advance();
    }
    assert_eq!(merged, sorted, "merged halves");
}

fn check_split(order: &Order, text: &[u8], cut: usize) {
    let (cut, terminator) = (cut.min(text.len()), order.terminator());
    let (front, back) = (owned(text, 0..cut, terminator), owned(text, cut..text.len(), terminator));
    assert_eq!((front.start, front.end, back.end), (0, back.start, text.len()), "all is owned");
    let before = cut.checked_sub(1).map(|at| text[at]);
    let first = line_starts_in(before, &text[cut..], terminator).map_or(text.len(), |at| cut + at);
    assert_eq!(first, back.start, "a piece finds its first line");
}
