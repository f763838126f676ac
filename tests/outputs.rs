//! `dcomp verify` of every kind of output: flipped bits, misplaced records, damaged records.

use dcomp::store::crc;
use serde_json::{Value, json};

use crate::chance::{Chance, dcomp, words};
use crate::util::Dir;

/// An output and the record that tells of it.
struct Output {
    name: &'static str,
    record: &'static str,
}

const fn output(name: &'static str, record: &'static str) -> Output {
    Output { name, record }
}

/// One of each kind and form.
const OUTPUTS: [Output; 19] = [
    output("classic.png", "classic.png.json"),
    output("raw.h5", "classic.png.json"),
    output("deep.png", "deep.png.json"),
    output("again.png", "again.png.json"),
    output("numbers/numbers_3.txt", "numbers.json"),
    output("numbers.planted.csv", "numbers.json"),
    output("packed", "packed.json"),
    output("keys.bin", "keys.bin.json"),
    output("records.dat", "records.dat.json"),
    output("sorted.txt", "sorted.txt.json"),
    output("counts.csv", "sorted.txt.json"),
    output("sorted.i64", "sorted.i64.json"),
    output("counts.h5", "sorted.i64.json"),
    output("sorted.h5", "sorted.h5.json"),
    output("keys.sorted", "keys.sorted.json"),
    output("keys.h5", "keys.h5.json"),
    output("records.sorted", "records.sorted.json"),
    output("lines.sorted", "lines.sorted.json"),
    output("parts/part-00000", "parts.json"),
];

/// Makes them all.
fn make(dir: &Dir) {
    let picture = ["mandelbrot", "-W", "203", "-H", "151", "-n", "300"];
    let sort = ["counter-sort", "numbers", "--on-error", "skip"];
    let lines: [&[&str]; 15] = [
        &["-o", "classic.png", "--hdf5", "raw.h5"],
        &["-o", "deep.png", "--depth", "16", "--palette", "sinebow"],
        &["recolor", "raw.h5", "-o", "again.png", "--palette", "viridis"],
        &["generate", "numbers", "--files", "9", "--per-file", "40", "--dirty", "0.1"],
        &["generate", "numbers", "--files", "9", "--packed", "-o", "packed"],
        &["generate", "keys", "--count", "3000", "-o", "keys.bin"],
        &["generate", "records", "--count", "300", "-o", "records.dat"],
        &["-o", "sorted.txt", "--counts", "counts.csv"],
        &["-o", "sorted.i64", "--counts", "counts.h5", "--output-format", "i64"],
        &["-o", "sorted.h5", "--output-format", "hdf5"],
        &["mergesort", "keys.bin", "--type", "u64", "-o", "keys.sorted"],
        &["mergesort", "keys.bin", "--type", "u64", "-o", "keys.h5"],
        &["mergesort", "records.dat", "--type", "record:100:10", "-o", "records.sorted"],
        &["mergesort", "packed", "-o", "lines.sorted"],
        &["mergesort", "packed", "-n", "--parts", "-o", "parts"],
    ];
    for line in lines {
        let before: &[&str] = match (line[0], line.get(1)) {
            ("-o", Some(name)) if name.ends_with(".png") => &picture,
            ("-o", _) => &sort,
            _ => &[],
        };
        dir.dcomp(&[before, line, &["-q"]].concat()).ok();
    }
}

/// What `verify` is asked for: a file of a directory is not asked for by itself.
fn asked(output: &Output) -> &'static str {
    if output.name.starts_with("numbers/") { "numbers" } else { output.name }
}

/// Changes one bit, one byte, one record's worth of bytes, or the length.
fn damage(chance: &mut Chance, bytes: &mut Vec<u8>) -> String {
    let at = chance.below(bytes.len());
    match chance.below(8) {
        0 => {
            let cut = bytes.len() - at;
            bytes.truncate(at);
            format!("{cut} bytes cut off")
        }
        1 => {
            bytes.push(chance.byte());
            "a byte more".into()
        }
        2 => {
            let other = chance.below(bytes.len());
            if bytes[at] == bytes[other] {
                bytes[at] ^= 0x40;
            } else {
                bytes.swap(at, other);
            }
            format!("bytes {at} and {other} swapped")
        }
        _ => {
            let bit = chance.below(8);
            bytes[at] ^= 1 << bit;
            format!("bit {bit} of byte {at} flipped")
        }
    }
}

/// Damages each kind so many times; every time is found, by name, as a changed file.
fn every_damage_is_found(name: &str, seed: u64, times: usize) {
    let dir = Dir::new(name);
    make(&dir);
    let mut chance = Chance::new(name, seed);
    for output in &OUTPUTS {
        let whole = dir.read(output.name);
        let line = words(&["verify", asked(output), "--record", output.record]);
        let sound = dcomp(&dir.path(""), &line, &[]);
        assert_eq!(sound.code, 0, "{}: {sound:#?}", output.name);
        for _ in 0..times {
            let mut bytes = whole.clone();
            let how = damage(&mut chance, &mut bytes);
            std::fs::write(dir.path(output.name), &bytes).unwrap();
            let ended = dcomp(&dir.path(""), &line, &[]);
            assert_eq!(ended.code, 1, "{}: {how}: {ended:#?}", output.name);
            let told = ended.stderr.starts_with("dcomp: ") && ended.stderr.contains(asked(output));
            assert!(told, "{}: {how}: {ended:#?}", output.name);
        }
        std::fs::write(dir.path(output.name), &whole).unwrap();
    }
}

#[test]
fn any_damage_is_found() {
    every_damage_is_found("damage", 6, 16);
}

/// For `make campaign`: ten thousand.
#[test]
#[ignore = "takes minutes"]
fn ten_thousand_damages_are_found() {
    every_damage_is_found("damages", 7, 10_000_usize.div_ceil(OUTPUTS.len()));
}

/// Makes the record tell the checksum and size that the file has now.
fn adapt(dir: &Dir, file: &str, record: &str) {
    let mut value = dir.json(record);
    let bytes = dir.read(file);
    let outputs = value["outputs"].as_array_mut().unwrap();
    let entry = outputs.iter_mut().find(|output| output["path"] == file).unwrap();
    entry["bytes"] = json!(bytes.len());
    entry["crc64"] = json!(crc::hex(crc::checksum(&bytes)));
    dir.write(record, &value.to_string());
}

/// What a record with an adapted checksum hides is found by looking at the content, and the place named.
#[test]
fn misplaced_records_are_found_by_order() {
    let dir = Dir::new("misplaced");
    make(&dir);
    let swapped_lines = |file: &str, first: usize, second: usize| {
        let text = String::from_utf8(dir.read(file)).unwrap();
        let mut lines: Vec<&str> = text.lines().collect();
        lines.swap(first, second);
        format!("{}\n", lines.join("\n")).into_bytes()
    };
    let swapped_words = |file: &str, from: usize| {
        let mut bytes = dir.read(file);
        let cut = bytes.len() - from;
        let (front, back) = bytes.split_at_mut(cut);
        let at = front.len() - 80;
        front[at..at + 8].swap_with_slice(&mut back[..8]);
        bytes
    };
    let cases = [
        (
            "sorted.txt",
            "sorted.txt.json",
            swapped_lines("sorted.txt", 99, 150),
            "number 101, counted",
        ),
        ("counts.csv", "sorted.txt.json", swapped_lines("counts.csv", 50, 60), "row 51: the value"),
        ("sorted.i64", "sorted.i64.json", swapped_words("sorted.i64", 800), "out of order"),
        ("sorted.h5", "sorted.h5.json", swapped_words("sorted.h5", 800), "out of order"),
        ("keys.sorted", "keys.sorted.json", swapped_words("keys.sorted", 800), "out of order"),
        ("keys.h5", "keys.h5.json", swapped_words("keys.h5", 800), "out of order"),
        ("keys.bin", "keys.bin.json", swapped_words("keys.bin", 800), "byte 23120, in item 2891"),
        ("packed", "packed.json", swapped_lines("packed", 0, 1), "byte 1 is"),
    ];
    for (file, record, bytes, said) in cases {
        let (whole, told) = (dir.read(file), dir.read(record));
        std::fs::write(dir.path(file), bytes).unwrap();
        adapt(&dir, file, record);
        dir.dcomp(&["verify", file, "--record", record]).fails(1).says(said);
        std::fs::write(dir.path(file), whole).unwrap();
        std::fs::write(dir.path(record), told).unwrap();
        dir.dcomp(&["verify", file, "--record", record]).ok();
    }
}

/// Numbers that are the same but not written so, another picture under this name, a changed grid: all with
/// an adapted checksum.
#[test]
fn forged_contents_are_found() {
    let dir = Dir::new("forged");
    make(&dir);
    let mut text = dir.read("sorted.txt");
    let line = text.iter().position(|&byte| byte == b'\n').unwrap() + 1;
    text.insert(line, b'0');
    std::fs::write(dir.path("sorted.txt"), text).unwrap();
    adapt(&dir, "sorted.txt", "sorted.txt.json");
    dir.dcomp(&["verify", "sorted.txt"]).fails(1).says("line 2: \"0");

    let other =
        ["mandelbrot", "-W", "203", "-H", "151", "-n", "301", "-o", "classic.png", "--force"];
    let record = dir.read("classic.png.json");
    dir.dcomp(&other).ok();
    std::fs::write(dir.path("classic.png.json"), record).unwrap();
    adapt(&dir, "classic.png", "classic.png.json");
    dir.dcomp(&["verify", "classic.png"]).fails(1).says("max_iterations 301 and 300");

    // The counts of two pixels, then one that no count can have; two chunks of a picture.
    let mut grid = dir.read("raw.h5");
    let at = grid.len() / 4;
    grid[at..at + 4].copy_from_slice(&77_777_u32.to_ne_bytes());
    std::fs::write(dir.path("raw.h5"), grid).unwrap();
    adapt(&dir, "raw.h5", "classic.png.json");
    let raw = ["verify", "raw.h5", "--record", "classic.png.json"];
    dir.dcomp(&raw).fails(1).says("has count 77777, outside 1..=300");

    let mut picture = dir.read("deep.png");
    let at = picture.len() / 2;
    picture[at] ^= 1;
    std::fs::write(dir.path("deep.png"), picture).unwrap();
    adapt(&dir, "deep.png", "deep.png.json");
    dir.dcomp(&["verify", "deep.png"]).fails(1).says("byte ");

    std::fs::remove_file(dir.path("numbers/numbers_4.txt")).unwrap();
    dir.dcomp(&["verify", "numbers"]).fails(1).says("numbers_4.txt is missing");
    dir.dcomp(&["generate", "numbers", "--files", "1", "-o", "numbers/x"]).ok();
    dir.dcomp(&["verify", "numbers"]).fails(1).says("was not made by the run");
}

/// Pictures and HDF5 files tell something by themselves; what they leave open is said.
#[test]
fn some_outputs_are_checked_without_a_record() {
    let dir = Dir::new("alone");
    make(&dir);
    std::fs::create_dir(dir.path("alone")).unwrap();
    for (name, said) in [
        ("classic.png", "CRC-32, zlib stream and Adler-32 are sound"),
        ("raw.h5", "counts of at most 300 steps"),
        ("sorted.h5", "numbers in order"),
        ("counts.h5", "values in order"),
    ] {
        let file = format!("alone/{name}");
        let mut bytes = dir.read(name);
        std::fs::write(dir.path(&file), &bytes).unwrap();
        let told = dir.dcomp(&["verify", &file]).ok().stdout;
        assert!(told.contains(said) && told.contains("no record"), "{told}");
        // Numbers at the end of the file: out of order, or no count.
        let at = bytes.len() - if name == "raw.h5" { 4 + 4 * 203 * 151 } else { 8 };
        let value = if name == "classic.png" { 0x55 } else { 0x80 };
        bytes[at + 7 - 4 * usize::from(name == "raw.h5")] ^= value;
        bytes[at..at + 3].fill(0);
        std::fs::write(dir.path(&file), &bytes).unwrap();
        if name != "counts.h5" {
            dir.dcomp(&["verify", &file]).fails(1).says(&file);
        }
    }
    dir.dcomp(&["verify", "alone/keys.h5"]).fails(2).says("cannot read the record");
    std::fs::copy(dir.path("keys.h5"), dir.path("alone/keys.h5")).unwrap();
    dir.dcomp(&["verify", "alone/keys.h5"]).fails(2).says("--type auto");
    dir.dcomp(&["verify", "alone/keys.h5:/keys", "--type", "auto"]).ok();
}

/// A record that was edited is refused by what is wrong with it.
#[test]
fn damaged_records_are_named() {
    let dir = Dir::new("records");
    make(&dir);
    let change = |record: &str, change: &dyn Fn(&mut Value)| {
        let mut value = dir.json(record);
        change(&mut value);
        dir.write("edited.json", &value.to_string());
    };
    let verify = |file: &str, code: i32, said: &str| {
        dir.dcomp(&["verify", file, "--record", "edited.json"]).fails(code).says(said);
    };
    change("sorted.txt.json", &|record| record["outputs"] = json!([]));
    verify("sorted.txt", 65, "a run that made nothing");
    change("sorted.txt.json", &|record| record["outputs"][0]["crc64"] = json!("XYZ"));
    verify("sorted.txt", 65, "not 16 hexadecimal digits");
    change("sorted.txt.json", &|record| record["outputs"][0]["bytes"] = json!(-1));
    verify("sorted.txt", 65, "outputs in edited.json");
    change("sorted.txt.json", &|record| {
        record["result"].as_object_mut().unwrap().remove("distinct");
    });
    verify("sorted.txt", 65, "has no distinct");
    change("sorted.txt.json", &|record| record["spec"]["output_format"] = json!("jpeg"));
    verify("sorted.txt", 65, "spec in edited.json");
    change("sorted.txt.json", &|record| record["job"] = json!("bogosort"));
    verify("sorted.txt", 65, "bogosort");
    change("sorted.txt.json", &|record| record["schema"] = json!("dcomp-run/2"));
    verify("sorted.txt", 65, "use a newer dcomp");
    change("keys.bin.json", &|record| record["spec"]["blocks"] = json!(0));
    verify("keys.bin", 65, "blocks: 0");
    change("packed.json", &|record| record["spec"]["pattern"] = json!("plaid"));
    verify("packed", 65, "plaid");
    change("packed.json", &|record| record["spec"]["files"] = json!(1_u64 << 62));
    verify("packed", 65, "more than 18446744073709551615 lines");
    change("keys.sorted.json", &|record| record["spec"]["type"] = json!("auto"));
    verify("keys.sorted", 65, "auto is not the type");
    dir.write("edited.json", &"[".repeat(100_000));
    verify("packed", 65, "is not JSON");
    dir.dcomp(&["verify", "packed", "--record", "numbers"]).fails(2).says("no regular file");
    let fifo = dir.program("mkfifo", &["pipe.json"]);
    fifo.ok();
    dir.dcomp(&["verify", "packed", "--record", "pipe.json"]).fails(2).says("no regular file");
}
