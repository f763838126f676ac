//! A look at a PNG of ours from its first byte to its last, as a stream.
//!
//! Every byte of such a file is a length, a name, covered by a chunk's CRC-32 or one itself, so any change
//! shows, and the zlib stream's Adler-32 tells besides whether the rows are those that were compressed.
//! Memory stays at a few hundred KiB whatever the picture's size; the price is one thread, as deflate
//! cannot be begun in the middle. PNGs that other programs made are sound in other ways, and refused.

use std::io::{ErrorKind, Read};

use crc_fast::{CrcAlgorithm, Digest};
use flate2::{Decompress, FlushDecompress, Status};

use super::{Depth, SIDE_MAX, SIGNATURE};
use crate::num::{to_u64, to_usize};

/// Bytes that are read and decompressed at a time.
const PIECE: usize = 64 << 10;

/// The longest text: a sentence or two.
const TEXT_MAX: u64 = 1 << 20;

/// What a sound PNG says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Picture {
    /// Columns.
    pub width: u32,
    /// Rows.
    pub height: u32,
    /// Bits of a sample.
    pub depth: Depth,
    /// Keywords and texts, in the order of the file.
    pub texts: Vec<(String, String)>,
    /// How many pieces the pixels come in, as far as they were read.
    pub idat_chunks: u64,
}

/// Why a look ended early.
#[derive(Debug)]
pub enum Flaw {
    /// The file cannot be read.
    Io(std::io::Error),
    /// The first byte from which on the file is not as it was written, and what is wrong there.
    At(u64, String),
}

/// Reads all of a PNG of ours and checks all there is to check.
///
/// # Errors
/// The first flaw.
pub fn check(file: impl Read) -> Result<Picture, Flaw> {
    let mut stream = Stream { file, at: 0 };
    let mut texts = Vec::new();
    let (width, height, depth) = stream.beginning()?;
    let mut pixels = Pixels::new(width, height, depth);
    loop {
        let begin = stream.at;
        let chunk = stream.begin_chunk()?;
        match (&chunk.kind, pixels.chunks) {
            (b"tEXt" | b"iTXt", 0) => texts.push(stream.text(chunk)?),
            (b"IDAT", _) if !pixels.is_closed => stream.idat(chunk, &mut pixels)?,
            (b"IEND", 1..) if chunk.bytes == 0 => {
                stream.end_chunk(&chunk)?;
                pixels.complete(begin)?;
                stream.end()?;
                let idat_chunks = pixels.chunks;
                return Ok(Picture { width, height, depth, texts, idat_chunks });
            }
            _ => return Err(Flaw::At(begin, format!("{chunk} does not belong there"))),
        }
    }
}

/// What stands in front of the pixels; what follows is not read.
///
/// # Errors
/// The first flaw up to there.
pub fn beginning(file: impl Read) -> Result<Picture, Flaw> {
    let mut stream = Stream { file, at: 0 };
    let mut texts = Vec::new();
    let (width, height, depth) = stream.beginning()?;
    loop {
        let begin = stream.at;
        let chunk = stream.begin_chunk()?;
        match &chunk.kind {
            b"tEXt" | b"iTXt" => texts.push(stream.text(chunk)?),
            b"IDAT" => return Ok(Picture { width, height, depth, texts, idat_chunks: 0 }),
            _ => return Err(Flaw::At(begin, format!("{chunk} does not belong there"))),
        }
    }
}

/// A chunk whose data are being read.
struct Chunk {
    kind: [u8; 4],
    bytes: u64,
    begin: u64,
    crc: Digest,
}

impl std::fmt::Display for Chunk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "a chunk {} of {} bytes", self.kind.escape_ascii(), self.bytes)
    }
}

struct Stream<R> {
    file: R,
    at: u64,
}

impl<R: Read> Stream<R> {
    fn take(&mut self, bytes: &mut [u8]) -> Result<(), Flaw> {
        let mut filled = 0;
        while filled < bytes.len() {
            match self.file.read(&mut bytes[filled..]) {
                Ok(0) => {
                    return Err(Flaw::At(self.at, "the file ends before the picture does".into()));
                }
                Ok(count) => {
                    filled += count;
                    self.at += to_u64(count);
                }
                Err(cause) if cause.kind() == ErrorKind::Interrupted => {}
                Err(cause) => return Err(Flaw::Io(cause)),
            }
        }
        Ok(())
    }

    /// Signature, size and how to show the samples.
    fn beginning(&mut self) -> Result<(u32, u32, Depth), Flaw> {
        let mut signature = [0; SIGNATURE.len()];
        self.take(&mut signature)?;
        if let Some(at) = (0..SIGNATURE.len()).find(|&at| signature[at] != SIGNATURE[at]) {
            return Err(Flaw::At(to_u64(at), "not the signature of a PNG".into()));
        }
        let begin = self.at;
        let data: [u8; 13] = self.fixed(*b"IHDR")?;
        let (sides, form) = data.split_at(8);
        let side =
            |at: usize| u32::from_be_bytes(sides[at..at + 4].try_into().expect("four bytes"));
        let (width, height) = (side(0), side(4));
        let fits = |side: u32| (1..=SIDE_MAX).contains(&side);
        let depth = match form {
            [8, 2, 0, 0, 0] => Some(Depth::Eight),
            [16, 2, 0, 0, 0] => Some(Depth::Sixteen),
            _ => None,
        };
        let Some(depth) = depth.filter(|_| fits(width) && fits(height)) else {
            let what = "not the size and form of a picture of dcomp".to_owned();
            return Err(Flaw::At(begin, what));
        };
        let _: [u8; 1] = self.fixed(*b"sRGB")?;
        let _: [u8; 4] = self.fixed(*b"gAMA")?;
        Ok((width, height, depth))
    }

    /// The data of a chunk that must stand here.
    fn fixed<const N: usize>(&mut self, kind: [u8; 4]) -> Result<[u8; N], Flaw> {
        let begin = self.at;
        let mut chunk = self.begin_chunk()?;
        if (chunk.kind, chunk.bytes) != (kind, to_u64(N)) {
            let what = format!("{chunk} where {} should be", kind.escape_ascii());
            return Err(Flaw::At(begin, what));
        }
        let mut data = [0; N];
        self.data(&mut chunk, &mut data)?;
        self.end_chunk(&chunk)?;
        Ok(data)
    }

    fn begin_chunk(&mut self) -> Result<Chunk, Flaw> {
        let (begin, mut head) = (self.at, [0; 8]);
        self.take(&mut head)?;
        let [a, b, c, d, kind @ ..] = head;
        let bytes = u32::from_be_bytes([a, b, c, d]);
        if bytes > SIDE_MAX {
            return Err(Flaw::At(begin, format!("a chunk of {bytes} bytes, more than a PNG has")));
        }
        let mut crc = Digest::new(CrcAlgorithm::Crc32IsoHdlc);
        crc.update(&kind);
        Ok(Chunk { kind, bytes: bytes.into(), begin, crc })
    }

    fn data(&mut self, chunk: &mut Chunk, bytes: &mut [u8]) -> Result<(), Flaw> {
        self.take(bytes)?;
        chunk.crc.update(bytes);
        Ok(())
    }

    fn end_chunk(&mut self, chunk: &Chunk) -> Result<(), Flaw> {
        let mut crc = [0; 4];
        self.take(&mut crc)?;
        if u64::from(u32::from_be_bytes(crc)) == chunk.crc.finalize() {
            return Ok(());
        }
        Err(Flaw::At(chunk.begin, format!("{chunk} does not have the CRC-32 that it tells")))
    }

    fn text(&mut self, mut chunk: Chunk) -> Result<(String, String), Flaw> {
        let begin = chunk.begin;
        if chunk.bytes > TEXT_MAX {
            return Err(Flaw::At(begin, format!("{chunk} is longer than any text of dcomp")));
        }
        let mut data = vec![0; to_usize(chunk.bytes)];
        self.data(&mut chunk, &mut data)?;
        let kind = chunk.kind;
        self.end_chunk(&chunk)?;
        parse_text(kind, &data).ok_or_else(|| {
            Flaw::At(
                begin,
                "a text chunk without a keyword, or of a form that dcomp does not write".into(),
            )
        })
    }

    fn idat(&mut self, mut chunk: Chunk, pixels: &mut Pixels) -> Result<(), Flaw> {
        let mut piece = vec![0; PIECE];
        let mut left = to_usize(chunk.bytes);
        while left > 0 {
            let (begin, length) = (self.at, left.min(PIECE));
            self.data(&mut chunk, &mut piece[..length])?;
            pixels.feed(&piece[..length], begin)?;
            left -= length;
        }
        pixels.chunks += 1;
        self.end_chunk(&chunk)
    }

    fn end(&mut self) -> Result<(), Flaw> {
        let at = self.at;
        match self.take(&mut [0]) {
            Err(Flaw::At(..)) => Ok(()),
            Err(cause) => Err(cause),
            Ok(()) => Err(Flaw::At(at, "bytes behind the end of the picture".into())),
        }
    }
}

/// Keyword and text of a chunk, of the forms that are written here.
fn parse_text(kind: [u8; 4], data: &[u8]) -> Option<(String, String)> {
    let end = data.iter().position(|&byte| byte == 0)?;
    let (keyword, rest) = (String::from_utf8(data[..end].to_vec()).ok()?, &data[end + 1..]);
    if !(1..80).contains(&keyword.len()) {
        return None;
    }
    if kind == *b"tEXt" {
        return Some((keyword, rest.iter().map(|&byte| char::from(byte)).collect()));
    }
    let text = rest.strip_prefix(&[0, 0, 0, 0])?;
    Some((keyword, String::from_utf8(text.to_vec()).ok()?))
}

/// The rows, as far as they have been decompressed.
struct Pixels {
    zlib: Decompress,
    out: Vec<u8>,
    /// Bytes of a row with the number of its filter, of all rows, and of those seen.
    row: u128,
    expected: u128,
    seen: u128,
    is_closed: bool,
    chunks: u64,
}

/// The greatest number of a filter.
const FILTER_MAX: u8 = 4;

impl Pixels {
    fn new(width: u32, height: u32, depth: Depth) -> Self {
        let row = 1 + u128::from(width) * u128::from(to_u64(depth.pixel_bytes()));
        Self {
            zlib: Decompress::new(true),
            out: vec![0; 2 * PIECE],
            row,
            expected: row * u128::from(height),
            seen: 0,
            is_closed: false,
            chunks: 0,
        }
    }

    /// Takes a piece of the stream that begins at byte `begin` of the file.
    fn feed(&mut self, mut piece: &[u8], begin: u64) -> Result<(), Flaw> {
        let end = begin + to_u64(piece.len());
        loop {
            let at = end - to_u64(piece.len());
            if self.is_closed {
                if piece.is_empty() {
                    return Ok(());
                }
                return Err(Flaw::At(at, "bytes behind the end of the zlib stream".into()));
            }
            let (before_in, before_out) = (self.zlib.total_in(), self.zlib.total_out());
            let status = self.zlib.decompress(piece, &mut self.out, FlushDecompress::None);
            let taken = self.zlib.total_in() - before_in;
            let made = to_usize(self.zlib.total_out() - before_out);
            let status = status
                .map_err(|cause| Flaw::At(at, format!("the zlib stream is not sound: {cause}")))?;
            self.rows(made, at)?;
            piece = &piece[to_usize(taken)..];
            self.is_closed = status == Status::StreamEnd;
            if !self.is_closed && taken == 0 && made == 0 {
                if piece.is_empty() {
                    return Ok(());
                }
                return Err(Flaw::At(at, "the zlib stream does not go on".into()));
            }
        }
    }

    /// Looks at the filters of rows that begin in what was just decompressed.
    fn rows(&mut self, made: usize, at: u64) -> Result<(), Flaw> {
        let after = self.seen + u128::from(to_u64(made));
        if after > self.expected {
            let rows = self.expected / self.row;
            return Err(Flaw::At(at, format!("more pixels than those of {rows} rows")));
        }
        let mut next = self.seen.next_multiple_of(self.row);
        while next < after {
            let place = usize::try_from(next - self.seen).expect("within the buffer");
            if self.out[place] > FILTER_MAX {
                let (row, filter) = (next / self.row, self.out[place]);
                return Err(Flaw::At(
                    at,
                    format!("row {row} has filter {filter}, which no PNG has"),
                ));
            }
            next += self.row;
        }
        self.seen = after;
        Ok(())
    }

    /// That nothing is missing, at the end of the file.
    fn complete(&self, at: u64) -> Result<(), Flaw> {
        if self.is_closed && self.seen == self.expected {
            return Ok(());
        }
        let (seen, expected) = (self.seen, self.expected);
        Err(Flaw::At(at, format!("the pixels end after {seen} of {expected} bytes")))
    }
}
