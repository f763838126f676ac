//! Checkpoints on one rank: kept, found, refused; every flipped bit is found.

use serde_json::json;

use super::*;
use crate::error::Kind;
use crate::store::crc::Extent;

fn open(directory: &Path, identity: &Value, start: Start) -> Result<(Checkpoints, Option<Found>)> {
    let opened = Checkpoints::open(&Comm::alone(), directory, identity.clone(), start);
    opened.map(|(checkpoints, found, _)| (checkpoints, found))
}

fn save(checkpoints: &Checkpoints, step: u64, kept: Vec<Kept>) {
    let part = vec![u8::try_from(step).unwrap(); 1000];
    let saved = Saved { head: json!({ "step": step }), part, kept };
    checkpoints.save(&Comm::alone(), saved, || 0.0).unwrap();
}

fn files(directory: &Path) -> Vec<PathBuf> {
    let mut all = Vec::new();
    let mut folders = vec![directory.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap().flatten() {
            let path = entry.path();
            if path.is_dir() { folders.push(path) } else { all.push(path) }
        }
    }
    all.sort();
    all
}

#[test]
fn the_newest_is_found_two_are_kept_and_none_stay_at_the_end() {
    let place = tempfile::tempdir().unwrap();
    let directory = place.path().join("state");
    let identity = json!({ "job": "test", "spec": { "width": 3 } });
    let (checkpoints, found) = open(&directory, &identity, Start::Resume).unwrap();
    assert!(found.is_none() && !checkpoints.any());
    for step in 0..5 {
        save(&checkpoints, step, Vec::new());
    }
    assert_eq!(checkpoints.stats().written, 5);
    drop(checkpoints);
    assert_eq!(read::numbers(&directory).unwrap(), [4, 5]);
    let error = open(&directory, &identity, Start::Fresh).err().unwrap();
    assert!(error.kind == Kind::Usage && error.message.contains("--resume goes on"), "{error}");
    let other = json!({ "job": "test", "spec": { "width": 4 } });
    let error = open(&directory, &other, Start::Resume).err().unwrap();
    assert!(error.message.contains("made with width 3, now it is 4"), "{error}");
    let (checkpoints, found) = open(&directory, &identity, Start::Resume).unwrap();
    let found = found.unwrap();
    assert_eq!((found.number, found.parts(), &found.state), (5, 1, &json!({ "step": 4 })));
    assert_eq!(found.part(0).unwrap(), (vec![4; 1000], Vec::new()));
    save(&checkpoints, 9, Vec::new());
    assert_eq!(read::numbers(&directory).unwrap(), [5, 6]);
    checkpoints.finish(&Comm::alone()).unwrap();
    assert!(!directory.exists());
}

#[test]
fn a_second_run_and_a_later_format_are_refused() {
    let place = tempfile::tempdir().unwrap();
    let identity = json!({ "job": "test" });
    let (held, _) = open(place.path(), &identity, Start::Resume).unwrap();
    save(&held, 1, Vec::new());
    let error = open(place.path(), &identity, Start::Resume).err().unwrap();
    assert!(error.message.contains("another run works with it"), "{error}");
    drop(held);
    let path = place.path().join("ckpt-000001/head.json");
    let text = std::fs::read_to_string(&path).unwrap();
    let (body, _) = text.trim_end().rsplit_once('\n').unwrap();
    let newer = format!("{}\n", body.replace("\"version\":1", "\"version\":2"));
    let sum = crc::hex(crc::checksum(newer.as_bytes()));
    std::fs::write(&path, format!("{newer}{sum}\n")).unwrap();
    let error = open(place.path(), &identity, Start::Resume).err().unwrap();
    assert!(error.kind == Kind::Usage && error.message.contains("format 2"), "{error}");
    open(place.path(), &identity, Start::Anew).unwrap();
    assert!(!is_there(place.path()));
}

/// Any bit of any file of the newest one: the one before is used instead, and if that is damaged too, the
/// run does not go on.
#[test]
fn every_flipped_bit_is_found() {
    let place = tempfile::tempdir().unwrap();
    let directory = place.path().join("state");
    let data = place.path().join("data");
    std::fs::write(&data, b"0123456789").unwrap();
    let identity = json!({ "job": "test" });
    let (checkpoints, _) = open(&directory, &identity, Start::Resume).unwrap();
    save(&checkpoints, 1, Vec::new());
    let kept = Kept { path: data.clone(), extents: vec![Extent::of(2, b"2345")] };
    save(&checkpoints, 2, vec![kept]);
    drop(checkpoints);
    let newest = files(&directory.join("ckpt-000002"));
    assert_eq!(newest.len(), 2);
    let mut flips = 0;
    for path in newest.iter().chain([&data]) {
        let whole = std::fs::read(path).unwrap();
        let bytes = if *path == data { 2..6 } else { 0..whole.len() };
        for byte in bytes.step_by(if whole.len() > 500 { 7 } else { 1 }) {
            let mut damaged = whole.clone();
            damaged[byte] ^= 1 << (byte % 8);
            std::fs::write(path, &damaged).unwrap();
            let (_, found) = open(&directory, &identity, Start::Resume).unwrap();
            assert_eq!(found.unwrap().number, 1, "byte {byte} of {}", path.display());
            flips += 1;
        }
        for shorter in [0, whole.len() / 2, whole.len() - 1].into_iter().filter(|_| *path != data) {
            std::fs::write(path, &whole[..shorter]).unwrap();
            assert_eq!(open(&directory, &identity, Start::Resume).unwrap().1.unwrap().number, 1);
        }
        std::fs::write(path, &whole).unwrap();
    }
    assert!(flips > 150, "{flips}");
    assert_eq!(open(&directory, &identity, Start::Resume).unwrap().1.unwrap().number, 2);
    for path in files(&directory).iter().filter(|path| path.ends_with("head.json")) {
        std::fs::write(path, b"{}").unwrap();
    }
    let error = open(&directory, &identity, Start::Resume).err().unwrap();
    assert!(error.kind == Kind::BadInput && error.message.contains("no checkpoint in"), "{error}");
}

#[test]
fn parts_come_back_as_they_were() {
    let kept =
        Kept { path: "a b/ü".into(), extents: vec![Extent::of(0, b"x"), Extent::of(9, b"")] };
    let part = Part { kept: vec![kept], data: vec![1, 2, 3] };
    let bytes = part.encode();
    assert_eq!(Part::decode(&bytes), Some(part));
    for end in 0..bytes.len() - 3 {
        assert_eq!(Part::decode(&bytes[..end]), None, "cut at {end}");
    }
    assert_eq!(Part::decode(&[0xFF; 64]), None);
}

/// What somebody has put in the place of a file or a checkpoint is passed over, without waiting for it, and
/// goes with the rest.
#[test]
fn what_is_no_file_is_passed_over() {
    let place = tempfile::tempdir().unwrap();
    let directory = place.path().join("state");
    let identity = json!({ "job": "test" });
    let (checkpoints, _) = open(&directory, &identity, Start::Resume).unwrap();
    save(&checkpoints, 1, Vec::new());
    let data = directory.join("runs-00000-0123456789abcdef.data");
    std::fs::write(&data, b"0123456789").unwrap();
    let kept = Kept {
        path: "runs-00000-0123456789abcdef.data".into(),
        extents: vec![Extent::of(2, b"2345")],
    };
    save(&checkpoints, 2, vec![kept]);
    drop(checkpoints);
    let newest = directory.join("ckpt-000002");
    for path in [newest.join(HEAD), newest.join("part-00000"), data.clone(), newest] {
        std::fs::rename(&path, place.path().join("aside")).unwrap();
        nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).unwrap();
        let (_, found) = open(&directory, &identity, Start::Resume).unwrap();
        assert_eq!(found.unwrap().number, 1, "{}", path.display());
        std::fs::remove_file(&path).ok();
        std::fs::rename(place.path().join("aside"), &path).unwrap();
        // It goes where no head that can be read names it.
        std::fs::write(&data, b"0123456789").unwrap();
    }
    for name in ["ckpt-000003", "ckpt-18446744073709551615", "unfinished-000007"] {
        std::fs::write(directory.join(name), b"x").unwrap();
    }
    // What has no name of ours is nobody's business.
    let others = ["ckpt-best", "unfinished-essay", "ckpt-1", "mine.data", "runs-00000-1.data"];
    for name in others {
        std::fs::create_dir(directory.join(name)).unwrap();
        std::fs::write(directory.join(name).join("weights"), b"x").unwrap();
        std::fs::write(directory.join(format!("{name}.data")), b"x").unwrap();
    }
    let (checkpoints, found) = open(&directory, &identity, Start::Resume).unwrap();
    assert_eq!(found.unwrap().number, 2);
    save(&checkpoints, 3, Vec::new());
    checkpoints.finish(&Comm::alone()).unwrap();
    let left: Vec<_> = std::fs::read_dir(&directory).unwrap().flatten().collect();
    assert_eq!(left.len(), 2 * others.len(), "all that is not ours, and only that: {left:?}");
}

/// Numbers that no run wrote, behind a checksum that fits.
#[test]
fn pieces_beyond_all_files_are_refused() {
    let place = tempfile::tempdir().unwrap();
    let identity = json!({ "job": "test" });
    let data = place.path().join("data");
    std::fs::write(&data, b"0123456789").unwrap();
    for (offset, bytes) in [(u64::MAX, 2), (8, 3), (1 << 63, 1 << 63), (0, u64::MAX)] {
        let directory = place.path().join(format!("{offset}-{bytes}"));
        let (checkpoints, _) = open(&directory, &identity, Start::Resume).unwrap();
        let extents = vec![Extent { offset, bytes, crc64: 0 }];
        save(&checkpoints, 1, vec![Kept { path: data.clone(), extents }]);
        drop(checkpoints);
        let error = open(&directory, &identity, Start::Resume).err().unwrap();
        assert!(error.kind == Kind::BadInput && error.message.contains("data"), "{error}");
    }
}

/// What a kill in the middle of taking them away leaves is taken away with them.
#[test]
fn nothing_is_left_of_a_complete_run() {
    let place = tempfile::tempdir().unwrap();
    let directory = place.path().join("state");
    for names in [&["unfinished-000001"][..], &["ckpt-000001", "unfinished-000002"]] {
        for name in names {
            std::fs::create_dir_all(directory.join(name)).unwrap();
            std::fs::write(directory.join(name).join("part-00000"), "half").unwrap();
        }
        discard(&directory).unwrap();
        assert!(!directory.exists(), "{names:?}");
    }
}
