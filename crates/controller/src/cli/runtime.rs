//! The async runtimes of the commands, and the signals that end a command.

use miette::IntoDiagnostic;
use tokio::signal::unix::{SignalKind, signal};

/// A runtime with a thread for each core.
pub(super) fn runtime() -> miette::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().into_diagnostic()
}

/// A runtime on this thread alone. The controller decides on one task anyway. A thread for each core of a large node, each with
/// its own share of the heap, would only cost memory.
pub(super) fn runtime_on_this_thread() -> miette::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread().enable_all().build().into_diagnostic()
}

/// A runtime with one thread of its own, for the parsing of large answers of EC2: the thread that decides does not wait for it.
pub(super) fn runtime_on_one_more_thread() -> miette::Result<tokio::runtime::Runtime> {
    let builder = &mut tokio::runtime::Builder::new_multi_thread();
    builder.worker_threads(1).thread_name("ec2-pages").enable_all().build().into_diagnostic()
}

/// Completes on SIGINT or SIGTERM.
pub(super) async fn interrupted() {
    let terminated = async {
        match signal(SignalKind::terminate()) {
            Ok(mut signal) => drop(signal.recv().await),
            Err(_) => std::future::pending().await,
        }
    };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        () = terminated => {}
    }
}
