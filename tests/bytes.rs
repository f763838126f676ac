//! The same bytes for every way of computing: ranks, threads, schedule, instruction set, nodes,
//! sizes of messages.

use crate::util::Dir;
use dcomp::mandelbrot::kernel::Isa;

/// Awkward on purpose: prime sizes, a view with filaments, several strips, fractions.
const PICTURE: [&str; 13] = [
    "mandelbrot",
    "-W",
    "307",
    "-H",
    "811",
    "-n",
    "700",
    "--center",
    "-0.7453,0.1127",
    "--zoom",
    "60",
    "--palette",
    "viridis",
];

/// Makes the picture in one way and compares it with the first one made.
struct Same {
    dir: Dir,
    combinations: u32,
}

impl Same {
    fn new(name: &str) -> Self {
        let dir = Dir::new(name);
        dir.dcomp(&[&PICTURE[..], &["-o", "first.png", "--hdf5", "first.h5"]].concat())
            .env("DCOMP_KERNEL", "reference")
            .env("DCOMP_SCHEDULE", "block")
            .ok();
        Self { dir, combinations: 0 }
    }

    fn check(&mut self, ranks: Option<u32>, words: &[&str], variables: &[(&str, &str)]) {
        let outputs = ["-o", "other.png", "--hdf5", "other.h5", "--force"];
        let mut run =
            self.dir.dcomp(&[&PICTURE[..], &outputs, words].concat()).ranks_or_alone(ranks);
        for (name, value) in variables {
            run = run.env(name, value);
        }
        run.ok();
        for (first, other) in [("first.png", "other.png"), ("first.h5", "other.h5")] {
            let same = self.dir.read(first) == self.dir.read(other);
            assert!(same, "{other} differs with {ranks:?} ranks, {words:?}, {variables:?}");
        }
        let (first, other) = (self.dir.json("first.png.json"), self.dir.json("other.png.json"));
        assert_eq!(first["result"], other["result"], "{ranks:?} ranks, {words:?}");
        assert_eq!(first["outputs"][0]["crc64"], other["outputs"][0]["crc64"]);
        self.combinations += 1;
    }
}

#[test]
fn ranks_and_schedules() {
    let mut same = Same::new("ranks");
    for ranks in [None, Some(1), Some(2), Some(3), Some(4), Some(7), Some(8)] {
        for schedule in ["block", "cyclic", "dynamic"] {
            same.check(ranks, &["--schedule", schedule], &[]);
        }
    }
    assert_eq!(same.combinations, 21);
}

#[test]
fn sixty_four_ranks() {
    let mut same = Same::new("ranks64");
    for schedule in ["block", "cyclic", "dynamic"] {
        same.check(Some(64), &["--schedule", schedule], &[]);
    }
}

#[test]
fn threads_and_instruction_sets() {
    let mut same = Same::new("threads");
    for threads in ["1", "2", "5"] {
        for isa in Isa::ALL.into_iter().filter(|isa| isa.is_available()) {
            let words = ["--threads", threads, "--kernel", &isa.to_string()];
            same.check(None, &words, &[]);
            same.check(Some(2), &words, &[]);
        }
        for schedule in ["block", "cyclic"] {
            same.check(Some(3), &["--threads", threads, "--schedule", schedule], &[]);
        }
    }
    assert!(same.combinations >= 24, "{}", same.combinations);
}

/// Pretended nodes of two ranks: the work counter goes through the world's word. Tiny rounds: every
/// message is cut.
#[test]
fn nodes_and_rounds() {
    let mut same = Same::new("nodes");
    for (ranks, per_node) in [(4, "2"), (7, "2"), (7, "3"), (3, "1")] {
        same.check(Some(ranks), &[], &[("DCOMP_RANKS_PER_NODE", per_node)]);
        let threads = ["--threads", "3"];
        same.check(Some(ranks), &threads, &[("DCOMP_RANKS_PER_NODE", per_node)]);
    }
    // Ranks that hold their share stop drawing; nobody waits for them, nothing is left out.
    for (ranks, per_node) in [(4, "1"), (4, "2"), (7, "3"), (4, "0")] {
        for threads in ["1", "2"] {
            let variables = [("DCOMP_RANKS_PER_NODE", per_node), ("DCOMP_HELD_SHARES", "1")];
            same.check(Some(ranks), &["--threads", threads], &variables);
        }
    }
    for bytes in ["8", "1000", "65536"] {
        same.check(Some(3), &[], &[("DCOMP_ROUND_BYTES", bytes)]);
    }
}

/// Sizes around everything that is cut: no pixel lost at 1, P-1, P, P+1 rows and columns.
#[test]
fn awkward_sizes() {
    let dir = Dir::new("sizes");
    for (width, height) in [(1, 1), (1, 9), (9, 1), (3, 4), (4, 3), (5, 5), (13, 8), (64, 65)] {
        for palette in ["classic", "histogram"] {
            let (width, height) = (width.to_string(), height.to_string());
            let size = ["mandelbrot", "--force", "-W", &width, "-H", &height, "--palette", palette];
            dir.dcomp(&[&size[..], &["-o", "alone.png"]].concat()).ok();
            for schedule in ["block", "cyclic", "dynamic"] {
                let words = ["-o", "four.png", "--schedule", schedule];
                dir.dcomp(&[&size[..], &words].concat()).ranks(4).ok();
                let same = dir.read("alone.png") == dir.read("four.png");
                assert!(same, "{width} x {height} {palette} {schedule}");
            }
        }
    }
}

/// A picture of several bands, with the palette that has to survey all of them first.
#[test]
fn several_bands() {
    let dir = Dir::new("bands");
    let size = ["mandelbrot", "-W", "2048", "-H", "2100", "-n", "60", "--palette", "histogram"];
    dir.dcomp(&[&size[..], &["-o", "one.png", "--hdf5", "one.h5"]].concat()).ok();
    dir.dcomp(&[&size[..], &["-o", "three.png", "--hdf5", "three.h5"]].concat()).ranks(3).ok();
    assert!(dir.read("one.png") == dir.read("three.png"));
    assert!(dir.read("one.h5") == dir.read("three.h5"));
    dir.dcomp(&["recolor", "one.h5", "-o", "again.png", "--palette", "histogram"]).ranks(2).ok();
    let again = image::open(dir.path("again.png")).unwrap();
    assert!(image::open(dir.path("one.png")).unwrap() == again);
}
