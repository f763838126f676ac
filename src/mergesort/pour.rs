//! Merging sorted pieces, a chunk at a time, with all threads.
//!
//! A chunk is cut out of all pieces exactly, merged in cache and handed on: no second copy of the data is
//! ever in memory. Costs a search through all pieces per chunk.

use std::ops::Deref;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use super::buffer::Buffer;
use super::details::Merged;
use super::form::{Digest, Form, Run, Way};
use crate::context::Context;
use crate::error::Result;
use crate::measure::clock::Stopwatch;
use crate::num::{len_f64, to_u64, to_usize};
use crate::partition::block;
use crate::stop;

/// Bytes of a chunk, about: half of a core's second-level cache.
const CHUNK_BYTES: usize = 1 << 20;

/// Sorted pieces and how they are cut into chunks.
pub struct Pour<'a> {
    form: &'a dyn Form,
    runs: Vec<Run<'a>>,
    /// Where each chunk begins in each piece, and the end of all.
    cuts: Vec<Vec<usize>>,
    /// The item before all, where it matters.
    previous: Option<Vec<u8>>,
    cut_s: f64,
    by_tree: AtomicU64,
    by_sort: AtomicU64,
}

/// A merged chunk.
pub struct Chunk<'a> {
    /// Where it begins among all bytes that are poured.
    pub offset: u64,
    /// Its items in sorting form.
    pub items: Items<'a>,
    /// What it was before equal items were taken out, in forms that do so.
    pub merged: Option<Digest>,
}

/// Items that nobody needs after this.
pub enum Items<'a> {
    /// Where they lay before: all of one piece.
    Lent(&'a [u8]),
    /// Merged for this.
    Made(&'a mut [u8]),
}

impl Deref for Items<'_> {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        match self {
            Self::Lent(items) => items,
            Self::Made(items) => items,
        }
    }
}

impl Items<'_> {
    /// Gives `take` the items in file form.
    ///
    /// # Errors
    /// When there is no memory for it.
    pub fn in_file_form<R>(self, form: &dyn Form, take: impl FnOnce(&[u8]) -> R) -> Result<R> {
        match self {
            Self::Lent(items) if form.is_file_form() => Ok(take(items)),
            Self::Lent(items) => {
                let mut copy = Buffer::zeroed(to_u64(items.len()))?;
                copy.copy_from_slice(items);
                form.decode(&mut copy);
                Ok(take(&copy))
            }
            Self::Made(items) => {
                form.decode(items);
                Ok(take(items))
            }
        }
    }
}

/// How large the chunks are as they will be poured.
pub struct Sizes {
    /// All together.
    pub bytes: u64,
    chunks: Vec<u64>,
}

impl<'a> Pour<'a> {
    /// Cuts the pieces into chunks of like size. Local.
    pub fn new(context: &Context, form: &'a dyn Form, runs: Vec<Run<'a>>) -> Self {
        let bytes: usize = runs.iter().map(|run| run.bytes().len()).sum();
        let items: usize = runs.iter().map(Run::len).sum();
        let chunks = bytes.div_ceil(CHUNK_BYTES).clamp(1, items.max(1));
        let start = |chunk| to_usize(block(to_u64(items), to_u64(chunks), to_u64(chunk)).start);
        Self::cut(context, form, runs, &(0..=chunks).map(start).collect::<Vec<_>>())
    }

    /// Cuts the pieces into chunks of so many items each. Local.
    pub fn every(context: &Context, form: &'a dyn Form, runs: Vec<Run<'a>>, each: usize) -> Self {
        let items: usize = runs.iter().map(Run::len).sum();
        let starts: Vec<usize> = (0..items).step_by(each).chain([items]).collect();
        Self::cut(context, form, runs, &starts)
    }

    fn cut(context: &Context, form: &'a dyn Form, runs: Vec<Run<'a>>, starts: &[usize]) -> Self {
        let clock = Stopwatch::start();
        let cuts = context.threads.map(starts, |&start| form.first(&runs, start));
        let (by_tree, by_sort) = Default::default();
        Self { form, runs, cuts, previous: None, cut_s: clock.seconds(), by_tree, by_sort }
    }

    /// With this item before all.
    #[must_use]
    pub fn behind(mut self, previous: Option<Vec<u8>>) -> Self {
        self.previous = previous;
        self
    }

    /// How chunks have been merged so far.
    pub fn merged(&self) -> Merged {
        let [by_tree, by_sort] =
            [&self.by_tree, &self.by_sort].map(|count| count.load(Ordering::Relaxed));
        Merged { by_tree, by_sort }
    }

    fn chunks(&self) -> usize {
        self.cuts.len() - 1
    }

    /// The pieces of a chunk.
    fn parts(&self, chunk: usize) -> Vec<&'a [u8]> {
        let cut = |(at, run): (usize, &Run<'a>)| {
            run.part(self.cuts[chunk][at]..self.cuts[chunk + 1][at]).bytes()
        };
        self.runs.iter().enumerate().map(cut).filter(|part| !part.is_empty()).collect()
    }

    /// The item before a chunk.
    fn before(&self, chunk: usize) -> Option<&[u8]> {
        let last = self.runs.iter().zip(&self.cuts[chunk]).filter(|(_, cut)| **cut > 0);
        let last = last.map(|(run, cut)| run.item(cut - 1));
        last.max_by(|a, b| self.form.compare(a, b)).or(self.previous.as_deref())
    }

    /// How much will be poured. Where equal items are taken out, everything is merged for it. Local.
    ///
    /// # Errors
    /// When there is no memory for a chunk, or the run is to end.
    pub fn sizes(&self, context: &Context) -> Result<Sizes> {
        let numbers: Vec<usize> = (0..self.chunks()).collect();
        let size = |&chunk: &usize| {
            if self.form.is_unique() {
                stop::heed("equal items were counted")?;
                let (merged, _) = self.merge(chunk, Buffer::default())?;
                Ok(to_u64(self.form.dedupe(merged, self.before(chunk)).len()))
            } else {
                Ok(self.parts(chunk).iter().map(|part| to_u64(part.len())).sum())
            }
        };
        let chunks = context.threads.map(&numbers, size).into_iter().collect::<Result<Vec<_>>>()?;
        Ok(Sizes { bytes: chunks.iter().sum(), chunks })
    }

    /// A chunk at the beginning of a buffer that is large enough, or of a new one, and its bytes.
    fn merge(&self, chunk: usize, mut room: Buffer) -> Result<(Buffer, usize)> {
        let parts = self.parts(chunk);
        let bytes: usize = parts.iter().map(|part| part.len()).sum();
        if room.len() < bytes {
            room = Buffer::zeroed(to_u64(bytes))?;
        }
        let way = self.form.merge(&parts, &mut room[..bytes]);
        let count = if way == Way::Tree { &self.by_tree } else { &self.by_sort };
        count.fetch_add(1, Ordering::Relaxed);
        Ok((room, bytes))
    }

    /// Merges each chunk and has it taken, by any thread and in any order; what was returned, in order,
    /// and the seconds of merging per thread. Local.
    ///
    /// # Errors
    /// What `take` returned first, or when there is no memory for a chunk.
    pub fn pour<T: Send>(
        &self,
        context: &Context,
        sizes: &Sizes,
        take: impl Fn(Chunk<'_>) -> Result<T> + Sync,
    ) -> Result<(Vec<T>, f64)> {
        let mut offsets = vec![0];
        for size in &sizes.chunks {
            offsets.push(offsets[offsets.len() - 1] + size);
        }
        let next = AtomicUsize::new(0);
        let work = || {
            let (mut done, mut room, mut merge_s) = (Vec::new(), Buffer::default(), 0.0);
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= self.chunks() {
                    return Ok((done, merge_s));
                }
                let offset = offsets[number];
                if let ([part], false) = (&self.parts(number)[..], self.form.is_unique()) {
                    let chunk = Chunk { offset, items: Items::Lent(part), merged: None };
                    done.push((number, take(chunk)?));
                    continue;
                }
                let clock = Stopwatch::start();
                let (merged, mut bytes) = self.merge(number, room)?;
                merge_s += clock.seconds();
                room = merged;
                let mut before = None;
                if self.form.is_unique() {
                    room.truncate(to_u64(bytes));
                    before = Some(digest_of(self.form, &mut room));
                    room = self.form.dedupe(room, self.before(number));
                    bytes = room.len();
                }
                let items = Items::Made(&mut room[..bytes]);
                let chunk = Chunk { offset, items, merged: before };
                done.push((number, take(chunk)?));
            }
        };
        let (mut all, mut merge_s) = (Vec::with_capacity(self.chunks()), 0.0);
        for done in context.threads.crew(work, work) {
            let (done, seconds) = done?;
            all.extend(done);
            merge_s += seconds;
        }
        all.sort_unstable_by_key(|(number, _)| *number);
        let merge_s = merge_s / len_f64(context.threads.count()) + self.cut_s;
        Ok((all.into_iter().map(|(_, taken)| taken).collect(), merge_s))
    }
}

/// The digest of items in sorting form, which are turned for it and back.
pub fn digest_of(form: &dyn Form, items: &mut [u8]) -> Digest {
    form.decode(items);
    let digest = form.digest(items);
    form.encode(items);
    digest
}
