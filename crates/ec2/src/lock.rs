//! A mutex that is never held across an await and outlives a panic of another holder.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Locks; the data behind is plain and stays usable if another holder panicked.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
