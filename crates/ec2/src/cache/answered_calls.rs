//! The answers of EC2 to our own calls on one ENI. Within the lag after an answer, a Describe that shows an older state does not
//! override the answer; a Describe that shows a later state is applied at once. Plain data: the times are arguments.

use jiff::{SignedDuration, Timestamp};
use multi_eni_api::ConnectionTracking;
use multi_eni_api::ids::SecurityGroupId;
use multi_eni_plan::observed::{AttachmentState, ObservedAttachment, ObservedEni};
use std::collections::BTreeMap;

/// A value, and when EC2's answer accepted it.
type At<T> = Option<(Timestamp, T)>;

/// Everything that our calls changed on one ENI, each with the time of the answer.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct AnsweredCalls {
    /// When Create was answered.
    pub created: Option<Timestamp>,
    /// The ID of the attachment that Attach made.
    pub attached: At<String>,
    /// The ID of the attachment that Detach ends.
    pub detached: At<String>,
    /// The value of deleteOnTermination that Modify set.
    pub delete_on_termination: At<bool>,
    /// The groups that Modify set, sorted.
    pub groups: At<Vec<SecurityGroupId>>,
    /// The description that Modify set.
    pub description: At<String>,
    /// The source/destination check that Modify set.
    pub source_dest_check: At<bool>,
    /// The timeouts of connection tracking that Modify set.
    pub connection_tracking: At<ConnectionTracking>,
    /// The tags that Create and CreateTags set, each with its own time.
    pub tags: BTreeMap<String, (Timestamp, String)>,
    /// The keys of the tags that DeleteTags removed, each with its own time.
    pub untagged: BTreeMap<String, Timestamp>,
}

impl AnsweredCalls {
    /// No answered calls: every Describe is applied as it is.
    pub const NOTHING: Self = Self {
        created: None,
        attached: None,
        detached: None,
        delete_on_termination: None,
        groups: None,
        description: None,
        source_dest_check: None,
        connection_tracking: None,
        tags: BTreeMap::new(),
        untagged: BTreeMap::new(),
    };

    /// Corrects `shown`, the ENI of a Describe that began at `shown.shown_at`, by the answers that still override this Describe.
    /// `known` is the ENI in the cache before.
    pub fn correct(&self, known: &ObservedEni, mut shown: ObservedEni, lag: SignedDuration) -> ObservedEni {
        let began = shown.shown_at;
        let holds = |at: Timestamp| within(lag, at, began);
        shown.last_call = known.last_call;
        shown.attachment = self.attachment(known.attachment.as_ref(), shown.attachment, holds);
        shown.in_use_since = match (&shown.attachment, known.in_use_since) {
            (Some(_), _) => None,
            (None, Some(since)) => shown.in_use_since.map(|at| at.min(since)),
            (None, None) => shown.in_use_since,
        };
        if let (Some((at, value)), Some(attachment)) = (&self.delete_on_termination, &mut shown.attachment)
            && holds(*at)
        {
            attachment.delete_on_termination = *value;
        }
        if let Some((at, groups)) = &self.groups
            && holds(*at)
        {
            shown.groups.clone_from(groups);
        }
        if let Some((at, description)) = &self.description
            && holds(*at)
        {
            shown.description.clone_from(description);
        }
        if let Some((at, value)) = self.source_dest_check
            && holds(at)
        {
            shown.source_dest_check = value;
        }
        if let Some((at, timeouts)) = self.connection_tracking
            && holds(at)
        {
            shown.connection_tracking = timeouts;
        }
        let tags = self.tags.iter().filter(|(_, (at, _))| holds(*at));
        let tags: Vec<(&String, &String)> = tags.map(|(key, (_, value))| (key, value)).collect();
        if !tags.is_empty() {
            shown.tags.extend(tags);
        }
        let untagged = |key: &str| self.untagged.get(key).is_some_and(|at| holds(*at));
        if self.untagged.values().any(|at| holds(*at)) {
            shown.tags = shown.tags.iter().filter(|(key, _)| !untagged(key)).collect();
        }
        shown
    }

    /// The answers that still override Describes, after a Describe that began at `began` was applied: no Describe that began
    /// earlier is applied later. The other answers are dropped, because the cache keeps this value for each ENI.
    pub fn after(self, began: Timestamp, lag: SignedDuration) -> Self {
        fn still<T>(answer: At<T>, holds: impl Fn(Timestamp) -> bool) -> At<T> {
            answer.filter(|(at, _)| holds(*at))
        }
        let holds = |at: Timestamp| within(lag, at, began);
        Self {
            created: self.created.filter(|at| holds(*at)),
            attached: still(self.attached, holds),
            detached: still(self.detached, holds),
            delete_on_termination: still(self.delete_on_termination, holds),
            groups: still(self.groups, holds),
            description: still(self.description, holds),
            source_dest_check: still(self.source_dest_check, holds),
            connection_tracking: still(self.connection_tracking, holds),
            tags: self.tags.into_iter().filter(|(_, (at, _))| holds(*at)).collect(),
            untagged: self.untagged.into_iter().filter(|(_, at)| holds(*at)).collect(),
        }
    }

    fn attachment(
        &self,
        known: Option<&ObservedAttachment>,
        shown: Option<ObservedAttachment>,
        holds: impl Fn(Timestamp) -> bool,
    ) -> Option<ObservedAttachment> {
        let attached = self.attached.as_ref().filter(|(at, _)| holds(*at)).map(|(_, id)| id.as_str());
        let detached = self.detached.as_ref().filter(|(at, _)| holds(*at)).map(|(_, id)| id.as_str());
        let Some(shown) = shown else {
            // A Describe without an attachment is older than Attach's answer, unless Detach was answered since.
            return match (attached, known) {
                (Some(id), Some(known)) if known.id == id && detached != Some(id) => Some(known.clone()),
                _ => None,
            };
        };
        match known {
            Some(known) if known.id == shown.id => {
                let ours = attached == Some(shown.id.as_str()) || detached == Some(shown.id.as_str());
                if ours && shown.state < known.state {
                    return Some(known.clone());
                }
                // In the same state, `since` keeps the time by our own clock: EC2's attach time is by another clock.
                let since = if known.state == shown.state { known.since } else { shown.since };
                Some(ObservedAttachment { since, ..shown })
            }
            // A Describe after our Detach showed that this attachment has ended. An older Describe does not bring it back.
            None if detached == Some(shown.id.as_str()) => None,
            // The Describe shows an earlier attachment that detaches; Attach's answer has replaced that attachment.
            Some(known) if attached == Some(known.id.as_str()) && shown.state == AttachmentState::Detaching => {
                Some(known.clone())
            }
            _ => Some(shown),
        }
    }
}

/// Whether a Describe that began at `began` may still show the state before the call that was answered at `call`.
pub(crate) fn within(lag: SignedDuration, call: Timestamp, began: Timestamp) -> bool {
    began.duration_since(call) < lag
}
