//! Files filled by two writers, read back; files of other programs; errors by name.

use std::os::unix::fs::FileExt;

use ::hdf5::types::FixedAscii;
use ndarray::{Array2, arr1};

use super::*;

/// A path of its own for each test, removed in the end.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Self {
        Scratch(std::env::temp_dir().join(format!("dcomp-hdf5-{}-{name}.h5", std::process::id())))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // A test that failed early has made no file.
        let _ = std::fs::remove_file(&self.0);
    }
}

const RE: [f64; 5] = [-2.5, -1.5, -0.5, 0.5, 0.75];
const IM: [f64; 3] = [-1.0, 0.0, 1.0];

fn attributes() -> Vec<(&'static str, Value)> {
    vec![
        ("title", Value::Text("caf\u{e9} \u{3c0}".to_owned())),
        (MAX_ITERATIONS, Value::Unsigned(1000)),
        ("seed", Value::Signed(-7)),
        ("zoom", Value::Float(0.25)),
        ("empty", Value::Text(String::new())),
    ]
}

/// Count and fraction of the point with this index.
fn point(index: u16) -> (u32, f32) {
    let count = if index.is_multiple_of(4) { NOT_ESCAPED } else { u32::from(index) * 70_000 };
    (count, f32::from(index) / 16.0)
}

fn fill(path: &Path, extents: &[DataExtent]) {
    // Two writers with handles of their own, as two ranks would be; the rows of one are last.
    for points in [10..15u16, 0..10] {
        let file = OpenOptions::new().write(true).open(path).unwrap();
        for extent in extents {
            let start = extent.offset + u64::from(points.start) * 4;
            let bytes: Vec<u8> = points
                .clone()
                .flat_map(|index| match extent.name {
                    COUNTS => point(index).0.to_ne_bytes(),
                    _ => point(index).1.to_ne_bytes(),
                })
                .collect();
            file.write_all_at(&bytes, start).unwrap();
        }
    }
}

#[test]
fn what_two_writers_put_at_the_extents_is_read_back() {
    let scratch = Scratch::new("fill");
    std::fs::write(&scratch.0, b"").unwrap();
    let attributes = attributes();
    let spec = GridSpec { re: &RE, im: &IM, has_fractions: true, attributes: &attributes };
    let extents = create(&scratch.0, &spec).unwrap();
    let places: Vec<_> = extents.iter().map(|extent| (extent.name, extent.bytes)).collect();
    assert_eq!(places, [(COUNTS, 60), (FRACTIONS, 60)]);
    let size = std::fs::metadata(&scratch.0).unwrap().len();
    assert!(extents.iter().all(|extent| extent.offset + extent.bytes <= size));

    fill(&scratch.0, &extents);
    assert_eq!(std::fs::metadata(&scratch.0).unwrap().len(), size, "the size was final");
    let reader = Reader::open(&scratch.0).unwrap();
    assert_eq!(reader.shape(), Shape { width: 5, height: 3 });
    assert_eq!(reader.max_iterations().unwrap(), 1000);
    let (counts, fractions): (Vec<u32>, Vec<f32>) = (0..15).map(point).unzip();
    assert_eq!(reader.read_counts(0..3).unwrap(), counts);
    assert_eq!(reader.read_counts(1..2).unwrap(), counts[5..10]);
    assert_eq!(reader.read_counts(2..2).unwrap(), [0_u32; 0]);
    assert_eq!(reader.read_fractions(1..3).unwrap().unwrap(), fractions[5..]);
    let mut expected: Vec<_> =
        attributes.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    expected.sort_by(|a, b| a.0.cmp(&b.0));
    assert_eq!(reader.attributes().unwrap(), expected);
}

#[test]
fn the_same_specification_gives_the_same_bytes_over_an_old_file_too() {
    let (first, second) = (Scratch::new("same-1"), Scratch::new("same-2"));
    std::fs::write(&second.0, vec![0xAA; 1 << 20]).unwrap();
    let attributes = attributes();
    let spec = GridSpec { re: &RE, im: &IM, has_fractions: true, attributes: &attributes };
    assert_eq!(create(&first.0, &spec).unwrap(), create(&second.0, &spec).unwrap());
    assert!(std::fs::read(&first.0).unwrap() == std::fs::read(&second.0).unwrap());
}

#[test]
fn large_data_begins_at_a_stripe_and_is_a_hole() {
    let scratch = Scratch::new("large");
    let (re, im) = (vec![0.0; 8000], vec![0.0; 6000]);
    let spec = GridSpec { re: &re, im: &im, has_fractions: true, attributes: &[] };
    for extent in create(&scratch.0, &spec).unwrap() {
        assert_eq!(extent.offset % ALIGNMENT, 0);
        assert_eq!(extent.bytes, 8000 * 6000 * 4);
    }
    let metadata = std::fs::metadata(&scratch.0).unwrap();
    assert!(metadata.len() >= 2 * 192_000_000);
    assert!(std::os::unix::fs::MetadataExt::blocks(&metadata) < 10_000, "nothing was filled");
}

#[test]
fn files_of_other_programs_are_read_in_any_layout_and_byte_order() {
    let scratch = Scratch::new("other");
    let counts = Array2::from_shape_fn((7, 6), |(y, x)| u16::try_from(1000 * y + x).unwrap());
    let file = File::create(&scratch.0).unwrap();
    file.new_dataset_builder().with_data(&counts).chunk((2, 5)).deflate(4).create(COUNTS).unwrap();
    let halves = counts.mapv(|count| f64::from(count) / 2.0);
    file.new_dataset_builder()
        .with_data(&halves)
        .chunk((7, 1))
        .shuffle()
        .create(FRACTIONS)
        .unwrap();
    file.new_attr::<i32>().create(MAX_ITERATIONS).unwrap().write_scalar(&9000).unwrap();
    let title = FixedAscii::<9>::from_ascii("old file").unwrap();
    file.new_attr::<FixedAscii<9>>().create("title").unwrap().write_scalar(&title).unwrap();
    file.new_attr_builder().with_data(&arr1(&[1, 2])).create("pair").unwrap();
    file.close().unwrap();

    let reader = Reader::open(&scratch.0).unwrap();
    assert_eq!(
        reader.read_counts(3..5).unwrap(),
        [3000, 3001, 3002, 3003, 3004, 3005, 4000, 4001, 4002, 4003, 4004, 4005]
    );
    assert_eq!(reader.read_fractions(0..1).unwrap().unwrap(), [0.0, 0.5, 1.0, 1.5, 2.0, 2.5]);
    assert_eq!(reader.max_iterations().unwrap(), 9000);
    let title = ("title".to_owned(), Value::Text("old file".to_owned()));
    assert!(reader.attributes().unwrap().contains(&title));
}

fn refusal(name: &str, make: impl FnOnce(&File)) -> String {
    let scratch = Scratch::new(name);
    let file = File::create(&scratch.0).unwrap();
    make(&file);
    file.close().unwrap();
    let message = match Reader::open(&scratch.0) {
        Ok(reader) => reader.max_iterations().unwrap_err().to_string(),
        Err(error) => error.to_string(),
    };
    assert!(message.starts_with(scratch.0.to_str().unwrap()), "{message}");
    message
}

#[test]
fn errors_name_the_file_the_dataset_and_the_next_step() {
    let none = refusal("none", |_| ());
    assert!(
        none.ends_with(
            "has no dataset N; recolor reads files written by `dcomp mandelbrot --hdf5`"
        ),
        "{none}"
    );
    let flat = refusal("flat", |file| {
        file.new_dataset::<u32>().shape(4).create(COUNTS).unwrap();
    });
    assert!(flat.ends_with("dataset N has 1 dimensions; it must have 2"), "{flat}");
    let wide = refusal("wide", |file| {
        file.new_dataset::<u64>().shape((2, 2)).create(COUNTS).unwrap();
    });
    assert!(wide.contains("dataset N holds") && wide.contains("at most 32 bits"), "{wide}");
    let other_size = refusal("size", |file| {
        file.new_dataset::<u32>().shape((2, 2)).create(COUNTS).unwrap();
        file.new_dataset::<f32>().shape((2, 3)).create(FRACTIONS).unwrap();
    });
    assert!(
        other_size.contains("dataset NF is [2, 3]") && other_size.contains("must be [2, 2]"),
        "{other_size}"
    );
    let no_limit = refusal("limit", |file| {
        file.new_dataset::<u32>().shape((2, 2)).create(COUNTS).unwrap();
    });
    assert!(no_limit.contains("has no attribute max_iterations"), "{no_limit}");

    let scratch = Scratch::new("text");
    std::fs::write(&scratch.0, "no HDF5").unwrap();
    let text = Reader::open(&scratch.0).err().unwrap().to_string();
    assert!(text.contains("cannot open it as HDF5"), "{text}");
    let missing = Reader::open(Path::new("/nonexistent/x.h5")).err().unwrap().to_string();
    assert!(missing.contains("/nonexistent/x.h5: No such file"), "{missing}");
    let spec = GridSpec { re: &[], im: &IM, has_fractions: false, attributes: &[] };
    assert!(create(&scratch.0, &spec).unwrap_err().to_string().contains("at least one column"));
}

#[test]
fn scales_are_attached_as_the_specification_says() {
    let scratch = Scratch::new("scales");
    let spec = GridSpec { re: &RE, im: &IM, has_fractions: true, attributes: &[] };
    create(&scratch.0, &spec).unwrap();
    let file = File::open(&scratch.0).unwrap();
    let re = file.dataset("re").unwrap();
    assert_eq!(re.read_raw::<f64>().unwrap(), RE);
    let class = re.attr("CLASS").unwrap();
    assert_eq!(class.read_scalar::<FixedAscii<16>>().unwrap().as_str(), "DIMENSION_SCALE");
    assert_eq!(class.storage_size(), 16);
    // Equal in all but the padding: this one must end with a zero byte.
    assert!(!class.dtype().unwrap().is::<FixedAscii<16>>());
    assert_eq!(re.attr("REFERENCE_LIST").unwrap().shape(), [2]);
    assert_eq!(file.dataset(COUNTS).unwrap().attr("DIMENSION_LIST").unwrap().shape(), [2]);
}
