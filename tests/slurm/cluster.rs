//! The script `tests/slurm/cluster` in a test's hands: a running cluster, commands in it, what it leaves.
//! Commands get the cluster's variables and a time limit; the cluster ends with this program at the latest.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::util::{Dir, Done, Run};

pub const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/slurm/cluster");
/// What `cluster` exits with where it cannot work.
pub const CANNOT: i32 = 77;
const HOME: &str = env!("CARGO_MANIFEST_DIR");
/// A start takes half a second on two idle cores; the script itself gives up after three minutes.
const START_LIMIT_S: u32 = 200;

/// A Slurm of four nodes, stopped when dropped.
pub struct Cluster {
    pub dir: PathBuf,
}

impl Cluster {
    /// Starts one, or tells what the script said instead.
    pub fn start() -> Result<Self, Done> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        // Not below target/: sockets have short names.
        let dir = std::env::temp_dir().join(format!("dcomp-slurm-{}-{count}", std::process::id()));
        let here = Dir::new("start");
        let id = std::process::id().to_string();
        let words = ["start", dir.to_str().unwrap(), "--with", &id];
        let done = here.program(SCRIPT, &words).limit_s(START_LIMIT_S).run();
        if done.code == 0 { Ok(Self { dir }) } else { Err(done) }
    }

    /// A command with the cluster's variables, to be run in `dir`. Set a time limit and more variables on
    /// the result.
    pub fn run(&self, dir: &Dir, words: &[&str]) -> Run {
        let run = dir.program(SCRIPT, &[&["run", self.dir.to_str().unwrap()], words].concat());
        run.limit_s(60).env("DCOMP_HOME", HOME).env("DCOMP", env!("CARGO_BIN_EXE_dcomp"))
    }

    /// A script of `slurm/` on four nodes with four ranks each; returns when the job has ended, with its
    /// exit code.
    pub fn submit(&self, dir: &Dir, script: &str, words: &[&str]) -> Run {
        let script = format!("{HOME}/slurm/{script}.sbatch");
        let sbatch = ["sbatch", "--wait", "--nodes=4", "--ntasks-per-node=4", &script];
        self.run(dir, &[&sbatch, words].concat())
    }

    /// Stops it, for tests that look at what is left.
    pub fn stop(&self) -> i32 {
        let words = ["--kill-after=5", "60", SCRIPT, "stop"];
        Command::new("timeout").args(words).arg(&self.dir).status().unwrap().code().unwrap_or(-1)
    }

    /// The last lines of the daemons' logs, for a failed test.
    pub fn logs(&self) -> String {
        let script = "tail -n 15 -- \"$0\"/log/*.log; sinfo -lN; squeue -l";
        let shell = ["run", self.dir.to_str().unwrap(), "bash", "-c", script];
        let output = Command::new(SCRIPT).args(shell).arg(&self.dir).output().unwrap();
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// The port of its controller.
    pub fn port(&self) -> u16 {
        std::fs::read_to_string(self.dir.join("port")).unwrap().trim().parse().unwrap()
    }

    /// The id of the process outside that owns it.
    pub fn keeper(&self) -> String {
        let text = std::fs::read_to_string(self.dir.join("keeper")).unwrap();
        text.split(' ').next().unwrap().to_owned()
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.stop();
    }
}

/// What there is of a cluster: processes, names of sockets, listeners, files, mounts on /dev/shm.
#[derive(Debug, PartialEq, Eq)]
pub struct Traces {
    pub processes: usize,
    pub sockets: usize,
    pub listens: bool,
    pub files: bool,
}

pub fn traces(dir: &Path, port: u16) -> Traces {
    let name = dir.to_str().unwrap();
    let holds = |file: PathBuf| {
        String::from_utf8_lossy(&std::fs::read(file).unwrap_or_default()).contains(name)
    };
    let entries = std::fs::read_dir("/proc").unwrap().flatten();
    // Daemons, steps and ranks have its configuration in their words or variables.
    let ours = |path: PathBuf| {
        holds(path.join("cmdline")) || holds(path.join("environ")) || holds(path.join("mountinfo"))
    };
    let sockets = std::fs::read_to_string("/proc/net/unix").unwrap();
    let tcp = std::fs::read_to_string("/proc/net/tcp").unwrap();
    let listener = format!(":{port:04X} 00000000:0000 0A");
    Traces {
        processes: entries.filter(|entry| ours(entry.path())).count(),
        sockets: sockets.matches(name).count(),
        listens: tcp.contains(&listener),
        files: dir.exists(),
    }
}
