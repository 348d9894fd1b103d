//! Whether a controller leads. Without one nothing would be detached. A holder in the Lease is no proof, because a killed
//! controller stays in it: a renewal that this process sees is. No time of the Lease is compared with the local clock.

use super::rights::Need;
use crate::leader_election::elector::LEASE_NAME;
use futures::{Stream, StreamExt};
use k8s_openapi::api::coordination::v1::Lease;
use kube::runtime::watcher::{self, Event};
use kube::{Api, Client};
use std::collections::BTreeMap;
use std::time::Duration;

/// Longer than a Lease lasts (15 s); a leader renews it every 2 s.
const WAIT: Duration = Duration::from_secs(18);

/// A Lease as the watch shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct SeenLease {
    namespace: String,
    holder: String,
    version: String,
}

/// Whether a controller leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Leader {
    /// This one does.
    Leads(String),
    /// None does: a sentence.
    Nobody(String),
}

/// Looks for a leader: in this namespace, or in all.
pub(super) async fn find(kube: &Client, namespace: Option<&str>) -> Result<Leader, String> {
    let api: Api<Lease> = match namespace {
        Some(namespace) => Api::namespaced(kube.clone(), namespace),
        None => Api::all(kube.clone()),
    };
    let config = watcher::Config::default().fields(&format!("metadata.name={LEASE_NAME}"));
    watched(watcher::watcher(api, config), namespace, WAIT).await
}

async fn watched(
    events: impl Stream<Item = watcher::Result<Event<Lease>>>,
    namespace: Option<&str>,
    wait: Duration,
) -> Result<Leader, String> {
    let mut events = std::pin::pin!(events);
    let mut first: BTreeMap<String, SeenLease> = BTreeMap::new();
    let deadline = tokio::time::Instant::now() + wait;
    loop {
        let event = tokio::select! {
            event = events.next() => event,
            () = tokio::time::sleep_until(deadline) => None,
        };
        match event {
            None => return Ok(Leader::Nobody(not_renewed(&first, namespace, wait))),
            Some(Ok(Event::InitApply(lease) | Event::Apply(lease))) => {
                let seen = read(&lease);
                if is_renewal(first.get(&seen.namespace), &seen) {
                    return Ok(Leader::Leads(format!("{} (Lease {}/{LEASE_NAME})", seen.holder, seen.namespace)));
                }
                first.entry(seen.namespace.clone()).or_insert(seen);
            }
            Some(Ok(Event::InitDone)) if first.values().all(|lease| lease.holder.is_empty()) => {
                return Ok(Leader::Nobody(not_held(&first, namespace)));
            }
            Some(Ok(Event::Init | Event::InitDone | Event::Delete(_))) => {}
            Some(Err(watcher::Error::InitialListFailed(error))) => {
                return Err(Need::ListLease(namespace).failed(&error));
            }
            Some(Err(watcher::Error::WatchStartFailed(error))) => {
                return Err(Need::WatchLease(namespace).failed(&error));
            }
            // The watch is resumed.
            Some(Err(_)) => tokio::time::sleep(Duration::from_millis(200)).await,
        }
    }
}

fn read(lease: &Lease) -> SeenLease {
    let spec = lease.spec.as_ref();
    SeenLease {
        namespace: lease.metadata.namespace.clone().unwrap_or_default(),
        holder: spec.and_then(|spec| spec.holder_identity.clone()).unwrap_or_default(),
        version: lease.metadata.resource_version.clone().unwrap_or_default(),
    }
}

/// Whether somebody has renewed or taken the Lease since it was first seen.
fn is_renewal(first: Option<&SeenLease>, now: &SeenLease) -> bool {
    !now.holder.is_empty() && first.is_some_and(|first| first.version != now.version)
}

fn not_held(leases: &BTreeMap<String, SeenLease>, namespace: Option<&str>) -> String {
    match (leases.keys().next(), namespace) {
        (Some(place), _) => format!("nobody holds the Lease {place}/{LEASE_NAME}"),
        (None, Some(place)) => format!("there is no Lease {place}/{LEASE_NAME}"),
        (None, None) => format!("no namespace has a Lease {LEASE_NAME}"),
    }
}

fn not_renewed(leases: &BTreeMap<String, SeenLease>, namespace: Option<&str>, wait: Duration) -> String {
    match leases.values().find(|lease| !lease.holder.is_empty()) {
        Some(lease) => format!(
            "{} holds the Lease {}/{LEASE_NAME} and has not renewed it for {} s",
            lease.holder,
            lease.namespace,
            wait.as_secs()
        ),
        None => not_held(leases, namespace),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::stream;
    use k8s_openapi::api::coordination::v1::LeaseSpec;
    use kube::api::ObjectMeta;

    fn lease(holder: &str, version: &str) -> Lease {
        Lease {
            metadata: ObjectMeta {
                namespace: Some("ns".into()),
                resource_version: Some(version.into()),
                ..ObjectMeta::default()
            },
            spec: Some(LeaseSpec { holder_identity: Some(holder.into()), ..LeaseSpec::default() }),
        }
    }

    async fn found(events: Vec<Event<Lease>>) -> Leader {
        let events = stream::iter(events.into_iter().map(Ok)).chain(stream::pending());
        watched(events, Some("ns"), Duration::from_millis(20)).await.unwrap()
    }

    fn nobody(leader: Leader) -> String {
        match leader {
            Leader::Nobody(why) => why,
            Leader::Leads(holder) => panic!("{holder} leads"),
        }
    }

    #[tokio::test]
    async fn only_a_renewal_proves_a_leader() {
        let held = || vec![Event::Init, Event::InitApply(lease("a", "1")), Event::InitDone];
        let why = nobody(found(held()).await);
        assert!(why.starts_with("a holds the Lease ns/multi-eni-controller and has not renewed it"), "{why}");
        let renewed = [held(), vec![Event::Apply(lease("a", "2"))]].concat();
        assert_eq!(found(renewed).await, Leader::Leads("a (Lease ns/multi-eni-controller)".into()));
        let released = [held(), vec![Event::Apply(lease("", "2"))]].concat();
        nobody(found(released).await);
    }

    #[tokio::test]
    async fn a_lease_without_a_holder_or_no_lease_is_said_at_once() {
        let free = vec![Event::Init, Event::InitApply(lease("", "1")), Event::InitDone];
        assert_eq!(nobody(found(free).await), "nobody holds the Lease ns/multi-eni-controller");
        assert_eq!(
            nobody(found(vec![Event::Init, Event::InitDone]).await),
            "there is no Lease ns/multi-eni-controller"
        );
    }
}
