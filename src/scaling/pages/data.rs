//! The files for programs: CSV with all digits, JSON.

use super::Preset;
use super::table::{self, Cell};
use crate::scaling::figures::mode_word;
use crate::scaling::render::Error;
use crate::scaling::report::{Metric, Report, Row, Series, Unit};

type Field = (&'static str, fn(&Series, &Row) -> Cell);

fn real(value: Option<f64>) -> Cell {
    value.filter(|value| value.is_finite()).map_or(Cell::Unknown, |value| Cell::Real(value, 17))
}

fn count(value: Option<u64>) -> Cell {
    value.map_or(Cell::Unknown, Cell::Count)
}

fn word(word: impl Into<String>) -> Cell {
    Cell::Word(word.into())
}

/// All that programmes ask for, in one table: one line for each series and size.
const FIELDS: [Field; 48] = [
    ("series", |series, _| word(series.name.as_str())),
    ("mode", |series, _| word(mode_word(series.mode))),
    ("unit", |series, _| word(if series.unit == Unit::Ranks { "ranks" } else { "cores" })),
    ("metric", |series, _| word(if series.metric == Metric::Time { "time" } else { "throughput" })),
    ("input", |series, _| word(series.input.as_str())),
    ("nodes", |_, row| count(row.nodes)),
    ("ranks", |_, row| Cell::Count(row.ranks)),
    ("ranks_per_node", |_, row| match row.nodes {
        None | Some(0) => Cell::Unknown,
        Some(nodes) => Cell::Real(crate::num::to_f64(row.ranks) / crate::num::to_f64(nodes), 17),
    }),
    ("threads", |_, row| Cell::Count(row.threads)),
    ("cores", |_, row| Cell::Count(row.cores)),
    ("repeats", |_, row| Cell::Count(row.repeats)),
    ("outliers", |_, row| Cell::Count(row.outliers)),
    ("wall_median_s", |_, row| real(row.median_s)),
    ("wall_ci95_low_s", |_, row| real(row.ci95_s.map(|ends| ends[0]))),
    ("wall_ci95_high_s", |_, row| real(row.ci95_s.map(|ends| ends[1]))),
    ("wall_min_s", |_, row| real(row.min_s)),
    ("wall_max_s", |_, row| real(row.max_s)),
    ("throughput_per_s", |_, row| real(row.throughput)),
    ("work", |_, row| real(row.work)),
    ("speedup", |_, row| real(row.speedup)),
    ("speedup_ci95_low", |_, row| real(row.speedup_ci95.map(|ends| ends[0]))),
    ("speedup_ci95_high", |_, row| real(row.speedup_ci95.map(|ends| ends[1]))),
    ("efficiency", |_, row| real(row.efficiency)),
    ("efficiency_ci95_low", |_, row| real(row.efficiency_ci95.map(|ends| ends[0]))),
    ("efficiency_ci95_high", |_, row| real(row.efficiency_ci95.map(|ends| ends[1]))),
    ("speedup_per_doubling", |_, row| real(row.per_doubling)),
    ("karp_flatt", |_, row| real(row.karp_flatt)),
    ("node_hours", |_, row| real(row.node_hours)),
    ("peak_rss_bytes_per_node", |_, row| count(row.peak_rss_bytes_per_node)),
    ("bytes_read", |_, row| count(row.bytes_read)),
    ("bytes_written", |_, row| count(row.bytes_written)),
    ("bytes_sent", |_, row| count(row.bytes_sent)),
    ("useful_share", |_, row| real(row.useful_share)),
    ("mpi_share", |_, row| real(row.mpi_share)),
    ("io_share", |_, row| real(row.io_share)),
    ("load_balance", |_, row| real(row.load_balance)),
    ("communication_efficiency", |_, row| real(row.communication_efficiency)),
    ("io_efficiency", |_, row| real(row.io_efficiency)),
    ("mpi_efficiency", |_, row| real(row.mpi_efficiency)),
    ("parallel_efficiency", |_, row| real(row.parallel_efficiency)),
    ("computation_scaling", |_, row| real(row.computation_scaling)),
    ("global_efficiency", |_, row| real(row.global_efficiency)),
    ("baseline_ranks", |series, _| Cell::Count(series.baseline.ranks)),
    ("baseline_wall_s", |series, _| real(series.baseline.wall_s)),
    ("baseline_throughput", |series, _| real(series.baseline.throughput)),
    ("baseline_why", |series, _| word(series.baseline.why.as_str())),
    ("failed_runs", |series, row| {
        let here = series.failed.iter().filter(|failed| failed.ranks == row.ranks).count();
        Cell::Count(crate::num::to_u64(here))
    }),
    ("oversubscribed", |_, row| word(if row.oversubscribed { "true" } else { "false" })),
];

/// One table of all series. With a programme's preset its columns, after the series and its mode;
/// series whose columns differ (weak ones have no speedup) leave what they lack empty.
///
/// # Errors
/// None that a string can give.
pub fn csv(report: &Report, preset: Preset) -> Result<Vec<u8>, Error> {
    let told = |error: csv::Error| Error::Page(error.to_string());
    let mut writer = csv::Writer::from_writer(Vec::new());
    if preset == Preset::Full {
        writer.write_record(FIELDS.iter().map(|(name, _)| *name)).map_err(told)?;
        for series in &report.series {
            for row in &series.rows {
                let cells = FIELDS.iter().map(|(_, cell)| cell(series, row).raw());
                writer.write_record(cells).map_err(told)?;
            }
        }
    } else {
        let tables: Vec<_> =
            report.series.iter().map(|series| (series, table::scaling(series, preset))).collect();
        let mut headings: Vec<&String> = Vec::new();
        for heading in tables.iter().flat_map(|(_, table)| &table.headings) {
            if !headings.contains(&heading) {
                headings.push(heading);
            }
        }
        let first = ["Series", "Mode"].into_iter().chain(headings.iter().map(|text| text.as_str()));
        writer.write_record(first).map_err(told)?;
        for (series, table) in &tables {
            for row in &table.rows {
                let cell = |heading: &&String| {
                    let place = table.headings.iter().position(|other| other == *heading);
                    place.map(|k| row[k].raw()).unwrap_or_default()
                };
                let first = [series.name.clone(), mode_word(series.mode).to_owned()];
                let cells = first.into_iter().chain(headings.iter().map(cell));
                writer.write_record(cells).map_err(told)?;
            }
        }
    }
    writer.into_inner().map_err(|error| Error::Page(error.to_string()))
}

/// The report itself, indented, with a line feed at its end. What is not a number is null.
///
/// # Errors
/// None that this data can give.
pub fn json(report: &Report) -> Result<Vec<u8>, Error> {
    let mut json =
        serde_json::to_vec_pretty(report).map_err(|error| Error::Page(error.to_string()))?;
    json.push(b'\n');
    Ok(json)
}
