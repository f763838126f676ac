//! The dynamic schedule: which tiles, in which order, drawn in which batches.
//!
//! After the exact skips what is left of a Mandelbrot picture sits in a few places, so neither rows
//! nor equal tiles balance. The plan puts the tiles with the most expensive pixels first, after the
//! longest-processing-time rule (Graham, SIAM J. Appl. Math. 17 (1969), section 5), and cuts a tile
//! that holds more than a fraction of the work remaining at its place, so that tiles become finer
//! where balance is decided, at the end, and stay coarse where they are cheap to hand out. `batches`
//! groups what is too small to be drawn alone. The price: each rank makes the whole list, in
//! O(cells + tiles log tiles) time and 16 bytes a tile, and every cut costs the set-up of a tile.
//!
//! A wrong prediction hurts by what it adds to one batch. Early in the list there is time left to
//! make up for it; late stand only tiles whose whole neighbourhood was cheap, in small batches.

use crate::num::to_f64;
use crate::partition::batches::batches;
use crate::partition::costs::{CostMap, Load};
use crate::partition::model::{CostModel, Tuning};
use crate::partition::tiles::{Tile, grid};
use std::cmp::Reverse;
use std::ops::Range;

/// Edge of the tiles that cutting starts from, where a band is small enough for that.
pub const COARSE_EDGE: u32 = 64;

/// Most tiles to start from; above, their edge doubles.
const MAX_COARSE_TILES: u64 = 1 << 18;

/// Most tiles of a plan: 16 MiB of list on every rank.
const MAX_TILES: usize = 1 << 20;

/// The work of a band, ready to be drawn.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Plan {
    /// The tiles in the order in which they are drawn. They cover the band exactly.
    pub tiles: Vec<Tile>,
    /// Batch `i` is these consecutive tiles; the batches cover the list in order.
    pub batches: Vec<Range<u32>>,
    /// Predicted cost of each batch, in steps.
    pub predicted: Vec<f64>,
}

/// The plan for `workers` (ranks times threads) who draw batches from one shared counter. Equal
/// input gives an equal plan on every rank: only sums, products and comparisons of `f64` are used,
/// in fixed order. Cutting starts from tiles of `edge`, usually [`COARSE_EDGE`].
pub fn plan(map: &CostMap, workers: u64, model: &CostModel, tuning: &Tuning, edge: u32) -> Plan {
    let workers = to_f64(workers.max(1));
    let share = map.load(&map.band(), model, tuning).expected / workers;
    let mut cutter = Cutter {
        map,
        model,
        tuning,
        edge,
        floor: model.tile * tuning.floor_tiles,
        pieces: Vec::new(),
    };
    let mut limit = share / tuning.tiles_per_share;
    loop {
        cutter.arrange(limit, workers);
        if cutter.pieces.len() <= MAX_TILES {
            break;
        }
        // So many workers or so much risk that the list itself would be the burden.
        limit *= 2.0;
        cutter.floor = (cutter.floor * 2.0).max(limit / 2.0);
    }
    let (batches, predicted) =
        batches(cutter.pieces.iter().map(|p| p.load), workers, model, tuning);
    Plan { tiles: cutter.pieces.iter().map(|piece| piece.tile).collect(), batches, predicted }
}

#[derive(Clone, Copy)]
struct Piece {
    tile: Tile,
    load: Load,
}

struct Cutter<'a> {
    map: &'a CostMap,
    model: &'a CostModel,
    tuning: &'a Tuning,
    /// Of the tiles to start from.
    edge: u32,
    /// Predicted cost below which no tile is cut.
    floor: f64,
    pieces: Vec<Piece>,
}

impl Cutter<'_> {
    /// Cuts the band by `limit`, orders the pieces, and cuts again by what remains at each place.
    /// Stops halfway, with more than `MAX_TILES` pieces, when the limit turns out too fine.
    fn arrange(&mut self, limit: f64, workers: f64) {
        self.pieces.clear();
        for tile in coarse_grid(&self.map.band(), self.edge) {
            self.cut(tile, limit);
        }
        if self.pieces.len() > MAX_TILES {
            return;
        }
        let ordered = self.most_urgent_first();
        let mut remaining: f64 = ordered.iter().map(|piece| piece.load.expected).sum();
        for piece in ordered {
            self.cut(piece.tile, remaining / workers / self.tuning.tail_cuts);
            remaining -= piece.load.expected;
        }
    }

    /// Appends the tile, or its pieces that keep to the limit as far as pieces can.
    fn cut(&mut self, tile: Tile, limit: f64) {
        if self.pieces.len() > MAX_TILES {
            return;
        }
        let load = self.map.load(&tile, self.model, self.tuning);
        let divisible = tile.area() > self.model.min_pixels.max(1);
        if divisible && load.careful > limit.max(self.floor) {
            tile.pieces().for_each(|piece| self.cut(piece, limit));
        } else {
            self.pieces.push(Piece { tile, load });
        }
    }

    /// Takes the pieces, ordered by their worst predicted pixel; equal ones keep their order.
    fn most_urgent_first(&mut self) -> Vec<Piece> {
        let pieces = std::mem::take(&mut self.pieces);
        let steps: f64 = pieces.iter().map(|piece| piece.load.expected).sum();
        // Where everything was skipped, nothing is known about a gap between the skipped regions
        // that is narrower than a cell. Such tiles wait in the middle, not at the end.
        let average = steps / to_f64(self.map.band().area().max(1)) - self.model.pixel;
        let average = u32::try_from(crate::num::floor_u64(average)).unwrap_or(u32::MAX);
        let urgency = |piece: &Piece| match self.map.worst_steps(&piece.tile) {
            0 => average,
            steps => steps,
        };
        let mut keyed: Vec<(u32, Piece)> = pieces.into_iter().map(|p| (urgency(&p), p)).collect();
        keyed.sort_by_key(|&(urgency, _)| Reverse(urgency));
        keyed.into_iter().map(|(_, piece)| piece).collect()
    }
}

/// Square tiles to start from, few enough even for a huge band.
fn coarse_grid(band: &Tile, edge: u32) -> impl Iterator<Item = Tile> + use<> {
    let count = |edge| u64::from(band.width.div_ceil(edge)) * u64::from(band.height.div_ceil(edge));
    let mut edge = edge;
    while count(edge) > MAX_COARSE_TILES {
        edge *= 2;
    }
    grid(band.width, band.rows(), edge)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::num::{mix64, to_usize};
    use crate::partition::tiles::CELL;
    use proptest::prelude::*;

    fn default_plan(map: &CostMap, workers: u64) -> Plan {
        plan(map, workers, &CostModel::default(), &Tuning::default(), COARSE_EDGE)
    }

    /// Every pixel of the band in exactly one tile, every tile in exactly one batch.
    fn assert_sound(plan: &Plan, band: &Tile) {
        let mut seen = vec![false; to_usize(band.area())];
        for tile in &plan.tiles {
            assert!(tile.area() > 0);
            for y in tile.rows() {
                for x in tile.columns() {
                    assert!(x < band.width && band.rows().contains(&y), "{tile:?} outside");
                    let index = u64::from(y - band.y0) * u64::from(band.width) + u64::from(x);
                    assert!(!std::mem::replace(&mut seen[to_usize(index)], true), "{x} {y} twice");
                }
            }
        }
        assert!(seen.into_iter().all(|pixel| pixel), "pixels without a tile");
        assert!(plan.batches.iter().all(|batch| batch.start < batch.end));
        let drawn = plan.batches.iter().flat_map(Range::clone).map(u64::from);
        assert!(drawn.eq(0..crate::num::to_u64(plan.tiles.len())));
        assert_eq!(plan.batches.len(), plan.predicted.len());
    }

    fn flat(width: u32, rows: Range<u32>, steps: u32) -> CostMap {
        let cells = width.div_ceil(CELL) * (rows.end - rows.start).div_ceil(CELL);
        CostMap::new(width, rows, &vec![steps; to_usize(cells.into())])
    }

    #[test]
    fn degenerate_bands_are_planned() {
        for (width, height) in [(0, 0), (0, 9), (9, 0), (1, 1), (1, 700), (700, 1), (7, 5)] {
            for (steps, workers) in [(0, 0), (0, 1000), (1, 1), (1000, 1000), (u32::MAX, 7)] {
                let map = flat(width, 3..3 + height, steps);
                assert_sound(&default_plan(&map, workers), &map.band());
            }
        }
    }

    #[test]
    fn costs_of_zero_do_not_cut_for_ever() {
        let free = CostModel { pixel: 0.0, tile: 0.0, draw: 0.0, min_pixels: 0 };
        for steps in [0, 1] {
            let map = flat(100, 0..100, steps);
            assert_sound(&plan(&map, 64, &free, &Tuning::default(), COARSE_EDGE), &map.band());
        }
    }

    #[test]
    fn hot_tiles_are_cut_and_come_first() {
        let mut samples = vec![10; 64 * 64];
        samples[64 * 20 + 20] = 100_000;
        let map = CostMap::new(512, 0..512, &samples);
        let plan = default_plan(&map, 64);
        assert_eq!(map.worst_steps(&plan.tiles[0]), 100_000);
        assert!(plan.tiles[0].area() <= u64::from(CELL * CELL));
        let steps: Vec<u32> = plan.tiles.iter().map(|tile| map.worst_steps(tile)).collect();
        assert!(steps.is_sorted_by(|a, b| a >= b));
    }

    #[test]
    fn the_tail_is_finer_than_the_head() {
        let plan = default_plan(&flat(4096, 0..1024, 100), 64);
        let last = plan.batches.len() - 1;
        assert!(plan.predicted[last] * 50.0 < plan.predicted[0]);
        assert!(plan.tiles[plan.tiles.len() - 1].area() < plan.tiles[0].area());
    }

    #[test]
    fn lists_stay_short() {
        let samples: Vec<u32> =
            (0..1 << 18).map(|i| u32::try_from(mix64(i) >> 40).unwrap()).collect();
        let map = CostMap::new(4096, 0..4096, &samples);
        let plan = default_plan(&map, 1 << 22);
        assert!(plan.tiles.len() <= MAX_TILES, "{}", plan.tiles.len());
        assert_eq!(plan.tiles.iter().map(Tile::area).sum::<u64>(), 1 << 24);
        let huge = Tile { x0: 0, y0: 0, width: u32::MAX, height: u32::MAX };
        assert!(coarse_grid(&huge, COARSE_EDGE).size_hint().0 <= MAX_TILES);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn plans_cover_the_band(
            (width, start, height) in (1..200_u32, 0..50_u32, 1..200_u32),
            (workers, seed, shift) in (0..5000_u64, any::<u64>(), 32..64_u32),
        ) {
            let cells = u64::from(width.div_ceil(CELL)) * u64::from(height.div_ceil(CELL));
            let sample = |cell| u32::try_from(mix64(seed ^ cell) >> shift).unwrap();
            let samples: Vec<u32> = (0..cells).map(sample).collect();
            let map = CostMap::new(width, start..start + height, &samples);
            let plan = default_plan(&map, workers);
            assert_sound(&plan, &map.band());
            prop_assert_eq!(&plan, &default_plan(&map, workers));
        }
    }
}
