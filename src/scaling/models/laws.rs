//! The laws of scaling as closed forms, without any fit.
//!
//! A baseline of more than one rank costs a line of algebra and is allowed everywhere, so that the
//! fractions always mean the share of the one-rank run, measured or not.

/// Amdahl's speedup over one rank: 1 / (s + (1 - s) / p) (Amdahl, AFIPS 1967).
pub fn amdahl_speedup(serial_fraction: f64, p: f64) -> f64 {
    1.0 / (serial_fraction + (1.0 - serial_fraction) / p)
}

/// Gustafson's scaled speedup over one rank: p - s (p - 1) (Gustafson, CACM 31, 1988).
pub fn gustafson_speedup(serial_fraction: f64, p: f64) -> f64 {
    p - serial_fraction * (p - 1.0)
}

/// The serial fraction at which [`gustafson_speedup`] at `p` over that at `base` is `speedup`:
/// (p - S b) / (p - 1 - S (b - 1)), with b = 1 Gustafson's own (p - S) / (p - 1). The speedup is
/// scaled: work done per second at `p` over that at `base`. `None` when p = b or nothing solves it.
pub fn gustafson_serial_fraction(base: f64, p: f64, speedup: f64) -> Option<f64> {
    let parts = p - 1.0 - speedup * (base - 1.0);
    let fraction = (p - speedup * base) / parts;
    (sane(base, p, speedup) && parts > 0.0 && fraction.is_finite()).then_some(fraction)
}

/// The experimentally determined serial fraction of Karp & Flatt (CACM 33, 1990) from the speedup
/// S = T(b) / T(p) over `base` ranks: (p / S - b) / (b (p - 1) - (b - 1) p / S), with b = 1 their
/// own (1 / S - 1 / p) / (1 - 1 / p).
///
/// It is the fraction of the time of one rank, as in a fit of Amdahl's law, and equals the one of
/// the law through both points; a time share of the baseline would grow with b. Negative where the
/// speedup is above p / b. `None` when p = b, or when the law through both points has no positive
/// time for one rank.
pub fn karp_flatt(base: f64, p: f64, speedup: f64) -> Option<f64> {
    let cost = p / speedup; // ranks times time, where the baseline's time is 1
    let whole = base * (p - 1.0) - (base - 1.0) * cost;
    let fraction = (cost - base) / whole;
    (sane(base, p, speedup) && whole > 0.0 && fraction.is_finite()).then_some(fraction)
}

/// At least one rank each, the baseline below, a positive speedup.
fn sane(base: f64, p: f64, speedup: f64) -> bool {
    base >= 1.0 && p > base && speedup > 0.0 && speedup.is_finite()
}
