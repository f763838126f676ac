//! What collective MPI-IO and parallel HDF5 do on a full disk, beside what dcomp does on the same one.
//!
//! Why dcomp writes no file through them (`src/store/mod.rs`): where this was written they lost most of the
//! bytes and said that all is well. Their side is shown and not asserted, for another version may be
//! better; dcomp's side is asserted.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::disk::{SmallDisk, can_mount};
use crate::util::Dir;

const SOURCE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/demo/collective_io.c");

/// Bytes of each of four ranks: together five times the disk.
const RANK_BYTES: usize = 1_300_000;

/// Compiles the demonstration; nothing where the compiler or the library is missing.
fn compiled(dir: &Dir, name: &str, words: &[&str]) -> Option<PathBuf> {
    let program = dir.path(name);
    let mut compiler = Command::new("mpicc");
    compiler.args(["-O1", SOURCE, "-o"]).arg(&program).args(words);
    compiler.output().is_ok_and(|done| done.status.success()).then_some(program)
}

/// What the compiler must be told for parallel HDF5, where Debian keeps it apart and where it does not.
fn for_hdf5() -> Vec<String> {
    let names = ["hdf5-openmpi", "hdf5-mpich", "hdf5"];
    let told = names.iter().find_map(|name| {
        let told = Command::new("pkg-config").args(["--cflags", "--libs", name]).output().ok()?;
        told.status.success().then(|| String::from_utf8_lossy(&told.stdout).into_owned())
    });
    let words = told.unwrap_or_default();
    ["-DWITH_HDF5"].into_iter().chain(words.split_whitespace()).map(String::from).collect()
}

/// Runs it on the full disk and tells what it said and what is there.
fn show(dir: &Dir, program: &Path, file: &str, more: &str) {
    // It may hang, so it has a limit of its own that is no failure.
    let script = "timeout -k 2 30 mpirun -n 4 \"$@\"; echo \"mpirun: exit code $?\"";
    let bytes = RANK_BYTES.to_string();
    let program = program.to_str().unwrap();
    let words = ["-c", script, "sh", program, file, &bytes, more];
    let words = if more.is_empty() { &words[..6] } else { &words };
    let done = dir.program("bash", words).run();
    let held = std::fs::read(dir.path(file)).unwrap_or_default();
    let kept = held.iter().filter(|&&byte| (b'a'..=b'd').contains(&byte)).count();
    let meant = 4 * RANK_BYTES;
    let lost = meant.saturating_sub(kept);
    eprintln!("{}{file}: {lost} of {meant} bytes are lost", done.stdout);
    std::fs::remove_file(dir.path(file)).ok();
}

#[test]
fn collective_writes_on_a_full_disk_beside_dcomps() {
    if !can_mount("collective writes") {
        return;
    }
    let dir = Dir::new("collective");
    let disk = SmallDisk::mount(&dir, "size=1M");
    match compiled(&dir, "by-mpi-io", &[]) {
        Some(program) => show(&dir, &program, "disk/by-mpi-io", ""),
        None => eprintln!("collective writes: no mpicc here, so no MPI-IO"),
    }
    let words = for_hdf5();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match compiled(&dir, "by-hdf5", &words) {
        Some(program) => show(&dir, &program, "disk/by-hdf5.h5", "h5"),
        None => eprintln!("collective writes: no parallel HDF5 here (libhdf5-openmpi-dev)"),
    }
    // The same number of bytes, as counts.
    let grid =
        ["mandelbrot", "-W", "1300", "-H", "1000", "-n", "50", "-o", "a.png", "-q", "--force"];
    let run = dir.dcomp(&[&grid[..], &["--hdf5", "disk/by-dcomp.h5"]].concat()).ranks(4);
    std::fs::write(dir.path("disk/by-dcomp.h5"), "older").unwrap();
    let done = run.fails(74);
    done.says("disk/by-dcomp.h5").says("No space left on device");
    eprintln!("{}dcomp: exit code {}", done.stderr, done.code);
    assert_eq!(disk.names(), ["by-dcomp.h5"]);
    assert_eq!(dir.read("disk/by-dcomp.h5"), b"older");
    assert!(!dir.path("a.png").exists());
    drop(disk);
}
