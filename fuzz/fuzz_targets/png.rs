//! Any bytes as a PNG, and as the chunks of one with checksums that fit.
#![no_main]

use dcomp::store::crc::crc32;
use dcomp::store::png::check::{beginning, check};
use libfuzzer_sys::fuzz_target;

const KINDS: [&[u8; 4]; 7] = [b"IHDR", b"sRGB", b"gAMA", b"tEXt", b"iTXt", b"IDAT", b"IEND"];

/// The input cut into chunks: a byte names the kind, one the length.
fn sealed(mut input: &[u8]) -> Vec<u8> {
    let mut png = b"\x89PNG\r\n\x1a\n".to_vec();
    while let Some((&[kind, length], rest)) = input.split_first_chunk() {
        let (data, behind) = rest.split_at(rest.len().min(length.into()));
        let chunk = [&KINDS[usize::from(kind) % KINDS.len()][..], data].concat();
        png.extend(u32::try_from(data.len()).expect("a byte").to_be_bytes());
        png.extend(&chunk);
        png.extend(u32::try_from(crc32(&chunk)).expect("32 bits").to_be_bytes());
        input = behind;
    }
    png
}

fuzz_target!(|input: &[u8]| {
    for png in [input.to_vec(), sealed(input)] {
        if check(png.as_slice()).is_ok() {
            assert!(beginning(png.as_slice()).is_ok());
        }
    }
});
