//! Independent readers open every output.

use crate::util::Dir;

/// The dataset `N` as `h5dump` sees it.
pub fn h5dump_counts(dir: &Dir, file: &str) -> Vec<u32> {
    let raw = format!("{file}.raw");
    dir.program("h5dump", &["-d", "/N", "-b", "LE", "-o", &raw, file]).ok();
    let words = dir.read(&raw);
    words.chunks_exact(4).map(|word| u32::from_le_bytes(word.try_into().unwrap())).collect()
}

const PICTURE: [&str; 9] =
    ["mandelbrot", "-W", "203", "-H", "151", "-n", "500", "--hdf5", "raw.h5"];

#[test]
fn h5dump_reads_the_raw_channels() {
    let dir = Dir::new("h5dump");
    dir.dcomp(&PICTURE).ranks(3).ok();
    let counts = h5dump_counts(&dir, "raw.h5");
    assert_eq!(counts.len(), 203 * 151);
    for (at, &count) in counts.iter().enumerate() {
        let (x, y) = (at % 203, at / 203);
        let re = x as f64 * (3.5 / 203.0) - 2.5;
        let im = y as f64 * (2.0 / 151.0) - 1.0;
        assert_eq!(count, crate::oracles::steps(re, im, 500), "({x}, {y})");
    }
    let header = dir.program("h5dump", &["-A", "raw.h5"]).ok().stdout;
    for part in ["DIMENSION_SCALE", "DIMENSION_LIST", "units", "long_name", "max_iterations"] {
        assert!(header.contains(part), "{part} in\n{header}");
    }
}

/// `pngcheck` verifies every chunk and the deflate stream; both depths, one and many ranks.
#[test]
fn pngcheck_accepts_every_picture() {
    let dir = Dir::new("pngcheck");
    for depth in ["8", "16"] {
        for ranks in [None, Some(4)] {
            let words = ["mandelbrot", "--depth", depth, "--palette", "inferno", "--force"];
            dir.dcomp(&words).ranks_or_alone(ranks).ok();
            let said = dir.program("pngcheck", &["-v", "mandelbrot.png"]).ok().stdout;
            assert!(said.contains("No errors detected"), "{said}");
        }
    }
}

/// Recolouring gives the pixels that a run with that palette gives.
#[test]
fn recolor_equals_rendering() {
    let dir = Dir::new("recolor");
    dir.dcomp(&PICTURE).ok();
    for palette in ["classic", "viridis", "sinebow", "histogram"] {
        for depth in ["8", "16"] {
            let paint = ["--palette", palette, "--depth", depth, "--force"];
            dir.dcomp(&[&["recolor", "raw.h5", "-o", "again.png"], &paint[..]].concat())
                .ranks(2)
                .ok();
            dir.dcomp(&[&PICTURE[..], &paint, &["-o", "direct.png"]].concat()).ok();
            let again = image::open(dir.path("again.png")).unwrap();
            let direct = image::open(dir.path("direct.png")).unwrap();
            assert!(again == direct, "{palette} {depth}");
        }
    }
}

#[test]
fn recolor_refuses_what_it_cannot_read() {
    let dir = Dir::new("recolor-bad");
    dir.write("text.h5", "not HDF5 at all");
    dir.dcomp(&["recolor", "text.h5", "-o", "a.png"]).fails(65).says("text.h5");
    dir.dcomp(&["recolor", "none.h5", "-o", "a.png"]).fails(65).says("none.h5");
    dir.dcomp(&["recolor", "text.h5", "-o", "text.h5"]).fails(2).says("--output");
    assert_eq!(dir.names(), ["a.png.json", "text.h5"]);
    assert_eq!(dir.json("a.png.json")["outcome"], "bad-input");
}

/// The picture is not larger than what the `image` crate's default encoder makes of its pixels.
#[test]
fn pictures_are_as_small_as_the_image_crates() {
    let dir = Dir::new("size");
    let views: [&[&str]; 3] = [
        &[],
        &["-W", "1600", "-H", "1200", "--center", "-0.7453,0.1127", "--zoom", "60", "-n", "5000"],
        &["-W", "33", "-H", "17"],
    ];
    for view in views {
        for palette in ["classic", "viridis", "sinebow", "histogram"] {
            for depth in ["8", "16"] {
                let words = ["mandelbrot", "--force", "--palette", palette, "--depth", depth];
                dir.dcomp(&[&words[..], view].concat()).ok();
                let ours = dir.read("mandelbrot.png").len();
                let picture = image::open(dir.path("mandelbrot.png")).unwrap();
                let mut theirs = std::io::Cursor::new(Vec::new());
                picture.write_to(&mut theirs, image::ImageFormat::Png).unwrap();
                let theirs = theirs.into_inner().len();
                // Provenance texts are a few hundred bytes that the other one has not.
                let allowed = theirs as f64 * 1.05 + 400.0;
                assert!((ours as f64) < allowed, "{view:?} {palette} {depth}: {ours} > {theirs}");
            }
        }
    }
}
