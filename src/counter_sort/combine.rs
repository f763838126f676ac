//! The counts of all ranks become one sorted sequence, cut into equal bytes.
//!
//! Three ways to add up: a table that all ranks get (small ranges of values), a table of which each
//! rank gets one slab (large dense ranges: a reduce-scatter), and values with counts that travel to
//! the rank of their range (sparse values; the ranges are cut by regular sampling, so that no rank
//! gets many more distinct values than another: Shi & Schaeffer, J. Parallel Distrib. Comput. 14
//! (1992)). After the latter two, entries at the edges of the shares travel once more, to the ranks
//! whose bytes of the output they make: a value that is 99 % of the data is then written by 99 % of
//! the ranks. Entries that stay are never copied: at 16 bytes a value, the page faults of a second
//! buffer take longer than merging does.

use std::ops::Range;

use super::emit::{Entry, Form, Part, Slab, parts, total_bytes};
use super::histogram::{Counts, Limits, merge};
use super::spec::Combine;
use super::stats::Summary;
use crate::comm::{Comm, Op};
use crate::context::Context;
use crate::error::{Error, Result};
use crate::num::{to_u64, to_usize};
use crate::partition::{aligned_block, block, displacements};

/// Tables up to this many values are given to all ranks: 8 MiB.
const WHOLE_MAX: u64 = 1 << 20;

/// Samples per rank for the cuts of an exchange, on average.
const SAMPLES: u64 = 64;

/// Bytes of an entry, at rest and on its way.
const ENTRY_BYTES: u64 = 16;

/// Output is cut at multiples of this, the block size of common file systems.
const BLOCK_BYTES: u64 = 4096;

/// What all ranks together have.
pub struct Combined {
    /// How it was combined.
    pub method: Combine,
    /// What makes this rank's bytes of the output.
    output: Output,
    /// Bytes of the output.
    pub total_bytes: u64,
    /// Entries of this rank, or of all where every rank has them.
    entries: Vec<Entry>,
    /// Which of them are this rank's share of the values.
    share: Range<usize>,
    /// Over all values.
    pub summary: Summary,
    /// The least bytes that had to change ranks.
    pub moved_bytes: u64,
}

/// What makes a rank's bytes of the output: own entries between those of lower and higher ranks.
#[derive(Default)]
struct Output {
    bytes: Range<u64>,
    /// Where in the output the first copy of the first entry starts.
    start: u64,
    /// Which of the rank's own entries.
    own: Range<usize>,
    others: Vec<Entry>,
    /// How many of the others come first.
    lower: usize,
}

impl Combined {
    /// This rank's share of the values; the ranks' shares follow each other in value.
    pub fn share(&self) -> &[Entry] {
        &self.entries[self.share.clone()]
    }

    /// This rank's bytes of the output.
    pub fn bytes(&self) -> Range<u64> {
        self.output.bytes.clone()
    }

    /// What makes this rank's bytes of the output.
    pub fn slab(&self) -> Slab<'_> {
        let Output { start, own, others, lower, .. } = &self.output;
        let (before, after) = others.split_at(*lower);
        Slab { start: *start, runs: vec![before, &self.entries[own.clone()], after] }
    }

    /// Changes one of this rank's values, for the test of the checks.
    pub fn flip(&mut self) {
        let Output { own, others, .. } = &mut self.output;
        if let Some(entry) = others.first_mut().or(self.entries[own.clone()].first_mut()) {
            entry.value ^= 1;
        }
    }
}

/// Collective. Combines the ranks' counts; `memory_bytes` is what a rank may use for it.
///
/// # Errors
/// When a wished way does not fit the memory, or the output would exceed 2^63 bytes.
pub fn combine(
    context: &Context,
    counts: Counts,
    wish: Combine,
    form: Form,
    memory_bytes: u64,
) -> Result<Combined> {
    let comm = &context.comm;
    let Some(range) = common_range(comm, &counts) else {
        return Ok(empty(wish));
    };
    let method = choose(comm, &counts, wish, range, memory_bytes)?;
    let mut moved = 0;
    let (entries, is_all) = match method {
        Combine::AllReduce | Combine::Auto => {
            let all = all_reduce(comm, &counts, range);
            moved += 8 * to_u64(all.len()) * u64::from(comm.size() > 1);
            (all, true)
        }
        Combine::ReduceScatter => (reduce_scatter(comm, &counts, range, &mut moved), false),
        Combine::Exchange => (exchange(comm, counts, &mut moved), false),
    };
    let share = if is_all {
        let mine = block(to_u64(entries.len()), comm.size(), comm.rank());
        to_usize(mine.start)..to_usize(mine.end)
    } else {
        0..entries.len()
    };
    let summary = summary_of_all(comm, &entries[share.clone()])?;
    let sizes = sizes(comm, form, &entries[share.clone()])?;
    let total_bytes = sizes.iter().sum();
    let output = if is_all {
        let bytes = aligned_block(total_bytes, comm.size(), comm.rank(), BLOCK_BYTES);
        let part = parts(form, 0, &entries, std::slice::from_ref(&bytes)).remove(0);
        Output { bytes, start: part.start, own: part.entries, ..Output::default() }
    } else {
        cut(comm, form, &entries, &sizes, &mut moved)
    };
    Ok(Combined { method, output, total_bytes, entries, share, summary, moved_bytes: moved })
}

fn empty(wish: Combine) -> Combined {
    Combined {
        method: wish,
        output: Output::default(),
        total_bytes: 0,
        entries: Vec::new(),
        share: 0..0,
        summary: Summary::default(),
        moved_bytes: 0,
    }
}

/// An order-preserving image of a value.
fn ordered(value: i64) -> u64 {
    value.cast_unsigned() ^ (1 << 63)
}

fn value_of(ordered: u64) -> i64 {
    (ordered ^ (1 << 63)).cast_signed()
}

/// Collective. The least and the greatest value of all ranks.
fn common_range(comm: &Comm, counts: &Counts) -> Option<Limits> {
    let mut least = [counts.min().map_or(u64::MAX, ordered)];
    let mut most = [counts.max().map_or(0, ordered)];
    let mut any = [u64::from(counts.min().is_some())];
    comm.all_reduce(Op::Min, &mut least);
    comm.all_reduce(Op::Max, &mut most);
    comm.all_reduce(Op::Max, &mut any);
    (any[0] == 1).then(|| Limits { min: value_of(least[0]), max: value_of(most[0]) })
}

/// Collective. The way to combine; the same on all ranks.
fn choose(
    comm: &Comm,
    counts: &Counts,
    wish: Combine,
    range: Limits,
    memory_bytes: u64,
) -> Result<Combine> {
    let slots = u64::try_from(range.slots()).unwrap_or(u64::MAX);
    let mut distinct = [counts.distinct()];
    comm.all_reduce(Op::Max, &mut distinct);
    let mut room = [memory_bytes];
    comm.all_reduce(Op::Min, &mut room);
    let table = slots.saturating_mul(16);
    let refuse = |how: &str| {
        Err(Error::bad_input(format!(
            "--combine {how}: values from {} to {} need {} MiB a rank, --memory allows {} MiB; use \
             --combine exchange",
            range.min,
            range.max,
            table >> 20,
            room[0] >> 20
        )))
    };
    match wish {
        Combine::AllReduce if table > room[0] => refuse("all-reduce"),
        Combine::ReduceScatter if table > room[0] => refuse("reduce-scatter"),
        Combine::Auto if slots <= WHOLE_MAX => Ok(Combine::AllReduce),
        // A table of 8 bytes a value travels in less than entries of 16 bytes.
        Combine::Auto if table <= room[0] && slots <= distinct[0].saturating_mul(2) => {
            Ok(Combine::ReduceScatter)
        }
        Combine::Auto => Ok(Combine::Exchange),
        wish => Ok(wish),
    }
}

fn slot(range: Limits, value: i64) -> usize {
    to_usize(ordered(value) - ordered(range.min))
}

fn entries_of(table: &[u64], first: i64) -> Vec<Entry> {
    // The table may end at the greatest value of all.
    (0_u64..)
        .zip(table)
        .filter(|(_, count)| **count > 0)
        .map(|(at, &count)| Entry { value: value_of(ordered(first).wrapping_add(at)), count })
        .collect()
}

fn all_reduce(comm: &Comm, counts: &Counts, range: Limits) -> Vec<Entry> {
    let slots = u64::try_from(range.slots()).expect("it fits the memory");
    let mut table = vec![0_u64; to_usize(slots)];
    for (value, count) in counts.iter() {
        table[slot(range, value)] += count;
    }
    comm.all_reduce(Op::Sum, &mut table);
    entries_of(&table, range.min)
}

fn reduce_scatter(comm: &Comm, counts: &Counts, range: Limits, moved: &mut u64) -> Vec<Entry> {
    let slots = u64::try_from(range.slots()).expect("it fits the memory");
    let mut table = vec![0_u64; to_usize(slots)];
    for (value, count) in counts.iter() {
        table[slot(range, value)] += count;
    }
    let slab = |rank| block(slots, comm.size(), rank);
    let send_counts: Vec<u64> =
        (0..comm.size()).map(|rank| 8 * (slab(rank).end - slab(rank).start)).collect();
    let mine = slab(comm.rank());
    *moved += 8 * (slots - (mine.end - mine.start));
    let received = comm.exchange(bytemuck::cast_slice(&table), &send_counts);
    drop(table);
    let mut sums = vec![0_u64; to_usize(mine.end - mine.start)];
    if !sums.is_empty() {
        for part in received.bytes.chunks_exact(8 * sums.len()) {
            for (sum, bytes) in sums.iter_mut().zip(part.as_chunks::<8>().0) {
                *sum += u64::from_ne_bytes(*bytes);
            }
        }
    }
    entries_of(&sums, value_of(ordered(range.min).wrapping_add(mine.start)))
}

/// Collective. Values travel to the rank of their range. Takes room for as many entries as this
/// rank receives, and where its range has more than it counted, for those more.
fn exchange(comm: &Comm, counts: Counts, moved: &mut u64) -> Vec<Entry> {
    let mut entries = counts.into_entries();
    if comm.size() == 1 {
        return entries;
    }
    let cuts: Vec<usize> = splitters(comm, &entries)
        .iter()
        .map(|&splitter| entries.partition_point(|entry| ordered(entry.value) < splitter))
        .collect();
    let starts = [0].into_iter().chain(cuts.iter().copied());
    let ends = cuts.iter().copied().chain([entries.len()]);
    let mut ranges: Vec<Range<usize>> = starts.zip(ends).map(|(start, end)| start..end).collect();
    let own = keep(comm, &mut ranges, moved);
    let (mut others, _) = comm.exchange_ranges(&entries, &ranges);
    entries.truncate(own.end);
    entries.drain(..own.start);
    // One sorted run of each rank: the standard sort finds and merges them.
    others.sort_by_key(|entry| entry.value);
    others.dedup_by(|next, kept| {
        let same = next.value == kept.value;
        if same {
            kept.count += next.count;
        }
        same
    });
    merge(&mut entries, &others);
    entries
}

/// Takes this rank's own range out of those that travel.
fn keep(comm: &Comm, ranges: &mut [Range<usize>], moved: &mut u64) -> Range<usize> {
    let mine = &mut ranges[to_usize(comm.rank())];
    let own = mine.clone();
    mine.end = mine.start;
    *moved += ranges.iter().map(|range| to_u64(range.len()) * ENTRY_BYTES).sum::<u64>();
    own
}

/// Collective. Where the ranks' ranges begin, from samples at equal distances in each rank's values.
fn splitters(comm: &Comm, entries: &[Entry]) -> Vec<u64> {
    let mine = to_u64(entries.len());
    let mut all = [mine];
    comm.all_reduce(Op::Sum, &mut all);
    // So many samples of each rank that all stand for equally many values.
    let wanted = (SAMPLES * comm.size()).min(all[0]).max(1);
    let every = all[0].div_ceil(wanted).max(1);
    let samples: Vec<u64> = (every / 2..mine)
        .step_by(to_usize(every))
        .map(|at| ordered(entries[to_usize(at)].value))
        .collect();
    let parts = comm.all_gather_bytes(bytemuck::cast_slice(&samples));
    let mut sorted: Vec<u64> = parts
        .iter()
        .flat_map(|part| part.as_chunks::<8>().0.iter().map(|bytes| u64::from_ne_bytes(*bytes)))
        .collect();
    sorted.sort_unstable();
    let count = to_u64(sorted.len());
    (1..comm.size())
        .map(|rank| {
            let at = to_usize(block(count, comm.size(), rank).start);
            sorted.get(at).copied().unwrap_or(u64::MAX)
        })
        .collect()
}

/// Collective. What all shares together are.
fn summary_of_all(comm: &Comm, share: &[Entry]) -> Result<Summary> {
    let mine = serde_json::to_vec(&Summary::of(share.iter().copied())).expect("plain numbers");
    let parts = comm.gather_bytes(&mine);
    comm.decide(|| {
        let parts = parts.iter().map(|part| serde_json::from_slice::<Summary>(part));
        let all = parts.collect::<std::result::Result<Vec<_>, _>>();
        let all = all.map_err(|cause| Error::internal(format!("a summary: {cause}")))?;
        Ok(all.into_iter().fold(Summary::default(), Summary::combine))
    })
}

/// Collective. How many bytes of the output each rank's share makes.
fn sizes(comm: &Comm, form: Form, share: &[Entry]) -> Result<Vec<u64>> {
    let too_long = || Error::usage("the sorted file would exceed 2^63 bytes; sort a part of it");
    let mine = comm.agree(total_bytes(form, share.iter().copied()).ok_or_else(too_long))?;
    let sizes = comm.all_gather(mine);
    let total = sizes.iter().try_fold(0_u64, |sum, &size| sum.checked_add(size));
    match total {
        Some(total) if total <= 1 << 63 => Ok(sizes),
        _ => Err(too_long()),
    }
}

/// Collective. Cuts the output into equal bytes and brings each rank the entries of its own that
/// it has not.
fn cut(comm: &Comm, form: Form, share: &[Entry], sizes: &[u64], moved: &mut u64) -> Output {
    let (rank, total) = (to_usize(comm.rank()), sizes.iter().sum());
    let start = displacements(sizes)[rank];
    let end = start + sizes[rank];
    let bytes_of = |rank| aligned_block(total, comm.size(), rank, BLOCK_BYTES);
    let within =
        |Range { start: from, end: to }: Range<u64>| from.clamp(start, end)..to.clamp(start, end);
    let cuts: Vec<Range<u64>> = (0..comm.size()).map(|rank| within(bytes_of(rank))).collect();
    let parts = parts(form, start, share, &cuts);
    // Where the entries of a part start is known only to who sends it.
    let starts: Vec<u64> = parts.iter().map(|part| part.start).collect();
    let any = |(at, part): (usize, &Part)| at..at + usize::from(!part.entries.is_empty());
    let (starts, _) =
        comm.exchange_ranges(&starts, &parts.iter().enumerate().map(any).collect::<Vec<_>>());
    let mut ranges: Vec<Range<usize>> = parts.into_iter().map(|part| part.entries).collect();
    let own = keep(comm, &mut ranges, moved);
    let (others, counts) = comm.exchange_ranges(share, &ranges);
    let bytes = bytes_of(comm.rank());
    let start = starts.first().copied().unwrap_or(bytes.start);
    Output { bytes, start, own, others, lower: counts[..rank].iter().sum() }
}
