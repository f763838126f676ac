//! The pages and tables of a scaling report as bytes: `report.html`, `report.md`, `table.csv`,
//! `table.tex`, `report.json`. Pages are templates that only lay out; every text of the data is
//! escaped where it is put in, by the kind of page, so that no template can forget it.

mod data;
mod format;
mod latex;
mod models;
mod table;
mod view;

#[cfg(test)]
mod tests;

use minijinja::syntax::SyntaxConfig;
use minijinja::value::Serde;
use minijinja::{AutoEscape, Environment, UndefinedBehavior, Value, escape_formatter};

use crate::scaling::figures::{self, font};
use crate::scaling::render::Error;
use crate::scaling::report::Report;

/// Whose table is made: which columns it has, under which headings.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Preset {
    /// All that is known.
    #[default]
    Full,
    /// PRACE preparatory access: cores, wall clock time, speed-up vs the first one, nodes, processes.
    Prace,
    /// CSC (Mahti): nodes, cores, time, speedup per doubling, efficiency, each with its verdict.
    Csc,
    /// ARCHER2: speedup over the smallest number of cores that can be used.
    Archer,
}

impl Preset {
    /// Its name on pages.
    pub fn name(self) -> &'static str {
        match self {
            Self::Full => "all columns",
            Self::Prace => "PRACE form",
            Self::Csc => "CSC form",
            Self::Archer => "ARCHER2 form",
        }
    }
}

/// Names and contents of the pages, in a fixed order.
///
/// # Errors
/// When a template is broken, never because of what the report says.
pub fn pages(
    report: &Report,
    preset: Preset,
    shown: &figures::Shown,
) -> Result<Vec<(String, Vec<u8>)>, Error> {
    let told = |error: minijinja::Error| Error::Page(format!("{error:#}"));
    let environment = environment().map_err(told)?;
    let view = Value::from(Serde(view::view(report, preset, shown)));
    let fill = |name: &str| {
        environment.get_template(name).and_then(|page| page.render(&view)).map_err(told)
    };
    Ok(vec![
        ("report.html".into(), fill("report.html")?.into_bytes()),
        ("report.md".into(), fill("report.md")?.into_bytes()),
        ("table.csv".into(), data::csv(report, preset)?),
        ("table.tex".into(), latex::tex(report, preset).into_bytes()),
        ("report.json".into(), data::json(report)?),
    ])
}

fn environment() -> Result<Environment<'static>, minijinja::Error> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    let blocks = SyntaxConfig::builder()
        .trim_blocks(true)
        .lstrip_blocks(true)
        .keep_trailing_newline(true)
        .build()?;
    environment.set_syntax(blocks);
    environment.set_auto_escape_callback(|name| {
        if name == "report.md" { AutoEscape::Custom("markdown".into()) } else { AutoEscape::Html }
    });
    environment.set_formatter(|out, state, value| {
        let in_markdown = matches!(state.auto_escape(), AutoEscape::Custom(_));
        match value.as_str().filter(|_| !value.is_safe()).map(font::clean) {
            Some(text) if in_markdown => Ok(out.write_str(&markdown(&text))?),
            None if in_markdown => Ok(write!(out, "{value}")?),
            Some(text) => escape_formatter(out, state, &Value::from(text)),
            None => escape_formatter(out, state, value),
        }
    });
    environment.add_template("report.html", include_str!("report.html"))?;
    environment.add_template("report.md", include_str!("report.md"))?;
    Ok(environment)
}

/// `text` with what Markdown or HTML in it would take for markup made harmless. Brackets stay, for
/// intervals are full of them: without a parenthesis, colon or bracket behind they are no link.
fn markdown(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    let mut last = ' ';
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '\\' | '`' | '*' | '_' | '|' | '~' | '#' => {
                escaped.push('\\');
                escaped.push(c);
            }
            '(' | '[' | ':' if last == ']' => {
                escaped.push('\\');
                escaped.push(c);
            }
            c => escaped.push(c),
        }
        last = c;
    }
    escaped
}
