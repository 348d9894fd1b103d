//! Waits until a check of the sandbox succeeds, and says meanwhile why it does not.

use super::terminal::Terminal;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// How often a step says what it waits for.
pub const SAY_EVERY: Duration = Duration::from_secs(5);

/// Calls `check` four times a second until it succeeds, and says every few seconds why it did not. After the timeout returns its
/// last error.
pub async fn until<T>(
    terminal: &Terminal,
    what: &str,
    timeout: Duration,
    mut check: impl AsyncFnMut() -> Result<T, String>,
) -> Result<T, String> {
    let end = Instant::now() + timeout;
    let mut said = Instant::now();
    loop {
        match check().await {
            Ok(found) => return Ok(found),
            Err(why) if Instant::now() >= end => {
                return Err(format!("waited {} s for {what}: {why}", timeout.as_secs()));
            }
            Err(why) => {
                terminal.progress(&format!("waiting for {what}: {why}"));
                if said.elapsed() >= SAY_EVERY {
                    terminal.event("waits", &format!("for {what}: {why}"));
                    said = Instant::now();
                }
            }
        }
        sleep(Duration::from_millis(250)).await;
    }
}
