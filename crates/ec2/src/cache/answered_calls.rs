//! What EC2 told us in answer to our calls on one ENI. Within the lag after an answer, a Describe that shows something
//! older does not undo it; what moves forward is taken at once.

use jiff::{SignedDuration, Timestamp};
use multi_eni_api::ids::SecurityGroupId;
use multi_eni_plan::observed::{AttachmentState, ObservedAttachment, ObservedEni};
use std::collections::BTreeMap;

/// A value and when EC2 accepted it.
type At<T> = Option<(Timestamp, T)>;

/// Everything our calls changed on one ENI, each with the time of its answer.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct AnsweredCalls {
    /// Answer of Create.
    pub created: Option<Timestamp>,
    /// Attach: the attachment's ID.
    pub attached: At<String>,
    /// Detach: the attachment's ID.
    pub detached: At<String>,
    /// Modify of deleteOnTermination.
    pub delete_on_termination: At<bool>,
    /// Modify of the groups, sorted.
    pub groups: At<Vec<SecurityGroupId>>,
    /// Modify of the description.
    pub description: At<String>,
    /// Modify of the source/destination check.
    pub source_dest_check: At<bool>,
    /// Tags set by Create and CreateTags, each with its own time.
    pub tags: BTreeMap<String, (Timestamp, String)>,
    /// Keys of tags that DeleteTags took away, each with its own time.
    pub untagged: BTreeMap<String, Timestamp>,
}

impl AnsweredCalls {
    /// Every Describe is believed.
    pub const NOTHING: Self = Self {
        created: None,
        attached: None,
        detached: None,
        delete_on_termination: None,
        groups: None,
        description: None,
        source_dest_check: None,
        tags: BTreeMap::new(),
        untagged: BTreeMap::new(),
    };

    /// `shown` by a Describe that began at `shown.shown_at`, corrected by what is younger. `known` is what the view had.
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

    /// What outweighs Describes still, after one that began at `began` has been taken in: none that began earlier is. Kept for each
    /// ENI, so what is over is let go.
    pub fn after(self, began: Timestamp, lag: SignedDuration) -> Self {
        fn still<T>(told: At<T>, holds: impl Fn(Timestamp) -> bool) -> At<T> {
            told.filter(|(at, _)| holds(*at))
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
            // Not attached: older than Attach's answer, unless Detach was answered since.
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
                // Our own clock's word stands: EC2's attach time is another clock's.
                let since = if known.state == shown.state { known.since } else { shown.since };
                Some(ObservedAttachment { since, ..shown })
            }
            // It was seen to be gone after our Detach: no older look brings it back.
            None if detached == Some(shown.id.as_str()) => None,
            // An attachment on its way out that Attach's answer has replaced.
            Some(known) if attached == Some(known.id.as_str()) && shown.state == AttachmentState::Detaching => {
                Some(known.clone())
            }
            _ => Some(shown),
        }
    }
}

/// Whether a Describe that began at `began` may still show what was so before `call`.
pub(crate) fn within(lag: SignedDuration, call: Timestamp, began: Timestamp) -> bool {
    began.duration_since(call) < lag
}
