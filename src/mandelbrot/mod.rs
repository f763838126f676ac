//! The job `mandelbrot`: an exact picture of any size, computed and written by all ranks.
//!
//! A picture is cut into bands that fit the ranks' memory. For each band: every rank computes the
//! tiles it draws, the pieces travel to the ranks that write their rows, a sample is recomputed,
//! strips are coloured, encoded and written. A histogram palette needs all counts before the first
//! colour; a picture of more than one band is then computed twice rather than kept.

pub mod bands;
mod channels;
pub mod check;
pub mod compute;
pub mod estimate;
pub mod kernel;
pub mod palette;
pub mod pieces;
pub mod provenance;
pub mod recolor;
pub mod spec;
pub mod verify;

use bands::{Band, Bands, HELD_SHARES};
use compute::{Computed, Tally};
use kernel::Isa;
use palette::{Colorer, Equalizer, Histogram};
use pieces::{Rows, Wire};
use spec::Spec;

use crate::comm::{Op, WorkCounter};
use crate::context::Context;
use crate::error::{Error, Result};
use crate::job::{Job, Request};
use crate::measure::Phase;
use crate::measure::record::{FileSum, Findings};
use crate::num::{to_f64, to_u64, to_usize};
use crate::store::crc::Extent;
use crate::store::grid_file::GridFile;
use crate::store::png::Layout;
use crate::store::png_file::PngFile;

/// The picture while it is made.
pub struct Render<'a> {
    spec: &'a Spec,
    context: &'a Context,
    counter: WorkCounter,
    bands: Bands,
    png: PngFile<'a>,
    grid: Option<GridFile<'a>>,
    histogram: Option<Histogram>,
    colorer: Option<Colorer>,
    /// What this rank computed of the band at hand.
    computed: Vec<Computed>,
    /// What this rank writes of it, and what it sends; kept from band to band for their memory.
    rows: Rows,
    outgoing: Vec<u8>,
    /// Sums while computing, and sums over the rows that were written.
    computed_tally: Tally,
    written_tally: Tally,
    checked: u64,
    moved_bytes: u64,
    /// Checksums of the raw counts by their place in the picture.
    counts_sums: Vec<Extent>,
}

impl<'a> Job<'a> for Render<'a> {
    const NAME: &'static str = "mandelbrot";
    type Spec = Spec;

    fn plan(request: &'a Request<Spec>, context: &'a Context) -> Result<Self> {
        let spec = &request.spec;
        let comm = &context.comm;
        let layout = spec.layout();
        let bands = Bands::new(spec.width, spec.height, layout.rows_per_strip(), comm.size());
        let provenance = provenance(spec);
        let texts: Vec<(&str, &str)> =
            provenance.iter().map(|(key, text)| (key.as_str(), text.as_str())).collect();
        let png = PngFile::create(context, &spec.output, request.force, layout, &texts)?;
        let grid = match &spec.hdf5 {
            Some(path) => {
                Some(GridFile::create(context, path, request.force, spec.width, |create| {
                    channels::grid(spec, create)
                })?)
            }
            None => None,
        };
        context.progress.total(1000);
        let histogram = spec.palette.needs_histogram().then(|| Histogram::new(spec.max_iterations));
        let colorer = (!spec.palette.needs_histogram())
            .then(|| Colorer::new(spec.palette, spec.max_iterations, None));
        Ok(Self {
            spec,
            context,
            counter: WorkCounter::new(comm, context.workers().1),
            bands,
            png,
            grid,
            histogram,
            colorer,
            computed: Vec::new(),
            rows: Rows::default(),
            outgoing: Vec::new(),
            computed_tally: Tally::default(),
            written_tally: Tally::default(),
            checked: 0,
            moved_bytes: 0,
            counts_sums: Vec::new(),
        })
    }

    fn rounds(&self) -> u64 {
        self.surveys() + self.bands.count()
    }

    fn compute(&mut self, round: u64) -> Result<()> {
        let band = self.band(round);
        let shares = std::env::var("DCOMP_HELD_SHARES").ok().and_then(|text| text.parse().ok());
        let held = self.bands.held_pixels_max(shares.unwrap_or(HELD_SHARES));
        let rounds = to_f64(self.rounds());
        let on_progress = |share: f64| {
            let done = 1000.0 * (to_f64(round) + share) / rounds;
            self.context.progress.at(crate::num::floor_u64(done));
        };
        self.computed =
            compute::share(self.spec, self.context, &mut self.counter, &band, held, on_progress);
        let surveyed = self.surveys() == 0 || round < self.surveys();
        if let (Some(histogram), true) = (&mut self.histogram, surveyed) {
            self.computed.iter().for_each(|batch| histogram.add(&batch.counts));
        }
        if round < self.surveys() {
            self.computed.clear();
        } else {
            for batch in &self.computed {
                self.computed_tally = self.computed_tally.plus(batch.tally);
            }
        }
        Ok(())
    }

    fn exchange(&mut self, round: u64) -> Result<()> {
        if self.colorer.is_none() && round + 1 >= self.surveys().max(1) {
            let mut histogram = self.histogram.take().expect("kept until it is used");
            self.context.comm.all_reduce(Op::Sum, histogram.bins());
            let equalizer = Equalizer::from(histogram);
            let palette = self.spec.palette;
            self.colorer = Some(Colorer::new(palette, self.spec.max_iterations, Some(equalizer)));
        }
        if round < self.surveys() {
            return Ok(());
        }
        let band = self.band(round);
        let comm = &self.context.comm;
        self.rows.reset(self.spec.width, &band, comm.rank(), self.spec.needs_fraction());
        let tiles = std::mem::take(&mut self.computed);
        let rows = &mut self.rows;
        let wire = Wire::new(self.spec.max_iterations, self.spec.needs_fraction());
        let (who, out) = ((comm.rank(), comm.size()), &mut self.outgoing);
        let packed = pieces::pack(tiles, (&band, wire), who, rows, out);
        let counts = comm.agree(packed.map_err(Error::verification))?;
        self.moved_bytes += to_u64(self.outgoing.len());
        let received = comm.exchange(&self.outgoing, &counts);
        let placed = self.rows.place(&band, wire, comm.rank(), &received.bytes).and_then(|()| {
            match self.rows.missing() {
                0 => Ok(()),
                missing => Err(format!("{missing} pixels of {:?} did not arrive", band.rows)),
            }
        });
        comm.agree(placed.map_err(Error::verification))?;
        if let (true, Some(count)) =
            (self.context.fault.flips(Phase::Exchange), self.rows.counts.first_mut())
        {
            *count ^= 1;
        }
        Ok(())
    }

    fn verify(&mut self, round: u64) -> Result<()> {
        if round < self.surveys() {
            return Ok(());
        }
        // A count is never 0: that would be a pixel nobody computed. The sums across ranks tell.
        let tally = Tally::of(&self.rows.counts, self.spec.max_iterations);
        self.written_tally = self.written_tally.plus(tally);
        let (band, rank) = (self.band(round), self.context.comm.rank());
        let width = u64::from(self.spec.width);
        for rows in band.pieces_of(rank) {
            let start = self.rows.start_of(&band, rows.start);
            let counts = &self.rows.counts[start..start + rows.len() * to_usize(width)];
            let extent =
                Extent::of(u64::from(rows.start) * width * 4, bytemuck::cast_slice(counts));
            self.counts_sums.push(extent);
        }
        let checked = check::check_rows(self.spec, &band, rank, &self.rows);
        self.checked += self.context.comm.agree(checked.map_err(Error::verification))?;
        Ok(())
    }

    fn write(&mut self, round: u64) -> Result<()> {
        if round < self.surveys() {
            return Ok(());
        }
        let band = self.band(round);
        if let Some(grid) = &self.grid {
            let runs = band.pieces_of(self.context.comm.rank());
            grid.write_rows(runs, &self.rows.counts, &self.rows.fractions)?;
        }
        let colorer = self.colorer.as_ref().expect("made in exchange at the latest");
        let (layout, rows) = (*self.png.layout(), &self.rows);
        let paint = |strip| paint_strip(&layout, colorer, &band, rows, strip);
        let mine = band.strips_of(self.context.comm.rank());
        self.png.write_band(band.strips.clone(), mine, paint)
    }

    fn complete(&mut self) -> Result<()> {
        self.png.complete()
    }

    fn conclude(&mut self) -> Result<Findings> {
        let spec = self.spec;
        let comm = &self.context.comm;
        let (computed, written) =
            (self.computed_tally.reduced(self.context), self.written_tally.reduced(self.context));
        let pixels = u64::from(spec.width) * u64::from(spec.height);
        let expected = Tally { pixels, ..computed };
        if computed != expected || written != computed {
            return Err(Error::verification(format!(
                "the sums do not add up: computed {computed:?}, written {written:?}, the picture \
                 has {pixels} pixels"
            )));
        }
        let mut sums = [self.checked, self.moved_bytes];
        comm.all_reduce(Op::Sum, &mut sums);
        let samples = check::sample_count(spec.width, spec.height);
        if sums[0] != samples {
            return Err(Error::verification(format!(
                "{} of {samples} sampled pixels were checked",
                sums[0]
            )));
        }
        let counts_crc64 = crate::store::part::joined(comm, &self.counts_sums, pixels * 4)?;
        let mut outputs = vec![self.png.verify()?];
        if let Some(grid) = &self.grid {
            outputs.push(grid.verify()?);
        }
        let written: u64 = outputs.iter().map(|file: &FileSum| file.bytes).sum();
        Ok(Findings {
            input: Vec::new(),
            result: serde_json::json!({
                "width": spec.width,
                "height": spec.height,
                "max_iterations": spec.max_iterations,
                "iterations_total": computed.iterations,
                "interior_pixels": computed.interior,
                "sampled_pixels": samples,
                "counts_crc64": crate::store::crc::hex(counts_crc64),
            }),
            outputs,
            comm_bytes_needed: sums[1],
            io_bytes_needed: 2 * written,
            details: serde_json::Value::Null,
        })
    }

    fn publish(self) -> Result<()> {
        // What can fail for want of room fails before the first file has its name.
        if let Some(grid) = &self.grid {
            grid.sync()?;
        }
        self.png.sync()?;
        let raw = self.grid.map(GridFile::publish).transpose()?;
        let published = self.png.publish();
        if let (Err(_), Some(raw)) = (&published, raw) {
            raw.withdraw();
        }
        published.map(|_| ())
    }
}

impl Render<'_> {
    /// Rounds that only count for the histogram, before the picture is made.
    fn surveys(&self) -> u64 {
        if self.spec.palette.needs_histogram() && self.bands.count() > 1 {
            self.bands.count()
        } else {
            0
        }
    }

    fn band(&self, round: u64) -> Band {
        self.bands.band(round % self.bands.count())
    }
}

/// The raw pixels of a strip that this rank keeps.
fn paint_strip(
    layout: &Layout,
    colorer: &Colorer,
    band: &Band,
    rows: &Rows,
    strip: u64,
) -> Vec<u8> {
    let width = to_usize(rows.width.into());
    let range = layout.strip_rows(strip);
    let first = u32::try_from(range.start).expect("a row of the picture");
    let from = rows.start_of(band, first);
    let row_bytes = to_usize(layout.row_bytes());
    let mut pixels = vec![0; row_bytes * to_usize(range.end - range.start)];
    for (row, out) in pixels.chunks_exact_mut(row_bytes).enumerate() {
        let at = from + row * width;
        let fractions = rows.fractions.get(at..at + width).unwrap_or(&[]);
        colorer.color_row(&rows.counts[at..at + width], fractions, layout.depth(), out);
    }
    pixels
}

/// Collective. Refuses, before anything is made, what cannot fit the memory of any node.
///
/// # Errors
/// A usage error, the same on all ranks.
pub fn fits(spec: &Spec, context: &Context) -> Result<()> {
    let rows = spec.layout().rows_per_strip();
    let bands = Bands::new(spec.width, spec.height, rows, context.comm.size());
    let (_, most) = bands.memory_bytes(bytes_per_pixel(spec));
    let needed = most.saturating_mul(context.comm.place().local_size);
    let available = crate::measure::available_memory_bytes();
    let fits = available.is_none_or(|available| needed <= available);
    context.comm.agree(if fits {
        Ok(())
    } else {
        Err(Error::usage(format!(
            "--width {} --height {}: the ranks of this node need up to {} MiB, {} MiB are free; \
             use fewer ranks a node or a smaller picture",
            spec.width,
            spec.height,
            needed >> 20,
            available.unwrap_or(0) >> 20,
        )))
    })
}

/// Bytes of results per pixel.
pub fn bytes_per_pixel(spec: &Spec) -> u64 {
    if spec.needs_fraction() { 8 } else { 4 }
}

/// What every output says about its making; nothing about the machine, so that bytes stay equal.
pub fn provenance(spec: &Spec) -> Vec<(String, String)> {
    let source = format!("dcomp {} mandelbrot", env!("CARGO_PKG_VERSION"));
    let comment = provenance::Parameters::of(spec).to_string();
    vec![
        ("Title".into(), "Mandelbrot set".into()),
        ("Software".into(), source),
        ("Comment".into(), comment),
    ]
}
