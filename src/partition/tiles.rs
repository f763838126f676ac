//! Tiles: rectangles of pixels, how they are cut, and who owns their rows.
//!
//! A tile is what one worker computes without asking anybody. Small tiles balance well and cost a
//! fixed effort each; the decision is made in `schedule`, here is only the geometry. Cuts fall on
//! multiples of [`CELL`] inside the tile as long as it is larger than that, so that a piece of at
//! least one cell never straddles two samples of the coarse pass; below, rows are cut before
//! columns, because a row of eight pixels shares its imaginary part and fills one vector.

use std::ops::Range;

/// Edge of the finest square tile, and the distance between two samples of the coarse pass.
pub const CELL: u32 = 8;

/// A rectangle of pixels, in coordinates of the whole picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tile {
    /// Leftmost column.
    pub x0: u32,
    /// Topmost row.
    pub y0: u32,
    /// Columns.
    pub width: u32,
    /// Rows.
    pub height: u32,
}

impl Tile {
    /// Number of pixels.
    pub fn area(&self) -> u64 {
        u64::from(self.width) * u64::from(self.height)
    }

    /// The columns that the tile covers.
    pub fn columns(&self) -> Range<u32> {
        self.x0..self.x0 + self.width
    }

    /// The rows that the tile covers.
    pub fn rows(&self) -> Range<u32> {
        self.y0..self.y0 + self.height
    }

    /// Two halves, cut across the rows if there are two, else across the columns. A single pixel
    /// comes back whole.
    pub fn halves(&self) -> impl Iterator<Item = Tile> + use<> {
        let (width, height) = match (self.width, self.height) {
            (width, 0 | 1) => (cut(width), self.height),
            (width, height) => (width, cut(height)),
        };
        self.corner(width, height)
    }

    /// Up to four quarters; only two, or one, of a tile that is a single row, column or pixel.
    pub fn quarters(&self) -> impl Iterator<Item = Tile> + use<> {
        self.corner(cut(self.width), cut(self.height))
    }

    /// The pieces one step smaller: quarters down to one cell, halves below.
    pub fn pieces(&self) -> impl Iterator<Item = Tile> + use<> {
        if self.width > CELL || self.height > CELL {
            // A long tile of cell height is cut across its length only.
            let width = if self.width > CELL { cut(self.width) } else { self.width };
            let height = if self.height > CELL { cut(self.height) } else { self.height };
            self.corner(width, height)
        } else if self.height > 1 {
            self.corner(self.width, cut(self.height))
        } else {
            self.corner(cut(self.width), self.height)
        }
    }

    /// The four rectangles around the inner corner at (`width`, `height`), without the empty ones.
    fn corner(self, width: u32, height: u32) -> impl Iterator<Item = Tile> + use<> {
        let Tile { x0, y0, .. } = self;
        let (right, below) = (self.width - width, self.height - height);
        [
            Tile { x0, y0, width, height },
            Tile { x0: x0 + width, y0, width: right, height },
            Tile { x0, y0: y0 + height, width, height: below },
            Tile { x0: x0 + width, y0: y0 + height, width: right, height: below },
        ]
        .into_iter()
        .filter(|tile| tile.area() > 0)
    }
}

/// The larger half of a length; a multiple of [`CELL`] where the length exceeds one.
fn cut(length: u32) -> u32 {
    let half = length.div_ceil(2);
    // Rounding up can neither reach `length` (it is above one cell) nor overflow.
    if length > CELL { half.div_ceil(CELL) * CELL } else { half }
}

/// Square tiles of `edge`, row by row, over these rows of a picture; the last ones may be smaller.
///
/// # Panics
/// When `edge` is 0.
pub fn grid(width: u32, rows: Range<u32>, edge: u32) -> impl Iterator<Item = Tile> {
    assert!(edge > 0, "tiles need an edge");
    steps(rows, edge).flat_map(move |(y0, height)| {
        steps(0..width, edge).map(move |(x0, width)| Tile { x0, y0, width, height })
    })
}

/// Start and length of the steps of `edge` through a range.
fn steps(range: Range<u32>, edge: u32) -> impl Iterator<Item = (u32, u32)> {
    let mut rest = range;
    std::iter::from_fn(move || {
        let (start, length) = (rest.start, edge.min(rest.end.saturating_sub(rest.start)));
        rest.start += length;
        (length > 0).then_some((start, length))
    })
}

/// The pieces of a tile by the owner of their rows, topmost first: owner `i` has the rows
/// `boundaries[i]..boundaries[i + 1]`, which may be none.
///
/// # Panics
/// When the tile has rows outside the boundaries.
pub fn cut_rows(tile: Tile, boundaries: &[u32]) -> impl Iterator<Item = (usize, Tile)> {
    let Range { start, end } = tile.rows();
    if tile.area() > 0 {
        let outer = (boundaries.first(), boundaries.last());
        let inside = matches!(outer, (Some(&first), Some(&last)) if first <= start && end <= last);
        assert!(inside, "rows {start}..{end} without an owner");
    }
    debug_assert!(boundaries.is_sorted(), "boundaries must ascend");
    let first = boundaries.partition_point(|&boundary| boundary <= start).saturating_sub(1);
    boundaries[first.min(boundaries.len())..]
        .windows(2)
        .enumerate()
        .take_while(move |(_, rows)| rows[0] < end)
        .filter_map(move |(offset, rows)| {
            let (top, bottom) = (rows[0].max(start), rows[1].min(end));
            let piece = Tile { y0: top, height: bottom.saturating_sub(top), ..tile };
            (piece.area() > 0).then_some((first + offset, piece))
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn pixels(tile: &Tile) -> impl Iterator<Item = (u32, u32)> {
        let tile = *tile;
        tile.rows().flat_map(move |y| tile.columns().map(move |x| (x, y)))
    }

    /// No overlap and nothing lost, pixel by pixel.
    fn assert_exact_cover(whole: &Tile, parts: &[Tile]) {
        let mut seen = BTreeSet::new();
        for pixel in parts.iter().flat_map(pixels) {
            assert!(seen.insert(pixel), "{pixel:?} twice in {parts:?}");
        }
        assert!(seen.into_iter().eq(pixels(whole).collect::<BTreeSet<_>>()));
    }

    #[test]
    fn a_pixel_is_whole() {
        let pixel = Tile { x0: 3, y0: u32::MAX - 1, width: 1, height: 1 };
        assert!(pixel.halves().eq([pixel]) && pixel.quarters().eq([pixel]));
        assert!(pixel.pieces().eq([pixel]));
    }

    #[test]
    fn the_far_corner_does_not_overflow() {
        let end = u32::MAX;
        let last = grid(end, end - 9..end, 1 << 31).last().unwrap();
        assert_eq!((last.columns().end, last.rows().end), (end, end));
        assert_eq!(last.pieces().last().unwrap().rows().end, end);
    }

    #[test]
    fn rows_find_their_owners() {
        let tile = Tile { x0: 1, y0: 2, width: 3, height: 6 };
        let owners: Vec<_> = cut_rows(tile, &[0, 3, 3, 5, 8, 9])
            .map(|(owner, piece)| (owner, piece.rows()))
            .collect();
        assert_eq!(owners, [(0, 2..3), (2, 3..5), (3, 5..8)]);
        assert_eq!(cut_rows(Tile { height: 0, ..tile }, &[]).count(), 0);
    }

    #[test]
    #[should_panic(expected = "without an owner")]
    fn rows_without_owner_are_refused() {
        let tile = Tile { x0: 0, y0: 2, width: 3, height: 6 };
        let _ = cut_rows(tile, &[0, 7]).count();
    }

    prop_compose! {
        fn any_tile()(x0 in 0..50_u32, y0 in 0..50_u32, width in 1..70_u32, height in 1..70_u32)
            -> Tile { Tile { x0, y0, width, height } }
    }

    proptest! {
        #[test]
        fn cuts_cover(tile in any_tile()) {
            for parts in [
                tile.halves().collect::<Vec<_>>(),
                tile.quarters().collect(),
                tile.pieces().collect(),
            ] {
                assert_exact_cover(&tile, &parts);
                prop_assert!(parts.len() > 1 || tile.area() == 1);
            }
        }

        #[test]
        fn large_cuts_keep_to_cells(tile in any_tile()) {
            prop_assume!(tile.width > CELL || tile.height > CELL);
            for piece in tile.pieces() {
                prop_assert_eq!((piece.x0 - tile.x0) % CELL, 0);
                prop_assert_eq!((piece.y0 - tile.y0) % CELL, 0);
            }
        }

        #[test]
        fn grids_cover(tile in any_tile(), edge in 1..80_u32) {
            let band = Tile { x0: 0, ..tile };
            let tiles: Vec<_> = grid(band.width, band.rows(), edge).collect();
            assert_exact_cover(&band, &tiles);
        }

        #[test]
        fn owned_pieces_cover(tile in any_tile(), mut inner in prop::collection::vec(0..130_u32, 0..9)) {
            inner.extend([0, 130]);
            inner.sort_unstable();
            let pieces: Vec<_> = cut_rows(tile, &inner).collect();
            assert_exact_cover(&tile, &pieces.iter().map(|&(_, piece)| piece).collect::<Vec<_>>());
            for (owner, piece) in pieces {
                prop_assert!(inner[owner] <= piece.y0 && piece.rows().end <= inner[owner + 1]);
            }
        }
    }
}
