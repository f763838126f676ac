//! Planted faults: lines that a reader must refuse, must accept though they look odd, or must
//! pass over.
//!
//! Whether a line is struck and by what are two more random streams, so a clean and a dirty data
//! set of one seed have the same value on every other line. That costs one more draw a line, and
//! none when the rate is 0. A fault takes the place of its line's number and adds no line: the
//! line numbers of a dirty file are those of the clean one.

use crate::generate::random::{Stream, TWO_53};
use crate::num::{to_f64, to_u64, to_usize};
use std::fmt;

/// What a right reader does with a line. Its grammar: `blanks* [+-]? digits+ blanks*`, then LF,
/// CRLF or the end of the file, blanks being space and tab, the number within `i64`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is a number, and its value is the one generated.
    Accepted,
    /// It is not a number; the reader says so.
    Refused,
    /// Nothing stands on it.
    Ignored,
}

/// One planted fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Planted {
    /// File, from 0.
    pub file: u64,
    /// Line in the file, from 1.
    pub line: u64,
    /// What stands there.
    pub kind: Kind,
}

/// The kinds of planted faults.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `12a4`
    Letters,
    /// `12 34`
    TwoNumbers,
    /// `1.5`
    Decimal,
    /// `-`
    LoneSign,
    /// A NUL byte between digits.
    Nul,
    /// `9223372036854775808`, one more than `i64` holds.
    PastMax,
    /// `-9223372036854775809`, one less than `i64` holds.
    PastMin,
    /// Thirty digits: past `i64` and `u64`.
    ThirtyDigits,
    /// A UTF-8 byte order mark before the number.
    Bom,
    /// A carriage return between digits.
    StrayCr,
    /// `0x1F`
    Hex,
    /// A byte that UTF-8 does not have.
    InvalidUtf8,
    /// `1,000`
    Thousands,
    /// `007`
    LeadingZeros,
    /// Blanks before the number.
    LeadingBlanks,
    /// A space and a tab after the number.
    TrailingBlanks,
    /// `+7`; never on a negative value.
    PlusSign,
    /// The line ends in CRLF.
    Crlf,
    /// The line ends with the file; only on a file's last line.
    NoNewline,
    /// Nothing but the line end.
    Empty,
    /// Nothing but blanks.
    Blanks,
}

/// How a kind is written.
enum Form {
    /// The number, with bytes before its sign, before its digits and after them.
    Around(&'static [u8], &'static [u8], &'static [u8]),
    /// These bytes in place of the number.
    Instead(&'static [u8]),
}

impl Kind {
    /// All of them. The order is part of the data sets: a new kind changes every dirty one.
    pub const ALL: [Self; 21] = [
        Self::Letters,
        Self::TwoNumbers,
        Self::Decimal,
        Self::LoneSign,
        Self::Nul,
        Self::PastMax,
        Self::PastMin,
        Self::ThirtyDigits,
        Self::Bom,
        Self::StrayCr,
        Self::Hex,
        Self::InvalidUtf8,
        Self::Thousands,
        Self::LeadingZeros,
        Self::LeadingBlanks,
        Self::TrailingBlanks,
        Self::PlusSign,
        Self::Crlf,
        Self::NoNewline,
        Self::Empty,
        Self::Blanks,
    ];

    /// Everything about a kind in one row: its name, what a right reader does, how it is written.
    fn row(self) -> (&'static str, Verdict, Form) {
        use Form::{Around, Instead};
        use Verdict::{Accepted, Ignored, Refused};
        match self {
            Self::Letters => ("letters", Refused, Around(b"", b"", b"a4")),
            Self::TwoNumbers => ("two-numbers", Refused, Around(b"", b"", b" 34")),
            Self::Decimal => ("decimal", Refused, Around(b"", b"", b".5")),
            Self::LoneSign => ("lone-sign", Refused, Instead(b"-")),
            Self::Nul => ("nul", Refused, Around(b"", b"", b"\x004")),
            Self::PastMax => ("past-max", Refused, Instead(b"9223372036854775808")),
            Self::PastMin => ("past-min", Refused, Instead(b"-9223372036854775809")),
            Self::ThirtyDigits => {
                ("thirty-digits", Refused, Instead(b"123456789012345678901234567890"))
            }
            Self::Bom => ("bom", Refused, Around(b"\xEF\xBB\xBF", b"", b"")),
            Self::StrayCr => ("stray-cr", Refused, Around(b"", b"", b"\r4")),
            Self::Hex => ("hex", Refused, Around(b"", b"0x", b"")),
            Self::InvalidUtf8 => ("invalid-utf8", Refused, Around(b"", b"", b"\xFF4")),
            Self::Thousands => ("thousands", Refused, Around(b"", b"", b",000")),
            Self::LeadingZeros => ("leading-zeros", Accepted, Around(b"", b"00", b"")),
            Self::LeadingBlanks => ("leading-blanks", Accepted, Around(b" \t ", b"", b"")),
            Self::TrailingBlanks => ("trailing-blanks", Accepted, Around(b"", b"", b" \t")),
            Self::PlusSign => ("plus-sign", Accepted, Around(b"+", b"", b"")),
            Self::Crlf => ("crlf", Accepted, Around(b"", b"", b"\r")),
            Self::NoNewline => ("no-newline", Accepted, Around(b"", b"", b"")),
            Self::Empty => ("empty", Ignored, Instead(b"")),
            Self::Blanks => ("blanks", Ignored, Instead(b" \t ")),
        }
    }

    /// What a right reader does with such a line.
    pub fn verdict(self) -> Verdict {
        self.row().1
    }

    /// Whether this kind can stand on a line with this value.
    fn fits(self, value: i64, last: bool) -> bool {
        match self {
            Self::PlusSign => value >= 0,
            Self::NoNewline => last,
            _ => true,
        }
    }

    /// Appends the line with its end.
    pub(super) fn write(self, value: i64, text: &mut Vec<u8>) {
        match self.row().2 {
            Form::Instead(bytes) => text.extend_from_slice(bytes),
            Form::Around(before, inside, after) => {
                text.extend_from_slice(before);
                if value < 0 {
                    text.push(b'-');
                }
                text.extend_from_slice(inside);
                text.extend_from_slice(itoa::Buffer::new().format(value.unsigned_abs()).as_bytes());
                text.extend_from_slice(after);
            }
        }
        if self != Self::NoNewline {
            text.push(b'\n');
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.row().0)
    }
}

/// Chooses the struck lines and their kinds.
#[derive(Debug)]
pub(super) struct Dirt {
    /// The rate times 2^53, which is exact: a 53-bit draw below it strikes.
    limit: f64,
    strike: Stream,
    kind: Stream,
}

impl Dirt {
    pub(super) fn new(rate: f64, strike: Stream, kind: Stream) -> Self {
        Self { limit: rate * TWO_53, strike, kind }
    }

    /// Whether line `index` is struck; costs no draw when the rate is 0.
    #[inline]
    pub(super) fn strikes(&self, index: u64) -> bool {
        self.limit > 0.0 && to_f64(self.strike.bits53(index)) < self.limit
    }

    /// What strikes it: each kind that fits equally often.
    pub(super) fn kind(&self, index: u64, value: i64, last: bool) -> Kind {
        let fitting = || Kind::ALL.into_iter().filter(|kind| kind.fits(value, last));
        let chosen = self.kind.below(index, to_u64(fitting().count()));
        fitting().nth(to_usize(chosen)).expect("below the count")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::generate::numbers::{Generator, NumbersSpec, Pattern};
    use std::collections::{BTreeMap, BTreeSet};

    fn spec(dirty: f64) -> NumbersSpec {
        let (files, per_file, min, max) = (100, 1_000, -10_000, 10_000);
        NumbersSpec { files, per_file, min, max, pattern: Pattern::Uniform, seed: 5, dirty }
    }

    fn planted(spec: NumbersSpec) -> Vec<Planted> {
        let (mut text, mut planted, files) = (Vec::new(), Vec::new(), spec.files);
        let generator = Generator::new(spec);
        for file in 0..files {
            generator.file(file, &mut text, &mut planted);
        }
        planted
    }

    fn line(kind: Kind, value: i64) -> Vec<u8> {
        let mut text = Vec::new();
        kind.write(value, &mut text);
        text
    }

    #[test]
    fn names_are_their_own() {
        let names: BTreeSet<_> = Kind::ALL.map(|kind| kind.to_string()).into();
        assert_eq!(names.len(), Kind::ALL.len());
        let verdicts = |v| Kind::ALL.into_iter().filter(|kind| kind.verdict() == v).count();
        assert_eq!(
            [Verdict::Refused, Verdict::Accepted, Verdict::Ignored].map(verdicts),
            [13, 6, 2]
        );
    }

    #[test]
    fn lines_look_as_they_are_said_to() {
        assert_eq!(line(Kind::Letters, 12), b"12a4\n");
        assert_eq!(line(Kind::Hex, -31), b"-0x31\n");
        assert_eq!(line(Kind::LeadingZeros, -7), b"-007\n");
        assert_eq!(line(Kind::LeadingZeros, i64::MIN), b"-009223372036854775808\n");
        assert_eq!(line(Kind::PlusSign, 7), b"+7\n");
        assert_eq!(line(Kind::Crlf, 7), b"7\r\n");
        assert_eq!(line(Kind::NoNewline, -7), b"-7");
        assert_eq!(line(Kind::PastMax, -7), b"9223372036854775808\n");
        assert_eq!(line(Kind::ThirtyDigits, 7).len(), 31);
        assert_eq!(line(Kind::Empty, 7), b"\n");
        assert!(std::str::from_utf8(&line(Kind::InvalidUtf8, 7)).is_err());
    }

    #[test]
    fn the_rate_holds() {
        assert!(planted(spec(0.0)).is_empty());
        assert!(planted(spec(-0.0)).is_empty());
        let every: Vec<_> = (0..100).flat_map(|f| (1..=1_000).map(move |l| (f, l))).collect();
        let found: Vec<_> = planted(spec(1.0)).iter().map(|p| (p.file, p.line)).collect();
        assert_eq!(found, every);
        // Five sigma of a binomial with n = 100,000 and p = 0.01 is 157.
        let found = planted(spec(0.01)).len();
        assert!(found.abs_diff(1_000) < 157, "{found}");
    }

    #[test]
    fn kinds_come_equally_often_and_only_where_they_fit() {
        let spec = spec(1.0);
        let generator = Generator::new(spec);
        let mut counts = BTreeMap::new();
        for Planted { file, line, kind } in planted(spec) {
            *counts.entry(kind.to_string()).or_insert(0_u64) += 1;
            assert!(kind != Kind::NoNewline || line == 1_000);
            assert!(kind != Kind::PlusSign || generator.value(file * 1_000 + line - 1) >= 0);
        }
        // 20 kinds fit on half of the lines and 19 on the other: 5,131 each, five sigma are 350.
        for (kind, count) in &counts {
            let expected = match kind.as_str() {
                "plus-sign" => 2_500,
                "no-newline" => 5,
                _ => 5_131,
            };
            assert!(count.abs_diff(expected) < 350, "{kind}: {count}");
        }
        assert_eq!(counts.len(), Kind::ALL.len());
        assert!(counts["no-newline"] < 20, "{counts:?}");
    }

    #[test]
    fn clean_lines_keep_their_values() {
        let text = |dirty| {
            let (mut text, mut planted) = (Vec::new(), Vec::new());
            Generator::new(spec(dirty)).file(3, &mut text, &mut planted);
            (text, planted)
        };
        let ((clean, _), (dirty, planted)) = (text(0.0), text(0.1));
        let struck: BTreeSet<_> = planted.iter().map(|planted| planted.line).collect();
        let lines = clean.split(|b| *b == b'\n').zip(dirty.split(|b| *b == b'\n'));
        for (number, (clean, dirty)) in (1..).zip(lines) {
            assert!(clean == dirty || struck.contains(&number), "line {number}");
        }
    }
}
