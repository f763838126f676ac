//! Where sorted runs lie that exceed memory: a file for each rank.
//!
//! Without checkpoints it has no name, so that nothing is left whatever ends the job, and two jobs never
//! meet; the price is that `ls` does not show the space. With checkpoints it lies in their directory, from
//! which what no checkpoint needs is removed, and later programs write to files of their own.
//!
//! Chunks hold a power of two of items, the last one of a run fewer. The key at the end of each chunk stays
//! in memory, of items of one size also those between, as many as memory allows: the search for cuts reads
//! the disk only for its last steps, and then a page at a time. Lines have smaller chunks instead, as they
//! are found by reading one.

use std::cell::Cell;
use std::fs::{File, OpenOptions};
use std::ops::Range;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use nix::errno::Errno;
use nix::fcntl::OFlag;

use super::details::Moved;
use super::form::Form;
use crate::context::Context;
use crate::error::{Error, Result};
use crate::measure::clock::Stopwatch;
use crate::num::{to_u64, to_usize};
use crate::store::checkpoint::Checkpoints;
use crate::store::pieces::start_writeback;
use crate::store::{self, crc, part};
use crate::units::size;

/// Bytes of a chunk, at most, unless one item has more.
const CHUNK_BYTES: u64 = 256 << 10;

/// Of lines, whose places nobody knows without reading the chunk: no fewer than these.
const TEXT_CHUNK_BYTES: u64 = 16 << 10;

/// Bytes that are read at once to look at one item: a page of the file system.
const BLOCK_BYTES: u64 = 4 << 10;

/// Of the memory, one part in so many is for keys of what lies on the disk.
const KEYS_PART: u64 = 16;

/// What a chunk of lines costs in memory: its place and the key at its end, about.
const TEXT_KEY_BYTES: u64 = 160;

/// What the ranks of a node leave to the system of the runs that they wrote last, where a checkpoint would
/// wait for the disk: a second or two of its time, if it writes half a GB/s or more. What is merged soon
/// needs no disk at all.
const UNSYNCED_BYTES: u64 = 1 << 30;

/// How runs are cut, and what of them stays in memory.
#[derive(Clone, Copy, Debug)]
pub struct Layout {
    chunk_bytes: u64,
    /// Every how many items of a run a key stays in memory, a power of two; only those at the ends of chunks
    /// where items have many sizes, or equal ones are taken out, so that chunks end anywhere.
    pub grain: Option<u64>,
    /// Bytes of these keys, where items have one size.
    pub key_bytes: u64,
}

impl Layout {
    /// For so many bytes a rank, which has so much memory.
    pub fn new(form: &dyn Form, bytes: u64, memory: u64) -> Self {
        let keys = (memory / KEYS_PART).max(1);
        let (Some(item), Some(key)) = (form.item_bytes(), form.key_bytes()) else {
            let least = bytes.saturating_mul(TEXT_KEY_BYTES) / keys;
            let chunk_bytes = least.clamp(TEXT_CHUNK_BYTES, CHUNK_BYTES);
            return Self { chunk_bytes, grain: None, key_bytes: 0 };
        };
        let (item, key) = (to_u64(item), to_u64(key));
        let mut grain = items_of(BLOCK_BYTES, item);
        while grain < items_of(CHUNK_BYTES, item)
            && (bytes / item / grain).saturating_mul(key) > keys
        {
            grain *= 2;
        }
        let key_bytes = (bytes / item / grain).saturating_mul(key);
        Self { chunk_bytes: CHUNK_BYTES, grain: (!form.is_unique()).then_some(grain), key_bytes }
    }

    /// Items of a chunk, when they have so many bytes on average.
    pub fn chunk_items(&self, bytes: u64, items: u64) -> u64 {
        items_of(self.chunk_bytes, bytes / items.max(1))
    }
}

/// The power of two of items of a size that fit, at least one.
fn items_of(bytes: u64, item: u64) -> u64 {
    ((bytes / item.max(1)).max(1) + 1).next_power_of_two() / 2
}

/// Items, of one size, that are read at once to look at one.
pub fn block_items(item_bytes: u64) -> u64 {
    items_of(BLOCK_BYTES, item_bytes)
}

/// A file that holds sorted runs.
#[derive(Debug)]
pub struct RunFile {
    file: File,
    /// What errors tell of it.
    shown: PathBuf,
    /// Where it lies beside the checkpoints, which may name it.
    pub name: Option<PathBuf>,
    /// Whether its chunks are compressed.
    pub compress: bool,
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

impl RunFile {
    /// Opens one of an earlier run. Local.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn open(checkpoints: &Checkpoints, name: &Path, compress: bool) -> Result<Self> {
        let (file, shown) = (checkpoints.open_file(name)?, checkpoints.directory().join(name));
        let (name, traffic) = (Some(name.to_owned()), Traffic::default());
        Ok(Self { file, shown, name, compress, traffic })
    }

    /// Gives back what was reserved behind the last run. A hint, whose failure costs room only.
    pub fn shorten(&self, end: u64) {
        if self.file.metadata().is_ok_and(|meta| meta.len() > end) {
            self.file.set_len(end).ok();
        }
    }

    /// Fills `bytes` from an offset on.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn read(&self, bytes: &mut [u8], offset: u64) -> Result<()> {
        let clock = Stopwatch::start();
        let read = self.file.read_exact_at(bytes, offset);
        self.traffic.read.fetch_add(to_u64(bytes.len()), Ordering::Relaxed);
        self.traffic.read_ns.fetch_add(nanoseconds(&clock), Ordering::Relaxed);
        read.map_err(|cause| {
            let what = format!("read {} bytes of a sorted run in", bytes.len());
            Error::io(what, &self.shown, &cause)
        })
    }

    /// What this program has written so far by all threads, and how long it took them together.
    pub fn written(&self) -> Moved {
        Moved::of(&self.traffic.written, &self.traffic.write_ns)
    }

    /// The same of what it has read.
    pub fn read_so_far(&self) -> Moved {
        Moved::of(&self.traffic.read, &self.traffic.read_ns)
    }

    /// Whether it is long enough for chunks that a checkpoint tells of, and these for their items.
    ///
    /// # Errors
    /// When the system does not tell.
    pub fn holds(&self, chunks: &[Stored]) -> Result<bool> {
        /// No byte of LZ4 becomes more.
        const MOST: u64 = 255;
        let meta = self.file.metadata();
        let length = meta.map_err(|cause| Error::io("stat", &self.shown, &cause))?.len();
        let fits = |chunk: &Stored| {
            let Stored { offset, packed, bytes, .. } = *chunk;
            let most = if self.compress { packed.checked_mul(MOST) } else { Some(packed) };
            offset.checked_add(packed).is_some_and(|end| end <= length)
                && most.is_some_and(|most| bytes <= most)
                && (self.compress || bytes == packed)
        };
        let total = |of: fn(&Stored) -> u64| chunks.iter().map(of).try_fold(0, u64::checked_add);
        let sums = total(|chunk| chunk.bytes).and(total(|chunk| chunk.items));
        Ok(sums.is_some() && chunks.iter().all(fits))
    }

    /// Some bytes of a chunk; all of it when it is compressed.
    ///
    /// # Errors
    /// When they cannot be read.
    pub fn part(&self, chunk: &Stored, bytes: Range<u64>) -> Result<Vec<u8>> {
        if !self.compress {
            let mut data = vec![0; to_usize(bytes.end - bytes.start)];
            self.read(&mut data, chunk.offset + bytes.start)?;
            return Ok(data);
        }
        let mut data = vec![0; to_usize(chunk.packed)];
        self.read(&mut data, chunk.offset)?;
        let items = lz4_flex::block::decompress(&data, to_usize(chunk.bytes)).ok();
        let whole = items.filter(|items| to_u64(items.len()) == chunk.bytes);
        whole.ok_or_else(|| self.damaged(chunk))
    }

    /// Compares a chunk with what was written.
    ///
    /// # Errors
    /// A verification error when it differs.
    pub fn verify(&self, chunk: &Stored) -> Result<()> {
        let mut data = vec![0; to_usize(chunk.packed)];
        self.read(&mut data, chunk.offset)?;
        if crc::checksum(&data) == chunk.crc64 { Ok(()) } else { Err(self.damaged(chunk)) }
    }

    /// The error of a chunk that is not what was written.
    pub fn damaged(&self, chunk: &Stored) -> Error {
        Error::verification(format!(
            "bytes {}..{} of the sorted runs in {} are not those that were written; the disk returned \
             others than it was given, sort on another one",
            chunk.offset,
            chunk.offset + chunk.packed,
            self.shown.display()
        ))
    }
}

/// The file to which this rank writes its runs.
pub struct Scratch<'a> {
    checkpoints: Option<&'a Checkpoints>,
    file: Arc<RunFile>,
    /// How runs lie in it.
    pub layout: Layout,
    end: AtomicU64,
    /// How many bytes behind the last ones the disk is told to begin with, where a checkpoint may wait.
    behind: Option<u64>,
    /// Whether a checkpoint may name it.
    kept: Cell<bool>,
}

/// A chunk on the disk.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stored {
    /// Where it lies in the file, and its bytes there.
    pub offset: u64,
    /// Its bytes there.
    pub packed: u64,
    /// Its bytes as items.
    pub bytes: u64,
    /// Of what lies there.
    pub crc64: u64,
    /// How many items it has.
    pub items: u64,
    /// The key of the last one.
    pub last_key: Vec<u8>,
    /// The keys in front of multiples of the layout's grain, one behind the other.
    pub keys: Vec<u8>,
}

impl<'a> Scratch<'a> {
    /// Makes the file, in `directory` or beside the checkpoints, and reserves `bytes` for it, unless it is
    /// compressed. Local.
    ///
    /// # Errors
    /// When the directory is not there or has no room.
    pub fn create(
        context: &'a Context,
        directory: &Path,
        bytes: u64,
        layout: Layout,
        compress: bool,
    ) -> Result<Self> {
        let checkpoints = context.saves.as_ref().map(|saves| &saves.checkpoints);
        let directory = checkpoints.map_or(directory, Checkpoints::directory);
        let fail = |action: &str, cause: &std::io::Error| Error::io(action, directory, cause);
        let (file, name) = match checkpoints {
            None => {
                let made = unnamed(directory);
                (made.map_err(|cause| fail("make a scratch file in", &cause))?, None)
            }
            Some(checkpoints) => {
                let (file, name) = checkpoints.new_file(&context.comm)?;
                (file, Some(name))
            }
        };
        let traffic = Traffic::default();
        let file = RunFile { file, shown: directory.to_owned(), name, compress, traffic };
        let file = Arc::new(file);
        let (end, kept) = Default::default();
        let behind = checkpoints.map(|_| UNSYNCED_BYTES / context.comm.place().local_size.max(1));
        let scratch = Self { checkpoints, file, layout, end, behind, kept };
        if !compress && bytes > 0 {
            let end = i64::try_from(bytes).map_err(|_| Error::usage("more than any disk holds"))?;
            store::reserve(&scratch.file.file, end).map_err(|cause| {
                fail(&format!("reserve {} for sorted runs in", size(bytes)), &cause)
            })?;
        }
        Ok(scratch)
    }

    /// The file, for reading.
    pub fn file(&self) -> &Arc<RunFile> {
        &self.file
    }

    /// Room for a run of so many bytes, whose chunks go to their places in it. Compressed ones go one
    /// behind the other as they come.
    pub fn place(&self, bytes: u64) -> u64 {
        if self.file.compress { 0 } else { self.end.fetch_add(bytes, Ordering::Relaxed) }
    }

    /// Puts what was written on the disk, for a checkpoint to name it. Local.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn keep(&self) -> Result<()> {
        let synced = self.file.file.sync_data();
        synced.map_err(|cause| Error::io("sync the sorted runs in", &self.file.shown, &cause))?;
        self.kept.set(true);
        Ok(())
    }
}

impl Drop for Scratch<'_> {
    fn drop(&mut self) {
        if let (Some(checkpoints), Some(name), false) =
            (self.checkpoints, &self.file.name, self.kept.get())
        {
            checkpoints.remove_file(name);
        }
    }
}

/// Writes chunks from any thread.
#[derive(Clone, Copy)]
pub struct Chunks<'a> {
    file: &'a RunFile,
    end: &'a AtomicU64,
    behind: Option<u64>,
    /// Where the run lies.
    place: u64,
    grain: Option<u64>,
}

impl<'a> Chunks<'a> {
    /// Of a run that has this place.
    pub fn at(scratch: &'a Scratch<'_>, place: u64) -> Self {
        let grain = scratch.layout.grain;
        let Scratch { file, end, behind, .. } = scratch;
        Self { file, end, behind: *behind, place, grain }
    }

    /// Writes a chunk that begins `start` bytes behind the beginning of its run.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn store(&self, form: &dyn Form, start: u64, items: &[u8]) -> Result<Stored> {
        let bytes = to_u64(items.len());
        let index = form.index(items);
        let mut last_key = Vec::new();
        if let Some(last) = index.len().checked_sub(1) {
            form.key(&items[index.bytes(last..last + 1)], &mut last_key);
        }
        let mut keys = Vec::new();
        if let Some(grain) = self.grain.map(to_usize) {
            for at in (grain - 1..index.len()).step_by(grain) {
                form.key(&items[index.bytes(at..at + 1)], &mut keys);
            }
        }
        let compressed = self.file.compress.then(|| lz4_flex::block::compress(items));
        let data = compressed.as_deref().unwrap_or(items);
        let packed = to_u64(data.len());
        let offset = match compressed {
            Some(_) => self.end.fetch_add(packed, Ordering::Relaxed),
            None => self.place + start,
        };
        let clock = Stopwatch::start();
        self.file.file.write_all_at(data, offset).map_err(|cause| {
            Error::io(format!("write {packed} bytes of a sorted run in"), &self.file.shown, &cause)
        })?;
        self.file.traffic.written.fetch_add(packed, Ordering::Relaxed);
        self.file.traffic.write_ns.fetch_add(nanoseconds(&clock), Ordering::Relaxed);
        if let Some(earlier) = self.behind.and_then(|behind| offset.checked_sub(behind)) {
            start_writeback(&self.file.file, earlier, data.len());
        }
        let (crc64, items) = (crc::checksum(data), to_u64(index.len()));
        Ok(Stored { offset, packed, bytes, crc64, items, last_key, keys })
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
