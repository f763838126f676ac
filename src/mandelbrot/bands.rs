//! A picture in bands: how much of it is in memory at a time.
//!
//! A band is a whole number of PNG strips. Its counts are spread over the ranks, so a band may hold
//! a fixed number of pixels per rank; pictures that fit are one band, and the price of more is one
//! tail of imbalance and one exchange per band. Pure integers.

use std::ops::Range;

use crate::num::to_u64;
use crate::partition::{Keepers, cyclic};

/// Pixels of a band per rank. A pixel costs 8 bytes of counts and fractions, at most twice at a
/// time (computed and packed, or received and placed): 32 MiB, far under the 200 MB that a rank
/// may take for a 32 768 x 32 768 picture.
pub const PIXELS_PER_RANK: u64 = 1 << 21;

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
    /// The strip with which the first band begins.
    first_strip: u64,
}

/// One band: its strips are dealt to the ranks in turn, so that costly rows are shared out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Band {
    /// Rows of the picture.
    pub rows: Range<u32>,
    /// Strips of the picture.
    pub strips: Range<u64>,
    strip_rows: u32,
    ranks: u64,
}

impl Bands {
    /// Cuts a picture whose PNG has strips of `strip_rows` rows.
    pub fn new(width: u32, height: u32, strip_rows: u64, ranks: u64) -> Self {
        Self::after(0, (width, height), strip_rows, (ranks, PIXELS_PER_RANK))
    }

    /// Cuts what follows the first `first_strip` strips of such a picture, for ranks that take so many
    /// pixels each.
    pub fn after(
        first_strip: u64,
        (width, height): (u32, u32),
        strip_rows: u64,
        (ranks, pixels_per_rank): (u64, u64),
    ) -> Self {
        let (width, height) = (u64::from(width), u64::from(height));
        let pixels = (pixels_per_rank.saturating_mul(ranks)).min(PIXELS_MAX);
        let strips = height.div_ceil(strip_rows).saturating_sub(first_strip);
        let most = (pixels / (width * strip_rows)).max(1);
        // Equal bands rather than full ones and a rest, each with equally many strips for all ranks
        // where memory allows.
        let bands = strips.div_ceil(most).max(1);
        let equal = strips.div_ceil(bands).max(1);
        let dealt = equal.next_multiple_of(ranks);
        let strips_per_band = if dealt <= most { dealt } else { equal };
        Self { width, height, strip_rows, strips_per_band, ranks, first_strip }
    }

    /// How many.
    pub fn count(&self) -> u64 {
        (self.strips() - self.first_strip).div_ceil(self.strips_per_band)
    }

    /// Strips of the whole picture.
    pub fn strips(&self) -> u64 {
        self.height.div_ceil(self.strip_rows)
    }

    /// The most pixels that one rank holds as computed tiles, in `shares` of a band; [`HELD_SHARES`]
    /// is the usual number, 1 the least that gets all work done.
    pub fn held_pixels_max(&self, shares: u64) -> u64 {
        let band = self.strips_per_band * self.strip_rows * self.width;
        shares.max(1) * band.div_ceil(self.ranks)
    }

    /// Bytes that a rank needs for a band at the most uneven share: tiles and what is packed from them, then
    /// what is received and placed, then a few strips encoded.
    pub fn memory_bytes(&self, bytes_per_pixel: u64) -> u64 {
        let band = (self.strips_per_band * self.strip_rows).min(self.height) * self.width;
        let share = band.div_ceil(self.ranks).max(self.strip_rows.min(self.height) * self.width);
        (1 + HELD_SHARES) * share * bytes_per_pixel
    }

    /// How many strips of the picture come before band `index`, those of no band included.
    pub fn strips_before(&self, index: u64) -> u64 {
        (self.first_strip + index * self.strips_per_band).min(self.strips())
    }

    /// Band `index`.
    pub fn band(&self, index: u64) -> Band {
        let first = self.first_strip + index * self.strips_per_band;
        let range = first..(first + self.strips_per_band).min(self.strips());
        Band {
            rows: self.row(range.start)..self.row(range.end),
            strips: range,
            strip_rows: row(self.strip_rows.min(self.height)),
            ranks: self.ranks,
        }
    }

    fn row(&self, strip: u64) -> u32 {
        row((strip * self.strip_rows).min(self.height))
    }
}

impl Band {
    /// The strips that `rank` encodes and writes.
    pub fn strips_of(&self, rank: u64) -> impl Iterator<Item = u64> + use<> {
        let first = self.strips.start;
        cyclic(self.strips.end - first, self.ranks, rank).map(move |strip| first + strip)
    }

    /// The rows of each of those strips, in the order in which a rank keeps them.
    pub fn pieces_of(&self, rank: u64) -> impl Iterator<Item = Range<u32>> + use<'_> {
        self.strips_of(rank).map(|strip| self.rows_of_strip(strip))
    }

    /// How many rows `rank` keeps.
    pub fn height_of(&self, rank: u64) -> u64 {
        self.pieces_of(rank).map(|rows| to_u64(rows.len())).sum()
    }

    /// The rank that keeps row `y`, and which of its rows it is.
    ///
    /// # Panics
    /// When the row is not in the band.
    pub fn place_of(&self, y: u32) -> (u64, u64) {
        assert!(self.rows.contains(&y), "row {y} of the band {:?}", self.rows);
        let below = y - self.rows.start;
        let strip = u64::from(below / self.strip_rows);
        let row = strip / self.ranks * u64::from(self.strip_rows);
        (strip % self.ranks, row + u64::from(below % self.strip_rows))
    }

    /// First rows of the strips, and the end: between two lie rows of one rank.
    pub fn boundaries(&self) -> Vec<u32> {
        let starts = self.strips.clone().map(|strip| self.rows_of_strip(strip).start);
        starts.chain([self.rows.end]).collect()
    }

    /// Who keeps which rows, strip by strip.
    pub fn keepers(&self) -> Keepers {
        let owner = |strip| (strip - self.strips.start) % self.ranks;
        Keepers { boundaries: self.boundaries(), owners: self.strips.clone().map(owner).collect() }
    }

    /// Number of rows.
    pub fn height(&self) -> u64 {
        to_u64(self.rows.len())
    }

    fn rows_of_strip(&self, strip: u64) -> Range<u32> {
        let below = row((strip - self.strips.start) * u64::from(self.strip_rows));
        let start = self.rows.start + below;
        start..start.saturating_add(self.strip_rows).min(self.rows.end)
    }
}

fn row(index: u64) -> u32 {
    u32::try_from(index).expect("a row of the picture")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::num::to_usize;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn bands_and_ranks_cover_the_picture(
            width in 1_u32..5000, height in 1_u32..3000, strip_rows in 1_u64..600, ranks in 1_u64..70,
            done in 0_u64..100,
        ) {
            let first = done * u64::from(height).div_ceil(strip_rows) / 80;
            let first = first.min(u64::from(height).div_ceil(strip_rows));
            let bands = Bands::after(first, (width, height), strip_rows, (ranks, PIXELS_PER_RANK));
            let mut row = u32::try_from((first * strip_rows).min(height.into())).unwrap();
            for index in 0..bands.count() {
                let band = bands.band(index);
                prop_assert_eq!(band.rows.start, row);
                prop_assert!(band.rows.end > row);
                let mut seen = vec![0; band.rows.len()];
                for rank in 0..ranks {
                    let kept = band.pieces_of(rank).flatten();
                    for (place, y) in (0..).zip(kept) {
                        prop_assert_eq!(band.place_of(y), (rank, place));
                        seen[to_usize(u64::from(y - row))] += 1;
                    }
                    prop_assert_eq!(band.height_of(rank), band.pieces_of(rank).flatten().count() as u64);
                }
                prop_assert!(seen.iter().all(|&count| count == 1));
                let strips: u64 = (0..ranks).map(|rank| band.strips_of(rank).count() as u64).sum();
                prop_assert_eq!(strips, band.strips.end - band.strips.start);
                prop_assert_eq!(band.boundaries().len() as u64, strips + 1);
                let Keepers { boundaries, owners } = band.keepers();
                for (rows, owner) in boundaries.windows(2).zip(owners) {
                    prop_assert!((rows[0]..rows[1]).all(|y| band.place_of(y).0 == owner));
                }
                row = band.rows.end;
            }
            prop_assert_eq!(row, height);
        }
    }

    #[test]
    fn a_huge_picture_stays_within_the_memory_of_a_rank() {
        let bands = Bands::new(32_768, 32_768, 8, 4);
        assert!(bands.count() > 100);
        assert!(bands.memory_bytes(8) <= 90 << 20, "{:?}", bands.memory_bytes(8));
        // One rank that drew cheap tiles only holds no more than it may.
        assert!(bands.held_pixels_max(HELD_SHARES) * 8 <= 64 << 20);
    }
}
