//! Sorts that are stopped or killed and go on: the bytes are those of a sort in memory that nobody touched.

use std::fmt::Write;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;

use crate::util::{Dir, Done, Run};

/// A sort that is interrupted.
struct Sort {
    name: &'static str,
    words: &'static [&'static str],
    /// Bytes of a run; `None` is a sort in memory.
    run_bytes: Option<&'static str>,
    input: fn(&Dir),
}

const SORTS: &[Sort] = &[
    Sort {
        name: "keys",
        words: &["keys", "--type", "u64", "-o", "out"],
        run_bytes: Some("9000"),
        input: keys,
    },
    Sort {
        name: "packed",
        words: &["keys", "--type", "i64", "--reverse", "--compress-temp", "-o", "out"],
        run_bytes: Some("12000"),
        input: keys,
    },
    Sort {
        name: "records",
        words: &["records", "--type", "record:5:1", "-o", "out"],
        run_bytes: Some("2000"),
        input: records,
    },
    Sort {
        name: "unique",
        words: &["records", "--type", "record:5:2", "--unique", "-o", "out"],
        run_bytes: Some("2000"),
        input: records,
    },
    Sort {
        name: "lines",
        words: &["text", "more", "-k1,1n", "-k3,3r", "-s", "-o", "out"],
        run_bytes: Some("5000"),
        input: lines,
    },
    Sort {
        name: "parts",
        words: &["keys", "--type", "u64", "--parts", "-o", "out"],
        run_bytes: Some("20000"),
        input: keys,
    },
    Sort {
        name: "dataset",
        words: &["keys", "--type", "f64", "-o", "out.h5:/sorted/keys"],
        run_bytes: Some("15000"),
        input: keys,
    },
    Sort {
        name: "unique-dataset",
        words: &["keys", "--type", "u64", "--unique", "-o", "out.h5"],
        run_bytes: Some("15000"),
        input: keys,
    },
    Sort {
        name: "memory",
        words: &["records", "--type", "record:5:1", "-o", "out"],
        run_bytes: None,
        input: records,
    },
];

fn keys(dir: &Dir) {
    let words = ["generate", "keys", "--pattern", "heavy", "--count", "10007", "-o", "keys", "-q"];
    dir.dcomp(&words).ok();
}

/// The payload is the number of the record, so that an unstable sort shows.
fn records(dir: &Dir) {
    let record = |number: u32| {
        let key = (number.wrapping_mul(2_654_435_761) >> 27).to_le_bytes()[0];
        [&[key], &number.to_be_bytes()[..]].concat()
    };
    std::fs::write(dir.path("records"), (0..3001).flat_map(record).collect::<Vec<u8>>()).unwrap();
}

fn lines(dir: &Dir) {
    let mut text = String::new();
    for number in 0..900_u64 {
        let word = number * 2_654_435_761 % 1000;
        let long = if number % 300 == 7 { "x".repeat(9000) } else { String::new() };
        writeln!(text, "{} {word} {}{long}", word % 30, number % 11).unwrap();
    }
    dir.write("text", &(text.clone() + "last without its end"));
    dir.write("more", &text[..text.len() / 3]);
}

/// A directory with inputs, and the bytes of the undisturbed sort.
struct Scene<'s> {
    sort: &'s Sort,
    dir: Dir,
    expected: Vec<u8>,
}

impl<'s> Scene<'s> {
    fn new(sort: &'s Sort) -> Self {
        let dir = Dir::new(&format!("survive-{}", sort.name));
        (sort.input)(&dir);
        dir.dcomp(&[&["mergesort", "-q"], sort.words].concat()).ok();
        let mut scene = Self { sort, dir, expected: Vec::new() };
        scene.expected = scene.output();
        scene.forget();
        scene
    }

    fn name(&self) -> &str {
        self.sort.words.last().unwrap().split(':').next().unwrap()
    }

    /// The output, that of all parts one behind the other.
    fn output(&self) -> Vec<u8> {
        let path = self.dir.path(self.name());
        if !path.is_dir() {
            return self.dir.read(self.name());
        }
        let mut parts: Vec<PathBuf> =
            std::fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()).collect();
        parts.sort();
        parts.iter().flat_map(|part| std::fs::read(part).unwrap()).collect()
    }

    fn forget(&self) {
        let path = self.dir.path(self.name());
        if path.is_dir() {
            std::fs::remove_dir_all(path).unwrap();
        } else {
            std::fs::remove_file(path).unwrap();
        }
    }

    /// With a checkpoint, going on if there is one.
    fn run(&self, more: &[&str], ranks: Option<u32>) -> Run {
        let words = [&["mergesort", "--checkpoint", "ck", "--resume"], self.sort.words, more];
        let run = self.dir.dcomp(&words.concat()).ranks_or_alone(ranks);
        match self.sort.run_bytes {
            Some(bytes) => run.env("DCOMP_RUN_BYTES", bytes),
            None => run,
        }
    }

    /// The output is right, and nothing else is left.
    fn check(&self, context: &str) {
        assert!(self.output() == self.expected, "{context}: other bytes than undisturbed");
        let strays = self.dir.names().into_iter();
        let strays: Vec<String> =
            strays.filter(|name| name.starts_with('.') || name == "ck").collect();
        assert!(strays.is_empty(), "{context}: {strays:?} left");
        self.forget();
    }
}

/// Whether it was stopped; else it ended well.
fn stopped(done: &Done, context: &str) -> bool {
    assert!(matches!(done.code, 0 | 75), "{context}: {done:#?}");
    if done.code == 75 {
        done.says("stopped with a checkpoint in ck");
    }
    done.code == 75
}

/// At every moment, more or less, at which a sort looks whether it is to end.
#[test]
fn a_sort_stopped_anywhere_goes_on() {
    for sort in SORTS {
        let scene = Scene::new(sort);
        let (mut look, mut stops) = (1, 0);
        loop {
            let context = format!("{} stopped at look {look}", sort.name);
            let threads = ["1", "3"][stops % 2];
            let run = scene.run(&["--threads", threads], None);
            let done = run.env("DCOMP_STOP_AFTER", &look.to_string()).run();
            if !stopped(&done, &context) {
                scene.check(&context);
                break;
            }
            scene.run(&[], None).ok();
            scene.check(&context);
            stops += 1;
            look += 1 + look / 4;
        }
        assert!(stops >= 4, "{}: {stops} stops", sort.name);
    }
}

/// Stopped on so many ranks, gone on with on others.
#[test]
fn a_sort_goes_on_with_other_ranks() {
    let counts = [None, Some(2), Some(3), Some(7), Some(1), Some(4), Some(8)];
    let mut turn = 0;
    for sort in SORTS {
        let scene = Scene::new(sort);
        for look in [3, 11, 29] {
            let (before, after) = (counts[(turn + 1) % 7], counts[(3 * turn + 2) % 7]);
            let context = format!("{}: look {look}, {before:?} then {after:?} ranks", sort.name);
            turn += 1;
            let run = scene.run(&[], before).env("DCOMP_STOP_AFTER", &look.to_string());
            if stopped(&run.run(), &context) {
                let done = scene.run(&["--threads", "2"], after).run();
                assert_eq!(done.code, 0, "{context}: {done:#?}");
            }
            scene.check(&context);
        }
    }
}

/// Stop after stop, each time after a few looks more: ranges of ranges of the output.
#[test]
fn a_chain_of_stops_ends() {
    let counts = [None, Some(3), None, Some(2), None, Some(4)];
    for sort in SORTS {
        let scene = Scene::new(sort);
        let mut links = 0;
        loop {
            let context = format!("{}: link {links}", sort.name);
            let run = scene.run(&[], counts[links % counts.len()]);
            let run = run.env("DCOMP_STOP_AFTER", &(8 + 4 * links).to_string());
            if !stopped(&run.run(), &context) {
                break;
            }
            links += 1;
            assert!(links < 100, "{context}: no end");
        }
        scene.check(&format!("{}: {links} links", sort.name));
    }
}

/// What all ranks share of the newest checkpoint.
fn saved(scene: &Scene<'_>) -> Value {
    let newest = names(&scene.dir, "ckpt-").pop().unwrap();
    let head = scene.dir.read(&format!("ck/{newest}/head.json"));
    let mut values = serde_json::Deserializer::from_slice(&head).into_iter::<Value>();
    values.next().unwrap().unwrap()["state"].clone()
}

/// Bytes of all runs on the disk, as the record tells.
fn run_bytes(scene: &Scene<'_>) -> u64 {
    scene.dir.json("out.json")["details"]["run_bytes"].as_u64().unwrap()
}

/// A checkpoint does not have what stays in memory between sorting and merging; who goes on sorts it again,
/// and then puts all on the disk.
#[test]
fn what_stayed_in_memory_is_sorted_again() {
    let scene = Scene::new(&SORTS[0]);
    let all = u64::try_from(scene.expected.len()).unwrap();
    let most: u64 = SORTS[0].run_bytes.unwrap().parse().unwrap();
    for ranks in [None, Some(2)] {
        scene.run(&[], ranks).ok();
        let stored = run_bytes(&scene);
        let held = ranks.map_or(1, u64::from) * most;
        assert!(stored < all && all <= stored + held, "{stored} of {all} on the disk");
        scene.check("not stopped");
        let (mut look, mut merging) = (5, 0);
        loop {
            let run = scene.run(&[], ranks).env("DCOMP_STOP_AFTER", &look.to_string());
            if !stopped(&run.run(), &format!("{ranks:?} ranks, look {look}")) {
                break;
            }
            let saved = saved(&scene);
            let is_written = saved["is_complete"] == true;
            merging += u32::from(saved["run_bytes"] == stored && !is_written);
            scene.run(&[], Some(3)).ok();
            let expected = if is_written { stored } else { all };
            assert_eq!(run_bytes(&scene), expected, "{ranks:?} ranks, look {look}");
            scene.check(&format!("{ranks:?} ranks, look {look}"));
            look += 13;
        }
        scene.check("the last look");
        assert!(merging >= 3, "{merging} stops after all was sorted");
    }
    // A kill may cost more time than there is between two checkpoints, but not much more.
    scene.run(&["--checkpoint-every", "1us"], None).ok();
    assert!(run_bytes(&scene) == all);
    scene.check("every microsecond");
}

/// A rank or the launcher is killed while it sorts, checkpoints being written all the time.
#[test]
fn a_killed_sort_goes_on() {
    let counts = [None, Some(2), Some(3), Some(4)];
    for (turn, sort) in SORTS.iter().enumerate() {
        let scene = Scene::new(sort);
        for kill in 0..3_u64 {
            let ranks = counts[(turn + usize::try_from(kill).unwrap()) % counts.len()];
            let delay =
                (turn as u64 * 131 + kill * 97) % 400 + if ranks.is_some() { 250 } else { 10 };
            let context = format!("{}: {ranks:?} ranks killed after {delay} ms", sort.name);
            let run = scene.run(&["--checkpoint-every", "1ms"], ranks);
            let mut child =
                run.command().stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
            std::thread::sleep(Duration::from_millis(delay));
            let victims = processes_of(&scene.dir, &["dcomp", "mpirun"]);
            if let Some(victim) = victims.get(usize::try_from(kill).unwrap() % victims.len().max(1))
            {
                nix::sys::signal::kill(*victim, nix::sys::signal::Signal::SIGKILL).ok();
            }
            child.wait().unwrap();
            while !processes_of(&scene.dir, &["dcomp"]).is_empty() {
                std::thread::sleep(Duration::from_millis(10));
            }
            if scene.dir.path(scene.name()).exists() && !scene.dir.path("ck").exists() {
                scene.check(&context);
                continue;
            }
            let done = scene.run(&[], counts[(turn + 1) % counts.len()]).run();
            assert_eq!(done.code, 0, "{context}: {done:#?}");
            scene.check(&context);
        }
    }
}

/// Processes of these names that work in this directory.
fn processes_of(dir: &Dir, names: &[&str]) -> Vec<nix::unistd::Pid> {
    let here = dir.path("").canonicalize().unwrap();
    let entries = std::fs::read_dir("/proc").unwrap().flatten();
    let ours = entries.filter(|entry| {
        let name = std::fs::read_to_string(entry.path().join("comm")).unwrap_or_default();
        let works_in = std::fs::read_link(entry.path().join("cwd")).unwrap_or_default();
        names.contains(&name.trim()) && works_in == here
    });
    let id = |entry: std::fs::DirEntry| entry.file_name().to_str()?.parse().ok();
    ours.filter_map(id).map(nix::unistd::Pid::from_raw).collect()
}

/// Names in the checkpoint directory that begin like this.
fn names(dir: &Dir, begin: &str) -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(dir.path("ck"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .filter(|name| name.starts_with(begin))
        .collect();
    names.sort();
    names
}

fn flip(dir: &Dir, name: &str, at: usize) {
    let mut bytes = dir.read(name);
    bytes[at] ^= 4;
    std::fs::write(dir.path(name), bytes).unwrap();
}

#[test]
fn a_damaged_run_gives_way_to_the_checkpoint_before() {
    let scene = Scene::new(&SORTS[0]);
    // Two checkpoints, of which the newer one knows a file that the older one does not.
    for look in ["8", "12"] {
        scene.run(&[], Some(2)).env("DCOMP_STOP_AFTER", look).fails(75);
    }
    let (saved, files) = (names(&scene.dir, "ckpt-"), names(&scene.dir, "runs-"));
    assert!(saved.len() == 2 && files.len() >= 4, "{saved:?} {files:?}");
    let older = String::from_utf8(scene.dir.read(&format!("ck/{}/head.json", saved[0]))).unwrap();
    let newer = files.iter().find(|file| !older.contains(&**file)).unwrap();
    flip(&scene.dir, &format!("ck/{newer}"), 100);
    let done = scene.run(&[], Some(3)).ok();
    done.says(&format!("{newer} changed")).says("trying the one before");
    scene.check("one file damaged");
    // The only one: no way on but anew.
    scene.run(&[], None).env("DCOMP_STOP_AFTER", "9").fails(75);
    let only = names(&scene.dir, "runs-").remove(0);
    flip(&scene.dir, &format!("ck/{only}"), 5000);
    let done = scene.run(&[], Some(2)).fails(65);
    done.says("no checkpoint in ck is whole").says(&format!("{only} changed"));
    let words = [&["mergesort", "-q", "--checkpoint", "ck", "--force"], SORTS[0].words].concat();
    scene.dir.dcomp(&words).env("DCOMP_RUN_BYTES", "9000").ok();
    scene.check("anew");
}

#[test]
fn another_input_or_order_is_refused() {
    let scene = Scene::new(&SORTS[4]);
    scene.run(&[], Some(2)).env("DCOMP_STOP_AFTER", "12").fails(75);
    scene.run(&["--reverse"], None).fails(2).says("made with reverse false, now it is true");
    let again = [&["mergesort", "-q", "--checkpoint", "ck"], SORTS[4].words].concat();
    scene.dir.dcomp(&again).fails(2).says("--resume goes on from it, --force starts anew");
    let text = scene.dir.read("more");
    std::thread::sleep(Duration::from_millis(20));
    std::fs::write(scene.dir.path("more"), &text).unwrap();
    let done = scene.run(&[], None).fails(2);
    done.says("made with the input more \"of").says("go on with the same parameters and inputs");
    // How it is done may differ.
    let anew = [&again[..], &["--force", "--memory", "1G", "--compress-temp"]].concat();
    scene.dir.dcomp(&anew).env("DCOMP_RUN_BYTES", "5000").ok();
    scene.check("anew");
    scene.run(&[], None).env("DCOMP_STOP_AFTER", "12").fails(75);
    scene.run(&["--memory", "2G", "--compress-temp", "--scratch", "nowhere"], None).ok();
    scene.check("with other memory");
}

/// What a run that was killed had begun goes away with the next start.
#[test]
fn leftovers_go_away() {
    let scene = Scene::new(&SORTS[0]);
    std::fs::create_dir(scene.dir.path("ck")).unwrap();
    scene.dir.write("ck/runs-00000-0123456789abcdef.data", "left by a run that was killed");
    scene.run(&[], None).env("DCOMP_STOP_AFTER", "12").fails(75);
    let files = names(&scene.dir, "runs-");
    assert!(files.len() == 1 && !files[0].contains("0123456789abcdef"), "{files:?}");
    let mode = std::os::unix::fs::PermissionsExt::mode(
        &std::fs::metadata(scene.dir.path("ck").join(&files[0])).unwrap().permissions(),
    );
    assert_eq!(mode & 0o777, 0o600);
    scene.run(&[], Some(2)).ok();
    scene.check("leftovers");
}

/// A complete run is one also where the directory is not its own to remove, and others' files are theirs.
#[test]
fn a_directory_of_somebody_else_stays() {
    let scene = Scene::new(&SORTS[0]);
    let place = scene.dir.path("place");
    std::fs::create_dir(&place).unwrap();
    std::os::unix::fs::symlink(&place, scene.dir.path("ck")).unwrap();
    for ranks in [None, Some(2)] {
        scene.run(&[], ranks).env("DCOMP_STOP_AFTER", "12").fails(75);
        scene.run(&[], ranks).ok();
        assert!(scene.output() == scene.expected);
        assert_eq!(std::fs::read_dir(&place).unwrap().count(), 0);
        scene.forget();
    }
    std::fs::create_dir(place.join("ckpt-best")).unwrap();
    for name in ["ckpt-best/weights", "mine.data", "unfinished-essay"] {
        std::fs::write(place.join(name), name).unwrap();
    }
    scene.run(&[], None).env("DCOMP_STOP_AFTER", "12").fails(75);
    scene.run(&[], Some(3)).ok();
    assert!(scene.output() == scene.expected);
    assert_eq!(names(&scene.dir, ""), ["ckpt-best", "mine.data", "unfinished-essay"]);
    assert_eq!(std::fs::read(place.join("ckpt-best/weights")).unwrap(), b"ckpt-best/weights");
}

#[test]
fn a_dry_run_says_where_runs_lie() {
    let scene = Scene::new(&SORTS[0]);
    let more = ["--dry-run", "--memory", "1M", "--scratch", "elsewhere"];
    let done = scene.run(&more, None).ok().stdout;
    // Too small for the disk.
    assert!(done.contains("of a sort in memory nothing is kept"), "{done}");
    let words = ["--generate", "uniform", "--count", "10000000", "--type", "u64", "-o", "out"];
    let words = [&["mergesort", "--checkpoint", "ck"], &words[..], &more].concat();
    let done = scene.dir.dcomp(&words).ok().stdout;
    assert!(done.contains("ck: 76 MiB of sorted runs beside the checkpoints"), "{done}");
    assert!(done.contains("elsewhere: not used"), "{done}");
}
