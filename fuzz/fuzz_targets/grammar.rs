//! Any text, cut anywhere, on both versions of the inner loops, against the reference.
//!
//! The first bytes of the input say how to cut and pad; the rest, repeated to reach beyond one
//! window, is the text.
#![no_main]

use libfuzzer_sys::fuzz_target;
use dcomp::counter_sort::grammar::reference::{Outcome, outcomes};
use dcomp::counter_sort::grammar::{Parser, Refusal, Sink};
use std::ops::RangeInclusive;

const LIMITS: RangeInclusive<i64> = -1_000_000_000_000..=1_000_000_000_000;

#[derive(Default)]
struct Collect(Vec<Outcome>);

impl Sink for Collect {
    fn number(&mut self, value: i64) -> bool {
        let inside = LIMITS.contains(&value);
        if inside {
            self.0.push(Outcome::Number(value));
        }
        inside
    }
    fn refuse(&mut self, refusal: Refusal) {
        self.0.push(Outcome::Refused(refusal));
    }
}

fuzz_target!(|input: &[u8]| {
    let Some((&[repeat, front, cut, second], text)) = input.split_first_chunk() else { return };
    let text = text.repeat(1 + usize::from(repeat));
    let mut want = outcomes(&text, &LIMITS);
    let lines = want.len();
    want.retain(|outcome| *outcome != Outcome::Blank);
    // Pieces of two lengths in turn, each in a buffer of its own behind garbage.
    let steps = [1 + usize::from(cut) * 16, 1 + usize::from(second)];
    for parser in [Parser::new(), Parser::new().portable()] {
        let mut parser = parser;
        let mut sink = Collect::default();
        let mut rest = &text[..];
        for step in steps.iter().cycle() {
            let (piece, behind) = rest.split_at(rest.len().min(*step));
            let front = vec![b"9\n-\r"[usize::from(front % 4)]; usize::from(front / 4)];
            parser.feed(&[&front, piece].concat(), front.len(), &mut sink);
            rest = behind;
            if rest.is_empty() {
                break;
            }
        }
        let tally = parser.finish(&mut sink);
        assert_eq!(sink.0, want);
        assert_eq!(tally.lines(), lines as u64);
    }
});
