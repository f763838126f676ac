//! The first `k` items of the merge of sorted lists that are all in memory.

/// How many items of each list are among the first `k` of their merge, in the order (key, list, index):
/// unique, and stable. The pivot is the weighted median of the brackets' middles, which drops a quarter
/// of what is left each time: O(l log l + l log n) a step for l lists, O(log n) steps.
///
/// # Panics
/// When the lists together have fewer than `k` items.
pub fn first<K>(lists: &[&[K]], k: usize, before: impl Fn(&K, &K) -> bool) -> Vec<usize> {
    let mut low = vec![0; lists.len()];
    let mut high: Vec<usize> = lists.iter().map(|list| list.len()).collect();
    let (mut wanted, mut inside) = (k, high.iter().sum::<usize>());
    assert!(k <= inside, "the first {k} of {inside} items");
    let mut cuts = vec![0; lists.len()];
    while wanted > 0 && wanted < inside {
        let (own, place) = pivot(lists, &low, &high, inside, &before);
        let key = &lists[own][place];
        for (at, list) in lists.iter().enumerate() {
            let part = &list[low[at]..high[at]];
            cuts[at] = low[at]
                + match at.cmp(&own) {
                    // Equal keys of earlier lists come before the pivot, those of later ones behind.
                    std::cmp::Ordering::Less => part.partition_point(|item| !before(key, item)),
                    std::cmp::Ordering::Equal => place - low[at],
                    std::cmp::Ordering::Greater => part.partition_point(|item| before(item, key)),
                };
        }
        let smaller: usize = cuts.iter().zip(&low).map(|(cut, low)| cut - low).sum();
        if smaller < wanted {
            cuts[own] += 1;
            wanted -= smaller + 1;
            std::mem::swap(&mut low, &mut cuts);
        } else {
            std::mem::swap(&mut high, &mut cuts);
        }
        inside = high.iter().zip(&low).map(|(high, low)| high - low).sum();
    }
    if wanted == 0 { low } else { high }
}

/// The list and place of the weighted median of the middles of what is left.
fn pivot<K>(
    lists: &[&[K]],
    low: &[usize],
    high: &[usize],
    inside: usize,
    before: &impl Fn(&K, &K) -> bool,
) -> (usize, usize) {
    let left = (0..lists.len()).filter(|&at| low[at] < high[at]);
    let mut middles: Vec<(usize, usize)> =
        left.map(|at| (at, low[at] + (high[at] - low[at]) / 2)).collect();
    middles.sort_unstable_by(|&(one, place), &(other, there)| {
        let (a, b) = (&lists[one][place], &lists[other][there]);
        if before(a, b) {
            std::cmp::Ordering::Less
        } else if before(b, a) {
            std::cmp::Ordering::Greater
        } else {
            one.cmp(&other)
        }
    });
    let mut weight = 0;
    let median = middles.iter().find(|(at, _)| {
        weight += high[*at] - low[*at];
        2 * weight >= inside
    });
    *median.expect("something is left")
}
