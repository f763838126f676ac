//! Disks that are full, read-only or not there: a clear error, the right code, nothing left behind.

use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Command;

use crate::util::{Dir, is_root};

/// A tmpfs of a given size below a test's directory; unmounted at the end.
pub struct SmallDisk(PathBuf);

impl SmallDisk {
    pub fn mount(dir: &Dir, options: &str) -> Self {
        let disk = Self::try_mount(dir, &["-t", "tmpfs", "-o", options, "tmpfs"]);
        disk.expect("mounting a tmpfs needs root in a namespace that allows it")
    }

    /// An ext4 of so many KiB, its blocks of one, where loop devices can be had and the file system made.
    pub fn ext4(dir: &Dir, kib: u64) -> Option<Self> {
        let make = "PATH=$PATH:/usr/sbin:/sbin; truncate -s \"$0\" image && \
                    mke2fs -q -F -t ext4 -b 1024 -m 0 -O ^has_journal image";
        let made = dir.program("bash", &["-c", make, &format!("{kib}K")]).run().code == 0;
        let image = dir.path("image");
        let mount = || Self::try_mount(dir, &["-o", "loop", image.to_str().unwrap()]);
        let disk = made.then(mount).flatten();
        disk.inspect(|disk| std::fs::remove_dir(disk.0.join("lost+found")).unwrap())
    }

    fn try_mount(dir: &Dir, words: &[&str]) -> Option<Self> {
        let path = dir.path("disk");
        std::fs::create_dir_all(&path).unwrap();
        let mounted = Command::new("mount").args(words).arg(&path).status().unwrap();
        mounted.success().then(|| Self(path))
    }

    pub fn names(&self) -> Vec<String> {
        let entries = std::fs::read_dir(&self.0).unwrap();
        entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into()).collect()
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        Command::new("umount").arg(&self.0).status().ok();
    }
}

/// Only root can mount; without it these tests say so and the file-size limit below stands in.
pub fn can_mount(test: &str) -> bool {
    if !is_root() {
        eprintln!("{test}: not root, a real small disk cannot be mounted here");
    }
    is_root()
}

#[test]
fn a_full_disk_is_told_and_nothing_stays() {
    if !can_mount("a full disk") {
        return;
    }
    for ranks in [None, Some(3)] {
        let dir = Dir::new("full");
        let disk = SmallDisk::mount(&dir, "size=1M");
        // 12 MB of counts do not fit 1 MiB: found when the space is reserved.
        let raw = ["mandelbrot", "-W", "1500", "-H", "1000", "--hdf5", "disk/raw.h5", "-q"];
        let done = dir.dcomp(&raw).ranks_or_alone(ranks).fails(74);
        done.says("disk/raw.h5").says("No space left on device");
        // A 16-bit noise-like picture does not fit either: found while it grows.
        let png = [
            "mandelbrot",
            "-W",
            "1500",
            "-H",
            "1500",
            "-n",
            "3000",
            "--center",
            "-0.7436438870371587,0.1318259043091895",
            "--zoom",
            "100000",
            "--palette",
            "sinebow",
            "--depth",
            "16",
            "-o",
            "disk/big.png",
            "-q",
        ];
        let done = dir.dcomp(&png).ranks_or_alone(ranks).fails(74);
        done.says("disk/big.png: No space left on device");
        // The record of the failure is all that is new.
        assert_eq!(disk.names(), ["big.png.json"], "{ranks:?}");
        for kind in ["keys", "records"] {
            let words = [
                "generate",
                kind,
                "--count",
                "300000",
                "-o",
                "disk/data",
                "-q",
                "--record",
                "r.json",
            ];
            let done =
                dir.dcomp(&[&words[..], &["--force"]].concat()).ranks_or_alone(ranks).fails(74);
            done.says("disk/data: No space left on device");
            assert_eq!(disk.names(), ["big.png.json"], "{kind} {ranks:?}");
        }
        drop(disk);
    }
}

/// Sizes around the edge: whatever is reported as done is whole.
#[test]
fn sizes_around_the_edge_are_never_half_written() {
    if !can_mount("sizes around the edge") {
        return;
    }
    let dir = Dir::new("edge");
    dir.dcomp(&["mandelbrot", "-o", "whole.png"]).ok();
    let whole = dir.read("whole.png");
    let pages = whole.len().div_ceil(4096);
    let (mut done_count, mut refused_count) = (0, 0);
    for size in (pages - 3)..(pages + 5) {
        let disk = SmallDisk::mount(&dir, &format!("size={}", size * 4096));
        let ranks = (size % 2 == 0).then_some(2);
        let run =
            dir.dcomp(&["mandelbrot", "-o", "disk/edge.png", "-q"]).ranks_or_alone(ranks).run();
        match run.code {
            0 => {
                done_count += 1;
                assert!(std::fs::read(disk.0.join("edge.png")).unwrap() == whole);
            }
            74 => {
                refused_count += 1;
                // The picture may be whole and only its record without room; never half of either.
                let left = std::fs::read(disk.0.join("edge.png"));
                assert!(left.is_err() || left.unwrap() == whole);
                assert!(disk.names().iter().all(|name| !name.ends_with(".part")));
            }
            code => panic!("code {code}: {run:#?}"),
        }
        drop(disk);
        std::fs::remove_dir(dir.path("disk")).unwrap();
    }
    assert!(done_count > 0 && refused_count > 0, "{done_count} done, {refused_count} refused");
}

#[test]
fn a_read_only_directory_is_told() {
    if !can_mount("a read-only directory") {
        return;
    }
    let dir = Dir::new("readonly");
    let disk = SmallDisk::mount(&dir, "size=1M,ro");
    for ranks in [None, Some(2)] {
        let done = dir.dcomp(&["mandelbrot", "-o", "disk/a.png"]).ranks_or_alone(ranks).fails(74);
        done.says("disk/").says("Read-only file system");
    }
    drop(disk);
}

/// Found when the space is reserved; with --unique, whose output has no known size, when it is written.
#[test]
fn a_sort_on_a_full_or_read_only_disk_is_told() {
    if !can_mount("a sort on a full disk") {
        return;
    }
    let dir = Dir::new("ms-full");
    let keys = ["mergesort", "--generate", "uniform", "--count", "300000", "-o", "disk/out", "-q"];
    for (options, told) in [("size=1M", "No space left on device"), ("size=1M,ro", "Read-only")] {
        let disk = SmallDisk::mount(&dir, options);
        for ranks in [None, Some(3)] {
            for more in [&[][..], &["--unique"]] {
                let words = [&keys[..], more].concat();
                dir.dcomp(&words).ranks_or_alone(ranks).fails(74).says(told);
                assert!(disk.names().iter().all(|name| name == "out.json"), "{:?}", disk.names());
            }
        }
        drop(disk);
        std::fs::remove_dir(dir.path("disk")).unwrap();
    }
}

/// The limit on file sizes is the full disk that everybody can have.
#[test]
fn a_file_size_limit_is_an_error_not_a_death() {
    let dir = Dir::new("fsize");
    let dcomp = env!("CARGO_BIN_EXE_dcomp");
    let script = format!("ulimit -f 8; exec {dcomp} mandelbrot -q");
    let done = dir.program("bash", &["-c", &script]).fails(74);
    done.says("mandelbrot.png: File too large");
    assert_eq!(dir.names(), ["mandelbrot.png.json"]);
}

#[test]
fn an_output_that_exists_is_kept() {
    let dir = Dir::new("exists");
    dir.write("mandelbrot.png", "precious");
    for ranks in [None, Some(3)] {
        let done = dir.dcomp(&["mandelbrot"]).ranks_or_alone(ranks).fails(2);
        done.says("--output mandelbrot.png exists; --force replaces it");
        assert_eq!(dir.read("mandelbrot.png"), b"precious");
        assert_eq!(dir.names(), ["mandelbrot.png"]);
    }
    dir.dcomp(&["mandelbrot", "--force"]).ok();
    assert!(dir.read("mandelbrot.png").starts_with(b"\x89PNG"));
    // Published with the usual permissions, not the part file's.
    let mode = std::fs::metadata(dir.path("mandelbrot.png")).unwrap().permissions().mode();
    let plain = std::fs::metadata(dir.path("mandelbrot.png.json")).unwrap().permissions().mode();
    assert_eq!(mode, plain);
}

#[test]
fn a_missing_directory_is_told() {
    let dir = Dir::new("missing");
    for ranks in [None, Some(2)] {
        let done = dir.dcomp(&["mandelbrot", "-o", "no/a.png"]).ranks_or_alone(ranks).fails(2);
        done.says("--output no/a.png: the directory no is not there");
    }
    let done = dir.dcomp(&["mandelbrot", "--hdf5", "nowhere/a.h5"]).fails(2);
    done.says("--hdf5 nowhere/a.h5: the directory nowhere is not there");
    assert_eq!(dir.names(), [""; 0]);
}
