//! The sheet that a figure is drawn on: title, mark against publishing, chart, legend below it.
//!
//! Charts, grids and axes are plotters' work. Its SVG backend counts in whole pixels, so a unit of
//! ours is ten of its pixels and the view box scales them back. A legend below the chart takes
//! height but never hides data and leaves the chart the whole width.

use std::fmt::Write;

use plotters::chart::ChartBuilder;
use plotters::coord::Shift;
use plotters::coord::ranged1d::Ranged;
use plotters::drawing::{DrawingArea, DrawingAreaErrorKind, IntoDrawingArea};
use plotters::element::{Circle, DashedPathElement, PathElement, Polygon, Rectangle};
use plotters::prelude::SVGBackend;
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{Color, FontDesc, FontFamily, FontStyle, RGBColor, TextStyle, WHITE};

use super::axis::Axis;
use super::font;
use super::style::{self, Shape};
use crate::num::round_i32;

/// Width of every figure in its units; 16 cm on paper, so 13 units are 8.2 points.
pub const WIDTH: i32 = 720;
/// Plotters' pixels in a unit.
const FINE: i32 = 10;
const TEXT: f64 = 13.0;
const SMALL: f64 = 12.0;
const LEGEND_ROW: i32 = 20;

/// The library's errors; writing to a string gives none, so one of these is a broken drawing.
pub type Failed = DrawingAreaErrorKind<std::io::Error>;
/// The whole sheet.
type Sheet<'a> = DrawingArea<SVGBackend<'a>, Shift>;

/// A sample in a legend.
#[derive(Clone, Copy, Debug)]
pub enum Sample {
    /// A line with a mark on it.
    Mark(RGBColor, Shape),
    /// A mark alone.
    Point(RGBColor, Shape),
    /// A dashed line of this colour and kind.
    Dashed(RGBColor, usize),
    /// A filled field.
    Field(RGBColor, f64),
}

/// All of a figure but its data.
pub struct Sheetful {
    /// Its heading.
    pub title: String,
    /// For those who do not see it.
    pub description: String,
    /// Why it must not be published.
    pub alarm: Option<String>,
    /// Height of the chart without its labels.
    pub height: i32,
    /// The axes and what they show.
    pub x: Axis,
    /// The vertical axis.
    pub y: Axis,
    /// What the horizontal axis shows.
    pub x_label: String,
    /// What the vertical axis shows.
    pub y_label: String,
    /// Whether lines stand over the ticks of the horizontal axis.
    pub x_grid: bool,
    /// The legend.
    pub legend: Vec<(Sample, String)>,
}

/// Draws on the chart, in its coordinates.
pub struct Pen<'a, 'b> {
    sheet: &'a Sheet<'b>,
    x: &'a Axis,
    y: &'a Axis,
    /// Left, right, top, bottom of the chart in plotters' pixels.
    field: [i32; 4],
}

/// Draws a figure: the frame, then what `data` draws.
pub fn draw(
    sheetful: &Sheetful,
    data: impl FnOnce(&Pen) -> Result<(), Failed>,
) -> Result<String, Failed> {
    let columns = Columns::of(&sheetful.legend);
    let top = if sheetful.alarm.is_some() { 58 } else { 40 };
    let below = 52 + columns.height();
    let size = (WIDTH, top + sheetful.height + below);
    let mut svg = String::new();
    {
        let pixels = (unsigned(size.0 * FINE), unsigned(size.1 * FINE));
        let sheet = SVGBackend::with_string(&mut svg, pixels).into_drawing_area();
        sheet.fill(&WHITE)?;
        let chart = frame(&sheet, sheetful, top, below)?;
        data(&chart)?;
        let legend_top = top + sheetful.height + 50;
        columns.draw(&sheet, &sheetful.legend, legend_top)?;
        sheet.present()?;
    }
    Ok(with_head(&svg, size, sheetful))
}

/// Replaces the library's first tag by one with our size and with texts for screen readers.
fn with_head(svg: &str, size: (i32, i32), sheetful: &Sheetful) -> String {
    let body = svg.split_once('>').map_or("", |(_, body)| body);
    let mut whole = String::with_capacity(svg.len() + 600);
    // Writing to a string cannot fail.
    let _ = write!(
        whole,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{}\" height=\"{}\" \
         viewBox=\"0 0 {} {}\" role=\"img\" aria-label=\"{}\">\n<desc>{}</desc>",
        size.0,
        size.1,
        size.0 * FINE,
        size.1 * FINE,
        escaped(&sheetful.title),
        escaped(&sheetful.description),
    );
    whole.push_str(body);
    whole
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// Title, alarm, axes and grid.
fn frame<'a, 'b>(
    sheet: &'a Sheet<'b>,
    sheetful: &'a Sheetful,
    top: i32,
    below: i32,
) -> Result<Pen<'a, 'b>, Failed> {
    let room = f64::from(WIDTH - 20);
    let title = font::shorten(&sheetful.title, 15.0, room);
    let left_top = Pos::new(HPos::Left, VPos::Top);
    sheet.draw_text(&title, &text(15.0, style::INK, left_top), (10 * FINE, 8 * FINE))?;
    if let Some(alarm) = &sheetful.alarm {
        let alarm = font::shorten(alarm, TEXT, room);
        sheet.draw_text(&alarm, &text(TEXT, style::ALARM, left_top), (10 * FINE, 28 * FINE))?;
    }
    let widest = sheetful.y.ticks.iter().map(|tick| font::width(&tick.label, SMALL));
    let label_area = round_i32(widest.fold(0.0, f64::max)) + 38;
    let mut x = sheetful.x.clone();
    x.thin_labels(f64::from(WIDTH - label_area - 28), SMALL);
    let middle = Pos::new(HPos::Center, VPos::Center);
    let small = text(SMALL, style::INK, middle);
    let mut chart = ChartBuilder::on(sheet)
        .margin_top(top * FINE)
        .margin_bottom((below - 44) * FINE)
        .margin_left(8 * FINE)
        .margin_right(20 * FINE)
        .x_label_area_size(44 * FINE)
        .y_label_area_size(label_area * FINE)
        .build_cartesian_2d(x, sheetful.y.clone())?;
    let mut mesh = chart.configure_mesh();
    mesh.bold_line_style(style::GRID.stroke_width(8))
        .max_light_lines(0)
        .axis_style(style::INK.stroke_width(10))
        .label_style(small)
        .axis_desc_style(text(TEXT, style::INK, middle))
        .set_all_tick_mark_size(4 * FINE)
        .x_desc(sheetful.x_label.as_str())
        .y_desc(sheetful.y_label.as_str());
    if !sheetful.x_grid {
        mesh.disable_x_mesh();
    }
    mesh.draw()?;
    let (across, down) = chart.plotting_area().get_pixel_range();
    // Plotters takes the last pixel for the far end.
    let field = [across.start, across.end - 1, down.start, down.end - 1];
    Ok(Pen { sheet, x: &sheetful.x, y: &sheetful.y, field })
}

fn text(size: f64, color: RGBColor, pos: Pos) -> TextStyle<'static> {
    // The SVG backend divides sizes by 1.24.
    let size = size * f64::from(FINE) * 1.24;
    let font = FontDesc::new(FontFamily::Name(font::FAMILIES), size, FontStyle::Normal);
    let mut style = TextStyle::from(font).pos(pos);
    style.color = color.to_backend_color();
    style
}

fn unsigned(value: i32) -> u32 {
    u32::try_from(value).unwrap_or(0)
}

/// A legend's entries in as many equal columns as fit.
struct Columns {
    count: i32,
    width: i32,
    rows: i32,
}

impl Columns {
    fn of(legend: &[(Sample, String)]) -> Self {
        let widest = legend.iter().map(|(_, label)| font::width(label, SMALL)).fold(0.0, f64::max);
        let room = WIDTH - 20;
        let width = (round_i32(widest) + 58).clamp(58, room);
        let entries = i32::try_from(legend.len()).unwrap_or(i32::MAX / LEGEND_ROW);
        let count = (room / width).clamp(1, entries.max(1));
        let rows = entries.unsigned_abs().div_ceil(count.unsigned_abs());
        Self { count, width, rows: i32::try_from(rows).unwrap_or(0) }
    }

    fn height(&self) -> i32 {
        self.rows * LEGEND_ROW + 6
    }

    /// Column by column, as one reads a list.
    fn draw(&self, sheet: &Sheet, legend: &[(Sample, String)], top: i32) -> Result<(), Failed> {
        let left = (WIDTH - self.count * self.width) / 2;
        let places =
            (0..self.count).flat_map(|column| (0..self.rows).map(move |row| (column, row)));
        for ((column, row), (sample, label)) in places.zip(legend) {
            let x = (left + column * self.width) * FINE;
            let y = (top + row * LEGEND_ROW + LEGEND_ROW / 2) * FINE;
            let line = [(x, y), (x + 30 * FINE, y)];
            match *sample {
                Sample::Mark(color, shape) => {
                    sheet.draw(&PathElement::new(line, color.stroke_width(16)))?;
                    mark(sheet, (x + 15 * FINE, y), color, shape, false)?;
                }
                Sample::Point(color, shape) => {
                    mark(sheet, (x + 15 * FINE, y), color, shape, false)?;
                }
                Sample::Dashed(color, kind) => dashed(sheet, line.to_vec(), color, kind)?,
                Sample::Field(color, alpha) => {
                    let corners = [(x + 8 * FINE, y - 6 * FINE), (x + 30 * FINE, y + 6 * FINE)];
                    sheet.draw(&Rectangle::new(corners, color.mix(alpha).filled()))?;
                }
            }
            let label = font::shorten(label, SMALL, f64::from(self.width - 46));
            let style = text(SMALL, style::INK, Pos::new(HPos::Left, VPos::Center));
            sheet.draw_text(&label, &style, (x + 37 * FINE, y))?;
        }
        Ok(())
    }
}

/// A mark around a place; hollow ones are white with a coloured line.
fn mark(
    sheet: &Sheet,
    at: (i32, i32),
    color: RGBColor,
    shape: Shape,
    hollow: bool,
) -> Result<(), Failed> {
    let radius = 4 * FINE;
    let fill = if hollow { WHITE } else { color };
    match shape {
        Shape::Circle => {
            sheet.draw(&Circle::new(at, radius, fill.filled()))?;
            sheet.draw(&Circle::new(at, radius, color.stroke_width(14)))
        }
        Shape::Corners(corners) => {
            let place = |&(x, y): &(i32, i32)| (at.0 + x * radius / 100, at.1 + y * radius / 100);
            let mut outline: Vec<(i32, i32)> = corners.iter().map(place).collect();
            sheet.draw(&Polygon::new(outline.clone(), fill.filled()))?;
            outline.extend(corners.iter().take(2).map(place)); // the second again, for a mitred corner
            sheet.draw(&PathElement::new(outline, color.stroke_width(14)))
        }
    }
}

fn dashed(
    sheet: &Sheet,
    points: Vec<(i32, i32)>,
    color: RGBColor,
    kind: usize,
) -> Result<(), Failed> {
    let (dash, gap) = style::dash(kind);
    let style = color.stroke_width(if kind == 0 { 10 } else { 14 });
    sheet.draw(&DashedPathElement::new(points, dash * FINE, gap * FINE, style))
}

impl Pen<'_, '_> {
    fn place(&self, (x, y): (f64, f64)) -> (i32, i32) {
        let [left, right, top, bottom] = self.field;
        (self.x.map(&x, (left, right)), self.y.map(&y, (bottom, top)))
    }

    fn places(&self, points: &[(f64, f64)]) -> Vec<(i32, i32)> {
        points.iter().map(|&point| self.place(point)).collect()
    }

    /// A line through points.
    pub fn line(&self, points: &[(f64, f64)], color: RGBColor, width: u32) -> Result<(), Failed> {
        self.sheet.draw(&PathElement::new(self.places(points), color.stroke_width(width)))
    }

    /// A dashed line through points.
    pub fn dashed(
        &self,
        points: &[(f64, f64)],
        color: RGBColor,
        kind: usize,
    ) -> Result<(), Failed> {
        dashed(self.sheet, self.places(points), color, kind)
    }

    /// A filled shape.
    pub fn field(&self, corners: &[(f64, f64)], color: RGBColor, alpha: f64) -> Result<(), Failed> {
        self.sheet.draw(&Polygon::new(self.places(corners), color.mix(alpha).filled()))
    }

    /// An upright rectangle between two corners, with white edges of this width between it and others.
    pub fn bar(&self, corners: [(f64, f64); 2], color: RGBColor, edge: i32) -> Result<(), Failed> {
        let (a, b) = (self.place(corners[0]), self.place(corners[1]));
        let upper = (a.0.min(b.0) + edge, a.1.min(b.1));
        let lower = ((a.0.max(b.0) - edge).max(upper.0), (a.1.max(b.1) - edge).max(upper.1));
        self.sheet.draw(&Rectangle::new([upper, lower], color.filled()))
    }

    /// An interval at x: a line with caps.
    pub fn interval(&self, x: f64, ends: [f64; 2], color: RGBColor) -> Result<(), Failed> {
        let (low, high) = (self.place((x, ends[0])), self.place((x, ends[1])));
        let cap = |(x, y): (i32, i32)| vec![(x - 4 * FINE, y), (x + 4 * FINE, y)];
        for line in [vec![low, high], cap(low), cap(high)] {
            self.sheet.draw(&PathElement::new(line, color.stroke_width(12)))?;
        }
        Ok(())
    }

    /// A mark at a point.
    pub fn mark(
        &self,
        at: (f64, f64),
        color: RGBColor,
        shape: Shape,
        hollow: bool,
    ) -> Result<(), Failed> {
        mark(self.sheet, self.place(at), color, shape, hollow)
    }

    /// Small text in the middle of a place.
    pub fn label(&self, at: (f64, f64), label: &str, color: RGBColor) -> Result<(), Failed> {
        let style = text(11.0, color, Pos::new(HPos::Center, VPos::Center));
        self.sheet.draw_text(label, &style, self.place(at))
    }

    /// Small text whose end, or beginning, is a little beside a place.
    pub fn aside(&self, at: (f64, f64), label: &str, before: bool) -> Result<(), Failed> {
        let (side, shift) = if before { (HPos::Right, -6) } else { (HPos::Left, 6) };
        let style = text(11.0, style::GUIDE, Pos::new(side, VPos::Center));
        let (x, y) = self.place(at);
        self.sheet.draw_text(label, &style, (x + shift * FINE, y))
    }

    /// Width of a difference on the horizontal axis, and height of one on the vertical, in units.
    pub fn extent(&self, from: (f64, f64), to: (f64, f64)) -> (f64, f64) {
        let (a, b) = (self.place(from), self.place(to));
        let units = |pixels: i32| f64::from(pixels.abs()) / f64::from(FINE);
        (units(b.0 - a.0), units(b.1 - a.1))
    }
}
