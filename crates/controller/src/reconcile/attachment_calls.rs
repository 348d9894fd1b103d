//! Executes the action that `lifecycle::step` returned for one ENIAttachment: starts its EC2 call, its lookup or its release, and
//! cancels a call that still waits when its ENIAttachment goes. It never chooses an action itself.

use super::{Outcome, Reconciler, write_backoff};
use crate::store::AttachmentEntry;
use crate::work_queue::Key;
use futures::future::BoxFuture;
use futures::{FutureExt, TryFutureExt};
use jiff::SignedDuration;
use multi_eni_api::ids::EniId;
use multi_eni_ec2::Ec2;
use multi_eni_plan::ec2_errors::{Call, CallError};
use multi_eni_plan::lifecycle::{Action, Change};
use multi_eni_plan::write_history::{PendingWrite, Write};
use std::collections::BTreeSet;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

impl Reconciler {
    /// Starts what the action asks for, or adds it to `work`.
    pub(super) fn act(
        &mut self,
        key: &Key,
        entry: &Arc<AttachmentEntry>,
        action: Action,
        work: &mut Vec<BoxFuture<'static, Outcome>>,
    ) {
        let cancelled = CancellationToken::new();
        if matches!(action, Action::Create { .. } | Action::Attach { .. }) {
            self.cancellable_calls
                .insert(entry.attachment.name.clone(), (entry.attachment.uid.clone(), cancelled.clone()));
        }
        let ec2 = self.deps.ec2.acting_for(&entry.attachment.nodeeni_uid, entry.attachment.created, cancelled);
        let report = changes_ec2(&action).then(|| self.attach_traces.report_of_call(&entry.attachment.uid)).flatten();
        let ec2 = ec2.on_node(&entry.attachment.node).reporting_to(report);
        let (call, future): (Call, BoxFuture<'static, Result<(), CallError>>) = match action {
            Action::Wait | Action::Settled | Action::NextAttempt => return,
            Action::LookupByTag => return self.start_lookup(key, || ec2.lookup_by_tag(&entry.attachment.uid)),
            Action::LookupById(eni) => return self.start_lookup(key, || ec2.lookup_by_id(&eni)),
            Action::LookupSubnet(subnet) => {
                // A user has asked for a new try: the last answer may be young.
                let described = self.deps.ec2.catalog().subnets.get(&subnet).map(|described| described.as_of);
                let call_history = self.call_history(&entry.attachment);
                self.awaited_subnets.asked(&subnet, &entry.attachment.name);
                let is_asked_for = described.is_some_and(|at| call_history.is_woken_after(at));
                return self.start_lookup(key, || match is_asked_for {
                    true => ec2.refresh(BTreeSet::new(), BTreeSet::new(), [subnet].into()),
                    false => ec2.lookup_subnets(&[subnet], &[]),
                });
            }
            Action::LookupInstance(instance) => return self.start_lookup(key, || ec2.lookup_instance_state(&instance)),
            Action::Release => {
                let asked = release_of(entry);
                if self.may_write(key, &asked) {
                    if !self.writes.is_failing(key, &asked.target) {
                        self.publish_deleted(entry);
                    }
                    let (writer, entry) = (self.deps.writer.clone(), entry.clone());
                    work.push(write_backoff::sent(asked, async move { writer.release(entry).await }));
                }
                return;
            }
            Action::Create { token, may_repeat } => {
                let entry = entry.clone();
                let now = self.now();
                self.quota.sent(&entry.attachment.uid, now);
                self.subnets.sent(&entry.attachment.uid, &entry.attachment.request);
                self.permissions.sent(Call::Create, now);
                self.instance_type_sent(&entry);
                let (wall, uid) = (self.deps.wall.clone(), entry.attachment.uid.clone());
                let create = async move {
                    let sent = wall();
                    let result = ec2.create(&token, may_repeat, &entry.attachment).await.map(|eni| eni.id);
                    Outcome::Created { uid, sent, result }
                };
                return work.push(create.boxed());
            }
            Action::Attach { eni, instance, card, index } => {
                let before = entry.attachment.status.attachment_id.clone();
                self.call_history_mut(&entry.attachment).sends_attach(before.as_deref());
                (Call::Attach, async move { ec2.attach(&eni, &instance, card, index).await.map(drop) }.boxed())
            }
            Action::Detach { eni, attachment, force } => {
                let leaving = entry.attachment.deleting.is_some();
                if force {
                    self.deps.gauges.counted.attachments.forced_detaches.count(["attachment"]);
                }
                if self.call_history_mut(&entry.attachment).sends_detach(&attachment, force, leaving) {
                    self.publish_forced_detach(entry);
                }
                (Call::Detach, async move { ec2.detach(&eni, &attachment, force).await }.boxed())
            }
            Action::Delete { eni } => (Call::Delete, async move { ec2.delete(&eni).await }.boxed()),
            Action::Modify { eni, change, cause } => {
                let now = self.now();
                let nodeeni = self.store.nodeeni_by_uid(&entry.attachment.nodeeni_uid).cloned();
                let spec = nodeeni.as_ref().and_then(|nodeeni| nodeeni.nodeeni.spec.as_ref().ok());
                self.call_history_mut(&entry.attachment).sends_change(&change, spec, now);
                let (gauges, labels) = (self.deps.gauges.clone(), [change.attribute().name(), cause.name()]);
                let (call, changed) = change_in_place(ec2, eni, change);
                let counted = move |(): &()| gauges.counted.attachments.in_place_changes.count(labels);
                (call, changed.inspect_ok(counted).boxed())
            }
        };
        self.permissions.sent(call, self.now());
        let (wall, uid) = (self.deps.wall.clone(), entry.attachment.uid.clone());
        work.push(
            async move {
                let sent = wall();
                Outcome::Called { uid, call, sent, result: future.await }
            }
            .boxed(),
        );
    }

    /// Cancels a Create or Attach that still waits for its turn, if the ENIAttachment is being deleted or is gone.
    pub(super) fn cancel_calls(&mut self, name: &str) {
        let stays = |uid: &String| {
            self.store
                .attachment(name)
                .is_some_and(|entry| entry.attachment.uid == *uid && entry.attachment.deleting.is_none())
        };
        if let Some((_, cancelled)) = self.cancellable_calls.get(name).filter(|(uid, _)| !stays(uid)) {
            cancelled.cancel();
        }
    }

    /// Starts a lookup. Its answer comes as a change of the EC2 cache; if none comes, the key is reconciled again after five
    /// seconds.
    fn start_lookup(&mut self, key: &Key, spec: impl FnOnce()) {
        spec();
        self.queue.add_at(key.clone(), self.now().saturating_add(SignedDuration::from_secs(5)).unwrap_or_default());
    }
}

/// The removal of the finalizer, as it is remembered while it fails.
pub(super) fn release_of(entry: &AttachmentEntry) -> PendingWrite {
    write_backoff::to_attachment(Write::ReleaseAttachment, &entry.attachment, ())
}

/// Whether the action is an EC2 call that changes something.
fn changes_ec2(action: &Action) -> bool {
    match action {
        Action::Create { .. }
        | Action::Attach { .. }
        | Action::Modify { .. }
        | Action::Detach { .. }
        | Action::Delete { .. } => true,
        Action::LookupByTag | Action::LookupById(_) | Action::LookupSubnet(_) | Action::LookupInstance(_) => false,
        Action::NextAttempt | Action::Release | Action::Wait | Action::Settled => false,
    }
}

/// The EC2 call for a change in place.
fn change_in_place(ec2: Ec2, eni: EniId, change: Change) -> (Call, BoxFuture<'static, Result<(), CallError>>) {
    match change {
        Change::DeleteOnTermination { attachment, value } => {
            (Call::Modify, async move { ec2.set_delete_on_termination(&eni, &attachment, value).await }.boxed())
        }
        Change::Groups(groups) => (Call::Modify, async move { ec2.set_groups(&eni, &groups).await }.boxed()),
        Change::Description(text) => (Call::Modify, async move { ec2.set_description(&eni, &text).await }.boxed()),
        Change::SourceDestCheck(value) => {
            (Call::Modify, async move { ec2.set_source_dest_check(&eni, value).await }.boxed())
        }
        Change::ConnectionTracking(timeouts) => {
            (Call::Modify, async move { ec2.set_connection_tracking(&eni, timeouts).await }.boxed())
        }
        Change::Untag(keys) => (Call::Untag, async move { ec2.untag(&eni, &keys).await }.boxed()),
        Change::Tags(tags) => (Call::Tag, async move { ec2.tag(&eni, &tags).await }.boxed()),
    }
}
