//! The whole: what `render` gives for reports made by hand, read back by other programs' eyes (an XML
//! parser, a PNG decoder, a CSV reader) and measured in the drawings themselves.

#![allow(clippy::case_sensitive_file_extension_comparisons, reason = "our own names")]
#![allow(clippy::float_cmp, reason = "exact numbers")]

use std::collections::BTreeMap;

use roxmltree::{Document, Node, ParsingOptions};

use super::{render, samples};
use crate::scaling::figures::font;
use crate::scaling::pages::Preset;
use crate::scaling::report::{Metric, Mode, Report};

type Files = BTreeMap<String, Vec<u8>>;

fn files(report: &Report, preset: Preset) -> Files {
    let files = render(report, preset).unwrap();
    let count = files.len();
    let files: Files = files.into_iter().collect();
    assert_eq!(files.len(), count, "two files of one name");
    files
}

fn all() -> Vec<(&'static str, Report)> {
    vec![
        ("study", samples::study()),
        ("piernik", samples::piernik()),
        ("hostile", samples::hostile()),
        ("oversubscribed", samples::oversubscribed()),
        ("throughput", samples::throughput()),
        ("empty", samples::report("", Vec::new())),
        (
            "no rows",
            samples::report("x", vec![samples::series("", Mode::Weak, Metric::Time, vec![])]),
        ),
        ("holes", holes()),
    ]
}

/// Nothing known, or not a number, or impossible.
fn holes() -> Report {
    let mut report = samples::study();
    let bad = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -1.0, 0.0];
    for (k, row) in report.series[0].rows.iter_mut().enumerate() {
        let bad = bad[k % 5];
        row.median_s = Some(bad);
        row.ci95_s = Some([bad, 1.0]);
        row.speedup = Some(bad);
        row.efficiency = Some(bad);
        row.efficiency_ci95 = Some([0.1, bad]);
        row.karp_flatt = Some(bad);
        row.useful_share = Some(bad);
        row.mpi_efficiency = Some(bad);
        row.phases[0].max_s = bad;
        row.values = vec![bad; 3];
        if let Some(ranks) = &mut row.per_rank {
            ranks.useful_s[0] = bad;
            ranks.io_s.clear();
        }
    }
    report.series[0].curves[0].points[3] = [f64::NAN, 1e300];
    report.series[0].band[2].hi = f64::INFINITY;
    let amdahl = report.series[0].models.amdahl.as_mut().unwrap();
    (amdahl.serial_fraction, amdahl.ci95) = (f64::NAN, [f64::NAN, f64::INFINITY]);
    for row in &mut report.series[1].rows {
        *row = samples::row(row.ranks, Vec::new());
        row.nodes = None;
    }
    report.series[1].baseline.wall_s = None;
    report
}

fn text(files: &Files, name: &str) -> String {
    String::from_utf8(files[name].clone()).unwrap()
}

fn xml(text: &str) -> Document<'_> {
    let options = ParsingOptions { allow_dtd: true, ..ParsingOptions::default() };
    Document::parse_with_options(text, options).unwrap()
}

fn number(node: Node, name: &str) -> f64 {
    node.attribute(name).unwrap().parse().unwrap()
}

fn points(node: Node) -> Vec<(f64, f64)> {
    let pair =
        |pair: &str| pair.split_once(',').map(|(x, y)| (x.parse().unwrap(), y.parse().unwrap()));
    node.attribute("points").unwrap().split_whitespace().filter_map(pair).collect()
}

/// Labels of ticks as (value, position): those in a row below the chart, those in a column left of it.
fn ticks(svg: &Document, anchor: &str) -> Vec<(f64, f64)> {
    let along = if anchor == "end" { "y" } else { "x" };
    let labels = svg.descendants().filter(|node| node.attribute("text-anchor") == Some(anchor));
    let tick = |node: Node| Some((node.text()?.trim().parse().ok()?, number(node, along)));
    labels.filter_map(tick).collect()
}

/// Where a value lies on a logarithmic axis, told by its outer labels.
fn position(ticks: &[(f64, f64)], value: f64) -> f64 {
    let least = ticks.iter().copied().min_by(|a, b| a.0.total_cmp(&b.0)).unwrap();
    let most = ticks.iter().copied().max_by(|a, b| a.0.total_cmp(&b.0)).unwrap();
    least.1 + (most.1 - least.1) * (value / least.0).ln() / (most.0 / least.0).ln()
}

fn circles(svg: &Document) -> Vec<(f64, f64)> {
    let filled = |node: &Node| {
        node.has_tag_name(("http://www.w3.org/2000/svg", "circle"))
            && node.attribute("stroke") != Some("none")
    };
    let mut all: Vec<_> = svg
        .descendants()
        .filter(filled)
        .map(|node| (number(node, "cx"), number(node, "cy")))
        .collect();
    all.pop(); // the sample in the legend stands last
    all
}

/// Dashes of one colour and width, joined: first and last point.
fn dashed_ends(svg: &Document, color: &str, width: &str) -> ((f64, f64), (f64, f64)) {
    let ours = |node: &Node| {
        node.attribute("stroke") == Some(color) && node.attribute("stroke-width") == Some(width)
    };
    let dashes: Vec<Vec<(f64, f64)>> = svg
        .descendants()
        .filter(|node| node.tag_name().name() == "polyline")
        .filter(ours)
        .map(points)
        .collect();
    (dashes[0][0], *dashes.last().unwrap().last().unwrap())
}

#[test]
fn drawings_and_pages_are_well_formed_and_ask_for_nothing() {
    for (name, report) in all() {
        for preset in [Preset::Full, Preset::Prace, Preset::Csc, Preset::Archer] {
            let files = files(&report, preset);
            for (file, bytes) in &files {
                assert!(
                    file.chars()
                        .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || "-.".contains(c))
                );
                if file.ends_with(".png") {
                    continue;
                }
                let text = std::str::from_utf8(bytes).unwrap();
                for word in ["NaN", "nan ", "inf ", " inf", ">inf", "undefined"] {
                    assert!(!text.contains(word), "{name}: {word:?} in {file}");
                }
                if !(file.ends_with(".svg") || file.ends_with(".html")) {
                    continue;
                }
                let document = xml(text);
                for node in document.descendants().filter(Node::is_element) {
                    assert!(
                        !["script", "image", "img", "link", "use", "iframe"]
                            .contains(&node.tag_name().name())
                    );
                    for attribute in node.attributes() {
                        let (key, value) = (attribute.name(), attribute.value());
                        assert!(
                            !["src", "href", "srcset", "action"].contains(&key)
                                && !key.starts_with("on")
                        );
                        assert!(key == "aria-label" || !value.contains("url("), "{name}: {value}");
                    }
                    let style = node.tag_name().name() == "style";
                    assert!(
                        !style
                            || !node.text().unwrap().contains("url(")
                                && !node.text().unwrap().contains("@import")
                    );
                }
                assert!(!text.replacen("http://www.w3.org/2000/svg", "", 1).contains("http:"));
            }
        }
    }
}

#[test]
fn names_of_the_data_stay_text() {
    let files = files(&samples::hostile(), Preset::Full);
    let page = text(&files, "report.html");
    let shown = font::clean(samples::HOSTILE);
    let document = xml(&page);
    let headings = document.descendants().filter(|node| node.has_tag_name("h1"));
    assert_eq!(headings.map(|node| node.text().unwrap().to_owned()).collect::<Vec<_>>(), [shown]);
    assert!(!document.descendants().any(|node| node.has_tag_name("b")));
    let markdown = text(&files, "report.md");
    assert!(!markdown.contains("<b") && !markdown.contains("[z](w)") && markdown.contains("\\*"));
    let tables = markdown.lines().filter(|line| line.starts_with('|'));
    let pipes = |line: &str| line.replace("\\|", "").matches('|').count();
    assert!(tables.clone().count() > 20 && tables.clone().all(|line| pipes(line) > 2));
}

#[test]
fn pictures_are_300_dpi() {
    let files = files(&samples::study(), Preset::Full);
    let pictures: Vec<_> = files.iter().filter(|(name, _)| name.ends_with(".png")).collect();
    assert_eq!(pictures.len(), 9);
    for (name, bytes) in pictures {
        let reader = png::Decoder::new(std::io::Cursor::new(bytes)).read_info().unwrap();
        let info = reader.info();
        let dots = info.pixel_dims.unwrap();
        assert_eq!((info.width, dots.xppu, dots.yppu), (1890, 11811, 11811), "{name}");
        assert!(matches!(dots.unit, png::Unit::Meter));
        let svg = text(&files, &name.replace(".png", ".svg"));
        let height = number(xml(&svg).root_element(), "height");
        assert!((f64::from(info.height) - height * 2.625).abs() <= 0.5, "{name}");
    }
}

#[test]
fn the_same_report_gives_the_same_bytes_on_any_number_of_threads() {
    for (name, report) in all() {
        let first = render(&report, Preset::Full).unwrap();
        let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
        assert!(first == pool.install(|| render(&report, Preset::Full).unwrap()), "{name}");
    }
}

#[test]
fn ticks_stand_below_the_measured_points() {
    let files = files(&samples::study(), Preset::Full);
    let svg = text(&files, "figure-1-time.svg");
    let svg = xml(&svg);
    let ticks = ticks(&svg, "middle");
    let measured: Vec<f64> = ticks.iter().map(|tick| tick.0).collect();
    assert_eq!(measured, [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 48.0, 64.0, 128.0, 256.0]);
    let at: Vec<f64> = circles(&svg).iter().map(|circle| circle.0).collect();
    assert_eq!(at, ticks.iter().map(|tick| tick.1).collect::<Vec<_>>());
}

#[test]
fn ideal_lines_pass_through_the_first_point() {
    let report = samples::piernik();
    let files = files(&report, Preset::Full);
    let svg = text(&files, "figure-1-time.svg");
    let svg = xml(&svg);
    let (x, y) = (ticks(&svg, "middle"), ticks(&svg, "end"));
    let (first, last) = dashed_ends(&svg, "#0072B2", "10");
    assert_eq!(first, circles(&svg)[0]);
    assert!(
        (first.0 - position(&x, 64.0)).abs() < 1.5 && (first.1 - position(&y, 12816.5)).abs() < 1.5
    );
    assert!(
        (last.0 - position(&x, 4096.0)).abs() < 1.5
            && (last.1 - position(&y, 12816.5 / 64.0)).abs() < 1.5
    );
    let svg = text(&files, "figure-2-speedup.svg");
    let svg = xml(&svg);
    let (x, y) = (ticks(&svg, "middle"), ticks(&svg, "end"));
    let (first, last) = dashed_ends(&svg, "#666666", "10");
    assert!(first.0 - position(&x, 64.0) < 1.5 && (first.1 - position(&y, 1.0)).abs() < 1.5);
    assert!(last.0 > first.0 && y.len() > 4);
}

#[test]
fn marks_lie_where_the_numbers_say() {
    let report = samples::throughput();
    let files = files(&report, Preset::Full);
    let svg = text(&files, "figure-1-throughput.svg");
    let svg = xml(&svg);
    let (x, y) = (ticks(&svg, "middle"), ticks(&svg, "end"));
    let shown = circles(&svg);
    assert_eq!(shown.len(), 7);
    for (row, at) in report.series[0].rows.iter().zip(shown) {
        let p = crate::num::to_f64(row.ranks);
        assert!((at.0 - position(&x, p)).abs() < 2.0, "{p}");
        assert!((at.1 - position(&y, row.throughput.unwrap())).abs() < 2.0, "{p}");
    }
    let words: Vec<&str> =
        svg.descendants().filter_map(|node| node.text()).map(str::trim).collect();
    assert!(
        words.contains(&"median throughput (work/s)") && !words.contains(&"median wall time (s)")
    );
}

#[test]
fn thresholds_are_at_their_heights() {
    let files = files(&samples::study(), Preset::Full);
    for (file, color) in
        [("figure-3-efficiency.svg", "#666666"), ("figure-4-weak-efficiency.svg", "#666666")]
    {
        let svg = text(&files, file);
        let svg = xml(&svg);
        let y = ticks(&svg, "end");
        let height = |value: f64| {
            let (zero, one) =
                (y.iter().find(|tick| tick.0 == 0.0), y.iter().find(|tick| tick.0 == 1.0));
            zero.unwrap().1 + (one.unwrap().1 - zero.unwrap().1) * value
        };
        let ours = |node: &Node| node.attribute("stroke") == Some(color);
        let lines =
            svg.descendants().filter(|node| node.tag_name().name() == "polyline").filter(ours);
        let mut heights: Vec<f64> = lines.map(|node| points(node)[0].1).collect();
        heights.dedup();
        heights.truncate(3);
        for (value, at) in [1.0, 0.8, 0.75].into_iter().zip(heights) {
            assert!((at - height(value)).abs() < 1.5, "{value}");
        }
    }
}

#[test]
fn labels_do_not_run_into_each_other() {
    let rows = (1..=64).map(|p| samples::row(p, vec![64.0 / crate::num::to_f64(p)])).collect();
    let report =
        samples::report("dense", vec![samples::series("dense", Mode::Strong, Metric::Time, rows)]);
    let files = files(&report, Preset::Full);
    let svg = text(&files, "figure-1-time.svg");
    let svg = xml(&svg);
    let mut labels = ticks(&svg, "middle");
    labels.sort_by(|a, b| a.1.total_cmp(&b.1));
    assert!(labels.len() > 8 && labels[0].0 == 1.0 && labels.last().unwrap().0 == 64.0);
    for pair in labels.windows(2) {
        let half = |value: f64| font::width(&format!("{value}"), 120.0) / 2.0;
        assert!(pair[0].1 + half(pair[0].0) < pair[1].1 - half(pair[1].0), "{pair:?}");
    }
    for node in svg.descendants().filter(|node| node.attribute("text-anchor") == Some("start")) {
        let end =
            number(node, "x") + font::width(node.text().unwrap().trim(), number(node, "font-size"));
        assert!(end < 7200.0);
    }
}

#[test]
fn warnings_mark_every_figure_and_hollow_the_points() {
    let files = files(&samples::oversubscribed(), Preset::Full);
    let figures: Vec<&String> = files.keys().filter(|name| name.ends_with(".svg")).collect();
    assert_eq!(figures.len(), 4);
    for name in figures {
        assert!(
            text(&files, name).contains("not for publication: more ranks than cores"),
            "{name}"
        );
    }
    let svg = text(&files, "figure-1-time.svg");
    assert_eq!(svg.matches("fill=\"#FFFFFF\" stroke=\"none\" stroke-width").count(), 2);
    assert!(text(&files, "report.html").contains("Read this first"));
    assert!(text(&files, "report.md").contains("| 4\\* |"));
    assert!(text(&files, "table.tex").contains("Not for publication"));
    let clean = super::tests::files(&samples::study(), Preset::Full);
    assert!(
        !clean
            .iter()
            .any(|(name, _)| name.ends_with(".svg") && text(&clean, name).contains("publication"))
    );
}

#[test]
fn what_does_not_apply_is_left_out_and_said() {
    let files = files(&samples::piernik(), Preset::Full);
    let svgs: Vec<&str> = files.keys().filter_map(|name| name.strip_suffix(".svg")).collect();
    assert_eq!(
        svgs,
        ["figure-1-time", "figure-2-speedup", "figure-3-efficiency", "figure-5-karp-flatt"]
    );
    for page in ["report.html", "report.md"] {
        let page = text(&files, page);
        for line in [
            "Figure 4 (weak efficiency) is left out: no weak series with efficiencies.",
            "left out: neither shares nor phases known for A, B.",
            "Figure 7 (models and extrapolation) is left out: no fitted model for A, B.",
            "Figure 8 (load of each rank) is left out: no times of single ranks for A, B.",
        ] {
            assert!(page.contains(line), "{line}");
        }
    }
}

#[test]
fn a_thousand_runs_are_shown_at_once() {
    let report = samples::crowd(10, 10, 10);
    let start = std::time::Instant::now();
    let files = files(&report, Preset::Full);
    let seconds = start.elapsed().as_secs_f64();
    assert_eq!(files.len(), 75);
    assert!(cfg!(debug_assertions) || seconds < 1.5, "{seconds} s");
}
