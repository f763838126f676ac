//! The sorted file, written by all ranks at equal byte ranges, and read back number by number.
//!
//! Any rank can make any byte of it from (value, count) pairs, so nothing but those pairs travels and
//! a range may begin inside a number. Text, 8-byte integers and HDF5 differ in how a number looks and
//! where the data begin.

use std::fs::File;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::Path;

use super::combine::Combined;
use super::emit::{Form, emit};
use super::grammar::{Parser, Refusal, Sink};
use super::histogram::mix;
use super::spec::OutputFormat;
use crate::context::Context;
use crate::error::{Error, Result};
use crate::measure::record::FileSum;
use crate::num::{to_u64, to_usize};
use crate::partition::aligned_block;
use crate::stop;
use crate::store;
use crate::store::columns_file::{Column, ColumnsFile};
use crate::store::crc::{self, Extent};
use crate::store::files::SLACK;
use crate::store::hdf5::Value;
use crate::store::part::{PartFile, Published};

/// Bytes made and written at a time: half of a second-level cache.
const PIECE: usize = 512 << 10;

/// The longest line of digits is shorter.
const LINE_MAX: u64 = 64;

/// A number looks like this in this format.
pub fn form(format: OutputFormat) -> Form {
    match format {
        OutputFormat::Text => Form::Text,
        OutputFormat::I64 | OutputFormat::Hdf5 => Form::I64,
    }
}

/// The sorted file while it is made.
pub struct SortedFile<'a> {
    context: &'a Context,
    file: Made<'a>,
    form: Form,
    /// Where the numbers begin, and how many bytes they are.
    data: Range<u64>,
}

enum Made<'a> {
    Plain(PartFile<'a>),
    Columns(ColumnsFile<'a>),
}

impl Made<'_> {
    fn part(&self) -> &PartFile<'_> {
        match self {
            Self::Plain(part) => part,
            Self::Columns(columns) => columns.part(),
        }
    }
}

/// What was found in a stretch of the file, read back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// Numbers.
    pub count: u64,
    /// As the histogram's.
    pub checksum: u64,
    /// The first and the last.
    pub ends: Option<(i64, i64)>,
    /// A number smaller than the one before it.
    pub unordered: u64,
    /// Lines that are no number.
    pub rubbish: u64,
}

impl Seen {
    #[inline]
    fn add(&mut self, value: i64) {
        let (first, last) = self.ends.unwrap_or((value, value));
        self.unordered += u64::from(value < last);
        self.ends = Some((first, value));
        self.count += 1;
        self.checksum = self.checksum.wrapping_add(mix(value));
    }

    /// With what follows.
    #[must_use]
    pub fn then(self, next: Self) -> Self {
        let (ends, falls) = match (self.ends, next.ends) {
            (Some((first, last)), Some((after, end))) => (Some((first, end)), after < last),
            (one, other) => (one.or(other), false),
        };
        Self {
            count: self.count + next.count,
            checksum: self.checksum.wrapping_add(next.checksum),
            ends,
            unordered: self.unordered + next.unordered + u64::from(falls),
            rubbish: self.rubbish + next.rubbish,
        }
    }
}

impl Sink for Seen {
    #[inline]
    fn number(&mut self, value: i64) -> bool {
        self.add(value);
        true
    }

    fn refuse(&mut self, _: Refusal) {
        self.rubbish += 1;
    }
}

impl<'a> SortedFile<'a> {
    /// Collective. Makes the file and reserves its size.
    ///
    /// # Errors
    /// When it cannot be made or the disk has no room.
    pub fn create(
        context: &'a Context,
        target: &Path,
        force: bool,
        format: OutputFormat,
        combined: &Combined,
    ) -> Result<Self> {
        let bytes = combined.total_bytes;
        let form = form(format);
        if format != OutputFormat::Hdf5 {
            let part = PartFile::create(context, target, force, |_| Ok(()))?;
            part.reserve(bytes)?;
            return Ok(Self { context, file: Made::Plain(part), form, data: 0..bytes });
        }
        let columns =
            [Column { name: "numbers", meaning: "sorted integers", signed: true, scales: false }];
        let texts = provenance("sorted integers");
        let file = ColumnsFile::create(context, target, force, bytes / 8, &columns, &texts)?;
        let start = file.offset(0);
        Ok(Self { context, file: Made::Columns(file), form, data: start..start + bytes })
    }

    /// Writes this rank's range with all its threads. Local; agree before the next collective.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn write(&self, combined: &Combined) -> Result<()> {
        let (start, form, slab) = (self.data.start, self.form, &combined.slab());
        let part = self.file.part();
        let writer = part.writer();
        let written = self.context.threads.map(&self.cuts(&combined.bytes()), |range| {
            let mut whole: Option<Extent> = None;
            emit(form, slab, range.clone(), PIECE, |offset, bytes| {
                unless_stopped()?;
                let extent = writer.write_at(start + offset, bytes)?;
                whole = Some(match whole {
                    None => extent,
                    Some(before) => before.joined(extent).expect("pieces follow each other"),
                });
                Ok::<(), Error>(())
            })?;
            Ok(whole)
        });
        for extent in written {
            part.note_all(extent?);
        }
        Ok(())
    }

    /// A range, cut for this rank's threads.
    fn cuts(&self, range: &Range<u64>) -> Vec<Range<u64>> {
        let threads = to_u64(self.context.threads.count());
        (0..threads)
            .map(|thread| aligned_block(range.end - range.start, threads, thread, 4096))
            .map(|cut| range.start + cut.start..range.start + cut.end)
            .filter(|cut| cut.start < cut.end)
            .collect()
    }

    /// Collective. Reads the file back and parses it; what was seen over all ranks.
    ///
    /// # Errors
    /// A verification error when its bytes are not those that were written.
    pub fn verify(&self) -> Result<(FileSum, Seen)> {
        let comm = &self.context.comm;
        let mut mine = Seen::default();
        let part = self.file.part();
        let sum = part.verify_by(|range| {
            let (file, data, form) = (part.file(), &self.data, self.form);
            let read = |cut: &Range<u64>| {
                let mut seen = Seen::default();
                read_back(file, data, form, cut, &mut seen).map(|sum| (sum, seen))
            };
            let cuts = self.cuts(&range);
            let mut crc64 = crc::checksum(&[]);
            for (cut, seen) in cuts.iter().zip(self.context.threads.map(&cuts, read)) {
                let (sum, seen) = seen.map_err(|cause| self.error(&cause))?;
                let bytes = cut.end - cut.start;
                self.context.meter.reading(to_usize(bytes), || ());
                crc64 = crc::combine(crc64, sum, bytes);
                mine = mine.then(seen);
            }
            Ok(crc64)
        })?;
        // Rank r read block r + 1.
        let words = [mine.count, mine.checksum, mine.unordered, mine.rubbish];
        let (first, last) = mine.ends.unwrap_or((0, 0));
        let ends = [u64::from(mine.ends.is_some()), first.cast_unsigned(), last.cast_unsigned()];
        let bytes: Vec<u8> =
            words.iter().chain(&ends).flat_map(|word| word.to_ne_bytes()).collect();
        let mut parts = comm.all_gather_bytes(&bytes);
        parts.rotate_right(1);
        let seen = parts.iter().map(|part| seen_of(part)).fold(Seen::default(), Seen::then);
        Ok((sum, seen))
    }

    fn error(&self, cause: &std::io::Error) -> Error {
        self.file.part().read_error(cause)
    }

    /// Collective. Puts the file on the disk.
    ///
    /// # Errors
    /// When any rank cannot sync.
    pub fn sync(&self) -> Result<()> {
        self.file.part().sync()
    }

    /// Collective. Gives the file its name.
    ///
    /// # Errors
    /// When root cannot rename.
    pub fn publish(self) -> Result<Published> {
        match self.file {
            Made::Plain(part) => part.publish(),
            Made::Columns(columns) => columns.publish(),
        }
    }
}

/// The error that ends the writing of an output when the run is to end: it follows from the counts, which a
/// checkpoint keeps.
///
/// # Errors
/// [`Error::stopped`].
pub fn unless_stopped() -> Result<()> {
    stop::count_piece();
    if stop::must_end() {
        Err(Error::stopped("asked to stop while the output was written"))
    } else {
        Ok(())
    }
}

/// What HDF5 outputs say about their making; nothing about the machine.
pub fn provenance(title: &str) -> Vec<(&'static str, Value)> {
    let source = format!("dcomp {} counter-sort", env!("CARGO_PKG_VERSION"));
    vec![("title", Value::Text(title.into())), ("source", Value::Text(source))]
}

fn seen_of(bytes: &[u8]) -> Seen {
    let word = |at: usize| u64::from_ne_bytes(bytes[8 * at..8 * at + 8].try_into().expect("words"));
    let ends = (word(5).cast_signed(), word(6).cast_signed());
    Seen {
        count: word(0),
        checksum: word(1),
        unordered: word(2),
        rubbish: word(3),
        ends: (word(4) == 1).then_some(ends),
    }
}

/// The CRC-64 of a range of the file; the numbers whose first byte lies in it go to `seen`.
pub(super) fn read_back(
    file: &File,
    data: &Range<u64>,
    form: Form,
    range: &Range<u64>,
    seen: &mut impl Sink,
) -> std::io::Result<u64> {
    let mut buffer = vec![0; SLACK + PIECE];
    let mut crc64 = crc::checksum(&[]);
    let mut before = [b'\n'];
    if range.start > data.start && form == Form::Text {
        file.read_exact_at(&mut before, range.start - 1)?;
    }
    let mut parser = if before == [b'\n'] { Parser::new() } else { Parser::mid_line() };
    let mut at = range.start;
    while at < range.end {
        let length = PIECE.min(to_usize(range.end - at));
        store::unless_stopped()?;
        file.read_exact_at(&mut buffer[SLACK..SLACK + length], at)?;
        let piece = &buffer[SLACK..SLACK + length];
        crc64 = crc::combine(crc64, crc::checksum(piece), to_u64(length));
        match form {
            Form::Text => parser.feed(&buffer[..SLACK + length], SLACK, seen),
            Form::I64 => {
                // Blocks of the file fall on whole numbers; what is not data is left out.
                let from = to_usize(data.start.saturating_sub(at)).min(length);
                let to =
                    length - to_usize((at + to_u64(length)).saturating_sub(data.end)).min(length);
                for bytes in piece[from.min(to)..to].as_chunks::<8>().0 {
                    seen.number(i64::from_le_bytes(*bytes));
                }
            }
        }
        at += to_u64(length);
    }
    if form == Form::Text {
        let mut byte = [0];
        // A longer line is no number of ours, and no reason to read all of a file byte by byte.
        let most = data.end.min(at + LINE_MAX);
        while at < most && parser.is_inside_line() && !parser.is_skipping() {
            file.read_exact_at(&mut byte, at)?;
            parser.feed(&byte, 0, seen);
            at += 1;
        }
        parser.finish(seen);
    }
    Ok(crc64)
}
