//! Slices of the result, merged from sorted runs of all ranks.
//!
//! A range of the result, the whole one as a rule, is cut into equal parts for the ranks. Slice by slice,
//! exact cuts through all runs of all ranks are searched, what lies between them is read, exchanged and
//! merged: nothing needs a descriptor or a buffer per run, so no cascade of merges does either. A slice whose
//! lines are longer than expected is halved. With `--unique` the slices are merged twice, because how much is
//! left says where it goes.

use std::ops::Range;

use super::buffer::Buffer;
use super::details::Moved;
use super::disk_run::{DiskRun, Stream};
use super::external::External;
use super::form::{Form, Index, Run};
use super::gather::behind;
use super::pour::Pour;
use super::sorted_run::SortedRun;
use super::splitters::{Cuts, Keys};
use crate::comm::Op;
use crate::error::Result;
use crate::measure::clock::Stopwatch;
use crate::num::{to_u64, to_usize};
use crate::partition::block;

/// The state of the merge. Places are, for each rank, one in each run of this rank.
pub(super) struct Merge {
    /// Lengths of the runs of all ranks.
    lengths: Vec<Vec<u64>>,
    /// The range of the result that is merged.
    range: Range<u64>,
    /// Where each rank's part of the result begins, and where the last one's ends.
    first: Vec<Vec<u64>>,
    /// Up to where each rank's part has been merged.
    done: Vec<Vec<u64>>,
    /// Items of each rank's part that have been merged.
    merged: Vec<u64>,
    /// Items of a slice.
    slice: u64,
    /// The item before this rank's part, and before its next slice.
    before_all: Option<Vec<u8>>,
    previous: Option<Vec<u8>>,
}

/// Sorted pieces of one slice of this rank's part.
pub struct Slice {
    items: Buffer,
    index: Index,
    pieces: Vec<Range<usize>>,
}

impl Slice {
    /// The pieces in the order of ranks and runs.
    pub fn runs(&self) -> Vec<Run<'_>> {
        let run = |items: &Range<usize>| Run::new(&self.items, &self.index, items.clone());
        self.pieces.iter().filter(|items| !items.is_empty()).map(run).collect()
    }
}

/// Keys of runs.
struct OfRuns<'a> {
    form: &'a dyn Form,
    runs: &'a [SortedRun],
    coarse: u64,
}

impl Keys for OfRuns<'_> {
    fn key_bytes(&self) -> Option<usize> {
        self.form.key_bytes()
    }

    fn coarse(&self) -> u64 {
        self.coarse
    }

    fn key(&self, sequence: usize, index: u64, out: &mut Vec<u8>) -> Result<()> {
        self.runs[sequence].key(self.form, index, out)
    }
}

impl External<'_> {
    /// Collective. How many items all runs of all ranks have, and bytes.
    pub fn totals(&self) -> (u64, u64) {
        let items = self.runs.iter().map(SortedRun::items).sum();
        let bytes = self.runs.iter().map(SortedRun::bytes).sum();
        let mut sums = [items, bytes];
        self.context.comm.all_reduce(Op::Sum, &mut sums);
        (sums[0], sums[1])
    }

    /// Collective. Begins to merge a range of the result; bytes of each rank's part of it, with equal items.
    ///
    /// # Errors
    /// When a run cannot be read on any rank.
    pub fn begin(&mut self, form: &dyn Form, range: Range<u64>) -> Result<Vec<u64>> {
        let comm = &self.context.comm;
        let mine: Vec<u8> = self.runs.iter().flat_map(|run| run.items().to_le_bytes()).collect();
        let words = |bytes: &Vec<u8>| {
            let (words, _) = bytes.as_chunks::<8>();
            words.iter().map(|word| u64::from_le_bytes(*word)).collect()
        };
        let lengths: Vec<Vec<u64>> = comm.all_gather_bytes(&mine).iter().map(words).collect();
        let ranks = comm.size();
        let start = |rank| range.start + block(range.end - range.start, ranks, rank).start;
        let targets: Vec<u64> = (0..ranks).map(start).chain([range.end]).collect();
        let first = self.cuts(form, &lengths, &targets)?;
        let mut bytes = comm.agree(self.bytes_between(form, &first))?;
        let before_all = self.before(form, &first)?;
        comm.all_reduce(Op::Sum, &mut bytes);
        let all: u64 = bytes.iter().sum();
        let average = (all / u64::max(range.end - range.start, 1)).max(1);
        self.merge = Some(Merge {
            range,
            done: first[..to_usize(ranks)].to_vec(),
            merged: vec![0; to_usize(ranks)],
            slice: (self.budget.slice_bytes / average).max(1),
            previous: before_all.clone(),
            before_all,
            first,
            lengths,
        });
        Ok(bytes)
    }

    /// The number of the first item of this rank's part.
    pub fn first_item(&self) -> u64 {
        let merge = self.merge.as_ref().expect("begun");
        merge.part(to_usize(self.context.comm.rank())).start
    }

    /// Starts the merge again from the beginning.
    pub fn rewind(&mut self) {
        let merge = self.merge.as_mut().expect("after the split");
        merge.done = merge.first[..merge.merged.len()].to_vec();
        merge.merged.fill(0);
        merge.previous = merge.before_all.clone();
    }

    /// Whether all parts of all ranks have been merged.
    pub fn is_done(&self) -> bool {
        self.merge.as_ref().is_some_and(|merge| (0..merge.merged.len()).all(|r| merge.left(r) == 0))
    }

    /// Collective. The cuts after these numbers of items through all runs.
    fn cuts(
        &mut self,
        form: &dyn Form,
        lengths: &[Vec<u64>],
        targets: &[u64],
    ) -> Result<Vec<Vec<u64>>> {
        let clock = Stopwatch::start();
        let mut coarse = [self.runs.iter().map(SortedRun::coarse).max().unwrap_or(1)];
        self.context.comm.all_reduce(Op::Max, &mut coarse);
        let keys = OfRuns { form, runs: &self.runs, coarse: coarse[0] };
        let mut search = Cuts::new(&self.context.comm, &keys, lengths);
        // The ends of all need no search.
        let total = lengths.iter().flatten().sum();
        let inside: Vec<u64> =
            targets.iter().copied().filter(|target| (1..total).contains(target)).collect();
        let mut found =
            if inside.is_empty() { Vec::new() } else { search.find(&inside)? }.into_iter();
        let whole = |items: fn(&SortedRun) -> u64| self.runs.iter().map(items).collect();
        let cut = |&target: &u64| match target {
            0 => whole(|_| 0),
            target if target == total => whole(SortedRun::items),
            _ => found.next().expect("one for each that was searched"),
        };
        let cuts = targets.iter().map(cut).collect();
        self.costs.rounds += search.rounds;
        self.costs.splitters_s += clock.seconds();
        Ok(cuts)
    }

    /// Bytes of this rank's runs between each cut and the next.
    fn bytes_between(&self, form: &dyn Form, cuts: &[Vec<u64>]) -> Result<Vec<u64>> {
        let between = |pair: &[Vec<u64>]| Ok(self.stream(form, &pair[0], &pair[1])?.bytes());
        cuts.windows(2).map(between).collect()
    }

    /// What lies between two cuts.
    fn stream(&self, form: &dyn Form, from: &[u64], to: &[u64]) -> Result<Stream> {
        let part = |((run, &from), &to): ((&SortedRun, &u64), &u64)| {
            let start = run.offset(form, from)?;
            let end = if from == to { start } else { run.offset(form, to)? };
            Ok(start..end)
        };
        let parts = self.runs.iter().zip(from).zip(to).map(part).collect::<Result<Vec<_>>>()?;
        Ok(Stream { parts })
    }

    /// Collective. The last item before this rank's part, where equal items are taken out.
    fn before(&self, form: &dyn Form, first: &[Vec<u64>]) -> Result<Option<Vec<u8>>> {
        let comm = &self.context.comm;
        if !form.is_unique() {
            return Ok(None);
        }
        let last_of = |cut: &Vec<u64>| {
            let lasts = self.runs.iter().zip(cut).filter(|(_, place)| **place > 0);
            let lasts = lasts.map(|(run, place)| run.item(form, place - 1));
            let lasts = lasts.collect::<Result<Vec<_>>>()?;
            Ok(lasts.into_iter().max_by(|a, b| form.compare(a, b)).unwrap_or_default())
        };
        let ranks = to_usize(comm.size());
        let mine = first[..ranks].iter().map(last_of).collect::<Result<Vec<_>>>();
        let mine = comm.agree(mine)?;
        let counts: Vec<u64> = mine.iter().map(|item| to_u64(item.len())).collect();
        let came = comm.exchange(&mine.concat(), &counts).into_parts();
        let filled = came.into_iter().filter(|item| !item.is_empty());
        Ok(filled.max_by(|a, b| form.compare(a, b)))
    }

    /// Collective. The next slice of every rank's part.
    ///
    /// # Errors
    /// When a run cannot be read, or there is no memory, on any rank.
    pub fn next_slice(&mut self, form: &dyn Form) -> Result<Slice> {
        let merge = self.merge.take().expect("after the split");
        let next = self.next_of(form, merge);
        let (merge, slice) = next?;
        self.merge = Some(merge);
        self.costs.slices += 1;
        Ok(slice)
    }

    fn next_of(&mut self, form: &dyn Form, mut merge: Merge) -> Result<(Merge, Slice)> {
        let context = self.context;
        let comm = &context.comm;
        loop {
            let ends = self.ends(form, &merge)?;
            let clock = Stopwatch::start();
            let streams: Result<Vec<Stream>> = (0..ends.len())
                .map(|rank| self.stream(form, &merge.done[rank], &ends[rank]))
                .collect();
            let streams = comm.agree(streams)?;
            let coming = self.announce(&streams, &merge);
            let mut most = [coming.iter().flatten().sum::<u64>()];
            comm.all_reduce(Op::Max, &mut most);
            if most[0] > self.budget.slice_bytes_max && merge.slice > 1 {
                merge.slice /= 2;
                continue;
            }
            let slice = self.fetch(form, &streams, &coming);
            self.costs.exchange_s += clock.seconds();
            let slice = slice?;
            merge.advance(ends);
            self.runs.iter().filter_map(SortedRun::stored).for_each(DiskRun::forget);
            return Ok((merge, slice));
        }
    }

    /// Collective. Where the next slice of each rank's part ends.
    fn ends(&mut self, form: &dyn Form, merge: &Merge) -> Result<Vec<Vec<u64>>> {
        let ranks = merge.merged.len();
        let open: Vec<usize> = (0..ranks).filter(|&rank| merge.left(rank) > merge.slice).collect();
        let target = |rank: &usize| merge.part(*rank).start + merge.merged[*rank] + merge.slice;
        let targets: Vec<u64> = open.iter().map(target).collect();
        let cuts = self.cuts(form, &merge.lengths, &targets)?;
        let mut ends = merge.first[1..].to_vec();
        for (rank, cut) in open.into_iter().zip(cuts) {
            ends[rank] = cut;
        }
        Ok(ends)
    }

    /// Collective. How many bytes of each run of each rank come to this one.
    fn announce(&self, streams: &[Stream], merge: &Merge) -> Vec<Vec<u64>> {
        let sizes = streams.iter().flat_map(|stream| &stream.parts);
        let words: Vec<u8> = sizes.flat_map(|part| (part.end - part.start).to_le_bytes()).collect();
        let counts = vec![to_u64(8 * self.runs.len()); streams.len()];
        let expected: Vec<u64> = merge.lengths.iter().map(|runs| to_u64(8 * runs.len())).collect();
        let came = self.context.comm.exchange_small(&words, &counts, &expected);
        let (words, _) = came.as_chunks::<8>();
        let mut words = words.iter().map(|word| u64::from_le_bytes(*word));
        let of_rank = |runs: &Vec<u64>| words.by_ref().take(runs.len()).collect();
        merge.lengths.iter().map(of_rank).collect()
    }

    /// Collective. Reads what goes to each rank and moves it there, in pieces that fit the budget.
    fn fetch(&mut self, form: &dyn Form, streams: &[Stream], coming: &[Vec<u64>]) -> Result<Slice> {
        let (comm, me) = (&self.context.comm, to_usize(self.context.comm.rank()));
        let sizes: Vec<u64> = coming.iter().map(|runs| runs.iter().sum()).collect();
        let mut items = comm.agree(Buffer::zeroed(sizes.iter().sum()))?;
        let places = behind(&sizes);
        let own = self.read(form, &streams[me], 0..sizes[me], &mut items[places[me].clone()]);
        comm.agree(own)?;
        let quota = (self.budget.send_bytes / comm.size()).max(1);
        let most = streams.iter().map(Stream::bytes).max().unwrap_or(0);
        let mut most = [most];
        comm.all_reduce(Op::Max, &mut most);
        let ranks = if comm.size() > 1 { streams.len() } else { 0 };
        for from in (0..if ranks > 0 { most[0] } else { 0 }).step_by(to_usize(quota)) {
            let piece = |rank: usize, bytes: u64| {
                let end = if rank == me { from } else { (from + quota).min(bytes).max(from) };
                from.min(bytes)..end.min(bytes).max(from.min(bytes))
            };
            let leaving: Vec<Range<u64>> =
                (0..ranks).map(|rank| piece(rank, streams[rank].bytes())).collect();
            let lengths: Vec<u64> = leaving.iter().map(|part| part.end - part.start).collect();
            let filled = Buffer::zeroed(lengths.iter().sum()).and_then(|mut send| {
                for (rank, place) in behind(&lengths).into_iter().enumerate() {
                    self.read(form, &streams[rank], leaving[rank].clone(), &mut send[place])?;
                }
                Ok(send)
            });
            let send = comm.agree(filled)?;
            let arriving: Vec<Range<usize>> = (0..ranks)
                .map(|rank| {
                    let part = piece(rank, sizes[rank]);
                    let start = places[rank].start;
                    start + to_usize(part.start)..start + to_usize(part.end)
                })
                .collect();
            let clock = Stopwatch::start();
            comm.exchange_into(&send, &behind(&lengths), &mut items, &arriving);
            let moved = Moved { bytes: lengths.iter().sum(), seconds: clock.seconds() };
            self.costs.wire = self.costs.wire.and(moved);
        }
        let index = form.index(&items);
        let mut at = 0;
        let piece = |&bytes: &u64| {
            let start = index.item_at(at);
            at += to_usize(bytes);
            start..index.item_at(at)
        };
        let pieces = coming.iter().flatten().map(piece).collect();
        Ok(Slice { items, index, pieces })
    }

    /// Bytes of a stream.
    fn read(
        &self,
        form: &dyn Form,
        stream: &Stream,
        range: Range<u64>,
        out: &mut [u8],
    ) -> Result<()> {
        let mut rest = out;
        for (run, from, bytes) in stream.within(range) {
            let (part, tail) = rest.split_at_mut(to_usize(bytes));
            self.runs[run].read(form, &self.context.meter, from, part)?;
            rest = tail;
        }
        Ok(())
    }

    /// The pour of a slice, behind what was poured before it.
    pub fn pour<'s>(&mut self, form: &'s dyn Form, slice: &'s Slice) -> Pour<'s> {
        let merge = self.merge.as_mut().expect("after the split");
        let runs = slice.runs();
        let previous = merge.previous.take();
        if form.is_unique() {
            let lasts = runs.iter().map(|run| run.item(run.len() - 1));
            let last = lasts.max_by(|a, b| form.compare(a, b)).map(<[u8]>::to_vec);
            merge.previous = last.or_else(|| previous.clone());
        }
        Pour::new(self.context, form, runs).behind(previous)
    }
}

impl Merge {
    /// A rank's part of the range.
    fn part(&self, rank: usize) -> Range<u64> {
        let Range { start, end } = self.range;
        let part = block(end - start, to_u64(self.merged.len()), to_u64(rank));
        start + part.start..start + part.end
    }

    /// Items of a rank's part that are not merged yet.
    fn left(&self, rank: usize) -> u64 {
        let part = self.part(rank);
        part.end - part.start - self.merged[rank]
    }

    fn advance(&mut self, ends: Vec<Vec<u64>>) {
        for rank in 0..self.merged.len() {
            self.merged[rank] += self.left(rank).min(self.slice);
        }
        self.done = ends;
    }
}
