//! A request, parsed: which verb on which resource, with which options.

use std::collections::BTreeMap;

use http::{HeaderMap, Method, header, request::Parts};

use super::status::StatusError;

/// What a request asks for: what interceptors decide by.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RequestInfo {
    /// `get`, `list`, `watch`, `create`, `update`, `patch`, `delete`, `deletecollection`; the method in lower case
    /// where no resource is addressed.
    pub verb: String,
    /// The path.
    pub path: String,
    /// The query, decoded.
    pub query: BTreeMap<String, String>,
    /// API group; empty for core.
    pub group: String,
    /// API version; empty where no resource is addressed.
    pub version: String,
    /// Namespace, or empty.
    pub namespace: String,
    /// The resource's plural name, or empty.
    pub resource: String,
    /// The object's name, or empty.
    pub name: String,
    /// `status` or empty.
    pub subresource: String,
    /// Who asks.
    pub user_agent: String,
    /// The request's media type.
    pub content_type: String,
    /// What it accepts.
    pub accept: String,
}

impl RequestInfo {
    /// Reads path, query and headers.
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

    /// A numeric query parameter; absent or empty is none.
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

    /// The media type alone.
    pub fn media_type(&self) -> &str {
        self.content_type.split(';').next().unwrap_or_default().trim()
    }

    /// `nodes`, `nodeenis.networking.k8s.aws/status`: what counters are kept by.
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

/// Percent-decoding of one path segment.
fn decode(segment: &str) -> String {
    if !segment.contains('%') {
        return segment.to_owned();
    }
    let plus = segment.replace('+', "%2B");
    form_urlencoded::parse(plus.as_bytes()).next().map_or_else(String::new, |(name, _)| name.into_owned())
}
