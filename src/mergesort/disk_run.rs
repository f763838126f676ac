//! A sorted run on the disk: looked up by item, read by bytes.
//!
//! Chunks hold a power of two of items, the last one of a run fewer. The key at the end of each chunk stays
//! in memory: the search for cuts reads the disk only for its last steps.

use std::cell::RefCell;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use super::form::{Form, Index};
use super::packed::{Reader, Writer};
use super::scratch::{RunFile, Stored};
use crate::error::Result;
use crate::measure::Meter;
use crate::num::{to_u64, to_usize};
use crate::stop;
use crate::store::crc::Extent;

/// A sorted run.
pub struct DiskRun {
    file: Arc<RunFile>,
    chunks: Vec<Stored>,
    /// Where each chunk begins among the run's bytes, and the end of all.
    starts: Vec<u64>,
    /// The same among its items.
    firsts: Vec<u64>,
    /// The chunk that was looked at last.
    latest: RefCell<Option<(usize, Vec<u8>, Index)>>,
}

impl DiskRun {
    /// Of chunks one behind the other.
    pub fn new(file: Arc<RunFile>, mut chunks: Vec<Stored>) -> Self {
        chunks.retain(|chunk| chunk.items > 0);
        let (mut starts, mut firsts) = (vec![0], vec![0]);
        for (at, chunk) in chunks.iter().enumerate() {
            starts.push(starts[at] + chunk.bytes);
            firsts.push(firsts[at] + chunk.items);
        }
        Self { file, chunks, starts, firsts, latest: RefCell::default() }
    }

    /// The chunk of an item.
    fn chunk_of(&self, item: u64) -> usize {
        self.firsts.partition_point(|&first| first <= item) - 1
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
        self.load(form, chunk)?;
        let latest = self.latest.borrow();
        let (_, items, index) = latest.as_ref().expect("loaded");
        let at = to_usize(item - self.firsts[chunk]);
        let bytes = index.bytes(at..at + 1);
        Ok(look(self.starts[chunk] + to_u64(bytes.start), &items[bytes]))
    }

    fn load(&self, form: &dyn Form, chunk: usize) -> Result<()> {
        if self.latest.borrow().as_ref().is_some_and(|(latest, ..)| *latest == chunk) {
            return Ok(());
        }
        stop::heed("runs were merged")?;
        let items = self.file.chunk(&self.chunks[chunk])?;
        let index = form.index(&items);
        if to_u64(index.len()) != self.chunks[chunk].items {
            return Err(self.file.damaged(&self.chunks[chunk]));
        }
        *self.latest.borrow_mut() = Some((chunk, items, index));
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
            self.load(form, chunk)?;
            let latest = self.latest.borrow();
            let (_, items, _) = latest.as_ref().expect("loaded");
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
        out.word(to_u64(self.chunks.len()));
        for chunk in &self.chunks {
            let Stored { offset, packed, bytes, crc64, items, ref last_key } = *chunk;
            out.words(&[offset, packed, bytes, crc64, items]);
            out.text(last_key);
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
        let Some((name, compress, chunks)) = decoded(bytes) else { return Ok(None) };
        let file = open(name, compress)?;
        Ok(file.holds(&chunks)?.then(|| Self::new(file, chunks)))
    }

    /// Whether its chunks can be of items of this form.
    pub fn suits(&self, form: &dyn Form) -> bool {
        let (item, key) = (form.item_bytes().map(to_u64), form.key_bytes());
        self.chunks.iter().all(|chunk| {
            item.is_none_or(|item| chunk.items.checked_mul(item) == Some(chunk.bytes))
                && key.is_none_or(|key| chunk.last_key.len() == key)
                && chunk.items <= chunk.bytes
        })
    }
}

/// The file's name, whether it is compressed, and the chunks; `None` when the bytes are something else.
pub fn decoded<'b>(bytes: &mut Reader<'b>) -> Option<(&'b Path, bool, Vec<Stored>)> {
    use std::os::unix::ffi::OsStrExt;
    let name = Path::new(std::ffi::OsStr::from_bytes(bytes.text()?));
    let compress = bytes.word()? == 1;
    let mut chunks = Vec::new();
    for _ in 0..bytes.word()? {
        let [offset, packed, length, crc64, items] = bytes.words()?;
        let last_key = bytes.text()?.to_vec();
        chunks.push(Stored { offset, packed, bytes: length, crc64, items, last_key });
    }
    let plain = name.components().count() == 1 && name.file_name().is_some();
    plain.then_some((name, compress, chunks))
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
