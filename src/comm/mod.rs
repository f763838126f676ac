//! Ranks and messages: the only place that names `mpi::`.
//!
//! [`Comm`] is all the ranks of a run. Its verbs take `usize` and `u64` and slices of any length,
//! check every count, and send long payloads in rounds, because MPI 3.1 counts are C `int`s.
//! Without a launcher `Comm` is one rank that never initialises MPI; each verb then has its plain
//! one-rank meaning, so no job has a second code path.
//!
//! What this costs: one duplicated communicator, one node communicator, and a clock reading around
//! each call (`mpi_s` in the run record).

mod abort;
mod agree;
mod collectives;
mod counter;
mod crowd;
mod exchange;
mod footprint;
pub mod launcher;
mod neighbours;
mod processes;
mod rooted;
mod stop;
mod suspicion;
mod tune;
mod watchdog;
mod window;

use std::cell::Cell;

use mpi::environment::Universe;
use mpi::topology::{Color, Communicator, SimpleCommunicator};
use mpi::traits::CommunicatorCollectives;

use crate::error::{Error, Result};
use crate::measure::clock::Stopwatch;
use crate::num::to_u64;
use crate::store::cleanup;
pub use abort::{end_process_on_panic, host_name};
pub use collectives::{Element, Op};
pub use counter::{Draw, Drawer, WorkCounter};
use crowd::Crowd;
pub use exchange::Received;
pub use footprint::rank_bytes;
use launcher::Launch;
pub use neighbours::{Neighbours, address};
use watchdog::{Beats, Watchdog};
pub use watchdog::{HANG_TIMEOUT, hang_after, see_others_off, tell_if_a_rank_is_gone};
use window::NodeWords;

/// The rank that reads the deck, prints, and owns small files.
pub const ROOT: u64 = 0;

/// Traffic of this rank so far.
#[derive(Clone, Copy, Debug, Default)]
pub struct CommStats {
    /// Messages sent to other ranks. A collective that is not an exchange counts as one.
    pub messages: u64,
    /// Payload bytes sent to other ranks.
    pub bytes_sent: u64,
    /// Seconds inside MPI, waiting included.
    pub mpi_s: f64,
}

/// Where this rank sits: nodes are the sets of ranks that share memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NodePlace {
    /// Rank within the node.
    pub local_rank: u64,
    /// Ranks on this node.
    pub local_size: u64,
    /// Nodes in the world.
    pub node_count: u64,
}

/// The handles of a started MPI. The communicators are freed before the universe finalises.
struct World {
    all: SimpleCommunicator,
    node: SimpleCommunicator,
    _universe: Universe,
}

/// All ranks of the run. Only the thread that made it may use it (`MPI_THREAD_FUNNELED`).
pub struct Comm {
    // Dropped in this order: the watchdog outlives MPI, its shared memory does not.
    beats: Option<Beats>,
    crowd: Option<Crowd>,
    mpi: Option<World>,
    _watchdog: Option<Watchdog>,
    rank: u64,
    size: u64,
    place: NodePlace,
    stats: Cell<CommStats>,
    /// Most bytes that one rank hands to one collective call that stages them.
    round_bytes: usize,
    /// Most bytes that an exchange moves in one call, without staging.
    whole_bytes: usize,
}

/// A round's payload per rank. Large enough that latency vanishes, small enough that staging
/// copies stay out of the memory budget; `DCOMP_ROUND_BYTES` forces tiny rounds in tests.
const ROUND_BYTES: usize = 32 << 20;

/// What C `int`s can count: up to here an exchange needs no staging.
const WHOLE_BYTES: usize = (1 << 31) - 1;

impl Comm {
    /// Collective. Starts MPI when a launcher started this process, else makes the one-rank form.
    ///
    /// # Errors
    /// When the launcher gave no MPI, when the MPI library sees fewer ranks than the launcher
    /// started, or when the threading level is not granted.
    pub fn start() -> Result<Self> {
        match launcher::detect_from_environment()? {
            Launch::Alone => Ok(Self::alone()),
            Launch::Mpi { rank, size } => Self::start_mpi(rank, size),
        }
    }

    /// The one-rank form: no MPI at all.
    pub fn alone() -> Self {
        Self {
            beats: None,
            crowd: None,
            mpi: None,
            _watchdog: None,
            rank: 0,
            size: 1,
            place: NodePlace { local_rank: 0, local_size: 1, node_count: 1 },
            stats: Cell::default(),
            round_bytes: forced_round().unwrap_or(ROUND_BYTES),
            whole_bytes: forced_round().unwrap_or(WHOLE_BYTES),
        }
    }

    fn start_mpi(told_rank: u64, launched_size: Option<u64>) -> Result<Self> {
        tune::tune();
        cleanup::heed_signals();
        let watchdog = Watchdog::start(told_rank);
        let (universe, granted) = mpi::initialize_with_threading(mpi::Threading::Funneled)
            .ok_or_else(|| Error::internal("MPI was started twice"))?;
        if granted < mpi::Threading::Funneled {
            return Err(Error::usage(format!(
                "the MPI library grants only {granted:?} threading, dcomp needs Funneled; \
                 use an MPI built with thread support"
            )));
        }
        let world = universe.world().duplicate();
        abort::end_all_ranks_on_panic(world.rank());
        let (rank, size) = (rank_u64(world.rank()), rank_u64(world.size()));
        if size == 1 && launched_size.is_some_and(|launched| launched > 1) {
            return Err(Error::usage(format!(
                "the launcher started {} ranks but the MPI library that dcomp was built with sees \
                 one; start it with that library's own mpirun, or rebuild dcomp with this MPI",
                launched_size.unwrap_or(0)
            )));
        }
        let node = node_communicator(&world);
        let mut comm = Self {
            place: NodePlace {
                local_rank: rank_u64(node.rank()),
                local_size: rank_u64(node.size()),
                node_count: 0,
            },
            beats: None,
            crowd: None,
            mpi: Some(World { all: world, node, _universe: universe }),
            _watchdog: Some(watchdog),
            rank,
            size,
            stats: Cell::default(),
            round_bytes: forced_round().unwrap_or(ROUND_BYTES),
            whole_bytes: forced_round().unwrap_or(WHOLE_BYTES),
        };
        let mut sums = [u64::from(comm.place.local_rank == 0), u64::from(meets(comm.place))];
        comm.all_reduce(Op::Sum, &mut sums);
        let meeting = sums[1] == size;
        comm.place.node_count = sums[0];
        comm.beats = comm.mpi.as_ref().map(|mpi| watch_ranks(mpi, comm.place, rank));
        if let (Some(mpi), 1, true) = (&comm.mpi, comm.place.node_count, meeting) {
            comm.crowd = Some(Crowd::allocate(&mpi.node, rank, size));
            mpi.node.barrier();
        }
        Ok(comm)
    }

    /// This rank, `0..size()`.
    pub fn rank(&self) -> u64 {
        self.rank
    }

    /// The number of ranks.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Whether this rank is the one that prints and owns small files.
    pub fn is_root(&self) -> bool {
        self.rank == ROOT
    }

    /// Where this rank sits among the nodes.
    pub fn place(&self) -> NodePlace {
        self.place
    }

    /// Whether MPI was started.
    pub fn uses_mpi(&self) -> bool {
        self.mpi.is_some()
    }

    /// Traffic so far.
    pub fn stats(&self) -> CommStats {
        self.stats.get()
    }

    /// The MPI library's own name and the standard it follows, or `None` without MPI.
    pub fn library(&self) -> Option<(String, String)> {
        self.mpi.as_ref()?;
        let text = mpi::environment::library_version().unwrap_or_else(|_| "unknown".into());
        // The string ends with a NUL and may run over several lines; the first one names it.
        let line = text.lines().next().unwrap_or("").trim_matches(['\0', ' ']).to_owned();
        let (major, minor) = mpi::environment::version();
        Some((line, format!("{major}.{minor}")))
    }

    /// Looks after MPI while this rank waits for something else.
    fn idle(&self) {
        if let Some(mpi) = &self.mpi {
            window::poll(&mpi.all);
        }
    }

    /// Times a call into MPI and counts what it sent.
    fn timed<T>(&self, messages: u64, bytes: u64, call: impl FnOnce() -> T) -> T {
        let watch = Stopwatch::start();
        let value = call();
        let mut stats = self.stats.get();
        stats.mpi_s += watch.seconds();
        stats.messages += messages;
        stats.bytes_sent += bytes;
        self.stats.set(stats);
        value
    }
}

/// Whether collectives had better go through memory: when ranks share cores.
fn meets(place: NodePlace) -> bool {
    match std::env::var("DCOMP_MEET").as_deref() {
        Ok("memory") => true,
        Ok("messages") => false,
        _ => place.local_size > tune::num_cores(),
    }
}

/// Collective. From here on a rank that is lost ends the run, as far as another one shares its node.
fn watch_ranks(mpi: &World, place: NodePlace, rank: u64) -> Beats {
    let NodePlace { local_rank, local_size, .. } = place;
    let count = watchdog::words_of(local_size);
    let words = NodeWords::allocate(&mpi.node, local_rank == 0, count, count);
    mpi.node.barrier();
    let beats = Beats::announce(words, local_rank, rank);
    mpi.node.barrier();
    beats.watch(local_rank);
    beats
}

/// The ranks that share this rank's memory. `DCOMP_RANKS_PER_NODE` splits a real node into several
/// pretended ones, so that the path across nodes is tested on one machine.
fn node_communicator(world: &SimpleCommunicator) -> SimpleCommunicator {
    let node = world.split_shared(world.rank());
    let pretended = std::env::var("DCOMP_RANKS_PER_NODE");
    let pretended = pretended.ok().and_then(|text| text.parse::<mpi::Rank>().ok());
    match pretended {
        Some(ranks) if ranks > 0 => node
            .split_by_color_with_key(Color::with_value(node.rank() / ranks), node.rank())
            .expect("every rank has a colour"),
        _ => node,
    }
}

fn forced_round() -> Option<usize> {
    let forced = std::env::var("DCOMP_ROUND_BYTES").ok()?.parse::<usize>().ok();
    // At least one u64 per round, or a reduction would never advance.
    forced.map(|bytes| bytes.max(8))
}

fn rank_u64(rank: mpi::Rank) -> u64 {
    u64::try_from(rank).expect("MPI ranks are not negative")
}

fn index(rank: u64) -> usize {
    crate::num::to_usize(rank)
}

/// The C `int` that MPI wants; the callers have cut the payload so that it fits.
fn count(elements: usize) -> mpi::Count {
    mpi::Count::try_from(elements).expect("payloads are cut into rounds before")
}

fn byte_len<T>(slice: &[T]) -> u64 {
    to_u64(size_of_val(slice))
}
