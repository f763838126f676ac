//! This rank's sorted sequences: one a thread, in the order of the input.

use std::ops::Range;

use super::buffer::Buffer;
use super::calibrate::Sample;
use super::form::{Digest, Form, Index, Run};
use super::input::Files;
use super::pour::digest_of;
use super::shares;
use crate::comm::Comm;
use crate::context::Context;
use crate::error::Result;
use crate::generate::keys::KeySource;
use crate::measure::clock::Stopwatch;
use crate::measure::record::FileSum;
use crate::num::{to_u64, to_usize};
use crate::partition::block;
use crate::stop;
use crate::store::crc::Extent;

/// Where items come from.
pub enum Source {
    /// Files, one behind the other.
    Files(Files),
    /// Keys that are made.
    Made(KeySource),
}

impl Source {
    /// Bytes of all, in file form.
    pub fn bytes(&self) -> u64 {
        match self {
            Self::Files(files) => files.bytes(),
            Self::Made(keys) => keys.count() * to_u64(keys.key_type().bytes()),
        }
    }

    /// A rank's part cut into so many. Ranks' parts are cut first, so that sorted items lie where they
    /// stay, whatever the number of threads.
    pub fn parts(&self, form: &dyn Form, (ranks, rank): (u64, u64), count: u64) -> Vec<Range<u64>> {
        let item = form.item_bytes().map_or(1, to_u64);
        let mine = block(self.bytes() / item, ranks, rank);
        shares::cut(mine.start * item..mine.end * item, item, count)
    }

    /// The items of a part, in file form, and the checksums of what was read for them. A line may go on for
    /// `longest` bytes behind its part.
    ///
    /// # Errors
    /// When they cannot be read, or there is no memory for them.
    pub fn read(
        &self,
        form: &dyn Form,
        part: Range<u64>,
        longest: u64,
    ) -> Result<(Buffer, Vec<Extent>)> {
        match (self, form.terminator()) {
            (Self::Files(files), None) => files.read(part),
            (Self::Files(files), Some(terminator)) => files.read_lines(part, terminator, longest),
            (Self::Made(keys), _) => {
                let mut made = Buffer::zeroed(part.end - part.start)?;
                keys.fill_bytes(part.start / to_u64(keys.key_type().bytes()), &mut made);
                Ok((made, Vec::new()))
            }
        }
    }

    /// Collective. What was read, by file.
    ///
    /// # Errors
    /// A verification error when the ranks did not read everything once.
    pub fn sums(&self, comm: &Comm, read: &[Extent]) -> Result<Vec<FileSum>> {
        match self {
            Self::Files(files) => files.sums(comm, read),
            Self::Made(_) => Ok(Vec::new()),
        }
    }

    /// Bytes that come from the disk.
    pub fn bytes_on_disk(&self) -> u64 {
        match self {
            Self::Files(files) => files.bytes(),
            Self::Made(_) => 0,
        }
    }

    /// What was read is still as it was. Local.
    ///
    /// # Errors
    /// When it was changed.
    pub fn unchanged(&self) -> Result<()> {
        match self {
            Self::Files(files) => files.unchanged(),
            Self::Made(_) => Ok(()),
        }
    }
}

/// What was read of a piece of the source, and what is left of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Made {
    /// The piece. Of lines it has those that begin in it.
    pub source: Range<u64>,
    /// Its items.
    pub read: Digest,
    /// Those of them that are left: fewer, when equal items are taken out.
    pub kept: Digest,
    /// Checksums of what was read.
    pub sums: Vec<Extent>,
}

/// Sorted items in sorting form.
pub struct Sequence {
    /// The items.
    pub items: Buffer,
    /// Where they begin.
    pub index: Index,
}

impl Sequence {
    /// Of sorted items.
    pub fn new(form: &dyn Form, items: Buffer) -> Self {
        let index = form.index(&items);
        Self { items, index }
    }

    /// Some of its items.
    pub fn run(&self, items: Range<usize>) -> Run<'_> {
        Run::new(&self.items, &self.index, items)
    }

    /// How many items it has.
    pub fn len(&self) -> u64 {
        to_u64(self.index.len())
    }

    /// The key of an item.
    pub fn key(&self, form: &dyn Form, item: u64, out: &mut Vec<u8>) {
        let item = to_usize(item);
        form.key(&self.items[self.index.bytes(item..item + 1)], out);
    }
}

/// Turns a bit of the last byte that is no terminator, for the run's check to find.
pub fn spoil(sequences: &mut [Sequence]) {
    if let Some(byte) = sequences.iter_mut().find_map(|one| one.items.iter_mut().nth_back(1)) {
        *byte ^= 0x40;
    }
}

/// What was read and sorted.
#[derive(Default)]
pub struct Sorted {
    /// One a thread.
    pub sequences: Vec<Sequence>,
    /// What was read.
    pub read: Digest,
    /// Bytes that were read.
    pub bytes: u64,
    /// What is left of it: less, when equal items are taken out.
    pub kept: Digest,
    /// Seconds of the thread that sorted longest.
    pub sort_s: f64,
    /// Seconds of the thread that read longest.
    pub read_s: f64,
    /// What was sorted apart.
    pub sample: Option<Sample>,
    /// Checksums of what was read.
    pub sums: Vec<Extent>,
}

/// Reads and sorts these parts, one a thread at a time, of lines of at most `longest` bytes. Local.
///
/// # Errors
/// When one cannot be read, or there is no memory, or the run is to end.
pub fn sort(
    context: &Context,
    form: &dyn Form,
    source: &Source,
    parts: &[Range<u64>],
    longest: u64,
) -> Result<Sorted> {
    let meter = &context.meter;
    let mut all = Sorted::default();
    let parts: Vec<(usize, &Range<u64>)> = parts.iter().enumerate().collect();
    for parts in parts.chunks(context.threads.count()) {
        context.look();
        stop::heed("the input was sorted")?;
        let done = context.threads.map(parts, |(number, part)| {
            sort_part(form, source, Range::clone(part), longest, *number == 0)
        });
        let (mut sort_s, mut read_s) = (0.0_f64, 0.0_f64);
        for one in done {
            let (sequence, one) = one?;
            all.sequences.push(sequence);
            all.read = all.read.and(one.read);
            all.kept = all.kept.and(one.kept);
            all.bytes += one.bytes;
            all.sums.extend(one.sums);
            all.sample = all.sample.or(one.sample);
            (sort_s, read_s) = (sort_s.max(one.sort_s), read_s.max(one.read_s));
        }
        all.sort_s += sort_s;
        all.read_s += read_s;
    }
    if source.bytes_on_disk() > 0 {
        meter.count_read(all.bytes);
    }
    source.unchanged()?;
    Ok(all)
}

fn sort_part(
    form: &dyn Form,
    source: &Source,
    part: Range<u64>,
    longest: u64,
    calibrate: bool,
) -> Result<(Sequence, Sorted)> {
    let clock = Stopwatch::start();
    let (mut items, sums) = source.read(form, part, longest)?;
    let read_s = clock.seconds();
    let sample = if calibrate { Sample::take(form, &items)? } else { None };
    let (read, bytes) = (form.digest(&items), to_u64(items.len()));
    let clock = Stopwatch::start();
    form.encode(&mut items);
    let (mut items, mut index) = form.sort(items)?;
    let mut kept = read;
    if form.is_unique() {
        items = form.dedupe(items, None);
        kept = digest_of(form, &mut items);
        index = form.index(&items);
    }
    let sort_s = clock.seconds();
    let sorted = Sorted { read, bytes, kept, sort_s, read_s, sample, sums, ..Sorted::default() };
    Ok((Sequence { items, index }, sorted))
}
