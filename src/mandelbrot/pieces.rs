//! Tiles on their way to the ranks that write them.
//!
//! A tile is cut at the boundaries of the strips; a piece for another rank travels with its own
//! rectangle, so the receiver needs to know nothing about the schedule, and a piece for this rank is
//! placed at once. Counts that fit travel as 16 bits, which halves what the network carries. Pure:
//! tiles in, bytes out, and back.

use super::bands::Band;
use super::compute::Computed;
use super::kernel::NOT_ESCAPED;
use crate::num::{to_u64, to_usize};
use crate::partition::{Tile, cut_rows, displacements};

/// The rows of a band that one rank keeps: those of its strips, one strip after the other.
#[derive(Clone, Debug, Default)]
pub struct Rows {
    /// Columns of the picture.
    pub width: u32,
    /// Counts, row by row. 0, which no pixel has, marks what has not arrived.
    pub counts: Vec<u32>,
    /// Fractions likewise; empty when not computed.
    pub fractions: Vec<f32>,
    /// Pixels that have arrived.
    placed: u64,
}

/// Bytes of a piece's rectangle: four `u32`s.
const HEADER_BYTES: usize = 16;

/// How a pixel travels; the same on all ranks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wire {
    /// Counts as 16 bits, with 0xFFFF for never escaped.
    narrow: bool,
    /// Whether fractions come along.
    fractions: bool,
}

impl Wire {
    /// What suits counts up to this limit.
    pub fn new(max_iterations: u32, fractions: bool) -> Self {
        Self { narrow: max_iterations < u32::from(u16::MAX), fractions }
    }

    fn pixel_bytes(self) -> usize {
        let count = if self.narrow { 2 } else { 4 };
        count + if self.fractions { 4 } else { 0 }
    }

    fn piece_bytes(self, piece: Tile) -> u64 {
        to_u64(HEADER_BYTES) + piece.area() * to_u64(self.pixel_bytes())
    }

    /// Writes counts and fractions over `bytes`, which has exactly their length.
    fn write(self, counts: &[u32], fractions: &[f32], bytes: &mut [u8]) {
        let (head, tail) = bytes.split_at_mut(counts.len() * if self.narrow { 2 } else { 4 });
        if self.narrow {
            for (word, &count) in head.chunks_exact_mut(2).zip(counts) {
                word.copy_from_slice(&narrow(count).to_le_bytes());
            }
        } else {
            head.copy_from_slice(bytemuck::cast_slice(counts));
        }
        tail.copy_from_slice(bytemuck::cast_slice(fractions));
    }

    /// Reads what [`write`](Self::write) wrote. Pieces lie at any offset, so words are copied to
    /// where they are aligned.
    fn read(self, bytes: &[u8], counts: &mut Vec<u32>, fractions: &mut Vec<f32>) {
        let area = bytes.len() / self.pixel_bytes();
        let (head, tail) = bytes.split_at(area * if self.narrow { 2 } else { 4 });
        counts.resize(area, 0);
        if self.narrow {
            for (count, word) in counts.iter_mut().zip(head.chunks_exact(2)) {
                *count = widened(u16::from_le_bytes([word[0], word[1]]));
            }
        } else {
            bytemuck::cast_slice_mut(counts).copy_from_slice(head);
        }
        fractions.resize(tail.len() / 4, 0.0);
        bytemuck::cast_slice_mut(fractions).copy_from_slice(tail);
    }
}

/// Counts below the limit fit; what is left is "never escaped", u32's last value and u16's. Both
/// mean the low half, which compilers vectorise.
#[expect(clippy::cast_possible_truncation, reason = "the low half is what is meant")]
fn narrow(count: u32) -> u16 {
    debug_assert!(count < u32::from(u16::MAX) || count == NOT_ESCAPED, "count {count} fits");
    count as u16
}

fn widened(count: u16) -> u32 {
    if count == u16::MAX { NOT_ESCAPED } else { count.into() }
}

/// Places what `rank` keeps of its own tiles and packs the rest into `bytes`, in rank order;
/// returns how many bytes each rank gets. Takes the batches one by one, so that memory is not held
/// twice.
///
/// # Errors
/// As [`Rows::place`].
pub fn pack(
    batches: Vec<Computed>,
    (band, wire): (&Band, Wire),
    (rank, ranks): (u64, u64),
    rows: &mut Rows,
    bytes: &mut Vec<u8>,
) -> Result<Vec<u64>, String> {
    let boundaries = band.boundaries();
    let owner_of = |piece: &Tile| band.place_of(piece.y0).0;
    let mut counts = vec![0_u64; to_usize(ranks)];
    for tile in batches.iter().flat_map(|batch| &batch.tiles) {
        for (_, piece) in cut_rows(*tile, &boundaries) {
            let owner = owner_of(&piece);
            if owner != rank {
                counts[to_usize(owner)] += wire.piece_bytes(piece);
            }
        }
    }
    let mut at: Vec<usize> = displacements(&counts).iter().copied().map(to_usize).collect();
    bytes.resize(to_usize(counts.iter().sum()), 0);
    for batch in batches {
        for (tile, pixels) in batch.each() {
            for (_, piece) in cut_rows(tile, &boundaries) {
                // A piece has all columns of its tile, so its rows are one run of the tile's pixels.
                let above = u64::from(piece.y0 - tile.y0) * u64::from(piece.width);
                let start = pixels.start + to_usize(above);
                let range = start..start + to_usize(piece.area());
                let fractions = batch.fractions.get(range.clone()).unwrap_or(&[]);
                let counts = &batch.counts[range];
                let owner = owner_of(&piece);
                if owner == rank {
                    rows.put(band, rank, piece, counts, fractions)?;
                } else {
                    let at = &mut at[to_usize(owner)];
                    put_piece((counts, fractions), piece, wire, bytes, at);
                }
            }
        }
    }
    Ok(counts)
}

fn put_piece(
    (counts, fractions): (&[u32], &[f32]),
    piece: Tile,
    wire: Wire,
    bytes: &mut [u8],
    at: &mut usize,
) {
    let end = *at + to_usize(wire.piece_bytes(piece));
    let (header, pixels) = bytes[*at..end].split_at_mut(HEADER_BYTES);
    let words = [piece.x0, piece.y0, piece.width, piece.height];
    for (place, word) in header.chunks_exact_mut(4).zip(words) {
        place.copy_from_slice(&word.to_le_bytes());
    }
    wire.write(counts, fractions, pixels);
    *at = end;
}

impl Rows {
    /// Rows that were read rather than computed.
    pub fn of(width: u32, counts: Vec<u32>, fractions: Vec<f32>) -> Self {
        Self { width, placed: to_u64(counts.len()), counts, fractions }
    }

    /// Makes room for what `rank` keeps of a band, in the memory that is there already.
    pub fn reset(&mut self, width: u32, band: &Band, rank: u64, with_fractions: bool) {
        let pixels = to_usize(u64::from(width) * band.height_of(rank));
        (self.width, self.placed) = (width, 0);
        self.counts.clear();
        self.counts.resize(pixels, 0);
        self.fractions.clear();
        self.fractions.resize(if with_fractions { pixels } else { 0 }, 0.0);
    }

    /// Where the pixels of row `y` begin, which must be this rank's.
    pub fn start_of(&self, band: &Band, y: u32) -> usize {
        to_usize(band.place_of(y).1 * u64::from(self.width))
    }

    /// Places received pieces.
    ///
    /// # Errors
    /// A sentence when a piece is cut short, overlaps another or is not this rank's.
    pub fn place(
        &mut self,
        band: &Band,
        wire: Wire,
        rank: u64,
        bytes: &[u8],
    ) -> Result<(), String> {
        let mut rest = bytes;
        let (mut counts, mut fractions) = (Vec::new(), Vec::new());
        while !rest.is_empty() {
            let piece = take_header(&mut rest)?;
            let length = to_usize(wire.piece_bytes(piece)) - HEADER_BYTES;
            wire.read(take(&mut rest, length)?, &mut counts, &mut fractions);
            self.put(band, rank, piece, &counts, &fractions)?;
        }
        Ok(())
    }

    /// Pixels that have not arrived. Pieces never overlap, so a sum says it.
    pub fn missing(&self) -> u64 {
        to_u64(self.counts.len()) - self.placed
    }

    fn put(
        &mut self,
        band: &Band,
        rank: u64,
        piece: Tile,
        counts: &[u32],
        fractions: &[f32],
    ) -> Result<(), String> {
        let inside = piece.x0.checked_add(piece.width).is_some_and(|end| end <= self.width)
            && piece.y0.checked_add(piece.height).is_some_and(|end| end <= band.rows.end)
            && piece.y0 >= band.rows.start;
        if !inside || piece.area() == 0 || band.place_of(piece.y0).0 != rank {
            return Err(format!("a piece that is not this rank's: {piece:?}"));
        }
        let width = to_usize(piece.width.into());
        let first = self.start_of(band, piece.y0) + to_usize(piece.x0.into());
        let starts = (first..).step_by(to_usize(self.width.into()));
        for (start, row) in starts.clone().zip(counts.chunks_exact(width)) {
            let target = &mut self.counts[start..start + width];
            if target.iter().any(|&before| before != 0) {
                return Err(format!("a piece that came twice: {piece:?}"));
            }
            target.copy_from_slice(row);
        }
        self.placed += piece.area();
        if !self.fractions.is_empty() {
            for (start, row) in starts.zip(fractions.chunks_exact(width)) {
                self.fractions[start..start + width].copy_from_slice(row);
            }
        }
        Ok(())
    }
}

fn take<'a>(rest: &mut &'a [u8], bytes: usize) -> Result<&'a [u8], String> {
    let (head, tail) = rest.split_at_checked(bytes).ok_or("a piece that is cut short")?;
    *rest = tail;
    Ok(head)
}

fn take_header(rest: &mut &[u8]) -> Result<Tile, String> {
    let words: Vec<u32> = take(rest, HEADER_BYTES)?
        .chunks_exact(4)
        .map(|word| u32::from_le_bytes(word.try_into().expect("four bytes")))
        .collect();
    Ok(Tile { x0: words[0], y0: words[1], width: words[2], height: words[3] })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mandelbrot::bands::Bands;
    use crate::mandelbrot::compute::Tally;
    use crate::partition::grid;
    use proptest::prelude::*;

    /// Some never escape, the others fit 16 bits.
    fn value(number: u32) -> u32 {
        if number % 7 == 3 { NOT_ESCAPED } else { number }
    }

    /// A tile whose pixel values tell where they belong.
    fn computed(tile: Tile, with_fractions: bool) -> Computed {
        let pixels = tile.rows().flat_map(|y| tile.columns().map(move |x| (x, y)));
        let counts: Vec<u32> = pixels.map(|(x, y)| value(1 + y * 900 + x)).collect();
        let fractions = if with_fractions {
            counts.iter().map(|&count| f32::from(u16::try_from(count % 60_000).unwrap())).collect()
        } else {
            Vec::new()
        };
        Computed { tiles: vec![tile], counts, fractions, tally: Tally::default() }
    }

    proptest! {
        #[test]
        fn tiles_arrive_where_they_belong(
            width in 1_u32..90, height in 1_u32..70, edge in 1_u32..40,
            strip_rows in 1_u64..30, ranks in 1_u64..6, with_fractions: bool, narrow: bool,
        ) {
            let band = Bands::new(width, height, strip_rows, ranks).band(0);
            prop_assert_eq!(band.rows.clone(), 0..height);
            let wire = Wire { narrow, fractions: with_fractions };
            // Every rank computes every rank-th tile; each packs for all others.
            let mut kept = Vec::new();
            let mut sent = Vec::new();
            for rank in 0..ranks {
                let tiles = grid(width, 0..height, edge).enumerate();
                let mine = tiles.filter(|(at, _)| at % to_usize(ranks) == to_usize(rank));
                let mine = mine.map(|(_, tile)| computed(tile, with_fractions)).collect();
                let (mut rows, mut bytes) = (Rows::default(), Vec::new());
                rows.reset(width, &band, rank, with_fractions);
                let counts = pack(mine, (&band, wire), (rank, ranks), &mut rows, &mut bytes);
                let counts = counts.unwrap();
                prop_assert_eq!(counts[to_usize(rank)], 0);
                kept.push(rows);
                sent.push((bytes, counts));
            }
            for (rank, rows) in (0..ranks).zip(&mut kept) {
                for (bytes, counts) in &sent {
                    let from = to_usize(counts[..to_usize(rank)].iter().sum());
                    let part = &bytes[from..from + to_usize(counts[to_usize(rank)])];
                    rows.place(&band, wire, rank, part).unwrap();
                    if !part.is_empty() {
                        let again = rows.place(&band, wire, rank, part).unwrap_err();
                        prop_assert!(again.contains("came twice"));
                        let cut = rows.place(&band, wire, rank, &part[..part.len() - 1]);
                        prop_assert!(cut.is_err());
                        let foreign = rows.place(&band, wire, (rank + 1) % ranks, part);
                        prop_assert!(foreign.is_err());
                    }
                }
                prop_assert_eq!(rows.missing(), 0);
                let tiles = band.pieces_of(rank).map(|rows| {
                    let height = rows.end - rows.start;
                    computed(Tile { x0: 0, y0: rows.start, width, height }, with_fractions)
                });
                let want: Vec<Computed> = tiles.collect();
                let counts: Vec<u32> = want.iter().flat_map(|tile| tile.counts.clone()).collect();
                let parts: Vec<f32> = want.iter().flat_map(|tile| tile.fractions.clone()).collect();
                prop_assert_eq!(&rows.counts, &counts);
                prop_assert_eq!(&rows.fractions, &parts);
            }
        }
    }

    #[test]
    fn counts_travel_narrow_only_when_all_fit() {
        assert!(Wire::new(65_534, false).narrow);
        assert!(!Wire::new(65_535, false).narrow);
        for count in [1, 2, 65_533, NOT_ESCAPED] {
            assert_eq!(widened(narrow(count)), count);
        }
    }
}
