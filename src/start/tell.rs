//! What a run says: results on stdout, errors once on stderr.

use std::io::{ErrorKind, Write};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::comm::host_name;
use crate::comm::launcher::{self, Launch};
use crate::context::Context;
use crate::error::{Error, Result};
use crate::job::Run;
use crate::measure::record::{FileSum, Findings};
use crate::store::{cleanup, target};

/// How long root's exit is put off after an error, so that the other ranks are ready to be told to go.
const ROOT_WAITS: Duration = Duration::from_millis(300);

/// Lets rank 0 tell what every rank finds. A launcher ends all ranks when the first one fails, so
/// the others wait for that; a rank that is still there afterwards failed alone, and tells it.
pub(super) fn tell_once(code: u8, tell: impl FnOnce()) {
    let rank = launcher::told_rank();
    if rank != 0 && code != 0 {
        cleanup::end_with(code);
    }
    if rank == 0 {
        tell();
        if code != 0 && launcher::detect_from_environment() != Ok(Launch::Alone) {
            std::thread::sleep(ROOT_WAITS);
        }
    } else if code != 0 && AGREED.load(Ordering::SeqCst) {
        std::thread::sleep(Duration::from_secs(1));
    } else if code != 0 {
        std::thread::sleep(Duration::from_secs(3));
        writeln!(std::io::stderr(), "dcomp: on rank {rank} ({}):", host_name()).ok();
        tell();
    }
}

/// Whether all ranks have the same error, which root tells.
pub(super) static AGREED: AtomicBool = AtomicBool::new(false);

/// Text without what a terminal would obey: names come from anywhere. A new line stays where the next one is
/// indented, as in lists; so no name can look like a line of its own.
pub(super) fn plain(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text.chars();
    while let Some(c) = rest.next() {
        let is_list = c == '\n' && rest.as_str().starts_with("  ");
        if is_list || c == '\t' || !c.is_control() {
            plain.push(c);
        } else {
            plain.extend(c.escape_default());
        }
    }
    plain
}

/// Prints results. A reader that has gone away wants no more; anything else is an error.
pub(super) fn say(lines: &[String]) -> Result<()> {
    let mut stdout = std::io::stdout().lock();
    let text: String = lines.iter().map(|line| plain(line) + "\n").collect();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Err(cause) if cause.kind() != ErrorKind::BrokenPipe => {
            Err(Error::io("write results to", Path::new("standard output"), &cause))
        }
        _ => Ok(()),
    }
}

/// For what needs no ranks: the first one does it, the others have nothing to do.
pub(super) fn on_one_rank(work: impl FnOnce() -> Result<()>) -> Result<()> {
    if launcher::told_rank() == 0 { work() } else { Ok(()) }
}

/// Collective. Results come from root; that they could not be told is everybody's error.
pub(super) fn say_on_root(context: &Context, lines: &[String]) -> Result<()> {
    context.comm.agree(if context.comm.is_root() { say(lines) } else { Ok(()) })
}

/// What a user wants to know at the end.
pub(super) fn report(context: &Context, run: &Run, findings: &Findings) -> Vec<String> {
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

#[cfg(test)]
mod tests {
    use super::plain;

    #[test]
    fn names_cannot_speak_for_dcomp() {
        assert_eq!(plain("two:\n  a\n  b\tc"), "two:\n  a\n  b\tc");
        assert_eq!(plain("a\ndcomp: b\r\u{1b}[31m"), "a\\ndcomp: b\\r\\u{1b}[31m");
        assert_eq!(plain("caf\u{e9} \u{9b}1m"), "caf\u{e9} \\u{9b}1m");
    }
}
