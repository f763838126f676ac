//! The sizes of a study and the words that run each. Pure.

use super::super::expand::{self, Growth, Values};
use super::Study;
use super::launcher::Launcher;
use crate::num::to_f64;

/// Placeholders that every command has.
pub const RESERVED: [&str; 9] =
    ["ranks", "nodes", "ranks_per_node", "threads", "cores", "repeat", "seed", "scratch", "name"];

/// What the surroundings offer.
#[derive(Clone, Copy, Debug, Default)]
pub struct Place {
    /// CPUs of a node, where an allocation tells.
    pub cpus_per_node: Option<u64>,
}

/// One size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Point {
    /// Number of ranks.
    pub ranks: u64,
    /// Ranks on each node (the last may have fewer).
    pub ranks_per_node: u64,
    /// Threads per rank.
    pub threads: u64,
}

/// The sizes, rising. Ranks fill a node before the next one is used.
pub fn of(study: &Study, place: Place) -> Vec<Point> {
    let fits = place.cpus_per_node.map(|cpus| (cpus / study.threads).max(1));
    let most = study.ranks_per_node.or(fits);
    let point = |ranks: &u64| Point {
        ranks: *ranks,
        ranks_per_node: most.map_or(*ranks, |most| most.min(*ranks)),
        threads: study.threads,
    };
    study.ranks.iter().map(point).collect()
}

impl Point {
    /// Number of nodes.
    pub fn nodes(&self) -> u64 {
        self.ranks.div_ceil(self.ranks_per_node)
    }

    /// Ranks times threads.
    pub fn cores(&self) -> u64 {
        self.ranks * self.threads
    }

    /// The work of a run, for programs that do not tell it themselves.
    pub fn work(&self, study: &Study) -> Option<f64> {
        let growth = study.work.as_ref()?.parse::<Growth>().ok()?;
        Some(to_f64(growth.at(self.ranks)))
    }

    /// The placeholders' values.
    pub fn values(&self, study: &Study, repeat: u64, scratch: &str) -> Values {
        let mut values: Values = [
            ("ranks", self.ranks.to_string()),
            ("nodes", self.nodes().to_string()),
            ("ranks_per_node", self.ranks_per_node.to_string()),
            ("threads", self.threads.to_string()),
            ("cores", self.cores().to_string()),
            ("repeat", repeat.to_string()),
            ("seed", study.seed.to_string()),
            ("scratch", scratch.to_owned()),
            ("name", study.name.clone()),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .into();
        for (name, growth) in &study.grow {
            if let Ok(growth) = growth.parse::<Growth>() {
                values.insert(name.clone(), growth.at(self.ranks).to_string());
            }
        }
        values
    }

    /// The words of one run. A command that does not place its ranks itself gets the launcher in front.
    /// `program` stands for a first word `dcomp`.
    pub fn words(
        &self,
        study: &Study,
        launcher: &Launcher,
        program: &str,
        values: &Values,
    ) -> Vec<String> {
        let places_itself = study.command.iter().any(|word| expand::mentions(word, "ranks"));
        let mut words = Vec::new();
        if study.is_job() || !places_itself {
            words.extend(launcher.words(self, values));
        }
        words.extend(self.command(study, &study.command, program, values));
        words
    }

    /// A command's words with their values, without a launcher.
    pub fn command(
        &self,
        study: &Study,
        command: &[String],
        program: &str,
        values: &Values,
    ) -> Vec<String> {
        let mut words: Vec<String> = command
            .iter()
            // Every word was expanded when the study was checked.
            .map(|word| expand::word(word, values).unwrap_or_else(|_| word.clone()))
            .collect();
        if let Some(first) = words.first_mut().filter(|first| *first == "dcomp") {
            program.clone_into(first);
            if command == study.command && study.threads > 1 {
                let given = words.iter().any(|w| w == "--threads" || w.starts_with("--threads="));
                if !given {
                    words.extend(["--threads".to_owned(), study.threads.to_string()]);
                }
            }
        }
        words
    }
}
