//! Plain loops, compiled for the widest vectors that the processor has.
//!
//! The compiler turns loops over keys into vector code by itself, but without being told more than
//! "x86-64" it has neither comparisons nor products of 64-bit lanes. A loop that is inlined into a
//! function with more features is compiled with them; the calls that follow the checks are all there
//! is of `unsafe`. Costs the code of each loop three times.
#![allow(unsafe_code)]

/// Runs a loop. What it computes does not depend on the vectors.
#[inline]
pub(super) fn run<R>(work: impl FnOnce() -> R) -> R {
    #[cfg(target_arch = "x86_64")]
    {
        if is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512dq")
            && is_x86_feature_detected!("avx512vl")
        {
            // SAFETY: the processor has the features that the function is compiled for.
            return unsafe { avx512(work) };
        }
        if is_x86_feature_detected!("avx2") {
            // SAFETY: as above.
            return unsafe { avx2(work) };
        }
    }
    work()
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512dq,avx512vl")]
fn avx512<R>(work: impl FnOnce() -> R) -> R {
    work()
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn avx2<R>(work: impl FnOnce() -> R) -> R {
    work()
}
