//! What a picture will take, before it is made: for `--dry-run`.

use super::bands::Bands;
use super::{bytes_per_pixel, spec::Spec};
use crate::measure::available_memory_bytes;
use crate::store::target::free_bytes;
use crate::units::{size, verdict};

/// Memory of a rank besides its share of the picture: program, MPI, pre-pass, encoders.
const RANK_BYTES: u64 = 48 << 20;

/// Bytes of an HDF5 file besides its channels and coordinates.
const HDF5_HEADER_BYTES: u64 = 16 << 10;

/// Lines about memory and disk, each with whether it fits.
pub fn describe(spec: &Spec, ranks: u64, local_ranks: u64, threads: u64) -> Vec<String> {
    let layout = spec.layout();
    let bands = Bands::new(spec.width, spec.height, layout.rows_per_strip(), ranks);
    let (usual, most) = bands.memory_bytes(bytes_per_pixel(spec));
    let memory = RANK_BYTES + most;
    let pixels = u64::from(spec.width) * u64::from(spec.height);
    let mut lines = vec![
        format!("ranks {ranks} x threads {threads}, {} bands of rows", bands.count()),
        format!(
            "memory per rank: about {}, at most {}; {local_ranks} ranks on this machine{}",
            size(RANK_BYTES + usual),
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
