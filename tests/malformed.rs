//! Inputs that are not what they should be, made from a seed: each is refused by a sentence, with the right
//! exit code, at once, without a panic, and nothing half made stays.
//!
//! What is still sound after a change may succeed; then its output is verified. `DCOMP_TEST_SEED=N` replays.

mod checkpoint;
mod forge;
mod lines;
pub mod mutate;

use std::collections::BTreeSet;
use std::ffi::OsString;

use crate::chance::{Chance, Ended, dcomp, patience, words};
use crate::util::Dir;

/// A run that is given something strange.
pub struct Case {
    /// What was changed, for the message of a failure.
    pub label: String,
    pub words: Vec<OsString>,
    pub variables: Vec<(OsString, OsString)>,
    /// Whether a changed output is what is looked for, which is no bad input but a verdict.
    pub verdict: bool,
}

impl Case {
    fn new(label: impl Into<String>, line: &[&str]) -> Self {
        Self { label: label.into(), words: words(line), variables: Vec::new(), verdict: false }
    }

    fn verdict(self) -> Self {
        Self { verdict: true, ..self }
    }
}

/// Kinds of cases, drawn in turn.
type Kind = fn(&mut Chance, &Sound) -> Case;

const KINDS: [Kind; 17] = [
    deck,
    deck_of_numbers,
    deck_of_a_sort,
    numbers,
    bare_keys,
    records,
    sort_keys,
    picture,
    picture_text,
    grid,
    recolored,
    dataset,
    run_record,
    record_for_rerun,
    study_lines,
    table,
    lines::any,
];

/// Sound inputs, from which all others are made.
pub struct Sound {
    dir: Dir,
}

impl Sound {
    fn new(name: &str) -> Self {
        let dir = Dir::new(name);
        for line in [
            &["mandelbrot", "-W", "40", "-H", "30", "-n", "60", "-o", "a.png", "--hdf5", "a.h5"][..],
            &["generate", "numbers", "--files", "1", "--packed", "-o", "numbers.txt"],
            &["generate", "keys", "--count", "200", "-o", "keys.bin"],
            &["generate", "records", "--count", "30", "-o", "records.dat"],
            &["counter-sort", "numbers.txt", "-o", "sorted.txt", "--counts", "counts.csv"],
            &["counter-sort", "numbers.txt", "-o", "sorted.h5", "--output-format", "hdf5"],
            &["mergesort", "keys.bin", "--type", "u64", "-o", "keys.h5"],
            &["mergesort", "records.dat", "--type", "record:100:10", "-o", "records.sorted"],
        ] {
            dir.dcomp(&[line, &["-q"]].concat()).ok();
        }
        let sample = "{\"schema\":\"dcomp-sample/1\",\"series\":\"s\",\"ranks\":2}\n";
        let record = dir.json("a.png.json");
        dir.write("runs.jsonl", &format!("{record}\n{record}\n{sample}"));
        dir.write("table.csv", "mode,ranks,wall_s\nstrong,1,10.5\nstrong,2,5.5\nstrong,4,3.25\n");
        Self { dir }
    }

    fn text(&self, name: &str) -> String {
        String::from_utf8(self.dir.read(name)).unwrap()
    }

    /// A changed file under this name.
    fn put(&self, name: &str, bytes: &[u8]) {
        std::fs::write(self.dir.path(name), bytes).unwrap();
    }
}

fn deck(chance: &mut Chance, sound: &Sound) -> Case {
    let text = "job = \"mandelbrot\"\nwidth = 64\nheight = 48\nmax_iterations = 1000\n\
                region = [-2.5, 1.0, -1.0, 1.0]\npalette = \"classic\"\ndepth = 8\n\
                schedule = \"dynamic\"\nkernel = \"auto\"\nseed = 1\nthreads = 2\n";
    sound.put("x.toml", &mutate::text(chance, text));
    let small = ["run", "x.toml", "-o", "out", "-W", "9", "-H", "7", "-n", "20"];
    if chance.one_in(2) {
        Case::new("deck", &small)
    } else {
        Case::new("deck", &["run", "x.toml", "--dry-run"])
    }
}

fn deck_of_numbers(chance: &mut Chance, sound: &Sound) -> Case {
    let text = "job = \"generate-numbers\"\npacked = true\nfiles = 3\nper_file = 10\nmin = 1\n\
                max = 100\npattern = \"uniform\"\ndirty = 0.25\nseed = 1\n";
    sound.put("x.toml", &mutate::text(chance, text));
    let line = ["run", "x.toml", "-o", "out", "--files", "2", "--per-file", "5"];
    Case::new("deck of numbers", &line)
}

fn deck_of_a_sort(chance: &mut Chance, sound: &Sound) -> Case {
    let text = "job = \"mergesort\"\ninput = [\"numbers.txt\"]\ntype = \"lines\"\nnumeric = true\n\
                key = [\"1,1n\", \"1.2b\"]\nseparator = \",\"\nmemory = \"64M\"\nstable = false\n";
    sound.put("x.toml", &mutate::text(chance, text));
    Case::new("deck of a sort", &["run", "x.toml", "-o", "out"])
}

fn numbers(chance: &mut Chance, sound: &Sound) -> Case {
    sound.put("x.txt", &mutate::text(chance, &sound.text("numbers.txt")));
    let forms = ["text", "i64", "hdf5"];
    let form = forms[chance.below(3)];
    Case::new("numbers", &["counter-sort", "x.txt", "-o", "out", "--output-format", form])
}

fn bare_keys(chance: &mut Chance, sound: &Sound) -> Case {
    sound.put("x.bin", &mutate::bytes(chance, &sound.dir.read("keys.bin")));
    let types = ["u32", "u64", "i32", "i64", "f32", "f64", "lines"];
    let kind = types[chance.below(types.len())];
    Case::new("keys", &["mergesort", "x.bin", "--type", kind, "-o", "out"])
}

fn records(chance: &mut Chance, sound: &Sound) -> Case {
    sound.put("x.dat", &mutate::bytes(chance, &sound.dir.read("records.dat")));
    Case::new("records", &["mergesort", "x.dat", "--type", "record:100:10", "-o", "out"])
}

fn sort_keys(chance: &mut Chance, sound: &Sound) -> Case {
    sound.put("x.txt", b"b,2\na,1\n");
    let key = mutate::text(chance, "2.3nb,4.5r");
    let key = String::from_utf8_lossy(&key).replace('\0', "");
    let separator = chance.pick(&mutate::NASTY).replace('\0', "");
    let line = ["mergesort", "x.txt", "-o", "out", "-t", &separator, "-k", &key];
    Case::new(format!("--key {key:?}"), &line)
}

fn picture(chance: &mut Chance, sound: &Sound) -> Case {
    let whole = sound.dir.read("a.png");
    let changed =
        if chance.one_in(2) { mutate::bytes(chance, &whole) } else { mutate::png(chance, &whole) };
    sound.put("x.png", &changed);
    let lines: [&[&str]; 3] = [
        &["verify", "x.png"],
        &["verify", "x.png", "--record", "a.png.json"],
        &["rerun", "x.png", "--dry-run"],
    ];
    let at = chance.below(3);
    Case::new("picture", lines[at]).verdict()
}

fn picture_text(chance: &mut Chance, sound: &Sound) -> Case {
    sound.put("x.png", &mutate::png_text(chance, &sound.dir.read("a.png")));
    Case::new("text of a picture", &["rerun", "x.png", "--dry-run"])
}

fn grid(chance: &mut Chance, sound: &Sound) -> Case {
    sound.put("x.h5", &mutate::hdf5(chance, &sound.dir.read("a.h5")));
    let lines: [&[&str]; 3] = [
        &["verify", "x.h5"],
        &["verify", "x.h5", "--record", "a.png.json"],
        &["rerun", "x.h5", "--dry-run"],
    ];
    let at = chance.below(3);
    Case::new("grid", lines[at]).verdict()
}

fn recolored(chance: &mut Chance, sound: &Sound) -> Case {
    sound.put("x.h5", &mutate::hdf5(chance, &sound.dir.read("a.h5")));
    Case::new("grid", &["recolor", "x.h5", "-o", "out", "--palette", "histogram"])
}

fn dataset(chance: &mut Chance, sound: &Sound) -> Case {
    let sorted = chance.one_in(2);
    let whole = sound.dir.read(if sorted { "sorted.h5" } else { "keys.h5" });
    sound.put("x.h5", &mutate::hdf5(chance, &whole));
    match (sorted, chance.below(2)) {
        (true, _) => Case::new("dataset", &["verify", "x.h5"]).verdict(),
        (false, 0) => Case::new("dataset", &["verify", "x.h5:/keys", "--type", "auto"]).verdict(),
        (false, _) => Case::new("dataset", &["mergesort", "x.h5:/keys", "-o", "out"]),
    }
}

const RECORDS: [(&str, &str); 7] = [
    ("a.png", "a.png.json"),
    ("a.h5", "a.png.json"),
    ("sorted.txt", "sorted.txt.json"),
    ("counts.csv", "sorted.txt.json"),
    ("records.sorted", "records.sorted.json"),
    ("keys.bin", "keys.bin.json"),
    ("numbers.txt", "numbers.txt.json"),
];

fn changed_record(chance: &mut Chance, sound: &Sound) -> &'static str {
    let (file, record) = RECORDS[chance.below(RECORDS.len())];
    let mut value = sound.dir.json(record);
    // What decides something: the rest of a record is long, and read by nobody here.
    value.as_object_mut().unwrap().retain(|key, _| {
        ["schema", "job", "outcome", "spec", "input", "result", "outputs", "program"]
            .contains(&&**key)
    });
    sound.put("x.json", &mutate::json(chance, &value));
    file
}

fn run_record(chance: &mut Chance, sound: &Sound) -> Case {
    let file = changed_record(chance, sound);
    Case::new("record", &["verify", file, "--record", "x.json"]).verdict()
}

fn record_for_rerun(chance: &mut Chance, sound: &Sound) -> Case {
    let file = changed_record(chance, sound);
    Case::new("record", &["rerun", file, "--from", "x.json", "--dry-run", "-o", "out"])
}

fn study_lines(chance: &mut Chance, sound: &Sound) -> Case {
    let text = sound.text("runs.jsonl");
    let (first, rest) = text.split_once('\n').unwrap();
    let value = serde_json::from_str(first).unwrap();
    let changed =
        if chance.one_in(2) { mutate::json(chance, &value) } else { mutate::text(chance, first) };
    sound.put("x.jsonl", &[&changed, &b"\n"[..], rest.as_bytes()].concat());
    Case::new("lines of a study", &["scaling", "compare", "table.csv", "x.jsonl"])
}

fn table(chance: &mut Chance, sound: &Sound) -> Case {
    sound.put("x.csv", &mutate::text(chance, &sound.text("table.csv")));
    Case::new("table", &["scaling", "compare", "x.csv", "table.csv"])
}

/// The line that tells: dcomp's own, or that of the parser of its command line.
fn told(ended: &Ended) -> bool {
    let lines: Vec<&str> = ended
        .stderr
        .lines()
        .filter(|line| line.starts_with("dcomp: ") || line.starts_with("error:"))
        .collect();
    lines.len() == 1 && lines[0].len() > 20 && !ended.stderr.contains("panicked")
}

/// Runs a case and says what is wrong with how it ended.
fn judge(sound: &Sound, case: &Case) -> Option<String> {
    let dir = &sound.dir;
    let before: BTreeSet<String> = dir.names().into_iter().collect();
    let run = || dcomp(&dir.path(""), &case.words, &case.variables);
    let mut ended = run();
    for _ in 0..4 {
        // A machine that is shared may have been busy; what is slow stays slow.
        if ended.code != 0 && ended.took_s > patience().as_secs_f64() {
            ended = run();
        }
    }
    let left: Vec<String> = dir.names().into_iter().filter(|name| !before.contains(name)).collect();
    let new = |name: &str| left.iter().any(|left| left == name);
    let known = ["out", "out.json", "out.planted.csv"];
    let problem = if let Some(odd) = left.iter().find(|name| !known.contains(&name.as_str())) {
        Some(format!("left {odd}"))
    } else if ended.code == 0 {
        let verified = new("out").then(|| dcomp(&dir.path(""), &words(&["verify", "out"]), &[]));
        verified
            .filter(|verified| verified.code != 0)
            .map(|how| format!("an output that is not sound: {how:#?}"))
    } else if ended.code != 65
        && ended.code != 2
        && ended.code != 74
        && !(case.verdict && ended.code == 1)
    {
        Some("the exit code".into())
    } else if new("out") {
        Some("an output of a run that failed".into())
    } else if !told(&ended) {
        Some("no sentence".into())
    } else {
        (ended.took_s > patience().as_secs_f64()).then(|| format!("{:.2} s", ended.took_s))
    };
    for name in &left {
        let path = dir.path(name);
        if path.is_dir() {
            std::fs::remove_dir_all(path).ok()
        } else {
            std::fs::remove_file(path).ok()
        };
    }
    problem.map(|problem| format!("{problem}\n{}: {:?}\n{ended:#?}", case.label, case.words))
}

fn all_are_refused(name: &str, seed: u64, count: usize) {
    let sound = Sound::new(name);
    let mut chance = Chance::new(name, seed);
    let mut problems = Vec::new();
    for (number, kind) in (0..count).zip(KINDS.iter().cycle()) {
        let case = kind(&mut chance, &sound);
        problems.extend(judge(&sound, &case).map(|problem| format!("case {number}: {problem}")));
        if problems.len() >= 20 {
            break;
        }
    }
    assert!(problems.is_empty(), "{} problems:\n{}", problems.len(), problems.join("\n\n"));
}

#[test]
fn malformed_inputs_are_refused() {
    all_are_refused("malformed", 11, 255);
}

/// For `make campaign`: some thousand.
#[test]
#[ignore = "takes minutes"]
fn thousands_of_malformed_inputs_are_refused() {
    all_are_refused("malformed-campaign", 12, 3400);
}
