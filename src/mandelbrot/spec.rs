//! The parameters of a picture: what was typed, what it means, and what is refused.
//!
//! Pure: a merged deck in, a checked [`Spec`] out. Every refusal names the flag or key that set the
//! value and says what to change.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::kernel::{Isa, Lattice};
use super::palette::Palette;
use crate::deck::Merged;
use crate::error::{Error, Result};
use crate::store::png::{Depth, Layout};

/// The built-in deck.
pub const DEFAULTS: &str = include_str!("../../jobs/mandelbrot.toml");

/// Keys besides those of the built-in deck.
pub const OPTIONAL_KEYS: [&str; 3] = ["center", "zoom", "hdf5"];

/// Keys whose values are text whatever they look like.
pub const TEXT_KEYS: [&str; 5] = ["output", "hdf5", "palette", "schedule", "kernel"];

/// A view is a region, or a centre and a zoom.
pub const VIEW_KEYS: (&[&str], &[&str]) = (&["region"], &["center", "zoom"]);

/// PNG stores sizes in 31 bits.
const SIZE_MAX: u32 = 0x7FFF_FFFF;

/// One strip of rows is encoded by one rank, in its memory: 64 Mi pixels are at most 1 GiB there.
pub const WIDTH_MAX: u32 = 1 << 26;

/// How the picture is shared out among the ranks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Schedule {
    /// Each rank one block of consecutive rows.
    Block,
    /// Row `y` goes to rank `y` modulo the number of ranks.
    Cyclic,
    /// Tiles, longest predicted first, drawn from a shared counter.
    Dynamic,
}

impl Schedule {
    /// All, in the order of `--help`.
    pub const ALL: [Self; 3] = [Self::Block, Self::Cyclic, Self::Dynamic];

    /// The name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Block => "block",
            Self::Cyclic => "cyclic",
            Self::Dynamic => "dynamic",
        }
    }
}

impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Schedule {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        let found = Self::ALL.into_iter().find(|schedule| schedule.name() == text);
        found.ok_or_else(|| format!("no schedule is named `{text}`; use block, cyclic or dynamic"))
    }
}

/// `N` numbers, as a TOML array or as text with commas.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(try_from = "NumbersText")]
pub struct Numbers<const N: usize>(pub [f64; N]);

#[derive(Deserialize)]
#[serde(untagged, expecting = "expected numbers, as [0.0, 1.0] or \"0.0,1.0\"")]
enum NumbersText {
    Array(Vec<f64>),
    Text(String),
}

impl<const N: usize> TryFrom<NumbersText> for Numbers<N> {
    type Error = String;

    fn try_from(given: NumbersText) -> std::result::Result<Self, String> {
        let numbers = match given {
            NumbersText::Array(numbers) => numbers,
            NumbersText::Text(text) => text
                .split(',')
                .map(|part| {
                    let part = part.trim();
                    part.parse().map_err(|_| format!("`{part}` is not a number"))
                })
                .collect::<std::result::Result<_, _>>()?,
        };
        let count = numbers.len();
        numbers.try_into().map(Self).map_err(|_| format!("{count} numbers given, {N} are needed"))
    }
}

impl<const N: usize> FromStr for Numbers<N> {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        NumbersText::Text(text.to_owned()).try_into()
    }
}

/// What was typed, with the types of the keys.
#[derive(Clone, Debug, Deserialize)]
pub struct Options {
    width: u32,
    height: u32,
    max_iterations: u32,
    region: Option<Numbers<4>>,
    center: Option<Numbers<2>>,
    zoom: Option<f64>,
    output: PathBuf,
    palette: String,
    depth: u8,
    schedule: String,
    kernel: String,
    seed: u64,
    hdf5: Option<PathBuf>,
}

/// A checked picture.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Spec {
    /// Columns.
    pub width: u32,
    /// Rows.
    pub height: u32,
    /// Steps after which a point counts as never escaping.
    pub max_iterations: u32,
    /// re from, re to, im from, im to.
    pub region: [f64; 4],
    /// The PNG.
    pub output: PathBuf,
    /// Name of the palette.
    #[serde(with = "by_name")]
    pub palette: Palette,
    /// Bits per channel.
    pub depth: u8,
    /// How the picture is shared out.
    #[serde(with = "by_name")]
    pub schedule: Schedule,
    /// The kernel that was asked for.
    pub kernel: String,
    /// Chooses the pixels of the check.
    pub seed: u64,
    /// The raw channels, when wanted.
    pub hdf5: Option<PathBuf>,
}

/// Serialises what has a name as that name.
pub(super) mod by_name {
    use std::fmt::Display;
    use std::str::FromStr;

    use serde::{Deserialize, Deserializer, Serializer};

    pub fn serialize<T: Display, S: Serializer>(value: &T, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(value)
    }

    pub fn deserialize<'de, T: FromStr<Err: Display>, D: Deserializer<'de>>(
        from: D,
    ) -> Result<T, D::Error> {
        String::deserialize(from)?.parse().map_err(serde::de::Error::custom)
    }
}

impl Spec {
    /// Checks a merged deck.
    ///
    /// # Errors
    /// A usage error that names the flag or key.
    pub fn from_deck(merged: &Merged) -> Result<Self> {
        let options: Options = merged.read()?;
        let named =
            |key: &str, problem: String| Error::usage(format!("{}: {problem}", merged.name(key)));
        for (key, value, most) in
            [("width", options.width, WIDTH_MAX), ("height", options.height, SIZE_MAX)]
        {
            if value == 0 {
                return Err(named(key, "a picture needs at least 1 pixel; give 1 or more".into()));
            }
            if value > most {
                return Err(named(
                    key,
                    format!(
                        "{value} pixels: one row of tiles would not fit a rank's memory; \
                     give at most {most}"
                    ),
                ));
            }
        }
        let steps = options.max_iterations;
        if steps == 0 || steps == u32::MAX {
            return Err(named("max_iterations", format!("{steps}; give 1 to {}", u32::MAX - 1)));
        }
        let pixels = u64::from(options.width) * u64::from(options.height);
        if pixels.checked_mul(u64::from(steps)).is_none() {
            return Err(named(
                "max_iterations",
                format!(
                    "{steps} steps for {pixels} pixels could exceed 2^64 iterations; \
                 lower it or the size"
                ),
            ));
        }
        let region = region(&options, merged)?;
        let palette = options
            .palette
            .parse()
            .map_err(|cause: super::palette::UnknownPalette| named("palette", cause.to_string()))?;
        let schedule = options.schedule.parse().map_err(|cause| named("schedule", cause))?;
        kernel_name(&options.kernel).map_err(|problem| named("kernel", problem))?;
        if !matches!(options.depth, 8 | 16) {
            let depth = options.depth;
            return Err(named("depth", format!("{depth} bits a channel; PNG has 8 and 16")));
        }
        if options.hdf5.as_ref() == Some(&options.output) {
            return Err(named("hdf5", "is the PNG's file too; give another name".into()));
        }
        Ok(Self {
            width: options.width,
            height: options.height,
            max_iterations: steps,
            region,
            output: options.output,
            palette,
            depth: options.depth,
            schedule,
            kernel: options.kernel,
            seed: options.seed,
            hdf5: options.hdf5,
        })
    }

    /// The mapping from pixels to the plane.
    pub fn lattice(&self) -> Lattice {
        lattice(self.region, self.width, self.height)
    }

    /// The kernel to use on this machine.
    ///
    /// # Panics
    /// When the name was not checked before.
    pub fn isa(&self) -> Isa {
        kernel(&self.kernel).expect("kernel_available was agreed")
    }

    /// That this rank's CPU can run the kernel that was asked for. Nodes of a cluster may differ.
    ///
    /// # Errors
    /// A usage error that names the flag.
    pub fn kernel_available(&self) -> Result<()> {
        kernel(&self.kernel).map(|_| ()).map_err(|why| Error::usage(format!("--kernel: {why}")))
    }

    /// How the PNG is cut into strips.
    ///
    /// # Panics
    /// When the size was not checked before.
    pub fn layout(&self) -> Layout {
        let depth = if self.depth == 16 { Depth::Sixteen } else { Depth::Eight };
        Layout::new(self.width, self.height, depth).expect("checked by from_deck")
    }

    /// Whether fractions of counts are computed.
    pub fn needs_fraction(&self) -> bool {
        self.palette.needs_fraction() || self.hdf5.is_some()
    }
}

/// `auto` or a kernel's name; what this machine cannot run is refused.
fn kernel(name: &str) -> std::result::Result<Isa, String> {
    let Some(isa) = kernel_name(name)? else { return Ok(Isa::best()) };
    if isa.is_available() {
        return Ok(isa);
    }
    Err(format!("this machine's CPU cannot run the {name} kernel; use auto or portable"))
}

/// What a kernel's name means on any machine; `auto` is `None`.
fn kernel_name(name: &str) -> std::result::Result<Option<Isa>, String> {
    if name == "auto" {
        return Ok(None);
    }
    name.parse().map(Some).map_err(|_| {
        format!("no kernel is named `{name}`; use auto, reference, portable, avx2 or avx512")
    })
}

/// The mapping from pixels to the plane.
pub(super) fn lattice(region: [f64; 4], width: u32, height: u32) -> Lattice {
    let [re0, re1, im0, im1] = region;
    Lattice {
        re0,
        re_step: (re1 - re0) / f64::from(width),
        im0,
        im_step: (im1 - im0) / f64::from(height),
    }
}

fn region(options: &Options, merged: &Merged) -> Result<[f64; 4]> {
    let named =
        |key: &str, problem: String| Error::usage(format!("{}: {problem}", merged.name(key)));
    let (key, region) = match (options.region, options.center, options.zoom) {
        (Some(Numbers(region)), None, None) => ("region", region),
        (None, center, zoom) => {
            let Some(Numbers([re, im])) = center else {
                return Err(named("zoom", "needs a centre; give --center RE,IM too".into()));
            };
            let zoom = zoom.unwrap_or(1.0);
            if !(zoom.is_finite() && zoom > 0.0) {
                return Err(named("zoom", format!("{zoom}; give a number above 0")));
            }
            if !(re.is_finite() && im.is_finite()) {
                return Err(named("center", format!("{re},{im}; give two finite numbers")));
            }
            let half_im = 2.0 / zoom;
            let half_re = half_im * (f64::from(options.width) / f64::from(options.height));
            ("zoom", [re - half_re, re + half_re, im - half_im, im + half_im])
        }
        _ => return Err(Error::internal("a view of both kinds passed the merge")),
    };
    let key = if merged.is_set(key) { key } else { "center" };
    let [re0, re1, im0, im1] = region;
    let spans = [re1 - re0, im1 - im0];
    if !region.iter().chain(&spans).all(|number| number.is_finite()) {
        return Err(named(
            key,
            format!("{re0},{re1},{im0},{im1}; all four and their differences must be finite"),
        ));
    }
    if let Some(why) = too_fine(region, options.width, options.height) {
        return Err(named(key, why));
    }
    if re0 >= re1 || im0 >= im1 {
        return Err(named(
            key,
            format!(
                "{re0},{re1},{im0},{im1}: the order is re from, re to, im from, im to, each from \
             below its to"
            ),
        ));
    }
    Ok(region)
}

/// Neighbouring pixels must lie at least this many units in the last place apart, or rounding
/// inside the iteration is as large as the picture's detail (notes of the method: 4 ulp).
const PIXEL_ULPS: f64 = 4.0;

/// Why the pixels of a view lie closer than f64 can tell apart, if they do.
fn too_fine(region: [f64; 4], width: u32, height: u32) -> Option<String> {
    let [re0, re1, im0, im1] = region;
    let lattice = lattice(region, width, height);
    let ulp = |from: f64, to: f64| {
        let largest = from.abs().max(to.abs());
        largest.next_up() - largest
    };
    let blurred = |step: f64, from: f64, to: f64| {
        // An empty or reversed interval has a message of its own.
        from <= to && step < PIXEL_ULPS * ulp(from, to)
    };
    let too_fine = blurred(lattice.re_step, re0, re1) && re0 < re1
        || blurred(lattice.im_step, im0, im1) && im0 < im1;
    // A zoom so deep that both ends round to the same number.
    let collapsed = re0.to_bits() == re1.to_bits() || im0.to_bits() == im1.to_bits();
    (too_fine || collapsed).then(|| {
        format!(
            "the pixels of this view lie {:.3e} apart, closer than f64 can tell apart here \
             ({:.3e}); zoom out, or make the picture smaller",
            lattice.re_step.min(lattice.im_step),
            PIXEL_ULPS * ulp(re0, re1).max(ulp(im0, im1)),
        )
    })
}
