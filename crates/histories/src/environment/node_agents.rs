//! The node agents of a history: one actor that reports for all nodes. It reports on time, late, wrong first, several times, about a
//! former ENI, or not at all before the faults stop. It gives the devices of deleted ENIAttachments back at once, late, or never. It
//! decides by a digest of the seed and of what a report is about, so that other parts of the history do not change its reports.

use super::Environment;
use super::api_client::ApiClient;
use super::api_resources::eniattachments;
use crate::script::Millis;
use fastrand::Rng;
use jiff::Timestamp;
use multi_eni_api::ENIAttachment;
use multi_eni_api::conditions::{self, ConditionUpdate, types};
use multi_eni_api::eniattachment::Phase;
use multi_eni_api::names::{AGENT_FIELD_MANAGER, GROUP, VERSION};
use multi_eni_api::node_config::{NodeMode, mode_of};
use multi_eni_api::node_status::NodeStatus;
use multi_eni_plan::write_history::digest;
use serde::Deserialize;
use serde_json::json;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How often the agents look for something to report.
const EVERY: Duration = Duration::from_millis(500);
/// How long after the faults stop each agent reports what is so.
const AFTER_CALM: Millis = 2_000;
/// The MAC address of an ENI that is gone.
const FORMER: &str = "02:ff:ff:ff:ff:ff";

/// The node agents. Clones share one state.
#[derive(Clone)]
pub struct NodeAgents(Arc<Mutex<Agents>>);

struct Agents {
    seed: u64,
    /// How often each instance has rebooted.
    boots: BTreeMap<String, u32>,
    /// Since when there is each ENI in each boot.
    since: BTreeMap<Subject, Millis>,
    /// Since when each device is to be given back.
    leaving: BTreeMap<Subject, Millis>,
    calm_at: Option<Millis>,
}

/// What reports are about: the UID of the ENIAttachment, the MAC address and the boot.
type Subject = (String, String, u32);

/// What an agent says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Report {
    Configured,
    /// The link is configured, and this is about another ENI.
    OfFormerEni,
    Failed,
    /// A process holds the device that is to be given back.
    Held,
    /// The device has its kernel driver again.
    Restored,
}

/// The boot of an instance that has rebooted so often.
pub(super) fn boot_id(boot: u32) -> String {
    format!("boot-{boot}")
}

impl NodeAgents {
    /// The agents of a history.
    pub fn new(seed: u64) -> Self {
        let (boots, since, leaving) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        Self(Arc::new(Mutex::new(Agents { seed, boots, since, leaving, calm_at: None })))
    }

    /// An instance reboots: its agent starts anew. Returns how often the instance has rebooted.
    pub fn reboot(&self, instance: &str) -> u32 {
        let mut agents = self.lock();
        let boot = agents.boots.entry(instance.to_owned()).or_default();
        *boot += 1;
        *boot
    }

    /// The faults stop.
    pub fn calm(&self, now: Millis) {
        self.lock().calm_at = Some(now);
    }

    fn lock(&self) -> MutexGuard<'_, Agents> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reports until the history ends.
    pub async fn run(self, environment: Environment) {
        let client = ApiClient::node_agent(&environment.api);
        let (mut version, mut due) = (None, None);
        loop {
            tokio::time::sleep(EVERY).await;
            let (stored, now) = (environment.api.resource_version(), environment.now());
            let is_calm = self.lock().calm_at.is_some();
            if version == Some((stored, is_calm)) && due.is_none_or(|due| now < due) {
                continue;
            }
            version = Some((stored, is_calm));
            due = self.turn(&environment, &client, now).await;
        }
    }

    /// Writes all reports that are due, and returns when the next one will be.
    async fn turn(&self, environment: &Environment, client: &ApiClient, now: Millis) -> Option<Millis> {
        let mut due: Option<Millis> = None;
        for object in environment.api.list(&eniattachments()) {
            let Ok(object) = ENIAttachment::deserialize(&object) else { continue };
            let (report, next, boot) = self.lock().report(&object, now);
            due = due.into_iter().chain(next).min();
            let Some(write) = report.and_then(|report| status(&object, report, boot, environment.clock.now())) else {
                continue;
            };
            let name = object.metadata.name.as_deref().unwrap_or_default();
            // A write that the API server refuses is repeated.
            if client.apply_status(&eniattachments(), name, AGENT_FIELD_MANAGER, &write).await.is_err() {
                due = Some(now);
            }
        }
        due
    }
}

impl Agents {
    /// What is to be reported now, when that changes, and the boot.
    fn report(&mut self, object: &ENIAttachment, now: Millis) -> (Option<Report>, Option<Millis>, u32) {
        let boot = self.boots.get(&object.spec.instance_id).copied().unwrap_or(0);
        if object.metadata.deletion_timestamp.is_some() {
            let (said, next) = self.gives_back(object, boot, now);
            return (said, next, boot);
        }
        let attached = object.status.as_ref().filter(|status| status.phase == Phase::Attached);
        let mac = attached.and_then(|status| status.mac_address.clone());
        let Some(mac) = mac else { return (None, None, boot) };
        let subject = (object.metadata.uid.clone().unwrap_or_default(), mac, boot);
        let since = *self.since.entry(subject.clone()).or_insert(now);
        let (said, next) =
            self.due(&reports(digest((self.seed, &subject))), since, now).unwrap_or((Some(Report::Configured), None));
        (said, next, boot)
    }

    /// What is to be reported now of these reports, and when that changes. None: the faults have stopped for long enough.
    fn due(
        &self,
        reports: &[(Millis, Report)],
        since: Millis,
        now: Millis,
    ) -> Option<(Option<Report>, Option<Millis>)> {
        let calm = self.calm_at.map(|calm| calm.max(since) + AFTER_CALM);
        if calm.is_some_and(|calm| calm <= now) {
            return None;
        }
        let said = reports.iter().rfind(|(after, _)| since + after <= now).map(|(_, report)| *report);
        let next = reports.iter().map(|(after, _)| since + after).find(|at| *at > now);
        Some((said, next.into_iter().chain(calm).min()))
    }

    /// What is to be reported of the device of a deleted ENIAttachment, and when that changes. A reboot has given the device back, and
    /// the agent has forgotten it.
    fn gives_back(&mut self, object: &ENIAttachment, boot: u32, now: Millis) -> (Option<Report>, Option<Millis>) {
        let node = object.status.as_ref().and_then(|status| status.node.as_deref());
        let is_bound = node.filter(|node| node.driver.is_some() && node.driver.as_deref() != Some(KERNEL_DRIVER));
        let Some(mac) = is_bound
            .filter(|node| node.boot_id.as_deref() == Some(boot_id(boot).as_str()))
            .and_then(|node| node.mac_address.clone())
        else {
            return (None, None);
        };
        let subject = (object.metadata.uid.clone().unwrap_or_default(), mac, boot);
        let since = *self.leaving.entry(subject.clone()).or_insert(now);
        let returns = returns(digest((self.seed, "device return", &subject)));
        self.due(&returns, since, now).unwrap_or((Some(Report::Restored), None))
    }
}

/// The driver of the kernel for the device.
const KERNEL_DRIVER: &str = "ena";

/// The reports about a device that is to be given back, each with the time after which it is written.
fn returns(draw: u64) -> Vec<(Millis, Report)> {
    let mut rng = Rng::with_seed(draw);
    let soon = rng.u64(100..3_000);
    match rng.u32(0..100) {
        0..55 => vec![(soon, Report::Restored)],
        55..75 => vec![(rng.u64(5_000..115_000), Report::Restored)],
        75..88 => vec![(soon, Report::Held), (rng.u64(10_000..300_000), Report::Restored)],
        88..94 => vec![(soon, Report::Held)],
        _ => Vec::new(),
    }
}

/// The reports about one ENI in one boot, each with the time after which it is written.
fn reports(draw: u64) -> Vec<(Millis, Report)> {
    let mut rng = Rng::with_seed(draw);
    let soon = rng.u64(0..3_000);
    let later = |rng: &mut Rng, most: Millis| soon + rng.u64(5_000..most);
    match rng.u32(0..100) {
        0..45 => vec![(soon, Report::Configured)],
        45..58 => vec![(rng.u64(20_000..400_000), Report::Configured)],
        58..72 => vec![(soon, Report::Failed), (later(&mut rng, 300_000), Report::Configured)],
        72..82 => {
            let lost = later(&mut rng, 60_000);
            let again = lost + rng.u64(1_000..60_000);
            vec![(soon, Report::Configured), (lost, Report::Failed), (again, Report::Configured)]
        }
        82..93 => vec![(soon, Report::OfFormerEni), (later(&mut rng, 200_000), Report::Configured)],
        _ => Vec::new(),
    }
}

/// The agent's part of the status, if it differs from what is stored.
fn status(object: &ENIAttachment, report: Report, boot: u32, now: Timestamp) -> Option<serde_json::Value> {
    let stored = object.status.as_ref()?;
    let settings = &object.spec.node_settings;
    let is_managed = mode_of(settings.node_config.as_ref()) != NodeMode::None;
    let is_dpdk = settings.enable_dpdk == Some(true);
    let (status, reason) = match report {
        Report::Configured | Report::OfFormerEni if is_dpdk => (true, "BoundToDriver"),
        Report::Held => (false, "DeviceHeld"),
        Report::Restored => (false, "Restored"),
        Report::Configured | Report::OfFormerEni if !is_managed => (true, "NotManaged"),
        Report::Configured | Report::OfFormerEni => (true, "Configured"),
        Report::Failed => (false, "LinkAbsent"),
    };
    let mac = if report == Report::OfFormerEni { Some(FORMER.to_owned()) } else { stored.mac_address.clone() };
    let node = NodeStatus {
        mac_address: mac,
        link_name: Some("ens6".to_owned()),
        boot_id: Some(boot_id(boot)),
        ..NodeStatus::default()
    };
    let bound = || settings.dpdk_driver.clone().unwrap_or_else(|| "vfio-pci".to_owned());
    let pci_address = Some(format!("0000:00:{:02x}.0", object.spec.request.device_index.saturating_add(5)));
    let node = match report {
        Report::Configured | Report::OfFormerEni if is_dpdk => {
            NodeStatus { link_name: None, driver: Some(bound()), pci_address, ..node }
        }
        Report::Held => {
            NodeStatus { link_name: None, driver: stored.node.as_ref()?.driver.clone(), pci_address, ..node }
        }
        Report::Restored => NodeStatus { driver: Some(KERNEL_DRIVER.to_owned()), pci_address, ..node },
        Report::Configured | Report::OfFormerEni | Report::Failed => node,
    };
    let before = stored.conditions.iter().find(|condition| condition.type_ == types::CONFIGURED);
    let mut list: Vec<_> = before.cloned().into_iter().collect();
    let update = ConditionUpdate::new(types::CONFIGURED, status, reason, "the simulated node agent says so");
    conditions::set(&mut list, update, object.metadata.generation, now);
    if before == list.first() && stored.node.as_deref() == Some(&node) {
        return None;
    }
    Some(json!({
        "apiVersion": format!("{GROUP}/{VERSION}"), "kind": "ENIAttachment",
        "metadata": { "name": object.metadata.name, "uid": object.metadata.uid },
        "status": { "node": node, "conditions": list },
    }))
}
