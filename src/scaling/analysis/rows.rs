//! The rows of a curve: medians, intervals, speedups, efficiencies, the ranks' times. Pure.
//!
//! Speedup is relative to the baseline b: T(b)/T(p), of throughputs X(p)/X(b). A weak series is measured by
//! its work per second, so its speedup is the scaled one and its efficiency T(b)/T(p) where the work
//! grew as the ranks did, corrected where it did not.

use super::groups::{Group, Point};
use super::report::{PerRank, PhaseTime};
use super::{Baseline, Metric, Mode, Row, Unit, size, tree};
use crate::num::{to_f64, to_u64};
use crate::scaling::models::laws;
use crate::scaling::sample::Sample;
use crate::scaling::stats::{Bootstrap, bootstrap, median, median_interval, outliers};

/// The rows, rising in size, and which of them is the baseline.
pub(super) fn of(group: &Group, asked: Option<u64>) -> (Vec<Row>, usize) {
    let base = base_index(group, asked);
    let unit = group.unit();
    let mut rows: Vec<Row> = group.points.iter().map(|point| plain(group, point)).collect();
    for at in 0..rows.len() {
        relate(group, &mut rows, at, base, unit);
    }
    for at in 1..rows.len() {
        rows[at].per_doubling = per_doubling(&rows[at - 1], &rows[at], unit);
    }
    (rows, base)
}

/// The rank count that is asked for, by the reader before the study.
pub(super) fn asked(group: &Group, asked: Option<u64>) -> Option<u64> {
    asked.or_else(|| group.runs().find_map(|run| run.baseline))
}

fn base_index(group: &Group, wanted: Option<u64>) -> usize {
    let wanted = asked(group, wanted);
    let found = wanted.and_then(|ranks| group.points.iter().position(|point| point.ranks == ranks));
    found.unwrap_or(0)
}

/// The baseline, with its absolute value and why it was taken.
pub(super) fn baseline(group: &Group, row: &Row, wanted: Option<u64>) -> Baseline {
    let wanted = asked(group, wanted);
    let why = match wanted {
        Some(ranks) if ranks == row.ranks => "asked for".into(),
        Some(ranks) => format!("the smallest measured; {ranks} was asked for but gave no time"),
        None if row.ranks == 1 => "one rank, the smallest measured".into(),
        None => "the smallest measured".into(),
    };
    Baseline { ranks: row.ranks, wall_s: row.median_s, throughput: row.throughput, why }
}

/// What a point says by itself.
fn plain(group: &Group, point: &Point) -> Row {
    let values = point.values();
    let middle = median(&values);
    let interval = median_interval(&values).map(|interval| [interval.lo, interval.hi]);
    let extreme = |pick: fn(f64, f64) -> f64| values.iter().copied().reduce(pick);
    let timed = group.metric == Metric::Time;
    let (time, rate) = if timed { (middle, None) } else { (None, middle) };
    let work = point.work();
    let in_time = |value: Option<f64>| value.filter(|_| timed);
    let seen = middle_run(point, middle).and_then(|run| Some((run.record.as_ref()?, run.value?)));
    let tree = seen.and_then(|(record, value)| tree::of(record, value));
    let bytes =
        |pick: fn(&super::super::sample::Record) -> u64| seen.map(|(record, _)| pick(record));
    let share = |pick: fn(&tree::Tree) -> f64| tree.as_ref().map(pick);
    Row {
        ranks: point.ranks,
        nodes: point.nodes,
        threads: point.threads,
        cores: point.ranks * point.threads,
        repeats: to_u64(values.len()),
        median_s: time,
        ci95_s: interval.filter(|_| timed),
        min_s: in_time(extreme(f64::min)),
        max_s: in_time(extreme(f64::max)),
        outliers: to_u64(outliers(&values).len()),
        throughput: rate.or_else(|| Some(work? / time?)),
        throughput_ci95: interval.filter(|_| !timed),
        work,
        values,
        speedup: None,
        speedup_ci95: None,
        efficiency: None,
        efficiency_ci95: None,
        per_doubling: None,
        karp_flatt: None,
        node_hours: time.zip(point.nodes).map(|(time, nodes)| time * to_f64(nodes) / 3600.0),
        load_balance: share(|tree| tree.load_balance),
        communication_efficiency: share(|tree| tree.communication),
        io_efficiency: share(|tree| tree.io),
        mpi_efficiency: share(|tree| tree.mpi),
        parallel_efficiency: share(|tree| tree.parallel),
        computation_scaling: None,
        global_efficiency: None,
        io_share: share(|tree| tree.io_share),
        mpi_share: share(|tree| tree.mpi_share),
        useful_share: share(|tree| tree.parallel),
        peak_rss_bytes_per_node: seen.map(|(record, _)| {
            record.peak_rss_bytes.max * record.ranks.div_ceil(record.nodes.max(1))
        }),
        bytes_read: bytes(|record| record.io.bytes_read),
        bytes_written: bytes(|record| record.io.bytes_written),
        bytes_sent: bytes(|record| record.comm.bytes_sent),
        phases: seen.map_or_else(Vec::new, |(record, _)| {
            let phases = record.phases.iter().filter(|phase| phase.name != "setup");
            phases.map(|p| PhaseTime { name: p.name.clone(), max_s: p.max_s }).collect()
        }),
        per_rank: seen.filter(|(record, _)| !record.per_rank.useful_s.is_empty()).map(
            |(record, _)| PerRank {
                useful_s: record.per_rank.useful_s.clone(),
                mpi_s: record.per_rank.mpi_s.clone(),
                io_s: record.per_rank.io_s.clone(),
            },
        ),
        oversubscribed: point.runs.iter().any(|run| run.oversubscribed),
    }
}

/// The run in the middle: its parts belong together, which medians of parts would not.
fn middle_run(point: &Point, middle: Option<f64>) -> Option<&Sample> {
    let distance =
        |run: &Sample| (run.value.unwrap_or(f64::INFINITY) - middle.unwrap_or(0.0)).abs();
    point.runs.iter().min_by(|a, b| distance(a).total_cmp(&distance(b)))
}

/// Work per second at a row relative to the baseline's, for values `at` and `base`.
fn gain(group: &Group, rows: &[Row], at: usize, base: usize, values: [f64; 2], unit: Unit) -> f64 {
    let [value, base_value] = values;
    if group.metric == Metric::Throughput {
        return value / base_value;
    }
    let grown = match (group.mode, rows[at].work, rows[base].work) {
        (Mode::Strong, ..) => 1.0,
        (Mode::Weak, Some(work), Some(base_work)) => work / base_work,
        (Mode::Weak, ..) => size(&rows[at], unit) / size(&rows[base], unit),
    };
    grown * base_value / value
}

/// What a row says relative to the baseline.
fn relate(group: &Group, rows: &mut [Row], at: usize, base: usize, unit: Unit) {
    let value =
        |row: &Row| if group.metric == Metric::Time { row.median_s } else { row.throughput };
    let (Some(value_at), Some(base_value)) = (value(&rows[at]), value(&rows[base])) else { return };
    let sizes = [size(&rows[at], unit), size(&rows[base], unit)];
    let p = sizes[0] / sizes[1];
    let speedup = gain(group, rows, at, base, [value_at, base_value], unit);
    let interval = if at == base {
        None
    } else {
        bootstrap(&[&rows[at].values, &rows[base].values], Bootstrap::default(), |medians| {
            gain(group, rows, at, base, [medians[0], medians[1]], unit)
        })
    };
    // Computation scaling compares useful seconds for the same work.
    let useful = |row: &Row| row.per_rank.as_ref().map(|ranks| ranks.useful_s.iter().sum::<f64>());
    let per_work = match (group.mode, rows[at].work, rows[base].work) {
        (Mode::Strong, ..) => Some(1.0),
        (Mode::Weak, Some(work), Some(base_work)) => Some(work / base_work),
        (Mode::Weak, ..) => None,
    };
    let computation = useful(&rows[base])
        .zip(useful(&rows[at]))
        .zip(per_work)
        .map(|((base_useful, useful), grown)| base_useful * grown / useful);
    let row = &mut rows[at];
    row.speedup = Some(speedup);
    row.speedup_ci95 = interval.map(|interval| [interval.lo, interval.hi]);
    row.efficiency = Some(speedup / p);
    row.efficiency_ci95 = interval.map(|interval| [interval.lo / p, interval.hi / p]);
    row.computation_scaling = computation;
    row.global_efficiency =
        row.parallel_efficiency.zip(computation).map(|(parallel, scaling)| parallel * scaling);
    if group.mode == Mode::Strong {
        let [here, there] = [sizes[0], sizes[1]];
        row.karp_flatt = laws::karp_flatt(there, here, speedup);
    }
}

/// The speedup that a doubling brings between two neighbours: (S2/S1)^(log 2 / log(p2/p1)).
fn per_doubling(before: &Row, row: &Row, unit: Unit) -> Option<f64> {
    let doublings = (size(row, unit) / size(before, unit)).log2();
    let gain = row.speedup? / before.speedup?;
    (doublings > 0.0).then(|| gain.powf(1.0 / doublings))
}

/// The longest relative interval of the rows, for what a reader may trust.
pub(super) fn widest(rows: &[Row]) -> Option<f64> {
    let width = |row: &Row| Some((row.ci95_s?[1] - row.ci95_s?[0]) / 2.0 / row.median_s?);
    rows.iter().filter_map(width).reduce(f64::max)
}
