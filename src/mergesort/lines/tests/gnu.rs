//! The oracle: the real sort(1) in the C locale.

use std::io::Write;
use std::process::{Command, Stdio};

use crate::mergesort::lines::Flags;

/// The arguments that say the same to sort(1).
pub(super) fn arguments(flags: &Flags) -> Vec<String> {
    let switches = [
        (flags.numeric, "-n"),
        (flags.reverse, "-r"),
        (flags.unique, "-u"),
        (flags.zero_terminated, "-z"),
        (flags.stable, "-s"),
    ];
    let mut words: Vec<String> =
        switches.iter().filter(|(on, _)| *on).map(|(_, word)| (*word).to_owned()).collect();
    words.extend(flags.key.iter().map(|key| format!("-k{key}")));
    if let Some(separator) = &flags.separator {
        words.extend(["-t".to_owned(), separator.clone()]);
    }
    words
}

/// What sort(1) makes of `text`, or its refusal.
pub(super) fn gnu_sort(flags: &Flags, text: &[u8]) -> Result<Vec<u8>, String> {
    let mut child = Command::new("sort")
        .env("LC_ALL", "C")
        .arg("--parallel=1")
        .args(arguments(flags))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("sort(1) is there");
    // It reads all before it writes; a refusal closes the pipe early.
    let _ = child.stdin.take().expect("piped").write_all(text);
    let output = child.wait_with_output().expect("sort(1) ends");
    if output.status.success() {
        Ok(output.stdout)
    } else {
        Err(String::from_utf8_lossy(&output.stderr).into_owned())
    }
}
