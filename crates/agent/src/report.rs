//! Writes the agent's part of the status: `status.node` and the condition Configured, by server-side apply with a field manager of
//! its own. An ENIAttachment costs two writes or fewer in the normal case: what is about to change is not reported.

use crate::plan::report::{EniReport, Obstacle, Outcome};
use crate::status::AgentStatus;
use crate::watch::{Entry, Reported};
use jiff::Timestamp;
use kube::Client;
use kube::api::{Api, ApiResource, DynamicObject, Patch, PatchParams};
use multi_eni_api::ENIAttachment;
use multi_eni_api::conditions;
use multi_eni_api::names::{AGENT_FIELD_MANAGER, GROUP, VERSION};
use serde_json::json;
use std::collections::BTreeMap;
use std::time::Duration;

/// How long a link may take to appear, once the ENIAttachment says Attached, before its absence is reported.
const APPEARANCE: Duration = Duration::from_secs(15);
/// The longest time of a write.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Which absences are old enough to be reported.
#[derive(Debug, Default)]
pub struct Absences(BTreeMap<String, Duration>);

impl Absences {
    /// Whether the report is to be written now. `now` is the time since the start of the process.
    pub fn is_due(&mut self, report: &EniReport, entry: &Entry, now: Duration) -> bool {
        // An ENIAttachment that is being deleted asks for nothing, but its device may still be on the way back.
        if entry.wanted.is_none() {
            self.0.remove(&report.uid);
            return true;
        }
        // The controller's own conditions say that the ENI is not created yet.
        let Some(wanted) = entry.wanted.as_ref().filter(|wanted| wanted.mac.is_some()) else {
            self.0.remove(&report.uid);
            return false;
        };
        if report.outcome != Outcome::Blocked(Obstacle::LinkAbsent) {
            self.0.remove(&report.uid);
            return true;
        }
        if !wanted.is_attached {
            self.0.remove(&report.uid);
            return entry.reported.configured.is_some();
        }
        let since = *self.0.entry(report.uid.clone()).or_insert(now);
        entry.reported.configured.is_some() || now.saturating_sub(since) >= APPEARANCE
    }

    /// Forgets ENIAttachments that are gone.
    pub fn retain(&mut self, is_there: impl Fn(&str) -> bool) {
        self.0.retain(|uid, _| is_there(uid));
    }
}

/// The agent's part as it should be stored, if it differs from what is stored.
pub fn difference(status: &AgentStatus, generation: Option<i64>, entry: &Entry, now: Timestamp) -> Option<Reported> {
    let mut list: Vec<_> = entry.reported.configured.clone().into_iter().collect();
    conditions::set(&mut list, status.configured.clone(), generation, now);
    let next = Reported { node: Some(status.node.clone()), configured: list.pop() };
    (next != entry.reported).then_some(next)
}

/// Writes the agent's part.
///
/// # Errors
/// A sentence, if the API server does not take it. An object that is gone is no error.
pub async fn write(client: &Client, name: &str, uid: &str, next: &Reported) -> Result<(), String> {
    // The answer is not read as an ENIAttachment: a newer controller may have words in it that this agent does not know.
    let api: Api<DynamicObject> = Api::all_with(client.clone(), &ApiResource::erase::<ENIAttachment>(&()));
    let patch = json!({
        "apiVersion": format!("{GROUP}/{VERSION}"),
        "kind": "ENIAttachment",
        // The UID: another object of the same name must not get this report.
        "metadata": { "uid": uid },
        "status": { "node": next.node, "conditions": next.configured.iter().collect::<Vec<_>>() },
    });
    let params = PatchParams::apply(AGENT_FIELD_MANAGER).force();
    let patch = Patch::Apply(patch);
    match tokio::time::timeout(TIMEOUT, api.patch_status(name, &params, &patch)).await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(kube::Error::Api(status))) if status.code == 404 || status.code == 409 => Ok(()),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err(format!("no answer within {} s", TIMEOUT.as_secs())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::status::agent_status;
    use crate::wanted::WantedEni;

    fn report(outcome: Outcome) -> EniReport {
        EniReport { attachment: "one".to_owned(), uid: "u".to_owned(), generation: Some(1), link: None, outcome }
    }

    fn entry(reported: Reported) -> Entry {
        let object = json!({
            "apiVersion": "networking.k8s.aws/v1alpha1", "kind": "ENIAttachment", "metadata": { "name": "one", "uid": "u" },
            "spec": { "nodeName": "n", "nodeUID": "u", "instanceID": "i-1", "nodeENIName": "a", "nodeENIUID": "b",
                "request": { "subnetID": "subnet-00000001", "deviceIndex": 1 } },
            "status": { "phase": "Attached", "macAddress": "02:00:00:00:00:01" },
        });
        let wanted = WantedEni::read(&serde_json::from_value(object).unwrap());
        Entry { wanted, uid: "u".to_owned(), reported }
    }

    /// The same, changed.
    fn entry_with(change: impl FnOnce(&mut WantedEni)) -> Entry {
        let mut entry = entry(Reported::default());
        change(entry.wanted.as_mut().unwrap());
        entry
    }

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(seconds).unwrap()
    }

    #[test]
    fn the_same_report_is_written_once_and_the_time_is_that_of_the_last_transition() {
        let status = |outcome| agent_status(&report(outcome), &[], "boot");
        let first = difference(&status(Outcome::Configured), Some(1), &entry(Reported::default()), at(5)).unwrap();
        let stored = entry(first.clone());
        assert_eq!(difference(&status(Outcome::Configured), Some(1), &stored, at(9)), None);
        let second = difference(&status(Outcome::NotManaged), Some(1), &stored, at(9)).unwrap();
        assert_eq!(second.configured.unwrap().last_transition_time, first.configured.unwrap().last_transition_time);
    }

    #[test]
    fn a_link_that_is_about_to_appear_is_not_reported_absent() {
        let (mut absences, absent) = (Absences::default(), report(Outcome::Blocked(Obstacle::LinkAbsent)));
        let mut is_due = |entry: &Entry, seconds| absences.is_due(&absent, entry, Duration::from_secs(seconds));
        // EC2 may take minutes between the MAC address and Attached. They do not count.
        let attaching = entry_with(|wanted| wanted.is_attached = false);
        assert!(!is_due(&attaching, 1));
        assert!(!is_due(&attaching, 600));
        let attached = entry(Reported::default());
        assert!(!is_due(&attached, 601));
        assert!(!is_due(&attached, 615));
        assert!(is_due(&attached, 616));
        // A link that was there is reported at once.
        let status = agent_status(&report(Outcome::Configured), &[], "boot");
        let before = difference(&status, None, &attached, at(0)).unwrap();
        assert!(Absences::default().is_due(&absent, &entry(before), Duration::ZERO));
    }

    #[test]
    fn an_eniattachment_that_is_being_deleted_says_what_becomes_of_its_device() {
        let deleted = Entry { wanted: None, ..entry(Reported::default()) };
        let restored = report(Outcome::Restored { device: "0000:00:06.0".to_owned() });
        assert!(Absences::default().is_due(&restored, &deleted, Duration::ZERO));
    }

    #[test]
    fn an_eni_that_does_not_exist_yet_is_not_reported_whatever_the_outcome() {
        let without_mac = entry_with(|wanted| wanted.mac = None);
        for outcome in [
            Outcome::Blocked(Obstacle::NoMac),
            Outcome::Blocked(Obstacle::Unusable("why".to_owned())),
            Outcome::NotManaged,
        ] {
            let mut absences = Absences::default();
            for seconds in [0, 600] {
                assert!(!absences.is_due(&report(outcome.clone()), &without_mac, Duration::from_secs(seconds)));
            }
        }
    }
}
