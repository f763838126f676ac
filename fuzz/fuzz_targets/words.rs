//! Any text as each of the small things that flags take: templates, keys of a sort, sizes, parts, types, views,
//! the parameters in a picture, the name of a dataset. What is read and written again is the same.
#![no_main]

use dcomp::counter_sort::template::Template;
use dcomp::mandelbrot::provenance::Parameters;
use dcomp::mandelbrot::spec::Numbers;
use dcomp::mergesort::dataset;
use dcomp::mergesort::lines::{Flags, Order};
use dcomp::mergesort::spec::Kind;
use dcomp::units::{parse_percent, parse_size};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let text = String::from_utf8_lossy(input).into_owned();
    if let Ok(template) = text.parse::<Template>() {
        assert_eq!(template.to_string().parse(), Ok(template.clone()));
        template.write(u64::MAX, &mut Vec::new());
    }
    if let Ok(parameters) = Parameters::parse(&text) {
        let again = Parameters::parse(&parameters.to_string()).expect("as it was written");
        assert_eq!(again.difference(&parameters), None);
    }
    if let Ok(kind) = text.parse::<Kind>() {
        assert_eq!(kind.to_string().parse(), Ok(kind));
    }
    assert!(parse_size(&text).is_ok_and(|bytes| bytes <= 1 << 63) || parse_size(&text).is_err());
    assert!(parse_percent(&text).is_ok_and(f64::is_finite) || parse_percent(&text).is_err());
    text.parse::<Numbers<4>>().ok();
    let (file, path) = dataset::split(&text);
    assert!(path.map_or(file == text, |path| format!("{file}:{path}") == text));
    let key = text.split('\n').map(str::to_owned).collect();
    if let Ok(order) = Order::parse(&Flags { key, separator: None, ..Flags::default() }) {
        order.cmp_lines(b"a b", text.as_bytes());
    }
});
