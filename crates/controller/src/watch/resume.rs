//! A watch that breaks is resumed: after its own back-off, or at once when an outage of the API server is over. What is
//! wrong is logged once, when it changes, and every ten minutes while it lasts.

use super::backoff::Patience;
use super::outage::{Outage, is_outage};
use futures::stream::{self, BoxStream, Stream, StreamExt};
use kube::runtime::watcher::{Error, Event, Result};
use std::time::Duration;
use tokio::time::Instant;

/// A watch that breaks again so soon after it was woken was woken in vain.
const VAIN: Duration = Duration::from_secs(10);
/// After the first time in vain it is not woken again for so long; doubled each time, up to a minute.
const DEAF: Duration = Duration::from_secs(5);
const MOST_DEAF: Duration = Duration::from_secs(60);
/// While it lasts it is said so often.
const SAID_AGAIN: Duration = Duration::from_secs(600);

struct Resumed<S> {
    watch: S,
    what: String,
    outage: Outage,
    patience: Patience,
    pause: Option<Pause>,
    woken: Option<Instant>,
    vain: u32,
    said: Option<(String, Instant)>,
}

/// Until when it waits, and what may end that before.
struct Pause {
    lasts: Duration,
    outage: Option<u64>,
}

/// The events of a watch. `what`: what it watches, for the log.
pub(super) fn resumed<K: Send + 'static>(
    watch: impl Stream<Item = Result<Event<K>>> + Send + 'static,
    what: String,
    outage: Outage,
) -> BoxStream<'static, Event<K>> {
    let patience = Patience::default();
    let state = Resumed { watch: watch.boxed(), what, outage, patience, pause: None, woken: None, vain: 0, said: None };
    stream::unfold(state, |mut state| async move {
        loop {
            if let Some(pause) = state.pause.take() {
                state.wait(pause).await;
            }
            match state.watch.next().await? {
                Ok(event) => return Some((event, state)),
                Err(error) => state.broken(&error),
            }
        }
    })
    .boxed()
}

impl<S> Resumed<S> {
    async fn wait(&mut self, pause: Pause) {
        let Some(since) = pause.outage else { return tokio::time::sleep(pause.lasts).await };
        tokio::select! {
            biased;
            () = self.outage.over(since) => self.woken = Some(Instant::now()),
            () = tokio::time::sleep(pause.lasts) => {}
        }
    }

    fn broken(&mut self, error: &Error) {
        let now = Instant::now();
        let since_woken = self.woken.map(|woken| now.saturating_duration_since(woken));
        if since_woken.is_some_and(|since| since < VAIN) {
            self.vain = self.vain.saturating_add(1);
        } else if since_woken.is_some_and(|since| since > MOST_DEAF) {
            self.vain = 0;
        }
        let deaf = if self.vain == 0 { Duration::ZERO } else { (DEAF * (1 << (self.vain - 1).min(5))).min(MOST_DEAF) };
        let may_be_woken = is_outage(error) && since_woken.is_none_or(|since| since >= deaf);
        let Some(lasts) = self.patience.next() else { return };
        self.pause = Some(Pause { lasts, outage: may_be_woken.then(|| self.outage.begins()) });
        self.say(error, now);
    }

    fn say(&mut self, error: &Error, now: Instant) {
        let (what, words) = (&self.what, error.to_string());
        let known = self.said.as_ref().is_some_and(|(said, at)| *said == words && now < *at + SAID_AGAIN);
        if known {
            tracing::debug!(%what, error = words, "watch broken, resumed with back-off");
            return;
        }
        let advice = if is_missing(error) { ": is its CRD installed? The chart brings it" } else { "" };
        tracing::warn!(%what, error = words, "watch broken, resumed with back-off{advice}");
        self.said = Some((words, now));
    }
}

fn is_missing(error: &Error) -> bool {
    let (Error::InitialListFailed(error) | Error::WatchStartFailed(error)) = error else { return false };
    matches!(error, kube::Error::Api(status) if status.code == 404)
}
