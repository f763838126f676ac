//! What the x86 instruction sets share: the token, and the loops compiled with their features.

/// Defines the token `$token`, which only a CPU with the features gives.
macro_rules! x86_token {
    ($token:ident, [$($feature:tt),+]) => {
        /// Proof that the CPU has the instructions used here: [`Self::new`] is the only source.
        #[derive(Clone, Copy, Debug)]
        pub(super) struct $token(());

        impl $token {
            /// The token, where the CPU and the system support it.
            #[inline]
            pub(super) fn new() -> Option<Self> {
                ($(std::arch::is_x86_feature_detected!($feature))&&+).then_some(Self(()))
            }
        }
    };
}

/// Implements [`Kernel`](super::simd::Kernel) on vectors of `$lanes` keys.
macro_rules! x86_kernel {
    ($token:ident, $key:ty, $lanes:literal, $features:literal) => {
        const _: () = {
            use super::simd::{Kernel, Simd};
            use super::{Order, network, ordered, partition};

            const ROWS: usize = <$token as Simd<$key, $lanes>>::ROWS;
            const _: () = assert!(ROWS >= partition::LEAST);

            #[target_feature(enable = $features)]
            fn sort_small(simd: $token, keys: &mut [$key]) {
                network::sort::<$key, $token, $lanes>(simd, keys);
            }

            #[target_feature(enable = $features)]
            fn partition(simd: $token, keys: &mut [$key], pivot: $key) -> usize {
                partition::partition::<$key, $token, $lanes>(simd, keys, pivot)
            }

            #[target_feature(enable = $features)]
            fn order(keys: &[$key]) -> Order {
                ordered(keys)
            }

            impl Kernel<$key> for $token {
                const SMALL: usize = ROWS * $lanes;

                #[inline]
                fn sort_small(self, keys: &mut [$key]) {
                    // SAFETY: the token proves that the CPU has the features.
                    unsafe { sort_small(self, keys) }
                }
                #[inline]
                fn partition(self, keys: &mut [$key], pivot: $key) -> usize {
                    // SAFETY: the token proves that the CPU has the features.
                    unsafe { partition(self, keys, pivot) }
                }
                #[inline]
                fn ordered(self, keys: &[$key]) -> Order {
                    // SAFETY: the token proves that the CPU has the features.
                    unsafe { order(keys) }
                }
            }
        };
    };
}

pub(super) use {x86_kernel, x86_token};

/// For 8 lanes and every mask: the numbers of the lanes in the mask, then of the others, four bits
/// each, the lowest first.
pub(super) static LANES_OF: [u32; 256] = {
    let mut table = [0; 256];
    let mut mask = 0;
    while mask < table.len() {
        let (mut place, mut pass) = (0, 0);
        while pass < 2 {
            let mut lane = 0;
            while lane < 8 {
                if ((mask >> lane) & 1 == 1) == (pass == 0) {
                    table[mask] |= lane << place;
                    place += 4;
                }
                lane += 1;
            }
            pass += 1;
        }
        mask += 1;
    }
    table
};
