//! Figure 7, one for each series with fitted models: measured points, each model's curve, and the
//! band between near-tied models, which shows how little an extrapolation may be worth.

use super::axis::Axis;
use super::canvas::{self, Failed, Sample, Sheetful};
use super::{Figure, Shown, font, interval, measured, numbered, p, style, unit_of};
use crate::scaling::report::{Metric, Report, Series};

/// Beyond this factor from the measured values a curve is cut: it would flatten all else.
const REACH: f64 = 64.0;

/// Draws figure 7 of each series that has curves.
pub fn extrapolations(
    report: &Report,
    alarm: Option<&str>,
    shown: &mut Shown,
) -> Result<(), Failed> {
    let mut without = Vec::new();
    for (k, series) in report.series.iter().enumerate() {
        if series.curves.iter().all(|curve| usable(&curve.points).len() < 2) {
            without.push(font::clean(&series.name));
        } else {
            shown.figures.push(extrapolation(series, k, report.series.len(), alarm)?);
        }
    }
    if !without.is_empty() {
        let why = format!("no fitted model for {}", without.join(", "));
        shown.leave_out("7", "models and extrapolation", &why);
    }
    Ok(())
}

fn usable(points: &[[f64; 2]]) -> Vec<(f64, f64)> {
    let fits = |&[p, y]: &[f64; 2]| p.is_finite() && y.is_finite() && p > 0.0 && y > 0.0;
    points.iter().copied().filter(fits).map(|[p, y]| (p, y)).collect()
}

fn extrapolation(
    series: &Series,
    k: usize,
    count: usize,
    alarm: Option<&str>,
) -> Result<Figure, Failed> {
    let (number, stem) = numbered(7, "models", series, k, count);
    let points: Vec<(f64, f64, Option<[f64; 2]>, bool)> = series
        .rows
        .iter()
        .filter_map(|row| {
            let y = measured(series, row)?;
            Some((p(series, row), y, interval(series, row), row.oversubscribed))
        })
        .collect();
    let curves: Vec<(String, Vec<(f64, f64)>)> = series
        .curves
        .iter()
        .map(|curve| (font::clean(&curve.model), usable(&curve.points)))
        .filter(|(_, points)| points.len() > 1)
        .collect();
    let least = points.iter().map(|point| point.1).fold(f64::MAX, f64::min) / REACH;
    let most = points.iter().map(|point| point.1).fold(0.0, f64::max) * REACH;
    let (low, high) = (usable_band(series, |band| band.lo), usable_band(series, |band| band.hi));
    let within = |y: f64| y.clamp(least.min(most), most.max(least));
    let values: Vec<f64> = points
        .iter()
        .flat_map(|point| [point.1].into_iter().chain(point.2.into_iter().flatten()))
        .chain(curves.iter().flat_map(|curve| &curve.1).map(|(_, y)| within(*y)))
        .chain(low.iter().chain(&high).map(|(_, y)| within(*y)))
        .collect();
    let at: Vec<f64> = points.iter().map(|point| point.0).collect();
    let largest = at.iter().copied().fold(0.0, f64::max);
    let end = curves.iter().flat_map(|curve| &curve.1).map(|(p, _)| *p).fold(0.0, f64::max);
    let title = format!("Models and extrapolation: {}", font::clean(&series.name));
    let what = match series.metric {
        Metric::Time => "median wall time (s)",
        Metric::Throughput => "median throughput (work/s)",
    };
    let mut caption = format!(
        "Marks: measured {what} with its interval. Lines: fitted models. Right of the vertical line \
         (p = {largest}) nothing was measured and the curves are extrapolations."
    );
    if !low.is_empty() {
        caption.push_str(
            " Field: between the least and the greatest of the models that fit about as well.",
        );
    }
    let sheetful = Sheetful {
        title: title.clone(),
        description: caption.clone(),
        alarm: alarm.map(str::to_owned),
        height: 330,
        x: Axis::ranks(&at, Some(end)),
        y: Axis::log(&values),
        x_label: unit_of(std::iter::once(series)).into(),
        y_label: what.into(),
        x_grid: true,
        legend: legend(series, &curves, !low.is_empty()),
    };
    let [bottom, top] = sheetful.y.ends();
    let svg = canvas::draw(&sheetful, |pen| {
        if low.len() > 1 {
            let outline: Vec<(f64, f64)> = low.iter().chain(high.iter().rev()).copied().collect();
            pen.field(&outline, style::GUIDE, 0.2)?;
        }
        if end > largest {
            pen.line(&[(largest, bottom), (largest, top)], style::GUIDE, 8)?;
            // Times end low and rates high on the right: the words go where curves are not.
            let share = if series.metric == Metric::Time { 0.96 } else { 0.04 };
            let height = bottom * libm::pow(top / bottom, share);
            pen.aside((largest, height), "measured", true)?;
            pen.aside((largest, height), "extrapolated", false)?;
        }
        for (k, (_, curve)) in curves.iter().enumerate() {
            pen.dashed(curve, style::color(k), k + 1)?;
        }
        for &(p, y, ends, hollow) in &points {
            if let Some(ends) = ends {
                pen.interval(p, ends, style::INK)?;
            }
            pen.mark((p, y), style::INK, style::shape(0), hollow)?;
        }
        Ok(())
    })?;
    Ok(Figure { number, stem, title, caption, svg })
}

fn usable_band(series: &Series, end: fn(&crate::scaling::report::Band) -> f64) -> Vec<(f64, f64)> {
    let fits = |value: f64| value.is_finite() && value > 0.0;
    let whole =
        |band: &&crate::scaling::report::Band| fits(band.p) && fits(band.lo) && fits(band.hi);
    series.band.iter().filter(whole).map(|band| (band.p, end(band))).collect()
}

fn legend(
    series: &Series,
    curves: &[(String, Vec<(f64, f64)>)],
    band: bool,
) -> Vec<(Sample, String)> {
    let mut legend = vec![(Sample::Point(style::INK, style::shape(0)), "measured".to_owned())];
    for (k, (model, _)) in curves.iter().enumerate() {
        let best = series.models.best.as_ref().is_some_and(|best| font::clean(best) == *model);
        let label = if best { format!("{model} (lowest AICc)") } else { model.clone() };
        legend.push((Sample::Dashed(style::color(k), k + 1), label));
    }
    if band {
        legend.push((Sample::Field(style::GUIDE, 0.2), "near-tied models".into()));
    }
    legend
}
