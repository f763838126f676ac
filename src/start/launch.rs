//! The way of every job: resolve on root, share, check, run, report.
//!
//! Root resolves the parameters (deck, environment, flags) and shares the result, so that ranks
//! cannot differ. What flags alone decide is checked before MPI starts.

use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::tell::{AGREED, on_one_rank, report, say, say_on_root};
use crate::cli::Common;
use crate::comm::launcher::{self, Launch as Launched};
use crate::comm::{Comm, Op};
use crate::context::Context;
use crate::deck::{self, Layer, Merged, Source};
use crate::error::{Error, Result};
use crate::fault::Fault;
use crate::job::{self, Job, Request, Run};
use crate::measure::progress::Progress;
use crate::measure::record::{self, Findings, Identity, now};
use crate::measure::{Meter, Phase};
use crate::num::{to_u64, to_usize};
use crate::store::{cleanup, target};
use crate::threads::{self, Threads};

/// The keys of a job's decks.
pub(super) struct Keys {
    /// The built-in deck, whose keys are all known ones but the optional.
    pub defaults: &'static str,
    /// Keys without a default, those of every job aside.
    pub optional: &'static [&'static str],
    /// Keys whose values are text whatever they look like, those of every job aside.
    pub texts: &'static [&'static str],
    /// Groups of keys that exclude each other.
    pub exclusive: &'static [Exclusive],
}

/// Two sets of keys of which one layer may set only one.
pub(super) type Exclusive = (&'static [&'static str], &'static [&'static str]);

/// Keys of every job.
const COMMON: [&str; 4] = ["record", "threads", "force", "quiet"];

/// A file that a run writes or reads, with the flag or key that named it.
pub(super) type Named = (String, PathBuf);

/// How many ranks and threads a dry run reckons with.
pub(super) struct Size {
    pub ranks: u64,
    pub local_ranks: u64,
    pub threads: u64,
}

/// What is a job's own on the way from words to a run.
pub(super) trait Launch {
    /// The checked parameters.
    type Spec: Serialize + DeserializeOwned + 'static;
    /// The job itself.
    type Job<'a>: Job<'a, Spec = Self::Spec>;
    /// Its keys.
    const KEYS: Keys;

    /// Checks a merged deck.
    fn spec(merged: &Merged) -> Result<Self::Spec>;
    /// The main output, after which the record is named.
    fn output(spec: &Self::Spec) -> PathBuf;
    /// The files that will be written.
    fn outputs(spec: &Self::Spec, merged: &Merged) -> Vec<Named>;
    /// Fills in what only the inputs tell, on root; what they do not tell is the job's to refuse.
    fn complete(_spec: &mut Self::Spec) {}
    /// What root can check before anything is started; `written` are those files and the record.
    fn check(_spec: &Self::Spec, _merged: &Merged, _written: &[Named]) -> Result<()> {
        Ok(())
    }
    /// Lines of a dry run: memory, bytes, whether they fit.
    fn describe(spec: &Self::Spec, size: &Size) -> Result<Vec<String>>;
    /// The seed that the record names.
    fn seed(_spec: &Self::Spec) -> u64 {
        0
    }
    /// Collective. What can only be checked on the ranks.
    fn fits(_spec: &Self::Spec, _context: &Context) -> Result<()> {
        Ok(())
    }
    /// Collective. What the user wants to know, beside files and time.
    fn lines(spec: &Self::Spec, context: &Context, findings: &Findings) -> Vec<String>;
}

/// The job's name in decks and records.
pub(super) const fn name<L: Launch>() -> &'static str {
    <L::Job<'static> as Job<'static>>::NAME
}

/// How a run is carried out; the same on all ranks.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Settings {
    pub record: Option<PathBuf>,
    pub threads: Option<usize>,
    #[serde(default)]
    pub force: bool,
    #[serde(default)]
    pub quiet: bool,
}

/// What parameters are made of, beside defaults and environment.
#[derive(Clone, Copy)]
pub(super) struct Given<'a> {
    pub flags: &'a Layer,
    pub deck: Option<&'a Path>,
    /// What the run to be repeated was given: no variable of today adds to that.
    pub again: Option<&'a Layer>,
}

/// Collective, unless it is a dry run. A job from its flags to its last line.
pub(super) fn launch<L: Launch>(flags: &Layer, common: &Common, meter: Meter) -> Result<()> {
    let given = Given { flags, deck: common.deck.as_deref(), again: None };
    launch_given::<L>(given, common.how.dry_run, meter)
}

/// Collective, unless it is a dry run. As [`launch`], whatever the parameters come from.
pub(super) fn launch_given<L: Launch>(given: Given<'_>, dry: bool, meter: Meter) -> Result<()> {
    let launch = launcher::detect_from_environment()?;
    if dry {
        return on_one_rank(|| dry_run::<L>(given, launch));
    }
    if given.deck.is_none() {
        resolve::<L>(given)?;
    }
    let comm = Comm::start()?;
    let decided = comm.decide(|| {
        let (mut spec, settings, merged) = resolve::<L>(given)?;
        check_targets::<L>(&spec, &settings, given.deck, &merged)?;
        L::complete(&mut spec);
        Ok((spec, settings))
    });
    // From here on every error is agreed.
    AGREED.store(true, Ordering::SeqCst);
    let (spec, settings) = agreed(decided)?;
    let run = Run {
        output: Some(L::output(&spec)),
        record: settings.record.clone(),
        identity: identity(name::<L>(), &spec, L::seed(&spec)),
    };
    let request = Request { spec, force: settings.force };
    let context = context(name::<L>(), comm, meter, &settings)?;
    agreed(L::fits(&request.spec, &context))?;
    let findings = agreed(job::run::<L::Job<'_>>(&request, &context, &run))?;
    let mut lines = report(&context, &run, &findings);
    lines.extend(L::lines(&request.spec, &context, &findings));
    say_on_root(&context, &lines)
}

/// A launcher that ends this rank from now on, while MPI is still being left, gets the error's exit code.
fn agreed<T>(result: Result<T>) -> Result<T> {
    result.inspect_err(|error| cleanup::end_with(error.kind.exit_code()))
}

pub(super) fn read_deck(file: &Path) -> Result<deck::Deck> {
    let text = std::fs::read_to_string(file).map_err(|cause| {
        Error::usage(format!("cannot read the deck {}: {cause}; check the path", file.display()))
    })?;
    deck::parse(&text, &file.display().to_string())
}

/// Parameters from all sources.
fn resolve<L: Launch>(given: Given<'_>) -> Result<(L::Spec, Settings, Merged)> {
    let keys = L::KEYS;
    let defaults = Layer { source: Source::Default, ..deck::parse(keys.defaults, "")?.layer };
    let optional = keys.optional.iter().chain(&COMMON).map(ToString::to_string);
    let known: Vec<String> = defaults.values.keys().cloned().chain(optional).collect();
    let mut layers = vec![defaults];
    if let Some(file) = given.deck {
        let deck = read_deck(file)?;
        if let Some(job) = deck.job.filter(|job| job != name::<L>()) {
            return Err(Error::usage(format!(
                "{} is a deck for the job {job}; start it with dcomp run",
                file.display()
            )));
        }
        layers.push(deck.layer);
    }
    let texts: Vec<&str> = keys.texts.iter().copied().chain(["record"]).collect();
    let variables: Vec<String> = match given.again {
        Some(_) => COMMON.map(String::from).to_vec(),
        None => known.clone(),
    };
    layers.push(deck::environment(&variables, &texts, |name| std::env::var(name).ok()));
    layers.extend(given.again.cloned());
    layers.push(given.flags.clone());
    let merged = deck::merge(&layers, &known, keys.exclusive)?;
    let spec = L::spec(&merged)?;
    let settings: Settings = merged.read()?;
    if let Some(threads) = settings.threads.filter(|threads| !(1..=1024).contains(threads)) {
        let name = merged.name("threads");
        return Err(Error::usage(format!("{name}: {threads}; give 1 or more, at most 1024")));
    }
    Ok((spec, settings, merged))
}

/// All files can be made, and no two are one.
fn check_targets<L: Launch>(
    spec: &L::Spec,
    settings: &Settings,
    deck: Option<&Path>,
    merged: &Merged,
) -> Result<()> {
    let mut files = L::outputs(spec, merged);
    for (named, path) in &files {
        target::check(path, named, settings.force)?;
    }
    let record = check_record(settings, &merged.name("record"), &L::output(spec))?;
    files.push((format!("the record ({})", merged.name("record")), record));
    let written = files.len();
    files.extend(deck.map(|path| ("the deck".into(), path.to_path_buf())));
    all_apart(&files)?;
    L::check(spec, merged, &files[..written])
}

/// No file that is written is another one that is written or read.
pub(super) fn all_apart(files: &[Named]) -> Result<()> {
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
pub(super) fn check_record(settings: &Settings, named: &str, output: &Path) -> Result<PathBuf> {
    if let Some(record) = &settings.record {
        target::check(record, named, settings.force)?;
        return Ok(record.clone());
    }
    let record = target::record_of(output);
    target::check(&record, "the record", settings.force || record::is_ours(&record))?;
    Ok(record)
}

fn dry_run<L: Launch>(given: Given<'_>, launch: Launched) -> Result<()> {
    let (spec, settings, merged) = resolve::<L>(given)?;
    let ranks = match launch {
        Launched::Alone => 1,
        Launched::Mpi { size, .. } => size.unwrap_or(1),
    };
    let threads = to_u64(settings.threads.unwrap_or_else(threads::default_count));
    let mut lines = merged.describe();
    let size = Size { ranks, local_ranks: launcher::local_size(ranks), threads };
    lines.extend(L::describe(&spec, &size)?);
    say(&lines)?;
    check_targets::<L>(&spec, &settings, given.deck, &merged)
}

pub(super) fn identity(job: &'static str, spec: &impl Serialize, seed: u64) -> Identity {
    Identity {
        job,
        spec: serde_json::to_value(spec).unwrap_or(Value::Null),
        seed,
        command: std::env::args_os().map(|word| word.to_string_lossy().into_owned()).collect(),
        started: now(),
    }
}

/// Collective. The surroundings of a run. All ranks get as many threads as the one with the fewest:
/// a plan counts on equal workers.
pub(super) fn context(
    job: &'static str,
    comm: Comm,
    meter: Meter,
    settings: &Settings,
) -> Result<Context> {
    let speaks = comm.is_root() && !settings.quiet;
    let mut count = [to_u64(settings.threads.unwrap_or_else(threads::default_count))];
    comm.all_reduce(Op::Min, &mut count);
    let threads = comm.agree(Threads::new(to_usize(count[0])))?;
    let context = Context {
        threads,
        progress: Progress::new(job, speaks),
        fault: Fault::for_rank(comm.rank()),
        comm,
        meter,
    };
    context.meter.charge(Phase::Setup, context.meter.elapsed_s());
    Ok(context)
}
