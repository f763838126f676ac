//! When a rank that gives no sign of life counts as lost. Pure: beats, times and states in, verdicts out.
//!
//! Only time counts in which the watchdog itself ran. A whole job that is suspended and resumed, a machine
//! that sleeps, or many ranks on few cores therefore alarm nobody: while others could not beat, the watchdog
//! could not count more than a moment.

use std::time::Duration;

use super::processes::State;

/// How often a rank gives a sign of life and looks for those of others. Ten wake-ups a second of some
/// microseconds each are far below a thousandth of a core.
pub(super) const TICK: Duration = Duration::from_millis(100);

/// A look counts at most this much, however long after the one before it comes.
const LATE: Duration = Duration::from_millis(300);

/// Without a beat for so long, a process is looked up. One that has ended never beats again.
const LOOK_AFTER: Duration = Duration::from_millis(300);

/// So many times as long as a stopped rank gets one that is not stopped, but silent: a starved machine may
/// let it wait that no fault holds.
pub(super) const SILENT_FACTOR: u32 = 4;

/// How much of the time since the last look counts.
pub(super) fn counted(elapsed: Duration) -> Duration {
    elapsed.min(LATE)
}

/// Why a rank counts as lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Its process has ended, and it had not said that it would.
    Gone,
    /// Stopped for this long.
    Stopped(Duration),
    /// Neither, but without a sign of life for this long.
    Silent(Duration),
}

/// What is known of one other rank's signs of life.
#[derive(Clone, Debug, Default)]
pub(super) struct Suspect {
    beat: u64,
    silent: Duration,
    /// Whether its process could ever be looked up: one in another container cannot.
    visible: bool,
}

impl Suspect {
    /// Of a rank whose process is `now` in this state.
    pub(super) fn new(beat: u64, now: State) -> Self {
        Self { beat, silent: Duration::ZERO, visible: now != State::Gone }
    }

    /// Takes a look after `counted` time; `timeout` is how long a stopped rank may stay so, none for ever.
    pub(super) fn judge(
        &mut self,
        beat: u64,
        counted: Duration,
        timeout: Option<Duration>,
        state: impl FnOnce() -> State,
    ) -> Option<Verdict> {
        if beat != self.beat {
            self.beat = beat;
            self.silent = Duration::ZERO;
            return None;
        }
        self.silent += counted;
        if self.silent < LOOK_AFTER {
            return None;
        }
        let state = if self.visible { state() } else { State::Alive };
        let over = |times| timeout.is_some_and(|timeout| self.silent >= timeout * times);
        match state {
            State::Gone => Some(Verdict::Gone),
            State::Stopped if over(1) => Some(Verdict::Stopped(self.silent)),
            State::Alive if over(SILENT_FACTOR) => Some(Verdict::Silent(self.silent)),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIMEOUT: Option<Duration> = Some(Duration::from_secs(2));

    /// Looks every tick at a rank that does not beat; after how many it was given up, and why.
    fn given_up(state: State, timeout: Option<Duration>, ticks: u32) -> Option<(u32, Verdict)> {
        let mut suspect = Suspect::new(5, State::Alive);
        (1..=ticks).find_map(|tick| Some((tick, suspect.judge(5, TICK, timeout, || state)?)))
    }

    #[test]
    fn each_state_has_its_time() {
        assert_eq!(given_up(State::Gone, TIMEOUT, 100), Some((3, Verdict::Gone)));
        let stopped = Verdict::Stopped(Duration::from_secs(2));
        assert_eq!(given_up(State::Stopped, TIMEOUT, 100), Some((20, stopped)));
        let silent = Verdict::Silent(Duration::from_secs(8));
        assert_eq!(given_up(State::Alive, TIMEOUT, 100), Some((80, silent)));
    }

    #[test]
    fn without_a_timeout_only_the_dead_are_given_up() {
        assert_eq!(given_up(State::Stopped, None, 10_000), None);
        assert_eq!(given_up(State::Alive, None, 10_000), None);
        assert_eq!(given_up(State::Gone, None, 10_000), Some((3, Verdict::Gone)));
    }

    #[test]
    fn a_beat_clears_every_suspicion() {
        let mut suspect = Suspect::new(0, State::Alive);
        for beat in 0..1000 {
            for _ in 0..19 {
                assert_eq!(suspect.judge(beat, TICK, TIMEOUT, || State::Stopped), None);
            }
        }
    }

    /// Suspended for an hour, again and again, with a beat in between.
    #[test]
    fn time_in_which_the_watchdog_slept_does_not_count() {
        let mut suspect = Suspect::new(0, State::Alive);
        let hour = Duration::from_secs(3600);
        for beat in 0..1000 {
            for slept in [hour, TICK, TICK] {
                let judged = suspect.judge(beat, counted(slept), TIMEOUT, || State::Stopped);
                assert_eq!(judged, None);
            }
        }
        assert_eq!(counted(TICK), TICK);
    }

    #[test]
    fn who_cannot_be_looked_up_is_not_called_gone() {
        let mut suspect = Suspect::new(0, State::Gone);
        let first = (1..1000)
            .find_map(|tick| Some((tick, suspect.judge(0, TICK, TIMEOUT, || State::Gone)?)));
        assert_eq!(first, Some((80, Verdict::Silent(Duration::from_secs(8)))));
    }
}
