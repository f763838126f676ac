//! How fast the parser is: prints GB/s and numbers per second, the median of seven runs.
//!
//! Each text is 16 MB, copied piece by piece into a buffer of 256 kB as reading a file would do it.
//! Only the parsing is timed.
#![expect(clippy::print_stdout, reason = "printing is its purpose")]

use dcomp::counter_sort::grammar::{Parser, Refusal, Sink};
use dcomp::num::{len_f64, mix64, to_f64, to_u64};
use std::hint::black_box;
use std::io::Write;
use std::time::Instant;

const SIZE: usize = 16 << 20;
const STEP: usize = 256 << 10;
const FRONT: usize = 64;
const RUNS: usize = 7;

struct Counting {
    counts: Vec<u64>,
    sum: u64,
}

impl Sink for Counting {
    #[inline]
    fn number(&mut self, value: i64) -> bool {
        let slot = usize::try_from(value).ok().and_then(|value| self.counts.get_mut(value));
        let Some(slot) = slot else { return false };
        *slot += 1;
        self.sum = self.sum.wrapping_add(mix64(value.cast_unsigned()));
        true
    }
    fn refuse(&mut self, refusal: Refusal) {
        panic!("{refusal:?}");
    }
}

struct Summing(i64);

impl Sink for Summing {
    #[inline]
    fn number(&mut self, value: i64) -> bool {
        self.0 = self.0.wrapping_add(value);
        true
    }
    fn refuse(&mut self, refusal: Refusal) {
        panic!("{refusal:?}");
    }
}

fn text(value: impl Fn(u64) -> i64) -> Vec<u8> {
    let mut text = Vec::with_capacity(SIZE + 64);
    let mut index = 0;
    while text.len() < SIZE {
        writeln!(text, "{}", value(mix64(index))).expect("memory");
        index += 1;
    }
    text
}

fn measure<S: Sink>(what: &str, text: &[u8], portable: bool, sink: &mut S) {
    let kernel = if portable { "portable" } else { "best" };
    // An argument picks measurements by a part of their line.
    let name = format!("{what} {kernel}");
    if std::env::args().skip(1).any(|part| !part.starts_with("--") && !name.contains(&part)) {
        return;
    }
    let mut buffer = vec![0; FRONT + STEP];
    let mut numbers = 0;
    let mut seconds: Vec<f64> = (0..RUNS)
        .map(|_| {
            let mut seconds = 0.0;
            let mut parser = Parser::new();
            if portable {
                parser = parser.portable();
            }
            for piece in text.chunks(STEP) {
                buffer[FRONT..FRONT + piece.len()].copy_from_slice(piece);
                let begin = Instant::now();
                parser.feed(&buffer[..FRONT + piece.len()], FRONT, sink);
                seconds += begin.elapsed().as_secs_f64();
            }
            numbers = parser.finish(sink).numbers;
            seconds
        })
        .collect();
    seconds.sort_by(f64::total_cmp);
    let median = seconds[RUNS / 2];
    let rate = len_f64(text.len()) / median / 1e9;
    let millions = to_f64(numbers) / median / 1e6;
    println!("{what:<28} {kernel:<9} {rate:6.2} GB/s {millions:8.1} M numbers/s");
}

fn small_files() {
    for length in [5_usize, 50, 500, 5000] {
        let file = b"1234\n".repeat(length / 5);
        let count = 2_000_000 / length;
        let mut sink = Summing(0);
        let begin = Instant::now();
        for _ in 0..count {
            dcomp::counter_sort::grammar::parse_file(black_box(&file), 0, &mut sink);
        }
        let each = begin.elapsed().as_secs_f64() / len_f64(count) * 1e9;
        println!("file of {length} bytes: {each:.0} ns");
    }
}

fn main() {
    let mut texts = [
        ("uniform 1..10000", text(|random| i64::try_from(random % 10_000).unwrap_or(0) + 1)),
        ("one value", text(|_| 4711)),
        ("random i64", text(u64::cast_signed)),
        ("random u32", text(|random| i64::from(u32::try_from(random >> 32).unwrap_or(0)))),
        ("-10000..10000", text(|random| i64::try_from(random % 20_001).unwrap_or(0) - 10_000)),
        ("uniform with CR LF", Vec::new()),
        ("uniform behind a blank", Vec::new()),
    ];
    let lines: Vec<&[u8]> = texts[0].1.split(|&byte| byte == b'\n').collect();
    let others = [lines.join(&b"\r\n"[..]), lines.join(&b"\n "[..])];
    for (slot, text) in texts[5..].iter_mut().zip(others) {
        slot.1 = text;
    }
    for (index, (name, text)) in texts.iter().enumerate() {
        for portable in [false, true] {
            if index < 2 {
                let mut sink = Counting { counts: vec![0; 10_001], sum: 0 };
                measure(&format!("{name}, counting"), text, portable, &mut sink);
                black_box(to_u64(sink.counts.len()) ^ sink.sum);
            }
            let mut sink = Summing(0);
            measure(&format!("{name}, sum"), text, portable, &mut sink);
            black_box(sink.0);
        }
    }
    small_files();
}
