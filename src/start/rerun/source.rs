//! What a file, or the record beside it, says about the run that made it.
//!
//! Only what decides the bytes is taken over: schedule, kernel, memory and the like are this run's own.

use std::fs::File;
use std::path::Path;

use toml::{Table, Value as Toml};

use super::super::launch::{Launch, name};
use super::super::verify::{Form, form};
use super::super::{counter_sort, generate, items, mandelbrot, mergesort};
use crate::error::{Error, Result};
use crate::job::Job as AnyJob;
use crate::mandelbrot::provenance::Parameters;
use crate::mandelbrot::recolor::Recolor;
use crate::mandelbrot::verify::region_of;
use crate::store::hdf5::{Hdf5Error, Reader, Value, attributes};
use crate::store::png::check::{self, Flaw};
use crate::store::target;
use crate::verify::{Record, read_record, recorded};

/// The jobs that make files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Job {
    Mandelbrot,
    Recolor,
    CounterSort,
    Mergesort,
    Numbers,
    Keys,
    Records,
}

impl Job {
    const ALL: [Self; 7] = [
        Self::Mandelbrot,
        Self::Recolor,
        Self::CounterSort,
        Self::Mergesort,
        Self::Numbers,
        Self::Keys,
        Self::Records,
    ];

    /// As records have it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Mandelbrot => name::<mandelbrot::Mandelbrot>(),
            Self::Recolor => <Recolor<'static> as AnyJob<'static>>::NAME,
            Self::CounterSort => name::<counter_sort::CounterSort>(),
            Self::Mergesort => name::<mergesort::Mergesort>(),
            Self::Numbers => name::<generate::Numbers>(),
            Self::Keys => name::<items::Keys>(),
            Self::Records => name::<items::Records>(),
        }
    }

    fn optional_keys(self) -> &'static [&'static str] {
        match self {
            Self::CounterSort => <counter_sort::CounterSort as Launch>::KEYS.optional,
            Self::Mergesort => <mergesort::Mergesort as Launch>::KEYS.optional,
            _ => &[],
        }
    }
}

/// How a file was made.
#[derive(Debug)]
pub(super) struct Making {
    pub job: Job,
    /// Parameters as a deck has them, without outputs.
    pub parameters: Table,
    /// What told them.
    pub told_by: String,
    /// The version of dcomp that made it.
    pub version: String,
    /// The record, when it told them.
    pub record: Option<Record>,
    /// Files of a directory are one sequence, however many there are.
    pub joins_parts: bool,
    /// What names the file, and the main output when that is another one, by what is appended.
    keys: Keys,
}

#[derive(Debug)]
struct Keys {
    file: &'static str,
    main: Option<&'static str>,
    /// The dataset, where the file is named with it.
    dataset: Option<String>,
}

const MAIN: Keys = Keys { file: "output", main: None, dataset: None };

impl Making {
    /// The file that is compared, and the keys of all outputs with their names, the main one first.
    pub fn outputs(&self, new: &str) -> (String, Vec<(&'static str, String)>) {
        let Keys { file, main, dataset } = &self.keys;
        let named = dataset.iter().fold(new.to_owned(), |name, path| format!("{name}:{path}"));
        let main = main.map(|ending| ("output", format!("{new}{ending}")));
        (new.to_owned(), main.into_iter().chain([(*file, named)]).collect())
    }
}

/// Finds out how a file was made: from a record that is named, from the file, from the record beside it.
pub(super) fn making(file: &Path, from: Option<&Path>) -> Result<Making> {
    let meta = std::fs::metadata(file).map_err(|cause| Error::io("read", file, &cause))?;
    if let Some(from) = from {
        return by_record(file, from);
    }
    let beside = target::record_of(file);
    let told = match if meta.is_file() { form(file)? } else { None } {
        Some(Form::Png) => by_picture(file)?,
        Some(Form::Hdf5) => by_grid(file)?,
        None => None,
    };
    match told {
        Some(making) => Ok(making),
        None if target::exists(&beside) => by_record(file, &beside),
        None => Err(Error::usage(format!(
            "{} does not say how it was made, and there is no record {}; name it with --from",
            file.display(),
            beside.display()
        ))),
    }
}

/// Version and job of a text such as `dcomp 0.1.0 mandelbrot`.
fn maker(text: &str, file: &Path) -> Result<(String, String)> {
    let words: Vec<&str> = text.split(' ').collect();
    let &["dcomp", version, job] = words.as_slice() else {
        return Err(Error::bad_input(format!(
            "{} was made by another program: {:?}; dcomp runs again what dcomp made",
            file.display(),
            text.chars().take(80).collect::<String>()
        )));
    };
    known_version(version, file)?;
    Ok((version.into(), job.into()))
}

/// Refuses what a newer dcomp made: it may have parameters that are not known here.
fn known_version(version: &str, file: &Path) -> Result<()> {
    let numbers = |text: &str| {
        let parts: Option<Vec<u64>> =
            text.split(['.', '-', '+']).take(3).map(|part| part.parse().ok()).collect();
        parts.filter(|parts| parts.len() == 3)
    };
    let ours = env!("CARGO_PKG_VERSION");
    let shown = file.display();
    match numbers(version) {
        None => Err(Error::bad_input(format!("{shown}: {version:?} is no version of dcomp"))),
        Some(theirs) if Some(&theirs) > numbers(ours).as_ref() => Err(Error::usage(format!(
            "{shown} was made by dcomp {version}, this is {ours}; use that version or a newer one"
        ))),
        Some(_) => Ok(()),
    }
}

fn foreign(file: &Path, job: &str) -> Error {
    Error::bad_input(format!(
        "{} was made by a job {job:?}, which this version does not know",
        file.display()
    ))
}

/// From the texts of a PNG; `None` when its record has to tell.
fn by_picture(file: &Path) -> Result<Option<Making>> {
    let shown = file.display();
    let opened = File::open(file).map_err(|cause| Error::io("read", file, &cause))?;
    let picture = check::beginning(std::io::BufReader::new(opened)).map_err(|flaw| match flaw {
        Flaw::Io(cause) => Error::io("read", file, &cause),
        Flaw::At(byte, what) => Error::bad_input(format!(
            "{shown}: byte {byte}: {what}; it is no picture of dcomp, or was changed"
        )),
    })?;
    let find = |wanted: &str| {
        let found = picture.texts.iter().find(|(keyword, _)| keyword == wanted);
        found.map(|(_, text)| text.as_str()).ok_or_else(|| {
            Error::bad_input(format!("{shown} does not say how it was made: it has no {wanted}"))
        })
    };
    let (version, job) = maker(find("Software")?, file)?;
    match job.as_str() {
        "mandelbrot" => {}
        "recolor" => return Ok(None),
        _ => return Err(foreign(file, &job)),
    }
    let said = Parameters::parse(find("Comment")?)
        .map_err(|problem| Error::bad_input(format!("{shown}: its Comment: {problem}")))?;
    let depth = said.depth.unwrap_or_else(|| picture.depth.bits());
    let palette = said.palette.to_string();
    let parameters = view(said.width, said.height, said.max_iterations, said.region);
    let parameters =
        with(parameters, [("palette", palette.into()), ("depth", i64::from(depth).into())]);
    Ok(Some(Making {
        job: Job::Mandelbrot,
        parameters,
        told_by: shown.to_string(),
        version,
        record: None,
        joins_parts: false,
        keys: MAIN,
    }))
}

fn view(width: u32, height: u32, max_iterations: u32, region: [f64; 4]) -> Table {
    let numbers = [("width", width), ("height", height), ("max_iterations", max_iterations)];
    let numbers = numbers.map(|(key, number)| (key, Toml::from(i64::from(number))));
    with(with(Table::new(), numbers), [("region", Toml::from(region.to_vec()))])
}

fn with(table: Table, more: impl IntoIterator<Item = (&'static str, Toml)>) -> Table {
    let more = more.into_iter().map(|(key, value)| (key.to_owned(), value));
    table.into_iter().chain(more).collect()
}

/// From the attributes of a grid; `None` when the file's record has to tell.
fn by_grid(file: &Path) -> Result<Option<Making>> {
    let bad = |cause: Hdf5Error| Error::bad_input(cause.to_string());
    let attributes = attributes(file).map_err(bad)?;
    let source = attributes.iter().find(|(name, _)| name == "source");
    let Some((_, Value::Text(source))) = source else {
        return Err(Error::bad_input(format!(
            "{} does not say how it was made: it has no attribute source",
            file.display()
        )));
    };
    let (version, job) = maker(source, file)?;
    match job.as_str() {
        "mandelbrot" => {}
        "counter-sort" | "mergesort" => return Ok(None),
        _ => return Err(foreign(file, &job)),
    }
    let reader = Reader::open(file).map_err(bad)?;
    let shape = reader.shape();
    let shown = file.display();
    let side = |side: u64| {
        u32::try_from(side).map_err(|_| {
            Error::bad_input(format!("{shown}: a side of {side} pixels is none of dcomp"))
        })
    };
    let Some(region) = region_of(&attributes) else {
        return Err(Error::bad_input(format!("{shown} does not tell its region")));
    };
    let max_iterations = reader.max_iterations().map_err(bad)?;
    Ok(Some(Making {
        job: Job::Mandelbrot,
        parameters: view(side(shape.width)?, side(shape.height)?, max_iterations, region),
        told_by: shown.to_string(),
        version,
        record: None,
        joins_parts: false,
        keys: Keys { file: "hdf5", main: Some(".png"), dataset: None },
    }))
}

/// From a run record.
fn by_record(file: &Path, path: &Path) -> Result<Making> {
    let record = read_record(path, "name another with --from")?;
    let at = recorded(file, Some(path))?.at;
    let shown = path.display().to_string();
    let version: Option<&str> = record.record["program"]["version"].as_str();
    let version = version.unwrap_or_default().to_owned();
    known_version(&version, path)?;
    let said: String = record.read("job")?;
    let Some(job) = Job::ALL.into_iter().find(|job| job.name() == said) else {
        return Err(foreign(path, &said));
    };
    let spec = Spec { record: &record, shown: &shown };
    let parameters = spec.parameters(job)?;
    let keys = spec.keys(job, at, file)?;
    let joins_parts = parameters.get("parts") == Some(&Toml::Boolean(true));
    Ok(Making { job, parameters, told_by: shown, version, record: Some(record), joins_parts, keys })
}

/// The parameters in a record.
struct Spec<'a> {
    record: &'a Record,
    shown: &'a str,
}

impl Spec<'_> {
    /// What decides the bytes, as a deck has it.
    fn parameters(&self, job: Job) -> Result<Table> {
        let keys: &[&'static str] = match job {
            Job::Mandelbrot => &["width", "height", "max_iterations", "region", "palette", "depth"],
            Job::Recolor => &["input", "palette", "depth"],
            Job::CounterSort => {
                &["input", "files_from", "output_format", "on_error", "min_int", "max_int"]
            }
            Job::Mergesort => &["type", "reverse", "unique", "parts", "seed"],
            Job::Numbers => {
                &["files", "per_file", "min", "max", "pattern", "dirty", "packed", "seed"]
            }
            Job::Keys => &["count", "pattern", "type", "blocks", "seed"],
            Job::Records => &["count", "start", "ascii", "skewed", "seed"],
        };
        let table = self.pick(job, &self.record.record["spec"], keys)?;
        match job {
            Job::CounterSort => self.names(table),
            Job::Mergesort => self.sources(table),
            _ => Ok(table),
        }
    }

    fn wrong(&self, key: &str, how: &str) -> Error {
        Error::bad_input(format!("spec in {}: {key} {how}; was the record edited?", self.shown))
    }

    /// Some fields; those that are null were not given.
    fn pick(&self, job: Job, from: &serde_json::Value, keys: &[&'static str]) -> Result<Table> {
        let mut table = Table::new();
        for key in keys {
            match from.get(key) {
                None if job.optional_keys().contains(key) => {}
                None => return Err(self.wrong(key, "is missing")),
                Some(serde_json::Value::Null) => {}
                Some(value) => {
                    let value =
                        toml(value).ok_or_else(|| self.wrong(key, "has a value of no deck"))?;
                    table.insert((*key).to_owned(), value);
                }
            }
        }
        Ok(table)
    }

    /// Of a counting sort: its names may come from a template, and not from standard input.
    fn names(&self, mut table: Table) -> Result<Table> {
        if table.get("files_from").and_then(Toml::as_str) == Some("-") {
            return Err(Error::usage(format!(
                "{}: its names came from standard input; run dcomp counter-sort with them again",
                self.shown
            )));
        }
        match &self.record.record["spec"]["name"] {
            serde_json::Value::Null => Ok(table),
            serde_json::Value::Array(parts) if parts.len() == 3 => {
                for (key, part) in ["name", "first", "count"].into_iter().zip(parts) {
                    let value = toml(part).ok_or_else(|| self.wrong("name", "is no template"))?;
                    table.insert(key.into(), value);
                }
                Ok(table)
            }
            _ => Err(self.wrong("name", "is no template")),
        }
    }

    /// Of a sort: what is sorted, and the order of lines.
    fn sources(&self, table: Table) -> Result<Table> {
        let spec = &self.record.record["spec"];
        let flags = ["numeric", "stable", "zero_terminated", "key", "separator"];
        let lines = self.pick(Job::Mergesort, &spec["lines"], &flags)?;
        let source = if spec["generate"].is_null() {
            self.pick(Job::Mergesort, spec, &["input"])?
        } else {
            let keys = ["pattern", "count", "blocks"];
            let made = self.pick(Job::Mergesort, &spec["generate"], &keys)?;
            let renamed = |key: String| if key == "pattern" { "generate".into() } else { key };
            made.into_iter().map(|(key, value)| (renamed(key), value)).collect()
        };
        Ok(table.into_iter().chain(lines).chain(source).collect())
    }

    /// Which flag names the file, the `at`th output.
    fn keys(&self, job: Job, at: usize, file: &Path) -> Result<Keys> {
        let part = |whole: &str| {
            Err(Error::usage(format!(
                "{} is a part of what its run made; run {whole} again instead",
                file.display()
            )))
        };
        match (job, at) {
            (Job::Mergesort, 0) => {
                let dataset = self.record.record["spec"]["dataset"].as_str().map(str::to_owned);
                Ok(Keys { dataset, ..MAIN })
            }
            (_, 0) => Ok(MAIN),
            (Job::Mandelbrot, 1) => Ok(Keys { file: "hdf5", main: Some(".png"), dataset: None }),
            (Job::CounterSort, 1) => {
                Ok(Keys { file: "counts", main: Some(".sorted"), dataset: None })
            }
            _ => part(self.record.record["outputs"][0]["path"].as_str().unwrap_or("the whole")),
        }
    }
}

/// A JSON value as a deck has it.
fn toml(value: &serde_json::Value) -> Option<Toml> {
    Some(match value {
        serde_json::Value::Bool(value) => Toml::Boolean(*value),
        serde_json::Value::Number(number) => match number.as_i64() {
            Some(whole) => Toml::Integer(whole),
            None if number.is_u64() => return None,
            None => Toml::Float(number.as_f64()?),
        },
        serde_json::Value::String(text) => Toml::String(text.clone()),
        serde_json::Value::Array(values) => {
            Toml::Array(values.iter().map(toml).collect::<Option<_>>()?)
        }
        _ => return None,
    })
}
