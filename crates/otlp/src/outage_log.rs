//! Decides what the log says about a collector that does not take spans: a line when that begins, one every ten minutes, and one
//! when it ends.

use std::time::Duration;
use tokio::time::Instant;

/// How often an outage that lasts is reported.
const REPEAT: Duration = Duration::from_secs(600);

/// Whether a collector takes spans, and when that was last reported.
#[derive(Debug, Default)]
pub(crate) struct OutageLog {
    reported: Option<Instant>,
}

impl OutageLog {
    /// An export has failed. Returns whether to report that.
    pub(crate) fn failed(&mut self, now: Instant) -> bool {
        let is_due = self.reported.is_none_or(|reported| now.duration_since(reported) >= REPEAT);
        if is_due {
            self.reported = Some(now);
        }
        is_due
    }

    /// An export has succeeded. Returns whether to report that.
    pub(crate) fn succeeded(&mut self) -> bool {
        self.reported.take().is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_outage_is_reported_once_then_every_ten_minutes_and_its_end_once() {
        let (start, mut log) = (Instant::now(), OutageLog::default());
        assert!(!log.succeeded());
        let minutes = [0, 1, 9, 10, 19, 20].map(|minutes| log.failed(start + Duration::from_secs(minutes * 60)));
        assert_eq!(minutes, [true, false, false, true, false, true]);
        assert_eq!([log.succeeded(), log.succeeded()], [true, false]);
        assert!(log.failed(start + Duration::from_secs(21 * 60)));
    }
}
