//! What the operating system decides by chance elsewhere, a seed decides here: hash keys, jitter, invocation IDs.
//!
//! A history runs on a thread of its own. std's hash keys, and with them the order of its maps and tokio's random
//! choices, come from `getrandom`, which this binary answers itself while a history runs on the thread.

use std::cell::Cell;

thread_local! {
    /// The state of this thread's generator, if a history runs on it.
    static STATE: Cell<Option<u64>> = const { Cell::new(None) };
}

/// Lets `seed` decide on this thread from now on. Call it first thing on a fresh thread: hash keys are drawn once.
pub fn begin(seed: u64) {
    STATE.set(Some(seed));
    fastrand::seed(seed);
}

/// The next eight bytes of this thread's history, if one runs (SplitMix64).
fn next() -> Option<[u8; 8]> {
    let state = STATE.get()?.wrapping_add(0x9E37_79B9_7F4A_7C15);
    STATE.set(Some(state));
    let mut z = state;
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    Some((z ^ (z >> 31)).to_le_bytes())
}

/// Stands in for libc's function of that name: by the seed while a history runs on this thread, else by the kernel.
///
/// # Safety
/// As libc's: `buffer` must be writable for `length` bytes.
#[unsafe(no_mangle)]
#[allow(unsafe_code, reason = "the signature of libc's getrandom")]
pub unsafe extern "C" fn getrandom(buffer: *mut libc::c_void, length: libc::size_t, flags: libc::c_uint) -> isize {
    let mut written = 0;
    while written < length {
        let Some(bytes) = next() else {
            // SAFETY: the caller's promise, handed on to the kernel.
            return unsafe { libc::syscall(libc::SYS_getrandom, buffer, length, flags) } as isize;
        };
        let count = bytes.len().min(length - written);
        // SAFETY: written + count <= length, for which the caller has promised the buffer to be writable.
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
    fn the_order_of_a_map_is_the_seeds() {
        assert_eq!(order(1), order(1));
        assert_ne!(order(1), order(2));
    }
}
