//! Where the items come from: files and datasets that are one sequence.
//!
//! Items of one size are cut into equal numbers of items, lines into equal numbers of bytes, a line
//! belonging to the piece in which it begins. A dataset whose numbers lie in the file as in memory is read
//! like a file; any other goes through the HDF5 library, by each rank for itself. A file that changes while
//! it is read is an error: what was there at the start is what the run says it sorted.

use std::fs::{File, Metadata};
use std::ops::Range;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::buffer::{self, Buffer};
use super::dataset;
use super::form::KeyType;
use super::lines::line_starts_in;
use super::spec::{Kind, Spec};
use crate::comm::Comm;
use crate::error::{Error, Kind as ErrorKind, Result};
use crate::measure::record::FileSum;
use crate::num::{len_f64, to_u64, to_usize};
use crate::store::crc::{self, Extent};
use crate::store::hdf5::{Hdf5Error, Numbers};
use crate::units::size;

/// Bytes that are read at once behind a piece, to find where its last line ends.
const AHEAD: usize = 64 << 10;

/// Bytes that tell how long lines are.
const LOOKED_AT: usize = 256 << 10;

/// A file, or a dataset in a file, as root saw it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seen {
    /// Its name as given.
    pub path: PathBuf,
    /// Bytes of its items.
    pub bytes: u64,
    /// The file that holds them, and its size.
    file: (PathBuf, u64),
    place: Place,
    /// When it was last changed: seconds, nanoseconds.
    changed: (i64, i64),
}

impl Seen {
    /// What tells whether the file is still the same.
    pub fn state(&self) -> String {
        let (seconds, nanoseconds) = self.changed;
        format!("of {} bytes, last changed at {seconds}.{nanoseconds:09}", self.file.1)
    }
}

/// Where items lie in a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Place {
    /// From this byte on.
    At(u64),
    /// In a dataset whose bytes are other ones than its numbers.
    Dataset(String),
}

/// Looks at the inputs, on root.
///
/// # Errors
/// When one cannot be read, or is no regular file, or no whole number of items, or a dataset of another
/// type.
pub fn look(spec: &Spec) -> Result<Vec<Seen>> {
    let seen = spec.input.iter().map(|input| look_at(input, spec.kind)).collect::<Result<_>>()?;
    if spec.kind == Kind::Dataset {
        // Its type was not known because it could not be opened a moment ago.
        return Err(Error {
            kind: ErrorKind::Io,
            message: format!("{}: can be read only now; try again", spec.input.join(", ")),
        });
    }
    Ok(seen)
}

/// Bytes of a line, its end included, on average of the first ones of the inputs; none where there are none.
/// What cannot be read is told later.
pub fn line_bytes(spec: &Spec) -> Option<f64> {
    let end = spec.form().terminator()?;
    let mut text = vec![0; LOOKED_AT];
    let (mut bytes, mut lines) = (0, 0);
    for input in &spec.input {
        let path = Path::new(input);
        let regular = std::fs::metadata(path).is_ok_and(|meta| meta.is_file());
        let file = if regular { File::open(path).ok()? } else { return None };
        let read = file.read_at(&mut text, 0).ok()?;
        // Where no line ends it is one long one.
        bytes += read;
        lines += memchr::memchr_iter(end, &text[..read]).count();
        if bytes >= LOOKED_AT {
            break;
        }
    }
    (bytes > 0).then(|| len_f64(bytes) / len_f64(lines.max(1)))
}

/// The type of the keys in a dataset.
///
/// # Errors
/// When there is none of that name, or it holds no keys.
pub fn dataset_type(input: &str) -> Result<KeyType> {
    let (file, path) = dataset::split(input);
    regular(Path::new(file))?;
    let numbers = Numbers::open(Path::new(file), path.unwrap_or("/")).map_err(|c| refused(&c))?;
    Ok(dataset::key_type(numbers.number()))
}

/// What is known of a file without opening it, as a FIFO would wait for a writer.
fn regular(path: &Path) -> Result<Metadata> {
    let meta = std::fs::metadata(path).map_err(|cause| Error::io("read", path, &cause))?;
    if !meta.is_file() {
        let what = if meta.is_dir() { "a directory" } else { "no regular file" };
        return Err(Error::bad_input(format!(
            "{} is {what}; give files, whose parts all ranks can read",
            path.display()
        )));
    }
    File::open(path).map_err(|cause| Error::io("read", path, &cause))?;
    Ok(meta)
}

/// Looks at an input that holds items of this kind. Local.
///
/// # Errors
/// As [`look`].
pub fn look_at(input: &str, kind: Kind) -> Result<Seen> {
    let (name, path) = dataset::split(input);
    let file = Path::new(name);
    let meta = regular(file)?;
    let (bytes, place) = match path {
        Some(path) => look_into(input, file, path, kind)?,
        None => (whole_items(file, &meta, kind)?, Place::At(0)),
    };
    let changed = (meta.mtime(), meta.mtime_nsec());
    Ok(Seen { path: input.into(), bytes, file: (file.into(), meta.len()), place, changed })
}

/// The bytes of a file of whole items.
fn whole_items(file: &Path, meta: &Metadata, kind: Kind) -> Result<u64> {
    let item = match kind {
        Kind::Key(kind) => to_u64(kind.bytes()),
        Kind::Record(bytes, _) => to_u64(bytes),
        Kind::Lines | Kind::Dataset => 1,
    };
    let over = meta.len() % item;
    if over > 0 {
        return Err(Error::bad_input(format!(
            "{} has {} bytes: {} items of {item} bytes, and {over} bytes are left over; \
             check --type, or cut the file",
            file.display(),
            meta.len(),
            meta.len() / item
        )));
    }
    Ok(meta.len())
}

/// The bytes of a dataset's keys, and where they lie.
fn look_into(input: &str, file: &Path, path: &str, kind: Kind) -> Result<(u64, Place)> {
    let numbers = Numbers::open(file, path).map_err(|cause| refused(&cause))?;
    let held = Kind::Key(dataset::key_type(numbers.number()));
    if ![held, Kind::Dataset].contains(&kind) {
        return Err(Error::bad_input(format!(
            "{input} holds {held}, not {kind}; give datasets of one type, and leave --type out or say {held}"
        )));
    }
    let place = numbers.place().map_or_else(|| Place::Dataset(path.to_owned()), Place::At);
    Ok((numbers.count() * numbers.number().bytes(), place))
}

fn refused(cause: &Hdf5Error) -> Error {
    match cause {
        Hdf5Error::Io { path, source } => Error::io("read", path, source),
        _ if cause.is_system() => Error { kind: ErrorKind::Io, message: cause.to_string() },
        _ => Error::bad_input(cause.to_string()),
    }
}

/// What an input is read from.
enum Store {
    /// A file, from this byte on.
    Plain(File, u64),
    /// A dataset, through the library.
    Library(File, Numbers),
}

/// Open files, one behind the other.
pub struct Files {
    files: Vec<(Seen, Store)>,
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
            let path = &seen.file.0;
            let file = File::open(path).map_err(|cause| Error::io("read", path, &cause))?;
            unchanged(&seen, &file)?;
            let store = match &seen.place {
                Place::At(offset) => Store::Plain(file, *offset),
                Place::Dataset(name) => Store::Library(
                    file,
                    Numbers::open(path, name).map_err(|cause| refused(&cause))?,
                ),
            };
            Ok((seen, store))
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
        self.files.iter().try_for_each(|(seen, store)| match store {
            Store::Plain(file, _) | Store::Library(file, _) => unchanged(seen, file),
        })
    }

    /// The parts of files that a range of the sequence covers, and where each file begins in it.
    fn parts(&self, range: Range<u64>) -> impl Iterator<Item = (u64, &Seen, &Store, Range<u64>)> {
        self.files.iter().zip(&self.starts).filter_map(move |((seen, store), &start)| {
            let part = range.start.max(start)..range.end.min(start + seen.bytes);
            (part.start < part.end)
                .then(|| (start, seen, store, part.start - start..part.end - start))
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
        for (start, seen, store, part) in self.parts(range) {
            let bytes = to_usize(part.end - part.start);
            let items = &mut all[at..at + bytes];
            read_exact(seen, store, items, part.start)?;
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
        for (start, seen, store, part) in self.parts(range) {
            let sum = lines_of(seen, store, part, (terminator, longest), &mut text)?;
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
        comm.decide(|| self.sums_of(parts.iter().flat_map(|part| extents(part)).collect()))
    }

    /// Each file, from what was read of all.
    ///
    /// # Errors
    /// A verification error when that is not everything once.
    pub fn sums_of(&self, mut all: Vec<Extent>) -> Result<Vec<FileSum>> {
        all.sort_unstable_by_key(|sum| sum.offset);
        let sum = |((seen, _), &start): (&(Seen, Store), &u64)| {
            let end = start + seen.bytes;
            let inside = all.partition_point(|sum| sum.offset < start)
                ..all.partition_point(|sum| sum.offset < end);
            let own = all[inside].iter().map(|sum| Extent { offset: sum.offset - start, ..*sum });
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
    }
}

/// Appends the lines that begin in a part of a file; the checksum of that part.
fn lines_of(
    seen: &Seen,
    store: &Store,
    part: Range<u64>,
    (terminator, longest): (u8, u64),
    text: &mut Vec<u8>,
) -> Result<Extent> {
    let before = match part.start.checked_sub(1) {
        None => None,
        Some(at) => {
            let mut byte = [0];
            read_exact(seen, store, &mut byte, at)?;
            Some(byte[0])
        }
    };
    let old = text.len();
    let bytes = to_usize(part.end - part.start);
    buffer::reserve(text, to_u64(bytes + 1))?;
    text.resize(old + bytes, 0);
    read_exact(seen, store, &mut text[old..], part.start)?;
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
        read_exact(seen, store, &mut text[end..], at)?;
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

/// Bytes of an input from `at` on.
fn read_exact(seen: &Seen, store: &Store, bytes: &mut [u8], at: u64) -> Result<()> {
    match store {
        Store::Plain(file, offset) => file.read_exact_at(bytes, offset + at).map_err(|cause| {
            if cause.kind() == std::io::ErrorKind::UnexpectedEof {
                return changed(seen);
            }
            Error::io(format!("read {} bytes at {at} of", bytes.len()), &seen.path, &cause)
        }),
        Store::Library(_, numbers) => {
            numbers.read(at / numbers.number().bytes(), bytes).map_err(|cause| refused(&cause))
        }
    }
}

fn unchanged(seen: &Seen, file: &File) -> Result<()> {
    let meta = file.metadata().map_err(|cause| Error::io("stat", &seen.path, &cause))?;
    let same = meta.len() == seen.file.1 && (meta.mtime(), meta.mtime_nsec()) == seen.changed;
    if same { Ok(()) } else { Err(changed(seen)) }
}

fn changed(seen: &Seen) -> Error {
    Error::bad_input(format!(
        "{} was changed while it was read; sort it again once its writer is done",
        seen.path.display()
    ))
}
