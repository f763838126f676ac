//! Sorts a few vectors of keys in registers, by a sorting network.
//!
//! The keys fill `R` rows of `N` lanes. First each column is sorted by exchanges between rows. Then
//! neighbouring columns are merged bitonically until one sequence runs down all columns, which at
//! last is transposed. So most exchanges are between rows, where they need no shuffle. The path
//! does not depend on the keys. What that costs: up to half of the rows hold padding, because `R`
//! is a power of two.
#![allow(
    clippy::inline_always,
    reason = "without it the operations are compiled without the features"
)]

use super::simd::{Number, Simd};

/// Sorts up to [`Simd::ROWS`]` * N` keys.
#[inline(always)]
pub(super) fn sort<K: Number, S: Simd<K, N>, const N: usize>(simd: S, keys: &mut [K]) {
    match keys.len().div_ceil(N) {
        0 => {}
        1 => sort_rows::<K, S, N, 1>(simd, keys),
        2 => sort_rows::<K, S, N, 2>(simd, keys),
        3..=4 => sort_rows::<K, S, N, 4>(simd, keys),
        5..=8 => sort_rows::<K, S, N, 8>(simd, keys),
        9..=16 if S::ROWS == 16 => sort_rows::<K, S, N, 16>(simd, keys),
        _ => unreachable!("more keys than registers"),
    }
}

/// Sorts more than `R / 2 * N` keys, up to `R * N`.
#[inline(always)]
fn sort_rows<K: Number, S: Simd<K, N>, const N: usize, const R: usize>(simd: S, keys: &mut [K]) {
    let padding = simd.splat(K::MAX);
    let mut v = [padding; R];
    // Where no keys are left, the rest still lies in mapped memory: a masked access elsewhere is
    // legal, but the processor takes an assist of a hundred cycles to find that out.
    let count = keys.len();
    for (row, v) in v.iter_mut().enumerate() {
        *v = simd.load_some(&keys[count.min(row * N)..], padding);
    }
    sort_columns(simd, &mut v);
    merge_columns(simd, &mut v);
    transpose(simd, &mut v);
    for (row, v) in v.into_iter().enumerate() {
        simd.store_some(v, &mut keys[count.min(row * N)..]);
    }
}

#[inline(always)]
fn exchange<K, S: Simd<K, N>, const N: usize>(simd: S, v: &mut [S::V], above: usize, below: usize) {
    (v[above], v[below]) = simd.order(v[above], v[below]);
}

/// A text of exchanges, so that no index is left to the running program.
macro_rules! exchanges {
    ($simd:ident, $v:ident: $(($above:literal, $below:literal))+) => {{
        $(exchange($simd, $v, $above, $below);)+
    }};
}

/// Sorts each column. The networks have the fewest exchanges known: Knuth, The Art of Computer
/// Programming 3, 5.3.4; the one for 16 rows has Green's 60 in ten parallel steps.
#[inline(always)]
fn sort_columns<K, S: Simd<K, N>, const N: usize, const R: usize>(simd: S, v: &mut [S::V; R]) {
    match R {
        1 => {}
        2 => exchanges!(simd, v: (0, 1)),
        4 => exchanges!(simd, v: (0, 1) (2, 3) (0, 2) (1, 3) (1, 2)),
        8 => exchanges!(simd, v:
            (0, 2) (1, 3) (4, 6) (5, 7)
            (0, 4) (1, 5) (2, 6) (3, 7)
            (0, 1) (2, 3) (4, 5) (6, 7)
            (2, 4) (3, 5)
            (1, 4) (3, 6)
            (1, 2) (3, 4) (5, 6)
        ),
        16 => exchanges!(simd, v:
            (0, 13) (1, 12) (2, 15) (3, 14) (4, 8) (5, 6) (7, 11) (9, 10)
            (0, 5) (1, 7) (2, 9) (3, 4) (6, 13) (8, 14) (10, 15) (11, 12)
            (0, 1) (2, 3) (4, 5) (6, 8) (7, 9) (10, 11) (12, 13) (14, 15)
            (0, 2) (1, 3) (4, 10) (5, 11) (6, 7) (8, 9) (12, 14) (13, 15)
            (1, 2) (3, 12) (4, 6) (5, 7) (8, 10) (9, 11) (13, 14)
            (1, 4) (2, 6) (5, 8) (7, 10) (9, 13) (11, 14)
            (2, 4) (3, 6) (9, 12) (11, 13)
            (3, 5) (6, 8) (7, 9) (10, 12)
            (3, 4) (5, 6) (7, 8) (9, 10) (11, 12)
            (6, 7) (8, 9)
        ),
        _ => unreachable!("a power of two up to 16"),
    }
}

/// Makes the sorted columns one sequence, from the top of the first to the foot of the last.
#[inline(always)]
fn merge_columns<K, S: Simd<K, N>, const N: usize, const R: usize>(simd: S, v: &mut [S::V; R]) {
    if N >= 2 {
        fold::<K, S, N, R, 1, 1>(simd, v);
        merge_down(simd, v);
    }
    if N >= 4 {
        fold::<K, S, N, R, 3, 2>(simd, v);
        across::<K, S, N, R, 1>(simd, v);
        merge_down(simd, v);
    }
    if N >= 8 {
        fold::<K, S, N, R, 7, 4>(simd, v);
        across::<K, S, N, R, 2>(simd, v);
        across::<K, S, N, R, 1>(simd, v);
        merge_down(simd, v);
    }
    if N >= 16 {
        fold::<K, S, N, R, 15, 8>(simd, v);
        across::<K, S, N, R, 4>(simd, v);
        across::<K, S, N, R, 2>(simd, v);
        across::<K, S, N, R, 1>(simd, v);
        merge_down(simd, v);
    }
}

/// The first step of a merge: the first key of a run against the last of the next run, and so on
/// towards each other. `X` mirrors the columns of both runs, `BIT` tells those of the second.
#[inline(always)]
fn fold<K, S, const N: usize, const R: usize, const X: usize, const BIT: usize>(
    simd: S,
    v: &mut [S::V; R],
) where
    S: Simd<K, N>,
{
    if R == 1 {
        let (low, high) = simd.order(v[0], simd.flip::<X>(v[0]));
        v[0] = simd.pick::<BIT>(low, high);
    }
    for row in 0..R / 2 {
        let mirror = R - 1 - row;
        let (low, high) = simd.order(v[row], simd.flip::<X>(v[mirror]));
        v[row] = simd.pick::<BIT>(low, high);
        v[mirror] = simd.flip::<X>(simd.pick::<BIT>(high, low));
    }
}

/// A step of a bitonic merge between columns whose numbers differ in `BIT`.
#[inline(always)]
fn across<K, S, const N: usize, const R: usize, const BIT: usize>(simd: S, v: &mut [S::V; R])
where
    S: Simd<K, N>,
{
    for v in v {
        let (low, high) = simd.order(*v, simd.flip::<BIT>(*v));
        *v = simd.pick::<BIT>(low, high);
    }
}

/// The last steps of a bitonic merge, within the columns.
#[inline(always)]
fn merge_down<K, S: Simd<K, N>, const N: usize, const R: usize>(simd: S, v: &mut [S::V; R]) {
    down::<K, S, N, R, 8>(simd, v);
    down::<K, S, N, R, 4>(simd, v);
    down::<K, S, N, R, 2>(simd, v);
    down::<K, S, N, R, 1>(simd, v);
}

/// A step of a bitonic merge between rows whose numbers differ in `BIT`.
#[inline(always)]
fn down<K, S, const N: usize, const R: usize, const BIT: usize>(simd: S, v: &mut [S::V; R])
where
    S: Simd<K, N>,
{
    for row in 0..R {
        if row & BIT == 0 && row + BIT < R {
            exchange(simd, v, row, row + BIT);
        }
    }
}

/// Turns the sequence down the columns into one along the rows.
///
/// The place of a key is a number of bits: row, then lane. To swap row and lane is to rotate these
/// bits, which zipping does by one to the left, unzipping by one to the right.
#[inline(always)]
fn transpose<K, S: Simd<K, N>, const N: usize, const R: usize>(simd: S, v: &mut [S::V; R]) {
    let half = R / 2;
    if R <= N {
        for _ in 0..R.trailing_zeros() {
            let old = *v;
            for row in 0..half {
                (v[2 * row], v[2 * row + 1]) = simd.zip(old[row], old[row + half]);
            }
        }
    } else {
        for _ in 0..N.trailing_zeros() {
            let old = *v;
            for row in 0..half {
                (v[row], v[row + half]) = simd.unzip(old[2 * row], old[2 * row + 1]);
            }
        }
    }
}
