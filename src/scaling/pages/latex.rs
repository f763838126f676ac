//! `table.tex`: one booktabs table for each series, and its points as a file that pgfplots reads.
//! It is a fragment to `\input`, so that it takes the fonts and numbers of the proposal it goes into.

use std::fmt::Write;

use super::Preset;
use super::table::{self, baseline_sentence};
use crate::scaling::figures::{font, measured, mode_word, p};
use crate::scaling::report::{Metric, Report, Row, Series};

/// `text` with all that TeX would take for a command made harmless. A bracket after a line's end
/// would be its optional argument, so brackets are in braces.
pub fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in font::clean(text).chars() {
        match c {
            '&' | '%' | '$' | '#' | '_' | '{' | '}' => {
                escaped.push('\\');
                escaped.push(c);
            }
            '\\' => escaped.push_str("\\textbackslash{}"),
            '\u{a0}' => escaped.push('~'),
            '~' => escaped.push_str("\\textasciitilde{}"),
            '^' => escaped.push_str("\\textasciicircum{}"),
            '<' => escaped.push_str("\\textless{}"),
            '>' => escaped.push_str("\\textgreater{}"),
            '|' => escaped.push_str("\\textbar{}"),
            '"' => escaped.push_str("\\textquotedbl{}"),
            '\'' => escaped.push_str("\\textquotesingle{}"),
            '`' => escaped.push_str("\\textasciigrave{}"),
            '[' => escaped.push_str("{[}"),
            ']' => escaped.push_str("{]}"),
            c => escaped.push(c),
        }
    }
    escaped
}

/// The fragment.
pub fn tex(report: &Report, preset: Preset) -> String {
    let mut tex = String::from(
        "% Made by dcomp. In the preamble: \\usepackage[T1]{fontenc}, \\usepackage{textcomp},\n\
         % \\usepackage{booktabs}, \\usepackage{graphicx}; for the points \\usepackage{pgfplots}, then\n\
         % \\addplot table[x=p, y=value] {points-1.dat};\n",
    );
    for warning in &report.warnings {
        let _ = writeln!(tex, "% NOT FOR PUBLICATION: {}", font::clean(warning));
    }
    for (k, series) in report.series.iter().enumerate() {
        one(&mut tex, report, series, k + 1, preset);
    }
    tex
}

// Writing to a string cannot fail, so results of `write!` are not looked at.
fn one(tex: &mut String, report: &Report, series: &Series, k: usize, preset: Preset) {
    let shown = table::scaling(series, preset).shown();
    let cells = |cells: &[String]| {
        let cells: Vec<String> = cells.iter().map(|cell| escape(cell)).collect();
        format!("    {} \\\\\n", cells.join(" & "))
    };
    let mut caption = format!(
        "{} ({} scaling). Baseline: {}.",
        escape(&series.name),
        mode_word(series.mode),
        escape(&baseline_sentence(series)),
    );
    if let Some(warning) = report.warnings.first() {
        let _ = write!(caption, " \\textbf{{Not for publication: {}}}", escape(warning));
    }
    if preset == Preset::Full && series.rows.iter().any(|row| row.oversubscribed) {
        caption.push_str(" *~More ranks or threads than cores.");
    }
    let columns = "r".repeat(shown.headings.len());
    let _ = write!(
        tex,
        "\n\\begin{{table}}[htbp]\n  \\centering\n  \\caption{{{caption}}}\n  \
         \\label{{tab:scaling-{k}}}\n  \\resizebox{{\\ifdim\\width>\\linewidth\\linewidth\\else\
         \\width\\fi}}{{!}}{{%\n  \\begin{{tabular}}{{{columns}}}\n    \\toprule\n{}    \\midrule\n",
        cells(&shown.headings),
    );
    for row in &shown.rows {
        tex.push_str(&cells(row));
    }
    tex.push_str("    \\bottomrule\n  \\end{tabular}}\n\\end{table}\n");
    points(tex, series, k);
}

/// The measured points. Lines without a value are left out, and columns that any line lacks: what is
/// not a number would stop pgfplots or bend a curve.
fn points(tex: &mut String, series: &Series, k: usize) {
    type Field<'a> = (&'a str, Box<dyn Fn(&Row) -> Option<f64> + 'a>);
    let rows: Vec<&Row> =
        series.rows.iter().filter(|row| measured(series, row).is_some()).collect();
    if rows.is_empty() {
        return;
    }
    let timed = series.metric == Metric::Time;
    let fields: Vec<Field> = vec![
        ("p", Box::new(|row| Some(p(series, row)))),
        ("value", Box::new(|row| measured(series, row))),
        ("low", Box::new(move |row| row.ci95_s.filter(|_| timed).map(|ends| ends[0]))),
        ("high", Box::new(move |row| row.ci95_s.filter(|_| timed).map(|ends| ends[1]))),
        ("speedup", Box::new(|row| row.speedup)),
        ("efficiency", Box::new(|row| row.efficiency)),
    ];
    let whole = |field: &&Field| rows.iter().all(|row| field.1(row).is_some_and(f64::is_finite));
    let fields: Vec<&Field> = fields.iter().filter(whole).collect();
    let names: Vec<&str> = fields.iter().map(|(name, _)| *name).collect();
    let _ = writeln!(tex, "\\begin{{filecontents*}}[overwrite]{{points-{k}.dat}}");
    let _ = writeln!(tex, "{}", names.join(" "));
    for row in rows {
        let values: Vec<String> = fields
            .iter()
            .filter_map(|(_, field)| field(row))
            .map(|value| value.to_string())
            .collect();
        let _ = writeln!(tex, "{}", values.join(" "));
    }
    tex.push_str("\\end{filecontents*}\n");
}
