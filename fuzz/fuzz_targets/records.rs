//! Any records of any layout, sorted with the standard library's and with vector instructions, and merged
//! from two halves, against the standard library's stable sort.
//!
//! The first bytes of the input are the sizes of record and key and how few values bytes have.
#![no_main]

use dcomp::mergesort::form::{Form, Records};
use dcomp::mergesort::records::{Layout, sort, sort_with};
use dcomp::mergesort::vector::{self, Isa};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let Some((&[size, key, values], bytes)) = input.split_first_chunk() else { return };
    let size = 1 + usize::from(size % 40);
    let key = 1 + usize::from(key) % size;
    let layout = Layout::new(size, key).expect("a key within the record");
    let whole = bytes.len() / size * size;
    let items: Vec<u8> = bytes[..whole].iter().map(|byte| byte % values.max(1)).collect();
    let mut want: Vec<&[u8]> = items.chunks_exact(size).collect();
    want.sort_by_key(|record| &record[..key]);
    let want = want.concat();
    let mut out = vec![0xEE; whole];
    sort(&items, layout, &mut out);
    assert_eq!(out, want);
    for isa in Isa::available() {
        sort_with(&items, layout, &mut out, |words| vector::sort(isa, words));
        assert_eq!(out, want, "{isa}");
    }
    let (front, back) = items.split_at(whole / size / 2 * size);
    let (mut first, mut second) = (vec![0; front.len()], vec![0; back.len()]);
    sort(front, layout, &mut first);
    sort(back, layout, &mut second);
    Records::new(layout, false, false).merge(&[&first, &second], &mut out);
    assert_eq!(out, want, "merged");
});
