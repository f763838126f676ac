//! `counter-sort` that is stopped or killed and goes on: no file is counted twice or never, whatever the
//! number of ranks, and inputs that are not what they were are refused.

use std::fmt::Write;
use std::fs::File;
use std::process::Stdio;
use std::time::{Duration, Instant, SystemTime};

use nix::sys::signal::Signal;
use serde_json::Value;

use crate::survive::{Random, SAVING, Scene, Work, flip, killed_in};
use crate::util::{Dir, Run, processes_in, signal, wait_for};

/// A directory with others below, a list, a template of which some names are missing, and files that all
/// ranks read together; each with rubbish in it.
pub const WORKS: &[Work] = &[
    Work {
        name: "cs-directory",
        words: &[
            "counter-sort",
            "data",
            "-o",
            "out.txt",
            "--counts",
            "out.csv",
            "--on-error",
            "skip",
        ],
        variables: &[],
        outputs: &["out.txt", "out.csv"],
        prepare: |dir| {
            numbers(dir, 600);
            let script = "for i in 1 2 3 4; do mkdir data/sub$i; mv data/*$i?.txt data/sub$i; done; \
                          ln -s sub1 data/link; mkfifo data/sub2/pipe";
            dir.program("bash", &["-c", script]).ok();
        },
        takes_ms: 150,
    },
    Work {
        name: "cs-template",
        words: &[
            "counter-sort",
            "data",
            "--name=numbers_{}.txt",
            "--count=700",
            "-o=out.h5",
            "--output-format=hdf5",
            "--counts=counts.h5",
            "--on-error=skip",
            "--io=uring",
        ],
        variables: &[("DCOMP_SMALL_BYTES", "200")],
        outputs: &["out.h5", "counts.h5"],
        prepare: |dir| numbers(dir, 600),
        takes_ms: 150,
    },
    Work {
        name: "cs-split",
        words: &[
            "counter-sort",
            "data",
            "-o=out.i64",
            "--output-format=i64",
            "--on-error=skip",
            "--histogram=sparse",
        ],
        variables: &[("DCOMP_SMALL_BYTES", "16"), ("DCOMP_SPLIT_BYTES", "100")],
        outputs: &["out.i64"],
        prepare: |dir| numbers(dir, 60),
        takes_ms: 100,
    },
    Work {
        name: "cs-list",
        words: &[
            "counter-sort",
            "--files-from=list",
            "-o",
            "out.txt",
            "--on-error=skip",
            "--max-int=900",
        ],
        variables: &[("DCOMP_SMALL_BYTES", "64")],
        outputs: &["out.txt"],
        prepare: |dir| {
            numbers(dir, 7);
            dir.write("list", &list(6000));
        },
        takes_ms: 250,
    },
];

fn numbers(dir: &Dir, files: u32) {
    let (files, most) = (files.to_string(), "100000");
    let how = ["--per-file", "40", "--dirty", "0.02", "--min=-100000", "--max", most];
    dir.dcomp(
        &[&["generate", "numbers", "-q", "-o", "data", "--files", &files], &how[..]].concat(),
    )
    .ok();
}

/// A long list of few files.
fn list(names: u32) -> String {
    (0..names).fold(String::new(), |mut list, name| {
        writeln!(list, "data/numbers_{}.txt", name % 7).unwrap();
        list
    })
}

/// A run that is stopped after so many files, parts or pieces of the output of a rank.
fn stopped_after(
    scene: &Scene,
    work: &Work,
    pieces: u32,
    more: &[&str],
    ranks: Option<u32>,
) -> Run {
    let run = scene.run(work, &[&SAVING[..], more].concat(), ranks);
    run.env("DCOMP_STOP_AFTER_PIECES", &pieces.to_string())
}

/// The record of the last run.
fn record(scene: &Scene, work: &Work) -> Value {
    scene.dir.json(&format!("{}.json", work.outputs[0]))
}

#[test]
fn a_chain_of_stops_counts_every_file_once() {
    let counts = [Some(3), None, Some(1), Some(4), Some(2), Some(7), Some(8)];
    for (work, pieces) in WORKS.iter().zip([80, 90, 40, 900]) {
        let scene = Scene::new(work);
        let mut stops = 0;
        for link in 0.. {
            let at = link % counts.len();
            let how = ["--threads", ["1", "2", "3"][link % 3], "-q"];
            let pieces = pieces + 7 * u32::try_from(link).unwrap();
            let done = stopped_after(&scene, work, pieces, &how, counts[at]).run();
            if done.code == 0 {
                break;
            }
            assert_eq!(done.code, 75, "link {link}: {done:#?}");
            done.says("asked to stop by SIGUSR1").says(": stopped with a checkpoint in ck");
            assert!(link < 40, "{} does not come to its end", work.name);
            stops += 1;
        }
        // Slices of large files grow with the speed of reading.
        let least = if work.name == "cs-split" { 1 } else { 3 };
        assert!(stops >= least, "{} was stopped {stops} times", work.name);
        scene.check(work, &format!("{stops} stops"));
        let found = record(&scene, work);
        // What was refused and where too.
        assert_eq!(found["result"], scene.record["result"], "{}", work.name);
        assert_eq!(found["input"], scene.record["input"], "{}", work.name);
        assert!(found["result"]["rejected"].as_u64().unwrap() > 0);
    }
}

#[test]
fn what_is_counted_is_not_read_again() {
    let work = &WORKS[0];
    let scene = Scene::new(work);
    let opened = |scene: &Scene| record(scene, work)["io"]["files_opened"].as_u64().unwrap();
    let mut sum = 0;
    for pieces in [100, 200] {
        stopped_after(&scene, work, pieces, &["--threads=2", "-q"], None).fails(75);
        sum += opened(&scene);
    }
    // What a thread had in hand when the other one was the last counts too, or not yet.
    assert!((290..310).contains(&sum), "{sum} files were opened after 300 of them");
    scene.run(work, &SAVING, None).ok();
    let reference = scene.record["io"]["files_opened"].as_u64().unwrap();
    assert_eq!(sum + opened(&scene), reference);
    scene.check(work, "two stops");
}

/// After the last file a stop leaves all counts; what follows is done again without a look into a file.
#[test]
fn a_stop_after_counting_keeps_all_counts() {
    for (ranks, pieces, words) in
        [(None, 9, "while the output was written"), (Some(2), 5, "while the output was written")]
    {
        let work = &WORKS[2];
        let scene = Scene::new(&Work { variables: &[], ..few(work) });
        let run = scene.run(work, &[&SAVING[..], &["-q", "--threads=1"]].concat(), ranks);
        let run = run.env("DCOMP_SMALL_BYTES", "65536").env("DCOMP_SPLIT_BYTES", "65536");
        let stopped = run.env("DCOMP_STOP_AFTER_PIECES", &pieces.to_string()).run();
        assert_eq!(stopped.code, 75, "{ranks:?} {pieces}: {stopped:#?}");
        assert!(stopped.stderr.contains(words), "{ranks:?} {pieces}: {stopped:#?}");
        let before = record(&scene, work)["io"]["files_opened"].as_u64().unwrap();
        scene.run(work, &SAVING, Some(3)).ok();
        let after = record(&scene, work)["io"]["files_opened"].as_u64().unwrap();
        assert!(
            before >= 8 && after <= 3,
            "{before} files opened before the stop, {after} after it"
        );
        scene.check(work, words);
    }
}

/// The same with eight files.
fn few(work: &Work) -> Work {
    let Work { name, words, variables, outputs, takes_ms, .. } = *work;
    Work { name, words, variables, outputs, takes_ms, prepare: |dir| numbers(dir, 8) }
}

type Change = fn(&Dir, &str);

#[test]
fn inputs_that_are_not_what_they_were_are_refused() {
    let counted = |dir: &Dir| {
        // The first file of the list, which is counted when the run is stopped after many.
        let shown = dir.program("find", &["data", "-name", "numbers_*", "-type", "f"]).ok().stdout;
        shown.lines().next().unwrap().to_owned()
    };
    let changes: [(&str, Change, &str); 5] = [
        (
            "a number more",
            |dir, name| append(dir, name, "5\n"),
            "{}: it has changed since it was counted",
        ),
        (
            "other bytes, an old date",
            |dir, name| {
                let bytes = dir.read(name);
                std::fs::write(dir.path(name), vec![b'7'; bytes.len()]).unwrap();
                let file = File::options().write(true).open(dir.path(name)).unwrap();
                file.set_modified(SystemTime::UNIX_EPOCH).unwrap();
            },
            "{}: it has changed since it was counted",
        ),
        (
            "a file less",
            |dir, name| std::fs::remove_file(dir.path(name)).unwrap(),
            "stands in the place of another name",
        ),
        (
            "another name",
            |dir, name| std::fs::rename(dir.path(name), dir.path(&format!("{name}~"))).unwrap(),
            "--resume: ",
        ),
        (
            "another kind",
            |dir, name| {
                std::fs::remove_file(dir.path(name)).unwrap();
                std::fs::create_dir(dir.path(name)).unwrap();
            },
            "--resume: ",
        ),
    ];
    for ((what, change, says), ranks) in changes.into_iter().zip([None, Some(3)].iter().cycle()) {
        let work = &WORKS[0];
        let scene = Scene::new(&few(work));
        let stop = stopped_after(&scene, work, 7, &["--threads=1", "-q"], None);
        stop.fails(75);
        // Later than the run began, by the clock of the disk.
        std::thread::sleep(Duration::from_millis(20));
        let name = counted(&scene.dir);
        change(&scene.dir, &name);
        let done = scene.run(work, &SAVING, *ranks).fails(2);
        assert!(done.stderr.contains(&says.replace("{}", &name)), "{what}: {done:#?}");
        assert!(done.stderr.contains("start anew with --force"), "{what}: {done:#?}");
        let anew = ["--checkpoint", "ck", "--force", "-q"];
        scene.run(work, &anew, None).ok();
    }
    // Of a template and of a list.
    for (work, change, says) in [
        (&WORKS[1], "rm data/numbers_0.txt", "data/numbers_0.txt: it is gone"),
        (
            &WORKS[3],
            "sed -i 3s/2/3/ list",
            "data/numbers_3.txt stands in the place of another name, as number 3",
        ),
        (&WORKS[3], "sed -i '20,$d' list", "19 files are left of at least"),
        (&WORKS[3], "touch data/numbers_1.txt", "data/numbers_1.txt: it has changed"),
    ] {
        let scene = Scene::new(work);
        stopped_after(&scene, work, 300, &["--threads=1", "-q"], Some(2)).fails(75);
        std::thread::sleep(Duration::from_millis(20));
        scene.dir.program("bash", &["-c", change]).ok();
        scene.run(work, &SAVING, Some(3)).fails(2).says(says);
    }
}

fn append(dir: &Dir, name: &str, text: &str) {
    let mut bytes = dir.read(name);
    bytes.extend_from_slice(text.as_bytes());
    std::fs::write(dir.path(name), bytes).unwrap();
}

#[test]
fn parameters_that_decide_bytes_must_be_the_same() {
    let work = &WORKS[0];
    let scene = Scene::new(work);
    stopped_after(&scene, work, 50, &["-q"], Some(2)).fails(75);
    for (word, says) in [
        ("--max-int=5", "made with max_int 9223372036854775807, now it is 5"),
        ("--output-format=i64", "made with output_format \"text\", now it is \"i64\""),
    ] {
        scene.run(work, &[&SAVING[..], &[word]].concat(), None).fails(2).says(says);
    }
    scene.run(work, &["--checkpoint", "ck"], None).fails(2).says("--resume goes on from it");
    // How it is counted may differ, and how much memory there is; too little is told.
    let little = [&SAVING[..], &["--memory=1M", "--threads=3", "-q"]].concat();
    scene.run(work, &little, None).fails(65).says("more distinct values than --memory allows");
    let how = ["--histogram=dense", "--min-int=-9223372036854775808", "--memory=1G", "-q"];
    scene
        .run(work, &[&SAVING[..], &how].concat(), None)
        .fails(2)
        .says("--histogram dense: a table");
    let how = ["--histogram=sparse", "--combine=exchange", "--io=uring", "--memory=64M", "--top=3"];
    scene.run(work, &[&SAVING[..], &how].concat(), Some(3)).ok();
    scene.check(work, "another histogram");
    let dir = Dir::new("cs-stdin");
    let words = ["counter-sort", "--files-from=-", "-o", "out", "--checkpoint", "ck"];
    dir.dcomp(&words).fails(2).says("put them into a file, or leave --checkpoint out");
    assert!(dir.names().is_empty());
    // Checkpoints would be counted.
    let inside = scene.run(work, &["--checkpoint", "data/ck", "--force"], None).fails(2);
    inside.says("--checkpoint data/ck lies in the input data");
}

#[test]
fn a_damaged_checkpoint_of_counts_gives_way() {
    let work = &WORKS[3];
    let scene = Scene::new(work);
    let mut random = Random::new(3);
    let often = ["--checkpoint-every", "1ms", "-q", "--threads=1"];
    for _ in 0..4 {
        stopped_after(&scene, work, 500, &often, Some(2)).fails(75);
    }
    let mut there: Vec<_> = std::fs::read_dir(scene.dir.path("ck"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    there.retain(|path| path.is_dir());
    there.sort();
    assert_eq!(there.len(), 2, "{there:?}");
    flip(&there[1].join("part-00000"), &mut random);
    let done = scene.run(work, &SAVING, Some(3)).ok();
    done.says("is damaged: part-00000 has a wrong length or checksum");
    scene.check(work, "a flipped bit");
    assert_eq!(record(&scene, work)["result"], scene.record["result"]);
}

#[test]
fn counting_that_is_killed_goes_on() {
    for (work, seeds) in WORKS.iter().zip([3..5, 5..7, 7..9, 9..12]) {
        let scene = Scene::new(work);
        for seed in seeds {
            killed_in(&scene, work, seed);
            scene.forget(work);
        }
    }
}

/// Small files, of which none is slow, and files that all ranks read together.
#[test]
fn a_signal_to_one_rank_stops_counting_in_time() {
    let work = &WORKS[3];
    let scene = Scene::new(work);
    let large = "1234567\n-123456\n".repeat(20 << 16);
    scene.dir.write("data/large.txt", &large);
    for (names, what) in
        [(list(3_000_000), Signal::SIGTERM), ("data/large.txt\n".repeat(3000), Signal::SIGUSR1)]
    {
        scene.dir.write("list", &names);
        let run = scene.run(work, &["--checkpoint", "ck", "--force", "-q"], Some(3));
        let run = run.env("DCOMP_SMALL_BYTES", "65536");
        let mut child = run.command().stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let all = || Some(processes_in(&scene.dir.path(""))).filter(|all| all.len() == 3);
        wait_for(30, all);
        std::thread::sleep(Duration::from_millis(1500));
        let ranks = processes_in(&scene.dir.path(""));
        assert_eq!(ranks.len(), 3, "{what}");
        let begin = Instant::now();
        signal(ranks[2], what);
        assert_eq!(child.wait().unwrap().code(), Some(75), "{what}");
        assert!(begin.elapsed() < Duration::from_secs(4), "{what}: {:?}", begin.elapsed());
        let record = record(&scene, work);
        assert_eq!(record["outcome"], "stopped");
        assert_eq!(record["checkpoints"]["written"], 1);
        assert!(record["io"]["bytes_read"].as_u64().unwrap() > 0);
    }
}

/// A file that was changed before it was counted is none that changed since.
#[test]
fn each_run_answers_for_what_it_counted() {
    let work = &WORKS[3];
    let scene = Scene::new(work);
    scene.dir.write("list", "data/numbers_0.txt\ndata/numbers_1.txt\ndata/numbers_2.txt\n");
    let stop = |pieces| stopped_after(&scene, work, pieces, &["--threads=1", "-q"], None).fails(75);
    stop(2);
    std::thread::sleep(Duration::from_millis(20));
    scene.dir.write("data/numbers_1.txt", "7\n");
    std::thread::sleep(Duration::from_millis(20));
    stop(2);
    scene.dir.write("data/numbers_2.txt", "8\n9\n");
    scene.run(work, &SAVING, Some(2)).ok();
    let all = scene.dir.read("data/numbers_0.txt");
    let all = [&all[..], b"7\n8\n9\n"].concat();
    scene.dir.write("all", std::str::from_utf8(&all).unwrap());
    scene
        .dir
        .dcomp(&["counter-sort", "all", "-o", "once", "--on-error=skip", "--max-int=900"])
        .ok();
    assert!(scene.dir.read("once") == scene.dir.read("out.txt"));
}
