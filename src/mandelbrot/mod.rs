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
pub mod resume;
pub mod spec;
pub mod verify;

use bands::{Band, Bands, HELD_SHARES};
use compute::{Computed, Tally};
use kernel::Isa;
use palette::{Colorer, Equalizer, Histogram};
use pieces::{Rows, Wire};
use resume::{Own, State, Sums};
use spec::Spec;

use crate::comm::{Op, WorkCounter};
use crate::context::Context;
use crate::error::{Error, Result};
use crate::job::{Job, Request, Step};
use crate::measure::Phase;
use crate::measure::record::{FileSum, Findings};
use crate::num::{to_f64, to_u64, to_usize};
use crate::store::checkpoint::{Found, Kept, Saved};
use crate::store::crc::Extent;
use crate::store::grid_file::GridFile;
use crate::store::png::Layout;
use crate::store::png_file::PngFile;

/// The picture while it is made.
pub struct Render<'a> {
    spec: &'a Spec,
    context: &'a Context,
    counter: WorkCounter,
    /// What is counted for the histogram before the picture is made, and what is made.
    survey: Option<Bands>,
    bands: Bands,
    /// Rounds that are done.
    done: u64,
    png: PngFile<'a>,
    grid: Option<GridFile<'a>>,
    histogram: Option<Histogram>,
    /// The bins of the whole picture, once they are known.
    bins: Option<Vec<u64>>,
    colorer: Option<Colorer>,
    /// What this rank computed of the band at hand.
    computed: Vec<Computed>,
    /// Tiles of an earlier run, for bands to come.
    saved: Vec<Computed>,
    /// What this rank writes of it, and what it sends; kept from band to band for their memory.
    rows: Rows,
    outgoing: Vec<u8>,
    sums: Sums,
    /// Checksums of the raw counts by their place in the picture.
    counts_sums: Vec<Extent>,
    is_complete: bool,
}

impl<'a> Job<'a> for Render<'a> {
    const NAME: &'static str = "mandelbrot";
    type Spec = Spec;

    fn plan(
        request: &'a Request<Spec>,
        context: &'a Context,
        found: Option<&Found>,
    ) -> Result<Self> {
        context.progress.total(1000);
        match found {
            None => Self::begin(request, context),
            Some(found) => Self::resume(request, context, found),
        }
    }

    fn rounds(&self) -> u64 {
        self.surveys() + self.bands.count()
    }

    fn compute(&mut self, round: u64) -> Result<Step> {
        let Self { spec, context, .. } = *self;
        let (comm, band) = (&context.comm, self.band(round));
        let taken = resume::take_band(&mut self.saved, &band, spec.max_iterations);
        self.computed.extend(taken);
        let left = match &context.saves {
            None => None,
            Some(_) => resume::left(comm, spec, &band, &self.computed)?,
        };
        let shares = std::env::var("DCOMP_HELD_SHARES").ok().and_then(|text| text.parse().ok());
        let held = self.bands_of(round).held_pixels_max(shares.unwrap_or(HELD_SHARES));
        let rounds = to_f64(self.rounds());
        let on_progress = |share: f64| {
            let done = 1000.0 * (to_f64(round) + share) / rounds;
            context.progress.at(crate::num::floor_u64(done));
        };
        let now =
            compute::share(spec, context, &mut self.counter, (&band, left), held, on_progress);
        self.computed.extend(now);
        if context.saves.is_some() {
            let mut pixels = [self.computed.iter().map(|batch| batch.tally.pixels).sum::<u64>()];
            comm.all_reduce(Op::Sum, &mut pixels);
            if pixels[0] < band.height() * u64::from(spec.width) {
                return Ok(Step::Paused);
            }
        }
        let surveyed = self.surveys() == 0 || round < self.surveys();
        if let (Some(histogram), true) = (&mut self.histogram, surveyed) {
            self.computed.iter().for_each(|batch| histogram.add(&batch.counts));
        }
        if round < self.surveys() {
            self.computed.clear();
        } else {
            for batch in &self.computed {
                self.sums.computed = self.sums.computed.plus(batch.tally);
            }
        }
        Ok(Step::Done)
    }

    fn exchange(&mut self, round: u64) -> Result<()> {
        if self.colorer.is_none() && round + 1 >= self.surveys().max(1) {
            let mut histogram = self.histogram.take().expect("kept until it is used");
            self.context.comm.all_reduce(Op::Sum, histogram.bins());
            self.bins = Some(histogram.bins().to_vec());
            self.colorer = Some(colorer_of(self.spec, histogram));
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
        self.sums.moved_bytes += to_u64(self.outgoing.len());
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
        self.sums.written = self.sums.written.plus(tally);
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
        self.sums.checked += self.context.comm.agree(checked.map_err(Error::verification))?;
        Ok(())
    }

    fn write(&mut self, round: u64) -> Result<()> {
        self.done = round + 1;
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
        if !self.is_complete {
            self.png.complete()?;
        }
        self.is_complete = true;
        Ok(())
    }

    fn save(&mut self) -> Result<Saved> {
        let (png, png_file) = self.png.keep()?;
        let (grid, grid_file) = match self.grid.as_ref().map(GridFile::keep).transpose()? {
            Some((state, file)) => (Some(state), Some(file)),
            None => (None, None),
        };
        let surveys = self.surveys();
        let state = State {
            surveyed_strips: self.survey.map_or(0, |bands| bands.strips_before(self.done)),
            written_strips: self.bands.strips_before(self.done.saturating_sub(surveys)),
            is_surveyed: self.bins.is_some(),
            bins: self.bins.clone().or_else(|| self.surveyed_bins()),
            is_complete: self.is_complete,
            png,
            grid,
            sums: self.sums.reduced(self.context),
        };
        let head = serde_json::to_value(state)
            .map_err(|cause| Error::internal(format!("a checkpoint's state: {cause}")))?;
        let part = resume::encode(&self.counts_sums, &[&self.computed[..], &self.saved[..]]);
        Ok(Saved { head, part, kept: [Some(png_file), grid_file].into_iter().flatten().collect() })
    }

    fn conclude(&mut self) -> Result<Findings> {
        let spec = self.spec;
        let comm = &self.context.comm;
        let Sums { computed, written, checked, moved_bytes } = self.sums.reduced(self.context);
        let pixels = u64::from(spec.width) * u64::from(spec.height);
        let expected = Tally { pixels, ..computed };
        if computed != expected || written != computed {
            return Err(Error::verification(format!(
                "the sums do not add up: computed {computed:?}, written {written:?}, the picture \
                 has {pixels} pixels"
            )));
        }
        let samples = check::sample_count(spec.width, spec.height);
        if checked != samples {
            return Err(Error::verification(format!(
                "{checked} of {samples} sampled pixels were checked"
            )));
        }
        let counts_crc64 = crate::store::pieces::joined(comm, &self.counts_sums, pixels * 4)?;
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
            comm_bytes_needed: moved_bytes,
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

impl<'a> Render<'a> {
    /// Collective. A picture of which nothing is there.
    fn begin(request: &'a Request<Spec>, context: &'a Context) -> Result<Self> {
        let spec = &request.spec;
        let provenance = provenance(spec);
        let texts: Vec<(&str, &str)> =
            provenance.iter().map(|(key, text)| (key.as_str(), text.as_str())).collect();
        let png = PngFile::create(context, &spec.output, request.force, spec.layout(), &texts)?;
        let grid = match &spec.hdf5 {
            Some(path) => {
                Some(GridFile::create(context, path, request.force, spec.width, |create| {
                    channels::grid(spec, create)
                })?)
            }
            None => None,
        };
        Ok(Self::of(spec, context, png, grid))
    }

    fn of(
        spec: &'a Spec,
        context: &'a Context,
        png: PngFile<'a>,
        grid: Option<GridFile<'a>>,
    ) -> Self {
        let bands = bands_after(0, spec, context);
        let needs_histogram = spec.palette.needs_histogram();
        let colorer =
            (!needs_histogram).then(|| Colorer::new(spec.palette, spec.max_iterations, None));
        Self {
            spec,
            context,
            counter: WorkCounter::new(&context.comm, context.workers().1),
            survey: (needs_histogram && bands.count() > 1).then_some(bands),
            bands,
            done: 0,
            png,
            grid,
            histogram: needs_histogram.then(|| Histogram::new(spec.max_iterations)),
            bins: None,
            colorer,
            computed: Vec::new(),
            saved: Vec::new(),
            rows: Rows::default(),
            outgoing: Vec::new(),
            sums: Sums::default(),
            counts_sums: Vec::new(),
            is_complete: false,
        }
    }

    /// Collective. A picture of which strips and tiles are there.
    fn resume(request: &'a Request<Spec>, context: &'a Context, found: &Found) -> Result<Self> {
        let (spec, comm) = (&request.spec, &context.comm);
        let state: State = found.state()?;
        if !state.fits(spec) {
            return Err(Error::bad_input(
                "--resume: the checkpoint's state is not that of this picture; start anew with --force",
            ));
        }
        let parts = comm.agree(found.mine(comm))?;
        let mut own = Own::default();
        let decoded = parts.iter().try_for_each(|(data, _)| resume::decode(data, spec, &mut own));
        comm.agree(decoded.map_err(Error::bad_input))?;
        let pieces = |target| Kept::pieces(comm, target, parts.iter().flat_map(|(_, kept)| kept));
        let kept = (state.png, pieces(&spec.output)?, state.is_complete);
        let png = PngFile::resume(context, &spec.output, request.force, spec.layout(), kept)?;
        let grid = match (&spec.hdf5, state.grid) {
            (Some(path), Some(places)) => {
                let kept = (places, pieces(path)?);
                Some(GridFile::resume(context, path, request.force, spec.width, kept)?)
            }
            _ => None,
        };
        let mut render = Self::of(spec, context, png, grid);
        let after = |strips| bands_after(strips, spec, context);
        // What was surveyed counts where it is wanted: a picture that is one band is not surveyed.
        let surveys = render.survey.is_some();
        if let (Some(bins), Some(histogram)) = (state.bins, &mut render.histogram)
            && bins.len() == histogram.bins().len()
        {
            if state.is_surveyed {
                histogram.bins().copy_from_slice(&bins);
                let histogram = render.histogram.take().expect("looked at above");
                render.colorer = Some(colorer_of(spec, histogram));
                (render.bins, render.survey) = (Some(bins), None);
            } else if surveys {
                if comm.is_root() {
                    histogram.bins().copy_from_slice(&bins);
                }
                render.survey = Some(after(state.surveyed_strips));
            }
        }
        render.bands = after(state.written_strips);
        render.is_complete = state.is_complete;
        if comm.is_root() {
            render.sums = state.sums;
        }
        (render.counts_sums, render.saved) = (own.counts_sums, own.tiles);
        Ok(render)
    }

    /// Collective. The bins of what is surveyed so far; `None` where nothing is.
    fn surveyed_bins(&mut self) -> Option<Vec<u64>> {
        self.survey?;
        let mut bins = self.histogram.as_mut()?.bins().to_vec();
        self.context.comm.all_reduce(Op::Sum, &mut bins);
        Some(bins)
    }

    /// Rounds that only count for the histogram, before the picture is made.
    fn surveys(&self) -> u64 {
        self.survey.map_or(0, |bands| bands.count())
    }

    fn bands_of(&self, round: u64) -> &Bands {
        match &self.survey {
            Some(survey) if round < survey.count() => survey,
            _ => &self.bands,
        }
    }

    fn band(&self, round: u64) -> Band {
        let surveys = self.surveys();
        self.bands_of(round).band(if round < surveys { round } else { round - surveys })
    }
}

/// The bands that follow so many strips; `DCOMP_BAND_PIXELS` makes many of them in tests.
fn bands_after(strips: u64, spec: &Spec, context: &Context) -> Bands {
    let forced = std::env::var("DCOMP_BAND_PIXELS").ok().and_then(|text| text.parse().ok());
    let workers = (context.comm.size(), forced.unwrap_or(bands::PIXELS_PER_RANK));
    Bands::after(strips, (spec.width, spec.height), spec.layout().rows_per_strip(), workers)
}

fn colorer_of(spec: &Spec, histogram: Histogram) -> Colorer {
    let equalizer = Equalizer::from(histogram);
    Colorer::new(spec.palette, spec.max_iterations, Some(equalizer))
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
    let most = bands.memory_bytes(bytes_per_pixel(spec));
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
