//! When work should come to a break: somebody asked it to stop, its time is up, or a checkpoint is due.
//!
//! Signals and clocks set one flag that any thread reads between two pieces of work; what the break is for
//! is agreed by all ranks afterwards ([`Breaks::agreed`]), so no clock and no signal has to reach all ranks
//! at the same moment. A rank that alone got a signal tells the others by a message that they look for
//! between pieces. Costs one thread a rank that sleeps, and only in runs that write checkpoints.

use std::cell::Cell;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, LazyLock, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGUSR1};

use crate::comm::{Comm, Op};
use crate::error::{Error, Result};
use crate::num::to_u64;

/// Work should come to a break.
static WANTED: AtomicBool = AtomicBool::new(false);

/// The signal that asked the run to stop; 0 for none.
static SIGNAL: AtomicI32 = AtomicI32::new(0);

/// The run's time is up.
static TIME_UP: AtomicBool = AtomicBool::new(false);

/// What a signal does.
static HEEDS: AtomicU8 = AtomicU8::new(ENDS);
const UNDECIDED: u8 = 0;
const ENDS: u8 = 1;
const STOPS: u8 = 2;

/// A signal waits so long for the parameters to be known, which say what it does.
const UNDECIDED_FOR: Duration = Duration::from_secs(2);

/// A second interrupt after this ends the process at once: whoever sends it wants no checkpoint.
const IMPATIENT_AFTER: Duration = Duration::from_millis(500);

/// Before the end of a Slurm job so much is kept for the checkpoint, or half of the job's time if less.
const SLURM_RESERVE: Duration = Duration::from_secs(30);

/// For tests: pieces of work that this rank still does before it is asked to stop; 0 for no such wish.
static PIECES_LEFT: AtomicU64 = AtomicU64::new(0);

/// A piece of work begins. From any thread, for the price of reading a number; where a test said
/// `DCOMP_STOP_AFTER_PIECES=N`, the Nth one acts as SIGUSR1.
pub fn count_piece() {
    if PIECES_LEFT.load(Ordering::Relaxed) == 0 {
        return;
    }
    let one_less = |left: u64| left.checked_sub(1);
    if PIECES_LEFT.fetch_update(Ordering::SeqCst, Ordering::SeqCst, one_less) == Ok(1) {
        take(SIGUSR1);
    }
}

/// Whether work should come to a break. From any thread, for the price of reading a flag.
pub fn wanted() -> bool {
    WANTED.load(Ordering::Relaxed)
}

/// Whether the run is to end now: a signal asked for it, or its time is up. For work that cannot be taken up
/// where it was left, and so takes no break for a checkpoint.
pub fn must_end() -> bool {
    count_look();
    asked() || TIME_UP.load(Ordering::Relaxed)
}

/// Between two pieces of work that is given up when the run is to end: the error, with what was being done.
///
/// # Errors
/// When the run is to end.
pub fn heed(doing: &str) -> Result<()> {
    if must_end() { Err(Error::stopped(format!("asked to stop while {doing}"))) } else { Ok(()) }
}

/// `DCOMP_STOP_AFTER=N` asks to stop at this process's Nth look, so that tests stop at every one there is.
fn count_look() {
    static LOOKS: AtomicU64 = AtomicU64::new(0);
    static LAST: LazyLock<Option<u64>> =
        LazyLock::new(|| std::env::var("DCOMP_STOP_AFTER").ok()?.parse().ok());
    if let Some(last) = *LAST
        && HEEDS.load(Ordering::SeqCst) == STOPS
        && LOOKS.fetch_add(1, Ordering::SeqCst) + 1 == last
    {
        SIGNAL.store(SIGTERM, Ordering::SeqCst);
        WANTED.store(true, Ordering::SeqCst);
    }
}

fn asked() -> bool {
    SIGNAL.load(Ordering::Relaxed) != 0
}

/// A signal waits a moment for [`decide`]: the parameters are about to be read.
pub fn undecided() {
    HEEDS.store(UNDECIDED, Ordering::SeqCst);
}

/// From now on a signal ends the process, or only asks it to stop.
pub fn decide(stops: bool) {
    HEEDS.store(if stops { STOPS } else { ENDS }, Ordering::SeqCst);
}

/// For the thread that waits for signals: takes one; whether the run stops by itself.
pub(crate) fn take(signal: i32) -> bool {
    static FIRST: Mutex<Option<Instant>> = Mutex::new(None);
    let start = Instant::now();
    while HEEDS.load(Ordering::SeqCst) == UNDECIDED && start.elapsed() < UNDECIDED_FOR {
        std::thread::sleep(Duration::from_millis(5));
    }
    if HEEDS.load(Ordering::SeqCst) != STOPS {
        return false;
    }
    let mut first = FIRST.lock().unwrap_or_else(PoisonError::into_inner);
    let before = *first.get_or_insert(start);
    if signal == SIGINT && before.elapsed() > IMPATIENT_AFTER {
        return false;
    }
    SIGNAL.compare_exchange(0, signal, Ordering::SeqCst, Ordering::SeqCst).ok();
    WANTED.store(true, Ordering::SeqCst);
    true
}

/// What all ranks do next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wish {
    /// Go on.
    GoOn,
    /// Write a checkpoint and go on.
    Save,
    /// Write a checkpoint and end, for this reason.
    Stop(String),
}

/// Codes on the wire: the greatest of all ranks counts.
const SAVE: u64 = 1;
const MAX_TIME: u64 = 2;
const SLURM_END: u64 = 3;
const TOLD: u64 = 4;
const SIGNALLED: u64 = 16;

/// The moments of a run at which it comes to a break.
pub struct Breaks {
    every: Duration,
    stop_at: Option<(Instant, u64)>,
    save_at: Cell<Instant>,
    bell: Bell,
    told: Cell<bool>,
}

impl Breaks {
    /// Collective in that all ranks make one. The run began `elapsed` ago and may take `max_time`.
    pub fn new(every: Duration, max_time: Option<Duration>, elapsed: Duration) -> Self {
        let pieces =
            std::env::var("DCOMP_STOP_AFTER_PIECES").ok().and_then(|text| text.parse().ok());
        PIECES_LEFT.store(pieces.unwrap_or(0), Ordering::SeqCst);
        let now = Instant::now();
        let by_time = max_time.map(|most| (now + most.saturating_sub(elapsed), MAX_TIME));
        let by_slurm = slurm_left().map(|left| {
            let reserve = SLURM_RESERVE.min(left / 2);
            (now + left.saturating_sub(reserve), SLURM_END)
        });
        let stop_at = by_time.into_iter().chain(by_slurm).min();
        let bell = Bell::new();
        let breaks =
            Self { every, stop_at, save_at: Cell::new(now + every), bell, told: Cell::new(false) };
        breaks.wind();
        breaks
    }

    /// The time between two checkpoints that was asked for.
    pub fn every(&self) -> Duration {
        self.every
    }

    /// Local, on the main thread, between two pieces of work: passes on to the other ranks that this one
    /// was asked to stop, and looks whether one of them was.
    pub fn look(&self, comm: &Comm) {
        if asked() && !self.told.replace(true) {
            comm.tell_stop();
        } else if !self.told.get() && comm.was_told_stop() {
            self.told.set(true);
            SIGNAL.compare_exchange(0, -1, Ordering::SeqCst, Ordering::SeqCst).ok();
            WANTED.store(true, Ordering::SeqCst);
        }
    }

    /// Collective. What is to be done now.
    pub fn agreed(&self, comm: &Comm) -> Wish {
        count_look();
        self.look(comm);
        let mut code = [self.code()];
        comm.all_reduce(Op::Max, &mut code);
        match code[0] {
            0 => Wish::GoOn,
            SAVE => Wish::Save,
            MAX_TIME => Wish::Stop("--max-time is over".into()),
            SLURM_END => Wish::Stop("the Slurm job is about to end".into()),
            TOLD => Wish::Stop("asked to stop".into()),
            signal => Wish::Stop(format!("asked to stop by {}", name(signal - SIGNALLED))),
        }
    }

    /// Collective. After a checkpoint that took so long: the next one is due later the more it cost, so that
    /// all of them take at most a hundredth of the run.
    pub fn saved(&self, comm: &Comm, took: Duration) {
        let mut slowest = [to_u64(usize::try_from(took.as_micros()).unwrap_or(usize::MAX))];
        comm.all_reduce(Op::Max, &mut slowest);
        let wait = self.every.max(100 * Duration::from_micros(slowest[0]));
        self.save_at.set(Instant::now() + wait);
        WANTED.store(must_end(), Ordering::SeqCst);
        self.wind();
    }

    fn code(&self) -> u64 {
        let now = Instant::now();
        match (SIGNAL.load(Ordering::SeqCst), self.stop_at) {
            (signal @ 1.., _) => SIGNALLED + u64::from(signal.unsigned_abs()),
            (..0, _) => TOLD,
            (0, Some((at, why))) if at <= now => why,
            _ => u64::from(self.save_at.get() <= now) * SAVE,
        }
    }

    fn wind(&self) {
        let save = Hand::At(self.save_at.get(), false);
        self.bell.ring_at(match self.stop_at {
            Some((stop, _)) if stop <= self.save_at.get() => Hand::At(stop, true),
            _ => save,
        });
    }
}

fn name(signal: u64) -> String {
    let known =
        [(SIGINT, "SIGINT"), (SIGTERM, "SIGTERM"), (SIGHUP, "SIGHUP"), (SIGUSR1, "SIGUSR1")];
    let found = known.iter().find(|(number, _)| u64::from(number.unsigned_abs()) == signal);
    found.map_or_else(|| format!("signal {signal}"), |(_, name)| (*name).to_owned())
}

/// What is left of this Slurm job, where Slurm tells.
fn slurm_left() -> Option<Duration> {
    let end: u64 = std::env::var("SLURM_JOB_END_TIME").ok()?.parse().ok()?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).ok()?;
    // A job without a limit ends in the year 2038 or later.
    Duration::from_secs(end).checked_sub(now)
}

/// Sets the flag at a moment.
struct Bell(Arc<(Mutex<Hand>, Condvar)>);

#[derive(Clone, Copy)]
enum Hand {
    /// A moment, and whether it is the end of the run's time.
    At(Instant, bool),
    Rung,
    Gone,
}

impl Bell {
    fn new() -> Self {
        let shared = Arc::new((Mutex::new(Hand::Rung), Condvar::new()));
        let theirs = Arc::clone(&shared);
        // Without a thread the flag is not set in time; breaks are then found between rounds.
        std::thread::Builder::new().name("bell".into()).spawn(move || wait(&theirs)).ok();
        Self(shared)
    }

    fn ring_at(&self, hand: Hand) {
        *self.0.0.lock().unwrap_or_else(PoisonError::into_inner) = hand;
        self.0.1.notify_all();
    }
}

impl Drop for Bell {
    fn drop(&mut self) {
        *self.0.0.lock().unwrap_or_else(PoisonError::into_inner) = Hand::Gone;
        self.0.1.notify_all();
    }
}

fn wait((hand, changed): &(Mutex<Hand>, Condvar)) {
    let mut now = hand.lock().unwrap_or_else(PoisonError::into_inner);
    loop {
        now = match *now {
            Hand::Gone => return,
            Hand::Rung => changed.wait(now).unwrap_or_else(PoisonError::into_inner),
            Hand::At(moment, is_end) => match moment.checked_duration_since(Instant::now()) {
                Some(left) if !left.is_zero() => {
                    changed.wait_timeout(now, left).unwrap_or_else(PoisonError::into_inner).0
                }
                _ => {
                    TIME_UP.fetch_or(is_end, Ordering::SeqCst);
                    WANTED.store(true, Ordering::SeqCst);
                    *now = Hand::Rung;
                    now
                }
            },
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_break_is_agreed_by_the_clock() {
        let comm = Comm::alone();
        let hour = Duration::from_secs(3600);
        let breaks = Breaks::new(hour, None, Duration::ZERO);
        assert_eq!(breaks.agreed(&comm), Wish::GoOn);
        let breaks = Breaks::new(Duration::ZERO, Some(hour), Duration::ZERO);
        assert_eq!(breaks.agreed(&comm), Wish::Save);
        breaks.saved(&comm, hour / 100);
        assert_eq!(breaks.agreed(&comm), Wish::GoOn, "the next one waits a hundred times as long");
        let breaks = Breaks::new(hour, Some(hour), hour);
        assert_eq!(breaks.agreed(&comm), Wish::Stop("--max-time is over".into()));
    }

    #[test]
    fn signals_have_names() {
        assert_eq!(name(10), "SIGUSR1");
        assert_eq!(name(12), "signal 12");
    }
}
