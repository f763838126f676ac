//! Scaling studies: run a series, fit its models, write a report that one can hand in; for jobs of
//! dcomp and for any other command.
//!
//! `study`, `expand`, `input`, `analysis`, `stats`, `models`, `figures`, `pages`, `export`, `compare` and
//! `scripts` are pure; `runner`, `sources` and `folder` touch processes and files. None of it talks to MPI.

pub mod analysis;
pub mod compare;
pub mod expand;
pub mod export;
pub mod figures;
pub mod folder;
pub mod input;
pub mod models;
pub mod pages;
pub mod render;
pub mod report;
pub mod runner;
pub mod sample;
pub mod scripts;
pub mod sources;
pub mod stats;
pub mod study;
pub mod text_table;
