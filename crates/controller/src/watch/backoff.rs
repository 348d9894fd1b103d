//! How long a broken watch waits. kube's own back-off begins anew with every list that is tried, so a list that is always
//! refused would be asked for once a second, for ever.

use kube::runtime::utils::Backoff;
use kube::runtime::watcher::DefaultBackoff;
use std::time::Duration;
use tokio::time::Instant;

/// A watch that has been whole for so long begins with short waits again.
const WHOLE: Duration = Duration::from_secs(10);

/// Waits that grow from a second to half a minute, with jitter, as long as the watch does not stay whole between them.
#[derive(Default)]
pub struct Patience {
    waits: DefaultBackoff,
    /// When the last wait is over.
    over: Option<Instant>,
}

impl Patience {
    fn next_at(&mut self, now: Instant) -> Option<Duration> {
        if self.over.is_some_and(|over| now.saturating_duration_since(over) > WHOLE) {
            self.waits.reset();
        }
        let wait = self.waits.next()?;
        self.over = Some(now + wait);
        Some(wait)
    }
}

impl Iterator for Patience {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        self.next_at(Instant::now())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_always_refused_is_asked_for_less_and_less_and_a_whole_watch_forgives() {
        let (mut patience, mut now) = (Patience::default(), Instant::now());
        let mut waits = Vec::new();
        for _ in 0..12 {
            let wait = patience.next_at(now).unwrap();
            waits.push(wait.as_secs_f64());
            now += wait;
        }
        assert!(waits[0] < 2.0 && waits.iter().sum::<f64>() > 120.0, "{waits:?}");
        assert!(waits.iter().all(|wait| *wait <= 61.0), "{waits:?}");
        let wait = patience.next_at(now + WHOLE + Duration::from_secs(1)).unwrap();
        assert!(wait < Duration::from_secs(2), "{wait:?}");
    }
}
