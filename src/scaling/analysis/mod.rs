//! Runs into a report: curves, rows, models, sentences and what speaks against them. Pure.
//!
//! Costs one pass over the runs and a few thousand resamplings a row; the same runs give the same
//! report, whatever their order in the files.

mod groups;
mod honesty;
mod lint;
mod rows;
mod sentences;
mod setup;
pub mod tree;
mod words;

use super::report::{Baseline, Failed, Metric, Mode, Report, Row, SCHEMA, Series, Unit, Verdict};
use super::sample::{Outcome, Sample, Timing};
use super::{models, report};
use crate::error::{Error, Result};
use crate::num::to_f64;
use groups::Group;

/// What the user asks of a report.
#[derive(Clone, Debug)]
pub struct Options {
    /// The heading; a default names the series.
    pub title: Option<String>,
    /// The baseline in ranks, for every series that has it.
    pub baseline: Option<u64>,
    /// The mode of records, which do not tell it.
    pub mode: Option<Mode>,
    /// For how many runs the node-hours are told.
    pub runs: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self { title: None, baseline: None, mode: None, runs: 100 }
    }
}

/// Makes the report of these runs; `notes` are what reading them found.
///
/// # Errors
/// Bad input, when no run gave a value or a mode cannot be told.
pub fn analyse(samples: Vec<Sample>, notes: &[String], options: &Options) -> Result<Report> {
    let mut notes = notes.to_vec();
    let given = samples.len();
    let samples = groups::distinct(samples);
    if samples.len() < given {
        notes.push(format!("{} were given twice and count once", given - samples.len()));
    }
    let setup = setup::facts(&samples);
    let groups = groups::group(samples, options.mode)?;
    if groups.iter().all(|group| group.points.is_empty()) {
        let why = groups.iter().flat_map(|group| &group.failed).next();
        return Err(Error::bad_input(format!(
            "no run gave a time{}; mend the command and run the study again",
            why.map_or_else(String::new, |failed| format!(" (the first: {})", failed.why))
        )));
    }
    let mut warnings = notes.clone();
    let mut series = Vec::new();
    for group in groups {
        warnings.extend(honesty::warnings(&group, options));
        if group.points.is_empty() {
            continue;
        }
        series.push(curve(&group, options, !notes.is_empty()));
    }
    let names: Vec<&str> = series.iter().map(|series: &Series| series.name.as_str()).collect();
    let title = format!("Scaling of {}", words::list(&words::distinct(&names)));
    Ok(Report {
        schema: SCHEMA.into(),
        title: options.title.clone().unwrap_or(title),
        publishable: warnings.is_empty(),
        warnings,
        setup,
        series,
    })
}

/// One series, from its rows to its sentences.
fn curve(group: &Group, options: &Options, cut: bool) -> Series {
    let (rows, base) = rows::of(group, options.baseline);
    let baseline = rows::baseline(group, &rows[base], options.baseline);
    let fitted = models::analyse(&model_study(group, &rows), &models::Settings::default());
    let mut series = Series {
        name: group.name.clone(),
        mode: group.mode,
        unit: group.unit(),
        metric: group.metric,
        timing: timing(group),
        input: group.input(),
        baseline,
        rows,
        failed: group.failed.clone(),
        models: fitted.models,
        holdout: fitted.holdout,
        curves: fitted.curves,
        band: fitted.band,
        sentences: Vec::new(),
        lint: Vec::new(),
    };
    series.sentences = sentences::of(&series, options.runs);
    series.lint = lint::of(&series, group, cut);
    series
}

/// What the models see of a curve.
fn model_study(group: &Group, rows: &[Row]) -> models::Study {
    let point = |row: &Row| models::Point {
        p: match group.unit() {
            Unit::Ranks => row.ranks,
            Unit::Cores => row.cores,
        },
        values: row.values.clone(),
        work: row.work.filter(|_| group.mode == Mode::Weak),
    };
    models::Study {
        mode: group.mode,
        metric: group.metric,
        points: rows.iter().map(point).collect(),
    }
}

fn timing(group: &Group) -> String {
    match group.timing {
        Timing::Run => "Seconds of the job's phases after MPI and the parameters were set up, \
                        until the output was read back and had its name; all ranks agree at the \
                        end of each phase."
            .into(),
        Timing::Process => "Seconds of the whole command as seen from outside, launcher and \
                            start-up included."
            .into(),
        Timing::Printed => "What the program itself printed.".into(),
        Timing::Told => "As a table tells; how it was measured is not known.".into(),
    }
}

/// What the clock counts at a row, as p.
pub(super) fn size(row: &Row, unit: Unit) -> f64 {
    to_f64(match unit {
        Unit::Ranks => row.ranks,
        Unit::Cores => row.cores,
    })
}

#[cfg(test)]
mod tests;
