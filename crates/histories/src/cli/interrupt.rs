//! Handles Ctrl-C. The first one lets running histories end and starts no more; the second one ends the program at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// The exit status after Ctrl-C, as shells count it: 128 plus SIGINT's number.
pub(super) const INTERRUPTED: u8 = 130;

/// From now on Ctrl-C sets `stop`.
///
/// # Errors
/// If the program cannot listen for the signal.
pub(super) fn stops(stop: &Arc<AtomicBool>) -> Result<(), String> {
    let stop = stop.clone();
    let failed = |error: std::io::Error| format!("cannot listen for Ctrl-C: {error}");
    // This needs a runtime of its own, because the clocks of the histories' runtimes are simulated.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build().map_err(failed)?;
    let mut signals = {
        let _here = runtime.enter();
        tokio::signal::unix::signal(tokio::signal::unix::SignalKind::interrupt()).map_err(failed)?
    };
    let waits = move || {
        runtime.block_on(async {
            signals.recv().await;
            stop.store(true, Ordering::Relaxed);
            eprintln!("starting no more histories, waiting for those that run; press Ctrl-C again to stop at once");
            signals.recv().await;
        });
        std::process::exit(i32::from(INTERRUPTED));
    };
    std::thread::Builder::new().name("ctrl-c".to_owned()).spawn(waits).map(|_| ()).map_err(failed)
}
