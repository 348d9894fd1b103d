//! The back-off of a broken watch. kube's own back-off restarts with each attempt to list, so a list that is always refused would
//! be asked for once a second without end.

use kube::runtime::utils::Backoff;
use kube::runtime::watcher::DefaultBackoff;
use std::time::Duration;
use tokio::time::Instant;

/// A watch that works for this long starts with short waits again.
const WORKS_AFTER: Duration = Duration::from_secs(10);

/// Waits that grow from a second to half a minute, with jitter, while the watch breaks again soon after each wait.
#[derive(Default)]
pub struct WatchBackoff {
    waits: DefaultBackoff,
    /// When the last wait ends.
    ends_at: Option<Instant>,
}

impl WatchBackoff {
    fn next_at(&mut self, now: Instant) -> Option<Duration> {
        if self.ends_at.is_some_and(|ends_at| now.saturating_duration_since(ends_at) > WORKS_AFTER) {
            self.waits.reset();
        }
        let wait = self.waits.next()?;
        self.ends_at = Some(now + wait);
        Some(wait)
    }
}

impl Iterator for WatchBackoff {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        self.next_at(Instant::now())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_while_a_watch_fails_and_restart_after_it_worked() {
        let (mut backoff, mut now) = (WatchBackoff::default(), Instant::now());
        let mut waits = Vec::new();
        for _ in 0..12 {
            let wait = backoff.next_at(now).unwrap();
            waits.push(wait.as_secs_f64());
            now += wait;
        }
        assert!(waits[0] < 2.0 && waits.iter().sum::<f64>() > 120.0, "{waits:?}");
        assert!(waits.iter().all(|wait| *wait <= 61.0), "{waits:?}");
        let wait = backoff.next_at(now + WORKS_AFTER + Duration::from_secs(1)).unwrap();
        assert!(wait < Duration::from_secs(2), "{wait:?}");
    }
}
