//! One error is everybody's: agreement of all ranks before the next collective.

use super::{Comm, Op, host_name};
use crate::error::Result;

impl Comm {
    /// Collective. `Ok` only when every rank brings `Ok`; else every rank gets the same error, that
    /// of the lowest failing rank, with its rank and host and the number of others that failed.
    ///
    /// Call it after every step that can fail on one rank alone and before the next collective.
    ///
    /// # Errors
    /// When any rank brought an error.
    pub fn agree<T>(&self, local: Result<T>) -> Result<T> {
        if self.size() == 1 {
            return local;
        }
        let failed = u64::from(local.is_err());
        let mut lowest = [if local.is_err() { self.rank() } else { self.size() }];
        let mut failures = [failed];
        self.all_reduce(Op::Min, &mut lowest);
        if lowest[0] == self.size() {
            return local;
        }
        self.all_reduce(Op::Sum, &mut failures);
        let mine = local.err().filter(|_| lowest[0] == self.rank());
        let told = mine.map(|mut error| {
            let others = match failures[0] - 1 {
                0 => String::new(),
                more => format!("; {more} more ranks failed"),
            };
            error.message =
                format!("{} (rank {} on {}{others})", error.message, self.rank(), host_name());
            error
        });
        Err(self.share_from(lowest[0], told.as_ref()))
    }

    /// Collective. Root's decision for all ranks: `decide` runs on root alone and its value, or
    /// its error, becomes everybody's.
    ///
    /// # Errors
    /// What `decide` returned on root.
    pub fn decide<T>(&self, decide: impl FnOnce() -> Result<T>) -> Result<T>
    where
        T: serde::Serialize + serde::de::DeserializeOwned,
    {
        if self.size() == 1 {
            return decide();
        }
        let decided = self.is_root().then(decide);
        self.share_from(super::ROOT, decided.as_ref())
    }

    /// Collective. The value of `root`, on all ranks; the others pass `None`.
    fn share_from<T>(&self, root: u64, value: Option<&T>) -> T
    where
        T: serde::Serialize + serde::de::DeserializeOwned,
    {
        let bytes = value.map(|value| serde_json::to_vec(value).expect("plain data serialises"));
        let bytes = self.broadcast_bytes(root, bytes.unwrap_or_default());
        serde_json::from_slice(&bytes).expect("the same type on every rank")
    }
}
