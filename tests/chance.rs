//! Random choices of tests, from a seed that is printed, and a run of dcomp that is judged by hand.

use std::ffi::OsString;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use dcomp::num::{mix64, to_u64, to_usize};

/// A stream of choices.
pub struct Chance(u64);

impl Chance {
    /// The stream of a seed, which `DCOMP_TEST_SEED` replaces to replay a failure.
    pub fn new(test: &str, seed: u64) -> Self {
        let told = std::env::var("DCOMP_TEST_SEED").ok().and_then(|text| text.parse().ok());
        let seed = told.unwrap_or(seed);
        eprintln!("{test}: DCOMP_TEST_SEED={seed}");
        Self(mix64(seed))
    }

    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(1);
        mix64(self.0)
    }

    /// A number below `end`, which is not 0.
    pub fn below(&mut self, end: usize) -> usize {
        to_usize(self.bits() % to_u64(end))
    }

    pub fn byte(&mut self) -> u8 {
        self.bits().to_le_bytes()[3]
    }

    pub fn pick<'a, T: ?Sized>(&mut self, from: &[&'a T]) -> &'a T {
        from[self.below(from.len())]
    }

    /// One time in so many.
    pub fn one_in(&mut self, times: usize) -> bool {
        self.below(times) == 0
    }
}

/// How a run of dcomp ended.
#[derive(Debug)]
pub struct Ended {
    /// The exit code; minus the signal, if it was one.
    pub code: i32,
    pub stderr: String,
    /// Seconds from start to end.
    pub took_s: f64,
}

/// Runs dcomp, without a launcher, with words that need not be text.
pub fn dcomp(directory: &Path, words: &[OsString], variables: &[(OsString, OsString)]) -> Ended {
    let start = Instant::now();
    let mut command = Command::new("timeout");
    command.args(["--signal=KILL", "60", env!("CARGO_BIN_EXE_dcomp")]);
    command.args(words).current_dir(directory).stdin(std::process::Stdio::null());
    let output =
        command.envs(variables.iter().map(|(name, value)| (name, value))).output().unwrap();
    let signal = || -output.status.signal().unwrap_or(0);
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Ended {
        code: output.status.code().unwrap_or_else(signal),
        stderr: text(&output.stderr),
        took_s: start.elapsed().as_secs_f64(),
    }
}

/// Text as words of a command line.
pub fn words(words: &[&str]) -> Vec<OsString> {
    words.iter().map(OsString::from).collect()
}

/// What refusing may take: a second, and more where nothing is optimised or the machine is shared.
pub fn patience() -> Duration {
    Duration::from_secs(if cfg!(debug_assertions) { 20 } else { 1 })
}
