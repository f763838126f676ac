//! A loser tree: many sorted sources into one stream, each item moved once.
//!
//! Knuth, The Art of Computer Programming, vol. 3, 5.4.1, "replacement selection": each inner node
//! remembers the source that lost there, so that the next item costs one comparison per level on a
//! path that is known before any key is. The nodes hold eight-byte prefixes; items themselves are
//! compared only when prefixes are equal, which costs a visit to two items. Equal items come in the
//! order of their sources.

use crate::num::to_usize;
use std::cmp::Ordering;

/// A sorted sequence of items, one of which is current.
pub trait Source {
    /// Why an item could not be had: reading failed, or it has not arrived yet.
    type Error;

    /// Makes the next item current, at first the first one, and gives its [`prefix`]; `None` when
    /// there is no other.
    ///
    /// Asked again after an error, when the caller goes on merging, and never after `None`.
    ///
    /// # Errors
    /// When the next item cannot be had now; the current one may be gone.
    fn advance(&mut self) -> Result<Option<u64>, Self::Error>;

    /// The current item, as it is written.
    fn item(&self) -> &[u8];

    /// The order of the current items of two sources with equal prefixes.
    fn compare(&self, other: &Self) -> Ordering;
}

/// The first eight bytes of a key as a number of the same order, shorter keys filled with zeros.
///
/// Where two prefixes differ, the keys are in the same order; where they are equal, the keys may
/// still differ.
#[inline]
pub fn prefix(key: &[u8]) -> u64 {
    if let Some(bytes) = key.first_chunk() {
        return u64::from_be_bytes(*bytes);
    }
    key.iter().rev().fold(0, |word, &byte| word >> 8 | u64::from(byte) << 56)
}

/// A source as the tree sees it.
#[derive(Clone, Copy)]
struct Head {
    prefix: u64,
    run: u32,
    /// Behind all others; its prefix is the largest there is, so that it is asked for only then.
    ended: bool,
}

impl Head {
    #[inline]
    fn new(run: u32, prefix: Option<u64>) -> Self {
        Self { prefix: prefix.unwrap_or(u64::MAX), run, ended: prefix.is_none() }
    }

    /// The position of the source.
    #[inline]
    fn source(self) -> usize {
        to_usize(u64::from(self.run))
    }
}

/// Merges sorted sources; stable by their order.
pub struct LoserTree<S> {
    sources: Vec<S>,
    /// The loser at each inner node of a tree in heap order; element 0 is the winner of all.
    heads: Vec<Head>,
    /// Sources whose first item is known.
    started: usize,
    /// The winner's item is written, and its next one not known yet.
    spent: bool,
    /// Bytes of the winner's item that are written.
    written: usize,
}

impl<S: Source> LoserTree<S> {
    /// A merge of `sources`, each before its first item.
    ///
    /// # Panics
    /// When there are 2^32 sources or more.
    pub fn new(sources: Vec<S>) -> Self {
        let count = u32::try_from(sources.len()).expect("fewer than 2^32 sources");
        let heads = (0..count.max(1)).map(|run| Head::new(run, None)).collect();
        Self { sources, heads, started: 0, spent: false, written: 0 }
    }

    /// Fills `out` with the next bytes of the merged items and says how many; fewer than fit only at
    /// the end, or where a source fails. An item may begin in one call and end in another.
    ///
    /// # Errors
    /// What a source gave, as soon as there is nothing to write before it. The merge may go on.
    pub fn next_into(&mut self, out: &mut [u8]) -> Result<usize, S::Error> {
        let mut at = 0;
        while at < out.len() {
            let run = match self.head() {
                Ok(Some(run)) => run,
                Err(error) if at == 0 => return Err(error),
                Ok(None) | Err(_) => break,
            };
            let rest = &self.sources[run].item()[self.written..];
            let room = &mut out[at..];
            if rest.len() <= room.len() {
                room[..rest.len()].copy_from_slice(rest);
                at += rest.len();
                self.spent = true;
                self.written = 0;
            } else {
                room.copy_from_slice(&rest[..room.len()]);
                self.written += room.len();
                at = out.len();
            }
        }
        Ok(at)
    }

    /// The next item and the number of its source; `None` at the end.
    ///
    /// Not to be mixed with [`Self::next_into`] where that has stopped inside an item.
    ///
    /// # Errors
    /// What a source gave. The merge may go on.
    pub fn next_item(&mut self) -> Result<Option<(usize, &[u8])>, S::Error> {
        debug_assert_eq!(self.written, 0, "between two items");
        let Some(run) = self.head()? else { return Ok(None) };
        self.spent = true;
        Ok(Some((run, self.sources[run].item())))
    }

    /// The source of the next item to write.
    #[inline]
    fn head(&mut self) -> Result<Option<usize>, S::Error> {
        if self.started < self.sources.len() {
            self.start()?;
        }
        if self.spent {
            let run = self.heads[0].source();
            let prefix = self.sources[run].advance()?;
            self.spent = false;
            self.replay(Head::new(self.heads[0].run, prefix));
        }
        Ok(if self.heads[0].ended { None } else { Some(self.heads[0].source()) })
    }

    /// Learns the first item of each source and plays all matches.
    fn start(&mut self) -> Result<(), S::Error> {
        // Until all are known, heads[r] is source r's.
        while let Some(source) = self.sources.get_mut(self.started) {
            let prefix = source.advance()?;
            let head = &mut self.heads[self.started];
            *head = Head::new(head.run, prefix);
            self.started += 1;
        }
        let count = self.sources.len();
        let mut winners = [self.heads.clone(), self.heads.clone()].concat();
        for node in (1..count).rev() {
            let (left, right) = (winners[2 * node], winners[2 * node + 1]);
            let right_wins = self.beats(right, left);
            winners[node] = if right_wins { right } else { left };
            self.heads[node] = if right_wins { left } else { right };
        }
        self.heads[0] = winners[1];
        Ok(())
    }

    /// Plays the matches on the way of a source's new head from its leaf to the root.
    #[inline]
    fn replay(&mut self, mut winner: Head) {
        let leaf = self.sources.len() + winner.source();
        let mut node = leaf / 2;
        while node > 0 {
            let other = self.heads[node];
            let other_wins = if other.prefix == winner.prefix {
                self.beats(other, winner)
            } else {
                other.prefix < winner.prefix
            };
            self.heads[node] = if other_wins { winner } else { other };
            winner = if other_wins { other } else { winner };
            node /= 2;
        }
        self.heads[0] = winner;
    }

    /// Whether `a` goes before `b`.
    #[cold]
    fn beats(&self, a: Head, b: Head) -> bool {
        let order = a.prefix.cmp(&b.prefix).then(a.ended.cmp(&b.ended));
        let by_item = || {
            if a.ended {
                return Ordering::Equal;
            }
            self.sources[a.source()].compare(&self.sources[b.source()])
        };
        order.then_with(by_item).then(a.run.cmp(&b.run)).is_lt()
    }
}
