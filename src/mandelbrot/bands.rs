//! A picture in bands: how much of it is in memory at a time.
//!
//! A band is a whole number of PNG strips. Its counts are spread over the ranks, so a band may hold
//! a fixed number of pixels per rank; pictures that fit are one band, and the price of more is one
//! tail of imbalance and one exchange per band. Pure integers.

use std::ops::Range;

use crate::num::to_u64;
use crate::partition::block;

/// Pixels of a band per rank. A pixel costs 8 bytes of counts and fractions, at most twice at a
/// time (computed and packed, or received and placed): 32 MiB, far under the 200 MB that a rank
/// may take for a 32 768 x 32 768 picture.
const PIXELS_PER_RANK: u64 = 1 << 21;

/// Pixels of a band altogether: the coarse pre-pass keeps one sample per 64 of them on every rank.
const PIXELS_MAX: u64 = 1 << 29;

/// A rank that has drawn this many times its share of cheap tiles stops drawing, so that memory
/// stays bounded when all the work sits in a few tiles of other ranks.
pub const HELD_SHARES: u64 = 4;

/// The cuts of a picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bands {
    width: u64,
    height: u64,
    strip_rows: u64,
    strips_per_band: u64,
    ranks: u64,
}

/// One band, and who owns which of its strips.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Band {
    /// Rows of the picture.
    pub rows: Range<u32>,
    /// Strips of the picture.
    pub strips: Range<u64>,
    /// `boundaries[r]..boundaries[r + 1]` are the rows that rank `r` writes.
    pub boundaries: Vec<u32>,
}

impl Bands {
    /// Cuts a picture whose PNG has strips of `strip_rows` rows.
    pub fn new(width: u32, height: u32, strip_rows: u64, ranks: u64) -> Self {
        let (width, height) = (u64::from(width), u64::from(height));
        let pixels = (PIXELS_PER_RANK.saturating_mul(ranks)).min(PIXELS_MAX);
        let strips = height.div_ceil(strip_rows);
        let most = (pixels / (width * strip_rows)).max(1);
        // Equal bands rather than full ones and a rest.
        let bands = strips.div_ceil(most).max(1);
        Self { width, height, strip_rows, strips_per_band: strips.div_ceil(bands).max(1), ranks }
    }

    /// How many.
    pub fn count(&self) -> u64 {
        self.height.div_ceil(self.strip_rows).div_ceil(self.strips_per_band)
    }

    /// The most pixels that one rank holds as computed tiles.
    pub fn held_pixels_max(&self) -> u64 {
        let band = self.strips_per_band * self.strip_rows * self.width;
        HELD_SHARES * band.div_ceil(self.ranks)
    }

    /// Bytes that a rank needs for a band, at the usual and at the most uneven share: tiles and
    /// what is packed from them, then what is received and placed, then a few strips encoded.
    pub fn memory_bytes(&self, bytes_per_pixel: u64) -> (u64, u64) {
        let band = (self.strips_per_band * self.strip_rows).min(self.height) * self.width;
        let share = band.div_ceil(self.ranks).max(self.strip_rows.min(self.height) * self.width);
        (2 * share * bytes_per_pixel, (1 + HELD_SHARES) * share * bytes_per_pixel)
    }

    /// Band `index`.
    pub fn band(&self, index: u64) -> Band {
        let strips = self.height.div_ceil(self.strip_rows);
        let first = index * self.strips_per_band;
        let range = first..(first + self.strips_per_band).min(strips);
        let mut band = Band {
            rows: self.row(range.start)..self.row(range.end),
            strips: range,
            boundaries: Vec::new(),
        };
        band.boundaries = (0..self.ranks)
            .map(|rank| self.row(band.strips_of(rank, self.ranks).start))
            .chain([band.rows.end])
            .collect();
        band
    }

    fn row(&self, strip: u64) -> u32 {
        u32::try_from((strip * self.strip_rows).min(self.height)).expect("a row of the picture")
    }
}

impl Band {
    /// The strips that `rank` encodes and writes.
    pub fn strips_of(&self, rank: u64, ranks: u64) -> Range<u64> {
        let mine = block(self.strips.end - self.strips.start, ranks, rank);
        self.strips.start + mine.start..self.strips.start + mine.end
    }

    /// The rows that `rank` writes.
    pub fn rows_of(&self, rank: u64) -> Range<u32> {
        let at = crate::num::to_usize(rank);
        self.boundaries[at]..self.boundaries[at + 1]
    }

    /// Number of rows.
    pub fn height(&self) -> u64 {
        to_u64(self.rows.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn bands_and_ranks_cover_the_picture(
            width in 1_u32..5000, height in 1_u32..5000, strip_rows in 1_u64..600, ranks in 1_u64..70,
        ) {
            let bands = Bands::new(width, height, strip_rows, ranks);
            let (mut row, mut strip) = (0, 0);
            for index in 0..bands.count() {
                let band = bands.band(index);
                prop_assert_eq!(band.rows.start, row);
                prop_assert!(band.rows.end > row);
                for rank in 0..ranks {
                    prop_assert_eq!(band.rows_of(rank).start, row);
                    prop_assert_eq!(band.strips_of(rank, ranks).start, strip);
                    row = band.rows_of(rank).end;
                    strip = band.strips_of(rank, ranks).end;
                }
                prop_assert_eq!(row, band.rows.end);
                prop_assert_eq!(strip, band.strips.end);
            }
            prop_assert_eq!(row, height);
        }
    }

    #[test]
    fn a_huge_picture_stays_within_the_memory_of_a_rank() {
        let bands = Bands::new(32_768, 32_768, 8, 4);
        assert!(bands.count() > 100);
        assert!(bands.memory_bytes(8).1 <= 90 << 20, "{:?}", bands.memory_bytes(8));
        // One rank that drew cheap tiles only holds no more than it may.
        assert!(bands.held_pixels_max() * 8 <= 64 << 20);
    }
}
