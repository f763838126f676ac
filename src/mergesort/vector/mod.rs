//! Sorting bare keys in place with vector instructions, on one core.
//!
//! A quicksort after Blacher, Giesen and Wassenberg, "Vectorized and Performance-portable
//! Quicksort" (arXiv 2205.05982): a vector of keys is split by the pivot inside a register and
//! stored whole at both ends (`partition`), short ranges go through a sorting network that never
//! branches on a key (`network`), and the plain loop around them (`quicksort`) is the same for
//! every key and instruction set, which differ in a dozen operations only (`simd`).
//!
//! Keys are equal only if they are identical, so stability is no question here. The cost of the
//! speed is code: each pair of key and instruction set has its own copy of the loops, and nothing
//! but unsigned integers can be sorted; what else has an order is to be mapped to them first.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod entry;
#[cfg(target_arch = "x86_64")]
mod network;
mod order;
#[cfg(target_arch = "x86_64")]
mod pairs;
#[cfg(target_arch = "x86_64")]
mod partition;
#[cfg(target_arch = "x86_64")]
mod quicksort;
#[cfg(target_arch = "x86_64")]
mod simd;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod tests_patterns;
#[cfg(target_arch = "x86_64")]
mod x86;

#[cfg(test)]
use crate::num;
#[cfg(target_arch = "x86_64")]
use avx2::Avx2;
#[cfg(target_arch = "x86_64")]
use avx512::Avx512;
use std::fmt;
use std::str::FromStr;

pub use entry::Entry;
pub use order::{Order, ordered};

/// The instruction set, that is, the sort.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Isa {
    /// The standard library's unstable sort.
    Portable,
    /// 256-bit vectors; the standard library's sort for [`Entry`].
    Avx2,
    /// 512-bit vectors.
    Avx512,
}

impl Isa {
    /// From the slowest to the fastest.
    pub const ALL: [Self; 3] = [Self::Portable, Self::Avx2, Self::Avx512];

    /// Whether this machine can run it.
    pub fn is_available(self) -> bool {
        match self {
            Self::Portable => true,
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => Avx2::new().is_some(),
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => Avx512::new().is_some(),
            #[cfg(not(target_arch = "x86_64"))]
            Self::Avx2 | Self::Avx512 => false,
        }
    }

    /// Those that this machine can run, from the slowest to the fastest.
    pub fn available() -> impl Iterator<Item = Self> {
        Self::ALL.into_iter().filter(|isa| isa.is_available())
    }

    /// The fastest that this machine can run.
    pub fn best() -> Self {
        Self::available().last().unwrap_or(Self::Portable)
    }

    fn name(self) -> &'static str {
        match self {
            Self::Portable => "portable",
            Self::Avx2 => "avx2",
            Self::Avx512 => "avx512",
        }
    }
}

impl fmt::Display for Isa {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// The name belongs to no instruction set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownIsa(String);

impl fmt::Display for UnknownIsa {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = Isa::ALL.map(Isa::name).join(", ");
        write!(f, "unknown instruction set '{}'; use one of: {names}", self.0)
    }
}

impl std::error::Error for UnknownIsa {}

impl FromStr for Isa {
    type Err = UnknownIsa;

    fn from_str(text: &str) -> Result<Self, UnknownIsa> {
        Self::ALL
            .into_iter()
            .find(|isa| isa.name() == text)
            .ok_or_else(|| UnknownIsa(text.to_owned()))
    }
}

/// What can be sorted: `u32`, `u64` and [`Entry`].
pub trait Key: Copy + Ord + Send + Sync + bytemuck::Pod + 'static + sealed::Sort {}

impl Key for u32 {}
impl Key for u64 {}
impl Key for Entry {}

mod sealed {
    use super::Isa;

    /// One method per key type, because each names the kernels of its own type.
    pub trait Sort: Sized {
        fn sort(isa: Isa, keys: &mut [Self]);
    }
}

macro_rules! sort_with_kernels {
    ($key:ty: $($token:ident)+) => {
        impl sealed::Sort for $key {
            #[inline(never)]
            fn sort(isa: Isa, keys: &mut [Self]) {
                match isa {
                    $(
                        #[cfg(target_arch = "x86_64")]
                        Isa::$token => {
                            let token = $token::new().expect("the instruction set on this machine");
                            quicksort::sort(token, keys);
                        }
                    )+
                    #[allow(unreachable_patterns, reason = "only some keys have all kernels")]
                    _ => {
                        assert!(isa.is_available(), "{isa} is not available on this machine");
                        keys.sort_unstable();
                    }
                }
            }
        }
    };
}

sort_with_kernels!(u32: Avx2 Avx512);
sort_with_kernels!(u64: Avx2 Avx512);
// With AVX2, entries went at 0.5 to 1.3 times the speed of the standard library.
sort_with_kernels!(Entry: Avx512);

/// Up to here the standard library inserts key by key. On random keys a network is 2.7 times as
/// fast, but on keys in an order that the branch predictor has learnt it is five times as slow.
const FEW: usize = 20;

/// Sorts ascending, in place, in `O(n log n)` steps whatever the keys are.
///
/// Sorted, reversed and constant input costs one pass to recognize and at most one to reverse;
/// few distinct keys cost a pass for each doubling of their number.
///
/// # Panics
/// When this machine cannot run `isa` ([`Isa::is_available`]) and there are more than a few keys.
#[inline]
pub fn sort<K: Key>(isa: Isa, keys: &mut [K]) {
    if keys.len() <= FEW {
        return keys.sort_unstable();
    }
    K::sort(isa, keys);
}
