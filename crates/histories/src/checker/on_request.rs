//! What the checker does with each request of a process, when it is sent and when it ends: it checks the Lease, the budgets, the
//! back-off, and that nothing is made for a terminated instance.

use super::backoff::{Answer, Request};
use super::budget::{SAME_CALLS_A_SECOND, WRITES_A_SECOND};
use super::invariant::Invariant;
use super::max_staleness::MAX_STALENESS;
use super::state::State;
use super::targets;
use super::trace::Detail;
use crate::replica::{EC2_TIMEOUT, Process};
use crate::script::Millis;
use multi_eni_sim::ec2::{CallRecord, Fault, Incoming, Outcome};
use multi_eni_sim::kube::RequestInfo;
use serde_json::Value;

/// When a write to the API server times out. The checker has its own number, so that it notices a different one in the
/// controller.
const WRITE_LASTS: Millis = 8_000;

impl State {
    /// A process sends a request to the API server.
    pub fn sends_kube(&mut self, at: Millis, process: &Process, info: &RequestInfo) {
        let name = process.name();
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
        self.must_lead(at, process, WRITE_LASTS, &what);
        if !info.name.is_empty() {
            self.repeats(at, &name, what.clone(), WRITES_A_SECOND);
        }
        self.since_mark.writes.push(what);
    }

    /// A process sends a call to EC2.
    pub fn sends_ec2(&mut self, at: Millis, process: &Process, call: &Incoming) {
        let (name, action) = (process.name(), call.action.as_str());
        self.trace.line(Detail::Everything, at, &name, || format!("sends {action}"));
        if !multi_eni_ec2::action_names().any(|known| known == action) {
            self.broke(at, Invariant::Budget, format!("{name} calls {action}, which has no rate limit"));
        }
        if !self.budgets.spends(&name, action, at) {
            self.broke(at, Invariant::Budget, format!("{name} calls {action} faster than its rate limit"));
        }
        self.repeats(at, &name, format!("{action} {:?}", call.parameters), SAME_CALLS_A_SECOND);
        let request = targets::of_call(&self.model, call);
        // Several parts of a process read the same from EC2, each at its own interval. The budget limits how often.
        if !action.starts_with("Describe") {
            self.repeats_itself(at, &name, &request);
        }
        self.calls.insert(call.number, request);
        if action.starts_with("Describe") {
            self.since_mark.reads += 1;
            return;
        }
        let lasts = Millis::try_from(EC2_TIMEOUT.as_millis()).unwrap_or(Millis::MAX);
        self.must_lead(at, process, lasts, action);
        self.for_the_dead(at, &name, call);
        self.since_mark.mutations.push(action.to_owned());
    }

    /// A process must not create or attach an ENI for an instance that EC2 has long shown as terminated.
    fn for_the_dead(&mut self, at: Millis, name: &str, call: &Incoming) {
        let instance = match call.action.as_str() {
            "AttachNetworkInterface" => call.parameters.get("InstanceId").cloned(),
            "CreateNetworkInterface" => targets::made_for(&self.model, call),
            _ => None,
        };
        let Some(instance) = instance else { return };
        let Some(since) = self.dead.get(&instance).copied() else { return };
        if at > since + MAX_STALENESS && self.is_able(at, at - since) {
            let how = format!(
                "{name} sends {} for {instance}, which has been shutting down or terminated since {since} ms",
                call.action
            );
            self.broke(at, Invariant::NothingForTheDead, how);
        }
    }

    /// A process is about to write to the API server. Returns the request if it is to be followed until it ends.
    pub fn write_begins(&mut self, at: Millis, process: &Process, info: &RequestInfo, body: &[u8]) -> Option<Request> {
        let reads = matches!(info.verb.as_str(), "get" | "list" | "watch");
        if reads || info.resource == "leases" {
            return None;
        }
        let body = if info.verb == "create" { serde_json::from_slice(body).unwrap_or_default() } else { Value::Null };
        let request = targets::of_write(&self.model, info, &body);
        self.repeats_itself(at, &process.name(), &request);
        Some(request)
    }

    /// A write to the API server has ended, with this HTTP status; None if the process received no answer.
    pub fn write_ends(&mut self, process: &Process, (sent, request): &(Millis, Request), status: Option<u16>) {
        let name = process.name();
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

    pub(super) fn call_ended(&mut self, at: Millis, record: &CallRecord) {
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

    fn request_ended(&mut self, at: Millis, process: &str, request: &Request, answer: Answer) {
        if let Some(about) = &request.attachment {
            let why = if let Answer::Refused(why) = &answer { Some(why.as_str()) } else { None };
            self.refusals.ended(at, about, &request.may, why);
        }
        if matches!(answer, Answer::Changed | Answer::Nothing) {
            self.repeats.news(format!("may {}", request.may), "", at);
        }
        self.repeats.ended(process, request, answer);
    }

    fn repeats_itself(&mut self, at: Millis, process: &str, request: &Request) {
        let how = self.repeats.sends(process, request, at);
        if let Some(how) = how {
            self.broke(at, Invariant::BacksOff, how);
        }
    }

    fn repeats(&mut self, at: Millis, name: &str, what: String, most: usize) {
        if !self.budgets.may_repeat(name, what.clone(), at, most) {
            self.broke(at, Invariant::Budget, format!("{name} sends the same request too often: {what}"));
        }
    }

    fn must_lead(&mut self, at: Millis, process: &Process, timeout: Millis, what: &str) {
        if !self.elects {
            return;
        }
        if let Some(why) = self.leases.forbids(&process.name(), &process.identity, at, timeout) {
            self.broke(at, Invariant::OnlyTheLeader, format!("{} sends {what}, and {why}", process.name()));
        }
    }
}
