//! Sound inputs turned into unsound ones.

use std::ops::Range;

use dcomp::num::to_u64;
use dcomp::store::crc;
use serde_json::{Value, json};

use crate::chance::Chance;

/// Words that have upset many a reader.
pub const NASTY: [&str; 34] = [
    "",
    "-1",
    "-0",
    "0",
    "00",
    "1e999",
    "-1e-999",
    "NaN",
    "inf",
    "-inf",
    "9223372036854775807",
    "9223372036854775808",
    "-9223372036854775809",
    "18446744073709551616",
    "99999999999999999999999999999999999999",
    "0x10",
    "1_000",
    "1.5",
    "null",
    "true",
    "{}",
    "[]",
    "\"",
    "'",
    "\\",
    "\u{0}",
    "\n",
    "\r\n",
    "\u{feff}",
    "\u{1f4a5}",
    "../../../../etc/passwd",
    "$(touch harm)",
    "-",
    "--",
];

/// Bytes that begin or end things.
const JUNK: [&[u8]; 10] = [
    b"\0",
    b"\xff\xfe",
    b"\xc3\x28",
    b"\n\n\n",
    b"\r",
    b"\"",
    b"]]]]",
    b"\x89PNG\r\n\x1a\n",
    b"\x89HDF\r\n\x1a\n",
    b"9999999999999999999999",
];

fn range(chance: &mut Chance, length: usize, longest: usize) -> Range<usize> {
    if length == 0 {
        return 0..0;
    }
    let start = chance.below(length);
    start..(start + 1 + chance.below(longest)).min(length)
}

/// One to four changes of any bytes: cut, flip, double, swap, insert, overwrite.
pub fn bytes(chance: &mut Chance, sound: &[u8]) -> Vec<u8> {
    let mut bytes = sound.to_vec();
    for _ in 0..=chance.below(4) {
        let piece = range(chance, bytes.len(), 64);
        match chance.below(7) {
            0 if chance.one_in(2) => bytes.truncate(piece.start),
            1 => {
                let copy = bytes[piece.clone()].to_vec();
                bytes.splice(piece.start..piece.start, copy);
            }
            2 => {
                drop(bytes.drain(piece));
            }
            3 => {
                let junk = JUNK[chance.below(JUNK.len())];
                bytes.splice(piece.start..piece.start, junk.iter().copied());
            }
            4 => bytes[piece].fill(if chance.one_in(2) { 0 } else { 0xFF }),
            5 => bytes[piece].reverse(),
            _ if !bytes.is_empty() => bytes[piece.start] ^= 1 << chance.below(8),
            _ => {}
        }
    }
    bytes
}

/// Changes of a text: as of bytes, or a number or word of it becomes a nasty one.
pub fn text(chance: &mut Chance, sound: &str) -> Vec<u8> {
    if chance.one_in(3) {
        return bytes(chance, sound.as_bytes());
    }
    let inside = |c: char| c.is_ascii_alphanumeric() || c == '.' || c == '_';
    let starts: Vec<usize> = sound
        .char_indices()
        .filter(|&(at, c)| inside(c) && !sound[..at].ends_with(inside))
        .map(|(at, _)| at)
        .collect();
    let Some(&start) = starts.get(chance.below(starts.len().max(1))) else { return Vec::new() };
    let length = sound[start..].find(|c| !inside(c)).unwrap_or(sound.len() - start);
    let word = if chance.one_in(8) { "9".repeat(5000) } else { chance.pick(&NASTY).to_owned() };
    format!("{}{word}{}", &sound[..start], &sound[start + length..]).into_bytes()
}

/// A part of a JSON value becomes another one, goes, or is given in another type.
pub fn json(chance: &mut Chance, sound: &Value) -> Vec<u8> {
    let (mut at, mut place, mut parent) = (sound, String::new(), None);
    while !chance.one_in(4) {
        let (step, inner) = match at {
            Value::Object(fields) if !fields.is_empty() => {
                let (key, inner) = fields.iter().nth(chance.below(fields.len())).unwrap();
                (key.clone(), inner)
            }
            Value::Array(items) if !items.is_empty() => {
                let index = chance.below(items.len());
                (index.to_string(), &items[index])
            }
            _ => break,
        };
        parent = at.is_object().then(|| (place.clone(), step.clone()));
        place = format!("{place}/{step}");
        at = inner;
    }
    let mut value = sound.clone();
    match parent {
        Some((place, key)) if chance.one_in(4) => {
            let fields = value.pointer_mut(&place).unwrap().as_object_mut().unwrap();
            fields.remove(&key);
        }
        _ => *value.pointer_mut(&place).unwrap() = other_value(chance),
    }
    if chance.one_in(6) { text(chance, &value.to_string()) } else { value.to_string().into_bytes() }
}

fn other_value(chance: &mut Chance) -> Value {
    match chance.below(10) {
        0 => Value::Null,
        1 => json!(-1),
        2 => json!(u64::MAX),
        3 => json!(i64::MAX),
        4 => json!(1e308),
        5 => json!(true),
        6 => json!([]),
        7 => json!({}),
        8 => json!([[[[["deep"]]]]]),
        _ => json!(chance.pick(&NASTY)),
    }
}

/// Mostly the header of an HDF5 file, whose numbers are eight bytes long.
pub fn hdf5(chance: &mut Chance, sound: &[u8]) -> Vec<u8> {
    let mut bytes = sound.to_vec();
    for _ in 0..=chance.below(6) {
        let header = if chance.one_in(5) { bytes.len() } else { bytes.len().min(6200) };
        let at = chance.below(header - 8);
        match chance.below(5) {
            0 => bytes[at] ^= 1 << chance.below(8),
            1 => bytes[at] = chance.byte(),
            2 => bytes[at..at + 8].fill(if chance.one_in(2) { 0 } else { 0xFF }),
            3 => bytes[at..at + 8].copy_from_slice(&(1_u64 << chance.below(64)).to_le_bytes()),
            _ if chance.one_in(8) => bytes.truncate(at + 8),
            _ => {
                let from = chance.below(header - 64);
                let piece = bytes[from..from + 64.min(bytes.len() - at - 1)].to_vec();
                bytes[at..at + piece.len()].copy_from_slice(&piece);
            }
        }
        if bytes.len() < 100 {
            break;
        }
    }
    bytes
}

/// A PNG whose chunks, with checksums that fit, are another sequence or hold other bytes.
pub fn png(chance: &mut Chance, sound: &[u8]) -> Vec<u8> {
    let mut chunks = chunks(sound);
    let at = chance.below(chunks.len());
    match chance.below(5) {
        0 => drop(chunks.remove(at)),
        1 => {
            let copy = chunks[at].clone();
            chunks.insert(at, copy);
        }
        2 => {
            let other = chance.below(chunks.len());
            chunks.swap(at, other);
        }
        3 => chunks[at].0 = *chance.pick::<[u8; 4]>(&[b"IDAT", b"tEXt", b"iTXt", b"abcd", b"IEND"]),
        _ => chunks[at].1 = bytes(chance, &chunks[at].1),
    }
    sealed(&chunks)
}

/// A PNG in whose texts something is replaced.
pub fn with_text(png: &[u8], from: &str, to: &str) -> Vec<u8> {
    let mut chunks = chunks(png);
    for (kind, data) in &mut chunks {
        if kind == b"tEXt" {
            let text: String = data.iter().map(|&byte| char::from(byte)).collect();
            *data = text.replace(from, to).into_bytes();
        }
    }
    sealed(&chunks)
}

/// One of the texts of a PNG, with a nasty word in it.
pub fn png_text(chance: &mut Chance, sound: &[u8]) -> Vec<u8> {
    let mut chunks = chunks(sound);
    let texts: Vec<usize> = (0..chunks.len()).filter(|&at| chunks[at].0 == *b"tEXt").collect();
    let at = texts[chance.below(texts.len())];
    let said: String = chunks[at].1.iter().map(|&byte| char::from(byte)).collect();
    chunks[at].1 = text(chance, &said);
    sealed(&chunks)
}

type Chunk = ([u8; 4], Vec<u8>);

fn chunks(png: &[u8]) -> Vec<Chunk> {
    let (mut at, mut chunks) = (8, Vec::new());
    while at < png.len() {
        let word = |at: usize| -> [u8; 4] { png[at..at + 4].try_into().unwrap() };
        let length = u32::from_be_bytes(word(at)) as usize;
        chunks.push((word(at + 4), png[at + 8..at + 8 + length].to_vec()));
        at += 12 + length;
    }
    chunks
}

fn sealed(chunks: &[Chunk]) -> Vec<u8> {
    let mut png = b"\x89PNG\r\n\x1a\n".to_vec();
    for (kind, data) in chunks {
        let sealed = [&kind[..], data].concat();
        png.extend(u32::try_from(to_u64(data.len())).unwrap().to_be_bytes());
        png.extend(&sealed);
        png.extend(u32::try_from(crc::crc32(&sealed)).unwrap().to_be_bytes());
    }
    png
}
