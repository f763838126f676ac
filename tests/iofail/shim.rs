//! The preload library of `tests/shim/iofail.c`: compiled once, put before a program, its log read.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// The ways to fail. `SHORT` is no error: half of the bytes are moved.
pub const WAYS: [&str; 5] = ["ENOSPC", "EIO", "EDQUOT", "EINTR", "SHORT"];

/// What the C library calls the error, which a message must pass on.
pub fn cause(way: &str) -> &'static str {
    match way {
        "ENOSPC" => "No space left on device",
        "EIO" => "Input/output error",
        "EDQUOT" => "Disk quota exceeded",
        _ => "Interrupted system call",
    }
}

/// The compiled library.
pub fn library() -> &'static Path {
    static LIBRARY: OnceLock<PathBuf> = OnceLock::new();
    LIBRARY.get_or_init(|| {
        let name = format!("iofail-{}.so", std::process::id());
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/shim/iofail.c");
        let mut compiler = Command::new("cc");
        compiler.args(["-O1", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC", "-o"]);
        let done = compiler.arg(&path).args([source, "-ldl"]).output().unwrap();
        let said = String::from_utf8_lossy(&done.stderr);
        assert!(done.status.success(), "cc {source}:\n{said}");
        path
    })
}

/// Which call fails, on which rank (`None`: on each), and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    pub at: u64,
    pub rank: Option<u32>,
    pub way: &'static str,
}

/// The words before a program that put the library before it, with or without a fault.
pub fn words(directory: &Path, log: &Path, fault: Option<Fault>) -> Vec<String> {
    let mut words = vec![
        format!("LD_PRELOAD={}", library().display()),
        format!("IOFAIL_DIR={}", directory.display()),
        format!("IOFAIL_LOG={}", log.display()),
    ];
    if let Some(Fault { at, rank, way }) = fault {
        words.extend([format!("IOFAIL_AT={at}"), format!("IOFAIL_HOW={way}")]);
        words.extend(rank.map(|rank| format!("IOFAIL_RANK={rank}")));
    }
    words
}

/// A call that was counted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    pub rank: u32,
    pub number: u64,
    pub kind: String,
    pub path: String,
    pub failed: bool,
}

impl Call {
    /// Whether it may move fewer bytes than asked for.
    pub fn moves(&self) -> bool {
        let moving = ["read", "write", "pread", "pwrite"];
        moving.iter().any(|word| self.kind.trim_end_matches("64").trim_end_matches('v') == *word)
    }

    /// Whether its error must be told: nothing later can make it good.
    pub fn is_essential(&self) -> bool {
        let essential = ["write", "pwrite", "fsync", "fdatasync", "posix_fallocate", "mkdir"];
        let kind = self.kind.trim_end_matches("64").trim_end_matches('v');
        essential.contains(&kind) || kind.starts_with("rename")
    }

    /// Whether a signal may interrupt it so that it has to be called again. Opening is left out, because
    /// HDF5 does not open again.
    pub fn is_repeated(&self) -> bool {
        let repeated = ["fsync", "fdatasync", "posix_fallocate", "sync_file_range"];
        self.moves() || repeated.contains(&self.kind.trim_end_matches("64"))
    }
}

/// The calls of a log, in the order of each rank.
pub fn calls(log: &Path) -> Vec<Call> {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    text.lines()
        .map(|line| call(line).unwrap_or_else(|| panic!("a line of the log: {line}")))
        .collect()
}

fn call(line: &str) -> Option<Call> {
    let mut words = line.splitn(4, ' ');
    let (rank, number) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
    let (kind, path) = (words.next()?.to_owned(), words.next()?);
    let (path, failed) = path.split_once(" <- ").map_or((path, false), |(path, _)| (path, true));
    Some(Call { rank, number, kind, path: path.to_owned(), failed })
}
