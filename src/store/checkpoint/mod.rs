//! Checkpoints: what a run needs to go on, in a directory of its own.
//!
//! A checkpoint is a directory `ckpt-N` with a head (one JSON object: job, parameters, what all ranks share)
//! and a part for each rank that wrote it. It is written beside the older one, synced, and then gets its
//! name; the one before stays, older ones go. Large data (a picture's rows, sorted runs) are not copied into
//! it: parts name the files that hold them with the checksums of their pieces. Everything is read and
//! compared before a run goes on from it, which costs a pass over what was done, and a checkpoint with a
//! wrong bit gives way to the one before. Any number of ranks can read what any number wrote.

mod beside;
pub mod format;
mod read;

use std::cell::{Cell, RefCell};
use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use nix::fcntl::OFlag;
use serde_json::Value;

pub use self::format::Kept;
use self::format::{Entry, Head, Part};
pub use self::read::Found;
use super::crc::{self, Extent};
use super::{kept, listing};
use crate::comm::{Comm, Op};
use crate::error::{Error, Result};
use crate::num::{to_u64, to_usize};

/// What a job gives for a checkpoint.
#[derive(Clone, Debug, Default)]
pub struct Saved {
    /// What all ranks share; root's counts.
    pub head: Value,
    /// This rank's own.
    pub part: Vec<u8>,
    /// Files outside the checkpoint that it needs, with this rank's pieces of them, already synced.
    pub kept: Vec<Kept>,
}

/// Seconds and nanoseconds of a file system's clock.
pub type Moment = (i64, i64);

/// How a run treats what is in the directory already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// Goes on from a checkpoint if there is one.
    Resume,
    /// Refuses to lose one.
    Fresh,
    /// Removes what is there.
    Anew,
}

/// A directory of checkpoints, held by one run.
pub struct Checkpoints {
    directory: PathBuf,
    identity: Value,
    /// The number of the next one.
    next: Cell<u64>,
    /// Numbers of those that are there.
    there: RefCell<Vec<u64>>,
    /// Held while the run lives, on root.
    lock: Option<File>,
    /// Files to be removed with the checkpoints.
    leftovers: RefCell<Vec<PathBuf>>,
    stats: Cell<Stats>,
}

/// What checkpoints cost so far.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Stats {
    /// How many were written.
    pub written: u64,
    /// Bytes of them, of all ranks, without kept files.
    pub bytes: u64,
    /// Seconds of this rank.
    pub seconds: f64,
    /// The number of the checkpoint that the run went on from.
    pub resumed_from: Option<u64>,
}

const LOCK: &str = "lock";
const HEAD: &str = "head.json";
const UNFINISHED: &str = "unfinished-";

fn name(number: u64) -> String {
    format!("ckpt-{number:06}")
}

fn unfinished_name(number: u64) -> String {
    format!("{UNFINISHED}{number:06}")
}

/// Whether an entry of the directory has a name that `of` gives to some number. Others are somebody else's.
fn is_name(entry: &str, of: fn(u64) -> String) -> bool {
    let number = entry.split_once('-').and_then(|(_, number)| number.parse().ok());
    number.is_some_and(|number| of(number) == entry)
}

fn part_name(part: u64) -> String {
    format!("part-{part:05}")
}

impl Checkpoints {
    /// Collective. Takes hold of the directory, which is made if need be, and finds the newest checkpoint
    /// that is whole. `identity` is what a run must have in common with those it goes on from. Remarks on
    /// what was passed over are for the user.
    ///
    /// # Errors
    /// When another run holds the directory; when a checkpoint is there that was made with other parameters,
    /// or nobody asked to go on from, or none of several is whole; when the system refuses.
    pub fn open(
        comm: &Comm,
        directory: &Path,
        identity: Value,
        start: Start,
    ) -> Result<(Self, Option<Found>, Vec<String>)> {
        let mut lock = None;
        let numbers = comm.decide(|| {
            lock = Some(hold(directory)?);
            if start == Start::Anew {
                discard_all(directory)?;
            }
            remove_unfinished(directory)?;
            let numbers = read::numbers(directory)?;
            match (start, numbers.last()) {
                (Start::Fresh, Some(_)) => Err(Error::usage(format!(
                    "--checkpoint {}: a checkpoint of an earlier run is there; --resume goes on from it, \
                     --force starts anew",
                    directory.display()
                ))),
                _ => Ok(numbers),
            }
        })?;
        let (found, remarks) = read::newest(comm, directory, &identity, &numbers)?;
        comm.decide(|| beside::remove_unneeded(directory, &numbers))?;
        // Those that were passed over go first.
        let (mut there, good): (Vec<u64>, Vec<u64>) =
            numbers.iter().partition(|&&n| found.as_ref().is_some_and(|found| n > found.number));
        there.extend(good);
        let stats =
            Stats { resumed_from: found.as_ref().map(|found| found.number), ..Stats::default() };
        let checkpoints = Self {
            directory: directory.to_path_buf(),
            identity,
            next: Cell::new(numbers.last().map_or(1, |last| last + 1)),
            there: RefCell::new(there),
            lock,
            leftovers: RefCell::default(),
            stats: Cell::new(stats),
        };
        Ok((checkpoints, found, remarks))
    }

    /// What the time is, by the clock of the directory's file system, which also dates the files beside it.
    /// Local, on root.
    ///
    /// # Errors
    /// When no file can be made there.
    pub fn now(&self) -> Result<Moment> {
        let path = self.directory.join("now");
        let made = || -> std::io::Result<Moment> {
            listing::absent(std::fs::remove_file(&path))?;
            let mut options = OpenOptions::new();
            let meta = options.write(true).create_new(true).mode(0o600).open(&path)?.metadata()?;
            std::fs::remove_file(&path)?;
            Ok((meta.ctime(), meta.ctime_nsec()))
        };
        made().map_err(|cause| Error::io("make a file to see the time,", &path, &cause))
    }

    /// The directory.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// What runs that go on from each other have in common.
    pub fn identity(&self) -> &Value {
        &self.identity
    }

    /// What they cost so far.
    pub fn stats(&self) -> Stats {
        self.stats.get()
    }

    /// Whether a run can go on from one that is there.
    pub fn any(&self) -> bool {
        !self.there.borrow().is_empty()
    }

    /// A file that is removed together with the checkpoints, once the run is complete. Local.
    pub fn leave_behind(&self, path: PathBuf) {
        self.leftovers.borrow_mut().push(path);
    }

    /// Collective. Writes a checkpoint, and removes all but the one before.
    ///
    /// # Errors
    /// When any rank cannot; then the older ones are as they were.
    pub fn save(&self, comm: &Comm, saved: Saved, seconds: impl Fn() -> f64) -> Result<()> {
        let begin = seconds();
        let number = self.next.get();
        let done = self.directory.join(name(number));
        let unfinished = self.directory.join(unfinished_name(number));
        let written = self.write(comm, &unfinished, saved);
        let bytes = match written {
            Ok(bytes) => bytes,
            Err(error) => {
                if comm.is_root() {
                    listing::remove(&unfinished).ok();
                }
                return Err(error);
            }
        };
        self.next.set(number + 1);
        comm.decide(|| {
            let give_name = || -> std::io::Result<()> {
                std::fs::rename(&unfinished, &done)?;
                File::open(&self.directory)?.sync_all()
            };
            give_name().map_err(|cause| {
                // It may have its name, and yet not be there after a loss of power.
                take_away(&self.directory, &name(number)).ok();
                Error::io("name the checkpoint", &done, &cause)
            })
        })?;
        let mut there = self.there.borrow_mut();
        there.push(number);
        while there.len() > 2 {
            let old = there.remove(0);
            if comm.is_root() {
                // One too many does no harm.
                take_away(&self.directory, &name(old)).ok();
            }
        }
        let stats = self.stats.get();
        self.stats.set(Stats {
            written: stats.written + 1,
            bytes: stats.bytes + bytes,
            seconds: stats.seconds + (seconds() - begin),
            ..stats
        });
        Ok(())
    }

    /// Collective. Returns the bytes of all parts.
    fn write(&self, comm: &Comm, directory: &Path, saved: Saved) -> Result<u64> {
        let Saved { head, part, kept } = saved;
        comm.decide(|| {
            listing::remove(directory).ok();
            new_directory(directory)
        })?;
        let path = directory.join(part_name(comm.rank()));
        let files = beside::names(comm, &kept);
        let bytes = Part { kept, data: part }.encode();
        comm.agree(write_new(&path, &bytes))?;
        let (lengths, sums) =
            (comm.all_gather(to_u64(bytes.len())), comm.all_gather(crc::checksum(&bytes)));
        let total = lengths.iter().sum();
        comm.decide(|| {
            let parts = lengths.iter().zip(&sums);
            let parts = parts.map(|(&bytes, &crc64)| Entry { bytes, crc64: crc::hex(crc64) });
            let head = Head::new(self.identity.clone(), head, parts.collect(), files);
            write_new(&directory.join(HEAD), &head.encode())?;
            let sync = || File::open(directory)?.sync_all();
            sync().map_err(|cause| Error::io("sync the checkpoint", directory, &cause))
        })?;
        Ok(total)
    }

    /// Collective. The run is complete: removes all checkpoints, and the directory if nothing else is in it.
    ///
    /// # Errors
    /// When anything stays; a checkpoint would be one that a later run stumbles over.
    pub fn finish(mut self, comm: &Comm) -> Result<()> {
        // The newest checkpoint goes last, so that one that is there is never older than one that was.
        comm.decide(|| {
            discard_all(&self.directory)?;
            // What could not be taken away in the course of the run.
            remove_unfinished(&self.directory)?;
            beside::remove_unneeded(&self.directory, &[])
        })?;
        let leftovers = self.leftovers.take();
        let removed = leftovers.iter().try_for_each(|path| {
            listing::absent(std::fs::remove_file(path))
                .map_err(|cause| Error::io("remove", path, &cause))
        });
        comm.agree(removed)?;
        self.there.borrow_mut().clear();
        comm.agree(self.let_go())
    }

    /// On root, when no checkpoint is there: removes the lock and what lies beside, and the directory if
    /// nothing else is in it.
    fn let_go(&mut self) -> Result<()> {
        self.lock.take().map_or(Ok(()), |lock| let_go(&self.directory, lock))
    }
}

impl Drop for Checkpoints {
    fn drop(&mut self) {
        // One that could neither be made nor taken away is still to have its files.
        if !self.any() && self.lock.is_some() && !is_there(&self.directory) {
            // Whatever ends the run is worse than this.
            self.let_go().ok();
        }
    }
}

/// Whether a directory holds a checkpoint.
pub fn is_there(directory: &Path) -> bool {
    read::numbers(directory).is_ok_and(|numbers| !numbers.is_empty())
}

/// On root. Removes what checkpoints are left of a run that has come to its end.
///
/// # Errors
/// When another run holds them, or the system refuses.
pub fn discard(directory: &Path) -> Result<()> {
    if !directory.is_dir() {
        return Ok(());
    }
    let lock = hold(directory)?;
    discard_all(directory)?;
    // A kill may have met one as it was taken away.
    remove_unfinished(directory)?;
    let_go(directory, lock)
}

fn let_go(directory: &Path, lock: File) -> Result<()> {
    beside::remove_unneeded(directory, &[])?;
    let path = directory.join(LOCK);
    listing::absent(std::fs::remove_file(&path))
        .map_err(|cause| Error::io("remove", &path, &cause))?;
    let removed = std::fs::remove_dir(directory).or_else(|cause| match cause.kind() {
        // Something else is kept there.
        ErrorKind::DirectoryNotEmpty
        // It is somebody else's to remove, or a link, a mount point, or `.`.
        | ErrorKind::PermissionDenied
        | ErrorKind::ReadOnlyFilesystem
        | ErrorKind::NotADirectory
        | ErrorKind::ResourceBusy
        | ErrorKind::InvalidInput => Ok(()),
        _ => Err(cause),
    });
    listing::absent(removed).map_err(|cause| Error::io("remove", directory, &cause))?;
    drop(lock);
    Ok(())
}

/// Takes away the part file's name of a target that has been published.
pub fn forget_part(target: &Path) {
    kept::forget(target);
}

impl Kept {
    /// Collective. The pieces of a target's part file among what this rank read.
    ///
    /// # Errors
    /// When no rank read any.
    pub fn pieces<'k>(
        comm: &Comm,
        target: &Path,
        read: impl Iterator<Item = &'k Self>,
    ) -> Result<Vec<Extent>> {
        let part = kept::path(target);
        let place = std::path::absolute(&part).unwrap_or_else(|_| part.clone());
        let ours: Vec<&Self> = read.filter(|kept| kept.path == place).collect();
        let mut count = [to_u64(ours.len())];
        comm.all_reduce(Op::Sum, &mut count);
        if count[0] == 0 {
            return Err(Error::usage(format!(
                "--resume: the checkpoint tells nothing of {}; start the run in the directory in which it \
                 began",
                place.display()
            )));
        }
        Ok(ours.into_iter().flat_map(|kept| kept.extents.iter().copied()).collect())
    }
}

/// Makes the directory, if it is not there, and locks it for as long as the file is open.
fn hold(directory: &Path) -> Result<File> {
    let path = directory.join(LOCK);
    let open = || {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false).mode(0o600);
        options.custom_flags(OFlag::O_NOFOLLOW.bits()).open(&path)
    };
    // A run that was just killed may live a moment longer.
    for _ in 0..30 {
        match DirBuilder::new().mode(0o700).create(directory) {
            Err(cause) if cause.kind() != ErrorKind::AlreadyExists => {
                return Err(Error::io("make the checkpoint directory", directory, &cause));
            }
            _ => {}
        }
        let file = match open() {
            // The run that held it has just come to its end.
            Err(cause)
                if cause.kind() == ErrorKind::NotFound && directory.symlink_metadata().is_err() =>
            {
                continue;
            }
            opened => opened.map_err(|cause| Error::io("open", &path, &cause))?,
        };
        match file.try_lock() {
            // It may have removed it in between.
            Ok(()) if is_at(&file, &path) => return Ok(file),
            Ok(()) => continue,
            Err(TryLockError::Error(cause)) if cause.kind() != ErrorKind::Interrupted => {
                return Err(Error::io("lock", &path, &cause));
            }
            Err(_) => {}
        }
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
    Err(Error::usage(format!(
        "--checkpoint {}: another run works with it; wait for its end or give another directory",
        directory.display()
    )))
}

fn is_at(file: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let identity = |meta: std::fs::Metadata| (meta.dev(), meta.ino());
    let there = std::fs::symlink_metadata(path).ok().map(identity);
    file.metadata().ok().map(identity) == there
}

/// Removes what an interrupted run did not finish.
fn remove_unfinished(directory: &Path) -> Result<()> {
    remove_matching(directory, |entry| is_name(entry, unfinished_name))
}

/// Removes all checkpoints, oldest first.
fn discard_all(directory: &Path) -> Result<()> {
    remove_matching(directory, |entry| is_name(entry, name))
}

fn remove_matching(directory: &Path, ours: impl Fn(&str) -> bool) -> Result<()> {
    let remove = || -> std::io::Result<()> {
        let names = listing::names(directory, usize::MAX)?;
        let names = names.into_iter().filter_map(|name| name.into_string().ok());
        let mut names: Vec<String> = names.filter(|name| ours(name)).collect();
        names.sort();
        names.iter().try_for_each(|name| take_away(directory, name))
    };
    remove().map_err(|cause| Error::io("remove old checkpoints in", directory, &cause))
}

/// Removes what has a name of ours; of a checkpoint a kill leaves all or nothing that has its name.
fn take_away(directory: &Path, name: &str) -> std::io::Result<()> {
    let whole = directory.join(name);
    let Some(number) = name.strip_prefix("ckpt-") else { return listing::remove(&whole) };
    let doomed = directory.join(format!("{UNFINISHED}{number}"));
    listing::remove(&doomed).ok();
    std::fs::rename(&whole, &doomed)?;
    listing::remove(&doomed)
}

fn new_directory(path: &Path) -> Result<()> {
    let made = DirBuilder::new().mode(0o700).create(path);
    made.map_err(|cause| Error::io("create", path, &cause))
}

fn write_new(path: &Path, bytes: &[u8]) -> Result<()> {
    let write = || -> std::io::Result<()> {
        let mut options = OpenOptions::new();
        options.write(true).create_new(true).mode(0o600);
        let mut file = options.custom_flags(OFlag::O_NOFOLLOW.bits()).open(path)?;
        file.write_all(bytes)?;
        file.sync_all()
    };
    write().map_err(|cause| Error::io("write the checkpoint", path, &cause))
}

/// Which of so many parts `rank` of `size` takes care of.
fn share(parts: usize, comm: &Comm) -> impl Iterator<Item = usize> + use<> {
    (to_usize(comm.rank())..parts).step_by(to_usize(comm.size()))
}

#[cfg(test)]
mod tests;
