//! A Kubernetes API server in process.
//!
//! [`ApiServer`] answers as kube-apiserver 1.34 does, for the resources that a controller of Nodes and custom resources
//! needs, over a `tower::Service` ([`ApiServer::service`]) or over TCP ([`ApiServer::serve`]). Same requests at the same
//! virtual time give the same bytes: nothing here reads the wall clock or draws a random number.
//!
//! - A request comes in: [`service`], [`faults`], [`request`], [`routes`], [`log`], [`tape`],
//!   [`serve`].
//! - It reads: [`read`], [`watch`], [`selectors`], and shows: [`form`], [`table`], [`printers`], [`answer`].
//! - It writes: [`write`], [`patch`], [`ownership`] (server-side apply), and is judged: [`admit`], [`metadata`],
//!   [`prune`], [`validate`], [`cel`], [`status`].
//! - What there is: [`resource`], [`builtin`], [`crd`], [`schema`], [`discovery`], [`openapi`].
//! - Where it is: [`state`], [`storage`].

mod admit;
mod answer;
mod builtin;
mod cel;
mod crd;
mod discovery;
mod duration;
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
mod printers;
mod prune;
mod pulse;
mod read;
mod refuse;
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
mod tape;
mod validate;
mod watch;
mod write;

pub use answer::ApiBody;
pub use faults::{Disconnected, Failure, Interceptor, Verdict};
pub use log::RequestRecord;
pub use observer::{ObjectChange, Observer};
pub use refuse::Denial;
pub use request::RequestInfo;
pub use resource::GroupResource;
pub use server::{ApiServer, InstallError};
pub use service::ApiService;
pub use status::{Cause, StatusError};
pub use tape::{Entry, Tape};
