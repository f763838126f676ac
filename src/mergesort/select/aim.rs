//! The search for one cut where the answers of all sequences come together.
//!
//! Samples bound the rank of a key to within one gap a sequence. But in s sequences the gaps hardly ever
//! all err to the same side: the probable error is smaller by about the square root of s. So two keys are
//! probed, a few deviations before and behind the cut, and each sequence tells exactly how many of its
//! items lie before either: a hit narrows the brackets that much further than samples alone could, for a
//! few bytes. The price of a miss is a round. The round behind a miss probes the guaranteed bounds, which
//! cannot miss and lie two gaps a sequence apart: half the bracket behind a hit, and less behind a miss, as
//! more is sampled then. So for n items a sequence there are about 3 + log2(n / 128) rounds at most,
//! whatever the keys are; three or four are usual.

use std::ops::Range;

use crate::num::{to_f64, to_u64, to_usize};

/// How far from the cut to probe, in standard deviations: one pair in twenty misses, and windows twice
/// as wide would cost more than a round more for those.
const DEVIATIONS: f64 = 2.0;

/// Samples between two probes, for each sequence on the average, ...
const SAMPLES: u64 = 4;

/// ... as many behind a miss, ...
const CAREFUL: u64 = 15;

/// ... and for all sequences together, at the least.
const SAMPLES_IN_ALL: u64 = 256;

/// An item whose key is known.
#[derive(Clone, Copy, Debug)]
pub struct Known<K> {
    /// Its key, or what stands for it.
    pub key: K,
    /// Its sequence.
    pub sequence: usize,
    /// Where it stands there.
    pub place: u64,
}

/// What known items tell about their ranks among all items.
#[derive(Debug)]
pub struct Ranks {
    /// Least number of items up to each of them, itself included.
    least: Vec<u64>,
    /// How many more there may be.
    slack: Vec<u64>,
    /// Standard deviation of that, if every number is as likely in each gap.
    deviation: Vec<f64>,
}

impl Ranks {
    /// Of items inside brackets, which lie in the order (key, sequence, place).
    pub fn of<K>(brackets: &[Range<u64>], known: &[Known<K>]) -> Self {
        let mut next: Vec<u64> = brackets.iter().map(|bracket| bracket.end).collect();
        let mut gaps: Vec<u64> = known
            .iter()
            .rev()
            .map(|item| std::mem::replace(&mut next[item.sequence], item.place) - item.place - 1)
            .collect();
        gaps.reverse();
        let mut gap: Vec<u64> =
            next.iter().zip(brackets).map(|(next, bracket)| next - bracket.start).collect();
        let square = |gap: u64| to_f64(gap) * to_f64(gap);
        let mut least: u64 = brackets.iter().map(|bracket| bracket.start).sum();
        let mut slack: u64 = gap.iter().sum();
        let mut squares: f64 = gap.iter().map(|&gap| square(gap)).sum();
        let mut ranks = Self { least: Vec::new(), slack: Vec::new(), deviation: Vec::new() };
        for (item, &behind) in known.iter().zip(&gaps) {
            let before = std::mem::replace(&mut gap[item.sequence], behind);
            least += before + 1;
            slack = slack - before + behind;
            squares += square(behind) - square(before);
            ranks.least.push(least);
            ranks.slack.push(slack);
            ranks.deviation.push((squares.max(0.0) / 12.0).sqrt());
        }
        ranks
    }

    /// The rank of an item, about.
    fn about(&self, at: usize) -> u64 {
        self.least[at] + self.slack[at] / 2
    }

    /// The number of items, from the first on, whose rank as `rank` gives it is below a limit.
    fn below(&self, limit: f64, rank: impl Fn(usize) -> f64) -> usize {
        let (mut low, mut high) = (0, self.least.len());
        while low < high {
            let middle = low.midpoint(high);
            if rank(middle) < limit { low = middle + 1 } else { high = middle }
        }
        low
    }

    /// The items to probe for a cut, on either side of it: those that surely are, or probably.
    fn around(&self, target: u64, surely: bool) -> [Option<usize>; 2] {
        let count = self.least.len();
        let (low, high) = if surely {
            let low = self.least.iter().zip(&self.slack).map(|(least, slack)| least + slack);
            (
                low.take_while(|&most| most <= target).count(),
                self.least.partition_point(|&l| l < target),
            )
        } else {
            let rank = |at: usize| to_f64(self.least[at]) + to_f64(self.slack[at]) / 2.0;
            let target = to_f64(target);
            let nearest = self.below(target, rank).min(count.saturating_sub(1));
            let margin =
                self.deviation.get(nearest).map_or(0.0, |deviation| DEVIATIONS * deviation);
            (self.below(target - margin, rank), self.below(target + margin, rank))
        };
        [low.checked_sub(1), (high < count).then_some(high)]
    }
}

/// How far a sequence goes before and up to the two keys that were probed: four places, ascending.
pub type Levels = [u64; 4];

/// What the counts of all sequences told.
#[derive(Debug, PartialEq, Eq)]
pub enum Told {
    /// The cut.
    Found(Vec<u64>),
    /// Where it is: before the lower key, between the two, behind the upper.
    Within(Segment),
}

/// A part of a bracket, by what was probed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Segment {
    /// Before the lower key.
    Before,
    /// Between the keys.
    Between,
    /// Behind the upper key.
    Behind,
}

impl Segment {
    /// The part of a bracket with these levels.
    pub fn of(self, bracket: &Range<u64>, levels: &Levels) -> Range<u64> {
        match self {
            Self::Before => bracket.start..levels[0],
            Self::Between => levels[1]..levels[2],
            Self::Behind => levels[3]..bracket.end,
        }
    }
}

/// The search for one cut.
#[derive(Clone, Debug)]
pub struct Aim {
    target: u64,
    /// Where in each sequence the cut may be.
    pub brackets: Vec<Range<u64>>,
    /// The last probes missed.
    pub careful: bool,
}

impl Aim {
    /// A cut after so many items of all sequences.
    pub fn new(target: u64, brackets: Vec<Range<u64>>) -> Self {
        Self { target, brackets, careful: false }
    }

    /// Which of the known items to probe, on either side; none where the bracket's end will do.
    pub fn probes(&self, ranks: &Ranks) -> [Option<usize>; 2] {
        ranks.around(self.target, self.careful)
    }

    /// Every how many items to sample between these probes.
    pub fn gap(&self, ranks: &Ranks, probes: [Option<usize>; 2]) -> u64 {
        let end = |side: fn(&Range<u64>) -> u64| self.brackets.iter().map(side).sum();
        let low = probes[0].map_or_else(|| end(|bracket| bracket.start), |at| ranks.about(at));
        let high = probes[1].map_or_else(|| end(|bracket| bracket.end), |at| ranks.about(at));
        let many = if self.careful { CAREFUL } else { SAMPLES } * to_u64(self.brackets.len());
        high.saturating_sub(low).div_ceil(many.max(SAMPLES_IN_ALL)).max(1)
    }

    /// Takes the levels of all sequences.
    pub fn narrow(&mut self, levels: &[Levels]) -> Told {
        let both = || self.brackets.iter().zip(levels);
        let level = |number: usize| -> Vec<u64> {
            both()
                .map(|(bracket, levels)| match number {
                    0 => bracket.start,
                    5 => bracket.end,
                    number => levels[number - 1],
                })
                .collect()
        };
        let mut before = level(0);
        for number in 0..=5 {
            let cut = level(number);
            let sum: u64 = cut.iter().sum();
            if sum == self.target {
                return Told::Found(cut);
            }
            if sum > self.target {
                let segment = match number {
                    1 => Segment::Before,
                    3 => Segment::Between,
                    5 => Segment::Behind,
                    // Equal keys, of which those of earlier sequences come first.
                    _ => return Told::Found(fill(before, &cut, self.target)),
                };
                self.careful = segment != Segment::Between;
                self.brackets =
                    both().map(|(bracket, levels)| segment.of(bracket, levels)).collect();
                return Told::Within(segment);
            }
            before = cut;
        }
        unreachable!("the brackets hold the cut")
    }

    /// The cut, when all items inside the brackets are known.
    pub fn end<K>(&self, known: &[Known<K>]) -> Option<Vec<u64>> {
        let mut cut: Vec<u64> = self.brackets.iter().map(|bracket| bracket.start).collect();
        let inside: u64 = self.brackets.iter().map(|bracket| bracket.end - bracket.start).sum();
        if to_u64(known.len()) < inside {
            return None;
        }
        let wanted = self.target - cut.iter().sum::<u64>();
        known[..to_usize(wanted)].iter().for_each(|item| cut[item.sequence] += 1);
        Some(cut)
    }
}

/// `target` items: those up to `before` and the first of what follows up to `cut`.
fn fill(before: Vec<u64>, cut: &[u64], target: u64) -> Vec<u64> {
    let mut wanted = target - before.iter().sum::<u64>();
    let places = before.into_iter().zip(cut).map(|(before, cut)| {
        let more = wanted.min(cut - before);
        wanted -= more;
        before + more
    });
    places.collect()
}

/// Where a sequence is sampled: every `gap` items, beginning elsewhere in each sequence. Where sequences are
/// alike, samples at the same places would all have about the same keys.
pub fn spread(between: Range<u64>, gap: u64, sequence: usize) -> impl Iterator<Item = u64> {
    // Multiples of the golden section lie evenly in the unit interval, however many there are.
    let part = to_u64(sequence).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
    let offset = if gap >> 32 == 0 { (gap * part) >> 32 } else { 0 };
    (between.start + offset..between.end).step_by(to_usize(gap))
}
