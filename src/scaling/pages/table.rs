//! The tables of a series: which columns a programme asks for and what stands in them. A cell keeps
//! its number, so that pages round it and CSV does not.

use serde::Serialize;

use super::Preset;
use super::format::{self, UNKNOWN};
use crate::scaling::figures::{baseline, measured, p};
use crate::scaling::report::{Metric, Mode, Row, Series, Unit};

/// Least efficiency and least speedup per doubling that CSC asks for.
const ENOUGH: (f64, f64) = (0.75, 1.5);

/// What stands in a table.
#[derive(Clone, Debug, PartialEq)]
pub enum Cell {
    /// Not known, or does not apply.
    Unknown,
    /// A word.
    Word(String),
    /// How many.
    Count(u64),
    /// A number, with this many significant digits.
    Real(f64, i32),
    /// A number with its 95 % interval.
    Range(f64, [f64; 2], i32),
    /// A ratio near one, with three decimals, and its 95 % interval if known.
    Ratio(f64, Option<[f64; 2]>),
    /// A share, shown in percent.
    Share(f64),
    /// Bytes.
    Bytes(u64),
}

impl Cell {
    fn real(value: Option<f64>, digits: i32) -> Self {
        let value = value.filter(|value| value.is_finite());
        value.map_or(Self::Unknown, |value| Self::Real(value, digits))
    }

    fn range(value: Option<f64>, ends: Option<[f64; 2]>, digits: i32) -> Self {
        match (value.filter(|value| value.is_finite()), ends) {
            (Some(value), Some(ends)) if ends.iter().all(|end| end.is_finite()) => {
                Self::Range(value, ends, digits)
            }
            (value, _) => Self::real(value, digits),
        }
    }

    fn ratio(value: Option<f64>, ends: Option<[f64; 2]>) -> Self {
        let ends = ends.filter(|ends| ends.iter().all(|end| end.is_finite()));
        let value = value.filter(|value| value.is_finite());
        value.map_or(Self::Unknown, |value| Self::Ratio(value, ends))
    }

    fn share(share: Option<f64>) -> Self {
        share.filter(|share| share.is_finite()).map_or(Self::Unknown, Self::Share)
    }

    fn count(count: Option<u64>) -> Self {
        count.map_or(Self::Unknown, Self::Count)
    }

    fn bytes(count: Option<u64>) -> Self {
        count.map_or(Self::Unknown, Self::Bytes)
    }

    /// For readers.
    pub fn shown(&self) -> String {
        match self {
            Self::Unknown => UNKNOWN.into(),
            Self::Word(word) => word.clone(),
            Self::Count(count) => count.to_string(),
            Self::Real(value, digits) => format::number(*value, *digits),
            Self::Range(value, ends, digits) => format::with_interval(*value, *ends, *digits),
            Self::Ratio(value, ends) => format::ratio(*value, *ends),
            Self::Share(share) => format::percent(*share),
            Self::Bytes(count) => format::bytes(*count),
        }
    }

    /// For programs: all digits, empty if unknown. The ends of an interval are columns of their own.
    pub fn raw(&self) -> String {
        match self {
            Self::Unknown => String::new(),
            Self::Word(word) => word.clone(),
            Self::Count(count) | Self::Bytes(count) => count.to_string(),
            Self::Real(value, _)
            | Self::Range(value, ..)
            | Self::Ratio(value, _)
            | Self::Share(value) => value.to_string(),
        }
    }
}

/// A table with headings; `rows` are as long as `headings`.
#[derive(Clone, Debug)]
pub struct Table {
    /// One for each column, with the unit.
    pub headings: Vec<String>,
    /// From the smallest p.
    pub rows: Vec<Vec<Cell>>,
}

/// A table as templates show it.
#[derive(Clone, Debug, Serialize)]
pub struct Shown {
    /// One for each column.
    pub headings: Vec<String>,
    /// Texts of the cells.
    pub rows: Vec<Vec<String>>,
}

impl Table {
    /// The texts of all cells.
    pub fn shown(&self) -> Shown {
        let row = |row: &Vec<Cell>| row.iter().map(Cell::shown).collect();
        Shown { headings: self.headings.clone(), rows: self.rows.iter().map(row).collect() }
    }

    /// Without the columns that say nothing in any row.
    fn without_unknown(self) -> Self {
        let says = |k: &usize| self.rows.iter().any(|row| row[*k] != Cell::Unknown);
        let kept: Vec<usize> = (0..self.headings.len()).filter(says).collect();
        let pick = |row: &Vec<Cell>| kept.iter().map(|&k| row[k].clone()).collect();
        Self {
            headings: kept.iter().map(|&k| self.headings[k].clone()).collect(),
            rows: self.rows.iter().map(pick).collect(),
        }
    }
}

type Column<'a> = (String, Box<dyn Fn(&Row) -> Cell + 'a>);

fn column<'a>(heading: impl Into<String>, cell: impl Fn(&Row) -> Cell + 'a) -> Column<'a> {
    (heading.into(), Box::new(cell))
}

fn table(series: &Series, columns: Vec<Column>) -> Table {
    let row = |row: &Row| columns.iter().map(|(_, cell)| cell(row)).collect();
    let rows = series.rows.iter().map(row).collect();
    Table { headings: columns.into_iter().map(|(heading, _)| heading).collect(), rows }
}

/// The table of a series that a programme asks for.
pub fn scaling(series: &Series, preset: Preset) -> Table {
    match preset {
        Preset::Full => full(series),
        Preset::Prace => prace(series),
        Preset::Csc => csc(series),
        Preset::Archer => archer(series),
    }
}

fn value_column(series: &Series) -> Column<'_> {
    match series.metric {
        Metric::Time => column("wall time (s), median [95\u{a0}%\u{a0}CI]", |row| {
            Cell::range(row.median_s, row.ci95_s, 4)
        }),
        Metric::Throughput => {
            column("throughput (work/s), median", |row| Cell::real(row.throughput, 4))
        }
    }
}

fn plain_value_column(series: &Series) -> Column<'_> {
    match series.metric {
        Metric::Time => column("Wall clock time (s)", |row| Cell::real(row.median_s, 4)),
        Metric::Throughput => column("Throughput (work/s)", |row| Cell::real(row.throughput, 4)),
    }
}

fn full(series: &Series) -> Table {
    let speedup = if series.mode == Mode::Strong { "speedup" } else { "scaled speedup" };
    let threads = series.rows.iter().any(|row| row.threads != 1) || series.unit == Unit::Cores;
    let thread_cells = |count: fn(&Row) -> u64| {
        move |row: &Row| if threads { Cell::Count(count(row)) } else { Cell::Unknown }
    };
    let columns = vec![
        column("ranks", |row| {
            let mark = if row.oversubscribed { "*" } else { "" };
            Cell::Word(format!("{}{mark}", row.ranks))
        }),
        column("nodes", |row| Cell::count(row.nodes)),
        column("threads", thread_cells(|row| row.threads)),
        column("cores", thread_cells(|row| row.cores)),
        column("n", |row| Cell::Count(row.repeats)),
        value_column(series),
        column("min (s)", |row| Cell::real(row.min_s, 4)),
        column("max (s)", |row| Cell::real(row.max_s, 4)),
        column(format!("{speedup} [95\u{a0}%\u{a0}CI]"), |row| {
            Cell::range(row.speedup, row.speedup_ci95, 3)
        }),
        column("efficiency [95\u{a0}%\u{a0}CI]", |row| {
            Cell::ratio(row.efficiency, row.efficiency_ci95)
        }),
        column("x per doubling", |row| Cell::real(row.per_doubling, 3)),
        column("Karp-Flatt e", |row| Cell::real(row.karp_flatt, 3)),
        column("node-hours", |row| Cell::real(row.node_hours, 3)),
    ];
    table(series, columns).without_unknown()
}

/// The row with the fewest cores that was measured: what "the first" and "the smallest feasible" mean.
fn smallest(series: &Series) -> Option<&Row> {
    let measured = series.rows.iter().filter(|row| measured(series, row).is_some());
    measured.min_by_key(|row| (row.cores, row.ranks))
}

/// Speedup over the smallest measured row, from what was measured there and here.
fn over_smallest(series: &Series) -> impl Fn(&Row) -> Cell + '_ {
    let first = smallest(series).and_then(|row| measured(series, row));
    move |row| {
        let ratio = first.zip(measured(series, row)).map(|(first, here)| match series.metric {
            Metric::Time => first / here,
            Metric::Throughput => here / first,
        });
        Cell::real(ratio, 3)
    }
}

fn prace(series: &Series) -> Table {
    let mut columns = vec![column("Number of cores", |row| Cell::Count(row.cores))];
    columns.push(plain_value_column(series));
    if series.mode == Mode::Strong {
        columns.push(column("Speed-up vs the first one", over_smallest(series)));
    }
    columns.push(column("Number of nodes", |row| Cell::count(row.nodes)));
    columns.push(column("Number of processes", |row| Cell::Count(row.ranks)));
    table(series, columns)
}

fn csc(series: &Series) -> Table {
    let verdict = |value: Option<f64>, enough: f64| match value.filter(|value| value.is_finite()) {
        None => Cell::Unknown,
        Some(value) => Cell::Word(if value >= enough { "yes" } else { "no" }.into()),
    };
    let mut columns = vec![
        column("Nodes", |row| Cell::count(row.nodes)),
        column("Cores", |row| Cell::Count(row.cores)),
        plain_value_column(series),
    ];
    if series.mode == Mode::Strong {
        columns.push(column("Speedup per doubling", |row| Cell::real(row.per_doubling, 3)));
        columns.push(column("At least 1.5x", move |row| verdict(row.per_doubling, ENOUGH.1)));
    }
    columns.push(column("Parallel efficiency", |row| Cell::ratio(row.efficiency, None)));
    columns.push(column("At least 75 %", move |row| verdict(row.efficiency, ENOUGH.0)));
    table(series, columns)
}

fn archer(series: &Series) -> Table {
    let mut columns = vec![
        column("Nodes", |row| Cell::count(row.nodes)),
        column("Cores", |row| Cell::Count(row.cores)),
        plain_value_column(series),
    ];
    if series.mode == Mode::Strong {
        let first = smallest(series).map_or(0, |row| row.cores);
        columns.push(column(format!("Speedup over {first} cores"), over_smallest(series)));
        let ideal = move |row: &Row| {
            let ideal = crate::num::to_f64(row.cores) / crate::num::to_f64(first);
            Cell::real(Some(ideal), 3)
        };
        columns.push(column("Ideal speedup", ideal));
    }
    columns.push(column("Parallel efficiency", |row| Cell::ratio(row.efficiency, None)));
    columns.push(column("Node-hours per run", |row| Cell::real(row.node_hours, 3)));
    table(series, columns)
}

/// Memory, data and shares of time.
pub fn resources(series: &Series) -> Table {
    let columns = vec![
        column("ranks", |row| Cell::Count(row.ranks)),
        column("useful", |row| Cell::share(row.useful_share)),
        column("in MPI", |row| Cell::share(row.mpi_share)),
        column("in I/O", |row| Cell::share(row.io_share)),
        column("peak memory per node", |row| Cell::bytes(row.peak_rss_bytes_per_node)),
        column("read", |row| Cell::bytes(row.bytes_read)),
        column("written", |row| Cell::bytes(row.bytes_written)),
        column("sent", |row| Cell::bytes(row.bytes_sent)),
        column("work", |row| Cell::real(row.work, 4)),
        column("throughput (work/s)", |row| match series.metric {
            Metric::Time => Cell::real(row.throughput, 4),
            Metric::Throughput => Cell::Unknown,
        }),
        column("outliers", |row| match row.outliers {
            0 => Cell::Unknown,
            some => Cell::Count(some),
        }),
    ];
    table(series, columns).without_unknown()
}

/// One line of the efficiency tree: depth, name, values at each p.
#[derive(Clone, Debug, Serialize)]
pub struct Branch {
    /// 0 for the root.
    pub depth: usize,
    /// Its name.
    pub name: &'static str,
    /// One for each p: the text, and whether it is below 0.8.
    pub values: Vec<(String, bool)>,
}

/// The efficiency tree of POP with I/O as a factor of its own: the p that have one, and its lines.
pub fn tree(series: &Series) -> (Vec<String>, Vec<Branch>) {
    type Factor = (usize, &'static str, fn(&Row) -> Option<f64>);
    const FACTORS: [Factor; 7] = [
        (0, "global efficiency", |row| row.global_efficiency),
        (1, "parallel efficiency", |row| row.parallel_efficiency),
        (2, "load balance", |row| row.load_balance),
        (2, "communication efficiency", |row| row.communication_efficiency),
        (3, "I/O efficiency", |row| row.io_efficiency),
        (3, "MPI efficiency", |row| row.mpi_efficiency),
        (1, "computation scaling", |row| row.computation_scaling),
    ];
    let known = |row: &&Row| FACTORS.iter().any(|(_, _, factor)| factor(row).is_some());
    let rows: Vec<&Row> = series.rows.iter().filter(known).collect();
    let value = |value: Option<f64>| match value.filter(|value| value.is_finite()) {
        None => (UNKNOWN.to_owned(), false),
        Some(value) => (format::ratio(value, None), value < 0.8),
    };
    let branch = |&(depth, name, factor): &Factor| Branch {
        depth,
        name,
        values: rows.iter().map(|row| value(factor(row))).collect(),
    };
    let heads = rows.iter().map(|row| format!("{}", p(series, row))).collect();
    let branches: Vec<Branch> =
        if rows.is_empty() { Vec::new() } else { FACTORS.iter().map(branch).collect() };
    (heads, branches)
}

/// What speedups are relative to, with its absolute value.
pub fn baseline_sentence(series: &Series) -> String {
    let ranks = series.baseline.ranks;
    let value = match series.metric {
        Metric::Time => series.baseline.wall_s.map(format::duration),
        Metric::Throughput => {
            series.baseline.throughput.map(|rate| format!("{} work/s", format::number(rate, 4)))
        }
    };
    let value = value.unwrap_or_else(|| "time not known".into());
    let s = if ranks == 1 { "" } else { "s" };
    let cores = match baseline(series) {
        Some(row) if row.cores != ranks => format!(" ({} cores)", row.cores),
        _ => String::new(),
    };
    format!("{ranks} rank{s}{cores}, {value}: {}", series.baseline.why)
}
