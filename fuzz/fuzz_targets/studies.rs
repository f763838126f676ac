//! Any text as the lines of a study, as a run record among runs and as a table.
#![no_main]

use dcomp::scaling::input;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let text = String::from_utf8_lossy(input);
    for read in [input::json(&text, "a"), input::lines(&text, "a"), input::csv(&text, "a")] {
        for sample in read.map(|read| read.samples).unwrap_or_default() {
            assert!(sample.ranks > 0 && sample.threads > 0);
            assert!(sample.value.is_none_or(|value| value > 0.0 && value.is_finite()));
        }
    }
});
