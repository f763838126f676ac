//! What a picture's checkpoint holds, and how a run goes on from it with any number of ranks.
//!
//! Whole bands lie in the part files; their strips are counted, because bands are cut by the number of
//! ranks and strips are not. Of the band at hand each rank keeps the tiles that it has computed, with their
//! counts: some ten megabytes. Bytes of a rank's part: the checksums of the counts that it wrote, then tiles.

use serde::{Deserialize, Serialize};

use super::bands::Band;
use super::compute::{Computed, Tally};
use super::palette::Histogram;
use super::spec::Spec;
use crate::comm::{Comm, Op};
use crate::context::Context;
use crate::error::{Error, Result};
use crate::num::{to_u64, to_usize};
use crate::partition::{DonePixels, Tile, cut_rows};
use crate::store::crc::Extent;
use crate::store::{grid_file, png_file};

/// What the ranks share; sums are those of all ranks.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct State {
    /// Strips that were counted for the histogram, before the picture is made.
    pub surveyed_strips: u64,
    /// Strips that are in the files.
    pub written_strips: u64,
    /// The bins of what was surveyed.
    pub bins: Option<Vec<u64>>,
    /// Whether these bins are all.
    pub is_surveyed: bool,
    /// Whether the PNG has its end.
    pub is_complete: bool,
    /// The files.
    pub png: png_file::State,
    /// The raw channels.
    pub grid: Option<grid_file::State>,
    /// Sums of what is in the files.
    pub sums: Sums,
}

/// Sums over all bands in the files.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sums {
    /// While computing.
    pub computed: Tally,
    /// Over the rows that were written.
    pub written: Tally,
    /// Pixels that the check recomputed.
    pub checked: u64,
    /// Bytes that changed ranks.
    pub moved_bytes: u64,
}

impl Sums {
    /// Collective. The sums of all ranks' sums.
    #[must_use]
    pub fn reduced(self, context: &Context) -> Self {
        let mut rest = [self.checked, self.moved_bytes];
        context.comm.all_reduce(Op::Sum, &mut rest);
        let [checked, moved_bytes] = rest;
        let (computed, written) = (self.computed.reduced(context), self.written.reduced(context));
        Self { computed, written, checked, moved_bytes }
    }
}

impl State {
    /// Whether a run for `spec` can have been as far. What it says of the files is compared with them.
    pub fn fits(&self, spec: &Spec) -> bool {
        let strips = spec.layout().strip_count();
        let pixels = u64::from(spec.width) * u64::from(spec.height);
        let iterations = pixels.saturating_mul(spec.max_iterations.into());
        let within = |tally: &Tally| {
            tally.pixels <= pixels && tally.iterations <= iterations && tally.interior <= pixels
        };
        let Sums { computed, written, checked, moved_bytes } = &self.sums;
        let fractions = spec.needs_fraction();
        self.surveyed_strips <= strips
            && self.written_strips <= strips
            && (!self.is_complete || self.written_strips == strips)
            && self.has_bins_for(spec, pixels)
            && [computed, written].into_iter().all(within)
            && *checked <= pixels
            && i64::try_from(*moved_bytes).is_ok()
            && self.grid.is_some() == spec.hdf5.is_some()
            && self.grid.as_ref().is_none_or(|grid| grid.fits(pixels, fractions))
    }

    /// Whether there are the bins that a picture of so many pixels needs: all, where strips have their
    /// colours.
    fn has_bins_for(&self, spec: &Spec, pixels: u64) -> bool {
        if !spec.palette.needs_histogram() {
            return self.bins.is_none();
        }
        let counted = self.bins.iter().flatten().try_fold(0_u64, |sum, bin| sum.checked_add(*bin));
        let wanted = Histogram::new(spec.max_iterations).bins().len();
        self.bins.as_ref().map_or(!self.is_surveyed, |bins| bins.len() == wanted)
            && (self.is_surveyed || self.written_strips == 0)
            && counted.is_some_and(|counted| counted <= pixels)
    }
}

/// A rank's own part.
#[derive(Default)]
pub struct Own {
    /// Checksums of counts by their place in the picture.
    pub counts_sums: Vec<Extent>,
    /// Tiles of the band at hand.
    pub tiles: Vec<Computed>,
}

/// As bytes.
pub fn encode(counts_sums: &[Extent], batches: &[&[Computed]]) -> Vec<u8> {
    let mut out = Vec::new();
    put(&mut out, to_u64(counts_sums.len()));
    for extent in counts_sums {
        for word in [extent.offset, extent.bytes, extent.crc64] {
            put(&mut out, word);
        }
    }
    for batch in batches.iter().copied().flatten() {
        put(&mut out, to_u64(batch.tiles.len()));
        put(&mut out, to_u64(batch.fractions.len()));
        for tile in &batch.tiles {
            for word in [tile.x0, tile.y0, tile.width, tile.height] {
                out.extend(word.to_le_bytes());
            }
        }
        batch.counts.iter().for_each(|count| out.extend(count.to_le_bytes()));
        batch.fractions.iter().for_each(|fraction| out.extend(fraction.to_le_bytes()));
    }
    out
}

/// What [`encode`] wrote for `spec`.
///
/// # Errors
/// A sentence, when the bytes are something else.
pub fn decode(bytes: &[u8], spec: &Spec, into: &mut Own) -> std::result::Result<(), String> {
    decoded(bytes, spec, into).ok_or_else(|| "a part of the checkpoint is not a picture's".into())
}

fn decoded(bytes: &[u8], spec: &Spec, into: &mut Own) -> Option<()> {
    let mut rest = bytes;
    for _ in 0..take(&mut rest)? {
        let [offset, bytes, crc64] = [take(&mut rest)?, take(&mut rest)?, take(&mut rest)?];
        into.counts_sums.push(Extent { offset, bytes, crc64 });
    }
    while !rest.is_empty() {
        let (tile_count, fraction_count) = (take(&mut rest)?, take(&mut rest)?);
        let mut tiles = Vec::new();
        for _ in 0..tile_count {
            let [x0, y0, width, height] = words::<4>(&mut rest)?.map(u32::from_le_bytes);
            let inside =
                x0.checked_add(width)? <= spec.width && y0.checked_add(height)? <= spec.height;
            tiles.push(inside.then_some(Tile { x0, y0, width, height })?);
        }
        let area = tiles.iter().map(Tile::area).try_fold(0, u64::checked_add)?;
        let fractions = if spec.needs_fraction() { area } else { 0 };
        let words = to_u64(rest.len() / 4);
        if fraction_count != fractions || words < area || words - area < fractions {
            return None;
        }
        let (counts, tail) = rest.split_at(4 * to_usize(area));
        let (fractions, tail) = tail.split_at(4 * to_usize(fractions));
        rest = tail;
        let counts: Vec<u32> =
            counts.as_chunks().0.iter().map(|word| u32::from_le_bytes(*word)).collect();
        let fractions =
            fractions.as_chunks().0.iter().map(|word| f32::from_le_bytes(*word)).collect();
        let tally = Tally::of(&counts, spec.max_iterations);
        into.tiles.push(Computed { tiles, counts, fractions, tally });
    }
    Some(())
}

/// Takes what lies in a band out of `saved`; the rest stays for later bands.
pub fn take_band(saved: &mut Vec<Computed>, band: &Band, max_iterations: u32) -> Vec<Computed> {
    let mut taken = Vec::new();
    let inside = |piece: &Tile| band.rows.contains(&piece.y0);
    let cuts = [0, band.rows.start, band.rows.end, u32::MAX];
    for batch in std::mem::take(saved) {
        let (mut here, mut there) = (Piece::default(), Piece::default());
        for (tile, pixels) in batch.each() {
            for (_, piece) in cut_rows(tile, &cuts) {
                let above = u64::from(piece.y0 - tile.y0) * u64::from(piece.width);
                let start = pixels.start + to_usize(above);
                let range = start..start + to_usize(piece.area());
                let to = if inside(&piece) { &mut here } else { &mut there };
                to.tiles.push(piece);
                to.counts.extend_from_slice(&batch.counts[range.clone()]);
                to.fractions.extend_from_slice(batch.fractions.get(range).unwrap_or(&[]));
            }
        }
        taken.extend(here.computed(max_iterations));
        saved.extend(there.computed(max_iterations));
    }
    taken
}

#[derive(Default)]
struct Piece {
    tiles: Vec<Tile>,
    counts: Vec<u32>,
    fractions: Vec<f32>,
}

impl Piece {
    fn computed(self, max_iterations: u32) -> Option<Computed> {
        let Self { tiles, counts, fractions } = self;
        let tally = Tally::of(&counts, max_iterations);
        (!tiles.is_empty()).then_some(Computed { tiles, counts, fractions, tally })
    }
}

/// Edge of the tiles in which what is left is computed, and for so many steps that a tile of those would
/// take long.
const EDGE: u32 = 32;
const EDGE_OF_LONG: u32 = 8;
const LONG: u32 = 1 << 20;

/// Collective. What no rank has computed of a band, in the same tiles on all ranks; `None` when that is all.
///
/// # Errors
/// When tiles overlap, which those of no run do: what is left would never be done.
pub fn left(
    comm: &Comm,
    spec: &Spec,
    band: &Band,
    computed: &[Computed],
) -> Result<Option<Vec<Tile>>> {
    let mut pixels = [computed.iter().map(|batch| batch.tally.pixels).sum::<u64>()];
    comm.all_reduce(Op::Sum, &mut pixels);
    if pixels[0] == 0 {
        return Ok(None);
    }
    let mut done = DonePixels::none(spec.width, band.rows.clone());
    computed.iter().flat_map(|batch| &batch.tiles).for_each(|tile| done.mark(tile));
    comm.all_reduce(Op::Sum, done.words());
    // Bits that are added twice carry, and there are fewer.
    if done.count() != pixels[0] {
        return Err(Error::bad_input(format!(
            "--resume: tiles of the checkpoint overlap in rows {:?}; start anew with --force",
            band.rows
        )));
    }
    Ok(Some(done.left(if spec.max_iterations > LONG { EDGE_OF_LONG } else { EDGE })))
}

fn put(out: &mut Vec<u8>, word: u64) {
    out.extend(word.to_le_bytes());
}

fn take(rest: &mut &[u8]) -> Option<u64> {
    let (word, tail) = rest.split_first_chunk::<8>()?;
    *rest = tail;
    Some(u64::from_le_bytes(*word))
}

fn words<const N: usize>(rest: &mut &[u8]) -> Option<[[u8; 4]; N]> {
    let mut words = [[0; 4]; N];
    for word in &mut words {
        let (first, tail) = rest.split_first_chunk::<4>()?;
        (*word, *rest) = (*first, tail);
    }
    Some(words)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::mandelbrot::bands::Bands;

    fn batch(tiles: Vec<Tile>, fractions: bool) -> Computed {
        let pixels = |tile: &Tile| {
            let rows = tile.rows();
            let columns = tile.columns();
            rows.flat_map(move |y| columns.clone().map(move |x| 1 + 1000 * y + x))
                .collect::<Vec<_>>()
        };
        let counts: Vec<u32> = tiles.iter().flat_map(pixels).collect();
        let parts = if fractions { counts.len() } else { 0 };
        let fractions = vec![0.5; parts];
        let tally = Tally::of(&counts, 1 << 24);
        Computed { tiles, counts, fractions, tally }
    }

    fn spec(palette: &str) -> Spec {
        let deck = format!(
            "width = 50\nheight = 40\nmax_iterations = 16777216\noutput = \"o\"\npalette = \"{palette}\"\n\
             depth = 8\nschedule = \"block\"\nkernel = \"auto\"\nseed = 1\nregion = [-2.5, 1.0, -1.0, 1.0]"
        );
        let layer = crate::deck::parse(&deck, "test").unwrap().layer;
        let known: Vec<String> = layer.values.keys().cloned().collect();
        Spec::from_deck(&crate::deck::merge(&[layer], &known, &[]).unwrap()).unwrap()
    }

    proptest! {
        /// What comes back from bytes, band by band, is every pixel once, with its count.
        #[test]
        fn tiles_survive_bytes_and_bands(
            cuts in proptest::collection::vec(1_u32..12, 1..6), ranks in 1_u64..5, smooth: bool,
        ) {
            let spec = spec(if smooth { "viridis" } else { "classic" });
            let mut tiles = Vec::new();
            let mut y0 = 0;
            for height in cuts {
                let height = height.min(40 - y0);
                if height > 0 {
                    tiles.push(Tile { x0: 3, y0, width: 40, height });
                }
                y0 += height;
            }
            let sums = [Extent::of(5, b"abc")];
            let one = batch(tiles, spec.needs_fraction());
            let (area, bytes) = (one.tally, encode(&sums, &[&[one]]));
            let mut own = Own::default();
            decode(&bytes, &spec, &mut own).unwrap();
            prop_assert_eq!(&own.counts_sums[..], &sums[..]);
            let bands = Bands::after(0, (50, 40), 4, (ranks, 200));
            let mut all = Tally::default();
            for index in 0..bands.count() {
                let band = bands.band(index);
                for taken in take_band(&mut own.tiles, &band, spec.max_iterations) {
                    all = all.plus(taken.tally);
                    for (tile, pixels) in taken.each() {
                        prop_assert!(tile.rows().all(|y| band.rows.contains(&y)));
                        let expected = batch(vec![tile], false).counts;
                        prop_assert_eq!(&taken.counts[pixels], &expected[..]);
                    }
                }
            }
            prop_assert!(own.tiles.is_empty());
            prop_assert_eq!(all, area);
            // A part that is cut short or of another picture is refused, or tells of less.
            for end in (0..bytes.len()).step_by(13) {
                let mut cut = Own::default();
                let decoded = decode(&bytes[..end], &spec, &mut cut);
                prop_assert!(decoded.is_err() || cut.tiles.is_empty());
            }
        }
    }

    /// What a run for this picture wrote is its own; the same with one number changed is nobody's.
    #[test]
    fn states_of_no_run_are_refused() {
        let sound = serde_json::json!({
            "surveyed_strips": 0, "written_strips": 1, "bins": null, "is_surveyed": false,
            "is_complete": true, "png": { "end": 9, "adler": 1 }, "grid": null,
            "sums": {
                "computed": { "pixels": 2000, "iterations": 9000, "interior": 0 },
                "written": { "pixels": 2000, "iterations": 9000, "interior": 0 },
                "checked": 3, "moved_bytes": 5,
            },
        });
        let spec = spec("classic");
        let fits = |value: &serde_json::Value| {
            serde_json::from_value::<State>(value.clone()).unwrap().fits(&spec)
        };
        assert!(fits(&sound));
        let dataset = serde_json::json!({ "offset": 9, "bytes": 8000 });
        for (place, other) in [
            ("/written_strips", serde_json::json!(u64::MAX)),
            ("/written_strips", serde_json::json!(0)),
            ("/surveyed_strips", serde_json::json!(2)),
            ("/bins", serde_json::json!([1])),
            ("/sums/computed/iterations", serde_json::json!(u64::MAX)),
            ("/sums/written/pixels", serde_json::json!(2001)),
            ("/sums/moved_bytes", serde_json::json!(u64::MAX)),
            ("/grid", serde_json::json!({ "counts": dataset, "fractions": null })),
        ] {
            let mut forged = sound.clone();
            *forged.pointer_mut(place).unwrap() = other;
            assert!(!fits(&forged), "{place}");
        }
    }

    #[test]
    fn tiles_that_overlap_are_refused() {
        let spec = spec("classic");
        let band = Bands::after(0, (50, 40), 40, (1, 1 << 20)).band(0);
        let tile = |y0| Tile { x0: 3, y0, width: 40, height: 5 };
        let left_of = |rows: [u32; 2]| {
            let computed = [batch(rows.map(tile).to_vec(), false)];
            left(&Comm::alone(), &spec, &band, &computed)
        };
        let area = left_of([0, 5]).unwrap().unwrap().iter().map(Tile::area).sum::<u64>();
        assert_eq!(area, 50 * 40 - 2 * 200);
        assert!(left_of([0, 4]).unwrap_err().message.contains("overlap"));
    }
}
