//! Kills by the thousand, and resumes at other ranks by the hundred: `make campaign`.
//!
//! A failure names its seed; `DCOMP_SEED` begins there. `DCOMP_TEST_ONLY=NAME` takes those computations alone
//! whose names have it in them.

use crate::survive::{self, Kills, Random, SAVING, Scene, Work, killed_in};
use crate::survive_counter;

fn seed(usual: u64) -> u64 {
    std::env::var("DCOMP_SEED").map_or(usual, |text| text.parse().unwrap())
}

fn only() -> Option<String> {
    std::env::var("DCOMP_TEST_ONLY").ok()
}

/// Each computation, and its share of a hundred; a third for each job.
fn works() -> impl Iterator<Item = (&'static Work, u64)> {
    let shares = [17, 17, 9, 34].into_iter().chain([6, 6, 6, 6]);
    let all = survive::WORKS.iter().chain(survive_counter::WORKS).zip(shares);
    all.filter(|(work, _)| only().is_none_or(|name| work.name.contains(&name)))
}

#[test]
#[ignore = "half an hour: make campaign"]
fn killed_a_thousand_times() {
    let begin = seed(20_261_122);
    let (mut all, mut computations) = (Kills::default(), 0);
    for (work, share) in works() {
        let scene = Scene::new(work);
        let (mut kills, mut runs) = (Kills::default(), 0);
        while kills.met < 10 * share {
            let of_run = killed_in(&scene, work, begin + runs);
            scene.forget(work);
            runs += 1;
            kills = Kills { met: kills.met + of_run.met, resumed: kills.resumed + of_run.resumed };
        }
        let Kills { met, resumed } = kills;
        eprintln!(
            "kills {}: {runs} computations from seed {begin} on, {met} kills, {resumed} ended from a \
             checkpoint, the others from the start; 0 wrong, 0 hung, 0 left",
            work.name
        );
        computations += runs;
        all = Kills { met: all.met + met, resumed: all.resumed + resumed };
    }
    eprintln!("kills in all: {all:?} of {computations} computations");
    assert!(only().is_some() || (all.met >= 1000 && all.resumed * 10 > computations));
}

/// Stopped on some ranks, gone on with from the checkpoint on others.
#[test]
#[ignore = "ten minutes: make campaign"]
fn two_hundred_pairs_of_ranks() {
    let begin = seed(20_261_123);
    let counts = [None, Some(1), Some(2), Some(3), Some(4), Some(5), Some(7), Some(8)];
    let mut sum = 0;
    for (work, share) in works() {
        let scene = Scene::new(work);
        let mut random = Random::new(begin);
        let (mut pairs, mut tries) = (0, 0);
        while pairs < 2 * share {
            tries += 1;
            let mut pick = || usize::try_from(random.below(8)).unwrap();
            let (before, after) = (counts[pick()], counts[pick()]);
            let threads = ["1", "2", "3"][pick() % 3];
            let most = 1 << random.below(9);
            let look = (2 + random.below(most)).to_string();
            if before == after {
                continue;
            }
            let context = format!(
                "seed {begin}, try {tries} of {}: stopped at look {look} on {before:?} ranks, gone on with \
                 on {after:?} ranks x {threads} threads",
                work.name
            );
            let stopped = scene.run(work, &SAVING, before).env("DCOMP_STOP_AFTER", &look).run();
            assert!([0, 75].contains(&stopped.code), "{context}: {stopped:#?}");
            if stopped.code == 75 {
                let more = [&SAVING[..], &["--threads", threads]].concat();
                let done = scene.run(work, &more, after).run();
                assert_eq!(done.code, 0, "{context}: {done:#?}");
                pairs += u64::from(scene.resumed(work));
            }
            scene.check(work, &context);
            scene.forget(work);
            assert!(tries < 20 * share, "{}: {pairs} pairs of {tries} tries", work.name);
        }
        eprintln!("pairs {}: {pairs} of {tries} tries from seed {begin}, 0 wrong", work.name);
        sum += pairs;
    }
    assert!(only().is_some() || sum >= 200);
}
