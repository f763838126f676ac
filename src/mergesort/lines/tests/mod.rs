//! Tests of lines: against sort(1), against the standard library, and by hand.

mod agreement;
mod awkward;
mod gnu;
mod refusals;
mod splitting;
