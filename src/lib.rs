//! dcomp: one SPMD program for MPI clusters. The library behind the binary.
//!
//! Layers, imports only downward: `cli` · [`job`] · the jobs · [`comm`], [`store`], [`measure`] ·
//! [`partition`], [`deck`] and kernels, which know no ranks, no files and no clock.
//! ARCHITECTURE.md tells why.

pub mod cli;
pub mod comm;
pub mod context;
pub mod counter_sort;
pub mod deck;
pub mod error;
pub mod fault;
pub mod generate;
pub mod heap;
pub mod job;
pub mod mandelbrot;
pub mod measure;
pub mod mergesort;
pub mod num;
pub mod partition;
pub mod scaling;
pub mod start;
pub mod stop;
pub mod store;
pub mod threads;
pub mod units;
pub mod verify;
