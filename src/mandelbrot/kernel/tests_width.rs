//! The driver at widths that this machine may have no instructions for.
//!
//! The driver, the masks and the refilling see only the number of lanes. Portable vectors in other
//! numbers therefore run the same code with 56 lanes, as AVX-512 does, with 64, where the masks
//! are full, and with 2.

use super::portable::Portable;
use super::simd::{self, Advanced, BATCH, Complex, Kernel};
use super::{Lattice, Skips, Window, lanes, reference};

#[derive(Clone, Copy)]
struct Wide<const VECTORS: usize>;

impl<const VECTORS: usize, const N: usize> Kernel<N> for Wide<VECTORS> {
    fn advance(
        self,
        z: &mut Complex<N>,
        saved: &mut Complex<N>,
        c: &Complex<N>,
        block: u32,
        blocks: u32,
    ) -> Advanced {
        simd::advance::<_, 2, VECTORS, N>(Portable, z, saved, c, block, blocks)
    }
    fn repeats(self, a: &Complex<N>, b: &Complex<N>) -> u64 {
        simd::repeats(Portable, a, b)
    }
    fn count(
        self,
        z: &mut Complex<BATCH>,
        c: &Complex<BATCH>,
        used: usize,
        limit: u32,
    ) -> [u64; BATCH] {
        simd::count(Portable, z, c, used, limit)
    }
    fn inside(self, c: &Complex<BATCH>) -> u64 {
        simd::inside(Portable, c)
    }
}

fn agrees<const VECTORS: usize, const N: usize>() {
    let lattice = Lattice { re0: -2.5, re_step: 3.5 / 160.0, im0: -1.0, im_step: 2.0 / 120.0 };
    for rows in [1, 3, 120] {
        let window = Window::whole(160, rows);
        let points = || window.points(lattice);
        let expected: Vec<_> = points().map(|(re, im)| reference::escape(re, im, 2000)).collect();
        for skips in [Skips::NONE, Skips::ALL] {
            let mut seen = 0;
            lanes::iterate::<N, _>(Wide::<VECTORS>, points(), 2000, skips, |index, pixel| {
                assert_eq!(pixel.steps, expected[index].steps, "{N} lanes: {pixel:?}");
                seen += 1;
            });
            assert_eq!(seen, expected.len());
        }
    }
}

#[test]
fn any_width_agrees() {
    agrees::<1, 2>();
    agrees::<28, 56>();
    agrees::<32, 64>();
}
