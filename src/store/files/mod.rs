//! Many small files of one directory, read whole and handed over one after the other.
//!
//! Two readers with the same contract: [`Openat`] makes plain system calls, one file at a time;
//! [`Uring`] keeps many files in flight in one kernel ring. The choice costs this: `Openat` needs
//! one descriptor, no kernel feature and about four system calls a file, and waits for the disk at
//! every cold file; `Uring` needs a kernel that lends it a ring and a buffer per file in flight,
//! and is worth it where files are cold or the file system is far. Neither believes a short read
//! to be the end of a file: the size that was looked at before, or a read that returns nothing,
//! confirms it.
//!
//! Neither reader can be made to wait by a FIFO, a terminal or a device in the place of a file.

mod names;
mod openat;
mod uring;

#[cfg(test)]
mod tests;

pub use names::{BadName, Names};
pub use openat::Openat;
pub use uring::Uring;

use std::ffi::CStr;
use std::fmt;
use std::io;
use std::ops::Range;
use std::os::fd::BorrowedFd;

/// Readable bytes that stand before the file's bytes in the buffer handed to [`Visitor::small`].
pub const SLACK: usize = 64;

/// Files of at most this many bytes are read whole by default: 64 KiB.
pub const SMALL_MAX: usize = 1 << 16;

/// Files in flight by default: more is no faster where files are cached, and gains a fifth at most
/// where they are not.
pub const DEPTH: u32 = 64;

/// Where the names came from, and so what is checked before a file is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trust {
    /// From reading the directory, with a type that says "regular": a link that has taken the
    /// file's place since is refused (`ELOOP`), and the type is looked at only when the file
    /// behaves unlike a regular one (it is empty, too big, or its reading fails).
    Listed,
    /// Written by a user: links are followed and the type is checked before the first read, which
    /// costs one `fstat` a file.
    Given,
}

/// What is to be read.
#[derive(Clone, Copy, Debug)]
pub struct Files<'a> {
    /// The directory, or any descriptor where names are whole paths.
    pub dir: BorrowedFd<'a>,
    /// The files' names in it.
    pub names: &'a Names,
    /// Where the names came from.
    pub trust: Trust,
}

impl<'a> Files<'a> {
    /// The files of a range with their indices.
    fn walk(&self, range: Range<usize>) -> impl Iterator<Item = (usize, &'a CStr)> {
        assert!(range.end <= self.names.len(), "files {range:?} of {}", self.names.len());
        range.clone().zip(self.names.walk(range.start))
    }
}

/// Why a file was not read.
#[derive(Debug)]
pub enum Problem {
    /// The system call failed.
    Io(io::Error),
    /// There is something under the name, but not a file with contents: "a FIFO", "a directory".
    NotRegular(&'static str),
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(error) => error.fmt(f),
            Self::NotRegular(kind) => write!(f, "it is {kind}, not a regular file"),
        }
    }
}

impl std::error::Error for Problem {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Io(error) => Some(error),
            Self::NotRegular(_) => None,
        }
    }
}

/// Takes what a reader finds: exactly one call for every index of the range that was begun, in any order.
pub trait Visitor {
    /// Whether another file is to be begun; asked before each. Once it is not, the others are left alone.
    fn goes_on(&mut self) -> bool {
        true
    }

    /// A whole file of at most `small_max` bytes: its bytes are `buffer[from..]`, and `from` is at
    /// least [`SLACK`]; what stands before `from` may be read and means nothing.
    fn small(&mut self, index: usize, buffer: &[u8], from: usize);

    /// A regular file of more than `small_max` bytes, left for others; `size` is its size now.
    fn large(&mut self, index: usize, size: u64);

    /// A file that could not be read.
    fn failed(&mut self, index: usize, problem: Problem);
}
