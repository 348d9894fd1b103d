//! The replicas: the real controller over the real clients, in processes that can be killed, frozen and cut off.
//!
//! - [`process`], [`machine`]: one process of a replica, and the machine under it. [`replicas`]: which processes there are.
//! - `supervise`: starts and restarts processes, and performs operations on them. `controller`, [`options`]: what a process runs.
//! - `kube_interceptor`, `ec2_interceptor`: where its requests leave. [`request_delivery`]: what happens to a request on its way.

mod controller;
mod ec2_interceptor;
mod kube_interceptor;
pub mod machine;
pub mod options;
pub mod process;
pub mod replicas;
pub mod request_delivery;
mod supervise;

pub use machine::Machine;
pub use options::EC2_TIMEOUT;
pub use process::{Process, is_process};
pub use replicas::Replicas;
pub use request_delivery::Delivery;
