//! The state of one term of leadership: the dependencies, the store, the queue, the calls under way, and what is remembered
//! between decisions. The files beside this one have the methods.

use super::attach_traces::AttachTraces;
use super::awaited_subnets::AwaitedSubnets;
use super::call_result_types::Finished;
use super::kept_taints::KeptTaints;
use super::last_assignments::LastAssignments;
use super::log_throttle::Warnings;
use super::stopwatches::Stopwatches;
use super::undecided_nodes::UndecidedNodes;
use crate::api_writes::Writer;
use crate::clock::Wall;
use crate::events::EventRecorder;
use crate::http_server::Gauges;
use crate::metrics::OrphanVerdicts;
use crate::store::Store;
use crate::work_queue::{Key, Queue};
use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use jiff::Timestamp;
use multi_eni_api::ids::EniId;
use multi_eni_ec2::{Ec2, UnreadableEni};
use multi_eni_otlp::SpanQueue;
use multi_eni_plan::assign::{AttachRefusals, InstanceAtRefusal};
use multi_eni_plan::confirmation::TermEdits;
use multi_eni_plan::gates::instance_type::InstanceTypeGate;
use multi_eni_plan::gates::permission::PermissionGate;
use multi_eni_plan::gates::quota::QuotaGate;
use multi_eni_plan::gates::subnet::SubnetGate;
use multi_eni_plan::lifecycle::{Agreement, CallHistory};
use multi_eni_plan::lookup_failure::LookupFailure;
use multi_eni_plan::observed::Cluster;
use multi_eni_plan::orphans as orphans_plan;
use multi_eni_plan::outdated_reports::OutdatedReports;
use multi_eni_plan::removals::{RemovalHistory, RemovalPermits};
use multi_eni_plan::rollout::Permits;
use multi_eni_plan::settings::Settings;
use multi_eni_plan::write_history::Writes;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

/// The dependencies of a term.
pub struct Dependencies {
    /// Name and UID of this cluster, as in the tags on EC2.
    pub cluster: Cluster,
    /// Lookups, cache and calls of EC2.
    pub ec2: Ec2,
    /// Writes to the API server, behind the fence.
    pub writer: Writer,
    /// Publishes events, behind the fence.
    pub recorder: EventRecorder,
    /// Grace periods and limits.
    pub settings: Settings,
    /// Wall clock of the term.
    pub wall: Wall,
    /// Metrics of this process.
    pub gauges: Arc<Gauges>,
    /// Takes the spans of ENIAttachments. None: no OpenTelemetry collector is configured.
    pub spans: Option<SpanQueue>,
}

/// One term of leadership.
pub struct Reconciler {
    pub(super) deps: Dependencies,
    pub(super) acting_since: Timestamp,
    pub(super) store: Store,
    pub(super) queue: Queue,
    pub(super) calls: FuturesUnordered<BoxFuture<'static, Finished>>,
    /// Whether a call was started that may not have been sent yet.
    pub(super) has_unsent_calls: bool,
    /// Calls that ended during a round of decisions.
    pub(super) answered: Vec<Finished>,
    /// Events that are being published. Nothing waits for them.
    pub(super) event_writes: FuturesUnordered<BoxFuture<'static, ()>>,
    /// Call history by UID of the ENIAttachment. There is one for nearly each, and a map keeps spare room for values in it.
    pub(super) call_histories: BTreeMap<String, Box<CallHistory>>,
    /// What EC2 has shown of the values that the NodeENIs ask for, by UID of the ENIAttachment.
    pub(super) agreements: BTreeMap<String, Agreement>,
    /// The last assignment of each Node.
    pub(super) assignments: LastAssignments,
    /// The Nodes that have not been decided since a NodeENI changed.
    pub(super) undecided: UndecidedNodes,
    pub(super) permits: Permits,
    /// On which nodes ENIs may be removed now because of labels or an edit.
    pub(super) removals: RemovalPermits,
    /// Which nodes lost ENIs recently, by UID of the NodeENI.
    pub(super) removal_histories: BTreeMap<String, RemovalHistory>,
    pub(super) quota: QuotaGate,
    pub(super) permissions: PermissionGate,
    pub(super) subnets: SubnetGate,
    pub(super) instance_types: InstanceTypeGate,
    /// The ENIAttachments that wait for a new description of their subnet.
    pub(super) awaited_subnets: AwaitedSubnets,
    /// When the subnet terms of NodeENIs were edited.
    pub(super) term_edits: TermEdits,
    pub(super) refused_attach: AttachRefusals,
    /// The interfaces on an instance when EC2 refused an Attach there, by name of the ENIAttachment.
    pub(super) refusal_observations: BTreeMap<String, InstanceAtRefusal>,
    /// Creates and Attaches under way, by name of the ENIAttachment, with its UID. They are cancelled if the ENIAttachment goes.
    pub(super) cancellable_calls: BTreeMap<String, (String, CancellationToken)>,
    /// The failures of writes to the API server, and when each write may be sent again.
    pub(super) writes: Writes<Key>,
    /// UIDs of the NodeENIs for which ENIAttachments are being created, by key of the Node.
    pub(super) creating: BTreeMap<Key, BTreeSet<String>>,
    /// When the status of a NodeENI was written last, by its UID.
    pub(super) status_written: BTreeMap<String, Timestamp>,
    /// When the first change came that the status of a NodeENI does not show yet, by its UID.
    pub(super) status_changed: BTreeMap<String, Timestamp>,
    /// When the decision for a Node last changed what a NodeENI has there, by the NodeENI's UID.
    pub(super) share_changed: BTreeMap<String, Timestamp>,
    /// Why instances cannot be looked up, if so.
    pub(super) states_failure: Option<LookupFailure>,
    pub(super) suspects: BTreeMap<EniId, Timestamp>,
    /// The orphans that are too many to be deleted at once.
    pub(super) orphans_held: Option<orphans_plan::DeletionBrake>,
    /// The calls for orphans that EC2 refuses.
    pub(super) orphans_refused: orphans_plan::Refusals,
    /// The resync after which calls for orphans were last made.
    pub(super) orphans_called: Option<Timestamp>,
    /// The last judgement on ENIs without an ENIAttachment, for the metrics.
    pub(super) orphan_verdicts: OrphanVerdicts,
    /// How long steps of ENIAttachments take, for the metrics.
    pub(super) stopwatches: Stopwatches,
    /// The traces of ENIAttachments that are not Ready yet.
    pub(super) attach_traces: AttachTraces,
    /// Why Nodes keep their startup taint, as far as it was published.
    pub(super) kept_taints: KeptTaints,
    /// Since when the node agent has not followed edits.
    pub(super) outdated_reports: OutdatedReports,
    pub(super) warnings: Warnings,
    pub(super) started: bool,
    /// When all names were last looked up.
    pub(super) names_looked_up_at: Option<Timestamp>,
    /// The resync that put the place in doubt: it showed none of the ENIs that the statuses name.
    pub(super) place_doubted_at: Option<Timestamp>,
    /// The resync that raised the last doubt, once that doubt has ended. None as soon as a resync shows ENIs again.
    pub(super) place_proven_at: Option<Timestamp>,
    /// When to report that the place cannot be proven.
    pub(super) place_recheck: Option<Timestamp>,
    /// The resync after which the wrong place was last reported.
    pub(super) place_reported_at: Option<Timestamp>,
    /// The resourceVersion of each NodeENI, by its UID, on which it was last reported that nothing is done.
    pub(super) halted: BTreeMap<String, String>,
    /// ENIs of this cluster that the last resync could not parse. Their NodeENIs report them.
    pub(super) unreadable: BTreeMap<String, UnreadableEni>,
}

impl Reconciler {
    /// The state at the beginning of a term.
    pub fn new(deps: Dependencies) -> Self {
        let acting_since = (deps.wall)();
        let attach_traces = AttachTraces::new(deps.spans.clone());
        Self {
            deps,
            acting_since,
            store: Store::default(),
            queue: Queue::default(),
            calls: FuturesUnordered::new(),
            has_unsent_calls: false,
            answered: Vec::new(),
            event_writes: FuturesUnordered::new(),
            call_histories: BTreeMap::new(),
            agreements: BTreeMap::new(),
            assignments: LastAssignments::default(),
            undecided: UndecidedNodes::default(),
            permits: Permits::new(),
            removals: RemovalPermits::default(),
            removal_histories: BTreeMap::new(),
            quota: QuotaGate::default(),
            permissions: PermissionGate::default(),
            subnets: SubnetGate::default(),
            instance_types: InstanceTypeGate::default(),
            awaited_subnets: AwaitedSubnets::default(),
            term_edits: TermEdits::new(),
            refused_attach: AttachRefusals::new(),
            refusal_observations: BTreeMap::new(),
            cancellable_calls: BTreeMap::new(),
            writes: Writes::default(),
            creating: BTreeMap::new(),
            status_written: BTreeMap::new(),
            status_changed: BTreeMap::new(),
            share_changed: BTreeMap::new(),
            states_failure: None,
            suspects: BTreeMap::new(),
            orphans_held: None,
            orphans_refused: orphans_plan::Refusals::default(),
            orphans_called: None,
            orphan_verdicts: OrphanVerdicts::default(),
            stopwatches: Stopwatches::default(),
            attach_traces,
            kept_taints: KeptTaints::default(),
            outdated_reports: OutdatedReports::default(),
            warnings: Warnings::default(),
            started: false,
            names_looked_up_at: None,
            place_doubted_at: None,
            place_proven_at: None,
            place_recheck: None,
            place_reported_at: None,
            halted: BTreeMap::new(),
            unreadable: BTreeMap::new(),
        }
    }
}
