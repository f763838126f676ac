//! What comes to a rank, copied out of the other ranks' memory.
//!
//! For ranks of one machine that may read each other's memory. With many ranks on few cores what takes the
//! time is waking them for messages; here nobody waits for anybody between the cuts and the end.

use super::buffer::Buffer;
use super::details::Moved;
use super::form::Form;
use super::gather::{self, Came, Costs, Pieces};
use crate::comm::{Comm, Neighbours};
use crate::error::Result;
use crate::measure::clock::Stopwatch;
use crate::num::{to_u64, to_usize};

/// Collective. The neighbours, where items can be had from them without asking: those of one size.
/// `DCOMP_EXCHANGE=messages` forbids it in tests.
pub fn neighbours<'a>(comm: &'a Comm, form: &dyn Form) -> Option<Neighbours<'a>> {
    let forbidden = std::env::var("DCOMP_EXCHANGE").is_ok_and(|way| way == "messages");
    if forbidden || form.item_bytes().is_none() { None } else { comm.neighbours() }
}

/// Copies what comes to this rank, given where each rank's sequences begin in its memory; they must stay
/// there until all ranks have done so. Local.
///
/// # Errors
/// When there is no memory for it, or that of a rank cannot be read.
pub fn fetch(
    neighbours: &Neighbours<'_>,
    addresses: &[Vec<u64>],
    form: &dyn Form,
    pieces: &Pieces,
    costs: &mut Costs,
) -> Result<Vec<Came>> {
    let (me, ranks) = neighbours.place();
    let item = to_u64(form.item_bytes().expect("items of one size"));
    let place = |rank: usize, number: usize| {
        addresses[rank][number] + item * pieces.coming[rank][number].start
    };
    let mut came = Vec::new();
    for number in 0..pieces.most {
        let sizes = pieces.bytes_coming(me, item, number);
        let mut buffer = Buffer::zeroed(sizes.iter().sum())?;
        let places = gather::behind(&sizes);
        let clock = Stopwatch::start();
        // Everybody begins with another.
        for rank in (me + 1..ranks).chain(0..me).map(to_usize).filter(|&rank| sizes[rank] > 0) {
            let from = place(rank, number);
            neighbours.read(to_u64(rank), from, &mut buffer[places[rank].clone()])?;
        }
        costs.wire = costs.wire.and(Moved { bytes: sizes.iter().sum(), seconds: clock.seconds() });
        came.push(gather::parts(form, buffer, &sizes));
    }
    Ok(came)
}
