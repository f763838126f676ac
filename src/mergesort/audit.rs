//! A look at sorted items in files, by one process: order, number, checksum, equal neighbours.
//!
//! Pieces are read, summed up and looked at by all threads, a few at a time: memory stays bounded whatever
//! the size, but for lines that are longer than a piece. Costs one reading of the files.

use std::ops::Range;

use super::buffer::Buffer;
use super::form::{Checked, Digest, Form};
use super::input::{Files, Seen};
use crate::error::Result;
use crate::measure::record::FileSum;
use crate::num::{to_u64, to_usize};
use crate::store::crc::Extent;
use crate::threads::Threads;

/// Bytes of a piece, about.
const PIECE_BYTES: u64 = 4 << 20;

/// Pieces that are looked at together, for each thread: the last one of them waits for the longest.
const PIECES: u64 = 4;

/// What was found in all files, one behind the other.
#[derive(Clone, Debug, Default)]
pub struct Audit {
    /// Number and checksum of items.
    pub items: Digest,
    /// What was found between neighbours.
    pub checked: Checked,
    /// The first item, from 1, that must not stand behind the one before it.
    pub first_unordered: Option<u64>,
    /// Each file, or the data of each dataset.
    pub files: Vec<FileSum>,
}

/// What was found in a piece.
struct Piece {
    items: Digest,
    checked: Checked,
    /// From 0.
    first_unordered: Option<usize>,
    /// The first and the last item, in sorting form.
    edges: Option<(Vec<u8>, Vec<u8>)>,
    sums: Vec<Extent>,
}

/// Looks at files as at one sequence. Local.
///
/// # Errors
/// When they cannot be read, or there is no memory for a piece.
pub fn audit(threads: &Threads, form: &dyn Form, seen: Vec<Seen>) -> Result<Audit> {
    let files = Files::open(seen)?;
    let bytes = files.bytes();
    let item = form.item_bytes().map_or(1, to_u64);
    let step = item * (PIECE_BYTES / item).max(1);
    let batch = step * PIECES * to_u64(threads.count());
    let (mut all, mut sums, mut last) = (Audit::default(), Vec::new(), None);
    for start in (0..bytes).step_by(to_usize(batch)) {
        let end = bytes.min(start + batch);
        let pieces: Vec<Range<u64>> =
            (start..end).step_by(to_usize(step)).map(|from| from..end.min(from + step)).collect();
        for piece in threads.map(&pieces, |piece| look(form, &files, piece.clone())) {
            let piece = piece?;
            all.add(form, &piece, last.as_deref());
            sums.extend(piece.sums);
            last = piece.edges.map(|(_, last)| last).or(last);
        }
    }
    files.unchanged()?;
    all.files = files.sums_of(sums)?;
    Ok(all)
}

/// The items of a piece, in file form.
fn read(form: &dyn Form, files: &Files, piece: Range<u64>) -> Result<(Buffer, Vec<Extent>)> {
    match form.terminator() {
        None => files.read(piece),
        Some(terminator) => files.read_lines(piece, terminator, u64::MAX),
    }
}

fn look(form: &dyn Form, files: &Files, piece: Range<u64>) -> Result<Piece> {
    let (mut bytes, sums) = read(form, files, piece)?;
    let items = form.digest(&bytes);
    form.encode(&mut bytes);
    let (checked, index) = (form.check(&bytes), form.index(&bytes));
    let item = |at: usize| &bytes[index.bytes(at..at + 1)];
    let falls = |at: &usize| form.check_pair(item(at - 1), item(*at)).unordered;
    let first_unordered = if checked.unordered > 0 { (1..index.len()).find(falls) } else { None };
    let last = index.len().checked_sub(1);
    let edges = last.map(|last| (item(0).to_vec(), item(last).to_vec()));
    Ok(Piece { items, checked, first_unordered, edges, sums })
}

impl Audit {
    /// Adds the next piece; `last` is the item before it.
    fn add(&mut self, form: &dyn Form, piece: &Piece, last: Option<&[u8]>) {
        let before = self.items.items;
        if let (Some(last), Some((first, _))) = (last, &piece.edges) {
            let border = Checked::pair(form.check_pair(last, first));
            self.checked = self.checked.and(border);
            if border.unordered > 0 {
                self.first_unordered.get_or_insert(before + 1);
            }
        }
        if let Some(inside) = piece.first_unordered {
            self.first_unordered.get_or_insert(before + to_u64(inside) + 1);
        }
        self.checked = self.checked.and(piece.checked);
        self.items = self.items.and(piece.items);
    }
}
