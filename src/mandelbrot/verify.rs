//! `dcomp verify` of pictures and of the counts behind them, against the record or alone.
//!
//! A picture is read as a stream, a grid by some million pixels at a time. What is recomputed is what the
//! file can tell: sums, checksums, coordinates. Whether the counts are right is for the run's own check,
//! and for `dcomp rerun`, which costs a run.

use std::ops::Range;
use std::path::Path;

use serde_json::json;

use super::compute::Tally;
use super::kernel::NOT_ESCAPED;
use super::provenance::Parameters;
use super::recolor::RecolorSpec;
use super::spec::{Spec, WIDTH_MAX, lattice};
use crate::error::{Error, Result};
use crate::num::{to_u64, to_usize};
use crate::store::crc;
use crate::store::hdf5::{Hdf5Error, Number, Numbers, Reader, Value};
use crate::store::png::check::{Flaw, Picture, check};
use crate::verify::{Look, Recorded, Summing, Verified, changed, not_as_made, open};

/// Pixels of a grid that are looked at together, about.
const PIXELS: u64 = 1 << 22;

/// The text that names the parameters of a picture.
const COMMENT: &str = "Comment";

/// Checks a picture, or the grid of its counts, against its record. Local.
///
/// # Errors
/// A verification error that names what differs, and the first place that is wrong.
pub fn verify(file: &Path, recorded: &Recorded) -> Result<Verified> {
    let spec: Spec = recorded.spec()?;
    match recorded.at {
        0 => {
            let (picture, mut look) = look_at_picture(file)?;
            if let Some(picture) = picture {
                look.problems.extend(against(&picture, (spec.width, spec.height), spec.depth));
                look.problems.extend(foreign(&picture, &spec));
            }
            recorded.judge(file, look)
        }
        1 => grid(file, recorded, &spec),
        _ => recorded.compare(file),
    }
}

/// Checks a picture that was coloured from a grid. Local.
///
/// # Errors
/// As [`verify`].
pub fn verify_recolored(file: &Path, recorded: &Recorded) -> Result<Verified> {
    let spec: RecolorSpec = recorded.spec()?;
    let side =
        |key: &str| Ok(recorded.result(key)?.as_u64().and_then(|side| u32::try_from(side).ok()));
    let pixels = (side("width")?.unwrap_or(0), side("height")?.unwrap_or(0));
    let (picture, mut look) = look_at_picture(file)?;
    if let Some(picture) = picture {
        look.problems.extend(against(&picture, pixels, spec.depth));
    }
    recorded.judge(file, look)
}

/// Checks a picture that no record tells of. Local. What was found, and what that leaves open.
///
/// # Errors
/// A verification error when it is not sound.
pub fn picture_alone(file: &Path) -> Result<Vec<String>> {
    let (_, look) = look_at_picture(file)?;
    if !look.problems.is_empty() {
        return Err(changed(file, &look.problems));
    }
    let mut lines = look.lines;
    lines.push(
        "no record: that these are the bytes a run wrote is not known; name its record with --record, \
         or let dcomp rerun make it again"
            .into(),
    );
    Ok(lines)
}

/// Reads a PNG; what it says when it is sound.
fn look_at_picture(file: &Path) -> Result<(Option<Picture>, Look)> {
    let (opened, _) = open(file)?;
    let mut summing = Summing::new(opened);
    let mut look = Look::default();
    let picture = match check(&mut summing) {
        Ok(picture) => Some(picture),
        Err(Flaw::Io(cause)) => return Err(Error::io("read", file, &cause)),
        Err(Flaw::At(byte, what)) => {
            look.problems.push(format!("byte {byte}: {what}"));
            None
        }
    };
    look.sum = Some(summing.finish(file)?);
    if let Some(Picture { width, height, depth, idat_chunks, .. }) = &picture {
        look.lines.push(format!(
            "{width} x {height} pixels of {} bits a channel in {idat_chunks} chunks: CRC-32, zlib stream and \
             Adler-32 are sound",
            depth.bits()
        ));
    }
    Ok((picture, look))
}

fn against(picture: &Picture, (width, height): (u32, u32), depth: u8) -> Option<String> {
    let Picture { width: w, height: h, depth: d, .. } = picture;
    ((*w, *h, d.bits()) != (width, height, depth)).then(|| {
        format!(
            "it is a picture of {w} x {h} pixels of {} bits, its record says {width} x {height} of {depth}",
            d.bits()
        )
    })
}

/// Whether a picture says of itself that it is another one.
fn foreign(picture: &Picture, spec: &Spec) -> Option<String> {
    let Some((_, text)) = picture.texts.iter().find(|(keyword, _)| keyword == COMMENT) else {
        return Some("it does not tell how it was made".into());
    };
    match Parameters::parse(text) {
        Err(problem) => Some(format!("its {COMMENT}: {problem}")),
        Ok(said) => said
            .difference(&Parameters::of(spec))
            .map(|both| format!("it says that it was made otherwise than its record: {both}")),
    }
}

/// A grid, all of it looked at.
struct Grid {
    max_iterations: u32,
    region: Option<[f64; 4]>,
    tally: Tally,
    size: (u32, u32),
    counts_crc64: u64,
}

fn grid(file: &Path, recorded: &Recorded, spec: &Spec) -> Result<Verified> {
    // What was changed is not handed to the HDF5 library, which damaged files may end.
    let sum = recorded.compare(file)?.sum;
    let (grid, mut look) = look_at_grid(file).map_err(not_as_made)?;
    look.sum = Some(sum);
    if grid.region.map(|region| region.map(f64::to_bits)) != Some(spec.region.map(f64::to_bits)) {
        look.problems.push(format!(
            "its region is {:?}, its record says {:?}",
            grid.region.unwrap_or_default(),
            spec.region
        ));
    }
    look.problems.extend(recorded.differing(&[
        ("width", json!(grid.size.0)),
        ("height", json!(grid.size.1)),
        ("max_iterations", json!(grid.max_iterations)),
        ("iterations_total", json!(grid.tally.iterations)),
        ("interior_pixels", json!(grid.tally.interior)),
        ("counts_crc64", json!(crc::hex(grid.counts_crc64))),
    ])?);
    recorded.judge(file, look)
}

/// Checks a grid that no record tells of. Local. What was found, and what that leaves open.
///
/// # Errors
/// A verification error when it is not sound.
pub fn grid_alone(file: &Path) -> Result<Vec<String>> {
    let (grid, look) = look_at_grid(file)?;
    if !look.problems.is_empty() {
        return Err(changed(file, &look.problems));
    }
    let mut lines = look.lines;
    let Tally { iterations, interior, .. } = grid.tally;
    lines.push(format!(
        "iterations {iterations}, interior pixels {interior}, counts_crc64 {}",
        crc::hex(grid.counts_crc64)
    ));
    lines.push(
        "no record: that these are the counts a run wrote, and NF beyond being finite, is not known; name \
         the record of the picture with --record, or let dcomp rerun make them again"
            .into(),
    );
    Ok(lines)
}

fn bad(cause: &Hdf5Error) -> Error {
    match cause {
        Hdf5Error::Io { path, source } => Error::io("read", path, source),
        _ => Error::bad_input(cause.to_string()),
    }
}

fn look_at_grid(file: &Path) -> Result<(Grid, Look)> {
    let reader = Reader::open(file).map_err(|cause| bad(&cause))?;
    let shape = reader.shape();
    let (Ok(width), Ok(height)) = (u32::try_from(shape.width), u32::try_from(shape.height)) else {
        return Err(no_grid(file, shape.width, shape.height));
    };
    if !(1..=WIDTH_MAX).contains(&width) || height == 0 {
        return Err(no_grid(file, shape.width, shape.height));
    }
    let max_iterations = reader.max_iterations().map_err(|cause| bad(&cause))?;
    let mut grid = Grid {
        max_iterations,
        region: region_of(&reader.attributes().map_err(|cause| bad(&cause))?),
        tally: Tally::default(),
        size: (width, height),
        counts_crc64: crc::checksum(&[]),
    };
    let mut look = Look::default();
    if let Some(region) = grid.region {
        let plane = lattice(region, width, height);
        look.problems.extend(coordinates(file, "/re", width, |x| plane.re(x))?);
        look.problems.extend(coordinates(file, "/im", height, |y| plane.im(y))?);
    } else {
        look.problems.push("it does not tell its region".into());
    }
    let step = (PIXELS / shape.width).max(1);
    for start in (0..shape.height).step_by(to_usize(step)) {
        let rows = start..(start + step).min(shape.height);
        let problem = look_at_rows(&reader, rows, &mut grid)?;
        if look.problems.is_empty() {
            look.problems.extend(problem);
        }
    }
    look.lines.push(format!("{width} x {height} counts of at most {max_iterations} steps"));
    Ok((grid, look))
}

fn no_grid(file: &Path, width: u64, height: u64) -> Error {
    Error::bad_input(format!("{}: {width} x {height} pixels are no grid of dcomp", file.display()))
}

/// Adds some rows to the sums; the first pixel that cannot be.
fn look_at_rows(reader: &Reader, rows: Range<u64>, grid: &mut Grid) -> Result<Option<String>> {
    let counts = reader.read_counts(rows.clone()).map_err(|cause| bad(&cause))?;
    let fractions = reader.read_fractions(rows.clone()).map_err(|cause| bad(&cause))?;
    let limit = grid.max_iterations;
    let bytes: &[u8] = bytemuck::cast_slice(&counts);
    grid.counts_crc64 = crc::combine(grid.counts_crc64, crc::checksum(bytes), to_u64(bytes.len()));
    grid.tally = grid.tally.plus(Tally::of(&counts, limit));
    let width = u64::from(grid.size.0);
    let place = |at: usize| (to_u64(at) % width, rows.start + to_u64(at) / width);
    let possible = |count: u32| (1..=limit).contains(&count) || count == NOT_ESCAPED;
    let wrong = counts.iter().position(|&count| !possible(count)).map(|at| {
        let ((x, y), count) = (place(at), counts[at]);
        format!("pixel ({x}, {y}) has count {count}, outside 1..={limit}")
    });
    let strange = || {
        let fractions = fractions.as_deref().unwrap_or_default();
        let at = fractions.iter().position(|fraction| !fraction.is_finite())?;
        let ((x, y), fraction) = (place(at), fractions[at]);
        Some(format!("pixel ({x}, {y}) has fraction {fraction}"))
    };
    Ok(wrong.or_else(strange))
}

/// The view, when all four edges are told.
pub fn region_of(attributes: &[(String, Value)]) -> Option<[f64; 4]> {
    let find = |name: &str| match attributes.iter().find(|(known, _)| known == name) {
        Some((_, Value::Float(number))) => Some(*number),
        _ => None,
    };
    let edges = ["region_re0", "region_re1", "region_im0", "region_im1"].map(find);
    let [Some(re0), Some(re1), Some(im0), Some(im1)] = edges else { return None };
    Some([re0, re1, im0, im1])
}

/// The first coordinate along an axis that is not that of its column or row.
fn coordinates(
    file: &Path,
    name: &str,
    count: u32,
    at: impl Fn(u32) -> f64,
) -> Result<Option<String>> {
    const PIECE: usize = 1 << 16;
    let numbers = Numbers::open(file, name).map_err(|cause| bad(&cause))?;
    if (numbers.number(), numbers.count()) != (Number::F64, u64::from(count)) {
        return Ok(Some(format!("{name} does not have {count} coordinates")));
    }
    let mut index = 0;
    while index < count {
        let piece = to_usize((count - index).into()).min(PIECE);
        let mut bytes = vec![0; 8 * piece];
        numbers.read(index.into(), &mut bytes).map_err(|cause| bad(&cause))?;
        for word in bytes.as_chunks::<8>().0 {
            let (found, expected) = (f64::from_ne_bytes(*word), at(index));
            if found.to_bits() != expected.to_bits() {
                return Ok(Some(format!("{name} holds {found} at {index}, not {expected}")));
            }
            index += 1;
        }
    }
    Ok(None)
}
