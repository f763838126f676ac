//! What a picture says about its making, written and read back.
//!
//! Pairs of a key and a value, a blank between all. Numbers are written so that reading gives the same bits.

use std::fmt;

use super::palette::Palette;
use super::spec::{Numbers, Spec};

/// The parameters that decide the bytes of a picture.
#[derive(Clone, Debug, PartialEq)]
pub struct Parameters {
    /// Columns.
    pub width: u32,
    /// Rows.
    pub height: u32,
    /// Steps after which a point counts as never escaping.
    pub max_iterations: u32,
    /// re from, re to, im from, im to.
    pub region: [f64; 4],
    /// How counts become colours.
    pub palette: Palette,
    /// Bits per channel; early pictures did not say.
    pub depth: Option<u8>,
}

impl fmt::Display for Parameters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { width, height, max_iterations, region: [re0, re1, im0, im1], palette, depth } =
            self;
        write!(f, "width {width} height {height} max_iterations {max_iterations} ")?;
        write!(f, "region {re0},{re1},{im0},{im1} palette {palette}")?;
        depth.map_or(Ok(()), |depth| write!(f, " depth {depth}"))
    }
}

impl Parameters {
    /// Those of a run.
    pub fn of(spec: &Spec) -> Self {
        let Spec { width, height, max_iterations, region, palette, depth, .. } = *spec;
        Self { width, height, max_iterations, region, palette, depth: Some(depth) }
    }

    /// From the text of a picture.
    ///
    /// # Errors
    /// A sentence about the first pair that is not as dcomp writes it, or that is missing.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut pairs = Vec::new();
        let mut words = text.split(' ');
        while let Some(key) = words.next() {
            let value = words.next().ok_or_else(|| format!("`{key}` has no value"))?;
            if pairs.iter().any(|(known, _)| *known == key) {
                return Err(format!("{key} is given twice"));
            }
            pairs.push((key, value));
        }
        let known = ["width", "height", "max_iterations", "region", "palette", "depth"];
        if let Some((key, _)) = pairs.iter().find(|(key, _)| !known.contains(key)) {
            return Err(format!("`{key}` is no parameter of a picture"));
        }
        let find =
            |key: &str| pairs.iter().find(|(known, _)| *known == key).map(|(_, value)| *value);
        let text = |key: &str| find(key).ok_or_else(|| format!("{key} is missing"));
        let number = |key: &str| {
            let value = text(key)?;
            value.parse().map_err(|_| format!("{key} is `{value}`, which is no number here"))
        };
        let Numbers(region) =
            text("region")?.parse().map_err(|problem| format!("region: {problem}"))?;
        if let Some(edge) = region.iter().find(|edge| !edge.is_finite()) {
            return Err(format!("region holds {edge}, which no picture has"));
        }
        let depth =
            find("depth").map(|depth| depth.parse().map_err(|_| format!("depth is `{depth}`")));
        Ok(Self {
            width: number("width")?,
            height: number("height")?,
            max_iterations: number("max_iterations")?,
            region,
            palette: text("palette")?.parse().map_err(|cause| format!("palette: {cause}"))?,
            depth: depth.transpose()?,
        })
    }

    /// The first parameter in which two runs differ, with both values.
    pub fn difference(&self, other: &Self) -> Option<String> {
        let numbers = |a: u32, b: u32| (a != b).then(|| format!("{a} and {b}"));
        let bits = |region: [f64; 4]| region.map(f64::to_bits);
        let region = || format!("{:?} and {:?}", self.region, other.region);
        let depths = self.depth.zip(other.depth).filter(|(a, b)| a != b);
        [
            ("width", numbers(self.width, other.width)),
            ("height", numbers(self.height, other.height)),
            ("max_iterations", numbers(self.max_iterations, other.max_iterations)),
            ("region", (bits(self.region) != bits(other.region)).then(region)),
            (
                "palette",
                (self.palette != other.palette)
                    .then(|| format!("{} and {}", self.palette, other.palette)),
            ),
            ("depth", depths.map(|(a, b)| format!("{a} and {b}"))),
        ]
        .into_iter()
        .find_map(|(key, both)| Some(format!("{key} {}", both?)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn numbers_come_back_bit_by_bit(
            width: u32, height: u32, max_iterations: u32,
            bits in prop::array::uniform4(any::<f64>()),
            palette in prop::sample::select(Palette::ALL.to_vec()),
            depth in prop::option::of(prop::sample::select(vec![8_u8, 16])),
        ) {
            prop_assume!(bits.iter().all(|number| number.is_finite()));
            let parameters =
                Parameters { width, height, max_iterations, region: bits, palette, depth };
            let back = Parameters::parse(&parameters.to_string()).unwrap();
            prop_assert_eq!(back.difference(&parameters), None);
            prop_assert_eq!(back.region.map(f64::to_bits), bits.map(f64::to_bits));
        }

        #[test]
        fn any_text_is_read_or_refused(text in ".{0,80}") {
            Parameters::parse(&text).ok();
        }
    }

    #[test]
    fn what_is_missing_or_foreign_is_named() {
        let good = "width 3 height 4 max_iterations 5 region 0,1,0,1 palette classic";
        assert!(Parameters::parse(good).is_ok());
        for (from, to, named) in [
            ("width 3 ", "", "width is missing"),
            ("width 3", "width x", "width is `x`"),
            ("classic", "classik", "palette"),
            ("0,1,0,1", "0,1,0", "4 are needed"),
            ("height 4", "width 4", "given twice"),
            ("height 4", "heigth 4", "`heigth` is no parameter"),
            ("classic", "classic depth", "no value"),
        ] {
            let refused = Parameters::parse(&good.replace(from, to)).unwrap_err();
            assert!(refused.contains(named), "{refused}");
        }
    }
}
