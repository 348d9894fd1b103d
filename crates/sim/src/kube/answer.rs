//! HTTP answers: status, headers and body.

use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};
use http_body_util::{BodyExt, Full, combinators::UnsyncBoxBody};
use serde_json::Value;

use super::{faults::Disconnected, status::StatusError};

/// The body of an answer: whole, or the lines of a watch.
pub type ApiBody = UnsyncBoxBody<Bytes, Disconnected>;

/// A whole body.
pub fn whole(bytes: impl Into<Bytes>) -> ApiBody {
    Full::new(bytes.into()).map_err(|never| match never {}).boxed_unsync()
}

/// An answer with a body of this content type.
pub fn bytes(code: u16, content_type: &'static str, bytes: impl Into<Bytes>) -> Response<ApiBody> {
    let mut response = Response::new(whole(bytes));
    *response.status_mut() = StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

/// An answer with a JSON body.
pub fn json(code: u16, value: &Value) -> Response<ApiBody> {
    bytes(code, "application/json", serde_json::to_vec(value).unwrap_or_default())
}

/// An answer with an error.
pub fn error(error: &StatusError) -> Response<ApiBody> {
    if error.code == 404 && error.reason.is_empty() {
        return bytes(404, "text/plain; charset=utf-8", format!("{}\n", error.message));
    }
    let mut response = json(error.code, &error.to_value());
    let retry = error.details.as_ref().and_then(|d| d.get("retryAfterSeconds")).and_then(Value::as_u64);
    if let Some(seconds) = retry {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}

/// Adds a `Warning` header for each warning.
pub fn warn(response: &mut Response<ApiBody>, warnings: &[String]) {
    for warning in warnings {
        let text = format!("299 - \"{}\"", warning.replace('\\', "\\\\").replace('"', "\\\""));
        if let Ok(value) = HeaderValue::from_str(&text) {
            response.headers_mut().append(header::WARNING, value);
        }
    }
}
