//! The runs for other programs: a table that `--from-csv` reads again, and Extra-P's JSON Lines. Pure.

use serde::Serialize;

use super::report::{Metric, Mode, Report, Series};
use crate::error::{Error, Result};

/// Every value as a table, one row a run.
///
/// # Errors
/// Never for a report of ours.
pub fn csv(report: &Report) -> Result<String> {
    #[derive(Serialize)]
    struct Line<'a> {
        series: &'a str,
        mode: Mode,
        ranks: u64,
        nodes: Option<u64>,
        threads: u64,
        work: Option<f64>,
        repeat: usize,
        wall_s: Option<f64>,
        throughput: Option<f64>,
    }
    let internal = |cause: String| Error::internal(format!("the table of runs: {cause}"));
    let mut writer = csv::Writer::from_writer(Vec::new());
    for series in &report.series {
        for row in &series.rows {
            for (index, value) in row.values.iter().enumerate() {
                let timed = series.metric == Metric::Time;
                let line = Line {
                    series: &series.name,
                    mode: series.mode,
                    ranks: row.ranks,
                    nodes: row.nodes,
                    threads: row.threads,
                    work: row.work,
                    repeat: index + 1,
                    wall_s: timed.then_some(*value),
                    throughput: (!timed).then_some(*value),
                };
                writer.serialize(line).map_err(|cause| internal(cause.to_string()))?;
            }
        }
    }
    let bytes = writer.into_inner().map_err(|cause| internal(cause.to_string()))?;
    String::from_utf8(bytes).map_err(|cause| internal(cause.to_string()))
}

/// Extra-P's JSON Lines: one line a size and metric, all repeats in it. Phases are call paths below the
/// series.
///
/// # Errors
/// Never for a report of ours.
pub fn extra_p(report: &Report) -> Result<String> {
    let mut text = String::new();
    for series in &report.series {
        for line in lines(series) {
            text.push_str(&line.to_string());
            text.push('\n');
        }
    }
    Ok(text)
}

fn lines(series: &Series) -> Vec<serde_json::Value> {
    let metric = match series.metric {
        Metric::Time => "time",
        Metric::Throughput => "throughput",
    };
    let mut lines = Vec::new();
    for row in &series.rows {
        let mut line = |path: &str, values: &[f64]| {
            lines.push(serde_json::json!({
                "params": {"p": super::analysis::size(row, series.unit)},
                "callpath": path,
                "metric": metric,
                "value": values,
            }));
        };
        line(&series.name, &row.values);
        for phase in &row.phases {
            line(&format!("{}->{}", series.name, phase.name), &[phase.max_s]);
        }
    }
    lines
}
