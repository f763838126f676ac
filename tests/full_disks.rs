//! Real full disks, at sizes around the edge: either all bytes are there, or the run says that there was no
//! room and leaves nothing.
//!
//! A tmpfs, an ext4 on a loop device, and a limit on file sizes. For each output the edge, the least room
//! with which the run is done, is found by halving; then every block, or byte, around it is tried. `make
//! test` takes a few outputs, `make campaign` all of them and a wider walk.

use std::collections::BTreeSet;
use std::os::fd::AsFd;
use std::path::Path;

use crate::disk::{SmallDisk, can_mount};
use crate::iofail::oracle::{Files, files};
use crate::util::{Dir, Done};

/// What is written to a disk: a name, the words, the outputs.
struct Output {
    name: &'static str,
    line: &'static str,
    outputs: &'static [&'static str],
}

const fn output(
    name: &'static str,
    line: &'static str,
    outputs: &'static [&'static str],
) -> Output {
    Output { name, line, outputs }
}

const OUTPUTS: [Output; 13] = [
    output("png", "mandelbrot -W 200 -H 150 --palette viridis -o disk/a.png", &["a.png"]),
    output(
        "grid",
        "mandelbrot -W 90 -H 70 --palette viridis -o disk/a.png --hdf5 disk/a.h5",
        &["a.png", "a.h5"],
    ),
    output("text", "counter-sort numbers -o disk/sorted", &["sorted"]),
    output("i64", "counter-sort numbers -o disk/sorted --output-format i64", &["sorted"]),
    output(
        "hdf5-csv",
        "counter-sort numbers -o disk/a.h5 --output-format hdf5 --counts disk/c.csv",
        &["a.h5", "c.csv"],
    ),
    output("counts", "counter-sort numbers -o disk/sorted --counts disk/c.h5", &["sorted", "c.h5"]),
    output("keys", "mergesort keys --type u64 -o disk/sorted", &["sorted"]),
    output("unique", "mergesort keys --type u64 --unique -o disk/sorted", &["sorted"]),
    output("dataset", "mergesort keys --type u64 -o disk/a.h5", &["a.h5"]),
    output("parts", "mergesort keys --type u64 --parts -o disk/parts", &["parts"]),
    output("runs", "mergesort keys --type u64 --scratch disk -o sorted", &[]),
    output("packed-runs", "mergesort keys --type u64 --compress-temp -o disk/sorted", &["sorted"]),
    output("made", "generate keys --count 4000 -o disk/made", &["made"]),
];

/// What limits the room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Medium {
    Tmpfs,
    Ext4,
    /// In bytes.
    FileSize,
}

/// A medium in a directory, and what a run without a limit leaves there.
struct Stage<'a> {
    dir: &'a Dir,
    medium: Medium,
    output: &'a Output,
    ranks: Option<u32>,
    older: bool,
    whole: Files,
}

const FILLER: &str = "filler";

/// Makes the free blocks of a disk so many, as far as it can; the bytes that are free then.
fn leave(disk: &Path, blocks: u64) -> u64 {
    let filler = disk.join(FILLER);
    std::fs::remove_file(&filler).ok();
    let free = || {
        let stats = nix::sys::statvfs::statvfs(disk).unwrap();
        (stats.blocks_available(), stats.fragment_size())
    };
    let file = std::fs::File::create(&filler).unwrap();
    let mut length = 0;
    loop {
        let (left, block_bytes) = free();
        if left <= blocks {
            return left * block_bytes;
        }
        // The last blocks may go to the file system's own lists.
        length += i64::try_from((left - blocks) * block_bytes).unwrap();
        nix::fcntl::posix_fallocate(file.as_fd(), 0, length).unwrap();
    }
}

impl Stage<'_> {
    /// Runs with this much room: blocks, or bytes of a file.
    fn run(&self, room: u64) -> Done {
        let disk = self.dir.path("disk");
        for entry in std::fs::read_dir(&disk).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() { std::fs::remove_dir_all(path) } else { std::fs::remove_file(path) }
                .unwrap();
        }
        if self.older {
            for name in self.output.outputs {
                std::fs::write(disk.join(name), format!("older {name}")).unwrap();
            }
        }
        let mut words = Vec::new();
        if self.medium == Medium::FileSize {
            words.extend(["prlimit".to_owned(), format!("--fsize={room}")]);
        } else {
            leave(&disk, room);
        }
        words.push(env!("CARGO_BIN_EXE_dcomp").into());
        words.extend(self.output.line.split_whitespace().map(String::from));
        words.extend(["-q", "--force", "--record", "record.json"].map(String::from));
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let run = self.dir.program(words[0], &words[1..]).ranks_or_alone(self.ranks);
        run.env("DCOMP_RUN_BYTES", if self.output.name.contains("runs") { "4096" } else { "" })
            .run()
    }

    /// Whether it was done; all bytes are there, or nothing is.
    fn tried(&self, room: u64) -> bool {
        let done = self.run(room);
        let mut left = files(&self.dir.path("disk"));
        left.remove(FILLER);
        let place = format!(
            "{} on {:?} with {room}, {:?} ranks",
            self.output.name, self.medium, self.ranks
        );
        if done.code == 0 {
            assert!(left == self.whole, "done, but not whole: {place}\n{:?}", left.keys());
            return true;
        }
        assert_eq!(done.code, 74, "{place}\n{done:#?}");
        let told = ["No space left on device", "File too large"];
        assert!(told.iter().any(|told| done.stderr.contains(told)), "{place}\n{done:#?}");
        if done.stderr.contains("the output itself is complete and verified") {
            assert!(left == self.whole, "unrecorded, and not whole: {place}\n{:?}", left.keys());
            return false;
        }
        let older = |name: &str| (name.to_owned(), Some(format!("older {name}").into_bytes()));
        let before: Files = if self.older {
            self.output.outputs.iter().map(|name| older(name)).collect()
        } else {
            Files::new()
        };
        assert!(
            left == before,
            "refused, but not as before: {place}\n{:?}\n{done:#?}",
            left.keys()
        );
        false
    }

    /// Looks for the edge, then walks `around` steps about it, one by one and in steps of a block.
    fn walk(&self, most: u64, around: u64) -> Tally {
        let (mut least, mut enough) = (0, most);
        assert!(self.tried(most), "{} fits {most}", self.output.name);
        let mut tally = Tally { done: 1, refused: 0 };
        let mut tried = BTreeSet::from([most]);
        let try_it = |room: u64, tally: &mut Tally| {
            let done = self.tried(room);
            if done {
                tally.done += 1;
            } else {
                tally.refused += 1;
            }
            done
        };
        while enough - least > 1 {
            let middle = least.midpoint(enough);
            tried.insert(middle);
            if try_it(middle, &mut tally) { enough = middle } else { least = middle }
        }
        let steps: &[u64] = if self.medium == Medium::FileSize { &[1, 512, 4096] } else { &[1] };
        for offset in steps.iter().flat_map(|step| (1..=around).map(move |times| step * times)) {
            for room in [enough.saturating_sub(offset), enough + offset] {
                if tried.insert(room) {
                    try_it(room, &mut tally);
                }
            }
        }
        assert!(tally.refused > 0, "{} on {:?} never refused", self.output.name, self.medium);
        tally
    }
}

/// How often a run was done, and how often it refused.
#[derive(Clone, Copy, Debug, Default)]
struct Tally {
    done: u64,
    refused: u64,
}

/// Walks about the edges of these outputs on a medium.
fn walk(
    medium: Medium,
    wanted: impl Fn(&Output) -> bool,
    around: u64,
    ranks: &[Option<u32>],
) -> Tally {
    let dir = Dir::new("edges");
    for line in [
        "generate numbers --files 7 --per-file 900 -o numbers",
        "generate keys --count 3000 --pattern uniform -o keys",
    ] {
        dir.dcomp(&line.split_whitespace().collect::<Vec<_>>()).ok();
    }
    let mut sum = Tally::default();
    let disk = match medium {
        Medium::Tmpfs => Some(SmallDisk::mount(&dir, "size=2M")),
        Medium::Ext4 => SmallDisk::ext4(&dir, 2048),
        Medium::FileSize => None,
    };
    if disk.is_none() {
        if medium == Medium::Ext4 {
            eprintln!("full disks: no loop device is to be had here");
            return sum;
        }
        std::fs::create_dir(dir.path("disk")).unwrap();
    }
    let most = match medium {
        Medium::Tmpfs => 400,
        Medium::Ext4 => 1600,
        Medium::FileSize => 1 << 20,
    };
    for (output, older) in
        OUTPUTS.iter().filter(|output| wanted(output)).zip([false, true].into_iter().cycle())
    {
        for &ranks in ranks {
            let older = older && output.name != "parts";
            let whole = Files::new();
            let mut stage = Stage { dir: &dir, medium, output, ranks, older, whole };
            let done = stage.run(most);
            assert_eq!(done.code, 0, "{done:#?}");
            stage.whole = files(&dir.path("disk"));
            stage.whole.remove(FILLER);
            let tally = stage.walk(most, around);
            eprintln!("full disks: {} on {medium:?}, {ranks:?} ranks: {tally:?}", output.name);
            sum = Tally { done: sum.done + tally.done, refused: sum.refused + tally.refused };
        }
    }
    drop(disk);
    sum
}

#[test]
fn outputs_at_the_edge_of_a_full_disk() {
    if !can_mount("outputs at the edge") {
        return;
    }
    for medium in [Medium::Tmpfs, Medium::Ext4] {
        walk(
            medium,
            |output| ["grid", "hdf5-csv", "parts", "runs"].contains(&output.name),
            2,
            &[None],
        );
    }
}

#[test]
fn outputs_at_the_edge_of_a_limit_on_file_sizes() {
    let some = ["png", "counts", "dataset", "packed-runs"];
    walk(Medium::FileSize, |output| some.contains(&output.name), 2, &[None]);
}

#[test]
#[ignore = "two thousand runs: make campaign"]
fn every_output_at_every_edge() {
    if !can_mount("every edge") {
        return;
    }
    let mut sizes = 0;
    for medium in [Medium::Tmpfs, Medium::Ext4, Medium::FileSize] {
        for (around, ranks) in [(10, None), (1, Some(2))] {
            let Tally { done, refused } = walk(medium, |_| true, around, &[ranks]);
            eprintln!(
                "full disks: {medium:?}, {ranks:?} ranks: done={done} refused={refused} silent=0 half-made=0"
            );
            sizes += done + refused;
        }
    }
    eprintln!("full disks: {sizes} sizes, silent=0 half-made=0");
    assert!(sizes >= 500);
}
