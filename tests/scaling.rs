//! `dcomp scaling` as a user has it: real series, real reports, every way to go wrong.

use std::process::Stdio;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::util::Dir;

/// The lines of a file of runs.
pub fn runs(dir: &Dir, file: &str) -> Vec<Value> {
    let text = String::from_utf8(dir.read(file)).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn repeats(runs: &[Value], ranks: u64) -> Vec<u64> {
    let of = runs.iter().filter(|run| run["ranks"] == ranks);
    of.map(|run| run["repeat"].as_u64().unwrap()).collect()
}

/// Picks what is run: a small picture at 1 and 2 ranks.
const SMALL: [&str; 15] = [
    "scaling",
    "run",
    "-o",
    "s",
    "--ranks",
    "1,2",
    "--repeats",
    "3",
    "--",
    "dcomp",
    "mandelbrot",
    "-W",
    "128",
    "-n",
    "200",
];

#[test]
fn a_series_of_a_job_is_measured_continued_and_reported() {
    let dir = Dir::new("scaling-job");
    dir.dcomp(&SMALL).ok();
    let lines = runs(&dir, "s/runs.jsonl");
    assert_eq!((repeats(&lines, 1), repeats(&lines, 2)), (vec![0, 1, 2, 3], vec![0, 1, 2, 3]));
    for run in &lines {
        assert_eq!(run["outcome"], "ok");
        assert_eq!(run["record"]["outcome"], "ok", "no verdict, no number");
        assert_eq!(run["value"], run["record"]["runtime_s"]);
        assert!(run["process_s"].as_f64() > run["value"].as_f64(), "{run}");
        let iterations = run["record"]["result"]["iterations_total"].as_f64();
        assert_eq!(run["work"].as_f64(), iterations);
    }
    assert_eq!(dir.names(), ["s"], "outputs of measured runs stay nowhere");
    // Two runs are lost and a third is cut off, as after a crash: the same command mends it.
    let text = String::from_utf8(dir.read("s/runs.jsonl")).unwrap();
    let kept: Vec<&str> = text.lines().take(5).collect();
    dir.write("s/runs.jsonl", &format!("{}\n{}", kept.join("\n"), &text[..100]));
    dir.dcomp(&SMALL).ok().says("going on");
    let lines = runs(&dir, "s/runs.jsonl");
    for ranks in [1, 2] {
        let mut counted = repeats(&lines, ranks);
        counted.retain(|repeat| *repeat > 0);
        counted.sort_unstable();
        assert_eq!(counted, [1, 2, 3]);
    }
    // Complete: nothing is run again.
    let before = dir.read("s/runs.jsonl");
    dir.dcomp(&SMALL).ok();
    assert_eq!(dir.read("s/runs.jsonl"), before);
    // Other limits are the same study; another command is not.
    let mut other = SMALL.to_vec();
    other.extend(["-H", "99"]);
    dir.dcomp(&other).fails(2).says("its command is dcomp mandelbrot -W 128 -n 200, not");
    assert_eq!(dir.read("s/runs.jsonl"), before);
    let report = dir.dcomp(&["scaling", "report", "s"]).ok();
    assert!(report.stdout.contains("relative to 1 rank:"), "{}", report.stdout);
    assert!(report.stdout.contains("warning: mandelbrot: 2 sizes measured"), "{}", report.stdout);
    let report = dir.json("report/report.json");
    assert_eq!(report["publishable"], false);
    let row = &report["series"][0]["rows"][1];
    let factor = |name: &str| row[name].as_f64().unwrap();
    let product = factor("load_balance") * factor("communication_efficiency");
    assert!((factor("parallel_efficiency") / product - 1.0).abs() < 1e-12, "{row}");
}

/// The rounds are in random order: 2 ranks are not always after 1.
#[test]
fn sizes_take_turns_in_random_order() {
    let dir = Dir::new("scaling-order");
    let words =
        ["scaling", "run", "-o", "s", "--ranks", "1,2,3", "--repeats", "6", "--warmup", "0"];
    let command = ["--launcher", "none", "--", "true"];
    dir.dcomp(&[words.as_slice(), &command].concat()).ok();
    let lines = runs(&dir, "s/runs.jsonl");
    let ranks: Vec<u64> = lines.iter().map(|run| run["ranks"].as_u64().unwrap()).collect();
    let rounds: Vec<&[u64]> = ranks.chunks(3).collect();
    for round in &rounds {
        let mut sorted = round.to_vec();
        sorted.sort_unstable();
        assert_eq!(sorted, [1, 2, 3], "{ranks:?}");
    }
    assert!(rounds.iter().any(|round| *round != rounds[0]), "{ranks:?}");
    assert_eq!(lines[0]["timing"], "process");
}

#[test]
fn any_program_is_measured_by_its_time_or_by_what_it_prints() {
    let dir = Dir::new("scaling-any");
    let run = |name: &str, words: &[&str]| {
        let head = ["scaling", "run", "-o", name, "--ranks", "1,2", "--repeats", "2"];
        dir.dcomp(&[head.as_slice(), words].concat()).ok();
        runs(&dir, &format!("{name}/runs.jsonl"))
    };
    let slept = run("slept", &["--", "mpirun", "-n", "{ranks}", "sleep", "0.2"]);
    let value = slept[0]["value"].as_f64().unwrap();
    assert!((0.2..20.0).contains(&value) && slept[0]["series"] == "sleep", "{}", slept[0]);
    let script = "echo 'rate: 1'; echo \"rate: {ranks}0.5 GB/s\"";
    let words = ["--extract", "rate: ([0-9.]+)", "--rate", "--launcher", "none", "--"];
    let rates = run("rate", &[words.as_slice(), &["sh", "-c", script]].concat());
    let last = rates.iter().find(|run| run["ranks"] == 2).unwrap();
    assert_eq!((&last["value"], &last["metric"]), (&20.5.into(), &"throughput".into()), "{last}");
    // The launcher in front when the command does not place its ranks.
    let placed = run("placed", &["--", "true"]);
    assert_eq!(placed[0]["command"][0], "mpirun");
}

#[test]
fn runs_that_fail_hang_or_say_nothing_are_kept_and_told() {
    let dir = Dir::new("scaling-fail");
    let fails = |name: &str, words: &[&str], code: i32, says: &str| {
        let head = ["scaling", "run", "-o", name, "--ranks", "1,2", "--repeats", "2"];
        dir.dcomp(&[head.as_slice(), words].concat()).fails(code).says(says);
    };
    let plain = ["--launcher", "none"];
    let with = |words: &[&'static str]| -> Vec<&'static str> { [plain.as_slice(), words].concat() };
    let script = "exit $(({ranks} - 1))";
    fails("half", &with(&["--", "sh", "-c", script]), 1, "there are too few at 2 ranks");
    let lines = runs(&dir, "half/runs.jsonl");
    assert_eq!(
        lines.iter().filter(|run| run["outcome"] == "failed").count(),
        2,
        "given up after 2"
    );
    assert_eq!(repeats(&lines, 1), [0, 1, 2]);
    fails("hang", &with(&["--timeout", "1s", "--", "sleep", "77.5"]), 1, "longer than 1s");
    let left = dir.program("pgrep", &["-f", "[s]leep 77.5"]).run();
    assert_eq!(left.stdout, "", "what hung is gone");
    let words = with(&["--extract", "t=([0-9]+)", "--", "echo", "time 3"]);
    fails("silent", &words, 1, "nothing it printed matches t=([0-9]+)");
    assert_eq!(runs(&dir, "silent/runs.jsonl")[0]["outcome"], "no-match");
    fails("zero", &with(&["--extract", "[0-9]+", "--", "echo", "0"]), 1, "the value is 0");
    fails("none", &with(&["--", "./no-such-program"]), 2, "cannot start ./no-such-program");
    fails("word", &with(&["--", "echo", "{rank}"]), 2, "{rank} is not known");
    fails("flag", &["--", "dcomp", "mandelbrot", "-W", "0"], 2, "a picture needs at least 1 pixel");
    fails("prep", &["--prepare", "false", "--", "true"], 65, "the preparation for");
    // What is left of a study with a failed size still makes a report, which says so.
    let report = dir.dcomp(&["scaling", "report", "half"]).ok();
    assert!(report.stdout.contains("warning: sh: 2 runs failed (at 2 ranks"), "{}", report.stdout);
    dir.dcomp(&["scaling", "report", "hang", "-o", "r"]).fails(65).says("no run gave a time");
    assert!(!dir.path("r").exists());
}

/// More ranks than the launcher gives: its own words are passed on.
#[test]
fn ranks_beyond_the_slots_are_a_failed_run() {
    let dir = Dir::new("scaling-slots");
    let words = ["scaling", "run", "-o", "s", "--ranks", "4096", "--repeats", "1", "--", "true"];
    let done = dir.dcomp(&words).env("OMPI_MCA_rmaps_base_oversubscribe", "0").fails(1);
    assert!(done.stderr.contains("too few at 4096 ranks"), "{}", done.stderr);
    let line = &runs(&dir, "s/runs.jsonl")[0];
    assert_eq!((&line["outcome"], &line["oversubscribed"]), (&"failed".into(), &true.into()));
}

#[test]
fn a_signal_stops_a_study_with_its_runs_kept() {
    for signal in ["TERM", "USR1", "INT"] {
        let dir = Dir::new("scaling-signal");
        let words = ["scaling", "run", "-o", "s", "--ranks", "1", "--repeats", "500"];
        let command = ["--launcher", "none", "--", "sh", "-c", "sleep 0.3; : mark-{repeat}"];
        let run = dir.dcomp(&[words.as_slice(), &command].concat());
        let mut child = run.command().stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let deadline = Instant::now() + Duration::from_secs(30);
        while dir.program("sh", &["-c", "grep -c . s/runs.jsonl"]).run().stdout.trim() < "2" {
            assert!(Instant::now() < deadline, "no runs yet");
            std::thread::sleep(Duration::from_millis(50));
        }
        // The child is `timeout`, whose child is dcomp.
        let parent = child.id().to_string();
        dir.program("pkill", &[&format!("-{signal}"), "-P", &parent]).ok();
        let started = Instant::now();
        let code = child.wait().unwrap().code();
        assert!(started.elapsed() < Duration::from_secs(5), "{signal}");
        assert_eq!(code, Some(75), "{signal}");
        let lines = runs(&dir, "s/runs.jsonl");
        assert!(lines.len() >= 2 && lines.iter().all(|run| run["outcome"] == "ok"));
    }
}

/// Iterations per rank stay, because pixels grow with the ranks over the same region.
#[test]
fn a_weak_series_grows_work() {
    let dir = Dir::new("scaling-weak");
    let words =
        ["scaling", "run", "-o", "s", "--mode", "weak", "--ranks", "1,2,3", "--repeats", "1"];
    let grow = ["--grow", "w=320*sqrt(ranks)", "--grow", "h=240*sqrt(ranks)", "--warmup", "0"];
    let command = ["--", "dcomp", "mandelbrot", "-W", "{w}", "-H", "{h}", "-n", "500"];
    dir.dcomp(&[words.as_slice(), &grow, &command].concat()).ok();
    let lines = runs(&dir, "s/runs.jsonl");
    let per_rank: Vec<f64> = lines
        .iter()
        .map(|run| run["work"].as_f64().unwrap() / run["ranks"].as_f64().unwrap())
        .collect();
    for work in &per_rank {
        assert!((work / per_rank[0] - 1.0).abs() < 0.02, "{per_rank:?}");
    }
}

/// The input of file jobs is made once a size, shared where the words are the same, and taken away.
#[test]
fn inputs_are_prepared_once_and_removed() {
    let dir = Dir::new("scaling-prepare");
    let study = r#"
        command = ["dcomp", "counter-sort", "{scratch}/in"]
        prepare = ["dcomp", "generate", "numbers", "--files", "20", "--output", "{scratch}/in"]
        ranks = [1, 2]
        repeats = 2
        warmup = 0
    "#;
    dir.write("study.toml", study);
    dir.dcomp(&["scaling", "run", "study.toml", "-o", "s"]).ok();
    let lines = runs(&dir, "s/runs.jsonl");
    assert_eq!(lines.len(), 4);
    assert!(lines.iter().all(|run| run["work_unit"] == "bytes" && run["series"] == "study"));
    assert!(!dir.path("s/work").exists());
    dir.dcomp(&["run", "study.toml", "-o", "t"]).fails(2).says("names no job");
    dir.write("named.toml", &format!("job = \"scaling\"\n{study}"));
    dir.dcomp(&["run", "named.toml", "-o", "t"]).ok();
}

pub const TABLE: &str = "mode,ranks,wall_s\nstrong,64,12816.5\nstrong,128,6862\nstrong,256,3665\n\
                     strong,512,1980\nstrong,1024,1060\nstrong,2048,616\nstrong,4096,440\n";

#[test]
fn reports_are_whole_deterministic_and_never_replace_other_things() {
    let dir = Dir::new("scaling-report");
    dir.write("t.csv", TABLE);
    let report = |out: &str, more: &[&str]| {
        let words = ["scaling", "report", "--from-csv", "t.csv", "-o", out];
        dir.dcomp(&[words.as_slice(), more].concat())
    };
    report("a", &[]).ok();
    report("b", &[]).ok();
    let names = |folder: &str| -> Vec<String> {
        let mut names: Vec<String> = std::fs::read_dir(dir.path(folder))
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    };
    let files = names("a");
    assert_eq!(files, names("b"));
    for file in &files {
        let (a, b) = (dir.read(&format!("a/{file}")), dir.read(&format!("b/{file}")));
        assert!(a == b && !a.is_empty(), "{file} differs");
    }
    for needed in [
        "report.html",
        "report.md",
        "report.json",
        "table.csv",
        "table.tex",
        "runs.csv",
        "extrap.jsonl",
    ] {
        assert!(files.iter().any(|file| file == needed), "{needed} in {files:?}");
    }
    // The table of runs goes in again and gives the same report.
    dir.dcomp(&["scaling", "report", "--from-csv", "a/runs.csv", "-o", "c"]).ok();
    assert_eq!(
        dir.json("a/report.json")["series"][0]["rows"],
        dir.json("c/report.json")["series"][0]["rows"]
    );
    let line: Value = serde_json::from_slice(
        dir.read("a/extrap.jsonl").split(|byte| *byte == b'\n').next().unwrap(),
    )
    .unwrap();
    assert_eq!(line["params"]["p"], 64.0);
    assert_eq!((&line["metric"], &line["value"][0]), (&"time".into(), &12816.5.into()));
    report("a", &[]).fails(2).says("is an older report; --force replaces it");
    report("a", &["--force"]).ok();
    dir.write("a/notes.txt", "mine");
    report("a", &["--force"]).fails(2).says("notes.txt");
    assert_eq!(dir.read("a/notes.txt"), b"mine");
    std::fs::create_dir(dir.path("mine")).unwrap();
    dir.write("mine/x", "x");
    report("mine", &["--force"]).fails(2).says("is no report of dcomp");
    report("no/where", &[]).fails(2).says("the directory no is not there");
    assert!(!dir.names().iter().any(|name| name.starts_with('.')), "{:?}", dir.names());
}

#[test]
fn reports_that_have_warnings_are_not_published() {
    let dir = Dir::new("scaling-publish");
    dir.write("good.csv", TABLE);
    dir.write("bad.csv", "mode,ranks,wall_s\nstrong,1,9\nstrong,2,5\n");
    let publish = |table: &str| {
        dir.dcomp(&["scaling", "report", "--from-csv", table, "-o", "r", "--publish"])
    };
    publish("bad.csv").fails(1).says("2 sizes measured");
    assert!(!dir.path("r").exists());
    publish("good.csv").ok();
}

#[test]
fn unreadable_inputs_are_named() {
    let dir = Dir::new("scaling-input");
    dir.write("empty.jsonl", "");
    dir.write("newer.json", "{\"schema\": \"dcomp-run/9\"}");
    std::fs::write(dir.path("raw.jsonl"), [0xff, 0xfe]).unwrap();
    std::fs::create_dir(dir.path("folder")).unwrap();
    for (input, code, says) in [
        ("missing.jsonl", 74, "cannot read missing.jsonl"),
        ("empty.jsonl", 65, "empty.jsonl holds no runs"),
        ("newer.json", 65, "newer.json: schema dcomp-run/9 is newer than this dcomp"),
        ("raw.jsonl", 65, "raw.jsonl is not text"),
        ("folder", 65, "folder holds neither runs.jsonl nor run records"),
    ] {
        dir.dcomp(&["scaling", "report", input]).fails(code).says(says);
    }
    dir.dcomp(&["scaling", "report"]).fails(2);
    dir.dcomp(&["scaling", "report", "x"]).ranks(2).fails(2).says("starts the ranks itself");
}

#[test]
fn comparing_finds_what_got_slower() {
    let dir = Dir::new("scaling-compare");
    let table = |factor: f64| {
        let rows = (0..6).map(|i| format!("strong,4,{}\n", factor * (10.0 + 0.1 * f64::from(i))));
        format!("mode,ranks,wall_s\n{}", rows.collect::<String>())
    };
    dir.write("a.csv", &table(1.0));
    dir.write("b.csv", &table(1.2));
    let compare =
        |more: &[&str]| dir.dcomp(&[&["scaling", "compare", "a.csv", "b.csv"], more].concat());
    let done = compare(&["--json", "c.json"]).ok();
    assert!(done.stdout.contains("1.200") && done.stdout.contains("slower"), "{}", done.stdout);
    let pair = &dir.json("c.json")["pairs"][0];
    assert_eq!(pair["verdict"], "slower");
    compare(&["--fail-if-slower", "5%"]).fails(1).says("slower: table at 4 ranks by 20.0 %");
    compare(&["--fail-if-slower", "25%"]).ok();
    // The medians differ by 20 %, but no interval of six runs lies wholly beyond 19.9 %.
    compare(&["--fail-if-slower", "19.9%"]).ok();
    dir.write("failed.csv", "mode,ranks,wall_s,outcome\nstrong,4,,failed\nstrong,8,1,ok\n");
    let words = ["scaling", "compare", "both.csv", "failed.csv", "--fail-if-slower", "5%"];
    dir.write("both.csv", &format!("{}strong,8,1\n", table(1.0)));
    dir.dcomp(&words).fails(1).says("table at 4 ranks, which only failed");
    compare(&["--fail-if-slower", "x"]).fails(2).says("`x` is no percentage");
    compare(&["--json", "c.json"]).fails(2).says("exists; --force replaces it");
}

#[test]
fn plans_run_nothing_and_scripts_are_sound() {
    let dir = Dir::new("scaling it's $HOME");
    let study = ["--ranks", "1,2,4,8", "--ranks-per-node", "4", "--time-per-run", "36s"];
    let command = ["--", "dcomp", "mandelbrot"];
    let done = dir.dcomp(&[&["scaling", "plan"], study.as_slice(), &command].concat()).ok();
    // 7 runs of 36 s on 1, 1, 1 and 2 nodes: 0.07 x 5 node-hours.
    assert!(done.stdout.contains("at most about 0.350 node-hours"), "{}", done.stdout);
    assert!(done.stdout.contains("mpirun -n 8 dcomp mandelbrot"), "{}", done.stdout);
    let words = [&["scaling", "submit", "--dry-run"], study.as_slice(), &command].concat();
    let done = dir.dcomp(&words).ok();
    assert!(done.stdout.contains("--dependency=afterany:JOB1:JOB2"), "{}", done.stdout);
    assert!(dir.names().is_empty(), "nothing was written");
    for (index, script) in
        done.stdout.split("--- ").filter(|part| part.contains("#!/bin/bash")).enumerate()
    {
        let name = format!("script-{index}");
        dir.write(&name, script.split_once('\n').unwrap().1);
        // A name with $HOME stands in single quotes on purpose.
        dir.program("shellcheck", &["-e", "SC2016", &name]).ok();
    }
    let study_text =
        ["scaling", "submit", "--dry-run", "--ranks", "4", "--time-per-run", "36s", "--", "true"];
    dir.dcomp(&study_text).fails(2).says("say --ranks-per-node");
    dir.write("site.toml", "partition = \"a b\"");
    let words =
        [&["scaling", "submit", "--site", "site.toml"], study.as_slice(), &command].concat();
    dir.dcomp(&words).fails(2).says("has letters that #SBATCH lines would misread");
    // Where there is no Slurm.
    std::os::unix::fs::symlink("/usr/bin/timeout", dir.path("timeout")).unwrap();
    let words = [&["scaling", "submit", "-o", "x"], study.as_slice(), &command].concat();
    let path = dir.path("").display().to_string();
    dir.dcomp(&words).env("PATH", &path).fails(2).says("cannot start sbatch");
    // Nothing was submitted, so the same command is not refused for that.
    dir.dcomp(&words).env("PATH", &path).fails(2).says("cannot start sbatch");
}

/// A planted study (900 s with a serial part of 0.4 % and a cost that grows with the ranks; 60 s with a
/// logarithm), 1.5 % noise: the pages are those that were looked at and kept.
#[test]
fn a_planted_study_gives_the_kept_pages() {
    let dir = Dir::new("scaling-golden");
    let golden = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/scaling");
    let input = golden.join("planted.csv").display().to_string();
    let words = ["scaling", "report", "--from-csv", &input, "-o", "r", "--title", "Planted"];
    dir.dcomp(&words).ok();
    for name in ["report.md", "table.tex", "figure-2-speedup.svg", "figure-7-models-1-solver.svg"] {
        let kept = std::fs::read(golden.join(name)).unwrap_or_default();
        assert!(
            dir.read(&format!("r/{name}")) == kept,
            "{name} is not the kept one; look at {} and, if it is right, copy it to {}",
            dir.path("r").join(name).display(),
            golden.display()
        );
    }
    let kept: Value =
        serde_json::from_slice(&std::fs::read(golden.join("report.json")).unwrap()).unwrap();
    alike(&dir.json("r/report.json"), &kept, "report.json");
}

/// Equal but for the last digits of numbers, which the machine's mathematics library may round its way.
fn alike(one: &Value, other: &Value, place: &str) {
    match (one, other) {
        (Value::Object(one), Value::Object(other)) => {
            assert!(one.keys().eq(other.keys()), "{place}: other fields");
            one.iter()
                .for_each(|(key, value)| alike(value, &other[key], &format!("{place}.{key}")));
        }
        (Value::Array(one), Value::Array(other)) => {
            assert_eq!(one.len(), other.len(), "{place}");
            one.iter()
                .zip(other)
                .enumerate()
                .for_each(|(at, (a, b))| alike(a, b, &format!("{place}[{at}]")));
        }
        (Value::Number(one), Value::Number(other)) => {
            let (one, other) = (one.as_f64().unwrap(), other.as_f64().unwrap());
            assert!(
                (one - other).abs() <= 1e-9 * one.abs().max(other.abs()),
                "{place}: {one} {other}"
            );
        }
        _ => assert_eq!(one, other, "{place}"),
    }
}
