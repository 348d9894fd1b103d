//! The path of a request through EC2: it arrives, takes effect ("lands") and is answered.
//!
//! This file checks what EC2 checks of every request: authentication, faults, throttling, permission, parameters and dry run.
//! What an action does is in `actions`.

use std::collections::BTreeMap;

use bytes::Bytes;
use http::header::{AUTHORIZATION, USER_AGENT};
use tokio::sync::oneshot;

use super::actions::{self, Call, Response};
use super::api_error::{ApiError, usual_status};
use super::buckets::Withdrawal;
use super::call_log::{self, CallRecord, Outcome};
use super::faults::{Fault, Incoming};
use super::filters;
use super::iam_requests;
use super::in_flight::{InFlight, PendingReply, Reply};
use super::observer::By;
use super::params::Params;
use super::state::{Event, State};
use super::xml;

const VERSION: &str = "2016-11-15";

impl State {
    /// Records that a request arrives and schedules its effect. Returns `None` if a fault keeps the request from arriving.
    pub fn accept(&mut self, request: &http::Request<Bytes>) -> Option<PendingReply> {
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
        self.call_log.arrivals += 1;
        let call = Incoming { number: self.call_log.arrivals, at: self.now, action, parameters, user_agent };
        let fault = self.faults.choose(&call);
        let record = call_log::begin(&call, fault.clone());
        if fault == Some(Fault::Unreachable) {
            self.record_call(record);
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
        let lands_at = self.schedule(lands_after, Event::RequestLanded(Box::new(in_flight)));
        Some(PendingReply { lands_at, reply: receiver })
    }

    /// Executes a request, records the outcome and sends the reply.
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
            Err(error) => {
                record.outcome = Outcome::Refused(error.code.to_string());
                (error.status, xml::error(error, &request_id))
            }
        };
        let lost = match record.fault {
            Some(Fault::LoseAnswer(loss)) => Some(loss),
            _ => None,
        };
        let cut = record.fault == Some(Fault::GarbleAnswer);
        self.record_call(record);
        // Sending fails if the caller no longer waits. The request has taken effect all the same.
        let _ = reply.send(Reply { status, body: body.into(), request_id, after: answer_after, lost, cut });
    }

    fn execute(&mut self, record: &CallRecord, params: Params) -> Result<Response, ApiError> {
        match &record.fault {
            Some(Fault::Fail { code, status }) => {
                let status = status.unwrap_or_else(|| usual_status(code));
                let number = record.number;
                let message = match code.as_str() {
                    "UnauthorizedOperation" => return Err(ApiError::unauthorized(&record.action, number)),
                    _ => format!(
                        "{code}, by a fault of the simulation (Request ID: {number:08x}-0000-4000-8000-{number:012x})"
                    ),
                };
                return Err(ApiError { code: code.clone().into(), status, message });
            }
            Some(Fault::Throttle) => return Err(ApiError::throttled()),
            _ => {}
        }
        let action = actions::find(&record.action)?;
        if let Some(rules) = &self.settings.buckets {
            let unfiltered = filters::is_unfiltered(&record.action, &params);
            let withdrawal = Withdrawal { action: &record.action, unfiltered, tokens: 1 };
            if !self.token_buckets.take(rules, &withdrawal, self.now) {
                return Err(ApiError::throttled());
            }
        }
        if let Some(mut observer) = self.iam_observer.take() {
            observer(iam_requests::of(self, &record.action, &params));
            self.iam_observer = Some(observer);
        }
        let tags_too = record.action == "CreateNetworkInterface" && params.mentions("TagSpecification");
        for needed in [Some(record.action.as_str()), tags_too.then_some("CreateTags")].into_iter().flatten() {
            if let Some(why) = self.denied.get(needed) {
                return Err(ApiError::unauthorized_because(needed, why, record.number));
            }
        }
        let not_yet = self.settings.unknown_parameters.iter().copied().find(|name| params.mentions(name));
        if let Some(unknown) = params.unknown(action.parameters).or(not_yet) {
            return Err(ApiError::new("UnknownParameter", format!("The parameter {unknown} is not recognized")));
        }
        if params.flag("DryRun")? == Some(true) {
            let message = "Request would have succeeded, but DryRun flag is set.";
            return Err(ApiError::new("DryRunOperation", message));
        }
        (action.run)(self, &Call { params, fault: record.fault.clone(), at_once: false })
    }
}

/// Parses a request and checks what EC2 checks before the action. A signature must be present, but is not verified.
fn read(request: &http::Request<Bytes>, authorized: bool) -> Result<Params, ApiError> {
    let form = match *request.method() {
        http::Method::POST => request.body().as_ref(),
        http::Method::GET => request.uri().query().unwrap_or_default().as_bytes(),
        _ => return Err(ApiError::new("InvalidAction", "Use GET or POST")),
    };
    let params = Params::parse(form)?;
    if !authorized && !params.has("X-Amz-Signature") {
        return Err(ApiError::new("MissingAuthenticationToken", "Request is missing Authentication Token"));
    }
    let action = params.required("Action")?;
    match params.get("Version") {
        Some(VERSION) => Ok(params),
        _ => Err(ApiError::new(
            "InvalidAction",
            format!("The action {action} is not valid for this web service: only Version {VERSION} is."),
        )),
    }
}

/// Builds a request from an action and its parameters, for tests and tools that call EC2 without an SDK.
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
