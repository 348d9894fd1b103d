//! Makes a seed decide what otherwise depends on the operating system's random numbers: hash keys, jitter, invocation IDs.
//!
//! A history runs on a thread of its own. std's hash keys come from `getrandom`, and so do the order of its maps and tokio's
//! random choices. This binary defines `getrandom` itself, and answers from the seed while a history runs on the calling thread.

use std::cell::Cell;

thread_local! {
    /// The state of this thread's generator; None if no history runs on the thread.
    static STATE: Cell<Option<u64>> = const { Cell::new(None) };
}

/// Makes `seed` decide on this thread from now on. It must be the first call on a new thread, because std draws hash keys only
/// once.
pub fn begin(seed: u64) {
    STATE.set(Some(seed));
    fastrand::seed(seed);
}

/// The next eight bytes of this thread's generator (SplitMix64); None if no history runs on the thread.
fn next() -> Option<[u8; 8]> {
    let state = STATE.get()?.wrapping_add(0x9E37_79B9_7F4A_7C15);
    STATE.set(Some(state));
    let mut z = state;
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    Some((z ^ (z >> 31)).to_le_bytes())
}

/// Replaces libc's function of the same name. While a history runs on this thread, the bytes come from its seed, else from the
/// kernel.
///
/// # Safety
/// As for libc's function: `buffer` must be writable for `length` bytes.
#[unsafe(no_mangle)]
#[allow(unsafe_code, reason = "the signature of libc's getrandom")]
pub unsafe extern "C" fn getrandom(buffer: *mut libc::c_void, length: libc::size_t, flags: libc::c_uint) -> isize {
    let mut written = 0;
    while written < length {
        let Some(bytes) = next() else {
            // SAFETY: the caller guarantees that `buffer` is writable for `length` bytes, which is all that the kernel needs.
            return unsafe { libc::syscall(libc::SYS_getrandom, buffer, length, flags) } as isize;
        };
        let count = bytes.len().min(length - written);
        // SAFETY: `written + count <= length`, and the caller guarantees that `buffer` is writable for `length` bytes.
        unsafe { buffer.cast::<u8>().add(written).copy_from_nonoverlapping(bytes.as_ptr(), count) };
        written += count;
    }
    isize::try_from(written).unwrap_or(isize::MAX)
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    fn order(seed: u64) -> Vec<u32> {
        let history = move || {
            super::begin(seed);
            (0..100).map(|n| (n, ())).collect::<HashMap<u32, ()>>().into_keys().collect()
        };
        std::thread::spawn(history).join().unwrap_or_default()
    }

    #[test]
    fn the_seed_decides_the_order_of_a_map() {
        assert_eq!(order(1), order(1));
        assert_ne!(order(1), order(2));
    }
}
