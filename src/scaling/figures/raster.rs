//! SVG to PNG at 300 dots per inch. No font but the embedded one is known to the rasterizer and no
//! file is ever opened by it, so the pixels depend on the SVG alone.

use std::sync::{Arc, LazyLock};

use resvg::tiny_skia::{Color, Pixmap, Transform};
use resvg::usvg::{Options, Tree, fontdb};

use super::{canvas, font};
use crate::scaling::render::Error;

/// Dots in a width of 16 cm.
const DOTS: u32 = 1890;
/// 300 dots per inch in dots per metre, as PNG's pHYs chunk wants it (PNG specification, 11.3.4.3).
const DOTS_PER_METRE: u32 = 11_811;

static FONTS: LazyLock<Arc<fontdb::Database>> = LazyLock::new(|| {
    let mut fonts = fontdb::Database::new();
    fonts.load_font_source(fontdb::Source::Binary(Arc::new(dejavu::sans::regular())));
    Arc::new(fonts)
});

/// The pixels of a figure, 16 cm wide at 300 dots per inch, on white.
///
/// # Errors
/// When `svg` is not one of ours.
pub fn png(svg: &str) -> Result<Vec<u8>, Error> {
    let options =
        Options { fontdb: FONTS.clone(), font_family: font::FAMILY.into(), ..Options::default() };
    let tree = Tree::from_str(svg, &options).map_err(|error| Error::Raster(error.to_string()))?;
    let scale = f64::from(DOTS) / f64::from(canvas::WIDTH);
    let height = crate::num::round_i32(f64::from(tree.size().height()) * scale);
    let height = u32::try_from(height).unwrap_or(1).max(1);
    let no_pixels = || Error::Raster("no room for the pixels".into());
    let mut pixels = Pixmap::new(DOTS, height).ok_or_else(no_pixels)?;
    pixels.fill(Color::WHITE);
    let scale = crate::num::to_f32(scale);
    resvg::render(&tree, Transform::from_scale(scale, scale), &mut pixels.as_mut());
    encode(pixels.data(), DOTS, height).map_err(|error| Error::Raster(error.to_string()))
}

fn encode(rgba: &[u8], width: u32, height: u32) -> Result<Vec<u8>, png::EncodingError> {
    // White below everything: no alpha is left.
    let rgb: Vec<u8> =
        rgba.chunks_exact(4).flat_map(|pixel| [pixel[0], pixel[1], pixel[2]]).collect();
    let mut file = Vec::new();
    let mut encoder = png::Encoder::new(&mut file, width, height);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    encoder.set_compression(png::Compression::Fast);
    let unit = png::Unit::Meter;
    let dots = png::PixelDimensions { xppu: DOTS_PER_METRE, yppu: DOTS_PER_METRE, unit };
    encoder.set_pixel_dims(Some(dots));
    let mut writer = encoder.write_header()?;
    writer.write_image_data(&rgb)?;
    writer.finish()?;
    Ok(file)
}
