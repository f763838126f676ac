//! `dcomp verify`: an output against its record, or a file alone as far as it tells about itself.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use super::tell::say;
use super::{counter_sort, generate, items, launch, mandelbrot, mergesort};
use crate::cli::VerifyArgs;
use crate::counter_sort::verify as counted;
use crate::error::{Error, Result};
use crate::generate::keys::KeySource;
use crate::generate::records::RecordSource;
use crate::generate::verify as generated;
use crate::job::Job;
use crate::mandelbrot::recolor::Recolor;
use crate::mandelbrot::verify as pictured;
use crate::mergesort::lines::Flags;
use crate::mergesort::{dataset, verify as sorted};
use crate::store::hdf5::{Value, attributes};
use crate::store::target;
use crate::threads::{self, Threads};
use crate::verify::{self, Recorded, Verified};

pub(super) fn verify(args: &VerifyArgs) -> Result<()> {
    // Without a slash at the end, which a directory may have been given.
    let file: PathBuf = args.file.components().collect();
    let threads = Threads::new(threads::default_count())?;
    if let Some(kind) = &args.kind {
        let kind = kind.parse().map_err(|problem| Error::usage(format!("--type: {problem}")))?;
        let (lines, unsorted) = sorted::alone(&threads, &file, kind, &flags(args))?;
        say(&lines)?;
        return unsorted.map_or(Ok(()), Err);
    }
    let file =
        PathBuf::from(file.to_str().map_or(file.as_path(), |name| dataset::split(name).0.as_ref()));
    let without = args.record.is_none() && !target::exists(&target::record_of(&file));
    if let Some(lines) = if without { alone(&threads, &file)? } else { None } {
        return say(&lines);
    }
    let recorded = verify::recorded(&file, args.record.as_deref())?;
    let Verified { sum, lines } = against(&threads, &file, &recorded)?;
    let first = format!("{}: {} bytes, crc64 {}: as recorded", sum.path, sum.bytes, sum.crc64);
    say(&[vec![first], lines].concat())
}

/// Looks at an output as the job does that made it.
fn against(threads: &Threads, file: &Path, recorded: &Recorded) -> Result<Verified> {
    const MANDELBROT: &str = launch::name::<mandelbrot::Mandelbrot>();
    const COUNTER_SORT: &str = launch::name::<counter_sort::CounterSort>();
    const MERGESORT: &str = launch::name::<mergesort::Mergesort>();
    const NUMBERS: &str = launch::name::<generate::Numbers>();
    const KEYS: &str = launch::name::<items::Keys>();
    const RECORDS: &str = launch::name::<items::Records>();
    const RECOLOR: &str = <Recolor<'static> as Job<'static>>::NAME;
    match recorded.record["job"].as_str() {
        Some(MANDELBROT) => pictured::verify(file, recorded),
        Some(RECOLOR) => pictured::verify_recolored(file, recorded),
        Some(COUNTER_SORT) => counted::verify(threads, file, recorded),
        Some(MERGESORT) => sorted::verify(threads, file, recorded),
        Some(NUMBERS) => generated::numbers(threads, file, recorded),
        Some(KEYS) => generated::items::<KeySource>(threads, file, recorded),
        Some(RECORDS) => generated::items::<RecordSource>(threads, file, recorded),
        other => Err(Error::bad_input(format!(
            "job in {}: {}; this version knows none of that name",
            recorded.path.display(),
            other.map_or_else(|| "none".into(), |name| format!("{name:?}")),
        ))),
    }
}

/// What a file tells that has no record; `None` when it tells nothing.
fn alone(threads: &Threads, file: &Path) -> Result<Option<Vec<String>>> {
    if !file.is_file() {
        return Ok(None);
    }
    Ok(match form(file)? {
        None => None,
        Some(Form::Png) => Some(pictured::picture_alone(file)?),
        Some(Form::Hdf5) => Some(hdf5_alone(threads, file)?),
    })
}

fn hdf5_alone(threads: &Threads, file: &Path) -> Result<Vec<String>> {
    let attributes = attributes(file).map_err(|cause| Error::bad_input(cause.to_string()))?;
    let job = attributes.iter().find(|(name, _)| name == "source");
    let job = match job {
        Some((_, Value::Text(source))) => source.rsplit(' ').next().unwrap_or_default(),
        _ => "",
    };
    let shown = file.display();
    match job {
        "mandelbrot" => pictured::grid_alone(file),
        "counter-sort" => counted::alone(threads, file, counted::is_counts(&attributes)),
        "mergesort" => Err(Error::usage(format!(
            "{shown} has no record; name its dataset too: dcomp verify {shown}:/keys --type auto"
        ))),
        _ => Err(Error::bad_input(format!(
            "{shown} has no record and does not say that dcomp made it; name its record with --record"
        ))),
    }
}

/// What a file is, by its first bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// A picture.
    Png,
    /// Datasets.
    Hdf5,
}

/// The form of a regular file, when its first bytes tell.
pub(super) fn form(file: &Path) -> Result<Option<Form>> {
    let mut first = Vec::new();
    let read = File::open(file).and_then(|file| file.take(8).read_to_end(&mut first));
    read.map_err(|cause| Error::io("read", file, &cause))?;
    Ok(match first.as_slice() {
        b"\x89PNG\r\n\x1a\n" => Some(Form::Png),
        b"\x89HDF\r\n\x1a\n" => Some(Form::Hdf5),
        _ => None,
    })
}

fn flags(args: &VerifyArgs) -> Flags {
    Flags {
        numeric: args.numeric,
        reverse: args.reverse,
        unique: false,
        key: args.key.clone(),
        separator: args.separator.clone(),
        zero_terminated: args.zero_terminated,
        stable: args.stable,
    }
}
