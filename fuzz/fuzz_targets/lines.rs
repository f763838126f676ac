//! Any flags and any text: sorted, merged, split, checked and rid of duplicates, against the definition
//! of the order. What is checked stands beside the code, where its tests use it too.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| dcomp::mergesort::lines::fuzz::run(input));
