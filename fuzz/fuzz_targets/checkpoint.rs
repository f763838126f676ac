//! Any bytes as each thing that a checkpoint consists of, behind checksums that fit: its head with the state
//! of each job, a rank's part, and in it the part of each job. What is read is written again as it was.
#![no_main]

use dcomp::counter_sort::{self, emit::Entry, histogram::stored};
use dcomp::mandelbrot::{self, bands::Bands, spec::Spec};
use dcomp::mergesort::{self, disk_run, packed::Reader};
use dcomp::store::checkpoint::format::{Head, Part};
use dcomp::store::crc;
use libfuzzer_sys::fuzz_target;

const SIZE: (u32, u32) = (50, 40);

fn spec(palette: &str) -> Spec {
    let spec = serde_json::json!({
        "width": SIZE.0, "height": SIZE.1, "max_iterations": 100, "region": [-2.5, 1.0, -1.0, 1.0],
        "output": "a.png", "palette": palette, "depth": 8, "seed": 1, "hdf5": null,
        "schedule": "block", "kernel": "auto",
    });
    serde_json::from_value(spec).expect("a picture")
}

fn head(text: &[u8]) {
    let body = [text, b"\n"].concat();
    let sealed = [&body[..], crc::hex(crc::checksum(&body)).as_bytes(), b"\n"].concat();
    let Ok(head) = Head::decode(&sealed) else { return };
    assert_eq!(Head::decode(&head.encode()).as_ref(), Ok(&head));
    state(head.state);
}

fn state(value: serde_json::Value) {
    if let Ok(state) = serde_json::from_value::<mandelbrot::resume::State>(value.clone()) {
        ["classic", "histogram"].iter().for_each(|palette| _ = state.fits(&spec(palette)));
    }
    if let Ok(state) = serde_json::from_value::<counter_sort::saved::State>(value.clone()) {
        state.fits(1);
    }
    serde_json::from_value::<mergesort::resume::State>(value).ok();
}

fn picture(bytes: &[u8], spec: &Spec) {
    let mut own = mandelbrot::resume::Own::default();
    if mandelbrot::resume::decode(bytes, spec, &mut own).is_err() {
        return;
    }
    let again = mandelbrot::resume::encode(&own.counts_sums, &[&own.tiles]);
    assert_eq!(again, bytes);
    let pixels: u64 = own.tiles.iter().map(|batch| batch.tally.pixels).sum();
    let bands = Bands::after(0, SIZE, 7, (3, 200));
    let mut taken = 0;
    for band in (0..bands.count()).map(|index| bands.band(index)) {
        let here = mandelbrot::resume::take_band(&mut own.tiles, &band, spec.max_iterations);
        taken += here.iter().map(|batch| batch.tally.pixels).sum::<u64>();
    }
    assert_eq!(taken, pixels);
}

fn numbers(bytes: &[u8]) {
    if let Ok(own) = counter_sort::saved::Own::decode(bytes) {
        assert_eq!(counter_sort::saved::Own::decode(&own.encode()).as_ref(), Ok(&own));
        counts(&own.counts);
    }
}

fn counts(bytes: &[u8]) {
    stored::decode(bytes, |run: Vec<Entry>| {
        assert!(run.is_sorted_by(|one, next| one.value < next.value));
        run.iter()
            .map(|entry| entry.count)
            .try_fold(0, u64::checked_add)
            .expect("no sum overflows");
    });
}

fn sort(bytes: &[u8]) {
    let mut own = mergesort::resume::Own::default();
    if own.add(bytes).is_none() {
        return;
    }
    let mut again = mergesort::resume::Own::default();
    assert_eq!(again.add(&own.encode()), Some(()));
    assert_eq!(again, own);
    own.runs.iter().for_each(|run| _ = disk_run::decoded(&mut Reader(&run.run)));
}

fuzz_target!(|input: &[u8]| {
    let Some((which, bytes)) = input.split_first() else { return };
    match which % 7 {
        0 => head(bytes),
        1 => {
            let known =
                b"{\"schema\":\"dcomp-checkpoint\",\"version\":1,\"program\":\"0\",\"identity\":0,";
            head(&[&known[..], bytes].concat());
        }
        2 => {
            if let Some(part) = Part::decode(bytes) {
                assert_eq!(part.encode(), bytes);
            }
        }
        3 => picture(bytes, &spec("classic")),
        4 => picture(bytes, &spec("viridis")),
        5 => {
            numbers(bytes);
            counts(bytes);
        }
        _ => {
            sort(bytes);
            disk_run::decoded(&mut Reader(bytes));
        }
    }
});
