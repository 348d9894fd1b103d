//! The data of `said`: what EC2 or the API server refuses for which ENIAttachment, why, and since when.

use crate::script::Millis;
use multi_eni_api::conditions::types;
use multi_eni_plan::assign::INSTANCE_GONE;
use multi_eni_plan::attachment::Attachment;
use multi_eni_sim::kube::ObjectChange;
use serde_json::Value;
use std::collections::BTreeMap;

/// How long something may be refused before a NodeENI must report it.
pub const WITHIN: Millis = 300_000;
/// How long a report may be missing after it was removed: a refusal for another ENIAttachment, or after another edit, gets new
/// time.
pub(super) const ANEW: Millis = 180_000;
/// How old the last refusal may be: the longest back-off, and some time more.
const STANDS: Millis = 400_000;

/// Calls that change an ENI in place.
const CHANGES: [&str; 3] = ["ModifyNetworkInterfaceAttribute", "CreateTags", "DeleteTags"];

/// The refused requests of all ENIAttachments.
#[derive(Debug, Default)]
pub struct Refusals {
    /// By name of the ENIAttachment, and by request.
    refused: BTreeMap<String, BTreeMap<String, Refusal>>,
    /// By UID of the NodeENI: when it last reported that something needs a person.
    pub(super) reported: BTreeMap<String, Millis>,
}

#[derive(Debug, Clone)]
struct Refusal {
    why: String,
    first: Millis,
    last: Millis,
    /// How often it was refused since `first`.
    count: u32,
}

impl Refusals {
    /// A request for an ENIAttachment has ended. `why`: the code of its refusal; None if it was not refused.
    pub fn ended(&mut self, at: Millis, about: &str, what: &str, why: Option<&str>) {
        let of = self.refused.entry(about.to_owned()).or_default();
        match (why, of.get_mut(what)) {
            (None, _) => drop(of.remove(what)),
            (Some(why), Some(refused)) if refused.why == why => {
                if refused.count == 0 {
                    refused.first = at;
                }
                refused.last = at;
                refused.count += 1;
            }
            (Some(why), _) => {
                drop(of.insert(what.to_owned(), Refusal { why: why.to_owned(), first: at, last: at, count: 1 }))
            }
        }
    }

    /// A process begins to lead. It knows only of refusals from now on, so every count starts again.
    pub fn counted_anew(&mut self, at: Millis) {
        self.refused
            .values_mut()
            .flat_map(|of| of.values_mut())
            .for_each(|refused| (refused.first, refused.count) = (refused.first.max(at), 0));
    }

    /// A replica has changed an ENIAttachment. The request that did so is not refused any more, whether its answer was received
    /// or not.
    pub fn done(&mut self, at: Millis, change: &ObjectChange<'_>) {
        let part = |object: Option<&Value>, pointer: &str| object.and_then(|o| o.pointer(pointer).cloned());
        let differs = |pointer: &str| part(change.before, pointer) != part(change.after, pointer);
        let of = format!("{}.{}", change.resource.resource, change.resource.group);
        let what = if change.before.is_none() {
            // The refusals of a former ENIAttachment with this name are over. The refusal to create an ENI is kept: it holds for
            // both.
            if let Some(refused) = self.refused.get_mut(change.name) {
                refused.retain(|what, _| what == "CreateNetworkInterface");
            }
            format!("create {of}")
        } else if differs("/status") {
            format!("patch {of}/status")
        } else if change.after.is_some() && differs("/metadata/deletionTimestamp") {
            format!("delete {of}")
        } else {
            format!("patch {of}")
        };
        self.ended(at, change.name, &what, None);
    }

    /// The NodeENI was edited, or the ENI was changed: the controller now sends other changes.
    pub fn changed(&mut self, name: &str) {
        if let Some(refused) = self.refused.get_mut(name) {
            refused.retain(|what, _| !CHANGES.contains(&what.as_str()));
        }
    }

    /// A request for this ENIAttachment that has been refused for long, in words.
    pub(super) fn standing(
        &self,
        at: Millis,
        about: &Attachment,
        attached: AttachmentPlace,
        in_place: InPlace,
    ) -> Option<String> {
        let ready = about.status.conditions.iter().find(|condition| condition.type_ == types::READY);
        let is_gone = ready.is_some_and(|ready| ready.reason == INSTANCE_GONE);
        let is_over = |what: &str, refused: &Refusal| match what {
            // The controller sends nothing for an instance that is gone or that EC2's answers leave out. Other invariants judge
            // whether it is gone.
            "CreateNetworkInterface" | "AttachNetworkInterface" if is_gone => true,
            // EC2 attaches the ENI, so neither its Create nor its Attach is refused any more. The controller may have found the ENI
            // of a Create whose answer was lost.
            "CreateNetworkInterface" | "AttachNetworkInterface" if attached == AttachmentPlace::InPlace => true,
            // The ENI must be detached before it can be deleted.
            "DeleteNetworkInterface" => attached != AttachmentPlace::Nowhere,
            // A deletion waits for no request of the creation, and an ENI that is not in its place waits for no change there.
            "CreateNetworkInterface" | "AttachNetworkInterface" | "CreateTags" => about.deleting.is_some(),
            // The name may stand for another group now, so the change may not be necessary any more.
            "ModifyNetworkInterfaceAttribute" if refused.why == "InvalidGroup.NotFound" => true,
            "ModifyNetworkInterfaceAttribute" if in_place.is_as_asked => true,
            "ModifyNetworkInterfaceAttribute" | "DeleteTags" => about.deleting.is_some() || !in_place.is_attached,
            // The ENI is already being detached.
            "DetachNetworkInterface" => refused.why == "IncorrectState",
            _ => false,
        };
        // The controller sends a write that is still necessary again when its wait is over. The wait doubles.
        let again = |what: &str, refused: &Refusal| match what.contains(' ') {
            true => STANDS.min(60_000 + 2 * (refused.last - refused.first)),
            false => STANDS,
        };
        let stands = |what: &str, refused: &Refusal| {
            at >= refused.first + WITHIN && refused.count > 1 && at <= refused.last + again(what, refused)
        };
        let all = self.refused.get(&about.name)?;
        // An ENI in its place waits only for changes in place.
        let waits = |what: &str| !in_place.is_attached || about.deleting.is_some() || CHANGES.contains(&what);
        let (what, refused) =
            all.iter().find(|(what, refused)| waits(what) && stands(what, refused) && !is_over(what, refused))?;
        Some(format!("{what} has been refused ({}) for {} s", refused.why, (at - refused.first) / 1000))
    }
}

/// Where the ENI of an ENIAttachment is attached, attaching or detaching, by the model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum AttachmentPlace {
    Nowhere,
    InPlace,
    Elsewhere,
}

/// The ENI of an ENIAttachment, in its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct InPlace {
    /// It is attached in its place.
    pub is_attached: bool,
    /// It is there, and what can be changed in place is as its NodeENI asks.
    pub is_as_asked: bool,
}
