//! Records requests that no history sends, mostly ones that the API server refuses.

use std::collections::BTreeMap;

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Full};
use multi_eni_histories::api_write_recording::{self, Recording};
use multi_eni_sim::clock::SimClock;
use multi_eni_sim::kube::ApiServer;
use serde_json::Value;
use tower::Service;

/// One entry of `requests.yaml`: method and URI with the body, and further fields.
type Line = BTreeMap<String, Value>;

/// Sends all of them to a simulated API server, and records them as a history does.
pub async fn record() -> Result<Recording, String> {
    let api = ApiServer::new(SimClock::starting_at(jiff::Timestamp::UNIX_EPOCH));
    let crds = multi_eni_api::crds::yaml().map_err(|e| e.to_string())?;
    api.install_crds(&crds).map_err(|e| e.to_string())?;
    let tape = api_write_recording::begin(&api);
    let lines = serde_yaml::from_str::<Vec<Line>>(include_str!("requests.yaml"));
    let (mut uid, mut version) = (String::new(), String::new());
    for line in lines.map_err(|e| format!("requests.yaml: {e}"))? {
        let first = line.iter().find_map(|(key, body)| Some((key.split_once(' ')?, body)));
        let ((method, uri), body) = first.ok_or_else(|| format!("no request: {line:?}"))?;
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let body = body.replace("$uid", &uid).replace("$version", &version);
        let answer = send(&api, method, uri, kind(method, &line), body).await?;
        for (field, known) in [("uid", &mut uid), ("resourceVersion", &mut version)] {
            if let Some(text) = answer["metadata"][field].as_str() {
                text.clone_into(known);
            }
        }
    }
    Ok(api_write_recording::end(&api, &tape).await)
}

/// The content type; a merge patch by default.
fn kind<'a>(method: &str, line: &'a Line) -> &'a str {
    let usual = if method == "PATCH" { "application/merge-patch+json" } else { "application/json" };
    line.get("type").and_then(Value::as_str).unwrap_or(usual)
}

async fn send(api: &ApiServer, method: &str, uri: &str, kind: &str, body: String) -> Result<Value, String> {
    let request = Request::builder().method(method).uri(uri).header("content-type", kind);
    let request = request.header("user-agent", "by-hand").body(Full::new(Bytes::from(body)));
    let answer = api.service().call(request.map_err(|e| e.to_string())?).await.map_err(|e| e.to_string())?;
    let body = answer.into_body().collect().await.map_err(|e| e.to_string())?;
    Ok(serde_json::from_slice(&body.to_bytes()).unwrap_or_default())
}
