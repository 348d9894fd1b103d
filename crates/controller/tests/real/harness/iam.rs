//! The IAM policies of the controller, and the calls of a story as IAM sees them. Nothing refuses a call here: the story goes on,
//! and its end holds each call against the policies.

use std::collections::BTreeSet;
use std::process::Command;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use multi_eni_control_plane::Failure;
use multi_eni_sim::ec2::Ec2;
use multi_eni_sim::iam::{Policy, Request};

/// The policies, and what IAM has seen so far.
#[derive(Debug)]
pub struct Iam {
    policies: Mutex<Vec<(String, Policy)>>,
    requests: Arc<Mutex<BTreeSet<Request>>>,
}

impl Iam {
    /// Begins to record the calls of the account. The policies: docs/iam-policy.json, and what `multi-eni iam-policy` prints for this
    /// cluster and this VPC.
    pub fn of_cluster(ec2: &Ec2, uid: &str, vpc: &str) -> Result<Self, Failure> {
        let printed = Command::new(env!("CARGO_BIN_EXE_multi-eni"))
            .args(["iam-policy", "--cluster-uid", uid, "--vpc", vpc])
            .env_clear()
            .output()
            .map_err(|e| e.to_string())?;
        let printed = String::from_utf8_lossy(&printed.stdout).into_owned();
        let documented = include_str!("../../../../../docs/iam-policy.json").to_owned();
        let mut policies = Vec::new();
        for (name, text) in [("docs/iam-policy.json", documented), ("multi-eni iam-policy", printed)] {
            let policy = Policy::parse(&text).map_err(|error| format!("{name}: {error}: {text}"))?;
            policies.push((name.to_owned(), policy));
        }
        let requests = Arc::new(Mutex::new(BTreeSet::new()));
        let seen = requests.clone();
        ec2.observe_iam(Box::new(move |call| lock(&seen).extend(call)));
        Ok(Self { policies: Mutex::new(policies), requests })
    }

    /// Adds the statement that docs/moving-from-upstream.md documents for a migration.
    pub fn permit_migration(&self) -> Result<(), Failure> {
        let page = include_str!("../../../../../docs/moving-from-upstream.md");
        let statement = page.split("```json").nth(1).and_then(|rest| rest.split("```").next());
        let statement = statement.ok_or("docs/moving-from-upstream.md has no JSON")?;
        for (name, policy) in lock(&self.policies).iter_mut() {
            policy.add(statement).map_err(|error| format!("{name}: {error}"))?;
        }
        Ok(())
    }

    /// The requests that a policy does not allow, each with the name of the policy.
    pub fn refused(&self) -> Vec<(String, Request)> {
        let (policies, requests) = (lock(&self.policies), lock(&self.requests));
        let of = |(name, policy): &(String, Policy)| {
            let refused = requests.iter().filter(|request| !policy.allows(request));
            refused.map(|request| (name.clone(), request.clone())).collect::<Vec<_>>()
        };
        policies.iter().flat_map(of).collect()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
