//! `dcomp scaling` where it could lose something or say what is not so: found by a hostile reading.

use std::process::Stdio;
use std::time::{Duration, Instant};

use crate::scaling::{TABLE, runs};
use crate::util::Dir;

/// Whatever is in a directory that is not a study's stays as it is.
#[test]
fn nothing_of_a_user_is_removed_or_replaced() {
    let dir = Dir::new("scaling-user");
    let run = |output: &str, more: &[&str]| {
        let head = ["scaling", "run", "-o", output, "--ranks", "1", "--repeats", "1"];
        dir.dcomp(&[head.as_slice(), more, &["--launcher", "none", "--", "true"]].concat())
    };
    for (name, text) in
        [("work/thesis.txt", "mine"), ("study.toml", "mine"), ("runs-of-x.jsonl", "mine")]
    {
        let folder = Dir::new("scaling-theirs");
        let path = folder.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        let output = folder.path("").display().to_string();
        for more in [[].as_slice(), &["--force"]] {
            run(&output, more).fails(2).says("holds other files and no study of dcomp");
        }
        assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
        assert_eq!(folder.names().len(), 1, "{:?}", folder.names());
    }
    // An empty directory is as good as none; what follows is ours.
    std::fs::create_dir(dir.path("new")).unwrap();
    run("new", &[]).ok();
    run("new", &["--force"]).ok();
    assert_eq!(runs(&dir, "new/runs.jsonl").len(), 2);
    // A folder that merely has a file of the report's name is no report.
    std::fs::create_dir_all(dir.path("fake")).unwrap();
    dir.write("fake/report.json", "{}");
    dir.write("t.csv", TABLE);
    let words = ["scaling", "report", "--from-csv", "t.csv", "-o", "fake", "--force"];
    dir.dcomp(&words).fails(2).says("is no report of dcomp");
    // A line that lacks only its end is kept.
    let text = String::from_utf8(dir.read("new/runs.jsonl")).unwrap();
    dir.write("new/runs.jsonl", text.trim_end());
    run("new", &[]).ok();
    assert_eq!(String::from_utf8(dir.read("new/runs.jsonl")).unwrap(), text);
}

/// A mistake in the words is mended by the right words, without --force: nothing was run yet.
#[test]
fn a_refused_study_is_mended_by_the_right_words() {
    let dir = Dir::new("scaling-mend");
    let head = [
        "scaling",
        "run",
        "-o",
        "s",
        "--ranks",
        "1",
        "--repeats",
        "1",
        "--",
        "dcomp",
        "mandelbrot",
    ];
    dir.dcomp(&[head.as_slice(), &["-W", "0"]].concat()).fails(2).says("a picture needs at least");
    dir.dcomp(&[head.as_slice(), &["-W", "64"]].concat()).ok();
    let own = [head.as_slice(), &["-o", "x.png"]].concat();
    dir.dcomp(&own).fails(2).says("leave -o out");
}

#[test]
fn runs_that_would_disturb_each_other_are_refused() {
    let dir = Dir::new("scaling-alone");
    let words = [
        "scaling",
        "run",
        "-o",
        "s",
        "--ranks",
        "1",
        "--repeats",
        "50",
        "--launcher",
        "none",
        "--",
    ];
    let command = [words.as_slice(), &["sh", "-c", "sleep 1.5 & sleep 0.4"]].concat();
    let mut child = dir.dcomp(&command).command().stderr(Stdio::null()).spawn().unwrap();
    let deadline = Instant::now() + Duration::from_secs(30);
    while !dir.path("s/runs.jsonl").exists() {
        assert!(Instant::now() < deadline);
        std::thread::sleep(Duration::from_millis(20));
    }
    dir.dcomp(&command).fails(2).says("another dcomp works in s");
    let anew = ["scaling", "run", "--force"].iter().chain(&command[2..]).copied();
    dir.dcomp(&anew.collect::<Vec<_>>()).fails(2).says("another dcomp works in s");
    assert!(dir.path("s/runs.jsonl").exists(), "its runs are still there");
    // Killed without a warning, it takes its run with it within a moment.
    dir.program("pkill", &["-KILL", "-P", &child.id().to_string()]).ok();
    child.wait().unwrap();
    let again = [words.as_slice(), &["true"]].concat();
    while dir.dcomp(&again).run().stderr.contains("another dcomp works") {
        assert!(Instant::now() < deadline, "an orphan holds the lock");
        std::thread::sleep(Duration::from_millis(100));
    }
    // What a run leaves in its group is ended with it.
    let words =
        ["scaling", "run", "-o", "t", "--ranks", "1", "--repeats", "2", "--launcher", "none", "--"];
    dir.dcomp(&[words.as_slice(), &["sh", "-c", "sleep 91.7 & exit 0"]].concat()).ok();
    assert_eq!(dir.program("pgrep", &["-f", "[s]leep 91.7"]).run().stdout, "");
}

/// A launcher that starts programs which each believe to be alone.
#[test]
fn a_job_on_other_ranks_than_asked_for_is_a_failed_run() {
    let dir = Dir::new("scaling-ranks");
    let words =
        ["scaling", "run", "-o", "s", "--ranks", "1,2", "--repeats", "2", "--launcher", "none"];
    let command = ["--", "dcomp", "mandelbrot", "-W", "64", "--threads", "1"];
    dir.dcomp(&[words.as_slice(), &command].concat()).fails(1).says("it ran on 1 ranks, not 2");
}

/// A study that was stopped while it warmed up goes on by the same command.
#[test]
fn a_study_stopped_in_its_warm_up_goes_on() {
    let dir = Dir::new("scaling-warm");
    let words = [
        "scaling",
        "run",
        "-o",
        "s",
        "--ranks",
        "1",
        "--repeats",
        "1",
        "--",
        "dcomp",
        "mandelbrot",
    ];
    let run = dir.dcomp(&[words.as_slice(), &["-W", "64"]].concat());
    std::fs::create_dir_all(dir.path("s/work")).unwrap();
    dir.write("s/study.toml", "# Made by dcomp scaling: everything in this directory belongs to it.\n\
        name = \"mandelbrot\"\ncommand = [\"dcomp\", \"mandelbrot\", \"-W\", \"64\"]\nranks = [1]\n");
    dir.write("s/work/output", "half");
    run.ok();
    assert_eq!(runs(&dir, "s/runs.jsonl").len(), 2);
}

/// Runs that come in by two ways count once; a table of runs keeps what speaks against them.
#[test]
fn runs_count_once_and_tables_keep_their_warnings() {
    let dir = Dir::new("scaling-once");
    let words =
        ["scaling", "run", "-o", "s", "--ranks", "1,2,400", "--repeats", "2", "--launcher", "none"];
    dir.dcomp(&[words.as_slice(), &["--", "#x", "true"]].concat())
        .fails(2)
        .says("cannot start '#x'");
    dir.dcomp(&[words.as_slice(), &["--name", "#x", "--force", "--", "true"]].concat()).ok();
    std::fs::copy(dir.path("s/runs.jsonl"), dir.path("copy.jsonl")).unwrap();
    let done = dir.dcomp(&["scaling", "report", "s", "s/runs.jsonl", "copy.jsonl", "-o", "r"]).ok();
    assert!(done.stdout.contains("were given twice and count once"), "{}", done.stdout);
    let report = dir.json("r/report.json");
    assert_eq!(report["series"][0]["rows"][0]["repeats"], 2);
    let words = ["scaling", "report", "--from-csv", "r/runs.csv", "-o", "t", "--publish"];
    dir.dcomp(&words).fails(1).says("more ranks than cores at 400 ranks");
    dir.dcomp(&words[..6]).ok();
    assert_eq!(dir.json("t/report.json")["series"][0]["rows"].as_array().unwrap().len(), 3);
}
