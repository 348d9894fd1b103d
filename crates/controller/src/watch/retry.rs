//! Resumes a watch that breaks: after its own back-off, or at once when an outage of the API server ends. It logs an error once,
//! again when the error changes, and every ten minutes while it lasts.

use super::backoff::WatchBackoff;
use super::outage_probe::{Outage, is_outage};
use crate::metrics::Counters;
use futures::stream::{self, BoxStream, Stream, StreamExt};
use kube::runtime::watcher::{Error, Event, Result};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// If a watch breaks this soon after an outage's end woke it, the wake failed.
const FAILED_WAKE_WITHIN: Duration = Duration::from_secs(10);
/// Pause before such a watch may be woken again. It doubles with each failed wake, up to a minute.
const WAKE_PAUSE: Duration = Duration::from_secs(5);
const MAX_WAKE_PAUSE: Duration = Duration::from_secs(60);
/// How often a lasting error is logged again.
const LOG_AGAIN_AFTER: Duration = Duration::from_secs(600);

/// What the watches of a term share.
#[derive(Debug, Clone, Default)]
pub(super) struct SharedByWatches {
    /// The state of an outage of the API server.
    pub outage: Outage,
    /// How often watches were resumed, by the kind of object.
    pub restarts: Arc<Counters>,
}

struct ResumingWatch<S> {
    watch: S,
    what: String,
    outage: Outage,
    restarts: Arc<Counters>,
    backoff: WatchBackoff,
    pause: Option<Pause>,
    woken_at: Option<Instant>,
    failed_wakes: u32,
    logged: Option<(String, Instant)>,
}

/// How long a watch waits, and which outage's end may end the wait early.
struct Pause {
    lasts: Duration,
    outage: Option<u64>,
}

/// The events of a watch that is resumed whenever it breaks. `what` is the name of the watch in the log.
pub(super) fn resumed<K: Send + 'static>(
    watch: impl Stream<Item = Result<Event<K>>> + Send + 'static,
    what: String,
    SharedByWatches { outage, restarts }: SharedByWatches,
) -> BoxStream<'static, Event<K>> {
    let backoff = WatchBackoff::default();
    let state = ResumingWatch {
        watch: watch.boxed(),
        what,
        outage,
        restarts,
        backoff,
        pause: None,
        woken_at: None,
        failed_wakes: 0,
        logged: None,
    };
    stream::unfold(state, |mut state| async move {
        loop {
            if let Some(pause) = state.pause.take() {
                state.wait(pause).await;
            }
            match state.watch.next().await? {
                Ok(event) => return Some((event, state)),
                Err(error) => state.on_error(&error),
            }
        }
    })
    .boxed()
}

impl<S> ResumingWatch<S> {
    async fn wait(&mut self, pause: Pause) {
        let Some(since) = pause.outage else { return tokio::time::sleep(pause.lasts).await };
        tokio::select! {
            biased;
            () = self.outage.over(since) => self.woken_at = Some(Instant::now()),
            () = tokio::time::sleep(pause.lasts) => {}
        }
    }

    fn on_error(&mut self, error: &Error) {
        let now = Instant::now();
        let since_woken = self.woken_at.map(|woken_at| now.saturating_duration_since(woken_at));
        if since_woken.is_some_and(|since| since < FAILED_WAKE_WITHIN) {
            self.failed_wakes = self.failed_wakes.saturating_add(1);
        } else if since_woken.is_some_and(|since| since > MAX_WAKE_PAUSE) {
            self.failed_wakes = 0;
        }
        let wake_pause = if self.failed_wakes == 0 {
            Duration::ZERO
        } else {
            (WAKE_PAUSE * (1 << (self.failed_wakes - 1).min(5))).min(MAX_WAKE_PAUSE)
        };
        let may_be_woken = is_outage(error) && since_woken.is_none_or(|since| since >= wake_pause);
        let Some(lasts) = self.backoff.next() else { return };
        self.restarts.count([&self.what]);
        self.pause = Some(Pause { lasts, outage: may_be_woken.then(|| self.outage.begins()) });
        self.log(error, now);
    }

    fn log(&mut self, error: &Error, now: Instant) {
        let (what, text) = (&self.what, error.to_string());
        let known = self.logged.as_ref().is_some_and(|(logged, at)| *logged == text && now < *at + LOG_AGAIN_AFTER);
        if known {
            tracing::debug!(%what, error = text, "watch failed, resuming with back-off");
            return;
        }
        let advice = if is_missing(error) { ": is its CRD installed? The chart installs it" } else { "" };
        tracing::warn!(%what, error = text, "watch failed, resuming with back-off{advice}");
        self.logged = Some((text, now));
    }
}

fn is_missing(error: &Error) -> bool {
    let (Error::InitialListFailed(error) | Error::WatchStartFailed(error)) = error else { return false };
    matches!(error, kube::Error::Api(status) if status.code == 404)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn each_resumption_of_a_watch_is_counted_by_its_kind() {
        let broken = || Err(Error::NoResourceVersion);
        let events = [broken(), Ok(Event::Init), broken(), broken(), Ok(Event::InitDone)];
        let shared = SharedByWatches::default();
        let watch = stream::iter::<[Result<Event<u8>>; 5]>(events);
        let seen: Vec<Event<u8>> = resumed(watch, "Node".to_owned(), shared.clone()).collect().await;
        assert!(matches!(seen.as_slice(), [Event::Init, Event::InitDone]), "{seen:?}");
        assert_eq!(format!("{:?}", shared.restarts.rows()), r#"[(["Node"], Count(3))]"#);
    }
}
