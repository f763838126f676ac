//! What a run with a failed call may leave behind, judged from outside: files before and after, exit code,
//! words.
//!
//! Either the run says that it failed, by a documented code and a sentence with the file and the system's
//! own words, and the directory is as it was; or it says that it is done, and every byte is that of a run
//! without a fault. A record of the failure is allowed. When the record itself cannot be written, the
//! outputs are there and the run says both.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;

use super::jobs::Job;
use super::shim::{Call, cause};
use crate::util::Done;

/// Where checkpoints are, when there are any.
pub const SAVES: &str = "/saves";

/// All files below a directory by their path in it; `None` for directories.
pub type Files = BTreeMap<String, Option<Vec<u8>>>;

/// Reads a directory.
pub fn files(directory: &Path) -> Files {
    let mut all = Files::new();
    let mut folders = vec![String::new()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(directory.join(&folder)).unwrap() {
            let entry = entry.unwrap();
            let name = entry.file_name().to_string_lossy().into_owned();
            let name = if folder.is_empty() { name } else { format!("{folder}/{name}") };
            if entry.file_type().unwrap().is_dir() {
                folders.push(name.clone());
                all.insert(name, None);
            } else {
                all.insert(name, Some(std::fs::read(entry.path()).unwrap()));
            }
        }
    }
    all
}

/// Makes the directory hold these files and no others.
pub fn restore(directory: &Path, wanted: &Files) {
    let there = files(directory);
    for (name, held) in there.iter().rev() {
        match (held, wanted.get(name)) {
            (None, Some(None)) => {}
            (None, _) => std::fs::remove_dir_all(directory.join(name)).unwrap(),
            (Some(_), _) if held.as_ref() == wanted.get(name).and_then(Option::as_ref) => {}
            (Some(_), _) => std::fs::remove_file(directory.join(name)).unwrap(),
        }
    }
    for (name, held) in wanted {
        let path = directory.join(name);
        match held {
            None if !path.is_dir() => std::fs::create_dir(path).unwrap(),
            Some(bytes) if !path.exists() => std::fs::write(path, bytes).unwrap(),
            _ => {}
        }
    }
}

/// How a run went on that is as it should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It refused, and left nothing.
    Refused,
    /// It is done, with the right bytes.
    Done,
    /// It is done, with the right bytes, and could not write its record.
    Unrecorded,
}

/// What is known of a run.
pub struct Seen<'a> {
    pub job: &'a Job,
    /// The directory that it works in.
    pub root: &'a Path,
    /// The calls that failed, at most one on each rank.
    pub hits: &'a [&'a Call],
    pub way: &'a str,
    pub before: &'a Files,
    pub after: &'a Files,
    /// What a run without a fault leaves.
    pub whole: &'a Files,
    pub done: &'a Done,
}

impl Seen<'_> {
    /// The verdict, or what is wrong.
    pub fn verdict(&self) -> Result<Verdict, String> {
        let is_error = !["EINTR", "SHORT"].contains(&self.way);
        match self.done.code {
            0 if is_error
                && self.hits.iter().any(|hit| hit.is_essential() && !self.is_spared(hit)) =>
            {
                Err("the error was passed over".into())
            }
            0 => {
                self.same(self.whole, &[self.job.record()])?;
                self.record(&self.job.record(), 0)?;
                Ok(Verdict::Done)
            }
            code if self.hits.is_empty() => Err(format!("code {code} though no call failed")),
            code @ (2 | 65 | 74) => self.refused(code),
            code => Err(format!("code {code}")),
        }
    }

    /// A checkpoint that could not be written costs nothing but itself, which is told. What it names
    /// (`.data`, part files) is no part of it. One that is taken away for a newer one may stay until the end.
    fn is_spared(&self, hit: &Call) -> bool {
        let own = hit.path.contains(SAVES) && !hit.path.ends_with(".data");
        let words = &self.done.stderr;
        let is_told = words.contains("no checkpoint this time") && words.contains(cause(self.way));
        own && (is_told || hit.kind == "rename" && hit.path.contains("/ckpt-"))
    }

    fn refused(&self, code: i32) -> Result<Verdict, String> {
        let repeated = self.hits.iter().all(|hit| hit.is_repeated());
        if self.way == "SHORT" || (self.way == "EINTR" && repeated) {
            return Err("this call must be repeated".into());
        }
        // One rank's error is told for all.
        let mut told = self.hits.iter().map(|hit| self.told(code, hit));
        told.clone().find(Result::is_ok).or_else(|| told.next()).expect("a call failed")?;
        let records = [self.job.record(), format!("{}.failed.json", self.job.outputs[0])];
        if self.done.stderr.contains("the output itself is complete and verified") {
            self.same(self.whole, &records)?;
            return Ok(Verdict::Unrecorded);
        }
        self.same(self.before, &records)?;
        let [record, failed] = records;
        if let Some(old) = self.before.get(&record) {
            if self.after.get(&record) != Some(old) {
                return Err("the record of the older output was replaced".into());
            }
            if self.after.contains_key(&failed)
                && self.after.get(&failed) != self.before.get(&failed)
            {
                self.record(&failed, code)?;
            }
        } else if self.after.contains_key(&record) {
            self.record(&record, code)?;
        }
        Ok(Verdict::Refused)
    }

    /// The directory is as `wanted`, these files aside.
    pub fn same(&self, wanted: &Files, aside: &[String]) -> Result<(), String> {
        for name in wanted.keys().chain(self.after.keys()).filter(|name| !aside.contains(name)) {
            match (wanted.get(name), self.after.get(name)) {
                (Some(one), Some(other)) if one == other => {}
                (Some(_), Some(_)) => return Err(format!("{name} has other bytes")),
                (Some(_), None) => return Err(format!("{name} is gone")),
                _ => return Err(format!("{name} was left behind")),
            }
        }
        Ok(())
    }

    /// A record tells this exit code.
    fn record(&self, name: &str, code: i32) -> Result<(), String> {
        let held = self.after.get(name).and_then(Option::as_ref).ok_or("there is no record")?;
        let record: Value =
            serde_json::from_slice(held).map_err(|cause| format!("{name}: {cause}"))?;
        if record["exit_code"] == code { Ok(()) } else { Err(format!("{name} tells another code")) }
    }

    /// The error names the file, and what the system said. A check of the command line that could not look
    /// at an older record asks for `--force` instead.
    fn told(&self, code: i32, hit: &Call) -> Result<(), String> {
        let words = &self.done.stderr;
        let unlooked = code == 2 && words.contains("the record");
        // All that HDF5 tells of it.
        let by_hdf5 = hit.kind == "lstat" && words.contains("can't retrieve stat info");
        if !words.contains(cause(self.way)) && !unlooked && !by_hdf5 {
            return Err(format!("\"{}\" is not told", cause(self.way)));
        }
        // A part file has the output's name in its own; of a directory any name in it will do.
        let names = self.job.line.split([' ', ':']).chain(self.job.outputs.iter().copied());
        let mut known: Vec<&str> =
            names.filter(|name| name.len() > 2 && !name.starts_with('-')).collect();
        known.extend(self.before.keys().map(String::as_str));
        let path = hit.path.strip_prefix(self.root.to_str().unwrap()).unwrap_or(&hit.path);
        let meant = known.iter().filter(|name| path.contains(**name)).max_by_key(|name| name.len());
        if path.contains(SAVES) && words.contains(&SAVES[1..]) {
            return Ok(());
        }
        let named = meant.map_or_else(
            || known.iter().any(|name| words.contains(name)),
            |name| words.contains(name),
        );
        if named { Ok(()) } else { Err(format!("{} is not named", meant.unwrap_or(&path))) }
    }
}
