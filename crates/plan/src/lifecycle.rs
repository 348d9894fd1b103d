//! `step`: one ENIAttachment, what EC2 shows of it, and the clock → the one next action, or what it waits for.
//!
//! The way in: Create → Attach → (settled; deleteOnTermination and other attributes repaired off the path).
//! The way out: Detach → Delete → finalizer away. Every case says why, as data.

mod adoption;
mod call_history;
mod conditions;
mod drift;
mod drift_repair;
mod force;
mod in_use;
mod instance;
mod provision;
mod repair_history;
mod teardown;
#[cfg(test)]
pub(crate) mod tests;

pub use call_history::{CallHistory, Failure, Turns};
pub use conditions::Report;
pub use drift::{Change, changes};

use crate::attachment::Attachment;
use crate::gates::permission::PermissionGate;
use crate::gates::quota::QuotaGate;
use crate::gates::subnet::SubnetGate;
use crate::instance::InstanceObservation;
use crate::lookup_failure::LookupFailure;
use crate::nodeeni::EniSpec;
use crate::observed::{Cluster, Ec2Catalog, Observation, ObservedEni};
use crate::settings::Settings;
use jiff::Timestamp;
use multi_eni_api::EniAttachmentStatus;
use multi_eni_api::ids::{EniId, InstanceId, SubnetId};
use std::collections::BTreeMap;

/// Everything that one step depends on.
#[derive(Clone, Copy)]
pub struct Input<'a> {
    /// Who we are.
    pub cluster: &'a Cluster,
    /// The attachment.
    pub attachment: &'a Attachment,
    /// What EC2 shows of it.
    pub observation: &'a Observation,
    /// Other ENIAttachments that are to take the same ENI over, or have it.
    pub rivals: &'a [&'a Attachment],
    /// What its NodeENI asks for now: what can be changed in place. None if that cannot be known: nothing is changed.
    pub spec: Option<&'a EniSpec>,
    /// Its Node has a deletionTimestamp or is gone.
    pub node_leaving: bool,
    /// The instance's state, if it was looked at.
    pub instance: Option<InstanceObservation>,
    /// Why no instance can be asked about, if that is so.
    pub states_failure: Option<&'a LookupFailure>,
    /// When EC2 last showed an ENI or an instance of this cluster, or this process was otherwise proven to be in the account and Region
    /// of the cluster.
    pub home_shown: Option<Timestamp>,
    /// Subnets and groups.
    pub catalog: &'a Ec2Catalog,
    /// What this process remembers of its own calls.
    pub memory: &'a CallHistory,
    /// The Region's quota of ENIs.
    pub quota: &'a QuotaGate,
    /// What EC2 refuses to all, and when one may try.
    pub permissions: &'a PermissionGate,
    /// Subnets that are full.
    pub subnets: &'a SubnetGate,
    /// Graces.
    pub settings: &'a Settings,
    /// Now.
    pub now: Timestamp,
}

/// The one next thing to do.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// CreateNetworkInterface as the ENIAttachment asks for it, with this token and all its [`tags`].
    Create {
        /// ClientToken.
        token: String,
        /// An earlier Create of this token may have made the ENI. EC2 answers a repeated one as it answered the first, whatever has
        /// been done to the ENI since.
        may_repeat: bool,
    },
    /// AttachNetworkInterface.
    Attach {
        /// The ENI.
        eni: EniId,
        /// The instance.
        instance: InstanceId,
        /// Network card.
        card: i32,
        /// Device index.
        index: i32,
    },
    /// ModifyNetworkInterfaceAttribute or CreateTags: repair in place.
    Modify {
        /// The ENI.
        eni: EniId,
        /// What.
        change: Change,
    },
    /// DetachNetworkInterface.
    Detach {
        /// The ENI.
        eni: EniId,
        /// EC2's attachment ID.
        attachment: String,
        /// By force: a last resort.
        force: bool,
    },
    /// DeleteNetworkInterface.
    Delete {
        /// The ENI.
        eni: EniId,
    },
    /// Begin the next Create attempt: its number is stored before it is made.
    NextAttempt,
    /// EC2 is clean: remove the finalizer.
    Release,
    /// Look on EC2 by the ENIAttachment's UID tag.
    LookByTag,
    /// Look on EC2 by the ENI's ID.
    LookById(EniId),
    /// Describe its subnet: it was full.
    LookAtSubnet(SubnetId),
    /// Look whether its instance lives.
    LookAtState(InstanceId),
    /// Nothing now.
    Wait,
    /// Nothing at all: it is as it should be.
    Settled,
}

/// The decision.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    /// The next thing to do.
    pub action: Action,
    /// The status as it should read now.
    pub status: EniAttachmentStatus,
    /// When to step again, if nothing changes before.
    pub recheck: Option<Timestamp>,
}

/// Decides the next step.
pub fn step(input: Input<'_>) -> Step {
    if *input.observation == Observation::Blind && !input.attachment.status.conditions.is_empty() {
        // A new process knows nothing yet. What an earlier one has reported stands until there is something to be seen.
        return Step { action: Action::Wait, status: input.attachment.status.clone(), recheck: None };
    }
    if input.attachment.unreadable.is_some() {
        return Step { action: Action::Settled, status: input.attachment.status.clone(), recheck: None };
    }
    if !input.attachment.guarded && input.attachment.deleting.is_none() && input.attachment.status.eni_id.is_some() {
        // Nothing is done to its ENI before the finalizer is back, and what was said of it is so still.
        return Step { action: Action::Wait, status: input.attachment.status.clone(), recheck: None };
    }
    let (action, report) = match input.attachment.deleting {
        None => provision::next(&input),
        Some(_) if !input.attachment.guarded => {
            (Action::Wait, Report::leaving("waits for the API server to remove the object"))
        }
        Some(_) => teardown::next(&input),
    };
    conditions::complete(&input, up_to_date(&input, action), report)
}

/// Nothing is done to an ENI on the strength of an old observation of it: somebody may have taken its tags away since, or the
/// ENI itself. Sweeps keep the view young; where they fail, a look comes first.
fn up_to_date(input: &Input<'_>, action: Action) -> Action {
    let Observation::Seen(seen) = input.observation else { return action };
    let valid_until = seen.shown_at.saturating_add(input.settings.view_valid).unwrap_or(Timestamp::MAX);
    match &action {
        Action::Attach { .. } | Action::Modify { .. } | Action::Detach { .. } | Action::Delete { .. }
            if input.now > valid_until =>
        {
            Action::LookById(seen.id.clone())
        }
        Action::Attach { .. } | Action::Modify { .. } | Action::Detach { .. } | Action::Delete { .. } => action,
        Action::Create { .. } | Action::NextAttempt | Action::Release | Action::Wait | Action::Settled => action,
        Action::LookByTag | Action::LookById(_) | Action::LookAtSubnet(_) | Action::LookAtState(_) => action,
    }
}

/// All tags with which an ENI is made: the user's as the request froze them, and ours, which win.
pub fn tags(cluster: &Cluster, attachment: &Attachment) -> BTreeMap<String, String> {
    tags_with(cluster, attachment, &attachment.request.tags)
}

/// All tags of an ENI with these of the user's.
fn tags_with(cluster: &Cluster, attachment: &Attachment, users: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    use multi_eni_api::names as n;
    let mut tags = users.clone();
    let ours = [
        (n::TAG_CLUSTER, cluster.uid.as_str()),
        (n::TAG_CLUSTER_NAME, cluster.name.as_str()),
        (n::TAG_NODEENI, attachment.nodeeni.as_str()),
        (n::TAG_NODEENI_UID, attachment.nodeeni_uid.as_str()),
        (n::TAG_NODE, attachment.node.as_str()),
        (n::TAG_ATTACHMENT_UID, attachment.uid.as_str()),
        (n::TAG_NO_MANAGE, "true"),
    ];
    // EC2 allows 256 characters in a value; two of Kubernetes' names can have twice as many.
    let value = |text: &str| text.chars().take(256).collect::<String>();
    tags.entry("Name".to_owned()).or_insert_with(|| value(&format!("{}-{}", attachment.nodeeni, attachment.node)));
    tags.extend(ours.map(|(key, text)| (key.to_owned(), value(text))));
    tags
}

/// Whether the tags say that this ENI is this attachment's: only then is it ever changed.
fn is_ours(input: &Input<'_>, eni: &ObservedEni) -> bool {
    eni.is_of(input.cluster) && eni.attachment_uid() == Some(input.attachment.uid.as_str())
}
