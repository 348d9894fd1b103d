//! What the checker does with each change of EC2 and of the API server: it writes the trace, checks the invariants, and follows
//! the change in the model. The checks themselves are in a file for each invariant.

use super::eni_change_event::EniChange;
use super::invariant::Invariant;
use super::max_staleness::MAX_STALENESS;
use super::state::State;
use super::{adoption, allowed, max_unavailable, removal_pace, said, startup_taint, status_true, targets, trace_lines};
use crate::environment::NODE_AGENT;
use crate::replica::is_process;
use crate::script::Millis;
use multi_eni_api::names::{GROUP, client_token};
use multi_eni_plan::attachment::Attachment;
use multi_eni_plan::gates::quota;
use multi_eni_plan::invariants;
use multi_eni_sim::ec2::{CallRecord, Happening, Outcome};
use multi_eni_sim::kube::ObjectChange;
use serde_json::Value;
use std::collections::BTreeSet;

impl State {
    /// EC2 has finished a call, or a network interface has changed.
    pub fn ec2(&mut self, at: Millis, happening: &Happening<'_>) {
        match happening {
            Happening::Landed(record) => {
                trace_lines::landed(&mut self.trace, at, record);
                self.quota(at, record);
                self.call_ended(at, record);
            }
            Happening::Changed { id, before, after, by } => {
                self.eni(&EniChange { at, id, before: *before, after: *after, by });
            }
        }
    }

    /// A network interface has changed.
    fn eni(&mut self, change: &EniChange<'_>) {
        let (at, call) = (change.at, change.call());
        trace_lines::changed(&mut self.trace, change);
        if let Some(record) = call {
            allowed::call(self, change, record);
        }
        self.model.eni(&self.cluster.uid, change);
        said::eni(self, change);
        self.effective.extend(call.map(|record| record.number));
        targets::news_of_eni(&mut self.repeats, &self.model, change);
        if !self.rollouts.is_empty() {
            max_unavailable::settle(self);
        }
        self.moved = at;
        self.changes += 1;
        if call.is_some_and(|record| record.action == "CreateNetworkInterface") {
            self.created(at, change.id);
        }
        self.check(at);
    }

    /// A process must not create ENIs while it knows that the quota is used up.
    fn quota(&mut self, at: Millis, record: &CallRecord) {
        let process = record.user_agent.as_str();
        match (record.action.as_str(), &record.outcome) {
            ("CreateNetworkInterface", Outcome::Done) => self.budgets.quota_eases(process),
            ("DeleteNetworkInterface", Outcome::Done) => self.budgets.deletes(process, at),
            ("CreateNetworkInterface", Outcome::Refused(code)) if code == quota::CODE => {
                let heard = record.fault.is_none() && is_process(process);
                if heard && !self.budgets.quota_refuses(process, at) {
                    let how = format!("{process} sends another Create while the quota of ENIs is used up");
                    self.broke(at, Invariant::Budget, how);
                }
            }
            _ => {}
        }
    }

    /// A new ENI must be one that the ClientToken of its ENIAttachment finds.
    fn created(&mut self, at: Millis, id: &str) {
        let Some(eni) = self.model.enis.get(id) else { return };
        let uid = eni.made_for.clone().unwrap_or_default();
        let attachment = self
            .model
            .uids
            .get(&uid)
            .and_then(|name| self.model.attachments.get(name))
            .map(|attachment| &attachment.attachment);
        if self.model.torn.get(&uid).is_some_and(|(torn, _)| at <= torn + MAX_STALENESS) {
            // Someone removed the ENIAttachment by hand, and the process that sent the Create did not know it yet. The ENI is an
            // orphan, which resyncs find.
            if let Some(eni) = self.model.enis.get_mut(id) {
                eni.orphaned = Some(at);
            }
            return;
        }
        let found = attachment.is_some_and(|attachment| {
            (0..=attachment.status.attempt)
                .any(|attempt| eni.token.as_deref() == Some(client_token(&uid, attempt).as_str()))
        });
        if !found {
            self.broke(
                at,
                Invariant::NoLeak,
                format!("{id} was created for ENIAttachment {uid}, which does not exist or has another ClientToken"),
            );
        }
    }

    /// An object has changed on the API server.
    pub fn object(&mut self, at: Millis, change: &ObjectChange<'_>) {
        let by_replica = is_process(change.actor);
        trace_lines::object(&mut self.trace, at, change);
        let object = format!("{} {}", change.resource.resource, change.name);
        self.written.insert((change.actor.to_owned(), object), at);
        targets::news_of_object(&mut self.repeats, at, change);
        if targets::asks_for_a_new_try(change) {
            self.budgets.new_try_is_requested();
        }
        match (change.resource.group.as_str(), change.resource.resource.as_str()) {
            ("", "pods") => self.model.pod(at, change.name, change.after),
            ("", "nodes") => {
                max_unavailable::node(self, at, change);
                startup_taint::node(self, at, change, by_replica);
                self.model.node(at, change.name, change.after);
            }
            ("coordination.k8s.io", "leases") => {
                let holder =
                    change.after.and_then(|lease| lease.pointer("/spec/holderIdentity")).and_then(Value::as_str);
                holder.unwrap_or_default().clone_into(&mut self.leases.holder);
                return;
            }
            (GROUP, "nodeenis") => {
                allowed::nodeeni(self, at, change, by_replica);
                max_unavailable::nodeeni(self, at, change);
                removal_pace::nodeeni(self, at, change);
                if by_replica {
                    status_true::nodeeni(self, at, change);
                    adoption::nodeeni(self, at, change);
                }
                let spec = |object: Option<&Value>| object.and_then(|object| object.get("spec").cloned());
                if spec(change.before) != spec(change.after) {
                    let of_it = self
                        .model
                        .attachments
                        .values()
                        .filter(|attachment| attachment.attachment.nodeeni == change.name);
                    of_it.for_each(|attachment| self.refusals.changed(&attachment.attachment.name));
                }
                self.model.nodeeni(at, change.name, change.before, change.after);
            }
            (GROUP, "eniattachments") => {
                allowed::attachment(self, at, change, by_replica);
                startup_taint::attachment(self, at, change);
                if by_replica {
                    self.refusals.done(at, change);
                    status_true::attachment(self, at, change);
                    max_unavailable::attachment(self, at, change);
                    removal_pace::attachment(self, at, change);
                }
                // The node agent changes nothing on which a decision about the ENI rests.
                let disturbs = !by_replica && change.actor != NODE_AGENT;
                self.model.attachment(at, change.name, change.after, !disturbs);
                self.check(at);
            }
            ("", "events") => {}
            _ => return,
        }
        self.changes += 1;
        if by_replica {
            self.moved = at;
        }
    }

    /// Checks the invariants that `plan` defines. ENIs that someone made orphans or untagged by hand are left out.
    fn check(&mut self, at: Millis) {
        let enis: Vec<_> = self
            .model
            .enis
            .values()
            .filter(|eni| eni.orphaned.is_none() && eni.untagged.is_none())
            .map(|eni| &eni.current)
            .collect();
        let attachments: Vec<&Attachment> =
            self.model.attachments.values().map(|attachment| &attachment.attachment).collect();
        let breaches =
            invariants::always(&invariants::World { cluster: &self.cluster, enis: &enis, attachments: &attachments });
        if let Some(how) = breaches.into_iter().next() {
            let invariant = if how.ends_with("leaked") { Invariant::NoLeak } else { Invariant::NoDouble };
            self.broke(at, invariant, how);
        }
    }

    /// Checks what no request shows. `dead`: the instances that are shutting down or terminated.
    pub fn poll(&mut self, at: Millis, dead: BTreeSet<String>) {
        self.dead.retain(|instance, _| dead.contains(instance));
        for instance in dead {
            self.dead.entry(instance).or_insert(at);
        }
        said::check(self, at);
    }
}
