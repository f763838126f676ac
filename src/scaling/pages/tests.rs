//! Tables against published numbers, files against their readers, and three golden files.

use super::format::{bytes, duration, interval_like, number, percent, ratio};
use super::{Preset, latex};
use crate::scaling::render::{render, samples};
use crate::scaling::report::Report;

fn file(report: &Report, preset: Preset, name: &str) -> String {
    let files = render(report, preset).unwrap();
    let (_, content) = files.into_iter().find(|file| file.0 == name).unwrap();
    String::from_utf8(content).unwrap()
}

fn csv(report: &Report, preset: Preset) -> (Vec<String>, Vec<csv::StringRecord>) {
    let text = file(report, preset, "table.csv");
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    let heads = reader.headers().unwrap().iter().map(str::to_owned).collect();
    (heads, reader.records().map(Result::unwrap).collect())
}

/// Lines of Markdown tables as cells.
fn cells(markdown: &str) -> Vec<Vec<&str>> {
    let lines = markdown.lines().filter(|line| line.starts_with('|'));
    lines.map(|line| line.trim_matches('|').split('|').map(str::trim).collect()).collect()
}

#[test]
fn numbers_have_the_digits_of_a_measurement() {
    let shown =
        [12816.5, 0.349_366, 1.0, 0.0, -0.000_001_3, 6.1e23, f64::NAN].map(|x| number(x, 4));
    assert_eq!(shown, ["12816", "0.3494", "1.000", "0.0", "-1.300e-6", "6.100e23", "-"]);
    assert_eq!(number(-0.000_04, 1), "-0.00004");
    assert_eq!(interval_like(12.3456, [12.0, 13.0], 4), "[12.00, 13.00]");
    assert_eq!((percent(0.1234), percent(f64::INFINITY)), ("12.3 %".into(), "-".into()));
    assert_eq!(ratio(0.9996, Some([-0.0001, 1.1])), "1.000 [0.000, 1.100]");
    let times = [2e-6, 0.0123, 1.5, 119.4, 120.0, 12816.5, 200_000.0, -1.0].map(duration);
    let said = ["2.00 us", "12.3 ms", "1.50 s", "119 s", "2 min 0 s", "3 h 33 min", "2 d 7 h", "-"];
    assert_eq!(times, said);
    let sizes = [0, 1023, 1024, 1_572_864, u64::MAX].map(bytes);
    assert_eq!(sizes, ["0 B", "1023 B", "1.00 KiB", "1.50 MiB", "16.0 EiB"]);
}

#[test]
fn the_prace_form_has_the_published_speedups() {
    // PIERNIK's form for PRACE: speed-ups as published; 12.1, 20.8 and 29.1 in its own rounding.
    let page = file(&samples::piernik(), Preset::Prace, "report.md");
    let table = cells(&page);
    assert_eq!(
        table[0],
        [
            "Number of cores",
            "Wall clock time (s)",
            "Speed-up vs the first one",
            "Number of nodes",
            "Number of processes"
        ]
    );
    let published = ["1.00", "1.87", "3.50", "6.47", "12.1", "20.8", "29.1"];
    assert_eq!(table[2..9].iter().map(|row| row[2]).collect::<Vec<_>>(), published);
    assert_eq!(table[8], ["4096", "440.0", "29.1", "256", "4096"]);
    let weak = file(&samples::study(), Preset::Prace, "table.csv");
    let lines = weak.lines().filter(|line| line.contains(",weak,")).count();
    assert_eq!(lines, 8);
    assert!(weak.lines().filter(|line| line.contains(",weak,")).all(|line| line.contains(",,")));
}

#[test]
fn the_csc_form_gives_verdicts() {
    let page = file(&samples::piernik(), Preset::Csc, "report.md");
    let table = cells(&page);
    let heads = [
        "Nodes",
        "Cores",
        "Wall clock time (s)",
        "Speedup per doubling",
        "At least 1.5x",
        "Parallel efficiency",
        "At least 75 %",
    ];
    assert_eq!(table[0], heads);
    // 616 s to 440 s is 1.4x; 12816.5 / 64 / 440 is 0.455. 1060 to 616 is 1.72x but 0.650 of ideal.
    assert_eq!(table[8][3..], ["1.40", "no", "0.455", "no"]);
    assert_eq!(table[7][3..], ["1.72", "yes", "0.650", "no"]);
    assert_eq!(table[2][3..], ["-", "-", "1.000", "yes"]);
}

#[test]
fn the_archer_form_names_its_smallest_size() {
    let page = file(&samples::piernik(), Preset::Archer, "report.md");
    let table = cells(&page);
    assert_eq!(table[0][3], "Speedup over 64 cores");
    assert_eq!(table[8][1..6], ["4096", "440.0", "29.1", "64.0", "0.455"]);
}

#[test]
fn csv_reads_back_to_the_same_numbers() {
    let report = samples::hostile();
    let (heads, records) = csv(&report, Preset::Full);
    let at = |name: &str| heads.iter().position(|head| head == name).unwrap();
    let rows =
        report.series.iter().flat_map(|series| series.rows.iter().map(move |row| (series, row)));
    assert_eq!(records.len(), 18);
    for ((series, row), record) in rows.zip(&records) {
        let real = |name: &str| record[at(name)].parse::<f64>().ok();
        assert_eq!(&record[at("series")], series.name);
        assert_eq!(&record[at("ranks")], row.ranks.to_string());
        assert_eq!(real("wall_median_s"), row.median_s);
        assert_eq!(real("wall_ci95_low_s"), row.ci95_s.map(|ends| ends[0]));
        assert_eq!(real("efficiency"), row.efficiency);
        assert_eq!(real("efficiency_ci95_high"), row.efficiency_ci95.map(|ends| ends[1]));
        assert_eq!(real("karp_flatt"), row.karp_flatt);
        assert_eq!(real("mpi_efficiency"), row.mpi_efficiency);
        assert_eq!(record[at("bytes_sent")].parse().ok(), row.bytes_sent);
    }
    for preset in [Preset::Prace, Preset::Csc, Preset::Archer] {
        assert_eq!(csv(&report, preset).1.len(), 18);
    }
}

#[test]
fn json_is_the_report() {
    let report = samples::hostile();
    let json = file(&report, Preset::Full, "report.json");
    let back: Report = serde_json::from_str(&json).unwrap();
    assert!(file(&back, Preset::Full, "report.json") == json, "a digit or a field was lost");
    assert_eq!(back.series[0].name, samples::HOSTILE);
}

#[test]
fn tex_takes_no_name_for_a_command() {
    assert_eq!(
        latex::escape("50% of $x_1^2$ & {a} \\b #c ~d [e] <f> \"g\" 'h' |"),
        "50\\% of \\$x\\_1\\textasciicircum{}2\\$ \\& \\{a\\} \\textbackslash{}b \\#c \\textasciitilde{}d \
         {[}e{]} \\textless{}f\\textgreater{} \\textquotedbl{}g\\textquotedbl{} \
         \\textquotesingle{}h\\textquotesingle{} \\textbar{}"
    );
    for preset in [Preset::Full, Preset::Prace, Preset::Csc, Preset::Archer] {
        let tex = file(&samples::hostile(), preset, "table.tex");
        let code: String =
            tex.lines().filter(|line| !line.starts_with('%')).collect::<Vec<_>>().join("\n");
        assert!(!code.contains("\\input") && !code.contains("\\b "));
        let bare = code.replace("\\{", "").replace("\\}", "");
        assert_eq!(bare.matches('{').count(), bare.matches('}').count());
        let columns = tex.lines().filter_map(|line| line.trim().strip_prefix("\\begin{tabular}{"));
        let widths: Vec<usize> = columns.map(|rest| rest.trim_end_matches('}').len()).collect();
        let rows: Vec<&str> = tex.lines().filter(|line| line.ends_with("\\\\")).collect();
        assert_eq!(rows.len(), 20);
        for (k, row) in rows.iter().enumerate() {
            let cells = row.replace("\\&", "").matches('&').count() + 1;
            assert_eq!(cells, widths[usize::from(k > 10)], "{row}");
        }
    }
}

#[test]
fn a_small_report_is_as_it_was() {
    let report = samples::piernik();
    let golden = [
        ("report.md", include_str!("golden/report.md")),
        ("table.csv", include_str!("golden/table.csv")),
        ("table.tex", include_str!("golden/table.tex")),
    ];
    for (name, golden) in golden {
        assert!(
            file(&report, Preset::Prace, name) == golden,
            "{name} differs from src/scaling/pages/golden"
        );
    }
}
