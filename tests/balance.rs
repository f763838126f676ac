//! The schedule on real cost fields: how well the workers are balanced, played through with the
//! steps that each pixel truly takes.

use dcomp::mandelbrot::kernel::{Isa, Lattice, Skips, Window, iterate};
use dcomp::num::{floor_u64, to_f64, to_usize};
use dcomp::partition::affinity::{Keepers, Shares};
use dcomp::partition::coarse::Coarse;
use dcomp::partition::costs::{CostMap, sample_phase, sample_positions};
use dcomp::partition::model::{CostModel, SAMPLE_RUN, Tuning};
use dcomp::partition::rehearsal::{
    DrawCosts, Rehearsal, block_rows, cyclic_rows, one_level, two_level, with_own,
};
use dcomp::partition::schedule::{COARSE_EDGE, Plan, plan};
use dcomp::partition::tiles::Tile;
use std::fmt::Write;
use std::ops::Range;

/// The part of the plane that a picture shows.
#[derive(Clone, Copy, Debug)]
struct View {
    name: &'static str,
    re0: f64,
    im0: f64,
    span_re: f64,
    span_im: f64,
}

impl View {
    const DEFAULT: View =
        View { name: "default", re0: -2.5, im0: -1.0, span_re: 3.5, span_im: 2.0 };

    /// A 4:3 view, 3 / `zoom` high.
    const fn around(name: &'static str, re: f64, im: f64, zoom: f64) -> View {
        let (span_re, span_im) = (4.0 / zoom, 3.0 / zoom);
        View { name, re0: re - span_re / 2.0, im0: im - span_im / 2.0, span_re, span_im }
    }

    fn lattice(&self, width: u32, height: u32) -> Lattice {
        Lattice {
            re0: self.re0,
            re_step: self.span_re / f64::from(width),
            im0: self.im0,
            im_step: self.span_im / f64::from(height),
        }
    }

    /// The row whose imaginary part is exactly 0.
    fn real_row(&self, height: u32) -> Option<u32> {
        let lattice = self.lattice(1, height);
        (0..height).find(|&row| lattice.im(row) == 0.0)
    }
}

/// Steps that the program's own kernel really executes for every pixel, in tiles as it does.
fn cost_field(width: u32, height: u32, view: View, max: u32) -> Vec<u32> {
    let lattice = view.lattice(width, height);
    let mut field = vec![0; to_usize(u64::from(width) * u64::from(height))];
    let bands: Vec<_> = field.chunks_mut(to_usize(u64::from(width) * 64)).enumerate().collect();
    let queue = std::sync::Mutex::new(bands);
    let work = || {
        loop {
            let Some((band, rows)) = queue.lock().unwrap().pop() else { return };
            let (columns, y0) = (to_usize(width.into()), u32::try_from(band * 64).unwrap());
            let count = u32::try_from(rows.len() / columns).unwrap();
            for x0 in (0..width).step_by(64) {
                let tile = 64.min(width - x0);
                let window =
                    Window { x0, y0, columns: tile, rows: count, stride_x: 1, stride_y: 1 };
                iterate(Isa::best(), window.points(lattice), max, Skips::ALL, |at, pixel| {
                    let (row, column) = (at / to_usize(tile.into()), at % to_usize(tile.into()));
                    rows[row * columns + to_usize(x0.into()) + column] = pixel.executed;
                });
            }
        }
    };
    std::thread::scope(|scope| {
        scope.spawn(work);
        scope.spawn(work);
    });
    field
}

/// Small copies of the set amid seahorses.
const SEAHORSE: View = View::around("seahorse", -0.743_643_887_037_151, 0.131_825_904_205_330, 1e5);
/// The largest copy on the real axis: a thin bright skeleton on cheap ground.
const PERIOD_3: View = View::around("period 3", -1.754_877_666_246_692_7, 0.0, 50.0);
/// The tip of the real filament: nearly all cost on one row.
const SPIKE: View = View::around("spike", -1.99, 0.0, 100.0);

/// 2 microseconds to the global counter at 7 steps a nanosecond.
const DISTANT: DrawCosts = DrawCosts { local: 500, global: 14_000 };

/// A picture whose true costs are known.
struct Picture {
    view: View,
    width: u32,
    height: u32,
    /// Row by row, sums of the costs left of each pixel, and of the whole row at its end.
    sums: Vec<u64>,
    map: CostMap,
    /// True costs of the samples, line by line.
    samples: Vec<u64>,
    model: CostModel,
}

impl Picture {
    fn new(view: View, width: u32, height: u32, max: u32) -> Self {
        Self::of_field(view, width, height, &cost_field(width, height, view, max))
    }

    fn of_field(view: View, width: u32, height: u32, field: &[u32]) -> Self {
        let model = CostModel::default();
        let pixel = floor_u64(model.pixel);
        let mut sums = Vec::with_capacity(field.len() + to_usize(height.into()));
        for row in field.chunks(to_usize(width.into())) {
            let mut sum = 0;
            sums.push(sum);
            sums.extend(row.iter().map(|&steps| {
                sum += u64::from(steps) + pixel;
                sum
            }));
        }
        let phase = sample_phase(0..height, view.real_row(height));
        let at = |x, y| field[to_usize(u64::from(y) * u64::from(width) + u64::from(x))];
        let steps: Vec<u32> = sample_positions(0..height, phase)
            .flat_map(|y| sample_positions(0..width, 4).map(move |x| at(x, y)))
            .collect();
        let map = CostMap::new(width, 0..height, &steps);
        let samples = steps.iter().map(|&steps| u64::from(steps) + pixel).collect();
        Self { view, width, height, sums, map, samples, model }
    }

    /// True cost of a tile's pixels.
    fn pixels(&self, tile: &Tile) -> u64 {
        let at =
            |x, y| self.sums[to_usize(u64::from(y) * u64::from(self.width + 1) + u64::from(x))];
        tile.rows().map(|y| at(tile.columns().end, y) - at(tile.x0, y)).sum()
    }

    fn useful(&self) -> u64 {
        self.pixels(&self.map.band())
    }

    fn row_costs(&self) -> Vec<u64> {
        let row = |y0| Tile { x0: 0, y0, width: self.width, height: 1 };
        (0..self.height).map(|y| self.pixels(&row(y))).collect()
    }

    fn plan(&self, workers: u64) -> Plan {
        plan(&self.map, workers, &self.model, &Tuning::default(), COARSE_EDGE)
    }

    /// True cost of each batch, the fixed cost of tiles included.
    fn batch_costs(&self, plan: &Plan) -> Vec<u64> {
        self.drawn_costs(&plan.tiles, &plan.batches)
    }

    fn drawn_costs(&self, tiles: &[Tile], batches: &[Range<u32>]) -> Vec<u64> {
        let drawn = |batch: &Range<u32>| to_usize(batch.start.into())..to_usize(batch.end.into());
        batches.iter().map(|batch| self.cost_of(&tiles[drawn(batch)])).collect()
    }

    /// True cost of some tiles, their fixed cost included.
    fn cost_of(&self, tiles: &[Tile]) -> u64 {
        let fixed = floor_u64(self.model.tile);
        tiles.iter().map(|tile| fixed + self.pixels(tile)).sum()
    }

    fn rehearse(&self, workers: u64) -> Rehearsal {
        one_level(&self.batch_costs(&self.plan(workers)), workers, floor_u64(self.model.draw))
    }

    /// Useful steps / time of all workers: balance that also pays for tiles and draws.
    fn efficiency(&self, workers: u64, played: &Rehearsal) -> f64 {
        to_f64(self.useful()) / to_f64(workers) / to_f64(played.longest.max(1))
    }

    /// The best balance that pieces of a row of eight pixels allow, if they cost nothing extra.
    fn bound(&self, workers: u64) -> f64 {
        let share = to_f64(self.useful()) / to_f64(workers);
        let piece = |x0, y0| Tile { x0, y0, width: 8.min(self.width - x0), height: 1 };
        let pieces = (0..self.height).flat_map(|y| (0..self.width).step_by(8).map(move |x| (x, y)));
        let hottest = pieces.map(|(x, y)| self.pixels(&piece(x, y))).max().unwrap_or(0);
        share / share.max(to_f64(hottest))
    }

    /// Time of the coarse pass against the time of the rest, its samples shared out cyclically in
    /// whole lines, and in runs.
    fn coarse_pass(&self, workers: u64, played: &Rehearsal) -> [f64; 2] {
        let lines = self.width.div_ceil(8);
        [to_usize(lines.into()), to_usize(SAMPLE_RUN)].map(|run| {
            let runs: Vec<u64> = self.samples.chunks(run).map(|run| run.iter().sum()).collect();
            to_f64(cyclic_rows(&runs, workers).longest) / to_f64(played.longest.max(1))
        })
    }

    fn report(&self, workers: u64) -> String {
        let plan = self.plan(workers);
        let costs = self.batch_costs(&plan);
        let played = one_level(&costs, workers, floor_u64(self.model.draw));
        let nodes = workers.div_ceil(64);
        let two = two_level(&costs, nodes, 64.min(workers), DISTANT);
        let one = one_level(&costs, workers, DISTANT.global);
        let rows = self.row_costs();
        let [by_line, by_run] = self.coarse_pass(workers, &played);
        let mut line =
            format!("{:9} {:4} x {:4} P {workers:5}", self.view.name, self.width, self.height);
        let _ = write!(
            line,
            " share {:9} | block {:.3} cyclic {:.3} | balance {:.4} useful {:.4} bound {:.3} | far \
             counter: useful {:.3}, two levels {:.3} ({} draws) | coarse {by_line:.3} {by_run:.3} | \
             {} tiles {} batches",
            self.useful() / workers,
            block_rows(&rows, workers).balance,
            cyclic_rows(&rows, workers).balance,
            played.balance,
            self.efficiency(workers, &played),
            self.bound(workers),
            self.efficiency(workers, &one),
            self.efficiency(workers, &two),
            two.draws,
            plan.tiles.len(),
            plan.batches.len(),
        );
        line
    }
}

/// Balance at 64, 1024 and 16 384 workers must reach these figures, and the dynamic schedule must
/// beat both static ones.
fn assert_balance(view: View, max: u32, wanted: [f64; 3]) {
    let picture = Picture::new(view, 4096, 3072, max);
    let rows = picture.row_costs();
    for (workers, wanted) in [64, 1024, 16_384].into_iter().zip(wanted) {
        let played = picture.rehearse(workers);
        let name = view.name;
        assert!(played.balance >= wanted, "{name}, {workers} workers: {played:?}");
        assert!(played.balance <= 1.0 && picture.efficiency(workers, &played) < played.balance);
        for fixed in [block_rows(&rows, workers), cyclic_rows(&rows, workers)] {
            assert!(played.longest < fixed.longest, "{name}, {workers} workers: {fixed:?}");
        }
    }
}

#[test]
fn the_default_view_is_balanced() {
    // A share of 25 000 steps at 16 384 workers is 4 microseconds; one hidden copy of the set
    // in a tile of 32 pixels already takes longer.
    assert_balance(View::DEFAULT, 1000, [0.99, 0.97, 0.70]);
}

#[test]
fn seahorses_are_balanced() {
    assert_balance(SEAHORSE, 1000, [0.99, 0.98, 0.92]);
}

#[test]
fn a_small_copy_is_balanced() {
    assert_balance(PERIOD_3, 1000, [0.99, 0.98, 0.88]);
}

#[test]
fn the_real_filament_is_balanced() {
    assert_balance(SPIKE, 1000, [0.99, 0.95, 0.75]);
}

#[test]
fn deep_counts_are_balanced() {
    assert_balance(View::DEFAULT, 10_000, [0.99, 0.97, 0.35]);
    assert_balance(PERIOD_3, 10_000, [0.99, 0.98, 0.60]);
}

/// Few workers plan on a coarser copy of the band, from fewer samples.
#[test]
fn few_workers_are_balanced_with_fewer_samples() {
    for view in [View::DEFAULT, SEAHORSE, PERIOD_3, SPIKE] {
        for max in [1000, 10_000] {
            let field = cost_field(4096, 3072, view, max);
            let picture = Picture::of_field(view, 4096, 3072, &field);
            for workers in [2, 3, 4, 7, 8, 16, 32] {
                let coarse = Coarse::new(4096, 0..3072, workers);
                let columns = coarse.columns();
                let samples: Vec<u32> = coarse
                    .lines(view.real_row(3072))
                    .iter()
                    .flat_map(|y| columns.iter().map(move |x| (y, x)))
                    .map(|(y, x)| field[to_usize(u64::from(y * 4096 + x))])
                    .collect();
                let (model, tuning) = (CostModel::default(), Tuning::default());
                // As a PNG of 4096 columns: strips of 21 rows, dealt in turn.
                let keepers = Keepers {
                    boundaries: (0..3072).step_by(21).chain([3072]).collect(),
                    owners: (0..147).map(|strip| strip % workers).collect(),
                };
                let all: Vec<Shares> = (0..workers)
                    .map(|rank| {
                        let who = (rank, workers, 1);
                        coarse.shares(&samples, who, &keepers, (&model, &tuning))
                    })
                    .collect();
                let costs = picture.drawn_costs(&all[0].tiles, &all[0].batches);
                let own: Vec<u64> = all.iter().map(|shares| picture.cost_of(&shares.own)).collect();
                let hot = to_usize(all[0].hot_batches.into());
                let played = with_own(&costs, hot, &own, floor_u64(model.draw));
                let name = view.name;
                assert!(played.balance >= 0.98, "{name} {max}, {workers} workers: {played:?}");
            }
        }
    }
}

#[test]
fn a_small_picture_is_balanced() {
    let played = Picture::new(View::DEFAULT, 640, 480, 1000).rehearse(64);
    assert!(played.balance >= 0.92, "{played:?}");
}

#[test]
fn two_levels_beat_one_distant_counter() {
    let picture = Picture::new(View::DEFAULT, 4096, 3072, 1000);
    let costs = picture.batch_costs(&picture.plan(1024));
    let one = one_level(&costs, 1024, DISTANT.global);
    let two = two_level(&costs, 16, 64, DISTANT);
    assert!(two.longest * 5 < one.longest * 4, "{two:?} {one:?}");
    assert!(two.draws * 20 < one.draws);
}

#[test]
fn the_coarse_pass_stays_small() {
    let picture = Picture::new(View::DEFAULT, 4096, 3072, 1000);
    for (workers, most) in [(64, 0.025), (1024, 0.08), (16_384, 0.35)] {
        let [_, by_run] = picture.coarse_pass(workers, &picture.rehearse(workers));
        assert!(by_run <= most, "{workers} workers: {by_run}");
    }
}

#[test]
fn degenerate_pictures_are_played_to_the_end() {
    for (width, height) in [(1, 1), (1, 5000), (5000, 1), (7, 5)] {
        for workers in [1, 64, 16_384] {
            let picture = Picture::new(View::DEFAULT, width, height, 1000);
            let played = picture.rehearse(workers);
            assert!(played.busy_total >= picture.useful() && played.balance > 0.0);
        }
    }
}

/// A field of equal costs, with some pixels changed.
fn synthetic(steps: u32, hot: impl Fn(u32, u32) -> bool) -> Picture {
    let pixels = (0..1024).flat_map(|y| (0..1024).map(move |x| (x, y)));
    let field: Vec<u32> = pixels.map(|(x, y)| if hot(x, y) { 10_000 } else { steps }).collect();
    Picture::of_field(View::DEFAULT, 1024, 1024, &field)
}

#[test]
fn even_costs_are_balanced() {
    for steps in [0, 1, 100] {
        let played = synthetic(steps, |_, _| false).rehearse(64);
        assert!(played.balance >= 0.96, "{steps} steps: {played:?}");
    }
}

#[test]
fn what_no_sample_saw_costs_little_more_than_itself() {
    // One pixel, a row and a column, all between the samples.
    let hidden: [fn(u32, u32) -> bool; 3] =
        [|x, y| (x, y) == (1023, 1023), |_, y| y == 1022, |x, _| x == 3];
    for hot in hidden {
        let picture = synthetic(10, hot);
        let played = picture.rehearse(64);
        let share = picture.useful() / 64;
        // A row of eight hidden pixels costs 80 000; a worker may meet a few rows of one tile.
        assert!(played.longest <= share + share / 2 + 100_000, "{played:?}, share {share}");
    }
}

#[test]
fn a_million_batches_rehearse_at_once() {
    let costs: Vec<u64> = (0..1 << 20).map(|i| dcomp::num::mix64(i) >> 50).collect();
    let played = one_level(&costs, 16_384, 100);
    assert!(played.balance > 0.9 && played.draws == 1 << 20);
    assert!(two_level(&costs, 256, 64, DISTANT).balance > 0.7);
}

#[test]
#[ignore = "asserts nothing: prints the tables of make campaign"]
fn table() {
    for max in [1000, 10_000] {
        eprintln!("{max} steps");
        for view in [View::DEFAULT, SEAHORSE, PERIOD_3, SPIKE] {
            let picture = Picture::new(view, 4096, 3072, max);
            for workers in [64, 1024, 16_384] {
                eprintln!("{}", picture.report(workers));
            }
        }
        eprintln!("{}", Picture::new(View::DEFAULT, 640, 480, max).report(64));
    }
}
