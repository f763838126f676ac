//! The grammar written down a second time, as simply as it goes, for the tests and the fuzzer.
//!
//! It wants the whole text in memory, allocates per line and is many times slower than the parser.
//! In exchange it shares no code with it: where the two differ, one of them is wrong.

use super::{PIECE, Refusal, Why};
use crate::num::to_u64;
use std::ops::RangeInclusive;

/// What became of one line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// An accepted number.
    Number(i64),
    /// A line of blanks only.
    Blank,
    /// A refused line.
    Refused(Refusal),
}

/// All lines of `text` in order; numbers outside `limits` are refused as such.
pub fn outcomes(text: &[u8], limits: &RangeInclusive<i64>) -> Vec<Outcome> {
    let mut found = Vec::new();
    let mut offset = 0;
    for (index, line) in text.split_inclusive(|&byte| byte == b'\n').enumerate() {
        let body = line.strip_suffix(b"\n").unwrap_or(line);
        let body = body.strip_suffix(b"\r").unwrap_or(body);
        let refused = |why| {
            Outcome::Refused(Refusal {
                line: to_u64(index) + 1,
                offset,
                why,
                piece: body.iter().copied().take(PIECE).collect(),
            })
        };
        found.push(match value(body) {
            Ok(None) => Outcome::Blank,
            Ok(Some(value)) if limits.contains(&value) => Outcome::Number(value),
            Ok(Some(_)) => refused(Why::OutOfLimits),
            Err(why) => refused(why),
        });
        offset += to_u64(line.len());
    }
    found
}

/// The number in a line without its end; `None` for a blank line.
fn value(body: &[u8]) -> Result<Option<i64>, Why> {
    let text = str::from_utf8(body).map_err(|_| Why::NotANumber)?;
    let text = text.trim_matches([' ', '\t']);
    if text.is_empty() {
        return Ok(None);
    }
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    if digits.is_empty() || !digits.chars().all(|digit| digit.is_ascii_digit()) {
        return Err(Why::NotANumber);
    }
    let digits = digits.trim_start_matches('0');
    if digits.is_empty() {
        return Ok(Some(0));
    }
    // More digits than an i128 holds are beyond an i64 as well, so a failed parse says the same.
    let magnitude: i128 = digits.parse().map_err(|_| Why::TooLarge)?;
    let value = if text.starts_with('-') { -magnitude } else { magnitude };
    i64::try_from(value).map(Some).map_err(|_| Why::TooLarge)
}
