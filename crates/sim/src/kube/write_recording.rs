//! The tape: a recording of every writing request with its answer, in the order of effect.
//!
//! The tape does not have reads, watches, writes by the server's own methods, or requests that a fault fails before their effect.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use futures::FutureExt;
use http::Response;
use http_body_util::BodyExt;

use super::{
    answer::{self, ApiBody},
    request::RequestInfo,
};

/// One request and its answer.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The request.
    pub request: RequestInfo,
    /// The request's body.
    pub body: Bytes,
    /// The HTTP status of the answer, even if the answer was lost.
    pub status: u16,
    /// The answer's body.
    pub answer: Bytes,
}

impl Entry {
    /// The HTTP method.
    pub fn method(&self) -> &'static str {
        match self.request.verb.as_str() {
            "create" => "POST",
            "update" => "PUT",
            "patch" => "PATCH",
            _ => "DELETE",
        }
    }

    /// The path and query of the request.
    pub fn uri(&self) -> String {
        let RequestInfo { path, query, .. } = &self.request;
        if query.is_empty() {
            return path.clone();
        }
        let query = form_urlencoded::Serializer::new(String::new()).extend_pairs(query).finish();
        format!("{path}?{query}")
    }

    /// The path of the list that contains the object.
    pub fn collection(&self) -> String {
        let RequestInfo { group, version, namespace, resource, .. } = &self.request;
        let api = if group.is_empty() { format!("/api/{version}") } else { format!("/apis/{group}/{version}") };
        if namespace.is_empty() {
            format!("{api}/{resource}")
        } else {
            format!("{api}/namespaces/{namespace}/{resource}")
        }
    }
}

/// The recorded requests. Clones share the tape.
#[derive(Clone, Debug, Default)]
pub struct Tape(Arc<Mutex<Vec<Entry>>>);

impl Tape {
    /// The requests so far.
    pub fn entries(&self) -> Vec<Entry> {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Entry>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Serves a request, and records it if it writes.
    pub(super) fn record(
        &self,
        request: &RequestInfo,
        body: &Bytes,
        serve: impl FnOnce() -> Response<ApiBody>,
    ) -> Response<ApiBody> {
        // An access review changes nothing, although it is a POST.
        let writes = matches!(request.verb.as_str(), "create" | "update" | "patch" | "delete" | "deletecollection");
        if !writes || request.group == "authorization.k8s.io" {
            return serve();
        }
        // The lock is held while the request is served, so that the entries are in the order of effect.
        let mut entries = self.lock();
        let (parts, answer) = serve().into_parts();
        // The body of a write's answer is not a stream, so it is complete at once.
        let answer = answer.collect().now_or_never().and_then(Result::ok);
        let answer = answer.map(http_body_util::Collected::to_bytes).unwrap_or_default();
        let (request, body, status) = (request.clone(), body.clone(), parts.status.as_u16());
        entries.push(Entry { request, body, status, answer: answer.clone() });
        Response::from_parts(parts, answer::whole(answer))
    }
}
