//! `dcomp rerun`: the same bytes from what a file says about itself, for every kind and rank count.

use serde_json::json;

use crate::util::Dir;

/// Pictures and grids need no record, whatever the numbers of their view; no variable of today matters.
#[test]
fn pictures_tell_how_they_were_made() {
    let dir = Dir::new("rerun-picture");
    let views: [&[&str]; 4] = [
        &["--center", "-0.7436438870371587,0.1318259043091895", "--zoom", "12345.678"],
        &["--region=-0.1,1e-300,-0,0.30000000000000004", "--palette", "histogram"],
        &["--depth", "16", "--palette", "magma", "-W", "1", "-H", "300"],
        &["-W", "97", "-H", "1", "-n", "4294967294", "--region", "1,2,1,2"],
    ];
    for (view, ranks) in views.iter().zip([None, Some(1), Some(3), Some(4)]) {
        let picture = ["mandelbrot", "-W", "61", "-H", "47", "-n", "90", "-o", "a.png"];
        // Given twice, the first of a flag counts nowhere: so views replace what they name.
        let kept = |flag: &str| !view.contains(&flag);
        let mut line = vec!["mandelbrot", "-o", "a.png", "--hdf5", "a.h5", "--force"];
        for pair in picture[1..7].chunks(2).filter(|pair| kept(pair[0])) {
            line.extend(pair);
        }
        line.extend(*view);
        dir.dcomp(&line).ok();
        std::fs::remove_file(dir.path("a.png.json")).unwrap();
        for (file, new) in [("a.png", "a.rerun.png"), ("a.h5", "a.rerun.h5")] {
            let again = dir
                .dcomp(&["rerun", file, "--force", "-q"])
                .env("DCOMP_WIDTH", "5")
                .env("DCOMP_ZOOM", "3")
                .env("DCOMP_HDF5", "no.h5")
                .ranks_or_alone(ranks)
                .ok();
            assert!(
                again.stdout.contains(&format!("{new}: the same bytes as {file}")),
                "{again:#?}"
            );
            assert!(dir.read(file) == dir.read(new), "{view:?} {ranks:?}");
        }
    }
    assert!(!dir.path("no.h5").exists());
    dir.dcomp(&["verify", "a.rerun.png"]).ok();
    dir.dcomp(&["recolor", "a.h5", "-o", "b.png", "--palette", "turbo", "--depth", "16"]).ok();
    dir.dcomp(&["rerun", "b.png", "-o", "c.png"]).ranks(2).ok();
    assert!(dir.read("b.png") == dir.read("c.png"));
}

/// What has no room for provenance is run again from its record.
#[test]
fn records_tell_how_others_were_made() {
    let dir = Dir::new("rerun-record");
    let (numbers, keys) = (["generate", "numbers", "--files", "9"], ["mergesort", "keys.bin"]);
    let sort = ["counter-sort", "numbers", "--on-error", "skip", "--min-int", "-5"];
    let lines: [(&[&str], &str); 12] = [
        (&[&numbers[..], &["--dirty", "0.01", "--min=-9"]].concat(), "numbers"),
        (&[&numbers[..], &["--packed", "-o", "packed", "--pattern", "zipf"]].concat(), "packed"),
        (&["generate", "keys", "--count", "999", "--type", "f64", "-o", "keys.bin"], "keys.bin"),
        (&["generate", "records", "--ascii", "--skewed", "--count", "77"], "records.dat"),
        (&[&sort[..], &["-o", "a.txt", "--counts", "a.csv"]].concat(), "a.txt"),
        (&[&sort[..], &["-o", "a.h5", "--output-format", "hdf5"]].concat(), "a.h5"),
        (&["counter-sort", "numbers", "--name", "numbers_{}.txt", "--count", "3", "-o", "t"], "t"),
        (&[&keys[..], &["--type", "f64", "-r", "-u", "-o", "k"]].concat(), "k"),
        (&[&keys[..], &["--type", "f64", "-o", "k.h5:/a/b"]].concat(), "k.h5"),
        (&["mergesort", "packed", "-k", "1.2n", "-s", "-t", "x", "-o", "l"], "l"),
        (&["mergesort", "packed", "-n", "--parts", "-o", "parts"], "parts"),
        (&["mergesort", "--generate", "zipf", "--count", "500", "--seed", "4", "-o", "g"], "g"),
    ];
    for (at, (line, file)) in lines.iter().enumerate() {
        let line = [line, &["-q"][..]].concat();
        let known = dir.dcomp(&line).run();
        assert!(known.code == 0, "{line:?}: {known:#?}");
        let ranks = [None, Some(2), Some(3), Some(7)][at % 4];
        let again =
            dir.dcomp(&["rerun", file, "-q"]).env("DCOMP_MIN_INT", "7").env("DCOMP_KEY", "9");
        let again = again.ranks_or_alone(ranks).ok();
        assert!(again.stdout.contains("the same bytes as"), "{again:#?}");
    }
    dir.dcomp(&["rerun", "a.csv", "--from", "a.txt.json"]).ranks(3).ok();
    assert!(dir.read("a.csv") == dir.read("a.rerun.csv"));
    assert!(dir.read("a.csv.sorted".replace("csv", "rerun.csv").as_str()) == dir.read("a.txt"));
    dir.dcomp(&["rerun", "numbers.planted.csv", "--from", "numbers.json"])
        .fails(2)
        .says("run numbers");
    // An input that was changed since is the reason, and is named.
    std::fs::write(dir.path("packed"), "2\n1\n").unwrap();
    let other = dir.dcomp(&["rerun", "l", "-o", "m"]).fails(1);
    other.says("m has other bytes than l").says("its input was changed: packed");
}

#[test]
fn other_bytes_and_other_makers_are_told() {
    let dir = Dir::new("rerun-other");
    dir.dcomp(&["generate", "keys", "--count", "99", "-o", "keys", "-q"]).ok();
    let mut keys = dir.read("keys");
    keys[70] ^= 1;
    std::fs::write(dir.path("keys"), &keys).unwrap();
    dir.dcomp(&["rerun", "keys"]).ranks(2).fails(1).says("byte 70 is");
    keys.truncate(64);
    std::fs::write(dir.path("keys"), &keys).unwrap();
    dir.dcomp(&["rerun", "keys", "--force"]).fails(1).says("more than 64 bytes");
    dir.dcomp(&["rerun", "keys"]).ranks(3).fails(2).says("keys.rerun exists");
    dir.dcomp(&["rerun", "keys", "-o", "keys", "--force"]).fails(2).says("is the file keys");
    let record = ["rerun", "keys", "--record", "keys.json", "--force"];
    dir.dcomp(&record).fails(2).says("is the file keys.json");
    let mut value = dir.json("keys.json");
    for (version, code, said) in
        [("9.0.0", 2, "9.0.0"), ("0.0.1", 1, "0.0.1 made it"), ("old", 65, "no version")]
    {
        value["program"]["version"] = json!(version);
        dir.write("edited.json", &value.to_string());
        let edited = ["rerun", "keys", "--from", "edited.json", "--force"];
        dir.dcomp(&edited).fails(code).says(said);
    }
    value["spec"]["seed"] = json!(-1);
    value["program"]["version"] = json!("0.1.0");
    dir.write("edited.json", &value.to_string());
    let edited = ["rerun", "keys", "--from", "edited.json", "--force"];
    dir.dcomp(&edited).fails(2).says("seed of edited.json");
    std::fs::remove_file(dir.path("keys.json")).unwrap();
    dir.dcomp(&["rerun", "keys"]).ranks(2).fails(2).says("there is no record keys.json");
    dir.dcomp(&["rerun", "none"]).fails(74).says("none");

    // A picture of another program, and one that says it is of a newer dcomp.
    let foreign = image::RgbImage::new(3, 2);
    foreign.save(dir.path("foreign.png")).unwrap();
    dir.dcomp(&["rerun", "foreign.png"]).fails(65).says("no picture of dcomp");
    dir.dcomp(&["mandelbrot", "-W", "9", "-H", "9", "-o", "new.png", "-q"]).ok();
    let picture =
        crate::malformed::mutate::with_text(&dir.read("new.png"), "dcomp 0.1.0", "dcomp 9.1.0");
    std::fs::write(dir.path("new.png"), picture).unwrap();
    dir.dcomp(&["rerun", "new.png"]).fails(2).says("made by dcomp 9.1.0");
}
