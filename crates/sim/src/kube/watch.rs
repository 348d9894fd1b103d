//! Watches: a stream of lines, first from the history and then from new changes.

use std::{
    borrow::Cow,
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use futures::{Stream, stream};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::{
    cause::Cause,
    change_signal::ChangeReceiver,
    form::{Form, RowObject, partial, served},
    read,
    request::RequestInfo,
    resource::ResourceRef,
    selectors::Selector,
    state::State,
    status::StatusError,
    storage::{Change, TooOld},
    table,
};

/// An open watch.
struct Watch {
    state: Arc<Mutex<State>>,
    res: ResourceRef,
    namespace: String,
    name: String,
    selector: Selector,
    form: Form,
    /// All changes up to this version were sent or did not match.
    cursor: u64,
    changes: ChangeReceiver,
    broken: u64,
    pending: VecDeque<Bytes>,
    headings_sent: bool,
    next_bookmark: Option<Instant>,
    bookmark_interval: Duration,
    deadline: Instant,
    ended: bool,
}

/// Opens a watch. The stream ends at its timeout, when watches are broken, or after an ERROR.
pub fn open(
    shared: &Arc<Mutex<State>>,
    res: ResourceRef,
    info: &RequestInfo,
) -> Result<impl Stream<Item = Bytes> + Send + use<>, StatusError> {
    let selector = read::selector(info, &res)?;
    let from = info.number("resourceVersion")?;
    let timeout = info.number("timeoutSeconds")?.filter(|s| *s > 0).map(Duration::from_secs);
    let initial_events = info.flag("sendInitialEvents");
    check_options(info, initial_events)?;

    let mut state = shared.lock().unwrap_or_else(PoisonError::into_inner);
    let mut changes = state.storage.subscribe(&res.storage);
    let broken = changes.read().broken;
    let opened = Instant::now();
    let bookmark_interval = state.bookmark_interval;
    let deadline = opened + timeout.unwrap_or(state.watch_timeout);
    let mut open = Watch {
        state: shared.clone(),
        namespace: info.namespace.clone(),
        name: info.name.clone(),
        selector,
        form: Form::accepted(info),
        cursor: from.unwrap_or(0),
        broken,
        changes,
        pending: VecDeque::new(),
        headings_sent: false,
        next_bookmark: info.flag("allowWatchBookmarks").then(|| bookmark_after(opened, bookmark_interval, deadline)),
        bookmark_interval,
        deadline,
        ended: false,
        res,
    };
    if initial_events || from.is_none_or(|v| v == 0) {
        open.send_current(&state, initial_events || info.param("sendInitialEvents").is_empty());
        if initial_events && open.next_bookmark.is_some() {
            open.bookmark(&state, true);
        }
    }
    drop(state);
    Ok(stream::unfold(open, |mut open| async move { open.next().await.map(|line| (line, open)) }))
}

/// The time of the next bookmark: after the interval, or shortly before the watch ends.
fn bookmark_after(now: Instant, interval: Duration, deadline: Instant) -> Instant {
    let regular = now + interval;
    let last = deadline.checked_sub(Duration::from_secs(2)).filter(|last| *last > now);
    last.map_or(regular, |last| regular.min(last))
}

fn check_options(info: &RequestInfo, initial_events: bool) -> Result<(), StatusError> {
    let rule = info.param("resourceVersionMatch");
    let forbidden =
        |field: &str, why: &str| Err(StatusError::invalid_options("ListOptions", Cause::forbidden(field, why)));
    if info.query.contains_key("sendInitialEvents") && rule != "NotOlderThan" {
        return forbidden(
            "resourceVersionMatch",
            "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan",
        );
    }
    if !info.query.contains_key("sendInitialEvents") && !rule.is_empty() {
        return forbidden(
            "resourceVersionMatch",
            "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided",
        );
    }
    if initial_events && !info.flag("allowWatchBookmarks") {
        return forbidden("allowWatchBookmarks", "sendInitialEvents requires setting allowWatchBookmarks to true");
    }
    Ok(())
}

impl Watch {
    async fn next(&mut self) -> Option<Bytes> {
        loop {
            if let Some(first) = self.pending.pop_front() {
                return Some(first);
            }
            if self.ended || Instant::now() >= self.deadline {
                return None;
            }
            if self.changes.read().broken != self.broken {
                return None;
            }
            self.catch_up();
            if !self.pending.is_empty() {
                continue;
            }
            let wake = self.next_bookmark.map_or(self.deadline, |at| at.min(self.deadline));
            tokio::select! {
                biased;
                () = self.changes.changed() => {}
                () = tokio::time::sleep_until(wake) => {
                    if let Some(at) = self.next_bookmark.filter(|at| *at <= Instant::now()) {
                        self.next_bookmark = Some(bookmark_after(at, self.bookmark_interval, self.deadline));
                        let shared = self.state.clone();
                        self.catch_up();
                        let state = shared.lock().unwrap_or_else(PoisonError::into_inner);
                        self.bookmark(&state, false);
                    }
                }
            }
        }
    }

    /// Whether the watch selects an object.
    fn selects(&self, namespace: &str, name: &str, object: &Value) -> bool {
        (self.namespace.is_empty() || self.namespace == namespace)
            && (self.name.is_empty() || self.name == name)
            && self.selector.matches(object)
    }

    /// Sends the current objects as ADDED events.
    fn send_current(&mut self, state: &State, send: bool) {
        let shared = state.storage.objects(&self.res.storage);
        let current: Vec<Arc<Value>> = shared
            .filter(|(key, stored)| send && self.selects(&key.0, &key.1, &stored.object))
            .map(|(_, stored)| stored.object.clone())
            .collect();
        for object in current {
            self.send("ADDED", &object, state);
        }
        self.cursor = state.storage.version();
    }

    /// Queues the lines of all changes since the cursor.
    fn catch_up(&mut self) {
        let shared = self.state.clone();
        let state = shared.lock().unwrap_or_else(PoisonError::into_inner);
        match state.storage.since(&self.res.storage, self.cursor) {
            Ok(changes) => {
                for change in changes {
                    self.send_change(&change, &state);
                }
                self.cursor = self.cursor.max(state.storage.version());
            }
            Err(TooOld { oldest }) => {
                let error = StatusError::expired(format!("too old resource version: {} ({oldest})", self.cursor));
                self.line("ERROR", &error.to_value());
                self.ended = true;
            }
        }
    }

    fn send_change(&mut self, change: &Change, state: &State) {
        let (namespace, name) = &change.key;
        let matched =
            |object: &Option<Arc<Value>>| object.as_ref().filter(|o| self.selects(namespace, name, o)).cloned();
        match (matched(&change.old), matched(&change.new)) {
            (Some(_), Some(new)) => self.send("MODIFIED", &new, state),
            (None, Some(new)) => self.send("ADDED", &new, state),
            // DELETED shows the last state that matched, with the version of the change.
            (Some(old), None) => {
                let mut last = Value::clone(&old);
                super::metadata::set(&mut last, "resourceVersion", json!(change.version.to_string()));
                self.send("DELETED", &last, state);
            }
            (None, None) => {}
        }
    }

    fn send(&mut self, kind: &str, object: &Value, state: &State) {
        let shown = match self.form {
            Form::Full => served(&self.res, object),
            Form::Partial => Cow::Owned(partial(object)),
            Form::Table(include) => Cow::Owned(self.table(object, include, state)),
        };
        self.line(kind, &shown);
    }

    fn table(&mut self, object: &Value, include: RowObject, state: &State) -> Value {
        let now = state.clock.now();
        let mut table = table::table(&self.res, [object].into_iter(), include, !self.headings_sent, now);
        self.headings_sent = true;
        if let Some(map) = table.as_object_mut() {
            let version = super::metadata::text(object, "resourceVersion");
            map.insert("metadata".into(), json!({ "resourceVersion": version }));
        }
        table
    }

    fn bookmark(&mut self, state: &State, initial_events_end: bool) {
        let mut meta = json!({ "resourceVersion": self.cursor.to_string() });
        if let (true, Some(map)) = (initial_events_end, meta.as_object_mut()) {
            map.insert("annotations".into(), json!({ "k8s.io/initial-events-end": "true" }));
        }
        let object = json!({ "kind": self.res.kind, "apiVersion": self.res.api_version(), "metadata": meta });
        match self.form {
            Form::Table(RowObject::Object | RowObject::Metadata | RowObject::None) => {
                let shown = self.table(&object, RowObject::Object, state);
                self.line("BOOKMARK", &shown);
            }
            Form::Partial => self.line("BOOKMARK", &partial(&object)),
            Form::Full => self.line("BOOKMARK", &object),
        }
    }

    fn line(&mut self, kind: &str, object: &Value) {
        #[derive(serde::Serialize)]
        struct Line<'a> {
            object: &'a Value,
            r#type: &'a str,
        }
        let mut line = serde_json::to_vec(&Line { object, r#type: kind }).unwrap_or_default();
        line.push(b'\n');
        self.pending.push_back(Bytes::from(line));
    }
}
