//! What the kernel tells about the processes of this machine: which are stopped, which are gone.
//!
//! Read from `/proc`, a few microseconds a process, so only those are asked about that are suspected.

use std::path::Path;

/// Programs that start ranks on a machine. A rank's own parent may be a script that one of them started.
const LAUNCHERS: [&str; 10] = [
    "mpirun",
    "mpiexec",
    "orterun",
    "orted",
    "prterun",
    "prted",
    "mpiexec.hydra",
    "hydra_pmi_proxy",
    "hydra_bstrap_pr", // the kernel keeps 15 letters of `hydra_bstrap_proxy`
    "slurmstepd",
];

/// Scripts between a launcher and its rank, at most; more than anybody has.
const GENERATIONS: usize = 16;

/// What matters about a process here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// It runs, waits for its turn or for something.
    Alive,
    /// Stopped by a signal or held by a debugger.
    Stopped,
    /// It has ended, or there is no such process.
    Gone,
}

/// A process at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Process {
    pub(super) pid: i32,
    pub(super) name: String,
    pub(super) parent: i32,
    pub(super) state: State,
    /// When it started, in ticks since the machine did: tells two processes of one number apart.
    pub(super) started: u64,
}

/// The state of a process now.
pub(super) fn state(pid: i32) -> State {
    find(pid).map_or(State::Gone, |process| process.state)
}

/// A process now, one that has ended but was not taken note of included.
pub(super) fn find(pid: i32) -> Option<Process> {
    parse(&std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

/// `pid (name) state parent ... started`: the name may hold anything, blanks and parentheses too.
fn parse(stat: &str) -> Option<Process> {
    let (pid, rest) = stat.split_once(" (")?;
    let (name, rest) = rest.rsplit_once(") ")?;
    let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
    let state = match *fields.first()? {
        "T" | "t" => State::Stopped,
        "Z" | "X" | "x" => State::Gone,
        _ => State::Alive,
    };
    Some(Process {
        pid: pid.parse().ok()?,
        name: name.to_owned(),
        parent: fields.get(1)?.parse().ok()?,
        state,
        started: fields.get(19)?.parse().ok()?,
    })
}

/// Processes of this one's name that its parent started too: the other ranks of this machine, as long as
/// they have not told their numbers.
pub(super) fn siblings() -> Vec<Process> {
    let Some(me) = find(this_pid()) else { return Vec::new() };
    let entries = Path::new("/proc").read_dir().into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let alike =
        |other: &Process| other.pid != me.pid && other.parent == me.parent && other.name == me.name;
    pids.filter_map(find).filter(alike).collect()
}

/// Which process started this rank: the nearest known launcher, else the parent.
pub(super) fn launcher() -> Option<Process> {
    let parent = find(parent_pid());
    let mut next = parent.clone();
    for _ in 0..GENERATIONS {
        let Some(process) = next else { break };
        if LAUNCHERS.contains(&process.name.as_str()) {
            return Some(process);
        }
        next = find(process.parent);
    }
    parent
}

pub(super) fn this_pid() -> i32 {
    nix::unistd::getpid().as_raw()
}

pub(super) fn parent_pid() -> i32 {
    nix::unistd::getppid().as_raw()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    #[test]
    fn names_with_parentheses_are_read() {
        let tail = "S 7 1 1 0 -1 0 0 0 0 0 0 0 0 0 20 0 3 0 4711 0 0";
        let process = parse(&format!("42 (a) Z (b) {tail}")).unwrap();
        assert_eq!((process.pid, process.parent, process.started), (42, 7, 4711));
        assert_eq!((process.name.as_str(), process.state), ("a) Z (b", State::Alive));
        assert_eq!(parse("42 (cut"), None);
        assert_eq!(parse("42 (cut) S 7"), None);
    }

    /// A real process: alive, stopped, ended and not taken note of, gone.
    #[test]
    fn states_are_those_of_a_real_process() {
        use nix::sys::signal::{Signal, kill};
        use nix::unistd::Pid;
        let mut child = Command::new("sleep").arg("60").spawn().unwrap();
        let pid = i32::try_from(child.id()).unwrap();
        let becomes = |wanted| {
            let reached = (0..500).any(|_| {
                std::thread::sleep(std::time::Duration::from_millis(10));
                state(pid) == wanted
            });
            assert!(reached, "{:?}, not {wanted:?}", find(pid));
        };
        becomes(State::Alive);
        kill(Pid::from_raw(pid), Signal::SIGSTOP).unwrap();
        becomes(State::Stopped);
        kill(Pid::from_raw(pid), Signal::SIGKILL).unwrap();
        becomes(State::Gone);
        assert!(find(pid).is_some(), "nobody has taken note of it");
        child.wait().unwrap();
        assert!(find(pid).is_none_or(|other| other.parent != this_pid()));
        assert_eq!(find(this_pid()).unwrap().parent, parent_pid());
    }
}
