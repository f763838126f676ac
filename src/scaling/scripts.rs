//! Job scripts of a study: one a node count, or one for all, and the report that comes after. Pure.
//!
//! Values of the site go into `#SBATCH` lines, which Slurm splits by rules of its own, so there only
//! letters that need no rule are taken; everything in the body is quoted for the shell.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;

use super::study::Study;
use super::study::points::{self, Place, Point};
use crate::deck::toml_problem;
use crate::error::{Error, Result};
use crate::num::{floor_u64, to_f64, to_u64};

/// What a site wants, from its TOML file. No key is needed.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Site {
    /// `--partition`.
    pub partition: Option<String>,
    /// `--account`.
    pub account: Option<String>,
    /// `--qos`.
    pub qos: Option<String>,
    /// `--constraint`.
    pub constraint: Option<String>,
    /// The least time limit, as `30m`; jobs get more when their runs need it.
    pub time: Option<String>,
    /// Whole nodes for this job alone.
    pub exclusive: Option<bool>,
    /// `--mem`, `0` for all of a node.
    pub mem: Option<String>,
    /// Ranks on a node, where the study does not say.
    pub ranks_per_node: Option<u64>,
    /// Other options of sbatch, as `--hint=nomultithread`.
    pub options: Vec<String>,
    /// Modules to load.
    pub modules: Vec<String>,
    /// Lines of shell before the run, taken as they are.
    pub lines: Vec<String>,
    /// Variables to set.
    pub environment: BTreeMap<String, String>,
    /// The MPI plugin of srun: `pmix`, `pmi2`.
    pub mpi: Option<String>,
}

impl Site {
    /// Reads a site's file; `name` is its name in messages.
    ///
    /// # Errors
    /// Usage errors that name the key.
    pub fn parse(text: &str, name: &str) -> Result<Self> {
        let site: Self = toml::from_str(text)
            .map_err(|cause| Error::usage(format!("{name}: {}", toml_problem(&cause, text))))?;
        let options = site.options.iter().map(|text| ("options", Some(text)));
        let values = [
            ("partition", site.partition.as_ref()),
            ("account", site.account.as_ref()),
            ("qos", site.qos.as_ref()),
            ("constraint", site.constraint.as_ref()),
            ("mem", site.mem.as_ref()),
            ("mpi", site.mpi.as_ref()),
        ];
        for (key, value) in values.into_iter().chain(options) {
            if let Some(value) = value.filter(|value| !is_plain(value)) {
                return Err(Error::usage(format!(
                    "{name}: {key} = {value:?} has letters that #SBATCH lines would misread; use letters, \
                     digits and _ . , : / @ = + - & | * [ ]"
                )));
            }
        }
        let ours = |option: &&String| {
            let name = option.trim_start_matches('-').split('=').next().unwrap_or_default();
            // Short options take their value without a sign between, so none is let through.
            !option.starts_with("--") || OURS.contains(&name)
        };
        if let Some(option) = site.options.iter().filter(|o| o.starts_with('-')).find(ours) {
            return Err(Error::usage(format!(
                "{name}: options: {option:?} is short, or one that dcomp sets itself; write \
                 --name=value, and no {}",
                OURS.join(" ")
            )));
        }
        if let Some(option) = site.options.iter().find(|option| !option.starts_with('-')) {
            return Err(Error::usage(format!(
                "{name}: options: {option:?} is no option; write --name=value"
            )));
        }
        if let Some(variable) = site.environment.keys().find(|key| !is_variable(key)) {
            return Err(Error::usage(format!(
                "{name}: environment: {variable:?} is no variable's name"
            )));
        }
        site.least()?;
        Ok(site)
    }

    fn least(&self) -> Result<Duration> {
        let text = self.time.as_deref().unwrap_or("10m");
        humantime::parse_duration(text).map_err(|cause| {
            Error::usage(format!("time = {text:?} in the site's file: {cause}; write 30m"))
        })
    }
}

/// Options of sbatch that dcomp sets itself.
const OURS: [&str; 14] = [
    "nodes",
    "ntasks",
    "ntasks-per-node",
    "cpus-per-task",
    "time",
    "job-name",
    "output",
    "open-mode",
    "signal",
    "wrap",
    "array",
    "dependency",
    "chdir",
    "parsable",
];

fn is_plain(text: &str) -> bool {
    !text.is_empty()
        && text.chars().all(|c| c.is_ascii_alphanumeric() || "_.,:/@=+-&|*[]".contains(c))
}

fn is_variable(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// A script and what `sbatch` needs to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Script {
    /// The file's name.
    pub name: String,
    /// Its text.
    pub text: String,
    /// Nodes it asks for.
    pub nodes: u64,
    /// The sizes that it runs.
    pub ranks: Vec<u64>,
    /// Its time limit.
    pub limit_s: u64,
}

/// Where things are, as absolute paths.
#[derive(Clone, Copy, Debug)]
pub struct Paths<'a> {
    /// This program.
    pub program: &'a str,
    /// The directory of the study.
    pub directory: &'a str,
}

/// The scripts that run a study, and last the one that reports.
///
/// # Errors
/// Usage errors: no time to reckon limits with, or a path that no shell can be told.
pub fn scripts(
    study: &Study,
    site: &Site,
    paths: Paths,
    one_allocation: bool,
) -> Result<Vec<Script>> {
    let mut by_nodes: BTreeMap<u64, Vec<Point>> = BTreeMap::new();
    for point in points::of(study, Place::default()) {
        by_nodes.entry(point.nodes()).or_default().push(point);
    }
    let most = by_nodes.keys().last().copied().unwrap_or(1);
    if one_allocation {
        let all = std::mem::take(&mut by_nodes).into_values().flatten().collect();
        by_nodes.insert(most, all);
    }
    let mut scripts = Vec::new();
    for (nodes, points) in by_nodes {
        scripts.push(run_script(study, site, paths, nodes, &points, one_allocation)?);
    }
    scripts.push(report_script(study, site, paths)?);
    Ok(scripts)
}

fn run_script(
    study: &Study,
    site: &Site,
    paths: Paths,
    nodes: u64,
    points: &[Point],
    one_allocation: bool,
) -> Result<Script> {
    let runs = study.warmup + if study.until.is_some() { study.max_repeats } else { study.repeats };
    let each = study.time_per_run.ok_or_else(|| {
        Error::usage(
            "a job needs a time limit; say how long a run takes about: --time-per-run 5m (or \
             time_per_run in the study)",
        )
    })?;
    // A fifth more than reckoned, and some minutes to start.
    let reckoned = each.as_secs_f64() * to_f64(runs * to_u64(points.len())) * 1.2 + 300.0;
    let limit_s = floor_u64(reckoned.ceil()).max(site.least()?.as_secs());
    let per_node = points.iter().map(|point| point.ranks_per_node).max().unwrap_or(1);
    let mut head = head(study, site, nodes, limit_s, &format!("n{nodes}"));
    head.push(format!("#SBATCH --ntasks-per-node={per_node}"));
    head.push(format!("#SBATCH --cpus-per-task={}", study.threads));
    // dcomp takes the place of the shell, so the signal reaches it: it ends its step, and what
    // was measured stays.
    head.push("#SBATCH --signal=B:USR1@60".into());
    let mut words = vec![
        paths.program.to_owned(),
        "scaling".into(),
        "run".into(),
        format!("{}/study.toml", paths.directory),
        "--output".into(),
        paths.directory.to_owned(),
    ];
    if !one_allocation {
        words.extend(["--nodes".into(), nodes.to_string()]);
    }
    let name = if one_allocation { "allocation".into() } else { format!("nodes-{nodes:04}") };
    Ok(Script {
        name: format!("{name}.sbatch"),
        text: text(&head, site, &words)?,
        nodes,
        ranks: points.iter().map(|point| point.ranks).collect(),
        limit_s,
    })
}

fn report_script(study: &Study, site: &Site, paths: Paths) -> Result<Script> {
    let limit_s = 600;
    let mut head = head(study, &Site { exclusive: None, ..site.clone() }, 1, limit_s, "report");
    head.push("#SBATCH --ntasks=1".into());
    let words = [
        paths.program.to_owned(),
        "scaling".into(),
        "report".into(),
        paths.directory.to_owned(),
        "--output".into(),
        format!("{}/report", paths.directory),
        "--force".into(),
    ];
    Ok(Script {
        name: "report.sbatch".into(),
        text: text(&head, site, &words)?,
        nodes: 1,
        ranks: Vec::new(),
        limit_s,
    })
}

fn head(study: &Study, site: &Site, nodes: u64, limit_s: u64, part: &str) -> Vec<String> {
    let plain = |c: char| if c.is_ascii_alphanumeric() || "_.-".contains(c) { c } else { '-' };
    let name: String = study.name.chars().map(plain).take(40).collect();
    let minutes = limit_s.div_ceil(60);
    let mut lines = vec![
        "#!/bin/bash".to_owned(),
        "# Made by `dcomp scaling submit`; a part of the study beside it, study.toml.".into(),
        format!("#SBATCH --job-name=dcomp-{name}-{part}"),
        format!("#SBATCH --nodes={nodes}"),
        format!("#SBATCH --time={:02}:{:02}:00", minutes / 60, minutes % 60),
        "#SBATCH --open-mode=append".into(),
    ];
    let option = |key: &str, value: &Option<String>| {
        value.as_ref().map(|value| format!("#SBATCH --{key}={value}"))
    };
    lines.extend(option("partition", &site.partition));
    lines.extend(option("account", &site.account));
    lines.extend(option("qos", &site.qos));
    lines.extend(option("constraint", &site.constraint));
    lines.extend(option("mem", &site.mem));
    if site.exclusive.unwrap_or(false) {
        lines.push("#SBATCH --exclusive".into());
    }
    lines.extend(site.options.iter().map(|option| format!("#SBATCH {option}")));
    lines
}

fn text(head: &[String], site: &Site, words: &[String]) -> Result<String> {
    let quoted = |word: &str| {
        shlex::try_quote(word).map(std::borrow::Cow::into_owned).map_err(|_| {
            Error::usage(format!("{word:?} holds a zero byte, which no shell can be told"))
        })
    };
    let mut lines = head.to_vec();
    // Modules and site lines of some sites use unset variables.
    lines.push("set -e".into());
    for module in &site.modules {
        lines.push(format!("module load {}", quoted(module)?));
    }
    lines.extend(site.lines.iter().cloned());
    for (name, value) in &site.environment {
        lines.push(format!("export {name}={}", quoted(value)?));
    }
    if let Some(mpi) = &site.mpi {
        lines.push(format!("export SLURM_MPI_TYPE={}", quoted(mpi)?));
    }
    lines.push("set -uo pipefail".into());
    lines.push("export SRUN_CPUS_PER_TASK=\"${SLURM_CPUS_PER_TASK:-1}\"".into());
    let words: Result<Vec<String>> = words.iter().map(|word| quoted(word)).collect();
    lines.push(format!("exec {}", words?.join(" ")));
    Ok(lines.join("\n") + "\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::deck::{Layer, Source};
    use crate::scaling::study::resolve;

    fn study(text: &str) -> Study {
        let flags = Layer { source: Source::Flag, values: toml::Table::new() };
        resolve(Some((text, "s.toml")), flags).unwrap()
    }

    const STUDY: &str = "name = \"a b;$(x)\"\ncommand = \"dcomp run x.toml\"\nranks = \"1,2,4,8,16\"\n\
                         ranks_per_node = 4\ntime_per_run = \"1m\"";

    const PATHS: Paths =
        Paths { program: "/opt/my dcomp/bin/dcomp", directory: "/data/it's $HOME" };

    #[test]
    fn one_job_a_node_count_and_a_report() {
        let all = scripts(&study(STUDY), &Site::default(), PATHS, false).unwrap();
        let shape: Vec<_> = all
            .iter()
            .map(|script| (script.name.as_str(), script.nodes, script.ranks.clone()))
            .collect();
        assert_eq!(
            shape,
            [
                ("nodes-0001.sbatch", 1, vec![1, 2, 4]),
                ("nodes-0002.sbatch", 2, vec![8]),
                ("nodes-0004.sbatch", 4, vec![16]),
                ("report.sbatch", 1, vec![]),
            ]
        );
        // 3 sizes of 7 runs of 60 s, a fifth more, and 300 s: 1812 s.
        assert_eq!(all[0].limit_s, 1812);
        assert!(all[0].text.contains("#SBATCH --time=00:31:00\n"), "{}", all[0].text);
        assert!(all[0].text.contains("#SBATCH --job-name=dcomp-a-b---x--n1\n"), "{}", all[0].text);
        assert!(all[1].text.contains("#SBATCH --nodes=2\n"));
        let last = all[1].text.lines().last().unwrap();
        assert_eq!(
            last,
            "exec '/opt/my dcomp/bin/dcomp' scaling run \"/data/it's \"'$HOME/study.toml' --output \
             \"/data/it's \"'$HOME' --nodes 2"
        );
        let one = scripts(&study(STUDY), &Site::default(), PATHS, true).unwrap();
        assert_eq!((one.len(), one[0].nodes, one[0].ranks.len()), (2, 4, 5));
        assert!(!one[0].text.contains("--nodes 4"), "{}", one[0].text);
    }

    #[test]
    fn sites_are_exact_or_refused() {
        let text = "partition = \"batch\"\naccount = \"p1\"\nexclusive = true\nmem = \"0\"\n\
                    options = [\"--hint=nomultithread\"]\nmodules = [\"a/1\", \"x; rm -rf $HOME\"]\n\
                    mpi = \"pmi2\"\nlines = [\"ulimit -s unlimited\"]\n[environment]\nX = \"it's\"";
        let site = Site::parse(text, "site.toml").unwrap();
        let script = scripts(&study(STUDY), &site, PATHS, false).unwrap().remove(0).text;
        for line in [
            "#SBATCH --partition=batch",
            "#SBATCH --account=p1",
            "#SBATCH --exclusive",
            "#SBATCH --mem=0",
            "#SBATCH --hint=nomultithread",
            "module load a/1",
            "module load 'x; rm -rf $HOME'",
            "ulimit -s unlimited",
            "export X=\"it's\"",
            "export SLURM_MPI_TYPE=pmi2",
        ] {
            assert!(script.lines().any(|other| other == line), "{line}\n{script}");
        }
        for (text, expected) in [
            ("partition = \"a b\"", "partition = \"a b\" has letters"),
            ("account = \"a\\n#SBATCH --uid=0\"", "account = "),
            ("options = [\"x\"]", "options: \"x\" is no option"),
            ("options = [\"--wrap=x\"]", "options: \"--wrap=x\" is short, or one that dcomp sets"),
            ("options = [\"-N5\"]", "options: \"-N5\" is short"),
            ("queue = \"x\"", "unknown field `queue`"),
            ("time = \"x\"", "time = \"x\""),
            ("[environment]\n\"A B\" = \"x\"", "environment: \"A B\" is no variable"),
        ] {
            let error = Site::parse(text, "site.toml").unwrap_err();
            assert!(error.message.contains(expected), "{text}: {error}");
        }
    }

    #[test]
    fn a_job_needs_a_time() {
        let text = STUDY.replace("time_per_run = \"1m\"", "");
        let error = scripts(&study(&text), &Site::default(), PATHS, false).unwrap_err();
        assert!(error.message.contains("--time-per-run"), "{error}");
    }
}
