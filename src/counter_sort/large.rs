//! Large files: in chunks by one thread, or split by bytes over all ranks.
//!
//! A part of a file is a range of bytes, and a line belongs to the part in which its first byte lies:
//! a part begins after the first line end at or after its start less one, and goes on past its end
//! until its last line does. Parts can be cut at any byte, so all are equally large.

use std::ffi::CStr;
use std::fs::{File, Metadata};
use std::io::{Error, ErrorKind};
use std::ops::Range;
use std::os::fd::BorrowedFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;

use nix::fcntl::{OFlag, openat};
use nix::sys::stat::Mode;
use serde::{Deserialize, Serialize};

use super::grammar::{Parser, Sink, Tally};
use crate::num::{to_u64, to_usize};
use crate::store::again;
use crate::store::files::{SLACK, Trust};

/// Bytes read at a time: large enough for the disk, small enough for the second-level cache.
const CHUNK: usize = 256 << 10;

/// Least bytes of a part.
pub const PART_MIN: u64 = 4 << 20;

/// Most parts of a round.
const PARTS_MAX: u64 = 4096;

/// A file that all ranks read together.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Large {
    /// Its path.
    pub path: Vec<u8>,
    /// The input that it belongs to.
    pub source: u32,
    /// Its size when it was found.
    pub size: u64,
    /// Whether it may be a link.
    pub follow: bool,
}

/// A range of a large file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// Which file.
    pub file: usize,
    /// Its bytes.
    pub bytes: Range<u64>,
}

/// Cuts stretches of files into parts, in order, for that many workers; equal input gives equal parts on all
/// ranks.
pub fn parts(stretches: &[Part], workers: u64, least: u64) -> Vec<Part> {
    let total: u64 = stretches.iter().map(|part| part.bytes.end - part.bytes.start).sum();
    let fair = total.div_ceil(workers.max(1)).div_ceil(4);
    let each = fair.max(least).max(1).max(total / PARTS_MAX);
    let mut all = Vec::new();
    for Part { file, bytes } in stretches {
        let mut at = bytes.start;
        while at < bytes.end {
            let end = at.saturating_add(each).min(bytes.end);
            all.push(Part { file: *file, bytes: at..end });
            at = end;
        }
    }
    all
}

/// The error for a file that is not what it was when its size was taken.
fn changed() -> Error {
    Error::other("it changed while it was read; sort it once nothing writes to it")
}

/// Why a file was not counted whole.
#[derive(Debug)]
pub enum Trouble {
    /// Nothing of it was counted.
    Unread(Error),
    /// Some of its numbers were counted already, so the run's result is spoilt.
    Spoilt(Error),
}

/// Reads a whole file in chunks; returns its bytes and lines.
///
/// # Errors
/// When the system refuses, or the file is not the same after as before.
pub fn whole<S: Sink>(
    at: BorrowedFd<'_>,
    name: &CStr,
    trust: Trust,
    sink: &mut S,
) -> Result<(u64, Tally), Trouble> {
    let mut flags = OFlag::O_RDONLY | OFlag::O_CLOEXEC | OFlag::O_NONBLOCK | OFlag::O_NOCTTY;
    flags.set(OFlag::O_NOFOLLOW, trust == Trust::Listed);
    let open = || -> Result<(File, Metadata), Error> {
        let file = File::from(again(|| openat(at, name, flags, Mode::empty()))?);
        let meta = file.metadata()?;
        Ok((file, meta))
    };
    let (file, before) = open().map_err(Trouble::Unread)?;
    let mut read = || {
        let (mut parser, mut at) = (Parser::new(), 0);
        let mut buffer = vec![0; SLACK + CHUNK];
        // To the end, whatever the size was said to be: some file systems say 0.
        loop {
            let bytes = match file.read_at(&mut buffer[SLACK..], at) {
                Err(cause) if cause.kind() == ErrorKind::Interrupted => continue,
                read => read?,
            };
            if bytes == 0 {
                break;
            }
            parser.feed(&buffer[..SLACK + bytes], SLACK, sink);
            at += to_u64(bytes);
        }
        if before.len() > 0 {
            if at != before.len() {
                return Err(changed());
            }
            unchanged(&file, &before)?;
        }
        Ok((at, parser.finish(sink)))
    };
    read().map_err(Trouble::Spoilt)
}

fn unchanged(file: &File, before: &Metadata) -> Result<(), Error> {
    let after = file.metadata()?;
    let state = |meta: &Metadata| (meta.len(), meta.mtime(), meta.mtime_nsec());
    if state(&after) == state(before) { Ok(()) } else { Err(changed()) }
}

/// Feeds exactly these bytes; returns the parser and its buffer.
fn feed<S: Sink>(
    file: &File,
    bytes: Range<u64>,
    mut parser: Parser,
    sink: &mut S,
) -> Result<(Parser, Vec<u8>), Error> {
    let mut buffer = vec![0; SLACK + CHUNK.min(to_usize(bytes.end - bytes.start))];
    let mut at = bytes.start;
    while at < bytes.end {
        let length = CHUNK.min(to_usize(bytes.end - at));
        read_exactly(file, &mut buffer[SLACK..SLACK + length], at)?;
        parser.feed(&buffer[..SLACK + length], SLACK, sink);
        at += to_u64(length);
    }
    Ok((parser, buffer))
}

/// A file that ends before its size has shrunk.
fn read_exactly(file: &File, buffer: &mut [u8], at: u64) -> Result<(), Error> {
    file.read_exact_at(buffer, at).map_err(|cause| match cause.kind() {
        ErrorKind::UnexpectedEof => changed(),
        _ => cause,
    })
}

/// Reads the lines that begin in a part of a file of `size` bytes.
///
/// # Errors
/// When the system refuses, or the file's size is another one.
pub fn part<S: Sink>(large: &Large, bytes: &Range<u64>, sink: &mut S) -> Result<Tally, Error> {
    let path = Path::new(std::ffi::OsStr::from_bytes(&large.path));
    let mut flags = OFlag::O_RDONLY | OFlag::O_CLOEXEC | OFlag::O_NONBLOCK | OFlag::O_NOCTTY;
    flags.set(OFlag::O_NOFOLLOW, !large.follow);
    let file = File::from(again(|| nix::fcntl::open(path, flags, Mode::empty()))?);
    let before = file.metadata()?;
    if before.len() != large.size {
        return Err(changed());
    }
    let tally = lines(&file, large.size, bytes, sink)?;
    // Who reads the end makes sure that it is one.
    if bytes.end == large.size && file.read_at(&mut [0], large.size)? > 0 {
        return Err(changed());
    }
    unchanged(&file, &before)?;
    Ok(tally)
}

/// The lines that begin in `bytes` of an open file of `size` bytes.
///
/// # Errors
/// When the file cannot be read.
pub fn lines<S: Sink>(
    file: &File,
    size: u64,
    bytes: &Range<u64>,
    sink: &mut S,
) -> Result<Tally, Error> {
    let mut before = [b'\n'];
    if bytes.start > 0 {
        read_exactly(file, &mut before, bytes.start - 1)?;
    }
    let parser = if before == [b'\n'] { Parser::new() } else { Parser::mid_line() };
    let (mut parser, mut buffer) = feed(file, bytes.clone(), parser, sink)?;
    buffer.resize(SLACK + CHUNK, 0);
    // The last line may end in parts to come.
    let mut at = bytes.end;
    while at < size && parser.is_inside_line() && !parser.is_skipping() {
        let length = 4096.min(CHUNK).min(to_usize(size - at));
        let piece = &mut buffer[SLACK..SLACK + length];
        read_exactly(file, piece, at)?;
        let end = piece.iter().position(|&byte| byte == b'\n').map_or(length, |end| end + 1);
        parser.feed(&buffer[..SLACK + end], SLACK, sink);
        at += to_u64(end);
    }
    Ok(parser.finish(sink))
}
