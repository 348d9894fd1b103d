//! The environment of a history: EC2, the API server and the clock, with nobody on it yet.

mod account;
mod cluster;
mod identity;
mod mend;
mod neighbours;
mod play;
mod renames;
mod upstream;

pub use account::{GROUPS, group, group_name, zone};
pub use cluster::{POD_ANNOTATION, People, eniattachments, nodeenis, nodes, pods};
pub use mend::ACTIONS;
pub use play::{Came, DENIED};

use crate::script::Setting;
use jiff::Timestamp;
use multi_eni_sim::clock::SimClock;
use multi_eni_sim::ec2::Ec2;
use multi_eni_sim::kube::ApiServer;
use std::time::Duration;
use tokio::time::Instant;

/// When every history begins: the first second of 2026.
const EPOCH: i64 = 1_767_225_600;

/// A clock that shows the beginning of a history now.
fn epoch() -> SimClock {
    SimClock::starting_at(Timestamp::from_second(EPOCH).unwrap_or(Timestamp::UNIX_EPOCH))
}

/// EC2, the API server and the clock.
#[derive(Clone)]
pub struct Environment {
    /// EC2.
    pub ec2: Ec2,
    /// The API server.
    pub api: ApiServer,
    /// The time that EC2 and the API server have.
    pub clock: SimClock,
    /// UID of the namespace kube-system: the ownership tag.
    pub cluster: String,
    instance_type: String,
    typed: bool,
    began: Instant,
}

impl Environment {
    /// Sets it up. Must be called inside a tokio runtime.
    ///
    /// # Errors
    /// If the setting or the CRDs are no good; the message says what.
    pub fn set(setting: &Setting, seed: u64) -> Result<Self, String> {
        let clock = epoch();
        let ec2 = account::open(setting, seed, clock)?;
        let (api, cluster) = cluster::open(seed, clock)?;
        let instance_type = setting.instance_type.clone();
        Ok(Self { ec2, api, clock, cluster, instance_type, typed: setting.typed, began: Instant::now() })
    }

    /// Milliseconds since the beginning.
    pub fn now(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// What [`Self::now`] answers, for those who must not hold the environment.
    pub fn timer(&self) -> impl Fn() -> u64 + Send + use<> {
        let began = self.began;
        move || u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// Waits until that many milliseconds since the beginning; not at all if they are over.
    pub async fn until(&self, at: u64) {
        tokio::time::sleep_until(self.began + Duration::from_millis(at)).await;
    }
}
