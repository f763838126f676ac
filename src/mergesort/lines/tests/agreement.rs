//! Random nasty texts under random flags: the bytes must be those of sort(1).

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use super::gnu::gnu_sort;
use crate::mergesort::lines::{Flags, Order, fuzz, prefix, sort, unique};
use crate::num::{mix64, to_usize};

/// Pieces of which lines are made: what parsers trip over.
fn pieces() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        6 => select(vec![
            "", " ", "  ", "\t", ",", ",,", "0", "00", "-", "--", ".", "..", "+", "e5", "a", "b",
            "ab", "A", "abcdefgh", "abcdefg", "-0", "1", "-1", "10", "1.5", "1.50", "-.5", ".5",
            "0.000", "007", "999999999999999", "9999999999999999", "10000000000000000", "1,000",
            "12345678901234567", "-12345678901234567890", "1.0000000000000000000001", "\r",
            "100000000000000000000000000000000", "0.00000000000000000000001", "\u{7f}", "\u{b}",
        ])
        .prop_map(|piece| piece.as_bytes().to_vec()),
        1 => select(vec![vec![0], vec![0, 0], vec![0xFF], vec![0xFF, 0xFF], vec![0x80], vec![1]]),
        1 => vec(any::<u8>(), 0..12),
        1 => (select(vec![b'0', b'1', b'9', b'x', 0, 0xFF]), 0_usize..300)
            .prop_map(|(byte, count)| vec![byte; count]),
    ]
}

/// A text of such lines; some repeat, some share what they begin with, the last may lack its end.
pub(super) fn texts(lines: usize) -> impl Strategy<Value = Vec<u8>> {
    let line = vec(pieces(), 0..5).prop_map(|pieces| pieces.concat());
    let stem = prop_oneof![3 => Just(Vec::new()), 1 => pieces(), 1 => Just(vec![b'7'; 40])];
    let ends = select(vec![b"\n".to_vec(), b"\0".to_vec(), b"\r\n".to_vec(), b"\n\n".to_vec()]);
    (vec(line, 0..lines), stem, vec(ends, 1..4), 1_usize..4, any::<bool>()).prop_map(
        |(lines, stem, ends, copies, whole)| {
            let mut text = Vec::new();
            for (index, line) in lines.iter().enumerate() {
                for _ in 0..=index % copies {
                    text.extend_from_slice(&stem);
                    text.extend_from_slice(line);
                    text.extend_from_slice(&ends[index % ends.len()]);
                }
            }
            if !whole {
                text.pop();
            }
            text
        },
    )
}

pub(super) fn any_flags() -> impl Strategy<Value = Flags> {
    any::<[u8; 8]>().prop_map(fuzz::flags)
}

fn ours(flags: &Flags, text: &[u8]) -> Vec<u8> {
    let order = Order::parse(flags).unwrap();
    let mut out = Vec::new();
    sort(&order, text, &mut out);
    if order.is_unique() {
        unique(&order, &mut out, None);
    }
    out
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(700))]

    #[test]
    fn bytes_are_those_of_sort(flags in any_flags(), mut text in texts(60)) {
        // See `number.rs` on what sort(1) does with this byte on some machines.
        text.iter_mut().filter(|byte| **byte == 0x80).for_each(|byte| *byte = 0x81);
        let (ours, theirs) = (ours(&flags, &text), gnu_sort(&flags, &text).unwrap());
        prop_assert!(
            ours == theirs,
            "{flags:?}\n{}\nours {}\nsort {}",
            text.escape_ascii(), ours.escape_ascii(), theirs.escape_ascii()
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn all_invariants_hold(head in any::<[u8; 8]>(), text in texts(30)) {
        let mut data = head.to_vec();
        data.extend(text);
        fuzz::run(&data);
    }

    #[test]
    fn keys_of_all_pairs_stand_as_lines_do(flags in any_flags(), text in texts(12)) {
        let order = Order::parse(&flags).unwrap();
        let lines: Vec<&[u8]> = text.split(|&byte| byte == order.terminator()).collect();
        let (mut first, mut second) = (Vec::new(), Vec::new());
        for a in &lines {
            for b in &lines {
                let (key_a, key_b) = (order.key(a, &mut first), order.key(b, &mut second));
                prop_assert_eq!(key_a.cmp(key_b), order.cmp_lines(a, b), "{:?} {:?}", a, b);
                prop_assert!(prefix(key_a) <= prefix(key_b) || key_a > key_b);
                let equal = order.equal_for_unique(a, b);
                prop_assert_eq!(order.equal_for_unique(b, a), equal);
                prop_assert!(order.cmp_lines(a, b).is_ne() || equal);
            }
        }
    }
}

/// Numbers on both sides of all limits of the encoding, as values of lines and of fields.
#[test]
fn numbers_of_all_lengths_stand_as_in_sort() {
    let mut text = Vec::new();
    for digits in [0, 1, 2, 7, 8, 9, 15, 16, 17, 18, 31, 32, 33, 117, 118, 119, 255, 256, 257, 300]
    {
        for first in ["1", "9", "0", "10", "01"] {
            for fill in ["0", "9"] {
                for tail in ["", ".", ".0", ".5", ".50", ".05", ".000000000000000001", "x", ".x"] {
                    for sign in ["", "-", " -", "\t", "+", "- "] {
                        let fill = fill.repeat(digits);
                        text.extend(format!("{sign}{first}{fill}{tail} {digits}\n").bytes());
                    }
                }
            }
        }
    }
    for (key, stable) in [("1n", true), ("1nr", true), ("1,1n", false), ("2n", true)] {
        let flags = Flags { key: vec![key.to_owned()], stable, ..Flags::default() };
        assert!(ours(&flags, &text) == gnu_sort(&flags, &text).unwrap(), "key {key}");
    }
}

/// Many lines at once, so that groups are large: long keys in the arena, runs of equal keys.
#[test]
fn large_groups_stand_as_in_sort() {
    let mut text = Vec::new();
    for index in 0..6000_u64 {
        let value = mix64(index);
        let stem = ["", "/usr/share/doc/", "/usr/share/doc/package/", "x\0y"][to_usize(value % 4)];
        let (city, number) = (value >> 8 & 0xF, value >> 16 & 0x3FF);
        text.extend(format!("{stem}{number:05}\tcity of names {city}\t-{number}.{city}\n").bytes());
    }
    for keys in [vec![], vec!["2,2"], vec!["2r,2", "3n"], vec!["3n,3"], vec!["2,2", "1r"]] {
        for bits in 0..16 {
            let flags = Flags {
                numeric: bits & 1 == 1,
                reverse: bits & 2 == 2,
                stable: bits & 4 == 4,
                unique: bits & 8 == 8,
                key: keys.iter().map(|&key| key.to_owned()).collect(),
                separator: Some("\t".to_owned()),
                ..Flags::default()
            };
            assert!(ours(&flags, &text) == gnu_sort(&flags, &text).unwrap(), "{flags:?}");
        }
    }
}
