//! Records against what gensort and valsort are known to print.

use proptest::prelude::*;

use super::*;
use crate::num::to_f64;

fn records(form: Form, skewed: bool, start: u64, count: u64, seed: u64) -> Vec<u8> {
    let source = RecordSource::new(form, skewed, start, count, seed).unwrap();
    let mut bytes = vec![0xEE; to_usize(count) * RECORD_BYTES];
    source.fill(0, &mut bytes);
    bytes
}

/// Sums that valsort printed for gensort's files, as quoted in public repositories: a million binary
/// records in one that measures an external sort, 163,840 ASCII ones in one that compares heap sorts.
#[test]
fn the_sums_are_those_that_valsort_prints() {
    let sum = checksum(&records(Form::Binary, false, 0, 1_000_000, 0));
    assert_eq!(format!("{sum:x}"), "7a0e0d4868cd4");
    let sum = checksum(&records(Form::Ascii, false, 0, 163_840, 0));
    assert_eq!(format!("{sum:x}"), "1400fed7bb2c2");
}

/// The first ASCII records stand in many a test and manual; the first rows of gensort's tables of skew.
#[test]
fn the_first_records_are_gensorts() {
    let text = b"AsfAGHM5om  00000000000000000000000000000000  \
                 0000222200002222000022220000222200002222000000001111\r\n\
                 ~sHd0jDv6X  00000000000000000000000000000001  \
                 77779999444488885555CCCC777755555555BBBB666644446666\r\n";
    assert_eq!(records(Form::Ascii, false, 0, 2, 0), text);
    let source = RecordSource::new(Form::Binary, true, 0, 1, 0).unwrap();
    let prefixes = source.prefixes.unwrap();
    assert_eq!(prefixes[0], [0x4A, 0x69, 0x6D, 0x47, 0x72, 0x61]);
    assert_eq!(prefixes[14], [0xDC, 0x68, 0x2A, 0x00, 0x64, 0x7E]);
    assert_eq!(prefixes[64], [0x33, 0xD5, 0xB5, 0xB1, 0x5C, 0x70]);
    let source = RecordSource::new(Form::Ascii, true, 0, 1, 0).unwrap();
    let prefixes = source.prefixes.unwrap();
    assert_eq!((&prefixes[0], &prefixes[13], &prefixes[64]), (b"AsfAGH", b"9SC<z ", b"ix^T<S"));
}

/// No sum of skewed records was found in print; these come from a second implementation in another
/// language, which was written from the same description and agrees with the printed ones otherwise.
#[test]
fn skewed_sums_are_pinned() {
    let sum = |form| format!("{:x}", checksum(&records(form, true, 0, 10_000, 0)));
    assert_eq!(
        (sum(Form::Binary), sum(Form::Ascii)),
        ("139490c2a1d7".into(), "13862d0d93f4".into())
    );
}

#[test]
fn skew_takes_three_of_four_keys_and_nothing_but_keys() {
    for form in [Form::Binary, Form::Ascii] {
        let (plain, skewed) =
            (records(form, false, 1 << 20, 40_000, 0), records(form, true, 1 << 20, 40_000, 0));
        let pairs = || plain.chunks(RECORD_BYTES).zip(skewed.chunks(RECORD_BYTES));
        assert!(pairs().all(|(plain, skewed)| plain[SKEW_BYTES..] == skewed[SKEW_BYTES..]));
        // All records from 2^20 to 2^21 share one prefix. A key has all of it by 1/64 or 1/8; those that
        // have less by choice may have the rest by chance.
        let prefix = &records(form, false, 21, 1, 0)[..SKEW_BYTES];
        let whole = to_f64(to_u64(pairs().filter(|pair| &pair.1[..SKEW_BYTES] == prefix).count()));
        let part: f64 = if form == Form::Binary { 2.0 / 64.0 } else { 95.0 / 94.0 / 8.0 };
        let sigma = (40_000.0 * part * (1.0 - part)).sqrt();
        assert!((whole - 40_000.0 * part).abs() < 5.0 * sigma, "{form:?} {whole}");
    }
}

#[test]
fn skewed_bits_end_where_they_should() {
    for bits in 0..64 {
        let (mut record, prefix) = ([0xFF; RECORD_BYTES], [0; SKEW_BYTES]);
        skew_bits(&mut record, prefix, bits);
        let zeros: u32 = record[..KEY_BYTES].iter().map(|byte| byte.count_zeros()).sum();
        assert_eq!(u64::from(zeros), if bits > 48 { 0 } else { bits });
        assert_eq!(record[5] & 1, u8::from(bits != 48));
    }
    assert_eq!([0, 1, 2, 3, 4, 255, 256, 1 << 59].map(prefix_of), [0, 1, 2, 2, 3, 8, 9, 60]);
    assert_eq!([1 << 60, u64::MAX].map(prefix_of), [64, 64]);
}

#[test]
fn ascii_is_printable_lines() {
    for seed in [0, 9] {
        let text = records(Form::Ascii, true, 7, 5_000, seed);
        assert!(text.chunks(RECORD_BYTES).all(|record| {
            record[98..] == *b"\r\n" && record[..98].iter().all(|byte| (b' '..=b'~').contains(byte))
        }));
    }
}

#[test]
fn seeds_differ() {
    let key = |seed| records(Form::Binary, false, 0, 1, seed)[..KEY_BYTES].to_vec();
    assert!(key(0) != key(1) && key(1) != key(2));
}

#[test]
fn wrong_parameters_are_named() {
    let fault =
        |start, count| RecordSource::new(Form::Ascii, true, start, count, 0).err().map(|e| e.0);
    assert_eq!(fault(0, u64::MAX), Some("count"));
    assert_eq!(fault(u64::MAX, 1), Some("start"));
    assert_eq!(fault(u64::MAX - 1, 1), None);
}

#[test]
fn skipping_is_stepping() {
    let mut state = 5;
    for steps in 0..300 {
        assert_eq!(skip(5, steps), state);
        state = next(state);
    }
    assert_eq!(skip(skip(3, 1 << 90), 12_345), skip(3, (1 << 90) + 12_345));
}

proptest! {
    #[test]
    fn any_split_gives_the_same_bytes(
        form in prop::sample::select(vec![Form::Binary, Form::Ascii]),
        skewed: bool,
        start in prop_oneof![0_u64..2_000, any::<u64>().prop_map(|start| start >> 1)],
        count in 0_u64..300,
        cut in 0_u64..300,
        seed in 0_u64..3,
    ) {
        let cut = cut.min(count);
        let whole = records(form, skewed, start, count, seed);
        // The part by its own start, as gensort's -b, and as a part of the whole.
        let (head, tail) = whole.split_at(to_usize(cut) * RECORD_BYTES);
        prop_assert_eq!(tail, &records(form, skewed, start + cut, count - cut, seed)[..]);
        let source = RecordSource::new(form, skewed, start, count, seed).unwrap();
        let mut part = vec![0; head.len()];
        source.fill(0, &mut part);
        prop_assert_eq!(head, &part[..]);
        prop_assert_eq!(checksum(&whole), checksum(head) + checksum(tail));
    }
}
