//! How closely the pre-pass looks: a plan on a coarser copy of the band when workers are few.
//!
//! With a million pixels for each worker, a sample for every 8 x 8 of them says more than balance
//! needs, and sampling and planning, which every rank does, become the serial part: 11 % of the
//! kernel's time on two ranks at 4096 x 3072. So the band is planned as if each `factor` x `factor`
//! pixels were one, which divides both by `factor` squared; tiles come out `factor` times larger.

use std::ops::Range;

use crate::num::to_u64;
use crate::partition::affinity::{Keepers, Shares, shares};
use crate::partition::costs::{CostMap, Load, sample_phase, sample_positions};
use crate::partition::model::{CostModel, Tuning};
use crate::partition::schedule::{COARSE_EDGE, Plan, plan};
use crate::partition::tiles::{CELL, Tile};

/// From this many pixels a worker on, pixels are taken 4 x 4; from a quarter of it, 2 x 2.
const PIXELS_FOR_FOUR: u64 = 1 << 20;

/// A band, seen from a distance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Coarse {
    width: u32,
    rows: Range<u32>,
    factor: u32,
}

impl Coarse {
    /// The view of a band that suits so many workers.
    pub fn new(width: u32, rows: Range<u32>, workers: u64) -> Self {
        let share = u64::from(width) * to_u64(rows.len()) / workers.max(1);
        let factor = match share {
            PIXELS_FOR_FOUR.. => 4,
            share if share >= PIXELS_FOR_FOUR / 4 => 2,
            _ => 1,
        };
        Self { width, rows, factor }
    }

    /// The sampled columns.
    pub fn columns(&self) -> Vec<u32> {
        let cells = sample_positions(0..self.width.div_ceil(self.factor), CELL / 2);
        cells.map(|cell| self.middle(cell, self.width)).collect()
    }

    /// The sampled rows; `real_row` is the row on the real axis, if there is one.
    pub fn lines(&self, real_row: Option<u32>) -> Vec<u32> {
        let inside = real_row.filter(|row| self.rows.contains(row));
        let real = inside.map(|row| (row - self.rows.start) / self.factor);
        let phase = sample_phase(0..self.height(), real);
        let height = self.rows.end - self.rows.start;
        sample_positions(0..self.height(), phase)
            .map(|cell| match inside {
                Some(row) if Some(cell) == real => row,
                _ => self.rows.start + self.middle(cell, height),
            })
            .collect()
    }

    /// The shares of `rank`, of `ranks` with `threads` workers each, from `samples`, line by line, as
    /// [`lines`](Self::lines) and [`columns`](Self::columns) name their places. Where each worker has
    /// many pixels, tiles have an affinity to the keepers of their rows.
    pub fn shares(
        &self,
        samples: &[u32],
        (rank, ranks, threads): (u64, u64, u64),
        keepers: &Keepers,
        (model, tuning): (&CostModel, &Tuning),
    ) -> Shares {
        let map = CostMap::new(self.width.div_ceil(self.factor), 0..self.height(), samples);
        // Everything in units of a coarse pixel, so what is fixed shrinks.
        let area = f64::from(self.factor * self.factor);
        let coarse = &CostModel { tile: model.tile / area, draw: model.draw / area, ..*model };
        let edge = COARSE_EDGE / self.factor;
        let plan = plan(&map, ranks.saturating_mul(threads), coarse, tuning, edge);
        // With fewer pixels, predictions of a rank's own part are too rough for the tail to mend.
        let affine = self.factor == 4 && ranks > 1;
        let loads: Vec<Load> = plan.tiles[..if affine { plan.tiles.len() } else { 0 }]
            .iter()
            .map(|tile| map.load(tile, coarse, tuning))
            .map(|load| Load { expected: load.expected * area, careful: load.careful * area })
            .collect();
        let plan = Plan {
            tiles: plan.tiles.iter().map(|tile| self.enlarged(tile)).collect(),
            predicted: plan.predicted.iter().map(|cost| cost * area).collect(),
            ..plan
        };
        if affine {
            shares(&plan, &loads, (rank, ranks, threads), keepers, (model, tuning))
        } else {
            plan.into()
        }
    }

    /// Rows of the coarse band.
    fn height(&self) -> u32 {
        (self.rows.end - self.rows.start).div_ceil(self.factor)
    }

    /// The middle of a coarse pixel, or the last position when it is cut short.
    fn middle(&self, cell: u32, length: u32) -> u32 {
        cell.saturating_mul(self.factor).saturating_add(self.factor / 2).min(length - 1)
    }

    fn enlarged(&self, tile: &Tile) -> Tile {
        let scale = |from: u32, count: u32, length: u32| {
            let start = from.saturating_mul(self.factor);
            (start, count.saturating_mul(self.factor).min(length - start))
        };
        let (x0, width) = scale(tile.x0, tile.width, self.width);
        let (y0, height) = scale(tile.y0, tile.height, self.rows.end - self.rows.start);
        Tile { x0, y0: self.rows.start + y0, width, height }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::num::{mix64, to_usize};
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn tiles_cover_the_band_once(
            width in 1_u32..400, first in 0_u32..50, height in 1_u32..300,
            factor in prop::sample::select(vec![1_u32, 2, 4]), ranks in 1_u64..9, seed: u64,
        ) {
            let rows = first..first + height;
            let coarse = Coarse { width, rows: rows.clone(), factor };
            let (columns, lines) = (coarse.columns(), coarse.lines(Some(first + height / 2)));
            prop_assert!(columns.iter().all(|&x| x < width));
            prop_assert!(lines.iter().all(|y| rows.contains(y)));
            prop_assert!(lines.contains(&(first + height / 2)));
            let samples: Vec<u32> = (0..to_u64(columns.len() * lines.len()))
                .map(|at| u32::try_from(mix64(at ^ seed) >> 54).unwrap())
                .collect();
            let (model, tuning) = (CostModel::default(), Tuning::default());
            let keepers = Keepers {
                boundaries: (rows.start..=rows.end).collect(),
                owners: rows.map(|y| u64::from(y) % ranks).collect(),
            };
            let all: Vec<Shares> = (0..ranks)
                .map(|rank| coarse.shares(&samples, (rank, ranks, 2), &keepers, (&model, &tuning)))
                .collect();
            let mut seen = vec![0_u8; to_usize(u64::from(width) * u64::from(height))];
            for tile in all.iter().flat_map(|shares| &shares.own).chain(&all[0].tiles) {
                for y in tile.rows() {
                    for x in tile.columns() {
                        let at = u64::from(y - first) * u64::from(width) + u64::from(x);
                        seen[to_usize(at)] += 1;
                    }
                }
            }
            prop_assert!(seen.iter().all(|&count| count == 1));
        }
    }

    #[test]
    fn many_workers_see_every_cell() {
        assert_eq!(Coarse::new(4096, 0..3072, 64).factor, 1);
        assert_eq!(Coarse::new(4096, 0..3072, 16).factor, 2);
        assert_eq!(Coarse::new(4096, 0..3072, 2).factor, 4);
    }
}
