//! A request's way through EC2: arrival, landing, answer.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use http::header::{AUTHORIZATION, USER_AGENT};
use tokio::sync::oneshot;

use super::actions::{self, Call, Done};
use super::faults::{Fault, Incoming, Loss};
use super::ledger::{self, CallRecord, Outcome};
use super::observer::By;
use super::params::Params;
use super::refusal::{Refusal, usual_status};
use super::state::{Due, State};
use super::xml;

const VERSION: &str = "2016-11-15";

/// A request on its way. It lands even when its caller no longer waits, as on a real wire.
pub(super) struct InFlight {
    record: CallRecord,
    request: Result<Params, Refusal>,
    answer_after: Duration,
    reply: oneshot::Sender<Reply>,
}

/// What goes back to the caller.
pub(super) struct Reply {
    pub status: u16,
    pub body: Bytes,
    pub after: Duration,
    pub lost: Option<Loss>,
    /// Only the body's first half comes before the connection breaks.
    pub cut: bool,
}

/// A request that was accepted: when it lands and where its reply comes.
pub(super) struct Accepted {
    pub lands_at: jiff::Timestamp,
    pub reply: oneshot::Receiver<Reply>,
}

impl State {
    /// Takes a request in; `None`: it never arrived.
    pub fn accept(&mut self, request: &http::Request<Bytes>) -> Option<Accepted> {
        let header = |name| request.headers().get(name).and_then(|value| value.to_str().ok());
        let user_agent = header(USER_AGENT).unwrap_or_default().to_owned();
        let parsed = read(request, header(AUTHORIZATION).is_some());
        let mut parameters = parsed.as_ref().map(Params::identity).unwrap_or_default();
        for apart in ["ClientToken", "DryRun"] {
            if let Some(value) = parsed.as_ref().ok().and_then(|params| params.get(apart)) {
                parameters.insert(apart.to_owned(), value.to_owned());
            }
        }
        let action = parsed.as_ref().ok().and_then(|params| params.get("Action")).unwrap_or("?").to_owned();
        self.ledger.arrivals += 1;
        let call = Incoming { number: self.ledger.arrivals, at: self.now, action, parameters, user_agent };
        let fault = self.faults.choose(&call);
        let record = ledger::begin(&call, fault.clone());
        if fault == Some(Fault::Unreachable) {
            self.tell_call(record);
            return None;
        }
        let latency = self.draw(&self.settings.call_latency.clone());
        let mut lands_after = latency / 2;
        let mut answer_after = latency - lands_after;
        match fault {
            Some(Fault::Delay(by)) => lands_after += by,
            Some(Fault::SlowAnswer(by)) => answer_after += by,
            _ => {}
        }
        let (reply, receiver) = oneshot::channel();
        let in_flight = InFlight { record, request: parsed, answer_after, reply };
        let lands_at = self.schedule(lands_after, Due::Lands(Box::new(in_flight)));
        Some(Accepted { lands_at, reply: receiver })
    }

    /// The request takes effect, or is refused.
    pub fn land(&mut self, in_flight: InFlight) {
        let InFlight { mut record, request, answer_after, reply } = in_flight;
        self.by = By::Call(Box::new(record.clone()));
        let result = request.and_then(|params| self.execute(&record, params));
        self.by = By::Time;
        record.landed = self.now;
        let request_id = self.ids.request_id();
        let (status, body) = match &result {
            Ok(done) => {
                record.outcome = Outcome::Done;
                record.items = done.items;
                record.eni_id = done.eni_id.clone().or(record.eni_id);
                (200, xml::answer(&record.action, &request_id, &done.body))
            }
            Err(refusal) => {
                record.outcome = Outcome::Refused(refusal.code.to_string());
                (refusal.status, xml::refusal(refusal, &request_id))
            }
        };
        let lost = match record.fault {
            Some(Fault::LoseAnswer(loss)) => Some(loss),
            _ => None,
        };
        let cut = record.fault == Some(Fault::GarbleAnswer);
        self.tell_call(record);
        // A caller that has gone away is no failure.
        let _ = reply.send(Reply { status, body: body.into(), after: answer_after, lost, cut });
    }

    fn execute(&mut self, record: &CallRecord, params: Params) -> Result<Done, Refusal> {
        match &record.fault {
            Some(Fault::Fail { code, status }) => {
                let status = status.unwrap_or_else(|| usual_status(code));
                let number = record.number;
                let message = match code.as_str() {
                    "UnauthorizedOperation" => return Err(Refusal::unauthorized(&record.action, number)),
                    _ => format!(
                        "{code}, as the simulation was told to answer (Request ID: {number:08x}-0000-4000-8000-{number:012x})"
                    ),
                };
                return Err(Refusal { code: code.clone().into(), status, message });
            }
            Some(Fault::Throttle) => return Err(Refusal::throttled()),
            _ => {}
        }
        let action = actions::find(&record.action)?;
        if let Some(rules) = &self.settings.buckets {
            let unfiltered = actions::is_unfiltered(&record.action, &params);
            if !self.levels.take(rules, &record.action, unfiltered, 1, self.now) {
                return Err(Refusal::throttled());
            }
        }
        let tags_too = record.action == "CreateNetworkInterface" && params.mentions("TagSpecification");
        for needed in [Some(record.action.as_str()), tags_too.then_some("CreateTags")].into_iter().flatten() {
            if self.denied.contains(needed) {
                return Err(Refusal::unauthorized(needed, record.number));
            }
        }
        if let Some(unknown) = params.unknown(action.parameters) {
            return Err(Refusal::new("UnknownParameter", format!("The parameter {unknown} is not recognized")));
        }
        if params.flag("DryRun")? == Some(true) {
            let message = "Request would have succeeded, but DryRun flag is set.";
            return Err(Refusal::new("DryRunOperation", message));
        }
        (action.run)(self, &Call { params, fault: record.fault.clone(), at_once: false })
    }
}

/// Checks what EC2 checks before it looks at the action: authentication is only asked for, not verified.
fn read(request: &http::Request<Bytes>, authorized: bool) -> Result<Params, Refusal> {
    let form = match *request.method() {
        http::Method::POST => request.body().as_ref(),
        http::Method::GET => request.uri().query().unwrap_or_default().as_bytes(),
        _ => return Err(Refusal::new("InvalidAction", "Use GET or POST")),
    };
    let params = Params::parse(form)?;
    if !authorized && !params.has("X-Amz-Signature") {
        return Err(Refusal::new("MissingAuthenticationToken", "Request is missing Authentication Token"));
    }
    let action = params.required("Action")?;
    match params.get("Version") {
        Some(VERSION) => Ok(params),
        _ => Err(Refusal::new(
            "InvalidAction",
            format!("The action {action} is not valid for this web service: only Version {VERSION} is."),
        )),
    }
}

/// A request built from parts, for tests and tools that speak to EC2 without an SDK.
pub fn form_request(action: &str, parameters: &BTreeMap<String, String>) -> http::Request<Bytes> {
    let mut form = form_urlencoded::Serializer::new(String::new());
    form.append_pair("Action", action).append_pair("Version", VERSION);
    form.extend_pairs(parameters);
    let mut request = http::Request::new(Bytes::from(form.finish()));
    *request.method_mut() = http::Method::POST;
    let headers = request.headers_mut();
    headers.insert(AUTHORIZATION, http::HeaderValue::from_static("AWS4-HMAC-SHA256 simulated"));
    headers.insert(USER_AGENT, http::HeaderValue::from_static("form"));
    request
}
