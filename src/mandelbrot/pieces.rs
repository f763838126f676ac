//! Tiles on their way to the ranks that write them.
//!
//! A tile is cut at the boundaries of the writers' rows; each piece travels with its own rectangle,
//! so the receiver needs to know nothing about the schedule. Pure: tiles in, bytes out, and back.

use super::compute::Computed;
use crate::num::{to_u64, to_usize};
use crate::partition::{Tile, cut_rows};

/// The rows of the picture that this rank writes.
#[derive(Clone, Debug, Default)]
pub struct Rows {
    /// Columns of the picture.
    pub width: u32,
    /// First row.
    pub first: u32,
    /// Counts, row by row. 0, which no pixel has, marks what has not arrived.
    pub counts: Vec<u32>,
    /// Fractions likewise; empty when not computed.
    pub fractions: Vec<f32>,
}

/// Bytes of a piece's rectangle: four `u32`s.
const HEADER_BYTES: usize = 16;

/// Packs tiles for the owners of the rows `boundaries[r]..boundaries[r + 1]`: the bytes in rank
/// order and how many each rank gets. Takes the tiles one by one, so that memory is not held twice.
pub fn pack(tiles: Vec<Computed>, boundaries: &[u32]) -> (Vec<u8>, Vec<u64>) {
    let mut counts = vec![0_u64; boundaries.len() - 1];
    for computed in &tiles {
        for (owner, piece) in cut_rows(computed.tile, boundaries) {
            counts[owner] += piece_bytes(piece, computed.fractions.is_empty());
        }
    }
    let mut at: Vec<usize> =
        crate::partition::displacements(&counts).iter().copied().map(to_usize).collect();
    let mut bytes = vec![0_u8; to_usize(counts.iter().sum())];
    for computed in tiles {
        for (owner, piece) in cut_rows(computed.tile, boundaries) {
            put_piece(&computed, piece, &mut bytes, &mut at[owner]);
        }
    }
    (bytes, counts)
}

fn piece_bytes(piece: Tile, counts_only: bool) -> u64 {
    to_u64(HEADER_BYTES) + piece.area() * if counts_only { 4 } else { 8 }
}

fn put_piece(computed: &Computed, piece: Tile, bytes: &mut [u8], at: &mut usize) {
    let mut put = |data: &[u8]| {
        bytes[*at..*at + data.len()].copy_from_slice(data);
        *at += data.len();
    };
    for word in [piece.x0, piece.y0, piece.width, piece.height] {
        put(&word.to_le_bytes());
    }
    // A piece has all columns of its tile, so its rows are one run of the tile's pixels.
    let above = to_usize(u64::from(piece.y0 - computed.tile.y0) * u64::from(piece.width));
    let range = above..above + to_usize(piece.area());
    put(bytemuck::cast_slice(&computed.counts[range.clone()]));
    if !computed.fractions.is_empty() {
        put(bytemuck::cast_slice(&computed.fractions[range]));
    }
}

impl Rows {
    /// Room for the rows `first..end` of a picture.
    pub fn empty(width: u32, first: u32, end: u32, with_fractions: bool) -> Self {
        let pixels = to_usize(u64::from(width) * u64::from(end - first));
        Self {
            width,
            first,
            counts: vec![0; pixels],
            fractions: vec![0.0; if with_fractions { pixels } else { 0 }],
        }
    }

    /// Places received pieces. Returns how many pixels came.
    ///
    /// # Errors
    /// A sentence when a piece is cut short, overlaps another or lies outside these rows.
    pub fn place(&mut self, bytes: &[u8]) -> Result<u64, String> {
        let (mut rest, mut pixels) = (bytes, 0);
        while !rest.is_empty() {
            let piece = take_header(&mut rest)?;
            let outside = piece.y0 < self.first
                || piece.x0.checked_add(piece.width).is_none_or(|end| end > self.width);
            if outside {
                return Err(format!("a piece outside the rows it was sent for: {piece:?}"));
            }
            let area = to_usize(piece.area());
            let counts: Vec<u32> = bytemuck::pod_collect_to_vec(take(&mut rest, area * 4)?);
            if counts.contains(&0) {
                return Err(format!("a pixel without a count in {piece:?}"));
            }
            if put_rows(&mut self.counts, self.width, self.first, piece, &counts)?
                .iter()
                .any(|&old| old != 0)
            {
                return Err(format!("a piece that came twice: {piece:?}"));
            }
            if !self.fractions.is_empty() {
                let fractions: Vec<f32> = bytemuck::pod_collect_to_vec(take(&mut rest, area * 4)?);
                put_rows(&mut self.fractions, self.width, self.first, piece, &fractions)?;
            }
            pixels += piece.area();
        }
        Ok(pixels)
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

/// Copies a piece's rows into the picture's rows; returns what stood there before.
fn put_rows<T: Copy>(
    into: &mut [T],
    width: u32,
    first: u32,
    piece: Tile,
    from: &[T],
) -> Result<Vec<T>, String> {
    let mut before = Vec::with_capacity(from.len());
    for (row, values) in from.chunks_exact(to_usize(piece.width.into())).enumerate() {
        let y = u64::from(piece.y0 - first) + to_u64(row);
        let at = to_usize(y * u64::from(width) + u64::from(piece.x0));
        let target = into
            .get_mut(at..at + values.len())
            .ok_or_else(|| format!("a piece below the rows it was sent for: {piece:?}"))?;
        before.extend_from_slice(target);
        target.copy_from_slice(values);
    }
    Ok(before)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::partition::grid;
    use proptest::prelude::*;

    /// A tile whose pixel values tell where they belong.
    fn computed(tile: Tile, with_fractions: bool) -> Computed {
        let pixels = tile.rows().flat_map(|y| tile.columns().map(move |x| (x, y)));
        let counts: Vec<u32> = pixels.map(|(x, y)| 1 + y * 1000 + x).collect();
        let fractions = if with_fractions {
            counts.iter().map(|&count| f32::from(u16::try_from(count % 60_000).unwrap())).collect()
        } else {
            Vec::new()
        };
        Computed { tile, counts, fractions }
    }

    proptest! {
        #[test]
        fn tiles_arrive_where_they_belong(
            width in 1_u32..90, height in 1_u32..70, edge in 1_u32..40,
            cut in 0_u32..70, other in 0_u32..70, with_fractions: bool,
        ) {
            let mut boundaries = vec![0, cut.min(height), other.min(height), height];
            boundaries.sort_unstable();
            let tiles: Vec<_> =
                grid(width, 0..height, edge).map(|tile| computed(tile, with_fractions)).collect();
            let (bytes, counts) = pack(tiles, &boundaries);
            let mut from = 0;
            for (owner, &count) in counts.iter().enumerate() {
                let part = &bytes[from..from + to_usize(count)];
                from += part.len();
                let (first, end) = (boundaries[owner], boundaries[owner + 1]);
                let mut rows = Rows::empty(width, first, end, with_fractions);
                let pixels = rows.place(part).unwrap();
                prop_assert_eq!(pixels, u64::from(width) * u64::from(end - first));
                let want = computed(Tile { x0: 0, y0: first, width, height: end - first }, with_fractions);
                prop_assert_eq!(&rows.counts, &want.counts);
                prop_assert_eq!(&rows.fractions, &want.fractions);
                if !part.is_empty() {
                    prop_assert!(rows.place(part).unwrap_err().contains("came twice"));
                    prop_assert!(rows.place(&part[..part.len() - 1]).is_err());
                }
            }
            prop_assert_eq!(from, bytes.len());
        }
    }
}
