//! Figures 1 to 5: one value against p, all series laid over each other. Lines between measured
//! points only guide the eye; what was measured are the marks and their intervals.

use plotters::style::RGBColor;

use super::axis::Axis;
use super::canvas::{self, Failed, Sample, Sheetful};
use super::{
    Figure, Shown, baseline, finite, interval, legend_name, measured, p, positive, style, unit_of,
};
use crate::scaling::report::{Metric, Mode, Report, Row, Series, Unit};

const HEIGHT: i32 = 330;
const HOLLOW: &str = " Hollow marks: more ranks or threads than cores.";

/// A measured point.
struct Point {
    p: f64,
    y: f64,
    ends: Option<[f64; 2]>,
    hollow: bool,
}

/// A series as a figure shows it; `k` is its place in the report, so that it looks alike everywhere.
struct Line<'a> {
    k: usize,
    series: &'a Series,
    points: Vec<Point>,
}

/// A dashed line below the data.
struct Guide {
    points: Vec<(f64, f64)>,
    color: RGBColor,
    kind: usize,
    label: Option<String>,
}

struct Overlay<'a> {
    number: String,
    stem: &'static str,
    title: String,
    caption: String,
    y_label: String,
    y: fn(&[f64]) -> Axis,
    lines: Vec<Line<'a>>,
    guides: Vec<Guide>,
}

/// Draws figures 1 to 5.
pub fn overlays(report: &Report, alarm: Option<&str>, shown: &mut Shown) -> Result<(), Failed> {
    let time = lines(report, |series| series.metric == Metric::Time, measured, interval);
    let rate = lines(report, |series| series.metric == Metric::Throughput, measured, interval);
    let both = !time.is_empty() && !rate.is_empty();
    if time.is_empty() && rate.is_empty() {
        shown.leave_out("1", "time against p", "no series has a measured time or rate");
    }
    if !time.is_empty() {
        add(times(time, if both { "1a" } else { "1" }), alarm, shown)?;
    }
    if !rate.is_empty() {
        add(rates(rate, if both { "1b" } else { "1" }), alarm, shown)?;
    }
    let strong = |series: &Series| series.mode == Mode::Strong;
    let weak = |series: &Series| series.mode == Mode::Weak;
    let speedup = lines(report, strong, |_, row| positive(row.speedup), |_, row| row.speedup_ci95);
    let strong = lines(report, strong, efficiency, |_, row| row.efficiency_ci95);
    let weak = lines(report, weak, efficiency, |_, row| row.efficiency_ci95);
    let serial = lines(report, |_| true, |_, row| finite(row.karp_flatt), |_, _| None);
    if speedup.is_empty() {
        shown.leave_out("2", "speedup", "no strong series with speedups");
    } else {
        add(speedups(speedup), alarm, shown)?;
    }
    if strong.is_empty() {
        shown.leave_out("3", "parallel efficiency", "no strong series with efficiencies");
    } else {
        add(efficiencies(strong, Mode::Strong), alarm, shown)?;
    }
    if weak.is_empty() {
        shown.leave_out("4", "weak efficiency", "no weak series with efficiencies");
    } else {
        add(efficiencies(weak, Mode::Weak), alarm, shown)?;
    }
    if serial.is_empty() {
        shown.leave_out("5", "Karp-Flatt serial fraction", "no point beyond a baseline has one");
    } else {
        add(serial_fractions(serial), alarm, shown)?;
    }
    Ok(())
}

fn efficiency(_: &Series, row: &Row) -> Option<f64> {
    finite(row.efficiency)
}

fn lines<'a>(
    report: &'a Report,
    applies: impl Fn(&Series) -> bool,
    value: impl Fn(&Series, &Row) -> Option<f64>,
    ends: impl Fn(&Series, &Row) -> Option<[f64; 2]>,
) -> Vec<Line<'a>> {
    let line = |(k, series): (usize, &'a Series)| {
        let point = |row: &Row| {
            let y = value(series, row)?;
            let ends = ends(series, row).filter(|ends| ends.iter().all(|end| end.is_finite()));
            Some(Point { p: p(series, row), y, ends, hollow: row.oversubscribed })
        };
        let points: Vec<Point> =
            series.rows.iter().filter_map(point).filter(|point| point.p > 0.0).collect();
        (!points.is_empty()).then_some(Line { k, series, points })
    };
    report
        .series
        .iter()
        .enumerate()
        .filter(|(_, series)| applies(series))
        .filter_map(line)
        .collect()
}

/// An ideal line of each series: through its baseline's value, with the given power of p.
fn ideals(lines: &[Line], power: fn(Mode) -> f64) -> Vec<Guide> {
    let mut guides: Vec<Guide> = lines.iter().filter_map(|line| ideal(line, power)).collect();
    if let Some(first) = guides.first_mut() {
        first.label = Some("ideal, through the baseline".into());
    }
    guides
}

fn ideal(line: &Line, power: fn(Mode) -> f64) -> Option<Guide> {
    let base = baseline(line.series)?;
    let (base_p, base_y) = (p(line.series, base), measured(line.series, base)?);
    let last = line.points.iter().map(|point| point.p).fold(base_p, f64::max);
    let first = line.points.iter().map(|point| point.p).fold(base_p, f64::min);
    let at = |p: f64| (p, base_y * libm::pow(p / base_p, power(line.series.mode)));
    let mut points = vec![at(first)];
    if first < base_p && base_p < last {
        points.push(at(base_p));
    }
    points.push(at(last));
    let color = style::color(line.k);
    (last > first).then_some(Guide { points, color, kind: 0, label: None })
}

fn times<'a>(lines: Vec<Line<'a>>, number: &str) -> Overlay<'a> {
    let guides = ideals(&lines, |mode| if mode == Mode::Strong { -1.0 } else { 0.0 });
    Overlay {
        number: number.into(),
        stem: "figure-1-time",
        title: format!("Time of one run against {}", short_unit(&lines)),
        caption: "Median wall time of one run. Bars: 95 % confidence interval of the median (the \
                  range of all runs where there are fewer than 6). Dashed: ideal scaling through \
                  each series' baseline. Both axes are logarithmic, with ticks at the measured p; \
                  lines between points guide the eye."
            .into(),
        y_label: "median wall time (s)".into(),
        y: Axis::log,
        lines,
        guides,
    }
}

fn rates<'a>(lines: Vec<Line<'a>>, number: &str) -> Overlay<'a> {
    let guides = ideals(&lines, |_| 1.0);
    Overlay {
        number: number.into(),
        stem: "figure-1-throughput",
        title: format!("Throughput against {}", short_unit(&lines)),
        caption:
            "Median throughput: work done in a second, more is better. Bars: the range of all \
                  runs. Dashed: ideal scaling through each series' baseline. Both axes are \
                  logarithmic, with ticks at the measured p; lines between points guide the eye."
                .into(),
        y_label: "median throughput (work/s)".into(),
        y: Axis::log,
        lines,
        guides,
    }
}

fn speedups(lines: Vec<Line>) -> Overlay {
    let mut bases: Vec<f64> = Vec::new();
    for line in &lines {
        let base = base_p(line);
        if !bases.contains(&base) {
            bases.push(base);
        }
    }
    let of = |base: f64| {
        let same = move |line: &&Line| base_p(line).total_cmp(&base).is_eq();
        lines.iter().filter(same).flat_map(|line| &line.points).map(|point| point.p)
    };
    let most = lines.iter().flat_map(|line| &line.points).map(|point| point.p).fold(0.0, f64::max);
    let guide = |base: f64| {
        let least = of(base).fold(base, f64::min);
        Guide {
            points: vec![(least, least / base), (most, most / base)],
            color: style::GUIDE,
            kind: 0,
            label: Some(if base > 1.0 { format!("ideal: p / {base}") } else { "ideal: p".into() }),
        }
    };
    // One line for each baseline; beyond four the figure would be all lines.
    let guides: Vec<Guide> =
        bases.into_iter().filter(|base| most > *base).take(4).map(guide).collect();
    Overlay {
        number: "2".into(),
        stem: "figure-2-speedup",
        title: "Speedup (strong scaling)".into(),
        caption: "Speedup relative to each series' baseline, which has speedup 1. Bars: 95 % \
                  confidence interval. Dashed: ideal speedup. Both axes are logarithmic to base 2."
            .into(),
        y_label: "speedup over the baseline".into(),
        y: Axis::doublings,
        lines,
        guides,
    }
}

fn base_p(line: &Line) -> f64 {
    baseline(line.series).map_or(1.0, |row| p(line.series, row))
}

fn efficiencies(lines: Vec<Line>, mode: Mode) -> Overlay {
    let every = || lines.iter().flat_map(|line| &line.points).map(|point| point.p);
    let (least, most) = (every().fold(f64::MAX, f64::min), every().fold(0.0, f64::max));
    let across = |y: f64, kind: usize, label: &str| Guide {
        points: vec![(least / 16.0, y), (most * 16.0, y)], // cut at the chart's ends
        color: style::GUIDE,
        kind,
        label: Some(label.into()),
    };
    let guides = vec![
        across(1.0, 0, "ideal: 1"),
        across(0.8, 1, "0.8: below it, find out why (POP)"),
        across(0.75, 2, "0.75: 1.5x a doubling (CSC)"),
    ];
    let strong = mode == Mode::Strong;
    let (number, stem, title, what) = if strong {
        let what = "Speedup divided by the growth of p, relative to each series' baseline";
        ("3", "figure-3-efficiency", "Parallel efficiency (strong scaling)", what)
    } else {
        let what = "Time of each series' baseline divided by the time at p, the work for each \
                    rank being the same";
        ("4", "figure-4-weak-efficiency", "Parallel efficiency (weak scaling)", what)
    };
    Overlay {
        number: number.into(),
        stem,
        title: title.into(),
        caption: format!(
            "{what}. Bars: 95 % confidence interval. Lines at 0.8 and 0.75 \
             are the thresholds that POP and CSC use."
        ),
        y_label: "parallel efficiency".into(),
        y: |values| Axis::linear(values, [0.0, 1.0]),
        lines,
        guides,
    }
}

fn serial_fractions(lines: Vec<Line>) -> Overlay {
    Overlay {
        number: "5".into(),
        stem: "figure-5-karp-flatt",
        title: "Karp-Flatt serial fraction".into(),
        caption:
            "Experimentally determined serial fraction, a part of the time of one rank: e = (1/S - 1/p) / \
                  (1 - 1/p) where the baseline b is 1, in general (p/S - b) / (b (p - 1) - (b - 1) p/S). \
                  A level e is serial work; an e that rises with p is overhead or imbalance; a negative \
                  one is a speedup above ideal."
                .into(),
        y_label: "serial fraction e".into(),
        y: |values| Axis::linear(values, [0.0, 0.0]),
        lines,
        guides: Vec::new(),
    }
}

fn short_unit(lines: &[Line]) -> &'static str {
    match unit_of(lines.iter().map(|line| line.series)) {
        "ranks" => "ranks",
        "cores (ranks x threads)" => "cores",
        _ => "p",
    }
}

fn add(overlay: Overlay, alarm: Option<&str>, shown: &mut Shown) -> Result<(), Failed> {
    let Overlay { number, stem, title, mut caption, y_label, y, lines, guides } = overlay;
    let points = || lines.iter().flat_map(|line| &line.points);
    if points().any(|point| point.hollow) {
        caption.push_str(HOLLOW);
    }
    let measured: Vec<f64> = points().map(|point| point.p).collect();
    let mut values: Vec<f64> = points()
        .flat_map(|point| [point.y].into_iter().chain(point.ends.into_iter().flatten()))
        .collect();
    values.extend(guides.iter().flat_map(|guide| &guide.points).map(|(_, y)| *y));
    let mixed_modes = lines.iter().any(|line| line.series.mode != lines[0].series.mode);
    let mixed_units = lines
        .iter()
        .any(|line| (line.series.unit == Unit::Cores) != (lines[0].series.unit == Unit::Cores));
    let mut legend: Vec<(Sample, String)> = lines
        .iter()
        .map(|line| {
            let sample = Sample::Mark(style::color(line.k), style::shape(line.k));
            (sample, legend_name(line.series, mixed_modes, mixed_units))
        })
        .collect();
    for guide in &guides {
        if let Some(label) = &guide.label {
            legend.push((Sample::Dashed(style::GUIDE, guide.kind), label.clone()));
        }
    }
    let sheetful = Sheetful {
        title: title.clone(),
        description: caption.clone(),
        alarm: alarm.map(str::to_owned),
        height: HEIGHT,
        x: Axis::ranks(&measured, None),
        y: y(&values),
        x_label: unit_of(lines.iter().map(|line| line.series)).into(),
        y_label,
        x_grid: true,
        legend,
    };
    let svg = canvas::draw(&sheetful, |pen| {
        for guide in &guides {
            pen.dashed(&guide.points, guide.color, guide.kind)?;
        }
        for line in &lines {
            let color = style::color(line.k);
            let path: Vec<(f64, f64)> =
                line.points.iter().map(|point| (point.p, point.y)).collect();
            pen.line(&path, color, 16)?;
            for point in &line.points {
                if let Some(ends) = point.ends {
                    pen.interval(point.p, ends, color)?;
                }
            }
        }
        for line in &lines {
            for point in &line.points {
                let (color, shape) = (style::color(line.k), style::shape(line.k));
                pen.mark((point.p, point.y), color, shape, point.hollow)?;
            }
        }
        Ok(())
    })?;
    shown.figures.push(Figure { number, stem: stem.into(), title, caption, svg });
    Ok(())
}
