//! From the command line to a finished run: the one way in for every job.
//!
//! Root resolves the parameters (deck, environment, flags) and shares the result, so that ranks
//! cannot differ. What flags alone decide is checked before MPI starts.

use std::ffi::OsString;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use clap::Parser;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::cli::{Cli, Command, RecolorArgs, RunArgs};
use crate::comm::launcher::{self, Launch};
use crate::comm::{Comm, Op, end_process_on_panic, host_name};
use crate::context::Context;
use crate::deck::{self, Layer, Merged, Source};
use crate::error::{Error, Result};
use crate::fault::Fault;
use crate::job::{self, Job, Run};
use crate::mandelbrot::recolor::{Recolor, RecolorSpec};
use crate::mandelbrot::spec::{self, Spec};
use crate::mandelbrot::{Render, Request, estimate, fits};
use crate::measure::progress::Progress;
use crate::measure::record::{FileSum, Findings, Identity, SCHEMA, now};
use crate::measure::{Meter, Phase};
use crate::num::{to_f64, to_u64, to_usize};
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
        Command::Run(args) => match as_job(&args) {
            Ok(words) => return start_words(words, meter),
            Err(error) => Err(error),
        },
        Command::Verify(args) => on_one_rank(|| {
            let sum = verify::verify(&args.file, args.record.as_deref())?;
            say(&[format!("{}: {} bytes, crc64 {}: as recorded", sum.path, sum.bytes, sum.crc64)])
        }),
    };
    let Err(error) = done else { return 0 };
    let code = error.kind.exit_code();
    tell_once(code, || {
        writeln!(std::io::stderr(), "dcomp: {}", error.message).ok();
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

/// Lets rank 0 tell what every rank finds. A launcher ends all ranks when the first one fails, so
/// the others wait for that; a rank that is still there afterwards failed alone, and tells it.
fn tell_once(code: u8, tell: impl FnOnce()) {
    let rank = launcher::told_rank();
    if rank == 0 {
        tell();
    } else if code != 0 && AGREED.load(Ordering::SeqCst) {
        std::thread::sleep(Duration::from_secs(1));
    } else if code != 0 {
        std::thread::sleep(Duration::from_secs(3));
        writeln!(std::io::stderr(), "dcomp: on rank {rank} ({}):", host_name()).ok();
        tell();
    }
}

/// Whether all ranks have the same error, which root tells.
static AGREED: AtomicBool = AtomicBool::new(false);

/// Prints results. A reader that has gone away wants no more; anything else is an error.
fn say(lines: &[String]) -> Result<()> {
    let mut stdout = std::io::stdout().lock();
    let mut text = lines.join("\n");
    text.push('\n');
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Err(cause) if cause.kind() != ErrorKind::BrokenPipe => {
            Err(Error::io("write results to", Path::new("standard output"), &cause))
        }
        _ => Ok(()),
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

/// `run DECK FLAGS...` as `JOB --deck DECK FLAGS...`.
fn as_job(args: &RunArgs) -> Result<Vec<OsString>> {
    // The job's name decides the code path, so every rank reads it; the values are root's.
    let file = args.deck.as_path();
    let deck = read_deck(file)?;
    match deck.job.as_deref() {
        Some(job @ Render::NAME) => {
            let words = ["dcomp".into(), job.into(), "--deck".into(), file.into()];
            Ok(words.into_iter().chain(args.flags.iter().cloned()).collect())
        }
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
    layers.push(deck::environment(&known, &spec::TEXT_KEYS, |name| std::env::var(name).ok()));
    layers.push(flags.clone());
    let merged = deck::merge(&layers, &known, &[spec::VIEW_KEYS])?;
    let spec = Spec::from_deck(&merged)?;
    let settings: Settings = merged.read()?;
    if let Some(threads) = settings.threads.filter(|threads| !(1..=1024).contains(threads)) {
        let name = merged.name("threads");
        return Err(Error::usage(format!("{name}: {threads}; give 1 or more, at most 1024")));
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
    let decided = comm.decide(|| {
        let (spec, settings, merged) = resolve(flags, deck_file)?;
        check_targets(&spec, &settings, deck_file, &merged)?;
        Ok((Request { spec, force: settings.force }, settings))
    });
    // From here on every error is agreed.
    AGREED.store(true, Ordering::SeqCst);
    let (request, settings) = decided?;
    comm.agree(request.spec.kernel_available())?;
    let run = Run {
        output: Some(request.spec.output.clone()),
        record: settings.record.clone(),
        identity: identity::<Render<'_>>(&request.spec, request.spec.seed),
    };
    let context = context::<Render<'_>>(comm, meter, &settings)?;
    fits(&request.spec, &context)?;
    let findings = job::run::<Render<'_>>(&request, &context, &run)?;
    let mut lines = report(&context, &run, &findings);
    let iterations = findings.result["iterations_total"].as_u64().unwrap_or(0);
    let compute_s = context.meter.phase_s(Phase::Compute);
    lines.push(format!(
        "iterations {iterations}, interior pixels {}, {:.2} Giter/s in compute",
        findings.result["interior_pixels"],
        to_f64(iterations) / 1e9 / compute_s.max(1e-9),
    ));
    say_on_root(&context, &lines)
}

/// Collective. Results come from root; that they could not be told is everybody's error.
fn say_on_root(context: &Context, lines: &[String]) -> Result<()> {
    context.comm.agree(if context.comm.is_root() { say(lines) } else { Ok(()) })
}

/// All files of a picture can be made, and no two are one.
fn check_targets(
    spec: &Spec,
    settings: &Settings,
    deck: Option<&Path>,
    merged: &Merged,
) -> Result<()> {
    target::check(&spec.output, &merged.name("output"), settings.force)?;
    if let Some(hdf5) = &spec.hdf5 {
        target::check(hdf5, &merged.name("hdf5"), settings.force)?;
    }
    let record = check_record(settings, &merged.name("record"), &spec.output)?;
    let mut files = vec![(merged.name("output"), spec.output.clone())];
    files.extend(spec.hdf5.iter().map(|path| (merged.name("hdf5"), path.clone())));
    files.push((format!("the record ({})", merged.name("record")), record));
    files.extend(deck.map(|path| ("the deck".into(), path.to_path_buf())));
    all_apart(&files)
}

/// No file that is written is another one that is written or read.
fn all_apart(files: &[(String, PathBuf)]) -> Result<()> {
    for (at, (name, path)) in files.iter().enumerate() {
        let twin = files[at + 1..].iter().find(|(_, other)| target::same(path, other));
        if let Some((other_name, _)) = twin {
            return Err(Error::usage(format!(
                "{name} and {other_name} are one file, {}; give another name",
                path.display()
            )));
        }
    }
    Ok(())
}

/// Where the record will go. An older record beside the output is replaced; anything else that is
/// there needs `--force`.
fn check_record(settings: &Settings, named: &str, output: &Path) -> Result<PathBuf> {
    if let Some(record) = &settings.record {
        target::check(record, named, settings.force)?;
        return Ok(record.clone());
    }
    let record = target::record_of(output);
    let text = std::fs::read(&record).unwrap_or_default();
    let older: Value = serde_json::from_slice(&text).unwrap_or_default();
    target::check(&record, "the record", settings.force || older["schema"] == SCHEMA)?;
    Ok(record)
}

fn dry_run_mandelbrot(flags: &Layer, deck_file: Option<&Path>, launch: Launch) -> Result<()> {
    let (spec, settings, merged) = resolve(flags, deck_file)?;
    let ranks = match launch {
        Launch::Alone => 1,
        Launch::Mpi { size, .. } => size.unwrap_or(1),
    };
    let threads = settings.threads.unwrap_or_else(threads::default_count);
    let mut lines = merged.describe();
    lines.extend(estimate::describe(&spec, ranks, launcher::local_size(ranks), to_u64(threads)));
    say(&lines)?;
    check_targets(&spec, &settings, deck_file, &merged)
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
        let record = check_record(&settings, "--record", &output)?;
        all_apart(&[
            ("--output".into(), output.clone()),
            ("the record (--record)".into(), record),
            ("the input".into(), spec.input.clone()),
        ])
    };
    if args.how.dry_run {
        return on_one_rank(|| {
            say(&spec.describe()?)?;
            check()
        });
    }
    let comm = Comm::start()?;
    AGREED.store(true, Ordering::SeqCst);
    comm.decide(check)?;
    let run = Run {
        output: Some(output.clone()),
        record: settings.record.clone(),
        identity: identity::<Recolor<'_>>(&spec, 0),
    };
    let request = (spec, settings.force);
    let context = context::<Recolor<'_>>(comm, meter, &settings)?;
    let findings = job::run::<Recolor<'_>>(&request, &context, &run)?;
    say_on_root(&context, &report(&context, &run, &findings))
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

/// Collective. The surroundings of a run. All ranks get as many threads as the one with the fewest:
/// a plan counts on equal workers.
fn context<'a, J: Job<'a>>(comm: Comm, meter: Meter, settings: &Settings) -> Result<Context> {
    let speaks = comm.is_root() && !settings.quiet;
    let mut count = [to_u64(settings.threads.unwrap_or_else(threads::default_count))];
    comm.all_reduce(Op::Min, &mut count);
    let threads = comm.agree(Threads::new(to_usize(count[0])))?;
    let context = Context {
        threads,
        progress: Progress::new(J::NAME, speaks),
        fault: Fault::for_rank(comm.rank()),
        comm,
        meter,
    };
    context.meter.charge(Phase::Setup, context.meter.elapsed_s());
    Ok(context)
}

/// What a user wants to know at the end.
fn report(context: &Context, run: &Run, findings: &Findings) -> Vec<String> {
    let describe = |file: &FileSum| {
        format!("{}: {} bytes, crc64 {}, read back", file.path, file.bytes, file.crc64)
    };
    let mut lines: Vec<String> = findings.outputs.iter().map(describe).collect();
    let record = match (&run.record, &run.output) {
        (Some(record), _) => Some(record.clone()),
        (None, output) => output.as_deref().map(target::record_of),
    };
    lines.push(format!(
        "verified in {:.3} s on {} ranks x {} threads{}",
        context.meter.elapsed_s(),
        context.comm.size(),
        context.threads.count(),
        record.map_or_else(String::new, |path| format!("; record {}", path.display())),
    ));
    lines
}
