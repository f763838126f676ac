//! The C library's heap: keep what was freed, and take large pages for large things.
//!
//! Rounds of work free and take the same tens of megabytes again. By default the C library gives them
//! back to the system in between, and each page then comes anew, by a page fault and zeroed: 3 to 5 %
//! of the time of a 4096 x 3072 picture. Kept pages cost nothing: the peak stays the same.

/// Keeps freed memory below 32 MiB a piece for the next round. Called once, before threads start.
pub fn keep_freed() {
    /// The largest threshold that the library takes on 64-bit machines.
    const LARGEST_KEPT: i32 = 32 << 20;
    give_back_from(LARGEST_KEPT, i32::MAX);
}

/// Gives back at once what has a mebibyte or more: for work whose rounds take pieces of many sizes, by many
/// threads, whose heaps do not share what each keeps. Called before threads start.
pub fn give_back_freed() {
    /// A piece that is worth a call of the system.
    const LARGE: i32 = 1 << 20;
    give_back_from(LARGE, LARGE);
}

/// Freed pieces of `piece` bytes, and so many in a row at the heap's end, go back to the system.
#[cfg_attr(not(all(target_os = "linux", target_env = "gnu")), expect(unused_variables))]
#[allow(unsafe_code)]
fn give_back_from(piece: i32, end: i32) {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    {
        use nix::libc::{M_MMAP_THRESHOLD, M_TRIM_THRESHOLD, mallopt};
        // SAFETY: mallopt only sets parameters of the allocator, and no other thread runs yet. When it
        // refuses, everything works as before, only slower.
        unsafe {
            mallopt(M_MMAP_THRESHOLD, piece);
            mallopt(M_TRIM_THRESHOLD, end);
        }
    }
}

/// Least size that is worth large pages: some of them.
const HUGE_BYTES: usize = 8 << 20;

/// Asks for large pages under memory that was just taken and not touched yet: 512 times fewer page
/// faults, and fewer misses of the page tables when it is read in any order. A wish: where the system does
/// not fulfil it, everything works as before.
#[allow(unsafe_code)]
pub fn prefer_huge_pages<T>(memory: &mut [T]) {
    #[cfg(target_os = "linux")]
    {
        use nix::libc::{MADV_HUGEPAGE, madvise};
        const PAGE: usize = 4096;
        let bytes = size_of_val(memory);
        if bytes < HUGE_BYTES {
            return;
        }
        let start = memory.as_mut_ptr().cast::<u8>();
        let skip = start.align_offset(PAGE);
        // SAFETY: the range lies inside the memory that is borrowed, begins at a page, and the advice does
        // not change what it holds.
        unsafe {
            madvise(start.add(skip).cast(), (bytes - skip) / PAGE * PAGE, MADV_HUGEPAGE);
        }
    }
}
