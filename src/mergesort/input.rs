//! Where the items come from: files that are one sequence, or keys that are made.
//!
//! Items of one size are cut into equal numbers of items, lines into equal numbers of bytes, a line
//! belonging to the piece in which it begins. A file that changes while it is read is an error: what
//! was there at the start is what the run says it sorted.

use std::fs::File;
use std::ops::Range;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::buffer::{self, Buffer};
use super::form::Form;
use super::lines::line_starts_in;
use crate::comm::Comm;
use crate::error::{Error, Result};
use crate::measure::record::FileSum;
use crate::num::{to_u64, to_usize};
use crate::store::crc::{self, Extent};
use crate::units::size;

/// Bytes that are read at once behind a piece, to find where its last line ends.
const AHEAD: usize = 64 << 10;

/// A file as root saw it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seen {
    /// Its name as given.
    pub path: PathBuf,
    /// Its size.
    pub bytes: u64,
    /// When it was last changed: seconds, nanoseconds.
    changed: (i64, i64),
}

/// Looks at the inputs, on root.
///
/// # Errors
/// When one cannot be read, or is no regular file, or no whole number of items.
pub fn look(inputs: &[String], form: &dyn Form) -> Result<Vec<Seen>> {
    inputs.iter().map(|input| look_at(Path::new(input), form)).collect()
}

fn look_at(path: &Path, form: &dyn Form) -> Result<Seen> {
    // Asked before it is opened: a FIFO would wait for a writer.
    let meta = std::fs::metadata(path).map_err(|cause| Error::io("read", path, &cause))?;
    if !meta.is_file() {
        let what = if meta.is_dir() { "a directory" } else { "no regular file" };
        return Err(Error::bad_input(format!(
            "{} is {what}; give files, whose parts all ranks can read",
            path.display()
        )));
    }
    File::open(path).map_err(|cause| Error::io("read", path, &cause))?;
    if let Some(item) = form.item_bytes() {
        let over = meta.len() % to_u64(item);
        if over > 0 {
            return Err(Error::bad_input(format!(
                "{} has {} bytes: {} items of {item} bytes, and {over} bytes are left over; \
                 check --type, or cut the file",
                path.display(),
                meta.len(),
                meta.len() / to_u64(item)
            )));
        }
    }
    Ok(Seen {
        path: path.to_owned(),
        bytes: meta.len(),
        changed: (meta.mtime(), meta.mtime_nsec()),
    })
}

/// Open files, one behind the other.
pub struct Files {
    files: Vec<(Seen, File)>,
    /// Where each begins in the sequence, and the end of all.
    starts: Vec<u64>,
}

impl Files {
    /// Opens what root saw. Local.
    ///
    /// # Errors
    /// When a file cannot be opened or is not as root saw it.
    pub fn open(seen: Vec<Seen>) -> Result<Self> {
        let open = |seen: Seen| {
            let file = File::open(&seen.path).map_err(|c| Error::io("read", &seen.path, &c))?;
            unchanged(&seen, &file)?;
            Ok((seen, file))
        };
        let files = seen.into_iter().map(open).collect::<Result<Vec<_>>>()?;
        let mut starts = vec![0];
        for (seen, _) in &files {
            starts.push(starts[starts.len() - 1] + seen.bytes);
        }
        Ok(Self { files, starts })
    }

    /// Bytes of all.
    pub fn bytes(&self) -> u64 {
        self.starts[self.starts.len() - 1]
    }

    /// Each file is still as it was. Local.
    ///
    /// # Errors
    /// When one was changed.
    pub fn unchanged(&self) -> Result<()> {
        self.files.iter().try_for_each(|(seen, file)| unchanged(seen, file))
    }

    /// The parts of files that a range of the sequence covers, and where each file begins in it.
    fn parts(&self, range: Range<u64>) -> impl Iterator<Item = (u64, &Seen, &File, Range<u64>)> {
        self.files.iter().zip(&self.starts).filter_map(move |((seen, file), &start)| {
            let part = range.start.max(start)..range.end.min(start + seen.bytes);
            (part.start < part.end)
                .then(|| (start, seen, file, part.start - start..part.end - start))
        })
    }

    /// Exactly these bytes of the sequence, and their checksums.
    ///
    /// # Errors
    /// When they cannot be read or there is no memory for them.
    pub fn read(&self, range: Range<u64>) -> Result<(Buffer, Vec<Extent>)> {
        let mut all = Buffer::zeroed(range.end - range.start)?;
        let mut sums = Vec::new();
        let mut at = 0;
        for (start, seen, file, part) in self.parts(range) {
            let bytes = to_usize(part.end - part.start);
            let items = &mut all[at..at + bytes];
            read_exact(seen, file, items, part.start)?;
            sums.push(Extent::of(start + part.start, items));
            at += bytes;
        }
        Ok((all, sums))
    }

    /// The lines that begin in these bytes of the sequence, each with its terminator, and the checksums
    /// of these bytes. A line may go on for `longest` bytes behind them.
    ///
    /// # Errors
    /// When they cannot be read or there is no memory for them.
    pub fn read_lines(
        &self,
        range: Range<u64>,
        terminator: u8,
        longest: u64,
    ) -> Result<(Buffer, Vec<Extent>)> {
        let (mut text, mut sums) = (Vec::new(), Vec::new());
        buffer::reserve(&mut text, range.end - range.start + to_u64(AHEAD))?;
        for (start, seen, file, part) in self.parts(range) {
            let sum = lines_of(seen, file, part, (terminator, longest), &mut text)?;
            sums.push(Extent { offset: start + sum.offset, ..sum });
        }
        Ok((Buffer::text(text), sums))
    }

    /// Collective. What all ranks together read, file by file.
    ///
    /// # Errors
    /// A verification error when they did not read everything once.
    pub fn sums(&self, comm: &Comm, read: &[Extent]) -> Result<Vec<FileSum>> {
        let words = read.iter().flat_map(|sum| [sum.offset, sum.bytes, sum.crc64]);
        let words: Vec<u8> = words.flat_map(u64::to_le_bytes).collect();
        let parts = comm.gather_bytes(&words);
        comm.decide(|| {
            let mut all: Vec<Extent> = parts.iter().flat_map(|part| extents(part)).collect();
            all.sort_unstable_by_key(|sum| sum.offset);
            let sum = |((seen, _), &start): (&(Seen, File), &u64)| {
                let end = start + seen.bytes;
                let inside = all.partition_point(|sum| sum.offset < start)
                    ..all.partition_point(|sum| sum.offset < end);
                let own =
                    all[inside].iter().map(|sum| Extent { offset: sum.offset - start, ..*sum });
                let crc64 = crc::cover(own.collect(), seen.bytes).map_err(|offset| {
                    Error::verification(format!(
                        "{}: byte {offset} was read by no rank or by two",
                        seen.path.display()
                    ))
                })?;
                let path = seen.path.display().to_string();
                Ok(FileSum { path, bytes: seen.bytes, crc64: crc::hex(crc64) })
            };
            self.files.iter().zip(&self.starts).map(sum).collect()
        })
    }
}

/// Appends the lines that begin in a part of a file; the checksum of that part.
fn lines_of(
    seen: &Seen,
    file: &File,
    part: Range<u64>,
    (terminator, longest): (u8, u64),
    text: &mut Vec<u8>,
) -> Result<Extent> {
    let before = match part.start.checked_sub(1) {
        None => None,
        Some(at) => {
            let mut byte = [0];
            read_exact(seen, file, &mut byte, at)?;
            Some(byte[0])
        }
    };
    let old = text.len();
    let bytes = to_usize(part.end - part.start);
    buffer::reserve(text, to_u64(bytes + 1))?;
    text.resize(old + bytes, 0);
    read_exact(seen, file, &mut text[old..], part.start)?;
    let sum = Extent::of(part.start, &text[old..]);
    let Some(first) = line_starts_in(before, &text[old..], terminator) else {
        text.truncate(old);
        return Ok(sum);
    };
    text.drain(old..old + first);
    // The last line may go on behind the part.
    let mut at = part.end;
    while text[text.len() - 1] != terminator {
        let ahead = to_usize((seen.bytes - at).min(to_u64(AHEAD)));
        if ahead == 0 {
            text.push(terminator);
            break;
        }
        if at - part.end > longest {
            return Err(too_long(seen, part.end - 1, longest));
        }
        let end = text.len();
        if text.capacity() - end < ahead {
            // Doubled, so that a long line is not copied over and over.
            buffer::reserve(text, to_u64(end.max(ahead)))?;
        }
        text.resize(end + ahead, 0);
        read_exact(seen, file, &mut text[end..], at)?;
        at += to_u64(ahead);
        if let Some(found) = memchr::memchr(terminator, &text[end..]) {
            text.truncate(end + found + 1);
        }
    }
    Ok(sum)
}

/// Checksums as another rank sent them.
fn extents(words: &[u8]) -> Vec<Extent> {
    let (words, _) = words.as_chunks::<8>();
    let words: Vec<u64> = words.iter().map(|word| u64::from_le_bytes(*word)).collect();
    let (triples, _) = words.as_chunks::<3>();
    triples.iter().map(|&[offset, bytes, crc64]| Extent { offset, bytes, crc64 }).collect()
}

fn too_long(seen: &Seen, at: u64, longest: u64) -> Error {
    Error::bad_input(format!(
        "{}: the line that byte {at} belongs to is longer than {}, the memory of a rank; give more --memory, \
         or check --zero-terminated and whether this is text",
        seen.path.display(),
        size(longest)
    ))
}

fn read_exact(seen: &Seen, file: &File, bytes: &mut [u8], at: u64) -> Result<()> {
    file.read_exact_at(bytes, at).map_err(|cause| {
        if cause.kind() == std::io::ErrorKind::UnexpectedEof {
            return changed(seen);
        }
        Error::io(format!("read {} bytes at {at} of", bytes.len()), &seen.path, &cause)
    })
}

fn unchanged(seen: &Seen, file: &File) -> Result<()> {
    let meta = file.metadata().map_err(|cause| Error::io("stat", &seen.path, &cause))?;
    let same = meta.len() == seen.bytes && (meta.mtime(), meta.mtime_nsec()) == seen.changed;
    if same { Ok(()) } else { Err(changed(seen)) }
}

fn changed(seen: &Seen) -> Error {
    Error::bad_input(format!(
        "{} was changed while it was read; sort it again once its writer is done",
        seen.path.display()
    ))
}
