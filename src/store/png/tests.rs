//! Strips joined in any order, decoded by an independent reader at awkward sizes.

use std::io::Cursor;

use proptest::prelude::*;

use super::*;
use crate::num::mix64;

/// The whole file, its strips made in the given order.
fn encode(layout: &Layout, pixels: &[u8], order: impl Iterator<Item = u64>) -> Vec<u8> {
    let mut strips = vec![None; to_usize(layout.strip_count())];
    for index in order {
        let rows = layout.strip_rows(index);
        let bytes =
            to_usize(rows.start * layout.row_bytes())..to_usize(rows.end * layout.row_bytes());
        strips[to_usize(index)] = Some(layout.encode_strip(index, &pixels[bytes]));
    }
    let mut file = layout.header(&[
        ("Software", "dcomp"),
        ("Comment", "\u{3c0} and caf\u{e9}"),
        ("Author", "caf\u{e9}"),
    ]);
    let mut adler = 1;
    for strip in strips.into_iter().map(|strip| strip.expect("every strip made")) {
        file.extend(strip.idat);
        adler = combine_adler(adler, strip.adler, strip.raw_bytes);
    }
    file.extend(layout.trailer(adler));
    file
}

fn noise(bytes: u64, seed: u64) -> Vec<u8> {
    (0..bytes).map(|i| mix64(seed ^ i << 20).to_le_bytes()[3]).collect()
}

/// Slow ramps with steps: what filters are for.
fn ramp(layout: &Layout) -> Vec<u8> {
    let row = layout.row_bytes();
    let sample = |i: u64| (i % row / 7 + i / row).to_le_bytes()[0];
    (0..row * u64::from(layout.height)).map(sample).collect()
}

fn assert_reads_back(layout: &Layout, pixels: &[u8]) {
    let file = encode(layout, pixels, 0..layout.strip_count());
    let image = image::ImageReader::with_format(Cursor::new(&file), image::ImageFormat::Png)
        .decode()
        .unwrap();
    assert_eq!((image.width(), image.height()), (layout.width, layout.height));
    let read: Vec<u8> = match layout.depth {
        Depth::Eight => image.as_rgb8().unwrap().as_raw().clone(),
        Depth::Sixteen => image
            .as_rgb16()
            .unwrap()
            .as_raw()
            .iter()
            .flat_map(|sample| sample.to_be_bytes())
            .collect(),
    };
    assert!(read == pixels, "{layout:?} differs");
}

#[test]
fn an_independent_reader_finds_the_pixels_of_awkward_sizes() {
    let per_strip = Layout::new(1021, 1, Depth::Eight).unwrap().rows_per_strip();
    let edge = u32::try_from(per_strip).unwrap();
    let sizes = [
        (1, 1),
        (1, 997),
        (997, 1),
        (100_003, 3),
        (211, 223),
        (1021, edge - 1),
        (1021, edge),
        (1021, edge + 1),
        (1021, 3 * edge - 1),
        (1021, 3 * edge),
        (1021, 3 * edge + 1),
    ];
    for (width, height) in sizes {
        for depth in [Depth::Eight, Depth::Sixteen] {
            let layout = Layout::new(width, height, depth).unwrap();
            let bytes = layout.row_bytes() * u64::from(height);
            assert_reads_back(&layout, &noise(bytes, u64::from(width)));
            assert_reads_back(&layout, &vec![0x5A; to_usize(bytes)]);
            assert_reads_back(&layout, &ramp(&layout));
        }
    }
}

#[test]
fn strips_cover_every_row_once_and_are_never_empty() {
    for (width, height) in
        [(1, 1), (640, 480), (1, SIDE_MAX), (SIDE_MAX, 7), (87_382, 5), (43_690, 10)]
    {
        let layout = Layout::new(width, height, Depth::Eight).unwrap();
        let last = layout.strip_count() - 1;
        assert_eq!(layout.strip_rows(0).start, 0);
        assert_eq!(layout.strip_rows(last).end, u64::from(height));
        assert!(!layout.strip_rows(last).is_empty());
        if last > 0 {
            assert_eq!(layout.strip_rows(last - 1).end, layout.strip_rows(last).start);
        }
    }
}

#[test]
fn the_order_of_the_strips_does_not_change_a_byte() {
    let layout = Layout::new(1021, 700, Depth::Sixteen).unwrap();
    let pixels = ramp(&layout);
    let count = layout.strip_count();
    assert!(count > 10);
    let forwards = encode(&layout, &pixels, 0..count);
    assert!(forwards == encode(&layout, &pixels, (0..count).rev()));
}

#[test]
fn a_long_stream_is_split_into_chunks_that_join_to_the_same_bytes() {
    let stream = noise(1000, 4);
    let whole = idat_chunks(&stream, 1000);
    assert_eq!(whole.len(), 1012);
    let split = idat_chunks(&stream, 333);
    assert_eq!(split.len(), 1000 + 4 * 12);
    let mut joined = Vec::new();
    let mut rest = split.as_slice();
    while let Some((length, behind)) = rest.split_first_chunk::<4>() {
        let length = usize::try_from(u32::from_be_bytes(*length)).unwrap();
        assert_eq!(&behind[..4], b"IDAT");
        joined.extend_from_slice(&behind[4..4 + length]);
        rest = &behind[4 + length + 4..];
    }
    assert!(joined == stream);
}

#[test]
fn sizes_that_png_cannot_hold_are_refused() {
    for (width, height) in [(0, 1), (1, 0), (SIDE_MAX + 1, 1), (1, u32::MAX)] {
        assert_eq!(Layout::new(width, height, Depth::Eight), Err(SizeError { width, height }));
    }
}

#[test]
#[should_panic(expected = "keyword")]
fn a_keyword_with_outer_spaces_is_a_bug() {
    Layout::new(1, 1, Depth::Eight).unwrap().header(&[(" Software", "")]);
}

#[test]
fn a_second_part_longer_than_the_modulus_is_combined() {
    let (a, b) = (noise(1000, 1), noise(200_003, 2));
    let adler = |bytes: &[u8]| simd_adler32::adler32(&bytes);
    let combined = combine_adler(adler(&a), adler(&b), to_u64(b.len()));
    assert_eq!(combined, adler(&[a, b].concat()));
    assert_eq!(combine_adler(combined, 1, 0), combined, "nothing behind changes nothing");
    assert_eq!(combine_adler(1, combined, 201_003), combined, "nor nothing before");
}

proptest! {
    #[test]
    fn combined_checksums_are_those_of_the_joined_bytes(
        a in prop::collection::vec(any::<u8>(), 0..3000),
        b in prop::collection::vec(200u8.., 0..9000),
    ) {
        let joined = [a.as_slice(), &b].concat();
        let adler = |bytes: &[u8]| simd_adler32::adler32(&bytes);
        let combined = combine_adler(adler(&a), adler(&b), to_u64(b.len()));
        prop_assert_eq!(combined, adler(&joined));
    }

    #[test]
    fn filtered_rows_can_be_undone(width in 1u32..40, height in 1u32..9, seed: u64, sixteen: bool) {
        let depth = if sixteen { Depth::Sixteen } else { Depth::Eight };
        let layout = Layout::new(width, height, depth).unwrap();
        assert_reads_back(&layout, &noise(layout.row_bytes() * u64::from(height), seed));
    }
}
