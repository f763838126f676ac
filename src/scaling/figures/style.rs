//! Colours and marks. The colours are those of Okabe and Ito ("Color Universal Design", 2008), which
//! people with any of the common colour deficiencies tell apart; shapes repeat the distinction for
//! black and white. Seven colours and eight shapes: 56 series differ.

use plotters::style::RGBColor;

/// Text and axes.
pub const INK: RGBColor = RGBColor(0x22, 0x22, 0x22);
/// What guides the eye: ideal lines, thresholds.
pub const GUIDE: RGBColor = RGBColor(0x66, 0x66, 0x66);
/// Grid lines.
pub const GRID: RGBColor = RGBColor(0xE4, 0xE4, 0xE4);
/// The mark on figures that must not be published.
pub const ALARM: RGBColor = RGBColor(0xA6, 0x1E, 0x00);
/// The part of a time that has no name.
pub const REST: RGBColor = RGBColor(0xD0, 0xD0, 0xD0);

const COLORS: [RGBColor; 7] = [
    RGBColor(0x00, 0x72, 0xB2), // blue
    RGBColor(0xD5, 0x5E, 0x00), // vermilion
    RGBColor(0x00, 0x9E, 0x73), // bluish green
    RGBColor(0xCC, 0x79, 0xA7), // reddish purple
    RGBColor(0xE6, 0x9F, 0x00), // orange
    RGBColor(0x56, 0xB4, 0xE9), // sky blue
    RGBColor(0x00, 0x00, 0x00), // black
];

/// The shape of a mark.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// A circle.
    Circle,
    /// Corners, in hundredths of the mark's radius.
    Corners(&'static [(i32, i32)]),
}

const SHAPES: [Shape; 8] = [
    Shape::Circle,
    Shape::Corners(&[(-89, -89), (89, -89), (89, 89), (-89, 89)]),
    Shape::Corners(&[(0, -125), (118, 80), (-118, 80)]),
    Shape::Corners(&[(0, -130), (105, 0), (0, 130), (-105, 0)]),
    Shape::Corners(&[(0, 125), (118, -80), (-118, -80)]),
    Shape::Corners(&[
        (-110, -42),
        (-42, -42),
        (-42, -110),
        (42, -110),
        (42, -42),
        (110, -42),
        (110, 42),
        (42, 42),
        (42, 110),
        (-42, 110),
        (-42, 42),
        (-110, 42),
    ]),
    Shape::Corners(&[
        (0, -140),
        (33, -45),
        (133, -43),
        (53, 17),
        (82, 113),
        (0, 55),
        (-82, 113),
        (-53, 17),
        (-133, -43),
        (-33, -45),
    ]),
    Shape::Corners(&[(-115, 0), (-58, -100), (58, -100), (115, 0), (58, 100), (-58, 100)]),
];

/// The colour of the k-th series, part or model.
pub fn color(k: usize) -> RGBColor {
    COLORS[k % COLORS.len()]
}

/// The colour of the k-th part of a stack: neighbours differ in lightness too, for grey prints.
pub fn part(k: usize) -> RGBColor {
    COLORS[[0, 4, 3, 5, 2, 1, 6][k % 7]]
}

/// The shape of the k-th series's marks.
pub fn shape(k: usize) -> Shape {
    SHAPES[k % SHAPES.len()]
}

/// Dash and gap of the k-th dashed line, in units of the drawing; the 0-th is for ideal lines.
pub fn dash(k: usize) -> (i32, i32) {
    [(7, 4), (12, 4), (3, 3), (16, 6), (5, 7)][k % 5]
}
