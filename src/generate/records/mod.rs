//! The sort benchmark's records (sortbenchmark.org): 100 bytes that begin with a key of 10.
//!
//! With seed 0 they are byte for byte those of Chris Nyberg's gensort 1.5, whose layout and constants are
//! published: binary, `-a` and `-s`, and so are the sums that `valsort` prints. Other seeds begin the same
//! generator elsewhere; gensort has no seed. Record `i` takes the random number after `i` earlier ones, of
//! 128 bits by a linear congruential generator that can be told to skip (L'Ecuyer, Mathematics of
//! Computation 68, 1999), so any part of a data set can be made alone.

pub mod spec;
#[cfg(test)]
mod tests;

use crate::generate::random::Stream;
use crate::num::{to_u64, to_usize};
use crate::store::crc::crc32;

/// Bytes of a record.
pub const RECORD_BYTES: usize = 100;

/// Bytes of its key, at its beginning.
pub const KEY_BYTES: usize = 10;

/// The generator `x -> A x + C` modulo 2^128. The increment begins with the letters of a name.
const A: u128 = 0x2360_ED05_1FC6_5DA4_4385_DF64_9FCC_F645;
const C: u128 = 0x4A69_6D47_7261_7952_4950_2020_2020_2001;

/// What the upper 80 bits of ten successive random numbers are combined with, to be the ten parts of a
/// binary record: the first is the key.
const MASKS: [u128; 10] = [
    0,
    0xF0E8_E4E2_E1D8_D4D2_D1CC,
    0xCAC9_C6C5_C3B8_B4B2_B1AC,
    0xAAA9_A6A5_A39C_9A99_9695,
    0x938E_8D8B_8778_7472_716C,
    0x6A69_6665_635C_5A59_5655,
    0x534E_4D4B_473C_3A39_3635,
    0x332E_2D2B_271E_1D1B_170F,
    0xC8C4_C2C1_9894_9291_8CE0,
    0x170F_332E_2D2B_271E_1D1B,
];

/// Bytes of a key that skew can replace.
const SKEW_BYTES: usize = 6;
const SKEW_BITS: u32 = 48;

/// How records look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Random bytes throughout.
    Binary,
    /// Printable, each record a line that ends in CR LF.
    Ascii,
}

/// Makes the records of one data set; threads share it as it is, nothing in it changes.
#[derive(Debug)]
pub struct RecordSource {
    /// The number of the first record.
    start: u64,
    count: u64,
    form: Form,
    /// The state before record 0.
    origin: u128,
    /// What skewed keys may begin with, by the length of the record's number in bits: the key of the record
    /// whose number that length is.
    prefixes: Option<Box<[[u8; SKEW_BYTES]; 65]>>,
}

impl RecordSource {
    /// Records `start..start + count` of the endless set that `seed` names.
    ///
    /// # Errors
    /// The parameter at fault and a sentence, when numbers go beyond 64 bits or bytes beyond a file.
    pub fn new(
        form: Form,
        skewed: bool,
        start: u64,
        count: u64,
        seed: u64,
    ) -> Result<Self, (&'static str, String)> {
        if count > u64::MAX >> 8 {
            return Err((
                "count",
                format!("{count} records are more than a file holds; at most 2^56"),
            ));
        }
        if start.checked_add(count).is_none() {
            return Err(("start", format!("{start} and {count} records go beyond record 2^64")));
        }
        let stream = Stream::new(seed, 21);
        let origin = u128::from(stream.bits(0)) << 64 | u128::from(stream.bits(1));
        let origin = if seed == 0 { 0 } else { origin };
        let mut source = Self { start, count, form, origin, prefixes: None };
        if skewed {
            source.prefixes = Some(source.prefixes());
        }
        Ok(source)
    }

    /// How many records there are.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The records from the `first` of this set on; `bytes` is a whole number of them.
    ///
    /// # Panics
    /// When the set has no such records.
    pub fn fill(&self, first: u64, bytes: &mut [u8]) {
        let (records, rest) = bytes.as_chunks_mut::<RECORD_BYTES>();
        assert!(rest.is_empty(), "{} bytes end within a record", bytes.len());
        let end = first.checked_add(to_u64(records.len()));
        assert!(end.is_some_and(|end| end <= self.count), "{first} + {} records", records.len());
        self.make(self.start + first, records);
        if let Some(prefixes) = &self.prefixes {
            self.skew(self.start + first, records, prefixes);
        }
    }

    fn make(&self, number: u64, records: &mut [[u8; RECORD_BYTES]]) {
        let state = skip(self.origin, u128::from(number) + 1);
        match self.form {
            Form::Binary => binary(state, records),
            Form::Ascii => ascii(state, number, records),
        }
    }

    /// The keys of records 0 to 64, cut.
    fn prefixes(&self) -> Box<[[u8; SKEW_BYTES]; 65]> {
        let mut records = [[0; RECORD_BYTES]; 65];
        self.make(0, &mut records);
        let prefix = |record: [u8; RECORD_BYTES]| *record.first_chunk().expect("a key is longer");
        Box::new(records.map(prefix))
    }

    /// Replaces the beginnings of keys: three of four share some bits with many others.
    fn skew(
        &self,
        number: u64,
        records: &mut [[u8; RECORD_BYTES]],
        prefixes: &[[u8; SKEW_BYTES]; 65],
    ) {
        let mut state = skip(self.origin, u128::from(number) + 1);
        for (number, record) in (number..).zip(records) {
            let prefix = prefixes[prefix_of(number)];
            let choice = lower(state) >> 32;
            match self.form {
                Form::Binary => skew_bits(record, prefix, choice & 63),
                Form::Ascii => {
                    let bytes = Some(to_usize(choice & 7)).filter(|bytes| *bytes <= SKEW_BYTES);
                    let bytes = bytes.unwrap_or(0);
                    record[..bytes].copy_from_slice(&prefix[..bytes]);
                }
            }
            state = next(state);
        }
    }
}

/// The sum of the CRC-32 of each record, which the order of records does not change. gensort and valsort
/// print it in hexadecimal.
pub fn checksum(records: &[u8]) -> u128 {
    records.chunks(RECORD_BYTES).map(|record| u128::from(crc32(record))).sum()
}

#[inline]
fn next(state: u128) -> u128 {
    state.wrapping_mul(A).wrapping_add(C)
}

/// The state `steps` later: powers of the map `x -> a x + c` by squaring.
fn skip(state: u128, mut steps: u128) -> u128 {
    let (mut factor, mut addend) = (1_u128, 0_u128);
    let (mut a, mut c) = (A, C);
    while steps > 0 {
        if steps & 1 == 1 {
            factor = factor.wrapping_mul(a);
            addend = addend.wrapping_mul(a).wrapping_add(c);
        }
        c = c.wrapping_mul(a.wrapping_add(1));
        a = a.wrapping_mul(a);
        steps >>= 1;
    }
    state.wrapping_mul(factor).wrapping_add(addend)
}

#[inline]
fn upper(state: u128) -> u64 {
    u64::try_from(state >> 64).expect("64 bits")
}

#[inline]
fn lower(state: u128) -> u64 {
    u64::try_from(state & u128::from(u64::MAX)).expect("64 bits")
}

fn binary(mut state: u128, records: &mut [[u8; RECORD_BYTES]]) {
    // The upper 80 bits of this record's random number and of the nine after it.
    let mut window = [0_u128; 10];
    for entry in &mut window {
        *entry = state >> 48;
        state = next(state);
    }
    for record in records {
        for ((part, random), mask) in record.chunks_exact_mut(KEY_BYTES).zip(window).zip(MASKS) {
            part.copy_from_slice(&(random ^ mask).to_be_bytes()[16 - KEY_BYTES..]);
        }
        window.rotate_left(1);
        window[9] = state >> 48;
        state = next(state);
    }
}

fn ascii(mut state: u128, number: u64, records: &mut [[u8; RECORD_BYTES]]) {
    for (number, record) in (number..).zip(records) {
        let low = lower(state);
        printable(upper(state), &mut record[..8]);
        printable(low, &mut record[8..KEY_BYTES]);
        record[10..12].fill(b' ');
        record[12..28].fill(b'0');
        for (digit, place) in record[28..44].iter_mut().enumerate() {
            *place = hex_digit(number >> (60 - 4 * digit));
        }
        record[44..46].fill(b' ');
        for (digit, places) in record[46..98].chunks_exact_mut(4).enumerate() {
            places.fill(hex_digit(low >> (48 - 4 * digit)));
        }
        record[98..].copy_from_slice(b"\r\n");
        state = next(state);
    }
}

/// Digits to the base 95, the last first, from space to tilde.
#[inline]
fn printable(mut random: u64, bytes: &mut [u8]) {
    for byte in bytes {
        *byte = b' ' + u8::try_from(random % 95).expect("below 95");
        random /= 95;
    }
}

#[inline]
fn hex_digit(value: u64) -> u8 {
    b"0123456789ABCDEF"[to_usize(value & 15)]
}

/// Replaces the first `bits` bits of a key, or none of them when that is more than there are to replace.
fn skew_bits(record: &mut [u8; RECORD_BYTES], prefix: [u8; SKEW_BYTES], bits: u64) {
    let bits = u32::try_from(bits).ok().filter(|bits| *bits <= SKEW_BITS).unwrap_or(0);
    let word =
        |bytes: &[u8; SKEW_BYTES]| bytes.iter().fold(0, |word, byte| word << 8 | u64::from(*byte));
    let kept = u64::MAX.checked_shr(16 + bits).unwrap_or(0);
    let head: &mut [u8; SKEW_BYTES] = record.first_chunk_mut().expect("a key is longer");
    let mixed = word(head) & kept | word(&prefix) & !kept;
    head.copy_from_slice(&mixed.to_be_bytes()[2..]);
}

/// The length of a record's number in bits; gensort takes any of the upper four bits for the last.
fn prefix_of(number: u64) -> usize {
    if number >> 60 > 0 { 64 } else { to_usize(u64::from(u64::BITS - number.leading_zeros())) }
}
