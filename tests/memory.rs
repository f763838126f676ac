//! Memory has a bound that the picture's size does not move.

use crate::util::Dir;

/// 134 million pixels would be 400 MB of colours and 1 GB of counts and fractions.
#[test]
fn a_large_picture_stays_small_in_memory() {
    let dir = Dir::new("memory");
    let words = [
        "mandelbrot",
        "-W",
        "16384",
        "-H",
        "8192",
        "-n",
        "64",
        "--palette",
        "viridis",
        "-q",
        "-o",
        "large.png",
    ];
    dir.dcomp(&words).ranks(4).limit_s(240).ok();
    let record = dir.json("large.png.json");
    let peak = record["peak_rss_bytes"]["max"].as_u64().unwrap();
    assert!(peak < 200_000_000, "peak {peak} bytes");
    let size = dir.read("large.png").len();
    assert_eq!(record["io"]["bytes_written"], size, "what was written is the file, once");
}
