//! A sorted run on the disk: looked up by item, read by bytes.
//!
//! Some keys stay in memory, as the layout of the file says; a look at any other item reads what it takes of
//! a chunk: a page of items of one size, else all of it.

use std::cell::RefCell;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use super::form::{Form, Index};
use super::packed::{Reader, Writer};
use super::scratch::{RunFile, Stored, block_items};
use crate::error::Result;
use crate::measure::Meter;
use crate::num::{to_u64, to_usize};
use crate::stop;
use crate::store::crc::Extent;

/// A sorted run.
pub struct DiskRun {
    file: Arc<RunFile>,
    /// Every how many items a key is in memory, unless only those at the ends of chunks are.
    grain: Option<u64>,
    chunks: Vec<Stored>,
    /// Where each chunk begins among the run's bytes, and the end of all.
    starts: Vec<u64>,
    /// The same among its items.
    firsts: Vec<u64>,
    /// What was looked at last.
    latest: RefCell<Option<Latest>>,
}

/// Items of a run that were read to look at one of them.
struct Latest {
    chunk: usize,
    /// The first of them, counted from the chunk's first.
    first: u64,
    items: Vec<u8>,
    index: Index,
}

impl DiskRun {
    /// Of chunks one behind the other.
    pub fn new(file: Arc<RunFile>, grain: Option<u64>, mut chunks: Vec<Stored>) -> Self {
        chunks.retain(|chunk| chunk.items > 0);
        let (mut starts, mut firsts) = (vec![0], vec![0]);
        for (at, chunk) in chunks.iter().enumerate() {
            starts.push(starts[at] + chunk.bytes);
            firsts.push(firsts[at] + chunk.items);
        }
        Self { file, grain, chunks, starts, firsts, latest: RefCell::default() }
    }

    /// The chunk of an item.
    fn chunk_of(&self, item: u64) -> usize {
        self.firsts.partition_point(|&first| first <= item) - 1
    }

    /// Every how many items a key is in memory, about: a power of two.
    pub fn coarse(&self) -> u64 {
        let chunk = self.chunks.iter().map(|chunk| chunk.items).max().unwrap_or(1);
        self.grain.unwrap_or(chunk.next_power_of_two())
    }

    /// Whether its chunks can be of items of this form, and have the keys that they should have.
    pub fn fits(&self, form: &dyn Form) -> bool {
        let (item, key) = (form.item_bytes().map(to_u64), form.key_bytes());
        let sizes = self.chunks.iter().all(|chunk| {
            item.is_none_or(|item| chunk.items.checked_mul(item) == Some(chunk.bytes))
                && key.is_none_or(|key| chunk.last_key.len() == key)
                && chunk.items <= chunk.bytes
        });
        sizes && self.grain.is_none_or(|grain| self.has_keys(grain, key))
    }

    /// Whether there is a key for every so many items.
    fn has_keys(&self, grain: u64, key: Option<usize>) -> bool {
        let Some(key) = key else { return false };
        let keys = |chunk: &Stored| (chunk.items / grain).checked_mul(to_u64(key));
        let whole = self.firsts[..self.chunks.len()].iter().all(|first| first % grain == 0);
        let fits = |chunk: &Stored| keys(chunk) == Some(to_u64(chunk.keys.len()));
        grain.is_power_of_two() && whole && self.chunks.iter().all(fits)
    }

    /// Its items.
    pub fn items(&self) -> u64 {
        self.firsts[self.chunks.len()]
    }

    /// Its bytes.
    pub fn bytes(&self) -> u64 {
        self.starts[self.chunks.len()]
    }

    /// Appends the key of an item.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn key(&self, form: &dyn Form, item: u64, out: &mut Vec<u8>) -> Result<()> {
        let chunk = self.chunk_of(item);
        if item + 1 == self.firsts[chunk + 1] {
            out.extend_from_slice(&self.chunks[chunk].last_key);
            return Ok(());
        }
        let inside = item + 1 - self.firsts[chunk];
        if let (Some(grain), Some(key)) = (self.grain, form.key_bytes())
            && inside.is_multiple_of(grain)
        {
            let at = to_usize(inside / grain) * key;
            out.extend_from_slice(&self.chunks[chunk].keys[at - key..at]);
            return Ok(());
        }
        self.with_item(form, item, |_, item| form.key(item, out))
    }

    /// The bytes of an item.
    ///
    /// # Errors
    /// When they cannot be read.
    pub fn item(&self, form: &dyn Form, item: u64) -> Result<Vec<u8>> {
        self.with_item(form, item, |_, item| item.to_vec())
    }

    /// Where an item begins among the run's bytes; the end of all for the number of items.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn offset(&self, form: &dyn Form, item: u64) -> Result<u64> {
        if let Some(bytes) = form.item_bytes() {
            return Ok(item * to_u64(bytes));
        }
        let chunk = self.chunk_of(item);
        if item == self.firsts[chunk] {
            return Ok(self.starts[chunk]);
        }
        self.with_item(form, item, |offset, _| offset)
    }

    /// Gives `look` where an item begins in the run, and the item.
    fn with_item<R>(
        &self,
        form: &dyn Form,
        item: u64,
        look: impl FnOnce(u64, &[u8]) -> R,
    ) -> Result<R> {
        let chunk = self.chunk_of(item);
        let inside = item - self.firsts[chunk];
        self.load(form, chunk, inside)?;
        let latest = self.latest.borrow();
        let latest = latest.as_ref().expect("loaded");
        let at = to_usize(inside - latest.first);
        let bytes = latest.index.bytes(at..at + 1);
        // Where not all of a chunk was read, all items have one size.
        let before = latest.first * form.item_bytes().map_or(0, to_u64);
        let offset = self.starts[chunk] + before + to_u64(bytes.start);
        Ok(look(offset, &latest.items[bytes]))
    }

    /// Reads what a look at an item of a chunk takes, unless that was read last.
    fn load(&self, form: &dyn Form, chunk: usize, item: u64) -> Result<()> {
        let stored = &self.chunks[chunk];
        let (items, bytes) = match form.item_bytes().map(to_u64) {
            Some(size) if !self.file.compress => {
                let block = block_items(size);
                let first = item / block * block;
                let end = (first + block).min(stored.items);
                (first..end, first * size..end * size)
            }
            _ => (0..stored.items, 0..stored.bytes),
        };
        let is_there = |latest: &Latest| latest.chunk == chunk && latest.first == items.start;
        if self.latest.borrow().as_ref().is_some_and(is_there) {
            return Ok(());
        }
        stop::heed("runs were merged")?;
        let (first, count) = (items.start, items.end - items.start);
        let items = self.file.part(stored, bytes)?;
        let index = form.index(&items);
        if to_u64(index.len()) != count {
            return Err(self.file.damaged(stored));
        }
        *self.latest.borrow_mut() = Some(Latest { chunk, first, items, index });
        Ok(())
    }

    /// Lets go of what is kept to look at again.
    pub fn forget(&self) {
        self.latest.take();
    }

    /// Fills `out` with the run's bytes from an offset on.
    ///
    /// # Errors
    /// When they cannot be read.
    pub fn read(&self, form: &dyn Form, meter: &Meter, from: u64, out: &mut [u8]) -> Result<()> {
        if out.is_empty() {
            return Ok(());
        }
        stop::heed("runs were merged")?;
        if !self.file.compress {
            let place = self.chunks[0].offset + from;
            return meter.reading(out.len(), || self.file.read(out, place));
        }
        let mut filled = 0;
        while filled < out.len() {
            let at = from + to_u64(filled);
            let chunk = self.starts.partition_point(|&start| start <= at) - 1;
            self.load(form, chunk, 0)?;
            let latest = self.latest.borrow();
            let items = &latest.as_ref().expect("loaded").items;
            let start = to_usize(at - self.starts[chunk]);
            let bytes = (items.len() - start).min(out.len() - filled);
            out[filled..filled + bytes].copy_from_slice(&items[start..start + bytes]);
            filled += bytes;
        }
        meter.count_read(to_u64(out.len()));
        Ok(())
    }

    /// Compares what lies on the disk with what was written.
    ///
    /// # Errors
    /// A verification error that names the first chunk that differs.
    pub fn verify(&self) -> Result<()> {
        self.chunks.iter().try_for_each(|chunk| self.file.verify(chunk))
    }

    /// The file that it lies in.
    pub fn file(&self) -> &Arc<RunFile> {
        &self.file
    }

    /// Where it lies beside the checkpoints.
    pub fn name(&self) -> Option<&Path> {
        self.file.name.as_deref()
    }

    /// Its pieces of the file.
    pub fn extents(&self) -> impl Iterator<Item = Extent> {
        let extent = |chunk: &Stored| Extent {
            offset: chunk.offset,
            bytes: chunk.packed,
            crc64: chunk.crc64,
        };
        self.chunks.iter().map(extent)
    }

    /// The end of what it has of the file.
    pub fn end(&self) -> u64 {
        self.chunks.iter().map(|chunk| chunk.offset + chunk.packed).max().unwrap_or(0)
    }

    /// Gives back what was reserved behind `end` of its file.
    pub fn shorten(&self, end: u64) {
        self.file.shorten(end);
    }

    /// As bytes of a checkpoint.
    pub fn encode(&self, out: &mut Writer) {
        out.text(self.name().map_or(&[], |name| name.as_os_str().as_encoded_bytes()));
        out.word(u64::from(self.file.compress));
        out.word(self.grain.unwrap_or(0));
        out.word(to_u64(self.chunks.len()));
        for chunk in &self.chunks {
            let Stored { offset, packed, bytes, crc64, items, ref last_key, ref keys } = *chunk;
            out.words(&[offset, packed, bytes, crc64, items]);
            out.text(last_key);
            out.text(keys);
        }
    }

    /// What [`encode`](Self::encode) wrote, in a file that `open` opens by its name and whether it is
    /// compressed; `None` when the bytes are something else.
    ///
    /// # Errors
    /// When the file cannot be opened.
    pub fn decode(
        bytes: &mut Reader<'_>,
        open: impl FnOnce(&Path, bool) -> Result<Arc<RunFile>>,
    ) -> Result<Option<Self>> {
        let Some(Decoded { name, compress, grain, chunks }) = decoded(bytes) else {
            return Ok(None);
        };
        let file = open(name, compress)?;
        Ok(file.holds(&chunks)?.then(|| Self::new(file, grain, chunks)))
    }
}

/// What is told of a run.
pub struct Decoded<'b> {
    /// The file's name.
    pub name: &'b Path,
    compress: bool,
    grain: Option<u64>,
    chunks: Vec<Stored>,
}

/// What bytes tell of a run; `None` when they are something else.
pub fn decoded<'b>(bytes: &mut Reader<'b>) -> Option<Decoded<'b>> {
    use std::os::unix::ffi::OsStrExt;
    let name = Path::new(std::ffi::OsStr::from_bytes(bytes.text()?));
    let compress = bytes.word()? == 1;
    let grain = Some(bytes.word()?).filter(|&grain| grain > 0);
    let mut chunks = Vec::new();
    for _ in 0..bytes.word()? {
        let [offset, packed, length, crc64, items] = bytes.words()?;
        let (last_key, keys) = (bytes.text()?.to_vec(), bytes.text()?.to_vec());
        chunks.push(Stored { offset, packed, bytes: length, crc64, items, last_key, keys });
    }
    let plain = name.components().count() == 1 && name.file_name().is_some();
    plain.then_some(Decoded { name, compress, grain, chunks })
}

/// Which bytes of which runs go to a rank, one behind the other.
#[derive(Clone, Debug, Default)]
pub struct Stream {
    /// Of each run.
    pub parts: Vec<Range<u64>>,
}

impl Stream {
    /// All bytes.
    pub fn bytes(&self) -> u64 {
        self.parts.iter().map(|part| part.end - part.start).sum()
    }

    /// The parts of runs that `range` of the stream covers: run, first byte, bytes.
    pub fn within(&self, range: Range<u64>) -> Vec<(usize, u64, u64)> {
        let mut start = 0;
        let mut all = Vec::new();
        for (run, part) in self.parts.iter().enumerate() {
            let end = start + (part.end - part.start);
            let inside = range.start.max(start)..range.end.min(end);
            if inside.start < inside.end {
                let first = part.start + (inside.start - start);
                all.push((run, first, inside.end - inside.start));
            }
            start = end;
        }
        all
    }
}
