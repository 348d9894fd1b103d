//! The end of an outage of the API server. A watch that breaks waits for itself, longer and longer, so after an outage the
//! last one would resume long after the API server does. While any watch is broken for want of an answer, one cheap request
//! is sent every few seconds; its success wakes them all. While all is well nothing is sent, and a watch that is refused
//! (403, 404, 410) is no outage: its waits grow.

use futures::stream::{self, BoxStream, StreamExt};
use kube::Client;
use kube::runtime::watcher::Error;
use multi_eni_api::names::short_digest;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::Notify;

/// Time between two probes; up to a half more.
const PROBE_EVERY: Duration = Duration::from_secs(2);
/// A probe that is not answered within this time has failed.
const PROBE_TIMEOUT: Duration = Duration::from_secs(3);

/// What the watches of one term know together.
#[derive(Debug, Clone, Default)]
pub(super) struct Outage(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    is_on: AtomicBool,
    /// Outages that have ended.
    ended: AtomicU64,
    begun: Notify,
    over: Notify,
}

impl Outage {
    /// A watch got no answer. What [`over`](Self::over) is to be asked with.
    pub fn begins(&self) -> u64 {
        if !self.0.is_on.swap(true, Ordering::AcqRel) {
            self.0.begun.notify_one();
        }
        self.0.ended.load(Ordering::Acquire)
    }

    /// Until the API server answers again.
    pub async fn over(&self, since: u64) {
        loop {
            let over = self.0.over.notified();
            if self.0.ended.load(Ordering::Acquire) != since {
                return;
            }
            over.await;
        }
    }

    /// Probes while there is an outage; one item at the end of each. `seed` tells processes apart.
    pub fn ends(self, client: Client, seed: String) -> BoxStream<'static, ()> {
        stream::unfold((self, client, seed, 0_u64), |(outage, client, seed, mut probes)| async move {
            while !outage.0.is_on.load(Ordering::Acquire) {
                outage.0.begun.notified().await;
            }
            loop {
                probes += 1;
                tokio::time::sleep(pause(&seed, probes)).await;
                if answers(&client).await {
                    break;
                }
            }
            outage.0.is_on.store(false, Ordering::Release);
            outage.0.ended.fetch_add(1, Ordering::AcqRel);
            outage.0.over.notify_waiters();
            tracing::info!("the API server answers again: all watches resume");
            Some(((), (outage, client, seed, probes)))
        })
        .boxed()
    }
}

/// The pause before a probe.
fn pause(seed: &str, probes: u64) -> Duration {
    let part = u32::from_str_radix(&short_digest(&format!("{seed}/{probes}")), 16).unwrap_or(0) % 512;
    PROBE_EVERY + PROBE_EVERY * part / 1024
}

/// Whether the API server is ready. Where `/readyz` is not for us, that it refuses is an answer too.
async fn answers(client: &Client) -> bool {
    let Ok(request) = http::Request::get("/readyz").body(Vec::new()) else { return false };
    match tokio::time::timeout(PROBE_TIMEOUT, client.request_text(request)).await {
        Ok(Ok(_)) => true,
        Ok(Err(kube::Error::Api(status))) => status.code < 500 && status.code != 429,
        Ok(Err(_)) | Err(_) => false,
    }
}

/// No answer, or an error of the API server itself.
pub(super) fn is_outage(error: &Error) -> bool {
    let of_server = |code: u16| code >= 500 || code == 429;
    match error {
        Error::InitialListFailed(error) | Error::WatchStartFailed(error) | Error::WatchFailed(error) => match error {
            kube::Error::Api(status) => of_server(status.code),
            // Answered, and not understood.
            kube::Error::SerdeError(_) | kube::Error::FromUtf8(_) => false,
            _ => true,
        },
        Error::WatchError(status) => of_server(status.code),
        Error::NoResourceVersion => false,
    }
}
