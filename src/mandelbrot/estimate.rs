//! What a picture will take, before it is made: for `--dry-run`.

use super::bands::Bands;
use super::{bytes_per_pixel, spec::Spec};
use crate::measure::available_memory_bytes;
use crate::store::target::free_bytes;
use crate::units::{size, verdict};

/// Bytes of the pre-pass, the plan and the encoders.
const PRE_PASS_BYTES: u64 = 1 << 20;

/// Bytes of an HDF5 file besides its channels and coordinates.
const HDF5_HEADER_BYTES: u64 = 16 << 10;

/// The ranks of a run, as far as they matter here.
#[derive(Clone, Copy, Debug)]
pub struct Ranks {
    /// Their number.
    pub all: u64,
    /// Those of this machine.
    pub local: u64,
    /// Threads of each.
    pub threads: u64,
    /// Bytes of each besides what its job takes.
    pub bytes: u64,
}

/// Lines about memory and disk, each with whether it fits. How much a rank holds of a band before it changes
/// ranks depends on who is fast; two thirds of the most were seen.
pub fn describe(spec: &Spec, of_run: Ranks) -> Vec<String> {
    let Ranks { all: ranks, local: local_ranks, threads, bytes } = of_run;
    let layout = spec.layout();
    let bands = Bands::new(spec.width, spec.height, layout.rows_per_strip(), ranks);
    let most = bands.memory_bytes(bytes_per_pixel(spec));
    let memory = bytes + PRE_PASS_BYTES + most;
    let pixels = u64::from(spec.width) * u64::from(spec.height);
    let mut lines = vec![
        format!("ranks {ranks} x threads {threads}, {} bands of rows", bands.count()),
        format!(
            "memory per rank: about {}, at most {}; {local_ranks} ranks on this machine{}",
            size(bytes + PRE_PASS_BYTES + most / 3 * 2),
            size(memory),
            verdict(memory.saturating_mul(local_ranks), available_memory_bytes(), "free")
        ),
    ];
    let png = layout.row_bytes() * u64::from(spec.height);
    lines.push(format!(
        "{}: at most {} before compression{}",
        spec.output.display(),
        size(png),
        verdict(png, free_bytes(&spec.output), "free there")
    ));
    if let Some(path) = &spec.hdf5 {
        let coordinates = 8 * (u64::from(spec.width) + u64::from(spec.height));
        let bytes = pixels * 8 + coordinates + HDF5_HEADER_BYTES;
        lines.push(format!(
            "{}: about {}{}",
            path.display(),
            size(bytes),
            verdict(bytes, free_bytes(path), "free there")
        ));
    }
    if spec.palette.needs_histogram() && bands.count() > 1 {
        lines.push(
            "the histogram palette needs all counts first: this picture is computed twice".into(),
        );
    }
    lines
}
