//! From sorted sequences on all ranks to the sorted pieces of this rank's part of the result.
//!
//! The cuts between ranks are exact, so nothing is sent that does not have to change ranks, and all
//! ranks end with as many items, within one. Where the sequences already follow each other, across ranks
//! too, the cuts are known without a search.

use std::ops::Range;

use super::buffer::Buffer;
use super::details::Moved;
use super::direct;
use super::form::{Form, Run};
use super::local::Sequence;
use super::splitters::{Cuts, Keys};
use super::wire::{self, Reader};
use crate::comm::{Comm, Neighbours, address};
use crate::error::Result;
use crate::measure::clock::Stopwatch;
use crate::num::{to_u64, to_usize};
use crate::partition::{block, displacements};

/// What the exchange cost.
#[derive(Clone, Copy, Debug, Default)]
pub struct Costs {
    /// Rounds of the search for the cuts.
    pub rounds: u64,
    /// Seconds of it.
    pub splitters_s: f64,
    /// Seconds of moving items.
    pub exchange_s: f64,
    /// Items that left this rank, or came to it where it fetched them itself.
    pub wire: Moved,
}

/// What came of the sequences of one number, and which items of it are each rank's.
pub type Came = (Sequence, Vec<Range<usize>>);

/// The pieces of this rank's part.
#[derive(Default)]
pub struct Gathered {
    /// What stays here, of each sequence.
    own: Vec<(Sequence, Range<usize>)>,
    /// What came: for the n-th sequence of every rank, that of all ranks in their order.
    came: Vec<Came>,
    rank: usize,
    ranks: usize,
}

impl Gathered {
    /// What stays on this rank, and what came to it.
    pub fn new(
        (rank, ranks): (u64, u64),
        sequences: Vec<Sequence>,
        came: Vec<Came>,
        pieces: &Pieces,
    ) -> Self {
        let (rank, ranks) = (to_usize(rank), to_usize(ranks));
        let own = sequences.into_iter().enumerate();
        let own = own.map(|(number, sequence)| (sequence, pieces.items(number, rank))).collect();
        Self { own, came, rank, ranks }
    }

    /// The pieces in the order of ranks and their sequences, which is that of the input.
    pub fn runs(&self) -> Vec<Run<'_>> {
        let mut runs = Vec::new();
        for rank in 0..self.ranks {
            if rank == self.rank {
                runs.extend(self.own.iter().map(|(sequence, items)| sequence.run(items.clone())));
            } else {
                runs.extend(
                    self.came.iter().map(|(came, of_ranks)| came.run(of_ranks[rank].clone())),
                );
            }
        }
        runs.retain(|run| !run.is_empty());
        runs
    }
}

/// Keys of sequences in memory.
struct InMemory<'a> {
    form: &'a dyn Form,
    sequences: &'a [Sequence],
}

impl Keys for InMemory<'_> {
    fn key_bytes(&self) -> Option<usize> {
        self.form.key_bytes()
    }

    fn in_memory(&self) -> bool {
        true
    }

    fn key(&self, sequence: usize, index: u64, out: &mut Vec<u8>) -> Result<()> {
        self.sequences[sequence].key(self.form, index, out);
        Ok(())
    }
}

/// Collective. Moves items so that every rank has its part of the sorted whole, in sorted pieces; by copying
/// them out of the neighbours' memory, where there are some.
///
/// # Errors
/// When there is no memory for what comes, or that of a rank cannot be read.
pub fn gather(
    comm: &Comm,
    neighbours: Option<&Neighbours<'_>>,
    form: &dyn Form,
    sequences: Vec<Sequence>,
) -> Result<(Gathered, Costs)> {
    let clock = Stopwatch::start();
    let Found { lengths, addresses, in_place } = look(comm, form, &sequences);
    let total = lengths.iter().flatten().sum();
    let targets: Vec<u64> =
        (1..comm.size()).map(|rank| block(total, comm.size(), rank).start).collect();
    let mut costs = Costs::default();
    let (mut cuts, coming) = if in_place {
        let mine = block(total, comm.size(), comm.rank());
        let coming = (0..comm.size()).map(|rank| between(&lengths, rank, &mine)).collect();
        (in_order(&lengths, comm.rank(), &targets), coming)
    } else {
        let keys = InMemory { form, sequences: &sequences };
        let mut search = Cuts::new(comm, &keys, &lengths);
        let cuts = search.find(&targets)?;
        costs.rounds = search.rounds;
        (cuts, search.coming)
    };
    cuts.insert(0, vec![0; sequences.len()]);
    cuts.push(sequences.iter().map(Sequence::len).collect());
    costs.splitters_s = clock.seconds();

    let clock = Stopwatch::start();
    let most = lengths.iter().map(Vec::len).max().unwrap_or(0);
    let mut pieces = Pieces { cuts, coming, most };
    let gathered = match neighbours {
        Some(neighbours) => {
            pieces.learn_what_comes(comm);
            let came = direct::fetch(neighbours, &addresses, form, &pieces, &mut costs);
            // What others still read stays as it is until all have come here.
            let came = comm.agree(came)?;
            Gathered::new((comm.rank(), comm.size()), sequences, came, &pieces)
        }
        None => exchange(comm, form, sequences, &pieces, &mut costs)?,
    };
    costs.exchange_s = clock.seconds();
    Ok((gathered, costs))
}

/// What a rank tells about its sequences.
struct Edges {
    /// How many items each has.
    lengths: Vec<u64>,
    /// Where they begin in the rank's memory.
    addresses: Vec<u64>,
    /// Each ends no later than the next begins.
    ordered: bool,
    /// First and last key, if there is any item.
    keys: Option<(Vec<u8>, Vec<u8>)>,
}

impl Edges {
    /// Of these sequences.
    fn of(form: &dyn Form, sequences: &[Sequence]) -> Self {
        let filled: Vec<&Sequence> = sequences.iter().filter(|one| one.len() > 0).collect();
        let key = |sequence: &Sequence, item| {
            let mut key = Vec::new();
            sequence.key(form, item, &mut key);
            key
        };
        let first = |sequence: &Sequence| key(sequence, 0);
        let last = |sequence: &Sequence| key(sequence, sequence.len() - 1);
        Self {
            lengths: sequences.iter().map(Sequence::len).collect(),
            addresses: sequences.iter().map(|sequence| address(&sequence.items)).collect(),
            ordered: filled.windows(2).all(|pair| last(pair[0]) <= first(pair[1])),
            keys: filled.first().zip(filled.last()).map(|(a, b)| (first(a), last(b))),
        }
    }

    /// As a message.
    fn to_bytes(&self) -> Vec<u8> {
        let mut words = vec![to_u64(self.lengths.len()), u64::from(self.ordered)];
        words.extend(&self.lengths);
        words.extend(&self.addresses);
        words.push(self.keys.as_ref().map_or(u64::MAX, |(first, _)| to_u64(first.len())));
        let mut bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        if let Some((first, last)) = &self.keys {
            bytes.extend_from_slice(first);
            bytes.extend_from_slice(last);
        }
        bytes
    }

    /// From one.
    fn from_bytes(bytes: &[u8]) -> Self {
        let mut rest = bytes;
        let mut next = || {
            let (word, tail) = rest.split_first_chunk::<8>().expect("as it was written");
            rest = tail;
            u64::from_le_bytes(*word)
        };
        let (count, ordered) = (next(), next() == 1);
        let lengths = (0..count).map(|_| next()).collect();
        let addresses = (0..count).map(|_| next()).collect();
        let first = next();
        let keys = (first != u64::MAX).then(|| {
            let (first, last) = rest.split_at(to_usize(first));
            (first.to_vec(), last.to_vec())
        });
        Self { lengths, addresses, ordered, keys }
    }
}

/// What all ranks have.
struct Found {
    /// Of the sequences of each.
    lengths: Vec<Vec<u64>>,
    /// Where they begin in its memory.
    addresses: Vec<Vec<u64>>,
    /// They are the sorted whole as they lie.
    in_place: bool,
}

/// Collective.
fn look(comm: &Comm, form: &dyn Form, sequences: &[Sequence]) -> Found {
    let edges = comm.gather_bytes(&Edges::of(form, sequences).to_bytes());
    let edges: Vec<Edges> = edges.iter().map(|bytes| Edges::from_bytes(bytes)).collect();
    let mut out = Vec::new();
    wire::put(u64::from(follow_each_other(&edges)), &mut out);
    for Edges { lengths, addresses, .. } in edges {
        wire::put(to_u64(lengths.len()), &mut out);
        for number in lengths.iter().chain(&addresses) {
            wire::put(*number, &mut out);
        }
    }
    let told = comm.hand_out_bytes(&out);
    let mut told = Reader(&told);
    let in_place = told.number() == 1;
    let (mut lengths, mut addresses) = (Vec::new(), Vec::new());
    for _ in 0..comm.size() {
        let count = told.number();
        lengths.push((0..count).map(|_| told.number()).collect());
        addresses.push((0..count).map(|_| told.number()).collect());
    }
    Found { lengths, addresses, in_place }
}

/// Whether all sequences, one behind the other, are the sorted whole.
fn follow_each_other(edges: &[Edges]) -> bool {
    let keys: Vec<_> = edges.iter().filter_map(|edges| edges.keys.as_ref()).collect();
    edges.iter().all(|edges| edges.ordered) && keys.windows(2).all(|pair| pair[0].1 <= pair[1].0)
}

/// The cuts through sequences that follow each other.
fn in_order(lengths: &[Vec<u64>], rank: u64, targets: &[u64]) -> Vec<Vec<u64>> {
    let before: u64 = lengths[..to_usize(rank)].iter().flatten().sum();
    let cut = |target: &u64| {
        let mut start = before;
        let place = |&length: &u64| {
            let place = target.saturating_sub(start).min(length);
            start += length;
            place
        };
        lengths[to_usize(rank)].iter().map(place).collect()
    };
    targets.iter().map(cut).collect()
}

/// Which items of a rank's sequences that follow each other lie in a range of all items.
fn between(lengths: &[Vec<u64>], rank: u64, items: &Range<u64>) -> Vec<Range<u64>> {
    let cuts = in_order(lengths, rank, &[items.start, items.end]);
    cuts[0].iter().zip(&cuts[1]).map(|(start, end)| *start..*end).collect()
}

/// What goes where.
pub struct Pieces {
    /// For each rank, where its part begins in each sequence of this rank, and the end of all.
    cuts: Vec<Vec<u64>>,
    /// Which items of each sequence of each rank come to this one; empty where that is not known.
    pub coming: Vec<Vec<Range<u64>>>,
    /// Most sequences of a rank.
    pub most: usize,
}

impl Pieces {
    /// Items of a sequence for a rank.
    pub fn items(&self, sequence: usize, rank: usize) -> Range<usize> {
        to_usize(self.cuts[rank][sequence])..to_usize(self.cuts[rank + 1][sequence])
    }

    /// Collective. Asks all ranks, unless that is known.
    fn learn_what_comes(&mut self, comm: &Comm) {
        if !self.coming.is_empty() {
            return;
        }
        self.coming.resize(self.cuts.len() - 1, Vec::new());
        for number in 0..self.most {
            let place = |cuts: &Vec<u64>| cuts.get(number).copied().unwrap_or(0);
            let places: Vec<u64> = self.cuts.iter().map(place).collect();
            let starts = comm.exchange_counts(&places[..places.len() - 1]);
            let ends = comm.exchange_counts(&places[1..]);
            for (items, (start, end)) in self.coming.iter_mut().zip(starts.into_iter().zip(ends)) {
                items.push(start..end);
            }
        }
    }

    /// How many bytes of each rank's sequence of this number come to this rank from the others.
    pub fn bytes_coming(&self, me: u64, item: u64, number: usize) -> Vec<u64> {
        let bytes = |(rank, items): (u64, &Vec<Range<u64>>)| match items.get(number) {
            Some(items) if rank != me => (items.end - items.start) * item,
            _ => 0,
        };
        (0..).zip(&self.coming).map(bytes).collect()
    }

    /// Collective. The same, of those leaving where it is not known.
    fn expected(&self, comm: &Comm, form: &dyn Form, number: usize, leaving: &[u64]) -> Vec<u64> {
        let Some(item) = form.item_bytes().filter(|_| !self.coming.is_empty()) else {
            return comm.exchange_counts(leaving);
        };
        self.bytes_coming(comm.rank(), to_u64(item), number)
    }
}

/// Collective. Sends what lies between the cuts to the ranks there.
fn exchange(
    comm: &Comm,
    form: &dyn Form,
    sequences: Vec<Sequence>,
    pieces: &Pieces,
    costs: &mut Costs,
) -> Result<Gathered> {
    let (rank, ranks) = (to_usize(comm.rank()), to_usize(comm.size()));
    let mut came_in = Vec::new();
    if ranks > 1 {
        let nothing = Sequence::new(form, Buffer::default());
        for number in 0..pieces.most {
            let sequence = sequences.get(number).unwrap_or(&nothing);
            let bytes = |to: usize| match sequences.get(number) {
                Some(sequence) if to != rank => sequence.index.bytes(pieces.items(number, to)),
                _ => 0..0,
            };
            let ranges: Vec<Range<usize>> = (0..ranks).map(bytes).collect();
            let counts: Vec<u64> = ranges.iter().map(|range| to_u64(range.len())).collect();
            let expected = pieces.expected(comm, form, number, &counts);
            let mut came = comm.agree(Buffer::zeroed(expected.iter().sum()))?;
            let clock = Stopwatch::start();
            comm.exchange_into(&sequence.items, &ranges, &mut came, &behind(&expected));
            let moved = Moved { bytes: counts.iter().sum(), seconds: clock.seconds() };
            costs.wire = costs.wire.and(moved);
            came_in.push(parts(form, came, &expected));
        }
    }
    Ok(Gathered::new((comm.rank(), comm.size()), sequences, came_in, pieces))
}

/// Byte ranges of these lengths, one behind the other.
pub fn behind(lengths: &[u64]) -> Vec<Range<usize>> {
    let starts = displacements(lengths).into_iter().zip(lengths);
    starts.map(|(start, bytes)| to_usize(start)..to_usize(start + bytes)).collect()
}

/// What came, cut into what each rank sent.
pub fn parts(form: &dyn Form, came: Buffer, bytes: &[u64]) -> Came {
    let sequence = Sequence::new(form, came);
    let mut at = 0;
    let piece = |&bytes: &u64| {
        let start = sequence.index.item_at(at);
        at += to_usize(bytes);
        start..sequence.index.item_at(at)
    };
    let pieces = bytes.iter().map(piece).collect();
    (sequence, pieces)
}
