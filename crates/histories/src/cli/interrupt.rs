//! Ctrl-C: once, and what runs is ended in order; twice, and it ends at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// As shells count it: 128 and SIGINT's number.
pub(super) const INTERRUPTED: u8 = 130;

/// From now on Ctrl-C sets `stop`.
///
/// # Errors
/// If the signal cannot be listened to.
pub(super) fn stops(stop: &Arc<AtomicBool>) -> Result<(), String> {
    let stop = stop.clone();
    let failed = |error: std::io::Error| format!("cannot listen for Ctrl-C: {error}");
    // A runtime of its own: those of the histories have a clock that is not real.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build().map_err(failed)?;
    let mut signals = {
        let _here = runtime.enter();
        tokio::signal::unix::signal(tokio::signal::unix::SignalKind::interrupt()).map_err(failed)?
    };
    let waits = move || {
        runtime.block_on(async {
            signals.recv().await;
            stop.store(true, Ordering::Relaxed);
            eprintln!("no more histories are begun, and those that run are waited for; Ctrl-C again ends at once");
            signals.recv().await;
        });
        std::process::exit(i32::from(INTERRUPTED));
    };
    std::thread::Builder::new().name("ctrl-c".to_owned()).spawn(waits).map(|_| ()).map_err(failed)
}
