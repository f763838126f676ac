//! The job `recolor`: another palette for counts that lie in an HDF5 file, without computing them.
//!
//! Every rank reads the rows it will write, a band at a time, through the serial HDF5 library.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::bands::{Band, Bands};
use super::paint_strip;
use super::palette::{Colorer, Equalizer, Histogram, Palette};
use super::pieces::Rows;
use crate::cli::RecolorArgs;
use crate::comm::Op;
use crate::context::Context;
use crate::error::{Error, Result};
use crate::job::{Job, Request, Step};
use crate::measure::record::{FileSum, Findings};
use crate::num::{to_u64, to_usize};
use crate::store::checkpoint::Found;
use crate::store::hdf5::{Hdf5Error, Reader};
use crate::store::png::{Depth, Layout};
use crate::store::png_file::PngFile;

/// What to colour and how.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RecolorSpec {
    /// The file with `N` and perhaps `NF`.
    pub input: PathBuf,
    /// The PNG to write.
    pub output: PathBuf,
    /// Name of the palette.
    #[serde(with = "super::spec::by_name")]
    pub palette: Palette,
    /// Bits per channel.
    pub depth: u8,
}

impl RecolorSpec {
    /// From the flags.
    ///
    /// # Errors
    /// When the depth is none that PNG has, or the output is the input.
    pub fn from_arguments(args: &RecolorArgs) -> Result<Self> {
        let depth = args.paint.depth.unwrap_or(8);
        if !matches!(depth, 8 | 16) {
            return Err(Error::usage(format!("--depth: {depth} bits a channel; PNG has 8 and 16")));
        }
        if args.input == args.output {
            return Err(Error::usage("--output is the input's file; give another name"));
        }
        Ok(Self {
            input: PathBuf::from(&args.input),
            output: PathBuf::from(&args.output),
            palette: args.paint.palette.unwrap_or(Palette::Classic),
            depth,
        })
    }

    /// Lines for `--dry-run`.
    ///
    /// # Errors
    /// When the input cannot be read.
    pub fn describe(&self) -> Result<Vec<String>> {
        let reader = open(self)?;
        let (width, height) = size(&reader, self)?;
        Ok(vec![
            format!("input = {:?}: {width} x {height} pixels", self.input),
            format!("output = {:?}, palette {}, {} bits", self.output, self.palette, self.depth),
        ])
    }

    fn png_depth(&self) -> Depth {
        if self.depth == 16 { Depth::Sixteen } else { Depth::Eight }
    }
}

fn bad(cause: &Hdf5Error) -> Error {
    let next = if matches!(cause, Hdf5Error::Io { .. }) { "; check the path" } else { "" };
    Error::bad_input(format!("{cause}{next}"))
}

fn open(spec: &RecolorSpec) -> Result<Reader> {
    Reader::open(&spec.input).map_err(|cause| bad(&cause))
}

/// Width and height, when a PNG can have them.
fn size(reader: &Reader, spec: &RecolorSpec) -> Result<(u32, u32)> {
    let shape = reader.shape();
    match (u32::try_from(shape.width), u32::try_from(shape.height)) {
        (Ok(width), Ok(height)) if width <= super::spec::WIDTH_MAX => Ok((width, height)),
        _ => Err(Error::bad_input(format!(
            "{}: {} x {} pixels are more than a strip of a PNG holds in a rank's memory",
            spec.input.display(),
            shape.width,
            shape.height
        ))),
    }
}

/// The picture while it is coloured.
pub struct Recolor<'a> {
    spec: &'a RecolorSpec,
    context: &'a Context,
    reader: Reader,
    width: u32,
    height: u32,
    max_iterations: u32,
    bands: Bands,
    png: PngFile<'a>,
    histogram: Option<Histogram>,
    colorer: Option<Colorer>,
    rows: Rows,
    pixels: u64,
    input: FileSum,
}

impl<'a> Job<'a> for Recolor<'a> {
    const NAME: &'static str = "recolor";
    type Spec = RecolorSpec;

    fn plan(
        request: &'a Request<RecolorSpec>,
        context: &'a Context,
        _found: Option<&Found>,
    ) -> Result<Self> {
        let Request { spec, force } = request;
        let comm = &context.comm;
        let reader = comm.agree(context.meter.opening(|| open(spec)))?;
        let input = comm.decide(|| crate::verify::sum(&spec.input))?;
        let (width, height) = comm.agree(size(&reader, spec))?;
        let max_iterations = comm.agree(reader.max_iterations().map_err(|cause| bad(&cause)))?;
        let layout = Layout::new(width, height, spec.png_depth())
            .map_err(|cause| Error::bad_input(format!("{}: {cause}", spec.input.display())))?;
        let bands = Bands::new(width, height, layout.rows_per_strip(), comm.size());
        let source = format!("dcomp {} recolor", env!("CARGO_PKG_VERSION"));
        let comment = format!("palette {} depth {}", spec.palette, spec.depth);
        let texts = [("Title", "Mandelbrot set"), ("Software", &source), ("Comment", &comment)];
        let png = PngFile::create(context, &spec.output, *force, layout, &texts)?;
        let histogram = spec.palette.needs_histogram().then(|| Histogram::new(max_iterations));
        let colorer = (!spec.palette.needs_histogram())
            .then(|| Colorer::new(spec.palette, max_iterations, None));
        context.progress.total(bands.count());
        Ok(Self {
            spec,
            context,
            reader,
            width,
            height,
            max_iterations,
            bands,
            png,
            histogram,
            colorer,
            rows: Rows::default(),
            pixels: 0,
            input,
        })
    }

    /// Reading twice is cheap: a histogram palette always surveys first.
    fn rounds(&self) -> u64 {
        self.surveys() + self.bands.count()
    }

    fn compute(&mut self, round: u64) -> Result<Step> {
        let band = self.band(round);
        let comm = &self.context.comm;
        self.rows = comm.agree(self.read(&band))?;
        if round < self.surveys() {
            let histogram = self.histogram.as_mut().expect("surveys feed a histogram");
            histogram.add(&self.rows.counts);
        }
        self.context.progress.at(round);
        Ok(Step::Done)
    }

    fn exchange(&mut self, round: u64) -> Result<()> {
        if self.colorer.is_none() && round + 1 == self.surveys() {
            let mut histogram = self.histogram.take().expect("kept until it is used");
            self.context.comm.all_reduce(Op::Sum, histogram.bins());
            let equalizer = Some(Equalizer::from(histogram));
            self.colorer = Some(Colorer::new(self.spec.palette, self.max_iterations, equalizer));
        }
        Ok(())
    }

    /// Every count must be one that a run with this limit can have.
    fn verify(&mut self, _round: u64) -> Result<()> {
        let limit = self.max_iterations;
        let wrong = self.rows.counts.iter().position(|&count| {
            count == 0 || (count > limit && count != super::kernel::NOT_ESCAPED)
        });
        let strange = self.rows.fractions.iter().find(|fraction| !fraction.is_finite());
        let fractions = strange.map_or(Ok(()), |fraction| {
            let input = self.spec.input.display();
            Err(Error::bad_input(format!("{input}: NF holds {fraction}; the file was changed")))
        });
        let local = wrong.map_or(fractions, |at| {
            Err(Error::bad_input(format!(
                "{}: N holds the count {}, outside 1..={limit}; the file was changed",
                self.spec.input.display(),
                self.rows.counts[at],
            )))
        });
        self.context.comm.agree(local)
    }

    fn write(&mut self, round: u64) -> Result<()> {
        if round < self.surveys() {
            return Ok(());
        }
        let band = self.band(round);
        let mine = band.strips_of(self.context.comm.rank());
        self.pixels += to_u64(self.rows.counts.len());
        let colorer = self.colorer.as_ref().expect("made after the survey at the latest");
        let (layout, rows) = (*self.png.layout(), &self.rows);
        let paint = |strip| paint_strip(&layout, colorer, &band, rows, strip);
        self.png.write_band(band.strips.clone(), mine, paint)
    }

    fn complete(&mut self) -> Result<()> {
        self.png.complete()
    }

    fn conclude(&mut self) -> Result<Findings> {
        let (width, height) = (self.width, self.height);
        let mut pixels = [self.pixels];
        self.context.comm.all_reduce(Op::Sum, &mut pixels);
        if pixels[0] != u64::from(width) * u64::from(height) {
            return Err(Error::verification(format!(
                "{} pixels were coloured, the input has {width} x {height}",
                pixels[0]
            )));
        }
        let output = self.png.verify()?;
        Ok(Findings {
            io_bytes_needed: self.input.bytes + 2 * output.bytes,
            input: vec![self.input.clone()],
            result: serde_json::json!({
                "width": width,
                "height": height,
                "max_iterations": self.max_iterations,
            }),
            outputs: vec![output],
            comm_bytes_needed: 0,
            details: serde_json::Value::Null,
        })
    }

    fn publish(self) -> Result<()> {
        self.png.sync()?;
        self.png.publish().map(|_| ())
    }
}

impl Recolor<'_> {
    fn surveys(&self) -> u64 {
        if self.spec.palette.needs_histogram() { self.bands.count() } else { 0 }
    }

    fn band(&self, round: u64) -> Band {
        self.bands.band(round % self.bands.count())
    }

    /// This rank's rows of a band.
    fn read(&self, band: &Band) -> Result<Rows> {
        let (mut all_counts, mut all_fractions) = (Vec::new(), Vec::new());
        for piece in band.pieces_of(self.context.comm.rank()) {
            let range = u64::from(piece.start)..u64::from(piece.end);
            let bytes = piece.len() * to_usize(self.width.into()) * 4;
            let meter = &self.context.meter;
            let counts = meter.reading(bytes, || self.reader.read_counts(range.clone()));
            all_counts.append(&mut counts.map_err(|cause| bad(&cause))?);
            if self.spec.palette.needs_fraction() {
                let read = meter.reading(bytes, || self.reader.read_fractions(range));
                let fractions = read.map_err(|cause| bad(&cause))?;
                all_fractions.append(&mut fractions.ok_or_else(|| self.no_fractions())?);
            }
        }
        Ok(Rows::of(self.width, all_counts, all_fractions))
    }

    fn no_fractions(&self) -> Error {
        Error::bad_input(format!(
            "{} has no dataset NF, which the palette {} needs; use classic",
            self.spec.input.display(),
            self.spec.palette
        ))
    }
}
