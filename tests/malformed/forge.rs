//! What is done to a checkpoint before a run goes on from it.

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use dcomp::num::to_u64;
use dcomp::store::crc;
use serde_json::{Value, json};

use super::checkpoint::{Scene, copy, remove};
use super::mutate;
use crate::chance::Chance;

/// Changes something; says what. Whether checksums fit afterwards.
pub type Change = fn(&mut Chance, &Scene) -> (String, bool);

pub const CHANGES: [Change; 12] = [
    bytes,
    forged_head,
    size,
    forged_part,
    kind,
    exchanged,
    forged_word,
    gone,
    forged_head,
    version,
    strange_name,
    forged_word,
];

fn any_file(chance: &mut Chance, scene: &Scene) -> PathBuf {
    let files = scene.files();
    files[chance.below(files.len())].clone()
}

/// Any bytes of a file.
fn bytes(chance: &mut Chance, scene: &Scene) -> (String, bool) {
    let path = any_file(chance, scene);
    let changed = mutate::bytes(chance, &std::fs::read(&path).unwrap());
    std::fs::write(&path, changed).unwrap();
    (format!("bytes of {}", path.display()), false)
}

/// Emptied, cut, longer, or very long with nothing in it.
fn size(chance: &mut Chance, scene: &Scene) -> (String, bool) {
    let path = any_file(chance, scene);
    let file = std::fs::File::options().write(true).open(&path).unwrap();
    let length = file.metadata().unwrap().len();
    let new = [0, length / 2, length.saturating_sub(1), length + 1, 1 << 40][chance.below(5)];
    file.set_len(new).unwrap();
    (format!("{} is {new} bytes long instead of {length}", path.display()), false)
}

/// Something that is no file, in a file's or a directory's place.
fn kind(chance: &mut Chance, scene: &Scene) -> (String, bool) {
    let mut places = scene.files();
    places.extend(scene.heads().iter().map(|head| head.parent().unwrap().to_owned()));
    places.push(scene.dir.path("ck"));
    let path = &places[chance.below(places.len())];
    let moved = scene.dir.path("out-of-the-way");
    std::fs::rename(path, &moved).unwrap();
    let what = match chance.below(6) {
        0 => {
            std::fs::create_dir(path).unwrap();
            "a directory"
        }
        1 => {
            nix::unistd::mkfifo(path, nix::sys::stat::Mode::S_IRWXU).unwrap();
            "a FIFO"
        }
        2 => {
            symlink(&moved, path).unwrap();
            "a link to what it was"
        }
        3 => {
            symlink(path, path).unwrap();
            "a link to itself"
        }
        4 => {
            symlink("/dev/zero", path).unwrap();
            "a link to a device"
        }
        _ => {
            std::fs::write(path, "x").unwrap();
            "a file"
        }
    };
    (format!("{} is {what}", path.display()), false)
}

fn exchanged(chance: &mut Chance, scene: &Scene) -> (String, bool) {
    let (one, other) = (any_file(chance, scene), any_file(chance, scene));
    let (first, second) = (std::fs::read(&one).unwrap(), std::fs::read(&other).unwrap());
    std::fs::write(&one, second).unwrap();
    let what = if chance.one_in(2) {
        std::fs::write(&other, first).unwrap();
        "has changed places with"
    } else {
        "is a copy of"
    };
    (format!("{} {what} {}", one.display(), other.display()), false)
}

/// A file or a whole checkpoint.
fn gone(chance: &mut Chance, scene: &Scene) -> (String, bool) {
    let path = any_file(chance, scene);
    let path = if chance.one_in(4) { path.parent().unwrap().to_owned() } else { path };
    if path == scene.dir.path("") || path == scene.dir.path("ck") {
        return ("nothing changed".into(), false);
    }
    remove(&path);
    (format!("{} is gone", path.display()), false)
}

/// Entries that dcomp would not have made.
fn strange_name(chance: &mut Chance, scene: &Scene) -> (String, bool) {
    const NAMES: [&str; 14] = [
        "ckpt-000009",
        "ckpt-000000",
        "ckpt-18446744073709551615",
        "ckpt-18446744073709551614",
        "ckpt-18446744073709551616",
        "ckpt-0000002",
        "ckpt-+00002",
        "ckpt-",
        "ckpt-000002 ",
        "unfinished-000001",
        "unfinished-000003",
        "runs-00000-0.data",
        "now",
        "\u{1f4a5}.data",
    ];
    let name = chance.pick(&NAMES);
    let path = scene.dir.path("ck").join(name);
    let heads = scene.heads();
    let what = match chance.below(4) {
        0 => {
            std::fs::create_dir(&path).unwrap();
            "an empty directory"
        }
        1 => {
            std::fs::write(&path, "x").unwrap();
            "a file"
        }
        2 => {
            symlink("ckpt-000001", &path).unwrap();
            "a link to a checkpoint"
        }
        _ => {
            copy(heads[chance.below(heads.len())].parent().unwrap(), &path);
            "a copy of a checkpoint"
        }
    };
    (format!("{name:?} is {what}"), false)
}

/// A head whose checksum fits.
fn write_head(path: &Path, body: &[u8]) {
    let body = [body, b"\n"].concat();
    let sum = crc::hex(crc::checksum(&body));
    std::fs::write(path, [&body, sum.as_bytes(), b"\n"].concat()).unwrap();
}

fn read_head(path: &Path) -> Value {
    let text = std::fs::read_to_string(path).unwrap();
    serde_json::from_str(text.lines().next().unwrap()).unwrap()
}

fn newest(scene: &Scene) -> PathBuf {
    scene.heads().pop().unwrap()
}

/// Another format.
fn version(chance: &mut Chance, scene: &Scene) -> (String, bool) {
    let path = newest(scene);
    let mut head = read_head(&path);
    let versions =
        [json!(2), json!(u64::MAX), json!(0), json!(-1), json!(1.5), json!("1"), json!([1])];
    head["version"] = versions[chance.below(versions.len())].clone();
    if chance.one_in(3) {
        let programs = [json!("9.9.9"), json!(null), json!("\n\u{1b}[2J"), json!({ "a": 1 })];
        head["program"] = programs[chance.below(programs.len())].clone();
    }
    write_head(&path, head.to_string().as_bytes());
    (format!("version {} of {}", head["version"], head["program"]), true)
}

/// Values of the newest head, mostly of its state.
fn forged_head(chance: &mut Chance, scene: &Scene) -> (String, bool) {
    let path = newest(scene);
    let mut head = read_head(&path);
    let body = match chance.below(8) {
        0 => mutate::json(chance, &head),
        1 => mutate::text(chance, &head.to_string()),
        2 => b"[".repeat(100_000),
        _ => {
            let key = chance.pick(&["state", "state", "state", "parts", "files"]);
            let changed = mutate::json(chance, &head[key]);
            head[key] = serde_json::from_slice(&changed).unwrap_or(Value::Null);
            head.to_string().into_bytes()
        }
    };
    write_head(&path, &body);
    (
        format!(
            "forged {}: {}",
            path.display(),
            String::from_utf8_lossy(&body[..body.len().min(4000)])
        ),
        true,
    )
}

/// Gives a part of the newest checkpoint other bytes that its head knows of.
fn forge(
    chance: &mut Chance,
    scene: &Scene,
    change: impl Fn(&mut Chance, &[u8]) -> Vec<u8>,
) -> String {
    let path = newest(scene);
    let mut head = read_head(&path);
    let parts = head["parts"].as_array().unwrap().len();
    let number = chance.below(parts);
    let part = path.parent().unwrap().join(format!("part-{number:05}"));
    let changed = change(chance, &std::fs::read(&part).unwrap());
    std::fs::write(&part, &changed).unwrap();
    head["parts"][number] =
        json!({ "bytes": changed.len(), "crc64": crc::hex(crc::checksum(&changed)) });
    write_head(&path, head.to_string().as_bytes());
    format!("forged {}", part.display())
}

fn forged_part(chance: &mut Chance, scene: &Scene) -> (String, bool) {
    (forge(chance, scene, mutate::bytes), true)
}

/// A number of a part, which is 4 or 8 bytes long.
fn forged_word(chance: &mut Chance, scene: &Scene) -> (String, bool) {
    let mut told = String::new();
    let change = |chance: &mut Chance, sound: &[u8]| {
        let mut bytes = sound.to_vec();
        for _ in 0..=chance.below(2) {
            let places = bytes.len() / 8;
            // What decides stands in front, mostly.
            let front = chance.one_in(2);
            let place = chance.below(if front { places.min(40) } else { places });
            let word: &mut [u8; 8] = (&mut bytes[8 * place..8 * place + 8]).try_into().unwrap();
            let old = u64::from_le_bytes(*word);
            let new = match chance.below(8) {
                0 => 0,
                1 => u64::MAX,
                2 => u64::MAX - to_u64(chance.below(4096)),
                3 => i64::MAX.unsigned_abs(),
                4 => old.wrapping_add(1),
                5 => old.wrapping_sub(1),
                6 => 1 << chance.below(64),
                _ => old ^ 1 << chance.below(64),
            };
            *word = new.to_le_bytes();
        }
        bytes
    };
    told.push_str(&forge(chance, scene, change));
    (told, true)
}
