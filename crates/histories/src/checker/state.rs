//! What the checker knows, and what it does with each thing that happens: tell it, check it, follow it.

use super::backoff::{Answer, Repeats, Request};
use super::budget::{Budgets, SAME_CALLS_A_SECOND, WRITES_A_SECOND};
use super::enforced::Enforced;
use super::invariant::{Promise, Violation};
use super::lease::Leases;
use super::model::{Model, NodeEniTruth};
use super::pace::{self, Paces};
use super::rollout::{self, Rollouts};
use super::said::{self, Refusals};
use super::trace::{Detail, Trace};
use super::{allowed, describe, status_true, takeover, targets};
use crate::replica::{EC2_TIMEOUT, Life};
use crate::script::{Event, Millis, Operation, Script, SubnetPlace};
use multi_eni_api::names::{GROUP, client_token};
use multi_eni_plan::attachment::Attachment;
use multi_eni_plan::gates::quota;
use multi_eni_plan::invariants;
use multi_eni_plan::observed::Cluster;
use multi_eni_sim::ec2::{By, CallRecord, Eni, Fault, Happening, Incoming, Outcome, catalog};
use multi_eni_sim::kube::{ObjectChange, RequestInfo};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

/// When a write to the API server is given up: the checker's own number, so that another one in the controller shows.
const WRITE_LASTS: Millis = 8_000;

/// How old a replica's answer to what a name stands for may be.
pub(super) const NAMES: Millis = 300_000;

/// Everything the checker knows.
#[derive(Debug)]
pub struct State {
    /// Who we are on EC2.
    pub cluster: Cluster,
    /// Subnets that there are.
    pub subnets: Vec<SubnetPlace>,
    /// How many interfaces each network card of an instance takes.
    pub cards: Vec<u32>,
    /// Whether there is an election.
    pub elects: bool,
    /// The grace before a detach is forced, less what clocks may differ.
    pub force_after: Millis,
    /// How late EC2 may be to show what is so.
    pub lag: Millis,
    /// How old a replica's picture of Pods may be; None: it waits for none.
    pub pods_known: Option<Millis>,
    /// The truth.
    pub model: Model,
    /// The trace.
    pub trace: Trace,
    /// The Lease.
    pub leases: Leases,
    /// The first promise that was broken.
    pub breach: Option<Violation>,
    /// When something last changed that matters at rest: an ENI, or an object that is no Lease.
    pub moved: Millis,
    /// How many changes there were, of whatever kind.
    pub changes: u64,
    /// Calls and writes since the last mark.
    pub since_mark: Activity,
    /// Which of the newer promises count.
    pub enforced: Enforced,
    /// Nodes that rollouts have taken away.
    pub rollouts: Rollouts,
    /// What NodeENIs have lost by labels and edits.
    pub paces: Paces,
    /// What is refused.
    pub refusals: Refusals,
    /// When a process last began.
    pub last_begun: Millis,
    /// When it last looked.
    looked: Millis,
    /// Instances that are terminated or on their way there, and since when.
    dead: BTreeMap<String, Millis>,
    /// When no replica can be relied on to see and to write.
    unable: Vec<Range<Millis>>,
    budgets: Budgets,
    /// Requests that repeat themselves.
    pub repeats: Repeats,
    /// Calls on their way, and those that have changed something.
    calls: BTreeMap<u64, Request>,
    effective: BTreeSet<u64>,
    /// When a process last changed an object.
    written: BTreeMap<(String, String), Millis>,
}

/// What was done in a span of time.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Activity {
    /// EC2 calls that only read.
    pub reads: u64,
    /// EC2 calls that change something, as sentences.
    pub mutations: Vec<String>,
    /// Writes of the replicas to the API server, but for the Lease, as sentences.
    pub writes: Vec<String>,
}

impl State {
    /// A subnet has another tag Name from now on. Whoever asked before may not ask again for minutes.
    pub fn renamed(&mut self, at: Millis, subnet: &str, name: &str) {
        let place = self.subnets.iter_mut().find(|place| place.id == subnet);
        if let Some(place) = place {
            place.name = Some(name.to_owned());
        }
        self.names_have_moved(at);
    }

    /// All subnets have the tags that they had at first.
    pub fn names_are_put_back(&mut self, at: Millis, subnets: &[SubnetPlace]) {
        if self.subnets != subnets {
            self.subnets = subnets.to_vec();
            self.names_have_moved(at);
        }
    }

    fn names_have_moved(&mut self, at: Millis) {
        let by_name = |nodeeni: &&NodeEniTruth| {
            let spec = nodeeni.spec.as_ref();
            spec.is_some_and(|spec| spec.subnet_name.is_some() || spec.subnet_names.is_some())
        };
        let concerned = self.model.nodeenis.values().filter(by_name).map(|nodeeni| nodeeni.uid.clone());
        let concerned: Vec<String> = concerned.collect();
        concerned.iter().for_each(|uid| self.paces.names_moved(at, uid));
        self.model.nodeenis_changed.extend(concerned.into_iter().map(|uid| (uid, at + NAMES)));
    }

    /// Nothing has happened yet.
    pub fn new(cluster: &str, script: &Script, detail: Detail) -> Self {
        let setting = &script.setting;
        let skew = setting.clock_skew.iter().map(|skew| skew.unsigned_abs()).max().unwrap_or(0);
        let steps = script.events.iter().map(|event| match event.act {
            Operation::ClockStep { by, .. } => by.unsigned_abs(),
            _ => 0,
        });
        let steps: Millis = skew + steps.sum::<u64>();
        let force = u64::try_from(setting.graces.force_detach).unwrap_or(0) * 1000;
        Self {
            cluster: Cluster { uid: cluster.to_owned(), name: String::new() },
            subnets: setting.subnets.clone(),
            cards: catalog::instance_type(&setting.instance_type).map_or_else(Vec::new, |found| found.cards.to_vec()),
            elects: setting.replicas > 1,
            force_after: force.saturating_sub(2000 + steps),
            lag: setting.lag,
            pods_known: setting.waits_for_pods.then(|| allowed::WATCH + blind_for(script)),
            model: Model::default(),
            trace: Trace::new(detail),
            leases: Leases::default(),
            breach: None,
            moved: 0,
            changes: 0,
            since_mark: Activity::default(),
            enforced: Enforced::chosen(),
            rollouts: Rollouts::of(script),
            paces: Paces::new(2 * steps),
            refusals: Refusals::default(),
            last_begun: 0,
            looked: 0,
            dead: BTreeMap::new(),
            unable: said::unable(script),
            budgets: Budgets::new(setting.buckets_percent, steps, frozen(script)),
            repeats: Repeats::default(),
            calls: BTreeMap::new(),
            effective: BTreeSet::new(),
            written: BTreeMap::new(),
        }
    }

    /// Notes a broken promise; only the first counts.
    pub fn broke(&mut self, at: Millis, promise: Promise, how: String) {
        if self.breach.is_none() {
            self.trace.line(Detail::Story, at, "!", || format!("{promise}: {how}"));
            self.breach = Some(Violation { at, promise, how });
        }
    }

    /// Something happened on EC2.
    pub fn ec2(&mut self, at: Millis, happening: &Happening<'_>) {
        match happening {
            Happening::Landed(record) => {
                describe::landed(&mut self.trace, at, record);
                self.quota(at, record);
                self.call_ended(at, record);
            }
            Happening::Changed { id, before, after, by } => {
                let call = match by {
                    By::Call(record) => Some(record.as_ref()),
                    By::Hand | By::Time => None,
                };
                describe::changed(&mut self.trace, at, id, *before, *after, by);
                if let Some(record) = call {
                    allowed::call(self, at, record, *before, *after);
                }
                let by_hand = match by {
                    By::Call(_) => false,
                    By::Hand => true,
                    By::Time => let_go_by_its_instance(*before, *after),
                };
                let cluster = self.cluster.uid.clone();
                self.model.eni(at, &cluster, id, *after, call.is_some(), by_hand);
                said::eni(self, at, id, *before, *after);
                if self.enforced.follows() {
                    let who = call.map_or("", |record| record.user_agent.as_str());
                    self.effective.extend(call.map(|record| record.number));
                    targets::news_of_eni(&mut self.repeats, &self.model, at, (*before, *after), who);
                }
                if !self.rollouts.is_empty() {
                    rollout::settle(self);
                }
                self.moved = at;
                self.changes += 1;
                if call.is_some_and(|record| record.action == "CreateNetworkInterface") {
                    self.created(at, id);
                }
                self.check(at);
            }
        }
    }

    /// Another term knows what statuses say of the quota and of removals, and no more.
    pub fn quota_is_forgotten(&mut self, life: &str) {
        self.budgets.quota_eases(life);
        self.repeats.forget(life);
    }

    /// What cannot work is not tried twice.
    fn quota(&mut self, at: Millis, record: &CallRecord) {
        let life = record.user_agent.as_str();
        match (record.action.as_str(), &record.outcome) {
            ("CreateNetworkInterface" | "DeleteNetworkInterface", Outcome::Done) => self.budgets.quota_eases(life),
            ("CreateNetworkInterface", Outcome::Refused(code)) if code == quota::CODE => {
                let heard = record.fault.is_none() && is_process(life);
                if heard && !self.budgets.quota_refuses(life, at) {
                    let how = format!("{life} creates once more what the quota of ENIs forbids");
                    self.broke(at, Promise::Budget, how);
                }
            }
            _ => {}
        }
    }

    /// A new ENI must be one that its ENIAttachment's token finds.
    fn created(&mut self, at: Millis, id: &str) {
        let Some(eni) = self.model.enis.get(id) else { return };
        let uid = eni.made_for.clone().unwrap_or_default();
        let attachment = self
            .model
            .uids
            .get(&uid)
            .and_then(|name| self.model.attachments.get(name))
            .map(|attachment| &attachment.attachment);
        if self.model.torn.get(&uid).is_some_and(|(torn, _)| at <= torn + allowed::PICTURE) {
            // Somebody tore its ENIAttachment away, and who sent this did not know yet: an orphan, which sweeps find.
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
                Promise::NoLeak,
                format!("{id} was created for ENIAttachment {uid}, which is not there or whose token is another"),
            );
        }
    }

    /// Something happened on the API server.
    pub fn object(&mut self, at: Millis, change: &ObjectChange<'_>) {
        let by_replica = is_process(change.actor);
        describe::object(&mut self.trace, at, change);
        if self.enforced.follows() {
            let object = format!("{} {}", change.resource.resource, change.name);
            self.written.insert((change.actor.to_owned(), object), at);
            targets::news_of_object(&mut self.repeats, at, change);
        }
        match (change.resource.group.as_str(), change.resource.resource.as_str()) {
            ("", "pods") => self.model.pod(at, change.name, change.after),
            ("", "nodes") => self.model.node(at, change.name, change.after),
            ("coordination.k8s.io", "leases") => {
                let holder =
                    change.after.and_then(|lease| lease.pointer("/spec/holderIdentity")).and_then(Value::as_str);
                holder.unwrap_or_default().clone_into(&mut self.leases.holder);
                return;
            }
            (GROUP, "nodeenis") => {
                allowed::nodeeni(self, at, change, by_replica);
                rollout::nodeeni(self, at, change);
                pace::nodeeni(self, at, change);
                if by_replica {
                    status_true::nodeeni(self, at, change);
                    takeover::nodeeni(self, at, change);
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
                if by_replica {
                    self.refusals.done(at, change);
                    status_true::attachment(self, at, change);
                    if self.enforced.max_unavailable {
                        rollout::attachment(self, at, change);
                    }
                    if self.enforced.removal_pace {
                        pace::attachment(self, at, change);
                    }
                }
                self.model.attachment(at, change.name, change.after, by_replica);
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

    /// `plan`'s own invariants. ENIs that somebody made orphans by hand are on their way to be cleaned up.
    fn check(&mut self, at: Millis) {
        let enis: Vec<_> = self
            .model
            .enis
            .values()
            .filter(|eni| eni.orphaned.is_none() && eni.untagged.is_none())
            .map(|eni| &eni.seen)
            .collect();
        let attachments: Vec<&Attachment> =
            self.model.attachments.values().map(|attachment| &attachment.attachment).collect();
        let breaches =
            invariants::always(&invariants::World { cluster: &self.cluster, enis: &enis, attachments: &attachments });
        if let Some(how) = breaches.into_iter().next() {
            let promise = if how.ends_with("leaked") { Promise::NoLeak } else { Promise::NoDouble };
            self.broke(at, promise, how);
        }
    }

    /// A process sends a request to the API server.
    pub fn sends_kube(&mut self, at: Millis, life: &Life, info: &RequestInfo) {
        let name = life.name();
        self.trace
            .line(Detail::Everything, at, &name, || format!("sends {} {} {}", info.verb, info.target(), info.name));
        if matches!(info.verb.as_str(), "get" | "list" | "watch") {
            return;
        }
        if info.resource == "leases" {
            self.leases.sends(&name, at);
            return;
        }
        let what = format!("{} {} {}", info.verb, info.target(), info.name);
        self.must_lead(at, life, WRITE_LASTS, &what);
        if !info.name.is_empty() {
            self.repeats(at, &name, what.clone(), WRITES_A_SECOND);
        }
        self.since_mark.writes.push(what);
    }

    /// A process sends a call to EC2.
    pub fn sends_ec2(&mut self, at: Millis, life: &Life, call: &Incoming) {
        let (name, action) = (life.name(), call.action.as_str());
        self.trace.line(Detail::Everything, at, &name, || format!("sends {action}"));
        if !self.budgets.spends(&name, action, at) {
            self.broke(at, Promise::Budget, format!("{name} calls {action} faster than its budget"));
        }
        self.repeats(at, &name, format!("{action} {:?}", call.parameters), SAME_CALLS_A_SECOND);
        if self.enforced.follows() {
            let request = targets::of_call(&self.model, call);
            // Several ask the same of EC2, each at its own pace: how often EC2 is read is the budget's.
            if !action.starts_with("Describe") {
                self.repeats_itself(at, &name, &request);
            }
            self.calls.insert(call.number, request);
        }
        if action.starts_with("Describe") {
            self.since_mark.reads += 1;
            return;
        }
        let lasts = Millis::try_from(EC2_TIMEOUT.as_millis()).unwrap_or(Millis::MAX);
        self.must_lead(at, life, lasts, action);
        if self.enforced.nothing_for_the_dead {
            self.for_the_dead(at, &name, call);
        }
        self.since_mark.mutations.push(action.to_owned());
    }

    /// Nothing is made for an instance that has long been shown terminated.
    fn for_the_dead(&mut self, at: Millis, name: &str, call: &Incoming) {
        let instance = match call.action.as_str() {
            "AttachNetworkInterface" => call.parameters.get("InstanceId").cloned(),
            "CreateNetworkInterface" => targets::made_for(&self.model, call),
            _ => None,
        };
        let Some(instance) = instance else { return };
        let Some(since) = self.dead.get(&instance).copied() else { return };
        if at > since + allowed::PICTURE && self.is_able(at, at - since) {
            let how = format!("{name} sends {} for {instance}, which is dead since {since} ms", call.action);
            self.broke(at, Promise::NothingForTheDead, how);
        }
    }

    /// Whether the instance of an ENIAttachment is terminated, or on its way there.
    pub fn has_died(&self, attachment: &Attachment) -> bool {
        attachment.instance.as_ref().is_some_and(|instance| self.dead.contains_key(instance.as_str()))
    }

    /// Whether some replica could see and write all the time for so long.
    pub fn is_able(&self, at: Millis, long: Millis) -> bool {
        let from = at.saturating_sub(long);
        self.last_begun <= from && !self.unable.iter().any(|span| span.end > from && span.start <= at)
    }

    /// Whether it is time for a look again: it costs a copy of the account.
    pub fn is_time_to_look(&mut self, at: Millis) -> bool {
        const EVERY: Millis = 10_000;
        let due = self.enforced.looks() && at >= self.looked + EVERY;
        if due {
            self.looked = at;
        }
        due
    }

    /// What no request shows. `dead`: instances that are terminated or on their way there.
    pub fn looks(&mut self, at: Millis, dead: BTreeSet<String>) {
        self.dead.retain(|instance, _| dead.contains(instance));
        for instance in dead {
            self.dead.entry(instance).or_insert(at);
        }
        if self.enforced.said {
            said::look(self, at);
        }
    }

    /// A process is about to write to the API server.
    pub fn asks(&mut self, at: Millis, life: &Life, info: &RequestInfo, body: &[u8]) -> Option<Request> {
        let reads = matches!(info.verb.as_str(), "get" | "list" | "watch");
        if !self.enforced.follows() || reads || info.resource == "leases" {
            return None;
        }
        let body = if info.verb == "create" { serde_json::from_slice(body).unwrap_or_default() } else { Value::Null };
        let request = targets::of_write(&self.model, info, &body);
        self.repeats_itself(at, &life.name(), &request);
        Some(request)
    }

    /// What a process asked the API server for has ended.
    pub fn ended(&mut self, life: &Life, (sent, request): &(Millis, Request), status: Option<u16>) {
        let name = life.name();
        let answer = match status {
            None => Answer::Unheard,
            Some(status @ 200..300) => {
                let object = (name.clone(), request.object.clone());
                let changed = self.written.get(&object).is_some_and(|at| at >= sent) || status == 201;
                if changed { Answer::Changed } else { Answer::Nothing }
            }
            Some(status) => Answer::Refused(status.to_string()),
        };
        self.request_ended(*sent, &name, request, answer);
    }

    fn call_ended(&mut self, at: Millis, record: &CallRecord) {
        let Some(request) = self.calls.remove(&record.number) else { return };
        let effective = self.effective.remove(&record.number);
        let reads = record.action.starts_with("Describe");
        let heard = !matches!(record.fault, Some(Fault::LoseAnswer(_) | Fault::GarbleAnswer | Fault::Unreachable));
        let answer = match &record.outcome {
            _ if !heard => Answer::Unheard,
            Outcome::NeverArrived => Answer::Unheard,
            Outcome::Done if reads || effective => Answer::Changed,
            Outcome::Done => Answer::Nothing,
            Outcome::Refused(code) => Answer::Refused(code.clone()),
        };
        self.request_ended(at, &record.user_agent, &request, answer);
    }

    fn request_ended(&mut self, at: Millis, life: &str, request: &Request, answer: Answer) {
        if let Some(about) = &request.attachment {
            let why = if let Answer::Refused(why) = &answer { Some(why.as_str()) } else { None };
            self.refusals.ended(at, about, &request.may, why);
        }
        if matches!(answer, Answer::Changed | Answer::Nothing) {
            self.repeats.news(format!("may {}", request.may), "", at);
        }
        self.repeats.ended(life, request, answer);
    }

    fn repeats_itself(&mut self, at: Millis, life: &str, request: &Request) {
        let how = self.repeats.sends(life, request, at);
        if let Some(how) = how.filter(|_| self.enforced.backs_off) {
            self.broke(at, Promise::BacksOff, how);
        }
    }

    fn repeats(&mut self, at: Millis, name: &str, what: String, most: usize) {
        if !self.budgets.may_repeat(name, what.clone(), at, most) {
            self.broke(at, Promise::Budget, format!("{name} sends over and over: {what}"));
        }
    }

    fn must_lead(&mut self, at: Millis, life: &Life, timeout: Millis, what: &str) {
        if !self.elects {
            return;
        }
        if let Some(why) = self.leases.forbids(&life.name(), &life.identity, at, timeout) {
            self.broke(at, Promise::OnlyTheLeader, format!("{} sends {what}, and {why}", life.name()));
        }
    }
}

/// When some replica is frozen, by the script, and just before: an answer is on its way for a moment.
fn frozen(script: &Script) -> Vec<Range<Millis>> {
    let span = |event: &Event| match event.act {
        Operation::Pause { lasts, .. } => Some(event.at.saturating_sub(1_000)..event.at + lasts),
        _ => None,
    };
    script.events.iter().filter_map(span).collect()
}

/// How long replicas may all in all see nothing of what happens on the API server, or be frozen, by the script.
fn blind_for(script: &Script) -> Millis {
    let lasts = script.events.iter().map(|event| match event.act {
        Operation::Pause { lasts, .. } | Operation::Partition { lasts, .. } | Operation::StaleWatch { lasts, .. } => {
            lasts
        }
        Operation::RestartApi { lasts } | Operation::Forbid { reads: true, lasts } => lasts,
        _ => 0,
    });
    lasts.sum()
}

/// Whether it is a replica's process that signs so: a letter and a number.
pub fn is_process(actor: &str) -> bool {
    let mut letters = actor.chars();
    letters.next().is_some_and(|first| first.is_ascii_lowercase())
        && !letters.as_str().is_empty()
        && letters.as_str().chars().all(|c| c.is_ascii_digit())
}

/// An attachment that ends without having been detached ends with its instance.
fn let_go_by_its_instance(before: Option<&Eni>, after: Option<&Eni>) -> bool {
    use multi_eni_sim::ec2::AttachmentStatus::Detaching;
    let was = before.and_then(|eni| eni.attachment.as_ref()).is_some_and(|at| at.status != Detaching);
    was && after.is_none_or(|eni| eni.attachment.is_none())
}
