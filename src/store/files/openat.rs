//! Reading with plain system calls, one file at a time: open, read, read to confirm, close; of given
//! names: open, look at type and size, read, close.
//!
//! Costs about 2 us for a small file in the page cache (the confirming read 0.15 us of it), and the
//! whole latency of the disk for each cold file, because only one is ever under way; more
//! threads, each with its own `Openat`, overlap that. One descriptor is open at any time.

use super::{Files, Problem, SLACK, Trust, Visitor};
use crate::num::to_u64;
use crate::store::again;
use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, openat};
use nix::sys::stat::{FileStat, Mode, SFlag, fstat, fstatat};
use nix::unistd::read;
use std::ffi::CStr;
use std::ops::Range;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// The reader that makes plain system calls; its buffer is reused from file to file.
#[derive(Debug)]
pub struct Openat {
    small_max: usize,
    /// [`SLACK`], then room for `small_max` bytes and one more, which tells "full" from "larger".
    buffer: Vec<u8>,
}

/// How a file is approached.
#[derive(Clone, Copy, Debug)]
pub(super) struct Manner {
    /// Follow a link.
    follow: bool,
    /// Look at type and size before reading: always for given names, and for a file that is known
    /// to be odd.
    look_first: bool,
    /// Without `O_NONBLOCK`: the second try at a regular file that said "try again".
    wait: bool,
}

impl Manner {
    /// What the origin of the names asks for.
    pub(super) fn new(trust: Trust) -> Self {
        let given = trust == Trust::Given;
        Self { follow: given, look_first: given, wait: false }
    }

    /// The same for a file that another reader already found odd.
    pub(super) fn suspicious(trust: Trust) -> Self {
        Self { look_first: true, ..Self::new(trust) }
    }

    /// Flags for `openat`. `O_NONBLOCK`: a FIFO opens at once, with or without a writer.
    pub(super) fn flags(self) -> OFlag {
        let mut flags = OFlag::O_RDONLY | OFlag::O_CLOEXEC | OFlag::O_NOCTTY;
        flags.set(OFlag::O_NOFOLLOW, !self.follow);
        flags.set(OFlag::O_NONBLOCK, !self.wait);
        flags
    }

    /// The same for a descriptor that is not one of the process, which the kernel wants without
    /// `O_CLOEXEC`.
    pub(super) fn direct_flags(self) -> i32 {
        self.flags().difference(OFlag::O_CLOEXEC).bits()
    }
}

enum Found {
    Small(usize),
    Large(u64),
}

impl Openat {
    /// A reader that hands over files of at most `small_max` bytes.
    pub fn new(small_max: usize) -> Self {
        Self { small_max, buffer: vec![0; SLACK + small_max + 1] }
    }

    /// Reads a range of files, in order, and calls `visitor` once for each, as long as it wants more.
    pub fn read_all(&mut self, files: Files<'_>, range: Range<usize>, visitor: &mut impl Visitor) {
        for (index, name) in files.walk(range) {
            if !visitor.goes_on() {
                break;
            }
            self.read_one(files.dir, name, Manner::new(files.trust), index, visitor);
        }
    }

    /// Reads one file and calls `visitor` for it.
    pub(super) fn read_one(
        &mut self,
        dir: BorrowedFd<'_>,
        name: &CStr,
        manner: Manner,
        index: usize,
        visitor: &mut impl Visitor,
    ) {
        let mut found = self.attempt(dir, name, manner);
        if matches!(&found, Err(Problem::Io(e)) if e.raw_os_error() == Some(Errno::EAGAIN as i32)) {
            // A regular file (all else is NotRegular by now) that another process holds a lease
            // on, or that lies on tape: this one has to be waited for.
            found = self.attempt(dir, name, Manner { wait: true, ..manner });
        }
        match found {
            Ok(Found::Small(size)) => visitor.small(index, &self.buffer[..SLACK + size], SLACK),
            Ok(Found::Large(size)) => visitor.large(index, size),
            Err(problem) => visitor.failed(index, problem),
        }
    }

    fn attempt(
        &mut self,
        dir: BorrowedFd<'_>,
        name: &CStr,
        manner: Manner,
    ) -> Result<Found, Problem> {
        let file = again(|| openat(dir, name, manner.flags(), Mode::empty()))
            .map_err(|error| refused(dir, name, manner, error))?;
        let mut told = None;
        if manner.look_first {
            let size = regular_size(&file)?;
            if size > to_u64(self.small_max) {
                return Ok(Found::Large(size));
            }
            told = Some(size);
        }
        let room = &mut self.buffer[SLACK..];
        let mut filled = 0;
        loop {
            match again(|| read(&file, &mut room[filled..])) {
                Ok(0) => break,
                Ok(size) => {
                    filled += size;
                    // All that the file was just said to hold: nothing is left to be confirmed.
                    if told == Some(to_u64(filled)) {
                        break;
                    }
                }
                Err(error) => {
                    regular_size(&file)?;
                    return Err(Problem::Io(error.into()));
                }
            }
            if filled > self.small_max {
                // A size below what was read: it shrank meanwhile, or the size is not kept.
                return Ok(Found::Large(regular_size(&file)?.max(to_u64(filled))));
            }
        }
        if filled == 0 && !manner.look_first {
            regular_size(&file)?;
        }
        Ok(Found::Small(filled))
    }
}

/// The size of an open file, or what it is if it is not a regular one.
pub(super) fn regular_size(file: &OwnedFd) -> Result<u64, Problem> {
    let status = again(|| fstat(file.as_fd())).map_err(|error| Problem::Io(error.into()))?;
    kind(&status).map_or(Ok(u64::try_from(status.st_size).unwrap_or(0)), |kind| {
        Err(Problem::NotRegular(kind))
    })
}

/// Why `openat` failed: sockets (`ENXIO`), devices without a driver and busy FIFOs are called what
/// they are.
fn refused(dir: BorrowedFd<'_>, name: &CStr, manner: Manner, error: Errno) -> Problem {
    if matches!(error, Errno::ENXIO | Errno::ENODEV | Errno::EAGAIN) {
        let mut flags = AtFlags::empty();
        flags.set(AtFlags::AT_SYMLINK_NOFOLLOW, !manner.follow);
        if let Some(kind) = fstatat(dir, name, flags).ok().and_then(|status| kind(&status)) {
            return Problem::NotRegular(kind);
        }
    }
    Problem::Io(error.into())
}

/// What it is, with its article, if not a regular file.
fn kind(status: &FileStat) -> Option<&'static str> {
    Some(match SFlag::from_bits_truncate(status.st_mode) & SFlag::S_IFMT {
        SFlag::S_IFREG => return None,
        SFlag::S_IFIFO => "a FIFO",
        SFlag::S_IFDIR => "a directory",
        SFlag::S_IFCHR => "a character device",
        SFlag::S_IFBLK => "a block device",
        SFlag::S_IFSOCK => "a socket",
        SFlag::S_IFLNK => "a symbolic link",
        _ => "something unknown",
    })
}
