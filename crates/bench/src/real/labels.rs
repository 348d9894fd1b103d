//! Nodes that are labelled one by one: what passes between the label and the Attach, step by step.

use super::cluster::Cluster;
use super::simulated_ec2::Account;
use crate::region::instance;
use jiff::Timestamp;
use multi_eni_sim::ec2::CallRecord;
use serde::Serialize;
use std::ops::RangeInclusive;
use std::time::Duration;

/// The time that an EC2 call takes while nodes are labelled one by one.
const LATENCY: Duration = Duration::from_millis(20);
/// The time for one node, before the next is labelled.
const PAUSE: Duration = Duration::from_millis(2_500);

/// One node that was labelled.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Labelled {
    /// The number of the node.
    pub node: u32,
    /// Milliseconds from the API server's answer to the label until EC2 received the Attach, without the time in which EC2 had a call
    /// that Attach waits for. Infinite: no Attach was sent.
    pub added_ms: f64,
    /// When the API server had answered the label, in milliseconds after it was sent.
    pub answered_ms: f64,
    /// The EC2 calls in this time, in the order of their arrival.
    pub calls: Vec<Call>,
}

/// One EC2 call, in milliseconds after the label was sent.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Call {
    /// The action.
    pub action: String,
    /// When EC2 received it.
    pub received_ms: f64,
    /// When EC2 answered it, by the simulator's setting.
    pub answered_ms: f64,
    /// Whether Attach may wait for it. Whole pages of the cluster's ENIs are read beside it.
    pub awaited: bool,
}

impl Call {
    fn of(call: &CallRecord, sent: Timestamp) -> Self {
        let received_ms = call.received.duration_since(sent).as_secs_f64() * 1000.0;
        Self {
            action: call.action.clone(),
            received_ms,
            answered_ms: received_ms + LATENCY.as_secs_f64() * 1000.0,
            awaited: !call.filters.keys().any(|name| name.starts_with("tag:")),
        }
    }
}

/// Labels these nodes one by one.
///
/// # Errors
/// If the API server refuses a label.
pub async fn label_one_by_one(
    account: &Account,
    cluster: &Cluster,
    nodes: RangeInclusive<u32>,
    patience: Duration,
) -> Result<Vec<Labelled>, String> {
    account.answer_after(LATENCY);
    let mut labels = Vec::new();
    for node in nodes {
        let (on, sent) = (instance(node), account.now());
        let mut landing = account.ec2.subscribe();
        let mut calls: Vec<Call> = Vec::new();
        let attach = async {
            loop {
                match landing.recv().await {
                    Ok(call) => {
                        calls.push(Call::of(&call, sent));
                        if call.action == "AttachNetworkInterface" && call.instance_id.as_ref() == Some(&on) {
                            return Ok(calls.last().map_or(f64::INFINITY, |attach| attach.received_ms));
                        }
                    }
                    Err(lost) => return Err(format!("the record of EC2's calls has a gap: {lost}")),
                }
            }
        };
        let label = async {
            let answer = cluster.label(node).await;
            answer.map(|()| account.now().duration_since(sent).as_secs_f64() * 1000.0)
        };
        let (attach, answered) = tokio::join!(tokio::time::timeout(patience, attach), label);
        // An Attach that was never sent counts as infinitely late.
        let until = attach.unwrap_or(Ok(f64::INFINITY))?;
        calls.retain(|call| call.received_ms <= until);
        calls.sort_by(|a, b| a.received_ms.total_cmp(&b.received_ms));
        let answered_ms = answered?;
        let added_ms = (until - answered_ms).max(0.0) - ec2_had(&calls, answered_ms, until);
        labels.push(Labelled { node, added_ms, answered_ms, calls });
        tokio::time::sleep(PAUSE).await;
    }
    Ok(labels)
}

/// The milliseconds between these two times in which EC2 had at least one call that Attach waits for. The calls are in the order of
/// their arrival.
fn ec2_had(calls: &[Call], from: f64, until: f64) -> f64 {
    let (mut had, mut counted) = (0.0, from);
    for call in calls.iter().filter(|call| call.awaited) {
        let (since, to) = (call.received_ms.max(counted), call.answered_ms.min(until));
        if to > since {
            had += to - since;
            counted = to;
        }
    }
    had
}

/// The slowest label in one line: what a person looks at first.
pub fn slowest(labels: &[Labelled]) -> Option<String> {
    let slowest = labels.iter().max_by(|a, b| a.added_ms.total_cmp(&b.added_ms))?;
    let calls: Vec<String> =
        (slowest.calls.iter()).map(|call| format!("{} {:.0}", call.action, call.received_ms)).collect();
    Some(format!(
        "the slowest: {:.1} ms; in ms after the label was sent: its answer {:.0}, {}",
        slowest.added_ms,
        slowest.answered_ms,
        calls.join(", ")
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_in_which_ec2_has_several_calls_counts_once() {
        let call = |action: &str, received_ms: f64, awaited| Call {
            action: action.to_owned(),
            received_ms,
            answered_ms: received_ms + 20.0,
            awaited,
        };
        let calls = [
            call("DescribeNetworkInterfaces", 0.0, false),
            call("DescribeNetworkInterfaces", 4.0, true),
            call("DescribeSubnets", 12.0, true),
            call("CreateNetworkInterface", 40.0, true),
            call("DescribeInstances", 62.0, true),
            call("AttachNetworkInterface", 70.0, true),
        ];
        let had = ec2_had(&calls, 5.0, 70.0);
        assert!((had - (27.0 + 20.0 + 8.0)).abs() < 1e-9, "{had}");
        assert!(ec2_had(&[], 0.0, 70.0).abs() < 1e-9);
    }

    #[test]
    fn the_slowest_label_shows_its_steps() {
        let label = |node, added_ms| Labelled { node, added_ms, answered_ms: 7.0, calls: Vec::new() };
        assert_eq!(slowest(&[]), None);
        let line = slowest(&[label(1, 12.0), label(2, f64::INFINITY), label(3, 50.0)]).unwrap();
        assert!(line.starts_with("the slowest: inf ms; in ms after the label was sent: its answer 7, "), "{line}");
    }
}
