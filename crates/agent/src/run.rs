//! The loop of the agent: waits for events of the kernel and of the API server, and makes a turn after each.

use crate::attachments_file;
use crate::device_plugin::candidates::{Found, candidates, reported_device};
use crate::dpdk::attempts::HELD_WAIT;
use crate::dpdk::obstacle::DpdkObstacle;
use crate::dpdk::reported_device::ReportedDevice;
use crate::events::{Said, publish};
use crate::kernel_events::kernel_events;
use crate::metrics::AgentMetrics;
use crate::netlink::events::Event;
use crate::node_agent::{AgentError, NodeAgent, Turn};
use crate::pace::{Pace, Wait};
use crate::plan::report::{EniReport, Obstacle, Outcome};
use crate::report::{Absences, difference, write};
use crate::said_once::SaidOnce;
use crate::status::agent_status;
use crate::wanted::WantedEni;
use crate::watch::{self, Attachments, Entry, Reported};
use crate::writes::Writes;
use futures::StreamExt;
use futures::stream::FuturesUnordered;
use jiff::Timestamp;
use kube::Client;
use std::collections::BTreeMap;
use std::path::Path;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::{Instant, sleep_until};

/// Runs with the ENIAttachments of the API server until SIGTERM or SIGINT. What is configured stays: a new agent goes on.
///
/// # Errors
/// If the node cannot be observed at all.
pub async fn with_api_server(
    agent: &mut NodeAgent,
    client: Client,
    node_name: &str,
    metrics: &AgentMetrics,
) -> Result<(), AgentError> {
    let mut attachments = Attachments::default();
    let (mut absences, mut writes) = (Absences::default(), Writes::default());
    let mut sent = FuturesUnordered::new();
    let mut kernel = kernel_events(agent)?;
    let (mut said, refused_events) = (Said::default(), Arc::<SaidOnce>::default());
    let mut objects = pin!(watch::events(client.clone(), node_name));
    let mut stop = Stop::new()?;
    let (mut turns, mut pace) = (Turns::new(), Pace::default());
    loop {
        tokio::select! {
            () = stop.wait() => return Ok(()),
            event = kernel.recv() => match event {
                Some(event) => turns.event(event, metrics),
                None => return Err(AgentError::File(std::io::Error::other("the events of the kernel have ended"))),
            },
            Some(event) = objects.next() => match event {
                Ok(event) => if attachments.take(event) {
                    metrics.synced();
                    pace.news();
                    turns.at_once();
                },
                Err(_) => metrics.watch_failed(),
            },
            () = turns.due() => {
                let Some(wanted) = attachments.wanted() else {
                    turns.done(Wait { after_event: Duration::from_millis(100), without_event: None });
                    continue;
                };
                let entries = attachments.entries();
                let is_watched = |uid: &str| entries.is_some_and(|all| all.values().any(|entry| entry.uid == uid));
                agent.binder().keep_given_back(is_watched);
                let reported = reported_devices(entries, agent.boot_id());
                agent.binder().set_reported(reported);
                let turn = turn(agent, &wanted, metrics);
                offer_to_pods(agent, &turn, &wanted, entries);
                turns.done(next_turn(&mut pace, turns.now(), &turn, agent.needs_look_for_pods()));
                for event in said.news(&turn.reports) {
                    tokio::spawn(publish(client.clone(), node_name.to_owned(), event, Arc::clone(&refused_events)));
                }
                for (name, uid, next) in reports(agent, &turn, &attachments, &mut absences, &mut writes, turns.now()) {
                    let client = client.clone();
                    sent.push(async move {
                        let result = write(&client, &name, &uid, &next).await;
                        (name, uid, next, result)
                    });
                }
                turns.at_latest(writes.next_due(turns.now()));
                metrics.backs_off(pace.repeated_steps(), writes.failed());
            }
            // Next to the events, so that an API server that does not answer delays neither them nor SIGTERM.
            Some((name, uid, next, result)) = sent.next(), if !sent.is_empty() => {
                let is_written = result.is_ok();
                match result {
                    Ok(()) => attachments.note_reported(&name, next),
                    Err(error) => tracing::warn!(attachment = name, error, "the status cannot be written"),
                }
                metrics.wrote(is_written);
                if writes.done(&uid, is_written, turns.now()) {
                    turns.at_once();
                }
                turns.at_latest(writes.next_due(turns.now()));
                metrics.backs_off(pace.repeated_steps(), writes.failed());
            }
        }
    }
}

/// Runs with the ENIAttachments of a file until SIGTERM or SIGINT: with those of one Node, if its name is given.
///
/// # Errors
/// If the node cannot be observed at all.
pub async fn with_file(
    agent: &mut NodeAgent,
    path: &Path,
    node: Option<&str>,
    metrics: &AgentMetrics,
) -> Result<(), AgentError> {
    let mut kernel = kernel_events(agent)?;
    let mut stop = Stop::new()?;
    let (mut turns, mut pace) = (Turns::new(), Pace::default());
    metrics.synced();
    turns.event(Event::Changed, metrics);
    loop {
        tokio::select! {
            () = stop.wait() => return Ok(()),
            event = kernel.recv() => match event {
                Some(event) => turns.event(event, metrics),
                None => return Err(AgentError::File(std::io::Error::other("the events of the kernel have ended"))),
            },
            () = turns.due() => {
                // A file that cannot be read asks for nothing new, and takes nothing back.
                match attachments_file::read(path, node) {
                    Ok(objects) => {
                        let wanted: Vec<WantedEni> = objects.iter().filter_map(WantedEni::read).collect();
                        let is_there = |uid: &str| objects.iter().any(|object| object.metadata.uid.as_deref() == Some(uid));
                        agent.binder().keep_given_back(is_there);
                        let turn = turn(agent, &wanted, metrics);
                        offer_to_pods(agent, &turn, &wanted, None);
                        turns.done(next_turn(&mut pace, turns.now(), &turn, agent.needs_look_for_pods()));
                        metrics.backs_off(pace.repeated_steps(), 0);
                    }
                    Err(error) => {
                        tracing::warn!(%error, "the ENIAttachments cannot be read");
                        turns.done(pace.note(turns.now(), &[], false));
                    }
                }
            }
        }
    }
}

/// The devices that the last reports of ENIAttachments that are being deleted have as bound.
fn reported_devices(entries: Option<&BTreeMap<String, Entry>>, boot_id: &str) -> Vec<ReportedDevice> {
    let deleted = entries.into_iter().flatten().filter(|(_, entry)| entry.wanted.is_none());
    let read = |(name, entry): (&String, &Entry)| {
        ReportedDevice::read(name, &entry.uid, entry.reported.node.as_ref()?, boot_id)
    };
    deleted.filter_map(read).collect()
}

/// One turn. A node that cannot be observed now is looked at again later.
fn turn(agent: &mut NodeAgent, wanted: &[WantedEni], metrics: &AgentMetrics) -> Turn {
    let result = agent.turn(wanted);
    metrics.observed(result.is_ok());
    match result {
        Ok(turn) => {
            metrics.took(&turn);
            for report in &turn.reports {
                tracing::debug!(attachment = report.attachment, outcome = ?report.outcome, "looked at the ENI");
            }
            turn
        }
        Err(error) => {
            tracing::warn!(%error, "the node cannot be observed");
            let failed = crate::apply::FailedStep {
                attachment: None,
                step: "observe the node".to_owned(),
                error: error.to_string(),
            };
            Turn { failed: vec![failed], ..Turn::default() }
        }
    }
}

/// Offers the ENIs to pods as the turn has found them. A node that cannot be observed withdraws nothing.
fn offer_to_pods(agent: &mut NodeAgent, turn: &Turn, wanted: &[WantedEni], entries: Option<&BTreeMap<String, Entry>>) {
    if turn.reports.is_empty() && !turn.failed.is_empty() {
        return;
    }
    let boot_id = agent.boot_id().to_owned();
    let found = Found { reports: &turn.reports, failed: &turn.failed, boot_id: &boot_id };
    let reported = |uid: &str| {
        let entry = entries?.values().find(|entry| entry.uid == uid)?;
        reported_device(entry.reported.node.as_ref()?, &boot_id)
    };
    if let Some(pods) = agent.pods() {
        let offered = candidates(&found, wanted, |uid| pods.known(uid).or_else(|| reported(uid)));
        pods.offer(&offered);
    }
}

/// When the next turn is due. Only the network's steps count as repeated: a device has a back-off of its own, and delays no other ENI.
fn next_turn(pace: &mut Pace, now: Duration, turn: &Turn, needs_look: bool) -> Wait {
    let wait = pace.note(now, &turn.steps, is_settled(turn) && !needs_look);
    let is_held =
        |report: &EniReport| matches!(&report.outcome, Outcome::Blocked(Obstacle::Dpdk(DpdkObstacle::DeviceHeld(_))));
    if turn.reports.iter().any(is_held) {
        // No event comes when the process ends.
        Wait { without_event: wait.without_event.map(|wait| wait.min(HELD_WAIT)), ..wait }
    } else {
        wait
    }
}

/// Whether no look is needed before the next event. Programs that manage a link write files, of which no event comes.
fn is_settled(turn: &Turn) -> bool {
    let is_settled = |outcome: &Outcome| match outcome {
        Outcome::Configured
        | Outcome::NotManaged
        | Outcome::InUse { .. }
        | Outcome::Bound { .. }
        | Outcome::Restored { .. } => true,
        Outcome::Changing { .. } | Outcome::Blocked(_) => false,
    };
    turn.failed.is_empty() && turn.reports.iter().all(|report| is_settled(&report.outcome))
}

/// What differs from what the API server has and may be written now: the name, the UID and the part of the status.
fn reports(
    agent: &NodeAgent,
    turn: &Turn,
    attachments: &Attachments,
    absences: &mut Absences,
    writes: &mut Writes,
    now: Duration,
) -> Vec<(String, String, Reported)> {
    let mut found = Vec::new();
    let Some(entries) = attachments.entries() else { return found };
    let is_there = |uid: &str| entries.values().any(|entry| entry.uid == uid);
    absences.retain(is_there);
    writes.retain(is_there);
    for report in &turn.reports {
        let Some(entry) = entries.get(&report.attachment).filter(|entry| entry.uid == report.uid) else { continue };
        if absences.is_due(report, entry, now) {
            let status = agent_status(report, &turn.failed, agent.boot_id());
            let status = match agent.refusal_of_pods(&report.uid) {
                Some(why) => status.not_offered(&why),
                None => match agent.note_of_pods(&report.uid) {
                    Some(note) => status.with_note(&note),
                    None => status,
                },
            };
            let next = difference(&status, report.generation, entry, Timestamp::now());
            let next = next.filter(|_| writes.start(&entry.uid, now));
            found.extend(next.map(|next| (report.attachment.clone(), entry.uid.clone(), next)));
        }
    }
    found
}

/// When the next turn is due.
struct Turns {
    start: Instant,
    at: Option<Instant>,
    earliest: Instant,
}

impl Turns {
    fn new() -> Self {
        let start = Instant::now();
        Self { start, at: None, earliest: start }
    }

    fn now(&self) -> Duration {
        self.start.elapsed()
    }

    fn event(&mut self, event: Event, metrics: &AgentMetrics) {
        match event {
            Event::Changed => {}
            Event::Lost => {
                metrics.resynced();
                tracing::info!("events of the kernel were lost: looking at everything again");
            }
        }
        let soon = self.earliest.max(Instant::now());
        self.at = Some(self.at.map_or(soon, |at| at.min(soon)));
    }

    /// What an ENIAttachment asks for does not wait for a back-off.
    fn at_once(&mut self) {
        self.at = Some(Instant::now());
    }

    /// A turn after this time at the latest.
    fn at_latest(&mut self, wait: Option<Duration>) {
        let at = wait.and_then(|wait| Instant::now().checked_add(wait));
        self.at = self.at.into_iter().chain(at).min();
    }

    fn done(&mut self, wait: Wait) {
        let now = Instant::now();
        self.earliest = now.checked_add(wait.after_event).unwrap_or(now);
        self.at = wait.without_event.and_then(|wait| now.checked_add(wait));
    }

    async fn due(&self) {
        match self.at {
            Some(at) => sleep_until(at).await,
            None => std::future::pending().await,
        }
    }
}

/// SIGTERM and SIGINT.
struct Stop {
    terminate: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
}

impl Stop {
    fn new() -> Result<Self, AgentError> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    async fn wait(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_held_device_slows_no_other_eni_and_is_looked_at_again_within_half_a_minute() {
        let outcome = Outcome::Blocked(Obstacle::Dpdk(DpdkObstacle::DeviceHeld("process 7".to_owned())));
        let (attachment, uid) = ("one".to_owned(), "u".to_owned());
        let report = EniReport { attachment, uid, generation: None, mac: None, link: None, outcome };
        let device_steps = vec!["device 0000:00:06.0: unbind from vfio-pci".to_owned()];
        let turn = Turn { device_steps, reports: vec![report], ..Turn::default() };
        let mut pace = Pace::default();
        let waits: Vec<Wait> =
            (0..12).map(|at| next_turn(&mut pace, Duration::from_secs(at * 30), &turn, false)).collect();
        assert_eq!(waits[11].after_event, Duration::from_millis(100));
        assert_eq!(waits[11].without_event, Some(HELD_WAIT));
        assert_eq!(pace.repeated_steps(), 0);
    }

    #[test]
    fn a_refusal_of_pods_whose_end_no_event_tells_is_looked_at_again() {
        let wait = |needs_look| next_turn(&mut Pace::default(), Duration::ZERO, &Turn::default(), needs_look);
        assert_eq!((wait(false).without_event, wait(true).without_event), (None, Some(Duration::from_secs(1))));
    }
}
