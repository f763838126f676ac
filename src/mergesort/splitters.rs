//! Exact splitters over all ranks: the search of `select`, with its keys coming from everywhere.
//!
//! Where there are few enough cuts and sequences one rank searches them all ([`central`]). Else each cut has
//! a rank that searches it. A round is two exchanges: the searchers tell every rank where
//! to look, the ranks answer with keys. All searches go on at once, and end after the same few rounds.

use std::ops::Range;

use super::central;
use super::select::{Search, samples};
use crate::comm::Comm;
use crate::error::Result;
use crate::num::{to_u64, to_usize};

/// Sorted sequences of this rank whose keys can be looked up.
pub trait Keys {
    /// Bytes of a key, when all have the same.
    fn key_bytes(&self) -> Option<usize>;
    /// Whether keys can be had at once and without fail: then many are looked at where that saves messages.
    fn in_memory(&self) -> bool {
        false
    }
    /// Every how many items, a power of two, a key costs nothing; the same on all ranks.
    fn coarse(&self) -> u64 {
        1
    }
    /// Appends the key of an item, which compares as bytes.
    ///
    /// # Errors
    /// When it cannot be read.
    fn key(&self, sequence: usize, index: u64, out: &mut Vec<u8>) -> Result<()>;
}

/// A key that came: its first eight bytes, and all.
type Key<'a> = (u64, &'a [u8]);

fn before(a: &Key<'_>, b: &Key<'_>) -> bool {
    a.0 < b.0 || (a.0 == b.0 && a.1 < b.1)
}

/// The first eight bytes of a key as a number that orders alike.
fn prefix(key: &[u8]) -> u64 {
    let mut first = [0; 8];
    let bytes = key.len().min(8);
    first[..bytes].copy_from_slice(&key[..bytes]);
    u64::from_be_bytes(first)
}

/// What a searcher told about one cut.
struct Told {
    step: u64,
    /// Of this rank's sequences.
    brackets: Vec<Range<u64>>,
}

/// The searches that go on.
pub struct Cuts<'a> {
    comm: &'a Comm,
    keys: &'a dyn Keys,
    /// Lengths of the sequences of all ranks.
    lengths: &'a [Vec<u64>],
    /// Rounds taken.
    pub rounds: u64,
    /// For each rank and each of its sequences, which items come to this rank, when one rank has
    /// searched everything and the targets are where the ranks' parts end.
    pub coming: Vec<Vec<Range<u64>>>,
}

impl<'a> Cuts<'a> {
    /// Over the sequences of all ranks, whose `lengths` every rank knows.
    pub fn new(comm: &'a Comm, keys: &'a dyn Keys, lengths: &'a [Vec<u64>]) -> Self {
        Self { comm, keys, lengths, rounds: 0, coming: Vec::new() }
    }

    /// Collective. For each target, how many items of each of this rank's sequences lie before the cut
    /// with so many items of all sequences before it; items are ordered by (key, rank, sequence, index).
    ///
    /// # Errors
    /// When a key cannot be read on any rank.
    pub fn find(&mut self, targets: &[u64]) -> Result<Vec<Vec<u64>>> {
        if self.is_central(targets.len()) {
            let found = central::find(self.comm, self.keys, self.lengths, targets);
            (self.rounds, self.coming) = (found.rounds, found.coming);
            return Ok(found.cuts);
        }
        self.find_everywhere(targets)
    }

    /// Whether one rank searches all cuts. `DCOMP_SPLITTERS` decides it in tests: `central` or `everywhere`.
    fn is_central(&self, targets: usize) -> bool {
        let forced = std::env::var("DCOMP_SPLITTERS").ok();
        let sequences: usize = self.lengths.iter().map(Vec::len).sum();
        let small =
            forced.map_or(central::is_for(to_u64(targets * sequences)), |way| way == "central");
        small && self.keys.in_memory()
    }

    fn find_everywhere(&mut self, targets: &[u64]) -> Result<Vec<Vec<u64>>> {
        let (comm, size, me) = (self.comm, to_usize(self.comm.size()), to_usize(self.comm.rank()));
        let whole = |rank: usize| self.lengths[rank].iter().map(|&length| 0..length);
        let all: Vec<Range<u64>> = (0..size).flat_map(whole).collect();
        let search = |target| Search::new(target, all.clone()).with_coarse(self.keys.coarse());
        let mut found = vec![Vec::new(); targets.len()];
        // What everybody can tell without being told.
        let mut told: Vec<(usize, Told)> = targets
            .iter()
            .map(|&target| search(target).step())
            .map(|step| Told { step, brackets: whole(me).collect() })
            .enumerate()
            .collect();
        let mut searches: Vec<(usize, Search)> =
            (me..targets.len()).step_by(size).map(|cut| (cut, search(targets[cut]))).collect();
        loop {
            told.retain(|(cut, told)| {
                if told.step == 0 {
                    found[*cut] = told.brackets.iter().map(|bracket| bracket.start).collect();
                }
                told.step > 0
            });
            if told.is_empty() {
                return Ok(found);
            }
            self.rounds += 1;
            searches.retain(|(_, search)| search.step() > 0);
            let looked_up = self.look_up(&told);
            let (sent, counts) = comm.agree(looked_up)?;
            let came = self.send_keys(&sent, &counts, &searches);
            narrow(&mut searches, &came, self.keys.key_bytes(), size, self.lengths);
            let active: Vec<usize> = told.iter().map(|(cut, _)| *cut).collect();
            told = self.tell(&searches, &active);
        }
    }

    /// The keys that the searchers want of this rank, in the order of the searchers, and how many bytes
    /// go to each.
    fn look_up(&self, told: &[(usize, Told)]) -> Result<(Vec<u8>, Vec<u64>)> {
        let size = to_usize(self.comm.size());
        let (mut bytes, mut counts) = (Vec::new(), Vec::with_capacity(size));
        let mut key = Vec::new();
        for searcher in 0..size {
            let start = bytes.len();
            for (_, told) in told.iter().filter(|(cut, _)| cut % size == searcher) {
                for (sequence, bracket) in told.brackets.iter().enumerate() {
                    for place in samples(bracket, told.step).places() {
                        if self.keys.key_bytes().is_some() {
                            self.keys.key(sequence, place, &mut bytes)?;
                        } else {
                            key.clear();
                            self.keys.key(sequence, place, &mut key)?;
                            bytes.extend_from_slice(&to_u64(key.len()).to_le_bytes());
                            bytes.extend_from_slice(&key);
                        }
                    }
                }
            }
            counts.push(to_u64(bytes.len() - start));
        }
        Ok((bytes, counts))
    }

    /// Collective. Keys to the searchers: the bytes of every rank.
    fn send_keys(
        &self,
        bytes: &[u8],
        counts: &[u64],
        searches: &[(usize, Search)],
    ) -> Vec<Vec<u8>> {
        let Some(width) = self.keys.key_bytes() else {
            return self.comm.exchange(bytes, counts).into_parts();
        };
        let mut first = 0;
        let expected: Vec<u64> = self
            .lengths
            .iter()
            .map(|lengths| {
                let own = first..first + lengths.len();
                first = own.end;
                let keys = searches.iter().flat_map(|(_, search)| {
                    let step = search.step();
                    search.brackets()[own.clone()].iter().map(move |b| samples(b, step).count)
                });
                to_u64(width) * keys.sum::<u64>()
            })
            .collect();
        parts(&self.comm.exchange_small(bytes, counts, &expected), &expected)
    }

    /// Collective. Searchers to ranks: where to look next.
    fn tell(&self, searches: &[(usize, Search)], active: &[usize]) -> Vec<(usize, Told)> {
        let (size, me) = (to_usize(self.comm.size()), to_usize(self.comm.rank()));
        let (mut words, mut counts, mut first) = (Vec::new(), Vec::new(), 0);
        for lengths in self.lengths {
            let start = words.len();
            for (_, search) in searches {
                words.push(search.step());
                let own = &search.brackets()[first..first + lengths.len()];
                words.extend(own.iter().flat_map(|bracket| [bracket.start, bracket.end]));
            }
            first += lengths.len();
            counts.push(to_u64(8 * (words.len() - start)));
        }
        let one = 1 + 2 * self.lengths[me].len();
        let cuts_of = |rank: usize| active.iter().copied().filter(move |cut| cut % size == rank);
        let expected: Vec<u64> =
            (0..size).map(|rank| to_u64(8 * one * cuts_of(rank).count())).collect();
        let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        let came = self.comm.exchange_small(&bytes, &counts, &expected);
        let mut words = came
            .chunks_exact(8)
            .map(|word| u64::from_le_bytes(word.try_into().expect("eight bytes")));
        let mut next = || words.next().expect("as many words as were asked for");
        let mut told: Vec<(usize, Told)> = (0..size)
            .flat_map(cuts_of)
            .map(|cut| {
                let step = next();
                let brackets = (0..self.lengths[me].len()).map(|_| next()..next()).collect();
                (cut, Told { step, brackets })
            })
            .collect();
        told.sort_unstable_by_key(|(cut, _)| *cut);
        told
    }
}

/// The searches of this rank take what came from every rank.
fn narrow(
    searches: &mut [(usize, Search)],
    came: &[Vec<u8>],
    width: Option<usize>,
    size: usize,
    lengths: &[Vec<u64>],
) {
    let mut rest: Vec<&[u8]> = came.iter().map(Vec::as_slice).collect();
    for (_, search) in searches {
        let step = search.step();
        let mut lists: Vec<Vec<Key<'_>>> = Vec::with_capacity(search.brackets().len());
        let mut brackets = search.brackets().iter();
        for rank in 0..size {
            for bracket in brackets.by_ref().take(lengths[rank].len()) {
                let count = samples(bracket, step).count;
                lists.push((0..count).map(|_| take_key(&mut rest[rank], width)).collect());
            }
        }
        let lists: Vec<&[Key<'_>]> = lists.iter().map(Vec::as_slice).collect();
        search.narrow(&lists, before);
    }
}

fn take_key<'k>(rest: &mut &'k [u8], width: Option<usize>) -> Key<'k> {
    let width = width.unwrap_or_else(|| {
        let (length, tail) = rest.split_first_chunk::<8>().expect("a length before each key");
        *rest = tail;
        to_usize(u64::from_le_bytes(*length))
    });
    let (key, tail) = rest.split_at(width);
    *rest = tail;
    (prefix(key), key)
}

fn parts(bytes: &[u8], counts: &[u64]) -> Vec<Vec<u8>> {
    let mut rest = bytes;
    let part = |&count: &u64| {
        let (part, tail) = rest.split_at(to_usize(count));
        rest = tail;
        part.to_vec()
    };
    counts.iter().map(part).collect()
}
