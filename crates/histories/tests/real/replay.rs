//! Sends the writes of a recorded history to the real API server, in order, and compares every answer and the objects at the end.

use std::fmt::Write;

use multi_eni_histories::api_write_recording::Recording;
use multi_eni_sim::kube::Entry;
use serde_json::Value;

use super::compare::{differences, normalise};
use super::server::{Server, read};
use super::twins::Twins;

/// How many differences of one history are reported in full.
const MAX_REPORTED: usize = 20;

/// Sends the writes and compares. The error lists the differences.
pub async fn replay(server: &Server, name: &str, recording: &Recording) -> Result<(), String> {
    if recording.writes.is_empty() {
        return Err(format!("{name}: nothing was written"));
    }
    let mut twins = Twins::default();
    let system = server.get("/api/v1/namespaces/kube-system").await?;
    twins.pair_uids(&recording.cluster, system["metadata"]["uid"].as_str().unwrap_or_default());
    let mut reported = Vec::new();
    for (at, entry) in recording.writes.iter().enumerate() {
        let heading = format!("{name}, write {} of {}", at + 1, recording.writes.len());
        if let Some(difference) = write(server, &mut twins, entry).await? {
            reported.push(format!("{heading}: {difference}"));
        }
    }
    for (path, simulated) in &recording.left {
        let mut simulated = twins.translate(simulated);
        let mut real = server.list(path).await?;
        for list in [&mut simulated, &mut real] {
            normalise(list);
            // The version of a list depends on the last write to any object.
            list["metadata"] = Value::Null;
        }
        let lines = differences(&simulated, &real);
        if !lines.is_empty() {
            reported.push(format!("{name}, at the end: {path}\n{}", indented(&lines)));
        }
        server.clear(path).await?;
    }
    if reported.is_empty() {
        return Ok(());
    }
    let count = reported.len();
    reported.truncate(MAX_REPORTED);
    Err(format!("{name}: {count} differences, the first of them:\n\n{}", reported.join("\n\n")))
}

/// Sends one write; returns how its answer differs.
async fn write(server: &Server, twins: &mut Twins, entry: &Entry) -> Result<Option<String>, String> {
    let (method, uri) = (entry.method(), twins.text(&entry.uri()));
    let body = if entry.body.is_empty() {
        Vec::new()
    } else {
        let body: Value = serde_json::from_slice(&entry.body).map_err(|e| format!("{method} {uri}: no JSON: {e}"))?;
        twins.body(&body).to_string().into_bytes()
    };
    let sent = String::from_utf8_lossy(&body).into_owned();
    let (status, mut real) = server.send(method, &uri, &entry.request, body).await?;
    let mut simulated = read(&entry.answer);
    let mut lines = Vec::new();
    if status != entry.status {
        lines.push(format!("HTTP status: simulated {}, real {status}", entry.status));
    } else if status < 300 {
        lines.extend(twins.learn(&simulated, &real));
    }
    simulated = twins.translate(&simulated);
    normalise(&mut simulated);
    normalise(&mut real);
    lines.extend(differences(&simulated, &real));
    if lines.is_empty() {
        return Ok(None);
    }
    let mut difference = format!("{method} {uri} ({}) by {}\n", entry.request.content_type, entry.request.user_agent);
    let _ = write!(difference, "{}\n  sent:      {sent}", indented(&lines));
    let _ = write!(difference, "\n  simulated: {} {simulated}\n  real:      {status} {real}", entry.status);
    Ok(Some(difference))
}

fn indented(lines: &[String]) -> String {
    lines.iter().map(|line| format!("  {line}")).collect::<Vec<_>>().join("\n")
}
