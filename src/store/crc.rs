//! CRC-64/NVME of pieces that lie side by side; CRC-32 of records.
//!
//! The checksum of a concatenation follows from those of its parts, so ranks sum their own bytes
//! and the file's checksum costs no second pass.

use std::sync::OnceLock;

use crc_fast::CrcAlgorithm::{Crc32IsoHdlc, Crc64Nvme};

/// A contiguous piece of a file, with the checksum of the bytes that belong there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Extent {
    /// Where it begins in the file.
    pub offset: u64,
    /// How long it is.
    pub bytes: u64,
    /// CRC-64/NVME of its bytes.
    pub crc64: u64,
}

impl Extent {
    /// The extent of `data` at `offset`.
    pub fn of(offset: u64, data: &[u8]) -> Self {
        Self { offset, bytes: crate::num::to_u64(data.len()), crc64: checksum(data) }
    }

    /// The extent of `self` followed by `next`, when that one begins where this one ends.
    pub fn joined(self, next: Self) -> Option<Self> {
        // They may come from a file: then any numbers.
        let follows = self.offset.checked_add(self.bytes) == Some(next.offset);
        let bytes = self.bytes.checked_add(next.bytes).filter(|_| follows)?;
        let crc64 = combine(self.crc64, next.crc64, next.bytes);
        Some(Self { offset: self.offset, bytes, crc64 })
    }
}

/// Adds an extent, joined with the last one where it follows it.
pub fn note(extents: &mut Vec<Extent>, extent: Extent) {
    match extents.last().and_then(|last| last.joined(extent)) {
        Some(joined) => *extents.last_mut().expect("just read") = joined,
        None => extents.push(extent),
    }
}

/// CRC-64/NVME of `data`.
pub fn checksum(data: &[u8]) -> u64 {
    crc_fast::checksum(Crc64Nvme, data)
}

/// CRC-32 of `data`, as zlib has it: what `valsort` of the sort benchmark adds up over records.
pub fn crc32(data: &[u8]) -> u64 {
    crc_fast::checksum(Crc32IsoHdlc, data)
}

/// The checksum of two adjacent pieces; `second_bytes` is the second one's length.
///
/// The first piece's checksum is multiplied by x^(8 `second_bytes`) modulo the polynomial, from a
/// table of x^(2^k): a microsecond. The crate's own function squares 64 x 64 bit matrices, which
/// takes a hundred, and strips of pictures make this call thousands of times.
pub fn combine(first: u64, second: u64, second_bytes: u64) -> u64 {
    static POWERS: OnceLock<[u64; 64]> = OnceLock::new();
    let powers = POWERS.get_or_init(|| {
        let mut powers = [X; 64];
        for at in 1..64 {
            powers[at] = multiply(powers[at - 1], powers[at - 1]);
        }
        powers
    });
    // Bit k of the length in bytes stands for x^(2^(k + 3)); the group of powers of x has fewer
    // than 2^64 elements, so the table needs no wrapping for any length below 2^61.
    let mut shifted = first;
    for bit in (0..61).filter(|bit| second_bytes >> bit & 1 == 1) {
        shifted = multiply(powers[bit + 3], shifted);
    }
    shifted ^ second
}

/// The reflected polynomial of CRC-64/NVME, without its leading term.
const POLYNOMIAL: u64 = 0x9A6C_9329_AC4B_C9B5;

/// The polynomial x: reflected, so the highest bit is x^0.
const X: u64 = 1 << 62;

/// The product of two polynomials over GF(2), modulo [`POLYNOMIAL`].
fn multiply(a: u64, mut b: u64) -> u64 {
    let mut product = 0;
    for bit in (0..64).rev() {
        // No branch: the bits are random, and mispredictions cost more than the work.
        product ^= b & (a >> bit & 1).wrapping_neg();
        b = (b >> 1) ^ (POLYNOMIAL & (b & 1).wrapping_neg());
    }
    product
}

/// Joins extents of any order into the one that covers `0..total`.
///
/// # Errors
/// The offset of the first gap or overlap.
pub fn cover(mut extents: Vec<Extent>, total: u64) -> Result<u64, u64> {
    extents.retain(|extent| extent.bytes > 0);
    extents.sort_unstable();
    let mut whole = Extent::of(0, &[]);
    for extent in extents {
        whole = whole.joined(extent).ok_or(whole.bytes.min(extent.offset))?;
    }
    if whole.bytes == total { Ok(whole.crc64) } else { Err(whole.bytes.min(total)) }
}

/// The checksum as it stands in records.
pub fn hex(crc64: u64) -> String {
    format!("{crc64:016x}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The check values in the catalogue of parametrised CRC algorithms.
    #[test]
    fn published_check_value() {
        assert_eq!(hex(checksum(b"123456789")), "ae8b14860a799888");
        assert_eq!(crc32(b"123456789"), 0xCBF4_3926);
    }

    proptest! {
        #[test]
        fn combining_is_what_the_library_does(first: u64, second: u64, bytes in 0_u64..1 << 60) {
            for bytes in [bytes, bytes >> 20, bytes >> 40, bytes >> 57] {
                let expected = crc_fast::checksum_combine(Crc64Nvme, first, second, bytes);
                prop_assert_eq!(combine(first, second, bytes), expected);
            }
        }
    }

    #[test]
    fn pieces_in_any_order_give_the_whole() {
        let data: Vec<u8> = (0..10_000_u32).map(|i| i.to_le_bytes()[0] ^ 0x5A).collect();
        let cuts = [0, 1, 7, 4096, 4096, 9999, 10_000];
        let mut extents: Vec<Extent> =
            cuts.windows(2).map(|w| Extent::of(w[0] as u64, &data[w[0]..w[1]])).collect();
        extents.reverse();
        assert_eq!(cover(extents.clone(), 10_000), Ok(checksum(&data)));
        let gap = extents.iter().copied().filter(|extent| extent.offset != 1).collect();
        assert_eq!(cover(gap, 10_000), Err(1));
        let mut overlap = extents.clone();
        overlap.push(Extent::of(4000, &data[4000..4100]));
        assert!(cover(overlap, 10_000).is_err());
        assert_eq!(cover(extents.clone(), 10_001), Err(10_000));
        extents.push(Extent { offset: 10_000, bytes: u64::MAX, crc64: 0 });
        extents.push(Extent { offset: u64::MAX, bytes: 1, crc64: 0 });
        assert_eq!(cover(extents, 10_000), Err(10_000));
    }
}
