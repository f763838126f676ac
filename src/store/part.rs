//! The part file: how every output of dcomp comes into being.
//!
//! Root makes `.<name>.<job id>.part` beside the target, all ranks write their ranges, what was
//! written is read back by other cuts than it was written and compared by checksum, and only then
//! the file gets its name. Whatever fails before that removes the part file and leaves an older
//! output as it was. What it costs: the file is read once (from the page cache, mostly) and synced.

use std::cell::{Cell, RefCell};
use std::fs::{File, OpenOptions};
use std::ops::Range;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::checkpoint::{Checkpoints, Kept};
use super::crc::{self, Extent};
use super::pieces::{Writer, joined};
pub use super::publish::Published;
use super::target::directory;
use super::{cleanup, disk, kept, leftovers};
use crate::comm::{Comm, Op};
use crate::context::Context;
use crate::error::{Error, Result};
use crate::measure::Meter;
use crate::measure::record::FileSum;
use crate::num::to_usize;
use crate::partition::aligned_block;

/// Cuts for the read-back fall on multiples of this, the block size of common file systems.
const BLOCK_BYTES: u64 = 4096;

/// A file that is being written by all ranks.
pub struct PartFile<'a> {
    comm: &'a Comm,
    meter: &'a Meter,
    /// With checkpoints the part file stays for a later run to go on with.
    checkpoints: Option<&'a Checkpoints>,
    target: PathBuf,
    part: PathBuf,
    force: bool,
    file: File,
    /// What this rank has written, adjacent pieces joined.
    extents: RefCell<Vec<Extent>>,
    /// How the sync ended that went on beside the read-back.
    synced: Cell<Option<std::io::Result<()>>>,
    /// Whether a checkpoint may tell of it.
    kept: Cell<bool>,
    /// Whether an earlier run began it.
    resumed: bool,
    published: bool,
}

impl<'a> PartFile<'a> {
    /// Collective. Root makes the part file, `prepare` fills in its header there (it may be called
    /// with the path of an empty file), then every rank opens it.
    ///
    /// # Errors
    /// The same on all ranks, when root cannot create or any rank cannot open it.
    pub fn create(
        context: &'a Context,
        target: &Path,
        force: bool,
        prepare: impl FnOnce(&Path) -> Result<()>,
    ) -> Result<Self> {
        let Context { comm, meter, .. } = context;
        let checkpoints = context.saves.as_ref().map(|saves| &saves.checkpoints);
        let (part, force) = comm.decide(|| match checkpoints {
            None => Ok((part_path(target, &job_id()), force)),
            Some(_) => kept::make_way(target, force).map(|force| (kept::path(target), force)),
        })?;
        // The rank that makes the file may be killed before it can tidy up; any other will do, if it knows.
        if checkpoints.is_none() {
            cleanup::watch(&part);
            comm.barrier();
        }
        let new_file = || {
            leftovers::clear(target);
            let made = match checkpoints {
                None => cleanup::make(&part, || create_exclusive(&part)),
                Some(_) => create_exclusive(&part),
            };
            // Held as long as the file is open; where there are no locks, nobody clears it away either.
            made.inspect(|file| _ = leftovers::lock(file))
        };
        let made = if comm.is_root() { Some(meter.opening(new_file)) } else { None };
        let failed = made.as_ref().and_then(|made| made.as_ref().err().cloned());
        // What could not be made may be another job's.
        comm.agree(failed.map_or(Ok(()), Err)).inspect_err(|_| cleanup::forget(&part))?;
        // From here on a failure takes the part file away, on root, after all ranks know.
        let remove = |_: &Error| {
            if comm.is_root() {
                cleanup::remove(&part);
            }
            cleanup::forget(&part);
        };
        let prepared = if comm.is_root() { prepare(&part) } else { Ok(()) };
        comm.agree(prepared).inspect_err(remove)?;
        let opened = match made.transpose() {
            Ok(Some(file)) => Ok(file),
            _ => meter.opening(|| open_patiently(&part)),
        };
        let file = comm.agree(opened).inspect_err(remove)?;
        Ok(Self::of(context, target, force, part, file))
    }

    /// Collective. Goes on with the part file that an earlier run left, of which `extents` are the pieces
    /// that this rank answers for. They were compared with the file when the checkpoint was found.
    ///
    /// # Errors
    /// When it cannot be opened, or something else has taken the target's place meanwhile.
    pub fn resume(
        context: &'a Context,
        target: &Path,
        force: bool,
        extents: Vec<Extent>,
    ) -> Result<Self> {
        let (comm, part) = (&context.comm, kept::path(target));
        let force = comm.decide(|| {
            leftovers::clear(target);
            kept::may_replace(target, force)
        })?;
        let mut options = OpenOptions::new();
        options.read(true).write(true).custom_flags(nix::fcntl::OFlag::O_NOFOLLOW.bits());
        let opened = context.meter.opening(|| open_patiently_as(&options, &part));
        let mut this = Self::of(context, target, force, part, comm.agree(opened)?);
        this.resumed = true;
        if comm.is_root() {
            leftovers::lock(&this.file);
        }
        *this.extents.borrow_mut() = extents;
        this.kept.set(true);
        Ok(this)
    }

    fn of(context: &'a Context, target: &Path, force: bool, part: PathBuf, file: File) -> Self {
        Self {
            comm: &context.comm,
            meter: &context.meter,
            checkpoints: context.saves.as_ref().map(|saves| &saves.checkpoints),
            target: target.to_path_buf(),
            part,
            force,
            file,
            extents: RefCell::default(),
            synced: Cell::default(),
            kept: Cell::default(),
            resumed: false,
            published: false,
        }
    }

    /// Collective. Puts what was written on the disk and names it, for a checkpoint.
    ///
    /// # Errors
    /// When any rank cannot sync.
    pub fn keep(&self) -> Result<Kept> {
        let synced = self.meter.filing(|| self.file.sync_data());
        self.comm.agree(synced.map_err(|cause| self.error("sync", &cause)))?;
        let path = std::path::absolute(&self.part);
        let path = path.map_err(|cause| self.error("find the place of", &cause))?;
        self.kept.set(true);
        Ok(Kept { path, extents: self.extents.borrow().clone() })
    }

    /// Collective. Root reserves `bytes` on the disk, so that a full one is found before the work.
    /// File systems that cannot reserve (some NFS) go on; their writes are checked like all others.
    ///
    /// # Errors
    /// When there is no room.
    pub fn reserve(&self, bytes: u64) -> Result<()> {
        let end = i64::try_from(bytes).map_err(|_| {
            Error::usage(format!("{} would exceed any disk", self.target.display()))
        })?;
        let reserved = if self.comm.is_root() {
            let reserve = || disk::reserve(&self.file, end);
            let failed = |cause| self.error(format!("reserve {bytes} bytes for"), &cause);
            self.meter.filing(reserve).map_err(failed)
        } else {
            Ok(())
        };
        self.comm.agree(reserved)
    }

    /// The file's length now. Local.
    ///
    /// # Errors
    /// When the system does not tell.
    pub fn file_bytes(&self) -> Result<u64> {
        self.file.metadata().map(|meta| meta.len()).map_err(|cause| self.error("stat", &cause))
    }

    /// Writes `data` at `offset` and remembers its checksum. Local; agree before the next collective.
    ///
    /// # Errors
    /// When the system refuses the write.
    pub fn write_at(&self, offset: u64, data: &[u8]) -> Result<()> {
        self.note(Extent::of(offset, data));
        self.meter.writing(data.len(), || self.file.write_all_at(data, offset)).map_err(|cause| {
            self.error(format!("write {} bytes at {offset} of", data.len()), &cause)
        })
    }

    /// What several threads may write with at once; tell the file by [`note_all`](Self::note_all).
    pub fn writer(&self) -> Writer<'_> {
        Writer::new(&self.file, &self.target)
    }

    /// Remembers what a [`Writer`] wrote, in seconds of this thread. Local.
    pub fn note_all(&self, extents: impl IntoIterator<Item = Extent>) {
        for extent in extents {
            self.meter.writing(to_usize(extent.bytes), || self.note(extent));
        }
    }

    /// The open file, for reading back.
    pub fn file(&self) -> &File {
        &self.file
    }

    /// Takes bytes that lie in the file already, such as a header, into the checksum. Local.
    ///
    /// # Errors
    /// When they cannot be read.
    pub fn adopt(&self, offset: u64, bytes: u64) -> Result<()> {
        let read = disk::checksum(self.meter, &self.file, offset, bytes);
        let crc64 = read.map_err(|(at, cause)| self.error(format!("read at {at} of"), &cause))?;
        self.note(Extent { offset, bytes, crc64 });
        Ok(())
    }

    fn note(&self, extent: Extent) {
        crc::note(&mut self.extents.borrow_mut(), extent);
    }

    /// Collective. Reads the file back, by equal cuts over the ranks rather than by who wrote what,
    /// and compares it with what the ranks meant to write.
    ///
    /// # Errors
    /// A verification error when the pieces do not cover the file or its bytes differ.
    pub fn verify(&self) -> Result<FileSum> {
        self.verify_by(|range| self.read_checksum(range.start, range.end - range.start))
    }

    /// Collective. As [`verify`](Self::verify), for a job that looks at what it reads back: `read` gets
    /// a range of the file, the next rank's of equal ones, and returns the CRC-64 of its bytes.
    ///
    /// # Errors
    /// As [`verify`](Self::verify), or what `read` returns on any rank.
    pub fn verify_by(&self, read: impl FnOnce(Range<u64>) -> Result<u64>) -> Result<FileSum> {
        let meant = self.meant()?;
        self.trim(meant.bytes)?;
        let size = self.comm.size();
        let block = |rank| aligned_block(meant.bytes, size, rank, BLOCK_BYTES);
        // Not one's own bytes, should the file be cut like this.
        let next = block((self.comm.rank() + 1) % size);
        let (mine, synced) = disk::while_syncing(&self.file, || read(next));
        self.synced.set(synced);
        let mine = self.comm.agree(mine)?;
        let sums = self.comm.all_gather(mine);
        let found = (0..size).fold(crc::checksum(&[]), |whole, rank| {
            let (range, reader) = (block(rank), (rank + size - 1) % size);
            crc::combine(whole, sums[to_usize(reader)], range.end - range.start)
        });
        let length = self.comm.agree(self.file_bytes())?;
        if found == meant.crc64 && length == meant.bytes {
            let path = self.target.display().to_string();
            return Ok(FileSum { path, bytes: length, crc64: crc::hex(found) });
        }
        self.comm.agree(self.name_difference())?;
        Err(Error::verification(format!(
            "{}: read back {length} bytes with crc64 {}, written were {} bytes with crc64 {}, \
             though each rank finds its own pieces unchanged; look for another program that writes \
             to this file",
            self.target.display(),
            crc::hex(found),
            meant.bytes,
            crc::hex(meant.crc64),
        )))
    }

    /// Collective. Cuts off what somebody has appended to a part file between two runs.
    fn trim(&self, bytes: u64) -> Result<()> {
        if !self.resumed {
            return Ok(());
        }
        self.comm.decide(|| {
            if self.file_bytes()? <= bytes {
                return Ok(());
            }
            self.file.set_len(bytes).map_err(|cause| self.error("cut the end off", &cause))
        })
    }

    /// Collective. The whole file as the ranks meant it.
    fn meant(&self) -> Result<Extent> {
        let mut total = [self.extents.borrow().iter().map(|extent| extent.bytes).sum()];
        self.comm.all_reduce(Op::Sum, &mut total);
        let crc64 = joined(self.comm, &self.extents.borrow(), total[0])
            .map_err(|error| Error { message: self.named(&error.message), ..error })?;
        Ok(Extent { offset: 0, bytes: total[0], crc64 })
    }

    fn named(&self, problem: &str) -> String {
        format!("{}: {problem}", self.target.display())
    }

    /// After a mismatch: does this rank find one of its own pieces changed? Names the first.
    fn name_difference(&self) -> Result<()> {
        for extent in self.extents.borrow().iter() {
            if self.read_checksum(extent.offset, extent.bytes)? != extent.crc64 {
                return Err(Error::verification(format!(
                    "{}: bytes {}..{} differ from what was written; the disk or the network file \
                     system returned other bytes than it was given",
                    self.target.display(),
                    extent.offset,
                    extent.offset + extent.bytes
                )));
            }
        }
        Ok(())
    }

    fn read_checksum(&self, offset: u64, bytes: u64) -> Result<u64> {
        disk::read_back(self.meter, &self.file, offset, bytes).map_err(|(at, cause)| {
            let refused = || self.error(format!("read back at {at} of"), &cause);
            disk::read_back_error(&cause, refused)
        })
    }

    /// Collective. Puts what was written on the disk: what has not gone there during the read-back.
    ///
    /// # Errors
    /// When any rank cannot sync.
    pub fn sync(&self) -> Result<()> {
        let synced = self.meter.filing(|| disk::sync(&self.file, self.synced.take()));
        self.comm.agree(synced.map_err(|cause| self.error("sync", &cause)))
    }

    /// Collective. Gives the synced file its name and syncs the directory.
    ///
    /// # Errors
    /// When root cannot rename.
    pub fn publish(mut self) -> Result<Published> {
        let (part, target) = (&self.part, &self.target);
        let renamed = if self.comm.is_root() {
            self.meter.filing(|| self.rename()).map_err(|cause| self.error("publish", &cause))
        } else {
            Ok(Published::by_root(part, target))
        };
        let published = self.comm.agree(renamed)?;
        self.published = true;
        Ok(published)
    }

    fn rename(&self) -> std::io::Result<Published> {
        let (file, part, target, force) = (&self.file, &self.part, &self.target, self.force);
        let Some(checkpoints) = self.checkpoints else {
            return Published::rename(file, part, target, force, 0o666);
        };
        let published = Published::link(file, part, target, force, 0o666)?;
        checkpoints.leave_behind(part.clone());
        Ok(published)
    }

    /// The error of reading back.
    pub fn read_error(&self, cause: &std::io::Error) -> Error {
        disk::read_back_error(cause, || self.error("read back", cause))
    }

    fn error(&self, action: impl std::fmt::Display, cause: &std::io::Error) -> Error {
        Error::io(action, &self.target, cause)
    }
}

impl Drop for PartFile<'_> {
    fn drop(&mut self) {
        if self.published {
            return; // `Published` looks after what has the part's name now
        }
        // A run can go on with it once a checkpoint tells of it.
        let stays = self.kept.get() && self.checkpoints.is_some_and(Checkpoints::any);
        if self.comm.is_root() && !stays {
            cleanup::remove(&self.part);
        }
        cleanup::forget(&self.part);
    }
}

/// What keeps two runs from sharing a part file: Slurm's job id, which a requeued job keeps, and
/// root's process and start time, which it does not.
pub fn job_id() -> String {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let moment = now.map_or(0, |since| since.subsec_micros());
    let job = std::env::var("SLURM_JOB_ID").map_or_else(|_| String::new(), |id| format!("{id}-"));
    format!("{job}{}-{moment}", std::process::id())
}

/// `.<name>.<job id>.part` beside the target.
pub(super) fn part_path(target: &Path, job: &str) -> PathBuf {
    let mut name = std::ffi::OsString::from(".");
    name.push(target.file_name().expect("checked before"));
    name.push(format!(".{job}.part"));
    directory(target).join(name)
}

fn create_exclusive(part: &Path) -> Result<File> {
    let open = || {
        OpenOptions::new()
            .read(true)
            .write(true)
            .create_new(true)
            .mode(0o600)
            .custom_flags(nix::fcntl::OFlag::O_NOFOLLOW.bits())
            .open(part)
    };
    open().map_err(|cause| Error::io("create", part, &cause))
}

/// Opens what root has just made; a network file system may show it a moment later.
fn open_patiently(part: &Path) -> Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).custom_flags(nix::fcntl::OFlag::O_NOFOLLOW.bits());
    open_patiently_as(&options, part)
}

/// The same with other options.
pub(super) fn open_patiently_as(options: &OpenOptions, part: &Path) -> Result<File> {
    let mut tries = 0;
    loop {
        match options.open(part) {
            Ok(file) => return Ok(file),
            Err(cause) if cause.kind() == std::io::ErrorKind::NotFound && tries < 50 => {
                tries += 1;
                std::thread::sleep(Duration::from_millis(100));
            }
            Err(cause) => return Err(Error::io("open", part, &cause)),
        }
    }
}
