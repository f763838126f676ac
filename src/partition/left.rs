//! What is left of a band that was left in the middle: the pixels that no finished tile covers, as tiles.
//!
//! One bit a pixel says what is done, so tiles of any cut, by any number of ranks, add up; the price is an
//! eighth of a byte per pixel of the band on every rank, while work is taken up again. Pure.

use std::ops::Range;

use super::Tile;
use crate::num::{to_u64, to_usize};

/// Bits of a word.
const BITS: usize = 64;

/// Which pixels of a band are done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DonePixels {
    width: u32,
    rows: Range<u32>,
    words: Vec<u64>,
}

impl DonePixels {
    /// None of them.
    pub fn none(width: u32, rows: Range<u32>) -> Self {
        let pixels = to_u64(rows.len()) * u64::from(width);
        let words = vec![0; to_usize(pixels).div_ceil(BITS)];
        Self { width, rows, words }
    }

    /// Marks a tile of the band, none of whose pixels is marked.
    ///
    /// # Panics
    /// When it reaches out of the band.
    pub fn mark(&mut self, tile: &Tile) {
        for y in tile.rows() {
            let start = self.at(tile.x0, y);
            self.set(start..start + to_usize(tile.width.into()));
        }
    }

    /// The bits, 64 to a word. Those of several ranks, none marked twice, add up.
    pub fn words(&mut self) -> &mut [u64] {
        &mut self.words
    }

    /// How many are done.
    pub fn count(&self) -> u64 {
        self.words.iter().map(|word| u64::from(word.count_ones())).sum()
    }

    /// Tiles of at most `edge` by `edge` pixels that cover all others, each once.
    pub fn left(&self, edge: u32) -> Vec<Tile> {
        let mut tiles = Vec::new();
        // Rectangles that reach down to the row at hand.
        let mut open: Vec<Tile> = Vec::new();
        for y in self.rows.clone() {
            let mut next: Vec<Tile> = Vec::with_capacity(open.len());
            let mut above = open.into_iter().peekable();
            for columns in self.gaps(y) {
                while let Some(tile) = above.next_if(|tile| tile.x0 < columns.start) {
                    cut(tile, edge, &mut tiles);
                }
                let same = |tile: &Tile| tile.columns() == columns && tile.height < edge;
                let width = columns.end - columns.start;
                let fresh = Tile { x0: columns.start, y0: y, width, height: 0 };
                let tile = above.next_if(same).unwrap_or(fresh);
                next.push(Tile { height: tile.height + 1, ..tile });
            }
            for tile in above {
                cut(tile, edge, &mut tiles);
            }
            open = next;
        }
        for tile in open {
            cut(tile, edge, &mut tiles);
        }
        tiles
    }

    /// Runs of pixels of a row that are not done.
    fn gaps(&self, y: u32) -> Vec<Range<u32>> {
        let start = self.at(0, y);
        let end = start + to_usize(self.width.into());
        let column = |at: usize| u32::try_from(at - start).expect("a column of the picture");
        let mut gaps = Vec::new();
        let mut at = start;
        while at < end {
            let from = self.find(at..end, false);
            let to = self.find(from..end, true);
            if from < to {
                gaps.push(column(from)..column(to));
            }
            at = to;
        }
        gaps
    }

    /// The first bit of a range that is as wanted, else its end.
    fn find(&self, range: Range<usize>, wanted: bool) -> usize {
        let mut at = range.start;
        while at < range.end {
            let word = self.words[at / BITS];
            let word = if wanted { word } else { !word };
            let rest = word >> (at % BITS);
            if rest != 0 {
                let ahead = usize::try_from(rest.trailing_zeros()).expect("at most 64");
                return (at + ahead).min(range.end);
            }
            at += BITS - at % BITS;
        }
        range.end
    }

    fn set(&mut self, range: Range<usize>) {
        let mut at = range.start;
        while at < range.end {
            let bits = (BITS - at % BITS).min(range.end - at);
            let ones = u64::MAX >> (BITS - bits);
            self.words[at / BITS] |= ones << (at % BITS);
            at += bits;
        }
    }

    fn at(&self, x: u32, y: u32) -> usize {
        assert!(self.rows.contains(&y) && x <= self.width, "pixel {x}, {y} of the band");
        to_usize(u64::from(y - self.rows.start) * u64::from(self.width)) + to_usize(x.into())
    }
}

/// A rectangle of at most `edge` rows, in pieces of at most `edge` columns.
fn cut(tile: Tile, edge: u32, into: &mut Vec<Tile>) {
    let columns = tile.columns();
    let mut x0 = columns.start;
    while x0 < columns.end {
        let width = edge.min(columns.end - x0);
        into.push(Tile { x0, width, ..tile });
        x0 += width;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn done_and_left_cover_the_band_once(
            width in 1_u32..200, first in 0_u32..50, height in 1_u32..60, edge in 1_u32..40,
            cuts in proptest::collection::vec((0_u32..200, 0_u32..60, 1_u32..90, 1_u32..30), 0..12),
        ) {
            let rows = first..first + height;
            let mut done = DonePixels::none(width, rows.clone());
            let mut seen = vec![0_u8; (width * height) as usize];
            let mut count = |tile: &Tile| {
                for y in tile.rows() {
                    for x in tile.columns() {
                        seen[((y - first) * width + x) as usize] += 1;
                    }
                }
            };
            let mut marked: Vec<Tile> = Vec::new();
            for (x, y, w, h) in cuts {
                if x >= width || y >= height { continue; }
                let tile = Tile {
                    x0: x, y0: first + y, width: w.min(width - x), height: h.min(height - y),
                };
                let apart = |other: &Tile| {
                    tile.columns().end <= other.x0 || other.columns().end <= tile.x0
                        || tile.rows().end <= other.y0 || other.rows().end <= tile.y0
                };
                if marked.iter().all(apart) {
                    done.mark(&tile);
                    count(&tile);
                    marked.push(tile);
                }
            }
            let area: u64 = marked.iter().map(Tile::area).sum();
            prop_assert_eq!(done.count(), area);
            for tile in done.left(edge) {
                prop_assert!(tile.width <= edge && tile.height <= edge && tile.area() > 0);
                count(&tile);
            }
            prop_assert!(seen.iter().all(|&times| times == 1));
        }
    }
}
