//! A simulated EC2: the actions for network interfaces, in process and over TCP.
//!
//! [`Ec2`] refuses what EC2 refuses, with EC2's error codes, and it throttles, lags and forgets as EC2 does. The behaviour
//! comes from AWS's public documentation, as gathered in `facts/ec2.md`.
//!
//! The module never reads the wall clock and never spawns a task for the account. Time is the
//! [`SimClock`](crate::clock::SimClock)'s, and every ID and delay comes from the seed. Events that are due are processed at the
//! next access, so a run under paused time depends on its inputs alone.
//!
//! - The account: `account` (the handle [`Ec2`]), `state`, `model`, `setup`, `by_hand`, `foreign`, `catalog`, `settings`.
//! - A request: `http`, `handle_request`, `in_flight`, `params`, `actions`, `filters`, `pages`, `xml`, `api_error`.
//! - What EC2 does besides: `addresses`, `buckets`, `client_tokens`, `history` (eventual consistency), `ids`, `list_order`,
//!   `rng`.
//! - What tests control and read: `faults`, `observer`, `call_log`, `iam_requests`.

mod account;
mod actions;
mod addresses;
mod api_error;
mod buckets;
mod by_hand;
mod call_log;
pub mod catalog;
mod client_tokens;
mod faults;
mod filters;
mod foreign;
mod handle_request;
mod history;
mod http;
mod iam_requests;
mod ids;
mod in_flight;
mod list_order;
mod model;
mod observer;
mod pages;
mod params;
mod rng;
mod settings;
mod setup;
mod setup_error;
mod state;
mod xml;

pub use self::account::Ec2;
pub use self::call_log::{CallRecord, Outcome};
pub use self::faults::{Fault, FaultRule, FaultSource, Incoming, Loss};
pub use self::foreign::Foreign;
pub use self::handle_request::form_request;
pub use self::http::LostAnswer;
pub use self::iam_requests::LEFT_OUT;
pub use self::model::{
    Attachment, AttachmentStatus, ConnectionTracking, Creator, Eni, Instance, InstanceState, SecurityGroup, Shape,
    Snapshot, Stuck, Subnet,
};
pub use self::observer::{By, Happening, IamObserver, Observer};
pub use self::settings::{Buckets, Settings};
pub use self::setup_error::WorldError;
