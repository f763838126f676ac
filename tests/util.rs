//! A small language for runs: a directory, a command, ranks, variables, a time limit.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::Value;

/// Every run ends within this many seconds or fails its test: a hang is a failure.
const LIMIT_S: u32 = 120;

/// A fresh directory for one test.
pub struct Dir(PathBuf);

impl Dir {
    pub fn new(name: &str) -> Self {
        Self::below(Path::new(env!("CARGO_TARGET_TMPDIR")), name)
    }

    /// One that needs no disk, where the system has such: for thousands of runs that all sync.
    pub fn in_memory(name: &str) -> Self {
        let memory = Path::new("/dev/shm");
        if memory.is_dir() {
            Self::below(memory, &format!("dcomp-{name}"))
        } else {
            Self::new(name)
        }
    }

    fn below(parent: &Path, name: &str) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let unique =
            format!("{name}-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let path = parent.join(unique);
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    pub fn read(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.path(name)).unwrap_or_else(|cause| panic!("{name}: {cause}"))
    }

    pub fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).unwrap();
    }

    pub fn json(&self, name: &str) -> Value {
        serde_json::from_slice(&self.read(name)).unwrap()
    }

    /// The names in the directory, sorted.
    pub fn names(&self) -> Vec<String> {
        let entries = std::fs::read_dir(&self.0).unwrap();
        let mut names: Vec<String> =
            entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into()).collect();
        names.sort();
        names
    }

    /// `dcomp` with these words, to be run in this directory.
    pub fn dcomp(&self, words: &[&str]) -> Run {
        let mut run = Run::program(env!("CARGO_BIN_EXE_dcomp"), &self.0);
        run.words.extend(words.iter().map(OsString::from));
        run
    }

    /// Another program, to be run in this directory.
    pub fn program(&self, program: &str, words: &[&str]) -> Run {
        let mut run = Run::program(program, &self.0);
        run.words.extend(words.iter().map(OsString::from));
        run
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        // A failed test leaves its files for eyes.
        if !std::thread::panicking() {
            std::fs::remove_dir_all(&self.0).ok();
        }
    }
}

/// A command on its way.
pub struct Run {
    words: Vec<OsString>,
    directory: PathBuf,
    ranks: Option<u32>,
    through: Vec<String>,
    variables: Vec<(String, String)>,
    limit_s: u32,
}

/// What a command left behind.
#[derive(Debug)]
pub struct Done {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
    command: String,
}

impl Run {
    fn program(program: &str, directory: &Path) -> Self {
        Self {
            words: vec![OsString::from(program)],
            directory: directory.to_path_buf(),
            ranks: None,
            through: Vec::new(),
            variables: Vec::new(),
            limit_s: LIMIT_S,
        }
    }

    /// Under `mpirun -n ranks`; without this, no launcher.
    pub fn ranks(mut self, ranks: u32) -> Self {
        self.ranks = Some(ranks);
        self
    }

    /// `None` is no launcher.
    pub fn ranks_or_alone(mut self, ranks: Option<u32>) -> Self {
        self.ranks = ranks;
        self
    }

    /// Started by another program, which gets the command as its arguments.
    pub fn through(mut self, words: &[&str]) -> Self {
        self.through = words.iter().map(ToString::to_string).collect();
        self
    }

    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.variables.push((name.into(), value.into()));
        self
    }

    pub fn envs(self, variables: &[(&str, &str)]) -> Self {
        variables.iter().fold(self, |run, (name, value)| run.env(name, value))
    }

    pub fn limit_s(mut self, seconds: u32) -> Self {
        self.limit_s = seconds;
        self
    }

    /// The command with launcher and time limit, not yet started.
    pub fn command(&self) -> Command {
        let mut command = Command::new("timeout");
        command.args(["--kill-after=5", &self.limit_s.to_string()]);
        if let Some(ranks) = self.ranks {
            command.args(["mpirun", "-n", &ranks.to_string()]);
        }
        command.args(&self.through).args(&self.words).current_dir(&self.directory);
        // Root in a container, more ranks than cores: what Open MPI wants to be told.
        for (name, value) in [
            ("OMPI_ALLOW_RUN_AS_ROOT", "1"),
            ("OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1"),
            ("OMPI_MCA_rmaps_base_oversubscribe", "1"),
        ] {
            command.env(name, value);
        }
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        command
    }

    pub fn run(&self) -> Done {
        let mut command = self.command();
        let line = format!("{command:?}");
        let output = command.output().unwrap_or_else(|cause| panic!("{line}: {cause}"));
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        let done = Done {
            code: output.status.code().unwrap_or(-1),
            stdout: text(output.stdout),
            stderr: text(output.stderr),
            command: line,
        };
        assert!(done.code != 124 && done.code != 137, "not done in {} s: {done:#?}", self.limit_s);
        done
    }

    /// Runs and expects success.
    pub fn ok(&self) -> Done {
        self.fails(0)
    }

    /// Runs and expects this exit code.
    pub fn fails(&self, code: i32) -> Done {
        let done = self.run();
        assert_eq!(
            done.code, code,
            "exit code of {}\n{}{}",
            done.command, done.stdout, done.stderr
        );
        done
    }
}

impl Done {
    /// The error output has `part`, exactly once: one rank tells it.
    pub fn says(&self, part: &str) -> &Self {
        let count = self.stderr.matches(part).count();
        assert_eq!(count, 1, "`{part}` once in:\n{}\nof {}", self.stderr, self.command);
        self
    }
}

/// Ids of dcomp processes that work in this test's directory. What has ended works nowhere.
pub fn processes_in(directory: &Path) -> Vec<i32> {
    let here = directory.canonicalize().unwrap();
    let entries = std::fs::read_dir("/proc").unwrap().flatten();
    let ours = entries.filter(|entry| {
        let name = std::fs::read_to_string(entry.path().join("comm")).unwrap_or_default();
        let works_in = std::fs::read_link(entry.path().join("cwd")).unwrap_or_default();
        name.starts_with("dcomp") && works_in == here
    });
    ours.map(|entry| entry.file_name().to_string_lossy().parse().unwrap()).collect()
}

/// A variable of another process's environment.
pub fn variable_of(pid: i32, name: &str) -> Option<String> {
    let environment = std::fs::read(format!("/proc/{pid}/environ")).ok()?;
    environment.split(|&byte| byte == 0).find_map(|variable| {
        let (found, value) = std::str::from_utf8(variable).ok()?.split_once('=')?;
        (found == name).then(|| value.to_owned())
    })
}

/// Sends a signal; a process that has ended meanwhile gets none.
pub fn signal(pid: i32, signal: nix::sys::signal::Signal) {
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), signal).ok();
}

/// The same to several.
pub fn signal_all(pids: &[i32], sent: nix::sys::signal::Signal) {
    for &pid in pids {
        signal(pid, sent);
    }
}

/// Waits until something is there; at most so long.
pub fn wait_for<T>(seconds: u32, look: impl Fn() -> Option<T>) -> T {
    let start = std::time::Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(start.elapsed().as_secs() < seconds.into(), "waited {seconds} s in vain");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
}

/// Whether this process is root, which mounting needs.
pub fn is_root() -> bool {
    nix::unistd::geteuid().is_root()
}

/// What `sort -n` makes of all files below a directory.
pub fn sorted(dir: &Dir, data: &str) -> Vec<u8> {
    let script = "find \"$0\" -type f -print0 | xargs -0 -r cat | sort -n > oracle";
    dir.program("bash", &["-c", script, data]).env("LC_ALL", "C").ok();
    dir.read("oracle")
}

/// The numbers of a text.
pub fn numbers_of(text: &[u8]) -> Vec<i64> {
    let text = std::str::from_utf8(text).unwrap();
    text.lines().map(|line| line.parse().unwrap()).collect()
}

/// A number a line.
pub fn text_of(numbers: &[i64]) -> Vec<u8> {
    numbers.iter().flat_map(|number| format!("{number}\n").into_bytes()).collect()
}

/// The numbers that h5dump shows of a dataset.
pub fn h5dump(dir: &Dir, file: &str, dataset: &str) -> Vec<i64> {
    let shown = dir.program("h5dump", &["-y", "-w", "1", "-d", dataset, file]).ok().stdout;
    let data = shown.split_once("DATA {").unwrap().1.split_once('}').unwrap().0;
    data.split(',').map(|word| word.trim().parse().unwrap()).collect()
}
