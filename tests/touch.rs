//! Files that others can touch: who may read them, links in their places, two runs at once, what a dead run
//! left.

use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::path::Path;
use std::process::{Child, Stdio};

use nix::sys::signal::Signal;

use crate::util::{Dir, Run, is_root, processes_in, signal_all, wait_for};

const LIMIT_S: u32 = 30;

fn mode(path: &Path) -> u32 {
    std::fs::symlink_metadata(path).unwrap().permissions().mode() & 0o7777
}

fn parts(dir: &Dir) -> Vec<String> {
    dir.names().into_iter().filter(|name| name.ends_with(".part")).collect()
}

/// Starts a run that stalls once its part files are there.
fn stalled(dir: &Dir, run: Run, count: usize) -> Child {
    let before = parts(dir).len();
    let mut command = run.env("DCOMP_FAULT", "stall:0:write").limit_s(LIMIT_S).command();
    let child = command.stderr(Stdio::null()).spawn().unwrap();
    wait_for(LIMIT_S, || (parts(dir).len() == before + count).then_some(()));
    child
}

/// Ends a run without a warning to any of its processes, as a power cut does.
fn cut(dir: &Dir, mut child: Child) {
    let of_timeout = i32::try_from(child.id()).unwrap();
    let launchers =
        std::fs::read_to_string(format!("/proc/{of_timeout}/task/{of_timeout}/children"));
    let launchers = launchers.unwrap_or_default();
    let launchers = launchers.split_whitespace().map(|pid| pid.parse().unwrap());
    let all = processes_in(&dir.path("")).into_iter().chain(launchers);
    signal_all(&all.collect::<Vec<i32>>(), Signal::SIGKILL);
    child.wait().unwrap();
    wait_for(LIMIT_S, || processes_in(&dir.path("")).is_empty().then_some(()));
}

/// What is not done yet is nobody else's; what is done has the modes that the user's mask gives.
#[test]
fn half_made_files_are_private_and_the_mask_counts_at_the_end() {
    let dcomp = env!("CARGO_BIN_EXE_dcomp");
    for (mask, file, directory) in
        [("077", 0o600, 0o700), ("022", 0o644, 0o755), ("000", 0o666, 0o777)]
    {
        for (words, output, count) in [
            ("mandelbrot -W 64 -H 48 --hdf5 raw.h5 -o out", "out", 2),
            ("generate numbers --files 3 -o out", "out", 1),
            ("mergesort --generate uniform --count 999 --parts -o out", "out", 1),
        ] {
            let dir = Dir::new("modes");
            let script = format!("umask {mask}; exec {dcomp} {words} -q");
            let run = || dir.program("bash", &["-c", &script]);
            let child = stalled(&dir, run(), count);
            for part in parts(&dir) {
                let path = dir.path(&part);
                assert_eq!(
                    mode(&path),
                    if path.is_dir() { 0o700 } else { 0o600 },
                    "{part} of {words}"
                );
            }
            cut(&dir, child);
            run().ok();
            let wanted = if dir.path(output).is_dir() { directory } else { file };
            assert_eq!(mode(&dir.path(output)), wanted, "{words} under {mask}");
            assert_eq!(mode(&dir.path("out.json")), file, "{words} under {mask}");
            if dir.path(output).is_dir() {
                for entry in std::fs::read_dir(dir.path(output)).unwrap().flatten() {
                    assert_eq!(mode(&entry.path()), file, "{:?} under {mask}", entry.path());
                }
            }
            assert_eq!(parts(&dir), [""; 0], "what the cut run left");
        }
    }
}

#[test]
fn links_are_replaced_and_never_followed() {
    for (target, ranks) in [("precious", None), ("nowhere", Some(2))] {
        let dir = Dir::new("links");
        dir.write("precious", "precious");
        let words =
            ["mandelbrot", "-W", "64", "-H", "48", "-q", "-o", "out.png", "--hdf5", "raw.h5"];
        for (at, link) in
            ["out.png", "raw.h5", "out.png.json", "out.png.failed.json"].iter().enumerate()
        {
            let target = format!("{target}-{at}");
            if target.starts_with("precious") {
                dir.write(&target, "precious");
            }
            symlink(target, dir.path(link)).unwrap();
        }
        let unchanged = || {
            for name in dir.names().iter().filter(|name| name.starts_with("precious")) {
                assert_eq!(dir.read(name), b"precious");
            }
            assert!(!dir.names().iter().any(|name| name.starts_with("nowhere")));
        };
        dir.dcomp(&words).ranks_or_alone(ranks).fails(2).says("--output out.png exists");
        unchanged();
        let force = [&words[..], &["--force"]].concat();
        // The failure's record has no place: a link that is not ours is there.
        let failing = dir.dcomp(&force).ranks_or_alone(ranks).env("DCOMP_FAULT", "io:0:write");
        failing.fails(74);
        unchanged();
        let told = dir.names().into_iter().filter(|name| name.starts_with("out.png.failed-"));
        assert_eq!(told.count(), 1, "{:?}", dir.names());
        dir.dcomp(&force).ranks_or_alone(ranks).ok();
        unchanged();
        for made in ["out.png", "raw.h5", "out.png.json"] {
            assert!(dir.path(made).symlink_metadata().unwrap().is_file(), "{made}");
        }
        dir.dcomp(&["verify", "out.png"]).ok();
    }
}

/// The next run to the same target removes what is certainly dead, says so, and nothing else.
#[test]
fn what_a_dead_run_left_is_removed_by_the_next() {
    let picture = ["mandelbrot", "-W", "64", "-H", "48", "-q", "-o", "out", "--hdf5", "raw.h5"];
    let numbers = ["generate", "numbers", "--files", "3", "-q", "-o", "out"];
    let sorted =
        ["mergesort", "--generate", "uniform", "--count", "99", "--parts", "-q", "-o", "out"];
    for (words, count) in [(&picture[..], 2), (&numbers, 1), (&sorted, 1)] {
        let dir = Dir::new("leftovers");
        let child = stalled(&dir, dir.dcomp(words).ranks(2), count);
        cut(&dir, child);
        assert_eq!(parts(&dir).len(), count, "{words:?}");
        // Others must stay: that of a living run to the same target, a checkpoint's, somebody else's.
        let dead = parts(&dir);
        let living = stalled(&dir, dir.dcomp(words).ranks(2), 0);
        let mut stay = wait_for(LIMIT_S, || {
            let now = parts(&dir);
            (now.len() == count && !dead.iter().any(|name| now.contains(name))).then_some(now)
        });
        for name in [".out.checkpoint.part", ".other.1-2.part"] {
            dir.write(name, "kept");
            stay.push(name.into());
        }
        if is_root() {
            dir.write(".out.3-4.part", "somebody else's");
            chown(dir.path(".out.3-4.part"), Some(12_345), None).unwrap();
            stay.push(".out.3-4.part".into());
        }
        dir.write(".out.5-6.part", "dead");
        let done = dir.dcomp(words).ok();
        done.says("removed ./.out.5-6.part, which a run left that is no more");
        stay.sort();
        assert_eq!(parts(&dir), stay, "{words:?}");
        cut(&dir, living);
    }
}

/// Two runs to one output at once: the first to finish has it, the other says so, and both are whole.
#[test]
fn two_runs_at_once_never_mix() {
    let dir = Dir::new("twins");
    let words = |count| ["generate", "keys", "--count", count, "-q", "-o", "out"];
    let runs = [words("300000"), words("300001")].map(|words| {
        let nap = if words[3] == "300000" { "nap:0:compute" } else { "none" };
        let mut command = dir.dcomp(&words).ranks(2).env("DCOMP_FAULT", nap).command();
        let child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        // The other one begins when this one has found that there is no output yet.
        wait_for(LIMIT_S, || (words[3] != "300000" || !parts(&dir).is_empty()).then_some(()));
        child
    });
    let done = runs.map(|child| child.wait_with_output().unwrap());
    // As a rule the one that naps; on a busy machine the other one may take longer yet.
    let late = usize::from(!done[1].status.success());
    let told = String::from_utf8_lossy(&done[late].stderr);
    assert_eq!(done[late].status.code(), Some(74), "{told}");
    assert!(told.contains("cannot publish out: File exists"), "{told}");
    assert!(done[1 - late].status.success());
    assert_eq!(dir.read("out").len(), 8 * (300_001 - late));
    dir.dcomp(&["verify", "out"]).ok();
    assert_eq!(dir.names(), ["out", "out.failed.json", "out.json"]);
    // With --force the last one has it.
    let forced = [words("300000"), words("300001")].map(|words| {
        let words = [&words[..], &["--force"]].concat();
        dir.dcomp(&words).ranks(2).command().stdout(Stdio::null()).spawn().unwrap()
    });
    for mut child in forced {
        assert!(child.wait().unwrap().success());
    }
    let length = dir.read("out").len();
    assert!(length == 8 * 300_000 || length == 8 * 300_001, "{length}");
    assert_eq!(parts(&dir), [""; 0]);
}

#[test]
fn two_sorts_in_one_scratch_directory_never_mix() {
    let dir = Dir::new("scratch");
    std::fs::create_dir(dir.path("scratch")).unwrap();
    let runs = ["1", "2"].map(|seed| {
        let output = format!("out-{seed}");
        let sort = [
            "mergesort",
            "--generate",
            "uniform",
            "--count",
            "60000",
            "--seed",
            seed,
            "-q",
            "-o",
            &output,
            "--scratch",
            "scratch",
        ];
        let run = dir.dcomp(&sort).ranks(2).env("DCOMP_RUN_BYTES", "20000");
        run.command().stdout(Stdio::null()).spawn().unwrap()
    });
    for mut child in runs {
        assert!(child.wait().unwrap().success());
    }
    for seed in ["1", "2"] {
        let alone =
            ["mergesort", "--generate", "uniform", "--count", "60000", "--seed", seed, "-q", "-o"];
        let name = format!("alone-{seed}");
        dir.dcomp(&[&alone[..], &[&name]].concat()).ok();
        assert!(dir.read(&name) == dir.read(&format!("out-{seed}")), "seed {seed}");
        assert_eq!(dir.json(&format!("out-{seed}.json"))["details"]["external"], true);
    }
    assert_eq!(std::fs::read_dir(dir.path("scratch")).unwrap().count(), 0);
}
