//! The handle of a simulated API server, [`ApiServer`]: what tests write, read and control without a request.
//!
//! Requests come in by `service` and `serve`.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
    time::Duration,
};

use serde::Deserialize;
use serde_json::Value;

use super::{
    bootstrap::initial_state,
    denial::Denial,
    faults::{Interceptor, InterceptorSlot},
    log::RequestRecord,
    observer::Observer,
    patch::Patch,
    read,
    resource::{GroupResource, ResourceRef},
    state::State,
    status::StatusError,
    write::{self, Edit, Preconditions, Target, WriteOptions},
    write_recording::Tape,
};
use crate::clock::SimClock;

/// A simulated Kubernetes API server. Clones share the server.
#[derive(Clone, Debug)]
pub struct ApiServer {
    pub(crate) state: Arc<Mutex<State>>,
    pub(crate) interceptor: Arc<Mutex<InterceptorSlot>>,
    pub(crate) tape: Arc<OnceLock<Tape>>,
}

/// CRDs that cannot be installed.
#[derive(Debug, thiserror::Error)]
pub enum InstallError {
    /// The text is not YAML.
    #[error("the CRDs are not YAML: {0}")]
    Yaml(#[from] serde_yaml::Error),
    /// The server refuses a CRD, as it would refuse a request.
    #[error(transparent)]
    Refused(#[from] StatusError),
}

/// The field manager of writes without a request.
const DRIVER: &str = "sim-driver";

impl ApiServer {
    /// A server with the built-in resources and namespaces. UIDs derive from seed 0.
    pub fn new(clock: SimClock) -> Self {
        Self::with_seed(clock, 0)
    }

    /// A server whose UIDs and generated names derive from `seed`.
    pub fn with_seed(clock: SimClock, seed: u64) -> Self {
        Self::of(initial_state(clock, seed))
    }

    /// A separate server with the objects and resources of this one. A fork is cheap, as CRDs are not compiled again. The UIDs
    /// of its new objects derive from `seed`.
    pub fn fork(&self, clock: SimClock, seed: u64) -> Self {
        let state = self.lock().fork(clock, seed);
        Self::of(state)
    }

    fn of(state: State) -> Self {
        Self { state: Arc::new(Mutex::new(state)), interceptor: Arc::default(), tape: Arc::default() }
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Installs or updates every CustomResourceDefinition in a multi-document YAML.
    pub fn install_crds(&self, yaml: &str) -> Result<(), InstallError> {
        for document in serde_yaml::Deserializer::from_str(yaml) {
            let crd = Value::deserialize(document)?;
            if crd.is_null() {
                continue;
            }
            let crds = GroupResource::new("apiextensions.k8s.io", "customresourcedefinitions");
            let name = crd.pointer("/metadata/name").and_then(Value::as_str).unwrap_or_default().to_owned();
            if self.get(&crds, "", &name).is_some() {
                self.patch(&crds, "", &name, crd)?;
            } else {
                self.create(&crds, "", crd)?;
            }
        }
        Ok(())
    }

    /// Adds a denial: admission refuses such writes from now on.
    pub fn refuse(&self, denial: Denial) {
        self.lock().denials.push(denial);
    }

    /// Removes all denials.
    pub fn refuse_nothing(&self) {
        self.lock().denials.clear();
    }

    fn resource(&self, resource: &GroupResource) -> Result<ResourceRef, StatusError> {
        self.lock().any_version(resource).ok_or_else(StatusError::no_such_path)
    }

    /// One object. The namespace is empty for cluster-scoped resources.
    pub fn get(&self, resource: &GroupResource, namespace: &str, name: &str) -> Option<Value> {
        let res = self.resource(resource).ok()?;
        read::get(&self.lock(), &res, namespace, name).ok().map(|object| Value::clone(&object))
    }

    /// All objects of a resource, ordered by namespace and name.
    pub fn list(&self, resource: &GroupResource) -> Vec<Value> {
        let Ok(res) = self.resource(resource) else {
            return Vec::new();
        };
        read::all(&self.lock(), &res)
    }

    /// Creates an object, as POST does. Like POST, drops the `status` of a custom resource with the status subresource.
    pub fn create(&self, resource: &GroupResource, namespace: &str, object: Value) -> Result<Value, StatusError> {
        let res = self.resource(resource)?;
        let written = write::create(&mut self.lock(), &res, namespace, object, &WriteOptions::new(DRIVER))?;
        Ok(Value::clone(&written.object))
    }

    /// Replaces an object, as PUT does.
    pub fn replace(&self, resource: &GroupResource, namespace: &str, object: Value) -> Result<Value, StatusError> {
        let name = object.pointer("/metadata/name").and_then(Value::as_str).unwrap_or_default().to_owned();
        self.edit(resource, (namespace, &name), Edit::Replace(object), false)
    }

    /// Patches an object with a JSON merge patch.
    pub fn patch(
        &self,
        resource: &GroupResource,
        namespace: &str,
        name: &str,
        patch: Value,
    ) -> Result<Value, StatusError> {
        self.edit(resource, (namespace, name), Edit::Patch(Patch::Merge(patch)), false)
    }

    /// Patches `/status` with a JSON merge patch.
    pub fn patch_status(
        &self,
        resource: &GroupResource,
        namespace: &str,
        name: &str,
        patch: Value,
    ) -> Result<Value, StatusError> {
        self.edit(resource, (namespace, name), Edit::Patch(Patch::Merge(patch)), true)
    }

    fn edit(
        &self,
        resource: &GroupResource,
        (namespace, name): (&str, &str),
        edit: Edit,
        status: bool,
    ) -> Result<Value, StatusError> {
        let res = self.resource(resource)?;
        let options = WriteOptions { status, ..WriteOptions::new(DRIVER) };
        let target = Target { res: &res, namespace, name };
        let written = write::update(&mut self.lock(), &target, edit, &options)?;
        Ok(Value::clone(&written.object))
    }

    /// Deletes an object, as DELETE does. An object with finalizers is marked for deletion.
    pub fn delete(&self, resource: &GroupResource, namespace: &str, name: &str) -> Result<(), StatusError> {
        let res = self.resource(resource)?;
        let target = Target { res: &res, namespace, name };
        write::delete(&mut self.lock(), &target, &Preconditions::default(), false).map(drop)
    }

    /// The version of the last write.
    pub fn resource_version(&self) -> u64 {
        self.lock().storage.version()
    }

    /// The last requests that came through the service. [`Self::cap_requests`] sets how many are kept.
    pub fn requests(&self) -> Vec<RequestRecord> {
        self.lock().log.records()
    }

    /// The number of requests by verb and target (`nodes`, `nodeenis.networking.k8s.aws/status`).
    pub fn request_counts(&self) -> BTreeMap<(String, String), u64> {
        self.lock().log.counts()
    }

    /// The number of writing requests by target.
    pub fn writes(&self) -> BTreeMap<String, u64> {
        self.lock().log.writes()
    }

    /// Clears the records and counts of requests.
    pub fn reset_requests(&self) {
        self.lock().log.reset();
    }

    /// Sets how many requests are kept. The default is 10,000.
    pub fn cap_requests(&self, records: usize) {
        self.lock().log.cap(records);
    }

    /// Lets `interceptor` decide about every request from now on.
    pub fn intercept(&self, interceptor: Interceptor) {
        self.interceptor.lock().unwrap_or_else(PoisonError::into_inner).0 = Some(interceptor);
    }

    /// Removes the interceptor.
    pub fn stop_intercepting(&self) {
        self.interceptor.lock().unwrap_or_else(PoisonError::into_inner).0 = None;
    }

    /// Reports every change of an object from now on to `observer`.
    pub fn observe(&self, observer: Observer) {
        self.lock().storage.observer.callback = Some(observer);
    }

    /// The tape of all writing requests. Recording begins with the first call of this method.
    pub fn record(&self) -> Tape {
        self.tape.get_or_init(Tape::default).clone()
    }

    /// Drops the history: watches and pages of older versions then get 410.
    pub fn compact(&self) {
        self.lock().storage.compact();
    }

    /// Sets how many changes per resource the history keeps. The default is 10,000.
    pub fn retain_history(&self, changes: usize) {
        self.lock().storage.retain(changes);
    }

    /// Ends every open watch.
    pub fn break_watches(&self) {
        self.lock().storage.break_watches();
    }

    /// Sets how often watches get bookmarks. The default is 60 s.
    pub fn bookmark_every(&self, interval: Duration) {
        self.lock().bookmark_interval = interval;
    }

    /// Sets how long a watch without timeout lasts. The default is 300 s.
    pub fn watch_timeout(&self, timeout: Duration) {
        self.lock().watch_timeout = timeout;
    }

    /// Sets whether objects show `metadata.managedFields`. By default they do. Ownership is kept either way.
    pub fn show_managed_fields(&self, show: bool) {
        self.lock().managed_fields = show;
    }
}
