//! A simulated Kubernetes API server, in process and over TCP.
//!
//! [`ApiServer`] answers as kube-apiserver 1.34 does, for the resources that a controller of Nodes and custom resources
//! needs: as a `tower::Service` ([`ApiServer::service`]) or over TCP ([`ApiServer::serve`]). The same requests at the same
//! simulated time get the same bytes: the server never reads the wall clock, and it draws UIDs and names from a seed.
//!
//! - The handle for tests: [`server`], [`observer`], [`bootstrap`].
//! - Requests: [`service`], [`serve`], [`faults`], [`request`], [`routes`], [`log`], [`write_recording`].
//! - Reads: [`read`], [`watch`], [`change_signal`], [`selectors`].
//! - Answers: [`form`], [`render`], [`table`], [`printers`], [`age`], [`answer`], [`status`], [`cause`].
//! - Writes: [`write`], [`patch`], [`ownership`] (server-side apply), [`events`] (conversion).
//! - Admission: [`prepare`], [`metadata`], [`prune`], [`validate`], [`cel`], [`denial`].
//! - Resources: [`resource`], [`builtin`], [`crd`], [`schema`], [`jsonpath`], [`discovery`], [`openapi`].
//! - State: [`state`], [`storage`], [`timestamp`].

mod age;
mod answer;
mod bootstrap;
mod builtin;
mod cause;
mod cel;
mod change_signal;
mod crd;
mod denial;
mod discovery;
mod events;
mod faults;
mod form;
mod jsonpath;
mod log;
mod metadata;
mod observer;
mod openapi;
mod ownership;
mod patch;
mod prepare;
mod printers;
mod prune;
mod read;
mod render;
mod request;
mod resource;
mod routes;
mod schema;
mod selectors;
mod serve;
mod server;
mod service;
mod state;
mod status;
mod storage;
mod table;
mod timestamp;
mod validate;
mod watch;
mod write;
mod write_recording;

pub use answer::ApiBody;
pub use cause::Cause;
pub use denial::Denial;
pub use faults::{Disconnected, Failure, FaultDecision, Interceptor};
pub use log::RequestRecord;
pub use observer::{ObjectChange, Observer};
pub use request::RequestInfo;
pub use resource::GroupResource;
pub use server::{ApiServer, InstallError};
pub use service::ApiService;
pub use status::StatusError;
pub use write_recording::{Entry, Tape};
