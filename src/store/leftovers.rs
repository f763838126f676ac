//! Half-made files of runs that are no more: recognised by the next run that writes to the same target, and
//! removed.
//!
//! A part file is locked by the rank that made it for as long as that lives, whatever ends it and on
//! whatever host. Who gets the lock knows that the maker is gone; a process id would not tell. What cannot be
//! locked stays: a file of somebody else, one that is no plain file, and all of them on a file system whose
//! locks do not reach every host. So do the files of a checkpoint, which have no job in their names. It costs
//! one look through the target's directory, or through its first names when it is huge.

use std::ffi::OsStr;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::libc;
use nix::sys::statfs::fstatfs;

use super::target::directory;
use super::{again, cleanup, listing};

/// The lock of a part directory, in it.
pub(super) const LOCK_NAME: &str = ".lock";

/// More names than this are not looked through: on a network file system each thousand takes time.
const MOST_NAMES: usize = 20_000;

/// Locks a file for as long as it is open here. Whether that worked: some file systems cannot.
pub(super) fn lock(file: &File) -> bool {
    again(|| fcntl(file.as_fd(), FcntlArg::F_OFD_SETLK(&whole_file()))).is_ok()
}

/// Whether a living run holds the lock of a file; not where that cannot be told.
pub(super) fn is_held(path: &Path) -> bool {
    let mut options = OpenOptions::new();
    options.read(true).write(true).custom_flags((OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK).bits());
    let Ok(file) = options.open(path) else { return false };
    let mut whole = whole_file();
    let asked = again(|| fcntl(file.as_fd(), FcntlArg::F_OFD_GETLK(&mut whole)));
    asked.is_ok() && i32::from(whole.l_type) != libc::F_UNLCK
}

fn whole_file() -> libc::flock {
    libc::flock {
        l_type: i16::try_from(libc::F_WRLCK).expect("a small constant"),
        l_whence: i16::try_from(libc::SEEK_SET).expect("a small constant"),
        l_start: 0,
        l_len: 0,
        l_pid: 0,
    }
}

/// Opens and locks a file that is about to get a part's name, as far as that can be done; who cannot do it
/// cannot clear it away either.
pub(super) fn hold(path: &Path) -> Option<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).custom_flags((OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK).bits());
    options.open(path).ok().filter(lock)
}

/// Removes what dead runs left of `target`, its record included, and tells it on stderr. Local.
pub(super) fn clear(target: &Path) {
    let parent = directory(target);
    let Some(name) = target.file_name() else { return };
    let Ok(names) = listing::names(&parent, MOST_NAMES) else { return };
    let parts = names.into_iter().filter(|entry| is_part_of(entry, name));
    let parts: Vec<PathBuf> = parts.map(|entry| parent.join(entry)).collect();
    if parts.is_empty() || !locks_reach_everybody(&parent) {
        return;
    }
    for part in parts {
        // The lock is held until the file is gone.
        let Some(_locked) = lock_of_dead(&part) else { continue };
        cleanup::remove(&part);
        writeln!(
            std::io::stderr(),
            "dcomp: removed {}, which a run left that is no more",
            part.display()
        )
        .ok();
    }
}

/// Whether this is the name of a part of `target`, of its record or of the record of its failure, made by a
/// job: `.<name>.<numbers>.part`.
fn is_part_of(name: &OsStr, target: &OsStr) -> bool {
    let job = |name: &[u8]| -> Option<bool> {
        let rest = name.strip_prefix(b".")?.strip_prefix(target.as_bytes())?;
        let rest =
            [&b".failed.json"[..], b".json", b""].iter().find_map(|end| rest.strip_prefix(*end))?;
        let job = rest.strip_prefix(b".")?.strip_suffix(b".part")?;
        let mut numbers = job.split(|&byte| byte == b'-');
        let all = numbers.all(|number| !number.is_empty() && number.iter().all(u8::is_ascii_digit));
        Some(all && job.contains(&b'-'))
    };
    job(name.as_bytes()) == Some(true)
}

/// The lock of a part whose maker is gone.
fn lock_of_dead(part: &Path) -> Option<File> {
    let mine = |file: &File| {
        let meta = file.metadata().ok()?;
        (meta.uid() == nix::unistd::geteuid().as_raw()).then_some(meta)
    };
    let mut options = OpenOptions::new();
    options.read(true);
    let nofollow = OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK;
    let file = if part.symlink_metadata().ok()?.is_dir() {
        let inside =
            options.clone().custom_flags((nofollow | OFlag::O_DIRECTORY).bits()).open(part).ok()?;
        mine(&inside)?;
        options.write(true).custom_flags(nofollow.bits()).open(part.join(LOCK_NAME)).ok()?
    } else {
        options.write(true).custom_flags(nofollow.bits()).open(part).ok()?
    };
    let meta = mine(&file)?;
    // A file with two names may be somebody's that was given this one.
    (meta.is_file() && meta.nlink() == 1 && lock(&file)).then_some(file)
}

/// File systems of one machine, whose locks the kernel keeps: ext, XFS, Btrfs, tmpfs, overlay, ZFS, F2FS.
const LOCAL: [u64; 7] =
    [0xEF53, 0x5846_5342, 0x9123_683E, 0x0102_1994, 0x794C_7630, 0x2FC1_2FC1, 0xF2F5_2010];

/// Network file systems whose server keeps the locks, unless mounted otherwise: NFS, Lustre, Ceph.
const SHARED: [u64; 3] = [0x6969, 0x0BD0_0BD0, 0x00C3_6400];

/// Mount options with which a network file system keeps locks for one host alone.
const LOCAL_LOCKS: [&str; 4] = ["nolock", "localflock", "local_lock=posix", "local_lock=all"];

/// Whether a lock in this directory is one for every host that sees the directory.
fn locks_reach_everybody(directory: &Path) -> bool {
    let Ok(opened) = File::open(directory) else { return false };
    let Ok(system) = fstatfs(&opened) else { return false };
    // The C library's type has a sign on some machines; the numbers have 32 bits.
    let magic = u64::from_ne_bytes(system.filesystem_type().0.to_ne_bytes()) & 0xFFFF_FFFF;
    let options = || mount_options(&opened).unwrap_or_else(|| "nolock".into());
    LOCAL.contains(&magic)
        || SHARED.contains(&magic)
            && !options().split([',', ' ']).any(|option| LOCAL_LOCKS.contains(&option))
}

/// The options of the file system that holds an open directory, as the kernel lists them.
fn mount_options(directory: &File) -> Option<String> {
    let device = directory.metadata().ok()?.dev();
    let numbers = format!("{}:{}", libc::major(device), libc::minor(device));
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").ok()?;
    let line = mounts.lines().find(|line| line.split(' ').nth(2) == Some(&numbers))?;
    Some(line.split_once(" - ")?.1.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    fn is_part(name: &str, target: &str) -> bool {
        is_part_of(name.as_ref(), target.as_ref())
    }

    #[test]
    fn only_names_that_a_job_makes_are_parts() {
        for name in [
            ".a.png.12-34.part",
            ".a.png.7-12-34.part",
            ".a.png.json.1-2.part",
            ".a.png.failed.json.1-2.part",
        ] {
            assert!(is_part(name, "a.png"), "{name}");
        }
        for name in [
            "a.png.1-2.part",
            ".a.png.part",
            ".a.png.12.part",
            ".a.png.checkpoint.part",
            ".a.png.1-.part",
            ".a.png.1-2.part.part",
            ".a.png.b.1-2.part",
            ".b.a.png.1-2.part",
            ".a.png.1-2",
        ] {
            assert!(!is_part(name, "a.png"), "{name}");
        }
        assert!(is_part(".1-2.3-4.part", "1-2") && !is_part(".1-2.3-4.part", "1"));
    }

    #[test]
    fn a_part_is_removed_only_when_nobody_holds_it() {
        let place = tempfile::tempdir().unwrap();
        let path = |name: &str| place.path().join(name);
        let make = |name: &str| File::create(path(name)).unwrap();
        let held = make(".out.1-1.part");
        assert!(lock(&held), "this file system has locks");
        make(".out.2-2.part");
        make(".out.checkpoint.part");
        make("precious");
        symlink("precious", path(".out.3-3.part")).unwrap();
        std::fs::hard_link(path("precious"), path(".out.4-4.part")).unwrap();
        nix::unistd::mkfifo(&path(".out.5-5.part"), nix::sys::stat::Mode::S_IRWXU).unwrap();
        let dead = path(".out.6-6.part");
        std::fs::create_dir(&dead).unwrap();
        std::fs::write(dead.join(LOCK_NAME), "").unwrap();
        std::fs::write(dead.join("part-00000"), "numbers").unwrap();
        let unlocked = path(".out.7-7.part");
        std::fs::create_dir(&unlocked).unwrap();
        let live = path(".out.8-8.part");
        std::fs::create_dir(&live).unwrap();
        let live_lock = File::create(live.join(LOCK_NAME)).unwrap();
        assert!(lock(&live_lock));
        clear(&path("out"));
        let mut left: Vec<_> =
            place.path().read_dir().unwrap().map(|entry| entry.unwrap().file_name()).collect();
        left.sort();
        let expected = [
            ".out.1-1.part",
            ".out.3-3.part",
            ".out.4-4.part",
            ".out.5-5.part",
            ".out.7-7.part",
            ".out.8-8.part",
            ".out.checkpoint.part",
            "precious",
        ];
        assert_eq!(left, expected);
        drop((held, live_lock));
        clear(&path("out"));
        assert!(!path(".out.1-1.part").exists() && !live.exists());
    }
}
