//! All files of a report from its data. Everything is held in memory at once, some 100 kB a figure,
//! in exchange for a report that is either complete or not there.

use rayon::prelude::*;

use crate::scaling::figures::{self, Figure};
use crate::scaling::pages::{self, Preset};
use crate::scaling::report::Report;

/// Why a report could not be shown. None of these is the data's fault: they are broken templates
/// or drawings, and the message is for whoever changes those.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The plotting library refused.
    #[error("drawing a figure: {0}")]
    Draw(String),
    /// An SVG could not be turned into pixels.
    #[error("turning a figure into a PNG: {0}")]
    Raster(String),
    /// A template is wrong.
    #[error("filling a page: {0}")]
    Page(String),
}

/// The files of a report: names (without a folder, only `a-z0-9-.`) and contents, in a fixed order.
/// The same report gives the same bytes on any machine and with any number of threads.
///
/// # Errors
/// When a template or a drawing is broken, never because of what the report says.
pub fn render(report: &Report, preset: Preset) -> Result<Vec<(String, Vec<u8>)>, Error> {
    let shown = figures::figures(report)?;
    let mut files = pages::pages(report, preset, &shown)?;
    let pictures: Vec<Vec<u8>> = shown
        .figures
        .par_iter()
        .map(|figure: &Figure| figures::png(&figure.svg))
        .collect::<Result<_, _>>()?;
    for (figure, picture) in shown.figures.into_iter().zip(pictures) {
        files.push((format!("{}.svg", figure.stem), figure.svg.into_bytes()));
        files.push((format!("{}.png", figure.stem), picture));
    }
    Ok(files)
}

#[cfg(test)]
pub(crate) mod samples;
#[cfg(test)]
mod tests;
