//! What a band of a picture will cost, predicted from a coarse pass over every eighth pixel.
//!
//! The coarse pass costs 1/64 of the work and sees nothing finer than a cell of 8 x 8 pixels, while
//! the Mandelbrot set has detail at every scale: a small copy of the set may lie between samples.
//! So each cell carries two numbers. The *expected* cost smooths the sample with its neighbours,
//! which hardly changes the total, and says how much work there is. The *risk* is the largest
//! sample of the 3 x 3 neighbourhood: the set is connected, so what hides in a cell mostly shows
//! beside it. Risk decides order and fineness, expectation decides shares. The price is 8 bytes a
//! cell on every rank.
//!
//! Two things stay invisible to neighbours, and both lie at places that are known beforehand:
//! - Beside the cardioid and the disc, whose pixels are skipped at no cost, lie the slowest points
//!   of all. A neighbourhood with skipped and other samples has the largest risk of the band.
//! - The real axis left of -1.4 is a filament without thickness. [`sample_phase`] lays one line of
//!   samples on the row that is exactly real, if there is one.

use crate::num::{to_f32, to_f64, to_usize};
use crate::partition::model::{CostModel, Tuning};
use crate::partition::tiles::{CELL, Tile};
use std::ops::Range;

/// Predicted steps per pixel, cell by cell, of a band of rows.
#[derive(Clone, Debug)]
pub struct CostMap {
    width: u32,
    rows: Range<u32>,
    cell_columns: u32,
    expected: Vec<f32>,
    risk: Vec<u32>,
}

/// Predicted cost of some work, in steps, fixed costs included.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Load {
    /// The likely cost: what shares are measured with.
    pub expected: f64,
    /// A cost on the safe side: what limits are compared with.
    pub careful: f64,
}

impl CostMap {
    /// From the steps executed at the sampled pixels, row by row: the columns and rows that
    /// [`sample_positions`] names, 0 for a pixel that an exact test skips.
    ///
    /// # Panics
    /// When the number of samples does not fit the band.
    pub fn new(width: u32, rows: Range<u32>, samples: &[u32]) -> Self {
        let cell_columns = width.div_ceil(CELL);
        let cell_rows = rows.end.saturating_sub(rows.start).div_ceil(CELL);
        let (columns, lines) = (to_usize(cell_columns.into()), to_usize(cell_rows.into()));
        assert_eq!(samples.len(), columns * lines, "samples of rows {rows:?}, {width} wide");
        let ceiling = samples.iter().copied().max().unwrap_or(0);
        let (mut expected, mut risk) = (Vec::new(), Vec::new());
        expected.reserve_exact(samples.len());
        risk.reserve_exact(samples.len());
        for row in 0..lines {
            // At the rim the outermost samples stand in for the missing neighbours.
            let near = [row.saturating_sub(1), row, (row + 1).min(lines - 1)]
                .map(|line| &samples[line * columns..(line + 1) * columns]);
            for column in 0..columns {
                let (left, right) = (column.saturating_sub(1), (column + 1).min(columns - 1));
                let window = near.map(|line| [line[left], line[column], line[right]]);
                expected.push(smooth(&window));
                risk.push(worst(&window, ceiling));
            }
        }
        Self { width, rows, cell_columns, expected, risk }
    }

    /// Width of the picture.
    pub fn width(&self) -> u32 {
        self.width
    }

    /// Rows of the band.
    pub fn rows(&self) -> Range<u32> {
        self.rows.clone()
    }

    /// The band as one tile.
    pub fn band(&self) -> Tile {
        let height = self.rows.end.saturating_sub(self.rows.start);
        Tile { x0: 0, y0: self.rows.start, width: self.width, height }
    }

    /// Predicted cost of a tile inside the band.
    pub fn load(&self, tile: &Tile, model: &CostModel, tuning: &Tuning) -> Load {
        let (mut expected, mut excess) = (model.tile + to_f64(tile.area()) * model.pixel, 0.0);
        self.for_cells(tile, |cell, pixels| {
            let likely = f64::from(self.expected[cell]);
            expected += pixels * likely;
            excess += pixels * (f64::from(self.risk[cell]) - likely).max(0.0);
        });
        Load { expected, careful: expected + tuning.risk_weight * excess }
    }

    /// Predicted steps per pixel of the worst cell of a tile: 0 when all around it is skipped.
    pub fn worst_steps(&self, tile: &Tile) -> u32 {
        let mut worst = 0;
        self.for_cells(tile, |cell, _| worst = worst.max(self.risk[cell]));
        worst
    }

    /// Calls `visit` with the index of each cell that the tile touches and the pixels in common.
    fn for_cells(&self, tile: &Tile, mut visit: impl FnMut(usize, f64)) {
        let top = tile.y0 - self.rows.start;
        for (row, height) in touched(top..top + tile.height) {
            let line = u64::from(row) * u64::from(self.cell_columns);
            for (column, width) in touched(tile.columns()) {
                visit(to_usize(line + u64::from(column)), f64::from(width) * f64::from(height));
            }
        }
    }
}

/// Binomial weights 1 2 1 both ways: the sample itself counts for a quarter.
fn smooth(window: &[[u32; 3]; 3]) -> f32 {
    let [above, middle, below] = window
        .map(|[left, here, right]| f64::from(left) + 2.0 * f64::from(here) + f64::from(right));
    to_f32((above + 2.0 * middle + below) / 16.0)
}

fn worst(window: &[[u32; 3]; 3], ceiling: u32) -> u32 {
    let samples = window.iter().flatten().copied();
    let worst = samples.clone().max().unwrap_or(0);
    // Some skipped, some not: the border of the cardioid or the disc passes through.
    if worst > 0 && samples.min() == Some(0) { ceiling } else { worst }
}

/// Index of each cell that a range touches, and how much of the range lies in it.
fn touched(range: Range<u32>) -> impl Iterator<Item = (u32, u32)> {
    (range.start / CELL..range.end.div_ceil(CELL)).map(move |cell| {
        let start = cell * CELL;
        (cell, start.saturating_add(CELL).min(range.end) - start.max(range.start))
    })
}

/// The sampled positions of a range of rows or columns: one in each cell of [`CELL`], `phase` after
/// its start, or the last one of a cell that is cut short before.
pub fn sample_positions(range: Range<u32>, phase: u32) -> impl Iterator<Item = u32> + Clone {
    let length = range.end.saturating_sub(range.start);
    (0..length.div_ceil(CELL)).map(move |cell| {
        range.start + (cell * CELL).saturating_add(phase.min(CELL - 1)).min(length - 1)
    })
}

/// The phase for the rows of a band: the middle of the cells, or, when the band holds the row whose
/// imaginary part is exactly 0, the phase that samples that row.
pub fn sample_phase(rows: Range<u32>, real_row: Option<u32>) -> u32 {
    real_row.filter(|row| rows.contains(row)).map_or(CELL / 2, |row| (row - rows.start) % CELL)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const BARE: CostModel = CostModel { pixel: 0.0, tile: 0.0, draw: 0.0, min_pixels: 1 };

    fn load(map: &CostMap, tile: &Tile) -> Load {
        map.load(tile, &BARE, &Tuning { risk_weight: 1.0, ..Tuning::default() })
    }

    #[test]
    fn flat_samples_predict_exactly() {
        let map = CostMap::new(20, 3..13, &[7; 6]);
        let expected = 7.0 * 20.0 * 10.0;
        assert_eq!(load(&map, &map.band()), Load { expected, careful: expected });
        assert_eq!(map.worst_steps(&map.band()), 7);
    }

    #[test]
    fn one_hot_sample_warns_its_neighbours() {
        let mut samples = [1; 25];
        samples[12] = 161;
        let map = CostMap::new(40, 0..40, &samples);
        let tile = |x0, y0| Tile { x0, y0, width: 8, height: 1 };
        assert_eq!(load(&map, &tile(16, 17)), Load { expected: 8.0 * 41.0, careful: 8.0 * 161.0 });
        assert_eq!(map.worst_steps(&tile(8, 24)), 161);
        assert_eq!(map.worst_steps(&tile(0, 24)), 1);
    }

    #[test]
    fn beside_skipped_samples_everything_is_possible() {
        let mut samples = [5; 25];
        (samples[0], samples[24]) = (900, 0);
        let map = CostMap::new(40, 0..40, &samples);
        assert_eq!(map.worst_steps(&Tile { x0: 24, y0: 24, width: 1, height: 1 }), 900);
        assert_eq!(map.worst_steps(&Tile { x0: 16, y0: 16, width: 1, height: 1 }), 5);
        let skipped = CostMap::new(40, 0..40, &[0; 25]);
        assert_eq!(skipped.worst_steps(&skipped.band()), 0);
    }

    #[test]
    fn the_real_row_is_sampled() {
        let phase = sample_phase(100..300, Some(213));
        assert!(sample_positions(100..300, phase).any(|row| row == 213));
        assert_eq!(sample_phase(100..200, Some(213)), 4);
        assert_eq!(sample_phase(100..200, None), 4);
    }

    #[test]
    #[should_panic(expected = "samples of rows")]
    fn a_wrong_number_of_samples_is_refused() {
        CostMap::new(20, 0..8, &[1; 4]);
    }

    proptest! {
        #[test]
        fn samples_lie_in_their_cells(start in 0..1000_u32, length in 0..200_u32, phase in 0..9_u32) {
            let positions: Vec<u32> = sample_positions(start..start + length, phase).collect();
            prop_assert_eq!(positions.len(), usize::try_from(length.div_ceil(CELL)).unwrap());
            for (cell, position) in (0..).zip(positions) {
                prop_assert!(position < start + length);
                prop_assert_eq!((position - start) / CELL, cell);
            }
        }

        #[test]
        fn pieces_add_up(
            samples in prop::collection::vec(0..1000_u32, 30),
            (width, height) in (33..=40_u32, 41..=48_u32),
        ) {
            let map = CostMap::new(width, 9..9 + height, &samples);
            let whole = load(&map, &map.band());
            let sum = map.band().pieces().flat_map(|piece| piece.quarters().collect::<Vec<_>>())
                .map(|piece| load(&map, &piece)).fold(Load::default(), |a, b| Load {
                    expected: a.expected + b.expected, careful: a.careful + b.careful });
            prop_assert!((whole.expected - sum.expected).abs() < 1e-6 * (1.0 + whole.expected));
            prop_assert!((whole.careful - sum.careful).abs() < 1e-6 * (1.0 + whole.careful));
            prop_assert!(whole.careful >= whole.expected);
        }
    }
}
