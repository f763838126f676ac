//! Any text as a deck, as a study, as a site's file and as the value of a variable.
#![no_main]

use dcomp::deck::{environment, parse};
use dcomp::scaling::{scripts::Site, study};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let text = String::from_utf8_lossy(input);
    if let Ok(deck) = parse(&text, "deck.toml") {
        assert!(!deck.layer.values.contains_key("job"));
    }
    Site::parse(&text, "site.toml").ok();
    let none = || dcomp::deck::Layer { source: dcomp::deck::Source::Flag, values: Default::default() };
    study::resolve(Some((&text, "study.toml")), none()).ok();
    environment(&["width".into(), "output".into()], &["output"], |_| Some(text.to_string()));
});
