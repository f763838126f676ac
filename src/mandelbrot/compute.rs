//! One rank's share of a band: who computes which tile, and the kernel's loop over them.
//!
//! Static schedules give each rank its rows; the dynamic one samples at most every 64th pixel on all
//! ranks together, predicts the cost of each tile from that, and lets every thread of every rank draw
//! batches of tiles from one shared counter. The pre-pass costs at most 1/64 of the
//! kernel's work; one thread alone does without it.

use std::cell::Cell;
use std::ops::Range;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::bands::Band;
use super::kernel::{self, Isa, Lattice, NOT_ESCAPED, Skips};
use super::palette::fraction;
use super::spec::{Schedule, Spec};
use crate::comm::{Draw, Op, WorkCounter};
use crate::context::Context;
use crate::num::{floor_u64, to_f64, to_u64, to_usize};
use crate::partition::{Coarse, CostModel, SAMPLE_RUN, Shares, Tile, Tuning, block, cyclic, grid};
use crate::stop;

/// Tiles with what the kernel found.
pub struct Computed {
    /// Where they lie.
    pub tiles: Vec<Tile>,
    /// Steps per pixel, tile by tile, row by row.
    pub counts: Vec<u32>,
    /// The smooth part per pixel; empty when nobody asked for it.
    pub fractions: Vec<f32>,
    /// The sums over its counts, taken while they are in the cache.
    pub tally: Tally,
}

/// Sums over pixels that must be the same however the picture is shared out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// Pixels.
    pub pixels: u64,
    /// Steps taken, never-escaping pixels with the limit.
    pub iterations: u64,
    /// Pixels that never escaped.
    pub interior: u64,
}

impl Tally {
    /// Adds one pixel's count.
    pub fn add(&mut self, count: u32, max_iterations: u32) {
        let inside = count == NOT_ESCAPED;
        self.pixels += 1;
        self.iterations += u64::from(if inside { max_iterations } else { count });
        self.interior += u64::from(inside);
    }

    /// The tally of many counts.
    pub fn of(counts: &[u32], max_iterations: u32) -> Self {
        let mut tally = Self::default();
        for &count in counts {
            tally.add(count, max_iterations);
        }
        tally
    }

    /// Both together.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self {
            pixels: self.pixels + other.pixels,
            iterations: self.iterations + other.iterations,
            interior: self.interior + other.interior,
        }
    }

    /// Collective. The sum over all ranks.
    #[must_use]
    pub fn reduced(self, context: &Context) -> Self {
        let mut sums = [self.pixels, self.iterations, self.interior];
        context.comm.all_reduce(Op::Sum, &mut sums);
        Self { pixels: sums[0], iterations: sums[1], interior: sums[2] }
    }
}

/// What the kernel needs to know about the picture.
#[derive(Clone, Copy, Debug)]
pub struct Kernel {
    lattice: Lattice,
    isa: Isa,
    max_iterations: u32,
    fractions: bool,
}

impl Kernel {
    /// From a checked spec.
    pub fn new(spec: &Spec) -> Self {
        Self {
            lattice: spec.lattice(),
            isa: spec.isa(),
            max_iterations: spec.max_iterations,
            fractions: spec.needs_fraction(),
        }
    }

    /// Iterates every pixel of some tiles, in one go: the kernel's lanes wait for their slowest pixel
    /// at the end only, not at the end of each tile. Returns fewer tiles when a break is wanted, for which
    /// `glance` looks before each row.
    pub fn tiles(&self, tiles: &[Tile], glance: &dyn Fn()) -> Computed {
        let mut area = to_usize(tiles.iter().map(Tile::area).sum());
        let mut counts = vec![0; area];
        let mut fractions = vec![0.0; if self.fractions { area } else { 0 }];
        let left = Cell::new(0);
        let points = TilePoints::new(tiles, self.lattice, (glance, &left));
        kernel::iterate(self.isa, points, self.max_iterations, Skips::ALL, |index, pixel| {
            counts[index] = pixel.steps;
            if self.fractions && pixel.steps != NOT_ESCAPED {
                fractions[index] = fraction(pixel.zr, pixel.zi, pixel.cr, pixel.ci);
            }
        });
        let tiles = &tiles[..tiles.len() - left.get()];
        if left.get() > 0 {
            area = to_usize(tiles.iter().map(Tile::area).sum());
            counts.truncate(area);
            fractions.truncate(area);
        }
        let tally = Tally::of(&counts, self.max_iterations);
        Computed { tiles: tiles.to_vec(), counts, fractions, tally }
    }
}

/// The points of tiles, row by row: one addition and one multiplication each.
struct TilePoints<'a> {
    lattice: Lattice,
    /// What is left of the current row, and its imaginary part.
    columns: Range<u32>,
    im: f64,
    /// What is left of the current tile below that row.
    rows: Range<u32>,
    tile_columns: Range<u32>,
    rest: std::slice::Iter<'a, Tile>,
    glance: &'a dyn Fn(),
    /// Tiles not wholly given, when a break ended it.
    left: &'a Cell<usize>,
}

impl<'a> TilePoints<'a> {
    fn new(
        tiles: &'a [Tile],
        lattice: Lattice,
        (glance, left): (&'a dyn Fn(), &'a Cell<usize>),
    ) -> Self {
        let (columns, tile_columns) = (0..0, 0..0);
        let (rows, rest) = (0..0, tiles.iter());
        Self { lattice, columns, im: 0.0, rows, tile_columns, rest, glance, left }
    }

    /// Goes to the next row that is not empty; false at the end.
    #[inline(never)]
    fn next_row(&mut self) -> bool {
        while self.columns.is_empty() {
            (self.glance)();
            if stop::wanted() && !(self.rows.is_empty() && self.rest.len() == 0) {
                self.left.set(self.rest.len() + usize::from(!self.rows.is_empty()));
                self.rest = [].iter();
                self.rows = 0..0;
                return false;
            }
            if let Some(y) = self.rows.next() {
                self.im = self.lattice.im(y);
                self.columns = self.tile_columns.clone();
            } else if let Some(tile) = self.rest.next() {
                (self.rows, self.tile_columns) = (tile.rows(), tile.columns());
            } else {
                return false;
            }
        }
        true
    }
}

impl Iterator for TilePoints<'_> {
    type Item = (f64, f64);

    #[inline]
    fn next(&mut self) -> Option<(f64, f64)> {
        if self.columns.is_empty() && !self.next_row() {
            return None;
        }
        let x = self.columns.start;
        self.columns.start += 1;
        Some((self.lattice.re(x), self.im))
    }
}

impl Computed {
    /// Each tile, and where its pixels are.
    pub fn each(&self) -> impl Iterator<Item = (Tile, Range<usize>)> {
        self.tiles.iter().scan(0, |at, &tile| {
            let start = std::mem::replace(at, *at + to_usize(tile.area()));
            Some((tile, start..*at))
        })
    }
}

/// What a thread does between its pieces of work, and between their rows.
#[derive(Clone, Copy)]
struct Looks<'a> {
    between: &'a dyn Fn(),
    glance: &'a dyn Fn(),
}

impl Looks<'static> {
    /// Only the main thread talks to others.
    const NONE: Self = Self { between: &|| (), glance: &|| () };
}

/// How often the main thread looks whether another rank was told to stop.
const GLANCE_EVERY: Duration = Duration::from_millis(50);

/// Collective. Computes this rank's share of a band, or of what is `left` of it, which is the same on all
/// ranks. Ends early when a break is wanted.
pub fn share(
    spec: &Spec,
    context: &Context,
    counter: &mut WorkCounter,
    (band, left): (&Band, Option<Vec<Tile>>),
    held_pixels_max: u64,
    on_progress: impl Fn(f64),
) -> Vec<Computed> {
    let kernel = Kernel::new(spec);
    let draws = spec.schedule == Schedule::Dynamic || left.is_some();
    let shares = match left {
        Some(tiles) => rest(tiles, context.workers().0),
        None => work(spec, &kernel, context, band),
    };
    let batch_count = u32::try_from(shares.batches.len()).expect("at most as many as tiles");
    if draws {
        counter.reset(&context.comm, batch_count);
    }
    let has_batches = batch_count > 0;
    let held = AtomicU64::new(0);
    let full = || held.load(Ordering::Relaxed) >= held_pixels_max;
    // On one node others draw what a full rank leaves. On several, the node's range must be drawn
    // empty before the rank retires, or nobody would.
    let has_ranges = counter.has_ranges();
    let leaves = || stop::wanted() || full() && !has_ranges;
    let retired = AtomicBool::new(false);
    let fair = to_f64((u64::from(spec.width) * band.height()).div_ceil(context.comm.size()).max(1));
    let compute = |tiles: &[Tile], into: &mut Vec<Computed>, glance: &dyn Fn()| {
        let area: u64 = tiles.iter().map(Tile::area).sum();
        held.fetch_add(area, Ordering::Relaxed);
        stop::count_piece();
        into.push(kernel.tiles(tiles, glance));
    };
    // Own tiles are done, by all threads of this rank, before the first batch of the tail: in pieces
    // that shrink, so that threads end together, and that leave time for the draws of other nodes.
    let own = Mutex::new(&shares.own[..]);
    let most = if has_ranges { POLLED_PIECE } else { MOST_PIECE };
    let threads = context.threads.count();
    let finish_own = |into: &mut Vec<Computed>, Looks { between, glance }: Looks| loop {
        let piece = {
            let mut left = own.lock().expect("no thread panics here");
            let share = match threads {
                1 => left.len(),
                _ => left.len().div_ceil(2 * threads).max(LEAST_PIECE).min(left.len()),
            };
            let (piece, rest) = left.split_at(share.min(most));
            *left = rest;
            piece
        };
        if piece.is_empty() || stop::wanted() {
            break;
        }
        compute(piece, into, glance);
        between();
    };
    let compute_batch = |batch: u32, into: &mut Vec<Computed>, looks: Looks| {
        if batch >= shares.hot_batches {
            finish_own(into, looks);
        }
        let Range { start, end } = shares.batches[to_usize(u64::from(batch))];
        compute(&shares.tiles[to_usize(start.into())..to_usize(end.into())], into, looks.glance);
    };
    let drawer = counter.drawer();
    let comm = &context.comm;
    let main = || {
        let mut computed = Vec::new();
        let poll = || {
            counter.poll(comm);
            context.look();
            on_progress((to_f64(held.load(Ordering::Relaxed)) / fair).min(1.0));
        };
        let looked = Cell::new(Instant::now());
        let glance = || {
            if context.saves.is_some() && looked.get().elapsed() >= GLANCE_EVERY {
                looked.set(Instant::now());
                context.look();
            }
        };
        let looks = Looks { between: &poll, glance: &glance };
        while has_batches && !leaves() {
            let Some(batch) = counter.draw(comm, !full()) else { break };
            compute_batch(batch, &mut computed, looks);
            poll();
        }
        finish_own(&mut computed, looks);
        // Before this rank waits for the others, which may not know yet.
        context.look();
        retired.store(true, Ordering::SeqCst);
        computed
    };
    let worker = || {
        let mut computed = Vec::new();
        while has_batches && !leaves() {
            let batch = match drawer.draw() {
                Draw::Index(batch) => Some(batch),
                Draw::Done => None,
                // The main thread may be busy with own tiles: help it rather than wait for a range.
                Draw::Dry => {
                    finish_own(&mut computed, Looks::NONE);
                    drawer.draw_waiting(&retired)
                }
            };
            let Some(batch) = batch else { break };
            compute_batch(batch, &mut computed, Looks::NONE);
        }
        finish_own(&mut computed, Looks::NONE);
        computed
    };
    context.threads.crew(main, worker).into_iter().flatten().collect()
}

/// Most own tiles computed at once, for the sake of the progress shown.
const MOST_PIECE: usize = 32;

/// The same where other nodes' draws wait for this rank to enter MPI.
const POLLED_PIECE: usize = 64;

/// Least own tiles that a thread takes at once.
const LEAST_PIECE: usize = 4;

/// What is left of a band, in batches that all draw: their costs are not known, so there are many.
fn rest(tiles: Vec<Tile>, workers: u64) -> Shares {
    let count = to_u64(tiles.len());
    let batches = count.min(BATCHES_PER_WORKER * workers);
    let index = |at: u64| u32::try_from(at).expect("at most a tile a pixel of a band");
    let batches: Vec<Range<u32>> = (0..batches)
        .map(|batch| block(count, batches, batch))
        .map(|range| index(range.start)..index(range.end))
        .collect();
    let hot_batches = index(to_u64(batches.len()));
    Shares { tiles, batches, hot_batches, own: Vec::new() }
}

/// Batches of what is left of a band.
const BATCHES_PER_WORKER: u64 = 64;

/// Collective when the schedule is dynamic: the pre-pass is everybody's.
fn work(spec: &Spec, kernel: &Kernel, context: &Context, band: &Band) -> Shares {
    let (rank, size) = (context.comm.rank(), context.comm.size());
    let (workers, _) = context.workers();
    let first = band.rows.start;
    let rows_at = |rows: Range<u64>| first + row(rows.start)..first + row(rows.end);
    let own = |tiles: Vec<Tile>| Shares { own: tiles, ..Shares::default() };
    match spec.schedule {
        Schedule::Block => {
            let rows = rows_at(block(band.height(), size, rank));
            own(grid(spec.width, rows, STATIC_EDGE).collect())
        }
        Schedule::Cyclic => own(cyclic(band.height(), size, rank)
            .flat_map(|y| grid(spec.width, rows_at(y..y + 1), spec.width))
            .collect()),
        Schedule::Dynamic if workers == 1 => {
            own(grid(spec.width, band.rows.clone(), STATIC_EDGE).collect())
        }
        Schedule::Dynamic => {
            let coarse = Coarse::new(spec.width, band.rows.clone(), workers);
            let samples = sample(spec, kernel, context, &coarse);
            let who = (rank, size, to_u64(context.threads.count()));
            let keepers = band.keepers();
            let costs = (&CostModel::default(), &Tuning::default());
            coarse.shares(&samples, who, &keepers, costs)
        }
    }
}

/// Edge of the tiles of static schedules: long rows for the kernel's queue, small enough to share
/// among threads.
const STATIC_EDGE: u32 = 64;

/// Collective. The coarse pre-pass: short runs of samples go to the threads of all ranks in turn,
/// every rank gets all samples, cell by cell.
fn sample(spec: &Spec, kernel: &Kernel, context: &Context, coarse: &Coarse) -> Vec<u32> {
    let columns = coarse.columns();
    let lines = coarse.lines(real_row(&kernel.lattice, spec.height));
    let count = to_u64(columns.len()) * to_u64(lines.len());
    let (workers, _) = context.workers();
    let first_worker = context.comm.rank() * to_u64(context.threads.count());
    let mine: Vec<u64> = (first_worker..).take(context.threads.count()).collect();
    let indices = |worker: u64| {
        cyclic(count.div_ceil(SAMPLE_RUN), workers, worker)
            .flat_map(move |run| run * SAMPLE_RUN..((run + 1) * SAMPLE_RUN).min(count))
            .map(to_usize)
    };
    let executed = context.threads.map(&mine, |&worker| {
        let points = indices(worker).map(|index| {
            let (line, column) = (index / columns.len(), index % columns.len());
            (kernel.lattice.re(columns[column]), kernel.lattice.im(lines[line]))
        });
        // Before a break the costs matter to nobody.
        let points = points.take_while(|_| !stop::wanted());
        let mut executed = vec![0; indices(worker).count()];
        kernel::iterate(kernel.isa, points, kernel.max_iterations, Skips::ALL, |at, pixel| {
            executed[at] = pixel.executed;
        });
        executed
    });
    let mut samples = vec![0_u32; to_usize(count)];
    for (&worker, executed) in mine.iter().zip(&executed) {
        for (index, &steps) in indices(worker).zip(executed) {
            samples[index] = steps;
        }
    }
    // Before this rank waits for the others, which may not know yet.
    context.look();
    // Every sample is one rank's, zero elsewhere: the sum gathers.
    context.comm.all_reduce(Op::Sum, &mut samples);
    samples
}

/// The row that lies exactly on the real axis, where most of what never escapes sits, if any does.
fn real_row(lattice: &Lattice, height: u32) -> Option<u32> {
    let nearest = floor_u64((-lattice.im0 / lattice.im_step).round());
    let row = u32::try_from(nearest).ok().filter(|row| *row < height)?;
    (lattice.im(row) == 0.0).then_some(row)
}

fn row(index: u64) -> u32 {
    u32::try_from(index).expect("a row of the picture")
}
