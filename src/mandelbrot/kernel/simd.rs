//! The vector arithmetic that every instruction set provides, and the loops written on top of it.
//!
//! A type that implements [`Simd`] is a token: holding one proves that the CPU has the
//! instructions, so the operations are safe functions. The loops below are `inline(always)`; each
//! instruction set instantiates them inside functions compiled with its target features. The cost
//! of that: there is one source for all loops, but what it becomes must be checked in the
//! assembly, set by set.
#![allow(clippy::inline_always, reason = "without it the operations are compiled without AVX")]

/// Points processed together outside the block loop: by the sieve and when escapes are replayed.
pub(super) const BATCH: usize = 64;

/// Vectors in flight in [`count`]: enough to hide the latency of its longer step.
const GROUP: usize = 4;

/// Complex numbers, real and imaginary parts apart, one per lane.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
pub(super) struct Complex<const N: usize> {
    pub(super) re: [f64; N],
    pub(super) im: [f64; N],
}

impl<const N: usize> Complex<N> {
    pub(super) const fn splat(value: f64) -> Self {
        Self { re: [value; N], im: [value; N] }
    }

    #[inline]
    pub(super) fn get(&self, lane: usize) -> (f64, f64) {
        (self.re[lane], self.im[lane])
    }

    #[inline]
    pub(super) fn set(&mut self, lane: usize, (re, im): (f64, f64)) {
        self.re[lane] = re;
        self.im[lane] = im;
    }
}

/// What [`advance`] did.
#[derive(Clone, Copy, Debug)]
pub(super) struct Advanced {
    /// Blocks completed.
    pub(super) blocks: u32,
    /// Lanes that have `|z|^2 >= 4`, or no number, after the last of them.
    pub(super) escaped: u64,
}

/// `L` numbers at a time.
pub(super) trait Simd<const L: usize>: Copy {
    /// `L` numbers.
    type V: Copy;
    /// `L` truth values.
    type M: Copy;
    /// `L` integers.
    type I: Copy;
    fn load(self, from: &[f64; L]) -> Self::V;
    fn store(self, v: Self::V, to: &mut [f64; L]);
    fn splat(self, value: f64) -> Self::V;
    fn add(self, a: Self::V, b: Self::V) -> Self::V;
    fn sub(self, a: Self::V, b: Self::V) -> Self::V;
    fn mul(self, a: Self::V, b: Self::V) -> Self::V;
    /// `a * b + c`, fused where the set can. For measuring only.
    fn mul_add(self, a: Self::V, b: Self::V, c: Self::V) -> Self::V;
    /// `a < b`; false where either is no number.
    fn less(self, a: Self::V, b: Self::V) -> Self::M;
    /// `a == b` as numbers.
    fn equal(self, a: Self::V, b: Self::V) -> Self::M;
    fn and(self, a: Self::M, b: Self::M) -> Self::M;
    fn or(self, a: Self::M, b: Self::M) -> Self::M;
    /// Bit `i` is lane `i`.
    fn bits(self, mask: Self::M) -> u64;
    fn select(self, mask: Self::M, yes: Self::V, no: Self::V) -> Self::V;
    fn zero(self) -> Self::I;
    /// Adds 1 where the mask is true.
    fn tally(self, count: Self::I, mask: Self::M) -> Self::I;
    fn store_counts(self, count: Self::I, to: &mut [u64; L]);

    /// `block` steps on `V` vectors, without a test: the loop that nearly all the time is spent in.
    #[inline(always)]
    fn steps<const V: usize, const N: usize>(
        self,
        zr: &mut [Self::V; V],
        zi: &mut [Self::V; V],
        c: &Complex<N>,
        block: u32,
    ) {
        let (c_re, c_im) = (c.re.as_chunks::<L>().0, c.im.as_chunks::<L>().0);
        for _ in 0..block {
            for v in 0..V {
                let product = self.mul(zr[v], zi[v]);
                let zr2 = self.mul(zr[v], zr[v]);
                let zi2 = self.mul(zi[v], zi[v]);
                zr[v] = self.add(self.sub(zr2, zi2), self.load(&c_re[v]));
                zi[v] = self.add(self.add(product, product), self.load(&c_im[v]));
            }
        }
    }
}

/// The loops as compiled for one instruction set, on `N` lanes.
pub(super) trait Kernel<const N: usize>: Copy {
    fn advance(
        self,
        z: &mut Complex<N>,
        saved: &mut Complex<N>,
        c: &Complex<N>,
        block: u32,
        blocks: u32,
    ) -> Advanced;
    fn repeats(self, a: &Complex<N>, b: &Complex<N>) -> u64;
    fn count(
        self,
        z: &mut Complex<BATCH>,
        c: &Complex<BATCH>,
        used: usize,
        limit: u32,
    ) -> [u64; BATCH];
    fn inside(self, c: &Complex<BATCH>) -> u64;
}

/// Bits of all lanes of one vector.
const fn full(lanes: usize) -> u64 {
    if lanes == 64 { u64::MAX } else { (1 << lanes) - 1 }
}

/// Up to `blocks` times `block` steps on all lanes, without a test inside a block.
///
/// Before each block `z` is copied to `saved`, which costs nothing: the store unit is idle
/// otherwise. After each block one test; the first block with an escape is the last one. Between
/// blocks `z` stays in registers.
#[inline(always)]
pub(super) fn advance<S: Simd<L>, const L: usize, const V: usize, const N: usize>(
    simd: S,
    z: &mut Complex<N>,
    saved: &mut Complex<N>,
    c: &Complex<N>,
    block: u32,
    blocks: u32,
) -> Advanced {
    const { assert!(L * V == N && N <= 64) };
    let (z_re, z_im) = (z.re.as_chunks_mut::<L>().0, z.im.as_chunks_mut::<L>().0);
    let (saved_re, saved_im) = (saved.re.as_chunks_mut::<L>().0, saved.im.as_chunks_mut::<L>().0);
    let four = simd.splat(4.0);
    let mut zr = [four; V];
    let mut zi = [four; V];
    for v in 0..V {
        zr[v] = simd.load(&z_re[v]);
        zi[v] = simd.load(&z_im[v]);
    }
    let mut done = 0;
    let mut alive = full(N);
    while done < blocks && alive == full(N) {
        for v in 0..V {
            simd.store(zr[v], &mut saved_re[v]);
            simd.store(zi[v], &mut saved_im[v]);
        }
        simd.steps(&mut zr, &mut zi, c, block);
        alive = 0;
        for v in 0..V {
            let norm = simd.add(simd.mul(zr[v], zr[v]), simd.mul(zi[v], zi[v]));
            alive |= simd.bits(simd.less(norm, four)) << (v * L);
        }
        done += 1;
    }
    for v in 0..V {
        simd.store(zr[v], &mut z_re[v]);
        simd.store(zi[v], &mut z_im[v]);
    }
    Advanced { blocks: done, escaped: !alive & full(N) }
}

/// The lanes on which `a` equals `b` as numbers.
#[inline(always)]
pub(super) fn repeats<S: Simd<L>, const L: usize, const N: usize>(
    simd: S,
    a: &Complex<N>,
    b: &Complex<N>,
) -> u64 {
    let (a_re, a_im) = (a.re.as_chunks::<L>().0, a.im.as_chunks::<L>().0);
    let (b_re, b_im) = (b.re.as_chunks::<L>().0, b.im.as_chunks::<L>().0);
    let mut same = 0;
    for v in 0..N / L {
        let re = simd.equal(simd.load(&a_re[v]), simd.load(&b_re[v]));
        let im = simd.equal(simd.load(&a_im[v]), simd.load(&b_im[v]));
        same |= simd.bits(simd.and(re, im)) << (v * L);
    }
    same
}

/// At most `limit` steps with a test before each one, on the first `used` points of a batch.
///
/// Returns how many steps each point took, `limit` where the test never fired, and leaves `z`
/// where it fired. A point that has escaped keeps its `z`, therefore keeps failing the test, and
/// needs no flag.
#[inline(always)]
pub(super) fn count<S: Simd<L>, const L: usize>(
    simd: S,
    z: &mut Complex<BATCH>,
    c: &Complex<BATCH>,
    used: usize,
    limit: u32,
) -> [u64; BATCH] {
    let mut counts = [0; BATCH];
    let (z_re, z_im) = (z.re.as_chunks_mut::<L>().0, z.im.as_chunks_mut::<L>().0);
    let (c_re, c_im) = (c.re.as_chunks::<L>().0, c.im.as_chunks::<L>().0);
    let taken = counts.as_chunks_mut::<L>().0;
    let four = simd.splat(4.0);
    for first in (0..used.div_ceil(L)).step_by(GROUP) {
        let mut zr = [four; GROUP];
        let mut zi = [four; GROUP];
        let mut steps = [simd.zero(); GROUP];
        for v in 0..GROUP {
            zr[v] = simd.load(&z_re[first + v]);
            zi[v] = simd.load(&z_im[first + v]);
        }
        for _ in 0..limit {
            let mut any = simd.less(four, four);
            for v in 0..GROUP {
                let zr2 = simd.mul(zr[v], zr[v]);
                let zi2 = simd.mul(zi[v], zi[v]);
                let product = simd.mul(zr[v], zi[v]);
                let alive = simd.less(simd.add(zr2, zi2), four);
                let re = simd.add(simd.sub(zr2, zi2), simd.load(&c_re[first + v]));
                let im = simd.add(simd.add(product, product), simd.load(&c_im[first + v]));
                zr[v] = simd.select(alive, re, zr[v]);
                zi[v] = simd.select(alive, im, zi[v]);
                steps[v] = simd.tally(steps[v], alive);
                any = simd.or(any, alive);
            }
            if simd.bits(any) == 0 {
                break;
            }
        }
        for v in 0..GROUP {
            simd.store(zr[v], &mut z_re[first + v]);
            simd.store(zi[v], &mut z_im[first + v]);
            simd.store_counts(steps[v], &mut taken[first + v]);
        }
    }
    counts
}

/// The points of a batch that lie in the main cardioid or the period-2 disc, safely.
///
/// The usual closed tests are applied to the point pushed outward by 1e-6 of its distance from the
/// centre, 0 for the cardioid and -1 for the disc. Both regions are star-shaped about these, so a
/// point that passes lies inside, and its multiplier (that of the attracting cycle) is below
/// 1 - 1e-6 or so in modulus; at the cusp, where the push runs along the boundary, it is below
/// 1 - 1e-3. Rounding shakes an orbit by less than 1e-15 a step, which accumulates to less than
/// 1e-15 / 1e-6 = 1e-9, while the nearest repelling point is at least about sqrt(1e-6) = 1e-3 away
/// even at the necks. So no rounded orbit of a skipped point escapes.
#[inline(always)]
pub(super) fn inside<S: Simd<L>, const L: usize>(simd: S, c: &Complex<BATCH>) -> u64 {
    const PUSH: f64 = 1.0 + 1e-6;
    let (c_re, c_im) = (c.re.as_chunks::<L>().0, c.im.as_chunks::<L>().0);
    let push = simd.splat(PUSH);
    let quarter = simd.splat(0.25);
    let one = simd.splat(1.0);
    let disc_norm = simd.splat(0.0625 / (PUSH * PUSH));
    let mut mask = 0;
    for v in 0..BATCH / L {
        let (re, im) = (simd.load(&c_re[v]), simd.load(&c_im[v]));
        let im2 = simd.mul(im, im);
        let left = simd.add(re, one);
        let disc = simd.less(simd.add(simd.mul(left, left), im2), disc_norm);
        let (x, y) = (simd.sub(simd.mul(re, push), quarter), simd.mul(im, push));
        let y2 = simd.mul(y, y);
        let q = simd.add(simd.mul(x, x), y2);
        let cardioid = simd.less(simd.mul(q, simd.add(q, x)), simd.mul(quarter, y2));
        mask |= simd.bits(simd.or(disc, cardioid)) << (v * L);
    }
    mask
}
