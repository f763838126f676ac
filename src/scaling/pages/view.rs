//! What templates see: a report as texts, with nothing left to compute.

use serde::Serialize;

use super::Preset;
use super::models::{self, Model};
use super::table::{self, Branch, Shown};
use crate::scaling::figures::{self, mode_word};
use crate::scaling::report::{Metric, Report, Series, Unit, Verdict};

/// The whole page.
#[derive(Debug, Serialize)]
pub struct View<'a> {
    title: &'a str,
    schema: &'a str,
    preset: &'static str,
    publishable: bool,
    warnings: &'a [String],
    setup: &'a [(String, String)],
    series: Vec<SeriesView<'a>>,
    figures: Vec<FigureView<'a>>,
    left_out: Vec<[&'a str; 3]>,
}

#[derive(Debug, Serialize)]
struct SeriesView<'a> {
    name: &'a str,
    mode: &'static str,
    metric: &'static str,
    unit: &'static str,
    timing: &'a str,
    input: &'a str,
    baseline: String,
    sentences: &'a [String],
    table: Shown,
    oversubscribed: bool,
    few_repeats: bool,
    resources: Shown,
    tree_heads: Vec<String>,
    tree: Vec<Branch>,
    models: Vec<Model>,
    holdout: Option<String>,
    lint: Vec<[&'a str; 3]>,
    failed: Vec<String>,
}

#[derive(Debug, Serialize)]
struct FigureView<'a> {
    number: &'a str,
    stem: &'a str,
    title: &'a str,
    caption: &'a str,
    svg: String,
}

/// Makes the texts of a report.
pub fn view<'a>(report: &'a Report, preset: Preset, shown: &'a figures::Shown) -> View<'a> {
    let figure = |figure: &'a figures::Figure| FigureView {
        number: &figure.number,
        stem: &figure.stem,
        title: &figure.title,
        caption: &figure.caption,
        // Inside HTML the name space is known; without it no page holds an address.
        svg: figure.svg.replacen(" xmlns=\"http://www.w3.org/2000/svg\"", "", 1),
    };
    let left_out = shown.left_out.iter();
    View {
        title: &report.title,
        schema: &report.schema,
        preset: preset.name(),
        publishable: report.publishable && report.warnings.is_empty(),
        warnings: &report.warnings,
        setup: &report.setup,
        series: report.series.iter().map(|series| series_view(series, preset)).collect(),
        figures: shown.figures.iter().map(figure).collect(),
        left_out: left_out
            .map(|one| [one.number.as_str(), one.what.as_str(), one.why.as_str()])
            .collect(),
    }
}

fn series_view(series: &Series, preset: Preset) -> SeriesView<'_> {
    let (tree_heads, tree) = table::tree(series);
    let verdict = |verdict| match verdict {
        Verdict::Pass => "pass",
        Verdict::Warn => "warn",
        Verdict::Fail => "fail",
    };
    SeriesView {
        name: &series.name,
        mode: mode_word(series.mode),
        metric: if series.metric == Metric::Time { "time" } else { "throughput" },
        unit: if series.unit == Unit::Ranks { "ranks" } else { "cores (ranks x threads)" },
        timing: &series.timing,
        input: &series.input,
        baseline: table::baseline_sentence(series),
        sentences: &series.sentences,
        table: table::scaling(series, preset).shown(),
        oversubscribed: preset == Preset::Full && series.rows.iter().any(|row| row.oversubscribed),
        few_repeats: series.rows.iter().any(|row| row.ci95_s.is_some() && row.repeats < 6),
        resources: table::resources(series).shown(),
        tree_heads,
        tree,
        models: models::models(&series.models, series.metric),
        holdout: models::holdout(series),
        lint: series
            .lint
            .iter()
            .map(|lint| [verdict(lint.verdict), lint.rule.as_str(), lint.why.as_str()])
            .collect(),
        failed: series
            .failed
            .iter()
            .map(|run| format!("{} ranks, repeat {}: {}", run.ranks, run.repeat, run.why))
            .collect(),
    }
}
