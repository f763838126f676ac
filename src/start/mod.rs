//! From the command line to a finished run: the one way in for every job.
//!
//! `launch` is the sequence that all jobs share, each job's own file says what is its own.

mod complete;
mod counter_sort;
mod generate;
mod items;
mod launch;
mod mandelbrot;
mod mergesort;
mod recolor;
mod rerun;
mod scaling;
mod tell;
mod verify;

use std::ffi::OsString;
use std::io::Write;

use clap::Parser;

use crate::cli::generate::GenerateCommand;
use crate::cli::{Cli, Command, RunArgs};
use crate::comm::{end_process_on_panic, see_others_off};
use crate::error::{Error, Result};
use crate::heap;
use crate::measure::Meter;
use crate::store;
use launch::{launch, name, read_deck};
use tell::{on_one_rank, plain, tell_once};

/// Runs a parsed command line; returns the exit code.
pub fn start(cli: Cli, meter: Meter) -> u8 {
    heap::keep_freed();
    store::report_file_size_limit();
    store::keep_locks_apart();
    end_process_on_panic();
    let done = match cli.command {
        Command::Mandelbrot(args) => {
            launch::<mandelbrot::Mandelbrot>(&args.layer(), &args.common, meter)
        }
        Command::CounterSort(args) => {
            launch::<counter_sort::CounterSort>(&args.layer(), &args.common, meter)
        }
        Command::Mergesort(args) => {
            launch::<mergesort::Mergesort>(&args.layer(), &args.common, meter)
        }
        Command::Generate(GenerateCommand::Numbers(args)) => {
            launch::<generate::Numbers>(&args.layer(), &args.common, meter)
        }
        Command::Generate(GenerateCommand::Keys(args)) => {
            launch::<items::Keys>(&args.layer(), &args.common, meter)
        }
        Command::Generate(GenerateCommand::Records(args)) => {
            launch::<items::Records>(&args.layer(), &args.common, meter)
        }
        Command::Recolor(args) => recolor::recolor(&args, meter),
        Command::Rerun(args) => rerun::rerun(&args, meter),
        Command::Scaling(command) => scaling::scaling(&command),
        Command::Run(args) => match as_job(&args) {
            Ok(words) => return start_words(words, meter),
            Err(error) => Err(error),
        },
        Command::Verify(args) => on_one_rank(|| verify::verify(&args)),
    };
    let Err(error) = done else {
        see_others_off();
        return 0;
    };
    let code = error.kind.exit_code();
    tell_once(code, || {
        writeln!(std::io::stderr(), "dcomp: {}", plain(&error.message)).ok();
    });
    code
}

/// Parses and runs a command line; returns the exit code.
pub fn start_words(words: impl IntoIterator<Item = OsString>, meter: Meter) -> u8 {
    match Cli::try_parse_from(words) {
        Ok(cli) => start(cli, meter),
        Err(error) => {
            let code = u8::try_from(error.exit_code()).unwrap_or(2);
            tell_once(code, || {
                error.print().ok();
            });
            code
        }
    }
}

/// The jobs that a deck may name, and the words that start them.
const JOBS: [(&str, &[&str]); 6] = [
    (name::<mandelbrot::Mandelbrot>(), &["mandelbrot"]),
    (name::<counter_sort::CounterSort>(), &["counter-sort"]),
    (name::<mergesort::Mergesort>(), &["mergesort"]),
    (name::<generate::Numbers>(), &["generate", "numbers"]),
    (name::<items::Keys>(), &["generate", "keys"]),
    (name::<items::Records>(), &["generate", "records"]),
];

/// `run DECK FLAGS...` as `JOB --deck DECK FLAGS...`.
fn as_job(args: &RunArgs) -> Result<Vec<OsString>> {
    // The job's name decides the code path, so every rank reads it; the values are root's.
    let file = args.deck.as_path();
    let deck = read_deck(file)?;
    if deck.job.as_deref() == Some("scaling") {
        let words = ["dcomp", "scaling", "run"].into_iter().map(OsString::from);
        return Ok(words.chain([file.into()]).chain(args.flags.iter().cloned()).collect());
    }
    let names = JOBS.map(|(name, _)| name).join(", ");
    let Some(job) = deck.job.as_deref() else {
        return Err(Error::usage(format!(
            "{} names no job; add a line such as job = \"mandelbrot\" (or one of {names})",
            file.display()
        )));
    };
    let Some((_, words)) = JOBS.iter().find(|(name, _)| *name == job) else {
        return Err(Error::usage(format!(
            "job in {}: no job is named `{job}`; this version has {names}",
            file.display()
        )));
    };
    let mut line: Vec<OsString> = vec!["dcomp".into()];
    line.extend(words.iter().map(OsString::from));
    line.extend(["--deck".into(), file.into()]);
    line.extend(args.flags.iter().cloned());
    Ok(line)
}
