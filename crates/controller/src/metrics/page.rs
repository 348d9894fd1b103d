//! The page of one scrape: all numbers in plain data, and their text.

use super::counted::Counted;
use super::description::{Kind, Metric};
use super::ec2::Ec2Numbers;
use super::exposition::{Exposition, Value};
use super::process::ProcessNumbers;
use super::snapshot::Snapshot;
use super::spans::SpanNumbers;
use super::{attachments, build_info, cache, gates, nodeenis, orphans, work_queue};
use std::fmt;

const WRONG_PLACE: Metric = Metric::stable(
    "multi_eni_wrong_place",
    Kind::Gauge,
    &[],
    "1 while the AWS account or Region is not, or is not known to be, this cluster's: nothing is changed",
);

/// All metrics, in the order of the reference.
#[cfg(test)]
pub fn all() -> impl Iterator<Item = &'static Metric> {
    [
        build_info::ALL,
        super::leader_election::ALL,
        &[WRONG_PLACE],
        nodeenis::ALL,
        attachments::ALL,
        orphans::ALL,
        work_queue::ALL,
        gates::ALL,
        super::ec2::ALL,
        cache::ALL,
        super::api_server::ALL,
        super::spans::ALL,
        super::process::ALL,
    ]
    .into_iter()
    .flatten()
}

/// The numbers of one scrape.
pub struct Page<'a> {
    /// What this process has counted.
    pub counted: &'a Counted,
    /// 1 while this replica leads.
    pub leading: i64,
    /// 1 while nothing is done because of the account or Region.
    pub wrong_place: i64,
    /// Keys in the work queue.
    pub waiting: i64,
    /// Orphans that are too many to be removed.
    pub orphans_held: i64,
    /// What the fence refused, by target.
    pub fenced: Vec<(&'static str, u64)>,
    /// The numbers of the EC2 handle, while this replica leads.
    pub ec2: Option<Ec2Numbers>,
    /// The state of the reconciler, while this replica leads and the reconciler answers.
    pub snapshot: Option<Snapshot>,
    /// What became of spans, while an OpenTelemetry collector is configured.
    pub spans: Option<SpanNumbers>,
    /// What Linux shows of this process.
    pub process: Option<ProcessNumbers>,
}

impl Page<'_> {
    /// Its text.
    ///
    /// # Errors
    /// If a value cannot be written.
    pub fn text(&self) -> Result<String, fmt::Error> {
        let mut out = Exposition::default();
        build_info::write(&mut out);
        self.counted.lease.write(self.leading, &self.fenced, &mut out);
        out.one(&WRONG_PLACE, Value::Whole(self.wrong_place));
        self.counted.attachments.write(&mut out);
        work_queue::write_waiting(self.waiting, &mut out);
        work_queue::write_counts(&self.counted.reconciles, &self.counted.reconcile_errors, &mut out);
        orphans::write_held(self.orphans_held, &mut out);
        orphans::write_actions(&self.counted.orphan_actions, &mut out);
        self.counted.api.write(&mut out);
        if let Some(snapshot) = &self.snapshot {
            nodeenis::write(&snapshot.nodeenis, &mut out);
            attachments::write_phases(&snapshot.attachments, &mut out);
            orphans::write(&snapshot.orphans, &mut out);
            work_queue::write(snapshot, &mut out);
            gates::write(&snapshot.gates, &mut out);
        }
        if let Some(ec2) = &self.ec2 {
            ec2.write(&mut out);
            cache::write(&ec2.resyncs, ec2.age, &mut out);
        }
        if let Some(spans) = self.spans {
            spans.write(&mut out);
        }
        if let Some(process) = &self.process {
            process.write(&mut out);
        }
        out.text()
    }
}
