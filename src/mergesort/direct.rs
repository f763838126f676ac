//! As `gather`, for ranks of one machine that may read each other's memory.
//!
//! With many ranks on few cores what takes the time is waking them for messages. So each rank tells root once
//! where its sequences lie and a few samples of them, root tells each rank the rough place of the cut before
//! its part, and the rank finds it by looking at single keys, has the cut behind its part from the
//! next rank, and copies what lies between. All ranks wait for each other twice: for root, and at the end,
//! until when nobody's sequences may change. Costs a rank about fifteen looks at every sequence, which for
//! parts of a megabyte on 64 ranks is less than a hundredth of what has to move.

use std::ops::Range;

use super::buffer::Buffer;
use super::details::Moved;
use super::form::Form;
use super::gather::{self, Costs, Edges, Gathered};
use super::known::Came;
use super::local::Sequence;
use super::select::aim::{Known, brackets, spread};
use super::select::probe;
use super::wire::{self, Reader};
use crate::comm::{Comm, Neighbours, address};
use crate::error::{Error, Result};
use crate::measure::clock::Stopwatch;
use crate::num::{floor_u64, len_f64, to_f64, to_u64, to_usize};
use crate::partition::block;

/// Samples of a sequence, ...
const SAMPLES: u64 = 64;

/// ... when there are few sequences so many of all together, ...
const SAMPLES_IN_ALL: u64 = 4096;

/// ... but of long keys no more than so many bytes.
const SAMPLE_BYTES: u64 = 1 << 14;

/// Collective. The neighbours, where items can be had from them without asking: those of one size.
/// `DCOMP_SPLITTERS=central` or `everywhere` forbids it in tests.
pub fn neighbours<'a>(comm: &'a Comm, form: &dyn Form) -> Option<Neighbours<'a>> {
    let forced = std::env::var("DCOMP_SPLITTERS").is_ok_and(|way| way != "direct");
    if forced || form.item_bytes().is_none() { None } else { comm.neighbours() }
}

/// Collective. Moves items so that every rank has its part of the sorted whole, in sorted pieces.
///
/// # Errors
/// When there is no memory for what comes, or that of a rank cannot be read.
pub fn gather(
    comm: &Comm,
    neighbours: &Neighbours<'_>,
    form: &dyn Form,
    sequences: Vec<Sequence>,
) -> Result<(Gathered, Costs)> {
    let clock = Stopwatch::start();
    let mut costs = Costs::default();
    let told = look(comm, form, &sequences);
    let part = block(told.lengths.iter().flatten().sum(), comm.size(), comm.rank());
    let cuts = if let Some(brackets) = &told.brackets {
        costs.rounds = 1;
        let mut remote = Remote::new(comm, neighbours, form, &sequences, &told);
        let start = remote.cut(part.start, brackets);
        let end = comm.pass_back(&start.as_ref().map_or_else(|_| Vec::new(), |cut| pack(cut)));
        start.map(|start| (start, unpack(&end, &told.lengths)))
    } else {
        let cut = |target| told.in_order(comm.size(), target);
        Ok((cut(part.start), cut(part.end)))
    };
    costs.splitters_s = clock.seconds();
    let clock = Stopwatch::start();
    let gathered = cuts.and_then(|(start, end)| {
        let between = Between { told: &told, start: &start, end: &end };
        fetch(comm, neighbours, form, sequences, &between, &mut costs)
    });
    // What others still read stays as it is until all have come here.
    let gathered = comm.agree(gathered)?;
    costs.exchange_s = clock.seconds();
    Ok((gathered, costs))
}

/// What root told this rank.
struct Told {
    /// Of the sequences of all ranks.
    lengths: Vec<Vec<u64>>,
    /// Where they begin in their rank's memory.
    addresses: Vec<Vec<u64>>,
    /// Where in each of them the cut before this rank's part lies; nothing when all follow each other.
    brackets: Option<Vec<Range<u64>>>,
}

impl Told {
    /// The cut through sequences that follow each other.
    fn in_order(&self, ranks: u64, target: u64) -> Vec<u64> {
        let cut = |rank| gather::in_order(&self.lengths, rank, &[target]).remove(0);
        (0..ranks).flat_map(cut).collect()
    }

    fn first_of(&self, rank: usize) -> usize {
        self.lengths[..rank].iter().map(Vec::len).sum()
    }
}

/// Every how many items a sequence is sampled, one of so many on each rank.
fn gap(comm: &Comm, sequences: usize, width: usize, length: u64) -> u64 {
    let samples = SAMPLES.max(SAMPLES_IN_ALL / (comm.size() * to_u64(sequences)));
    length.div_ceil(samples.min(SAMPLE_BYTES / to_u64(width)).max(1)).max(1)
}

fn width(form: &dyn Form) -> usize {
    form.key_bytes().expect("items of one size have keys of one size")
}

/// Collective. What all ranks have, and where to search.
fn look(comm: &Comm, form: &dyn Form, sequences: &[Sequence]) -> Told {
    let (mut mine, edges) = (Vec::new(), Edges::of(form, sequences).to_bytes());
    wire::put(to_u64(edges.len()), &mut mine);
    mine.extend(edges);
    for sequence in sequences {
        wire::put(address(&sequence.items), &mut mine);
    }
    for (number, sequence) in sequences.iter().enumerate() {
        let gap = gap(comm, sequences.len(), width(form), sequence.len());
        let shift = to_usize(comm.rank()) * sequences.len() + number;
        for place in spread(0..sequence.len(), gap, shift) {
            sequence.key(form, place, &mut mine);
        }
    }
    let came = comm.gather_bytes(&mine);
    let told = if comm.is_root() { tell(comm, form, &came) } else { Vec::new() };
    let told = comm.scatter_bytes(told);
    let mut told = Reader(&told);
    let in_place = told.number() == 1;
    let (mut lengths, mut addresses) = (Vec::new(), Vec::new());
    for _ in 0..comm.size() {
        let count = told.number();
        let pairs = (0..count).map(|_| (told.number(), told.number()));
        let (of_rank, places): (Vec<u64>, Vec<u64>) = pairs.unzip();
        lengths.push(of_rank);
        addresses.push(places);
    }
    let mut bracket = |_: &u64| {
        let start = told.number();
        start..start + told.number()
    };
    let brackets = (!in_place).then(|| lengths.iter().flatten().map(&mut bracket).collect());
    Told { lengths, addresses, brackets }
}

/// What root tells each rank.
fn tell(comm: &Comm, form: &dyn Form, came: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let mut readers: Vec<Reader<'_>> = came.iter().map(|bytes| Reader(bytes)).collect();
    let edges: Vec<Edges> = readers
        .iter_mut()
        .map(|reader| {
            let bytes = reader.number();
            Edges::from_bytes(reader.bytes(to_usize(bytes)))
        })
        .collect();
    let in_place = gather::follow_each_other(&edges);
    let mut common = Vec::new();
    wire::put(u64::from(in_place), &mut common);
    for (edges, reader) in edges.iter().zip(&mut readers) {
        wire::put(to_u64(edges.lengths.len()), &mut common);
        for &length in &edges.lengths {
            wire::put(length, &mut common);
            wire::put(reader.number(), &mut common);
        }
    }
    if in_place {
        return vec![common; came.len()];
    }
    let (mut keys, mut known, mut whole) = (Came::default(), Vec::new(), Vec::new());
    for (rank, (edges, reader)) in edges.iter().zip(&mut readers).enumerate() {
        let count = edges.lengths.len();
        for (number, &length) in edges.lengths.iter().enumerate() {
            let gap = gap(comm, count, width(form), length);
            for place in spread(0..length, gap, rank * count + number) {
                let key = keys.take(reader.bytes(width(form)));
                known.push(Known { key, sequence: whole.len(), place });
            }
            whole.push(0..length);
        }
    }
    keys.sort(&mut known);
    let total = whole.iter().map(|whole| whole.end).sum();
    let starts = (0..comm.size()).map(|rank| block(total, comm.size(), rank).start);
    let told = brackets(&whole, &known, &starts.collect::<Vec<_>>()).into_iter().map(|brackets| {
        let mut told = common.clone();
        for bracket in brackets {
            wire::put(bracket.start, &mut told);
            wire::put(bracket.end - bracket.start, &mut told);
        }
        told
    });
    told.collect()
}

fn pack(numbers: &[u64]) -> Vec<u8> {
    let mut out = Vec::new();
    for &number in numbers {
        wire::put(number, &mut out);
    }
    out
}

/// The next rank's cut; the ends behind the last rank, and behind one that failed.
fn unpack(bytes: &[u8], lengths: &[Vec<u64>]) -> Vec<u64> {
    let mut reader = Reader(bytes);
    let all = lengths.iter().flatten();
    all.map(|&length| if bytes.is_empty() { length } else { reader.number() }).collect()
}

/// The sequences of all ranks, looked at one key at a time.
struct Remote<'a> {
    neighbours: &'a Neighbours<'a>,
    form: &'a dyn Form,
    me: u64,
    own: &'a [Sequence],
    /// The number of the first of them among those of all ranks.
    first: usize,
    /// Rank, address and length of each.
    all: Vec<(u64, u64, u64)>,
    /// The one that all others are taken to be like.
    model: Option<&'a Sequence>,
    item: Vec<u8>,
    key: Vec<u8>,
}

impl<'a> Remote<'a> {
    fn new(
        comm: &Comm,
        neighbours: &'a Neighbours<'a>,
        form: &'a dyn Form,
        own: &'a [Sequence],
        told: &Told,
    ) -> Self {
        let of_rank = |(rank, (lengths, addresses)): (u64, (&Vec<u64>, &Vec<u64>))| {
            let pairs = addresses.iter().zip(lengths);
            pairs.map(|(&address, &length)| (rank, address, length)).collect::<Vec<_>>()
        };
        Self {
            neighbours,
            form,
            me: comm.rank(),
            own,
            first: told.first_of(to_usize(comm.rank())),
            all: (0..).zip(told.lengths.iter().zip(&told.addresses)).flat_map(of_rank).collect(),
            model: own.iter().max_by_key(|sequence| sequence.len()).filter(|one| one.len() > 0),
            item: vec![0; width(form)],
            key: Vec::new(),
        }
    }

    fn cut(&mut self, target: u64, brackets: &[Range<u64>]) -> Result<Vec<u64>> {
        let total: u64 = self.all.iter().map(|(_, _, length)| length).sum();
        let part = to_f64(target) / to_f64(total.max(1));
        let guess = |&(_, _, length): &(u64, u64, u64)| floor_u64(to_f64(length) * part);
        let guesses: Vec<u64> = self.all.iter().map(guess).collect();
        probe::cut(self, target, brackets, &guesses)
    }

    /// How many items of the model come before a key.
    fn rank(&mut self, model: &Sequence, key: &[u8]) -> f64 {
        let (mut low, mut high) = (0, model.len());
        while low < high {
            let middle = low.midpoint(high);
            self.key.clear();
            model.key(self.form, middle, &mut self.key);
            if &self.key[..] < key { low = middle + 1 } else { high = middle }
        }
        to_f64(low)
    }
}

impl probe::Sequences for Remote<'_> {
    type Key = Vec<u8>;
    type Error = Error;

    fn key(&mut self, sequence: usize, place: u64) -> Result<Vec<u8>> {
        let (rank, address, _) = self.all[sequence];
        let mut key = Vec::with_capacity(self.item.len());
        if rank == self.me {
            self.own[sequence - self.first].key(self.form, place, &mut key);
        } else {
            // Its key stands at the beginning of an item.
            let item = to_u64(self.form.item_bytes().expect("items of one size"));
            self.neighbours.read(rank, address + place * item, &mut self.item)?;
            self.form.key(&self.item, &mut key);
        }
        Ok(key)
    }

    fn distance(&mut self, sequence: usize, from: &Vec<u8>, to: &Vec<u8>) -> f64 {
        let Some(model) = self.model else { return 0.0 };
        let scale = to_f64(self.all[sequence].2) / len_f64(to_usize(model.len()));
        (self.rank(model, to) - self.rank(model, from)) * scale
    }
}

/// What belongs to this rank's part.
struct Between<'a> {
    told: &'a Told,
    /// The cuts before and behind it, through the sequences of all ranks.
    start: &'a [u64],
    end: &'a [u64],
}

impl Between<'_> {
    /// Items of a rank's sequence, none when it has not so many sequences.
    fn items(&self, rank: usize, number: usize) -> Range<u64> {
        if number >= self.told.lengths[rank].len() {
            return 0..0;
        }
        let at = self.told.first_of(rank) + number;
        self.start[at]..self.end[at]
    }
}

/// Copies this rank's part out of the others' memory. Local.
fn fetch(
    comm: &Comm,
    neighbours: &Neighbours<'_>,
    form: &dyn Form,
    sequences: Vec<Sequence>,
    between: &Between<'_>,
    costs: &mut Costs,
) -> Result<Gathered> {
    let (me, ranks) = (to_usize(comm.rank()), to_usize(comm.size()));
    let item = to_u64(form.item_bytes().expect("items of one size"));
    let most = between.told.lengths.iter().map(Vec::len).max().unwrap_or(0);
    let mut came = Vec::new();
    for number in 0..most {
        let bytes = |rank: usize| {
            let items = between.items(rank, number);
            if rank == me { 0 } else { item * (items.end - items.start) }
        };
        let sizes: Vec<u64> = (0..ranks).map(bytes).collect();
        let mut buffer = Buffer::zeroed(sizes.iter().sum())?;
        let places = gather::behind(&sizes);
        let clock = Stopwatch::start();
        // Everybody begins with another.
        for rank in (me + 1..ranks).chain(0..me).filter(|&rank| sizes[rank] > 0) {
            let from = between.told.addresses[rank][number];
            let from = from + item * between.items(rank, number).start;
            neighbours.read(to_u64(rank), from, &mut buffer[places[rank].clone()])?;
        }
        costs.wire = costs.wire.and(Moved { bytes: sizes.iter().sum(), seconds: clock.seconds() });
        came.push(gather::parts(form, buffer, &sizes));
    }
    let own = sequences.into_iter().enumerate().map(|(number, sequence)| {
        let items = between.items(me, number);
        (sequence, to_usize(items.start)..to_usize(items.end))
    });
    Ok(Gathered::new(comm, own.collect(), came))
}
