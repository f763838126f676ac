//! Any text as a run record: read, and its parameters taken as those of each job.
#![no_main]

use std::path::Path;

use dcomp::verify::Record;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let whole = [&b"{\"schema\": \"dcomp-run/1\", "[..], input].concat();
    for text in [input, &whole] {
        let Ok(record) = Record::parse(text, Path::new("a.json")) else { continue };
        record.outputs().ok();
        record.read::<dcomp::mandelbrot::spec::Spec>("spec").ok();
        record.read::<dcomp::counter_sort::spec::Spec>("spec").ok();
        if let Ok(spec) = record.read::<dcomp::mergesort::spec::Spec>("spec") {
            spec.checked_form().ok();
        }
        if let Ok(spec) = record.read::<dcomp::generate::spec::Spec>("spec") {
            spec.check().ok();
        }
    }
});
