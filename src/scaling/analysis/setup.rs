//! Where and with what the runs were made, from the runs alone. Pure.

use std::collections::BTreeSet;

use super::Sample;
use super::words::{list, number};

/// Pairs of what and value; what is not known is left out.
pub(super) fn facts(samples: &[Sample]) -> Vec<(String, String)> {
    let mut facts = Vec::new();
    let mut add = |what: &str, values: BTreeSet<String>| {
        const MOST: usize = 8;
        let values: Vec<String> = values.into_iter().filter(|value| !value.is_empty()).collect();
        if !values.is_empty() {
            let more = values.len().saturating_sub(MOST);
            let tail = if more > 0 { format!(" and {more} more") } else { String::new() };
            facts.push((what.to_owned(), list(&values[..values.len() - more]) + &tail));
        }
    };
    let machines = || samples.iter().filter_map(|sample| sample.machine.as_ref());
    let records = || samples.iter().filter_map(|sample| sample.record.as_ref());
    add("Hosts", machines().flat_map(|machine| machine.hosts.iter().cloned()).collect());
    add("Processor", machines().map(|machine| machine.cpu_model.clone()).collect());
    let cores: BTreeSet<u64> = machines().map(|machine| machine.cores).collect();
    if let (Some(least), Some(most)) = (cores.first(), cores.last()) {
        let text = if least == most { most.to_string() } else { format!("{least} to {most}") };
        add("Cores the ranks could use", BTreeSet::from([text]));
    }
    add("MPI", records().map(|record| record.mpi.library.clone()).collect());
    let program = records().map(|record| {
        let program = &record.program;
        let dirty = if program.dirty { ", with changes" } else { "" };
        format!("dcomp {} ({}{dirty}), {}", program.version, program.git, program.rustc)
    });
    add("Program", program.collect());
    let shares = records().map(|record| record.instruments.share).filter(|share| *share > 0.0);
    if let Some(most) = shares.reduce(f64::max) {
        let text = format!("at most {} of a run", percent_digits(most));
        add("Cost of the instruments", BTreeSet::from([text]));
    }
    let commands = samples.iter().filter_map(|sample| sample.command.first());
    add("Started by", commands.map(|word| base(word).to_owned()).collect());
    let started: BTreeSet<&String> =
        samples.iter().map(|sample| &sample.started).filter(|text| !text.is_empty()).collect();
    if let (Some(first), Some(last)) = (started.first(), started.last()) {
        add("Measured", BTreeSet::from([format!("from {first} to {last}")]));
    }
    add("Runs", BTreeSet::from([samples.len().to_string()]));
    facts
}

/// Two significant digits, because the interesting ones are far below a percent.
fn percent_digits(part: f64) -> String {
    format!("{} %", number((part * 1e4).ceil() / 1e2))
}

fn base(word: &str) -> &str {
    word.rsplit('/').next().unwrap_or(word)
}
