//! Exact splitters, searched by root for all cuts at once.
//!
//! Root gathers samples of all sequences once, the same for all cuts, and tells all ranks two keys to probe
//! for each; the ranks answer how many of their items lie before either, and a few keys in between. At the
//! end each rank is told its own cuts and what comes to it of every sequence. So a round is one
//! broadcast and one message from each rank, and few bytes; but root handles all answers, which grow
//! with ranks x cuts: for some hundreds of ranks. Keys must be in memory: a probe looks at many.

use std::ops::Range;

use super::known::{Came, Key};
use super::select::aim::{Aim, Known, Levels, Ranks, Segment, Told, spread};
use super::splitters::Keys;
use super::wire::{self, Reader};
use crate::comm::Comm;
use crate::num::{to_u64, to_usize};

/// Samples of the first round, for each sequence on the average, ...
const FIRST: u64 = 256;

/// ... and for all together, at the least.
const FIRST_IN_ALL: u64 = 4096;

/// ... but of long keys no more bytes of a sequence than this, or a few keys.
const FIRST_BYTES: u64 = 16 << 10;
const FIRST_AT_LEAST: u64 = 16;

/// Samples of the first round, of keys of so many bytes.
fn first_samples(sequences: u64, width: Option<usize>) -> u64 {
    let most = width.map_or(u64::MAX, |width| FIRST_BYTES / to_u64(width.max(1)));
    FIRST_IN_ALL.max(FIRST * sequences).min(most.max(FIRST_AT_LEAST).saturating_mul(sequences))
}

/// About what root holds for a sequence a thread of every rank, with so many items in all, of keys of so many
/// bytes: samples, and as much of what came between probes.
pub fn root_bytes((ranks, threads): (u64, u64), items: u64, key: usize) -> u64 {
    let sequences = ranks.saturating_mul(threads);
    if ranks == 1 || !is_for((ranks - 1).saturating_mul(sequences)) {
        return 0;
    }
    let samples = first_samples(sequences, Some(key)).min(items);
    2 * samples * to_u64(key + size_of::<Known<Key>>())
}

/// Cuts times sequences that root searches in no more time than messages between all pairs of ranks would
/// take: those of 362 ranks.
pub fn is_for(cuts_times_sequences: u64) -> bool {
    cuts_times_sequences <= 1 << 17
}

/// What a rank is told at the end.
pub struct Found {
    /// For each target, how many items of each of this rank's sequences lie before the cut.
    pub cuts: Vec<Vec<u64>>,
    /// For each rank and each of its sequences, which of its items lie between the cut of this rank's
    /// number less one and that of its number, where the first and the last rank's are the ends.
    pub coming: Vec<Vec<Range<u64>>>,
    /// Rounds taken.
    pub rounds: u64,
}

/// Collective. As [`super::splitters::Cuts::find`].
///
/// # Panics
/// When a key cannot be read.
pub fn find(comm: &Comm, keys: &dyn Keys, lengths: &[Vec<u64>], targets: &[u64]) -> Found {
    let me = to_usize(comm.rank());
    let first = lengths[..me].iter().map(Vec::len).sum();
    let mine = Mine { keys, lengths: &lengths[me], first };
    let total: u64 = lengths.iter().flatten().sum();
    let sequences = to_u64(lengths.iter().map(Vec::len).sum());
    let gap = total.div_ceil(first_samples(sequences, keys.key_bytes())).max(1);
    let mut root = comm.is_root().then(|| Root::new(lengths, targets, keys.key_bytes()));
    let mut watched = mine.watch(targets.len());
    let came = comm.gather_bytes(&mine.samples(gap));
    let mut orders = root.as_mut().map_or_else(Vec::new, |root| root.begin(&came, gap));
    drop(came);
    let mut rounds = 1;
    loop {
        let told = comm.hand_out_bytes(&orders);
        let answers = mine.answer(&told, &mut watched);
        if watched.is_empty() {
            break;
        }
        rounds += 1;
        let came = comm.gather_bytes(&answers);
        orders = root.as_mut().map_or_else(Vec::new, |root| root.go_on(&came));
    }
    let told = comm.scatter_bytes(root.map_or_else(Vec::new, Root::conclude));
    let mut told = Reader(&told);
    let mut last = vec![0_u64; mine.lengths.len()];
    let mut next = || {
        for place in &mut last {
            *place = place.wrapping_add(told.number());
        }
        last.clone()
    };
    let cuts = targets.iter().map(|_| next()).collect();
    let mut items = |_: &u64| {
        let start = told.number();
        start..start + told.number()
    };
    let coming = |lengths: &Vec<u64>| lengths.iter().map(&mut items).collect();
    let coming = if targets.len() + 1 == lengths.len() {
        lengths.iter().map(coming).collect()
    } else {
        Vec::new()
    };
    Found { cuts, coming, rounds }
}

/// A search as all ranks see it.
struct Watched {
    /// Of this rank's sequences.
    brackets: Vec<Range<u64>>,
    levels: Vec<Levels>,
}

/// The first byte of an order: what the last answers meant ...
const FOUND: u8 = 0;
const BEFORE: u8 = 1;
const BETWEEN: u8 = 2;
const BEHIND: u8 = 3;
const WHOLE: u8 = 4;
/// ... and which keys follow.
const LOW: u8 = 8;
const HIGH: u8 = 16;

/// This rank's sequences.
struct Mine<'a> {
    keys: &'a dyn Keys,
    lengths: &'a [u64],
    /// The number of the first of them among those of all ranks.
    first: usize,
}

impl Mine<'_> {
    fn key(&self, sequence: usize, place: u64, out: &mut Vec<u8>) {
        self.keys.key(sequence, place, out).expect("keys in memory can be read");
    }

    fn watch(&self, cuts: usize) -> Vec<Watched> {
        let brackets: Vec<_> = self.lengths.iter().map(|&length| 0..length).collect();
        (0..cuts).map(|_| Watched { brackets: brackets.clone(), levels: Vec::new() }).collect()
    }

    fn put_keys(&self, sequence: usize, places: impl Iterator<Item = u64>, out: &mut Vec<u8>) {
        let (width, mut key) = (self.keys.key_bytes(), Vec::new());
        for place in places {
            key.clear();
            self.key(sequence, place, &mut key);
            wire::put_key(&key, width, out);
        }
    }

    /// Samples of all sequences.
    fn samples(&self, gap: u64) -> Vec<u8> {
        let mut out = Vec::new();
        for (sequence, &length) in self.lengths.iter().enumerate() {
            self.put_keys(sequence, spread(0..length, gap, self.first + sequence), &mut out);
        }
        out
    }

    /// Does what root orders for each search, and drops those that are over.
    fn answer(&self, orders: &[u8], watched: &mut Vec<Watched>) -> Vec<u8> {
        let (mut orders, mut out) = (Reader(orders), Vec::new());
        watched.retain_mut(|watched| {
            let first = orders.bytes(1)[0];
            let segment = match first & 7 {
                FOUND => return false,
                BEFORE => Some(Segment::Before),
                BETWEEN => Some(Segment::Between),
                BEHIND => Some(Segment::Behind),
                _ => None,
            };
            if let Some(segment) = segment {
                for (bracket, levels) in watched.brackets.iter_mut().zip(&watched.levels) {
                    *bracket = segment.of(bracket, levels);
                }
            }
            let gap = orders.number();
            let low = (first & LOW > 0).then(|| orders.key(None));
            let high = (first & HIGH > 0).then(|| orders.key(None));
            let brackets = watched.brackets.iter().enumerate();
            watched.levels =
                brackets.map(|(at, bracket)| self.levels(at, bracket, low, high)).collect();
            for (sequence, bracket) in watched.brackets.iter().enumerate() {
                let [a, b, c, d] = watched.levels[sequence];
                for number in [a - bracket.start, b - a, c - a, d - c] {
                    wire::put(number, &mut out);
                }
                self.put_keys(sequence, spread(b..c.max(b), gap, self.first + sequence), &mut out);
            }
            true
        });
        out
    }

    /// How far the items of a bracket go before and up to two keys.
    fn levels(
        &self,
        sequence: usize,
        bracket: &Range<u64>,
        low: Option<&[u8]>,
        high: Option<&[u8]>,
    ) -> Levels {
        let end = bracket.end;
        let [a, b] = low.map_or([bracket.start; 2], |low| self.around(sequence, bracket, low));
        let [c, d] = high.map_or([end; 2], |high| self.around(sequence, &(a..end), high));
        [a, b, c, d]
    }

    /// How far the items of a bracket go before a key, and up to it.
    fn around(&self, sequence: usize, bracket: &Range<u64>, probe: &[u8]) -> [u64; 2] {
        let mut key = Vec::new();
        let mut is = |place: u64, wanted: fn(&[u8], &[u8]) -> bool| {
            key.clear();
            self.key(sequence, place, &mut key);
            wanted(&key, probe)
        };
        let before = partition_point(bracket.clone(), |place| is(place, |key, probe| key < probe));
        // Most probes meet no equal key, or but one.
        if before == bracket.end || !is(before, |key, probe| key == probe) {
            return [before; 2];
        }
        let rest = before + 1..bracket.end;
        [before, partition_point(rest, |place| is(place, |key, probe| key == probe))]
    }
}

/// The first place that is not `before`, of which all are before all others.
fn partition_point(places: Range<u64>, mut before: impl FnMut(u64) -> bool) -> u64 {
    let Range { start: mut low, end: mut high } = places;
    while low < high {
        let middle = low.midpoint(high);
        if before(middle) { low = middle + 1 } else { high = middle }
    }
    low
}

/// The beginning of the second of two keys by which it is greater than the first.
fn shortest<'k>(first: &[u8], second: &'k [u8]) -> &'k [u8] {
    let same = first.iter().zip(second).take_while(|(a, b)| a == b).count();
    &second[..=same]
}

/// A search that goes on.
struct Search {
    cut: usize,
    aim: Aim,
    /// In order; `None` while it is what all searches began with.
    known: Option<Vec<Known<Key>>>,
    gap: u64,
}

/// What root knows.
struct Root<'a> {
    lengths: &'a [Vec<u64>],
    width: Option<usize>,
    came: Came,
    first: Vec<Known<Key>>,
    searches: Vec<Search>,
    found: Vec<Vec<u64>>,
}

impl<'a> Root<'a> {
    fn new(lengths: &'a [Vec<u64>], targets: &[u64], width: Option<usize>) -> Self {
        let whole: Vec<_> = lengths.iter().flatten().map(|&length| 0..length).collect();
        let searches = targets.iter().enumerate().map(|(cut, &target)| Search {
            cut,
            aim: Aim::new(target, whole.clone()),
            known: None,
            gap: 1,
        });
        Self {
            lengths,
            width,
            came: Came::default(),
            first: Vec::new(),
            searches: searches.collect(),
            found: vec![Vec::new(); targets.len()],
        }
    }

    /// Takes the first samples; the first orders.
    fn begin(&mut self, came: &[Vec<u8>], gap: u64) -> Vec<u8> {
        let mut sequence = 0;
        for (bytes, lengths) in came.iter().zip(self.lengths) {
            let mut bytes = Reader(bytes);
            for &length in lengths {
                for place in spread(0..length, gap, sequence) {
                    let key = self.came.take(bytes.key(self.width));
                    self.first.push(Known { key, sequence, place });
                }
                sequence += 1;
            }
        }
        self.came.sort(&mut self.first);
        let Some(search) = self.searches.first() else { return Vec::new() };
        let ranks = Ranks::of(&search.aim.brackets, &self.first);
        let mut orders = Vec::new();
        for mut search in std::mem::take(&mut self.searches) {
            if let Some(cut) = search.aim.end(&self.first) {
                self.found[search.cut] = cut;
                orders.push(FOUND);
            } else {
                self.order(&mut search, WHOLE, &ranks, &mut orders);
                self.searches.push(search);
            }
        }
        orders
    }

    /// Appends what all ranks are to do for a search.
    fn order(&self, search: &mut Search, told: u8, ranks: &Ranks, orders: &mut Vec<u8>) {
        let probes = search.aim.probes(ranks);
        search.gap = search.aim.gap(ranks, probes);
        let known = search.known.as_ref().unwrap_or(&self.first);
        let flag = |probe: Option<usize>, flag| if probe.is_some() { flag } else { 0 };
        orders.push(told | flag(probes[0], LOW) | flag(probes[1], HIGH));
        wire::put(search.gap, orders);
        if let Some(at) = probes[0] {
            wire::put_key(self.before(known, at), None, orders);
        }
        if let Some(at) = probes[1] {
            wire::put_key(self.behind(known, at), None, orders);
        }
    }

    /// The shortest key that separates a known item from the one before; its own beside equal ones, which
    /// are counted together.
    fn before<'k>(&'k self, known: &'k [Known<Key>], at: usize) -> &'k [u8] {
        let (last, own, next) = self.neighbours(known, at);
        let alone = next.is_none_or(|next| own < next);
        last.filter(|last| alone && *last < own).map_or(own, |last| shortest(last, own))
    }

    /// The shortest key that separates a known item from the next.
    fn behind<'k>(&'k self, known: &'k [Known<Key>], at: usize) -> &'k [u8] {
        let (last, own, next) = self.neighbours(known, at);
        let alone = last.is_none_or(|last| last < own);
        next.filter(|next| alone && own < *next).map_or(own, |next| shortest(own, next))
    }

    /// The keys of a known item and of those beside it.
    fn neighbours<'k>(
        &'k self,
        known: &[Known<Key>],
        at: usize,
    ) -> (Option<&'k [u8]>, &'k [u8], Option<&'k [u8]>) {
        let key = |at: usize| known.get(at).map(|item| self.came.bytes(&item.key));
        (at.checked_sub(1).and_then(key), self.came.bytes(&known[at].key), key(at + 1))
    }

    /// Takes answers; the next orders.
    fn go_on(&mut self, came: &[Vec<u8>]) -> Vec<u8> {
        let mut answers: Vec<Reader<'_>> = came.iter().map(|bytes| Reader(bytes)).collect();
        let mut orders = Vec::new();
        for mut search in std::mem::take(&mut self.searches) {
            let (levels, between) = self.take(&search, &mut answers);
            let told = search.aim.narrow(&levels);
            let (cut, told) = match told {
                Told::Found(cut) => (Some(cut), FOUND),
                Told::Within(Segment::Between) => {
                    let cut = search.aim.end(&between);
                    search.known = Some(between);
                    (cut, BETWEEN)
                }
                Told::Within(segment) => {
                    let mut known = search.known.take().unwrap_or_else(|| self.first.clone());
                    let brackets = &search.aim.brackets;
                    known.retain(|item| brackets[item.sequence].contains(&item.place));
                    search.known = Some(known);
                    (None, if segment == Segment::Before { BEFORE } else { BEHIND })
                }
            };
            if let Some(cut) = cut {
                self.found[search.cut] = cut;
                orders.push(FOUND);
            } else {
                let known = search.known.as_deref().unwrap_or_default();
                let ranks = Ranks::of(&search.aim.brackets, known);
                self.order(&mut search, told, &ranks, &mut orders);
                self.searches.push(search);
            }
        }
        orders
    }

    /// The levels of all sequences, and what they have between the probes, in order.
    fn take(
        &mut self,
        search: &Search,
        answers: &mut [Reader<'_>],
    ) -> (Vec<Levels>, Vec<Known<Key>>) {
        let (mut levels, mut between) = (Vec::new(), Vec::new());
        for (answer, lengths) in answers.iter_mut().zip(self.lengths) {
            for _ in lengths {
                let sequence = levels.len();
                let a = search.aim.brackets[sequence].start + answer.number();
                let (b, c) = (a + answer.number(), a + answer.number());
                levels.push([a, b, c, c + answer.number()]);
                for place in spread(b..c.max(b), search.gap, sequence) {
                    let key = self.came.take(answer.key(self.width));
                    between.push(Known { key, sequence, place });
                }
            }
        }
        self.came.sort(&mut between);
        (levels, between)
    }

    /// What each rank is told at the end: its cuts, and what comes to it.
    fn conclude(self) -> Vec<Vec<u8>> {
        let ends: Vec<u64> = self.lengths.iter().flatten().copied().collect();
        let starts = vec![0; ends.len()];
        let mut first = 0;
        let mut told = Vec::new();
        for (rank, lengths) in self.lengths.iter().enumerate() {
            let mut out = Vec::new();
            let own = first..first + lengths.len();
            first = own.end;
            let mut last = &starts;
            for cut in &self.found {
                for at in own.clone() {
                    wire::put(cut[at].wrapping_sub(last[at]), &mut out);
                }
                last = cut;
            }
            if self.found.len() + 1 == self.lengths.len() {
                let low = rank.checked_sub(1).map_or(&starts, |rank| &self.found[rank]);
                let high = self.found.get(rank).unwrap_or(&ends);
                for (low, high) in low.iter().zip(high) {
                    wire::put(*low, &mut out);
                    wire::put(high - low, &mut out);
                }
            }
            told.push(out);
        }
        told
    }
}
