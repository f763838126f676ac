//! Colours against numbers made by hand, and counts that stay continuous.

use super::*;
use crate::num::{len_f64, to_f32};

/// The count of one point and its continuous part, by the plain definition.
fn escape(cr: f64, ci: f64, limit: u32) -> (u32, f32) {
    let (mut zr, mut zi) = (0.0f64, 0.0f64);
    for steps in 0..limit {
        if zr * zr + zi * zi >= 4.0 {
            return (steps, fraction(zr, zi, cr, ci));
        }
        let next = zr * zr - zi * zi + cr;
        zi = 2.0 * zr * zi + ci;
        zr = next;
    }
    (NOT_ESCAPED, 0.0)
}

fn colorer(palette: Palette, limit: u32) -> Colorer {
    let mut histogram = Histogram::new(limit);
    histogram.add(&[1, 1, 2, 3, 5, 8, limit, NOT_ESCAPED]);
    Colorer::new(palette, limit, palette.needs_histogram().then(|| histogram.into()))
}

fn eight(colorer: &Colorer, count: u32, part: f32) -> [u8; 3] {
    let mut out = [1; 3];
    colorer.color_row(&[count], &[part], Depth::Eight, &mut out);
    out
}

#[test]
fn classic_colours_are_those_made_by_hand() {
    let classic = colorer(Palette::Classic, 1000);
    for (count, expected) in [
        (0, [0, 0, 0]),
        (1, [32, 16, 8]),
        (7, [224, 112, 56]),
        (8, [0, 128, 64]),
        (31, [224, 240, 248]),
        (32, [0, 0, 0]),
        (1_000_003, [96, 48, 24]),
        // 1000 = 125 * 8 = 62 * 16 + 8 = 31 * 32 + 8.
        (NOT_ESCAPED, [0, 128, 64]),
    ] {
        assert_eq!(eight(&classic, count, 0.7), expected, "count {count}");
    }
}

#[test]
fn eight_bits_are_the_rounded_sixteen() {
    for value in 0..=u16::MAX {
        let nearest = (f64::from(value) * 255.0 / 65535.0).round();
        assert!((f64::from(narrow(value)) - nearest).abs() < 0.1, "{value}");
    }
    let counts: Vec<u32> = (0..400).map(|i| i * i * i).chain([NOT_ESCAPED]).collect();
    let parts: Vec<f32> = (0u16..401).map(|i| f32::from(i) / 400.0).collect();
    for palette in Palette::ALL {
        let colorer = colorer(palette, 70_000_000);
        let mut low = vec![0; counts.len() * 3];
        colorer.color_row(&counts, &parts, Depth::Eight, &mut low);
        let mut high = vec![0; counts.len() * 6];
        colorer.color_row(&counts, &parts, Depth::Sixteen, &mut high);
        let rounded: Vec<u8> =
            high.chunks(2).map(|pair| narrow(u16::from_be_bytes([pair[0], pair[1]]))).collect();
        assert!(rounded == low, "{palette}");
    }
}

#[test]
fn every_palette_has_a_colour_for_every_count() {
    for palette in Palette::ALL {
        for limit in [1, 64, 65_535, 65_536, u32::MAX - 1] {
            let colorer = colorer(palette, limit);
            for count in [0, 1, limit, u32::MAX - 1, NOT_ESCAPED] {
                for part in [0.0, -9.0, 66.0, f32::NAN, f32::INFINITY] {
                    eight(&colorer, count, part);
                }
            }
            if palette != Palette::Classic {
                assert_eq!(eight(&colorer, NOT_ESCAPED, 0.5), [0, 0, 0], "{palette}");
                assert_ne!(eight(&colorer, 5, 0.5), [0, 0, 0], "{palette}");
            }
            let mut banded = [0; 3];
            colorer.color_row(&[5], &[], Depth::Eight, &mut banded);
            assert_eq!(banded, eight(&colorer, 5, 0.0), "{palette} without fractions");
        }
    }
}

#[test]
fn closed_gradients_meet_and_the_equalized_one_ends_at_its_brightest() {
    for palette in Palette::ALL.into_iter().filter(|palette| *palette != Palette::Histogram) {
        let gradient = Gradient::of(palette);
        for (start, end) in gradient.open(0.0).into_iter().zip(gradient.open(1.0)) {
            assert!(start.abs_diff(end) <= 1, "{palette}");
        }
    }
    let [red, green, blue] = eight(&colorer(Palette::Histogram, 1000), 1000, 9.0);
    assert!(red > 240 && green > 240 && blue > 150, "{red} {green} {blue}");
}

#[test]
fn names_are_read_back_and_wrong_ones_corrected() {
    for palette in Palette::ALL {
        assert_eq!(palette.to_string().parse(), Ok(palette));
        assert_eq!(palette.to_string().to_uppercase().parse(), Ok(palette));
    }
    let message = "virdis".parse::<Palette>().unwrap_err().to_string();
    assert!(
        message.contains("did you mean `viridis`?") && message.contains("classic, dusk"),
        "{message}"
    );
}

/// Along a line towards the set, the continuous count must rise smoothly although the count jumps.
#[test]
fn the_continuous_count_has_no_jumps() {
    let points = 400_000usize;
    let mut previous: Option<(u32, f64)> = None;
    let mut slope: Option<f64> = None;
    let mut crossings = 0;
    for index in 0..points {
        let t = len_f64(index) / len_f64(points);
        // From far outside to where the border's detail begins to bend the count.
        let (cr, ci) = (2.0 - 1.57 * t, 1.5 - 1.325 * t);
        let (count, part) = escape(cr, ci, 200);
        let mu = f64::from(count) + f64::from(part);
        if let Some((old_count, old_mu)) = previous {
            // A jump shows as a step that its neighbours do not have.
            let step = mu - old_mu;
            assert!(
                (step - slope.unwrap_or(step)).abs() < 2e-6 + 0.02 * step.abs(),
                "at {cr} {ci}: {old_mu} then {mu}"
            );
            slope = Some(step);
            crossings += usize::from(count != old_count);
        }
        assert!((-0.5..1.6).contains(&part), "{part} at {cr} {ci}");
        previous = Some((count, mu));
    }
    assert!(crossings >= 6, "{crossings} borders of bands were crossed");
}

#[test]
fn fractions_are_finite_at_the_ends_of_their_range() {
    for (cr, ci) in
        [(-2.0, 0.0), (-2.0 - f64::EPSILON * 2.0, 0.0), (1e200, -1e200), (1e30, 0.0), (2.0, 0.0)]
    {
        let (count, part) = escape(cr, ci, 10);
        assert_eq!(count, 1, "{cr}");
        assert!(part.is_finite() && (-20.0..=67.0).contains(&part), "{part} at {cr}");
    }
    // By hand: z = c = 3, then 12, 147, 21612, 467078547; log2 of its square is 57.59.
    let expected = 4.0 + 2.0 - libm::log2(2.0 * libm::log2(467_078_547.0));
    assert!((fraction(3.0, 0.0, 3.0, 0.0) - to_f32(expected)).abs() < 1e-6);
}

#[test]
fn the_equalizer_never_falls_and_ends_at_one() {
    let limit = 3_000_000;
    let mut histogram = Histogram::new(limit);
    let counts: Vec<u32> = (0..3000).map(|i| i * i / 3).chain([NOT_ESCAPED; 50]).collect();
    histogram.add(&counts);
    assert_eq!(histogram.bins().iter().sum::<u64>(), 3000);
    let equalizer = Equalizer::from(histogram);
    let mut previous = 0.0;
    for count in (0..70_000).chain((70_000..limit).step_by(97)) {
        for part in [0.0, 0.25, 0.5, 0.75] {
            let position = equalizer.position(count, part);
            assert!((previous..=1.0).contains(&position), "{previous} then {position} at {count}");
            previous = position;
        }
    }
    assert!((equalizer.position(limit, 9.0) - 1.0).abs() < 1e-12);
    // A fraction outside 0..=1 continues into the neighbouring band.
    assert!((equalizer.position(7, 1.5) - equalizer.position(8, 0.5)).abs() < 1e-15);
}

#[test]
fn equal_areas_get_equal_shares() {
    let mut histogram = Histogram::new(100);
    histogram.add(&(1..=100).collect::<Vec<u32>>());
    let equalizer = Equalizer::from(histogram);
    for count in 2..98u8 {
        let position = equalizer.position(u32::from(count), 0.5);
        assert!((position - (f64::from(count) - 0.5) / 100.0).abs() < 1e-12, "{count}: {position}");
    }
}

#[test]
fn bins_add_up_over_parts_and_stay_bounded() {
    let counts: Vec<u32> = (0..5000u32).map(|i| i.wrapping_mul(2_654_435_761)).collect();
    let mut whole = Histogram::new(u32::MAX - 1);
    whole.add(&counts);
    let mut parts = Histogram::new(u32::MAX - 1);
    parts.add(&counts[..1234]);
    let mut other = Histogram::new(u32::MAX - 1);
    other.add(&counts[1234..]);
    for (sum, term) in parts.bins().iter_mut().zip(other.bins()) {
        *sum += *term;
    }
    assert!(whole.bins() == parts.bins());
    assert_eq!(whole.bins().len(), 65_536 + 16 * 1024);
    assert_eq!(Histogram::new(1000).bins().len(), 1001);
    let empty = Equalizer::from(Histogram::new(10));
    assert!(empty.position(5, 0.5).abs() < 1e-12);
}
