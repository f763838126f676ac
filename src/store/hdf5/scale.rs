//! Dimension scales: which coordinates belong to which dimension.
//!
//! They are four attributes, laid down in the HDF5 Dimension Scale Specification. They are written
//! here rather than by the library's high-level half, so that an HDF5 without it suffices.

use ::hdf5::types::{FixedAscii, TypeDescriptor, VarLenArray};
use ::hdf5::{Attribute, Dataset, Datatype, H5Type, ObjectReference, ObjectReference1, Result};
use hdf5_sys::h5t::{H5T_str_t, H5Tset_strpad};

/// The longest text here with its final zero; `CLASS` has exactly 16 bytes by the specification.
const TEXT_BYTES: usize = 16;

/// One use of a scale: the dataset and the number of its dimension.
#[derive(Clone, Copy, H5Type)]
#[repr(C)]
struct Use {
    dataset: ObjectReference1,
    dimension: i32,
}

/// Declares a dataset of coordinates to be a scale with this name.
pub(super) fn set(scale: &Dataset, name: &str) -> Result<()> {
    set_text(scale, "CLASS", "DIMENSION_SCALE")?;
    set_text(scale, "NAME", name)
}

/// Gives all `datasets`, which have the same shape, the `scales` for their dimensions in order.
pub(super) fn attach(datasets: &[&Dataset], scales: &[&Dataset]) -> Result<()> {
    let references = scales.iter().map(|scale| refer(scale)).collect::<Result<Vec<_>>>()?;
    let lists: Vec<_> = references.iter().map(|scale| VarLenArray::from_slice(&[*scale])).collect();
    for dataset in datasets {
        let list = dataset.new_attr::<VarLenArray<ObjectReference1>>().shape(lists.len());
        list.create("DIMENSION_LIST")?.write(&lists)?;
    }
    for (dimension, scale) in (0..).zip(scales) {
        let uses = datasets.iter().map(|dataset| Ok(Use { dataset: refer(dataset)?, dimension }));
        let uses = uses.collect::<Result<Vec<_>>>()?;
        scale.new_attr::<Use>().shape(uses.len()).create("REFERENCE_LIST")?.write(&uses)?;
    }
    Ok(())
}

/// References of the first kind: the specification has no others.
fn refer(dataset: &Dataset) -> Result<ObjectReference1> {
    ObjectReference1::create(dataset, ".")
}

/// A text that ends with a zero byte. Readers check for that, and the crate's own fixed strings
/// are padded with zeros instead, which is another type to HDF5.
fn set_text(scale: &Dataset, name: &str, text: &str) -> Result<()> {
    let size = text.len() + 1;
    let datatype = Datatype::from_descriptor(&TypeDescriptor::FixedAscii(size))?;
    null_terminate(&datatype)?;
    let value = FixedAscii::<TEXT_BYTES>::from_ascii(text).map_err(|error| error.to_string())?;
    let attribute: Attribute = scale.new_attr_builder().empty_as(&datatype).create(name)?;
    attribute.write_scalar(&value)
}

#[expect(unsafe_code, reason = "the one call that the safe crate lacks")]
fn null_terminate(datatype: &Datatype) -> Result<()> {
    // SAFETY: 1. the identifier belongs to a live string type of this process, which is not yet
    // part of any file, so that it may be changed; 2. `sync` holds the lock that HDF5 needs.
    let status =
        ::hdf5::sync::sync(|| unsafe { H5Tset_strpad(datatype.id(), H5T_str_t::H5T_STR_NULLTERM) });
    if status < 0 { Err("HDF5 does not end a fixed string with a zero".into()) } else { Ok(()) }
}
