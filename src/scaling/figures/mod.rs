//! The eight figures of a scaling report, as SVG and PNG. One to five lay all series over each other,
//! which compares them at the price of a crowd; six to eight are one for each series.
//!
//! Library: plotters with its SVG backend alone. kuva 0.6 was looked at and not taken: its log axes
//! have ticks only at 1, 2 and 5 times powers of ten and take no list of positions, and the names of
//! its clip paths count up over the life of a process, so that a second drawing has other bytes.

pub mod axis;
mod canvas;
mod curves;
pub mod font;
mod models;
mod parts;
mod raster;
mod style;

pub use raster::png;

use crate::scaling::render::Error;
use crate::scaling::report::{Metric, Mode, Report, Row, Series, Unit};

/// One picture and what is said about it.
#[derive(Clone, Debug)]
pub struct Figure {
    /// "1", or "6.2" for the second series of figure 6.
    pub number: String,
    /// The file's name without its ending: stable, and safe on any file system.
    pub stem: String,
    /// Its heading.
    pub title: String,
    /// What it shows and how to read it.
    pub caption: String,
    /// The picture.
    pub svg: String,
}

/// A figure that does not apply.
#[derive(Clone, Debug)]
pub struct LeftOut {
    /// Its number.
    pub number: String,
    /// What it would have shown.
    pub what: String,
    /// Why it does not.
    pub why: String,
}

/// The figures of a report, in order, and what is missing among them.
#[derive(Clone, Debug, Default)]
pub struct Shown {
    /// What there is.
    pub figures: Vec<Figure>,
    /// What there is not.
    pub left_out: Vec<LeftOut>,
}

impl Shown {
    fn leave_out(&mut self, number: &str, what: &str, why: &str) {
        let (number, what, why) = (number.to_owned(), what.to_owned(), why.to_owned());
        self.left_out.push(LeftOut { number, what, why });
    }
}

/// Draws all figures that apply.
///
/// # Errors
/// When a drawing is broken, never because of what the report says.
pub fn figures(report: &Report) -> Result<Shown, Error> {
    let mut shown = Shown::default();
    let alarm = alarm(report);
    let told = |error: canvas::Failed| Error::Draw(error.to_string());
    curves::overlays(report, alarm.as_deref(), &mut shown).map_err(told)?;
    parts::time_parts(report, alarm.as_deref(), &mut shown).map_err(told)?;
    models::extrapolations(report, alarm.as_deref(), &mut shown).map_err(told)?;
    parts::loads(report, alarm.as_deref(), &mut shown).map_err(told)?;
    Ok(shown)
}

/// What stands on every figure of a report with warnings.
fn alarm(report: &Report) -> Option<String> {
    let first = font::clean(report.warnings.first()?);
    let short = first.split(['.', ';', '(']).next().unwrap_or_default().trim();
    let more = match report.warnings.len() - 1 {
        0 => String::new(),
        more => format!(" (and {more} more)"),
    };
    let room = 690.0 - font::width(&more, 13.0);
    let short = font::shorten(&format!("not for publication: {short}"), 13.0, room);
    Some(short + &more)
}

/// What p is at this row.
pub(crate) fn p(series: &Series, row: &Row) -> f64 {
    crate::num::to_f64(match series.unit {
        Unit::Ranks => row.ranks,
        Unit::Cores => row.cores,
    })
}

/// What is measured at this row: median time, or median rate.
pub(crate) fn measured(series: &Series, row: &Row) -> Option<f64> {
    positive(match series.metric {
        Metric::Time => row.median_s,
        Metric::Throughput => row.throughput,
    })
}

/// The 95 % interval of what was measured.
fn interval(series: &Series, row: &Row) -> Option<[f64; 2]> {
    let ends = match series.metric {
        Metric::Time => row.ci95_s?,
        Metric::Throughput => row.throughput_ci95?,
    };
    ends.iter().all(|end| end.is_finite() && *end > 0.0).then_some(ends)
}

fn positive(value: Option<f64>) -> Option<f64> {
    finite(value).filter(|&value| value > 0.0)
}

fn finite(value: Option<f64>) -> Option<f64> {
    value.filter(|value| value.is_finite())
}

/// The row that speedups are relative to; the first that was measured, where the report names none
/// that it has.
pub(crate) fn baseline<'a>(series: &'a Series) -> Option<&'a Row> {
    let timed = || series.rows.iter().filter(|row| measured(series, row).is_some());
    let near_one = |row: &&&Row| row.speedup.is_none_or(|speedup| (speedup - 1.0).abs() < 1e-6);
    let named: Vec<&'a Row> = timed().filter(|row| row.ranks == series.baseline.ranks).collect();
    named.iter().find(near_one).or(named.first()).copied().or_else(|| timed().next())
}

/// "ranks" or "cores", or both where series differ.
fn unit_of<'a>(series: impl Iterator<Item = &'a Series>) -> &'static str {
    let (mut ranks, mut cores) = (false, false);
    for series in series {
        match series.unit {
            Unit::Ranks => ranks = true,
            Unit::Cores => cores = true,
        }
    }
    match (ranks, cores) {
        (true, true) => "ranks or cores (see legend)",
        (false, true) => "cores (ranks x threads)",
        _ => "ranks",
    }
}

/// The name of a series in legends; its mode too where both kinds stand in one figure.
fn legend_name(series: &Series, mixed_modes: bool, mixed_units: bool) -> String {
    let mut name = font::clean(&series.name);
    if mixed_modes && !name.to_lowercase().contains(mode_word(series.mode)) {
        name = format!("{name}, {}", mode_word(series.mode));
    }
    if mixed_units {
        let unit = if series.unit == Unit::Cores { "cores" } else { "ranks" };
        name = format!("{name} ({unit})");
    }
    name
}

/// "strong" or "weak".
pub(crate) fn mode_word(mode: Mode) -> &'static str {
    match mode {
        Mode::Strong => "strong",
        Mode::Weak => "weak",
    }
}

/// Number and stem of the figure of one series among several.
fn numbered(figure: u8, what: &str, series: &Series, k: usize, count: usize) -> (String, String) {
    let number = if count > 1 { format!("{figure}.{}", k + 1) } else { figure.to_string() };
    (number, format!("figure-{figure}-{what}-{}-{}", k + 1, font::slug(&series.name)))
}
