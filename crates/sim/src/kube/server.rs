//! The server as worlds and tests hold it.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
    time::Duration,
};

use serde::Deserialize;
use serde_json::Value;

use super::{
    faults::{Interceptor, Seam},
    log::RequestRecord,
    observer::Observer,
    patch::Patch,
    read,
    refuse::Denial,
    resource::{GroupResource, ResourceRef},
    service::ApiService,
    state::State,
    status::StatusError,
    tape::Tape,
    write::{self, Edit, Preconditions, WriteOptions},
};
use crate::clock::SimClock;

/// A Kubernetes API server. Clones are the same server.
#[derive(Clone, Debug)]
pub struct ApiServer {
    pub(crate) state: Arc<Mutex<State>>,
    pub(crate) seam: Arc<Mutex<Seam>>,
    pub(crate) tape: Arc<OnceLock<Tape>>,
}

/// CRDs that cannot be installed.
#[derive(Debug, thiserror::Error)]
pub enum InstallError {
    /// No YAML.
    #[error("the CRDs are no YAML: {0}")]
    Yaml(#[from] serde_yaml::Error),
    /// Refused as a request would be.
    #[error(transparent)]
    Refused(#[from] StatusError),
}

/// Who the driver is in `managedFields`.
const DRIVER: &str = "sim-driver";

impl ApiServer {
    /// A server with the built-in resources and namespaces; UIDs derive from seed 0.
    pub fn new(clock: SimClock) -> Self {
        Self::with_seed(clock, 0)
    }

    /// A server whose UIDs and generated names derive from `seed`.
    pub fn with_seed(clock: SimClock, seed: u64) -> Self {
        Self { state: Arc::new(Mutex::new(State::new(clock, seed))), seam: Arc::default(), tape: Arc::default() }
    }

    /// A server of its own with the objects and resources of this one: cheap, since CRDs are not compiled again. Its UIDs
    /// derive from `seed` from now on.
    pub fn fork(&self, clock: SimClock, seed: u64) -> Self {
        let state = self.lock().fork(clock, seed);
        Self { state: Arc::new(Mutex::new(state)), seam: Arc::default(), tape: Arc::default() }
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The server as a service in process.
    pub fn service(&self) -> ApiService {
        ApiService(self.clone())
    }

    /// Installs, or updates, every CustomResourceDefinition in a multi-document YAML.
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

    /// Admission refuses this from now on.
    pub fn refuse(&self, denial: Denial) {
        self.lock().denials.push(denial);
    }

    /// Admission refuses nothing any more.
    pub fn refuse_nothing(&self) {
        self.lock().denials.clear();
    }

    fn resource(&self, resource: &GroupResource) -> Result<ResourceRef, StatusError> {
        self.lock().any_version(resource).ok_or_else(StatusError::no_such_path)
    }

    /// One object; the namespace is empty for cluster-scoped ones.
    pub fn get(&self, resource: &GroupResource, namespace: &str, name: &str) -> Option<Value> {
        let res = self.resource(resource).ok()?;
        read::get(&self.lock(), &res, namespace, name).ok().map(|object| Value::clone(&object))
    }

    /// Every object, by namespace and name.
    pub fn list(&self, resource: &GroupResource) -> Vec<Value> {
        let Ok(res) = self.resource(resource) else {
            return Vec::new();
        };
        read::all(&self.lock(), &res)
    }

    /// Creates, as POST does. A `status` in the body of a custom resource is dropped, as POST drops it.
    pub fn create(&self, resource: &GroupResource, namespace: &str, object: Value) -> Result<Value, StatusError> {
        let res = self.resource(resource)?;
        let written = write::create(&mut self.lock(), &res, namespace, object, &WriteOptions::new(DRIVER))?;
        Ok(Value::clone(&written.object))
    }

    /// Replaces, as PUT does.
    pub fn replace(&self, resource: &GroupResource, namespace: &str, object: Value) -> Result<Value, StatusError> {
        let name = object.pointer("/metadata/name").and_then(Value::as_str).unwrap_or_default().to_owned();
        self.edit(resource, namespace, &name, Edit::Replace(object), false)
    }

    /// Patches, with a JSON merge patch.
    pub fn patch(
        &self,
        resource: &GroupResource,
        namespace: &str,
        name: &str,
        patch: Value,
    ) -> Result<Value, StatusError> {
        self.edit(resource, namespace, name, Edit::Patch(Patch::Merge(patch)), false)
    }

    /// Patches `/status`, with a JSON merge patch.
    pub fn patch_status(
        &self,
        resource: &GroupResource,
        namespace: &str,
        name: &str,
        patch: Value,
    ) -> Result<Value, StatusError> {
        self.edit(resource, namespace, name, Edit::Patch(Patch::Merge(patch)), true)
    }

    fn edit(
        &self,
        resource: &GroupResource,
        namespace: &str,
        name: &str,
        edit: Edit,
        status: bool,
    ) -> Result<Value, StatusError> {
        let res = self.resource(resource)?;
        let options = WriteOptions { status, ..WriteOptions::new(DRIVER) };
        let written = write::update(&mut self.lock(), &res, namespace, name, edit, &options)?;
        Ok(Value::clone(&written.object))
    }

    /// Deletes, as DELETE does: finalizers hold it.
    pub fn delete(&self, resource: &GroupResource, namespace: &str, name: &str) -> Result<(), StatusError> {
        let res = self.resource(resource)?;
        write::delete(&mut self.lock(), &res, namespace, name, &Preconditions::default(), false).map(drop)
    }

    /// The version of the last write.
    pub fn resource_version(&self) -> u64 {
        self.lock().storage.version()
    }

    /// The last requests that came through the service; [`Self::cap_requests`] says how many are kept.
    pub fn requests(&self) -> Vec<RequestRecord> {
        self.lock().log.records()
    }

    /// Every request by verb and target (`nodes`, `nodeenis.networking.k8s.aws/status`).
    pub fn request_counts(&self) -> BTreeMap<(String, String), u64> {
        self.lock().log.counts()
    }

    /// The writing requests by target.
    pub fn writes(&self) -> BTreeMap<String, u64> {
        self.lock().log.writes()
    }

    /// Forgets the requests and their counts.
    pub fn reset_requests(&self) {
        self.lock().log.reset();
    }

    /// How many requests are kept; 10,000 if not set.
    pub fn cap_requests(&self, records: usize) {
        self.lock().log.cap(records);
    }

    /// Sees and judges every request from now on.
    pub fn intercept(&self, interceptor: Interceptor) {
        self.seam.lock().unwrap_or_else(PoisonError::into_inner).0 = Some(interceptor);
    }

    /// Lets every request pass again.
    pub fn stop_intercepting(&self) {
        self.seam.lock().unwrap_or_else(PoisonError::into_inner).0 = None;
    }

    /// Tells every change of an object from now on.
    pub fn observe(&self, observer: Observer) {
        self.lock().storage.eyes.observer = Some(observer);
    }

    /// Writes down every request that writes, from the first call of this on.
    pub fn record(&self) -> Tape {
        self.tape.get_or_init(Tape::default).clone()
    }

    /// Forgets the history: watches from, and pages of, older versions get 410.
    pub fn compact(&self) {
        self.lock().storage.compact();
    }

    /// How many changes per resource a watch can look back; 10,000 if not set.
    pub fn retain_history(&self, changes: usize) {
        self.lock().storage.retain(changes);
    }

    /// Ends every open watch.
    pub fn break_watches(&self) {
        self.lock().storage.break_watches();
    }

    /// How often watches get bookmarks; 60 s if not set.
    pub fn bookmark_every(&self, interval: Duration) {
        self.lock().bookmark_interval = interval;
    }

    /// When a watch that names no timeout ends; 300 s if not set.
    pub fn watch_timeout(&self, timeout: Duration) {
        self.lock().watch_timeout = timeout;
    }

    /// Whether objects show `metadata.managedFields`; they do if not set. Ownership is kept either way.
    pub fn show_managed_fields(&self, show: bool) {
        self.lock().managed_fields = show;
    }
}
