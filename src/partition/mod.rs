//! Who computes what: one-dimensional blocks, tiles of a picture, and the dynamic schedule.
//!
//! Nothing here communicates, opens a file or reads a clock. Integers and predicted costs go in,
//! integers come out, and equal input gives equal output on every rank, so that each rank can make
//! the whole plan for itself instead of waiting for a broadcast.

pub mod affinity;
pub mod batches;
pub mod blocks;
pub mod coarse;
pub mod costs;
pub mod left;
pub mod model;
pub mod ranges;
pub mod rehearsal;
pub mod schedule;
pub mod tiles;

pub use affinity::{Keepers, Shares};
pub use batches::node_draw;
pub use blocks::{aligned_block, block, block_of, cyclic, displacements};
pub use coarse::Coarse;
pub use left::DonePixels;
pub use model::{CostModel, SAMPLE_RUN, Tuning};
pub use ranges::Ranges;
pub use tiles::{CELL, Tile, cut_rows, grid};
