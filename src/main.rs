//! Start, parse, dispatch, exit code.

use std::process::ExitCode;

use clap::Parser;
use dcomp::cli::Cli;
use dcomp::comm::launcher;
use dcomp::measure::Meter;
use dcomp::start;

fn main() -> ExitCode {
    let meter = Meter::start();
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Every rank finds the same; one tells it.
            let code = u8::try_from(error.exit_code()).unwrap_or(2);
            if launcher::told_rank() == 0 {
                error.print().ok();
            } else {
                start::wait_for_root_to_tell(code);
            }
            return ExitCode::from(code);
        }
    };
    ExitCode::from(start::start(cli, meter))
}
