//! The command `multi-eni sandbox`: it runs the real controller against simulated servers on this machine, with no cluster and no
//! AWS account, and checks what the controller does. Nothing of the product depends on this module.
//!
//! - [`scenario`]: the user's operations, step by step, and what must follow from each.
//! - [`keep`]: with `--keep`, how to reach the running sandbox, and what it waits for.
//! - [`manifests`]: the NodeENIs: the two examples of the architecture page, or the user's file.
//! - [`environment`]: the simulated API server, the simulated EC2 and the controller between them.
//! - [`zones`]: in which Availability Zone each subnet and node of the simulated account is.
//! - [`user_client`]: the user's client of the API server.
//! - [`checks`]: the checks, on EC2 and on the API server. [`observed_eni`]: the ENIs for these checks.
//! - [`node_network`]: with `--with-agent`, the nodes as network namespaces with the real node agent. [`agent_checks`]: its checks.
//! - [`wait`]: waits until a check succeeds.
//! - [`terminal`]: the output. [`cli_flags`]: the flags. `run`: one run from start to exit code.

mod agent_checks;
mod checks;
mod cli_flags;
mod environment;
mod keep;
mod manifests;
mod node_network;
pub mod observed_eni;
mod run;
mod scenario;
mod terminal;
mod user_client;
mod wait;
mod zones;

pub use cli_flags::Flags;
pub use run::run;
