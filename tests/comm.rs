//! `Comm` on real ranks: every verb against what it must give, at several rank counts, with rounds
//! of a few bytes and of megabytes, on real and pretended nodes.
//!
//! Without a launcher this program starts itself under `mpirun`; with one it is a rank.
#![expect(clippy::print_stdout, reason = "the closing line of a test program")]

use std::process::{Command, ExitCode};
use std::sync::atomic::AtomicBool;

use dcomp::comm::{Comm, Op, WorkCounter, address};
use dcomp::error::Error;
use dcomp::num::{mix64, to_u64, to_usize};

/// Rank counts, bytes per round, ranks per pretended node (0: the real node), and how ranks of one node meet.
const RUNS: [(u32, u32, u32, &str); 14] = [
    (1, 8, 0, "as usual"),
    (2, 8, 0, "messages"),
    (2, 8, 0, "memory"),
    (3, 8, 0, "messages"),
    (3, 1000, 0, "memory"),
    (4, 1000, 0, "messages"),
    (7, 8, 2, "as usual"),
    (7, 64, 0, "memory"),
    (8, 24, 3, "as usual"),
    (3, 1 << 25, 1, "as usual"),
    (4, 1 << 25, 2, "memory"),
    (5, 64, 0, "messages"),
    (64, 1 << 20, 16, "as usual"),
    (64, 1 << 20, 0, "memory"),
];

fn main() -> ExitCode {
    // `cargo test -- name` and `--list` of other test programs reach this one too.
    if std::env::args().any(|word| word == "--list") {
        return ExitCode::SUCCESS;
    }
    if std::env::var_os("DCOMP_TEST_RANK").is_some() {
        as_rank();
        return ExitCode::SUCCESS;
    }
    let program = std::env::current_exe().expect("this program has a path");
    let mut failed = 0;
    for (ranks, round_bytes, per_node, meet) in RUNS {
        let status = Command::new("timeout")
            .args(["--kill-after=5", "120", "mpirun", "-n", &ranks.to_string()])
            .arg(&program)
            .env("DCOMP_TEST_RANK", "yes")
            .env("DCOMP_ROUND_BYTES", round_bytes.to_string())
            .env("DCOMP_RANKS_PER_NODE", per_node.to_string())
            .env("DCOMP_MEET", meet)
            .env("OMPI_ALLOW_RUN_AS_ROOT", "1")
            .env("OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1")
            .env("OMPI_MCA_rmaps_base_oversubscribe", "1")
            .status();
        let passed = status.as_ref().is_ok_and(std::process::ExitStatus::success);
        let verdict = if passed { "ok" } else { "FAILED" };
        println!(
            "comm: {ranks} ranks, {round_bytes} bytes, {per_node} a node, {meet} ... {verdict}"
        );
        failed += usize::from(!passed);
    }
    println!("comm: {} passed, {failed} failed", RUNS.len() - failed);
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn as_rank() {
    let comm = Comm::start().expect("started by mpirun");
    assert!(comm.uses_mpi());
    broadcasts(&comm);
    reductions(&comm);
    exchanges(&comm);
    rooted(&comm);
    neighbours(&comm);
    agreements(&comm);
    counters(&comm);
}

/// Bytes that depend on who sends how many to whom.
fn message(from: u64, to: u64) -> Vec<u8> {
    let length = mix64(from * 1000 + to) % 700;
    // Every seventh pair sends nothing at all.
    let length = if (from + 3 * to).is_multiple_of(7) { 0 } else { length };
    (0..length).map(|at| mix64(from << 32 | to << 16 | at).to_le_bytes()[0]).collect()
}

fn broadcasts(comm: &Comm) {
    for length in [0, 1, 7, 8, 9, 5000, 16_384, 16_385] {
        for root in [0, comm.size() - 1] {
            let original: Vec<u8> = (0..length).map(|at| mix64(at).to_le_bytes()[0]).collect();
            let mine = if comm.rank() == root { original.clone() } else { vec![9; 3] };
            assert_eq!(comm.broadcast_bytes(root, mine), original);
        }
    }
}

fn reductions(comm: &Comm) {
    let (rank, size) = (comm.rank(), comm.size());
    for length in [0, 1, 2, 3, 1001, 2048, 2049] {
        let mine: Vec<u64> = (0..length).map(|at| mix64(at ^ rank << 40) >> 8).collect();
        let all: Vec<Vec<u64>> = (0..size)
            .map(|rank| (0..length).map(|at| mix64(at ^ rank << 40) >> 8).collect())
            .collect();
        let column = |at: usize| all.iter().map(move |values| values[at]);
        for op in [Op::Sum, Op::Min, Op::Max] {
            let mut reduced = mine.clone();
            comm.all_reduce(op, &mut reduced);
            for (at, &value) in reduced.iter().enumerate() {
                let expected = match op {
                    Op::Sum => column(at).sum(),
                    Op::Min => column(at).min().expect("a rank"),
                    Op::Max => column(at).max().expect("a rank"),
                };
                assert_eq!(value, expected, "{op:?} of {length} at {at}");
            }
        }
    }
    assert_eq!(comm.exclusive_scan(rank + 1), (1..=rank).sum::<u64>());
    assert_eq!(comm.all_gather(rank * 3), (0..size).map(|rank| rank * 3).collect::<Vec<_>>());
}

fn exchanges(comm: &Comm) {
    let (rank, size) = (comm.rank(), comm.size());
    let parts: Vec<Vec<u8>> = (0..size).map(|to| message(rank, to)).collect();
    let counts: Vec<u64> = parts.iter().map(|part| to_u64(part.len())).collect();
    let received = comm.exchange(&parts.concat(), &counts);
    let expected: Vec<Vec<u8>> = (0..size).map(|from| message(from, rank)).collect();
    assert_eq!(received.into_parts(), expected);
    // Nobody sends anything; one rank sends everything.
    let nothing = comm.exchange(&[], &vec![0; to_usize(size)]);
    assert!(nothing.bytes.is_empty());
    let mut counts = vec![0; to_usize(size)];
    counts[to_usize(size - 1)] = if rank == 0 { 3000 } else { 0 };
    let received = comm.exchange(&vec![7; to_usize(counts.iter().sum())], &counts);
    assert_eq!(received.bytes.len(), if rank == size - 1 { 3000 } else { 0 });
    // Ranges that overlap and leave gaps, of items wider than a round; a rank keeps its own.
    let item = |from: u64, at: u64| [mix64(from << 32 | at), from, at];
    let items: Vec<[u64; 3]> = (0..40).map(|at| item(rank, at)).collect();
    let range = |from: u64, to: u64| {
        let start = mix64(from ^ to) % 30;
        start..if from == to { start } else { start + mix64(from * 100 + to) % 10 }
    };
    let indices = |to| to_usize(range(rank, to).start)..to_usize(range(rank, to).end);
    let (came, counts) = comm.exchange_ranges(&items, &(0..size).map(indices).collect::<Vec<_>>());
    let from = |from: u64| range(from, rank).map(move |at| item(from, at));
    assert_eq!(came, (0..size).flat_map(from).collect::<Vec<_>>());
    assert_eq!(counts, (0..size).map(|rank| from(rank).count()).collect::<Vec<_>>());
}

/// Between root and all others, byte strings of none to many pieces.
fn rooted(comm: &Comm) {
    let (rank, size) = (comm.rank(), comm.size());
    for times in [0, 1, 30] {
        let string = |rank: u64| message(rank, 1).repeat(times);
        let all: Vec<Vec<u8>> = (0..size).map(string).collect();
        let gathered = comm.gather_bytes(&string(rank));
        assert_eq!(gathered, if comm.is_root() { all.clone() } else { Vec::new() });
        assert_eq!(comm.all_gather_bytes(&string(rank)), all);
        let parts = if comm.is_root() { all.clone() } else { Vec::new() };
        assert_eq!(comm.scatter_bytes(parts), string(rank));
        let whole = if comm.is_root() { all.concat() } else { vec![1] };
        assert_eq!(comm.hand_out_bytes(&whole), all.concat());
    }
}

/// What a rank has in memory is what the others read there, on one node and on no other.
fn neighbours(comm: &Comm) {
    let (rank, size) = (comm.rank(), comm.size());
    let Some(neighbours) = comm.neighbours() else {
        assert!(size == 1 || comm.place().node_count > 1 || is_forbidden(), "one node");
        return;
    };
    assert!(size > 1 && comm.place().node_count == 1, "nodes do not share memory");
    let words: Vec<u64> = (0..300_000).map(|at| mix64(rank << 40 | at)).collect();
    let mine: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
    let addresses = comm.all_gather(address(&mine));
    let sent = comm.stats().bytes_sent;
    let mut read = 0;
    for (from, start) in (0..).zip(addresses) {
        for (first, count) in [(0, 0), (0, 1), (7, 3), (299_999, 1), (0, 300_000)] {
            let mut seen = vec![0; 8 * count];
            neighbours.read(from, start + 8 * first, &mut seen).expect("it is there");
            let (words, _) = seen.as_chunks::<8>();
            let expected = (first..).map(|at| mix64(from << 40 | at).to_le_bytes());
            assert!(words.iter().copied().eq(expected.take(count)), "{first} and {count} more");
            read += to_u64(seen.len());
        }
    }
    assert_eq!(comm.stats().bytes_sent - sent, read, "what is read counts as sent");
    let error = neighbours.read((rank + 1) % size, 8, &mut [0; 8]).expect_err("nothing is there");
    assert!(error.message.contains("memory of rank"), "{error}");
    comm.barrier();
}

/// Whether this system forbids what `neighbours` needs, found by looking into a process of our own.
fn is_forbidden() -> bool {
    let mut other = Command::new("sleep").arg("5").spawn().expect("sleep");
    let process = nix::unistd::Pid::from_raw(i32::try_from(other.id()).expect("a process"));
    let (mut byte, there) = ([0], nix::sys::uio::RemoteIoVec { base: 8, len: 1 });
    let seen = nix::sys::uio::process_vm_readv(
        process,
        &mut [std::io::IoSliceMut::new(&mut byte)],
        &[there],
    );
    other.kill().expect("our own process");
    other.wait().expect("our own process");
    seen != Err(nix::errno::Errno::EFAULT)
}

fn agreements(comm: &Comm) {
    assert_eq!(comm.agree(Ok(comm.rank())), Ok(comm.rank()));
    for failing in [0, comm.size() / 2, comm.size() - 1] {
        let local = if comm.rank() >= failing {
            Err(Error::bad_input(format!("piece {}", comm.rank())))
        } else {
            Ok(())
        };
        let error = comm.agree(local).expect_err("a rank failed");
        assert_eq!(error.kind.exit_code(), 65);
        assert!(error.message.starts_with(&format!("piece {failing}")), "{error}");
        let others = comm.size() - failing - 1;
        if others > 0 {
            assert!(error.message.contains(&format!("{others} more ranks failed")), "{error}");
        }
    }
    let decided = comm.decide(|| Ok(comm.rank() + 41));
    assert_eq!(decided, Ok(41));
    let refused: Result<u64, Error> = comm.decide(|| Err(Error::usage("no")));
    assert_eq!(refused, Err(Error::usage("no")));
}

/// Every index is drawn exactly once, by main threads and worker threads, in several rounds.
fn counters(comm: &Comm) {
    let mut counter = WorkCounter::new(comm, 2 * comm.place().local_size);
    for total in [0, 1, 5, 1000] {
        counter.reset(comm, total);
        let (drawer, retired) = (counter.drawer(), &AtomicBool::new(false));
        let mut drawn = vec![0_u64; to_usize(total.into())];
        std::thread::scope(|scope| {
            let worker = scope.spawn(move || {
                std::iter::from_fn(|| drawer.draw_waiting(retired)).collect::<Vec<u32>>()
            });
            let main: Vec<u32> = std::iter::from_fn(|| counter.draw(comm, true)).collect();
            for index in main.into_iter().chain(worker.join().expect("no panic")) {
                drawn[to_usize(index.into())] += 1;
            }
        });
        comm.all_reduce(Op::Sum, &mut drawn);
        assert!(drawn.iter().all(|&count| count == 1), "{total}: {drawn:?}");
    }
}
