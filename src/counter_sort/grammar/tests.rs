//! The parser against the reference: the same text, cut and padded in every way.

use super::reference::{Outcome, outcomes};
use super::{Parser, Refusal, Sink, Tally, Why, parse_file};
use crate::num::{to_u64, to_usize};
use proptest::prelude::*;
use std::ops::RangeInclusive;

const ALL: RangeInclusive<i64> = i64::MIN..=i64::MAX;

/// Keeps everything, and checks that a number is refused right after the sink says so.
struct Collect {
    limits: RangeInclusive<i64>,
    found: Vec<Outcome>,
    outside: bool,
}

impl Collect {
    fn new(limits: &RangeInclusive<i64>) -> Self {
        Self { limits: limits.clone(), found: Vec::new(), outside: false }
    }
}

impl Sink for Collect {
    fn number(&mut self, value: i64) -> bool {
        assert!(!self.outside, "no refusal between two numbers");
        self.outside = !self.limits.contains(&value);
        if !self.outside {
            self.found.push(Outcome::Number(value));
        }
        !self.outside
    }
    fn refuse(&mut self, refusal: Refusal) {
        assert_eq!(refusal.why == Why::OutOfLimits, self.outside);
        self.outside = false;
        self.found.push(Outcome::Refused(refusal));
    }
}

type Results = (Vec<Outcome>, Tally);

fn expected(text: &[u8], limits: &RangeInclusive<i64>) -> Results {
    let mut tally = Tally::default();
    let mut found = outcomes(text, limits);
    for outcome in &found {
        match outcome {
            Outcome::Number(_) => tally.numbers += 1,
            Outcome::Blank => tally.blank_lines += 1,
            Outcome::Refused(_) => tally.refused += 1,
        }
    }
    found.retain(|outcome| *outcome != Outcome::Blank);
    (found, tally)
}

/// Parses `text` cut at `cuts` (ascending), each piece in a buffer of its own behind `front`.
fn pieces(
    text: &[u8],
    cuts: &[usize],
    front: &[u8],
    limits: &RangeInclusive<i64>,
    portable: bool,
) -> Results {
    let mut sink = Collect::new(limits);
    let mut parser = Parser::new();
    if portable {
        parser = parser.portable();
    }
    let mut begin = 0;
    for &end in cuts.iter().chain([&text.len()]) {
        let buffer = [front, &text[begin..end]].concat();
        parser.feed(&buffer, front.len(), &mut sink);
        begin = end;
    }
    let tally = parser.finish(&mut sink);
    (sink.found, tally)
}

fn check(text: &[u8], cuts: &[usize], front: &[u8], limits: &RangeInclusive<i64>) {
    let expected = expected(text, limits);
    for portable in [false, true] {
        let results = pieces(text, cuts, front, limits, portable);
        assert!(
            results == expected,
            "{:?} cut at {cuts:?}, portable {portable}: {results:?}, not {expected:?}",
            text.escape_ascii().to_string()
        );
    }
}

/// The number that `line` is, on both kernels, in a small file and amid 3 kB of other lines.
fn single(line: &str) -> Result<i64, Why> {
    let mut around = "12\n".repeat(1000).into_bytes();
    around.extend_from_slice(line.as_bytes());
    check(&around, &[], &[], &ALL);
    around.extend_from_slice("\n5".repeat(1000).as_bytes());
    check(&around, &[], &[], &ALL);
    check(line.as_bytes(), &[], &[], &ALL);
    let mut sink = Collect::new(&ALL);
    let tally = parse_file(line.as_bytes(), 0, &mut sink);
    assert_eq!(tally.lines(), 1);
    match sink.found.pop() {
        Some(Outcome::Number(value)) => Ok(value),
        Some(Outcome::Refused(refusal)) => Err(refusal.why),
        other => panic!("{line:?}: {other:?}"),
    }
}

#[test]
fn numbers_in_all_spellings() {
    for line in [
        "7",
        "007",
        " 7",
        "7 ",
        "+7",
        "7\n",
        "\t7\t \r\n",
        "7\r",
        "0000000000000007",
        "0000007 ",
        "+7\r",
    ] {
        assert_eq!(single(line), Ok(7), "{line:?}");
    }
    for line in ["-7\r\n", " -7", "-7 ", "-000000000000000000000000007\n"] {
        assert_eq!(single(line), Ok(-7), "{line:?}");
    }
    for line in ["-0", "0", "+0", "00000000", "-00000000000000000000000000000000000\r\n"] {
        assert_eq!(single(line), Ok(0), "{line:?}");
    }
    for length in 1..=18 {
        let digits = &"987654321234567898"[..length];
        assert_eq!(single(digits), Ok(digits.parse().expect("digits")));
        assert_eq!(single(&format!("-{digits}\r\n")), Ok(-digits.parse::<i64>().expect("digits")));
    }
}

#[test]
fn the_ends_of_64_bits() {
    let (min, max) = (i128::from(i64::MIN), i128::from(i64::MAX));
    for value in [min, min + 1, max - 1, max] {
        assert_eq!(single(&value.to_string()), Ok(i64::try_from(value).expect("64 bits")));
        let zeros = format!("{}{:0>40}", if value < 0 { "-" } else { "+" }, value.abs());
        assert_eq!(single(&zeros), Ok(i64::try_from(value).expect("64 bits")));
    }
    for value in [min - 1, max + 1, 10 * max, i128::from(u64::MAX) + 8, 9_999_999_999_999_999_999] {
        assert_eq!(single(&value.to_string()), Err(Why::TooLarge));
        assert_eq!(single(&format!("{value}\n")), Err(Why::TooLarge));
    }
    assert_eq!(single(&"9".repeat(5000)), Err(Why::TooLarge));
}

#[test]
fn what_is_no_number() {
    let lines = [
        "x",
        "+",
        "-",
        "- 7",
        "+-7",
        "1 2",
        "1.5",
        "7\0",
        "\u{FEFF}7",
        "1\r2",
        "7\r\r\n",
        "\r7",
        "1-",
        "12345678901x",
        "x2345678901",
        "123x5678",
        "99999999999999999999x",
        "/",
        ":",
    ];
    for line in lines {
        assert_eq!(single(line), Err(Why::NotANumber), "{line:?}");
    }
}

#[test]
fn every_byte_in_every_place() {
    for byte in 0..=u8::MAX {
        for length in [3, 8, 9, 17, 20] {
            for place in 0..length {
                let mut text = vec![b'1'; length];
                text[place] = byte;
                text.push(b'\n');
                check(&text, &[], &[], &ALL);
            }
        }
    }
}

#[test]
fn blank_lines_count_apart() {
    let text = b"\n\r\n \n\t \r\n5\n\n \r";
    let (found, tally) = expected(text, &ALL);
    assert_eq!(found, [Outcome::Number(5)]);
    assert_eq!(tally, Tally { numbers: 1, refused: 0, blank_lines: 6 });
    check(text, &[], &[], &ALL);
    check(&text.repeat(300), &[], &[], &ALL);
}

#[test]
fn refusals_say_where_and_what() {
    let text = b"5\nbad\r\n\n20000\n123456789012345678901234567890123456789012345678901234567890";
    let mut sink = Collect::new(&(0..=10_000));
    let tally = parse_file(text, 0, &mut sink);
    let refusal = |line, offset, why, piece: &[u8]| {
        Outcome::Refused(Refusal { line, offset, why, piece: piece.to_vec() })
    };
    let long = b"1234567890123456789012345678901234567890";
    assert_eq!(
        sink.found,
        [
            Outcome::Number(5),
            refusal(2, 2, Why::NotANumber, b"bad"),
            refusal(4, 8, Why::OutOfLimits, b"20000"),
            refusal(5, 14, Why::TooLarge, long),
        ]
    );
    assert_eq!(tally, Tally { numbers: 1, refused: 3, blank_lines: 1 });
    // The carriage return of a line's end around the last byte that is kept.
    for length in 38..43 {
        let line = "x".repeat(length);
        for end in ["\r\n", "\n", "\r", "", "\r\r\n"] {
            let text = format!("{line}{end}");
            for cut in 0..=text.len() {
                check(text.as_bytes(), &[cut], &[], &ALL);
            }
        }
    }
    for why in [Why::NotANumber, Why::TooLarge, Why::OutOfLimits] {
        assert!(!why.text().is_empty());
    }
}

/// All texts of up to five bytes, cut in two places at most.
#[test]
fn every_short_text_and_every_cut() {
    const BYTES: &[u8] = b"09- \r\nx";
    for length in 0..=5_u32 {
        for mut index in 0..BYTES.len().pow(length) {
            let mut text = Vec::new();
            for _ in 0..length {
                text.push(BYTES[index % BYTES.len()]);
                index /= BYTES.len();
            }
            check(&text, &[], b"7", &(0..=95));
            for cut in 1..text.len() {
                check(&text, &[cut], b"\n77", &(0..=95));
            }
        }
    }
}

#[test]
fn bytes_before_the_text_do_not_matter() {
    let lines =
        "1\n22\n-333\n4444\n55555\n666666\n7777777\n88888888\n999999999\n1234567890123456789\n";
    let texts = [lines.repeat(40), format!("1234567890123456789{}", "\n1".repeat(1100))];
    for text in &texts {
        for garbage in *b"9\n-x\r \0" {
            for front in [0, 1, 7, 8, 15, 16, 23, 24, 31, 32, 33, 64] {
                check(text.as_bytes(), &[], &vec![garbage; front], &ALL);
                check(&text.as_bytes()[..1], &[], &vec![garbage; front], &ALL);
                check(&text.as_bytes()[..19], &[], &vec![garbage; front], &ALL);
            }
        }
    }
}

/// Lines of all lengths up to 50 that lie across the border of two windows in all ways.
#[test]
fn lines_across_windows() {
    for length in 1..50 {
        for before in 2048 - length - 1..=2049 {
            let line = "0".repeat(length - 1) + "7";
            let text = format!("{}\n{line}\n5\n", "3".repeat(before));
            check(text.as_bytes(), &[], &[b'8'; 32], &ALL);
            let text = format!("{}\n{line}", "\n".repeat(before));
            check(text.as_bytes(), &[], &[b'8'; 32], &ALL);
        }
    }
}

#[test]
fn very_long_lines() {
    let zeros = [vec![b'0'; 100_000], b"7\n8".to_vec()].concat();
    check(&zeros, &[], &[], &ALL);
    check(&zeros, &[1, 50_000, 100_000, 100_001], &[b'\n'; 40], &ALL);
    let cuts: Vec<usize> = (65_536..10_000_000).step_by(65_536).collect();
    let line = vec![b'9'; 10_000_000];
    let (found, tally) = pieces(&line, &cuts, &[], &ALL, false);
    let piece = vec![b'9'; 40];
    let refusal = Refusal { line: 1, offset: 0, why: Why::TooLarge, piece };
    assert_eq!(found, [Outcome::Refused(refusal)]);
    assert_eq!(tally, Tally { refused: 1, ..Tally::default() });
    let line = [vec![b'0'; 9_999_999], b"4\n".to_vec()].concat();
    assert_eq!(pieces(&line, &cuts, &[], &ALL, false).0, [Outcome::Number(4)]);
    // A parser is as small at the end of such a line as at its beginning.
    assert!(size_of::<Parser>() < 256);
}

/// Parses the lines that begin in bytes `a..b` as [`Parser`] says to.
fn range(text: &[u8], a: usize, b: usize, step: usize, sink: &mut Collect) -> Tally {
    let owned = a == 0 || text[a - 1] == b'\n';
    let mut parser = if owned { Parser::new() } else { Parser::mid_line() };
    for from in (a..b).step_by(step) {
        parser.feed(&text[..b.min(from + step)], from, sink);
    }
    let mut at = b;
    while parser.is_inside_line() && at < text.len() {
        parser.feed(&text[..=at], at, sink);
        at += 1;
    }
    assert!(!parser.is_skipping() || parser.tally == Tally::default());
    parser.finish(sink)
}

/// The lines of all ranges together, as if they had been parsed at once.
fn ranges(text: &[u8], cuts: &[usize], step: usize) -> Results {
    let mut found = Vec::new();
    let mut sum = Tally::default();
    let mut a = 0;
    for &b in cuts.iter().chain([&text.len()]) {
        let mut sink = Collect::new(&ALL);
        let tally = range(text, a, b, step, &mut sink);
        for mut outcome in sink.found {
            if let Outcome::Refused(refusal) = &mut outcome {
                refusal.line += sum.lines();
                refusal.offset += to_u64(a);
            }
            found.push(outcome);
        }
        sum.numbers += tally.numbers;
        sum.refused += tally.refused;
        sum.blank_lines += tally.blank_lines;
        a = b;
    }
    (found, sum)
}

#[test]
fn a_skipped_line_is_nobodys_in_this_range() {
    let text = b"1234567\n8\n";
    let mut sink = Collect::new(&ALL);
    let mut parser = Parser::mid_line();
    parser.feed(&text[..6], 2, &mut sink);
    assert!(parser.is_skipping() && !parser.is_inside_line());
    assert_eq!(parser.clone().finish(&mut sink), Tally::default());
    parser.feed(&text[..9], 6, &mut sink);
    assert!(!parser.is_skipping() && parser.is_inside_line());
    assert_eq!(parser.finish(&mut sink).numbers, 1);
    assert_eq!(sink.found, [Outcome::Number(8)]);
}

const LIKELY: &[u8] = b"0123456789\n\n\n\r -+x\0";
const ODD: &[&str] = &["\n", "\n", "\r\n", "\r", " ", "\t", "-", "+", "\0", "x", "."];

/// Text made of words that make lines likely to be valid, nearly valid, and cut by windows.
fn text(words: usize) -> impl Strategy<Value = Vec<u8>> {
    let word = prop_oneof![
        8 => (0_u32..20_000).prop_map(|value| format!("{value}\n")),
        2 => any::<i64>().prop_map(|value| format!("{value}\n")),
        2 => any::<i32>().prop_map(|value| format!("{value}\r\n")),
        1 => any::<u128>().prop_map(|value| format!("{value}\n")),
        4 => (0_usize..12, 0_u32..200).prop_map(|(zeros, value)| format!("{value:0zeros$}")),
        6 => prop::sample::select(ODD).prop_map(str::to_owned),
    ];
    prop::collection::vec(word, 0..words).prop_map(|words| words.concat().into_bytes())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_text_with_any_cuts(
        text in text(1500),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..5),
        front in prop::collection::vec(prop::sample::select(&b"0123456789\n-\r"[..]), 0..70),
        limit in 0_i64..200_000,
    ) {
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(text.len() + 1)).collect();
        cuts.sort_unstable();
        check(&text, &cuts, &front, &(-limit..=limit));
    }

    #[test]
    fn any_bytes(
        text in prop::collection::vec(prop::sample::select(LIKELY), 0..5000),
    ) {
        check(&text, &[], &[], &ALL);
    }

    #[test]
    fn any_i64(values in prop::collection::vec(any::<i64>(), 0..500)) {
        let lines: Vec<String> = values.iter().map(|value| format!("{value}\n")).collect();
        let text = lines.concat();
        let (found, tally) = pieces(text.as_bytes(), &[], &[], &ALL, false);
        let values: Vec<Outcome> = values.into_iter().map(Outcome::Number).collect();
        prop_assert_eq!(tally.lines(), to_u64(values.len()));
        prop_assert_eq!(found, values);
    }

    #[test]
    fn every_cut_of_a_text(text in text(30)) {
        for cut in 0..=text.len() {
            check(&text, &[cut], &[], &ALL);
        }
        let everywhere: Vec<usize> = (0..text.len()).collect();
        check(&text, &everywhere, &[], &ALL);
    }

    #[test]
    fn any_ranges_make_the_whole(text in text(14), step in 1_usize..40) {
        let whole = expected(&text, &ALL);
        for first in 0..=text.len() {
            for second in first..=text.len() {
                let parts = ranges(&text, &[first, second], step);
                prop_assert_eq!(&parts, &whole, "cut at {} and {}", first, second);
            }
        }
    }

    #[test]
    fn any_large_ranges_make_the_whole(
        text in text(3000),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 1..9),
        step in 1_u64..9000,
    ) {
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(text.len() + 1)).collect();
        cuts.sort_unstable();
        prop_assert_eq!(ranges(&text, &cuts, to_usize(step)), expected(&text, &ALL));
    }
}
