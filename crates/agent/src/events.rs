//! Events on ENIAttachments, for what a person has to act on at once: a process holds a device, or a driver does not take it. An Event
//! is published once for each ENIAttachment and reason, until the reason has gone. Publishing is best effort.

use crate::plan::report::{EniReport, Obstacle, Outcome};
use crate::said_once::SaidOnce;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::api::events::v1::Event;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use kube::Client;
use kube::api::{Api, ObjectMeta, PostParams};
use multi_eni_api::names::{GROUP, VERSION, short_digest};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

/// The namespace for events of cluster-scoped objects.
const NAMESPACE: &str = "default";
/// The longest time of a write.
const TIMEOUT: Duration = Duration::from_secs(10);
/// The most bytes of a note; the API server takes 1,024.
const NOTE: usize = 1000;
/// The most characters of the object's name in the name of an Event; the API server takes 253 in all.
const SUBJECT: usize = 220;

/// One Event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewEvent {
    /// Name of the ENIAttachment.
    pub attachment: String,
    /// UID of the ENIAttachment.
    pub uid: String,
    /// A CamelCase word.
    pub reason: &'static str,
    /// A sentence.
    pub note: String,
}

/// What was said already: UID and reason.
#[derive(Debug, Default)]
pub struct Said(BTreeSet<(String, &'static str)>);

impl Said {
    /// The Events for these reports that were not published before.
    pub fn news(&mut self, reports: &[EniReport]) -> Vec<NewEvent> {
        let mut now = BTreeSet::new();
        let mut news = Vec::new();
        for report in reports {
            let Outcome::Blocked(Obstacle::Dpdk(obstacle)) = &report.outcome else { continue };
            if !obstacle.is_for_event() {
                continue;
            }
            let key = (report.uid.clone(), obstacle.reason());
            if !self.0.contains(&key) {
                news.push(NewEvent {
                    attachment: report.attachment.clone(),
                    uid: report.uid.clone(),
                    reason: obstacle.reason(),
                    note: obstacle.to_string(),
                });
            }
            now.insert(key);
        }
        self.0 = now;
        news
    }
}

/// Publishes an Event. A failure is logged once for each text, and nothing is repeated.
pub async fn publish(client: Client, node_name: String, event: NewEvent, refused: Arc<SaidOnce>) {
    let api: Api<Event> = Api::namespaced(client, NAMESPACE);
    let event = object(event, &node_name, Timestamp::now());
    let error = match tokio::time::timeout(TIMEOUT, api.create(&PostParams::default(), &event)).await {
        Ok(Ok(_)) => return refused.forget(),
        Ok(Err(error)) => error.to_string(),
        Err(_) => format!("no answer within {} s", TIMEOUT.as_secs()),
    };
    if refused.is_new(&error) {
        tracing::warn!(error, "an Event cannot be published");
    }
}

fn object(event: NewEvent, node_name: &str, now: Timestamp) -> Event {
    let NewEvent { attachment, uid, reason, mut note } = event;
    while note.len() > NOTE {
        note.pop();
    }
    let unique = format!("{}{:x}", short_digest(&format!("{uid}/{reason}/{node_name}")), now.as_microsecond());
    let kept: String = attachment.chars().take(SUBJECT).collect();
    Event {
        metadata: ObjectMeta {
            name: Some(format!("{}.{unique}", kept.trim_end_matches(['.', '-']))),
            namespace: Some(NAMESPACE.to_owned()),
            ..ObjectMeta::default()
        },
        action: Some("ChangeDriver".to_owned()),
        reason: Some(reason.to_owned()),
        note: Some(note),
        type_: Some("Warning".to_owned()),
        event_time: Some(MicroTime(now)),
        regarding: Some(ObjectReference {
            kind: Some("ENIAttachment".to_owned()),
            api_version: Some(format!("{GROUP}/{VERSION}")),
            name: Some(attachment),
            uid: Some(uid),
            ..ObjectReference::default()
        }),
        reporting_controller: Some("networking.k8s.aws/multi-eni-agent".to_owned()),
        reporting_instance: Some(node_name.chars().take(128).collect()),
        ..Event::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dpdk::obstacle::DpdkObstacle;

    /// The log of a thread.
    #[derive(Clone, Default)]
    struct Log(Arc<std::sync::Mutex<Vec<u8>>>);

    impl std::io::Write for Log {
        fn write(&mut self, text: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(text)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_refused_event_is_a_warning_once() {
        let answer = |_: http::Request<kube::client::Body>| async {
            let status = r#"{"kind":"Status","status":"Failure","message":"events is forbidden","reason":"Forbidden","code":403}"#;
            let body = kube::client::Body::from(status.as_bytes().to_vec());
            http::Response::builder().status(403).body(body).map_err(tower::BoxError::from)
        };
        let (log, refused) = (Log::default(), Arc::<SaidOnce>::default());
        let writer = log.clone();
        let subscriber = tracing_subscriber::fmt().with_ansi(false).with_writer(move || writer.clone()).finish();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        tracing::subscriber::with_default(subscriber, || {
            runtime.block_on(async {
                let client = Client::new(tower::service_fn(answer), "default");
                for reason in ["DeviceHeld", "BindFailed"] {
                    let (attachment, uid, note) = ("a".to_owned(), "u".to_owned(), "n".to_owned());
                    let event = NewEvent { attachment, uid, reason, note };
                    publish(client.clone(), "node".to_owned(), event, Arc::clone(&refused)).await;
                }
            });
        });
        let said = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
        let warnings = said.lines().filter(|line| line.contains(" WARN ")).collect::<Vec<_>>();
        assert!(warnings.len() == 1 && warnings[0].contains("events is forbidden"), "{said}");
    }

    fn report(uid: &str, obstacle: DpdkObstacle) -> EniReport {
        let outcome = Outcome::Blocked(Obstacle::Dpdk(obstacle));
        EniReport {
            attachment: "one".to_owned(),
            uid: uid.to_owned(),
            generation: None,
            mac: None,
            link: None,
            outcome,
        }
    }

    #[test]
    fn a_held_device_is_said_once_until_it_is_free() {
        let mut said = Said::default();
        let held = |text: &str| report("u", DpdkObstacle::DeviceHeld(text.to_owned()));
        assert_eq!(said.news(&[held("by 7")]).len(), 1);
        assert_eq!(
            said.news(&[held("by 7 for longer"), report("v", DpdkObstacle::RestoreFailed("x".to_owned()))]).len(),
            1
        );
        assert_eq!(said.news(&[report("u", DpdkObstacle::InProgress("x".to_owned()))]), []);
        assert_eq!(said.news(&[held("again")])[0].note, "again");
    }

    #[test]
    fn an_event_is_as_the_api_server_takes_it() {
        let event =
            NewEvent { attachment: "a".repeat(253), uid: "u".to_owned(), reason: "DeviceHeld", note: "ü".repeat(900) };
        let event = object(event, &"n".repeat(200), Timestamp::UNIX_EPOCH);
        assert!(event.metadata.name.is_some_and(|name| name.len() <= 253));
        assert!(event.note.is_some_and(|note| note.len() <= NOTE));
        assert!(event.reporting_instance.is_some_and(|instance| instance.len() <= 128));
    }
}
