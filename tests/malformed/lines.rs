//! Command lines and variables that nobody should type.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;

use super::mutate::NASTY;
use super::{Case, Sound};
use crate::chance::{Chance, words};

/// A job's words, and flags of it with values that are sound.
type Job = (&'static [&'static str], &'static [(&'static str, &'static str)]);

const JOBS: [Job; 9] = [
    (
        &["mandelbrot", "-W", "9", "-H", "7", "-n", "20", "-o", "out"],
        &[
            ("--depth", "8"),
            ("--palette", "classic"),
            ("--schedule", "block"),
            ("--kernel", "auto"),
            ("--seed", "3"),
            ("--region", "-1,1,-1,1"),
            ("--zoom", "2"),
            ("--center", "0,0"),
            ("--threads", "2"),
            ("--deck", "none.toml"),
        ],
    ),
    (
        &["counter-sort", "numbers.txt", "-o", "out"],
        &[
            ("--on-error", "skip"),
            ("--min-int", "-5"),
            ("--max-int", "5"),
            ("--io", "openat"),
            ("--histogram", "dense"),
            ("--combine", "auto"),
            ("--memory", "64M"),
            ("--output-format", "i64"),
            ("--top", "3"),
            ("--name", "a{}"),
            ("--count", "3"),
            ("--first", "3"),
            ("--files-from", "table.csv"),
        ],
    ),
    (
        &["mergesort", "numbers.txt", "-o", "out"],
        &[
            ("--type", "lines"),
            ("--key", "1,2n"),
            ("-t", ","),
            ("--memory", "64M"),
            ("--generate", "uniform"),
            ("--count", "9"),
            ("--blocks", "4"),
            ("--scratch", "."),
            ("--threads", "2"),
        ],
    ),
    (
        &["generate", "numbers", "--packed", "--files", "2", "--per-file", "3", "-o", "out"],
        &[
            ("--min", "1"),
            ("--max", "9"),
            ("--pattern", "one"),
            ("--dirty", "0.5"),
            ("--seed", "1"),
        ],
    ),
    (
        &["generate", "keys", "--count", "20", "-o", "out"],
        &[("--pattern", "zipf"), ("--type", "f64"), ("--blocks", "4"), ("--seed", "1")],
    ),
    (&["generate", "records", "--count", "20", "-o", "out"], &[("--start", "9"), ("--seed", "1")]),
    (
        &["recolor", "a.h5", "-o", "out"],
        &[("--palette", "magma"), ("--depth", "16"), ("--threads", "2")],
    ),
    (
        &["scaling", "plan", "--", "true"],
        &[("--ranks", "1,2"), ("--repeats", "3"), ("--until", "2%"), ("--time-per-run", "5m")],
    ),
    (&["verify", "numbers.txt"], &[("--record", "numbers.txt.json"), ("--type", "lines")]),
];

/// A value for a flag: nasty, very long, not UTF-8, or the sound one.
fn value(chance: &mut Chance, sound: &str) -> OsString {
    match chance.below(8) {
        0 => OsString::from_vec(vec![b'a', 0xFF, 0xFE, b'/']),
        1 => "7".repeat(1 + chance.below(20_000)).into(),
        2 => sound.into(),
        3 => format!("{sound},{sound}").into(),
        // An argument ends at a NUL, so there is none in it.
        _ => chance.pick(&NASTY).replace('\0', "\u{1}").into(),
    }
}

pub fn any(chance: &mut Chance, _: &Sound) -> Case {
    let (job, flags) = JOBS[chance.below(JOBS.len())];
    let mut line = words(job);
    let mut variables = Vec::new();
    // Flags stand before what is another program's command.
    let place = line.iter().position(|word| word == "--").unwrap_or(line.len());
    for _ in 0..=chance.below(2) {
        let (flag, sound) = flags[chance.below(flags.len())];
        let value = value(chance, sound);
        match chance.below(6) {
            0 => {
                let key = flag.trim_start_matches('-').replace('-', "_").to_uppercase();
                variables.push((format!("DCOMP_{key}").into(), value));
            }
            1 => {
                // Given twice.
                line.splice(place..place, [flag.into(), sound.into(), flag.into(), value]);
            }
            2 => {
                let mut joined = OsString::from(flag);
                joined.push("=");
                joined.push(value);
                line.insert(place, joined);
            }
            3 => line.insert(place, value),
            4 => line.insert(place, format!("{flag}x").into()),
            _ => {
                line.splice(place..place, [flag.into(), value]);
            }
        }
    }
    let label = format!("a command line, {variables:?}");
    Case { label, words: line, variables, verdict: true }
}
