//! What things cost and how finely work is cut: every number of the schedule in one place.
//!
//! Costs are in kernel steps, because counts of steps are equal on all machines and make a plan
//! reproducible; what a tile or a draw costs in steps is measured once per machine. The tuning
//! numbers were searched on a grid, by rehearsals of five 4096 x 3072 pictures for 1024 and 16 384
//! workers, for the largest ratio of useful steps to the last finish.

/// What things cost, in steps of the kernel.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CostModel {
    /// Per pixel, beside its steps: start values, skip tests, storing the result.
    pub pixel: f64,
    /// Per tile: set-up, the last half-empty vectors, handing over the result.
    pub tile: f64,
    /// Per draw, as far as the drawing worker waits for it.
    pub draw: f64,
    /// No tile is cut into pieces below this many pixels on purpose. Eight fill the lanes of one
    /// vector, and fewer would take as long as eight; already eight keep a core with several vector
    /// pipes waiting for itself, so pieces this small appear only where nothing else balances.
    pub min_pixels: u64,
}

impl Default for CostModel {
    fn default() -> Self {
        Self { pixel: 15.0, tile: 500.0, draw: 500.0, min_pixels: 8 }
    }
}

/// The coarse pass is shared out cyclically in runs of this many samples, counted through all its
/// lines. Whole lines balance badly: there are few of them, and the one on the real axis may cost
/// more than all others. Runs of eight would fill a vector, but widths are often powers of two, and
/// then each worker gets the same columns of every line: at 64 workers the default picture takes
/// 2.3 % of the time with seven and 5.4 % with eight.
pub const SAMPLE_RUN: u64 = 7;

/// How finely work is cut. Larger numbers balance better and cost more tiles and draws.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tuning {
    /// A tile holds at most one of this many parts of a worker's fair share... (4 instead of 8 gains
    /// 1 % of the useful rate where predictions are good, and loses 13 % of the balance where 10 000
    /// steps hide between the samples of a 640 x 480 picture.)
    pub tiles_per_share: f64,
    /// ...and at most one of this many parts of what remains for each worker at its place in the
    /// list. With 1, this begins to cut where `1 / tiles_per_share` of the work is left.
    pub tail_cuts: f64,
    /// A tile predicted below this many times its fixed cost stays whole: there, cutting costs
    /// more than it can gain.
    pub floor_tiles: f64,
    /// How much of the distance from expectation to risk a careful prediction adds.
    pub risk_weight: f64,
    /// A batch holds at most one of this many parts of what remains for each worker. Factoring
    /// takes 2; smaller batches pay while predictions are uncertain.
    pub batch_cuts: f64,
    /// Tiles join a batch until it is worth this many draws.
    pub floor_draws: f64,
}

impl Default for Tuning {
    fn default() -> Self {
        Self {
            tiles_per_share: 8.0,
            tail_cuts: 1.0,
            floor_tiles: 4.0,
            risk_weight: 0.5,
            batch_cuts: 3.0,
            floor_draws: 8.0,
        }
    }
}
