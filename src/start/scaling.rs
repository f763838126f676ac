//! `dcomp scaling`: from flags to runs, jobs, reports. One process; the ranks are others.

use std::path::{Path, PathBuf};

use super::tell::say;
use crate::cli::scaling::{
    CompareArgs, ModeArg, PlanArgs, PresetArg, ReportArgs, ScalingCommand, StudyArgs, StudyFlags,
    SubmitArgs,
};
use crate::comm::launcher::{self, Launch};
use crate::error::{Error, Result};
use crate::num::{to_f64, to_u64};
use crate::scaling::analysis::{self, Options};
use crate::scaling::pages::Preset;
use crate::scaling::report::Mode;
use crate::scaling::runner::surroundings::Surroundings;
use crate::scaling::runner::{self, Settings, line_of};
use crate::scaling::scripts::{self, Paths, Script, Site};
use crate::scaling::study::points;
use crate::scaling::study::{self, Study};
use crate::scaling::{compare, export, folder, render, sources, text_table};
use crate::store::target;
use crate::units::parse_percent;

/// Carries out a step of a study.
pub(super) fn scaling(command: &ScalingCommand) -> Result<()> {
    match launcher::detect_from_environment()? {
        Launch::Mpi { size, .. } if size != Some(1) => {
            return Err(Error::usage(
                "dcomp scaling starts the ranks itself; start it without mpirun or srun",
            ));
        }
        _ => {}
    }
    match command {
        ScalingCommand::Run(args) => run(args),
        ScalingCommand::Plan(args) => plan(args),
        ScalingCommand::Submit(args) => submit(args),
        ScalingCommand::Report(args) => report(args),
        ScalingCommand::Compare(args) => compare(args),
    }
}

fn read_study(flags: &StudyFlags) -> Result<Study> {
    let text = flags.study.as_ref().map(|path| {
        std::fs::read_to_string(path).map(|text| (text, path.display().to_string())).map_err(
            |cause| {
                Error::usage(format!(
                    "cannot read the study {}: {cause}; check the path (a command stands after --)",
                    path.display()
                ))
            },
        )
    });
    let text = text.transpose()?;
    study::resolve(text.as_ref().map(|(text, name)| (text.as_str(), name.as_str())), flags.layer())
}

/// The study's directory: as asked for, else after its name. Jobs are told it as text.
fn directory(output: Option<&PathBuf>, study: &Study) -> Result<PathBuf> {
    let plain = |c: char| if c.is_ascii_alphanumeric() || "_.-".contains(c) { c } else { '-' };
    let name: String = study.name.chars().map(plain).collect();
    let directory = output.cloned().unwrap_or_else(|| PathBuf::from(format!("scaling-{name}")));
    if directory.to_str().is_none() {
        return Err(Error::usage(format!(
            "{} is not UTF-8, which decks and jobs need; choose another name",
            directory.display()
        )));
    }
    Ok(directory)
}

fn run(args: &StudyArgs) -> Result<()> {
    let study = read_study(&args.study)?;
    let settings = Settings {
        directory: directory(args.output.as_ref(), &study)?,
        nodes: args.nodes,
        force: args.force,
        quiet: args.quiet,
    };
    let done = runner::run(&study, &settings)?;
    let found =
        if done.found > 0 { format!(" ({} were there)", done.found) } else { String::new() };
    let mut lines =
        vec![format!("{} runs of {} in {}{found}", done.measured, study.name, done.file.display())];
    if done.measured > 0 {
        let directory = line_of(&[settings.directory.display().to_string()]);
        lines.push(format!("next: dcomp scaling report {directory}"));
    }
    say(&lines)?;
    match done.first_failure {
        Some(why) if done.short.is_empty() => {
            say(&[format!("{} failed, the first {why}", count(done.failed, "run"))])
        }
        Some(why) => Err(Error::verification(format!(
            "{} failed, so there are too few at {} ranks; the first {why}; mend the command and begin \
             anew with --force",
            count(done.failed, "run"),
            done.short.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
        ))),
        None => Ok(()),
    }
}

/// `1 run`, `2 runs`.
fn count(number: u64, thing: &str) -> String {
    format!("{number} {thing}{}", if number == 1 { "" } else { "s" })
}

fn plan(args: &PlanArgs) -> Result<()> {
    let study = read_study(&args.study)?;
    let directory = directory(args.output.as_ref(), &study)?;
    let surroundings = Surroundings::find(&study)?;
    let known = study.ranks_per_node.is_some() || surroundings.nodes.is_some();
    let runs = study.warmup + study.repeats;
    let heading = ["ranks", "nodes", "threads", "cores", "runs", "node-hours", "command"];
    let mut rows = Vec::new();
    let mut total = 0.0;
    for point in points::of(&study, surroundings.place()) {
        let values = point.values(&study, 1, &format!("{}/work", directory.display()));
        let words = point.words(&study, &surroundings.launcher, "dcomp", &values);
        let hours = study
            .time_per_run
            .map(|time| time.as_secs_f64() / 3600.0 * to_f64(runs * point.nodes()));
        total += hours.unwrap_or(0.0);
        rows.push(vec![
            point.ranks.to_string(),
            if known { point.nodes().to_string() } else { "-".into() },
            point.threads.to_string(),
            point.cores().to_string(),
            runs.to_string(),
            hours.map_or_else(|| "-".into(), |hours| format!("{hours:.3}")),
            line_of(&words),
        ]);
    }
    let mut lines = text_table::lines(&heading, &rows);
    lines.push(match study.time_per_run {
        Some(time) => format!(
            "at most about {total:.3} node-hours, at {} a run of every size",
            humantime::format_duration(time)
        ),
        None => "say how long a run takes about (--time-per-run 5m) to see node-hours".into(),
    });
    if !known {
        lines.push("one node is reckoned for every size; say --ranks-per-node".into());
    }
    lines.push(match study.until {
        Some(part) => format!(
            "{} to {} runs of a size, until the interval is within {} %",
            study.repeats,
            study.max_repeats,
            part * 100.0
        ),
        None => format!("{} warm-up and {} counted runs of each size", study.warmup, study.repeats),
    });
    say(&lines)
}

fn submit(args: &SubmitArgs) -> Result<()> {
    let mut study = read_study(&args.study)?;
    let site = match &args.site {
        None => Site::default(),
        Some(path) => {
            let text = std::fs::read_to_string(path).map_err(|cause| {
                Error::usage(format!("cannot read the site's file {}: {cause}", path.display()))
            })?;
            Site::parse(&text, &path.display().to_string())?
        }
    };
    study.ranks_per_node = study.ranks_per_node.or(site.ranks_per_node);
    if study.ranks_per_node.is_none() && study.ranks.iter().any(|ranks| *ranks > 1) {
        return Err(Error::usage(
            "how many nodes a size needs depends on the ranks of a node; say --ranks-per-node (or \
             ranks_per_node in the study or the site's file)",
        ));
    }
    let absolute =
        |path: &Path| std::path::absolute(path).map_err(|cause| Error::io("find", path, &cause));
    let text = |path: &Path| -> Result<String> {
        path.to_str().map(ToOwned::to_owned).ok_or_else(|| {
            Error::usage(format!(
                "{} is not UTF-8, which Slurm needs; choose another name",
                path.display()
            ))
        })
    };
    let directory = text(&absolute(&directory(args.output.as_ref(), &study)?)?)?;
    let program = std::env::current_exe()
        .map_err(|cause| Error::io("find", Path::new("/proc/self/exe"), &cause))?;
    let program = text(&program)?;
    let paths = Paths { program: &program, directory: &directory };
    let scripts = scripts::scripts(&study, &site, paths, args.one_allocation)?;
    if args.dry_run {
        return say(&dry_submission(&scripts, &directory));
    }
    runner::lay_out(&study, Path::new(&directory), args.force)?;
    let lines = runner::slurm::submit(&scripts, Path::new(&directory), args.force)?;
    say(&lines)
}

fn dry_submission(scripts: &[Script], directory: &str) -> Vec<String> {
    let mut lines = Vec::new();
    for script in scripts {
        lines.push(format!("--- {directory}/submit/{}", script.name));
        lines.extend(script.text.lines().map(ToOwned::to_owned));
    }
    lines.push("--- commands".into());
    let ids: Vec<String> = (1..scripts.len()).map(|job| format!("JOB{job}")).collect();
    for (index, script) in scripts.iter().enumerate() {
        let after = if index + 1 == scripts.len() { ids.as_slice() } else { &[] };
        lines.push(line_of(&runner::slurm::sbatch(script, Path::new(directory), after)));
    }
    let seconds: u64 = scripts.iter().map(|script| script.limit_s * script.nodes).sum();
    lines.push(format!("--- at most {:.2} node-hours", to_f64(seconds) / 3600.0));
    lines
}

fn report(args: &ReportArgs) -> Result<()> {
    folder::check(&args.output, args.force)?;
    let read = sources::read(&args.input, &args.from_csv)?;
    let count = read.samples.len();
    let options = Options {
        title: args.title.clone(),
        baseline: args.baseline,
        mode: args.mode.map(|mode| match mode {
            ModeArg::Strong => Mode::Strong,
            ModeArg::Weak => Mode::Weak,
        }),
        runs: args.runs,
    };
    let report = analysis::analyse(read.samples, &read.notes, &options)?;
    if args.publish && !report.publishable {
        return Err(Error::verification(format!(
            "--publish: nothing was written, because {}; mend that, or leave --publish out",
            report.warnings.join("; ")
        )));
    }
    let preset = match args.preset {
        PresetArg::Full => Preset::Full,
        PresetArg::Prace => Preset::Prace,
        PresetArg::Csc => Preset::Csc,
        PresetArg::Archer => Preset::Archer,
    };
    let rendered = render::render(&report, preset);
    let mut files = rendered.map_err(|cause| Error::internal(cause.to_string()))?;
    files.push(("runs.csv".into(), export::csv(&report)?.into_bytes()));
    files.push(("extrap.jsonl".into(), export::extra_p(&report)?.into_bytes()));
    folder::publish(&args.output, &files, args.force)?;
    let mut lines: Vec<String> =
        report.warnings.iter().map(|warning| format!("warning: {warning}")).collect();
    for series in &report.series {
        lines.push(format!("{} ({:?}):", series.name, series.mode).to_lowercase());
        lines.extend(series.sentences.iter().map(|sentence| format!("  {sentence}")));
    }
    lines.push(format!(
        "{} runs, {} files: {}/report.html",
        count,
        to_u64(files.len()),
        args.output.display()
    ));
    // Names come from files; a terminal must not obey them.
    let plain = |line: &String| line.replace(char::is_control, "\u{fffd}");
    say(&lines.iter().map(plain).collect::<Vec<_>>())
}

fn compare(args: &CompareArgs) -> Result<()> {
    let limit = args.fail_if_slower.as_deref().map(parse_percent).transpose();
    let limit = limit.map_err(|why| Error::usage(format!("--fail-if-slower: {why}")))?;
    if limit.is_some_and(|part| part < 0.0) {
        return Err(Error::usage("--fail-if-slower: give a percentage of 0 or more"));
    }
    if let Some(json) = &args.json {
        target::check(json, "--json", args.force)?;
    }
    let read = |path: &PathBuf| {
        let table = path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("csv"));
        let one = std::slice::from_ref(path);
        if table { sources::read(&[], one) } else { sources::read(one, &[]) }
    };
    let (a, b) = (read(&args.a)?, read(&args.b)?);
    let mut compared = compare::compare(&a.samples, &b.samples)?;
    compared.notes.extend(a.notes.into_iter().chain(b.notes));
    if let Some(json) = &args.json {
        let mut text = serde_json::to_string_pretty(&compared)
            .map_err(|cause| Error::internal(format!("a comparison: {cause}")))?;
        text.push('\n');
        std::fs::write(json, text).map_err(|cause| Error::io("write", json, &cause))?;
    }
    say(&compared.lines())?;
    let slower = limit.map(|part| compared.slower_than(part)).unwrap_or_default();
    let broken = if limit.is_some() { compared.broken.as_slice() } else { &[] };
    if slower.is_empty() && broken.is_empty() {
        return Ok(());
    }
    let mut sizes: Vec<String> = slower
        .iter()
        .map(|pair| {
            format!(
                "{} at {} ranks by {:.1} %",
                pair.series,
                pair.ranks,
                (pair.slowdown - 1.0) * 100.0
            )
        })
        .collect();
    sizes.extend(broken.iter().map(|size| format!("{size}, which only failed")));
    Err(Error::verification(format!("slower: {}", sizes.join(", "))))
}
