//! Where parameters come from: built-in defaults < deck < environment < flags.
//!
//! Each source is a layer, a table of keys; flags and deck keys have the same names (`-` and `_`
//! are the same). Layers merge key by key and every value keeps its source, so that `--dry-run`
//! can print it and an error can name the flag or key to change. Pure: text in, parameters out.

use serde::de::DeserializeOwned;
use toml::{Table, Value};

use crate::error::{Error, Result};

/// Where a layer's values were written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// Compiled in.
    Default,
    /// A deck file.
    Deck(String),
    /// A `DCOMP_*` variable.
    Environment,
    /// What a file says about the run that made it.
    Provenance(String),
    /// The command line.
    Flag,
}

impl Source {
    /// How a user would write `key` in this source.
    fn name(&self, key: &str) -> String {
        match self {
            Self::Deck(file) => format!("{key} in {file}"),
            Self::Environment => variable(key),
            Self::Provenance(file) => format!("{key} of {file}"),
            // A default is changed by the flag.
            Self::Default | Self::Flag => flag(key),
        }
    }

    fn label(&self) -> String {
        match self {
            Self::Default => "default".into(),
            Self::Deck(file) => format!("deck {file}"),
            Self::Environment => "environment".into(),
            Self::Provenance(file) => format!("provenance of {file}"),
            Self::Flag => "flag".into(),
        }
    }
}

fn flag(key: &str) -> String {
    format!("--{}", key.replace('_', "-"))
}

fn variable(key: &str) -> String {
    format!("DCOMP_{}", key.to_uppercase())
}

/// One source's values.
#[derive(Clone, Debug)]
pub struct Layer {
    /// Where they were written.
    pub source: Source,
    /// The values by key, `_` between words.
    pub values: Table,
}

/// A deck's text, split into its job's name and its values.
#[derive(Clone, Debug)]
pub struct Deck {
    /// The value of `job`.
    pub job: Option<String>,
    /// Everything else.
    pub layer: Layer,
}

/// What is wrong with a TOML text, and in which line, without the picture that the library draws.
pub fn toml_problem(cause: &toml::de::Error, text: &str) -> String {
    let at = cause.span().map_or(0, |span| span.start.min(text.len()));
    let line = text.as_bytes()[..at].split(|byte| *byte == b'\n').count();
    format!("line {line}: {}", cause.message().trim_end().replace('\n', ", "))
}

/// Reads a deck's text; `file` is its name in messages.
///
/// # Errors
/// When it is not TOML or `job` is not a string.
pub fn parse(text: &str, file: &str) -> Result<Deck> {
    let table: Table = text.parse().map_err(|cause| {
        let why = toml_problem(&cause, text);
        Error::usage(format!(
            "the deck {file} is not TOML: {why}; jobs/mandelbrot.toml shows how a deck looks"
        ))
    })?;
    let mut values = Table::new();
    for (key, value) in table {
        let name = key.replace('-', "_");
        if values.insert(name, value).is_some() {
            return Err(Error::usage(format!(
                "{key} in {file} is given twice, with - and with _; keep one"
            )));
        }
    }
    let job = match values.remove("job") {
        None => None,
        Some(Value::String(job)) => Some(job),
        Some(other) => {
            return Err(Error::usage(format!(
                "job in {file} is {other}; write the job's name in quotes"
            )));
        }
    };
    Ok(Deck { job, layer: Layer { source: Source::Deck(file.into()), values } })
}

/// The layer of `DCOMP_*` variables for `keys`, read through `lookup`. Those of `texts` are taken
/// as they are, the others as TOML would read them.
pub fn environment(
    keys: &[String],
    texts: &[&str],
    lookup: impl Fn(&str) -> Option<String>,
) -> Layer {
    let value = |key: &String, text: String| {
        if texts.contains(&key.as_str()) { Value::String(text) } else { typed(&text) }
    };
    let values = keys
        .iter()
        .filter_map(|key| lookup(&variable(key)).map(|text| (key.clone(), value(key, text))))
        .collect();
    Layer { source: Source::Environment, values }
}

/// A variable's text as TOML would read it, or as a string when it is not TOML.
fn typed(text: &str) -> Value {
    let line = format!("value = {text}");
    line.parse::<Table>()
        .ok()
        .and_then(|mut table| table.remove("value"))
        .unwrap_or_else(|| Value::String(text.into()))
}

/// Merged layers: each key with its value and source.
#[derive(Clone, Debug)]
pub struct Merged {
    values: Vec<(String, Value, Source)>,
}

/// Merges `layers`, lowest first, after checking each key against the first layer's. Within a
/// group of `exclusive` keys a higher layer that sets one of the second set drops the first set of
/// lower layers, and the other way round (a view is a region, or a centre and zoom).
///
/// # Errors
/// For an unknown key (with a suggestion), or when one layer sets both sides of a group.
pub fn merge(
    layers: &[Layer],
    known: &[String],
    exclusive: &[(&[&str], &[&str])],
) -> Result<Merged> {
    let mut values: Vec<(String, Value, Source)> = Vec::new();
    for layer in layers {
        for key in layer.values.keys() {
            if !known.contains(key) {
                return Err(unknown(key, &layer.source, known));
            }
        }
        for (one, other) in exclusive {
            let set = |key: &&&str| layer.values.contains_key(**key);
            let (first, second) = (one.iter().find(set), other.iter().find(set));
            if let (Some(first), Some(second)) = (first, second) {
                let name = |key| layer.source.name(key);
                return Err(Error::usage(format!(
                    "{} and {} exclude each other; give one of them",
                    name(first),
                    name(second)
                )));
            }
            if first.is_some() {
                values.retain(|(key, ..)| !other.contains(&key.as_str()));
            }
            if second.is_some() {
                values.retain(|(key, ..)| !one.contains(&key.as_str()));
            }
        }
        for (key, value) in &layer.values {
            values.retain(|(known, ..)| known != key);
            values.push((key.clone(), value.clone(), layer.source.clone()));
        }
    }
    Ok(Merged { values })
}

fn unknown(key: &str, source: &Source, known: &[String]) -> Error {
    let near = nearest(key, known.iter().map(String::as_str));
    let help = match near {
        Some(candidate) => format!("did you mean {candidate}?"),
        None => format!("known keys are {}", known.join(", ")),
    };
    Error::usage(format!("{} is not a key of this job; {help}", source.name(key)))
}

/// The candidate most like a word that was mistyped, when one is like it at all.
pub fn nearest<'a>(word: &str, candidates: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    candidates
        .map(|candidate| (strsim::jaro_winkler(candidate, word), candidate))
        .filter(|(likeness, _)| *likeness > 0.75)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, candidate)| candidate)
}

impl Merged {
    /// How the user would write `key` where it was set: `--width`, `width in poster.toml`, ...
    pub fn name(&self, key: &str) -> String {
        let found = self.values.iter().find(|(known, ..)| known == key);
        found.map_or_else(|| flag(key), |(_, _, source)| source.name(key))
    }

    /// Whether any source set `key`.
    pub fn is_set(&self, key: &str) -> bool {
        self.values.iter().any(|(known, ..)| known == key)
    }

    /// The merged values as the parameters of a job.
    ///
    /// # Errors
    /// When a value has the wrong type or range; names its key and source.
    pub fn read<T: DeserializeOwned>(&self) -> Result<T> {
        let all: Table = self.values.iter().map(|(k, v, _)| (k.clone(), v.clone())).collect();
        T::deserialize(Value::Table(all.clone())).map_err(|cause| {
            // Serde names the type it wanted, not the key; the key is the one whose absence helps.
            let culprit = self.values.iter().find(|(key, ..)| {
                let mut without = all.clone();
                without.remove(key);
                match T::deserialize(Value::Table(without)) {
                    Ok(_) => true,
                    Err(other) => other.message() != cause.message(),
                }
            });
            let name = culprit.map_or("the deck".into(), |(key, _, source)| source.name(key));
            Error::usage(format!("{name}: {}", cause.message().trim_end()))
        })
    }

    /// Lines `key = value  (source)` for `--dry-run`.
    pub fn describe(&self) -> Vec<String> {
        let mut sorted: Vec<_> = self.values.iter().collect();
        sorted.sort_by(|a, b| a.0.cmp(&b.0));
        sorted
            .iter()
            .map(|(key, value, source)| {
                format!("{:<34} ({})", format!("{key} = {value}"), source.label())
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layer(source: Source, text: &str) -> Layer {
        Layer { source, values: text.parse().unwrap() }
    }

    fn known() -> Vec<String> {
        ["width", "height", "region", "center", "zoom"].map(String::from).to_vec()
    }

    const VIEW: &[(&[&str], &[&str])] = &[(&["region"], &["center", "zoom"])];

    #[derive(Debug, serde::Deserialize)]
    struct Size {
        width: u32,
        #[serde(default)]
        height: u32,
    }

    #[test]
    fn higher_layers_win_and_are_named() {
        let deck = parse("width = 3\nheight = 4", "a.toml").unwrap().layer;
        let flags = layer(Source::Flag, "width = 9");
        let merged = merge(&[deck, flags], &known(), VIEW).unwrap();
        let size: Size = merged.read().unwrap();
        assert_eq!((size.width, size.height), (9, 4));
        assert_eq!(merged.name("width"), "--width");
        assert_eq!(merged.name("height"), "height in a.toml");
    }

    #[test]
    fn a_higher_view_drops_the_lower_one() {
        let deck = layer(Source::Deck("d".into()), "region = [1, 2, 3, 4]");
        let flags = layer(Source::Flag, "zoom = 3.0");
        let merged = merge(&[deck.clone(), flags], &known(), VIEW).unwrap();
        assert_eq!(merged.values.len(), 1);
        let both = layer(Source::Flag, "zoom = 3.0\nregion = [1]");
        let error = merge(&[deck, both], &known(), VIEW).unwrap_err();
        assert!(error.message.contains("--region and --zoom exclude"), "{error}");
    }

    #[test]
    fn mistakes_are_named() {
        let deck = parse("widht = 3", "a.toml").unwrap().layer;
        let error = merge(&[deck], &known(), VIEW).unwrap_err();
        assert_eq!(error.message, "widht in a.toml is not a key of this job; did you mean width?");
        let error = parse("max-width = 3\nmax_width = 4", "a.toml").unwrap_err();
        assert!(error.message.contains("given twice"), "{error}");
        let error = parse("width == 3", "a.toml").unwrap_err();
        assert!(error.message.contains("a.toml is not TOML"), "{error}");
        let deck = parse("width = 3\nheight = -1", "a.toml").unwrap().layer;
        let error = merge(&[deck], &known(), VIEW).unwrap().read::<Size>().unwrap_err();
        assert!(error.message.starts_with("height in a.toml: "), "{error}");
        let deck = parse("width = \"x\"", "a.toml").unwrap().layer;
        let error = merge(&[deck], &known(), VIEW).unwrap().read::<Size>().unwrap_err();
        assert!(error.message.starts_with("width in a.toml: "), "{error}");
    }

    #[test]
    fn variables_are_typed_like_toml() {
        let lookup = |name: &str| match name {
            "DCOMP_WIDTH" => Some("12".to_owned()),
            "DCOMP_REGION" => Some("-2,1,-1,1".to_owned()),
            "DCOMP_ZOOM" => Some("7".to_owned()),
            _ => None,
        };
        let layer = environment(&known(), &["zoom"], lookup);
        assert_eq!(layer.values["width"], Value::Integer(12));
        assert_eq!(layer.values["zoom"], Value::String("7".into()));
        assert_eq!(layer.values["region"], Value::String("-2,1,-1,1".into()));
    }
}
