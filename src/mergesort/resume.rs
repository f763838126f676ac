//! What a sort's checkpoint holds: pure bytes.
//!
//! A sort in memory keeps nothing until its output is written; then, as any sort, what was read and written,
//! so that only the read-back is left. A sort by runs keeps its runs (files beside the checkpoints, of which
//! parts have the tables) and the ranges of the output that are written.

use serde::{Deserialize, Serialize};

use super::destination;
use super::disk_run::DiskRun;
use super::form::{Checked, Digest, Form};
use super::input::Seen;
use super::local::Made;
use super::output::{Piece, Written};
use super::packed::{Reader, Writer};
use super::spans::Span;
use super::spec::Spec;
use crate::num::to_u64;
use crate::store::crc::Extent;

/// What the ranks share.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct State {
    /// The inputs as they were.
    pub inputs: Vec<Seen>,
    /// The output, once its size is known and it can be gone on with.
    pub output: Option<destination::State>,
    /// Whether all of it is written.
    pub is_complete: bool,
    /// Bytes of all runs on a disk.
    pub run_bytes: u64,
}

impl State {
    /// Whether a sort of a source of so many bytes can have been as far.
    pub fn fits(&self, spec: &Spec, source_bytes: u64) -> bool {
        // The last line of each input may be given the end that it lacks.
        let most = source_bytes.saturating_add(to_u64(self.inputs.len()));
        let output = self.output.as_ref();
        (output.is_some() || !self.is_complete)
            && output.is_none_or(|output| output.fits(spec, most))
            && self.run_bytes <= most
    }
}

/// A rank's own part.
#[derive(Debug, Default, PartialEq)]
pub struct Own {
    /// What was read and sorted.
    pub runs: Vec<Packed>,
    /// What was written.
    pub pieces: Vec<Piece>,
}

/// A piece of the source that is sorted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packed {
    /// What was read.
    pub made: Made,
    /// Its run as [`DiskRun::encode`] wrote it; nothing when nobody needs it any more.
    pub run: Vec<u8>,
}

impl Packed {
    /// Of a run that may be needed.
    pub fn of(made: &Made, run: Option<&DiskRun>) -> Self {
        let mut out = Writer::default();
        if let Some(run) = run {
            run.encode(&mut out);
        }
        Self { made: made.clone(), run: out.0 }
    }
}

impl Own {
    /// As bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Writer::default();
        out.text(&pack_runs(&self.runs));
        for piece in &self.pieces {
            put_piece(&mut out, piece);
        }
        out.0
    }

    /// Adds what [`encode`](Self::encode) wrote; `None` when the bytes are something else.
    pub fn add(&mut self, bytes: &[u8]) -> Option<()> {
        let mut rest = Reader(bytes);
        let runs = unpack_runs(&mut Reader(rest.text()?))?;
        self.runs.extend(runs);
        while !rest.is_empty() {
            self.pieces.push(take_piece(&mut rest)?);
        }
        Some(())
    }
}

impl Own {
    /// Whether what was written can be of items of this form.
    pub fn suits(&self, form: &dyn Form) -> bool {
        let (bytes, terminator) = (form.item_bytes(), form.terminator());
        let is_item = |item: &[u8]| match bytes {
            Some(bytes) => item.len() == bytes,
            None => item.last().copied() == terminator,
        };
        let edges = self.pieces.iter().filter_map(|piece| piece.written.edges.as_ref());
        edges.into_iter().all(|(first, last)| is_item(first) && is_item(last))
    }
}

/// Runs as bytes.
pub fn pack_runs<'p>(runs: impl IntoIterator<Item = &'p Packed>) -> Vec<u8> {
    let mut out = Writer::default();
    for Packed { made, run } in runs {
        out.words(&[made.source.start, made.source.end]);
        put_digest(&mut out, made.read);
        put_digest(&mut out, made.kept);
        out.word(to_u64(made.sums.len()));
        for sum in &made.sums {
            out.words(&[sum.offset, sum.bytes, sum.crc64]);
        }
        out.text(run);
    }
    out.0
}

/// What [`pack_runs`] wrote; `None` when the bytes are something else.
pub fn unpack_runs(rest: &mut Reader<'_>) -> Option<Vec<Packed>> {
    let mut runs = Vec::new();
    while !rest.is_empty() {
        let [start, end] = rest.words()?;
        let (read, kept) = (take_digest(rest)?, take_digest(rest)?);
        let mut sums = Vec::new();
        for _ in 0..rest.word()? {
            let [offset, bytes, crc64] = rest.words()?;
            sums.push(Extent { offset, bytes, crc64 });
        }
        let made = Made { source: start..end, read, kept, sums };
        runs.push(Packed { made, run: rest.text()?.to_vec() });
    }
    Some(runs)
}

/// Appends a digest.
pub fn put_digest(out: &mut Writer, digest: Digest) {
    out.word(digest.items);
    out.wide(digest.sum);
}

/// The next digest.
pub fn take_digest(rest: &mut Reader<'_>) -> Option<Digest> {
    Some(Digest { items: rest.word()?, sum: rest.wide()? })
}

/// Appends a piece of the output, without its checksums, which the part file keeps.
pub fn put_piece(out: &mut Writer, piece: &Piece) {
    let Piece { span, written } = piece;
    let ends = [span.items.start, span.items.end, span.bytes.start, span.bytes.end];
    let Written { merged, items, bytes, checked, edges, extents: _, write_s: _ } = written;
    out.words(&ends);
    put_digest(out, *merged);
    put_digest(out, *items);
    out.words(&[*bytes, checked.unordered, checked.duplicates]);
    out.word(u64::from(edges.is_some()));
    if let Some((first, last)) = edges {
        out.text(first);
        out.text(last);
    }
}

/// The next piece of the output.
pub fn take_piece(rest: &mut Reader<'_>) -> Option<Piece> {
    let [first, last, from, to] = rest.words()?;
    let (merged, items) = (take_digest(rest)?, take_digest(rest)?);
    let [bytes, unordered, duplicates] = rest.words()?;
    let edges = match rest.word()? {
        0 => None,
        _ => Some((rest.text()?.to_vec(), rest.text()?.to_vec())),
    };
    let checked = Checked { unordered, duplicates };
    let is_sound = first.checked_add(merged.items) == Some(last)
        && from.checked_add(bytes) == Some(to)
        && unordered <= items.items
        && duplicates <= items.items
        && items.items <= merged.items
        && edges.is_some() == (items.items > 0);
    if !is_sound {
        return None;
    }
    let written = Written { merged, items, bytes, checked, edges, ..Written::default() };
    Some(Piece { span: Span { items: first..last, bytes: from..to }, written })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_comes_back_and_anything_else_is_refused() {
        let digest = Digest { items: 3, sum: u128::MAX / 7 };
        let sums = vec![Extent { offset: 7, bytes: 24, crc64: 9 }];
        let made = Made { source: 7..31, read: digest, kept: digest, sums };
        let runs = vec![Packed { made, run: vec![1, 2, 3] }];
        let edges = Some((b"first".to_vec(), b"last".to_vec()));
        let written =
            Written { merged: digest, items: digest, bytes: 9, edges, ..Written::default() };
        let span = Span { items: 4..7, bytes: 30..39 };
        let own = Own { runs, pieces: vec![Piece { span, written }] };
        let bytes = own.encode();
        let mut again = Own::default();
        assert_eq!(again.add(&bytes), Some(()));
        assert_eq!(again, own);
        for end in 0..bytes.len() {
            let cut = Own::default().add(&bytes[..end]);
            // A part may end behind its runs.
            assert!(cut.is_none() || end == 8 + pack_runs(&own.runs).len(), "cut at {end}");
        }
        assert_eq!(Own::default().add(&[0xFF; 300]), None);
    }

    /// Each number of a piece fits the others, or it is no piece.
    #[test]
    fn pieces_that_do_not_add_up_are_refused() {
        let digest = Digest { items: 3, sum: 1 };
        let edges = Some((b"1234".to_vec(), b"5678".to_vec()));
        let written =
            Written { merged: digest, items: digest, bytes: 12, edges, ..Written::default() };
        let piece = Piece { span: Span { items: 4..7, bytes: 30..42 }, written };
        let taken = |piece: &Piece| {
            let mut out = Writer::default();
            put_piece(&mut out, piece);
            take_piece(&mut Reader(&out.0))
        };
        assert_eq!(taken(&piece).as_ref(), Some(&piece));
        let forged: [fn(&mut Piece); 6] = [
            |piece| piece.span.items.end = 8,
            |piece| piece.span.bytes.start = u64::MAX - 2,
            |piece| piece.written.merged.items = u64::MAX,
            |piece| piece.written.items.items = 4,
            |piece| piece.written.checked.duplicates = u64::MAX,
            |piece| piece.written.edges = None,
        ];
        for (number, change) in forged.iter().enumerate() {
            let mut other = piece.clone();
            change(&mut other);
            assert_eq!(taken(&other), None, "{number}");
        }
    }
}
