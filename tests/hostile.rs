//! Names that were chosen to be misread: blanks, new lines, quotes, substitutions, dashes in front, no UTF-8,
//! 255 bytes. As inputs and outputs of every job and through the batch scripts, none is executed and each
//! names its own file.

#![allow(clippy::unnecessary_debug_formatting, reason = "what is odd in a name must be seen")]

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use crate::chance::{Chance, Ended, dcomp, words};
use crate::util::Dir;

/// What names are made of. Whatever executes one leaves the file `harm`.
const PIECES: [&[u8]; 26] = [
    b" ",
    b"  a  ",
    b"\n",
    b"\t",
    b"'",
    b"\"",
    b"`touch harm`",
    b"$(touch harm)",
    b"; touch harm;",
    b"| touch harm",
    b"&& touch harm ",
    b"> harm",
    b"*",
    b"?[a-z]",
    b"{a,b}",
    b"$HOME",
    b"~",
    b"\\",
    b"%s%n",
    b"#",
    b"!",
    b"--force",
    b"\x1b[31m",
    b"\xc3\xa9\xe2\x80\xae",
    b"\xff\xfe",
    b"dcomp: all is well",
];

/// A name of at most 255 bytes.
fn name(chance: &mut Chance) -> OsString {
    let mut name = Vec::new();
    if chance.one_in(5) {
        name.push(b'-');
    }
    for _ in 0..=chance.below(4) {
        name.extend(PIECES[chance.below(PIECES.len())]);
    }
    if chance.one_in(8) {
        name.resize(255, b'x');
    }
    OsString::from_vec(name)
}

/// Names of a directory, as they are.
fn names(dir: &Path) -> Vec<OsString> {
    let mut names: Vec<OsString> =
        std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    names
}

/// The name with something behind it.
fn with(name: &OsStr, ending: &str) -> OsString {
    let mut name = name.to_owned();
    name.push(ending);
    name
}

/// `--flag=name`, which works for names that begin with a dash, too.
fn flag(flag: &str, name: &OsStr) -> OsString {
    let mut word = OsString::from(flag);
    word.push("=");
    word.push(name);
    word
}

fn run(dir: &Dir, line: &[&str], last: &[OsString]) -> Ended {
    dcomp(&dir.path(""), &[words(line), last.to_vec()].concat(), &[])
}

/// Text as a path takes part in decks and records, so others are refused; so are names that leave no room
/// for those of part file and record.
fn taken(name: &OsStr) -> bool {
    name.to_str().is_some() && name.len() < 200
}

/// A job writes under this name, and what it wrote is verified and made again.
fn as_output(chance: &mut Chance, name: &OsStr) {
    let dir = Dir::new("hostile-output");
    let lines: [&[&str]; 4] = [
        &["mandelbrot", "-W", "9", "-H", "5", "-q"],
        &["generate", "keys", "--count", "50", "-q"],
        &["generate", "numbers", "--files", "2", "--per-file", "3", "-q"],
        &["mergesort", "--generate", "uniform", "--count", "50", "-q"],
    ];
    let line = lines[chance.below(lines.len())];
    let made = run(&dir, line, &[flag("--output", name)]);
    if !taken(name) {
        assert!(matches!(made.code, 2 | 74), "{name:?}: {made:#?}");
        assert!(names(&dir.path("")).is_empty(), "{name:?}");
        return;
    }
    assert_eq!(made.code, 0, "{name:?}: {made:#?}");
    let verified = run(&dir, &["verify", "--"], &[name.to_owned()]);
    assert_eq!(verified.code, 0, "{name:?}: {verified:#?}");
    let again = run(&dir, &["rerun", "-q", "-o", "again", "--"], &[name.to_owned()]);
    assert_eq!(again.code, 0, "{name:?}: {again:#?}");
    let mut expected =
        vec![name.to_owned(), with(name, ".json"), "again".into(), "again.json".into()];
    expected.sort();
    assert_eq!(names(&dir.path("")), expected, "{line:?}");
}

/// A job reads a file of this name, or a directory with such a file in it.
fn as_input(chance: &mut Chance, name: &OsStr) {
    let dir = Dir::new("hostile-input");
    let inside = chance.one_in(2);
    std::fs::create_dir(dir.path("in")).unwrap();
    let place = dir.path(if inside { "in" } else { "" }).join(name);
    std::fs::write(place, "2\n1\n").unwrap();
    let input = if inside { OsString::from("in") } else { name.to_owned() };
    let job = if inside || chance.one_in(2) { "counter-sort" } else { "mergesort" };
    let sorted = run(&dir, &[job, "-q", "-o", "out", "--"], &[input]);
    if !inside && name.to_str().is_none() {
        assert_eq!(sorted.code, 2, "{name:?}: {sorted:#?}");
        return;
    }
    assert_eq!(sorted.code, 0, "{name:?}: {sorted:#?}");
    assert_eq!(dir.read("out"), b"1\n2\n");
    let mut expected = vec![OsString::from("in"), "out".into(), "out.json".into()];
    expected.extend((!inside).then(|| name.to_owned()));
    expected.sort();
    assert_eq!(names(&dir.path("")), expected);
}

/// A message that names the file is one line, in which nothing can be taken for another message.
fn as_mistake(name: &OsStr) {
    let dir = Dir::new("hostile-mistake");
    for line in [&["verify", "--"][..], &["counter-sort", "-o", "out", "--"], &["rerun", "--"]] {
        let failed = run(&dir, line, &[name.to_owned()]);
        assert!(matches!(failed.code, 2 | 65 | 74), "{name:?}: {failed:#?}");
        let own = failed.stderr.lines().filter(|line| line.starts_with("dcomp: ")).count();
        let parser = failed.stderr.starts_with("error:");
        assert!(own == 1 || parser, "{name:?}: {failed:#?}");
        assert!(parser || !failed.stderr.contains('\u{1b}'), "{name:?}: {failed:#?}");
    }
    dir.program("bash", &["-c", "rm -f out.json"]).ok();
    assert!(names(&dir.path("")).is_empty(), "{name:?}");
}

/// A script hands its words over as they are.
fn through_a_script(chance: &mut Chance, name: &OsStr) {
    let dir = Dir::new("hostile-script");
    let script = chance.pick(&["run", "mandelbrot", "counter-sort", "mergesort", "generate"]);
    std::fs::create_dir(dir.path("bin")).unwrap();
    dir.write("bin/srun", "#!/bin/bash\nprintf '%s\\0' \"$@\" > words\n");
    std::fs::set_permissions(dir.path("bin/srun"), std::fs::Permissions::from_mode(0o755)).unwrap();
    let root = env!("CARGO_MANIFEST_DIR");
    let path = format!("{}:{}", dir.path("bin").display(), std::env::var("PATH").unwrap());
    let done = Command::new("bash")
        .arg(format!("{root}/slurm/{script}.sbatch"))
        .args([name, OsStr::new("--output"), name])
        .current_dir(dir.path(""))
        .envs([("PATH", path.as_str()), ("DCOMP_HOME", root), ("DCOMP", "a dcomp")])
        .envs([("SLURM_CPUS_PER_TASK", "1"), ("SLURM_JOB_NUM_NODES", "2")])
        .envs([("SLURM_NTASKS_PER_NODE", "3"), ("SLURM_SUBMIT_DIR", ".")])
        .output()
        .unwrap();
    assert!(done.status.success(), "{script} {name:?}: {done:?}");
    let told = dir.read("words");
    let told: Vec<&[u8]> = told.split(|&byte| byte == 0).collect();
    let dash = name.as_bytes().starts_with(b"-");
    let deck = [if dash { &b"./"[..] } else { b"" }, name.as_bytes()].concat();
    let expected: [&[u8]; 6] = [b"a dcomp", b"run", &deck, b"--output", name.as_bytes(), b""];
    assert!(told.ends_with(&expected), "{script} {name:?}: {told:?}");
    assert_eq!(names(&dir.path("")), ["bin", "words"], "{script} {name:?}");
}

fn none_is_misread(test: &str, seed: u64, count: usize) {
    let mut chance = Chance::new(test, seed);
    for number in 0..count {
        let name = name(&mut chance);
        match number % 4 {
            0 => as_output(&mut chance, &name),
            1 => as_input(&mut chance, &name),
            2 => as_mistake(&name),
            _ => through_a_script(&mut chance, &name),
        }
    }
}

#[test]
fn hostile_names_are_names() {
    none_is_misread("hostile", 21, 60);
}

/// For `make campaign`.
#[test]
#[ignore = "takes minutes"]
fn hundreds_of_hostile_names_are_names() {
    none_is_misread("hostile-campaign", 22, 600);
}
