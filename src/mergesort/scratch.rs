//! Sorted runs on the disk, for what exceeds memory.
//!
//! A rank keeps all its runs in one file without a name, so that nothing is left whatever ends the job,
//! and two jobs never meet; the price is that `ls` does not show the space. Chunks hold a power of two of
//! items, the last one of a run fewer. The key at the end of each chunk stays in memory: the search for
//! cuts reads the disk only for its last steps.

use std::cell::RefCell;
use std::fs::{File, OpenOptions};
use std::ops::Range;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use nix::errno::Errno;
use nix::fcntl::OFlag;

use super::details::Moved;
use super::form::{Form, Index};
use crate::error::{Error, Result};
use crate::measure::Meter;
use crate::measure::clock::Stopwatch;
use crate::num::{to_u64, to_usize};
use crate::store::{self, crc, part};
use crate::units::size;

/// Bytes of a chunk, at most, unless one item has more.
const CHUNK_BYTES: u64 = 256 << 10;

/// Items of a chunk, when they have so many bytes on average.
pub fn chunk_items(bytes: u64, items: u64) -> u64 {
    let most = CHUNK_BYTES / (bytes / items.max(1)).max(1);
    (most.max(1) + 1).next_power_of_two() / 2
}

/// The file that holds a rank's runs.
pub struct Scratch {
    file: File,
    directory: PathBuf,
    compress: bool,
    end: AtomicU64,
    traffic: Traffic,
}

/// Bytes that went to the disk and came from it, as they lie there, and how long that took.
#[derive(Debug, Default)]
struct Traffic {
    written: AtomicU64,
    write_ns: AtomicU64,
    read: AtomicU64,
    read_ns: AtomicU64,
}

/// A chunk on the disk.
#[derive(Clone, Debug)]
pub struct Stored {
    /// Where it lies in the file, and its bytes there.
    offset: u64,
    packed: u64,
    /// Its bytes as items.
    bytes: u64,
    /// Of what lies there.
    crc64: u64,
    items: u64,
    last_key: Vec<u8>,
}

impl Scratch {
    /// Makes the file in a directory and reserves `bytes` for it, unless it is compressed. Local.
    ///
    /// # Errors
    /// When the directory is not there or has no room.
    pub fn create(directory: &Path, bytes: u64, compress: bool) -> Result<Self> {
        let fail = |action: &str, cause: &std::io::Error| Error::io(action, directory, cause);
        let file = unnamed(directory).map_err(|cause| fail("make a scratch file in", &cause))?;
        if !compress && bytes > 0 {
            let end = i64::try_from(bytes).map_err(|_| Error::usage("more than any disk holds"))?;
            store::reserve(&file, end).map_err(|cause| {
                fail(&format!("reserve {} for sorted runs in", size(bytes)), &cause)
            })?;
        }
        let directory = directory.to_owned();
        Ok(Self { file, directory, compress, end: AtomicU64::new(0), traffic: Traffic::default() })
    }

    /// Room for a run of so many bytes, whose chunks go to their places in it. Compressed ones go one
    /// behind the other as they come.
    pub fn place(&self, bytes: u64) -> u64 {
        if self.compress { 0 } else { self.end.fetch_add(bytes, Ordering::Relaxed) }
    }

    /// Writes a chunk that begins `start` bytes behind the beginning of its run, which has this place. From
    /// any thread.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn store(&self, form: &dyn Form, start: u64, items: &[u8], place: u64) -> Result<Stored> {
        let bytes = to_u64(items.len());
        let index = form.index(items);
        let mut last_key = Vec::new();
        if let Some(last) = index.len().checked_sub(1) {
            form.key(&items[index.bytes(last..last + 1)], &mut last_key);
        }
        let packed = self.compress.then(|| lz4_flex::block::compress(items));
        let data = packed.as_deref().unwrap_or(items);
        let stored = to_u64(data.len());
        let offset = match packed {
            Some(_) => self.end.fetch_add(stored, Ordering::Relaxed),
            None => place + start,
        };
        let clock = Stopwatch::start();
        self.file.write_all_at(data, offset).map_err(|cause| {
            Error::io(format!("write {stored} bytes of a sorted run in"), &self.directory, &cause)
        })?;
        self.traffic.written.fetch_add(stored, Ordering::Relaxed);
        self.traffic.write_ns.fetch_add(nanoseconds(&clock), Ordering::Relaxed);
        let crc64 = crc::checksum(data);
        Ok(Stored { offset, packed: stored, bytes, crc64, items: to_u64(index.len()), last_key })
    }

    fn read(&self, bytes: &mut [u8], offset: u64) -> Result<()> {
        let clock = Stopwatch::start();
        let read = self.file.read_exact_at(bytes, offset);
        self.traffic.read.fetch_add(to_u64(bytes.len()), Ordering::Relaxed);
        self.traffic.read_ns.fetch_add(nanoseconds(&clock), Ordering::Relaxed);
        read.map_err(|cause| {
            let what = format!("read {} bytes of a sorted run in", bytes.len());
            Error::io(what, &self.directory, &cause)
        })
    }

    /// What has been written so far by all threads, and how long it took them together.
    pub fn written(&self) -> Moved {
        Moved::of(&self.traffic.written, &self.traffic.write_ns)
    }

    /// The same of what has been read.
    pub fn read_so_far(&self) -> Moved {
        Moved::of(&self.traffic.read, &self.traffic.read_ns)
    }

    fn chunk(&self, chunk: &Stored) -> Result<Vec<u8>> {
        let mut data = vec![0; to_usize(chunk.packed)];
        self.read(&mut data, chunk.offset)?;
        if !self.compress {
            return Ok(data);
        }
        let items = lz4_flex::block::decompress(&data, to_usize(chunk.bytes));
        items.map_err(|_| self.damaged(chunk))
    }

    fn damaged(&self, chunk: &Stored) -> Error {
        Error::verification(format!(
            "bytes {}..{} of the sorted runs in {} are not those that were written; the disk returned \
             others than it was given, sort with another --scratch",
            chunk.offset,
            chunk.offset + chunk.packed,
            self.directory.display()
        ))
    }
}

fn nanoseconds(clock: &Stopwatch) -> u64 {
    u64::try_from(clock.elapsed().as_nanos()).unwrap_or(u64::MAX)
}

/// A file that is nowhere to be seen.
fn unnamed(directory: &Path) -> std::io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).mode(0o600);
    let made = options.clone().custom_flags(OFlag::O_TMPFILE.bits()).open(directory);
    let Err(cause) = made else { return made };
    if !matches!(cause.raw_os_error().map(Errno::from_raw), Some(Errno::EOPNOTSUPP | Errno::EISDIR))
    {
        return Err(cause);
    }
    // A file system that cannot: it has a name for a moment.
    let path = directory.join(format!(".dcomp-{}.runs", part::job_id()));
    let file = options.create_new(true).custom_flags(OFlag::O_NOFOLLOW.bits()).open(&path)?;
    std::fs::remove_file(&path)?;
    Ok(file)
}

/// A sorted run.
pub struct DiskRun {
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
    pub fn new(mut chunks: Vec<Stored>) -> Self {
        chunks.retain(|chunk| chunk.items > 0);
        let (mut starts, mut firsts) = (vec![0], vec![0]);
        for (at, chunk) in chunks.iter().enumerate() {
            starts.push(starts[at] + chunk.bytes);
            firsts.push(firsts[at] + chunk.items);
        }
        Self { chunks, starts, firsts, latest: RefCell::default() }
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
    pub fn key(
        &self,
        form: &dyn Form,
        scratch: &Scratch,
        item: u64,
        out: &mut Vec<u8>,
    ) -> Result<()> {
        let chunk = self.chunk_of(item);
        if item + 1 == self.firsts[chunk + 1] {
            out.extend_from_slice(&self.chunks[chunk].last_key);
            return Ok(());
        }
        self.with_item(form, scratch, item, |_, item| form.key(item, out))
    }

    /// The bytes of an item.
    ///
    /// # Errors
    /// When they cannot be read.
    pub fn item(&self, form: &dyn Form, scratch: &Scratch, item: u64) -> Result<Vec<u8>> {
        self.with_item(form, scratch, item, |_, item| item.to_vec())
    }

    /// Where an item begins among the run's bytes; the end of all for the number of items.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn offset(&self, form: &dyn Form, scratch: &Scratch, item: u64) -> Result<u64> {
        if let Some(bytes) = form.item_bytes() {
            return Ok(item * to_u64(bytes));
        }
        let chunk = self.chunk_of(item);
        if item == self.firsts[chunk] {
            return Ok(self.starts[chunk]);
        }
        self.with_item(form, scratch, item, |offset, _| offset)
    }

    /// Gives `look` where an item begins in the run, and the item.
    fn with_item<R>(
        &self,
        form: &dyn Form,
        scratch: &Scratch,
        item: u64,
        look: impl FnOnce(u64, &[u8]) -> R,
    ) -> Result<R> {
        let chunk = self.chunk_of(item);
        self.load(form, scratch, chunk)?;
        let latest = self.latest.borrow();
        let (_, items, index) = latest.as_ref().expect("loaded");
        let at = to_usize(item - self.firsts[chunk]);
        let bytes = index.bytes(at..at + 1);
        Ok(look(self.starts[chunk] + to_u64(bytes.start), &items[bytes]))
    }

    fn load(&self, form: &dyn Form, scratch: &Scratch, chunk: usize) -> Result<()> {
        if self.latest.borrow().as_ref().is_some_and(|(latest, ..)| *latest == chunk) {
            return Ok(());
        }
        let items = scratch.chunk(&self.chunks[chunk])?;
        let index = form.index(&items);
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
    pub fn read(
        &self,
        form: &dyn Form,
        scratch: &Scratch,
        meter: &Meter,
        from: u64,
        out: &mut [u8],
    ) -> Result<()> {
        if out.is_empty() {
            return Ok(());
        }
        if !scratch.compress {
            let place = self.chunks[0].offset + from;
            return meter.filing(|| scratch.read(out, place));
        }
        let mut filled = 0;
        while filled < out.len() {
            let at = from + to_u64(filled);
            let chunk = self.starts.partition_point(|&start| start <= at) - 1;
            self.load(form, scratch, chunk)?;
            let latest = self.latest.borrow();
            let (_, items, _) = latest.as_ref().expect("loaded");
            let start = to_usize(at - self.starts[chunk]);
            let bytes = (items.len() - start).min(out.len() - filled);
            out[filled..filled + bytes].copy_from_slice(&items[start..start + bytes]);
            filled += bytes;
        }
        Ok(())
    }

    /// Compares what lies on the disk with what was written.
    ///
    /// # Errors
    /// A verification error that names the first chunk that differs.
    pub fn verify(&self, scratch: &Scratch) -> Result<()> {
        for chunk in &self.chunks {
            let mut data = vec![0; to_usize(chunk.packed)];
            scratch.read(&mut data, chunk.offset)?;
            if crc::checksum(&data) != chunk.crc64 {
                return Err(scratch.damaged(chunk));
            }
        }
        Ok(())
    }
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
