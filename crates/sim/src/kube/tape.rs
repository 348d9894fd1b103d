//! The tape: every request that writes, in the order in which it takes effect, with its answer.
//!
//! What a test writes by the server's own methods is not on it; nor are reads, watches, and requests that a fault stops.

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
    /// What was asked.
    pub request: RequestInfo,
    /// The request's body.
    pub body: Bytes,
    /// The HTTP status of the answer, whether or not anybody heard it.
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

    /// Path and query.
    pub fn uri(&self) -> String {
        let RequestInfo { path, query, .. } = &self.request;
        if query.is_empty() {
            return path.clone();
        }
        let query = form_urlencoded::Serializer::new(String::new()).extend_pairs(query).finish();
        format!("{path}?{query}")
    }

    /// The path of the list in which the object is.
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

/// What is written down. Clones are the same tape.
#[derive(Clone, Debug, Default)]
pub struct Tape(Arc<Mutex<Vec<Entry>>>);

impl Tape {
    /// What is on it by now.
    pub fn entries(&self) -> Vec<Entry> {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Entry>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Serves one request, and writes it down if it is one that writes.
    pub(super) fn record(
        &self,
        request: &RequestInfo,
        body: &Bytes,
        serve: impl FnOnce() -> Response<ApiBody>,
    ) -> Response<ApiBody> {
        // An access review is a question, though it is POSTed.
        let writes = matches!(request.verb.as_str(), "create" | "update" | "patch" | "delete" | "deletecollection");
        if !writes || request.group == "authorization.k8s.io" {
            return serve();
        }
        // Locked over the serving: the order here is the order of effect.
        let mut entries = self.lock();
        let (parts, answer) = serve().into_parts();
        // The answer of a write is whole: it is there at once.
        let answer = answer.collect().now_or_never().and_then(Result::ok);
        let answer = answer.map(http_body_util::Collected::to_bytes).unwrap_or_default();
        let (request, body, status) = (request.clone(), body.clone(), parts.status.as_u16());
        entries.push(Entry { request, body, status, answer: answer.clone() });
        Response::from_parts(parts, answer::whole(answer))
    }
}
