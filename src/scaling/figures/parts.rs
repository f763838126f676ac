//! Figures 6 and 8, stacked bars: where the time goes at each p, and what each rank does at the
//! largest. Shares show a problem at any p, which seconds of a strong series would not; the seconds
//! stand in the tables.

use plotters::style::RGBColor;

use super::axis::Axis;
use super::canvas::{self, Failed, Pen, Sample, Sheetful};
use super::{Figure, Shown, finite, font, numbered, p, style, unit_of};
use crate::num::len_f64;
use crate::scaling::report::{PerRank, Report, Row, Series};

/// More bars than this are narrower than two units: neighbours share one.
const MOST_BARS: usize = 256;
/// Phases beyond these are shown together.
const MOST_PHASES: usize = 6;

const KINDS: [&str; 3] = ["useful", "MPI", "I/O"];

/// Bars of one p: a label, and shares from below, each 0 to 1.
struct Stack {
    label: String,
    shares: Vec<f64>,
}

/// Draws figure 6 of each series that tells the parts of its time.
pub fn time_parts(report: &Report, alarm: Option<&str>, shown: &mut Shown) -> Result<(), Failed> {
    let mut without = Vec::new();
    for (k, series) in report.series.iter().enumerate() {
        let (number, stem) = numbered(6, "parts", series, k, report.series.len());
        let title = format!("Where the time goes: {}", font::clean(&series.name));
        let of_ranks = by_kind(series);
        let of_phases = by_phase(series);
        let (y_label, caption, (parts, stacks)) = if !of_ranks.1.is_empty() {
            let caption = "Shares of the wall time, mean over ranks, in the run in the middle: \
                           useful (outside MPI and I/O), in MPI, in I/O, and the rest.";
            ("share of wall time", caption, of_ranks)
        } else if !of_phases.1.is_empty() {
            let caption = "Phases of the run in the middle, each as long as its slowest rank took, \
                           as shares of their sum. Shares of useful, MPI and I/O time are not known.";
            ("share of all phases", caption, of_phases)
        } else {
            without.push(font::clean(&series.name));
            continue;
        };
        let x_label = unit_of(std::iter::once(series));
        let svg = stacked(&title, caption, alarm, (x_label, y_label), &parts, &stacks)?;
        shown.figures.push(Figure { number, stem, title, caption: caption.into(), svg });
    }
    if !without.is_empty() {
        let why = format!("neither shares nor phases known for {}", without.join(", "));
        shown.leave_out("6", "parts of the time", &why);
    }
    Ok(())
}

type Parts = (Vec<(String, RGBColor)>, Vec<Stack>);

fn label(series: &Series, row: &Row) -> String {
    format!("{}", p(series, row))
}

fn kinds() -> Vec<(String, RGBColor)> {
    KINDS.iter().enumerate().map(|(k, name)| ((*name).to_owned(), style::part(k))).collect()
}

fn by_kind(series: &Series) -> Parts {
    let stack = |row: &Row| {
        let useful = finite(row.useful_share)?;
        let known = [Some(useful), finite(row.mpi_share), finite(row.io_share)];
        let mut shares: Vec<f64> =
            known.iter().map(|share| share.unwrap_or(0.0).clamp(0.0, 1.0)).collect();
        let sum: f64 = shares.iter().sum();
        if sum > 1.0 {
            shares = shares.iter().map(|share| share / sum).collect();
        }
        shares.push((1.0 - sum).max(0.0));
        Some(Stack { label: label(series, row), shares })
    };
    let mut parts = kinds();
    parts.push(("rest".into(), style::REST));
    (parts, series.rows.iter().filter_map(stack).collect())
}

fn by_phase(series: &Series) -> Parts {
    let mut names: Vec<&str> = Vec::new();
    for phase in series.rows.iter().flat_map(|row| &row.phases) {
        if !names.contains(&phase.name.as_str()) {
            names.push(&phase.name);
        }
    }
    let shown = names.len().min(MOST_PHASES);
    let stack = |row: &Row| {
        let mut seconds = vec![0.0; shown + 1];
        for phase in row.phases.iter().filter(|phase| phase.max_s.is_finite()) {
            let place =
                names.iter().position(|name| *name == phase.name).unwrap_or(shown).min(shown);
            seconds[place] += phase.max_s.max(0.0);
        }
        let sum: f64 = seconds.iter().sum();
        (sum > 0.0).then(|| Stack {
            label: label(series, row),
            shares: seconds.iter().map(|seconds| seconds / sum).collect(),
        })
    };
    let mut parts: Vec<(String, RGBColor)> = names[..shown]
        .iter()
        .enumerate()
        .map(|(k, name)| (font::clean(name), style::part(k)))
        .collect();
    if names.len() > shown {
        parts.push(("other phases".into(), style::REST));
    }
    (parts, series.rows.iter().filter_map(stack).collect())
}

fn stacked(
    title: &str,
    caption: &str,
    alarm: Option<&str>,
    (x_label, y_label): (&str, &str),
    parts: &[(String, RGBColor)],
    stacks: &[Stack],
) -> Result<String, Failed> {
    let labels: Vec<String> = stacks.iter().map(|stack| stack.label.clone()).collect();
    let sheetful = Sheetful {
        title: title.into(),
        description: caption.into(),
        alarm: alarm.map(str::to_owned),
        height: 290,
        x: Axis::slots(&labels),
        y: Axis::percent(),
        x_label: x_label.into(),
        y_label: y_label.into(),
        x_grid: false,
        legend: fields(parts),
    };
    canvas::draw(&sheetful, |pen| {
        for (k, stack) in stacks.iter().enumerate() {
            let (left, right) = (len_f64(k) + 0.14, len_f64(k) + 0.86);
            let mut below = 0.0;
            for ((_, color), share) in parts.iter().zip(&stack.shares) {
                pen.bar([(left, below), (right, below + share)], *color, 5)?;
                percentage(pen, (left, below), (right, below + share), *color)?;
                below += share;
            }
        }
        Ok(())
    })
}

/// The number on a part, where there is room for it.
fn percentage(pen: &Pen, low: (f64, f64), high: (f64, f64), on: RGBColor) -> Result<(), Failed> {
    let (width, height) = pen.extent(low, high);
    let label = format!("{:.0} %", 100.0 * (high.1 - low.1));
    if width < font::width(&label, 11.0) + 4.0 || height < 14.0 {
        return Ok(());
    }
    // Luma of ITU-R BT.601: dark text on light colours.
    let RGBColor(red, green, blue) = on;
    let luma = 299 * u32::from(red) + 587 * u32::from(green) + 114 * u32::from(blue);
    let ink = if luma > 130_000 { style::INK } else { RGBColor(255, 255, 255) };
    let middle = (f64::midpoint(low.0, high.0), f64::midpoint(low.1, high.1));
    pen.label(middle, &label, ink)
}

fn fields(parts: &[(String, RGBColor)]) -> Vec<(Sample, String)> {
    parts.iter().map(|(name, color)| (Sample::Field(*color, 1.0), name.clone())).collect()
}

/// Draws figure 8 of each series that tells its ranks' times.
pub fn loads(report: &Report, alarm: Option<&str>, shown: &mut Shown) -> Result<(), Failed> {
    let mut without = Vec::new();
    for (k, series) in report.series.iter().enumerate() {
        let known = series.rows.iter().filter_map(|row| Some((row, row.per_rank.as_ref()?)));
        let known = known.filter(|(_, ranks)| !ranks.useful_s.is_empty());
        let Some((row, ranks)) = known.max_by_key(|(row, _)| (row.ranks, row.cores)) else {
            without.push(font::clean(&series.name));
            continue;
        };
        let (number, stem) = numbered(8, "load", series, k, report.series.len());
        shown.figures.push(load(series, row, ranks, (number, stem), alarm)?);
    }
    if !without.is_empty() {
        let why = format!("no times of single ranks for {}", without.join(", "));
        shown.leave_out("8", "load of each rank", &why);
    }
    Ok(())
}

/// Seconds of one rank: useful, MPI, I/O. What is not known or not a number counts nothing.
fn rank_seconds(ranks: &PerRank, rank: usize) -> [f64; 3] {
    [&ranks.useful_s, &ranks.mpi_s, &ranks.io_s].map(|times| {
        times.get(rank).copied().filter(|time| time.is_finite() && *time > 0.0).unwrap_or(0.0)
    })
}

fn load(
    series: &Series,
    row: &Row,
    ranks: &PerRank,
    (number, stem): (String, String),
    alarm: Option<&str>,
) -> Result<Figure, Failed> {
    let count = ranks.useful_s.len();
    let group = count.div_ceil(MOST_BARS);
    let bars: Vec<[f64; 3]> = (0..count)
        .step_by(group)
        .map(|first| {
            let all = (first..count.min(first + group)).map(|rank| rank_seconds(ranks, rank));
            all.max_by(|a, b| a[0].total_cmp(&b[0])).unwrap_or([0.0; 3])
        })
        .collect();
    let useful = |rank: usize| rank_seconds(ranks, rank)[0];
    let mean = (0..count).map(useful).sum::<f64>() / len_f64(count);
    let title = format!("Load of each of {} ranks: {}", row.ranks, font::clean(&series.name));
    let mut caption =
        "Seconds that each rank spent in useful work, in MPI and in I/O, in the run in \
                       the middle. Dashed: mean useful time; ranks above it are what the others \
                       wait for."
            .to_owned();
    if group > 1 {
        let more =
            format!(" Each bar: of {group} neighbouring ranks the one with the most useful time.");
        caption.push_str(&more);
    }
    let sums: Vec<f64> = bars.iter().map(|bar| bar.iter().sum()).collect();
    let x = Axis::positions(count);
    let mut legend = fields(&kinds());
    legend.push((Sample::Dashed(style::INK, 1), "mean useful".into()));
    let sheetful = Sheetful {
        title: title.clone(),
        description: caption.clone(),
        alarm: alarm.map(str::to_owned),
        height: 270,
        x,
        y: Axis::linear(&sums, [0.0, 0.0]),
        x_label: "rank".into(),
        y_label: "time (s)".into(),
        x_grid: false,
        legend,
    };
    let width = len_f64(group);
    let svg = canvas::draw(&sheetful, |pen| {
        let right = |k: usize| (len_f64(k + 1) * width).min(len_f64(count));
        if pen.extent((0.0, 0.0), (width, 0.0)).0 > 6.0 {
            for (k, bar) in bars.iter().enumerate() {
                let mut below = 0.0;
                for (kind, seconds) in bar.iter().enumerate() {
                    let corners = [(len_f64(k) * width, below), (right(k), below + seconds)];
                    pen.bar(corners, style::part(kind), 6)?;
                    below += seconds;
                }
            }
        } else {
            // Bars too narrow for gaps: one outline for each kind, the highest first.
            for kind in (0..KINDS.len()).rev() {
                let corners = |(k, bar): (usize, &[f64; 3])| {
                    let height = bar[..=kind].iter().sum();
                    [(len_f64(k) * width, height), (right(k), height)]
                };
                let mut outline: Vec<(f64, f64)> =
                    bars.iter().enumerate().flat_map(corners).collect();
                outline.extend([(len_f64(count), 0.0), (0.0, 0.0)]);
                pen.field(&outline, style::part(kind), 1.0)?;
            }
        }
        pen.dashed(&[(0.0, mean), (len_f64(count), mean)], style::INK, 1)
    })?;
    Ok(Figure { number, stem, title, caption, svg })
}
