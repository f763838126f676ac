//! `dcomp mergesort` to directories of parts and HDF5, from HDF5, and `dcomp verify` of all of it.
//!
//! Oracles: std's sort, h5dump and h5import of the HDF5 tools, the published check value of CRC-32.

use std::path::Path;

use dcomp::num::mix64;
use dcomp::store::crc;
use serde_json::{Value, json};

use crate::util::Dir;

const TYPES: [&str; 6] = ["u32", "u64", "i32", "i64", "f32", "f64"];
const SEED: u64 = 20_261_121;

/// Any bits, many of them equal.
fn keys(count: u64) -> Vec<u8> {
    eprintln!("seed {SEED}");
    (0..count).flat_map(|at| mix64(SEED + at % (count / 2 + 1)).to_le_bytes()).collect()
}

/// The same numbers in the total order of their type.
fn sorted(kind: &str, bytes: &[u8]) -> Vec<u8> {
    macro_rules! by {
        ($type:ty, $order:expr) => {{
            let (words, _) = bytes.as_chunks::<{ size_of::<$type>() }>();
            let mut keys: Vec<$type> = words.iter().map(|w| <$type>::from_le_bytes(*w)).collect();
            keys.sort_by($order);
            keys.into_iter().flat_map(<$type>::to_le_bytes).collect()
        }};
    }
    match kind {
        "u32" => by!(u32, Ord::cmp),
        "u64" => by!(u64, Ord::cmp),
        "i32" => by!(i32, Ord::cmp),
        "i64" => by!(i64, Ord::cmp),
        "f32" => by!(f32, f32::total_cmp),
        _ => by!(f64, f64::total_cmp),
    }
}

fn put(dir: &Dir, name: &str, bytes: &[u8]) {
    std::fs::write(dir.path(name), bytes).unwrap();
}

fn names(path: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(path).unwrap().map(|entry| entry.unwrap().file_name());
    let mut names: Vec<String> = entries.map(|name| name.into_string().unwrap()).collect();
    names.sort();
    names
}

fn crc64(bytes: &[u8]) -> Value {
    json!(crc::hex(crc::checksum(bytes)))
}

/// The bytes of a dataset, little-endian, as h5dump sees them.
fn h5bytes(dir: &Dir, file: &str, dataset: &str) -> Vec<u8> {
    dir.program("h5dump", &["-d", dataset, "-b", "LE", "-o", "dumped", file]).ok();
    dir.read("dumped")
}

/// Makes an HDF5 file of `data.bin` with h5import.
fn h5import(dir: &Dir, file: &str, path: &str, class: &str, bits: u32, more: &str) {
    let count = dir.read("data.bin").len() / (bits as usize / 8);
    let shape = if more.contains("RANK") {
        String::new()
    } else {
        format!("RANK 1\nDIMENSION-SIZES {count}\n")
    };
    let format = format!(
        "PATH {path}\nINPUT-CLASS {class}\nINPUT-SIZE {bits}\n{shape}OUTPUT-CLASS {class}\n\
         OUTPUT-SIZE {bits}\n{more}\n"
    );
    dir.write("format", &format);
    dir.program("h5import", &["data.bin", "-c", "format", "-o", file]).ok();
}

#[test]
fn parts_joined_are_the_one_file() {
    let dir = Dir::new("ms-parts");
    let numbers: Vec<String> = (0..300).map(|at| (mix64(at) % 1000).to_string()).collect();
    dir.write("text", &numbers.join("\n"));
    put(&dir, "few", &keys(2));
    put(&dir, "none", b"");
    put(&dir, "many", &keys(10_007));
    let inputs: [(&str, &[&str]); 6] = [
        ("none", &["--type", "u64"]),
        ("few", &["--type", "u64"]),
        ("many", &["--type", "f64", "--reverse"]),
        ("many", &["--type", "u64", "--unique"]),
        ("many", &["--type", "record:8:3"]),
        ("text", &["--numeric"]),
    ];
    for (number, (input, flags)) in inputs.into_iter().enumerate() {
        let one = format!("one{number}");
        let sort = [&["mergesort", input], flags].concat();
        dir.dcomp(&[&sort[..], &["-o", &one]].concat()).ok();
        let whole = dir.read(&one);
        for ranks in [None, Some(2), Some(3), Some(7)] {
            let out = format!("parts{number}-{}", ranks.unwrap_or(1));
            let words = [&sort[..], &["-o", &out, "--parts"]].concat();
            dir.dcomp(&words).ranks_or_alone(ranks).ok();
            let found = names(&dir.path(&out));
            let expected: Vec<String> =
                (0..ranks.unwrap_or(1)).map(|rank| format!("part-{rank:05}")).collect();
            assert_eq!(found, expected);
            let parts: Vec<Vec<u8>> =
                found.iter().map(|name| dir.read(&format!("{out}/{name}"))).collect();
            assert!(parts.concat() == whole, "{out} of {input} {flags:?}");
            let record = dir.json(&format!("{out}.json"));
            let mut sums = vec![json!({"path": out, "bytes": whole.len(), "crc64": crc64(&whole)})];
            for (name, part) in found.iter().zip(&parts) {
                let path = format!("{out}/{name}");
                sums.push(json!({"path": path, "bytes": part.len(), "crc64": crc64(part)}));
            }
            assert_eq!(record["outputs"], json!(sums));
            assert_eq!(record["result"], dir.json(&format!("{one}.json"))["result"]);
            dir.dcomp(&["verify", &format!("{out}/")]).ok();
        }
    }
    assert!(dir.names().iter().all(|name| !name.starts_with('.')), "{:?}", dir.names());
}

#[test]
fn parts_are_made_new_or_not_at_all() {
    let dir = Dir::new("ms-parts-not");
    put(&dir, "in", &keys(1000));
    std::fs::create_dir(dir.path("old")).unwrap();
    dir.write("file", "precious");
    let sort = ["mergesort", "in", "--type", "u64", "--parts", "-o"];
    let wrong: [(&[&str], &str); 5] = [
        (&["old"], "old is there already"),
        (&["old", "--force"], "old is there already"),
        (&["file", "--force"], "file is there already"),
        (&["none/out"], "the directory none is not there"),
        (&["out.h5"], "--parts makes a directory of plain files"),
    ];
    for (words, told) in wrong {
        dir.dcomp(&[&sort[..], words].concat()).ranks(2).fails(2).says(told);
    }
    assert_eq!(dir.names(), ["file", "in", "old"]);
    let failing = dir.dcomp(&[&sort[..], &["out"]].concat()).ranks(3);
    failing.env("DCOMP_FAULT", "io:2:write").fails(74);
    assert_eq!(dir.names(), ["file", "in", "old", "out.json"]);
}

#[test]
fn keys_go_to_hdf5_and_come_from_it() {
    let dir = Dir::new("ms-h5");
    let data = keys(5003);
    put(&dir, "in", &data);
    let stored = ["U32LE", "U64LE", "I32LE", "I64LE", "F32LE", "F64LE"];
    for (at, (kind, stored)) in TYPES.into_iter().zip(stored).enumerate() {
        let ranks = [None, Some(2), Some(3), Some(7)][at % 4];
        let out = format!("{kind}.h5");
        let made = dir.dcomp(&["mergesort", "in", "--type", kind, "-o", &out]);
        made.ranks_or_alone(ranks).ok();
        assert!(h5bytes(&dir, &out, "/keys") == sorted(kind, &data), "{kind} {ranks:?}");
        let shown = dir.program("h5dump", &["-H", "-A", &out]).ok().stdout;
        let head = dir.program("h5dump", &["-A", &out]).ok().stdout;
        assert!(shown.contains(stored), "{kind}: {shown}");
        for text in ["long_name", "units", "keys from the least to the greatest", "mergesort"] {
            assert!(head.contains(text), "{text} in {head}");
        }
        let outputs = &dir.json(&format!("{out}.json"))["outputs"];
        assert_eq!(outputs[0]["crc64"], crc64(&dir.read(&out)));
        // Back, turned, the type being the dataset's.
        let back = ["mergesort", &format!("{out}:/keys"), "--reverse", "-o", "back", "--force"];
        dir.dcomp(&back).ranks_or_alone(ranks).ok();
        let size = if kind.ends_with("32") { 4 } else { 8 };
        let mut least_first = dir.read("back");
        least_first.chunks_exact_mut(size).for_each(<[u8]>::reverse);
        least_first.reverse();
        assert!(least_first == sorted(kind, &data), "{kind} back");
        let record = dir.json("back.json");
        assert_eq!(record["spec"]["type"], json!(kind));
        let read = sorted(kind, &data);
        let input = json!([{
            "path": format!("{out}:/keys"), "bytes": read.len(), "crc64": crc64(&read),
        }]);
        assert_eq!(record["input"], input);
    }
}

#[test]
fn hdf5_has_the_same_bytes_for_any_ranks_and_few_keys() {
    let dir = Dir::new("ms-h5-few");
    put(&dir, "many", &keys(300_007));
    put(&dir, "one", &7_u64.to_le_bytes());
    put(&dir, "none", b"");
    for (input, more) in [("none", None), ("one", None), ("many", None), ("many", Some("--unique"))]
    {
        let words = ["mergesort", input, "--type", "i64", "--force", "-o"];
        let words = words.into_iter().chain(more);
        let to = |out| -> Vec<&str> {
            words
                .clone()
                .flat_map(|word| if word == "-o" { vec!["-o", out] } else { vec![word] })
                .collect()
        };
        dir.dcomp(&to("plain")).ok();
        let mut whole = None;
        for ranks in [None, Some(3), Some(7)] {
            dir.dcomp(&to("out.h5:/deep/er/keys")).ranks_or_alone(ranks).ok();
            let bytes = dir.read("out.h5");
            assert!(*whole.get_or_insert(bytes.clone()) == bytes, "{input} {ranks:?}");
            dir.dcomp(&["verify", "out.h5"]).ok();
        }
        if input != "none" {
            assert!(h5bytes(&dir, "out.h5", "/deep/er/keys") == dir.read("plain"), "{input}");
        }
        let shown = dir.program("h5dump", &["-H", "out.h5"]).ok().stdout;
        let count = dir.read("plain").len() / 8;
        assert!(shown.contains(&format!("( {count} ) / ( {count} )")), "{shown}");
        dir.dcomp(&["mergesort", "out.h5:/deep/er/keys", "-o", "again", "--force"]).ok();
        assert!(dir.read("again") == dir.read("plain"), "{input} again");
    }
}

#[test]
fn any_layout_and_byte_order_is_read() {
    let dir = Dir::new("ms-h5-in");
    let data = keys(9973);
    put(&dir, "data.bin", &data);
    h5import(&dir, "plain.h5", "g/keys", "IN", 64, "");
    h5import(&dir, "big.h5", "keys", "IN", 64, "OUTPUT-BYTE-ORDER BE");
    h5import(&dir, "chunked.h5", "keys", "IN", 64, "CHUNKED-DIMENSION-SIZES 1000");
    let pack = ["-l", "keys:CHUNK=997", "-f", "keys:SHUF", "-f", "keys:GZIP=3"];
    let pack = [&pack[..], &["chunked.h5", "packed.h5"]].concat();
    dir.program("h5repack", &pack).ok();
    let expected = sorted("i64", &data);
    for input in ["plain.h5:/g/keys", "big.h5:/keys", "chunked.h5:/keys", "packed.h5:/keys"] {
        for ranks in [None, Some(3), Some(7)] {
            let words = ["mergesort", input, "-o", "out", "--force"];
            dir.dcomp(&words).ranks_or_alone(ranks).ok();
            assert!(dir.read("out") == expected, "{input} {ranks:?}");
            let input = json!([{"path": input, "bytes": data.len(), "crc64": crc64(&data)}]);
            assert_eq!(dir.json("out.json")["input"], input);
        }
    }
    // Several, and files among them when their type is said.
    let several = ["mergesort", "packed.h5:/keys", "data.bin", "plain.h5:/g/keys"];
    let several = [&several[..], &["--type", "i64", "-o", "all"]].concat();
    dir.dcomp(&several).ranks(3).ok();
    assert!(dir.read("all") == sorted("i64", &data.repeat(3)));
}

#[test]
fn what_hdf5_cannot_do_is_refused() {
    let dir = Dir::new("ms-h5-not");
    put(&dir, "data.bin", &keys(100));
    h5import(&dir, "i64.h5", "keys", "IN", 64, "");
    h5import(&dir, "f32.h5", "keys", "FP", 32, "");
    h5import(&dir, "i16.h5", "keys", "IN", 16, "");
    h5import(&dir, "flat.h5", "g/keys", "IN", 64, "RANK 2\nDIMENSION-SIZES 10 10");
    dir.write("words.txt", "one\ntwo\n");
    dir.write("text", "PATH keys\nINPUT-CLASS STR\n");
    dir.program("h5import", &["words.txt", "-c", "text", "-o", "str.h5"]).ok();
    dir.write("no.h5", "no HDF5");
    let before = dir.names();
    let wrong: [(&[&str], i32, &str); 14] = [
        (&["i64.h5:/keys", "--type", "u64"], 65, "i64.h5:/keys holds i64, not u64"),
        (&["i64.h5:/keys", "f32.h5:/keys"], 65, "f32.h5:/keys holds f32, not i64"),
        (&["i64.h5:/none"], 65, "has no dataset /none"),
        (&["flat.h5:/g/none/keys"], 65, "has no dataset /g/none/keys"),
        (&["flat.h5:/g"], 65, "/g is no dataset"),
        (&["flat.h5:/g/keys"], 65, "has 2 dimensions; it must have 1"),
        (&["str.h5:/keys"], 65, "str.h5: dataset /keys holds"),
        (&["i16.h5:/keys"], 65, "holds int16"),
        (&["no.h5:/keys"], 65, "no.h5: cannot open it as HDF5"),
        (&["none.h5:/keys"], 74, "cannot read none.h5"),
        (&["i64.h5"], 2, "name its dataset, such as i64.h5:/keys"),
        (&["i64.h5:/keys", "--type", "lines"], 2, "datasets of HDF5 hold bare keys"),
        (&["i64.h5:/keys", "data.bin"], 2, "datasets and files together"),
        (&["data.bin", "-o", "o.h5:/"], 2, "names no dataset"),
    ];
    for (index, (words, code, told)) in (0..).zip(wrong) {
        let ranks = (index % 3 == 0).then_some(2);
        let words = [&["mergesort"], words].concat();
        dir.dcomp(&words).ranks_or_alone(ranks).fails(code).says(told);
    }
    for kind in ["lines", "record:8:4"] {
        let words = ["mergesort", "data.bin", "--type", kind, "-o", "out.h5"];
        dir.dcomp(&words).fails(2).says(&format!("HDF5 takes bare keys, not {kind}"));
    }
    let left: Vec<String> = dir.names().into_iter().filter(|name| !before.contains(name)).collect();
    assert_eq!(left, ["sorted.out.json"]);
}

/// Sets a field of a record.
fn forge(dir: &Dir, record: &str, change: impl FnOnce(&mut Value)) {
    let mut value = dir.json(record);
    change(&mut value);
    dir.write(record, &value.to_string());
}

/// Makes the record's sizes and checksums those of the files, as a forger would.
fn forge_sums(dir: &Dir, record: &str) {
    forge(dir, record, |value| {
        for output in value["outputs"].as_array_mut().unwrap() {
            let path = output["path"].as_str().unwrap().to_owned();
            if dir.path(&path).is_file() {
                let bytes = dir.read(&path);
                output["crc64"] = crc64(&bytes);
                output["bytes"] = json!(bytes.len());
            }
        }
    });
}

#[test]
fn verify_finds_what_a_forged_record_hides() {
    let dir = Dir::new("ms-verify");
    let numbers: Vec<u8> = (0..200_000_u64).rev().flat_map(|n| (2 * n).to_le_bytes()).collect();
    put(&dir, "in", &numbers);
    let sort = ["mergesort", "in", "--force", "--type"];
    let outputs: [(&[&str], &str, usize); 4] = [
        (&["u64", "-o", "plain"], "plain", 0),
        (&["record:8:8", "-o", "records"], "records", 0),
        (&["u64", "-o", "keys.h5"], "keys.h5", 0),
        (&["u64", "--parts", "-o", "parts"], "parts/part-00001", 1),
    ];
    for (flags, file, part) in outputs {
        let output = file.split('/').next().unwrap();
        if part > 0 {
            std::fs::remove_dir_all(dir.path(output)).ok();
        }
        dir.dcomp(&[&sort[..], flags].concat()).ranks(3).ok();
        let record = format!("{output}.json");
        let told = dir.dcomp(&["verify", output]).ok().stdout;
        assert!(told.contains("200000 records in order, 0 with the key"), "{told}");
        let (bytes, clean) = (dir.read(file), dir.read(&record));
        // Two neighbours change places: same items, another order.
        let mut turned = bytes.clone();
        let at = turned.len() - 1600;
        turned[at..at + 16].rotate_left(8);
        put(&dir, file, &turned);
        dir.dcomp(&["verify", output]).fails(1).says("must not stand behind the one before it");
        forge_sums(&dir, &record);
        let number = if part > 0 { 2 * 200_000 / 3 + 1 - 200 + 2 } else { 200_000 - 200 + 2 };
        dir.dcomp(&["verify", output]).fails(1).says(&format!("record {number}, counted"));
        // One item changes and stays between its neighbours.
        let mut other = bytes.clone();
        other[at] ^= 1;
        put(&dir, file, &other);
        put(&dir, &record, &clean);
        dir.dcomp(&["verify", output]).fails(1).says("was changed after the run");
        forge_sums(&dir, &record);
        dir.dcomp(&["verify", output]).fails(1).says("checksum is");
        // What the record says is wrong.
        put(&dir, file, &bytes);
        for (key, lie, told) in [
            ("records", json!(199_999), "200000 records, its record says 199999"),
            ("duplicates", json!(1), "0 duplicates, its record says 1"),
            ("checksum", json!("0123456789abcdef"), "its record says \"0123456789abcdef\""),
        ] {
            put(&dir, &record, &clean);
            forge(&dir, &record, |value| value["result"][key] = lie);
            dir.dcomp(&["verify", output]).fails(1).says(told);
        }
        put(&dir, &record, &clean);
        // Shorter, longer by a piece of an item, gone.
        if output != "keys.h5" {
            put(&dir, file, &bytes[..bytes.len() - 8]);
            dir.dcomp(&["verify", output]).fails(1).says("199999 records, its record says 200000");
            put(&dir, file, &[&bytes[..], &[0]].concat());
            dir.dcomp(&["verify", output]).fails(1).says("1 bytes are left over");
        }
        std::fs::remove_file(dir.path(file)).unwrap();
        let code = if part > 0 { 1 } else { 74 };
        dir.dcomp(&["verify", output]).fails(code).says(file.rsplit('/').next().unwrap());
    }
    put(&dir, "parts/part-00001", b"");
    put(&dir, "parts/part-00003", b"");
    dir.dcomp(&["verify", "parts"]).fails(1).says("part-00003 was not made by the run");
}

#[test]
fn verify_knows_the_order_of_lines() {
    let dir = Dir::new("ms-verify-lines");
    let long = "x".repeat(9 << 20);
    let text = format!("10 b\n9 a\n{long}\n\n10 a\n9 a\n10 b");
    dir.write("in", &text);
    let orders: [&[&str]; 5] = [&[], &["-r"], &["-n"], &["-n", "-r", "-s"], &["-k", "2,2", "-u"]];
    for flags in orders {
        let words = ["mergesort", "in", "-o", "out", "--force"];
        dir.dcomp(&[&words[..], flags].concat()).ranks(2).ok();
        dir.dcomp(&["verify", "out"]).ok();
        let bytes = dir.read("out");
        put(&dir, "out", &bytes[..bytes.len() - 1]);
        dir.dcomp(&["verify", "out"]).fails(1).says("was changed after the run");
    }
    dir.dcomp(&["mergesort", "in", "-n", "-o", "out", "--force"]).ok();
    dir.dcomp(&["verify", "out", "--type", "lines", "-n"]).ok();
    let told = dir.dcomp(&["verify", "out", "--type", "lines"]).fails(1);
    told.says("must not stand behind the one before it");
    dir.dcomp(&["verify", "out", "--type", "u64", "-n"]).fails(2).says("--numeric is for");
}

#[test]
fn verify_alone_tells_what_valsort_tells() {
    let dir = Dir::new("ms-verify-alone");
    // The check value of CRC-32 is cbf43926; the sum goes beyond 32 bits.
    dir.write("two", "123456789123456789");
    let told = dir.dcomp(&["verify", "two", "--type", "record:9:4"]).ok().stdout;
    assert_eq!(told, "records    2\nchecksum   197e8724c\nduplicates 1\nunordered  0\n");
    dir.write("falls", "b1a1a2c1a0");
    let told = dir.dcomp(&["verify", "falls", "--type", "record:2:1"]).fails(1);
    told.says("record 2, counted from 1, must not stand behind the one before it (2 of 5");
    assert!(told.stdout.contains("duplicates 1\nunordered  2\n"), "{}", told.stdout);
    // From the greatest to the least there is one step up, from a2 to c1.
    let told = dir.dcomp(&["verify", "falls", "--type", "record:2:1", "-r"]).fails(1);
    told.says("record 4, counted from 1");
    dir.dcomp(&["verify", "falls", "--type", "u64"]).fails(65).says("bytes are left over");
    put(&dir, "data.bin", &sorted("f64", &keys(1_200_000)));
    let told = dir.dcomp(&["verify", "data.bin", "--type", "f64"]).ok().stdout;
    h5import(&dir, "keys.h5", "keys", "FP", 64, "CHUNKED-DIMENSION-SIZES 4096");
    assert_eq!(dir.dcomp(&["verify", "keys.h5:/keys", "--type", "auto"]).ok().stdout, told);
    assert!(told.contains("records    1200000\n") && told.contains("unordered  0\n"), "{told}");
    dir.dcomp(&["verify", "data.bin", "--type", "f64", "--record", "x"]).fails(2);
}
