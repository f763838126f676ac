//! From the command line to a finished run: the one way in for every job.
//!
//! Root resolves the parameters (deck, environment, flags) and shares the result, so that ranks
//! cannot differ. What flags alone decide is checked before MPI starts.
#![expect(clippy::print_stdout, reason = "the one place that prints results")]

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::cli::{Cli, Command, RecolorArgs};
use crate::comm::launcher::{self, Launch};
use crate::comm::{Comm, end_process_on_panic};
use crate::context::Context;
use crate::deck::{self, Layer, Merged, Source};
use crate::error::{Error, Result};
use crate::fault::Fault;
use crate::job::{self, Job, Run};
use crate::mandelbrot::recolor::{Recolor, RecolorSpec};
use crate::mandelbrot::spec::{self, Spec};
use crate::mandelbrot::{Render, Request, estimate};
use crate::measure::progress::Progress;
use crate::measure::record::{Findings, Identity, now};
use crate::measure::{Meter, Phase};
use crate::num::{to_f64, to_u64};
use crate::store::{self, target};
use crate::threads::{self, Threads};
use crate::verify;

/// Runs a parsed command line; returns the exit code.
pub fn start(cli: Cli, meter: Meter) -> u8 {
    store::report_file_size_limit();
    end_process_on_panic();
    let done = match cli.command {
        Command::Mandelbrot(args) => {
            let how = &args.common.how;
            mandelbrot(&args.layer(), args.common.deck.as_deref(), how.dry_run, meter)
        }
        Command::Recolor(args) => recolor(&args, meter),
        Command::Run(args) => run_deck(&args.deck, &args.how.layer(), args.how.dry_run, meter),
        Command::Verify(args) => on_one_rank(|| {
            let sum = verify::verify(&args.file, args.record.as_deref())?;
            println!("{}: {} bytes, crc64 {}: as recorded", sum.path, sum.bytes, sum.crc64);
            Ok(())
        }),
    };
    let Err(error) = done else { return 0 };
    let code = error.kind.exit_code();
    if launcher::told_rank() == 0 {
        eprintln!("dcomp: {}", error.message);
    } else {
        wait_for_root_to_tell(code);
    }
    code
}

/// A launcher ends all ranks when the first one fails; rank 0 gets the time to say why.
pub fn wait_for_root_to_tell(code: u8) {
    if code != 0 {
        std::thread::sleep(Duration::from_millis(500));
    }
}

/// For what needs no ranks: the first one does it, the others have nothing to do.
fn on_one_rank(work: impl FnOnce() -> Result<()>) -> Result<()> {
    if launcher::told_rank() == 0 { work() } else { Ok(()) }
}

/// How a run is carried out; the same on all ranks.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Settings {
    record: Option<PathBuf>,
    threads: Option<usize>,
    #[serde(default)]
    force: bool,
    #[serde(default)]
    quiet: bool,
}

fn run_deck(file: &Path, flags: &Layer, dry_run: bool, meter: Meter) -> Result<()> {
    // The job's name decides the code path, so every rank reads it; the values are root's.
    let deck = read_deck(file)?;
    match deck.job.as_deref() {
        Some(Render::NAME) => mandelbrot(flags, Some(file), dry_run, meter),
        Some(other) => Err(Error::usage(format!(
            "job in {}: no job is named `{other}`; this version has mandelbrot",
            file.display()
        ))),
        None => Err(Error::usage(format!(
            "{} names no job; add the line job = \"mandelbrot\"",
            file.display()
        ))),
    }
}

fn read_deck(file: &Path) -> Result<deck::Deck> {
    let text = std::fs::read_to_string(file).map_err(|cause| {
        Error::usage(format!("cannot read the deck {}: {cause}; check the path", file.display()))
    })?;
    deck::parse(&text, &file.display().to_string())
}

/// Parameters of a picture from all sources.
fn resolve(flags: &Layer, deck_file: Option<&Path>) -> Result<(Spec, Settings, Merged)> {
    let defaults = Layer { source: Source::Default, ..deck::parse(spec::DEFAULTS, "")?.layer };
    let known: Vec<String> =
        defaults.values.keys().cloned().chain(spec::OPTIONAL_KEYS.map(String::from)).collect();
    let mut layers = vec![defaults];
    if let Some(file) = deck_file {
        let deck = read_deck(file)?;
        if let Some(job) = deck.job.filter(|job| job != Render::NAME) {
            return Err(Error::usage(format!(
                "{} is a deck for the job {job}; start it with dcomp run",
                file.display()
            )));
        }
        layers.push(deck.layer);
    }
    layers.push(deck::environment(&known, |name| std::env::var(name).ok()));
    layers.push(flags.clone());
    let merged = deck::merge(&layers, &known, &[spec::VIEW_KEYS])?;
    let spec = Spec::from_deck(&merged)?;
    let settings: Settings = merged.read()?;
    if settings.threads == Some(0) {
        return Err(Error::usage(format!("{}: 0; give 1 or more", merged.name("threads"))));
    }
    Ok((spec, settings, merged))
}

fn mandelbrot(flags: &Layer, deck_file: Option<&Path>, dry_run: bool, meter: Meter) -> Result<()> {
    let launch = launcher::detect_from_environment()?;
    if dry_run {
        return on_one_rank(|| dry_run_mandelbrot(flags, deck_file, launch));
    }
    if deck_file.is_none() {
        resolve(flags, None)?;
    }
    let comm = Comm::start()?;
    let (request, settings) = comm.decide(|| {
        let (spec, settings, merged) = resolve(flags, deck_file)?;
        check_targets(&spec, &settings, &merged)?;
        Ok((Request { spec, force: settings.force }, settings))
    })?;
    comm.agree(request.spec.kernel_available())?;
    let run = Run {
        output: Some(request.spec.output.clone()),
        record: settings.record.clone(),
        replaces: target::exists(&request.spec.output),
        identity: identity::<Render<'_>>(&request.spec, request.spec.seed),
    };
    let context = context::<Render<'_>>(comm, meter, &settings);
    let findings = job::run::<Render<'_>>(&request, &context, &run)?;
    if context.comm.is_root() {
        report(&context, &run, &findings);
        let iterations = findings.result["iterations_total"].as_u64().unwrap_or(0);
        let compute_s = context.meter.phase_s(Phase::Compute);
        println!(
            "iterations {iterations}, interior pixels {}, {:.2} Giter/s in compute",
            findings.result["interior_pixels"],
            to_f64(iterations) / 1e9 / compute_s.max(1e-9),
        );
    }
    Ok(())
}

/// All outputs of a picture can be made, and none is the other.
fn check_targets(spec: &Spec, settings: &Settings, merged: &Merged) -> Result<()> {
    target::check(&spec.output, &merged.name("output"), settings.force)?;
    if let Some(hdf5) = &spec.hdf5 {
        target::check(hdf5, &merged.name("hdf5"), settings.force)?;
    }
    let outputs = [Some(&spec.output), spec.hdf5.as_ref()];
    check_record(settings, &merged.name("record"), outputs)
}

fn check_record(settings: &Settings, named: &str, outputs: [Option<&PathBuf>; 2]) -> Result<()> {
    let Some(record) = &settings.record else { return Ok(()) };
    if outputs.contains(&Some(record)) {
        return Err(Error::usage(format!("{named} is an output's file; give another name")));
    }
    target::check(record, named, settings.force)
}

fn dry_run_mandelbrot(flags: &Layer, deck_file: Option<&Path>, launch: Launch) -> Result<()> {
    let (spec, settings, merged) = resolve(flags, deck_file)?;
    for line in merged.describe() {
        println!("{line}");
    }
    let ranks = match launch {
        Launch::Alone => 1,
        Launch::Mpi { size, .. } => size.unwrap_or(1),
    };
    let threads = settings.threads.unwrap_or_else(threads::default_count);
    for line in estimate::describe(&spec, ranks, to_u64(threads)) {
        println!("{line}");
    }
    check_targets(&spec, &settings, &merged)
}

fn recolor(args: &RecolorArgs, meter: Meter) -> Result<()> {
    launcher::detect_from_environment()?;
    let settings = Settings {
        record: args.how.record.clone().map(PathBuf::from),
        threads: args.how.threads.map(usize::from),
        force: args.how.force,
        quiet: args.how.quiet,
    };
    let spec = RecolorSpec::from_arguments(args)?;
    let output = spec.output.clone();
    let check = || {
        target::check(&output, "--output", settings.force)?;
        check_record(&settings, "--record", [Some(&output), None])
    };
    if args.how.dry_run {
        return on_one_rank(|| {
            spec.describe()?.iter().for_each(|line| println!("{line}"));
            check()
        });
    }
    let comm = Comm::start()?;
    comm.decide(check)?;
    let run = Run {
        output: Some(output.clone()),
        record: settings.record.clone(),
        replaces: target::exists(&output),
        identity: identity::<Recolor<'_>>(&spec, 0),
    };
    let request = (spec, settings.force);
    let context = context::<Recolor<'_>>(comm, meter, &settings);
    let findings = job::run::<Recolor<'_>>(&request, &context, &run)?;
    if context.comm.is_root() {
        report(&context, &run, &findings);
    }
    Ok(())
}

fn identity<'a, J: Job<'a>>(spec: &impl Serialize, seed: u64) -> Identity {
    Identity {
        job: J::NAME,
        spec: serde_json::to_value(spec).unwrap_or(Value::Null),
        seed,
        command: std::env::args_os().map(|word| word.to_string_lossy().into_owned()).collect(),
        started: now(),
    }
}

fn context<'a, J: Job<'a>>(comm: Comm, meter: Meter, settings: &Settings) -> Context {
    let speaks = comm.is_root() && !settings.quiet;
    let context = Context {
        threads: Threads::new(settings.threads.unwrap_or_else(threads::default_count)),
        progress: Progress::new(J::NAME, speaks),
        fault: Fault::for_rank(comm.rank()),
        comm,
        meter,
    };
    context.meter.charge(Phase::Setup, context.meter.elapsed_s());
    context
}

/// What a user wants to know at the end, on stdout, from root.
fn report(context: &Context, run: &Run, findings: &Findings) {
    for file in &findings.outputs {
        println!("{}: {} bytes, crc64 {}, read back", file.path, file.bytes, file.crc64);
    }
    let record = match (&run.record, &run.output) {
        (Some(record), _) => Some(record.clone()),
        (None, output) => output.as_deref().map(target::record_of),
    };
    println!(
        "verified in {:.3} s on {} ranks x {} threads{}",
        context.meter.elapsed_s(),
        context.comm.size(),
        context.threads.count(),
        record.map_or_else(String::new, |path| format!("; record {}", path.display())),
    );
}
