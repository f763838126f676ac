//! The sorted file as a pure function of (value, count) pairs: any byte range of it can be produced
//! by anybody who holds the pairs and knows at which byte they start.
//!
//! Nothing is stored per copy and nothing depends on who writes what, so ranges can be cut for
//! the file system's sake (stripes, pages) instead of at number boundaries. The price is that
//! finding a range walks the pairs before it; [`parts`] walks them once for all writers of regions.

use crate::num::{to_u64, to_usize};
use std::ops::Range;

/// How a value is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// Decimal digits, with `-` if negative, and a line feed.
    Text,
    /// Eight bytes, little-endian, two's complement.
    I64,
}

impl Form {
    /// Bytes of one copy.
    #[inline]
    pub fn len(self, value: i64) -> u64 {
        match self {
            Self::Text => {
                let digits = value.unsigned_abs().checked_ilog10().map_or(1, |log| log + 1);
                u64::from(digits) + u64::from(value < 0) + 1
            }
            Self::I64 => 8,
        }
    }
}

/// A value and how often it occurs: sixteen bytes that travel as they lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq, bytemuck::Pod, bytemuck::Zeroable)]
#[repr(C)]
pub struct Entry {
    /// The value.
    pub value: i64,
    /// How often it occurs.
    pub count: u64,
}

impl Entry {
    /// Bytes of all copies; `None` beyond `u64`.
    #[inline]
    pub fn bytes(self, form: Form) -> Option<u64> {
        form.len(self.value).checked_mul(self.count)
    }
}

/// Bytes of the file that these entries make; `None` beyond `u64`, which no file system holds.
pub fn total_bytes(form: Form, mut entries: impl Iterator<Item = Entry>) -> Option<u64> {
    entries.try_fold(0_u64, |sum, entry| sum.checked_add(entry.bytes(form)?))
}

/// Entries whose first copy starts at byte `start` of the file. They may lie in several places, so
/// that nobody has to copy them together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slab<'a> {
    /// Where in the file the first copy of the first entry starts.
    pub start: u64,
    /// Ascending by value, one run after the other.
    pub runs: Vec<&'a [Entry]>,
}

impl Slab<'_> {
    /// The byte after the slab's last; `None` beyond `u64`.
    pub fn end(&self, form: Form) -> Option<u64> {
        let entries = self.runs.iter().copied().flatten().copied();
        self.start.checked_add(total_bytes(form, entries)?)
    }
}

/// Which of some entries a byte range needs: those that overlap it, each whole however many copies
/// it stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// Where in the file the first copy of the first of them starts; without any, where the range
    /// does.
    pub start: u64,
    /// Which ones.
    pub entries: Range<usize>,
}

/// The parts of entries, whose first copy starts at byte `start`, that byte ranges need. The ranges
/// ascend without overlap and may leave what the entries cover; an empty one needs nothing.
pub fn parts(form: Form, start: u64, entries: &[Entry], ranges: &[Range<u64>]) -> Vec<Part> {
    let (mut at, mut index) = (start, 0);
    let cut = |range: &Range<u64>| {
        let nothing = Part { start: range.start, entries: index..index };
        if range.is_empty() {
            return nothing;
        }
        while let Some(&entry) = entries.get(index) {
            let end = end_of(form, at, entry);
            if end > range.start && end > at {
                break;
            }
            (at, index) = (end, index + 1);
        }
        let (start, first, mut next) = (at, index, at);
        // The last entry of a range may be the first of the next one.
        let mut until = index;
        while next < range.end && until < entries.len() {
            (at, index) = (next, until);
            next = end_of(form, next, entries[until]);
            until += 1;
        }
        if until > first { Part { start, entries: first..until } } else { nothing }
    };
    ranges.iter().map(cut).collect()
}

/// Calls `write(offset, bytes)` with consecutive pieces of at most `piece` bytes that together are
/// exactly the bytes of the file in `range`, which may begin and end inside a number. Every piece
/// but the last is `piece` bytes long.
///
/// # Errors
/// The first error of `write`, after which nothing more is written.
///
/// # Panics
/// When `piece` is 0 or the range leaves the slab. An end beyond the slab is noticed when the
/// entries are used up, as looking first would walk all of them twice.
pub fn emit<E>(
    form: Form,
    slab: &Slab,
    range: Range<u64>,
    piece: usize,
    write: impl FnMut(u64, &[u8]) -> Result<(), E>,
) -> Result<(), E> {
    if range.is_empty() {
        return Ok(());
    }
    assert!(slab.start <= range.start, "a range within the slab");
    let mut at = slab.start;
    let mut out = Pieces::new(range.start, piece, write);
    for &entry in slab.runs.iter().copied().flatten() {
        if at >= range.end {
            break;
        }
        let end = end_of(form, at, entry);
        if end > range.start {
            let unit = Unit::new(form, entry.value);
            if at >= range.start && end <= range.end {
                out.copies(&unit, entry.count)?;
            } else {
                out.cut(&unit, at.max(range.start) - at, end.min(range.end) - at)?;
            }
        }
        at = end;
    }
    assert!(at >= range.end, "a range within the slab");
    out.finish()
}

#[inline]
fn end_of(form: Form, at: u64, entry: Entry) -> u64 {
    let end = entry.bytes(form).and_then(|bytes| at.checked_add(bytes));
    end.expect("a file of less than 2^64 bytes, as total_bytes has shown")
}

/// Room for one copy, and how many bytes a copy always moves: a fixed number compiles to two
/// register moves where the true length would call memcpy.
const UNIT: usize = 24;

/// The pairs of digits, for two digits per division.
const PAIRS: [[u8; 2]; 100] = {
    let mut pairs = [[b'0'; 2]; 100];
    let (mut tens, mut ones) = (0, 0);
    let mut index = 0;
    while index < pairs.len() {
        pairs[index] = [b'0' + tens, b'0' + ones];
        ones += 1;
        if ones == 10 {
            (tens, ones) = (tens + 1, 0);
        }
        index += 1;
    }
    pairs
};

/// One copy of a value; what follows its `len` bytes has no meaning.
struct Unit {
    bytes: [u8; UNIT],
    len: usize,
}

impl Unit {
    #[inline]
    fn new(form: Form, value: i64) -> Self {
        match form {
            Form::Text => Self::text(value),
            Form::I64 => {
                let mut bytes = [0; UNIT];
                bytes[..8].copy_from_slice(&value.to_le_bytes());
                Self { bytes, len: 8 }
            }
        }
    }

    #[inline]
    fn text(value: i64) -> Self {
        // The digits come from the last to the first, so they are written towards the front and
        // end at a fixed place; the space behind lets the copy always take UNIT bytes.
        const LINE_FEED: usize = 20;
        let mut space = [b'\n'; LINE_FEED + UNIT];
        let mut at = LINE_FEED;
        let mut rest = value.unsigned_abs();
        while rest >= 100 {
            at -= 2;
            space[at..at + 2].copy_from_slice(&PAIRS[to_usize(rest % 100)]);
            rest /= 100;
        }
        if rest >= 10 {
            at -= 2;
            space[at..at + 2].copy_from_slice(&PAIRS[to_usize(rest)]);
        } else {
            at -= 1;
            space[at] = PAIRS[to_usize(rest)][1];
        }
        if value < 0 {
            at -= 1;
            space[at] = b'-';
        }
        let mut bytes = [0; UNIT];
        bytes.copy_from_slice(&space[at..at + UNIT]);
        Self { bytes, len: LINE_FEED + 1 - at }
    }
}

/// How many bytes a doubling copies at most: source and target then stay in the nearest cache.
const CHUNK: usize = 8 << 10;

/// Copies up to this many bytes are written one by one.
const FEW: u64 = 256;

/// Collects bytes and hands them out in pieces.
struct Pieces<W> {
    buffer: Vec<u8>,
    fill: usize,
    piece: usize,
    offset: u64,
    write: W,
}

impl<E, W: FnMut(u64, &[u8]) -> Result<(), E>> Pieces<W> {
    fn new(offset: u64, piece: usize, write: W) -> Self {
        assert!(piece > 0, "pieces of at least one byte");
        // A unit is put down as soon as a piece is not full, and always as UNIT bytes.
        Self { buffer: vec![0; piece + UNIT], fill: 0, piece, offset, write }
    }

    /// Whole copies.
    #[inline]
    fn copies(&mut self, unit: &Unit, count: u64) -> Result<(), E> {
        let bytes = count * to_u64(unit.len);
        if bytes > FEW {
            return self.many(unit, bytes);
        }
        for _ in 0..count {
            self.buffer[self.fill..self.fill + UNIT].copy_from_slice(&unit.bytes);
            self.fill += unit.len;
            if self.fill >= self.piece {
                self.flush()?;
            }
        }
        Ok(())
    }

    /// The bytes `from..to` of endless copies.
    fn cut(&mut self, unit: &Unit, from: u64, to: u64) -> Result<(), E> {
        let len = to_u64(unit.len);
        let head = from.next_multiple_of(len).min(to);
        self.bytes(unit, from % len, head - from)?;
        let copies = (to - head) / len;
        self.copies(unit, copies)?;
        self.bytes(unit, 0, to - head - copies * len)
    }

    /// `len` bytes of one copy, from its byte `from` on.
    fn bytes(&mut self, unit: &Unit, from: u64, len: u64) -> Result<(), E> {
        let (from, len) = (to_usize(from), to_usize(len));
        self.buffer[self.fill..self.fill + len].copy_from_slice(&unit.bytes[from..from + len]);
        self.fill += len;
        if self.fill >= self.piece { self.flush() } else { Ok(()) }
    }

    /// So many bytes of copies that filling pays.
    fn many(&mut self, unit: &Unit, bytes: u64) -> Result<(), E> {
        let (mut left, mut phase) = (bytes, 0);
        while left > 0 {
            let room = self.piece - self.fill;
            if self.fill == 0 && left / 2 >= to_u64(self.piece) {
                // All pieces are one pattern that is longer by one copy, seen through a window
                // that slides over it: nothing is copied per piece.
                let pattern = &mut self.buffer[..self.piece + unit.len];
                fill(pattern, unit, phase);
                let mut shift = 0;
                while left >= to_u64(self.piece) {
                    (self.write)(self.offset, &self.buffer[shift..shift + self.piece])?;
                    self.offset += to_u64(self.piece);
                    left -= to_u64(self.piece);
                    shift = (shift + self.piece) % unit.len;
                }
                phase = (phase + shift) % unit.len;
            } else {
                let len = left.min(to_u64(room));
                left -= len;
                let len = to_usize(len);
                fill(&mut self.buffer[self.fill..self.fill + len], unit, phase);
                phase = (phase + len) % unit.len;
                self.fill += len;
                if self.fill >= self.piece {
                    self.flush()?;
                }
            }
        }
        Ok(())
    }

    /// Hands out the full pieces and keeps the rest.
    fn flush(&mut self) -> Result<(), E> {
        let mut from = 0;
        while self.fill - from >= self.piece {
            (self.write)(self.offset, &self.buffer[from..from + self.piece])?;
            self.offset += to_u64(self.piece);
            from += self.piece;
        }
        self.buffer.copy_within(from..self.fill, 0);
        self.fill -= from;
        Ok(())
    }

    /// Hands out the last piece.
    fn finish(mut self) -> Result<(), E> {
        if self.fill > 0 { (self.write)(self.offset, &self.buffer[..self.fill]) } else { Ok(()) }
    }
}

/// Fills `target` with copies of a unit, the first one from its byte `phase` on.
fn fill(target: &mut [u8], unit: &Unit, phase: usize) {
    let first = unit.len.min(target.len());
    for (byte, index) in target[..first].iter_mut().zip((0..unit.len).cycle().skip(phase)) {
        *byte = unit.bytes[index];
    }
    // What is written is a whole number of copies until the last step, so that copying from the
    // front continues it.
    let most = CHUNK / unit.len * unit.len;
    let mut done = first;
    while done < target.len() {
        let len = done.min(most).min(target.len() - done);
        target.copy_within(..len, done);
        done += len;
    }
}

#[cfg(test)]
mod tests;
