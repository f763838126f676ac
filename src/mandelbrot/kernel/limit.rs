//! The arithmetic limit of the machine, measured: what the kernels' rates are compared with.
//!
//! Independent chains of vector operations in registers, nothing else. They stand in the proportion
//! of the plain step, 3 multiplications to 4 additions, or in that of the balanced mix of plain and
//! fused steps, 10 to 10 for three vectors. The plain loop reaches 2.00 cycles a vector
//! on Zen 3, its exact bound. The mixed loop reaches 1.75 to 1.85 of a bound of 1.67.
#![allow(clippy::inline_always, reason = "the loops must be compiled with each set's features")]

use std::hint::black_box;
use std::time::Instant;

use super::simd::{Complex, Kernel, Simd};
use super::{Isa, portable};
use crate::num;

/// Which proportion of operations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mix {
    /// 3 multiplications and 4 additions, the step as it is defined.
    Plain,
    /// 3 1/3 multiplications, a tenth of them fused with an addition, and 3 1/3 additions.
    Fused,
}

/// Vector steps that one pass of [`run`] stands for.
pub(super) fn vectors_per_pass(mix: Mix) -> u64 {
    match mix {
        Mix::Plain => 9 * 6 / 3,
        Mix::Fused => 10 * 7 * 3 / 10,
    }
}

/// Passes in one timing: well below a millisecond, so that some timing is undisturbed.
const PASSES: u64 = 25_000;

/// Timings of which the best counts: a limit is what the machine can do undisturbed.
const TRIES: usize = 101;

/// Vector steps per second times lanes at the arithmetic limit; `None` without the instruction set.
///
/// For [`Isa::Reference`] the answer is that of [`Isa::Portable`]. The portable kernel does not
/// fuse: its [`Mix::Fused`] is the plain limit.
pub fn iterations_per_s(isa: Isa, mix: Mix) -> Option<f64> {
    let mut best = 0.0_f64;
    for _ in 0..TRIES {
        let start = Instant::now();
        let iterations = match isa {
            Isa::Reference | Isa::Portable => portable::Portable.rate(PASSES),
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2 => super::avx2::Avx2::new()?.rate(mix, PASSES),
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512 => super::avx512::Avx512::new()?.rate(mix, PASSES),
            #[cfg(not(target_arch = "x86_64"))]
            _ => return None,
        };
        best = best.max(num::to_f64(iterations) / start.elapsed().as_secs_f64());
    }
    Some(best)
}

/// Steps per second times lanes of the kernel's block loop alone, on points that stay: what is left
/// of the limit before the driver takes its share. `None` without the instruction set.
pub fn blocks_per_s(isa: Isa) -> Option<f64> {
    match isa {
        Isa::Reference => None,
        Isa::Portable => Some(loop_rate(portable::Portable)),
        #[cfg(target_arch = "x86_64")]
        Isa::Avx2 => super::avx2::Avx2::new().map(loop_rate),
        #[cfg(target_arch = "x86_64")]
        Isa::Avx512 => super::avx512::Avx512::new().map(loop_rate),
        #[cfg(not(target_arch = "x86_64"))]
        Isa::Avx2 | Isa::Avx512 => None,
    }
}

fn loop_rate<const N: usize>(kernel: impl Kernel<N>) -> f64 {
    const BLOCK: u32 = 80;
    const BLOCKS: u32 = 400;
    let (mut z, mut saved, mut c) =
        (Complex::splat(0.0), Complex::splat(0.0), Complex::<N>::splat(0.1));
    c.re[0] = 0.05;
    let mut best = 0.0_f64;
    for _ in 0..TRIES {
        let start = Instant::now();
        black_box(kernel.advance(&mut z, &mut saved, black_box(&c), BLOCK, BLOCKS));
        let steps = u64::from(BLOCK) * u64::from(BLOCKS) * num::to_u64(N);
        best = best.max(num::to_f64(steps) / start.elapsed().as_secs_f64());
    }
    best
}

/// Runs `passes` passes of [`vectors_per_pass`] vector steps' operations.
#[inline(always)]
pub(super) fn run<S: Simd<L>, const L: usize>(simd: S, mix: Mix, passes: u64) {
    match mix {
        Mix::Plain => chains::<S, L, 6, 8, false>(simd, passes),
        Mix::Fused => chains::<S, L, 7, 7, true>(simd, passes),
    }
}

/// A pass is nine rounds on `MULS` chains of multiplications and `ADDS` chains of additions, and
/// with `FUSED` a tenth one where the multiplications are fused ones.
///
/// The constant and the starting values are hidden from the compiler, or it would fold equal
/// chains. With the constant 15 of 16 registers are in use.
#[inline(always)]
fn chains<S: Simd<L>, const L: usize, const MULS: usize, const ADDS: usize, const FUSED: bool>(
    simd: S,
    passes: u64,
) {
    let one = simd.load(&black_box([1.0; L]));
    let mut products = [one; MULS];
    let mut sums = [one; ADDS];
    for chain in products.iter_mut().chain(&mut sums) {
        *chain = simd.load(&black_box([1.5; L]));
    }
    for _ in 0..passes {
        for _ in 0..9 {
            for i in 0..MULS.max(ADDS) {
                if i < MULS {
                    products[i] = simd.mul(products[i], one);
                }
                if i < ADDS {
                    sums[i] = simd.add(sums[i], one);
                }
            }
        }
        if FUSED {
            for i in 0..MULS {
                products[i] = simd.mul_add(products[i], one, one);
                sums[i] = simd.add(sums[i], one);
            }
        }
    }
    let mut out = [0.0; L];
    for value in products.into_iter().chain(sums) {
        simd.store(value, &mut out);
        black_box(out);
    }
}
