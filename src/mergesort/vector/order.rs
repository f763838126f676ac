//! Whether keys are in order already.
//!
//! Plain loops over blocks without a branch inside, which the compiler vectorises for the features
//! of the function they are inlined into. An unordered input is left after its first bad block,
//! which costs up to a block of comparisons too many.

/// Keys whose comparisons are combined before the result is looked at.
const BLOCK: usize = 64;

/// How the keys of a slice stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Order {
    /// No key is less than the one before; so are no keys, a single key and equal keys.
    Ascending,
    /// Each of two or more keys is less than the one before, so reversing sorts them.
    Descending,
    /// Anything else.
    Neither,
}

/// Says how the keys stand, and leaves soon if they are in no order.
#[inline]
pub fn ordered<K: Copy + Ord>(keys: &[K]) -> Order {
    match keys {
        [first, second, ..] if second < first => {
            if holds(keys, |a, b| b < a) {
                Order::Descending
            } else {
                Order::Neither
            }
        }
        _ if holds(keys, |a, b| a <= b) => Order::Ascending,
        _ => Order::Neither,
    }
}

/// Whether the relation holds for every key and the next.
#[inline]
fn holds<K: Copy>(keys: &[K], relation: impl Fn(K, K) -> bool) -> bool {
    let next = keys.get(1..).unwrap_or_default();
    keys.chunks(BLOCK)
        .zip(next.chunks(BLOCK))
        .all(|(a, b)| a.iter().zip(b).fold(true, |so_far, (&a, &b)| so_far & relation(a, b)))
}
