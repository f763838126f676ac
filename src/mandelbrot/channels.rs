//! The raw channels of a picture as an HDF5 grid: which axes, which attributes.

use super::spec::Spec;
use crate::store::grid_file::{CreateGrid, Created};
use crate::store::hdf5::{GridSpec, MAX_ITERATIONS, Value};

/// Describes the grid of `spec` and hands it to `create`.
///
/// # Errors
/// Those of `create`.
pub fn grid(spec: &Spec, create: &CreateGrid<'_>) -> Created {
    let lattice = spec.lattice();
    let re: Vec<f64> = (0..spec.width).map(|x| lattice.re(x)).collect();
    let im: Vec<f64> = (0..spec.height).map(|y| lattice.im(y)).collect();
    let source = format!("dcomp {} mandelbrot", env!("CARGO_PKG_VERSION"));
    let attributes = [
        ("title", Value::Text("Mandelbrot set, steps until escape".into())),
        ("source", Value::Text(source)),
        ("references", Value::Text("dcomp docs/record.md, docs/adr/0003-arithmetic.md".into())),
        (MAX_ITERATIONS, Value::Unsigned(spec.max_iterations.into())),
        ("region_re0", Value::Float(spec.region[0])),
        ("region_re1", Value::Float(spec.region[1])),
        ("region_im0", Value::Float(spec.region[2])),
        ("region_im1", Value::Float(spec.region[3])),
        ("escape_radius", Value::Float(2.0)),
    ];
    create(&GridSpec { re: &re, im: &im, has_fractions: true, attributes: &attributes })
}
