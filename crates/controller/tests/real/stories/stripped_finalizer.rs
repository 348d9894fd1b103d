//! Somebody replaces a NodeENI by a file without its finalizer, again and again, and then stops: the report of that ends when the
//! finalizer has lasted, or when the annotation `networking.k8s.aws/reconcile-at` asks for a new try.

use super::nodeeni;
use crate::harness::account::{GROUP, SUBNET_A};
use crate::harness::{Environment, Failure, SOON};
use std::time::Duration;

/// "Within a second or so", on a machine that is busy with other tests.
const AT_ONCE: Duration = Duration::from_secs(5);

/// Removes the finalizer, and waits until the controller has put it back.
fn strip(environment: &Environment) -> Result<(), Failure> {
    environment.kubectl(&["patch", "nodeeni/one", "--type=merge", "-p", "{\"metadata\":{\"finalizers\":null}}"])?;
    environment.until("the finalizer is back", SOON * 2, || {
        let object = environment.get(&["nodeeni/one"])?;
        if object["metadata"]["finalizers"].is_array() { Ok(()) } else { Err(format!("{object:#}").into()) }
    })
}

#[test]
fn the_report_of_a_stripped_finalizer_ends_when_the_finalizer_lasts_and_at_once_on_request() -> Result<(), Failure> {
    let environment = Environment::with_a_controller()?;
    environment.apply(&nodeeni("one", &[&format!("subnetID: {SUBNET_A}"), &format!("securityGroupIDs: [{GROUP}]")]))?;
    environment.condition("one", "Degraded", "False", SOON)?;
    // The first write was at the creation.
    (0..3).try_for_each(|_| strip(&environment))?;
    let (reason, message) = environment.condition("one", "Degraded", "True", AT_ONCE)?;
    environment.assert_eq("reason", reason.as_str(), "RepairUndone");
    assert!(message.contains("this report ends at"), "{message}");
    // The back-off of the fourth write is 8 to 10 s.
    environment.condition("one", "Degraded", "False", SOON * 2)?;

    // The next back-offs are 16 s and 32 s at least.
    (0..2).try_for_each(|_| strip(&environment))?;
    environment.condition("one", "Degraded", "True", AT_ONCE)?;
    environment.kubectl(&["annotate", "nodeeni/one", "networking.k8s.aws/reconcile-at=2026-01-01T00:00:00Z"])?;
    environment.condition("one", "Degraded", "False", AT_ONCE)?;
    // The request ends the back-off of a write that is due, too.
    strip(&environment)?;
    environment.kubectl(&["patch", "nodeeni/one", "--type=merge", "-p", "{\"metadata\":{\"finalizers\":null}}"])?;
    let again = "networking.k8s.aws/reconcile-at=2026-01-01T00:00:10Z";
    environment.kubectl(&["annotate", "nodeeni/one", "--overwrite", again])?;
    environment.until("the finalizer is back", AT_ONCE, || {
        let object = environment.get(&["nodeeni/one"])?;
        if object["metadata"]["finalizers"].is_array() { Ok(()) } else { Err(format!("{object:#}").into()) }
    })?;
    environment.passed();
    Ok(())
}
