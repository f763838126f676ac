//! What a line of an input file may be, and the parser that turns text into numbers.
//!
//! A line is `blanks* [sign] digits+ blanks*` and ends with LF, with CR LF, or with the file (a CR
//! may stand before that, too). Blanks are space and tab, a sign is `+` or `-`, leading zeros are
//! allowed in any number, and the value must fit an `i64`. A line of blanks only is counted as such
//! and is no error. Everything else is refused with a reason, a position and the line's beginning.
//!
//! The text comes in pieces of any size, cut anywhere; the results do not depend on the cuts. Lines
//! of 1 to 8 digits take a vector path, 2 kB of text at a time; lines of up to 19 digits with or
//! without sign and carriage return take a second one; the rest goes through a state machine byte
//! by byte. So unusual text is parsed right but slowly, and each [`Parser::feed`] has a fixed cost
//! of a few hundred nanoseconds for its scratch memory: feed 64 kB and more where there is as much.

mod digits;
mod line;
mod mask;
pub mod reference;
#[cfg(test)]
mod tests;

use crate::num::to_u64;
use line::{Pending, Reading};
use mask::{AHEAD, CHUNK, Found, HISTORY, IRREGULAR, Kernel, Window};

/// Bytes of a refused line that are kept for the message.
const PIECE: usize = 40;

/// Why a line is not counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Why {
    /// The line does not follow the grammar.
    NotANumber,
    /// A number, but not one that 64 bits with sign hold.
    TooLarge,
    /// A number that the sink does not take.
    OutOfLimits,
}

impl Why {
    /// The reason in words.
    pub fn text(self) -> &'static str {
        match self {
            Self::NotANumber => "not an integer",
            Self::TooLarge => "does not fit a 64-bit signed integer",
            Self::OutOfLimits => "outside the limits",
        }
    }
}

/// A line that is not counted, and where it stands.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Refusal {
    /// Its number, from 1, among the lines of this parser; a skipped partial line does not count.
    pub line: u64,
    /// Its first byte, counted from the first byte fed, skipped ones included.
    pub offset: u64,
    /// What is wrong.
    pub why: Why,
    /// Its first 40 bytes at most, without the line's end.
    pub piece: Vec<u8>,
}

/// Where the results go, in the order of the text.
pub trait Sink {
    /// Takes a number. `false` says that it is outside the limits; [`Sink::refuse`] follows then.
    fn number(&mut self, value: i64) -> bool;
    /// Takes a line that is not counted.
    fn refuse(&mut self, refusal: Refusal);
}

/// How many lines were what.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Numbers that the sink took.
    pub numbers: u64,
    /// Lines refused for whatever reason.
    pub refused: u64,
    /// Lines of blanks only.
    pub blank_lines: u64,
}

impl Tally {
    /// All lines.
    pub fn lines(&self) -> u64 {
        self.numbers + self.refused + self.blank_lines
    }
}

/// Parses a text that comes in pieces.
///
/// To parse bytes `a..b` of a file so that each line is parsed by the range that holds its first
/// byte: start with [`Parser::mid_line`] if `a > 0` and byte `a - 1` is not a line feed, else with
/// [`Parser::new`]; feed up to `b`; then, while [`Parser::is_inside_line`], feed what follows, up
/// to and including the next line feed; then call [`Parser::finish`].
#[derive(Clone)]
pub struct Parser {
    kernel: Kernel,
    skipping: bool,
    /// Bytes fed before the buffer at hand.
    fed: u64,
    /// The line that the last buffer left unfinished, and where it began.
    pending: Pending,
    pending_offset: u64,
    tally: Tally,
}

impl Default for Parser {
    fn default() -> Self {
        Self::new()
    }
}

impl Parser {
    /// A parser for text that starts with a line's first byte.
    pub fn new() -> Self {
        Self {
            kernel: Kernel::best(),
            skipping: false,
            fed: 0,
            pending: Pending::new(),
            pending_offset: 0,
            tally: Tally::default(),
        }
    }

    /// A parser for text that starts inside a line, which belongs to somebody else: everything up
    /// to and including the first line feed is passed over.
    pub fn mid_line() -> Self {
        Self { skipping: true, ..Self::new() }
    }

    /// The same parser without vector instructions, for tests and for measuring what they bring.
    #[must_use]
    pub fn portable(self) -> Self {
        Self { kernel: Kernel::Portable, ..self }
    }

    /// A line of this parser's own has begun and not ended: to complete it, feed on up to the next
    /// line feed. `false` while [`Parser::is_skipping`], because then no line has begun: a caller
    /// that fed on would take the line after, which belongs to the next range.
    pub fn is_inside_line(&self) -> bool {
        !self.pending.is_empty()
    }

    /// No line feed has been seen yet since [`Parser::mid_line`].
    pub fn is_skipping(&self) -> bool {
        self.skipping
    }

    /// Takes the next piece of text, `buffer[from..]`.
    ///
    /// The bytes before `from` may hold anything and never change a result. With 32 or more of them
    /// the first 2 kB are parsed in place, otherwise from a copy.
    ///
    /// # Panics
    /// When `from` is beyond the buffer.
    pub fn feed<S: Sink>(&mut self, buffer: &[u8], from: usize, sink: &mut S) {
        let text = &buffer[from..];
        let mut rest = from;
        if self.skipping || self.is_inside_line() {
            let feed = text.iter().position(|&byte| byte == b'\n');
            let end = feed.unwrap_or(text.len());
            if !self.skipping {
                self.pending.push(&text[..end]);
            }
            rest += end;
            if feed.is_some() {
                rest += 1;
                if !self.skipping {
                    self.settle(sink);
                }
                self.skipping = false;
            }
        }
        let rest = self.whole_lines(buffer, from, rest, sink);
        if rest < buffer.len() {
            self.pending_offset = self.fed + to_u64(rest - from);
            self.pending.push(&buffer[rest..]);
        }
        self.fed += to_u64(text.len());
    }

    /// Ends the text. A last line without a line feed counts when it has a byte.
    pub fn finish<S: Sink>(mut self, sink: &mut S) -> Tally {
        if self.is_inside_line() {
            self.settle(sink);
        }
        self.tally
    }

    /// Ends the pending line.
    fn settle<S: Sink>(&mut self, sink: &mut S) {
        let verdict = match self.pending.end() {
            Reading::Blank => {
                self.tally.blank_lines += 1;
                None
            }
            Reading::Number(value) if sink.number(value) => {
                self.tally.numbers += 1;
                None
            }
            Reading::Number(_) => Some(Why::OutOfLimits),
            Reading::Refused(why) => Some(why),
        };
        if let Some(why) = verdict {
            let line = self.tally.lines() + 1;
            let piece = self.pending.piece();
            self.tally.refused += 1;
            sink.refuse(Refusal { line, offset: self.pending_offset, why, piece });
        }
        self.pending = Pending::new();
    }

    /// Parses the lines that begin at `start` or later and end in `buffer`. Returns where the line
    /// begins that does not end there.
    fn whole_lines<S: Sink>(
        &mut self,
        buffer: &[u8],
        from: usize,
        mut start: usize,
        sink: &mut S,
    ) -> usize {
        if start == buffer.len() {
            return start;
        }
        let mut found = Found::new();
        let mut copy = [0; HISTORY + CHUNK];
        let mut base = start;
        while base < buffer.len() {
            let length = CHUNK.min(buffer.len() - base);
            let window = in_place(buffer, base).unwrap_or_else(|| {
                copy_of(buffer, base, length, &mut copy);
                &copy
            });
            // The feed before the open line; 0 for all that are too far back to be a place.
            let previous = (AHEAD + start).saturating_sub(base + 1);
            self.kernel.run(window, length, u16::try_from(previous).unwrap_or(0), &mut found);
            let chunk = Chunk { buffer, window, base, start, offset: self.fed, from };
            self.deliver(&chunk, &found, sink);
            if found.count > 0 {
                start = chunk.behind(&found, found.count);
            }
            base += length;
        }
        start
    }

    /// Hands the lines of a window to the sink.
    #[inline]
    fn deliver<S: Sink>(&mut self, chunk: &Chunk<'_>, found: &Found, sink: &mut S) {
        let before = self.tally;
        let values = &found.values[..found.count];
        let mut index = 0;
        // The regular numbers go to the sink in a loop without calls, so that its sums can stay in
        // registers: a third faster into counters, twice as fast into a sum. Lines that break the
        // run pay a tenth for it. Accepted numbers are not counted one by one; they are what the
        // other counters leave over.
        while let Some(run) = values[index..]
            .iter()
            .position(|&value| value == IRREGULAR || !sink.number(i64::from(value)))
        {
            index += run;
            let verdict = if values[index] == IRREGULAR {
                self.irregular(chunk, found, index, sink)
            } else {
                Some(Why::OutOfLimits)
            };
            if let Some(why) = verdict {
                self.tally.refused += 1;
                let line = before.lines() + to_u64(index) + 1;
                sink.refuse(chunk.refusal(found, index, line, why));
            }
            index += 1;
        }
        let others = self.tally.refused + self.tally.blank_lines;
        self.tally.numbers = before.lines() + to_u64(found.count) - others;
    }

    /// Handles a line that is not 1 to 8 digits; says why if it is to be refused.
    fn irregular<S: Sink>(
        &mut self,
        chunk: &Chunk<'_>,
        found: &Found,
        index: usize,
        sink: &mut S,
    ) -> Option<Why> {
        let place = found.place(index + 1);
        let length = place - found.place(index) - 1;
        let reading = digits::medium(chunk.window, place, length).map_or_else(
            || {
                let mut line = Pending::new();
                line.push(chunk.line(found, index));
                line.end()
            },
            Reading::Number,
        );
        match reading {
            Reading::Number(value) if sink.number(value) => None,
            Reading::Number(_) => Some(Why::OutOfLimits),
            Reading::Refused(why) => Some(why),
            Reading::Blank => {
                self.tally.blank_lines += 1;
                None
            }
        }
    }
}

/// A window and where it lies in the text.
struct Chunk<'a> {
    /// What was fed, with the bytes before.
    buffer: &'a [u8],
    window: &'a Window,
    /// Where the window's text begins in the buffer.
    base: usize,
    /// Where the first line begins that ends in the window or behind it.
    start: usize,
    /// Bytes fed before this buffer.
    offset: u64,
    /// Where the fed bytes begin in the buffer.
    from: usize,
}

impl Chunk<'_> {
    /// The position in the buffer behind line feed `number` of the window, from 1; 0 stands for the
    /// one before the open line.
    fn behind(&self, found: &Found, number: usize) -> usize {
        if number == 0 {
            return self.start;
        }
        self.base + found.place(number) + 1 - AHEAD
    }

    /// Line `index` without its line feed.
    fn line(&self, found: &Found, index: usize) -> &[u8] {
        &self.buffer[self.behind(found, index)..self.behind(found, index + 1) - 1]
    }

    fn refusal(&self, found: &Found, index: usize, line: u64, why: Why) -> Refusal {
        let text = self.line(found, index);
        let text = text.strip_suffix(b"\r").unwrap_or(text);
        let offset = self.offset + to_u64(self.behind(found, index) - self.from);
        Refusal { line, offset, why, piece: text.iter().copied().take(PIECE).collect() }
    }
}

/// The window at `base`, if the buffer has all of its bytes.
fn in_place(buffer: &[u8], base: usize) -> Option<&Window> {
    buffer.get(base.checked_sub(HISTORY)?..)?.first_chunk()
}

/// Copies what the buffer has of the window at `base`, whose text is `length` bytes.
fn copy_of(buffer: &[u8], base: usize, length: usize, copy: &mut Window) {
    let history = HISTORY.min(base);
    copy[HISTORY - history..HISTORY + length]
        .copy_from_slice(&buffer[base - history..base + length]);
    // No line feed may follow; a window that was copied before may have left some.
    copy[HISTORY + length..].fill(0);
}

/// Parses a whole file in memory, `buffer[from..]`.
///
/// # Panics
/// When `from` is beyond the buffer.
pub fn parse_file<S: Sink>(buffer: &[u8], from: usize, sink: &mut S) -> Tally {
    let mut parser = Parser::new();
    parser.feed(buffer, from, sink);
    parser.finish(sink)
}
