//! Texts in awkward shapes, checked against the standard library's sort.

use crate::mergesort::lines::{Checked, Digest, Flags, Lines, Order, fuzz, sort};
use crate::num::mix64;

fn order(flags: &Flags) -> Order {
    Order::parse(flags).unwrap()
}

fn keyed(key: &str) -> Flags {
    Flags { key: vec![key.to_owned()], ..Flags::default() }
}

/// Every kind of order that takes a way of its own.
fn orders() -> Vec<Order> {
    let plain = Flags::default;
    vec![
        order(&plain()),
        order(&Flags { reverse: true, ..plain() }),
        order(&Flags { numeric: true, ..plain() }),
        order(&Flags { numeric: true, reverse: true, stable: true, ..plain() }),
        order(&keyed("1,1")),
        order(&Flags { reverse: true, ..keyed("2,2") }),
        order(&Flags { unique: true, ..keyed("1r,1") }),
        order(&Flags { zero_terminated: true, ..plain() }),
    ]
}

fn check_all(text: &[u8]) {
    for order in orders() {
        for cut in [0, 1, text.len() / 2, text.len()] {
            fuzz::check(&order, text, cut);
        }
    }
}

fn joined<T: AsRef<[u8]>>(lines: impl IntoIterator<Item = T>) -> Vec<u8> {
    let mut text = Vec::new();
    for line in lines {
        text.extend_from_slice(line.as_ref());
        text.push(b'\n');
    }
    text
}

#[test]
fn tiny_texts() {
    for text in ["", "\n", "a", "a\n", "\n\n", "b\na", "b\na\n", "\0", "\0\n\0\0", "a\0\na"] {
        check_all(text.as_bytes());
    }
}

#[test]
fn no_text_gives_no_lines() {
    let mut out = b"old".to_vec();
    let lines = sort(&order(&Flags::default()), b"", &mut out);
    assert!(lines.is_empty() && out.is_empty());
}

#[test]
fn a_last_line_without_terminator_gets_one() {
    let mut out = Vec::new();
    let lines = sort(&order(&Flags::default()), b"b\na", &mut out);
    assert_eq!((out.as_slice(), lines.len()), (b"a\nb\n".as_slice(), 2));
}

#[test]
fn ends_and_nuls_are_told_apart() {
    let mut lines = Vec::new();
    for length in 0..20 {
        for nuls in 0..20 {
            lines.push([vec![b'a'; length], vec![0; nuls]].concat());
            lines.push([vec![b'a'; length], vec![0; nuls], vec![1]].concat());
        }
    }
    lines.reverse();
    check_all(&joined(&lines));
}

/// Line i has i times eight equal bytes: each step of the sort takes away one line.
#[test]
fn nested_prefixes() {
    let lines = (0..400_usize).map(|i| vec![b'x'; 1 + 8 * (i * 7 % 400)]);
    check_all(&joined(lines));
}

#[test]
fn one_huge_line_and_lines_beyond_24_bits() {
    let mut text = vec![b'7'; (1 << 24) + 5];
    let order = &orders()[0];
    fuzz::check(order, &text, 100);
    text.extend_from_slice(b"\n7\n6\n\n");
    text.extend(std::iter::repeat_n(b'7', (1 << 24) - 1));
    text.push(b'\n');
    text.extend(std::iter::repeat_n(b'7', (1 << 24) - 2));
    fuzz::check(order, &text, 1 << 24);
    fuzz::check(&orders()[2], &text, 1 << 24);
}

#[test]
fn long_common_prefixes() {
    for shared in [7, 8, 9, 63, 64, 65, 1024] {
        let line = |i: u64| format!("{}{:x}", "p".repeat(shared), mix64(i) >> 40);
        check_all(&joined((0..300).map(line)));
        check_all(&joined((0..300).map(|i| format!("{} {}", i % 3, line(i % 50)))));
    }
}

#[test]
fn patterns_of_all_small_sizes() {
    for count in [0, 1, 2, 3, 7, 8, 9, 15, 16, 17, 31, 61, 127, 128, 129, 1021] {
        let number = |i: u64| i.to_string();
        check_all(&joined((0..count).map(number)));
        check_all(&joined((0..count).rev().map(number)));
        check_all(&joined((0..count).map(|_| "all the same line")));
        check_all(&joined((0..count).map(|i| number(mix64(i) % 10))));
        check_all(&joined((0..count).map(|i| number(mix64(i)))));
    }
}

#[test]
fn equal_keys_keep_the_order_of_the_input() {
    let text = joined((0..5000_u64).map(|i| format!("{} {i}", mix64(i) % 7)));
    let order = order(&Flags { stable: true, ..keyed("1,1n") });
    let mut out = Vec::new();
    let lines = sort(&order, &text, &mut out);
    let number = |index: usize| -> (u64, u64) {
        let line = std::str::from_utf8(lines.line(&out, index)).unwrap();
        let (key, number) = line.split_once(' ').unwrap();
        (key.parse().unwrap(), number.parse().unwrap())
    };
    assert!((1..lines.len()).all(|index| number(index - 1) < number(index)));
}

#[test]
fn the_check_counts_what_is_wrong() {
    let checked = |flags: &Flags, text: &str, previous: Option<&str>| {
        let Checked { lines, unordered, duplicates } =
            order(flags).check(text.as_bytes(), previous.map(str::as_bytes));
        (lines, unordered, duplicates)
    };
    let (plain, number) = (Flags::default(), Flags { numeric: true, ..Flags::default() });
    assert_eq!(checked(&plain, "", None), (0, 0, 0));
    assert_eq!(checked(&plain, "a\nb\nb\n", None), (3, 0, 1));
    assert_eq!(checked(&plain, "b\na\nb", Some("c")), (3, 2, 0));
    assert_eq!(checked(&plain, "b\n", Some("b")), (1, 0, 1));
    assert_eq!(checked(&number, "9\n10\n10.0\n10\n", None), (4, 1, 2));
    let stable = Flags { stable: true, ..number };
    assert_eq!(checked(&stable, "9\n10\n10.0\n10\n", None), (4, 0, 2));
}

#[test]
fn the_digest_sees_lines_and_not_their_order() {
    let order = order(&Flags::default());
    let digest = |text: &str| order.digest(text.as_bytes());
    assert_eq!(digest("a\nb\n\n"), digest("\nb\na\n"));
    assert_eq!(digest("a\nb"), digest("a\nb\n"));
    for other in ["a\n", "a\nc\n", "ab\n\n", "a\nb\n\n", "a\0\nb\n", "\0a\nb\n"] {
        assert_ne!(digest("a\nb\n").sum, digest(other).sum, "{other:?}");
    }
    let mut parts = digest("a\n");
    parts.add(&digest("b\n"));
    assert_eq!(parts, digest("a\nb\n"));
    assert_eq!(parts, Digest { lines: 2, bytes: 4, sum: parts.sum });
    // One changed bit anywhere in lines of all lengths changes the sum.
    for length in 1..70 {
        let line = vec![b'q'; length];
        for at in 0..length {
            let mut changed = line.clone();
            changed[at] ^= 1;
            assert_ne!(order.digest(&line), order.digest(&changed));
        }
    }
}

#[test]
fn places_of_lines() {
    let lines = Lines::find(b"ab\n\nc\n", b'\n');
    assert_eq!((lines.len(), lines.is_empty()), (3, false));
    assert_eq!([lines.start(0), lines.start(1), lines.start(2), lines.start(3)], [0, 3, 4, 6]);
    assert_eq!([lines.range(0), lines.range(1), lines.range(2)], [0..2, 3..3, 4..5]);
}

#[test]
fn places_from_four_gib_on() {
    let largest = usize::try_from(u32::MAX).unwrap();
    for (bytes, width) in [(largest, 4), (largest + 1, 8)] {
        let mut lines = Lines::room(2, bytes);
        lines.push(7);
        lines.push(bytes);
        assert_eq!((lines.len(), lines.range(0), lines.range(1)), (2, 0..6, 7..bytes - 1));
        assert!((3 * width..=4 * width).contains(&lines.heap_bytes()));
    }
}
