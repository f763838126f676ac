//! The parameters of a sort: what was typed, what it means, and what is refused.
//!
//! Pure: a merged deck in, a checked [`Spec`] out. Every refusal names the flag or key.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::dataset;
use super::form::{Form, KeyType, Keys, Lines, Records};
use super::lines::{Flags, Order};
use super::records::Layout;
use crate::deck::Merged;
use crate::error::{Error, Result};
use crate::generate::keys::KeySource;
use crate::units::deserialize_size;

/// The built-in deck.
pub const DEFAULTS: &str = include_str!("../../jobs/mergesort.toml");

/// Keys besides those of the built-in deck.
pub const OPTIONAL_KEYS: [&str; 7] =
    ["input", "generate", "count", "key", "separator", "memory", "scratch"];

/// Keys whose values are text whatever they look like.
pub const TEXT_KEYS: [&str; 5] = ["output", "type", "generate", "separator", "scratch"];

/// What is sorted comes from files or is made.
pub const SOURCE_KEYS: (&[&str], &[&str]) = (&["input"], &["generate", "count"]);

/// Largest record and key.
const RECORD_MAX: usize = 1 << 24;

/// What the items are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Bare numbers of the type of the datasets they are read from, until those have been opened.
    Dataset,
    /// Bare numbers.
    Key(KeyType),
    /// Records of so many bytes, the first of which are the key.
    Record(usize, usize),
    /// Text.
    Lines,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dataset => f.write_str("auto"),
            Self::Key(kind) => kind.fmt(f),
            Self::Record(bytes, key) => write!(f, "record:{bytes}:{key}"),
            Self::Lines => f.write_str("lines"),
        }
    }
}

impl FromStr for Kind {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        match text {
            "lines" => return Ok(Self::Lines),
            "auto" => return Ok(Self::Dataset),
            _ => {}
        }
        if let Some(sizes) = text.strip_prefix("record:") {
            return record(sizes).ok_or_else(|| {
                format!(
                    "`{text}`: write record:LEN:KEYLEN with 1 <= KEYLEN <= LEN <= {RECORD_MAX}, \
                     such as record:100:10"
                )
            });
        }
        text.parse().map(Self::Key).map_err(|_| {
            let keys = KeyType::ALL.map(|kind| kind.to_string()).join(", ");
            format!("`{text}` is no type; there are {keys}, record:LEN:KEYLEN and lines")
        })
    }
}

fn record(sizes: &str) -> Option<Kind> {
    let (bytes, key) = sizes.split_once(':')?;
    let (bytes, key) = (bytes.parse().ok()?, key.parse().ok()?);
    ((1..=bytes).contains(&key) && bytes <= RECORD_MAX).then_some(Kind::Record(bytes, key))
}

impl Serialize for Kind {
    fn serialize<S: serde::Serializer>(&self, to: S) -> std::result::Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Kind {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> std::result::Result<Self, D::Error> {
        String::deserialize(from)?.parse().map_err(serde::de::Error::custom)
    }
}

/// A word or several.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged, expecting = "expected a text, or several as [\"a\", \"b\"]")]
enum Words {
    One(String),
    Many(Vec<String>),
}

fn words(given: Option<Words>) -> Vec<String> {
    match given {
        None => Vec::new(),
        Some(Words::One(word)) => vec![word],
        Some(Words::Many(words)) => words,
    }
}

/// What was typed, with the types of the keys.
#[derive(Clone, Debug, Deserialize)]
#[expect(clippy::struct_excessive_bools, reason = "they are switches of a command line")]
struct Options {
    input: Option<Words>,
    generate: Option<String>,
    count: Option<u64>,
    blocks: u64,
    seed: u64,
    output: PathBuf,
    r#type: String,
    reverse: bool,
    unique: bool,
    numeric: bool,
    stable: bool,
    zero_terminated: bool,
    key: Option<Words>,
    separator: Option<String>,
    parts: bool,
    #[serde(default, deserialize_with = "deserialize_size")]
    memory: Option<u64>,
    scratch: Option<PathBuf>,
    compress_temp: bool,
}

/// Keys to be made rather than read.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Generate {
    /// How they are spread.
    pub pattern: String,
    /// How many.
    pub count: u64,
    /// Blocks of patterns that speak of ranks.
    pub blocks: u64,
}

impl Generate {
    /// What makes them; else the key that is wrong, and a sentence.
    fn keys(
        &self,
        key_type: KeyType,
        seed: u64,
    ) -> std::result::Result<KeySource, (&'static str, String)> {
        let pattern = self.pattern.parse().map_err(|problem| ("pattern", problem))?;
        KeySource::typed(key_type, pattern, self.count, self.blocks, seed)
    }
}

/// A checked sort.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[expect(clippy::struct_excessive_bools, reason = "they are switches of a command line")]
pub struct Spec {
    /// Files, one sequence together.
    pub input: Vec<String>,
    /// Keys made instead.
    pub generate: Option<Generate>,
    /// Chooses the keys that are made.
    pub seed: u64,
    /// The sorted file, or the directory of parts.
    pub output: PathBuf,
    /// The dataset in it, when it is an HDF5 file.
    pub dataset: Option<String>,
    /// What the items are.
    #[serde(rename = "type")]
    pub kind: Kind,
    /// From the greatest to the least.
    pub reverse: bool,
    /// The first of equal items only.
    pub unique: bool,
    /// The order of lines.
    pub lines: Flags,
    /// One file a rank.
    pub parts: bool,
    /// Bytes of memory per rank, when the user said so.
    pub memory: Option<u64>,
    /// Where runs lie that exceed memory.
    pub scratch: Option<PathBuf>,
    /// Whether they are compressed.
    pub compress_temp: bool,
}

impl Spec {
    /// Checks a merged deck.
    ///
    /// # Errors
    /// A usage error that names the flag or key.
    pub fn from_deck(merged: &Merged) -> Result<Self> {
        let options: Options = merged.read()?;
        let named =
            |key: &str, problem: String| Error::usage(format!("{}: {problem}", merged.name(key)));
        let input = words(options.input);
        if input.iter().any(String::is_empty) {
            return Err(Error::usage("an empty name among the inputs; remove it"));
        }
        if input.iter().any(|name| name == "-") {
            return Err(Error::usage(
                "-: standard input cannot be cut among ranks; write it to a file first",
            ));
        }
        let generate = match (options.generate, options.count) {
            (Some(pattern), Some(count)) => {
                Some(Generate { pattern, count, blocks: options.blocks })
            }
            (Some(_), None) => return Err(named("generate", "how many? add --count N".into())),
            (None, Some(_)) => {
                return Err(named("count", "of what? add --generate PATTERN".into()));
            }
            (None, None) => None,
        };
        if input.is_empty() && generate.is_none() {
            return Err(Error::usage(
                "nothing to sort: give files, or --generate PATTERN --count N",
            ));
        }
        let kind: Kind = options.r#type.parse().map_err(|problem| named("type", problem))?;
        let kind = match kind {
            Kind::Dataset if generate.is_some() => Kind::Key(KeyType::U64),
            kind => of_inputs(&input, kind).map_err(|problem| named("type", problem))?,
        };
        let lines = Flags {
            numeric: options.numeric,
            reverse: options.reverse,
            unique: options.unique,
            key: words(options.key),
            separator: options.separator,
            zero_terminated: options.zero_terminated,
            stable: options.stable,
        };
        if let Some(key) = foreign(kind, &lines) {
            return Err(named(key, format!("is for --type lines, not for {kind}")));
        }
        if kind == Kind::Lines {
            Order::parse(&lines)?;
        }
        if let Some(made) = &generate {
            let Kind::Key(key_type) = kind else {
                let problem = format!("makes bare keys, not {kind}; use dcomp generate records");
                return Err(named("generate", problem));
            };
            made.keys(key_type, options.seed).map_err(|(key, problem)| {
                named(if key == "pattern" { "generate" } else { key }, problem)
            })?;
        }
        let (output, dataset) = output(&options.output, kind, options.parts)
            .map_err(|problem| named("output", problem))?;
        if options.memory.is_some_and(|memory| memory < super::MEMORY_MIN) {
            return Err(named("memory", "give 1M or more".into()));
        }
        Ok(Self {
            input,
            generate,
            seed: options.seed,
            output,
            dataset,
            kind,
            reverse: options.reverse,
            unique: options.unique,
            lines,
            parts: options.parts,
            memory: options.memory,
            scratch: options.scratch,
            compress_temp: options.compress_temp,
        })
    }

    /// What makes the keys, if they are made.
    pub fn made(&self) -> Option<Result<KeySource>> {
        let Kind::Key(key_type) = self.kind else { return None };
        let keys = self.generate.as_ref()?.keys(key_type, self.seed);
        Some(keys.map_err(|(key, problem)| Error::usage(format!("{key}: {problem}"))))
    }

    /// What knows the items, of parameters that come from a record.
    ///
    /// # Errors
    /// When they are none that a run could have had.
    pub fn checked_form(&self) -> Result<Box<dyn Form>> {
        let flags = Flags { reverse: self.reverse, unique: self.unique, ..self.lines.clone() };
        form_of(self.kind, &flags)
    }

    /// What knows the items.
    ///
    /// # Panics
    /// Never: the parameters have been checked.
    pub fn form(&self) -> Box<dyn Form> {
        self.checked_form().expect("checked from the deck")
    }
}

/// What knows items of this kind in the order of these flags.
///
/// # Errors
/// A usage error when the flags and the kind do not go together.
pub fn form_of(kind: Kind, flags: &Flags) -> Result<Box<dyn Form>> {
    if let Some(key) = foreign(kind, flags) {
        let flag = key.replace('_', "-");
        return Err(Error::usage(format!("--{flag} is for --type lines, not for {kind}")));
    }
    Ok(match kind {
        // A run looks its datasets' type up first; a record that was edited may say anything.
        Kind::Dataset => return Err(Error::usage("--type: auto is not the type of any items")),
        Kind::Key(kind) => Box::new(Keys::new(kind, flags.reverse, flags.unique)),
        Kind::Record(bytes, key) => {
            let layout = Layout::new(bytes, key).expect("checked when it was parsed");
            Box::new(Records::new(layout, flags.reverse, flags.unique))
        }
        Kind::Lines => Box::new(Lines::new(Order::parse(flags)?)),
    })
}

/// A flag that only lines have, when these are none.
fn foreign(kind: Kind, flags: &Flags) -> Option<&'static str> {
    let given = [
        ("numeric", flags.numeric),
        ("key", !flags.key.is_empty()),
        ("separator", flags.separator.is_some()),
        ("zero_terminated", flags.zero_terminated),
    ];
    let lines = kind == Kind::Lines;
    given.into_iter().find(|(_, given)| *given && !lines).map(|(key, _)| key)
}

/// What the items are when these are the inputs; a sentence when they cannot be sorted together.
fn of_inputs(input: &[String], kind: Kind) -> std::result::Result<Kind, String> {
    let datasets = input.iter().filter(|name| dataset::split(name).1.is_some()).count();
    if let Some(name) = input.iter().find(|name| dataset::is_hdf5(name)) {
        return Err(format!("{name} is an HDF5 file: name its dataset, such as {name}:/keys"));
    }
    match kind {
        Kind::Dataset if datasets == 0 => Ok(Kind::Lines),
        Kind::Dataset if datasets < input.len() => {
            Err("datasets and files together; say what the files hold, such as u64".into())
        }
        Kind::Record(..) | Kind::Lines if datasets > 0 => {
            Err(format!("{kind}: datasets of HDF5 hold bare keys; leave it out to take their type"))
        }
        kind => Ok(kind),
    }
}

/// The file that is written, and the dataset in it; a sentence when they do not go together.
fn output(
    name: &Path,
    kind: Kind,
    parts: bool,
) -> std::result::Result<(PathBuf, Option<String>), String> {
    let shown = name.display();
    let (file, path) = dataset::split(name.to_str().unwrap_or(""));
    if path.is_none() && !dataset::is_hdf5(file) {
        return Ok((name.to_owned(), None));
    }
    let path = path.unwrap_or(dataset::DEFAULT);
    if !dataset::is_path(path) {
        return Err(format!("{shown} names no dataset; write {file}:{}", dataset::DEFAULT));
    }
    if parts {
        return Err(format!(
            "{shown}: --parts makes a directory of plain files; give another name"
        ));
    }
    if !matches!(kind, Kind::Key(_) | Kind::Dataset) {
        return Err(format!(
            "{shown}: HDF5 takes bare keys, not {kind}; say --type, or give another name"
        ));
    }
    Ok((file.into(), Some(path.to_owned())))
}
