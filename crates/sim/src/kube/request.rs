//! A parsed request: verb, resource, object and options.

use std::collections::BTreeMap;

use http::{HeaderMap, Method, header, request::Parts};

use super::status::StatusError;

/// A parsed request, without its body. Interceptors decide by it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RequestInfo {
    /// `get`, `list`, `watch`, `create`, `update`, `patch`, `delete` or `deletecollection`. If the path addresses no resource,
    /// the HTTP method in lower case.
    pub verb: String,
    /// The path.
    pub path: String,
    /// The query, decoded.
    pub query: BTreeMap<String, String>,
    /// API group; empty for core.
    pub group: String,
    /// API version; empty if the path addresses no resource.
    pub version: String,
    /// Namespace, or empty.
    pub namespace: String,
    /// The resource's plural name, or empty.
    pub resource: String,
    /// The object's name, or empty.
    pub name: String,
    /// `status` or empty.
    pub subresource: String,
    /// The client's User-Agent.
    pub user_agent: String,
    /// The header `Content-Type`.
    pub content_type: String,
    /// The header `Accept`.
    pub accept: String,
}

impl RequestInfo {
    /// Parses path, query and headers.
    pub fn parse(parts: &Parts) -> Self {
        let query = parts.uri.query().unwrap_or_default();
        let mut info = Self {
            path: parts.uri.path().to_owned(),
            query: form_urlencoded::parse(query.as_bytes()).into_owned().collect(),
            user_agent: text(&parts.headers, header::USER_AGENT),
            content_type: text(&parts.headers, header::CONTENT_TYPE),
            accept: text(&parts.headers, header::ACCEPT),
            verb: parts.method.as_str().to_ascii_lowercase(),
            ..Self::default()
        };
        info.locate();
        if !info.resource.is_empty() {
            info.verb = info.verb_of(&parts.method).to_owned();
        }
        info
    }

    /// Parses the path.
    fn locate(&mut self) {
        let path = self.path.clone();
        let decoded: Vec<String> = path.split('/').filter(|s| !s.is_empty()).map(decode).collect();
        let segments: Vec<&str> = decoded.iter().map(String::as_str).collect();
        let rest = match segments.as_slice() {
            ["api", version, rest @ ..] => {
                self.version = (*version).to_owned();
                rest
            }
            ["apis", group, version, rest @ ..] => {
                self.group = (*group).to_owned();
                self.version = (*version).to_owned();
                rest
            }
            _ => return,
        };
        let rest = match rest {
            ["namespaces", namespace, resource, rest @ ..] if !matches!(*resource, "status" | "finalize") => {
                self.namespace = (*namespace).to_owned();
                self.resource = (*resource).to_owned();
                rest
            }
            [resource, rest @ ..] => {
                self.resource = (*resource).to_owned();
                rest
            }
            [] => return,
        };
        self.name = rest.first().map_or_else(String::new, |s| (*s).to_owned());
        self.subresource = rest.get(1..).unwrap_or_default().join("/");
    }

    fn verb_of(&self, method: &Method) -> &'static str {
        let one = !self.name.is_empty();
        match *method {
            Method::GET if self.flag("watch") && !one => "watch",
            Method::GET | Method::HEAD if one => "get",
            Method::GET | Method::HEAD => "list",
            Method::POST => "create",
            Method::PUT => "update",
            Method::PATCH => "patch",
            Method::DELETE if one => "delete",
            Method::DELETE => "deletecollection",
            _ => "unknown",
        }
    }

    /// A query parameter, or empty.
    pub fn param(&self, name: &str) -> &str {
        self.query.get(name).map_or("", String::as_str)
    }

    /// A boolean query parameter.
    pub fn flag(&self, name: &str) -> bool {
        matches!(self.param(name), "true" | "1")
    }

    /// A numeric query parameter. An empty one counts as absent.
    pub fn number(&self, name: &str) -> Result<Option<u64>, StatusError> {
        match self.param(name) {
            "" => Ok(None),
            text => text.parse().map(Some).map_err(|_| {
                StatusError::bad_request(match name {
                    "resourceVersion" => format!(
                        "invalid resource version: resourceVersion: Invalid value: {text:?}: strconv.ParseUint: \
                         parsing {text:?}: invalid syntax"
                    ),
                    _ => format!("strconv.ParseInt: parsing {text:?}: invalid syntax"),
                })
            }),
        }
    }

    /// The media type of `Content-Type`, without parameters.
    pub fn media_type(&self) -> &str {
        self.content_type.split(';').next().unwrap_or_default().trim()
    }

    /// The resource and subresource by which requests are counted: `nodes`, `nodeenis.networking.k8s.aws/status`.
    pub fn target(&self) -> String {
        if self.resource.is_empty() {
            return self.path.clone();
        }
        let mut target = self.resource.clone();
        if !self.group.is_empty() {
            target = format!("{target}.{}", self.group);
        }
        if self.subresource.is_empty() { target } else { format!("{target}/{}", self.subresource) }
    }
}

fn text(headers: &HeaderMap, name: header::HeaderName) -> String {
    headers.get(name).and_then(|v| v.to_str().ok()).unwrap_or_default().to_owned()
}

/// Percent-decodes a path segment.
fn decode(segment: &str) -> String {
    if !segment.contains('%') {
        return segment.to_owned();
    }
    let plus = segment.replace('+', "%2B");
    form_urlencoded::parse(plus.as_bytes()).next().map_or_else(String::new, |(name, _)| name.into_owned())
}
