//! What the two x86 vector kernels share: the token, the instantiated loops, the block's steps.
//!
//! The steps are assembly text, the same for both register widths. From intrinsics the compiler
//! makes 12.3 cycles of six vectors (Zen 3: 0.98 of the plain limit), but needs temporaries that a
//! seventh vector has no register for. Written out, a step of a vector needs one temporary, so
//! seven vectors fill the 16 registers exactly, hide their own latency of nine cycles, and reach
//! 1.08 of the plain limit: 13.0 cycles, 12.0 being the bound. `c` is read from memory; the load
//! units have the time. The cost: these few lines are checked by tests only, not by the compiler.
//!
//! Zen multiplies on two pipes and adds on two others. A step is 3 multiplications and 4 additions,
//! 2.0 cycles a vector, with the multipliers idle for a quarter of the time. `2t + ci` as one fused
//! operation has the same bits, because doubling is exact, and makes it 4 and 2. Three vectors of
//! seven in that form are the best mix: with 1, 2, 3, 4 and 7 of 7 fused the rates
//! are 1.02, 1.06, 1.08, 1.07 and 0.99 of the plain limit.

/// Defines the token `$token`, obtainable only where the CPU has the features, and its [`Kernel`]
/// on `$vectors` vectors of `$lanes`.
///
/// [`Kernel`]: super::simd::Kernel
macro_rules! x86_kernel {
    ($token:ident, $lanes:literal, $vectors:literal, $features:literal, [$($feature:tt),+]) => {
        const LANES: usize = $lanes;
        const VECTORS: usize = $vectors;
        /// Lanes in flight.
        pub(super) const WIDTH: usize = LANES * VECTORS;

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

        #[target_feature(enable = $features)]
        fn advance(
            simd: $token,
            z: &mut Complex<WIDTH>,
            saved: &mut Complex<WIDTH>,
            c: &Complex<WIDTH>,
            block: u32,
            blocks: u32,
        ) -> Advanced {
            simd::advance::<$token, LANES, VECTORS, WIDTH>(simd, z, saved, c, block, blocks)
        }

        #[target_feature(enable = $features)]
        fn repeats(simd: $token, a: &Complex<WIDTH>, b: &Complex<WIDTH>) -> u64 {
            simd::repeats(simd, a, b)
        }

        #[target_feature(enable = $features)]
        fn count(
            simd: $token,
            z: &mut Complex<BATCH>,
            c: &Complex<BATCH>,
            used: usize,
            limit: u32,
        ) -> [u64; BATCH] {
            simd::count(simd, z, c, used, limit)
        }

        #[target_feature(enable = $features)]
        fn inside(simd: $token, c: &Complex<BATCH>) -> u64 {
            simd::inside(simd, c)
        }

        #[target_feature(enable = $features)]
        fn rate(simd: $token, mix: Mix, passes: u64) {
            limit::run(simd, mix, passes);
        }

        impl $token {
            /// The limit's arithmetic, see [`limit`].
            pub(super) fn rate(self, mix: Mix, passes: u64) -> u64 {
                // SAFETY: the token proves that the CPU has the features.
                unsafe { rate(self, mix, passes) };
                passes * limit::vectors_per_pass(mix) * num::to_u64(LANES)
            }
        }

        impl Kernel<WIDTH> for $token {
            #[inline]
            fn advance(
                self,
                z: &mut Complex<WIDTH>,
                saved: &mut Complex<WIDTH>,
                c: &Complex<WIDTH>,
                block: u32,
                blocks: u32,
            ) -> Advanced {
                // SAFETY: the token proves that the CPU has the features.
                unsafe { advance(self, z, saved, c, block, blocks) }
            }
            #[inline]
            fn repeats(self, a: &Complex<WIDTH>, b: &Complex<WIDTH>) -> u64 {
                // SAFETY: the token proves that the CPU has the features.
                unsafe { repeats(self, a, b) }
            }
            #[inline]
            fn count(
                self,
                z: &mut Complex<BATCH>,
                c: &Complex<BATCH>,
                used: usize,
                limit: u32,
            ) -> [u64; BATCH] {
                // SAFETY: the token proves that the CPU has the features.
                unsafe { count(self, z, c, used, limit) }
            }
            #[inline]
            fn inside(self, c: &Complex<BATCH>) -> u64 {
                // SAFETY: the token proves that the CPU has the features.
                unsafe { inside(self, c) }
            }
        }
    };
}

/// One step of one vector as assembly text; `t` is the only register beside `z`.
macro_rules! step_text {
    ($v:literal plain) => {
        concat!(
            "vmulpd {t}, {i",
            $v,
            "}, {i",
            $v,
            "}\n",
            "vmulpd {i",
            $v,
            "}, {i",
            $v,
            "}, {r",
            $v,
            "}\n",
            "vmulpd {r",
            $v,
            "}, {r",
            $v,
            "}, {r",
            $v,
            "}\n",
            "vaddpd {i",
            $v,
            "}, {i",
            $v,
            "}, {i",
            $v,
            "}\n",
            "vsubpd {r",
            $v,
            "}, {r",
            $v,
            "}, {t}\n",
            "vaddpd {i",
            $v,
            "}, {i",
            $v,
            "}, [{im} + ",
            $v,
            "*{bytes}]\n",
            "vaddpd {r",
            $v,
            "}, {r",
            $v,
            "}, [{re} + ",
            $v,
            "*{bytes}]",
        )
    };
    ($v:literal fused) => {
        concat!(
            "vmulpd {t}, {i",
            $v,
            "}, {i",
            $v,
            "}\n",
            "vmulpd {i",
            $v,
            "}, {i",
            $v,
            "}, {r",
            $v,
            "}\n",
            "vmulpd {r",
            $v,
            "}, {r",
            $v,
            "}, {r",
            $v,
            "}\n",
            "vfmadd213pd {i",
            $v,
            "}, {two}, [{im} + ",
            $v,
            "*{bytes}]\n",
            "vsubpd {r",
            $v,
            "}, {r",
            $v,
            "}, {t}\n",
            "vaddpd {r",
            $v,
            "}, {r",
            $v,
            "}, [{re} + ",
            $v,
            "*{bytes}]",
        )
    };
}

/// `block` steps of all vectors in registers, from the list of vectors and their forms.
macro_rules! steps_function {
    (
        $vector:ty, $class:ident, $features:literal, $count:literal,
        [$(($v:literal $index:literal $form:ident $r:ident $i:ident)),+]
    ) => {
        #[target_feature(enable = $features)]
        #[inline]
        fn steps<const V: usize, const N: usize>(
            zr: &mut [$vector; V],
            zi: &mut [$vector; V],
            two: $vector,
            c: &Complex<N>,
            block: u32,
        ) {
            const { assert!(V == $count && N == V * LANES) };
            if block == 0 {
                return;
            }
            // SAFETY: the text reads `N` numbers behind either pointer, which the arrays hold,
            // writes no memory, uses no stack and changes only operands and flags.
            unsafe {
                std::arch::asm!(
                    ".p2align 5",
                    "2:",
                    $(step_text!($v $form),)+
                    "dec {n:e}",
                    "jnz 2b",
                    $($r = inout($class) zr[$index], $i = inout($class) zi[$index],)+
                    t = out($class) _,
                    two = in($class) two,
                    re = in(reg) c.re.as_ptr(),
                    im = in(reg) c.im.as_ptr(),
                    n = inout(reg) block => _,
                    bytes = const 8 * LANES,
                    options(nostack, readonly)
                );
            }
        }
    };
}

/// The function `steps` of one register class: seven vectors, three of them fused.
macro_rules! block_steps {
    ($vector:ty, $class:ident, $features:literal) => {
        steps_function!(
            $vector, $class, $features, 7,
            [
                (0 0 plain r0 i0),
                (1 1 fused r1 i1),
                (2 2 plain r2 i2),
                (3 3 fused r3 i3),
                (4 4 plain r4 i4),
                (5 5 fused r5 i5),
                (6 6 plain r6 i6)
            ]
        );
    };
}
pub(super) use {block_steps, step_text, steps_function, x86_kernel};
