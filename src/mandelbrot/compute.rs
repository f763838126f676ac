//! One rank's share of a band: who computes which tile, and the kernel's loop over them.
//!
//! Static schedules give each rank its rows; the dynamic one samples at most every 64th pixel on all
//! ranks together, predicts the cost of each tile from that, and lets every thread of every rank draw
//! batches of tiles from one shared counter. The pre-pass costs at most 1/64 of the
//! kernel's work; one thread alone does without it.

use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

use super::bands::Band;
use super::kernel::{self, Isa, Lattice, NOT_ESCAPED, Skips, Window};
use super::palette::fraction;
use super::spec::{Schedule, Spec};
use crate::comm::{Op, WorkCounter};
use crate::context::Context;
use crate::num::{floor_u64, to_u64, to_usize};
use crate::partition::{Coarse, CostModel, SAMPLE_RUN, Tile, Tuning, block, cyclic, grid};

/// A tile with what the kernel found.
pub struct Computed {
    /// Where it lies.
    pub tile: Tile,
    /// Steps per pixel, row by row.
    pub counts: Vec<u32>,
    /// The smooth part per pixel; empty when nobody asked for it.
    pub fractions: Vec<f32>,
}

/// Sums over pixels that must be the same however the picture is shared out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
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

    /// Iterates every pixel of a tile.
    pub fn tile(&self, tile: Tile) -> Computed {
        let area = to_usize(tile.area());
        let mut counts = vec![0; area];
        let mut fractions = vec![0.0; if self.fractions { area } else { 0 }];
        let Tile { x0, y0, width, height } = tile;
        let window = Window { x0, y0, columns: width, rows: height, stride_x: 1, stride_y: 1 };
        let points = window.points(self.lattice);
        kernel::iterate(self.isa, points, self.max_iterations, Skips::ALL, |index, pixel| {
            counts[index] = pixel.steps;
            if self.fractions && pixel.steps != NOT_ESCAPED {
                fractions[index] = fraction(pixel.zr, pixel.zi, pixel.cr, pixel.ci);
            }
        });
        Computed { tile, counts, fractions }
    }
}

/// The tiles of a band in the order of drawing, and how they are handed out.
struct Work {
    tiles: Vec<Tile>,
    batches: Vec<Range<u32>>,
    /// Whether all ranks draw from one counter, or this rank owns the whole list.
    shared: bool,
}

/// Collective. Computes this rank's share of a band.
pub fn share(
    spec: &Spec,
    context: &Context,
    counter: &mut WorkCounter,
    band: &Band,
    held_pixels_max: u64,
    on_draw: impl Fn(f64),
) -> Vec<Computed> {
    let kernel = Kernel::new(spec);
    let work = work(spec, &kernel, context, band);
    let batch_count = u32::try_from(work.batches.len()).expect("at most as many as tiles");
    if work.shared {
        counter.reset(&context.comm, batch_count);
    }
    let own = AtomicU32::new(0);
    let next_of_mine = || {
        let index = own.fetch_add(1, Ordering::Relaxed);
        (index < batch_count).then_some(index)
    };
    let held = AtomicU64::new(0);
    let full = || work.shared && held.load(Ordering::Relaxed) >= held_pixels_max;
    // On one node others draw what a full rank leaves. On several, the node's range must be drawn
    // empty before the rank retires, or nobody would.
    let has_ranges = counter.has_ranges();
    let leaves = || full() && !has_ranges;
    let retired = AtomicBool::new(false);
    let compute = |batch: u32, into: &mut Vec<Computed>| {
        let range = &work.batches[to_usize(u64::from(batch))];
        for &tile in &work.tiles[to_usize(range.start.into())..to_usize(range.end.into())] {
            held.fetch_add(tile.area(), Ordering::Relaxed);
            into.push(kernel.tile(tile));
        }
    };
    let drawer = counter.drawer();
    let comm = &context.comm;
    let main = || {
        let mut computed = Vec::new();
        while !leaves() {
            let drawn = if work.shared { counter.draw(comm, !full()) } else { next_of_mine() };
            let Some(batch) = drawn else { break };
            compute(batch, &mut computed);
            on_draw(f64::from(batch + 1) / f64::from(batch_count));
        }
        retired.store(true, Ordering::SeqCst);
        computed
    };
    let worker = || {
        let mut computed = Vec::new();
        while !leaves() {
            let drawn = if work.shared { drawer.draw_waiting(&retired) } else { next_of_mine() };
            let Some(batch) = drawn else { break };
            compute(batch, &mut computed);
        }
        computed
    };
    context.threads.crew(main, worker).into_iter().flatten().collect()
}

/// Collective when the schedule is dynamic: the pre-pass is everybody's.
fn work(spec: &Spec, kernel: &Kernel, context: &Context, band: &Band) -> Work {
    let (rank, size) = (context.comm.rank(), context.comm.size());
    let (workers, _) = context.workers();
    let first = band.rows.start;
    let rows_at = |rows: Range<u64>| first + row(rows.start)..first + row(rows.end);
    let own = |tiles: Vec<Tile>| {
        let count = u32::try_from(tiles.len()).expect("tiles of a band fit u32");
        Work { tiles, batches: (0..count).map(|tile| tile..tile + 1).collect(), shared: false }
    };
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
            let plan = coarse.plan(&samples, workers, &CostModel::default(), &Tuning::default());
            Work { tiles: plan.tiles, batches: plan.batches, shared: true }
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
