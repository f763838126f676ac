//! Progress on stderr, from rank 0: a bar on a terminal, whole lines at most every 10 s in a log.

use std::cell::{Cell, RefCell};
use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use crate::num::to_f64;

/// A batch log gets a line at most this often.
const LINE_EVERY: Duration = Duration::from_secs(10);

/// Where progress goes.
pub struct Progress {
    sink: Sink,
    total: Cell<u64>,
}

enum Sink {
    /// Not rank 0.
    Silent,
    /// Only what the user must not miss.
    Quiet,
    Bar(ProgressBar),
    Lines {
        job: &'static str,
        last: RefCell<Instant>,
    },
}

impl Progress {
    /// `speaks` on rank 0; `quiet` when the user wants no progress.
    pub fn new(job: &'static str, speaks: bool, quiet: bool) -> Self {
        let sink = if !speaks {
            Sink::Silent
        } else if quiet {
            Sink::Quiet
        } else if std::io::stderr().is_terminal() {
            let style = ProgressStyle::with_template("{msg} [{bar:40}] {percent:>3} % {eta}")
                .expect("a fixed template")
                .progress_chars("=> ");
            Sink::Bar(ProgressBar::new(0).with_style(style).with_message(job))
        } else {
            Sink::Lines { job, last: RefCell::new(Instant::now()) }
        };
        Self { sink, total: Cell::new(0) }
    }

    /// Sets the amount of work, in units of the caller's choice.
    pub fn total(&self, units: u64) {
        self.total.set(units);
        if let Sink::Bar(bar) = &self.sink {
            bar.set_length(units);
        }
    }

    /// Tells how much is done. Cheap enough for every draw of work.
    pub fn at(&self, done: u64) {
        match &self.sink {
            Sink::Silent | Sink::Quiet => {}
            Sink::Bar(bar) => bar.set_position(done),
            Sink::Lines { job, last } => {
                if last.borrow().elapsed() >= LINE_EVERY {
                    *last.borrow_mut() = Instant::now();
                    let percent = 100.0 * to_f64(done) / to_f64(self.total.get().max(1));
                    writeln!(std::io::stderr(), "dcomp {job}: {percent:.1} % done").ok();
                }
            }
        }
    }

    /// Tells how many are done where nobody knows of how many.
    pub fn count(&self, done: u64, things: &str) {
        match &self.sink {
            Sink::Silent | Sink::Quiet => {}
            Sink::Bar(bar) => {
                bar.set_style(ProgressStyle::with_template("{msg}").expect("a fixed template"));
                bar.set_message(format!("{done} {things}"));
                bar.tick();
            }
            Sink::Lines { job, last } => {
                if last.borrow().elapsed() >= LINE_EVERY {
                    *last.borrow_mut() = Instant::now();
                    writeln!(std::io::stderr(), "dcomp {job}: {done} {things} done").ok();
                }
            }
        }
    }

    /// A line for the log, unless the user wants quiet.
    pub fn say(&self, line: &str) {
        match &self.sink {
            Sink::Silent | Sink::Quiet => {}
            Sink::Bar(_) | Sink::Lines { .. } => self.warn(line),
        }
    }

    /// A line for the log that the user must not miss.
    pub fn warn(&self, line: &str) {
        match &self.sink {
            Sink::Silent => {}
            Sink::Bar(bar) => bar.println(format!("dcomp: {line}")),
            Sink::Quiet | Sink::Lines { .. } => {
                writeln!(std::io::stderr(), "dcomp: {line}").ok();
            }
        }
    }

    /// Takes the bar away, so that what is printed next stands alone.
    pub fn finish(&self) {
        if let Sink::Bar(bar) = &self.sink {
            bar.finish_and_clear();
        }
    }
}
