//! The metrics of the ENIAttachments: their phases, how long their steps take, and what is done to their ENIs.

use super::counters::Counters;
use super::description::{Kind, Metric};
use super::exposition::{Exposition, Value};
use multi_eni_ec2::Histogram;
use multi_eni_plan::lifecycle::{Attribute, Cause};
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

const PHASES: Metric = Metric::alpha(
    "multi_eni_eniattachments",
    Kind::Gauge,
    &["phase", "reason"],
    "ENIAttachments by phase and by the reason of their condition Ready",
);
const LABEL_TO_ATTACH: Metric = Metric::alpha(
    "multi_eni_eniattachment_label_to_attach_seconds",
    Kind::Histogram,
    &[],
    "Time from the decision that a node gets an ENI to EC2's acceptance of the Attach, for ENIAttachments made in this term",
);
const CREATE_TO_ATTACHED: Metric = Metric::alpha(
    "multi_eni_eniattachment_create_to_attached_seconds",
    Kind::Histogram,
    &[],
    "Time from the Create call to the moment when EC2 showed the ENI attached",
);
const DETACH_TO_DELETED: Metric = Metric::alpha(
    "multi_eni_eniattachment_detach_to_deleted_seconds",
    Kind::Histogram,
    &[],
    "Time from EC2's acceptance of the Detach to its acceptance of the Delete",
);
const FORCED: Metric = Metric::alpha(
    "multi_eni_forced_detaches",
    Kind::Counter,
    &["of"],
    "Detach calls with force that were sent: of an ENIAttachment or of an orphan",
);
const ADOPTIONS: Metric =
    Metric::alpha("multi_eni_adoptions", Kind::Counter, &[], "ENIAttachments made for an existing ENI");
const IN_PLACE_CHANGES: Metric = Metric::alpha(
    "multi_eni_in_place_changes",
    Kind::Counter,
    &["attribute", "cause"],
    "Changes of an ENI in place that EC2 accepted, by attribute and cause. edit: the NodeENI asks for another value than before. drift: EC2 had shown the value that the NodeENI asks for, and somebody else changed it. attach: what neither Create nor Attach can set",
);

/// All metrics of this file.
#[cfg(test)]
pub const ALL: &[Metric] =
    &[PHASES, LABEL_TO_ATTACH, CREATE_TO_ATTACHED, DETACH_TO_DELETED, FORCED, ADOPTIONS, IN_PLACE_CHANGES];

/// Upper bounds of the step that is the controller's and EC2's rate limits', in seconds.
const QUICK: &[f64] = &[0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0];
/// Upper bounds of the steps in which EC2 moves an ENI, in seconds.
const SLOW: &[f64] = &[0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0];
/// How many combinations of phase and reason are shown apart. An object's reason can be written by any client with that right.
const MAX_REASONS: usize = 100;

/// A step in the life of an ENIAttachment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Span {
    /// From the decision to the accepted Attach.
    LabelToAttach,
    /// From the Create to attached.
    CreateToAttached,
    /// From the accepted Detach to the accepted Delete.
    DetachToDeleted,
}

impl Span {
    const ALL: [Self; 3] = [Self::LabelToAttach, Self::CreateToAttached, Self::DetachToDeleted];

    fn metric(self) -> &'static Metric {
        match self {
            Self::LabelToAttach => &LABEL_TO_ATTACH,
            Self::CreateToAttached => &CREATE_TO_ATTACHED,
            Self::DetachToDeleted => &DETACH_TO_DELETED,
        }
    }

    fn empty(self) -> Histogram {
        Histogram::new(match self {
            Self::LabelToAttach => QUICK,
            Self::CreateToAttached | Self::DetachToDeleted => SLOW,
        })
    }
}

/// What this process has counted of ENIAttachments and their ENIs.
#[derive(Debug)]
pub struct AttachmentCounts {
    spans: Mutex<BTreeMap<Span, Histogram>>,
    /// Forced Detaches: of `attachment` or `orphan`.
    pub forced_detaches: Counters,
    /// Adoptions.
    pub adoptions: Counters,
    /// Changes in place, by attribute and cause.
    pub in_place_changes: Counters,
}

impl Default for AttachmentCounts {
    fn default() -> Self {
        Self {
            spans: Mutex::new(Span::ALL.into_iter().map(|span| (span, span.empty())).collect()),
            forced_detaches: Counters::beginning_with(&["attachment", "orphan"]),
            adoptions: Counters::unlabelled(),
            in_place_changes: Counters::beginning_with_pairs(
                Attribute::ALL.iter().flat_map(|of| Cause::of(*of).iter().map(|cause| [of.name(), cause.name()])),
            ),
        }
    }
}

impl AttachmentCounts {
    /// Counts how long a step took.
    pub fn took(&self, span: Span, seconds: f64) {
        let mut spans = self.spans.lock().unwrap_or_else(PoisonError::into_inner);
        spans.entry(span).or_insert_with(|| span.empty()).observe(seconds);
    }

    /// Writes the counts.
    pub fn write(&self, out: &mut Exposition) {
        for (span, histogram) in self.spans.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            out.one(span.metric(), Value::Histogram(histogram.clone()));
        }
        out.add(&FORCED, self.forced_detaches.rows());
        out.add(&ADOPTIONS, self.adoptions.rows());
        out.add(&IN_PLACE_CHANGES, self.in_place_changes.rows());
    }
}

/// Writes the number of ENIAttachments by phase and reason.
pub fn write_phases(phases: &BTreeMap<(String, String), usize>, out: &mut Exposition) {
    let row = |phase: &str, reason: &str, n| (vec![phase.to_owned(), reason.to_owned()], Value::number_of(n));
    let shown = phases.iter().take(MAX_REASONS).map(|((phase, reason), n)| row(phase, reason, *n));
    let rest: usize = phases.values().skip(MAX_REASONS).sum();
    out.add(&PHASES, shown.chain((rest > 0).then(|| row("other", "other", rest))));
}
