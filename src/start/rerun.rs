//! `dcomp rerun FILE`: the run that made a file once more, and whether the bytes are the same.
//!
//! Every rank reads what the file says about its making, as the job's name decides the code path; the rest
//! is the job's own way. The outputs are compared byte by byte, by root, once the run has ended.

mod compare;
mod source;

use std::path::{Path, PathBuf};

use super::launch::{Given, Launch, launch_given};
use super::tell::{on_one_rank, say};
use super::{counter_sort, generate, items, mandelbrot, mergesort, recolor};
use crate::cli::rerun::RerunArgs;
use crate::cli::{How, Paint, RecolorArgs};
use crate::deck::{Layer, Source};
use crate::error::{Error, Result};
use crate::measure::Meter;
use crate::mergesort::dataset;
use crate::store::target;
use source::{Job, Making};

/// Collective, unless it is a dry run.
pub(super) fn rerun(args: &RerunArgs, meter: Meter) -> Result<()> {
    // Without a slash at the end, and without a dataset.
    let file: PathBuf = Path::new(dataset::split(&args.file).0).components().collect();
    let making = source::making(&file, args.from.as_deref().map(Path::new))?;
    let new = args.output.clone().map_or_else(|| new_name(&file), Ok)?;
    let (new, outputs) = making.outputs(dataset::split(&new).0);
    apart(&file, &outputs, args, &making)?;
    run(args, &making, &outputs, meter)?;
    if args.how.dry_run {
        return Ok(());
    }
    on_one_rank(|| {
        let record = args.how.record.as_ref().map_or_else(
            || target::record_of(Path::new(dataset::split(&outputs[0].1).0)),
            PathBuf::from,
        );
        let other = compare::first_difference(&file, Path::new(&new), making.joins_parts)?;
        let Some(other) = other else {
            let mut lines = vec![format!("{new}: the same bytes as {}", file.display())];
            if let [(_, main), _] = outputs.as_slice() {
                lines.push(format!(
                    "{main}: made beside it, as by every run of {}",
                    making.job.name()
                ));
            }
            return say(&lines);
        };
        let why = compare::reasons(&making, &record);
        Err(Error::verification(format!(
            "{new} has other bytes than {}: {other}{why}",
            file.display()
        )))
    })
}

/// `.rerun` before the ending.
fn new_name(file: &Path) -> Result<String> {
    let Some(stem) = file.file_stem() else {
        return Err(Error::usage(format!("{} names no file", file.display())));
    };
    let mut name = stem.to_owned();
    name.push(".rerun");
    if let Some(ending) = file.extension() {
        name.push(".");
        name.push(ending);
    }
    let path = file.with_file_name(name);
    path.to_str().map(ToOwned::to_owned).ok_or_else(|| {
        Error::usage(format!("{} is not UTF-8; name the file to write with -o", path.display()))
    })
}

/// Nothing that the comparison needs is written over, not even with `--force`.
fn apart(file: &Path, outputs: &[(&str, String)], args: &RerunArgs, making: &Making) -> Result<()> {
    let record = args.how.record.iter().map(|record| ("record", record));
    let written = outputs.iter().map(|(key, name)| (*key, name)).chain(record);
    let kept = making.record.iter().map(|record| record.path.as_path()).chain([file]);
    let kept: Vec<&Path> = kept.collect();
    for (key, name) in written {
        let path = Path::new(dataset::split(name).0);
        if let Some(other) = kept.iter().find(|kept| target::same(path, kept)) {
            return Err(Error::usage(format!(
                "--{key} {} is the file {}, which the new one is compared with; give another name",
                path.display(),
                other.display()
            )));
        }
    }
    Ok(())
}

fn run(args: &RerunArgs, making: &Making, outputs: &[(&str, String)], meter: Meter) -> Result<()> {
    let again = Layer {
        source: Source::Provenance(making.told_by.clone()),
        values: making.parameters.clone(),
    };
    match making.job {
        Job::Mandelbrot => start::<mandelbrot::Mandelbrot>(args, &again, outputs, meter),
        Job::CounterSort => start::<counter_sort::CounterSort>(args, &again, outputs, meter),
        Job::Mergesort => start::<mergesort::Mergesort>(args, &again, outputs, meter),
        Job::Numbers => start::<generate::Numbers>(args, &again, outputs, meter),
        Job::Keys => start::<items::Keys>(args, &again, outputs, meter),
        Job::Records => start::<items::Records>(args, &again, outputs, meter),
        Job::Recolor => recolor::recolor(&recolored(&args.how, making, outputs)?, meter),
    }
}

fn start<L: Launch>(
    args: &RerunArgs,
    again: &Layer,
    outputs: &[(&str, String)],
    meter: Meter,
) -> Result<()> {
    let flags = args.layer(outputs);
    let given = Given { flags: &flags, deck: None, again: Some(again) };
    launch_given::<L>(given, args.how.dry_run, meter)
}

/// The flags of `recolor`, which knows no deck.
fn recolored(how: &How, making: &Making, outputs: &[(&str, String)]) -> Result<RecolorArgs> {
    let wrong =
        |key: &str| Error::bad_input(format!("{key} of {}: was it edited?", making.told_by));
    let text = |key: &str| making.parameters.get(key).and_then(toml::Value::as_str);
    let depth = making.parameters.get("depth").and_then(toml::Value::as_integer);
    let palette = text("palette").and_then(|name| name.parse().ok());
    Ok(RecolorArgs {
        input: text("input").ok_or_else(|| wrong("input"))?.to_owned(),
        output: outputs[0].1.clone(),
        paint: Paint {
            palette: Some(palette.ok_or_else(|| wrong("palette"))?),
            depth: Some(depth.and_then(|d| u8::try_from(d).ok()).ok_or_else(|| wrong("depth"))?),
        },
        how: how.clone(),
    })
}
