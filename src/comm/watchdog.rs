//! No rank waits for ever: a thread of each rank ends the run when another rank or the launcher is lost.
//!
//! Ranks of a node give signs of life in memory that they share; who gives none is looked up in `/proc`, and
//! is lost when it has ended or stays stopped. Until the shared memory is there, and after it was freed,
//! only stopped processes are looked for. The thread calls nothing of MPI but `MPI_Abort`. What it costs: ten
//! wake-ups a second. A rank that is alone on its node has nobody who sees that it is stopped; that its
//! process or its machine died is seen by the launcher, as ever.

use std::fmt::Write;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::abort::{self, host_name};
use super::processes::{self, Process, State};
use super::suspicion::{SILENT_FACTOR, Suspect, TICK, Verdict, counted};
use super::window::NodeWords;
use crate::error::{Error, Kind};
use crate::measure::{Phase, last_words};
use crate::num::{to_u64, to_usize};
use crate::store::cleanup;

/// How long a rank may stay stopped when nobody says otherwise.
pub const HANG_TIMEOUT: Duration = Duration::from_secs(60);

/// Words of each rank in the shared memory, behind one that tells which process speaks for all.
const WORDS: usize = 3;
const BEAT: usize = 0;
const PROCESS: usize = 1;
const RANK: usize = 2;

/// A beat that says: this rank leaves in order. Its process may end from then on.
const LEFT: u64 = u64::MAX;

/// Beats count in steps of this; below it stands the phase.
const BEAT_STEP: u64 = 16;

/// Stopped processes are looked for so often while there is no shared memory.
const SCAN_EVERY: Duration = Duration::from_millis(500);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// There is no launcher, or it is over.
    Off,
    /// MPI starts.
    Starting,
    /// MPI is up.
    Running,
    /// MPI is being left.
    Leaving,
}

struct Watch {
    stage: Stage,
    timeout: Option<Duration>,
    rank: u64,
    parent: i32,
    launcher: Option<Process>,
    /// Place among the ranks of the node.
    place: usize,
    /// The words of all of them.
    words: Option<Arc<NodeWords>>,
    /// The other ranks of the node: their place, rank and process.
    peers: Vec<Peer>,
    /// Counted time since MPI was started or left, and since the last scan then.
    waited: Duration,
    unscanned: Duration,
    /// Processes that were stopped at the last scans, and for how long.
    stopped: Vec<(Process, Duration)>,
}

struct Peer {
    place: usize,
    rank: u64,
    pid: i32,
    suspect: Suspect,
}

static WATCH: Mutex<Watch> = Mutex::new(Watch {
    stage: Stage::Off,
    timeout: Some(HANG_TIMEOUT),
    rank: 0,
    parent: 0,
    launcher: None,
    place: 0,
    words: None,
    peers: Vec::new(),
    waited: Duration::ZERO,
    unscanned: Duration::ZERO,
    stopped: Vec::new(),
});

fn lock() -> MutexGuard<'static, Watch> {
    WATCH.lock().unwrap_or_else(PoisonError::into_inner)
}

/// From now on a rank may stay stopped for so long; none: for ever.
pub fn hang_after(timeout: Option<Duration>) {
    lock().timeout = timeout;
}

/// The thread, for as long as MPI is there.
pub(super) struct Watchdog(());

impl Watchdog {
    /// Before MPI starts. Where the system grants no thread, the launcher alone must do.
    pub(super) fn start(rank: u64) -> Self {
        {
            let mut watch = lock();
            watch.stage = Stage::Starting;
            watch.rank = rank;
            watch.parent = processes::parent_pid();
            watch.launcher = processes::launcher();
        }
        std::thread::Builder::new()
            .name("watchdog".into())
            .stack_size(STACK_BYTES)
            .spawn(keep_watch)
            .ok();
        Self(())
    }
}

/// Enough for a look, a message and a record.
const STACK_BYTES: usize = 256 << 10;

impl Drop for Watchdog {
    fn drop(&mut self) {
        lock().stage = Stage::Off;
    }
}

/// The signs of life of a node's ranks.
pub(super) struct Beats(Option<Arc<NodeWords>>);

/// The words that `ranks` of a node need.
pub(super) fn words_of(ranks: u64) -> usize {
    1 + WORDS * to_usize(ranks)
}

impl Beats {
    /// Writes down who this rank is, at its place among those of its node.
    pub(super) fn announce(words: NodeWords, place: u64, rank: u64) -> Self {
        let mine = &words.words()[1 + WORDS * to_usize(place)..][..WORDS];
        mine[RANK].store(rank, Ordering::SeqCst);
        mine[PROCESS].store(u64::from(std::process::id()), Ordering::SeqCst);
        mine[BEAT].store(BEAT_STEP, Ordering::SeqCst);
        Self(Some(Arc::new(words)))
    }

    /// Begins to watch. All ranks of the node have announced themselves.
    pub(super) fn watch(&self, place: u64) {
        let Some(words) = &self.0 else { return };
        let place = to_usize(place);
        let all = words.words()[1..].chunks_exact(WORDS).enumerate();
        let peers = all.filter(|(other, _)| *other != place).map(|(other, words)| {
            let pid = i32::try_from(words[PROCESS].load(Ordering::SeqCst)).unwrap_or(0);
            let beat = words[BEAT].load(Ordering::SeqCst);
            let suspect = Suspect::new(beat, processes::state(pid));
            Peer { place: other, rank: words[RANK].load(Ordering::SeqCst), pid, suspect }
        });
        let peers = peers.collect();
        let mut watch = lock();
        watch.peers = peers;
        watch.place = place;
        watch.words = Some(Arc::clone(words));
        watch.stage = Stage::Running;
    }
}

impl Drop for Beats {
    /// Collective over the node, as freeing the memory is.
    fn drop(&mut self) {
        {
            let mut watch = lock();
            if let Some(words) = watch.words.take() {
                words.words()[1 + WORDS * watch.place + BEAT].store(LEFT, Ordering::SeqCst);
            }
            watch.stage = Stage::Leaving;
            watch.waited = Duration::ZERO;
        }
        // The thread holds no other reference: it takes one only while it holds the lock.
        drop(self.0.take());
    }
}

/// Why the run must end.
struct Alarm {
    message: String,
    /// Without a launcher there is nobody whom `MPI_Abort` could ask to end the others.
    launcher_lost: bool,
    /// Whether this rank may tell it, when no shared memory says who does.
    speaks: bool,
}

fn keep_watch() {
    let mut last = Instant::now();
    loop {
        std::thread::sleep(TICK);
        let now = Instant::now();
        let counted = counted(now - last);
        last = now;
        let mut watch = lock();
        if watch.stage == Stage::Off {
            return;
        }
        let (stage, alarm) = (watch.stage, watch.look(counted));
        drop(watch);
        if let Some(alarm) = alarm {
            end(&alarm, stage);
        }
    }
}

impl Watch {
    fn look(&mut self, counted: Duration) -> Option<Alarm> {
        if let Some(message) = self.launcher_lost() {
            return Some(Alarm { message, launcher_lost: true, speaks: self.is_first() });
        }
        let message = match self.stage {
            Stage::Running => self.rank_lost(counted),
            _ => self.still_waiting(counted),
        };
        Some(Alarm { message: message?, launcher_lost: false, speaks: self.is_first() })
    }

    /// Whether no other rank of this node comes before this one that could tell what all of them find.
    fn is_first(&self) -> bool {
        let me = processes::this_pid();
        let before = |other: &Process| other.pid < me && other.state == State::Alive;
        self.stage == Stage::Running || !self.others().iter().any(before)
    }

    /// The other ranks of this node, as far as they are known.
    fn others(&self) -> Vec<Process> {
        if self.peers.is_empty() {
            return processes::siblings();
        }
        self.peers.iter().filter_map(|peer| processes::find(peer.pid)).collect()
    }

    fn launcher_lost(&self) -> Option<String> {
        let parent = processes::parent_pid();
        let same = |known: &Process, now: Option<Process>| {
            now.is_some_and(|now| now.started == known.started && now.state != State::Gone)
        };
        let launcher = self.launcher.as_ref().filter(|known| known.pid != self.parent);
        let lost = launcher.is_some_and(|known| !same(known, processes::find(known.pid)));
        if parent == self.parent && !lost {
            return None;
        }
        let who = self.launcher.as_ref().map_or_else(
            || format!("process {}", self.parent),
            |known| format!("{}, process {}", known.name, known.pid),
        );
        Some(format!(
            "the launcher ({who}) is gone; without it no rank can go on. Look for what ended it and \
             start the run again"
        ))
    }

    /// Beats, and looks at those of the others.
    fn rank_lost(&mut self, counted: Duration) -> Option<String> {
        let words = self.words.as_ref()?;
        let beat_of = |place: usize| &words.words()[1 + WORDS * place + BEAT];
        let mine = beat_of(self.place);
        let beats = mine.load(Ordering::Relaxed) / BEAT_STEP + 1;
        mine.store(beats * BEAT_STEP + to_u64(Phase::current().index()), Ordering::Relaxed);
        let timeout = self.timeout;
        self.peers.iter_mut().find_map(|peer| {
            let beat = beat_of(peer.place).load(Ordering::Relaxed);
            if beat == LEFT {
                return None;
            }
            let state = || processes::state(peer.pid);
            let verdict = peer.suspect.judge(beat, counted, timeout, state)?;
            Some(sentence(peer.rank, peer.pid, phase_of(beat), verdict))
        })
    }

    /// While MPI starts or is left: is another rank or the launcher stopped, and for how long?
    fn still_waiting(&mut self, counted: Duration) -> Option<String> {
        let timeout = self.timeout?;
        self.waited += counted;
        self.unscanned += counted;
        // A start that takes its usual time costs no scan.
        if self.waited < timeout / 2 {
            self.unscanned = Duration::ZERO;
            return None;
        }
        if self.unscanned >= SCAN_EVERY {
            self.scan();
            self.unscanned = Duration::ZERO;
        }
        let doing = if self.stage == Stage::Starting { "MPI starts" } else { "MPI is being left" };
        let long = |(_, time): &&(Process, Duration)| *time >= timeout / 2;
        if let Some((process, _)) = self.stopped.iter().find(long) {
            return (self.waited >= timeout).then(|| {
                format!(
                    "{} is stopped while {doing}; look for who stopped it and start the run again",
                    describe(process)
                )
            });
        }
        let over = self.stage == Stage::Leaving && self.waited >= timeout * SILENT_FACTOR;
        over.then(|| {
            format!(
                "MPI could not be left within {} s; what was published stays. Look for a rank that \
                 died, or a network that did",
                self.waited.as_secs()
            )
        })
    }

    fn scan(&mut self) {
        let mut others = self.others();
        others.extend(self.launcher.as_ref().and_then(|known| processes::find(known.pid)));
        others.retain(|process| process.state == State::Stopped);
        let before = std::mem::take(&mut self.stopped);
        let unscanned = self.unscanned;
        let time = |process: &Process| {
            let known = before.iter().find(|(known, _)| known.pid == process.pid);
            known.map_or(Duration::ZERO, |(_, time)| *time + unscanned)
        };
        self.stopped =
            others.into_iter().map(|process| (process.clone(), time(&process))).collect();
    }
}

fn phase_of(beat: u64) -> &'static str {
    Phase::ALL.get(to_usize(beat % BEAT_STEP)).map_or("an unknown phase", |phase| phase.name())
}

fn sentence(rank: u64, pid: i32, phase: &str, verdict: Verdict) -> String {
    let who = format!("rank {rank} (process {pid} on {}, last seen in phase {phase})", host_name());
    match verdict {
        Verdict::Gone => format!(
            "{who} is gone: it was killed, or it left without a word; look at what ended it (dmesg or \
             the batch system tell when memory ran out) and start the run again"
        ),
        Verdict::Stopped(time) => format!(
            "{who} has been stopped for {} s, and all others wait for it; look for who stopped it, or \
             allow more with --hang-timeout",
            time.as_secs()
        ),
        Verdict::Silent(time) => format!(
            "{who} has given no sign of life for {} s, and all others wait for it; look at what holds \
             that process, or allow more with --hang-timeout",
            time.as_secs()
        ),
    }
}

/// A process that has not told its rank, which its environment may tell.
fn describe(process: &Process) -> String {
    let mut text = format!("process {} ({}) on {}", process.pid, process.name, host_name());
    let environment = std::fs::read(format!("/proc/{}/environ", process.pid)).unwrap_or_default();
    let told = environment.split(|&byte| byte == 0).find_map(|variable| {
        std::str::from_utf8(variable).ok()?.strip_prefix("PMIX_RANK=").map(str::to_owned)
    });
    if let Some(rank) = told {
        write!(text, ", rank {rank},").ok();
    }
    text
}

/// How a process is called that has left MPI: the one thing that it can still tell the others.
const LEFT_NAME: &str = "dcomp-left";

/// After MPI was left in order. A rank that is stopped on its last steps would hold up the launcher for
/// ever: the first rank of a node stays until the others have ended, and the second until the first has
/// come this far. The launcher waits for all of them either way. Local.
pub fn see_others_off() {
    let (timeout, place, peers) = {
        let mut watch = lock();
        (watch.timeout, watch.place, std::mem::take(&mut watch.peers))
    };
    let Some(timeout) = timeout else { return };
    rename(LEFT_NAME);
    let through = |peer: &Peer| match processes::find(peer.pid) {
        None => true,
        Some(now) => now.state == State::Gone || (place > 0 && now.name == LEFT_NAME),
    };
    let waits_for = |peer: &&Peer| place == 0 || (place == 1 && peer.place == 0);
    for peer in peers.iter().filter(waits_for) {
        let (mut waited, mut stopped) = (Duration::ZERO, Duration::ZERO);
        let mut last = Instant::now();
        while !through(peer) && waited < timeout * SILENT_FACTOR {
            std::thread::sleep(SEE_OFF_EVERY);
            let counted = counted(last.elapsed());
            last = Instant::now();
            waited += counted;
            let is_stopped = processes::state(peer.pid) == State::Stopped;
            stopped = if is_stopped { stopped + counted } else { Duration::ZERO };
            if stopped >= timeout {
                let who = format!("rank {} (process {} on {})", peer.rank, peer.pid, host_name());
                abort::say(&format!(
                    "{who} is stopped on its last steps; what was published stays"
                ));
                abort::end_now(Kind::Io.exit_code());
            }
        }
    }
}

/// As short as an exit takes.
const SEE_OFF_EVERY: Duration = Duration::from_millis(5);

/// Changes what `ps` shows; a name that the system refuses is no reason to fail.
fn rename(name: &str) {
    if let Ok(name) = std::ffi::CString::new(name) {
        nix::sys::prctl::set_name(&name).ok();
    }
}

/// Whether this process speaks for all ranks of its node about their end; true once.
pub(super) fn claim() -> bool {
    static CLAIMED: AtomicBool = AtomicBool::new(false);
    if CLAIMED.swap(true, Ordering::SeqCst) {
        return false;
    }
    // Whoever panics while it holds the lock speaks for itself.
    let Ok(watch) = WATCH.try_lock() else { return true };
    let me = u64::from(std::process::id());
    let first = |words: &NodeWords| {
        words.words()[0].compare_exchange(0, me, Ordering::SeqCst, Ordering::SeqCst).is_ok()
    };
    watch.words.as_ref().is_none_or(|words| first(words))
}

/// A launcher that ends this rank by a signal may do so because another one is gone: then this is told.
/// For the thread that waits for signals, before it ends the process.
pub fn tell_if_a_rank_is_gone() {
    let watch = lock();
    let Some(words) = &watch.words else { return };
    let lost = watch.peers.iter().find_map(|peer| {
        let beat = words.words()[1 + WORDS * peer.place + BEAT].load(Ordering::Relaxed);
        let gone = beat != LEFT && processes::state(peer.pid) == State::Gone;
        gone.then(|| sentence(peer.rank, peer.pid, phase_of(beat), Verdict::Gone))
    });
    let rank = watch.rank;
    drop(watch);
    if let Some(message) = lost.filter(|_| claim()) {
        tell(rank, &message);
    }
}

/// On stderr and in the record.
fn tell(rank: u64, message: &str) {
    let message = format!("{message} (noticed by rank {rank} on {})", host_name());
    abort::say(&message);
    last_words::write(&Error { kind: Kind::Io, message });
}

fn end(alarm: &Alarm, stage: Stage) -> ! {
    let rank = lock().rank;
    let code = Kind::Io.exit_code();
    abort::end_within(abort::SLOW, code);
    cleanup::end();
    if alarm.speaks && claim() {
        tell(rank, &alarm.message);
    } else if !alarm.launcher_lost {
        // Another rank tells, and asks the launcher to end this one.
        std::thread::sleep(abort::SOON);
    }
    if alarm.launcher_lost || stage != Stage::Running {
        abort::end_now(code);
    }
    abort::end_all_ranks(code.into())
}
