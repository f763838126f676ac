//! Text into runs: lines of `runs.jsonl`, run records, CSV tables. Pure.
//!
//! What cannot be read is refused with its file and line; only a last line without an end, which a
//! killed study leaves, is dropped, and told.

use serde_json::Value;

use super::report::{Metric, Mode};
use super::sample::{self, Outcome, Record, Sample, Timing};
use crate::error::{Error, Result};
use crate::measure::record;

/// What was read from one file.
#[derive(Clone, Debug, Default)]
pub struct Read {
    /// The runs, warm-ups left out unless they failed.
    pub samples: Vec<Sample>,
    /// What a reader of the report must know.
    pub notes: Vec<String>,
}

/// Reads a file of lines or one record; `name` is its name in messages.
///
/// # Errors
/// Bad input, with file and line.
pub fn json(text: &str, name: &str) -> Result<Read> {
    // A record is one object over many lines, a study's file is one object a line.
    match serde_json::from_str::<Value>(text) {
        Ok(value) if value["schema"] != sample::SCHEMA => {
            let sample = record(value, name)?;
            Ok(Read { samples: vec![sample], notes: Vec::new() })
        }
        _ => match lines(text, name)? {
            read if read.samples.is_empty() => Err(Error::bad_input(format!(
                "{name} holds no runs; give the runs.jsonl of dcomp scaling run, run records, or \
                 --from-csv FILE"
            ))),
            read => Ok(read),
        },
    }
}

/// Reads lines of `runs.jsonl`; none is no error.
///
/// # Errors
/// Bad input, with file and line.
pub fn lines(text: &str, name: &str) -> Result<Read> {
    let mut read = Read::default();
    let whole = text.rfind('\n').map_or(0, |end| end + 1);
    let cut = whole < text.len() && serde_json::from_str::<Value>(&text[whole..]).is_err();
    if cut {
        read.notes.push(format!("{name}: its last line is cut off; that run is not counted"));
    }
    let text = if cut { &text[..whole] } else { text };
    for (index, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let sample = line_of(line, &format!("{name}:{}", index + 1))?;
        // A warm-up counts only when it failed.
        if sample.repeat > 0 || sample.outcome != Outcome::Ok {
            read.samples.push(sample);
        }
    }
    Ok(read)
}

fn line_of(line: &str, place: &str) -> Result<Sample> {
    #[derive(serde::Deserialize)]
    struct Which {
        schema: Option<String>,
    }
    let not_json = |cause: &serde_json::Error| {
        Error::bad_input(format!(
            "{place}: not a line of runs.jsonl: {cause}; give the runs.jsonl of dcomp scaling run, \
             run records, or --from-csv FILE"
        ))
    };
    let which: Which = serde_json::from_str(line).map_err(|cause| not_json(&cause))?;
    match which.schema.as_deref() {
        Some(sample::SCHEMA) => {
            let sample: Sample = serde_json::from_str(line).map_err(|cause| {
                Error::bad_input(format!("{place}: {cause}; was the line edited?"))
            })?;
            sound(sample, place)
        }
        Some(record::SCHEMA) => {
            let value = serde_json::from_str(line).map_err(|cause| not_json(&cause))?;
            record(value, place)
        }
        other => Err(unknown_schema(other, place)),
    }
}

fn record(value: Value, place: &str) -> Result<Sample> {
    let schema = value["schema"].as_str().map(ToOwned::to_owned);
    if schema.as_deref() != Some(record::SCHEMA) {
        return Err(unknown_schema(schema.as_deref(), place));
    }
    let record: Record = serde_json::from_value(value)
        .map_err(|cause| Error::bad_input(format!("{place}: {cause}; was the record edited?")))?;
    let series = record.job.clone();
    sound(record.into_sample(series, None), place)
}

fn unknown_schema(schema: Option<&str>, place: &str) -> Error {
    let ours = [sample::SCHEMA, record::SCHEMA];
    let stem = |schema: &str| schema.split('/').next().unwrap_or_default().to_owned();
    Error::bad_input(match schema {
        Some(schema) if ours.iter().any(|known| stem(known) == stem(schema)) => format!(
            "{place}: schema {schema} is newer than this dcomp, which reads {}; use a newer dcomp",
            ours.join(" and ")
        ),
        Some(schema) => format!("{place}: schema {schema} is neither {}", ours.join(" nor ")),
        None => format!(
            "{place}: no schema, so neither a line of runs.jsonl nor a run record; tables go to \
             --from-csv"
        ),
    })
}

/// Refuses numbers that cannot be.
fn sound(sample: Sample, place: &str) -> Result<Sample> {
    let wrong = |what: String| Err(Error::bad_input(format!("{place}: {what}")));
    if sample.ranks == 0 || sample.threads == 0 || sample.nodes == Some(0) {
        return wrong("0 ranks, nodes or threads; each is at least 1".into());
    }
    if sample.ranks > 1 << 40 || sample.threads > 1 << 20 {
        return wrong("more ranks or threads than any machine has".into());
    }
    match sample.value {
        Some(value) if value.is_nan() || value <= 0.0 => {
            wrong(format!("the value is {value}; times and rates are above zero"))
        }
        // A millionth of a microsecond, and more than any rate that is counted.
        Some(value) if !(1e-12..=1e24).contains(&value) => {
            wrong(format!("the value {value:e} is no time or rate that can be measured"))
        }
        None if sample.outcome == Outcome::Ok => wrong("the run is ok but has no value".into()),
        _ if sample.work.is_some_and(|work| !(1e-12..=1e30).contains(&work)) => {
            wrong("the work is not a number above zero (at most 1e30)".into())
        }
        _ => Ok(sample),
    }
}

/// Reads a table with the columns `mode,ranks` and `wall_s` or `throughput` (a row has one of them),
/// and optional `nodes,threads,work,series,repeat,outcome,oversubscribed`, in any order.
///
/// # Errors
/// Bad input, with file and line.
pub fn csv(text: &str, name: &str) -> Result<Read> {
    let mut reader = csv::ReaderBuilder::new()
        .trim(csv::Trim::All)
        .from_reader(text.trim_start_matches('\u{feff}').as_bytes());
    let unreadable = |cause: &csv::Error| Error::bad_input(format!("{name}: {cause}"));
    let headers = reader.headers().map_err(|cause| unreadable(&cause))?.clone();
    let columns = Columns::find(&headers, name)?;
    let mut read = Read::default();
    for row in reader.records() {
        let row = row.map_err(|cause| unreadable(&cause))?;
        let line = row.position().map_or(0, csv::Position::line);
        let sample = columns.sample(&row, &format!("{name}:{line}"))?;
        read.samples.push(sample);
    }
    if read.samples.is_empty() {
        return Err(Error::bad_input(format!("{name} has no rows below its heading")));
    }
    number_repeats(&mut read.samples);
    Ok(read)
}

const KNOWN: [&str; 11] = [
    "mode",
    "ranks",
    "wall_s",
    "throughput",
    "nodes",
    "threads",
    "work",
    "series",
    "repeat",
    "outcome",
    "oversubscribed",
];

/// Where each known column stands.
struct Columns([Option<usize>; 11]);

impl Columns {
    fn find(headers: &csv::StringRecord, name: &str) -> Result<Self> {
        let found = KNOWN.map(|known| headers.iter().position(|header| header == known));
        let has = |known: &str| KNOWN.iter().zip(&found).any(|(k, at)| *k == known && at.is_some());
        for needed in ["mode", "ranks"] {
            if !has(needed) {
                let there: String =
                    headers.iter().collect::<Vec<_>>().join(", ").chars().take(100).collect();
                return Err(Error::bad_input(format!(
                    "{name}: no column {needed}; it has {there}, and needs mode, ranks, and wall_s or \
                     throughput"
                )));
            }
        }
        if !has("wall_s") && !has("throughput") {
            return Err(Error::bad_input(format!(
                "{name}: it needs the column wall_s or throughput"
            )));
        }
        if let Some(other) = headers.iter().find(|header| !KNOWN.contains(header)) {
            return Err(Error::bad_input(format!(
                "{name}: column {other} is not known; known are {}",
                KNOWN.join(", ")
            )));
        }
        let twice = headers
            .iter()
            .enumerate()
            .find(|(at, header)| headers.iter().skip(at + 1).any(|other| other == *header));
        if let Some((_, header)) = twice {
            return Err(Error::bad_input(format!("{name}: two columns are named {header}")));
        }
        Ok(Self(found))
    }

    fn text<'r>(&self, row: &'r csv::StringRecord, column: &str) -> Option<&'r str> {
        let at = KNOWN.iter().position(|known| *known == column)?;
        row.get(self.0[at]?).filter(|text| !text.is_empty())
    }

    fn number<T: std::str::FromStr>(
        &self,
        row: &csv::StringRecord,
        column: &str,
        place: &str,
    ) -> Result<Option<T>> {
        let parse = |text: &str| {
            text.parse().map_err(|_| {
                Error::bad_input(format!("{place}: {column} is `{text}`, which is no number here"))
            })
        };
        self.text(row, column).map(parse).transpose()
    }

    fn sample(&self, row: &csv::StringRecord, place: &str) -> Result<Sample> {
        let missing = |column: &str| Error::bad_input(format!("{place}: {column} is empty"));
        let mode = match self.text(row, "mode") {
            Some("strong") => Mode::Strong,
            Some("weak") => Mode::Weak,
            other => {
                return Err(Error::bad_input(format!(
                    "{place}: mode is `{}`; write strong or weak",
                    other.unwrap_or_default()
                )));
            }
        };
        let time: Option<f64> = self.number(row, "wall_s", place)?;
        let rate: Option<f64> = self.number(row, "throughput", place)?;
        let metric = if rate.is_some() { Metric::Throughput } else { Metric::Time };
        if rate.is_some() && time.is_some() {
            return Err(Error::bad_input(format!(
                "{place}: wall_s and throughput are both there; a row is one or the other"
            )));
        }
        let value = rate.or(time);
        let outcome = match self.text(row, "outcome") {
            None | Some("ok") => Outcome::Ok,
            Some("failed") => Outcome::Failed,
            Some("timeout") => Outcome::Timeout,
            Some("no-match") => Outcome::NoMatch,
            Some(other) => {
                return Err(Error::bad_input(format!(
                    "{place}: outcome is `{other}`; write ok, failed, timeout or no-match"
                )));
            }
        };
        if value.is_none() && outcome == Outcome::Ok {
            return Err(missing("wall_s or throughput"));
        }
        let sample = Sample {
            schema: sample::SCHEMA.into(),
            series: self.text(row, "series").unwrap_or("table").to_owned(),
            mode: Some(mode),
            ranks: self.number(row, "ranks", place)?.ok_or_else(|| missing("ranks"))?,
            nodes: self.number(row, "nodes", place)?,
            threads: self.number(row, "threads", place)?.unwrap_or(1),
            repeat: self.number(row, "repeat", place)?.unwrap_or(0),
            outcome,
            message: String::new(),
            metric,
            value,
            timing: Timing::Told,
            process_s: None,
            work: self.number(row, "work", place)?,
            work_unit: None,
            baseline: None,
            oversubscribed: self.number(row, "oversubscribed", place)?.unwrap_or(false),
            study: None,
            command: Vec::new(),
            started: String::new(),
            machine: None,
            record: None,
        };
        sound(sample, place)
    }
}

/// Rows without a number of their own are repeats in their order.
fn number_repeats(samples: &mut [Sample]) {
    let mut seen = std::collections::BTreeMap::new();
    for sample in samples {
        let key = (sample.series.clone(), sample.mode, sample.ranks, sample.threads, sample.nodes);
        let count = seen.entry(key).or_insert(0);
        *count += 1;
        if sample.repeat == 0 {
            sample.repeat = *count;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(result: Result<Read>) -> String {
        let error = result.unwrap_err();
        assert_eq!(error.kind.exit_code(), 65, "{error}");
        error.message
    }

    #[test]
    fn tables_are_read_in_any_order_of_columns() {
        let text = "ranks, wall_s ,mode,series\n1,10.5,strong,a\n2,5.5,strong,a\n2,5.25,strong,a\n";
        let samples = csv(text, "t.csv").unwrap().samples;
        let got: Vec<_> =
            samples.iter().map(|s| (s.ranks, s.value, s.repeat, s.series.as_str())).collect();
        let expected = [(1, Some(10.5), 1, "a"), (2, Some(5.5), 1, "a"), (2, Some(5.25), 2, "a")];
        assert_eq!(got, expected);
        let samples = csv("mode,ranks,throughput\nweak,3,2.5", "t.csv").unwrap().samples;
        assert_eq!((samples[0].metric, samples[0].mode), (Metric::Throughput, Some(Mode::Weak)));
    }

    #[test]
    fn wrong_tables_are_refused_with_file_and_line() {
        for (text, expected) in [
            ("", "t.csv: no column mode; it has "),
            ("ranks,wall_s\n1,2", "t.csv: no column mode; it has ranks, wall_s"),
            ("mode,ranks\nstrong,2", "t.csv: it needs the column wall_s or throughput"),
            (
                "mode,ranks,wall_s,throughput\nstrong,2,1,1",
                "t.csv:2: wall_s and throughput are both",
            ),
            ("mode,ranks,wall_s,cpu\nstrong,2,1,1", "t.csv: column cpu is not known"),
            ("mode,ranks,wall_s\n", "t.csv has no rows"),
            ("mode,ranks,wall_s\nstrong,2,abc", "t.csv:2: wall_s is `abc`"),
            ("mode,ranks,wall_s\nstrong,2,1\nstrong,-1,1", "t.csv:3: ranks is `-1`"),
            ("mode,ranks,wall_s\nstrong,0,1", "t.csv:2: 0 ranks"),
            ("mode,ranks,wall_s\nstrong,1,0", "t.csv:2: the value is 0"),
            ("mode,ranks,wall_s\nstrong,1,-3", "t.csv:2: the value is -3"),
            ("mode,ranks,wall_s\nstrong,1,NaN", "t.csv:2: the value is NaN"),
            ("mode,ranks,wall_s\nstrong,1,1.7e308", "t.csv:2: the value 1.7e308 is no time"),
            ("mode,ranks,wall_s\nstrong,1,5e-324", "t.csv:2: the value 5e-324 is no time"),
            ("mode,ranks,ranks,wall_s\nstrong,1,1,1", "t.csv: two columns are named ranks"),
            ("mode,ranks,wall_s\nstrong,1,", "t.csv:2: wall_s or throughput is empty"),
            ("mode,ranks,wall_s\nfast,1,2", "t.csv:2: mode is `fast`; write strong or weak"),
            ("mode,ranks,wall_s\nstrong,1", "t.csv: CSV error"),
        ] {
            let message = refused(csv(text, "t.csv"));
            assert!(message.starts_with(expected), "{text:?}: {message}");
        }
    }

    const LINE: &str = r#"{"schema":"dcomp-scaling-run/1","series":"s","mode":"strong","ranks":2,
        "repeat":1,"outcome":"ok","metric":"time","value":1.5,"timing":"process"}"#;

    #[test]
    fn lines_are_read_and_a_cut_one_is_told() {
        let line = LINE.replace('\n', " ");
        let text = format!("{line}\n{line}\n{}", &line[..40]);
        let read = json(&text, "r.jsonl").unwrap();
        assert_eq!((read.samples.len(), read.notes.len()), (2, 1));
        assert_eq!(json(&line, "r.jsonl").unwrap().samples.len(), 1);
        let warm = line.replace("\"repeat\":1", "\"repeat\":0");
        assert_eq!(json(&format!("{warm}\n{line}"), "r").unwrap().samples.len(), 1);
    }

    #[test]
    fn wrong_lines_are_refused() {
        let line = LINE.replace('\n', " ");
        for (text, expected) in [
            (String::new(), "r holds no runs"),
            ("x\n".into(), "r:1: not a line of runs.jsonl"),
            (format!("{line}\n{{}}\n"), "r:2: no schema"),
            ("{}".into(), "r: no schema"),
            (line.replace("run/1", "run/2"), "r: schema dcomp-scaling-run/2 is newer"),
            (line.replace("scaling-run/1", "run/7"), "r: schema dcomp-run/7 is newer"),
            (line.replace("dcomp-", "x-"), "r: schema x-scaling-run/1 is neither"),
            (line.replace("1.5", "-1.5"), "r:1: the value is -1.5"),
            (line.replace("\"ranks\":2", "\"ranks\":\"two\""), "r:1: invalid type"),
            (line.replace(",\"value\":1.5", ""), "r:1: the run is ok but has no value"),
        ] {
            let message = refused(json(&text, "r"));
            assert!(message.starts_with(expected), "{text}: {message}");
        }
    }
}
