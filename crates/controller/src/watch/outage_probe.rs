//! Detects the end of an API server outage. Each broken watch waits with its own growing back-off, so without this the last watch
//! would resume long after the API server does. While any watch is broken because the API server does not answer, one cheap
//! request is sent every few seconds; its success wakes all watches. A refusal (403, 404, 410) is no outage: the back-off of that
//! watch grows. Without an outage no request is sent.

use futures::stream::{self, BoxStream, StreamExt};
use kube::Client;
use kube::runtime::watcher::Error;
use multi_eni_api::names::short_digest;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::Notify;

/// Time between two probes. Jitter adds up to half of it.
const PROBE_EVERY: Duration = Duration::from_secs(2);
/// Timeout of a probe.
const PROBE_TIMEOUT: Duration = Duration::from_secs(3);

/// The state of an outage, shared by all watches of a term.
#[derive(Debug, Clone, Default)]
pub(super) struct Outage(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    is_on: AtomicBool,
    /// How many outages have ended.
    ended: AtomicU64,
    begun: Notify,
    over: Notify,
}

impl Outage {
    /// Notes that a watch got no answer. Returns the argument for [`over`](Self::over).
    pub fn begins(&self) -> u64 {
        if !self.0.is_on.swap(true, Ordering::AcqRel) {
            self.0.begun.notify_one();
        }
        self.0.ended.load(Ordering::Acquire)
    }

    /// Completes when the API server answers again.
    pub async fn over(&self, since: u64) {
        loop {
            let over = self.0.over.notified();
            if self.0.ended.load(Ordering::Acquire) != since {
                return;
            }
            over.await;
        }
    }

    /// Probes during an outage, and yields one item at the end of each outage. `seed` differs between processes.
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
            tracing::info!("API server answers again, resuming all watches");
            Some(((), (outage, client, seed, probes)))
        })
        .boxed()
    }
}

/// The wait before a probe.
fn pause(seed: &str, probes: u64) -> Duration {
    let part = u32::from_str_radix(&short_digest(&format!("{seed}/{probes}")), 16).unwrap_or(0) % 512;
    PROBE_EVERY + PROBE_EVERY * part / 1024
}

/// Whether the API server is ready. A refusal of `/readyz` because of missing rights counts as an answer.
async fn answers(client: &Client) -> bool {
    let Ok(request) = http::Request::get("/readyz").body(Vec::new()) else { return false };
    match tokio::time::timeout(PROBE_TIMEOUT, client.request_text(request)).await {
        Ok(Ok(_)) => true,
        Ok(Err(kube::Error::Api(status))) => status.code < 500 && status.code != 429,
        Ok(Err(_)) | Err(_) => false,
    }
}

/// Whether the API server gave no answer, or reported an error of its own.
pub(super) fn is_outage(error: &Error) -> bool {
    let of_server = |code: u16| code >= 500 || code == 429;
    match error {
        Error::InitialListFailed(error) | Error::WatchStartFailed(error) | Error::WatchFailed(error) => match error {
            kube::Error::Api(status) => of_server(status.code),
            // It did answer, but the answer cannot be parsed.
            kube::Error::SerdeError(_) | kube::Error::FromUtf8(_) => false,
            _ => true,
        },
        Error::WatchError(status) => of_server(status.code),
        Error::NoResourceVersion => false,
    }
}
