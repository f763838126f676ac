//! Published check values, plain loops, and errors that must show.

#![allow(clippy::unwrap_used, reason = "a test may fail this way")]

use super::*;
use crate::num::{share64, to_u64};
use proptest::collection::vec;
use proptest::prelude::*;

/// CRC-32 bit by bit, from its definition: reflected polynomial, all ones before and after.
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0, |crc: u32, &byte| {
        (0..8).fold(crc ^ u32::from(byte), |crc, _| {
            if crc & 1 == 1 { crc >> 1 ^ 0xEDB8_8320 } else { crc >> 1 }
        })
    })
}

fn plain_check<T: Ord>(items: &[T]) -> Checked {
    let below = |at: &usize| items[*at] < items[at - 1];
    let positions = 1..items.len().max(1);
    Checked {
        unordered: to_u64(positions.clone().filter(below).count()),
        first_unordered: positions.clone().find(below).map(to_u64),
        duplicates: to_u64(positions.filter(|&at| items[at] == items[at - 1]).count()),
    }
}

#[test]
fn crc_is_that_of_zlib() {
    let mut digest = Digest::default();
    assert_eq!(digest.to_string(), "0");
    digest.add(b"123456789");
    // The check value of CRC-32/ISO-HDLC in the catalogue of parametrised CRC algorithms.
    assert_eq!(digest, Digest { count: 1, sum: 0xCBF4_3926 });
    digest.add(b"123456789");
    assert_eq!(digest.to_string(), "197e8724c");
}

#[test]
fn sums_of_keys_see_what_plain_sums_miss() {
    let pairs = [[1_u64, 4], [2, 3], [0, 5], [5, 0]];
    let sums = pairs.map(|pair| key_sum(&pair));
    assert_eq!(sums[2], sums[3], "the order does not matter");
    assert!(sums[0] != sums[1] && sums[1] != sums[2] && sums[0] != sums[2]);
    assert_ne!(key_sum(&[0_u32]), key_sum(&[0_u32, 0]), "a zero counts");
}

#[test]
fn positions_beyond_a_block() {
    for length in [4095, 4096, 4097, 8191, 8193, 10_007] {
        let mut keys: Vec<u32> = (0..length).collect();
        assert_eq!(check_keys(&keys), Checked::default());
        for at in [1_usize, 4095, 4096, 4097, 8190, 8192, 10_006] {
            let Some(key) = keys.get_mut(at) else { continue };
            let kept = std::mem::replace(key, 0);
            assert_eq!(check_keys(&keys), plain_check(&keys), "{length} {at}");
            keys[at] = kept;
        }
    }
    let equal = vec![7_u64; 10_007];
    let expected = Checked { duplicates: 10_006, ..Checked::default() };
    assert_eq!(check_keys(&equal), expected);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn records_and_their_pieces(
        bytes in vec(0..3_u8, 0..200),
        record in 1..6_usize,
        key in 1..6_usize,
        cut in 0..60_usize,
    ) {
        let layout = Layout::new(record, key.min(record)).unwrap();
        let bytes = &bytes[..bytes.len() / record * record];
        let items: Vec<&[u8]> = bytes.chunks(record).collect();
        let keys: Vec<&[u8]> = items.iter().map(|item| &item[..layout.key_bytes()]).collect();
        let digest = Digest::of_records(layout, bytes);
        let sum: u128 = items.iter().map(|item| u128::from(crc32(item))).sum();
        prop_assert_eq!(digest, Digest { count: to_u64(items.len()), sum });
        let checked = check_records(layout, bytes);
        prop_assert_eq!(checked, plain_check(&keys));

        let cut = cut.min(items.len());
        let (left, right) = bytes.split_at(cut * record);
        let halves = [left, right].map(|half| Digest::of_records(layout, half));
        prop_assert_eq!(halves[0].combine(halves[1]), digest);
        let halves = [left, right].map(|half| check_records(layout, half));
        let border = (0 < cut && cut < keys.len()).then(|| keys[cut - 1].cmp(keys[cut]));
        prop_assert_eq!(halves[0].then(to_u64(cut), border, halves[1]), checked);
    }

    #[test]
    fn keys_of_both_widths(keys in vec(prop_oneof![any::<u32>(), 0..9_u32], 0..300)) {
        let wide: Vec<u64> = keys.iter().map(|&key| u64::from(key)).collect();
        let sum = wide.iter().fold(0_u64, |sum, &key| sum.wrapping_add(share64(key)));
        prop_assert_eq!((key_sum(&keys), key_sum(&wide)), (sum, sum));
        prop_assert_eq!(check_keys(&keys), plain_check(&keys));
        prop_assert_eq!(check_keys(&wide), plain_check(&wide));
    }
}
