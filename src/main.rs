//! Start, parse, dispatch, exit code.

use std::process::ExitCode;

use dcomp::measure::Meter;
use dcomp::start;

fn main() -> ExitCode {
    let meter = Meter::start();
    ExitCode::from(start::start_words(std::env::args_os(), meter))
}
