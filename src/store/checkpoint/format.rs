//! The bytes of a checkpoint: a head of JSON whose last line is its checksum, and parts. Pure.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::num::{to_u64, to_usize};
use crate::store::crc::{self, Extent};

/// The format's name; a later one of the same name has a greater number.
pub const SCHEMA: &str = "dcomp-checkpoint";

/// The format that this program writes, and the newest that it reads.
pub const VERSION: u64 = 1;

/// A part file of a checkpoint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Its length.
    pub bytes: u64,
    /// CRC-64/NVME, 16 hex digits.
    pub crc64: String,
}

/// What all ranks share.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Head {
    schema: String,
    version: u64,
    program: String,
    /// What a run that goes on must have in common.
    pub identity: Value,
    /// The job's own.
    pub state: Value,
    /// A part for each rank that wrote it.
    pub parts: Vec<Entry>,
    /// Files beside the checkpoints that it needs.
    #[serde(default)]
    pub files: Vec<String>,
}

/// Why bytes are no head.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unreadable {
    /// They are not as they were written.
    Damaged(String),
    /// A later program wrote them.
    Newer(String),
}

impl Head {
    /// Of this program.
    pub fn new(identity: Value, state: Value, parts: Vec<Entry>, files: Vec<String>) -> Self {
        let (schema, program) = (SCHEMA.to_owned(), env!("CARGO_PKG_VERSION").to_owned());
        Self { schema, version: VERSION, program, identity, state, parts, files }
    }

    /// As it stands in the file.
    pub fn encode(&self) -> Vec<u8> {
        let mut text = serde_json::to_string(self).expect("plain data serialises");
        text.push('\n');
        let sum = crc::hex(crc::checksum(text.as_bytes()));
        text.push_str(&sum);
        text.push('\n');
        text.into_bytes()
    }

    /// What [`encode`](Self::encode) wrote.
    ///
    /// # Errors
    /// When any bit differs, or a newer program wrote it.
    pub fn decode(bytes: &[u8]) -> Result<Self, Unreadable> {
        let damaged = |what: &str| Unreadable::Damaged(what.to_owned());
        let text = std::str::from_utf8(bytes).map_err(|_| damaged("its head is no text"))?;
        let body = text.strip_suffix('\n').ok_or_else(|| damaged("its head is cut short"))?;
        let (_, sum) = body.rsplit_once('\n').ok_or_else(|| damaged("its head is cut short"))?;
        let body = &text[..text.len() - sum.len() - 1];
        if crc::hex(crc::checksum(body.as_bytes())) != sum {
            return Err(damaged("its head has a wrong checksum"));
        }
        let value: Value =
            serde_json::from_str(body).map_err(|_| damaged("its head is no JSON"))?;
        let version = value["version"].as_u64().unwrap_or(0);
        if value["schema"] != SCHEMA || version == 0 {
            return Err(damaged("it is no checkpoint of dcomp"));
        }
        if version > VERSION {
            let program = value["program"].as_str().unwrap_or("of a later version");
            let program = program.escape_debug();
            return Err(Unreadable::Newer(format!("format {version}, written by dcomp {program}")));
        }
        serde_json::from_value(value).map_err(|cause| damaged(&format!("its head: {cause}")))
    }
}

/// A file outside the checkpoint, with pieces of it that must be as they were.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// The file; a path that does not begin at `/` begins in the directory of the checkpoints.
    pub path: PathBuf,
    /// The pieces.
    pub extents: Vec<Extent>,
}

/// What one rank wrote.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Part {
    /// Files outside.
    pub kept: Vec<Kept>,
    /// The job's own bytes.
    pub data: Vec<u8>,
}

impl Part {
    /// As it stands in the file: numbers are 8 bytes, little-endian; byte strings have their length before.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.data.len() + 64);
        put(&mut out, to_u64(self.kept.len()));
        for Kept { path, extents } in &self.kept {
            let name = path.as_os_str().as_encoded_bytes();
            put(&mut out, to_u64(name.len()));
            out.extend_from_slice(name);
            put(&mut out, to_u64(extents.len()));
            for extent in extents {
                for number in [extent.offset, extent.bytes, extent.crc64] {
                    put(&mut out, number);
                }
            }
        }
        out.extend_from_slice(&self.data);
        out
    }

    /// What [`encode`](Self::encode) wrote; `None` when the bytes are something else.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        use std::os::unix::ffi::OsStrExt;
        let mut rest = bytes;
        let count = take(&mut rest)?;
        let mut kept = Vec::new();
        for _ in 0..count {
            let length = to_usize(take(&mut rest)?);
            let name = rest.get(..length)?;
            rest = &rest[length..];
            let path = PathBuf::from(std::ffi::OsStr::from_bytes(name));
            let extents = take(&mut rest)?;
            let extent = |rest: &mut &[u8]| {
                Some(Extent { offset: take(rest)?, bytes: take(rest)?, crc64: take(rest)? })
            };
            let extents = (0..extents).map(|_| extent(&mut rest)).collect::<Option<_>>()?;
            kept.push(Kept { path, extents });
        }
        Some(Self { kept, data: rest.to_vec() })
    }
}

fn put(out: &mut Vec<u8>, number: u64) {
    out.extend(number.to_le_bytes());
}

fn take(rest: &mut &[u8]) -> Option<u64> {
    let (number, tail) = rest.split_first_chunk::<8>()?;
    *rest = tail;
    Some(u64::from_le_bytes(*number))
}
