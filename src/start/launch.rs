//! The way of every job: resolve on root, share, check, run, report.
//!
//! Root resolves the parameters (deck, environment, flags) and shares the result, so that ranks
//! cannot differ. What flags alone decide is checked before MPI starts.

use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::complete;
use super::tell::{AGREED, on_one_rank, report, say, say_on_root};
use crate::cli::Common;
use crate::comm::launcher::{self, Launch as Launched};
use crate::comm::{self, Comm, HANG_TIMEOUT, Op};
use crate::context::{Context, Saves};
use crate::deck::{self, Layer, Merged, Source};
use crate::error::{Error, Result};
use crate::fault::Fault;
use crate::heap;
use crate::job::{self, Job, Request, Run};
use crate::measure::last_words::{self, Prepared};
use crate::measure::progress::Progress;
use crate::measure::record::{self, Findings, Identity, now};
use crate::measure::{Meter, Phase};
use crate::num::{to_u64, to_usize};
use crate::stop::{self, Breaks};
use crate::store::checkpoint::{self, Checkpoints, Found, Start};
use crate::store::{cleanup, target};
use crate::threads::{self, Threads};
use crate::units::duration_text;

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
const COMMON: [&str; 5] = ["record", "threads", "hang_timeout", "force", "quiet"];

/// Keys of every job that writes checkpoints.
const SAVING: [&str; 4] = ["checkpoint", "resume", "checkpoint_every", "max_time"];

/// A file that a run writes or reads, with the flag or key that named it.
pub(super) type Named = (String, PathBuf);

/// How many ranks and threads a dry run reckons with.
pub(super) struct Size {
    pub ranks: u64,
    pub local_ranks: u64,
    pub threads: u64,
    /// Bytes of a rank besides what its job takes.
    pub rank_bytes: u64,
    /// Its checkpoints, if there are any.
    pub saving: Option<Saving>,
}

/// Where checkpoints go, and when.
pub(super) struct Saving {
    pub directory: PathBuf,
    pub every: Duration,
    /// Whether there is one already that the run goes on from.
    pub goes_on: bool,
}

/// What is a job's own on the way from words to a run.
pub(super) trait Launch {
    /// The checked parameters.
    type Spec: Serialize + DeserializeOwned + 'static;
    /// The job itself.
    type Job<'a>: Job<'a, Spec = Self::Spec>;
    /// Its keys.
    const KEYS: Keys;

    /// Whether it writes checkpoints.
    const CHECKPOINTS: bool = false;

    /// Whether the heap keeps what is freed, for a next round that takes the same again.
    const KEEPS_FREED: bool = true;

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
    /// On root: what a run must have in common with the one whose checkpoint it goes on from, parameters that
    /// only say how to compute left out.
    ///
    /// # Errors
    /// When an input cannot be looked at.
    fn identity(spec: &Self::Spec) -> Result<Value> {
        decisive(spec, &[])
    }
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

/// The parameters but for those that only say how to compute.
pub(super) fn decisive(spec: &impl Serialize, how: &[&str]) -> Result<Value> {
    let value = serde_json::to_value(spec);
    let mut value = value.map_err(|cause| Error::internal(format!("the parameters: {cause}")))?;
    if let Value::Object(keys) = &mut value {
        keys.retain(|key, _| !how.contains(&key.as_str()));
    }
    Ok(value)
}

/// How a run is carried out; the same on all ranks.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Settings {
    pub record: Option<PathBuf>,
    pub threads: Option<usize>,
    #[serde(default, with = "duration_text")]
    pub hang_timeout: Option<Duration>,
    #[serde(default)]
    pub force: bool,
    #[serde(default)]
    pub quiet: bool,
    pub checkpoint: Option<PathBuf>,
    #[serde(default)]
    pub resume: bool,
    #[serde(default, with = "duration_text")]
    pub checkpoint_every: Option<Duration>,
    #[serde(default, with = "duration_text")]
    pub max_time: Option<Duration>,
}

impl Settings {
    /// Tells the watchdog how long a rank may be stopped.
    pub(super) fn hang_after(&self) {
        let told = self.hang_timeout.unwrap_or(HANG_TIMEOUT);
        comm::hang_after((!told.is_zero()).then_some(told));
    }

    /// The time between two checkpoints.
    pub(super) fn every(&self) -> Duration {
        self.checkpoint_every.unwrap_or(CHECKPOINT_EVERY)
    }

    /// Refuses what the watchdog cannot keep; `named` is the flag or key.
    pub(super) fn check_hang_timeout(&self, named: &str) -> Result<()> {
        let odd = |time: &Duration| !time.is_zero() && !HANG_TIMEOUTS.contains(time);
        self.hang_timeout.filter(odd).map_or(Ok(()), |time| {
            let time = humantime::format_duration(time);
            Err(Error::usage(format!(
                "{named}: {time}; give 1s or more, at most a year, or 0 for never"
            )))
        })
    }
}

/// Lays down for the run's last words what is known of it.
pub(super) fn lay_down(context: &Context, run: &Run) -> Prepared {
    last_words::prepare(&context.comm, &run.identity, run.record.clone(), run.output.clone())
}

/// What a rank may be told to wait for another one: the watchdog looks ten times a second.
const HANG_TIMEOUTS: RangeInclusive<Duration> =
    Duration::from_secs(1)..=Duration::from_secs(366 * 24 * 3600);

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
        resolve::<L>(given)?.1.hang_after();
    }
    if !L::KEEPS_FREED {
        heap::give_back_freed();
    }
    // Before MPI starts, which may take longer than a batch system waits after its warning.
    cleanup::heed_signals();
    if L::CHECKPOINTS {
        stop::undecided();
    }
    let comm = Comm::start()?;
    let decided = comm.decide(|| {
        let (mut spec, settings, merged) = resolve::<L>(given)?;
        let outputs = L::outputs(&spec, &merged);
        L::complete(&mut spec);
        let complete = complete::already::<L>(&spec, &settings, &outputs)?;
        if complete.is_none() {
            check_targets::<L>(&spec, &settings, given.deck, &merged)?;
        }
        Ok((spec, settings, complete))
    });
    // From here on every error is agreed.
    AGREED.store(true, Ordering::SeqCst);
    let (spec, settings, complete) = agreed(decided)?;
    if let Some(lines) = complete {
        return if comm.is_root() { say(&lines) } else { Ok(()) };
    }
    settings.hang_after();
    stop::decide(settings.checkpoint.is_some());
    let run = Run {
        output: Some(L::output(&spec)),
        record: settings.record.clone(),
        identity: identity(name::<L>(), &spec, L::seed(&spec)),
    };
    let request = Request { spec, force: settings.force };
    let mut context = context(name::<L>(), comm, meter, &settings)?;
    agreed(L::fits(&request.spec, &context))?;
    let found = agreed(saves::<L>(&request.spec, &settings, &mut context))?;
    let prepared = lay_down(&context, &run);
    let findings = agreed(job::run::<L::Job<'_>>(&request, &context, found.as_ref(), &run))?;
    drop(prepared);
    let mut lines = report(&context, &run, &findings);
    lines.extend(L::lines(&request.spec, &context, &findings));
    // The record is there: nothing is left that a later run could need.
    let Context { saves, comm, .. } = &mut context;
    let finished = saves.take().map_or(Ok(()), |saves| saves.checkpoints.finish(comm));
    say_on_root(&context, &lines)?;
    agreed(finished.map_err(|error| Error {
        message: format!("{}; {}", error.message, job::ALL_THE_SAME),
        ..error
    }))
}

/// Collective. Takes hold of the checkpoints, where there are to be any; the one to go on from.
fn saves<L: Launch>(
    spec: &L::Spec,
    settings: &Settings,
    context: &mut Context,
) -> Result<Option<Found>> {
    let Some(directory) = &settings.checkpoint else { return Ok(None) };
    let comm = &context.comm;
    let identity = comm.decide(|| identity_of::<L>(spec))?;
    let start = match (settings.resume, settings.force) {
        (true, _) => Start::Resume,
        (false, false) => Start::Fresh,
        (false, true) => Start::Anew,
    };
    // The time may be over while a checkpoint is read.
    let elapsed = Duration::from_secs_f64(context.meter.elapsed_s().max(0.0));
    let breaks = Breaks::new(settings.every(), settings.max_time, elapsed);
    let (checkpoints, found, remarks) = Checkpoints::open(comm, directory, identity, start)?;
    for remark in &remarks {
        context.progress.warn(remark);
    }
    if let Some(found) = &found {
        let (from, ranks) = (found.number, found.parts());
        let line =
            format!("goes on from checkpoint {from} of {ranks} ranks in {}", directory.display());
        context.progress.say(&line);
    }
    context.saves = Some(Saves { checkpoints, breaks });
    Ok(found)
}

/// On root. What runs that go on from each other have in common.
pub(super) fn identity_of<L: Launch>(spec: &L::Spec) -> Result<Value> {
    Ok(json!({ "job": name::<L>(), "spec": L::identity(spec)? }))
}

/// How often a checkpoint is written when nobody says.
const CHECKPOINT_EVERY: Duration = Duration::from_secs(600);

/// Keys that mean nothing without a directory. A job script may set them for all runs, by the environment.
fn check_saving(settings: &Settings, merged: &Merged) -> Result<()> {
    let meant = |key: &&&str| merged.is_set(key) && !merged.name(key).starts_with("DCOMP_");
    match SAVING[1..].iter().find(meant).filter(|_| settings.checkpoint.is_none()) {
        Some(key) if *key != "resume" || settings.resume => Err(Error::usage(format!(
            "{} needs a directory for checkpoints; give --checkpoint DIR",
            merged.name(key)
        ))),
        _ => Ok(()),
    }
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
    let saving: &[&str] = if L::CHECKPOINTS { &SAVING } else { &[] };
    let optional = keys.optional.iter().chain(&COMMON).chain(saving).map(ToString::to_string);
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
    let texts =
        keys.texts.iter().copied().chain(["record", "hang_timeout"]).chain(saving.iter().copied());
    let texts: Vec<&str> = texts.filter(|key| *key != "resume").collect();
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
    check_saving(&settings, &merged)?;
    settings.check_hang_timeout(&merged.name("hang_timeout"))?;
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
        // An output of the run that is to go on may have its name already; its part file tells.
        target::check(path, named, settings.force || settings.resume)?;
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
    let (ranks, launched) = match launch {
        Launched::Alone => (1, false),
        Launched::Mpi { size, .. } => (size.unwrap_or(1), true),
    };
    let threads = to_u64(settings.threads.unwrap_or_else(threads::default_count));
    let mut lines = merged.describe();
    let local_ranks = launcher::local_size(ranks);
    let saving = settings.checkpoint.as_ref().map(|directory| Saving {
        directory: directory.clone(),
        every: settings.every(),
        goes_on: settings.resume && checkpoint::is_there(directory),
    });
    let rank_bytes = comm::rank_bytes(launched, local_ranks);
    let size = Size { ranks, local_ranks, threads, rank_bytes, saving };
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
    let mut count = [to_u64(settings.threads.unwrap_or_else(threads::default_count))];
    comm.all_reduce(Op::Min, &mut count);
    let threads = comm.agree(Threads::new(to_usize(count[0])))?;
    let context = Context {
        threads,
        progress: Progress::new(job, comm.is_root(), settings.quiet),
        fault: Fault::for_rank(comm.rank()),
        comm,
        meter,
        saves: None,
    };
    context.meter.charge(Phase::Setup, context.meter.elapsed_s());
    Ok(context)
}
