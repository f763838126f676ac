//! `dcomp counter-sort` on its way to a run.

use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::Value;

use super::launch::{Keys, Launch, Named, Size, decisive};
use crate::comm::Op;
use crate::context::Context;
use crate::counter_sort::spec::{self, Spec};
use crate::counter_sort::{CountSort, memory_bytes};
use crate::deck::Merged;
use crate::error::{Error, Result};
use crate::measure::record::Findings;
use crate::measure::{Phase, peak_rss_bytes};
use crate::num::to_f64;
use crate::store::target::directory;
use crate::units::size;

pub(super) struct CounterSort;

/// Where its files would be among the inputs.
#[derive(Deserialize)]
struct Saving {
    checkpoint: Option<PathBuf>,
}

impl Launch for CounterSort {
    type Spec = Spec;
    type Job<'a> = CountSort<'a>;
    const KEYS: Keys = Keys {
        defaults: spec::DEFAULTS,
        optional: &spec::OPTIONAL_KEYS,
        texts: &spec::TEXT_KEYS,
        exclusive: &[spec::NAME_KEYS],
    };

    const CHECKPOINTS: bool = true;

    fn spec(merged: &Merged) -> Result<Spec> {
        Spec::from_deck(merged)
    }

    fn output(spec: &Spec) -> PathBuf {
        spec.output.clone()
    }

    fn outputs(spec: &Spec, merged: &Merged) -> Vec<Named> {
        let counts = spec.counts.iter().map(|path| (merged.name("counts"), path.clone()));
        [(merged.name("output"), spec.output.clone())].into_iter().chain(counts).collect()
    }

    fn check(spec: &Spec, merged: &Merged, written: &[Named]) -> Result<()> {
        let Saving { checkpoint } = merged.read()?;
        let checkpoint = checkpoint.map(|path| (merged.name("checkpoint"), path));
        for (named, path) in written.iter().chain(&checkpoint) {
            for input in &spec.input {
                // With a template, only what it names is read of its directory.
                if spec.name.is_none() {
                    outside(named, path, Path::new(input))?;
                }
            }
            if let Some((template, first, count)) = &spec.name {
                let base = spec.input.first().map_or("", String::as_str);
                if template.names(Path::new(base), path, *first..*first + *count) {
                    return Err(Error::usage(format!(
                        "{named} {} is one of the inputs that --name {template} names; write it elsewhere",
                        path.display()
                    )));
                }
            }
            if let Some(list) = spec.files_from.as_ref().filter(|list| *list != "-") {
                outside(named, path, Path::new(list))?;
            }
        }
        Ok(())
    }

    fn describe(spec: &Spec, size_of_run: &Size) -> Result<Vec<String>> {
        let Size { ranks, local_ranks, threads, rank_bytes, .. } = *size_of_run;
        let memory = memory_bytes(spec, local_ranks);
        let mut lines = vec![
            format!("ranks {ranks} x threads {threads}; {local_ranks} ranks on this machine"),
            format!(
                "memory per rank: {}, and at most {} for counters",
                size(rank_bytes + (threads << 20)),
                size(memory)
            ),
        ];
        let files = spec.input.iter().map(std::fs::metadata);
        let files: Option<Vec<u64>> = files
            .map(|meta| meta.ok().filter(std::fs::Metadata::is_file).map(|meta| meta.len()))
            .collect();
        lines.push(match (files, spec.output_format) {
            (Some(files), spec::OutputFormat::Text) if spec.name.is_none() && !files.is_empty() => {
                let most: u64 = files.iter().map(|bytes| bytes + 1).sum();
                format!("{}: at most {}", spec.output.display(), size(most))
            }
            _ => format!(
                "{}: its size is not known before the inputs are read; text is at most as large as they",
                spec.output.display()
            ),
        });
        Ok(lines)
    }

    fn identity(spec: &Spec) -> Result<Value> {
        decisive(spec, &["io", "histogram", "combine", "memory", "on_error", "stats", "top"])
    }

    /// Collective: the peak of memory is that of the fullest rank.
    fn lines(spec: &Spec, context: &Context, findings: &Findings) -> Vec<String> {
        let result = &findings.result;
        let number = |key: &str| result[key].as_u64().unwrap_or(0);
        let compute_s = context.meter.phase_s(Phase::Compute).max(1e-9);
        let bytes: u64 = findings.input.iter().map(|input| input.bytes).sum();
        let mut peak = [peak_rss_bytes()];
        context.comm.all_reduce(Op::Max, &mut peak);
        let mut lines = vec![
            format!(
                "numbers in {} = out {} + rejected {}; {} distinct, checksum {}",
                result["numbers_in"],
                result["numbers_out"],
                result["rejected"],
                result["distinct"],
                result["checksum"].as_str().unwrap_or("")
            ),
            format!(
                "{} files in {:.3} s: {:.2} us a file, {:.3} GB/s; at most {} MiB of memory a rank",
                number("files"),
                compute_s,
                1e6 * compute_s / to_f64(number("files").max(1)),
                to_f64(bytes) / 1e9 / compute_s,
                peak[0] >> 20
            ),
        ];
        for (key, text) in [
            ("blank_lines", "blank lines"),
            ("links_not_followed", "links not followed"),
            ("files_refused", "inputs that cannot be read"),
        ] {
            if number(key) > 0 {
                lines.push(format!("{} {text}", number(key)));
            }
        }
        if number("rejected") + number("files_refused") > 0 {
            let told = result["refused"].as_array().into_iter().flatten().take(10);
            lines.extend(told.filter_map(|text| Some(format!("  {}", text.as_str()?))));
        }
        if spec.stats {
            lines.extend(statistics(findings));
        }
        lines
    }
}

fn statistics(findings: &Findings) -> Vec<String> {
    let result = &findings.result;
    let mut lines = vec![
        format!("count      {}", result["numbers_out"]),
        format!("distinct   {}", result["distinct"]),
        format!("least      {}", result["min"]),
        format!("greatest   {}", result["max"]),
        format!("mean       {}", result["mean"]),
    ];
    for (quantile, value) in result["quantiles"].as_object().into_iter().flatten() {
        lines.push(format!("quantile {quantile:<5} {value}"));
    }
    for entry in result["most_frequent"].as_array().into_iter().flatten() {
        lines.push(format!("value {} occurs {} times", entry["value"], entry["count"]));
    }
    lines
}

/// An output among the inputs would be read while it is made, or by the next run.
fn outside(named: &str, output: &Path, input: &Path) -> Result<()> {
    let (Ok(place), Ok(read)) = (directory(output).canonicalize(), input.canonicalize()) else {
        return Ok(()); // told elsewhere
    };
    let inside = read.is_dir() && place.starts_with(&read);
    let is_it = output.canonicalize().is_ok_and(|output| output == read);
    if inside || is_it {
        return Err(Error::usage(format!(
            "{named} {} lies in the input {}; write it elsewhere",
            output.display(),
            input.display()
        )));
    }
    Ok(())
}
