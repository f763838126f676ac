//! Speeds of counting and emitting, as the median of seven runs.
//!
//! The values lie in memory before the clock starts, so that neither parsing nor making them is
//! measured; reading them back is.

use dcomp::counter_sort::emit::{Entry, Form, Slab, emit, total_bytes};
use dcomp::counter_sort::histogram::{Histogram, Kind, Limits};
use dcomp::num::{floor_u64, len_f64, mix64, to_f64, to_u64, to_usize};
use std::convert::Infallible;
use std::hint::black_box;
use std::io::Write as _;
use std::time::Instant;

const RUNS: usize = 7;
const MEMORY: u64 = 4 << 30;
const PIECE: usize = 1 << 20;

fn say(line: &str) {
    writeln!(std::io::stdout(), "{line}").expect("a standard output");
}

fn median_seconds(mut run: impl FnMut()) -> f64 {
    let mut times: Vec<f64> = (0..RUNS)
        .map(|_| {
            let start = Instant::now();
            run();
            start.elapsed().as_secs_f64()
        })
        .collect();
    times.sort_by(f64::total_cmp);
    times[RUNS / 2]
}

/// A number from 0 to 1 that depends on the index alone.
fn unit(index: u64) -> f64 {
    to_f64(mix64(index) >> 11) / to_f64(1 << 53)
}

fn values(count: u64, value: impl Fn(u64) -> i64) -> Vec<i64> {
    (0..count).map(value).collect()
}

fn count(name: &str, kind: Kind, values: &[i64], rounds: u64) {
    let report = |how: &str, seconds: f64| {
        let rate = len_f64(values.len()) * to_f64(rounds) / seconds / 1e6;
        say(&format!("{name:<28} {how:<8} {rate:8.1} M/s   {seconds:.3} s"));
    };
    let fresh = || Histogram::new(kind, Limits::ALL, MEMORY).expect("memory for a window");
    let each = median_seconds(|| {
        let mut histogram = fresh();
        for _ in 0..rounds {
            for &value in values {
                assert!(histogram.add(value));
            }
        }
        black_box(histogram.into_counts());
    });
    report("add", each);
    let slice = median_seconds(|| {
        let mut histogram = fresh();
        for _ in 0..rounds {
            assert_eq!(histogram.add_all(values), values.len());
        }
        black_box(histogram.into_counts());
    });
    report("add_all", slice);
    let mut histogram = fresh();
    assert_eq!(histogram.add_all(values), values.len());
    let (held, checksum) = (histogram.memory_bytes(), histogram.checksum());
    let counts = histogram.into_counts();
    assert_eq!(counts.checksum(), checksum);
    let window = counts.dense_window().map_or(0, |(_, slots)| slots.len());
    let list = counts.sparse().len();
    say(&format!("{:28} {held} bytes held, window {window}, list {list}", ""));
}

fn write(name: &str, form: Form, entries: &[Entry]) {
    let bytes = total_bytes(form, entries.iter().copied()).expect("a small file");
    let slab = Slab { start: 0, runs: vec![entries] };
    let seconds = median_seconds(|| {
        let done = emit(form, &slab, 0..bytes, PIECE, |offset, piece| {
            black_box((offset, piece));
            Ok::<(), Infallible>(())
        });
        assert!(done.is_ok());
    });
    let (rate, each) = (to_f64(bytes) / seconds / 1e9, to_f64(bytes));
    say(&format!("emit {name:<38} {rate:8.2} GB/s  {seconds:.4} s for {each:.1e} bytes"));
}

fn main() {
    const MILLION: u64 = 1_000_000;
    let small = |index: u64| to_usize(mix64(index) % 10_000);
    let signed = |value: u64| i64::try_from(value).expect("a small value");
    let uniform = values(MILLION, |index| signed(to_u64(small(index))) + 1);
    count("uniform 1..10000", Kind::Auto, &uniform, 20);
    count("one value", Kind::Auto, &values(MILLION, |_| 77), 20);
    // The reciprocal of a uniform number: P(v) falls like 1/v^2.
    let zipf = values(MILLION, |index| signed(floor_u64(1.0 / (unit(index) + 1e-5))));
    count("zipf-like", Kind::Auto, &zipf, 20);
    let skewed = values(MILLION, |i| if i % 100 == 0 { uniform[to_usize(i)] } else { 5 });
    count("99 % one value", Kind::Auto, &skewed, 20);
    count(
        "uniform, far away",
        Kind::Auto,
        &values(10 * MILLION, |i| 1_000_000_000_000 + signed(mix64(i) % MILLION)),
        1,
    );
    count(
        "uniform in 10^8",
        Kind::Auto,
        &values(10 * MILLION, |i| signed(mix64(i) % 100_000_000)),
        1,
    );
    count("rising 0..10^7", Kind::Auto, &values(10 * MILLION, signed), 1);
    let random = values(10 * MILLION, |index| mix64(index).cast_signed());
    count("random i64", Kind::Auto, &random, 1);
    count("random i64, Sparse", Kind::Sparse, &random, 1);
    count("uniform 1..10000, Sparse", Kind::Sparse, &uniform, 4);

    let entry = |value: i64, count: u64| Entry { value, count };
    let many = || (1..=10_000).map(|value| entry(value, 10_000)).collect::<Vec<_>>();
    write("10^4 values x 10^4, text", Form::Text, &many());
    write("10^4 values x 10^4, i64", Form::I64, &many());
    write(
        "10 values x 10^8, text",
        Form::Text,
        &(1..=10).map(|v| entry(v, 100_000_000)).collect::<Vec<_>>(),
    );
    write(
        "10^6 values x 10, text",
        Form::Text,
        &(1..=1_000_000).map(|v| entry(v, 10)).collect::<Vec<_>>(),
    );
    let single = |step: i64| (1..=10_000_000).map(|v| entry(v * step, 1)).collect::<Vec<_>>();
    write("10^7 values x 1, text, 8 digits", Form::Text, &single(1));
    write("10^7 values x 1, text, 19 digits", Form::Text, &single(900_000_000_011));
    write("10^7 values x 1, i64", Form::I64, &single(1));
}
