//! Both readers against `std::fs::read`, with all that can stand in the place of a file.
#![allow(clippy::unwrap_used, reason = "a test may")]

use super::*;
use nix::sys::stat::Mode;
use nix::unistd::mkfifo;
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::Write;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt, symlink};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::Command;
use std::sync::mpsc;
use std::time::Duration;
use tempfile::TempDir;

const MAX: usize = 4096;
const DEPTH: u32 = 8;

/// What a visitor was told, comparable.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Told {
    Small(Vec<u8>),
    Large(u64),
    Errno(i32),
    Kind(&'static str),
}

#[derive(Default)]
struct Collect(BTreeMap<usize, Told>);

impl Collect {
    fn add(&mut self, index: usize, told: Told) {
        assert_eq!(self.0.insert(index, told), None, "file {index} came twice");
    }
}

impl Visitor for Collect {
    fn small(&mut self, index: usize, buffer: &[u8], from: usize) {
        assert!(from >= SLACK);
        self.add(index, Told::Small(buffer[from..].to_vec()));
    }
    fn large(&mut self, index: usize, size: u64) {
        self.add(index, Told::Large(size));
    }
    fn failed(&mut self, index: usize, problem: Problem) {
        assert!(!problem.to_string().is_empty());
        let told = match problem {
            Problem::Io(error) => Told::Errno(error.raw_os_error().unwrap()),
            Problem::NotRegular(kind) => Told::Kind(kind),
        };
        self.add(index, told);
    }
}

/// A ring, or the reason why the test goes without.
fn uring(depth: u32) -> Option<Uring> {
    Uring::new(MAX, depth).inspect_err(|error| eprintln!("without io_uring: {error}")).ok()
}

fn both(dir: BorrowedFd<'_>, names: &Names, trust: Trust, depth: u32) -> BTreeMap<usize, Told> {
    let mut plain = Collect::default();
    Openat::new(MAX).read_all(Files { dir, names, trust }, 0..names.len(), &mut plain);
    if let Some(mut ring) = uring(depth) {
        for _ in 0..3 {
            let mut ringed = Collect::default();
            ring.read_all(Files { dir, names, trust }, 0..names.len(), &mut ringed);
            assert_eq!(ringed.0, plain.0, "{trust:?}");
        }
    }
    assert_eq!(plain.0.len(), names.len());
    plain.0
}

/// Both readers on one directory, in a thread that must be done in time.
fn check(dir: &Path, list: &[&[u8]], trust: Trust) -> Vec<Told> {
    let dir = File::open(dir).unwrap();
    let mut names = Names::new();
    for name in list {
        names.push(name).unwrap();
    }
    in_time(move || both(dir.as_fd(), &names, trust, DEPTH).into_values().collect())
}

fn in_time<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    let (done, wait) = mpsc::channel();
    std::thread::spawn(move || done.send(work()));
    wait.recv_timeout(Duration::from_secs(20)).expect("a reader that hangs or panics")
}

fn scratch() -> TempDir {
    tempfile::tempdir().unwrap()
}

fn path(dir: &TempDir, name: &[u8]) -> std::path::PathBuf {
    dir.path().join(OsStr::from_bytes(name))
}

fn bytes(size: usize) -> Vec<u8> {
    (0..size).map(|i| u8::try_from(i * 7 % 251).unwrap()).collect()
}

#[test]
fn every_size_and_every_name() {
    let dir = scratch();
    let long = [b'x'; 255];
    let sizes = [0, 1, 489, MAX - 1, MAX, MAX + 1, 3 * MAX, 2];
    let names: [&[u8]; 8] =
        [b"empty", b" ", b"two words", b"new\nline", b"\xff\xfe\x80", &long, b"-rf *", b"\\0"];
    for (name, &size) in names.iter().zip(&sizes) {
        fs::write(path(&dir, name), bytes(size)).unwrap();
    }
    for trust in [Trust::Listed, Trust::Given] {
        let told = check(dir.path(), &names, trust);
        for ((name, &size), told) in names.iter().zip(&sizes).zip(told) {
            let whole = fs::read(path(&dir, name)).unwrap();
            let want = if size > MAX {
                Told::Large(u64::try_from(size).unwrap())
            } else {
                Told::Small(whole)
            };
            assert_eq!(told, want, "{size} bytes");
        }
    }
}

#[test]
fn every_count() {
    let dir = scratch();
    let mut names = Names::new();
    for i in 0..1000_usize {
        let name = format!("part {i}");
        fs::write(dir.path().join(&name), bytes(i)).unwrap();
        names.push(name.as_bytes()).unwrap();
    }
    let file = File::open(dir.path()).unwrap();
    let depth = usize::try_from(DEPTH).unwrap();
    let mut ring = uring(DEPTH);
    for trust in [Trust::Listed, Trust::Given] {
        for range in
            [0..0, 1000..1000, 7..8, 3..depth + 2, 0..depth, 5..depth + 6, 0..1000, 990..1000]
        {
            let mut plain = Collect::default();
            Openat::new(MAX).read_all(
                Files { dir: file.as_fd(), names: &names, trust },
                range.clone(),
                &mut plain,
            );
            let want = range.clone().map(|i| (i, Told::Small(bytes(i)))).collect();
            assert_eq!(plain.0, want);
            if let Some(ring) = &mut ring {
                let mut ringed = Collect::default();
                ring.read_all(
                    Files { dir: file.as_fd(), names: &names, trust },
                    range,
                    &mut ringed,
                );
                assert_eq!(ringed.0, want);
            }
        }
    }
    for depth in [1, 2, 999, 1000, 1001] {
        both(file.as_fd(), &names, Trust::Listed, depth);
    }
}

#[test]
fn what_is_not_there_or_not_a_file() {
    let dir = scratch();
    fs::write(path(&dir, b"file"), b"12 34").unwrap();
    fs::write(path(&dir, b"secret"), b"5").unwrap();
    fs::set_permissions(path(&dir, b"secret"), fs::Permissions::from_mode(0o000)).unwrap();
    fs::create_dir(path(&dir, b"dir")).unwrap();
    symlink("file", path(&dir, b"link")).unwrap();
    symlink("nowhere", path(&dir, b"dangling")).unwrap();
    symlink("loop", path(&dir, b"loop")).unwrap();
    let _socket = UnixListener::bind(path(&dir, b"socket")).unwrap();
    let names: [&[u8]; 9] =
        [b"missing", b"dir", b"link", b"dangling", b"loop", b"socket", b"", b"file/x", b"file"];
    let (noent, eloop, notdir) = (Told::Errno(2), Told::Errno(40), Told::Errno(20));
    let mut want = vec![
        noent.clone(),
        Told::Kind("a directory"),
        eloop.clone(),
        eloop.clone(),
        eloop.clone(),
        Told::Kind("a socket"),
        noent.clone(),
        notdir,
        Told::Small(b"12 34".to_vec()),
    ];
    assert_eq!(check(dir.path(), &names, Trust::Listed), want);
    want[2] = Told::Small(b"12 34".to_vec());
    want[3] = noent;
    assert_eq!(check(dir.path(), &names, Trust::Given), want);
    if File::open(path(&dir, b"secret")).is_ok() {
        eprintln!("root reads everything: the unreadable file is not tried");
    } else {
        assert_eq!(check(dir.path(), &[b"secret"], Trust::Given), [Told::Errno(13)]);
    }
}

#[test]
fn a_fifo_makes_nobody_wait() {
    let dir = scratch();
    for name in ["lonely", "written"] {
        mkfifo(&dir.path().join(name), Mode::from_bits_truncate(0o600)).unwrap();
    }
    fs::write(path(&dir, b"file"), b"7").unwrap();
    let _writer = fs::OpenOptions::new()
        .read(true)
        .write(true)
        .custom_flags(nix::libc::O_NONBLOCK)
        .open(path(&dir, b"written"))
        .unwrap();
    let names: [&[u8]; 5] = [b"file", b"lonely", b"written", b"written", b"file"];
    let (fifo, file) = (Told::Kind("a FIFO"), Told::Small(b"7".to_vec()));
    for trust in [Trust::Listed, Trust::Given] {
        let told = check(dir.path(), &names, trust);
        assert_eq!(told, [&file, &fifo, &fifo, &fifo, &file].map(Clone::clone), "{trust:?}");
    }
}

#[test]
fn devices_and_files_without_a_size() {
    let names: [&[u8]; 5] =
        [b"/dev/zero", b"/dev/null", b"/proc/version", b"/dev/full", b"/proc/sys/kernel/ostype"];
    for trust in [Trust::Given, Trust::Listed] {
        let told = check(Path::new("/"), &names, trust);
        let device = Told::Kind("a character device");
        assert_eq!([&told[0], &told[1], &told[3]], [&device; 3]);
        assert!(
            matches!(&told[2], Told::Small(text) if text.starts_with(b"Linux version")),
            "{told:?}"
        );
        assert_eq!(told[4], Told::Small(b"Linux\n".to_vec()));
    }
}

/// The kernel gives this text a page at a time, and says that its size is 0.
#[test]
fn a_short_read_is_not_the_end() {
    let list: &[u8] = b"/proc/kallsyms";
    let text = fs::read(OsStr::from_bytes(list)).unwrap_or_default();
    if text.len() <= MAX {
        eprintln!("no long text in /proc: short reads are not tried");
        return;
    }
    let size = u64::try_from(MAX + 1).unwrap();
    for trust in [Trust::Listed, Trust::Given] {
        assert_eq!(check(Path::new("/"), &[list], trust), [Told::Large(size)]);
    }
    let dir = File::open("/").unwrap();
    let mut names = Names::new();
    names.push(list).unwrap();
    let max = text.len();
    let mut plain = Collect::default();
    Openat::new(max).read_all(
        Files { dir: dir.as_fd(), names: &names, trust: Trust::Given },
        0..1,
        &mut plain,
    );
    assert!(plain.0[&0] == Told::Small(text.clone()));
    if let Ok(mut ring) = Uring::new(max, 2) {
        let mut ringed = Collect::default();
        ring.read_all(
            Files { dir: dir.as_fd(), names: &names, trust: Trust::Listed },
            0..1,
            &mut ringed,
        );
        assert!(ringed.0[&0] == Told::Small(text));
    }
}

/// Panics at the third file, as a parser with a bug would.
struct Faulty(usize);

impl Visitor for Faulty {
    fn small(&mut self, _: usize, _: &[u8], _: usize) {
        self.0 += 1;
        assert!(self.0 < 3, "on purpose");
    }
    fn large(&mut self, _: usize, _: u64) {}
    fn failed(&mut self, _: usize, _: Problem) {}
}

#[test]
fn a_panic_leaves_nothing_in_flight() {
    let dir = scratch();
    let mut names = Names::new();
    for i in 0..100_usize {
        fs::write(dir.path().join(i.to_string()), bytes(i + 1)).unwrap();
        names.push(i.to_string().as_bytes()).unwrap();
    }
    let Some(mut ring) = uring(DEPTH) else { return };
    let file = File::open(dir.path()).unwrap();
    for trust in [Trust::Listed, Trust::Given] {
        let run = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            ring.read_all(
                Files { dir: file.as_fd(), names: &names, trust },
                0..100,
                &mut Faulty(0),
            );
        }));
        assert!(run.is_err());
        let mut ringed = Collect::default();
        ring.read_all(Files { dir: file.as_fd(), names: &names, trust }, 0..100, &mut ringed);
        assert_eq!(ringed.0, (0..100).map(|i| (i, Told::Small(bytes(i + 1)))).collect());
    }
}

#[test]
fn few_descriptors() {
    let dir = scratch();
    for i in 0..200_usize {
        fs::write(dir.path().join(i.to_string()), bytes(i + 1)).unwrap();
    }
    let output = Command::new("sh")
        .args(["-c", "ulimit -n 16; exec \"$@\"", "sh"])
        .arg(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "--nocapture", "--test-threads=1"])
        .arg("store::files::tests::child_with_few_descriptors")
        .env("FILES_TEST_DIR", dir.path())
        .output()
        .unwrap();
    io::stderr().write_all(&output.stderr).unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    assert!(String::from_utf8_lossy(&output.stdout).contains("1 passed"));
}

#[test]
#[ignore = "run by few_descriptors, in a process of its own"]
fn child_with_few_descriptors() {
    let dir = File::open(std::env::var_os("FILES_TEST_DIR").unwrap()).unwrap();
    let limit = nix::sys::resource::getrlimit(nix::sys::resource::Resource::RLIMIT_NOFILE).unwrap();
    assert_eq!(limit.0, 16);
    let mut names = Names::new();
    (0..200).for_each(|i: usize| names.push(i.to_string().as_bytes()).unwrap());
    let want: BTreeMap<_, _> = (0..200).map(|i| (i, Told::Small(bytes(i + 1)))).collect();
    for trust in [Trust::Listed, Trust::Given] {
        assert_eq!(both(dir.as_fd(), &names, trust, 64), want, "{trust:?}");
    }
    // A panic in the middle closes what was opened.
    let mut ring = uring(64);
    let open = || fs::read_dir("/proc/self/fd").unwrap().count();
    let before = open();
    for trust in [Trust::Listed, Trust::Given] {
        let Some(ring) = &mut ring else { break };
        let run = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            ring.read_all(Files { dir: dir.as_fd(), names: &names, trust }, 0..200, &mut Faulty(0));
        }));
        assert!(run.is_err());
        ring.read_all(
            Files { dir: dir.as_fd(), names: &names, trust },
            0..1,
            &mut Collect::default(),
        );
        assert_eq!(open(), before, "{trust:?}");
    }
    // All descriptors but one in use: one file at a time still works.
    let mut held = Vec::new();
    while let Ok(more) = dir.try_clone() {
        held.push(more);
    }
    held.pop();
    for trust in [Trust::Listed, Trust::Given] {
        let mut plain = Collect::default();
        Openat::new(MAX).read_all(
            Files { dir: dir.as_fd(), names: &names, trust },
            0..200,
            &mut plain,
        );
        assert_eq!(plain.0, want);
        if let Some(ring) = &mut ring {
            let mut ringed = Collect::default();
            ring.read_all(Files { dir: dir.as_fd(), names: &names, trust }, 0..200, &mut ringed);
            assert_eq!(ringed.0, want);
        }
    }
    // None at all: every listed file is still read through the ring, the given ones say EMFILE.
    held.push(dir.try_clone().unwrap());
    if let Some(ring) = &mut ring {
        let mut ringed = Collect::default();
        ring.read_all(
            Files { dir: dir.as_fd(), names: &names, trust: Trust::Listed },
            0..200,
            &mut ringed,
        );
        assert_eq!(ringed.0, want);
    }
    let mut plain = Collect::default();
    Openat::new(MAX).read_all(
        Files { dir: dir.as_fd(), names: &names, trust: Trust::Given },
        0..200,
        &mut plain,
    );
    assert!(plain.0.values().all(|told| *told == Told::Errno(24)));
    let refused = Uring::new(MAX, 1).expect_err("no descriptor for a ring").to_string();
    assert!(refused.contains("io_uring"), "{refused}");
}

/// Wants so many files and no more.
struct Few(Collect, usize);

impl Visitor for Few {
    fn goes_on(&mut self) -> bool {
        self.1 = self.1.saturating_sub(1);
        self.1 > 0
    }

    fn small(&mut self, index: usize, buffer: &[u8], from: usize) {
        self.0.small(index, buffer, from);
    }

    fn large(&mut self, index: usize, size: u64) {
        self.0.large(index, size);
    }

    fn failed(&mut self, index: usize, problem: Problem) {
        self.0.failed(index, problem);
    }
}

#[test]
fn a_visitor_that_wants_no_more_gets_what_was_begun() {
    let dir = scratch();
    let mut names = Names::new();
    for i in 0..300_usize {
        let name = format!("{i}");
        // Some are left by the ring and read at its end.
        fs::write(dir.path().join(&name), bytes(if i % 5 == 0 { 2 * MAX } else { i })).unwrap();
        names.push(name.as_bytes()).unwrap();
    }
    let file = File::open(dir.path()).unwrap();
    for trust in [Trust::Listed, Trust::Given] {
        let files = Files { dir: file.as_fd(), names: &names, trust };
        for wanted in [1, 2, 7, 100, 299] {
            let mut plain = Few(Collect::default(), wanted + 1);
            Openat::new(MAX).read_all(files, 0..names.len(), &mut plain);
            assert!(plain.0.0.keys().copied().eq(0..wanted), "{wanted}");
            let Some(mut ring) = uring(DEPTH) else { continue };
            let mut ringed = Few(Collect::default(), wanted + 1);
            ring.read_all(files, 0..names.len(), &mut ringed);
            let seen = &ringed.0.0;
            assert!((1..=wanted).contains(&seen.len()), "{} of {wanted}", seen.len());
            assert!(seen.keys().all(|&index| index < wanted), "{wanted}: {:?}", seen.keys());
        }
    }
}
