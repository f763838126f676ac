//! The jobs that make one file of items of equal size: keys and records.
//!
//! An item depends on its index alone, so where each piece lies follows from its number: ranks take equal
//! blocks, threads pieces of them, and nobody waits for another. A piece is made and written while it is in
//! the cache. Rounds keep the list of pieces short, whatever the count; their end is all that ranks wait for.

use std::ops::Range;
use std::path::Path;

use serde::Serialize;
use serde_json::{Value, json};

use super::keys::{self, KeySource};
use super::records::{self, RECORD_BYTES, RecordSource};
use crate::context::Context;
use crate::counter_sort::histogram::mix;
use crate::error::{Error, Result};
use crate::job::{Job, Request, Step};
use crate::measure::record::Findings;
use crate::num::{to_u64, to_usize};
use crate::partition::block;
use crate::store::checkpoint::Found;
use crate::store::crc::Extent;
use crate::store::part::PartFile;

/// Bytes that a thread makes before it writes them: many enough for the disk, few enough for the cache.
pub(super) const PIECE_BYTES: usize = 1 << 20;

/// Pieces of a rank in a round.
const ROUND_PIECES: u64 = 1024;

/// Items of one size, each by its index.
pub trait Items: Sized + Sync {
    /// The job's name in decks and records.
    const NAME: &'static str;
    /// The parameters.
    type Spec: Serialize;

    /// Gets ready.
    ///
    /// # Errors
    /// The deck's key at fault and a sentence.
    fn new(spec: &Self::Spec) -> std::result::Result<Self, (&'static str, String)>;
    /// The file to make.
    fn output(spec: &Self::Spec) -> &Path;
    /// How many there are.
    fn count(&self) -> u64;
    /// Bytes of one.
    fn item_bytes(&self) -> usize;
    /// Makes those from index `first` on.
    fn fill(&self, first: u64, bytes: &mut [u8]);
    /// A number that tells these bytes from others, whatever the items' order; it adds up.
    fn checksum(&self, bytes: &[u8]) -> u128;
    /// The record's `result`.
    fn result(&self, spec: &Self::Spec, checksum: u128) -> Value;
}

impl Items for KeySource {
    const NAME: &'static str = "generate-keys";
    type Spec = keys::spec::Spec;

    fn new(spec: &Self::Spec) -> std::result::Result<Self, (&'static str, String)> {
        spec.source()
    }

    fn output(spec: &Self::Spec) -> &Path {
        &spec.output
    }

    fn count(&self) -> u64 {
        KeySource::count(self)
    }

    fn item_bytes(&self) -> usize {
        self.key_type().bytes()
    }

    fn fill(&self, first: u64, bytes: &mut [u8]) {
        self.fill_bytes(first, bytes);
    }

    /// That of `counter-sort` and `mergesort`, of the keys' bits.
    fn checksum(&self, bytes: &[u8]) -> u128 {
        let sum = if self.key_type().bytes() == 4 {
            let words = bytes.as_chunks::<4>().0.iter();
            words.fold(0_u64, |sum, word| sum.wrapping_add(mix(u32::from_le_bytes(*word).into())))
        } else {
            let words = bytes.as_chunks::<8>().0.iter();
            words.fold(0_u64, |sum, word| sum.wrapping_add(mix(i64::from_le_bytes(*word))))
        };
        sum.into()
    }

    fn result(&self, _spec: &Self::Spec, checksum: u128) -> Value {
        let count = KeySource::count(self);
        json!({
            "keys": count,
            "bytes": count * to_u64(self.item_bytes()),
            "checksum": format!("{:016x}", checksum & u128::from(u64::MAX)),
        })
    }
}

impl Items for RecordSource {
    const NAME: &'static str = "generate-records";
    type Spec = records::spec::Spec;

    fn new(spec: &Self::Spec) -> std::result::Result<Self, (&'static str, String)> {
        spec.source()
    }

    fn output(spec: &Self::Spec) -> &Path {
        &spec.output
    }

    fn count(&self) -> u64 {
        RecordSource::count(self)
    }

    fn item_bytes(&self) -> usize {
        RECORD_BYTES
    }

    fn fill(&self, first: u64, bytes: &mut [u8]) {
        RecordSource::fill(self, first, bytes);
    }

    fn checksum(&self, bytes: &[u8]) -> u128 {
        records::checksum(bytes)
    }

    fn result(&self, spec: &Self::Spec, checksum: u128) -> Value {
        json!({
            "records": spec.count,
            "first": spec.start,
            "bytes": spec.count * to_u64(RECORD_BYTES),
            "checksum": format!("{checksum:x}"),
        })
    }
}

/// A file of items while it is made.
pub struct ItemFile<'a, I: Items> {
    spec: &'a I::Spec,
    context: &'a Context,
    items: I,
    file: PartFile<'a>,
    /// The items of this rank, and of the rank with the most.
    mine: Range<u64>,
    most: u64,
    /// Items of a piece.
    step: u64,
    checksum: u128,
}

impl<'a, I: Items> Job<'a> for ItemFile<'a, I>
where
    I::Spec: 'a,
{
    const NAME: &'static str = I::NAME;
    type Spec = I::Spec;

    fn plan(
        request: &'a Request<I::Spec>,
        context: &'a Context,
        _found: Option<&Found>,
    ) -> Result<Self> {
        let Request { spec, force } = request;
        let comm = &context.comm;
        let items =
            I::new(spec).map_err(|(key, problem)| Error::usage(format!("{key}: {problem}")));
        let items = comm.agree(items)?;
        let file = PartFile::create(context, I::output(spec), *force, |_| Ok(()))?;
        let (count, item_bytes) = (items.count(), items.item_bytes());
        file.reserve(count * to_u64(item_bytes))?;
        let share = |rank| block(count, comm.size(), rank);
        let (mine, most) = (share(comm.rank()), share(0).end);
        let step = to_u64(PIECE_BYTES / item_bytes);
        context.progress.total(most.div_ceil(step * ROUND_PIECES));
        Ok(Self { spec, context, items, file, mine, most, step, checksum: 0 })
    }

    fn rounds(&self) -> u64 {
        // An empty file is a round too.
        self.most.div_ceil(self.step * ROUND_PIECES).max(1)
    }

    fn compute(&mut self, _round: u64) -> Result<Step> {
        Ok(Step::Done)
    }

    fn write(&mut self, round: u64) -> Result<()> {
        let Range { start, end } = self.mine;
        let of_round = self.step * ROUND_PIECES;
        let from = (start + round * of_round).min(end);
        let pieces: Vec<u64> =
            (from..(from + of_round).min(end)).step_by(to_usize(self.step)).collect();
        let (items, step, writer) = (&self.items, self.step, self.file.writer());
        let item_bytes = to_u64(items.item_bytes());
        let written = self.context.threads.map(&pieces, |&first| {
            let mut bytes = vec![0; to_usize(step.min(end - first) * item_bytes)];
            items.fill(first, &mut bytes);
            Ok::<_, Error>((items.checksum(&bytes), writer.write_at(first * item_bytes, &bytes)?))
        });
        let written: Result<Vec<(u128, Extent)>> = written.into_iter().collect();
        for (checksum, extent) in self.context.comm.agree(written)? {
            self.checksum = self.checksum.wrapping_add(checksum);
            self.file.note_all([extent]);
        }
        self.context.progress.at(round + 1);
        Ok(())
    }

    fn complete(&mut self) -> Result<()> {
        let comm = &self.context.comm;
        let half = |shift: u32| {
            let mask = u128::from(u64::MAX);
            u64::try_from(self.checksum >> shift & mask).expect("64 bits")
        };
        let (low, high) = (comm.all_gather(half(0)), comm.all_gather(half(64)));
        let whole = |(low, high): (u64, u64)| u128::from(high) << 64 | u128::from(low);
        self.checksum = low.into_iter().zip(high).map(whole).fold(0, u128::wrapping_add);
        Ok(())
    }

    fn conclude(&mut self) -> Result<Findings> {
        let file = self.file.verify()?;
        let wanted = self.items.count() * to_u64(self.items.item_bytes());
        if file.bytes != wanted {
            return Err(Error::verification(format!(
                "{}: {} bytes were made, {wanted} asked for",
                file.path, file.bytes
            )));
        }
        Ok(Findings {
            input: Vec::new(),
            result: self.items.result(self.spec, self.checksum),
            comm_bytes_needed: 0,
            io_bytes_needed: 2 * file.bytes,
            outputs: vec![file],
            details: Value::Null,
        })
    }

    fn publish(self) -> Result<()> {
        self.file.sync()?;
        self.file.publish().map(|_| ())
    }
}
