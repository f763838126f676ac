//! Every parser, in this process: thousands of changed texts, none of which ends it. What fuzzing finds is
//! kept here.

use std::path::Path;

use dcomp::counter_sort::template::Template;
use dcomp::mandelbrot::provenance::Parameters;
use dcomp::mergesort::lines::{Flags, Order};
use dcomp::mergesort::spec::Kind;
use dcomp::scaling::scripts::Site;
use dcomp::scaling::{input, study};
use dcomp::store::png::check::check;
use dcomp::store::png::{Depth, Layout};
use dcomp::units::{parse_percent, parse_size};
use dcomp::verify::Record;
use serde_json::json;

use crate::chance::Chance;
use crate::malformed::mutate;

const STUDY: &str = "command = [\"a\", \"{ranks}\"]\nmode = \"weak\"\nranks = [1, 2, 4]\nrepeats = 3\n\
                     until = \"2%\"\ntime_per_run = \"5m\"\nthreads = [1]\nseed = 3\n";
const SITE: &str = "partition = \"x\"\ntime = \"1h\"\noptions = [\"--exclusive\"]\nmodules = [\"a/1\"]\n\
                    [environment]\nA = \"b\"\n";
const TABLE: &str = "mode,ranks,wall_s,series\nstrong,1,10.5,a\nstrong,2,5.5,a\nweak,4,3.25,b\n";

fn texts(chance: &mut Chance, sound: &str, parse: impl Fn(&str)) {
    parse(sound);
    for _ in 0..1500 {
        parse(&String::from_utf8_lossy(&mutate::text(chance, sound)));
    }
}

#[test]
fn no_text_ends_a_parser() {
    let chance = &mut Chance::new("parsers", 31);
    texts(chance, STUDY, |text| {
        let values = toml::Table::default();
        let flags = dcomp::deck::Layer { source: dcomp::deck::Source::Flag, values };
        if study::resolve(Some((text, "s")), flags).is_err() {
            dcomp::deck::parse(text, "d").ok();
        }
    });
    texts(chance, SITE, |text| drop(Site::parse(text, "s")));
    texts(chance, TABLE, |text| drop(input::csv(text, "t")));
    texts(chance, "numbers_{:06}.txt", |text| {
        if let Ok(template) = text.parse::<Template>() {
            assert_eq!(template.to_string().parse(), Ok(template));
        }
    });
    let comment = "width 3 height 4 max_iterations 5 region -2.5,1,-1,1 palette classic depth 8";
    texts(chance, comment, |text| {
        if let Ok(parameters) = Parameters::parse(text) {
            let again = Parameters::parse(&parameters.to_string()).unwrap();
            assert_eq!(again.difference(&parameters), None, "{text}");
        }
    });
    texts(chance, "2.3nb,4.5r", |text| {
        let flags = Flags { key: vec![text.into()], ..Flags::default() };
        if let Ok(order) = Order::parse(&flags) {
            order.cmp_lines(b"a b c", b"d e f");
        }
    });
    for sound in ["512M", "2%", "record:100:10", "5 GiB"] {
        texts(chance, sound, |text| {
            let _ = (parse_size(text), parse_percent(text), text.parse::<Kind>());
        });
    }
    let record = json!({"schema": "dcomp-run/1", "job": "mergesort", "outputs":
        [{"path": "a", "bytes": 3, "crc64": "0123456789abcdef"}], "spec": {"a": [1, 2.5, null]}});
    for _ in 0..1500 {
        let text = mutate::json(chance, &record);
        if let Ok(record) = Record::parse(&text, Path::new("a.json")) {
            record.outputs().ok();
        }
        input::json(&String::from_utf8_lossy(&text), "a").ok();
    }
}

/// A sound picture is sound, and no changed one ends the reader or is taken for it.
#[test]
fn no_picture_ends_its_reader() {
    let layout = Layout::new(31, 17, Depth::Eight).unwrap();
    let pixels: Vec<u8> = (0..31 * 17 * 3_u32).map(|at| at.to_le_bytes()[0] ^ 0x5A).collect();
    let strip = layout.encode_strip(0, &pixels);
    let texts = [("Title", "a"), ("Comment", "\u{3c0}")];
    let sound = [layout.header(&texts), strip.idat, layout.trailer(strip.adler)].concat();
    let picture = check(sound.as_slice()).unwrap();
    assert_eq!((picture.width, picture.height, picture.depth), (31, 17, Depth::Eight));
    assert_eq!(picture.texts, texts.map(|(key, text)| (key.to_owned(), text.to_owned())));
    // Every bit of it matters.
    for bit in 0..8 * sound.len() {
        let mut flipped = sound.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        assert!(check(flipped.as_slice()).is_err(), "bit {bit}");
    }
    for length in 0..sound.len() {
        assert!(check(&sound[..length]).is_err(), "{length} bytes");
    }
    let chance = &mut Chance::new("pictures", 32);
    for _ in 0..2000 {
        let changed = mutate::png(chance, &sound);
        check(changed.as_slice()).ok();
    }
}
