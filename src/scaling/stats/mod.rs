//! Statistics of repeated measurements: order statistics, bootstrap intervals, two-sample tests.
//!
//! No normality is assumed anywhere; the price is that small samples say little, and say so.

mod bootstrap;
mod compare;
mod order;

pub use bootstrap::{Bootstrap, Interval, Method, bootstrap};
pub use compare::{Comparison, MannWhitney, compare, hodges_lehmann, mann_whitney};
pub use order::{MedianInterval, median, median_interval, outliers, quantile};

#[cfg(test)]
mod tests;
