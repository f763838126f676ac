//! The part directory: many files that get their name together.
//!
//! As a part file (`part.rs`): made beside the target under another name, filled by all ranks, renamed
//! at the end, removed when anything fails. Small files are not synced one by one, which would cost more
//! than all else: generated data can be generated again.

use std::fs::{DirBuilder, File, OpenOptions};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use nix::fcntl::{OFlag, openat};
use nix::sys::stat::Mode;

use super::part::{job_id, open_patiently_as, part_path};
use super::publish::Published;
use super::{again, cleanup, kept, leftovers};
use crate::comm::Comm;
use crate::error::{Error, Result};

/// A directory that is being filled by all ranks.
pub struct PartDir<'a> {
    comm: &'a Comm,
    target: PathBuf,
    part: PathBuf,
    directory: File,
    /// On root: tells others that this run is alive.
    _lock: Option<File>,
    published: bool,
}

impl<'a> PartDir<'a> {
    /// Collective. Root makes the directory, every rank opens it.
    ///
    /// # Errors
    /// When root cannot make or any rank cannot open it.
    pub fn create(comm: &'a Comm, target: &Path) -> Result<Self> {
        let part = part_path(target, &comm.decide(|| Ok(job_id()))?);
        Self::create_as(comm, target, part)
    }

    /// Collective. The same in a run that writes checkpoints: takes away what one before it left that was
    /// killed.
    ///
    /// # Errors
    /// As [`create`](Self::create).
    pub fn create_anew(comm: &'a Comm, target: &Path) -> Result<Self> {
        let part = kept::path(target);
        if comm.is_root() {
            cleanup::remove(&part);
        }
        Self::create_as(comm, target, part)
    }

    fn create_as(comm: &'a Comm, target: &Path, part: PathBuf) -> Result<Self> {
        // As for a part file: every rank knows of it before it is there.
        cleanup::watch(&part);
        comm.barrier();
        let new_directory = || -> std::io::Result<File> {
            leftovers::clear(target);
            cleanup::make(&part, || DirBuilder::new().mode(0o700).create(&part))?;
            let mut options = OpenOptions::new();
            options.write(true).create_new(true).mode(0o600);
            let lock = options.open(part.join(leftovers::LOCK_NAME));
            let lock = lock.inspect_err(|_| cleanup::remove(&part))?;
            leftovers::lock(&lock);
            Ok(lock)
        };
        let made = if comm.is_root() { new_directory().map(Some) } else { Ok(None) };
        let lock = comm
            .agree(made.map_err(|cause| Error::io("create", &part, &cause)))
            .inspect_err(|_| cleanup::forget(&part))?;
        let mut options = OpenOptions::new();
        options.read(true).custom_flags((OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW).bits());
        let opened = open_patiently_as(&options, &part);
        let directory = comm.agree(opened).inspect_err(|_| {
            if comm.is_root() {
                cleanup::remove(&part);
            }
            cleanup::forget(&part);
        })?;
        Ok(Self {
            comm,
            target: target.to_path_buf(),
            part,
            directory,
            _lock: lock,
            published: false,
        })
    }

    /// For opening files in it.
    pub fn as_fd(&self) -> BorrowedFd<'_> {
        self.directory.as_fd()
    }

    /// Makes a file that is written at offsets and read back. Local.
    ///
    /// # Errors
    /// When the system refuses.
    pub(super) fn make(&self, name: &str) -> Result<File> {
        cleanup::wait_if_ending();
        let flags =
            OFlag::O_RDWR | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        again(|| openat(&self.directory, name, flags, Mode::from_bits_truncate(0o666)))
            .map(File::from)
            .map_err(|cause| Error::io("create", &self.target.join(name), &cause.into()))
    }

    /// Opens a file that another rank has made; a network file system may show it a moment later. Local.
    ///
    /// # Errors
    /// When the system refuses.
    pub(super) fn open(&self, name: &str) -> Result<File> {
        let mut options = OpenOptions::new();
        options.read(true).custom_flags(OFlag::O_NOFOLLOW.bits());
        open_patiently_as(&options, &self.part.join(name))
    }

    /// Collective. Puts the names of its files on the disk.
    ///
    /// # Errors
    /// When root cannot.
    pub(super) fn sync(&self) -> Result<()> {
        let synced = if self.comm.is_root() { self.directory.sync_all() } else { Ok(()) };
        self.comm.agree(synced.map_err(|cause| Error::io("sync", &self.target, &cause)))
    }

    /// Makes a file with these bytes. Local, from any thread.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn write(directory: BorrowedFd<'_>, target: &Path, name: &str, bytes: &[u8]) -> Result<()> {
        use std::io::Write;
        cleanup::wait_if_ending();
        let flags =
            OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let write = || -> std::io::Result<()> {
            let mode = Mode::from_bits_truncate(0o666);
            let mut file = File::from(again(|| openat(directory, name, flags, mode))?);
            file.write_all(bytes)?;
            // Nobody syncs it, and some network file systems tell a full disk only now.
            Ok(nix::unistd::close(file)?)
        };
        write().map_err(|cause| Error::io("write", &target.join(name), &cause))
    }

    /// Collective. Gives the directory its name.
    ///
    /// # Errors
    /// When root cannot rename it.
    pub fn publish(mut self) -> Result<()> {
        let (part, target) = (&self.part, &self.target);
        let renamed = if self.comm.is_root() {
            std::fs::remove_file(part.join(leftovers::LOCK_NAME))
                .and_then(|()| Published::rename(&self.directory, part, target, false, 0o777))
        } else {
            Ok(Published::by_root(part, target))
        };
        self.comm.agree(renamed.map_err(|cause| Error::io("publish", target, &cause)))?;
        self.published = true;
        Ok(())
    }
}

impl Drop for PartDir<'_> {
    fn drop(&mut self) {
        if self.published {
            return;
        }
        if self.comm.is_root() {
            cleanup::remove(&self.part);
        }
        cleanup::forget(&self.part);
    }
}
